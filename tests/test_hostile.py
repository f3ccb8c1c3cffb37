"""What strangers say in a call, and files that are not what they say: no steered screen, no traceback, one sentence."""

import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import pty
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import secrets_of
import zstandard
from calls import named

import jitsilab as jl
from jitsilab import cli, terminal
from jitsilab.commands import audit, diagnose, table
from jitsilab.pages import report

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [sys.executable, "-m", "jitsilab"]


class Screen(io.StringIO):
    """A terminal that notes what it is asked to show."""

    def isatty(self) -> bool:
        return True


def steering(text: str) -> set[str]:
    """Characters that a terminal obeys, or that hide, reorder or break what is shown."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") and c not in "\n\t"}


# ---- names


@pytest.fixture(scope="module")
def nick(recording: Callable[[str], Path]) -> str:
    """The name that ann gave herself: markup, a formula, an escape sequence, a reversal of the text."""
    truth = json.loads((recording("hostile") / "truth.json").read_text(encoding="utf-8"))
    return str(truth["participants"][0]["nick"])


def test_the_name_is_hostile(nick: str) -> None:
    assert {"\x9b", "\u202e", "\u2028"} <= steering(nick)
    assert "<script>" in nick
    assert "=cmd|" in nick


@pytest.mark.parametrize("point", ["eth0", "any"])
@pytest.mark.parametrize(
    "command",
    ["diagnose", "diagnose --json", "audit", "audit --json", "audit --sarif", "table xmpp", "table xmpp --to json",
     "table participants", "table participants --to json", "table http", "table http --to json", "table errors",
     "table jingle", "table bridge"],
)  # fmt: skip
def test_nothing_that_was_said_steers_a_terminal(command: str, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (diagnose, audit, table):
        monkeypatch.setattr(module, "load", lambda a, *e: named((e or a.evidence)[0], a.point))
    words = command.split()
    place = 2 if words[0] == "table" else 1
    with contextlib.redirect_stdout(Screen()) as screen:
        assert cli.main([*words[:place], "hostile", "--point", point, *words[place:]]) in (0, 1)
    shown = re.sub(r"\x1b\[(0|1|2|1;31|3[1-6])m", "", screen.getvalue())  # colours of our own
    assert shown.strip()
    assert steering(shown) == set()


def test_json_keeps_the_name(nick: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagnose", "--json", "hostile"]) == 0
    assert nick in [one["nick"] for one in json.loads(capsys.readouterr().out)["participants"]]
    assert cli.main(["table", "participants", "hostile", "--to", "json"]) == 0
    assert nick in [one["nick"] for one in json.loads(capsys.readouterr().out)]


def test_a_table_in_a_file_is_data(nick: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell holds what was said, a formula too: docs/tables.md says how to open it in a spreadsheet."""
    assert cli.main(["table", "participants", "hostile", "-o", str(tmp_path / "people.csv")]) == 0
    with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:
        assert nick in [row["nick"] for row in csv.DictReader(file)]
    assert cli.main(["table", "participants", "hostile"]) == 0  # a pipe is no terminal
    assert nick in capsys.readouterr().out


def test_a_real_terminal_shows_no_escape(recording: Callable[[str], Path]) -> None:
    capture = recording("hostile") / "capture-eth0.pcapng"
    master, slave = pty.openpty()
    command = [*PYTHON, "table", "xmpp", str(capture), "--keylog", str(capture.parent / "keys.txt")]
    with subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE, cwd=ROOT) as process:
        os.close(slave)
        shown = b""
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:  # the other end was closed
            pass
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(master)
    text = shown.decode().replace("\r\n", "\n")
    assert r"\x9b31m\u202egnp.exe \u2028" in text
    assert steering(text) == set()


@pytest.mark.parametrize(
    "text", ["", "a", "\x1b[2J", "\x7f", "\x9b", "\u202e", "\U000e0041", "\ud800", "张 三", "a\r\nb"]
)
def test_printable_text_has_no_steering_character(text: str) -> None:
    assert steering(terminal.printable(text)) == set()
    assert json.loads(terminal.to_json([text])) == [text]
    assert steering(terminal.to_json([text])) == set()


