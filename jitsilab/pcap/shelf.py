"""Objects in a nameless file, of which those that were asked for last are in memory."""

import os
import pickle
import tempfile
from collections import OrderedDict
from typing import IO, Any

from jitsilab.pcap.columns import HELD

KEPT = 4  # objects in memory
Place = tuple[int, int]  # offset and size, in bytes


class Shelf:
    """What was laid down is the same wherever it lies: in memory while it is little, or where no file can be had."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file, self._end = file, 0 if file is None else os.fstat(file.fileno()).st_size
        self._parts: dict[int, bytes] = {}  # in memory, by offset
        self._recent: OrderedDict[Place, Any] = OrderedDict()

    def put(self, thing: Any) -> Place:
        """Lay something down, as it is now."""
        data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
        self.add(data)
        return self._end - len(data), len(data)

    def add(self, data: bytes) -> bool:
        """Lay down bytes; whether they, and all before them, are in the file."""
        offset, self._end = self._end, self._end + len(data)
        if self._file is None and self._end > HELD:
            self._spill()
        if self._file is None or not _written(self._file, data, offset):
            self._parts[offset] = data
        return not self._parts

    def last(self, size: int) -> bytes:
        """The bytes that were laid down last."""
        return self._data(self._end - size, size)

    def get(self, place: Place) -> Any:
        """What lies there; nobody changes it."""
        thing = self._recent.pop(place, None)
        if thing is None:
            thing = pickle.loads(self._data(*place))  # this process wrote it, or one that was forked from it
        self._recent[place] = thing
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return thing

    def _data(self, offset: int, size: int) -> bytes:
        if offset in self._parts or self._file is None:
            return self._parts[offset]
        return os.pread(self._file.fileno(), size, offset)

    def _spill(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the shelf)
        except OSError:
            return
        self._parts = {at: data for at, data in self._parts.items() if not _written(self._file, data, at)}


def _written(file: IO[bytes], data: bytes, offset: int) -> bool:
    """Write to a place in a file; False where it is full."""
    rest = memoryview(data)
    try:
        while rest:
            size = os.pwrite(file.fileno(), rest, offset)
            rest, offset = rest[size:], offset + size
    except OSError:
        return False
    return True
