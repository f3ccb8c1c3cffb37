"""Configuration of the media side: the bridge, the relay, the packet filter, the certificate's renewal."""

from jitsilab.deploy.planning.wishes import Wishes

#: what nobody may reach through a relay: the IANA special-purpose registries, documentation networks left out where the
#: server itself stands in one (RFC 6890)
_DENIED = (
    "0.0.0.0-0.255.255.255", "10.0.0.0-10.255.255.255", "100.64.0.0-100.127.255.255", "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255", "172.16.0.0-172.31.255.255", "192.0.0.0-192.0.0.255",
    "192.88.99.0-192.88.99.255", "192.168.0.0-192.168.255.255", "198.18.0.0-198.19.255.255",
    "240.0.0.0-255.255.255.255", "::1", "64:ff9b::-64:ff9b::ffff:ffff", "::ffff:0.0.0.0-::ffff:255.255.255.255",
    "100::-100::ffff:ffff:ffff:ffff", "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)  # fmt: skip


def jvb(wishes: Wishes) -> str:
    """/etc/jitsi/videobridge/jvb.conf."""
    mapping = (
        f"""ice4j.harvest.mapping {{
  aws.enabled = false
  stun.addresses = []
  static-mappings = [
    {{ local-address = "{wishes.private_address}", public-address = "{wishes.public_address}", name = "gateway" }}
  ]
}}
"""
        if wishes.translated
        else "ice4j.harvest.mapping { aws.enabled = false, stun.addresses = [] }   # its own address is public\n"
    )
    socket = wishes.channel == "websocket"
    return f"""videobridge {{
  apis.xmpp-client.configs.shard {{
    HOSTNAME = "127.0.0.1"
    PORT = 5222
    DOMAIN = "auth.{wishes.domain}"
    USERNAME = "jvb"
    PASSWORD = "{wishes.secret("jvb")}"
    MUC_JIDS = "jvbbrewery@internal.auth.{wishes.domain}"
    MUC_NICKNAME = "jvb-1"
  }}
  ice {{
    udp.port = {wishes.bridge_port}
    advertise-private-candidates = false
  }}
  http-servers {{
    public {{ host = "127.0.0.1", port = 9090 }}
    private {{ host = "127.0.0.1", port = 8080 }}
  }}
  websockets {{
    enabled = {str(socket).lower()}
    server-id = "default-id"
    domains = [ "{wishes.domain}:443" ]
    tls = true
  }}
  sctp.enabled = {str(not socket).lower()}
}}
{mapping}"""


def turnserver(wishes: Wishes) -> str:
    """/etc/turnserver.conf."""
    external = f"external-ip={wishes.public_address}/{wishes.private_address}\n" if wishes.translated else ""
    denied = "".join(f"denied-peer-ip={network}\n" for network in _DENIED)
    return f"""# The relay of {wishes.domain}: it reaches the bridge and the Internet, and nothing that stands inside.
use-auth-secret
static-auth-secret={wishes.secret("turn")}
realm={wishes.domain}
keep-address-family
listening-ip={wishes.local_address}
relay-ip={wishes.local_address}
{external}listening-port=3478
tls-listening-port=5349
min-port=49152
max-port=65535
cert=/etc/coturn/certs/{wishes.domain}.crt
pkey=/etc/coturn/certs/{wishes.domain}.key
no-tcp-relay
no-multicast-peers
no-cli
no-dtls
no-tlsv1
no-tlsv1_1
no-software-attribute
user-quota=20
total-quota=1200
# the bridge is asked for by its own address, which the list below would refuse
allowed-peer-ip={wishes.local_address}
{denied}syslog
"""


def packet_filter(wishes: Wishes) -> str:
    """/etc/nftables.conf."""
    udp = ["443", str(wishes.bridge_port), *(["3478", "49152-65535"] if wishes.turn else [])]
    tcp = ["80", "443", *(["5349"] if wishes.turn else [])]
    return f"""#!/usr/sbin/nft -f
# What strangers may reach: the page, the bridge, the relay. SSH from everywhere: narrow it to your own addresses.
flush ruleset
table inet filter {{
	chain input {{
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		ct state invalid drop
		iif "lo" accept
		ip protocol icmp accept
		meta l4proto ipv6-icmp accept
		tcp dport 22 accept
		tcp dport {{ {", ".join(tcp)} }} accept
		udp dport {{ {", ".join(udp)} }} accept
	}}
	chain forward {{ type filter hook forward priority 0; policy drop; }}
	chain output {{ type filter hook output priority 0; policy accept; }}
}}
"""


def renewal(wishes: Wishes) -> str:
    """/etc/letsencrypt/renewal-hooks/deploy/jitsi.sh: every program that shows the certificate gets the new one."""
    relay = f"""mkdir -p /etc/coturn/certs
install -o turnserver -m 0644 "$live/fullchain.pem" /etc/coturn/certs/{wishes.domain}.crt
install -o turnserver -m 0600 "$live/privkey.pem" /etc/coturn/certs/{wishes.domain}.key
systemctl restart coturn
""" if wishes.turn else ""  # fmt: skip
    return f"""#!/bin/sh
# The whole chain, to the page and the relay alike: phones refuse a certificate without its intermediate.
set -e
live=/etc/letsencrypt/live/{wishes.domain}
install -m 0644 "$live/fullchain.pem" /etc/jitsi/meet/{wishes.domain}.crt
install -m 0600 "$live/privkey.pem" /etc/jitsi/meet/{wishes.domain}.key
{relay}systemctl reload nginx
"""


def environment(wishes: Wishes) -> str:
    """The .env of docker-jitsi-meet."""
    relay = f"""TURN_CREDENTIALS={wishes.secret("turn")}
TURNS_HOST={wishes.domain}
TURNS_PORT=5349
STUN_HOST={wishes.domain}
STUN_PORT=3478
""" if wishes.turn else ""  # fmt: skip
    login = {
        "accounts": "ENABLE_AUTH=1\nENABLE_GUESTS=1\nAUTH_TYPE=internal\n",
        "anybody": "ENABLE_AUTH=0\n",
        "tokens": f"ENABLE_AUTH=1\nENABLE_GUESTS=0\nAUTH_TYPE=jwt\nJWT_APP_ID={wishes.domain}\n"
                  f"JWT_APP_SECRET={wishes.secret('token')}\nJWT_ALLOW_EMPTY=0\n",
    }[wishes.rooms]  # fmt: skip
    certificate = (
        "ENABLE_LETSENCRYPT=0\n"
        if wishes.own_certificate
        else f"ENABLE_LETSENCRYPT=1\nLETSENCRYPT_DOMAIN={wishes.domain}\nLETSENCRYPT_EMAIL={wishes.email}\n"
    )
    return f"""CONFIG=/opt/jitsi-config
HTTP_PORT=80
HTTPS_PORT=443
TZ=UTC
PUBLIC_URL=https://{wishes.domain}
{certificate}ENABLE_HTTP_REDIRECT=1
ENABLE_HSTS=1
JVB_PORT={wishes.bridge_port}
JVB_ADVERTISE_IPS={wishes.public_address}
JVB_DISABLE_STUN=true
ENABLE_XMPP_WEBSOCKET=1
ENABLE_COLIBRI_WEBSOCKET={int(wishes.channel == "websocket")}
ENABLE_SCTP={int(wishes.channel == "sctp")}
COLIBRI_REST_ENABLED=false
{login}{relay}JICOFO_AUTH_PASSWORD={wishes.secret("focus")}
JVB_AUTH_PASSWORD={wishes.secret("jvb")}
DISABLE_THIRD_PARTY_REQUESTS=1
RESTART_POLICY=unless-stopped
"""
