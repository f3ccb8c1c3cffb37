"""Findings as SARIF 2.1.0 (OASIS), which code scanners and editors read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jitsilab import __version__
from jitsilab.facts import Input
from jitsilab.judge.findings import AREAS, RULES, Change, Finding

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
KINDS = {  # result: kind, section 3.27.9; anything but fail has level none, section 3.27.10
    "FAIL": "fail", "PASS": "pass", "INFO": "informational", "NOT_OBSERVABLE": "open",
    "NOT_APPLICABLE": "notApplicable",
}  # fmt: skip
SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}  # GitHub's security-severity
_PLACE = re.compile(r"^(.+?)(?::(\d+))?$")


def to_sarif(
    findings: Sequence[Finding], capture: str | None = None, inputs: Iterable[Input | Mapping[str, Any]] = (),
    changes: Sequence[Change] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One SARIF log with one run: every check as a rule, every finding as a result.

    Frames are logical locations of the capture, ``file:line`` are physical ones. Inputs are artifacts with their
    hashes; what could not be read of them is a notification of the run. A risk that is taken is a suppression.
    """
    order = {rule.id: number for number, rule in enumerate(RULES)}
    run: dict[str, Any] = {
        "tool": {
            "driver": {"name": "jitsilab", "semanticVersion": __version__, "rules": [_rule(rule) for rule in RULES]}
        },
        "columnKind": "utf16CodeUnits",
        "results": [_result(finding, order[finding.id], capture) for finding in findings],
    }
    rows = [given._asdict() if isinstance(given, Input) else dict(given) for given in inputs]
    artifacts = [_artifact(row) for row in rows]
    if capture is not None and not any(_uri(capture) == artifact["location"]["uri"] for artifact in artifacts):
        artifacts.insert(0, {"location": {"uri": _uri(capture)}, "roles": ["analysisTarget"]})
    if artifacts:
        run["artifacts"] = artifacts
    if notes := [_notification(row) for row in rows if row.get("note")]:
        run["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": notes}]
    if changes is not None:
        states = {change.id: "updated" if change.before else "new" for change in changes}
        for result in run["results"]:
            result["baselineState"] = states.get(result["ruleId"], "unchanged")
    return {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}


def _artifact(row: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"location": {"uri": _uri(str(row["path"]))}, "roles": ["analysisTarget"]}
    if row.get("sha256"):
        made["hashes"] = {"sha-256": str(row["sha256"])}
    return made


def _notification(row: Mapping[str, Any]) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": _uri(str(row["path"]))}}}
    return {"level": "warning", "message": {"text": f"{row['path']}: {row['note']}"}, "locations": [place]}


def _rule(rule: Any) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": re.sub(r"\W", "", rule.title.title()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}: {rule.reason}. No failure is: {rule.guard}."},
        "help": {"text": f"{rule.advice} See: {rule.source}."},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "severity": rule.severity, "security-severity": SCORES[rule.severity],
            "tags": ["security", AREAS[rule.area]],
        },
    }  # fmt: skip


def _result(finding: Finding, index: int, capture: str | None) -> dict[str, Any]:
    kind = KINDS[finding.result]
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": index,
        "kind": kind,
        "level": LEVELS[finding.severity] if kind == "fail" else "none",
        "message": {"text": (finding.evidence or finding.rule.title) + "."},
        "partialFingerprints": {"check/v1": finding.id},
        "properties": {"severity": finding.severity, "certainty": finding.certainty, "frames": list(finding.frames)},
    }
    if finding.accepted is not None:
        why = f"{finding.accepted.date}: {finding.accepted.reason}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    locations = [_physical(place) for place in finding.places]
    if capture is not None and finding.frames:
        frames = [{"name": f"frame {frame}"} for frame in finding.frames]
        locations.append({"physicalLocation": {"artifactLocation": {"uri": _uri(capture)}}, "logicalLocations": frames})
    if locations:
        result["locations"] = locations
    return result


def _physical(place: str) -> dict[str, Any]:
    match = _PLACE.match(place)
    name, line = (match[1], match[2]) if match else (place, None)
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(name)}}
    if line and int(line) > 0:
        physical["region"] = {"startLine": int(line)}
    return {"physicalLocation": physical}


def _uri(name: str) -> str:
    return quote(name.replace("\\", "/"), safe="/._-~")
