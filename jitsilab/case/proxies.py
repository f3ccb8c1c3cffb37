"""Whose connection a proxy passes on: the outer flow, in TLS, that beats in time with signaling seen behind the proxy.

A capture on all of a server's interfaces shows XMPP in clear from the proxy to Prosody, both on one host. What a
client says appears behind the proxy a moment after its TLS record came in, and what it is told goes out a moment
later: of all outer flows only its own has a segment beside each of these, and little else.
"""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.analysis import limits

PASSING = limits.PASSING.value  # s that a proxy takes at most
ENOUGH = limits.MATCH.value  # share of segments that must have a counterpart, both ways
APART = limits.MATCH_LEAD.value  # by which the best must lead the second

Times = npt.NDArray[np.float64]


class Passed(NamedTuple):
    """The outer flow of a connection."""

    flow: int
    score: float  # 0..1, harmonic mean of both shares
    runner_up: float  # score of the second best


def outer_flows(xmpp: pd.DataFrame, tcp: pd.DataFrame, outer: set[int]) -> dict[Hashable, Passed]:
    """For each connection of ``xmpp`` (rows of those to be explained) the flow of ``outer`` that it came in on.

    ``tcp`` has the segments of those flows. A connection is left out where no flow, or more than one, fits; two
    connections at a time are never given one flow.
    """
    segments = tcp[tcp["flow"].isin(outer) & (tcp["length"] > 0)]
    beats = {int(flow): _beats(rows["seconds"], rows["up"]) for flow, rows in segments.groupby("flow", sort=True)}
    by_connection: dict[Hashable, Passed] = {}
    spans: dict[Hashable, tuple[float, float]] = {}
    for connection, rows in xmpp.groupby("connection", sort=True):
        rows = rows.drop_duplicates("frame")
        inner = _beats(rows["seconds"], rows["direction"] == "c2s")
        scores = sorted(((_score(inner, beat), flow) for flow, beat in beats.items()), reverse=True)
        if not scores or scores[0][0] < ENOUGH:
            continue
        second = scores[1][0] if len(scores) > 1 else 0.0
        if scores[0][0] - second >= APART:
            by_connection[connection] = Passed(scores[0][1], scores[0][0], second)
            spans[connection] = (float(rows["seconds"].min()), float(rows["seconds"].max()))
    return {
        connection: passed
        for connection, passed in by_connection.items()
        if not _taken(connection, by_connection, spans)
    }


def _beats(seconds: pd.Series, up: pd.Series) -> tuple[Times, Times]:
    """Sorted times of what went up and of what came down."""
    times, ups = seconds.to_numpy(float), up.to_numpy(bool)
    return np.sort(times[ups]), np.sort(times[~ups])


def _score(inner: tuple[Times, Times], outer: tuple[Times, Times]) -> float:
    if not inner[0].size or not outer[0].size or inner[0][0] < outer[0][0]:
        return 0.0  # nothing can come out of the proxy before it went in
    start, end = inner[0][0] - PASSING, max(part[-1] for part in inner if part.size) + PASSING
    outer = (_between(outer[0], start, end), _between(outer[1], start, end))  # a handshake has nothing behind the proxy
    if not outer[0].size:
        return 0.0
    explained = _near(inner[0], outer[0], back=True) + _near(inner[1], outer[1], back=False)
    used = _near(outer[0], inner[0], back=False) + _near(outer[1], inner[1], back=True)
    share = explained / (inner[0].size + inner[1].size)
    purity = used / (outer[0].size + outer[1].size)
    return 2 * share * purity / (share + purity) if share + purity else 0.0


def _between(times: Times, start: float, end: float) -> Times:
    return times[np.searchsorted(times, start) : np.searchsorted(times, end, "right")]


def _near(times: Times, others: Times, back: bool) -> int:
    """How many of ``times`` have one of ``others`` in the PASSING before them (``back``) or after them."""
    low, high = (times - PASSING, times) if back else (times, times + PASSING)
    return int(np.count_nonzero(np.searchsorted(others, high, "right") > np.searchsorted(others, low, "left")))


def _taken(
    connection: Hashable, by_connection: dict[Hashable, Passed], spans: dict[Hashable, tuple[float, float]]
) -> bool:
    """Whether another connection of the same time fits the same flow better."""
    own, (start, end) = by_connection[connection], spans[connection]
    for other, passed in by_connection.items():
        if other != connection and passed.flow == own.flow and passed.score >= own.score:
            first, last = spans[other]
            if first <= end and last >= start:
                return True
    return False
