"""Header extensions of many RTP packets: which profile, and the ids of their elements (RFC 8285).

Nearly all packets of a call extend their header in one way: the one-byte form, short, behind no contributing sources.
These are read together, an element of all at a time; what is left is decoded packet by packet.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jitsilab.errors import Problem
from jitsilab.protocols import rtp

if TYPE_CHECKING:
    from jitsilab.tables.media import Columns

Array = npt.NDArray[Any]
_HEADS = rtp.HEADER_SIZE + 4  # bytes before the elements
_MOST = 28  # bytes of elements: with two each, their ids of four bits fit into 64 with a mark before them


def decode(columns: "Columns") -> tuple[Array, Array, list[Problem]]:
    """Profile and ids of each packet, as the table ``rtp`` has them, and what of the headers could not be read."""
    count = len(columns.frame)
    profile, ids = np.full(count, None, object), np.full(count, None, object)
    extended = np.flatnonzero(columns.first & 0x10)
    usual = extended[columns.first[extended] & 15 == 0]
    heads = columns.heads(usual, _HEADS + _MOST)
    sizes = 4 * heads[:, 14:16].copy().view(">u2")[:, 0].astype(np.int64)
    usual_form = (heads[:, 12:14] == (rtp.ONE_BYTE >> 8, rtp.ONE_BYTE & 255)).all(axis=1) & (sizes <= _MOST)
    here = usual_form & (_HEADS + sizes <= columns.lengths(usual))
    usual = usual[here]
    numbers, place = np.unique(one_byte_ids(heads[here, _HEADS:], sizes[here]), return_inverse=True)
    words = [" ".join(str(int(digit, 16)) for digit in f"{number:x}"[1:]) or None for number in numbers.tolist()]
    profile[usual], ids[usual] = f"{rtp.ONE_BYTE:04x}", np.array(words, object)[place]
    problems: list[Problem] = []
    others = np.setdiff1d(extended, usual, assume_unique=True)
    for at, data in zip(others.tolist(), columns.data(others), strict=True):
        header = rtp.decode(data)
        if header.profile is not None:
            profile[at] = f"{header.profile:04x}"
            ids[at] = " ".join(str(extension.id) for extension in header.extensions) or None
        if header.problems and len(data) >= columns.size[at]:
            problems += [Problem(int(columns.frame[at]), "rtp", 12, text) for text in header.problems]
    return profile, ids, problems


def one_byte_ids(blocks: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The ids that `rtp.elements` finds in many extensions of the one-byte form, as hexadecimal digits after a 1.

    ``blocks`` is (k, width), of which ``sizes`` bytes each are elements, at most 28.
    """
    ids, at = np.ones(len(blocks), np.int64), np.zeros(len(blocks), np.int64)
    rows = np.flatnonzero(sizes > 0)
    while len(rows):
        first = blocks[rows, at[rows]].astype(np.int64)
        at[rows] += 1
        rows, first = rows[first >> 4 != 15], first[first >> 4 != 15]  # 15: nothing follows (section 4.2)
        element = first != 0  # else padding
        ids[rows[element]] = ids[rows[element]] << 4 | first[element] >> 4
        at[rows[element]] += (first[element] & 15) + 1
        rows = rows[at[rows] < sizes[rows]]
    return ids
