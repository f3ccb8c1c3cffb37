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
from jitsilab.tables import COMMON, TIME, Schema, Table, frame_from, rtp_extensions, streams
from jitsilab.wire import labels
from jitsilab.wire.flows import Range, wire_lengths
from jitsilab.wire.labels import Label
from jitsilab.wire.units import Unit, endpoints

if TYPE_CHECKING:
    from jitsilab.wire import Wire

Array = npt.NDArray[Any]
TRANSPORTS = ("udp", "tcp", "tls")
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


def _flow(unit: Unit) -> int:
    return unit.flow


def _frame_of(unit: Unit) -> int:
    return unit.frame


def _nested(wire: "Wire") -> list[Unit]:
    """RTP that TURN wraps."""
    return [unit for unit in wire.units if unit.kind == "rtp" and len(unit.data) >= 12]


def _nested_in(wire: "Wire", rows: Array) -> list[Unit]:
    """Those of some rows of the capture."""
    nested = _nested(wire)
    there = np.isin([unit.frame - wire.packets.first for unit in nested], rows)
    return [nested[place] for place in np.flatnonzero(there).tolist()]


class Columns:
    """RTP packets in the order of their frames, one array a field."""

    def __init__(self, wire: "Wire", rows: Array, nested: list[Unit]) -> None:
        packets, flows = wire.packets, wire.flows
        frames = np.array([u.frame for u in nested], np.int64)
        heads = np.concatenate([packets.heads(rows, 12), _matrix([u.data[:12] for u in nested])])
        frame = np.concatenate([rows + packets.first, frames])
        order = np.argsort(frame, kind="stable")

        def joined(plain: Array, inside: list[Any]) -> Array:
            return np.concatenate([plain, np.array(inside, plain.dtype)])[order]

        self.unit = np.concatenate([np.full(len(rows), -1), np.arange(len(nested))])[order]
        self.nested = nested
        self.frame = frame[order]
        self.time = packets.time[self.frame - packets.first]
        self.flow = joined(flows.of_frame[rows].astype(np.int64), [u.flow for u in nested])
        self.up = joined(flows.up[rows], [u.up for u in nested])
        self.depth = joined(np.zeros(len(rows), np.int64), [u.depth for u in nested])
        self.transport = joined(np.zeros(len(rows), np.int64), [TRANSPORTS.index(u.transport) for u in nested])
        self.size = joined(wire_lengths(packets, rows), [u.size for u in nested])
        copies = packets.duplicate_of[self.frame - packets.first] > 0
        self.duplicate = copies & (self.transport == 0)
        heads = heads[order]
        self.first = heads[:, 0]
        self.payload_type = (heads[:, 1] & 0x7F).astype(np.int64)
        self.marker = heads[:, 1] > 127
        words = np.ascontiguousarray(heads).view(">u4").astype(np.int64).reshape(-1, 3)
        self.sequence, self.timestamp, self.ssrc = words[:, 0] & 0xFFFF, words[:, 1], words[:, 2]


def _matrix(heads: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(heads), np.uint8).reshape(-1, 12)


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
    columns = Columns(wire, plain, _nested_in(wire, rows))
    profile, extensions, problems = rtp_extensions.decode(wire, columns)
    made = {
        "frame": columns.frame,
        "time": columns.time,
        "seconds": _seconds(wire, columns.time),
        "flow": columns.flow,
        **_ends(wire, columns.flow, columns.up),
        "up": columns.up,
        "transport": np.array(TRANSPORTS, object)[columns.transport],
        "depth": columns.depth,
        **_peers(columns.nested, columns.unit),
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


def _peers(nested: list[Unit], unit: Array) -> dict[str, Array]:
    """Peers behind a relay, of each row; none for plain packets."""
    peers = [nested[i].peer if i >= 0 else None for i in unit.tolist()] if nested else [None] * len(unit)
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
    nested = sorted(_nested(wire), key=_flow)
    label, protocol = wire.labels, wire.packets.ip_protocol

    def of_some(flows: Range) -> pd.DataFrame:  # a stream is of one flow
        inside = nested[bisect_left(nested, flows.low, key=_flow) : bisect_left(nested, flows.high, key=_flow)]
        made = _Media(wire)
        for rows, units in _parts(wire, flows.rows, inside):
            made.add(Columns(wire, rows, units))
        return made.table(clock_rates or {})

    plain = wire.flows.ranges(lambda rows: (label[rows] == Label.RTP) & (protocol[rows] == UDP))
    parts = [part for part in side_by_side(of_some, plain) if len(part)]
    if not parts:
        return Table(frame_from([], MEDIA), [])
    order = ["first_frame", "flow", "depth", "ssrc", "up"]
    every = pd.concat(parts) if len(parts) > 1 else parts[0]
    return Table(every.sort_values(order, kind="stable", ignore_index=True), [])


def _parts(wire: "Wire", rows: Array, nested: list[Unit]) -> Iterator[tuple[Array, list[Unit]]]:
    """Rows, and units inside TURN, of so many frames at a time that memory does not grow with a flow."""
    nested, taken = sorted(nested, key=_frame_of), 0
    for window in slices(max(1, len(rows)), PART):
        part = rows[window]
        last = len(nested) if window.stop >= len(rows) else taken
        while last < len(nested) and nested[last].frame <= part[-1] + wire.packets.first:
            last += 1
        yield part, nested[taken:last]
        taken = last


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
                peer = columns.nested[columns.unit[row]].peer if columns.unit[row] >= 0 else None
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
    nested = [unit for unit in wire.units if unit.kind == "rtcp"]
    return iter(sorted([*plain, *nested], key=lambda unit: unit.frame))


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
