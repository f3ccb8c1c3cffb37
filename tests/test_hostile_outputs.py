"""One hostile case through every output: nothing of it runs, loads, steers a terminal, or is more than text."""

import contextlib
import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser_page import Browser
from by_night import thinned
from test_hostile import Screen, steering

import jitsilab as jl
from jitsilab import assistants, cli
from jitsilab.commands import audit, diagnose, evidence, table

#: what strangers may call themselves, a room or a file
HOSTILE = (
    "\"><script>window.hit=1</script><img src=x onerror=window.hit=1>=cmd|' calc'!A0 [x](javascript:hit=1) "
    "![i](http://x.invalid/i.png) *b* `c` | ]]> \x1b[31m\x9b31m\u202e\u2028&lt;"
)
NAME = HOSTILE.replace("/", ";").replace("\u2028", "")[:150]
OWN_COLOURS = re.compile(r"\x1b\[(0|1|2|1;31|3[1-6])m")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, recording: Callable[[str], Path]) -> Path:
    """A capture, logs of servers and a browser's console, in all of which strangers say what they like."""
    folder = tmp_path_factory.mktemp("allowed") / f"case {NAME[:60]}"
    folder.mkdir()
    source = recording("hostile")
    shutil.copy(source / "capture-eth0.pcapng", folder / f"call {NAME}.pcapng")
    shutil.copy(source / "keys.txt", folder / "keys.txt")
    logs = Path(__file__).parent / "evidence" / "logs"
    for name in ("jicofo-2026", "jvb-2026", "prosody-2026", "nginx-2026", "coturn-2026"):
        lines = (logs / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        (folder / f"{name} {NAME[:120]}.log").write_text(
            "".join(f"{line.replace('standup', HOSTILE)} {HOSTILE}\n" for line in lines), encoding="utf-8"
        )
    console = [
        "config.js:1 This appears to be the first time this device has run Jitsi Meet",
        f"Logger.js:155 2026-11-24T20:44:06.9Z [JitsiConference.js] <Xi._onIceConnectionFailed>:  ICE failed {HOSTILE}",
        f"Logger.js:155 2026-11-24T20:44:07.1Z [modules/xmpp/strophe.util.js] <Object.error>:  Strophe: {HOSTILE}",
        f"Logger.js:155 2026-11-24T20:44:08.1Z [features/base/conference] <Y>:  CONFERENCE FAILED: {HOSTILE}",
    ]
    (folder / f"console {NAME}.txt").write_text("\n".join(console) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def call(case: Path) -> jl.Call:
    return jl.load(case)


def shown(*words: str) -> str:
    """What a terminal is shown, but for colours of our own."""
    with contextlib.redirect_stdout(Screen()) as screen, contextlib.redirect_stderr(io.StringIO()) as errors:
        assert cli.main([*words]) in (0, 1)
    return OWN_COLOURS.sub("", screen.getvalue() + errors.getvalue())


# ---- what each form may hold


class Seen(HTMLParser):
    """Tags with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def is_quiet(text: str) -> None:
    assert text.strip()
    assert steering(text) == set()


def is_json(text: str) -> None:
    is_quiet(text)
    json.loads(text)


def is_csv(text: str) -> None:
    """Whole rows of one length; a cell may begin with ``=``, as docs/tables.md says."""
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) > 1


def is_markup(text: str, scripts: int = 0) -> None:
    """HTML or SVG in which no text became a tag."""
    is_quiet(text.replace("\r", ""))
    seen = Seen(text)
    assert sum(tag == "script" for tag, _ in seen.tags) == scripts
    assert not [tag for tag, _ in seen.tags if tag in ("iframe", "object", "embed", "foreignobject", "base", "form")]
    for tag, own in seen.tags:
        assert not [name for name in own if name.startswith("on")], (tag, own)
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            target = own.get(name) or "#"
            assert target.startswith(("#", "data:image/")) or (tag == "link" and target == "data:,"), (tag, own)


def is_markdown(text: str) -> None:
    is_quiet(text)
    unfenced = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    outside = re.sub(r"(?s)(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", unfenced)
    assert not re.search(r"(?<!\\)<(script|img|svg)", outside), outside
    assert not re.search(r"(?<!\\)\]\((javascript|http://x)", outside)


def is_typst(text: str) -> None:
    literals = re.compile(r'"(?:[^"\\]|\\.)*"')
    assert "hit=1" not in literals.sub('""', text)
    is_quiet(text)


def are_names(text: str) -> None:
    """Names of files that we chose."""
    is_quiet(text)
    assert not re.search(r"[<>|\"'*`\\]", text), text


# ---- the outputs

Output = tuple[str, str]  # form, text
FORMS: dict[str, Callable[[str], None]] = {
    "terminal": is_quiet, "json": is_json, "csv": is_csv, "html": is_markup, "page": lambda text: is_markup(text, 1),
    "svg": is_markup, "markdown": is_markdown, "typst": is_typst, "names": are_names,
}  # fmt: skip


def _commands(*words: str, form: str) -> Callable[[Path, jl.Call, Path], Iterator[Output]]:
    def make(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
        yield form, shown(*words, str(case)) if words[0] != "table" else shown(*words[:2], str(case), *words[2:])

    return make


def _tables(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    for name in ("participants", "log", "events", "xmpp", "timeline"):
        assert cli.main(["table", name, str(case), "-o", str(out / f"{name}.csv")]) == 0
        yield "csv", (out / f"{name}.csv").read_text(encoding="utf-8")
        yield "json", shown("table", name, str(case), "--to", "json")
        yield "terminal", shown("table", name, str(case))


def _report(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    from jitsilab.pages import casereport
    from jitsilab.pages.casereport import paper

    casereport.write(call, out / "report")
    yield "page", (out / "report" / "report.html").read_text(encoding="utf-8")
    yield "markdown", (out / "report" / "report.md").read_text(encoding="utf-8")
    yield "json", (out / "report" / "results.json").read_text(encoding="utf-8")
    for path in (out / "report").glob("*.svg"):
        yield "svg", path.read_text(encoding="utf-8")
    yield "typst", paper.source(casereport.assemble(call))
    yield "names", casereport.folder_name(call.name) + "\n" + "\n".join(one.name for one in (out / "report").iterdir())


def _card(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    yield "html", call._repr_html_()


def _evidence(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    yield "terminal", shown("evidence", str(case), "--check", "SEC-03", "-o", str(out / "proof.pcapng"))
    made = jl.load(out / "proof.pcapng").packets[0].wire
    assert made is not None
    assert made.packets.comments
    for one in made.packets.comments:
        yield "terminal", one.text
    for one in made.packets.interfaces:
        yield "terminal", one.name
    yield "terminal", shown("evidence", str(case), "--check", "SEC-37")


def _share(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    (out / "plain").mkdir()  # a name of a file that is a name in the call too is refused: nothing is written then
    for pattern, name in (("call*", "call.pcapng"), ("keys.txt", "keys.txt"), ("jicofo*", "jicofo.log")):
        shutil.copy(next(case.glob(pattern)), out / "plain" / name)
    yield "terminal", shown("share", str(out / "plain"), "-o", str(out / "shared"), "--key", "k", "--pack")
    made = [one for one in (out / "shared").rglob("*") if one.is_file()]
    assert made
    for path in made:
        if path.suffix == ".md":
            yield "markdown", path.read_text(encoding="utf-8")
        elif path.suffix == ".json":
            yield "json", path.read_text(encoding="utf-8")
        elif path.name == "diagnosis.txt":
            yield "terminal", path.read_text(encoding="utf-8")
    nicks = {str(one) for one in jl.load(out / "plain").participants["nick"]}
    assert not nicks & {str(one) for one in jl.load(out / "shared").participants["nick"]}


def _survey(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    pytest.importorskip("distributed")
    one = next(case.glob("call*"))
    yield "terminal", shown("survey", str(one), "-o", str(out / "set"), "--workers", "1")
    yield "names", "\n".join(str(path.relative_to(out)) for path in (out / "set").rglob("*"))


def _assistant(case: Path, call: jl.Call, out: Path) -> Iterator[Output]:
    desk, paths = assistants.Desk([case.parent]), [str(case)]
    ask = {name: assistants._answering(getattr(desk, name), AssertionError) for name in assistants.TOOLS}
    yield "terminal", ask["diagnose"](paths)
    yield "json", ask["diagnose"](paths, form="json")
    yield "terminal", ask["audit"](paths)
    yield "json", ask["audit"](paths, form="json")
    yield "json", ask["tables"](paths, "participants")
    yield "json", ask["tables"](paths, "log")
    yield "json", ask["timeline"](paths)
    yield "json", ask["evidence"](paths, check="SEC-03")


OUTPUTS: dict[str, Callable[[Path, jl.Call, Path], Iterator[Output]]] = {
    "diagnose": _commands("diagnose", form="terminal"),
    "diagnose --json": _commands("diagnose", "--json", form="json"),
    "audit": _commands("audit", form="terminal"),
    "audit -v": _commands("audit", "-v", form="terminal"),
    "audit --json": _commands("audit", "--json", form="json"),
    "audit --sarif": _commands("audit", "--sarif", form="json"),
    "table": _tables, "report": _report, "card": _card, "evidence": _evidence, "share": _share, "survey": _survey,
    "mcp": _assistant,
}  # fmt: skip


@pytest.mark.parametrize("name", thinned(OUTPUTS))
def test_nothing_said_is_more_than_text(
    name: str, case: Path, call: jl.Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (diagnose, audit, table, evidence):
        monkeypatch.setattr(module, "load", lambda *_: call)
    monkeypatch.setattr(assistants.Desk, "_call", lambda *_: call)
    seen = list(OUTPUTS[name](case, call, tmp_path))
    assert seen
    for form, text in seen:
        FORMS[form](text)


@pytest.mark.tool("chromium")
def test_a_browser_shows_it_and_runs_nothing(call: jl.Call, tmp_path: Path) -> None:
    """Report, drawing and card, opened: no script of the evidence, nothing asked for, nothing said to the console."""
    from jitsilab.pages import casereport

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    casereport.write(call, tmp_path / "report")
    (tmp_path / "card.html").write_text(f"<!doctype html><meta charset=utf-8>{call._repr_html_()}", encoding="utf-8")
    pages = [tmp_path / "card.html", tmp_path / "report" / "report.html", *(tmp_path / "report").glob("*.svg")]
    assert len(pages) == 3
    with Browser(program, tmp_path / "profile") as browser:
        for path in pages:
            page = browser.open(path, 1280)
            page.run("new Promise((done) => setTimeout(done, 100))")
            assert page.run("typeof window.hit") == "undefined", path.name
            assert page.problems == [], path.name
            assert path.suffix == ".svg" or "window.hit=1" in page.run("document.documentElement.textContent")
