"""The nine-column export of the study, byte for byte as tshark prints it.

That is ``tshark -r FILE -T fields -e frame.time_relative -e ip.src -e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport
-e udp.srcport -e udp.dstport -e frame.len -E header=y -E separator=, -E quote=n -E occurrence=f``. The first occurrence
of a field may lie deep in a frame: where an outer packet has no ports, those of the packet in a tunnel, or of the one
that an ICMP error quotes, are printed. Such frames are rare and are taken apart one by one; all others come from the
columns.
"""

from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, inet_ntop
from typing import BinaryIO, TextIO

import numpy as np

from jitsilab.links import IPV4, IPV6, MPLS, QINQ, TCP, UDP, VLAN
from jitsilab.pcap import Packets, scan

HEADER = "frame.time_relative,ip.src,ip.dst,ip.proto,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport,frame.len\n"

_ICMP, _IPIP, _IPV6, _GRE, _AH, _ICMP6, _UDPLITE = 1, 4, 41, 47, 51, 58, 136
_OPEN = (_ICMP, _IPIP, _IPV6, _GRE, _AH, _ICMP6, _UDPLITE)  # IP protocols that may hold another packet, or ports
_VXLAN, _GENEVE, _TEREDO = 4789, 6081, 3544
_TUNNELS = (_VXLAN, _GENEVE, _TEREDO)  # UDP ports
_EXTENSIONS = (0, 43, 60, 135, 139, 140)
_DEEPEST = 16  # packets inside packets


