"""Link layers: from the first byte of a frame to the EtherType of what it carries, for many frames at once.

Read: Ethernet with VLAN tags (IEEE 802.1Q, 802.1ad), LLC with SNAP, MPLS (RFC 3032) and PPPoE (RFC 2516); Linux cooked
v1 and v2; raw IP; BSD null, loop, enc and pflog; PPP and Cisco HDLC; NFLOG; PKTAP; RFC 1483; IP over IEEE 1394; data
frames of 802.11 (`wireless`). A link type that is not here gives EtherType 0, and `unread` counts it by name.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.containers import gather

Array = npt.NDArray[Any]

IPV4, ARP, VLAN, IPV6, MPLS, PPPOE, QINQ = 0x0800, 0x0806, 0x8100, 0x86DD, 0x8847, 0x8864, 0x88A8
TCP, UDP = 6, 17
V4 = np.uint64(1 << 63)  # high word of an IPv4 address: as IPv6 it would be 8000::/64, which nobody is given

ETHERNET, NULL, LOOP, SLL, SLL2 = 1, 0, 108, 113, 276
RAW = (12, 14, 101, 106, 228, 229)  # IP at once; 106 is classical IP over ATM
WIRELESS = (105, 119, 127, 163, 192)  # 802.11: bare, behind Prism, radiotap, AVS, PPI
PKTAP, PKTAP_OLD = 258, 149  # Apple's header names the link type of the frame behind it; the second is its own number
_PPP, _PPP_HDLC, _PPPOE, _CISCO_HDLC, _PPP_PPPD, _PPP_DIRECTION = 9, 50, 51, 104, 166, 204
_RFC1483, _ENC, _PFLOG, _IP_1394, _NFLOG = 100, 109, 117, 138, 239
READ = frozenset(
    (ETHERNET, NULL, LOOP, SLL, SLL2, *RAW, *WIRELESS, PKTAP, _PPP, _PPP_HDLC, _PPPOE, _CISCO_HDLC, _PPP_PPPD,
     _PPP_DIRECTION, _RFC1483, _ENC, _PFLOG, _IP_1394, _NFLOG)
)  # fmt: skip

# What a frame holds that cannot be read goes where its EtherType would: a number above all of them, for `unread`.
UNREAD = 1 << 16
PROTECTED, AGGREGATE, WIRELESS_PIECE, PPP_COMPRESSED, PPP_PIECE, PSEUDOWIRE, PKTAP_INSIDE = range(UNREAD, UNREAD + 7)

_TAGS = {VLAN: 4, QINQ: 4, 0x9100: 4, 0x8926: 6, 0x893F: 8, 0xF1C1: 6}  # bytes; the last three: VN-Tag, E-Tag, R-Tag
_DEEPEST = 32  # VLAN tags or MPLS labels in one frame
_TLVS = 64  # fields of an NFLOG header
_PACKET = 9  # NFULA_PAYLOAD
_GRE, _RADIOTAP, _NETLINK = 778, 803, 824  # hardware types (ARPHRD_) of a cooked capture
_BRIDGED = 0x6558
_ETHERNET_FRAME, _LLC_FRAME, _PPP_FRAME = 3, 4, 7  # what Linux names so (ETH_P_) has its link header left
_FAMILIES6 = (10, 24, 28, 30)  # AF_INET6 of Linux, BSD, FreeBSD, macOS

_BE2, _LE2, _BE4, _LE4 = np.dtype(">u2"), np.dtype("<u2"), np.dtype(">u4"), np.dtype("<u4")
_BE8 = np.dtype(">u8")

Found = tuple[Array, Array, Array]  # EtherType (0 unknown), position of what it names, device (-1 none)


def network(data: Array, start: Array, end: Array, link: Array) -> Found:
    """EtherType (0 unknown, from `UNREAD` on a reason), position and device of frames of any link types."""
    kinds = np.unique(link).tolist() if len(link) else []
    if len(kinds) == 1:
        ethertype, at, device = _link(data, start, end, kinds[0])
        return ethertype, at.copy() if at is start else at, device
    ethertype, at, device = np.zeros(len(start), np.int64), start.copy(), np.full(len(start), -1, np.int64)
    for kind in kinds:
        rows = np.flatnonzero(link == kind)
        ethertype[rows], at[rows], device[rows] = _link(data, start[rows], end[rows], kind)
    return ethertype, at, device


def _link(data: Array, at: Array, end: Array, kind: int) -> Found:
    """The same for frames of one link type."""
    device = np.full(len(at), -1, np.int64)
    if kind == ETHERNET:
        return *_ethernet(data, at, end), device
    if kind in (SLL, SLL2):
        return _cooked(data, at, end, kind)
    if kind in RAW:
        return by_version(data, at, end), at, device
    if kind in (NULL, LOOP):  # an address family in the order of the machine, or of the network
        family = _family(data, at, end)
        return _by_family(family), at + 4, device
    if kind in WIRELESS:
        from jitsilab.pcap import wireless

        return *wireless.carried(data, at, end, kind), device
    if kind in (PKTAP, PKTAP_OLD):
        return *_pktap(data, at, end, kind), device
    if kind == _NFLOG:
        return *_nflog(data, at, end), device
    if kind == _ENC:  # behind flags and the index of an IPsec association
        return _by_family(_family(data, at, end)), at + 12, device
    if kind == _PFLOG:  # a length, a family, and what the filter did
        family = numbers(data, at, end, _BE2) & 0xFF
        return _by_family(np.where(family == _FAMILIES6[0], 0, family)), at + (_byte(data, at, end) + 3 & ~3), device
    if kind == _RFC1483:
        return *llc(data, at, end), device
    if kind == _IP_1394:
        return numbers(data, at + 16, end, _BE2), at + 18, device
    if kind in (_PPP, _PPP_HDLC, _CISCO_HDLC):
        head = numbers(data, at, end, _BE2)
        cisco = (head & 0x7FFF == 0x0F00) & (kind != _PPP) | (kind == _CISCO_HDLC)
        ethertype, after = ppp(data, at + 2 * (head == 0xFF03), end)
        return np.where(cisco, numbers(data, at + 2, end, _BE2), ethertype), np.where(cisco, at + 4, after), device
    if kind in (_PPPOE, _PPP_PPPD, _PPP_DIRECTION):
        behind = {_PPPOE: at + 6, _PPP_PPPD: at + 2}.get(kind)
        behind = at + 1 + 2 * (numbers(data, at + 1, end, _BE2) == 0xFF03) if behind is None else behind
        return *ppp(data, behind, end), device
    return np.zeros(len(at), np.int64), at, device


def _ethernet(data: Array, at: Array, end: Array) -> tuple[Array, Array]:
    ethertype, after = numbers(data, at + 12, end, _BE2), at + 14
    _lengths(data, ethertype, after, end)
    return ethertype, after


def _lengths(data: Array, ethertype: Array, at: Array, end: Array) -> None:
    """Where a length stands instead of an EtherType, LLC follows (IEEE 802.3 section 3.2.6); changed in place."""
    rows = np.flatnonzero(ethertype <= 1500)
    if len(rows):
        ethertype[rows], at[rows] = llc(data, at[rows], end[rows])


def llc(data: Array, at: Array, end: Array) -> tuple[Array, Array]:
    """EtherType and position behind LLC (RFC 1042): with SNAP and no organisation, or of IP itself; else 0."""
    ethertype, after = np.zeros(len(at), np.int64), at.copy()
    whole = np.flatnonzero(at + 8 <= end)
    head = gather(data, at[whole], _BE8)
    organisation = head >> np.uint64(16)
    snap = whole[(organisation == 0xAAAA03000000) | (organisation == 0xAAAA030000F8)]
    ethertype[snap], after[snap] = numbers(data, at[snap] + 6, end[snap], _BE2), at[snap] + 8
    ethertype[ethertype <= 1500] = 0
    plain = whole[head >> np.uint64(40) == 0x060603]
    ethertype[plain], after[plain] = IPV4, at[plain] + 3
    return ethertype, after


def _cooked(data: Array, at: Array, end: Array, kind: int) -> Found:
    first = kind == SLL
    hardware = numbers(data, at + (2 if first else 8), end, _BE2)
    ethertype = numbers(data, at + (14 if first else 0), end, _BE2)
    device, at = np.full(len(at), -1, np.int64), at + (16 if first else 20)
    if not first:
        device = np.where(at <= end, numbers(data, at - 16, end, _BE4), -1)
    ethertype[hardware == _NETLINK] = 0
    bridged = (hardware == _GRE) & (ethertype == _BRIDGED)
    if (bridged | (ethertype <= _PPP_FRAME)).any():
        radio = (ethertype == _LLC_FRAME) & (hardware == _RADIOTAP)
        below = {
            ETHERNET: bridged | (ethertype == _ETHERNET_FRAME), WIRELESS[2]: radio,
            _RFC1483: (ethertype == _LLC_FRAME) & ~radio, _PPP: ethertype == _PPP_FRAME,
        }  # fmt: skip
        for inside, mask in below.items():
            rows = np.flatnonzero(mask)
            ethertype[rows], at[rows], _ = _link(data, at[rows], end[rows], inside)
    return ethertype, at, device


def _family(data: Array, at: Array, end: Array) -> Array:
    family = numbers(data, at, end, _BE4)
    return np.where(family > 0xFFFF, numbers(data, at, end, _LE4), family)


def _by_family(family: Array) -> Array:
    return np.where(family == 2, IPV4, np.where(np.isin(family, _FAMILIES6), IPV6, 0))


def _pktap(data: Array, at: Array, end: Array, kind: int) -> tuple[Array, Array]:
    """The frame behind Apple's header, whose first words are its own length, 1 for a packet, and the link type."""
    size, record, inner = (numbers(data, at + offset, end, _LE4) for offset in (0, 4, 8))
    good = (record == 1) & (size >= (108 if kind == PKTAP_OLD else 12)) & (size <= end - at)
    ethertype, after = np.zeros(len(at), np.int64), at.copy()
    for link in np.unique(inner[good]).tolist():
        rows = np.flatnonzero(good & (inner == link))
        if link not in READ or link == PKTAP:
            ethertype[rows] = PKTAP_INSIDE
            continue
        ethertype[rows], after[rows], _ = _link(data, at[rows] + size[rows], end[rows], link)
    return ethertype, after


