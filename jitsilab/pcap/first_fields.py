"""One frame taken apart, as deep as it goes, for the first occurrence of addresses, protocol and ports in it.

A dissector that follows tunnels (GRE, RFC 2784, 2890 and 8086; VXLAN, RFC 7348; Geneve, RFC 8926; Teredo, RFC 4380;
MPLS, RFC 4023 and 7510; IP in IP) and the packets that ICMP errors quote, and that tells what a cut header still shows.
"""

from socket import AF_INET, inet_ntop

from jitsilab.pcap.fragments import Reassembler
from jitsilab.pcap.links import IPV4, IPV6, MPLS, PPPOE, QINQ, TCP, UDP, VLAN

VXLAN, VXLAN_GPE, GENEVE, TEREDO, GRE_IN_UDP, MPLS_IN_UDP = 4789, 4790, 6081, 3544, 4754, 6635
TUNNELS = (VXLAN, VXLAN_GPE, GENEVE, TEREDO, GRE_IN_UDP, MPLS_IN_UDP)  # UDP ports

_ICMP, _IPIP, _IPV6, _GRE, _AH, _ICMP6, _UDPLITE, _MPLS = 1, 4, 41, 47, 51, 58, 136, 137
_HOP_BY_HOP, _FRAGMENT = 0, 44
_EXTENSIONS = (_HOP_BY_HOP, 43, 60, 135, 139, 140)
_DEEPEST = 16  # packets inside packets


def first_fields(packet: bytes, kind: int, fragments: Reassembler) -> str:
    """``ip.src,ip.dst,ip.proto,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport`` of what a link carries.

    ``kind`` is its EtherType.
    """
    fields = _Fields(fragments)
    fields.carried(packet, kind)
    ports = (*fields.ports.get(TCP, ("", "")), *fields.ports.get(UDP, ("", "")))
    return ",".join((*fields.network, *ports))


