"""The rows of single messages of the table ``dns``: what was asked and what was answered, read by dnspython."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.name import Name
from dns.rdata import GenericRdata
from dns.rdtypes.svcbbase import ECHParam, ParamKey

from jitsilab.errors import Problem

if TYPE_CHECKING:
    from dns.rdata import Rdata
    from dns.rrset import RRset

    from jitsilab.tables.dns import Datagram
    from jitsilab.wire import Wire

MOST_NAMES = 64  # rows of one message
MOST_ALIASES = 32
MOST_RECORDS = 16  # of one name, beside its addresses
MOST_TEXT = 500  # characters of the column ``records``
MOST_PROBLEMS = 3  # of one message
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)
_SERVICES = (dns.rdatatype.HTTPS, dns.rdatatype.SVCB)
_PORTS = {5353: "mdns", 5355: "llmnr"}


def rows(
    wire: "Wire", datagram: "Datagram", asked: dict[tuple[Any, ...], int], problems: list[Problem]
) -> Iterator[tuple[Any, ...]]:
    """Rows of one message; ``asked`` has the frames of queries so far, by what an answer repeats of them."""
    try:
        message = dns.message.from_wire(datagram.data, keyring=False, ignore_trailing=True, continue_on_error=True)
    except dns.exception.DNSException as error:
        problems.append(_problem(datagram, 0, error))
        return
    whole = len(datagram.data) >= datagram.size
    if whole:
        problems += [_problem(datagram, bad.offset, bad.exception) for bad in message.errors[:MOST_PROBLEMS]]
    if len(message.sections[0]) > MOST_NAMES:
        count = len(message.sections[0])
        problems.append(Problem(datagram.frame, "DNS", 4, f"{count} questions, of which {MOST_NAMES} are listed"))
    yield from _rows(wire, datagram, message, whole and not message.errors, asked)


def _problem(datagram: "Datagram", offset: int, error: Exception) -> Problem:
    return Problem(datagram.frame, "DNS", offset, (str(error) or type(error).__name__)[:120])


def is_one(data: bytes) -> bool:
    """Whether bytes are a message, in order."""
    if len(data) < 12:
        return False
    try:
        dns.message.from_wire(data, keyring=False)
    except dns.exception.DNSException:
        return False
    return True


def _rows(
    wire: "Wire", datagram: "Datagram", message: dns.message.Message, complete: bool, asked: dict[tuple[Any, ...], int]
) -> Iterator[tuple[Any, ...]]:
    packets, row = wire.packets, datagram.frame - wire.packets.first
    source, target = packets.source(datagram.frame), packets.destination(datagram.frame)
    flow = int(wire.flows.of_frame[row])
    service = next((_PORTS[end[1]] for end in (target, source) if end[1] in _PORTS), "dns")
    response = bool(message.flags & dns.flags.QR)
    plain = message.opcode() == dns.opcode.QUERY
    rrsets = message.sections[1] if response and plain else []
    if service == "mdns":
        rrsets = [*rrsets, *(rrset for rrset in message.sections[3] if response and rrset.rdtype in _ADDRESSES)]
    answers = _Answers(rrsets)
    questions: list[tuple[Name | None, str | None]] = [
        (rrset.name, dns.rdatatype.to_text(rrset.rdtype)) for rrset in islice(message.sections[0], MOST_NAMES)
    ]
    if not questions and plain:
        questions = [(name, answers.types(name)) for name in islice(answers.of, MOST_NAMES)]
    common = (
        datagram.frame, wire.time(datagram.frame), wire.seconds(datagram.frame), flow if flow >= 0 else None,
        *source, *target,
    )  # fmt: skip
    head = (
        datagram.first_frame, datagram.transport, service, response, message.id, dns.opcode.to_text(message.opcode()),
        dns.rcode.to_text(message.rcode()) if response else None,
    )  # fmt: skip
    tail = (datagram.size, datagram.duplicate)
    nothing: list[tuple[Name | None, str | None]] = [(None, None)]
    for name, kind in questions or nothing:
        text = _text(name) if name is not None else None
        key = (flow, message.id, (text or "").lower(), kind)
        before = asked.get(key) if response and service != "mdns" else None
        if not response and not datagram.duplicate:
            asked[key] = datagram.frame
        rtt = wire.seconds(datagram.frame) - wire.seconds(before) if before is not None else None
        answer = answers.about(name) if name is not None and response else _NOTHING
        state = (bool(message.flags & dns.flags.TC), complete, before, rtt)
        yield (*common, *head, text, kind, *answer, *state, *tail)


_NOTHING: tuple[Any, ...] = (None,) * 8


class _Answers:
    """Records of the answer section by name."""

    def __init__(self, rrsets: "list[RRset]") -> None:
        self.of: dict[Name, list[RRset]] = {}
        for rrset in rrsets:
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
                addresses += [address for rdata in rrset if (address := _address(rdata))]
            elif rrset.rdclass == dns.rdataclass.IN and rrset.rdtype in _SERVICES:
                services += list(rrset)
            elif rrset.rdtype != dns.rdatatype.CNAME:
                records += [_record(rdata) for rdata in islice(rrset, MOST_RECORDS)]
        return (
            _words(_text(target) for target in chain[1:]), _words(addresses), *_service(services),
            ";".join(records[:MOST_RECORDS])[:MOST_TEXT] or None, min(ttls, default=None),
        )  # fmt: skip


def _service(records: "list[Rdata]") -> tuple[Any, ...]:
    """Targets, hints, protocols of HTTPS and SVCB records, and whether there is a key for ECH."""
    targets: list[str] = []
    hints: list[str] = []
    protocols: list[str] = []
    ech = False
    for rdata in records[:MOST_RECORDS]:
        target, params = getattr(rdata, "target", None), getattr(rdata, "params", {})
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


def _address(rdata: "Rdata") -> str:
    """As the other tables write it; empty for bytes that are none, where dnspython does not know the class."""
    if isinstance(rdata, GenericRdata):
        size = 4 if rdata.rdtype == dns.rdatatype.A else 16
        return str(ip_address(rdata.data)) if len(rdata.data) == size else ""
    return str(ip_address(getattr(rdata, "address", "")))


def _record(rdata: "Rdata") -> str:
    kind = dns.rdatatype.to_text(rdata.rdtype)
    return kind if isinstance(rdata, GenericRdata) else f"{kind} {rdata.to_text()}"


def _printable(data: bytes) -> str:
    return "".join(chr(byte) if 33 <= byte < 127 and byte != 92 else f"\\{byte:03d}" for byte in data)


def _words(texts: "Iterator[str] | list[str]") -> str | None:
    return " ".join(dict.fromkeys(texts)) or None
