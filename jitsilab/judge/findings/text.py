"""Findings for a terminal."""

import re
import textwrap
from collections.abc import Iterable, Sequence

from jitsilab import __version__, terminal
from jitsilab.facts import Input
from jitsilab.judge.findings.changes import Change
from jitsilab.judge.findings.finding import Finding, counts
from jitsilab.judge.findings.rule import AREAS, SEVERITIES

COLOURS = {"FAIL": "31", "PASS": "32", "INFO": "36", "NOT_OBSERVABLE": "33", "NOT_APPLICABLE": "2"}


def to_text(
    findings: Sequence[Finding], width: int = 100, *, inputs: Iterable[Input] = (), colour: bool = False,
    verbose: bool = False, changes: Sequence[Change] | None = None,
) -> str:  # fmt: skip
    """The findings for a terminal: a matrix by area, each failure with evidence and advice, what was not read.

    With ``colour`` nothing that evidence holds is a terminal's control; else the caller sees to that. ``verbose`` adds
    what shows each check that passed, why the others could not be judged, and every input.
    """
    lines: list[str] = []
    inputs = list(inputs)
    for area, name in AREAS.items():
        lines.append(f"{area}. {name}")
        lines += [line for one in findings if one.rule.area == area for line in _row(one, width, verbose)]
        lines.append("")
    taken = [one for one in findings if one.accepted is not None]
    failures = [one for one in findings if one.result == "FAIL" and one.accepted is None]
    for one in sorted(failures, key=lambda f: (SEVERITIES.index(f.severity), f.id)):
        lines.append(f"{one.id} {one.severity}: {one.rule.title}")
        lines += _paragraph("seen", one.evidence + _where(one), width)
        lines += _paragraph("do", one.rule.advice, width)
        lines += _paragraph("see", one.rule.source, width)
        lines.append("")
    if taken:
        lines.append("Risks that somebody has taken")
        for one in taken:
            assert one.accepted is not None
            until = f", until {one.accepted.until}" if one.accepted.until else ""
            text = f"{one.rule.title}, on {one.accepted.date}{until}: {one.accepted.reason} [{one.accepted.place}]"
            lines += _paragraph(one.id, text, width)
        lines.append("")
    if changes is not None:
        lines += _changed(changes, width)
    lines += _inputs(inputs, width, verbose)
    lines.append(", ".join(f"{number} {result}" for result, number in counts(findings).items() if number))
    sums = "" if verbose or not inputs else f"; the sha256 of what was read ({len(inputs)}): -v"
    lines.append(f"jitsilab {__version__}{sums}")
    text = "\n".join(lines)
    return _ROW.sub(_coloured, terminal.printable(text)) if colour else text


_ROW = re.compile(r"(?m)^(  SEC-\d\d  )((FAIL|PASS|INFO|NOT_OBSERVABLE|NOT_APPLICABLE)\b.{0,20}?)(?=  | [A-Z])")


def _coloured(match: re.Match[str]) -> str:
    return f"{match[1]}\x1b[{COLOURS[match[3]]}m{match[2]}\x1b[0m"


def _row(one: Finding, width: int, verbose: bool) -> list[str]:
    grave = f" ({one.severity})" if one.result == "FAIL" else ""
    taken = " taken" if one.accepted is not None else ""
    sure = "" if one.rule.proven else "  (not proven, see docs/checks.md)"
    lines = [f"  {one.id}  {one.result + grave + taken:17} {one.rule.title}{sure}"]
    if verbose and one.result != "FAIL":
        lines += textwrap.wrap(one.evidence + _where(one), width, initial_indent=" " * 10, subsequent_indent=" " * 10)
    return lines


def _changed(changes: Sequence[Change], width: int) -> list[str]:
    if not changes:
        return ["Nothing changed since the earlier audit.", ""]
    lines = ["Changed since the earlier audit"]
    for one in changes:
        lines += _paragraph(one.kind, f"{one.id} {one.title}: {one.before or 'not asked'} before, {one.now} now", width)
    return [*lines, ""]


def _inputs(inputs: Sequence[Input], width: int, verbose: bool) -> list[str]:
    noted = [one for one in inputs if one.note or one.kind == "unknown"]
    shown = list(inputs) if verbose else noted
    if not shown:
        return []
    lines = ["Read" if verbose else "Not read, or not whole"]
    for one in shown:
        digest = f", sha256 {one.sha256}" if verbose and one.sha256 else ""
        text = f"{one.path} ({one.kind}{digest}){': ' + one.note if one.note else ''}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="      ")
    return [*lines, ""]


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
