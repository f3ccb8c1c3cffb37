"""Outputs are whole or not there: what fails, is killed, or runs beside another leaves no half of a file."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jitsilab import cli, outputs

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m", "jitsilab"]


def left(folder: Path) -> list[str]:
    """What a run left that is not whole."""
    return [str(one.relative_to(folder)) for one in folder.rglob("*") if outputs.PART in one.name]


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    path.chmod(0o640)

    def half() -> None:
        with outputs.whole(path, text=True) as file:
            file.write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert path.read_text() == "before"
    assert left(tmp_path) == []
    with outputs.whole(path, text=True) as file:
        file.write("after")
        assert path.read_text() == "before"
        (part,) = left(tmp_path)
        assert (tmp_path / part).stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640
    assert left(tmp_path) == []


def test_a_link_goes_on_pointing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    with outputs.whole(tmp_path / "link") as file:
        file.write(b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"


def test_a_device_is_written_to_as_it_is() -> None:
    with outputs.whole("/dev/null", text=True) as file:
        file.write("x")
    assert Path("/dev/null").is_char_device()


def test_a_folder_has_its_manifest_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = tmp_path / "made", tmp_path / "target"
    (made / "figures").mkdir(parents=True)
    for name in ("a.md", "figures/new.svg", outputs.LAST):
        (made / name).write_text("new")
    outputs.folder(made, target)
    assert sorted(str(one.relative_to(target)) for one in target.rglob("*") if one.is_file()) == sorted(
        ["a.md", "figures/new.svg", outputs.LAST]
    )
    (target / "figures" / "old.svg").write_text("old")
    (target / "mine.txt").write_text("mine")
    order = []
    whole = outputs.whole

    @contextmanager
    def watched(path: Path) -> Iterator[object]:
        order.append(path.name)
        assert not (target / outputs.LAST).exists()
        with whole(path) as file:
            yield file

    monkeypatch.setattr(outputs, "whole", watched)
    outputs.folder(made, target)
    assert order[-1] == outputs.LAST
    assert not (target / "figures" / "old.svg").exists()
    assert (target / "mine.txt").read_text() == "mine"
    assert left(tmp_path) == []


def test_what_a_kill_left_is_no_evidence(tmp_path: Path, recording: Callable[[str], Path]) -> None:
    from jitsilab.inputs.delivery import gather

    (tmp_path / f"{outputs.PART}1234-a.pcapng").write_bytes(b"\x0a\x0d\x0d\x0a")
    (tmp_path / f"{outputs.PART}5678").mkdir()
    (tmp_path / f"{outputs.PART}5678" / "b.log").write_text("x")
    assert gather([tmp_path]) == []


# ---- what a disk refuses

COMMANDS = (
    ["table", "frames", "alone", "-o", "{}/frames.csv"], ["table", "stun", "alone", "-o", "{}/stun.parquet"],
    ["table", "xmpp", "alone", "--to", "json", "-o", "{}/xmpp.json"], ["captures", "--export", "alone", "{}"],
    ["share", "alone", "-o", "{}/shared.zip"], ["share", "alone", "-o", "{}/shared"],
    ["evidence", "turn-refused", "--cause", "turn-permission-refused", "-o", "{}/proof.pcapng"],
    ["deploy", "plan", "meet.example.org", "--email", "a@example.org", "--public-address", "203.0.113.9", "-o", "{}/p"],
)  # fmt: skip


def said(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.startswith("jitsilab: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk is made by root")
def test_a_full_disk_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for words in COMMANDS:
            if words[0] in ("deploy", "evidence"):
                continue  # a few kB, which may just fit
            assert cli.main([word.format(disk) for word in words]) == 2, words
            assert "space" in said(capsys), words
            assert left(disk) == [], words
            for path in [one for one in disk.rglob("*") if one.is_file()]:
                assert path.stat().st_size, words
                path.unlink()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_device_that_is_full_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["table", "frames", "alone", "-o", "/dev/full"]) == 2
    assert "No space left" in said(capsys)
    for unbuffered in ("", "1"):
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        with Path("/dev/full").open("w") as full:
            run = subprocess.run(
                [*PYTHON, "diagnose", "alone"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, env=environment
            )
        assert run.returncode == 2
        assert run.stderr.startswith(b"jitsilab: ")
        assert b"\n" not in run.stderr.rstrip()


@pytest.fixture
def nobody() -> Iterator[None]:
    """Rights like anybody's, where the tests run as root, whom no folder refuses."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_folder_that_may_not_be_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    for words in COMMANDS:
        assert cli.main([word.format(tmp_path / "before") for word in words]) in (0, 2)  # loads all modules as root
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o755)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    capsys.readouterr()
    request.getfixturevalue("nobody")
    for words in COMMANDS:
        assert cli.main([word.format(locked) for word in words]) == 2, words
        assert "ermission denied" in said(capsys), words
    os.seteuid(os.getuid())
    assert list(locked.iterdir()) == []


