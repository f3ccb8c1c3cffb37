"""Pieces of a long capture side by side, by threads where numpy computes, by processes where Python does."""

import os
import signal
import struct
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import IO, Any, TypeVar

from jitsilab.pcap.shelf import Shelf

Given = TypeVar("Given")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Given], Made], pieces: Iterable[Given]) -> Iterator[Made]:
    """What ``work`` makes of each piece, in their order; a few at a time, on as many threads as there are cores.

    The pieces themselves are asked for here, one after the other. Whoever is not the main thread shares the cores with
    others, of which each has a capture of its own (`jitsilab survey`), and does all by himself.
    """
    given = iter(pieces)
    first = list(zip(range(2), given, strict=False))
    several = len(first) > 1 and threading.current_thread() is threading.main_thread()
    rest = chain((piece for _, piece in first), given)
    if not several or available() < 2:
        yield from map(work, rest)
        return
    with ThreadPoolExecutor(available()) as pool:
        running: deque[Future[Made]] = deque()
        for piece in rest:
            running.append(pool.submit(work, piece))
            if len(running) > available():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def apart(work: Callable[[Given, Shelf], Made], pieces: Sequence[Given]) -> Iterator[tuple[Made, Shelf]]:
    """What ``work`` makes of each piece, in their order, and the shelf on which it laid down what is long.

    Each piece behind the first is worked on by a process of its own: this is for Python's own work, of which threads do
    one at a time. Nothing that ``work`` changes elsewhere is seen here. `processes` says how many pieces to make.
    """
    children = [_forked(work, piece) for piece in pieces[1:]]
    try:
        for number, piece in enumerate(pieces):
            made = _of_child(children, number - 1) if number else None
            if made is None:  # or it could not finish
                shelf = Shelf()
                made = work(piece, shelf), shelf
            yield made
    finally:
        for child in filter(None, children):
            os.kill(child[0], signal.SIGKILL)
            os.waitpid(child[0], 0)


def processes() -> int:
    """How many processes may work on a capture: this one alone where it has threads, which a fork would tear apart.

    Those of libraries that prepare for a fork (pyarrow's, OpenBLAS's) do not count: children use Python and numpy.
    """
    return available() if sys.platform == "linux" and threading.active_count() == 1 else 1


_Child = tuple[int, IO[bytes]]  # its number, and the file of its shelf, which ends with where it laid what it made
_WHERE = struct.Struct("=QQ")


def _forked(work: Callable[[Given, Shelf], Made], piece: Given) -> _Child | None:
    """A process that works on a piece; None where there can be none."""
    try:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the shelf)
        with warnings.catch_warnings():  # Python 3.12 counts threads that `processes` does not
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
    except OSError:
        return None
    if child:
        return child, file
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        shelf = Shelf(file)
        where = shelf.put(work(piece, shelf))
        status = int(not shelf.add(_WHERE.pack(*where)))
    finally:
        os._exit(status)  # nothing of this process is for the other to see but the file


def _of_child(children: list[_Child | None], number: int) -> tuple[Any, Shelf] | None:
    """What a process made, once it ended; None where it could not."""
    child = children[number]
    if child is None:
        return None
    _, status = os.waitpid(child[0], 0)
    children[number] = None
    if status:
        return None
    shelf = Shelf(child[1])
    return shelf.get(_WHERE.unpack(shelf.last(_WHERE.size))), shelf


def available() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
