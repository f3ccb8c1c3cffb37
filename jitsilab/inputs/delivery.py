"""How evidence is handed over: files, folders, archives, packed files, pipes. What it is, is asked elsewhere.

A delivery gives its bytes unpacked, from the start, as often as they are asked for. Nothing is written but private
temporary files; links inside an archive and what is no regular file are named and left alone.
"""

import contextlib
import hashlib
import io
import os
import stat
import sys
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, BinaryIO

from jitsilab.errors import CaptureError
from jitsilab.inputs.source import HEAD
from jitsilab.outputs import PART

IN_MEMORY = 1 << 24  # bytes of a stream or member held in memory; what is longer goes to a private temporary file
MAX_MEMBERS = 20_000  # of one archive, or files of one folder: a case has some hundred
MAX_UNPACKED = 1 << 33  # bytes of all members of one archive
NESTED = 2  # archives inside archives that are opened
WAITED = 5.0  # s after which it is said what is waited for
# zipfile says in as many ways that bytes are not what they should be: a broken directory (BadZipFile), a broken member
# (zlib.error, EOFError), a packing that it does not know (NotImplementedError), a member that wants a password
# (RuntimeError), a place outside the file (ValueError), a member without a name (IndexError)
_OF_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, IndexError)
_SKIPPED_FOLDERS = {".git", "__pycache__", ".venv", "node_modules"}


@dataclass
class Delivery:
    """One stretch of bytes with a name: a file, a member of an archive, or what came through a pipe."""

    input: str  # its name in every answer
    path: Path | None = None  # the plain file, where there is one
    spool: IO[bytes] | None = field(default=None, repr=False)  # the bytes, where there is none
    given: bool = True  # named by the user, not met in a folder
    note: str = ""
    modified: float | None = None  # s since the epoch: when a member of an archive was written
    broken: str = ""  # why unpacking stopped before the end, known once it was read so far

    def raw(self) -> BinaryIO:
        """The bytes as they came, packed or not."""
        if self.path is not None:
            return self.path.open("rb")
        assert self.spool is not None
        return io.BufferedReader(_View(self.spool), HEAD)

    def open(self) -> BinaryIO:
        """The bytes from the start, unpacked. What is damaged or cut short ends where it ends."""
        return io.BufferedReader(_Unpacked(self.raw(), self), HEAD)

    @cached_property
    def head(self) -> bytes:
        """The first `HEAD` bytes, unpacked."""
        with self.open() as file:
            return file.read(HEAD)

    @property
    def name(self) -> str:
        """The file's own name, without folders and without the ending of a packed file."""
        name = self.input.replace("\\", "/").rsplit("/", 1)[-1]
        return name.removesuffix(".gz").removesuffix(".zst").removesuffix(".xz")

    @property
    def written(self) -> int | None:
        """When the file was last written, ns since the epoch; None for what came through a pipe."""
        try:
            seconds = self.path.stat().st_mtime if self.path is not None else self.modified
        except OSError:
            return None
        return int(seconds) * 1_000_000_000 if seconds is not None and 0 < seconds < 7_258_118_400 else None

    @cached_property
    def sha256(self) -> str:
        """Of the bytes as they came, 64 hex digits."""
        digest = hashlib.sha256()
        with self.raw() as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Lives as long as its delivery, and is closed with it."""

    def __del__(self) -> None:
        self.close()


class _View(io.RawIOBase):
    """A place of its own in a shared temporary file."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool, self._at = spool, 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: "memoryview", /) -> int:  # type: ignore[override]
        self._spool.seek(self._at)
        block = self._spool.read(len(into))
        into[: len(block)] = block
        self._at += len(block)
        return len(block)


class _Unpacked(io.RawIOBase):
    """What a packed file holds; a plain one as it is."""

    def __init__(self, raw: BinaryIO, delivery: Delivery) -> None:
        from jitsilab.pcap.sources import Source as Packed  # loads numpy, which a command's start need not

        self._file, self._delivery = raw, delivery
        self._packed = Packed(raw, keep=False)

    def readable(self) -> bool:
        return True

    def readinto(self, into: "memoryview", /) -> int:  # type: ignore[override]
        got = self._packed.readinto(memoryview(into))
        if not got:
            self._delivery.broken = self._packed.broken
        return got

    def close(self) -> None:
        self._file.close()
        super().close()


def gather(paths: "list[str | Path]") -> "list[Delivery]":
    """Every file that these paths name, those in folders and archives too, each name once.

    A link is a name of its own: of a server's configuration it says what is in force.

    Raises CaptureError where a path is not there or cannot be read.
    """
    met: set[str] = set()
    deliveries: list[Delivery] = []
    for path in paths:
        own: Counter[str] = Counter()
        for delivery in _of(path):
            own[delivery.input] += 1
            if own[delivery.input] > 1:  # an archive may hold a name twice
                delivery.input = f"{delivery.input} ({own[delivery.input]})"
            key = delivery.input if delivery.path is None else str(delivery.path.parent.resolve() / delivery.path.name)
            if key not in met:
                met.add(key)
                deliveries.append(delivery)
    return deliveries


