# ruff: noqa: E501 (rows of a table)
"""The rules over events: each shows its cause, heals with what heals it, and is quiet in health and beside others."""

from pathlib import Path

import causes_page
import pytest

from jitsilab.judge.causes import CAUSES, CONDITIONS, Case
from jitsilab.judge.causes.catalogue import is_reason, words_of
from jitsilab.judge.causes.entry import token_reason
from jitsilab.judge.causes.media import CONDITIONS as CONDITION_RULES
from jitsilab.judge.causes.servers import all_of
from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.judge.diagnosis import CAUSE_RULES
from jitsilab.judge.diagnosis.lines import participants
from jitsilab.tables.evidence import EVENTS

Said = tuple[str, ...]  # program, event, then value, detail, participant, status


def trail(*said: Said) -> Trail:
    """Events a second apart, each program's in a log of its own."""
    events = []
    for number, (program, event, *more) in enumerate(said):
        assert event in EVENTS, event
        value, detail, participant, status = (*more, "", "", "", "")[:4]
        events.append(
            Event(number * 10**9, event, program, participant, "", "", value, int(status) if status else None, detail,
                  "place", f"{program}.log", number + 1, None, None, number)
        )  # fmt: skip
    return Trail(events)


def causes(*said: Said) -> set[tuple[str, str | None]]:
    return {(one.name, one.reason) for one in all_of(Case(trail(*said)), CAUSE_RULES)}


def conditions(*said: Said) -> set[tuple[str, int | None]]:
    return {(one.name, one.status) for one in all_of(Case(trail(*said)), CONDITION_RULES)}


UNREACHED = ("jvb", "xmpp-unreachable", "127.0.0.1", "refused")
NONE_LEFT = ("jicofo", "bridge-unavailable", "no operational bridges")
OFFERED = ("jvb", "candidate-offered", "10.0.0.5", "10000 host", "aa")
PUBLIC = ("jvb", "candidate-offered", "203.0.113.7", "10000 srflx", "aa")
ENDED = ("jvb", "ice-ended", "", "", "aa")

SHOWN: dict[str, tuple[tuple[str, str | None], tuple[Said, ...], Said | None]] = {
    # what: the cause, the events that show it, and one more that heals it (None: nothing does)
    "bridge refused": (("no-bridge", "login-refused"), (("jvb", "login-refused", "not-authorized"),), ("jvb", "logged-in")),
    "host unknown": (("no-bridge", "login-refused"), (("jvb", "host-unknown", "auth.a"),), ("jvb", "logged-in")),
    "bridge unreached": (("no-bridge", "xmpp-unreachable"), (UNREACHED,) * 3, ("jvb", "logged-in")),
    "two rooms": (
        ("no-bridge", "not-in-brewery"),
        (("jvb", "room-joined", "x@i.a"), ("jicofo", "brewery-watched", "y@i.a")), ("jicofo", "bridge-joined", "y@i.a/1")),
    "unhealthy": (("no-bridge", "unhealthy"), (("jvb", "health-failed", "No valid IP"),), ("jvb", "health-passed")),
    "port": (("no-bridge", "port-taken"), (("jvb", "health-failed", "Failed to bind single-port"),), ("jvb", "health-passed")),
    "silent": (
        ("no-bridge", "not-answering"), (("jicofo", "allocation-failed", "Timeout", "", "aa"),),
        ("jicofo", "offer-sent", "", "", "aa")),
    "none": (("no-bridge", None), (NONE_LEFT,), ("jicofo", "bridge-chosen", "b@i.a/1", "", "aa")),
    "killed": (
        ("no-bridge", "not-running"), (("kernel", "out-of-memory", "java"), NONE_LEFT), ("jvb", "program-started")),
    "lost": (
        ("bridge-lost", None),
        (("jicofo", "bridge-joined", "b"), ("jicofo", "offer-sent", "", "", "aa"), ("jicofo", "bridge-lost", "b")),
        ("jicofo", "offer-sent", "", "", "aa")),
    "focus refused": (("no-focus", "login-refused"), (("jicofo", "login-refused", "not-authorized"),), ("jicofo", "logged-in")),
    "focus distrusts": (("no-focus", "certificate-refused"), (("jicofo", "certificate-refused", "PKIX"),), ("jicofo", "logged-in")),
    "focus silent": (("no-focus", None), (("browser", "focus-unavailable"),), ("browser", "participant-joined")),
    "socket": (
        ("signaling-refused", "http-404"), (("browser", "signaling-refused", "/xmpp-websocket", "", "", "404"),),
        ("browser", "signaling-opened", "/xmpp-websocket")),
    "no upgrade": (
        ("signaling-refused", "no-upgrade"), (("nginx", "signaling-refused", "/xmpp-websocket", "no-upgrade", "", "101"),),
        ("nginx", "signaling-opened", "/xmpp-websocket")),
    "certificate": (
        ("tls-refused", "expired"), (("browser", "tls-refused", "expired", "page"),), ("browser", "signaling-opened")),
    "token": (("xmpp-auth-failed", "token-expired"), (("prosody", "token-refused", "Not acceptable by exp"),), None),
    "guest": (("xmpp-auth-failed", "guest-refused"), (("browser", "login-refused", "guest"),), ("browser", "logged-in")),
    "inner": (("nat-mapping-missing", None), (OFFERED, ENDED), ("jvb", "ice-connected", "", "", "aa")),
    "denied": (
        ("turn-permission-refused", None), (PUBLIC, ENDED, ("coturn", "peer-denied", "203.0.113.7", "203.0.113.0/24")),
        ("jvb", "ice-connected", "", "", "aa")),
    "credentials": (
        ("turn-auth-failed", None), (PUBLIC, ENDED, ("coturn", "turn-credentials-refused")),
        ("jvb", "ice-connected", "", "", "aa")),
    "TURN's certificate": (
        ("turn-unreachable", "tls-certificate"), (("browser", "ice-checking"), ("browser", "tls-refused", "untrusted", "turn")),
        ("browser", "ice-connected")),
    "outbound": (
        ("udp-blocked", "outbound"),
        tuple((("jvb", event, "", "", who)) for who in ("aa", "bb") for event in ("check-received", "ice-ended")),
        ("jvb", "check-succeeded", "", "", "aa")),
    "fingerprint": (("fingerprint-mismatch", None), (("jvb", "fingerprint-mismatch", "AB:CD", "", "aa"),), None),
    "handshake": (("dtls-failed", None), (("jvb", "dtls-failed", "", "", "aa"),), ("jvb", "dtls-done", "", "", "aa")),
}  # fmt: skip


