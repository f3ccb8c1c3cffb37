"""tshark's summary of a frame, read back into fields: the column is parsed wholly or not at all.

Each function takes the text after the length column and gives its fields. Text that it does not know raises ParseError
whose offset is the position in that text, so that nothing of a published line vanishes in silence.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from jitsilab.errors import ParseError

Fields = dict[str, object]


_REMARK = re.compile(r"\[(?P<remark>[^\]]*)\]")
_ENDPOINTS = re.compile(r"(?P<src_port>\d{1,12}) (?:→|->) (?P<dst_port>\d{1,12})")
_REMARKS = {  # tshark's words: ours, which are names of columns' values
    "ACKed unseen segment": "acked-unseen", "Previous segment not captured": "previous-lost",
    "Previous segment lost": "previous-lost", "Out-Of-Order": "out-of-order", "Window Update": "window-update",
    "segment of a reassembled PDU": "segment", "Retransmission": "retransmission",
    "Fast Retransmission": "fast-retransmission", "Spurious Retransmission": "spurious-retransmission",
    "Keep-Alive": "keep-alive", "Keep-Alive ACK": "keep-alive-ack", "Window Full": "window-full",
    "ZeroWindow": "zero-window", "ZeroWindowProbe": "zero-window-probe", "Port numbers reused": "ports-reused",
    "PDU reassembled in": "segment",
}  # fmt: skip


def remarks(info: str) -> tuple[list[str], str]:
    """What tshark remarked in brackets about the TCP segment, and the text without it.

    A duplicate acknowledgement is ``duplicate-ack FRAME COUNT``. Raises ParseError for a remark it does not know.
    """
    noted: list[str] = []

    def take(match: re.Match[str]) -> str:
        remark = match["remark"]
        if remark.startswith("Reassembly error"):
            return ""
        if not remark.startswith("TCP "):
            return match[0]
        duplicate = re.fullmatch(r"TCP Dup ACK (\d{1,12})#(\d{1,12})", remark)
        words = re.sub(r"PDU reassembled in \d{1,12}", "PDU reassembled in", remark[4:])
        if duplicate:
            noted.append(f"duplicate-ack {duplicate[1]} {duplicate[2]}")
        elif words in _REMARKS:
            noted.append(_REMARKS[words])
        else:
            raise ParseError(f"unknown remark of tshark: {remark[:60]!r}", match.start())
        return ""

    rest = _REMARK.sub(take, info)
    return noted, rest.strip()


_NUMBERS = {
    "Seq": "seq", "Ack": "ack", "Win": "window", "Len": "length", "TSval": "tsval", "TSecr": "tsecr", "MSS": "mss",
    "WS": "scale", "SLE": "sack", "SRE": "sack",
}  # fmt: skip


def tcp(info: str) -> Fields:
    """Ports, flags, relative sequence numbers, window, payload length and options of a TCP segment."""
    notes, rest = remarks(info)
    fields: Fields = {"notes": " ".join(notes)}
    if not rest:
        return fields  # tshark names such a segment and prints nothing of its header
    head = re.match(_ENDPOINTS.pattern + r" \[(?P<flags>[A-Z, ]*)\]", rest)
    if not head:
        raise ParseError(f"no ports and flags in {rest[:60]!r}")
    fields |= {"src_port": int(head["src_port"]), "dst_port": int(head["dst_port"])}
    fields["flags"] = head["flags"].replace(" ", "")
    edges: list[str] = []
    for word in rest[head.end() :].split():
        key, equals, value = word.partition("=")
        if key in {"SACK_PERM", "SACK_PERM=1"} and value in {"", "1"}:
            fields["sack_permitted"] = True
        elif key not in _NUMBERS or not equals or not value.isdecimal() or len(value) > 12:
            raise ParseError(f"unknown word in a TCP summary: {word[:40]!r}", info.find(word))
        elif _NUMBERS[key] == "sack":
            edges.append(value)
        elif key == "WS":  # tshark prints the factor, the option holds the shift (RFC 7323 section 2)
            fields["scale"] = int(value).bit_length() - 1
        else:
            fields[_NUMBERS[key]] = int(value)
    fields["sack"] = " ".join(f"{left}-{right}" for left, right in zip(edges[::2], edges[1::2], strict=False)) or None
    return fields


HANDSHAKE = {
    "Hello Request": "hello_request", "Client Hello": "client_hello", "Server Hello": "server_hello",
    "Hello Verify Request": "hello_verify_request", "Hello Retry Request": "hello_retry_request",
    "New Session Ticket": "new_session_ticket", "Encrypted Extensions": "encrypted_extensions",
    "Certificate": "certificate", "Server Key Exchange": "server_key_exchange",
    "Certificate Request": "certificate_request", "Server Hello Done": "server_hello_done",
    "Certificate Verify": "certificate_verify", "Client Key Exchange": "client_key_exchange", "Finished": "finished",
    "Certificate Status": "certificate_status",
}  # fmt: skip
_RECORDS = {
    "Change Cipher Spec": "change_cipher_spec", "Application Data": "application_data",
    "Encrypted Handshake Message": "handshake", "Encrypted Alert": "alert", "Alert": "alert",
    "Ignored Unknown Record": "unknown", "Continuation Data": "unknown", "Encrypted Data": "unknown",
}  # fmt: skip


class Record(NamedTuple):
    """A record or handshake message that a TLS or DTLS summary names."""

    record_type: str  # handshake, change_cipher_spec, alert, application_data, unknown
    handshake: str | None  # IANA name of the message where it is in clear
    length: int | None = None  # where the print has it
    sni: str | None = None
    alpn: str | None = None


def records(info: str) -> tuple[list[Record], list[str]]:
    """The records that a TLS or DTLS summary names, in order, and tshark's remarks about the segment."""
    notes, rest = remarks(info)
    rest = re.sub(r"\[Reassembly error[^\]]*\]|\((?:Fragment|Reassembled)\)|\(SNI=[^)]*\)", "", rest)
    rest = re.sub(r"Alert \(Level: [^)]*\)", "Alert", rest)
    named = []
    for word in (part.strip() for part in rest.split(",")):
        if word in HANDSHAKE:
            named.append(Record("handshake", HANDSHAKE[word]))
        elif word in _RECORDS:
            named.append(Record(_RECORDS[word], None))
        elif word:
            raise ParseError(f"unknown record name: {word[:60]!r}", max(0, info.find(word)))
    if not named:
        raise ParseError(f"no record is named in {info[:60]!r}")
    return named, notes