@pytest.mark.nightly("all notebooks for what is no study")
def test_the_notebooks_report_of_a_hostile_call_is_inert_and_holds_no_secret(
    tmp_path: Path, recording: Callable[[str], Path]
) -> None:
    folder = report.run("hostile", facts=recording("hostile") / "facts", out=tmp_path)
    secrets = secrets_of.of(recording("hostile"), *(named("hostile", point) for point in ("eth0", "any")))
    texts = [path for path in folder.rglob("*") if path.suffix in (".md", ".html", ".json", ".svg")]
    assert {"Project3.md", "Project3.html", "results.json", "MANIFEST.json"} <= {path.name for path in texts}
    for path in texts:
        assert secrets_of.shown(path.read_text(encoding="utf-8"), secrets) == [], path.name
    page = (folder / "Project3.html").read_text(encoding="utf-8")
    body = page[page.index("<main>") : page.index("</main>")]
    assert "alert(1)" in body  # the name is there
    assert "<script" not in body
    assert not re.search(r'(?:href|src)="javascript:', body)
    assert "<em>b</em>" not in body
    text = (folder / "Project3.md").read_text(encoding="utf-8")
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    assert "<script" not in outside.replace("\\<script", "")
    assert "](javascript" not in outside.replace("\\](javascript", "")
    for path in (folder / "Project3.html", folder / "Project3.md"):
        assert steering(path.read_text(encoding="utf-8")) == set(), path.name
    for path in (folder / "figures").glob("*.svg"):
        drawing = path.read_text(encoding="utf-8")
        assert "<script" not in drawing
        assert steering(drawing) == set(), path.name


# ---- files


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence that a bad input gets."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jitsilab: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert steering(err) == set()
    return err.removeprefix("jitsilab: ").strip()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, recording: Callable[[str], Path]) -> Path:
    """Files that are no captures."""
    folder = tmp_path_factory.mktemp("hostile")
    capture = (recording("alone") / "capture-eth0.pcapng").read_bytes()
    made = {
        "empty": b"", "empty.pcap.gz": gzip.compress(b""), "text.pcap": b"hello world\n", "zeros": bytes(5000),
        "picture.pcap": (ROOT / "jitsilab" / "pages" / "assets" / "conference.png").read_bytes(), "head": capture[:8],
        "columns.csv": b"a,b,c\n1,2,3\n", "cut.gz": b"\x1f\x8b\x08", "keys.pcap": b"CLIENT_RANDOM 00\n",
        "noise": bytes((i * i * 7 + i) % 256 for i in range(4000)), "inside.gz": gzip.compress(b"hello world\n"),
    }  # fmt: skip
    for name, content in made.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "nothing").symlink_to(folder / "gone.pcap")
    return folder


@pytest.mark.parametrize("command", ["diagnose", "audit", "table stun", "table frames", "report"])
@pytest.mark.parametrize(
    "name",
    ["empty", "empty.pcap.gz", "picture.pcap", "text.pcap", "columns.csv", "zeros", "cut.gz", "noise", "head",
     "keys.pcap", "inside.gz", "folder", "nothing", "missing.pcap", "no/such/file",
     "\x1b[31mred\x07.pcap", "new\nline.pcap"],
)  # fmt: skip
def test_a_file_that_is_no_capture_gets_one_sentence(
    name: str, command: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, *command.split(), str(files / name))
    assert len(said) > 15
    assert terminal.printable(name.split("\n")[0].split("/")[-1]) in said


