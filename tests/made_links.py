"""One datagram on every link that is read, and on some that are not: header bytes as the formats have them."""

import struct

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

FOUR, SIX = IP(src="192.0.2.1", dst="198.51.100.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
DATAGRAM = UDP(sport=40000, dport=10000) / Raw(b"one datagram")
A, B = bytes(FOUR / DATAGRAM), bytes(SIX / DATAGRAM)
C = bytes(FOUR / TCP(sport=3333, dport=443) / Raw(b"abc"))
FRAME = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / FOUR / DATAGRAM)
LABEL, UPPER_LABEL = struct.pack(">I", 100 << 12 | 0x140), struct.pack(">I", 100 << 12 | 0x40)


def snap(kind: int, packet: bytes, organisation: bytes = bytes(3)) -> bytes:
    """LLC with SNAP."""
    return b"\xaa\xaa\x03" + organisation + struct.pack(">H", kind) + packet


def ethernet(kind: int, packet: bytes) -> bytes:
    """An Ethernet frame."""
    return FRAME[:12] + struct.pack(">H", kind) + packet


def wlan(
    inside: bytes, control: int = 0x0208, quality: int | None = None, sequence: int = 0, pad: bool = False
) -> bytes:
    """An 802.11 data frame; bits of ``control`` as IEEE 802.11 section 9.2.4.1 has them, low byte first."""
    control |= 0 if quality is None else 0x80
    head = struct.pack("<HH", control, 0) + FRAME[6:12] * 3 + struct.pack("<H", sequence)
    head += FRAME[6:12] if control & 0x300 == 0x300 else b""
    head += b"" if quality is None else struct.pack("<H", quality)
    head += bytes(4) if control & 0x8000 else b""
    return head + (bytes(-len(head) % 4) if pad else b"") + inside


SUBFRAME = FRAME[:12] + struct.pack(">H", 8 + len(A)) + snap(0x0800, A)
CLEAR = [
    wlan(snap(kind, packet), control, quality)
    for control in (0x0008, 0x0108, 0x0208, 0x0308)
    for quality in (None, 0)
    for kind, packet in ((0x0800, A), (0x86DD, B))
] + [wlan(snap(0x0800, A), 0x8208, 0), wlan(SUBFRAME, quality=0x80)]
SILENT = [wlan(b"", 0x0248), bytes.fromhex("8000000000ff") + bytes(40), bytes.fromhex("d400000002000000000a")]
PROTECTED = wlan(snap(0x0800, A), 0x4208, 0)
AGGREGATE = wlan(SUBFRAME + bytes(-len(SUBFRAME) % 4) + SUBFRAME, quality=0x80)
PIECE = wlan(snap(0x0800, A), 0x0608)
AIR = [*CLEAR, *SILENT, PROTECTED]


def radiotap(frame: bytes, flags: int = 0, time: bool = False, words: int = 0) -> bytes:
    """A frame behind radiotap, with its flags, a time before them, and more words of fields that are there."""
    shown = [2 | time | (0x80000000 if words else 0)]
    shown += [0x80000000 if number < words - 1 else 0 for number in range(words)]
    head = b"".join(struct.pack("<I", word) for word in shown)
    body = (bytes(-(4 + len(head)) % 8) + bytes(8) if time else b"") + bytes([flags])
    return struct.pack("<BBH", 0, 0, 4 + len(head) + len(body)) + head + body + frame


def avs(frame: bytes) -> bytes:
    """A frame behind an AVS header."""
    return struct.pack(">II", 0x80211001, 64) + bytes(56) + frame


def prism(frame: bytes) -> bytes:
    """A frame behind a Prism header."""
    return struct.pack("<II", 0x44, 144) + b"wlan0" + bytes(131) + frame


def pktap(frame: bytes, inner: int, size: int = 156) -> bytes:
    """A frame behind Apple's header."""
    return struct.pack("<III", size, 1, inner) + b"en0" + bytes(size - 15) + frame


def nflog(packet: bytes, family: int, order: str = "<") -> bytes:
    """A packet as netfilter logs it."""
    fields = ((1, b"\x08\0\1\0"), (10, b"prefix\0"), (5, bytes(4)), (9, packet))
    texts = (struct.pack(order + "HH", 4 + len(v), c) + v + bytes(-len(v) % 4) for c, v in fields)
    return struct.pack(">BBH", family, 0, 5) + b"".join(texts)


def cooked(hardware: int, kind: int, inside: bytes) -> bytes:
    """A Linux cooked frame."""
    return struct.pack(">HHH8sH", 0, hardware, 6, bytes(8), kind) + inside


def cooked2(hardware: int, kind: int, inside: bytes) -> bytes:
    """The same in the second version."""
    return struct.pack(">HHIHBB8s", kind, 0, 3, hardware, 4, 6, bytes(8)) + inside


BOTH = (False, True)
TUNNELLED = ((0x0800, A), (0x86DD, B), (0x6558, FRAME), (0x8847, LABEL + A))
PPP = b"\xff\x03\x00\x21"
_HARDWARE = (1, 512, 519, 768, 769, 772, 776, 778, 801, 802, 803, 804, 823, 824, 65534)
_BELOW = [(kind, inside) for kind in (1, 2, 3, 4, 7, 12) for inside in (snap(0x0800, A), A, FRAME, PPP + A)]

