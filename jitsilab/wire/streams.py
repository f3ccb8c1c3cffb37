"""The byte streams of TCP put together again, each byte with the frame that brought it."""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

Array = npt.NDArray[Any]

FIN, SYN, RST, ACK = 1, 2, 4, 16
MOVES = 1 << 31  # stretches that late segments may push aside; nobody but an attacker sends so many in reverse
MANY, FRAMES = 1 << 22, 1 << 14  # bytes of payload that are read at a time, and of how many frames at most
KEPT = 1 << 24  # bytes of streams that were put together and may be asked for again; others are read again
OBJECT = 140  # bytes that Python needs for a piece, whatever its length
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


class _Payloads:
    """Payloads of segments, stream after stream; many are read at a time, as in the file the streams are mixed."""

    def __init__(self, packets: "Packets", rows: Array) -> None:
        self._packets, self._rows = packets, rows
        self._low, self._payloads = 0, list[bytes]()  # what was read last

    def read(self, low: int, high: int) -> list[bytes]:
        """The payloads of segments ``low`` to before ``high``."""
        if not self._low <= low <= high <= self._low + len(self._payloads):
            ahead = self._rows[low : max(high, low + FRAMES)]
            enough = int(np.searchsorted(np.cumsum(self._packets.payload_length[ahead], dtype=np.int64), MANY))
            rows = ahead[: max(high - low, enough)]
            order = np.argsort(rows)
            self._low, payloads = low, self._packets.payloads(rows[order])
            self._payloads = [payloads[place] for place in np.argsort(order).tolist()]
        return self._payloads[low - self._low : high - self._low]

    def forget(self) -> None:
        """Let go what was read."""
        self._low, self._payloads = 0, []


