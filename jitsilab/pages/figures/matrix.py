"""Judgements and pairs: the steps of the theory by participant, the checks of ICE over time."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jitsilab.pages.figures.style import DOWN, INK, LINE, SOFT, UP, VERDICTS, axes, order, plain

MOST_ROWS, MOST_PAIRS = 60, 40


def plot_matrix(steps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Checks downwards, participants to the right, the verdict as a coloured cell with its sign.

    ``steps`` has a row a verdict: step (its id), title, participant, verdict.
    """
    checks = steps.drop_duplicates("step")[["step", "title"]].head(MOST_ROWS)
    people = order([str(name) for name in steps["participant"]])
    ax = axes(ax, height=max(1.6, 1.1 + 0.2 * len(checks)))
    place = {step: i for i, step in enumerate(checks["step"])}
    used = set()
    for row in steps.itertuples():
        if row.step not in place or str(row.verdict) not in VERDICTS:
            continue
        fill, sign, ink = VERDICTS[str(row.verdict)]
        used.add(str(row.verdict))
        x, y = people.index(str(row.participant)), place[row.step]
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor="white", linewidth=1.2))
        ax.text(x, y, sign, ha="center", va="center", fontsize=7, color=ink)
    ax.set_yticks(range(len(checks)), [plain(f"{s}  {t}", 70) for s, t in checks.itertuples(index=False)], fontsize=7)
    names = [plain(name, 22) for name in people]
    crowded = sum(map(len, names)) > 48  # letters that fit side by side
    slant: dict[str, Any] = {"rotation": 35, "ha": "left", "rotation_mode": "anchor"} if crowded else {}
    ax.set_xticks(range(len(people)), names, fontsize=8, **slant)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xlim(-0.5, max(len(people), 1) - 0.5)
    ax.set_ylim(max(len(checks), 1) - 0.5, -0.5)
    for side in ax.spines.values():
        side.set_visible(False)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=VERDICTS[name][0], edgecolor=SOFT, linewidth=0.4,
                  label=f"{VERDICTS[name][1]}  {name.replace('_', ' ').lower()}")
        for name in VERDICTS if name in used
    ]  # fmt: skip
    if handles:
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.2, -0.01), ncols=3, fontsize=7)
    return ax


def plot_pairs(checks: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """ICE checks over time, one lane a pair: filled where answered, hollow where not, a bar where nominated.

    ``checks`` has a row a check: pair (its name), seconds, answered, nominated, up (sent by the participant).
    """
    pairs = order([str(name) for name in checks["pair"]])[:MOST_PAIRS]
    ax = axes(ax, height=max(1.5, 0.9 + 0.24 * len(pairs)))
    for place, pair in enumerate(reversed(pairs)):
        rows = checks[checks["pair"].astype(str) == pair]
        ax.axhline(place, color=LINE, linewidth=0.6, zorder=1)
        for up, marker, colour in ((True, "^", UP), (False, "v", DOWN)):
            for answered in (True, False):
                shown = rows[(rows["up"] == up) & (rows["answered"].fillna(False).astype(bool) == answered)]
                ax.scatter(
                    shown["seconds"], np.full(len(shown), place + (0.13 if up else -0.13)), marker=marker, s=16,
                    facecolor=colour if answered else "white", edgecolor=INK, linewidth=0.6, zorder=3,
                )  # fmt: skip
        nominated = rows[rows["nominated"].fillna(False).astype(bool)]
        if len(nominated):
            first = nominated["seconds"].min()
            ax.plot([first, first], [place - 0.36, place + 0.36], color=INK, linewidth=1.4, zorder=4)
    ax.set_yticks(range(len(pairs)), [plain(name, 64) for name in reversed(pairs)], fontsize=6.8)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("time (s)")
    for marker, colour, text in (
        ("^", UP, "client's check, answered"), ("v", DOWN, "server's check, answered"),
        ("^", "white", "not answered"),
    ):  # fmt: skip
        ax.scatter([], [], marker=marker, s=16, facecolor=colour, edgecolor=INK, linewidth=0.6, label=text)
    ax.plot([], [], color=INK, linewidth=1.4, marker="|", linestyle="none", markersize=9, label="nominated")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, fontsize=7, handletextpad=0.2)
    return ax
