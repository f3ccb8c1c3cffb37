"""What the cells of the notebooks call; the only importer of IPython.

A cell shows sentences, tables and figures (`show`, `figure`), and the last one hands out the results (`emit`). Each
output carries, beside what JupyterLab draws, the JSON from which `jitsilab.pages.report` assembles the report.
"""

import json
import os
import shlex
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import display

from jitsilab import call as captures
from jitsilab.errors import CaptureError
from jitsilab.fleet import Survey
from jitsilab.inputs import registry
from jitsilab.pages import figures
from jitsilab.pages.narrative import Story, plain
from jitsilab.pages.narrative.blocks import Figure, Table, Transcript
from jitsilab.pages.overview import Overview

if TYPE_CHECKING:
    from jitsilab.call import Call

BLOCK = "application/vnd.jitsilab.block+json"
RESULT = "application/vnd.jitsilab.result+json"
NAMED = 45  # letters of the names of results that people are told: with the words about them, one line

_told: dict[str, Any] = {}


def start(evidence: "str | Path | Sequence[str | Path]", keylog: str = "", point: str = "", facts: str = "") -> "Call":
    """Open what the parameters name, set the style of the figures and begin a new set of results.

    ``evidence`` is a path, a name of the registry, several with spaces between (quoted as a shell quotes), or a list.
    An empty ``keylog``, ``point`` or ``facts`` means what the registry has for that name; ``keylog="none"`` opens it
    without keys.
    """
    figures.set_style()
    _told.clear()
    lab = captures.load(
        *named(evidence), keylog=None if keylog in ("", "none") else keylog, point=point or None, facts=facts or None,
        use_keylog=keylog != "none",
    )  # fmt: skip
    return lab


def start_fleet(dataset: str, by: str = "", reports: str = "") -> Overview:
    """Open the dataset of a survey, or the one that comes with the project, and begin a new set of results."""
    figures.set_style()
    _told.clear()
    folder = Path(dataset) if Path(dataset).is_dir() else registry.data() / dataset
    if not (folder / "calls").is_dir():
        raise CaptureError(f"{dataset} is no dataset of a survey: jitsilab survey PATH... -o {dataset} writes one.")
    return Overview(Survey(folder), by, reports or None)


def named(evidence: "str | Path | Sequence[str | Path]") -> "list[str | Path]":
    """The pieces that a parameter names: one where such a path exists, else the words of it.

    >>> named("call.pcapng 'my logs/'"), named(["a b", "c"])
    (['call.pcapng', 'my logs/'], ['a b', 'c'])
    """
    if isinstance(evidence, str):
        return [evidence] if not evidence.strip() or os.path.exists(evidence) else [*shlex.split(evidence)]  # noqa: PTH110
    return [evidence] if isinstance(evidence, Path) else [*evidence]


def show(*blocks: Story | Table | Transcript | Figure) -> None:
    """Show sentences and tables one below the other and keep their values for `emit`."""
    for block in blocks:
        if isinstance(block, Story):
            if not block:
                continue
            _told.update(block.values)
            bundle: dict[str, Any] = {"text/markdown": block.text, BLOCK: {"kind": "text", "text": block.text}}
        elif isinstance(block, Figure):
            image = block.as_json()
            drawn = {"image/svg+xml": block.svg} if block.svg else {"image/png": image["png"]}
            bundle = {**drawn, BLOCK: image}
        else:
            if isinstance(block, Table):
                _told[block.name] = block.values()
            bundle = {"text/markdown": f"{block.text}\n\n*{block.caption}*", BLOCK: block.as_json()}
        display({"text/plain": f"<{type(block).__name__}>", **bundle}, raw=True)  # type: ignore[no-untyped-call]


def aside(*blocks: Story | Table) -> None:
    """Show what is for the reader of the notebook alone: it is no part of the report, and none of the results."""
    for block in blocks:
        text = block.text if isinstance(block, Story) else f"{block.text}\n\n*{block.caption}*"
        display({"text/plain": f"<{type(block).__name__}>", "text/markdown": text}, raw=True)  # type: ignore[no-untyped-call]


def figure(axes: figures.Axes, name: str, caption: str) -> None:
    """Show a drawing under a name and with a caption, and close it."""
    show(figures.render(axes, name, caption))


def emit(**results: Any) -> None:
    """Hand out what the notebook found: all values shown so far and ``results``, as JSON in the order of names.

    The output is kept in the file, and nbval compares it with the next run. People see one line of it.
    """
    values = {name: plain(value) for name, value in sorted({**_told, **results}.items())}
    text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False)
    shown = {RESULT: values, "text/markdown": in_a_line(values), "text/plain": text}
    display(shown, raw=True)  # type: ignore[no-untyped-call]


def in_a_line(values: dict[str, Any]) -> str:
    """What a cell of results says to people.

    >>> in_a_line({"frames": 12, "pairs": []})
    '*Kept for the report and for programs: `frames`, `pairs`.*'
    """
    names = [name for name, end in zip(values, accumulate(map(len, values)), strict=True) if end <= NAMED]
    more = f" and {len(values) - len(names)} more" if len(names) < len(values) else ""
    return f"*Kept for the report and for programs: {', '.join(f'`{name}`' for name in names)}{more}.*"
