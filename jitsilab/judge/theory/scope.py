"""What a step is judged by: one participant, one media session, and their share of the tables.

A table of a scope is None where this capture cannot show it of this participant, which is not the same as empty: checks
inside a relay that stays shut, media between two browsers past the capture, signaling behind TLS.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from jitsilab.analysis import holes, limits
from jitsilab.analysis.turn_flows import TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.ip import is_loopback
from jitsilab.judge.checks import GUARD, Certainty, Check, Outcome, Verdict
from jitsilab.protocols.xmpp import Stanza
from jitsilab.tables import PARTS, part
from jitsilab.tables.occupants import key
from jitsilab.tables.parsed import stanzas_of

TOGETHER = limits.TOGETHER.value  # s within which relays are opened for one session
MOST_TEXT = 300  # characters of a note: some of it was said by whoever was captured
MOST_FRAMES = 12  # that one verdict lists

Tables = Mapping[str, "pd.DataFrame | None"]


@dataclass(frozen=True, slots=True)
class Step(Check):
    """A step of the theory: what a specification or a program says happens, and how a capture is held against it."""

    each: str = "participant"  # what it is judged for: participant, or session
    applies: "Callable[[Scope], str] | None" = None  # why it is not asked of a scope; empty where it is


class Whole:
    """The tables of a capture, and what many scopes ask of them, found once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._places: dict[str, dict[int, np.ndarray]] = {}

    def get(self, name: str) -> pd.DataFrame | None:
        """A table by name, None where this capture cannot show it."""
        return part(self._tables, name) if name in PARTS else self._tables.get(name)

    def of_flows(self, name: str, flows: Collection[int]) -> pd.DataFrame:
        """The rows of some flows, in their order."""
        rows = self.get(name)
        assert rows is not None  # asked for by whoever found it there
        if name not in self._places:
            self._places[name] = {int(flow): at for flow, at in rows.groupby("flow").indices.items()}
        places = [at for flow in flows if (at := self._places[name].get(int(flow))) is not None]
        return rows.iloc[np.sort(np.concatenate(places))] if places else rows.iloc[:0]

    @cached_property
    def opened(self) -> set[int]:
        """Flows whose STUN can be read."""
        stun = self.get("stun")
        return set() if stun is None or stun.empty else {int(flow) for flow in stun["flow"].dropna().unique()}

    @cached_property
    def ended(self) -> set[int]:
        """TCP flows whose end is in the capture."""
        flows = self.get("flows")
        if flows is None or "fins" not in flows:
            return set()
        return set(flows.loc[flows["fins"].fillna(0).gt(0) | flows["resets"].fillna(0).gt(0), "flow"].astype(int))

    @cached_property
    def cut(self) -> set[int]:
        """STUN frames of which the capture has only the beginning."""
        return holes.cut(part(self._tables, "cut"), self.get("stun"))

    @cached_property
    def loopback(self) -> bool:
        """Whether the server's own loopback is in the capture, and so the far side of its relays."""
        flows = self.get("flows")
        return flows is not None and any(map(is_loopback, flows["client"].unique()))


