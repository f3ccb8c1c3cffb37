"""Labels of UDP payloads, by their first bytes and by what their flows are known to carry.

What one datagram shows for sure decides of others in its flow. So all of them are gone through several times, a part
at a time: `_Part` has what a part shows by itself, `_Known` what its flows were found to hold before.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jitsilab.errors import ParseError
from jitsilab.pcap.columns import Growing, slices
from jitsilab.protocols import demux, rtcp
from jitsilab.protocols.stun import decode as decode_stun
from jitsilab.wire.flows import wire_lengths
from jitsilab.wire.labelling.heads import Array, Mask, dns_header, word
from jitsilab.wire.labelling.ssrcs import Ssrcs
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire.flows import Flows

_LAST_HANDSHAKE = 25  # compressed_certificate, the last of IANA's TLS HandshakeTypes that goes over the wire
_TURN_METHODS = (0x03, 0x04, 0x06, 0x07, 0x08, 0x09)  # Allocate .. ChannelBind: the low bits of their types
_DNS_PORTS = (53, 5353, 5355)  # a second opinion on a header that has no mark
_QUIC_VERSIONS = (0x00000001, 0x6B3343CF)  # RFC 9000, RFC 9369; drafts are 0xff0000xx, Google's begin with Q or T
_REPORTS = 8  # datagrams of a flow that have to be compounds, where nothing else tells that it is one of RTCP


def label(packets: "Packets", flows: "Flows", rows: Array) -> Array:
    """One label a datagram of some whole flows, whose rows come in order."""
    windows = list(slices(len(rows)))
    known, only = _Known(len(flows)), _Part(packets, flows, rows) if len(windows) < 2 else None
    if not len(rows):
        return np.zeros(0, np.uint8)
    out = Growing()
    passes: tuple[Callable[[_Part], None], ...] = (known.first_bytes, known.channels, known.quic, known.media)
    for take in passes:
        for window in slices(len(rows)):
            take(only or _Part(packets, flows, rows[window]))
    for window in slices(len(rows)):
        out.add({"": known.labels(only or _Part(packets, flows, rows[window]))})
    return out.take("", np.uint8)


class _Part:
    """Some datagrams: columns of their first bytes and of their flows, and what each shows by itself."""

    def __init__(self, packets: "Packets", flows: "Flows", rows: Array) -> None:
        self.packets, self.rows = packets, rows
        self.heads = packets.heads(rows, 20)
        self.first = self.heads[:, 0]
        self.size = wire_lengths(packets, rows)
        self.flow = flows.of_frame[rows]
        self.up = flows.up[rows]
        self.settled: Array | None = None  # labels but for media, once they are known

    @cached_property
    def stun(self) -> Mask:
        """The cookie of RFC 8489 section 5."""
        stun: Mask = (self.first < 64) & (word(self.heads, 4, 4) == 0x2112A442) & (self.size >= 20)
        return stun

    @cached_property
    def dtls(self) -> Mask:
        """A record header of RFC 6347 section 4.1, whose length fits and whose handshake message in clear exists."""
        head = self.heads
        version = word(head, 1)
        known = (version == 0xFEFF) | (version == 0xFEFD) | ((version == 0x0100) & (word(head, 3) < 3))
        kinds = (self.first >= min(demux.DTLS_TYPES)) & (self.first <= max(demux.DTLS_TYPES))
        readable = (self.first == 22) & (word(head, 3) == 0)
        strange = readable & (self.size > 13) & (head[:, 13] > _LAST_HANDSHAKE)
        dtls: Mask = kinds & known & ~strange & (self.size >= 13) & (word(head, 11) + 13 <= self.size) & ~self.stun
        return dtls

    @cached_property
    def dns(self) -> Mask:
        """A header of RFC 1035 section 4.1.1 that makes sense, to or from a port of DNS."""
        packets = self.packets
        ports = np.isin(packets.src_port[self.rows], _DNS_PORTS) | np.isin(packets.dst_port[self.rows], _DNS_PORTS)
        dns: Mask = ports & dns_header(self.heads) & (self.size >= 12)
        return dns

    @cached_property
    def quic(self) -> Mask:
        """A long header (RFC 9000 section 17.2) of a version that exists."""
        version = word(self.heads, 1, 4)
        known = np.isin(version, _QUIC_VERSIONS) | (version >> 8 == 0xFF0000)
        known |= np.isin(version >> 24, (0x51, 0x54)) & (version >> 16 & 0xFF == 0x30)
        fitting: Mask = (self.first >= 192) & known & (self.size >= 21)
        return fitting

    @cached_property
    def classic(self) -> Array:
        """Places of what could be STUN without cookie, by its type and its length."""
        head = self.heads
        kinds = (head[:, 0] < 2) & (head[:, 1] & 0xE0 == 0) & (word(head, 2) + 20 == self.size)
        whole = self.packets.payload_length[self.rows] == self.size
        return np.flatnonzero(~self.stun & ~self.dtls & kinds & whole)

    # ---- ChannelData

    @cached_property
    def channel(self) -> Array:
        """Flow and channel as one number, where the first bytes are such."""
        return self.flow.astype(np.int64) << 16 | word(self.heads, 0)

    @cached_property
    def framed(self) -> Mask:
        """Whether the length of ChannelData fits. It says little: GTP and others have theirs in the same place."""
        slack = self.size - 4 - word(self.heads, 2)
        framed: Mask = (self.first >= 64) & (self.first < 128) & (slack >= 0) & (slack < 4)
        return framed

    @cached_property
    def assigned(self) -> Mask:
        """Framed, with a number that RFC 8656 section 12 leaves to channels."""
        assigned: Mask = self.framed & (self.first < 80)
        return assigned

    @cached_property
    def sure(self) -> Mask:
        """Framed around a check or a DTLS record."""
        head = self.heads
        check = (head[:, 4] < 4) & (word(head, 8, 4) == 0x2112A442)
        record = (head[:, 4] >= 20) & (head[:, 4] < 27) & np.isin(word(head, 5), (0xFEFF, 0xFEFD))
        sure: Mask = self.framed & (check | record)
        return sure

    @cached_property
    def framed_media(self) -> Mask:
        """Framed around what may be RTP."""
        framed_media: Mask = self.assigned & (self.heads[:, 4] >> 6 == 2) & (self.size >= 16)
        return framed_media

    @cached_property
    def framed_known(self) -> Mask:
        """Framed around something that a relay of media carries."""
        framed_known: Mask = self.assigned & (self.sure | self.framed_media | (self.size == 4))
        return framed_known

    # ---- RTP and RTCP

    @cached_property
    def control(self) -> Mask:
        """Second byte and length of RTCP."""
        second = self.heads[:, 1]
        kinds = (self.first >> 6 == 2) & (second >= 192) & (second <= 223)
        control: Mask = kinds & (self.size >= 8) & (4 + 4 * word(self.heads, 2) <= self.size)
        return control

    @cached_property
    def media(self) -> Mask:
        """First bytes of RTP."""
        second = self.heads[:, 1]
        media: Mask = (self.first >> 6 == 2) & ~((second >= 192) & (second <= 223)) & (self.size >= 12)
        return media


class _Known:
    """What the flows are known to hold; each pass needs all of the one before."""

    def __init__(self, flows: int) -> None:
        self.flows = flows
        self._there: dict[str, Mask] = {}
        self._bound: list[int] = []  # flow and channel of each ChannelBind request
        self._channels = np.zeros(0, np.int64), np.zeros(0, np.int64)  # numbers as in `_Part.channel`, how often
        self._classic: list[int] = []  # rows
        self._bare: list[tuple[int, int, bool, bytes]] = []  # requests without attributes
        self._answered: set[tuple[int, bool, bytes]] = set()
        self._relayed, self._streams = Ssrcs(4), Ssrcs()
        self._control: dict[int, bool] = {}  # whether the first datagrams of a flow are compounds
        self._controls: dict[int, int] = {}  # how many were looked at

    def _note(self, what: str, part: _Part, mask: Mask) -> None:
        there = self._there.setdefault(what, np.zeros(self.flows, bool))
        there[part.flow[mask]] = True

    def _somewhere(self, what: str, part: _Part) -> Mask:
        """Of each datagram: whether it is true of one of its flow."""
        there = self._there.get(what)
        return np.zeros(len(part.rows), bool) if there is None else there[part.flow]

    # ---- passes

    def first_bytes(self, part: _Part) -> None:
        """What single datagrams show."""
        head = part.heads
        self._note("dtls", part, part.dtls)
        self._note("ice or dtls", part, part.stun | part.dtls)
        self._note("turn", part, part.stun & (head[:, 0] < 2) & np.isin(head[:, 1] & 0xEF, _TURN_METHODS))
        self._note("binding", part, part.stun & (word(head, 0) == 0x0109))  # a request may not be seen
        self._bind(part)
        self._count(part)
        for place, data in zip(part.classic.tolist(), part.packets.payloads(part.rows[part.classic]), strict=True):
            flow, up, row = int(part.flow[place]), bool(part.up[place]), int(part.rows[place])
            if demux.is_bare_classic(data):
                self._bare.append((row, flow, up, data[4:20]))
            elif demux.is_classic(data):
                self._classic.append(row)
                if data[0] == 1:
                    self._answered.add((flow, up, data[4:20]))

    def _bind(self, part: _Part) -> None:
        places = np.flatnonzero(part.stun & (word(part.heads, 0) == 0x0009))
        for place, data in zip(places.tolist(), part.packets.payloads(part.rows[places]), strict=True):
            try:
                channel = decode_stun(data).channel
            except ParseError:
                continue
            if channel is not None:
                self._bound.append(int(part.flow[place]) << 16 | channel)

    def _count(self, part: _Part) -> None:
        numbers, counts = self._channels
        new, more = np.unique(part.channel[part.framed], return_counts=True)
        both, places = np.unique(np.concatenate([numbers, new]), return_inverse=True)
        self._channels = both, np.bincount(places, np.concatenate([counts, more]), len(both)).astype(np.int64)

    def channels(self, part: _Part) -> None:
        """What the channels of a relay hold, of which no message of TURN may be seen."""
        if len(self._channels[0]):
            self._note("no channel", part, ~part.stun & ~part.framed_known)
            self._note("sure channel", part, part.assigned & part.sure)
            self._add(self._relayed, part, part.framed_media & ~self._somewhere("turn", part) & (self._times(part) > 2))

    def quic(self, part: _Part) -> None:
        """Where a long header names a version."""
        if part.quic.any():
            self._note("quic", part, part.quic & (self._before_quic(part) == Label.UDP))

    def media(self, part: _Part) -> None:
        """Where numbers go on as those of RTP, and where something else is."""
        part.settled = self._before_media(part)
        free = part.settled == Label.UDP
        control = part.control & free
        self._add(self._streams, part, part.media & free)
        self._note("neither", part, free & ~part.media & ~part.control)
        self._note("no control", part, ~control)
        self._compounds(part, np.flatnonzero(control))

    def _compounds(self, part: _Part, places: Array) -> None:
        flows = part.flow[places]
        order = np.argsort(flows, kind="stable")
        for members in np.split(places[order], np.flatnonzero(np.diff(flows[order])) + 1):
            flow = int(part.flow[members[0]]) if len(members) else -1
            members = members[: _REPORTS - self._controls.get(flow, 0)]
            if not len(members):
                continue
            self._controls[flow] = self._controls.get(flow, 0) + len(members)
            payloads, sizes = part.packets.payloads(part.rows[members]), part.size[members].tolist()
            sound = all(_is_compound(data, size) for data, size in zip(payloads, sizes, strict=True))
            self._control[flow] = self._control.get(flow, True) and sound

    @staticmethod
    def _add(streams: Ssrcs, part: _Part, mask: Mask) -> None:
        places = np.flatnonzero(mask)
        time = part.packets.time[part.rows[places]]
        streams.add(part.heads[places], part.flow[places], part.up[places], time)

    # ---- what they come to

    def labels(self, part: _Part) -> Array:
        """One label a datagram."""
        out = part.settled if part.settled is not None else self._before_media(part)
        free = out == Label.UDP
        media, control = part.media & free, part.control & free
        rising = np.zeros(len(out), bool)
        rising[media] = self._streams.of_rising(part.heads[media], part.flow[media], part.up[media])
        # With ICE or DTLS on the same 5-tuple RFC 7983 decides, unless something in the flow is outside its ranges.
        beside = self._somewhere("ice or dtls", part)
        orderly = beside & ~self._somewhere("neither", part)
        firm, loose = self._packets
        lively = firm[part.flow] > 0
        # Single packets beside confirmed streams: only where most of their flow is confirmed.
        out[rising | (media & (orderly | (beside & lively & (loose * 4 <= firm)[part.flow])))] = Label.RTP
        out[control & (orderly | lively | self._reports(part))] = Label.RTCP
        return out

    @cached_property
    def _packets(self) -> tuple[Array, Array]:
        """Of each flow: packets of streams that rise, and of others that may be RTP."""
        return (
            self._streams.by_flow(self.flows, lambda rising: rising),
            self._streams.by_flow(self.flows, lambda rising: ~rising),
        )

    def _reports(self, part: _Part) -> Mask:
        """RTCP on a port of its own: nothing else in the flow, and compounds whose lengths chain to the end."""
        sound = np.zeros(self.flows, bool)
        sound[[flow for flow, every in self._control.items() if every]] = True
        return sound[part.flow] & ~self._somewhere("no control", part)

    def _before_quic(self, part: _Part) -> Array:
        out = np.full(len(part.rows), Label.UDP, np.uint8)
        out[part.dns & ~part.stun & ~part.dtls] = Label.DNS
        out[part.classic[np.isin(part.rows[part.classic], self._classics)]] = Label.STUN
        out[part.dtls] = Label.DTLS
        out[self._somewhere("dtls", part) & (part.first >= 32) & (part.first < 64)] = Label.DTLS
        out[part.stun] = Label.STUN
        out[self._relays(part)] = Label.CHANNEL
        return out

    def _before_media(self, part: _Part) -> Array:
        out = self._before_quic(part)
        out[part.quic & (out == Label.UDP)] = Label.QUIC
        short = (part.first >= 64) & (part.first < 128)  # a short header, of a version that is not said
        out[self._somewhere("quic", part) & short & (out == Label.UDP)] = Label.QUIC
        return out

    @cached_property
    def _classics(self) -> Array:
        """Rows of STUN without cookie: by its attributes, or a bare request whose answer is seen."""
        bare = [row for row, flow, up, transaction in self._bare if (flow, not up, transaction) in self._answered]
        return np.array([*self._classic, *bare], np.int64)

    def _times(self, part: _Part) -> Array:
        """How often each framed datagram's channel comes."""
        numbers, counts = self._channels
        times = np.zeros(len(part.rows), np.int64)
        times[part.framed] = counts[np.searchsorted(numbers, part.channel[part.framed])]
        return times

    def _relays(self, part: _Part) -> Mask:
        """ChannelData: the length fits, and the channel was bound or comes again in a flow that carries TURN.

        In the middle of a relay's life, where no TURN message is seen, what the channels hold has to prove it: a check,
        a handshake, a stream of media.
        """
        if not part.framed.any():
            return part.framed
        times = self._times(part)
        bound = np.isin(part.channel, np.array(self._bound, np.int64))
        bound |= part.assigned & self._somewhere("binding", part)
        channels = part.framed & self._somewhere("turn", part) & (bound | (times >= 2) | part.sure)
        proven = self._somewhere("sure channel", part) | self._rising_relays[part.flow]
        unproven = ~proven | self._somewhere("no channel", part)
        return channels | (part.framed_known & (times >= 3) & ~unproven)

    @cached_property
    def _rising_relays(self) -> Mask:
        return self._relayed.by_flow(self.flows, lambda rising: rising) > 0


def _is_compound(data: bytes, size: int) -> bool:
    """Whether RTCP in clear fills a datagram, a report first (RFC 3550 appendix A.2)."""
    try:
        compound = rtcp.decode(data, size)
    except ParseError:
        return False
    return not compound.encrypted and not compound.problems and compound.packets[0].type in (200, 201)
