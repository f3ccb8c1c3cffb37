"""Columns of a capture: one array each, which grows in place, so that the whole never exists twice.

A long one lies in a nameless temporary file that is mapped into memory, and whoever goes through a column in slices
gives the pages behind him back: what a capture takes of memory does not grow with its columns. What is computed of
long columns is computed in slices for the same reason.
"""

import mmap
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from threading import Lock
from typing import IO, Any, cast
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SLICE = 1 << 18  # rows
HELD = 1 << 20  # bytes of one column in memory; a longer one lies in a file
_BUFFER = 1 << 16  # bytes that are written at a time
_PART = 1 << 14  # rows that are tuples before they become a column
_FEW = 1 << 12  # rows whose pages are not worth being given back: 16 MB at most
MAPPED = 128  # files at a time, for each of which Python keeps a descriptor; what comes later stays in memory

_mapped: "WeakSet[Pages]" = WeakSet()
_changing = Lock()
_looked_at = 0  # rows since pages were given back


class Pages(mmap.mmap):
    """What lies in a file. To whom it is bytes: slices are, patterns search it, and it begins with something."""

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0) -> bool:
        """As `bytes.startswith`."""
        longest = max(map(len, (prefix,) if isinstance(prefix, bytes) else prefix))
        return self[start : start + longest].startswith(prefix)


def slices(count: int, rows: int = 0) -> Iterator[slice]:
    """Neighbouring slices that together are ``count`` rows; of mapped columns no more stays than one slice."""
    rows = rows or SLICE
    for low in range(0, count, rows):
        yield slice(low, min(low + rows, count))
        if count > rows:
            let_go()


def spans(rows: Array) -> Iterator[slice]:
    """Neighbouring slices of sorted rows of a capture, each within `SLICE` of them or few, as `slices` gives them."""
    if len(rows) <= SLICE:
        yield slice(0, len(rows))
        return
    edges = np.searchsorted(rows, np.arange(0, int(rows[-1]) + 1, SLICE).astype(rows.dtype)) if len(rows) else [0]
    for low, high in pairwise([*np.unique(edges).tolist(), len(rows)]):
        yield slice(low, high)
        let_go()


def let_go(rows: int = SLICE) -> None:
    """Give the pages of mapped columns back to the system, which reads them again where they are asked for.

    ``rows`` is how many were looked at since: few, each of which may lie on a page of its own, wait for others.
    """
    global _looked_at
    _looked_at += rows
    if _looked_at < _FEW:
        return
    _looked_at = 0
    with _changing:
        every = list(_mapped)
    for pages in every:
        if hasattr(pages, "madvise"):
            pages.madvise(mmap.MADV_DONTNEED)


def filled(count: int, value: Any, dtype: Any) -> Array:
    """A column of one value."""
    column = Growing()
    for window in slices(count):
        column.add({"": np.full(window.stop - window.start, value, dtype)})
    return column.take("", dtype)


def laid(column: Array) -> Array:
    """The same column, a long one in a file; the pages out of which it was made are given back."""
    let_go(len(column))
    if column.nbytes <= HELD:
        return column
    growing = Growing()
    growing.add({"": column})
    return growing.take("", column.dtype)


def numbers(column: Array) -> Sequence[int]:
    """The same as Python's own numbers, which cost less one by one; in a list each would take 40 bytes."""
    return cast("Sequence[int]", laid(np.ascontiguousarray(column)).data)


def made(count: int, dtype: Any, compute: Callable[[slice], Array]) -> Array:
    """A column that is computed slice by slice."""
    column = Growing()
    for window in slices(count):
        column.add({"": np.asarray(compute(window), dtype)})
    return column.take("", dtype)


def grouped(count: int, groups: int, of: Callable[[slice], Array]) -> tuple[npt.NDArray[np.int32], Array]:
    """Rows by their group, in order within each, and where each group begins, and the last one ends.

    ``of`` gives the groups of a slice of the rows: numbers below ``groups``, -1 for none.
    """
    sizes = np.zeros(groups + 1, np.int64)
    for window in slices(count):
        sizes += np.bincount(of(window) + 1, minlength=groups + 1)
    starts = np.concatenate([[0], np.cumsum(sizes[1:])])
    at, rows = starts[:-1].copy(), filled(int(starts[-1]), 0, np.int32)
    for window in slices(count):
        group = of(window)
        order = np.argsort(group, kind="stable")
        order = order[np.searchsorted(group[order], 0) :]
        begins = np.flatnonzero(np.diff(group[order], prepend=-1))
        numbers, lengths = group[order[begins]], np.diff(begins, append=len(order))
        rows[np.repeat(at[numbers] - begins, lengths) + np.arange(len(order))] = order + window.start
        at[numbers] += lengths
    return rows, starts


def where(count: int, test: Callable[[slice], Array]) -> npt.NDArray[np.int64]:
    """Rows for which ``test``, which takes a slice, is true."""
    column = Growing()
    for window in slices(count):
        column.add({"": window.start + np.flatnonzero(test(window))})
    return column.take("", np.int64)


