"""The byte streams of TCP put together again, each byte with the frame that brought it."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.columns import Growing, Pages, Rows, Run, made, numbers, ordered, slices

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

    def parts(self, low: int, high: int) -> Iterator[list[bytes]]:
        """The payloads of segments ``low`` to before ``high``, some after the other."""
        while low < high:
            if not self._low <= low < self._low + len(self._payloads):
                ahead = self._rows[low : low + FRAMES]
                enough = int(np.searchsorted(np.cumsum(self._packets.payload_length[ahead], dtype=np.int64), MANY))
                rows = ahead[: max(1, enough)]
                order = np.argsort(rows)
                self._low, payloads = low, self._packets.payloads(rows[order])
                self._payloads = [payloads[place] for place in np.argsort(order).tolist()]
            some = self._payloads[low - self._low : high - self._low]
            yield some
            low += len(some)

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
    """Bytes in memory; each that lies in a file has a descriptor, of which there are not many."""
    return sum(KEPT >> 4 if isinstance(piece.data, Pages) else len(piece.data) + OBJECT for piece in pieces)


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
        skips: Sequence[int] | None = None,
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
        runs = pairwise([0, *self._borders().tolist(), len(self._frames)])
        pieces = [Piece(self._begins[low], self._run(low, high)) for low, high in runs]
        if self._skips is not None:
            self._payloads.forget()  # nobody else's
        return pieces

    def _run(self, low: int, high: int) -> bytes:
        """What the segments ``low`` to before ``high`` brought, without a hole between them."""
        run = Run()
        for payloads in self._payloads.parts(self._low + low, self._low + high):
            if self._skips is not None:
                here = slice(low, low + len(payloads))
                columns = zip(payloads, self._skips[here], self._begins[here], self._ends[here], strict=True)
                payloads = [payload[skip : skip + end - begin] for payload, skip, begin, end in columns]
            run.add(b"".join(payloads))
            low += len(payloads)
        return run.take()

    def _borders(self) -> Array:
        """Segments that do not begin where the one before ends."""
        return 1 + np.flatnonzero(np.asarray(self._begins[1:]) != np.asarray(self._ends[:-1]))

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
        return len(self._borders()) + missing

    @property
    def whole(self) -> bool:
        """True where the stream is there from its SYN on without a hole."""
        return self.from_start and not self.gaps

    def __len__(self) -> int:
        return int(np.sum(self._ends) - np.sum(self._begins))


def wire_lengths(packets: "Packets", rows: Array) -> npt.NDArray[np.int64]:
    """Payload bytes of each row as they were on the wire, with those that the snapshot length cut."""
    size = packets.payload_length[rows].astype(np.int64)
    cut = packets.length[rows].astype(np.int64) - packets.captured_length[rows]
    reached = packets.payload_start[rows].astype(np.int64) + size
    # Where the payload ends before the captured bytes do, padding follows, and that is what was cut.
    return size + np.where((packets.payload_start[rows] > 0) & (reached == packets.captured_length[rows]), cut, 0)


def assemble(
    packets: "Packets", rows: Array, starts: Array, recent: Recent
) -> tuple[list[Stream], list[npt.NDArray[np.int64]]]:
    """The streams of many directions at once, and rows of their segments that were sent again.

    ``rows`` are the segments of one direction after those of another, each in the order of their arrival; ``starts``
    says where in them each direction begins, and behind all of them where the last one ends.
    """
    every = _Segments(packets, rows, starts)
    kept, lengths = Growing(), np.zeros(every.count, np.int64)
    for side, segments in every.windows():
        straight = (segments["there"] > 0) & ~every.shuffled[side]
        lengths += np.bincount(side[straight], minlength=every.count)
        some = segments[straight]
        ends = some["at"] + some["there"]
        kept.add({"begin": _narrow(some["at"]), "end": _narrow(ends), "row": some["row"].astype(np.int32)})
    begins, ends, kept_rows = (kept.take(name, np.int32) for name in ("begin", "end", "row"))
    bounds = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    payloads = _Payloads(packets, kept_rows)
    frames = made(len(kept_rows), np.int32, lambda window: kept_rows[window] + packets.first)
    columns = [numbers(column) for column in (begins, ends, frames)]
    streams = [
        Stream(payloads, low, *(column[low:high] for column in columns), from_start=seen, recent=recent)
        for low, high, seen in zip(bounds, bounds[1:], every.from_start.tolist(), strict=False)
    ]
    again = []
    for number in np.flatnonzero(every.shuffled).tolist():
        coverage = _Coverage()
        for _, segments in every.windows(number):
            times = packets.time[segments["row"]]
            frames = segments["row"].astype(np.int64) + packets.first
            fields = (frames, segments["at"], segments["sent"], segments["there"], times, segments["control"])
            sent_again = [coverage.add(*row) for row in zip(*(field.tolist() for field in fields), strict=True)]
            again.append(frames[sent_again] - packets.first)
        pieces = coverage.pieces()
        own = _Payloads(packets, pieces["frame"] - np.int64(packets.first))
        own_columns = (numbers(_narrow(pieces[name])) for name in ("begin", "end", "frame", "skip"))
        streams[number] = Stream(own, 0, *own_columns, from_start=bool(every.from_start[number]), recent=recent)
    return streams, again


def _narrow(column: Array) -> Array:
    """Numbers in four bytes each where they fit, else in eight."""
    wide = len(column) and max(-int(column.min()), int(column.max())) >= 1 << 31
    return column.astype(np.int64 if wide else np.int32)


_SEGMENT = np.dtype([("at", "i8"), ("sent", "u4"), ("there", "u4"), ("row", "u4"), ("control", "u1")])


class _Segments:
    """Segments that take part in their streams, one direction after the other, and where each begins."""

    def __init__(self, packets: "Packets", rows: Array, starts: Array) -> None:
        self._packets, self.count = packets, len(starts) - 1
        self._start = np.zeros(self.count, np.int64)  # of each stream, from its first segment
        self._first = np.zeros(self.count, np.int64)  # of its first segment
        self._lowest = np.full(self.count, np.iinfo(np.int64).max)
        self.from_start = np.zeros(self.count, bool)  # the SYN is there
        self.shuffled = np.zeros(self.count, bool)  # a segment begins before the end of the one before it
        self._opened, self._closed = np.zeros(self.count, np.int64), np.zeros(self.count, np.int64)
        self._side, self._sequence, self._place, self._end = -1, 0, 0, 0  # of the segment before
        lengths, segments = np.zeros(self.count, np.int64), Growing()
        for window in slices(len(rows)):
            side = np.searchsorted(starts, np.arange(window.start, window.stop), side="right") - 1
            side, some = self._read(rows[window], side)
            lengths += np.bincount(side, minlength=self.count)
            segments.add({"": some})
        self._segments = segments.take("", _SEGMENT)
        self._bounds = np.concatenate([[0], np.cumsum(lengths)])
        # A stream begins behind its SYN, else with the lowest of its bytes, else where its first segment is.
        data = ~self.from_start & (self._lowest < np.iinfo(np.int64).max)
        self._start[data] = self._lowest[data]
        self.shuffled |= (self._opened > 1) | (self._closed > 1) | (self._first < self._start)

    def windows(self, number: int | None = None) -> Iterator[tuple[Array, Array]]:
        """Direction and segments, some after the other, of all or of one direction."""
        low, high = (0, len(self._segments)) if number is None else self._bounds[number : number + 2].tolist()
        for window in slices(high - low):
            places = np.arange(low + window.start, low + window.stop)
            side = np.searchsorted(self._bounds, places, side="right") - 1
            segments = self._segments[places[0] : places[-1] + 1].copy()
            segments["at"] -= self._start[side]
            yield side, segments

    def _read(self, rows: Array, side: Array) -> tuple[Array, Array]:
        packets = self._packets
        fields, sent = packets.tcp_fields(rows), wire_lengths(packets, rows)  # of each payload, cut or not
        flags = fields["flags"]
        # A reset or a lone acknowledgement may carry any number and takes no part.
        counted = np.flatnonzero((sent > 0) | (flags & SYN > 0) | (flags & (FIN | RST) == FIN))
        segments = np.zeros(len(counted), _SEGMENT)
        if not len(counted):
            return side[counted], segments
        side, control = side[counted], flags[counted] & (SYN | FIN)
        segments["row"], segments["sent"], segments["control"] = rows[counted], sent[counted], control
        segments["there"] = packets.payload_length[rows[counted]]
        at = self._places(fields["seq"][counted].astype(np.int64), side, control & SYN > 0)
        segments["at"] = at
        self._note(side, at, at + segments["sent"], control)
        return side, segments

    def _places(self, seq: Array, side: Array, syn: Array) -> Array:
        """Where in its stream each segment begins, from the first of its direction."""
        # Distances between neighbours as signed 32-bit numbers unwrap the sequence space, reordering included.
        steps = (np.diff(seq, prepend=self._sequence) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        begins = np.flatnonzero(np.diff(side, prepend=self._side))  # first segments of directions
        steps[begins] = 0
        places = np.cumsum(steps)
        runs = np.concatenate([[0], begins])
        bases = np.concatenate([[self._place], -places[begins]])
        places += np.repeat(bases, np.diff(runs, append=len(places)))
        self._sequence, self._place = int(seq[-1]), int(places[-1])
        return places + syn

    def _note(self, side: Array, at: Array, end: Array, control: Array) -> None:
        """What the segments say of their directions."""
        follows = np.diff(side, prepend=self._side) == 0
        begins = np.flatnonzero(~follows)
        self._start[side[begins]] = self._first[side[begins]] = at[begins]
        self.shuffled[side[follows & (at < np.concatenate([[self._end], end[:-1]]))]] = True
        data = np.flatnonzero(end > at)
        np.minimum.at(self._lowest, side[data], at[data])
        opening = np.flatnonzero((control & SYN > 0) & ~self.from_start[side])[::-1]
        self._start[side[opening]] = at[opening]  # of several the one written last stays: the first
        self.from_start[side[opening]] = True
        self._opened += np.bincount(side[control & SYN > 0], minlength=self.count)
        self._closed += np.bincount(side[control & FIN > 0], minlength=self.count)
        self._side, self._end = int(side[-1]), int(end[-1])


_PIECE = np.dtype([("begin", "i8"), ("end", "i8"), ("frame", "u4"), ("skip", "u4")])  # skip: bytes before it


class _Coverage:
    """Which bytes of a stream are there, and from which segment."""

    def __init__(self) -> None:
        self._pieces = Rows(_PIECE)
        self._begins: list[int] = []  # disjoint stretches that are there, in order
        self._ends: list[int] = []
        self._sent = 0  # one past the highest byte that was sent
        self._sent_at = 0  # ns, when
        self._controls: set[tuple[int, int]] = set()
        self._moved = 0

    def pieces(self) -> Array:
        """What each segment brought, in stream order."""
        pieces = self._pieces.take()
        return ordered(pieces, np.argsort(pieces["begin"]))

    def add(self, frame: int, at: int, sent: int, captured: int, time: int, control: int) -> bool:
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
                self._pieces.add((begin, stop, frame, begin - at))
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
