"""Tables of what frames say of themselves: ``frames``, ``tcp``, ``arp``."""

from collections.abc import Iterator, Sequence
from socket import inet_ntoa
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from jitsilab.errors import Problem
from jitsilab.pcap.columns import HELD, Growing, laid, made, slices, where
from jitsilab.pcap.links import ARP
from jitsilab.protocols.tcp import options
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.wire import Wire, labels
from jitsilab.wire.flows import wire_lengths

Array = npt.NDArray[Any]

SCHEMAS: dict[str, Schema] = {
    "frames": COMMON
    | {
        "protocol": ("str", "what the frame holds, by content: ARP, DNS, STUN, DTLS, RTP, TLS, ..."),
        "length": ("int64", "bytes on the wire"),
        "captured_length": ("int64", "bytes in the capture"),
        "ip_version": ("Int64", "4 or 6"),
        "ip_protocol": ("Int64", "IP protocol number; of IPv6 the one after the extension headers"),
        "interface": ("int64", "interface of the capture, from 0; each device of a cooked capture is one"),
        "duplicate_of": ("Int64", "frame that holds the same packet, seen before on another interface"),
    },
    "tcp": COMMON
    | {
        "up": ("bool", "from the client"),
        "flags": ("str", "flags as SYN,ACK"),
        "seq": ("int64", "sequence number as sent"),
        "ack": ("int64", "acknowledgement number as sent"),
        "window": ("int64", "window as sent, unscaled"),
        "length": ("int64", "payload bytes on the wire"),
        "mss": ("Int64", "option: largest segment in bytes, RFC 9293 section 3.7.1"),
        "scale": ("Int64", "option: window scale as a shift, RFC 7323 section 2"),
        "sack_permitted": ("bool", "option: selective acknowledgements, RFC 2018 section 2"),
        "sack": ("str", "option: acknowledged blocks as left-right, RFC 2018 section 3"),
        "tsval": ("Int64", "option: timestamp, RFC 7323 section 3"),
        "tsecr": ("Int64", "option: timestamp echoed"),
        "retransmission": ("bool", "bytes, a SYN or a FIN sent again"),
    },
    "arp": {name: COMMON[name] for name in ("frame", "time", "seconds")}
    | {
        "sender_mac": ("str", "hardware address of the sender"),
        "sender_ip": ("str", "IPv4 address of the sender"),
        "target_mac": ("str", "hardware address that is asked for or told"),
        "target_ip": ("str", "IPv4 address that is asked for or told"),
        "operation": ("Int64", "1 request, 2 reply, RFC 826"),
    },
}

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
CARRIERS = ("UDP", "RTP", "SRTP")  # what datagrams with media are said to hold
_FLAG_VALUES = 1 << 9  # with the bit before CWR
_TIMESTAMP = 0x0101080A  # NOP, NOP, timestamp option of 10 bytes: what nearly every segment carries


def frames(wire: Wire, rows: Array | None = None) -> Table:
    """One row a frame, of the capture or of some rows of it; what cannot be read of the file is known without it."""
    packets = wire.packets
    rows = np.arange(len(packets)) if rows is None else rows
    version, protocol, again = packets.ip_version[rows], packets.ip_protocol[rows], packets.duplicate_of[rows]
    columns = common(wire, rows) | {
        "protocol": texts(wire.labels[rows], list(labels.NAMES)),
        "length": laid(packets.length[rows].astype(np.int64)),
        "captured_length": laid(packets.captured_length[rows].astype(np.int64)),
        "ip_version": integers(version, version > 0),
        "ip_protocol": integers(protocol, protocol >= 0),
        "interface": laid(packets.interface[rows].astype(np.int64)),
        "duplicate_of": integers(again, again > 0),
    }
    return Table(pd.DataFrame(columns, copy=False), [])


