"""What stands between the sentences of a report: tables, transcripts, figures; each has a name and a caption.

A block goes through a notebook as JSON (``as_json``), so that the report is made of exactly what the notebook showed.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jitsilab.pages import markdown
from jitsilab.pages.narrative import plain


@dataclass(frozen=True)
class Table:
    """A table of the report; its values become results under its name."""

    name: str
    rows: pd.DataFrame
    caption: str  # Markdown
    align: str = ""  # l, r or c a column; numbers right and the rest left where empty
    code: tuple[str, ...] = ()  # columns of addresses, names of files and the like

    @property
    def text(self) -> str:
        """The table as Markdown."""
        return markdown.table(self.rows, self.align, self.code)

    def as_json(self) -> dict[str, Any]:
        """What `jitsilab.pages.report` needs of it."""
        return {"kind": "table", "name": self.name, "caption": self.caption, "text": self.text}

    def values(self) -> list[dict[str, Any]]:
        """The rows as JSON holds them."""
        return [{str(k): plain(v) for k, v in row.items()} for row in self.rows.to_dict("records")]


@dataclass(frozen=True)
class Transcript:
    """What a terminal showed."""

    name: str
    lines: tuple[str, ...]
    caption: str  # Markdown
    language: str = "console"

    @property
    def text(self) -> str:
        """The lines as a fenced block, whatever is in them."""
        body = "\n".join(_printable(line) for line in self.lines)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
        return f"{fence}{self.language}\n{body}\n{fence}"

    def as_json(self) -> dict[str, Any]:
        """What `jitsilab.pages.report` needs of it."""
        return {"kind": "transcript", "name": self.name, "caption": self.caption, "text": self.text}


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG and PNG, or a photograph as PNG alone."""

    name: str
    caption: str  # Markdown
    png: bytes
    svg: str = ""

    def as_json(self) -> dict[str, Any]:
        """What `jitsilab.pages.report` needs of it."""
        image = base64.b64encode(self.png).decode()
        return {"kind": "figure", "name": self.name, "caption": self.caption, "svg": self.svg, "png": image}


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
