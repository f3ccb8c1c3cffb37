"""The tables http, xmpp and bridge, against what the clients of real calls logged."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from captures import captured
from hypothesis import given
from hypothesis import strategies as st
from streams import Bytes, carried, frame, ok, post, upgrade

from jitsilab.tables import xmpp as tables

CARRIERS = ["jvb-3", "jvb-bosh", "auth-ok", "hostile", "jvb-lossy", "leave-rejoin"]


def canonical(text: str) -> str:
    return ElementTree.canonicalize(text, strip_text=False, rewrite_prefixes=True)


def wanted(folder: Path) -> Counter[str]:
    """Every stanza that the clients logged, canonical, as often as it was logged."""
    found: Counter[str] = Counter()
    for log in sorted(folder.glob("stanzas-*.jsonl")):
        for line in log.read_text().splitlines():
            root = ElementTree.fromstring(json.loads(line)["xml"])
            some = list(root) if root.tag.endswith("}body") else [root]
            found.update(canonical(ElementTree.tostring(one, encoding="unicode")) for one in some)
    return found


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("point", ["eth0", "any"])
def test_every_logged_stanza_is_found_as_often_as_it_was_said(
    name: str, point: str, recording: Callable[[str], Path]
) -> None:
    folder = recording(name)
    table = captured(folder, point, keys=point == "eth0").xmpp
    bodies = table["namespace"] == "http://jabber.org/protocol/httpbind"
    found = Counter(map(canonical, table.loc[~bodies, "xml"]))
    logged = wanted(folder)
    assert not logged - found
    extra = found - logged
    assert sum(extra.values()) <= 12, extra  # a page that closes misses its last frames
    assert (table["clear"] == (point == "any")).all()


def test_frames_directions_and_answers(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-3")
    table = captured(folder).xmpp
    assert list(table.columns) == list(tables.SCHEMAS["xmpp"])
    assert (table["first_frame"] <= table["frame"]).all()
    assert table["frame"].is_monotonic_increasing
    # the frames of the three offers, as tshark has them: one spans seven
    offers = table[(table["child"] == "jingle") & (table["direction"] == "s2c")]
    assert list(zip(offers["first_frame"], offers["frame"], strict=True)) == [(340, 345), (334, 347), (374, 392)]
    answered = table[(table["name"] == "iq") & table["type"].isin(["result", "error"])]
    assert answered["request_frame"].notna().all()
    for _, row in answered.iterrows():
        asked = table[(table["frame"] == row["request_frame"]) & (table["id"] == row["id"])]
        assert len(asked) == 1
        assert asked.iloc[0]["direction"] != row["direction"]
        assert asked.iloc[0]["connection"] == row["connection"]
    up = table["direction"] == "c2s"
    assert set(table.loc[up, "dst_port"]) == {443}
    assert set(table.loc[~up, "src_port"]) == {443}


def test_a_login_in_clear(recording: Callable[[str], Path]) -> None:
    folder = recording("clear-5222")
    table = captured(folder, keys=False).xmpp
    assert table["clear"].all()
    assert set(table["carrier"]) == {"tcp"}
    assert set(table.loc[table["name"] == "auth", "direction"]) == {"c2s"}
    assert {"stream", "features", "success", "iq", "close"} <= set(table["name"])


def test_http_shows_no_secret(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-3")
    call = captured(folder, "any")
    channels = call.http[call.http["target"].str.contains("colibri-ws")]
    assert len(channels) == 9  # three, each at three places
    assert channels["target"].str.endswith("?pwd=***").all()
    assert (channels["status"] == 101).all()
    assert (channels["upgrade"] == "websocket").all()
    assert (channels["response_frame"] > channels["frame"]).all()
    assert set(call.http["version"]) == {"1.1", "2"}
    assert set(call.http["host"].dropna()) >= {"meet.lab"}
    for name in ("http", "errors"):
        said = call.table(name)
        assert said is not None
        jingle = " ".join(call.xmpp["xml"])
        secrets = {part.split("&")[0] for part in jingle.split("?pwd=")[1:]}
        secrets = {secret.partition("'")[0].partition('"')[0] for secret in secrets}
        assert secrets
        assert not any(secret in said.to_csv() for secret in secrets)


def test_bosh_polls_are_numbered(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-bosh")
    table = captured(folder).http
    polls = table.dropna(subset=["rid"])
    assert len(polls) == 23
    assert (polls["rid"].diff().dropna() == 1).all()
    assert polls["connection"].nunique() == 1
    assert set(polls["version"]) == {"2"}


JWT = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in (
        {"alg": "HS256"},
        {"iat": 1000, "exp": 4600, "room": "*", "context": {"user": {"email": "a@b.example"}}},
    )
)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/xmpp-websocket?room=a&token=abc.def", "/xmpp-websocket?room=a&token=***"),
        ("/x?PWD=1&b=2;jwt=3#access_token=4", "/x?PWD=***&b=2;jwt=***#access_token=***"),
        ("/x?p%77d=1&Session-Id=2", "/x?p%77d=***&Session-Id=***"),
        (f"/room/{JWT}.sig-na_ture/x", "/room/***/x"),
        ("http://user:word@host/x?sid=1", "http://***@host/x?sid=***"),
        ("/colibri-ws/a/b/c?pwd=", "/colibri-ws/a/b/c?pwd=***"),
        ("/x?room=password", "/x?room=password"),
        ("*", "*"),
    ],
)
def test_secrets_in_targets(target: str, shown: str) -> None:
    assert tables.redacted(target) == shown


@given(st.text(alphabet="?&;=#/%abpwdtokensid.eyJ", max_size=60))
def test_any_target_is_redacted_once_and_for_all(target: str) -> None:
    shown = tables.redacted(target)
    assert tables.redacted(shown) == shown
    tables.token(target)


def test_what_a_token_says_of_itself() -> None:
    assert tables.token(f"/xmpp-websocket?token={JWT}.c2ln") == "alg=HS256 lifetime=3600 room=*"
    assert tables.token("/xmpp-websocket?token=eyJhbGciOiJub25lIn0.e30.") == "alg=none lifetime=unlimited room=none"
    assert tables.token("/xmpp-websocket?token=abc") is None


class Few(SimpleNamespace):
    """Enough of a Wire for the tables; unlike its base it is known by what it is, not by what it holds."""

    __hash__ = object.__hash__


def wire(*flows: tuple[Bytes, Bytes]) -> Any:
    ends = [SimpleNamespace(client=("192.0.2.1", 5000 + n), server=("192.0.2.9", 443)) for n, _ in enumerate(flows)]
    return Few(
        carried=carried(*flows), flows=ends, time=lambda frame: frame * 10**6, seconds=lambda frame: frame / 1000
    )


def test_an_empty_capture_has_empty_tables() -> None:
    for name, build in tables.BUILD.items():
        rows, problems = build(wire())
        assert list(rows.columns) == list(tables.SCHEMAS[name])
        assert rows.empty
        assert not problems


def test_a_bridge_channel_with_odd_messages() -> None:
    up, down = upgrade("/colibri-ws/jvb1/conf/abcd1234?pwd=x", "")
    said = b'{"colibriClass":"ServerHello"}'
    odd = [b'{"colibriClass":', b"[1]", b'{"colibriClass":5}', b"{" * 100_000, said]
    rows, problems = tables.bridge(wire((Bytes(up), Bytes(down + b"".join(map(frame, odd)), first=900))))
    assert list(rows["json"]) == [said.decode()]
    assert list(rows["endpoint"]) == ["abcd1234"]
    assert len(problems) == 2


def test_an_answer_belongs_to_the_latest_request_of_the_other_side() -> None:
    up, down = upgrade()
    ask = frame(b"<iq xmlns='jabber:client' type='get' id='1'/>", mask=bytes(4))
    tell = frame(b"<iq xmlns='jabber:client' type='result' id='1'/>")
    other = frame(b"<iq xmlns='jabber:client' type='error' id='2'/>")
    rows, _ = tables.xmpp(wire((Bytes(up + ask * 2), Bytes(down + tell + other, first=900))))
    asked = list(rows.loc[rows["direction"] == "c2s", "frame"])
    assert rows.loc[rows["direction"] == "s2c", "request_frame"].tolist() == [asked[1], pd.NA]


def test_a_request_without_a_response_and_the_other_way_round() -> None:
    rows, _ = tables.http(
        wire((Bytes(post("<a/>", "/1?sid=2")), Bytes(b"")), (Bytes(b""), Bytes(ok("<x/>"), first=80)))
    )
    assert rows["status"].tolist() == [pd.NA, 200]
    assert rows["src"].tolist() == ["192.0.2.1", "192.0.2.9"]
    assert rows["target"].iloc[0] == "/1?sid=***"


def test_a_conference_request_over_http() -> None:
    asked = post('{"room":"standup@conference.x","machineUid":"u"}', "/conference-request/v1?room=standup")
    asked = asked.replace(b"text/xml", b"application/json")
    answer = ok('{"ready":true,"focusJid":"focus@auth.x","sessionId":"topsecret"}').replace(
        b"text/xml", b"application/json"
    )
    rows, _ = tables.http(wire((Bytes(asked), Bytes(answer, first=80))))
    assert rows[["room", "ready"]].to_numpy().tolist() == [["standup@conference.x", True]]
    assert "topsecret" not in rows.to_csv()
