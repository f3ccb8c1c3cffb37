"""Who had media, by which way, and why not: participants, paths, stages, causes, advice.

The same answer is reached with a key log, with the server's loopback, or with neither, at falling certainty; what the
evidence does not single out is ``undetermined`` or ``not-observable``, never a guess.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from jitsilab.case import cast as people
from jitsilab.case.cast import Cast, Person
from jitsilab.ip import is_private
from jitsilab.judge import hypotheses
from jitsilab.judge.checks import GUARD
from jitsilab.judge.diagnosis.advice import advise
from jitsilab.judge.diagnosis.causes import ANSWERED_OFFER, Cause, cause
from jitsilab.judge.diagnosis.paths import Path, paths, stage, turn_stage
from jitsilab.tables import Schema, frame_from

SCHEMA: Schema = {
    "id": ("str", "display name, else address"),
    "nick": ("str", "display name"),
    "addresses": ("object", "addresses without ports"),
    "jids": ("object", "full JIDs, one a stay"),
    "endpoints": ("object", "endpoint ids: the occupant's name in the room, one a stay"),
    "ssrcs": ("object", "SSRCs that the participant announced"),
    "media_path": ("str", "last way of media: p2p, jvb-udp, turn-udp, turn-tcp, turn-tls, none, not-observable"),
    "media_paths": ("object", "every way that carried media, with the seconds from and to"),
    "stage": ("str", "tls, xmpp, conference, jingle, checks, nominated, dtls or media: how far the session came"),
    "turn_stage": ("str", "how far the participant came with TURN"),
    "cause": ("str", "why there are no media; empty where there are"),
    "open_causes": ("object", "what remains open where the cause is undetermined"),
    "certainty": ("str", "measured, deduced or inferred"),
    "frames": ("object", "frames that prove it"),
    "advice": ("str", "what to change"),
    "note": ("str", "the reason in a sentence"),
}  # fmt: skip


class Source(Protocol):
    """What is diagnosed: a `jitsilab.call.Call`, or whatever gives tables by name."""

    def table(self, name: str) -> pd.DataFrame | None:
        """One table, None where the source cannot show it."""
        ...

    def tables(self) -> Mapping[str, pd.DataFrame | None]:
        """All tables of packets and messages."""
        ...


MOST_WAYS = 6  # that a person wants to read of; JSON has all


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """One participant's row."""

    id: str
    nick: str
    addresses: list[str]
    jids: list[str]
    endpoints: list[str]
    ssrcs: list[int]
    media_path: str
    media_paths: list[Path]
    stage: str
    turn_stage: str
    cause: str | None
    open_causes: list[str]
    certainty: str
    frames: list[int]
    advice: str
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As ``jitsilab diagnose --json`` prints it."""
        return {
            "id": self.id, "nick": self.nick or None, "addresses": self.addresses, "jids": self.jids,
            "endpoints": self.endpoints, "ssrcs": self.ssrcs, "media_path": self.media_path,
            "media_paths": [
                {"path": p.name, "from": round(p.start, 3), "to": round(p.end, 3)} for p in self.media_paths
            ],
            "stage": self.stage, "turn_stage": self.turn_stage, "cause": self.cause, "open_causes": self.open_causes,
            "certainty": self.certainty, "frames": self.frames, "advice": self.advice, "note": self.note,
        }  # fmt: skip


@dataclass(slots=True)
class Diagnosis:
    """The answer for one capture."""

    people: list[Diagnosed]
    server: dict[str, Any]
    hypotheses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def participants(self) -> pd.DataFrame:
        """The table ``participants``."""
        return frame_from(
            [
                (one.id, one.nick or None, one.addresses, one.jids, one.endpoints, one.ssrcs, one.media_path,
                 [f"{p.name}@{p.start:.3f}-{p.end:.3f}" for p in one.media_paths], one.stage, one.turn_stage, one.cause,
                 one.open_causes, one.certainty, one.frames, one.advice, one.note)
                for one in self.people
            ],
            SCHEMA,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Participants, server and hypotheses for programs."""
        return {
            "participants": [one.to_json() for one in self.people],
            "server": self.server,
            "hypotheses": self.hypotheses,
        }

    def fails_at(self, level: str) -> bool:
        """Whether somebody has no media (``no-media``)."""
        return level != "none" and any(one.media_path == "none" for one in self.people)

    def to_text(self) -> str:
        """The same for a terminal: the server, a paragraph a participant, the claims that were tested."""
        if not self.people:
            return "No Jitsi call in this capture. Its ICE and TURN are in `jitsilab table ice` and `table stun`."
        parts = [_server(self.server), *map(_paragraph, self.people)]
        parts += [_wrapped(f"Claim {one['verdict'].upper()}: {one['claim']} {one['note']}") for one in self.hypotheses]
        return "\n\n".join(parts)


def _server(server: dict[str, Any]) -> str:
    public = f", reached as {server['public_address']}" if server["public_address"] else ""
    return f"Server {', '.join(server['addresses'])}{public}. A Jitsi call by {server['evidence']}."


