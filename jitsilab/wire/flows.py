"""UDP and TCP flows: who talks with whom, which frames belong together, and the state of the connection."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jitsilab.errors import ParseError
from jitsilab.pcap.columns import Growing, filled, grouped, let_go, made, slices, spans, where
from jitsilab.pcap.links import TCP, UDP
from jitsilab.protocols import stun
from jitsilab.wire.streams import ACK, FIN, RST, SYN, ByteStream, Piece, Recent, Stream, assemble, wire_lengths

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

__all__ = ["ByteStream", "Flow", "Flows", "Piece", "Stream", "build", "wire_lengths"]

Array = npt.NDArray[Any]

MOST = 1 << 18  # flows that are told apart: a day of a busy server has fewer, and a scan of all ports has more
TOGETHER = 1 << 16  # rows of flows that are labelled or counted at once
_SERVICES, _EPHEMERAL = 1024, 32768  # ports below the first are services; from the second on they are handed out


class Range(NamedTuple):
    """Flows that are read at once: numbers ``low`` to before ``high``, and rows of theirs in the capture's order."""

    low: int
    high: int
    rows: npt.NDArray[np.int64]


class Flow:
    """Frames between two endpoints.

    The client of a TCP flow sent the SYN. Without one, and for UDP, the client is who sent first, unless that one's
    port looks more like a service than the other's: below 1024, else below 32768, where ports are handed out from. A
    request to a STUN or TURN server says more than a port that is no service's.
    """

    def __init__(self, segments: "_Segments", number: int, client: int, server: int) -> None:
        self.number = number
        self._segments = segments
        self._ends = client, server

    @property
    def _rows(self) -> npt.NDArray[np.int64]:
        order, starts = self._segments.rows
        rows = order[starts[self.number] : starts[self.number + 1]].astype(np.int64)
        originals: npt.NDArray[np.int64] = rows[self._segments.packets.duplicate_of[rows] == 0]
        return originals

    @cached_property
    def transport(self) -> str:
        """``tcp`` or ``udp``."""
        order, starts = self._segments.rows
        return "tcp" if self._segments.packets.ip_protocol[order[starts[self.number]]] == TCP else "udp"

    @property
    def frames(self) -> npt.NDArray[np.int64]:
        """Frame numbers in order, without duplicates."""
        return self._rows + self._segments.packets.first

    @property
    def up(self) -> npt.NDArray[np.bool_]:
        """One a frame: from the client."""
        return self._segments.up[self._rows]

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the one who opened the flow."""
        return self._segments.packets.address(self._ends[0] >> 16), self._ends[0] & 0xFFFF

    @property
    def server(self) -> tuple[str, int]:
        """Address and port of the other."""
        return self._segments.packets.address(self._ends[1] >> 16), self._ends[1] & 0xFFFF

    @property
    def fields(self) -> Array:
        """TCP fields ``seq``, ``ack``, ``flags``, ``window`` of each frame; none for UDP."""
        rows = self._rows
        return self._segments.packets.tcp_fields(rows if self.transport == "tcp" else rows[:0])

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

    @property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame: it sent bytes, a SYN or a FIN that were sent before, or filled a hole too late."""
        return self._segments.retransmitted[self._rows]

    def stream(self, up: bool) -> Stream:
        """The bytes of one direction; ``up`` is client to server. Of a UDP flow it is empty."""
        return self._segments.stream(self.number, up)


