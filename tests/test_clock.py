"""The time in an ice4j ufrag: the study's, the recordings', and text that only looks like one."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from captures import captured
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.analysis import clock
from jitsilab.call import load
from jitsilab.tables import TIME

DIGITS = "0123456789abcdefghijklmnopqrstuv"


def base32(number: int) -> str:
    return (base32(number // 32) if number >= 32 else "") + DIGITS[number % 32]


@pytest.mark.parametrize(
    ("ufrag", "time"),
    [
        ("38n621el16dv6e", "2020-10-19T19:47:27.054"),
        ("5bala1el16f6sl", "2020-10-19T19:48:07.701"),
        ("cdvgt1e4stcei8", "2020-03-31T07:41:13.160"),  # beside a log line of 09:41:15, two hours east
    ],
)  # fmt: skip
def test_known_ufrags(ufrag: str, time: str) -> None:
    made = clock.made(ufrag)
    assert made is not None
    said = datetime.fromtimestamp(made / 1000, UTC)
    assert said.strftime("%H:%M:%S.%f")[:-3] == time[11:]


@given(st.integers(clock.EARLIEST, clock.LATEST), st.integers(1, (1 << 24) - 1), st.sampled_from(["", "jvb"]))
def test_what_ice4j_makes_is_read_back(time: int, random: int, prefix: str) -> None:
    assert clock.made(prefix + base32(random) + base32(time)) == time


@pytest.mark.parametrize("ufrag", ["", "abcd", "+Jh/", "1el16dv6e", "38n621EL16DV6E", "38n62zel16dv6e", "000000000000"])
def test_other_text_has_no_time(ufrag: str) -> None:
    assert clock.made(ufrag) is None


def checks(*rows: tuple[str, float, str | None]) -> pd.DataFrame:
    """Requests with a USERNAME, at some second, with a time of day or none."""
    frame = pd.DataFrame(rows, columns=["username", "seconds", "time"])
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype(TIME)
    return frame.assign(message_class="request", src="a", dst="b", frame=range(1, len(frame) + 1))


def test_relative_times_are_believed_where_two_ufrags_agree() -> None:
    stun = checks(
        ("38n621el16dv6e:+Jh/", 14.98, None), ("5bala1el16f6sl:m1Fz", 56.39, None), ("0001gggggggggg:abcd", 20.0, None)
    )
    rows = clock.anchors(stun)
    assert rows["ufrag"].tolist() == ["38n621el16dv6e", "5bala1el16f6sl"]
    assert set(rows["certainty"]) == {"deduced"}
    begin = clock.start(rows)
    assert begin is not None
    assert begin.earliest.isoformat(timespec="seconds") == "2020-10-19T19:47:12+00:00"
    assert clock.anchors(stun.iloc[:1])["certainty"].tolist() == ["inferred"]


def test_a_time_of_day_that_disagrees_refutes_the_ufrag() -> None:
    good = checks(("38n621el16dv6e:+Jh/", 1.0, "2020-10-19T19:47:27.9Z"))
    late = checks(("38n621el16dv6e:+Jh/", 1.0, "2020-10-19T19:50:00Z"))
    early = checks(("38n621el16dv6e:+Jh/", 1.0, "2020-10-19T19:47:26Z"))
    assert clock.anchors(good)["certainty"].tolist() == ["measured"]
    assert clock.anchors(late).empty
    assert clock.anchors(early).empty
    assert clock.start(clock.anchors(late)) is None


def test_each_bridge_ufrag_of_a_recording_was_made_before_its_first_check(recording: Callable[[str], Path]) -> None:
    folder = recording("jvb-3")
    call = captured(folder, keys=False)
    rows = clock.anchors(call.stun)
    offered = set()
    for log in folder.glob("stanzas-*.jsonl"):
        for line in log.read_text().splitlines():
            offered |= set(re.findall(r"ufrag=['\"]([^'\"]+)", json.loads(line)["xml"]))
    dated = {ufrag for ufrag in offered if clock.made(ufrag) is not None}
    assert len(dated) == 3
    assert {*rows["ufrag"]} < dated  # the third stands inside TURN inside TLS alone
    assert len(rows) == 2
    assert set(rows["owner"]) == {"172.31.37.118"}
    lag = rows["first_seconds"] - (rows["made"] - call.frames["time"].iloc[0]).dt.total_seconds()
    assert lag.between(0, 5).all()
    begin = clock.start(rows)
    assert begin is not None
    assert begin.earliest <= call.frames["time"].iloc[0] <= begin.latest


def test_ufrags_of_other_vendors_hold_no_time(data: Path) -> None:
    for name in ("stun.pcap", "stun_dtls_rtp.pcapng", "telegram_videocall.pcapng"):
        assert clock.anchors(load(data / "pcaps" / name).stun).empty


def test_what_gives_a_time_away_is_found() -> None:
    texts = ["38n621el16dv6e:+Jh/", "abcd:efgh", "+Jh/:38n621el16dv6e"]
    assert clock.texts_with_time(texts) == [texts[0], texts[2]]
