"""Whether packets go on as RTP does, told for each SSRC in each direction of a flow, packets added part by part."""

from collections.abc import Callable

import numpy as np

from jitsilab.wire.labelling.heads import Array, Mask, word

_TICKS = 100_000  # a second, of the fastest media clock: 90 kHz, and room for jitter
_FORWARD = 100  # sequence numbers a stream may jump by from one packet to the next and still look like one
_LAST = ("sequence", "stamp", "time")  # of the latest packet
_COUNTS = ("packets", "moves", "next_one", "forward", "changed", "kept", "wild")


class Ssrcs:
    """Streams that may be RTP (RFC 3550 section 5.1, appendix A.1), sorted by key; ``at`` is where RTP begins."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.key = np.zeros(0, np.int64)
        self._columns = {name: np.zeros(0, np.int64) for name in (*_LAST, *_COUNTS)}

    def keys(self, heads: Array, flow: Array, up: Array) -> Array:
        """Flow, SSRC and direction of some packets as one number each."""
        return flow.astype(np.int64) << 33 | word(heads, self.at + 8, 4) << 1 | up

    def add(self, heads: Array, flow: Array, up: Array, time: Array) -> None:
        """Count how packets, which come in order of arrival, move from one of their stream to the next.

        A packet seen twice says nothing either way.
        """
        if not len(heads):
            return
        key = self.keys(heads, flow, up)
        order = np.argsort(key, kind="stable")
        key = key[order]
        now = {"sequence": word(heads, self.at + 2)[order], "stamp": word(heads, self.at + 4, 4)[order],
               "time": time[order]}  # fmt: skip
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        streams = key[begins]
        known = self._known(streams)
        opens = np.zeros(len(key), bool)
        opens[begins[known < 0]] = True
        before = {name: np.concatenate([values[:1], values[:-1]]) for name, values in now.items()}
        for name, values in before.items():
            values[begins[known >= 0]] = self._columns[name][known[known >= 0]]

        def step(name: str, half: int) -> Array:
            steps: Array = (now[name] - before[name] + half & 2 * half - 1) - half
            steps[opens] = 0
            return steps

        moved, ticks = step("sequence", 1 << 15), step("stamp", 1 << 31)
        waited = np.where(opens, 0, now["time"] - before["time"]) / 1e9
        most = (np.maximum(waited, 0) + 1) * _TICKS
        again = (moved == 0) & (ticks == 0)
        counted = {
            "packets": np.ones(len(key), bool), "moves": ~opens & ~again, "next_one": moved == 1,
            "forward": (moved > 0) & (moved <= _FORWARD), "changed": ticks != 0,
            "kept": (ticks > 0) & (ticks <= most), "wild": np.abs(ticks) > 10 * most,
        }  # fmt: skip
        ends = np.concatenate([begins[1:], [len(key)]]) - 1
        fresh = {name: values[ends] for name, values in now.items()}
        fresh |= {name: np.add.reduceat(mask.astype(np.int64), begins) for name, mask in counted.items()}
        self._merge(streams, known, fresh)

    def _known(self, keys: Array) -> Array:
        """The place of each key, -1 for one that is not there."""
        if not len(self.key):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        return np.where(self.key[places] == keys, places, -1)

    def _merge(self, streams: Array, known: Array, fresh: dict[str, Array]) -> None:
        old, new = known >= 0, known < 0
        places = np.searchsorted(self.key, streams[new])
        for name, values in self._columns.items():
            if name in _LAST:
                values[known[old]] = fresh[name][old]
            else:
                values[known[old]] += fresh[name][old]
            self._columns[name] = np.insert(values, places, fresh[name][new])
        self.key = np.insert(self.key, places, streams[new])

    @property
    def rising(self) -> Mask:
        """Of each stream: its numbers mostly rise by one, or by small steps with timestamps that keep time.

        Either way timestamps move with some clock.
        """
        count = self._columns
        steady = (count["next_one"] * 2 >= count["moves"]) & (count["wild"] * 2 <= count["changed"])
        timely = (
            (count["forward"] * 2 >= count["moves"])
            & (count["forward"] >= 2)
            & (count["kept"] * 10 >= count["changed"] * 8)
        )
        return (count["kept"] > 0) & (steady | timely) & (count["next_one"] + count["forward"] > 0)

    def of_rising(self, heads: Array, flow: Array, up: Array) -> Mask:
        """Which of some packets, that were all added, are of a stream that rises."""
        rising: Mask = self.rising[np.searchsorted(self.key, self.keys(heads, flow, up))]
        return rising

    def by_flow(self, flows: int, which: Callable[[Mask], Mask]) -> Array:
        """Packets of each flow in the streams that ``which`` chooses by whether they rise."""
        chosen = which(self.rising)
        weights = self._columns["packets"][chosen]
        return np.bincount(self.key[chosen] >> 33, weights, minlength=flows).astype(np.int64)
