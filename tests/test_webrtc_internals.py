# ruff: noqa: E501 - lines of programs stay whole
"""Dumps of chrome://webrtc-internals: what Chrome 156 saved in the recordings, an older form, and what is broken."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_delivery import Memory, best, from_file, tables

from jitsilab.inputs import browser, json_text, moments
from jitsilab.inputs.browser import webrtc_internals

DATA = Path(os.environ.get("JITSILAB_DATA", "/nowhere"))
RECORDINGS = DATA / "recordings"
needs = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="JITSILAB_DATA names no folder with recordings")
ALARM = {"media-denied", "ice-failed", "ice-ended", "ice-disconnected", "dtls-failed", "source-address", "media-stopped",
         "turn-unreachable", "turn-credentials-refused", "allocation-refused", "token-refused"}  # fmt: skip


def shown(name: str, laptop: str = "a") -> tuple[dict[str, pd.DataFrame], Any]:
    """Tables of a recording's dump."""
    return tables(webrtc_internals.KIND, from_file(RECORDINGS / name / f"webrtc_internals-laptop-{laptop}.txt.gz"))


@needs
@pytest.mark.parametrize("name", ["world-ok", "two-bridges", "2021-world-ok"])
def test_a_healthy_dump_is_quiet_and_agrees_with_get_stats(name: str) -> None:
    seen, source = shown(name, "b")
    said = set(seen["events"]["event"])
    assert not ALARM & said
    assert said >= {"offer-sent", "answer-received", "ice-connected", "dtls-done", "pair-nominated", "media-sent"}
    one = seen["peer_connections"].iloc[0]
    assert (one["kind"], one["state"], one["ice_state"]) == ("jvb", "connected", "connected")
    assert "?" not in one["url"]
    truth = json.loads((RECORDINGS / name / "stats-laptop-b.json").read_text())
    assert source.identity["local_ufrag"] & set(_values(truth, "usernameFragment"))
    assert not source.problems


def _values(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in ([inner] if key == name else _values(inner, name))]
    return [each for inner in value for each in _values(inner, name)] if isinstance(value, list) else []


SHOWN = [
    ("udp-snat", "source-address", "172.31.32.1", "203.0.113.10"),
    ("no-mic", "media-denied", "NotAllowedError", ""),
    ("no-mic", "sources-announced", "0", ""),
    ("token-expired", "token-refused", "Not acceptable by exp", None),
    ("udp-outbound", "check-unanswered", None, "host to srflx"),
    ("addr-container", "candidate-offered", "172.18.0.1", "10000 host"),
    ("udp-inbound-turn", "pair-nominated", None, "relay tls"),
    ("world-ok", "candidate-gathered", "192.168.1.23", "53360 host"),
]


@needs
@pytest.mark.parametrize("laptop", ["a", "b"])
def test_a_dump_that_was_saved_early_is_quiet_too(laptop: str) -> None:
    seen, _ = shown("token-ok", laptop)
    assert not ALARM & set(seen["events"]["event"])


@needs
@pytest.mark.parametrize(("name", "event", "value", "detail"), SHOWN)
def test_a_dump_shows_what_was_done(name: str, event: str, value: str | None, detail: str | None) -> None:
    rows = shown(name)[0]["events"]
    same = rows[rows["event"] == event]
    assert len(same)
    assert value is None or value in set(same["value"])
    assert detail is None or detail in set(same["detail"])
    assert (same["pointer"] != "").all()


@needs
def test_each_pointer_leads_to_what_it_says() -> None:
    delivery = from_file(RECORDINGS / "world-ok" / "webrtc_internals-laptop-a.txt.gz")
    dump = json.loads(delivery.data)
    for table in tables(webrtc_internals.KIND, delivery)[0].values():
        for place in set(table["pointer"]):
            value = dump
            for part in place.split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                value = value[int(part)] if isinstance(value, list) else value[part]


