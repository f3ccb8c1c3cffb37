"""Whole deployments: what may be said of files that are moved, broken, missing, not enabled, or in containers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from audit_samples import changed, recorded_facts
from cryptography import x509 as lib
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_findings import result_of

from jitsilab import facts
from jitsilab.facts import Facts, Given, services
from jitsilab.facts.deployment import Deployment
from jitsilab.judge import findings

MAIN = """pidfile = "/run/prosody/prosody.pid"
modules_disabled = { "s2s" }
component_ports = {}
c2s_interfaces = { "127.0.0.1" }
http_interfaces = { "127.0.0.1" }
Include "conf.d/*.cfg.lua"
"""
MEET = """VirtualHost "meet.example"
    authentication = "jitsi-anonymous"
    c2s_require_encryption = false
    modules_enabled = { "bosh"; "websocket" }
VirtualHost "auth.meet.example"
    authentication = "internal_hashed"
Component "conference.meet.example" "muc"
    restrict_room_creation = true
"""
JVB = 'videobridge {\n  http-servers { private { host = "127.0.0.1" } }\n}\n'
OPEN = "table inet f { chain input { type filter hook input priority 0; policy accept; }\n}\n"
SHUT = "table inet f {\n chain input { type filter hook input priority 0; policy drop; tcp dport 443 accept; }\n}\n"


def socket(port: int, address: str = "0.0.0.0", process: str = "java", pid: int = 7, kind: str = "tcp LISTEN") -> str:
    return f'{kind} 0 128 {address}:{port} 0.0.0.0:* users:(("{process}",pid={pid},fd=9))\n'


def deployment(**files: str) -> Facts:
    """Files by name; ``__`` stands for a slash, ``_`` for a dot where there is none."""
    names = {"prosody": "etc/prosody/prosody.cfg.lua", "meet": "etc/prosody/conf.d/meet.cfg.lua", "jvb": "jvb.conf",
             "jicofo": "jicofo.conf", "ss": "ss-lntup.txt", "nft": "nftables.txt", "versions": "versions.txt",
             "compose": "docker-compose.yml", "env": ".env", "properties": "sip-communicator.properties",
             "nginx": "nginx.conf", "turn": "turnserver.conf", "addr": "ip-addr.txt"}  # fmt: skip
    return facts.load(*(Given(names.get(name, name), text.encode()) for name, text in files.items()))


def results(given: Facts, *checks: str) -> list[str]:
    return [result_of(check, None, given)[0] for check in checks]


# Ports


def test_ports_are_those_of_the_files() -> None:
    sockets = socket(6222, process="lua5.4") + socket(6269, process="lua5.4") + socket(18080) + socket(19090)
    moved = MAIN.replace('{ "s2s" }', "{}").replace('"127.0.0.1"', '"*"') + "c2s_ports = { 6222 }\ns2s_ports = 6269\n"
    jvb = "videobridge.http-servers { private { port = 18080, host = 0.0.0.0 }, public { port = 19090 } }"
    seen = deployment(prosody=moved, meet=MEET, jvb=jvb, ss=sockets, nft=OPEN)
    assert results(seen, "SEC-07", "SEC-09", "SEC-10", "SEC-11") == ["FAIL"] * 4
    shut = deployment(prosody=moved, meet=MEET, jvb=jvb, ss=sockets, nft=SHUT, jicofo="jicofo.rest.enabled = false")
    assert results(shut, "SEC-07", "SEC-09", "SEC-10", "SEC-11") == ["PASS"] * 4


def test_a_port_that_is_computed_is_not_known() -> None:
    seen = deployment(prosody=MAIN.replace('{ "s2s" }', "{}") + "s2s_ports = { os.getenv('PORT') }\n", meet=MEET)
    assert results(seen, "SEC-09") == ["NOT_OBSERVABLE"]
    assert "s2s" in services.listening(seen, "s2s").why or "ports" in services.listening(seen, "s2s").why
    jvb = deployment(jvb="videobridge.http-servers.private { port = ${?PORT}, host = 0.0.0.0 }", nft=OPEN)
    assert results(jvb, "SEC-10") == ["NOT_OBSERVABLE"]


@pytest.mark.parametrize(
    ("versions", "result"),  # jitsi-videobridge 2.1-294 and jicofo 1.0-1138 bind to loopback where nothing is said
    [
        ("jitsi-videobridge2 2.3-209-gb2d6c3fc-1\njicofo 1.0-1140-1\n", "PASS"),
        ("jitsi-videobridge2 2.1-202-g5f9377b3-1\njicofo 1.0-1140-1\n", "FAIL"),
        ("jitsi-videobridge2 2.3-209-gb2d6c3fc-1\njicofo 1.0-1090-1\n", "FAIL"),
        ("prosody 0.12.3\n", "NOT_OBSERVABLE"),
    ],
)  # fmt: skip
def test_a_default_is_that_of_the_version(versions: str, result: str) -> None:
    seen = deployment(jvb="videobridge.ice.udp.port = 10000", jicofo="jicofo {}", versions=versions)
    assert results(seen, "SEC-10") == [result]


def test_old_properties_come_before_the_new_file() -> None:
    text = "# old\norg.jitsi.videobridge.SINGLE_PORT_HARVESTER_PORT=20000\n"
    text += "org.jitsi.videobridge.rest.private.jetty.host : 0.0.0.0\n"
    text += "org.jitsi.videobridge.rest.private.jetty.port=8\\\n  081\n"
    text += "org.ice4j.ice.harvest.NAT_HARVESTER_LOCAL_ADDRESS=10.0.0.5\n"
    text += "org.ice4j.ice.harvest.NAT_HARVESTER_PUBLIC_ADDRESS=203.0.113.5\n"
    seen = deployment(jvb=JVB + "videobridge.ice.udp.port = 10000\n", properties=text, nft=OPEN)
    assert results(seen, "SEC-10") == ["FAIL"]
    assert [(one.value, one.place) for one in seen.deployment.bridge_ports()] == [
        (20000, "sip-communicator.properties:2")
    ]
    assert services.listening(seen, "private").endpoints[0].port == 8081
    (mapping,) = seen.deployment.mappings()
    assert (mapping.local.value, mapping.public.value, mapping.public.place) == (
        "10.0.0.5", "203.0.113.5", "sip-communicator.properties:7",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "result"), [("=true", "PASS"), ("=false", "FAIL"), (" = perhaps", "PASS")]
)  # fmt: skip
def test_an_old_bridge_offers_tcp_unless_its_properties_say_otherwise(line: str, result: str) -> None:
    text = f"org.jitsi.videobridge.DISABLE_TCP_HARVESTER{line}\n"
    seen = deployment(jvb=JVB, properties=text, versions="ii  jitsi-videobridge2  2.1-100-1\n")
    assert results(seen, "SEC-29") == [result]


def test_the_private_interface_is_found_by_its_process() -> None:
    """Nothing listens on the port that the file has; the bridge's process has another one open."""
    sockets = socket(10000, kind="udp UNCONN") + socket(9091) + socket(8090)
    jvb = "videobridge.http-servers { public { port = 9091 }, private { host = 0.0.0.0 } }"
    seen = deployment(jvb=jvb, ss=sockets, nft=OPEN)
    assert results(seen, "SEC-10") == ["FAIL"]
    assert services.listening(seen, "private").endpoints[0].port == 8090


