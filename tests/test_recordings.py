"""Every recording against what is known of it: media paths, causes, what is left open, and steps that deviate.

What was known stands in truth.json, from the browsers' own statistics and the fault that was made. Media between two
laptops never come near the server, so from there the answer may stay open; it may never be another.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_night import thinned
from captures import captured

from jitsilab.case import cast
from jitsilab.inputs import registry
from jitsilab.judge import diagnosis
from jitsilab.judge.causes.packets import TURN_CAUSES
from jitsilab.judge.diagnosis import Diagnosed

RECORDINGS = [entry.name for entry in registry.entries() if entry.name != "project3-2020"]
OPEN = ("undetermined", "not-observable")
ALIKE = {"udp-blocked", "nat-mapping-wrong"}
#: that keep nobody from media
FAULTS = {"colibri-off": {"S30"}, "colibri-403": {"S30"}, "p2p-turn-refused": {"S22"}, "tls-old": {"S02"}}


def row_of(known: dict[str, Any], rows: list[Diagnosed]) -> Diagnosed:
    """By the display name where one was read, else by the address."""
    addresses = {known[key] for key in ("public", "private", "public6") if known.get(key)}
    (one,) = [row for row in rows if row.nick == known["nick"]] or [r for r in rows if addresses & set(r.addresses)]
    return one


def right_causes(truth: dict[str, Any], known: dict[str, Any]) -> set[str | None]:
    """Between two laptops without a bridge, unanswered checks and a relay that failed are both true."""
    failures = {"checks-unanswered", *TURN_CAUSES.values()}
    if truth["focus"] == "stub" and known["cause"] in failures:
        return {"checks-unanswered", TURN_CAUSES.get(known["turn_stage"], "checks-unanswered")}
    return {known["cause"]}


@pytest.mark.parametrize(
    ("name", "point", "keys"),
    [(name, "eth0", True) for name in RECORDINGS]
    + thinned(((name, point, False) for point in ("any", "eth0") for name in RECORDINGS), every=5),
)
def test_path_and_cause_are_right_or_honestly_open(
    recording: Callable[[str], Path], name: str, point: str, keys: bool
) -> None:
    folder = recording(name)
    call = captured(folder, point, keys)
    truth, rows = json.loads((folder / "truth.json").read_text()), diagnosis.diagnose(call).people
    if not rows:  # a page and a WebSocket, sealed: many a page is that, so nobody is claimed, and it is said
        assert (point, keys) == ("eth0", False)
        assert all(known["media_path"] in ("none", "p2p") for known in truth["participants"])
        assert cast.build(call.tables()).recognition.could_be
        return
    for known in truth["participants"]:
        row, causes = row_of(known, rows), right_causes(truth, known)
        if row.media_path == known["media_path"] and row.cause in causes:
            continue
        assert row.cause in OPEN, (known["nick"], row)
        if known["cause"] is None:
            assert row.media_path == "not-observable", (known["nick"], row)
        else:
            assert row.media_path in ("none", "not-observable")
            assert causes & set(row.open_causes), (known["nick"], row)
        if keys or point == "any":  # signaling can be read: only what passes by the server may stay open
            if not keys and known["cause"] == "signaling-refused":
                continue  # what the proxy answers itself never comes to the loopback: its 404 is inside TLS alone
            if set(row.open_causes) >= ALIKE:  # nobody's UDP arrives: only the public address tells them apart
                continue
            assert truth["focus"] == "stub", (known["nick"], row)
            assert known["media_path"] in ("p2p", "none"), (known["nick"], row)
    if all(known["cause"] is None for known in truth["participants"]):
        deviating = set(call.steps.query("verdict == 'DEVIATES'")["step"])
        assert deviating <= FAULTS.get(name, set())
        assert deviating or not keys or name not in FAULTS


@pytest.mark.parametrize("name", [one for one in RECORDINGS if one.startswith("client-")])
@pytest.mark.parametrize("keys", [True, False])
def test_a_laptop_s_own_capture_leaves_nothing_open(recording: Callable[[str], Path], name: str, keys: bool) -> None:
    folder = recording(name)
    truth = json.loads((folder / "truth.json").read_text())
    (capture,) = folder.glob("capture-laptop-*-eth0.pcapng")
    laptop = capture.name[len("capture-") : -len("-eth0.pcapng")]
    (known,) = [one for one in truth["participants"] if one["laptop"] == laptop]
    row = row_of(known, diagnosis.diagnose(captured(folder, f"{laptop}-eth0", keys)).people)
    assert (row.media_path, row.cause) == (known["media_path"], known["cause"])


@pytest.mark.parametrize("name", ["turn-cert", "udp-snat", "addr-stale", "udp-outbound", "udp-inbound-turn"])
@pytest.mark.parametrize(("point", "keys"), [("eth0", True), ("any", False), ("eth0", False)])
def test_no_cause_is_wrong_where_the_clone_lacks_the_recording(data: Path, name: str, point: str, keys: bool) -> None:
    folder = data / "recordings" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not in JITSILAB_DATA")
    truth = json.loads((folder / "truth.json").read_text())
    for row in diagnosis.diagnose(captured(folder, point, keys)).people:
        (known,) = [
            one for one in truth["participants"]
            if row.nick == one["nick"] or {one["public"], one["private"]} & set(row.addresses)
        ]  # fmt: skip
        assert row.cause in (known["cause"], *OPEN), row
        if row.media_path != known["media_path"]:
            assert row.cause in OPEN, row
