"""The byte streams of TCP put together again, each byte with the frame that brought it."""

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

Array = npt.NDArray[Any]

FIN, SYN, RST, ACK = 1, 2, 4, 16
MOVES = 1 << 31  # stretches that late segments may push aside; nobody but an attacker sends so many in reverse
LATE = 3_000_000  # ns: a hole that stayed open longer was a loss, a shorter one a reordering


class Piece(NamedTuple):
    """Bytes of a stream without a hole."""

    offset: int  # from the stream's first byte
    data: bytes


class ByteStream(Protocol):
    """What decoders of streams take: a TCP stream, or the plaintext inside one."""

    @property
    def pieces(self) -> list[Piece]:
        """Runs of bytes in stream order; bytes are missing between two of them."""
        ...

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First and last frame, by number, that brought bytes from ``start`` to before ``end``."""
        ...


class _Extent(NamedTuple):
    """Bytes of a stream that one segment brought."""

    begin: int
    end: int
    frame: int
    skip: int  # bytes of the segment's payload before them


class Stream:
    """One direction of a TCP connection.

    Where segments overlap, the bytes that came first count. A segment that the capture cut leaves a hole, unless a
    copy fills it. Offsets count from the byte after the SYN, or from the first byte seen where no SYN was.
    """

    def __init__(self, packets: "Packets | None", extents: list[_Extent], *, from_start: bool) -> None:
        self.from_start = from_start  # the SYN was seen
        self._packets = packets
        self._extents = sorted(extents)
        self._begins = [extent.begin for extent in self._extents]
        self._ends = [extent.end for extent in self._extents]
        self._frames = [extent.frame for extent in self._extents]

    @cached_property
    def pieces(self) -> list[Piece]:
        """Runs of bytes in stream order; bytes are missing between two of them. Read when first asked for."""
        if self._packets is None or not self._extents:
            return []
        rows = np.array(self._frames) - self._packets.first
        pieces: list[Piece] = []
        run: list[bytes] = []
        following = [*self._begins[1:], -1]
        for extent, payload, after in zip(self._extents, self._packets.payloads(rows), following, strict=True):
            run.append(payload[extent.skip : extent.skip + extent.end - extent.begin])
            if after != extent.end:
                joined = b"".join(run)
                pieces.append(Piece(extent.end - len(joined), joined))
                run = []
        return pieces

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First and last frame, by number, that brought bytes from ``start`` to before ``end``; 0, 0 for none."""
        low = bisect_right(self._ends, start)
        high = bisect_left(self._begins, end if end > start else start + 1, low)
        frames = self._frames[low:high]
        if len(frames) < 2:
            return (frames[0], frames[0]) if frames else (0, 0)
        return min(frames), max(frames)

    @property
    def gaps(self) -> int:
        """Holes between pieces, and one before the first if bytes after the SYN are missing."""
        missing = bool(self._begins) and self.from_start and self._begins[0] > 0
        return sum(map(int.__ne__, self._begins[1:], self._ends)) + missing

    @property
    def whole(self) -> bool:
        """True where the stream is there from its SYN on without a hole."""
        return self.from_start and not self.gaps

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._begins)


def wire_lengths(packets: "Packets", rows: Array) -> npt.NDArray[np.int64]:
    """Payload bytes of each row as they were on the wire, with those that the snapshot length cut."""
    size = packets.payload_length[rows].astype(np.int64)
    cut = packets.length[rows].astype(np.int64) - packets.captured_length[rows]
    reached = packets.payload_start[rows].astype(np.int64) + size
    # Where the payload ends before the captured bytes do, padding follows, and that is what was cut.
    return size + np.where((packets.payload_start[rows] > 0) & (reached == packets.captured_length[rows]), cut, 0)