READ: dict[str, tuple[int, list[bytes]]] = {  # all frames are taken apart as tshark takes them apart
    "802.11": (105, AIR),
    "radiotap": (127, [radiotap(frame, 0, time, words) for frame in AIR for time in BOTH for words in (0, 1, 2)]),
    "radiotap, padded": (127, [radiotap(wlan(snap(0x0800, A), quality=0, pad=True), 0x20, time) for time in BOTH]),
    "radiotap, with a checksum": (127, [radiotap(frame + b"\1\2\3\4", 0x10) for frame in CLEAR]),
    "PPI": (192, [struct.pack("<BBHI", 0, 0, 8, 105) + frame for frame in AIR]),
    "AVS": (163, [avs(frame) for frame in AIR]),
    "Prism": (119, [header(frame) for frame in AIR for header in (prism, avs)]),
    "PKTAP": (258, [
        pktap(FRAME, 1), pktap(FRAME, 1, 108), pktap(A, 12), pktap(b"\2\0\0\0" + A, 0), pktap(CLEAR[0], 105),
    ]),
    "NFLOG": (239, [nflog(A, 2), nflog(B, 10), nflog(C, 2)]),
    "Cisco HDLC": (104, [b"\x0f\0\x08\0" + A, b"\x8f\0\x86\xdd" + B, b"\x0f\0\x88\x47" + LABEL + A]),
    "PPP or Cisco HDLC": (50, [PPP + A, b"\x0f\0\x08\0" + A, b"\x8f\0\x86\xdd" + B, b"\x21" + A, b"\0\x21" + A]),
    "MPLS in PPP": (9, [b"\xff\3\2\x81" + UPPER_LABEL + LABEL + A, b"\2\x81" + LABEL + B, b"\xff\3\2\x83" + LABEL + B]),
    "MPLS in PPPoE": (1, [ethernet(0x8864, struct.pack(">BBHH", 17, 0, 1, len(A) + 6) + b"\2\x81" + LABEL + A)]),
    "cooked, GRE": (113, [cooked(778, *one) for one in TUNNELLED]),
    "cooked 2, GRE": (276, [cooked2(778, *one) for one in TUNNELLED]),
    "cooked, hardware": (113, [cooked(hardware, 0x0800, A) for hardware in _HARDWARE]),
    "cooked 2, hardware": (276, [cooked2(hardware, 0x0800, A) for hardware in _HARDWARE]),
    "cooked, links": (113, [cooked(1, *one) for one in _BELOW]),
    "cooked 2, links": (276, [cooked2(1, *one) for one in _BELOW]),
    "cooked, radiotap": (113, [cooked(803, 4, radiotap(frame)) for frame in AIR]),
    "enc": (109, [struct.pack(order + "III", 2, 0, 0) + A for order in "<>"] + [struct.pack("<III", 24, 0, 0) + B]),
    "pflog": (117, [
        bytes([61, family, 0, 0]) + bytes(60) + packet for family, packet in ((2, A), (24, B), (30, B), (10, B))
    ]),
    "IEEE 1394": (138, [bytes(16) + b"\x08\0" + A, bytes(16) + b"\x86\xdd" + B]),
    "RFC 1483": (100, [snap(0x0800, A), snap(0x86DD, B)]),
    "IP over ATM": (106, [A]),
    "Ethernet": (1, [
        FRAME, ethernet(0x8926, bytes(4) + b"\x08\0" + A), ethernet(0x893F, bytes(6) + b"\x08\0" + A),
        ethernet(0xF1C1, bytes(4) + b"\x08\0" + A), ethernet(len(A) + 3, b"\x06\x06\x03" + A),
        ethernet(0x8100, b"\0\5" + struct.pack(">H", 8 + len(A)) + snap(0x0800, A)),
        ethernet(len(A) + 8, snap(0x0800, A, b"\0\0\xf8")),
    ]),
}  # fmt: skip

UNREAD: dict[str, tuple[int, list[bytes]]] = {  # by the name under which they are counted
    "802.11 data frames, encrypted": (127, [radiotap(PROTECTED)]),
    "802.11 aggregates": (127, [radiotap(AGGREGATE)]),
    "802.11 fragments": (105, [PIECE]),
    "PPP, compressed": (9, [b"\xff\3\0\x2d" + A]),
    "PPP multilink": (9, [b"\xff\3\0\x3d" + A]),
    "MPLS pseudowires": (1, [ethernet(0x8847, LABEL + bytes(4) + FRAME)]),
    "PKTAP around a link type that is not read": (258, [pktap(bytes(60), 220)]),
    "Cisco metadata": (1, [ethernet(0x8909, b"\1\1\0\1\0\5\x08\0" + A)]),
    "MACsec": (1, [ethernet(0x88E5, bytes(14) + A)]),
    "NSH": (1, [ethernet(0x894F, bytes.fromhex("0fc6010100000000") + A)]),
    "provider backbone bridges (802.1ah)": (1, [ethernet(0x88E7, bytes(4) + FRAME)]),
    "link type 107 (Frame Relay)": (107, [b"\x18\x41\x03\xcc" + A]),
    "link type 147 (user-defined 0)": (147, [A]),
    "link type 65000": (65000, [A]),
    "GRE tunnels": (101, [bytes(IP(proto=47) / Raw(b"\0\0\x08\0" + A))]),
    "IPsec (ESP)": (101, [bytes(IP(proto=50) / Raw(bytes(40)))]),
    "VXLAN": (101, [bytes(FOUR / UDP(sport=50000, dport=4789) / Raw(b"\x08" + bytes(7) + FRAME))]),
    "GTP tunnels": (101, [bytes(FOUR / UDP(sport=2152, dport=2152) / Raw(b"\x30\xff\0\x14" + bytes(4) + A))]),
}  # fmt: skip
