"""One look for all drawings, and bytes that do not change from run to run."""

import io
import warnings
from collections.abc import Sequence
from importlib import resources

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from jitsilab.pages.narrative.blocks import Figure

UP, DOWN = "#1f3b57", "#e6a04b"  # from a participant (dark), to it (light): far apart in grey too
DOWN_HATCH = "////"
INK, SOFT, LINE = "#1c1c1c", "#666666", "#b8b8b8"

VERDICTS: dict[str, tuple[str, str, str]] = {  # verdict: colour, sign, colour of the sign
    "CONFORMS": ("#2f7d54", "✓", "white"),
    "DEVIATES": ("#a3231d", "✗", "white"),
    "NOT_OBSERVED": ("#e3b33c", "∅", "black"),
    "NOT_OBSERVABLE": ("#dcdcdc", "?", "#555555"),
    "NOT_APPLICABLE": ("#ffffff", "–", "#888888"),
    "INFO": ("#9db8d9", "i", "black"),
}


def set_style() -> None:
    """Take the project's style for every figure that follows."""
    with resources.as_file(resources.files("jitsilab.pages") / "assets" / "jitsilab.mplstyle") as style:
        plt.style.use(style)


def axes(ax: Axes | None, height: float = 3.4, width: float = 7.2) -> Axes:
    """The axes given, or those of a new figure of that size (inches)."""
    return ax if ax is not None else plt.subplots(figsize=(width, height))[1]


def render(ax: Axes, name: str, caption: str) -> Figure:
    """The drawing as SVG and PNG, the same bytes each time, and the figure closed."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes are never taken out of their figure here
    vector, pixels = io.StringIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a capture may hold any character
        figure.savefig(vector, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(pixels, format="png", metadata={"Software": None})
    plt.close("all")
    return Figure(name, caption, pixels.getvalue(), vector.getvalue())


def plain(text: object, limit: int = 40) -> str:
    """Text out of a capture as a drawing can show it: no markup of matplotlib's, no control character, not too long."""
    shown = "".join(c if c.isprintable() else "·" for c in str(text)).replace("$", "\\$")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def order(names: Sequence[str]) -> list[str]:
    """Names once each, in the order of their first appearance."""
    return list(dict.fromkeys(names))
