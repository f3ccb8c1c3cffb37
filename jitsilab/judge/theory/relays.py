"""Steps S21 to S23 and S32: a relay is allocated, let through to the other side, found behind port 443, and used."""

from collections.abc import Iterable

import pandas as pd

from jitsilab.analysis.turn_flows import TurnFlow
from jitsilab.ip import is_private
from jitsilab.judge.checks import GUARD, Certainty, Outcome
from jitsilab.judge.theory.entry import JM, LJM
from jitsilab.judge.theory.scope import Scope, Step, absent, beside, broken, hidden, holds
from jitsilab.judge.theory.signaling import without_session

WEB = {"h2", "http/1.1"}  # what nginx's map by ALPN takes for the page


def _sure(flows: Iterable[TurnFlow]) -> Certainty:
    """The best certainty of several readings: measured from messages, else as the record lengths allow."""
    words = {turn.certainty for turn in flows}
    return next((certainty for certainty in Certainty if certainty.value in words), Certainty.INFERRED)


def _settled(scope: Scope, turn: TurnFlow) -> bool:
    """Whether a connection is in the capture without a hole and to its end, or long enough to say what never came."""
    return not turn.holes and (turn.flow in scope.every.ended or scope.call.end - turn.start >= GUARD)


def allocated(flows: pd.DataFrame, scope: Scope) -> Outcome:
    """Allocate, 401 with realm and nonce, Allocate with credentials, success."""
    if not scope.turns:
        return _untried(scope)
    stages = {stage: [turn for turn in scope.turns if turn.stage == stage] for stage in ("auth-failed", "unreachable")}
    failed = [turn for turn in stages["auth-failed"] if _settled(scope, turn)]
    if failed:
        shown = [frame for turn in failed for frame in turn.frames]
        return broken("TURN refuses the credentials", shown, failed[0].via, _sure(failed))
    silent = [turn for turn in stages["unreachable"] if turn.flow in scope.every.ended and not turn.holes]
    if silent:
        shown = [frame for turn in silent for frame in turn.frames]
        return broken("the connection to TURN was closed without an answer", shown, silent[0].via, _sure(silent))
    good = [turn for turn in scope.turns if turn.stage not in ("auth-failed", "unreachable")]
    if not good:
        return absent(
            "a connection to TURN, and no allocation in the capture", [f for turn in scope.turns for f in turn.frames]
        )
    ways = ", ".join(sorted({turn.via for turn in good}))
    shown = [frame for turn in good for frame in turn.allocated or turn.frames]
    return holds(f"{len(good)} allocated", shown, ways, _sure(good))


def _untried(scope: Scope) -> Outcome:
    stream = scope.stream
    if not scope.person.addresses:
        return hidden("where this participant's connections are is not to be seen here")
    if stream is not None and stream.services is not None and not stream.turn_offered:
        return beside("no TURN was offered")
    return absent("no connection to TURN in the capture")


def permitted(flows: pd.DataFrame, scope: Scope) -> Outcome:
    """TURN lets the relay reach the other side."""
    if not scope.turns:
        return _untried(scope)
    asked = [
        turn for turn in scope.turns if turn.refused or turn.stage in ("permission-refused", "permitted", "relaying")
    ]
    if not asked:
        if all(turn.stage == "allocated" and _settled(scope, turn) for turn in scope.turns):
            return beside("nobody asked for a permission: the relay was not needed")
        return absent("no permission asked for in the capture")
    refused = [turn for turn in asked if turn.stage == "permission-refused"]
    final = [turn for turn in refused if _settled(scope, turn) and _grave(scope, turn)]
    if final:
        shown = [frame for turn in final for frame in turn.refused]
        count = sum(len(turn.refused) for turn in final)
        return broken(
            f"TURN refused every permission ({count}): the relay leads nowhere", shown, final[0].via, _sure(final)
        )
    granted = [turn for turn in asked if turn.stage in ("permitted", "relaying")]
    if not granted:
        return absent("a refusal, and no more in the capture", [f for turn in refused for f in turn.refused])
    beaten = sum(len(turn.refused) for turn in asked)
    also = f"; {beaten} refused, as private addresses of the other side are" if beaten else ""
    ways = ", ".join(sorted({turn.via for turn in granted}))
    return holds(f"permissions granted{also}", [f for turn in granted for f in turn.frames], ways, _sure(granted))


def _grave(scope: Scope, turn: TurnFlow) -> bool:
    """Whether refusals cut a session off: a peer's private address is refused in healthy calls too."""
    if scope.kind == "jvb" or turn.kind == "jvb":
        return True
    stun = scope.every.get("stun")
    rows = stun[stun["flow"].eq(turn.flow)] if stun is not None and len(stun) else pd.DataFrame()
    if rows.empty:
        return len(turn.refused) > 1
    errors = rows[rows["method"].eq("CreatePermission") & rows["message_class"].eq("error")]
    asked = rows[rows["transaction_id"].isin(errors["transaction_id"]) & rows["peer_address"].notna()]
    return any(not is_private(str(peer)) for peer in asked["peer_address"])


