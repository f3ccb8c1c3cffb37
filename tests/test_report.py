"""The report: numbers that were never typed, hostile text that stays text, the same bytes each time."""

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jitsilab.errors import CaptureError, LabError, ParameterError
from jitsilab.inputs import registry
from jitsilab.pages import markdown, report
from jitsilab.pages.narrative import Story, plain
from jitsilab.pages.narrative.blocks import Figure, Table, Transcript
from jitsilab.pages.notebook import BLOCK, RESULT
from jitsilab.pages.report import document as documents
from jitsilab.pages.report import parameters, render

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = (
    "<script>alert(1)</script> [x](javascript:1) `y` | *b* #let x = 1 $a$ https://e.example www.e.example @u \u202e\x00"
)
REFERENCES = [{"number": 2, "text": "A text", "url": "https://reference.example/"}]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"><rect width="4" height="3"/></svg>'


def executed(*cells: tuple[str, Any, list[str]]) -> Any:
    """A notebook after its run: markdown cells, and code cells with blocks or results."""
    notebook = nbformat.v4.new_notebook()
    for kind, content, tags in cells:
        if kind == "markdown":
            cell = nbformat.v4.new_markdown_cell(content)
        else:
            mime = RESULT if kind == "result" else BLOCK
            cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", {mime: content})])
        cell.metadata["tags"] = tags
        notebook.cells.append(cell)
    return notebook


def document(*cells: tuple[str, Any, list[str]], study: bool = True) -> documents.Document:
    made = documents.Document("Title", "Subtitle")
    documents.assemble(made, "01-test", executed(*cells), study=study)
    documents.number(made)
    return made


def hostile_document() -> documents.Document:
    import pandas as pd

    story = Story().add("A name: {name}. It has {count} frames.", name=HOSTILE, count=3)
    table = Table("names", pd.DataFrame({HOSTILE: [HOSTILE, None]}), markdown.escape(HOSTILE))
    words = Transcript("words", (HOSTILE, "```", "#let y = 2"), markdown.escape(HOSTILE))
    drawing = Figure("drawing", markdown.escape(HOSTILE), PNG, SVG)
    return document(
        ("markdown", "See [Figure](#figure-drawing), [Table](#table-names), [Figure](#figure-none) [[2]](#ref-2).", []),
        ("block", {"kind": "text", "text": story.text}, []),
        ("block", table.as_json(), []),
        ("block", words.as_json(), []),
        ("block", drawing.as_json(), []),
    )


def test_figures_transcripts_and_tables_are_numbered_and_linked() -> None:
    made = hostile_document()
    assert [block.label for block in made.blocks] == ["", "", "Table 1", "Figure 1", "Figure 2"]
    assert "[Figure 2](#figure-drawing), [Table 1](#table-names), the figure left out here" in made.blocks[0].text
    assert made.cited() == {2}


def test_cells_are_chosen_by_their_tags() -> None:
    cells = (("markdown", "reader", ["notebook"]), ("markdown", "2020", ["study"]), ("markdown", "now", ["recording"]),
             ("markdown", "always", []), ("result", {"frames": 3}, ["results"]))  # fmt: skip
    assert [block.text for block in document(*cells).blocks] == ["2020", "always"]
    assert [block.text for block in document(*cells, study=False).blocks] == ["now", "always"]
    assert document(*cells).results == {"01-test": {"frames": 3}}


def test_hostile_text_stays_text_in_html() -> None:
    page = render.html(hostile_document(), REFERENCES)
    body = page[page.index("<main>") : page.index("</main>")]
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    assert re.findall(r'href="(?!#)([^"]*)', body) == [REFERENCES[0]["url"]]
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "<em>b</em>" not in body
    assert "<U+202E>" in body.replace("&lt;", "<").replace("&gt;", ">")


def test_hostile_text_is_set_by_typst_and_looks_for_no_network(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "drawing.svg").write_text(SVG)
    made = render.pdf(hostile_document(), REFERENCES, tmp_path)
    assert made.startswith(b"%PDF")
    assert made == render.pdf(hostile_document(), REFERENCES, tmp_path)
    assert not list(tmp_path.glob("*.typ"))


def test_hostile_text_stays_text_on_github() -> None:
    text = render.github(hostile_document(), [])
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    assert "<script" not in outside.replace("\\<script", "")
    assert "](javascript" not in outside.replace("\\](javascript", "")
    assert "https://" not in outside
    assert "www.e" not in outside


def test_a_story_holds_every_value_it_tells() -> None:
    story = Story().add("{a:,} and {b:.2f} in frames {frames}", a=1234, b=0.5, frames=(1, 2, 3, 9))
    assert story.text == "1,234 and 0.50 in frames 1–3, 9"
    assert story.values == {"a": 1234, "b": 0.5, "frames": [1, 2, 3, 9]}
    assert plain(float("nan")) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a|b", r"a\|b"), ("1. x", r"1\. x"), ("1.5", "1.5"), ("- x", r"\- x"), ("a\nb", "a b"), ("a_b", r"a\_b")],
)
def test_escape(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[1-4]-*.ipynb"))


@pytest.mark.parametrize(
    ("given", "says"),
    [({"interval": "x"}, "type float"), ({"flow": "1.5"}, "type int"), ({"flow": True}, "type int"),
     ({"nothing": 1}, "flow (int, default 0)"), ({"evidence": "x"}, "argument of the command")],
)  # fmt: skip
def test_unknown_and_ill_typed_parameters_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(says)):
        parameters.checked(given, NOTEBOOKS)


