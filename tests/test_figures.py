"""Drawings: from any table, hostile or empty, the same bytes each time, readable in grey."""

import io
from collections.abc import Callable

import matplotlib.colors
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from jitsilab.errors import ParameterError
from jitsilab.pages import figures
from jitsilab.pages.figures import style

HOSTILE = "$\\frac{1}{0}$ <b>\u202e\x00" + "x" * 500


@pytest.fixture(autouse=True)
def _style() -> None:
    figures.set_style()


def traffic(name: str = "IP A") -> pd.DataFrame:
    rows = [(name, path, up, float(s), 3, 400 * s) for path in ("UDP 10000", "TCP 443") for up in (True, False)
            for s in range(6)]  # fmt: skip
    return pd.DataFrame(rows, columns=["participant", "path", "up", "seconds", "frames", "bytes"])


def records(name: str = "create-permission-error") -> pd.DataFrame:
    rows = [(9, 1.0, True, "allocate", 28), (10, 1.1, False, "other", 217), (11, 1.2, False, name, 72)]
    return pd.DataFrame(rows, columns=["frame", "seconds", "up", "message", "length"])


def events(name: str = "IP A") -> pd.DataFrame:
    rows = [(0.0, 1, name, "TURN", "create permission refused", True, "DEVIATES"),
            (0.1, 2, "TURN", name, "hello", False, "CONFORMS"), (4.0, 3, name, name, "waits", False, None)]  # fmt: skip
    return pd.DataFrame(rows, columns=["seconds", "frame", "source", "target", "label", "hidden", "verdict"])


def steps(name: str = "IP A") -> pd.DataFrame:
    rows = [(f"S{i:02}", "A title", name, verdict) for i, verdict in enumerate(style.VERDICTS)]
    return pd.DataFrame(rows, columns=["step", "title", "participant", "verdict"])


def checks(name: str = "IP A") -> pd.DataFrame:
    rows = [(name, float(i), i % 2 == 0, i == 3, i % 3 == 0) for i in range(6)]
    return pd.DataFrame(rows, columns=["pair", "seconds", "answered", "nominated", "up"])


def media(name: str = "IP A") -> pd.DataFrame:
    rows = [(True, name, "IP B", 1, 111, 100, 9000, 2, 0.5, 8.0), (False, "IP B", name, 2, 96, 10, 500, None, 1.0, 1.0)]
    columns = ["up", "src", "dst", "ssrc", "payload_type", "packets", "bytes", "lost", "first_seconds", "last_seconds"]
    return pd.DataFrame(rows, columns=columns)


PLOTS: list[tuple[Callable[..., plt.Axes], Callable[..., pd.DataFrame]]] = [
    (figures.plot_traffic, traffic), (figures.plot_staircase, records), (figures.plot_ladder, events),
    (figures.plot_matrix, steps), (figures.plot_pairs, checks), (figures.plot_media, media),
]  # fmt: skip
each = pytest.mark.parametrize(("plot", "table"), PLOTS, ids=[plot.__name__ for plot, _ in PLOTS])


@each
def test_the_same_bytes_twice(plot: Callable[..., plt.Axes], table: Callable[..., pd.DataFrame]) -> None:
    first, second = (figures.render(plot(table()), "a", "b") for _ in range(2))
    assert first == second
    assert first.svg.startswith("<?xml")
    assert "<dc:date>" not in first.svg
    assert first.png.startswith(b"\x89PNG")
    assert not plt.get_fignums()


@each
def test_names_out_of_a_capture_are_drawn_as_they_are(
    plot: Callable[..., plt.Axes], table: Callable[..., pd.DataFrame]
) -> None:
    assert figures.render(plot(table(HOSTILE)), "a", "b").svg


@each
def test_an_empty_table_is_drawn_empty(plot: Callable[..., plt.Axes], table: Callable[..., pd.DataFrame]) -> None:
    assert figures.render(plot(table().iloc[:0]), "a", "b").svg


@each
def test_axes_that_are_given_are_used(plot: Callable[..., plt.Axes], table: Callable[..., pd.DataFrame]) -> None:
    axes = plt.subplots()[1]
    assert plot(table(), axes) is axes
    plt.close("all")


def test_what_colour_tells_apart_lightness_or_a_sign_tells_too() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = matplotlib.colors.to_rgb(colour)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert lightness(style.DOWN) - lightness(style.UP) > 0.35
    assert len({sign for _, sign, _ in style.VERDICTS.values()}) == len(style.VERDICTS)
    for fill, _, ink in style.VERDICTS.values():
        assert abs(lightness(fill) - lightness(ink)) > 0.35


def test_a_scale_that_is_not_known_is_refused() -> None:
    with pytest.raises(ParameterError, match="even or by time"):
        figures.plot_ladder(events(), scale="log")


def test_a_long_call_does_not_make_a_long_page() -> None:
    many = pd.concat([events()] * 400, ignore_index=True)
    figure = figures.plot_ladder(many).get_figure(root=True)
    assert figure is not None
    assert figure.get_figheight() < 12
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close("all")