class _Segments:
    """What the flows of a capture share. It knows none of them: nothing here refers in a circle, which keeps memory."""

    def __init__(self, packets: "Packets", of_frame: npt.NDArray[np.int32], up: npt.NDArray[np.bool_]) -> None:
        self.packets, self.up = packets, up
        self._of_frame = of_frame

    @cached_property
    def rows(self) -> tuple[npt.NDArray[np.int32], Array]:
        """Rows by flow, in order within each, and where each flow's rows begin."""
        count = int(self._of_frame.max(initial=-1)) + 1
        return grouped(len(self._of_frame), count, lambda window: self._of_frame[window])

    def stream(self, number: int, up: bool) -> Stream:
        """The bytes of one direction of a flow; ``up`` is client to server. Of UDP there are none."""
        stream = self._assembled[0].get(2 * number + (not up))
        return Stream.of_nothing(self.packets) if stream is None else stream

    @property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame of the capture: bytes, a SYN or a FIN sent again, or a hole filled too late."""
        return self._assembled[1]

    def ranges(self, wanted: Callable[[Array], Array]) -> Iterator[Range]:
        """As `Flows.ranges` gives them; ``wanted`` says of each of some rows whether it is one."""
        order, starts = self.rows
        if len(starts) < 2:
            return
        counts = np.zeros(len(starts) - 1, np.int64)
        for window in slices(len(order)):
            rows = order[window]
            counts += np.bincount(self._of_frame[rows][wanted(rows)], minlength=len(counts))
        part = (np.cumsum(counts) - counts) // TOGETHER
        lows = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
        for low, high in zip(lows, [*lows[1:], len(starts) - 1], strict=True):
            some = low + np.flatnonzero(counts[low:high])  # the rows of the others need not be looked at
            begins, ends = some[np.diff(some, prepend=-2) > 1], some[np.diff(some, append=high + 1) > 1]
            parts = [order[starts[a] : starts[b + 1]] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
            rows = parts[0] if len(some) == 1 else np.sort(np.concatenate([order[:0], *parts]))
            kept = Growing()
            for window in spans(rows):
                kept.add({"": rows[window][wanted(rows[window])].astype(np.int64)})
            yield Range(low, high, kept.take("", np.int64))
            let_go()

    @cached_property
    def _assembled(self) -> tuple[dict[int, Stream], npt.NDArray[np.bool_]]:
        packets, protocol, copies = self.packets, self.packets.ip_protocol, self.packets.duplicate_of
        again, streams, recent = filled(len(packets), False, np.bool_), dict[int, Stream](), Recent()
        for _, _, rows in self.ranges(lambda rows: (protocol[rows] == TCP) & (copies[rows] == 0)):
            sides, segments, starts = self._by_side(rows)
            assembled, sent_again = assemble(packets, segments, starts, recent)
            for some in sent_again:
                again[some] = True
            streams.update(zip(sides.tolist(), assembled, strict=True))
        return streams, again

    def _by_side(self, rows: Array) -> tuple[Array, Array, Array]:
        """Directions that rows belong to, as in `stream`; the rows of one after those of another; where each begins."""

        def side(window: slice) -> Array:
            some = rows[window]
            sides: Array = 2 * self._of_frame[some].astype(np.int64) + ~self.up[some]
            return sides

        sides = _distinct(side(window) for window in slices(len(rows)))
        order, starts = grouped(len(rows), len(sides), lambda window: np.searchsorted(sides, side(window)))
        return sides, made(len(rows), np.int32, lambda window: rows[order[window]]), starts


class Flows:
    """The flows of a capture, numbered from 0 in the order of their first frames; each is built when asked for."""

    def __init__(
        self,
        packets: "Packets",
        of_frame: npt.NDArray[np.int32],
        client: Array,
        server: Array,
        up: npt.NDArray[np.bool_],
        left_out: int = 0,
    ) -> None:
        self.packets = packets
        self.left_out = left_out  # flows beyond `MOST`, those of the fewest frames, which belong to no flow here
        self.of_frame = of_frame  # flow number of each frame, -1 for none
        self.up = up  # one a frame: from the flow's client
        self.client, self.server = client, server  # one a flow: address code << 16 | port
        self._segments = _Segments(packets, of_frame, up)
        self._made: dict[int, Flow] = {}

    def __len__(self) -> int:
        return len(self.client)

    def __getitem__(self, number: int) -> Flow:
        if not 0 <= number < len(self):
            raise IndexError(f"there is no flow {number}, the capture has {len(self)}")
        if number not in self._made:
            self._made[number] = Flow(self._segments, number, int(self.client[number]), int(self.server[number]))
        return self._made[number]

    def __iter__(self) -> Iterator[Flow]:
        return (self[number] for number in range(len(self)))

    def stream(self, number: int, up: bool) -> Stream:
        """The bytes of one direction of a flow; ``up`` is client to server. Of UDP there are none."""
        return self._segments.stream(number, up)

    def ranges(self, wanted: Callable[[Array], Array]) -> Iterator[Range]:
        """Some flows after the other, and their rows that are ``wanted``, `TOGETHER` or more of them at once.

        ``wanted`` takes rows and says of each whether it is one.
        Every flow is in one range, so that what is decided or counted by flow comes out as if all were read at once.
        """
        return self._segments.ranges(wanted)

    @property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame of the capture: bytes, a SYN or a FIN sent again, or a hole filled too late."""
        return self._segments.retransmitted


