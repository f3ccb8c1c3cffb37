"""Several calls in one log: told apart, and what healed between them told from what still holds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from calls import named
from shifted import shifted

import jitsilab as jl
from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.judge.diagnosis.calls import calls

DAY = 86_400.0
SECOND = 1_000_000_000
Recording = Callable[[str], Path]


def one_after_the_other(recording: Recording, out: Path, *names: str) -> jl.Call:
    """Logs of recordings, a day between each, in one file a program, as a server that runs on has them."""
    for program in ("jvb", "jicofo", "prosody"):
        parts = [
            shifted((recording(name) / "logs-whole" / f"{program}.log").read_text(), number * DAY)
            for number, name in enumerate(names)
        ]
        (out / f"{program}.log").write_text("".join(parts))
    return jl.load(out)


def test_a_cause_of_yesterdays_call_has_ended(recording: Recording, tmp_path: Path) -> None:
    call = one_after_the_other(recording, tmp_path, "bridge-login", "world-ok")
    said = call.diagnosis.to_json()
    first, second = said["calls"]
    assert (first["id"], second["id"]) == ("standup#1", "standup#2")
    assert (first["first_time"][:10], second["first_time"][:10]) == ("2026-11-29", "2026-11-30")
    (cause,) = said["causes"]
    assert (cause["cause"], cause["reason"], cause["call"]) == ("no-bridge", "login-refused", "standup#1")
    assert cause["ended"] is True
    assert first["last_time"] < cause["ended_time"] < second["last_time"]
    by_call = {one["id"]: {p["cause"] for p in said["participants"] if p["call"] == one["id"]} for one in said["calls"]}
    assert by_call == {"standup#1": {"no-bridge"}, "standup#2": {None}}
    assert "ended:  in the call standup#1" in call.diagnosis.to_text()
    rows = call.table("calls")
    assert rows is not None
    assert rows["causes"].tolist() == [["no-bridge"], []]
    assert [len(people) for people in rows["participants"]] == [2, 2]


def test_a_cause_of_the_last_call_still_holds(recording: Recording, tmp_path: Path) -> None:
    said = one_after_the_other(recording, tmp_path, "world-ok", "bridge-login").diagnosis.to_json()
    (cause,) = said["causes"]
    assert (cause["cause"], cause["ended"], cause["ended_time"], cause["call"]) == (
        "no-bridge",
        False,
        None,
        "standup#2",
    )


def test_a_bridge_that_was_lost_yesterday(recording: Recording, tmp_path: Path) -> None:
    said = one_after_the_other(recording, tmp_path, "bridge-killed", "world-ok").diagnosis.to_json()
    (cause,) = said["causes"]
    assert (cause["cause"], cause["ended"], cause["call"]) == ("bridge-lost", True, "standup#1")
    assert {p["call"] for p in said["participants"] if p["cause"]} == {"standup#1"}


def test_one_call_is_one_call_from_all_its_evidence() -> None:
    said = named("bridge-killed").diagnosis.to_json()
    (one,) = said["calls"]
    assert one["id"] == one["room"] == "standup"
    assert {p["call"] for p in said["participants"]} == {"standup"}
    assert [(cause["call"], cause["ended"]) for cause in said["causes"]] == [("standup", False)]


Told = tuple[float, str, str, str, str, str]  # s, event, program, participant, conference, room


def trail(*told: Told) -> Trail:
    return Trail(
        Event(
            int(s * SECOND), event, program, who, conference, room, "", None, "", "", f"{program}.log", n, None, None, n
        )
        for n, (s, event, program, who, conference, room) in enumerate(told)
    )


def focus(at: float, event: str, who: str = "", room: str = "r") -> Told:
    return at, event, "jicofo", who, "", room


@pytest.mark.parametrize(
    ("told", "people"),
    [
        # ended and begun again
        ([focus(0, "conference-created"), focus(1, "participant-joined", "a"), focus(9, "conference-ended"),
          focus(9.1, "participant-left", "a"), focus(20, "conference-created"), focus(21, "participant-joined", "b")],
         [{"a"}, {"b"}]),
        # somebody leaves and comes back under another id while another stays
        ([focus(0, "conference-created"), focus(1, "participant-joined", "a"), focus(2, "participant-joined", "b"),
          focus(5, "participant-left", "a"), focus(6, "participant-joined", "c")], [{"a", "b", "c"}]),
        # two rooms at once
        ([focus(0, "conference-created"), focus(1, "participant-joined", "a"),
          focus(1, "conference-created", room="s"), focus(2, "participant-joined", "b", "s"),
          focus(3, "participant-joined", "c")], [{"a", "c"}, {"b"}]),
        # the bridge is lost, and another makes the conference anew: still the focus's one call
        ([focus(0, "conference-created"), (1, "conference-created", "jvb", "", "c1", "r"),
          (2, "ice-connected", "jvb", "a", "c1", ""), (5, "conference-ended", "jvb", "", "c1", ""),
          (6, "conference-created", "jvb", "", "c2", "r"), (7, "ice-connected", "jvb", "a", "c2", "")], [{"a"}]),
        # of the bridge's log alone, without rooms, each conference is a call
        ([(1, "conference-created", "jvb", "", "c1", ""), (2, "ice-connected", "jvb", "a", "c1", ""),
          (9, "conference-created", "jvb", "", "c2", ""), (9, "ice-connected", "jvb", "b", "c2", "")], [{"a"}, {"b"}]),
        # an hour of nothing, and somebody new
        ([(0, "participant-joined", "browser", "a", "", "r"), (7201, "participant-joined", "browser", "b", "", "r")],
         [{"a"}, {"b"}]),
    ],
)  # fmt: skip
def test_calls_of_a_room(told: list[Told], people: list[set[str]]) -> None:
    found = calls(trail(*told), ())
    assert [set(one.people) for one in found.meetings] == people
    assert len({one.id for one in found.meetings}) == len(people)


def test_packets_know_calls_too() -> None:
    found = calls(Trail(()), [(0, "r", "a", "participant-joined"), (5 * SECOND, "r", "a", "participant-left")])
    assert [(one.id, one.first, one.last) for one in found.meetings] == [("r", 0, 5 * SECOND)]