def tcp(wire: Wire, rows: Array | None = None) -> Table:
    """One row a TCP segment, of the capture or of some rows of it, duplicates on a second interface left out."""
    packets = wire.packets
    segments = packets.tcp_rows if rows is None else np.intersect1d(packets.tcp_rows, rows, assume_unique=True)
    rows = segments[packets.duplicate_of[segments] == 0]
    fields = packets.tcp_fields(rows)
    options, problems = _options(wire, rows)
    columns = common(wire, rows) | {
        "up": wire.flows.up[rows],
        "flags": _flag_names(fields["flags"] & (_FLAG_VALUES - 1)),
        "seq": fields["seq"].astype(np.int64),
        "ack": fields["ack"].astype(np.int64),
        "window": fields["window"].astype(np.int64),
        "length": wire_lengths(packets, rows),
        **options,
        "retransmission": wire.flows.retransmitted[rows],
    }
    return Table(pd.DataFrame(columns, copy=False), problems)


def segments(wire: Wire) -> pd.DataFrame:
    """Of the table ``tcp`` what order and loss need, in 30 bytes a row."""
    packets, parts, seen = wire.packets, Growing(), np.zeros(_FLAG_VALUES, np.int64)
    for rows in _segments(wire):
        fields = packets.tcp_fields(rows)
        flags = fields["flags"] & (_FLAG_VALUES - 1)
        seen += np.bincount(flags, minlength=_FLAG_VALUES)
        parts.add(
            {
                "flow": wire.flows.of_frame[rows],
                "seconds": _seconds(wire, rows),
                "up": wire.flows.up[rows],
                "flags": flags.astype(np.int16),
                "seq": fields["seq"].astype(np.uint32),
                "ack": fields["ack"].astype(np.uint32),
                "length": wire_lengths(packets, rows).astype(np.uint32),
            }
        )
    kinds = np.flatnonzero(seen)
    dtypes = {"flow": np.int32, "seconds": np.float64, "up": np.bool_, "flags": np.int16, "seq": np.uint32,
              "ack": np.uint32, "length": np.uint32}  # fmt: skip
    columns: dict[str, Any] = {name: parts.take(name, dtype) for name, dtype in dtypes.items()}
    flags = columns["flags"]
    codes = made(len(flags), np.int16, lambda window: np.searchsorted(kinds, flags[window]))
    columns["flags"] = pd.Categorical.from_codes(codes, [_flag_text(kind) for kind in kinds.tolist()])
    return pd.DataFrame(columns, copy=False)


def _segments(wire: Wire) -> Iterator[Array]:
    """Rows of segments, many at a time, without copies that another interface saw."""
    packets = wire.packets
    for window in slices(len(packets.tcp_rows)):
        rows = packets.tcp_rows[window]
        yield rows[packets.duplicate_of[rows] == 0]


def stamps(wire: Wire) -> pd.DataFrame:
    """Of the table ``tcp`` the timestamps."""
    frame = Growing()
    values = [pd.array([], dtype="Int64")]
    for rows in _segments(wire):
        frame.add({"": rows + np.int64(wire.packets.first)})
        values.append(_options(wire, rows)[0]["tsval"])
    return pd.DataFrame(
        {"frame": frame.take("", np.int64), "tsval": pd.concat(list(map(pd.Series, values))).array}, copy=False
    )


def bounds(wire: Wire) -> pd.DataFrame:
    """Of the table ``frames`` when it begins and ends: its first row, the first with a time, and the last."""
    packets = wire.packets
    rows = np.unique([0, int(packets.timed.argmax()), len(packets) - 1]) if len(packets) else np.zeros(0, np.int64)
    columns = {"frame": rows + np.int64(packets.first), "time": _times(wire, rows), "seconds": _seconds(wire, rows)}
    return pd.DataFrame(columns, copy=False)


def cut(wire: Wire) -> pd.DataFrame:
    """Of the table ``frames`` those that were cut short, without media, which often are."""
    packets, label = wire.packets, wire.labels
    short, whole = packets.captured_length, packets.length
    rows = where(len(packets), lambda window: (short[window] < whole[window]) & (label[window] != labels.Label.RTP))
    lengths = {"length": packets.length[rows], "captured_length": packets.captured_length[rows]}
    return pd.DataFrame({"frame": rows + np.int64(packets.first), **lengths}, copy=False)


