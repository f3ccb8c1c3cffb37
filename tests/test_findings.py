"""Security checks: each with a failing, a passing and an unobservable sample; no secret leaves them."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cuts
import pytest
from audit_samples import Sample, recorded, recorded_facts, study
from audit_table import SAMPLES

from jitsilab import call as capture
from jitsilab.facts import Facts
from jitsilab.judge import findings
from jitsilab.judge.checks import judge
from jitsilab.judge.findings.access import bits
from jitsilab.judge.findings.rule import View, failed, inside, joined, noted, passed, unseen
from jitsilab.pages import sarif

RULES = {rule.id: rule for rule in findings.RULES}
CASES = [
    pytest.param(check, sample, id=f"{check}-{sample.result}")
    for check, samples in SAMPLES.items()
    for sample in samples
    if sample.origin != "run"
]


def result_of(check: str, call: Any, server: Facts | None) -> tuple[str, Any]:
    """What one check says, in the words of an audit."""
    view = View(call, server)
    [(_, outcome)] = judge([RULES[check]], view.tables, {"view": view})
    return outcome.verdict.security_word, outcome


@pytest.mark.parametrize(("check", "sample"), CASES)
def test_a_sample_is_judged_right(check: str, sample: Sample) -> None:
    result, outcome = result_of(check, *sample.build())
    assert result == sample.result, outcome
    assert outcome.note
    if result == "FAIL":
        assert outcome.frames or outcome.places, "a failure without evidence"


def test_every_check_has_its_samples() -> None:
    assert list(SAMPLES) == list(RULES) == [f"SEC-{number:02}" for number in range(1, 42)]
    for check, samples in SAMPLES.items():
        results = {sample.result for sample in samples}
        complete = {"FAIL", "PASS", "NOT_OBSERVABLE"} <= results
        assert complete == RULES[check].proven, f"{check} has {results}"


@pytest.mark.parametrize("rule", findings.RULES, ids=lambda rule: rule.id)
def test_a_rule_says_all_that_it_must(rule: findings.Rule) -> None:
    assert rule.severity in findings.SEVERITIES
    assert rule.area in findings.AREAS
    assert all((rule.title, rule.source, rule.reason, rule.advice, rule.guard, rule.visible))
    assert not rule.title.endswith(".")


def test_the_study_is_judged_as_its_readers_judged_it() -> None:
    said = {one.id: one for one in findings.audit(*study())}
    assert len(said) == 41
    results = {check: one.result for check, one in said.items()}
    assert {c for c, r in results.items() if r == "FAIL"} == {"SEC-02", "SEC-05", "SEC-15", "SEC-18", "SEC-40"}
    assert (results["SEC-24"], results["SEC-33"], results["SEC-32"]) == ("INFO", "INFO", "PASS")
    open_questions = [
        "SEC-01",
        "SEC-03",
        "SEC-04",
        "SEC-07",
        "SEC-08",
        "SEC-10",
        "SEC-30",
        "SEC-31",
        "SEC-37",
        "SEC-38",
    ]
    assert {results[check] for check in open_questions} == {"NOT_OBSERVABLE"}
    assert said["SEC-18"].certainty == "deduced"
    assert "12 permissions of 1 participant without UDP, all refused" in said["SEC-18"].evidence
    assert all("possibly" in said[check].evidence for check in ("SEC-02", "SEC-05", "SEC-15"))
    assert "suites are not shown" in said["SEC-32"].evidence
    assert "2020-10-19T19:47:27.054Z" in said["SEC-24"].evidence


def test_a_refusal_at_the_end_of_a_capture_does_not_fail_yet(recording: Callable[[str], Path]) -> None:
    """Whether the participant's UDP gets through shows only afterwards."""
    whole = recording("p2p-turn-refused") / "capture-any.pcapng"
    call = capture.load(whole)
    said, outcome = result_of("SEC-18", call, None)
    assert (said, outcome.frames[:1]) == ("INFO", (767,))
    checks = call.stun[call.stun["priority"].notna() & call.stun["frame"].gt(outcome.frames[0])]
    first = int(checks["frame"].iloc[0])
    said, outcome = result_of("SEC-18", cuts.load(cuts.cut(whole, lambda frame: frame <= first)), None)
    assert said == "NOT_OBSERVABLE", outcome


