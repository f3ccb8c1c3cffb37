# ruff: noqa: E501 (rows of a table)
"""What the rules over lines say, word by word, and at which number of lines they begin to say it."""

from typing import Any

import pytest
from test_causes import ENDED, NONE_LEFT, OFFERED, PUBLIC, UNREACHED, Said, trail

from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import XmppStream
from jitsilab.facts import Given, load
from jitsilab.judge.causes import Case
from jitsilab.judge.causes.media import CONDITIONS as CONDITION_RULES
from jitsilab.judge.causes.servers import all_of
from jitsilab.judge.diagnosis import CAUSE_RULES
from jitsilab.judge.diagnosis.lines import participants

Words = set[tuple[str, str | None, str, str]]
OFFER = ("jicofo", "offer-sent", "", "", "aa")
UNHEARD = ("jvb", "health-failed", "No valid IP addresses")


def words(*said: Said, name: str = "", **more: Any) -> Words:
    """Cause, reason, certainty, detail of all that is stated, or of one cause."""
    found = all_of(Case(trail(*said), **more), (*CAUSE_RULES, *CONDITION_RULES))
    return {(one.name, one.reason, one.certainty, one.detail) for one in found if not name or one.name == name}


def people(*said: Said, name: str, **more: Any) -> Any:
    [one] = [one for one in all_of(Case(trail(*said), **more), (*CAUSE_RULES, *CONDITION_RULES)) if one.name == name]
    return one.participants


