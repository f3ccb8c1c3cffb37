"""The ladder: who told whom what, in order, with the frames that prove it."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from jitsilab.errors import ParameterError
from jitsilab.pages.figures.style import INK, LINE, SOFT, UP, VERDICTS, axes, order, plain

MOST_EVENTS = 54  # what one page can hold; the rest is counted below it
ROW = 0.178  # inches an event takes


def plot_ladder(events: pd.DataFrame, ax: Axes | None = None, scale: str = "even") -> Axes:
    """A vertical line a party, an arrow an event, time downwards.

    ``events`` has a row an event: seconds, frame, source, target (parties; the same one for something that happens
    inside it), label, and where there are any verdict (a word of `judge.checks.Verdict`), and lane_order (parties
    from left to right, the same list in each row). ``scale`` is ``even`` or ``time``.
    """
    if scale not in ("even", "time"):
        raise ParameterError(f"A ladder is spaced even or by time, not {scale!r}.")
    shown = events.sort_values(["seconds", "frame"], kind="stable").head(MOST_EVENTS)
    lanes = order([name for pair in zip(events["source"], events["target"], strict=True) for name in pair])
    if "lane_order" in events and len(events):
        lanes = [name for name in events["lane_order"].iloc[0] if name in lanes]
    ax = axes(ax, height=max(1.8, 0.7 + ROW * len(shown)))
    place = {name: float(i) for i, name in enumerate(lanes)}
    rows = _rows(shown, scale)
    bottom = (rows[-1] if rows else 0.0) + 1
    for name, x in place.items():
        ax.plot([x, x], [-0.6, bottom], color=LINE, linewidth=1.0, zorder=1)
        ax.annotate(
            plain(name, 22), (x, -0.9), ha="center", va="bottom", fontweight="bold", fontsize=8.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip
    verdicts = shown["verdict"] if "verdict" in shown else [None] * len(shown)
    left, before = (-0.62 if len(place) > 1 else -0.4), None
    for y, event, verdict in zip(rows, shown.itertuples(), verdicts, strict=True):
        start, end = place[event.source], place[event.target]
        colour = VERDICTS.get(str(verdict), (UP, "", ""))[0] if str(verdict) in ("CONFORMS", "DEVIATES") else UP
        if start == end:
            ax.plot([start], [y], marker="o", markersize=4, color=colour, zorder=3)
        else:
            ax.add_patch(
                FancyArrowPatch(
                    (start, y), (end, y), arrowstyle="-|>", mutation_scale=8, shrinkA=0, shrinkB=0, color=colour,
                    linewidth=1.0, zorder=2, linestyle="--" if getattr(event, "hidden", False) else "-",
                )
            )  # fmt: skip
        middle = (start + end) / 2 if start != end else start
        ax.annotate(
            plain(event.label, 60), (middle, y), xytext=(0 if start != end else 6, 1.5), textcoords="offset points",
            ha="center" if start != end else "left", va="bottom" if start != end else "center", fontsize=6.8,
            color=INK, zorder=4, fontweight="bold" if "refused" in str(event.label) else "normal",
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip
        stamp = f"{event.seconds:8.3f}"
        if stamp != before:
            ax.annotate(stamp, (left, y), ha="right", va="center", fontsize=6.5, color=SOFT, annotation_clip=False)
        before = stamp
        ax.annotate(
            f"{event.frame}" if event.frame else "", (len(place) - 1 + 0.30, y), ha="left", va="center", fontsize=6.5,
            color=SOFT, annotation_clip=False,
        )  # fmt: skip
        if str(verdict) in VERDICTS:
            fill, sign, ink = VERDICTS[str(verdict)]
            ax.annotate(
                sign, (len(place) - 1 + 0.18, y), ha="center", va="center", fontsize=6.5, color=ink,
                bbox={"boxstyle": "circle,pad=0.12", "facecolor": fill, "edgecolor": SOFT, "linewidth": 0.4},
                annotation_clip=False,
            )  # fmt: skip
    for text, x, side in (("time (s)", left, "right"), ("frame", len(place) - 1 + 0.30, "left")):
        ax.annotate(text, (x, -0.9), ha=side, va="bottom", fontsize=6.5, color=SOFT, annotation_clip=False)
    if len(events) > len(shown):
        ax.annotate(f"{len(events) - len(shown):,} later events are not drawn", (0, bottom), fontsize=7, color=SOFT)
    ax.set_xlim(-0.72 if len(place) > 1 else -0.9, max(len(place) - 1, 0) + 0.5)
    ax.set_ylim(bottom, -1.0)
    ax.axis("off")
    return ax


def _rows(shown: pd.DataFrame, scale: str) -> list[float]:
    """Where each event stands, in rows: evenly, with a half row more after a pause; or to scale, never overlapping."""
    rows: list[float] = []
    seconds = [float(s) for s in shown["seconds"]]
    span = (seconds[-1] - seconds[0]) if seconds else 0.0
    for i, moment in enumerate(seconds):
        if not i:
            rows.append(0.0)
        elif scale == "time" and span:
            rows.append(max(rows[-1] + 1, (moment - seconds[0]) / span * 1.6 * len(seconds)))
        else:
            rows.append(rows[-1] + (1.0 if moment - seconds[i - 1] < 1 else 1.6))
    return rows
