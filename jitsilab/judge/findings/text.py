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
    """The findings for a terminal: totals, each failure with evidence and advice, what could not be judged.

    With ``colour`` nothing that evidence holds is a terminal's control; else the caller sees to that. ``verbose`` adds
    a matrix by area with what shows each check that passed and why others could not be judged, and every input.
    """
    inputs = list(inputs)
    lines = [*textwrap.wrap(_totals(findings), width, subsequent_indent="  "), ""]
    taken = [one for one in findings if one.accepted is not None]
    failures = [one for one in findings if one.result == "FAIL" and one.accepted is None]
    for one in sorted(failures, key=lambda f: (SEVERITIES.index(f.severity), f.id)):
        lines.append(f"{one.id} {one.severity}: {one.title}")
        lines += _paragraph("seen", one.evidence + _where(one), width)
        lines += _paragraph("do", one.rule.advice, width)
        lines += _paragraph("see", one.rule.source, width)
        lines.append("")
    if taken:
        lines.append("Risks that somebody has taken")
        for one in taken:
            assert one.accepted is not None
            until = f", until {one.accepted.until}" if one.accepted.until else ""
            text = f"{one.title}, on {one.accepted.date}{until}: {one.accepted.reason} [{one.accepted.place}]"
            lines += _paragraph(one.id, text, width)
        lines.append("")
    if changes is not None:
        lines += _changed(changes, width)
    lines += _matrix(findings, width) if verbose else _folded(findings, width)
    lines += _inputs(inputs, width, verbose)
    sums = "" if verbose or not inputs else f"; the sha256 of what was read ({len(inputs)}): -v"
    lines.append(f"jitsilab {__version__}{sums}")
    text = "\n".join(lines)
    if not colour:
        return text
    text = _ROW.sub(_coloured, terminal.printable(text))
    return _FAILURE.sub(lambda match: f"\x1b[{GRAVE[match[2]]}m{match[0]}\x1b[0m", text)


def _totals(findings: Sequence[Finding]) -> str:
    """One sentence: how many checks fail, how gravely, and what became of the others."""
    number = counts(findings)
    failures = [one for one in findings if one.result == "FAIL"]
    grave = ", ".join(f"{n} {s}" for s in SEVERITIES if (n := sum(one.severity == s for one in failures)))
    taken = sum(one.accepted is not None for one in findings)
    first = f"{len(failures)} of {len(findings)} checks {'fails' if len(failures) == 1 else 'fail'}"
    first += f" ({grave}{f'; {taken} taken' if taken else ''})" if failures else ""
    words = {"PASS": "pass", "NOT_OBSERVABLE": "could not be judged", "INFO": "for information",
             "NOT_APPLICABLE": "not applicable"}  # fmt: skip
    return f"{first}: " + ", ".join(f"{number[result]} {said}" for result, said in words.items() if number[result])


def _matrix(findings: Sequence[Finding], width: int) -> list[str]:
    """Every check by area."""
    lines = []
    for area, name in AREAS.items():
        lines.append(f"{area}. {name}")
        lines += [line for one in findings if one.rule.area == area for line in _row(one, width)]
        lines.append("")
    return lines


_FOLDED = (("NOT_OBSERVABLE", "Not judged, neither good nor bad"), ("INFO", "For information"))


def _folded(findings: Sequence[Finding], width: int) -> list[str]:
    """What did not fail, in few lines: what could not be judged with what would show it, passes by their numbers."""
    lines = []
    for result, title in _FOLDED:
        some = [one for one in findings if one.result == result]
        if some:
            lines.append(title)
            for one in some:
                said = f"would show in {one.rule.visible}" if result == "NOT_OBSERVABLE" else one.evidence
                row = f"{one.id}  {one.title}: {said}"
                lines += textwrap.wrap(row, width, initial_indent="  ", subsequent_indent=" " * 10)
            lines.append("")
    for result, title in (("PASS", "Passed"), ("NOT_APPLICABLE", "Not applicable")):
        ids = ", ".join(one.id for one in findings if one.result == result)
        if ids:
            lines += textwrap.wrap(f"{title} (-v shows why): {ids}", width, subsequent_indent=" " * 10)
    return [*lines, ""]


GRAVE = {"critical": "1;31", "high": "1;31", "medium": "33", "low": "36", "info": "2"}
_FAILURE = re.compile(r"(?m)^(SEC-\d\d) (critical|high|medium|low|info)(?=: )")
_ROW = re.compile(r"(?m)^(  SEC-\d\d  )((FAIL|PASS|INFO|NOT_OBSERVABLE|NOT_APPLICABLE)\b.{0,20}?)(?=  | [A-Z])")


def _coloured(match: re.Match[str]) -> str:
    return f"{match[1]}\x1b[{COLOURS[match[3]]}m{match[2]}\x1b[0m"


def _row(one: Finding, width: int) -> list[str]:
    grave = f" ({one.severity})" if one.result == "FAIL" else ""
    taken = " taken" if one.accepted is not None else ""
    sure = "" if one.rule.proven else "  (not proven, see docs/checks.md)"
    lines = [f"  {one.id}  {one.result + grave + taken:17} {one.title}{sure}"]
    if one.result != "FAIL":
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
    noted = [one for one in inputs if one.kind == "unknown" or one.note not in ("", "given as key log")]
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
