"""The first bytes of many payloads: a matrix of (k, width), zeros past the end of each."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def word(heads: Array, at: int, size: int = 2) -> Array:
    """Big-endian numbers of ``size`` bytes from a column on."""
    value = heads[:, at].astype(np.int64)
    for k in range(1, size):
        value = value << 8 | heads[:, at + k]
    return value


def dns_header(heads: Array) -> Mask:
    """Counts and an opcode that make sense (RFC 1035 section 4.1.1); a header has no mark of its own."""
    counts = [word(heads, at) for at in (4, 6, 8, 10)]
    few = (counts[0] <= 16) & (counts[1] <= 256) & (counts[2] <= 256) & (counts[3] <= 256)
    plausible: Mask = few & (sum(counts) > 0) & (heads[:, 2] & 0x78 <= 0x30)
    return plausible
