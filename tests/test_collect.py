"""What `jitsilab deploy facts` prints, run by real shells: what it takes, what it could not, what it leaves out."""

import gzip
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
import secrets_of

import jitsilab as jl
from jitsilab import cli, deploy, facts
from jitsilab.facts.model import LEFT_OUT, Secret
from jitsilab.inputs import registry

SCRIPT = deploy.facts_command()
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
HERE = [name for name, words in SHELLS.items() if shutil.which(words[0])]

# --- secrets in the forms that files and logs give them ---------------------------------------------------------------

CODE = {  # what stands in a file of configuration: what is kept of it; Zq7 begins every secret
    'app_secret = "Zq7a";': 'app_secret = "left-out";',
    "  app_secret = 'Zq7 a\\'b'": "  app_secret = 'left-out'",
    'secret = "Zq7" .. "b", ttl = 1': 'secret = "left-out", ttl = 1',
    "password = [[Zq7]x]]": None,
    'password = os.getenv("Zq7")': 'password = "left-out"',
    '{ type = "turns", secret = true, ttl = 86400, password = "Zq7", }':
        '{ type = "turns", secret = true, ttl = 86400, password = "left-out", }',
    'muc_password_whitelist = { "focus@auth.example" }': 'muc_password_whitelist = { "focus@auth.example" }',
    "allow_empty_token = false": "allow_empty_token = false",
    'authentication = "token"': 'authentication = "token"',
    'asap_key_server = "https://keys.example/a"': 'asap_key_server = "https://keys.example/a"',
    'ssl = { key = "/etc/a.key", certificate = crt }': 'ssl = { key = "/etc/a.key", certificate = crt }',
    '"token_verification"; "token_affiliation";': '"token_verification"; "token_affiliation";',
    "PASSWORD = Zq7 Zq7b # old": None,
    'PASSWORD="""Zq7"x""", P = 1': 'PASSWORD="left-out", P = 1',
    "client { password: Zq7&x<y, port = 5222 }": 'client { password: "left-out", port = 5222 }',
    'password = "Zq7': 'password = "left-out"',
    'password = ""': 'password = ""',
    'password = """Zq7': 'password = "left-out"',
    "password = [==[Zq7": 'password = "left-out"',
    "giphy: { sdkKey: 'Zq7', x: 1 },": "giphy: { sdkKey: 'left-out', x: 1 },",
    'dropbox: { appKey: `Zq7` },': 'dropbox: { appKey: "left-out" },',
    "tokenAuthUrl: 'https://login.example/{room}',": "tokenAuthUrl: 'https://login.example/{room}',",
    "ssl_certificate_key /etc/ssl/a.key;": "ssl_certificate_key /etc/ssl/a.key;",
    'proxy_set_header Authorization "Basic Zq7";': "proxy_set_header Authorization left-out;",
    "proxy_set_header Authorization $http_authorization;": "proxy_set_header Authorization $http_authorization;",
    "proxy_set_header X-Auth-Token Zq7;": "proxy_set_header X-Auth-Token left-out;",
    "proxy_set_header Sec-WebSocket-Key $http_sec_websocket_key;":
        "proxy_set_header Sec-WebSocket-Key $http_sec_websocket_key;",
    'set $jwt_secret "Zq7";': "set $jwt_secret left-out;",
    "proxy_pass http://prosody/http-bind?prefix=$arg_prefix&$args;":
        "proxy_pass http://prosody/http-bind?prefix=$arg_prefix&$args;",
    "proxy_pass http://a:Zq7@b:5280/;": "proxy_pass http://a:left-out@b:5280/;",
    'RequestHeader set Authorization "Bearer Zq7"': "RequestHeader set Authorization left-out",
}  # fmt: skip
LINES = {
    "JICOFO_AUTH_PASSWORD=Zq7,;{}#a b": "JICOFO_AUTH_PASSWORD=left-out",
    'export JVB_AUTH_PASSWORD="Zq7 \\" x"': 'export JVB_AUTH_PASSWORD="left-out"',
    "#JVB_AUTH_PASSWORD=Zq7": "#JVB_AUTH_PASSWORD=left-out",
    "JVB_AUTH_PASSWORD=": "JVB_AUTH_PASSWORD=",
    "JWT_APP_SECRET='Zq7'": "JWT_APP_SECRET='left-out'",
    "TURN_CREDENTIALS=Zq7": "TURN_CREDENTIALS=left-out",
    "LDAP_BINDPW=Zq7": "LDAP_BINDPW=left-out",
    "JWT_ALLOW_EMPTY=1": "JWT_ALLOW_EMPTY=1",
    "JVB_ADVERTISE_IPS=203.0.113.10#10000": "JVB_ADVERTISE_IPS=203.0.113.10#10000",
    "SENTRY_DSN=https://Zq7@sentry.example/1": "SENTRY_DSN=https://left-out@sentry.example/1",
    "      - JVB_AUTH_PASSWORD=Zq7": "      - JVB_AUTH_PASSWORD=left-out",
    '      - "JVB_AUTH_PASSWORD=Zq7 b"': '      - "JVB_AUTH_PASSWORD=left-out"',
    "      - JVB_AUTH_PASSWORD": "      - JVB_AUTH_PASSWORD",
    "      JVB_AUTH_PASSWORD: Zq7 b": "      JVB_AUTH_PASSWORD: left-out",
    "      JVB_AUTH_PASSWORD: ${JVB_AUTH_PASSWORD:-Zq7}": "      JVB_AUTH_PASSWORD: left-out",
    "    environment: { JVB_AUTH_PASSWORD: Zq7, TZ: UTC }": "    environment: { JVB_AUTH_PASSWORD: left-out, TZ: UTC }",
    "      PASSWORD: |\n        Zq7\n      TZ: UTC": "      PASSWORD: |\n        left-out\n      TZ: UTC",
    "secrets:": "secrets:",
    "    secrets: [ turn ]": "    secrets: [ turn ]",
    "    command: [turnserver, --user=a:Zq7, --static-auth-secret=Zq7b]":
        "    command: [turnserver, --user=left-out, --static-auth-secret=left-out]",
    "org.jitsi.videobridge.xmpp.user.shard.PASSWORD=Zq7:x": "org.jitsi.videobridge.xmpp.user.shard.PASSWORD=left-out",
    "org.jitsi.videobridge.xmpp.user.shard.PASSWORD Zq7": "org.jitsi.videobridge.xmpp.user.shard.PASSWORD left-out",
    "org.jitsi.x.PASSWORD=Zq\\\n  Zq7b\nP=1": "org.jitsi.x.PASSWORD=left-out\n  left-out\nP=1",
    "JVB_SECRET=Zq7": "JVB_SECRET=left-out",
    'JVB_OPTS="--apis=rest,xmpp --secret=Zq7 --port=1"': 'JVB_OPTS="--apis=rest,xmpp --secret=left-out --port=1"',
    "static-auth-secret=Zq7": "static-auth-secret=left-out",
    "#static-auth-secret Zq7": "#static-auth-secret left-out",
    "user=ann:Zq7": "user=left-out",
    'mysql-userdb="host=db user=turn password=Zq7"': 'mysql-userdb="left-out"',
    'redis-statsdb="ip=127.0.0.1 dbname=0 password=Zq7 port=6379"': None,
    "use-auth-secret": "use-auth-secret",
    "userdb=/var/lib/turn/turndb": "userdb=/var/lib/turn/turndb",
    "denied-peer-ip=10.0.0.0-10.255.255.255": "denied-peer-ip=10.0.0.0-10.255.255.255",
    "GC_PRIVATE_KEY=-----BEGIN PRIVATE KEY-----\\nZq7\\n-----END PRIVATE KEY-----\\n": None,
    "a\n-----BEGIN RSA PRIVATE KEY-----\nZq7\n-----END RSA PRIVATE KEY-----\nb": "a\nleft-out\nleft-out\nleft-out\nb",
}  # fmt: skip
LOG = {
    "<transport xmlns='urn:x' pwd='Zq7+/' ufrag='w3O9'><rtcp-mux/>":
        "<transport xmlns='urn:x' pwd='left-out' ufrag='w3O9'><rtcp-mux/>",
    '<transport pwd="Zq7" ufrag="w3O9">': '<transport pwd="left-out" ufrag="w3O9">',
    "&lt;transport pwd=&apos;Zq7&apos; ufrag=&apos;w3&apos;":
        "&lt;transport pwd=&apos;left-out&apos; ufrag=&apos;w3&apos;",
    '"GET /colibri-ws/default-id/8d83/0c0c?pwd=Zq7 HTTP/1.1" 403 186 "-" "Mozilla/5.0"':
        '"GET /colibri-ws/default-id/8d83/0c0c?pwd=left-out HTTP/1.1" 403 186 "-" "Mozilla/5.0"',
    "url='wss://meet.example/colibri-ws/a/b/c?pwd=Zq7'/><candidate component='1'":
        "url='wss://meet.example/colibri-ws/a/b/c?pwd=left-out'/><candidate component='1'",
    '"GET /xmpp-websocket?room=a&token=eyJhbGciOiAiSFMyNTYifQ.eyJpc3MiOiAiZq7.Zq7-_x&b=1 HTTP/1.1" 101 24454':
        '"GET /xmpp-websocket?room=a&token=left-out&b=1 HTTP/1.1" 101 24454',
    '"https://meet.example/a#jwt=Zq7x"': None,
    "?jwt%3DZq7x%26room%3Da": None,
    "Token Zq7.x not allowed to join: JID err": "Token left-out not allowed to join: JID err",
    "Error verifying token err:not-allowed, reason:Not acceptable by exp":
        "Error verifying token err:not-allowed, reason:Not acceptable by exp",
    r'{\"pwd\":\"Zq7\",\"ufrag\":\"a\"}': r'{\"pwd\":\"left-out\",\"ufrag\":\"a\"}',
    '{"credential":"Zq7","username":"u","region":"x#51gM9HGbGxB1O0vhf3D8bexpwdk="}},"audio":2}':
        '{"credential":"left-out","username":"u","region":"x#51gM9HGbGxB1O0vhf3D8bexpwdk="}},"audio":2}',
    r"a=ice-pwd:Zq7+x\r\na=ice-options:trickle": r"a=ice-pwd:left-out\r\na=ice-options:trickle",
    "<auth mechanism='PLAIN' xmlns='urn:x'>Zq7==</auth>": "<auth mechanism='PLAIN' xmlns='urn:x'>left-out</auth>",
    "<x xmlns='http://jabber.org/protocol/muc'><password>Zq7</password></x>":
        "<x xmlns='http://jabber.org/protocol/muc'><password>left-out</password></x>",
    "a=crypto:1 AES_CM_128 inline:Zq7AAAAAAAAAAAAAAAAAAAAAAAAA|2": None,
    "Authorization: Bearer Zq7": "Authorization: Bearer left-out",
    "0: : session 1: realm <a.example> user <1795969053:ann>: incoming packet CREATE_PERMISSION processed, error":
        "0: : session 1: realm <a.example> user <1795969053:ann>: incoming packet CREATE_PERMISSION processed, error",
    "Nov 29 15:31:54 c2s561 info Authenticated as focus@auth.example": None,
    "password = \xffZq7\xe4": "password = left-out",
}  # fmt: skip


