"""What each sign asks for, one condition at a time: a call that lacks it shows no such sign."""

from typing import Any

import pandas as pd
import pytest

from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg, Media
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.case.signs import bridge, certificates, entry, reach, sending
from jitsilab.case.signs.certificates import Handshake

SERVER, GATEWAY, ANN, BEN = "172.31.37.118", "172.31.32.1", "198.51.100.20", "198.51.100.140"


def call(*people: Person, own: str = "", end: float = 60.0) -> Cast:
    return Cast(list(people), [SERVER], "203.0.113.10", "a bridge", True, own, end)


def offered(*candidates: str, address: str = "172.31.250.31", **more: Any) -> Person:
    """Somebody who was offered these addresses of the bridge."""
    session = Session("s", "jvb", offered=9, offered_at=2.0, candidates=[(one, "host") for one in candidates])
    return Person(addresses=[address], placed="flow", xmpp_streams=[XmppStream(0, sessions={"s": session})], **more)


def checked(address: str, port: int = 4000) -> Leg:
    return Leg(1, "udp", address, SERVER, port, kind="jvb", sent=[1])


def outsider(address: str = ANN) -> Person:
    return offered("203.0.113.10", address=address)


def test_hairpin_asks_for_an_insider_who_is_offered_the_outside_alone() -> None:
    inside = offered("203.0.113.10")
    assert reach.hairpin(inside, call(inside, outsider())) is not None
    both = offered("203.0.113.10", SERVER)
    assert reach.hairpin(both, call(both, outsider())) is None
    assert reach.hairpin(inside, call(inside)) is None  # a proxy may stand in front of all
    again = offered("203.0.113.10")
    assert reach.hairpin(inside, call(inside, again, outsider())) is None  # two behind one address: a gateway's
    heard = offered("203.0.113.10", legs=[checked("172.31.250.31")])
    assert reach.hairpin(heard, call(heard, outsider())) is None
    assert reach.hairpin(outsider(), call(outsider(BEN))) is None
    public = call(inside, outsider())
    public.servers = ["203.0.113.10"]
    assert reach.hairpin(inside, public) is None


def test_private_addresses_are_a_missing_mapping_to_outsiders_alone() -> None:
    hidden = offered(SERVER, GATEWAY, address=ANN)
    assert reach.mapping_missing(hidden, call(hidden)) is not None
    inside = offered(SERVER)
    assert reach.mapping_missing(inside, call(inside)) is None
    assert reach.mapping_missing(inside, call(inside, own="172.31.250.31")) is not None
    for more in ("203.0.113.10", "4f1.local", "2001:db8::1"):
        one = offered(SERVER, more, address=ANN)
        assert reach.mapping_missing(one, call(one)) is None, more


@pytest.mark.parametrize(
    ("candidate", "wrong"), [("203.0.113.87", True), ("203.0.113.10", False), (SERVER, False), ("2001:db8::1", False)]
)
def test_a_mapping_is_wrong_where_it_is_none_of_the_server_s(candidate: str, wrong: bool) -> None:
    one = offered(SERVER, candidate, address=ANN)
    sign = reach.mapping_wrong(one, call(one), {})
    assert (sign is not None) is wrong
    unknown = call(one)
    unknown.public = ""
    assert reach.mapping_wrong(one, unknown, {}) is None


def test_udp_of_several_from_a_private_address_is_rewritten() -> None:
    flows = pd.DataFrame({"transport": ["tcp", "tcp"], "client": [ANN, BEN]})
    ann = Person(addresses=[ANN, GATEWAY], legs=[checked(GATEWAY)])
    ben = Person(addresses=[BEN, GATEWAY], legs=[checked(GATEWAY, 4001)])
    found = reach.source_rewritten(call(ann, ben), {"flows": flows})
    assert {number: (one.certainty, one.value) for number, one in found.items()} == {
        0: ("measured", GATEWAY), 1: ("measured", GATEWAY)
    }  # fmt: skip
    (alone,) = reach.source_rewritten(call(ann), {"flows": flows}).values()
    assert alone.certainty == "inferred"
    local = Person(addresses=[GATEWAY], legs=[checked(GATEWAY)])  # no TCP of it: it may live there
    assert reach.source_rewritten(call(local), {"flows": flows}) == {}
    at_home = pd.DataFrame({"transport": ["tcp"] * 3, "client": [ANN, BEN, GATEWAY]})
    assert reach.source_rewritten(call(ann, ben), {"flows": at_home}) == {}


def test_one_whose_way_back_is_shut_is_no_proof_for_all() -> None:
    leg = Leg(1, "udp", ANN, SERVER, 1, kind="jvb", sent=[1], answered=[2], got=[3], first=1.0, last=20.0)
    sign = reach.outbound_blocked(
        one := Person(addresses=[ANN], legs=[leg]), Cast([one], [SERVER], "", "x", True, "", 60.0)
    )
    assert sign is not None
    assert sign.certainty == "inferred"


