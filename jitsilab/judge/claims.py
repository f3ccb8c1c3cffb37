"""A claim that somebody makes of a call, in a small grammar, held against the evidence.

    WHO has media [over PATH]
    WHO has no media [because CAUSE]
    no STUN between WHO and WHO [because REASON]

WHO is a display name, an address or an endpoint id; PATH, CAUSE and REASON are of the closed sets.
"""

import re
from collections.abc import Callable
from typing import Any

from jitsilab.errors import ParameterError
from jitsilab.judge import hypotheses
from jitsilab.judge.causes import CAUSES, OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.diagnosis.answer import Diagnosed, Diagnosis

PATHS = ("p2p", "jvb-udp", "turn-udp", "turn-tcp", "turn-tls")
GRAMMAR = (
    "'WHO has media [over PATH]', 'WHO has no media [because CAUSE]', or 'no STUN between WHO and WHO [because REASON]'"
)
_FORMS = (
    (re.compile(r"no stun between (?P<a>.+?) and (?P<b>.+?)(?: because (?P<why>[\w-]+))?$", re.I), "absent"),
    (re.compile(r"(?P<a>.+?) has no media(?: because (?P<why>[\w-]+))?$", re.I), "none"),
    (re.compile(r"(?P<a>.+?) has media(?: over (?P<why>[\w-]+))?$", re.I), "media"),
)


def tested(claim: str, answer: Diagnosis, tables: Any) -> dict[str, Any]:
    """A claim with its verdict (``supported``, ``refuted``, ``undecided``), frames and a sentence.

    Raises ParameterError, with the grammar, for a claim of another form.
    """
    text = " ".join(claim.split()).rstrip(".")
    for form, kind in _FORMS:
        if match := form.match(text):
            test: Callable[..., dict[str, Any]] = {"absent": _absent, "none": _none, "media": _media}[kind]
            return test(text, match, answer, tables)
    raise ParameterError(f"A claim is one of {GRAMMAR}; this is {claim!r}.")


def _who(name: str, answer: Diagnosis) -> Diagnosed:
    for person in answer.people:
        if name.lower() in {each.lower() for each in person.names}:
            return person
    known = ", ".join(person.id for person in answer.people) or "nobody"
    raise ParameterError(f"The evidence shows no participant {name!r}. There is: {known}.")


def _said(claim: str, verdict: str, note: str, frames: list[int]) -> dict[str, Any]:
    return {"claim": f"{claim}.", "verdict": verdict, "frames": frames, "note": note}


def _absent(claim: str, match: re.Match[str], answer: Diagnosis, tables: Any) -> dict[str, Any]:
    reason = match["why"] or "not-behind-nat"
    if reason not in hypotheses.REASONS:
        raise ParameterError(f"There is no reason {reason!r}. There are: {', '.join(hypotheses.REASONS)}.")
    wanted = {name: tables.get(name) for name in hypotheses.NEEDED}
    return hypotheses.test(hypotheses.Claim((match["a"], match["b"]), reason), wanted).to_json()


def _none(claim: str, match: re.Match[str], answer: Diagnosis, tables: Any) -> dict[str, Any]:
    person, cause = _who(match["a"], answer), match["why"]
    if cause is not None and cause not in CAUSES:
        raise ParameterError(f"There is no cause {cause!r}. There are: {', '.join(CAUSES)}.")
    if person.media_path not in ("none", "not-observable"):
        return _said(claim, "refuted", f"{person.id} had media ({person.media_path}).", person.frames)
    if person.media_path == "not-observable":
        return _said(claim, "undecided", f"Whether {person.id} had media is not to be seen here.", person.frames)
    if cause is None or person.cause == cause:
        note = words_of(person.cause, person.reason) if person.cause in CAUSES else "the cause stays open"
        return _said(claim, "supported", f"{person.id} had none: {note}.", person.frames)
    if person.cause in OPEN:
        open_ = not person.open_causes or cause in person.open_causes
        note = f"{person.id} had none; open are: {', '.join(person.open_causes) or 'all causes'}."
        return _said(claim, "undecided" if open_ else "refuted", note, person.frames)
    return _said(
        claim, "refuted", f"{person.id} had none: {words_of(person.cause or '', person.reason)}.", person.frames
    )


def _media(claim: str, match: re.Match[str], answer: Diagnosis, tables: Any) -> dict[str, Any]:
    person, path = _who(match["a"], answer), match["why"]
    if path is not None and path not in PATHS:
        raise ParameterError(f"There is no path {path!r}. There are: {', '.join(PATHS)}.")
    if person.media_path == "not-observable":
        return _said(claim, "undecided", f"Whether {person.id} had media is not to be seen here.", person.frames)
    if person.media_path == "none":
        return _said(claim, "refuted", f"{person.id} had no media.", person.frames)
    had = {each.name for each in person.media_paths} | {person.media_path}
    verdict = "supported" if path is None or path in had else "refuted"
    return _said(claim, verdict, f"{person.id} had media over {', '.join(sorted(had))}.", person.frames)
