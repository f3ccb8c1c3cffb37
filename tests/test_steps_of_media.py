"""Steps S17 to S34 at their limits: tables of a few rows, where one value more or less turns the verdict."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest
from made_scopes import (
    ANN,
    BEN,
    BESIDE,
    CONFORMS,
    DEVIATES,
    HIDDEN,
    PUBLIC,
    SERVER,
    TALKING,
    UNOBSERVED,
    rows,
    said,
    scope,
    verdict,
    whole,
)

from jitsilab.analysis import limits
from jitsilab.analysis.turn_flows import TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg, Media
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.theory import connectivity, media, relays
from jitsilab.judge.theory.scope import Whole, broken, holds, joined, scopes
from jitsilab.protocols.jitmeet import Service

GUARD, CONSENT = limits.GUARD.value, limits.CONSENT.value


# ---- S17 and S21 to S23, S32: relays


def turn(stage: str = "allocated", *, start: float = 10.0, **more: Any) -> TurnFlow:
    return TurnFlow(7, more.pop("via", "turn-tls"), ANN, start, 50.0, stage, frames=(70, 71), **more)


@pytest.mark.parametrize(
    ("start", "found", "note"),
    [(10.5, CONFORMS, "first connection to a relay 0.50 s after the offer"),
     (9.5, CONFORMS, "first connection to a relay 0.50 s before the offer"),
     (11.0, CONFORMS, "first connection to a relay 1.00 s after the offer"),
     (11.01, "INFO", "first connection to a relay 1.01 s after the offer: late")],
)  # fmt: skip
def test_relays_are_opened_within_a_second_of_the_offer(start: float, found: str, note: str) -> None:
    session = Session("s", "jvb", offered=3, offered_at=10.0)
    assert verdict(connectivity.gathered(scope(session, turns=[turn(start=start)]))) == (found, note)


def test_a_relay_of_an_offer_that_is_not_seen_is_deduced() -> None:
    for session in (None, Session("s", "jvb")):
        one = connectivity.gathered(scope(session, turns=[turn(allocated=(66, 67))]))
        assert (one.verdict.value, one.certainty, one.frames) == (CONFORMS, Certainty.DEDUCED, (66,))


@pytest.mark.parametrize(
    ("offered", "kind", "found"),
    [
        (("turns", "tcp"), "jvb", UNOBSERVED),
        (("turn", "tcp"), "jvb", UNOBSERVED),
        (("turn", "udp"), "jvb", BESIDE),  # a browser has UDP to the bridge itself
        (("turn", "udp"), "p2p", UNOBSERVED),
        (("stun", "udp"), "p2p", BESIDE),
    ],
)
def test_relays_that_a_session_uses_are_asked_for(offered: tuple[str, str], kind: str, found: str) -> None:
    session = Session("s", kind, offered=3, offered_at=10.0)
    service = Service(offered[0], "turn.lab", 443, offered[1], None, None, None, False)
    stream = whole(session, services=(service,), services_frame=2)
    assert connectivity.gathered(scope(session, kind=kind, stream=stream)).verdict.value == found
    stream.services = None
    assert connectivity.gathered(scope(session, kind=kind, stream=stream)).verdict.value == UNOBSERVED
    stream.services = (service,)
    assert connectivity.gathered(scope(session, kind=kind, stream=stream, addresses=[])).verdict.value == HIDDEN


@pytest.mark.parametrize(("waited", "found"), [(GUARD, DEVIATES), (GUARD - 0.01, CONFORMS)])
def test_a_refusal_counts_once_nothing_else_came(waited: float, found: str) -> None:
    flows = rows({"flow": 7, "fins": 0, "resets": 0})
    failed = [turn("auth-failed", start=10.0), turn("allocated", start=1.0)]
    made = scope(turns=failed, end=10.0 + waited, tables={"flows": flows})
    assert relays.allocated(flows, made).verdict.value == found
    ended = flows.assign(fins=1)
    assert relays.allocated(ended, scope(turns=failed, end=10.1, tables={"flows": ended})).verdict.value == DEVIATES
    holed = [turn("auth-failed", start=10.0, holes=True)]
    assert relays.allocated(ended, scope(turns=holed, tables={"flows": ended})).verdict.value == UNOBSERVED


def test_a_relay_that_was_closed_without_an_answer() -> None:
    for closed, found in (({"fins": 1, "resets": 0}, DEVIATES), ({"fins": 0, "resets": 1}, DEVIATES),
                          ({"fins": 0, "resets": 0}, UNOBSERVED)):  # fmt: skip
        flows = rows({"flow": 7} | closed)
        made = scope(turns=[turn("unreachable", certainty="inferred")], tables={"flows": flows})
        assert relays.allocated(flows, made).verdict.value == found


def denied(peer: str | None, kind: str = "p2p", refused: tuple[int, ...] = (72,)) -> Outcome:
    stun = rows({"message_class": "request", "peer_address": peer, "transaction_id": "a"},
                {"message_class": "error", "peer_address": None, "transaction_id": "a"},
                {"message_class": "request", "peer_address": PUBLIC, "transaction_id": "b"},
                method="CreatePermission", flow=7)  # fmt: skip
    tables = {"stun": stun if peer else stun.head(0), "flows": rows({"flow": 7, "fins": 1, "resets": 0})}
    made = scope(kind=kind, turns=[turn("permission-refused", refused=refused)], tables=tables)
    return relays.permitted(tables["flows"], made)


def test_a_private_peer_is_refused_in_healthy_calls_too() -> None:
    assert denied("192.168.1.7").verdict.value == UNOBSERVED
    assert denied(BEN).verdict.value == DEVIATES
    assert denied("192.168.1.7", kind="jvb").verdict.value == DEVIATES  # the bridge is behind no other relay
    assert denied(None).verdict.value == UNOBSERVED  # inside TLS: one of several refusals may be of such a peer
    assert denied(None, refused=(72, 73)).verdict.value == DEVIATES
    assert denied(BEN, refused=(72, 74)).note == "TURN refused every permission (2): the relay leads nowhere"


def test_a_relay_that_let_somebody_through_is_not_refused() -> None:
    flows = rows({"flow": 7, "fins": 1, "resets": 0})
    made = scope(turns=[turn("relaying", refused=(72, 73), certainty="deduced")], tables={"flows": flows})
    one = relays.permitted(flows, made)
    assert verdict(one) == (
        CONFORMS, "permissions granted; 2 refused, as private addresses of the other side are"
    )  # fmt: skip
    assert one.certainty is Certainty.DEDUCED
    unasked = scope(turns=[turn("allocated")], tables={"flows": flows})
    assert relays.permitted(flows, unasked).verdict.value == BESIDE
    early = scope(turns=[turn("allocated", start=58.0)], tables={"flows": flows.assign(fins=0)})
    assert relays.permitted(flows, early).verdict.value == UNOBSERVED


@pytest.mark.parametrize(
    ("alpn", "stage", "found"),
    [(None, "allocated", CONFORMS), ("stun.turn", "allocated", CONFORMS), ("h2 http/1.1", "allocated", DEVIATES),
     ("http/1.1", "auth-failed", CONFORMS), ("http/1.1", "unreachable", CONFORMS)],
)  # fmt: skip
def test_turn_asks_for_no_page(alpn: str | None, stage: str, found: str) -> None:
    tls = rows({"handshake": "client_hello", "flow": 7, "alpn": alpn, "dst_port": 443, "sni": "meet.lab"})
    made = scope(turns=[turn(stage)], flows={7: "turn"})
    assert relays.routed(tls, made).verdict.value == found


def test_one_port_is_told_apart_by_alpn_or_by_name() -> None:
    def variant(relay: str, port: int = 443) -> str:
        tls = rows({"flow": 7, "alpn": None, "sni": relay}, {"flow": 5, "alpn": "h2", "sni": "meet.lab"},
                   handshake="client_hello", dst_port=443)  # fmt: skip
        flows = rows({"flow": 5, "server_port": port}, {"flow": 7, "server_port": 443})
        return relays.routed(tls, scope(turns=[turn()], flows={5: "web", 7: "turn"}, tables={"flows": flows})).variant

    assert variant("meet.lab") == "alpn map"
    assert variant("turn.lab") == "sni map"
    assert variant("turn.lab", port=8443) == "own port"


def test_tcp_serves_where_no_udp_came() -> None:
    flows = rows({"flow": 7})
    lasting = Leg(7, "turn-tls", ANN, kind="jvb", rtp_out=Media(50, 11.0, 40.0, 77))
    carried = relays.fallen_back(flows, scope(legs=[lasting], turns=[turn("permitted")]))
    assert (carried.verdict.value, carried.frames, carried.certainty) == (CONFORMS, (77,), Certainty.MEASURED)
    short = Leg(7, "turn-tls", ANN, kind="jvb", rtp_out=Media(50, 11.0, 11.5, 77))
    assert relays.fallen_back(flows, scope(legs=[short], turns=[turn("permitted")])).verdict.value == UNOBSERVED
    used = relays.fallen_back(flows, scope(turns=[turn("relaying", certainty="deduced")]))
    assert (used.verdict.value, used.certainty) == (CONFORMS, Certainty.DEDUCED)
    assert relays.fallen_back(flows, scope(turns=[turn("relaying", via="turn-udp")])).verdict.value == UNOBSERVED
    assert relays.fallen_back(flows, scope(turns=[turn("relaying")], udp=True)).verdict.value == BESIDE
    direct = Leg(1, "udp", ANN, kind="jvb", sent=[1])
    assert relays.fallen_back(flows, scope(legs=[direct], turns=[turn("relaying")])).verdict.value == BESIDE
    at_home = scope(legs=[direct], turns=[turn("relaying")], own=ANN, udp=True)
    assert relays.fallen_back(flows, at_home).verdict.value == CONFORMS  # sent, and nothing shows that it arrived
    heard = Leg(1, "udp", ANN, kind="jvb", sent=[1], replied=[2])
    assert relays.fallen_back(flows, scope(legs=[heard], turns=[turn("relaying")], own=ANN)).verdict.value == BESIDE


# ---- S18 to S20, S25, S31, S33: ICE

REQUEST = {"method": "Binding", "message_class": "request", "username": "bbbb:aaaa", "integrity_ok": True,
           "fingerprint_ok": True, "flow": 1, "seconds": 10.0, "attributes": "0006 0024 802a 0008 8028"}  # fmt: skip
ANSWER = REQUEST | {"message_class": "success", "username": None, "attributes": "0020 0008 8028"}


def checks(*some: dict[str, Any]) -> pd.DataFrame:
    made = rows(*some).assign(transaction_id=[f"t{number}" for number in range(len(some))])
    return made.astype({"outgoing": bool})


OURS, THEIRS = REQUEST | {"outgoing": True}, REQUEST | {"outgoing": False}
REPLY = ANSWER | {"outgoing": False}


def test_checks_go_both_ways_and_are_answered() -> None:
    one = connectivity.checked(checks(OURS, THEIRS, REPLY), scope())
    assert verdict(one) == (CONFORMS, "1 checks out, 1 in, 1 answers, 2 verified with the password of Jingle")
    unverified = checks(*(each | {"integrity_ok": None} for each in (OURS, REPLY)))
    assert connectivity.checked(unverified, scope()).note == "1 checks out, 0 in, 1 answers"
    other = checks(OURS, REPLY, {**REPLY, "method": "Allocate"})
    assert " 1 answers" in connectivity.checked(other, scope()).note


@pytest.mark.parametrize(
    ("row", "changed", "fault"),
    [
        (OURS, {"integrity_ok": False}, "MESSAGE-INTEGRITY is wrong"),
        (OURS, {"fingerprint_ok": False}, "FINGERPRINT is wrong"),
        (REPLY, {"fingerprint_ok": False}, "FINGERPRINT is wrong"),
        (OURS, {"attributes": "0006 802a 0008 8028"}, "a check without USERNAME, PRIORITY or role"),
        (OURS, {"attributes": "0024 802a 0008 8028"}, "a check without USERNAME, PRIORITY or role"),
        (OURS, {"attributes": "0006 0024 0008 8028"}, "a check without USERNAME, PRIORITY or role"),
        (OURS, {"attributes": "0006 0024 8029 8028 0008"}, "FINGERPRINT is not the last attribute"),
        (OURS, {"attributes": "0006 0024 8029 0008"}, ""),  # RFC 8489 section 14.7: it may be left out
        (OURS, {"attributes": None}, ""),
        (OURS, {"integrity_ok": None, "fingerprint_ok": None}, ""),  # not to be told without the password
    ],
)
def test_the_form_of_a_check(row: dict[str, Any], changed: dict[str, Any], fault: str) -> None:
    table = checks(THEIRS, row | changed, REPLY)
    one = connectivity.checked(table, scope(tables={"stun": table}))
    assert verdict(one) == (DEVIATES, fault) if fault else one.verdict.value == CONFORMS
    if fault:
        assert one.frames == (2,)


def test_a_check_that_the_capture_cut_is_not_judged_by_what_it_lacks() -> None:
    table = checks(OURS | {"attributes": "0006"}, REPLY)
    frames = pd.DataFrame({"frame": [1, 2], "length": [150, 100], "captured_length": [96, 100]})
    assert connectivity.checked(table, scope()).verdict.value == DEVIATES
    cut = scope(tables={"frames": frames, "stun": table})
    assert cut.every.cut == {1}
    assert connectivity.checked(table, cut).verdict.value == CONFORMS


def test_a_username_is_made_of_ufrags_that_were_told() -> None:
    table = checks(OURS, REPLY)
    for own, found in (({"aaaa"}, CONFORMS), ({"zzzz"}, DEVIATES), (set(), CONFORMS)):
        session = Session("s", "jvb", own=own, remote={"bbbb"})
        assert connectivity.checked(table, scope(session, stream=whole(session))).verdict.value == found
        assert connectivity.checked(table, scope(session, stream=XmppStream(0))).verdict.value == CONFORMS


SEEN = Session("s", "jvb", offered=3, offered_at=9.0)


def test_checks_without_an_answer_are_broken_where_one_would_show() -> None:
    table = checks(OURS, THEIRS)

    def found(end: float = 10.0 + GUARD, session: Session | None = SEEN, **more: Any) -> str:
        return connectivity.checked(table, scope(session, end=end, **more)).verdict.value

    assert found() == DEVIATES
    assert found(end=9.99 + GUARD) == UNOBSERVED
    assert found(lossy=True) == UNOBSERVED
    assert found(session=None) == UNOBSERVED  # it may have begun before the capture
    assert found(session=None, begun=9.9) == DEVIATES
    assert found(session=None, begun=10.0) == UNOBSERVED
    assert found(turns=[turn("relaying")]) == HIDDEN  # the answers may be inside a relay that stays shut
    assert found(turns=[turn("allocated")]) == DEVIATES
    assert found(turns=[turn("permission-refused")]) == UNOBSERVED  # a relay that lets none through is S22's
    direct = Leg(1, "udp", ANN, kind="jvb")
    assert found(turns=[turn("permission-refused")], legs=[direct]) == DEVIATES


def test_a_conflict_of_roles_ends() -> None:
    error = ANSWER | {"message_class": "error", "error_code": 487, "outgoing": False, "role": None}
    later = [OURS | {"role": "controlled", "error_code": None}, THEIRS | {"role": "controlling", "error_code": None}]

    def found(*some: dict[str, Any]) -> tuple[str, str]:
        return verdict(connectivity.conflicted(checks(*some), scope()))

    assert found(error, *later) == (CONFORMS, "a conflict, then the roles differ")
    assert found(error, error, *later)[0] == CONFORMS  # an ordinary and a triggered check were under way
    assert found(error, error, error, *later) == (DEVIATES, "3 conflicts on one pair: neither side gives way")
    assert found(error, error, error | {"flow": 2}, *later)[0] == CONFORMS
    assert found(error, error, error | {"outgoing": True}, *later)[0] == CONFORMS
    assert found(*later, error)[0] == UNOBSERVED  # what came before tells nothing
    assert found(error, later[0], later[1] | {"role": "controlled"})[0] == UNOBSERVED
    assert found(error, later[0])[0] == UNOBSERVED
    assert found(error | {"error_code": 401}, *later) == (BESIDE, "no conflict of roles; errors 401 are none")
    assert found(error | {"method": "Allocate"}, *later) == (BESIDE, "no conflict of roles")


def test_the_controlling_side_nominates() -> None:
    def found(*some: dict[str, Any]) -> Outcome:
        return connectivity.nominated(
            checks(*(OURS | {"depth": 0, "role": "controlling"} | one for one in some)), scope()
        )

    assert found({"use_candidate": None}).verdict.value == HIDDEN
    assert found({"use_candidate": False}).verdict.value == UNOBSERVED
    assert found({"use_candidate": True, "message_class": "success"}).verdict.value == UNOBSERVED
    assert found({"use_candidate": True}).note == "nominated by the participant"
    twice = found(
        {"use_candidate": True}, {"use_candidate": True}, {"use_candidate": True, "flow": 2, "outgoing": False}
    )
    assert (twice.note, twice.frames) == ("2 pairs, nominated by the participant", (1, 3))
    other = found({"use_candidate": True, "outgoing": False})
    assert (other.note, other.variant) == ("nominated by the other side", "controlling: the other side")
    assert found({"use_candidate": True, "role": "controlled"}).verdict.value == DEVIATES


def test_the_bridge_offers_udp_alone() -> None:
    def found(protocol: str | None, outgoing: bool = False, kind: str = "jvb") -> str:
        table = rows({"protocol": protocol, "outgoing": outgoing}).astype({"outgoing": bool})
        return connectivity.over_tcp(table, scope(kind=kind)).verdict.value

    assert [found(one) for one in ("udp", None, "TCP", "ssltcp")] == [CONFORMS, CONFORMS, "INFO", "INFO"]
    assert found("tcp", outgoing=True) == UNOBSERVED
    assert found("tcp", kind="p2p") == BESIDE


def answers(*times: float, outgoing: bool = False) -> list[dict[str, Any]]:
    return [ANSWER | {"seconds": at, "outgoing": outgoing} for at in times]


def test_consent_is_renewed_within_thirty_seconds_where_media_flow() -> None:
    flowing = Leg(1, "udp", ANN, kind="jvb", rtp_out=Media(500, 5.0, 100.0, 7))

    def found(*times: float, outgoing: bool = False, leg: Leg = flowing, **more: Any) -> tuple[str, str]:
        return verdict(
            connectivity.alive(checks(*answers(*times, outgoing=outgoing)), scope(legs=[leg], end=200.0, **more))
        )

    assert found(10.0, 10.0 + CONSENT) == (CONFORMS, "an answered check at least every 30.0 s")
    gap = (10.0, 12.0 + CONSENT, 14.0 + CONSENT)
    assert found(*gap) == (DEVIATES, "32 s without an answered check while media flow")
    assert found(*gap, outgoing=True)[0] == DEVIATES
    assert found(*gap, lossy=True)[0] == CONFORMS
    assert found(*gap, turns=[turn("relaying")])[0] == CONFORMS  # it may run inside
    for first, last in ((10.0, 100.0), (5.0, 10.0 + CONSENT)):  # begun since, or ended by then
        assert found(*gap, leg=Leg(1, "udp", ANN, kind="jvb", rtp_out=Media(500, first, last, 7)))[0] == CONFORMS
    probes = Leg(1, "udp", ANN, kind="jvb", rtp_out=Media(1, 5.0, 100.0, 7))
    assert found(*gap, leg=probes)[0] == CONFORMS
    assert found(10.0)[0] == UNOBSERVED


def test_an_answer_that_was_captured_twice_is_one() -> None:
    table = checks(*answers(10.0, 11.0))
    assert connectivity.alive(table, scope()).verdict.value == CONFORMS
    assert connectivity.alive(table.assign(transaction_id="t"), scope()).verdict.value == UNOBSERVED


@pytest.mark.parametrize(
    ("times", "variant"),
    [
        ((0, 5.0, 10.0, 15.0), "the participant's checks every 5.0 s, not randomised"),
        ((0, 4.0, 9.0, 15.0), "the participant's checks every 5.0 s"),  # RFC 7675 section 5.1: 0.8 to 1.2 of 5 s
        ((0, 2.0, 4.0, 6.1), "the participant's checks every 2.0 s, not randomised"),  # 0.1 is 0.05 of 2
        ((0, 2.0, 4.0, 6.12), "the participant's checks every 2.0 s"),
        ((0, 1.5, 3.0, 4.5), ""),  # the checks of the beginning are quicker
        ((0, 5.0, 10.0), ""),
        ((0, 20.0, 40.0, 61.0), "the participant's checks every 20.0 s, not randomised"),  # just 0.05 of 20
    ],
)
def test_checks_that_are_not_drawn_anew_are_told(times: tuple[float, ...], variant: str) -> None:
    assert connectivity.alive(checks(*answers(*times)), scope()).variant == variant


def candidates(*addresses: str, outgoing: bool = False) -> pd.DataFrame:
    made = rows(*({"address": one} for one in addresses), outgoing=outgoing)
    return made.assign(outgoing=made["outgoing"].astype(bool))


MAPPED = {"src": ANN, "dst": SERVER, "dst_port": 10000, "mapped_port": 10000, "mapped_address": PUBLIC, "depth": 0}


def test_a_bridge_behind_nat_offers_what_others_can_reach() -> None:
    session = Session("s", "jvb", offered=3, offered_at=10.0)

    def found(*offered: str, **more: Any) -> tuple[str, str]:
        made = scope(session, **{"tables": {"candidates": candidates(*offered)}} | more)
        return verdict(connectivity.mapped(made))

    alone = f"the bridge offers {SERVER} alone, which the participant cannot reach"
    assert found(SERVER) == (DEVIATES, alone)
    assert found(SERVER, end=10.0 + GUARD) == (DEVIATES, alone)
    assert found(SERVER, end=9.99 + GUARD)[0] == UNOBSERVED
    assert found(SERVER, PUBLIC)[0] == CONFORMS
    assert found(SERVER, addresses=["172.31.250.31"])[0] == UNOBSERVED  # it may reach it
    assert found(SERVER, addresses=["172.31.250.31"], own="172.31.250.31")[0] == DEVIATES  # and was seen not to
    reached = Leg(1, "udp", ANN, kind="jvb", sent=[1])
    assert found(SERVER, legs=[reached])[0] == UNOBSERVED
    assert found(SERVER, legs=[reached], own=ANN)[0] == DEVIATES  # what it sent shows no arrival at its own end
    assert found(SERVER, legs=[Leg(1, "udp", ANN, kind="jvb", replied=[1])], own=ANN)[0] == UNOBSERVED
    assert found(SERVER, legs=[Leg(1, "turn-tls", ANN, kind="jvb", sent=[1])])[0] == DEVIATES
    assert connectivity.mapped(scope(session)).verdict.value == HIDDEN


def test_the_mapping_of_a_bridge_shows_in_answers_to_its_checks() -> None:
    session = Session("s", "jvb", offered=3, offered_at=10.0)

    def found(*offered: str, **changed: Any) -> Outcome:
        stun = checks(ANSWER | {"outgoing": True} | MAPPED | changed)
        return connectivity.mapped(scope(session, tables={"candidates": candidates(*offered), "stun": stun}))

    one = found(SERVER, PUBLIC)
    assert verdict(one) == (CONFORMS, f"{SERVER} is {PUBLIC} outside, port 10000 kept")
    assert one.certainty is Certainty.MEASURED
    assert found(SERVER, PUBLIC, mapped_port=10001).verdict.value == "INFO"
    assert found(SERVER, PUBLIC, mapped_address=SERVER).variant == "no NAT"
    wrong = found(SERVER, "203.0.113.99")
    assert verdict(wrong) == (
        DEVIATES, f"clients see the bridge at {PUBLIC}, which it does not offer (203.0.113.99)"
    )  # fmt: skip
    assert found(SERVER, "2001:db8::1").verdict.value == CONFORMS  # of another family: nothing to compare
    for nothing in ({"outgoing": False}, {"depth": 1}, {"message_class": "request"}, {"method": "Allocate"},
                    {"mapped_address": None}, {"src": SERVER}, {"dst": "127.0.0.1"},
                    {"mapped_port": None}):  # fmt: skip
        assert found(SERVER, PUBLIC, **nothing).variant == "announced", nothing
    stun = checks(ANSWER | {"outgoing": True} | MAPPED)
    assert connectivity.mapped(scope(session, tables={"stun": stun})).certainty is Certainty.DEDUCED


def test_ice_begins_anew_with_new_credentials() -> None:
    first = Session("a", "jvb", offered=3, offered_at=10.0, ended=20, ended_at=25.0, reason="connectivity-error",
                    own={"aaaa"}, remote={"bbbb"})  # fmt: skip

    def found(*later: Session, action: str = "session-terminate", restart: Any = None) -> tuple[str, str]:
        stream = whole(first, sessions={one.sid: one for one in (first, *later)})
        jingle = rows({"action": action, "restart": restart})
        return verdict(connectivity.renewed(jingle, scope=scope(first, stream=stream)))

    def anew(**more: Any) -> Session:
        new = {"offered": 21, "offered_at": 26.0, "own": {"cccc"}, "remote": {"dddd"}}
        return Session("b", **{"kind": "jvb"} | new | more)

    assert found(anew()) == (CONFORMS, "ICE failed after 15.0 s, a new offer 1.00 s later")
    assert found(anew(own={"aaaa"}))[0] == DEVIATES
    assert found(anew(remote={"bbbb"}))[0] == DEVIATES
    assert found(anew(kind="p2p"))[0] == UNOBSERVED
    assert found(anew(offered=19))[0] == UNOBSERVED
    assert found() == (UNOBSERVED, "ICE failed; no new offer in the capture")
    assert found(restart="true")[1].endswith(", though one was asked for")
    first.reason = "success"
    assert found(anew())[0] == BESIDE
    assert found(action="transport-info", restart="true") == (CONFORMS, "ICE begun anew in place")
    assert found(action="transport-info")[0] == BESIDE


# ---- S26 to S30, S34: keys, media, channel, end

HELLO = {"handshake_type": "client_hello", "version": None, "suite": None, "outgoing": True, "record_type": "handshake",
         "epoch": 0}  # fmt: skip
ANSWERED = HELLO | {"handshake_type": "server_hello", "version": "DTLS 1.2", "suite": "ECDHE", "outgoing": False}


def dtls(*some: dict[str, Any]) -> pd.DataFrame:
    made = rows(*some)
    return made.assign(outgoing=made["outgoing"].astype(bool))


def met(**more: Any) -> Leg:
    return Leg(1, "udp", ANN, kind="jvb", first=10.0, sent=[1], replied=[2], answered=[3], **more)


def test_dtls_follows_where_ice_found_a_way() -> None:
    def found(table: pd.DataFrame | None, *legs: Leg, **more: Any) -> tuple[str, str]:
        tables = {"dtls": table} if table is not None else {}
        made = scope(SEEN, legs=legs, tables=tables | more.pop("more", {}), **more)
        return verdict(media.secured(pd.DataFrame(), made))

    both = dtls(HELLO, ANSWERED)
    assert found(both, met(secured=9)) == (CONFORMS, "the participant is the client; ECDHE")
    assert found(dtls(ANSWERED), met(secured=9)) == (CONFORMS, "SRTP shows that it is done; ECDHE")
    assert found(None, met(rtp_out=Media(2, 11.0, 12.0, 7))) == (CONFORMS, "SRTP shows that it is done")
    assert found(None, met(rtp_out=Media(1, 11.0, 12.0, 7)))[0] == DEVIATES
    unfinished = "the handshake began and never finished"
    assert found(both, met()) == (DEVIATES, unfinished)
    assert found(both, met(), end=10.0 + GUARD) == (DEVIATES, unfinished)
    assert found(both, met(), end=9.99 + GUARD)[0] == UNOBSERVED
    assert found(both, met(), turns=[turn("relaying")])[0] == HIDDEN
    assert found(None, met()) == (DEVIATES, "ICE found a way, and nobody began DTLS on it")
    assert found(None) == (UNOBSERVED, "ICE found no way in this capture")
    old = dtls(HELLO, ANSWERED | {"version": "DTLS 1.0"})
    assert found(old, met(secured=9))[0] == CONFORMS  # 2013's programs, of which nothing is asked without a page
    assert found(old, met(secured=9), more={"xmpp": said()}) == (DEVIATES, "DTLS 1.0")


@pytest.mark.parametrize(
    ("session_goes_out", "setup", "outgoing", "found"),
    [(True, "active", True, CONFORMS), (True, "active", False, DEVIATES), (True, "passive", True, DEVIATES),
     (False, "active", True, DEVIATES), (False, "passive", True, CONFORMS), (True, "actpass", False, CONFORMS)],
)  # fmt: skip
def test_whoever_said_active_is_the_client(session_goes_out: bool, setup: str, outgoing: bool, found: str) -> None:
    jingle = rows({"action": "session-accept", "setup": setup, "outgoing": session_goes_out})
    tables = {"dtls": dtls(HELLO | {"outgoing": outgoing}, ANSWERED | {"outgoing": not outgoing}), "jingle": jingle}
    made = scope(SEEN, legs=[met(secured=9)], tables=tables)
    assert media.secured(pd.DataFrame(), made).verdict.value == found


def test_srtp_waits_for_its_sender_s_finished() -> None:
    sealed = HELLO | {"handshake_type": None, "epoch": 1}
    table = dtls(HELLO | {"frame": 10}, ANSWERED | {"frame": 11, "srtp_profile": "SRTP_AES128_CM_HMAC_SHA1_80"},
                 sealed | {"frame": 20})  # fmt: skip

    def found(first: int, outgoing: bool = True, handshake: pd.DataFrame = table, **more: Any) -> Outcome:
        sent = rows({"outgoing": outgoing, "first_frame": first, "packets": 7}).astype({"outgoing": bool})
        return media.encrypted(sent, scope(tables={"dtls": handshake}, **more))

    assert found(15).verdict.value == DEVIATES
    assert found(15).frames == (10, 15, 20)
    for first in (9, 10, 20, 25):  # before the handshake are the keys of an earlier one
        assert found(first).verdict.value == CONFORMS, first
    assert found(15, outgoing=False).verdict.value == CONFORMS  # of the other side no Finished is in the capture
    assert found(15, lossy=True).verdict.value == CONFORMS
    assert found(25).variant == "SRTP_AES128_CM_HMAC_SHA1_80"
    assert found(25).note == "7 packets, none before its keys"
    assert found(25, handshake=table.head(0)).note == "7 packets"
    bare = table.assign(srtp_profile=[None, "SRTP_NULL_HMAC_SHA1_80", None])
    one = found(25, handshake=bare)
    assert (verdict(one), one.frames) == ((DEVIATES, "a profile without encryption"), (25,))


def described(sent: str | None = "111", **tables: pd.DataFrame) -> Outcome:
    flows = rows({"outgoing": True, "payload_types": sent, "first_frame": 30}).astype({"outgoing": bool})
    types = rows({"id": 111, "name": "OPUS"}, {"id": 100, "name": "VP8"})
    made = scope(TALKING, stream=whole(TALKING), tables={"media": flows, **tables})
    return media.described(flows, types, made)


def test_payload_types_were_negotiated() -> None:
    assert verdict(described()) == (CONFORMS, "1 streams of opus")
    one = described("111 77 78")
    assert (verdict(one), one.frames) == ((DEVIATES, "payload type 77 was not negotiated"), (6, 30))
    for lacking in (Session("s", "jvb", offered=3), Session("s", "jvb", accepted=6), None):
        assert media.described(rows({"outgoing": True}), rows({"id": 1}), scope(lacking)).verdict.value == UNOBSERVED


@pytest.mark.parametrize(
    ("outgoing", "used", "fault"),
    [(True, "1 3", ""), (False, "1 3 5", ""), (True, "1 5", "5"), (False, "1 5 9 8", "8"), (True, "9", "9")],
)
def test_header_extensions_were_negotiated(outgoing: bool, used: str, fault: str) -> None:
    told = rows(*({"id": one, "action": "session-initiate"} for one in (1, 3, 5)),
                *({"id": one, "action": "session-accept"} for one in (1, 3)))  # fmt: skip
    sent = rows({"extensions": used}, outgoing=outgoing)
    one = described(header_extensions=told, rtp=sent.assign(outgoing=sent["outgoing"].astype(bool)))
    if fault:
        assert (verdict(one), one.frames) == (
            (DEVIATES, f"header extension {fault} was not negotiated"), (1, 6)
        )  # fmt: skip
    else:
        assert one.verdict.value == CONFORMS


def reported(*told: tuple[float, int], outgoing: bool = True, position: int = 0) -> str:
    table = rows(*({"seconds": at, "packet_type": kind} for at, kind in told), outgoing=outgoing, position=position)
    return described(rtcp=table.assign(outgoing=table["outgoing"].astype(bool))).note


def test_feedback_does_not_go_on_alone() -> None:
    seconds = [float(at) for at in range(0, 28, 3)]  # 0 to 27
    alone = "the participant sends RTCP for 27 s without a report"
    assert reported(*((at, 205) for at in seconds)) == alone
    assert reported(*((at, 205) for at in seconds), outgoing=False).startswith("the other side sends")
    assert reported(*((at, 205) for at in seconds if at <= 24)).startswith("1 streams")
    for report in (200, 201):
        assert reported(*((at, report if at == 12 else 205) for at in seconds)).startswith("1 streams")
    assert reported(*((at if at < 12 else at + 3, 205) for at in seconds)).startswith("1 streams")  # a pause of 6 s
    assert "without a report" in reported(*((at if at < 12 else at + 2, 205) for at in seconds))  # one of 5 s is none
    assert reported(*((at, 205) for at in seconds), position=1).startswith("1 streams")
    exactly = [*range(0, 25, 5), 25]
    assert reported(*((float(at), 205) for at in exactly)).startswith("1 streams")
    assert "for 26 s" in reported(*((float(at), 205) for at in (*exactly, 26)))


def channel(*statuses: int | None, records: tuple[int, int] = (0, 0), **more: Any) -> Outcome:
    asked = rows(*({"target": "/colibri-ws/b/c/e", "status": one, "response_frame": 50} for one in statuses),
                 {"target": "/config.js", "status": 404, "response_frame": 51})  # fmt: skip
    ways = [True] * records[0] + [False] * records[1]
    table = dtls(*({"outgoing": way, "record_type": "application_data"} for way in ways), HELLO)
    made = scope(**{"stream": whole(), "tables": {"http": asked, "dtls": table}} | more)
    return media.channelled(made)


def test_the_bridge_channel_opens() -> None:
    assert channel(101).variant == "ws"
    assert verdict(channel(404, 400)) == (DEVIATES, "the WebSocket of the bridge channel was refused (400, 404)")
    assert channel(None).verdict.value == UNOBSERVED
    assert channel(399).verdict.value == UNOBSERVED
    talk = int(limits.TALK.value)
    assert (channel(records=(talk, talk)).verdict.value, channel(records=(talk, talk)).variant) == (CONFORMS, "sctp")
    assert channel(records=(talk, talk)).certainty is Certainty.DEDUCED
    assert channel(records=(talk - 1, talk)).verdict.value == UNOBSERVED
    assert channel(records=(talk, talk - 1)).verdict.value == UNOBSERVED
    table = dtls(*({"outgoing": way, "record_type": "application_data"} for way in [True, False] * talk))
    without = channel(tables={"dtls": table}, stream=None)
    assert (without.verdict.value, without.certainty) == (CONFORMS, Certainty.INFERRED)
    assert channel(tables={}).verdict.value == HIDDEN
    assert channel().note == "no bridge channel in the capture"
    assert channel(stream=XmppStream(0)).note == "the signaling is not in the capture whole"


def test_media_end_with_their_sender_s_leaving() -> None:
    after = limits.AFTER_LEAVING.value

    def found(last: float, offered: int = 3, **more: Any) -> Outcome:
        old = Session("a", "jvb", offered=offered, own={"aaaa"})
        later = Session("b", "jvb", offered=60, own=more.pop("own", {"cccc"}))
        leg = Leg(1, "udp", ANN, kind="jvb", ufrags={("aaaa", "bbbb")}, rtp_out=Media(9, 5.0, last, 77))
        stream = whole(sessions={"a": old, "b": later}, **{"left": 40, "left_at": 30.0} | more)
        return media.ended(scope(stream=stream, legs=[leg]))

    assert found(30.0 + after).verdict.value == CONFORMS
    assert verdict(found(30.1 + after)) == (DEVIATES, "media go on after the participant left")
    assert found(30.1 + after).frames == (40, 77)
    assert found(50.0, offered=40).verdict.value == CONFORMS  # not a session of before
    assert found(50.0, offered=0).verdict.value == CONFORMS
    assert found(50.0, own={"aaaa"}).verdict.value == CONFORMS  # the same user fragment in a later session
    assert found(50.0, left=0).verdict.value == BESIDE
    assert found(50.0, left=0, opened=0).verdict.value == UNOBSERVED


def test_how_somebody_left() -> None:
    ended = Session("a", "jvb", offered=3, ended=39, reason="success: bye")
    alert = dtls(HELLO | {"record_type": "alert", "frame": 41})
    made = scope(stream=whole(ended, left=40, left_at=30.0), tables={"dtls": alert})
    one = media.ended(made)
    assert verdict(one) == (CONFORMS, "session-terminate (success), unavailable, a DTLS alert")
    assert (one.frames, one.variant) == ((39, 40, 41), "session-terminate")
    alone = media.ended(scope(tables={"dtls": alert}))
    assert (alone.verdict.value, alone.certainty, alone.variant) == (CONFORMS, Certainty.DEDUCED, "DTLS alert")
    assert media.ended(scope()).verdict.value == HIDDEN
    assert media.ended(scope(tables={"dtls": dtls(HELLO)})).verdict.value == UNOBSERVED


# ---- which part of a capture is whose, and what is told of it


def test_a_verdict_is_short_whatever_was_captured() -> None:
    one = holds("x" * 1000, [float("nan"), 0, *range(20, 0, -1), 3], "y" * 1000)
    assert (len(one.note), len(one.variant), one.frames) == (300, 300, tuple(range(1, 13)))
    both = joined([holds("a", range(1, 9), "v"), holds("b", range(5, 20), "v"), broken("c", [3])])
    assert (verdict(both), both.frames) == ((DEVIATES, "c"), (3,))
    both = joined([holds("a", range(1, 9), "v"), holds("b", range(5, 20), "w", Certainty.INFERRED)])
    assert (both.note, both.variant, both.frames) == ("a; b", "v, w", tuple(range(1, 13)))
    assert both.certainty is Certainty.MEASURED
    assert joined([]).verdict.value == BESIDE


def test_relays_belong_to_the_session_whose_offer_was_nearest() -> None:
    first = Session("a", "jvb", offered=3, offered_at=10.0, own={"aaaa"}, remote={"bbbb"})
    peers = Session("b", "p2p", offered=4, offered_at=12.0, own={"cccc"}, remote={"dddd"})
    later = Session("c", "jvb", offered=5, offered_at=30.0, own={"eeee"}, remote={"ffff"})
    stream = whole(sessions={one.sid: one for one in (first, peers, later)})
    legs = [Leg(1, "udp", ANN, ufrags={("aaaa", "bbbb")}), Leg(2, "udp", ANN, ufrags={("zzzz", "dddd")})]
    turns = [turn(start=11.9), turn(start=11.9, kind="jvb"), turn(start=29.0), turn(start=13.0, kind="p2p")]
    ann = Person(addresses=[ANN], xmpp_streams=[stream], legs=legs, turn=turns)
    call = Cast([ann], [SERVER], PUBLIC, "a bridge", True, "", 60.0)
    found = list(scopes(ann, call, Whole({})))
    assert [one.name for one in found] == ["jvb", "p2p", "jvb 2"]
    assert [[leg.flow for leg in one.legs] for one in found] == [[1], [2], []]
    assert [[turns.index(each) for each in one.turns] for one in found] == [[1], [0, 3], [2]]


def test_without_signaling_relays_of_one_moment_are_a_session() -> None:
    together = limits.TOGETHER.value

    def parts(*turns: TurnFlow, legs: Iterable[Leg] = ()) -> list[tuple[str, int, int]]:
        ann = Person(addresses=[ANN], legs=[*legs], turn=[*turns])
        call = Cast([ann], [SERVER], PUBLIC, "a bridge", False, "", 60.0)
        return [(one.name, len(one.legs), len(one.turns)) for one in scopes(ann, call, Whole({}))]

    assert parts(turn(start=10.0), turn(start=10.0 + together)) == [("session", 0, 2)]
    assert parts(turn(start=10.0), turn(start=10.1 + together)) == [("session", 0, 1), ("session 2", 0, 1)]
    assert parts(turn(start=10.0, kind="jvb"), turn(start=10.0, kind="p2p")) == [("jvb", 0, 1), ("p2p", 0, 1)]
    leg = Leg(1, "udp", ANN, kind="jvb", first=20.0, ufrags={("aaaa", "bbbb")})
    assert parts(turn(start=20.0 - GUARD), legs=[leg]) == [("jvb", 1, 1)]
    assert parts(turn(start=19.9 - GUARD), legs=[leg]) == [("session", 0, 1), ("jvb", 1, 0)]
    same = Leg(2, "udp", ANN, kind="jvb", first=21.0, ufrags={("aaaa", "bbbb")})
    assert parts(legs=[leg, same]) == [("jvb", 2, 0)]


@pytest.mark.parametrize(
    ("stage", "more", "shut"),
    [
        ("permitted", {}, True), ("relaying", {}, True), ("allocated", {}, False), ("allocated", {"sent": 1}, True),
        ("relaying", {"via": "turn-udp"}, False),
    ],
)  # fmt: skip
def test_a_relay_inside_tls_hides_a_part_of_the_session(stage: str, more: dict[str, Any], shut: bool) -> None:
    one = turn(stage, **more)
    assert scope(turns=[one]).shut is shut
    opened = rows({"flow": 7, "client": ANN})
    assert scope(turns=[one], tables={"stun": opened}).shut is False
    assert scope(turns=[one], tables={"flows": opened.assign(client="127.0.0.1")}).shut is False
    assert scope(turns=[one], addresses=[]).shut is True
    assert scope(kind="p2p").shut is True
    assert scope(kind="p2p", own=ANN).shut is False
