"""One clock for a case: recordings whose programs ran by UTC, with the times of some sources set otherwise."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from calls import named
from hypothesis import given
from hypothesis import strategies as st
from shifted import shifted

import jitsilab as jl
from jitsilab.analysis.offsets import Gap, Interval, agreed, between, from_reference
from jitsilab.errors import ParameterError
from jitsilab.inputs.logs.times import SECOND, to_utc, zone
from jitsilab.inputs.moments import first_in

HOUR = 3600.0
Recording = Callable[[str], Path]


def case(folder: Path, out: Path, **by: float) -> list[Path]:
    """Pieces of a recording with their clocks set: ``jvb=7200`` is a bridge's log of a machine two hours east."""
    found = []
    for name, seconds in by.items():
        file = {"a": "console-laptop-a.txt", "b": "console-laptop-b.txt"}.get(name, f"logs-whole/{name}.log")
        path = out / Path(file).name
        path.write_text(shifted((folder / file).read_text(), seconds))
        found.append(path)
    return found


def inputs(call: jl.Call) -> dict[str, dict[str, Any]]:
    return {Path(one["path"]).name: one for one in call.diagnosis.inputs}


def held(one: dict[str, Any]) -> bool:
    low, high = one["clock_bounds_s"]
    return bool(low - 0.01 <= one["clock_offset_s"] <= high + 0.01)


def test_a_bridges_log_alone_tells_its_zone(recording: Recording, tmp_path: Path) -> None:
    call = jl.load(*case(recording("bridge-killed"), tmp_path, jvb=2 * HOUR))
    (one,) = call.diagnosis.inputs
    assert (one["clock_offset_s"], one["clock_bounds_s"], one["clock_certainty"]) == (
        -7200.0,
        [-7200.0, -7200.0],
        "deduced",
    )
    assert one["first_time"] == "2026-11-29T16:06:04.097Z"
    assert call.log["time"].iloc[0].hour == 18  # a table shows what was written


def test_every_program_may_have_its_own_zone(recording: Recording, tmp_path: Path) -> None:
    by = {"jvb": 2 * HOUR, "jicofo": 5.5 * HOUR, "prosody": -5 * HOUR}
    call = jl.load(*case(recording("bridge-killed"), tmp_path, **by))
    found = inputs(call)
    assert {name: found[f"{name}.log"]["clock_offset_s"] for name in by} == {
        name: -seconds for name, seconds in by.items()
    }
    assert {one["clock_certainty"] for one in found.values()} == {"deduced"}
    assert all(held(one) for one in found.values())
    assert [one.name for one in call.diagnosis.causes] == ["bridge-lost"]
    assert not call.diagnosis.conditions


def test_no_zone_is_guessed(recording: Recording, tmp_path: Path) -> None:
    """Focus and Prosody name each other, and neither names UTC: their order is known, their zone is not."""
    call = jl.load(*case(recording("bridge-killed"), tmp_path, jicofo=5.5 * HOUR, prosody=-5 * HOUR))
    found = inputs(call)
    for one in found.values():
        assert one["clock_offset_s"] is None
        assert one["clock_bounds_s"] == [-14 * HOUR, 12 * HOUR]
        assert one["clock_certainty"] == "inferred"
    joined = {program: clock.applied for (_, program), clock in call.clocks.items()}
    assert abs(joined["jicofo"] - joined["prosody"] + 10.5 * HOUR) < 1


def test_a_browsers_wrong_clock_is_found_and_said(recording: Recording, tmp_path: Path) -> None:
    call = jl.load(*case(recording("bridge-killed"), tmp_path, jvb=0, jicofo=0, prosody=0, a=97, b=0))
    found = inputs(call)
    wrong, right = found["console-laptop-a.txt"], found["console-laptop-b.txt"]
    assert abs(wrong["clock_offset_s"] + 97) < 1
    assert wrong["clock_certainty"] == "measured"
    assert held(wrong)
    assert right["clock_offset_s"] == 0.0
    (one,) = call.diagnosis.conditions
    assert (one.name, one.participants) == ("clock-wrong", ("1d13aac9",))
    assert "97 s ahead" in one.detail
    assert {place.input.rpartition("/")[2] for place in one.evidence} >= {"console-laptop-a.txt"}


def test_where_all_browsers_agree_the_servers_clock_is_the_wrong_one(recording: Recording, tmp_path: Path) -> None:
    call = jl.load(*case(recording("bridge-killed"), tmp_path, jvb=0, jicofo=0, a=-200, b=-200))
    (one,) = call.diagnosis.conditions
    assert one.name == "clock-wrong"
    assert one.participants is None
    assert "jvb.log stands 200 s ahead of" in one.detail


