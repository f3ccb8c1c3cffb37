"""The tables ``rtp``, ``rtcp`` and ``media``: packets and streams over plain UDP, ICE-TCP and inside TURN.

SRTP leaves the RTP header in clear, so streams are counted without keys. A million packets are columns, never objects:
what runs over plain UDP is gathered from the capture's buffer, and only what TURN wraps goes through `units`.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.errors import ParseError, Problem
from jitsilab.pcap.columns import slices
from jitsilab.pcap.cores import side_by_side
from jitsilab.pcap.links import UDP
from jitsilab.protocols import rtcp as rtcp_decoder
from jitsilab.protocols.rtp import STATIC
from jitsilab.protocols.stun import Endpoint
from jitsilab.tables import COMMON, TIME, Schema, Table, frame_from, rtp_extensions, streams
from jitsilab.wire import labels
from jitsilab.wire.flows import Range, wire_lengths
from jitsilab.wire.labels import Label
from jitsilab.wire.units import KINDS, TRANSPORTS, Unit, endpoints

if TYPE_CHECKING:
    from jitsilab.wire import Wire

Array = npt.NDArray[Any]
PART = 1 << 16  # packets of some flows that are counted at once
FIRST = 4  # packets that show a way of extending the header

_WHERE: Schema = {
    "up": ("boolean", "from the flow's client"),
    "transport": ("str", "udp, tcp, or tls where it was decrypted"),
    "depth": ("int64", "0 plain, 1 inside TURN"),
    "wrapper_peer": ("str", "inside TURN: the peer behind the relay"),
    "wrapper_peer_port": ("Int64", "its port"),
}

RTP: Schema = {
    **COMMON,
    **_WHERE,
    "ssrc": ("int64", "stream, 32 bits, RFC 3550 section 5.1"),
    "sequence": ("int64", "16 bits, wraps"),
    "timestamp": ("int64", "32 bits, ticks of the media clock"),
    "payload_type": ("int64", "0..127"),
    "marker": ("boolean", "for video the last packet of a picture"),
    "csrcs": ("int64", "count of contributing sources"),
    "profile": ("str", "of the header extension, 4 hex digits: bede is RFC 8285's one-byte form"),
    "extensions": ("str", "ids of the header extension's elements in order, with spaces between"),
    "size": ("int64", "bytes on the wire, RTP header included"),
    "duplicate": ("boolean", "the same packet as one seen on another interface of the host"),
}

RTCP: Schema = {
    **COMMON,
    **_WHERE,
    "position": ("int64", "place in the compound, from 0"),
    "packet_type": ("int64", "200 SR, 201 RR, ..."),
    "name": ("str", "the type as IANA names it"),
    "format": ("str", "of a feedback: PLI, Generic NACK, ..."),
    "ssrc": ("Int64", "of the sender"),
    "media_ssrc": ("Int64", "of the stream a feedback is about"),
    "length": ("int64", "bytes of this packet, as announced"),
    "encrypted": ("boolean", "SRTCP: only header and sender of the first packet are readable"),
    "srtcp_index": ("Int64", "31 bits, where its place is certain"),
    "ntp": ("float64", "s since 1970, the sender's clock in an SR"),
    "rtp_timestamp": ("Int64", "the same moment on the media clock"),
    "sender_packets": ("Int64", "packets sent so far, by an SR"),
    "sender_octets": ("Int64", "payload bytes sent so far, by an SR"),
    "reported_ssrc": ("Int64", "stream of the first report block"),
    "fraction_lost": ("float64", "0..1 since the last report"),
    "cumulative_lost": ("Int64", "packets since the beginning"),
    "highest_sequence": ("Int64", "with the count of wraps in the upper 16 bits"),
    "jitter": ("Int64", "ticks of the media clock"),
    "text": ("str", "CNAME, reason of a BYE or name of an APP"),
    "size": ("int64", "bytes of the datagram on the wire"),
    "duplicate": ("boolean", "the same packet as one seen on another interface of the host"),
}

MEDIA: Schema = {
    "flow": ("Int64", "number of the flow in the table flows"),
    "up": ("boolean", "from the flow's client"),
    "src": ("str", "source address of the flow"),
    "src_port": ("Int64", "source port"),
    "dst": ("str", "destination address"),
    "dst_port": ("Int64", "destination port"),
    "transport": ("str", "udp, tcp, or tls where it was decrypted"),
    "depth": ("int64", "0 plain, 1 inside TURN"),
    "wrapper_peer": ("str", "inside TURN: the peer behind the relay"),
    "wrapper_peer_port": ("Int64", "its port"),
    "ssrc": ("int64", "stream"),
    "payload_type": ("int64", "the one most packets have"),
    "payload_types": ("str", "all, in order of number, with spaces between"),
    "packets": ("int64", "packets seen, copies on other interfaces left out"),
    "bytes": ("int64", "bytes on the wire, RTP headers included"),
    "lost": ("int64", "sequence numbers that never came, RFC 3550 appendix A.3"),
    "repeated": ("int64", "packets whose sequence number had come before"),
    "reordered": ("int64", "packets that came after a later one"),
    "wraps": ("int64", "times the sequence number passed 65535"),
    "restarts": ("int64", "jumps of more than 3000 numbers: the sender began anew (RFC 3550 appendix A.1)"),
    "gaps": ("int64", "runs of missing sequence numbers"),
    "jitter_ms": (
        "float64",
        "interarrival jitter at the last packet, RFC 3550 6.4.1; empty without a clock rate",
    ),
    "clock_rate": ("Int64", "ticks a second: fixed by RFC 3551 or signalled"),
    "longest_pause": ("float64", "s, the longest time without a packet between the first and the last"),
    "first_frame": ("int64", "frame of the first packet"),
    "last_frame": ("int64", "frame of the last packet"),
    "first_seconds": ("float64", "s since the first frame of the capture"),
    "last_seconds": ("float64", "s since the first frame of the capture"),
}
SCHEMAS = {"rtp": RTP, "rtcp": RTCP, "media": MEDIA}


class Columns:
    """RTP packets in the order of their frames, one array a field."""

    def __init__(self, wire: "Wire", rows: Array, nested: Array) -> None:
        """``rows`` of the capture that are RTP over plain UDP, and ``nested`` `wire.units.rows` that TURN wraps."""
        packets, flows = wire.packets, wire.flows
        self._packets = packets
        self._units = wire.units if len(nested) else None
        frame = np.concatenate([rows + packets.first, nested["frame"].astype(np.int64)])
        order = np.argsort(frame, kind="stable")

        def joined(plain: Array, inside: Array) -> Array:
            return np.concatenate([plain, inside.astype(plain.dtype)])[order]

        self.nested = nested
        self.unit = joined(np.full(len(rows), -1), np.arange(len(nested)))
        self.frame = frame[order]
        self.time = packets.time[self.frame - packets.first]
        self.flow = joined(flows.of_frame[rows].astype(np.int64), nested["flow"])
        self.up = joined(flows.up[rows], nested["up"])
        self.depth = joined(np.zeros(len(rows), np.int64), nested["depth"])
        self.transport = joined(np.zeros(len(rows), np.int64), nested["transport"])
        self.size = joined(wire_lengths(packets, rows), nested["size"])
        copies = packets.duplicate_of[self.frame - packets.first] > 0
        self.duplicate = copies & (self.transport == 0)
        heads = self.heads(np.arange(len(frame)), 12)
        self.first = heads[:, 0]
        self.payload_type = (heads[:, 1] & 0x7F).astype(np.int64)
        self.marker = heads[:, 1] > 127
        words = np.ascontiguousarray(heads).view(">u4").astype(np.int64).reshape(-1, 3)
        self.sequence, self.timestamp, self.ssrc = words[:, 0] & 0xFFFF, words[:, 1], words[:, 2]

    def peers(self, at: Array) -> list[Endpoint | None]:
        """Who is behind the relay, of some of the packets."""
        if self._units is None:
            return [None] * len(at)
        peer = np.append(self.nested["peer"], 0)[self.unit[at]]  # of a plain one the last
        return [self._units.peers[number] for number in peer.tolist()]

    def heads(self, at: Array, width: int) -> npt.NDArray[np.uint8]:
        """First bytes of some of the packets: (k, width), zeros past their ends."""
        out, inside = np.zeros((len(at), width), np.uint8), self.unit[at] >= 0
        out[~inside] = self._packets.heads(self.frame[at[~inside]] - self._packets.first, width)
        if self._units is not None:
            out[inside] = self._units.heads(self.nested[self.unit[at[inside]]], width)
        return out

    def lengths(self, at: Array) -> Array:
        """How many bytes of some of the packets were captured."""
        plain = self._packets.payload_length[self.frame[at] - self._packets.first].astype(np.int64)
        return np.where(self.unit[at] < 0, plain, np.append(self.nested["length"], 0)[self.unit[at]])

    def data(self, at: Array) -> list[bytes]:
        """The bytes of some of the packets."""
        inside = self.unit[at] >= 0
        plain = iter(self._packets.payloads(self.frame[at[~inside]] - self._packets.first))
        nested = iter(self._units.data(self.nested[self.unit[at[inside]]]) if self._units is not None else ())
        return [next(nested if wrapped else plain) for wrapped in inside.tolist()]


def _ends(wire: "Wire", flow: Array, up: Array) -> dict[str, Array]:
    """Source and destination of each row, as columns."""
    keys, place = np.unique(flow * 2 + up, return_inverse=True)
    known = [endpoints(wire, key >> 1, bool(key & 1)) for key in keys.tolist()]
    columns = list(zip(*known, strict=True)) or [(), (), (), ()]
    names = ("src", "src_port", "dst", "dst_port")
    return {
        name: np.array(values, object if name in ("src", "dst") else np.int64)[place]
        for name, values in zip(names, columns, strict=True)
    }


def _frame(columns: Mapping[str, Any], schema: Schema) -> pd.DataFrame:
    """Columns as a DataFrame with the schema's dtypes."""
    made = {}
    for name, (dtype, _) in schema.items():
        values = columns[name]
        made[name] = pd.to_datetime(values, unit="ns", utc=True).astype(TIME) if dtype == TIME else values
        if dtype != TIME:
            made[name] = pd.array(values, dtype=dtype)
    return pd.DataFrame(made)