# Files


def test_a_broken_file_is_named_and_nothing_of_it_is_judged() -> None:
    seen = deployment(jvb=JVB + "cc { trust-bwe = ")
    assert results(seen, "SEC-10", "SEC-11", "SEC-29") == ["NOT_OBSERVABLE"] * 3
    assert [(one.path, one.note) for one in seen.inputs] == [("jvb.conf", "not readable as HOCON")]
    assert "jvb.conf cannot be read" in result_of("SEC-11", None, seen)[1].note
    prosody = deployment(prosody=MAIN + "x = = 1\n", meet=MEET.replace("jitsi-anonymous", "token"))
    assert results(prosody, "SEC-01", "SEC-14") == ["NOT_OBSERVABLE"] * 2


BOSH = MEET.replace('; "websocket"', "")
OVERRIDE = 'http_cors_override = { bosh = { enabled = true, origins = { "https://other.example" } } }\n'
ANY = 'http_cors_override = { bosh = { enabled = true, origins = "*" } }\n'
OFF = "http_cors_override = { bosh = { enabled = false }, websocket = { enabled = false } }\n"
LISTED = 'access_control_allow_origins = { "https://other.example" }\n'


@pytest.mark.parametrize(
    ("version", "lines", "meet", "result"),
    [
        ("0.11.13-1", "", MEET, "PASS"),
        ("0.11.13-1", 'cross_domain_bosh = { "https://other.example" }\n', MEET, "PASS"),
        ("0.11.13-1", 'cross_domain_bosh = { "*" }\n', MEET, "FAIL"),
        ("0.11.13-1", "cross_domain_websocket = true\n", MEET, "FAIL"),
        ("0.11.13-1", "cross_domain_bosh = os.getenv('X')\n", BOSH, "NOT_OBSERVABLE"),
        ("0.12.0-1", "cross_domain_bosh = false\n", BOSH, "FAIL"),
        ("0.12.0-1", OFF, BOSH, "FAIL"),  # knows no override yet
        ("0.12.3-1+deb12u1", OFF, BOSH, "PASS"),
        ("0.12.3-1+deb12u1", OFF, MEET, "FAIL"),  # mod_websocket asks for no Origin
        ("0.12.3-1+deb12u1", OVERRIDE, BOSH, "PASS"),
        ("0.12.3-1+deb12u1", ANY, BOSH, "FAIL"),
        ("0.12.3-1+deb12u1", "http_default_cors_enabled = false\n", BOSH, "FAIL"),  # mod_bosh asks for it by itself
        ("0.12.3-1+deb12u1", "http_cors_override = f()\n", BOSH, "NOT_OBSERVABLE"),
        ("0.12.3-1+deb12u1", LISTED, BOSH, "FAIL"),  # without effect before 0.12.4
        ("1:13.0.2-1~bpo12+1", LISTED, BOSH, "PASS"),
        ("1:13.0.2-1~bpo12+1", LISTED, MEET, "FAIL"),
        ("1nightly1950-1", "", MEET, "NOT_OBSERVABLE"),
        ("", "cross_domain_bosh = false\n", MEET, "NOT_OBSERVABLE"),
        ("", "cross_domain_bosh = true\n", MEET, "FAIL"),
        ("", "", MEET.replace('"bosh"; "websocket"', ""), "PASS"),
    ],
)  # fmt: skip
def test_whom_a_version_of_prosody_lets_in(version: str, lines: str, meet: str, result: str) -> None:
    seen = deployment(prosody=lines + MAIN, meet=meet, versions=f"prosody {version}\n" if version else "nginx 1.22\n")
    assert results(seen, "SEC-14") == [result], result_of("SEC-14", None, seen)[1]


