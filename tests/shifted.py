"""Evidence whose clock was set otherwise: every time in a text goes by some seconds."""

import re
from datetime import datetime, timedelta

_ISO = re.compile(r"(20\d\d-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)")
_DAY = re.compile(r"^([A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d)", re.MULTILINE)


def shifted(text: str, seconds: float, year: int = 2026) -> str:
    """The text with all its times later by ``seconds``: ISO dates, and lines that begin with a day of ``year``."""

    def iso(match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(f"{match[1]} {match[3]}") + timedelta(seconds=seconds)
        return moment.strftime(f"%Y-%m-%d{match[2]}%H:%M:%S")

    def day(match: re.Match[str]) -> str:
        moment = datetime.strptime(f"{year} {match[1]}", "%Y %b %d %H:%M:%S") + timedelta(seconds=seconds)
        return moment.strftime("%b %d %H:%M:%S")

    return _DAY.sub(day, _ISO.sub(iso, text))
