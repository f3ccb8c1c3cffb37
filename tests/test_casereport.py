"""The case report: who, why and what to change first; hostile text inert; whole or not at all; the schema holds."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import axe_core
import jsonschema
import pandas as pd
import pytest
import secrets_of
from browser_page import Browser, Page
from by_night import thinned
from calls import named

import jitsilab as jl
from jitsilab import cli
from jitsilab.case import timeline
from jitsilab.pages import casereport
from jitsilab.pages.casereport import document as parts
from jitsilab.pages.casereport import github, paper, places, results, web
from jitsilab.place import Place

HOSTILE = (
    "<script>alert(1)</script>\"]=cmd|'/C calc'!A0 #set text(red) *b* [x](javascript:alert(1)) `c` $x$ "
    "\u202e\x9b\ud800\n| #"
)
RECORDINGS = ("turn-refused", "hostile", "bridge-killed", "p2p-2")
FIXED = "urn:jitsilab:case-report:1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The report of a recording, made once."""
    found: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in found:
            out = tmp_path_factory.mktemp("reports") / name
            assert casereport.write(named(name), out)
            found[name] = out
        return found[name]

    return get


def hostile_document() -> parts.Document:
    """A report in which every place that evidence can reach holds hostile text."""
    text = parts.text
    card = parts.Card(
        "person-1", HOSTILE, "bad", HOSTILE, text(HOSTILE, parts.Code(HOSTILE)),
        [(HOSTILE, text(HOSTILE, parts.Link(HOSTILE, "frame-1"), parts.Mark(HOSTILE, "bad"), parts.Strong(HOSTILE)))],
        parts.Change(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
    )  # fmt: skip
    event = parts.Event(
        "event-1", 1.0, HOSTILE, "bridge", "ice", HOSTILE, Place(HOSTILE, 1), False, "bad", [(HOSTILE, HOSTILE)]
    )
    inside = parts.Event("event-2", 1.0, HOSTILE, HOSTILE, "ice", HOSTILE, Place(HOSTILE, line=1), True, "plain", [])
    ladder = parts.Ladder("ladder", text(HOSTILE), [HOSTILE, "bridge"], [HOSTILE], [event, inside])
    rows = [parts.Row([text(HOSTILE), text(HOSTILE)], own) for own in ("frame-1", "event-1", "event-2")]
    table = parts.Table("frames", text(HOSTILE), [HOSTILE, "x"], rows, 3, command=HOSTILE)
    section = parts.Section("story", HOSTILE, [parts.Paragraph(text(HOSTILE)), parts.Commands(HOSTILE), table])
    return parts.Document(HOSTILE, text(HOSTILE), "bad", HOSTILE, [card], [card], [ladder], [section], {})


class Seen(HTMLParser):
    """Tags with their attributes, and what a link or an id names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_text_is_text_in_html() -> None:
    page = web.page(hostile_document())
    seen = Seen(page)
    assert sum(tag == "script" for tag, _ in seen.tags) == 1
    assert not [name for _, own in seen.tags for name in own if name.startswith("on") or name == "style"]
    assert {own["href"] for _, own in seen.tags if own.get("href")} <= {"#frame-1", "#event-1", "#event-2", "#top",
                                                                        "#ladder", "#story"}  # fmt: skip
    assert "\u202e" not in page
    assert "\x9b" not in page
    page.encode()  # a lone surrogate could not be written


def test_hostile_text_is_text_in_markdown() -> None:
    page = github.page(hostile_document())
    page.encode()
    unfenced = re.sub(r"(?ms)^(`{3,})\n.*?^\1$", "", page)
    outside = re.sub(r"(?s)(`+) ?.*? ?\1(?!`)", "", unfenced)
    assert "<script" not in outside.replace("\\<script", "")
    assert "](javascript" not in outside.replace("\\](javascript", "")
    rows = [line for line in unfenced.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}


def test_hostile_text_is_text_in_typst() -> None:
    source = paper.source(hostile_document())
    literals = re.compile(r'"(?:[^"\\]|\\.)*"')
    head = source.index("#opening(")
    bare = literals.sub('""', source[head:])
    assert "set text" not in bare
    assert "alert" not in bare
    made = paper.pdf(hostile_document())
    assert made is not None
    assert made.startswith(b"%PDF")


def test_the_policy_lets_nothing_run_but_the_pages_own_script() -> None:
    page = web.page(hostile_document())
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    for name, kind in (("script", "script-src"), ("style", "style-src")):
        code = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        assert len(code) == 1
        digest = base64.b64encode(hashlib.sha256(code[0].encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script>")


def test_names_of_inputs_are_short_and_different() -> None:
    names = places.short_names(["/x/a/jvb.log", "/x/b/jvb.log", "c.pcap", "/x/a.tar/logs/jvb.log", "-"])
    assert names == {"/x/a/jvb.log": "a/jvb.log", "/x/b/jvb.log": "b/jvb.log", "c.pcap": "c.pcap",
                     "/x/a.tar/logs/jvb.log": "logs/jvb.log", "-": "-"}  # fmt: skip
    assert places.short_names(["/jvb.log", "/a/jvb.log"]) == {"/jvb.log": "jvb.log", "/a/jvb.log": "a/jvb.log"}


@pytest.mark.parametrize("name", thinned(RECORDINGS))
def test_links_lead_somewhere(name: str, made: Callable[[str], Path]) -> None:
    seen = Seen((made(name) / "report.html").read_text(encoding="utf-8"))
    ids = [own["id"] for _, own in seen.tags if own.get("id")]
    assert len(ids) == len(set(ids))
    links = {str(own["href"]) for _, own in seen.tags if own.get("href")}
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    text = (made(name) / "report.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\\)\]\(#([^)]+)\)", text)) <= set(re.findall(r'<a id="([^"]+)"></a>', text))


@pytest.mark.parametrize("name", thinned(RECORDINGS))
def test_results_keep_to_their_schema(name: str, made: Callable[[str], Path]) -> None:
    schema = results.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads((made(name) / "results.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(found)
    assert found["format"] == schema["$id"] == FIXED
    assert not [one for one in json.dumps(found).split('"') if one.startswith(str(Path.cwd()))]


def test_the_schema_refuses_what_is_no_result(made: Callable[[str], Path]) -> None:
    found = json.loads((made("turn-refused") / "results.json").read_text(encoding="utf-8"))
    found["diagnosis"]["participants"][0]["media_path"] = "telepathy"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(results.schema()).validate(found)


def test_answers_for_programs_keep_to_the_same_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "jicofo.log"
    log.write_text("Jicofo 2026-11-29 16:06:31.345 WARNING: [41] BridgeSelector.selectBridge#196: "
                   "There are no operational bridges.\n")  # fmt: skip
    for kind, arguments in {
        "diagnosis": ["diagnose", "jvb-3", "--against", "turn-refused"], "audit": ["audit", "turn-refused"],
    }.items():  # fmt: skip
        for given in (arguments, [arguments[0], str(log)]):
            cli.main([*given, "--json"])
            found = json.loads(capsys.readouterr().out)
            part = {**results.schema(), "$ref": f"#/$defs/{kind}"}
            part = {key: part[key] for key in ("$schema", "$defs", "$ref")}
            jsonschema.Draft202012Validator(part).validate(found)
            assert set(found) <= set(part["$defs"][kind]["properties"])


def test_the_page_of_json_is_that_of_the_schema() -> None:
    import json_page

    page = Path(__file__).resolve().parent.parent / "docs" / "json.md"
    assert page.read_text(encoding="utf-8") == json_page.page()


def test_who_why_and_what_to_change_come_first(made: Callable[[str], Path]) -> None:
    page = (made("turn-refused") / "report.html").read_text(encoding="utf-8")
    first = page[page.index("<main>") : page.index('id="story"')]
    where = [first.index(words) for words in ("TURN refuses to relay to the bridge", ">cem<", "allowed-peer-ip=",
                                              "frame.number in {601, 602}", ">ann<", 'class="ladder"')]  # fmt: skip
    assert where == sorted(where)
    assert not re.search(r"of 2020|[Tt]he study", page)
    assert "ann&#x27;s audio, opus" in page


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_secret_is_in_a_report(name: str, made: Callable[[str], Path], recording: Callable[[str], Path]) -> None:
    secrets = secrets_of.of(recording(name), named(name))
    for path in made(name).iterdir():
        if path.suffix != ".pdf":
            assert secrets_of.shown(path.read_text(encoding="utf-8"), secrets) == [], path.name


def test_logs_alone_have_a_report(tmp_path: Path) -> None:
    log = tmp_path / "jicofo.log"
    log.write_text(
        "Jicofo 2026-11-29 16:06:31.345 WARNING: [41] [room=standup@conference.meet.lab meeting_id=1] "
        "BridgeSelector.selectBridge#196: There are no operational bridges.\n"
    )
    out = tmp_path / "out"
    assert "report.html" in casereport.write(jl.load(str(log)), out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "no-bridge" in page
    assert "jicofo: bridge unavailable" in page[page.index('id="ladder"') : page.index("</svg></div>")]
    jsonschema.Draft202012Validator(results.schema()).validate(json.loads((out / "results.json").read_text()))


def test_a_report_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "jicofo.log"
    log.write_text("Jicofo 2026-11-29 16:06:31.345 WARNING: [41] BridgeSelector.selectBridge#196: "
                   "There are no operational bridges.\n")  # fmt: skip
    call = jl.load(str(log))
    out = tmp_path / "deep" / "out"

    def fails(_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(paper, "pdf", fails)
        with pytest.raises(KeyboardInterrupt):
            casereport.write(call, out)
    assert list(out.parent.iterdir()) == []
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    (out / "ladder.svg").write_text("of another call")
    casereport.write(call, out)
    assert (out / "mine.txt").read_text() == "kept"
    assert "of another call" not in (out / "ladder.svg").read_text(encoding="utf-8")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    casereport.write(jl.load(str(log)), out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "jicofo.log"
    log.write_text("Jicofo 2026-11-29 16:06:31.345 WARNING: [41] BridgeSelector.selectBridge#196: "
                   "There are no operational bridges.\n")  # fmt: skip
    assert cli.main(["report", str(log), "-o", str(tmp_path / "out")]) == 0
    assert f"The report is in {tmp_path / 'out'}: report.html" in capsys.readouterr().out
    assert cli.main(["report", str(log), "-p", "interval=2", "-o", str(tmp_path / "no")]) == 2
    assert "no parameters" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("name", "folder"), [("call.pcapng.zst", "call"), ("a/b\\c", "a-b-c"), ("..", "case"), ("x" * 300, "x" * 80)]
)
def test_the_folder_has_a_plain_name(name: str, folder: str) -> None:
    assert casereport.folder_name(name) == folder


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rgb or #rrggbb."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(c * 2 for c in digits)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_words_stand_out_from_what_is_behind_them(theme: int) -> None:
    style = re.findall(r"<style>(.*?)</style>", web.page(hostile_document()), re.DOTALL)[0]
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", re.findall(r":root[^{]*\{([^}]*)\}", style)[theme]))
    pairs = [(ink, back) for ink in ("ink", "soft", "link", "bad") for back in ("page", "tint")]
    pairs += [(tone, f"{tone}-back") for tone in ("good", "bad", "warn", "open")] + [("ink", "pick"), ("link", "pick")]
    pairs += [("soft", "pick")]
    for ink, back in pairs:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, back)


def settled(page: Page) -> list[str]:
    """What went wrong in a page up to now."""
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.problems


#: words of a table that stand on two lines, though nobody wrote a hyphen
BROKEN_WORDS = """
(() => {
  const broken = [], range = document.createRange();
  for (const cell of document.querySelectorAll("th, td:not(.long)")) {
    for (const text of cell.childNodes) {
      if (text.nodeType !== Node.TEXT_NODE) continue;
      for (const word of text.data.matchAll(/[^\\s\\u2010-]+/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        if (range.getClientRects().length > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
})()
"""


@pytest.mark.tool("chromium")
@pytest.mark.parametrize(
    ("name", "width"), thinned(((name, width) for name in RECORDINGS for width in (390, 1280, 1920)), every=4)
)
def test_a_page_fits_and_says_nothing_to_the_console(
    name: str, width: int, browser: Browser, made: Callable[[str], Path]
) -> None:
    page = browser.open(made(name) / "report.html", width, dark=width == 1920)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(
        "Array.from(document.querySelectorAll('.card, .table, figure, header, nav'))"
        ".filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.className + one.id)"
    ) == []  # fmt: skip
    assert page.run(BROKEN_WORDS) == []
    assert page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(21, 24, 28)" if width == 1920 else "rgb(255, 255, 255)"
    )
    assert settled(page) == []


@pytest.mark.tool("chromium")
def test_the_first_screen_answers(browser: Browser, made: Callable[[str], Path]) -> None:
    page = browser.open(made("turn-refused") / "report.html", 1280, 900)
    for what in (".verdict", ".card.bad .change", ".ladder .scroll", ".notices .card"):
        assert page.run(f"document.querySelector('{what}').getBoundingClientRect().bottom") <= 900, what
    for width, height in ((1280, 900), (390, 844)):  # all have media, and yet something is to be changed
        beside = browser.open(made("colibri-403") / "report.html", width, height)
        for what in (".verdict", ".card .change"):
            assert beside.run(f"document.querySelector('{what}').getBoundingClientRect().bottom") <= height, what
        assert beside.run("document.querySelectorAll('.notices .change').length") == 0
    red = page.run("getComputedStyle(document.querySelector('.card.bad .mark')).color")
    assert page.run("getComputedStyle(document.querySelector('.row.proof .label')).fill") == red
    page = browser.open(made("turn-refused") / "report.html", 390, 844)
    for what in (".verdict", ".card.bad .lead", ".card.bad .change"):
        assert page.run(f"document.querySelector('{what}').getBoundingClientRect().bottom") <= 844, what


@pytest.mark.tool("chromium")
def test_clicks_do_what_they_say(browser: Browser, made: Callable[[str], Path]) -> None:
    page = browser.open(made("turn-refused") / "report.html", 1280)
    shown: Callable[[], Any] = lambda: page.run("document.querySelectorAll('.ladder .row:not(.off)').length")  # noqa: E731
    every = shown()
    page.run("document.querySelector('.ladder [data-kind=\"tls\"]').click()")
    assert 0 < shown() < every
    assert page.run("document.querySelectorAll('.row[data-layer=\"tls\"]:not(.off)').length") == 0
    assert page.run("document.querySelector('svg.rows').viewBox.baseVal.height") == 24 * shown()
    height = "Number(document.querySelector('svg.rows').getAttribute('height'))"
    page.run("document.querySelector('.ladder [data-kind=\"tls\"]').click()")
    assert shown() == every
    before = page.run(height)
    page.run("document.querySelector('[data-zoom=\"1.25\"]').click()")
    assert page.run(height) == pytest.approx(before * 1.25)
    page.run(
        "document.querySelector('.row.bad a').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
    )
    assert "403" in page.run("document.querySelector('.chosen').textContent")
    rows = "Array.from(document.querySelectorAll('#steps-table tbody tr')).filter((one) => !one.hidden).length"
    every = page.run(rows)
    page.run("const f = document.querySelector('#steps-table input'); f.value = 'otherwise cem'; "
             "f.dispatchEvent(new Event('input'))")  # fmt: skip
    assert 0 < page.run(rows) < every
    first = "document.querySelector('#streams-table tbody tr').cells[3].textContent"
    page.run("document.querySelectorAll('#streams-table thead th button')[3].click()")
    least = page.run(first)
    page.run("document.querySelectorAll('#streams-table thead th button')[3].click()")
    assert int(least) < int(page.run(first).replace(",", ""))
    assert page.run("document.querySelectorAll('#streams-table thead th')[3].getAttribute('aria-sort')") == "descending"
    assert not page.run("document.getElementById('events').open")
    page.run("location.hash = '#event-1'; new Promise((done) => setTimeout(done, 50))")
    assert page.run("document.getElementById('events').open")
    page.run("document.getElementById('evidence').scrollIntoView(); new Promise((done) => setTimeout(done, 50))")
    assert page.run("document.querySelector('nav [aria-current=true]').hash") == "#evidence"
    page.run("document.getElementById('theme').click()")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert settled(page) == []


@pytest.mark.tool("chromium")
def test_what_a_capture_holds_does_not_run(browser: Browser, made: Callable[[str], Path], tmp_path: Path) -> None:
    page = browser.open(made("hostile") / "report.html", 1280)
    assert "<script>alert(1)</script>" in page.run("document.querySelector('.cards').textContent")
    assert page.run("document.scripts.length") == 1
    assert settled(page) == []
    broken = tmp_path / "broken.html"  # even where an escape were forgotten, the policy stands
    text = (made("hostile") / "report.html").read_text(encoding="utf-8")
    broken.write_text(
        text.replace("<main>", "<main><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>", 1)
    )
    page = browser.open(broken, 1280)
    assert page.run("window.ran === undefined")
    assert any("Content Security Policy" in one for one in settled(page))


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("name", ["hostile", "jvb-ipv6"])
def test_nobody_is_shut_out(name: str, browser: Browser, made: Callable[[str], Path]) -> None:
    shuts_nobody_out(name, browser, made)


@pytest.mark.tool("chromium")
@pytest.mark.nightly("four more like them")
@pytest.mark.parametrize("name", ["turn-refused", "bridge-killed", "p2p-2", "ws-404"])
def test_nor_in_other_reports(name: str, browser: Browser, made: Callable[[str], Path]) -> None:
    shuts_nobody_out(name, browser, made)


def shuts_nobody_out(name: str, browser: Browser, made: Callable[[str], Path]) -> None:
    axe_core.needed()
    page = browser.open(made(name) / "report.html", 1280)
    axe_core.load(page)
    for width in (390, 1280):
        page.resize(width)
        found = axe_core.all_but_contrast(page)
        assert found["violations"] == []
        assert {"button-name", "link-name", "label", "list", "landmark-unique"} <= set(found["passed"])
    for dark in (False, True):
        found = axe_core.contrast(page, dark=dark)
        assert found["violations"] == []
        assert found["passed"]["color-contrast"] > 300
        assert found["open"].get("color-contrast", 0) < 10  # the ladder's colours are tried above


def test_a_call_between_two_participants_is_drawn_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = {"flow": 0, "client": "192.168.1.2", "server": "192.168.1.3"}
    check = {"flow": 0, "frame": 1, "seconds": 0.0, "up": True, "depth": 0, "method": "Binding",
             "message_class": "request", "use_candidate": False}  # fmt: skip
    tables = {"flows": pd.DataFrame([flow]), "stun": pd.DataFrame([check])}
    monkeypatch.setattr(timeline.cast, "build", lambda _: None)
    monkeypatch.setattr(
        timeline.cast, "addresses", lambda *_: {"192.168.1.2": "192.168.1.2", "192.168.1.3": "192.168.1.3"}
    )
    rows = timeline.events(tables, {"192.168.1.2": "ann", "192.168.1.3": "ben"})
    assert [(row.source, row.target) for row in rows.itertuples()] == [("ann", "ben")]


def test_programs_stand_on_the_ladder_where_clocks_are_known(made: Callable[[str], Path]) -> None:
    found = json.loads((made("bridge-killed") / "results.json").read_text(encoding="utf-8"))
    events = found["ladders"][0]["events"]
    said = [one for one in events if one["layer"] == "lines"]
    lost = next(one for one in said if one["label"].startswith("jicofo: bridge lost"))
    assert lost["place"] == {"input": "jicofo.log", "line": lost["place"]["line"]}
    media = [one["seconds"] for one in events if one["layer"] == "media"]
    assert min(media) < lost["seconds"] < 40  # in the middle of the call, though another machine dated it
    assert "jicofo" not in (made("bridge-killed") / "ladder.svg").read_text(encoding="utf-8")


def test_a_notebook_shows_the_answer() -> None:
    card = named("turn-refused")._repr_html_()
    seen = Seen(card)
    assert {tag for tag, _ in seen.tags} <= {"div", "table", "tr", "td", "b", "span", "code", "pre"}
    assert not [name for _, own in seen.tags for name in own if name not in ("style", "tabindex")]
    for words in ("TURN refuses to relay to the bridge", "cem", "allowed-peer-ip=172.31.37.118", "601, 602"):
        assert words in card
    hostile = named("hostile")._repr_html_()
    assert "<script" not in hostile
    assert "\u202e" not in hostile


def test_what_changed_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(["report", "jvb-3", "--against", "turn-refused", "-o", str(out)]) == 0
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(results.schema()).validate(found)
    assert [one["change"] for one in found["changes"]["participants"]] == ["has-media"]
    page = (out / "report.html").read_text(encoding="utf-8")
    since = page[page.index('id="since"') : page.index('id="story"')]
    assert "cem has media now over TURN inside TLS, had none before" in since
    assert "TURN refuses to relay to the bridge" in since
    assert 'id="since"' not in web.page(hostile_document())


def test_several_captures_of_one_call_keep_their_frames_apart(recording: Callable[[str], Path], tmp_path: Path) -> None:
    folder = recording("alone")
    call = jl.load(folder / "capture-eth0.pcapng", folder / "capture-any.pcapng", keylog=folder / "keys.txt")
    out = tmp_path / "out"
    casereport.write(call, out)
    seen = Seen((out / "report.html").read_text(encoding="utf-8"))
    ids = [own["id"] for _, own in seen.tags if own.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(own["href"])[1:] for _, own in seen.tags if own.get("href")} <= set(ids)
    for number in (1, 2):
        assert any(str(one).startswith(f"frame-{number}-") for one in ids)
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(results.schema()).validate(found)
    assert {one["capture"] for one in found["steps"]} == {"capture-eth0.pcapng", "capture-any.pcapng"}


def test_a_line_that_proves_is_shown_without_its_secret(tmp_path: Path) -> None:
    log = tmp_path / "<img src=x onerror=alert(1)>.log"
    log.write_text(
        "Jicofo 2026-11-29 16:06:31.345 WARNING: [41] [room=<script>alert(1)</script>@conference.meet.lab "
        "meeting_id=1 password=hunter22hunter] BridgeSelector.selectBridge#196: There are no operational bridges.\n"
    )
    out = tmp_path / "out"
    casereport.write(jl.load(log), out)
    seen = Seen((out / "report.html").read_text(encoding="utf-8"))
    assert not [tag for tag, _ in seen.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in seen.tags) == 1
    lines = (out / "report.html").read_text(encoding="utf-8").partition('id="lines-table"')[2]
    assert "There are no operational bridges." in lines
    for path in out.iterdir():
        assert b"hunter22" not in path.read_bytes()


@pytest.mark.tool("chromium")
def test_paper_is_white_and_folded_sections_stay_folded(browser: Browser, made: Callable[[str], Path]) -> None:
    page = browser.open(made("turn-refused") / "report.html", 1280, dark=True)
    page.run("document.getElementById('theme').click(); document.getElementById('theme').click()")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    page.send("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.querySelector('.verdict')).color") == "rgb(0, 0, 0)"
    assert page.run("getComputedStyle(document.querySelector('svg.lanes text')).fill") == "rgb(0, 0, 0)"
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    rows = "document.querySelectorAll('.ladder .row').length"
    every = page.run(rows)
    page.run("dispatchEvent(new Event('beforeprint'))")
    parts = page.run("Array.from(document.querySelectorAll('svg.part'), (one) => one.querySelectorAll('.row').length)")
    assert sum(parts) == every
    assert max(parts) <= 8  # so that no row is cut where a page ends
    assert page.run("getComputedStyle(document.querySelector('svg.rows')).display") == "none"
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(rows) == every
    assert page.printed().startswith(b"%PDF")
    assert not page.run("document.getElementById('steps-all').open")


def test_a_crowd_keeps_the_report_small(tmp_path: Path) -> None:
    log = tmp_path / "jicofo.log"
    line = (
        "Jicofo 2026-11-29 16:%02d:%02d.345 INFO: [41] [room=standup@conference.meet.lab meeting_id=1 "
        "participant=%08x] ParticipantInviteRunnable.doInviteOrReinvite#1: Sending session-initiate to: "
        "standup@conference.meet.lab/%08x sources={}\n"
    )
    log.write_text("".join(line % (i // 60, i % 60, i + 1, i + 1) for i in range(600)))
    out = tmp_path / "out"
    casereport.write(jl.load(log), out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(found["diagnosis"]["participants"]) == 600
    assert page.count('<article class="card') <= 100
    seen = Seen(page)
    ids = {own["id"] for _, own in seen.tags if own.get("id")}
    assert {str(own["href"])[1:] for _, own in seen.tags if own.get("href")} <= ids
