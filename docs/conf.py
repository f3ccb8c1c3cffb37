"""The docs site: ``make docs``. It needs no network; notebooks are shown as they are kept."""

import json
import re
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for book in sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb")):
    kept = json.loads(book.read_text(encoding="utf-8"))
    for cell in kept["cells"]:
        if cell["cell_type"] == "markdown":  # the report has the references and the numbers of figures
            text = re.sub(r"\[\[(\d+)\]\]\(#ref-\d+\)", r"[\1]", "".join(cell["source"]))
            cell["source"] = re.sub(r"\[([^\[\]]+)\]\(#(?:figure|table|ref)-[\w-]+\)", r"\1", text)
    (HERE / "notebooks" / book.name).write_text(json.dumps(kept), encoding="utf-8")

project = "jitsilab"
extensions = ["myst_nb"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build"]
nb_execution_mode = "off"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
html_theme = "furo"
html_title = "jitsilab"
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
html_static_path: list[str] = []
html_show_copyright = False
html_show_sphinx = False
