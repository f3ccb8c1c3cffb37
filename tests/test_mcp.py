"""What an assistant gets: every tool driven by the SDK's own client over stdio, and nothing from outside."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import secrets_of

import jitsilab as jl
from jitsilab import assistants, cli
from jitsilab.assistants import HIDDEN, LONGEST, Desk
from jitsilab.errors import ParameterError
from jitsilab.inputs import registry

mcp = pytest.importorskip("mcp")
ROOT = Path(__file__).resolve().parent.parent
NAME = "turn-refused"


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    registry.export(NAME, folder / "case")
    (folder.parent / "outside.log").write_text("secret plans\n")
    return folder


def drive(allowed: Path, *asked: tuple[str, dict[str, Any]]) -> tuple[list[str], list[tuple[bool, str]]]:
    """Names of the tools, and each answer with whether it is an error, from a server of its own."""
    from mcp import ClientSession, StdioServerParameters, stdio_client

    async def run() -> tuple[list[str], list[tuple[bool, str]]]:
        words = ["-m", "jitsilab", "mcp", "--allow", str(allowed)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        server = StdioServerParameters(command=sys.executable, args=words, env=environment)
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            names = [tool.name for tool in (await session.list_tools()).tools]
            answers = []
            for name, arguments in asked:
                result = await session.call_tool(name, arguments)
                bad = getattr(result, "is_error", None)
                bad = getattr(result, "isError", False) if bad is None else bad
                answers.append((bool(bad), "".join(getattr(one, "text", "") for one in result.content)))
            return names, answers

    return asyncio.run(asyncio.wait_for(run(), 120))


def test_the_sdks_client_drives_every_tool(allowed: Path) -> None:
    case = {"evidence": ["case/capture-eth0.pcapng"], "keylog": ["case/keys.txt"], "facts": ["case/facts"]}
    names, answers = drive(
        allowed,
        ("diagnose", case),
        ("diagnose", {**case, "form": "json"}),
        ("audit", case),
        ("tables", {**case, "name": "stun", "columns": ["frame", "method", "error_code"], "limit": 3}),
        ("tables", case),
        ("timeline", {**case, "limit": 5}),
        ("evidence", {**case, "cause": "turn-permission-refused", "output": "proof.pcapng"}),
        ("diagnose", {"evidence": ["../outside.log"]}),
        ("diagnose", {"evidence": [str(allowed.parent / "outside.log")]}),
        ("tables", {**case, "name": "stunn"}),
    )
    assert sorted(names) == sorted(assistants.TOOLS)
    errors = [error for error, _ in answers]
    assert errors == [False] * 7 + [True] * 3, answers
    texts = [text for _, text in answers]
    assert texts[0].startswith("1 of 3 participants has no media: cem,")
    assert json.loads(texts[1])["causes"][0]["cause"] == "turn-permission-refused"
    assert "SEC-18 medium: Relay that refuses the bridge" in texts[2]
    stun = json.loads(texts[3])
    assert len(stun["rows"]) == 3
    assert set(stun["rows"][0]) == {"frame", "method", "error_code"}
    assert stun["left_off"] == stun["total"] - 3
    assert "stun" in json.loads(texts[4])
    assert len(json.loads(texts[5])["rows"]) == 5
    proof = json.loads(texts[6])
    assert [one["frame"] for one in proof["frames"]] == [601, 602]
    assert proof["written"]["frames"] == 2
    assert len(jl.load(allowed / "proof.pcapng").frames) == 2
    for text in texts[7:9]:
        assert "not below the allowed folders" in text
        assert "secret plans" not in text
    assert "Did you mean stun?" in texts[9]


@cache
def secrets(folder: Path) -> dict[str, set[str]]:
    return secrets_of.of(folder, jl.load(folder / "capture-eth0.pcapng", keylog=folder / "keys.txt"))


@pytest.mark.nightly("every table; commands are looked at by day")
def test_no_answer_holds_a_secret_and_each_is_bounded(allowed: Path) -> None:
    desk = Desk([allowed])
    case: dict[str, Any] = {"evidence": ["case"], "keylog": ["case/keys.txt"], "facts": ["case/facts"]}
    ask: list[Callable[[], str]] = [
        lambda: desk.diagnose(**case, form="json"), lambda: desk.audit(**case, form="json"),
        lambda: desk.tables(**case), lambda: desk.timeline(**case, limit=1000),
        lambda: desk.evidence(**case, check="SEC-38"),
    ]  # fmt: skip
    for name in jl.call.TABLES:
        ask += [lambda name=name: desk.tables(**case, name=name, limit=1000)]  # type: ignore[misc]
    known = secrets(allowed / "case")
    assert sum(map(len, known.values())) > 20
    for one in ask:
        said = one()
        assert len(said) <= LONGEST
        assert secrets_of.shown(said, known) == []
    jingle = json.loads(desk.tables(**case, name="jingle"))
    assert jingle["rows"]
    assert not HIDDEN & set(jingle["rows"][0])


def test_only_what_is_below_the_allowed_folders_is_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "case").mkdir(parents=True)
    outside.mkdir()
    (outside / "jvb.log").write_text("x\n")
    (inside / "link.log").symlink_to(outside / "jvb.log")
    (inside / "folder").symlink_to(outside)
    (inside / "case" / "jvb.log").symlink_to(outside / "jvb.log")
    (inside / "mine.log").symlink_to(inside / "case")
    os.mkfifo(inside / "pipe")
    desk = Desk([inside])
    for given in ("link.log", "folder", "folder/jvb.log", "../out/jvb.log", str(outside), "/etc/passwd", "case",
                  "mine.log", "pipe", "-", "", "a\0b", "nowhere.log"):  # fmt: skip
        with pytest.raises(ParameterError):
            desk.diagnose([given])
        with pytest.raises(ParameterError):
            desk.audit(facts=[given])
    for given in ("../new.pcapng", "link.log", "folder/new.pcapng", "new.txt"):
        with pytest.raises(ParameterError):
            desk._new(given)
    assert desk._new("new.pcapng") == inside.resolve() / "new.pcapng"


def test_recordings_are_known_by_name(tmp_path: Path) -> None:
    assert Desk([tmp_path]).diagnose([NAME]).startswith("1 of 3 participants has no media")


def test_what_is_missing_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    for name in [one for one in sys.modules if one.startswith("mcp.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["mcp", "--allow", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err == "jitsilab: mcp needs the package mcp: pip install 'jitsilab[mcp]'.\n"