@pytest.mark.parametrize("what", SHOWN)
def test_a_cause_is_shown_and_heals(what: str) -> None:
    cause, said, healed = SHOWN[what]
    assert causes(*said) == {cause} | ({("no-bridge", None)} if NONE_LEFT in said and cause[1] else set())
    if healed is not None:
        assert cause not in causes(*said, healed)


@pytest.mark.parametrize("what", [what for what in SHOWN if what != "outbound"])
def test_half_of_what_shows_it_is_not_enough(what: str) -> None:
    cause, said, _ = SHOWN[what]
    if len(said) > 1:
        assert cause not in causes(*said[:-1])


def test_of_one_participant_alone_the_block_may_be_on_his_side() -> None:
    _, said, _ = SHOWN["outbound"]
    assert causes(*said[:2]) == set()


HEALTH: tuple[Said, ...] = (
    ("jvb", "program-started"), UNREACHED, ("jvb", "xmpp-connected"), ("jvb", "logged-in"), ("jvb", "room-joined", "b@i.a"),
    ("jicofo", "xmpp-unreachable", "127.0.0.1", "refused"), ("jicofo", "logged-in"), ("jicofo", "brewery-watched", "b@i.a"),
    ("jicofo", "bridge-joined", "b@i.a/1"), ("jvb", "health-passed"), ("jicofo", "offer-sent", "", "", "aa"),
    ("jvb", "candidate-offered", "10.0.0.5", "10000 host", "aa"), PUBLIC, ("coturn", "peer-denied", "192.168.1.7", "192.168.0.0/16"),
    ("jvb", "check-received", "", "", "aa"), ("jvb", "ice-connected", "", "", "aa"), ("jvb", "dtls-done", "", "", "aa"),
    ("browser", "tls-refused", "untrusted", "turn"), ("browser", "ice-connected"), ("nginx", "channel-opened", "", "", "aa"),
    ("nginx", "channel-refused", "", "", "aa", ), ("jvb", "sources-announced", "2", "", "aa"), ("jvb", "ice-ended", "", "", "aa"),
)  # fmt: skip


def test_health_is_quiet() -> None:
    assert causes(*HEALTH) == set()
    assert conditions(*HEALTH) == set()