def assemble(packets: "Packets", rows: Array, fields: Array) -> tuple[Stream, npt.NDArray[np.bool_]]:
    """The stream of the segments in ``rows``, in the order of their arrival, and which of them were sent again.

    ``fields`` are their `Packets.tcp_fields`.
    """
    again = np.zeros(len(rows), bool)
    flags, seq = fields["flags"], fields["seq"].astype(np.int64)
    syn = flags & SYN > 0
    sent = wire_lengths(packets, rows)  # of each payload, cut or not
    # Distances between neighbours as signed 32-bit numbers unwrap the sequence space, reordering included. A reset or
    # a lone acknowledgement may carry any number and takes no part.
    counted = np.flatnonzero((sent > 0) | syn | ((flags & FIN > 0) & (flags & RST == 0)))
    if not len(counted):
        return Stream(None, [], from_start=False), again
    steps = (np.diff(seq[counted]) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    place = np.concatenate([[0], np.cumsum(steps)]) + syn[counted]
    syns = np.flatnonzero(syn[counted])
    data = sent[counted] > 0
    start = int(place[syns[0]]) if len(syns) else int(place[data].min()) if data.any() else int(place[0])
    there, times, control = packets.payload_length[rows], packets.time[rows], flags & (SYN | FIN)
    if _in_order(place - start, sent[counted], control[counted]):
        begins, heads = place - start, there[counted].astype(np.int64)
        kept = heads > 0
        columns = (begins[kept], (begins + heads)[kept], rows[counted][kept] + packets.first)
        found = zip(*(column.tolist() for column in columns), strict=True)
        extents = [_Extent(begin, end, frame, 0) for begin, end, frame in found]
        return Stream(packets, extents, from_start=bool(len(syns))), again
    coverage = _Coverage()
    segments = (column[counted].tolist() for column in (sent, there, times, control))
    for i, at, *segment in zip(counted.tolist(), (place - start).tolist(), *segments, strict=True):
        again[i] = coverage.add(i, at, *segment)
    extents = [_Extent(begin, end, int(rows[i]) + packets.first, skip) for begin, end, i, skip in coverage.found]
    return Stream(packets, extents, from_start=bool(len(syns))), again


def _in_order(at: Array, sent: Array, control: Array) -> bool:
    """Whether each segment begins at or behind the end of the one before, as nearly all do: nothing was sent again."""
    once = np.count_nonzero(control & SYN) <= 1 and np.count_nonzero(control & FIN) <= 1
    return bool(once and at[0] >= 0 and (at[1:] >= (at + sent)[:-1]).all())


class _Coverage:
    """Which bytes of a stream are there, and from which segment."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int, int, int]] = []  # begin, end, segment, bytes of it to skip
        self._begins: list[int] = []  # disjoint stretches that are there, in order
        self._ends: list[int] = []
        self._sent = 0  # one past the highest byte that was sent
        self._sent_at = 0  # ns, when
        self._controls: set[tuple[int, int]] = set()
        self._moved = 0

    def add(self, segment: int, at: int, sent: int, captured: int, time: int, control: int) -> bool:
        """Take a segment of ``sent`` bytes, the first ``captured`` of them there; True where it was sent before."""
        again = bool(control) and not sent and (at, control) in self._controls
        if control:
            self._controls.add((at, control))
        if sent <= 0:
            return again
        end = at + sent
        late = at < self._sent and time - self._sent_at > LATE
        again |= at < 0 or late or not self._missing(at, end)
        if end > self._sent:
            self._sent, self._sent_at = end, time
        for begin, stop in self._missing(max(at, 0), min(end, at + captured)):
            if self._cover(begin, stop):
                self.found.append((begin, stop, segment, begin - at))
        return again

    def _missing(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Stretches between ``begin`` and ``end`` that are not there."""
        missing = []
        k = bisect_right(self._ends, begin)
        while begin < end:
            if k == len(self._begins) or self._begins[k] >= end:
                missing.append((begin, end))
                break
            if self._begins[k] > begin:
                missing.append((begin, self._begins[k]))
            begin = self._ends[k]
            k += 1
        return missing

    def _cover(self, begin: int, end: int) -> bool:
        """Note a stretch that was missing, joined to the neighbours that it touches; False where it is too late."""
        k = bisect_left(self._begins, begin)
        self._moved += len(self._begins) - k
        if self._moved > MOVES:
            return k == len(self._begins) and self._append(begin, end)
        if k and self._ends[k - 1] == begin:
            k -= 1
            self._ends[k] = end
        else:
            self._begins.insert(k, begin)
            self._ends.insert(k, end)
        if k + 1 < len(self._begins) and self._begins[k + 1] == self._ends[k]:
            self._ends[k] = self._ends[k + 1]
            del self._begins[k + 1], self._ends[k + 1]
        return True

    def _append(self, begin: int, end: int) -> bool:
        self._begins.append(begin)
        self._ends.append(end)
        return True
