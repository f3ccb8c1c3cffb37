"""The ladders: one of each capture's messages, with what programs say where their clocks are known."""

from dataclasses import replace

import pandas as pd

from jitsilab.call import Call
from jitsilab.case.timeline import BRIDGE, SIGNALING, TURN
from jitsilab.pages.casereport import fields
from jitsilab.pages.casereport.document import Event, Ladder, text
from jitsilab.pages.casereport.places import Places
from jitsilab.place import Place

MOST_EVENTS = 400  # of one ladder; the rest is counted
MOST_LADDERS = 4
LINES = "lines"  # the layer of what programs say
ROLES = (SIGNALING, TURN, BRIDGE)
#: where what a program says is drawn; a browser's stands with its participant
LANES = {"jvb": BRIDGE, "coturn": TURN, "prosody": SIGNALING, "nginx": SIGNALING, "jicofo": "focus"}
NOBODY = {"browser": "a browser", "stanzas": SIGNALING}  # where nothing tells whose it is


def of_captures(parts: list[Call], places: Places, proofs: frozenset[Place] = frozenset()) -> list[Ladder]:
    """A ladder for each capture that shows anything of a session; what proves the verdict stands out."""
    made = (
        _of_capture(part, number, len(parts), places, proofs) for number, part in enumerate(parts[:MOST_LADDERS], 1)
    )
    return [ladder for ladder in made if ladder is not None]


def _of_capture(part: Call, number: int, of_them: int, places: Places, proofs: frozenset[Place]) -> Ladder | None:
    from jitsilab.pages.narrative import ladder

    table = ladder.events(part)
    if table.empty:
        return None
    shown = table.head(MOST_EVENTS)
    decoded = fields.Decoded(part, shown)
    before = "" if of_them == 1 else f"{number}-"
    input = part.packets[0].input
    events = []
    for count, row in enumerate(shown.itertuples(), 1):
        place = Place(input, int(row.frame))
        tone = _tone(str(row.verdict), place in proofs)
        events.append(
            Event(f"event-{before}{count}", float(row.seconds), str(row.source), str(row.target), str(row.kind),
                  str(row.label), place, bool(row.hidden), tone, decoded.values(row))
        )  # fmt: skip
    lanes = [name for name in shown["lane_order"].iloc[0] if name in {*shown["source"], *shown["target"]}]
    people = lanes[: len(lanes) - len([role for role in ROLES if role in lanes])]
    caption = text(f"{places.short(input)}: who told whom what, and when. The server's roles stand to the right.")
    return Ladder(f"ladder-{number}" if of_them > 1 else "ladder", caption, lanes, people, events,
                  len(table) - len(shown))  # fmt: skip


def _tone(verdict: str, proves: bool) -> str:
    tone = "bad" if verdict == "DEVIATES" else "good" if verdict == "CONFORMS" else ""
    return f"{tone} proof".strip() if proves else tone or "plain"


def with_lines(
    drawn: list[Ladder], timeline: pd.DataFrame | None, places: Places, proofs: frozenset[Place] = frozenset()
) -> list[Ladder]:
    """The only ladder, or a new one, with the first of each thing that a program says of each participant."""
    if timeline is None or len(drawn) > 1:
        return drawn
    spoken = firsts(timeline)
    spoken = spoken[spoken["time"].notna()]
    if drawn:
        input = places.captures[0]
        begin = _begin(timeline, drawn[0], input)
        spoken = (
            spoken[spoken["clock"].fillna("").ne("") & (spoken["input"] != input)]
            if begin is not None
            else spoken.head(0)
        )
    else:
        begin = pd.Timestamp(spoken["time"].iloc[0]).value if len(spoken) else None
    if begin is None or spoken.empty:
        return drawn
    events = [
        _spoken(row, f"event-l{place}", begin, places, proofs)
        for place, row in enumerate(spoken.head(MOST_EVENTS).itertuples(), 1)
    ]
    before = drawn[0] if drawn else Ladder("ladder", (), [], [], [])
    every = sorted([*before.events, *events], key=lambda event: event.seconds)
    present = list(dict.fromkeys(event.source for event in events))
    programs = [lane for lane in (SIGNALING, "focus", TURN, BRIDGE) if lane in {*present, *before.lanes}]
    people = [*before.people, *(lane for lane in present if lane not in programs and lane not in before.people)]
    caption = before.caption or text("What logs, consoles and dumps say, where it was said.")
    return [replace(before, caption=caption, lanes=[*people, *programs], people=people, events=every,
                    left_out=before.left_out + max(len(spoken) - MOST_EVENTS, 0))]  # fmt: skip


def firsts(timeline: pd.DataFrame) -> pd.DataFrame:
    """Of what programs, browsers and stanzas say the first of each kind, by source and participant."""
    return timeline[timeline["source"].ne("packets")].drop_duplicates(["source", "kind", "participant"])


def _begin(timeline: pd.DataFrame, drawn: Ladder, input: str) -> int | None:
    """When the capture began on the clock of the case, in ns, by an event that stands in both."""
    seconds = {event.place.frame: event.seconds for event in drawn.events if event.place is not None}
    rows = timeline[timeline["source"].eq("packets") & timeline["input"].eq(input) & timeline["time"].notna()]
    for frame, time in zip(rows["frame"], rows["time"], strict=True):
        if frame in seconds:
            return int(pd.Timestamp(time).value - seconds[frame] * 1e9)
    return None


def _spoken(row: object, own: str, begin: int, places: Places, proofs: frozenset[Place]) -> Event:
    source, who = str(getattr(row, "source", "")), getattr(row, "participant", None)
    who = who if isinstance(who, str) else ""
    lane = (who or NOBODY[source]) if source in NOBODY else LANES.get(source, source)
    about = f" ({who})" if who and lane != who else ""
    label = f"{source}: {places.shortened(str(getattr(row, 'label', '')))}{about}"
    place = place_of(row)
    seconds = (pd.Timestamp(getattr(row, "time")).value - begin) / 1e9  # noqa: B009  # a row has no such attribute for mypy
    details = [("said by", source), ("of", who), ("written", str(getattr(row, "written", "")))]
    return Event(
        own,
        seconds,
        lane,
        lane,
        LINES,
        label,
        place,
        False,
        "proof" if place in proofs else "plain",
        [detail for detail in details if detail[1]],
    )


def place_of(row: object) -> Place:
    """Where a row of ``timeline`` or ``events`` stands."""

    def number(name: str) -> int | None:
        value = getattr(row, name, None)
        return None if value is None or pd.isna(value) else int(value)

    pointer = getattr(row, "pointer", None)
    return Place(str(getattr(row, "input", "")), number("frame"), number("line"),
                 pointer if isinstance(pointer, str) else None)  # fmt: skip


def without_lines(ladder: Ladder) -> Ladder:
    """The ladder for paper: where there are packets, they alone."""
    events = [event for event in ladder.events if event.kind != LINES]
    if not events or len(events) == len(ladder.events):
        return ladder
    used = {name for event in events for name in (event.source, event.target)}
    return replace(ladder, events=events, lanes=[lane for lane in ladder.lanes if lane in used],
                   people=[name for name in ladder.people if name in used])  # fmt: skip
