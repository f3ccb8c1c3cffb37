"""Call files, opened by content: pcap and pcapng, plain or in gzip, zstd or xz, from a path, a file or a pipe.

The record chain is walked with `struct` over large buffers that are read into again and again; what the records say of
themselves (times, lengths) is then gathered with numpy. Nothing here looks inside a frame.

Formats: draft-ietf-opsawg-pcap (pcap), draft-ietf-opsawg-pcapng (pcapng).
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jitsilab.errors import CaptureError, Problem
from jitsilab.pcap.sources import Source

BUFFER = 1 << 22  # bytes read at a time
PAD = 64  # zero bytes after the last frame, so that a fixed-size gather never leaves the buffer
LONGEST_FRAME = 262_144  # what every capture tool uses as its largest snapshot length
ZEROS = 64  # record headers of nothing but zeros in a row, with which a file ends; one alone is an empty frame
LONGEST_BLOCK = 1 << 25  # of a pcapng block; secrets and name blocks are the only large ones
SECOND = 1_000_000_000

_MAGIC = {  # first four bytes: byte order, nanoseconds a tick, size of a record header
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),  # the "modified" format of old Linux patches
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
}
_SECTION = b"\x0a\x0d\x0d\x0a"
_SECTION_KIND, _INTERFACE, _OLD_PACKET, _SIMPLE, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 2, 3, 6, 10
_FRAMES = (_PACKET, _OLD_PACKET, _SIMPLE)
_TLS_KEY_LOG = 0x544C534B


@dataclass(frozen=True, slots=True)
class Interface:
    """Where frames were seen: an interface description of a pcapng, or the one a pcap stands for."""

    link: int  # LINKTYPE_ value
    name: str = ""
    snap_length: int = 0  # bytes, 0 without limit
    ticks: int = 1_000_000  # per second
    offset: int = 0  # s to add to each time
    index: int | None = None  # interface index of a cooked capture (LINKTYPE_LINUX_SLL2), which sees several


class Comment(NamedTuple):
    """A comment that somebody left in a pcapng: on a frame, or, with frame 0, on the file or an interface."""

    frame: int
    text: str


class Chunk(NamedTuple):
    """Some whole records in the order of the file, and the buffer they lie in."""

    data: npt.NDArray[np.uint8]  # valid until the next chunk is asked for; PAD bytes follow the last frame
    base: int  # offset of data[0] in the (unpacked) file
    start: npt.NDArray[np.int64]  # of each frame in data
    captured: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]  # ns since the epoch, 0 where the file has none
    interface: npt.NDArray[np.int64]  # into Container.interfaces
    timed: npt.NDArray[np.bool_]  # false where the file has no time for a frame


class EmptyCapture(CaptureError):
    """A file of no bytes, which some tools take for a capture without frames."""


def is_magic(head: bytes) -> bool:
    """Whether unpacked bytes begin as a pcap or pcapng does, however it goes on."""
    return head[:4] in _MAGIC or head[:4] == _SECTION


class Container:
    """A capture file being read; `chunks` gives the frames, the lists fill on the way."""

    def __init__(self, source: Source) -> None:
        self.interfaces: list[Interface] = []
        self.secrets: list[bytes] = []
        self.comments: list[Comment] = []
        self.problems: list[Problem] = []
        self.frames = 0  # given so far
        self._pending = 0  # frames of this buffer that were looked at
        self._source = source
        self._buffer = bytearray(BUFFER + PAD)
        self._filled = 0
        self._base = 0
        self._fill(0)
        magic = bytes(self._buffer[:4])
        if not self._filled:
            if self._source.broken:
                raise CaptureError(f"{source.name}: {self._source.broken}")
            raise EmptyCapture(f"{source.name} is empty: a capture has at least a header")
        if magic != _SECTION and magic not in _MAGIC:
            raise CaptureError(
                f"{source.name} is not a capture: it begins with {magic.hex(' ')}. Expected pcap or pcapng, "
                "plain or in gzip, zstd or xz."
            )
        self._in_blocks = magic == _SECTION
        if self._filled < (28 if self._in_blocks else 24):
            raise CaptureError(f"{source.name} is cut short inside its first header ({self._filled} bytes)")

    def chunks(self) -> Iterator[Chunk]:
        """Whole records, a buffer at a time; what is damaged or cut off ends the walk with a Problem."""
        return self._blocks() if self._in_blocks else self._records()

    def _fill(self, used: int) -> bool:
        """Drop ``used`` bytes from the front of the buffer and read on; False at the end of the file."""
        buffer, kept = self._buffer, self._filled - used
        if used:
            buffer[:kept] = buffer[used : self._filled]
            self._base += used
        self._filled = kept
        room = len(buffer) - PAD
        with memoryview(buffer) as view:
            while self._filled < room:
                count = self._source.readinto(view[self._filled : room])
                if not count:
                    break
                self._filled += count
            view[self._filled : self._filled + PAD] = bytes(PAD)
        return self._filled > kept

    def _grow(self, size: int) -> None:
        """Make room for a block of ``size`` bytes. A new buffer: arrays may still look into the old one."""
        if size > len(self._buffer) - PAD:
            self._buffer = self._buffer[: self._filled] + bytes(size + PAD - self._filled)

    def _problem(self, at: int, message: str) -> None:
        self.problems.append(Problem(0, "pcap", self._base + at, message))

    def _end(self, at: int, what: str) -> None:
        """Say how the file ended, unless it ended on a record's last byte."""
        rest = self._filled - at
        where = f"after frame {self.frames}"
        if self._source.broken:
            self._problem(at, f"{self._source.broken}; {where} nothing can be read")
        elif rest:
            self._problem(at, f"the file ends in the middle of a {what}, {where}: {rest} bytes of it are there")

    # -- pcap ---------------------------------------------------------------------------------------------------------

    def _records(self) -> Iterator[Chunk]:
        order, tick, size = _MAGIC[bytes(self._buffer[:4])]
        snap, link = struct.unpack_from(order + "II", self._buffer, 16)
        self.interfaces.append(Interface(link & 0x03FFFFFF, snap_length=snap, ticks=SECOND // tick))
        header = np.dtype([(name, order + "u4") for name in ("seconds", "fraction", "captured", "length")])
        at = 24
        while True:
            data = np.frombuffer(self._buffer, np.uint8)
            record = np.array(_chain(memoryview(self._buffer)[: self._filled], at, order, size), np.int64)
            head = gather(data, record, header)
            captured = head["captured"].astype(np.int64)
            whole = (captured <= LONGEST_FRAME) & (record + size + captured <= self._filled)
            count = len(record) if whole.all() else int(np.argmin(whole))
            long = count < len(record) and int(captured[count]) > LONGEST_FRAME
            zeros = _zeros(head[:count])
            count = count if zeros < 0 else zeros
            at = int(record[count - 1] + size + captured[count - 1]) if count else at
            if count:
                head, captured = head[:count], captured[:count]
                time = head["seconds"].astype(np.int64) * SECOND + head["fraction"].astype(np.int64) * tick
                self.frames += count
                yield Chunk(
                    data, self._base, record[:count] + size, captured, head["length"].astype(np.int64), time,
                    np.zeros(count, np.int64), np.ones(count, bool),
                )  # fmt: skip
            if zeros >= 0:
                return self._problem(at, f"after frame {self.frames} the file holds zeros; reading ends there")
            if long:
                return self._problem(at, f"record {self.frames + 1} claims more bytes than any frame has")
            if not self._fill(at):
                return self._end(0, "record")
            at = 0

    # -- pcapng -------------------------------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Chunk]:
        order, order_before, first, at, bad = "<", "<", 0, 0, ""
        head, word = struct.Struct("<II").unpack_from, struct.Struct("<I").unpack_from
        while not bad:
            limit = self._filled
            parts: list[_Part] = []
            starts: list[int] = []
            run_kind = _PACKET
            while at + 12 <= limit:
                kind, total = head(self._buffer, at)
                if run_kind == _PACKET and kind == _PACKET:  # a run of packets, which is nearly all there is
                    append, last = starts.append, limit - 12
                    while kind == _PACKET and total >= 32 and not total & 3 and at + total <= limit:
                        append(at)
                        at += total
                        if at > last:
                            break
                        kind, total = head(self._buffer, at)
                    order_before = order
                    if at > last:
                        break
                if kind == _SECTION_KIND:
                    order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(
                        bytes(self._buffer[at + 8 : at + 12]), ""
                    )
                    if not order:
                        bad = "a section header without a byte-order magic"
                        break
                    if starts:  # the frames so far are in the old byte order
                        parts.append(self._part(starts, run_kind, order_before, first))
                        starts = []
                    (total,) = struct.unpack_from(order + "I", self._buffer, at + 4)
                    head, word = struct.Struct(order + "II").unpack_from, struct.Struct(order + "I").unpack_from
                if total < 12 or total & 3 or total > LONGEST_BLOCK:
                    bad = f"a block of type {kind:#x} claims {total} bytes"
                    break
                if at + total > limit:
                    break
                order_before = order
                if kind in _FRAMES:
                    if kind != run_kind and starts:
                        parts.append(self._part(starts, run_kind, order, first))
                        starts = []
                    run_kind = kind
                    starts.append(at)
                elif word(self._buffer, at + total - 4)[0] != total:
                    bad = f"a block of type {kind:#x} has two lengths"
                    break
                elif kind == _SECTION_KIND:
                    first = len(self.interfaces)
                    self._comments(at + 24, at + total - 4, order, 0)
                elif kind == _INTERFACE:
                    self._interface(at, total, order)
                elif kind == _SECRETS:
                    self._secret(at, total, order)
                at += total
            if starts:
                parts.append(self._part(starts, run_kind, order_before, first))
            yield from self._join(parts)
            bad = bad or next((part.bad for part in parts if part.bad), "")
            if bad:
                where = next((part.bad_at for part in parts if part.bad), at)
                self._problem(where, f"{bad}, after frame {self.frames}")
                return
            if at + 12 <= self._filled:
                self._grow(head(self._buffer, at)[1])
            if not self._fill(at):
                self._end(0, "block")
                return
            at = 0

    def _join(self, parts: "list[_Part]") -> Iterator[Chunk]:
        """The packet blocks of one buffer as one chunk; it ends before the first bad block."""
        whole = []
        for part in parts:
            whole.append(part.columns)
            if part.bad:
                break
        if whole and sum(len(columns[0]) for columns in whole):
            columns = whole[0] if len(whole) == 1 else [np.concatenate(column) for column in zip(*whole, strict=True)]
            self.frames += len(columns[0])
            self._pending = 0
            yield Chunk(np.frombuffer(self._buffer, np.uint8), self._base, *columns)

    def _part(self, starts: list[int], kind: int, order: str, first: int) -> "_Part":
        """Columns of packet blocks of one kind; interfaces are counted from ``first``, the section's."""
        data, at = np.frombuffer(self._buffer, np.uint8), np.array(starts, np.int64)
        if kind == _SIMPLE:  # no time, always interface 0
            head = gather(data, at, np.dtype([(name, order + "u4") for name in ("kind", "total", "length")]))
            total, length = head["total"].astype(np.int64), head["length"].astype(np.int64)
            snap = self.interfaces[first].snap_length if first < len(self.interfaces) else 0
            captured = np.minimum(length, np.maximum(total - 16, 0))
            captured = np.minimum(captured, snap) if snap else captured
            ticks = np.zeros(len(at), np.uint64)
            interface, size = np.zeros(len(at), np.int64), 12
        else:
            names = ("kind", "total", "interface", "high", "low", "captured", "length")
            head = gather(data, at, np.dtype([(name, order + "u4") for name in names]))
            total, length = head["total"].astype(np.int64), head["length"].astype(np.int64)
            captured, interface, size = head["captured"].astype(np.int64), head["interface"].astype(np.int64), 28
            if kind == _OLD_PACKET:  # 16 bits of interface, 16 of drops
                interface = interface >> 16 if order == ">" else interface & 0xFFFF
            ticks = head["high"].astype(np.uint64) << np.uint64(32) | head["low"]
        again = gather(data, at + np.maximum(total, 12) - 4, np.dtype([("total", order + "u4")]))["total"]
        known = len(self.interfaces) - first
        checks = (
            (again != total, "a packet block has two lengths"),
            (interface >= known, "a packet block names an interface that is not described"),
            ((captured > LONGEST_FRAME) | (captured + size + 4 > total), "a packet block claims more than it has"),
        )
        bad, bad_at = "", 0
        wrong = np.logical_or.reduce([test for test, _ in checks])
        if wrong.any():
            stop = int(np.argmax(wrong))
            bad, bad_at = next(text for test, text in checks if test[stop]), starts[stop]
            at, total, length, captured = at[:stop], total[:stop], length[:stop], captured[:stop]
            interface, ticks = interface[:stop], ticks[:stop]
        interface = interface + first
        if kind != _SIMPLE:
            optional = np.flatnonzero(total > size + 4 + (captured + 3 & ~3))
            number = self.frames + self._pending + 1
            for i in optional.tolist():
                begin = starts[i] + size + int(captured[i] + 3 & ~3)
                self._comments(begin, starts[i] + int(total[i]) - 4, order, number + i)
        self._pending += len(at)
        times, timed = self._times(ticks, interface), np.full(len(at), kind != _SIMPLE)
        times[~timed] = 0
        return _Part([at + size, captured, length, times, interface, timed], bad, bad_at)

    def _times(self, ticks: npt.NDArray[np.uint64], interface: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Nanoseconds since the epoch; a time outside what 64 bits hold is clipped."""
        time = np.zeros(len(ticks), np.int64)
        for number in np.unique(interface).tolist():
            rows = interface == number
            described = self.interfaces[number]
            time[rows] = _nanoseconds(ticks[rows], described.ticks, described.offset)
        return time

    def _interface(self, at: int, total: int, order: str) -> None:
        if total < 20:
            return self._problem(at, f"an interface description of {total} bytes")
        link, snap = struct.unpack_from(order + "HxxI", self._buffer, at + 8)
        name, ticks, offset = "", 1_000_000, 0
        for code, value in self._options(at + 16, at + total - 4, order):
            if code == 2:
                name = value.decode("utf-8", "replace").rstrip("\0")
            elif code == 9 and value:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** min(value[0], 40)
            elif code == 14 and len(value) == 8:
                (offset,) = struct.unpack(order + "q", value)
            elif code == 1:
                self.comments.append(Comment(0, value.decode("utf-8", "replace")))
        self.interfaces.append(Interface(link, name, snap, ticks, offset))

    def _secret(self, at: int, total: int, order: str) -> None:
        if total < 20:
            return self._problem(at, f"a decryption secrets block of {total} bytes")
        kind, size = struct.unpack_from(order + "II", self._buffer, at + 8)
        if size > total - 20:
            return self._problem(at, f"decryption secrets claim {size} bytes of {total - 20}")
        if kind == _TLS_KEY_LOG:
            self.secrets.append(bytes(self._buffer[at + 16 : at + 16 + size]))

    def _comments(self, begin: int, end: int, order: str, frame: int) -> None:
        for code, value in self._options(begin, end, order):
            if code == 1:
                self.comments.append(Comment(frame, value.decode("utf-8", "replace")))

    def _options(self, begin: int, end: int, order: str) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option; a list that runs over its block ends there."""
        unpack = struct.Struct(order + "HH").unpack_from
        while begin + 4 <= end:
            code, size = unpack(self._buffer, begin)
            begin += 4
            if not code or begin + size > end:
                return
            yield code, bytes(self._buffer[begin : begin + size])
            begin += size + 3 & ~3


class _Part(NamedTuple):
    columns: list[npt.NDArray[Any]]  # start, captured, length, time, interface, timed
    bad: str
    bad_at: int


def _chain(data: memoryview, at: int, order: str, size: int) -> list[int]:
    """Where each record of a pcap begins, as its lengths say; the last one may be cut or nonsense.

    One record takes one turn, so the checks are left to whoever looks at all of them at once.
    """
    unpack = struct.Struct(order + "8xI").unpack_from
    starts: list[int] = []
    append = starts.append
    with contextlib.suppress(struct.error):  # the end of the data
        while True:
            captured = unpack(data, at)[0]
            append(at)
            at += size + captured
    return starts


def _zeros(head: npt.NDArray[Any]) -> int:
    """The first of `ZEROS` record headers in a row that are all zeros, -1 where there are none.

    A file that was made larger before it was written, or that a crash left, ends so: each 16 bytes would be a frame.
    """
    nothing = (head["captured"] == 0) & (head["length"] == 0) & (head["seconds"] == 0) & (head["fraction"] == 0)
    if np.count_nonzero(nothing) < ZEROS:
        return -1
    count = np.cumsum(nothing)
    whole = np.flatnonzero(count[ZEROS - 1 :] - np.concatenate(([0], count[:-ZEROS])) == ZEROS)
    return int(whole[0]) if len(whole) else -1


def gather(data: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The ``dtype`` that begins at each position of ``data``, aligned or not; all positions must lie inside.

    A view with a stride of one byte makes each position an item; a void item is copied as it is, which is what is fast.
    """
    size = dtype.itemsize
    items = np.ndarray((len(data) - size + 1,), f"V{size}", data, 0, (1,))
    return items[at].view(dtype)


def _nanoseconds(ticks: npt.NDArray[np.uint64], rate: int, offset: int) -> npt.NDArray[np.int64]:
    low, high = -(2**63) + 1, 2**63 - 1
    if rate <= SECOND and SECOND % rate == 0:
        step = SECOND // rate
        if not len(ticks) or (int(ticks.max()) * step <= high and abs(offset) < 1 << 32 and
                              int(ticks.max()) * step + offset * SECOND <= high):  # fmt: skip
            return ticks.astype(np.int64) * step + offset * SECOND
    exact = [min(max(tick * SECOND // rate + offset * SECOND, low), high) for tick in ticks.tolist()]
    return np.array(exact, np.int64)
