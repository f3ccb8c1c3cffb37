"""The session as a ladder: its events, the parties from left to right, and the caption."""

from collections.abc import Iterator

import pandas as pd

from jitsilab.call import Call
from jitsilab.case import cast
from jitsilab.case import timeline as told
from jitsilab.pages.narrative import Story
from jitsilab.pages.narrative.people import names

MOST_EVENTS, MOST_PAGES = 54, 6


def events(call: Call) -> pd.DataFrame:
    """The events of `jitsilab.case.timeline`, with the order of the parties, as `plot_ladder` takes them."""
    known = names(call)
    table = told.events(call.tables(), known)
    flows = call.table("flows")
    owners = {} if flows is None else cast.addresses(cast.build(call.tables()), flows)
    people = list(dict.fromkeys(known.get(address, known.get(first, first)) for address, first in owners.items()))
    return table.assign(lane_order=[told.parties(table, people)] * len(table), verdict=_verdicts(call, table))


def _verdicts(call: Call, table: pd.DataFrame) -> list[str | None]:
    """For each event the verdict of the steps that its frame proves: broken before kept; none where one was missed."""
    steps = call.steps
    verdicts: dict[int, str | None] = {}
    for verdict, drawn in (("CONFORMS", "CONFORMS"), ("NOT_OBSERVED", None), ("DEVIATES", "DEVIATES")):
        for frames in steps.loc[steps["verdict"] == verdict, "frames"]:
            verdicts.update(dict.fromkeys(map(int, frames), drawn))
    return [verdicts.get(int(frame)) for frame in table["frame"]]


def overview(table: pd.DataFrame) -> Story:
    """What there is to draw."""
    if table.empty:
        return Story().add("No packets show an event of a session.", events=0)
    story = Story().add(
        "[Figure](#figure-ladder) puts together what the sections above took apart, {events} events in order.",
        events=len(table),
    )  # fmt: skip
    hidden = int(table["hidden"].sum())
    if hidden:
        story.extend("{hidden} of them are read from the lengths of encrypted records alone.", hidden=hidden)
    return story


def pages(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The events in portions that fit a page: a name, a caption, the events."""
    count = min(MOST_PAGES, -(-len(table) // MOST_EVENTS))
    size = min(MOST_EVENTS, -(-len(table) // count)) if count else 0
    for number in range(1, count + 1):
        shown = table.iloc[(number - 1) * size : number * size]
        yield ("ladder" if number == 1 else f"ladder-{number}"), _caption(shown, number, len(table)), shown


def _caption(shown: pd.DataFrame, number: int, every: int) -> str:
    text = "The session from beginning to end: who told whom what, when, and in which frame."
    if number > 1:
        text = "The session, continued."
    if shown["hidden"].any():
        text += " Dashed: read from the length of an encrypted record."
    if number == 1:
        text += " The server's roles stand to the right, whatever machine they run on."
    if number == MOST_PAGES and every > MOST_PAGES * MOST_EVENTS:
        text += f" {every - MOST_PAGES * MOST_EVENTS:,} later events are left out."
    return text
