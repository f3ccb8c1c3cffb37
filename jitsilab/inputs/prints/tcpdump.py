"""tcpdump's text: a line a packet, with ``-v`` two, with any of its forms of time, with and without the link header.

tcpdump prints no length of the frame but with ``-e``; it is then deduced from the headers, as over Ethernet.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jitsilab.inputs.prints import times
from jitsilab.inputs.prints.transcript import Printed

LONGEST = 8192  # characters of a packet's lines
_NUMBERED = re.compile(r"\s*(\d{1,12})  (?=[\d ])")  # -#
_TIME = re.compile(r"\s?(?P<time>(?:\d{4}-\d\d-\d\d )?-?\d\d:\d\d:\d\d\.\d{6,9}|\d{9,10}\.\d{6,9})\s+(?P<rest>\S.*)")
_PREFIX = re.compile(
    r"^[>|\s]*(?:[^\s:]{1,200}?[:-])?(?:\d{1,9}[:-])?(?=\s?(?:\d{4}-\d\d-\d\d )?-?\d\d:\d\d:\d\d\.\d{6})"
)
_BARE = re.compile(r"(?:IP6? (?:\(|\S+ > \S+: )|ARP, |\(tos |[\w.-]+\s+(?:In|Out|B|M|P)\s+(?:IP6? |ARP, ))")
_BEHIND = re.compile(  # what stands behind the time of a packet
    r"(?:\S+\s+)?(?:In|Out|B|M|P|Bcast|Mcast|\?)\s+(?:ifindex|IP|ARP|ethertype|[0-9a-f]{2}:|\()|"
    r"IP6?[ ,(]|ARP,|ICMP|\(tos|"
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2} |AF |STP |LLDP|CDP|802\.|MPLS|PPP|IPX|AARP|loopback|EAP|vlan |LACP|Unknown|ip: |"
    r"\[\||unknown |length |Flags \[|\S+ > \S+[:,]|IS-IS|DTP|UDLD|VTP|ERSPAN|GRE|Slow|Loopback|NFLOG"
)
_HEX = re.compile(r"\s+0x[0-9a-f]{4}:\s")
_CHATTER = re.compile(
    r"reading from |listening on |tcpdump: |dropped privs|\d+ packets? |Warning: |Running as |data link type"
)
_MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"
_LINK = re.compile(rf"(?:(?P<src>{_MAC})(?: \([^)]*\))? > (?P<dst>{_MAC}|Broadcast)(?: \([^)]*\))?, |ethertype )")
_LINK_LENGTH = re.compile(r"(?:ethertype [^,]+|802\.3|802\.1Q[^,]*|[A-Z]\S*), length (\d{1,9}): ")
_TOTAL = re.compile(r"proto (?P<name>[\w-]+) \((?P<number>\d{1,3})\), length (?P<length>\d{1,9})(?:, [^)]*)?\)")
_SIX = re.compile(r"next-header (?P<name>[\w.-]+) \((?P<number>\d{1,3})\) payload length: (?P<length>\d{1,9})\)")
_ENDS = re.compile(r"(?P<src>[^\s>]{1,256}) > (?P<dst>[^\s>]{1,256}):(?:\s+(?P<what>.*)|$)", re.DOTALL)
_REMARKS = re.compile(r"(?:\[[^\]]*\]\s*)+")  # [udp sum ok], [icmp6 sum ok]
_SERVICES = {
    "https": 443, "http": 80, "domain": 53, "stun": 3478, "stuns": 5349, "turn": 3478, "turns": 5349, "ssh": 22,
    "xmpp-client": 5222, "xmpp-server": 5269, "xmpp-bosh": 5280, "http-alt": 8080, "webmin": 10000, "ntp": 123,
    "mdns": 5353, "bootps": 67, "bootpc": 68, "sip": 5060, "rtp-data": 5004, "ftp": 21, "smtp": 25, "telnet": 23,
    "netbios-ns": 137, "netbios-dgm": 138, "snmp": 161, "syslog": 514, "ldap": 389, "imaps": 993, "kerberos": 88,
    "hostmon": 5355, "ssdp": 1900, "isakmp": 500, "ipsec-nat-t": 4500, "submission": 587, "postgresql": 5432,
    "mysql": 3306, "openvpn": 1194, "https-alt": 8443, "pcsync-https": 8443, "websm": 9090, "scp-config": 10001,
}  # fmt: skip
_FLAG = {"S": "SYN", "F": "FIN", "P": "PSH", "R": "RST", ".": "ACK", "U": "URG", "E": "ECE", "W": "CWR", "e": "AE"}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
_OPTIONS = {"mss": 4, "sackOK": 2, "TS": 10, "nop": 1, "wscale": 3, "eol": 1, "tfo": 10, "md5": 18}
_ETHERNET, _IPV4, _IPV6, _TCP, _UDP = 14, 20, 40, 20, 8


def looks_timeless(line: str) -> bool:
    """Whether a line is tcpdump's without a time (``-t``)."""
    return bool(_BARE.match(line)) and not _PREFIX.match(line)