@pytest.mark.parametrize(
    ("said", "name", "expected"),
    [
        # two failures are a start in the wrong order, unless the focus has no bridge
        ([("jvb", "login-failed")], "no-bridge", set()),
        ([("jvb", "login-failed")] * 2, "no-bridge", {("no-bridge", None, "inferred", "the bridge's login fails")}),
        ([UNREACHED] * 3, "no-bridge", {("no-bridge", "xmpp-unreachable", "measured", "127.0.0.1 refused")}),
        ([UNREACHED, ("jvb", "host-unknown", "auth.a")], "no-bridge",
         {("no-bridge", "login-refused", "deduced", "Prosody does not serve auth.a")}),
        ([("jvb", "certificate-refused")], "no-bridge", set()),
        ([("jvb", "certificate-refused")] * 2, "no-bridge",
         {("no-bridge", None, "deduced", "the bridge refuses Prosody's certificate")}),
        # rooms
        ([("jvb", "room-joined", "Brewery@i.a/x"), ("jicofo", "brewery-watched", "brewery@i.a")], "no-bridge", set()),
        ([("jvb", "room-joined", "brewery"), ("jicofo", "brewery-watched", "brewery@i.a")], "no-bridge", set()),
        ([("jvb", "room-joined", "brewery@i.b"), ("jicofo", "brewery-watched", "brewery@i.a")], "no-bridge",
         {("no-bridge", "not-in-brewery", "deduced", "the bridge is in brewery@i.b, the focus looks in brewery@i.a")}),
        ([("jvb", "room-joined", "b@i.a"), ("jicofo", "brewery-watched", "jibribrewery@i.a")], "no-bridge", set()),
        ([("jvb", "room-refused", "not-allowed")], "no-bridge", set()),
        ([("jvb", "room-refused", "not-allowed")] * 2, "no-bridge",
         {("no-bridge", "not-in-brewery", "measured", "not-allowed")}),
        ([("jicofo", "room-refused", "forbidden")], "no-bridge", {("no-bridge", "not-in-brewery", "measured", "forbidden")}),
        # health
        ([UNHEARD], "no-bridge", {("no-bridge", "unhealthy", "measured", "No valid IP addresses")}),
        ([UNHEARD, ("jvb", "port-taken", "udp 10000")], "no-bridge",
         {("no-bridge", "port-taken", "measured", "No valid IP addresses")}),
        ([UNHEARD, ("jvb", "health-passed")], "no-bridge", set()),
        ([("jvb", "health-failed"), ("jvb", "port-taken", "tcp 9090"), ("jvb", "port-taken", "udp 10000")], "no-bridge",
         {("no-bridge", "port-taken", "measured", "udp 10000")}),
        ([NONE_LEFT, ("jicofo", "health-failed", "b")], "no-bridge", {("no-bridge", None, "measured", "")}),
        ([("jicofo", "health-failed", "b"), NONE_LEFT], "no-bridge",
         {("no-bridge", None, "measured", ""), ("no-bridge", "unhealthy", "measured", "b")}),
        ([("jicofo", "bridge-lost", "b"), NONE_LEFT], "no-bridge", {("no-bridge", None, "measured", "")}),
        ([OFFER, NONE_LEFT], "no-bridge", {("no-bridge", None, "measured", "")}),
        ([OFFER, ("jicofo", "bridge-lost", "b"), NONE_LEFT], "no-bridge", set()),
        ([("jicofo", "health-failed", "b")], "no-bridge", set()),
        # answers
        ([("jicofo", "allocation-failed", "Timeout")], "no-bridge",
         {("no-bridge", "not-answering", "measured", "the focus waits for its answer in vain")}),
        ([("jicofo", "allocation-failed", "conflict")], "no-bridge", set()),
        ([("jicofo", "health-timeout", "b"), NONE_LEFT], "no-bridge", {("no-bridge", None, "measured", "")}),
        ([("jicofo", "health-timeout", "b")] * 2, "no-bridge", set()),
        ([*[("jicofo", "health-timeout", "b")] * 2, NONE_LEFT], "no-bridge",
         {("no-bridge", None, "measured", ""),
          ("no-bridge", "not-answering", "measured", "the focus waits for its answer in vain")}),
        ([("jicofo", "allocation-failed", "Timeout"), ("jicofo", "bridge-lost", "b")], "no-bridge", set()),
        # ends
        ([("jvb", "program-ended"), NONE_LEFT], "no-bridge",
         {("no-bridge", None, "measured", ""), ("no-bridge", "not-running", "deduced", "it ended")}),
        ([("kernel", "out-of-memory", "java"), NONE_LEFT], "no-bridge",
         {("no-bridge", None, "measured", ""), ("no-bridge", "not-running", "deduced", "it ran out of memory")}),
        ([("kernel", "out-of-memory", "mysqld"), NONE_LEFT], "no-bridge", {("no-bridge", None, "measured", "")}),
        ([NONE_LEFT, ("jvb", "program-ended")], "no-bridge", {("no-bridge", None, "measured", "")}),
        # the focus
        ([("jicofo", "xmpp-unreachable", "127.0.0.1")] * 2, "no-focus", set()),
        ([("jicofo", "xmpp-unreachable", "127.0.0.1")] * 3, "no-focus",
         {("no-focus", None, "deduced", "it does not reach 127.0.0.1")}),
        ([("jicofo", "program-ended", "exit 1")], "no-focus", {("no-focus", "not-running", "measured", "exit 1")}),
        ([("jicofo", "host-unknown", "auth.a")], "no-focus", {("no-focus", "login-refused", "measured", "auth.a")}),
        ([("prosody", "program-started"), ("prosody", "logged-in", "x@meet.a")], "no-focus",
         {("no-focus", "not-running", "inferred", "the focus never connects to Prosody")}),
        ([("prosody", "program-started"), ("prosody", "logged-in", "jvb@auth.a")], "no-focus", set()),
        ([("prosody", "logged-in", "x@meet.a")], "no-focus", set()),
        ([("prosody", "program-started"), ("prosody", "logged-in", "x@meet.a"), ("prosody", "logged-in", "Focus@auth.a")],
         "no-focus", set()),
        ([("prosody", "program-started"), ("prosody", "logged-in", "x@meet.a"), ("prosody", "login-failed")], "no-focus",
         {("no-focus", None, "inferred", "the focus never logs in")}),
        ([("prosody", "program-started"), ("prosody", "logged-in", "x@meet.a"), ("prosody", "certificate-refused")],
         "no-focus", {("no-focus", "certificate-refused", "inferred",
                       "a component refuses Prosody's certificate, and the focus never logs in")}),
        # the way to Prosody
        ([("nginx", "upstream-failed", "127.0.0.1:5280", "refused http-bind")], "signaling-refused",
         {("signaling-refused", "http-502", "deduced", "the proxy does not reach 127.0.0.1:5280")}),
        ([("nginx", "upstream-failed", "127.0.0.1:5280", "timeout http-bind")], "signaling-refused",
         {("signaling-refused", "http-504", "deduced", "the proxy does not reach 127.0.0.1:5280")}),
        ([("nginx", "upstream-failed", "127.0.0.1:9090", "refused")], "signaling-refused", set()),
        ([("nginx", "upstream-failed", "127.0.0.1:5280", "refused"), ("nginx", "signaling-opened", "/http-bind")],
         "signaling-refused", set()),
        ([("browser", "signaling-failed", "wss")], "signaling-refused",
         {("signaling-refused", None, "inferred", "no status is known: an answer other than 101, the network or a proxy")}),
        ([("browser", "signaling-failed", "wss"), ("browser", "tls-refused", "expired", "page")], "signaling-refused", set()),
        ([("browser", "signaling-failed", "wss"), ("browser", "tls-refused", "expired", "turn")], "signaling-refused",
         {("signaling-refused", None, "inferred", "no status is known: an answer other than 101, the network or a proxy")}),
        ([("browser", "signaling-refused", "/xmpp-websocket", "", "", "404")], "signaling-refused",
         {("signaling-refused", "http-404", "measured", "at /xmpp-websocket")}),
        ([("browser", "signaling-refused", "", "", "")], "signaling-refused",
         {("signaling-refused", None, "measured", "")}),
        ([("browser", "tls-refused", "expired", "page"), ("browser", "tls-refused", "untrusted", "page")], "tls-refused",
         {("tls-refused", None, "measured", "")}),
        # the login
        ([("browser", "login-refused", "password")], "xmpp-auth-failed",
         {("xmpp-auth-failed", "password-wrong", "measured", "")}),
        ([("browser", "login-refused", "token", "token expired")], "xmpp-auth-failed",
         {("xmpp-auth-failed", "token-expired", "measured", "")}),
        ([("browser", "login-refused", "token")], "xmpp-auth-failed", {("xmpp-auth-failed", None, "measured", "")}),
        ([("jvb", "login-refused", "password")], "xmpp-auth-failed", set()),
        # addresses
        ([OFFERED, ENDED], "nat-mapping-missing", {("nat-mapping-missing", None, "inferred", "it offers 10.0.0.5")}),
        ([OFFERED, ("jvb", "candidate-gathered", "10.0.1.9", "", "aa"), ENDED], "nat-mapping-missing",
         {("nat-mapping-missing", None, "deduced", "it offers 10.0.0.5")}),
        ([OFFERED, ("jvb", "candidate-gathered", "10.0.0.9", "", "aa"), ENDED], "nat-mapping-missing", set()),
        ([OFFERED, ("jvb", "check-received", "198.51.100.2", "", "aa"), ENDED], "nat-mapping-missing", set()),
        ([OFFERED, PUBLIC, ENDED], "nat-mapping-missing", set()),
        ([("jvb", "candidate-offered", "10.0.0.5", "10000 base", "aa"), ENDED], "nat-mapping-missing",
         {("nat-mapping-missing", None, "inferred", "it offers 10.0.0.5")}),
        ([("jvb", "mapping", "10.0.0.5->203.0.113.7"), ("jvb", "candidate-offered", "10.0.0.5", "10000 base", "aa"), ENDED],
         "nat-mapping-missing", set()),
        ([("jvb", "mapping", "10.0.0.5->203.0.113.7"), OFFERED, ENDED], "nat-mapping-missing",
         {("nat-mapping-missing", None, "inferred", "it offers 10.0.0.5")}),
        ([PUBLIC, ("browser", "mapped-address", "203.0.113.9"), ENDED], "nat-mapping-wrong",
         {("nat-mapping-wrong", None, "deduced", "it offers 203.0.113.7, and is reached as 203.0.113.9")}),
        ([PUBLIC, ("browser", "mapped-address", "203.0.113.7"), ENDED], "nat-mapping-wrong", set()),
        ([PUBLIC, ("browser", "mapped-address", "10.0.0.5"), ENDED], "nat-mapping-wrong", set()),
        # TURN
        ([PUBLIC, ENDED, ("coturn", "peer-denied", "203.0.113.7")], "turn-permission-refused",
         {("turn-permission-refused", None, "deduced", "it denies 203.0.113.7")}),
        ([PUBLIC, ENDED, ("coturn", "peer-denied", "203.0.113.7", "203.0.113.0/24")], "turn-permission-refused",
         {("turn-permission-refused", None, "deduced", "it denies 203.0.113.7 by 203.0.113.0/24")}),
        ([PUBLIC, ENDED, ("coturn", "peer-denied", "192.168.1.2")], "turn-permission-refused", set()),
        ([("coturn", "turn-credentials-refused")], "turn-auth-failed", set()),
        ([("coturn", "turn-credentials-refused")] * 2, "turn-auth-failed", {("turn-auth-failed", None, "inferred", "")}),
        ([("coturn", "turn-credentials-refused"), ("browser", "turn-credentials-refused")], "turn-auth-failed", set()),
        ([PUBLIC, ENDED, ("nginx", "upstream-failed", "127.0.0.1:5349", "refused")], "turn-unreachable",
         {("turn-unreachable", "not-running", "inferred", "nobody answers at 127.0.0.1:5349")}),
        ([PUBLIC, ENDED, ("nginx", "upstream-failed", "127.0.0.1:5349", "timeout")], "turn-unreachable", set()),
        ([PUBLIC, ENDED, ("nginx", "upstream-failed", "127.0.0.1:5280", "refused")], "turn-unreachable", set()),
        ([("browser", "ice-failed", "", "", "aa"), ("browser", "turn-unreachable", "turn.a", "name-not-found")],
         "turn-unreachable", {("turn-unreachable", "name-not-found", "deduced", "")}),
        ([("browser", "ice-failed", "", "", "aa"), ("browser", "turn-unreachable", "turn.a", "certificate")],
         "turn-unreachable", {("turn-unreachable", "tls-certificate", "deduced", "")}),
        ([("browser", "turn-unreachable", "turn.a", "certificate")], "turn-unreachable", set()),
        # conditions
        ([("jvb", "relay-failed", "r1"), ("jvb", "relay-connected", "r2")], "bridges-relay-broken",
         {("bridges-relay-broken", None, "measured", "towards r1")}),
        ([("jvb", "relay-connected", "r1"), ("jvb", "relay-failed", "r1")], "bridges-relay-broken",
         {("bridges-relay-broken", None, "measured", "towards r1")}),
        ([("prosody", "option-unknown", "x"), ("jvb", "option-unknown", "y")], "version-mismatch",
         {("version-mismatch", None, "measured", "not known: x, y")}),
        ([("browser", "source-address", "10.9.0.1")], "source-rewritten",
         {("source-rewritten", None, "deduced", "seen as 10.9.0.1")}),
        ([("browser", "candidate-gathered", "10.9.0.1"), ("browser", "source-address", "10.9.0.1")], "source-rewritten",
         set()),
        ([("browser", "media-denied", "", "", "aa")], "sends-nothing", {("sends-nothing", None, "measured", "")}),
        ([("browser", "media-denied", "", "", "aa"), ("browser", "sources-announced", "1", "", "aa")], "sends-nothing", set()),
        ([("browser", "sources-announced", "1", "", "aa"), ("browser", "media-denied", "", "", "aa")], "sends-nothing",
         {("sends-nothing", None, "measured", "")}),
        ([("browser", "media-denied", "", "", "aa"), ("browser", "media-sent", "9", "", "aa")], "sends-nothing", set()),
    ],
)  # fmt: skip
def test_what_lines_say(said: list[Said], name: str, expected: Words) -> None:
    assert words(*said, name=name) == expected