@pytest.mark.parametrize(
    ("test", "result"),
    [
        ('if ($http_origin != "https://meet.example") { return 403; }', "PASS"),
        ('if ($http_origin !~ "^(https://meet[.]example)?$") { return 403; }', "PASS"),
        ('if ($http_origin !~ "meet[.]example") { return 403; }', "NOT_OBSERVABLE"),  # evil.example/?meet.example
        ('if ($http_origin !~ "^https://.*$") { return 403; }', "NOT_OBSERVABLE"),
        ('if ($http_origin = "https://meet.example") { return 403; }', "NOT_OBSERVABLE"),
        ("proxy_hide_header Access-Control-Allow-Origin;", "NOT_OBSERVABLE"),
        ("add_header Access-Control-Allow-Origin *;", "FAIL"),
        ("", "FAIL"),
    ],
)
def test_what_nginx_says_before_prosody_does(test: str, result: str) -> None:
    paths = [
        f"location = /{one} {{ {test} proxy_pass http://127.0.0.1:5280; }}" for one in ("http-bind", "xmpp-websocket")
    ]
    seen = deployment(prosody=MAIN, meet=MEET, versions="prosody 0.12.3-1\n", nginx=f"server {{ {' '.join(paths)} }}\n")
    assert results(seen, "SEC-14") == [result], result_of("SEC-14", None, seen)[1]
    one = deployment(prosody=MAIN, meet=MEET, versions="prosody 0.12.3-1\n", nginx=f"server {{ {paths[0]} }}\n")
    assert results(one, "SEC-14") != ["PASS"]


