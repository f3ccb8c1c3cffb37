"""Steps S03 to S11: from the carrier of the signaling to the room, and the bridge behind it."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pandas as pd

from jitsilab.case.signaling import XmppStream
from jitsilab.ip import is_loopback
from jitsilab.judge.checks import GUARD, Outcome
from jitsilab.judge.theory.scope import Scope, Step, absent, beside, broken, each_stream, hidden, holds, joined
from jitsilab.numerals import whole
from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables.parsed import stanzas_of

LJM, JCF, JVB, JM = "jitsi/lib-jitsi-meet", "jitsi/jicofo", "jitsi/jitsi-videobridge", "jitsi/jitsi-meet"


def carried(scope: Scope) -> Outcome:
    """Signaling finds a carrier: WebSocket, BOSH, or a TCP stream."""
    if scope.every.get("xmpp") is None and scope.every.get("http") is None:
        return hidden("the signaling is encrypted here")
    http = scope.table("http")
    outcomes = [_carrier(scope, stream, http) for stream in scope.xmpp_streams]
    if http is not None and len(http):
        refused = http[http["target"].fillna("").str.contains("/xmpp-websocket", regex=False) & http["status"].ge(400)]
        if len(refused):
            outcomes.append(
                broken(f"the WebSocket was refused with {int(refused['status'].iloc[0])}", refused["frame"], "ws")
            )
    return joined(outcomes) if outcomes else hidden("this participant's signaling is not to be read here")


def _carrier(scope: Scope, stream: XmppStream, http: pd.DataFrame | None) -> Outcome:
    exchange = scope.stanzas_of(stream)
    carriers = {str(row.carrier) for row, _ in exchange}
    if "bosh" in carriers:
        return _bosh(scope, stream, http)
    opened = [int(row.frame) for row, stanza in exchange if stanza.name in ("open", "stream")][:2]
    if "ws" not in carriers:
        return holds("a TCP stream", opened, "tcp") if opened else absent("the stream was open before the capture")
    upgrades = http[http["flow"].isin(stream.flows) & http["subprotocol"].eq("xmpp")] if http is not None else None
    frames = [*opened, *(upgrades["frame"] if upgrades is not None else [])]
    if not stream.opened:
        return absent("the stream was open before the capture", variant="ws")
    pings = [
        float(row.seconds)
        for row, stanza in exchange
        if row.direction == "c2s" and stanza.child_namespace == stanzas.PING
    ]
    alive = f"; {len(pings)} pings" if pings else ""
    switched = "101 with subprotocol xmpp, then <open/>" if upgrades is not None and len(upgrades) else "<open/>"
    return holds(switched + alive, frames, "ws")


def _bosh(scope: Scope, stream: XmppStream, http: pd.DataFrame | None) -> Outcome:
    """Request numbers rise by one (XEP-0124 section 14)."""
    rows = http[http["connection"].eq(stream.connection) & http["rid"].notna()] if http is not None else pd.DataFrame()
    if rows.empty:
        return absent("no request of the BOSH session can be read", variant="bosh")
    rids = sorted({int(rid) for rid in rows["rid"]})
    skipped = [after for before, after in pairwise(rids) if after != before + 1]
    frames = [rows["frame"].iloc[0], rows["frame"].iloc[-1]]
    if skipped and stream.whole and not scope.call.lossy:
        return broken(f"request numbers jump to {skipped[0]}", frames, "bosh")
    note = f"{len(rids)} requests" + ("" if skipped else ", numbered one by one")
    return holds(note, frames, "bosh")


def featured(scope: Scope, stream: XmppStream) -> Outcome:
    """The server lists what it offers before the client says anything else."""
    shown = [
        (row, offer) for row, stanza in scope.stanzas_of(stream) if (offer := stanzas.features(stanza)) is not None
    ]
    if not shown:
        return absent("no stream features in the capture")
    frames = [int(row.frame) for row, _ in shown]
    carrier = str(shown[0][0].carrier)
    tls = [int(row.frame) for row, offer in shown if offer.starttls]
    if tls and carrier == "ws":
        return broken("STARTTLS is offered on a WebSocket, where TLS lies below", tls, carrier)
    note = f"features {len(shown)} times" + (", STARTTLS among them, which nobody takes here" if tls else "")
    return holds(note, frames, carrier)


def logged_in(scope: Scope, stream: XmppStream) -> Outcome:
    """SASL: a mechanism that was offered, and success."""
    steps = [(row, step) for row, stanza in scope.stanzas_of(stream) if (step := stanzas.sasl(stanza)) is not None]
    asked = [(row, step) for row, step in steps if step.step == "auth"]
    won = [int(row.frame) for row, step in steps if step.step == "success"]
    lost = [(int(row.frame), step.condition) for row, step in steps if step.step == "failure"]
    mechanism = next((str(step.mechanism) for _, step in asked if step.mechanism), "")
    frames = [stream.offered, *(int(row.frame) for row, _ in asked), *won]
    if lost:
        return broken(
            f"the server refused the login: {lost[0][1] or 'no reason given'}",
            [*frames, *(f for f, _ in lost)],
            mechanism,
        )
    bare = [int(row.frame) for row, step in asked if step.mechanism == "PLAIN" and _naked(scope, row)]
    if bare:
        return broken("a password in clear: PLAIN without TLS", bare, mechanism)
    if mechanism and stream.mechanisms and mechanism not in stream.mechanisms and stream.whole:
        return broken(f"{mechanism} was not offered", frames, mechanism)
    if won:
        return holds(f"{mechanism or 'a mechanism not seen'}, {len(asked)} exchange and success", frames, mechanism)
    if stream.whole and stream.offered and stream.closed > stream.offered and not asked:
        offered = " and ".join(sorted(stream.mechanisms)) or "nothing"
        note = f"the server offers {offered}, and the client left without a login: guests are not let in"
        return broken(note, [stream.offered, stream.closed], "guest")
    return absent("the login is not in the capture whole", frames)


def _naked(scope: Scope, row: Any) -> bool:
    """Whether a stanza crossed a network without TLS."""
    return bool(row.clear) and not is_loopback(row.src) and not is_loopback(row.dst)


def bound(scope: Scope, stream: XmppStream) -> Outcome:
    """The server names the client's full JID, once a stream."""
    exchange = scope.stanzas_of(stream)
    jids = {
        jid: int(row.frame) for row, stanza in exchange if row.direction == "s2c" and (jid := stanzas.bound(stanza))
    }
    managed = [
        (int(row.frame), step.step) for row, stanza in exchange if (step := stanzas.management(stanza)) is not None
    ]
    enabled = [frame for frame, step in managed if step == "enabled"]
    refused = [
        int(row.frame)
        for row, stanza in exchange
        if row.direction == "s2c" and stanza.type == "error" and stanza.child_namespace == stanzas.BIND
    ]
    if refused:
        return broken("the server refused to bind a resource", refused)
    if len(jids) > 1:
        return broken(f"{len(jids)} resources on one stream", jids.values())
    if not jids:
        logins = [login.step for _, stanza in exchange if (login := stanzas.sasl(stanza)) is not None]
        if stream.whole and "success" not in logins:
            return beside("nobody was logged in")
        if any(step == "resumed" for _, step in managed):
            return beside("a stream was taken up again, which keeps its JID")
        return absent("the answer to bind is not in the capture")
    sm = "with stream management" if enabled else "without stream management"
    return holds(f"one full JID, {sm}", [*jids.values(), *enabled[:1]], "sm" if enabled else "no sm")


