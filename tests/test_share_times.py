"""Times of a shared case moved: in every form in which programs write them, and in the whole case by the same step."""

from pathlib import Path

import pandas as pd
import pytest
from by_night import thinned

import jitsilab as jl
from jitsilab.cli import main
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.case import BEGIN
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.moments import DAY, Moments, days_of
from jitsilab.sharing.names import Names
from jitsilab.sharing.wording import Wording

STEP = 100 * 86_400 + 3 * 3_600 + 61  # from 29 November 2026 to 9 March 2027, and from half past four to after seven
DAYS = (1_795_910_400_000 - DAY, 1_795_910_400_000 + 2 * DAY)  # around 29 November 2026


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("JVB 2026-11-29 16:28:22.123 INFO: x", "JVB 2027-03-09 19:29:23.123 INFO: x"),
        ('{"t":"2026-11-29T16:28:22.1Z"}', '{"t":"2027-03-09T19:29:23.1Z"}'),
        ("stamp='2026-11-29T21:28:22+01:00'", "stamp='2027-03-10T00:29:23+01:00'"),
        ("jvb-1  | 2026-11-29T16:28:22.5Z JVB 2026-11-29 16:28:22.500 x",
         "jvb-1  | 2027-03-09T19:29:23.5Z JVB 2027-03-09 19:29:23.500 x"),
        ('1.2.3.4 - - [29/Nov/2026:16:28:22 +0000] "GET /', '1.2.3.4 - - [09/Mar/2027:19:29:23 +0000] "GET /'),
        ("2026/11/29 16:28:22 [error] 7#7: *1 x", "2027/03/09 19:29:23 [error] 7#7: *1 x"),
        ("Nov 29 16:28:22 meet jicofo", "Mar 09 19:29:23 meet jicofo"),
        ("Nov  2 16:28:22 meet jicofo", "Feb 10 19:29:23 meet jicofo"),
        ("29. Nov. 2026 16:28:22 org.jitsi.videobridge.Videobridge start",
         "Mar 09, 2027 7:29:23 PM org.jitsi.videobridge.Videobridge start"),
        ("29 нояб. 2026 г. 16:28:22 org.jitsi.jicofo.FocusManager stop\r\nx",
         "Mar 09, 2027 7:29:23 PM org.jitsi.jicofo.FocusManager stop\r\nx"),
        ("11月 29, 2026 4:28:22 午後 org.ice4j.ice.Agent run", "Mar 09, 2027 7:29:23 PM org.ice4j.ice.Agent run"),
        ("a time of 29. Nov. 2026 16:28:22 in words", "a time of 29. Nov. 2026 16:28:22 in words"),
        ("Date: Sun, 29 Nov 2026 16:28:22 GMT", "Date: Tue, 09 Mar 2027 19:29:23 GMT"),
        ("Sun Nov 29 2026 16:28:22 GMT+0100 (CET)", "Tue Mar 09 2027 19:29:23 GMT+0100 (CET)"),
        ("notAfter=Nov 29 16:28:22 2026 GMT", "notAfter=Mar 09 19:29:23 2027 GMT"),
        ("Nov 29, 2026 9:28:22 AM org.jitsi.A b", "Mar 09, 2027 12:29:23 PM org.jitsi.A b"),
        ("11/29/2026, 4:28:22\u202fPM", "3/9/2027, 7:29:23\u202fPM"),
        ('"11/29/2026, 11:28:22\\u202fPM"', '"3/10/2027, 2:29:23\\u202fAM"'),
        ("16:28:22.123 lib-jitsi-meet.js:1", "19:29:23.123 lib-jitsi-meet.js:1"),
        ("23:28:22.123 lib-jitsi-meet.js:1", "02:29:23.123 lib-jitsi-meet.js:1"),
        ('"timestamp":1795969702123.4,', '"timestamp":1804620563123.4,'),
        ('"__REALTIME_TIMESTAMP":"1795969702123456"', '"__REALTIME_TIMESTAMP":"1804620563123456"'),
        ("jitsi_last 1795969702", "jitsi_last 1804620563"),
        ("it took 00:10:05 and 12:30, 2813653695 bytes, 1395969702 of them", None),
        ("Chrome/154.0.1795.9 1.2.3.4:16:28:22 a 2026-11-29 b 1795969702:ann", None),
        ("2026-13-45 16:28:22 is no time", None),
    ],
)  # fmt: skip
def test_a_time_is_written_in_the_form_it_had(before: str, after: str | None) -> None:
    moments = Moments(STEP, DAYS, frozenset({b"1795969702"} if after is None else ()))
    assert moments.moved(before.encode()).decode() == (before if after is None else after)


def test_the_days_of_a_text_are_those_of_its_full_times() -> None:
    text = b"2026-11-30 10:00:00 a\n2026-11-28T23:59:59Z b\ncertificate until 2036-01-01\n2026-99-99 10:00:00 c"
    assert days_of(text)[0] == 1_795_824_000_000
    assert days_of(b"nothing") == []


