"""Names the records of a TURN-inside-TLS connection by their lengths and order.

Each TURN message travels in a record of its own, and TLS without padding shows its length. The opening of an allocation
(Allocate, 401, Allocate with credentials, answer) fixes the unknown lengths (`turn_lengths`); from then on a request is
named when its length fits and the answer that TURN owes it comes back in the same order. What relayed media could have
looked like as well stays unnamed. A flow whose records do not open in this way gives no rows: block ciphers, padded
records, connections that were there before the capture.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.analysis import limits
from jitsilab.analysis.turn_lengths import (
    SMALLEST_PAYLOAD,
    UNAUTHORIZED,
    Opening,
    openings,
    overhead,
    settled,
)
from jitsilab.analysis.turn_records import COLUMNS, ENDS, Shown, candidates, ends_of
from jitsilab.pcap.columns import laid, numbers

READ = (*COLUMNS, "handshake", "alpn", "length_sum", "sharing")  # columns of the table tls
Found = TypeVar("Found")
PATIENCE = limits.ANSWER_PATIENCE.value  # s that an answer may take, beyond what the opening took
_PEERS = ("create-permission", "channel-bind")  # requests that name a peer, which a server may refuse
SMALLEST_CHECK, LARGEST_CHECK = 84, 124  # bytes of an ICE check, which a Refresh may be as long as
SLACK = limits.ANSWER_SLACK.value  # s by which answers of one server differ
EXPIRY = 12  # padded bytes of a time-limited USERNAME: ten digits of seconds, with or without a name behind them
QUIET = limits.TURN_SILENCE.value  # s without a word after an answer: it was no success
CROWD = limits.CROWD.value  # Data indications; from then on records may hold pieces of messages, of any length
CLOSING = limits.CLOSING.value  # s between the last message and the end of a flow that a client closes
OPENED = ("allocate", "allocate-error", "allocate", "allocate-success")
KINDS = (
    "other", "allocate", "allocate-success", "allocate-error", "refresh", "refresh-success", "create-permission",
    "create-permission-success", "create-permission-error", "channel-bind", "channel-bind-success",
    "channel-bind-error", "send", "data", "channel-data",
)  # fmt: skip
ROWS = np.dtype([
    ("frame", "u8"), ("seconds", "f8"), ("up", "?"), ("message", "u1"), ("length", "u4"), ("record_length", "u4"),
    ("sure", "?"),
])  # fmt: skip


@dataclass(slots=True)
class Reading:
    """One flow as it was read."""

    flow: int
    opening: Opening | None = None
    score: int = 0
    kept: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, ROWS))  # records: of an hour of media, many
    failed: bool = False  # credentials were refused
    open: bool = False  # the answer to the credentials may be a success or a refusal: both are as long
    reasons: list[int] = field(default_factory=list)  # padded lengths of the reasons of errors
    checks: list[int] = field(
        default_factory=list
    )  # lengths of what was sent into the tunnel before anything came back
    records: "_Records | None" = None  # of a flow without an opening

    def rows(self, *messages: str, since: int = 0) -> npt.NDArray[Any]:
        """Those of its records that are such messages, from a place on."""
        kept = self.kept[since:]
        return kept[np.isin(kept["message"], [KINDS.index(message) for message in messages])]

    @property
    def certainty(self) -> str:
        """From five equations on there is no other reading."""
        sure = self.score >= limits.EQUATIONS.value and self.opening is not None and not self.open
        return "deduced" if sure else "inferred"


@dataclass(slots=True)
class _Records:
    """Application records of one flow after the handshake, as parallel columns."""

    frame: Sequence[int]
    seconds: Sequence[float]
    up: Sequence[bool]
    record: Sequence[int]  # -1: unknown
    length: Sequence[int]  # plaintext; -1: unknown

    def kept(self, names: "_Names") -> npt.NDArray[Any]:
        """The records whose length is known, under their names."""
        known = np.flatnonzero(np.asarray(self.length) >= 0)
        rows = np.zeros(len(known), ROWS)
        columns = (self.frame, self.seconds, self.up, names.kinds, self.length, self.record, names.sure)
        for name, column in zip(ROWS.names or (), columns, strict=True):
            rows[name] = np.asarray(column)[known]
        return laid(rows)

    def places(self, up: bool) -> npt.NDArray[np.int64]:
        """Those of one direction."""
        return np.flatnonzero(np.asarray(self.up) == up)


class _Names:
    """What records are, and whether nothing else is possible."""

    def __init__(self, count: int, names: Iterable[tuple[int, str]]) -> None:
        self.kinds, self.sure = np.zeros(count, np.uint8), np.zeros(count, bool)
        for place, name in names:
            self[place] = name, True

    def __getitem__(self, place: int) -> str:
        return KINDS[self.kinds[place]]

    def __setitem__(self, place: "int | npt.NDArray[np.int64]", name: tuple[str, bool]) -> None:
        self.kinds[place], self.sure[place] = KINDS.index(name[0]), name[1]


def remembered(read: Callable[[pd.DataFrame, pd.DataFrame], Found]) -> Callable[[pd.DataFrame, pd.DataFrame], Found]:
    """A function of the tables ``tls`` and ``flows`` that knows its latest result: several ask in turn for the same."""
    latest: list[tuple[weakref.ref[pd.DataFrame], weakref.ref[pd.DataFrame], tuple[Any, ...], Found]] = []

    @wraps(read)
    def reading(tls: pd.DataFrame, flows: pd.DataFrame) -> Found:
        state = _fingerprint(tls, READ), _fingerprint(flows, ("flow", *ENDS))
        if not (latest and latest[0][0]() is tls and latest[0][1]() is flows and latest[0][2] == state):
            latest[:] = [(weakref.ref(tls), weakref.ref(flows), state, read(tls, flows))]
        return latest[0][3]

    return reading


def _fingerprint(table: pd.DataFrame, columns: Iterable[str]) -> tuple[Any, ...]:
    """What changes when rows or values of these columns are changed in place."""
    there = [table[name] for name in columns if name in table]
    sums = [values.sum() for values in there if pd.api.types.is_numeric_dtype(values)]
    return len(table), tuple(sums), tuple(values.count() for values in there)


@remembered
def readings(tls: pd.DataFrame, flows: pd.DataFrame) -> list[Reading]:
    """Every flow that can be read, in the order of flow numbers; see `records` for the tables."""
    ends = ends_of(flows)
    opened: list[Reading] = []
    cut: list[Reading] = []
    for number, shown in candidates(settled(tls)):
        if number in ends:
            reading = _read_flow(number, shown, ends[number])
            (opened if reading.opening is not None else cut).append(reading)
    whole = {_shape(reading.opening) for reading in opened if reading.opening is not None}
    for reading in cut:
        _beginning(reading, whole)
    return sorted(
        [*_agreed(opened), *(reading for reading in cut if len(reading.kept))], key=lambda reading: reading.flow
    )


def _read_flow(number: int, shown: Shown, flow: dict[str, Any]) -> Reading:
    """The reading under the protection that explains most; without an opening where none explains the flow."""
    best = Reading(number)
    for cost, finished in overhead(shown.version, shown.suite):
        records = _after_handshake(shown, cost, finished)
        reading = _read_records(number, records, flow) if records is not None else None
        if reading is not None and (best.opening is None or reading.score > best.score):
            best = reading
        elif records is not None and best.records is None:
            best.records = records
    return best


def _after_handshake(shown: Shown, cost: int, finished: frozenset[int]) -> _Records | None:
    """Application records from the client's first message on; in TLS 1.3 its Finished is skipped."""
    rows = np.flatnonzero(shown.data)
    record, up = shown.length[rows], shown.up[rows]
    sent = np.flatnonzero(up)
    if finished:
        if not len(sent) or record[sent[0]] - cost not in finished:
            return None
        sent = sent[1:]
    if not len(sent):
        return None
    first = int(sent[0])
    columns = (shown.frame[rows], shown.seconds[rows], up, record, np.where(record >= cost, record - cost, -1))
    since: list[Any] = [numbers(column[first:]) for column in columns]
    return _Records(*since)


