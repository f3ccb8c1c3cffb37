"""No secret of a call leaves through anything but the tables and the SDP that were asked for by name."""

import base64
import contextlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest
import secrets_of
from by_night import thinned
from calls import named

import jitsilab as jl
from jitsilab import cli
from jitsilab.commands import audit, diagnose, table

ROOT = Path(__file__).resolve().parent.parent
Secrets = dict[str, set[str]]
CALLS = [("jvb-3", "eth0"), ("jvb-3", "any"), ("hostile", "eth0"), ("auth-ok", "eth0"), ("clear-5222", "any")]
COMMANDS = [
    ("diagnose",), ("diagnose", "--json"), ("audit",), ("audit", "--json"), ("audit", "--sarif"),
    *(("table", name) for name in ("errors", "dns", "http", "flows", "tls", "dtls", "ice", "turn_in_tls", "sources",
                                   "candidates", "media", "participants", "steps", "findings")),
]  # fmt: skip


@pytest.fixture(scope="module")
def secrets(recording: Callable[[str], Path]) -> Callable[[str], Secrets]:
    @cache
    def get(name: str) -> Secrets:
        points = ("eth0", "any")
        return secrets_of.of(recording(name), *(named(name, point) for point in points))

    return get


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command prints, on both streams; a call is opened once for all of them."""
    for module in (diagnose, audit, table):
        monkeypatch.setattr(module, "load", lambda a, *e: named((e or a.evidence)[0], a.point))

    def command(*arguments: str) -> str:
        assert cli.main(arguments) in (0, 1)
        out, err = capsys.readouterr()
        return out + err

    return command


@pytest.mark.parametrize(("name", "point"), CALLS)
def test_the_search_finds_what_tables_asked_for_by_name_show(
    name: str, point: str, run: Callable[..., str], secrets: Callable[[str], Secrets]
) -> None:
    """Without this the tests below would pass where nothing was searched for."""
    found = {
        one.partition(":")[0] for one in secrets_of.shown(run("table", "xmpp", name, "--point", point), secrets(name))
    }
    assert any(source.startswith("stanzas-laptop") for source in found)
    assert any(source.startswith("sdp-laptop") for source in found)


def test_every_kind_of_secret_was_collected(secrets: Callable[[str], Secrets]) -> None:
    """Key log, ICE, TURN, bridge channel, account, SASL by SCRAM and PLAIN, configuration, private key."""
    healthy, login, plain = secrets("jvb-3"), secrets("auth-ok")["auth-ok"], secrets("clear-5222")["clear-5222"]
    assert len(healthy["keys.txt"]) > 50
    assert len(healthy["sdp-laptop-a.jsonl"] & healthy["stanzas-laptop-a.jsonl"]) == 2  # ICE, both sides
    assert any(one.endswith("=") for one in healthy["stanzas-laptop-a.jsonl"])  # TURN: an HMAC in base64
    assert any(f"pwd={one}" in "".join(named("jvb-3", "eth0").xmpp["xml"]) for one in healthy["jvb-3"])
    assert {"jvb.conf", "jicofo.conf", "prosody.cfg.lua", "turnserver.conf", "meet.lab.key"} <= healthy.keys()
    assert any(one.startswith(base64.b64encode(b"n,,n=")[:6].decode()) for one in login)  # RFC 5802 section 7
    assert any(secrets_of.password(one) for one in plain)  # RFC 4616 section 2


@pytest.mark.parametrize(
    ("name", "point", "command"),
    thinned((*call, command) for call in CALLS for command in COMMANDS),
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_no_command_shows_a_secret(
    name: str, point: str, command: tuple[str, ...], run: Callable[..., str], secrets: Callable[[str], Secrets],
    recording: Callable[[str], Path],
) -> None:  # fmt: skip
    first, *options = command
    if first == "audit":
        options += ["--facts", str(recording(name) / "facts"), "--fail-on", "never"]
    table, options = (options[:1], options[1:]) if first == "table" else ([], options)
    text = run(first, *table, name, "--point", point, *options)
    assert text.strip()
    assert secrets_of.shown(text, secrets(name)) == []


@pytest.fixture(scope="module")
def kept(secrets: Callable[[str], Secrets]) -> Secrets:
    """Secrets of the recordings that notebooks and the study's report may have opened."""
    names = ("jvb-3", "turn-refused", "hostile", "auth-ok", "clear-5222")
    return {f"{name}/{source}": values for name in names for source, values in secrets(name).items()}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_saved_notebook_holds_a_secret(path: Path, kept: Secrets) -> None:
    assert secrets_of.shown(json.dumps(nbformat.read(path, 4), ensure_ascii=False), kept) == []