def starts(line: str) -> "tuple[int | None, str, str] | None":
    """Number, time and rest of a line that begins a packet; None where it begins none."""
    numbered = _NUMBERED.match(line)
    text = line[numbered.end() :] if numbered else line
    timed = _TIME.match(text)
    if timed is None and (prefix := _PREFIX.match(line)):
        timed, numbered = _TIME.match(line[prefix.end() :]), None
    if timed is None or not _BEHIND.match(timed["rest"]):
        return None
    return int(numbered[1]) if numbered else None, timed["time"], timed["rest"]


def frames(lines: Sequence[str]) -> Iterator["Printed | tuple[int, str]"]:
    """Every packet in order; where a line is none, its number and what it is."""
    held: list[str] = []
    begun: tuple[int, int, str] | None = None
    count = size = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or _HEX.match(line):
            continue
        start = starts(line)
        if start is not None:
            if begun is not None:
                yield _packet(*begun, " ".join(held))
            count += 1
            begun, held, size = (start[0] or count, number, start[1]), [start[2]], len(line)
        elif begun is not None and line[0].isspace() and size < LONGEST:
            held.append(line.strip())
            size += len(line)
        elif not _CHATTER.match(line):
            yield number, line
    if begun is not None:
        yield _packet(*begun, " ".join(held))


def _packet(frame: int, line: int, time: str, text: str) -> Printed:
    packet = Printed(frame, float("nan"), None, line=line)
    packet.stamp = times.stamp(time)
    link = _LINK.search(text[:200])
    length = _LINK_LENGTH.search(text[:300])
    if length:
        packet.length, text = int(length[1]), text[length.end() :]
    if link:
        packet.src, packet.dst = link["src"], link["dst"]
        text = text[link.end() :] if not length and link["src"] else text
    total, six = _TOTAL.search(text), _SIX.search(text)
    inner = 0
    if total:
        packet.ip_protocol, inner, text = int(total["number"]), int(total["length"]), text[total.end() :]
    elif six:
        packet.ip_protocol, inner, text = int(six["number"]), int(six["length"]) + _IPV6, text[six.end() :]
    ends = _ENDS.search(text)
    if "ARP, " in text[:40] or re.match(r"(?:Request|Reply) (?:who-has|\S+ is-at)", text):
        _arp(packet, text)
    elif ends:
        _ends(packet, ends)
        what = ends["what"] or ""
        remarks = _REMARKS.match(what)
        _transport(packet, what[remarks.end() :] if remarks else what, inner)
    else:
        word = re.match(r"[\w.]+", text)
        packet.protocol = word[0].upper() if word else None
    if packet.length is None and inner:
        packet.length = inner + _ETHERNET
    return packet


def _arp(packet: Printed, text: str) -> None:
    asked = re.search(r"who-has (\S+?)(?: \([^)]*\))? tell ([^\s,]+)", text)
    answer = re.search(r"Reply (\S+) is-at (\S+?),", text)
    packet.protocol = "ARP"
    if asked:
        packet.fields = {"operation": 1, "sender_ip": asked[2], "target_ip": asked[1]}
    elif answer:
        packet.fields = {"operation": 2, "sender_ip": answer[1], "sender_mac": answer[2], "target_ip": None}


def _ends(packet: Printed, ends: re.Match[str]) -> None:
    (packet.src, packet.src_port), (packet.dst, packet.dst_port) = _end(ends["src"]), _end(ends["dst"])
    packet.ip_version = 6 if ":" in packet.src else 4 if re.fullmatch(r"\d+(\.\d+){3}", packet.src) else None


