"""STUN, ChannelData and DTLS wherever they run, and what TURN carries inside.

A unit is one application message: a UDP datagram, a message of a TCP or TLS stream, or what a Send or Data indication
or a ChannelData message wraps, at any depth. RTP and RTCP are units only inside TURN; over plain UDP there are too
many of them, and `tables.media` reads them as columns.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np

from jitsilab.errors import ParseError
from jitsilab.pcap.columns import Growing, Rows, Run, ordered, slices
from jitsilab.pcap.links import TCP, UDP
from jitsilab.protocols import demux, stun
from jitsilab.protocols.stun import Endpoint
from jitsilab.wire import labels
from jitsilab.wire.flows import wire_lengths
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    import numpy.typing as npt

    from jitsilab.pcap import Packets
    from jitsilab.wire.decrypt import Session
    from jitsilab.wire.flows import ByteStream, Flows

    Array = npt.NDArray[Any]

DEEPEST = 16  # TURN inside TURN; a datagram of 64 kB could hold two thousand, no network holds three
PART = 1 << 14  # units that are objects at a time
HEAD = 32  # bytes of a stream that show how it frames its messages
KINDS = ("stun", "channel", "dtls", "rtp", "rtcp")
TRANSPORTS = ("udp", "tcp", "tls")
NOTHING, OTHER = 255, 254  # in ``inside``: no wrapper; what it holds is nothing of ours
_KINDS = {Label.STUN: "stun", Label.CHANNEL: "channel", Label.DTLS: "dtls"}
_SURE_OF_STREAM = 3  # packets of one SSRC that prove RTP where nothing else runs in a relay
_FRAMED = np.dtype(
    [("piece", "u4"), ("offset", "u8"), ("length", "u4"), ("frame", "u4"), ("first_frame", "u4"), ("kind", "u1"),
     ("up", "?")]
)  # fmt: skip

#: ``at``: where its bytes begin, in the payload of its datagram, else in `Units.kept`; ``kind``, ``inside``: places in
#: `KINDS`; ``peer``, ``to``: places in the list of peers, of the wrapper around it and of what it wraps itself;
#: ``sure``: whatever else runs in its flow, it is what it looks like
UNITS = np.dtype(
    [("frame", "u4"), ("first_frame", "u4"), ("flow", "u4"), ("size", "u4"), ("length", "u4"), ("peer", "u4"),
     ("to", "u4"), ("at", "u8"), ("depth", "u1"), ("kind", "u1"), ("inside", "u1"), ("transport", "u1"), ("up", "?"),
     ("sure", "?")]
)  # fmt: skip


class Unit(NamedTuple):
    """One message and where it was seen. Addresses are those of the outer flow."""

    kind: str  # stun, channel, dtls, rtp, rtcp
    data: bytes
    frame: int  # the one that completes it
    first_frame: int
    flow: int
    up: bool  # from the flow's client
    depth: int  # 0 outermost, one more inside each TURN wrapper
    transport: str  # udp, tcp, tls
    src: str
    src_port: int
    dst: str
    dst_port: int
    peer: Endpoint | None  # of the wrapper: who is behind the relay; None at depth 0, or where no binding was seen
    size: int  # bytes on the wire, more than len(data) where the capture cut it
    at: int = 0  # where ``data`` begins: in the payload of its datagram, else in `Units.kept`


class Units(Sequence[Unit]):
    """Units in the order of their frames, each wrapper before what it holds: columns, of which objects are made.

    A relayed call is two units a packet, hours of it do not fit into memory as objects. Their bytes are the capture's;
    those of streams, which are put together one after the other, are ``kept``.
    """

    def __init__(self, wire: "Wire", rows: "Array", peers: Sequence[Endpoint | None], kept: bytes) -> None:
        self.wire, self.rows, self.peers, self.kept = wire, rows, peers, kept

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Unit: ...

    @overload
    def __getitem__(self, place: slice) -> list[Unit]: ...

    def __getitem__(self, place: "int | slice") -> "Unit | list[Unit]":
        if isinstance(place, slice):
            return self._made(self.rows[place])
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no unit {place}, the capture has {len(self)}")
        place %= len(self)
        return self._made(self.rows[place : place + 1])[0]

    def __iter__(self) -> Iterator[Unit]:
        return self.each(*KINDS)

    def each(self, *kinds: str) -> Iterator[Unit]:
        """Those of some kinds."""
        for window in slices(len(self), PART):
            rows = self.rows[window]
            yield from self._made(rows[np.isin(rows["kind"], [KINDS.index(kind) for kind in kinds])])

    def chosen(self, places: "Array") -> Iterator[Unit]:
        """Those at some places."""
        for window in slices(len(places), PART):
            yield from self._made(self.rows[places[window]])

    def where(self, *kinds: str, smallest: int = 0) -> "Array":
        """Places of units of some kinds, and of no fewer bytes than ``smallest``."""
        codes, parts = [KINDS.index(kind) for kind in kinds], Growing()
        for window in slices(len(self)):
            rows = self.rows[window]
            here = np.isin(rows["kind"], codes) & (rows["length"] >= smallest)
            parts.add({"": window.start + np.flatnonzero(here)})
        return parts.take("", np.int64)

    def data(self, rows: "Array") -> list[bytes]:
        """The bytes of some of ``rows``, which are in the order of their frames."""
        data = [b""] * len(rows)
        at, end = rows["at"].astype(np.int64), rows["at"].astype(np.int64) + rows["length"]
        plain = np.flatnonzero(rows["transport"] == 0)
        if len(plain):
            frames, which = np.unique(rows["frame"][plain], return_inverse=True)
            payloads = self.wire.packets.payloads(frames.astype(np.int64) - self.wire.packets.first)
            columns = (column.tolist() for column in (plain, which, at[plain], end[plain]))
            for place, payload, begin, stop in zip(*columns, strict=True):
                data[place] = payloads[payload][begin:stop]
        framed = np.flatnonzero(rows["transport"])
        for place, begin, stop in zip(*(column.tolist() for column in (framed, at[framed], end[framed])), strict=True):
            data[place] = self.kept[begin:stop]
        return data

    def heads(self, rows: "Array", width: int) -> "npt.NDArray[np.uint8]":
        """The first bytes of each: (k, width), zeros past its end."""
        data = b"".join([data[:width].ljust(width, b"\0") for data in self.data(rows)])
        return np.frombuffer(data, np.uint8).reshape(-1, width)

    def _made(self, rows: "Array") -> list[Unit]:
        ends: dict[tuple[int, bool], tuple[str, int, str, int]] = {}
        made = []
        for row, data in zip(rows.tolist(), self.data(rows), strict=True):
            frame, first, flow, size, _, peer, _, at, depth, kind, _, transport, up, _ = row
            if (flow, up) not in ends:
                ends[flow, up] = endpoints(self.wire, flow, up)
            made.append(Unit(KINDS[kind], data, frame, first, flow, up, depth, TRANSPORTS[transport], *ends[flow, up],
                             self.peers[peer], size, at))  # fmt: skip
        return made


class Wire(Protocol):
    """The floors below: a `jitsilab.wire.Wire`."""

    @property
    def packets(self) -> "Packets":
        """The frames."""
        ...

    @property
    def flows(self) -> "Flows":
        """Their flows."""
        ...

    @property
    def labels(self) -> "npt.NDArray[np.uint8]":
        """What each frame holds."""
        ...

    @property
    def sessions(self) -> "dict[int, Session]":
        """TLS by flow."""
        ...


def build(wire: Wire) -> Units:
    """All units in the order of their frames, each wrapper before what it holds.

    A datagram that a host saw on two interfaces is there twice, as its frames are.
    """
    relays, kept = _Relays(), Run()
    for unit in chain(_datagrams(wire), _streams(wire, kept)):
        relays.open(unit)
    return Units(wire, relays.rows(), list(relays.peers), kept.take())


def _datagrams(wire: Wire) -> Iterator[Unit]:
    packets, flows, label = wire.packets, wire.flows, wire.labels
    every = labels.rows(packets, label, *_KINDS, protocol=UDP)
    ends: dict[tuple[int, bool], tuple[str, int, str, int]] = {}
    for window in slices(len(every), PART):
        rows = every[window]
        columns = (rows + packets.first, label[rows], flows.of_frame[rows], flows.up[rows], wire_lengths(packets, rows))
        for frame, kind, flow, up, size, data in zip(
            *(column.tolist() for column in columns), packets.payloads(rows), strict=True
        ):
            if (flow, up) not in ends:
                ends[flow, up] = endpoints(wire, flow, up)
            yield Unit(_KINDS[kind], data, frame, frame, flow, up, 0, "udp", *ends[flow, up], None, size)


def _streams(wire: Wire, kept: Run) -> Iterator[Unit]:
    """Messages of TCP flows that carry STUN in clear, and of TLS sessions whose plaintext does; they are ``kept``."""
    flows = wire.flows
    rows = labels.rows(wire.packets, wire.labels, Label.STUN, protocol=TCP)
    clear = set(np.unique(flows.of_frame[rows]).tolist())
    for flow in sorted(clear):
        yield from _both(wire, flow, "tcp", {up: flows.stream(flow, up) for up in (True, False)}, kept)
    for flow, session in sorted(wire.sessions.items()):
        if session.decrypted and flow not in clear:
            yield from _both(wire, flow, "tls", {up: session.plaintext(up) for up in (True, False)}, kept)


def _both(wire: Wire, flow: int, transport: str, streams: "dict[bool, ByteStream]", kept: Run) -> Iterator[Unit]:
    """The messages of both directions of a stream, in the order of the frames that complete them."""
    form = _form(streams[True]) or _form(streams[False])
    if not form:
        return
    framed = Rows(_FRAMED)
    channels: set[int] = set()  # that the client bound: both directions share them, and their framing
    for up, stream in streams.items():
        for row in _framed(stream, form, channels):
            framed.add((*row, up))
    rows = framed.take()
    rows = ordered(rows, np.argsort(rows["frame"], kind="stable"))
    pieces = {up: stream.pieces for up, stream in streams.items()}
    ends = {up: endpoints(wire, flow, up) for up in streams}
    for window in slices(len(rows), PART):
        for piece, offset, length, frame, first, kind, up in rows[window].tolist():
            data, at = pieces[up][piece].data[offset : offset + length], len(kept)
            kept.add(data)
            yield Unit(KINDS[kind], data, frame, first, flow, up, 0, transport, *ends[up], None, length, at)


def _framed(stream: "ByteStream", form: str, channels: set[int]) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Piece, offset in it, length, last and first frame and kind of each message of one direction."""
    for number, piece in enumerate(stream.pieces):
        known = number == 0 and (getattr(stream, "from_start", True) or bool(_form(stream)))
        start = demux.after_hello(piece.data) if known else _resumed(piece.data, form, channels)
        for part in demux.split(piece.data, form, start) if start >= 0 else ():
            if part.kind not in KINDS:
                continue
            if part.kind == "channel":
                channels.add(int.from_bytes(part.data[:2]))
            begin, length = piece.offset + part.offset, len(part.data)
            first, last = stream.span(begin, begin + length)
            yield number, part.offset, length, last, first, KINDS.index(part.kind)