def _nflog(data: Array, at: Array, end: Array) -> tuple[Array, Array]:
    """The packet among the fields of a netfilter log, each a length and a type in the order of the machine."""
    family = _byte(data, at, end)
    ethertype, after = np.zeros(len(at), np.int64), at + 4
    waiting = np.flatnonzero(after + 4 <= end)
    for _ in range(_TLVS):
        if not len(waiting):
            break
        place = after[waiting]
        size, code = numbers(data, place, end[waiting], _LE2), numbers(data, place + 2, end[waiting], _LE2)
        big = code > 0xFF  # there are a few dozen types
        size = np.where(big, numbers(data, place, end[waiting], _BE2), size)
        code = np.where(big, numbers(data, place + 2, end[waiting], _BE2), code)
        packet = waiting[code == _PACKET]
        after[packet] += 4
        ethertype[packet] = _by_family(family[packet])
        going = (code != _PACKET) & (size >= 4)
        waiting, size = waiting[going], size[going]
        after[waiting] += size + 3 & ~3
        waiting = waiting[after[waiting] + 4 <= end[waiting]]
    return ethertype, after


def tags(data: Array, ethertype: Array, at: Array, end: Array) -> None:
    """Step over VLAN tags, MPLS labels (RFC 3032) and PPPoE, in place."""
    for _ in range(_DEEPEST):
        tagged = np.flatnonzero((ethertype != IPV4) & (ethertype != IPV6))
        tagged = tagged[np.isin(ethertype[tagged], list(_TAGS))]
        if not len(tagged):
            break
        behind = at[tagged] + 4
        for kind in (0x8926, 0x893F, 0xF1C1):
            behind[ethertype[tagged] == kind] += _TAGS[kind] - 4
        inner = numbers(data, behind - 2, end[tagged], _BE2)
        _lengths(data, inner, behind, end[tagged])
        ethertype[tagged], at[tagged] = inner, behind
    session = np.flatnonzero(ethertype == PPPOE)
    if len(session):
        ethertype[session], at[session] = ppp(data, at[session] + 6, end[session], PPPOE)
    labelled = np.flatnonzero((ethertype == MPLS) | (ethertype == MPLS + 1))
    for _ in range(_DEEPEST):
        if not len(labelled):
            break
        at[labelled] += 4
        bottom = numbers(data, at[labelled] - 2, end[labelled], _BE2) & 0x100 > 0
        ended = labelled[bottom]
        inside = by_version(data, at[ended], end[ended])
        ethertype[ended] = np.where(inside > 0, inside, PSEUDOWIRE)
        labelled = labelled[~bottom & (at[labelled] < end[labelled])]


