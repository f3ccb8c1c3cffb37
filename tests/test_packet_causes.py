# ruff: noqa: E501 (rows of a table)
"""Why packets alone show no media, decided step by step: each row lacks one thing that the row before it has.

What a person and a call are is written out here, so that each condition of a rule is met and missed by itself.
"""

from typing import Any

import numpy as np
import pytest

from jitsilab.analysis.turn_flows import Relayed, TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg, Media
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.judge.causes import packets, paths
from jitsilab.judge.checks import GUARD
from jitsilab.protocols.xmpp import Service

SERVER, OUTER, ANN, BEN, INNER = "172.31.37.118", "203.0.113.10", "198.51.100.20", "198.51.100.140", "172.31.250.31"
CHECKS = ("checks-unanswered", "udp-blocked", "dtls-failed")


def call(*people: Person, **more: Any) -> Cast:
    return Cast(list(people), [SERVER], OUTER, "a bridge", True, **{"own": "", "end": 60.0} | more)


def stream(*sessions: Session, **more: Any) -> XmppStream:
    usual = {"opened": 1, "offered": 2, "tried": 3, "bound": 4, "joined": 5, "joined_at": 2.0, "end": 50.0}
    return XmppStream(0, sessions={one.sid: one for one in sessions}, **usual | more)


def session(*candidates: str, kind: str = "jvb", **more: Any) -> Session:
    usual = {"offered": 9, "offered_at": 10.0, "accepted": 11, "own": {"mine"}, "remote": {"its"}}
    return Session(f"{kind}1", kind, candidates=[(one, "host") for one in candidates], **usual | more)


def leg(via: str = "udp", **more: Any) -> Leg:
    usual = {"sent": [20], "first": 11.0, "ufrags": {("mine", "its")}}
    return Leg(1, via, ANN, SERVER, 4000, "jvb", **usual | more)


def turn(stage: str, **more: Any) -> TurnFlow:
    return TurnFlow(7, "turn-tls", ANN, **{"start": 12.0, "end": 40.0, "frames": (30, 31), "stage": stage} | more)


def person(*streams: XmppStream, **more: Any) -> Person:
    return Person("ann", [ANN], list(streams), **more)


def cause(
    who: Person, others: bool = False, burst: int | None = None, **more: Any
) -> tuple[str, str, tuple[int, ...], Any]:
    found = packets.cause(who, call(who, **more), others, burst)
    return found.name, found.certainty, found.frames, set(found.open)


# The login and the room


@pytest.mark.parametrize(
    ("more", "name", "frames"),
    [
        ({"refused": [7]}, "xmpp-auth-failed", (2, 3, 7)),
        ({"refused": [7], "opened": 0}, "undetermined", (2, 3, 7)),
        ({"tried": 0, "closed": 8}, "xmpp-auth-failed", (2, 8)),
        ({"tried": 3, "closed": 8}, "undetermined", (2, 3, 8)),
        ({"tried": 0, "closed": 8, "offered": 0}, "undetermined", (8,)),
        ({"tried": 0, "mechanisms": {"PLAIN"}}, "xmpp-auth-failed", (2,)),
        ({"tried": 0, "mechanisms": {"PLAIN", "ANONYMOUS"}}, "undetermined", (2,)),
        ({"tried": 0, "mechanisms": {"PLAIN"}, "holes": True}, "undetermined", (2,)),
        ({"tried": 0, "mechanisms": {"PLAIN"}, "start": 60.1 - GUARD}, "undetermined", (2,)),
        ({"tried": 0, "mechanisms": {"PLAIN"}, "start": 60.0 - GUARD}, "xmpp-auth-failed", (2,)),
        ({}, "undetermined", (2, 3)),
    ],
)  # fmt: skip
def test_who_was_not_let_in(more: dict[str, Any], name: str, frames: tuple[int, ...]) -> None:
    found = cause(person(stream(**{"bound": 0, "joined": 0} | more)))
    assert (found[0], found[2]) == (name, frames)
    assert found[3] == (set() if name == "xmpp-auth-failed" else {"xmpp-auth-failed"})


