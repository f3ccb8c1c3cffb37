"""Many cases become one dataset, whatever happens to workers, files and the run itself."""

import contextlib
import functools
import gc
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from jitsilab import cli, terminal
from jitsilab.errors import CaptureError, ParameterError
from jitsilab.fleet import cases, dataset, remote, rows, work
from jitsilab.fleet.run import Survey, _client
from jitsilab.inputs import registry

distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ("alone", "ws-404", "focus-off")
REPORTS = (
    "bosh-502-prosody-down", "brewery-is-no-muc", "turn-denies-the-bridge-syslog", "healthy-compose-v2-coloured",
    "bridge-killed-for-memory-german-journal", "tls-untrusted-android-logcat",
)  # fmt: skip
QUIET = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three captures, six folders of logs, a capture cut short, a link to nothing, a text of no kind, a hidden file."""
    folder = tmp_path_factory.mktemp("fleet") / "evidence"
    folder.mkdir()
    for number, name in enumerate(CAPTURES):
        found = next((ROOT / "data/captures" / name).glob("capture-eth0.pcapng.zst"))
        shutil.copy(found, folder / f"{2026 + number}-11-0{number + 1}")  # no ending, and a name like a date
    for name in REPORTS:
        shutil.copytree(ROOT / "tests/reports" / name, folder / name)
    import zstandard

    with (folder / "2026-11-01").open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file).read()
    (folder / "cut.pcapng").write_bytes(plain[: len(plain) * 2 // 3])
    (folder / "gone.pcap").symlink_to(folder / "nowhere")
    (folder / "notes.txt").write_text("buy milk\n")
    (folder / ".hidden").write_text("not looked at")
    return folder


COUNT = len(CAPTURES) + len(REPORTS) + 3


def inline(paths: Path | str | list[str], out: Path, **options: object) -> list[work.Done]:
    """The survey without Dask, as an undisturbed run of one worker."""
    dataset.Dataset(out).prepare()
    made = work.Options.digested(str(out), (), (), tuple(options.pop("tables", ())), bool(options.pop("again", False)))  # type: ignore[arg-type]
    return [work.process(case, made) for case in cases.cases(paths, **options)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def undisturbed(evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "fleet"
    done = inline(evidence, out)
    assert [one.state for one in done].count("failed") == 2
    assert len(done) == COUNT
    return out


def content(out: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, in an order of its own."""
    found = {}
    for name in rows.SCHEMAS:
        table = ds.dataset(out / name, partitioning="hive").to_table()
        found[name] = sorted(table.to_pylist(), key=lambda row: json.dumps(row, default=str, sort_keys=True))
    return found


