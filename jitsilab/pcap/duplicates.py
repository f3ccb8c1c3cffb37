"""Packets that a host saw twice on its way through: once on each interface of an `any` capture."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.columns import filled, made, slices, where

if TYPE_CHECKING:
    from jitsilab.pcap.packets import Packets

Array = npt.NDArray[Any]

APART = 100_000_000  # ns between two sights of one packet; forwarding takes far less, a retransmission more
_SLL, _SLL2, _OUTGOING = 113, 276, 4
_REMEMBERED = 8  # packets with equal bytes that a further copy is compared with
_SORTED = 1 << 21  # packets whose keys are sorted at once
_MIX = np.uint64(0x9E3779B97F4A7C15)


def find(packets: "Packets") -> npt.NDArray[np.int64]:
    """Number of the first frame that holds the same IP packet, seen elsewhere shortly before; 0 where none.

    The same packet: equal addresses, length, IPv4 identification, and equal first 32 and last 16 bytes after the IP
    header, which hold ports, sequence numbers and checksum. What a router changes (TTL, TOS, the header's checksum)
    does not count. Elsewhere: another interface, or another direction of a cooked capture; a copy in the same place is
    a retransmission.
    """
    place = made(len(packets), np.int32, lambda window: _place(packets, window))
    if all((place[window] == place[0]).all() for window in slices(len(place))):
        return np.broadcast_to(np.int64(0), len(packets))
    out = filled(len(packets), 0, np.int64)

    def keys(window: slice) -> Array:
        there = (packets.ip_version[window] > 0) & (packets.transport_start[window] > 0)
        return np.where(there, _keys(packets, np.arange(window.start, window.stop)), 0)

    key = made(len(packets), np.uint64, keys)
    parts = -(-len(packets) // _SORTED)
    for part in range(parts):
        rows = _part(key, part, parts)
        if len(rows):
            _among(packets, rows, key[rows], place, out)
    return out


def _part(key: Array, part: int, parts: int) -> Array:
    """Rows whose keys are in one of so many parts."""
    return where(len(key), lambda window: (key[window] > 0) & (key[window] % parts == part))


def _among(packets: "Packets", rows: Array, key: Array, place: Array, out: Array) -> None:
    """Find the copies among rows with these keys."""
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    sizes = np.diff(np.append(begins, len(rows)))
    places = place[rows[order]]
    elsewhere = np.minimum.reduceat(places, begins) != np.maximum.reduceat(places, begins)
    begins, sizes = begins[elsewhere], sizes[elsewhere]
    first = rows[order[begins[sizes == 2]]]
    second = rows[order[begins[sizes == 2] + 1]]
    moved = np.abs(packets.time[second] - packets.time[first]) <= APART
    out[second[moved]] = first[moved] + packets.first
    for begin, size in zip(begins[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
        _group(packets, np.sort(rows[order[begin : begin + size]]), place, out)


def _place(packets: "Packets", window: slice) -> Array:
    """Interface and direction of each frame as one number."""
    interface = packets.interface[window]
    place = interface.astype(np.int32) * 2
    link = np.array([interface.link for interface in packets.interfaces] or [0])[interface]
    for kind, at in ((_SLL, 1), (_SLL2, 10)):
        rows = np.flatnonzero(link == kind)
        if len(rows):
            place[rows] += packets.frame_heads(rows + window.start, at, 1)[:, 0] == _OUTGOING
    return place


def _keys(packets: "Packets", rows: Array) -> npt.NDArray[np.uint64]:
    """A number for each packet that copies have in common and others do not, but by chance."""
    start = packets.transport_start[rows].astype(np.int64)
    size = packets.length[rows].astype(np.int64) - start  # link headers differ, what follows them does not
    ports = packets.payload_start[rows] > 0
    size[ports] = (packets.payload_start[rows] - start + packets.payload_length[rows])[ports]
    header = packets.frame_heads(rows, np.maximum(start - 20, 0), 6)
    plain = (header[:, 0] == 0x45) & (packets.ip_version[rows] == 4)
    identity = np.where(plain, header[:, 4].astype(np.uint64) << np.uint64(8) | header[:, 5], 0)
    words = [packets.src[rows], packets.dst[rows], size, identity]
    head = packets.frame_heads(rows, start, 32).view(">u8")
    there = np.minimum(size, packets.captured_length[rows] - start)
    tail = packets.frame_heads(rows, start + np.maximum(there - 16, 0), 16)
    words += [head[:, i] for i in range(4)] + [tail.view(">u8")[:, i] for i in range(2)]
    key = np.zeros(len(rows), np.uint64)
    for word in words:
        key = (key ^ word.astype(np.uint64)) * _MIX
        key ^= key >> np.uint64(29)
    return key


def _group(packets: "Packets", rows: Array, place: Array, out: Array) -> None:
    """Copies of a packet that was sent again, or passes more than two places, in the order of the file."""
    known: list[tuple[int, int, set[int]]] = []  # first row, its time, places where it was seen
    for row, time, here in zip(rows.tolist(), packets.time[rows].tolist(), place[rows].tolist(), strict=True):
        for first, since, places in reversed(known[-_REMEMBERED:]):
            if abs(time - since) <= APART and here not in places:
                out[row] = first + packets.first
                places.add(here)
                break
        else:
            known.append((row, time, {here}))
