"""What each frame holds, by content and by what its flow is known to carry; ports alone decide nothing.

The first bytes of a datagram say little: a quarter of all of them would be RTP. So STUN with its cookie and DTLS with
its version are believed at once, and all else is believed where its flow confirms it: RTP where one SSRC comes again
with sequence numbers and timestamps that fit, or where ICE or DTLS runs beside it and nothing contradicts; ChannelData
where TURN runs in the flow and the channel was bound or comes again, or where what it holds is known; STUN of RFC 3489
where its attributes fill it, or where its answer is seen.
"""

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.errors import ParseError
from jitsilab.pcap.columns import made, where
from jitsilab.pcap.cores import side_by_side
from jitsilab.pcap.links import TCP, UDP
from jitsilab.protocols import demux, rtcp
from jitsilab.protocols.stun import decode as decode_stun
from jitsilab.wire.flows import wire_lengths

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire.flows import Flows

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Label(IntEnum):
    """What a frame holds."""

    OTHER = 0
    ARP = 1
    IP = 2
    ICMP = 3
    ICMPv6 = 4
    IGMP = 5
    TCP = 6
    UDP = 7
    DNS = 8
    STUN = 9
    CHANNEL = 10  # ChannelData of TURN
    DTLS = 11
    RTP = 12
    RTCP = 13
    QUIC = 14
    TLS = 15
    HTTP = 16
    XMPP = 17
    SSH = 18


NAMES = tuple(label.name for label in Label)

_LAST_HANDSHAKE = 25  # compressed_certificate, the last of IANA's TLS HandshakeTypes that goes over the wire
_TURN_METHODS = (0x03, 0x04, 0x06, 0x07, 0x08, 0x09)  # Allocate .. ChannelBind: the low bits of their types
_DNS_PORTS = (53, 5353, 5355)  # a second opinion on a header that has no mark
_QUIC_VERSIONS = (0x00000001, 0x6B3343CF)  # RFC 9000, RFC 9369; drafts are 0xff0000xx, Google's begin with Q or T
_STARTS = {
    Label.HTTP: b"GET |POST |PUT |HEAD |OPTIONS |DELETE |PATCH |CONNECT |HTTP/1.|PRI * ".split(b"|"),
    Label.XMPP: b"<?xml|<stream:|</stream:|<iq |<presence|<message |<auth |<starttls".split(b"|"),
    Label.SSH: [b"SSH-"],
}
_XMPP_MARKS = (b"etherx.jabber.org/streams", b"jabber:client", b"jabber:server", b"urn:ietf:params:xml:ns:xmpp-")
_XML = (b"<?xml", b"<message ", b"<auth ")  # begin other things as well: believed with one of the marks, or an address
_ADDRESSED = re.compile(rb"<message\s[^>]{0,512}?\b(?:to|from)=['\"][^'\"<>]{1,512}@")
_LOOKED_AT = 1024  # bytes of a segment in which the marks are looked for
_TICKS = 100_000  # a second, of the fastest media clock: 90 kHz, and room for jitter
_FORWARD = 100  # sequence numbers a stream may jump by from one packet to the next and still look like one


def build(packets: "Packets", flows: "Flows") -> Array:
    """For each row of ``packets`` an index into `NAMES`."""
    out: Array = made(len(packets), np.uint8, lambda window: _by_header(packets, window))
    full, protocol = packets.payload_length, packets.ip_protocol
    datagrams = flows.ranges(lambda rows: (full[rows] > 0) & (protocol[rows] == UDP))
    for rows, labels in side_by_side(lambda part: (part.rows, _datagrams(packets, flows, part.rows)), datagrams):
        out[rows] = labels
    segments = flows.ranges(lambda rows: (full[rows] > 0) & (protocol[rows] == TCP))
    for rows, labels in side_by_side(lambda part: (part.rows, _segments(packets, flows, part.rows)), segments):
        out[rows] = labels
    return out


def _datagrams(packets: "Packets", flows: "Flows", rows: Array) -> Array:
    return _Datagrams(packets, flows, rows).labels() if len(rows) else np.zeros(0, np.uint8)


