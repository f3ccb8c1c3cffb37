"""Real servers on loopback, captured or looked at: the holes that no recording of the project has."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_samples import from_texts
from audit_table import OPEN_FILTER, TURN, XMPP
from test_findings import result_of

from jitsilab import call as capture
from jitsilab.facts import Facts

COOKIE = 0x2112A442


@contextlib.contextmanager
def running(*command: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the time of a test; only this one is ended."""
    process = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def captured(path: Path, filters: str, *where: str) -> Iterator[None]:
    """A capture of the loopback interface, whole when the block ends; ``where`` comes before the command."""
    command = [*where, "dumpcap", "-q", "-i", "lo", "-f", filters, "-w", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is not None:
        pytest.skip("this user may not capture on loopback")
    try:
        time.sleep(0.3)
        yield
        time.sleep(0.7)
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def stun(method: int, number: int, *attributes: tuple[int, bytes]) -> bytes:
    """A STUN request without credentials (RFC 8489 section 5)."""
    body = b"".join(struct.pack("!HH", kind, len(v)) + v + bytes(-len(v) % 4) for kind, v in attributes)
    return struct.pack("!HHI", method, len(body), COOKIE) + number.to_bytes(12) + body


def peer(address: str) -> tuple[int, bytes]:
    """XOR-PEER-ADDRESS (RFC 8656 section 18.3)."""
    port, ip = 7777 ^ (COOKIE >> 16), int.from_bytes(socket.inet_aton(address)) ^ COOKIE
    return 0x0012, struct.pack("!BBHI", 0, 1, port, ip)


@pytest.fixture
def relay(tmp_path: Path) -> Callable[[str], tuple[Any, Facts]]:
    """Runs coturn with some lines of configuration, asks it for a relay to 10.1.2.3, and gives the capture."""

    def run(lines: str) -> tuple[Any, Facts]:
        port = free_port()
        conf = (
            f"listening-ip=127.0.0.1\nlistening-port={port}\nrelay-ip=127.0.0.1\nrealm=meet.example\nno-tls\nno-dtls\n"
            f"no-cli\npidfile={tmp_path}/pid\nuserdb={tmp_path}/db\nlog-file={tmp_path}/log\n{lines}"
        )
        (tmp_path / "turnserver.conf").write_text(conf)
        path = tmp_path / "turn.pcapng"
        with (
            running("turnserver", "-c", str(tmp_path / "turnserver.conf"), cwd=tmp_path),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            client.settimeout(0.5)
            for attempt in range(20):  # until it answers
                client.sendto(stun(0x0001, 900 + attempt), ("127.0.0.1", port))
                with contextlib.suppress(TimeoutError, ConnectionError):
                    client.recv(2048)
                    break
            with captured(path, f"udp port {port}"):
                for number, request in enumerate(((0x0003, (0x0019, b"\x11\0\0\0")), (0x0008, peer("10.1.2.3"))), 1):
                    client.sendto(stun(request[0], number, request[1]), ("127.0.0.1", port))
                    with contextlib.suppress(TimeoutError):
                        client.recv(2048)
        return capture.load(path), from_texts({"turn": conf})

    return run


@pytest.mark.tool("turnserver", "dumpcap")
def test_an_open_relay_is_found_and_where_it_leads(relay: Callable[[str], tuple[Any, Facts]]) -> None:
    assert TURN  # SEC-16, SEC-17
    call, server = relay("no-auth\n")
    for known in (None, server):
        result, outcome = result_of("SEC-16", call, known)
        assert result == "FAIL", outcome
        result, outcome = result_of("SEC-17", call, known)
        assert result == "FAIL", outcome
    assert result_of("SEC-16", call, None)[1].frames


@pytest.mark.tool("turnserver", "dumpcap")
def test_a_relay_that_denies_peers_and_asks_for_credentials(relay: Callable[[str], tuple[Any, Facts]]) -> None:
    call, _ = relay("no-auth\ndenied-peer-ip=10.0.0.0-10.255.255.255\n")
    assert result_of("SEC-17", call, None)[0] == "PASS"  # 403, as seen
    call, server = relay("lt-cred-mech\nuser=somebody:hush\n")
    assert result_of("SEC-16", call, None)[0] == "PASS"  # 401, as seen
    assert result_of("SEC-16", None, server)[0] == "PASS"
    assert result_of("SEC-17", call, None)[0] == "NOT_OBSERVABLE"
    assert "hush" not in repr(server)


def prosody_conf(folder: Path, lines: str) -> str:
    """A configuration that keeps everything in one folder."""
    return (
        f'run_as_root = true\ndata_path = "{folder}/data"\npidfile = "{folder}/pid"\n'
        f'log = {{ error = "{folder}/log" }}\nmodules_enabled = {{ "saslauth", "disco" }}\n{lines}'
    )


@pytest.fixture
def xmpp(tmp_path: Path) -> Callable[[str], Facts]:
    """Runs Prosody with some lines of configuration and gives the facts, sockets included."""

    def run(lines: str) -> Facts:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        conf = prosody_conf(tmp_path, lines)
        (tmp_path / "prosody.cfg.lua").write_text(conf)
        with running("prosody", "--config", str(tmp_path / "prosody.cfg.lua"), "-F", cwd=tmp_path) as process:
            for _ in range(60):
                time.sleep(0.1)
                listed = subprocess.run(["ss", "-lntup"], capture_output=True, text=True, check=True).stdout
                mine = "\n".join(line for line in listed.splitlines() if f"pid={process.pid}," in line)
                if ":5222 " in mine and ":5347 " in mine:
                    break
            else:
                pytest.skip("Prosody does not start here, or its ports are taken")
        return from_texts({"prosody": conf, "ss": mine, "nft": OPEN_FILTER})

    return run


def from_elsewhere(port: int, path: str, *lines: str) -> str:
    """What Prosody answers a page of another origin."""
    head = (f"GET {path} HTTP/1.1", "Host: meet.example", "Origin: https://other.example", *lines, "", "")
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall("\r\n".join(head).encode())
        return client.recv(4096).decode().lower()


@pytest.mark.tool("prosody")
@pytest.mark.parametrize(
    ("lines", "modules", "open_"),
    [
        ("cross_domain_bosh = false\n", "bosh", True),
        ("http_cors_override = { bosh = { enabled = false } }\n", "bosh", False),
        ("http_cors_override = { websocket = { enabled = false } }\ncross_domain_websocket = {}\n", "websocket", True),
    ],
    ids=["default", "override", "websocket"],
)  # fmt: skip
def test_whom_prosody_lets_in(tmp_path: Path, lines: str, modules: str, open_: bool) -> None:
    """Prosody of 0.12 answers as SEC-14 says of it."""
    told = Path("/usr/lib/prosody/prosody.version")
    version = told.read_text().strip() if told.exists() else ""
    if not version.startswith("0.12.") or version < "0.12.1":
        pytest.skip("another version of Prosody")
    port = free_port()
    conf = prosody_conf(tmp_path, lines).replace('"disco"', f'"disco", "{modules}"') + (
        f'interfaces = {{ "127.0.0.1" }}\nc2s_ports = {{}}\ns2s_ports = {{}}\nhttps_ports = {{}}\n'
        f"http_ports = {{ {port} }}\n"
        'VirtualHost "meet.example"\n'
    )
    (tmp_path / "prosody.cfg.lua").write_text(conf)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: xmpp")  # fmt: skip
    answer = ""
    with running("prosody", "--config", str(tmp_path / "prosody.cfg.lua"), "-F", cwd=tmp_path):
        for _ in range(60):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                answer = (from_elsewhere(port, "/http-bind") if modules == "bosh"
                          else from_elsewhere(port, "/xmpp-websocket", *upgrade))  # fmt: skip
                break
        else:
            pytest.skip("Prosody does not start here")
    assert (
        ("http/1.1 101" if modules == "websocket" else "access-control-allow-origin: https://other") in answer
    ) == open_
    seen = from_texts({"prosody": conf, "versions": f"prosody {version}-1\n"})
    assert result_of("SEC-14", None, seen)[0] == ("FAIL" if open_ else "PASS")


WIDE = (
    'component_interfaces = { "0.0.0.0" }\nc2s_require_encryption = false\nallow_unencrypted_plain_auth = true\n'
    'VirtualHost "meet.example"\nComponent "focus.meet.example"\n  component_secret = "hush"\n'
)
NARROW = (
    'interfaces = { "127.0.0.1" }\nmodules_disabled = { "s2s" }\nVirtualHost "meet.example"\n'
    'Component "focus.meet.example"\n  component_secret = "hush"\n'
)


@pytest.mark.tool("prosody", "ss")
@pytest.mark.parametrize(("lines", "result"), [(WIDE, "FAIL"), (NARROW, "PASS")], ids=["wide", "narrow"])
def test_what_prosody_listens_on(xmpp: Callable[[str], Facts], lines: str, result: str) -> None:
    assert XMPP  # SEC-07, SEC-08, SEC-09
    server = xmpp(lines)
    for check in ("SEC-07", "SEC-08", "SEC-09"):
        said, outcome = result_of(check, None, server)
        assert said == result, (check, outcome)
        assert outcome.places or result == "PASS"
    assert "hush" not in repr(server)


STRANGER = """
import socket, sys
port, opening = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("192.0.2.1", port), 5, ("192.0.2.2", 0)) as one:
    one.sendall(opening.encode())
    while (answer := one.recv(4096)) and b"id=" not in answer:
        pass
    one.sendall(sys.argv[3].encode())
    one.settimeout(1)
    try:
        one.recv(4096)
    except TimeoutError:
        pass
"""  # one of another address, which speaks XMPP as it comes


@pytest.fixture
def network() -> Iterator[tuple[str, ...]]:
    """What to put before a command so that it runs in a network of its own, with two addresses that are no loopback."""
    name = f"jitsilab-{os.getpid()}"
    inside = ("ip", "netns", "exec", name)
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network namespace")
    try:
        for setting in ("addr add 192.0.2.1/32 dev lo", "addr add 192.0.2.2/32 dev lo", "link set lo up"):
            subprocess.run([*inside, "ip", *setting.split()], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.tool("prosody", "dumpcap", "ip")
@pytest.mark.parametrize(
    ("check", "port", "opening", "more"),
    [
        (
            "SEC-07", "5222",
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='meet.example' "
            "version='1.0'>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFubgBodXNo</auth>",
        ),
        (
            "SEC-08", "5347",
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' "
            "to='focus.meet.example'>",
            "<handshake>0</handshake>",
        ),
    ],
)  # fmt: skip
def test_a_stranger_at_prosody_s_ports_is_seen(
    tmp_path: Path, network: tuple[str, ...], check: str, port: str, opening: str, more: str
) -> None:
    (tmp_path / "prosody.cfg.lua").write_text(prosody_conf(tmp_path, WIDE))
    path = tmp_path / "call.pcapng"
    with (
        running(*network, "prosody", "--config", str(tmp_path / "prosody.cfg.lua"), "-F", cwd=tmp_path),
        captured(path, f"tcp port {port}", *network),
    ):
        for _ in range(60):  # until it listens
            time.sleep(0.1)
            stranger = [*network, sys.executable, "-c", STRANGER, port, opening, more]
            if subprocess.run(stranger, capture_output=True, check=False).returncode == 0:
                break
        else:
            pytest.skip("Prosody does not start here")
    said, outcome = result_of(check, capture.load(path), None)
    assert said == "FAIL", outcome
    assert outcome.frames
    assert "AGFubgBodXNo" not in repr(outcome)


@pytest.mark.tool("openssl", "dumpcap")
@pytest.mark.parametrize(("version", "result"), [("-dtls1", "FAIL"), ("-dtls1_2", "PASS")])
def test_old_dtls_is_found(tmp_path: Path, version: str, result: str) -> None:
    port = free_port()
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*make, "-subj", "/CN=meet.example", "-days", "2"], cwd=tmp_path, check=True, capture_output=True)
    weak = (version, "-cipher", "DEFAULT:@SECLEVEL=0")
    path = tmp_path / "dtls.pcapng"
    server = ("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", "cert.pem", "-key", "key.pem", *weak)
    with captured(path, f"udp port {port}"), running(*server, cwd=tmp_path):
        time.sleep(0.5)
        with running("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *weak, cwd=tmp_path):
            time.sleep(1.2)
    said, outcome = result_of("SEC-32", capture.load(path), None)
    if said == "NOT_OBSERVABLE":
        pytest.skip(f"this OpenSSL does not speak {version}")
    assert said == result, outcome
