"""Data frames of 802.11 (IEEE 802.11-2020 section 9.3.2), bare or behind the header of a capture tool.

A frame in clear, neither in pieces nor an aggregate of several, leads to the LLC in it. What is protected says so:
without the network's keys nothing of it can be read. Management and control frames carry no packets.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from jitsilab.pcap import links
from jitsilab.pcap.links import AGGREGATE, PROTECTED, WIRELESS_PIECE, llc, numbers

Array = npt.NDArray[Any]

_BARE, _PRISM, _RADIOTAP, _AVS, _PPI = links.WIRELESS
_PRISM_SIZE = 144
_SUBFRAME = 14 + 8
_BE2, _BE4, _LE2, _LE4, _BYTE = np.dtype(">u2"), np.dtype(">u4"), np.dtype("<u2"), np.dtype("<u4"), np.dtype("u1")
_DATA, _PROTECTED, _ORDER, _MORE_PIECES = 2, 0x4000, 0x8000, 0x0400
_WORDS = 16  # of the fields that a radiotap header says it has


def carried(data: Array, at: Array, end: Array, kind: int) -> tuple[Array, Array]:
    """EtherType (0 none, or why it cannot be read) and position of what frames of one of the link types carry."""
    padded = np.zeros(len(at), bool)
    if kind == _RADIOTAP:
        padded = _is_padded(data, at, end)
        at = at + numbers(data, at + 2, end, _LE2)
    elif kind == _PPI:
        inner = numbers(data, at + 4, end, _LE4)
        at = np.where(inner == _BARE, at + numbers(data, at + 2, end, _LE2), end)
    elif kind in (_PRISM, _AVS):  # some drivers of the first kind write the second
        avs = numbers(data, at, end, _BE4) >> 12 == 0x80211
        at = np.where(avs, at + numbers(data, at + 4, end, _BE4), at + _PRISM_SIZE)
    control = numbers(data, at, end, _LE2)
    subtype = control >> 4 & 15
    holds = (control & 3 == 0) & (control >> 2 & 3 == _DATA) & (subtype & 4 == 0)
    quality = subtype & 8 > 0
    size = 24 + 6 * (control & 0x0300 == 0x0300) + 2 * quality + 4 * (quality & (control & _ORDER > 0))
    aggregate = quality & (numbers(data, at + 24 + 6 * (control & 0x0300 == 0x0300), end, _BYTE) & 0x80 > 0)
    piece = (control & _MORE_PIECES > 0) | (numbers(data, at + 22, end, _LE2) & 15 > 0)
    ethertype, after = np.zeros(len(at), np.int64), at + np.where(padded, size + 3 & ~3, size)
    protected = control & _PROTECTED > 0
    for reason, mask in ((AGGREGATE, aggregate), (WIRELESS_PIECE, piece), (PROTECTED, protected)):
        ethertype[holds & mask] = reason
    first = holds & aggregate & ~piece & ~protected  # two addresses, a length, and LLC; then padding and the next one
    following = after + (14 + numbers(data, after + 12, end, _BE2) + 3 & ~3)
    alone = first & (following + _SUBFRAME > end)
    ethertype[alone], after[alone] = 0, after[alone] + 14
    plain = np.flatnonzero(holds & (ethertype == 0))
    ethertype[plain], after[plain] = llc(data, after[plain], end[plain])
    return ethertype, after


def _is_padded(data: Array, at: Array, end: Array) -> Array:
    """Whether radiotap's flags say that the 802.11 header is padded to 4 bytes (https://www.radiotap.org)."""
    shown = numbers(data, at + 4, end, _LE4)
    words, more = np.ones(len(at), np.int64), np.flatnonzero(shown >> 31 == 1)
    for _ in range(_WORDS):
        if not len(more):
            break
        further = numbers(data, at[more] + 4 + 4 * words[more], end[more], _LE4)
        words[more] += 1
        more = more[further >> 31 == 1]
    flags = 4 + 4 * words
    flags = np.where(shown & 1 == 1, (flags + 7 & ~7) + 8, flags)  # a time of 8 bytes, aligned, goes before them
    padded: Array = (shown & 2 > 0) & (numbers(data, at + flags, end, _BYTE) & 0x20 > 0)
    return padded
