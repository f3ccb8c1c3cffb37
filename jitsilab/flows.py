"""UDP and TCP flows, and the byte streams of TCP put together again, each byte with the frame that brought it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.links import TCP, UDP

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

Array = npt.NDArray[Any]

FIN, SYN, RST, ACK = 1, 2, 4, 16
LATE = 3_000_000  # ns: a hole that stays open longer was a loss, a shorter one a reordering
_SERVICES, _EPHEMERAL = 1024, 32768  # ports below the first are services; from the second on they are handed out


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

    @cached_property
    def pieces(self) -> list[Piece]:
        """Runs of bytes in stream order; bytes are missing between two of them. Read when first asked for."""
        if self._packets is None or not self._extents:
            return []
        rows = np.array([extent.frame for extent in self._extents]) - self._packets.first
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
        low, high = bisect_right(self._ends, start), bisect_left(self._begins, max(end, start + 1))
        frames = [extent.frame for extent in self._extents[low:high]]
        return (min(frames), max(frames)) if frames else (0, 0)

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


class Flow:
    """Frames between two endpoints.

    The client of a TCP flow sent the SYN. Without one, and for UDP, the client is who sent first, unless that one's
    port looks more like a service than the other's: below 1024, else below 32768, where ports are handed out from.
    """

    def __init__(self, flows: "Flows", number: int, rows: Array, up: Array, client: int, server: int) -> None:
        self.number = number
        self.transport = "tcp" if flows.packets.ip_protocol[rows[0]] == TCP else "udp"
        self.frames: npt.NDArray[np.int64] = rows + flows.packets.first  # in order, without duplicates
        self.up: npt.NDArray[np.bool_] = up  # from the client, one a frame
        self._flows, self._rows = flows, rows
        self._ends = client, server

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the one who opened the flow."""
        return self._flows.packets.address(self._ends[0] >> 16), self._ends[0] & 0xFFFF

    @property
    def server(self) -> tuple[str, int]:
        """Address and port of the other."""
        return self._flows.packets.address(self._ends[1] >> 16), self._ends[1] & 0xFFFF

    @cached_property
    def fields(self) -> Array:
        """TCP fields ``seq``, ``ack``, ``flags``, ``window`` of each frame; none for UDP."""
        packets = self._flows.packets
        return packets.tcp_fields(self._rows if self.transport == "tcp" else self._rows[:0])

    @property
    def handshake(self) -> bool:
        """Both the SYN and its answer were seen."""
        flags = self.fields["flags"] & (SYN | ACK)
        return bool((flags == SYN).any() and (flags == SYN | ACK).any())

    @property
    def resets(self) -> int:
        """Segments with RST."""
        return int((self.fields["flags"] & RST > 0).sum())

    @property
    def fins(self) -> int:
        """Segments with FIN."""
        return int((self.fields["flags"] & FIN > 0).sum())

    @property
    def retransmissions(self) -> int:
        """Segments sent again."""
        return int(self.retransmitted.sum()) if self.transport == "tcp" else 0

    @property
    def gaps(self) -> int:
        """Holes in both streams: bytes that the capture does not have."""
        return self.stream(True).gaps + self.stream(False).gaps if self.transport == "tcp" else 0

    @cached_property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame: it sent bytes, a SYN or a FIN that were sent before, or filled a hole too late."""
        out = np.zeros(len(self._rows), bool)
        if self.transport == "tcp":
            for up in (True, False):
                out[self.up == up] = self._assembled[up][1]
        return out

    def stream(self, up: bool) -> Stream:
        """The bytes of one direction; ``up`` is client to server. Of a UDP flow it is empty."""
        return self._assembled[bool(up)][0]

    @cached_property
    def _assembled(self) -> dict[bool, tuple[Stream, npt.NDArray[np.bool_]]]:
        return {up: self._assemble(self.up == up) for up in (True, False)}

    def _assemble(self, mine: Array) -> tuple[Stream, npt.NDArray[np.bool_]]:
        packets, rows = self._flows.packets, self._rows[mine]
        again = np.zeros(len(rows), bool)
        if self.transport != "tcp" or not len(rows):
            return Stream(None, [], from_start=False), again
        fields = self.fields[mine]
        flags, seq = fields["flags"], fields["seq"].astype(np.int64)
        syn = flags & SYN > 0
        sent = wire_lengths(packets, rows)  # of each payload, cut or not
        # Distances between neighbours as signed 32-bit numbers unwrap the sequence space, reordering included. A
        # reset or a lone acknowledgement may carry any number and takes no part.
        counted = np.flatnonzero((sent > 0) | syn | ((flags & FIN > 0) & (flags & RST == 0)))
        if not len(counted):
            return Stream(None, [], from_start=False), again
        steps = (np.diff(seq[counted]) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        place = np.concatenate([[0], np.cumsum(steps)]) + syn[counted]
        syns = np.flatnonzero(syn[counted])
        data = sent[counted] > 0
        start = int(place[syns[0]]) if len(syns) else int(place[data].min()) if data.any() else int(place[0])
        place -= start
        coverage = _Coverage()
        there, times, control = packets.payload_length[rows], packets.time[rows], flags & (SYN | FIN)
        columns = (column[counted].tolist() for column in (sent, there, times, control))
        for i, at, *segment in zip(counted.tolist(), place.tolist(), *columns, strict=True):
            again[i] = coverage.add(i, at, *segment)
        extents = [_Extent(begin, end, int(rows[i]) + packets.first, skip) for begin, end, i, skip in coverage.found]
        return Stream(packets, extents, from_start=bool(len(syns))), again


class _Coverage:
    """Which bytes of a stream are there, and from which segment."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int, int, int]] = []  # begin, end, segment, bytes of it to skip
        self._begins: list[int] = []  # disjoint stretches that are there, in order
        self._ends: list[int] = []
        self._sent = 0  # one past the highest byte that was sent
        self._sent_at = 0  # ns, when
        self._controls: set[tuple[int, int]] = set()

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
            self.found.append((begin, stop, segment, begin - at))
            self._cover(begin, stop)
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

    def _cover(self, begin: int, end: int) -> None:
        """Note a stretch that was missing, joined to the neighbours that it touches."""
        k = bisect_left(self._begins, begin)
        if k and self._ends[k - 1] == begin:
            k -= 1
            self._ends[k] = end
        else:
            self._begins.insert(k, begin)
            self._ends.insert(k, end)
        if k + 1 < len(self._begins) and self._begins[k + 1] == self._ends[k]:
            self._ends[k] = self._ends[k + 1]
            del self._begins[k + 1], self._ends[k + 1]


