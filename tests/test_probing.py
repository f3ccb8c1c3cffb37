"""`jitsilab deploy check` against real Prosody, nginx and coturn, whole and broken, and against servers that stall."""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from by_night import thinned
from meet_world import ADDRESS, CONFIG, DOMAIN, FAULTS, make_certificates

from jitsilab.call import load
from jitsilab.deploy import probing

TOOLS = pytest.mark.tool("ip", "prosody", "nginx", "turnserver", "openssl")
HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"}


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, ...]]:
    """What comes before a command to run it in a network with 192.0.2.1 as an address outside."""
    name = f"jitsilab-meet-{os.getpid()}"
    inside = ("ip", "netns", "exec", name)
    if shutil.which("ip") is None or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this user may not make a network namespace")
    try:
        for setting in ("link set lo up", f"addr add {ADDRESS}/32 dev lo"):
            subprocess.run([*inside, "ip", *setting.split()], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


class World:
    """A server that runs for the time of a test."""

    def __init__(self, network: tuple[str, ...], certificates: Path, folder: Path, fault: str) -> None:
        shutil.copytree(certificates, folder, dirs_exist_ok=True)
        self.network, self.folder = network, folder
        command = [*network, sys.executable, str(HERE / "meet_world.py"), str(folder), fault]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )

    def __enter__(self) -> "World":
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)

    def check(self, *more: str) -> dict[str, Any]:
        command = [*self.network, sys.executable, "-m", "jitsilab", "deploy", "check", DOMAIN, "--connect",
                   f"{ADDRESS}:443", "--ca", str(self.folder / "ca.crt"), "--json", "--limit", "15", *more]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=240, check=False)
        assert not done.stderr, done.stderr
        steps = {one["step"]: one for one in json.loads(done.stdout)["steps"]}
        assert done.returncode == any(one["result"] == "FAIL" for one in steps.values())
        return steps


@TOOLS
@pytest.mark.parametrize("fault", thinned(FAULTS))
def test_each_fault_is_named(network: tuple[str, ...], certificates: Path, tmp_path: Path, fault: str) -> None:
    with World(network, certificates, tmp_path / "world", fault) as world:
        steps = world.check()
        failed = {name: (one["cause"], one["reason"]) for name, one in steps.items() if one["result"] == "FAIL"}
        if fault == "whole":
            assert failed == {}, steps
            results = {name: one["result"] for name, one in steps.items()}
            assert results.pop("dns") == "NOT_APPLICABLE"
            assert set(results.values()) == {"PASS"}, results
            assert f"lets through to the bridge at {ADDRESS}" in steps["turn-tls"]["seen"]
            assert (world.folder / "left").read_text().startswith("0 of jitsilab-check-")  # nobody stays
            return
        step, cause, reason = FAULTS[fault]
        assert step in failed, steps
        assert failed[step][0] == cause, steps[step]
        assert reason is None or failed[step][1] == reason, steps[step]
        allowed = {step} | ALSO.get(fault, set())
        assert set(failed) <= allowed, {name: steps[name]["seen"] for name in failed}
    assert "turn-secret" not in json.dumps(steps)


@TOOLS
def test_a_planned_server_passes(network: tuple[str, ...], certificates: Path, tmp_path: Path) -> None:
    """The files of `deploy plan` in the real programs, with stand-ins for Jitsi's own modules, focus and bridge."""
    with World(network, certificates, tmp_path / "world", "planned") as world:
        steps = world.check()
    results = {name: one["result"] for name, one in steps.items()}
    assert results.pop("dns") == results.pop("turn-udp") == results.pop("turn-tcp") == "NOT_APPLICABLE"
    assert set(results.values()) == {"PASS"}, {
        name: one["seen"] for name, one in steps.items() if one["result"] == "FAIL"
    }


ALSO = {  # what the same fault shows elsewhere too
    "prosody-down": {"websocket"}, "turn-denies": {"turn-tcp", "turn-tls"}, "turn-secret": {"turn-tcp", "turn-tls"},
    "turn-down": {"turn-udp", "turn-tcp", "stun"},
}  # fmt: skip


