"""What a case report is made of, each computed once from one call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.call import Call
from jitsilab.inputs import Evidence
from jitsilab.pages.casereport import fields, streams
from jitsilab.pages.casereport.document import Event, Ladder, text
from jitsilab.pages.casereport.places import Places

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis import Diagnosis
    from jitsilab.judge.findings import Finding

MOST_EVENTS = 400  # of one ladder; the rest is counted
MOST_LADDERS = 4
TONES = {"CONFORMS": "good", "DEVIATES": "bad"}

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
    errors: pd.DataFrame
    names: dict[str, str] = field(default_factory=dict)  # whom an endpoint id, a JID or an address means


def gather(call: Call, tell: Progress = lambda _: None) -> Contents:
    """Everything, each once; ``tell`` is called with what comes next."""
    tell("who had media, and why not")
    diagnosis = call.diagnosis
    captures = [one.input for one in call.packets]
    places = Places([piece.input for piece in call.evidence.pieces], captures)
    tell("the steps of the theory")
    parts = each_capture(call)
    steps = _steps(parts)
    tell("the security of session creation")
    from jitsilab.judge import findings

    audited = findings.audit(call if call.packets else None, call.facts)
    tell("the ladder")
    ladders = [one for number, part in enumerate(parts[:MOST_LADDERS], 1)
               if (one := _ladder(part, number, len(parts), places)) is not None]  # fmt: skip
    tell("streams, lines, what could not be read")
    names = {known: one.id for one in diagnosis.people for known in sorted(one.names)}
    shown = [one for part in parts for one in streams.of_call(part, names)]
    events = call.table("events") if call.evidence.lines else None
    return Contents(call, parts, places, diagnosis, steps, audited, ladders, shown, events, call.errors, names)


def each_capture(call: Call) -> list[Call]:
    """The call once for each capture, since frames and flows are numbered in each; they share what was read."""
    if len(call.packets) == 1:
        return [call]
    pieces = [piece for piece in call.evidence.pieces if piece.source in call.packets]
    return [Call(piece.input, Evidence([piece])) for piece in pieces]


def _steps(parts: Iterable[Call]) -> pd.DataFrame:
    """The steps of every capture, with ``capture`` counting them."""
    from jitsilab.judge import theory

    tables = [part.steps.assign(capture=number) for number, part in enumerate(parts)]
    if not tables:
        return pd.DataFrame(columns=[*theory.SCHEMA, "capture"])
    return pd.concat(tables, ignore_index=True)


def _ladder(part: Call, number: int, of_them: int, places: Places) -> Ladder | None:
    from jitsilab.pages.narrative import ladder

    table = ladder.events(part)
    if table.empty:
        return None
    shown = table.head(MOST_EVENTS)
    decoded = fields.Decoded(part, shown)
    before = "" if of_them == 1 else f"{number}-"
    events = [
        Event(
            f"event-{before}{place}", float(row.seconds), str(row.source), str(row.target), str(row.kind),
            str(row.label), int(row.frame), bool(row.hidden),
            TONES.get(str(row.verdict), "bad" if "refused" in str(row.label) else "plain"), decoded.of(row),
        )
        for place, row in enumerate(shown.itertuples(), 1)
    ]  # fmt: skip
    lanes = [name for name in shown["lane_order"].iloc[0] if name in {*shown["source"], *shown["target"]}]
    roles = {"signaling", "TURN", "bridge"}
    people = [lane for lane in lanes[: len(lanes) - len(roles & {*lanes})] if lane]
    name = places.short(part.packets[0].input)
    caption = text(f"{name}: who told whom what, and when. The server's roles stand to the right.")
    return Ladder(f"ladder-{number}" if of_them > 1 else "ladder", caption, lanes, people, events,
                  len(table) - len(shown))  # fmt: skip


def plain(value: Any) -> str:
    """A cell as words; nothing for a missing value."""
    missing = value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
    return "" if missing else str(value)