def lost(reason: str = "success moving") -> tuple[Person, Leg, Session]:
    leg = Leg(1, "udp", ANN, SERVER, kind="jvb", sent=[1], secured=5, answered_last=20.0, last=40.0,
              rtp_out=Media(50, 11.0, 40.0, 7))  # fmt: skip
    session = Session("s", "jvb", offered=3, offered_at=10.0, ended=30, ended_at=41.0, reason=reason)
    return Person(xmpp_streams=[XmppStream(0, sessions={"s": session})], legs=[leg]), leg, session


def icmp(*rows: tuple[str, str, float]) -> dict[str, pd.DataFrame]:
    table = pd.DataFrame(rows, columns=["src", "dst", "seconds"]).assign(protocol="ICMP")
    return {"frames": table.assign(frame=range(70, 70 + len(table)))}


def test_a_closed_port_is_told_by_the_bridge_s_host_while_packets_still_come() -> None:
    person, _, session = lost()
    person.xmpp_streams[0].sessions.clear()
    assert bridge.bridge_lost(person, call(person), {}) is None
    sign = bridge.bridge_lost(person, call(person), icmp((SERVER, ANN, 25.0)))
    assert sign is not None
    assert sign.frames == (70,)
    assert sign.certainty == "deduced"
    for rows in (
        [(ANN, SERVER, 25.0)],  # of the participant, who left
        [(SERVER, BEN, 25.0)],  # to somebody else
        [(SERVER, ANN, 19.0)],  # before the last answer: of something else
        [(SERVER, ANN, 50.0)],  # after the last packet
        [(ANN, SERVER, 24.0), (SERVER, ANN, 25.0)],  # an echo that was asked for
    ):
        assert bridge.bridge_lost(person, call(person), icmp(*rows)) is None, rows
    person.xmpp_streams[0].sessions["s"] = session
    sign = bridge.bridge_lost(person, call(person), icmp((SERVER, ANN, 25.0)))
    assert sign is not None
    assert sign.certainty == "measured"


def test_a_session_that_failed_for_want_of_connectivity_is_no_lost_bridge() -> None:
    for reason, gone in (("connectivity-error ICE FAILED", False), ("success", True)):
        person, _, _ = lost(reason)
        person.xmpp_streams[0].bridge_missing, person.xmpp_streams[0].bridge_missing_at = [31], 41.0
        assert (bridge.bridge_lost(person, call(person), {}) is not None) is gone, reason


def test_a_channel_that_opened_and_was_lost_was_not_refused() -> None:
    def asked(*status: int) -> dict[str, pd.DataFrame]:
        table = pd.DataFrame({"status": pd.array(status, "Int64"), "flow": 7, "seconds": 1.0})
        numbers = range(1, len(table) + 1)
        return {"http": table.assign(target="/colibri-ws/s/c/e?pwd=***", frame=numbers, response_frame=numbers)}

    person = Person(flows={7: "websocket"})
    sign = bridge.channel_refused(person, asked(403, 502))
    assert sign is not None
    assert sign.status == 502
    assert bridge.channel_refused(person, asked(101, 502)) is None
    assert bridge.channel_refused(Person(flows={8: "websocket"}), asked(403)) is None


def left(mechanisms: set[str], **more: Any) -> Any:
    stream = XmppStream(0, opened=1, offered=2, closed=3, mechanisms=mechanisms, **more)
    return entry.login_refused(Person(xmpp_streams=[stream]), {})


def test_a_guest_is_refused_where_nothing_is_offered_to_guests() -> None:
    assert left({"PLAIN", "SCRAM-SHA-1"}).reason == "guest-refused"
    assert left({"PLAIN", "ANONYMOUS"}) is None  # who closes the page in between was not refused
    assert left({"PLAIN"}, holes=True) is None
    assert left({"PLAIN"}, tried=2) is None
    assert left({"PLAIN"}, bound=4) is None
    assert left(set()) is None


@pytest.mark.parametrize(
    ("mechanism", "condition", "text", "reason"),
    [  # texts of Prosody's token and sasl modules
        ("ANONYMOUS", "not-allowed", "Not acceptable by exp (3603.0 sec since expired)", "token-expired"),
        ("ANONYMOUS", "not-allowed", "Not acceptable by nbf", "token-not-yet-valid"),
        ("ANONYMOUS", "not-allowed", "Invalid signature", "token-invalid"),
        ("ANONYMOUS", "not-allowed", "token required", "token-invalid"),
        ("ANONYMOUS", "not-allowed", "'iss' claim is missing", "token-invalid"),
        ("ANONYMOUS", "not-authorized", "", ""),
        ("SCRAM-SHA-1", "not-authorized", "Unable to authorize you with the authentication credentials you've sent.",
         "password-wrong"),
        ("PLAIN", "not-authorized", "", "password-wrong"),
        ("PLAIN", "account-disabled", "", ""),
        ("PLAIN", "temporary-auth-failure", "", ""),
    ],
)  # fmt: skip
def test_the_reason_of_a_refused_login(mechanism: str, condition: str, text: str, reason: str) -> None:
    stream = XmppStream(0, opened=1, tried=2, mechanism=mechanism, failures=[(3, condition, text)])
    sign = entry.login_refused(Person(xmpp_streams=[stream]), {})
    assert sign is not None
    assert sign.reason == reason
    assert sign.frames == (2, 3)
    stream.bound = 9  # a second try that went well
    assert entry.login_refused(Person(xmpp_streams=[stream]), {}) is None


