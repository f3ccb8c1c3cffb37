"""Fields by tshark's names (``-T fields``, ``-T json``, ``-V``, Wireshark's CSV) become what was printed of a frame.

A name is taken by its letters and digits alone: ``ip.src``, ``src IP`` of a spreadsheet, ``ip_ip_src`` of ``-T ek``.
A field may occur several times in a frame, in order; what stands in the outermost packet comes first.
"""

import re
from collections.abc import Iterable
from typing import Any

from jitsilab.errors import ParseError
from jitsilab.inputs.prints import times
from jitsilab.inputs.prints.summaries import Record
from jitsilab.inputs.prints.transcript import Printed
from jitsilab.protocols import stun_registry, tls_registry

_SAME = {  # names of spreadsheets and of Wireshark's columns: tshark's
    "no": "framenumber", "number": "framenumber", "frame": "framenumber", "packet": "framenumber",
    "length": "framelen", "framelength": "framelen", "len": "framelen", "packetlength": "framelen",
    "time": "coltime", "wscoltime": "coltime", "wscoldefault": "coltime", "utctime": "timeutc", "abstime": "coltime",
    "relativetime": "frametimerelative", "relativetimes": "frametimerelative", "timerelative": "frametimerelative",
    "epochtime": "frametimeepoch", "timeepoch": "frametimeepoch", "absolutetime": "coltime", "datetime": "coltime",
    "timestamp": "coltime", "wscolclstime": "coltime", "delta": "frametimedelta", "deltatime": "frametimedelta",
    "source": "colsrc", "wscolsource": "colsrc", "wscolunressrc": "colsrc", "wscoldefsrc": "colsrc", "src": "colsrc",
    "sourceaddress": "colsrc", "srcaddress": "colsrc", "destination": "coldst", "wscoldestination": "coldst",
    "wscolunresdst": "coldst", "wscoldefdst": "coldst", "dst": "coldst", "destinationaddress": "coldst",
    "dstaddress": "coldst", "srcip": "ipsrc", "sourceip": "ipsrc", "dstip": "ipdst", "destinationip": "ipdst",
    "destip": "ipdst", "ipsrchost": "ipsrc", "ipdsthost": "ipdst", "srcipv6": "ipv6src", "dstipv6": "ipv6dst",
    "ipprotocol": "ipproto", "ipv6protocol": "ipv6nxt", "protocol": "colprotocol", "wscolprotocol": "colprotocol",
    "proto": "colprotocol", "wscolinfo": "colinfo", "info": "colinfo", "information": "colinfo",
    "wscollength": "framelen", "wscolno": "framenumber", "wscolnumber": "framenumber",
    "srcport": "colsrcport", "sourceport": "colsrcport", "sport": "colsrcport", "wscolressrcport": "colsrcport",
    "wscolsrcport": "colsrcport", "wscoldefsrcport": "colsrcport", "wscolunressrcport": "colsrcport",
    "dstport": "coldstport", "destport": "coldstport", "destinationport": "coldstport", "dport": "coldstport",
    "wscolresdstport": "coldstport", "wscoldstport": "coldstport", "wscoldefdstport": "coldstport",
    "wscolunresdstport": "coldstport",
}  # fmt: skip
TIMES = (  # that say when a frame was, the best first
    "frametimerelative", "frametimeepoch", "timeutc", "frametime", "frametimeutc", "coltime", "frametimedelta",
    "frametimedeltadisplayed",
)  # fmt: skip
SOURCES, TARGETS = ("ipsrc", "ipv6src", "colsrc", "ethsrc"), ("ipdst", "ipv6dst", "coldst", "ethdst")
_DATED = ("frametimeepoch", "timeutc", "frametimeutc", "frametime")
_KNOWN = {
    "frameprotocols", "framelen", "framecaplen", "framenumber", "ipproto", "ipv6nxt", "ipaddr", "ipv6addr",
    "colprotocol", "colinfo", "colsrcport", "coldstport", "tcpsrcport", "tcpdstport", "udpsrcport", "udpdstport",
    "tcpport", "udpport", "stuntype", *TIMES, *SOURCES, *TARGETS,
}  # fmt: skip
_LABELS = {  # a protocol's name in frame.protocols: that of tshark's column
    "stun": "STUN", "classicstun": "CLASSIC-STUN", "dtls": "DTLS", "tls": "TLS", "ssl": "TLS", "rtp": "RTP",
    "srtp": "SRTP", "rtcp": "RTCP", "srtcp": "SRTCP", "dns": "DNS", "mdns": "MDNS", "http": "HTTP", "http2": "HTTP2",
    "websocket": "WebSocket", "xmpp": "XMPP", "quic": "QUIC", "gquic": "QUIC", "ssh": "SSH", "arp": "ARP",
    "icmp": "ICMP", "icmpv6": "ICMPv6", "igmp": "IGMP", "ntp": "NTP", "dhcp": "DHCP", "dhcpv6": "DHCPv6",
    "ssdp": "SSDP", "snmp": "SNMP", "sctp": "SCTP", "stp": "STP", "lldp": "LLDP",
}  # fmt: skip
_OWN = {
    "stuntype": "STUN", "dtlsrecordcontenttype": "DTLS", "tlsrecordcontenttype": "TLS", "tlsrecordopaquetype": "TLS",
    "rtpssrc": "RTP", "arpopcode": "ARP",
}  # fmt: skip
_LARGEST = 1 << 62
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_ADDRESSED = {  # STUN attributes that hold an address: which of ours
    0x0001: "mapped", 0x0020: "mapped", 0x8020: "mapped", 0x0016: "relayed", 0x0012: "peer", 0x0002: "", 0x0004: "",
    0x0005: "", 0x8023: "", 0x802B: "", 0x802C: "",
}  # fmt: skip
Pairs = list[tuple[str, str]]


