"""The calls that the evidence shows, one after the other in a room or beside each other, and what healed between them.

The focus, else the bridge, says when a conference begins and ends; who is in it is known by endpoint ids, of which each
is one stay. What held in one call and not at the end of the evidence is told from what still holds by asking the same
rules of the evidence up to the end of that call.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from jitsilab.analysis import limits
from jitsilab.judge.causes.statement import Case, Statement
from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.judge.diagnosis.answer import Diagnosed, iso
from jitsilab.tables import TIME, Schema, frame_from

SCHEMA: Schema = {
    "id": ("str", "the room's name; of several calls in one room with their number, from 1"),
    "room": ("str", "room, without domain; empty where nothing names it"),
    "conferences": ("object", "ids of the conference at the bridges"),
    "first_time": (TIME, "first that is told of it"),
    "last_time": (TIME, "last that is told of it"),
    "participants": ("object", "who was in it: ids as in `participants`"),
    "causes": ("object", "what kept somebody in it from having media"),
}
IDLE = limits.CALL_IDLE.value * 1e9
MOST = 50  # calls of a case whose faults are looked for one by one
#: what may still come of a call that has ended
_AFTER = frozenset((
    "participant-left", "session-ended", "endpoint-expired", "conference-ended", "channel-closed", "channel-opened",
    "signaling-opened", "signaling-closed", "ice-ended", "media-stopped", "check-unanswered",
))  # fmt: skip
#: what shows that a call went wrong for somebody, so that its own evidence is asked
_WRONG = {"bridge-unavailable", "focus-unavailable", "allocation-failed", "bridge-lost", "ice-failed", "ice-ended",
          "health-failed", "signaling-refused", "login-refused", "login-failed"}  # fmt: skip
#: what shows that somebody of a later call is well
_WELL = ("ice-connected", "dtls-done", "media-received", "media-sent", "pair-nominated")

#: what a call tells of itself where a server is missing
_MISSED = {"no-bridge": ("bridge-unavailable", "allocation-failed"), "no-focus": ("focus-unavailable",)}


@dataclass
class Meeting:
    """One call."""

    room: str
    id: str = ""
    first: int | None = None  # ns since the epoch
    last: int | None = None
    people: dict[str, None] = field(default_factory=dict)  # endpoint ids
    conferences: dict[str, None] = field(default_factory=dict)
    by_focus: set[str] = field(default_factory=set)  # inputs in which the focus says that it began
    ended: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``jitsilab diagnose --json`` prints it."""
        return {
            "id": self.id, "room": self.room or None, "conferences": list(self.conferences),
            "first_time": iso(self.first), "last_time": iso(self.last),
        }  # fmt: skip


@dataclass(frozen=True)
class Calls:
    """All calls, and of which each event is."""

    meetings: list[Meeting]
    by_order: dict[int, int]  # order of an event: number of its call

    def of_person(self, person: Diagnosed) -> Meeting | None:
        """The last call in which somebody was."""
        names = person.names
        return next((each for each in reversed(self.meetings) if names & each.people.keys()), None)

    def of_people(self, who: Iterable[str] | None) -> list[Meeting]:
        """The calls in which any of these were."""
        names = set(who or ())
        return [each for each in self.meetings if names & each.people.keys()]


def calls(trail: Trail, xmpp_streams: Iterable[tuple[int, str, str, str]]) -> Calls:
    """Every call; ``xmpp_streams``: when, room, endpoint and what, as packets show people come and go."""
    rooms: dict[str, str] = {}  # of a conference or a participant
    for event in trail:
        for name in (event.conference, event.participant):
            if name and event.room:
                rooms.setdefault(name, event.room)
    timed = [(event.time, event) for event in trail if event.time is not None]
    nobody = Event(None, "", "packets", "", "", "", "", None, "", "", "", None, None, None, -1)
    for time, room, endpoint, what in xmpp_streams:
        timed.append((time, nobody._replace(time=time, event=what, participant=endpoint, room=room)))
    timed.sort(key=lambda pair: pair[0])
    by_key: dict[str, list[Meeting]] = {}
    focus = {event.room for event in trail if event.event == "conference-created" and event.program == "jicofo"}
    every: list[Meeting] = []
    by_order: dict[int, int] = {}
    numbers: dict[int, int] = {}
    for time, event in timed:
        room = event.room or rooms.get(event.conference, "") or rooms.get(event.participant, "")
        key = room or event.conference
        if not key:
            continue
        there = by_key.setdefault(key, [])
        meeting = _fitting(there, event, time, room in focus)
        if meeting is None:
            meeting = Meeting(room)
            there.append(meeting)
            numbers[id(meeting)] = len(every)
            every.append(meeting)
        _take(meeting, event, time, room in focus)
        if event.order >= 0:
            by_order[event.order] = numbers[id(meeting)]
    for key, meetings in by_key.items():
        for number, meeting in enumerate(meetings, 1):
            meeting.id = key if len(meetings) == 1 else f"{key}#{number}"
    people = {who: number for number, each in enumerate(every) for who in each.people}
    for event in trail:
        if event.order not in by_order and event.participant in people:
            by_order[event.order] = people[event.participant]
    return Calls(every, by_order)


def _fitting(there: list[Meeting], event: Event, time: int, focus: bool) -> Meeting | None:
    """The call of a room to which an event belongs, None where a new one begins."""
    if event.participant:
        known = next((each for each in reversed(there) if event.participant in each.people), None)
        if known is not None:
            return known
    if event.conference:
        known = next((each for each in reversed(there) if event.conference in each.conferences), None)
        if known is not None:
            return known
    if not there:
        return None
    last = there[-1]
    if event.event in _AFTER:
        return last
    if event.event == "conference-created" and event.program == "jicofo" and event.input in last.by_focus:
        return None
    if last.ended is not None and time > last.ended:
        return None
    idle = last.last is not None and time - last.last > IDLE
    return None if idle and (event.participant or not focus) else last


