"""The samples of every check; tests/test_findings.py runs them, docs/checks.md lists them."""

from audit_samples import (
    Sample,
    all_of,
    certificate,
    changed,
    check_rows,
    configured,
    copied,
    nothing,
    real,
    study,
    text_in,
    value_in,
    without,
)

OPEN_FILTER = "table ip x {\n chain in {\n type filter hook input priority 0; policy accept;\n }\n}\n"


def socket(port: int, address: str = "0.0.0.0") -> str:
    """One line of `ss -lntup`."""
    return f'tcp LISTEN 0 128 {address}:{port} 0.0.0.0:* users:(("java",pid=1,fd=2))\n'


BOTH = 'pidfile = "/run/prosody.pid"\nmodules_enabled = { "bosh", "websocket" }\n'
OLD, NEW = "ii  prosody  0.11.13-1\n", "ii  prosody  13.0.2-1\n"
ONE_ORIGIN = "".join(
    f'location /{path} {{ if ($http_origin !~ "^(https://meet[.]example)?$") {{ return 403; }} proxy_pass http://p; }}'
    for path in ("http-bind", "xmpp-websocket")
)
MUC = 'Component "conference.meet.example" "muc"\n'
DENY = "use-auth-secret\nlistening-ip=172.31.0.5\nrelay-ip=172.31.0.5\n" + "".join(
    f"denied-peer-ip={low}-{high}\n"
    for low, high in (
        ("10.0.0.0", "10.255.255.255"), ("172.16.0.0", "172.31.255.255"), ("192.168.0.0", "192.168.255.255"),
        ("169.254.0.0", "169.254.255.255"),
    )
)  # fmt: skip
TURN = "a TURN server of coturn, run and captured (tests/test_servers.py)"
ENCRYPTED = text_in("xmpp", "xml", "<SourceInfo>", "<e2ee.enabled>true</e2ee.enabled><SourceInfo>")
XMPP = "Prosody, run, looked at with ss and captured (tests/test_servers.py)"


def ran(result: str, what: str) -> Sample:
    """A sample that tests/test_servers.py makes with a real server."""
    return Sample(result, "run", what, study)