class _Fields:
    def __init__(self, fragments: Reassembler) -> None:
        self.network = ["", "", ""]
        self.ports: dict[int, tuple[str, str]] = {}
        self._fragments = fragments
        self._depth = 0

    def ethernet(self, data: bytes) -> None:
        kind = int.from_bytes(data[12:14])
        if kind > 1500:
            self.carried(data[14:], kind)
        elif data[14:20] == b"\xaa\xaa\x03\0\0\0":
            self.carried(data[22:], int.from_bytes(data[20:22]))

    def carried(self, data: bytes, kind: int) -> None:
        """What an EtherType names."""
        while kind in (VLAN, QINQ, 0x9100) and len(data) >= 4:
            kind, data = int.from_bytes(data[2:4]), data[4:]
        if kind == IPV4:
            self.ipv4(data)
        elif kind == IPV6:
            self.ipv6(data)
        elif kind in (MPLS, MPLS + 1):
            while len(data) >= 4 and not data[2] & 1:
                data = data[4:]
            self.carried(data[4:], _by_version(data[4:]))
        elif kind == PPPOE:
            self.ppp(data[6:])

    def ppp(self, data: bytes) -> None:
        short = bool(data[:1]) and data[0] & 1
        protocol, rest = (data[0], data[1:]) if short else (int.from_bytes(data[:2]), data[2:])
        self.carried(rest, {0x21: IPV4, 0x57: IPV6}.get(protocol, 0))

    def ipv4(self, data: bytes) -> None:
        size, length = (data[0] & 15) * 4 if data else 0, int.from_bytes(data[2:4])
        self._depth += 1
        if size < 20 or data[0] >> 4 != 4 or self._depth > _DEEPEST or 0 < length < size:
            return
        shown = (data[12:16], 16), (data[16:20], _end_of_options(data, size))
        fields = [inet_ntop(AF_INET, part) if len(data) >= need else "" for part, need in shown]
        fields.append(str(data[9]) if len(data) >= 10 else "")
        self.network = [old or new for old, new in zip(self.network, fields, strict=True)]
        if len(data) < size:
            return
        fragment = int.from_bytes(data[6:8])
        whole = length <= len(data)
        data_ = data[size : length or None]
        if fragment & 0x3FFF and whole and length > size:
            key = (4, data[12:20], data[4:6], data[9])
            complete = self._fragments.add(key, (fragment & 0x1FFF) * 8, bool(fragment & 0x2000), data_)
            if complete is None:
                return
            data_ = complete
        elif fragment & 0x1FFF:
            return
        self.transport(data_, data[9])

    def ipv6(self, data: bytes) -> None:
        self._depth += 1
        if len(data) < 40 or data[0] >> 4 != 6 or self._depth > _DEEPEST:
            return
        length, following, rest = int.from_bytes(data[4:6]), data[6], data[40:]
        if not length and (following != _HOP_BY_HOP or len(rest) < 65536):  # RFC 2675: else no jumbogram
            return
        whole = length <= len(rest)
        rest = rest[: length or None]
        for _ in range(2 * _DEEPEST):
            if following in _EXTENSIONS and len(rest) >= 8:
                following, rest = rest[0], rest[(rest[1] + 1) * 8 :]
            elif following == _FRAGMENT and len(rest) >= 8:
                place = int.from_bytes(rest[2:4])
                following, identity, rest = rest[0], rest[4:8], rest[8:]
                if place & 0xFFF9:
                    if not whole:
                        return
                    key = (6, data[8:40], identity, following)
                    complete = self._fragments.add(key, place & 0xFFF8, bool(place & 1), rest)
                    if complete is None:
                        return
                    rest = complete
            else:
                break
        self.transport(rest, following)

    def transport(self, data: bytes, protocol: int) -> None:
        """What an IP header carries."""
        if protocol in (TCP, UDP, _UDPLITE) and len(data) >= 4:
            source, target = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
            self.ports.setdefault(TCP if protocol == TCP else UDP, (str(source), str(target)))
            if protocol == UDP:
                self.datagram(data, source, target)
        elif protocol == _ICMP and data and data[0] in (3, 4, 5, 11, 12):
            self.ipv4(data[8:])
        elif protocol == _ICMP6 and data and data[0] in (1, 2, 3, 4):
            self.ipv6(data[8:])
        elif protocol == _IPIP:
            self.ipv4(data)
        elif protocol == _IPV6:
            self.ipv6(data)
        elif protocol == _AH and len(data) >= 12:
            self.transport(data[(data[1] + 2) * 4 :], data[0])
        elif protocol == _MPLS:
            self.carried(data, MPLS)
        elif protocol == _GRE:
            self.gre(data)

    def gre(self, data: bytes) -> None:
        if len(data) < 4:
            return
        flags, kind = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
        rest = data[4 + 4 * (flags >> 15 & 1) + 4 * (flags >> 13 & 1) + 4 * (flags >> 12 & 1) :]
        if flags & 0x4007:  # version 1 carries PPP, and routing is history
            return
        if kind in (0x6558, 0x88BE):  # Ethernet, or a mirrored frame (ERSPAN), behind 8 bytes if numbered
            self.ethernet(rest[8:] if kind == 0x88BE and flags & 0x1000 else rest)
        else:
            self.carried(rest, kind)

    def datagram(self, data: bytes, source: int, target: int) -> None:
        """UDP payload that the port says is a tunnel."""
        ports = (source, target)
        if VXLAN in ports and len(data) > 16:
            self.ethernet(data[16:])
        elif GENEVE in ports and len(data) > 16:
            kind, rest = int.from_bytes(data[10:12]), data[16 + 4 * (data[8] & 63) :]
            self.ethernet(rest) if kind == 0x6558 else self.carried(rest, kind)
        elif VXLAN_GPE in ports and len(data) > 16:
            kind = {1: IPV4, 2: IPV6, 5: MPLS}.get(data[11], 0)
            self.ethernet(data[16:]) if data[11] == 3 else self.carried(data[16:], kind)
        elif GRE_IN_UDP in ports:
            self.gre(data[8:])
        elif MPLS_IN_UDP in ports:
            self.carried(data[8:], MPLS)
        elif TEREDO in ports and len(data) > 8:
            self.ipv6(data[8:])


def _end_of_options(data: bytes, size: int) -> int:
    """Bytes that have to be there for tshark to tell the destination: a source route could name another."""
    at = need = 20
    while at < size:
        kind = data[at] if at < len(data) else 0
        need = at + 1 if kind < 2 else at + 2
        if not kind:
            break
        at += 1 if kind == 1 else max(2, int.from_bytes(data[at + 1 : at + 2]))
    return need


def _by_version(data: bytes) -> int:
    return {4: IPV4, 6: IPV6}.get(data[0] >> 4, 0) if data else 0