def rows(packets: "Packets", labelled: Array, *kinds: Label, protocol: int) -> npt.NDArray[np.int64]:
    """Rows whose label, of one a frame, is of some kinds, over UDP (17) or TCP (6)."""
    protocols = packets.ip_protocol
    return where(len(labelled), lambda window: np.isin(labelled[window], kinds) & (protocols[window] == protocol))


def _by_header(packets: "Packets", window: slice) -> Array:
    """What headers say, before any payload is looked at."""
    protocol = packets.ip_protocol[window]
    out = np.where(packets.ip_version[window] > 0, Label.IP, Label.OTHER).astype(np.uint8)
    out[packets.ethertype[window] == 0x0806] = Label.ARP
    for number, label in ((1, Label.ICMP), (2, Label.IGMP), (6, Label.TCP), (17, Label.UDP), (58, Label.ICMPv6)):
        out[protocol == number] = label
    return out


def _word(heads: Array, at: int, size: int = 2) -> Array:
    """Big-endian numbers of ``size`` bytes from a column on."""
    value = heads[:, at].astype(np.int64)
    for k in range(1, size):
        value = value << 8 | heads[:, at + k]
    return value


def _dns_header(heads: Array) -> Mask:
    """Counts and an opcode that make sense (RFC 1035 section 4.1.1); a header has no mark of its own."""
    counts = [_word(heads, at) for at in (4, 6, 8, 10)]
    few = (counts[0] <= 16) & (counts[1] <= 256) & (counts[2] <= 256) & (counts[3] <= 256)
    plausible: Mask = few & (sum(counts) > 0) & (heads[:, 2] & 0x78 <= 0x30)
    return plausible


