"""A part of the evidence: from when, until when, of which room.

A capture is cut at the end alone: who is who, and which way ICE found, was told before the beginning, and a part of a
stream proves no silence. Who was gone by the beginning, and ways of media that had ended, are left out. Lines are cut
at both ends by the clock of the case; what has no time stands with what its source said before it. What is of no room,
is of the servers, stays.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from jitsilab.errors import ParameterError
from jitsilab.inputs.logs.times import SECOND, iso, to_utc, zone
from jitsilab.inputs.packets import PacketTables

if TYPE_CHECKING:
    from jitsilab.case.cast import Cast, Person
    from jitsilab.case.clocks import Clock

_AGO = re.compile(r"-?(\d{1,9}(?:\.\d+)?)\s*(s|sec|m|min|h|d)(?: ago)?", re.IGNORECASE)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:[.,]\d{1,9})?)?\s?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?")
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
FORMS = "2026-11-29T16:06, 2026-11-29 16:06:30+01:00, 16:06 where the evidence is of one day, or 15m before its end"


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when, ns since the epoch by the clock of the case, and which room; None and empty for all."""

    since: int | None = None
    until: int | None = None
    room: str = ""

    def holds(self, time: int) -> bool:
        """Whether a moment is within."""
        return (self.since is None or time >= self.since) and (self.until is None or time <= self.until)

    def touches(self, first: float, last: float) -> bool:
        """Whether a span, ns since the epoch, has a part within."""
        return (self.since is None or last >= self.since) and (self.until is None or first <= self.until)


def moment(text: str, option: str, tz: str, span: tuple[int, int] | None) -> int:
    """A time that a user names, ns since the epoch; ``span``: of the evidence, first and last.

    Raises ParameterError for what is no time, or cannot be placed.
    """
    text = text.strip()
    if match := _AGO.fullmatch(text):
        if span is None:
            raise ParameterError(f"{option} {text} counts from the end of the evidence, which has no times.")
        return span[1] - round(float(match[1]) * _UNITS[match[2].lower()] * SECOND)
    wall = zone(tz) if tz else UTC
    if match := _CLOCK.fullmatch(text):
        day = _day(text, option, wall, span)
        text = f"{day} {int(match[1]):02}:{match[2]}:{match[3] or '00'}.{match[4] or '0'}"
    match = _DATE.fullmatch(text)
    if match:
        date, minutes, seconds, named = match.groups()
        end = option == "--until" and minutes is None  # a day as the end is the whole day
        clock = f"{minutes or ('23:59' if end else '00:00')}{seconds or (':59.999999999' if end else ':00')}"
        when, known = iso(f"{date} {clock}{named or ''}")
        if when is not None:
            return when if known else to_utc(when, wall)
    raise ParameterError(f"{option} {text[:80]!r} is no time. It takes {FORMS}.")


def check(part: Window, span: tuple[int, int] | None) -> None:
    """Refuse what is empty: an end before the beginning, or a time of which there is no evidence."""
    shown = [_shown(edge) for edge in (part.since, part.until)]
    if part.since is not None and part.until is not None and part.since > part.until:
        raise ParameterError(f"--since {shown[0]} is later than --until {shown[1]}.")
    if (part.since, part.until) == (None, None):
        return
    if span is None:
        raise ParameterError("--since and --until: nothing in this evidence has a time.")
    if not part.touches(*span):
        raise ParameterError(
            f"Nothing in the evidence is of that time: it is of {_shown(span[0])} to {_shown(span[1])}."
        )


def _shown(time: int | None) -> str:
    return "" if time is None else f"{pd.Timestamp(time, unit='ns'):%Y-%m-%dT%H:%M:%S}Z"


