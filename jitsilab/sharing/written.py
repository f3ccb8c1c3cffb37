"""Names in text, found by how they begin and replaced in one pass."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby

HEAD = 8  # bytes of a name by which it is found; a shorter one has to stand alone, as a word
_WORD = rb"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])"


class Written:
    """What stands for each way of writing a name.

    Only beginnings are in the patterns: whole names, of which a case has thousands, each written in ten ways, would
    take a hundred times their length.
    """

    def __init__(self, variants: Mapping[bytes, bytes]) -> None:
        self._variants = variants
        sizes: dict[bytes, set[int]] = {}
        for name in variants:
            if len(name) >= HEAD:
                sizes.setdefault(name[:HEAD], set()).add(len(name))
        self._sizes = {head: sorted(some, reverse=True) for head, some in sizes.items()}
        short = _WORD % trie([name for name in variants if len(name) < HEAD])
        self._short = re.compile(short)
        self._pattern = re.compile(rb"(?:%s)|%s" % (trie(list(sizes)), short))

    def places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where names begin and end, the longest at each place."""
        at = 0
        while found := self._pattern.search(data, at):
            begin, at = found.start(), found.end()
            if at - begin == HEAD:
                sizes = (size for size in self._sizes[found[0]] if data[begin : begin + size] in self._variants)
                size = next(sizes, 0)
                word = None if size else self._short.match(data, begin)
                at = begin + size if size else word.end() if word else begin + 1
                if not size and not word:
                    continue
            yield begin, at

    def replaced(self, data: bytes) -> bytes:
        """The same with other names."""
        parts, done = list[bytes](), 0
        for begin, end in self.places(data):
            parts += data[done:begin], self._variants[data[begin:end]]
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
