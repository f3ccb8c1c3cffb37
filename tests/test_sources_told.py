"""The section of notebook 03 that puts logs, consoles and dumps beside the packets of one recording."""

from pathlib import Path

import pytest
from calls import named

import jitsilab as jl
from jitsilab.pages.narrative import Story, sources
from jitsilab.pages.narrative.blocks import Table


@pytest.fixture(scope="module")
def told() -> jl.Call:
    return named("bridge-killed")


def test_every_source_that_shares_a_happening_has_its_clock(told: jl.Call) -> None:
    found = sources.clocks(told)
    assert isinstance(found, Table)
    rows = found.rows.set_index("Source")
    assert set(rows["Program"]) == {"packets", "browser", "nginx", "jicofo", "jvb", "prosody"}
    assert (rows["Add (s)"].astype(float) == 0).all()  # the recording was made by one clock
    assert (rows["Least"].astype(float) <= 0).all()
    assert (rows["Most"].astype(float) >= 0).all()
    assert rows.loc["jvb.log", "Certainty"] == "deduced"


def test_steps_stand_beside_each_other_in_their_order(told: jl.Call) -> None:
    found = sources.steps(told, "ann")
    assert isinstance(found, Table)
    offer = found.rows.set_index("Step").loc["the offer"]
    assert offer["Focus"] < offer["Packets"] < offer["Browser"]
    answer = found.rows.set_index("Step").loc["the answer"]
    assert answer["Browser"] < answer["Packets"] < answer["Focus"]


def test_each_row_of_the_ladder_leads_to_its_place(told: jl.Call) -> None:
    found = sources.ladder(told, "ann", most=15)
    assert isinstance(found, Table)
    assert len(found.rows) == 15
    assert found.rows["Time"].is_monotonic_increasing
    assert found.rows["Where"].str.contains(r"frame \d+$|:\d+$| /").all()


def test_what_nobody_dates_is_said(tmp_path: Path) -> None:
    (tmp_path / "jvb.log").write_text(
        "JVB 2026-11-29 16:06:05.697 INFO: [1] MainKt.main#78: Starting jitsi-videobridge version 2.3\n" * 2
    )
    call = jl.load(tmp_path)
    for said in (sources.clocks(call), sources.steps(call, "ann"), sources.ladder(call, "ann")):
        assert isinstance(said, Story)
        assert said
