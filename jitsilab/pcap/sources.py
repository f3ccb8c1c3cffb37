"""Bytes of a capture, from wherever they come: a path, a file object or a pipe, packed by gzip, zstd or xz or not.

Unpacking never needs memory in proportion to what comes out: packed data is read in steps, dictionaries are limited,
and a file that unpacks to a great many times its size (a bomb) ends there.
"""

import io
import lzma
import os
import sys
import tempfile
import weakref
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from jitsilab.errors import CaptureError

STEP = 1 << 18  # bytes of packed data read at a time
WINDOW = 1 << 27  # largest dictionary that zstd or xz may ask for, as the zstd program has it
BOMB_RATIO, BOMB_FREE = 500, 1 << 28  # unpacked over packed bytes, checked after so many unpacked ones
IN_MEMORY = 1 << 26  # bytes of an unpacked stream held in memory; what is longer goes to a temporary file


class _Reader(Protocol):
    def readinto(self, into: memoryview, /) -> int | None: ...


class Source:
    """Unpacked bytes in order, and a `Store` to look at any of them again."""

    def __init__(self, source: "str | Path | BinaryIO", keep: bool = True) -> None:
        """Open ``source``, ``-`` being standard input; with ``keep`` false a stream is not kept for `store`.

        Raises CaptureError where the file cannot be opened.
        """
        self.broken = ""  # why unpacking stopped before the end
        self.packed_size = 0  # bytes of the file where known, else 0
        self._out = 0
        if isinstance(source, str | Path) and str(source) == "-":
            source = sys.stdin.buffer
        if isinstance(source, str | Path):
            self.name = str(source)
            try:
                file: Any = Path(source).open("rb", buffering=0)  # noqa: SIM115 (a Store closes it)
                if Path(source).is_file():  # a device or a pipe has no offsets
                    self.packed_size = os.fstat(file.fileno()).st_size
            except OSError as error:
                raise CaptureError(f"Cannot open the capture {source}: {error.strerror or error}") from error
            except ValueError as error:  # a NUL in the name
                raise CaptureError(f"Cannot open the capture {str(source)!r}: {error}") from error
            seekable = bool(self.packed_size)
        else:
            self.name = "standard input" if source is sys.stdin.buffer else str(getattr(source, "name", "the stream"))
            file, seekable = source, False
        self._raw = _Counted(file, self.name)
        reader, packed = self._unpack(self._raw)
        self._reader = reader
        self._packed = packed
        self.store: Store
        if seekable and not packed:
            self.store, self._spool = FileStore(file), None
        else:
            if isinstance(source, str | Path):
                weakref.finalize(self, file.close)
            self._spool = Spool() if keep else None
            self.store = self._spool or Spool()

    @property
    def packed_read(self) -> int:
        """Bytes of the file read so far."""
        return self._raw.count

    def readinto(self, into: memoryview) -> int:
        """Fill some of ``into``; 0 at the end or where unpacking fails (`broken` then says why)."""
        if self.broken:
            return 0
        try:
            count = self._reader.readinto(into) or 0
        except (EOFError, OSError, zlib.error, lzma.LZMAError, MemoryError, _zstd_error()) as error:
            if not self._packed:
                raise CaptureError(f"Cannot read {self.name}: {error}") from error
            self.broken = f"the packed data is damaged or cut short ({error or type(error).__name__})"
            return 0
        self._out += count
        if self._packed and self._out > BOMB_FREE and self._out > BOMB_RATIO * self._raw.count:
            self.broken = f"the file unpacks to more than {BOMB_RATIO} times its size"
            return 0
        if self._spool is not None:
            self._spool.append(into[:count])
        return count

    @staticmethod
    def _unpack(raw: "_Counted") -> tuple[_Reader, bool]:
        start = raw.peek(6)
        if start.startswith(b"\x1f\x8b"):
            return _Gzip(raw), True
        if start.startswith(b"\xfd7zXZ\0"):
            return _Xz(raw), True
        if start.startswith(b"\x28\xb5\x2f\xfd") or (start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50):
            import zstandard

            reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(
                raw,  # type: ignore[arg-type]
                read_size=STEP,
                read_across_frames=True,
            )
            return reader, True
        return raw, False


