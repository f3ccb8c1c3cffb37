"""Everything that any source dates, in one order of time: packets, stanzas, log lines, what browsers say.

Each row stands at the time of the case's clock (`jitsilab.case.clocks`) and names the source that says it and where.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import pandas as pd

from jitsilab.case import timeline
from jitsilab.case.cast import Cast
from jitsilab.case.clocks import Clock, begin_of
from jitsilab.case.timeline_view import Timeline
from jitsilab.tables import TIME, Schema, frame_from

SCHEMA: Schema = {
    "time": (TIME, "when, by the clock of the case: UTC where `clock` is not empty; empty for what nothing dates"),
    "written": (TIME, "when, as its source dates it, read as UTC where it names no zone"),
    "clock": (
        "str",
        "how the source's offset to UTC is known: measured, deduced, inferred; empty where it is not",
    ),
    "source": ("str", "who says so: packets, stanzas, jvb, jicofo, prosody, nginx, coturn, browser, ..."),
    "kind": ("str", "of lines the word of `events`, of stanzas what they are, of packets tls, turn, ice, dtls, media"),
    "participant": ("str", "display name where it is known, else endpoint id or address; empty for a server"),
    "label": ("str", "what happened, in words"),
    "count": ("int64", "how many like messages within a moment"),
    "input": ("str", "the piece of evidence, as `inputs` names it"),
    "frame": ("Int64", "frame in it"),
    "last_frame": ("Int64", "of several like messages the last one's"),
    "line": ("Int64", "line in it"),
    "pointer": ("str", "JSON pointer in it, RFC 6901"),
}
SAME = 0.05  # s: two captures of one call date the same packet no further apart

_ACTIONS = {
    "session-initiate": "offer-sent", "session-accept": "answer-received", "session-terminate": "session-ended",
    "transport-info": "candidates-sent", "transport-replace": "transport-replaced",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, with times in ns."""

    time: int | None
    written: int | None
    clock: str | None
    source: str
    kind: str
    participant: str | None
    label: str
    count: int
    input: str
    frame: int | None = None
    last_frame: int | None = None
    line: int | None = None
    pointer: str | None = None


def chronicle(
    events: pd.DataFrame | None,
    clocks: Mapping[tuple[str, str], Clock],
    owners: Mapping[str, str],
    captures: Mapping[str, tuple[Cast, Mapping[str, pd.DataFrame | None]]],
) -> pd.DataFrame:
    """The table; ``captures``: who is in each, and its tables; ``owners``: whose browser an input is of."""
    names = {
        stream.endpoint: person.id
        for cast, _ in captures.values() for person in cast.people for stream in person.xmpp_streams if stream.endpoint
    }  # fmt: skip
    rows: list[Row] = []
    for input, (cast, tables) in captures.items():
        rows += _new([*_stanzas(input, cast, tables, clocks), *_packets(input, tables, cast, clocks)], rows)
    if events is not None and len(events):
        rows += _lines(events, clocks, owners, names)
    return Timeline(frame_from(map(astuple, _in_order(rows)), SCHEMA))


def _in_order(rows: list[Row]) -> list[Row]:
    """By time; what has none follows what its input said before, or stands at the end."""
    last: dict[str, int] = {}
    keys: list[float] = []
    for row in rows:
        if row.time is not None:
            last[row.input] = row.time
        keys.append(row.time if row.time is not None else last.get(row.input, float("inf")))
    return [rows[number] for number in sorted(range(len(rows)), key=keys.__getitem__)]


def _new(rows: list[Row], before: list[Row]) -> list[Row]:
    """What another capture of the same call has not shown already."""
    known: dict[tuple[str, str | None, str], list[int]] = {}
    for row in before:
        if row.time is not None:
            known.setdefault((row.kind, row.participant, row.label.partition(",")[0]), []).append(row.time)
    result = []
    for row in rows:
        times = known.get((row.kind, row.participant, row.label.partition(",")[0]), ())
        if row.time is None or not any(abs(time - row.time) <= SAME * 1e9 for time in times):
            result.append(row)
    return result


def _placed(clock: Clock | None, written: int | None) -> tuple[int | None, int | None, str | None]:
    """Time on the case's clock, as written, and how surely the one follows from the other."""
    if clock is None or written is None:
        return written, written, None
    return written + round(clock.applied * 1e9), written, clock.certainty if clock.offset is not None else None


