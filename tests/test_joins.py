"""Joins against what is known of the recordings: their truth, their browsers' statistics, their bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from logged import xmpp_table

import jitsilab as jl
from jitsilab.analysis import joins
from jitsilab.analysis.identities import NEEDS, servers
from jitsilab.tables import stun as stun_table


@pytest.fixture(scope="module")
def call(recording: Callable[[str], Path]) -> Callable[..., jl.Capture]:
    made: dict[tuple[str, str, bool], jl.Capture] = {}

    def get(name: str, point: str = "eth0", keys: bool = True) -> jl.Capture:
        if (name, point, keys) not in made:
            folder = recording(name)
            keylog = folder / "keys.txt" if keys else None
            made[name, point, keys] = jl.load(folder / f"capture-{point}.pcapng", keylog=keylog)
        return made[name, point, keys]

    return get


def people(call: jl.Capture) -> pd.DataFrame:
    return joins.identities({name: call.table(name) for name in NEEDS})


def truth(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((folder / "truth.json").read_text())["participants"]
    return found


@pytest.mark.parametrize(
    "name", ["jvb-3", "leave-rejoin", "jvb-bosh", "p2p-leave-rejoin", "hostile", "clear-5222", "jvb-ipv6"]
)
@pytest.mark.parametrize(("point", "keys"), [("eth0", True), ("any", False)])
def test_each_person_has_one_row_and_its_address(
    call: Callable[..., jl.Capture], recording: Callable[[str], Path], name: str, point: str, keys: bool
) -> None:
    rows, known = people(call(name, point, keys)), truth(recording(name))
    assert len(rows) == len(known)
    for one in known:
        (row,) = rows[rows["nick"] == one["nick"]].itertuples(index=False)
        assert one["public"] in row.seen_addresses
        allowed = {one["public"], one["private"], one.get("public6")}
        assert set(row.addresses) <= allowed
        assert len(row.endpoints) <= len(row.connections) == len(row.jids)
        assert row.signaling_flows
    stays = 2 if "rejoin" in name else 1
    assert sorted(map(len, rows["endpoints"]))[-1] == stays


@pytest.mark.parametrize("name", ["jvb-3", "jvb-ipv6", "auth-required", "udp-closed"])
def test_without_keys_a_person_is_an_address(
    call: Callable[..., jl.Capture], recording: Callable[[str], Path], name: str
) -> None:
    rows, known = people(call(name, "eth0", False)), truth(recording(name))
    assert rows["nick"].isna().all()
    assert len(rows) == len(known)
    assert {one["public"] for one in known} <= {address for row in rows["addresses"] for address in row}


def test_refused_guests_are_found_behind_the_proxy(
    call: Callable[..., jl.Capture], recording: Callable[[str], Path]
) -> None:
    rows = people(call("auth-required", "any", False))
    assert {row[0] for row in rows["addresses"]} == {one["public"] for one in truth(recording("auth-required"))}
    assert all(map(len, rows["connections"]))


def test_a_participant_s_own_capture(recording: Callable[[str], Path]) -> None:
    folder = recording("client-a")
    here = jl.load(folder / "capture-laptop-a-eth0.pcapng", keylog=folder / "keys.txt")
    rows = people(here)
    ann = next(one for one in truth(folder) if one["nick"] == "ann")
    (row,) = rows[rows["nick"] == "ann"].itertuples(index=False)
    assert row.seen_addresses == (ann["private"],)
    assert ann["public"] in row.other_addresses  # the bridge told it
    assert not rows.loc[rows["nick"] == "cem", "addresses"].iloc[0]


def test_the_server_is_nobody(call: Callable[..., jl.Capture], recording: Callable[[str], Path]) -> None:
    known = json.loads((recording("jvb-3") / "truth.json").read_text())["server"]
    here = call("jvb-3")
    assert servers(here.table("flows"), here.table("candidates"), here.table("stun")) >= {
        known["private"],
        known["public"],
    }
    assert not {known["private"], known["public"]} & {a for row in people(here)["addresses"] for a in row}


@pytest.mark.parametrize("name", ["jvb-3", "jvb-p2p-3", "turn-refused-long", "p2p-relay-only"])
def test_every_check_is_verified_with_a_password_from_jingle(call: Callable[..., jl.Capture], name: str) -> None:
    here = call(name)
    rows = here.table("stun")
    assert rows is not None
    accounts = [(username, "", password) for username, password in joins.turn_credentials(here.xmpp)]
    verdicts = stun_table.integrity(here.wire, joins.passwords(here.jingle), accounts)
    signed = rows["attributes"].str.contains(r"\b0008\b", na=False)
    assert signed.sum() > 50
    assert verdicts[signed.to_numpy()].eq(True).all()


def test_a_ufrag_used_twice_has_both_passwords() -> None:
    told = pd.DataFrame({"ufrag": ["a", "b", "a", "a", None], "pwd": ["1", "2", "1", "3", "4"]})
    assert joins.passwords(told) == {"a": ("1", "3"), "b": "2"}


def test_credentials_come_from_answers_and_from_metadata(recording: Callable[[str], Path]) -> None:
    secrets = {password for _, password in joins.turn_credentials(xmpp_table(recording("jvb-3")))}
    assert len(secrets) == 3
    assert joins.turn_credentials(xmpp_table(recording("no-turn"))) == []


def test_every_certificate_was_announced(call: Callable[..., jl.Capture]) -> None:
    here = call("jvb-3")
    shown = joins.certificates(here.jingle, here.dtls, here.stun)
    assert len(shown) >= 6
    assert shown["match"].eq(True).all()
    assert set(shown["endpoint"]) == {"jvb", *(row[0] for row in people(here)["endpoints"])}
    assert set(shown["depth"]) == {0, 1}  # one of them inside TURN


def test_an_altered_fingerprint_does_not_match(call: Callable[..., jl.Capture]) -> None:
    here = call("fp-munge")
    shown = joins.certificates(here.jingle, here.dtls, here.stun)
    ann = people(here).set_index("nick").loc["ann", "endpoints"][0]
    wrong = shown[shown["match"].eq(False)]
    assert set(wrong["endpoint"]) == {ann}
    assert not shown.loc[shown["endpoint"] != ann, "match"].eq(False).any()


def test_without_jingle_no_verdict_on_certificates(call: Callable[..., jl.Capture]) -> None:
    here = call("fp-munge")
    assert joins.certificates(None, here.dtls, here.stun)["match"].isna().all()


@pytest.mark.parametrize("name", ["jvb-3", "jvb-mute", "p2p-20ms"])
def test_every_stream_has_its_owner(
    call: Callable[..., jl.Capture], recording: Callable[[str], Path], name: str
) -> None:
    here = call(name)
    found = joins.streams(here.media, here.sources, here.stun, here.jingle)
    assert len(found) == len(here.media)
    assert found["owner"].notna().all()
    client = found[found["sender"] != "jvb"]
    assert (client["owner"] == client["sender"]).all()
    assert set(client["origin"]) == {"jingle"}
    bridge = found[(found["sender"] == "jvb") & (found["owner"] != "jvb")]
    assert set(bridge["origin"]) <= {"bridge"}
    assert (bridge["owner"] != bridge["receiver"]).all()


def test_without_the_channel_a_rewritten_stream_has_no_owner(call: Callable[..., jl.Capture]) -> None:
    here = call("colibri-off")
    found = joins.streams(here.media, here.sources, here.stun, here.jingle)
    assert set(found.loc[found["owner"].isna(), "sender"]) == {"jvb"}
    assert found.loc[found["sender"] != "jvb", "owner"].notna().all()


def test_nothing_known_nothing_said() -> None:
    assert joins.identities({}).empty
    assert joins.identities(dict.fromkeys(NEEDS)).empty