def _read_records(number: int, records: _Records, flow: dict[str, Any]) -> Reading | None:
    """Find the opening, then name what follows; None where the records do not open as TURN does."""
    asked, answers = records.places(True)[:2], records.places(False)
    if len(asked) < 2:
        return None
    first, second = answers[(answers > asked[0]) & (answers < asked[1])], answers[answers > asked[1]]
    if not len(first) or not len(second):
        return None
    # tickets come before the 401, nothing after it
    places = [int(place) for place in (asked[0], first[-1], asked[1], second[0])]
    lengths = [records.length[i] for i in places]
    six = ":" in str(flow["client"])
    choices = openings(lengths, six)
    if not choices and lengths[3] == lengths[1]:  # the credentials are refused as their absence was
        choices = [replace(opening, answer=lengths[3]) for opening in openings(lengths[:3], six)]
    if not choices:
        return None
    readings = [_named(number, records, places, opening, flow) for opening in choices]
    best = max(readings, key=lambda reading: reading.score)  # the first of equals: the likeliest
    return best if best.score >= limits.FEW_EQUATIONS.value else None


def _named(number: int, records: _Records, places: list[int], opening: Opening, flow: dict[str, Any]) -> Reading:
    """Name all records under one reading of the opening and count the equations that hold."""
    reading = Reading(number, opening)
    reading.score = 2 + (opening.bare in (28, 36)) + (opening.phrase == 12)
    names = _Names(len(records.up), zip(places, OPENED, strict=True))
    walk = _Walk(records, opening, names, flow, places)
    walk.run(places[3] + 1)
    reading.score += walk.equations
    reading.reasons = walk.reasons
    if opening.answer == opening.refused and not walk.followed:
        # Who was refused falls silent, and so does who has no use for what he was given: only where a success would
        # leave too short a name for the credentials that a Jitsi server hands out is the length a refusal's.
        until = max(records.seconds[-1], float(flow["last_seconds"]))
        reading.open = opening.sound and opening.username >= EXPIRY
        reading.failed = not reading.open and (until - records.seconds[places[3]] >= QUIET or walk.closed)
        names[places[3]] = ("allocate-error", False) if reading.failed else ("other", False)
    reading.kept = records.kept(names)
    reading.checks = walk.checks
    return reading


