"""A call to look around in: what happened, by piece of evidence, participant, kind, in a window of time.

`Explorer.rows` and `Explorer.table` are what notebooks, papermill and nbconvert show; `Explorer.widget` is the same
with controls, where there is a front end that has them.
"""

from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.errors import ParameterError
from jitsilab.pages import markdown
from jitsilab.pages.narrative.blocks import Table, Transcript

if TYPE_CHECKING:
    from jitsilab.call import Call

EVERYTHING = "all"
MOST = 200  # rows that are shown at once
STYLE = (
    ".explored th,.explored td{text-align:left;vertical-align:top;line-height:1.4;padding:2px 14px 2px 0}"
    ".explored td:not(:nth-child(4)){white-space:nowrap}.explored td:first-child{text-align:right}"
    ".explored thead th{position:sticky;top:0;background:var(--jp-layout-color0,#fff)}"
)
SHOWN = ["seconds", "participant", "kind", "what", "times", "where"]


class Explorer:
    """The timeline of a call, by piece of evidence, participant, kind and window."""

    def __init__(self, call: "Call") -> None:
        self.call = call
        timeline = call.table("timeline")
        self._rows = (
            timeline if timeline is not None else pd.DataFrame(columns=["time", "kind", "participant", "input"])
        )
        times = self._rows["time"].dropna()
        self._begin = times.min() if len(times) else pd.NaT
        seconds = (self._rows["time"] - self._begin).dt.total_seconds() if len(times) else []
        self._rows = self._rows.assign(seconds=pd.Series(seconds, self._rows.index, dtype="float64"))

    @property
    def choices(self) -> dict[str, list[str]]:
        """What can be chosen, by control, the whole first."""
        return {name: [EVERYTHING, *sorted({str(value) for value in self._rows[name].dropna() if str(value)})]
                for name in ("input", "participant", "kind")}  # fmt: skip

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last second that something is dated at, from the first on."""
        seconds = self._rows["seconds"].dropna()
        return (0.0, float(seconds.max())) if len(seconds) else (0.0, 0.0)

    def rows(
        self, input: str = "", participant: str = "", kind: str = "", begin: float = 0.0, end: float = 0.0
    ) -> pd.DataFrame:
        """The rows chosen; empty words and an ``end`` of 0 leave nothing out. Undated rows show in the whole alone."""
        rows = self._rows
        for name, wanted in (("input", input), ("participant", participant), ("kind", kind)):
            if wanted in ("", EVERYTHING):
                continue
            if wanted not in self.choices[name]:
                raise ParameterError(f"There is no {name} {wanted!r} here. There are: {', '.join(self.choices[name])}.")
            rows = rows[rows[name].astype("object").eq(wanted)]
        if begin > 0 or end > 0:
            rows = rows[rows["seconds"].between(begin, end if end > 0 else float("inf"))]
        return rows

    def answer(self) -> Transcript:
        """Who had media, and why not, as ``jitsilab diagnose`` says it."""
        lines = tuple(self.call.diagnosis.to_text(short=True).splitlines())
        return Transcript("answer", lines, "Who had media, who had none, and why.", "text")

    def table(self, most: int = MOST, **chosen: Any) -> Table:
        """The rows chosen as people read them, the first ``most``."""
        rows = self.rows(**chosen)
        places = [f"{_short(row['input'])}{_place(row)}" for row in rows.head(most).to_dict("records")]
        shown = pd.DataFrame(
            {
                "seconds": rows["seconds"].head(most).round(3), "participant": rows["participant"].head(most),
                "kind": rows["kind"].head(most), "what": rows.get("label", rows["kind"]).head(most),
                "times": rows.get("count", rows["seconds"]).head(most),
            }
        ).assign(where=places).reset_index(drop=True)  # fmt: skip
        more = f", the first {most}" if len(rows) > most else ""
        caption = f"{len(rows)} of {len(self._rows)} events of the call{more}, in order of time."
        return Table("explored", shown[SHOWN].fillna(""), caption, code=("where",))

    def columns(self, name: str) -> Table:
        """What the columns of a table hold, as people read it."""
        rows = self.call.describe(name).reset_index()
        return Table(f"columns-{name}", rows, f"The columns of `call.{name}`.", code=("column", "type"))

    def widget(self, **chosen: Any) -> Any:
        """Controls and the table they drive (ipywidgets)."""
        import ipywidgets as widgets  # type: ignore[import-untyped]

        picks = {name: widgets.Dropdown(options=every, value=chosen.get(name) or EVERYTHING, description=name)
                 for name, every in self.choices.items()}  # fmt: skip
        low, high = self.span
        end = float(chosen.get("end") or 0.0) or high
        window = widgets.FloatRangeSlider(
            value=(float(chosen.get("begin") or 0.0), end), min=low, max=max(high, end, 0.001), step=0.1,
            description="seconds", continuous_update=False, layout=widgets.Layout(width="95%"),
        )  # fmt: skip
        shown = widgets.HTML()

        def draw(_: Any = None) -> None:
            whole = window.value[0] <= low and window.value[1] >= high
            begin, last = (0.0, 0.0) if whole else (max(window.value[0], 1e-9), window.value[1])
            table = self.table(**{name: pick.value for name, pick in picks.items()}, begin=begin, end=last)
            shown.value = f"<p>{markdown.escape(table.caption)}</p>{_html(table.rows)}"

        for control in (*picks.values(), window):
            control.observe(draw, "value")
        draw()
        return widgets.VBox([widgets.HBox(list(picks.values())), window, shown])


def _short(input: Any) -> str:
    return str(input).rsplit("/", 1)[-1]


def _place(row: dict[str, Any]) -> str:
    for name, words in (("frame", " frame {}"), ("line", ":{}")):
        value = row.get(name)
        if value is not None and not pd.isna(value):
            return words.format(int(value))
    return f" {row['pointer']}" if isinstance(row.get("pointer"), str) else ""


def _html(rows: pd.DataFrame) -> str:
    """A table in which nothing that evidence says is markup."""
    from jitsilab import terminal

    shown = rows.map(lambda value: terminal.printable(value) if isinstance(value, str) else value)
    table = shown.to_html(index=False, escape=True, border=0, justify="left", classes="explored", float_format="%.3f")
    return f'<style>{STYLE}</style><div style="max-height:30em;overflow:auto" tabindex="0">{table}</div>'
