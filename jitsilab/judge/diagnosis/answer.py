"""The answer: participants, causes, conditions, what stays open, and what was read."""

from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from jitsilab import __version__
from jitsilab.judge.causes.paths import Path
from jitsilab.judge.causes.remedy import Advice
from jitsilab.judge.causes.statement import Statement
from jitsilab.place import Place
from jitsilab.tables import Schema, frame_from

SCHEMA: Schema = {
    "id": ("str", "display name, else address, else the endpoint's id"),
    "call": ("str", "the last call in which the participant was, as in `calls`"),
    "nick": ("str", "display name"),
    "addresses": ("object", "addresses without ports"),
    "jids": ("object", "full JIDs, one for each connection to the XMPP server"),
    "endpoints": ("object", "endpoint ids: the occupant's name in the room, one for each connection"),
    "ssrcs": ("object", "SSRCs that the participant announced"),
    "media_path": ("str", "last path of media: p2p, jvb-udp, turn-udp, turn-tcp, turn-tls, none, not-observable"),
    "media_paths": ("object", "every path that carried media, with the seconds from and to"),
    "stage": ("str", "tls, xmpp, conference, jingle, checks, nominated, dtls or media: how far the session came"),
    "turn_stage": ("str", "how far the participant came with TURN"),
    "cause": ("str", "why there are no media; empty where there are"),
    "reason": ("str", "why the cause holds, a second word of a closed set; empty where it is not known"),
    "open_causes": ("object", "what remains open where the cause is undetermined"),
    "conditions": ("object", "what is true beside media"),
    "certainty": ("str", "measured, deduced or inferred"),
    "frames": ("object", "frames that prove it"),
    "evidence": ("object", "places that prove it: frames, lines, entries"),
    "advice": ("str", "what to change"),
    "note": ("str", "the reason in a sentence"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """One participant's row."""

    id: str
    nick: str = ""
    addresses: list[str] = field(default_factory=list)
    jids: list[str] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    ssrcs: list[int] = field(default_factory=list)
    media_path: str = "not-observable"
    media_paths: list[Path] = field(default_factory=list)
    stage: str = "tls"
    turn_stage: str = "not-tried"
    cause: str | None = None
    reason: str | None = None
    open_causes: list[str] = field(default_factory=list)
    conditions: list[Statement] = field(default_factory=list)
    certainty: str = "inferred"
    frames: list[int] = field(default_factory=list)
    evidence: list[Place] = field(default_factory=list)
    advice: str = ""
    note: str = ""
    input: str = ""  # the capture that shows most of it
    first_time: int | None = None  # ns since the epoch
    last_time: int | None = None
    call: str | None = None  # of `calls`, the last in which he was

    @property
    def names(self) -> set[str]:
        """Everything by which another source may mean this participant."""
        return {self.id, self.nick, *self.addresses, *self.endpoints, *self.jids} - {""}

    def to_json(self) -> dict[str, Any]:
        """As ``jitsilab diagnose --json`` prints it."""
        return {
            "id": self.id, "call": self.call, "first_time": iso(self.first_time), "last_time": iso(self.last_time),
            "nick": self.nick or None, "addresses": self.addresses, "jids": self.jids,
            "endpoints": self.endpoints, "ssrcs": self.ssrcs, "media_path": self.media_path,
            "media_paths": [
                {"path": p.name, "from": round(p.start, 3), "to": round(p.end, 3)} for p in self.media_paths
            ],
            "stage": self.stage, "turn_stage": self.turn_stage, "cause": self.cause, "reason": self.reason,
            "open_causes": self.open_causes,
            "conditions": [
                {"condition": condition.name, "status": condition.status,
                 "evidence": [place.to_json() for place in condition.evidence]}
                for condition in self.conditions
            ],
            "certainty": self.certainty, "frames": self.frames,
            "evidence": [place.to_json() for place in self.evidence], "advice": self.advice, "note": self.note,
        }  # fmt: skip


@dataclass(slots=True)
class Diagnosis:
    """The answer for one case."""

    people: list[Diagnosed]
    server: dict[str, Any]
    causes: list[Statement] = field(default_factory=list)
    conditions: list[Statement] = field(default_factory=list)
    open: list[dict[str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    hypotheses: list[dict[str, Any]] = field(default_factory=list)
    advice: dict[tuple[str, str | None], Advice] = field(default_factory=dict)

    @property
    def participants(self) -> pd.DataFrame:
        """The table ``participants``."""
        return frame_from(
            [
                (person.id, person.call, person.nick or None, person.addresses, person.jids, person.endpoints,
                 person.ssrcs, person.media_path, [f"{p.name}@{p.start:.3f}-{p.end:.3f}" for p in person.media_paths],
                 person.stage, person.turn_stage, person.cause, person.reason, person.open_causes,
                 [each.name for each in person.conditions], person.certainty, person.frames,
                 [str(place).replace(" ", "_") for place in person.evidence], person.advice, person.note)
                for person in self.people
            ],
            SCHEMA,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        """The answer as a card, where a notebook shows it."""
        from jitsilab.judge.diagnosis.card import card

        return card(self)

    def fails_at(self, level: str) -> bool:
        """Whether somebody has no media (``no-media``), or a condition holds or TURN saved the call (``degraded``)."""
        if level == "none":
            return False
        none = bool(self.causes) or any(person.media_path == "none" for person in self.people)
        return none or (level == "degraded" and bool(self.conditions))

    def to_json(self) -> dict[str, Any]:
        """The whole answer for programs."""
        return {
            "calls": self.calls,
            "participants": [person.to_json() for person in self.people],
            "causes": [self._stated(cause, "cause") for cause in self.causes],
            "conditions": [self._stated(condition, "condition") for condition in self.conditions],
            "open": self.open, "inputs": self.inputs, "version": __version__, "server": self.server,
            "hypotheses": self.hypotheses,
        }  # fmt: skip

    def _stated(self, statement: Statement, kind: str) -> dict[str, Any]:
        second = {"reason": statement.reason} if kind == "cause" else {"status": statement.status}
        advice = self.advice.get((statement.name, statement.reason), Advice(""))
        return {
            kind: statement.name, **second, "detail": statement.detail or None, "call": statement.call,
            "participants": list(statement.participants) if statement.participants is not None else None,
            "first_time": iso(statement.first_time), "last_time": iso(statement.last_time), "ended": statement.ended,
            "ended_time": iso(statement.ended_time),
            "certainty": statement.certainty, "evidence": [place.to_json() for place in statement.evidence],
            "advice": str(advice), "change": {"file": advice.file or None, "line": advice.line or None},
        }  # fmt: skip

    def to_text(self, width: int = 100, *, colour: bool = False, short: bool = False, given: str = "") -> str:
        """The same for a terminal of ``width`` columns.

        With ``colour`` nothing that evidence holds is a terminal's control; else the caller sees to that. ``short``
        leaves the folder that all evidence lies in to one line at the end. ``given`` is how the command line named the
        evidence, for the commands to run next.
        """
        from jitsilab.judge.diagnosis.text import text

        return text(self, width, colour=colour, short=short, given=given)


def iso(time: int | None) -> str | None:
    """Nanoseconds since the epoch as ISO 8601 UTC, to the millisecond; the nearest that 64 bits hold."""
    if time is None:
        return None
    time = min(max(time, pd.Timestamp.min.value), pd.Timestamp.max.value)
    text: str = pd.Timestamp(time, unit="ns", tz="UTC").isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


__all__ = ["SCHEMA", "Diagnosed", "Diagnosis", "iso", "replace"]
