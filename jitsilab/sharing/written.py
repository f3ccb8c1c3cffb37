"""Names in text, found together and replaced in one pass."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from jitsilab.sharing.finder import WIDTH, Finder, Strings

HEAD = 8  # bytes of a name that is replaced wherever it stands; a shorter one has to stand alone, as a word
_WORD = rb"(?<![0-9A-Za-z])(?=(%s)(?![0-9A-Za-z]))"


class Written:
    """What stands for each way of writing a name: pairs of both. Of two of one name the first holds.

    Those of four bytes or more are found by four of these; the few that are shorter by a pattern.
    """

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._made = Strings()
        self._least: dict[bytes, bytes] = {}
        self._finder = Finder(self._longer(pairs))
        self._short = re.compile(_WORD % trie(list(self._least))) if self._least else None

    def _longer(self, pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
        for name, made in pairs:
            if len(name) < WIDTH:
                self._least.setdefault(name, made)
            else:
                self._made.append(made)
                yield name

    def places(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Where names begin and end, the longest at each place, and what stands for each."""
        every = []
        for begin, number in self._finder.find(data):
            end = begin + len(self._finder.pattern(number))
            if end - begin >= HEAD or not (data[begin - 1 : begin].isalnum() or data[end : end + 1].isalnum()):
                every.append((begin, -end, number))
        if self._short is not None:
            every += [(match.start(), -match.end(1), -1) for match in self._short.finditer(data)]
        at = 0
        for begin, end, number in sorted(every):
            if begin >= at:
                at = -end
                yield begin, at, self._made[number] if number >= 0 else self._least[data[begin:at]]

    def replaced(self, data: bytes) -> bytes:
        """The same with other names."""
        parts, done = list[bytes](), 0
        for begin, end, made in self.places(data):
            parts += data[done:begin], made
            done = end
        return b"".join([*parts, data[done:]]) if parts else data


def trie(words: list[bytes]) -> bytes:
    """A pattern that finds any of many words, the longest where several begin alike; without words it finds nothing."""
    return _branch(sorted(set(words)), 0) if words else rb"(?!)"


def _branch(words: list[bytes], at: int) -> bytes:
    """For sorted words that are the same up to ``at``, what follows there."""
    ends = len(words[0]) == at
    out: list[bytes] = []
    for _, group in groupby(words[ends:], lambda word: word[at]):
        some = list(group)
        first, last = some[0], some[-1]
        same = (k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
        end = len(first) if len(some) == 1 else next(same, len(first))
        out.append(re.escape(first[at:end]) + (_branch(some, end) if len(some) > 1 else b""))
    body = out[0] if len(out) == 1 else b"(?:" + b"|".join(out) + b")"
    return b"(?:" + body + b")?" if ends and out else body if out else b""
