"""Many patterns looked for at once, in few passes over many bytes."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 4  # bytes of each pattern by which it is found; shorter ones cannot be looked for
_LEAST, _MOST = 16, 24  # bits of the table in which four bytes are looked up
_SPARSE = 6  # bits of it more than the patterns have: few of its places are taken
_COUNTED = 18  # bits of the table in which they are counted: a guess is good enough
_MIX = np.uint32(2654435761)  # Knuth's multiplier: spreads neighbours
_HEAD = 64  # bytes of a pattern among which the four are chosen
_SOME = 1 << 12  # patterns at a time
_STEP = 1 << 18  # bytes of data at a time
_ANCHOR = np.dtype([("word", "u4"), ("which", "u4"), ("at", "u1")])  # four bytes, of which pattern, and where in it
Array = npt.NDArray[Any]


class Strings:
    """Many byte strings in eight bytes more than they have."""

    def __init__(self) -> None:
        self._bytes, self._ends = bytearray(), array("q", [0])

    def append(self, text: bytes) -> None:
        """One more."""
        self._bytes += text
        self._ends.append(len(self._bytes))

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._bytes[self._ends[number] : self._ends[number + 1]])

    def __len__(self) -> int:
        return len(self._ends) - 1


class Finder:
    """Where any of many patterns of four bytes or more stands.

    Four bytes of each pattern, those that the fewest share, are looked up in a table at every place of the data; what
    is met there is compared in full. So the time grows with the data and hardly with the number of patterns, each of
    which takes its own length and some twenty bytes of memory.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._patterns, shared = Strings(), np.zeros(1 << _COUNTED, np.int64)
        given = iter(patterns)
        while some := list(islice(given, _SOME)):
            for pattern in some:
                self._patterns.append(pattern)
            shared += np.bincount(_hashed(_Windows(some).words, _COUNTED), minlength=1 << _COUNTED)
        anchors = [np.zeros(0, _ANCHOR)]
        for low in range(0, len(self), _SOME):
            windows = _Windows([self.pattern(number) for number in range(low, min(low + _SOME, len(self)))])
            rarest = windows.rarest(shared)
            rarest["which"] += low
            anchors.append(rarest)
        every = np.concatenate(anchors)
        order = np.argsort(every["word"], kind="stable")
        self._words, self._at, self._which = (every[name][order] for name in ("word", "at", "which"))
        self._bits = min(max(len(order).bit_length() + _SPARSE, _LEAST), _MOST)
        self._table = np.zeros(1 << self._bits, bool)
        self._table[_hashed(self._words, self._bits)] = True

    def pattern(self, number: int) -> bytes:
        """One of them, in the order in which they were given."""
        return self._patterns[number]

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Each place of a pattern, about in order, and which one it is."""
        if not len(self._words):
            return
        for begin in range(0, len(data) - WIDTH + 1, _STEP):
            for place, low, high in self._candidates(data, begin):
                for at, number in zip(self._at[low:high].tolist(), self._which[low:high].tolist(), strict=True):
                    if place >= at and data.startswith(self.pattern(number), place - at):
                        yield place - at, number

    def _candidates(self, data: bytes, begin: int) -> Iterator[tuple[int, int, int]]:
        """Places at which four bytes of a pattern stand, and between which of the anchors these are."""
        size = min(_STEP, len(data) - WIDTH + 1 - begin)
        words = np.ndarray((size,), "<u4", data, begin, (1,))  # of every place, one beside the other
        places = np.flatnonzero(self._table[_hashed(words, self._bits)])
        if not len(places):
            return
        met = words[places]
        low, high = (np.searchsorted(self._words, met, side) for side in ("left", "right"))
        there = np.flatnonzero(high > low)
        yield from zip((places[there] + begin).tolist(), low[there].tolist(), high[there].tolist(), strict=True)


class _Windows:
    """Every four bytes of the beginnings of some patterns."""

    def __init__(self, patterns: list[bytes]) -> None:
        heads = [pattern[:_HEAD] for pattern in patterns]
        sizes = np.array([len(head) for head in heads])
        counts = np.maximum(sizes - WIDTH + 1, 0)
        self._begins = np.cumsum(counts) - counts  # of each pattern's windows
        self._counts = counts
        within = np.arange(counts.sum()) - np.repeat(self._begins, counts)
        places = np.repeat(np.cumsum(sizes) - sizes, counts) + within
        letters = np.frombuffer(b"".join(heads), np.uint8)[places[:, None] + np.arange(WIDTH)]
        self._within = within
        self._letters = letters
        self.words = np.ascontiguousarray(letters).view("<u4")[:, 0] if len(letters) else np.zeros(0, np.uint32)

    def rarest(self, shared: Array) -> Array:
        """Anchors: of each pattern the four bytes that the fewest share, and look least like the text of a log."""
        there = np.flatnonzero(self._counts)
        made = np.zeros(len(there), _ANCHOR)
        if not len(there):
            return made
        ordered = np.sort(self._letters, axis=1)
        unlike = (np.diff(ordered, axis=1) > 0).sum(1) + ((self._letters < 97) | (self._letters > 122)).sum(1)
        scores = shared[_hashed(self.words, _COUNTED)] * 16 - unlike
        least = np.minimum.reduceat(scores, self._begins[there])
        best = np.flatnonzero(scores == np.repeat(least, self._counts[there]))
        of = np.searchsorted(self._begins[there], best, side="right") - 1
        first = best[np.flatnonzero(np.diff(of, prepend=-1))]
        made["word"], made["at"], made["which"] = self.words[first], self._within[first], there
        return made


def _hashed(words: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[np.uint32]:
    mixed: npt.NDArray[np.uint32] = words * _MIX >> np.uint32(32 - bits)
    return mixed