def _zstd_error() -> type[Exception]:
    """The error class of zstd, without loading zstd for a file that does not need it."""
    module = sys.modules.get("zstandard")
    return module.ZstdError if module else EOFError


class _Counted(io.RawIOBase):
    """A binary file with a look ahead and a count of what was read from it."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name, self._ahead, self.count = file, name, b"", 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (more := self._take(size - len(self._ahead))):
            self._ahead += more
        return self._ahead

    def _take(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except (OSError, ValueError) as error:
            raise CaptureError(f"Cannot read {self._name}: {error}") from error
        if data is not None and not isinstance(data, bytes | bytearray):
            raise CaptureError(f"{self._name} is a text file object; open it in binary mode")
        self.count += len(data or b"")
        return bytes(data or b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        if self._ahead:
            data = self._ahead[: len(into)]
            self._ahead = self._ahead[len(data) :]
            into[: len(data)] = data
            return len(data)
        if hasattr(self._file, "readinto"):
            try:
                size: int = self._file.readinto(into) or 0
            except OSError as error:
                raise CaptureError(f"Cannot read {self._name}: {error}") from error
            self.count += size
            return size
        data = self._take(len(into))
        into[: len(data)] = data
        return len(data)


class _Gzip:
    """Members of .gz one after the other; `gzip.GzipFile` would lose what comes before the place of an error."""

    def __init__(self, raw: _Counted) -> None:
        self._raw, self._rest = raw, b""
        self._decoder = zlib.decompressobj(31)

    def readinto(self, into: memoryview, /) -> int:
        while True:
            if self._decoder.eof:
                self._rest = (self._decoder.unused_data or self._raw.read(STEP) or b"").lstrip(b"\0")
                if not self._rest:
                    return 0
                self._decoder = zlib.decompressobj(31)
            data = self._rest or self._raw.read(STEP) or b""
            if not data:
                raise EOFError("the gzip stream has no end")
            unpacked = self._decoder.decompress(data, len(into))
            self._rest = self._decoder.unconsumed_tail
            if unpacked:
                into[: len(unpacked)] = unpacked
                return len(unpacked)


class _Xz:
    """Streams of .xz one after the other; `lzma.LZMAFile` would not limit the dictionary."""

    def __init__(self, raw: _Counted) -> None:
        self._raw, self._rest = raw, b""
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW + (1 << 24))

    def readinto(self, into: memoryview, /) -> int:
        while True:
            if self._decoder.eof:
                rest = (self._decoder.unused_data or self._raw.read(STEP) or b"").lstrip(b"\0")
                if not rest:
                    return 0
                self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW + (1 << 24))
                self._rest = rest
            if self._decoder.needs_input:
                data = self._rest or self._raw.read(STEP) or b""
                self._rest = b""
                if not data:
                    raise EOFError("the xz stream has no end")
            else:
                data = b""
            unpacked = self._decoder.decompress(data, len(into))
            if unpacked:
                into[: len(unpacked)] = unpacked
                return len(unpacked)


class Store(Protocol):
    """Random access to the unpacked bytes of a capture."""

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``, fewer at the end."""
        ...


class FileStore:
    """A plain file on disk, read where asked. No memory map: a file that shrinks would kill the process."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._descriptor = file.fileno()
        weakref.finalize(self, file.close)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``, fewer at the end."""
        return os.pread(self._descriptor, size, offset)


class Spool:
    """What came through a pipe or out of a packed file: in memory while short, then in a nameless temporary file."""

    def __init__(self, data: bytes = b"") -> None:
        self._memory = bytearray(data)
        self._store: FileStore | None = None
        self._file: IO[bytes] | None = None

    def append(self, data: memoryview) -> None:
        """Take the bytes that came next."""
        if self._file is None and len(self._memory) + len(data) > IN_MEMORY:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the store)
            self._file.write(self._memory)
            self._store = FileStore(self._file)
            self._memory = bytearray()
        if self._file is None:
            self._memory += data
        else:
            self._file.write(data)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``, fewer at the end."""
        if self._store is not None:
            return self._store.read(offset, size)
        return bytes(self._memory[offset : offset + size])
