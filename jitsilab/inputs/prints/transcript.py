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
    fields = summaries_of(printed, failed)
    texts = any(packet.info is not None or packet.fields is not None for packet in printed)
    for packet in printed:
        _take_ports(packet, fields.get(packet.frame))
    flows = _flows(printed, fields)
    made = {"frames": _frames(printed, fields), "errors": frame_from(sorted(failed), ERRORS)}
    if flows is not None:
        made["flows"] = flows
    if texts:
        labels = {packet.label for packet in printed}
        for name, build in _BUILD.items():
            rows = build(printed, fields)
            if len(rows) or (complete and name.upper() not in labels):
                made[name] = rows
    return made


def summaries_of(printed: Sequence[Printed], failed: list[Problem]) -> dict[int, Any]:
    """What the summaries say, by frame; those that could not be parsed are added to ``failed``."""
    fields: dict[int, Any] = {packet.frame: packet.fields for packet in printed if packet.fields is not None}
    unread: dict[str, list[Printed]] = defaultdict(list)
    for packet in printed:
        if packet.info is None:
            continue
        label = packet.label or ""
        parse = summaries.records if label in ("TLS", "DTLS") else _PARSERS.get(label)
        if parse is None:
            unread[label].append(packet)
            continue
        try:
            fields[packet.frame] = parse(packet.info)
        except ParseError as error:
            failed.append(Problem(packet.frame, packet.protocol or "", error.offset, f"line {packet.line}: {error}"))
    for label, packets in unread.items():
        first = packets[0]
        text = f"line {first.line}: no reader for the summaries of {label or 'a frame without a label'}"
        also = f", as in {len(packets) - 1} more frames" if len(packets) > 1 else ""
        failed.append(Problem(first.frame, first.protocol or "", 0, text + also))
    return fields


def _take_ports(packet: Printed, fields: Any) -> None:
    if isinstance(fields, dict) and packet.src_port is None and "src_port" in fields:
        packet.src_port, packet.dst_port = fields["src_port"], fields["dst_port"]


