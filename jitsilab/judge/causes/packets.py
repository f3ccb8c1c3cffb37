"""Why a participant has no media: one cause of a closed set, or those that remain open.

The causes are tried in a fixed order, since several may hold at once. Each says what it needs to see; a cause that the
evidence does not single out becomes ``undetermined`` with the open ones beside it.
"""

from dataclasses import dataclass

from jitsilab.analysis.turn_flows import RELAYING, TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.ip import is_private
from jitsilab.judge.causes.paths import turn_of, turn_stage
from jitsilab.judge.checks import GUARD

_NOT_IN = ("signaling-refused", "xmpp-auth-failed")  # what keeps somebody out of the XMPP server
TURN_CAUSES = {
    "permission-refused": "turn-permission-refused",
    "auth-failed": "turn-auth-failed",
    "unreachable": "turn-unreachable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Why there are no media."""

    name: str
    certainty: str = "measured"
    frames: tuple[int, ...] = ()
    open: tuple[str, ...] = ()  # of the closed set, where the name is undetermined or not-observable
    note: str = ""


def cause(person: Person, call: Cast, others_have_udp: bool, burst: int | None) -> Answer:
    """The cause for a participant without media.

    ``others_have_udp``: UDP of another participant reaches the same bridge. ``burst``: the frame in which
    the participant's signaling shows, without keys, that an offer was answered; 0 if none does, None if there is no
    such flow to look at.
    """
    if any(stream.joined for stream in person.xmpp_streams) or (person.xmpp_streams and not _beside_the_call(person)):
        return _signaled(person, call, others_have_udp)
    return _opaque(person, call, others_have_udp, burst)


def _beside_the_call(person: Person) -> bool:
    """Whether what was read is some other client's login, while the page's own connection stayed closed.

    Behind a proxy what was read is the page's connection; it runs on the server's loopback, in none of the
    participant's own flows.
    """
    read = {flow for stream in person.xmpp_streams for flow in stream.flows}
    opaque = {flow for flow, role in person.flows.items() if role == "websocket"} - read
    return bool(opaque) and read <= set(person.flows)


def _signaled(person: Person, call: Cast, others_have_udp: bool) -> Answer:
    """With signaling in clear: from login to DTLS, in the order of the session."""
    stream = max(person.xmpp_streams, key=lambda xmpp: (len(xmpp.sessions), bool(xmpp.joined), xmpp.end - xmpp.start))
    early = _before_offer(stream, person, call)
    if early is not None:
        return early
    session = _judged_session(person, call.end)
    if session is None:
        both = ("alone-in-room", "no-bridge", *_elsewhere(person, call))
        return Answer("undetermined", "inferred", open=both, note="no offer in the capture")
    legs = [leg for leg in person.legs if any(own in session.own or to in session.remote for own, to in leg.ufrags)]
    if strange := _strange(session, legs):
        return strange
    until = session.ended_at if session.ended and "connectivity" not in session.reason else call.end
    if not session.offered or until - session.offered_at < GUARD:
        note = "the session was too short to tell" if session.offered else "the offer is not in the capture"
        late = ("checks-unanswered", "udp-blocked", "dtls-failed")
        unseen = _elsewhere(person, call) if session.kind == "p2p" else ()
        return Answer("undetermined", "inferred", open=(*late, *unseen), note=note)
    turns = turn_of(person, session)
    if session.kind == "p2p":
        return _peer(person, call, session, legs, turns)
    return _bridge(person, call, stream, session, legs, turns, others_have_udp)


def _before_offer(stream: XmppStream, person: Person, call: Cast) -> Answer | None:
    """What keeps a participant from being invited at all."""
    if not stream.bound:
        shown = tuple(f for f in (stream.offered, stream.tried, *stream.refused, stream.closed) if f)
        if stream.whole and (stream.refused or (stream.offered and stream.closed and not stream.tried)):
            return Answer("xmpp-auth-failed", frames=shown, note=_login(stream))
        silent = stream.whole and call.end - stream.start >= GUARD
        if silent and stream.offered and not stream.tried and "ANONYMOUS" not in stream.mechanisms:
            return Answer("xmpp-auth-failed", "deduced", shown, note=_login(stream))
        return Answer("undetermined", "inferred", shown, ("xmpp-auth-failed",), "the login is not in the capture whole")
    if person.sessions:
        return None
    if not stream.whole and not (stream.joined and stream.bridge_missing):
        both = ("alone-in-room", "no-bridge", "xmpp-auth-failed", *_elsewhere(person, call))
        return Answer("undetermined", "inferred", open=both, note="the signaling is not in the capture whole")
    if not stream.joined:
        if stream.refused:
            return Answer(
                "xmpp-auth-failed", frames=tuple(stream.refused), note="the room or the focus refused this participant"
            )
        return Answer(
            "undetermined", "inferred", open=("alone-in-room", "no-bridge", "xmpp-auth-failed"), note="never in a room"
        )
    waited = stream.end_of_stream(call.end) - stream.joined_at
    if stream.bridge_missing:
        return Answer("no-bridge", frames=(stream.joined, *stream.bridge_missing))
    if not stream.others:
        if waited >= GUARD:
            return Answer("alone-in-room", frames=(stream.joined,), note=f"nobody else in {waited:.0f} s")
        return Answer("undetermined", "inferred", (stream.joined,), ("alone-in-room", "no-bridge"), "too short to tell")
    if stream.together(call.end) >= GUARD and stream.focus:
        return Answer(
            "no-bridge", "inferred", (stream.joined, stream.focus), note="two in the room, a focus, and no offer"
        )
    return Answer("undetermined", "inferred", (stream.joined,), ("no-bridge", "alone-in-room"), "too short to tell")


def _elsewhere(person: Person, call: Cast) -> tuple[str, ...]:
    """Media between two participants pass no capture point but their own: elsewhere they may have run unseen."""
    return () if call.own and call.own in person.addresses else ("not-observable",)


def _login(stream: XmppStream) -> str:
    if stream.tried and stream.refused:
        return "the server refused the login"
    return f"the server offers {' and '.join(sorted(stream.mechanisms)) or 'no mechanism'} and the client gave up"


def _judged_session(person: Person, until: float) -> Session | None:
    """The last bridge session, else the last of all; of those that took long enough to be judged where one did."""
    sessions = [session for session in person.sessions if session.offered or session.accepted]
    bridge = [session for session in sessions if session.kind == "jvb"]
    judged = bridge or sessions
    long = [session for session in judged if session.offered and until - session.offered_at >= GUARD]
    return (long or judged or [None])[-1]  # type: ignore[list-item]


def _bridge(
    person: Person,
    call: Cast,
    stream: XmppStream,
    session: Session,
    legs: list[Leg],
    turns: list[TurnFlow],
    others_have_udp: bool,
) -> Answer:
    direct = [leg for leg in legs if leg.direct]
    heard = any(leg.sent for leg in direct) if not call.own else any(leg.answered or leg.got for leg in direct)
    offer = (session.offered,) if session.offered else ()
    addresses = {address for address, _ in session.candidates}
    outside = call.own or not person.addresses or any(not is_private(address) for address in person.addresses)
    if not heard and outside and addresses and all(is_private(address) for address in addresses):
        return Answer("nat-mapping-missing", "measured", offer, note="every candidate of the bridge is private")
    relayed = [leg for leg in legs if not leg.direct and leg.connected]
    if not heard and not relayed:
        return _relay(person, call, stream, session, turns)
    connected = [leg for leg in legs if leg.connected]
    if not connected:
        return Answer("checks-unanswered", "measured", tuple(leg.sent[0] for leg in legs if leg.sent))
    return _secure(call, connected)


def _relay(person: Person, call: Cast, stream: XmppStream, session: Session, turns: list[TurnFlow]) -> Answer:
    """No UDP from the participant reaches the bridge: what became of the relay."""
    offer = (session.offered,) if session.offered else ()
    offered, reached = _relay_offered(stream), turn_stage(person, turns)
    if strangers := _foreign(session, call):
        return Answer(
            "nat-mapping-missing",
            "inferred",
            offer,
            note=f"the bridge advertises {strangers}, TURN on the same host {call.relayed}",
        )
    torn = call.lossy and (person.begun > call.end or any(turn.holes for turn in turns))
    if reached in TURN_CAUSES and turns and not torn and call.end - min(turn.start for turn in turns) >= GUARD:
        flow = next((turn for turn in turns if turn.stage == reached), turns[0])
        return Answer(
            TURN_CAUSES[reached],
            flow.certainty,
            flow.refused or flow.frames,
            note="no UDP from this participant, and TURN failed",
        )
    if reached in ("permitted", "relaying") and not torn:
        return Answer(
            "checks-unanswered", "inferred", _first(turns), note="checks went into the relay, no answer came back"
        )
    if offered is False and session.candidates and person.heard:
        return Answer(
            "udp-blocked",
            "inferred",
            offer,
            note="no UDP from this participant reaches the bridge, and no relay was offered",
        )
    if offered and not turns and person.addresses and session.accepted and not call.lossy:
        return Answer(
            "turn-unreachable",
            "inferred",
            (*offer, stream.services_frame),
            note="TURN was offered, and no connection to it came",
        )
    open_causes = (
        "udp-blocked",
        "turn-unreachable",
        "turn-permission-refused",
        "turn-auth-failed",
        "checks-unanswered",
    )
    return Answer("undetermined", "inferred", offer, open_causes, f"TURN came as far as {reached}")


def _foreign(session: Session, call: Cast) -> str:
    """A public candidate of the bridge that is not the server's public address, as TURN on that host says it."""
    public = [address for address, _ in session.candidates if not is_private(address)]
    same_family = [address for address in public if (":" in address) == (":" in call.relayed)]
    return same_family[0] if call.relayed and same_family and call.relayed not in public else ""


def _relay_offered(stream: XmppStream) -> bool | None:
    """Whether a relay that a bridge session uses was offered; the JVB connection takes turns over TCP alone."""
    if stream.services is None:
        return None
    return any(
        service.type in ("turn", "turns") and (service.type == "turns" or service.transport == "tcp")
        for service in stream.services
    )


def _first(turns: list[TurnFlow]) -> tuple[int, ...]:
    return tuple(frame for turn in turns for frame in turn.frames[:1])


def _strange(session: Session, legs: list[Leg]) -> Answer | None:
    """A certificate that nobody announced, on a way that ICE found."""
    connected = [leg for leg in legs if leg.connected]
    shown = [(certificate, session.fingerprints) for leg in connected for certificate in leg.certificates.items()]
    shown += [
        (certificate, session.remote_fingerprints)
        for leg in connected
        for certificate in leg.other_certificates.items()
    ]
    strange = [frame for (fingerprint, frame), announced in shown if announced and fingerprint not in announced]
    described = session.accepted or session.offered
    return Answer("fingerprint-mismatch", "measured", (*strange, described)) if strange else None


def _secure(call: Cast, connected: list[Leg], seen: bool = True, announced: bool = True) -> Answer:
    """ICE found a way; what became of the handshake on it.

    ``seen``: the capture has the session from its beginning; ``announced``: certificates can be held against Jingle.
    """
    frames = tuple(sorted({f for leg in connected for f in (*leg.answered[:1], *leg.hello[:2], *leg.other_hello[:1])}))
    if any(leg.handshaken for leg in connected):
        return Answer("undetermined", "inferred", frames, ("not-observable",), "DTLS finished, and no RTP was seen")
    waited = call.end - min((leg.first for leg in connected), default=call.end)
    if call.lossy or not seen or waited < GUARD:
        both = ("dtls-failed", "fingerprint-mismatch", "not-observable")
        return Answer("undetermined", "inferred", frames, both, "the time of the handshake is not in the capture whole")
    if any(leg.hello for leg in connected) and any(leg.other_hello for leg in connected) and not announced:
        return Answer("undetermined", "inferred", frames, ("fingerprint-mismatch", "dtls-failed"),
                     "the handshake began and did not finish: without signaling the reason stays open")  # fmt: skip
    return Answer("dtls-failed", "measured", frames)


def _peer(person: Person, call: Cast, session: Session, legs: list[Leg], turns: list[TurnFlow]) -> Answer:
    """A call without a bridge session: what runs between the participants never comes near the server."""
    connected = [leg for leg in legs if leg.connected]
    offer = tuple(f for f in (session.offered, session.accepted) if f)
    if session.ended and "connectivity" in session.reason:
        reached = turn_stage(person, turns)
        name = TURN_CAUSES.get(reached, "checks-unanswered")
        return Answer(name, "inferred", (session.ended,), note="the peers ended the session for want of connectivity")
    if call.own and connected:
        return _secure(call, connected)
    reached = turn_stage(person, turns)
    whole = not any(turn.holes for turn in turns) and not call.lossy
    if reached in TURN_CAUSES and not connected and call.udp_served and not person.udp and whole:
        shown = tuple(frame for turn in turns for frame in (*turn.refused, *turn.frames))
        return Answer(
            TURN_CAUSES[reached],
            "inferred",
            shown,
            note="UDP of others reaches the server, none of this one's, and TURN failed",
        )
    return Answer(
        "not-observable", "inferred", offer, ("checks-unanswered", "udp-blocked", "dtls-failed"),
        "the way between two participants does not pass the capture point",
    )  # fmt: skip


def _opaque(person: Person, call: Cast, others_have_udp: bool, burst: int | None) -> Answer:
    """Without signaling: what shapes of flows leave, at most inferred."""
    legs = [leg for leg in person.legs if leg.kind != "p2p"]
    if not legs and any(leg.kind == "p2p" for leg in person.legs):
        return Answer("not-observable", "inferred", open=("checks-unanswered", "dtls-failed"), note="peer to peer")
    direct = [leg for leg in legs if leg.direct and (leg.sent if not call.own else leg.answered or leg.got)]
    turns = [turn for turn in person.turn if turn.kind != "p2p"]
    if not direct:
        return _opaque_without_udp(person, call, turns, others_have_udp, burst)
    connected = [leg for leg in legs if leg.connected]
    began = min(leg.first for leg in direct)
    seen = person.begun < began  # of a session older than the capture only the checks that keep it alive are left
    if not connected:
        sent = tuple(leg.sent[0] for leg in legs if leg.sent)
        if not seen or call.end - began < GUARD:
            both = ("checks-unanswered", "dtls-failed", "not-observable")
            return Answer("undetermined", "inferred", sent, both, "too short to tell")
        return Answer("checks-unanswered", "measured", sent)
    spoken = any(leg.hello for leg in connected) and any(leg.other_hello for leg in connected)
    handshake_here = spoken or any(leg.handshaken for leg in connected)
    if not handshake_here and any(turn.stage in ("permitted", "relaying") for turn in turns):
        shown = tuple(leg.answered[0] for leg in connected if leg.answered)
        note = "the relay was let through too: handshake and media may run inside it, where they are not to be seen"
        return Answer("undetermined", "inferred", shown, ("dtls-failed", "not-observable"), note)
    return _secure(call, connected, seen, announced=False)


def _is_signaling(person: Person, call: Cast) -> bool:
    """Whether what runs on in connections from before the capture is too little to be media.

    The control is somebody whose media take another way: what such a connection carries for them is signaling, and
    as much of it is signaling here.
    """
    controls = [
        other for other in call.people if other is not person and any(leg.rtp_out.lasting for leg in other.legs)
    ]
    known = [rates for control in controls for rates in control.older.values()] or [(0.0, 0.0)]
    usual_up, usual_down = max(up for up, _ in known), max(down for _, down in known)
    return all(
        min(up, down) < RELAYING or up < 2 * usual_up or down < 2 * usual_down for up, down in person.older.values()
    )


def _opaque_without_udp(
    person: Person, call: Cast, turns: list[TurnFlow], others_have_udp: bool, burst: int | None
) -> Answer:
    alone = sum(1 for other in call.people if other.flows or other.legs) == 1
    aimed = any(
        leg.sent and not is_private(leg.other) for leg in person.legs
    )  # at its machine: checks to a public address
    reachable = others_have_udp or aimed
    # While nobody's UDP reaches a bridge, two participants may talk directly, and that does not come by the server.
    unseen = () if alone or others_have_udp else ("checks-unanswered", *_elsewhere(person, call))
    if person.begun > call.end and not (turns and _is_signaling(person, call)):
        waiting = ("udp-blocked", "nat-mapping-missing", "checks-unanswered", "not-observable")
        return Answer("undetermined", "inferred", open=waiting, note="this one's connections began before the capture")
    if turns:
        reached = turn_stage(person, turns)
        flow = next((turn for turn in turns if turn.stage == reached), turns[0])
        early = call.end - min(turn.start for turn in turns) < GUARD
        if reached in TURN_CAUSES and not early and not any(turn.holes for turn in turns):
            if any(turn.kind == "p2p" for turn in person.turn) and not any(turn.kind == "jvb" for turn in person.turn):
                return Answer("not-observable", "inferred", flow.frames, (TURN_CAUSES[reached],), "peer to peer")
            if not reachable:  # a bridge without a public address comes first, and looks the same
                both = (TURN_CAUSES[reached], "nat-mapping-missing", *unseen)
                note = "nobody's UDP reaches the bridge, and TURN failed"
                return Answer("undetermined", "inferred", flow.refused or flow.frames, both, note)
            return Answer(
                TURN_CAUSES[reached],
                "inferred" if flow.certainty == "inferred" else "deduced",
                flow.refused or flow.frames,
            )
        open_causes = ("checks-unanswered", "udp-blocked", "dtls-failed", "nat-mapping-missing", *unseen[1:])
        return Answer("undetermined", "inferred", flow.frames, open_causes, f"TURN came as far as {reached}")
    if burst:
        if others_have_udp and not call.lossy and not any(other.turn for other in call.people):
            note = "others reach the bridge over UDP, this one does not, and nobody tried a relay"
            if person.addresses and all(is_private(address) for address in person.addresses):
                note += "; it sits in the server's own network, and which addresses it was offered is not to be seen"
                return Answer("undetermined", "inferred", (burst,), ("hairpin-nat", "udp-blocked"), note)
            return Answer("udp-blocked", "inferred", (burst,), note=note)
        tried = ("udp-blocked", "turn-unreachable") + (() if others_have_udp else ("nat-mapping-missing",))
        note = "an offer was answered, and no UDP of this one came"
        return Answer("undetermined", "inferred", (burst,), (*tried, *unseen), note)
    if burst is None:
        return Answer("undetermined", "inferred", open=("not-observable",), note="no signaling flow from its beginning")
    if alone and not any(role in ("websocket", "signaling") for role in person.flows.values()):
        return Answer("undetermined", "inferred", open=_NOT_IN, note="nothing but pages was fetched")
    before = ("alone-in-room", "no-bridge", "no-focus", *_NOT_IN, *unseen[1:])
    return Answer("undetermined", "inferred", open=before, note="no offer was answered; signaling is encrypted here")