def _of(given: str | Path) -> Iterator[Delivery]:
    if str(given) == "-":
        with _waiting("standard input") as heard:
            spool = _spooled(sys.stdin.buffer, "standard input", heard=heard)
        yield from _unfolded(Delivery("standard input", spool=spool), 0)
        return
    path = Path(given)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise CaptureError(f"There is no file {given}.") from None
        raise CaptureError(f"Cannot read {given}: {getattr(error, 'strerror', None) or error}.") from None
    if stat.S_ISDIR(mode):
        yield from _folder(path, str(given))
    elif stat.S_ISFIFO(mode):
        with _waiting(str(given)) as heard, path.open("rb") as pipe:
            spool = _spooled(pipe, str(given), heard=heard)
        yield from _unfolded(Delivery(str(given), spool=spool), 0)
    elif stat.S_ISREG(mode):
        yield from _unfolded(Delivery(str(given), path), 0)
    else:
        raise CaptureError(f"{given} is a device, not a file: copy what it holds into a file first.")


def _folder(folder: Path, name: str) -> Iterator[Delivery]:
    count = 0
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(entry for entry in folders if entry not in _SKIPPED_FOLDERS and not entry.startswith(PART))
        for file in sorted(entry for entry in files if not entry.startswith(PART)):
            path = Path(where) / file
            count += 1
            if count > MAX_MEMBERS:
                raise CaptureError(f"{name} holds more than {MAX_MEMBERS} files: name the folder of one case.")
            try:
                regular = stat.S_ISREG(path.stat().st_mode)
            except OSError:
                regular = False
            shown = f"{name.rstrip('/')}/{path.relative_to(folder)}"
            if regular:
                yield from _unfolded(Delivery(shown, path, given=False), 0)
            else:
                yield Delivery(shown, None, io.BytesIO(), given=False, note="no regular file; not read")


def _spooled(stream: IO[bytes], name: str, limit: int = 0, heard: Callable[[], None] = lambda: None) -> IO[bytes]:
    """What a stream holds, where it can be read again; ``heard`` is called when something comes."""
    spool = _Spool(IN_MEMORY)
    size = 0
    try:
        first = getattr(stream, "read1", stream.read)  # what there is, without waiting for all of a block
        while block := (stream.read if size else first)(1 << 18):
            heard()
            size += len(block)
            if limit and size > limit:
                break
            spool.write(block)
    except OSError as error:
        raise CaptureError(f"Cannot read {name}: {error.strerror or error}.") from error
    spool.seek(0)
    return spool


@contextlib.contextmanager
def _waiting(name: str) -> Iterator[Callable[[], None]]:
    """Say after a while what is waited for; gives what is to be called when it has come."""
    text = f"jitsilab: waiting for somebody to write to {name!r}\n"
    timer = threading.Timer(WAITED, lambda: sys.stderr.write(text))
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def _unfolded(delivery: Delivery, depth: int) -> Iterator[Delivery]:
    """The delivery itself, or the members of the archive that it is."""
    try:
        head = delivery.head
    except (OSError, CaptureError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if delivery.given and depth == 0:
            raise CaptureError(f"Cannot read {delivery.input}: {why}.") from error
        delivery.note = f"cannot be read: {why}"
        yield delivery
        return
    if depth < NESTED and head[257:262] == b"ustar":
        yield from _tar(delivery, depth)
    elif depth < NESTED and head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _zip(delivery, depth)
    else:
        yield delivery


def _member(archive: Delivery, name: str, content: IO[bytes], left: int, modified: float | None = None) -> Delivery:
    clean = "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return Delivery(f"{archive.input}/{clean}", spool=_spooled(content, name, left), given=False, modified=modified)


def _packed(member: zipfile.ZipInfo) -> float | None:
    """When a member of a zip was written, by a clock without a zone; None for what is no date."""
    try:
        return datetime(*member.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _tar(archive: Delivery, depth: int) -> Iterator[Delivery]:
    total = 0
    try:
        with archive.open() as file, tarfile.open(fileobj=file, mode="r|") as members:
            for count, member in enumerate(members):
                if count >= MAX_MEMBERS or total > MAX_UNPACKED:
                    archive.note = "a large archive; only its beginning was read"
                    break
                content = members.extractfile(member) if member.isreg() else None
                if content is not None:
                    total += member.size
                    yield from _unfolded(_member(archive, member.name, content, MAX_UNPACKED, member.mtime), depth + 1)
                elif not member.isdir():
                    yield Delivery(f"{archive.input}/{member.name}", None, io.BytesIO(), False, "a link; not followed")
    except (tarfile.TarError, OSError, EOFError) as error:
        archive.note = f"the archive is damaged or cut short ({error}); what came before was read"
    if archive.note:
        yield archive


def _zip(archive: Delivery, depth: int) -> Iterator[Delivery]:
    from jitsilab.pcap.sources import BOMB_FREE, BOMB_RATIO

    spool = _spooled(archive.open(), archive.input, MAX_UNPACKED)
    total = 0
    try:
        with zipfile.ZipFile(spool) as members:
            for count, member in enumerate(members.infolist()):
                if count >= MAX_MEMBERS or total > MAX_UNPACKED:
                    archive.note = "a large archive; only its beginning was read"
                    break
                if member.is_dir():
                    continue
                total += member.file_size
                lies = member.file_size > BOMB_FREE and member.file_size > BOMB_RATIO * max(1, member.compress_size)
                if stat.S_ISLNK(member.external_attr >> 16) or member.flag_bits & 1 or lies:
                    why = "a member that unpacks to many times its size" if lies else "a link or encrypted"
                    shown = f"{archive.input}/{member.filename}"
                    yield Delivery(shown, None, io.BytesIO(), False, f"{why}; not read")
                    continue
                with members.open(member) as content:
                    yield from _unfolded(
                        _member(archive, member.filename, content, member.file_size, _packed(member)), depth + 1
                    )
    except (*_OF_ZIPFILE, OSError) as error:
        archive.note = f"the archive is damaged ({error}); what came before was read"
    if archive.note:
        yield archive