def _seconds(wire: "Wire", time: Array) -> Array:
    return (time - wire.packets.time[0]) / 1e9 if len(time) else np.zeros(0)


def rtp(wire: "Wire", rows: Array | None = None) -> Table:
    """One row an RTP packet, of the capture or of some rows of it, in the order of frames."""
    rows = np.arange(len(wire.packets)) if rows is None else rows
    plain = rows[(wire.labels[rows] == Label.RTP) & (wire.packets.ip_protocol[rows] == UDP)]
    columns = Columns(wire, plain, _nested(wire, rows))
    profile, extensions, problems = rtp_extensions.decode(columns)
    made = {
        "frame": columns.frame,
        "time": columns.time,
        "seconds": _seconds(wire, columns.time),
        "flow": columns.flow,
        **_ends(wire, columns.flow, columns.up),
        "up": columns.up,
        "transport": np.array(TRANSPORTS, object)[columns.transport],
        "depth": columns.depth,
        **_peers(columns),
        "ssrc": columns.ssrc,
        "sequence": columns.sequence,
        "timestamp": columns.timestamp,
        "payload_type": columns.payload_type,
        "marker": columns.marker,
        "csrcs": (columns.first & 15).astype(np.int64),
        "profile": profile,
        "extensions": extensions,
        "size": columns.size,
        "duplicate": columns.duplicate,
    }
    return Table(_frame(made, RTP), problems)


