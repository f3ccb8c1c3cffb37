"""One participant behind a TURN server for hours: ``python -m benchmarks.relayed [--packets N]`` writes relayed.md.

A capture is made of one connection: an allocation, a permission, a channel, some checks, and then media in ChannelData,
over UDP, over TCP, and over TLS, which OpenSSL speaks here with itself. All of it is one flow, which is the hardest
that a capture can be: what is decided by flow is decided over all packets.
"""

import argparse
import datetime
import os
import ssl
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from benchmarks.__main__ import HERE, Contender

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)  # of a capture of Ethernet frames
COOKIE = b"\x21\x12\xa4\x42"
CLIENT, PEER, MAPPED = (b"\x0a\0\0\5", 40000), (b"\xc6\x33\x64\x07", 10000), (b"\xcb\0\x71\5", 40000)
SERVER = {"udp": (b"\xc0\0\2\2", 3478), "tcp": (b"\xc0\0\2\2", 3478), "tls": (b"\xc0\0\2\2", 443)}
BYTES = 60  # of media in a packet
EVERY = 20_000  # ns between packets
RUN = [sys.executable, "-m", "jitsilab"]
Send = Callable[[bool, bytes], None]  # whether from the client, and a message


class Frames:
    """A capture of one five-tuple."""

    def __init__(self, out: BinaryIO, transport: str) -> None:
        self._out, self._udp = out, transport == "udp"
        self._ends = CLIENT, SERVER[transport]
        self._next = {True: 1000, False: 5000}
        self._time = 1_700_000_000_000_000_000
        out.write(HEADER)

    def opened(self) -> None:
        """TCP's own opening."""
        for up, flags in ((True, 2), (False, 0x12), (True, 0x10)):
            self.send(up, b"", flags)

    def send(self, up: bool, data: bytes, flags: int = 0x18) -> None:
        """The next frame."""
        (source, port), (target, to) = self._ends if up else self._ends[::-1]
        if self._udp:
            segment = struct.pack("!HHHH", port, to, 8 + len(data), 0) + data
        else:
            numbers = self._next[up] & 0xFFFFFFFF, self._next[not up] & 0xFFFFFFFF
            segment = struct.pack("!HHIIBBHHH", port, to, *numbers, 0x50, flags, 60000, 0, 0) + data
            self._next[up] += len(data) + (flags >> 1 & 1)
        protocol = 17 if self._udp else 6
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0, source, target)
        frame = bytes(12) + b"\x08\0" + header + segment
        self._time += EVERY
        seconds, rest = divmod(self._time, 10**9)
        self._out.write(struct.pack("<IIII", seconds, rest // 1000, len(frame), len(frame)) + frame)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def address(kind: int, end: tuple[bytes, int]) -> bytes:
    """An XOR-ed one (RFC 8489 section 14.2)."""
    hidden = bytes(a ^ b for a, b in zip(end[0], COOKIE, strict=True))
    return attribute(kind, struct.pack("!BBH", 0, 1, end[1] ^ 0x2112) + hidden)


def messages(packets: int) -> Iterator[tuple[bool, bytes]]:
    """What client and server say to each other (RFC 8656)."""
    number = 0

    def message(kind: int, *attributes: bytes) -> bytes:
        body = b"".join(attributes)
        return struct.pack("!HH", kind, len(body)) + COOKIE + number.to_bytes(12) + body

    realm, signed = (attribute(0x14, b"meet.example"), attribute(0x15, b"nonce1234")), attribute(8, bytes(20))
    known = (attribute(6, b"1800000000"), *realm, signed)
    udp, peer = attribute(0x19, b"\x11\0\0\0"), address(0x12, PEER)
    given = address(0x16, (SERVER["udp"][0], 50000)), address(0x20, MAPPED), attribute(13, b"\0\0\2\x58"), signed
    for asked, answer in (
        ((3, udp), (0x113, attribute(9, b"\0\0\4\1Unauthorized"), *realm)), ((3, udp, *known), (0x103, *given)),
        ((8, peer, *known), (0x108, signed)), ((9, attribute(12, b"\x40\0\0\0"), peer, *known), (0x109, signed)),
    ):  # fmt: skip
        number += 1
        yield True, message(*asked)
        yield False, message(*answer)

    def carried(data: bytes) -> bytes:
        return b"\x40\0" + struct.pack("!H", len(data)) + data + bytes(-len(data) % 4)

    for _ in range(5):
        number += 1
        yield True, carried(message(1, attribute(6, b"abcd:efgh"), attribute(0x24, b"\x7e\0\0\1"), signed))
        yield False, carried(message(0x101, address(0x20, PEER), signed))
    sequence, media = {True: 0, False: 100}, os.urandom(BYTES)
    for packet in range(packets):
        up = packet % 3 == 0
        sequence[up] += 1
        kind, ssrc = (111, 7) if up else (100, 9)
        head = struct.pack("!BBHII", 0x80, kind, sequence[up] & 0xFFFF, packet * 960 & 0xFFFFFFFF, ssrc)
        yield up, carried(head + media)


def sealed(frames: Frames, folder: Path, keys: Path) -> Send:
    """Both ends of TLS, which send what they write through ``frames``; their secrets go to ``keys``."""
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.check_hostname, ours.verify_mode, ours.keylog_filename = False, ssl.CERT_NONE, str(keys)
    theirs.load_cert_chain(_certificate(folder / "certificate.pem"))
    bios = {up: (ssl.MemoryBIO(), ssl.MemoryBIO()) for up in (True, False)}  # in, out
    ends = {
        True: ours.wrap_bio(*bios[True], server_hostname="turn.meet.example"),
        False: theirs.wrap_bio(*bios[False], server_side=True),
    }

    def flush(up: bool) -> None:
        data = bios[up][1].read()
        for begin in range(0, len(data), 1400):
            frames.send(up, data[begin : begin + 1400])
        if data:
            bios[not up][0].write(data)

    waiting = {True, False}
    while waiting:
        for up in sorted(waiting, reverse=True):
            try:
                ends[up].do_handshake()
                waiting.remove(up)
            except ssl.SSLWantReadError:
                pass
            flush(up)

    def send(up: bool, data: bytes) -> None:
        ends[up].write(data)
        frames.send(up, bios[up][1].read())

    return send


def _certificate(path: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + datetime.timedelta(days=3650))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def capture(path: Path, transport: str, packets: int) -> None:
    """Write one; of TLS with its key log beside it, under its name and ``.keys``."""
    with path.open("wb", buffering=1 << 20) as out:
        frames = Frames(out, transport)
        send: Send = frames.send
        if transport != "udp":
            frames.opened()
        if transport == "tls":
            send = sealed(frames, path.parent, Path(f"{path}.keys"))
        for up, data in messages(packets):
            send(up, data)


def contenders() -> list[Contender]:
    """What is done with each."""
    keys = ["--keylog", "{path}.keys"]
    return [
        Contender("diagnose", [*RUN, "diagnose", "{path}"], 1 << 62),
        Contender("audit", [*RUN, "audit", "--fail-on", "never", "{path}"], 1 << 62),
        Contender("share", [*RUN, "share", "{path}", "-o", "{path}.shared"], 1 << 62),
        Contender("diagnose with keys", [*RUN, "diagnose", "{path}", *keys], 1 << 62),
        Contender("share with keys", [*RUN, "share", "{path}", *keys, "-o", "{path}.opened"], 1 << 62),
    ]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relayed", description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args(arguments)
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for transport in SERVER:
            path = Path(folder) / f"{transport}.pcap"
            capture(path, transport, given.packets)
            for one in contenders():
                if transport == "tls" or not one.name.endswith("keys"):
                    seconds, memory = one.run(path)
                    measured[one.name, transport] = f"{seconds:.0f} s, {memory / 1e6:.0f} MB"
                    print(f"{transport} {one.name}: {measured[one.name, transport]}", flush=True)
            path.unlink()
    lines = ["# A call through a relay", "", f"Written by `python -m benchmarks.relayed`. {given.packets:,} packets of "
             f"media ({BYTES} bytes each) in one connection to a TURN server; whole processes.", "",
             "| | over UDP | over TCP | over TLS |", "|---|---|---|---|"]  # fmt: skip
    for one in contenders():
        lines.append(f"| {one.name} | " + " | ".join(measured.get((one.name, way), "") for way in SERVER) + " |")
    (given.out / "relayed.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    begun = time.perf_counter()
    main(sys.argv[1:])
    print(f"{time.perf_counter() - begun:.0f} s on {os.cpu_count()} cores")