def cleaned(program: str, text: str, shell: list[str]) -> str:
    """A text as the script cleans it."""
    body = SCRIPT.replace('main "$@" </dev/null', 'T=$(mktemp -d); write_programs; clean "$1"; rm -r "$T"')
    assert body != SCRIPT
    done = subprocess.run(
        [*shell, "-c", body, "x", program], input=text.encode("latin-1"), capture_output=True, check=True
    )
    assert not done.stderr
    return done.stdout.decode("latin-1")


@pytest.mark.parametrize("shell", HERE)
@pytest.mark.parametrize(("program", "cases"), [("code", CODE), ("lines", LINES), ("log", LOG)])
def test_what_is_secret_is_left_out_and_nothing_else(program: str, cases: dict[str, str | None], shell: str) -> None:
    texts = list(cases)
    answer = cleaned(program, "\n=====\n".join(texts) + "\n", SHELLS[shell]).removesuffix("\n").split("\n=====\n")
    assert len(answer) == len(texts)
    for text, kept, expected in zip(texts, answer, cases.values(), strict=True):
        assert "Zq7" not in kept, text
        assert kept.count("\n") == text.count("\n"), text
        assert expected is None or kept == expected
        assert ("Zq7" in text) == (LEFT_OUT in kept), text


# --- a server made of a recording, with programs that answer as real ones do -----------------------------------------

