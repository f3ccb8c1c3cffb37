"""The report of a survey: causes by count, how long participants waited, failing checks by server, what stands out.

`Overview` makes each table and drawing from the dataset; the notebook shows them one by one, `write` all on a page.
"""

import html
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import pandas as pd

from jitsilab.errors import ParameterError
from jitsilab.pages import figures, markdown
from jitsilab.pages.narrative.blocks import Figure, Table

MOMENTS = {"join_s": "in the room", "ice_s": "ICE", "dtls_s": "DTLS", "media_s": "media"}
GROUPS = ("server", "version", "bridge_version", "focus_version", "prosody_version", "domain")
MOST = 20  # rows of a table; the dataset has them all
FENCE = 3.0  # interquartile ranges above the upper quartile beyond which a wait is far out (Tukey, 1977)
ENOUGH = 8  # waits below which quartiles say nothing
REPORT = "report.html"  # of one case, beside it where somebody made it
UNKNOWN = "not known"


class Surveyed(Protocol):
    """A survey's dataset: `jitsilab.fleet.Survey`."""

    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        """A table of all cases."""
        ...


class Overview:
    """The tables and drawings of one dataset. ``reports`` is a folder of single reports, one a case, by its id."""

    def __init__(self, survey: Surveyed, by: str = "", reports: str | Path | None = None) -> None:
        self.survey = survey
        self.calls, self.participants, self.findings, self.errors = (
            survey.table(name) for name in ("calls", "participants", "findings", "errors")
        )
        self.by = by
        self.reports = Path(reports) if reports else None

    def summary(self) -> Table:
        """How many cases, participants, failures."""
        lost = self.errors[self.errors["lost"]]["source"].nunique()
        people = self.participants["media_path"]
        rows = [
            ("cases read", len(self.calls)), ("cases that could not be read", int(lost)),
            ("cases with a cause", int(self.calls["cause"].notna().sum())),
            ("cases with a condition", int(self.calls["conditions"].map(len).gt(0).sum()) if len(self.calls) else 0),
            ("participants", len(people)),
            ("participants with media", int((~people.isin(["none", "not-observable"])).sum())),
            ("participants without", int(people.eq("none").sum())),
            ("participants of whom it cannot be seen", int(people.eq("not-observable").sum())),
            ("servers", int(self.calls["server"].nunique())),
        ]  # fmt: skip
        return Table("fleet", pd.DataFrame(rows, columns=["What", "Count"]), "What the dataset holds.")

    def causes(self) -> Table:
        """Causes of cases, and conditions beside them, by count."""
        cause = self.calls["cause"].fillna("") + (":" + self.calls["reason"]).fillna("")
        counts = cause[cause.ne("")].value_counts()
        conditions = self.calls["conditions"].explode().dropna().value_counts()
        rows = [("cause", str(name), int(count)) for name, count in _ordered(counts)]
        rows += [("condition", str(name), int(count)) for name, count in _ordered(conditions)]
        table = pd.DataFrame(rows, columns=["Kind", "Name", "Cases"])
        table["Share"] = (100 * table["Cases"] / max(len(self.calls), 1)).round(1)
        caption = "The first cause of each case, and what is true beside media; share in % of the cases read."
        return Table("fleet_causes", table, caption, code=("Name",))

    def waits(self) -> Table:
        """How long it took from the first that is seen of a participant."""
        rows = []
        for name, words in MOMENTS.items():
            seconds = self.participants[name].dropna()
            levels = [round(float(seconds.quantile(q)), 2) for q in (0.5, 0.9, 0.99)] if len(seconds) else [None] * 3
            rows.append((words, len(seconds), *levels, round(float(seconds.max()), 2) if len(seconds) else None))
        columns = ["Until", "Participants", "Median (s)", "90 %", "99 %", "Longest"]
        caption = "Seconds from a participant's first packet or line; only where the evidence shows both moments."
        return Table("fleet_waits", pd.DataFrame(rows, columns=columns), caption)

    def waits_drawn(self) -> Figure:
        """The same as shares of participants over time."""
        caption = "Share of participants who had come so far after so many seconds."
        return figures.render(figures.plot_waits(self.participants), "fleet_waits_drawn", caption)

    def failing(self) -> Table:
        """Security checks that fail, by server."""
        failed = self.findings[self.findings["result"].eq("FAIL")]
        failed = failed.assign(server=failed["server"].fillna(UNKNOWN))
        grouped = failed.groupby(["server", "id", "title"], sort=True)
        rows = grouped.agg(cases=("source", "nunique"), severity=("severity", "first")).reset_index()
        rows = rows.sort_values(["cases", "server", "id"], ascending=[False, True, True]).head(MOST)
        shown = rows[["server", "id", "severity", "title", "cases"]]
        shown.columns = pd.Index(["Server", "Check", "Severity", "A failure means", "Cases"])
        caption = f"Checks that fail, the most frequent {MOST}; all are in the table findings."
        return Table("fleet_failing", shown, caption, code=("Server", "Check"))

    def outliers(self) -> Table:
        """Who waited far longer for media than others, and where to look closer."""
        waits = self.participants.dropna(subset=["media_s"])
        if len(waits) >= ENOUGH:
            low, high = waits["media_s"].quantile([0.25, 0.75])
            waits = waits[waits["media_s"] > high + FENCE * (high - low)]
        else:
            waits = waits.iloc[:0]
        rows = [
            (wait.participant, wait.media_s, wait.media_path, wait.server, self._link(str(wait.case), str(wait.source)))
            for wait in waits.sort_values(["media_s", "source"], ascending=[False, True]).head(MOST).itertuples()
        ]
        table = pd.DataFrame(rows, columns=["Participant", "Media after (s)", "Path", "Server", "Case"])
        table["Case"] = pd.Series([row[-1] for row in rows], dtype=object)  # a link is more than its text
        caption = (
            f"Waits beyond the upper quartile by {FENCE:g} interquartile ranges. `jitsilab report CASE` makes the "
            "report of one."
        )
        return Table("fleet_outliers", table, caption, code=("Path", "Server"))

    def _link(self, case: str, source: str) -> str:
        """The case by name, with a link to its single report where there is one."""
        page = self.reports / case / REPORT if self.reports is not None else None
        if page is None or not page.is_file():
            return source
        where = quote(os.path.relpath(page, self.survey.folder).replace(os.sep, "/"))
        return _Link(source, where)

    def compared(self) -> Table:
        """Cases before and after a date, or by server or version."""
        key = _groups(self.calls, self.by)
        whom = self.participants.merge(pd.DataFrame({"case": self.calls["case"], "group": key}), on="case", how="left")
        rows = []
        for group in sorted(key.unique()):
            own, people = self.calls[key == group], whom[whom["group"] == group]
            seen = people[people["media_path"] != "not-observable"]
            wait = people["media_s"].dropna()
            rows.append((
                group, len(own), int(own["cause"].notna().sum()),
                round(100 * float(seen["media_path"].eq("none").mean()), 1) if len(seen) else None, len(wait),
                round(float(wait.median()), 2) if len(wait) else None, int(own["failed"].fillna(0).max()),
            ))  # fmt: skip
        columns = ["Group", "Cases", "With a cause", "Without media (%)", "Waits", "Media after (s, median)",
                   "Most failing checks"]  # fmt: skip
        words = f"Before and after {self.by}" if _is_date(self.by) else f"By {(self.by or GROUPS[0]).replace('_', ' ')}"
        return Table("fleet_compared", pd.DataFrame(rows, columns=columns), f"{words}.", code=("Group",))


