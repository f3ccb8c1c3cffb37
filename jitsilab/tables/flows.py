"""Table ``flows``: one row a UDP or TCP five-tuple."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.pcap.links import TCP
from jitsilab.tables import Schema, Table
from jitsilab.tables.frames import integers, texts
from jitsilab.wire import Wire, labels
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
    count = len(built)
    rows = np.flatnonzero((built.of_frame >= 0) & (packets.duplicate_of == 0))
    flow, up = built.of_frame[rows].astype(np.int64), built.up[rows]
    payload = wire_lengths(packets, rows)
    columns: dict[str, Any] = {"flow": np.arange(count, dtype=np.int64)}
    first, last = np.full(count, len(packets)), np.zeros(count, np.int64)
    np.minimum.at(first, flow, rows)
    np.maximum.at(last, flow, rows)
    tcp = packets.ip_protocol[first] == TCP
    columns["transport"] = texts(tcp.astype(np.int32), ["udp", "tcp"])
    for name, ends in (("client", built.client), ("server", built.server)):
        columns[name] = texts((ends >> 16).astype(np.int32), packets.addresses)
        columns[f"{name}_port"] = integers(ends & 0xFFFF, ends >= 0)
    for name, values in (("packets", np.ones(len(rows))), ("bytes", packets.length[rows]), ("payload", payload)):
        for way, mine in (("up", up), ("down", ~up)):
            columns[f"{name}_{way}"] = _sums(flow[mine], values[mine], count)
    zero = packets.time[0] if len(packets) else 0
    columns |= {"first_frame": first + packets.first, "last_frame": last + packets.first}
    columns |= {"first_seconds": (packets.time[first] - zero) / 1e9, "last_seconds": (packets.time[last] - zero) / 1e9}
    columns |= _tcp(wire, rows, flow, tcp)
    kinds = _kinds(wire, rows, flow, payload, count)
    columns["kind"] = pd.array([" ".join(kind) for kind, _ in kinds], dtype="str")
    columns["observability"] = pd.array(_observability(wire, kinds), dtype="str")
    return Table(pd.DataFrame(columns, copy=False), [])


BUILD = {"flows": flows}


def _sums(flow: Array, values: Array, count: int) -> Array:
    return np.bincount(flow, values, count).astype(np.int64)


def _tcp(wire: Wire, rows: Array, flow: Array, tcp: Array) -> dict[str, Any]:
    """State of the TCP flows, null for UDP."""
    flags, streams = wire.packets.tcp_flags[rows], wire.flows.stream
    opened = [np.bincount(flow[flags & (SYN | ACK) == kind], minlength=len(tcp)) > 0 for kind in (SYN, SYN | ACK)]
    states = {
        name: np.bincount(flow[some], minlength=len(tcp))
        for name, some in (
            ("resets", flags & RST > 0), ("fins", flags & FIN > 0), ("retransmissions", wire.flows.retransmitted[rows])
        )
    }  # fmt: skip
    states["gaps"] = np.zeros(len(tcp), np.int64)
    for number in np.flatnonzero(tcp).tolist():
        states["gaps"][number] = streams(number, True).gaps + streams(number, False).gaps
    return {"handshake": pd.arrays.BooleanArray(opened[0] & opened[1], ~tcp)} | {
        name: integers(column, tcp) for name, column in states.items()
    }


def _kinds(wire: Wire, rows: Array, flow: Array, payload: Array, count: int) -> list[tuple[list[str], float]]:
    """Of each flow the labels, most frequent first, and the share of payload bytes that no label explains."""
    names = labels.NAMES
    label = wire.labels[rows].astype(np.int64)
    tally = np.bincount(flow * len(names) + label, minlength=count * len(names)).reshape(count, len(names))
    plain = np.isin(label, [i for i, name in enumerate(names) if name in _PLAIN])
    dark = np.bincount(flow[plain], payload[plain], count) / np.maximum(np.bincount(flow, payload, count), 1)
    found = []
    for counts, unexplained in zip(tally, dark.tolist(), strict=True):
        order = np.argsort(-counts, kind="stable")
        every = [names[i] for i in order.tolist() if counts[i]]
        found.append(([name for name in every if name not in _PLAIN] or every[:1], unexplained))
    return found


def _observability(wire: Wire, kinds: list[tuple[list[str], float]]) -> list[str]:
    """Clear where what was said can be read, decrypted where a key makes it so, else opaque.

    SRTP says nothing of itself in its packets, so RTP beside DTLS is taken as such. Payload without a label is opaque.
    """
    found = []
    for number, (kind, unexplained) in enumerate(kinds):
        session = wire.sessions.get(number)
        if session is not None:
            found.append("decrypted" if session.decrypted else "opaque")
        elif any(name in _SEALED for name in kind) or (kind[0] in _PLAIN and unexplained > 0):
            found.append("opaque")
        else:
            found.append("clear")
    return found
