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


def summary(found: list[Finding]) -> Story:
    """How many checks failed, and the gravest of them."""
    failures = _failures(found)
    counts = {result: sum(one.result == result for one in found) for result in findings.RESULTS}
    story = Story().add(
        "Of {checks} security checks {fail}; {passed} found the hazard absent, and {open} could not be judged here.",
        checks=len(found), fail=plural(len(failures), "fails", "fail") if failures else "none fails",
        passed=counts["PASS"], open=counts["NOT_OBSERVABLE"],
    )  # fmt: skip
    grave = [one for one in failures if one.severity == failures[0].severity]
    if grave:
        story.extend(
            "The gravest ({severity}): {titles}.", severity=grave[0].severity,
            titles=listed(f"{one.rule.title[0].lower()}{one.rule.title[1:]} ({one.id})" for one in grave),
        )  # fmt: skip
    return story


def matrix(found: list[Finding]) -> Table:
    """All checks with their results, area by area."""
    rows = [
        {
            "Check": one.id, "Hazard": one.rule.title, "Result": WORDS[one.result],
            "Severity": one.severity if one.result == "FAIL" else "",
            "Certainty": one.certainty if one.result in ("FAIL", "PASS", "INFO") else "",
            "Frames": markdown.frames(one.frames, 3),
        }
        for one in found
    ]  # fmt: skip
    caption = (
        "The security checks: " + "; ".join(f"{_range(found, area)} {name}" for area, name in AREAS.items()) + ". "
        "The severity is that of a failure."
    )
    return Table("security-matrix", pd.DataFrame(rows), caption, align="llllll")


def _range(found: list[Finding], area: str) -> str:
    numbers = [one.id.removeprefix("SEC-") for one in found if one.rule.area == area]
    return f"{numbers[0]} to {numbers[-1]}"


def failures(found: list[Finding], least: str = "info") -> Story:
    """Each failure of a severity or above: what was seen, why it matters, what to do, and where that is said."""
    story = Story()
    told = [one for one in _failures(found) if SEVERITIES.index(one.severity) <= SEVERITIES.index(least)]
    if not told:
        return story.add("No check fails.")
    for one in told:
        story.add(
            "**{id}, {severity}: {title}.** {seen} *{certainty}.*{where} It matters because {reason}. {advice} "
            "Source: {source}.",
            key=one.id, id=one.id, severity=one.severity, title=one.rule.title, seen=_sentence(one.evidence),
            certainty=Raw(one.certainty.capitalize()), where=Raw(_where(one)), reason=one.rule.reason,
            advice=one.rule.advice, source=one.rule.source,
        )  # fmt: skip
    return story


def known(found: list[Finding]) -> Story:
    """What is worth knowing without being a failure."""
    some = [one for one in found if one.result == "INFO"]
    if not some:
        return Story()
    items = [
        Story().add(
            "{id}, {title}: {seen}{where}", key=one.id, id=one.id, title=one.rule.title, seen=_sentence(one.evidence),
            where=Raw(_where(one)),
        )
        for one in some
    ]  # fmt: skip
    return Story("Worth knowing, without being a failure:").bullets(items)


def unseen(found: list[Finding]) -> Table | Story:
    """What could not be judged, why, and what a capture or a file would have to hold."""
    rows = [
        {"Check": one.id, "Hazard": one.rule.title, "Why not": one.evidence, "Seen in": one.rule.visible}
        for one in found
        if one.result == "NOT_OBSERVABLE"
    ]
    if not rows:
        return Story().add("Every check could be judged.")
    return Table("security-unseen", pd.DataFrame(rows), "What could not be judged here, and what would show it.")


def plan(found: list[Finding], interface: str = "eth0", seconds: int = 60) -> Transcript | Story:
    """The commands that make the rest observable."""
    text = deploy.capture_commands(found, interface, seconds)
    if not text:
        return Story()
    caption = "Commands that make observable what was not; they are for a server and browsers of one's own."
    return Transcript("security-plan", tuple(text.split("\n")), caption, "sh")


def _failures(found: list[Finding]) -> list[Finding]:
    some = [one for one in found if one.result == "FAIL"]
    return sorted(some, key=lambda one: (SEVERITIES.index(one.severity), one.id))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _where(one: Finding) -> str:
    """Frames and lines as Markdown."""
    parts = []
    if one.frames:
        parts.append(f"frame{'s' if len(one.frames) > 1 else ''} {markdown.frames(one.frames, 4)}")
    parts += [markdown.code(place) for place in one.places[:4]]
    return f" Evidence: {', '.join(parts)}." if parts else ""