def _flows(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame | None:
    """Number the flows, tell each frame its direction, and sum them up; None where no port was printed."""
    members: dict[tuple[Any, ...], list[Printed]] = defaultdict(list)
    labels: dict[tuple[Any, ...], set[str | None]] = defaultdict(set)
    ported = [
        packet
        for packet in printed
        if packet.src_port is not None and packet.dst_port is not None and packet.src and packet.dst
    ]
    for packet in ported:
        labels[_ends(packet)].add(packet.label)
    for packet in ported:
        transport = {6: "tcp", 17: "udp"}.get(packet.ip_protocol or 0)
        if transport is None:
            transport = "udp" if labels[_ends(packet)] & _OVER_UDP and "TCP" not in labels[_ends(packet)] else "tcp"
            packet.ip_protocol = 17 if transport == "udp" else 6
        members[(transport, *_ends(packet))].append(packet)
    if not members:
        return None
    rows = []
    for number, ((transport, *_), packets) in enumerate(members.items()):
        flags = {
            packet.frame: fields[packet.frame].get("flags")
            for packet in packets
            if isinstance(fields.get(packet.frame), dict)
        }
        client = _client(packets, flags)
        notes = Counter(
            note.split()[0] for packet in packets for note in _notes(fields.get(packet.frame)) if transport == "tcp"
        )  # fmt: skip
        for packet in packets:
            packet.flow, packet.up = number, (packet.src, packet.src_port) == client
        server = next(
            end
            for packet in packets
            for end in ((packet.src, packet.src_port), (packet.dst, packet.dst_port))
            if end != client
        )
        header = {up: _header(packets, fields, up) for up in (True, False)}
        up, down = [packet for packet in packets if packet.up], [packet for packet in packets if not packet.up]
        syn = {flag for flag in flags.values() if flag in ("SYN", "SYN,ACK")}
        tcp = transport == "tcp"
        rows.append((
            number, transport, *client, *server, len(up), len(down), _bytes(up), _bytes(down),
            _payload(up, fields, header[True]), _payload(down, fields, header[False]),
            packets[0].frame, packets[-1].frame, packets[0].seconds, packets[-1].seconds,
            (len(syn) == 2 if flags else None) if tcp else None,
            *(sum(name in (flag or "").split(",") for flag in flags.values()) if tcp and flags else None
              for name in ("RST", "FIN")),
            sum(notes[name] for name in _REPEATED) if tcp and flags else None,
            notes["previous-lost"] + notes["acked-unseen"] if tcp and flags else None,
            " ".join(dict.fromkeys(packet.label or "" for packet in packets)), _observability(packets),
        ))  # fmt: skip
    return frame_from(rows, SCHEMAS["flows"])


_OVER_UDP = {"UDP", "STUN", "DTLS", "RTP", "SRTP", "RTCP", "RTP EVENT", "QUIC", "DNS", "MDNS", "NTP", "DHCP", "SSDP"}


def _ends(packet: Printed) -> tuple[Any, ...]:
    """Both ends of a frame, the same for both directions."""
    return tuple(sorted([(packet.src, packet.src_port), (packet.dst, packet.dst_port)], key=str))


def _bytes(packets: list[Printed]) -> int | None:
    """Bytes on the wire, None where not all lengths are known."""
    lengths = [packet.length for packet in packets]
    return None if None in lengths else sum(length or 0 for length in lengths)


_REPEATED = ("retransmission", "fast-retransmission", "spurious-retransmission")


def _notes(fields: Any) -> list[str]:
    """Tshark's remarks about a segment, however its summary was parsed."""
    if isinstance(fields, tuple):
        return list(fields[1])
    text = fields.get("notes") if isinstance(fields, dict) else None
    return [word for word in str(text or "").split() if not word.replace("#", "").isdecimal()]


def _client(packets: list[Printed], flags: dict[int, str | None]) -> tuple[str | None, int | None]:
    """Who opened the flow: the sender of the SYN, else who sent first, unless only the other's port is above 1023."""
    for packet in packets:
        if flags.get(packet.frame) == "SYN":
            return packet.src, packet.src_port
        if flags.get(packet.frame) == "SYN,ACK":
            return packet.dst, packet.dst_port
    first = packets[0]
    well_known = 1023
    if (first.src_port or 0) <= well_known < (first.dst_port or 0):
        return first.dst, first.dst_port
    return first.src, first.src_port


def _header(packets: list[Printed], fields: dict[int, Any], up: bool) -> int | None:
    """Bytes before the TCP payload in one direction of a flow, as most of its printed payload lengths say.

    Segments with SYN, RST or SACK blocks have other options and do not count; UDP is always the same.
    """
    if packets[0].ip_protocol == 17 or packets[0].label in ("UDP", "STUN", "DTLS", "RTCP", "RTP"):
        return _ABOVE_UDP
    sizes: Counter[int] = Counter()
    for packet in packets:
        known = fields.get(packet.frame)
        if packet.up != up or packet.length is None or not isinstance(known, dict):
            continue
        if "flags" in known and known.get("length") is not None:
            usual = not known.get("sack") and not {"SYN", "RST"} & set(known["flags"].split(","))
            sizes[packet.length - known["length"]] += usual and "quiet" not in known
    best = sizes.most_common(1)
    return best[0][0] if best and best[0][1] else None


def _payload(packets: list[Printed], fields: dict[int, Any], header: int | None) -> int | None:
    total = 0
    for packet in packets:
        known = fields.get(packet.frame)
        if isinstance(known, dict) and "flags" in known and known.get("length") is not None:
            total += known["length"]
        elif header is None or packet.length is None:
            return None
        else:
            total += packet.length - header
    return total


def _observability(packets: list[Printed]) -> str | None:
    labels = {packet.label for packet in packets}
    if labels & {"TLS", "SSH", "DTLS"}:
        return "opaque"
    return None if labels <= {"TCP", "UDP"} else "clear"


def _frames(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for packet in printed:
        known = fields.get(packet.frame)
        payload = known.get("length") if isinstance(known, dict) and packet.label in ("TCP", "UDP") else None
        common = packet.common() if packet.label != "ARP" else [packet.frame, packet.time, packet.seconds, *[None] * 5]
        rows.append(
            (
                *common,
                packet.label,
                packet.length,
                packet.captured_length,
                packet.ip_version,
                packet.ip_protocol,
                None,
                None,
                payload,
            )
        )
    return frame_from(rows, SCHEMAS["frames"])


_TCP = ("flags", "seq", "ack", "window", "length", "mss", "scale", "sack_permitted", "sack", "tsval", "tsecr")


def _tcp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for packet in printed:
        known = fields.get(packet.frame)
        if packet.label == "TCP" and isinstance(known, dict) and "quiet" not in known:
            again = any(note in _REPEATED for note in _notes(known))
            rows.append(
                (*packet.common(), packet.up, *(known.get(name) for name in _TCP), again, known["notes"] or None)
            )
    return frame_from(rows, SCHEMAS["tcp"])


def _arp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = []
    for packet in printed:
        known = fields.get(packet.frame)
        if packet.label == "ARP" and isinstance(known, dict):
            sender, target = known.get("sender_mac") or packet.src, known.get("target_ip")
            ends = (
                sender,
                known["sender_ip"],
                "ff:ff:ff:ff:ff:ff" if packet.dst == "Broadcast" else packet.dst,
                target,
            )
            rows.append((packet.frame, packet.time, packet.seconds, *ends, known["operation"]))
    return frame_from(rows, SCHEMAS["arp"])


def _tls(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    """One row a record. Its length is what the frame holds above TCP less the headers of its records.

    A frame in which a record may begin that another ends (tshark remarks on it, or the frame is a full one), or that
    may hold the end of one, says nothing. Where two records of unknown length share a frame, only their sum is known.
    """
    by_flow: dict[int | None, list[Printed]] = defaultdict(list)
    for packet in printed:
        by_flow[packet.flow].append(packet)
    headers = {
        (flow, up): _header(packets, fields, up) if flow is not None else None
        for flow, packets in by_flow.items()
        for up in (True, False)
    }
    agreed = {
        flow: max(
            (packet.version or "" for packet in packets if packet.up is False and packet.label == "TLS"), default=""
        )
        or None
        for flow, packets in by_flow.items()
    }
    rows = []
    pending: set[tuple[int | None, bool | None]] = set()
    for packet in printed:
        known, key = fields.get(packet.frame), (packet.flow, packet.up)
        notes = _notes(known)
        if packet.label != "TLS" or not isinstance(known, tuple):
            if "segment" in notes or (packet.label == "TCP" and (packet.length or 0) >= FULL):
                pending.add(key)
            continue
        named = known[0]
        header = headers.get((packet.flow, bool(packet.up)))
        goes_on = "segment" in notes or (packet.length or FULL) >= FULL
        whole = key not in pending and not goes_on and "previous-lost" not in notes and header is not None
        (pending.add if goes_on else pending.discard)(key)
        fixed = {number: 1 for number, record in enumerate(named) if record.record_type == "change_cipher_spec"}
        others = len(named) - len(fixed)
        left = (packet.length or 0) - (header or 0) - _RECORD_HEADER * len(named) - len(fixed)
        whole = whole and left >= others
        for number, record in enumerate(named):
            length = fixed.get(number, left if others == 1 else None) if whole else None
            measured = record.length is not None
            length = record.length if measured else length
            shared = whole and length is None
            hello = packet.version if record.handshake == "client_hello" else None
            version = agreed[packet.flow] or (packet.version if hello is None else None)
            rows.append((
                *packet.common(), packet.frame if whole or (measured and "segment" not in notes) else None, packet.up,
                record.record_type, None, length, version, hello, record.handshake, record.sni, record.alpn, None, None,
                None, False, left if shared else None,
                others if shared else None, "measured" if measured else "deduced" if whole else None,
                " ".join(notes) or None,
            ))  # fmt: skip
    return frame_from(rows, SCHEMAS["tls"])


def _dtls(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (*packet.common(), packet.frame, packet.up, "udp", 0, record.record_type, record.handshake, packet.version)
        for packet in printed
        if packet.label == "DTLS" and isinstance(fields.get(packet.frame), tuple)
        for record in fields[packet.frame][0]
    ]
    return frame_from(rows, SCHEMAS["dtls"])


def _stun(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    columns = [name for name in SCHEMAS["stun"] if name not in COMMON and name not in ("first_frame", "up", "size")]
    rows = []
    open_requests: dict[tuple[Any, ...], list[Printed]] = defaultdict(list)
    for packet in printed:
        known = fields.get(packet.frame)
        if packet.label == "STUN" and isinstance(known, dict):
            udp = packet.ip_protocol == 17
            known = {**known, "transport": "udp" if udp else None, "depth": 0}
            if known["message_class"] == "request":
                open_requests[packet.flow, packet.up, known["method"]].append(packet)
            asked = open_requests[packet.flow, not packet.up, known["method"]]
            if known["message_class"] in ("success", "error") and asked:
                request = asked.pop(0)
                known |= {"request_frame": request.frame, "rtt": round(packet.seconds - request.seconds, 9)}
            size = packet.length - _ABOVE_UDP if udp and packet.ip_version == 4 and packet.length is not None else None
            rows.append((*packet.common(), packet.frame, packet.up, *(known.get(name) for name in columns), size))
    return frame_from(rows, SCHEMAS["stun"])


def _rtcp(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (
            *packet.common(),
            packet.up,
            0,
            known["packet_type"],
            known["named"],
            known["malformed"],
            (packet.length or _ABOVE_UDP) - _ABOVE_UDP,
        )
        for packet in printed
        if packet.label == "RTCP" and isinstance(known := fields.get(packet.frame), dict)
    ]
    return frame_from(rows, SCHEMAS["rtcp"])


def _ssh(printed: Sequence[Printed], fields: dict[int, Any]) -> pd.DataFrame:
    rows = [
        (*packet.common(), packet.up, known["sender"], known["length"], known["message"])
        for packet in printed
        if packet.label == "SSH" and isinstance(known := fields.get(packet.frame), dict)
    ]
    return frame_from(rows, SCHEMAS["ssh"])


_BUILD = {"tcp": _tcp, "arp": _arp, "tls": _tls, "dtls": _dtls, "stun": _stun, "rtcp": _rtcp, "ssh": _ssh}
