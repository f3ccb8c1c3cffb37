"""Readers of configuration against the programs that read it: Prosody, nginx, and compose's documented cases."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jitsilab import facts
from jitsilab.errors import Problem
from jitsilab.facts import prosody
from jitsilab.facts.compose import Compose
from jitsilab.facts.compose import parse as read_compose
from jitsilab.facts.model import hide
from jitsilab.facts.settings import Settings, interpolate, read_env

CONFIGMANAGER = Path("/usr/lib/prosody/core/configmanager.lua")
HERE = Path(__file__).resolve().parent

LUA = {
    "meet.cfg.lua": """
plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }
local domain, port = "Meet.Example", 5000 + 222
c2s_ports = { port, 5223 }
c2s_interfaces = { "127.0.0.1", "::1" }
muc_mapper_domain_base = domain;
s2s_secure_auth = not true
names = { ["a b"] = 1, c = { d = [[long
text]] } }
list = { "first", "second" }
VirtualHost(domain)
    authentication = "token"
    app_id = "x" .. 1
    allow_empty_token = false
    modules_enabled = { "bosh"; "websocket"; }
VirtualHost "guest.meet.example" { authentication = "jitsi-anonymous", c2s_require_encryption = false }
Component "conference.meet.example" "muc"
    restrict_room_creation = true
    storage = "memory"
Component "focus.meet.example" "client_proxy"
    target_address = "focus@auth.meet.example"
""",
}


def as_lua(value: Any) -> Any:
    """A value as Lua and JSON have it: keys are texts, an empty table is a list or none."""
    if isinstance(value, dict):
        return {str(key): as_lua(one) for key, one in value.items()} or []
    return [as_lua(one) for one in value] if isinstance(value, list) else value


@pytest.mark.tool("lua5.4")
@pytest.mark.skipif(not CONFIGMANAGER.exists(), reason="Prosody is not installed")
@pytest.mark.parametrize("source", [*LUA, "recording jvb-3", "recording auth-ok", "recording clear-5222"])
def test_prosody_reads_its_file_as_we_do(source: str, tmp_path: Path, recording: Any) -> None:
    if source in LUA:
        path = tmp_path / source
        path.write_text(LUA[source])
    else:
        path = recording(source.removeprefix("recording ")) / "facts" / "prosody.cfg.lua"
    done = subprocess.run(["lua5.4", HERE / "prosody_config.lua", path], capture_output=True, text=True, check=True)
    real = json.loads(done.stdout)
    server, problems = prosody.Prosody(), list[Problem]()
    prosody.parse(path.read_text(), path.name, server, problems)
    assert problems == []
    assert {host.name for host in server.hosts} == set(real)
    for host in server.hosts:
        ours = {key: as_lua(fact.value) for key, fact in host.options.items()}
        theirs = {key: as_lua(hide(key, value)) for key, value in real[host.name].items()}
        for key in set(theirs) - {"defined", "component_module", "load_global_modules"}:
            assert ours[key] == theirs[key], (host.name, key)


NGINX = {
    "nginx.conf": "events {}\nhttp {\n  ssl_protocols TLSv1.2 TLSv1.3;\n  access_log off;\n"
    "  proxy_set_header Host $host;\n  include conf.d/*.conf;\n  include sites-enabled/*;\n}\n",
    "conf.d/map.conf": "map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n",
    "sites-enabled/meet": "server {\n  listen 127.0.0.1:8443 ssl;\n  server_name meet.example;\n"
    "  include snippets/tls.conf;\n"
    "  location = /xmpp-websocket { proxy_pass http://127.0.0.1:5280; include snippets/ws.conf; }\n"
    "  location /http-bind { proxy_pass http://127.0.0.1:5280; }\n}\n",
    "sites-enabled/old": "server {\n  listen 127.0.0.1:8444 ssl;\n  server_name old.example;\n"
    "  ssl_protocols TLSv1 TLSv1.1;\n  include snippets/tls.conf;\n}\n",
    "snippets/tls.conf": "ssl_certificate cert.pem;\nssl_certificate_key cert.pem;\n",
    "snippets/ws.conf": "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n"
    "proxy_set_header Connection $connection_upgrade;\n",
    "sites-available/unused": "server { listen 8445 ssl; ssl_protocols SSLv3; }\n",
}


def effective(seen: facts.Facts) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Each TLS server by its name: the versions in force, and whether it hands WebSockets on."""
    assert seen.nginx is not None
    found = {}
    for server in seen.nginx.tls_servers():
        name = str(server.child("server_name").args[0])  # type: ignore[union-attr]
        versions = server.inherited("ssl_protocols")
        places = [one for one in seen.deployment.locations("/xmpp-websocket") if name in one.server_names]
        found[name] = (tuple(versions.args) if versions else (), any(one.upgrade for one in places))
    return found


