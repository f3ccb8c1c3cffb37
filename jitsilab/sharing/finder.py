"""Many patterns looked for at once, in few passes over many bytes."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

WIDTH = 4  # bytes of each pattern by which it is found; shorter ones cannot be looked for
_BITS = 22  # of the table in which four bytes are looked up
_COUNTED = 18  # of the one in which they are counted: a guess is good enough
_MIX = np.uint32(2654435761)  # Knuth's multiplier: spreads neighbours
_HEAD = 64  # bytes of a pattern among which the four are chosen
_SOME = 1 << 12  # patterns at a time
Array = npt.NDArray[np.int64]


class Finder:
    """Where any of many patterns of four bytes or more stands.

    Four bytes of each pattern, those that the fewest share, are looked up in a table at every place of the data; what
    is met there is compared in full. So the time grows with the data and hardly with the number of patterns, each of
    which takes its own length and some twenty bytes of memory.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        every, lengths, shared = bytearray(), [np.zeros(0, np.int64)], np.zeros(1 << _COUNTED, np.int64)
        given = iter(patterns)
        while some := list(islice(given, _SOME)):
            every += b"".join(some)
            lengths.append(np.array([len(pattern) for pattern in some]))
            shared += np.bincount(_hashed(_Windows(some).words, _COUNTED), minlength=1 << _COUNTED)
        self._lengths = np.concatenate(lengths)
        self._ends = np.cumsum(self._lengths)
        self._patterns = bytes(every)
        anchors = [np.zeros((3, 0), np.int64)]  # four bytes as a number, where in the pattern, which pattern
        for low in range(0, len(self._lengths), _SOME):
            windows = _Windows([self.pattern(n) for n in range(low, min(low + _SOME, len(self._lengths)))])
            word, at, which = windows.rarest(shared)
            anchors.append(np.array([word, at, which + low]))
        words, self._at, self._which = (row := np.concatenate(anchors, 1))[:, np.argsort(row[0], kind="stable")]
        self._words = words.astype(np.uint32)
        self._table = np.zeros(1 << _BITS, bool)
        self._table[_hashed(self._words)] = True

    def pattern(self, number: int) -> bytes:
        """One of them, in the order in which they were given."""
        end = int(self._ends[number])
        return self._patterns[end - int(self._lengths[number]) : end]

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Each place of a pattern, about in order, and which one it is."""
        if len(data) < WIDTH or not len(self._words):
            return
        for place, low, high in zip(*(column.tolist() for column in self._candidates(data)), strict=True):
            for at, number in zip(self._at[low:high].tolist(), self._which[low:high].tolist(), strict=True):
                if place >= at and data.startswith(self.pattern(number), place - at):
                    yield place - at, number

    def _candidates(self, data: bytes) -> tuple[Array, Array, Array]:
        """Places at which four bytes of a pattern stand, and between which of the anchors these are."""
        places, met = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)]
        for shift in range(WIDTH):
            words = np.frombuffer(data, "<u4", max(0, len(data) - shift) // WIDTH, shift)
            hits = np.flatnonzero(self._table[_hashed(words)])
            places.append(hits * WIDTH + shift)
            met.append(words[hits])
        place, word = np.concatenate(places), np.concatenate(met)
        low, high = (np.searchsorted(self._words, word, side) for side in ("left", "right"))
        order = np.flatnonzero(high > low)
        order = order[np.argsort(place[order])]
        return place[order], low[order], high[order]


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

    def rarest(self, shared: Array) -> tuple[Array, Array, Array]:
        """Of each pattern the four bytes that the fewest share, and look least like the text of a log."""
        there = np.flatnonzero(self._counts)
        if not len(there):
            return np.zeros(0, np.int64), np.zeros(0, np.int64), there
        ordered = np.sort(self._letters, axis=1)
        unlike = (np.diff(ordered, axis=1) > 0).sum(1) + ((self._letters < 97) | (self._letters > 122)).sum(1)
        scores = shared[_hashed(self.words, _COUNTED)] * 16 - unlike
        least = np.minimum.reduceat(scores, self._begins[there])
        best = np.flatnonzero(scores == np.repeat(least, self._counts[there]))
        of = np.searchsorted(self._begins[there], best, side="right") - 1
        first = best[np.flatnonzero(np.diff(of, prepend=-1))]
        return self.words[first].astype(np.int64), self._within[first], there


def _hashed(words: npt.NDArray[np.uint32], bits: int = _BITS) -> npt.NDArray[np.uint32]:
    mixed: npt.NDArray[np.uint32] = words * _MIX >> np.uint32(32 - bits)
    return mixed