def test_names_points_and_tables_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "jitsilab captures" in refused(capsys, "diagnose", "no-such-name")
    assert "eth0, any" in refused(capsys, "diagnose", "jvb-3", "--point", "moon")
    assert "point" in refused(capsys, "diagnose", "project3-2020", "--point", "any")
    assert "frames" in refused(capsys, "table", "no-such-table", "jvb-3")
    assert "no key log" in refused(capsys, "table", "frames", "jvb-3", "--keylog", "/no/such/keys")
    assert "folder" in refused(capsys, "audit", "--facts", "/no/such/folder")
    assert "--facts" in refused(capsys, "audit")
    assert "-o" in refused(capsys, "table", "stun", "alone", "--to", "parquet")
    assert "frames" in refused(capsys, "table", "stun", "alone", "--like-tshark")
    assert "/no/such" in refused(capsys, "table", "frames", "alone", "-o", "/no/such/folder/x.csv")
    assert "/no/such" in refused(capsys, "table", "stun", "alone", "-o", "/no/such/folder/x.parquet")
    assert "NAME=VALUE" in refused(capsys, "report", "-p", "interval")
    assert "interval" in refused(capsys, "report", "-p", "no-such=1")


@pytest.mark.parametrize(
    "words",
    [["fly"], ["diagnose"], ["table"], ["table", "stun"], ["diagnose", "alone", "--colour"],
     ["audit", "--json", "--sarif", "alone"], ["audit", "alone", "--fail-on", "sunday"],
     ["table", "stun", "a", "--to", "xml"],
     ["diagnose", "alone", "--keylog", "x", "--no-keylog"], ["captures", "--export", "alone"], ["deploy", "moon"]],
)  # fmt: skip
def test_bad_usage_is_explained(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: jitsilab")
    assert "error:" in err


@pytest.fixture
def nobody() -> Iterator[None]:
    """Rights like anybody's, where the tests run as root, whom no file refuses."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_file_that_may_not_be_read(
    tmp_path: Path, recording: Callable[[str], Path], capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    locked = tmp_path / "locked.pcapng"
    locked.write_bytes((recording("alone") / "capture-eth0.pcapng").read_bytes())
    for command in (["table", "frames"], ["table", "stun"], ["diagnose"]):  # loads all modules as root
        assert cli.main([*command, str(locked)]) == 0
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    locked.chmod(0)
    capsys.readouterr()
    request.getfixturevalue("nobody")
    for command in (["table", "frames"], ["table", "stun"], ["diagnose"]):
        assert "Permission denied" in refused(capsys, *command, str(locked))
    locked_keys = ["diagnose", str(recording("alone") / "capture-eth0.pcapng"), "--keylog", str(locked)]
    assert cli.main(locked_keys) == 2
    assert "ermission denied" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.999, 0.6, 0.1, 0.01])
@pytest.mark.parametrize("command", ["diagnose", "audit --fail-on never", "table stun", "table errors"])
def test_a_truncated_capture_gives_what_is_whole(
    share: float, command: str, tmp_path: Path, recording: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (recording("jvb-2") / "capture-eth0.pcapng").read_bytes()
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(whole[: int(len(whole) * share)])
    first, *rest = command.split()
    words = [first, *rest, str(cut)] if first == "table" else [first, str(cut), *rest]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if command == "table errors":
        assert "cut" in out or "end" in out or len(out.splitlines()) > 1


# ---- keys


def test_key_logs_that_open_nothing(
    tmp_path: Path, recording: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of another call, garbage around the right lines, nothing at all, bytes, a capture: what can be read is read."""
    folder = recording("jvb-2")
    capture, keys = str(folder / "capture-eth0.pcapng"), (folder / "keys.txt").read_bytes()
    made = {
        "other": ((recording("jvb-3") / "keys.txt").read_bytes(), False), "empty": (b"", False),
        "noise": (os.urandom(3000), False), "capture": ((folder / "capture-eth0.pcapng").read_bytes(), False),
        "flipped": (re.sub(rb" [0-9a-f]{8}", b" 00000000", keys), False),
        "garbage": (b"\xff\xfe no\n\x00\x00\n" + keys.replace(b"\n", b"\r\n# note\r\nCLIENT_RANDOM xyz\r\n"), True),
        "cut": (keys[:-9], True),
    }  # fmt: skip
    for name, (content, opens) in made.items():
        (tmp_path / name).write_bytes(content)
        assert cli.main(["diagnose", "--json", capture, "--keylog", str(tmp_path / name)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        nicks = {one["nick"] for one in json.loads(out)["participants"]}
        assert (nicks == {"ann", "ben"}) is opens, name
    assert len(jl.load(capture, keylog=tmp_path / "garbage").errors.query("protocol == 'keylog'")) > 2


# ---- ways in and out


def started(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*PYTHON, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)


def test_a_capture_from_a_pipe_and_packed(
    tmp_path: Path,
    recording: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = recording("alone") / "capture-eth0.pcapng"
    plain = path.read_bytes()
    packed = {"gz": gzip.compress(plain), "zst": zstandard.compress(plain), "xz": lzma.compress(plain), "bare": plain}
    for words in (["table", "frames"], ["table", "tls", "--to", "json"], ["diagnose", "--json"]):
        assert cli.main([*words[:2], str(path), *words[2:]] if words[0] == "table" else [*words, str(path)]) == 0
        expected = capsys.readouterr().out
        for ending, content in packed.items():
            (tmp_path / f"a.{ending}").write_bytes(content)
            for source in (str(tmp_path / f"a.{ending}"), "-"):
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
                arguments = [*words[:2], source, *words[2:]] if words[0] == "table" else [*words, source]
                assert cli.main(arguments) == 0
                printed = capsys.readouterr().out
                if words[0] == "diagnose":
                    assert without_names(printed) == without_names(expected)
                else:
                    assert printed == expected, (words, ending, source)


def without_names(printed: str) -> dict[str, object]:
    """An answer without what its input is called."""
    answer = json.loads(printed)
    del answer["inputs"]
    text = re.sub(r'"input": "[^"]*"', '"input": ""', json.dumps(answer))
    found: dict[str, object] = json.loads(text)
    return found


@pytest.mark.parametrize("command", [["table", "frames"], ["table", "stun"], ["diagnose"]])
def test_a_named_pipe_is_read_once(command: list[str], tmp_path: Path, recording: Callable[[str], Path]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [*PYTHON, *command, str(fifo)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as run:
        fifo.write_bytes((recording("alone") / "capture-eth0.pcapng").read_bytes())
        out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, b"")
    assert out


@pytest.mark.parametrize(
    "command",
    [["table", "frames"], ["table", "rtp"], ["table", "frames", "--like-tshark"], ["table", "xmpp", "--to", "json"],
     ["diagnose", "--json"], ["tables"]],
)  # fmt: skip
def test_a_reader_that_goes_away_is_no_error(command: list[str]) -> None:
    words = command if command == ["tables"] else [*command[:2], "jvb-3", *command[2:]]
    with started(*words) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.read(10)
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(60) == 0


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with started("diagnose", str(fifo)) as run, fifo.open("wb"):  # open: the reader is there now, and waits
        time.sleep(1)  # a signal between Python's last look for one and the read would be seen after the read alone
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (130, b"", b"jitsilab: interrupted\n")


def test_an_output_in_another_encoding(recording: Callable[[str], Path]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for command in (["diagnose"], ["diagnose", "--json"], ["table", "participants"]):
        words = command[:2] if command[0] == "table" else command
        run = subprocess.run([*PYTHON, *words, "hostile"], capture_output=True, env=environment, cwd=ROOT, timeout=60)
        assert (run.returncode, run.stderr) == (0, b"")
        assert run.stdout.isascii()


def test_a_hostile_log_steers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # colours are ours
    who = "[confId=\x1b[2J\u202e epId==cmd|' /C calc'!A0]"
    line = f"JVB 2024-01-01 10:00:00.000 WARNING: [1] {who} Health.run#1: \x9b31m\x07<script>"
    (tmp_path / "jvb\x1b[31m.log").write_text(f"{line}\n" * 3, encoding="utf-8")
    path = str(tmp_path / "jvb\x1b[31m.log")
    for words in (["diagnose", path], ["diagnose", "--json", path], ["table", "log", path], ["table", "events", path],
                  ["table", "errors", path], ["audit", "--json", path], ["audit", "--sarif", path]):  # fmt: skip
        with contextlib.redirect_stdout(Screen()) as screen:
            assert cli.main(words) in (0, 1, 2)
        assert steering(screen.getvalue()) == set(), words
        assert steering(capsys.readouterr().err) == set(), words
