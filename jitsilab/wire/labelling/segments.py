"""Labels of TCP segments: what begins with a known start, and what of its flow follows."""

import re
from typing import TYPE_CHECKING

import numpy as np

from jitsilab.pcap.columns import Growing, slices, spans
from jitsilab.wire.labelling.heads import Array, dns_header, word
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire.flows import Flows

_STARTS = {
    Label.HTTP: b"GET |POST |PUT |HEAD |OPTIONS |DELETE |PATCH |CONNECT |HTTP/1.|PRI * ".split(b"|"),
    Label.XMPP: b"<?xml|<stream:|</stream:|<iq |<presence|<message |<auth |<starttls".split(b"|"),
    Label.SSH: [b"SSH-"],
}
_XMPP_MARKS = (b"etherx.jabber.org/streams", b"jabber:client", b"jabber:server", b"urn:ietf:params:xml:ns:xmpp-")
_XML = (b"<?xml", b"<message ", b"<auth ")  # begin other things as well: believed with one of the marks, or an address
_ADDRESSED = re.compile(rb"<message\s[^>]{0,512}?\b(?:to|from)=['\"][^'\"<>]{1,512}@")
_LOOKED_AT = 1024  # bytes of a segment in which the marks are looked for


def label(packets: "Packets", flows: "Flows", rows: Array) -> Array:
    """TCP payloads: a segment that begins with a known start is that, and so are those of its flow that follow."""
    kept = Growing()
    for window in spans(rows):
        kept.add(_starting(packets, rows[window]))
    own, framed = (kept.take(name, np.uint8) for name in ("label", "framed"))
    # Before the first start that is known: the middle of something that began before the capture did.
    last, turn = np.full(len(flows), Label.TCP, np.uint8), np.zeros(len(flows), bool)
    for window in reversed(list(slices(len(rows)))):
        flow = flows.of_frame[rows[window]]
        starts = np.flatnonzero(own[window] != Label.TCP)[::-1]
        last[flow[starts]] = own[window][starts]  # of several the one written last stays: the first
        turn[flow[own[window] == Label.STUN]] = True
    labels = Growing()
    for window in slices(len(rows)):
        flow = flows.of_frame[rows[window]]
        label = _following(own[window], flow, last)
        label[turn[flow] & framed[window]] = Label.CHANNEL
        labels.add({"": label})
    return labels.take("", np.uint8)


def _following(own: Array, flow: Array, last: Array) -> Array:
    """Labels of segments by their own starts, else by the one before in their flow; ``last`` is brought up to date."""
    order = np.argsort(flow, kind="stable")
    flow, out = flow[order], own[order]
    place = np.maximum.accumulate(np.where(out != Label.TCP, np.arange(len(out)), -1))
    out = np.where(place >= np.searchsorted(flow, flow), out[place], last[flow])
    ends = np.flatnonzero(np.diff(flow, append=-1))
    last[flow[ends]] = out[ends]
    labels = np.empty_like(out)
    labels[order] = out
    return labels


def _starting(packets: "Packets", rows: Array) -> dict[str, Array]:
    """What segments begin with, and whether each could be ChannelData."""
    out = np.full(len(rows), Label.TCP, np.uint8)
    heads = packets.heads(rows, 24)
    first = heads[:, 0]
    length = word(heads, 3)
    tls = (first >= 20) & (first <= 24) & (heads[:, 1] == 3) & (heads[:, 2] <= 4) & (length > 0) & (length <= 18432)
    out[tls] = Label.TLS
    for label, starts in _STARTS.items():
        for start in starts:
            places = np.flatnonzero(first == start[0])
            out[places[(heads[places, : len(start)] == np.frombuffer(start, np.uint8)).all(axis=1)]] = label
    _doubt_xml(packets, rows, heads, out)
    stun = (first < 64) & (word(heads, 4, 4) == 0x2112A442) & (word(heads, 2) & 3 == 0)
    framed = (heads[:, 2] < 64) & (word(heads, 6, 4) == 0x2112A442) & (word(heads, 0) == word(heads, 4) + 20)
    out[stun | framed] = Label.STUN
    named = (packets.src_port[rows] == 53) | (packets.dst_port[rows] == 53)
    named &= (word(heads, 0) >= 12) & dns_header(heads[:, 2:])  # behind a length (RFC 1035 section 4.2.2)
    out[named & (out == Label.TCP)] = Label.DNS
    slack = packets.payload_length[rows] - 4 - word(heads, 2)
    return {"label": out, "framed": (first >= 64) & (first < 80) & (slack >= 0) & (slack < 4)}


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
