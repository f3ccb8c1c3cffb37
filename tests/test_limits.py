"""The numbers that decide: each has a unit and a source, and rules turn over where they say."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jitsilab.analysis import limits
from jitsilab.analysis.limits import LIMITS
from jitsilab.analysis.turn_flows import Relayed, TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg, Media
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.case.signs import bridge, entry, reach
from jitsilab.judge.causes import paths
from jitsilab.judge.diagnosis import packets


def test_each_says_who_says_so() -> None:
    assert {one.kind for one in LIMITS.values()} == {"specified", "program", "reasoned", "measured"}
    for name, one in LIMITS.items():
        assert name.isupper()
        assert one.value > 0
        assert one.unit in ("s", "share", "times", "bytes", "bytes/s", "equations", "messages", "records")
        assert len(one.source) > 20, name


def test_timers_stand_in_their_order() -> None:
    assert limits.REPLACED.value < limits.GUARD.value < limits.CONSENT.value
    assert limits.QUIET_STREAM.value * 5 == limits.NO_REPORT.value


def call(*people: Person, end: float = 60.0) -> Cast:
    return Cast(list(people), ["172.31.37.118"], "203.0.113.10", "a bridge", True, "", end)


@pytest.mark.parametrize(
    ("waited", "reason"),
    [(0.3, ""), (13.9, ""), (14.1, "not-answering"), (15.0, "not-answering"), (15.9, "not-answering"), (16.1, "")],
)
def test_a_bridge_that_does_not_answer_takes_the_focus_s_timeout(waited: float, reason: str) -> None:
    stream = XmppStream(0, bridge_counts=[(10, 5.0, 1)], bridge_missing=[20], bridge_missing_at=5.0 + waited)
    sign = bridge.bridge_missing(Person(xmpp_streams=[stream]))
    assert sign is not None
    assert sign.reason == reason
    assert sign.frames == (10, 20)


def test_no_bridge_ever_is_no_bridge_that_does_not_answer() -> None:
    for counts in ([], [(10, 5.0, 0)], [(10, 5.0, 1), (11, 6.0, 0)]):
        stream = XmppStream(0, bridge_counts=counts, bridge_missing=[20], bridge_missing_at=20)
        sign = bridge.bridge_missing(Person(xmpp_streams=[stream]))
        assert sign is not None
        assert sign.reason == ""
    offered = XmppStream(0, bridge_missing=[20], bridge_missing_at=20, sessions={"s": Session("s", "jvb", offered=3)})
    assert bridge.bridge_missing(Person(xmpp_streams=[offered])) is None


def shut_out(lasted: float, **more: Any) -> Person:
    """Checks come in and are answered; the bridge's own are not."""
    leg = Leg(1, "udp", "198.51.100.20", "172.31.37.118", 4000, kind="jvb", sent=[1, 3], answered=[2, 4], got=[5],
              first=10.0, last=10.0 + lasted, **more)  # fmt: skip
    return Person(addresses=["198.51.100.20"], legs=[leg])


def blocked(person: Person) -> Any:
    return reach.outbound_blocked(person, call(person))


def test_what_goes_out_is_blocked_where_nothing_of_it_is_answered_for_long() -> None:
    guard = limits.SILENT_BRIDGE.value
    assert blocked(shut_out(guard + 0.1)) is not None
    assert blocked(shut_out(guard - 0.1)) is None
    for heard in ({"replied": [9]}, {"hello": [9]}, {"rtp_out": Media(packets=5)}):
        assert blocked(shut_out(guard + 0.1, **heard)) is None, heard
    one, other = shut_out(9.0), shut_out(9.0)
    sign = reach.outbound_blocked(one, call(one, other))
    assert sign is not None
    assert (sign.certainty, sign.value) == ("deduced", "server")
    fine = shut_out(9.0, replied=[9])
    sign = reach.outbound_blocked(one, call(one, fine))
    assert sign is not None
    assert (sign.certainty, sign.value) == ("inferred", "participant")  # the way out is open for others
    lossy = call(one)
    lossy.lossy = True
    assert reach.outbound_blocked(one, lossy) is None


def lost(after: float) -> tuple[Person, Cast]:
    """The focus takes the session back while media go on, the last answer that many seconds before the end."""
    leg = Leg(1, "udp", "198.51.100.20", "172.31.37.118", kind="jvb", sent=[1], answered=[2], secured=5,
              answered_last=60.0 - after, last=59.0, rtp_out=Media(50, 11.0, 59.0, 7))  # fmt: skip
    session = Session("s", "jvb", offered=3, offered_at=10.0, ended=30, ended_at=58.0, reason="success moving")
    stream = XmppStream(0, sessions={"s": session}, bridge_counts=[(4, 11.0, 1)])
    person = Person(xmpp_streams=[stream], legs=[leg])
    return person, call(person)


