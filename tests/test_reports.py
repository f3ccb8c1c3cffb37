"""Public reports, rebuilt as what their writers had: the cause is named, and nothing that is not so."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import jitsilab as jl
from jitsilab import cli
from jitsilab.judge.causes import CAUSES, CONDITIONS

ROOT = Path(__file__).resolve().parent / "reports"
LISTS = ("threads.json", "expected.json", "browser.json")
CASES = {name: want for file in LISTS for name, want in json.loads((ROOT / file).read_text()).items()}
REASONED = {name for name, cause in CAUSES.items() if cause.reasons}


def answer(name: str, want: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    words = [word if word.startswith("-") else str(ROOT / name / word) for word in want["argv"]]
    given = (ROOT / name / want["stdin"]).read_bytes() if want.get("stdin") else b""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return cli.main(["diagnose", *words, "--json"]), out.getvalue(), err.getvalue()


def allowed(said: tuple[str, str | None], pairs: list[list[str | None]]) -> bool:
    cause, reason = said
    return any(
        cause == one and (reason is None or cause not in REASONED or other in ("*", reason)) for one, other in pairs
    )


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_report_is_answered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    want = CASES[name]
    code, out, err = answer(name, want, monkeypatch)
    for secret in want.get("secrets", ()):
        assert secret not in out + err
    if want.get("refuse"):
        assert code == 2
        assert out == ""
        assert any(word in err.lower() for word in want["names"])
        return
    assert code == 0, err
    said = json.loads(out)
    causes = [(one["cause"], one["reason"]) for one in said["causes"]]
    for cause in causes:
        assert allowed(cause, [*want["causes"], *want["either"], *want["may"]]), cause
    for cause, reason in want["causes"]:
        reasons = {r for c, r in causes if c == cause}
        assert reasons, cause
        good = {reason} | {other for one, other in want["may"] if one == cause and other}
        assert cause not in REASONED or reasons & good or ("*" in good and reasons - {None})
    if want["either"]:
        assert any(list(one) in want["either"] for one in causes)
    held = {f"{one['condition']}:{one['status']}" if one["status"] else one["condition"] for one in said["conditions"]}
    permitted = {*want["conditions"], *want["may_conditions"]}
    assert {*want["conditions"]} <= held
    assert {one for one in held if one not in permitted and one.partition(":")[0] not in permitted} == set()


def test_every_word_of_an_answer_is_of_the_closed_sets() -> None:
    named = {cause for want in CASES.values() for cause, _ in (*want["causes"], *want["either"], *want["may"])}
    assert named <= set(CAUSES)
    assert {one.partition(":")[0] for want in CASES.values() for one in want["conditions"]} <= set(CONDITIONS)


def test_a_folder_without_evidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(jl.CaptureError, match="nothing to read"):
        jl.load(tmp_path)
    (tmp_path / "notes.txt").write_text("milk, bread\n")
    with pytest.raises(jl.CaptureError, match="no kind that is known"):
        jl.load(tmp_path)