def extended(wire: "Wire") -> pd.DataFrame:
    """Of the table ``rtp`` each way of extending the header, with its first packets in each direction of a flow."""
    columns = ["frame", "flow", "src", "src_port", "up", "depth", "extensions", "duplicate"]
    ways = ["flow", "up", "depth", "extensions", "duplicate"]
    parts = [frame_from([], RTP)[columns]]
    for window in slices(len(wire.packets)):
        rows = rtp(wire, np.arange(window.start, window.stop)).rows
        parts.append(rows[rows["extensions"].notna()].groupby(ways).head(FIRST)[columns])
    return pd.concat(parts, ignore_index=True).groupby(ways).head(FIRST).reset_index(drop=True)


def _nested(wire: "Wire", rows: Array) -> Array:
    """RTP that TURN wraps, of some rows of the capture."""
    units: Array = wire.units.rows
    if not len(rows):
        return units[:0]
    low, high = (
        bisect_left(units["frame"], row + wire.packets.first) for row in (int(rows.min()), int(rows.max()) + 1)
    )
    some: Array = units[low:high]
    wanted: Array = (some["kind"] == KINDS.index("rtp")) & (some["length"] >= 12)
    wanted &= np.isin(some["frame"], rows + wire.packets.first)
    return some[wanted]


