"""Captures with less in them: what an analyst gets who began late, stopped early, lost packets, or cut each short."""

import io
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import made_captures as made

from jitsilab import pcap
from jitsilab.call import Call
from jitsilab.wire import Wire
from jitsilab.wire.decrypt import KeyLog

ENHANCED, SECTION = 6, 0x0A0D0D0A


@cache
def blocks(path: Path) -> tuple[tuple[int, bytes], ...]:
    """The blocks of a little-endian pcapng file: type and bytes."""
    data, at, found = path.read_bytes(), 0, []
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        found.append((kind, data[at : at + length]))
        at += length
    return tuple(found)


def frames(path: Path) -> int:
    """How many frames a file has."""
    return sum(kind == ENHANCED for kind, _ in blocks(path))


def cut(path: Path, keep: Callable[[int], bool]) -> io.BytesIO:
    """The file with those frames only whose number, from 1, is to be kept."""
    out, number = [], 0
    for kind, block in blocks(path):
        number += kind == ENHANCED
        if kind != ENHANCED or keep(number):
            out.append(block)
    return io.BytesIO(b"".join(out))


def twice(path: Path) -> io.BytesIO:
    """The file with each frame two times, as a mirror port gives them."""
    return io.BytesIO(b"".join(block * (1 + (kind == ENHANCED)) for kind, block in blocks(path)))


def snapped(path: Path, size: int) -> io.BytesIO:
    """The file as a recorder writes it that keeps so many bytes of each frame."""
    out = []
    for kind, block in blocks(path):
        if kind == ENHANCED:
            kept = min(size, struct.unpack_from("<I", block, 20)[0])
            data = block[28 : 28 + kept] + b"\0" * (-kept % 4)
            length = struct.pack("<I", 32 + len(data))
            block = block[:4] + length + block[8:20] + struct.pack("<I", kept) + block[24:28] + data + length
        out.append(block)
    return io.BytesIO(b"".join(out))


def mixed(path: Path, other: Path, moved: Mapping[str, str] | None = None) -> io.BytesIO:
    """The file with another capture in it, begun a second later, as a section of its own.

    ``moved`` gives addresses of the other capture new ones, in IP headers alone.
    """
    packets, first = pcap.read(other), int(pcap.read(path).time[0])
    links = sorted(set(packets.interface.tolist()))
    head = [
        made.section(),
        *(made.interface(packets.interfaces[n].link, options=made.option(9, b"\x09")) for n in links),
    ]
    later = packets.time - int(packets.time[0]) + first + 10**9
    places = {ip_address(old).packed: ip_address(new).packed for old, new in (moved or {}).items()}

    def elsewhere(frame: bytes) -> bytes:
        for old, new in places.items():
            frame = frame[:42].replace(old, new) + frame[42:]
        return frame

    frames = [
        made.packet(elsewhere(packets.frame(n + 1)), int(later[n]), links.index(int(packets.interface[n])))
        for n in range(len(packets))
    ]
    return io.BytesIO(path.read_bytes() + b"".join(head + frames))


def load(source: io.BytesIO | Path, keylog: Path | None = None) -> Call:
    """A capture of such a file."""
    keys = KeyLog.load(keylog) if keylog is not None else None
    return Call("cut", wire=Wire(pcap.read(source), keys))


def tcp_frames(path: Path) -> list[int]:
    """Numbers of the frames with TCP payload."""
    packets = pcap.read(path)
    rows: Iterable[int] = ((packets.ip_protocol == 6) & (packets.payload_length > 0)).nonzero()[0]
    return [int(row) + 1 for row in rows]