class _Link(str):
    """A name that leads somewhere."""

    __slots__ = ("where",)
    where: str

    def __new__(cls, text: str, where: str) -> "_Link":
        made = super().__new__(cls, text)
        made.where = where
        return made


def _ordered(counts: "pd.Series[int]") -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda entry: (-int(entry[1]), str(entry[0])))


def _is_date(by: str) -> bool:
    try:
        pd.Timestamp(by)
    except ValueError:
        return False
    return bool(by)


def _groups(calls: pd.DataFrame, by: str) -> "pd.Series[str]":
    """The group of each case: a column's value, or which side of a date. Raises where it is neither."""
    by = by or GROUPS[0]
    if by in GROUPS:
        return calls[by].fillna(UNKNOWN).astype(str)
    if not _is_date(by):
        raise ParameterError(
            f"Cases can be compared by {', '.join(GROUPS)}, or before and after a date, not by {by!r}."
        )
    border = pd.Timestamp(by)
    border = border.tz_localize("UTC") if border.tz is None else border.tz_convert("UTC")
    side = calls["first_time"].ge(border).map({True: f"from {by} on", False: f"before {by}"})
    return side.where(calls["first_time"].notna(), UNKNOWN).astype(str)


def blocks(overview: Overview) -> list[tuple[str, Sequence[Table | Figure]]]:
    """The whole report: headings, and what stands below each."""
    return [
        ("What there is", (overview.summary(),)),
        ("Causes", (overview.causes(),)),
        ("How long participants wait", (overview.waits(), overview.waits_drawn())),
        ("Security checks that fail", (overview.failing(),)),
        ("What stands out", (overview.outliers(),)),
        ("Compared", (overview.compared(),)),
    ]


