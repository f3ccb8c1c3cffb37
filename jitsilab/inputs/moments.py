"""Times as browsers, servers and their answers write them, in nanoseconds since the epoch; None for what is no time."""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
_LAST = 7_258_118_400  # 2200-01-01: what is later is no time of a call, and leaves the range of a table's column
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?")
#: dates as `toLocaleString` writes them: what comes first differs by country
_LOCAL = re.compile(
    r"(\d{1,4})([./-])\s?(\d{1,2})[./-]\s?(\d{1,4})\.?,?\s+"
    r"(?:(上午|下午|午前|午後|오전|오후)\s?)?(\d{1,2})[:.](\d\d)[:.](\d\d)(?:\s?([AaPp])\.?\s?[Mm])?"
)


_FULL = re.compile(
    r"(?<!\d)(20\d\d)([-/])(\d\d)\2(\d\d)[T ](\d\d):(\d\d):(\d\d)|"  # 2026-11-29 15:35:33, nginx's 2026/11/29
    r"\[(\d\d)/([A-Z][a-z]{2})/(20\d\d):(\d\d):(\d\d):(\d\d)|"  # of an access log
    r"(?<![\d.])(1[2-9]\d{8})(?:\d{3}(?:\.\d+)?)?(?![\d])"  # s or ms since the epoch
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


@lru_cache(maxsize=4096)
def _day(year: int, month: int, day: int) -> int | None:
    try:
        return int(datetime(year, month, day, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def from_epoch(number: Any, unit: int = 1_000_000) -> int | None:
    """A number of ``unit`` nanoseconds (milliseconds unless said) since the epoch."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    if not 0 < number * unit < _LAST * SECOND:
        return None
    if isinstance(number, float):  # a double holds milliseconds of today to a microsecond, no finer
        return round(number * (unit // 1000)) * 1000
    return number * unit


def from_iso(text: Any) -> int | None:
    """An ISO time at the start of a text, read as UTC where it names no zone."""
    match = _ISO.match(text) if isinstance(text, str) else None
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    start = _day(int(year), int(month), int(day))
    if start is None or not 0 <= start < _LAST:
        return None
    moment = start + int(hour) * 3600 + int(minute) * 60 + int(second)
    if zone and zone != "Z":
        sign = 1 if zone[0] == "-" else -1
        moment += sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return moment * SECOND + int((fraction or "").ljust(9, "0"))


def from_local(text: Any, near: int | None = None) -> int | None:
    """A local date and time in a country's own order, read as UTC; ``near`` tells day from month where both could be.

    None where nothing tells them apart.
    """
    match = _LOCAL.match(text.strip()) if isinstance(text, str) else None
    if not match:
        return None
    first, _, middle, last, ahead, hour_text, minute, second, half = match.groups()
    hour = int(hour_text)
    if (half or ahead) and hour <= 12:
        hour = hour % 12 + (12 if half in {"p", "P"} or ahead in {"下午", "午後", "오후"} else 0)
    a, b, c = int(first), int(middle), int(last)
    orders = {(a, b, c)} if len(first) == 4 else {(c, a, b), (c, b, a)}
    days = {day for year, month, date in orders if (day := _day(year, month, date)) is not None and 0 <= day < _LAST}
    if len(days) > 1:
        if near is None:
            return None
        days = {min(days, key=lambda day: abs(day * SECOND - near))}
    return next(((day + hour * 3600 + int(minute) * 60 + int(second)) * SECOND for day in days), None)


def first_in(head: bytes) -> int | None:
    """The first moment with a year that a text names, to the second and read as UTC; None where there is none."""
    for match in _FULL.finditer(head.decode("utf-8", errors="replace")):
        year, _, month, day, *clock, day2, name, year2, hour2, minute2, second2, epoch = match.groups()
        if epoch:
            return int(epoch) * SECOND
        if name:
            year, day, clock = year2, day2, [hour2, minute2, second2]
            month = str(_MONTHS.find(name) // 3 + 1)
        start = _day(int(year), int(month), int(day))
        if start is not None:
            return (start + int(clock[0]) * 3600 + int(clock[1]) * 60 + int(clock[2])) * SECOND
    return None
