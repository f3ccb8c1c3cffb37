"""The same session as packets, the servers' logs and the browsers tell it, on one clock."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.pages.narrative import Story
from jitsilab.pages.narrative.blocks import Table

#: the steps that several sources date, in their order
STEPS = {
    "logged-in": "logged in", "conference-requested": "asked for the conference", "participant-joined": "in the room",
    "offer-sent": "the offer", "answer-received": "the answer", "ice-connected": "ICE found a way",
    "dtls-done": "DTLS finished", "channel-opened": "the bridge channel", "ice-disconnected": "ICE lost its way",
    "session-ended": "the session ended", "participant-left": "left",
}  # fmt: skip
SOURCES = {"stanzas": "Packets", "prosody": "Prosody", "jicofo": "Focus", "jvb": "Bridge", "browser": "Browser"}


def clocks(call: Call) -> Table | Story:
    """How far each source's clock stands from UTC, and how that is known."""
    rows = []
    for (input, program), clock in sorted(call.clocks.items()):
        if program == "rest" or clock.shared == 0:
            continue
        rows.append(
            {
                "Source": input.rpartition("/")[2],
                "Program": program,
                "Add (s)": "not known" if clock.offset is None else f"{clock.offset:.3f}",
                "Least": f"{clock.bounds.low:.3f}",
                "Most": f"{clock.bounds.high:.3f}",
                "Certainty": clock.certainty,
                "Shared moments": clock.shared,
            }
        )
    if not rows:
        return Story().add("No two sources of this case name the same happening.", clocks=0)
    caption = "What to add to each source's times to get UTC, as the happenings that two sources share bound it."
    return Table("clocks", pd.DataFrame(rows), caption, align="llrrrlr", code=("Source",))


def steps(call: Call, participant: str) -> Table | Story:
    """When each source says that each step came, for one participant."""
    rows = call.timeline
    own = rows[rows["participant"].eq(participant) & rows["time"].notna()]
    times = []
    for kind, words in STEPS.items():
        moments = own[own["kind"] == kind]
        firsts = moments.drop_duplicates("source").set_index("source")["time"]
        if len(firsts):
            shown = {title: _clock(firsts.get(name)) for name, title in SOURCES.items()}
            times.append({"Step": words, **shown})
    if not times:
        return Story().add("No source dates a step of {participant}.", participant=participant)
    caption = f"When each source says that a step of {participant} came, by one clock."
    return Table("step-times", pd.DataFrame(times), caption, align="llllll")


def ladder(call: Call, participant: str, most: int = 40) -> Table | Story:
    """The first moments of one participant's session from all sources, in order, each with its place."""
    rows = call.timeline
    own = rows[rows["participant"].eq(participant) & rows["time"].notna()]
    own = own.drop_duplicates(["source", "kind"]).head(most)
    if own.empty:
        return Story().add("No source dates anything of {participant}.", participant=participant)
    places = [_place(*row) for row in own[["input", "frame", "line", "pointer"]].itertuples(index=False)]
    table = {"Time": own["time"].map(_clock), "Says": own["source"], "What": own["label"], "Where": places}
    caption = f"The session of {participant} as packets, stanzas, logs and browsers tell it, the first of each kind."
    return Table("sources", pd.DataFrame(table), caption, align="llll", code=("Where",))


def _place(input: str, frame: object, line: object, pointer: object) -> str:
    name = input.rpartition("/")[2]
    if pd.notna(frame):
        return f"{name} frame {frame}"
    return f"{name}:{line}" if pd.notna(line) else f"{name} {pointer}"


def _clock(time: object) -> str:
    return f"{time:%H:%M:%S.%f}"[:-3] if isinstance(time, pd.Timestamp) else ""
