"""The result of one check, as people and programs get it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jitsilab.judge.findings.accepted import Accepted
from jitsilab.judge.findings.rule import Rule

RESULTS = ("FAIL", "PASS", "INFO", "NOT_OBSERVABLE", "NOT_APPLICABLE")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    rule: Rule
    result: str
    severity: str
    frames: tuple[int, ...]
    places: tuple[str, ...]
    evidence: str  # what was seen, in words
    certainty: str
    accepted: Accepted | None = None  # a risk that somebody has taken
    input: str = ""  # the capture that the frames are of, where there are several

    @property
    def id(self) -> str:
        """SEC-01 to SEC-41."""
        return self.rule.id

    @property
    def title(self) -> str:
        """The title that is true of this result: the hazard, or that it is absent."""
        return self.rule.absent if self.result == "PASS" else self.rule.title

    def as_dict(self, capture: str = "") -> dict[str, Any]:
        """The finding as JSON holds it; ``capture`` is the input that the frames are of."""
        made: dict[str, Any] = {
            "id": self.rule.id, "area": self.rule.area, "title": self.rule.title, "says": self.title,
            "result": self.result, "severity": self.severity, "certainty": self.certainty, "seen": self.evidence,
            "evidence": [*(_frame(frame, self.input or capture) for frame in self.frames), *map(_place, self.places)],
            "frames": list(self.frames), "places": list(self.places), "advice": self.rule.advice,
            "reference": self.rule.source, "proven": self.rule.proven,
        }  # fmt: skip
        if self.accepted is not None:
            made["accepted"] = self.accepted.as_dict()
        return made


def _frame(number: int, capture: str) -> dict[str, Any]:
    return {"input": capture or None, "frame": number}


def _place(place: str) -> dict[str, Any]:
    name, colon, line = place.rpartition(":")
    return {"input": name, "line": int(line)} if colon and line.isdigit() else {"input": place, "line": None}


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings have each result."""
    return {result: sum(finding.result == result for finding in findings) for result in RESULTS}