def resumed(scope: Scope, stream: XmppStream) -> Outcome:
    """A broken connection is taken up again (XEP-0198)."""
    steps = [
        (int(row.frame), step)
        for row, stanza in scope.stanzas_of(stream)
        if (step := stanzas.management(stanza)) is not None
    ]
    asked = [frame for frame, step in steps if step.step == "resume"]
    if not asked:
        return beside("no connection was resumed")
    went_on = [frame for frame, step in steps if step.step == "resumed"]
    failed = [frame for frame, step in steps if step.step == "failed" and frame >= asked[0]]
    if failed and not went_on:
        anew = [
            int(row.frame)
            for row, stanza in scope.stanzas_of(stream)
            if row.frame > failed[-1] and stanzas.bound(stanza)
        ]
        after = "and the client came in anew" if anew else "and the client has to come in anew"
        return broken(f"the server no longer knew the stream, {after}", [*asked, *failed, *anew])
    return holds("the stream goes on", [*asked, *went_on]) if went_on else absent("no answer in the capture", asked)


def served(scope: Scope, stream: XmppStream) -> Outcome:
    """The client learns of STUN and TURN before it is invited; credentials last."""
    exchange = scope.stanzas_of(stream)
    asked = [
        (int(row.frame), stanza)
        for row, stanza in exchange
        if row.direction == "c2s" and stanza.child_namespace in stanzas.EXTDISCO
    ]
    answers = [
        (row, stanza)
        for row, stanza in exchange
        if row.direction == "s2c" and stanza.type == "result" and stanza.child_namespace in stanzas.EXTDISCO
    ]
    told_of = [
        (row, stanza)
        for row, stanza in exchange
        if row.direction == "s2c" and stanza.name == "message" and stanzas.services(stanza)
    ]
    sources = answers or told_of
    if not sources:
        return absent("no list of services in the capture", [frame for frame, _ in asked])
    row, stanza = sources[0]
    listed = stanzas.services(stanza)
    variant = "room metadata" if not answers else f"extdisco:{str(stanza.child_namespace)[-1]}"
    frames = [*(frame for frame, _ in asked[:1]), int(row.frame)]
    ends = [
        number
        for service in listed
        if (number := whole(str(service.username or "").split(":")[0])) is not None and number >= 10**8
    ]
    if ends and pd.notna(row.time) and min(ends) < row.time.timestamp():
        when = datetime.fromtimestamp(min(ends), UTC)
        return broken(f"the credentials ended at {when:%Y-%m-%d %H:%M} UTC", frames, variant)
    offers = [session.offered for session in stream.sessions.values() if session.offered and session.kind == "jvb"]
    if answers and asked and offers and asked[0][0] < min(offers) < int(row.frame) and stream.whole:
        return broken("the services came after the invitation", [*frames, min(offers)], variant)
    kinds = sorted(
        {f"{service.type}/{service.transport}" if service.transport else str(service.type) for service in listed}
    )
    return holds(", ".join(kinds) if kinds else "an empty list: no TURN is offered", frames, variant)