def _form(stream: "ByteStream") -> str:
    """The framing of one direction, empty where its first bytes show none."""
    data = stream.pieces[0].data if stream.pieces else b""
    form = demux.framing(data)
    return demux.framing(data[(begin := demux.after_hello(data)) : begin + HEAD]) if form == "pseudo-tls" else form


def _resumed(data: bytes, form: str, channels: set[int]) -> int:
    """Where the first message begins of a run that starts anywhere; -1 where none is found."""
    return max(data.find(stun.COOKIE) - 6, -1) if form == "rfc4571" else demux.resume(data, channels)


def endpoints(wire: Wire, flow: int, up: bool) -> tuple[str, int, str, int]:
    """Source address and port, destination address and port of one direction of a flow."""
    entry = wire.flows[flow]
    return (*entry.client, *entry.server) if up else (*entry.server, *entry.client)


class _Wrapped(NamedTuple):
    """What a Send, Data or ChannelData message carries."""

    data: bytes
    at: int  # in the message
    size: int  # on the wire
    peer: Endpoint | None


class _Relays:
    """What TURN carries: channels that were bound, and what else a flow is known to hold inside."""

    def __init__(self) -> None:
        self.peers: dict[Endpoint | None, int] = {None: 0}
        self.bound: dict[tuple[int, int, int], Endpoint] = {}  # flow, depth, channel: peer of a ChannelBind request
        self.webrtc: set[tuple[int, int]] = set()  # flow, depth: DTLS was seen there
        self.ice: set[tuple[int, int]] = set()  # STUN was
        self.strange: set[tuple[int, int]] = set()  # something outside the ranges of RFC 7983 was
        self.streams: Counter[tuple[int, int, bytes]] = Counter()  # flow, depth, SSRC: packets
        self._rows, self._streams = Rows(UNITS), False

    def open(self, unit: Unit) -> None:
        """Take a unit and, one after the other, what it wraps."""
        self._streams |= unit.transport != "udp"
        layer: Unit | None = unit
        while layer is not None:
            wrapped = self._wrapped(layer) if layer.depth < DEEPEST else None
            inner = self._inside(layer, wrapped) if wrapped is not None else None
            inside = NOTHING if wrapped is None else OTHER if inner is None else KINDS.index(inner.kind)
            sure = not layer.depth or layer.kind in ("stun", "channel") or demux.is_dtls(layer.data)
            self._rows.add((
                layer.frame, layer.first_frame, layer.flow, layer.size, len(layer.data), self._number(layer.peer),
                self._number(wrapped.peer if wrapped is not None else None), layer.at, layer.depth,
                KINDS.index(layer.kind), inside, TRANSPORTS.index(layer.transport), layer.up, sure,
            ))  # fmt: skip
            layer = inner

    def _number(self, peer: Endpoint | None) -> int:
        return self.peers.setdefault(peer, len(self.peers))

    def rows(self) -> "Array":
        """What was taken, in the order of frames, and without what only looks like media.

        Inside a relay too RTP, RTCP and the ciphertext of DTLS 1.3 are believed where the flow confirms them.
        """
        rows = self._rows.take()
        if self._streams:  # datagrams were taken in order
            rows = ordered(rows, np.argsort(rows["frame"], kind="stable"))
        confirmed = {(flow, depth) for (flow, depth, _), many in self.streams.items() if many >= _SURE_OF_STREAM}
        where = np.array(
            [flow << 8 | depth for flow, depth in confirmed | self.webrtc | self.ice - self.strange], np.int64
        )
        kept = Growing()
        for window in slices(len(rows)):
            some = rows[window]
            kept.add({"": some[some["sure"] | np.isin(some["flow"].astype(np.int64) << 8 | some["depth"], where)]})
        return kept.take("", UNITS)

    def _inside(self, unit: Unit, wrapped: _Wrapped) -> Unit | None:
        """What a TURN message carries, None where that is nothing of ours."""
        data, where = wrapped.data, (unit.flow, unit.depth + 1)
        if not data:
            return None
        kind = demux.kind(data)
        if not kind and 32 <= data[0] < 64:
            kind = "dtls"  # a ciphertext of DTLS 1.3 (RFC 9147 section 4) has no mark
        if kind == "channel" and (*where, int.from_bytes(data[:2])) not in self.bound:
            kind = ""
        if kind in ("", "classic"):
            self.strange.add(where)
            return None
        if kind == "stun":
            self.ice.add(where)
        elif kind == "dtls" and demux.is_dtls(data):
            self.webrtc.add(where)
        elif kind == "rtp":
            self.streams[(*where, data[8:12])] += 1
        return unit._replace(
            kind=kind, data=data, depth=unit.depth + 1, peer=wrapped.peer, size=wrapped.size, at=unit.at + wrapped.at
        )

    def _wrapped(self, unit: Unit) -> _Wrapped | None:
        """What is inside a Send, Data or ChannelData message; None where it is another."""
        try:
            if unit.kind == "channel":
                channel = stun.decode_channel(unit.data)
                peer = self.bound.get((unit.flow, unit.depth, channel.channel))
                return _Wrapped(channel.data, 4, channel.length, peer)  # behind its header
            if unit.kind != "stun" or int.from_bytes(unit.data[:2]) & 0xF not in (6, 7, 9):
                return None  # most is Binding, by the low bits of the method
            message = stun.decode(unit.data)
        except ParseError:
            return None
        peers = message.endpoints(stun.XOR_PEER_ADDRESS)
        if message.method == 9 and message.message_class == "request" and message.channel is not None and peers:
            self.bound[unit.flow, unit.depth, message.channel] = peers[0]
        if message.method not in (6, 7):
            return None
        for attribute in message.attributes:
            if attribute.type == stun.DATA:
                begin = attribute.offset + 4
                announced = int.from_bytes(unit.data[begin - 2 : begin])
                size = announced if unit.size > len(unit.data) else len(attribute.value)
                return _Wrapped(attribute.value, begin, size, peers[0] if peers else None)
        return None
