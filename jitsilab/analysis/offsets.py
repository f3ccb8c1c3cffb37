"""How far clocks stand apart, from pairs of moments of which one is known to have come before the other.

An offset is what to add to a clock to get the time of another, in seconds. Each pair of moments bounds the difference
of two offsets from one side or from both; what most pairs of two clocks allow is kept, and bounds add up along a chain
of clocks. No clock is believed more than another here.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

UNBOUNDED = float("inf")
FINE = 1e-3  # s: what times in milliseconds leave open


class Gap(NamedTuple):
    """Bounds of the offset of ``other`` less that of ``source``, in s."""

    source: str
    other: str
    low: float
    high: float


class Interval(NamedTuple):
    """Where an offset lies."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The best value."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """How much stays open."""
        return self.high - self.low

    def holds(self, value: float) -> bool:
        """Whether a value may be it."""
        return self.low - FINE <= value <= self.high + FINE


def agreed(bounds: Iterable[Interval]) -> Interval | None:
    """What most of some bounds allow together, None where no more than half of them agree (a clock that was set).

    >>> agreed([Interval(-1.0, 2.0), Interval(0.5, 3.0), Interval(90.0, 91.0)])
    Interval(low=0.5, high=2.0)
    """
    listed = list(bounds)
    starts = sorted({bound.low for bound in listed})
    best: list[Interval] = []
    for start in starts:
        inside = [bound for bound in listed if bound.low <= start <= bound.high + FINE]
        if len(inside) > len(best):
            best = inside
    if not best or 2 * len(best) <= len(listed):
        return None
    low, high = max(bound.low for bound in best), min(bound.high for bound in best)
    return Interval(low, max(low, high))


def between(gaps: Iterable[Gap]) -> dict[tuple[str, str], Interval]:
    """What is known of each two clocks, each pair of names once, in the order of the alphabet."""
    known: dict[tuple[str, str], list[Interval]] = {}
    for gap in gaps:
        if gap.source == gap.other:
            continue
        if gap.source < gap.other:
            known.setdefault((gap.source, gap.other), []).append(Interval(gap.low, gap.high))
        else:
            known.setdefault((gap.other, gap.source), []).append(Interval(-gap.high, -gap.low))
    return {pair: interval for pair, bounds in known.items() if (interval := agreed(bounds)) is not None}


def from_reference(reference: str, pairs: Mapping[tuple[str, str], Interval]) -> dict[str, Interval]:
    """Offsets to the clock of ``reference`` of every clock that some chain of pairs joins with it.

    Where chains contradict each other, the narrowest pair nearest to the reference is believed.
    """
    near: dict[str, dict[str, Interval]] = {}
    for (source, other), gap in pairs.items():
        near.setdefault(source, {})[other] = gap
        near.setdefault(other, {})[source] = Interval(-gap.high, -gap.low)
    offsets = {reference: Interval(0.0, 0.0)}
    waiting = [reference]
    steps = 0
    while waiting and steps < 50 * (len(near) + 1):
        steps += 1
        waiting.sort(key=lambda clock: offsets[clock].width, reverse=True)
        here = waiting.pop()
        for there, gap in near.get(here, {}).items():
            reached = Interval(offsets[here].low + gap.low, offsets[here].high + gap.high)
            before = offsets.get(there)
            if before is not None:
                reached = Interval(max(before.low, reached.low), min(before.high, reached.high))
                if reached.low > reached.high + FINE:
                    continue  # a contradiction: what was known before stays
                reached = Interval(reached.low, max(reached.low, reached.high))
                if reached.width > before.width - FINE or there == reference:
                    continue
            offsets[there] = reached
            if there not in waiting:
                waiting.append(there)
    return offsets
