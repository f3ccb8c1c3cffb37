"""What fuzzing found stays mended, and the harness itself works: every target runs, and a find is a find."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import made
from fuzz.targets import TARGETS
from jitsilab.errors import LabError

ROOT = Path(__file__).resolve().parent.parent
VECTORS = Path(__file__).parent / "vectors" / "fuzz"


def vectors() -> list[tuple[str, Path]]:
    return [(path.parent.name, path) for path in sorted(VECTORS.glob("*/*"))]


@pytest.mark.parametrize(("target", "path"), vectors(), ids=lambda part: getattr(part, "name", part))
def test_a_find_stays_mended(target: str, path: Path) -> None:
    with contextlib.suppress(LabError):
        TARGETS[target].run(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_runs(name: str) -> None:
    target = TARGETS[name]
    seeds = [seed for corpus in target.corpus for seed in made.SEEDS.get(corpus, ())]
    done = 0
    for seed in (b"", b"\x00", b"x", b"\xff" * 100, *seeds):
        try:
            target.run(seed[: target.longest])
            done += 1
        except LabError:
            continue
    assert done or not seeds, f"{name} takes none of its seeds"


@pytest.mark.nightly("makes every seed")
def test_every_target_has_seeds(tmp_path: Path) -> None:
    from fuzz import corpora

    corpora.write(tmp_path, quick=True)
    there = {path.name for path in tmp_path.iterdir() if path.is_dir() and any(path.iterdir())}
    if not (tmp_path / "print").is_dir():
        there.add("print")  # no tshark here
    assert {corpus for target in TARGETS.values() for corpus in target.corpus} - there == set()


def test_the_worker_counts_and_keeps_what_it_finds(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "one").write_bytes(bytes.fromhex("000100002112a442") + bytes(12))
    broken = "import fuzz.targets as t, fuzz.worker as w; t.TARGETS['stun'] = t.Target(lambda d: d[9999], ()); w.main()"
    for program, finds in ((["-m", "fuzz.worker"], 0), (["-c", broken], 1)):
        state = tmp_path / f"{finds}.json"
        words = ["stun", str(state), str(tmp_path / "finds"), "--", "-runs=600", str(tmp_path / "seeds")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, *program, *words], cwd=ROOT, env=environment, capture_output=True)
        assert state.is_file(), done.stderr.decode()
        said = json.loads(state.read_text())
        assert said["executions"] >= 256
        assert len(said["finds"]) == finds
    assert next(iter(said["finds"])).startswith("IndexError")
    assert any((tmp_path / "finds").glob("*.txt"))
