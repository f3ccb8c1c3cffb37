"""What a case report is made of, each computed once from one call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.call import Call
from jitsilab.inputs import Evidence
from jitsilab.pages.casereport import ladders, streams
from jitsilab.pages.casereport.document import Ladder
from jitsilab.pages.casereport.places import Places

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis import Diagnosis
    from jitsilab.judge.findings import Finding

Progress = Callable[[str], None]


@dataclass
class Contents:
    """A case with all that is told of it."""

    call: Call
    parts: list[Call]  # the same, once for each capture
    places: Places
    diagnosis: "Diagnosis"
    steps: pd.DataFrame
    findings: "list[Finding]"
    ladders: list[Ladder]
    streams: list[streams.Stream]
    events: pd.DataFrame | None  # of lines
    dated: pd.DataFrame | None  # what every source dates, on one clock, where there are lines
    errors: pd.DataFrame
    names: dict[str, str] = field(default_factory=dict)  # whom an endpoint id, a JID or an address means


def gather(call: Call, tell: Progress = lambda _: None) -> Contents:
    """Everything, each once; ``tell`` is called with what comes next."""
    tell("who had media, and why not")
    diagnosis = call.diagnosis
    captures = [source.input for source in call.packets]
    places = Places([piece.input for piece in call.evidence.pieces], captures)
    tell("the steps of the theory")
    parts = each_capture(call)
    steps = _steps(parts)
    tell("the security of session creation")
    from jitsilab.judge import findings

    audited = findings.audit(call if call.packets else None, call.facts)
    tell("the ladder")
    proofs = frozenset(place for cause in diagnosis.causes for place in cause.evidence)
    drawn = ladders.of_captures(parts, places, proofs)
    timeline = call.timeline if call.evidence.lines else None
    drawn = ladders.with_lines(drawn, timeline, places, proofs)
    tell("streams, lines, what could not be read")
    names = {known: person.id for person in diagnosis.people for known in sorted(person.names)}
    shown = [stream for part in parts for stream in streams.of_call(part, names)]
    events = call.table("events") if call.evidence.lines else None
    return Contents(call, parts, places, diagnosis, steps, audited, drawn, shown, events, timeline, call.errors, names)


def each_capture(call: Call) -> list[Call]:
    """The call once for each capture, since frames and flows are numbered in each; they share what was read."""
    if len(call.packets) == 1:
        return [call]
    captures = {id(source) for source in call.packets}
    pieces = [piece for piece in call.evidence.pieces if id(piece.source) in captures]
    return [Call(piece.input, Evidence([piece])) for piece in pieces]


def _steps(parts: Iterable[Call]) -> pd.DataFrame:
    """The steps of every capture, with ``capture`` counting them."""
    from jitsilab.judge import theory

    tables = [part.steps.assign(capture=number) for number, part in enumerate(parts)]
    if not tables:
        return pd.DataFrame(columns=[*theory.SCHEMA, "capture"])
    return pd.concat(tables, ignore_index=True)


def plain(value: Any) -> str:
    """A cell as words; nothing for a missing value."""
    missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
    return "" if missing else str(value)
