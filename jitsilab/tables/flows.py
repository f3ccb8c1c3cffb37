"""Table ``flows``: one row a UDP or TCP five-tuple."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.errors import Problem
from jitsilab.pcap.columns import slices
from jitsilab.pcap.links import TCP
from jitsilab.tables import Schema, Table
from jitsilab.tables.frames import integers, texts
from jitsilab.wire import Wire, labels
from jitsilab.wire.flows import Flows
from jitsilab.wire.streams import ACK, FIN, RST, SYN, wire_lengths

Array = npt.NDArray[Any]

SCHEMAS: dict[str, Schema] = {
    "flows": {
        "flow": ("int64", "number of the flow, from 0 in the order of first frames"),
        "transport": ("str", "udp or tcp"),
        "client": ("str", "address of the one who opened the flow"),
        "client_port": ("Int64", "its port"),
        "server": ("str", "address of the other"),
        "server_port": ("Int64", "its port"),
        "packets_up": ("int64", "frames from the client; duplicates on a second interface are not counted"),
        "packets_down": ("int64", "frames from the server"),
        "bytes_up": ("int64", "bytes of those frames on the wire"),
        "bytes_down": ("int64", "bytes of those frames on the wire"),
        "payload_up": ("int64", "UDP or TCP payload bytes on the wire from the client, what was sent again included"),
        "payload_down": ("int64", "payload bytes from the server"),
        "first_frame": ("int64", "frame number"),
        "last_frame": ("int64", "frame number"),
        "first_seconds": ("float64", "s since the first frame of the capture"),
        "last_seconds": ("float64", "s since the first frame of the capture"),
        "handshake": ("boolean", "TCP: SYN and its answer were seen"),
        "resets": ("Int64", "TCP: segments with RST"),
        "fins": ("Int64", "TCP: segments with FIN"),
        "retransmissions": ("Int64", "TCP: segments sent again"),
        "gaps": ("Int64", "TCP: holes in the two streams, bytes that the capture does not have"),
        "kind": ("str", "what its frames hold: labels with spaces between, the most frequent first"),
        "observability": ("str", "clear, decrypted (by a key), or opaque"),
    }
}

_PLAIN = ("TCP", "UDP", "OTHER")  # labels that name no application
_SEALED = ("DTLS", "TLS", "QUIC", "SSH")


def flows(wire: Wire) -> Table:
    """One row a flow, in the order of first frames."""
    packets, built = wire.packets, wire.flows
    count, counted = len(built), _Counted(wire)
    first, last = counted.first, counted.last
    tcp = packets.ip_protocol[first] == TCP
    columns: dict[str, Any] = {"flow": np.arange(count, dtype=np.int64)}
    columns["transport"] = texts(tcp.astype(np.int32), ["udp", "tcp"])
    for name, ends in (("client", built.client), ("server", built.server)):
        columns[name] = texts((ends >> 16).astype(np.int32), packets.addresses)
        columns[f"{name}_port"] = integers(ends & 0xFFFF, ends >= 0)
    columns |= counted.sums
    zero = packets.time[0] if len(packets) else 0
    columns |= {"first_frame": first + packets.first, "last_frame": last + packets.first}
    columns |= {"first_seconds": (packets.time[first] - zero) / 1e9, "last_seconds": (packets.time[last] - zero) / 1e9}
    columns |= _tcp(wire, tcp)
    kinds = _kinds(counted)
    columns["kind"] = pd.array([" ".join(kind) for kind, _ in kinds], dtype="str")
    columns["observability"] = pd.array(_observability(wire, kinds), dtype="str")
    return Table(pd.DataFrame(columns, copy=False), _left_out(built))


def _left_out(built: Flows) -> list[Problem]:
    if not built.left_out:
        return []
    text = (
        f"of {len(built) + built.left_out:,} flows the {len(built):,} with the most frames are told apart; "
        "what the others carry is not read"
    )
    return [Problem(0, "flows", 0, text)]


BUILD = {"flows": flows}


class _Counted:
    """What is counted of each flow, a slice of the capture after the other."""

    def __init__(self, wire: Wire) -> None:
        packets, built, count = wire.packets, wire.flows, len(wire.flows)
        self.first, self.last = np.full(count, len(packets)), np.zeros(count, np.int64)  # rows
        ways = [f"{name}_{way}" for name in ("packets", "bytes", "payload") for way in ("up", "down")]
        self.sums = {name: np.zeros(count, np.int64) for name in ways}
        self.labels = np.zeros((count, len(labels.NAMES)), np.int64)  # frames by label
        self.dark = np.zeros(count, np.int64)  # payload bytes that no label explains
        plain = np.array([name in _PLAIN for name in labels.NAMES])
        for window in slices(len(packets)):
            rows = window.start + np.flatnonzero((built.of_frame[window] >= 0) & (packets.duplicate_of[window] == 0))
            flow, up, label = built.of_frame[rows].astype(np.int64), built.up[rows], wire.labels[rows]
            payload = wire_lengths(packets, rows)
            np.minimum.at(self.first, flow, rows)
            np.maximum.at(self.last, flow, rows)
            for name, values in (("packets", None), ("bytes", packets.length[rows]), ("payload", payload)):
                for way, mask in (("up", up), ("down", ~up)):
                    weights = None if values is None else values[mask]
                    self.sums[f"{name}_{way}"] += _sums(flow[mask], weights, count)
            self.labels += _sums(flow * len(labels.NAMES) + label, None, self.labels.size).reshape(self.labels.shape)
            self.dark += _sums(flow[plain[label]], payload[plain[label]], count)


def _sums(flow: Array, values: Array | None, count: int) -> Array:
    return np.bincount(flow, values, count).astype(np.int64)


def _tcp(wire: Wire, tcp: Array) -> dict[str, Any]:
    """State of the TCP flows, null for UDP."""
    packets, streams = wire.packets, wire.flows.stream
    rows = packets.tcp_rows[wire.flows.of_frame[packets.tcp_rows] >= 0]
    rows = rows[packets.duplicate_of[rows] == 0]
    flow, flags = wire.flows.of_frame[rows], packets.tcp_fields(rows)["flags"]
    opened = [np.bincount(flow[flags & (SYN | ACK) == kind], minlength=len(tcp)) > 0 for kind in (SYN, SYN | ACK)]
    states = {
        name: np.bincount(flow[mask], minlength=len(tcp))
        for name, mask in (
            ("resets", flags & RST > 0), ("fins", flags & FIN > 0), ("retransmissions", wire.flows.retransmitted[rows])
        )
    }  # fmt: skip
    states["gaps"] = np.zeros(len(tcp), np.int64)
    for number in np.flatnonzero(tcp).tolist():
        states["gaps"][number] = streams(number, True).gaps + streams(number, False).gaps
    return {"handshake": pd.arrays.BooleanArray(opened[0] & opened[1], ~tcp)} | {
        name: integers(column, tcp) for name, column in states.items()
    }


def _kinds(counted: _Counted) -> list[tuple[list[str], float]]:
    """Of each flow the labels, most frequent first, and the share of payload bytes that no label explains."""
    names = labels.NAMES
    payload = counted.sums["payload_up"] + counted.sums["payload_down"]
    kinds = []
    for counts, unexplained in zip(counted.labels, (counted.dark / np.maximum(payload, 1)).tolist(), strict=True):
        order = np.argsort(-counts, kind="stable")
        every = [names[i] for i in order.tolist() if counts[i]]
        kinds.append(([name for name in every if name not in _PLAIN] or every[:1], unexplained))
    return kinds


def _observability(wire: Wire, kinds: list[tuple[list[str], float]]) -> list[str]:
    """Clear where what was said can be read, decrypted where a key makes it so, else opaque.

    SRTP says nothing of itself in its packets, so RTP beside DTLS is taken as such. Payload without a label is opaque.
    """
    states = []
    for number, (kind, unexplained) in enumerate(kinds):
        session = wire.sessions.get(number)
        if session is not None:
            states.append("decrypted" if session.decrypted else "opaque")
        elif any(name in _SEALED for name in kind) or (kind[0] in _PLAIN and unexplained > 0):
            states.append("opaque")
        else:
            states.append("clear")
    return states
