"""The closed sets: causes in their order, their reasons, conditions, and what to change. The only place that has them.

Where several causes hold for a participant the first of `CAUSES` is the answer, down to ``hairpin-nat``; then, where no
UDP of the participant reaches the bridge, the TURN failure if TURN was offered, else ``udp-blocked``; then the rest.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from jitsilab.judge.causes.remedy import Remedy


class Reason(NamedTuple):
    """A second word: why the cause holds."""

    words: str
    remedy: Remedy | None = None  # where it is another than the cause's


class Cause(NamedTuple):
    """Why somebody has no media."""

    words: str  # in a sentence after the name of who it concerns
    remedy: Remedy
    reasons: Mapping[str, Reason] = MappingProxyType({})
    open_reasons: str = ""  # a prefix after which any reason may stand (http-STATUS)
    decided_by: str = ""  # the piece of evidence that would tell the reason, and the command that gets it


class Condition(NamedTuple):
    """What is true beside media, or beside their absence."""

    words: str
    remedy: Remedy


JVB_CONF, JICOFO_CONF = "/etc/jitsi/videobridge/jvb.conf", "/etc/jitsi/jicofo/jicofo.conf"
PROSODY_CONF, TURN_CONF = "/etc/prosody/conf.avail/DOMAIN.cfg.lua", "/etc/turnserver.conf"
NGINX_CONF = "/etc/nginx/sites-available/DOMAIN.conf"
MAPPING = """\
ice4j.harvest.mapping.static-mappings = [{
  local-address = "{bridge}", public-address = "{public}"
}]"""
BRIDGE_LOG = "the bridge's log: journalctl -u jitsi-videobridge2, or docker compose logs jvb"
FOCUS_LOG = "the focus's log: journalctl -u jicofo, or docker compose logs jicofo"
PROXY_LOG = "the proxy's logs: /var/log/nginx/access.log and error.log, or docker compose logs web"

CAUSES: Final[dict[str, Cause]] = {
    "tls-refused": Cause(
        "the browser refuses the server's certificate",
        Remedy("Serve a certificate that browsers accept, for the name that people open, with its whole chain.",
               NGINX_CONF, "ssl_certificate /etc/letsencrypt/live/DOMAIN/fullchain.pem;"),
        {
            "expired": Reason(
                "the certificate is outside its dates",
                Remedy("The certificate is outside its dates: renew it (certbot renew) and reload the proxy. Where the "
                       "certificate is fresh, the participant's clock is wrong.")),
            "untrusted": Reason(
                "nobody whom the browser trusts has signed it",
                Remedy("The certificate is self-signed, or its intermediate is not sent: mobile apps need the chain.",
                       NGINX_CONF, "ssl_certificate /etc/letsencrypt/live/DOMAIN/fullchain.pem;")),
            "name-mismatch": Reason(
                "it is made out for another name",
                Remedy("The certificate does not name the host that was opened: get one for that name.")),
        },
        decided_by="the browser's console, or openssl s_client -connect DOMAIN:443 -servername DOMAIN"),
    "signaling-refused": Cause(
        "the connection for signaling (WebSocket or BOSH) never opens",
        Remedy("What stands before Prosody refuses /xmpp-websocket or /http-bind. See that the proxy passes both on.",
               NGINX_CONF, "location = /xmpp-websocket {\n  proxy_pass http://127.0.0.1:5280/xmpp-websocket; ...\n}"),
        {
            "http-403": Reason(
                "the proxy forbids it",
                Remedy("The proxy answers 403: an access rule, or Prosody's cross_domain_websocket, keeps it out.",
                       NGINX_CONF, "location = /xmpp-websocket { ... } without deny; PUBLIC_URL as opened")),
            "http-404": Reason(
                "the proxy has no such place",
                Remedy("The proxy answers 404: it does not pass this path on to Prosody, or Prosody has not loaded the "
                       "module (websocket, bosh).", NGINX_CONF,
                       "location = /xmpp-websocket {\n  proxy_pass http://127.0.0.1:5280/xmpp-websocket;\n}")),
            "http-405": Reason("what answers is not Prosody"),
            "http-502": Reason(
                "Prosody does not run behind the proxy",
                Remedy("The proxy reaches no Prosody: see whether it runs (systemctl status prosody; ss -lnt | grep "
                       "5280) and that proxy_pass names its address and port.", NGINX_CONF,
                       "proxy_pass http://127.0.0.1:5280/...;")),
            "http-504": Reason(
                "Prosody does not answer the proxy in time",
                Remedy("The proxy waits for Prosody in vain: a filter between them drops packets, or the address in "
                       "proxy_pass is that of another machine.", NGINX_CONF, "proxy_pass http://127.0.0.1:5280/...;")),
            "no-upgrade": Reason(
                "the proxy passes the WebSocket on without its Upgrade",
                Remedy("The proxy drops the headers of the WebSocket.", NGINX_CONF,
                       'proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n'
                       'proxy_set_header Connection "upgrade";')),
        },
        open_reasons="http-", decided_by=PROXY_LOG),
    "xmpp-auth-failed": Cause(
        "the XMPP server does not let them in",
        Remedy("The XMPP server did not let this participant in: log in with an account, or let guests join rooms that "
               "somebody with an account has opened.", PROSODY_CONF,
               'VirtualHost "guest.DOMAIN" with authentication = "jitsi-anonymous", and anonymousdomain in '
               "DOMAIN-config.js", "Guests may then enter any room that an account holder has created."),
        {
            "guest-refused": Reason("guests are not let in"),
            "password-wrong": Reason(
                "name or password is wrong",
                Remedy("Name or password is not known to Prosody.", "", "prosodyctl register NAME DOMAIN PASSWORD")),
            "token-expired": Reason(
                "the token has expired",
                Remedy("The token was used after its time (exp). Issue one for longer, or see that the clocks of the "
                       "issuer and of the server agree (timedatectl).")),
            "token-not-yet-valid": Reason(
                "the token is not valid yet",
                Remedy("The token is from the future (nbf): the issuer's clock is ahead of the server's. Set both by "
                       "NTP (timedatectl), or let the issuer date nbf some seconds back.")),
            "token-invalid": Reason(
                "the token is not one that the server accepts",
                Remedy("The token's signature, issuer, audience or room is not what Prosody expects.", PROSODY_CONF,
                       "app_id, app_secret, asap_accepted_issuers and asap_accepted_audiences equal to the issuer's")),
        },
        decided_by="Prosody's log: /var/log/prosody/prosody.log, or docker compose logs prosody"),
    "no-focus": Cause(
        "nobody answers the request for a conference: the focus (Jicofo) is not there",
        Remedy("The conference focus did not answer. See whether it runs and is logged in (systemctl status jicofo).",
               JICOFO_CONF, "jicofo.xmpp.client: hostname, domain, username and password"),
        {
            "not-running": Reason(
                "it does not run",
                Remedy("Jicofo does not run: systemctl status jicofo; systemctl restart jicofo; its log says why it "
                       "ended.")),
            "login-refused": Reason(
                "Prosody refuses its login",
                Remedy("Prosody refuses the focus's password: the two do not share it.", JICOFO_CONF,
                       "jicofo.xmpp.client.password, as in: prosodyctl register focus auth.DOMAIN PASSWORD")),
            "certificate-refused": Reason(
                "it refuses Prosody's certificate",
                Remedy("Jicofo does not trust the certificate of auth.DOMAIN: add it to Java's store "
                       "(update-ca-certificates -f) and restart Jicofo.")),
        },
        decided_by=FOCUS_LOG),
    "alone-in-room": Cause(
        "nobody else was in the room",
        Remedy("Nobody else was in this room. Compare the addresses that the participants opened, to the letter: "
               "another spelling, tenant or host is another room.")),
    "no-bridge": Cause(
        "the focus has no video bridge that it can use",
        Remedy("The focus had no video bridge to offer. See whether the bridge runs (systemctl status "
               "jitsi-videobridge2) and whether it logs in to the brewery room that the focus watches.", JVB_CONF,
               "videobridge.apis.xmpp-client.configs: hostname, password and muc-jids equal to "
               f"jicofo.bridge.brewery-jid in {JICOFO_CONF}"),
        {
            "login-refused": Reason(
                "Prosody refuses the bridge's login",
                Remedy("Prosody refuses the bridge's password: the two do not share it.", JVB_CONF,
                       "videobridge.apis.xmpp-client.configs.*.password, as in: prosodyctl register jvb auth.DOMAIN "
                       "PASSWORD",
                       docker="JVB_AUTH_PASSWORD=... (Prosody keeps the old one: remove its volume once)")),
            "not-in-brewery": Reason(
                "the bridge is not in the room where the focus looks for it",
                Remedy("The bridge joins another room than the focus watches, or cannot join it.", JVB_CONF,
                       f"muc-jids equal to jicofo.bridge.brewery-jid in {JICOFO_CONF}, on a component that is a "
                       "chat service (Component \"internal.auth.DOMAIN\" \"muc\")")),
            "xmpp-unreachable": Reason(
                "the bridge does not reach the XMPP server",
                Remedy("The bridge does not reach Prosody: wrong host name or port, Prosody not running, or a filter.",
                       JVB_CONF, "videobridge.apis.xmpp-client.configs.*.hostname",
                       docker="XMPP_SERVER=...")),
            "unhealthy": Reason(
                "the bridge's own health check fails",
                Remedy("The bridge says that it is unhealthy, mostly because it knows no address at which it can be "
                       "reached.", JVB_CONF,
                       MAPPING, docker="JVB_ADVERTISE_IPS={public}")),
            "port-taken": Reason(
                "another program holds the bridge's port",
                Remedy("Another program holds the bridge's port: ss -lunp | grep 10000 names it. Stop it (often a "
                       "second bridge), or give the bridge another port.", JVB_CONF, "videobridge.ice.udp.port")),
            "not-running": Reason(
                "the bridge does not run",
                Remedy("The bridge does not run. See why it ended (journalctl -u jitsi-videobridge2; dmesg | grep -i "
                       "oom) and start it; with too little memory lower VIDEOBRIDGE_MAX_MEMORY or add some.",
                       "/etc/jitsi/videobridge/config", "VIDEOBRIDGE_MAX_MEMORY=...")),
            "not-answering": Reason(
                "the bridge does not answer the focus",
                Remedy("The bridge is logged in and does not answer: it hangs. Take a thread dump (kill -QUIT) and "
                       "restart it.")),
        },
        decided_by=BRIDGE_LOG),
    "bridge-lost": Cause(
        "the video bridge went away during the call",
        Remedy("The bridge went away in the middle of the call. See why it ended (journalctl -u jitsi-videobridge2; "
               "dmesg | grep -i oom).", "/etc/jitsi/videobridge/config", "VIDEOBRIDGE_MAX_MEMORY=..."),
        decided_by=BRIDGE_LOG),
    "nat-mapping-missing": Cause(
        "the bridge offers only addresses that cannot be reached from outside",
        Remedy("The bridge advertised only addresses that nobody outside can reach. Tell it the public one.", JVB_CONF,
               MAPPING, docker="JVB_ADVERTISE_IPS={public}")),
    "nat-mapping-wrong": Cause(
        "the bridge offers a public address that is not its own",
        Remedy("The bridge advertises an address that is not (or no longer) the server's. Tell it the right one.",
               JVB_CONF,
               MAPPING, docker="JVB_ADVERTISE_IPS={public}")),
    "hairpin-nat": Cause(
        "they sit in the server's own network and are offered its outside address alone",
        Remedy("The participant reaches the server from behind the same gateway, and the gateway does not turn packets "
               "to its own outside address round. Let the bridge advertise its inner address beside the outer one, or "
               "turn on hairpin NAT at the gateway.", JVB_CONF,
               "videobridge.ice.advertise-private-candidates = true",
               docker="JVB_ADVERTISE_IPS={bridge},{public}")),
    "turn-permission-refused": Cause(
        "TURN refuses to relay to the bridge",
        Remedy("TURN gave an address and then refused to relay to the bridge: a denied-peer-ip range covers it. coturn "
               "maps the server's public address back to the private one before it looks, so behind one-to-one NAT "
               "both of the bridge's addresses are denied.", TURN_CONF, "allowed-peer-ip={bridge}",
               "Whoever holds TURN credentials may then reach every UDP port of that address through the relay: allow "
               "the bridge's address alone, and keep the denied ranges.")),
    "turn-auth-failed": Cause(
        "TURN refuses the credentials",
        Remedy("TURN refused the credentials that the XMPP server had handed out: the two do not share a secret (or "
               "their clocks differ by more than the lifetime).", TURN_CONF,
               f"static-auth-secret equal to external_service_secret in {PROSODY_CONF}")),
    "turn-unreachable": Cause(
        "TURN was offered and cannot be reached",
        Remedy("TURN was offered, but no TURN server answered there. See whether coturn runs and listens (systemctl "
               "status coturn; ss -lntup), and whether the proxy on 443 passes connections without ALPN on to it.",
               TURN_CONF,
               "tls-listening-port, cert and pkey; the address and port that external_services in Prosody offers"),
        {
            "not-running": Reason("nothing listens there"),
            "tls-certificate": Reason(
                "the browser refuses TURN's certificate",
                Remedy("Browsers refuse TURN's certificate, without a word in coturn's log: serve the whole chain, for "
                       "the name that is offered.", TURN_CONF, "cert=/etc/letsencrypt/live/DOMAIN/fullchain.pem")),
            "name-not-found": Reason("its name cannot be resolved"),
        },
        decided_by="the browser's console, and openssl s_client -connect TURN-HOST:443"),
    "udp-blocked": Cause(
        "UDP between them and the bridge is blocked",
        Remedy("No UDP from this participant reached the bridge, and no relay was offered. Let UDP to the bridge's "
               "port in at the cloud's filter and the server's firewall; for participants behind firewalls with "
               "TCP 443 alone, offer TURN over TLS.", PROSODY_CONF,
               'external_services = {\n  { type = "turns", transport = "tcp", port = 5349, secret = true }\n}',
               "The relay can be used by anybody who may join a room, for the life of its credentials."),
        {
            "inbound": Reason(
                "towards the bridge",
                Remedy("A filter drops UDP towards the bridge. Let it in at the cloud's and the server's.", "",
                       "ufw allow 10000/udp  # and the same in the cloud's security group")),
            "outbound": Reason(
                "the bridge's answers do not get out",
                Remedy("The participants' checks arrive, and what the bridge sends does not get out: let UDP from the "
                       "bridge's port out, at the server and at the cloud's filter.", "",
                       "ufw allow out proto udp from any port 10000")),
        },
        decided_by="the filter's rules (jitsilab deploy facts) and a capture on the server"),
    "checks-unanswered": Cause(
        "connectivity checks are never answered",
        Remedy("Connectivity checks were sent on every pair and none was answered. See which side's firewall drops "
               "them; a relay that both sides can reach gets around it.", PROSODY_CONF,
               'external_services with type = "turns"')),
    "fingerprint-mismatch": Cause(
        "the certificate of the handshake is not the one that was announced",
        Remedy("The certificate in the DTLS handshake is not the one that the signaling announced, so the other side "
               "refused it. Something between the browser and the XMPP server altered the session description: take it "
               "for an attack until a proxy or an extension that rewrites it is found.")),
    "dtls-failed": Cause(
        "the DTLS handshake does not finish",
        Remedy("ICE found a path, but the DTLS handshake on it did not finish. Something on the path drops DTLS or "
               "packets of its size (a ClientHello takes two datagrams of up to 1,200 bytes): try another network or a "
               "VPN, or a lower MTU at the participant's router.")),
}  # fmt: skip
OPEN: Final = ("undetermined", "not-observable")  # what stands for a cause that the evidence does not single out

CONDITIONS: Final[dict[str, Condition]] = {
    "bridge-channel-refused": Condition(
        "the bridge channel is refused: video freezes or stays low, audio goes on",
        Remedy("The proxy does not pass /colibri-ws on to the bridge.", NGINX_CONF,
               "location ~ ^/colibri-ws/default-id/(.*) {\n"
               "  proxy_pass http://127.0.0.1:9090/colibri-ws/default-id/$1;\n"
               "  proxy_http_version 1.1;\n  proxy_set_header Upgrade $http_upgrade;\n"
               '  proxy_set_header Connection "upgrade";\n}')),
    "bridge-udp-unreachable": Condition(
        "nobody reaches the bridge by UDP; TURN saves the call",
        Remedy("All media run over TURN: let UDP to the bridge's port in at the cloud's filter and the server's "
               "firewall, and see that the address which the bridge offers is its own.", "", "ufw allow 10000/udp")),
    "source-rewritten": Condition(
        "UDP arrives with a gateway's address for everybody",
        Remedy("A proxy or a gateway puts its own address into incoming UDP (a load balancer, docker's userland proxy, "
               "a router's source NAT). Let it keep the participants' addresses, or publish the port on the host.")),
    "sends-nothing": Condition(
        "neither audio nor video is sent: no device, or no permission",
        Remedy("The participant's browser has no microphone or camera, or may not use them.")),
    "lossy": Condition("packets are lost on the way", Remedy("Packets are lost on this participant's line.")),
    "bridges-relay-broken": Condition(
        "bridges do not reach each other",
        Remedy("The bridges do not reach each other: let UDP between their ports pass, and let each advertise an "
               "address that the other can reach.", JVB_CONF, "videobridge.relay.enabled, ice4j.harvest.mapping")),
    "version-mismatch": Condition(
        "the configuration names what this version does not know",
        Remedy("Configuration and programs are of different versions: take both from one release.")),
    "clock-wrong": Condition(
        "a clock is wrong", Remedy("Set the clocks by NTP: timedatectl set-ntp true.")),
    "overloaded": Condition(
        "the server is overloaded", Remedy("The bridge or the focus sheds load: add a bridge, or a larger machine.")),
}  # fmt: skip


def words_of(cause: str, reason: str | None) -> str:
    """A cause and its reason in one clause."""
    known = CAUSES[cause]
    if reason is None:
        return known.words
    if reason in known.reasons:
        return f"{known.words}: {known.reasons[reason].words}"
    return f"{known.words}: it is answered with {reason.removeprefix(known.open_reasons)}"


def is_reason(cause: str, reason: str) -> bool:
    """Whether a reason belongs to a cause."""
    known = CAUSES[cause]
    return reason in known.reasons or bool(known.open_reasons and reason.startswith(known.open_reasons))