def write(overview: Overview, out: Path) -> list[str]:
    """Write report.md and report.html into a folder, each at once; gives the names."""
    figures.set_style()
    title = "Report of a survey"
    text, page = [f"# {title}", ""], [f"<h1>{title}</h1>"]
    drawings: dict[str, str] = {}
    for heading, parts in blocks(overview):
        text += [f"## {heading}", ""]
        page.append(f"<h2>{heading}</h2>")
        for block in parts:
            if isinstance(block, Figure):
                drawings[f"{block.name}.svg"] = block.svg
                text += [f"![{block.caption}]({block.name}.svg)", "", f"*{block.caption}*", ""]
                drawn, words = block.svg[block.svg.index("<svg") :], html.escape(block.caption)
                page.append(f"<figure>{drawn}<figcaption>{words}</figcaption></figure>")
            else:
                text += [_linked(block).text if len(block.rows) else "None.", "", f"*{block.caption}*", ""]
                page.append(_html(block))
    whole = _PAGE.format(title=title, body="\n".join(page))
    out.mkdir(parents=True, exist_ok=True)
    files = {**drawings, "report.md": "\n".join(text), "report.html": whole}
    for name, content in files.items():
        with tempfile.NamedTemporaryFile("w", dir=out, delete=False, encoding="utf-8", prefix=f".{name}-") as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(out / name)
    return list(files)


def _linked(table: Table) -> Table:
    rows = table.rows.astype(object).map(
        lambda cell: markdown.Raw(f"[{markdown.escape(cell)}](<{cell.where}>)") if isinstance(cell, _Link) else cell
    )
    return Table(table.name, rows, table.caption, table.align or _align(table.rows), table.code)


def _align(rows: pd.DataFrame) -> str:
    return "".join("r" if pd.api.types.is_numeric_dtype(rows[name]) else "l" for name in rows)


def _html(table: Table) -> str:
    if not len(table.rows):
        return f"<p>None.</p><p><em>{html.escape(table.caption)}</em></p>"
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in table.rows)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows.astype(object).itertuples(index=False, name=None)
    )
    caption = html.escape(table.caption).replace("`", "")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p><em>{caption}</em></p>"


def _cell(cell: Any) -> str:
    shown = html.escape(markdown.visible("" if pd.isna(cell) else cell))
    return f'<a href="{html.escape(cell.where)}">{shown}</a>' if isinstance(cell, _Link) else shown


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}}
table{{border-collapse:collapse;width:100%}}th,td{{padding:.25rem .5rem;text-align:left;border-bottom:1px solid #b8b8b8;
overflow-wrap:anywhere}}svg{{max-width:100%;height:auto}}figure{{margin:1rem 0}}</style></head>
<body>{body}</body></html>
"""
