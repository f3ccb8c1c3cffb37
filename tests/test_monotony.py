"""Less evidence never turns a verdict around: it is taken away, or it stays.

Captures without keys, without the loopback, cut at either end, with holes that TCP's sequence numbers show: no step
deviates that did not before, and nobody's cause becomes another one.
"""

import os
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cuts
import pytest
from by_night import thinned
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jitsilab.call import Call
from jitsilab.judge import findings
from jitsilab.judge.diagnosis import Diagnosed

NIGHTLY = "JITSILAB_NIGHTLY" in os.environ  # then more cuts, and others each night
OPEN = {"undetermined", "not-observable"}
NAMES = (
    "jvb-3", "jvb-bosh", "jvb-p2p-3", "jvb-lossy", "auth-ok", "no-bridge", "nat-map-missing-no-turn", "no-turn",
    "turn-refused", "turn-auth", "dtls-drop", "fp-munge", "leave-rejoin",
)  # fmt: skip
VIEWS = (("eth0", True), ("any", False), ("eth0", False))
View = tuple[str, bool]


@cache
def whole(folder: Path, view: View) -> Call:
    return cuts.load(folder / f"capture-{view[0]}.pcapng", folder / "keys.txt" if view[1] else None)


@cache
def frames(path: Path) -> tuple[int, list[int]]:
    return cuts.frames(path), cuts.tcp_frames(path)


