"""Many patterns looked for at once, in few passes over many bytes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 4  # bytes of each pattern by which it is found; shorter ones cannot be looked for
_BITS = 22  # of the table in which four bytes are looked up
_MIX = np.uint32(2654435761)  # Knuth's multiplier: spreads neighbours


class Finder:
    """Where any of many patterns of four bytes or more stands.

    Four bytes of each pattern, those that the fewest share, are looked up in a table at every place of the data; what
    is met there is compared in full. So the time grows with the data and hardly with the number of patterns.
    """

    def __init__(self, patterns: Mapping[bytes, Any]) -> None:
        self.patterns = {pattern: what for pattern, what in patterns.items() if len(pattern) >= WIDTH}
        windows = Counter(
            pattern[k : k + WIDTH] for pattern in self.patterns for k in range(min(len(pattern), 64) - WIDTH + 1)
        )
        self._anchors: dict[bytes, list[tuple[int, bytes]]] = {}
        for pattern in self.patterns:
            at = min(
                range(min(len(pattern), 64) - WIDTH + 1),
                key=lambda k: (windows[pattern[k : k + WIDTH]], -_rarity(pattern, k)),
            )
            self._anchors.setdefault(pattern[at : at + WIDTH], []).append((at, pattern))
        self._table = np.zeros(1 << _BITS, bool)
        keys = np.array([int.from_bytes(anchor, "little") for anchor in self._anchors], np.uint32)
        self._table[_hashed(keys)] = True
        self._keys = np.sort(keys)

    def find(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each place of a pattern, in order, and the pattern."""
        if len(data) < WIDTH or not self._anchors:
            return
        for place in self._candidates(data).tolist():
            for at, pattern in self._anchors.get(data[place : place + WIDTH], ()):
                if place >= at and data.startswith(pattern, place - at):
                    yield place - at, pattern

    def _candidates(self, data: bytes) -> npt.NDArray[np.int64]:
        places = []
        for shift in range(WIDTH):
            count = (len(data) - shift) // WIDTH
            if count <= 0:
                continue
            words = np.frombuffer(data, "<u4", count, shift)
            hits = np.flatnonzero(self._table[_hashed(words)])
            if len(hits):
                matched = words[hits]
                at = np.minimum(np.searchsorted(self._keys, matched), len(self._keys) - 1)
                places.append(hits[self._keys[at] == matched] * WIDTH + shift)
        return np.sort(np.concatenate(places)) if places else np.zeros(0, np.int64)


def _hashed(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    mixed: npt.NDArray[np.uint32] = words * _MIX >> np.uint32(32 - _BITS)
    return mixed


def _rarity(pattern: bytes, at: int) -> int:
    """How little four bytes look like the text of a log."""
    return len(set(pattern[at : at + WIDTH])) + sum(not 97 <= c < 123 for c in pattern[at : at + WIDTH])
