"""Times in text, moved: each is written again in the form in which it stood, or in English.

Numbers are times where they lie within the days of the case; a clock without a date is one where a line begins with it.
"""

import re
from datetime import UTC, datetime, timedelta

from jitsilab.inputs.logs.records import dated_class

DAY = 86_400_000  # ms
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAME = rb"(?P<name>" + "|".join(_MONTHS).encode() + rb")"
_WEEKDAY = rb"(?:(?P<week>" + "|".join(_WEEK).encode() + rb"),? )?"
_YEAR, _MONTH, _DATE = rb"(?P<year>\d{4})", rb"(?P<month>\d{1,2})", rb"(?P<day>[ \d]?\d)"
_CLOCK = rb"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"
_HALF = rb"(?:(?:\s|\xe2\x80\xaf|\xc2\xa0|\\u202f)(?P<half>[AaPp])[Mm]\b)?"  # a narrow space since CLDR 42
_FORMS = tuple(
    re.compile(rb"(?<![\w./-])" + form, flags)
    for form, flags in (
        (_YEAR + rb"-" + _MONTH + rb"-" + _DATE + rb"(?:[T ]|%20)" + _CLOCK, 0),  # ISO 8601
        (_YEAR + rb"/" + _MONTH + rb"/" + _DATE + rb" " + _CLOCK, 0),  # nginx's errors
        (_DATE + rb"/" + _NAME + rb"/" + _YEAR + rb":" + _CLOCK, 0),  # nginx's access log
        (_WEEKDAY + _DATE + rb" " + _NAME + rb" " + _YEAR + rb" " + _CLOCK, 0),  # RFC 9110 section 5.6.7
        (_WEEKDAY + _NAME + rb" " + _DATE + rb" " + _YEAR + rb" " + _CLOCK, 0),  # JavaScript's Date
        (_NAME + rb" " + _DATE + rb", " + _YEAR + rb",? " + _CLOCK + _HALF, 0),  # java.util.logging in English
        (_MONTH + rb"/" + _DATE + rb"/" + _YEAR + rb", " + _CLOCK + _HALF, 0),  # Chrome's dumps in American English
        (_WEEKDAY + _NAME + rb" " + _DATE + rb" " + _CLOCK + rb"(?: " + _YEAR + rb")?", 0),  # syslog, Prosody, asctime
        (rb"^(?:\[|\S+ {0,20}\| )?" + _CLOCK, re.MULTILINE),  # a console's own clock
    )
)
_NUMBER = re.compile(rb"(?<![\w./+-])1(?:\d{9}|\d{12}|\d{15})(?=\.\d|[^\w.]|\.?\Z)")  # s, ms, us since 1970
_CLASS_LINE = re.compile(
    rb"^[ >]{0,8}([^\n\[\]{}=|]{12,80}?) (?:[a-z_]\w{0,40}\.){1,12}[\w$]{1,80} [\w$<>]{1,80}\r?$",
    re.MULTILINE,
)
_STAMP = re.compile(rb"(?<![\w./-])(20\d\d-\d\d-\d\d)[T ]\d\d:")