def conferred(scope: Scope, stream: XmppStream) -> Outcome:
    """The focus says ready before the client enters the room."""
    exchange = scope.stanzas_of(stream)
    refused = []
    for row, stanza in exchange:
        answer = stanzas.conference(stanza)
        from_focus = bool(stanza.sender and stanza.sender.startswith("focus."))
        if row.direction == "s2c" and stanza.type == "error" and (from_focus or answer is not None):
            refused.append((int(row.frame), (answer.application or answer.condition) if answer else None))
    if refused:
        return broken(
            f"the focus refused: {refused[0][1] or 'no reason given'}", [stream.asked, *(f for f, _ in refused)], "xmpp"
        )
    entered = [int(row.frame) for row, stanza in exchange if row.direction == "c2s" and _enters(stanza)]
    http = scope.table("http")
    posted = http[http["ready"].eq(True)] if http is not None and len(http) else pd.DataFrame()
    variant = "http" if len(posted) and not stream.asked else "xmpp"
    ready = int(posted["response_frame"].iloc[0]) if variant == "http" else stream.ready
    if not (stream.asked or len(posted)):
        if stream.whole and not stream.bound:
            return beside("nobody was logged in")
        return absent("no request to the focus in the capture")
    if not ready:
        return absent("the focus did not answer ready", [stream.asked], variant)
    if entered and entered[0] < ready and stream.whole:
        return broken("the client entered the room before the focus was ready", [entered[0], ready], variant)
    return holds("ready, then the room; it says nothing of a bridge", [stream.asked, ready, *entered[:1]], variant)


def _enters(stanza: stanzas.Stanza) -> bool:
    presence = stanzas.presence(stanza)
    return presence is not None and presence.joins