WITH_BEN = {"others": {"ben": (3.0, 50.0)}}


@pytest.mark.parametrize(
    ("more", "name", "frames", "open_"),
    [
        ({"bridge_missing": [8]}, "no-bridge", (5, 8), ()),
        ({"bridge_missing": [8], "holes": True}, "no-bridge", (5, 8), ()),
        ({"holes": True}, "undetermined", (), ("alone-in-room", "no-bridge", "xmpp-auth-failed", "not-observable")),
        ({}, "alone-in-room", (5,), ()),
        ({"joined_at": 60.0 - GUARD}, "alone-in-room", (5,), ()),
        ({"joined_at": 60.1 - GUARD}, "undetermined", (5,), ("alone-in-room", "no-bridge")),
        ({"left": 6, "left_at": 3.0}, "undetermined", (5,), ("alone-in-room", "no-bridge")),
        (WITH_BEN | {"focus": 6}, "no-bridge", (5, 6), ()),
        (WITH_BEN, "undetermined", (5,), ("alone-in-room", "no-bridge")),
        ({"others": {"ben": (3.0, 4.0)}, "focus": 6}, "undetermined", (5,), ("alone-in-room", "no-bridge")),
        ({"others": {"ben": (10.0, 10.0 + GUARD)}, "focus": 6}, "no-bridge", (5, 6), ()),
        ({"joined": 0}, "undetermined", (), ("alone-in-room", "no-bridge", "xmpp-auth-failed")),
        ({"joined": 0, "refused": [6]}, "xmpp-auth-failed", (6,), ()),
    ],
)  # fmt: skip
def test_who_was_let_in_and_not_invited(
    more: dict[str, Any], name: str, frames: tuple[int, ...], open_: tuple[str, ...]
) -> None:
    found = cause(person(stream(**more)))
    assert (found[0], found[2], found[3]) == (name, frames, set(open_))


def test_at_its_own_machine_nothing_runs_elsewhere() -> None:
    assert "not-observable" not in cause(person(stream(holes=True)), own=ANN)[3]
    assert "not-observable" in cause(person(stream(holes=True)), own=BEN)[3]


@pytest.mark.parametrize(
    ("offered_at", "ended", "judged"),
    [(10.0, {}, True), (60.0 - GUARD, {}, True), (60.1 - GUARD, {}, False),
     (10.0, {"ended": 40, "ended_at": 11.0, "reason": "success"}, False),
     (10.0, {"ended": 40, "ended_at": 11.0, "reason": "connectivity-error"}, True),
     (10.0, {"offered": 0}, False)],
)  # fmt: skip
def test_a_session_is_judged_when_it_had_its_time(offered_at: float, ended: dict[str, Any], judged: bool) -> None:
    one = session(OUTER, **{"offered_at": offered_at} | ended)
    found = cause(person(stream(one), legs=[leg()]))
    assert found[0] == ("checks-unanswered" if judged else "undetermined")
    assert found[3] == (set() if judged else set(CHECKS))
    peers = session(OUTER, kind="p2p", **{"offered_at": 59.0})
    assert "not-observable" in cause(person(stream(peers)))[3]


# A session with the bridge


@pytest.mark.parametrize(
    ("candidates", "more", "name"),
    [
        ((SERVER,), {}, "nat-mapping-missing"),
        ((SERVER, OUTER), {}, "undetermined"),
        ((), {}, "undetermined"),
        ((SERVER,), {"addresses": [INNER]}, "undetermined"),
        ((SERVER,), {"addresses": [INNER, ANN]}, "nat-mapping-missing"),
        ((SERVER,), {"addresses": []}, "nat-mapping-missing"),
        ((SERVER,), {"legs": [leg()]}, "checks-unanswered"),
    ],
)
def test_private_candidates_lead_nobody_outside_to_the_bridge(
    candidates: tuple[str, ...], more: dict[str, Any], name: str
) -> None:
    one = person(stream(session(*candidates)))
    for key, value in more.items():
        setattr(one, key, value)
    assert cause(one)[0] == name
    if name == "nat-mapping-missing":
        assert cause(one)[2] == (9,)


