"""A part of the evidence: from when, until when, of which room."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captures import captured
from shifted import shifted

import jitsilab as jl
from jitsilab.errors import ParameterError

Recording = Callable[[str], Path]


@pytest.fixture(scope="module")
def days(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of two days: a call without a bridge, and a healthy one in another room."""
    out = tmp_path_factory.mktemp("days")
    for program in ("jvb", "jicofo"):
        first = (recording("bridge-login") / "logs-whole" / f"{program}.log").read_text()
        second = shifted((recording("world-ok") / "logs-whole" / f"{program}.log").read_text(), 86400)
        (out / f"{program}.log").write_text(first + second.replace("standup", "Retro"))
    return out


def said(call: jl.Call) -> tuple[list[str], list[tuple[str, bool]]]:
    """Rooms of the calls, and the causes with whether they ended."""
    answer = call.diagnosis.to_json()
    return [one["room"] for one in answer["calls"]], [(one["cause"], one["ended"]) for one in answer["causes"]]


def test_each_day_and_room_by_itself(days: Path) -> None:
    call = jl.load(days)
    assert said(call) == (["standup", "Retro"], [("no-bridge", True)])
    assert said(call.within(until="2026-11-29")) == (["standup"], [("no-bridge", False)])
    assert said(call.within(since="2026-11-30")) == (["Retro"], [])
    assert said(call.within(room="https://meet.lab/retro?config.p2p=0")) == (["Retro"], [])
    assert said(call.within(room="standup@conference.meet.lab"))[0] == ["standup"]
    assert said(call.within(room="STANDUP", since="2026-11-30"))[0] == []


def test_zones_of_the_user_and_of_the_time_itself(days: Path) -> None:
    call = jl.load(days)
    last = call.events["time"].max()  # 2026-11-30 15:35 UTC, by the machines' clock
    for since, tz in ((f"{last:%Y-%m-%dT%H:%M}Z", ""), (f"{last:%Y-%m-%d %H:%M}", "UTC"),
                      (f"{last.tz_convert('Asia/Tokyo'):%Y-%m-%dT%H:%M}", "Asia/Tokyo"),
                      (f"{last.tz_convert('Asia/Tokyo'):%Y-%m-%dT%H:%M:%S}+09:00", "Europe/Berlin")):  # fmt: skip
        part = call.within(since=since, tz=tz)
        assert 0 < len(part.events) < len(call.events), since
        assert part.events["time"].min() >= last.floor("min")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "yesterday"}, "is no time"),
        ({"since": "25:00"}, "is no time"),
        ({"since": "2026-13-40"}, "is no time"),
        ({"until": "x" * 10_000}, "is no time"),
        ({"since": "15:30"}, "of several"),
        ({"since": "2027-01-01"}, "is of 2026-11-29T"),
        ({"until": "1999-01-01"}, "is of 2026-11-29T"),
        ({"since": "2026-11-30", "until": "2026-11-29"}, "later than"),
        ({"room": "planning"}, "There are: Retro, standup"),
        ({"since": "2026-11-30", "tz": "Moon"}, "no time zone"),
    ],
)
def test_what_cannot_be_is_refused_in_words(days: Path, options: dict[str, str], words: str) -> None:
    call = jl.load(days)
    with pytest.raises(ParameterError, match=words):
        call.within(**options)


def test_rooms_and_times_that_nothing_names(tmp_path: Path) -> None:
    (tmp_path / "health.txt").write_text("No valid IP addresses available for harvesting.\n")
    call = jl.load(tmp_path)
    for options, words in (({"room": "r"}, "names a room"), ({"since": "2026-01-01"}, "has a time"),
                           ({"since": "5m"}, "no times"), ({"until": "10:00"}, "no times")):  # fmt: skip
        with pytest.raises(ParameterError, match=words):
            call.within(**options)


def test_a_part_of_a_capture(recording: Recording) -> None:
    call = captured(recording("leave-rejoin"), "any", keys=False)

    def ways(part: jl.Call) -> dict[str, list[tuple[str, float, float]]]:
        return {
            one.id: [(p.name, round(p.start, 1), round(p.end, 1)) for p in one.media_paths]
            for one in part.diagnosis.people
        }

    whole = ways(call)
    early, late = ways(call.within(until="10s")), ways(call.within(since="3s"))
    assert set(whole) == set(early) == set(late) == {"ann", "ben"}
    assert len(whole["ben"]) == 2
    assert early["ben"][0][:2] == whole["ben"][0][:2]
    assert early["ben"][0][2] < whole["ben"][0][2]
    assert late["ben"] == whole["ben"][1:]
    for part in (call.within(until="10s"), call.within(since="3s"), call.within(since="21:08:18", until="21:08:20")):
        assert not part.diagnosis.causes
        assert not part.diagnosis.conditions
    assert not any(
        one.id for one in call.within(until="17s").diagnosis.people if one.cause not in (None, "undetermined")
    )


def test_the_command(days: Path) -> None:
    command = [sys.executable, "-m", "jitsilab", "diagnose", str(days)]

    def run(*options: str) -> Any:
        return subprocess.run([*command, *options], capture_output=True, text=True, check=False)

    assert "no-bridge" not in run("--since", "2026-11-30", "--room", "Retro").stdout
    refused = run("--room", "planning")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "There is no room 'planning'" in refused.stderr
    assert "Traceback" not in refused.stderr
