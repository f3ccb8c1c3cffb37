"""Frames that others printed become tables: what tshark's one-line text and its field export say, in typed columns.

What was never printed stays empty: transaction identifiers, record lengths where a frame ends in the middle of one,
times of day. A table of which the print holds nothing at all is not made.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jitsilab.errors import ParseError, Problem
from jitsilab.inputs.prints import summaries
from jitsilab.inputs.prints.times import Stamp
from jitsilab.tables import COMMON, ERRORS, frame_from
from jitsilab.tables.printed import SCHEMAS

FULL = 1240  # bytes from which a frame may be a whole segment of a longer stretch: IPv6's least MTU, less options
_ETHERNET, _IPV4, _UDP_HEADER, _RECORD_HEADER = 14, 20, 8, 5
_ABOVE_UDP = _ETHERNET + _IPV4 + _UDP_HEADER


@dataclass(slots=True)
class Printed:
    """What was printed of one frame; None where a column was not."""

    frame: int
    seconds: float
    length: int | None
    src: str | None = None
    dst: str | None = None
    ip_version: int | None = None
    ip_protocol: int | None = None
    src_port: int | None = None
    dst_port: int | None = None
    protocol: str | None = None  # tshark's label, with version
    info: str | None = None
    captured_length: int | None = None
    line: int = 0  # of the file that was read, for errors
    stamp: Stamp | None = None  # its time as printed, until the form of all times is known
    time: int | None = None  # ns since the epoch
    fields: Any = None  # what a summary would tell, where fields were printed instead

    flow: int | None = None
    up: bool | None = None

    @property
    def label(self) -> str | None:
        """The protocol without its version: TLS for TLSv1.3, and TCP or UDP where only the number is known."""
        if self.protocol is None:
            return {1: "ICMP", 6: "TCP", 17: "UDP"}.get(self.ip_protocol or 0)
        if self.protocol == "SRTCP":
            return "RTCP"
        for name in ("DTLS", "TLS", "SSL"):
            if self.protocol.upper().startswith(name):
                return "TLS" if name == "SSL" else name
        return self.protocol

    @property
    def version(self) -> str | None:
        """The version in tshark's label: ``TLS 1.3`` for TLSv1.3."""
        name, _, number = (self.protocol or "").partition("v")
        return f"{name} {number if '.' in number else number + '.0'}" if number else None

    def common(self) -> list[Any]:
        """The columns that all tables of messages share."""
        return [self.frame, self.time, self.seconds, self.flow, self.src, self.src_port, self.dst, self.dst_port]


_PARSERS = {
    "TCP": summaries.tcp, "STUN": summaries.stun, "RTCP": summaries.rtcp, "ARP": summaries.arp, "SSH": summaries.ssh,
    "UDP": summaries.udp,
}  # fmt: skip


def tables(
    printed: Sequence[Printed], problems: Iterable[Problem] = (), complete: bool = True
) -> dict[str, pd.DataFrame]:
    """All tables that these frames can fill, by name; summaries that could not be parsed are rows of ``errors``.

    Of a print that is not ``complete`` (another program's, single fields, a filter's choice) an empty table would say
    that nothing was there: it is left out.
    """
    failed = list(problems)
    fields: dict[int, Any] = {one.frame: one.fields for one in printed if one.fields is not None}
    texts = any(one.info is not None or one.fields is not None for one in printed)
    unread: dict[str, list[Printed]] = defaultdict(list)
    for one in printed:
        if one.info is None:
            continue
        label = one.label or ""
        parse = summaries.records if label in ("TLS", "DTLS") else _PARSERS.get(label)
        if parse is None:
            unread[label].append(one)
            continue
        try:
            fields[one.frame] = parse(one.info)
        except ParseError as error:
            failed.append(Problem(one.frame, one.protocol or "", error.offset, f"line {one.line}: {error}"))
    for label, some in unread.items():
        first = some[0]
        text = f"line {first.line}: no reader for the summaries of {label or 'a frame without a label'}"
        also = f", as in {len(some) - 1} more frames" if len(some) > 1 else ""
        failed.append(Problem(first.frame, first.protocol or "", 0, text + also))
    for one in printed:
        _take_ports(one, fields.get(one.frame))
    flows = _flows(printed, fields)
    made = {"frames": _frames(printed, fields), "errors": frame_from(sorted(failed), ERRORS)}
    if flows is not None:
        made["flows"] = flows
    if texts:
        labels = {one.label for one in printed}
        for name, build in _BUILD.items():
            rows = build(printed, fields)
            if len(rows) or (complete and name.upper() not in labels):
                made[name] = rows
    return made