def write(source: "str | Path | BinaryIO", out: TextIO) -> None:
    """Write the export of a capture to a text file.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    out.write(HEADER)
    zero: int | None = None
    for packets in scan(source):
        zero = int(packets.time[0]) if zero is None else zero
        out.write("".join(_lines(packets, zero)))


def _lines(packets: Packets, zero: int) -> Iterator[str]:
    second = 1_000_000_000
    since = packets.time - zero
    whole, part = np.divmod(np.abs(since), second)
    version, protocol = packets.ip_version, packets.ip_protocol
    source, target = packets.src_port, packets.dst_port
    odd = np.isin(protocol, _OPEN) | ((protocol == UDP) & (np.isin(source, _TUNNELS) | np.isin(target, _TUNNELS)))
    # Ports count apart for TCP (0), UDP (1) and neither (2); addresses and protocol are those of IPv4 alone.
    kind = np.where(source < 0, 2, np.where(protocol == TCP, 0, 1))
    four = version == 4
    columns = (np.where(four, packets.src, -1), np.where(four, packets.dst, -1), np.where(four, protocol, -1),
               kind, source, target)  # fmt: skip
    known: dict[tuple[int, ...], str] = {}
    middles = _middles(packets, known, list(zip(*(column.tolist() for column in columns), strict=True)))
    signs = np.where(since < 0, "-", "").tolist()
    lines = [
        f"{sign}{seconds}.{nanoseconds:09d},{middle},{length}\n"
        for sign, seconds, nanoseconds, middle, length in zip(
            signs, whole.tolist(), part.tolist(), middles, packets.length.tolist(), strict=True
        )
    ]
    for row in np.flatnonzero(odd).tolist():
        fields = _Fields()
        number = row + packets.first
        start, code = int(packets.transport_start[row]), int(protocol[row])
        if version[row] == 4:
            ends = packets.address(int(packets.src[row])), packets.address(int(packets.dst[row]))
            fields.network = *ends, str(code)
        if start:
            data = packets.reassembled[number][0] if number in packets.reassembled else packets.frame(number)[start:]
            fields.transport(data, code, 0)
        time, _, rest = lines[row].partition(",")
        lines[row] = f"{time},{fields.text()},{rest.rsplit(',', 1)[1]}"
    return iter(lines)


def _middles(packets: Packets, known: dict[tuple[int, ...], str], keys: list[tuple[int, ...]]) -> list[str]:
    """Addresses, protocol and ports as text; the same for all packets of a flow, so each is made once."""
    for key in set(keys):
        source, target, protocol, kind, source_port, target_port = key
        ports = ["", "", "", ""]
        if kind < 2:
            ports[2 * kind : 2 * kind + 2] = str(source_port), str(target_port)
        known[key] = ",".join(
            (packets.address(source), packets.address(target), str(protocol) if protocol >= 0 else "", *ports)
        )
    return [known[key] for key in keys]


class _Fields:
    """First occurrence of each field in one frame, outermost packet first."""

    def __init__(self) -> None:
        self.network: tuple[str, str, str] | None = None
        self.ports: dict[int, tuple[str, str]] = {}

    def text(self) -> str:
        none = ("", "")
        return ",".join((*(self.network or ("", "", "")), *self.ports.get(TCP, none), *self.ports.get(UDP, none)))

    def link(self, data: bytes, depth: int) -> None:
        """An Ethernet frame."""
        at, kind = 14, int.from_bytes(data[12:14])
        while kind in (VLAN, QINQ) and at + 4 <= len(data):
            kind, at = int.from_bytes(data[at + 2 : at + 4]), at + 4
        self.carried(data[at:], kind, depth)

    def carried(self, data: bytes, kind: int, depth: int) -> None:
        """What an EtherType names."""
        if kind == IPV4:
            self.ipv4(data, depth + 1)
        elif kind == IPV6:
            self.ipv6(data, depth + 1)
        elif kind in (MPLS, MPLS + 1):
            while len(data) >= 4 and not data[2] & 1:
                data = data[4:]
            version = data[4] >> 4 if len(data) > 4 else 0
            self.carried(data[4:], {4: IPV4, 6: IPV6}.get(version, 0), depth)

    def ipv4(self, data: bytes, depth: int) -> None:
        if len(data) < 20 or depth > _DEEPEST or data[0] >> 4 != 4:
            return
        size, length = (data[0] & 15) * 4, int.from_bytes(data[2:4])
        if size < 20:
            return
        if self.network is None:
            self.network = inet_ntop(AF_INET, data[12:16]), inet_ntop(AF_INET, data[16:20]), str(data[9])
        fragment = int.from_bytes(data[6:8])
        if fragment & 0x1FFF or (fragment & 0x2000 and size < length <= len(data)):
            return  # a piece that waits for the others
        self.transport(data[size : length if length >= size else None], data[9], depth)

    def ipv6(self, data: bytes, depth: int) -> None:
        if len(data) < 40 or depth > _DEEPEST or data[0] >> 4 != 6:
            return
        length = int.from_bytes(data[4:6])
        following, rest = data[6], data[40 : 40 + length if length else None]
        for _ in range(2 * _DEEPEST):
            if following in _EXTENSIONS and len(rest) >= 8:
                following, rest = rest[0], rest[(rest[1] + 1) * 8 :]
            elif following == 44 and len(rest) >= 8:
                if int.from_bytes(rest[2:4]) & 0xFFF8:
                    return
                following, rest = rest[0], rest[8:]
            else:
                break
        self.transport(rest, following, depth)

    def transport(self, data: bytes, protocol: int, depth: int) -> None:
        """What an IP header carries."""
        if protocol in (TCP, UDP, _UDPLITE):
            if len(data) >= 4:
                kind = TCP if protocol == TCP else UDP
                source, target = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
                self.ports.setdefault(kind, (str(source), str(target)))
                if kind == UDP:
                    self.datagram(data, source, target, depth)
        elif protocol == _ICMP:
            if data[:1] and data[0] in (3, 4, 5, 11, 12):
                self.ipv4(data[8:], depth + 1)
        elif protocol == _ICMP6:
            if data[:1] and data[0] in (1, 2, 3, 4):
                self.ipv6(data[8:], depth + 1)
        elif protocol == _IPIP:
            self.ipv4(data, depth + 1)
        elif protocol == _IPV6:
            self.ipv6(data, depth + 1)
        elif protocol == _AH and len(data) >= 12:
            self.transport(data[(data[1] + 2) * 4 :], data[0], depth + 1)
        elif protocol == _GRE and len(data) >= 4:
            flags, kind = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
            if flags & 7 or flags & 0x4000:  # version 1 is PPTP, routing is historic
                return
            at = 4 + 4 * (flags >> 15 & 1) + 4 * (flags >> 13 & 1) + 4 * (flags >> 12 & 1)
            if kind == 0x6558:
                self.link(data[at:], depth + 1)
            else:
                self.carried(data[at:], kind, depth)

    def datagram(self, data: bytes, source: int, target: int, depth: int) -> None:
        """UDP payload that the port says is a tunnel."""
        low, high = sorted((source, target))
        for port in (low, high):
            if port == _VXLAN and len(data) >= 16:
                return self.link(data[16:], depth + 1)
            if port == _GENEVE and len(data) >= 16:
                at, kind = 16 + 4 * (data[8] & 63), int.from_bytes(data[10:12])
                return self.link(data[at:], depth + 1) if kind == 0x6558 else self.carried(data[at:], kind, depth)
            if port == _TEREDO and len(data) > 8:
                return self.ipv6(data[8:], depth + 1)
        return None