def test_who_is_meant() -> None:
    assert people(OFFERED, ENDED, name="nat-mapping-missing") == ("aa",)
    assert people(OFFERED[:4], ("jvb", "ice-ended"), name="nat-mapping-missing") is None
    assert people(PUBLIC, ENDED, ("coturn", "peer-denied", "203.0.113.7"), name="turn-permission-refused") == ("aa",)
    mapped = ("browser", "mapped-address", "203.0.113.9")
    assert people(PUBLIC, ENDED, mapped, name="nat-mapping-wrong") == ("aa",)
    assert (
        people(("jvb", "candidate-offered", "203.0.113.7"), ("jvb", "ice-ended"), mapped, name="nat-mapping-wrong")
        is None
    )
    unfound = (("browser", "ice-checking", "", "", "aa"), ("browser", "ice-failed", "", "", "aa"))
    assert people(*unfound, ("browser", "turn-unreachable", "t", "certificate", "bb"), name="turn-unreachable") == (
        "bb",
        "aa",
    )
    assert people(PUBLIC, ENDED, ("coturn", "turn-credentials-refused"), name="turn-auth-failed") == ("aa",)
    lost = ("jicofo", "bridge-lost", "b")
    bb = ("jicofo", "offer-sent", "", "", "bb")
    assert people(OFFER, bb, lost, OFFER, name="bridge-lost") == ("bb",)
    assert words(OFFER, lost, OFFER, name="bridge-lost") == set()
    assert people(("jvb", "dtls-failed", "", "", "aa"), ("jvb", "dtls-done", "", "", "bb"), name="dtls-failed") == (
        "aa",
    )
    strange = ("jvb", "fingerprint-mismatch", "AB:CD", "", "aa")
    assert words(strange, ("jvb", "dtls-failed"), name="dtls-failed") == set()  # whose it is is not said
    assert people(strange, ("jvb", "dtls-failed", "", "", "bb"), name="dtls-failed") == ("bb",)


