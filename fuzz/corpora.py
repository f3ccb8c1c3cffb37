"""Seeds out of the recordings in data/: real bytes of each protocol, real lines, real files, cut to what is small."""

import gzip
import hashlib
import io
import json
import lzma
import random
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz import made
from fuzz.targets import SEPARATOR
from jitsilab.inputs import kinds as every_kind
from jitsilab.inputs import registry
from jitsilab.inputs.delivery import gather as deliveries
from jitsilab.pcap import read
from jitsilab.pcap.writing import Writer
from jitsilab.wire import Wire
from jitsilab.wire.decrypt import KeyLog

RECORDINGS = ("jvb-3", "token-expired", "jvb-bosh", "clear-5222", "p2p-2", "hostile", "jvb-ipv6", "jvb-tls12")
VECTORS = Path(__file__).resolve().parent.parent / "tests" / "vectors"
MANY = 120  # seeds of one name
SIZE = 8192  # bytes of a seed, unless it has to be whole
PASSAGE = 300  # bytes of a seed for a grammar that takes a tenth of a second for a whole file
IN_PASSAGES = ("facts-prosody", "facts-bridge", "facts-focus", "facts-nginx")
Found = dict[str, list[bytes]]


def write(folder: Path, quick: bool = False) -> None:
    """Write every seed below a folder, one folder a name; what is there already stays."""
    if (folder / "made").is_file():
        return
    choice = random.Random(20)
    for name, seeds in gather(quick).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        some = list(dict.fromkeys(seeds))
        for seed in choice.sample(some, min(len(some), MANY)):
            (folder / name / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    (folder / "keys").write_bytes(b"\n".join(_keys()))
    (folder / "made").touch()


def words(folder: Path, names: tuple[str, ...]) -> Iterator[bytes]:
    """The words that are commonest in some seeds: a dictionary for the mutator."""
    counts: Counter[bytes] = Counter()
    for name in names:
        for path in sorted((folder / name).glob("*")):
            text = path.read_bytes()
            current = bytearray()
            for byte in text + b" ":
                if chr(byte).isalnum() or byte in b"_-:.":
                    current.append(byte)
                elif current:
                    if 2 < len(current) < 24:
                        counts[bytes(current)] += 1
                    current.clear()
    yield from (word for word, _ in counts.most_common(150))


def gather(quick: bool = False) -> Found:
    """Seeds by name."""
    found: Found = defaultdict(list)
    names = RECORDINGS[:3] if quick else RECORDINGS
    for name in names:
        entry = registry.find(name)
        for point in entry.points[:1] if quick else entry.points[:2]:
            keys = KeyLog.load(entry.keylog) if entry.keylog else None
            _packets(Wire(read(entry.path(point)), keys), found)
        _files(entry, found)
    for name in registry.names():
        entry = registry.find(name)
        if entry.facts is not None:
            _facts(entry.facts, found)
    for name in IN_PASSAGES:
        found[name] = [passage for text in found[name] for passage in _passages(text)]
    _archives(found)
    for name, seeds in made.SEEDS.items():
        found[name] += seeds
    found["dns"] += made.names(VECTORS / "dns")
    found["certificate"] += made.certificates()
    return found


def _keys() -> Iterator[bytes]:
    for name in RECORDINGS:
        entry = registry.find(name)
        if entry.keylog is not None:
            yield entry.keylog.read_bytes()


def _packets(wire: Wire, found: Found) -> None:
    for unit in wire.units[:: max(1, len(wire.units) // 400)]:
        found[unit.kind].append(unit.data[:SIZE])
    dtls: dict[int, list[bytes]] = defaultdict(list)
    for unit in wire.units:
        if unit.kind == "dtls":
            dtls[unit.flow].append(unit.data)
    found["dtls"] += [SEPARATOR.join(some[:8])[:SIZE] for some in dtls.values()]
    for number, session in list(wire.sessions.items())[:40]:
        flow = wire.flows[number]
        up, down = (b"".join(piece.data for piece in flow.stream(side).pieces[:1]) for side in (True, False))
        found["tls"] += [up[:3000] + SEPARATOR + down[:5000], up[:600] + SEPARATOR + down[:1200]]
        found["certificate"] += session.certificates
        for record in session.records:
            found["handshake"] += [bytes([one.type]) + one.body for one in record.messages]
        plain = [session.plaintext(side).pieces for side in (True, False)]
        texts = [pieces[0].data if pieces else b"" for pieces in plain]
        if any(texts):
            name = "http2" if session.alpn == "h2" else "turn-stream" if texts[0][:1] == b"\0" else "http1"
            found[name].append(texts[0][:4000] + SEPARATOR + texts[1][:4000])
            head, _, rest = texts[0].partition(b"\r\n\r\n")
            if b"pgrade" in head and rest:
                found["websocket"] += [b"\x03" + rest[:4000], b"\x02" + texts[1].partition(b"\r\n\r\n")[2][:4000]]
    for message in wire.carried.messages[:200]:
        size = len(message.data)
        if size < 4000:
            head = bytes([0x81, size]) if size < 126 else bytes([0x81, 126]) + size.to_bytes(2)
            found["websocket"].append(b"\0" + head + message.data)
    texts_found = [one.xml.encode() for one in wire.carried.stanzas]
    found["stanza"] += [text for text in texts_found if len(text) < SIZE]
    found["jingle"] += [text for text in texts_found if b"urn:xmpp:jingle:1" in text and len(text) < 12_000]
    found["xmpp-stream"] += [b"".join(texts_found[at : at + 5])[:SIZE] for at in range(0, len(texts_found), 25)]
    for exchange in wire.carried.http[:60]:
        body = exchange.sent.data or exchange.received.data
        if body and len(body) < 4000:
            found["bosh"].append(
                b"POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body) + SEPARATOR
                + b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )  # fmt: skip
    _sdp(found)
    _captures(wire, found)
    packets = wire.packets
    rows = ((packets.src_port == 53) | (packets.dst_port == 53)).nonzero()[0][:60]
    found["dns"] += [data for data in packets.payloads(rows) if len(data) > 11]


def _sdp(found: Found) -> None:
    from jitsilab.errors import LabError
    from jitsilab.protocols import jingle

    for text in found["jingle"][-8:]:
        try:
            found["sdp"].append(jingle.to_sdp(text).encode())
        except LabError:
            continue


def _captures(wire: Wire, found: Found) -> None:
    """Small captures out of a large one: its beginning, and some frames from all over it."""
    packets = wire.packets
    choice = random.Random(len(packets))
    every = range(1, len(packets) + 1)
    for numbers in (every[:12], every[:40], sorted(choice.sample(every, min(12, len(every)))), every[200:230]):
        with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
            with Writer(Path(file.name), "a piece of a recording") as out:
                for interface in packets.interfaces:
                    out.interface(interface)
                for number in numbers:
                    row = number - packets.first
                    out.frame(
                        int(packets.interface[row]), int(packets.time[row]), packets.frame(number)[:1500],
                        int(packets.length[row]),
                    )  # fmt: skip
            data = Path(file.name).read_bytes()
            _prints(file.name, found)
        found["capture"] += [data[:16_000], gzip.compress(data)[:16_000], _as_pcap(wire, list(numbers))[:16_000]]


def _as_pcap(wire: Wire, numbers: list[int]) -> bytes:
    packets = wire.packets
    out = io.BytesIO()
    link = packets.interfaces[0].link
    out.write(bytes.fromhex("d4c3b2a1020004000000000000000000") + (262144).to_bytes(4, "little"))
    out.write(link.to_bytes(4, "little"))
    for number in numbers:
        row, data = number - packets.first, packets.frame(number)[:1500]
        time = int(packets.time[row])
        for value in (time // 10**9, time % 10**9 // 1000, len(data), int(packets.length[row])):
            out.write(value.to_bytes(4, "little"))
        out.write(data)
    return out.getvalue()


def _prints(capture: str, found: Found) -> None:
    """What tshark prints of a piece, where there is a tshark, in each of its forms."""
    if shutil.which("tshark") is None or len(found["print"]) > 60:
        return
    fields = [
        part for name in ("frame.number", "ip.src", "ip.dst", "udp.srcport", "_ws.col.Info") for part in ("-e", name)
    ]
    for form in (
        [],
        ["-V"],
        ["-t", "ad"],
        ["-T", "tabs"],
        ["-T", "json"],
        ["-T", "ek"],
        ["-T", "fields", "-E", "header=y", *fields],
    ):
        done = subprocess.run(["tshark", "-n", "-r", capture, "-c", "4", *form], capture_output=True, check=False)
        found["print"].append(done.stdout[:SIZE])
    found["print"] += _TCPDUMP


_TCPDUMP = [
    b"12:00:00.000000 IP 192.0.2.1.40000 > 192.0.2.9.10000: UDP, length 100\n"
    b"12:00:00.1 IP6 2001:db8::1.40000 > 2001:db8::9.443: Flags [S], seq 1, win 64240, options [mss 1460], length 0\n",
    b"1600000000.000001 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto UDP (17), length 60)\n"
    b"    192.0.2.1.40000 > 192.0.2.9.3478: [udp sum ok] UDP, length 32\n",
]


def _files(entry: Any, found: Found) -> None:
    """Logs, consoles, dumps and answers of a recording."""
    choice = random.Random(7)
    for one in deliveries(list(entry.evidence)):
        if one.note or not one.head.strip():
            continue
        with one.open() as file:
            data = file.read(1 << 22)
        scores = [(kind.recognise(one), kind) for kind in every_kind()]
        sure, kind = max(scores, key=lambda pair: pair[0])
        if sure < 0.3:
            continue
        name = "log" if kind.name.endswith("-log") or "log" in kind.name else kind.name
        name = "rest" if kind.name not in ("console", "webrtc-internals", "rtcstats", "har") and name != "log" else name
        found[name].append(data[:SIZE])
        if name in ("webrtc-internals", "har", "rtcstats"):
            found[name] += _smaller(data)
            continue
        lines = data.splitlines(keepends=True)
        for _ in range(12):
            at = choice.randrange(len(lines))
            found[name].append(b"".join(lines[at : at + 25])[:SIZE])
        if name == "log":
            found["log-line"] += [line[:1024] for line in choice.sample(lines, min(60, len(lines)))]


def _smaller(data: bytes) -> Iterator[bytes]:
    """A JSON dump with its longest lists and texts cut, so that it is whole and small."""
    for most in (2, 6):
        try:
            yield json.dumps(_cut(json.loads(data), most)).encode()[:20_000]
        except ValueError:
            yield b"\n".join(data.splitlines()[: most * 10])[:20_000]


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(one, most) for key, one in list(value.items())[: most * 6]}
    if isinstance(value, list):
        return [_cut(one, most) for one in value[:most]]
    return value[:3000] if isinstance(value, str) else value


def _facts(folder: Path, found: Found) -> None:
    from jitsilab.facts import kinds

    parts = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > 40_000:
            continue
        data = path.read_bytes()
        kind = kinds.recognise(path.name, data)
        if kind is not None:
            found[f"facts-{kind}"].append(data[:SIZE])
            parts.append(data[:1800])
    found["facts-all"].append(SEPARATOR.join(parts)[:16_000])
    found["facts-apache"] = [
        b"<VirtualHost *:443>\n  SSLProtocol all -SSLv3\n  ProxyPass /http-bind http://localhost:5280/http-bind\n</VirtualHost>\n"
    ]


def _passages(text: bytes) -> Iterator[bytes]:
    """From each line to where its brackets are closed again, where that is not far."""
    lines = text.splitlines(keepends=True)
    for start in range(len(lines)):
        passage, depth = b"", 0
        for line in lines[start:]:
            passage += line
            depth += sum(line.count(mark) for mark in b"{[(") - sum(line.count(mark) for mark in b"}])")
            if depth <= 0 or len(passage) > PASSAGE:
                break
        if depth == 0 and passage.strip() and len(passage) <= PASSAGE:
            yield passage


def _archives(found: Found) -> None:
    capture, log = found["capture"][0][:3000], (found["log"] or [b"x"])[0][:3000]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("a/call.pcapng", capture), ("../b.log", log)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as folder:
        folder.writestr("a/call.pcapng", capture)
        folder.writestr("b.log", log)
    found["archive"] = [
        out.getvalue(), packed.getvalue(), gzip.compress(out.getvalue()), lzma.compress(log), gzip.compress(log)
    ]  # fmt: skip
    found["keylog"] = [b"".join(key.splitlines(keepends=True)[:12]) for key in _keys()]