@pytest.mark.parametrize("what", SHOWN)
def test_a_cause_of_one_call_is_no_other(what: str) -> None:
    """Beside health the same evidence shows the same cause or none, never another."""
    cause, said, _ = SHOWN[what]
    assert {name for name, _ in causes(*HEALTH, *said)} <= {cause[0], "no-bridge"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("nginx", "channel-refused", "", "", "aa", "403")], {("bridge-channel-refused", 403)}),
        ([("nginx", "channel-opened", "", "", "aa"), ("nginx", "channel-refused", "", "", "aa", "502")], set()),
        ([("jvb", "channel-missing", "", "", "aa")], set()),
        ([("jvb", "ice-connected", "", "", "aa"), ("jvb", "channel-missing", "", "", "aa")], {("bridge-channel-refused", None)}),
        ([("jvb", "sources-announced", "0", "", "aa")], {("sends-nothing", None)}),
        ([("jvb", "sources-announced", "0", "", "aa"), ("jvb", "sources-announced", "2", "", "aa")], set()),
        ([("jicofo", "sources-announced", "2", "", "aa"), ("jicofo", "answer-received", "", "", "bb")], {("sends-nothing", None)}),
        ([("jvb", "relay-failed", "r1")], {("bridges-relay-broken", None)}),
        ([("jvb", "relay-failed", "r1"), ("jvb", "relay-connected", "r1")], set()),
        ([("prosody", "option-unknown", "mod_x")], {("version-mismatch", None)}),
        ([("jvb", "check-received", "10.9.0.1", "", "aa"), ("jvb", "check-received", "10.9.0.1", "", "bb")],
         {("source-rewritten", None)}),
        ([("jvb", "check-received", "10.9.0.1", "", "aa"), ("jvb", "check-received", "10.9.0.2", "", "bb")], set()),
        ([("jvb", "port-bound", "10.9.0.1:10000"), ("jvb", "check-received", "10.9.0.1", "", "aa"), ("jvb", "check-received", "10.9.0.1", "", "bb")], set()),
        ([("coturn", "allocation-made", "10.9.0.1"), ("jvb", "check-received", "10.9.0.1", "", "aa"), ("jvb", "check-received", "10.9.0.1", "", "bb")], set()),
        ([("jvb", "check-received", "10.9.0.1", "", "aa"), ("jvb", "check-received", "10.9.0.1", "", "bb"), ("jvb", "check-received", "198.51.100.1", "", "bb")], set()),
        ([("jvb", "overloaded", "load reduction")], {("overloaded", None)}),
    ],
)  # fmt: skip
def test_conditions(said: list[Said], expected: set[tuple[str, int | None]]) -> None:
    assert conditions(*said) == expected


def test_another_bridge_in_use_is_no_cause() -> None:
    second = trail(("jvb", "login-refused", "not-authorized")).events[0]._replace(input="jvb2.log", order=9)
    one = trail(("jvb", "logged-in"), ("jvb", "room-joined", "b@i.a"))
    assert all_of(Case(Trail([*one.events, second])), CAUSE_RULES) == []


def test_a_start_in_the_wrong_order_is_no_cause() -> None:
    assert causes(UNREACHED, UNREACHED) == set()
    assert causes(UNREACHED, UNREACHED, UNREACHED, ("jvb", "xmpp-connected"), ("jvb", "logged-in")) == set()


@pytest.mark.parametrize(
    ("words", "reason"),
    [("Not acceptable by exp (2)", "token-expired"), ("Not acceptable by nbf (9)", "token-not-yet-valid"),
     ("Invalid signature", "token-invalid"), ("'iss' claim is missing", "token-invalid")],
)  # fmt: skip
def test_the_reason_of_a_refused_token(words: str, reason: str) -> None:
    assert token_reason(words) == reason


def test_the_page_of_causes_is_that_of_the_catalogue() -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "causes.md"
    assert page.read_text(encoding="utf-8") == causes_page.page(), "run: python tests/causes_page.py"


def test_the_catalogue_is_whole() -> None:
    rules = {rule.name for rule in CAUSE_RULES}
    assert rules <= set(CAUSES)
    assert {rule.name for rule in CONDITION_RULES} <= set(CONDITIONS)
    for name, cause in CAUSES.items():
        assert cause.remedy.text, name
        for reason in cause.reasons:
            assert is_reason(name, reason)
            assert words_of(name, reason) != words_of(name, None)
    assert is_reason("signaling-refused", "http-418")
    assert not is_reason("no-bridge", "http-418")


def test_media_before_the_path_was_lost_are_no_media_at_the_end() -> None:
    flowing = (
        ("browser", "ice-connected", "", "jvb", "aa"), ("browser", "pair-nominated", "a -> b", "host", "aa"),
        ("browser", "media-sent", "9", "audio", "aa"),
    )  # fmt: skip
    lost = ("browser", "ice-disconnected", "", "jvb", "aa")
    assert [one.media_path for one in participants(trail(*flowing))] == ["jvb-udp"]
    assert [one.media_path for one in participants(trail(*flowing, lost))] == ["not-observable"]
    assert [one.media_path for one in participants(trail(*flowing, lost, flowing[0]))] == ["jvb-udp"]