class Run:
    """Bytes that follow each other."""

    def __init__(self) -> None:
        self._parts, self._size = list[bytes](), 0
        self._count = 0
        self._column: _Column | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, data: bytes) -> None:
        """The next ones."""
        self._parts.append(data)
        self._size += len(data)
        self._count += len(data)
        if self._size > (HELD if self._column is None else _BUFFER):
            self._column = self._column or _Column(np.uint8)
            self._column.add(np.frombuffer(b"".join(self._parts), np.uint8))
            self._parts, self._size = [], 0

    def take(self) -> bytes:
        """All of them; what is long is `Pages`, and no more in memory than its reader asks for."""
        rest = b"".join(self._parts)
        if self._column is None:
            return rest
        self._column.add(np.frombuffer(rest, np.uint8))
        pages = self._column.pages()
        return self._column.take().tobytes() if pages is None else cast("bytes", pages)


class Growing:
    """Named columns to which parts are added; `take` gives each as one array."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def add(self, parts: dict[str, Array]) -> None:
        """Add a part to each column. A part of a wider type widens its column."""
        for name, part in parts.items():
            column = self._columns.setdefault(name, _Column(part.dtype))
            wide = np.promote_types(column.held.dtype, part.dtype)
            if wide != column.held.dtype:
                column = self._columns[name] = column.widened(wide)
            column.add(part)

    def take(self, name: str, dtype: Any) -> Array:
        """A column, which is then no longer held here; an empty one of ``dtype`` where no part was added."""
        column = self._columns.pop(name, None)
        return np.zeros(0, dtype) if column is None else column.take()


class Rows:
    """Rows of a structured type, laid down one after the other."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._rows: list[tuple[Any, ...]] = []
        self._columns, self._count = Growing(), 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: tuple[Any, ...]) -> None:
        """The next one."""
        self._rows.append(row)
        self._count += 1
        if len(self._rows) == _PART:
            self._lay()

    def take(self) -> Array:
        """All of them as one array, which is then no longer held here."""
        if self._count < _PART:
            return np.array(self._rows, self._dtype)
        self._lay()
        return self._columns.take("", self._dtype)

    def _lay(self) -> None:
        if self._rows:
            self._columns.add({"": np.array(self._rows, self._dtype)})
            self._rows = []
            let_go()  # what they were made of


def joined(columns: Sequence[Array]) -> Array:
    """One column behind the other."""
    growing = Growing()
    for column in columns:
        for window in slices(len(column)):
            growing.add({"": column[window]})
    return growing.take("", columns[0].dtype)


def ordered(column: Array, order: Array) -> Array:
    """The rows of a column in another order."""
    if len(order) < _PART:
        return column[order]
    growing = Growing()
    for window in slices(len(order)):
        growing.add({"": column[order[window]]})
    return growing.take("", column.dtype)


class _Column:
    """One column: in memory while it is short, or where no file can be had; else in a file."""

    def __init__(self, dtype: Any) -> None:
        self.held: Array = np.empty(0, dtype)
        self._count = 0
        self._file: IO[bytes] | None = None
        self._most = HELD

    def add(self, part: Array) -> None:
        count = self._count + len(part)
        if self._file is None and count * self.held.itemsize > self._most:
            self._spill()
        if self._file is not None and self._written(part):
            self._count = count
            return
        if count > len(self.held):
            # Long arrays lie in pages of their own, which the system moves without a copy.
            self.held.resize(count + self._count // 8, refcheck=False)
        self.held[self._count : count] = part
        self._count = count

    def widened(self, dtype: Any) -> "_Column":
        wide, old = _Column(dtype), self.take()
        for window in slices(len(old)):
            wide.add(old[window])
        return wide

    def take(self) -> Array:
        pages = self.pages()
        if pages is not None:
            return np.frombuffer(pages, self.held.dtype)
        self.held.resize(self._count, refcheck=False)
        return self.held

    def pages(self) -> Pages | None:
        """The file, where it lies in one."""
        if self._file is None:
            return None
        try:
            pages = Pages(self._file.fileno(), self._count * self.held.itemsize)
        except (OSError, ValueError):
            self._recall()
            return None
        with _changing:
            _mapped.add(pages)
        return pages

    def _spill(self) -> None:
        """Go on in a file."""
        if len(_mapped) >= MAPPED:
            self._most = sys.maxsize
            return
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as it is mapped)
        except OSError:
            self._most = sys.maxsize
            return
        if self._written(self.held[: self._count]):
            self.held = np.empty(0, self.held.dtype)

    def _written(self, part: Array) -> bool:
        """Append to the file; where it is full, all is held in memory again."""
        assert self._file is not None
        rest = np.ascontiguousarray(part, self.held.dtype).view(np.uint8).data
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._recall()
            return False
        return True

    def _recall(self) -> None:
        """Take back from the file what was written to it, and go on in memory."""
        assert self._file is not None
        file, self._file, self._most = self._file, None, sys.maxsize
        if not len(self.held):
            self.held = np.empty(self._count, self.held.dtype)
            view, at = self.held.view(np.uint8).data, 0
            file.seek(0)
            while at < len(view) and (size := file.readinto(view[at:])):  # type: ignore[attr-defined]
                at += size
        file.close()
