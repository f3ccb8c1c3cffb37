"""The docs site: ``make docs``. It needs no network; notebooks are shown as they are kept."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def without_links(text: str) -> str:
    """The text of a notebook without links into the report that it is a part of."""
    text = re.sub(r"\[\[(\d+)\]\]\(#ref-\d+\)", r"[\1]", text)
    return re.sub(r"\[([^\[\]]+)\]\(#(?:figure|table|ref)-[\w-]+\)", r"\1", text)


shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for book in sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb")):
    kept = json.loads(book.read_text(encoding="utf-8"))
    for cell in kept["cells"]:  # the report has the references and the numbers of figures
        if cell["cell_type"] == "markdown":
            cell["source"] = without_links("".join(cell["source"]))
        for output in cell.get("outputs", ()):
            if "text/markdown" in output.get("data", {}):
                output["data"]["text/markdown"] = without_links("".join(output["data"]["text/markdown"]))
    (HERE / "notebooks" / book.name).write_text(json.dumps(kept), encoding="utf-8")

project = "jitsilab"
extensions = ["myst_nb"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build"]
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"  # tables too
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
html_theme = "furo"
html_title = "jitsilab"
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False

#: what the theme and pandas write, and what somebody without a mouse or without eyes needs in its place
MENDED = {
    "<pre>": '<pre tabindex="0">',  # what scrolls can be reached
    '<div class="table-wrapper ': '<div tabindex="0" class="table-wrapper ',
    "<th></th>": "<td></td>",  # a corner heads nothing
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Site">',
    '<aside class="toc-drawer': '<aside aria-label="This page" class="toc-drawer',
    '<div id="search-results">': '<h1>Search</h1>\n<div id="search-results" aria-live="polite">',
}


def mend(app: Any, error: Exception | None) -> None:
    """Mend every page that was written; one that was mended before has nothing more to mend."""
    for page in Path(app.outdir).rglob("*.html") if error is None else ():
        text = mended = page.read_text(encoding="utf-8")
        for found, needed in MENDED.items():
            mended = mended.replace(found, needed)
        if mended != text:
            page.write_text(mended, encoding="utf-8")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("build-finished", mend)