def shook(alert: str = "", finished: bool = False, faults: tuple[str, ...] = (), seen: bool = True) -> Handshake:
    return Handshake(1, finished, alert, 1.0, (5, 6), faults, seen)


@pytest.mark.parametrize(
    ("alert", "faults", "seen", "reason", "certainty"),
    [
        ("certificate_unknown", ("expired",), True, "expired", "measured"),
        ("certificate_unknown", ("name-mismatch",), True, "name-mismatch", "measured"),
        ("bad_certificate", ("self-signed",), True, "untrusted", "measured"),
        ("certificate_unknown", ("not-yet-valid",), True, "", "measured"),
        ("certificate_unknown", ("expired", "self-signed"), True, "", "measured"),
        ("certificate_unknown", (), True, "untrusted", "inferred"),
        ("unknown_ca", (), True, "untrusted", "measured"),
        ("unknown_ca", (), False, "untrusted", "measured"),
        ("certificate_expired", (), False, "expired", "measured"),
        ("certificate_unknown", (), False, "", "measured"),
        ("unread", (), False, "", "deduced"),
    ],
)  # fmt: skip
def test_why_a_certificate_was_refused(
    alert: str, faults: tuple[str, ...], seen: bool, reason: str, certainty: str
) -> None:
    sign = certificates.refusal("tls-refused", [shook(alert, faults=faults, seen=seen)])
    assert sign is not None
    assert (sign.reason, sign.certainty, sign.frames) == (reason, certainty, (5, 6))


def test_who_went_on_in_another_connection_refused_nothing() -> None:
    assert certificates.refusal("x", [shook("unknown_ca"), shook(finished=True)]) is None
    for alert in ("", "close_notify", "handshake_failure"):
        assert certificates.refusal("x", [shook(alert)]) is None


@pytest.mark.parametrize(
    ("length", "inner", "version", "alert"),
    [(19, None, "application_data", "unread"), (53, None, "application_data", ""), (69, None, "application_data", ""),
     (19, "handshake", "application_data", ""), (19, "alert", "application_data", "unread"),
     (26, None, "alert", "unread")],
)  # fmt: skip
def test_an_encrypted_alert_is_known_by_its_length(length: int, inner: Any, version: str, alert: str) -> None:
    rows = pd.DataFrame(
        {
            "flow": [1, 1], "up": pd.array([False, True], "boolean"), "frame": [4, 5], "seconds": [0.1, 0.2],
            "handshake": ["server_hello", None], "record_type": ["handshake", version], "length": [122, length],
            "inner_type": [None, inner], "alert": [None, None], "sni": [None, None],
            "certificate_sha256": [None, None], "time": pd.to_datetime([None, None], utc=True),
        }
    )  # fmt: skip
    found = certificates.handshakes({"tls": rows}, [1])[1]
    assert (found.alert, found.finished) == (alert, not alert)


def test_who_announced_sources_is_muted_at_most() -> None:
    session = Session("s", "jvb", offered=3, offered_at=10.0, accepted=4)
    person = Person(xmpp_streams=[XmppStream(0, opened=1, endpoint="a1", sessions={"s": session})])

    def announced(owner: str, origin: str = "jingle") -> dict[str, pd.DataFrame]:
        return {"sources": pd.DataFrame({"owner": [owner], "origin": [origin], "ssrc": pd.array([7], "Int64")})}

    assert sending.sends_nothing(person, call(person), announced("b2")) is not None
    assert sending.sends_nothing(person, call(person), announced("a1", "bridge")) is not None
    assert sending.sends_nothing(person, call(person), announced("a1")) is None
    assert sending.sends_nothing(person, call(person, end=14.0), announced("b2")) is None
    assert sending.sends_nothing(person, call(person), {}) is None
    person.legs = [Leg(1, "udp", ANN, SERVER, rtp_out=Media(9, 1.0, 9.0))]
    assert sending.sends_nothing(person, call(person), announced("b2")) is None


@pytest.mark.parametrize(
    ("packets", "lost", "seen"), [(97, 3, True), (990, 10, True), (991, 9, False), (1000, 0, False), (20, 1, False)]
)
def test_losses_are_a_share_of_what_was_sent_and_never_one_packet(packets: int, lost: int, seen: bool) -> None:
    leg = Leg(1, "udp", ANN, SERVER)
    media = pd.DataFrame({"flow": [1], "depth": [0], "src": [ANN], "up": pd.array([True], "boolean"),
                          "packets": [packets], "lost": [lost], "first_frame": [12]})  # fmt: skip
    sign = sending.lossy(Person(legs=[leg]), {"media": media})
    assert (sign is not None) is seen
