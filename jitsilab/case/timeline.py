"""The session as a list of events between parties, from whatever tables there are: what the ladder draws.

A party is a participant (an address, or a name for it) or a role of the server: signaling, TURN, bridge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import pandas as pd

from jitsilab.case import cast
from jitsilab.tables import Schema, frame_from, part
from jitsilab.tables.frames import sent

SIGNALING, TURN, BRIDGE = "signaling", "TURN", "bridge"
TOGETHER = 1.0  # s; like messages of one flow within this are one event

SCHEMA: Schema = {
    "seconds": ("float64", "s since the first frame, of the first message"),
    "frame": ("int64", "frame of the first message"),
    "last_frame": ("int64", "frame of the last one"),
    "count": ("int64", "how many like messages"),
    "flow": ("Int64", "number of the flow"),
    "source": ("str", "party that sent it"),
    "target": ("str", "party that got it"),
    "kind": ("str", "tls, turn, ice, dtls, media, jingle"),
    "label": ("str", "what it is"),
    "hidden": ("bool", "read from the length of an encrypted record"),
}

_STANZAS = {
    "session-initiate": "offer", "session-accept": "answer", "transport-info": "candidates",
    "session-terminate": "end of session", "transport-replace": "new transport", "source-add": "more sources",
    "source-remove": "fewer sources", "session-info": "session info",
}  # fmt: skip
_FLIGHTS = ("client_hello", "hello_verify_request", "server_hello", "finished")
_SILENT = ("other", "data", "channel-data", "allocate", "allocate-error", "refresh", "refresh-success")  # housekeeping


_METHODS = {"Allocate": "allocation", "CreatePermission": "create permission", "ChannelBind": "channel bind"}


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the table."""

    seconds: float
    frame: int
    last_frame: int
    count: int
    flow: int
    source: str
    target: str
    kind: str
    label: str
    hidden: bool


class End(NamedTuple):
    """Whose a flow is."""

    person: str
    is_client: bool  # whether the participant is the flow's client
    other: str = ""  # the participant at its other end, where it goes to no server


Ends = Mapping[int, End]