class Flows:
    """The flows of a capture, numbered from 0 in the order of their first frames; each is built when asked for."""

    def __init__(self, packets: "Packets", of_frame: npt.NDArray[np.int32], order: Array, starts: Array,
                 client: Array, server: Array, up: npt.NDArray[np.bool_]) -> None:  # fmt: skip
        self.packets = packets
        self.of_frame = of_frame  # flow number of each frame, -1 for none
        self.up = up  # one a frame: from the flow's client
        self.client, self.server = client, server  # one a flow: address code << 16 | port
        self._order, self._starts = order, starts  # rows by flow, where each flow's rows begin
        self._made: dict[int, Flow] = {}

    def __len__(self) -> int:
        return len(self.client)

    def __getitem__(self, number: int) -> Flow:
        if not 0 <= number < len(self):
            raise IndexError(f"there is no flow {number}, the capture has {len(self)}")
        if number not in self._made:
            rows = self._order[self._starts[number] : self._starts[number + 1]]
            rows = rows[self.packets.duplicate_of[rows] == 0]
            self._made[number] = Flow(
                self, number, rows, self.up[rows], int(self.client[number]), int(self.server[number])
            )
        return self._made[number]

    def __iter__(self) -> Iterator[Flow]:
        return (self[number] for number in range(len(self)))

    def stream(self, number: int, up: bool) -> Stream:
        """The bytes of one direction of a TCP flow; ``up`` is client to server."""
        return self[number].stream(up)


def wire_lengths(packets: "Packets", rows: Array) -> npt.NDArray[np.int64]:
    """Payload bytes of each row as they were on the wire, with those that the snapshot length cut."""
    size = packets.payload_length[rows].astype(np.int64)
    cut = packets.length[rows].astype(np.int64) - packets.captured_length[rows]
    reached = packets.payload_start[rows].astype(np.int64) + size
    # Where the payload ends before the captured bytes do, padding follows, and that is what was cut.
    return size + np.where((packets.payload_start[rows] > 0) & (reached == packets.captured_length[rows]), cut, 0)


