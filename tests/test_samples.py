"""Steps that no recorded call came to: roles in conflict, and a stream whose connection broke, with real programs."""

import subprocess
from pathlib import Path
from typing import Any

import made_ice
import made_resume
import pytest

import jitsilab as jl
from jitsilab.call import Call


def verdict(call: Call, step: str) -> Any:
    rows = call.steps[call.steps["step"] == step]
    assert len(rows) == 1
    return rows.iloc[0]


# ---- S19: two ICE agents that both want to control

ROLES = {
    "conflict": ("CONFORMS", "a conflict, then the roles differ"),
    "stubborn": ("DEVIATES", "4 conflicts on one pair: neither side gives way"),
}


@pytest.mark.parametrize("name", made_ice.SCENARIOS)
def test_roles_in_conflict(name: str) -> None:
    call = jl.load(made_ice.FOLDER / f"{name}.pcap")
    row = verdict(call, "S19")
    assert (row["verdict"], row["note"]) == ROLES[name]
    errors = call.stun[call.stun["error_code"] == 487]
    assert list(row["frames"]) == list(errors["frame"])
    assert verdict(call, "S18")["verdict"] == "CONFORMS"


def test_checks_under_way_bring_a_conflict_each() -> None:
    call = jl.load(made_ice.FOLDER / "conflict.pcap")
    tables = {name: rows for name, rows in call.tables().items() if rows is not None}
    stun = tables["stun"]
    again = stun["frame"].eq(4)  # the answer to the second check: it too met the old role
    assert again.sum() == 1
    stun = stun.assign(
        message_class=stun["message_class"].where(~again, "error"), error_code=stun["error_code"].where(~again, 487)
    )
    assert verdict(Call("altered", tables=tables | {"stun": stun}), "S19")["verdict"] == "CONFORMS"


@pytest.mark.tool(*made_ice.TOOLS)
def test_so_it_is_with_agents_of_this_machine(tmp_path: Path) -> None:
    try:
        path = made_ice.record(tmp_path, "stubborn")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("this user may not make network namespaces")
    assert verdict(jl.load(path), "S19")["verdict"] == "DEVIATES"


# ---- S07: a stream of XMPP whose connection broke

STREAMS = {
    "resumed": ("CONFORMS", "the stream goes on"),
    "forgotten": ("DEVIATES", "the server no longer knew the stream, and the client came in anew"),
}


def hold(call: Call, name: str) -> None:
    row = verdict(call, "S07")
    assert (row["verdict"], row["note"]) == STREAMS[name]
    said = call.xmpp[call.xmpp["frame"].isin(row["frames"])]
    assert {"resume", "resumed" if name == "resumed" else "failed"} <= set(said["name"])
    broken = set(call.steps.loc[call.steps["verdict"] == "DEVIATES", "step"])
    assert broken == ({"S07"} if name == "forgotten" else set())
    assert verdict(call, "S06")["verdict"] == "CONFORMS"
    assert verdict(call, "S10")["verdict"] == "CONFORMS"


@pytest.mark.parametrize("name", made_resume.SCENARIOS)
def test_a_stream_is_resumed_or_forgotten(name: str) -> None:
    hold(jl.load(made_resume.FOLDER / f"{name}.pcap"), name)


def test_a_stream_that_goes_on_binds_nothing() -> None:
    call = jl.load(made_resume.FOLDER / "resumed.pcap")
    tables = {name: rows for name, rows in call.tables().items() if rows is not None}
    second = call.xmpp["connection"].iloc[-1]
    late = {
        name: rows[rows["connection"] == second].reset_index(drop=True)
        for name, rows in tables.items()
        if name == "xmpp"
    }
    row = verdict(Call("altered", tables=tables | late), "S06")
    assert (row["verdict"], row["note"]) == ("NOT_APPLICABLE", "a stream was taken up again, which keeps its JID")


@pytest.mark.tool(*made_resume.TOOLS)
@pytest.mark.parametrize("name", made_resume.SCENARIOS)
def test_so_it_is_with_the_prosody_of_this_machine(tmp_path: Path, name: str) -> None:
    try:
        path = made_resume.record(tmp_path, name)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("this user may not make network namespaces")
    if "Traceback" in (tmp_path / "client.log").read_text():
        pytest.skip("Prosody does not start here, or has no mod_smacks")
    hold(jl.load(path), name)