def test_without_the_main_file_nothing_tells_what_it_would() -> None:
    seen = deployment(meet=MEET)
    assert results(seen, "SEC-09", "SEC-14", "SEC-07") == ["NOT_OBSERVABLE"] * 3
    whole = deployment(prosody=MAIN, meet=MEET, versions="prosody 0.11.13-1\n")
    assert results(whole, "SEC-09", "SEC-14", "SEC-07", "SEC-08") == ["PASS"] * 4
    alone = deployment(prosody=MAIN)  # what it includes is not here
    assert results(alone, "SEC-14") == ["NOT_OBSERVABLE"]
    assert any("conf.d" in problem.message for problem in alone.problems)


def test_what_is_not_enabled_is_not_judged() -> None:
    given = {"etc/prosody/conf.avail/old.cfg.lua": 'VirtualHost "old"\n authentication = "anonymous"\n',
             "etc/prosody/conf.d/old.cfg.lua.bak": 'VirtualHost "bak"\n authentication = "anonymous"\n'}  # fmt: skip
    closed = MEET.replace("jitsi-anonymous", "internal_hashed")
    seen = deployment(prosody=MAIN, meet=closed, **given)
    assert results(seen, "SEC-01") == ["PASS"]
    off = deployment(prosody=MAIN, meet=closed + 'VirtualHost "off"\n enabled = false\n authentication = "anonymous"\n')
    assert results(off, "SEC-01") == ["PASS"]


def test_guests_need_the_focus_file_to_be_judged() -> None:
    guests = MEET.replace("jitsi-anonymous", "internal_hashed")
    guests += 'VirtualHost "guest.meet.example"\n authentication = "jitsi-anonymous"\n'
    assert results(deployment(prosody=MAIN, meet=guests), "SEC-01") == ["NOT_OBSERVABLE"]
    closed = deployment(prosody=MAIN, meet=guests, jicofo="jicofo.authentication.enabled = true")
    assert results(closed, "SEC-01") == ["PASS"]
    assert results(deployment(prosody=MAIN, meet=guests, jicofo="jicofo {}"), "SEC-01") == ["FAIL"]


def test_settings_of_nginx_are_inherited_and_overridden() -> None:
    site = "http { ssl_protocols TLSv1 TLSv1.2;\n server { listen 443 ssl; ssl_protocols TLSv1.2; }\n}\n"
    assert results(deployment(nginx=site), "SEC-12") == ["PASS"]
    assert results(deployment(nginx=site + "http { server { listen 8443 ssl; } ssl_protocols TLSv1; }"), "SEC-12") == [
        "FAIL"
    ]
    bare = "http { server { listen 443 ssl; include /etc/letsencrypt/options-ssl-nginx.conf; } }"
    assert results(deployment(nginx=bare), "SEC-12") == ["NOT_OBSERVABLE"]
    assert any("options-ssl-nginx.conf" in problem.message for problem in deployment(nginx=bare).problems)