def test_who_captures_at_home_hears_answers_not_its_own_checks() -> None:
    one = person(stream(session(OUTER)), legs=[leg()])
    assert cause(one)[0] == "checks-unanswered"
    assert cause(one, own=ANN)[0] != "checks-unanswered"
    one.legs = [leg(got=[21])]
    assert cause(one, own=ANN)[:3] == ("checks-unanswered", "measured", (20,))


def service(kind: str, transport: str) -> Service:
    return Service(kind, OUTER, 3478, transport, None, None, None, None)


STUN, TURN_UDP, TURN_TCP, TURNS = (service(*one.split()) for one in ("stun udp", "turn udp", "turn tcp", "turns tcp"))


@pytest.mark.parametrize(
    ("services", "turns", "more", "name", "frames"),
    [
        ((TURNS,), [turn("permission-refused", refused=(33,))], {}, "turn-permission-refused", (33,)),
        ((TURNS,), [turn("auth-failed")], {}, "turn-auth-failed", (30, 31)),
        ((TURNS,), [turn("unreachable")], {}, "turn-unreachable", (30, 31)),
        ((TURNS,), [turn("auth-failed", start=60.1 - GUARD)], {}, "undetermined", (9,)),
        ((TURNS,), [turn("auth-failed", start=60.0 - GUARD)], {}, "turn-auth-failed", (30, 31)),
        ((TURNS,), [turn("auth-failed", holes=True)], {"lossy": True}, "undetermined", (9,)),
        ((TURNS,), [turn("auth-failed", holes=True)], {}, "turn-auth-failed", (30, 31)),
        ((TURNS,), [turn("permitted")], {}, "checks-unanswered", (30,)),
        ((TURNS,), [turn("relaying")], {}, "checks-unanswered", (30,)),
        ((TURNS,), [turn("permitted", holes=True)], {"lossy": True}, "undetermined", (9,)),
        ((TURNS,), [turn("allocated")], {}, "undetermined", (9,)),
        ((STUN, TURN_UDP), [], {}, "udp-blocked", (9,)),
        ((), [], {}, "udp-blocked", (9,)),
        (None, [], {}, "undetermined", (9,)),
        ((TURNS,), [], {}, "turn-unreachable", ()),
        ((TURN_TCP,), [], {}, "turn-unreachable", ()),
        ((TURNS,), [], {"lossy": True}, "undetermined", (9,)),
        ((TURNS,), [], {"relayed": "203.0.113.99"}, "nat-mapping-missing", (9,)),
        ((TURNS,), [], {"relayed": "2001:db8::9"}, "turn-unreachable", ()),
        ((TURNS,), [], {"relayed": OUTER}, "turn-unreachable", ()),
    ],
)  # fmt: skip
def test_what_became_of_the_relay(
    services: Any, turns: list[TurnFlow], more: dict[str, Any], name: str, frames: tuple[int, ...]
) -> None:
    one = person(stream(session(OUTER), services=services), turn=turns)
    found = packets.cause(one, call(one, **more), False, None)
    assert found.name == name
    if frames:
        assert found.frames == frames


def test_of_a_capture_with_losses_only_what_began_in_it_is_judged() -> None:
    one = person(stream(session(OUTER), services=(TURNS,)), turn=[turn("auth-failed")], begun=60.0)
    assert cause(one, lossy=True)[0] == "turn-auth-failed"
    one.begun = 60.1
    assert cause(one, lossy=True)[0] == "undetermined"
    assert cause(one)[0] == "turn-auth-failed"


# DTLS


SHAKEN = {"replied": [22], "answered": [21]}


