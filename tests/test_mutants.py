"""The harness of the mutants: a change is one change, it is found again, and only a test that sees it fails."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import changes, covering

ROOT = Path(__file__).resolve().parent.parent
RTP = ROOT / "jitsilab" / "protocols" / "rtp.py"
PROGRAM = """
import json, sys
from fuzz import changes, planting
every = (changes.mutant(changes.ROOT / "jitsilab/protocols/rtp.py", number) for number in range(200))
at = lambda text: next(one for one in every if one.before == text)
table, version = at("90000"), at("first >> 6 != 2")
stage = planting.Stage(None, {}, set(), 20)
tests = ["tests/test_rtp.py::test_the_fixed_header"]
print(json.dumps([stage.run(one, tests).killed_by for one in (None, version, table)]))
"""


def test_a_mutant_is_one_change_that_compiles() -> None:
    original = ast.unparse(ast.parse(RTP.read_text())).split("\n")
    places = list(changes.sites(ast.parse(RTP.read_text())))
    for number in range(0, len(places), 7):
        mutant = changes.mutant(RTP, number)
        compile(mutant.tree, "mutant", "exec")
        changed = ast.unparse(mutant.tree).split("\n")
        assert len(changed) == len(original)
        assert sum(one != other for one, other in zip(changed, original, strict=True)) == 1, mutant.text


def test_a_mutant_knows_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ROOT", tmp_path)
    path = tmp_path / "one.py"
    path.write_text("A = 3\n\n\nclass B:\n    def c(self, d=4):\n        if d:\n            return lambda: d == A\n")
    mutants = [changes.mutant(path, number) for number in range(5)]
    found = {one.before: (one.function, one.lines[0]) for one in mutants}
    assert found == {
        "3": ("", (1, 1)), "4": ("", (5, 5)), "if d:": ("B.c", (6, 6)),
        "return lambda: d == A": ("B.c", (7, 7)), "d == A": ("B.c", (7, 7)),
    }  # fmt: skip
    path.write_text("E = 5\n\n" + path.read_text())
    again = changes.found_again("one.py", 4, "B.c", "d == A", "d != A", 7)
    assert again is not None
    assert (again.number, again.lines[0][0]) == (5, 9)
    assert changes.found_again("one.py", 4, "B.c", "d == E", "d != E", 7) is None


def test_what_was_ready_counts_for_who_uses_it() -> None:
    tracer = covering.Tracer([])
    with tracer.scope() as fixture:
        fixture.lines["made"] = {1}
    fixture.seconds = 5.0
    with tracer.scope() as test:
        test.lines["run"] = {2}
        tracer.again(fixture)
    lines, seconds = test.whole()
    assert lines == {"run": {2}, "made": {1}}
    assert 5 <= seconds < 6


@pytest.mark.nightly("plants three mutants")
def test_a_mutant_is_killed_by_a_test_that_sees_it_and_by_no_other() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["", "tests/test_rtp.py::test_the_fixed_header", ""]


def test_the_last_run_that_was_kept_is_above_the_floor() -> None:
    rows = [line.split("|")[1:-1] for line in (ROOT / "fuzz/mutants.md").read_text().splitlines() if line[:1] == "|"]
    head = [cell.strip() for cell in rows[0]]
    kept = [dict(zip(head, (cell.strip() for cell in row), strict=True)) for row in rows[2:]]
    assert {one["room"] for one in kept} >= {"judge/theory", "judge/findings", "judge/diagnosis", "facts", "protocols"}
    for one in kept:
        counted = int(one["mutants"]) - int(one["change nothing"])
        assert int(one["of 100"]) == round(100 * int(one["killed now"]) / counted) >= 85, one["room"]
    (every,) = [one for one in kept if one["room"] == "all"]
    assert int(every["mutants"]) >= 300