@pytest.mark.parametrize(
    ("protocols", "result"),
    [("all -SSLv3", "FAIL"), ("all -SSLv3 -TLSv1 -TLSv1.1", "PASS"), ("-all +TLSv1.2 +TLSv1.3", "PASS"),
     ("TLSv1.2", "PASS"), ("+TLSv1", "FAIL")],
)  # fmt: skip
def test_settings_of_apache(protocols: str, result: str) -> None:
    text = f"SSLProtocol TLSv1\n<VirtualHost *:443>\n  SSLEngine on\n  SSLProtocol {protocols}\n"
    text += '  ProxyPass "/xmpp-websocket" "ws://127.0.0.1:5280/xmpp-websocket"\n</VirtualHost>\n'
    seen = deployment(**{"sites-enabled/meet.conf": text})
    assert results(seen, "SEC-12") == [result]
    (location,) = seen.deployment.locations("/xmpp-websocket")
    assert (location.host, location.port, location.upgrade, location.program) == ("127.0.0.1", 5280, True, "apache")


def test_a_snippet_for_tls_servers_is_enough() -> None:
    text = (
        "ssl_certificate /config/keys/cert.crt;\nssl_certificate_key /config/keys/cert.key;\nssl_protocols TLSv1.2;\n"
    )
    assert results(deployment(**{"web/nginx/ssl.conf": text}), "SEC-12") == ["PASS"]
    assert results(deployment(**{"web/nginx/ssl.conf": text.replace(".2", "")}), "SEC-12") == ["FAIL"]
    assert results(deployment(prosody=MAIN + 'ssl = { protocol = "tlsv1_2+" }\n'), "SEC-12") == ["NOT_OBSERVABLE"]


