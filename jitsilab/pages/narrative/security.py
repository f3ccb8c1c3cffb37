"""Section IV of the report: what the security checks found, what to do, and what could not be seen."""

import pandas as pd

from jitsilab import deploy
from jitsilab.call import Call
from jitsilab.judge import findings
from jitsilab.judge.findings import AREAS, SEVERITIES, Finding
from jitsilab.pages import markdown
from jitsilab.pages.markdown import Raw
from jitsilab.pages.narrative import Story, listed, plural
from jitsilab.pages.narrative.blocks import Table, Transcript

WORDS = {
    "FAIL": "fails", "PASS": "passes", "INFO": "to know", "NOT_OBSERVABLE": "not observable",
    "NOT_APPLICABLE": "does not apply",
}  # fmt: skip


def audit(call: Call) -> list[Finding]:
    """Every check once, with the server's files where they belong to the capture."""
    return findings.audit(call, call.facts)


def summary(checks: list[Finding]) -> Story:
    """How many checks failed, and the gravest of them."""
    failures = _failures(checks)
    counts = {result: sum(check.result == result for check in checks) for result in findings.RESULTS}
    story = Story().add(
        "Of {checks} security checks {fail}; {passed} found the hazard absent, and {open} could not be judged here.",
        checks=len(checks), fail=plural(len(failures), "fails", "fail") if failures else "none fails",
        passed=counts["PASS"], open=counts["NOT_OBSERVABLE"],
    )  # fmt: skip
    grave = [failure for failure in failures if failure.severity == failures[0].severity]
    if grave:
        story.extend(
            "The gravest ({severity}): {titles}.", severity=grave[0].severity,
            titles=listed(f"{failure.rule.title[0].lower()}{failure.rule.title[1:]} ({failure.id})"
                          for failure in grave),
        )  # fmt: skip
    return story


def matrix(checks: list[Finding]) -> Table:
    """All checks with their results, area by area."""
    rows = [
        {
            "Check": check.id, "Hazard": check.rule.title, "Result": WORDS[check.result],
            "Severity": check.severity if check.result == "FAIL" else "",
            "Certainty": check.certainty if check.result in ("FAIL", "PASS", "INFO") else "",
            "Frames": markdown.frames(check.frames, 3),
        }
        for check in checks
    ]  # fmt: skip
    caption = (
        "The security checks: " + "; ".join(f"{_range(checks, area)} {name}" for area, name in AREAS.items()) + ". "
        "The severity is that of a failure."
    )
    return Table("security-matrix", pd.DataFrame(rows), caption, align="llllll")


def _range(checks: list[Finding], area: str) -> str:
    numbers = [check.id.removeprefix("SEC-") for check in checks if check.rule.area == area]
    return f"{numbers[0]} to {numbers[-1]}"


def failures(checks: list[Finding], least: str = "info") -> Story:
    """Each failure of a severity or above: what was seen, why it matters, what to do, and where that is said."""
    story = Story()
    shown = [failure for failure in _failures(checks) if SEVERITIES.index(failure.severity) <= SEVERITIES.index(least)]
    if not shown:
        return story.add("No check fails.")
    for failure in shown:
        story.add(
            "**{id}, {severity}: {title}.** {seen} *{certainty}.*{where} It matters because {reason}. {advice} "
            "Source: {source}.",
            key=failure.id, id=failure.id, severity=failure.severity, title=failure.rule.title,
            seen=_sentence(failure.evidence),
            certainty=Raw(failure.certainty.capitalize()), where=Raw(_where(failure)), reason=failure.rule.reason,
            advice=failure.rule.advice, source=failure.rule.source,
        )  # fmt: skip
    return story


def known(checks: list[Finding]) -> Story:
    """What is worth knowing without being a failure."""
    infos = [check for check in checks if check.result == "INFO"]
    if not infos:
        return Story()
    items = [
        Story().add(
            "{id}, {title}: {seen}{where}", key=check.id, id=check.id, title=check.rule.title,
            seen=_sentence(check.evidence), where=Raw(_where(check)),
        )
        for check in infos
    ]  # fmt: skip
    return Story("Worth knowing, without being a failure:").bullets(items)


def unseen(checks: list[Finding]) -> Table | Story:
    """What could not be judged, why, and what a capture or a file would have to hold."""
    rows = [
        {"Check": check.id, "Hazard": check.rule.title, "Why not": check.evidence, "Seen in": check.rule.visible}
        for check in checks
        if check.result == "NOT_OBSERVABLE"
    ]
    if not rows:
        return Story().add("Every check could be judged.")
    return Table("security-unseen", pd.DataFrame(rows), "What could not be judged here, and what would show it.")


def plan(checks: list[Finding], interface: str = "eth0", seconds: int = 60) -> Transcript | Story:
    """The commands that make the rest observable."""
    text = deploy.capture_commands(checks, interface, seconds)
    if not text:
        return Story()
    caption = "Commands that make observable what was not; they are for a server and browsers of one's own."
    return Transcript("security-plan", tuple(text.split("\n")), caption, "sh")


def _failures(checks: list[Finding]) -> list[Finding]:
    failed = [check for check in checks if check.result == "FAIL"]
    return sorted(failed, key=lambda failure: (SEVERITIES.index(failure.severity), failure.id))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _where(finding: Finding) -> str:
    """Frames and lines as Markdown."""
    parts = []
    if finding.frames:
        parts.append(f"frame{'s' if len(finding.frames) > 1 else ''} {markdown.frames(finding.frames, 4)}")
    parts += [markdown.code(place) for place in finding.places[:4]]
    return f" Evidence: {', '.join(parts)}." if parts else ""
