"""Media: loss, order and jitter by the letter of RFC 3550, packets against tshark, streams against the browsers."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import datagrams
import numpy as np
import pandas as pd
import pytest
from datagrams import Sent, stun, xored
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab import pcap
from jitsilab.tables import media, streams
from jitsilab.wire import Wire, decrypt

A, B = (1, 40000), (2, 10000)


def sent(*sequence: int, ssrc: int = 1) -> list[Sent]:
    return [Sent(A, B, datagrams.rtp(n, ssrc, timestamp=960 * n)) for n in sequence]


def stream(*sequence: int) -> "pd.Series[object]":
    rows = media.media(datagrams.wire(*sent(*sequence))).rows
    assert len(rows) == 1
    return rows.iloc[0]


def test_nothing_is_lost_across_a_wrap() -> None:
    one = stream(*range(65530, 65536), *range(5))
    assert (one.packets, one.lost, one.wraps, one.gaps, one.reordered) == (11, 0, 1, 0, 0)


def test_loss_and_gaps() -> None:
    one = stream(1, 2, 5, 6, 9, 10)
    assert (one.lost, one.gaps, one.reordered, one.repeated) == (4, 2, 0, 0)


def test_a_late_packet_is_not_lost() -> None:
    one = stream(1, 2, 4, 3, 5, 6)
    assert (one.lost, one.reordered, one.gaps) == (0, 1, 0)


def test_a_packet_that_comes_twice() -> None:
    one = stream(1, 2, 3, 3, 4, 5)
    assert (one.packets, one.lost, one.repeated, one.reordered) == (6, 0, 1, 0)


def test_a_sender_that_begins_anew_lost_nothing() -> None:
    one = stream(1, 2, 3, 30001, 30002, 30003)
    assert (one.lost, one.restarts, one.gaps, one.wraps) == (0, 1, 0, 0)


def counted(numbers: np.ndarray, cut: int) -> dict[str, np.ndarray]:
    """What is counted of one stream whose packets are added in two parts."""
    made = streams.Streams()
    for some in (numbers[:cut], numbers[cut:]):
        nothing = np.zeros(len(some), np.int64)
        made.add(
            nothing, sequence=some, timestamp=nothing, payload_type=nothing, time=nothing, size=nothing
        )  # fmt: skip
    return made.counts()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-4000, 4000)), min_size=1, max_size=120), st.integers(1, 120))
def test_streams_in_parts_are_counted_as_they_are_whole(packets: list[tuple[int, int]], size: int) -> None:
    """Any jumps, of several streams at once: also those that begin anew, in the middle of a part or at its edge."""
    sequence, rows = [0, 70_000, 65_500, 3], []
    for number, (stream, step) in enumerate([*((one, 0) for one in range(4)), *packets]):
        sequence[stream] = sequence[stream] + step
        rows.append((stream, sequence[stream] % 65536, number * 160 % (1 << 32), 96 + number % 3, number * 7, 100))
    parts = [np.array(rows[at : at + size], np.int64) for at in range(0, len(rows), size)]
    whole, pieces = streams.Streams(), streams.Streams()
    for made, some in ((whole, [np.array(rows, np.int64)]), (pieces, parts)):
        for part in some:
            stream, numbers, stamps, kinds, time, sizes = part[np.argsort(part[:, 0], kind="stable")].T
            made.add(stream, sequence=numbers, timestamp=stamps, payload_type=kinds, time=time, size=sizes)
    for name, values in whole.counts().items():
        assert pieces.counts()[name].tolist() == values.tolist(), name
    assert pieces.payload_types() == whole.payload_types()
    assert pieces.longest_pause().tolist() == whole.longest_pause().tolist()
    assert pieces.jitter([8000] * 4).tolist() == whole.jitter([8000] * 4).tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 65535), st.lists(st.integers(0, 200), min_size=3, max_size=60, unique=True))
def test_loss_is_what_never_came(first: int, offsets: list[int]) -> None:
    """Any subset in an order that a network could give: neighbours swapped at most a few places."""
    dice = random.Random(sum(offsets))
    order = sorted(offsets, key=lambda n: n + dice.random() * 4)
    numbers = np.array([(first + n) % 65536 for n in order])
    found = counted(numbers, cut=dice.randrange(len(numbers)))
    missing = set(range(min(offsets), max(offsets) + 1)) - set(offsets)
    assert found["lost"][0] == len(missing)
    assert found["repeated"][0] == 0
    runs = sum(1 for n in missing if n - 1 not in missing)
    assert found["gaps"][0] == runs
    assert found["reordered"][0] == sum(n < max(order[: i or 1]) for i, n in enumerate(order))


@given(st.lists(st.tuples(st.integers(0, 50_000_000), st.integers(0, 5000)), min_size=2, max_size=300))
def test_jitter_is_the_filter_of_section_6_4_1(steps: list[tuple[int, int]]) -> None:
    rate, jitter, arrival, timestamp = 48000, 0.0, 0, 0xFFFFF000
    times, stamps = [arrival], [timestamp]
    for nanoseconds, ticks in steps:
        arrival, timestamp = arrival + nanoseconds, timestamp + ticks
        distance = nanoseconds / 1e9 * rate - ticks
        jitter += (abs(distance) - jitter) / 16
        times.append(arrival)
        stamps.append(timestamp % (1 << 32))
    made, nothing = streams.Streams(), np.zeros(len(times), np.int64)
    made.add(
        nothing, sequence=nothing, timestamp=np.array(stamps), payload_type=nothing, time=np.array(times), size=nothing
    )  # fmt: skip
    assert made.jitter([rate])[0] == pytest.approx(jitter * 1000 / rate, abs=1e-9)


def test_without_a_clock_rate_there_is_no_jitter() -> None:
    wire = datagrams.wire(*sent(1, 2, 3))
    assert media.media(wire).rows["jitter_ms"].isna().all()
    known = media.media(wire, {111: 48000}).rows.iloc[0]
    assert (known.clock_rate, known.jitter_ms > 0) == (48000, True)
    flow = media.media(wire, {111: 8000, (0, 111): 48000}).rows.iloc[0]
    assert flow.clock_rate == 48000


def test_streams_inside_turn_have_their_peer() -> None:
    peer = (0x0012, xored("192.0.2.9", 5000))
    check = stun(0x0001, 9, (0x0006, b"a:b"))
    inside = [check, *(datagrams.rtp(n, 5) for n in range(4))]
    wire = datagrams.wire(*(Sent(A, B, stun(0x0016, n, peer, (0x0013, data))) for n, data in enumerate(inside)))
    one = media.media(wire).rows.iloc[0]
    assert (one.depth, one.packets, one.ssrc) == (1, 4, 5)
    assert (one.wrapper_peer, one.wrapper_peer_port) == ("192.0.2.9", 5000)
    assert one.bytes == 4 * 40


def test_bytes_are_those_of_the_wire() -> None:
    wire = datagrams.wire(*(Sent(A, B, datagrams.rtp(n, 5, size=1000), kept=60) for n in range(4)))
    assert media.media(wire).rows.iloc[0].bytes == 4000
    assert media.rtp(wire).rows["size"].tolist() == [1000] * 4


def test_a_copy_on_another_interface_is_not_counted_again() -> None:
    """As an `any` capture has a forwarded packet: the same identification, half a millisecond later."""
    twice = []
    for n in range(5):
        twice += [
            Sent(A, B, datagrams.rtp(n, 5), 1 + n / 50),
            Sent(A, B, datagrams.rtp(n, 5), 1.0005 + n / 50, None, 1),
        ]
    wire = datagrams.wire(*twice, one_identification=2)
    rows = media.rtp(wire).rows
    assert rows["duplicate"].tolist() == [False, True] * 5
    one = media.media(wire).rows.iloc[0]
    assert (one.packets, one.repeated, one.lost) == (5, 0, 0)


@pytest.mark.parametrize("name", ["rtp", "rtcp", "media"])
def test_an_empty_capture_gives_an_empty_table_of_the_same_form(name: str) -> None:
    rows, problems = media.BUILD[name](datagrams.wire(Sent(A, B, b"hello")))
    assert list(rows.columns) == list(media.SCHEMAS[name])
    assert not len(rows)
    assert not problems
    full, _ = media.BUILD[name](datagrams.wire(*sent(1, 2, 3), Sent(A, B, bytes.fromhex("80c9000100000001"))))
    assert (full.dtypes == rows.dtypes).all()


@pytest.mark.tool("tshark")
def test_packets_as_tshark_reads_them(recording: Callable[[str], Path]) -> None:
    source = recording("jvb-3") / "capture-eth0.pcapng"
    rows = media.rtp(Wire(pcap.read(source))).rows
    fields = ["frame.number", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "rtp.ext.rfc5285.id"]
    argv = ["tshark", "-r", str(source), "-d", "udp.port==10000,rtp", "-Y", "rtp.ssrc && !icmp", "-T", "fields"]
    argv += [word for name in fields for word in ("-e", name)]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = {int(line.split("\t")[0]): line.split("\t")[1:] for line in lines}
    assert len(rows) > 900
    for row in rows.itertuples():
        ssrc, sequence, timestamp, kind, marker, ids = theirs[row.frame]
        assert (row.ssrc, row.sequence, row.timestamp) == (int(ssrc, 16), int(sequence), int(timestamp))
        assert (row.payload_type, row.marker) == (int(kind), marker == "1")
        assert (row.extensions if isinstance(row.extensions, str) else "") == ids.replace(",", " ")


@pytest.mark.parametrize("name", ["jvb-3", "p2p-relay-only"])
def test_every_stream_that_a_browser_sent_is_counted(recording: Callable[[str], Path], name: str) -> None:
    """Outbound streams of the browsers' last statistics, where they passed the server's interface."""
    where = recording(name)
    logs = sorted(where.glob("stats-*.json"))
    if not logs:
        pytest.skip("the recording keeps no statistics of the browsers")
    keys = decrypt.KeyLog.load(where / "keys.txt")
    rows = media.media(Wire(pcap.read(where / "capture-eth0.pcapng"), keys)).rows
    packets = rows.groupby("ssrc")["packets"].max().to_dict()
    checked = 0
    for log in logs:
        for connection in json.loads(log.read_text())["connections"]:
            for one in connection["rtp"] if connection["selected_pair"] else ():
                if one["dir"] == "outbound" and one.get("packetsSent", 0) >= 40 and one["kind"] == "audio":
                    checked += 1
                    assert packets.get(one["ssrc"], 0) >= 0.9 * one["packetsSent"]
    assert checked


def test_the_srtcp_of_a_call_shows_its_senders(recording: Callable[[str], Path]) -> None:
    rows, problems = media.rtcp(Wire(pcap.read(recording("jvb-3") / "capture-eth0.pcapng")))
    assert not problems
    assert rows["encrypted"].all()
    assert set(rows["name"]) <= {"SR", "RR", "RTPFB", "PSFB"}
    assert rows["srtcp_index"].notna().mean() > 0.9


def test_a_hundred_thousand_packets_are_counted() -> None:
    wire = datagrams.wire(*(Sent((n % 40, 20000), B, datagrams.rtp(n // 40, ssrc=n % 40)) for n in range(100_000)))
    assert len(wire.flows) == 40
    rows = media.media(wire, {111: 48000}).rows
    assert rows["packets"].sum() == 100_000
    assert rows["lost"].sum() == 0