class _Datagrams:
    """UDP payloads, as columns of their first bytes and of their flows."""

    def __init__(self, packets: "Packets", flows: "Flows", rows: Array) -> None:
        self.packets, self.rows = packets, rows
        self.heads = packets.heads(rows, 20)
        self.first = self.heads[:, 0]
        self.size = wire_lengths(packets, rows)
        self.flow = flows.of_frame[rows]
        self.count = len(flows)
        self.up = flows.up[rows]

    def somewhere(self, mask: Mask) -> Mask:
        """Spread to every datagram of a flow what is true of one of them."""
        spread: Mask = (np.bincount(self.flow[mask], minlength=self.count) > 0)[self.flow]
        return spread

    def everywhere(self, mask: Mask, among: Mask) -> Mask:
        """True in the flows in which ``mask`` holds for all of ``among``."""
        holds: Mask = ~self.somewhere(among & ~mask)
        return holds

    def labels(self) -> Array:
        """One label a datagram."""
        first, size = self.first, self.size
        out = np.full(len(self.rows), Label.UDP, np.uint8)
        stun = (first < 64) & (_word(self.heads, 4, 4) == 0x2112A442) & (size >= 20)
        dtls = self._dtls() & ~stun
        out[self._dns() & ~stun & ~dtls] = Label.DNS
        out[self._classic(~stun & ~dtls)] = Label.STUN
        out[dtls] = Label.DTLS
        out[dtls_flow & (first >= 32) & (first < 64) if (dtls_flow := self.somewhere(dtls)).any() else dtls] = (
            Label.DTLS
        )
        out[stun] = Label.STUN
        channel = self._channel(stun)
        out[channel] = Label.CHANNEL
        quic = self._quic() & (out == Label.UDP)
        out[quic] = Label.QUIC
        out[self.somewhere(quic) & (first >= 64) & (first < 128) & (out == Label.UDP)] = Label.QUIC
        media, control = self._media(out, stun | dtls)
        out[media] = Label.RTP
        out[control] = Label.RTCP
        return out

    def _dtls(self) -> Mask:
        """A record header of RFC 6347 section 4.1, whose length fits and whose handshake message in clear exists."""
        head = self.heads
        version = _word(head, 1)
        known = (version == 0xFEFF) | (version == 0xFEFD) | ((version == 0x0100) & (_word(head, 3) < 3))
        kinds = (self.first >= min(demux.DTLS_TYPES)) & (self.first <= max(demux.DTLS_TYPES))
        readable = (self.first == 22) & (_word(head, 3) == 0)
        strange = readable & (self.size > 13) & (head[:, 13] > _LAST_HANDSHAKE)
        fitting: Mask = kinds & known & ~strange & (self.size >= 13) & (_word(head, 11) + 13 <= self.size)
        return fitting

    def _dns(self) -> Mask:
        """A header of RFC 1035 section 4.1.1 that makes sense, to or from a port of DNS."""
        packets = self.packets
        ports = np.isin(packets.src_port[self.rows], _DNS_PORTS) | np.isin(packets.dst_port[self.rows], _DNS_PORTS)
        return ports & _dns_header(self.heads) & (self.size >= 12)

    def _quic(self) -> Mask:
        """A long header (RFC 9000 section 17.2) of a version that exists."""
        version = _word(self.heads, 1, 4)
        known = np.isin(version, _QUIC_VERSIONS) | (version >> 8 == 0xFF0000)
        known |= np.isin(version >> 24, (0x51, 0x54)) & (version >> 16 & 0xFF == 0x30)
        fitting: Mask = (self.first >= 192) & known & (self.size >= 21)
        return fitting

    def _classic(self, free: Mask) -> Mask:
        """STUN without cookie: by its attributes, or a bare request whose answer is seen."""
        head = self.heads
        kinds = (head[:, 0] < 2) & (head[:, 1] & 0xE0 == 0) & (_word(head, 2) + 20 == self.size)
        classic = np.zeros(len(self.rows), bool)
        maybe = np.flatnonzero(free & kinds & (self.packets.payload_length[self.rows] == self.size))
        answered = set()
        bare: list[tuple[int, bytes]] = []
        for place, data in zip(maybe.tolist(), self.packets.payloads(self.rows[maybe]), strict=True):
            if demux.is_bare_classic(data):
                bare.append((place, data[4:20]))
            elif demux.is_classic(data):
                classic[place] = True
                if data[0] == 1:
                    answered.add((int(self.flow[place]), bool(self.up[place]), data[4:20]))
        for place, transaction in bare:
            classic[place] = (int(self.flow[place]), not self.up[place], transaction) in answered
        return classic

    def _channel(self, stun: Mask) -> Mask:
        """ChannelData: the length fits, and the channel was bound or comes again in a flow that carries TURN.

        In the middle of a relay's life, where no TURN message is seen, what the channels hold has to prove it: a check,
        a handshake, a stream of media. A length that fits says little: GTP and others have theirs in the same place.
        """
        head = self.heads
        slack = self.size - 4 - _word(head, 2)
        fits = (self.first >= 64) & (self.first < 128) & (slack >= 0) & (slack < 4)
        if not fits.any():
            return fits
        method = head[:, 1] & 0xEF
        turn = self.somewhere(stun & (head[:, 0] < 2) & np.isin(method, _TURN_METHODS))
        check = (head[:, 4] < 4) & (_word(head, 8, 4) == 0x2112A442)
        record = (head[:, 4] >= 20) & (head[:, 4] < 27) & np.isin(_word(head, 5), (0xFEFF, 0xFEFD))
        sure = fits & (check | record)
        channel = _word(head, 0)
        key = self.flow.astype(np.int64) << 16 | channel
        _, places, counts = np.unique(key[fits], return_inverse=True, return_counts=True)
        again = np.zeros(len(fits), np.int64)
        again[fits] = counts[places]
        assigned = fits & (self.first < 80)  # RFC 8656 section 12
        bound = np.isin(key, self._bound(stun & turn))
        bound |= assigned & self.somewhere(
            stun & (_word(head, 0) == 0x0109)
        )  # a ChannelBind whose request was not seen
        channels = fits & turn & (bound | (again >= 2) | sure)
        media = assigned & (head[:, 4] >> 6 == 2) & (self.size >= 16)
        proven = self.somewhere((assigned & sure) | self._rising(media & ~turn & (again >= 3), 4))
        known = assigned & (sure | media | (self.size == 4))
        channels |= known & (again >= 3) & proven & self.everywhere(known, ~stun)
        return np.asarray(channels)

    def _bound(self, stun: Mask) -> Array:
        """Flow and channel of each ChannelBind request, as one number."""
        rows = np.flatnonzero(stun & (_word(self.heads, 0) == 0x0009))
        bound = []
        for place, data in zip(rows.tolist(), self.packets.payloads(self.rows[rows]), strict=True):
            try:
                channel = decode_stun(data).channel
            except ParseError:
                continue
            if channel is not None:
                bound.append(int(self.flow[place]) << 16 | channel)
        return np.array(bound, np.int64)

    def _media(self, out: Array, others: Mask) -> tuple[Mask, Mask]:
        """RTP and RTCP."""
        free = out == Label.UDP
        version = self.first >> 6 == 2
        second = self.heads[:, 1]
        control = free & version & (second >= 192) & (second <= 223) & (self.size >= 8)
        control &= 4 + 4 * _word(self.heads, 2) <= self.size
        media = free & version & ~((second >= 192) & (second <= 223)) & (self.size >= 12)
        rising = self._rising(media)
        # With ICE or DTLS on the same 5-tuple RFC 7983 decides, unless something in the flow is outside its ranges.
        beside = self.somewhere(others)
        orderly = beside & self.everywhere(media | control, free)
        lively = self.somewhere(rising)
        sure = rising | (media & (orderly | (beside & lively & self._of_stream(media, rising))))
        return sure, control & (orderly | lively | self._reports(control, free))

    def _rising(self, media: Mask, at: int = 0) -> Mask:
        """Packets of an SSRC that go on as RTP does (RFC 3550 section 5.1, appendix A.1).

        Sequence numbers mostly rise by one, or by small steps with timestamps that keep time; and timestamps move with
        some clock. ``at`` is where RTP begins in a datagram. A packet seen twice says nothing either way.
        """
        places = np.flatnonzero(media)
        rising = np.zeros(len(self.rows), bool)
        if not len(places):
            return rising
        head = self.heads[places]
        key, flow = (_word(head, at + 8, 4) << 1 | self.up[places]).astype(np.int64), self.flow[places]
        order = np.lexsort((key, flow))  # stable: in order of arrival within a stream
        key, flow, head = key[order], flow[order], head[order]
        sequence, stamp = _word(head, at + 2), _word(head, at + 4, 4)
        rows = self.rows[places[order]]
        begins = np.ones(len(order), bool)
        begins[1:] = (key[1:] != key[:-1]) | (flow[1:] != flow[:-1])
        stream = np.cumsum(begins) - 1
        count = int(stream[-1]) + 1

        def step(values: Array, half: int) -> Array:
            steps = np.zeros(len(order), np.int64)
            steps[1:] = np.where(begins[1:], 0, (np.diff(values) + half & 2 * half - 1) - half)
            return steps

        def total(mask: Array) -> Array:
            return np.bincount(stream[mask], minlength=count)

        moved, ticks = step(sequence, 1 << 15), step(stamp, 1 << 31)
        waited = np.zeros(len(order))
        waited[1:] = np.diff(self.packets.time[rows]) / 1e9
        most = (np.maximum(waited, 0) + 1) * _TICKS
        again = (moved == 0) & (ticks == 0)
        moves, next_one = total(~begins & ~again), total(moved == 1)
        forward = total((moved > 0) & (moved <= _FORWARD))
        changed, kept = total(ticks != 0), total((ticks > 0) & (ticks <= most))
        wild = total(np.abs(ticks) > 10 * most)
        steady = (next_one * 2 >= moves) & (wild * 2 <= changed)
        timely = (forward * 2 >= moves) & (forward >= 2) & (kept * 10 >= changed * 8)
        good = (kept > 0) & (steady | timely) & (next_one + forward > 0)
        rising[places[order]] = good[stream]
        return rising

    def _of_stream(self, media: Mask, rising: Mask) -> Mask:
        """Single packets beside confirmed streams: only where most of their flow is confirmed."""
        loose = np.bincount(self.flow[media & ~rising], minlength=self.count)
        firm = np.bincount(self.flow[rising], minlength=self.count)
        return (loose * 4 <= firm)[self.flow]

    def _reports(self, control: Mask, free: Mask) -> Mask:
        """RTCP on a port of its own: nothing else in the flow, and compounds whose lengths chain to the end."""
        only = control & self.everywhere(control, free) & ~self.somewhere(~free)
        reports = np.zeros(len(self.rows), bool)
        places = np.flatnonzero(only)
        places = places[np.argsort(self.flow[places], kind="stable")]
        for members in np.split(places, np.flatnonzero(np.diff(self.flow[places])) + 1):
            payloads = self.packets.payloads(self.rows[members[:8]])
            sizes = self.size[members[:8]].tolist()
            reports[members] = all(_is_compound(data, size) for data, size in zip(payloads, sizes, strict=True))
        return reports