def routed(tls: pd.DataFrame, scope: Scope) -> Outcome:
    """One port serves page and relay: the ClientHello tells which is meant, by ALPN or by the name."""
    if not scope.person.addresses:
        return hidden("where this participant's connections are is not to be seen here")
    hellos = tls[tls["handshake"].fillna("").str.contains("client_hello")]
    turning = {turn.flow for turn in scope.person.turn if turn.via == "turn-tls"}
    relays = hellos[hellos["flow"].isin(turning)]
    if relays.empty:
        return beside("no TURN over TLS") if not turning else absent("the handshake with TURN is not in the capture")
    sure = {turn.flow for turn in scope.person.turn if turn.stage not in ("unreachable", "auth-failed")}
    wrong = relays[[bool(WEB & set(str(alpn).split())) for alpn in relays["alpn"].fillna("")]]
    if len(wrong[wrong["flow"].isin(sure)]):
        return broken("TURN asked for with the ALPN of a page", wrong["frame"])
    pages = hellos[~hellos["flow"].isin(turning) & hellos["alpn"].notna()]
    flows = scope.table("flows")
    others = {flow for flow, role in scope.person.flows.items() if role != "turn"} - turning
    ports = set(relays["dst_port"].dropna())
    if flows is None or not ports & set(flows.loc[flows["flow"].isin(others), "server_port"].dropna()):
        return holds("TURN over TLS on a port of its own", relays["frame"].head(4), "own port")
    if pages.empty:
        return holds("one port for page and relay", relays["frame"].head(4), "one port", Certainty.DEDUCED)
    same = set(relays["sni"].dropna()) & set(pages["sni"].dropna())
    how = "by ALPN: the relay's ClientHello has none" if same else "by another name"
    note = f"one port for page and relay, told apart {how}"
    return holds(note, relays["frame"].head(4), "alpn map" if same else "sni map")


def fallen_back(flows: pd.DataFrame, scope: Scope) -> Outcome:
    """Where no UDP gets through, a relay over TCP carries the media."""
    if not scope.person.addresses:
        return hidden("where this participant's connections are is not to be seen here")
    direct = [leg for leg in scope.person.legs if leg.direct and (leg.sent if not scope.call.own else leg.connected)]
    if (scope.person.udp and not scope.call.own) or direct:
        return beside("UDP of this participant gets through")
    relays = [turn for turn in scope.person.turn if turn.via != "turn-udp"]
    if not relays:
        return absent("no UDP and no relay over TCP of this participant in the capture")
    legs = [leg for leg in scope.person.legs if not leg.direct and leg.rtp_out.lasting]
    used = [turn for turn in relays if turn.stage == "relaying"]
    if legs or used:
        frames = [leg.rtp_out.frame for leg in legs] + [f for turn in used for f in turn.frames[:2]]
        ways = ", ".join(sorted({turn.via for turn in used} | {leg.via for leg in legs}))
        return holds("media over a relay, for want of UDP", frames, ways, _sure(used) if used else Certainty.MEASURED)
    furthest = ", ".join(dict.fromkeys(turn.stage for turn in relays))
    return absent(f"no UDP, and the relay came as far as {furthest}", [f for turn in relays for f in turn.frames[:2]])


LENGTHS = "TURN in clear, opened by keys, or the lengths of its TLS records"
STEPS: tuple[Step, ...] = (
    Step(
        "S21",
        "A relay is allocated",
        "RFC 8656 section 7; RFC 8489 section 9.2",
        ("flows",),
        allocated,
        "TURN is offered",
        LENGTHS,
        each="session",
        applies=without_session,
    ),
    Step(
        "S22",
        "The relay is let through",
        "RFC 8656 sections 9, 10 and 12",
        ("flows",),
        permitted,
        "a permission is asked for",
        LENGTHS,
        each="session",
        applies=without_session,
    ),
    Step(
        "S23",
        "Port 443 serves page and relay",
        "RFC 7301 sections 3.1 and 3.2; "
        f"{JM} doc/debian/jitsi-meet/jitsi-meet.conf; jitsi/handbook docs/devops-guide/turn.md",
        ("tls",),
        routed,
        "TURN over TLS is used",
        "the ClientHellos",
    ),
    Step(
        "S32",
        "TCP serves where UDP does not",
        f"RFC 8656 section 7; {LJM} modules/xmpp/strophe.jingle.js",
        ("flows",),
        fallen_back,
        "no UDP gets through",
        LENGTHS,
    ),
)
