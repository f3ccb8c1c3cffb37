"""Times as prints have them: since the first frame, since the frame before, of the day, of the calendar, of the epoch.

A form is known by all of a print's times together: one number alone may be any of three.
"""

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_LAST = 9_000_000_000 * SECOND  # what 64 bits of nanoseconds hold, nearly
_EPOCH = 100_000_000  # s; a smaller number is no date that any capture has
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

_CLOCK = r"-?\d{1,3}:\d\d:\d\d(?:[.,]\d+)?"
_DATE = rf"(?:\d{{4}}-\d\d-\d\d|\d{{4}}/\d{{1,3}})[ T]{_CLOCK}(?: ?(?:Z|UTC)\b)?"
_LONG = rf"[A-Z][a-z]{{2}} +\d{{1,2}}, \d{{4}} {_CLOCK}(?: (?:[A-Z]{{2,5}}\b|[A-Z][a-z.]+(?: [A-Z][a-z.]+)* Time))?"
_NUMBER = r"-?\d+(?:[.,]\d+)?(?:[eE]-?\d+)?"
TIME = rf"(?:{_LONG}|{_DATE}|{_CLOCK}(?: ?Z\b)?|{_NUMBER})"  # for lines; the longest forms first
_WHOLE = re.compile(TIME)
_PARTS = re.compile(r"(-?\d{1,3}):(\d\d):(\d\d)(?:[.,](\d+))?")


class Stamp(NamedTuple):
    """One time as it was read, before its form is known."""

    kind: str  # number, clock, date
    nanoseconds: int  # of the number; since midnight; since the epoch, as if the date were UTC's
    utc: bool  # the print says that it is UTC's


def stamp(text: str) -> Stamp | None:
    """A time, None where the text is none."""
    text = text.strip()
    if len(text) > 80 or not _WHOLE.fullmatch(text):
        return None
    if re.fullmatch(_NUMBER, text):
        return Stamp("number", _decimal(text), False)
    clock = _PARTS.search(text)
    assert clock is not None
    hours, minutes, seconds, fraction = clock.groups()
    since = ((abs(int(hours)) * 60 + int(minutes)) * 60 + int(seconds)) * SECOND + _decimal("0." + (fraction or "0"))
    since = -since if hours.startswith("-") else since
    utc = bool(re.search(r"(?:Z|UTC|GMT|Coordinated Universal Time)$", text))
    before = text[: clock.start()].strip(" T")
    if not before:
        return Stamp("clock", since, utc)
    try:
        if "," in before:
            month, day, year = before.replace(",", "").split()
            date = datetime(int(year), _MONTHS.index(month) // 3 + 1, int(day), tzinfo=UTC)
        elif "/" in before:
            year, day = before.split("/")
            date = datetime(int(year), 1, 1, tzinfo=UTC) + timedelta(int(day) - 1)
        else:
            date = datetime.strptime(before, "%Y-%m-%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    moment = int(date.timestamp()) * SECOND + since
    return Stamp("date", moment, utc) if abs(moment) < _LAST else None


def _decimal(text: str) -> int:
    """A decimal number of seconds in nanoseconds, to the last digit."""
    text = text.replace(",", ".")
    if "e" in text.lower():
        try:
            return int(min(max(float(text) * SECOND, -_LAST), _LAST))
        except (ValueError, OverflowError):
            return 0
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * min(int(whole[:11] or 0) * SECOND + int((fraction + "0" * 9)[:9]), _LAST)


class Line(NamedTuple):
    """When a frame was, as far as its print tells."""

    seconds: float  # since the first frame of the capture, or of the print where it shows no other
    time: int | None  # ns since the epoch; None where the zone is not known, or no date was printed


def resolve(stamps: Sequence[Stamp]) -> tuple[list[Line], str]:
    """Seconds and times of all frames of a print, and the form in words."""
    if not stamps:
        return [], "none"
    kinds = {each.kind for each in stamps}
    values = [each.nanoseconds for each in stamps]
    if kinds == {"date"}:
        first = values[0]
        return [
            Line((v - first) / SECOND, v if each.utc else None) for v, each in zip(values, stamps, strict=True)
        ], "date"
    if kinds == {"clock"} and not _are_differences(values):
        values, form = _over_midnight(values), "time of day"
        return [Line((v - values[0]) / SECOND, None) for v in values], form
    if sorted(abs(v) for v in values)[len(values) // 2] >= _EPOCH * SECOND:
        return [Line((v - values[0]) / SECOND, v) for v in values], "epoch"
    if _are_differences(values):
        total, placed = 0, []
        for number, value in enumerate(values):
            total += value if number else 0
            placed.append(Line(total / SECOND, None))
        return placed, "differences"
    return [Line(v / SECOND, None) for v in values], "relative"


def _are_differences(values: list[int]) -> bool:
    """Whether times are those since the frame before: they go down about as often as up, and stay small."""
    falls = sum(b < a for a, b in itertools.pairwise(values))
    return values[0] < DAY // 24 and falls * 10 > len(values)


def _over_midnight(values: list[int]) -> list[int]:
    days, running = 0, [values[0]]
    for before, value in itertools.pairwise(values):
        days += (before - value > DAY // 2) - (value - before > DAY // 2)
        running.append(value + days * DAY)
    return running
