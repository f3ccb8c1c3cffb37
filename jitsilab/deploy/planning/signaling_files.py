"""Configuration of the signaling side: Prosody, the focus, the web server, the page's settings."""

from jitsilab.deploy.planning.wishes import Wishes

_MUC = ("muc_hide_all", "muc_meeting_id", "muc_domain_mapper", "muc_rate_limit", "muc_password_whitelist")


def prosody(wishes: Wishes) -> str:
    """The whole of /etc/prosody/prosody.cfg.lua; each host is in conf.d."""
    return """-- What every host shares. Nothing of it is reachable from outside: nginx is the only way in.
plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins" }
admins = { "focus@auth.DOMAIN" }
component_admins_as_room_owners = true

interfaces = { "127.0.0.1" }
c2s_interfaces = { "127.0.0.1" }
component_interfaces = { "127.0.0.1" }
http_interfaces = { "127.0.0.1" }
http_ports = { 5280 }
https_ports = { }
trusted_proxies = { "127.0.0.1" }

modules_enabled = {
	"disco", "roster", "saslauth", "tls", "blocklist", "limits", "pep", "private", "vcard4", "vcard_legacy",
	"ping", "time", "posix", "admin_shell",
}
modules_disabled = { "s2s" }
allow_registration = false
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
authentication = "internal_hashed"
storage = "internal"
ssl = { protocol = "tlsv1_2+" }
certificates = "certs"
limits = { c2s = { rate = "512kb/s" } }
unlimited_jids = { "focus@auth.DOMAIN", "jvb@auth.DOMAIN" }
pidfile = "/run/prosody/prosody.pid"
log = { info = "/var/log/prosody/prosody.log", error = "/var/log/prosody/prosody.err" }

Include "conf.d/*.cfg.lua"
""".replace("DOMAIN", wishes.domain)


def prosody_host(wishes: Wishes) -> str:
    """/etc/prosody/conf.d/DOMAIN.cfg.lua: the hosts and rooms of the service."""
    relay = f"""external_service_secret = "{wishes.secret("turn")}"
external_services = {{
	{{ type = "stun", host = "DOMAIN", port = 3478 }},
	{{ type = "turns", host = "DOMAIN", port = 5349, transport = "tcp", secret = true, ttl = 86400,
		algorithm = "turn" }},
}}
"""
    services = relay if wishes.turn else "external_services = { }\n"
    common = (
        '"bosh", "websocket", "smacks", "ping", "external_services", "features_identity", "jitsi_session",\n'
        '\t\t"conference_duration", "muc_lobby_rooms"'
    )
    login = {
        "accounts": '\tauthentication = "internal_hashed"\n',
        "anybody": '\tauthentication = "jitsi-anonymous"\n',
        "tokens": f'\tauthentication = "token"\n\tapp_id = "DOMAIN"\n\tapp_secret = "{wishes.secret("token")}"\n'
                  "\tallow_empty_token = false\n",
    }[wishes.rooms]  # fmt: skip
    rooms = ", ".join(
        f'"{module}"' for module in (*_MUC, *(["token_verification"] if wishes.rooms == "tokens" else []))
    )
    guests = f"""
-- those without an account: they wait until somebody who has one opens the room
VirtualHost "guest.DOMAIN"
	authentication = "jitsi-anonymous"
	c2s_require_encryption = false
	modules_enabled = {{
		{common},
	}}
	lobby_muc = "lobby.DOMAIN"
	main_muc = "conference.DOMAIN"
"""
    return f"""-- The service at DOMAIN.
muc_mapper_domain_base = "DOMAIN"
muc_mapper_domain_prefix = "conference"
http_default_cors_enabled = false
consider_bosh_secure = true
consider_websocket_secure = true
smacks_max_unacked_stanzas = 5
smacks_hibernation_time = 60
{services}
VirtualHost "DOMAIN"
{login}{_ssl("DOMAIN")}
	modules_enabled = {{
		{common},
	}}
	lobby_muc = "lobby.DOMAIN"
	main_muc = "conference.DOMAIN"
{guests if wishes.rooms == "accounts" else ""}
-- the server's own: focus and bridge log in here
VirtualHost "auth.DOMAIN"
	authentication = "internal_hashed"
{_ssl("auth.DOMAIN")}
	modules_enabled = {{ "limits_exception", "smacks" }}
	smacks_hibernation_time = 15

Component "conference.DOMAIN" "muc"
	restrict_room_creation = true
	storage = "memory"
	modules_enabled = {{ {rooms} }}
	muc_password_whitelist = {{ "focus@auth.DOMAIN" }}
	muc_room_locking = false
	muc_room_default_public_jids = true

Component "lobby.DOMAIN" "muc"
	restrict_room_creation = true
	storage = "memory"
	modules_enabled = {{ "muc_hide_all", "muc_rate_limit" }}
	muc_room_locking = false
	muc_room_default_public_jids = true

-- where bridges announce themselves to the focus
Component "internal.auth.DOMAIN" "muc"
	restrict_room_creation = true
	storage = "memory"
	modules_enabled = {{ "muc_hide_all", "ping" }}
	admins = {{ "focus@auth.DOMAIN", "jvb@auth.DOMAIN" }}
	muc_room_locking = false
	muc_room_default_public_jids = true

-- hands requests to focus.DOMAIN to the focus, which is logged in as a user
Component "focus.DOMAIN" "client_proxy"
	target_address = "focus@auth.DOMAIN"

Component "speakerstats.DOMAIN" "speakerstats_component"
	muc_component = "conference.DOMAIN"
Component "endconference.DOMAIN" "end_conference"
	muc_component = "conference.DOMAIN"
Component "avmoderation.DOMAIN" "av_moderation_component"
	muc_component = "conference.DOMAIN"
Component "metadata.DOMAIN" "room_metadata_component"
	muc_component = "conference.DOMAIN"
""".replace("DOMAIN", wishes.domain)  # fmt: skip


