r"""The table ``dns``: names asked for and what was answered, over UDP, TCP and multicast, read by dnspython.

A message is one row a question. An answer follows the question's aliases (CNAME) to their addresses; what multicast DNS
tells unasked is one row a name. Names are as dnspython writes them: bytes that are no letters stand as \DDD.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jitsilab.errors import Problem
from jitsilab.pcap.links import UDP
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.wire import labels
from jitsilab.wire.flows import wire_lengths
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    from jitsilab.wire import Wire
    from jitsilab.wire.flows import Stream

DNS: Schema = {
    **COMMON,
    "first_frame": ("int64", "first frame of a message over TCP that spans several"),
    "transport": ("str", "udp, or tcp, where a length stands before each message (RFC 1035 section 4.2.2)"),
    "service": ("str", "dns, mdns (RFC 6762), llmnr (RFC 4795)"),
    "response": ("boolean", "an answer and not a query"),
    "id": ("Int64", "16 bits that an answer repeats; 0 in mdns"),
    "opcode": ("str", "QUERY, UPDATE, ..."),
    "rcode": ("str", "of an answer: NOERROR, NXDOMAIN (no such name), SERVFAIL, REFUSED, ..."),
    "name": ("str", "asked for; without a question (mdns): answered"),
    "type": ("str", "asked for: A, AAAA, HTTPS, ...; without a question: the types answered, with spaces between"),
    "aliases": ("str", "names that it stands for, the CNAME chain in order, with spaces between"),
    "addresses": ("str", "of the name or the last alias, with spaces between"),
    "targets": ("str", "HTTPS, SVCB: other names that the service is at (RFC 9460 section 2)"),
    "hints": ("str", "HTTPS, SVCB: addresses told ahead (RFC 9460 section 7.3)"),
    "alpn": ("str", "HTTPS, SVCB: protocols, with spaces between"),
    "ech": ("boolean", "HTTPS, SVCB: it has a key for an encrypted ClientHello; empty without such a record"),
    "records": ("str", "other records of the name, as type and data, parted by ;"),
    "ttl": ("Int64", "s that the answer may be kept: the shortest of its records"),
    "truncated": ("boolean", "the answer did not fit and is to be asked for over TCP"),
    "complete": ("boolean", "all of the message is in the capture and could be read"),
    "request_frame": ("Int64", "of an answer: the frame of the latest query for it"),
    "rtt": ("float64", "s from that frame"),
    "size": ("int64", "bytes of the message on the wire"),
    "duplicate": ("boolean", "the same packet as one seen on another interface of the host"),
}
SCHEMAS = {"dns": DNS}

MOST_BYTES = 1 << 25  # of messages in one capture: hundreds of thousands of queries


class Datagram(NamedTuple):
    """A message as it was found."""

    data: bytes
    first_frame: int
    frame: int
    transport: str
    size: int  # on the wire
    duplicate: bool


def table(wire: "Wire") -> Table:
    """One row a question of a message, or a name told unasked; in the order of frames."""
    rows: list[tuple[Any, ...]] = []
    problems: list[Problem] = []
    asked: dict[tuple[Any, ...], int] = {}
    left = MOST_BYTES
    datagrams = sorted([*_datagrams(wire), *_streams(wire, problems)], key=lambda datagram: datagram.frame)
    if datagrams:
        from jitsilab.tables import dns_messages  # with dnspython, which a capture without DNS need not load
    for datagram in datagrams:
        left -= len(datagram.data)
        if left < 0:
            problems.append(Problem(datagram.frame, "DNS", 0, f"past {MOST_BYTES} bytes of DNS: no more is read"))
            break
        rows += dns_messages.rows(wire, datagram, asked, problems)
    return Table(frame_from(rows, DNS), problems)


def _datagrams(wire: "Wire") -> Iterator[Datagram]:
    packets = wire.packets
    rows = labels.rows(packets, wire.labels, Label.DNS, protocol=UDP)
    sizes = wire_lengths(packets, rows).tolist()
    for row, size, data in zip(rows.tolist(), sizes, packets.payloads(rows), strict=True):
        frame = row + packets.first
        yield Datagram(data, frame, frame, "udp", size, bool(packets.duplicate_of[row]))


def _streams(wire: "Wire", problems: list[Problem]) -> Iterator[Datagram]:
    """Messages on TCP flows of port 53 that hold nothing else."""
    flows = wire.flows
    served = (flows.client & 0xFFFF == 53) | (flows.server & 0xFFFF == 53)
    for number in np.flatnonzero(served).tolist():
        flow = flows[number]
        kinds = set(wire.labels[flow.frames - wire.packets.first].tolist())
        if flow.transport == "tcp" and kinds <= {int(Label.TCP), int(Label.DNS)}:
            for up in (True, False):
                yield from _messages(flow.stream(up), problems)


def _messages(stream: "Stream", problems: list[Problem]) -> Iterator[Datagram]:
    """What stands behind each length; after a hole only where a message can be seen to begin."""
    for piece in stream.pieces:
        at, known = 0, stream.from_start and piece.offset == 0
        while at + 2 <= len(piece.data):
            size = int.from_bytes(piece.data[at : at + 2])
            data = piece.data[at + 2 : at + 2 + size]
            first, last = stream.span(piece.offset + at, piece.offset + at + 2 + len(data))
            if not known and not _begins(data, size):
                break
            known = True
            if size < 12:
                problems.append(Problem(last, "DNS", at, f"a message of {size} bytes, where a header has 12"))
                break
            yield Datagram(data, first, last, "tcp", size, False)
            at += 2 + size


def _begins(data: bytes, size: int) -> bool:
    """Whether bytes are a message, whole and in order."""
    from jitsilab.tables import dns_messages

    return len(data) == size and dns_messages.is_one(data)


BUILD = {"dns": table}