@pytest.mark.parametrize(
    ("shape", "more", "name", "open_"),
    [
        ({}, {}, "dtls-failed", ()),
        ({}, {"lossy": True}, "undetermined", ("dtls-failed", "fingerprint-mismatch", "not-observable")),
        ({"first": 60.1 - GUARD}, {}, "undetermined", ("dtls-failed", "fingerprint-mismatch", "not-observable")),
        ({"first": 60.0 - GUARD}, {}, "dtls-failed", ()),
        ({"secured": 40}, {}, "undetermined", ("not-observable",)),
        ({"hello": [25], "other_hello": [26]}, {}, "dtls-failed", ()),
        ({"certificates": {"AA": 27}}, {}, "fingerprint-mismatch", ()),
        ({"certificates": {"BB": 27}}, {}, "dtls-failed", ()),
        ({"other_certificates": {"BB": 28}}, {}, "fingerprint-mismatch", ()),
        ({"other_certificates": {"CC": 28}}, {}, "dtls-failed", ()),
    ],
)  # fmt: skip
def test_what_became_of_the_handshake(
    shape: dict[str, Any], more: dict[str, Any], name: str, open_: tuple[str, ...]
) -> None:
    one = person(stream(session(OUTER, fingerprints={"BB"}, remote_fingerprints={"CC"})), legs=[leg(**SHAKEN | shape)])
    found = cause(one, **more)
    assert (found[0], found[3]) == (name, set(open_))
    if name == "fingerprint-mismatch":
        assert found[2] == (*shape.get("certificates", {}).values(), *shape.get("other_certificates", {}).values(), 11)


def test_nothing_announced_is_no_mismatch() -> None:
    one = person(stream(session(OUTER)), legs=[leg(**SHAKEN, certificates={"AA": 27})])
    assert cause(one)[0] == "dtls-failed"


# Peer to peer


@pytest.mark.parametrize(
    ("more", "turns", "legs", "world", "name"),
    [
        ({"ended": 40, "ended_at": 40.0, "reason": "connectivity-error"}, [], [], {}, "checks-unanswered"),
        ({"ended": 40, "ended_at": 40.0, "reason": "connectivity-error"}, [turn("auth-failed")], [], {}, "turn-auth-failed"),
        ({}, [], [leg(**SHAKEN)], {"own": ANN}, "dtls-failed"),
        ({}, [], [leg(**SHAKEN)], {}, "not-observable"),
        ({}, [turn("auth-failed")], [], {"udp_served": True}, "turn-auth-failed"),
        ({}, [turn("auth-failed")], [], {}, "not-observable"),
        ({}, [turn("auth-failed")], [], {"udp_served": True, "lossy": True}, "not-observable"),
        ({}, [turn("auth-failed", holes=True)], [], {"udp_served": True}, "not-observable"),
        ({}, [turn("permitted")], [], {"udp_served": True}, "not-observable"),
        ({}, [turn("auth-failed")], [leg(**SHAKEN)], {"udp_served": True}, "not-observable"),
    ],
)  # fmt: skip
def test_two_participants_alone(
    more: dict[str, Any], turns: list[TurnFlow], legs: list[Leg], world: dict[str, Any], name: str
) -> None:
    one = person(stream(session(ANN, kind="p2p", **more)), turn=turns, legs=legs)
    assert cause(one, **world)[0] == name
    one.udp = True
    assert (cause(one, **world)[0] == name) is not bool(world == {"udp_served": True} and name == "turn-auth-failed")


# Without signaling


def test_checks_that_nobody_answers_are_seen_without_signaling() -> None:
    one = person(legs=[leg(first=20.0)], begun=5.0)
    assert cause(one)[:3] == ("checks-unanswered", "measured", (20,))
    assert cause(person(legs=[leg(first=20.0)], begun=30.0))[0] == "undetermined"  # older than the capture
    assert cause(person(legs=[leg(first=61.0 - GUARD)], begun=5.0))[0] == "undetermined"


