"""``tshark -V`` and Wireshark's export with details: one block a frame, a line a field."""

import re
from collections.abc import Iterator, Sequence

from jitsilab.inputs.prints.fields import Pairs
from jitsilab.protocols import stun_registry

HEAD = re.compile(
    r"Frame (?P<number>\d{1,12})(?:: | \()(?P<length>\d{1,9}) bytes on wire(?: \(\d+ bits\))?, (?P<kept>\d{1,9}) bytes"
)
_LAYERS = (
    ("Ethernet", "eth"), ("Internet Protocol Version 4", "ip"), ("Internet Protocol Version 6", "ipv6"),
    ("Internet Protocol, Src", "ip"), ("Transmission Control Protocol", "tcp"), ("User Datagram Protocol", "udp"),
    ("Session Traversal Utilities for NAT", "stun"), ("Datagram Transport Layer", "dtls"),
    ("Transport Layer Security", "tls"), ("Secure Sockets Layer", "tls"), ("Address Resolution Protocol", "arp"),
    ("[", "note"),
)  # fmt: skip
_ENDS = re.compile(
    r"Src: (?P<src>[^,]+?)(?: \((?P<src2>[^)]*)\))?, Dst: (?P<dst>[^,]+?)(?: \((?P<dst2>[^)]*)\))?(?:,|$)"
)
_PORTS = re.compile(r"Src Port: (?P<src>[^,]+), Dst Port: (?P<dst>[^,]+)")
_FIELD = re.compile(r"\s+\[?(?P<label>[A-Za-z][^:=]{0,60}?): (?P<value>.*?)\]?$")
_OPTION = re.compile(r"\s+TCP Option - (?P<name>[A-Za-z ]+)(?:: (?P<value>.*))?")
_LABELS = {  # layer: label of a line: field, and which part of the value
    "frame": {
        "Epoch Time": "frametimeepoch", "Arrival Time": "frametime", "Protocols in frame": "frameprotocols",
        "Time since reference or first frame": "frametimerelative", "UTC Arrival Time": "timeutc",
    },
    "ip": {"Protocol": "ipproto"},
    "ipv6": {"Next Header": "ipv6nxt"},
    "tcp": {
        "Sequence Number": "tcpseq", "Sequence number": "tcpseq", "Acknowledgment Number": "tcpack",
        "Acknowledgment number": "tcpack", "Flags": "tcpflags", "Calculated window size": "tcpwindowsize",
        "TCP Segment Len": "tcplen",
    },
    "udp": {"Length": "udplength"},
    "stun": {
        "Message Type": "stuntype", "Message Transaction ID": "stunid", "Username": "stunattusername",
        "Realm": "stunattrealm", "Lifetime": "stunattlifetime", "Channel-Number": "stunattchannelnum",
        "Error Class": "stunatterrorclass", "Error Code": "stunatterror", "Error Reason Phrase": "stunatterrorreason",
        "Port": "stunattport", "IP": "stunattipv4", "Attribute Type": "stunatttype",
    },
    "tls": {"Content Type": "recordtypes", "Opaque Type": "recordtypes", "Length": "tlsrecordlength",
            "Handshake Type": "tlshandshaketype", "Server Name": "tlshandshakeextensionsservername",
            "ALPN Next Protocol": "tlshandshakeextensionsalpnstr", "Supported Version":
            "tlshandshakeextensionssupportedversion"},
    "dtls": {"Content Type": "recordtypes", "Length": "dtlsrecordlength", "Handshake Type": "dtlshandshaketype"},
    "arp": {"Opcode": "arpopcode", "Sender MAC address": "arpsrchwmac", "Sender IP address": "arpsrcprotoipv4",
            "Target IP address": "arpdstprotoipv4"},
}  # fmt: skip
_TEXTS = {
    "frametime", "timeutc", "frameprotocols", "stunattusername", "stunattrealm", "stunatterrorreason",
    "tlshandshakeextensionsservername", "tlshandshakeextensionsalpnstr",
}  # fmt: skip
_LINE = 2048  # characters of a line that are looked at
_RECORD_INDENT = 8  # blanks before a record's own fields, fewer than before those of its messages
_TYPES = {name: number for number, name in {**stun_registry.ATTRIBUTES, **stun_registry.PRIVATE_ATTRIBUTES}.items()}


