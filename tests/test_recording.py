"""Recording in a network of its own: every recorder's counts, every way in which a recording ends, and what is said."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from by_night import thinned

from jitsilab import pcap
from jitsilab.call import load
from jitsilab.errors import LabError
from jitsilab.recording import cutting, files, filters, integrity, recorders, sniffer
from jitsilab.recording.recorders import Counts

TALK = """
import socket, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
deadline = time.monotonic() + 900
while time.monotonic() < deadline:
    one.sendto(b"x" * int(sys.argv[1]), ("127.0.0.1", 9999))
    time.sleep(float(sys.argv[2]))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, ...]]:
    """What comes before a command to run it in a network where somebody sends 1,000 bytes to lo 100 times a second."""
    name = f"jitsilab-rec-{os.getpid()}"
    inside = ("ip", "netns", "exec", name)
    if shutil.which("ip") is None or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this user may not make a network namespace")
    try:
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, *["ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner"]], check=True)
        for one in ("outer", "inner"):
            subprocess.run([*inside, "ip", "link", "set", one, "up"], check=True)
        talk = subprocess.Popen([*inside, sys.executable, "-c", TALK, "1000", "0.01"])
        yield inside
        talk.kill()
        talk.wait()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def record(network: tuple[str, ...], *arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*network, *before, sys.executable, "-m", "jitsilab", "record", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False)


ALL = [pytest.param(one, marks=() if one == "scapy" else pytest.mark.tool(one)) for one in recorders.NAMES]


