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
    of: dict[int, int]  # order of an event: number of its call

    def of_person(self, one: Diagnosed) -> Meeting | None:
        """The last call in which somebody was."""
        names = one.names
        return next((each for each in reversed(self.meetings) if names & each.people.keys()), None)

    def of_people(self, who: Iterable[str] | None) -> list[Meeting]:
        """The calls in which any of these were."""
        names = set(who or ())
        return [each for each in self.meetings if names & each.people.keys()]


def calls(trail: Trail, xmpp_streams: Iterable[tuple[int, str, str, str]]) -> Calls:
    """Every call; ``xmpp_streams``: when, room, endpoint and what, as packets show people come and go."""
    rooms: dict[str, str] = {}  # of a conference or a participant
    for one in trail:
        for name in (one.conference, one.participant):
            if name and one.room:
                rooms.setdefault(name, one.room)
    told = [(one.time, one) for one in trail if one.time is not None]
    nobody = Event(None, "", "packets", "", "", "", "", None, "", "", "", None, None, None, -1)
    for time, room, endpoint, what in xmpp_streams:
        told.append((time, nobody._replace(time=time, event=what, participant=endpoint, room=room)))
    told.sort(key=lambda pair: pair[0])
    by_key: dict[str, list[Meeting]] = {}
    focus = {one.room for one in trail if one.event == "conference-created" and one.program == "jicofo"}
    every: list[Meeting] = []
    of: dict[int, int] = {}
    numbers: dict[int, int] = {}
    for time, one in told:
        room = one.room or rooms.get(one.conference, "") or rooms.get(one.participant, "")
        key = room or one.conference
        if not key:
            continue
        there = by_key.setdefault(key, [])
        meeting = _fitting(there, one, time, room in focus)
        if meeting is None:
            meeting = Meeting(room)
            there.append(meeting)
            numbers[id(meeting)] = len(every)
            every.append(meeting)
        _take(meeting, one, time, room in focus)
        if one.order >= 0:
            of[one.order] = numbers[id(meeting)]
    for key, some in by_key.items():
        for number, meeting in enumerate(some, 1):
            meeting.id = key if len(some) == 1 else f"{key}#{number}"
    people = {who: number for number, each in enumerate(every) for who in each.people}
    for one in trail:
        if one.order not in of and one.participant in people:
            of[one.order] = people[one.participant]
    return Calls(every, of)


def _fitting(there: list[Meeting], one: Event, time: int, focus: bool) -> Meeting | None:
    """The call of a room to which an event belongs, None where a new one begins."""
    if one.participant:
        known = next((each for each in reversed(there) if one.participant in each.people), None)
        if known is not None:
            return known
    if one.conference:
        known = next((each for each in reversed(there) if one.conference in each.conferences), None)
        if known is not None:
            return known
    if not there:
        return None
    last = there[-1]
    if one.event in _AFTER:
        return last
    if one.event == "conference-created" and one.program == "jicofo" and one.input in last.by_focus:
        return None
    if last.ended is not None and time > last.ended:
        return None
    idle = last.last is not None and time - last.last > IDLE
    return None if idle and (one.participant or not focus) else last


def _take(meeting: Meeting, one: Event, time: int, focus: bool) -> None:
    meeting.first = time if meeting.first is None else min(meeting.first, time)
    meeting.last = time if meeting.last is None else max(meeting.last, time)
    if one.participant and one.participant not in ("jvb", "focus") and "@" not in one.participant:
        meeting.people[one.participant] = None
    if one.conference:
        meeting.conferences[one.conference] = None
    if one.event == "conference-created" and one.program == "jicofo":
        meeting.by_focus.add(one.input)
    if one.event == "conference-ended" and (one.program == "jicofo" or not focus):
        meeting.ended = time


def up_to(trail: Trail, end: int) -> Trail:
    """The events of each input up to its last one of this time: what the evidence would have been then."""
    last: dict[str, int] = {}
    for one in trail:
        if one.time is not None and one.time <= end:
            last[one.input] = one.order
    return Trail(one for one in trail if one.order <= last.get(one.input, -1))