@pytest.mark.parametrize(
    "name", ["telegram_videocall.pcapng", "stun_signal.pcapng", "jabber.pcap", "stun_wa_call.pcapng"]
)
def test_another_system_fails_nothing_of_jitsi(name: str, data: Path) -> None:
    said = findings.audit(capture.load(data / "pcaps" / name), None)
    for one in said:
        assert not (one.rule.jitsi and one.result in ("FAIL", "PASS")), (one.id, one.evidence)
    assert next(one for one in said if one.id == "SEC-16").result != "FAIL"  # WhatsApp proves who asks in its own way


def test_no_secret_leaves_an_audit(recording: Callable[[str], Path]) -> None:
    for name in ("jvb-3", "clear-5222"):
        call, server = recorded(name), recorded_facts(name)
        said = findings.audit(call, server)
        out = findings.to_text(said) + json.dumps(findings.to_json(said)) + json.dumps(sarif.to_sarif(said, name))
        xml = " ".join(call.xmpp["xml"])
        secrets = set(re.findall(r"(?:password|pwd)=['\"]([^'\"]{6,})", xml)) | set(call.jingle["pwd"].dropna())
        secrets |= {text for text in re.findall(r">([A-Za-z0-9+/=]{8,})</auth>", xml)}
        secrets |= {"lab-turn-secret", "labjvb", "labfocus", "BEGIN"}
        secrets |= set(call.xmpp["to"].dropna().str.extract(r"^([^@]+)@conference")[0].dropna())  # room names
        assert len(secrets) > 4
        assert [secret for secret in secrets if secret in out] == []


def test_every_check_comes_once_even_with_nothing_to_see() -> None:
    said = findings.audit(None, None)
    assert [one.id for one in said] == list(RULES)
    assert {one.result for one in said} == {"NOT_OBSERVABLE"}


def test_fail_on() -> None:
    said = findings.audit(None, None)
    assert not findings.fails_at(said, "info")
    low = [one for one in findings.audit(*study()) if one.id in ("SEC-18", "SEC-24")]
    answers = {level: findings.fails_at(low, level) for level in (*findings.SEVERITIES, "never")}
    assert answers == {"critical": False, "high": False, "medium": True, "low": True, "info": True, "never": False}


def test_two_looks_at_one_question() -> None:
    assert joined(passed("a", [1]), failed("b", [2], ["f:3"])).note == "b"
    both = joined(passed("a", [1]), passed("b", [2]), unseen("c"))
    assert (both.note, both.frames) == ("a; b", (1, 2))
    assert joined(noted("a"), unseen("b")).note == "a"
    assert joined(None, None).verdict.security_word == "NOT_OBSERVABLE"
    assert getattr(joined(failed("a", severity="low"), failed("b", severity="medium")), "severity", "") == "medium"
    assert getattr(joined(failed("a", severity="low"), failed("b")), "severity", "") == ""  # the rule's own is graver


@pytest.mark.parametrize(
    ("address", "answer"),
    [("10.1.2.3", True), ("172.31.0.1", True), ("172.32.0.1", False), ("203.0.113.10", False), ("fd00::1", True),
     ("2001:db8::1", False), ("::ffff:192.168.1.1", True), ("169.254.169.254", True), ("IP A", False)],
)  # fmt: skip
def test_what_leads_inside(address: str, answer: bool) -> None:
    assert inside(address) is answer


@pytest.mark.parametrize(
    ("name", "enough"),
    [("standup", False), ("test123", False), ("meeting2024", False), ("responsiblehooksimportslowly", True),
     ("3b1f0a52-8c54-4dd1-9b0e-7a1f66f0c1aa", True), ("xkqzjvpwmbrt", True), ("", False)],
)  # fmt: skip
def test_room_names(name: str, enough: bool) -> None:
    assert (bits(name) >= 30) is enough


def test_the_page_of_checks_is_up_to_date() -> None:
    from checks_page import page

    written = (Path(__file__).resolve().parent.parent / "docs" / "checks.md").read_text()
    assert written == page(), "run: python tests/checks_page.py"


def test_the_table_of_a_call() -> None:
    rows = findings.table(recorded("jvb-3"))
    assert list(rows.columns) == list(findings.SCHEMA)
    assert len(rows) == 41


def test_no_secret_is_found_where_nothing_was_read_is_no_pass(tmp_path: Path) -> None:
    """A link type that is not read may hold anything."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 273)
    (tmp_path / "docsis.pcap").write_bytes(head + struct.pack("<IIII", 1, 0, 60, 60) + bytes(60))
    found = {one.id: one.result for one in findings.audit(capture.load(tmp_path / "docsis.pcap"))}
    assert "PASS" not in found.values()