@pytest.mark.tool("nginx", "openssl")
def test_nginx_prints_what_we_put_together(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    for name, text in NGINX.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=meet.example"]
    pem = folder / "cert.pem"
    subprocess.run(["openssl", *made, "-keyout", pem, "-out", tmp_path / "c"], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "c").read_bytes())
    command = ["nginx", "-T", "-p", folder, "-c", "nginx.conf", "-e", tmp_path / "error.log"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "configuration file" in done.stdout, done.stderr
    dumped = tmp_path / "dumped"
    dumped.mkdir()
    (dumped / "nginx-T.txt").write_text(done.stdout)
    wanted = {
        "meet.example": (("TLSv1.2", "TLSv1.3"), True),
        "old.example": (("TLSv1", "TLSv1.1"), False),
    }
    assert effective(facts.load(folder)) == wanted
    assert effective(facts.load(dumped)) == wanted


def test_what_lies_beside_the_enabled_sites_is_not_in_force(tmp_path: Path) -> None:
    for name, text in NGINX.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = facts.load(tmp_path)
    assert [one.note for one in seen.inputs if one.path == "sites-available/unused"] == [
        "in sites-available, not enabled, left out"
    ]
    assert "SSLv3" not in repr(seen.nginx)


@pytest.mark.parametrize(
    ("text", "value"),  # docs.docker.com, compose file reference, interpolation
    [
        ("${VAR}", "set"), ("$VAR", "set"), ("${VAR:-default}", "set"), ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""), ("${NONE-default}", "default"), ("${NONE:-default}", "default"),
        ("${VAR:?error}", "set"), ("${EMPTY:?error}", None), ("${NONE?error}", None), ("${EMPTY?error}", ""),
        ("${VAR:+other}", "other"), ("${EMPTY:+other}", ""), ("${EMPTY+other}", "other"), ("${NONE+other}", ""),
        ("${NONE:-${VAR}}", "set"), ("${NONE-${EMPTY:-deep}}", "deep"), ("$$VAR", "$VAR"), ("$${VAR}", "${VAR}"),
        ("a${VAR}b$VAR", "asetbset"), ("${NONE}", ""), ("${VAR", None), ("100$", "100$"),
    ],
)  # fmt: skip
def test_compose_puts_variables_in(text: str, value: str | None) -> None:
    assert interpolate(text, {"VAR": "set", "EMPTY": ""}, complete=True) == value


def test_what_whoever_runs_compose_may_have_set_is_not_known() -> None:
    assert interpolate("${PORT:-10000}:${PORT:-10000}/udp", {}) is None


ENV = """# comment
PLAIN=a value # comment
export QUOTED="with # hash and ${PLAIN}"
SINGLE='$PLAIN'
COLON: x
MULTI="one
two"
EMPTY=
AGAIN=1
AGAIN=2
JVB_AUTH_PASSWORD=hush
LAZY=${NOWHERE}
"""


def test_a_file_of_variables_is_read_as_compose_reads_it() -> None:
    seen = Settings()
    read_env(ENV, ".env", seen)
    values = {key: fact.value for key, fact in seen.values.items()}
    assert values["PLAIN"] == "a value"
    assert values["QUOTED"] == "with # hash and a value"
    assert (values["SINGLE"], values["COLON"], values["MULTI"]) == ("$PLAIN", "x", "one\ntwo")
    assert (values["EMPTY"], values["AGAIN"]) == ("", "2")
    assert str(values["JVB_AUTH_PASSWORD"]) == "(a secret)"
    assert repr(values["LAZY"]) == "UNKNOWN"
    assert "hush" not in repr(seen)
    assert seen.values["AGAIN"].place == ".env:10"


COMPOSE = """
x-common: &common
  restart: always
services:
  jvb:
    <<: *common
    image: ghcr.io/jitsi/jvb:stable-9955
    ports:
      - '${JVB_PORT:-10000}:${JVB_PORT:-10000}/udp'
      - '127.0.0.1:${JVB_COLIBRI_PORT:-8080}:8080'
      - target: 9090
        published: "9091"
        host_ip: 0.0.0.0
        protocol: tcp
      - "[::1]:7000-7001:7000-7001"
      - 4443
    environment:
      JVB_PORT:
      FIXED: "1"
    networks:
      meet.jitsi: { ipv4_address: 172.28.1.4 }
  web:
    image: jitsi/web
    profiles: [never]
    ports: ["443:443"]
"""


def test_what_a_compose_file_publishes() -> None:
    seen, problems, variables = Compose(), list[Problem](), Settings()
    read_env("JVB_PORT=20000\n", ".env", variables)
    read_compose(COMPOSE, "docker-compose.yml", seen, variables, True, problems)
    jvb = seen.services["jvb"]
    ports = {(one.transport, one.address, one.port, one.inner) for one in jvb.ports}
    assert ports == {
        ("udp", "*", 20000, 20000), ("tcp", "127.0.0.1", 8080, 8080), ("tcp", "*", 9091, 9090),
        ("tcp", "::1", 7000, 7000), ("tcp", "::1", 7001, 7001), ("tcp", "*", None, 4443),
    }  # fmt: skip
    assert (jvb.program, jvb.addresses) == ("jvb", ["172.28.1.4"])
    assert jvb.environment.values["JVB_PORT"] == facts.Fact("20000", ".env:1")
    assert jvb.ports[0].place == "docker-compose.yml:9"
    assert seen.running("web") == []
    assert problems == []