def test_a_handshake_without_signaling_leaves_its_reason_open() -> None:
    hello = {"hello": [25], "other_hello": [26]}
    one = person(legs=[leg(**SHAKEN | hello, first=20.0)], begun=5.0)
    assert cause(one)[3] == {"fingerprint-mismatch", "dtls-failed"}
    silent = person(legs=[leg(**SHAKEN, first=20.0)], begun=5.0)
    assert cause(silent)[:2] == ("dtls-failed", "measured")
    late = person(legs=[leg(**SHAKEN, first=20.0)], begun=30.0)
    assert cause(late)[0] == "undetermined"
    silent.turn = [turn("permitted")]
    assert cause(silent)[3] == {"dtls-failed", "not-observable"}


@pytest.mark.parametrize(
    ("turns", "others", "world", "name", "open_"),
    [
        ([turn("auth-failed")], True, {}, "turn-auth-failed", ()),
        ([turn("auth-failed", certainty="inferred")], True, {}, "turn-auth-failed", ()),
        ([turn("auth-failed")], False, {}, "undetermined", ("turn-auth-failed", "nat-mapping-missing")),
        ([turn("auth-failed", start=61.0 - GUARD)], True, {}, "undetermined",
         ("checks-unanswered", "udp-blocked", "dtls-failed", "nat-mapping-missing")),
        ([turn("auth-failed", holes=True)], True, {}, "undetermined",
         ("checks-unanswered", "udp-blocked", "dtls-failed", "nat-mapping-missing")),
        ([turn("auth-failed", kind="p2p"), turn("allocated", kind="")], True, {}, "undetermined",
         ("checks-unanswered", "udp-blocked", "dtls-failed", "nat-mapping-missing")),
        ([turn("permitted")], True, {}, "undetermined",
         ("checks-unanswered", "udp-blocked", "dtls-failed", "nat-mapping-missing")),
    ],
)  # fmt: skip
def test_turn_that_failed_without_signaling(
    turns: list[TurnFlow], others: bool, world: dict[str, Any], name: str, open_: tuple[str, ...]
) -> None:
    one = person(turn=turns, flows={7: "turn"}, begun=5.0)
    found = cause(one, others, **world)
    assert (found[0], found[3]) == (name, set(open_))
    if name == "turn-auth-failed":
        assert found[1] == ("inferred" if turns[0].certainty == "inferred" else "deduced")


@pytest.mark.parametrize(
    ("burst", "others", "more", "name", "open_"),
    [
        (50, True, {}, "udp-blocked", ()),
        (50, False, {}, "undetermined", ("udp-blocked", "turn-unreachable", "nat-mapping-missing")),
        (None, True, {}, "undetermined", ("not-observable",)),
        (0, True, {}, "undetermined", ("alone-in-room", "no-bridge", "no-focus", "signaling-refused", "xmpp-auth-failed")),
        (0, True, {"flows": {3: "web"}}, "undetermined", ("signaling-refused", "xmpp-auth-failed")),
        (50, True, {"addresses": [INNER]}, "undetermined", ("hairpin-nat", "udp-blocked")),
        (50, True, {"begun": 60.0}, "udp-blocked", ()),
        (50, True, {"begun": 61.0}, "undetermined",
         ("udp-blocked", "nat-mapping-missing", "checks-unanswered", "not-observable")),
    ],
)  # fmt: skip
def test_nothing_but_encrypted_signaling(
    burst: int | None, others: bool, more: dict[str, Any], name: str, open_: tuple[str, ...]
) -> None:
    one = person(flows={3: "websocket"}, begun=5.0)
    for key, value in more.items():
        setattr(one, key, value)
    found = cause(one, others, burst)
    assert (found[0], found[3]) == (name, set(open_))
    if burst and name == "udp-blocked":
        assert found[2] == (50,)
        assert cause(one, others, burst, lossy=True)[0] == "undetermined"