class _Walk:
    """Names what follows an opening: requests by their answers, data by what is left."""

    def __init__(
        self,
        records: _Records,
        opening: Opening,
        names: _Names,
        flow: dict[str, Any],
        places: list[int],
    ) -> None:
        self.records, self.opening, self.names, self.flow = records, opening, names, flow
        took = [records.seconds[b] - records.seconds[a] for a, b in (places[:2], places[2:])]
        self.usual = min(took)  # s that an answer takes, until one that is nearer shows another
        self.patience = PATIENCE + 3 * max(took)
        self.waiting: list[tuple[int, str]] = []  # what may be requests without an answer yet
        self.held = {opening.create_permission, opening.channel_bind, opening.refresh}
        self.data = self.bound = self.granted = False
        self.came = 0  # Data indications
        self.followed = False  # something that only the holder of an allocation sends
        self.reasons: list[int] = []
        self.checks: list[int] = []
        self.holds: set[str] = set()  # equations seen to hold

    @property
    def equations(self) -> int:
        """How many of I1 to I6 the flow satisfies."""
        return len(self.holds)

    @property
    def closed(self) -> bool:
        """Whether the client ended the connection, as far as the table of flows can say."""
        fins = self.flow.get("fins")
        return fins is not None and not pd.isna(fins) and int(fins) > 0

    @property
    def open(self) -> bool:
        """Whether the table of flows says that nobody ended the connection within the capture."""
        fins, resets = self.flow.get("fins"), self.flow.get("resets")
        if fins is None or pd.isna(fins):
            return False
        return not int(fins) and not (resets is not None and pd.notna(resets) and int(resets))

    def run(self, start: int) -> None:
        """Go through the records in order, then see what the end says."""
        records = self.records
        for i in range(start, len(records.up)):
            if self.bound:  # whatever comes, to the end
                rest = np.asarray(records.length[i:])
                self.names[i + np.flatnonzero((rest >= 0) & (rest % 4 == 0))] = "channel-data", False
                break
            length = records.length[i]
            if length < 0 or length % 4:
                continue  # a ticket, or bytes of a message that other records continue
            if records.up[i]:
                self._sent(i, length)
            else:
                self._came(i, length)
        self._last(start)

    def _sent(self, i: int, length: int) -> None:
        self.followed = self.followed or length in self.held or length >= self.opening.wrapper + SMALLEST_PAYLOAD
        self.names[i] = ("send", not self.data)
        if not self.data and length not in self.held:
            self.checks.append(length - self.opening.wrapper)
        if length == self.opening.create_permission:
            self.waiting.append((i, "create-permission"))
        elif length == self.opening.channel_bind and self.granted:  # a channel is bound to a peer that was permitted
            self.waiting.append((i, "channel-bind"))
        if length == self.opening.refresh and not self.data:  # a check answered over the relay can be as long
            self.waiting.append((i, "refresh"))

    def _came(self, i: int, length: int) -> None:
        """An answer if a request waits that it fits; else relayed data."""
        opening, reason = self.opening, self.opening.reason(length)
        if self.came > CROWD:
            self.names[i] = ("data", False)
        elif length == opening.granted and self._answered(i, "-success", _PEERS):
            self.holds.add("I4")
        elif length == opening.refreshed and self._answered(i, "-success", ("refresh",)):
            self.holds.add("I3")
        elif reason and self._may_refuse(i, reason) and self._answered(i, "-error", _PEERS):
            self.reasons.append(reason)
            self.holds.add("I4")
        elif length >= opening.wrapper + SMALLEST_PAYLOAD:
            self.names[i] = ("data", False)
            self.data = self.followed = True
            self.came += 1

    def _may_refuse(self, i: int, reason: int) -> bool:
        """Once data come, what has the length of a refusal may be data: then no success may be left for the request."""
        if not self.data:
            return True
        if reason > UNAUTHORIZED and reason not in self.reasons:
            return False
        records, until, owed = self.records, self.records.seconds[i] + self.patience, len(self.waiting)
        for later in range(i + 1, len(records.up)):
            if records.seconds[later] > until or not owed:
                break
            owed -= not records.up[later] and records.length[later] == self.opening.granted
            owed += records.up[later] and records.length[later] == self.opening.create_permission
        return owed > 0

    def _answered(self, i: int, suffix: str, kinds: tuple[str, ...]) -> bool:
        """Name the oldest request that this answers, and the answer."""
        at = self._asked(self.records.seconds[i], kinds)
        if at is None:
            return False
        request, kind = self.waiting[at]
        del self.waiting[: at + 1]  # answers come in order
        self.names[request], self.names[i] = (kind, True), (kind + suffix, True)
        self.followed = True
        self.granted = self.granted or (kind == "create-permission" and suffix == "-success")
        self.bound = self.bound or (kind == "channel-bind" and suffix == "-success")
        if kind == "create-permission":
            self.holds.add("I1")
        elif kind == "channel-bind":
            self.holds.add("I5")
        return True

    def _asked(self, now: float, kinds: tuple[str, ...]) -> int | None:
        """Place of the request that an answer at this moment is for.

        Data can have the length of a request: of what waits, the first whose answer would take about as long as others.
        """
        fit = [
            (at, now - self.records.seconds[request])
            for at, (request, kind) in enumerate(self.waiting)
            if kind in kinds
        ]
        fit = [(at, took) for at, took in fit if took <= self.patience]
        if not fit:
            return None
        nearest = min(abs(took - self.usual) for _, took in fit)
        return next(at for at, took in fit if abs(took - self.usual) <= nearest + SLACK)

    def _last(self, start: int) -> None:
        """Requests that got no answer: those that nothing else can be, and the Refresh with which a client leaves."""
        records, opening = self.records, self.opening
        sent = records.places(True)
        sent = sent[sent >= start]
        for request, kind in self.waiting:
            if kind == "create-permission" and not (self.data or "I1" in self.holds):
                self.names[request] = (kind, False)
        if not len(sent) or records.length[sent[-1]] != opening.refresh:
            return
        last = int(sent[-1])
        if self.names[last] == "refresh":
            self.holds.add("I2")
            return
        after = range(last + 1, len(records.up))
        answer = next((i for i in reversed(after) if records.length[i] == opening.refreshed), None)
        answered = answer is not None and answer == after[-1] and not (self.bound and self.open)
        silent = all(records.length[i] < 0 for i in after)
        alone = not self.data and not SMALLEST_CHECK <= opening.refresh - opening.wrapper <= LARGEST_CHECK
        leaves = self._leaves(last) and not self.open and (silent or self.closed)
        if answered or alone or leaves:
            self.names[last] = ("refresh", answered)
            self.holds.add("I2")
            if answered and answer is not None:
                self.names[answer] = ("refresh-success", False)
                self.holds.add("I3")

    def _leaves(self, last: int) -> bool:
        """Whether the flow ends with this message and not in the middle of something."""
        flow = self.flow
        return (
            int(flow["last_frame"]) > self.records.frame[last]
            and float(flow["last_seconds"]) - self.records.seconds[last] <= CLOSING
        )


