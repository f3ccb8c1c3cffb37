"""Times as programs write them: nanoseconds since the epoch, read as UTC where no zone is written.

A time without a year (syslog, Prosody's file) takes the year of the same piece's other lines, else the one that brings
it next to what the other pieces of the case tell, else the last one before the file was written. Where none of these
is known it stays empty, and the source says so.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from jitsilab.errors import ParameterError

NO_YEAR = 2000  # stands for a year that is not known; a leap year, so that 29 February can be read
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
    "mär": 3, "mai": 5, "okt": 10, "dez": 12,  # German
    "fév": 2, "avr": 4, "juin": 6, "juil": 7, "aoû": 8, "déc": 12,  # French
    "ene": 1, "abr": 4, "ago": 8, "dic": 12,  # Spanish
    "gen": 1, "mag": 5, "giu": 6, "lug": 7, "set": 9, "ott": 10,  # Italian
    "fev": 2, "out": 10,  # Portuguese
    "mrt": 3, "mei": 5,  # Dutch
    "янв": 1, "фев": 2, "мар": 3, "апр": 4, "мая": 5, "май": 5, "июн": 6, "июл": 7, "авг": 8, "сен": 9, "окт": 10,
    "ноя": 11, "дек": 12,
    "sty": 1, "lut": 2, "kwi": 4, "maj": 5, "cze": 6, "lip": 7, "sie": 8, "wrz": 9, "paź": 10, "lis": 11, "gru": 12,
}  # fmt: skip
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?(?!\d)"
)
_YEAR = re.compile(rb"(?<![\d.])(20\d\d)(?:-\d\d-\d\d[T ]\d\d:|/\d\d/\d\d \d\d:|:\d\d:\d\d:\d\d [+-]\d{4}\])")
_CLOCK = re.compile(r"(\d{1,2})[:.](\d\d)[:.](\d\d)(?:[.,](\d{1,9}))?(?!\d)")
_AFTERNOON = re.compile(r"(?:\b|\d)(?:p\.?\s?m\b|nachm|pomeriggio|μμ|午後|下午|오후)", re.IGNORECASE)
_MORNING = re.compile(r"(?:\b|\d)(?:a\.?\s?m\b|vorm|午前|上午|오전)", re.IGNORECASE)


def month(word: str) -> int:
    """Number of a month by its written name in a handful of languages; 0 for another word."""
    word = word.lower().rstrip(".")
    return _MONTHS.get(word[:4]) or _MONTHS.get(word[:3], 0)


@lru_cache(maxsize=1 << 12)
def moment(
    year: int, month: int, day: int, hour: int, minute: int, second: int, offset_s: int | None = None
) -> int | None:
    """Nanoseconds since the epoch, None for what no calendar knows; a leap second is the one after it."""
    try:
        zone = timezone(timedelta(seconds=offset_s)) if offset_s else UTC
        when = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone) - _EPOCH
    except (ValueError, OverflowError):
        return None
    if not 1971 <= year <= 2200 or second > 60:
        return None
    return (when.days * 86400 + when.seconds + (second == 60)) * SECOND


def fraction(digits: str | None) -> int:
    """Nanoseconds of the digits behind a second's point."""
    return int(digits[:9].ljust(9, "0")) if digits else 0


def offset_of(zone: str | None) -> int | None:
    """Seconds east of UTC of a written zone, None where none is written."""
    if not zone:
        return None
    if zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -seconds if zone[0] == "-" else seconds


@lru_cache(maxsize=1 << 12)
def iso(text: str) -> tuple[int | None, bool]:
    """Time of ISO 8601 text, with a space or a T, and whether it names its zone."""
    match = _ISO.match(text)
    if not match:
        return None, False
    *parts, digits, zone = match.groups()
    offset = offset_of(zone)
    if offset is not None and abs(offset) >= 86400:
        return None, False
    when = moment(*(int(part) for part in parts), offset_s=offset)
    return (None if when is None else when + fraction(digits)), offset is not None


def year_in(head: bytes) -> int | None:
    """The first year that a full date of these bytes names, None where there is none."""
    match = _YEAR.search(head)
    return int(match[1]) if match else None