def test_a_browser_that_was_moved_away_lost_its_bridge() -> None:
    told = [
        ("browser", "ice-connected"),
        ("browser", "channel-closed"),
        ("browser", "session-ended", "moving", "", "aa"),
    ]
    assert people(*told, name="bridge-lost") == ("aa",)
    for number in range(3):
        assert words(*told[:number], *told[number + 1 :], name="bridge-lost") == set()
    assert words(*told, ("browser", "offer-sent"), name="bridge-lost") == set()


def connected(*answered: bool) -> dict[str, Cast]:
    persons = [
        Person(addresses=[f"198.51.100.{number}"], legs=[Leg(1, "udp", "a", replied=[5] if one else [], sent=[4])])
        for number, one in enumerate(answered)
    ]
    return {"a.pcap": Cast(persons, ["172.31.0.5"], "", "a bridge", True, "", 60.0)}


@pytest.mark.parametrize(("casts", "found"), [(connected(True), False), (connected(True, False), True), ({}, False)])
def test_packets_may_show_who_has_no_way(casts: dict[str, Cast], found: bool) -> None:
    down = ("nginx", "upstream-failed", "127.0.0.1:5349", "refused")
    assert bool(words(down, name="turn-unreachable", casts=casts)) is found
    denied = ("coturn", "peer-denied", "172.31.0.5")
    assert bool(words(denied, name="turn-permission-refused", casts=casts)) is found