SAMPLES: dict[str, tuple[Sample, ...]] = {
    "SEC-01": (real("FAIL", "jvb-3"), real("PASS", "auth-ok"), nothing()),
    "SEC-02": (
        configured("FAIL", "a MUC component without restrict_room_creation", prosody=MUC),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-03": (
        real("FAIL", "jvb-3"),
        changed("PASS", "another room name", text_in("xmpp", "xml", "standup", "accuratejudgestransformrightly")),
        nothing(),
    ),
    "SEC-04": (
        real("FAIL", "jvb-3"),
        changed("PASS", "the room has a password", text_in("xmpp", "xml", "muc_unsecured", "muc_passwordprotected")),
        nothing(),
    ),
    "SEC-05": (
        changed("FAIL", "a token in the query", all_of(
            text_in("http", "target", r"(xmpp-websocket\?)", r"\1token=***&"),
            value_in("http", "token", "alg=HS256 lifetime=unlimited room=*"),
        )),
        configured("PASS", "tokens checked with public keys", prosody='VirtualHost "m"\nauthentication = "token"\n'
                   'app_id = "a"\nasap_key_server = "https://keys.example"\n'),
        nothing(),
    ),
    "SEC-06": (
        real("FAIL", "jvb-3"),
        changed("PASS", "no room in the query", text_in("http", "target", r"\?room=\w+", "")),
        nothing(),
    ),
    "SEC-07": (real("FAIL", "clear-5222"), real("PASS", "jvb-3"), nothing()),
    "SEC-08": (ran("FAIL", XMPP), real("PASS", "jvb-3"), nothing()),
    "SEC-09": (ran("FAIL", XMPP), real("PASS", "jvb-3"), nothing()),
    "SEC-10": (
        configured("FAIL", "8080 on every address, no filter", ss=socket(8080), nft=OPEN_FILTER),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-11": (
        configured("FAIL", "9090 on every address, no filter", ss=socket(9090), nft=OPEN_FILTER),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-12": (
        real("FAIL", "tls-old", with_facts=False), real("PASS", "jvb-3"),
        changed("NOT_OBSERVABLE", "no TLS", without("tls", lambda t: t["frame"].gt(0))),
    ),
    "SEC-13": (certificate(-1), certificate(60), nothing()),
    "SEC-14": (
        real("FAIL", "jvb-3"),
        configured("FAIL", "cross_domain_bosh = true", prosody=BOTH + "cross_domain_bosh = true\n"),
        configured("PASS", "Prosody 0.11 as it comes", prosody=BOTH, versions=OLD),
        configured("PASS", "nginx refuses other origins", prosody=BOTH, versions=NEW, nginx=ONE_ORIGIN),
        configured("NOT_OBSERVABLE", "Prosody of a version that is not known", prosody=BOTH),
        nothing(),
    ),
    "SEC-15": (
        Sample("FAIL", "real", "the study and its versions", study), real("PASS", "jvb-3", keys=False), nothing(),
    ),
    "SEC-16": (ran("FAIL", TURN), real("PASS", "jvb-3", with_facts=False), real("NOT_OBSERVABLE", "turn-off")),
    "SEC-17": (ran("FAIL", TURN), real("PASS", "jvb-p2p"), nothing()),
    "SEC-18": (
        real("FAIL", "turn-refused", with_facts=False), real("PASS", "jvb-3"), real("NOT_OBSERVABLE", "turn-off"),
    ),
    "SEC-19": (
        configured("FAIL", "ttl of a week", 
                   prosody='external_services = { { type = "turn", secret = true, ttl = 604800 } }\n'),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-20": (real("FAIL", "jvb-p2p", with_facts=False), real("PASS", "jvb-3"), nothing()),
    "SEC-21": (
        real("FAIL", "jvb-3"), configured("PASS", "user-quota", turn="use-auth-secret\nuser-quota=10\n"), nothing(),
    ),
    "SEC-22": (
        changed("FAIL", "a check without MESSAGE-INTEGRITY", text_in("stun", "attributes", " 0008", "")),
        real("PASS", "jvb-3"), real("NOT_OBSERVABLE", "alone"),
    ),
    "SEC-23": (
        changed("FAIL", "one password for all", value_in("jingle", "pwd", "p3ol51mudlcedsj8jpuore8he")),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-24": (real("INFO", "jvb-3"), real("NOT_APPLICABLE", "p2p-2"), real("NOT_OBSERVABLE", "alone")),
    "SEC-25": (
        real("FAIL", "jvb-p2p"),
        changed("PASS", ".local names", value_in(
            "candidates", "address", "5d1a.local", lambda t: t["type"].eq("host")), "jvb-p2p"),
        nothing(),
    ),
    "SEC-26": (
        real("FAIL", "jvb-3"),
        changed("PASS", "public candidates alone", value_in("candidates", "address", "203.0.113.10")),
        nothing(),
    ),
    "SEC-27": (
        changed("FAIL", "no answered check after the first", without(
            "stun", lambda t: t["message_class"].eq("success") & t["seconds"].gt(8)), "turn-refused-long"),
        real("PASS", "turn-refused-long"), real("NOT_OBSERVABLE", "jvb-3"),
    ),
    "SEC-28": (
        changed("FAIL", "a request without USERNAME that is answered", value_in(
            "stun", "attributes", "8022", lambda t: check_rows(t) & t["frame"].lt(480))),
        changed("PASS", "a request without USERNAME that is not answered", copied(
            "stun", check_rows, attributes="8022", transaction_id="0" * 24)),
        real("NOT_OBSERVABLE", "jvb-3"),
    ),
    "SEC-29": (
        changed("FAIL", "a TCP candidate in the offer", value_in("candidates", "protocol", "ssltcp")),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-30": (real("FAIL", "fp-munge"), real("PASS", "jvb-3"), nothing()),
    "SEC-31": (
        changed("FAIL", "SHA-1 alone", value_in("jingle", "fingerprint_hash", "sha-1")),
        real("PASS", "jvb-3"), nothing(),
    ),
    "SEC-32": (
        ran("FAIL", "OpenSSL speaking DTLS 1.0, captured (tests/test_servers.py)"),
        real("PASS", "jvb-3"), real("NOT_OBSERVABLE", "alone"),
    ),
    "SEC-33": (
        changed("FAIL", "no check answered before the handshakes", without(
            "stun", lambda t: t["message_class"].eq("success") & t["seconds"].lt(9))),
        changed("PASS", "a cookie was asked for", copied(
            "dtls", lambda t: t["handshake_type"].eq("server_hello"), handshake_type="hello_verify_request")),
        real("NOT_OBSERVABLE", "alone"),
    ),
    "SEC-34": (
        changed("FAIL", "a ClientHello inside a session", copied(
            "dtls", lambda t: t["handshake_type"].eq("client_hello"), epoch=1)),
        real("PASS", "jvb-3"), real("NOT_OBSERVABLE", "alone"),
    ),
    "SEC-35": (
        changed("FAIL", "source descriptions in clear", all_of(
            value_in("rtcp", "packet_type", 202), value_in("rtcp", "encrypted", False),
            value_in("rtcp", "text", "a name"))),
        real("PASS", "jvb-3"), real("NOT_OBSERVABLE", "alone"),
    ),
    "SEC-36": (
        changed("FAIL", "somebody turned it on, jitsi-meet 2.0.5076", ENCRYPTED, versions="jitsi-meet 2.0.5076-1"),
        changed("PASS", "somebody turned it on, jitsi-meet 2.0.9457", ENCRYPTED, versions="jitsi-meet 2.0.9457-1"),
        changed("INFO", "somebody turned it on", ENCRYPTED),
        real("NOT_APPLICABLE", "jvb-3"), nothing(),
    ),
    "SEC-37": (
        real("FAIL", "jvb-3"),
        changed("PASS", "no statistics ids", text_in("xmpp", "xml", r"<stats-id>[^<]*</stats-id>", "")), nothing(),
    ),
    "SEC-38": (
        real("FAIL", "jvb-3"),
        changed("PASS", "no password in the URL", text_in("http", "target", r"\?pwd=\*\*\*", "")), nothing(),
    ),
    "SEC-39": (
        real("FAIL", "clear-5222"), real("PASS", "jvb-3", keys=False),
        Sample("NOT_OBSERVABLE", "real", "the study: tables, no packets", study),
    ),
    "SEC-40": (Sample("FAIL", "real", "the study's published tables", study), real("INFO", "jvb-3")),
    "SEC-41": (
        configured("FAIL", "Google's STUN server", 
                   web="config.p2p = { stunServers: [ { urls: 'stun:stun.l.google.com:19302' } ] };"),
        real("PASS", "jvb-3"), nothing(),
    ),
}  # fmt: skip


def deny(allowed: str = "") -> str:
    """A turnserver.conf that denies what leads inside."""
    return DENY + allowed
