"""Frames rewritten from the link to the transport: addresses, checksums, clocks; payloads by those who know them."""

import struct
from typing import TYPE_CHECKING

from jitsilab.pcap.links import ARP, IPV4, IPV6, MPLS, PPPOE, QINQ, VLAN
from jitsilab.sharing.connections import Connections
from jitsilab.sharing.messages import Messages

if TYPE_CHECKING:
    from jitsilab.wire import Wire

_TAGS = (VLAN, QINQ, 0x9100)
_EXTENSIONS = (0, 43, 60, 51, 135, 139, 140)


class Frames:
    """The frames of one capture."""

    def __init__(self, wire: "Wire", messages: Messages, connections: Connections) -> None:
        self.messages, self.connections = messages, connections
        self.addresses = messages.addresses
        self.of_frame, self.up = wire.flows.of_frame, wire.flows.up
        self._first, self._flow, self._up = 0, list[int](), list[bool]()
        self._fields = wire.packets.tcp_fields
        self._clocks: dict[int, tuple[int, int]] = {}
        self._turns = 0
        self._heads: dict[bytes, bytes] = {}

    def frame(self, row: int, data: bytes, link: int, length: int) -> tuple[bytes, int]:
        """A frame and its length on the wire; what cannot be read is left out."""
        out = bytearray(data)
        kind, at = self._link(out, link)
        if kind == ARP:
            self._arp(out, at)
            return bytes(out), length
        if kind == IPV4 and at + 20 <= len(out) and out[at] >> 4 == 4:
            new = self._ip4(row, out, at, length)
        elif kind == IPV6 and at + 40 <= len(out):
            new = self._ip6(row, out, at, length)
        else:
            return bytes(out[:at]), length
        return new

    def begin(self, first: int, count: int) -> None:
        """Take up some rows, from a first one on."""
        self._first = first
        self._flow = self.of_frame[first : first + count].tolist()
        self._up = self.up[first : first + count].tolist()

    def once_more(self, row: int, data: bytes, link: int, length: int) -> tuple[bytes, int]:
        """The same with other noise."""
        names = self.messages.names
        self._turns += 1
        names.turn = b"%d:" % self._turns
        if self.of_frame[row] >= 0:
            self.connections.again(int(self.of_frame[row]))
        made = self.frame(row, data, link, length)
        names.turn = b""
        if self.of_frame[row] >= 0:
            self.connections.again(int(self.of_frame[row]))
        return made

    # --- links

    def link_header(self, header: bytes, link: int) -> bytes:
        """A header of a link alone."""
        out = bytearray(header)
        self._link(out, link)
        return bytes(out)

    def _link(self, out: bytearray, link: int) -> tuple[int, int]:
        """EtherType and where it begins; the hardware addresses are changed on the way."""
        mac = self.addresses.mac
        if link == 1 and len(out) >= 14:
            head = bytes(out[:12])
            new = self._heads.get(head)
            if new is None:
                new = self._heads[head] = mac(head[:6]) + mac(head[6:])
            out[:12] = new
            return self._tags(out, int.from_bytes(out[12:14]), 14)
        if link == 113 and len(out) >= 16:
            size = min(int.from_bytes(out[4:6]), 8)
            if size == 6:
                out[6:12] = mac(bytes(out[6:12]))
                out[12:14] = bytes(2)
            elif size != 0:
                out[6:14] = bytes(8)
            return self._tags(out, int.from_bytes(out[14:16]), 16)
        if link == 276 and len(out) >= 20:
            size = min(out[11], 8)
            if size == 6:
                out[12:18] = mac(bytes(out[12:18]))
                out[18:20] = bytes(2)
            elif size:
                out[12:20] = bytes(8)
            return self._tags(out, int.from_bytes(out[0:2]), 20)
        if link in (12, 14, 101, 228, 229) and out:
            return {4: IPV4, 6: IPV6}.get(out[0] >> 4, 0), 0
        if link in (0, 108) and len(out) > 4:
            return {4: IPV4, 6: IPV6}.get(out[4] >> 4, 0), 4
        return 0, 0

    def _tags(self, out: bytearray, kind: int, at: int) -> tuple[int, int]:
        for _ in range(16):
            if kind in _TAGS and at + 4 <= len(out):
                kind, at = int.from_bytes(out[at + 2 : at + 4]), at + 4
            elif kind == MPLS and at + 4 < len(out):
                bottom = out[at + 2] & 1
                at += 4
                if bottom:
                    kind = {4: IPV4, 6: IPV6}.get(out[at] >> 4, 0)
            elif kind == PPPOE and at + 8 <= len(out):
                kind, at = {0x21: IPV4, 0x57: IPV6}.get(int.from_bytes(out[at + 6 : at + 8]), 0), at + 8
            elif 0 < kind <= 1500 and bytes(out[at : at + 6]) == b"\xaa\xaa\x03\0\0\0" and at + 8 <= len(out):
                kind, at = int.from_bytes(out[at + 6 : at + 8]), at + 8
            else:
                break
        return kind, at

    def _arp(self, out: bytearray, at: int) -> None:
        if at + 8 > len(out):
            return
        hard, soft = out[at + 4], out[at + 5]
        place = at + 8
        for size in (hard, soft, hard, soft):
            value = bytes(out[place : place + size])
            if len(value) == size == 6:
                out[place : place + 6] = self.addresses.mac(value)
            elif len(value) == size == 4:
                out[place : place + 4] = self.addresses.packed(value)
            else:
                out[place : place + size] = bytes(len(value))
            place += size
        out[place:] = bytes(len(out) - place)

    # --- networks

    def pair(self, pair: bytes) -> bytes:
        """Two addresses, one behind the other."""
        new = self._heads.get(pair)
        if new is None:
            half = len(pair) // 2
            new = self._heads[pair] = self.addresses.packed(pair[:half]) + self.addresses.packed(pair[half:])
        return new

    def _ip4(self, row: int, out: bytearray, at: int, length: int) -> tuple[bytes, int]:
        size = (out[at] & 15) * 4
        total = int.from_bytes(out[at + 2 : at + 4])
        if size < 20 or at + size > len(out):
            return bytes(out[:at]), length
        new = self.pair(bytes(out[at + 12 : at + 20]))
        out[at + 12 : at + 20] = new
        if size > 20:
            self._options(out, at + 20, at + size)
        end = min(len(out), at + total) if total else len(out)
        fragment = int.from_bytes(out[at + 6 : at + 8])
        pseudo = new
        start = at + size
        if fragment & 0x3FFF:
            del out[start if fragment & 0x1FFF else min(start + 8, end) :]  # or its checksum would be wrong when whole
            grown, cut = 0, True
        else:
            grown, cut = self._transport(row, out, start, end, length - (len(out) - end), out[at + 9], pseudo)
        if grown and total:
            out[at + 2 : at + 4] = min(65535, total + grown).to_bytes(2)
        out[at + 10 : at + 12] = b"\0\0"
        out[at + 10 : at + 12] = (~_sum(out[at : at + size]) & 0xFFFF).to_bytes(2)
        return self._padded(out, end + grown, cut), length + grown

    @staticmethod
    def _padded(out: bytearray, end: int, cut: bool) -> bytes:
        """Zeros in place of what follows the packet; nothing does where it was cut."""
        if cut:
            return bytes(out)
        if end < len(out):
            out[end:] = bytes(len(out) - end)
        return bytes(out)

    def _options(self, out: bytearray, at: int, end: int) -> None:
        """Routes that a packet records."""
        while at + 2 <= end and out[at]:
            if out[at] == 1:
                at += 1
                continue
            size = out[at + 1]
            if size < 2 or at + size > end:
                break
            if out[at] in (7, 131, 137):
                for place in range(at + 3, at + size - 3, 4):
                    out[place : place + 4] = self.addresses.packed(bytes(out[place : place + 4]))
            elif out[at] != 148:
                out[at + 2 : at + size] = bytes(size - 2)
            at += size

    def _ip6(self, row: int, out: bytearray, at: int, length: int) -> tuple[bytes, int]:
        new = self.pair(bytes(out[at + 8 : at + 40]))
        out[at + 8 : at + 40] = new
        total = int.from_bytes(out[at + 4 : at + 6])
        end = min(len(out), at + 40 + total) if total else len(out)
        kind, start = out[at + 6], at + 40
        while kind in _EXTENSIONS and start + 8 <= end:
            size = (out[start + 1] + 2) * 4 if kind == 51 else (out[start + 1] + 1) * 8
            if kind == 43:
                for place in range(start + 8, min(start + size, end) - 15, 16):
                    out[place : place + 16] = self.addresses.packed(bytes(out[place : place + 16]))
            kind, start = out[start], start + size
        if kind == 44 or start > end:
            del out[min(start + 8, end) :]
            return bytes(out), length
        grown, cut = self._transport(row, out, start, end, length - (len(out) - end), kind, new)
        if grown and total:
            out[at + 4 : at + 6] = min(65535, total + grown).to_bytes(2)
        return self._padded(out, end + grown, cut), length + grown

    def _transport(
        self, row: int, out: bytearray, at: int, end: int, length: int, kind: int, pseudo: bytes, inner: bool = False
    ) -> tuple[int, bool]:
        """Change what IP carries, in place; gives by how many bytes it grew, and whether media were cut off."""
        if kind == 17 and at + 8 <= end:
            return self._udp(out, at, end, length, pseudo)
        if kind == 6 and at + 20 <= end and not inner:
            return self._tcp(row, out, at, end, length, pseudo), False
        if kind == 1 and at + 8 <= end:
            self._icmp(row, out, at, end, pseudo)
        elif kind == 58 and at + 4 <= end:
            self._icmp6(row, out, at, end, pseudo)
        elif kind == 2:
            if end - at >= 8:
                out[at + 2 : at + 4] = b"\0\0"
                out[at + 2 : at + 4] = (~_sum(out[at:end]) & 0xFFFF).to_bytes(2)
        elif inner:
            out[at:end] = self.messages.noise(bytes(out[at:end]))
        else:
            del out[at:]
            return 0, True
        return 0, False

    def _udp(self, out: bytearray, at: int, end: int, length: int, pseudo: bytes) -> tuple[int, bool]:
        ports = int.from_bytes(out[at : at + 2]), int.from_bytes(out[at + 2 : at + 4])
        stated = int.from_bytes(out[at + 4 : at + 6])
        stop = min(end, at + stated) if stated >= 8 else end
        out[stop:end] = bytes(end - stop)  # nobody's
        data = bytes(out[at + 8 : stop])
        whole = stated - 8 if stated >= 8 else len(data)
        new = self.messages.datagram(data, ports, whole)
        out[at + 8 : at + 8 + len(new)] = new
        cut = len(new) < len(data) and stop == end
        if len(new) < len(data):
            if cut:
                del out[at + 8 + len(new) :]
            else:
                out[at + 8 + len(new) : stop] = bytes(len(data) - len(new))
        if out[at + 6 : at + 8] != b"\0\0":
            out[at + 6 : at + 8] = b"\0\0"
            if not cut or len(pseudo) > 8:
                check = ~_sum(pseudo + b"\0\x11" + stated.to_bytes(2) + out[at : at + 8 + len(new)]) & 0xFFFF
                out[at + 6 : at + 8] = (check or 0xFFFF).to_bytes(2)
        return 0, cut

    # --- TCP

    def _tcp(self, row: int, out: bytearray, at: int, end: int, length: int, pseudo: bytes) -> int:
        size = (out[at + 12] >> 4) * 4
        flow = self._flow[row - self._first] if row >= 0 else -1
        if size < 20 or at + size > end or flow < 0:
            out[at + 20 : end] = self.messages.noise(bytes(out[at + 20 : end]))
            return 0
        up = self._up[row - self._first]
        side, peer = self.connections.side(flow, up), self.connections.side(flow, not up)
        sequence, acknowledged = struct.unpack_from(">II", out, at + 4)
        flags = out[at + 13]
        self._tcp_options(out, at + 20, at + size, flow, up, peer)
        payload = end - at - size
        on_wire = max(payload, length - at - size) if length > end else payload
        begin = side.offset(sequence + (flags >> 1 & 1) & 0xFFFFFFFF)
        first = side.layout.at(begin)
        out[at + 4 : at + 8] = ((side.base + first - (flags >> 1 & 1)) & 0xFFFFFFFF).to_bytes(4)
        if flags & 0x10:
            out[at + 8 : at + 12] = peer.sequence(acknowledged).to_bytes(4)
        grown = 0
        if payload:
            stop = begin + payload
            new = bytearray(side.layout.between(max(begin, 0), stop)) if begin >= 0 else bytearray(payload)
            if on_wire > payload:  # cut by the snapshot length
                new = (new + bytes(payload))[:payload]
            out[at + size : end] = new
            grown = len(new) - payload
        out[at + 16 : at + 18] = b"\0\0"
        segment = at + size + payload + grown
        check = ~_sum(pseudo + b"\0\x06" + (segment - at).to_bytes(4)[2:] + out[at:segment]) & 0xFFFF
        out[at + 16 : at + 18] = check.to_bytes(2)
        return grown

    def _tcp_options(self, out: bytearray, at: int, end: int, flow: int, up: bool, peer: object) -> None:
        while at < end and out[at]:
            if out[at] == 1:
                at += 1
                continue
            size = out[at + 1] if at + 1 < end else 0
            if size < 2 or at + size > end:
                break
            kind = out[at]
            if kind == 8 and size == 10:
                ours, other = self._clock(flow)
                value, echo = struct.unpack_from(">II", out, at + 2)
                value = value + (ours if up else other) & 0xFFFFFFFF
                echo = echo + (other if up else ours) & 0xFFFFFFFF if echo else 0
                struct.pack_into(">II", out, at + 2, value, echo)
            elif kind == 5:
                for place in range(at + 2, at + size - 3, 4):
                    edge = int.from_bytes(out[place : place + 4])
                    out[place : place + 4] = peer.sequence(edge).to_bytes(4)  # type: ignore[attr-defined]
            elif kind not in (2, 3, 4):
                out[at + 2 : at + size] = self.messages.noise(bytes(out[at + 2 : at + size]))
            at += size

    def _clock(self, flow: int) -> tuple[int, int]:
        """What is added to the clocks of both ends of a connection: to each connection's another."""
        shifts = self._clocks.get(flow)
        if shifts is None:
            connection = self.connections.wire.flows[flow]
            ends = f"{connection.client}{connection.server}".encode()
            noise = self.messages.names.stream(b"clock" + ends, 8)
            shifts = self._clocks[flow] = int.from_bytes(noise[:4]), int.from_bytes(noise[4:])
        return shifts

    # --- ICMP

    def _icmp(self, row: int, out: bytearray, at: int, end: int, pseudo: bytes) -> None:
        kind = out[at]
        if kind == 5:
            out[at + 4 : at + 8] = self.addresses.packed(bytes(out[at + 4 : at + 8]))
        if kind in (3, 4, 5, 11, 12):
            self._quoted(out, at + 8, end)
        elif kind in (0, 8):
            out[at + 8 : end] = bytes(end - at - 8)
        else:
            out[at + 4 : end] = self.messages.noise(bytes(out[at + 4 : end]))
        out[at + 2 : at + 4] = b"\0\0"
        out[at + 2 : at + 4] = (~_sum(out[at:end]) & 0xFFFF).to_bytes(2)
        del row, pseudo

    def _quoted(self, out: bytearray, at: int, end: int) -> None:
        """A packet that an error quotes: its addresses, ports and no more."""
        version = out[at] >> 4 if at < end else 0
        if version == 4 and at + 20 <= end:
            size = (out[at] & 15) * 4
            for place in (at + 12, at + 16):
                out[place : place + 4] = self.addresses.packed(bytes(out[place : place + 4]))
            out[at + 10 : at + 12] = b"\0\0"
            out[at + 10 : at + 12] = (~_sum(out[at : at + max(size, 20)]) & 0xFFFF).to_bytes(2)
            kind, start = out[at + 9], at + size
        elif version == 6 and at + 40 <= end:
            for place in (at + 8, at + 24):
                out[place : place + 16] = self.addresses.packed(bytes(out[place : place + 16]))
            kind, start = out[at + 6], at + 40
        else:
            start, kind = at, 0
        begin = min(start + (8 if kind in (6, 17, 1, 58) else 0), end)
        data = bytes(out[begin:end])
        if kind == 17 and len(data) >= 20 and data[4:8] == b"\x21\x12\xa4\x42":
            new = self.messages.stun_message(data, whole=False)
        else:
            new = self.messages.noise(data)
        out[begin:end] = new
        if kind == 17 and start + 8 <= end:
            out[start + 6 : start + 8] = b"\0\0"

    def _icmp6(self, row: int, out: bytearray, at: int, end: int, pseudo: bytes) -> None:
        kind = out[at]
        packed = self.addresses.packed
        if kind < 128:
            self._quoted(out, at + 8, end)
        elif kind in (128, 129):
            out[at + 8 : end] = bytes(max(0, end - at - 8))
        elif kind in (133, 134, 135, 136, 137):
            place = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}[kind]
            for begin in range(at + 8, at + place, 16) if kind > 134 else ():
                out[begin : begin + 16] = packed(bytes(out[begin : begin + 16]))
            self._neighbours(out, at + place, end)
        elif kind in (130, 131, 132) and at + 24 <= end:
            out[at + 8 : at + 24] = packed(bytes(out[at + 8 : at + 24]))
        elif kind == 143:
            place = at + 8
            while place + 20 <= end:
                many = int.from_bytes(out[place + 2 : place + 4])
                stop = place + 4 + 16 * (1 + many)
                for begin in range(place + 4, min(stop, end) - 15, 16):
                    out[begin : begin + 16] = packed(bytes(out[begin : begin + 16]))
                place = stop + 4 * out[place + 1]
        else:
            out[at + 4 : end] = self.messages.noise(bytes(out[at + 4 : end]))
        out[at + 2 : at + 4] = b"\0\0"
        check = ~_sum(pseudo + (end - at).to_bytes(4) + b"\0\0\0\x3a" + out[at:end]) & 0xFFFF
        out[at + 2 : at + 4] = check.to_bytes(2)
        del row

    def _neighbours(self, out: bytearray, at: int, end: int) -> None:
        """Options of neighbour discovery (RFC 4861, RFC 8106)."""
        while at + 8 <= end:
            kind, size = out[at], out[at + 1] * 8
            if not size or at + size > end:
                out[at:end] = bytes(end - at)
                break
            if kind in (1, 2) and size == 8:
                out[at + 2 : at + 8] = self.addresses.mac(bytes(out[at + 2 : at + 8]))
            elif kind == 3 and size == 32:
                prefix = self.addresses.network(bytes(out[at + 16 : at + 32]), out[at + 2])
                out[at + 16 : at + 32] = prefix
            elif kind == 25:
                for place in range(at + 8, at + size - 15, 16):
                    out[place : place + 16] = self.addresses.packed(bytes(out[place : place + 16]))
            elif kind not in (5, 14) or size > 8:
                out[at + 2 : at + size] = bytes(size - 2)
            at += size


def _sum(data: "bytes | bytearray") -> int:
    """The Internet checksum's sum (RFC 1071), folded."""
    if len(data) & 1:
        data = bytes(data) + b"\0"
    value = int.from_bytes(data) % 0xFFFF
    return value if value or not any(data) else 0xFFFF