def build(packets: "Packets") -> Flows:
    """Sort the frames of a capture into UDP and TCP flows.

    A TCP five-tuple that opens again with another sequence number is another flow. Duplicates seen on a second
    interface belong to the flow but not to its ``frames``.
    """
    flow, forward = _paired(packets)
    tcp = where(len(packets), lambda window: (packets.ip_protocol[window] == TCP) & (flow[window] >= 0))
    fields = packets.tcp_fields(tcp)
    flow[tcp] = _split(flow[tcp], forward[tcp], fields, int(flow.max(initial=-1)) + 1)
    left_out = _leave_out(flow)
    if left_out:
        known = flow[tcp] >= 0
        tcp, fields = tcp[known], fields[known]
    first = _renumber(flow)
    client, server = _ends(packets, first)
    swap = _rank(client & 0xFFFF) < _rank(server & 0xFFFF)
    for number in np.flatnonzero(swap & (server & 0xFFFF >= _SERVICES)).tolist():
        swap[number] = not _asks_server(packets.payload(int(first[number]) + packets.first))
    of_tcp = flow[tcp]
    _by_handshake(of_tcp, forward[tcp] == forward[first][of_tcp], fields["flags"], swap)
    swap &= client != server
    from_client = np.append(forward[first] ^ swap, False)
    for window in slices(len(packets)):
        forward[window] = (flow[window] >= 0) & (forward[window] == from_client[flow[window]])
    client, server = np.where(swap, server, client), np.where(swap, client, server)
    return Flows(packets, flow, client, server, forward, left_out)


def _ends(packets: "Packets", rows: Array) -> tuple[Array, Array]:
    """Source and destination of UDP and TCP rows, each as address code << 16 | port."""
    source = packets.src[rows].astype(np.int64) << 16 | packets.src_port[rows]
    return source, packets.dst[rows].astype(np.int64) << 16 | packets.dst_port[rows]


def _paired(packets: "Packets") -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """For each frame a number of its two ends and transport, -1 for none, and whether the lower end sent it."""
    flow, forward = filled(len(packets), -1, np.int32), filled(len(packets), False, np.bool_)
    protocol = packets.ip_protocol

    def carrying(window: slice) -> Array:
        carries = (protocol[window] == TCP) | (protocol[window] == UDP)
        rows: Array = window.start + np.flatnonzero(carries & (packets.src_port[window] >= 0))
        return rows

    ends = _distinct(np.concatenate(_ends(packets, carrying(window))) for window in slices(len(packets)))
    pairs = []
    for window in slices(len(packets)):
        rows = carrying(window)
        source, target = (np.searchsorted(ends, side) for side in _ends(packets, rows))
        forward[rows] = source < target
        lower, higher = np.minimum(source, target), np.maximum(source, target)
        key = (lower * len(ends) + higher) * 2 + (protocol[rows] == TCP)
        distinct, flow[rows] = np.unique(key, return_inverse=True)
        pairs.append(distinct)
    every = _distinct(pairs)
    for window, distinct in zip(slices(len(packets)), pairs, strict=True):
        rows = carrying(window)
        flow[rows] = np.searchsorted(every, distinct)[flow[rows]]
    return flow, forward


def _distinct(parts: Iterable[Array]) -> Array:
    """The values in any of some arrays, in order."""
    every = [np.unique(part) for part in parts]
    return np.unique(np.concatenate(every)) if every else np.zeros(0, np.int64)


