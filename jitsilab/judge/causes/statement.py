"""What a rule is, what it looks at, and what it says."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.place import Place

if TYPE_CHECKING:
    from jitsilab.case.clocks import Clock
    from jitsilab.facts import Facts


@dataclass(frozen=True, slots=True)
class Statement:
    """That a cause or a condition holds, for whom, and what bears it out."""

    name: str  # of CAUSES or CONDITIONS
    reason: str | None = None
    participants: tuple[str, ...] | None = None  # None where the evidence names nobody
    certainty: str = "measured"
    evidence: tuple[Place, ...] = ()
    detail: str = ""  # what can be said more closely, in words
    status: int | None = None
    first_time: int | None = None  # ns since the epoch, as the source wrote it
    last_time: int | None = None
    file: str = ""  # that holds the line to change, where the configuration was given
    call: str | None = None  # of which it is, where it is of one
    ended: bool = False  # whether the evidence shows that it holds no more
    ended_time: int | None = None  # ns since the epoch: when that showed


@dataclass
class Case:
    """All that rules look at: events of every source, the configuration, and the participants that packets show."""

    trail: Trail
    facts: "Facts | None" = None
    casts: Mapping[str, Any] = field(default_factory=dict)  # by input: `jitsilab.case.cast.Cast`
    clocks: "Mapping[tuple[str, str], Clock]" = field(default_factory=dict)  # by input and program


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a cause or condition shows: what it needs to see, and its test."""

    name: str  # of CAUSES or CONDITIONS
    needs: tuple[str, ...]  # programs or kinds of evidence, of which one at least must have spoken
    test: Callable[[Case], Iterable[Statement]]


MOST = 12  # places that a statement lists


def places(events: Iterable[Event]) -> tuple[Place, ...]:
    """Where events stand, each place once, the first and the last of many."""
    every = list(dict.fromkeys(Place(event.input, event.frame, event.line, event.pointer) for event in events))
    return tuple(every if len(every) <= MOST else [*every[: MOST - 2], *every[-2:]])


def named(events: Iterable[Event]) -> tuple[str, ...] | None:
    """Whom these events are about, each once; None where they name nobody."""
    return tuple(dict.fromkeys(event.participant for event in events if event.participant)) or None


def stated(name: str, events: Iterable[Event], reason: str | None = None, **more: Any) -> Statement:
    """A statement that these events bear out."""
    listed = list(events)
    times = [event.time for event in listed if event.time is not None]
    return Statement(
        name, reason, evidence=places(listed), first_time=min(times, default=None), last_time=max(times, default=None),
        **more,
    )  # fmt: skip
