"""Where the bytes of a stream went: blocks of the old one and what stands for each in the new one.

A connection of hours has millions of blocks. They lie in files, as columns of a capture do.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from jitsilab.pcap.columns import Rows, Run, numbers

MADE = -1  # in ``at``: made when it is asked for
_BLOCK = np.dtype([("old", "i8"), ("new", "i8"), ("size", "i8"), ("at", "i8")])


class Block(NamedTuple):
    """A run of bytes of a stream and what it became."""

    size: int  # bytes before
    data: bytes  # after


class Layout:
    """The new stream, and the way from an old offset to a new one. It never goes back, and keeps borders of blocks.

    First it is made from the beginning to its end, then asked, perhaps by another process. ``make`` gives the bytes of
    those blocks that are made when they are asked for, by their old offset and size; whoever asks sets it.
    """

    def __init__(self) -> None:
        self._rows, self._run = Rows(_BLOCK), Run()
        self.make: Callable[[int, int], bytes] | None = None
        self._last: tuple[int, bytes] = (-1, b"")
        self._old = self._new = self._kept = 0

    def place(self, offset: int) -> None:
        """Go on at an old offset; what lies before it is missing and as long as it was."""
        if offset > self._old:
            self._add(offset - self._old, offset - self._old, 0, 0)

    def add(self, block: Block) -> None:
        """The next bytes."""
        if block.size or block.data:
            self._add(block.size, len(block.data), self._kept, len(block.data))
            self._run.add(block.data)

    def add_made(self, size: int) -> None:
        """The next bytes, as many as they were, which are made when they are asked for."""
        self._add(size, size, MADE, 0)

    def _add(self, size: int, length: int, at: int, kept: int) -> None:
        self._rows.add((self._old, self._new, kept, at))
        self._old += size
        self._new += length
        self._kept += kept

    @property
    def end(self) -> int:
        """The old offset after the last block."""
        return self._old

    @cached_property
    def _blocks(self) -> "tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int], bytes]":
        """Old and new offsets of the blocks, bytes of each that are kept, where these begin, and all these."""
        rows = self._rows.take()
        return *(numbers(rows[name]) for name in ("old", "new", "size", "at")), self._run.take()  # type: ignore[return-value]

    def __getstate__(self) -> dict[str, Any]:
        *columns, kept = self._blocks
        return {
            "columns": [np.asarray(column) for column in columns],
            "kept": bytes(kept),
            "ends": (self._old, self._new),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._old, self._new = state["ends"]
        self.make, self._last = None, (-1, b"")
        run = Run()
        run.add(state["kept"])
        self.__dict__["_blocks"] = *map(numbers, state["columns"]), run.take()

    def at(self, offset: int) -> int:
        """The new offset of an old one."""
        olds, news, *_ = self._blocks
        if offset >= self._old or not olds:
            return self._new + offset - self._old
        if offset < 0:
            return offset
        k = bisect_right(olds, offset) - 1
        inside = offset - olds[k]
        return news[k] + min(inside, max(self._end(k) - news[k] - 1, 0)) if inside else news[k]

    def _end(self, k: int) -> int:
        """The new offset behind a block."""
        news = self._blocks[1]
        return news[k + 1] if k + 1 < len(news) else self._new

    def again(self) -> None:
        """Make what is made when it is asked for once more."""
        self._last = -1, b""

    def between(self, begin: int, end: int) -> bytes:
        """The new bytes of an old stretch; zeros where none were captured."""
        news = self._blocks[1]
        low, high = self.at(begin), self.at(end)
        out = bytearray(max(0, high - low))
        k = max(0, bisect_right(news, low) - 1)
        while k < len(news) and news[k] < high:
            start = max(low, news[k])
            data = self._part(k, start - news[k], high - news[k])
            out[start - low : start - low + len(data)] = data
            k += 1
        return bytes(out)

    def _part(self, k: int, begin: int, end: int) -> bytes:
        """Some bytes of a block, as far as it goes."""
        olds, news, sizes, places, kept = self._blocks
        if places[k] != MADE:
            return kept[places[k] + begin : places[k] + min(end, sizes[k])]
        if self._last[0] != k and self.make is not None:
            self._last = k, self.make(olds[k], self._end(k) - news[k])
        return self._last[1][begin:end]
