# ruff: noqa: E501  (a line of a log is one line)
"""How a line reaches us: compose, journald, syslog, JSON, other encodings, broken, hostile; and what a time is."""

import io
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_pieces import Piece, events, piece, source, table

from jitsilab.inputs import logs
from jitsilab.inputs.logs import decoding
from jitsilab.inputs.logs.times import SECOND, Beside, iso, java_date, month

JVB = (
    "JVB 2024-06-03 23:34:18.604 INFO: [280] [confId=3f6b56384cb09841 conf_name=a@muc.meet.jitsi meeting_id=db84e9e3"
    " epId=f7cda133 stats_id=Al-co1 local_ufrag=9u ufrag=9u] Agent.setState#934: ICE state changed from Running to Failed."
)
JICOFO = "Jicofo 2024-06-03 23:34:19.000 WARNING: [28] BridgeSelector.removeJvbAddress#112: Lost a bridge: brewery@x/b1"
PROSODY = "c2s55b5d1f2a000                                              info\tAuthenticated as jvb@auth.meet.jitsi"
AT = 1717457658 * SECOND + 604_000_000  # date -u -d '2024-06-03 23:34:18' +%s

WRAPPED = {
    "plain": JVB,
    "crlf": JVB + "\r",
    "quoted": "> " + JVB,
    "compose": "jvb_1     | " + JVB,
    "compose-2": "jvb-1  | " + JVB,
    "compose-colour": f"\x1b[35mjvb-1  | \x1b[0m{JVB}",
    "compose-colour-of-old": f"\x1b[35mjvb_1     |\x1b[0m {JVB}",
    "compose-pasted-colour": f"[35mjvb_1     |[0m {JVB}",
    "compose-stamped": "jvb-1  | 2024-06-03T23:34:18.700000001Z " + JVB,
    "docker-stamped": "2024-06-03T23:34:18.700000001Z " + JVB,
    "docker-json": json.dumps({"log": JVB + "\n", "stream": "stdout", "time": "2024-06-03T23:34:18.7Z"}),
    "syslog": "Jun  3 23:34:19 vc jvb.sh[812]: " + JVB,
    "journal-iso": "2024-06-03T23:34:19+0000 vc jvb.sh[812]: " + JVB,
    "journal-full": "Mon 2024-06-03 23:34:19 UTC vc jvb.sh[812]: " + JVB,
    "rsyslog": "2024-06-03T23:34:19.123456+00:00 vc jvb.sh[812]: " + JVB,
    "rfc5424": "<30>1 2024-06-03T23:34:19.003Z vc jvb 812 - - " + JVB,
    "journal-json": json.dumps({"MESSAGE": JVB, "SYSLOG_IDENTIFIER": "jvb.sh", "__REALTIME_TIMESTAMP": "1717457659000000"}),
    "journal-json-bytes": json.dumps({"MESSAGE": list(JVB.encode()), "_SYSTEMD_UNIT": "jitsi-videobridge2.service"}),
    "compose-in-journal": "Jun 03 23:34:19 vc docker-compose[99]: jvb_1     | " + JVB,
    "kubectl": "[pod/jitsi-0/jvb] " + JVB,
    "journal-without-head": "jvb.sh[812]: " + JVB,
    "cut-prefix": JVB[1:],
    "grep": "jvb.log:12:" + JVB,
    "grep-folder": "/var/log/jitsi/jvb.log:" + JVB,
    "tail": "==> /var/log/jitsi/jvb.log <==\n" + JVB,
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_the_same_line_in_every_wrapping_is_the_same_event(name: str) -> None:
    (event,) = events(WRAPPED[name] + "\n")
    assert event["event"] == "ice-failed"
    assert event["participant"] == "f7cda133"
    assert event["conference"] == "3f6b56384cb09841"
    assert event["time"] == AT
    assert event["line"] == (2 if name == "tail" else 1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_an_encoding_is_found(encoding: str) -> None:
    word = "" if encoding.startswith("utf") else "\n\tf\xfcr"
    (event,) = events((JVB + word + "\n").encode(encoding))
    assert event["event"] == "ice-failed"


def test_services_of_one_stream_are_told_apart() -> None:
    text = "\n".join(
        [
            "jvb_1 | " + JVB,
            "jicofo_1 | " + JICOFO,
            "prosody_1 | " + PROSODY,
            "jvb_1 | java.lang.Exception: x",
            "jvb_1 | \tat a.b",
        ]
    )
    one = source(text)
    assert one.kind == "compose-log"
    assert [(row["program"], row["event"], row["line"]) for row in table(one, "events")] == [
        ("jvb", "ice-failed", 1), ("jicofo", "bridge-lost", 2), ("prosody", "logged-in", 3),
    ]  # fmt: skip
    rows = table(one, "log")
    assert [row["program"] for row in rows] == ["jvb", "jicofo", "prosody"]
    assert rows[0]["message"].endswith("java.lang.Exception: x")


@pytest.mark.parametrize(
    ("word", "level"),
    [("SCHWERWIEGEND", "error"), ("WARNUNG", "warning"), ("INFORMATION", "info"), ("AVVERTENZA", "warning"),
     ("GRAVE", "error"), ("AVERTISSEMENT", "warning"), ("ADVERTENCIA", "warning"), ("警告", "warning"), ("QUUX", "info")],
)  # fmt: skip
def test_a_level_is_taken_by_its_place(word: str, level: str) -> None:
    (row,) = table(source(JICOFO.replace("WARNING", word) + "\n"), "log")
    assert row["level"] == level
    assert row["message"] == "Lost a bridge: brewery@x/b1"
    assert row["place"] == "BridgeSelector.removeJvbAddress"


def test_a_line_that_a_terminal_broke_is_put_together() -> None:
    line = "Jicofo 2024-06-03 23:34:19.000 INFO: [28] ConferenceIqHandler.handleConferenceIq#56: Focus request for room: a@b.c"
    for cut in range(len(line) - 12, len(line) - 4):
        (event,) = events(f"{line[:cut]}\n{line[cut:]}\n")
        assert event["value"] == "a"


def test_a_relay_is_nobodys_path() -> None:
    (event,) = events(JVB.replace("epId=f7cda133 stats_id=Al-co1", "relayId=jvb2") + "\n")
    assert (event["event"], event["value"]) == ("relay-failed", "jvb2")
    assert "participant" not in event


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("Apr 06, 2020 5:32:31 PM", 1586194351), ("Apr 06, 2020 12:00:01 AM", 1586131201),
        ("06.04.2020 17:32:31", 1586194351), ("6 avr. 2020 17:32:31", 1586194351), ("2020-04-06 17:32:31", 1586194351),
        ("Apr. 06, 2020 5:32:31 NACHM.", 1586194351), ("06-abr-2020 17:32:31", 1586194351),
        ("4月 06, 2020 5:32:31 午後", 1586194351), ("2020. 4월 6일 오후 5:32:31", 1586194351),
    ],
)  # fmt: skip
def test_a_date_of_java_is_read_in_many_languages(text: str, when: int) -> None:
    assert java_date(text) == when * SECOND


