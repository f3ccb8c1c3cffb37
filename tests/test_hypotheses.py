"""Claims about an absence: the study's, others' of the recordings, and what is left when tables are taken away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import named
from captures import captured

from jitsilab.judge import hypotheses
from jitsilab.judge.checks import Certainty, Verdict
from jitsilab.judge.hypotheses import Claim, Judged

STUDY = Claim(between=("IP B", "IP C"))


def tables_of(call: Any) -> dict[str, Any]:
    return {name: call.table(name) for name in hypotheses.NEEDED}


def verdicts(tested: Judged) -> dict[str, Verdict]:
    return {check.id: outcome.verdict for check, outcome in tested.premises}


def states(tested: Judged) -> dict[str, str]:
    return {one.id: one.state for one in tested.explanations}


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return tables_of(named("project3-2020"))


def test_the_claim_of_the_study_is_refuted(study: dict[str, Any]) -> None:
    assert hypotheses.claims(study) == [STUDY]
    tested = hypotheses.test(STUDY, study)
    assert tested.verdict == "refuted"
    assert tested.certainty is Certainty.DEDUCED
    assert set(verdicts(tested).values()) == {Verdict.HOLDS}
    said = states(tested)
    assert said["E2"] == "shown"
    assert {name for name, state in said.items() if state == "open"} == {"E3", "E7"}
    refused = next(outcome for check, outcome in tested.premises if check.id == "H5")
    assert set(refused.frames) < set(tested.frames)
    assert "12 of 12 permissions refused" in tested.to_json()["note"]


def test_without_tls_the_tunnel_cannot_be_observed(study: dict[str, Any]) -> None:
    of_c = study["flows"].loc[study["flows"]["client"] == "IP C", "flow"]
    partly = study["tls"][~study["tls"]["flow"].isin(of_c)]
    read = study["turn_in_tls"][~study["turn_in_tls"]["flow"].isin(of_c)]
    for less in (
        {"tls": None, "turn_in_tls": None},
        {"tls": study["tls"].iloc[:0], "turn_in_tls": study["turn_in_tls"].iloc[:0]},
        {"tls": partly, "turn_in_tls": read},
    ):
        tested = hypotheses.test(STUDY, {**study, **less})
        said = verdicts(tested)
        assert {said[name] for name in ("H3", "H4", "H5")} == {Verdict.NOT_OBSERVABLE}
        assert states(tested)["E2"] == "open"


def test_without_stun_nothing_is_decided(study: dict[str, Any]) -> None:
    assert hypotheses.test(STUDY, {**study, "stun": None}).verdict == "undecided"
    assert hypotheses.claims({**study, "stun": None}) == []


def test_a_message_between_the_two_refutes_the_absence(study: dict[str, Any]) -> None:
    stun = study["stun"].copy()
    stun.loc[stun.index[0], ["src", "dst"]] = ["IP C", "IP B"]
    tested = hypotheses.test(STUDY, {**study, "stun": stun})
    assert tested.verdict == "refuted"
    assert verdicts(tested)["H1"] is Verdict.BROKEN


def test_a_participant_with_udp_is_not_tunnelled(study: dict[str, Any]) -> None:
    frames = study["frames"].copy()
    some = frames.index[(frames["src"] == "IP A") & (frames["ip_protocol"] == 17)][:3]
    frames.loc[some, "src"] = "IP C"
    tested = hypotheses.test(STUDY, {**study, "frames": frames})
    assert verdicts(tested)["H3"] is Verdict.BROKEN
    assert states(tested)["E3"] == "excluded"


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("behind-nat", "refuted"), ("relayed", "supported"), ("not-started", "refuted"), ("udp-blocked", "undecided"),
     ("no-webrtc", "refuted"), ("server-nat-mapping-missing", "refuted"), ("other-interface", "undecided")],
)  # fmt: skip
def test_other_reasons_for_the_same_absence(reason: str, verdict: str, study: dict[str, Any]) -> None:
    assert hypotheses.test(Claim(STUDY.between, reason), study).verdict == verdict


@pytest.mark.parametrize(
    ("name", "relayed", "refused"),
    [("turn-refused", "shown", Verdict.HOLDS), ("jvb-3", "shown", Verdict.BROKEN),
     ("no-turn", "open", Verdict.NOT_OBSERVED)],
)  # fmt: skip
def test_the_same_claim_of_the_recordings(
    name: str, relayed: str, refused: Verdict, recording: Callable[[str], Path]
) -> None:
    tested = hypotheses.claimed(captured(recording(name), keys=False))
    assert [one.claim.between for one in tested] == [("172.31.37.118", "192.0.2.30")]
    assert tested[0].verdict == "refuted"
    assert states(tested[0])["E2"] == relayed
    assert verdicts(tested[0])["H5"] is refused


def test_an_offer_that_can_be_read_rules_out_that_none_was_made() -> None:
    tested = hypotheses.claimed(named("no-turn"))[0]
    assert states(tested)["E1"] == states(tested)["E8"] == "excluded"


def test_a_call_in_which_all_check_in_clear_gives_no_claim(recording: Callable[[str], Path]) -> None:
    assert hypotheses.claimed(captured(recording("jvb-2"), keys=False)) == []


def test_frames_of_a_verdict_are_frames_of_the_capture(study: dict[str, Any]) -> None:
    known = set(study["frames"]["frame"])
    json = hypotheses.test(STUDY, study).to_json()
    assert set(json["frames"]) <= known
    for part in (*json["premises"], *json["explanations"]):
        assert set(part["frames"]) <= known
