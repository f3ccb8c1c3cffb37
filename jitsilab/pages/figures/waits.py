"""How long participants of many calls waited, as shares over time."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from jitsilab.pages.figures.style import DOWN, INK, SOFT, UP, axes

_LINES = {
    "join_s": ("in the room", SOFT, ":"), "ice_s": ("ICE", DOWN, "--"), "dtls_s": ("DTLS", INK, "-."),
    "media_s": ("media", UP, "-"),
}  # fmt: skip


def plot_waits(participants: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One step line a moment, as `jitsilab.fleet` has them: how many of those it is known of had come so far."""
    ax = axes(ax, height=3.2)
    for column, (words, colour, style) in _LINES.items():
        waits = np.sort(participants[column].dropna().to_numpy(float))
        if len(waits):
            shares = np.arange(1, len(waits) + 1) / len(waits)
            ax.step(waits, shares, where="post", color=colour, linestyle=style, label=f"{words} ({len(waits):,})")
    ax.set(
        xlabel="seconds since the first that is seen of a participant", ylabel="share of participants", ylim=(0, 1.02)
    )
    if ax.lines:
        ax.legend(loc="lower right")
    return ax
