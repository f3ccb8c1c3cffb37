"""Where the bytes of a stream went: blocks of the old one and what stands for each in the new one."""

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple


class Block(NamedTuple):
    """A run of bytes of a stream and what it became."""

    size: int  # bytes before
    data: bytes  # after


class Layout:
    """The new stream, and the way from an old offset to a new one. It never goes back, and keeps borders of blocks."""

    def __init__(self) -> None:
        self._olds: list[int] = []
        self._news: list[int] = []
        self._data: list[bytes | Callable[[], bytes]] = []
        self._last: tuple[int, bytes] = (-1, b"")
        self._sizes: list[int] = []
        self._old = self._new = 0

    def place(self, offset: int) -> None:
        """Go on at an old offset; what lies before it is missing and as long as it was."""
        if offset > self._old:
            self._add(offset - self._old, b"", offset - self._old)

    def add(self, block: Block) -> None:
        """The next bytes."""
        if block.size or block.data:
            self._add(block.size, block.data, len(block.data))

    def add_later(self, size: int, make: "Callable[[], bytes]") -> None:
        """The next bytes, as many as they were, which are made when they are asked for."""
        self._add(size, make, size)

    def _add(self, size: int, data: "bytes | Callable[[], bytes]", length: int) -> None:
        self._olds.append(self._old)
        self._news.append(self._new)
        self._sizes.append(length)
        self._data.append(data)
        self._old += size
        self._new += length

    def move(self, into: "Layout") -> None:
        """Append the blocks that lie behind the end of another to it."""
        for old, data, size in zip(self._olds, self._data, self._sizes, strict=True):
            if old < into.end:
                continue
            into.place(old)
            after = self._olds[self._olds.index(old) + 1] if old != self._olds[-1] else self._old
            into._add(after - old, data, size)

    @property
    def end(self) -> int:
        """The old offset after the last block."""
        return self._old

    def at(self, offset: int) -> int:
        """The new offset of an old one."""
        if offset >= self._old or not self._olds:
            return self._new + offset - self._old
        if offset < 0:
            return offset
        k = bisect_right(self._olds, offset) - 1
        inside = offset - self._olds[k]
        if not inside:
            return self._news[k]
        return self._news[k] + min(inside, max(self._sizes[k] - 1, 0))

    def again(self) -> None:
        """Make what is made when it is asked for once more."""
        self._last = -1, b""

    def between(self, begin: int, end: int) -> bytes:
        """The new bytes of an old stretch; zeros where none were captured."""
        low, high = self.at(begin), self.at(end)
        out = bytearray(max(0, high - low))
        k = max(0, bisect_right(self._news, low) - 1)
        while k < len(self._news) and self._news[k] < high:
            start = self._news[k]
            made = self._data[k]
            if not isinstance(made, bytes):
                if self._last[0] != k:
                    self._last = k, made()
                made = self._last[1]
            data = made
            a, b = max(low, start), min(high, start + len(data))
            if a < b:
                out[a - low : b - low] = data[a - start : b - start]
            k += 1
        return bytes(out)
