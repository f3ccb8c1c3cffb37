"""Recordings with all their evidence: a name opens the whole of it, and the answer is what is true of the call."""

import json
from pathlib import Path
from typing import Any

import pytest
from by_night import thinned
from calls import named

import jitsilab as jl
from jitsilab.inputs import registry

ENTRIES = [entry for entry in registry.entries() if entry.evidence]
NAMES = [entry.name for entry in ENTRIES]
#: whose evidence all together does not tell the reason: programs of June 2021 say only that a login failed
REASON_OPEN = {"2021-bridge-login"}


def truth_of(name: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((registry.find(name).folder / "truth.json").read_text())
    return known


def conditions_of(one: dict[str, Any]) -> set[tuple[str, int | None]]:
    """Conditions of a participant, or of the server, in truth.json: names, or objects with a status."""
    found = (x if isinstance(x, dict) else {"condition": x} for x in one.get("conditions", ()))
    return {(x["condition"], x.get("status")) for x in found}


def test_there_are_recordings_with_all_their_evidence() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", thinned(NAMES))
def test_the_answer_from_all_evidence_is_what_is_true(name: str) -> None:
    truth, answer = truth_of(name), named(name).diagnosis.to_json()
    people = answer["participants"]
    assert len(people) == len(truth["participants"])
    causes, conditions = set(), conditions_of(truth["server"])
    for known in truth["participants"]:
        reason = None if name in REASON_OPEN else known["reason"]
        (said,) = [one for one in people if known["public"] in one["addresses"] or known["private"] in one["addresses"]]
        assert (said["media_path"], said["cause"], said["reason"]) == (known["media_path"], known["cause"], reason)
        causes |= {(known["cause"], reason)} if known["cause"] else set()
        conditions |= conditions_of(known)
    assert {(one["cause"], one["reason"]) for one in answer["causes"]} == causes
    assert {(one["condition"], one["status"]) for one in answer["conditions"]} == conditions


@pytest.mark.parametrize("name", thinned(NAMES))
def test_a_name_opens_the_whole_of_it_and_a_point_one_capture(name: str) -> None:
    entry = registry.find(name)
    whole, one = named(name), named(name, "eth0")
    kinds = {piece.kind for piece in whole.evidence.pieces}
    assert {"capture", "key-log", "configuration"} < kinds
    assert {piece.kind for piece in one.evidence.pieces} == {"capture", "key-log", "configuration"}
    opened = [piece for piece in whole.evidence.pieces if ".tar.zst/" in piece.input]
    assert len([piece for piece in whole.evidence.pieces if piece.kind == "capture"]) == 1
    names = [Path(piece.input.partition(".tar.zst/")[2]).parts for piece in opened]
    assert {parts[0] for parts in names} >= {"logs-whole", "rest", "console-laptop-a.txt"}
    unread = [piece.input for piece in opened if piece.kind == "unknown" and "/rest/" not in piece.input]
    assert not unread  # an empty answer, or that of an older generation, may be of no known kind
    settings = {piece.input for piece in whole.evidence.of_kind("configuration")}
    assert all(Path(input).parent == entry.facts for input in settings), settings
    assert not jl.load(name, use_keylog=False).evidence.of_kind("key-log")