def _beginning(reading: Reading, whole: set[tuple[int, ...]]) -> None:
    """Name the records of a flow that ends inside its opening.

    They are what another flow opens with, or three messages that fit one another.
    """
    records = reading.records
    if records is None:
        return
    asked = records.places(True)[:3].tolist()
    until = asked[1] if len(asked) > 1 else len(records.up)
    answers = [i for i in range(asked[0], until) if not records.up[i]]
    places = [asked[0], *answers[-1:], *(asked[1:2] if answers else [])]
    lengths = tuple(records.length[i] for i in places)
    fit = len(places) == 3 and bool(openings(lengths))
    if len(asked) > 2 or not (fit or any(shape[: len(lengths)] == lengths for shape in whole)):
        return
    reading.kept = np.array(
        [(records.frame[i], records.seconds[i], records.up[i], KINDS.index(name), records.length[i], records.record[i],
          False) for i, name in zip(places, OPENED, strict=False)],
        ROWS,
    )  # fmt: skip


def _agreed(readings: list[Reading]) -> list[Reading]:
    """Flows that open with the same four lengths confirm one another."""
    openings_seen: dict[tuple[int, ...], int] = {}
    for reading in readings:
        if reading.opening is not None:
            openings_seen[_shape(reading.opening)] = openings_seen.get(_shape(reading.opening), 0) + 1
    for reading in readings:
        if reading.opening is not None and openings_seen[_shape(reading.opening)] > 1:
            reading.score += 1
    return readings


def _shape(opening: Opening) -> tuple[int, ...]:
    return opening.bare, opening.refused, opening.authenticated, opening.answer