_STUN = re.compile(
    r"(?P<method>[A-Z][A-Za-z-]+) (?P<message_class>Request|Success Response|Error Response|Indication)"
    r"(?: UDP| TCP)?(?=$| )"
)
_STUN_PARTS: tuple[tuple[str, Callable[[re.Match[str]], Fields]], ...] = (
    (r"(XOR-)?MAPPED-ADDRESS: (?P<a>\S.*?):(?P<p>\d{1,12})", lambda m: _address("mapped", m)),
    (r"XOR-RELAYED-ADDRESS: (?P<a>\S.*?):(?P<p>\d{1,12})", lambda m: _address("relayed", m)),
    (r"XOR-PEER-ADDRESS: (?P<a>\S.*?):(?P<p>\d{1,12})", lambda m: _address("peer", m)),
    (r"(RESPONSE-ORIGIN|OTHER-ADDRESS|ALTERNATE-SERVER): \S.*?:\d{1,12}", lambda m: {}),
    (r"user: (?P<a>\S+)", lambda m: {"username": m["a"]}),
    (r"realm: (?P<a>\S+)", lambda m: {"realm": m["a"]}),
    (r"with nonce", lambda m: {}),
    (r"lifetime: (?P<a>\d{1,12})", lambda m: {"lifetime": int(m["a"])}),
    (r"(channel: |ChannelNumber=?:? ?)(?P<a>0x[0-9a-f]+|\d{1,12})", lambda m: {"channel": int(m["a"], 0)}),
    (r"bandwidth: \d{1,12}", lambda m: {}),
    (r"error-code: (?P<a>\d{3}) \([^)]*\)(?P<b>(?: (?!with nonce|realm: |user: |lifetime: )[^\s:]+(?!\S*:))*)",
     lambda m: {"error_code": int(m["a"]), "error_reason": m["b"].strip()}),
)  # fmt: skip


