"""Captures made on the spot: every header and block written out, so that a test can bend any of them."""

import io
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

NINE = (
    "frame.time_relative", "ip.src", "ip.dst", "ip.proto", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
    "frame.len",
)  # fmt: skip
START = 1_600_000_000


def pcap(frames: Sequence[bytes], link: int = 1, order: str = "<", magic: int = 0xA1B2C3D4, snap: int = 0) -> bytes:
    """A pcap file; frame i was caught at START + i seconds and i ticks, and is cut to ``snap`` bytes."""
    out = io.BytesIO()
    out.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link))
    for number, frame in enumerate(frames):
        kept = frame[:snap] if snap else frame
        out.write(struct.pack(order + "IIII", START + number, number, len(kept), len(frame)))
        out.write(b"\0" * 8 if magic == 0xA1B2CD34 else b"")
        out.write(kept)
    return out.getvalue()


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """A pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order: str = "<", options: bytes = b"") -> bytes:
    """A section header block."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link: int = 1, snap: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """An interface description block."""
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def packet(
    frame: bytes, ticks: int, number: int = 0, options: bytes = b"", order: str = "<", length: int | None = None
) -> bytes:
    """An enhanced packet block."""
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame) if length is None else length
    )
    return block(6, head + frame + b"\0" * (-len(frame) % 4) + options, order)


def pcapng(frames: Iterable[bytes], link: int = 1, order: str = "<") -> bytes:
    """A pcapng file of one section and one interface; frame i was caught at START + i seconds and i microseconds."""
    blocks = [packet(frame, (START + number) * 1_000_000 + number, order=order) for number, frame in enumerate(frames)]
    return section(order) + interface(link, order=order) + b"".join(blocks)


def tshark(path: Path, fields: Sequence[str] = NINE, separator: str = ",") -> str:
    """What tshark prints of some fields."""
    asked = [part for field in fields for part in ("-e", field)]
    form = ["-E", "header=y", "-E", f"separator={separator}", "-E", "quote=n", "-E", "occurrence=f"]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *asked, *form], capture_output=True, check=False
    )
    return done.stdout.decode()