PROGRAMS = {  # put before the machine's own; $LAB is the recording
    "docker": 'exec >&2; echo "permission denied while trying to connect to the Docker daemon socket"; exit 1',
    "journalctl": 'case "$*" in *"-u prosody") sed "s/^/2026-11-29T15:31:54+0000 host prosody[1]: /" '
    '"$LAB/logs/prosody.log";; *-k) echo "2026-11-29T15:31:54+0000 host kernel: Out of memory: Killed 7 (java)"; '
    'echo "x kernel: usb";; esac',
    "ss": 'cat "$LAB/facts/ss-lntup.txt"', "nft": 'cat "$LAB/facts/security-group.txt"',
    "ip": 'case "$*" in *addr) cat "$LAB/facts/ip-addr.txt";; '
    '*route) cat "$LAB/facts/ip-route.txt";; *) echo counters;; esac',
    "iptables-save": "echo '*filter'; echo '[7:420] -A INPUT -j DROP'", "ip6tables-save": "exit 1",
    "getent": '[ "$1" = ahosts ] && echo "203.0.113.10    STREAM $2"', "ufw": "echo 'Status: active'",
    "dpkg-query": 'grep -v "^[bfs][a-z]* *[{:]" "$LAB/facts/versions.txt"',
    "curl": 'for a; do last=$a; [ "$p" = -o ] && to=$a; p=$a; done; case $last in '
    '*:8080/about/version) echo \'{"name":"JVB","version":"2.3.SNAPSHOT","os":"Linux"}\' >"$to"; printf 200;;'
    '*:8080/about/health) : >"$to"; printf 200;; *:8080/metrics) echo "HTTP ERROR 404" >"$to"; printf 404;;'
    """ *:8080/*) echo '{"pwd":"Zq7","region":"i-meet#51gM9HGbGxB1O0vhf3D8bexpwdk="}' >"$to"; printf 200;;"""
    " *) printf 000; exit 7;; esac",
}  # fmt: skip
PLACES = {
    "prosody.cfg.lua": "etc/prosody/prosody.cfg.lua", "jvb.conf": "etc/jitsi/videobridge/jvb.conf",
    "jicofo.conf": "etc/jitsi/jicofo/jicofo.conf", "turnserver.conf": "etc/turnserver.conf",
    "nginx.conf": "etc/nginx/nginx.conf", "meet.lab.crt": "etc/ssl/meet/meet.lab.crt",
    "meet.lab.key": "etc/ssl/meet/meet.lab.key",
    "logs/jvb.log": "var/log/jitsi/jvb.log", "logs/jicofo.log": "var/log/jitsi/jicofo.log",
    "logs/prosody.log": "var/log/prosody/prosody.log", "logs/access.log": "var/log/nginx/access.log",
    "logs/error.log": "var/log/nginx/error.log", "logs/turn.log": "var/log/turnserver.log",
}  # fmt: skip


