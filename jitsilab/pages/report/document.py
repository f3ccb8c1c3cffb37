"""What the notebooks showed, in order: sentences and numbered figures, transcripts and tables.

A cell tagged ``notebook`` speaks to the reader of the notebook and is left out; one tagged ``study`` is about the study
of 2020 and stands in its report alone.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jitsilab.pages.markdown import anchor
from jitsilab.pages.notebook import BLOCK, RESULT

_CROSS = re.compile(r"\[(Figure|Table)\]\(#((?:figure|table)-[a-z0-9-]+)\)")
_CITED = re.compile(r"\(#ref-(\d+)\)")


@dataclass
class Block:
    """One thing in the report."""

    kind: str  # text, figure, transcript, table
    text: str = ""  # Markdown; of a figure: empty
    anchor: str = ""
    label: str = ""  # Figure 3, Table 1
    caption: str = ""  # Markdown
    files: dict[str, bytes] = field(default_factory=dict)  # of a figure, by file name; the first is the one shown


@dataclass
class Document:
    """The blocks of all notebooks, the references that they cite, and the results by notebook."""

    title: str
    subtitle: str
    abstract: str = ""  # Markdown: what cells tagged ``abstract`` say, for those who read no further
    blocks: list[Block] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)

    def cited(self) -> set[int]:
        """Numbers of the references that any text or caption links to."""
        texts = [text for block in self.blocks for text in (block.text, block.caption)]
        return {int(number) for text in texts for number in _CITED.findall(text)}


def assemble(document: Document, name: str, notebook: Any, *, study: bool) -> None:
    """Append what one executed notebook shows, and its results under its name."""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type == "markdown":
            if "notebook" not in tags and (study or "study" not in tags) and not (study and "recording" in tags):
                document.blocks.append(Block("text", cell.source.strip()))
            continue
        if cell.cell_type != "code" or (not study and "study" in tags):
            continue
        for output in cell.outputs:
            data = output.get("data", {})
            if BLOCK in data:
                document.blocks.append(_block(data[BLOCK]))
                if "abstract" in tags:
                    document.abstract += document.blocks[-1].text + "\n\n"
            if RESULT in data:
                document.results.setdefault(name, {}).update(data[RESULT])


def _block(shown: dict[str, Any]) -> Block:
    kind = shown["kind"]
    if kind == "text":
        return Block("text", shown["text"])
    name = shown["name"]
    block = Block(kind, shown.get("text", ""), anchor("table" if kind == "table" else "figure", name), "",
                  shown["caption"])  # fmt: skip
    if kind == "figure":
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if shown["svg"]:
            block.files[f"{stem}.svg"] = shown["svg"].encode()
        block.files[f"{stem}.png"] = base64.b64decode(shown["png"])
    return block


def number(document: Document) -> None:
    """Number figures (transcripts among them) and tables in order, and write the numbers into the links to them."""
    counts = {"Figure": 0, "Table": 0}
    labels: dict[str, str] = {}
    for block in document.blocks:
        if block.kind != "text":
            word = "Table" if block.kind == "table" else "Figure"
            counts[word] += 1
            block.label = f"{word} {counts[word]}"
            labels.setdefault(block.anchor, block.label)
    for block in document.blocks:
        block.text = _linked(block.text, labels) if block.kind != "transcript" else block.text
        block.caption = _linked(block.caption, labels)


def _linked(text: str, labels: dict[str, str]) -> str:
    def reference(match: re.Match[str]) -> str:
        return f"[{labels[match[2]]}](#{match[2]})" if match[2] in labels else f"the {match[1].lower()} left out here"

    return _CROSS.sub(reference, text)


def references(every: Iterable[dict[str, Any]], cited: set[int], *, study: bool) -> list[dict[str, Any]]:
    """The references to print: those cited, and of the study's own list all."""
    return [entry for entry in every if entry["number"] in cited or (study and entry.get("study"))]
