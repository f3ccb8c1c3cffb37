"""When a call was, by the time that user fragments hold."""

import pandas as pd

from jitsilab.analysis import clock as clocks
from jitsilab.call import Call
from jitsilab.pages import markdown
from jitsilab.pages.narrative import Story
from jitsilab.pages.narrative.blocks import Table


def clock(call: Call) -> Table | Story:
    """When the ufrags were made, by the clock that made them."""
    stun = call.table("stun")
    rows = clocks.anchors(stun) if stun is not None and len(stun) else pd.DataFrame()
    if rows.empty:
        return Story()
    table = pd.DataFrame(
        {
            "User fragment": rows["ufrag"],
            "Made by": rows["owner"],
            "Clock at that moment (UTC)": rows["made"].dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3],
            "First check in frame": rows["first_frame"],
            "at (s)": rows["first_seconds"].map("{:.3f}".format),
        }
    )  # fmt: skip
    caption = "User fragments of the bridge and the wall-clock time in them."
    return Table("ufrag-clocks", table, caption, align="lllrr", code=("User fragment",))


def start(call: Call) -> Story:
    """When the capture began, and how the fragments confirm one another."""
    stun = call.table("stun")
    rows = clocks.anchors(stun) if stun is not None and len(stun) else pd.DataFrame()
    begin = clocks.start(rows) if len(rows) else None
    if begin is None:
        return Story()
    story = Story().add(
        "The bridge's ICE library makes its user fragments of random digits and of the time in milliseconds, in base "
        "32 [[14]](#ref-14). They travel in clear in every STUN request, so a table with relative times and without "
        "addresses still tells when the call was: the capture began at {begin} UTC or a moment later. *{certainty}.*",
        begin=f"{begin.earliest:%Y-%m-%d %H:%M:%S}", certainty=markdown.Raw(begin.certainty.capitalize()),
    )  # fmt: skip
    if len(rows) > 1 and begin.certainty != "measured":
        apart = (rows["made"].iloc[-1] - rows["made"].iloc[0]).total_seconds()
        between = float(rows["first_seconds"].iloc[-1] - rows["first_seconds"].iloc[0])
        story.extend(
            "The first and the last fragment were made {apart:.3f} s apart, and their first checks are {checks:.3f} s "
            "apart in the capture: the reading confirms itself.", apart=apart,
            checks=between,
        )  # fmt: skip
    return story