@needs
def test_events_hold_no_secret() -> None:
    delivery = from_file(RECORDINGS / "token-expired" / "webrtc_internals-laptop-a.txt.gz")
    token = delivery.data.decode().split("jwt=")[1].split('"')[0].split("&")[0]
    assert len(token) > 40
    seen = tables(webrtc_internals.KIND, delivery)[0]
    assert all(part not in seen["events"].to_csv() for part in token.split("."))
    delivery = from_file(RECORDINGS / "world-ok" / "webrtc_internals-laptop-a.txt.gz")
    password = delivery.data.decode().split("ice-pwd:")[1].split("\\")[0]
    seen = tables(webrtc_internals.KIND, delivery)[0]
    assert password in seen["pc_events"].to_csv()  # asked for by name
    assert password not in seen["events"].to_csv() + seen["peer_connections"].to_csv()


@pytest.mark.skipif(not (DATA / "reports").is_dir(), reason="JITSILAB_DATA names no folder with reports")
def test_the_older_form_and_a_harmless_701() -> None:
    seen, _ = tables(
        webrtc_internals.KIND, from_file(DATA / "reports/internals-701-harmless-2021/webrtc_internals_dump.txt")
    )
    said = set(seen["events"]["event"])
    assert not ALARM & said
    assert {"media-sent", "media-received", "ice-connected", "dtls-done"} <= said
    # 10:20:06 AM on the reader's clock is 09:20:06 UTC: its statistics, in UTC, start a second later
    assert str(seen["events"]["time"].min()) == "2021-12-12 09:20:06+00:00"


@needs
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.999])
def test_a_dump_cut_short_is_read_up_to_its_end(part: float) -> None:
    whole = from_file(RECORDINGS / "world-ok" / "webrtc_internals-laptop-a.txt.gz")
    cut = Memory(whole.data[: int(len(whole.data) * part)])
    assert best(browser.KINDS, cut) == webrtc_internals.KIND
    seen, source = tables(webrtc_internals.KIND, cut)
    assert len(source.problems) == 1
    assert "cut short" in source.problems[0].message
    assert len(seen["stats"])
    assert set(seen["stats"]["field"]) <= set(tables(webrtc_internals.KIND, whole)[0]["stats"]["field"])


def dump(log: list[tuple[str, Any]], stats: dict[str, tuple[str, list[Any]]] | None = None) -> Memory:
    """A small dump in Chrome's form: entries a second apart, series of a value a second."""
    start = 1_790_000_000_000
    series = {
        name: {"startTime": moment(0), "statsType": kind, "values": json.dumps(values),
               "endTime": moment(len(values) - 1)}
        for name, (kind, values) in (stats or {}).items()
    }  # fmt: skip
    entries = [{"type": kind, "value": json.dumps(value), "timestamp": start + 1000 * number}
               for number, (kind, value) in enumerate(log)]  # fmt: skip
    return Memory(json.dumps({"getUserMedia": [], "PeerConnections": {"1-1": {
        "url": "https://meet.example/room", "rtcConfiguration": "{}", "stats": series, "updateLog": entries}}}))  # fmt: skip


def moment(seconds: int) -> str:
    return pd.Timestamp(1_790_000_000 + seconds, unit="s").isoformat() + ".000Z"


def said(made: Memory) -> list[tuple[str, str, str]]:
    rows = tables(webrtc_internals.KIND, made)[0]["events"]
    return list(zip(rows["event"], rows["value"], rows["detail"], strict=True))


ERROR = {"address": "192.0.2.0", "port": 1, "hostCandidate": "", "url": "turns:turn.example:443?transport=tcp"}


