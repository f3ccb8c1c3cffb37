"""The call in the order of the specifications, as data: steps S01 to S35, held against a capture for each participant.

>>> [step.id for step in STEPS][:2], len(STEPS)
(['S01', 'S02'], 35)
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import pandas as pd

from jitsilab.case import cast as people
from jitsilab.judge.checks import Outcome, judge
from jitsilab.judge.theory import connectivity, entry, media, names, relays, signaling
from jitsilab.judge.theory.departures import DEPARTURES, Departure
from jitsilab.judge.theory.scope import RANK, Scope, Step, Whole, beside, hidden, scopes
from jitsilab.tables import Schema, frame_from

STEPS: tuple[Step, ...] = tuple(
    sorted(
        (*names.STEPS, *entry.STEPS, *signaling.STEPS, *connectivity.STEPS, *relays.STEPS, *media.STEPS),
        key=lambda step: step.id,
    )
)
SCHEMA: Schema = {
    "step": ("str", "S01 to S35, in the order of a session's creation"),
    "title": ("str", "what the theory says happens"),
    "participant": ("str", "display name, else address; empty where the capture is not one of a Jitsi call"),
    "session": ("str", "jvb, p2p, with a number from the second on; empty where the step is not about one"),
    "verdict": ("str", "CONFORMS, DEVIATES, NOT_OBSERVED, NOT_OBSERVABLE, NOT_APPLICABLE or INFO"),
    "certainty": ("str", "measured, deduced or inferred"),
    "frames": ("object", "frames that show it"),
    "note": ("str", "what was seen"),
    "variant": ("str", "which form of the step the wire shows, where deployments and years differ"),
    "source": ("str", "where the theory says so"),
}


class Source(Protocol):
    """What gives tables by name: a Call."""

    def tables(self) -> "Mapping[str, pd.DataFrame | None]":
        """All tables of packets and messages."""
        ...


def steps(call: Source) -> pd.DataFrame:
    """Each step with its verdict, for each participant and, where it is about one, each media session.

    A capture of what can be no Jitsi call has each step once, NOT_APPLICABLE; one that could be, and is not shown to
    be, is held against the theory, and nobody in it is claimed to have taken part. Of several captures each has its
    own, with a column ``input``.
    """
    captures = getattr(call, "packets", ())
    if len(captures) > 1:  # their frames and flows have the same numbers
        each = [steps(_Alone(capture)).assign(input=capture.input) for capture in captures]
        return pd.concat(each, ignore_index=True)
    tables = call.tables()
    who = people.build(tables)
    if not (who.jitsi or who.recognition.could_be) or not who.people:
        reason = beside("no participant in this capture" if who.jitsi else "nothing shows that this is a Jitsi call")
        return frame_from([_row(step, "", "", _nobody(step, reason, tables)) for step in STEPS], SCHEMA)
    rows, every = [], Whole(tables)
    for person in who.people:
        outcomes: dict[str, list[tuple[str, Outcome]]] = {step.id: [] for step in STEPS}
        for scope in _asked(person, who, every):
            level = "session" if scope.name else "participant"
            for step, outcome in _judged([step for step in STEPS if step.each == level], scope):
                outcomes[step.id].append((scope.name.strip("-"), outcome))
        rows += [_row(step, person.id, name, outcome) for step in STEPS for name, outcome in outcomes[step.id]]
    return frame_from(rows, SCHEMA)


class _Alone(NamedTuple):
    """One capture of several, as steps look at a call."""

    source: "Mapping[str, pd.DataFrame | None]"

    def tables(self) -> "Mapping[str, pd.DataFrame | None]":
        """Its tables by name."""
        return self.source


def _nobody(step: Step, reason: Outcome, tables: "Mapping[str, pd.DataFrame | None]") -> Outcome:
    """Why a step is not asked where there is no call; with a name that was not found, which may be why."""
    missed, frames = names.unresolved(tables) if step.id == "S01" else ("", [])
    return beside(f"{reason.note}; {missed}", frames) if missed else reason


def _asked(person: people.Person, who: people.Cast, tables: Whole) -> Iterator[Scope]:
    """The participant as a whole, then each session; one without a name stands for all where there was none."""
    yield Scope(person, who, tables, legs=person.legs, turns=person.turn)
    yield from list(scopes(person, who, tables)) or [
        Scope(person, who, tables, name="-", legs=person.legs, turns=person.turn)
    ]


def _judged(asked: list[Step], scope: Scope) -> Iterator[tuple[Step, Outcome]]:
    unknown = scope.name == "-" and not (scope.xmpp_streams or scope.legs or scope.turns)
    for step in asked:
        reason = step.applies(scope) if step.applies is not None else ""
        if unknown:
            yield step, hidden("whether a session was offered is not to be seen here")
            continue
        if reason:
            yield step, beside(reason)
        else:
            tables = {name: scope.table(name) for name in step.needs}
            yield step, judge([step], tables, {"scope": scope})[0][1]


def _row(step: Step, participant: str, session: str, outcome: Outcome) -> tuple[Any, ...]:
    return (
        step.id, step.title, participant, session, outcome.verdict.value, outcome.certainty.value, list(outcome.frames),
        outcome.note, outcome.variant, step.source,
    )  # fmt: skip


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a step and participant of what `steps` gives: of several sessions the verdict that says most."""
    rank = {verdict.value: place for place, verdict in enumerate(RANK)}
    best = table.assign(rank=table["verdict"].astype(str).map(rank)).sort_values("rank", kind="stable")
    kept = best.drop_duplicates(["step", "participant"]).drop(columns="rank")
    return kept.sort_index()


def departures() -> tuple[Departure, ...]:
    """Where practice leaves the cited texts in healthy calls too; docs/steps.md prints them."""
    return DEPARTURES


__all__ = ["DEPARTURES", "RANK", "SCHEMA", "STEPS", "Departure", "Step", "departures", "steps", "summary"]
