"""What changed since an earlier audit: its JSON, or its findings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jitsilab.errors import ParameterError
from jitsilab.judge.findings.finding import Finding
from jitsilab.judge.findings.rule import SEVERITIES

LARGEST = 1 << 25


class Change(NamedTuple):
    """One check that says something else than before."""

    id: str
    title: str
    before: str  # the earlier result; empty where the earlier audit had no such check
    now: str
    severity: str
    severity_before: str
    kind: str  # worse, better, other

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return self._asdict()


_RANK = {"FAIL": 2, "INFO": 1, "NOT_OBSERVABLE": 1, "NOT_APPLICABLE": 0, "PASS": 0}


def earlier(path: str | Path) -> list[dict[str, Any]] | None:
    """The findings of an earlier `audit --json`; None where a file is none (then it may be evidence of its own)."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(LARGEST)
    except OSError as error:
        raise ParameterError(f"Cannot read the earlier audit in {path}: {error.strerror}.") from error
    try:
        rows = json.loads(text)["findings"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def changes(before: Iterable[Finding | Mapping[str, Any]], now: Sequence[Finding]) -> list[Change]:
    """Checks with another result, or another severity of a failure, in the order of their ids."""
    old = {str(row["id"]): row for row in (_row(finding) for finding in before) if "id" in row}
    changed = []
    for finding in now:
        row = old.get(finding.id, {})
        result, severity = str(row.get("result", "")), str(row.get("severity", ""))
        same = result == finding.result and (result != "FAIL" or severity == finding.severity)
        if not same:
            changed.append(
                Change(
                    finding.id,
                    finding.rule.title,
                    result,
                    finding.result,
                    finding.severity,
                    severity,
                    _kind(finding, result, severity),
                )
            )
    return changed


def _row(finding: Finding | Mapping[str, Any]) -> Mapping[str, Any]:
    return (
        {"id": finding.id, "result": finding.result, "severity": finding.severity}
        if isinstance(finding, Finding)
        else finding
    )


def _kind(finding: Finding, result: str, severity: str) -> str:
    if result == finding.result == "FAIL" and {severity, finding.severity} <= set(SEVERITIES):
        return "worse" if SEVERITIES.index(finding.severity) < SEVERITIES.index(severity) else "better"
    if "FAIL" not in (result, finding.result) or result not in _RANK:
        return "other"
    return "worse" if finding.result == "FAIL" else "better"