class Moments:
    """Adds some seconds to every time in a text."""

    def __init__(self, seconds: int, days: tuple[int, int] | None, kept: frozenset[bytes]) -> None:
        """``days``: between which a number is a time, in ms since 1970; ``kept``: numbers that are names by now."""
        self.seconds, self._by = seconds, timedelta(seconds=seconds)
        self._days, self._kept = days, kept
        self._year = datetime.fromtimestamp(days[0] / 1e3, UTC).year if days else 2000  # where none is written

    def moved(self, data: bytes) -> bytes:
        """The text with other times."""
        spans: list[tuple[int, int, bytes]] = []
        taken = bytearray(len(data))
        for form in _FORMS:
            for match in form.finditer(data):
                if not any(taken[match.start() : match.end()]) and (made := self._written(match)) is not None:
                    spans.append((match.start(), match.end(), made))
                    taken[match.start() : match.end()] = b"\1" * len(match[0])
        for match in _CLASS_LINE.finditer(data):
            if not any(taken[match.start(1) : match.end(1)]) and (made := self._english(match[0])) is not None:
                spans.append((match.start(1), match.end(1), made))
                taken[match.start(1) : match.end(1)] = b"\1" * len(match[1])
        for match in _NUMBER.finditer(data):
            if not taken[match.start()] and match[0] not in self._kept and self._within(match[0]):
                more = self.seconds * 10 ** (len(match[0]) - 10)
                spans.append((match.start(), match.end(), b"%d" % (int(match[0]) + more)))
        out, at = [], 0
        for start, end, made in sorted(spans):
            out += [data[at:start], made]
            at = end
        return b"".join([*out, data[at:]])

    def _within(self, number: bytes) -> bool:
        if self._days is None:  # nothing dates the case: what counts milliseconds is hardly anything else
            return len(number) == 13
        low, high = self._days
        return bool(low <= int(number) / 10 ** (len(number) - 13) <= high)

    def _english(self, line: bytes) -> bytes | None:
        """The date of java.util.logging in any locale, moved: in English, since not all names of months are known."""
        parts = dated_class(line.decode("utf-8", "replace").rstrip("\r"))
        if parts is None:
            return None
        when = datetime.fromtimestamp(parts[1] // 1_000_000_000, UTC) + self._by
        return f"{_MONTHS[when.month - 1]} {when:%d, %Y} {when.hour % 12 or 12}:{when:%M:%S} {when:%p}".encode()

    def _written(self, match: "re.Match[bytes]") -> bytes | None:
        """A time moved, part by part, each as wide as it was; None for what no calendar knows."""
        fields = match.groupdict()
        half, named, dated = fields.get("half"), fields.get("name"), fields.get("day") is not None
        hour = int(fields["hour"])
        if half:
            hour = hour % 12 + 12 * (half.lower() == b"p")
        month = _MONTHS.index(named.decode()) + 1 if named else int(fields.get("month") or 1)
        try:
            when = datetime(
                int(fields.get("year") or self._year), month, int(fields.get("day") or 1), hour, int(fields["minute"]),
                int(fields["second"]),
            ) + self._by  # fmt: skip
        except (ValueError, OverflowError):
            return None
        parts = {"hour": when.hour, "minute": when.minute, "second": when.second}
        if dated:
            parts |= {"year": when.year, "month": when.month, "day": when.day}
        if half:
            parts["hour"] = when.hour % 12 or 12
        words = {
            "name": _MONTHS[when.month - 1], "week": _WEEK[when.weekday()],
            "half": ("p" if when.hour > 11 else "a") if half and half.islower() else "P" if when.hour > 11 else "A",
        }  # fmt: skip
        out, at = bytearray(), match.start()
        for name in sorted(fields, key=lambda field: match.start(field)):
            old = fields[name]
            if old is None:
                continue
            out += match.string[at : match.start(name)]
            american = half and (name in ("hour", "month") or (name == "day" and not named))  # which pads nothing
            wide = 1 if american and not old.startswith(b"0") else len(old)
            out += words[name].encode() if name in words else _padded(parts[name], wide, old)
            at = match.end(name)
        return bytes(out + match.string[at : match.end()])


def _padded(value: int, wide: int, old: bytes) -> bytes:
    return str(value).rjust(wide, " " if old.startswith(b" ") else "0").encode()


def days_of(data: bytes) -> list[int]:
    """The first and the last day that a text's full times name, in ms since 1970; none where it names none."""
    stamps = sorted({match[1] for match in _STAMP.finditer(data)})
    days = []
    for stamp in stamps[:1] + stamps[-1:]:
        try:
            days.append(int(datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC).timestamp()) * 1000)
        except ValueError:
            continue
    return days