@pytest.mark.parametrize("pattern", ["Project3.md", "Project3.html", "results.json", "figures/*.svg"])
def test_the_report_in_the_clone_holds_no_secret(pattern: str, kept: Secrets) -> None:
    for path in (ROOT / "report").glob(pattern):
        assert secrets_of.shown(path.read_text(encoding="utf-8"), kept) == [], path.name


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) in (0, 1, 2)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out + err


def test_key_logs_that_do_not_fit_are_not_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recording: Callable[[str], Path]
) -> None:
    """Secrets of another call, on lines that are none, without line ends, given as a name, cut in the middle."""
    text = (recording("jvb-2") / "keys.txt").read_text()
    words = {"keys.txt": secrets_of.keys(recording("jvb-2") / "keys.txt")}
    broken = {
        "other": text, "spaces": text.replace(" ", "  ;"), "one-line": text.replace("\n", " "), "cut": text[:-20],
        "odd": "".join(f"{line}0\n" for line in text.splitlines()), "json": json.dumps({"secrets": text}),
    }  # fmt: skip
    for name, content in broken.items():
        (tmp_path / name).write_text(content)
        for command in (("diagnose",), ("table", "errors"), ("audit",)):
            assert secrets_of.shown(printed(capsys, *command, "alone", "--keylog", str(tmp_path / name)), words) == []
    secret = min(words["keys.txt"])
    assert secrets_of.shown(printed(capsys, "diagnose", "alone", "--keylog", text.splitlines()[0]), words) == []
    assert secrets_of.shown(printed(capsys, "diagnose", "alone", "--keylog", secret), words) == []
    for wrong in (text.splitlines()[0].replace("CLIENT", "client"), secret * 9):  # a line or a secret for a name
        with contextlib.suppress(jl.LabError):
            assert secrets_of.shown(jl.load("alone", keylog=wrong).errors.to_string(), words) == []
            continue
        with pytest.raises(jl.LabError) as error:
            jl.load("alone", keylog=wrong)
        assert secrets_of.shown(str(error.value), words) == []


@pytest.mark.parametrize("damage", ["cut", "quotes", "braces", "doubled", "joined"])
def test_broken_configuration_is_not_quoted(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], recording: Callable[[str], Path],
    secrets: Callable[[str], Secrets],
) -> None:  # fmt: skip
    """A parser's message likes to quote the line at which it stopped."""
    facts = tmp_path / "facts"
    shutil.copytree(recording("jvb-3") / "facts", facts)
    for path in facts.glob("*"):
        text = path.read_text()
        middle = max((text.find(one) + len(one) - 2 for values in secrets("jvb-3").values() for one in values
                      if one in text), default=len(text) // 2)  # fmt: skip
        path.chmod(0o644)
        path.write_text({
            "cut": text[:middle], "quotes": text.replace('"', "'", 1).replace('"', ""),
            "braces": text.replace("}", "").replace("end", "en"), "doubled": text.replace("=", "= ="),
            "joined": text.replace("\n", " "),
        }[damage])  # fmt: skip
    for form in ("--json", "--sarif"):
        assert secrets_of.shown(printed(capsys, "audit", "--facts", str(facts), form), secrets("jvb-3")) == []
    said = printed(capsys, "audit", "--facts", str(facts))
    assert secrets_of.shown(said, secrets("jvb-3")) == []