def _day(text: str, option: str, wall: object, span: tuple[int, int] | None) -> str:
    """The day of the evidence, by the wall clock that the user means."""
    if span is None:
        raise ParameterError(f"{option} {text} is a time of day, and the evidence has no times: name the date too.")
    days = {(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time // 1000)).astimezone(wall) for time in span}  # type: ignore[arg-type]  # a tzinfo
    dates = sorted({day.strftime("%Y-%m-%d") for day in days})
    if len(dates) > 1:
        raise ParameterError(
            f"{option} {text} is a time of day, and the evidence is of several, {dates[0]} to {dates[1]}: "
            f"name the date too, {dates[0]}T{text}."
        )
    return dates[0]


def room_of(text: str, rooms: Iterable[str]) -> str:
    """The room that a user means, by name, JID or address of its page; ParameterError where there is none of it."""
    known = sorted({room for room in rooms if room})
    wanted = text.strip().partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2].partition("@")[0].lower()
    if not known:
        raise ParameterError("--room: nothing in this evidence names a room, so it cannot be told apart by rooms.")
    for room in known:
        if room.lower() == wanted:
            return room
    shown = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    raise ParameterError(f"There is no room {text[:80]!r} in this evidence. There are: {shown}.")


def lines(
    rows: pd.DataFrame, window: Window, shifts: Mapping[tuple[str, str], float], whose: Mapping[str, str]
) -> pd.DataFrame:
    """The rows of a table of lines that are within; ``whose``: the room of participants and conferences."""
    if rows.empty or "time" not in rows:
        return rows
    programs = rows["program"] if "program" in rows else pd.Series("", rows.index)
    shift = [shifts.get((input, program), 0.0) for input, program in zip(rows["input"], programs, strict=True)]
    times = rows["time"] + pd.to_timedelta(pd.Series(shift, rows.index), unit="s")
    times = times.groupby(rows["input"]).ffill()
    kept = pd.Series(True, rows.index)
    if window.since is not None:
        kept &= times.isna() | (times >= pd.Timestamp(window.since, unit="ns", tz="UTC"))
    if window.until is not None:
        kept &= times.isna() | (times <= pd.Timestamp(window.until, unit="ns", tz="UTC"))
    if window.room:
        room = pd.Series(None, rows.index, dtype="object")
        for column in ("room", "conference", "participant", "endpoint"):
            if column in rows:
                named = rows[column] if column == "room" else rows[column].map(whose)
                room = room.where(room.notna(), named)
        kept &= room.isna() | room.eq(window.room)
    return rows[kept].reset_index(drop=True)


class Part(PacketTables):
    """A capture's tables as far as they are within."""

    def __init__(self, source: PacketTables, window: Window, begin: float | None) -> None:
        super().__init__(source.input, source.wire, kind=source.kind)
        self.note = source.note
        self._source = source
        self.since = float("-inf") if begin is None or window.since is None else window.since / 1e9 - begin  # s
        self._to = float("inf") if begin is None or window.until is None else window.until / 1e9 - begin

    @property
    def problems(self) -> list:  # type: ignore[type-arg]  # of Problem, as the source has it
        """What could not be read of the whole."""
        return self._source.problems

    def _built(self, name: str) -> pd.DataFrame | None:
        rows = self._source.table(name)
        return None if rows is None else self._cut(rows)

    def _part(self, name: str) -> pd.DataFrame | None:
        rows = self._source[name]
        return None if rows is None else self._cut(rows)

    def chunks(self, name: str) -> Iterator[pd.DataFrame]:
        """As the source has them, as far as they are within."""
        for rows in self._source.chunks(name):
            yield self._cut(rows)

    def of_frames(self, name: str, frames: Iterable[int]) -> pd.DataFrame | None:
        """As the source has them, as far as they are within."""
        rows = self._source.of_frames(name, frames)
        return None if rows is None else self._cut(rows)

    def _analysed(self, name: str) -> pd.DataFrame | None:
        return super()._analysed(name) if name == "ice" else self._built(name)

    def _cut(self, rows: pd.DataFrame) -> pd.DataFrame:
        if rows.empty or self._to == float("inf"):
            return rows
        if "seconds" in rows:
            return rows[rows["seconds"] <= self._to].reset_index(drop=True)
        if "first_seconds" not in rows:
            return rows
        rows = rows[rows["first_seconds"] <= self._to].reset_index(drop=True)
        rows["last_seconds"] = rows["last_seconds"].clip(upper=self._to)
        return rows


def people(cast: "Cast", window: Window, begin: float | None, flows: pd.DataFrame | None) -> "Cast":
    """Who of a cast was there within the window, and in its room."""
    ends = {} if flows is None else dict(zip(flows["flow"], flows["last_seconds"], strict=True))

    def there(person: "Person") -> bool:
        if window.room and person.xmpp_streams and any(stream.room for stream in person.xmpp_streams):
            streams = [
                stream for stream in person.xmpp_streams if stream.room.partition("@")[0].lower() == window.room.lower()
            ]
        elif window.room and cast.signaled:
            return False  # nothing places him in the room
        else:
            streams = person.xmpp_streams
        if begin is None:
            return bool(streams) or not person.xmpp_streams
        if not streams:
            used = [ends[flow] for flow in (*person.flows, *(leg.flow for leg in person.legs)) if flow in ends]
            return not person.xmpp_streams and (
                not used or window.since is None or (begin + max(used)) * 1e9 >= window.since
            )
        return any(
            window.touches((begin + stream.start) * 1e9, (begin + stream.end_of_stream(cast.end)) * 1e9)
            for stream in streams
        )

    return replace(cast, people=[person for person in cast.people if there(person)])


def rooms(events: pd.DataFrame | None) -> dict[str, str]:
    """The room of each conference and participant that lines name beside one."""
    by_name: dict[str, str] = {}
    if events is None or events.empty:
        return by_name
    rows = events[events["room"].notna()]
    for column in ("conference", "participant"):
        pairs = rows[rows[column].notna()].drop_duplicates(column)
        by_name |= dict(zip(pairs[column], pairs["room"], strict=True))
    return by_name


def shifts(clocks: "Mapping[tuple[str, str], Clock]") -> dict[tuple[str, str], float]:
    """Seconds to add by input and program; of a console or dump, whose rows name no program, by its browser's."""
    seconds = {pair: clock.applied for pair, clock in clocks.items()}
    for (input, program), clock in clocks.items():
        if program in ("browser", "rest"):
            seconds[input, ""] = clock.applied
    return seconds


def span_of(
    events: pd.DataFrame | None, shift: Mapping[tuple[str, str], float], captures: Iterable[tuple[float | None, float]]
) -> tuple[int, int] | None:
    """First and last time of the evidence by the clock of the case; ``captures``: begin and length of each, s."""
    ends: list[int] = []
    if events is not None and events["time"].notna().any():
        rows = events[events["time"].notna()]
        for pair, group in rows.groupby(["input", "program"]):
            added = round(shift.get((str(pair[0]), str(pair[1])), 0.0) * 1e9)
            ends += [group["time"].min().value + added, group["time"].max().value + added]
    ends += [round((begin + add) * 1e9) for begin, length in captures if begin is not None for add in (0.0, length)]
    return (min(ends), max(ends)) if ends else None
