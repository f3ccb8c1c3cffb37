"""How a participant's media went, and how far the session came."""

from dataclasses import dataclass

from jitsilab.analysis import limits
from jitsilab.analysis.turn_flows import RELAYING, TURN_ORDER, TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import LASTING, Leg
from jitsilab.case.signaling import Session

STAGES = ("tls", "xmpp", "conference", "jingle", "checks", "nominated", "dtls", "media")


OVERLAP = limits.OVERLAP.value  # s
SESSION_OF_PEERS = limits.SESSION_OF_PEERS.value  # s


@dataclass(frozen=True, slots=True)
class Path:
    """A way that media took for a while."""

    name: str  # p2p, jvb-udp, turn-udp, turn-tcp, turn-tls
    start: float  # s
    end: float
    frames: tuple[int, ...] = ()
    certainty: str = "measured"


def paths(person: Person, call: Cast) -> list[Path]:
    """The ways of a participant's media in order of time, its own way out first where both directions differ."""
    ways = [path for leg in person.legs if (path := _of_leg(leg, person, call))]
    if not any(path.name.startswith("turn") for path in ways):
        ways += [path for turn in person.turn if (path := _of_turn(turn, ways))]
    ways += _unseen_peer(person, call, ways)
    return sorted(ways, key=lambda path: (path.end, path.start))


def _of_leg(leg: Leg, person: Person, call: Cast) -> Path | None:
    carried = leg.rtp_out if leg.rtp_out.lasting else None
    if (
        carried is None
        and leg.secured
        and leg.rtp_in.lasting
        and not any(other.rtp_out.lasting for other in person.legs)
    ):
        carried = leg.rtp_in  # somebody who only listens
    if carried is None or not _company(person, carried.first, carried.last):
        return None
    if leg.via == "relay":
        name = _relay(person)
    else:
        name = leg.via if not leg.direct else "p2p" if leg.kind == "p2p" else "jvb-udp"
    return Path(name, carried.first, carried.last, (carried.frame,))


def _relay(person: Person) -> str:
    """The connection behind a relay: one seen to carry media, else one that was let through, else one there is."""
    legs = [leg for leg in person.legs if leg.via.startswith("turn")]
    turns = sorted(person.turn, key=lambda turn: turn.stage not in ("permitted", "relaying"))
    carrying = [leg.via for leg in legs if leg.rtp_out.lasting]
    return next(iter([*carrying, *(turn.via for turn in turns), *(leg.via for leg in legs)]), "turn-tls")


def _company(person: Person, first: float, last: float) -> bool:
    """Whether somebody else was in the room meanwhile; packets after the last one has left are no media of a call."""
    spans = [span for stream in person.xmpp_streams for span in stream.others.values()]
    return not spans or any(
        first < until and last > since and min(last, until) - max(first, since) > OVERLAP for since, until in spans
    )


def _of_turn(turn: TurnFlow, ways: list[Path]) -> Path | None:
    """Media inside a TURN connection that stays shut: a kilobyte a second both ways, and no direct way meanwhile."""
    since = max([turn.start, *(path.end for path in ways if path.end > turn.start)])
    if turn.relayed is None or not (late := turn.relayed.seconds >= since).any():
        return None
    times, out, sizes = turn.relayed.seconds[late], turn.relayed.up[late], turn.relayed.length[late]
    first, last = float(times[0]), float(times[-1])
    up, down = int(sizes[out].sum()), int(sizes[~out].sum())
    if last - first < LASTING or min(up, down) < RELAYING * (last - first):
        return None
    return Path(turn.via, first, last, turn.frames[:1], turn.certainty)


def _unseen_peer(person: Person, call: Cast, ways: list[Path]) -> list[Path]:
    """Peer to peer past the capture: a P2P session stands while the bridge session carries nothing."""
    result = []
    for session in person.sessions:
        if session.kind != "p2p" or not session.accepted:
            continue
        bridge = [other for other in person.sessions if other.kind == "jvb" and other.accepted]
        until = (
            session.ended_at
            if session.ended
            else max((stream.end_of_stream(call.end) for stream in person.xmpp_streams), default=call.end)
        )
        start = session.offered_at
        busy = any(path.start < until - OVERLAP and path.end > start + 1 for path in ways)
        ready = any(leg.kind == "jvb" and (leg.connected or leg.secured) for leg in person.legs)
        if bridge and ready and not busy and until - start >= SESSION_OF_PEERS:
            result.append(Path("p2p", start, until, (session.accepted,), "inferred"))
        elif (
            session.ended and not busy and until - start >= SESSION_OF_PEERS and "p2p session" in session.reason.lower()
        ):
            result.append(Path("p2p", start, until, (session.accepted, session.ended), "inferred"))
    return result


def stage(person: Person, route: list[Path]) -> tuple[str, tuple[int, ...]]:
    """The furthest step that the capture shows for a participant, and frames of it."""
    if route:
        return "media", route[-1].frames
    for leg in person.legs:
        if leg.handshaken or leg.hello or leg.other_hello:
            return "dtls", tuple((leg.hello + leg.other_hello)[:2])
    for leg in person.legs:
        if leg.nominated and leg.connected:
            return "nominated", (leg.nominated,)
    checks = [leg for leg in person.legs if leg.sent or leg.got]
    if checks or any(turn.sent for turn in person.turn):
        return "checks", tuple(checks[0].sent[:1] or checks[0].got[:1]) if checks else ()
    for session in person.sessions:
        if session.offered or session.accepted:
            return "jingle", (session.offered or session.accepted,)
    for stream in person.xmpp_streams:
        if stream.joined or stream.ready:
            return "conference", (stream.joined or stream.ready,)
    for stream in person.xmpp_streams:
        if stream.opened or stream.offered:
            return "xmpp", (stream.opened or stream.offered,)
    return "tls", ()


def turn_stage(person: Person, turns: list[TurnFlow] | None = None) -> str:
    """The furthest that any of the participant's TURN connections came; the closed set of the documentation."""
    turns = person.turn if turns is None else turns
    if turns:
        permitted = [turn for turn in turns if turn.stage in ("permitted", "relaying")]
        if not permitted and any(turn.refused for turn in turns):
            return "permission-refused"
        return max((turn.stage for turn in turns), key=TURN_ORDER.index)
    offered = [stream.turn_offered for stream in person.xmpp_streams if stream.turn_offered is not None]
    if offered and not any(offered):
        return "not-offered" if person.sessions else "not-tried"
    return "not-tried"


def turn_of(person: Person, session: Session | None) -> list[TurnFlow]:
    """The TURN connections made for a session: those opened from its offer on, or all where that tells none."""
    if session is None or session.offered_at != session.offered_at:
        return person.turn
    return [turn for turn in person.turn if turn.start >= session.offered_at - 1.0] or person.turn
