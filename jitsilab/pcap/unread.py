"""What is in a capture and is not read, by name: link types, encapsulations, tunnels, encryption below IP.

An answer that finds no call says first what of the capture it did not look into.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.errors import Problem
from jitsilab.pcap import links
from jitsilab.pcap.containers import gather
from jitsilab.pcap.links import IPV4, IPV6, UDP

if TYPE_CHECKING:
    from jitsilab.pcap.networks import Decoded

Array = npt.NDArray[Any]

_LINKS = {  # LINKTYPE_ value: what https://www.tcpdump.org/linktypes.html calls it
    3: "AX.25", 6: "Token Ring", 7: "ARCNET", 8: "SLIP", 10: "FDDI", 99: "Symantec firewall", 102: "SLIP of BSD/OS",
    103: "PPP of BSD/OS", 107: "Frame Relay", 114: "LocalTalk", 118: "Cisco IOS", 122: "IP over Fibre Channel",
    123: "SunATM", 129: "ARCNET of Linux", 140: "MTP2", 141: "MTP3", 142: "SCCP", 143: "DOCSIS", 144: "IrDA",
    147: "user-defined 0", 148: "user-defined 1", 149: "user-defined 2", 150: "user-defined 3", 151: "user-defined 4",
    152: "user-defined 5", 153: "user-defined 6", 154: "user-defined 7", 155: "user-defined 8", 156: "user-defined 9",
    157: "user-defined 10", 158: "user-defined 11", 159: "user-defined 12", 160: "user-defined 13",
    161: "user-defined 14", 162: "user-defined 15", 165: "BACnet MS/TP", 169: "GPRS LLC", 170: "GFP-T", 171: "GFP-F",
    177: "LAPD of Linux", 178: "Juniper Ethernet", 179: "Juniper PPP", 180: "Juniper Frame Relay", 187: "Bluetooth HCI",
    189: "USB of Linux", 195: "IEEE 802.15.4", 197: "ERF", 201: "Bluetooth HCI", 202: "AX.25 in KISS", 203: "LAPD",
    205: "Cisco HDLC with a direction", 206: "Frame Relay with a direction", 209: "IPMB", 210: "FlexRay", 212: "LIN",
    215: "IEEE 802.15.4", 216: "input events of Linux", 220: "USB of Linux", 224: "Fibre Channel",
    225: "Fibre Channel", 226: "Solaris ipnet", 227: "CAN", 230: "IEEE 802.15.4", 231: "D-Bus", 235: "DVB-CI",
    236: "MUX27010", 237: "STANAG 5066", 240: "netANALYZER", 241: "netANALYZER",
    242: "IP over InfiniBand", 243: "MPEG-2 transport stream", 245: "NFC LLCP",
    247: "InfiniBand", 248: "SCTP without IP", 249: "USBPcap", 250: "RTAC serial line", 251: "Bluetooth low energy",
    252: "PDUs exported by Wireshark", 253: "Netlink", 254: "Bluetooth of Linux", 255: "Bluetooth BR/EDR",
    256: "Bluetooth low energy", 257: "PROFIBUS", 259: "EPON", 260: "IPMI", 261: "Z-Wave", 262: "Z-Wave",
    263: "Wattstopper", 264: "ISO 14443", 265: "radio data system", 266: "USB of macOS", 268: "SDLC",
    270: "LoRa", 271: "vsock", 272: "Nordic Bluetooth", 273: "DOCSIS 3.1", 274: "Ethernet with preamble",
    275: "DisplayPort", 277: "OpenVizsla", 278: "EBHSCR", 279: "VPP trace", 280: "Broadcom switch tags",
    281: "Broadcom switch tags", 282: "Broadcom switch tags", 283: "IEEE 802.15.4 TAP", 284: "Marvell switch tags",
    285: "Marvell switch tags", 286: "ELEE", 287: "Z-Wave", 288: "USB 2.0", 289: "ATSC", 290: "ETW", 291: "Netanalyzer",
    292: "ZBOSS", 293: "USB 2.0 low speed", 294: "USB 2.0 full speed", 295: "USB 2.0 high speed", 296: "Auerswald",
    297: "Z-Wave", 298: "Silicon Labs", 299: "FIRA UCI", 300: "MDB", 301: "DECT",
}  # fmt: skip
_REASONS = {
    links.PROTECTED: "802.11 data frames, encrypted", links.AGGREGATE: "802.11 aggregates",
    links.WIRELESS_PIECE: "802.11 fragments", links.PPP_COMPRESSED: "PPP, compressed",
    links.PPP_PIECE: "PPP multilink", links.PSEUDOWIRE: "MPLS pseudowires",
    links.PKTAP_INSIDE: "PKTAP around a link type that is not read",
}  # fmt: skip
_ETHERTYPES = {  # those that have a packet inside
    0x22F3: "TRILL", 0x4305: "B.A.T.M.A.N.", 0x6558: "bridged Ethernet (6558)", 
    0x880B: "PPP in Ethernet", 0x883E: "WCCP", 0x8870: "jumbo LLC", 0x88BE: "ERSPAN", 0x8903: "FabricPath",
    0x8909: "Cisco metadata", 0x88E5: "MACsec", 0x88E7: "provider backbone bridges (802.1ah)", 0x890D: "TDLS",
    0x894F: "NSH", 0x8988: "Cisco segment routing",
    0x22EB: "ERSPAN", 0x9200: "VLAN tags of type 9200", 0x9300: "VLAN tags of type 9300",
    0x892F: "HSR", 0xDADA: "switch tags", 0xA0ED: "6LoWPAN",
}  # fmt: skip
_PROTOCOLS = {  # IP protocol numbers that have a packet inside
    4: "IPv4 in IP", 41: "IPv6 in IP", 47: "GRE tunnels", 50: "IPsec (ESP)", 51: "IPsec (AH)", 55: "MOBILE",
    97: "Ethernet in IP", 98: "IP in IP", 99: "encrypted IP", 108: "IP, compressed", 111: "IPX in IP", 115: "L2TP",
    137: "MPLS in IP", 143: "Ethernet in IP", 144: "IP in TCP (AGGFRAG)",
}  # fmt: skip
# UDP destination ports (IANA) of tunnels: name, mask and value of the first four bytes of what they carry.
_PORTS = {
    1701: ("L2TP", 0x000F0000, 0x00020000), 2152: ("GTP tunnels", 0xF0FF0000, 0x30FF0000),
    3544: ("Teredo", 0xF0000000, 0x60000000), 4341: ("LISP", 0, 0), 4500: ("IPsec (ESP)", 0, 0),
    4754: ("GRE tunnels", 0x00070000, 0), 4789: ("VXLAN", 0xF7000000, 0x00000000), 4790: ("VXLAN", 0xC0000000, 0),
    5247: ("CAPWAP", 0xF0000000, 0), 6081: ("Geneve", 0xC0000000, 0), 6635: ("MPLS in UDP", 0, 0),
    37008: ("TZSP", 0xFFFE0000, 0x01000000), 51820: ("WireGuard", 0xFFFFFFFF, 0x04000000),
}  # fmt: skip
_IS_TUNNEL = np.zeros((1 << 16) + 1, bool)  # the last one is for port -1
_IS_TUNNEL[list(_PORTS)] = True
_HOLDS = np.zeros(257, bool)  # the last one is for protocol -1
_HOLDS[list(_PROTOCOLS)] = True
_BE4 = np.dtype(">u4")
_NAMED = 5  # kinds in one sentence


def named(data: Array, start: Array, link: Array, kind: Array, decoded: "Decoded") -> dict[str, Array]:
    """Rows of a chunk by what in them is not read; ``kind`` is EtherType or reason, as `links.network` gives it."""
    rows: dict[str, Array] = {}

    def add(name: str, places: Array) -> None:
        if len(places):
            rows[name] = np.concatenate([rows[name], places]) if name in rows else places

    other = np.flatnonzero((kind != IPV4) & (kind != IPV6))
    if len(other):
        for number in np.unique(kind[other]).tolist():
            name = _REASONS.get(number) or _ETHERTYPES.get(number)
            if name:
                add(name, other[kind[other] == number])
        nothing = other[kind[other] == 0]
        for number in set(np.unique(link[nothing]).tolist()) - links.READ | {links.PKTAP_OLD}:
            add(link_name(number), nothing[link[nothing] == number])
    protocol = decoded.ip_protocol
    inside = np.flatnonzero(_HOLDS[protocol])
    for number in np.unique(protocol[inside]).tolist():
        add(_PROTOCOLS[number], inside[protocol[inside] == number])
    tunnel = np.flatnonzero(_IS_TUNNEL[decoded.dst_port])
    tunnel = tunnel[(protocol[tunnel] == UDP) & (decoded.payload_length[tunnel] >= 8)]
    if len(tunnel):
        head = gather(data, start[tunnel] + decoded.payload[tunnel], _BE4)
        port = decoded.dst_port[tunnel]
        for number in np.unique(port).tolist():
            name, mask, value = _PORTS[number]
            add(name, tunnel[(port == number) & (head & np.uint32(mask) == value)])
    return rows


def link_name(number: int) -> str:
    """A link type for people."""
    name = _LINKS.get(number)
    return f"link type {number}" + (f" ({name})" if name else "")


class Ledger:
    """Frames by what in them is not read, and the first of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def add(self, rows: dict[str, Array], first: int) -> None:
        """Count the rows of a chunk whose first frame has the number ``first``."""
        for name, places in rows.items():
            self.counts[name] = self.counts.get(name, 0) + len(places)
            self._first.setdefault(name, first + int(places.min()))

    def problems(self) -> list[Problem]:
        """A row of ``errors`` for each kind, at its first frame."""
        return [
            Problem(self._first[name], "pcap", 0, f"{name}: not read, in {count} frame{'s' * (count > 1)}")
            for name, count in self.counts.items()
        ]


def words(counts: dict[str, int]) -> str:
    """One sentence for people on what was not read, most frames first; empty where all was."""
    kinds = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    listed = ", ".join(f"{name} in {count} frame{'s' * (count > 1)}" for name, count in kinds[:_NAMED])
    more = f", and {len(kinds) - _NAMED} more kinds" if len(kinds) > _NAMED else ""
    return f"Not read here: {listed}{more}." if kinds else ""