def test_parameters_take_their_declared_types() -> None:
    given = {"interval": "2", "flow": "6", "scale": "time"}
    assert parameters.checked(given, NOTEBOOKS) == {"interval": 2.0, "flow": 6, "scale": "time"}


def test_what_is_not_there_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="jitsilab captures"):
        report.run("no-such-capture", out=tmp_path)
    with pytest.raises(CaptureError):
        report.run(tmp_path / "missing.pcap", out=tmp_path)
    with pytest.raises(LabError, match="no folder"):
        report.run(facts=tmp_path / "facts", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_error_inside_a_notebook_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="longer than 0 s, this one is -1"):
        report.run(parameters={"interval": "-1"}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def study() -> Path:
    return ROOT / "report"


@pytest.mark.nightly("`.ci/run` makes the report anew and compares it")
def test_the_study_gives_the_bytes_that_are_in_the_clone(tmp_path: Path) -> None:
    study = report.run(out=tmp_path)
    made = {path.relative_to(study): path.read_bytes() for path in study.rglob("*") if path.is_file()}
    kept = {path.relative_to(ROOT / "report"): path.read_bytes() for path in (ROOT / "report").rglob("*")
            if path.is_file()}  # fmt: skip
    for files in (made, kept):
        files.pop(Path("MANIFEST.json"), None)
    assert made.keys() == kept.keys()
    assert [str(name) for name in made if made[name] != kept[name]] == []


def test_the_html_is_one_file(study: Path) -> None:
    page = (study / "Project3.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#|https://[^"]*"[^>]*>)', page)
    assert not re.search(r'src="(?!data:)', page)
    assert not re.search(r"<link|@import|url\((?!data:)", page)
    assert 'src="figures' not in page


def test_links_lead_somewhere(study: Path) -> None:
    page = (study / "Project3.html").read_text(encoding="utf-8")
    there = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= there
    text = (study / "Project3.md").read_text(encoding="utf-8")
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#((?:ref|figure|table)-[^)]+)\)", text)) <= anchors
    for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (study / image).is_file()
        assert (study / image).with_suffix(".png").is_file()


def test_sections_figures_and_references_of_the_study(study: Path) -> None:
    text = (study / "Project3.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#{2,3} (.*)$", text, re.MULTILINE)
    for heading in ("I. Overview", "II. Deploy Own Jitsi Meet Server", "III. Signaling Analysis",
                    "i. Signaling in theory", "ii. Signaling in practice", "References"):  # fmt: skip
        assert heading in headings
    captions = re.findall(r"^\*\*Figure (\d+)\.\*\* (\w+ ?\w*)", text, re.MULTILINE)
    assert [int(number) for number, _ in captions] == list(range(1, len(captions) + 1))
    assert [words for _, words in captions[:4]] == ["Jitsi installation", "TLS certificate", "Service established",
                                                    "A running"]  # fmt: skip
    for number in range(7):
        assert f'<a id="ref-{number}"></a>[{number}]' in text
    assert "网络分析利器wireshark命令版(2): tshark使用示例" in text
    assert "REFUTED" in text


def test_every_number_of_the_results_came_from_a_notebook(study: Path) -> None:
    results = json.loads((study / "results.json").read_text(encoding="utf-8"))
    assert list(results) == [path.stem for path in NOTEBOOKS]
    assert results["02-capture"]["frames"] == 3076


def test_the_manifest_names_the_inputs(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("CLIENT_RANDOM\n")
    manifest = report.manifest(registry.STUDY, registry.data() / registry.STUDY, {"keylog": str(keys)})
    assert manifest["capture"] == registry.STUDY
    tables = sorted((registry.data() / registry.STUDY).glob("*.csv"))
    digests = {f"{registry.STUDY}/{table.name}": hashlib.sha256(table.read_bytes()).hexdigest() for table in tables}
    assert manifest["inputs"] == digests | {keys.name: hashlib.sha256(keys.read_bytes()).hexdigest()}
    assert len(tables) > 5
    assert "typst" in manifest["packages"]


def test_the_chinese_title_has_glyphs() -> None:
    from fontTools.ttLib import TTFont

    font = TTFont(io.BytesIO((render.ASSETS / "fonts" / "NotoSerifCJKsc-subset.otf").read_bytes()))
    wide = {ord(c) for c in (render.ASSETS / "references.json").read_text(encoding="utf-8") if ord(c) >= 0x3000}
    assert wide
    assert wide <= set(font.getBestCmap())
    assert "SIL OPEN FONT LICENSE" in (render.ASSETS / "fonts" / "OFL.txt").read_text(encoding="utf-8")