def test_a_bridge_is_lost_where_its_answers_end_long_before_the_participant() -> None:
    guard = limits.SILENT_BRIDGE.value
    assert bridge.bridge_lost(*lost(guard + 0.1), {}) is not None
    assert bridge.bridge_lost(*lost(guard - 0.1), {}) is None
    person, who = lost(20.0)
    person.xmpp_streams[0].left, person.xmpp_streams[0].left_at = 29, 57.0  # whoever leaves ends its session too
    assert bridge.bridge_lost(person, who, {}) is None
    person, who = lost(20.0)
    person.xmpp_streams[0].sessions["s"].reason = "connectivity-error"
    assert bridge.bridge_lost(person, who, {}) is None
    person, who = lost(20.0)
    person.legs[0].secured, person.legs[0].rtp_out = 0, Media()
    assert bridge.bridge_lost(person, who, {}) is None


def asked(until: float, **more: Any) -> Any:
    stream = XmppStream(0, opened=1, start=1.0, end=until, asked=5, asked_at=2.0, **more)
    return entry.focus_missing(Person(xmpp_streams=[stream]), call(end=until), limits.GUARD.value)


def test_a_focus_is_missing_at_once_where_it_is_said_and_late_where_it_is_not() -> None:
    assert asked(2.1, focus_errors=[(6, "service-unavailable")]).certainty == "measured"
    assert asked(7.1).certainty == "inferred"
    assert asked(6.9) is None
    assert asked(9.0, focus_errors=[(6, "not-authorized")]) is None
    assert asked(9.0, ready=7) is None
    assert asked(9.0, holes=True) is None


def test_a_media_stream_lasts() -> None:
    for seconds, lasting in ((limits.LASTING.value, True), (limits.LASTING.value - 0.01, False)):
        assert Media(9, 5.0, 5.0 + seconds).lasting is lasting
    assert not Media(1, 5.0, 9.0).lasting


def records(*sent: tuple[float, bool, int]) -> dict[str, pd.DataFrame]:
    """A connection's records: when, whether they go up, how long."""
    table = pd.DataFrame(sent, columns=["seconds", "up", "length"])
    return {"tls": table.assign(flow=1, record_type="application_data", frame=range(1, len(table) + 1))}


SIZE, SPAN = limits.ANSWERED_OFFER.value, limits.BURST.value


@pytest.mark.parametrize(
    ("sent", "frame"),
    [
        ([(1.0, True, 300), (1.1, False, 200), (2.0, True, SIZE)], 3),
        ([(1.0, True, 300), (1.1, False, 200), (2.0, True, SIZE - 1)], 0),
        ([(1.0, True, SIZE), (1.1, False, 200)], 0),  # a request with a long token comes before the server's first word
        ([(1.0, False, 1), (2.0, True, SIZE / 2), (2.0 + SPAN * 0.99, True, SIZE / 2)], 3),
        ([(1.0, False, 1), (2.0, True, SIZE / 2), (2.0 + SPAN * 1.01, True, SIZE / 2)], 0),
    ],
)
def test_an_answered_offer_is_one_burst(sent: list[tuple[float, bool, int]], frame: int) -> None:
    assert packets._burst(Person(flows={1: "websocket"}), records(*sent), 60.0) == frame


def test_a_burst_that_nothing_could_follow_tells_nothing() -> None:
    late = records((1.0, False, 1), (2.0, True, SIZE))
    assert packets._burst(Person(flows={1: "websocket"}), late, 1.9) is None


def relayed(rate: float, lasted: float = 10.0) -> Person:
    each = np.arange(100)
    size = round(2 * rate * lasted / 100)
    rows = Relayed(1.0 + lasted * each / 100, each % 2 == 0, np.full(100, size))
    flow = TurnFlow(1, "turn-tls", "198.51.100.20", 0.5, 20.0, "permitted", relayed=rows)
    return Person(turn=[flow])


@pytest.mark.parametrize(("factor", "found"), [(1.1, 1), (0.9, 0)])
def test_a_relay_carries_media_from_a_rate_on(factor: float, found: int) -> None:
    person = relayed(limits.RELAYING.value * factor)
    assert len(paths.paths(person, call(person))) == found


def test_each_is_used_and_no_rule_keeps_its_own_seconds() -> None:
    package = Path(limits.__file__).parent.parent
    text = {one: one.read_text() for one in package.rglob("*.py") if one.name != "limits.py"}
    assert [name for name in LIMITS if not any(name in each for each in text.values())] == []
    own = [
        match[1]
        for one, each in text.items()
        for match in re.finditer(r"(?m)^(\w+) = [\d.]+  # s\b", each)
        if one.relative_to(package).parts[0] in ("analysis", "case", "judge")
    ]
    # What one line of a picture puts together, what a zone is made of, and two clocks' sight of one packet.
    assert set(own) <= {"TOGETHER", "QUARTER", "SAME"}