def _ssl(host: str) -> str:
    certificate = f'key = "/etc/prosody/certs/{host}.key", certificate = "/etc/prosody/certs/{host}.crt"'
    return f'\tssl = {{ {certificate},\n\t\tprotocol = "tlsv1_2+" }}'


def jicofo(wishes: Wishes) -> str:
    """/etc/jitsi/jicofo/jicofo.conf."""
    accounts = """  authentication {
    enabled = true
    type = XMPP
    login-url = "DOMAIN"
  }
""" if wishes.rooms == "accounts" else """  authentication {
    enabled = true
    type = JWT
    login-url = "DOMAIN"
  }
""" if wishes.rooms == "tokens" else ""  # fmt: skip
    return f"""jicofo {{
  xmpp.client {{
    enabled = true
    hostname = "127.0.0.1"
    port = 5222
    domain = "auth.DOMAIN"
    xmpp-domain = "DOMAIN"
    username = "focus"
    password = "{wishes.secret("focus")}"
    conference-muc-jid = "conference.DOMAIN"
    client-proxy = "focus.DOMAIN"
  }}
  bridge.brewery-jid = "jvbbrewery@internal.auth.DOMAIN"
{accounts}  sctp.enabled = {str(wishes.channel == "sctp").lower()}
  rest {{ enabled = true, host = "127.0.0.1", port = 8888 }}
}}
""".replace("DOMAIN", wishes.domain)


