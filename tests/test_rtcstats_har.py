# ruff: noqa: E501 - lines of programs stay whole
"""Dumps of rtcstats in both forms, made of a recording's own dump, and archives of requests."""

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from made_delivery import Memory, best, from_file, tables

from jitsilab.inputs import browser
from jitsilab.inputs.browser import har, rtcstats, webrtc_internals

RECORDINGS = Path(os.environ.get("JITSILAB_DATA", "/nowhere")) / "recordings"
needs = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="JITSILAB_DATA names no folder with recordings")
NUMBER = {name: number for number, name in rtcstats._METHODS.items()}
FIELD = {name: number for number, name in rtcstats._FIELDS.items()}
TYPE = {name: number for number, name in rtcstats._TYPES.items()}


def entries(name: str) -> list[tuple[str, Any, float]]:
    """Method, value and time (ms) of a recording's dump, its statistics as reports of every second."""
    dump = json.loads(from_file(RECORDINGS / name / "webrtc_internals-laptop-b.txt.gz").data)
    connection = next(iter(dump["PeerConnections"].values()))
    told = [(each["type"], json.loads(each["value"] or '""'), each["timestamp"]) for each in connection["updateLog"]]
    seen, _ = tables(webrtc_internals.KIND, from_file(RECORDINGS / name / "webrtc_internals-laptop-b.txt.gz"))
    for time, rows in seen["stats"][~seen["stats"]["field"].str.startswith("[")].groupby("time"):
        report: dict[str, dict[str, Any]] = {}
        for row in rows.itertuples():
            value = row.value
            with contextlib.suppress(ValueError):  # numbers and true, false; the rest is text
                value = json.loads(value)
            report.setdefault(row.id, {"type": row.type})[row.field] = value
        told.append(("getStats", report, time.timestamp() * 1000))
    return sorted(told, key=lambda each: each[2])