def _take(meeting: Meeting, event: Event, time: int, focus: bool) -> None:
    meeting.first = time if meeting.first is None else min(meeting.first, time)
    meeting.last = time if meeting.last is None else max(meeting.last, time)
    if event.participant and event.participant not in ("jvb", "focus") and "@" not in event.participant:
        meeting.people[event.participant] = None
    if event.conference:
        meeting.conferences[event.conference] = None
    if event.event == "conference-created" and event.program == "jicofo":
        meeting.by_focus.add(event.input)
    if event.event == "conference-ended" and (event.program == "jicofo" or not focus):
        meeting.ended = time


def up_to(trail: Trail, end: int) -> Trail:
    """The events of each input up to its last one of this time: what the evidence would have been then."""
    last: dict[str, int] = {}
    for event in trail:
        if event.time is not None and event.time <= end:
            last[event.input] = event.order
    return Trail(event for event in trail if event.order <= last.get(event.input, -1))


def healed(
    case: Case, every: Calls, stated: Sequence[Statement], ask: Callable[[Case], list[Statement]]
) -> list[Statement]:
    """Causes of earlier calls that do not hold at the end of the evidence; ``ask`` runs the rules of causes."""
    names = {statement.name for statement in stated}
    statements: list[Statement] = []
    numbered = [(number, call) for number, call in enumerate(every.meetings) if call.last is not None]
    last = max((call.last or 0 for _, call in numbered), default=0)
    wrong = {every.by_order.get(event.order) for event in case.trail if event.event in _WRONG}
    asked = 0
    for number, meeting in numbered:
        end = meeting.last or 0
        if end >= last or number not in wrong or asked >= MOST:
            continue
        asked += 1
        before = up_to(case.trail, end)
        trail = Trail(event for event in before if every.by_order.get(event.order, number) == number)
        for statement in ask(replace(case, trail=trail, casts={}, clocks={})):
            if statement.name in names or not (statement.participants or meeting.people):
                continue
            when = _when(case, end, statement, ask)
            if when is not None:
                who = statement.participants or tuple(meeting.people)
                statements.append(replace(statement, participants=who, call=meeting.id, ended=True, ended_time=when))
    return statements


def _when(case: Case, begin: int, statement: Statement, ask: Callable[[Case], list[Statement]]) -> int | None:
    """When a cause that held at ``begin`` ceased to: the first event after which the rules say it no more."""
    times = sorted({event.time for event in case.trail if event.time is not None and event.time > begin})
    low, high = 0, len(times) - 1
    while low < high:
        middle = (low + high) // 2
        held = ask(replace(case, trail=up_to(case.trail, times[middle]), casts={}, clocks={}))
        if any(other.name == statement.name for other in held):
            low = middle + 1
        else:
            high = middle
    return times[low] if times else None


def placed(
    causes: list[Statement], people: Sequence[Diagnosed], trail: Trail, every: Calls, stated: Sequence[Statement]
) -> list[Statement]:
    """Each cause or condition with its call and times, and whether a later call shows that it no longer holds."""
    result = []
    for statement in causes:
        same = next(
            (other for other in stated if (other.name, other.reason) == (statement.name, statement.reason)), None
        )
        if same is not None:
            statement = replace(
                statement,
                first_time=statement.first_time or same.first_time,
                last_time=statement.last_time or same.last_time,
                call=statement.call or same.call,
                ended=statement.ended or same.ended,
                ended_time=statement.ended_time or same.ended_time,
            )
        who = {*(statement.participants or ())}
        who |= {name for each in people if who & each.names for name in each.names}
        result.append(_ended(statement, every.of_people(who), trail, every))
    return result


def _ended(statement: Statement, meetings: list[Meeting], trail: Trail, every: Calls) -> Statement:
    if not meetings:
        if statement.participants is None and statement.call is None and statement.name in _MISSED:
            asked = {
                every.by_order[each.order]
                for each in trail.select(*_MISSED[statement.name])
                if each.order in every.by_order
            }
            return replace(statement, call=every.meetings[asked.pop()].id) if len(asked) == 1 else statement
        return statement
    statement = replace(statement, call=statement.call or (meetings[0].id if len(meetings) == 1 else None))
    end = max(each.last or 0 for each in meetings)
    if statement.ended or statement.participants is None:
        return statement
    later = [each for each in every.meetings if each not in meetings and each.first is not None and each.first > end]
    well = [
        event for event in trail.select(*(("channel-opened",) if statement.name == "bridge-channel-refused" else _WELL))
        if event.time is not None and any(event.participant in each.people for each in later)
    ]  # fmt: skip
    if not well:
        return statement
    return replace(statement, ended=True, ended_time=min(event.time or 0 for event in well))


def table(every: Sequence[dict[str, Any]], people: Sequence[Diagnosed], causes: Sequence[Statement]) -> pd.DataFrame:
    """The table ``calls``."""
    rows = []
    for call in every:
        who = [each.id for each in people if each.call == call["id"]]
        held = [each.name for each in causes if each.call == call["id"] or {*(each.participants or ())} & {*who}]
        first, last = (pd.Timestamp(call[name]) if call[name] else None for name in ("first_time", "last_time"))
        rows.append((call["id"], call["room"], call["conferences"], first, last, who, list(dict.fromkeys(held))))
    return frame_from(rows, SCHEMA)