def programs(folder: Path, made: dict[str, str]) -> Path:
    """A folder of small programs to put first in PATH."""
    folder.mkdir(exist_ok=True)
    for name, body in made.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


def collected(
    work: Path,
    root: Path,
    made: dict[str, str],
    shell: list[str],
    *arguments: str,
    user: int | None = None,
    **more: str,
) -> tuple[Path, str]:
    """What the script collects below ``root``, unpacked, and the text of its index."""
    work.mkdir()
    if user is not None:
        os.chown(work, user, user)
    who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    path = f"{programs(work.with_name(work.name + '-bin'), made)}:{os.environ['PATH']}"
    env = {"PATH": path, "ROOT": str(root), "TMPDIR": str(work), "HOME": "/", **more}
    done = subprocess.run(
        [*shell, "-s", *arguments], input=SCRIPT + "\n", text=True, cwd=work, env=env, capture_output=True,
        check=False, **who,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{work}/facts.tar.gz\n"
    assert [one.name for one in work.iterdir()] == ["facts.tar.gz"]  # nothing is left behind
    assert (work / "facts.tar.gz").stat().st_mode & 0o077 == 0
    with tarfile.open(work / "facts.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # of Python 3.11.4
        archive.extractall(work / "out")
    return work / "out", (work / "out" / "index.txt").read_text()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the project's own: its configuration and logs hold passwords and keys."""
    return registry.export("turn-refused", tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def server(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder with a recording's files where Debian's packages keep them."""
    root = tmp_path_factory.mktemp("root")
    for name, place in PLACES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        source = lab / name if "/" in name else lab / "facts" / name
        (root / place).write_text(source.read_text())
    (root / "etc/jitsi/meet").mkdir()
    (root / "etc/jitsi/meet/meet.lab-config.js").write_text("var config = { hosts: { domain: 'meet.lab' } };\n")
    with gzip.open(root / "var/log/jitsi/jvb.log.1.gz", "wt") as packed:
        packed.write((lab / "logs/jvb.log").read_text())
    (root / "var/log/jitsi/java_pid7.hprof").write_text("heap")
    (root / "var/log/prosody/prosody.err").write_text("")
    old = root / "var/log/jitsi/jvb.log.2"
    old.write_text("JVB 2026-11-01 15:31:56.815 INFO: old\n")
    os.utime(old, (0, 0))
    return root


def texts(folder: Path) -> str:
    """All that was collected, as one text."""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("shell", HERE)
def test_a_server_of_packages(server: Path, lab: Path, tmp_path: Path, shell: str) -> None:
    out, index = collected(tmp_path / "work", server, PROGRAMS, SHELLS[shell], LAB=str(lab))
    assert {one.name for one in out.iterdir()} == {"facts", "logs", "rest", "index.txt"}
    public = (
        (lab / "facts/meet.lab.crt").read_text().replace("\n", "")
    )  # the second half of an EC key is the certificate's too
    secrets = {name: {one for one in values if one not in public} for name, values in secrets_of.of(lab).items()}
    assert secrets_of.shown(texts(server) + (lab / "facts/meet.lab.key").read_text(), secrets) != []
    assert secrets_of.shown(texts(out), secrets) == []
    assert "PRIVATE KEY" not in texts(out)

    seen, whole = facts.load(out / "facts"), facts.load(lab / "facts")
    assert seen.private_keys == []
    assert {path: fact.value for path, fact in seen.bridge.values.items() if not isinstance(fact.value, Secret)} == {
        path: fact.value for path, fact in whole.bridge.values.items() if not isinstance(fact.value, Secret)
    }
    assert [one.name for one in seen.prosody.hosts] == [one.name for one in whole.prosody.hosts]
    assert {name: len(values) for name, values in seen.turn.options.items()} == {
        name: len(values) for name, values in whole.turn.options.items()
    }
    assert [one[:4] for one in seen.listeners] == [one[:4] for one in whole.listeners]
    assert {one.certificate.subject for one in seen.certificates} <= {
        one.certificate.subject for one in whole.certificates
    }
    assert {one.place.split(":")[0] for one in seen.certificates} == {"etc/ssl/meet/meet.lab.crt"}
    assert seen.versions["prosody"].value == whole.versions["prosody"].value
    assert seen.versions["bridge"].value == "2.3.SNAPSHOT"
    assert seen.web.get("hosts.domain").value == "meet.lab"

    for name in ("jitsi/jvb.log", "jitsi/jvb.log.1", "jitsi/jicofo.log", "nginx/access.log", "turnserver.log"):
        source = (
            lab / "logs" / {"turnserver.log": "turn.log", "jitsi/jvb.log.1": "jvb.log"}.get(name, name.split("/")[-1])
        )
        kept = (out / "logs/var/log" / name).read_text().splitlines()
        lines = source.read_text().splitlines()
        assert len(kept) == len(lines)
        assert [line for line, was in zip(kept, lines, strict=True) if line != was and LEFT_OUT not in line] == []
    assert (out / "logs/journal-prosody.txt").exists()
    assert (out / "logs/journal-kernel.txt").read_text().count("\n") == 1
    assert (out / "facts/getent-ahosts.txt").read_text() == "203.0.113.10    STREAM meet.lab\n"
    assert "[7:420]" in (out / "facts/iptables-save.txt").read_text()

    asked = [line.split(" ", 1)[1] for line in (out / "rest/index.txt").read_text().splitlines()]
    assert "200 GET http://127.0.0.1:8080/debug?full=true -> jvb-debug-full.json" in asked
    assert "404 GET http://127.0.0.1:8080/metrics -> jvb-metrics.txt" in asked
    assert "000 GET http://127.0.0.1:8888/about/version -> jicofo-about-version.json" in asked
    answer = json.loads((out / "rest/jvb-debug-full.json").read_text())
    assert answer == {"pwd": LEFT_OUT, "region": "i-meet#51gM9HGbGxB1O0vhf3D8bexpwdk="}
    assert (out / "rest/jvb-about-health.txt").read_bytes() == b""

    for said in ("not taken: /var/log/jitsi/java_pid7.hprof: not a log of calls", "older than 24 hours",
                 "not taken: docker ps -a --no-trunc: permission denied", "empty: ip6tables-save -c",
                 "not taken: http://127.0.0.1:8888: nobody answers there", "empty: journalctl -u jicofo",
                 "taken: facts/etc/jitsi/videobridge/jvb.conf <- /etc/jitsi/videobridge/jvb.conf"):  # fmt: skip
        assert said in index


def test_the_archive_is_read_as_it_is(server: Path, lab: Path, tmp_path: Path) -> None:
    """The logs say the same out of the archive as they do where they lie, with their secrets."""
    collected(tmp_path / "work", server, {**PROGRAMS, "journalctl": "exit 0"}, ["sh"], LAB=str(lab))
    call, plain = jl.load(tmp_path / "work/facts.tar.gz"), jl.load(lab / "logs", facts=lab / "facts")
    kinds = {piece.kind for piece in call.evidence.pieces}
    assert {"configuration", *(piece.kind for piece in plain.evidence.pieces)} <= kinds
    logs = call.events["input"].str.contains("/logs/")
    assert set(call.events["event"][logs]) == set(plain.events["event"])


def test_without_root_it_says_what_it_could_not_read(server: Path, lab: Path, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can hide a file from somebody")
    root = tmp_path / "root"
    shutil.copytree(server, root)
    nobody = 65534
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    (root / "etc/prosody").chmod(0o750)
    (root / "etc/turnserver.conf").chmod(0o640)
    (root / "var/log/nginx").chmod(0o700)
    out, index = collected(tmp_path / "work", root, {**PROGRAMS, "ss": "exit 0"}, ["sh"], user=nobody)
    for said in ("not root", "not taken: /etc/prosody: no permission", "not taken: /etc/turnserver.conf: no permission",
                 "not taken: /var/log/nginx: no permission"):  # fmt: skip
        assert said in index
    assert facts.load(out / "facts").bridge is not None
    assert not (out / "facts/etc/prosody").exists()


COMPOSE = {
    ".env": "PUBLIC_URL=https://meet.example\nJVB_AUTH_PASSWORD=Zq7env\nENABLE_AUTH=0\n",
    "docker-compose.yml": "services:\n  jvb:\n    image: jitsi/jvb:stable-9753\n    environment:\n"
    "      - JVB_AUTH_PASSWORD=Zq7yml\n    ports: ['10000:10000/udp']\n",
}  # fmt: skip
RENDERED = {
    "meet-jvb-1/config/jvb.conf": 'videobridge { apis.xmpp-client.configs.a { PASSWORD = "Zq7jvb" } }\n'
    "videobridge.ice.udp.port = 10000\n",
    "meet-prosody-1/config/conf.d/jitsi-meet.cfg.lua": 'VirtualHost "meet.jitsi"\n  app_secret = "Zq7lua"\n',
    "meet-prosody-1/config/prosody.cfg.lua": 'Include "conf.d/*.cfg.lua"\n',
    "meet-web-1/config/nginx/meet.conf": "server { listen 443 ssl; server_name meet.example; }\n",
    "coturn/etc/coturn/turnserver.conf": "use-auth-secret\nstatic-auth-secret=Zq7turn\n",
}
DOCKER = """
[ "$(cat)" = "" ] || exit 9  # nothing of the script is read by what it runs
case "$1 $2 $3" in
"ps -a --no-trunc") echo 'CONTAINER ID   IMAGE   PORTS   NAMES'
  echo 'a1   jitsi/jvb:stable-9753   0.0.0.0:10000->10000/udp   meet-jvb-1' ;;
"ps -a --format") printf '%s\n' 'meet-jvb-1|jitsi/jvb:stable-9753|meet|jvb' \
  'meet-web-1|jitsi/web:stable-9753|meet|web' \
  'meet-prosody-1|jitsi/prosody:stable-9753|meet|prosody' 'coturn|coturn/coturn||' 'shop-db-1|postgres|shop|db' ;;
"inspect -f "*) case "$3" in *working_dir*) echo /opt/meet ;; *config_files*) echo /opt/meet/docker-compose.yml ;;
  *IPAddress*) echo 172.18.0.5 ;; *Env*) echo TURN_SECRET=Zq7inspect; echo TZ=UTC ;; esac ;;