def canonical(name: str) -> str:
    """A field's name by its letters and digits."""
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    return _SAME.get(key, key)


def is_known(key: str) -> bool:
    """Whether a column says something of a frame itself."""
    return key in _KNOWN


class _Fields:
    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._held: dict[str, list[str]] = {}
        for key, value in pairs:
            if value:
                self._held.setdefault(key, []).append(value)

    def text(self, *keys: str) -> str | None:
        """The first value of the first of these fields that is there."""
        return next((self._held[key][0] for key in keys if key in self._held), None)

    def texts(self, *keys: str) -> list[str]:
        """All values of the first of these fields that is there."""
        return next((self._held[key] for key in keys if key in self._held), [])

    def shown(self) -> str | None:
        """The protocol whose own fields are there, where nothing names it."""
        return next((label for key, label in _OWN.items() if key in self._held), None)

    def number(self, *keys: str) -> int | None:
        """A whole number. Raises ParseError where the value is none."""
        text = self.text(*keys)
        return None if text is None else whole(text)

    def numbers(self, *keys: str) -> list[int]:
        """All of them."""
        return [whole(text) for text in self.texts(*keys)]


def whole(text: str) -> int:
    """A number as tshark prints it, decimal or hexadecimal; 1 and 0 for a flag. Raises ParseError for another text."""
    text = text.strip()
    if text in ("True", "true", "False", "false"):
        return int(text.lower() == "true")
    try:
        number = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise ParseError(f"{text[:40]!r} is not a number") from None
    if abs(number) >= _LARGEST:
        raise ParseError(f"{text[:40]!r} is no number of a frame")
    return number


def printed(pairs: Pairs, line: int, order: int) -> Printed:
    """What fields say of one frame; its number is ``order`` where they do not tell it.

    Raises ParseError where a value is no number.
    """
    fields = _Fields(pairs)
    six = fields.text("ipsrc") is None and fields.text("ipv6src") is not None
    src = fields.text("ipv6src") if six else fields.text(*SOURCES)
    dst = fields.text("ipv6dst") if six else fields.text(*TARGETS)
    if src is None and len(fields.texts("ipaddr", "ipv6addr")) > 1:
        src, dst = fields.texts("ipaddr", "ipv6addr")[:2]
    protocol = fields.number("ipv6nxt" if six else "ipproto")
    label = fields.text("colprotocol") or _label(fields.text("frameprotocols")) or fields.shown()
    transport = {6: "tcp", 17: "udp"}.get(protocol or 0)
    if protocol is None:
        transport = next((name for name in ("tcp", "udp") if fields.text(f"{name}srcport", f"{name}port")), None)
        protocol = {"tcp": 6, "udp": 17}.get(transport or "")
    ports: list[int | None] = [None, None]
    if transport:
        ports = [fields.number(f"{transport}srcport"), fields.number(f"{transport}dstport")]
        both = fields.numbers(f"{transport}port")
        ports = list(both[:2]) if ports == [None, None] and len(both) > 1 else ports
    if ports == [None, None]:
        ports = [_port(fields.text("colsrcport")), _port(fields.text("coldstport"))]
    stamp = next((times.stamp(text) for key in TIMES if (text := fields.text(key)) is not None), None)
    number = fields.number("framenumber")
    packet = Printed(
        order if number is None else number, float("nan"), fields.number("framelen"), src, dst,
        ip_version=_version(fields, six, src), ip_protocol=protocol, src_port=ports[0], dst_port=ports[1],
        protocol=label, info=fields.text("colinfo"), captured_length=fields.number("framecaplen"), line=line,
    )  # fmt: skip
    packet.stamp = stamp
    dated = (times.stamp(text) for key in _DATED if (text := fields.text(key)) is not None)
    packet.time = next((moment.time for when in dated if when and (moment := times.resolve([when])[0][0])), None)
    if packet.info is None:
        packet.fields = _parsed(packet, fields)
    return packet