def kept(path: Path, kind: str, a: float, b: float) -> Callable[[int], bool]:
    """Which frames a cut keeps; ``a`` and ``b`` are shares of the capture."""
    count, tcp = frames(path)
    low, high = sorted((int(a * count), int(b * count)))
    if kind == "late":
        return lambda frame: frame > low
    if kind == "early":
        return lambda frame: frame <= high
    if kind == "part":
        return lambda frame: low < frame <= high
    if kind == "hole":
        return lambda frame: not low < frame <= min(high, low + count // 8)
    lost = {frame for frame in tcp if random.Random(f"{a}{frame}").random() < b * 0.1}
    return lambda frame: frame not in lost


def same(one: Diagnosed, others: list[Diagnosed]) -> Diagnosed | None:
    """The same person in another view of the call: by name, else by an address."""
    named = [other for other in others if one.nick and other.nick == one.nick]
    return next(iter(named or [other for other in others if set(other.addresses) & set(one.addresses)]), None)


def turned(before: Call, after: Call) -> list[str]:
    """What less evidence has turned around."""
    found = []
    people = before.diagnosis.people
    for one in after.diagnosis.people:
        was = same(one, people)
        if was is not None and one.cause is not None and one.cause not in OPEN and one.cause != was.cause:
            # where more left it open, less cannot know it
            found.append(f"{one.id}: {was.media_path}, {was.cause} became {one.cause} ({one.note})")
        if was is not None and was.cause and was.cause not in OPEN and one.cause is None:
            found.append(f"{one.id}: {was.cause} became media over {one.media_path}")
    names = {address: one.id for one in people for address in one.addresses}
    known = set(before.steps["participant"])
    bad = before.steps[before.steps["verdict"] == "DEVIATES"]
    broke = set(zip(bad["step"], bad["participant"], strict=True))
    for row in after.steps[after.steps["verdict"] == "DEVIATES"].itertuples():
        who = row.participant if row.participant in known else names.get(row.participant, row.participant)
        if (row.step, who) not in broke:
            found.append(f"{row.step} of {who} deviates now: {row.note}")
    return found


def failed(call: Call) -> set[str]:
    return {one.id for one in findings.audit(call, None) if one.result == "FAIL"}


@settings(
    max_examples=100 if NIGHTLY else 2, derandomize=not NIGHTLY, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    name=st.sampled_from(NAMES),
    view=st.sampled_from(VIEWS),
    kind=st.sampled_from(("late", "early", "part", "hole", "loss")),
    a=st.floats(0.02, 0.98),
    b=st.floats(0.02, 0.98),
)
@example("fp-munge", ("eth0", False), "late", 0.45, 0.5)  # certificates gone, checks go on: not a failed handshake
@example("jvb-p2p-3", ("eth0", False), "early", 0.1, 0.24)  # cut between ICE and DTLS
@example("turn-auth", ("any", False), "hole", 0.34, 0.5)  # the opening of TURN lost: not unreachable
@example("no-turn", ("eth0", True), "loss", 0.3, 0.5)  # answers lost: the ways of the call are still known
def test_less_of_a_capture_turns_nothing_around(
    recording: Callable[[str], Path], name: str, view: View, kind: str, a: float, b: float
) -> None:
    folder = recording(name)
    path = folder / f"capture-{view[0]}.pcapng"
    part = cuts.load(cuts.cut(path, kept(path, kind, a, b)), folder / "keys.txt" if view[1] else None)
    assert turned(whole(folder, view), part) == []


@pytest.mark.parametrize("name", thinned(["jvb-3", "turn-refused", "fp-munge", "no-bridge"]))
def test_neither_does_a_lost_key_or_a_lost_interface(recording: Callable[[str], Path], name: str) -> None:
    folder = recording(name)
    best, server, bare = (whole(folder, view) for view in VIEWS)
    assert turned(best, bare) == []
    assert turned(server, bare) == []
    assert turned(cuts.load(folder / "capture-any.pcapng", folder / "keys.txt"), best) == []


@pytest.mark.parametrize("size", [64, pytest.param(96, marks=pytest.mark.nightly("as with 64"))])
@pytest.mark.parametrize(
    ("name", "view"), [("jvb-ipv6", VIEWS[0]), ("p2p-relay-only", VIEWS[2]), ("turn-refused", VIEWS[1])]
)
def test_neither_do_frames_cut_short(recording: Callable[[str], Path], name: str, view: View, size: int) -> None:
    """What stands behind the cut was not left out by whoever sent it."""
    folder = recording(name)
    path = folder / f"capture-{view[0]}.pcapng"
    part = cuts.load(cuts.snapped(path, size), folder / "keys.txt" if view[1] else None)
    before = whole(folder, view)
    assert turned(before, part) == []
    assert failed(part) - failed(before) == set()


@pytest.mark.parametrize("name", ["no-turn", "jvb-mute"])
@pytest.mark.parametrize("end", ["src", "dst"])
def test_neither_does_a_capture_of_one_direction(recording: Callable[[str], Path], name: str, end: str) -> None:
    folder = recording(name)
    view = VIEWS[0]
    before = whole(folder, view)
    frames = before.frames
    server = before.diagnosis.server["addresses"][0]
    lost = set(frames.loc[frames[end] == server, "frame"])
    path = folder / "capture-eth0.pcapng"
    part = cuts.load(cuts.cut(path, lambda n: n not in lost), folder / "keys.txt")
    assert turned(before, part) == []
    assert failed(part) - failed(before) == set()


@pytest.mark.parametrize(
    "other",
    thinned(["stun_dtls_rtp.pcapng", "stun.pcap", "jabber.pcap", "stun_tcp_multiple_msgs_same_pkt.pcap", "dtls2.pcap"]),
)
@pytest.mark.parametrize(("name", "view"), [("turn-auth", VIEWS[0]), ("p2p-2", VIEWS[2])])
def test_neither_does_the_traffic_of_strangers(
    recording: Callable[[str], Path], data: Path, name: str, view: View, other: str
) -> None:
    """The people of the call stay, with what is said of them; nobody else joins them."""
    folder = recording(name)
    path = folder / f"capture-{view[0]}.pcapng"
    both = cuts.load(cuts.mixed(path, data / "pcaps" / other), folder / "keys.txt" if view[1] else None)
    before = whole(folder, view)
    assert turned(before, both) == []
    told = [[(one.id, one.media_path, one.cause) for one in call.diagnosis.people] for call in (before, both)]
    assert told[0] == told[1]


def test_a_relay_whose_opening_is_lost_is_no_other_relay(recording: Callable[[str], Path]) -> None:
    folder = recording("p2p-relay-only")
    path = folder / "capture-eth0.pcapng"
    before = whole(folder, VIEWS[0])
    stun = before.stun
    lost = set(stun.loc[stun["method"].eq("Allocate") & stun["transport"].eq("udp"), "frame"])
    lost |= {before.tcp.loc[before.tcp["length"].gt(0), "frame"].iloc[-1]}
    part = cuts.load(cuts.cut(path, lambda n: n not in lost), folder / "keys.txt")
    ways = {one.nick: {way.name for way in one.media_paths} for one in part.diagnosis.people}
    assert ways["ann"] == {"turn-udp"}


def test_what_may_be_lost_was_not_left_out(recording: Callable[[str], Path]) -> None:
    """Answers to checks before a handshake, or the login of whoever opened the room."""
    folder = recording("fp-munge")
    path = folder / "capture-eth0.pcapng"
    before = whole(folder, VIEWS[0])
    stun, tcp = before.stun, before.tcp
    answers = set(stun.loc[stun["method"].eq("Binding") & stun["message_class"].eq("success"), "frame"])
    hole = {int(tcp.loc[tcp["length"].gt(0), "frame"].iloc[40])}
    part = cuts.load(cuts.cut(path, lambda n: n not in answers | hole), folder / "keys.txt")
    assert failed(part) - failed(before) == set()


@pytest.mark.parametrize(("name", "view"), thinned([("clear-5222", VIEWS[0]), ("jvb-3", VIEWS[1])]))
def test_no_check_fails_by_where_a_capture_begins_or_ends(
    recording: Callable[[str], Path], name: str, view: View
) -> None:
    """In the midst of a handshake, whose checks came before; before somebody else logs in."""
    folder = recording(name)
    path = folder / f"capture-{view[0]}.pcapng"
    before = whole(folder, view)
    stun, dtls = before.stun, before.dtls
    spots = stun.loc[stun["method"].eq("Binding"), "frame"].iloc[[1, 5]].tolist()
    spots += dtls.loc[dtls["handshake_type"].eq("client_hello"), "frame"].drop_duplicates().tolist()
    for spot in spots:
        for keep in (lambda n, at=spot: n > at, lambda n, at=spot: n <= at):
            part = cuts.load(cuts.cut(path, keep), folder / "keys.txt" if view[1] else None)
            assert failed(part) - failed(before) == set()


@pytest.mark.parametrize("name", thinned(["jvb-p2p-3", "p2p-2", "turn-refused"]))
def test_a_mirror_port_proves_nothing_more(recording: Callable[[str], Path], name: str) -> None:
    folder = recording(name)
    once, again = (
        cuts.load(source, folder / "keys.txt").steps.set_index(["step", "participant", "session"])["verdict"]
        for source in (folder / "capture-eth0.pcapng", cuts.twice(folder / "capture-eth0.pcapng"))
    )
    assert again.to_dict() == once.to_dict()
