"""Drawings of tables: each ``plot_*`` takes a table, draws on the axes it is given (or new ones) and gives them back.

This package is the only importer of matplotlib. What tells two things apart is never colour alone: lightness, hatching
or a sign says the same, so that a page printed in grey loses nothing.
"""

from matplotlib.axes import Axes

from jitsilab.pages.figures.bars import plot_media, plot_staircase, plot_traffic
from jitsilab.pages.figures.ladder import plot_ladder
from jitsilab.pages.figures.matrix import plot_matrix, plot_pairs
from jitsilab.pages.figures.style import render, set_style
from jitsilab.pages.figures.waits import plot_waits

__all__ = [
    "Axes",
    "plot_ladder",
    "plot_matrix",
    "plot_media",
    "plot_pairs",
    "plot_staircase",
    "plot_traffic",
    "plot_waits",
    "render",
    "set_style",
]
