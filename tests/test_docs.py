"""What the pages say happens: their commands are run, their Python too, and links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from jitsilab import cli

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(page for page in (*DOCS.glob("*.md"), *DOCS.glob("guides/*.md")))
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(match[2], id=f"{page.stem}-{page.read_text(encoding='utf-8')[: match.start()].count(chr(10)) + 1}")
    for page in PAGES
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    if match[1] == "console"
]


def words(text: str) -> str:
    """Without the breaks of lines, which follow the width of a terminal."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_print_what_the_page_shows(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for part in re.split(r"(?m)^\$ ", block)[1:]:
        command, _, expected = part.partition("\n")
        name, *arguments = shlex.split(command)
        assert name == "jitsilab"
        status = cli.main(arguments)
        captured = capsys.readouterr()
        assert status in (0, 1), captured.err
        printed, at = words(captured.out + captured.err), 0
        pieces = [words(piece) for piece in expected.split("...")]
        if pieces[0]:
            assert printed.startswith(pieces[0]), printed[:300]
        for piece in pieces:
            found = printed.find(piece, at)
            assert found >= 0, (piece, printed[at : at + 500])
            at = found + len(piece)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet").symlink_to(DOCS.parent / "data/fleet")  # what `jitsilab survey` of the page wrote
    there: dict[str, object] = {}
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match[1] == "python":
            exec(compile(match[2], page.name, "exec"), there)


def test_links_between_the_pages_of_a_clone_lead_somewhere() -> None:
    root = DOCS.parent
    pages = [*PAGES, *DOCS.glob("decisions/*.md"), *(root / name for name in ("README.md", "CONTRIBUTING.md"))]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = target.partition("#")[0]
            if path and not re.match(r"\w+:", path) and not (page.parent / path).exists():
                broken.append((page.name, target))
    assert broken == []
