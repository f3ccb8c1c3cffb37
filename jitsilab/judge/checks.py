"""The one engine for the steps of the theory and for the security rules: checks are data, verdicts are values.

A check names the tables it needs. `judge` asks for them first: one that could not be read makes the verdict
NOT_OBSERVABLE, so that a check which could not see its data never passes in silence.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jitsilab.analysis import limits

GUARD = limits.GUARD.value  # s after which what did not come counts as missing


class Verdict(Enum):
    """One enum for steps and security checks; the value is what a step is called, `security_word` what a check is."""

    HOLDS = "CONFORMS"
    BROKEN = "DEVIATES"
    NOT_OBSERVED = "NOT_OBSERVED"  # it should have shown here, and did not
    NOT_OBSERVABLE = "NOT_OBSERVABLE"  # capture point, encryption, truncation, no key
    NOT_APPLICABLE = "NOT_APPLICABLE"  # its precondition is not met
    INFO = "INFO"  # a fact worth telling, no judgement

    @property
    def security_word(self) -> str:
        """The same verdict in the words of an audit: PASS and FAIL."""
        return {"CONFORMS": "PASS", "DEVIATES": "FAIL", "NOT_OBSERVED": "NOT_OBSERVABLE"}.get(self.value, self.value)


class Certainty(Enum):
    """How sure a statement is."""

    MEASURED = "measured"
    DEDUCED = "deduced"  # arithmetic with one solution
    INFERRED = "inferred"  # other explanations remain; they are named


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found: the verdict, the frames that prove it, a sentence."""

    verdict: Verdict
    frames: tuple[int, ...] = ()
    note: str = ""
    certainty: Certainty = Certainty.MEASURED
    variant: str = ""  # which form of the step the wire shows, where 2020 and today differ
    places: tuple[str, ...] = ()  # file:line of deployment facts


@dataclass(frozen=True, slots=True)
class Check:
    """A statement about a call that its capture can confirm or refute."""

    id: str
    title: str
    source: str  # where the statement is made: RFC or XEP section, or a source path
    needs: tuple[str, ...]  # tables without which nothing can be said
    test: Callable[..., Outcome]  # takes the needed tables by name, then the context
    precondition: str = ""  # when it is to be expected, in words
    visible: str = ""  # what a capture must hold to judge it, in words


def judge(
    checks: Iterable[Check], tables: Mapping[str, Any], context: Mapping[str, Any] | None = None
) -> list[tuple[Check, Outcome]]:
    """Each check with its outcome, in order.

    ``tables`` holds DataFrames by name; a missing or None entry could not be read (NOT_OBSERVABLE), an empty one shows
    that nothing of the kind was there (NOT_OBSERVED), and only then the test runs. ``context`` is passed on as
    keywords.
    """
    results = []
    for check in checks:
        unread = [name for name in check.needs if tables.get(name) is None]
        empty = [name for name in check.needs if name not in unread and not len(tables[name])]
        if unread:
            outcome = Outcome(Verdict.NOT_OBSERVABLE, note=f"this capture does not show: {', '.join(unread)}")
        elif empty:
            outcome = Outcome(Verdict.NOT_OBSERVED, note=f"nothing of this kind in the capture: {', '.join(empty)}")
        else:
            outcome = check.test(*(tables[name] for name in check.needs), **(context or {}))
        results.append((check, outcome))
    return results
