"""The signs that causes are made of, against recordings whose fault is known and against healthy ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from by_night import thinned
from captures import captured

from jitsilab.case import cast, signs
from jitsilab.case.signs import PersonSigns, Signs
from jitsilab.inputs import registry

KEYS, LOOPBACK, SEALED = ("eth0", True), ("any", False), ("eth0", False)
POINTS = {"keys": KEYS, "loopback": LOOPBACK, "sealed": SEALED}

#: recording: the sign of everybody in it (laptop X alone after a slash), its reason, and from where it is seen
SEEN = [
    ("cert-expired", "tls_refused", "expired", ("keys",)),
    ("cert-expired", "tls_refused", "", ("loopback", "sealed")),
    ("ws-404", "signaling_refused", "http-404", ("keys",)),
    ("ws-502", "signaling_refused", "http-502", ("keys",)),
    ("ws-502", "signaling_refused", "", ("loopback",)),
    ("ws-noupgrade", "signaling_refused", "", ("keys",)),
    ("ws-noupgrade", "signaling_refused", "no-upgrade", ("loopback",)),
    ("bosh-404", "signaling_refused", "http-404", ("keys",)),
    ("token-expired", "login_refused", "token-expired", ("keys", "loopback")),
    ("guest-refused", "login_refused", "guest-refused", ("keys", "loopback")),
    ("focus-off", "focus_missing", "", ("keys", "loopback")),
    ("2021-focus-off", "focus_missing", "", ("keys", "loopback")),
    ("bridge-login", "bridge_missing", "", ("keys", "loopback")),
    ("2021-bridge-login", "bridge_missing", "", ("keys", "loopback")),
    ("bridge-stopped", "bridge_missing", "not-answering", ("keys", "loopback")),
    ("bridge-killed", "bridge_lost", "", ("keys", "loopback", "sealed")),
    ("addr-container", "mapping_missing", "", ("keys", "loopback")),
    ("hairpin/b", "hairpin", "", ("keys", "loopback")),
    ("udp-outbound", "outbound_blocked", "", ("keys", "loopback", "sealed")),
    ("turn-cert", "turn_tls_refused", "untrusted", ("keys",)),
    ("turn-cert", "turn_tls_refused", "", ("loopback", "sealed")),
    ("udp-snat", "source_rewritten", "", ("keys", "loopback")),
    ("colibri-403", "channel_refused", "http-403", ("keys",)),
    ("2021-colibri-403", "channel_refused", "http-403", ("keys",)),
    ("colibri-off", "channel_refused", "http-404", ("keys",)),
    ("no-mic/a", "sends_nothing", "", ("keys", "loopback")),
    ("jvb-lossy/a", "lossy", "", ("keys", "loopback", "sealed")),
    ("auth-required", "login_refused", "guest-refused", ("keys", "loopback")),
    ("no-bridge", "bridge_missing", "", ("keys", "loopback")),
    ("nat-map-missing-no-turn", "mapping_missing", "", ("keys", "loopback")),
]
HEALTHY = ["world-ok", "2021-world-ok", "token-ok", "two-bridges", "jvb-3", "jvb-bosh", "jvb-sctp", "jvb-ipv6",
           "jvb-mute", "auth-ok", "leave-rejoin", "jvb-p2p-3", "symmetric", "alone"]  # fmt: skip


Gathered = tuple[cast.Cast, Signs, dict[str, str]]


@pytest.fixture(scope="module")
def gathered(data: Path, recording: Callable[[str], Path]) -> Callable[[str, str], Gathered]:
    """Cast, signs and truth (id or address: laptop's letter) of a recording seen from a point."""
    made: dict[tuple[str, str], Gathered] = {}

    def get(name: str, point: str) -> Gathered:
        if (name, point) not in made:
            folder = recording(name) if name in registry.names() else data / "recordings" / name
            capture = captured(folder, *POINTS[point])
            who = cast.build(capture.tables())
            truth = json.loads((folder / "truth.json").read_text())["participants"]
            laptops = {one[key]: one["laptop"][-1] for one in truth for key in ("nick", "public", "private", "public6")
                       if one.get(key)}  # fmt: skip
            made[name, point] = who, signs.gather(who, capture.tables()), laptops
        return made[name, point]

    return get


def of_laptop(who: cast.Cast, found: Signs, laptops: dict[str, str]) -> dict[str, PersonSigns]:
    """The signs of each laptop."""
    return {laptops[next(one for one in (person.id, *person.addresses) if one in laptops)]: found.of_person(person)
            for person in who.people}  # fmt: skip


@pytest.mark.parametrize(("name", "sign", "reason", "points"), thinned(SEEN))
def test_a_fault_shows_its_sign(gathered, name: str, sign: str, reason: str, points: tuple[str, ...]) -> None:
    name, _, letter = name.partition("/")
    for point in points:
        seen = of_laptop(*gathered(name, point))
        wanted = {letter} if letter else set(seen)
        for laptop, one in seen.items():
            found = getattr(one, sign)
            assert (found is not None) is (laptop in wanted), (point, laptop)
            if found is not None:
                assert found.reason == reason, (point, laptop)
                assert found.frames
                assert found.note


@pytest.mark.parametrize(("name", "point"), thinned((name, point) for point in POINTS for name in HEALTHY))
def test_health_is_quiet(gathered, name: str, point: str) -> None:
    _, found, _ = gathered(name, point)
    assert [sign for one in found.people for sign in one.seen()] == []
    assert found.server.bridges_relay_broken is None
    assert found.server.source_rewritten is None


@pytest.mark.parametrize("point", POINTS)
def test_bridges_that_do_not_reach_each_other(gathered, point: str) -> None:
    assert gathered("two-bridges-broken", point)[1].server.bridges_relay_broken is not None


def test_where_the_server_is_told_by_a_pair_and_by_a_relay(gathered) -> None:
    assert [(one.address, one.by) for one in gathered("jvb-3", "keys")[1].server.public] == [("203.0.113.10", "mapped")]
    closed = gathered("udp-inbound-turn", "keys")[1].server
    assert [(one.address, one.by) for one in closed.public] == [("203.0.113.10", "relayed")]
    assert not any(one.mapping_wrong for one in gathered("udp-inbound-turn", "keys")[1].people)