def test_zones_are_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("UTC", "Asia/Tokyo", "America/St_Johns"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        iso.cache_clear()
        assert iso("2024-06-04T01:34:18.604+02:00") == (AT, True)
        assert iso("2024-06-03 23:34:18,604") == (AT, False)
        assert iso("2024-06-03T23:34:18.604Z") == (AT, True)
    monkeypatch.undo()
    time.tzset()


def test_a_zone_that_the_wrapper_names_is_the_programs_too() -> None:
    text = f"2024-06-03T21:34:18.700000001Z {JVB}\n"
    one = source(text)
    (event,) = table(one, "events")
    assert event["time"] == AT - 7200 * SECOND
    assert one.zone_known


def test_a_year_turns_over() -> None:
    lines = "Dec 31 23:59:59 startup\tinfo\tHello and welcome to Prosody version 0.12.3\nJan 01 00:00:01 c2s1\tinfo\tAuthenticated as a@b\n"
    assert not any("time" in event for event in events(lines))  # a day of an unknown year is no time
    for beside in (Beside(near=AT), Beside(until=AT)):
        one = source(lines)
        one.beside = beside
        first, second = table(one, "events")
        assert second["time"] - first["time"] == 2 * SECOND
        assert abs(first["time"] - AT) < 366 * 86400 * SECOND
        assert one.year_known


def test_months_by_name() -> None:
    assert [month(word) for word in ("Mai", "Mär", "déc.", "окт", "Gen", "xyz")] == [5, 3, 12, 10, 1, 0]


class Endless(io.RawIOBase):
    """Bytes of one line without end, made as they are read."""

    def __init__(self, size: int) -> None:
        self.left, self.largest = size, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        size = min(size, self.left) if size >= 0 else self.left
        self.left -= size
        return b"x" * size


def test_a_line_without_end_is_passed_over() -> None:
    stream: Any = Endless(1 << 31)
    before = time.process_time()
    size = sum(len(line) for some in decoding.lines(stream, b"xxxx") for line in some)
    assert size == decoding.LONGEST
    assert stream.largest <= decoding.PORTION
    assert time.process_time() - before < 10


def test_what_stands_behind_a_long_line_is_read() -> None:
    text = f"{JICOFO}\n{'y' * (3 << 20)}\n{JVB}\n"
    assert [row["event"] for row in events(text)] == ["bridge-lost", "ice-failed"]
    assert [row["line"] for row in events(text)] == [1, 3]


@pytest.mark.parametrize(
    ("head", "program"),
    [
        (b"[May 12 14:08:23] VERBOSE[1599284][C-0000001a] pbx.c: Executing [600@from-internal:1] Answer\n", "Asterisk"),
        (b"2024-05-06 10:11:12.123456 [NOTICE] switch_channel.c:1118 New Channel sofia/internal\n", "FreeSWITCH"),
        (b"06-May-2024 10:11:12.123 INFO [main] org.apache.catalina.startup.Catalina.start Server startup\n", "Apache Tomcat"),
    ],
)  # fmt: skip
def test_a_log_of_another_program_is_named(head: bytes, program: str) -> None:
    assert logs.stranger(head) == program
    assert all(kind.recognise(piece(head)) == 0 for kind in logs.KINDS)


@pytest.mark.parametrize("text", [JVB, JICOFO, PROSODY, "Nov 29 15:35:33 startup\tinfo\tx"])
def test_our_own_is_no_stranger(text: str) -> None:
    assert logs.stranger(text.encode()) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20, b"\0" * 4096, b"Dear all,\nthe info that we had is wrong.\n",
     b"a,b,c\n1,2,3\n", b"server {\n    listen 443 ssl;\n}\n", b'{"a": [1, 2]}\n', b"LISTEN 0 511 0.0.0.0:443 0.0.0.0:*\n"],
)  # fmt: skip
def test_what_is_no_log_is_not_taken(data: bytes) -> None:
    assert logs.kind_of(data)[0] == ""


