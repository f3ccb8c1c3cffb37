"""Pieces of a long capture side by side: numpy lets other threads run while it computes."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

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


def available() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
