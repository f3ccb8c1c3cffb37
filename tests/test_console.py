# ruff: noqa: E501 - lines of programs stay whole
"""Consoles of browsers: lines that Chrome 156 and lib-jitsi-meet printed in the recordings, and others' forms."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from made_delivery import Memory, best, from_file, tables

from jitsilab.inputs import browser, pasted, rest
from jitsilab.inputs.browser import console, heads

RECORDINGS = Path(os.environ.get("JITSILAB_DATA", "/nowhere")) / "recordings"
needs = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="JITSILAB_DATA names no folder with recordings")

ALARM = {"tls-refused", "signaling-refused", "signaling-failed", "signaling-closed", "login-refused", "login-failed",
         "focus-unavailable", "bridge-unavailable", "media-denied", "ice-failed", "ice-ended", "ice-disconnected",
         "dtls-failed", "channel-refused", "channel-failed", "channel-closed", "token-refused"}  # fmt: skip


def events(text: str) -> pd.DataFrame:
    """Events of a console."""
    return tables(console.KIND, Memory(text))[0]["events"]


def words(text: str) -> list[tuple[str, str, str]]:
    """Events of a console, short."""
    rows = events(text)
    return list(zip(rows["event"], rows["value"], rows["detail"], strict=True))


HEADS = {
    '15:35:43.072 WARN lib-jitsi-meet.min.js:2 2026-11-29T15:35:43.069Z [WARN] [core:JitsiMeetJS] <Object.init>:  A b.':
        ("warning", "core:JitsiMeetJS", "A b."),
    "15:18:37.622 ERROR net::ERR_CERT_AUTHORITY_INVALID": ("error", "browser", "net::ERR_CERT_AUTHORITY_INVALID"),
    "lib-jitsi-meet.min.js?v=7177:2 2023-05-01T07:12:44.310Z [modules/xmpp/xmpp.js] <e.handler>:  (TIME) Strophe x:\t 1.5":
        ("", "modules/xmpp/xmpp.js", "(TIME) Strophe x:\t 1.5"),
    "Logger.js:125 [modules/xmpp/JingleSessionPC.js] <r.p.oniceconnectionstatechange>:  (TIME) ICE checking P2P? false:\t 1":
        ("", "modules/xmpp/JingleSessionPC.js", "(TIME) ICE checking P2P? false:\t 1"),
    '[Error] 2021-02-05T21:02:11.118Z – "[modules/xmpp/strophe.util.js] <log>: " – "Strophe: Websocket error [object Event]"':
        ("error", "modules/xmpp/strophe.util.js", "Strophe: Websocket error [object Event]"),
    '[Error] 2021-02-05T21:02:11.131Z – "[connection.js] " – "CONNECTION FAILED: connection.otherError" (app.min.js, line 8)':
        ("error", "connection.js", "CONNECTION FAILED: connection.otherError"),
    "E/ReactNativeJS( 1234): '2021-02-05T21:02:11.118Z', '[modules/xmpp/xmpp.js] <n.c>: ', '(TIME) Strophe authfail:\\t', 12":
        ("error", "modules/xmpp/xmpp.js", "(TIME) Strophe authfail:\\t 12"),
    '02-05 21:02:11.118 1 2 I chromium: [INFO:CONSOLE(2)] "2021-02-05T21:02:11.118Z [modules/xmpp/xmpp.js] <e>:  text", '
    "source: https://meet.example/lib.js (2)": ("info", "modules/xmpp/xmpp.js", "text"),
    "2021-02-05T21:02:11.118Z [modules/xmpp/strophe.util.js] <log>: Strophe: Websocket error lib-jitsi-meet.min.js:10:91227":
        ("", "modules/xmpp/strophe.util.js", "Strophe: Websocket error"),
}  # fmt: skip


@pytest.mark.parametrize("line", HEADS)
def test_a_line_is_taken_apart_in_every_browsers_form(line: str) -> None:
    head = heads.split(line)
    assert (head.level, head.module, head.text) == HEADS[line]
    assert (head.time is not None) == ("Z" in line and "-" in line)


def test_a_browsers_own_stamp_gets_its_date_from_the_librarys() -> None:
    rows = tables(console.KIND, Memory(
        "10:35:43.000 INFO lib-jitsi-meet.min.js:2 2026-11-29T15:35:43.000Z [INFO] [xmpp:Xmpp] <x>:  a\n"
        "10:35:44.250 ERROR net::ERR_FAILED\n"))[0]["console"]  # fmt: skip
    assert str(rows["time"].iloc[1]) == "2026-11-29 15:35:44.250000+00:00"


SHOWN = [
    ("ws-404", "signaling-refused", "/xmpp-websocket", "", 404),
    ("ws-502", "signaling-refused", "/xmpp-websocket", "", 502),
    ("ws-noupgrade", "signaling-refused", "/xmpp-websocket", "no-upgrade", None),
    ("bosh-404", "signaling-refused", "/http-bind", "", 404),
    ("cert-expired", "tls-refused", "expired", "page", None),
    ("turn-cert", "tls-refused", "untrusted", "turn", None),
    ("guest-refused", "login-refused", "guest", "", None),
    ("token-expired", "login-failed", "", "", None),
    ("focus-off", "focus-unavailable", "service-unavailable", "", None),
    ("focus-pkix", "focus-unavailable", "service-unavailable", "", None),
    ("2021-focus-off", "focus-unavailable", "service-unavailable", "", None),
    ("no-mic", "media-denied", "NotAllowedError", "", None),
    ("no-mic", "sources-announced", "0", "", None),
    ("colibri-403", "channel-refused", "", "", 403),
    ("2021-colibri-403", "channel-refused", "", "", 403),
    ("bridge-killed", "channel-closed", "1006", "", None),
    ("bridge-killed", "session-ended", "success moving", "jvb", None),
    ("addr-stale", "ice-ended", "", "jvb", None),
    ("world-ok", "media-received", "", "video", None),
]


@needs
@pytest.mark.parametrize(("name", "event", "value", "detail", "status"), SHOWN)
def test_a_console_shows_what_was_done(name: str, event: str, value: str, detail: str, status: int | None) -> None:
    rows = tables(console.KIND, from_file(RECORDINGS / name / "console-laptop-a.txt"))[0]["events"]
    same = rows[(rows["event"] == event) & (rows["value"] == value) & (rows["detail"] == detail)]
    assert len(same)
    assert same["status"].isna().all() if status is None else (same["status"] == status).all()
    assert same["line"].notna().all()


@needs
@pytest.mark.parametrize("name", ["world-ok", "token-ok", "two-bridges", "2021-world-ok", "udp-snat"])
@pytest.mark.parametrize("laptop", ["a", "b"])
def test_a_healthy_console_is_quiet(name: str, laptop: str) -> None:
    delivery = from_file(RECORDINGS / name / f"console-laptop-{laptop}.txt")
    assert best(browser.KINDS, delivery) == console.KIND
    shown, source = tables(console.KIND, delivery)
    assert not ALARM & set(shown["events"]["event"])
    assert len(source.identity["endpoint"]) == 1
    assert len(source.identity["sid"]) == 1
    assert set(shown["events"]["participant"]) - {""} >= source.identity["endpoint"]


@needs
def test_events_hold_no_secret() -> None:
    for name in ("colibri-403", "world-ok"):
        path = RECORDINGS / name / "console-laptop-a.txt"
        password = path.read_text().split("?pwd=")[1].split("'")[0].split()[0]
        rows = tables(console.KIND, from_file(path))[0]["events"]
        assert password not in rows.to_csv()


def test_a_refusal_in_words_of_other_browsers() -> None:
    assert words("Firefox can’t establish a connection to the server at wss://meet.example.org/xmpp-websocket?room=x. "
                 "strophe.umd.js:5463:21") == [("signaling-failed", "/xmpp-websocket", "")]  # fmt: skip
    assert words("XHRPOSThttps://meet.example.org/http-bind?room=x [HTTP/2 502 Bad Gateway 34ms]") == [
        ("signaling-refused", "/http-bind", "")]  # fmt: skip
    assert words("An error occurred during a connection to meet.example.org. Error code: SEC_ERROR_UNKNOWN_ISSUER") == [
        ("tls-refused", "untrusted", "page")]  # fmt: skip
    assert words("[Error] Failed to load resource: the server responded with a status of 404 () (http-bind, line 0)") == [
        ("signaling-refused", "/http-bind", "")]  # fmt: skip
    assert words("WebSocket connection to 'wss://meet.example.org/xmpp-websocket' failed: Error in connection establishment: "
                 "net::ERR_CONNECTION_REFUSED") == [("signaling-failed", "/xmpp-websocket", "refused")]  # fmt: skip


def test_another_servers_certificate_and_a_closed_page_are_no_fault() -> None:
    assert words("lib-jitsi-meet.min.js:2 2026-11-29T15:35:43.069Z [INFO] [core:JitsiMeetJS] <i>:  This appears to be chrome\n"
                 "GET https://analytics.example/a.js net::ERR_CERT_DATE_INVALID\n"
                 "WebSocket connection to 'wss://meet.example/xmpp-websocket' failed: WebSocket is closed before the "
                 "connection is established.") == []  # fmt: skip


def test_of_androids_log_only_jitsis_process_counts() -> None:
    trust = "java.security.cert.CertPathValidatorException: Trust anchor for certification path not found."
    text = f"09-20 11:36:45.639 77 78 W System.err: {trust}\n09-20 11:36:45.702 21 22 E ReactNativeJS: 'x'\n"
    assert words(text) == []
    assert words(text.replace(" 77 78 ", " 21 29 ")) == [("tls-refused", "untrusted", "page")]


def test_another_try_that_gets_a_microphone_is_no_silence() -> None:
    denied = "2026-11-29T15:35:43.069Z [WARN] [rtc:RTCUtils] Failed to get access to local media. NotFoundError: x\n"
    assert words(denied) == [("media-denied", "NotFoundError", "")]
    assert words(denied + "2026-11-29T15:35:44.069Z [INFO] [rtc:RTCUtils] onUserMediaSuccess\n") == []


@pytest.mark.parametrize("data", [b"", b"\0" * 4096, b"x" * 3_000_000, b"\xff\xfe\n\x1b[31m\n", b"[" * 70_000,
                                  b"Strophe " * 60_000, b"99:99:99.999 ERROR net::ERR_CERT_\n" * 50])  # fmt: skip
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    delivery = Memory(data)
    assert 0 <= console.recognise(delivery) <= 1
    tables(console.KIND, delivery)


REPORTS = Path(__file__).parent / "reports"
EXPECTED = json.loads((REPORTS / "browser.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_public_reports_rebuilt_say_what_was_found_and_nothing_else(name: str) -> None:
    expected = EXPECTED[name]
    delivery = from_file(REPORTS / name / expected["argv"][0])
    assert best((*browser.KINDS, *rest.KINDS, *pasted.KINDS), delivery) == console.KIND
    rows = tables(console.KIND, delivery)[0]["events"]
    told = {(row.event, row.value, None if pd.isna(row.status) else int(row.status)) for row in rows.itertuples()}
    wanted = {(event, value, status) for event, value, status in expected["events"]}
    assert wanted <= told
    assert {event for event, *_ in told} & ALARM <= {event for event, *_ in wanted}
    assert not any(secret in rows.to_csv() for secret in expected.get("secrets", ()))