@lru_cache(maxsize=1 << 12)
def java_date(text: str) -> int | None:
    """Time of java.util.logging's first line, whose form follows the locale: ``Apr 06, 2020 5:32:31 PM``."""
    clock, year = _CLOCK.search(text), re.search(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
    if not clock or not year:
        return None
    hour = int(clock[1])
    if _AFTERNOON.search(text) and hour < 12:
        hour += 12
    elif _MORNING.search(text) and hour == 12:
        hour = 0
    before = text[: clock.start()]
    counted = re.search(r"(?<!\d)(\d{1,2}) ?[月월]", before)  # Chinese, Japanese, Korean: the month has a number
    if counted:
        before = before[: counted.start()] + before[counted.end() :]
    numbers = [int(n) for n in re.findall(r"\d+", before) if len(n) <= 2]
    words = re.findall(r"[^\W\d_]{3,}\.?", before)
    named = int(counted[1]) if counted else next((number for word in words if (number := month(word))), 0)
    if named:
        day = numbers[0] if numbers else 0
        return moment(int(year[0]), named, day, hour, int(clock[2]), int(clock[3]))
    if len(numbers) < 2:
        return None
    if before.lstrip().startswith(year[0]):
        number, day = numbers[:2]
    else:
        day, number = numbers[:2]  # 06.04.2020, 06/04/2020: the day comes first in all but American English
        if number > 12:
            day, number = number, day
    return moment(int(year[0]), number, day, hour, int(clock[2]), int(clock[3]))


class Beside(NamedTuple):
    """What is known of the year of a piece from beside it, in ns since the epoch."""

    near: int | None = None  # when other pieces of the case were written
    until: int | None = None  # when the file was last written


NOWHERE = Beside()


class Yearless:
    """Times whose year is not written: it is given at the start, and goes up where a December turns into a January."""

    def __init__(self, year: int | None, beside: Beside = NOWHERE) -> None:
        self.year = year or NO_YEAR
        self.by = "written" if year is not None else ""  # how the year is known: written, pieces, file; else empty
        self.used = False
        self._beside = beside if year is None else NOWHERE
        self._last = 0
        self._before: tuple[tuple[str, str, str], int | None] = ("", "", ""), None

    @property
    def known(self) -> bool:
        """Whether anything tells the year."""
        return bool(self.by)

    def moment(self, word: str, day: str, clock: str) -> int | None:
        """Time of a month's name, a day and ``hh:mm:ss``; in `NO_YEAR` where nothing tells the year."""
        if self._before[0] == (word, day, clock):
            return self._before[1]
        when = self._moment(word, day, clock)
        self._before = (word, day, clock), when
        return when

    def _moment(self, word: str, day: str, clock: str) -> int | None:
        number, match = month(word), _CLOCK.match(clock)
        if not number or not match:
            return None
        parts = (number, int(day), int(match[1]), int(match[2]), int(match[3]))
        if not self.used:
            self._place(parts)
        self.used = True
        year = self.year
        if self._last == 12 and number == 1:
            year = self.year = self.year + 1
        elif self._last == 1 and number == 12:  # a line of another process that came late
            year -= 1
            number = 1
        self._last = number
        when = moment(year, *parts)
        return None if when is None else when + fraction(match[4])

    def _place(self, parts: tuple[int, int, int, int, int]) -> None:
        """The year of the first line, from what stands beside it."""
        near, until = self._beside
        known = near if near is not None else until
        if known is None:
            return
        middle = (_EPOCH + timedelta(seconds=known // SECOND)).year
        placed = [(year, when) for year in range(middle - 1, middle + 2) if (when := moment(year, *parts)) is not None]
        if near is not None and placed:
            self.year, self.by = min(placed, key=lambda pair: abs(pair[1] - near))[0], "pieces"
            return
        before = [year for year, when in placed if when <= known + DAY]  # a day, since its zone may not be known
        if before:
            self.year, self.by = max(before), "file"


_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?", re.IGNORECASE)


def zone(name: str) -> tzinfo:
    """The zone of a name, ``Europe/Berlin``, or of an offset, ``+02:00``; ParameterError for what is neither."""
    text = name.strip()
    if text.upper() in ("Z", "UTC", "GMT"):
        return UTC
    if match := _OFFSET.fullmatch(text):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes <= 14 * 60 and int(match[3] or 0) < 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        if text and len(text) < 100:
            return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        pass
    raise ParameterError(f"There is no time zone {name!r}: give a name, such as Europe/Berlin, or an offset, +02:00.")


@lru_cache(maxsize=1 << 12)
def _ahead(zone: tzinfo, quarter: int) -> int:
    """Seconds that a zone's wall clock is ahead of UTC in a quarter of an hour, which is counted by that clock."""
    wall = (_EPOCH + timedelta(seconds=quarter * 900)).replace(tzinfo=zone)
    return int((wall.utcoffset() or timedelta()).total_seconds())


def to_utc(time: int, zone: tzinfo) -> int:
    """A wall clock's time as UTC; of an hour that a clock shows twice the first."""
    return time - _ahead(zone, time // (900 * SECOND)) * SECOND