def test_a_capture_and_a_console_bound_the_focus_tightly(recording: Recording, tmp_path: Path) -> None:
    folder = recording("bridge-killed")
    call = jl.load(
        folder / "capture-any.pcapng", *case(folder, tmp_path, jicofo=-7 * HOUR, a=12), keylog=folder / "keys.txt"
    )
    found = inputs(call)
    assert found["jicofo.log"]["clock_offset_s"] == 7 * HOUR
    low, high = found["jicofo.log"]["clock_bounds_s"]
    assert high - low < 1
    assert abs(found["console-laptop-a.txt"]["clock_offset_s"] + 12) < 0.2
    assert not call.diagnosis.conditions  # 12 s are noted, and no fault of a call


def test_packets_lines_and_browsers_stand_on_one_ladder(recording: Recording, tmp_path: Path) -> None:
    folder = recording("bridge-killed")
    paths = case(folder, tmp_path, jicofo=-7 * HOUR, jvb=3 * HOUR, a=40)
    captures = [folder / "capture-any.pcapng", folder / "capture-eth0.pcapng"]
    call = jl.load(*captures, *paths, folder / "webrtc_internals-laptop-b.txt.gz", keylog=folder / "keys.txt")
    rows = call.timeline
    assert rows["time"].is_monotonic_increasing
    assert rows["time"].max() - rows["time"].min() < pd.Timedelta(minutes=1)
    assert set(rows["source"]) == {"packets", "stanzas", "jvb", "jicofo", "browser"}
    assert rows[["frame", "line", "pointer"]].notna().any(axis=1).all()
    ann = rows[rows["participant"] == "ann"]
    order = [
        ("stanzas", "participant-joined"), ("jicofo", "bridge-chosen"), ("jvb", "candidate-offered"),
        ("jicofo", "offer-sent"), ("stanzas", "offer-sent"), ("browser", "offer-sent"), ("browser", "answer-received"),
        ("stanzas", "answer-received"), ("jicofo", "answer-received"), ("jvb", "ice-checking"), ("jvb", "dtls-done"),
    ]  # fmt: skip
    firsts = [ann.index[(ann["source"] == source) & (ann["kind"] == kind)][0] for source, kind in order]
    assert firsts == sorted(firsts)
    for row in rows[rows["source"].isin(["jvb", "jicofo"])].itertuples():
        moment = row.written.strftime("%H:%M:%S")
        assert moment in Path(row.input).read_text().splitlines()[int(row.line) - 1]
    stanzas = rows[rows["source"] == "stanzas"]  # seen twice, in both captures
    assert not stanzas.duplicated(["kind", "participant", "label"]).any()


def test_what_has_no_time_stands_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "health.txt").write_text("No valid IP addresses available for harvesting.\n")
    (tmp_path / "jvb.log").write_text(
        "JVB 2026-11-29 16:06:05.697 INFO: [1] MainKt.main#78: Starting jitsi-videobridge version 2.3\n" * 2
    )
    rows = jl.load(tmp_path).timeline
    assert rows["kind"].tolist() == ["program-started", "program-started", "health-failed"]
    assert rows["time"].isna().tolist() == [False, False, True]


def test_a_capture_alone_and_one_without_signaling_have_a_ladder() -> None:
    sealed = named("world-ok", "eth0", use_keylog=False).timeline
    assert set(sealed["source"]) == {"packets"}
    assert (sealed["clock"] == "measured").all()


def test_a_zone_that_is_named_is_used(recording: Recording, tmp_path: Path) -> None:
    paths = case(recording("bridge-killed"), tmp_path, jvb=HOUR, prosody=HOUR)
    call = jl.load(*paths, tz="Europe/Berlin")  # winter: an hour east
    assert [one["clock_offset_s"] for one in call.diagnosis.inputs] == [0.0, 0.0]
    assert {one["clock_certainty"] for one in call.diagnosis.inputs} == {"deduced"}
    assert call.log["time"].iloc[0].hour == 16
    wrong = jl.load(*paths, tz="Asia/Kolkata")
    assert {one["clock_offset_s"] for one in wrong.diagnosis.inputs} == {4.5 * HOUR}
    assert all("does not fit" in one["note"] for one in wrong.diagnosis.inputs)
    assert not wrong.diagnosis.conditions


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "+15:00", "+02:99", "../../etc/passwd", "Europe", "x" * 5000, "\0"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="time zone"):
        zone(name)


def test_zones_follow_the_calendar() -> None:
    berlin = zone("Europe/Berlin")
    summer, winter = 1_783_080_000 * SECOND, 1_796_040_000 * SECOND  # 2026-07-03 12:00, 2026-11-30 12:00 by the wall
    assert to_utc(summer, berlin) - summer == -7200 * SECOND
    assert to_utc(winter, berlin) - winter == -3600 * SECOND
    assert to_utc(winter, zone("-03:30")) - winter == 12600 * SECOND
    assert to_utc(winter, zone("utc+2")) - winter == -7200 * SECOND


