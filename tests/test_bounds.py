"""What is too large, too deep or endless is named, in bounded time and memory, and the rest is still read."""

import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from made_captures import pcap

import jitsilab as jl
from jitsilab import cli
from jitsilab.inputs.delivery import gather
from jitsilab.pcap import read

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m", "jitsilab"]
FRAME = bytes(12) + b"\x08\x00" + bytes(46)
MEMORY = 900 << 20  # bytes of address space: a run has some hundred MB of libraries in it
LINE = (
    b"JVB 2024-01-01 10:00:00.000 INFO: [1] [confId=1] Health.run#1: Performed a successful health check in PT0.001S.\n"
)


def held(*words: str, seconds: int = 120) -> "subprocess.CompletedProcess[str]":
    """A command that may take so many seconds of processor time and no more memory than a small machine has."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*PYTHON, *words], preexec_fn=limit, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


# ---- captures


@pytest.mark.parametrize("frames", [[], [FRAME, FRAME]])
def test_zeros_behind_a_capture_are_no_frames(frames: list[bytes], tmp_path: Path) -> None:
    """A file that was made larger than what was written: 2 GB of zeros would be 134 million empty frames."""
    sparse = tmp_path / "sparse.pcap"
    with sparse.open("wb") as file:
        file.write(pcap(frames))
        file.truncate(2 << 30)
    done = held("table", "errors", str(sparse), seconds=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"after frame {len(frames)} the file holds zeros" in done.stdout
    assert len(read(sparse)) == len(frames)


def test_an_empty_frame_is_a_frame() -> None:
    head = pcap([])
    few, many = bytes(16 * 63), bytes(16 * 64)
    one = struct.pack("<IIII", 1_600_000_000, 0, len(FRAME), len(FRAME)) + FRAME
    assert len(read(io.BytesIO(head + few + one))) == 64
    assert len(read(io.BytesIO(head + one + many + one))) == 1
    assert len(read(io.BytesIO(pcap([b""] * 100)))) == 100  # empty, but each has a time


def test_blocks_that_lie_end_there_and_what_came_before_is_read(tmp_path: Path) -> None:
    from made_captures import interface, packet, section

    good = section() + interface() + packet(FRAME, 1_600_000_000_000_000)
    lies = {
        "longer": struct.pack("<II", 6, 0x7FFFFFF0), "shorter": struct.pack("<III", 6, 8, 0),
        "two": packet(FRAME, 5)[:-4] + b"\x20\0\0\0",
        "caught": struct.pack("<IIIIIII", 6, 32, 0, 0, 0, 0xFFFFFFF0, 9) + b"\x20\0\0\0",
        "described": packet(FRAME, 5, number=77),
    }  # fmt: skip
    for name, lie in lies.items():
        path = tmp_path / f"{name}.pcapng"
        path.write_bytes(good + lie + packet(FRAME, 9) * 3)
        call = jl.load(path)
        assert len(call.frames) == 1, name
        assert len(call.errors) >= 1, name


# ---- packed


def test_a_bomb_in_a_log_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jitsilab.pcap import sources

    monkeypatch.setattr(sources, "BOMB_FREE", 1 << 22)
    monkeypatch.setattr(sources, "BOMB_RATIO", 20)
    (tmp_path / "jvb.log.gz").write_bytes(gzip.compress(LINE * 100_000, 9))
    call = jl.load(tmp_path / "jvb.log.gz")
    assert 1000 < len(call.log) < 100_000
    assert any("unpacks to more than 20 times its size" in text for text in call.errors["message"])


def test_a_bomb_in_a_capture_is_said_and_takes_no_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pcap.gz"
    with gzip.open(bomb, "wb", 9) as file:
        file.write(pcap([FRAME, FRAME]))
        file.write(struct.pack("<IIII", 1_600_000_000, 0, 262_144, 262_144))
        for _ in range(400):
            file.write(bytes(1 << 20))
    done = held("table", "errors", str(bomb), seconds=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "times its size" in done.stdout or "zeros" in done.stdout


def test_a_member_that_unpacks_to_very_much_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "case.zip", "w", zipfile.ZIP_DEFLATED) as folder:
        folder.writestr("zeros.log", bytes(400 << 20))
        folder.writestr("jvb.log", LINE)
    call = jl.load(tmp_path / "case.zip")
    assert len(call.log) == 1
    notes = {piece.input.rpartition("/")[2]: piece.note for piece in call.evidence.pieces}
    assert "many times its size" in notes["zeros.log"]


# ---- archives


HOSTILE_NAMES = ["../../escape.log", "/etc/escape.log", "a/../../escape.log", "C:\\escape.log", "..\\escape.log"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_writes_nothing_and_leaves_its_folder_nowhere(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    path = inside / f"case.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for name in HOSTILE_NAMES:
                member = tarfile.TarInfo(name)
                member.size = len(LINE)
                archive.addfile(member, io.BytesIO(LINE))
            for type_, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../x"), (tarfile.CHRTYPE, "")):
                member = tarfile.TarInfo(f"link-{type_.decode()}")
                member.type, member.linkname = type_, target
                archive.addfile(member)
    else:
        with zipfile.ZipFile(path, "w") as folder:
            for name in HOSTILE_NAMES:
                folder.writestr(zipfile.ZipInfo(name), LINE)
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            folder.writestr(link, "/etc/passwd")
    before = sorted(one for one in tmp_path.rglob("*"))
    monkeypatch.chdir(inside)
    call = jl.load(path.name)
    assert len(call.log) == len(HOSTILE_NAMES)
    assert all(".." not in piece.input.split("/") for piece in call.evidence.pieces)
    linked = [piece for piece in call.evidence.pieces if "link" in piece.note]
    assert len(linked) == (3 if kind == "tar" else 1)
    assert sorted(one for one in tmp_path.rglob("*")) == before


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    data = LINE
    for depth in range(6):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as folder:
            folder.writestr(f"{depth}.zip" if depth else "jvb.log", data)
        data = out.getvalue()
    (tmp_path / "case.zip").write_bytes(data)
    (one,) = gather([tmp_path / "case.zip"])
    assert one.input.count("/") - str(tmp_path).count("/") == 3  # the third is not opened, and is named as it is


# ---- what is no file


def test_what_nobody_writes_to_is_said_after_a_while(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([*PYTHON, "diagnose", str(fifo)], stderr=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == f"jitsilab: waiting for somebody to write to '{fifo}'\n"
        run.kill()


def test_standard_input_that_says_nothing_is_said_after_a_while() -> None:
    with subprocess.Popen(
        [*PYTHON, "diagnose", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == "jitsilab: waiting for somebody to write to 'standard input'\n"
        run.kill()


@pytest.mark.parametrize("command", [["diagnose"], ["audit"], ["table", "stun"], ["table", "frames"], ["leaks"]])
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_a_device_is_refused_by_name(device: str, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, device]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert device in err
    assert "device" in err


def test_a_stream_that_comes_slowly_is_not_waited_for() -> None:
    with subprocess.Popen(
        [*PYTHON, "table", "log", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as run:
        assert run.stdin is not None
        run.stdin.write(LINE)
        run.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(9)
        out, err = run.communicate(LINE)
    assert err == b""
    assert out.count(b"successful health check") == 2
