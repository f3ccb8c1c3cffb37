"""UDP and TCP flows: who talks with whom, which frames belong together, and the state of the connection."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.errors import ParseError
from jitsilab.pcap.links import TCP, UDP
from jitsilab.protocols import stun
from jitsilab.wire.streams import ACK, FIN, RST, SYN, ByteStream, Piece, Stream, assemble, wire_lengths

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

__all__ = ["ByteStream", "Flow", "Flows", "Piece", "Stream", "build", "wire_lengths"]

Array = npt.NDArray[Any]

TOGETHER = 1 << 16  # rows of flows that are labelled or counted at once
_SERVICES, _EPHEMERAL = 1024, 32768  # ports below the first are services; from the second on they are handed out


class Flow:
    """Frames between two endpoints.

    The client of a TCP flow sent the SYN. Without one, and for UDP, the client is who sent first, unless that one's
    port looks more like a service than the other's: below 1024, else below 32768, where ports are handed out from. A
    request to a STUN or TURN server says more than a port that is no service's.
    """

    def __init__(self, segments: "_Segments", number: int, rows: Array, up: Array, client: int, server: int) -> None:
        packets = segments.packets
        self.number = number
        self.transport = "tcp" if packets.ip_protocol[rows[0]] == TCP else "udp"
        self.frames: npt.NDArray[np.int64] = rows + packets.first  # in order, without duplicates
        self.up: npt.NDArray[np.bool_] = up  # from the client, one a frame
        self._segments, self._rows = segments, rows
        self._ends = client, server

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the one who opened the flow."""
        return self._segments.packets.address(self._ends[0] >> 16), self._ends[0] & 0xFFFF

    @property
    def server(self) -> tuple[str, int]:
        """Address and port of the other."""
        return self._segments.packets.address(self._ends[1] >> 16), self._ends[1] & 0xFFFF

    @cached_property
    def fields(self) -> Array:
        """TCP fields ``seq``, ``ack``, ``flags``, ``window`` of each frame; none for UDP."""
        packets = self._segments.packets
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
        self.packets = packets
        self._of_frame, self._up = of_frame, up

    @cached_property
    def rows(self) -> tuple[Array, Array]:
        """Rows by flow, duplicates left out, and where each flow's rows begin."""
        rows = np.flatnonzero((self._of_frame >= 0) & (self.packets.duplicate_of == 0))
        flow = self._of_frame[rows]
        starts = np.concatenate([[0], np.cumsum(np.bincount(flow, minlength=int(self._of_frame.max(initial=-1)) + 1))])
        return rows[np.argsort(flow, kind="stable")], starts

    def stream(self, number: int, up: bool) -> Stream:
        """The bytes of one direction of a flow; ``up`` is client to server. Of UDP there are none."""
        found = self._assembled[0].get(2 * number + (not up))
        return Stream.of_nothing(self.packets) if found is None else found

    @property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame of the capture: bytes, a SYN or a FIN sent again, or a hole filled too late."""
        return self._assembled[1]

    @cached_property
    def _assembled(self) -> tuple[dict[int, Stream], npt.NDArray[np.bool_]]:
        rows, _ = self.rows
        rows = rows[self.packets.ip_protocol[rows] == TCP]
        side = 2 * self._of_frame[rows].astype(np.int64) + ~self._up[rows]
        order = np.argsort(side, kind="stable")
        rows, (numbers, places) = rows[order], np.unique(side[order], return_inverse=True)
        streams, sent_again = assemble(self.packets, rows, places)
        again = np.zeros(len(self.packets), bool)
        again[rows[sent_again]] = True
        return dict(zip(numbers.tolist(), streams, strict=True)), again


class Flows:
    """The flows of a capture, numbered from 0 in the order of their first frames; each is built when asked for."""

    def __init__(
        self,
        packets: "Packets",
        of_frame: npt.NDArray[np.int32],
        client: Array,
        server: Array,
        up: npt.NDArray[np.bool_],
    ) -> None:
        self.packets = packets
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
            order, starts = self._segments.rows
            rows = order[starts[number] : starts[number + 1]]
            self._made[number] = Flow(
                self._segments, number, rows, self.up[rows], int(self.client[number]), int(self.server[number])
            )
        return self._made[number]

    def __iter__(self) -> Iterator[Flow]:
        return (self[number] for number in range(len(self)))

    def stream(self, number: int, up: bool) -> Stream:
        """The bytes of one direction of a flow; ``up`` is client to server. Of UDP there are none."""
        return self._segments.stream(number, up)

    def ranges(self, rows: Array) -> Iterator[tuple[int, int]]:
        """Flow numbers, from and to before, that have some `TOGETHER` of these rows: what is read at once.

        Every flow is in one range, so that what is decided or counted by flow comes out as if all were read at once.
        """
        counts = np.bincount(self.of_frame[rows], minlength=len(self))
        part = (np.cumsum(counts) - counts) // TOGETHER
        lows = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
        yield from zip(lows, [*lows[1:], len(self)] if lows else [], strict=True)

    @property
    def retransmitted(self) -> npt.NDArray[np.bool_]:
        """One a frame of the capture: bytes, a SYN or a FIN sent again, or a hole filled too late."""
        return self._segments.retransmitted


def build(packets: "Packets") -> Flows:
    """Sort the frames of a capture into UDP and TCP flows.

    A TCP five-tuple that opens again with another sequence number is another flow. Duplicates seen on a second
    interface belong to the flow but not to its ``frames``.
    """
    protocol = packets.ip_protocol
    rows = np.flatnonzero((packets.src_port >= 0) & ((protocol == TCP) | (protocol == UDP)))
    source = packets.src[rows].astype(np.int64) << 16 | packets.src_port[rows]
    target = packets.dst[rows].astype(np.int64) << 16 | packets.dst_port[rows]
    flow = _grouped(np.minimum(source, target), np.maximum(source, target) << 1 | (protocol[rows] == TCP))
    tcp = np.flatnonzero((protocol[rows] == TCP) & (packets.payload_start[rows] > 0))
    fields = packets.tcp_fields(rows[tcp])
    flow = _split(flow, source, source < target, tcp, fields)
    first, flow = _renumber(flow)
    client, server = source[first], target[first]
    swap = _rank(client & 0xFFFF) < _rank(server & 0xFFFF)
    for number in np.flatnonzero(swap & (server & 0xFFFF >= _SERVICES)).tolist():
        swap[number] = not _asks_server(packets.payload(int(rows[first[number]]) + packets.first))
    _by_handshake(flow, source, client, tcp, fields["flags"], swap)
    client, server = np.where(swap, server, client), np.where(swap, client, server)
    of_frame = np.full(len(packets), -1, np.int32)
    of_frame[rows] = flow
    up = np.zeros(len(packets), bool)
    up[rows] = source == client[flow]
    return Flows(packets, of_frame, client, server, up)


def _grouped(low: Array, high: Array) -> Array:
    """A number for each pair, the same for equal pairs, by a hash of them that is checked."""
    key = low.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ high.astype(np.uint64)
    key *= np.uint64(0xC2B2AE3D27D4EB4F)
    flow = np.searchsorted(np.unique(key), key)
    some = np.zeros(int(flow.max(initial=-1)) + 1, np.int64)
    some[flow] = np.arange(len(flow))
    some = some[flow]
    if (low[some] == low).all() and (high[some] == high).all():
        return flow
    order = np.lexsort((low, high))
    flow[order] = np.cumsum((np.diff(low[order], prepend=-1) != 0) | (np.diff(high[order], prepend=-1) != 0)) - 1
    return flow


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


def _firsts(numbers: Array) -> Array:
    """Where each number from 0 stands first; past the end for one that does not occur."""
    first = np.full(int(numbers.max(initial=-1)) + 1, len(numbers), np.int64)
    first[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)  # of several the last one written stays
    return first


def _renumber(flow: Array) -> tuple[Array, Array]:
    """Where each flow begins, and the flows numbered in that order."""
    first = _firsts(flow)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(first), np.int64)
    rank[order] = np.arange(len(first))
    return first[order], rank[flow]


def _split(flow: Array, source: Array, forward: Array, tcp: Array, fields: Array) -> Array:
    """Give connections that reuse a five-tuple numbers of their own."""
    opening = np.flatnonzero(fields["flags"] & (SYN | ACK | RST) == SYN)
    if not len(opening):
        return flow
    where = tcp[opening]
    numbers: dict[int, tuple[int, int]] = {}
    cuts: dict[int, list[int]] = {}
    # A SYN in the middle of a flow opens another one if its sender was there before; a SYN that was merely captured
    # after its answer does not.
    sender = flow * 2 + forward
    first = _firsts(sender)
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
        part = np.searchsorted(np.array(places), mine, side="right")
        out[mine] = np.where(part > 0, following + part - 1, number)
        following += len(places)
    return out


def _by_handshake(flow: Array, source: Array, client: Array, tcp: Array, flags: Array, swap: Array) -> None:
    """Where the handshake shows who opened the flow, let it decide; ``swap`` is changed in place."""
    flags = flags & (SYN | ACK)
    for kind in (SYN | ACK, SYN):  # the SYN itself has the last word
        shown = tcp[flags == kind]
        numbers, first = np.unique(flow[shown], return_index=True)
        from_first = source[shown[first]] == client[numbers]
        swap[numbers] = from_first if kind == SYN | ACK else ~from_first
