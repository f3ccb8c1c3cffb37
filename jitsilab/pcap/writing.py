"""Captures written: pcapng (draft-ietf-opsawg-pcapng), one section, little-endian, times in nanoseconds.

Packed by gzip, zstd or xz where the name of the file says so.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from time import time_ns
from typing import Any

import numpy.typing as npt

from jitsilab.pcap.containers import Interface

Array = npt.NDArray[Any]

_KEY_LOG = 0x544C534B


class Writer:
    """A pcapng file being written."""

    def __init__(self, path: Path, comment: str = "", application: str = "jitsilab") -> None:
        self._file: Any = packed(path)
        options = (_option(1, comment.encode()) if comment else b"") + _option(4, application.encode()) + _END
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options)

    def interface(self, interface: Interface) -> None:
        """Describe the next interface; frames name it by its number, from 0."""
        options = (_option(2, interface.name.encode()) if interface.name else b"") + _option(9, b"\x09") + _END
        self._block(1, struct.pack("<HHI", interface.link, 0, interface.snap_length) + options)

    def secrets(self, keylog: bytes) -> None:
        """Embed TLS secrets, in the form of a key log."""
        self._block(10, struct.pack("<II", _KEY_LOG, len(keylog)) + keylog + bytes(-len(keylog) % 4))

    def frame(self, interface: int, time: int, data: bytes, length: int, comment: str = "") -> None:
        """One frame: ``time`` in nanoseconds since the epoch, ``length`` on the wire."""
        head = struct.pack("<IIIII", interface, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, len(data), length)
        options = _option(1, comment.encode()) + _END if comment else b""
        self._block(6, head + data + bytes(-len(data) % 4) + options)

    def frames(self, interface: Array, time: Array, captured: Array, length: Array, data: "Sequence[bytes]") -> None:
        """Many frames at once, as `frame` writes each."""
        pack = struct.Struct("<IIIIIII").pack
        out = bytearray()
        columns = (interface.tolist(), time.tolist(), captured.tolist(), length.tolist(), data)
        for number, when, size, wire, frame in zip(*columns, strict=True):
            padded = size + 3 & ~3
            total = 32 + padded
            out += pack(6, total, number, when >> 32 & 0xFFFFFFFF, when & 0xFFFFFFFF, size, wire)
            out += frame
            out += bytes(padded - size) + total.to_bytes(4, "little")
        self._file.write(out)

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """What an interface saw and what of it the kernel dropped (section 4.6, isb_ifrecv and isb_osdrop)."""
        now = time_ns()
        counts = _option(4, struct.pack("<Q", received)) + _option(7, struct.pack("<Q", dropped)) + _END
        self._block(5, struct.pack("<III", interface, now >> 32, now & 0xFFFFFFFF) + counts)

    def flush(self) -> None:
        """Hand on what was written, so that a reader, or an end by force, has it."""
        self._file.flush()

    def close(self) -> None:
        """Write the rest."""
        self._file.close()

    def _block(self, kind: int, body: bytes) -> None:
        total = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + total + body + total)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_END = bytes(4)


def _option(code: int, value: bytes) -> bytes:
    value = value[:65535]
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def packed(path: Path) -> Any:
    """A file to write to, packed as its name says: gzip, xz, zstd or not."""
    if path.suffix == ".gz":
        import gzip

        raw = path.open("wb", buffering=0)
        made = gzip.GzipFile("", "wb", 6, raw, mtime=0)
        made.myfileobj = raw  # which it closes with itself, as it does with a file that it opened
        return made
    if path.suffix == ".xz":
        import lzma

        return lzma.open(path, "wb")
    if path.suffix == ".zst":
        import zstandard

        return zstandard.ZstdCompressor().stream_writer(path.open("wb"))
    return path.open("wb")
