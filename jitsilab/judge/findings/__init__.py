"""Security checks of session creation: SEC-01 to SEC-41 as data, their results with frames and ``file:line``.

>>> [rule.id for rule in RULES][:2], len(RULES)
(['SEC-01', 'SEC-02'], 41)
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jitsilab.facts import Facts
from jitsilab.judge.checks import Outcome, judge
from jitsilab.judge.findings import access, ice, leaks, media, ports, surface, terms, turn
from jitsilab.judge.findings.rule import AREAS, SEVERITIES, Rule, View, beside
from jitsilab.tables import Schema, frame_from

RULES: tuple[Rule, ...] = (
    *access.ALL, *ports.ALL, *surface.ALL, *turn.ALL, *terms.ALL, *ice.ALL, *media.ALL, *leaks.ALL,
)  # fmt: skip
RESULTS = ("FAIL", "PASS", "INFO", "NOT_OBSERVABLE", "NOT_APPLICABLE")
SCHEMA: Schema = {
    "id": ("str", "SEC-01 to SEC-41; an id is never used for something else"),
    "area": ("str", "A to F: access, signaling, TURN, ICE, DTLS and SRTP, leaks"),
    "title": ("str", "what a failure means"),
    "result": ("str", "FAIL, PASS, INFO, NOT_OBSERVABLE or NOT_APPLICABLE"),
    "severity": ("str", "critical, high, medium, low, info: of a failure"),
    "certainty": ("str", "measured, deduced, or inferred"),
    "frames": ("str", "frames that show it"),
    "places": ("str", "file:line of the configuration that shows it"),
    "evidence": ("str", "what was seen"),
    "advice": ("str", "what to change"),
    "reference": ("str", "where the demand is made"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    rule: Rule
    result: str
    severity: str
    frames: tuple[int, ...]
    places: tuple[str, ...]
    evidence: str
    certainty: str

    @property
    def id(self) -> str:
        """SEC-01 to SEC-41."""
        return self.rule.id

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON holds it."""
        return {
            "id": self.rule.id, "area": self.rule.area, "title": self.rule.title, "result": self.result,
            "severity": self.severity, "certainty": self.certainty, "frames": list(self.frames),
            "places": list(self.places), "evidence": self.evidence, "advice": self.rule.advice,
            "reference": self.rule.source, "proven": self.rule.proven,
        }  # fmt: skip


def audit(call: Any, facts: Facts | None = None) -> list[Finding]:
    """Every check once, in the order of their ids.

    ``call`` is a `jitsilab.call.Call` or None, ``facts`` what `jitsilab.facts.load` gives or None: a check that
    needs what is not there says NOT_OBSERVABLE.
    """
    view = View(call, facts)
    asked = [rule for rule in RULES if view.may_be_jitsi or not rule.jitsi]
    outcomes = {rule.id: outcome for rule, outcome in judge(asked, view.tables, {"view": view})}
    other = beside("the signaling is not that of Jitsi Meet")
    return [_finding(rule, outcomes.get(rule.id, other)) for rule in RULES]


def _finding(rule: Rule, outcome: Outcome) -> Finding:
    severity = getattr(outcome, "severity", "") or rule.severity
    return Finding(
        rule, outcome.verdict.security_word, severity, outcome.frames, outcome.places, outcome.note,
        outcome.certainty.value,
    )  # fmt: skip


def table(call: Any) -> pd.DataFrame:
    """The findings of a call as a table, with the folder of facts that came with it, if any."""
    rows = []
    for one in audit(call, getattr(call, "facts", None)):
        said = one.as_dict()
        said["frames"], said["places"] = " ".join(map(str, one.frames)), " ".join(one.places)
        rows.append([said[column] for column in SCHEMA])
    return frame_from(rows, SCHEMA)


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as one object: ``{"findings": [...]}``, every check once."""
    return {"findings": [one.as_dict() for one in findings]}


def fails_at(findings: Sequence[Finding], severity: str) -> bool:
    """Whether a check fails at this severity or above; ``never`` is never."""
    if severity not in SEVERITIES:
        return False
    grave = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return any(one.result == "FAIL" and one.severity in grave for one in findings)


def to_text(findings: Sequence[Finding], width: int = 100) -> str:
    """The findings for a terminal: a matrix by area, then each failure with evidence and advice."""
    lines = []
    for area, name in AREAS.items():
        lines.append(f"{area}. {name}")
        for one in (f for f in findings if f.rule.area == area):
            grave = f" ({one.severity})" if one.result == "FAIL" else ""
            sure = "" if one.rule.proven else "  (not proven, see docs/checks.md)"
            lines.append(f"  {one.id}  {one.result + grave:17} {one.rule.title}{sure}")
        lines.append("")
    failures = sorted((f for f in findings if f.result == "FAIL"), key=lambda f: (SEVERITIES.index(f.severity), f.id))
    for one in failures:
        lines.append(f"{one.id} {one.severity}: {one.rule.title}")
        lines += _paragraph("seen", one.evidence + _where(one), width)
        lines += _paragraph("do", one.rule.advice, width)
        lines += _paragraph("see", one.rule.source, width)
        lines.append("")
    counts = {result: sum(f.result == result for f in findings) for result in RESULTS}
    lines.append(", ".join(f"{number} {result}" for result, number in counts.items() if number))
    return "\n".join(lines)


def _where(one: Finding) -> str:
    """Frames and places in brackets, the first of each."""
    parts = []
    if one.frames:
        more = ", ..." if len(one.frames) > 6 else ""
        parts.append(f"frame{'s' if len(one.frames) > 1 else ''} {', '.join(map(str, one.frames[:6]))}{more}")
    parts += one.places[:4]
    sure = "" if one.certainty == "measured" else f"; {one.certainty}"
    return f" [{'; '.join(parts)}{sure}]" if parts or sure else ""


def _paragraph(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=f"  {label:5} ", subsequent_indent=" " * 8)


__all__ = [
    "AREAS", "RESULTS", "RULES", "SCHEMA", "SEVERITIES", "Finding", "Rule", "View", "audit", "fails_at", "table",
    "to_json", "to_text",
]  # fmt: skip