def _peers(columns: Columns) -> dict[str, Array]:
    """Peers behind a relay, of each row; none for plain packets."""
    peers = columns.peers(np.arange(len(columns.frame)))
    return {
        "wrapper_peer": np.array([peer.address if peer else None for peer in peers], object),
        "wrapper_peer_port": np.array([peer.port if peer else None for peer in peers], object),
    }


def media(wire: "Wire", clock_rates: "Mapping[int | tuple[int, int], int] | None" = None) -> Table:
    """One row a stream: an SSRC in one direction of a flow, plain or inside TURN, by first frame.

    ``clock_rates`` gives what signaling says of payload types: ticks a second of a payload type, or of a pair of flow
    and payload type where sessions differ; RFC 3551's fixed types are known without. On an `any` capture both legs of
    a relay are flows of their own, so a relayed stream is there once for each.
    """
    label, protocol = wire.labels, wire.packets.ip_protocol
    nothing = wire.units.rows[:0]

    def of_some(flows: Range) -> pd.DataFrame:  # a stream is of one flow
        counted = _Media(wire)
        for window in slices(len(flows.rows), PART):
            counted.add(Columns(wire, flows.rows[window], nothing))
        return counted.table(clock_rates or {})

    inside, places = _Media(wire), wire.units.where("rtp", smallest=12)
    for window in slices(len(places), PART):
        inside.add(Columns(wire, places[:0], wire.units.rows[places[window]]))
    plain = wire.flows.ranges(lambda rows: (label[rows] == Label.RTP) & (protocol[rows] == UDP))
    every = [part for part in (inside.table(clock_rates or {}), *side_by_side(of_some, plain)) if len(part)]
    if not every:
        return Table(frame_from([], MEDIA), [])
    order = ["first_frame", "flow", "depth", "ssrc", "up"]
    rows = pd.concat(every) if len(every) > 1 else every[0]
    return Table(rows.sort_values(order, kind="stable", ignore_index=True), [])


class _Media:
    """The streams of some flows, by first packet."""

    def __init__(self, wire: "Wire") -> None:
        self._wire, self._streams = wire, streams.Streams()
        self._numbers: dict[tuple[int, int], int] = {}  # flow, depth and direction as one number, and SSRC
        self._first: list[tuple[Any, ...]] = []
        self._last: list[tuple[int, int]] = []  # frame, time

    def add(self, columns: Columns) -> None:
        """Packets in the order of frames, later than all before."""
        kept = np.flatnonzero(~columns.duplicate)
        place = columns.flow[kept] << 6 | columns.depth[kept] << 1 | columns.up[kept]
        pair = np.unique(place, return_inverse=True)[1] << 32 | columns.ssrc[kept]
        _, at, which = np.unique(pair, return_index=True, return_inverse=True)
        names = list(zip(place[at].tolist(), columns.ssrc[kept[at]].tolist(), strict=True))
        for name, row in zip(names, kept[at].tolist(), strict=True):
            if name not in self._numbers:
                self._numbers[name] = len(self._numbers)
                peer = columns.peers(np.array([row]))[0]
                self._first.append((
                    int(columns.flow[row]), bool(columns.up[row]), int(columns.transport[row]), int(columns.depth[row]),
                    *((peer.address, peer.port) if peer else (None, None)), int(columns.ssrc[row]),
                    int(columns.frame[row]), int(columns.time[row]),
                ))  # fmt: skip
                self._last.append((0, 0))
        stream = np.array([self._numbers[name] for name in names], np.int64)[which]
        order = np.argsort(stream, kind="stable")
        kept, stream = kept[order], stream[order]
        for end in np.flatnonzero(np.diff(stream, append=-1)).tolist():
            self._last[stream[end]] = int(columns.frame[kept[end]]), int(columns.time[kept[end]])
        self._streams.add(
            stream, sequence=columns.sequence[kept], timestamp=columns.timestamp[kept],
            payload_type=columns.payload_type[kept], time=columns.time[kept], size=columns.size[kept],
        )  # fmt: skip

    def table(self, clock_rates: "Mapping[int | tuple[int, int], int]") -> pd.DataFrame:
        """One row a stream."""
        if not self._first:
            return frame_from([], MEDIA)
        flow, up, transport, depth, peer, port, ssrc, first_frame, first = zip(*self._first, strict=True)
        last_frame, last = zip(*self._last, strict=True)
        main, every = self._streams.payload_types()
        rates = [_rate(number, kind, clock_rates) for number, kind in zip(flow, main, strict=True)]
        made = {
            "flow": np.array(flow),
            "up": np.array(up),
            **_ends(self._wire, np.array(flow), np.array(up)),
            "transport": np.array(TRANSPORTS, object)[list(transport)],
            "depth": np.array(depth),
            "wrapper_peer": np.array(peer, object),
            "wrapper_peer_port": np.array(port, object),
            "ssrc": np.array(ssrc),
            "payload_type": main,
            "payload_types": every,
            **self._streams.counts(),
            "jitter_ms": self._streams.jitter(rates),
            "clock_rate": np.array(rates, object),
            "longest_pause": self._streams.longest_pause(),
            "first_frame": np.array(first_frame),
            "last_frame": np.array(last_frame),
            "first_seconds": _seconds(self._wire, np.array(first)),
            "last_seconds": _seconds(self._wire, np.array(last)),
        }
        return _frame(made, MEDIA)