@pytest.mark.parametrize(
    ("rates", "usual", "judged"),
    [((999.0, 5000.0), None, True), ((1000.0, 1000.0), None, False), ((1100.0, 1300.0), (600.0, 600.0), True),
     ((1200.0, 1200.0), (600.0, 600.0), False), ((1300.0, 1100.0), (600.0, 600.0), True)],
)  # fmt: skip
def test_a_connection_older_than_the_capture_may_be_signaling(
    rates: tuple[float, float], usual: tuple[float, float] | None, judged: bool
) -> None:
    one = person(turn=[turn("auth-failed")], older={3: rates}, flows={3: "websocket"}, begun=61.0)
    other = Person("ben", [BEN], legs=[leg(rtp_out=lasting(1.0, 50.0))], older={4: usual or (0.0, 0.0)})
    found = packets.cause(one, call(one, *([other] if usual else [])), True, None)
    assert found.name == ("turn-auth-failed" if judged else "undetermined")


# The ways of media


def lasting(first: float, last: float, frame: int = 70) -> Media:
    return Media(100, first, last, frame)


def ways(who: Person, **more: Any) -> list[tuple[str, float, float]]:
    return [(one.name, one.start, one.end) for one in paths.paths(who, call(who, **more))]


@pytest.mark.parametrize(
    ("via", "kind", "name"),
    [("udp", "jvb", "jvb-udp"), ("udp", "p2p", "p2p"), ("turn-tls", "jvb", "turn-tls"), ("relay", "p2p", "turn-tls")],
)
def test_a_leg_that_carries_media_is_a_way(via: str, kind: str, name: str) -> None:
    one = person(legs=[leg(via, rtp_out=lasting(12.0, 30.0))])
    one.legs[0].kind = kind
    assert ways(one) == [(name, 12.0, 30.0)]
    one.legs[0].rtp_out = lasting(12.0, 12.1)
    assert ways(one) == []


def test_who_only_listens_has_media_when_the_keys_are_there() -> None:
    listening = person(legs=[leg(rtp_in=lasting(12.0, 30.0), secured=40)])
    assert ways(listening) == [("jvb-udp", 12.0, 30.0)]
    listening.legs[0].secured = 0
    assert ways(listening) == []
    both = person(legs=[leg(rtp_in=lasting(12.0, 30.0), secured=40), leg("turn-tls", rtp_out=lasting(12.0, 31.0))])
    assert ways(both) == [("turn-tls", 12.0, 31.0)]


def test_media_to_an_empty_room_are_none_of_a_call() -> None:
    one = person(stream(others={"ben": (40.0, 50.0)}), legs=[leg(rtp_out=lasting(12.0, 30.0))])
    assert ways(one) == []
    one.xmpp_streams[0].others = {"ben": (30.0, 50.0)}
    assert ways(one) == []
    one.xmpp_streams[0].others["cem"] = (20.0, 50.0)
    assert ways(one) == [("jvb-udp", 12.0, 30.0)]


def relayed(size: int, last: float = 30.0, ways: tuple[bool, ...] = (True, False)) -> Relayed:
    rows = [(at / 10, out) for at in range(130, int(last * 10), 5) for out in ways]
    return Relayed(*(np.array(column) for column in zip(*rows, strict=True)), np.full(len(rows), size))


def test_a_kilobyte_a_second_both_ways_inside_turn_is_media() -> None:
    one = person(turn=[turn("relaying", relayed=relayed(1000))])
    [(name, start, end)] = ways(one)
    assert (name, start) == ("turn-tls", 13.0)
    assert 29 < end < 30
    assert ways(person(turn=[turn("relaying", relayed=relayed(100))])) == []
    assert ways(person(turn=[turn("relaying", relayed=relayed(1000, ways=(True,)))])) == []
    assert ways(person(turn=[turn("relaying", relayed=relayed(1000, last=13.2))])) == []
    assert ways(person(turn=[turn("relaying")])) == []
    beside = person(turn=[turn("relaying", relayed=relayed(1000))], legs=[leg(rtp_out=lasting(12.0, 29.9))])
    assert [name for name, _, _ in ways(beside)] == ["jvb-udp"]


