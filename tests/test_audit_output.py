"""What an audit prints: inputs, risks that are taken, what changed, for people, programs and code scanning."""

import datetime
import hashlib
import json
from pathlib import Path

import pytest
from test_sarif import SCHEMA

from jitsilab import __version__, facts
from jitsilab.errors import CaptureError, ParameterError
from jitsilab.judge import findings
from jitsilab.pages import sarif

GUESTS = 'pidfile = "p"\nVirtualHost "meet.example"\n  authentication = "anonymous"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc"
    made.mkdir()
    (made / "prosody.cfg.lua").write_text(GUESTS)
    (made / "jvb.conf").write_text("videobridge { a = [")
    (made / "notes.txt").write_text("buy milk")
    return made


def test_inputs_say_what_was_read_and_what_was_not(folder: Path) -> None:
    seen = facts.load(folder)
    said = findings.to_json(findings.audit(None, seen), seen.inputs)
    assert said["version"] == __version__
    rows = {row["path"]: row for row in said["inputs"]}
    assert list(rows) == ["jvb.conf", "notes.txt", "prosody.cfg.lua"]
    assert rows["jvb.conf"]["note"] == "not readable as HOCON"
    assert rows["notes.txt"] == {
        "path": "notes.txt", "kind": "unknown", "note": "not a file of a known kind, left out",
        "sha256": hashlib.sha256(b"buy milk").hexdigest(),
    }  # fmt: skip
    assert rows["prosody.cfg.lua"]["note"] == ""
    one = said["findings"][0]
    assert (one["id"], one["result"], one["evidence"]) == ("SEC-01", "FAIL", [{"input": "prosody.cfg.lua", "line": 3}])
    assert "anybody" in one["seen"]
    text = findings.to_text(findings.audit(None, seen), inputs=seen.inputs)
    assert "Not read, or not whole" in text
    assert "jvb.conf (bridge): not readable as HOCON" in text
    verbose = findings.to_text(findings.audit(None, seen), inputs=seen.inputs, verbose=True, colour=True)
    assert rows["jvb.conf"]["sha256"][:16] in verbose
    assert "\x1b[31mFAIL" in verbose


def test_a_folder_with_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    with pytest.raises(CaptureError, match="nothing to audit"):
        findings.require_evidence(None, facts.load(tmp_path))
    (tmp_path / "prosody.cfg.lua").write_text(GUESTS)
    findings.require_evidence(None, facts.load(tmp_path))


def test_a_risk_that_is_taken_is_shown_and_does_not_fail(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "accepted.txt"
    file.write_text("# taken\nSEC-01 2026-11-29 until 2027-06-30 an open service is meant\nSEC-09 2026-11-29 partner\n")
    taken = findings.read_accepted(file)
    found = findings.audit(None, facts.load(folder))
    assert findings.fails_at(found, "high")
    now = findings.accept(found, taken, datetime.date(2027, 1, 1))
    assert not findings.fails_at(now, "high")
    said = findings.to_json(now)["findings"][0]
    assert (said["result"], said["accepted"]["reason"], said["accepted"]["until"]) == (
        "FAIL", "an open service is meant", "2027-06-30",
    )  # fmt: skip
    assert "an open service is meant" in findings.to_text(now)
    later = findings.accept(found, taken, datetime.date(2027, 7, 1))
    assert findings.fails_at(later, "high")
    log = sarif.to_sarif(now)
    assert log["runs"][0]["results"][0]["suppressions"][0]["status"] == "accepted"


@pytest.mark.parametrize(
    "text",
    ["SEC-1 2026-11-29 x", "SEC-01 yesterday x", "SEC-01 2026-13-01 x", '{"accepted": [{"id": "SEC-01"}]}', "[1]"],
)  # fmt: skip
def test_a_file_of_risks_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(ParameterError):
        findings.read_accepted(tmp_path / "a")
    with pytest.raises(ParameterError, match="Cannot read"):
        findings.read_accepted(tmp_path / "nowhere")


def test_json_of_risks_is_read_too(tmp_path: Path) -> None:
    rows = [{"id": "SEC-09", "date": "2026-11-29", "reason": "partner", "until": None}]
    (tmp_path / "a").write_text(json.dumps({"accepted": rows}))
    assert [(one.id, one.reason) for one in findings.read_accepted(tmp_path / "a")] == [("SEC-09", "partner")]


def test_what_changed_since_an_earlier_audit(folder: Path, tmp_path: Path) -> None:
    before = findings.audit(None, facts.load(folder))
    (tmp_path / "old.json").write_text(json.dumps(findings.to_json(before)))
    (folder / "prosody.cfg.lua").write_text(GUESTS.replace("anonymous", "internal_hashed"))
    now = findings.audit(None, facts.load(folder))
    old = findings.earlier(tmp_path / "old.json")
    assert old is not None
    (change,) = [one for one in findings.changes(old, now) if one.id == "SEC-01"]
    assert (change.before, change.now, change.kind) == ("FAIL", "PASS", "better")
    assert findings.changes(now, now) == []
    assert "SEC-01 Rooms without an account: FAIL before, PASS now" in findings.to_text(now, changes=[change])
    assert findings.to_json(now, changes=[change])["changes"][0]["kind"] == "better"
    assert findings.earlier(folder / "prosody.cfg.lua") is None


def test_inputs_in_sarif(folder: Path) -> None:
    import jsonschema

    seen = facts.load(folder)
    log = sarif.to_sarif(findings.audit(None, seen), "call.pcap", seen.inputs, [])
    jsonschema.Draft4Validator(json.loads(SCHEMA)).validate(json.loads(json.dumps(log)))
    run = log["runs"][0]
    assert [one["location"]["uri"] for one in run["artifacts"]] == [
        "call.pcap",
        "jvb.conf",
        "notes.txt",
        "prosody.cfg.lua",
    ]
    assert all(len(one["hashes"]["sha-256"]) == 64 for one in run["artifacts"][1:])
    notes = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert "jvb.conf: not readable as HOCON" in notes
    assert {one["baselineState"] for one in run["results"]} == {"unchanged"}


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    from jitsilab import cli

    code = cli.main(["audit", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--facts", folder, "--json")
    old = tmp_path / "old.json"
    old.write_text(out)
    assert (code, {row["path"] for row in json.loads(out)["inputs"]}) == (
        1,
        {"jvb.conf", "notes.txt", "prosody.cfg.lua"},
    )
    taken = tmp_path / "taken"
    taken.write_text("SEC-01 2026-11-29 meant\n")
    code, out, _ = run(capsys, folder, "--accept", taken, "--against", old, "-v")
    assert code == 0
    assert "Nothing changed since the earlier audit" in out
    assert "Risks that somebody has taken" in out
    assert run(capsys, folder, "--against", folder, "--sarif", "--fail-on", "never")[0] == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.txt").write_text("milk")
    for argv in (["--facts", empty], [empty]):
        code, _, err = run(capsys, *argv)
        assert (code, err.count("\n")) == (2, 1)
    assert run(capsys, folder, "--accept", tmp_path / "nowhere")[0] == 2