def test_errors_of_a_relay_count_only_where_none_was_given() -> None:
    failed = ("onicecandidateerror", {**ERROR, "errorText": "TURN allocate request timed out.", "errorCode": 701})
    refused = ("onicecandidateerror", {**ERROR, "errorText": "Unauthorized", "errorCode": 401})
    relay = ("onicecandidate", {"candidate": "candidate:1 1 udp 1 203.0.113.9 5000 typ relay raddr 0.0.0.0 rport 0",
                                "url": ERROR["url"], "relayProtocol": "tls"})  # fmt: skip
    assert said(dump([failed])) == [("turn-unreachable", ERROR["url"], "timeout")]
    assert said(dump([refused])) == [("turn-credentials-refused", ERROR["url"], "")]
    assert [event for event, *_ in said(dump([failed, refused, relay]))] == ["candidate-gathered", "allocation-made"]


def test_a_way_that_falls_silent_and_one_that_does_not() -> None:
    silent = {
        "T-packetsReceived": ("transport", [5, 50, 90] + [90] * 12),
        "T-dtlsState": ("transport", ["connected"] * 15),
    }
    assert ("media-stopped", "90", "") in said(dump([], silent))
    alive = {"T-packetsReceived": ("transport", list(range(5, 20))), "T-dtlsState": ("transport", ["connected"] * 15)}
    assert "media-stopped" not in {event for event, *_ in said(dump([], alive))}


def test_ice_that_connects_without_dtls() -> None:
    states = [("oniceconnectionstatechange", "checking"), ("oniceconnectionstatechange", "connected"),
              ("onconnectionstatechange", "failed")]  # fmt: skip
    assert said(dump(states))[-1][0] == "dtls-failed"
    assert [event for event, *_ in said(dump([states[0], ("oniceconnectionstatechange", "closed")]))] == [
        "ice-checking", "ice-ended"]  # fmt: skip


def test_a_description_that_is_set_without_an_argument_is_the_one_made_last() -> None:
    answer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=recvonly\r\n"
    made = dump([("createAnswerOnSuccess", {"type": "answer", "sdp": answer}), ("setLocalDescription", "")])
    assert ("sources-announced", "0", "") in said(made)


@pytest.mark.parametrize("data", [
    b"{", b'{"PeerConnections": 3}', b'{"PeerConnections": {"1": 4, "2": {"updateLog": [1, null, {"type": 5}], "stats": 7}}}',
    b'{"PeerConnections": ' + b"[" * 100_000, b'{"PeerConnections": {"1": {"updateLog": [{"timestamp": 1e999, "type": "x"}]}}}',
    b'{"timestamp": ' + b"9" * 6000 + b', "getUserMedia": [{"error": {"a": 1}, "timestamp": NaN}], "PeerConnections": {}}',
    b'{"PeerConnections": {"1": {"stats": {"a-b": {"values": "[1,2", "startTime": "x"}, "-": {"values": [null]}}}}}',
    b'{"PeerConnections": {"1": {"updateLog": [{"type": "setRemoteDescription", "value": {"type": "offer", "sdp": [1]}}]}}}',
])  # fmt: skip
def test_hostile_dumps_are_read_as_far_as_they_go(data: bytes) -> None:
    tables(webrtc_internals.KIND, Memory(data))


def test_json_that_was_cut_keeps_what_stands_before() -> None:
    text = '{"a": [1, {"b": "x\\"y", "c": true}, 2.5e3], "d": null, "é": "z"}'
    for end in range(len(text)):
        read = json_text.parse(text[:end])
        if read.value is not None:
            assert read.problem or text[:end] == text
            assert set(read.value) <= set(json.loads(text))
    assert json_text.parse(text).value == json.loads(text)
    assert json_text.parse('{"a": 1, "b": oops, "c": 2}').value == {"a": 1}


def test_local_dates_of_several_countries() -> None:
    near = moments.from_iso("2021-02-05T21:02:11Z")
    for text in (
        "2/5/2021, 9:02:11 PM",
        "5.2.2021, 21:02:11",
        "05/02/2021 21:02:11",
        "2021/2/5 21:02:11",
        "2021-02-05 21:02:11",
    ):
        assert moments.from_local(text, near) == near, text
    assert moments.from_local("2/5/2021, 9:02:11 PM") is None  # day or month: nothing tells
    assert moments.from_local("30/12/2021 21:02:11") is not None