def test_the_brewery_of_the_files_counts_while_there_is_no_bridge() -> None:
    jvb = 'videobridge.apis.xmpp-client.configs.a { HOSTNAME = "h", DOMAIN = "d", MUC_JIDS = "x@i.a" }\n'
    given = {
        "facts": load(Given("jvb.conf", jvb.encode()), Given("jicofo.conf", b'jicofo.bridge.brewery-jid = "y@i.a"\n'))
    }
    found = words(NONE_LEFT, name="no-bridge", **given)
    assert ("no-bridge", "not-in-brewery", "deduced", "the bridge joins x@i.a, the focus watches y@i.a") in found
    assert words(name="no-bridge", **given) == set()
    assert words(NONE_LEFT, ("jicofo", "bridge-chosen", "b"), name="no-bridge", **given) == set()
    same = {"facts": load(Given("jvb.conf", jvb.replace("x@", "Y@").encode()),
                          Given("jicofo.conf", b'jicofo.bridge.brewery-jid = "y@i.a"\n'))}  # fmt: skip
    assert words(NONE_LEFT, name="no-bridge", **same) == {("no-bridge", None, "measured", "")}
    [place] = [one.evidence[0] for one in all_of(Case(trail(NONE_LEFT), **given), CAUSE_RULES) if one.reason]
    assert (place.input, place.line) == ("jvb.conf", 1)
    told = Person(xmpp_streams=[XmppStream(0, bridge_missing=[7])])
    shown = {"a.pcap": Cast([told], [], "", "a bridge", True, "", 60.0)}
    assert len(words(name="no-bridge", casts=shown, **given)) == 1
    told.xmpp_streams[0].bridge_missing = []
    assert words(name="no-bridge", casts=shown, **given) == set()


