"""Links and encapsulations: read as tshark reads them, or counted by name."""

import io
from pathlib import Path

import made_captures as made
import made_links as links
import pytest
from by_night import thinned
from test_frames_table import same_as_tshark

from jitsilab import pcap
from jitsilab.inputs.packets import PacketTables
from jitsilab.pcap import unread
from jitsilab.wire import Wire


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", thinned(links.READ))
def test_links_are_read_as_tshark_reads_them(tmp_path: Path, name: str) -> None:
    link, frames = links.READ[name]
    same_as_tshark(made.pcap(frames, link), tmp_path)
    for snap in (10, 24, 40):
        assert len(pcap.read(io.BytesIO(made.pcap(frames, link, snap=snap)))) == len(frames)


@pytest.mark.parametrize("name", links.READ)
def test_the_columns_hold_what_is_read(name: str) -> None:
    link, frames = links.READ[name]
    packets = pcap.read(io.BytesIO(made.pcap(frames, link)))
    read = [n for n in range(1, len(packets) + 1) if packets.destination(n)[1] == 10000]
    assert read
    assert all(packets.payload(n) == b"one datagram" for n in read)
    assert {packets.source(n) for n in read} <= {("192.0.2.1", 40000), ("2001:db8::1", 40000)}


@pytest.mark.parametrize("name", links.UNREAD)
def test_what_is_not_read_is_counted_and_named(name: str) -> None:
    link, frames = links.UNREAD[name]
    packets = pcap.read(io.BytesIO(made.pcap([frames[0], frames[0]], link)))
    assert packets.unread == {name: 2}
    assert [tuple(row) for row in packets.errors] == [(1, "pcap", 0, f"{name}: not read, in 2 frames")]
    assert unread.words(packets.unread) == f"Not read here: {name} in 2 frames."
    source = PacketTables("made", Wire(packets))
    assert len(source["frames"]) == 2
    assert source.known_problems() == packets.errors
    chunks = list(pcap.scan(io.BytesIO(made.pcap([frames[0], frames[0]], link)), chunk=1))
    assert chunks[-1].unread == packets.unread
    assert chunks[-1].errors == packets.errors


def test_the_sentence_names_the_most_first_and_ends() -> None:
    assert unread.words({}) == ""
    assert unread.words({"b": 2, "a": 1, "c": 2}) == "Not read here: b in 2 frames, c in 2 frames, a in 1 frame."
    assert unread.words({name: 1 for name in "abcdefg"}).endswith("e in 1 frame, and 2 more kinds.")


def test_a_recording_hides_nothing(recording) -> None:  # type: ignore[no-untyped-def]
    assert pcap.read(recording("jvb-2") / "capture-any.pcapng").unread == {}


def test_a_packet_log_is_the_capture_it_logs(data: Path) -> None:
    wire = Wire(pcap.read(data / "faults" / "jitsi-call-nflog.pcap"))
    assert len(wire.units) == len(wire.packets) == 52
    assert not wire.packets.errors
    wire = Wire(pcap.read(data / "faults" / "sll-gre-ipv4-stun.pcap"))
    assert [unit.dst_port for unit in wire.units] == [3478]