def _is_compound(data: bytes, size: int) -> bool:
    """Whether RTCP in clear fills a datagram, a report first (RFC 3550 appendix A.2)."""
    try:
        compound = rtcp.decode(data, size)
    except ParseError:
        return False
    return not compound.encrypted and not compound.problems and compound.packets[0].type in (200, 201)


def _segments(packets: "Packets", flows: "Flows", rows: Array) -> Array:
    """TCP payloads: a segment that begins with a known start is that, and so are those of its flow that follow."""
    out = np.full(len(rows), Label.TCP, np.uint8)
    if not len(rows):
        return out
    heads = packets.heads(rows, 24)
    first = heads[:, 0]
    length = _word(heads, 3)
    tls = (first >= 20) & (first <= 24) & (heads[:, 1] == 3) & (heads[:, 2] <= 4) & (length > 0) & (length <= 18432)
    out[tls] = Label.TLS
    for label, starts in _STARTS.items():
        for start in starts:
            places = np.flatnonzero(first == start[0])
            out[places[(heads[places, : len(start)] == np.frombuffer(start, np.uint8)).all(axis=1)]] = label
    _doubt_xml(packets, rows, heads, out)
    stun = (first < 64) & (_word(heads, 4, 4) == 0x2112A442) & (_word(heads, 2) & 3 == 0)
    framed = (heads[:, 2] < 64) & (_word(heads, 6, 4) == 0x2112A442) & (_word(heads, 0) == _word(heads, 4) + 20)
    out[stun | framed] = Label.STUN
    named = (packets.src_port[rows] == 53) | (packets.dst_port[rows] == 53)
    named &= (_word(heads, 0) >= 12) & _dns_header(heads[:, 2:])  # behind a length (RFC 1035 section 4.2.2)
    out[named & (out == Label.TCP)] = Label.DNS
    flow = flows.of_frame[rows]
    order = np.argsort(flow, kind="stable")
    flow, out = flow[order], out[order]
    place = np.where(out != Label.TCP, np.arange(len(out)), -1)
    begins = np.searchsorted(flow, flow)  # where each one's flow begins
    last = np.maximum.accumulate(place)
    known = last >= begins
    out[known] = out[last[known]]
    # Before the first start that is known: the middle of something that began before the capture did.
    following = np.minimum.accumulate(np.where(place < 0, len(out), place)[::-1])[::-1]
    ends = np.searchsorted(flow, flow, side="right")
    later = ~known & (following < ends)
    out[later] = out[following[later]]
    turn = (np.bincount(flow[out == Label.STUN], minlength=len(flows)) > 0)[flow]
    slack = packets.payload_length[rows[order]] - 4 - _word(heads[order], 2)
    out[turn & (first[order] >= 64) & (first[order] < 80) & (slack >= 0) & (slack < 4)] = Label.CHANNEL
    labels = np.empty(len(rows), np.uint8)
    labels[order] = out
    return labels


def _doubt_xml(packets: "Packets", rows: Array, heads: Array, out: Array) -> None:
    """Take the name of XMPP from XML that shows no sign of it, SOAP for one; in place."""
    places = np.flatnonzero(out == Label.XMPP)
    common = np.zeros(len(places), bool)
    for start in _XML:
        common |= (heads[places, : len(start)] == np.frombuffer(start, np.uint8)).all(axis=1)
    places = places[common]
    for place, data in zip(places.tolist(), packets.payloads(rows[places]), strict=True):
        data = data[:_LOOKED_AT]
        if not any(mark in data for mark in _XMPP_MARKS) and not _ADDRESSED.match(data):
            out[place] = Label.TCP
