"""Arithmetic over RTP streams: loss, order and jitter of many streams at once, whose packets are added part by part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DROPOUT = 3000  # RFC 3550 appendix A.1: a larger jump of the sequence number is a sender that began anew
_MEMORY = 1024  # packets after which the jitter filter has forgotten: (15/16)**1024 is below 1e-28
_STATE = (
    "packets", "bytes", "reordered", "restarts", "pause",
    "time", "sequence", "number", "highest", "run",  # of the latest packet; numbers are without wraps
)  # fmt: skip


class Streams:
    """What is counted of streams that are numbered from 0.

    A run is the stretch of a stream between restarts, within which numbers can be compared. Of its numbers those are
    kept that came, as intervals without a hole.
    """

    def __init__(self) -> None:
        self._of = {name: np.zeros(0, np.int64) for name in _STATE}
        self._runs = np.zeros(0, np.int64), np.zeros(0, np.int64)  # stream, packets
        self._came = np.zeros((3, 0), np.int64)  # run, lowest, highest
        self._types = np.zeros(0, np.int64), np.zeros(0, np.int64)  # stream << 7 | payload type, packets
        self._tails: dict[int, tuple[Array, Array]] = {}  # of each stream the latest times and timestamps

    def add(
        self, stream: Array, *, sequence: Array, timestamp: Array, payload_type: Array, time: Array, size: Array
    ) -> None:
        """Packets sorted by stream and, within one, by arrival, which is later than that of all before; times in ns."""
        if not len(stream):
            return
        self._grow(int(stream[-1]) + 1)
        begins = np.flatnonzero(np.diff(stream, prepend=-1))
        ends = np.concatenate([begins[1:], [len(stream)]])
        numbers, of = stream[begins], self._of
        known = of["run"][numbers] >= 0
        apart = np.diff(time, prepend=time[:1])
        apart[begins] = np.where(known, time[begins] - of["time"][numbers], 0)
        of["pause"][numbers] = np.maximum(of["pause"][numbers], np.maximum.reduceat(apart, begins))
        of["time"][numbers] = time[ends - 1]
        of["packets"][numbers] += ends - begins
        of["bytes"][numbers] += np.add.reduceat(size, begins)
        self._number(stream, sequence.astype(np.int64), begins, ends)
        self._types = _counted(*self._types, *np.unique(stream << 7 | payload_type, return_counts=True))
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True):
            times, stamps = self._tails.get(number, (time[:0], timestamp[:0]))
            begin = max(begin, end - _MEMORY - 1)
            times, stamps = np.append(times, time[begin:end]), np.append(stamps, timestamp[begin:end])
            self._tails[number] = times[-_MEMORY - 1 :].copy(), stamps[-_MEMORY - 1 :].copy()

    def _grow(self, count: int) -> None:
        more = count - len(self._of["run"])
        if more > 0:
            for name, values in self._of.items():
                self._of[name] = np.append(values, np.full(more, -1 if name == "run" else 0))

    def _number(self, stream: Array, sequence: Array, begins: Array, ends: Array) -> None:
        """Numbers without wraps: each run counts on from its first packet's own (RFC 3550 appendix A.1)."""
        of, numbers = self._of, stream[begins]
        known = of["run"][numbers] >= 0
        before = np.concatenate([sequence[:1], sequence[:-1]])
        before[begins] = np.where(known, of["sequence"][numbers], sequence[begins])
        step = (sequence - before + 0x8000 & 0xFFFF) - 0x8000
        began = np.abs(step) > DROPOUT
        opens = began.copy()
        opens[begins[~known]] = True
        step[opens] = 0
        first = opens.copy()
        first[begins] = True
        start, part = np.flatnonzero(first), np.cumsum(first) - 1  # of runs, as far as they are here
        goes_on = ~opens[start]
        walked = np.cumsum(step)
        base = np.where(goes_on, of["number"][stream[start]] + step[start], sequence[start])
        number = walked - walked[start][part] + base[part]
        run = np.where(goes_on, of["run"][stream[start]], 0)
        run[~goes_on] = len(self._runs[0]) + np.arange(np.count_nonzero(~goes_on))
        lengths = np.diff(np.append(start, len(stream)))
        self._runs = (
            np.append(self._runs[0], stream[start[~goes_on]]),
            np.append(self._runs[1], np.zeros(np.count_nonzero(~goes_on), np.int64)),
        )
        self._runs[1][run] += lengths
        reached = np.where(goes_on, of["highest"][stream[start]], number[start])
        highest = np.maximum(_running_max(number, part), reached[part])
        ahead = np.concatenate([number[:1], highest[:-1]])
        ahead[start] = reached
        of["reordered"][numbers] += np.add.reduceat((number < ahead).astype(np.int64), begins)
        of["restarts"][numbers] += np.add.reduceat(began.astype(np.int64), begins)
        last = ends - 1
        of["sequence"][numbers], of["number"][numbers] = sequence[last], number[last]
        of["highest"][numbers], of["run"][numbers] = highest[last], run[part[last]]
        self._come(run[part], number)

    def _come(self, run: Array, number: Array) -> None:
        """Add numbers to the intervals of their runs."""
        order = np.lexsort((number, run))
        run, number = run[order], number[order]
        breaks = (np.diff(run) != 0) | (np.diff(number) > 1)
        low, high = np.flatnonzero(np.append(True, breaks)), np.flatnonzero(np.append(breaks, True))
        every = np.concatenate([self._came, [run[low], number[low], number[high]]], axis=1)
        run, lowest, highest = every[:, np.lexsort((every[1], every[0]))]
        reached = _running_max(highest, np.cumsum(np.diff(run, prepend=run[:1]) != 0))
        breaks = (np.diff(run) != 0) | (lowest[1:] > reached[:-1] + 1)
        low, high = np.flatnonzero(np.append(True, breaks)), np.flatnonzero(np.append(breaks, True))
        self._came = np.array([run[low], lowest[low], reached[high]])

    def counts(self) -> dict[str, Array]:
        """Packets, bytes, loss, repetition, order, wraps, restarts and gaps (RFC 3550 appendices A.1 and A.3)."""
        total = len(self._of["run"])
        of_run, packets = self._runs
        run, low, high = self._came
        lowest, highest = low[np.searchsorted(run, np.arange(len(of_run)))], np.zeros(len(of_run), np.int64)
        highest[run] = high  # of several of a run the last one written stays
        distinct = np.bincount(run, high - low + 1, len(of_run)).astype(np.int64)

        def summed(values: Array) -> Array:
            return np.bincount(of_run, values, total).astype(np.int64)

        return {
            "packets": self._of["packets"],
            "bytes": self._of["bytes"],
            "lost": summed(highest - lowest + 1 - distinct),
            "repeated": summed(packets - distinct),
            "reordered": self._of["reordered"],
            "wraps": summed((highest >> 16) - (lowest >> 16)),
            "restarts": self._of["restarts"],
            "gaps": summed(np.bincount(run, minlength=len(of_run)) - 1),
        }

    def jitter(self, rates: Sequence[int | None]) -> Array:
        """Interarrival jitter in ms at each stream's last packet (RFC 3550 section 6.4.1); NaN without a clock rate.

        The filter J += (|D| - J) / 16 is a weighted sum, of which the last thousand packets are all.
        """
        weights = (15 / 16) ** np.arange(_MEMORY)[::-1] / 16
        out = np.full(len(rates), np.nan)
        for number, rate in enumerate(rates):
            if rate:
                time, timestamp = self._tails[number]
                ticks = (np.diff(timestamp) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
                apart = np.abs(np.diff(time) / 1e6 - ticks * (1000 / rate))
                out[number] = apart @ weights[_MEMORY - len(apart) :]
        return out

    def longest_pause(self) -> Array:
        """Seconds of the longest time between two packets of each stream."""
        longest: Array = self._of["pause"] / 1e9
        return longest

    def payload_types(self) -> tuple[list[int], list[str]]:
        """Of each stream the payload type that most packets have (of equals the lowest), and all of them as text."""
        total = len(self._of["run"])
        main, best, every = [0] * total, [0] * total, [""] * total
        for pair, packets in zip(*(column.tolist() for column in self._types), strict=True):
            stream, kind = pair >> 7, pair & 0x7F
            every[stream] += f" {kind}" if every[stream] else str(kind)
            if packets > best[stream]:
                main[stream], best[stream] = kind, packets
        return main, every


def _counted(numbers: Array, counts: Array, more: Array, times: Array) -> tuple[Array, Array]:
    """Two lists of numbers and how often each came as one, sorted."""
    both, places = np.unique(np.append(numbers, more), return_inverse=True)
    return both, np.bincount(places, np.append(counts, times), len(both)).astype(np.int64)


def _running_max(number: Array, group: Array) -> Array:
    """The highest number so far within each group; groups are numbered upwards and stand together."""
    span = int(number.max() - number.min()) + 1 if len(number) else 1
    highest: Array = np.maximum.accumulate(number + group * span) - group * span
    return highest