@pytest.mark.parametrize(
    ("name", "step"),
    thinned([("ws-404", 12_345), ("turn-refused", 12_345), ("ws-404", -40_000_000), ("turn-refused", -40_000_000)]),
)
def test_every_source_of_a_case_moves_by_the_same_step(name: str, step: int, tmp_path: Path) -> None:
    out = tmp_path / "shared"
    assert main(["share", name, "-o", str(out), "--key", "k", "--shift-time", str(step)]) == 0
    whole, moved = jl.load(name), jl.load(out)
    assert len(whole.timeline) == len(moved.timeline)
    before, after = (one.timeline.dropna(subset=["time"]) for one in (whole, moved))
    assert before["source"].tolist() == after["source"].tolist()
    assert before["kind"].tolist() == after["kind"].tolist()
    by = (after["time"] - before["time"]).dt.total_seconds()
    assert len(by) > 20
    assert by.round(3).unique().tolist() == [step]
    assert [(one.media_path, one.cause) for one in moved.diagnosis.people] == [
        (one.media_path, one.cause) for one in whole.diagnosis.people
    ]


@pytest.mark.parametrize("step", thinned([-400 * 86_400, 400 * 86_400]))
def test_certificates_stay_as_old_as_they_were(step: int, tmp_path: Path) -> None:
    out = tmp_path / "shared"
    assert main(["share", "jvb-tls12", "-o", str(out), "--key", "k", "--shift-time", str(step)]) == 0
    whole, moved = (call.tls.dropna(subset=["certificate_until"]) for call in (jl.load("jvb-tls12"), jl.load(out)))
    assert len(whole) == len(moved) > 0
    for name in ("certificate_from", "certificate_until"):
        by = pd.to_datetime(moved[name]).to_numpy() - pd.to_datetime(whole[name]).to_numpy()
        assert set(by.astype("timedelta64[s]").astype(int)) == {step}
    steps = (call.steps.query("step == 'S02'")["verdict"].tolist() for call in (jl.load("jvb-tls12"), jl.load(out)))
    assert next(steps) == next(steps)


@pytest.mark.parametrize(
    ("tag", "date", "seconds", "after"),
    [
        (0x17, b"261129162822Z", STEP, b"270309192923Z"),
        (0x17, b"700101000000Z", -1, b"691231235959Z"),
        (0x17, b"000101000000Z", -1, b"991231235959Z"),
        (0x17, b"500101000000Z", -1, b"500101000000Z"),  # the first that the form can say
        (0x17, b"490101000000Z", 10**9, b"491231000000Z"),
        (0x18, b"20500101000000Z", -1, b"20491231235959Z"),
        (0x18, b"99991231235959Z", -1, b"99991231235959Z"),  # never
        (0x18, b"99991231235958Z", 10**9, b"99991231235959Z"),
        (0x18, b"00010101000000Z", -1, b"00010101000000Z"),
        (0x17, b"2611291628Z", STEP, b"2611291628Z"),
        (0x17, b"\xff61129162822Z", STEP, b"\xff61129162822Z"),
    ],
)
def test_a_date_of_validity_moves_within_its_form(tag: int, date: bytes, seconds: int, after: bytes) -> None:
    wording = Wording(Names(b"k" * 32), Addresses(b"k" * 32))
    wording.moments = Moments(seconds, None, frozenset())
    der = bytes([0x30, len(date) + 2, tag, len(date)]) + date
    assert Certificates(wording).substitute(der) == der[:4] + after


def test_the_day_itself_stands_nowhere_any_more(tmp_path: Path) -> None:
    out = tmp_path / "shared"
    assert main(["share", "ws-404", "-o", str(out), "--key", "k", "--shift-time", "-40000000"]) == 0
    texts = [path.read_bytes() for path in out.rglob("*") if path.is_file() and path.suffix != ".pcapng"]
    assert len(texts) > 5
    for day in (b"2026-11-29", b"29/Nov/2026", b"2026/11/29", b"Nov 29", b"29 Nov", b"17959697"):
        assert not any(day in text for text in texts)


def test_what_cannot_be_moved_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "ws-404", "-o", str(tmp_path / "out"), "--shift-time", "0.5"]) == 2
    assert "whole number" in capsys.readouterr().err
    undated = tmp_path / "console.txt"
    undated.write_text(
        "lib-jitsi-meet.min.js:1 [modules/xmpp/xmpp.js] <connectionHandler>:  (TIME) Strophe connecting:\t5.1\n"
    )
    assert main(["share", str(undated), "-o", str(tmp_path / "out"), "--relative"]) == 2
    assert "Nothing in this case has a date" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("with_capture", [True, False])
def test_a_case_may_begin_where_it_tells_no_date(with_capture: bool, tmp_path: Path) -> None:
    out, case = tmp_path / "shared", ["ws-404"]
    if not with_capture:
        case = [str(tmp_path / "jvb.log")]
        (tmp_path / "jvb.log").write_text(
            "JVB 2026-11-29 15:28:26.374 INFO: [1] VideobridgeExpireThread.start#66: Started\n"
            "JVB 2026-11-30 15:28:26.374 INFO: [1] Main.main#1: Starting version 2.3\n"
        )
    assert main(["share", *case, "-o", str(out), "--key", "k", "--relative"]) == 0
    if with_capture:
        whole, moved = jl.load("ws-404"), jl.load(out)
        assert moved.packets[0].wire.packets.time[0] // 10**9 == BEGIN
        before, after = (one.timeline.dropna(subset=["time"]) for one in (whole, moved))
        assert len((after["time"] - before["time"]).unique()) == 1
        assert [one.cause for one in moved.diagnosis.people] == [one.cause for one in whole.diagnosis.people]
    else:
        lines = next(path for path in out.rglob("*") if path.name == "jvb.log").read_text().splitlines()
        assert [line[4:27] for line in lines] == ["2011-01-01 15:28:26.374", "2011-01-02 15:28:26.374"]