def nginx(wishes: Wishes) -> str:
    """/etc/nginx/sites-available/DOMAIN.conf."""
    six = "\tlisten [::]:%s;\n"
    return f"""# The only door to signaling. Queries hold tokens, paths are names of rooms: the log has neither.
log_format pathless '$remote_addr [$time_local] "$request_method" $status $body_bytes_sent';
server_tokens off;
upstream prosody {{ zone upstreams 64k; server 127.0.0.1:5280; keepalive 2; }}
upstream jvb1 {{ zone upstreams 64k; server 127.0.0.1:9090; keepalive 2; }}

server {{
	listen 80;
{six % "80"}	server_name DOMAIN;
	access_log /var/log/nginx/DOMAIN.log pathless;
	location ^~ /.well-known/acme-challenge/ {{ default_type text/plain; root /usr/share/jitsi-meet; }}
	location / {{ return 301 https://$host$request_uri; }}
}}
server {{
	listen 443 ssl http2;
{six % "443 ssl http2"}	server_name DOMAIN;
	access_log /var/log/nginx/DOMAIN.log pathless;
	ssl_certificate /etc/jitsi/meet/DOMAIN.crt;
	ssl_certificate_key /etc/jitsi/meet/DOMAIN.key;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers off;
	ssl_session_timeout 1d;
	ssl_session_cache shared:SSL:10m;
	ssl_session_tickets off;
	add_header Strict-Transport-Security "max-age=63072000" always;
	root /usr/share/jitsi-meet;
	ssi on;
	ssi_types application/x-javascript application/javascript;
	index index.html index.htm;
	error_page 404 /static/404.html;
	gzip on;
	gzip_types text/plain text/css application/javascript application/json image/x-icon application/wasm;
	gzip_vary on;

	location = /config.js {{ alias /etc/jitsi/meet/DOMAIN-config.js; }}
	location = /external_api.js {{ alias /usr/share/jitsi-meet/libs/external_api.min.js; }}
	location ~ ^/(libs|css|static|images|fonts|lang|sounds|.well-known)/(.*)$ {{
		alias /usr/share/jitsi-meet/$1/$2;
	}}
	location = /http-bind {{
		if ($http_origin !~ "^(https://PATTERN)?$") {{ return 403; }} # other web pages
		proxy_pass http://prosody/http-bind?prefix=$prefix&$args;
		proxy_http_version 1.1;
		proxy_set_header X-Forwarded-For $remote_addr;
		proxy_set_header Host DOMAIN;
		proxy_set_header Connection "";
		access_log off;
	}}
	location = /xmpp-websocket {{
		if ($http_origin !~ "^(https://PATTERN)?$") {{ return 403; }} # other web pages
		proxy_pass http://prosody/xmpp-websocket?prefix=$prefix&$args;
		proxy_http_version 1.1;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection "upgrade";
		proxy_set_header Host DOMAIN;
		proxy_set_header X-Forwarded-For $remote_addr;
		proxy_read_timeout 900s;
		tcp_nodelay on;
		access_log off;
	}}
	location ~ ^/colibri-ws/default-id/(.*) {{
		proxy_pass http://jvb1/colibri-ws/default-id/$1$is_args$args;
		proxy_http_version 1.1;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection "upgrade";
		proxy_read_timeout 900s;
		tcp_nodelay on;
		access_log off;
	}}
	location = /conference-request/v1 {{
		proxy_pass http://127.0.0.1:8888/conference-request/v1;
		add_header Cache-Control "no-cache, no-store";
	}}
	location @root_path {{ rewrite ^/(.*)$ / break; }}
	location ~ ^/([^/?&:'"]+)$ {{ set $roomname "$1"; try_files $uri @root_path; }}
	set $prefix "";
}}
""".replace("DOMAIN", wishes.domain).replace("PATTERN", wishes.domain.replace(".", "[.]"))


def config_js(wishes: Wishes) -> str:
    """/etc/jitsi/meet/DOMAIN-config.js: what the page is told."""
    guest = "    anonymousdomain: 'guest.DOMAIN',\n" if wishes.rooms == "accounts" else ""
    return f"""var config = {{
  hosts: {{
    domain: 'DOMAIN',
{guest.replace("    ", "    ", 1)}    muc: 'conference.' + 'DOMAIN',
    focus: 'focus.DOMAIN'
  }},
  bosh: 'https://DOMAIN/http-bind',
  websocket: 'wss://DOMAIN/xmpp-websocket',
  bridgeChannel: {{ preferSctp: {str(wishes.channel == "sctp").lower()} }},
  p2p: {{ enabled: true, stunServers: [{{ urls: 'stun:DOMAIN:3478' }}] }},
  disableThirdPartyRequests: true,
  enableEmailInStats: false,
  analytics: {{ disabled: true }},
  gravatar: {{ disabled: true }},
  giphy: {{ enabled: false }},
  enableNoAudioDetection: true,
  channelLastN: -1
}};
""".replace("DOMAIN", wishes.domain)