def test_an_input_that_vanishes_is_a_sentence(
    tmp_path: Path,
    recording: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jitsilab.inputs import delivery

    gather = delivery.gather
    path = tmp_path / "gone.pcapng"

    def vanishing(paths: list[str | Path]) -> object:
        found = gather(paths)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr("jitsilab.inputs.gather", vanishing)
    for command in (["diagnose"], ["table", "stun"], ["share", "-o", str(tmp_path / "out")]):
        path.write_bytes((recording("alone") / "capture-eth0.pcapng").read_bytes())
        assert cli.main([*command, str(path)]) == 2
        assert "gone.pcapng" in said(capsys)
    assert not (tmp_path / "out").exists()


# ---- two at once, and kills


def test_two_runs_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    once = tmp_path / "once.csv"
    assert cli.main(["table", "xmpp", "jvb-2", "-o", str(once)]) == 0
    same = tmp_path / "same.csv"
    seen: list[bytes] = []
    runs = [subprocess.Popen([*PYTHON, "table", "xmpp", "jvb-2", "-o", str(same)], cwd=ROOT) for _ in range(2)]

    def watch() -> None:
        while any(run.poll() is None for run in runs):
            if same.exists():
                seen.append(same.read_bytes())
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert [run.wait() for run in runs] == [0, 0]
    watcher.join()
    assert {*seen, same.read_bytes()} == {once.read_bytes()}
    assert left(tmp_path) == []


@pytest.mark.slow
@pytest.mark.nightly("sixty runs")
@pytest.mark.parametrize("command", ["share", "share.zip", "report"])
def test_a_kill_at_any_moment_leaves_nothing_that_looks_whole(command: str, tmp_path: Path) -> None:
    choice = random.Random(22)
    word, _, ending = command.partition(".")
    target = tmp_path / f"made{'.' + ending if ending else ''}"
    words = [*PYTHON, word, "alone", "-o", str(target), *(["--key", "k"] if word == "share" else [])]
    begin = time.monotonic()
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    took = time.monotonic() - begin
    expected = _content(target)
    assert expected
    for _ in range(20):
        _remove(target)
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            time.sleep(choice.uniform(0.3, 1.05) * took)
            run.send_signal(signal.SIGKILL)
        if target.exists():
            assert _content(target) == expected
    _remove(target)
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    assert _content(target) == expected


def _content(target: Path) -> dict[str, bytes]:
    """Every file with its bytes; of an archive its members; of JSON what does not differ from run to run."""
    import zipfile

    if target.suffix == ".zip":
        with zipfile.ZipFile(target) as folder:
            return {name: folder.read(name) for name in folder.namelist()}
    found = {}
    for path in sorted(one for one in target.rglob("*") if one.is_file()):
        data = path.read_bytes()
        if path.suffix == ".pdf":
            data = data[:5]
        if path.suffix == ".json":
            json.loads(data)
        found[str(path.relative_to(target))] = data
    return found


def _remove(target: Path) -> None:
    import shutil

    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    target.with_name(target.name + ".map.json").unlink(missing_ok=True)