def ppp(data: Array, at: Array, end: Array, otherwise: int = 0) -> tuple[Array, Array]:
    """EtherType and position after a PPP protocol field of two bytes, or one where compressed (RFC 1661 section 2)."""
    protocol = numbers(data, at, end, _BE2)
    short = protocol >> 8 & 1 == 1
    protocol = np.where(short, protocol >> 8, protocol)
    ethertype = np.full(len(at), otherwise, np.int64)
    for number, carried in _PPP_CARRIES.items():
        ethertype[protocol == number] = carried
    return ethertype, at + 2 - short


_PPP_CARRIES = {
    0x21: IPV4, 0x57: IPV6, 0x281: MPLS, 0x283: MPLS + 1, 0x3D: PPP_PIECE, 0x2D: PPP_COMPRESSED, 0x2F: PPP_COMPRESSED,
    0xFD: PPP_COMPRESSED,
}  # fmt: skip


def by_version(data: Array, at: Array, end: Array) -> Array:
    """The EtherType of an IP packet by its first four bits."""
    version = np.where(at < end, data[np.minimum(at, len(data) - 1)] >> 4, 0)
    return np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0))


def _byte(data: Array, at: Array, end: Array) -> Array:
    return np.where(at < end, data[np.minimum(at, len(data) - 1)], 0).astype(np.int64)


def numbers(data: Array, at: Array, end: Array, dtype: np.dtype[Any]) -> Array:
    """A number at each position, 0 where the frame ends before it."""
    inside = at + dtype.itemsize <= end
    if inside.all():
        return gather(data, at, dtype).astype(np.int64)
    value = np.zeros(len(at), np.int64)
    value[inside] = gather(data, at[inside], dtype)
    return value