class Recent:
    """The streams that were put together last, as long as they are not too much together."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, list[Piece]] = OrderedDict()  # by a stream's first frame, the latest last
        self._bytes = 0

    def get(self, first: int) -> list[Piece] | None:
        """The pieces of a stream, where they are still there."""
        pieces: list[Piece] | None = self._held.get(first)
        if pieces is not None:
            self._held.move_to_end(first)
        return pieces

    def add(self, first: int, pieces: list[Piece]) -> None:
        """Remember a stream, and forget the oldest ones where they are too much."""
        self._held[first] = pieces
        self._bytes += _cost(pieces)
        while self._bytes > KEPT and len(self._held) > 2:  # both directions of one flow are asked for in turn
            self.drop(next(iter(self._held)))

    def drop(self, first: int) -> None:
        """Forget a stream."""
        self._bytes -= _cost(self._held.pop(first, ()))


def _cost(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.data) + OBJECT for piece in pieces)


class Stream:
    """One direction of a TCP connection.

    Where segments overlap, the bytes that came first count. A segment that the capture cut leaves a hole, unless a
    copy fills it. Offsets count from the byte after the SYN, or from the first byte seen where no SYN was.
    """

    def __init__(
        self,
        payloads: "_Payloads",
        low: int,
        begins: Sequence[int],
        ends: Sequence[int],
        frames: Sequence[int],
        skips: list[int] | None = None,
        *,
        from_start: bool,
        recent: "Recent | None" = None,
    ) -> None:
        self.from_start = from_start  # the SYN was seen
        self._payloads, self._low = payloads, low  # where the payloads are, and which is the first
        self._begins, self._ends, self._frames = begins, ends, frames  # of what each segment brought, in stream order
        self._skips = skips  # bytes of each segment's payload before that
        self._recent = recent if recent is not None else Recent()

    @classmethod
    def of_nothing(cls, packets: "Packets") -> "Stream":
        """The stream of a direction without segments."""
        return cls(_Payloads(packets, np.zeros(0, np.int64)), 0, [], [], [], from_start=False)

    @property
    def pieces(self) -> list[Piece]:
        """Runs of bytes in stream order; bytes are missing between two of them. Read when asked for, soon let go."""
        if not self._frames:
            return []
        pieces = self._recent.get(self._frames[0])
        if pieces is None:
            pieces = self._read()
            self._recent.add(self._frames[0], pieces)
        return pieces

    def _read(self) -> list[Piece]:
        payloads = self._payloads.read(self._low, self._low + len(self._frames))
        if self._skips is not None:
            columns = zip(payloads, self._skips, self._begins, self._ends, strict=True)
            payloads = [payload[skip : skip + end - begin] for payload, skip, begin, end in columns]
            self._payloads.forget()  # nobody else's
        borders = [k for k, met in enumerate(map(int.__eq__, self._begins[1:], self._ends), 1) if not met]
        runs = zip([0, *borders], [*borders, len(payloads)], strict=True)
        return [Piece(self._begins[low], b"".join(payloads[low:high])) for low, high in runs]

    def release(self) -> None:
        """Let go of the bytes; they are read again when they are asked for."""
        if self._frames:
            self._recent.drop(self._frames[0])

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


def assemble(
    packets: "Packets", rows: Array, side: Array, recent: Recent
) -> tuple[list[Stream], npt.NDArray[np.bool_]]:
    """The streams of many directions at once, and which of their segments were sent again.

    ``rows`` are the segments of one direction after those of another, each in the order of their arrival; ``side`` is
    the number of the direction that each belongs to, from 0, without a gap.
    """
    count = int(side.max(initial=-1)) + 1
    fields = packets.tcp_fields(rows)
    flags, sent = fields["flags"], wire_lengths(packets, rows)  # of each payload, cut or not
    # A reset or a lone acknowledgement may carry any number and takes no part.
    counted = np.flatnonzero((sent > 0) | (flags & SYN > 0) | (flags & (FIN | RST) == FIN))
    again = np.zeros(len(rows), bool)
    side, sent, control = side[counted], sent[counted], flags[counted] & (SYN | FIN)
    there, frames = packets.payload_length[rows[counted]].astype(np.int64), rows[counted] + packets.first
    at, from_start = _places(fields["seq"][counted].astype(np.int64), side, sent, control & SYN > 0, count)
    shuffled = _shuffled(at, sent, control, side, count)
    kept = np.flatnonzero((there > 0) & ~shuffled[side])
    begins, ends, numbers = map(_packed, (at[kept], (at + there)[kept], frames[kept]))
    bounds = np.searchsorted(side[kept], np.arange(count + 1)).tolist()
    payloads = _Payloads(packets, rows[counted[kept]].astype(np.int32))
    streams = [
        Stream(payloads, low, begins[low:high], ends[low:high], numbers[low:high], from_start=seen, recent=recent)
        for low, high, seen in zip(bounds, bounds[1:], from_start.tolist(), strict=False)
    ]
    segments = (at, sent, there, packets.time[rows[counted]], control)
    for number in np.flatnonzero(shuffled).tolist():
        low, high = np.searchsorted(side, [number, number + 1]).tolist()
        coverage = _Coverage()
        for k, *segment in zip(range(low, high), *(column[low:high].tolist() for column in segments), strict=True):
            again[counted[k]] = coverage.add(k, *segment)
        pieces = [[begin, end, int(frames[k]), skip] for begin, end, k, skip in sorted(coverage.pieces)]
        lists = [list(column) for column in zip(*pieces, strict=True)] or [[], [], [], []]
        own = _Payloads(packets, np.array(lists[2], np.int64) - packets.first)
        streams[number] = Stream(own, 0, *lists, from_start=bool(from_start[number]), recent=recent)
    return streams, again


def _packed(column: Array) -> "array[int]":
    """Numbers in four bytes each, or in eight: in a list each would take 40."""
    wide = len(column) and max(-int(column.min()), int(column.max())) >= 1 << 31
    return array("q", column.astype(np.int64).tobytes()) if wide else array("i", column.astype(np.int32).tobytes())


def _places(seq: Array, side: Array, sent: Array, syn: Array, count: int) -> tuple[Array, Array]:
    """Where in its stream each segment begins, and of each direction whether it is known from its SYN on."""
    first = np.flatnonzero(np.diff(side, prepend=-1))  # segment of each direction that has one
    # Distances between neighbours as signed 32-bit numbers unwrap the sequence space, reordering included.
    steps = (np.diff(seq, prepend=0) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
    steps[first] = 0
    place = np.cumsum(steps)
    place -= np.repeat(place[first], np.diff(first, append=len(place)))
    place += syn
    # A stream begins behind its SYN, else with the lowest of its bytes, else where its first segment is.
    start = np.zeros(count, np.int64)
    start[side[first]] = place[first]
    data = np.flatnonzero(sent > 0)
    lowest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, side[data], place[data])
    start[side[data]] = lowest[side[data]]
    opening = np.flatnonzero(syn)[::-1]  # of several the one written last stays: the first
    start[side[opening]] = place[opening]
    from_start = np.zeros(count, bool)
    from_start[side[opening]] = True
    return place - start[side], from_start


def _shuffled(at: Array, sent: Array, control: Array, side: Array, count: int) -> Array:
    """Of each direction whether a segment begins before the end of the one before it, as few do: some came again."""
    shuffled = (np.bincount(side[control & SYN > 0], minlength=count) > 1) | (
        np.bincount(side[control & FIN > 0], minlength=count) > 1
    )
    follows = np.diff(side, prepend=-1) == 0
    shuffled[side[at < np.where(follows, np.roll(at + sent, 1), 0)]] = True
    return shuffled


class _Coverage:
    """Which bytes of a stream are there, and from which segment."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int, int, int]] = []  # begin, end, segment, bytes of it to skip
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
                self.pieces.append((begin, stop, segment, begin - at))
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
