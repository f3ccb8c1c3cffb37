"""Risks that somebody has taken: which check, when, why, and until when."""

import datetime
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jitsilab.errors import ParameterError

LARGEST = 1 << 20
_LINE = re.compile(r"^(SEC-\d{2})\s+(\d{4}-\d{2}-\d{2})(?:\s+until\s+(\d{4}-\d{2}-\d{2}))?\s+(\S.*)$")
FORM = "lines of `SEC-09 2026-11-29 [until 2027-06-30] why`"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One risk that is taken."""

    id: str
    date: datetime.date
    reason: str
    until: datetime.date | None = None
    place: str = ""

    def holds(self, today: datetime.date) -> bool:
        """Whether it has not run out."""
        return self.until is None or today <= self.until

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        until = self.until.isoformat() if self.until else None
        return {"date": self.date.isoformat(), "reason": self.reason, "until": until, "place": self.place}


def load(path: str | Path) -> list[Accepted]:
    """The risks of a file: lines, or JSON. Raises ParameterError, with the line, where it is not of that form."""
    name = Path(path).name
    try:
        with Path(path).open("rb") as file:
            text = file.read(LARGEST).decode("utf-8", "replace")
    except OSError as error:
        raise ParameterError(f"Cannot read the accepted risks in {path}: {error.strerror}.") from error
    if text.lstrip().startswith(("{", "[")):
        return _json(text, name)
    risks = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None:
            raise ParameterError(f"{name}:{number} is no accepted risk; the file holds {FORM}.")
        until = _date(match[3], f"{name}:{number}") if match[3] else None
        risks.append(Accepted(match[1], _date(match[2], f"{name}:{number}"), match[4], until, f"{name}:{number}"))
    return risks


def _json(text: str, name: str) -> list[Accepted]:
    try:
        rows = json.loads(text)
        rows = rows["accepted"] if isinstance(rows, dict) else rows
        risks = []
        for number, row in enumerate(rows):
            place = f"{name}#{number}"
            until = _date(str(row["until"]), place) if row.get("until") else None
            if not re.fullmatch(r"SEC-\d{2}", str(row["id"])) or not str(row["reason"]).strip():
                raise KeyError("id")
            risks.append(Accepted(str(row["id"]), _date(str(row["date"]), place), str(row["reason"]), until, place))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParameterError(
            f"{name} holds no accepted risks: a JSON list of objects with id, date, reason and, if it ends, until."
        ) from error
    return risks


def _date(text: str, place: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"{place}: {text} is no date.") from error