def build(packets: "Packets") -> Flows:
    """Sort the frames of a capture into UDP and TCP flows.

    A TCP five-tuple that opens again with another sequence number is another flow. Duplicates seen on a second
    interface belong to the flow but not to its ``frames``.
    """
    protocol = packets.ip_protocol
    rows = np.flatnonzero((packets.src_port >= 0) & ((protocol == TCP) | (protocol == UDP)))
    source = packets.src[rows].astype(np.int64) << 16 | packets.src_port[rows]
    target = packets.dst[rows].astype(np.int64) << 16 | packets.dst_port[rows]
    low, high = np.minimum(source, target), np.maximum(source, target)
    high = high << 1 | (protocol[rows] == TCP)
    order = np.lexsort((low, high))
    changed = np.ones(len(rows), bool)
    changed[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    flow = np.empty(len(rows), np.int64)
    flow[order] = np.cumsum(changed) - 1
    flow = _split(packets, rows, flow, source, source < target)
    first_row, flow = _renumber(flow)
    count = len(first_row)
    order = np.argsort(flow, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flow, minlength=count))]).astype(np.int64)
    client, server = source[first_row], target[first_row]
    swap = _rank(client & 0xFFFF) < _rank(server & 0xFFFF)
    _by_handshake(packets, rows, flow, first_row, source, client, swap)
    client, server = np.where(swap, server, client), np.where(swap, client, server)
    of_frame = np.full(len(packets), -1, np.int32)
    of_frame[rows] = flow
    up = np.zeros(len(packets), bool)
    up[rows] = source == client[flow]
    return Flows(packets, of_frame, rows[order], starts, client, server, up)


def _rank(port: Array) -> Array:
    """How little a port looks like a service's."""
    return (port >= _SERVICES).astype(np.int8) + (port >= _EPHEMERAL)


def _renumber(flow: Array) -> tuple[Array, Array]:
    """Position of each flow's first frame, and the flows numbered in that order."""
    _, first, inverse = np.unique(flow, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.sort(first), rank[inverse]


def _split(packets: "Packets", rows: Array, flow: Array, source: Array, forward: Array) -> Array:
    """Give connections that reuse a five-tuple numbers of their own."""
    tcp = np.flatnonzero((packets.ip_protocol[rows] == TCP) & (packets.payload_start[rows] > 0))
    if not len(tcp):
        return flow
    fields = packets.tcp_fields(rows[tcp])
    opening = np.flatnonzero(fields["flags"] & (SYN | ACK | RST) == SYN)
    where = tcp[opening]
    numbers: dict[int, tuple[int, int]] = {}
    cuts: dict[int, list[int]] = {}
    # A SYN in the middle of a flow opens another one if its sender was there before; a SYN that was merely captured
    # after its answer does not.
    sender = flow * 2 + forward
    first = np.full(int(sender.max()) + 1, len(flow), np.int64)
    np.minimum.at(first, sender, np.arange(len(flow)))
    for i, seq in zip(where.tolist(), fields["seq"][opening].tolist(), strict=True):
        number, this = int(flow[i]), (int(source[i]), seq)
        if numbers[number] != this if number in numbers else first[sender[i]] < i:
            cuts.setdefault(number, []).append(i)
        numbers[number] = this
    if not cuts:
        return flow
    out, following = flow.copy(), int(flow.max()) + 1
    order = np.argsort(flow, kind="stable")
    begins = np.searchsorted(flow[order], np.arange(following + 1))
    for number, places in cuts.items():
        mine = order[begins[number] : begins[number + 1]]
        for place in places:
            out[mine[np.searchsorted(mine, place) :]] = following
            following += 1
    return out


def _by_handshake(
    packets: "Packets", rows: Array, flow: Array, first_row: Array, source: Array, client: Array, swap: Array
) -> None:
    """Where the handshake shows who opened the flow, let it decide; ``swap`` is changed in place."""
    tcp = np.flatnonzero((packets.ip_protocol[rows] == TCP) & (packets.payload_start[rows] > 0))
    flags = packets.tcp_fields(rows[tcp])["flags"] & (SYN | ACK)
    for kind in (SYN | ACK, SYN):  # the SYN itself has the last word
        shown = tcp[flags == kind]
        numbers, first = np.unique(flow[shown], return_index=True)
        from_first = source[shown[first]] == client[numbers]
        swap[numbers] = from_first if kind == SYN | ACK else ~from_first