def read_all(data: bytes) -> None:
    one = logs.LogSource(Piece("any", data), "log", frozenset({"log", "events", "requests"}))
    for some in one.rows(frozenset({"log", "events", "requests"})):
        assert some.rows


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_passed_over(data: bytes) -> None:
    logs.kind_of(data)
    read_all(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WRAPPED.values())), st.integers(0, 400), st.binary(max_size=12))
def test_any_broken_line_is_read_or_passed_over(line: str, at: int, noise: bytes) -> None:
    data = line.encode()
    read_all(data[:at] + noise + data[at:] + b"\n" + data[at:] + noise + b"\n")


def test_recorder_and_gateway_are_seen_not_judged() -> None:
    one = source("Jibri 2022-01-02 10:11:12.123 INFO: [1] MainKt.main#50: Jibri starting up with id\n")
    assert one.kind == "jibri-log"
    assert table(one, "events") == []
    assert "not judged" in one.note


HOSTILE = [
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: Pair failed: " + "a:1" * 80_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: Add peer CandidatePair with new reflexive address to checkList RemoteCandidate"
    + "candidate:" * 20_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: SENT colibri2 response: " + "<endpoint id='" * 15_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: SENT colibri2 response: " + "<endpoint ><candidate " * 10_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: SENT colibri2 response: " + "<error <text <iq " * 14_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] X.y#1: Health check failed in 1: Result(" + "message=" * 30_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] MucClient.y#1: Error connecting:\n" + "stream:error" * 20_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] [" + "a=b " * 60_000,
    "JVB 2024-06-03 23:34:18.604 INFO: [280] " + "a." * 100_000,
    "Jicofo 2024-06-03 23:34:18.604 INFO: [280] X.y#1: Health check failed for: " + "<text " * 40_000,
    "Nov 29 15:35:33 general\twarn\tError verifying token err:x, reason:" + " tenant:" * 30_000,
    "Nov 29 15:35:33 general\twarn\tToken " + " not allowed to join:" * 10_000,
    '127.0.0.1 - - [29/Nov/2026:15:35:42 +0000] "GET /' + "a/" * 100_000,
    "2024/05/06 10:11:12 [error] 30#30: *7 connect() failed (111: x) while connecting to upstream"
    + ', upstream: "' * 15_000,
    '2024/05/06 10:11:12 [error] 30#30: *7 x, client: 1.2.3.4, request: "GET ' + "/" * 200_000,
    "a" * 200_000 + " | " + "b" * 50_000,
    "[" * 200_000,
    '{"MESSAGE":' + "[" * 200_000,
    "Apr 06, 2020 5:32:31 PM " + "a." * 80,
    "12: : " + "session " * 30_000,
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: line[41:80].replace(" ", "_")[:30])
def test_a_hostile_line_takes_no_longer_than_its_length(line: str) -> None:
    before = time.process_time()
    data = f"{line}\n".encode() * 2
    logs.kind_of(data[: 1 << 16])
    read_all(data)
    assert time.process_time() - before < 2.5