def _take_ports(one: Printed, fields: Any) -> None:
    if isinstance(fields, dict) and one.src_port is None and "src_port" in fields:
        one.src_port, one.dst_port = fields["src_port"], fields["dst_port"]


def _flows(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame | None:
    """Number the flows, tell each frame its direction, and sum them up; None where no port was printed."""
    members: dict[tuple[Any, ...], list[Printed]] = defaultdict(list)
    labels: dict[tuple[Any, ...], set[str | None]] = defaultdict(set)
    ported = [one for one in printed if one.src_port is not None and one.dst_port is not None and one.src and one.dst]
    for one in ported:
        labels[_ends(one)].add(one.label)
    for one in ported:
        transport = {6: "tcp", 17: "udp"}.get(one.ip_protocol or 0)
        if transport is None:
            transport = "udp" if labels[_ends(one)] & _OVER_UDP and "TCP" not in labels[_ends(one)] else "tcp"
            one.ip_protocol = 17 if transport == "udp" else 6
        members[(transport, *_ends(one))].append(one)
    if not members:
        return None
    rows = []
    for number, ((transport, *_), some) in enumerate(members.items()):
        flags = {one.frame: fields[one.frame].get("flags") for one in some if isinstance(fields.get(one.frame), dict)}
        client = _client(some, flags)
        notes = Counter(
            note.split()[0] for one in some for note in _notes(fields.get(one.frame)) if transport == "tcp"
        )  # fmt: skip
        for one in some:
            one.flow, one.up = number, (one.src, one.src_port) == client
        server = next(
            end for one in some for end in ((one.src, one.src_port), (one.dst, one.dst_port)) if end != client
        )
        header = {up: _header(some, fields, up) for up in (True, False)}
        up, down = [one for one in some if one.up], [one for one in some if not one.up]
        syn = {flag for flag in flags.values() if flag in ("SYN", "SYN,ACK")}
        tcp = transport == "tcp"
        rows.append((
            number, transport, *client, *server, len(up), len(down), _bytes(up), _bytes(down),
            _payload(up, fields, header[True]), _payload(down, fields, header[False]),
            some[0].frame, some[-1].frame, some[0].seconds, some[-1].seconds,
            (len(syn) == 2 if flags else None) if tcp else None,
            *(sum(name in (flag or "").split(",") for flag in flags.values()) if tcp and flags else None
              for name in ("RST", "FIN")),
            sum(notes[name] for name in _REPEATED) if tcp and flags else None,
            notes["previous-lost"] + notes["acked-unseen"] if tcp and flags else None,
            " ".join(dict.fromkeys(one.label or "" for one in some)), _observability(some),
        ))  # fmt: skip
    return frame_from(rows, SCHEMAS["flows"])


_OVER_UDP = {"UDP", "STUN", "DTLS", "RTP", "SRTP", "RTCP", "RTP EVENT", "QUIC", "DNS", "MDNS", "NTP", "DHCP", "SSDP"}


def _ends(one: Printed) -> tuple[Any, ...]:
    """Both ends of a frame, the same for both directions."""
    return tuple(sorted([(one.src, one.src_port), (one.dst, one.dst_port)], key=str))


def _bytes(some: list[Printed]) -> int | None:
    """Bytes on the wire, None where not all lengths are known."""
    lengths = [one.length for one in some]
    return None if None in lengths else sum(length or 0 for length in lengths)


_REPEATED = ("retransmission", "fast-retransmission", "spurious-retransmission")


def _notes(fields: Any) -> list[str]:
    """Tshark's remarks about a segment, however its summary was parsed."""
    if isinstance(fields, tuple):
        return list(fields[1])
    text = fields.get("notes") if isinstance(fields, dict) else None
    return [word for word in str(text or "").split() if not word.replace("#", "").isdecimal()]


def _client(some: list[Printed], flags: dict[int, str | None]) -> tuple[str | None, int | None]:
    """Who opened the flow: the sender of the SYN, else who sent first, unless only the other's port is above 1023."""
    for one in some:
        if flags.get(one.frame) == "SYN":
            return one.src, one.src_port
        if flags.get(one.frame) == "SYN,ACK":
            return one.dst, one.dst_port
    first = some[0]
    well_known = 1023
    if (first.src_port or 0) <= well_known < (first.dst_port or 0):
        return first.dst, first.dst_port
    return first.src, first.src_port


def _header(some: list[Printed], fields: dict[int, Any], up: bool) -> int | None:
    """Bytes before the TCP payload in one direction of a flow, as most of its printed payload lengths say.

    Segments with SYN, RST or SACK blocks have other options and do not count; UDP is always the same.
    """
    if some[0].ip_protocol == 17 or some[0].label in ("UDP", "STUN", "DTLS", "RTCP", "RTP"):
        return _ABOVE_UDP
    said: Counter[int] = Counter()
    for one in some:
        known = fields.get(one.frame)
        if one.up != up or one.length is None or not isinstance(known, dict):
            continue
        if "flags" in known and known.get("length") is not None:
            usual = not known.get("sack") and not {"SYN", "RST"} & set(known["flags"].split(","))
            said[one.length - known["length"]] += usual and "quiet" not in known
    best = said.most_common(1)
    return best[0][0] if best and best[0][1] else None


def _payload(some: list[Printed], fields: dict[int, Any], header: int | None) -> int | None:
    total = 0
    for one in some:
        known = fields.get(one.frame)
        if isinstance(known, dict) and "flags" in known and known.get("length") is not None:
            total += known["length"]
        elif header is None or one.length is None:
            return None
        else:
            total += one.length - header
    return total


def _observability(some: list[Printed]) -> str | None:
    labels = {one.label for one in some}
    if labels & {"TLS", "SSH", "DTLS"}:
        return "opaque"
    return None if labels <= {"TCP", "UDP"} else "clear"


def _frames(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for one in printed:
        known = fields.get(one.frame)
        payload = known.get("length") if isinstance(known, dict) and one.label in ("TCP", "UDP") else None
        common = one.common() if one.label != "ARP" else [one.frame, one.time, one.seconds, *[None] * 5]
        rows.append(
            (*common, one.label, one.length, one.captured_length, one.ip_version, one.ip_protocol, None, None, payload)
        )
    return frame_from(rows, SCHEMAS["frames"])


_TCP = ("flags", "seq", "ack", "window", "length", "mss", "scale", "sack_permitted", "sack", "tsval", "tsecr")


def _tcp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for one in printed:
        known = fields.get(one.frame)
        if one.label == "TCP" and isinstance(known, dict) and "quiet" not in known:
            again = any(note in _REPEATED for note in _notes(known))
            rows.append((*one.common(), one.up, *(known.get(name) for name in _TCP), again, known["notes"] or None))
    return frame_from(rows, SCHEMAS["tcp"])


def _arp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for one in printed:
        known = fields.get(one.frame)
        if one.label == "ARP" and isinstance(known, dict):
            sender, target = known.get("sender_mac") or one.src, known.get("target_ip")
            ends = (sender, known["sender_ip"], "ff:ff:ff:ff:ff:ff" if one.dst == "Broadcast" else one.dst, target)
            rows.append((one.frame, one.time, one.seconds, *ends, known["operation"]))
    return frame_from(rows, SCHEMAS["arp"])


def _tls(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    """One row a record. Its length is what the frame holds above TCP less the headers of its records.

    A frame in which a record may begin that another ends (tshark remarks on it, or the frame is a full one), or that
    may hold the end of one, says nothing. Where two records of unknown length share a frame, only their sum is known.
    """
    by_flow: dict[int | None, list[Printed]] = defaultdict(list)
    for one in printed:
        by_flow[one.flow].append(one)
    headers = {
        (flow, up): _header(some, fields, up) if flow is not None else None
        for flow, some in by_flow.items()
        for up in (True, False)
    }
    agreed = {
        flow: max((one.version or "" for one in some if one.up is False and one.label == "TLS"), default="") or None
        for flow, some in by_flow.items()
    }
    rows = []
    pending: set[tuple[int | None, bool | None]] = set()
    for one in printed:
        known, key = fields.get(one.frame), (one.flow, one.up)
        notes = _notes(known)
        if one.label != "TLS" or not isinstance(known, tuple):
            if "segment" in notes or (one.label == "TCP" and (one.length or 0) >= FULL):
                pending.add(key)
            continue
        named = known[0]
        header = headers.get((one.flow, bool(one.up)))
        goes_on = "segment" in notes or (one.length or FULL) >= FULL
        whole = key not in pending and not goes_on and "previous-lost" not in notes and header is not None
        (pending.add if goes_on else pending.discard)(key)
        fixed = {number: 1 for number, record in enumerate(named) if record.record_type == "change_cipher_spec"}
        others = len(named) - len(fixed)
        left = (one.length or 0) - (header or 0) - _RECORD_HEADER * len(named) - len(fixed)
        whole = whole and left >= others
        for number, record in enumerate(named):
            length = fixed.get(number, left if others == 1 else None) if whole else None
            told = record.length is not None
            length = record.length if told else length
            shared = whole and length is None
            hello = one.version if record.handshake == "client_hello" else None
            version = agreed[one.flow] or (one.version if hello is None else None)
            rows.append((
                *one.common(), one.frame if whole or (told and "segment" not in notes) else None, one.up,
                record.record_type, None, length, version, hello, record.handshake, record.sni, record.alpn, None, None,
                None, False, left if shared else None,
                others if shared else None, "measured" if told else "deduced" if whole else None,
                " ".join(notes) or None,
            ))  # fmt: skip
    return frame_from(rows, SCHEMAS["tls"])


def _dtls(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (*one.common(), one.frame, one.up, "udp", 0, record.record_type, record.handshake, one.version)
        for one in printed
        if one.label == "DTLS" and isinstance(fields.get(one.frame), tuple)
        for record in fields[one.frame][0]
    ]
    return frame_from(rows, SCHEMAS["dtls"])


def _stun(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    columns = [name for name in SCHEMAS["stun"] if name not in COMMON and name not in ("first_frame", "up", "size")]
    rows = []
    open_requests: dict[tuple[Any, ...], list[Printed]] = defaultdict(list)
    for one in printed:
        known = fields.get(one.frame)
        if one.label == "STUN" and isinstance(known, dict):
            udp = one.ip_protocol == 17
            known = {**known, "transport": "udp" if udp else None, "depth": 0}
            if known["message_class"] == "request":
                open_requests[one.flow, one.up, known["method"]].append(one)
            asked = open_requests[one.flow, not one.up, known["method"]]
            if known["message_class"] in ("success", "error") and asked:
                request = asked.pop(0)
                known |= {"request_frame": request.frame, "rtt": round(one.seconds - request.seconds, 9)}
            size = one.length - _ABOVE_UDP if udp and one.ip_version == 4 and one.length is not None else None
            rows.append((*one.common(), one.frame, one.up, *(known.get(name) for name in columns), size))
    return frame_from(rows, SCHEMAS["stun"])


def _rtcp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (
            *one.common(),
            one.up,
            0,
            known["packet_type"],
            known["named"],
            known["malformed"],
            (one.length or _ABOVE_UDP) - _ABOVE_UDP,
        )
        for one in printed
        if one.label == "RTCP" and isinstance(known := fields.get(one.frame), dict)
    ]
    return frame_from(rows, SCHEMAS["rtcp"])


def _ssh(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (*one.common(), one.up, known["sender"], known["length"], known["message"])
        for one in printed
        if one.label == "SSH" and isinstance(known := fields.get(one.frame), dict)
    ]
    return frame_from(rows, SCHEMAS["ssh"])


_BUILD = {"tcp": _tcp, "arp": _arp, "tls": _tls, "dtls": _dtls, "stun": _stun, "rtcp": _rtcp, "ssh": _ssh}