def frames(lines: Sequence[str]) -> Iterator[tuple[int, Pairs]]:
    """Line number and fields of each frame."""
    pairs: Pairs = []
    at, layer, seen = 0, "", set[str]()
    for number, line in enumerate(lines, 1):
        line = line[:_LINE]
        head = HEAD.match(line)
        if head:
            if at:
                yield at, pairs
            at, layer, seen = number, "frame", set()
            pairs = [("framenumber", head["number"]), ("framelen", head["length"]), ("framecaplen", head["kept"])]
        elif not at or not line.strip():
            continue
        elif not line[0].isspace():
            layer = next((name for start, name in _LAYERS if line.startswith(start)), "")
            if layer in seen and layer in ("ip", "ipv6", "tcp", "udp", "eth"):
                layer = ""  # of a packet inside
            seen.add(layer)
            _head(layer, line, pairs)
        elif layer in _LABELS:
            _field(layer, line, pairs)
    if at:
        yield at, pairs


def _head(layer: str, line: str, pairs: Pairs) -> None:
    """Addresses and ports, which the first line of a layer holds."""
    if layer in ("eth", "ip", "ipv6") and (match := _ENDS.search(line)):
        for end in ("src", "dst"):
            pairs.append((f"{layer}{end}", match[f"{end}2"] or match[end]))
    if layer in ("tcp", "udp") and (match := _PORTS.search(line)):
        for end in ("src", "dst"):
            digits = re.search(r"\d+", match[end].rsplit("(", 1)[-1])
            if digits:
                pairs.append((f"{layer}{end}port", digits[0]))


def _field(layer: str, line: str, pairs: Pairs) -> None:
    if layer == "tcp" and (option := _OPTION.match(line)):
        value = option["value"] or ""
        numbers = re.findall(r"\d+", value)
        match option["name"].strip():
            case "Maximum segment size" if numbers:
                pairs.append(("tcpoptionsmssval", numbers[0]))
            case "Window scale" if numbers:
                pairs.append(("tcpoptionswscaleshift", numbers[0]))
            case "SACK permitted":
                pairs.append(("tcpoptionssackperm", "1"))
            case "Timestamps" if len(numbers) > 1:
                pairs.extend((("tcpoptionstimestamptsval", numbers[0]), ("tcpoptionstimestamptsecr", numbers[1])))
        return
    labelled = _FIELD.match(line)
    key = _LABELS[layer].get(labelled["label"]) if labelled else None
    if labelled is None or key is None:
        if layer in ("tls", "dtls") and "Version: " in line and (number := re.search(r"\(0x([0-9a-f]{4})\)", line)):
            outer = len(line) - len(line.lstrip()) <= _RECORD_INDENT
            kind = "supportedversion" if "Supported" in line else ""
            where = f"handshakeextensions{kind}" if kind else "recordversion" if outer else "handshakeversion"
            pairs.append((layer + where, "0x" + number[1]))
        return
    value = labelled["value"]
    if key.endswith("recordlength") and len(line) - len(line.lstrip()) > _RECORD_INDENT:
        return  # of a message
    if key == "stunatttype":
        if value in _TYPES:
            pairs.append((key, str(_TYPES[value])))
        return
    if key in _TEXTS or key in ("stunattipv4", "stunid", "arpsrcprotoipv4", "arpdstprotoipv4"):
        pairs.append((key, value.split(" (")[0] if key.startswith("arp") else value))
        return
    if key == "arpsrchwmac":
        pairs.append((key, value.rsplit("(", 1)[-1].rstrip(")")))
        return
    last, first = re.search(r"\((0x[0-9a-f]+|\d+)\)$", value), re.match(r"0x[0-9a-f]+|-?\d+(?:\.\d+)?", value)
    number = first if first and key not in ("recordtypes",) else last
    if number:
        text = number[1] if number is last and number is not first else number[0]
        pairs.append((key, text))
        if key == "recordtypes":
            pairs.append((f"{layer}recordcontenttype", text))