def test_a_session_of_two_past_the_capture_is_a_way() -> None:
    bridge, peers = session(OUTER), session(ANN, kind="p2p", offered_at=12.0)
    ready = {"legs": [leg(**SHAKEN)]}
    assert ways(person(stream(bridge, peers), **ready)) == [("p2p", 12.0, 60.0)]
    ended = session(ANN, kind="p2p", offered_at=12.0, ended=80, ended_at=50.0)
    assert ways(person(stream(bridge, ended), **ready)) == [("p2p", 12.0, 50.0)]
    assert ways(person(stream(bridge, ended))) == []  # the bridge was not ready either
    assert ways(person(stream(ended), **ready)) == []
    said = session(ANN, kind="p2p", offered_at=12.0, ended=80, ended_at=50.0, reason="decline: P2P session closed")
    assert ways(person(stream(said))) == [("p2p", 12.0, 50.0)]
    short = session(ANN, kind="p2p", offered_at=12.0, ended=80, ended_at=12.5)
    assert ways(person(stream(bridge, short), **ready)) == []
    refused = session(ANN, kind="p2p", offered_at=12.0, accepted=0)
    assert ways(person(stream(bridge, refused), **ready)) == []
    busy = person(stream(bridge, peers), legs=[leg(**SHAKEN, rtp_out=lasting(12.0, 60.0))])
    assert ways(busy) == [("jvb-udp", 12.0, 60.0)]


@pytest.mark.parametrize(
    ("who", "stage", "frames"),
    [
        (person(legs=[leg(hello=[25], other_hello=[26])]), "dtls", (25, 26)),
        (person(legs=[leg(secured=40)]), "dtls", ()),
        (person(legs=[leg(nominated=24, replied=[22])]), "nominated", (24,)),
        (person(legs=[leg(nominated=24)]), "checks", (20,)),
        (person(legs=[leg(sent=[], got=[23])]), "checks", (23,)),
        (person(turn=[turn("relaying", sent=3)]), "checks", ()),
        (person(stream(session(OUTER))), "jingle", (9,)),
        (person(stream(session(OUTER, offered=0))), "jingle", (11,)),
        (person(stream()), "conference", (5,)),
        (person(stream(joined=0, ready=6)), "conference", (6,)),
        (person(stream(joined=0)), "xmpp", (1,)),
        (person(stream(joined=0, opened=0)), "xmpp", (2,)),
        (person(), "tls", ()),
    ],
)  # fmt: skip
def test_how_far_it_came(who: Person, stage: str, frames: tuple[int, ...]) -> None:
    assert paths.stage(who, []) == (stage, frames)
    way = paths.Path("p2p", 1.0, 2.0, (5,))
    assert paths.stage(who, [way]) == ("media", (5,))


@pytest.mark.parametrize(
    ("turns", "services", "stage"),
    [
        ([turn("allocated"), turn("auth-failed")], None, "allocated"),
        ([turn("allocated", refused=(33,))], None, "permission-refused"),
        ([turn("permitted"), turn("allocated", refused=(33,))], None, "permitted"),
        ([], (STUN,), "not-offered"),
        ([], (TURNS,), "not-tried"),
        ([], None, "not-tried"),
    ],
)
def test_how_far_turn_came(turns: list[TurnFlow], services: Any, stage: str) -> None:
    one = person(stream(session(OUTER), services=services), turn=turns)
    assert paths.turn_stage(one) == stage
    if stage == "not-offered":
        assert paths.turn_stage(person(stream(services=services))) == "not-tried"


def test_turn_of_a_session_is_what_was_opened_from_its_offer_on() -> None:
    early, late = turn("allocated", start=8.0), turn("auth-failed", start=9.0)
    one = person(stream(session(OUTER)), turn=[early, late])
    assert paths.turn_of(one, one.sessions[0]) == [late]
    assert paths.turn_of(one, None) == [early, late]
    assert paths.turn_of(one, session(OUTER, offered_at=float("nan"))) == [early, late]
    assert paths.turn_of(one, session(OUTER, offered_at=30.0)) == [early, late]