def _rank(port: Array) -> Array:
    """How little a port looks like a service's."""
    return (port >= _SERVICES).astype(np.int8) + (port >= _EPHEMERAL)


def _asks_server(payload: bytes) -> bool:
    """Whether a datagram is a request to a STUN or TURN server: no check between peers, which carries a USERNAME."""
    if payload[4:8] != stun.COOKIE or payload[:1] not in (b"\0", b"\1"):
        return False
    try:
        message = stun.decode(payload)
    except ParseError:
        return False
    return message.message_class == "request" and message.get(stun.USERNAME) is None


def _renumber(flow: npt.NDArray[np.int32]) -> Array:
    """Number the flows in the order in which they begin, in place; the rows with which they do."""
    first = np.full(int(flow.max(initial=-1)) + 2, len(flow), np.int64)  # the last one is for rows of no flow
    for window in reversed(list(slices(len(flow)))):
        # of several the last written stays
        first[flow[window][::-1]] = np.arange(window.stop - 1, window.start - 1, -1)
    order = np.argsort(first[:-1], kind="stable")
    rank = np.full(len(first), -1, np.int32)
    rank[order] = np.arange(len(order))
    for window in slices(len(flow)):
        flow[window] = rank[flow[window]]
    return first[order]


def _split(flow: Array, forward: Array, fields: Array, following: int) -> Array:
    """The flows of TCP rows: connections that reuse a five-tuple get numbers of their own, from ``following`` on."""
    opening = np.flatnonzero(fields["flags"] & (SYN | ACK | RST) == SYN)
    if not len(opening):
        return flow
    numbers: dict[int, tuple[bool, int]] = {}
    cuts: dict[int, list[int]] = {}
    # A SYN in the middle of a flow opens another one if its sender was there before; a SYN that was merely captured
    # after its answer does not.
    sender = flow.astype(np.int64) * 2 + forward
    first = np.full(int(sender.max()) + 1, len(flow))
    first[sender[::-1]] = np.arange(len(flow) - 1, -1, -1)
    for i, seq in zip(opening.tolist(), fields["seq"][opening].tolist(), strict=True):
        number, this = int(flow[i]), (bool(forward[i]), seq)
        if numbers[number] != this if number in numbers else first[sender[i]] < i:
            cuts.setdefault(number, []).append(i)
        numbers[number] = this
    if not cuts:
        return flow
    out, order = flow.copy(), np.argsort(flow, kind="stable")
    ordered = flow[order]
    for number, places in cuts.items():
        low, high = np.searchsorted(ordered, [number, number + 1])
        members = order[low:high]
        part = np.searchsorted(np.array(places), members, side="right")
        out[members] = np.where(part > 0, following + part - 1, number)
        following += len(places)
    return out


def _leave_out(flow: npt.NDArray[np.int32]) -> int:
    """Where there are more flows than `MOST`, frames of those with the fewest get -1, in place; how many that are."""
    frames: npt.NDArray[np.int64] = np.zeros(int(flow.max(initial=-1)) + 2, np.int64)  # the first is for rows of none
    if len(frames) - 1 <= MOST:
        return 0
    for window in slices(len(flow)):
        frames += np.bincount(flow[window] + 1, minlength=len(frames))
    kept = np.argsort(-frames[1:], kind="stable")[:MOST]
    number = np.full(len(frames), -1, np.int32)  # the last is for rows of none
    number[kept] = np.arange(len(kept))
    for window in slices(len(flow)):
        flow[window] = number[flow[window]]
    return max(0, int((frames[1:] > 0).sum()) - MOST)


def _by_handshake(flow: Array, from_first: Array, flags: Array, swap: Array) -> None:
    """Where the handshake shows who opened the flow, let it decide; ``swap`` is changed in place.

    ``from_first`` says of each TCP row whether who sent the flow's first one sent it.
    """
    flags = flags & (SYN | ACK)
    for kind in (SYN | ACK, SYN):  # the SYN itself has the last word
        shown = np.flatnonzero(flags == kind)
        numbers, first = np.unique(flow[shown], return_index=True)
        opened = from_first[shown[first]]
        swap[numbers] = opened if kind == SYN | ACK else ~opened