def healed(
    case: Case, every: Calls, stated: Sequence[Statement], ask: Callable[[Case], list[Statement]]
) -> list[Statement]:
    """Causes of earlier calls that do not hold at the end of the evidence; ``ask`` runs the rules of causes."""
    names = {one.name for one in stated}
    found: list[Statement] = []
    numbered = [(number, one) for number, one in enumerate(every.meetings) if one.last is not None]
    last = max((one.last or 0 for _, one in numbered), default=0)
    wrong = {every.of.get(one.order) for one in case.trail if one.event in _WRONG}
    asked = 0
    for number, meeting in numbered:
        end = meeting.last or 0
        if end >= last or number not in wrong or asked >= MOST:
            continue
        asked += 1
        before = up_to(case.trail, end)
        mine = Trail(one for one in before if every.of.get(one.order, number) == number)
        for one in ask(replace(case, trail=mine, casts={}, clocks={})):
            if one.name in names or not (one.participants or meeting.people):
                continue
            when = _when(case, end, one, ask)
            if when is not None:
                who = one.participants or tuple(meeting.people)
                found.append(replace(one, participants=who, call=meeting.id, ended=True, ended_time=when))
    return found


def _when(case: Case, begin: int, statement: Statement, ask: Callable[[Case], list[Statement]]) -> int | None:
    """When a cause that held at ``begin`` ceased to: the first event after which the rules say it no more."""
    times = sorted({one.time for one in case.trail if one.time is not None and one.time > begin})
    low, high = 0, len(times) - 1
    while low < high:
        middle = (low + high) // 2
        some = ask(replace(case, trail=up_to(case.trail, times[middle]), casts={}, clocks={}))
        if any(one.name == statement.name for one in some):
            low = middle + 1
        else:
            high = middle
    return times[low] if times else None


def placed(
    causes: list[Statement], people: Sequence[Diagnosed], trail: Trail, every: Calls, stated: Sequence[Statement]
) -> list[Statement]:
    """Each cause or condition with its call and times, and whether a later call shows that it no longer holds."""
    result = []
    for one in causes:
        same = next((other for other in stated if (other.name, other.reason) == (one.name, one.reason)), None)
        if same is not None:
            one = replace(
                one, first_time=one.first_time or same.first_time, last_time=one.last_time or same.last_time,
                call=one.call or same.call, ended=one.ended or same.ended, ended_time=one.ended_time or same.ended_time,
            )  # fmt: skip
        who = {*(one.participants or ())}
        who |= {name for each in people if who & each.names for name in each.names}
        result.append(_ended(one, every.of_people(who), trail, every))
    return result


def _ended(one: Statement, mine: list[Meeting], trail: Trail, every: Calls) -> Statement:
    if not mine:
        if one.participants is None and one.call is None and one.name in _MISSED:
            asked = {every.of[each.order] for each in trail.of(*_MISSED[one.name]) if each.order in every.of}
            return replace(one, call=every.meetings[asked.pop()].id) if len(asked) == 1 else one
        return one
    one = replace(one, call=one.call or (mine[0].id if len(mine) == 1 else None))
    end = max(each.last or 0 for each in mine)
    if one.ended or one.participants is None:
        return one
    later = [each for each in every.meetings if each not in mine and each.first is not None and each.first > end]
    well = [
        event for event in trail.of(*(("channel-opened",) if one.name == "bridge-channel-refused" else _WELL))
        if event.time is not None and any(event.participant in each.people for each in later)
    ]  # fmt: skip
    if not well:
        return one
    return replace(one, ended=True, ended_time=min(event.time or 0 for event in well))


def table(every: Sequence[dict[str, Any]], people: Sequence[Diagnosed], causes: Sequence[Statement]) -> pd.DataFrame:
    """The table ``calls``."""
    rows = []
    for one in every:
        mine = [each.id for each in people if each.call == one["id"]]
        held = [each.name for each in causes if each.call == one["id"] or {*(each.participants or ())} & {*mine}]
        first, last = (pd.Timestamp(one[name]) if one[name] else None for name in ("first_time", "last_time"))
        rows.append((one["id"], one["room"], one["conferences"], first, last, mine, list(dict.fromkeys(held))))
    return frame_from(rows, SCHEMA)