def _rate(flow: int, payload_type: int, signalled: "Mapping[int | tuple[int, int], int]") -> int | None:
    fixed = STATIC.get(payload_type)
    return signalled.get((flow, payload_type)) or signalled.get(payload_type) or (fixed.clock_rate if fixed else None)


def rtcp(wire: "Wire") -> Table:
    """One row an RTCP packet of each compound; of SRTCP only the first packet's header is readable."""
    rows: list[tuple[Any, ...]] = []
    problems: list[Problem] = []
    for unit in _control(wire):
        try:
            compound = rtcp_decoder.decode(unit.data, unit.size)
        except ParseError as error:
            problems.append(Problem(unit.frame, "rtcp", error.offset, str(error)))
            continue
        common = (unit.frame, wire.time(unit.frame), wire.seconds(unit.frame), unit.flow, *unit[8:12])
        where = (unit.up, unit.transport, unit.depth, *(unit.peer or (None, None)))
        copy = unit.transport == "udp" and bool(wire.packets.duplicate_of[unit.frame - wire.packets.first])
        for position, packet in enumerate(compound.packets):
            index = compound.srtcp_index if not position else None
            head = (packet.type, packet.name, packet.format, packet.ssrc, packet.media_ssrc, packet.size)
            body = (compound.encrypted, index, *_sender(packet), *_report(packet), packet.text)
            rows.append((*common, *where, position, *head, *body, unit.size, copy))
        if len(unit.data) >= unit.size:
            problems += [Problem(unit.frame, "rtcp", 0, text) for text in compound.problems]
    return Table(frame_from(rows, RTCP), problems)


def _control(wire: "Wire") -> Iterator[Unit]:
    """RTCP datagrams, plain and nested, in the order of frames."""
    packets, flows = wire.packets, wire.flows
    rows = labels.rows(packets, wire.labels, Label.RTCP, protocol=UDP)
    plain = [
        Unit("rtcp", data, frame, frame, flow, up, 0, "udp", *endpoints(wire, flow, up), None, size)
        for frame, flow, up, size, data in zip(
            (rows + packets.first).tolist(),
            flows.of_frame[rows].tolist(),
            flows.up[rows].tolist(),
            wire_lengths(packets, rows).tolist(),
            packets.payloads(rows),
            strict=True,
        )
    ]
    return iter(sorted([*plain, *wire.units.each("rtcp")], key=lambda unit: unit.frame))


def _sender(packet: rtcp_decoder.Packet) -> tuple[Any, ...]:
    if packet.sender is None:
        return (None,) * 4
    sender = packet.sender
    return (sender.ntp / (1 << 32) - 2208988800, sender.timestamp, sender.packets, sender.octets)


def _report(packet: rtcp_decoder.Packet) -> tuple[Any, ...]:
    if not packet.reports:
        return (None,) * 5
    report = packet.reports[0]
    return (report.ssrc, report.fraction_lost / 256, report.cumulative_lost, report.highest_sequence, report.jitter)


LONG = {"rtp": rtp}
BUILD = {**LONG, "rtcp": rtcp, "media": media}
PARTS = {"extended": extended}