@dataclass
class Scope:
    """One participant, and one of its media sessions where the step is about one."""

    person: Person
    call: Cast
    every: Whole  # all tables of the capture
    session: Session | None = None
    name: str = ""  # of the session: jvb, p2p, jvb 2
    kind: str = ""  # jvb, p2p, or empty
    legs: list[Leg] = field(default_factory=list)
    turns: list[TurnFlow] = field(default_factory=list)

    @property
    def xmpp_streams(self) -> list[XmppStream]:
        """The participant's XMPP connections."""
        return self.person.xmpp_streams

    @cached_property
    def stream(self) -> XmppStream | None:
        """The connection that the session was negotiated over, else the longest one."""
        for stream in self.xmpp_streams:
            if self.session is not None and stream.sessions.get(self.session.sid) is self.session:
                return stream
        return max(self.xmpp_streams, key=lambda stream: (bool(stream.joined), stream.end - stream.start), default=None)

    @property
    def whole(self) -> bool:
        """Whether the signaling is in the capture without a hole, so that what is absent was not said."""
        return bool(self.xmpp_streams) and all(stream.whole for stream in self.xmpp_streams)

    @property
    def shut(self) -> bool:
        """Whether a part of the session may run where this capture does not see it."""
        used = ("permitted", "relaying")
        inside = [turn for turn in self.turns if turn.via == "turn-tls" and (turn.stage in used or turn.sent)]
        hidden = any(turn.flow not in self.every.opened for turn in inside) and not self.every.loopback
        return hidden or (self.kind == "p2p" and not self.call.own) or not self.person.addresses

    @cached_property
    def stanzas(self) -> list[tuple[Any, Stanza]]:
        """The participant's stanzas, each as its row of the table xmpp and read."""
        rows, every = self.table("xmpp"), self.every.get("xmpp")
        if rows is None or every is None:
            return []
        parsed = stanzas_of(every)
        own = [parsed[place] for place in np.flatnonzero(every.index.isin(rows.index))]
        pairs = zip(rows.itertuples(index=False), own, strict=True)
        return [(row, stanza) for row, stanza in pairs if stanza is not None]

    def stanzas_of(self, stream: XmppStream) -> list[tuple[Any, Stanza]]:
        """The stanzas of one connection."""
        return [(row, stanza) for row, stanza in self.stanzas if key(row.connection) == stream.connection]

    def table(self, name: str) -> pd.DataFrame | None:
        """The participant's share of a table, of the session's where there is one."""
        if name not in self._shares:
            self._shares[name] = self._share(name)
        return self._shares[name]

    @cached_property
    def _shares(self) -> dict[str, pd.DataFrame | None]:
        return {}

    def _share(self, name: str) -> pd.DataFrame | None:
        rows = self.every.get(name)
        if rows is None:
            return None
        if name == "http":
            return self._http(rows)
        if name in ("xmpp", "jingle", "candidates", "payload_types", "header_extensions", "sources", "bridge"):
            return self._signaled(name, rows) if self.xmpp_streams else None
        if name in ("stun", "dtls", "media", "extended", "rtcp"):
            return self._carried(name)
        if name in ("tls", "flows", "turn_in_tls"):
            if not self.person.addresses:
                return None
            return self.every.of_flows(name, {*self.person.flows, *(turn.flow for turn in self.turns)})
        return rows

    def _http(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        flows = {*self.person.flows, *(flow for stream in self.xmpp_streams for flow in stream.flows)}
        chosen = rows["flow"].isin(flows)
        ends = [stream.endpoint for stream in self.xmpp_streams if stream.endpoint]
        target = rows["target"].fillna("")
        for endpoint in ends:
            chosen |= target.str.contains(f"/{endpoint}?", regex=False) | target.str.endswith(f"/{endpoint}")
        share = rows[chosen]
        return share if len(share) or self.xmpp_streams else None

    def _signaled(self, name: str, rows: pd.DataFrame) -> pd.DataFrame:
        connections = [stream.connection for stream in self.xmpp_streams]
        if name == "xmpp":
            return rows[rows["connection"].isin(connections)]
        ends = [stream.endpoint for stream in self.xmpp_streams if stream.endpoint]
        if name == "bridge":
            return rows[rows["endpoint"].isin(ends)]
        if name == "sources":
            return rows[rows["owner"].isin(ends) | rows["receiver"].isin(ends)]
        xmpp = self.every.get("xmpp")
        assert xmpp is not None  # the jingle tables are made of it
        spoken = xmpp["connection"].isin(connections).to_numpy(bool)
        stanza = rows["stanza"].to_numpy(np.float64, na_value=np.nan)  # the places of rows of xmpp
        of_stanza = np.flatnonzero(~np.isnan(stanza))
        chosen = of_stanza[spoken[stanza[of_stanza].astype(np.int64)]]
        if self.session is not None:
            chosen = chosen[rows["sid"].eq(self.session.sid).to_numpy(bool)[chosen]]
        out = xmpp["direction"].eq("c2s").to_numpy(bool)
        return rows.iloc[chosen].assign(outgoing=out[stanza[chosen].astype(np.int64)])

    def _carried(self, name: str) -> pd.DataFrame | None:
        """Rows of the session's legs, with ``outgoing``: whether they come from the participant's end."""
        if not self.legs and self.shut:
            return None
        places = {(leg.flow, leg.via.startswith("turn")): leg for leg in self.legs}
        rows = self.every.of_flows(name, {flow for flow, _ in places})
        deep = rows["depth"].fillna(0).to_numpy() > 0 if "depth" in rows else np.zeros(len(rows), bool)
        up = rows["up"].fillna(True).to_numpy(bool)
        port = rows["src_port"].fillna(-1).to_numpy()
        source, flow = rows["src"].to_numpy(object), rows["flow"].to_numpy()
        carried, outgoing = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        for (number, inside), leg in places.items():
            here = (flow == number) & (deep == inside)
            carried |= here
            outgoing |= here & (up if inside else (source == leg.address) & (port == leg.port))
        if "duplicate" in rows:
            carried &= ~rows["duplicate"].fillna(False).to_numpy(bool)
        rows = rows[carried].assign(outgoing=outgoing[carried])
        return None if rows.empty and self.shut else rows


def scopes(person: Person, call: Cast, tables: Whole) -> Iterator[Scope]:
    """A scope a media session of the participant, in order; none where there was no session."""
    parts = list(_signaled(person)) if person.sessions else list(_unsignaled(person))
    counts: dict[str, int] = {}
    for session, kind, legs, turns in parts:
        name = kind or "session"
        counts[name] = counts.get(name, 0) + 1
        number = f" {counts[name]}" if counts[name] > 1 else ""
        yield Scope(person, call, tables, session, name + number, kind, legs, turns)


Part = tuple[Session | None, str, list[Leg], list[TurnFlow]]


def _signaled(person: Person) -> Iterator[Part]:
    sessions = person.sessions
    turns: dict[int, list[TurnFlow]] = {}
    for turn in person.turn:
        fitting = [n for n, session in enumerate(sessions) if turn.kind in ("", session.kind)]
        near = {
            n: abs(turn.start - at) for n in fitting or range(len(sessions)) if (at := sessions[n].offered_at) == at
        }
        turns.setdefault(min(near, key=lambda n: near[n], default=0), []).append(turn)
    for n, session in enumerate(sessions):
        legs = [leg for leg in person.legs if any(own in session.own or to in session.remote for own, to in leg.ufrags)]
        yield session, session.kind, legs, turns.get(n, [])


def _unsignaled(person: Person) -> Iterator[Part]:
    """Without signaling a session is a user fragment of the participant's; what is left are relays of one moment."""
    groups: dict[str, list[Leg]] = {}
    for leg in person.legs:
        groups.setdefault(min((own for own, _ in leg.ufrags), default=""), []).append(leg)
    parts: list[tuple[float, Part]] = []
    for legs in groups.values():
        kind = next((leg.kind for leg in legs if leg.kind), "")
        parts.append((min(leg.first for leg in legs), (None, kind, legs, [])))
    for turn in sorted(person.turn, key=lambda flow: flow.start):
        apart = [
            (abs(at - turn.start), n)
            for n, (at, part) in enumerate(parts)
            if (turn.kind in ("", part[1]) or not part[1]) and abs(at - turn.start) <= (GUARD if part[2] else TOGETHER)
        ]
        if apart:
            parts[min(apart)[1]][1][3].append(turn)
        else:
            parts.append((turn.start, (None, turn.kind, [], [turn])))
    return (part for _, part in sorted(parts, key=lambda entry: entry[0]))


def _make(verdict: Verdict) -> Callable[..., Outcome]:
    def make(
        note: str, frames: Iterable[Any] = (), variant: str = "", certainty: Certainty = Certainty.MEASURED
    ) -> Outcome:
        shown = sorted({int(frame) for frame in frames if not pd.isna(frame) and int(frame) > 0})
        return Outcome(verdict, tuple(shown[:MOST_FRAMES]), note[:MOST_TEXT], certainty, variant[:MOST_TEXT])

    return make


holds = _make(Verdict.HOLDS)
broken = _make(Verdict.BROKEN)
absent = _make(Verdict.NOT_OBSERVED)
hidden = _make(Verdict.NOT_OBSERVABLE)
beside = _make(Verdict.NOT_APPLICABLE)
noted = _make(Verdict.INFO)


def columns(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The columns of a wide table that a step asks, as far as they are there: a choice of rows copies every column."""
    return rows[[name for name in names if name in rows]]


def missing(scope: Scope, note: str, frames: Iterable[Any] = (), variant: str = "") -> Outcome:
    """What a session lacks: not observed where all of it would show here, else not observable."""
    return (hidden if scope.shut else absent)(note, frames, variant)


RANK = (
    Verdict.BROKEN, Verdict.HOLDS, Verdict.INFO, Verdict.NOT_OBSERVED, Verdict.NOT_OBSERVABLE, Verdict.NOT_APPLICABLE,
)  # fmt: skip


def joined(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome of several of the same step: what broke it wins, then what was seen to hold."""
    seen = list(outcomes)
    if not seen:
        return beside("nothing to judge")
    best = min((outcome.verdict for outcome in seen), key=RANK.index)
    kept = [outcome for outcome in seen if outcome.verdict is best]
    order = (Certainty.MEASURED, Certainty.DEDUCED, Certainty.INFERRED)
    return Outcome(
        best,
        tuple(sorted({frame for outcome in kept for frame in outcome.frames})[:MOST_FRAMES]),
        "; ".join(dict.fromkeys(outcome.note for outcome in kept if outcome.note)),
        min((outcome.certainty for outcome in kept), key=order.index),
        ", ".join(dict.fromkeys(outcome.variant for outcome in kept if outcome.variant)),
    )


def each_stream(test: Callable[[Scope, XmppStream], Outcome]) -> Callable[..., Outcome]:
    """A test of one XMPP connection as a test of a participant, who may have had several."""

    def judged(*tables: pd.DataFrame, scope: Scope) -> Outcome:
        return joined(test(scope, stream) for stream in scope.xmpp_streams)

    judged.__doc__ = test.__doc__
    return judged


def in_session(test: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """A test of a Jingle session, not asked where the capture has none."""

    def judged(*tables: pd.DataFrame, scope: Scope) -> Outcome:
        if scope.session is None:
            return absent("the session's negotiation is not in the capture")
        return test(*tables, scope=scope)

    judged.__doc__ = test.__doc__
    return judged
