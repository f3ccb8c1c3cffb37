"""Joins against what is known of the recordings: their truth, their browsers' statistics, their bytes."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from captures import captured
from logged import xmpp_table

import jitsilab as jl
from jitsilab.analysis import joins
from jitsilab.tables import stun as stun_table


@pytest.fixture
def call(recording: Callable[[str], Path]) -> Callable[..., jl.Call]:
    return lambda name, *view: captured(recording(name), *view)


@pytest.mark.parametrize("name", ["jvb-3", "jvb-p2p-3", "turn-refused-long", "p2p-relay-only"])
def test_every_check_is_verified_with_a_password_from_jingle(call: Callable[..., jl.Call], name: str) -> None:
    here = call(name)
    accounts = [(username, "", password) for username, password in joins.turn_credentials(here.xmpp)]
    rows, _ = stun_table.table(here.wire, stun_table.Secrets(joins.passwords(here.jingle), accounts))
    signed = rows["attributes"].str.contains(r"\b0008\b", na=False)
    assert signed.sum() > 50
    assert rows.loc[signed, "integrity_ok"].eq(True).all()


def test_a_ufrag_used_twice_has_both_passwords() -> None:
    told = pd.DataFrame({"ufrag": ["a", "b", "a", "a", None], "pwd": ["1", "2", "1", "3", "4"]})
    assert joins.passwords(told) == {"a": ("1", "3"), "b": "2"}


def test_credentials_come_from_answers_and_from_metadata(recording: Callable[[str], Path]) -> None:
    secrets = {password for _, password in joins.turn_credentials(xmpp_table(recording("jvb-3")))}
    assert len(secrets) == 3
    assert joins.turn_credentials(xmpp_table(recording("no-turn"))) == []


def test_every_certificate_was_announced(call: Callable[..., jl.Call]) -> None:
    here = call("jvb-3")
    shown = joins.certificates(here.jingle, here.dtls, here.stun)
    assert len(shown) >= 6
    assert shown["match"].eq(True).all()
    assert set(shown["endpoint"]) == {"jvb", *(row[0] for row in here.participants["endpoints"])}
    assert set(shown["depth"]) == {0, 1}  # one of them inside TURN


def test_an_altered_fingerprint_does_not_match(call: Callable[..., jl.Call]) -> None:
    here = call("fp-munge")
    shown = joins.certificates(here.jingle, here.dtls, here.stun)
    ann = here.participants.set_index("nick").loc["ann", "endpoints"][0]
    wrong = shown[shown["match"].eq(False)]
    assert set(wrong["endpoint"]) == {ann}
    assert not shown.loc[shown["endpoint"] != ann, "match"].eq(False).any()


def test_without_jingle_no_verdict_on_certificates(call: Callable[..., jl.Call]) -> None:
    here = call("fp-munge")
    assert joins.certificates(None, here.dtls, here.stun)["match"].isna().all()


@pytest.mark.parametrize("name", ["jvb-3", "jvb-mute", "p2p-20ms"])
def test_every_stream_has_its_owner(call: Callable[..., jl.Call], recording: Callable[[str], Path], name: str) -> None:
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


def test_without_the_channel_a_rewritten_stream_has_no_owner(call: Callable[..., jl.Call]) -> None:
    here = call("colibri-off")
    found = joins.streams(here.media, here.sources, here.stun, here.jingle)
    assert set(found.loc[found["owner"].isna(), "sender"]) == {"jvb"}
    assert found.loc[found["sender"] != "jvb", "owner"].notna().all()