def events(tables: Mapping[str, pd.DataFrame | None], names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """All events in order; ``tables`` by name, ``flows`` at least, and ``names`` of people by address."""
    flows = tables["flows"]
    if flows is None or flows.empty:
        return frame_from([], SCHEMA)
    people, known = cast.addresses(cast.build(tables), flows), names or {}
    ends: dict[int, End] = {}
    for row in flows.itertuples():
        both = [
            (known.get(address, known.get(people[address], people[address])), is_client)
            for address, is_client in ((str(row.client), True), (str(row.server), False)) if address in people
        ]  # fmt: skip
        if both:
            other = next((name for name, _ in both[1:] if name != both[0][0]), "")
            ends[int(row.flow)] = End(*both[0], other)
    every = [*_tls(tables, ends), *_turn(tables, ends), *_stun(tables, ends), *_dtls(tables, ends),
             *_media(tables, ends), *_jingle(tables, ends)]  # fmt: skip
    return frame_from(map(astuple, sorted(_together(every), key=lambda event: (event.seconds, event.frame))), SCHEMA)


def parties(table: pd.DataFrame, people: list[str]) -> list[str]:
    """Everybody in the table: people first, then the server's roles."""
    there = set(table["source"]) | set(table["target"])
    return [name for name in (*people, SIGNALING, TURN, BRIDGE) if name in there]


def _rows(tables: Mapping[str, pd.DataFrame | None], name: str, ends: Ends) -> pd.DataFrame:
    table = tables.get(name)
    if table is None:
        return pd.DataFrame()
    return table[table["flow"].isin(list(ends))]


def _between(ends: Ends, flow: int, up: bool, role: str) -> tuple[str, str]:
    person, is_client, other = ends[flow]
    return (person, other or role) if up == is_client else (other or role, person)


def turn_flows(tables: Mapping[str, pd.DataFrame | None]) -> set[int]:
    """Flows to a TURN server: an Allocate in clear or decrypted, or read from record lengths."""
    turn: set[int] = set()
    stun, lengths = tables.get("stun"), tables.get("turn_in_tls")
    if stun is not None and len(stun):
        turn |= set(stun.loc[(stun["method"] == "Allocate") & (stun["depth"] == 0), "flow"].dropna().astype(int))
    if lengths is not None and len(lengths):
        turn |= set(lengths.loc[lengths["message"].str.startswith("allocate"), "flow"].dropna().astype(int))
    return turn


def _tls(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    turn, flows = turn_flows(tables), tables["flows"]
    tls = _rows(tables, "tls", ends)
    if tls.empty or flows is None:
        return
    for flow, rows in tls.groupby("flow", sort=True):
        flow = int(flow)
        hellos = rows[rows["handshake"].fillna("").str.contains("client_hello")]
        server = rows[rows["handshake"].fillna("").str.contains("server_hello")]
        version = str((server if len(server) else rows)["version"].iloc[0])
        source, target = _between(ends, flow, True, TURN if flow in turn else SIGNALING)
        if flow in turn and len(hellos):
            continue  # what follows in it says more
        if len(hellos):
            row, label = hellos.iloc[0], f"{version} hello"
            yield Event(row.seconds, row.frame, row.frame, 1, flow, source, target, "tls", label, False)
            continue
        row = flows[flows["flow"] == flow].iloc[0]
        label = f"{version}, opened before the capture"
        yield Event(row.first_seconds, row.first_frame, row.first_frame, 1, flow, source, target, "tls", label, False)


def _turn(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    words = {"error": "refused", "success": "granted"}
    for row in _rows(tables, "turn_in_tls", ends).itertuples():
        base, _, result = str(row.message).rpartition("-")
        if row.message in _SILENT:
            continue
        name = row.message.replace("-", " ") if result not in words else f"{base.replace('-', ' ')} {words[result]}"
        name = {"send": "ICE check", "allocate granted": "allocation granted"}.get(name, name)
        source, target = _between(ends, int(row.flow), bool(row.up), TURN)
        yield Event(row.seconds, row.frame, row.frame, 1, int(row.flow), source, target, "turn", name, True)


def _stun(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    turn = turn_flows(tables)
    stun = _rows(tables, "stun", ends)
    if stun.empty:
        return
    outer = stun[stun["depth"] == 0]
    lengths = tables.get("turn_in_tls")
    read = set() if lengths is None else set(lengths["flow"].dropna().astype(int))
    for flow, rows in outer.groupby("flow", sort=True):
        flow = int(flow)
        if flow in read:
            continue
        for row in rows[rows["method"] != "Binding"].itertuples() if flow in turn else ():
            words = {"request": "", "success": " granted", "error": " refused"}.get(str(row.message_class), "")
            name = _METHODS.get(str(row.method), "") + words
            if not name or name in ("allocation", "allocation refused"):
                continue
            source, target = _between(ends, flow, bool(row.up), TURN)
            yield Event(row.seconds, row.frame, row.frame, 1, flow, source, target, "turn", name, False)
        checks = rows[(rows["method"] == "Binding") & (rows["message_class"] == "request")]
        answers = rows[(rows["method"] == "Binding") & (rows["message_class"] == "success")]
        for up in (True, False):
            for messages, label in ((checks, "ICE check"), (answers, "ICE answer")):
                one_way = messages[messages["up"] == up]
                if len(one_way):
                    source, target = _between(ends, flow, up, TURN if flow in turn else BRIDGE)
                    yield Event(
                        one_way["seconds"].iloc[0], one_way["frame"].iloc[0], one_way["frame"].iloc[-1], len(one_way),
                        flow, source, target, "ice", f"{label}, first of {len(one_way)}", False,
                    )  # fmt: skip
        if "use_candidate" in checks:
            chosen = checks[checks["use_candidate"].fillna(False).astype(bool)]
            if len(chosen):
                source, target = _between(ends, flow, bool(chosen["up"].iloc[0]), BRIDGE)
                row = chosen.iloc[0]
                yield Event(row.seconds, row.frame, row.frame, 1, flow, source, target, "ice", "nomination", False)


def _dtls(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    rows = _rows(tables, "dtls", ends)
    if rows.empty:
        return
    for (flow, up, depth), records in rows.groupby(["flow", "up", "depth"], sort=True):
        source, target = _between(ends, int(flow), bool(up), BRIDGE)
        kinds = records["handshake_type"].fillna("")
        change = records[(records["record_type"] == "change_cipher_spec") & ~(kinds == "finished").any()]
        for step, flight in [*((step, records[kinds == step]) for step in _FLIGHTS), ("finished", change)]:
            if len(flight):
                row, last = flight.iloc[0], int(flight["frame"].iloc[-1])
                label = "DTLS " + step.replace("_", " ") + (" through TURN" if depth else "")
                yield Event(row.seconds, row.frame, last, len(flight), int(flow), source, target, "dtls", label, False)


def _media(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    rows = part(tables, "datagrams")
    if rows is None:
        return
    rows = rows if "packets" in rows else sent(rows)
    for row in rows[rows["flow"].isin(list(ends)) & (rows["packets"] >= 10)].itertuples():
        flow = int(row.flow)
        person, _, other = ends[flow]
        up = row.src == _address(tables, flow, ends)
        source, target = (person, other or BRIDGE) if up else (other or BRIDGE, person)
        label = f"SRTP and SRTCP: {row.packets:,} packets, {row.length / 1000:,.0f} kB"
        yield Event(row.seconds, row.frame, row.last_frame, row.packets, flow, source, target, "media", label, False)


def _address(tables: Mapping[str, pd.DataFrame | None], flow: int, ends: Ends) -> str:
    flows = tables["flows"]
    assert flows is not None  # ends was made from it
    row = flows[flows["flow"] == flow].iloc[0]
    return str(row.client if ends[flow][1] else row.server)


def _jingle(tables: Mapping[str, pd.DataFrame | None], ends: Ends) -> Iterator[Event]:
    rows = _rows(tables, "jingle", ends)
    if rows.empty:
        return
    for row in rows.drop_duplicates("stanza").itertuples():
        person = ends[int(row.flow)].person
        down = (row.dst if ends[int(row.flow)][1] else row.src) == _address(tables, int(row.flow), ends)
        source, target = (SIGNALING, person) if down else (person, SIGNALING)
        label = f"{_STANZAS.get(str(row.action), str(row.action))} ({row.session})"
        yield Event(row.seconds, row.frame, row.frame, 1, int(row.flow), source, target, "jingle", label, False)


def _together(every: list[Event]) -> list[Event]:
    """Like messages of one flow within a moment become one event with a count."""
    merged: list[Event] = []
    last: dict[tuple[int, str, str, str], int] = {}  # flow, kind, source and label: place of the last such event
    for event in sorted(every, key=lambda event: (event.seconds, event.frame)):
        like = (event.flow, event.kind, event.source, event.label)
        before = merged[last[like]] if like in last else None
        if before is not None and event.seconds - before.seconds < TOGETHER:
            merged[last[like]] = replace(
                before, last_frame=max(before.last_frame, event.last_frame), count=before.count + event.count
            )
        else:
            last[like] = len(merged)
            merged.append(event)
    return [
        replace(event, label=f"{event.label} × {event.count}")
        if event.count > 1 and event.kind in ("turn", "jingle") else event
        for event in merged
    ]  # fmt: skip
