"""The timeline for a notebook: a table with a box to tick for each participant and each source, without a script."""

from html import escape
from typing import Any

import pandas as pd

from jitsilab import terminal

MOST = 400  # rows that are shown; the table has all
CHOICES = 24  # boxes of one kind
_STYLE = (
    ".jl-timeline th,.jl-timeline td{text-align:left;vertical-align:top;padding:2px 14px 2px 0;border:0}"
    ".jl-timeline td:first-child,.jl-timeline th:first-child{text-align:right;font-variant-numeric:tabular-nums}"
    ".jl-timeline label{margin-right:1em;white-space:nowrap}"
    ".jl-timeline .rows{max-height:30em;overflow:auto}"
    ".jl-timeline thead th{position:sticky;top:0;background:var(--jp-layout-color0,Canvas)}"
)


class Timeline(pd.DataFrame):  # type: ignore[misc]  # pandas has no types here
    """The table ``timeline``, which shows itself in a notebook; whatever is selected from it is a plain table."""

    def _repr_html_(self) -> str:
        """Its first `MOST` rows; everything out of evidence is escaped."""
        return html(self)


def html(rows: pd.DataFrame) -> str:
    """A box of HTML whose rows go and come with the boxes that are ticked; without styles it is a table."""
    shown = rows.head(MOST)
    kinds = {"who": _choices(rows["participant"]), "source": _choices(rows["source"])}
    boxes = "".join(_boxes(kind, names) for kind, names in kinds.items() if len(names) > 1)
    rules = "".join(
        f".jl-timeline:has(input.{kind}{place}:not(:checked)) tr.{kind}{place}{{display:none}}"
        for kind, names in kinds.items() for place in range(len(names))
    )  # fmt: skip
    begin = rows["time"].min()
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("s", "who", "source", "what", "where"))
    body = "".join(_row(row, begin, kinds) for row in shown.to_dict("records"))
    more = f"The first {len(shown)} of {len(rows)} events." if len(rows) > len(shown) else f"{len(rows)} events."
    return (
        f'<div class="jl-timeline"><style>{_STYLE}{rules}</style>{boxes}'
        f'<div class="rows" tabindex="0" role="region" aria-label="timeline"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div><div>{more} What the columns of the table mean: "
        "<code>call.describe('timeline')</code></div></div>"
    )


def _choices(column: "pd.Series[Any]") -> dict[str, int]:
    """Place of each value, the most frequent first; nobody is a choice too."""
    return {str(name): place for place, name in enumerate(column.fillna("").value_counts().index[:CHOICES])}


def _boxes(kind: str, names: dict[str, int]) -> str:
    ticks = "".join(
        f'<label><input type="checkbox" class="{kind}{place}" checked> {_words(name) or "no participant"}</label>'
        for name, place in names.items()
    )
    return f"<div>{ticks}</div>"


def _row(row: dict[str, Any], begin: Any, kinds: dict[str, dict[str, int]]) -> str:
    who, source = ("" if pd.isna(row[name]) else str(row[name]) for name in ("participant", "source"))
    marks = [f"{kind}{kinds[kind][name]}" for kind, name in (("who", who), ("source", source)) if name in kinds[kind]]
    seconds = "" if pd.isna(row["time"]) or pd.isna(begin) else f"{(row['time'] - begin).total_seconds():.3f}"
    count = f" ({row['count']} times)" if row["count"] > 1 else ""
    cells = (seconds, _words(who), _words(source), _words(str(row["label"])) + count, _words(_where(row)))
    return f'<tr class="{" ".join(marks)}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _where(row: dict[str, Any]) -> str:
    """Input, and frame, line or pointer in it."""
    name = str(row["input"]).rsplit("/", 1)[-1]
    if pd.notna(row["frame"]):
        return f"{name} frame {row['frame']}"
    if pd.notna(row["line"]):
        return f"{name}:{row['line']}"
    return f"{name}{row['pointer']}" if isinstance(row["pointer"], str) else name


def _words(text: str) -> str:
    return escape(terminal.printable(text))
