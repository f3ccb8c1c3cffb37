"""The people of a call against the truth of the recordings: who, from where, under which names."""

import json
from collections.abc import Callable
from pathlib import Path

import cuts
import pandas as pd
import pytest
from by_night import thinned
from captures import captured

import jitsilab as jl
from jitsilab.case import cast as people
from jitsilab.case.cast import Person, gateways
from jitsilab.case.legs import Leg


def participants(folder: Path, point: str = "eth0", keys: bool = True) -> pd.DataFrame:
    return captured(folder, point, keys).participants


def truth(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((folder / "truth.json").read_text())["participants"]
    return found


NAMES = ("jvb-3", "leave-rejoin", "jvb-bosh", "p2p-leave-rejoin", "hostile", "clear-5222", "jvb-ipv6")


@pytest.mark.parametrize(
    ("name", "point", "keys"),
    thinned((name, point, keys) for point, keys in (("eth0", True), ("any", False)) for name in NAMES),
)
def test_each_person_has_one_row_and_its_address(
    recording: Callable[[str], Path], name: str, point: str, keys: bool
) -> None:
    folder = recording(name)
    rows, known = participants(folder, point, keys), truth(folder)
    assert len(rows) == len(known)
    for one in known:
        (row,) = rows[rows["nick"] == one["nick"]].itertuples(index=False)
        assert set(row.addresses) <= {one["public"], one["private"], one.get("public6")}
        assert row.addresses
        assert len(row.endpoints) <= len(row.jids)
        assert row.ssrcs
    assert max(map(len, rows["endpoints"])) == (2 if "rejoin" in name else 1)


@pytest.mark.parametrize("name", ["jvb-3", "jvb-ipv6", "udp-closed"])
def test_without_keys_a_person_is_what_stands_behind_addresses(recording: Callable[[str], Path], name: str) -> None:
    folder = recording(name)
    rows, known = participants(folder, keys=False), truth(folder)
    assert rows["nick"].isna().all()
    assert len(rows) == len(known)
    assert {one["public"] for one in known} <= {address for row in rows["addresses"] for address in row}


def test_refused_guests_are_found_behind_the_proxy(recording: Callable[[str], Path]) -> None:
    folder = recording("auth-required")
    rows = participants(folder, "any", False)
    assert {row[0] for row in rows["addresses"]} == {one["public"] for one in truth(folder)}


def test_a_participant_s_own_capture(recording: Callable[[str], Path]) -> None:
    folder = recording("client-a")
    rows = participants(folder, "laptop-a-eth0")
    ann = next(one for one in truth(folder) if one["nick"] == "ann")
    assert rows.set_index("nick").loc["ann", "addresses"] == [ann["private"]]


def test_the_server_is_nobody(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-3")
    known = json.loads((folder / "truth.json").read_text())["server"]
    found = people.build(captured(folder).tables())
    assert found.servers == [known["private"]]
    assert found.public == known["public"]
    assert not {known["private"], known["public"]} & {a for one in found.people for a in one.addresses}


def test_two_of_one_name_at_one_time_are_two() -> None:
    flows = {1: "198.51.100.1", 2: "198.51.100.2"}
    here = people.Person("ann", xmpp_streams=[people.XmppStream(0, {1}, start=0, end=9)])
    assert people._beside(here, people.XmppStream(1, {2}, start=5, end=9), flows)
    assert not people._beside(here, people.XmppStream(1, {2}, start=10, end=19), flows)  # came back from elsewhere
    assert not people._beside(here, people.XmppStream(1, {1}, start=5, end=9), flows)  # the old connection had broken


def test_two_calls_at_one_server_behind_its_proxy_share_names_and_no_more(recording: Callable[[str], Path]) -> None:
    first, second = recording("jvb-2"), recording("udp-closed-no-turn")
    moved = {"198.51.100.20": "198.51.100.21", "198.51.100.140": "198.51.100.141"}
    both = cuts.load(cuts.mixed(first / "capture-any.pcapng", second / "capture-any.pcapng", moved))
    found = {(one.nick, *one.addresses, one.media_path, one.cause) for one in both.diagnosis.people}
    assert found == {
        ("ann", "198.51.100.20", "jvb-udp", None), ("ben", "198.51.100.140", "jvb-udp", None),
        ("ann", "198.51.100.21", "none", "udp-blocked"), ("ben", "198.51.100.141", "none", "udp-blocked"),
    }  # fmt: skip


def test_a_page_and_a_websocket_are_no_reason_to_claim_a_call(recording: Callable[[str], Path]) -> None:
    folder = recording("auth-required")
    call = captured(folder, keys=False)
    who = people.build(call.tables())
    assert who.jitsi == ""
    assert "as many pages" in who.recognition.could_be
    assert len(who.people) == 2
    assert call.participants.empty


def test_an_idle_telephone_is_in_no_call(data: Path) -> None:
    call = jl.load(data / "faults" / "android-no-jitsi.pcap")
    assert people.build(call.tables()).jitsi == ""
    assert call.participants.empty


@pytest.mark.parametrize(("point", "keys"), [("eth0", True), ("any", False), ("eth0", False)])
def test_both_families_of_addresses_are_the_same_server_and_people(
    recording: Callable[[str], Path], point: str, keys: bool
) -> None:
    folder = recording("jvb-ipv6")
    call = captured(folder, point, keys)
    who = people.build(call.tables())
    assert set(who.servers) == {"172.31.37.118", "2001:db8:1c::10"}
    owners = people.addresses(who, call.flows)
    assert not set(owners) & set(who.servers)
    assert len(set(owners.values())) == 3
    assert {"2001:db8:1a::23", "198.51.100.20", "2001:db8:1b::23", "198.51.100.140", "192.0.2.30"} == set(owners)
    assert owners["198.51.100.20"] == owners["2001:db8:1a::23"]


def test_others_captures_have_nobody_of_a_call(data: Path) -> None:
    for path in sorted((data / "pcaps").glob("*.pcap*")):
        assert jl.load(path).participants.empty, path.name


def leg(port: int, first: float, last: float, kind: str = "jvb") -> Leg:
    return Leg(port, "udp", "172.31.32.1", port=port, kind=kind, ufrags={(f"own{port}", "bridge")}, sent=[1],
               first=first, last=last)  # fmt: skip


@pytest.mark.parametrize(
    ("legs", "address", "found"),
    [
        ([leg(1000, 3.0, 20.0), leg(1001, 4.0, 18.0)], "172.31.32.1", True),
        (
            [leg(1000, 3.0, 9.0), leg(1001, 10.0, 18.0)],
            "172.31.32.1",
            False,
        ),  # somebody came again
        ([leg(1000, 3.0, 20.0), leg(1001, 4.0, 18.0, "p2p")], "172.31.32.1", False),  # bridge and peer of one browser
        ([leg(1000, 3.0, 20.0)], "172.31.32.1", False),
        ([leg(1000, 3.0, 20.0), leg(1001, 4.0, 18.0)], "198.51.100.7", False),  # people behind one public address
    ],
)
def test_a_gateway_that_puts_in_its_own_address_is_nobody(legs: list[Leg], address: str, found: bool) -> None:
    pages = [Person(addresses=[one], flows={number: "web"}) for number, one in enumerate(("198.51.100.1", "10.0.0.9"))]
    stranger = Person(addresses=[address], legs=legs, udp=True)
    assert bool(gateways([*pages, stranger])) is found
    assert not gateways([stranger])  # of pages that were opened before the capture nothing is known


def test_the_logs_of_a_call_name_its_two_participants_alone(recording: Callable[[str], Path]) -> None:
    people = jl.load(recording("bridge-killed") / "logs-whole").diagnosis.people
    assert sorted(one.id for one in people) == ["1d13aac9", "e2ade3e5"]
