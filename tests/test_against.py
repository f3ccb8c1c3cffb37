"""A case before and after a repair: what changed is said, nothing else."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from calls import named

from jitsilab import cli
from jitsilab.errors import ParameterError
from jitsilab.judge.diagnosis import changes


@cache
def answer(name: str, use_keylog: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = named(name, use_keylog=use_keylog).diagnosis.to_json()
    return made


def said(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[Any, ...]]:
    found = changes.changes(before, now)
    people = [(one.id, one.change) for one in found.people]
    return people + [(one.name, one.change, one.participants) for one in (*found.causes, *found.conditions)]


def test_a_repair_of_the_relay_and_its_reverse() -> None:
    broken, whole = answer("turn-refused"), answer("jvb-3")
    assert said(broken, whole) == [("cem", "has-media"), ("turn-permission-refused", "went", ("cem",))]
    assert said(whole, broken) == [("cem", "lost-media"), ("turn-permission-refused", "came", ("cem",))]
    assert said(broken, broken) == [("turn-permission-refused", "stayed", ("cem",))]
    assert said(whole, whole) == []
    text = changes.changes(broken, whole).to_text()
    assert text.splitlines() == [
        "MEDIA   cem has media now over TURN inside TLS, had none before",
        "WENT    TURN refuses to relay to the bridge (cem) [turn-permission-refused]",
    ]
    assert changes.changes(whole, whole).to_text().startswith("Nothing changed")


def test_names_that_one_side_cannot_see_do_not_part_people() -> None:
    without_keys = answer("jvb-3", use_keylog=False)
    assert {one["nick"] for one in without_keys["participants"]} == {None}
    found = said(answer("turn-refused"), without_keys)
    assert found == [("192.0.2.30", "has-media"), ("turn-permission-refused", "went", ("192.0.2.30",))]


# ---- made answers, for what recordings do not show


def person(id: str, path: str = "jvb-udp", cause: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": id, "nick": None, "addresses": [], "endpoints": [], "media_path": path, "cause": cause} | more


def case(*people: dict[str, Any], kinds: tuple[str, ...] = ("capture",), **more: Any) -> dict[str, Any]:
    inputs = [{"path": kind, "kind": kind} for kind in kinds]
    return {"participants": list(people), "causes": [], "conditions": [], "inputs": inputs} | more


def statement(kind: str, name: str, who: list[str] | None, shown_by: str = "capture", **more: Any) -> dict[str, Any]:
    return {kind: name, "participants": who, "evidence": [{"input": shown_by, "frame": 1}]} | more


def test_people_are_joined_by_nick_then_endpoint_then_address() -> None:
    before = [person("ann", nick="ann", addresses=["192.0.2.1"]), person("b1", endpoints=["b1"]),
              person("192.0.2.3", addresses=["192.0.2.3"])]  # fmt: skip
    now = [person("192.0.2.3", addresses=["192.0.2.3"]), person("b", nick="b", endpoints=["b1"]),
           person("ann", nick="ann", addresses=["192.0.2.9"])]  # fmt: skip
    pairs = changes.join(before, now)
    assert [((p.before or {}).get("id"), (p.now or {}).get("id")) for p in pairs] == [
        ("192.0.2.3", "192.0.2.3"), ("b1", "b"), ("ann", "ann"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now"),
    [
        # two behind one address: neither is the other
        ([person("a", addresses=["192.0.2.1"]), person("b", addresses=["192.0.2.1"])],
         [person("c", addresses=["192.0.2.1"])]),
        ([person("a", addresses=["192.0.2.1"])],
         [person("b", addresses=["192.0.2.1"]), person("c", addresses=["192.0.2.1"])]),
        # one address, two names
        ([person("a", nick="a", addresses=["192.0.2.1"])], [person("b", nick="b", addresses=["192.0.2.1"])]),
        # one name for two people
        ([person("x", nick="Guest"), person("y", nick="Guest")], [person("z", nick="Guest")]),
    ],
)  # fmt: skip
def test_what_several_share_joins_nobody(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    assert all(pair.before is None or pair.now is None for pair in changes.join(before, now))


def test_what_the_newer_evidence_cannot_show_has_not_gone() -> None:
    refused = statement("condition", "bridge-channel-refused", ["ann"], "console", status=403)
    before = case(person("ann", nick="ann"), kinds=("capture", "console"), conditions=[refused])
    quiet = case(person("ann", nick="ann"))
    assert said(before, quiet) == [("bridge-channel-refused", "unseen", ("ann",))]
    assert said(quiet, before) == [("bridge-channel-refused", "unseen-before", ("ann",))]
    looked = case(person("ann", nick="ann"), kinds=("capture", "console"))
    assert said(before, looked) == [("bridge-channel-refused", "went", ("ann",))]
    assert "not to be seen in the newer evidence" in changes.changes(before, quiet).to_text()


def test_nobody_in_the_newer_case_heals_no_cause() -> None:
    cause = statement("cause", "udp-blocked", ["cem"], reason=None)
    before = case(person("cem", "none", "udp-blocked", nick="cem"), causes=[cause])
    assert said(before, case(person("ann", nick="ann"))) == [
        ("ann", "only-now"), ("cem", "only-before"), ("udp-blocked", "unseen", ("cem",)),
    ]  # fmt: skip
    unseen = case(person("cem", "not-observable", nick="cem"), kinds=("jvb-log",))
    assert said(before, unseen) == [("cem", "unseen"), ("udp-blocked", "unseen", ("cem",))]
    open_ = case(person("cem", "none", "undetermined", nick="cem"))
    assert said(before, open_) == [("cem", "other-cause"), ("udp-blocked", "unseen", ("cem",))]


def test_a_cause_of_the_server_goes_when_anybody_has_media_over_the_bridge() -> None:
    before = case(causes=[statement("cause", "no-bridge", None, "jvb-log", reason="login-refused")], kinds=("jvb-log",))
    now = case(person("ann", nick="ann"))
    assert said(before, now) == [("ann", "only-now"), ("no-bridge", "went", None)]
    assert said(before, case(kinds=("console",))) == [("no-bridge", "unseen", None)]


def test_another_reason_is_another_cause() -> None:
    causes = [statement("cause", "no-bridge", ["ann"], reason=one) for one in ("login-refused", "not-running")]
    ann = person("ann", "none", "no-bridge", nick="ann")
    assert said(case(ann, causes=causes[:1]), case(ann, causes=causes[1:])) == [
        ("no-bridge", "went", ("ann",)), ("no-bridge", "came", ("ann",)),
    ]  # fmt: skip
    unknown = statement("cause", "no-bridge", ["ann"], reason=None)
    assert said(case(ann, causes=causes[:1]), case(ann, causes=[unknown])) == [("no-bridge", "stayed", ("ann",))]


# ---- the command


def test_an_older_answer_is_a_file_or_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(answer("turn-refused")))
    assert changes.earlier(old) is not None
    (tmp_path / "no").write_text('{"participants": 3}')
    assert changes.earlier(tmp_path / "no") is None
    with pytest.raises(ParameterError, match="Cannot read"):
        changes.earlier(tmp_path / "nowhere")
    assert cli.main(["diagnose", "jvb-3", "--against", str(old)]) == 0
    assert capsys.readouterr().out == changes.changes(answer("turn-refused"), answer("jvb-3")).to_text() + "\n"
    assert cli.main(["diagnose", "jvb-3", "--against", str(old), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["changes"]
    assert made == changes.changes(answer("turn-refused"), answer("jvb-3")).to_json()
    assert made["causes"] == [{"cause": "turn-permission-refused", "reason": None, "change": "went",
                               "participants": ["cem"]}]  # fmt: skip