STAGES = ("accept", "tls", "page", "config", "websocket", "frames", "features", "login", "bind", "focus", "room",
          "offer", "services", "bosh")  # fmt: skip


class Staller:
    """A server that answers as Jitsi's would up to a stage, and then keeps every connection open and says nothing more.

    With ``drips`` it sends a byte now and then instead: every read has an answer, and none ever ends.
    """

    def __init__(self, folder: Path, stage: str, drips: bool) -> None:
        self.stage, self.drips, self.ended = STAGES.index(stage), drips, threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "good.crt", folder / "good.key")
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.ended.set()
        self.server.close()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                one, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(one,), daemon=True).start()

    def stalls(self, stage: str, one: Any) -> bool:
        if STAGES.index(stage) != self.stage:
            return False
        while not self.ended.wait(0.1):
            if self.drips:
                one.sendall(b"H" if stage in ("page", "config", "websocket", "bosh") else b"\x81\x05<a/>x"[:1])
        return True

    def _talk(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError), plain:
            if self.stage == STAGES.index("accept") or self.stalls("tls", plain):
                self.ended.wait()
                return
            one = self.context.wrap_socket(plain, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (block := one.recv(4096)):
                    return  # or this thread would spin until the last test has run
                head += block
            path = head.split(b" ")[1].decode()
            if path == "/":
                self.stalls("page", one) or self.answer(one, "<html>")
            elif path == "/config.js":
                self.stalls("config", one) or self.answer(one, CONFIG)
            elif path.startswith("/http-bind"):
                self.stalls("bosh", one) or self.answer(
                    one, "<body xmlns='http://jabber.org/protocol/httpbind' sid='s'><a/></body>"
                )
            else:
                self._xmpp(one, head)

    def answer(self, one: Any, body: str) -> None:
        one.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def _xmpp(self, one: Any, head: bytes) -> None:
        if self.stalls("websocket", one):
            return
        key = head.lower().split(b"sec-websocket-key: ")[1]
        key = head[len(head) - len(key) :].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        one.sendall(f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        features = "<features><mechanisms xmlns='{0}'><mechanism>ANONYMOUS</mechanism></mechanisms></features>"
        sasl, bind = "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-bind"
        focus = "http://jitsi.org/protocol/focus"
        if self.stalls("frames", one):
            return
        while True:
            text = self.read(one)
            identity = (re.search(r'id="([^"]+)"', text) or [None, ""])[1]
            result = f"<iq xmlns='jabber:client' type='result' id='{identity}'>"
            if text.startswith("<open"):
                self.write(one, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
                if self.stalls("features", one):
                    return
                self.write(one, features.format(sasl))
            elif text.startswith("<auth"):
                if self.stalls("login", one):
                    return
                self.write(one, f"<success xmlns='{sasl}'/>")
            elif "xmpp-bind" in text:
                if self.stalls("bind", one):
                    return
                self.write(one, f"{result}<bind xmlns='{bind}'><jid>abcdefgh@{DOMAIN}/1</jid></bind></iq>")
            elif "extdisco" in text:
                if self.stalls("services", one):
                    return
                self.write(one, f"{result}<services xmlns='urn:xmpp:extdisco:2'/></iq>")
            elif "protocol/focus" in text:
                if self.stalls("focus", one):
                    return
                self.write(one, f"{result}<conference xmlns='{focus}' ready='true'/></iq>")
            elif text.startswith("<presence") and "unavailable" not in text:
                if self.stalls("room", one):
                    return
                to = (re.search(r'to="([^"]+)"', text) or [None, ""])[1]
                self.write(one, f"<presence xmlns='jabber:client' from='{to}'/>")  # and no offer ever: stage offer

    def read(self, one: Any) -> str:
        _, second = one.recv(1)[0], one.recv(1)[0]
        size = second & 127
        if size == 126:
            size = int.from_bytes(one.recv(2))
        mask, data = one.recv(4), b""
        while len(data) < size and (block := one.recv(size - len(data))):
            data += block
        return bytes(byte ^ mask[i & 3] for i, byte in enumerate(data)).decode()

    def write(self, one: Any, text: str) -> None:
        data = text.encode()
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2)
        one.sendall(b"\x81" + size + data)


EXPECTED = {  # the step that runs out of time where a server stalls there
    "accept": "certificate", "tls": "certificate", "page": "page", "config": "config", "websocket": "websocket",
    "frames": "websocket", "features": "login", "login": "login", "bind": "login", "services": "services",
    "focus": "focus", "room": "bridge", "offer": "bridge", "bosh": "bosh",
}  # fmt: skip


@pytest.mark.tool("openssl")
@pytest.mark.parametrize(
    ("stage", "drips"),
    thinned([(one, False) for one in STAGES] + [(one, True) for one in ("tls", "page", "websocket", "bosh")]),
)
def test_a_server_that_stalls_has_a_verdict_in_time(certificates: Path, stage: str, drips: bool) -> None:
    server, limit = Staller(certificates, stage, drips), 2.5
    begin = time.monotonic()
    try:
        steps = probing.check(
            DOMAIN, connect=("127.0.0.1", server.port), authorities=str(certificates / "ca.crt"), limit=limit
        )
    finally:
        server.close()
    slow = [
        one for one in steps if one.seconds > limit + 30
    ]  # room for a busy machine; a step that hangs takes forever
    assert not slow, [(one.name, one.seconds) for one in slow]
    assert time.monotonic() - begin < 300
    assert [one.name for one in steps] == [one.name for one in probing.PROBES]
    said = {one.name: one for one in steps}
    assert said[EXPECTED[stage]].verdict.security_word == "FAIL", said
    later = [one for one in steps if one.verdict.security_word == "PASS" and one.name in ("stun", "turn-tls", "udp")]
    assert not later  # nothing passes that was not looked at


def test_where_nobody_listens_all_else_stays_open() -> None:
    answer = probing.check("nothing.example.org", connect=("127.0.0.1", 9), limit=0.6)
    said = {one.name: one for one in answer}
    assert said["port"].verdict.security_word == "FAIL"
    assert "refused" in said["port"].seen
    assert {said[name].verdict.security_word for name in ("page", "login", "bridge", "turn-tls")} == {"NOT_OBSERVABLE"}


@TOOLS
@pytest.mark.parametrize(
    "name", thinned([pytest.param(one, marks=pytest.mark.tool(one)) for one in ("dumpcap", "tcpdump")] + ["scapy"])
)
def test_a_recording_of_a_check_holds_what_it_asked(
    network: tuple[str, ...], certificates: Path, tmp_path: Path, name: str
) -> None:
    """Real servers, a real participant's signaling, STUN and TURN, recorded on any; counts are the recorder's own."""
    out = tmp_path / "call.pcapng"
    with World(network, certificates, tmp_path / "world", "whole") as world:
        command = [
            *network,
            sys.executable,
            "-m",
            "jitsilab",
            "record",
            "--recorder",
            name,
            "--for",
            "jitsi",
            "-o",
            str(out),
        ]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        ) as one:
            time.sleep(4)
            steps = world.check()
            time.sleep(1)
            one.send_signal(signal.SIGINT)
            text, said = one.communicate(timeout=60)
    assert one.returncode == 0, said
    assert {step["result"] for step in steps.values()} == {"PASS", "NOT_APPLICABLE"}
    record = json.loads((tmp_path / "call.recording.json").read_text())
    call = load(out)
    assert record["recordings"][0]["packets"] == len(call.frames) == record["integrity"]["frames"]
    assert record["integrity"]["kernel_dropped"] == 0
    assert "signaling is in clear" in text  # nginx to Prosody, on the loopback side
    assert call.xmpp["clear"].any()
    methods = set(call.stun["method"])
    assert {"Binding", "Allocate", "CreatePermission", "Refresh"} <= methods