def run(*arguments: str | Path, **more: object) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "jitsilab", "survey", *map(str, arguments)]
    return subprocess.Popen(argv, env=QUIET, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # type: ignore[call-overload,no-any-return]


def records(out: Path) -> int:
    return len(list((out / "_survey").glob("*.json")))


def wait(until: Callable[[], bool], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


# ---- one case


def test_a_row_says_what_the_diagnosis_says(undisturbed: Path, evidence: Path) -> None:
    import jitsilab as jl

    survey = Survey(undisturbed)
    for path in (evidence / "2026-11-01", evidence / "brewery-is-no-muc"):
        call = jl.load(path)
        said, found = call.diagnosis, survey.calls.set_index("source").loc[str(path)]
        people = survey.participants[survey.participants["source"] == str(path)]
        assert people["participant"].tolist() == [one.id for one in said.people]
        assert people["media_path"].tolist() == [one.media_path for one in said.people]
        assert found["participants"] == len(said.people)
        assert (found["cause"] if isinstance(found["cause"], str) else None) == next(
            (one.name for one in said.causes), None
        )
        findings = survey.findings[survey.findings["source"] == str(path)]
        assert len(findings) == 41
        assert (findings["result"] == "FAIL").sum() == found["failed"]


def test_times_count_from_the_first_packet_of_each_participant(tmp_path: Path) -> None:
    name = "jvb-3"
    inline(str(ROOT / "data/captures" / name / "capture-eth0.pcapng.zst"), tmp_path)
    people = Survey(tmp_path).participants
    direct = people[people["media_path"] == "jvb-udp"]
    assert len(direct) == 2
    assert (direct["ice_s"] < direct["dtls_s"]).all()
    assert (direct["dtls_s"] < direct["media_s"]).all()
    assert direct["media_s"].between(1, 20).all()
    assert direct["join_s"].isna().all()  # signaling is encrypted here
    media = pd.to_datetime(direct["begun"]) + pd.to_timedelta(direct["media_s"], unit="s")
    import jitsilab as jl

    call = jl.load(ROOT / "data/captures" / name / "capture-eth0.pcapng.zst")
    first = call.media.groupby("src")["first_frame"].min()
    for one, moment in zip(direct["addresses"], media, strict=True):
        frame = int(first[one[0]])
        assert abs((call.frames["time"].iloc[frame - 1] - moment).total_seconds()) < 0.2


def test_what_is_cut_short_is_read_as_far_as_it_goes(undisturbed: Path, evidence: Path) -> None:
    survey = Survey(undisturbed)
    mine = survey.errors[survey.errors["source"] == str(evidence / "cut.pcapng")]
    assert mine["message"].str.contains("ends in the middle of a block").any()
    assert not mine["lost"].any()
    assert survey.calls["source"].eq(str(evidence / "cut.pcapng")).sum() == 1


def test_a_file_that_cannot_be_read_is_a_row(undisturbed: Path, evidence: Path) -> None:
    lost = Survey(undisturbed).errors.query("lost")
    assert set(lost["source"]) == {str(evidence / "gone.pcap"), str(evidence / "notes.txt")}
    assert "no kind that is known" in lost.set_index("source").loc[str(evidence / "notes.txt"), "message"]


def test_an_error_of_ours_is_a_row_without_what_was_read(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a secret of the call")

    monkeypatch.setattr(rows, "of_call", broken)
    (one,) = inline(str(evidence / "2026-11-01"), tmp_path)
    assert one.state == "failed"
    assert "KeyError" in one.message
    assert "secret" not in one.message
    monkeypatch.undo()
    assert [one.state for one in inline(str(evidence / "2026-11-01"), tmp_path)] == ["done"]  # and is tried again


# ---- what is done is not done again


def test_the_unchanged_is_known_by_content_version_and_options(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(evidence / "brewery-is-no-muc", tmp_path / "in/one")
    log = next(path for path in (tmp_path / "in/one").iterdir() if path.suffix != ".md")
    paths, out = str(tmp_path / "in"), tmp_path / "out"

    def states(**options: object) -> list[str]:
        return [one.state for one in inline(paths, out, **options)]

    assert states() == ["done"]
    assert states() == ["unchanged"]
    os.utime(log)
    assert states() == ["unchanged"]  # the same bytes, written again
    with log.open("a") as file:
        file.write("\n")
    assert states() == ["done"]
    assert states(again=True) == ["done"]
    assert states(tables=["log"]) == ["done"]
    assert len(pd.read_parquet(out / "log")) > 0
    shutil.rmtree(out / "participants")
    assert states(tables=["log"]) == ["done"]
    monkeypatch.setattr("jitsilab.__version__", "9.9")
    assert states(tables=["log"]) == ["done"]
    (out / "_survey" / f"{next(cases.cases(paths)).id}.json").write_text("{")
    assert states(tables=["log"]) == ["done"]


@pytest.mark.nightly("as after an interrupt")
def test_one_dataset_whoever_made_it(evidence: Path, undisturbed: Path, tmp_path: Path) -> None:
    before = content(undisturbed)
    assert len(before["calls"]) == COUNT - 2
    with run(evidence, "-o", tmp_path / "out", "--workers", "2") as process:
        out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert f"{COUNT} cases: {COUNT - 2} done, 2 failed." in out
    assert "notes.txt" in out
    assert content(tmp_path / "out") == before
    assert not list((tmp_path / "out/_survey/tmp").iterdir())


def test_interrupted_and_run_again_it_is_the_same(evidence: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with run(evidence, "-o", out, "--workers", "1", start_new_session=True) as process:
        wait(lambda: records(out) >= 2 or process.poll() is not None)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err
    some = records(out)
    assert 2 <= some < COUNT
    states = [one.state for one in inline(evidence, out)]
    assert states.count("unchanged") >= some - 1  # of the last the files may be there, or not
    assert states.count("done") > 0
    assert content(out) == content(undisturbed)


@pytest.mark.slow
@pytest.mark.nightly("twenty surveys, and twenty more")
def test_a_kill_at_any_moment_leaves_whole_rows_and_the_next_run_is_right(
    evidence: Path, undisturbed: Path, tmp_path: Path
) -> None:
    choice, expected = random.Random(22), content(undisturbed)
    begin = time.monotonic()
    with run(evidence, "-o", tmp_path / "whole", "--workers", "1") as process:
        process.communicate(timeout=900)
    took, counts = time.monotonic() - begin, set()
    for number in range(20):
        out = tmp_path / str(number)
        with run(evidence, "-o", out, "--workers", "1", start_new_session=True) as process:
            time.sleep(choice.uniform(0.1, 1.0) * took)
            process.kill()
        for name, rows_ in content(out).items() if (out / "calls").is_dir() else ():
            assert all(row in expected[name] for row in rows_), f"half a row of {name}"
        wait(lambda out=out: not _working(out), 60)  # type: ignore[misc]
        counts.add(records(out) if (out / "_survey").is_dir() else 0)
        with run(evidence, "-o", out, "--workers", "1") as process:
            _, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
        assert content(out) == expected
        assert not list((out / "_survey/tmp").iterdir())
    assert len(counts) > 3


def _working(out: Path) -> bool:
    """Whether somebody still writes to a dataset."""
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(place.readlink()).startswith(f"{out}/"):
                return True
    return False


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """A Dask scheduler and two workers, started by themselves."""
    import distributed

    folder = tmp_path / "dask"
    folder.mkdir()
    quiet = {"env": QUIET, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    command = [sys.executable, "-m"]
    known = folder / "scheduler.json"
    argv = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    started = [subprocess.Popen([*command, *argv, "--scheduler-file", str(known)], **quiet)]  # type: ignore[call-overload]
    try:
        wait(lambda: known.exists() and known.stat().st_size > 0)
        address = json.loads(known.read_text())["address"]
        worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        started += [subprocess.Popen([*command, *worker], **quiet) for _ in range(2)]  # type: ignore[call-overload]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=600)
        yield address, started[1:]
    finally:
        for one in started:
            one.kill()
            one.wait()


@pytest.mark.nightly("as after an interrupt")
def test_a_worker_that_is_killed_loses_nothing(
    scheduler: tuple[str, list["subprocess.Popen[bytes]"]], evidence: Path, undisturbed: Path, tmp_path: Path
) -> None:
    address, workers = scheduler
    out = tmp_path / "out"
    with run(evidence, "-o", out, "--scheduler", address) as process:
        wait(lambda: records(out) >= 2 or process.poll() is not None)
        workers[0].kill()
        _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert content(out) == content(undisturbed)


# ---- who reads it


def test_the_queries_of_the_page_run_as_they_stand(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = (ROOT / "docs/survey.md").read_text().split("```python\n")[1:]
    programs = [block.partition("```")[0] for block in blocks]
    queries = [text for text in programs if "import duckdb" in text or "polars" in text or "pandas" in text]
    assert len(queries) == 3
    (tmp_path / "fleet").symlink_to(undisturbed)
    monkeypatch.chdir(tmp_path)
    found = []
    for text in queries:
        names: dict[str, object] = {}
        exec(text, names)
        found.append(names["answer"])
    causes, slow, failing = found
    assert len(causes) >= 3  # type: ignore[arg-type]
    survey = Survey(undisturbed)
    by_cause = dict(causes.itertuples(index=False))  # type: ignore[attr-defined]
    assert by_cause == survey.calls["cause"].dropna().value_counts().to_dict()
    assert next(iter(slow.columns)) == "server"  # type: ignore[attr-defined]
    failed = survey.findings[survey.findings["result"] == "FAIL"]
    assert failing.sum() == failed.groupby("id")["source"].nunique().sum()  # type: ignore[attr-defined]


def test_all_read_the_same_types(undisturbed: Path) -> None:
    import duckdb
    import polars

    for name, schema in rows.SCHEMAS.items():
        folder = undisturbed / name
        pandas = pd.read_parquet(folder)
        lazy = polars.scan_parquet(folder, hive_partitioning=True).collect()
        quack = duckdb.sql(f"from read_parquet('{folder}/**/*.parquet', hive_partitioning=true)").df()
        for table in (pandas, quack):
            assert set(table.columns) == {*schema, "case"}
            assert len(table) == len(lazy)
        assert set(lazy["case"]) == set(pandas["case"].astype(str)) == set(quack["case"])
        assert lazy["case"].dtype == polars.String
        written = ds.dataset(folder, partitioning="hive").schema
        assert written.field(0).type == pa.large_string()


# ---- what a case is


def test_folders_hold_cases_and_patterns_match_them(evidence: Path, tmp_path: Path) -> None:
    names = {Path(one.source).name for one in cases.cases(evidence)}
    assert len(names) == COUNT
    assert ".hidden" not in names
    assert [Path(one.source).name for one in cases.cases(f"{evidence}/2026-*")] == ["2026-11-01"]
    assert [one.source for one in cases.cases(evidence, whole=True)] == [str(evidence)]
    twice = [str(evidence / "notes.txt"), f"{evidence}/notes.*"]
    assert len(list(cases.cases(twice))) == 1
    same = {one.id for name in ("a", "b") for one in cases.cases(_written(tmp_path / name / "call.pcap"))}
    assert len(same) == 2
    for wrong in (f"{tmp_path}/*.nothing", str(tmp_path / "nothing")):
        with pytest.raises(CaptureError):
            list(cases.cases(wrong))
    with pytest.raises(ParameterError):
        list(cases.cases([]))


def _written(path: Path) -> Path:
    path.parent.mkdir()
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("name", ["1", "2026-11-29", "1e5", "ä b/'%", "..", "0x12", "true", "a" * 300])
def test_a_partition_is_text_for_everybody(name: str) -> None:
    found = cases._id(f"/x/{name}")
    assert len(found) < 80
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert found.rpartition("-")[2].isalpha()


# ---- elsewhere


@pytest.fixture
def server(evidence: Path) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Silent, directory=str(evidence))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/"
        one.shutdown()


@pytest.mark.nightly("as from files")
def test_a_web_server_gives_the_same(server: str, undisturbed: Path, evidence: Path, tmp_path: Path) -> None:
    wanted = ("2026-11-01", "notes.txt", "brewery-is-no-muc/")
    done = inline([server + name for name in wanted[:2]], tmp_path)
    done += inline(server + wanted[2], tmp_path, whole=True)
    assert [one.state for one in done] == ["done", "failed", "done"]
    here, there = content(undisturbed), content(tmp_path)
    for name in rows.SCHEMAS:
        mine = [row for row in here[name] if str(row["source"]).endswith(tuple(one.strip("/") for one in wanted))]
        assert len(there[name]) == len(mine)
        text = json.dumps(there[name], default=str)
        assert "/tmp" not in text
        moved = text.replace(server.rstrip("/"), str(evidence)).replace("brewery-is-no-muc//", "brewery-is-no-muc/")
        for row in mine:
            assert str(row["source"]) in moved
            assert not row.get("cause") or str(row["cause"]) in text
    states = [one.state for one in inline([server + name for name in wanted[:2]], tmp_path)]
    assert states == ["unchanged", "unchanged"]


def test_a_folder_of_a_web_server_holds_cases(server: str) -> None:
    found = [one.source for one in cases.cases(server)]
    assert f"{server}2026-11-01" in found
    assert f"{server}brewery-is-no-muc/" in found
    assert not any("hidden" in one for one in found)
    with pytest.raises(CaptureError, match="There is nothing at"):
        remote.listing(server + "no-such-file.pcap")


def test_an_address_is_shown_without_its_secrets() -> None:
    assert (
        remote.shown("https://user:word@calls.example/a.pcap?X-Amz-Signature=abc#x") == "https://calls.example/a.pcap"
    )
    assert remote.shown("s3://bucket/a b.pcap") == "s3://bucket/a b.pcap"
    with pytest.raises(ParameterError, match="cannot be opened"):
        list(cases.cases("nosuch://user:word@place/x"))


# ---- the command


def test_a_worker_keeps_nothing_of_a_case(tmp_path: Path) -> None:
    with _client(distributed, None, 1) as client:
        assert list(client.run(_profiled).values()) == [False]
    made = work.Options.digested(str(tmp_path / "fleet"), (), (), (), True)
    dataset.Dataset(tmp_path / "fleet").prepare()
    recording = registry.capture_path(registry.find("alone"), None)
    case = next(cases.cases(recording))
    held = []
    for _ in range(4):
        assert work.process(case, made).state == "done"
        held.append(sum(not isinstance(one, weakref.ref) for one in gc.get_objects()))  # pandas clears those at times
    assert held[3] - held[1] < 50


def _profiled(dask_worker: Any) -> bool:
    """Whether a worker samples its own stacks, which it would keep for an hour."""
    return "profile" in dask_worker.periodic_callbacks


def test_without_dask_one_sentence_says_what_to_install(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(["survey", str(evidence), "-o", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == "jitsilab: survey needs Dask: pip install 'jitsilab[fleet]'.\n"


def test_the_cases_can_be_listed_first(evidence: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["survey", "--list", str(evidence), "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == COUNT
    assert terminal.printable(lines[0]) == lines[0]
    with contextlib.suppress(SystemExit):
        assert cli.main(["survey", str(tmp_path / "none"), "-o", str(tmp_path)]) == 2


def test_a_scheduler_that_does_not_answer_is_named(
    evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jitsilab.fleet.run.FIRST", 0.5)
    argv = ["survey", str(evidence), "-o", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9"]
    assert cli.main(argv) == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert cli.main(["survey", str(evidence), "-o", str(tmp_path / "out"), "--table", "nonesuch"]) == 2
