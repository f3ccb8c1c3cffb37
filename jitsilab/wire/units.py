"""STUN, ChannelData and DTLS wherever they run, and what TURN carries inside.

A unit is one application message: a UDP datagram, a message of a TCP or TLS stream, or what a Send or Data indication
or a ChannelData message wraps, at any depth. RTP and RTCP are units only inside TURN; over plain UDP there are too
many of them, and `tables.media` reads them as columns.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from jitsilab.errors import ParseError
from jitsilab.pcap.columns import laid
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

DEEPEST = 16  # TURN inside TURN; a datagram of 64 kB could hold two thousand, no network holds three
_KINDS = {Label.STUN: "stun", Label.CHANNEL: "channel", Label.DTLS: "dtls"}
_SURE_OF_STREAM = 3  # packets of one SSRC that prove RTP where nothing else runs in a relay


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


def build(wire: Wire) -> list[Unit]:
    """All units in the order of their frames, each wrapper before what it holds.

    A datagram that a host saw on two interfaces is there twice, as its frames are.
    """
    outer = sorted([*_datagrams(wire), *_streams(wire)], key=lambda unit: unit.frame)
    return _Relays().opened(outer)


def _datagrams(wire: Wire) -> Iterator[Unit]:
    packets, flows, label = wire.packets, wire.flows, wire.labels
    rows = labels.rows(packets, label, *_KINDS, protocol=UDP)
    sizes = wire_lengths(packets, rows).tolist()
    ends: dict[tuple[int, bool], tuple[str, int, str, int]] = {}
    columns = [laid(column[rows]) for column in (label, flows.of_frame, flows.up)]
    for frame, kind, flow, up, size, data in zip(
        (rows + packets.first).tolist(),
        *(column.tolist() for column in columns),
        sizes,
        packets.payloads(rows),
        strict=True,
    ):
        if (flow, up) not in ends:
            ends[flow, up] = endpoints(wire, flow, up)
        yield Unit(_KINDS[kind], data, frame, frame, flow, up, 0, "udp", *ends[flow, up], None, size)


def _streams(wire: Wire) -> Iterator[Unit]:
    """Messages of TCP flows that carry STUN in clear, and of TLS sessions whose plaintext does."""
    flows = wire.flows
    rows = labels.rows(wire.packets, wire.labels, Label.STUN, protocol=TCP)
    clear = set(np.unique(flows.of_frame[rows]).tolist())
    for flow in sorted(clear):
        yield from _both(wire, flow, "tcp", {up: flows.stream(flow, up) for up in (True, False)})
    for flow, session in sorted(wire.sessions.items()):
        if session.decrypted and flow not in clear:
            yield from _both(wire, flow, "tls", {up: session.plaintext(up) for up in (True, False)})


def _both(wire: Wire, flow: int, transport: str, streams: "dict[bool, ByteStream]") -> Iterator[Unit]:
    """Both directions of a stream; they share their framing, and the channels that a client bound."""
    form = _form(streams[True]) or _form(streams[False])
    if not form:
        return
    channels: set[int] = set()
    for up, stream in streams.items():
        ends = endpoints(wire, flow, up)
        for number, piece in enumerate(stream.pieces):
            known = number == 0 and (getattr(stream, "from_start", True) or bool(_form(stream)))
            start = demux.after_hello(piece.data) if known else _resumed(piece.data, form, channels)
            for part in demux.split(piece.data, form, start) if start >= 0 else ():
                if part.kind not in ("stun", "channel", "dtls", "rtp", "rtcp"):
                    continue
                if part.kind == "channel":
                    channels.add(int.from_bytes(part.data[:2]))
                first, last = stream.span(piece.offset + part.offset, piece.offset + part.offset + len(part.data))
                size = len(part.data)
                yield Unit(part.kind, part.data, last, first, flow, up, 0, transport, *ends, None, size)


def _form(stream: "ByteStream") -> str:
    """The framing of one direction, empty where its first bytes show none."""
    data = stream.pieces[0].data if stream.pieces else b""
    form = demux.framing(data)
    return demux.framing(data[demux.after_hello(data) :]) if form == "pseudo-tls" else form


def _resumed(data: bytes, form: str, channels: set[int]) -> int:
    """Where the first message begins of a run that starts anywhere; -1 where none is found."""
    return max(data.find(stun.COOKIE) - 6, -1) if form == "rfc4571" else demux.resume(data, channels)


def endpoints(wire: Wire, flow: int, up: bool) -> tuple[str, int, str, int]:
    """Source address and port, destination address and port of one direction of a flow."""
    entry = wire.flows[flow]
    return (*entry.client, *entry.server) if up else (*entry.server, *entry.client)


class _Relays:
    """What TURN carries: channels that were bound, and what else a flow is known to hold inside."""

    def __init__(self) -> None:
        self.bound: dict[tuple[int, int, int], Endpoint] = {}  # flow, depth, channel: peer of a ChannelBind request
        self.webrtc: set[tuple[int, int]] = set()  # flow, depth: DTLS was seen there
        self.ice: set[tuple[int, int]] = set()  # STUN was
        self.strange: set[tuple[int, int]] = set()  # something outside the ranges of RFC 7983 was
        self.streams: Counter[tuple[int, int, bytes]] = Counter()  # flow, depth, SSRC: packets

    def opened(self, outer: Iterable[Unit]) -> list[Unit]:
        """Each unit, followed by what it wraps; without what only looks like media."""
        units = []
        for unit in outer:
            layer: Unit | None = unit
            while layer is not None:
                units.append(layer)
                layer = self._inside(layer) if layer.depth < DEEPEST else None
        for flow, depth, ssrc in [key for key, packets in self.streams.items() if packets >= _SURE_OF_STREAM]:
            del ssrc
            self.webrtc.add((flow, depth))
        return [unit for unit in units if not unit.depth or self._believed(unit)]

    def _believed(self, unit: Unit) -> bool:
        """Inside a relay too RTP, RTCP and the ciphertext of DTLS 1.3 are believed where the flow confirms them."""
        if unit.kind in ("stun", "channel") or demux.is_dtls(unit.data):
            return True
        where = unit.flow, unit.depth
        return where in self.webrtc or (where in self.ice and where not in self.strange)

    def _inside(self, unit: Unit) -> Unit | None:
        """What a TURN message carries, None where that is nothing of ours."""
        try:
            wrapped = self._wrapped(unit)
        except ParseError:
            return None
        if wrapped is None or not wrapped[0]:
            return None
        data, size, peer = wrapped
        where = unit.flow, unit.depth + 1
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
        return unit._replace(kind=kind, data=data, depth=unit.depth + 1, peer=peer, size=size)

    def _wrapped(self, unit: Unit) -> tuple[bytes, int, Endpoint | None] | None:
        """Bytes, size on the wire and peer of what is inside a Send, Data or ChannelData message."""
        if unit.kind == "channel":
            channel = stun.decode_channel(unit.data)
            return channel.data, channel.length, self.bound.get((unit.flow, unit.depth, channel.channel))
        if unit.kind != "stun" or int.from_bytes(unit.data[:2]) & 0xF not in (6, 7, 9):
            return None  # most is Binding, by the low bits of the method
        message = stun.decode(unit.data)
        peers = message.endpoints(stun.XOR_PEER_ADDRESS)
        if message.method == 9 and message.message_class == "request" and message.channel is not None and peers:
            self.bound[unit.flow, unit.depth, message.channel] = peers[0]
        if message.method not in (6, 7):
            return None
        for attribute in message.attributes:
            if attribute.type == stun.DATA:
                announced = int.from_bytes(unit.data[attribute.offset + 2 : attribute.offset + 4])
                size = announced if unit.size > len(unit.data) else len(attribute.value)
                return attribute.value, size, peers[0] if peers else None
        return None
