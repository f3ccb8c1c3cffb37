"""A notebook as it is kept, from one that has run: ``python tests/kept_notebook.py FILE`` rewrites it.

Pictures, tables and sentences stay, so that they are seen where nothing runs; what only the report reads goes, except
in the cell of results, which is compared. So do times of the run, widgets and warnings.
"""

import sys
from pathlib import Path

import nbformat

ROOT = str(Path(__file__).resolve().parent.parent)
KEPT = "keep_output"
SHOWN = ("text/markdown", "text/html", "text/plain", "image/svg+xml", "image/png")


def shown(output: nbformat.NotebookNode) -> bool:
    """Whether an output is one for readers; a widget is none where nothing runs."""
    if output.output_type == "stream":
        return bool(output.name == "stdout")
    return "data" in output and not any("widget" in kind for kind in output.data)


def keep(path: Path) -> None:
    """Rewrite a notebook that has run."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata.get("tags", [])}
        if cell.cell_type != "code" or KEPT in cell.metadata["tags"]:
            continue
        cell.outputs = [output for output in cell.outputs if shown(output)]
        for output in cell.outputs:
            output.get("metadata", {}).clear()
            if "data" in output:
                shows = [kind for kind in SHOWN if kind in output.data]
                output.data = {kind: output.data[kind] for kind in shows if kind != "text/plain" or len(shows) == 1}
    text = nbformat.writes(notebook)
    path.write_text(text.replace(ROOT, ".") + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep(Path(name))
