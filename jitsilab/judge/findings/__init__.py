"""Security checks of session creation: SEC-01 to SEC-41 as data, their results with frames and ``file:line``.

>>> [rule.id for rule in RULES][:2], len(RULES)
(['SEC-01', 'SEC-02'], 41)
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from jitsilab import __version__
from jitsilab.errors import CaptureError
from jitsilab.facts import Facts, Input
from jitsilab.judge.checks import Outcome, judge
from jitsilab.judge.findings import access, ice, leaks, media, ports, surface, terms, turn
from jitsilab.judge.findings.accepted import Accepted
from jitsilab.judge.findings.accepted import load as read_accepted
from jitsilab.judge.findings.changes import Change, changes, earlier
from jitsilab.judge.findings.finding import RESULTS, Finding
from jitsilab.judge.findings.rule import AREAS, SEVERITIES, Rule, View, beside
from jitsilab.judge.findings.text import to_text
from jitsilab.tables import Schema, frame_from

RULES: tuple[Rule, ...] = (
    *access.ALL, *ports.ALL, *surface.ALL, *turn.ALL, *terms.ALL, *ice.ALL, *media.ALL, *leaks.ALL,
)  # fmt: skip
SCHEMA: Schema = {
    "id": ("str", "SEC-01 to SEC-41; an id is never used for something else"),
    "area": ("str", "A to F: access, signaling, TURN, ICE, DTLS and SRTP, leaks"),
    "title": ("str", "what a failure means"),
    "result": ("str", "FAIL, PASS, INFO, NOT_OBSERVABLE or NOT_APPLICABLE"),
    "severity": ("str", "critical, high, medium, low, info: of a failure"),
    "certainty": ("str", "measured, deduced, or inferred"),
    "frames": ("object", "frames that show it"),
    "places": ("object", "file:line of the configuration that shows it"),
    "evidence": ("str", "what was seen"),
    "advice": ("str", "what to change"),
    "reference": ("str", "where the demand is made"),
}


def audit(call: Any, facts: Facts | None = None) -> list[Finding]:
    """Every check once, in the order of their ids.

    ``call`` is a `jitsilab.call.Call` or None, ``facts`` what `jitsilab.facts.load` gives or None: a check that
    needs what is not there says NOT_OBSERVABLE.
    """
    captures = getattr(call, "packets", ())
    if len(captures) > 1:
        return _of_several(captures, facts)
    view = View(call, facts)
    asked = [rule for rule in RULES if view.may_be_jitsi or not rule.jitsi]
    outcomes = {rule.id: outcome for rule, outcome in judge(asked, view.tables, {"view": view})}
    other = beside("the signaling is not that of Jitsi Meet")
    return [_finding(rule, outcomes.get(rule.id, other)) for rule in RULES]


class _Alone(NamedTuple):
    """One capture of several, as a check looks at a call: their frames and flows have the same numbers."""

    source: Any

    def tables(self) -> Any:
        """Its tables by name."""
        return self.source


def _of_several(captures: Sequence[Any], facts: Facts | None) -> list[Finding]:
    """Every check of each capture: a failure wins, then what was seen to hold."""
    rank = ("FAIL", "PASS", "INFO", "NOT_APPLICABLE", "NOT_OBSERVABLE")
    every = [[replace(f, input=capture.input) for f in audit(_Alone(capture), facts)] for capture in captures]
    return [min(same, key=lambda finding: rank.index(finding.result)) for same in zip(*every, strict=True)]


def _finding(rule: Rule, outcome: Outcome) -> Finding:
    severity = getattr(outcome, "severity", "") or rule.severity
    return Finding(
        rule, outcome.verdict.security_word, severity, outcome.frames, outcome.places, outcome.note,
        outcome.certainty.value,
    )  # fmt: skip


def table(call: Any) -> pd.DataFrame:
    """The findings of a call as a table, with the folder of facts that came with it, if any."""
    rows = []
    for finding in audit(call, getattr(call, "facts", None)):
        row = {**finding.as_dict(), "evidence": finding.evidence}
        row["frames"], row["places"] = list(finding.frames), list(finding.places)
        rows.append([row[column] for column in SCHEMA])
    return frame_from(rows, SCHEMA)


def to_json(
    findings: Sequence[Finding], inputs: Iterable[Input | Mapping[str, Any]] = (), *, capture: str = "",
    changes: Sequence[Change] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The findings as one object: every check once, what was read (``inputs``), and the tool's version.

    ``inputs`` are what `jitsilab.facts` gives, or rows with path, kind, sha256 and note of other evidence;
    ``capture`` is the input that frames are of; ``changes`` what `changes` gives, where an earlier audit was named.
    """
    made: dict[str, Any] = {
        "findings": [finding.as_dict(capture) for finding in findings],
        "inputs": [piece._asdict() if isinstance(piece, Input) else dict(piece) for piece in inputs],
        "version": __version__,
    }
    if changes is not None:
        made["changes"] = [change.as_dict() for change in changes]
    return made


def inputs(call: Any, facts: Facts | None) -> list[Input]:
    """What an audit read: the pieces of evidence, and each file of configuration with what of it was not used."""
    pieces = []
    for piece in call.evidence.pieces if call is not None and call.evidence is not None else ():
        if piece.kind == "configuration":
            continue
        source = getattr(piece.source, "note", "")
        try:
            digest = str(piece.delivery.sha256)
        except (OSError, AssertionError):
            digest = ""
        pieces.append(Input(piece.input, piece.kind, digest, piece.note or source or ""))
    return [*pieces, *(facts.inputs if facts is not None else ())]


def accept(findings: Sequence[Finding], taken: Iterable[Accepted], today: datetime.date | None = None) -> list[Finding]:
    """The findings with the risks marked that somebody has taken; what has run out is not taken any more."""
    today = today or datetime.datetime.now(datetime.UTC).date()
    known = {risk.id: risk for risk in taken if risk.holds(today)}
    return [replace(f, accepted=known[f.id]) if f.result == "FAIL" and f.id in known else f for f in findings]


def fails_at(findings: Sequence[Finding], severity: str) -> bool:
    """Whether a check fails at this severity or above; ``never`` is never, and a risk that is taken is none."""
    if severity not in SEVERITIES:
        return False
    grave = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return any(
        finding.result == "FAIL" and finding.severity in grave and finding.accepted is None for finding in findings
    )


def require_evidence(call: Any, facts: Facts | None) -> None:
    """Raise CaptureError where there is nothing that an audit could read."""
    if call is None and (facts is None or facts.empty):
        folder = f" in {facts.folder}" if facts is not None and facts.folder else ""
        unread = [file for file in facts.inputs if file.note] if facts is not None else []
        why = f" ({unread[0].path}: {unread[0].note})" if unread else ""
        raise CaptureError(f"There is nothing to audit{folder}: no file of a kind that is known{why}.")


__all__ = [
    "AREAS", "RESULTS", "RULES", "SCHEMA", "SEVERITIES", "Accepted", "Change", "Finding", "Rule", "View", "accept",
    "audit", "changes", "earlier", "fails_at", "inputs", "read_accepted", "require_evidence", "table", "to_json",
    "to_text",
]  # fmt: skip