def entered(scope: Scope, stream: XmppStream) -> Outcome:
    """The room confirms the client's own presence."""
    exchange = scope.stanzas_of(stream)
    asked = [
        (int(row.frame), float(row.seconds)) for row, stanza in exchange if row.direction == "c2s" and _enters(stanza)
    ]
    refused: list[tuple[int, str | None]] = []
    codes: set[int] = set()
    for row, stanza in exchange:
        presence = stanzas.presence(stanza)
        if presence is None or row.direction != "s2c":
            continue
        if presence.type == "error":
            refused.append((int(row.frame), presence.condition))
        elif 110 in presence.codes:
            codes.update(presence.codes)
    if refused:
        return broken(f"the room refused: {refused[0][1] or 'no reason given'}", [f for f, _ in refused])
    if stream.joined:
        made = "made by the client" if 201 in codes else "made by the focus"
        others = f"{len(stream.others)} others came by" if stream.others else "nobody else came"
        return holds(
            f"own presence confirmed (110); {others}", [*(f for f, _ in asked[:1]), stream.joined, stream.focus], made
        )
    if not asked:
        return beside("no room was entered") if stream.whole else absent("the entry is not in the capture")
    late = scope.call.end - asked[0][1] >= GUARD and stream.whole
    return absent("the room did not answer" if late else "no answer in the capture", [f for f, _ in asked])


def allocated(xmpp: pd.DataFrame, scope: Scope) -> Outcome:
    """The focus allocates an endpoint at the bridge; that runs between servers."""
    every = scope.every.get("xmpp")
    if every is not None:
        for frame, stanza in zip(every["frame"], stanzas_of(every), strict=True):
            colibri = stanzas.colibri(stanza) if stanza is not None else None
            if colibri is not None:
                return holds(f"{colibri.kind} in clear", [frame], f"colibri{colibri.version}")
    stream = scope.stream
    shown = f"; the focus tells of {stream.bridges} bridge" if stream is not None and stream.bridges else ""
    return hidden(f"focus and bridge talk to the XMPP server over TLS{shown}")


STEPS: tuple[Step, ...] = (
    Step(
        "S03",
        "Signaling finds a carrier",
        f"RFC 7395 section 3.4; RFC 6455 section 4.2.2; XEP-0124 section 14; {LJM} modules/xmpp/XmppConnection.ts",
        (),
        carried,
        "the page runs",
        "keys, or the server's loopback",
    ),
    Step(
        "S04",
        "The server lists its features",
        "RFC 6120 section 4.3.2; RFC 7395 section 3.4",
        ("xmpp",),
        each_stream(featured),
        "a stream is open",
        "keys, or the server's loopback",
    ),
    Step(
        "S05",
        "The client logs in",
        f"RFC 6120 section 6.4; RFC 4505 section 2; {JM} doc/debian/jitsi-meet-prosody/prosody.cfg.lua-jvb.example",
        ("xmpp",),
        each_stream(logged_in),
        "mechanisms are offered",
        "keys, or the server's loopback",
    ),
    Step(
        "S06",
        "The client gets its full JID",
        "RFC 6120 section 7; XEP-0198 section 3",
        ("xmpp",),
        each_stream(bound),
        "the login succeeded",
        "keys, or the server's loopback",
    ),
    Step(
        "S07",
        "A broken stream is resumed",
        f"XEP-0198 section 5; {LJM} modules/xmpp/ResumeTask.ts",
        ("xmpp",),
        each_stream(resumed),
        "a connection broke",
        "keys, or the server's loopback",
    ),
    Step(
        "S08",
        "The client learns of STUN and TURN",
        f"XEP-0215 section 3.1; {LJM} modules/xmpp/strophe.jingle.js",
        ("xmpp",),
        each_stream(served),
        "the client is logged in",
        "keys, or the server's loopback",
    ),
    Step(
        "S09",
        "The focus is ready for the conference",
        f"{JCF} doc/conference-request.md; {LJM} modules/xmpp/moderator.js",
        ("xmpp",),
        each_stream(conferred),
        "the client is logged in",
        "keys, or the server's loopback",
    ),
    Step(
        "S10",
        "The client enters the room",
        f"XEP-0045 section 7.2.2; {LJM} modules/xmpp/ChatRoom.ts",
        ("xmpp",),
        each_stream(entered),
        "the focus is ready",
        "keys, or the server's loopback",
    ),
    Step(
        "S11",
        "The focus allocates an endpoint at the bridge",
        f"{JCF} jicofo-selector/src/main/kotlin/org/jitsi/jicofo/bridge/colibri/ColibriV2SessionManager.kt; "
        f"{JVB} doc/muc.md",
        ("xmpp",),
        allocated,
        "two are in the room",
        "the server's loopback, with TLS off between focus, bridge and XMPP server",
    ),
)
