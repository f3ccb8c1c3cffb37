"""Packets that a host saw twice on its way through: once on each interface of an `any` capture."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jitsilab.pcap import Packets

APART = 100_000_000  # ns between two sights of one packet; forwarding takes far less, a retransmission more
_SLL, _SLL2 = 113, 276


def find(packets: "Packets") -> npt.NDArray[np.int64]:
    """Number of the first frame that holds the same IP packet, seen elsewhere shortly before; 0 where none.

    The same packet: equal network bytes but for what a router changes (TTL or hop limit, TOS, the header's checksum).
    Elsewhere: another interface, or another direction of a cooked capture. A copy on the same interface in the same
    direction is a retransmission, not a duplicate.
    """
    out = np.zeros(len(packets), np.int64)
    place = _place(packets)
    if not len(packets) or (place == place[0]).all():
        return out
    rows = np.flatnonzero(packets.ip_version > 0)
    return _match(packets, rows, place, out)


def _place(packets: "Packets") -> npt.NDArray[Any]:
    place = packets.interface.astype(np.int64) * 8
    links = np.array([one.link for one in packets.interfaces] or [0])
    link = links[packets.interface]
    for kind, at in ((_SLL, 0), (_SLL2, 10)):
        rows = np.flatnonzero(link == kind)
        if len(rows):
            way = packets.frame_heads(rows, at, 2)
            way = way[:, 0] if kind == _SLL2 else way[:, 1]
            place[rows] += way == 4  # PACKET_OUTGOING
    return place


def _match(
    packets: "Packets", rows: npt.NDArray[Any], place: npt.NDArray[Any], out: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Candidates have the same addresses, ports, protocol and first bytes after the network header."""
    start = np.where(packets.transport_start[rows] > 0, packets.transport_start[rows], 0).astype(np.int64)
    rows, start = rows[start > 0], start[start > 0]
    if not len(rows):
        return out
    head = packets.frame_heads(rows, start, 32).view(">u8").astype(np.uint64)
    key = packets.src[rows].astype(np.uint64) << np.uint64(32) | packets.dst[rows].astype(np.uint64)
    key ^= packets.payload_length[rows].astype(np.uint64) << np.uint64(20)
    for i in range(4):
        key = (key ^ head[:, i]) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(31)
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    if not len(same):
        return out
    group_of = np.cumsum(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    candidates = np.unique(np.concatenate([same, same + 1]))
    latest: dict[int, list[tuple[int, int, int, set[int]]]] = {}
    for i in sorted(candidates.tolist(), key=lambda i: order[i]):
        row, begin = int(rows[order[i]]), int(start[order[i]])
        group = latest.setdefault(int(group_of[i]), [])
        time, here = int(packets.time[row]), int(place[row])
        for k in range(len(group) - 1, max(-1, len(group) - 9), -1):
            first, first_begin, since, places = group[k]
            if abs(time - since) > APART or here in places:
                continue
            if _packet(packets, row, begin) == _packet(packets, first, first_begin):
                out[row] = first + packets.first
                places.add(here)
                break
        else:
            group.append((row, begin, time, {here}))
            del group[:-8]
    return out


def _packet(packets: "Packets", row: int, transport: int) -> tuple[bytes, bytes]:
    """What a router leaves alone: identification and addresses of the network header, and all that follows it."""
    frame = packets.frame(row + packets.first)
    size = int(packets.payload_start[row] or transport) - transport + int(packets.payload_length[row])
    if packets.ip_version[row] == 4:
        # The header ends where the transport begins; its identification tells two equal datagrams apart.
        header = max((transport - length for length in range(20, 64, 4) if transport >= length
                      and frame[transport - length] == 0x40 | length // 4), default=0)  # fmt: skip
        network = frame[header + 4 : header + 8]
    else:
        network = b""
    return network, frame[transport : transport + size]
