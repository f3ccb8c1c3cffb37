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
    words = {one.certainty for one in flows}
    return next((one for one in Certainty if one.value in words), Certainty.INFERRED)


def _settled(scope: Scope, one: TurnFlow) -> bool:
    """Whether a connection is in the capture without a hole and to its end, or long enough to say what never came."""
    return not one.holes and (one.flow in scope.every.ended or scope.call.end - one.start >= GUARD)


def allocated(flows: pd.DataFrame, scope: Scope) -> Outcome:
    """Allocate, 401 with realm and nonce, Allocate with credentials, success."""
    if not scope.turns:
        return _untried(scope)
    stages = {stage: [one for one in scope.turns if one.stage == stage] for stage in ("auth-failed", "unreachable")}
    failed = [one for one in stages["auth-failed"] if _settled(scope, one)]
    if failed:
        shown = [frame for one in failed for frame in one.frames]
        return broken("TURN refuses the credentials", shown, failed[0].via, _sure(failed))
    silent = [one for one in stages["unreachable"] if one.flow in scope.every.ended and not one.holes]
    if silent:
        shown = [frame for one in silent for frame in one.frames]
        return broken("the connection to TURN was closed without an answer", shown, silent[0].via, _sure(silent))
    good = [one for one in scope.turns if one.stage not in ("auth-failed", "unreachable")]
    if not good:
        return absent(
            "a connection to TURN, and no allocation in the capture", [f for one in scope.turns for f in one.frames]
        )
    ways = ", ".join(sorted({one.via for one in good}))
    shown = [frame for one in good for frame in one.allocated or one.frames]
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
    asked = [one for one in scope.turns if one.refused or one.stage in ("permission-refused", "permitted", "relaying")]
    if not asked:
        if all(one.stage == "allocated" and _settled(scope, one) for one in scope.turns):
            return beside("nobody asked for a permission: the relay was not needed")
        return absent("no permission asked for in the capture")
    refused = [one for one in asked if one.stage == "permission-refused"]
    final = [one for one in refused if _settled(scope, one) and _grave(scope, one)]
    if final:
        shown = [frame for one in final for frame in one.refused]
        count = sum(len(one.refused) for one in final)
        return broken(
            f"TURN refused every permission ({count}): the relay leads nowhere", shown, final[0].via, _sure(final)
        )
    granted = [one for one in asked if one.stage in ("permitted", "relaying")]
    if not granted:
        return absent("a refusal, and no more in the capture", [f for one in refused for f in one.refused])
    beaten = sum(len(one.refused) for one in asked)
    also = f"; {beaten} refused, as private addresses of the other side are" if beaten else ""
    ways = ", ".join(sorted({one.via for one in granted}))
    return holds(f"permissions granted{also}", [f for one in granted for f in one.frames], ways, _sure(granted))


def _grave(scope: Scope, one: TurnFlow) -> bool:
    """Whether refusals cut a session off: a peer's private address is refused in healthy calls too."""
    if scope.kind == "jvb" or one.kind == "jvb":
        return True
    stun = scope.every.get("stun")
    rows = stun[stun["flow"].eq(one.flow)] if stun is not None and len(stun) else pd.DataFrame()
    if rows.empty:
        return len(one.refused) > 1
    errors = rows[rows["method"].eq("CreatePermission") & rows["message_class"].eq("error")]
    asked = rows[rows["transaction_id"].isin(errors["transaction_id"]) & rows["peer_address"].notna()]
    return any(not is_private(str(peer)) for peer in asked["peer_address"])


def routed(tls: pd.DataFrame, scope: Scope) -> Outcome:
    """One port serves page and relay: the ClientHello tells which is meant, by ALPN or by the name."""
    if not scope.person.addresses:
        return hidden("where this participant's connections are is not to be seen here")
    hellos = tls[tls["handshake"].fillna("").str.contains("client_hello")]
    turning = {one.flow for one in scope.person.turn if one.via == "turn-tls"}
    relays = hellos[hellos["flow"].isin(turning)]
    if relays.empty:
        return beside("no TURN over TLS") if not turning else absent("the handshake with TURN is not in the capture")
    sure = {one.flow for one in scope.person.turn if one.stage not in ("unreachable", "auth-failed")}
    wrong = relays[[bool(WEB & set(str(one).split())) for one in relays["alpn"].fillna("")]]
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
    relays = [one for one in scope.person.turn if one.via != "turn-udp"]
    if not relays:
        return absent("no UDP and no relay over TCP of this participant in the capture")
    legs = [leg for leg in scope.person.legs if not leg.direct and leg.rtp_out.lasting]
    used = [one for one in relays if one.stage == "relaying"]
    if legs or used:
        frames = [leg.rtp_out.frame for leg in legs] + [f for one in used for f in one.frames[:2]]
        ways = ", ".join(sorted({one.via for one in used} | {leg.via for leg in legs}))
        return holds("media over a relay, for want of UDP", frames, ways, _sure(used) if used else Certainty.MEASURED)
    furthest = ", ".join(dict.fromkeys(one.stage for one in relays))
    return absent(f"no UDP, and the relay came as far as {furthest}", [f for one in relays for f in one.frames[:2]])


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