def _end(text: str) -> tuple[str, int | None]:
    """Address and port; of a name that may end in either, the port where it is one's."""
    four = re.match(r"(\d{1,3}(?:\.\d{1,3}){3})(?:\.(.+))?$", text)
    if four:
        host, port = four[1], four[2]
    elif text.count(":") > 1:
        host, _, port = text.partition(".")
    else:
        host, _, port = text.rpartition(".")
        if not (port.isdecimal() or port in _SERVICES):
            return text, None
    if not port:
        return host, None
    number = int(port) if port.isdecimal() else _SERVICES.get(port, -1)
    return host, number if 0 <= number <= 65_535 else None


def _transport(packet: Printed, what: str, inner: int) -> None:
    """Protocol, payload length and, of TCP, the header."""
    header = _IPV6 if packet.ip_version == 6 else _IPV4
    lengths = re.findall(r"\blength (\d{1,9})(?![\w.])", what)
    size = int(lengths[-1]) if lengths else None
    if what.startswith("Flags [") or re.match(r"tcp \d", what):
        packet.ip_protocol, packet.protocol = 6, "TCP"
        packet.fields = _segment(packet, what)
        payload = packet.fields["length"]
        options = packet.fields.pop("options", 0)
        if payload is not None and not inner and packet.length is None and "quiet" not in packet.fields:
            packet.length = _ETHERNET + header + _TCP + options + payload
        return
    if re.match(r"ICMP6?\b", what) or what.startswith("HBH ICMP6"):
        packet.protocol = "ICMPv6" if "ICMP6" in what[:12] else "ICMP"
        packet.ip_protocol = 58 if packet.protocol == "ICMPv6" else 1
        if size is not None and packet.length is None and not inner:
            packet.length = _ETHERNET + header + size
        return
    if (packet.src_port is None and packet.dst_port is None) or packet.ip_protocol not in (None, 17):
        word = re.match(r"[A-Za-z][\w-]*", what)
        packet.protocol = word[0].upper() if word else None
        return
    packet.ip_protocol, packet.protocol = 17, "UDP"
    name = re.search(r"\((\d{1,9})\)\s*$", what[-20:])
    payload = size if size is not None else int(name[1]) if name else None
    if name and re.match(r"(?:\[[^\]]*\] )?\d+[*+|$%-]* ", what):
        packet.protocol = "DNS"
    elif what.startswith("quic"):
        packet.protocol = "QUIC"
    if what.startswith("UDP, bad length"):
        payload = None
    if packet.protocol == "UDP":
        packet.fields = {"src_port": packet.src_port, "dst_port": packet.dst_port, "length": payload}
    if payload is not None and packet.length is None and not inner:
        packet.length = _ETHERNET + header + _UDP + payload


def _segment(packet: Printed, what: str) -> dict[str, Any]:
    quiet = re.match(r"tcp (\d{1,9})", what)
    fields: dict[str, Any] = {"notes": "", "src_port": packet.src_port, "dst_port": packet.dst_port, "sack": None}
    if quiet:
        return fields | {"flags": "", "length": int(quiet[1]), "quiet": True}
    shown = {_FLAG[letter] for letter in what[7:].partition("]")[0] if letter in _FLAG}
    fields["flags"] = ",".join(name for name in _FLAGS if name in shown)
    for name, pattern in (("seq", r"\bseq (\d{1,12})"), ("ack", r"\back (\d{1,12})"), ("window", r"\bwin (\d{1,12})"),
                          ("length", r"\blength (\d{1,9})"), ("mss", r"\bmss (\d{1,9})"),
                          ("scale", r"\bwscale (\d{1,9})"),
                          ("tsval", r"\bTS val (\d{1,12})"), ("tsecr", r"\becr (\d{1,12})")):  # fmt: skip
        match = re.search(pattern, what)
        fields[name] = int(match[1]) if match else None
    options = re.search(r"\boptions \[([^\]]*)\]", what)
    fields["sack_permitted"] = True if options and "sackOK" in options[1] else None
    blocks = re.findall(r"\{(\d+):(\d+)\}", options[1]) if options else []
    fields["sack"] = " ".join(f"{a}-{b}" for a, b in blocks) or None
    size = (
        sum(_OPTIONS.get(option.split()[0], 0) for option in options[1].split(",") if option.strip()) if options else 0
    )
    size += 2 + 8 * len(blocks) if blocks else 0
    return fields | {"options": size + 3 & ~3}