"cp -L "*) case $3 in meet-web-1:*) exit 1 ;; esac; cp -r "$FILES/$(echo "$3" | sed s,:,,)" "$4" ;;
"cp meet-web-1:"*) cp -r "$FILES/$(echo "$2" | sed s,:,,)" "$3" ;;
"exec "*) cat "$FILES/$2$4" ;;
"compose -p meet") echo "$*" >&2
  echo 'jvb-1  | 2026-11-29T15:31:56.815000000Z JVB 2026-11-29 15:31:56.815 INFO: pwd=Zq7log x' ;;
"logs "*) echo 'session 1: user <a>'; echo '2: on standard error' >&2 ;;
*) echo "unexpected $*" >&2; exit 3 ;;
esac
"""


@pytest.mark.parametrize("shell", HERE)
def test_a_server_of_containers(tmp_path: Path, shell: str) -> None:
    root, files = tmp_path / "root", tmp_path / "files"
    for folder, made in ((root / "opt/meet", COMPOSE), (files, RENDERED)):
        for name, text in made.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    answers = (
        'case $last in *172.18.0.5:8080/about/version) echo "{}" >"$to"; printf 200;; *) printf 000; exit 7;; esac'
    )
    stubs = {**dict.fromkeys(PROGRAMS, "exit 0"), "docker": DOCKER, "getent": 'echo "203.0.113.10 STREAM $2"',
             "curl": f'for a; do last=$a; [ "$p" = -o ] && to=$a; p=$a; done; {answers}'}  # fmt: skip
    out, index = collected(tmp_path / "work", root, stubs, SHELLS[shell], FILES=str(files))
    assert "Zq7" not in texts(out)
    found = sorted(path.relative_to(out).as_posix() for path in (out / "facts/docker").rglob("*") if path.is_file())
    assert found == sorted(
        f"facts/docker/{name}"
        for name in ("meet/.env", "meet/docker-compose.yml", "meet/jvb/jvb.conf",
                     "meet/prosody/conf.d/jitsi-meet.cfg.lua",
                     "meet/prosody/prosody.cfg.lua", "meet/web/nginx/meet.conf", "coturn/coturn/env.txt",
                     "coturn/coturn/etc/coturn/turnserver.conf")
    )  # fmt: skip
    assert "ENABLE_AUTH=0\n" in (out / "facts/docker/meet/.env").read_text()
    assert (out / "logs/docker/meet-compose.log").read_text().endswith("INFO: pwd=left-out x\n")
    assert "on standard error" in (out / "logs/docker/coturn-coturn.log").read_text()
    assert "203.0.113.10 STREAM meet.example" in (out / "facts/getent-ahosts.txt").read_text()
    assert " 200 GET http://172.18.0.5:8080/about/version -> jvb-" in (out / "rest/index.txt").read_text()
    assert "shop" not in index
    seen = facts.load(out / "facts")
    assert seen.bridge.get("videobridge.ice.udp.port").value == 10000
    assert "meet.jitsi" in [host.name for host in seen.prosody.hosts]


def test_wget_asks_where_there_is_no_curl(tmp_path: Path) -> None:
    """A real server, asked by the machine's own wget; PATH holds nothing of curl."""
    if shutil.which("wget") is None:
        pytest.skip("wget is not installed")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/about/version"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(b"{}" if found else b"no")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        body = SCRIPT[: SCRIPT.index('main "$@" </dev/null')] + (
            "T=$(mktemp -d)\n"
            f'for p in /about/version /metrics; do get "http://127.0.0.1:{port}$p" "$T/a"; echo; done\n'
            'get http://127.0.0.1:9/ "$T/a"; rm -r "$T"'
        )
        body = body.replace("command -v", "without -v").replace(
            "unset http", 'without() { [ "$2" != curl ] && command -v "$2"; }; unset http'
        )
        done = subprocess.run(["sh", "-c", body], capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.stdout.split() == ["200", "404", "000"], done.stderr


def test_a_large_log_is_cut_to_its_newest_lines(tmp_path: Path) -> None:
    log = tmp_path / "root/var/log/jitsi/jvb.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"JVB 2026-11-29 15:31:56.815 INFO: pwd='Zq7{number:06}'\n" for number in range(40_000)))
    stubs = dict.fromkeys(PROGRAMS, "exit 0")
    out, index = collected(tmp_path / "work", tmp_path / "root", stubs, ["sh"], "meet.example", "1", JITSILAB_MB="1")
    text = (out / "logs/var/log/jitsi/jvb.log").read_text()
    assert 15_000 < text.count("\n") < 25_000
    assert {line[-16:] for line in text.splitlines()} == {"O: pwd='left-out'"[-16:]}
    assert "cut: /var/log/jitsi/jvb.log: only its last 1000000 bytes" in index


@pytest.mark.parametrize("arguments", [["a; rm -rf /"], ["meet.example", "1d"]])
def test_an_argument_that_makes_no_sense_is_refused(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-s", *arguments], input=SCRIPT + "\n", text=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_sed_that_cannot_leave_secrets_out_stops_everything(tmp_path: Path) -> None:
    path = f"{programs(tmp_path / 'bin', {'sed': 'cat'})}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-s"], input=SCRIPT + "\n", text=True, cwd=tmp_path, env={"PATH": path}, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "cannot leave secrets out" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["bin"]


def test_here_collects_into_a_private_folder(
    server: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', PROGRAMS)}:{os.environ['PATH']}")
    monkeypatch.setenv("LAB", str(lab))
    folder = deploy.collect_here(str(server))
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "logs/var/log/jitsi/jvb.log").exists()
    assert facts.load(folder / "facts").bridge is not None


def test_diagnose_here_adds_what_this_machine_knows(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "collect_here", lambda: lab / "facts")
    assert cli.main(["diagnose", "turn-refused", "--here", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["participants"]


@pytest.mark.parametrize("name", [name for name in HERE if name != "busybox"])
def test_the_script_is_posix_shell(name: str) -> None:
    assert subprocess.run([*SHELLS[name], "-n"], input=SCRIPT, text=True, capture_output=True, check=True).stderr == ""


@pytest.mark.tool("shellcheck")
def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-"], input=SCRIPT + "\n", text=True, capture_output=True, check=False
    )
    assert done.stdout == ""