def ends(wire: Wire) -> pd.DataFrame:
    """Of the table ``frames`` who sends to whom, each pair once."""
    packets, pairs = wire.packets, np.zeros(0, np.int64)
    for window in slices(len(packets)):
        pairs = np.union1d(pairs, packets.src[window].astype(np.int64) << 32 | packets.dst[window].astype(np.uint32))
    names = packets.addresses
    return pd.DataFrame(
        {"src": texts((pairs >> 32).astype(np.int32), names), "dst": texts(pairs.astype(np.int32), names)}
    )


def datagrams(wire: Wire) -> pd.DataFrame:
    """Of the table ``frames`` what each end of a flow sent over UDP that is media or unknown, as `sent` sums it up."""
    packets, kinds = wire.packets, [number for number, name in enumerate(labels.NAMES) if name in CARRIERS]
    parts = []
    for window in slices(max(1, len(packets))):
        rows = np.flatnonzero(np.isin(wire.labels[window], kinds)) + window.start
        columns = {"flow": wire.flows.of_frame[rows], "src": packets.src[rows], "first": rows, "last": rows}
        every = pd.DataFrame(columns | {"packets": 1, "length": packets.length[rows].astype(np.int64)})
        parts.append(_summed(every[every["flow"] >= 0]))
    summed = _summed(pd.concat(parts))
    rest = {"last_frame": summed["last"] + packets.first, "packets": summed["packets"], "length": summed["length"]}
    return pd.DataFrame(common(wire, summed["first"].to_numpy()) | rest)


def sent(frames: pd.DataFrame) -> pd.DataFrame:
    """The same of a table ``frames``: a row each end of a flow, with packets, bytes, and first and last frame."""
    rows = frames[frames["protocol"].isin(CARRIERS) & frames["flow"].notna()]
    every = rows.assign(first=np.arange(len(rows)), last=np.arange(len(rows)), packets=1)
    summed = _summed(every)
    first, last = (rows.iloc[summed[name].to_numpy()].reset_index(drop=True) for name in ("first", "last"))
    return first.assign(last_frame=last["frame"], packets=summed["packets"], length=summed["length"])


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    made = rows.groupby(["flow", "src"], as_index=False).agg(
        {"first": "min", "last": "max", "packets": "sum", "length": "sum"}
    )
    return made.sort_values("first", ignore_index=True)


def icmp(wire: Wire) -> pd.DataFrame:
    """Of the table ``frames`` the ICMP messages."""
    kinds = [number for number, name in enumerate(labels.NAMES) if name in ("ICMP", "ICMPv6")]
    return frames(wire, where(len(wire.labels), lambda window: np.isin(wire.labels[window], kinds))).rows


def arp(wire: Wire) -> Table:
    """One row an ARP packet over Ethernet for IPv4 (RFC 826); others are a row in ``errors``."""
    packets, rows, problems = wire.packets, [], []
    for row in where(len(packets), lambda window: packets.ethertype[window] == ARP).tolist():
        frame = row + packets.first
        packet = packets.frame(frame)[int(packets.transport_start[row]) :] if packets.transport_start[row] else b""
        if len(packet) < 28 or packet[:6] != b"\0\1\x08\0\6\4":
            problems.append(Problem(frame, "ARP", 0, "not an ARP packet of Ethernet and IPv4, or cut short"))
            continue
        sender, target = packet[8:18], packet[18:28]
        since = int(packets.time[row] - packets.time[0]) / 1e9
        ends = (sender[:6].hex(":"), inet_ntoa(sender[6:]), target[:6].hex(":"), inet_ntoa(target[6:]))
        rows.append((frame, int(packets.time[row]), since, *ends, int.from_bytes(packet[6:8])))
    return Table(frame_from(rows, SCHEMAS["arp"]), problems)


LONG = {"frames": frames, "tcp": tcp}
BUILD = {**LONG, "arp": arp}
PARTS = {"segments": segments, "stamps": stamps, "bounds": bounds, "cut": cut, "ends": ends, "icmp": icmp,
         "datagrams": datagrams}  # fmt: skip


def common(wire: Wire, rows: Array) -> dict[str, Any]:
    """The columns of ``COMMON`` for some rows of the capture (frame number less the first), made without a loop."""
    packets = wire.packets
    flow = wire.flows.of_frame[rows]
    return {
        "frame": laid(rows + np.int64(packets.first)),
        "time": _times(wire, rows),
        "seconds": _seconds(wire, rows),
        "flow": integers(flow, flow >= 0),
        "src": texts(packets.src[rows], packets.addresses),
        "src_port": integers(packets.src_port[rows], packets.src_port[rows] >= 0),
        "dst": texts(packets.dst[rows], packets.addresses),
        "dst_port": integers(packets.dst_port[rows], packets.dst_port[rows] >= 0),
    }