def changed(before: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """What is new in a report."""
    return {name: {key: value for key, value in fields.items() if before.get(name, {}).get(key) != value}
            for name, fields in report.items()}  # fmt: skip


def as_format_3(name: str) -> Memory:
    lines, last, before = ["RTCStatsDump", json.dumps({"url": "https://meet.lab/room?x=y", "fileFormat": 3})], 0.0, {}
    for method, value, time in entries(name):
        if method == "getStats":
            delta = changed(before, value)
            before = value
            value = {
                key: {FIELD.get(f, f): TYPE.get(v, v) if f == "type" else v for f, v in fields.items()}
                for key, fields in delta.items()
                if fields
            }
            value["t"] = time
        lines.append(json.dumps([NUMBER.get(method, method), "1-PC", value, time - last]))
        last = time
    return Memory("\n".join(lines) + "\n")


def as_trace(name: str) -> Memory:
    lines = [json.dumps(["connectionInfo", None, {"origin": "https://meet.lab", "url": "https://meet.lab/room"}, 1790000000000]),
             json.dumps(["identity", None, {"endpointId": "4c9b6bf7", "displayName": "ben"}, 1790000000001]),
             json.dumps(["constraints", "PC_0", {"optional": [{"rtcStatsSFUP2P": False}]}, 1790000000002])]  # fmt: skip
    before: dict[str, Any] = {}
    for method, value, time in entries(name):
        if method == "getStats":
            delta = changed(before, value)
            before, value, method = value, {**delta, "timestamp": time}, "getstats"
        lines.append(json.dumps([method, "PC_0", json.dumps(value) if method == "getstats" else value, time]))
    return Memory("\n".join(lines) + "\n")


@needs
@pytest.mark.parametrize("form", [as_format_3, as_trace])
@pytest.mark.parametrize("name", ["world-ok", "udp-snat", "udp-outbound"])
def test_the_same_call_reads_the_same_in_every_dump(form: Any, name: str) -> None:
    made = form(name)
    assert best(browser.KINDS, made) == rtcstats.KIND
    seen, source = tables(rtcstats.KIND, made)
    other, first = tables(webrtc_internals.KIND, from_file(RECORDINGS / name / "webrtc_internals-laptop-b.txt.gz"))
    named = ["event", "value", "detail", "status"]
    mine, its = (
        set(map(tuple, each["events"][each["events"]["event"] != "media-denied"][named].astype(str).to_numpy()))
        for each in (seen, other)
    )
    assert mine == its
    assert source.identity["local_ufrag"] == first.identity["local_ufrag"]
    assert not source.problems
    assert (seen["events"]["line"] > 0).all()


@needs
def test_one_broken_line_costs_one_line() -> None:
    whole = as_format_3("world-ok").data.split(b"\n")
    whole[8] = whole[8][:-5]
    seen, source = tables(rtcstats.KIND, Memory(b"\n".join(whole)))
    assert [problem.message for problem in source.problems] == ["line 9 is no JSON"]
    assert "pair-nominated" in set(seen["events"]["event"])


@pytest.mark.parametrize("data", [b"RTCStatsDump\n", b"RTCStatsDump\n[1,2,3,4]\n[" + b"[" * 9999 + b"\n", b'["create","PC",{},"x"]\n',
                                  b'RTCStatsDump\n{}\n["g","1",{"0":{"10":5,"type":{"a":1}},"t":1e400},1e308]\n["g","1",{"0":null},1e308]\n'])  # fmt: skip
def test_hostile_traces(data: bytes) -> None:
    tables(rtcstats.KIND, Memory(data))


def archive(*entries: dict[str, Any]) -> Memory:
    """A small archive in the form of HAR 1.2."""
    return Memory(
        json.dumps(
            {
                "log": {
                    "version": "1.2",
                    "creator": {"name": "WebInspector", "version": "537.36"},
                    "pages": [],
                    "entries": list(entries),
                }
            }
        )
    )


def request(
    url: str, status: int, error: str | None = None, messages: list[Any] | None = None, kind: str = ""
) -> dict[str, Any]:
    made = {"startedDateTime": "2026-11-29T15:35:43.100+01:00", "_resourceType": kind, "request": {"method": "GET", "url": url},
            "response": {"status": status, "content": {"size": 0}, "_error": error}}  # fmt: skip
    return made if messages is None else {**made, "_webSocketMessages": messages}


def said(*entries: dict[str, Any]) -> list[tuple[str, str, str]]:
    made = archive(*entries)
    assert best(browser.KINDS, made) == har.KIND
    rows = tables(har.KIND, made)[0]["events"]
    return list(zip(rows["event"], rows["value"], rows["detail"], strict=True))


SOCKET = "wss://meet.example/xmpp-websocket?room=x"


def test_an_archive_shows_what_was_refused() -> None:
    assert said(request(SOCKET, 404)) == [("signaling-refused", "/xmpp-websocket", "")]
    assert said(request("https://meet.example/http-bind", 502)) == [("signaling-refused", "/http-bind", "")]
    assert said(request(SOCKET, 101, messages=[{"type": "send", "data": "<open/>", "time": 1790000000.1}])) == [
        ("signaling-refused", "/xmpp-websocket", "no-upgrade")]  # fmt: skip
    assert said(request("https://meet.example/", 0, "net::ERR_CERT_COMMON_NAME_INVALID", kind="document")) == [
        ("tls-refused", "name-mismatch", "page")]  # fmt: skip
    assert said(request("wss://meet.example/colibri-ws/s/0a1b/ab12cd34?pwd=secret", 403)) == [
        ("channel-refused", "", "")
    ]
    assert (
        said(
            request("https://cdn.example/a/b.js", 404),
            request("https://x.example/a/b.png", 0, "net::ERR_CERT_DATE_INVALID"),
        )
        == []
    )


def test_messages_of_a_socket_are_read() -> None:
    failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-allowed/><text>token required</text></failure>"
    assert said(request(SOCKET, 101, messages=[{"type": "receive", "data": failure, "time": 1790000000.5}]))[1] == (
        "token-refused", "token required", "")  # fmt: skip
    asked = "<iq to='focus.meet.example' type='set' id='a:1' xmlns='jabber:client'><conference xmlns='http://jitsi.org/protocol/focus'/></iq>"
    answer = (
        "<iq type='error' id='a:1' from='focus.meet.example'><error type='cancel'><service-unavailable/></error></iq>"
    )
    messages = [{"type": "send", "data": asked, "time": 1}, {"type": "receive", "data": answer, "time": 2}]
    assert ("focus-unavailable", "service-unavailable", "") in said(request(SOCKET, 101, messages=messages))


def test_a_token_that_is_too_old_is_told_and_not_shown() -> None:
    claims = (
        base64.urlsafe_b64encode(json.dumps({"exp": 1_700_000_000, "context": {"user": "Cem"}}).encode())
        .decode()
        .rstrip("=")
    )
    token = f"eyJhbGciOiJIUzI1NiJ9.{claims}.c2lnbmF0dXJl"
    made = archive(
        request(f"{SOCKET}&token={token}", 101, messages=[{"type": "receive", "data": "<open/>", "time": 1}])
    )
    seen = tables(har.KIND, made)[0]
    assert ("token-refused", "Not acceptable by exp") in set(
        zip(seen["events"]["event"], seen["events"]["value"], strict=True)
    )
    assert claims not in "".join(each.to_csv() for each in seen.values())
    assert "secret" not in seen["requests"].to_csv()


@pytest.mark.parametrize("data", [b'{"log": {"entries": [1, {"request": 5}, {"response": {"status": "x"}}, {"request": {"url": "http://[bad"}}]}}',
                                  b'{"log": {"entries": [{"request": {"url": "wss://a/xmpp-websocket"}, "response": {"status": 101}, "_webSocketMessages": [3, {"data": 4}]'])  # fmt: skip
def test_hostile_archives(data: bytes) -> None:
    tables(har.KIND, Memory(data))