@pytest.mark.parametrize("name", thinned(ALL))
def test_what_is_in_the_file_is_what_the_recorder_counted(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    out = tmp_path / "call.pcapng"
    done = record(network, "-d", "2", "--recorder", name, "--for", "jitsi", "-f", "udp port 9999", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert f"recording with {name}" in done.stderr
    packets = pcap.read(out)
    assert not packets.errors
    assert len(packets) > 50
    said = json.loads((tmp_path / "call.recording.json").read_text())
    assert said["recordings"][0]["packets"] == len(packets) == said["integrity"]["frames"]
    assert said["recordings"][0]["kernel_dropped"] == said["integrity"]["kernel_dropped"]  # none but on a busy machine
    assert said["integrity"]["interfaces"]["lo"] > 50  # found among all, by its name
    assert 1.0 < said["integrity"]["span_s"] < 3.5
    assert sum(one.received or 0 for one in files.statistics(out)) >= len(packets)  # kept in the file too
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.pcapng", "call.recording.json"]
    assert out.stat().st_mode & 0o777 == 0o600
    if shutil.which("capinfos"):
        text = subprocess.run(["capinfos", "-rcM", str(out)], capture_output=True, text=True, check=True).stdout
        assert f" {len(packets)}" in text


@pytest.mark.parametrize("name", thinned(ALL))
def test_an_interrupt_leaves_a_whole_file(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    out = tmp_path / "call.pcap"
    command = [*network, sys.executable, "-m", "jitsilab", "record", "-i", "lo", "--recorder", name, "-o", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as one:
        deadline = time.monotonic() + 120
        while not (out.exists() and out.stat().st_size > 40_000) and time.monotonic() < deadline:
            time.sleep(0.1)
            if name == "scapy" and one.poll() is not None:
                break
        one.send_signal(signal.SIGINT)
        text, said = one.communicate(timeout=200)
    assert one.returncode == 0, said
    packets = pcap.read(out)
    assert not packets.errors
    assert len(packets) > 20
    assert json.loads((tmp_path / "call.recording.json").read_text())["recordings"][0]["interrupted"]
    assert str(out) in text


@pytest.mark.parametrize("name", thinned(ALL))
def test_an_unknown_interface_is_one_sentence(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    done = record(network, "-i", "nope", "-d", "2", "--recorder", name, "-o", str(tmp_path / "call.pcapng"))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last == "jitsilab: There is no interface nope here. There are: any, lo, inner, outer.", done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", thinned(ALL))
def test_a_bad_filter_is_one_sentence(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    done = record(
        network, "-i", "lo", "-d", "2", "-f", "tcp porrt 5", "--recorder", name, "-o", str(tmp_path / "a.pcapng")
    )
    assert done.returncode == 2
    assert "does not understand the filter 'tcp porrt 5'" in done.stderr.strip().splitlines()[-1], done.stderr


@pytest.mark.tool("setpriv")
@pytest.mark.parametrize("name", thinned(ALL))
def test_without_the_right_the_command_is_told(network: tuple[str, ...], name: str) -> None:
    program = recorders.program_of(next(one for one in recorders.RECORDERS if one.name == name))
    if name != "scapy" and program and recorders.has_capabilities(program):
        pytest.skip(f"{name} may record here without root")
    nobody = ("setpriv", "--reuid", "65534", "--clear-groups", "--no-new-privs")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        out = Path(folder) / "call.pcapng"
        done = record(network, "-i", "lo", "-d", "2", "--recorder", name, "-o", str(out), before=nobody)
    if any(why in done.stderr for why in ("No module named", "python: Permission denied", "loading shared libraries")):
        pytest.skip("another user cannot run this Python")
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "This user may not record on lo: run `sudo " in last, done.stderr
    assert f"record -i lo -d 2 --recorder {name}" in last
    assert ("setcap cap_net_raw,cap_net_admin=eip" in last) == (name != "scapy")


@pytest.mark.parametrize("name", thinned(ALL))
def test_an_interface_that_goes_is_one_sentence(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    pair = f"{name}0", f"{name}1"
    subprocess.run([*network, "ip", "link", "add", pair[0], "type", "veth", "peer", "name", pair[1]], check=True)
    for one in pair:
        subprocess.run([*network, "ip", "link", "set", one, "up"], check=True)
    out = tmp_path / "call.pcapng"
    command = [*network, sys.executable, "-m", "jitsilab", "record", "-i", pair[0], "-d", "30", "--recorder", name,
               "-o", str(out)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as one:
        deadline = time.monotonic() + 120
        while not [path for path in tmp_path.iterdir() if path.stat().st_size] and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
        subprocess.run([*network, "ip", "link", "del", pair[0]], check=True)
        _, said = one.communicate(timeout=200)
    assert one.returncode == 1, said
    assert said.strip().splitlines()[-1] == (
        f"jitsilab: The interface {pair[0]} is gone: the recording ended, and what it has up to there can be read."
    )
    assert not pcap.read(out).errors


@pytest.mark.tool("unshare", "mount")
@pytest.mark.parametrize("name", thinned(ALL))
def test_a_full_disk_is_one_sentence(network: tuple[str, ...], tmp_path: Path, name: str) -> None:
    keep = tmp_path.parent / f"kept-{name}"
    keep.mkdir()
    out = tmp_path / "call.pcapng"
    inner = f'mount -t tmpfs -o size=400k none "{tmp_path}" && "$@"; code=$?; cp {tmp_path}/* {keep}/; exit $code'
    small = ("unshare", "-m", "--propagation", "private", "bash", "-c", inner, "full")
    done = record(network, "-i", "lo", "-d", "30", "--recorder", name, "-o", str(out), before=small)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        f"jitsilab: The disk of {tmp_path} is full: the recording ended, and what it has up to there can be read."
    )
    packets = [pcap.read(path) for path in keep.iterdir() if path.suffix in (".pcap", ".pcapng")]
    assert len(packets) == 1
    assert not packets[0].errors
    assert len(packets[0]) > 100


@pytest.mark.tool("dumpcap")
def test_a_ring_keeps_the_newest(network: tuple[str, ...], tmp_path: Path) -> None:
    done = record(network, "-i", "lo", "-d", "2", "--ring", "2x100", "-o", str(tmp_path / "call.pcapng"))
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("call_0*.pcapng"))) == 1
    assert json.loads((tmp_path / "call.recording.json").read_text())["integrity"]["frames"] > 50


@pytest.mark.tool("dumpcap", "nsenter")
def test_inside_the_networks_of_containers(network: tuple[str, ...], tmp_path: Path) -> None:
    """A stand-in for docker names processes; the networks are real, and each is recorded from inside."""
    names = [f"jitsilab-c{number}-{os.getpid()}" for number in (1, 2)]
    running = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
            running.append(subprocess.Popen(["ip", "netns", "exec", name, sys.executable, "-c", TALK, "200", "0.02"]))
        listed = "\n".join(
            json.dumps({"ID": f"c{number}", "Service": service, "State": "running"})
            for number, service in enumerate(("jvb", "prosody"))
        )
        stand_in = tmp_path / "bin"
        stand_in.mkdir()
        (stand_in / "docker").write_text(
            f"#!/bin/sh\ncase \"$1\" in compose) cat <<'END'\n{listed}\nEND\n;; "
            f"inspect) case $4 in c0) echo {running[0].pid};; c1) echo {running[1].pid};; esac;; esac\n"
        )
        (stand_in / "docker").chmod(0o755)
        out = tmp_path / "call.pcapng"
        environment = {**ENVIRONMENT, "PATH": f"{stand_in}:{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, "-m", "jitsilab", "record", "--docker", "-d", "2", "-o", str(out)],
            capture_output=True, text=True, env=environment, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "in the networks of jvb, prosody" in done.stderr
        packets = pcap.read(out)
        assert {one.name for one in packets.interfaces} == {"jvb:any", "prosody:any"}
        said = json.loads((tmp_path / "call.recording.json").read_text())
        counts = [one["packets"] for one in said["recordings"]]
        assert min(counts) > 20
        assert sum(counts) == len(packets)
        assert (packets.time[1:] >= packets.time[:-1]).all()
        assert sorted(path.name for path in tmp_path.glob("call.*")) == ["call.pcapng", "call.recording.json"]
        bad = subprocess.run(
            [sys.executable, "-m", "jitsilab", "record", "--docker", "--service", "web", "-d", "2", "-o", "x.pcapng"],
            capture_output=True, text=True, env=environment, timeout=300, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert "No service web runs. There are: jvb, prosody." in bad.stderr
    finally:
        for one in running:
            one.kill()
            one.wait()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "call.pcapng").write_text("precious")
    done = record((), "-d", "1", "-o", str(tmp_path / "call.pcapng"))
    assert done.returncode == 2
    assert "overwrites nothing" in done.stderr


@pytest.mark.parametrize("name", ["turn-refused", "jvb-lossy", "p2p-turn-tls"])
def test_without_media_payloads_a_call_is_told_the_same(
    recording: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    try:
        folder = recording(name)
    except Exception:
        pytest.skip(f"no recording {name}")
    source = next(iter(sorted(folder.glob("capture-eth0.pcap*"))))
    path = tmp_path / source.name
    shutil.copy(source, path)
    keys = folder / "keys.txt"
    before = load(source, keylog=keys).diagnosis.to_json()
    cut = cutting.cut_media(path)
    assert cut.frames > 100
    assert path.stat().st_size < source.stat().st_size - cut.bytes * 0.9
    after = load(path, keylog=keys).diagnosis.to_json()
    for one in (before, after):
        one.pop("inputs")
    assert json.dumps(after, default=str).replace(str(path), "X") == json.dumps(before, default=str).replace(
        str(source), "X"
    )
    packets = pcap.read(path)
    for row in (packets.captured_length < packets.length).nonzero()[0].tolist()[:50]:
        payload = packets.payload(row + 1)
        assert len(payload) < 200  # a header and its extensions


def test_a_cut_record_is_taken_off(recording: Callable[[str], Path], tmp_path: Path) -> None:
    source = next(iter(sorted(recording("turn-refused").glob("capture-eth0.pcap*"))))
    whole = source.read_bytes()
    path = tmp_path / "cut.pcapng"
    for size in (len(whole) - 3, len(whole) // 2, 3000):
        path.write_bytes(whole[:size])
        files.mend(path)
        packets = pcap.read(path)
        assert not packets.errors
        assert len(packets) == len(list(pcap.read(source).time)) if size == len(whole) else len(packets) > 0


def test_secrets_put_in_open_the_capture(recording: Callable[[str], Path], tmp_path: Path) -> None:
    folder = recording("turn-refused")
    source = next(iter(sorted(folder.glob("capture-eth0.pcapng"))))
    path = tmp_path / "call.pcapng"
    shutil.copy(source, path)
    files.embed(path, (folder / "keys.txt").read_bytes())
    assert load(path).table("xmpp") is not None
    assert len(load(path).xmpp) == len(load(source, keylog=folder / "keys.txt").xmpp)
    report = integrity.inspect([path], kernel_dropped=3)
    text = report.to_text()
    assert "TLS can be opened with the keys at hand" in text
    assert "the kernel dropped 3 packets" in text
    assert "S11" in text  # what the bridge and the focus say to each other is not there
    assert not integrity.inspect([source]).clear


LINES = {  # as the programs printed them here: dumpcap 4.0.17, tshark 4.0.17, tcpdump 4.99.3
    "dumpcap": ("Packets: 68 ", "Packets captured: 70",
                "Packets received/dropped on interface 'Loopback: lo': 70/1 "
                "(pcap:0/dumpcap:1/flushed:0/ps_ifdrop:2) (98.6%)"),
    "tshark": ("68 ", "70 packets captured", "1 packet dropped from lo"),
    "tcpdump": ("tcpdump: 68 packets captured, 68 packets received by filter, 0 packets dropped by kernel",
                "70 packets captured", "71 packets received by filter", "1 packet dropped by kernel",
                "2 packets dropped by interface"),
    "scapy": ("packets 68 dropped 0", "packets 70 dropped 1"),
}  # fmt: skip


@pytest.mark.parametrize("one", recorders.RECORDERS, ids=lambda one: one.name)
def test_what_recorders_print_is_counted(one: recorders.Recorder) -> None:
    counts = Counts()
    one.counts(LINES[one.name][0].strip(), counts)
    assert counts.packets == 68
    for line in LINES[one.name][1:]:
        one.counts(line, counts)
    assert (counts.packets, counts.dropped) == (70, 1)


@pytest.mark.tool("tcpdump")
@pytest.mark.parametrize("link", ["EN10MB", "LINUX_SLL2", "RAW"])
def test_the_filter_for_jitsi_compiles_on_every_link(link: str) -> None:
    keep = filters.expression("jitsi", "host 192.0.2.1")
    done = subprocess.run(["tcpdump", "-y", link, "-d", keep], capture_output=True, text=True, check=False)
    if "not supported" in done.stderr or "permission" in done.stderr.lower():
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr


@pytest.mark.tool("tshark")
def test_the_filter_for_jitsi_keeps_the_session(recording: Callable[[str], Path], tmp_path: Path) -> None:
    """Of a recording with everything, what the filter leaves gives the same diagnosis."""
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is not installed")
    folder = recording("turn-refused")
    source = next(iter(sorted(folder.glob("capture-eth0.pcapng"))))
    out = tmp_path / "kept.pcap"
    subprocess.run(["tcpdump", "-r", str(source), "-w", str(out), filters.expression("jitsi")], check=True,
                   capture_output=True)  # fmt: skip
    kept = load(out, keylog=folder / "keys.txt").diagnosis
    whole = load(source, keylog=folder / "keys.txt").diagnosis
    assert [(one["nick"], one["media_path"], one["cause"]) for one in kept.to_json()["participants"]] == [
        (one["nick"], one["media_path"], one["cause"]) for one in whole.to_json()["participants"]
    ]


@pytest.mark.parametrize(("size", "words"), [(0, ""), (64, "headers alone"), (200, "TLS hellos"), (1500, "holes")])
def test_a_snap_length_has_its_cost(size: int, words: str) -> None:
    assert words in filters.snap_cost(size)
    assert bool(words) == bool(filters.snap_cost(size))


def test_key_logs_are_told_for_every_platform(capsys: pytest.CaptureFixture[str]) -> None:
    from jitsilab import cli

    for platform, word in (("linux", "chromium"), ("macos", "/Applications"), ("windows", "$env:SSLKEYLOGFILE")):
        assert cli.main(["record", "--keylog-help", platform]) == 0
        text = capsys.readouterr().out
        assert word in text
        assert "Jicofo" in text


def test_the_sniffer_knows_its_links() -> None:
    assert sniffer._link("lo") == 1


PAGE = b"""<!DOCTYPE html><script>
console.log('[modules/xmpp/x.js] <hello> there');
(async () => {
  const one = new RTCPeerConnection(), other = new RTCPeerConnection();
  one.createDataChannel('x');
  await one.setLocalDescription(await one.createOffer());
  await other.setRemoteDescription(one.localDescription);
  window.kept = [one, other];
  console.log('offer is ready');
})();
</script>"""
SERVER = """
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open(sys.argv[1], "rb").read())
server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.mark.tool("dumpcap", "chromium", "openssl")
def test_a_browser_s_own_recording(network: tuple[str, ...], tmp_path: Path) -> None:
    page, pem = tmp_path / "page.html", tmp_path / "both.pem"
    page.write_bytes(PAGE)
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*make, "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")], check=True, capture_output=True
    )
    pem.write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "crt").read_bytes())
    out = tmp_path / "call.pcapng"
    with subprocess.Popen(
        [*network, sys.executable, "-c", SERVER, str(page), str(pem)], stderr=subprocess.DEVNULL
    ) as server:
        try:
            done = record(
                network, "-i", "lo", "-d", "5", "-f", "tcp port 443", "--browser", "https://localhost/room?jwt=x",
                "--browser-flag=--ignore-certificate-errors", "--embed", "-o", str(out),
            )  # fmt: skip
        finally:
            server.kill()
    assert done.returncode == 0, done.stderr
    assert "TLS can be opened with the keys at hand" in done.stdout
    assert (load(out).tls["decrypted"] == True).any()  # noqa: E712  # by the secrets inside, without the key log
    console = (tmp_path / "call.console.txt").read_text()
    assert "[modules/xmpp/x.js] <hello> there" in console
    assert "offer is ready" in console
    assert len(load(tmp_path / "call.webrtc-internals.txt").peer_connections) == 2
    for name in ("call.keys.txt", "call.console.txt", "call.webrtc-internals.txt", "call.pcapng"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.tool("dumpcap", "sh")
def test_what_the_machine_knows_is_put_beside(network: tuple[str, ...], tmp_path: Path) -> None:
    done = record(network, "-i", "lo", "-d", "1", "--all", "-o", str(tmp_path / "call.pcapng"))
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "call.here" / "index.txt").read_text()
    assert "taken: facts/" in index
    assert json.loads((tmp_path / "call.recording.json").read_text())["beside"] == str(tmp_path / "call.here")


@pytest.mark.slow
@pytest.mark.nightly("twenty recordings")
@pytest.mark.parametrize("name", ALL)
def test_a_kill_at_any_moment_leaves_no_recorder_and_nothing_that_looks_whole(
    network: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    choice = random.Random(22)
    words = [*network, sys.executable, "-m", "jitsilab", "record", "-i", "lo", "-d", "1", "--recorder", name, "-o"]
    begin = time.monotonic()
    subprocess.run([*words, str(tmp_path / "whole.pcapng")], env=ENVIRONMENT, check=True, capture_output=True)
    took = time.monotonic() - begin
    seen = set()
    for number in range(20):
        out = tmp_path / f"{number}.pcapng"
        with subprocess.Popen([*words, str(out)], env=ENVIRONMENT, **SILENT) as run:
            time.sleep(choice.uniform(0.1, 1.05) * took)
            run.kill()
        deadline = time.monotonic() + 20
        while _recording(out) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _recording(out), "a recorder goes on without us"
        told, raw = out.with_name(f"{number}.recording.json"), out.with_suffix(".pcap")
        seen.add((told.exists(), out.exists()))
        if told.exists():
            said = json.loads(told.read_text())["recordings"][0]
            assert said["packets"] in (None, len(pcap.read(out)))
        elif out.exists() or raw.exists():
            there = out if out.exists() else raw
            with contextlib.suppress(LabError):  # a header is not even there
                assert all("traceback" not in problem.message for problem in pcap.read(there).errors)
            if out.exists():
                again = subprocess.run([*words, str(out)], env=ENVIRONMENT, capture_output=True, text=True, check=False)
                assert again.returncode == 2
                assert f"not ended in order (there is no {told.name})" in again.stderr
    assert len(seen) > 1
    done = subprocess.run([*words, str(tmp_path / "again.pcapng")], env=ENVIRONMENT, check=True, capture_output=True)
    assert done.returncode == 0
    assert len(pcap.read(tmp_path / "again.pcapng")) > 20


SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _recording(out: Path) -> bool:
    """Whether a process still has this file, or the one beside it, on its command line."""
    names = {str(out).encode(), str(out.with_suffix(".pcap")).encode()}
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if names & set(place.read_bytes().split(b"\0")):
                return True
    return False