def _times(wire: Wire, rows: Array) -> "pd.Series[pd.Timestamp]":
    time, timed = wire.packets.time[rows], wire.packets.timed[rows]
    if not timed.all():
        time = np.where(timed, time, np.iinfo(np.int64).min)  # NaT
    return pd.Series(laid(time).view("datetime64[ns]"), copy=False).dt.tz_localize("UTC")


def _seconds(wire: Wire, rows: Array) -> Array:
    packets = wire.packets
    zero = packets.time[0] if len(packets) else 0
    return laid(np.where(packets.timed[rows], (packets.time[rows] - zero) / 1e9, np.nan))


def integers(values: Array, there: Array) -> Any:
    """A nullable column of int64, null where ``there`` is false."""
    return pd.arrays.IntegerArray(laid(values.astype(np.int64)), laid(~there))


def booleans(values: Array, there: Array | None = None) -> Any:
    """A nullable column of truths, null where ``there`` is false."""
    missing = np.zeros(len(values), bool) if there is None else ~there
    return pd.arrays.BooleanArray(laid(np.array(values, bool)), laid(missing))


def texts(codes: Array, names: Sequence[str | None]) -> Any:
    """A column of text from codes into ``names``, null where the code is negative."""
    words = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names, pa.large_string()))
    column = words.cast(pa.large_string())
    if column.nbytes > HELD:
        valid, *parts = column.buffers()
        parts = [None if part is None else pa.py_buffer(laid(np.frombuffer(part, np.uint8))) for part in parts]
        column = pa.LargeStringArray.from_buffers(len(column), *parts, valid, column.null_count)
    return pd.array(column, dtype="str")


def _flag_names(flags: Array) -> Any:
    kinds, codes = np.unique(flags, return_inverse=True)
    return texts(codes.astype(np.int32), [_flag_text(kind) for kind in kinds.tolist()])


def _flag_text(kind: int) -> str:
    return ",".join(name for bit, name in enumerate(_FLAGS) if kind >> bit & 1)


def _options(wire: Wire, rows: Array) -> tuple[dict[str, Any], list[Problem]]:
    """Option columns. The usual options, a timestamp alone, are read for all segments at once."""
    packets, problems = wire.packets, []
    heads = packets.transport_heads(rows, 32)
    size = (heads[:, 12] >> 4).astype(np.int64) * 4
    usual = (size == 32) & (heads[:, 20:24].copy().view(">u4")[:, 0] == _TIMESTAMP)
    names = ("mss", "scale", "tsval", "tsecr")
    values = {name: np.full(len(rows), -1, np.int64) for name in names}
    stamps = heads[:, 24:32].copy().view(">u4")
    values["tsval"][usual], values["tsecr"][usual] = stamps[usual, 0], stamps[usual, 1]
    permitted, sack = np.zeros(len(rows), bool), np.full(len(rows), None, object)
    others = np.flatnonzero(~usual & (size > 20))
    for i, head in zip(others.tolist(), packets.transport_heads(rows[others], 60), strict=True):
        decoded = options(head[20 : size[i]].tobytes())
        for name in names:
            value = getattr(decoded, name)
            if value is not None:
                values[name][i] = value
        permitted[i] = decoded.sack_permitted
        if decoded.sack:
            sack[i] = " ".join(f"{left}-{right}" for left, right in decoded.sack)
        if decoded.rest is not None:
            frame = int(rows[i]) + packets.first
            problems.append(Problem(frame, "TCP", 20 + decoded.rest, "an option without a length that fits"))
    columns: dict[str, Any] = {name: integers(column, column >= 0) for name, column in values.items()}
    columns |= {"sack_permitted": permitted, "sack": pd.array(sack, dtype="str")}
    order = ("mss", "scale", "sack_permitted", "sack", "tsval", "tsecr")
    return {name: columns[name] for name in order}, problems
