"""Notebooks in a real JupyterLab: every cell runs, pictures and the card are seen, controls move what they should."""

from collections.abc import Iterator

import jupyter_lab
import pytest
from browser_page import Browser, Page

NOTEBOOKS = sorted(path.stem for path in (jupyter_lab.ROOT / "notebooks").glob("0*.ipynb"))
#: which notebooks have pictures, and how many at least
PICTURES = {"01-deploy": 1, "02-capture": 1, "03-signaling": 5, "06-fleet": 1}
pytestmark = [pytest.mark.slow, pytest.mark.tool("chromium")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("jupyterlab")
    with jupyter_lab.server(tmp_path_factory.mktemp("lab")) as found:
        yield found


def ran(page: Page) -> None:
    """Every cell ran and none failed; what it shows is drawn and fits; nobody else was asked."""
    cells = jupyter_lab.run_all(page)
    code = [cell for cell in cells if cell["cell_type"] == "code" and cell["source"]]
    assert code
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert [output for output in outputs if output["output_type"] in ("error", "stream")] == []
    assert page.run("window.ran") is True
    page.wait_for("Array.from(document.querySelectorAll('.jp-OutputArea-output img'))"
                  ".every((one) => one.complete && one.naturalWidth > 100)")  # fmt: skip
    outputs_shown = "Array.from(document.querySelectorAll('.jp-OutputArea-output'))"
    wide = f"{outputs_shown}.filter((one) => one.scrollWidth > one.clientWidth + 1)"
    assert page.run(f"{wide}.map((one) => one.textContent.slice(0, 80))") == []
    # what only programs read is one line to people
    assert page.run("document.querySelector('.jp-Cell:last-of-type .jp-OutputArea').offsetHeight") < 60
    assert [one for one in page.problems if one.startswith("asks for")] == []


@pytest.mark.nightly("all others but 00-explore")
@pytest.mark.parametrize("name", [one for one in NOTEBOOKS if one != "00-explore"])
def test_a_notebook_runs_and_shows_its_pictures(name: str, browser: Browser, address: str) -> None:
    page = jupyter_lab.opened(browser, address, f"{name}.ipynb")
    ran(page)
    pictures = "document.querySelectorAll('.jp-OutputArea-output img, .jp-OutputArea-output svg').length"
    assert page.run(pictures) >= PICTURES.get(name, 0)
    jupyter_lab.closed(page)


def test_the_card_is_seen_and_controls_move_the_table(browser: Browser, address: str) -> None:
    page = jupyter_lab.opened(browser, address, "00-explore.ipynb")
    ran(page)
    card = page.run("document.querySelector('.jp-RenderedHTML').innerText")
    for words in ("TURN refuses to relay to the bridge", "cem", "allowed-peer-ip=172.31.37.118", "frames 601, 602"):
        assert words in card
    told = page.run("document.querySelector('.jp-Notebook').innerText").replace("\u00a0", " ")
    assert "UTC, ns" in told
    assert "time of that frame; empty where the source has only relative times" in told  # whole, not cut
    rows = "document.querySelectorAll('.explored tbody tr').length"
    every = page.wait_for(rows)
    # a participant is chosen: the kernel answers with other rows
    page.run(
        "const control = Array.from(document.querySelectorAll('.widget-dropdown'))"
        ".find((one) => one.textContent.includes('participant')).querySelector('select');"
        "control.value = 'cem'; control.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    page.wait_for(f"{rows} < {every}")
    assert page.run(rows) > 3
    assert page.run("Array.from(document.querySelectorAll('.explored tbody tr'), (one) => one.cells[1].textContent)"
                    ".every((one) => one === 'cem')")  # fmt: skip
    # and a window of time: the left handle of the slider by its keys
    some = page.run(rows)
    page.run("document.querySelector('.widget-slider .noUi-handle-lower').focus()")
    for _ in range(8):
        page.key("PageUp")
    page.wait_for(f"{rows} < {some}")
    assert page.run("Number(document.querySelector('.explored tbody tr').cells[0].textContent)") > 1
    jupyter_lab.closed(page)


@pytest.mark.nightly("as 00-explore")
def test_a_call_shows_itself(browser: Browser, address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import nbformat

    folder = next(tmp_path_factory.getbasetemp().glob("lab*/notebooks"))
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    book.cells = [nbformat.v4.new_code_cell(source) for source in (
        "import jitsilab as jl\ncall = jl.load('hostile')\ncall", "call.diagnosis", "call.timeline")]  # fmt: skip
    nbformat.write(book, folder / "mine.ipynb")
    page = jupyter_lab.opened(browser, address, "mine.ipynb")
    jupyter_lab.run_all(page)
    shown = page.run("Array.from(document.querySelectorAll('.jp-RenderedHTML'), (one) => one.innerText)")
    assert len(shown) == 3
    assert "<script>alert(1)</script>" in shown[2]
    for card in shown[:2]:
        assert "Both participants have media." in card
        assert "<script>alert(1)</script>" in card
    assert page.run("document.querySelectorAll('.jp-RenderedHTML script').length") == 0
    seen = "Array.from(document.querySelectorAll('.jl-timeline tbody tr')).filter((one) => one.offsetHeight > 0).length"
    every = page.run(seen)
    page.run("document.querySelector('.jl-timeline input.source0').click()")
    fewer = page.run(seen)
    page.run("document.querySelectorAll('.jl-timeline input').forEach((one) => one.checked && one.click())")
    assert 0 < fewer < every
    assert page.run(seen) == 0
    jupyter_lab.closed(page)