def _version(fields: _Fields, six: bool, src: str | None) -> int | None:
    if six or fields.text("ipsrc") is not None:
        return 6 if six else 4
    if src and re.fullmatch(r"\d+(\.\d+){3}", src):
        return 4
    return 6 if src and src.count(":") > 1 and not re.fullmatch(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", src) else None


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and int(text) <= 65_535 else None


def _label(stack: str | None) -> str | None:
    """The label of a frame from tshark's stack of protocols: the first above the transport that has one."""
    names = (stack or "").lower().split(":")
    known = next((_LABELS[name] for name in names if name in _LABELS), None)
    last = next((name for name in reversed(names) if name in ("tcp", "udp")), names[-1])
    return known or last.upper() or None


def _parsed(packet: Printed, fields: _Fields) -> Any:
    """What a summary would have told, from the fields themselves; None where they do not hold it."""
    label = packet.label
    if label == "STUN" and fields.text("stuntype") is not None:
        return _stun(fields)
    if label in ("TLS", "DTLS"):
        return _records(packet, fields, label.lower())
    if label == "TCP" and fields.text("tcpflags", "tcpflagsstr") is not None and packet.src_port is not None:
        return _tcp(packet, fields)
    if label == "UDP" and packet.src_port is not None:
        size = fields.number("udplength")
        return {"src_port": packet.src_port, "dst_port": packet.dst_port, "length": None if size is None else size - 8}
    if label == "ARP" and fields.text("arpopcode") is not None:
        return {
            "operation": fields.number("arpopcode"), "sender_ip": fields.text("arpsrcprotoipv4"),
            "target_ip": fields.text("arpdstprotoipv4"), "sender_mac": fields.text("arpsrchwmac"),
        }  # fmt: skip
    return None


def _tcp(packet: Printed, fields: _Fields) -> dict[str, Any]:
    bits = fields.number("tcpflags") or 0
    edges = [text for pair in zip(fields.texts("tcpoptionssackle"), fields.texts("tcpoptionssackre"), strict=False)
             for text in pair]  # fmt: skip
    notes = [note for key, note in _ANALYSIS.items() if fields.text(key) is not None]
    return {
        "notes": " ".join(notes), "src_port": packet.src_port, "dst_port": packet.dst_port,
        "flags": ",".join(name for bit, name in enumerate(_FLAGS) if bits >> bit & 1),
        "seq": fields.number("tcpseq", "tcpseqraw"), "ack": fields.number("tcpack", "tcpackraw") if bits & 16 else None,
        "window": fields.number("tcpwindowsize", "tcpwindowsizevalue"), "length": fields.number("tcplen"),
        "mss": fields.number("tcpoptionsmssval"), "scale": fields.number("tcpoptionswscaleshift"),
        "sack_permitted": True if fields.text("tcpoptionssackperm") is not None else None,
        "sack": " ".join(f"{a}-{b}" for a, b in zip(edges[::2], edges[1::2], strict=False)) or None,
        "tsval": fields.number("tcpoptionstimestamptsval"), "tsecr": fields.number("tcpoptionstimestamptsecr"),
    }  # fmt: skip


_ANALYSIS = {
    "tcpanalysisretransmission": "retransmission", "tcpanalysisfastretransmission": "fast-retransmission",
    "tcpanalysisspuriousretransmission": "spurious-retransmission", "tcpanalysisoutoforder": "out-of-order",
    "tcpanalysislostsegment": "previous-lost", "tcpanalysisacklostsegment": "acked-unseen",
    "tcpanalysiskeepalive": "keep-alive",
}  # fmt: skip


def _stun(fields: _Fields) -> dict[str, Any]:
    kind = whole(fields.texts("stuntype")[0])
    if 0x4000 <= kind < 0x8000:
        return {"method": "ChannelData", "message_class": None, "channel": kind}
    classes = ("request", "indication", "success", "error")
    method = kind & 0xF | kind >> 1 & 0x70 | kind >> 2 & 0xF80
    message: dict[str, Any] = {
        "method": stun_registry.method_name(method), "message_class": classes[kind >> 4 & 1 | kind >> 7 & 2],
        "transaction_id": (fields.text("stunid") or "").replace(":", "").lower().removeprefix("0x") or None,
        "username": fields.text("stunattusername"), "realm": fields.text("stunattrealm"),
        "lifetime": fields.number("stunattlifetime"), "channel": fields.number("stunattchannelnum"),
        "error_reason": fields.text("stunatterrorreason"),
    }  # fmt: skip
    of_class, number = fields.number("stunatterrorclass"), fields.number("stunatterror")
    if of_class is not None and number is not None:
        message["error_code"] = of_class * 100 + number if number < 100 else number
    types = fields.numbers("stunatttype")
    message["attributes"] = " ".join(f"{attribute:04x}" for attribute in types) or None
    holders = [attribute for attribute in types if attribute in _ADDRESSED]
    addresses, ports = fields.texts("stunattipv4", "stunattipv6"), fields.texts("stunattport")
    if len(holders) == len(addresses) == len(ports):
        for holder, address, port in zip(holders, addresses, ports, strict=True):
            if _ADDRESSED[holder]:
                message.setdefault(f"{_ADDRESSED[holder]}_address", address)
                message.setdefault(f"{_ADDRESSED[holder]}_port", whole(port))
    return message


def _records(packet: Printed, fields: _Fields, name: str) -> Any:
    """Records with their lengths, and the version where a hello tells it; None where no record is shown."""
    types = fields.numbers(f"{name}recordcontenttype", f"{name}recordopaquetype")
    both = fields.texts(f"{name}recordcontenttype"), fields.texts(f"{name}recordopaquetype")
    lengths = fields.numbers(f"{name}recordlength")
    if both[0] and both[1]:
        types = fields.numbers("recordtypes")  # of both kinds in order, where the print has an order
    if not types:
        return None
    shakes = fields.numbers(f"{name}handshaketype")
    hello = 1 in shakes, 2 in shakes
    if name == "tls" and any(hello):
        supported = fields.numbers("tlshandshakeextensionssupportedversion")
        versions = fields.numbers("tlshandshakeversion" if hello[1] else "tlsrecordversion")
        agreed = 0x0304 if hello[1] and 0x0304 in supported else versions[0] if versions else 0
        packet.protocol = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}.get(agreed, "TLS")
    elif name == "dtls" and fields.numbers("dtlsrecordversion"):
        version = fields.numbers("dtlsrecordversion")[0]
        packet.protocol = {0xFEFF: "DTLSv1.0", 0xFEFD: "DTLSv1.2"}.get(version, "DTLS")
    names = [tls_registry.CONTENT_TYPES.get(kind, "unknown") for kind in types]
    handshakes = iter(shakes)
    alone = names.count("handshake") == len(shakes)
    records = []
    for number, record in enumerate(names):
        shake = next(handshakes, None) if record == "handshake" and alone else None
        if record == "handshake" and not alone and names.count("handshake") == 1:
            shake = shakes[0] if shakes else None
        records.append(Record(
            record, tls_registry.HANDSHAKE_TYPES.get(shake) if shake is not None else None,
            lengths[number] if len(lengths) == len(names) else None,
            fields.text(f"{name}handshakeextensionsservername") if shake == 1 else None,
            ",".join(fields.texts(f"{name}handshakeextensionsalpnstr")) or None if shake == 1 else None,
        ))  # fmt: skip
    return records, ["segment"] if fields.text("tcpsegments", "tcpsegmentcount") else []
