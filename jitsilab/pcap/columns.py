"""Columns that grow: one array each, made longer in place, so that the whole never exists twice.

What is computed of long columns is computed in slices: on the way to a byte a frame, whole columns of eight would take
more memory than all that stays.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SLICE = 1 << 18  # rows


def slices(count: int) -> Iterator[slice]:
    """Neighbouring slices that together are ``count`` rows."""
    return (slice(low, min(low + SLICE, count)) for low in range(0, count, SLICE))


class Growing:
    """Named columns to which parts are added; `take` gives each as one array."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}
        self._filled: dict[str, int] = {}

    def add(self, parts: dict[str, Array]) -> None:
        """Add a part to each column. A part of a wider type widens its column."""
        for name, part in parts.items():
            filled = self._filled.get(name, 0)
            held = self._held.get(name)
            if held is None:
                held = np.empty(0, part.dtype)
            elif held.dtype != part.dtype and np.promote_types(held.dtype, part.dtype) != held.dtype:
                held = held.astype(part.dtype)
            if filled + len(part) > len(held):
                # Long arrays lie in pages of their own, which the system moves without a copy.
                held.resize(filled + len(part) + filled // 8, refcheck=False)
            held[filled : filled + len(part)] = part
            self._held[name], self._filled[name] = held, filled + len(part)

    def take(self, name: str, dtype: Any) -> Array:
        """A column, which is then no longer held here; an empty one of ``dtype`` where no part was added."""
        held = self._held.pop(name, None)
        if held is None:
            return np.zeros(0, dtype)
        held.resize(self._filled.pop(name), refcheck=False)
        return held
