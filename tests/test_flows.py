"""Flows and TCP streams, against a model in the tests and against tshark."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import made_captures as made
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from jitsilab import pcap
from jitsilab.call import load
from jitsilab.wire import flows
from jitsilab.wire.flows import Flows, Piece

CLIENT, SERVER = ("10.0.0.1", 50000), ("10.0.0.2", 443)
MILLISECOND = 1_000_000


def segment(up: bool, seq: int, data: bytes = b"", flags: str = "A", ack: int = 0, server: int = SERVER[1]) -> bytes:
    (source, sport), (target, dport) = ((CLIENT, (SERVER[0], server)), ((SERVER[0], server), CLIENT))[not up]
    tcp = TCP(sport=sport, dport=dport, seq=seq % 2**32, ack=ack % 2**32, flags=flags)
    return bytes(Ether() / IP(src=source, dst=target) / tcp / Raw(data))


def datagram(source: tuple[str, int], target: tuple[str, int], data: bytes = b"x" * 20) -> bytes:
    return bytes(Ether() / IP(src=source[0], dst=target[0]) / UDP(sport=source[1], dport=target[1]) / Raw(data))


def of(frames: list[bytes], apart: int = MILLISECOND) -> Flows:
    """Flows of frames that are so many nanoseconds apart."""
    blocks = [made.packet(frame, 10**18 + i * apart) for i, frame in enumerate(frames)]
    data = made.section() + made.interface(options=made.option(9, b"\x09")) + b"".join(blocks)
    return flows.build(pcap.read(io.BytesIO(data)))


def pieces(frames: list[bytes], up: bool = True) -> list[Piece]:
    return of(frames)[0].stream(up).pieces


SYN = segment(True, 999, flags="S")
ANSWER = segment(False, 4999, flags="SA", ack=1000)


def test_a_conversation() -> None:
    frames = [SYN, ANSWER, segment(True, 1000), segment(True, 1000, b"hello "), segment(True, 1006, b"there")]
    frames += [segment(False, 5000, b"well"), segment(True, 1011, flags="FA"), segment(False, 5004, flags="RA")]
    (flow,) = of(frames)
    assert (flow.transport, flow.client, flow.server) == ("tcp", CLIENT, SERVER)
    assert flow.frames.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert flow.up.tolist() == [True, False, True, True, True, False, True, False]
    assert (flow.handshake, flow.fins, flow.resets, flow.retransmissions, flow.gaps) == (True, 1, 1, 0, 0)
    up, down = flow.stream(True), flow.stream(False)
    assert up.pieces == [(0, b"hello there")]
    assert down.pieces == [(0, b"well")]
    assert up.whole
    assert (up.span(0, 6), up.span(0, 7), up.span(6, 11), up.span(5, 6)) == ((4, 4), (4, 5), (5, 5), (4, 4))
    assert up.span(11, 12) == (0, 0)
    assert len(up) == 11


def test_reordering_retransmission_overlap() -> None:
    late = [SYN, segment(True, 1006, b"there"), segment(True, 1000, b"hello ")]
    assert pieces(late) == [(0, b"hello there")]
    assert of(late)[0].stream(True).span(0, 11) == (2, 3)
    assert of(late)[0].retransmissions == 0  # a millisecond late: reordered
    assert of(late, 4 * MILLISECOND)[0].retransmissions == 1  # four: lost and sent again
    again = [SYN, SYN, segment(True, 1000, b"hello "), segment(True, 1000, b"HELLO there"), segment(True, 1003, b"LO")]
    assert pieces(again) == [(0, b"hello there")]  # what came first stays
    assert of(again)[0].retransmitted.tolist() == [False, True, False, False, True]
    assert of(again)[0].stream(True).span(6, 11) == (4, 4)


def test_a_hole_is_between_pieces() -> None:
    frames = [SYN, segment(True, 1000, b"one"), segment(True, 1010, b"two")]
    stream = of(frames)[0].stream(True)
    assert stream.pieces == [(0, b"one"), (10, b"two")]
    assert (stream.gaps, stream.whole) == (1, False)
    assert of([SYN, segment(True, 1004, b"two")])[0].stream(True).gaps == 1


def test_what_the_snapshot_cut_is_a_hole_that_a_copy_fills() -> None:
    data = bytes(range(100))
    frames = [SYN, segment(True, 1000, data), segment(True, 1100, b"end")]
    cut = made.pcap(frames, snap=14 + 40 + 60)
    flow = flows.build(pcap.read(io.BytesIO(cut)))[0]
    assert flow.stream(True).pieces == [(0, data[:60]), (100, b"end")]
    packets = flow.frames - 1
    assert flows.wire_lengths(pcap.read(io.BytesIO(cut)), packets).tolist() == [0, 100, 3]


def test_a_keep_alive_is_no_data() -> None:
    frames = [SYN, segment(True, 1000, b"hello"), segment(True, 1004, b"\0"), segment(True, 999, b"\0")]
    assert pieces(frames) == [(0, b"hello")]
    assert of(frames)[0].retransmissions == 2


def test_a_stream_that_starts_in_the_middle() -> None:
    frames = [segment(True, 70_006, b"there"), segment(True, 70_000, b"hello "), segment(True, 70_011, b"!")]
    stream = of(frames)[0].stream(True)
    assert stream.pieces == [(0, b"hello there!")]
    assert not stream.whole
    assert stream.span(0, 1) == (2, 2)


def test_a_reset_with_any_number_moves_nothing() -> None:
    frames = [SYN, segment(True, 1000, b"one"), segment(True, 3_000_000_000, flags="R"), segment(True, 1003, b"two")]
    assert pieces(frames) == [(0, b"onetwo")]


def test_a_five_tuple_that_opens_again_is_another_flow() -> None:
    second = [segment(True, 77_000, flags="S"), segment(True, 77_001, b"second")]
    built = of([SYN, SYN, ANSWER, segment(True, 1000, b"first"), *second])
    assert built.of_frame.tolist() == [0, 0, 0, 0, 1, 1]
    assert [flow.stream(True).pieces for flow in built] == [[(0, b"first")], [(0, b"second")]]
    middle = of([segment(True, 500, b"old"), *second])
    assert middle.of_frame.tolist() == [0, 1, 1]
    crossed = of([ANSWER, SYN, segment(True, 1000, b"first")])  # caught in the wrong order
    assert crossed.of_frame.tolist() == [0, 0, 0]


def test_who_is_the_client() -> None:
    def client(*frames: bytes) -> tuple[str, int]:
        return of(list(frames))[0].client

    low, high, odd = ("10.0.0.9", 443), ("10.0.0.8", 50000), ("10.0.0.7", 10000)
    assert client(segment(False, 1, b"x"), segment(True, 1, b"y")) == CLIENT  # from 443: a server
    assert client(ANSWER) == CLIENT
    assert client(segment(True, 1, flags="S", server=60000)) == CLIENT
    assert client(segment(False, 1, b"late", server=60000), segment(True, 1, flags="S", server=60000)) == CLIENT
    assert client(datagram(high, low)) == client(datagram(low, high)) == high
    assert client(datagram(odd, high)) == client(datagram(high, odd)) == high
    assert client(datagram(odd, low)) == odd
    other = ("10.0.0.6", 50001)
    assert client(datagram(high, other)) == high
    assert client(datagram(other, high)) == other


def test_flows_are_numbered_by_their_first_frames() -> None:
    a, b, c = ("10.0.0.1", 1000), ("10.0.0.2", 2000), ("2.2.2.2", 3000)
    built = of([datagram(c, b), datagram(a, b), datagram(b, c), datagram(b, a), datagram(c, a)])
    assert built.of_frame.tolist() == [0, 1, 0, 1, 2]
    assert [flow.frames.tolist() for flow in built] == [[1, 3], [2, 4], [5]]
    with pytest.raises(IndexError):
        built[3]


def test_nothing_to_flow() -> None:
    assert len(of([])) == 0
    assert of([bytes(60)]).of_frame.tolist() == [-1]


def test_duplicates_on_a_second_interface_are_left_out() -> None:
    def cooked(device: int, frame: bytes) -> bytes:
        return b"\x08\0\0\0\0\0\0" + bytes([device]) + bytes(12) + frame[14:]

    frames = [SYN, segment(True, 1000, b"one"), segment(True, 1003, b"two")]
    blocks = [
        made.packet(cooked(device, frame), 10**9 + 10 * i + device)
        for i, frame in enumerate(frames) for device in (2, 3)
    ]  # fmt: skip
    built = flows.build(pcap.read(io.BytesIO(made.section() + made.interface(276) + b"".join(blocks))))
    assert built.of_frame.tolist() == [0] * 6
    assert built[0].frames.tolist() == [1, 3, 5]
    assert built[0].retransmissions == 0
    assert built[0].stream(True).pieces == [(0, b"onetwo")]


Cut = tuple[int, int]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=300),
    st.lists(st.tuples(st.integers(0, 299), st.integers(1, 80)), min_size=1, max_size=25),
    st.integers(0, 2**32 - 1) | st.sampled_from([2**32 - 1, 2**32 - 150, 2**31]),
    st.booleans(),
)
def test_any_segments_give_the_bytes_of_the_model(data: bytes, cuts: list[Cut], start: int, with_syn: bool) -> None:
    """The model: a byte is there from the first segment that holds it; pieces are maximal runs."""
    cuts = [(at % len(data), size) for at, size in cuts]
    if not with_syn:
        cuts = [(0, 1), *cuts]
    frames = [segment(True, start - 1, flags="S")] * with_syn
    arrived: dict[int, int] = {}
    for at, size in cuts:
        part = data[at : at + size]
        frames.append(segment(True, start + at, part))
        for offset in range(at, at + len(part)):
            arrived.setdefault(offset, len(frames))
    stream = of(frames)[0].stream(True)
    held = {piece.offset + i: byte for piece in stream.pieces for i, byte in enumerate(piece.data)}
    assert held == {offset: data[offset] for offset in arrived}
    edges = [piece.offset + len(piece.data) for piece in stream.pieces]
    assert all(edge not in arrived for edge in edges)
    for begin, end in ((0, len(data)), (len(data) // 2, len(data) // 2 + 1), (3, 50)):
        frames_of = [arrived[offset] for offset in range(begin, end) if offset in arrived]
        assert stream.span(begin, end) == ((min(frames_of), max(frames_of)) if frames_of else (0, 0))
    assert stream.whole == (with_syn and len(stream.pieces) == 1 and stream.pieces[0].offset == 0)


RECORDINGS = ("jvb-3", "jvb-lossy", "jvb-ipv6")


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", RECORDINGS)
def test_flows_are_the_streams_of_tshark(recording: Callable[[str], Path], name: str) -> None:
    path = recording(name) / "capture-any.pcapng"
    packets = pcap.read(path)
    built = flows.build(packets)
    fields = ("tcp.stream", "udp.stream", "icmp.type", "icmpv6.type", "tcp.len", "tcp.seq_raw", "tcp.flags",
              "tcp.analysis.retransmission")  # fmt: skip
    pairs, again = set(), []
    for number, line in enumerate(made.tshark(path, fields).splitlines()[1:], 1):
        tcp, udp, icmp, icmp6, size, seq, bits, repeated = line.split(",")
        row = number - 1
        if icmp or icmp6 or not (tcp or udp):  # tshark counts the flow of a packet that an ICMP error quotes
            assert built.of_frame[row] == -1
            continue
        pairs.add((tcp, udp, int(built.of_frame[row])))
        if tcp:
            assert flows.wire_lengths(packets, np.array([row])).tolist() == [int(size)]
            assert int(packets.tcp_seq[row]) == int(seq)
            assert int(packets.tcp_flags[row]) == int(bits, 16)
        again += [number] * bool(repeated)
    assert len(pairs) == len(built) == len({pair[2] for pair in pairs})
    ours = sorted(frame for flow in built for frame in flow.frames[flow.retransmitted].tolist())
    # Frame 363 repeats the bytes of 343, which tshark takes for reordering, as it comes within a round trip.
    assert ours == sorted(again + [363] * (name == "jvb-lossy"))


@pytest.mark.tool("tshark")
def test_streams_are_what_tshark_follows(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-lossy") / "capture-eth0.pcapng"
    built = flows.build(pcap.read(path))
    numbers = made.tshark(path, ("tcp.stream",)).splitlines()[1:]
    asked = {int(numbers[flow.frames[0] - 1]): flow for flow in built if flow.transport == "tcp"}
    argv = ["tshark", "-n", "-q", "-r", str(path)] + [f"-zfollow,tcp,raw,{number}" for number in asked]
    said = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
    followed = said.split("Follow: tcp,raw")[1:]
    assert len(followed) == len(asked) > 5
    for text in followed:
        lines = text.splitlines()
        (number,) = (int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("Filter:"))
        node = next(line.split(" ", 2)[2] for line in lines if line.startswith("Node 0"))
        body = [line for line in lines if line and set(line.strip()) <= set("0123456789abcdef") and "=" not in line]
        first = bytes.fromhex("".join(line for line in body if not line.startswith("\t")))
        second = bytes.fromhex("".join(line.strip() for line in body if line.startswith("\t")))
        flow = asked[number]
        is_client = node == f"{flow.client[0]}:{flow.client[1]}"
        for up, data in ((is_client, first), (not is_client, second)):
            assert b"".join(piece.data for piece in flow.stream(up).pieces) == data


def test_a_five_tuple_that_opens_ten_thousand_times() -> None:
    one = bytearray(segment(True, 0, flags="S"))
    frames = []
    for number in range(10_000):
        one[38:42] = (number * 7919).to_bytes(4)
        frames.append(bytes(one))
    built = flows.build(pcap.read(io.BytesIO(made.pcap(frames))))
    assert built.of_frame.tolist() == list(range(10_000))


@pytest.mark.parametrize(
    ("message", "asks"),
    [
        ("0003 0008 2112a442 000102030405060708090a0b 0019 0004 11000000", True),  # Allocate, REQUESTED-TRANSPORT
        ("0001 0000 2112a442 000102030405060708090a0b", True),  # Binding, to a STUN server
        ("0001 0008 2112a442 000102030405060708090a0b 0006 0003 613a6200", False),  # Binding with USERNAME: a check
        ("0101 0000 2112a442 000102030405060708090a0b", False),  # an answer
        ("0001 0000 00000000 000102030405060708090a0b", False),  # no STUN
    ],
)
def test_who_asks_a_stun_server_is_the_client_whatever_the_ports(message: str, asks: bool) -> None:
    here, there = ("10.0.0.1", 9000), ("10.0.0.2", 40000)
    (flow,) = of([datagram(here, there, bytes.fromhex(message))])
    assert flow.client == (here if asks else there)
    (flow,) = of([datagram(("10.0.0.1", 53), there, bytes.fromhex(message))])
    assert flow.client == ((("10.0.0.1", 53)) if asks else there)


def test_a_capture_without_a_flow_has_no_range(tmp_path: Path) -> None:
    """Neighbours asking for each other are all that a device shows before anybody uses it."""
    frame = bytes(12) + b"\x08\x06" + bytes(28)
    assert list(of([frame]).ranges(np.ones(1, bool))) == []
    path = tmp_path / "quiet.pcapng"
    path.write_bytes(made.section() + made.interface() + made.packet(frame, 10**15))
    assert load(path).media.empty


def test_of_too_many_flows_those_with_the_most_frames_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = load("jvb-3", point="eth0")
    frames = whole.flows["packets_up"] + whole.flows["packets_down"]
    most = whole.flows[frames.rank(method="first", ascending=False) <= 7]
    monkeypatch.setattr(flows, "MOST", 7)
    few = load("jvb-3", point="eth0")
    columns = ["transport", "client", "client_port", "server", "server_port", "packets_up", "packets_down"]
    assert few.flows[columns].to_numpy().tolist() == most[columns].to_numpy().tolist()
    said = few.errors[few.errors["protocol"] == "flows"]
    total = len(whole.flows)
    assert said["message"].tolist() == [
        f"of {total} flows the 7 with the most frames are told apart; what the others carry is not read"
    ]
    beside = whole.frames["flow"].isin(most["flow"])
    assert few.frames["flow"].notna().tolist() == beside.tolist()
    assert few.frames.loc[beside, "protocol"].tolist() == whole.frames.loc[beside, "protocol"].tolist()
    for name in ("tls", "stun", "dtls", "media", "http", "xmpp", "dns", "tcp"):
        some, every = few.table(name), whole.table(name)
        assert (some is None) == (every is None)
        assert some is None or len(some) <= len(every)
    assert few.diagnosis.people is not None
    assert not whole.errors["protocol"].eq("flows").any()


def test_frames_of_no_flow_are_shared_without_what_they_carry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from jitsilab import sharing

    monkeypatch.setattr(flows, "MOST", 7)
    call = load("jvb-3", point="eth0")
    sharing.share(call.evidence, [], tmp_path / "shared", sharing.Options())
    (made,) = (tmp_path / "shared").rglob("*.pcap*")
    shared = pcap.read(made)
    original = call.packets[0].wire.packets
    assert len(shared) == len(original)
    beside = np.flatnonzero((call.packets[0].wire.flows.of_frame < 0) & (original.payload_length >= 12))
    assert len(beside) > 100
    for row in beside.tolist():
        assert shared.payload(row + shared.first) != original.payload(row + original.first)