def self_signed(name: str, *, authority: bool, alternative: bool) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = lib.Name([lib.NameAttribute(lib.NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = lib.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(begin).not_valid_after(begin + timedelta(days=90))
    made = made.add_extension(lib.BasicConstraints(ca=authority, path_length=None), critical=True)
    if alternative:
        made = made.add_extension(lib.SubjectAlternativeName([lib.DNSName(name)]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_self_made_certificate_that_calls_itself_an_authority_is_judged() -> None:
    """openssl req -x509 makes such: CA:TRUE, and the server's own name."""
    site = b"server { listen 443 ssl; server_name meet.example; ssl_certificate /etc/ssl/meet.crt; }"
    own = Given("meet.crt", self_signed("meet.example", authority=True, alternative=True))
    outcome = result_of("SEC-13", None, facts.load(own, Given("meet.example.conf", site)))
    assert (outcome[0], "self-signed" in outcome[1].note) == ("FAIL", True)
    alone = result_of("SEC-13", None, facts.load(own, Given("prosody.cfg.lua", MEET.encode())))
    assert alone[0] == "FAIL"
    authority = Given("ca.crt", self_signed("An authority", authority=True, alternative=False))
    assert result_of("SEC-13", None, facts.load(authority))[0] == "NOT_OBSERVABLE"


def test_tls_of_strangers_is_not_the_deployments() -> None:
    """The server, or somebody on its wire, also talks to others, who speak as they like."""

    def with_a_stranger(tables: dict[str, Any]) -> None:
        flows, tls = tables["flows"], tables["tls"]
        hello = tls[tls["handshake"].fillna("").astype(str).str.contains("server_hello")].head(1)
        flow = flows[flows["flow"].eq(hello["flow"].iloc[0])].assign(flow=99_999, server="192.0.2.99")
        tables["flows"] = pd.concat([flows, flow.astype(flows.dtypes)], ignore_index=True)
        old = hello.assign(flow=99_999, version="TLS 1.0").astype(tls.dtypes)
        tables["tls"] = pd.concat([tls, old], ignore_index=True)

    call, _ = changed("PASS", "a stranger's old TLS", with_a_stranger).build()
    assert result_of("SEC-12", call, None)[0] == "PASS"
    assert result_of("SEC-12", call, recorded_facts("jvb-3"))[0] == "PASS"


def test_a_filter_that_was_asked_and_is_empty_lets_all_in() -> None:
    index = "taken: facts/ss-lntup.txt <- ss -lntup (10 bytes)\nempty: nft list ruleset\n"
    seen = deployment(jvb="videobridge.http-servers.private.host = 0.0.0.0", **{"index.txt": index})
    result, outcome = result_of("SEC-10", None, seen)
    assert (result, outcome.certainty.value, outcome.places[-1]) == ("FAIL", "measured", "index.txt:2")
    counted = "*filter\n:INPUT DROP [5:300]\n[12:720] -A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT\nCOMMIT\n"
    assert deployment(**{"iptables-save.txt": counted}).firewall.way("tcp", 8080).open is True  # type: ignore[union-attr]


# Containers

SERVICES = """services:
  web:
    image: jitsi/web:stable
    ports: ['${HTTPS_PORT}:443']
  prosody:
    image: jitsi/prosody:stable
    expose: ['5222']
    environment: [ENABLE_AUTH, ENABLE_GUESTS, AUTH_TYPE, JWT_ALLOW_EMPTY, XMPP_PORT]
  jicofo:
    image: jitsi/jicofo:stable
    ports: ['127.0.0.1:${JICOFO_REST_PORT:-8888}:8888']
  jvb:
    image: jitsi/jvb:stable
    ports:
      - '${JVB_PORT:-10000}:${JVB_PORT:-10000}/udp'
      - '127.0.0.1:${JVB_COLIBRI_PORT:-8080}:8080'
    environment: [JVB_PORT, JVB_ADVERTISE_IPS, DOCKER_HOST_ADDRESS]
"""
VARIABLES = "HTTPS_PORT=443\nJVB_ADVERTISE_IPS=203.0.113.5,10.0.0.4#20000\nPUBLIC_URL=https://meet.example:443\n"


def test_what_a_container_listens_on_is_not_what_the_host_does() -> None:
    inside = 'videobridge { http-servers.private.host = 0.0.0.0 }\ninclude "custom-jvb.conf"\n'
    seen = deployment(compose=SERVICES, env=VARIABLES, jvb=inside)
    assert results(seen, "SEC-07", "SEC-08", "SEC-09", "SEC-10", "SEC-11") == ["PASS"] * 5
    wide = SERVICES.replace("127.0.0.1:${JVB_COLIBRI", "${JVB_COLIBRI").replace(
        "expose: ['5222']", "ports: ['5222:5222']"
    )
    assert results(deployment(compose=wide, env=VARIABLES, nft=OPEN), "SEC-10") == ["FAIL"]
    let_in = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    group = json.dumps({"SecurityGroups": [{"IpPermissions": [let_in]}]})
    assert results(deployment(compose=wide, env=VARIABLES, **{"security-group.json": group}), "SEC-10") == ["PASS"]
    host = SERVICES.replace("image: jitsi/jvb:stable", "image: jitsi/jvb:stable\n    network_mode: host")
    assert results(deployment(compose=host, env=VARIABLES, jvb=inside, nft=OPEN), "SEC-10") == ["FAIL"]


def test_without_the_variables_what_is_published_is_not_known() -> None:
    wide = SERVICES.replace("127.0.0.1:${JVB_COLIBRI_PORT:-8080}", "${JVB_COLIBRI_PORT:-8080}")
    assert results(deployment(compose=wide), "SEC-10") == ["NOT_OBSERVABLE"]
    rendered = MAIN.replace('Include "conf.d/*.cfg.lua"', 'data_path = "/run/prosody/data"')
    assert results(deployment(prosody=rendered), "SEC-07") == ["NOT_OBSERVABLE"]
    listed = "CONTAINER ID   IMAGE          PORTS\nabc   jitsi/prosody:stable   5222/tcp, 0.0.0.0:5347->5347/tcp\n"
    inside = rendered.replace("component_ports = {}", "")
    seen = deployment(prosody=inside, **{"docker-ps.txt": listed}, nft=OPEN)
    assert results(seen, "SEC-08", "SEC-07") == ["PASS", "PASS"]  # no component: Prosody does not open the port
    inside += 'Component "focus.meet.example"\n'
    assert results(deployment(prosody=inside, **{"docker-ps.txt": listed}, nft=OPEN), "SEC-08") == ["FAIL"]


@pytest.mark.parametrize(
    ("variables", "result"),
    [("", "FAIL"), ("ENABLE_AUTH=0\n", "FAIL"), ("ENABLE_AUTH=1\nAUTH_TYPE=internal\n", "PASS"),
     ("ENABLE_AUTH=1\nENABLE_GUESTS=1\n", "PASS"), ("ENABLE_AUTH=true\nAUTH_TYPE=jwt\nJWT_ALLOW_EMPTY=1\n", "FAIL"),
     ("ENABLE_AUTH=1\nAUTH_TYPE=jwt\n", "PASS"), ("ENABLE_AUTH=$WHO\n", "NOT_OBSERVABLE")],
)  # fmt: skip
def test_who_may_open_rooms_in_containers(variables: str, result: str) -> None:
    assert results(deployment(compose=SERVICES, env=VARIABLES + variables), "SEC-01") == [result]


def test_values_of_containers_have_their_places() -> None:
    seen = deployment(compose=SERVICES, env=VARIABLES).deployment
    assert [(one.value, one.place) for one in seen.bridge_ports()] == [(10000, "docker-compose.yml:15")]
    shown = [(one.public.value, one.public_port and one.public_port.value, one.public.place) for one in seen.mappings()]
    assert shown == [("203.0.113.5", None, ".env:2"), ("10.0.0.4", 20000, ".env:2")]
    assert (seen.domain().value, seen.domain().place) == ("meet.example", ".env:3")
    span = seen.span(seen.mappings()[0].public)
    assert span is not None
    assert VARIABLES.splitlines()[span.line - 1][span.start : span.end] == "203.0.113.5"


# Values


def test_values_are_of_kinds() -> None:
    from jitsilab.facts import values

    text = "var config = { websocket: 'wss://meet.example/xmpp-websocket', hosts: { domain: 'meet.example' } };\n"
    kinds = {(one.value, one.kind) for one in values.every(deployment(**{"config.js": text}))}
    assert {("wss://meet.example/xmpp-websocket", "url"), ("meet.example", "name")} <= kinds


def test_what_coturn_is_told_and_listens_on() -> None:
    text = "external-ip=203.0.113.5/10.0.0.5\ndenied-peer-ip=10.0.0.0-10.255.255.255\nlistening-port=3478\n"
    seen = deployment(turn=text, ss=socket(3478, process="turnserver") + socket(443, process="nginx")).deployment
    assert [(one.value, one.place) for one in seen.turn_external()] == [("203.0.113.5/10.0.0.5", "turnserver.conf:1")]
    assert [one.value for one in seen.turn_peers("denied-peer-ip")] == ["10.0.0.0-10.255.255.255"]
    assert seen.turn_peers("allowed-peer-ip") == []
    assert [one.port for one in seen.turn_sockets()] == [3478]
    alone = deployment(jvb=JVB).deployment
    assert (alone.turn_external(), alone.turn_peers("denied-peer-ip"), alone.turn_sockets()) == ([], [], [])


def test_whom_the_bridge_asks_for_its_address() -> None:
    jvb = 'ice4j.harvest.mapping.stun.addresses = [ "stun.example:3478" ]\n'
    old = "org.ice4j.ice.harvest.STUN_MAPPING_HARVESTER_ADDRESSES=a.example:3478, b.example:443\n"
    seen = deployment(jvb=jvb, properties=old).deployment
    assert [one.value for one in seen.stun_servers()] == ["stun.example:3478", "a.example:3478", "b.example:443"]
    assert deployment(turn="no-auth\n").deployment.stun_servers() == []


def test_what_prosody_does_not_serve_does_not_listen() -> None:
    off = deployment(prosody='pidfile = "/run/p"\nmodules_disabled = { "c2s", "http" }\n')
    there = services.listening(off, "c2s")
    assert (there.known, there.endpoints, there.places) == (True, (), ("etc/prosody/prosody.cfg.lua:2",))
    assert services.listening(off, "http").endpoints != ()


@pytest.mark.parametrize(
    ("way", "result"), [("token", "NOT_OBSERVABLE"), ("internal_hashed", "FAIL"), ("jitsi-anonymous", "FAIL")]
)  # fmt: skip
def test_guests_beside_a_host_for_tokens(way: str, result: str) -> None:
    hosts = 'VirtualHost "a"\n  authentication = "jitsi-anonymous"\n  modules_enabled = { "bosh" }\n'
    hosts += f'VirtualHost "b"\n  authentication = "{way}"\n'
    assert results(deployment(prosody=f'pidfile = "/run/p"\n{hosts}'), "SEC-01") == [result]


def test_an_option_is_the_host_s_own_else_the_global_one() -> None:
    main = 'c2s_timeout = 5\nVirtualHost "a"\n  c2s_timeout = 7\nVirtualHost "b"\nComponent "c" "muc"\n'
    seen = deployment(prosody=main).deployment
    said = {host: getattr(seen.option(host, "c2s_timeout"), "value", None) for host in ("a", "b", "c", "nowhere")}
    assert said == {"a": 7, "b": 5, "c": 5, "nowhere": None}
    assert deployment(jvb=JVB).deployment.option("a", "c2s_timeout") is None


def test_the_global_modules_are_those_of_virtual_hosts() -> None:
    main = 'modules_enabled = { "x" }\nVirtualHost "a"\n  modules_enabled = { "y" }\nComponent "c" "muc"\n'
    main += '  modules_enabled = { "z" }\nComponent "d" "muc"\n  load_global_modules = true\n'
    hosts = {one.name.value: set(one.modules) for one in deployment(prosody=main).deployment.prosody_hosts()}
    assert hosts == {"a": {"x", "y"}, "c": {"z"}, "d": {"x"}}


def test_the_columns_of_a_value_are_where_it_stands() -> None:
    text = "videobridge {\n  ice.udp.port = 10000\n"
    text += '  apis.xmpp-client.configs.a { HOSTNAME = "10.0.0.9", PASSWORD = "hush" }\n}\n'
    seen = deployment(jvb=text).deployment
    (login,) = seen.bridge_logins()
    lines = text.splitlines()
    for value, written in ((login.server, "10.0.0.9"), (seen.bridge_ports()[0], "10000"), (login.password, "hush")):
        span = seen.span(value)
        assert span is not None
        assert lines[span.line - 1][span.start : span.end] == written
    assert "hush" not in repr(login)
    kinds = {(str(one.value), one.kind) for one in seen.values()}
    assert {("10.0.0.9", "address"), ("10000", "port"), ("(a secret)", "secret")} <= kinds


def test_every_value_of_a_recording_can_be_found_again(recording: Any) -> None:
    seen = Deployment(facts.load(recording("jvb-3") / "facts"))
    wanted = {"address", "name", "jid", "port", "secret"}
    lost = [one for one in seen.values() if one.kind in wanted and seen.span(one) is None]
    assert lost == []


@pytest.mark.parametrize("name", ["udp-closed", "udp-outbound", "world-ok", "udp-snat", "udp-inbound-turn"])
def test_udp_at_the_filter_of_a_recording(name: str, recording: Any) -> None:
    try:
        folder = recording(name) / "facts"
    except Exception:  # a recording that is not part of the project
        pytest.skip(f"{name} is not in data/captures")
    seen = facts.load(folder).deployment
    inward, outward = seen.udp_let_in().answer, seen.udp_let_out().answer
    assert inward is (name not in ("udp-closed", "udp-inbound-turn"))
    assert outward is (name != "udp-outbound")


def test_no_pass_comes_without_a_place() -> None:
    for given in (
        deployment(prosody=MAIN, meet=MEET, jvb=JVB), deployment(compose=SERVICES, env=VARIABLES),
        deployment(meet=MEET), deployment(turn="use-auth-secret\nrealm=x\n"), deployment(jvb=JVB, ss=socket(8080)),
    ):  # fmt: skip
        for one in findings.audit(None, given):
            assert one.result != "PASS" or one.places, (one.id, one.evidence)
