"""What one participant's signaling says: login, room, offers of TURN, Jingle sessions, with the frames.

A participant's XMPP streams are the connections it had, one after the other. Everything here is read from the tables
``xmpp`` and ``jingle``; nothing is judged.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from jitsilab.protocols import xmpp as stanzas
from jitsilab.protocols.xmpp import Service, Stanza
from jitsilab.tables.occupants import FOCUS, key
from jitsilab.tables.parsed import stanzas_of


@dataclass(slots=True)
class Session:
    """A Jingle session of one participant."""

    sid: str
    kind: str  # jvb or p2p
    offered: int = 0  # frame of the session-initiate, 0 if it is not in the capture
    offered_at: float = float("nan")  # s
    accepted: int = 0  # frame of the session-accept
    ended: int = 0  # frame of the session-terminate
    ended_at: float = float("nan")
    reason: str = ""
    own: set[str] = field(default_factory=set)  # ufrags of the participant
    remote: set[str] = field(default_factory=set)  # ufrags of the bridge or the peer
    fingerprints: set[str] = field(default_factory=set)  # SHA-256, that the participant announced
    remote_fingerprints: set[str] = field(default_factory=set)  # that were announced to it
    peer: str = ""  # endpoint of the other, jvb for the bridge
    candidates: list[tuple[str, str]] = field(default_factory=list)  # address and type of the other's candidates


@dataclass(slots=True)
class XmppStream:
    """One XMPP connection of a participant, from its opening to its end."""

    connection: Hashable
    flows: set[int] = field(default_factory=set)
    start: float = 0.0  # s, first stanza
    end: float = 0.0  # s, last stanza
    opened: int = 0  # frame of the stream header
    domain: str = ""  # that it asks for
    mechanisms: set[str] = field(default_factory=set)
    offered: int = 0  # frame of the features that list the mechanisms
    tried: int = 0  # frame of <auth>
    mechanism: str = ""  # that <auth> asks for
    failures: list[tuple[int, str, str]] = field(default_factory=list)  # of the login: frame, condition, text
    focus_errors: list[tuple[int, str]] = field(default_factory=list)  # answers to the conference request: condition
    refused: list[int] = field(default_factory=list)  # frames of failures: login, conference, room
    closed: int = 0  # frame of the stream's end
    bound: int = 0  # frame of the answer to bind
    jid: str = ""
    asked: int = 0  # frame of the request for a conference
    asked_at: float = float("nan")  # s
    ready: int = 0  # frame of the focus's answer ready=true
    joined: int = 0  # frame of the own presence with code 110
    joined_at: float = float("nan")
    left: int = 0
    left_at: float = float("nan")
    room: str = ""
    endpoint: str = ""
    nick: str = ""
    others: dict[str, tuple[float, float]] = field(default_factory=dict)  # occupant: s from, s to
    focus: int = 0  # frame of the focus's presence
    bridges: int = 0  # most bridges that the focus announced
    bridge_counts: list[tuple[int, float, int]] = field(default_factory=list)  # frame, s, bridges that the focus told
    bridge_missing: list[int] = field(default_factory=list)  # frames in which the focus says bridgeNotAvailable
    bridge_missing_at: float = float("nan")  # s of the first of them
    services: tuple[Service, ...] | None = None  # None: not answered
    services_frame: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)
    holes: bool = False  # the capture lost bytes of its flows

    @property
    def whole(self) -> bool:
        """Whether all of it is in the capture, from its opening on: only then does an absence mean something."""
        return bool(self.opened) and not self.holes

    @property
    def turn_offered(self) -> bool | None:
        """Whether TURN was among the services; None where no answer was seen."""
        return None if self.services is None else any(service.type in ("turn", "turns") for service in self.services)

    def together(self, until: float) -> float:
        """Longest time in seconds that another occupant was in the room beside this one, up to ``until``."""
        spans = [
            min(to, until, self.end_of_stream(until)) - max(since, self.joined_at) for since, to in self.others.values()
        ]
        return max(spans, default=0.0)

    def end_of_stream(self, until: float) -> float:
        """When the participant left, or the end of what was captured."""
        return self.left_at if self.left else until


def xmpp_streams(xmpp: pd.DataFrame, jingle: pd.DataFrame, candidates: pd.DataFrame | None = None) -> list[XmppStream]:
    """One XmppStream for each XMPP connection of a client, in the order of their beginning.

    Connections of servers (the focus, the bridge) open with other namespaces or never join a room as a person; they
    are left out where they can be told apart.
    """
    by_connection: dict[Hashable, XmppStream] = {}
    for row in _rows(xmpp):
        stream = by_connection.get(row.connection)
        if stream is None:
            stream = by_connection[row.connection] = XmppStream(row.connection, start=row.seconds)
        stream.end = row.seconds
        if row.flow is not None:
            stream.flows.add(row.flow)
        _take(stream, row)
    _sessions(by_connection, xmpp, jingle)
    if candidates is not None:
        _candidates(by_connection, xmpp, candidates)
    return [stream for stream in by_connection.values() if not _is_server(stream)]


@dataclass(slots=True)
class _Row:
    connection: Hashable
    frame: int
    seconds: float
    flow: int | None
    outgoing: bool
    stanza: Stanza


def _rows(xmpp: pd.DataFrame) -> Iterator[_Row]:
    columns = ("connection", "frame", "seconds", "flow", "direction")
    for stanza, connection, frame, seconds, flow, direction in zip(
        stanzas_of(xmpp), *(xmpp[c] for c in columns), strict=True
    ):
        if stanza is None or pd.isna(connection):
            continue
        yield _Row(key(connection), int(frame), float(seconds), None if pd.isna(flow) else int(flow),
                   direction == "c2s", stanza)  # fmt: skip


def _take(stream: XmppStream, row: _Row) -> None:
    """Note what one stanza adds."""
    stanza, frame = row.stanza, row.frame
    if stanza.name in ("open", "stream") and row.outgoing:
        stream.opened = stream.opened or frame
        opening = stanzas.header(stanza)
        stream.domain = stream.domain or (opening.recipient if opening is not None else None) or ""
    elif stanza.name in ("close", "stream-end"):
        stream.closed = frame
    features = stanzas.features(stanza)
    if features is not None and features.mechanisms:
        stream.mechanisms.update(features.mechanisms)
        stream.offered = stream.offered or frame
    step = stanzas.sasl(stanza)
    if step is not None:
        if step.step == "auth":
            stream.tried, stream.mechanism = stream.tried or frame, step.mechanism or stream.mechanism
        elif step.step == "failure":
            stream.refused.append(frame)
            stream.failures.append((frame, step.condition or "", step.text or ""))
    if (jid := stanzas.bound(stanza)) and not row.outgoing:
        stream.jid, stream.bound = jid, stream.bound or frame
    conference = stanzas.conference(stanza)
    if conference is not None:
        if row.outgoing:
            if not stream.asked:
                stream.asked, stream.asked_at = frame, row.seconds
        elif conference.ready:
            stream.ready = stream.ready or frame
    if not row.outgoing and stanza.type == "error" and stanza.name in ("iq", "presence"):
        error = stanzas.error(stanza)
        to_focus = bool(stanza.sender and stanza.sender.startswith(f"{FOCUS}."))
        if error and stanza.name == "iq" and stream.asked and (conference is not None or to_focus):
            stream.focus_errors.append((frame, error.condition or ""))
        if (
            error
            and error.condition in ("not-authorized", "forbidden", "registration-required")
            and (to_focus or stanza.name == "presence")
        ):
            stream.refused.append(frame)
    if not row.outgoing and (stanzas.offers(stanza) or (stream.services is None and stanzas.services(stanza))):
        stream.services, stream.services_frame = stanzas.services(stanza), frame
    presence = stanzas.presence(stanza)
    if presence is not None and presence.occupant:
        _take_presence(stream, row, presence)


def _take_presence(stream: XmppStream, row: _Row, presence: stanzas.Presence) -> None:
    occupant = presence.occupant or ""
    if presence.type == "error":
        return
    if row.outgoing:
        stream.room, stream.endpoint = stream.room or presence.room or "", occupant
        stream.nick = presence.nick or stream.nick
        if presence.type == "unavailable":
            stream.left, stream.left_at = row.frame, row.seconds
    elif 110 in presence.codes:
        stream.room, stream.endpoint = presence.room or stream.room, occupant
        stream.nick = presence.nick or stream.nick
        if presence.type == "unavailable":
            stream.left, stream.left_at = stream.left or row.frame, row.seconds if not stream.left else stream.left_at
        elif not stream.joined:
            stream.joined, stream.joined_at = row.frame, row.seconds
    elif occupant == FOCUS or (presence.jid or "").startswith(f"{FOCUS}@"):
        stream.focus = stream.focus or row.frame
        if presence.bridges is not None:
            stream.bridges = max(stream.bridges, presence.bridges)
            stream.bridge_counts.append((row.frame, row.seconds, presence.bridges))
        if presence.bridge_not_available:
            stream.bridge_missing_at = row.seconds if not stream.bridge_missing else stream.bridge_missing_at
            stream.bridge_missing.append(row.frame)
    elif presence.room == stream.room and occupant != stream.endpoint:
        since, _ = stream.others.get(occupant, (row.seconds, float("inf")))
        stream.others[occupant] = (since, row.seconds if presence.type == "unavailable" else float("inf"))


def _sessions(by_connection: dict[Hashable, XmppStream], xmpp: pd.DataFrame, jingle: pd.DataFrame) -> None:
    """Add the Jingle sessions, each told by its sid: what one side describes and what the other does."""
    if jingle.empty:
        return
    connections = xmpp["connection"]
    columns = (
        "stanza",
        "frame",
        "seconds",
        "action",
        "sid",
        "session",
        "endpoint",
        "ufrag",
        "fingerprint",
        "reason",
        "src",
    )
    for stanza, frame, seconds, action, sid, kind, endpoint, ufrag, fingerprint, reason, _ in zip(
        *(jingle[c] for c in columns), strict=True
    ):
        if pd.isna(stanza) or pd.isna(sid):
            continue
        stream = by_connection.get(key(connections.iloc[int(stanza)]))
        if stream is None:
            continue
        outgoing = xmpp["direction"].iloc[int(stanza)] == "c2s"
        session = stream.sessions.setdefault(str(sid), Session(str(sid), str(kind)))
        if action == "session-initiate":
            session.offered, session.offered_at = (
                session.offered or int(frame),
                min(seconds, _known(session.offered_at, seconds)),
            )
        elif action == "session-accept":
            session.accepted = session.accepted or int(frame)
        elif action == "session-terminate" and not session.ended:
            session.ended, session.ended_at, session.reason = int(frame), float(seconds), _text(reason)
        if isinstance(ufrag, str) and ufrag:
            (session.own if outgoing else session.remote).add(ufrag)
        if isinstance(fingerprint, str):
            sha256 = {digest for digest in fingerprint.split() if len(digest) == 95}
            (session.fingerprints if outgoing else session.remote_fingerprints).update(sha256)
        if not outgoing and isinstance(endpoint, str) and endpoint:
            session.peer = endpoint


def _candidates(by_connection: dict[Hashable, XmppStream], xmpp: pd.DataFrame, candidates: pd.DataFrame) -> None:
    """Add the addresses that the other side of each session offered."""
    columns = ("stanza", "sid", "address", "type", "protocol")
    for stanza, sid, address, kind, protocol in zip(*(candidates[c] for c in columns), strict=True):
        if pd.isna(stanza) or xmpp["direction"].iloc[int(stanza)] == "c2s" or str(protocol).lower() != "udp":
            continue
        stream = by_connection.get(key(xmpp["connection"].iloc[int(stanza)]))
        session = stream.sessions.get(str(sid)) if stream else None
        if session is not None and (str(address), str(kind)) not in session.candidates:
            session.candidates.append((str(address), str(kind)))


def _known(value: float, other: float) -> float:
    return other if pd.isna(value) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_server(stream: XmppStream) -> bool:
    """Whether a connection is the focus's or a bridge's: they log in to the server's own domains and never ask."""
    local = stream.jid.partition("@")[0]
    if local in (FOCUS, "jvb", "jibri", "jigasi") or stream.domain.startswith("auth."):  # the services' own accounts
        return True
    return not (stream.joined or stream.asked or stream.opened)