def _address(kind: str, match: re.Match[str]) -> Fields:
    return {f"{kind}_address": match["a"], f"{kind}_port": int(match["p"])}


def stun(info: str) -> Fields:
    """Class, method and the attributes that tshark prints of a STUN or TURN message."""
    if info == "ChannelData TURN Message":
        return {"method": "ChannelData", "message_class": None}
    head = _STUN.match(info)
    if not head:
        raise ParseError(f"no STUN class and method in {info[:60]!r}")
    message_class = head["message_class"].split()[0].lower()
    fields: Fields = {"method": head["method"].replace("-", ""), "message_class": message_class}
    at = head.end()
    while at < len(info):
        if info[at] == " ":
            at += 1
            continue
        for pattern, give in _STUN_PARTS:
            match = re.compile(pattern + r"(?=$| )").match(info, at)
            if match:
                for key, value in give(match).items():
                    fields.setdefault(key, value)
                at = match.end()
                break
        else:
            raise ParseError(f"unknown words in a STUN summary: {info[at:][:60]!r}", at)
    return fields


_RTCP = {  # tshark's name: the packet type (RFC 3550 section 12.1, RFC 4585, RFC 3611)
    "Sender Report": 200, "Receiver Report": 201, "Source description": 202, "Goodbye": 203,
    "Application specific": 204, "Generic RTP Feedback": 205, "Payload-specific Feedback": 206,
    "Extended report (RFC 3611)": 207,
}  # fmt: skip


def rtcp(info: str) -> Fields:
    """The first packet's type and how many an RTCP summary names; ``malformed`` where tshark could not read one.

    SRTCP encrypts all but the first eight bytes, so what follows the first name is what tshark made of ciphertext.
    """
    rest, malformed = re.subn(r"\[Malformed Packet\]", "", info)
    names = [part for part in re.split(r"\s{2,}", rest.strip()) if part]
    if not names or _RTCP.get(names[0]) is None:
        raise ParseError(f"no RTCP packet that is known: {info[:60]!r}")
    return {"packet_type": _RTCP[names[0]], "named": len(names), "malformed": bool(malformed)}


def arp(info: str) -> Fields:
    """Operation and addresses of an ARP packet; the hardware addresses stand in the line's address columns."""
    asked = re.fullmatch(r"Who has (?P<target>.+)\? Tell (?P<sender>.+?)(?: \(duplicate use of .*\))?", info)
    if asked:
        return {"operation": 1, "sender_ip": asked["sender"], "target_ip": asked["target"]}
    answer = re.fullmatch(r"(?P<sender>.+) is at (?P<mac>[0-9a-fA-F:]{17})(?: \(duplicate use of .*\))?", info)
    if answer:
        return {"operation": 2, "sender_ip": answer["sender"], "sender_mac": answer["mac"]}
    raise ParseError(f"unknown ARP summary: {info[:60]!r}")


def ssh(info: str) -> Fields:
    """Who sent an SSH packet and how long it is; ``length`` is empty for the messages of the key exchange."""
    notes, rest = remarks(info)
    match = re.fullmatch(
        r"(?P<sender>Server|Client): (?:Encrypted packet \(len=(?P<length>\d{1,12})\)|(?P<message>.+))", rest
    )
    if not match:
        raise ParseError(f"unknown SSH summary: {info[:60]!r}")
    length = int(match["length"]) if match["length"] else None
    return {"sender": match["sender"].lower(), "length": length, "message": match["message"], "notes": " ".join(notes)}


def udp(info: str) -> Fields:
    """Ports and payload length of a UDP datagram that tshark took for nothing else."""
    match = re.fullmatch(_ENDPOINTS.pattern + r" Len=(?P<length>\d{1,12})", info)
    if not match:
        raise ParseError(f"unknown UDP summary: {info[:60]!r}")
    return {key: int(match[key]) for key in ("src_port", "dst_port", "length")}