def _paragraph(one: Diagnosed) -> str:
    where = f" ({', '.join(one.addresses)})" if one.addresses and one.id not in one.addresses else ""
    ways = ", then ".join(f"{p.name} from {p.start:.1f} to {p.end:.1f} s" for p in one.media_paths[:MOST_WAYS])
    if len(one.media_paths) > MOST_WAYS:
        ways += f", then {len(one.media_paths) - MOST_WAYS} more ways to {one.media_paths[-1].end:.1f} s"
    unseen = "media not to be seen from here" if one.media_path == "not-observable" else "NO MEDIA"
    lines = [f"{one.id}{where}: {'media over ' + ways if ways else unseen}"]
    reached = f"came as far as {one.stage}, with TURN as far as {one.turn_stage} ({one.certainty})"
    if one.cause:
        opened = f" (open: {', '.join(one.open_causes)})" if one.open_causes else ""
        lines.append(_wrapped(f"cause:  {one.cause}{opened}{': ' + one.note if one.note else ''}", "  "))
    lines.append(_wrapped(f"stage:  {reached}", "  "))
    if one.note and not one.cause:
        lines.append(_wrapped(f"note:   {one.note}", "  "))
    if one.frames:
        shown = " ".join(map(str, one.frames[:12])) + (" ..." if len(one.frames) > 12 else "")
        lines.append(f"  frames: {shown}")
    if one.advice:
        lines.append(_wrapped(f"advice: {one.advice}", "  "))
    return "\n".join(lines)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, 100, initial_indent=indent, subsequent_indent=indent + "        ", break_long_words=False
    )


def diagnose(call: Source) -> Diagnosis:
    """Diagnose a call from its tables; a capture that nothing shows to be a Jitsi call has no participants."""
    tables = call.tables()
    who = people.of(tables)
    server = {"addresses": who.servers, "public_address": who.public or None, "evidence": who.jitsi or None}
    if not who.jitsi:
        return Diagnosis([], server)
    ways = {id(person): paths(person, who) for person in who.people}
    rows = [_row(person, who, ways, tables) for person in who.people]
    return Diagnosis(rows, server, _hypotheses(call))


def _hypotheses(call: Source) -> list[dict[str, Any]]:
    return [one.to_json() for one in hypotheses.of(call)]


def _row(person: Person, who: Cast, ways: dict[int, list[Path]], tables: Mapping[str, Any]) -> Diagnosed:
    route = ways[id(person)]
    reached, frames = stage(person, route)
    bridge = next((one for one in who.servers if is_private(one)), "")
    jids = [stay.jid for stay in person.stays if stay.jid]
    endpoints = list(dict.fromkeys(stay.endpoint for stay in person.stays if stay.endpoint))
    common = (person.id, person.nick, person.addresses, jids, endpoints, _ssrcs(endpoints, tables.get("sources")))
    if route:
        last, (note, refused) = route[-1], _channel(person, tables.get("http"))
        shown = sorted({*last.frames, *refused})
        return Diagnosed(
            *common, last.name, route, reached, turn_stage(person), None, [], last.certainty, shown, "", note
        )
    others = any(
        leg.direct and leg.kind == "jvb" and leg.sent for one in who.people if one is not person for leg in one.legs
    )
    why = cause(person, who, others, _burst(person, tables, who.end - GUARD))
    path = "not-observable" if _unseen(why) else "none"
    return Diagnosed(
        *common, path, [], reached, turn_stage(person), why.name, list(why.open), why.certainty,
        sorted(set(why.frames or frames)), advise(why.name, bridge, who.public), why.note,
    )  # fmt: skip


def _channel(person: Person, http: pd.DataFrame | None) -> tuple[str, list[int]]:
    """What a refused bridge channel means for somebody whose media flow, and the frames; nothing where it opened."""
    if http is None or http.empty:
        return "", []
    asked = http[http["flow"].isin(person.flows) & http["target"].fillna("").str.contains("/colibri-ws/", regex=False)]
    refused = asked[asked["status"].notna() & asked["status"].ne(101)]
    if refused.empty or asked["status"].eq(101).any():
        return "", []
    status = "/".join(str(int(one)) for one in refused["status"].unique())
    why = "media flow, but the browser never learns whose they are and may play nothing"
    return f"the bridge channel was refused ({status}): {why}", [int(frame) for frame in refused["frame"]]


def _ssrcs(endpoints: list[str], sources: pd.DataFrame | None) -> list[int]:
    """What the participant announced itself; the bridge's numbers for the same streams are other ones."""
    if sources is None or not endpoints:
        return []
    mine = sources[sources["owner"].isin(endpoints) & sources["origin"].eq("jingle") & sources["ssrc"].notna()]
    return [int(one) for one in dict.fromkeys(mine["ssrc"])]


def _unseen(why: Cause) -> bool:
    """Whether media may have run where this capture does not see them."""
    return why.name == "not-observable" or "not-observable" in why.open


def _burst(person: Person, tables: Mapping[str, Any], until: float) -> int | None:
    """Frame of a burst upstream of the size that only an answered offer has, 0 for none, None if not to be seen.

    One that came after ``until`` is too late for anything to have followed it.
    """
    flows = [flow for flow, role in person.flows.items() if role in ("websocket", "signaling", "web")]
    tls = tables.get("tls")
    if not flows or tls is None or tls.empty:
        return None
    rows = tls[
        tls["flow"].isin(flows) & tls["up"].fillna(False).astype(bool) & tls["record_type"].eq("application_data")
    ]
    for _, sent in rows.groupby("flow"):
        times, sizes = sent["seconds"].to_numpy(float), sent["length"].fillna(0).to_numpy(float)
        start = 0
        for end in range(len(times)):
            while times[end] - times[start] > 0.12:
                start += 1
            if sizes[start : end + 1].sum() >= ANSWERED_OFFER:
                return int(sent["frame"].iloc[end]) if times[end] <= until else None
    return 0