def test_who_lines_leave_without_media_may_be_without_for_several_reasons() -> None:
    stuck, flowing = participants(
        trail(ENDED, ("browser", "ice-connected", "", "jvb", "bb"), ("browser", "media-sent", "9", "audio", "bb"),
              ("browser", "pair-nominated", "a -> b", "host", "bb"))
    )  # fmt: skip
    assert (stuck.media_path, stuck.cause, flowing.media_path, flowing.cause) == (
        "none",
        "undetermined",
        "jvb-udp",
        None,
    )
    assert {"udp-blocked", "turn-unreachable"} <= set(stuck.open_causes)
    assert flowing.open_causes == []


@pytest.mark.parametrize(
    ("pair", "path"),
    [("host", "jvb-udp"), ("p2p host", "p2p"), ("relay tls", "turn-tls"), ("relay tcp", "turn-tcp"),
     ("tcp relay udp", "turn-udp"), ("relay", "not-observable"), ("", "jvb-udp")],
)  # fmt: skip
def test_the_pair_that_was_chosen_is_the_way(pair: str, path: str) -> None:
    said = [("browser", "media-sent", "9", "audio", "aa"), ("browser", "pair-nominated", "a -> b", pair, "aa")]
    assert [one.media_path for one in participants(trail(*said))] == [path]
    assert [one.media_path for one in participants(trail(said[0]))] == ["not-observable"]
    assert [one.media_path for one in participants(trail(*said, ("browser", "media-stopped", "", "", "aa")))] == [
        "not-observable"
    ]


def test_a_trail_is_put_on_one_clock() -> None:
    one = trail(("jvb", "logged-in"), ("jicofo", "logged-in"))
    assert one.moved({}) is one
    assert one.moved({("jvb.log", "jvb"): 0.0}) is one
    moved = one.moved({("jvb.log", "jvb"): 2.5})
    before, after = ([event.time for event in each] for each in (one, moved))
    assert after == [before[0] + 2_500_000_000, before[1]]