def test_the_command_takes_a_zone_and_refuses_another(recording: Recording, tmp_path: Path) -> None:
    (path,) = case(recording("bridge-killed"), tmp_path, jicofo=HOUR)
    command = [sys.executable, "-m", "jitsilab", "table", "events", str(path)]
    shown = subprocess.run([*command, "--tz", "+01:00"], capture_output=True, text=True, check=True)
    assert "2026-11-29T16:06:02.875" in shown.stdout
    refused = subprocess.run([*command, "--tz", "Nowhere"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no time zone 'Nowhere'" in refused.stderr


def test_the_year_of_prosodys_file(recording: Recording, tmp_path: Path) -> None:
    """From the pieces beside it over the turn of a year, else from the file's date, else not at all."""
    path = tmp_path / "prosody.log"
    path.write_text("Dec 31 23:59:58 startup\tinfo\tHello and welcome to Prosody version 0.12.3\n"
                    "Jan 01 00:00:01 c2s1\tinfo\tAuthenticated as focus@auth.meet.lab\n")  # fmt: skip
    console = tmp_path / "console.txt"
    console.write_text("2024-01-01T00:00:02.000Z [INFO] [xmpp:ChatRoom] Joining MUC as r@c.meet.lab/0a1b2c3d\n" * 3)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # September 2020
    assert jl.load(path, console).events["time"].dt.year.dropna().unique().tolist() == [2023, 2024]
    alone = jl.load(path)
    assert alone.events["time"].dt.year.tolist() == [2019, 2020]
    assert "2020 is taken from the file's own date" in alone.diagnosis.inputs[0]["note"]
    piped = subprocess.run([sys.executable, "-m", "jitsilab", "diagnose", "-", "--json"], input=path.read_text(),
                           capture_output=True, text=True, check=True)  # fmt: skip
    (one,) = json.loads(piped.stdout)["inputs"]
    assert one["first_time"] is None
    assert "times stay empty" in one["note"]


ERROR = (
    "2026/11/29 18:06:32 [error] 7#7: *19 connect() failed (111: Connection refused) while connecting to upstream, "
    'client: 198.51.100.20, server: meet.lab, request: "GET /xmpp-websocket HTTP/1.1", '
    'upstream: "http://127.0.0.1:5280/xmpp-websocket", host: "meet.lab"\n'
)
ACCESS = '198.51.100.20 - - [29/Nov/2026:18:06:32 +0200] "GET /xmpp-websocket?room=r HTTP/1.1" 502 157 "-" "Mozilla"\n'


def test_errors_of_a_web_server_have_the_zone_of_its_access_lines(tmp_path: Path) -> None:
    (tmp_path / "error.log").write_text(3 * ERROR)
    (tmp_path / "access.log").write_text(3 * ACCESS)
    call = jl.load(tmp_path)
    assert call.events["time"].dt.hour.unique().tolist() == [16]
    assert all(one["clock_offset_s"] == 0.0 for one in call.diagnosis.inputs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"no date", None),
        (b"\xff 2026-13-41 10:00:00 2026-11-29T15:35:33.871Z", 1_795_966_533),
        (b'10.0.0.1 - - [29/Nov/2026:15:35:33 +0000] "GET', 1_795_966_533),
        (b"2026/11/29 15:35:33 [error]", 1_795_966_533),
        (b'{"timestamp": 1795966533871.5}', 1_795_966_533),
        (b'"time":1795966533871,', 1_795_966_533),
        (b"4021795966533871", None),
    ],
)
def test_a_moment_in_a_text(text: bytes, expected: int | None) -> None:
    assert first_in(text) == (None if expected is None else expected * SECOND)


def test_bounds_add_up_along_a_chain_and_the_odd_one_out_is_dropped() -> None:
    gaps = [Gap("a", "b", 1.0, 3.0), Gap("b", "a", -2.5, 0.0), Gap("a", "b", 900.0, 901.0), Gap("b", "c", 10.0, 11.0)]
    pairs = between(gaps)
    assert pairs["a", "b"] == Interval(1.0, 2.5)
    found = from_reference("a", pairs)
    assert found["c"] == Interval(11.0, 13.5)
    assert agreed([Interval(0, 1), Interval(5, 6)]) is None  # a clock that was set, or names that mean nothing


NAMES = st.sampled_from("abcdef")


@given(
    st.dictionaries(st.sampled_from("bcdef"), st.integers(-50_000, 50_000), min_size=1),
    st.lists(st.tuples(NAMES, NAMES, st.integers(0, 50), st.integers(0, 50)), max_size=12),
)
def test_what_is_true_lies_within_bounds(offsets: dict[str, int], links: list[tuple[str, str, int, int]]) -> None:
    true = {"a": 0, **offsets}
    gaps = [
        Gap(one, other, true[other] - true[one] - low, true[other] - true[one] + high)
        for one, other, low, high in links if one in true and other in true
    ]  # fmt: skip
    for name, interval in from_reference("a", between(gaps)).items():
        assert interval.low - 0.01 <= true[name] <= interval.high + 0.01
