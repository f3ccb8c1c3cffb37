"""Amounts: traffic over time, the records of one flow, the streams of the media."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from jitsilab.pages.figures.style import DOWN, DOWN_HATCH, INK, LINE, SOFT, UP, axes, order, plain

MOST_LANES, MOST_RECORDS, MOST_STREAMS = 14, 48, 40  # what one page can hold; what is left out is said in the figure


def plot_traffic(traffic: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One lane a participant and path, as `analysis.traffic.by_participant` gives them.

    Above a lane's line what the participant sent, below it what it got; the height grows with the square root of the
    rate, so that small traffic shows beside large.
    """
    busiest = traffic.groupby(["participant", "path"], sort=False)["bytes"].sum().nlargest(MOST_LANES)
    lanes = sorted(busiest.index, key=lambda lane: (order(list(traffic["participant"])).index(lane[0]), lane[1]))
    ax = axes(ax, height=max(1.6, 0.9 + 0.62 * len(lanes)))
    steps = np.diff(np.unique(traffic["seconds"]))
    width = float(steps.min()) if len(steps) else 1.0
    top = float(traffic["bytes"].max() or 1) / width if len(traffic) else 1.0
    for place, (participant, path) in enumerate(reversed(lanes)):
        rows = traffic[(traffic["participant"] == participant) & (traffic["path"] == path)]
        ax.axhline(place, color=LINE, linewidth=0.7, zorder=1)
        for up, sign in ((True, 1), (False, -1)):
            side = rows[rows["up"] == up]
            ax.bar(
                side["seconds"], sign * 0.46 * np.sqrt(side["bytes"] / width / top), width=width, bottom=place,
                align="edge", color=UP if up else DOWN, edgecolor=UP if up else INK, linewidth=0.3,
                hatch=None if up else DOWN_HATCH, zorder=2,
                label=("sent" if up else "received") if place == 0 else None,
            )  # fmt: skip
        total = f"{_amount(rows.loc[rows['up'], 'bytes'].sum())} ↑  {_amount(rows.loc[~rows['up'], 'bytes'].sum())} ↓"
        ax.annotate(
            total, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=SOFT,
            annotation_clip=False,
        )  # fmt: skip
    labels = [plain(f"{participant}   {path}", 44) for participant, path in reversed(lanes)]
    ax.set_yticks(range(len(lanes)), labels)
    ax.set_ylim(-0.6, max(len(lanes), 1) - 0.35)
    ax.margins(x=0.01)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("time (s)")
    if lanes:
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        ax.annotate(f"full height: {_amount(top)}/s", (0, 1.03), xycoords="axes fraction", color=SOFT, fontsize=7.5)
    return ax


def plot_staircase(records: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The messages of one TURN-in-TLS flow in order, as `analysis.turn_in_tls` reads them: length, direction, meaning.

    A bar is a record; its height is the length of the message inside, read from the record's length.
    """
    shown = records.sort_values(["seconds", "frame"], kind="stable").head(MOST_RECORDS)
    ax = axes(ax, height=3.7)
    places = np.arange(len(shown))
    other = (shown["message"] == "other").to_numpy()
    ax.bar(places[other], shown["length"][other], width=0.74, color="white", edgecolor=SOFT, linewidth=0.5)
    for up, colour, hatch in ((True, UP, None), (False, DOWN, DOWN_HATCH)):
        side = (shown["up"] == up).to_numpy() & ~other
        ax.bar(
            places[side], shown["length"][side], width=0.74, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.5,
            label="client to server" if up else "server to client",
        )  # fmt: skip
    dense = len(shown) > 24
    for place, (length, message) in enumerate(zip(shown["length"], shown["message"], strict=True)):
        ax.annotate(
            f"{length}", (place, length), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom",
            fontsize=6.5 if dense else 8, color=INK,
        )  # fmt: skip
        weight = "bold" if str(message).endswith("-error") else "normal"
        ax.annotate(
            plain(str(message).replace("-", " ")), (place, length), xytext=(0, 14 if not dense else 10),
            textcoords="offset points", ha="center", va="bottom", rotation=90, fontsize=6.5 if dense else 7.5,
            color=INK, fontweight=weight,
        )  # fmt: skip
    if len(shown):
        times = [f"{seconds:.2f}" for seconds in shown["seconds"]]
        ax.set_xticks(places, times, rotation=90 if len(shown) > 14 else 0, fontsize=6.5 if len(shown) > 10 else 8)
        ax.set_ylim(0, max(shown["length"]) * 1.75)
        ax.legend(loc="upper left", ncols=2)
    if len(records) > len(shown):
        ax.annotate(f"{len(records) - len(shown)} more records follow", (1, 1), xycoords="axes fraction", ha="right")
    ax.set(xlabel="time of the record (s)", ylabel="length of the message (bytes)")
    return ax


def plot_media(media: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """One bar a media stream over its time, as `call.media` lists them: thicker where it carried more."""
    busiest = media.nlargest(MOST_STREAMS, "bytes").sort_values(["src", "first_seconds", "ssrc"], kind="stable")
    ax = axes(ax, height=max(1.6, 0.9 + 0.26 * len(busiest)))
    top = float(busiest["bytes"].max() or 1) if len(busiest) else 1.0
    labels = []
    for place, row in enumerate(busiest.iloc[::-1].itertuples()):
        up = bool(row.up)
        ax.barh(
            place, max(row.last_seconds - row.first_seconds, 0.02), left=row.first_seconds,
            height=0.2 + 0.6 * (row.bytes / top) ** 0.5, color=UP if up else DOWN, hatch=None if up else DOWN_HATCH,
            edgecolor=INK, linewidth=0.4,
        )  # fmt: skip
        labels.append(plain(f"{row.src} → {row.dst}  {row.ssrc:#010x} PT {row.payload_type}", 64))
        lost = f", {row.lost:,} lost" if pd.notna(row.lost) and row.lost else ""
        ax.annotate(
            f"{row.packets:,} packets, {_amount(row.bytes)}{lost}", (1.01, place),
            xycoords=("axes fraction", "data"), va="center", fontsize=6.5, color=SOFT, annotation_clip=False,
        )  # fmt: skip
    ax.set_yticks(range(len(labels)), labels, fontsize=6.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time (s)")
    ax.spines["left"].set_visible(False)
    return ax


def _amount(count: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}" if count < 100 * size else f"{count / size:,.0f} {unit}"
    return f"{count:,.0f} B"
