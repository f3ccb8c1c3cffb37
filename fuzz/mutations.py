"""Mutated inputs without a look at coverage: many times as many as with it, for readers that are slow under a trace."""

import random
import re
from collections.abc import Callable, Iterator, Sequence

_NUMBER = re.compile(rb"\d+")
_EDGES = (0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NUMBERS = (b"0", b"-1", b"256", b"65535", b"65536", b"4294967296", b"1e309", b"9" * 30, b"0x7f", b"nan")
_TEXTS = (
    b"\0",
    b"\r\n",
    b"\n",
    b" ",
    b'"',
    b"'",
    b"<",
    b"&#0;",
    b"{",
    b"}",
    b"\\",
    b"\xc0\x80",
    b"\xf0\x9f\x98\x80",
    b"\x1b[",
)


def mutations(seeds: Sequence[bytes], words: Sequence[bytes], longest: int, choice: random.Random) -> Iterator[bytes]:
    """Seeds without end, each with a few changes."""
    changes = _changes(seeds or [b""], [*words, *_TEXTS], choice)
    while True:
        data = bytearray(choice.choice(seeds) if seeds else b"")
        for _ in range(min(12, 1 + int(choice.expovariate(0.6)))):
            choice.choice(changes)(data)
        yield bytes(data[:longest])


def _changes(
    seeds: Sequence[bytes], words: Sequence[bytes], choice: random.Random
) -> "list[Callable[[bytearray], None]]":
    def at(data: bytearray) -> int:
        return choice.randrange(len(data) + 1)

    def stretch(data: bytearray) -> slice:
        start = at(data)
        return slice(start, start + min(choice.randrange(1, 65), len(data) - start))

    def bit(data: bytearray) -> None:
        if data:
            data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)

    def byte(data: bytearray) -> None:
        if data:
            data[choice.randrange(len(data))] = choice.randrange(256)

    def edge(data: bytearray) -> None:
        size, start = choice.choice((1, 2, 4)), at(data)
        value = choice.choice(_EDGES) & ((1 << 8 * size) - 1)
        data[start : start + size] = value.to_bytes(size, choice.choice(("big", "little")))

    def word(data: bytearray) -> None:
        start = at(data)
        data[start:start] = choice.choice(words)

    def number(data: bytearray) -> None:
        found = _NUMBER.search(data, at(data))
        if found:
            data[found.start() : found.end()] = choice.choice(_NUMBERS)

    def cut(data: bytearray) -> None:
        del data[stretch(data)]

    def end(data: bytearray) -> None:
        del data[at(data) :]

    def repeat(data: bytearray) -> None:
        some = data[stretch(data)] * choice.choice((1, 1, 2, 20))
        start = at(data)
        data[start:start] = some

    def move(data: bytearray) -> None:
        part = stretch(data)
        some = data[part]
        del data[part]
        start = at(data)
        data[start:start] = some

    def splice(data: bytearray) -> None:
        other = choice.choice(seeds)
        start = choice.randrange(len(other) + 1)
        data[at(data) :] = other[start:]

    return [bit, byte, edge, word, number, cut, end, repeat, move, splice]
