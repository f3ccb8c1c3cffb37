"""IP datagrams put together from their fragments (RFC 791 section 3.2, RFC 8200 section 4.5)."""

from collections import OrderedDict
from collections.abc import Hashable

WAITING = 512  # datagrams at a time; the oldest is given up
LARGEST = 65_535  # bytes of a datagram


class _Waiting:
    __slots__ = ("held", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.held = 0  # bytes in pieces
        self.size = -1  # of the datagram, once the last fragment is there


class Reassembler:
    """Fragments go in as they come, in any order; a datagram comes out with the fragment that completes it.

    Where fragments overlap, the byte that came first stays. What is never completed is forgotten, oldest first.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, _Waiting] = OrderedDict()

    def add(self, key: Hashable, offset: int, more: bool, data: bytes) -> bytes | None:
        """The whole datagram, if ``data`` at ``offset`` completes the one that ``key`` names."""
        if offset + len(data) > LARGEST or not data:
            return None
        datagram = self._waiting.get(key)
        if datagram is None:
            if len(self._waiting) >= WAITING:
                self._waiting.popitem(last=False)
            datagram = self._waiting[key] = _Waiting()
        if not more:
            datagram.size = offset + len(data)
        datagram.pieces.append((offset, data))
        datagram.held += len(data)
        if datagram.held > 2 * LARGEST:  # overlaps without end
            del self._waiting[key]
            return None
        if datagram.size < 0 or datagram.held < datagram.size:
            return None
        whole, reached = bytearray(datagram.size), 0
        for begin, piece in sorted(datagram.pieces, key=lambda item: item[0]):
            if begin > reached:
                return None
            reached = max(reached, begin + len(piece))
        if reached < datagram.size:
            return None
        for begin, piece in reversed(datagram.pieces):  # the first to come is written last
            piece = piece[: max(0, datagram.size - begin)]
            whole[begin : begin + len(piece)] = piece
        del self._waiting[key]
        return bytes(whole)
