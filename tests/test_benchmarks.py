"""The benchmarks build real captures and write down what was measured; how fast anything is no test can say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jitsilab as jl  # noqa: E402
from benchmarks import captures, relayed, report  # noqa: E402
from benchmarks.__main__ import Contender, contenders  # noqa: E402
from jitsilab import pcap  # noqa: E402
from jitsilab.pcap import like_tshark  # noqa: E402
from jitsilab.wire import flows  # noqa: E402
from jitsilab.wire.labels import Label  # noqa: E402


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "8000.pcap"
    captures.build(path, 8000)
    return path


def test_a_built_capture_is_the_call_again_and_again(capture: Path) -> None:
    packets = pcap.read(capture)
    assert packets.errors == []
    assert len(packets) == 8000
    assert (packets.captured_length == packets.length).all()
    assert (packets.time[1:] - packets.time[:-1]).min() > -1_000_000_000
    built = flows.build(packets)
    first = [flow for flow in built if flow.frames[0] <= 3000]
    assert len(built) > 1.5 * len(first) > 20  # each turn has its own
    assert sum(flow.handshake for flow in built) > 20


def test_a_built_capture_is_cut_where_asked(tmp_path: Path) -> None:
    captures.build(tmp_path / "cut.pcap", 4000, 96)
    assert pcap.read(tmp_path / "cut.pcap").captured_length.max() == 96


def test_calls_that_last_have_media_that_go_on(tmp_path: Path) -> None:
    captures.build_calls(tmp_path / "calls.pcap", 12_000, 2)
    call, recorded = jl.load(tmp_path / "calls.pcap"), jl.load(captures.LONG, point="eth0")
    packets = call.packets[0].wire.packets
    assert len(packets) == 12_000
    assert packets.captured_length.max() > 1000  # all but media is whole
    media = packets.payload_length[call.packets[0].wire.labels == Label.RTP]
    assert int(media.max()) == captures.MEDIA
    made, before = call.table("media"), recorded.table("media")
    assert made["packets"].sum() > 4 * before["packets"].sum()
    assert made["lost"].sum() <= 4 * before["lost"].sum()
    assert made["restarts"].sum() == 2 * before["restarts"].sum()
    assert [one.media_path for one in call.diagnosis.people] == ["jvb-udp", "jvb-udp"]


@pytest.mark.parametrize("transport", relayed.SERVER)
def test_a_relayed_call_is_one_connection_that_is_read(transport: str, tmp_path: Path) -> None:
    relayed.capture(tmp_path / "call.pcap", transport, 600)
    keys = tmp_path / "call.pcap.keys" if transport == "tls" else None
    call = jl.load(tmp_path / "call.pcap", keys)
    assert len(call.flows) == 1
    assert call.errors.empty
    stun, media = call.table("stun"), call.table("media")
    assert stun["method"].value_counts()["ChannelData"] == 610
    assert media["packets"].tolist() == [200, 400]
    assert media["lost"].sum() == 0
    assert (media["depth"].eq(1) & media["wrapper_peer"].eq("198.51.100.7")).all()
    if transport == "tls":
        sealed = jl.load(tmp_path / "call.pcap").table("turn_in_tls")
        assert sealed["message"].value_counts()["channel-data"] == 610


@pytest.mark.nightly("all contenders")
def test_contenders_do_the_work_and_the_missing_are_said_to_be(capture: Path, tmp_path: Path) -> None:
    ours, *others = [one for one in contenders(sys.executable) if "jitsilab" in one.name]
    for one in (*others, ours):
        seconds, memory = one.run(capture)
        assert 0 < seconds < 60
        assert memory > 10**7
    argv = [sys.executable, "-m", "benchmarks.contenders", "scapy", str(capture)]
    assert subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True).stdout == "8000\n"
    ours.seconds[8000], ours.memory[8000] = seconds, memory
    report.write(
        tmp_path, [ours, Contender("other", [], 1, "no such program")], {8000: 10**6}, "here", 1, {8000: {"read": 0.5}}
    )
    text = (tmp_path / "results.md").read_text()
    assert "| other | no such program |" in text
    assert "at 8,000 frames: read 0.50 s." in text
    assert (tmp_path / "speed.png").stat().st_size > 10_000


def test_the_nine_columns_as_a_dataframe_are_the_export(capture: Path, tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    text = tmp_path / "export.csv"
    with text.open("w") as out:
        like_tshark.write(capture, out)
    want, have = pd.read_csv(text), like_tshark.frame(capture)
    assert list(have.columns) == list(want.columns)
    for name in want:
        if name in ("ip.src", "ip.dst"):
            assert have[name].astype(str).tolist() == want[name].astype(str).tolist()
        else:
            assert np.allclose(have[name].astype("float64"), want[name].astype("float64"), equal_nan=True)


def test_the_exponent_is_the_slope_of_growth() -> None:
    from benchmarks import growth

    proportional = {size: size / 1e5 for size in (10_000, 100_000, 1_000_000)}
    assert abs(growth.exponent(proportional) - 1) < 1e-9
    assert abs(growth.exponent({size: taken**2 for size, taken in proportional.items()}) - 2) < 1e-9


def test_growth_is_written_with_the_floor_beside_it(tmp_path: Path) -> None:
    from benchmarks import growth

    growth.main(["--sizes", "4000", "8000", "--only", "sequential read", "table stun", "--out", str(tmp_path)])
    text = (tmp_path / "growth.md").read_text()
    assert "| sequential read |" in text
    assert "| table stun |" in text
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_renamed_recordings_have_the_same_answer(tmp_path: Path) -> None:
    import jitsilab as jl
    from benchmarks import fleet

    fleet.build(tmp_path, 2 * len(fleet.RECORDINGS))
    assert len(list(tmp_path.iterdir())) == 2 * len(fleet.RECORDINGS)
    last = fleet.RECORDINGS[-1]
    one, other = (jl.load(path).diagnosis for path in sorted(tmp_path.glob(f"*-{last}.pcap")))
    assert [each.media_path for each in one.people] == [each.media_path for each in other.people] != []
    assert {a for each in one.people for a in each.addresses}.isdisjoint(a for e in other.people for a in e.addresses)


def test_what_more_cores_bring_is_written(tmp_path: Path) -> None:
    from benchmarks import scaling

    scaling.write(tmp_path, {"diagnose": {1: 4.0, 2: 2.5}, "survey": {1: 9.0, 2: 5.0}}, 1_000_000, 20)
    text = (tmp_path / "scaling.md").read_text()
    assert "| | 1 core | 2 cores |" in text
    assert "| diagnose | 4.0 s | 2.5 s, 1.60 times |" in text
    assert "1,000,000 frames" in text


def test_what_is_scaled_runs(capture: Path, tmp_path: Path) -> None:
    from benchmarks import fleet, scaling

    fleet.build(tmp_path / "captures", 1)
    for one in scaling.contenders(tmp_path):
        argv = [part.replace("{cores}", "1").replace("{turn}", "0") for part in one.argv]
        assert Contender(one.name, argv, 1).run(capture)[0] > 0
    assert (tmp_path / "fleet-0-1").is_dir()


def test_others_find_the_messages_that_we_find(tmp_path: Path) -> None:
    from benchmarks import contenders as work

    captures.build_calls(tmp_path / "calls.pcap", 9_000, 1)
    call = jl.load(tmp_path / "calls.pcap")
    udp = call.stun[call.stun["transport"].eq("udp") & call.stun["depth"].eq(0)]
    assert work.stun_scapy(str(tmp_path / "calls.pcap")) == len(udp) > 10
