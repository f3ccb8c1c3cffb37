"""Writes docs/checks.md from the rules and their samples: `python tests/checks_page.py`."""

from pathlib import Path

from audit_table import SAMPLES

from jitsilab.judge.findings import AREAS, RULES

HEAD = """# The security checks

Every check comes once in each audit: FAIL, PASS, INFO, NOT_OBSERVABLE or NOT_APPLICABLE. The title names the hazard, so
PASS says that it is absent. A check never passes because nothing was seen: something has to be there that would have
shown the hazard. Severity is of a failure; where a look finds a lesser form, the finding says so.

*Samples* are what the tests hold the check against: `real` a recording of this project, `run` a server that the tests
start, `made` one of these with one thing changed. A check without a failing, a passing and an unobservable sample is
not proven and says so in the last section. This page is written by `tests/checks_page.py`; a test keeps it so.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for area, name in AREAS.items():
        parts.append(f"\n## {area}. {name}\n")
        for rule in (one for one in RULES if one.area == area):
            samples = "; ".join(f"{s.result}: {s.what} ({s.origin})" for s in SAMPLES[rule.id])
            parts.append(
                f"\n### {rule.id} {rule.title}\n\n"
                f"- severity: {rule.severity}; {rule.reason}\n- seen in: {rule.visible}\n"
                f"- no failure: {rule.guard}\n- advice: {rule.advice}\n"
                f"- reference: {rule.source}\n- samples: {samples}\n"
            )
    missing = [rule for rule in RULES if not rule.proven]
    parts.append("\n## Not proven\n\n")
    for rule in missing:
        there = ", ".join(dict.fromkeys(sample.result for sample in SAMPLES[rule.id]))
        parts.append(f"- {rule.id} {rule.title}: there are samples for {there} only; {rule.unproven}\n")
    return "".join(parts)


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "checks.md").write_text(page())
