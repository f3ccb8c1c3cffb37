"""Arithmetic over RTP streams: loss, order and jitter, for all streams of a capture at once.

Packets come sorted by stream and, within one, by arrival; ``start`` holds the place of each stream's first packet.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DROPOUT = 3000  # RFC 3550 appendix A.1: a larger jump of the sequence number is a sender that began anew
_MEMORY = 1024  # packets after which the jitter filter has forgotten: (15/16)**1024 is below 1e-28


def sequences(sequence: Array, start: Array) -> dict[str, Array]:
    """Loss, repetition, order, wraps, restarts and gaps of each stream (RFC 3550 appendices A.1 and A.3)."""
    count = len(sequence)
    stream = _stream(count, start)
    step = np.zeros(count, np.int64)
    step[1:] = (np.diff(sequence) + 0x8000 & 0xFFFF) - 0x8000
    step[start] = 0
    began = np.abs(step) > DROPOUT
    opens = began.copy()
    opens[start] = True
    run = np.flatnonzero(opens)  # stretches between restarts, within which numbers can be compared
    of_run = np.cumsum(opens) - 1
    step[opens] = 0
    walked = np.cumsum(step)
    # Numbers without wraps: each run counts on from its first packet's own number.
    number = walked - walked[run][of_run] + sequence[run][of_run]
    highest = _running_max(number, of_run)
    late = np.zeros(count, bool)
    late[1:] = (number[1:] < highest[:-1]) & (of_run[1:] == of_run[:-1])
    order = np.lexsort((number, of_run))
    ordered, runs = number[order], of_run[order]
    ahead = np.diff(ordered)
    same = np.diff(runs) == 0
    repeated = np.concatenate([[False], same & (ahead == 0)])
    hole = np.concatenate([[False], same & (ahead > 1)])
    missing = np.concatenate([[0], np.where(same & (ahead > 1), ahead - 1, 0)])
    lowest, top = np.minimum.reduceat(number, run), np.maximum.reduceat(number, run)
    wraps = (top >> 16) - (lowest >> 16)
    total = len(start)

    def summed(values: Array, where: Array) -> Array:
        return np.bincount(where, weights=values, minlength=total).astype(np.int64)

    return {
        "lost": summed(missing, stream[order]),
        "repeated": summed(repeated, stream[order]),
        "reordered": summed(late, stream),
        "wraps": summed(wraps, stream[run]),
        "restarts": summed(began, stream),
        "gaps": summed(hole, stream[order]),
    }


def jitter(time: Array, timestamp: Array, start: Array, rates: Sequence[int | None]) -> Array:
    """Interarrival jitter in ms at each stream's last packet (RFC 3550 section 6.4.1); NaN without a clock rate.

    ``time`` is in ns. The filter J += (|D| - J) / 16 is a weighted sum, of which the last thousand packets are all.
    """
    ends = np.concatenate([start[1:], [len(time)]])
    weights = (15 / 16) ** np.arange(_MEMORY)[::-1] / 16
    out = np.full(len(start), np.nan)
    for i, (begin, end, rate) in enumerate(zip(start.tolist(), ends.tolist(), rates, strict=True)):
        if not rate:
            continue
        begin = max(begin, end - _MEMORY - 1)
        ticks = (np.diff(timestamp[begin:end]) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        apart = np.abs(np.diff(time[begin:end]) / 1e6 - ticks * (1000 / rate))
        out[i] = apart @ weights[_MEMORY - len(apart) :]
    return out


def longest_pause(time: Array, start: Array) -> Array:
    """Seconds of the longest time between two packets of each stream."""
    apart = np.diff(time, prepend=time[:1])
    apart[start] = 0
    longest: Array = np.maximum.reduceat(apart, start) / 1e9
    return longest


def payload_types(types: Array, start: Array) -> tuple[list[int], list[str]]:
    """Of each stream the payload type that most packets have (of equals the lowest), and all of them as text."""
    stream = _stream(len(types), start)
    pairs, counts = np.unique(stream << 7 | types, return_counts=True)
    main, best, every = [0] * len(start), [0] * len(start), [""] * len(start)
    for pair, packets in zip(pairs.tolist(), counts.tolist(), strict=True):
        stream, kind = pair >> 7, pair & 0x7F
        every[stream] += f" {kind}" if every[stream] else str(kind)
        if packets > best[stream]:
            main[stream], best[stream] = kind, packets
    return main, every


def _stream(count: int, start: Array) -> Array:
    begins = np.zeros(count, np.int64)
    begins[start] = 1
    number: Array = np.cumsum(begins) - 1
    return number


def _running_max(number: Array, group: Array) -> Array:
    """The highest number so far within each group; groups are numbered upwards and stand together."""
    span = int(number.max() - number.min()) + 1 if len(number) else 1
    highest: Array = np.maximum.accumulate(number + group * span) - group * span
    return highest
