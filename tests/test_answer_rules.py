"""How an answer is put together of what several pieces of evidence say: made participants and statements."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from made_answers import ANN, SECOND, line, stated, well, without

from jitsilab.case.cast import Cast, Person
from jitsilab.case.clocks import Clock, Interval
from jitsilab.case.legs import Leg, Media
from jitsilab.case.recognition import Recognition
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.inputs.packets import PacketTables
from jitsilab.judge import diagnosis
from jitsilab.judge.causes.statement import Case, Statement
from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.judge.checks import GUARD
from jitsilab.judge.diagnosis import Diagnosed, calls, lines
from jitsilab.judge.diagnosis.packets import Seen
from jitsilab.place import Place

BEN, SERVER = "198.51.100.140", "172.31.37.118"


# ---- statements


def test_of_a_cause_that_several_state_the_surest_is_kept_with_everybody_s_places() -> None:
    some = [
        stated("no-bridge", None, certainty="measured", evidence=(line(9),)),
        stated("no-bridge", "login-refused", ("a", "b"), certainty="inferred", evidence=(line(1), line(2))),
        stated("no-bridge", "login-refused", ("b", "c"), certainty="deduced", evidence=(line(2), line(3))),
        stated("no-focus"),
    ]
    focus, bridge = diagnosis._kept(some)  # in the order of a session; the one without a reason tells nothing more
    assert focus.name == "no-focus"
    assert (bridge.certainty, bridge.participants) == ("deduced", ("a", "b", "c"))
    assert bridge.evidence == (line(2), line(3), line(1))
    alone = diagnosis._kept([some[1], replace(some[2], participants=None)])
    assert alone[0].participants is None  # it is the server's, whoever else was named
    equal = diagnosis._kept([replace(some[1], detail="first"), replace(some[2], detail="second", certainty="inferred")])
    assert equal[0].detail == "first"


def test_two_reasons_stand_side_by_side_the_surer_first() -> None:
    one = stated("no-bridge", "login-refused", certainty="inferred")
    other = stated("no-bridge", "not-answering", certainty="measured")
    assert [each.reason for each in diagnosis._kept([one, other])] == ["not-answering", "login-refused"]


# ---- participants of several captures


def joined(*captures: list[Diagnosed]) -> list[Diagnosed]:
    return diagnosis._joined([SimpleNamespace(people=people) for people in captures])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"endpoints": ["e1"]}, {"endpoints": ["e1", "e2"]}, True),
        ({"endpoints": ["e1"], "nick": "ann"}, {"endpoints": ["e2"], "nick": "ann"}, True),  # she came in again
        ({"endpoints": ["e1"], "addresses": [ANN]}, {"endpoints": ["e2"], "addresses": [ANN]}, False),
        ({"nick": "ann", "addresses": [ANN]}, {"nick": "ben", "addresses": [ANN]}, False),
        ({"nick": "ann", "endpoints": ["e1"]}, {"nick": "ann"}, True),
        ({"nick": "ann", "addresses": [ANN]}, {"addresses": [ANN, BEN]}, True),
        ({"nick": "ann", "addresses": [ANN]}, {"addresses": [BEN]}, False),
        ({"endpoints": ["e1"]}, {}, False),
    ],
)
def test_who_is_who_in_two_captures(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    found = joined([well("1", **one)], [well("2", **other)])
    assert len(found) == (1 if same else 2)


def test_within_one_capture_nobody_is_somebody_else() -> None:
    twins = [well("1", addresses=[ANN]), well("2", addresses=[ANN])]
    assert len(joined(twins)) == 2
    assert len(joined([well("3", addresses=[ANN])], twins)) == 2  # one of them is the one of before


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (without(), well(), "jvb-udp"),
        (without(cause="dtls-failed", certainty="measured"), well(certainty="deduced"), "none"),
        (without(cause="dtls-failed", certainty="inferred"), well(certainty="deduced"), "jvb-udp"),
        (without(cause="undetermined", certainty="measured"), well(certainty="inferred"), "jvb-udp"),
        (without(cause=None, path="not-observable", certainty="measured"), well(certainty="inferred"), "jvb-udp"),
        (well(path="turn-tls"), well(), "turn-tls"),  # as sure as the other: the first
    ],
)
def test_the_view_that_decides_is_taken(one: Diagnosed, other: Diagnosed, path: str) -> None:
    (found,) = joined([one], [other])
    assert found.media_path == path
    (found,) = joined([other], [one]) if one.certainty != other.certainty else (found,)
    assert found.media_path == path


def test_of_two_views_names_and_conditions_are_added() -> None:
    lossy = stated("lossy", detail="much")
    first = well(ANN, addresses=[ANN, "10.0.0.7"], conditions=[lossy], ssrcs=[1])
    second = without(BEN, nick="ann", addresses=[ANN, BEN], endpoints=["e1"], jids=["j"], ssrcs=[2],
                     conditions=[stated("lossy", detail="little"), stated("sends-nothing")])  # fmt: skip
    (found,) = joined([second], [first])
    assert (found.id, found.nick, found.media_path) == ("ann", "ann", "jvb-udp")
    assert (found.addresses, found.endpoints, found.jids) == ([ANN, "10.0.0.7", BEN], ["e1"], ["j"])
    assert found.ssrcs == [1]
    assert [(one.name, one.detail) for one in found.conditions] == [("lossy", "much"), ("sends-nothing", "")]
    (other,) = joined([replace(first, nick="anna", ssrcs=[])], [replace(second, nick="", endpoints=[])])
    assert (other.id, other.nick, other.ssrcs) == ("anna", "anna", [2])


# ---- what else is known of a participant without media


def decided(one: Diagnosed, *statements: Statement, alone: bool = False) -> Diagnosed:
    return diagnosis._decided(one, [*statements], alone)


def test_a_statement_decides_what_stayed_open_where_it_fits() -> None:
    left = without(open_causes=["udp-blocked", "dtls-failed"], certainty="inferred", evidence=[line(5, "c.pcap")])
    told = decided(left, stated("udp-blocked", None, None, certainty="inferred", evidence=(line(1),), detail="why"))
    assert (told.cause, told.certainty, told.open_causes, told.note) == ("udp-blocked", "inferred", [], "why")
    assert told.evidence == [line(1), line(5, "c.pcap")]
    assert decided(left, stated("no-focus", certainty="inferred")).cause == "undetermined"  # it was ruled out
    assert decided(left, stated("no-focus", certainty="deduced")).cause == "no-focus"
    assert decided(left, stated("no-focus", None, ("ann",), certainty="inferred")).cause == "no-focus"
    assert decided(left, stated("udp-blocked", None, ("ben",))).cause == "undetermined"
    assert decided(replace(left, open_causes=[]), stated("no-focus", certainty="inferred")).cause == "no-focus"
    both = decided(left, stated("no-focus", certainty="inferred"), stated("dtls-failed"))
    assert both.cause == "dtls-failed"
    assert decided(well(), stated("no-focus")).cause is None


def test_whose_media_are_not_to_be_seen_is_told_by_what_names_him() -> None:
    unseen = without(cause=None, path="not-observable")
    server = stated("no-bridge")
    assert decided(unseen, server).cause is None  # others may be those without
    assert (decided(unseen, server, alone=True).cause, decided(unseen, server, alone=True).media_path) == (
        "no-bridge", "not-observable",
    )  # fmt: skip
    named = decided(unseen, stated("no-bridge", None, ("ann",)))
    assert (named.cause, named.media_path) == ("no-bridge", "none")
    assert decided(replace(unseen, cause="not-observable"), server).cause == "no-bridge"


def test_a_cause_that_is_known_takes_a_reason_and_places() -> None:
    one = without(cause="no-bridge", evidence=[line(5)], note="seen")
    told = decided(one, stated("no-bridge", "login-refused", evidence=(line(1), line(5)), detail="said"))
    assert (told.reason, told.evidence, told.note) == ("login-refused", [line(5), line(1)], "seen; said")
    kept = decided(replace(one, reason="not-answering"), stated("no-bridge", "login-refused"))
    assert (kept.reason, kept.note) == ("not-answering", "seen")
    assert decided(one, stated("no-bridge")).reason is None


@pytest.mark.parametrize(
    ("cause", "certainty", "other", "sure", "found"),
    [
        ("udp-blocked", "inferred", "nat-mapping-wrong", "deduced", "nat-mapping-wrong"),
        ("udp-blocked", "inferred", "nat-mapping-wrong", "measured", "nat-mapping-wrong"),
        ("udp-blocked", "inferred", "nat-mapping-wrong", "inferred", "udp-blocked"),
        ("udp-blocked", "deduced", "nat-mapping-wrong", "measured", "udp-blocked"),
        ("udp-blocked", "inferred", "no-focus", "measured", "udp-blocked"),
        ("dtls-failed", "inferred", "nat-mapping-wrong", "measured", "dtls-failed"),
    ],
)
def test_causes_that_packets_do_not_tell_apart_give_way(
    cause: str, certainty: str, other: str, sure: str, found: str
) -> None:
    assert decided(without(cause=cause, certainty=certainty), stated(other, certainty=sure)).cause == found


def test_a_reason_of_the_server_holds_for_all() -> None:
    def reasons(*people: Diagnosed) -> list[str | None]:
        return [one.reason for one in diagnosis._explained([*people])]

    known, open_ = without("a", "no-bridge", reason="login-refused"), without("b", "no-bridge")
    assert reasons(known, open_) == ["login-refused", "login-refused"]
    assert reasons(known, open_, without("c", "no-bridge", reason="not-answering"))[1] is None
    assert reasons(without("a", "no-focus", reason="not-running"), without("b", "no-focus"))[1] == "not-running"
    assert reasons(known, without("b", "no-focus")) == ["login-refused", None]
    own = without("a", "xmpp-auth-failed", reason="token-expired"), without("b", "xmpp-auth-failed")
    assert reasons(*own) == ["token-expired", None]  # the token of one is not that of another
    assert reasons(open_) == [None]


def named(people: list[Diagnosed], *statements: Statement) -> list[tuple[str, str | None, tuple[str, ...] | None]]:
    return [(one.name, one.reason, one.participants) for one in diagnosis._causes(people, [*statements])]


def test_the_causes_of_a_case() -> None:
    ann, ben = without("ann", "dtls-failed"), without("ben", "dtls-failed")
    assert named([ann, ben, well("cem")]) == [("dtls-failed", None, ("ann", "ben"))]
    assert named([ann, without("ben"), without("cem", "no-bridge")]) == [
        ("no-bridge", None, ("cem",)), ("dtls-failed", None, ("ann",)),
    ]  # fmt: skip
    assert named([], stated("no-focus")) == [("no-focus", None, None)]
    assert named([well()], stated("no-focus")) == []  # it healed
    assert named([well("ann"), without("ben")], stated("no-focus")) == [("no-focus", None, None)]
    known = [("dtls-failed", None, ("ann",))]
    assert named([ann], stated("no-focus")) == known
    assert named([ann], stated("no-focus", None, ("ann",))) == known  # it was weighed for her
    assert named([ann], stated("no-focus", None, ("dora",))) == [
        ("no-focus", None, ("dora",)), ("dtls-failed", None, ("ann",)),
    ]  # fmt: skip
    assert named([ann], stated("dtls-failed", None, ("dora",))) == known


def test_conditions_are_joined_by_status() -> None:
    people = [well("ann", endpoints=["e1"]), well("ben", endpoints=["e2"])]

    def found(*statements: Statement) -> list[tuple[str, int | None, tuple[str, ...] | None]]:
        return [(one.name, one.status, one.participants) for one in diagnosis._conditions(people, [], [*statements])]

    refused = "bridge-channel-refused"
    bare, coded = stated(refused, None, ("e1",)), stated(refused, None, ("e2",), status=403)
    assert found(bare, coded) == [(refused, 403, ("ann", "ben"))]
    assert found(coded, bare) == [(refused, 403, ("ben", "ann"))]
    assert found(coded, stated(refused, None, ("e1",), status=504)) == [
        (refused, 403, ("ben",)), (refused, 504, ("ann",)),
    ]  # fmt: skip
    assert found(stated("overloaded"), stated("lossy", None, ("stranger",)), coded) == [
        (refused, 403, ("ben",)), ("lossy", None, ("stranger",)), ("overloaded", None, None),
    ]  # fmt: skip


# ---- what stays open, and the server


def questions(people: list[Diagnosed], *causes: Statement, packets: bool = True, events: bool = False,
              kinds: tuple[str, ...] = ()) -> list[dict[str, str]]:  # fmt: skip
    pieces = [SimpleNamespace(kind=kind, input=f"the {kind}") for kind in kinds]
    call = SimpleNamespace(packets=[1] if packets else [], evidence=SimpleNamespace(pieces=pieces))
    return diagnosis._open(people, [*causes], call, events)


def test_what_would_decide_is_asked_of_those_of_whom_it_is_open() -> None:
    unseen = [without(name, None, "not-observable") for name in "abcdef"]
    (one,) = questions(unseen[:1])
    assert one["question"] == "whether a has media"
    assert one["decided_by"].startswith("the participant's own browser")
    (one,) = questions(unseen[:5], packets=False)
    assert one["question"] == "whether a, b, c, d and e have media"
    assert one["command"] == "jitsilab deploy capture"
    assert questions(unseen)[0]["question"] == "whether a, b, c, d and 2 others have media"
    (one,) = questions([without("ann", open_causes=["udp-blocked"]), without("ben", "dtls-failed")])
    assert one["question"] == "why ann has no media"
    assert questions([well()]) == []


def test_a_cause_without_its_reason_is_asked_for_it() -> None:
    assert questions([], stated("no-bridge"))[0]["question"].startswith("why ")
    assert questions([], stated("no-bridge", "login-refused")) == []
    assert questions([], stated("signaling-refused"))[0]["command"]


def test_of_nothing_everything_is_asked() -> None:
    assert [one["decided_by"] for one in questions([])] == ["a log of the bridge or the focus, a browser's console, "
                                                            "or a capture"]  # fmt: skip
    assert [one["decided_by"] for one in questions([], events=True)] == ["a capture on the server's any device"]
    assert questions([], kinds=("log", "configuration"))[1]["command"] == "jitsilab audit 'the configuration'"


def test_the_server_is_told_of_the_capture_that_shows_the_call() -> None:
    def seen(jitsi: str, could: str = "") -> Any:
        cast = Cast([], [SERVER], "", jitsi, True, "", 9.0, recognition=Recognition(could_be=could))
        return SimpleNamespace(cast=cast)

    other = {"addresses": [SERVER], "public_address": None, "evidence": None, "could_be": "WebRTC"}
    assert diagnosis._server([seen("", "WebRTC")]) == other
    assert diagnosis._server([seen("", "WebRTC"), seen("a bridge")])["evidence"] == "a bridge"
    assert diagnosis._server([])["addresses"] == []


def clock(offset: float | None, applied: float) -> Clock:
    return Clock("c.pcap", "packets", offset, Interval(0.0, 0.0), "measured", applied)


@pytest.mark.parametrize(
    ("begin", "offset", "found"),
    [(100.0, 0.0, [102, 109]), (100.0, None, [102, 109]), (None, 50.0, [52, 59]), (None, None, [])],
)
def test_packets_show_people_come_and_go(begin: float | None, offset: float | None, found: list[int]) -> None:
    time = pd.Timestamp(begin, unit="s", tz="UTC") if begin is not None else pd.NaT
    source = PacketTables("c.pcap", tables={"stun": pd.DataFrame({"time": [time], "seconds": [0.0]})})
    stream = XmppStream(0, room="r@muc.lab", endpoint="e1", joined=4, joined_at=2.0)
    gone = XmppStream(0, room="r@muc.lab", endpoint="", joined=4, joined_at=2.0)
    cast = Cast([Person(xmpp_streams=[stream, gone])], [SERVER], "", "a bridge", True, "", 9.0)
    seen: Any = SimpleNamespace(input="c.pcap", source=source, cast=cast)
    told = list(diagnosis._stays([seen], {("c.pcap", "packets"): clock(offset, offset or 0.0)}))
    assert [at // SECOND for at, *_ in told] == found
    assert [tuple(rest) for _, *rest in told] == [
        ("r", "e1", "participant-joined"), ("r", "e1", "participant-left"),
    ][: len(found)]  # fmt: skip


# ---- one capture


def looked(*people: Person, tables: dict[str, pd.DataFrame] | None = None, public: str = "203.0.113.10",
           **call: Any) -> Seen:  # fmt: skip
    cast = Cast([*people], [SERVER], public, "a bridge", True, "", 60.0, **call)
    return Seen(PacketTables("c.pcap", tables=tables or {}), cast)


def in_clear(*sessions: Session, **more: Any) -> XmppStream:
    same = {"opened": 1, "bound": 2, "joined": 3, "joined_at": 1.0, "endpoint": "e1", "others": {"e2": (1.0, 60.0)}}
    return XmppStream(0, sessions={one.sid: one for one in sessions}, **same | more)


def reached(**more: Any) -> Leg:
    return Leg(1, "udp", ANN, SERVER, 4000, kind="jvb", ufrags={("aaaa", "bbbb")}, sent=[11], answered=[12], first=10.0,
               last=50.0, **more)  # fmt: skip


INVITED = Session("s", "jvb", offered=5, offered_at=9.0, accepted=6, own={"aaaa"}, remote={"bbbb"},
                  candidates=[("203.0.113.10", "host")])  # fmt: skip


def test_somebody_with_media_and_somebody_without() -> None:
    leg = reached(replied=[13], secured=14, rtp_out=Media(500, 12.0, 50.0, 15), rtp_in=Media(500, 12.0, 50.0, 16))
    invited, waiting = in_clear(INVITED), in_clear(bridge_missing=[7], bridge_missing_at=2.0)
    ann, ben = looked(
        Person(addresses=[ANN], xmpp_streams=[invited], legs=[leg]), Person(addresses=[BEN], xmpp_streams=[waiting])
    ).people
    assert (ann.media_path, ann.frames, ann.cause) == ("jvb-udp", [15], None)
    assert ann.evidence == [Place("c.pcap", 15)]
    assert (ben.media_path, ben.cause, ben.frames) == ("none", "no-bridge", [7])


def test_whose_bridge_was_lost_has_no_media_any_more() -> None:
    leg = reached(replied=[13], secured=14, answered_last=20.0, rtp_out=Media(500, 12.0, 50.0, 15))
    session = replace(INVITED, ended=30, ended_at=58.0, reason="success moving")
    stream = in_clear(session, bridge_counts=[(4, 11.0, 1)])
    (ann,) = looked(Person(addresses=[ANN], xmpp_streams=[stream], legs=[leg])).people
    assert (ann.media_path, ann.cause) == ("none", "bridge-lost")
    assert ann.media_paths  # what there was is told


def test_what_may_run_past_the_capture_is_not_said_to_be_missing() -> None:
    peers = Session("p", "p2p", offered=5, offered_at=9.0, accepted=6, own={"aaaa"}, remote={"bbbb"})
    ann, ben, cem = looked(
        Person(addresses=[ANN], xmpp_streams=[in_clear(peers)]),
        Person(addresses=[BEN], xmpp_streams=[in_clear(replace(peers, offered_at=58.0))]),
        Person(addresses=["192.0.2.30"], xmpp_streams=[in_clear(replace(peers, kind="jvb", offered_at=58.0))]),
    ).people
    assert (ann.cause, ann.media_path) == ("not-observable", "not-observable")
    assert (ben.cause, ben.media_path) == ("undetermined", "not-observable")  # too short to tell, and past us too
    assert (cem.cause, cem.media_path) == ("undetermined", "none")


def one_way() -> Person:
    """The bridge is asked and answers; of what it asks itself nothing is answered."""
    return Person(addresses=[ANN], xmpp_streams=[in_clear(INVITED)], legs=[reached(got=[14])])


def test_what_the_bridge_sends_may_be_blocked_where_checks_are_the_fault() -> None:
    (ann,) = looked(one_way()).people
    assert (ann.cause, ann.reason) == ("udp-blocked", "outbound")
    strange = one_way()
    strange.legs[0].certificates, strange.legs[0].rtp_out = {"CC": 40}, Media()
    strange.legs[0].hello = [39]
    strange.xmpp_streams[0].sessions["s"] = replace(INVITED, fingerprints={"AA"})
    (ann,) = looked(strange).people
    assert (ann.cause, ann.reason) == ("fingerprint-mismatch", None)  # whoever shakes hands was answered
    peer = one_way()
    peer.xmpp_streams[0].sessions["s"] = replace(INVITED, offered=0)
    (ann,) = looked(peer).people
    assert ann.cause == "udp-blocked"  # it is one of what the evidence leaves open
    refused = one_way()
    refused.xmpp_streams[0].bound = 0
    refused.xmpp_streams[0].refused, refused.xmpp_streams[0].tried = [8], 7
    refused.xmpp_streams[0].sessions.clear()
    (ann,) = looked(refused).people
    assert ann.cause == "xmpp-auth-failed"  # blocked or not, that comes first


@pytest.mark.parametrize(("at", "cause"), [(60.0 - GUARD, "udp-blocked"), (60.1 - GUARD, "undetermined")])
def test_a_burst_of_the_last_seconds_tells_of_no_blocked_udp(at: float, cause: str) -> None:
    tls = pd.DataFrame([(1.0, False, 1), (at, True, 9000)], columns=["seconds", "up", "length"])
    table = tls.assign(flow=7, record_type="application_data", frame=[1, 2], handshake=None, sni=None, alpn=None)
    leg = reached(replied=[13], secured=14, rtp_out=Media(500, 12.0, 50.0, 15))
    ben = Person(addresses=[BEN], flows={8: "websocket"}, legs=[leg], begun=0.5, udp=True)
    ann = Person(addresses=[ANN], flows={7: "websocket"}, begun=0.5)
    people = looked(ann, ben, tables={"tls": table}, udp_served=True).people
    assert people[0].cause == cause
    if cause == "udp-blocked":
        assert people[0].frames == [2]


def test_a_gateway_may_put_in_its_address_for_whoever_seems_blocked() -> None:
    tls = pd.DataFrame([(1.0, False, 1), (9.0, True, 9000)], columns=["seconds", "up", "length"])
    table = tls.assign(flow=7, record_type="application_data", frame=[1, 2], handshake=None, sni=None, alpn=None)

    def found(address: str, **more: Any) -> str | None:
        leg = replace(reached(replied=[13], secured=14, rtp_out=Media(500, 12.0, 50.0, 15)), address=address)
        other = Person(addresses=[address], legs=[leg], udp=True, **more)
        ann = Person(addresses=[ANN], flows={7: "websocket"}, begun=0.5)
        return looked(ann, other, tables={"tls": table}, udp_served=True).people[0].cause

    assert found("172.31.32.1") == "undetermined"
    assert found(BEN) == "udp-blocked"  # an outer address is somebody's own
    assert found("172.31.32.1", flows={8: "web"}) == "udp-blocked"  # it opened a page itself


@pytest.mark.parametrize(("public", "cause"), [("203.0.113.10", "udp-blocked"), ("", "undetermined")])
def test_where_nobody_s_udp_comes_the_bridge_s_address_may_be_the_wrong_one(public: str, cause: str) -> None:
    ann = Person(addresses=[ANN], xmpp_streams=[in_clear(INVITED, services=(), services_frame=4)])
    (one,) = looked(ann, public=public).people
    assert one.cause == cause
    assert one.open_causes == ([] if public else ["udp-blocked", "nat-mapping-wrong"])


def test_what_holds_of_the_server_is_said_of_nobody_in_particular() -> None:
    gateway = "172.31.32.1"
    flows = pd.DataFrame({"transport": ["tcp", "tcp"], "client": [ANN, BEN], "flow": [8, 9]})
    flows = flows.assign(first_seconds=1.0, last_seconds=50.0, server=SERVER, server_port=443, handshake=True)
    flows = flows.assign(packets_up=9, packets_down=9)
    people = [Person(addresses=[address, gateway], legs=[
        Leg(number, "udp", gateway, SERVER, 4000 + number, kind="jvb", sent=[number + 1])
    ]) for number, address in enumerate((ANN, BEN))]  # fmt: skip
    seen = looked(*people, tables={"flows": flows})
    assert [(one.name, one.participants) for one in seen.conditions] == [("source-rewritten", None)]
    assert [[one.name for one in each.conditions] for each in seen.people] == [["source-rewritten"]] * 2
    assert looked(people[0], tables={"flows": flows.head(1)}).conditions == []  # one alone is no everybody


# ---- lines


def event(name: str, who: str = "e1", program: str = "jvb", at: float | None = 1.0, **more: Any) -> Event:
    made = {"conference": "", "room": "", "value": "", "status": None, "detail": "", "by": "", "line": None,
            "frame": None, "pointer": None, "input": f"{program}.log"}  # fmt: skip
    time = None if at is None else int(at * SECOND)
    return Event(**{"time": time, "event": name, "program": program, "participant": who, **made, **more})


def trail(*events: Event) -> Trail:
    return Trail(one._replace(order=number) for number, one in enumerate(events))


@pytest.mark.parametrize(
    ("nominated", "path"),
    [
        ("local host, remote host", "jvb-udp"), ("p2p host", "p2p"), ("relay/tls", "turn-tls"),
        ("relay over TCP", "turn-tcp"), ("Relay udp", "turn-udp"), ("udp relay", "not-observable"),
        (None, "not-observable"),
    ],
)  # fmt: skip
def test_the_path_of_media_that_lines_tell(nominated: str | None, path: str) -> None:
    some = [event("media-sent")] + ([event("pair-nominated", detail=nominated)] if nominated is not None else [])
    (one,) = lines.participants(trail(*some))
    assert (one.media_path, one.stage) == (path, "media")
    assert one.certainty == ("inferred" if path == "not-observable" else "measured")


def test_media_that_stopped_or_whose_way_was_lost_are_not_taken_for_flowing() -> None:
    flowing = [event("media-sent"), event("pair-nominated", detail="host")]

    def path(*more: Event) -> str:
        (one,) = lines.participants(trail(*flowing, *more))
        return one.media_path

    assert path(event("media-stopped")) == "not-observable"
    assert path(event("ice-connected", at=2.0), event("ice-failed", at=3.0)) == "not-observable"
    assert path(event("ice-failed", at=2.0), event("ice-connected", at=3.0)) == "jvb-udp"
    assert path(event("ice-connected", at=2.0), event("ice-failed", at=3.0, detail="p2p gone")) == "jvb-udp"
    assert path(event("ice-connected", at=2.0), event("ice-disconnected", at=2.0)) == "not-observable"
    assert path(event("ice-disconnected", at=2.0), event("ice-connected", at=2.0)) == "jvb-udp"


def test_who_is_named_by_lines() -> None:
    some = [event("ice-failed", at=5.0), event("participant-joined", at=2.0), event("participant-joined", "jvb"),
            event("participant-joined", "r@muc.lab/x"), event("channel-opened", "e2", at=None)]  # fmt: skip
    one, other = lines.participants(trail(*some))
    assert (one.id, one.media_path, one.cause, one.stage) == ("e1", "none", "undetermined", "checks")
    assert (one.first_time, one.last_time) == (2 * SECOND, 5 * SECOND)
    assert one.evidence == [Place("jvb.log")]
    assert (other.id, other.media_path, other.cause, other.first_time) == ("e2", "not-observable", None, None)


@pytest.mark.parametrize(
    ("events", "endpoints"),
    [
        ([event("participant-joined", "e1", value="ann")], ["e1"]),
        ([event("participant-joined", "e1", value="ben")], []),
        ([event("participant-joined", "e1", value="ann"), event("participant-joined", "e2", value="ann")], []),
        ([event("candidate-gathered", "e1", value=ANN)], ["e1"]),
        ([event("candidate-gathered", "e1", value="10.0.0.7")], []),  # the same behind every second router
        ([event("participant-joined", "e1", value="ann"), event("candidate-gathered", "e2", value=ANN)], ["e1"]),
    ],
)
def test_by_which_names_lines_mean_a_participant_of_packets(events: list[Event], endpoints: list[str]) -> None:
    one = well("ann", nick="ann", addresses=[ANN, "10.0.0.7"])
    assert lines.with_names(one, trail(*events)).endpoints == endpoints
    assert lines.with_names(replace(one, endpoints=["e9"]), trail(*events)).endpoints == ["e9"]


# ---- several calls


def rule(*bad: str, good: str = "ice-connected", name: str = "no-bridge") -> Any:
    """A rule that holds from its bad event to its good one."""

    def ask(case: Case) -> list[Statement]:
        last = case.trail.last(*bad, good)
        return [stated(name)] if last is not None and last.event in bad else []

    return ask


def meeting(*more: Event, good_at: float = 7000.0) -> Trail:
    """A call that failed, and hours later one that went well; each of one room."""
    first = [event("participant-joined", "a", "jicofo", 0.0, room="r"),
             event("bridge-unavailable", "", "jicofo", 1.0, room="r")]  # fmt: skip
    later = [event("participant-joined", "b", "jicofo", 6000.0, room="r"),
             event("offer-sent", "b", "jicofo", 6500.0, room="r"),
             event("ice-connected", "b", "jvb", good_at)]  # fmt: skip
    return trail(*first, *later, *more)


def test_a_cause_of_an_earlier_call_ended_with_the_first_event_after_which_no_rule_says_it() -> None:
    for good_at in (6000.5, 6600.0, 9000.0):
        told = meeting(good_at=good_at)
        every = calls.calls(told, ())
        (one,) = calls.healed(Case(told), every, [], rule("bridge-unavailable"))
        assert (one.call, one.participants, one.ended) == ("r#1", ("a",), True)
        assert one.ended_time == int(good_at * SECOND)
    now = meeting()
    assert calls.healed(Case(now), calls.calls(now, ()), [stated("no-bridge")], rule("bridge-unavailable")) == []
    fine = Trail(one for one in now if one.event != "bridge-unavailable")
    assert calls.healed(Case(fine), calls.calls(fine, ()), [], rule("participant-joined")) == []  # nothing went wrong


def test_a_call_goes_on_for_an_hour_of_nothing() -> None:
    def found(pause: float, who: str = "b", *, focus: bool = False, created: bool = False) -> int:
        first = [event("conference-created", "", "jicofo", 0.0, room="r")] if focus else []
        some = [*first, event("participant-joined", "a", "browser", 0.0, room="r"),
                event("participant-joined", who, "browser", pause, room="r")]  # fmt: skip
        return len(calls.calls(trail(*some), ()).meetings)

    assert [found(3600.0), found(3600.1), found(7200.0, "a")] == [1, 2, 1]
    assert found(3601.0, "") == 2
    assert found(3601.0, "", focus=True) == 1  # the focus says when it ends
    assert found(3601.0, "b", focus=True) == 2
    joined = event("participant-joined", "a", "jicofo", 0.0, room="r")  # a log that has no beginning tells no end
    late = event("participant-joined", "", "browser", 3601.0, room="r")
    assert len(calls.calls(trail(joined, late), ()).meetings) == 2


def test_a_conference_of_the_bridge_is_of_one_call() -> None:
    some = [event("conference-created", "", "jvb", 0.0, room="r", conference="c1"),
            event("conference-ended", "", "jvb", 9.0, conference="c1"),
            event("conference-created", "", "jvb", 20.0, room="r", conference="c2"),
            event("ice-connected", "a", "jvb", 21.0, conference="c2"),
            event("endpoint-expired", "", "jvb", 22.0, conference="c1")]  # fmt: skip
    first, second = calls.calls(trail(*some), ()).meetings
    assert (list(first.conferences), list(second.conferences)) == (["c1"], ["c2"])
    assert (first.last, second.last) == (22 * SECOND, 21 * SECOND)
    assert list(second.people) == ["a"]


def test_the_faults_of_fifty_earlier_calls_are_looked_for() -> None:
    failed = [(event("participant-joined", f"p{number}", "jicofo", 4000.0 * number, room="r"),
               event("bridge-unavailable", f"p{number}", "jicofo", 4000.0 * number + 1, room="r"))
              for number in range(calls.MOST + 2)]  # fmt: skip
    told = trail(*(one for pair in failed for one in pair), event("ice-connected", "z", at=4000.0 * 60, room="r"))
    asked: list[int] = []

    def ask(case: Case) -> list[Statement]:
        asked.append(len(case.trail))
        return []

    assert calls.healed(Case(told), calls.calls(told, ()), [], ask) == []
    assert len(asked) == calls.MOST


def test_what_follows_an_end_belongs_to_it_or_begins_another() -> None:
    def found(*events: Event) -> int:
        begun = event("conference-created", "", "jicofo", 0.0, room="r")
        ended = event("conference-ended", "", "jicofo", 10.0, room="r")
        return len(calls.calls(trail(begun, ended, *events), ()).meetings)

    assert found(event("participant-left", "a", "jicofo", 11.0, room="r")) == 1
    assert found(event("participant-joined", "a", "jicofo", 10.0, room="r")) == 1  # at that moment
    assert found(event("participant-joined", "a", "jicofo", 10.1, room="r")) == 2
    assert found(event("conference-created", "", "jicofo", 10.0, room="r")) == 2
    other = event("conference-created", "", "jicofo", 10.0, room="r", input="another.log")
    assert found(other) == 1  # the same beginning, in another's log


def test_who_is_no_participant_of_a_call() -> None:
    some = [event("participant-joined", who, "jicofo", 1.0, room="r") for who in ("a", "jvb", "focus", "x@lab/y")]
    (one,) = calls.calls(trail(*some), ()).meetings
    assert list(one.people) == ["a"]


def test_the_evidence_up_to_a_moment_keeps_what_has_no_time() -> None:
    told = trail(event("offer-sent", at=1.0), event("ice-checking", at=None), event("ice-failed", at=5.0),
                 event("media-sent", at=6.0), event("ice-ended", at=2.0, input="other.log"))  # fmt: skip
    assert [one.event for one in calls.up_to(told, 5 * SECOND)] == [
        "offer-sent", "ice-checking", "ice-failed", "ice-ended",
    ]  # fmt: skip
    assert [one.event for one in calls.up_to(told, 5 * SECOND - 1)] == ["offer-sent", "ice-ended"]
    assert list(calls.up_to(told, 0)) == []


def placed(one: Statement, *more: Event) -> Statement:
    told = meeting(*more)
    every = calls.calls(told, ())
    (found,) = calls.placed([one], [well("ann", endpoints=["a"])], told, every, [])
    return found


def test_a_cause_is_put_into_its_call_and_ended_by_a_later_one() -> None:
    one = placed(stated("udp-blocked", None, ("ann",)))
    assert (one.call, one.ended, one.ended_time) == ("r#1", True, 7000 * SECOND)
    later = placed(stated("udp-blocked", None, ("b",)))
    assert (later.call, later.ended) == ("r#2", False)
    nobody = placed(stated("udp-blocked"))
    assert (nobody.call, nobody.ended) == (None, False)
    server = placed(stated("no-bridge"))
    assert server.call == "r#1"  # in whose time the bridge was missed
    channel = placed(stated("bridge-channel-refused", None, ("ann",)))
    assert channel.ended is False  # media of a later call are no channel
    opened = event("channel-opened", "b", "browser", 8000.0)
    assert placed(stated("bridge-channel-refused", None, ("ann",)), opened).ended_time == 8000 * SECOND


def test_what_rules_said_of_times_is_kept() -> None:
    told = trail(event("participant-joined", "a", room="r"))
    every = calls.calls(told, ())
    rule_said = stated("no-bridge", "login-refused", first_time=3, last_time=4, call="x", ended=True, ended_time=5)
    (one,) = calls.placed([stated("no-bridge", "login-refused", ("ann",))], [], told, every, [rule_said])
    assert (one.first_time, one.last_time, one.call, one.ended, one.ended_time) == (3, 4, "x", True, 5)
    own = replace(one, first_time=1, last_time=2, call="y", ended_time=6)
    (one,) = calls.placed([own], [], told, every, [rule_said])
    assert (one.first_time, one.last_time, one.call, one.ended_time) == (1, 2, "y", 6)
    (one,) = calls.placed([stated("no-bridge", "not-answering", ("ann",))], [], told, every, [rule_said])
    assert one.first_time is None


def test_the_table_of_calls() -> None:
    told = meeting()
    every = [one.to_json() for one in calls.calls(told, ()).meetings]
    people = [without("ann", call="r#1"), well("b", call="r#2")]
    rows = calls.table(every, people, [stated("no-focus", call="r#2"), stated("dtls-failed", None, ("ann",))])
    assert rows["causes"].tolist() == [["dtls-failed"], ["no-focus"]]
    assert rows["participants"].tolist() == [["ann"], ["b"]]
    assert rows["room"].tolist() == ["r", "r"]
    assert list(rows["first_time"].dt.hour) == [0, 1]
