"""What fuzzing found stays mended, and the harness itself works: every target runs, and a find is a find."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from fuzz import made, worker
from fuzz.mutations import mutations
from fuzz.targets import TARGETS
from jitsilab.errors import LabError
from jitsilab.inputs import registry

ROOT = Path(__file__).resolve().parent.parent
VECTORS = Path(__file__).parent / "vectors" / "fuzz"


def vectors() -> list[tuple[str, Path]]:
    return [(path.parent.name, path) for path in sorted(VECTORS.glob("*/*"))]


@pytest.mark.parametrize(("target", "path"), vectors(), ids=lambda part: getattr(part, "name", part))
def test_a_find_stays_mended(target: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUZZ_KEYS", str(registry.find("jvb-3").keylog))
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
def test_every_target_has_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fuzz import corpora

    corpora.write(tmp_path, quick=True)
    there = {path.name for path in tmp_path.iterdir() if path.is_dir() and any(path.iterdir())}
    if not (tmp_path / "print").is_dir():
        there.add("print")  # no tshark here
    assert {corpus for target in TARGETS.values() for corpus in target.corpus} - there == set()
    monkeypatch.setenv("FUZZ_KEYS", str(tmp_path / "keys"))
    for name, target in TARGETS.items():  # one that refuses each of its seeds would look at nothing
        taken = 0
        for seed in (path for corpus in target.corpus for path in sorted((tmp_path / corpus).glob("*"))[:40]):
            with contextlib.suppress(LabError):
                target.run(seed.read_bytes()[: target.longest])
                taken += 1
                break
        assert taken, name


def test_mutations_change_every_kind_of_thing_and_keep_the_length() -> None:
    seeds, words = [b"a=1\r\nlength 120\r\n", bytes(range(64))], [b"password"]
    some = list(islice(mutations(seeds, words, 80, random.Random(5)), 4000))
    assert len(set(some)) > 3000
    assert max(map(len, some)) == 80
    assert {b"password" in data for data in some} == {True, False}
    assert any(b"\xff\xff\xff\xff" in data for data in some), "no edge of a number"
    assert any(b"length 65536" in data for data in some), "no edge of a number that is written out"
    assert any(data.startswith(b"a=1") and data.endswith(bytes(range(50, 64))) for data in some), "nothing spliced"
    again = islice(mutations(seeds, words, 80, random.Random(5)), 4000)
    assert list(again) == some, "not the same from the same seed"


@pytest.mark.parametrize("how", ["--", "--plain"])
def test_the_worker_counts_and_keeps_what_it_finds(tmp_path: Path, how: str) -> None:
    if how == "--":
        pytest.importorskip("atheris")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "one").write_bytes(bytes.fromhex("000100002112a442") + bytes(12))
    (tmp_path / "words").write_text('"\\x41\\x42"\n')
    rest = ["-runs=600"] if how == "--" else ["60", "600", "1", str(tmp_path / "words")]
    broken = "import fuzz.targets as t, fuzz.worker as w; t.TARGETS['stun'] = t.Target(lambda d: d[9999], ()); w.main()"
    for program, finds in ((["-m", "fuzz.worker"], 0), (["-c", broken], 1)):
        state = tmp_path / f"{finds}.json"
        words = ["stun", str(state), str(tmp_path / "finds"), how, *rest, str(tmp_path / "seeds")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, *program, *words], cwd=ROOT, env=environment, capture_output=True)
        assert state.is_file(), done.stderr.decode()
        said = json.loads(state.read_text())
        assert said["executions"] >= (256 if how == "--" else 600)
        assert len(said["finds"]) == finds
    assert next(iter(said["finds"])).startswith("IndexError")
    assert any((tmp_path / "finds").glob("*.txt"))


def test_what_hangs_is_a_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(data: bytes) -> None:
        try:
            while True:
                pass
        except Exception:
            pass

    monkeypatch.setattr(worker, "HANGS", 1)
    watch = worker.Watch(endless, LabError, tmp_path / "state", tmp_path / "finds")
    (tmp_path / "words").write_text("")
    before = signal.getsignal(signal.SIGPROF)
    try:
        worker._plain(watch, 10, "0.1", "1", "1", str(tmp_path / "words"))
    finally:
        signal.signal(signal.SIGPROF, before)
    assert watch.executions == 1
    assert next(iter(watch.finds)).startswith("HangError")


def test_a_grammar_that_is_kept_reads_as_one_that_is_built() -> None:
    text = """
import sys
from jitsilab.facts import hocon
from fuzz import targets

def read(text):
    into, problems = hocon.Hocon(), []
    hocon._tree.cache_clear()
    hocon.parse(text, "jvb.conf", into, problems)
    return into.values, problems

texts = sys.argv[1:]
built = [read(text) for text in texts]
targets.one_grammar()
assert [read(text) for text in texts] == built
print(sum(bool(values) for values, _ in built), sum(bool(problems) for _, problems in built))
"""
    texts = ["a { b = 1, c: [1, x] }", 'a.b = "c" ${?D}', "a = {", "include file", "x = 5 minutes\n# y\nz += 3", ""]
    argv = [sys.executable, "-c", text, *texts]
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.stdout == "3 2\n"
