"""Byte streams inside byte streams, and what to do where bytes are missing."""

from bisect import bisect_left, bisect_right

from jitsilab.wire.flows import ByteStream, Piece


class Spliced:
    """A ByteStream made of parts of another: the DATA frames of one HTTP/2 stream."""

    def __init__(self, outer: ByteStream) -> None:
        self._outer = outer
        self._starts: list[int] = []  # offset of each part in this stream
        self._outside: list[int] = []  # and in the other
        self._runs: list[tuple[int, list[bytes]]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, start: int, data: bytes, *, after_gap: bool = False) -> None:
        """Add bytes that begin at ``start`` of the other stream; after a gap they do not continue what is there."""
        if not data:
            return
        if after_gap:
            self._length += 1  # how many are missing is not known; one keeps the runs apart
        if after_gap or not self._runs:
            self._runs.append((self._length, []))
        self._starts.append(self._length)
        self._outside.append(start)
        self._runs[-1][1].append(data)
        self._length += len(data)

    @property
    def pieces(self) -> list[Piece]:
        """Contiguous runs."""
        return [Piece(offset, b"".join(parts)) for offset, parts in self._runs]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First and last frame that carried bytes [start, end)."""
        first = max(0, bisect_right(self._starts, start) - 1)
        last = max(first, bisect_left(self._starts, end) - 1)
        outside = self._outside[first] + max(0, start - self._starts[first])
        until = self._outside[last] + max(1, end - self._starts[last])
        return self._outer.span(outside, until)


class Cursor:
    """A place in a ByteStream: ``data`` is the run around it, ``at`` the index there."""

    def __init__(self, stream: ByteStream, offset: int = 0) -> None:
        self.stream = stream
        self._pieces = stream.pieces
        self._number = 0
        self.at = 0
        if self._pieces:
            self.seek(offset)

    @property
    def data(self) -> bytes:
        """The run of bytes around the place; empty at the end of all."""
        return self._pieces[self._number].data if self._number < len(self._pieces) else b""

    @property
    def base(self) -> int:
        """Offset in the stream of the first byte of ``data``."""
        if self._number < len(self._pieces):
            return self._pieces[self._number].offset
        return self._pieces[-1].offset + len(self._pieces[-1].data) if self._pieces else 0

    @property
    def offset(self) -> int:
        """Offset in the stream."""
        return self.base + self.at

    @property
    def done(self) -> bool:
        """Whether no byte is left in the stream."""
        return self._number >= len(self._pieces) or (self.last and self.at >= len(self.data))

    @property
    def last(self) -> bool:
        """Whether no bytes are missing between here and the last one captured."""
        return self._number >= len(self._pieces) - 1

    def seek(self, offset: int) -> bool:
        """Go to an offset; where it is missing go to the next byte there is, and say False."""
        while self._number < len(self._pieces):
            piece = self._pieces[self._number]
            if offset < piece.offset:
                self.at = 0
                return False
            if offset < piece.offset + len(piece.data) or (self.last and offset == piece.offset + len(piece.data)):
                self.at = offset - piece.offset
                return True
            self._number += 1
        self.at = 0
        return False

    def skip(self) -> int:
        """Go to the next run; gives how many bytes are missing before it."""
        end = self.base + len(self.data)
        self._number += 1
        self.at = 0
        return max(1, self.base - end) if self._number < len(self._pieces) else 0

    def frames(self, start: int, end: int) -> tuple[int, int]:
        """Frames of indices [start, end) of ``data``."""
        start = min(start, len(self.data) - 1)
        return self.stream.span(self.base + start, self.base + max(start + 1, end))

    def frame(self) -> int:
        """The frame of the byte at hand."""
        return self.frames(self.at, self.at + 1)[1] if self.data else 0