def _when(
    input: str, tables: Mapping[str, pd.DataFrame | None], clocks: Mapping[tuple[str, str], Clock], seconds: float
) -> tuple[int | None, int | None, str | None]:
    """The same for a moment of a capture; of one without times of day only the clock's offset dates it."""
    clock, begin = clocks.get((input, "packets")), begin_of(tables)
    if begin is not None:
        return _placed(clock, round((begin + seconds) * 1e9))
    if clock is None or clock.offset is None:
        return None, None, None
    return round((clock.offset + seconds) * 1e9), None, clock.certainty


def _packets(
    input: str, tables: Mapping[str, pd.DataFrame | None], cast: Cast, clocks: Mapping[tuple[str, str], Clock]
) -> Iterator[Row]:
    """What `timeline.events` sees in a capture, signaling aside."""
    if tables.get("flows") is None:
        return
    people = {address: person.id for person in cast.people for address in person.addresses}
    roles = (timeline.SIGNALING, timeline.TURN, timeline.BRIDGE)
    for event in timeline.events(tables, people).itertuples(index=False):
        if event.kind == "jingle":
            continue
        who = next((str(end) for end in (event.source, event.target) if end not in roles), None)
        label = f"{event.source} to {event.target}: {event.label}"
        yield Row(
            *_when(input, tables, clocks, float(event.seconds)), "packets", str(event.kind), who, label,
            int(event.count), input, int(event.frame), int(event.last_frame),
        )  # fmt: skip


def _stanzas(
    input: str, cast: Cast, tables: Mapping[str, pd.DataFrame | None], clocks: Mapping[tuple[str, str], Clock]
) -> Iterator[Row]:
    """Logins, rooms and Jingle, as the streams of the cast have them: also those behind the server's own proxy."""
    xmpp, jingle = tables.get("xmpp"), tables.get("jingle")
    if xmpp is None:
        return
    at = dict(zip(xmpp["frame"].tolist(), xmpp["seconds"].tolist(), strict=True))

    def row(frame: int, kind: str, who: str, label: str) -> Row:
        return Row(*_when(input, tables, clocks, float(at[frame])), "stanzas", kind, who, label, 1, input, frame, frame)

    whose: dict[str, str] = {}
    for person in cast.people:
        for stream in person.xmpp_streams:
            steps = [
                (stream.tried, "login", f"{person.id} logs in"),
                (stream.bound, "logged-in", f"{person.id} is logged in"),
                (stream.asked, "conference-requested", f"{person.id} asks the focus for the conference"),
                (stream.ready, "conference-ready", "the focus is ready"),
                (stream.joined, "participant-joined", f"{person.id} is in the room"),
                (stream.left, "participant-left", f"{person.id} leaves"),
                *((frame, "refused", f"{person.id} is refused") for frame in stream.refused),
                *((frame, "bridge-unavailable", "the focus has no bridge") for frame in stream.bridge_missing[:1]),
            ]  # fmt: skip
            yield from (row(frame, kind, person.id, label) for frame, kind, label in steps if frame in at)
            whose |= dict.fromkeys(stream.sessions, person.id)
    if jingle is None or jingle.empty:
        return
    for stanza in jingle.drop_duplicates("stanza").itertuples(index=False):
        if stanza.sid in whose and stanza.frame in at and stanza.action in _ACTIONS:
            who, kind = whose[str(stanza.sid)], _ACTIONS[str(stanza.action)]
            yield row(int(stanza.frame), kind, who, f"{stanza.action} of the {stanza.session} session with {who}")


def _lines(
    events: pd.DataFrame, clocks: Mapping[tuple[str, str], Clock], owners: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[Row]:
    """The events of logs, consoles, dumps and answers."""
    times = events["time"].dt.tz_localize(None).to_numpy("datetime64[ns]").astype("int64").tolist()
    missing = events["time"].isna().tolist()
    columns = ("program", "event", "participant", "value", "status", "detail", "input", "line", "frame", "pointer")
    for time, empty, values in zip(times, missing, zip(*(events[c] for c in columns), strict=True), strict=True):
        event: dict[str, Any] = {
            name: None if pd.isna(value) else value for name, value in zip(columns, values, strict=True)
        }
        program, input = event["program"] or "", event["input"]
        who = event["participant"] or (owners.get(input) if program == "browser" else None)
        words = " ".join(str(part) for part in (event["value"], event["status"], event["detail"]) if part)
        yield Row(
            *_placed(clocks.get((input, program)), None if empty else int(time)), program, event["event"],
            names.get(who, who) if who else None,
            f"{event['event'].replace('-', ' ')}{': ' + words if words else ''}", 1, input,
            event["frame"], event["frame"], event["line"], event["pointer"],
        )  # fmt: skip
