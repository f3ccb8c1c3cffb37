"""The wall clock that a bridge writes into its ICE user fragments.

ice4j makes a ufrag of an optional prefix, a random number of 24 bits and the time in milliseconds since 1970, both
numbers in base 32 (ice4j, Agent.java: ``ufrag = prefix + new BigInteger(24, random).toString(32) +
BigInteger.valueOf(System.currentTimeMillis()).toString(32)``). STUN carries ufrags in clear, so a table with relative
times and without addresses still tells when its call was, to some seconds.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd

from jitsilab.analysis import limits
from jitsilab.tables import TIME, Schema, frame_from

SCHEMA: Schema = {
    "ufrag": ("str", "user fragment of the server"),
    "owner": ("str", "address of the agent whose it is"),
    "made": (TIME, "when it was made, by the clock of that agent"),
    "first_frame": ("int64", "first check that names it"),
    "first_seconds": ("float64", "s since the first frame of the capture"),
    "start": (TIME, "latest the capture can have begun: the ufrag was made before its first check"),
    "certainty": (
        "str",
        "measured where the capture has times of day that agree, deduced where two ufrags agree, else inferred",
    ),
}
DIGITS = 9  # of a time in base 32, from 2004 to the year 3084
RANDOM = range(1, 6)  # digits that 24 random bits may take
EARLIEST = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp() * 1000)
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
LAG = limits.UFRAG_LAG.value  # s between a ufrag and its first check, at most
AGREE = limits.UFRAG_AGREE.value  # s by which two ufrags may differ in what they say of the capture's begin


class Start(NamedTuple):
    """When a capture began, by the ufrags in it."""

    earliest: pd.Timestamp
    latest: pd.Timestamp
    certainty: str


def made(ufrag: str) -> int | None:
    """Milliseconds since 1970 at which ice4j would have made this ufrag, or None where it cannot have.

    >>> made("38n621el16dv6e")
    1603136847054
    """
    tail = ufrag[-DIGITS:]
    if len(ufrag) - DIGITS < RANDOM.start or not all(digit in "0123456789abcdefghijklmnopqrstuv" for digit in tail):
        return None
    time = int(tail, 32)
    return time if EARLIEST <= time <= LATEST else None


def anchors(stun: pd.DataFrame) -> pd.DataFrame:
    """One row a ufrag that holds a time, columns as in SCHEMA, in the order of first checks.

    What the ufrags say must fit: each is made up to a minute before its first check; where the capture has times of
    day, by those, else by what the others say. What does not fit is another agent's random text and is left out.
    """
    stamps: dict[str, tuple[str, int, int, float, pd.Timestamp]] = {}
    names = ["username", "src", "dst", "frame", "seconds", "time"]
    requests = stun.loc[(stun["message_class"] == "request") & stun["username"].notna(), names]
    requests = requests.drop_duplicates(["username", "src", "dst"])  # only the first with a ufrag counts
    for username, src, dst, frame, seconds, time in zip(*(requests[name] for name in names), strict=True):
        receiver, _, sender = str(username).partition(":")
        for ufrag, owner in ((receiver, dst), (sender, src)):
            when = made(ufrag)
            if when is not None and ufrag not in stamps:
                stamps[ufrag] = (str(owner), when, int(frame), float(seconds), time)
    kept = _fitting(stamps)
    rows = []
    for ufrag, certainty in kept.items():
        owner, when, frame, seconds, _ = stamps[ufrag]
        rows.append(
            (
                ufrag,
                owner,
                when * 10**6,
                frame,
                seconds,
                when * 10**6 - round(seconds * 1e9) + int(LAG * 1e9),
                certainty,
            )
        )
    return frame_from(rows, SCHEMA)


def _fitting(stamps: dict[str, tuple[str, int, int, float, pd.Timestamp]]) -> dict[str, str]:
    """The ufrags to believe, with the certainty of what they say."""
    dated = {ufrag: stamp for ufrag, stamp in stamps.items() if not pd.isna(stamp[4])}
    if dated:
        return {
            ufrag: "measured"
            for ufrag, (_, when, _, _, time) in dated.items()
            if 0 <= time.timestamp() - when / 1000 <= LAG
        }
    begins = {ufrag: when / 1000 - seconds for ufrag, (_, when, _, seconds, _) in stamps.items()}
    groups = [[other for other in begins if abs(begins[other] - begin) <= AGREE] for begin in begins.values()]
    best = max(groups, key=len, default=[])
    if len(best) > 1:
        return dict.fromkeys((ufrag for ufrag in begins if ufrag in best), "deduced")
    return dict.fromkeys(begins, "inferred") if len(begins) == 1 else {}


def start(rows: pd.DataFrame) -> Start | None:
    """Between which moments the capture began, from `anchors`; None where no ufrag holds a time.

    A ufrag is made before its first check, so the capture began no earlier than each says; the latest of these is the
    closest. A minute later at most.
    """
    if rows.empty:
        return None
    earliest = rows["made"] - pd.to_timedelta(rows["first_seconds"], unit="s")
    return Start(earliest.max(), rows["start"].min(), str(rows["certainty"].iloc[0]))


def texts_with_time(texts: Iterable[str]) -> list[str]:
    """Those of some texts, USERNAMEs or ufrags, that give a time away: what to warn of before sharing."""
    return [text for text in texts if any(made(part) is not None for part in str(text).split(":"))]
