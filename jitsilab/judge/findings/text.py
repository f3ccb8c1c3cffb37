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
    taken = [finding for finding in findings if finding.accepted is not None]
    failures = [finding for finding in findings if finding.result == "FAIL" and finding.accepted is None]
    for finding in sorted(failures, key=lambda f: (SEVERITIES.index(f.severity), f.id)):
        lines.append(f"{finding.id} {finding.severity}: {finding.title}")
        lines += _paragraph("seen", finding.evidence + _where(finding), width)
        lines += _paragraph("do", finding.rule.advice, width)
        lines += _paragraph("see", finding.rule.source, width)
        lines.append("")
    if taken:
        lines.append("Risks that somebody has taken")
        for finding in taken:
            assert finding.accepted is not None
            until = f", until {finding.accepted.until}" if finding.accepted.until else ""
            text = (
                f"{finding.title}, on {finding.accepted.date}{until}: {finding.accepted.reason} "
                f"[{finding.accepted.place}]"
            )
            lines += _paragraph(finding.id, text, width)
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
    failures = [finding for finding in findings if finding.result == "FAIL"]
    grave = ", ".join(f"{n} {s}" for s in SEVERITIES if (n := sum(finding.severity == s for finding in failures)))
    taken = sum(finding.accepted is not None for finding in findings)
    first = f"{len(failures)} of {len(findings)} checks {'fails' if len(failures) == 1 else 'fail'}"
    first += f" ({grave}{f'; {taken} taken' if taken else ''})" if failures else ""
    words = {"PASS": "pass", "NOT_OBSERVABLE": "could not be judged", "INFO": "for information",
             "NOT_APPLICABLE": "not applicable"}  # fmt: skip
    return f"{first}: " + ", ".join(f"{number[result]} {phrase}" for result, phrase in words.items() if number[result])


def _matrix(findings: Sequence[Finding], width: int) -> list[str]:
    """Every check by area."""
    lines = []
    for area, name in AREAS.items():
        lines.append(f"{area}. {name}")
        lines += [line for finding in findings if finding.rule.area == area for line in _row(finding, width)]
        lines.append("")
    return lines


_FOLDED = (("NOT_OBSERVABLE", "Not judged, neither good nor bad"), ("INFO", "For information"))


def _folded(findings: Sequence[Finding], width: int) -> list[str]:
    """What did not fail, in few lines: what could not be judged with what would show it, passes by their numbers."""
    lines = []
    for result, title in _FOLDED:
        group = [finding for finding in findings if finding.result == result]
        if group:
            lines.append(title)
            for finding in group:
                note = f"would show in {finding.rule.visible}" if result == "NOT_OBSERVABLE" else finding.evidence
                row = f"{finding.id}  {finding.title}: {note}"
                lines += textwrap.wrap(row, width, initial_indent="  ", subsequent_indent=" " * 10)
            lines.append("")
    for result, title in (("PASS", "Passed"), ("NOT_APPLICABLE", "Not applicable")):
        ids = ", ".join(finding.id for finding in findings if finding.result == result)
        if ids:
            lines += textwrap.wrap(f"{title} (-v shows why): {ids}", width, subsequent_indent=" " * 10)
    return [*lines, ""]


GRAVE = {"critical": "1;31", "high": "1;31", "medium": "33", "low": "36", "info": "2"}
_FAILURE = re.compile(r"(?m)^(SEC-\d\d) (critical|high|medium|low|info)(?=: )")
_ROW = re.compile(r"(?m)^(  SEC-\d\d  )((FAIL|PASS|INFO|NOT_OBSERVABLE|NOT_APPLICABLE)\b.{0,20}?)(?=  | [A-Z])")


def _coloured(match: re.Match[str]) -> str:
    return f"{match[1]}\x1b[{COLOURS[match[3]]}m{match[2]}\x1b[0m"


def _row(finding: Finding, width: int) -> list[str]:
    grave = f" ({finding.severity})" if finding.result == "FAIL" else ""
    taken = " taken" if finding.accepted is not None else ""
    sure = "" if finding.rule.proven else "  (not proven, see docs/checks.md)"
    lines = [f"  {finding.id}  {finding.result + grave + taken:17} {finding.title}{sure}"]
    if finding.result != "FAIL":
        lines += textwrap.wrap(
            finding.evidence + _where(finding), width, initial_indent=" " * 10, subsequent_indent=" " * 10
        )
    return lines


def _changed(changes: Sequence[Change], width: int) -> list[str]:
    if not changes:
        return ["Nothing changed since the earlier audit.", ""]
    lines = ["Changed since the earlier audit"]
    for change in changes:
        lines += _paragraph(
            change.kind, f"{change.id} {change.title}: {change.before or 'not asked'} before, {change.now} now", width
        )
    return [*lines, ""]


def _inputs(inputs: Sequence[Input], width: int, verbose: bool) -> list[str]:
    noted = [piece for piece in inputs if piece.kind == "unknown" or piece.note not in ("", "given as key log")]
    shown = list(inputs) if verbose else noted
    if not shown:
        return []
    lines = ["Read" if verbose else "Not read, or not whole"]
    for piece in shown:
        digest = f", sha256 {piece.sha256}" if verbose and piece.sha256 else ""
        text = f"{piece.path} ({piece.kind}{digest}){': ' + piece.note if piece.note else ''}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="      ")
    return [*lines, ""]


def _where(finding: Finding) -> str:
    """Frames and places in brackets, the first of each."""
    parts = []
    if finding.frames:
        more = ", ..." if len(finding.frames) > 6 else ""
        parts.append(f"frame{'s' if len(finding.frames) > 1 else ''} {', '.join(map(str, finding.frames[:6]))}{more}")
    parts += finding.places[:4]
    sure = "" if finding.certainty == "measured" else f"; {finding.certainty}"
    return f" [{'; '.join(parts)}{sure}]" if parts or sure else ""


def _paragraph(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=f"  {label:5} ", subsequent_indent=" " * 8)
