r"""The table ``dns``: names asked for and what was answered, over UDP, TCP and multicast, read by dnspython.

A message is one row a question. An answer follows the question's aliases (CNAME) to their addresses; what multicast DNS
tells unasked is one row a name. Names are as dnspython writes them: bytes that are no letters stand as \DDD.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import numpy as np
from dns.name import Name
from dns.rdata import GenericRdata
from dns.rdtypes.svcbbase import ECHParam, ParamKey

from jitsilab.errors import Problem
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.wire.flows import wire_lengths
from jitsilab.wire.labels import Label

if TYPE_CHECKING:
    from dns.rdata import Rdata
    from dns.rrset import RRset

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
MOST_NAMES = 64  # rows of one message
MOST_ALIASES = 32
MOST_RECORDS = 16  # of one name, beside its addresses
MOST_TEXT = 500  # characters of the column ``records``
MOST_PROBLEMS = 3  # of one message
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)
_SERVICES = (dns.rdatatype.HTTPS, dns.rdatatype.SVCB)
_PORTS = {5353: "mdns", 5355: "llmnr"}


class _Datagram(NamedTuple):
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
    for one in sorted([*_datagrams(wire), *_streams(wire, problems)], key=lambda one: one.frame):
        left -= len(one.data)
        if left < 0:
            problems.append(Problem(one.frame, "DNS", 0, f"past {MOST_BYTES} bytes of DNS: no more is read"))
            break
        try:
            message = dns.message.from_wire(one.data, keyring=False, ignore_trailing=True, continue_on_error=True)
        except dns.exception.DNSException as error:
            problems.append(_problem(one, 0, error))
            continue
        whole = len(one.data) >= one.size
        if whole:
            problems += [_problem(one, bad.offset, bad.exception) for bad in message.errors[:MOST_PROBLEMS]]
        if len(message.sections[0]) > MOST_NAMES:
            count = len(message.sections[0])
            problems.append(Problem(one.frame, "DNS", 4, f"{count} questions, of which {MOST_NAMES} are listed"))
        rows += _rows(wire, one, message, whole and not message.errors, asked)
    return Table(frame_from(rows, DNS), problems)


def _problem(one: _Datagram, offset: int, error: Exception) -> Problem:
    return Problem(one.frame, "DNS", offset, (str(error) or type(error).__name__)[:120])


def _datagrams(wire: "Wire") -> Iterator[_Datagram]:
    packets = wire.packets
    rows = np.flatnonzero((wire.labels == Label.DNS) & (packets.ip_protocol == 17))
    sizes = wire_lengths(packets, rows).tolist()
    for row, size, data in zip(rows.tolist(), sizes, packets.payloads(rows), strict=True):
        frame = row + packets.first
        yield _Datagram(data, frame, frame, "udp", size, bool(packets.duplicate_of[row]))


def _streams(wire: "Wire", problems: list[Problem]) -> Iterator[_Datagram]:
    """Messages on TCP flows of port 53 that hold nothing else."""
    flows = wire.flows
    served = (flows.client & 0xFFFF == 53) | (flows.server & 0xFFFF == 53)
    for number in np.flatnonzero(served).tolist():
        flow = flows[number]
        kinds = set(wire.labels[flow.frames - wire.packets.first].tolist())
        if flow.transport == "tcp" and kinds <= {int(Label.TCP), int(Label.DNS)}:
            for up in (True, False):
                yield from _messages(flow.stream(up), problems)


def _messages(stream: "Stream", problems: list[Problem]) -> Iterator[_Datagram]:
    """What stands behind each length; after a hole only where a message can be seen to begin."""
    for piece in stream.pieces:
        at, known = 0, stream.from_start and piece.offset == 0
        while at + 2 <= len(piece.data):
            size = int.from_bytes(piece.data[at : at + 2])
            data = piece.data[at + 2 : at + 2 + size]
            first, last = stream.span(piece.offset + at, piece.offset + at + 2 + len(data))
            if not known and not _clean(data, size):
                break
            known = True
            if size < 12:
                problems.append(Problem(last, "DNS", at, f"a message of {size} bytes, where a header has 12"))
                break
            yield _Datagram(data, first, last, "tcp", size, False)
            at += 2 + size


def _clean(data: bytes, size: int) -> bool:
    """Whether bytes are a message, whole and in order."""
    if not 12 <= size == len(data):
        return False
    try:
        dns.message.from_wire(data, keyring=False)
    except dns.exception.DNSException:
        return False
    return True


def _rows(
    wire: "Wire", one: _Datagram, message: dns.message.Message, complete: bool, asked: dict[tuple[Any, ...], int]
) -> Iterator[tuple[Any, ...]]:
    packets, row = wire.packets, one.frame - wire.packets.first
    source, target = packets.source(one.frame), packets.destination(one.frame)
    flow = int(wire.flows.of_frame[row])
    service = next((_PORTS[end[1]] for end in (target, source) if end[1] in _PORTS), "dns")
    response = bool(message.flags & dns.flags.QR)
    plain = message.opcode() == dns.opcode.QUERY
    told = message.sections[1] if response and plain else []
    if service == "mdns":
        told = [*told, *(rrset for rrset in message.sections[3] if response and rrset.rdtype in _ADDRESSES)]
    answers = _Answers(told)
    questions: list[tuple[Name | None, str | None]] = [
        (rrset.name, dns.rdatatype.to_text(rrset.rdtype)) for rrset in islice(message.sections[0], MOST_NAMES)
    ]
    if not questions and plain:
        questions = [(name, answers.types(name)) for name in islice(answers.of, MOST_NAMES)]
    common = (one.frame, wire.time(one.frame), wire.seconds(one.frame), flow if flow >= 0 else None, *source, *target)
    head = (
        one.first_frame, one.transport, service, response, message.id, dns.opcode.to_text(message.opcode()),
        dns.rcode.to_text(message.rcode()) if response else None,
    )  # fmt: skip
    tail = (one.size, one.duplicate)
    nothing: list[tuple[Name | None, str | None]] = [(None, None)]
    for name, kind in questions or nothing:
        text = _text(name) if name is not None else None
        key = (flow, message.id, (text or "").lower(), kind)
        before = asked.get(key) if response and service != "mdns" else None
        if not response and not one.duplicate:
            asked[key] = one.frame
        rtt = wire.seconds(one.frame) - wire.seconds(before) if before is not None else None
        found = answers.about(name) if name is not None and response else _NOTHING
        state = (bool(message.flags & dns.flags.TC), complete, before, rtt)
        yield (*common, *head, text, kind, *found, *state, *tail)


_NOTHING: tuple[Any, ...] = (None,) * 8


class _Answers:
    """Records of the answer section by name."""

    def __init__(self, told: "list[RRset]") -> None:
        self.of: dict[Name, list[RRset]] = {}
        for rrset in told:
            self.of.setdefault(rrset.name, []).append(rrset)

    def types(self, name: Name) -> str:
        return " ".join(dict.fromkeys(dns.rdatatype.to_text(rrset.rdtype) for rrset in self.of[name]))

    def about(self, name: Name) -> tuple[Any, ...]:
        """Aliases, addresses, targets, hints, alpn, ech, other records, ttl of a name."""
        chain, ttls = [name], []
        while len(chain) <= MOST_ALIASES:
            alias = next((rrset for rrset in self.of.get(chain[-1], ()) if rrset.rdtype == dns.rdatatype.CNAME), None)
            following = getattr(next(iter(alias)), "target", None) if alias else None
            if alias is None or following is None or following in chain:
                break
            ttls.append(alias.ttl)
            chain.append(following)
        addresses: list[str] = []
        records: list[str] = []
        services: list[Rdata] = []
        for rrset in self.of.get(chain[-1], ()):
            ttls.append(rrset.ttl)
            if _is_internet(rrset) and rrset.rdtype in _ADDRESSES:
                addresses += [found for one in rrset if (found := _address(one))]
            elif rrset.rdclass == dns.rdataclass.IN and rrset.rdtype in _SERVICES:
                services += list(rrset)
            elif rrset.rdtype != dns.rdatatype.CNAME:
                records += [_record(one) for one in islice(rrset, MOST_RECORDS)]
        return (
            _words(_text(one) for one in chain[1:]), _words(addresses), *_service(services),
            ";".join(records[:MOST_RECORDS])[:MOST_TEXT] or None, min(ttls, default=None),
        )  # fmt: skip


def _service(records: "list[Rdata]") -> tuple[Any, ...]:
    """Targets, hints, protocols of HTTPS and SVCB records, and whether there is a key for ECH."""
    targets: list[str] = []
    hints: list[str] = []
    protocols: list[str] = []
    ech = False
    for one in records[:MOST_RECORDS]:
        target, params = getattr(one, "target", None), getattr(one, "params", {})
        if target is not None and len(target) > 1:  # "." is the owner itself, or nothing
            targets.append(_text(target))
        for key in (ParamKey.IPV4HINT, ParamKey.IPV6HINT):
            hints += [str(ip_address(each)) for each in getattr(params.get(key), "addresses", ())]
        protocols += [_printable(each) for each in getattr(params.get(ParamKey.ALPN), "ids", ())]
        ech = ech or isinstance(params.get(ParamKey.ECH), ECHParam)
    return _words(targets), _words(hints), _words(protocols), ech if records else None


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True)


def _is_internet(rrset: "RRset") -> bool:
    """Class IN, in multicast DNS also with the bit that tells to forget what came before (RFC 6762 section 10.2)."""
    return rrset.rdclass & 0x7FFF == dns.rdataclass.IN


def _address(one: "Rdata") -> str:
    """As the other tables write it; empty for bytes that are none, where dnspython does not know the class."""
    if isinstance(one, GenericRdata):
        size = 4 if one.rdtype == dns.rdatatype.A else 16
        return str(ip_address(one.data)) if len(one.data) == size else ""
    return str(ip_address(getattr(one, "address", "")))


def _record(one: "Rdata") -> str:
    kind = dns.rdatatype.to_text(one.rdtype)
    return kind if isinstance(one, GenericRdata) else f"{kind} {one.to_text()}"


def _printable(data: bytes) -> str:
    return "".join(chr(byte) if 33 <= byte < 127 and byte != 92 else f"\\{byte:03d}" for byte in data)


def _words(texts: "Iterator[str] | list[str]") -> str | None:
    return " ".join(dict.fromkeys(texts)) or None


BUILD = {"dns": table}
