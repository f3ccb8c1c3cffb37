"""Every container, link and network that `jitsilab.pcap` reads, on captures made here; and what damage does to it."""

import gzip
import io
import lzma
import random
import struct
import tracemalloc
from pathlib import Path

import made_captures as made
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from made_captures import START
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw

from jitsilab import pcap
from jitsilab.errors import CaptureError
from jitsilab.pcap.links import READ

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FOUR = IP(src="192.0.2.1", dst="198.51.100.2")
SIX = IPv6(src="2001:db8::1", dst="2001:db8::2")
DATAGRAM = UDP(sport=40000, dport=10000) / Raw(b"one datagram")
SEGMENT = TCP(sport=40001, dport=443, flags="PA", seq=4_000_000_000, ack=7, window=501) / Raw(b"one segment")
FRAME = bytes(ETHER / FOUR / DATAGRAM)


def of(data: bytes) -> pcap.Packets:
    return pcap.read(io.BytesIO(data))


def ends(packets: pcap.Packets, number: int) -> tuple[tuple[str, int], tuple[str, int], bytes]:
    return packets.source(number), packets.destination(number), packets.payload(number)


# -- containers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "tick"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)])
def test_pcap_in_both_byte_orders_and_resolutions(order: str, magic: int, tick: int) -> None:
    packets = of(made.pcap([FRAME] * 3, order=order, magic=magic))
    assert packets.time.tolist() == [(START + i) * 10**9 + i * tick for i in range(3)]
    assert packets.errors == []
    assert packets.frame(2) == FRAME
    assert ends(packets, 3) == (("192.0.2.1", 40000), ("198.51.100.2", 10000), b"one datagram")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (None, 1_500_000, 1_500_000_000), (6, 7, 7000), (0, 3, 3 * 10**9), (3, 1234, 1_234_000_000), (9, 1, 1),
        (12, 5_000, 5), (0x80, 2, 2 * 10**9), (0x8A, 1025, 1_000_976_562), (0xA0, 2**32 + 2**31, 1_500_000_000),
        (0xBF, 2**62, 500_000_000),
    ],
)  # fmt: skip
def test_pcapng_resolution_of_each_interface(order: str, resolution: int | None, ticks: int, nanoseconds: int) -> None:
    options = b"" if resolution is None else made.option(9, bytes([resolution]), order)
    data = made.section(order) + made.interface(order=order) + made.interface(options=options, order=order)
    packets = of(data + made.packet(FRAME, ticks, 1, order=order))
    assert packets.time.tolist() == [nanoseconds]
    assert packets.interface.tolist() == [1]


def test_pcapng_offset_sections_and_blocks_to_skip() -> None:
    plus = made.option(14, struct.pack("<q", 1000)) + made.option(2, b"eth7") + made.option(0, b"")
    back = made.option(14, struct.pack(">q", -1000), ">")
    data = made.section() + made.interface(options=plus) + made.packet(FRAME, 5)
    data += made.block(4, b"names") + made.block(5, bytes(8)) + made.block(0xBAD, bytes(12))
    data += made.section(">") + made.interface(101, order=">") + made.interface(options=back, order=">")
    data += made.packet(FRAME[14:], 6, 0, order=">") + made.packet(FRAME, 2_000_000_007, 1, order=">")
    packets = of(data)
    assert packets.errors == []
    assert packets.time.tolist() == [1000 * 10**9 + 5000, 6000, 1000 * 10**9 + 7000]
    assert packets.interface.tolist() == [0, 1, 2]
    assert [(one.name, one.link) for one in packets.interfaces] == [("eth7", 1), ("", 101), ("", 1)]
    assert {ends(packets, number) for number in (1, 2, 3)} == {ends(packets, 1)}


def test_pcapng_old_and_simple_packet_blocks() -> None:
    old = made.block(2, struct.pack("<HHIIII", 1, 3, 1, 500, len(FRAME), len(FRAME)) + FRAME)
    simple = made.block(3, struct.pack("<I", 1000) + FRAME[:40])
    data = made.section() + made.interface(snap=38) + made.interface() + old + simple + made.packet(FRAME, 9)
    packets = of(data)
    assert packets.time.tolist() == [(2**32 + 500) * 1000, 0, 9000]
    assert packets.timed.tolist() == [True, False, True]
    assert packets.length.tolist() == [len(FRAME), 1000, len(FRAME)]
    assert packets.captured_length.tolist() == [len(FRAME), 38, len(FRAME)]
    assert packets.interface.tolist() == [1, 0, 0]


def test_pcapng_comments_and_secrets() -> None:
    keys = b"CLIENT_RANDOM 00 11\n"
    secrets = made.block(10, struct.pack("<II", 0x544C534B, len(keys)) + keys + bytes(-len(keys) % 4))
    other = made.block(10, struct.pack("<II", 0x57474B4C, 4) + b"wire")
    data = made.section(options=made.option(1, b"a file")) + made.interface(options=made.option(1, b"an interface"))
    data += secrets + other + made.packet(FRAME, 1) + made.packet(FRAME, 2, options=made.option(1, "größer".encode()))
    packets = of(data + made.packet(FRAME, 3, options=made.option(2, bytes(4)) + made.option(1, b"\xff")))
    assert packets.secrets == [keys]
    assert packets.comments == [(0, "a file"), (0, "an interface"), (2, "größer"), (3, "\ufffd")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress], ids=["gzip", "xz", "zstd"])
@pytest.mark.parametrize("members", [1, 2])
def test_packed_captures_are_known_by_content(pack: object, members: int, tmp_path: Path) -> None:
    data = made.pcapng([FRAME] * 500)
    parts = [data] if members == 1 else [data[:9001], data[9001:]]
    path = tmp_path / "no-suffix-that-helps.txt"
    path.write_bytes(b"".join(pack(part) for part in parts))  # type: ignore[operator]
    for packets in (pcap.read(path), pcap.read(str(path)), of(path.read_bytes())):
        assert len(packets) == 500
        assert packets.errors == []
        assert packets.frame(500) == FRAME
    assert sum(len(part) for part in pcap.scan(path)) == 500


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress], ids=["gzip", "xz", "zstd"])
def test_a_packed_capture_that_is_cut_gives_what_is_whole(pack: object) -> None:
    frames = [random.Random(i).randbytes(900) for i in range(400)]
    packed = pack(made.pcap(frames))  # type: ignore[operator]
    packets = of(packed[: len(packed) // 2])
    assert [packets.frame(number) for number in range(1, len(packets) + 1)] == frames[: len(packets)]
    assert pack is lzma.compress or 100 < len(packets) < 300  # xz is unpacked in larger steps
    assert len(packets.errors) == 1
    assert packets.errors[0].protocol == "pcap"


def test_a_bomb_ends_early() -> None:
    bomb = zstandard.ZstdCompressor(level=19)
    record = struct.pack("<IIII", 1, 1, 1000, 1000) + bytes(1000)
    writer = bomb.compressobj()
    data = writer.compress(made.pcap([]))
    data += b"".join(writer.compress(record * 1000) for _ in range(400)) + writer.flush()  # 406 MB out of 40 kB
    assert len(data) < 100_000
    packets = of(data)
    assert 100_000 < len(packets) < 300_000
    assert "500 times" in packets.errors[0].message


def test_standard_input_and_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.RawIOBase):  # gives a few bytes at a time and cannot seek
        def __init__(self, data: bytes) -> None:
            self.left = data

        def readable(self) -> bool:
            return True

        def readinto(self, into: memoryview) -> int:  # type: ignore[override]
            part, self.left = self.left[:7], self.left[7:]
            into[: len(part)] = part
            return len(part)

    data = made.pcapng([FRAME] * 20)
    assert len(pcap.read(Pipe(data))) == 20  # type: ignore[arg-type]

    class Stdin:
        buffer = io.BytesIO(data)

    monkeypatch.setattr("sys.stdin", Stdin)
    packets = pcap.read("-")
    assert packets.frame(20) == FRAME


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"GIF89a" + bytes(100), "is not a capture"),
        (made.pcap([])[:20], "cut short inside its first header"),
        (gzip.compress(b"not a capture at all", mtime=0), "is not a capture"),
        (b"\x1f\x8b\x08" + bytes(20), "damaged"),
    ],
)
def test_what_is_no_capture_says_so(data: bytes, says: str) -> None:
    with pytest.raises(CaptureError, match=says):
        of(data)
    assert not pcap.is_capture(io.BytesIO(data))


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.pcap", tmp_path, "with\0nul"):
        with pytest.raises(CaptureError, match="Cannot"):
            pcap.read(path)
    with pytest.raises(CaptureError, match="binary mode"):
        pcap.read(io.StringIO("text"))  # type: ignore[arg-type]


def test_a_cut_file_gives_the_whole_frames_and_one_problem_that_says_where() -> None:
    for data, first in ((made.pcap([FRAME] * 3), 24), (made.pcapng([FRAME] * 3), 48)):
        size = (len(data) - first) // 3
        for end in range(first, len(data)):
            packets = of(data[:end])
            whole = (end - first) // size
            assert len(packets) == whole
            cut = (end - first) % size > 0
            assert [problem.offset for problem in packets.errors] == [first + whole * size] * cut


def test_a_frame_that_does_not_exist() -> None:
    with pytest.raises(CaptureError, match="frames 1 to 1"):
        of(made.pcap([FRAME])).frame(2)


# -- scan -------------------------------------------------------------------------------------------------------------


def test_scan_gives_the_same_columns_as_read(tmp_path: Path) -> None:
    frames = [bytes(ETHER / FOUR / UDP(sport=i % 7 + 1, dport=9) / Raw(bytes(i % 50))) for i in range(1000)]
    frames[300:300] = [bytes(ETHER / part) for part in fragment(FOUR / UDP(sport=1, dport=2) / Raw(bytes(4000)), 800)]
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap(frames))
    whole, parts = pcap.read(path), list(pcap.scan(path, chunk=303))  # the fragments lie on both sides of a border
    assert [part.first for part in parts] == [1, 304, 607, 910]
    for name in (*pcap.packets.COLUMNS, "interface"):
        assert np.concatenate([getattr(part, name) for part in parts]).tolist() == getattr(whole, name).tolist(), name
    for part in parts:
        for number in range(part.first, part.first + len(part)):
            assert part.frame(number) == whole.frame(number)
            assert part.payload(number) == whole.payload(number)


def test_scan_needs_no_memory_in_proportion(tmp_path: Path) -> None:
    peaks = []
    for repeat in (1, 4):
        path = tmp_path / f"{repeat}.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(made.pcap([]))
            record = made.pcap([FRAME] * 20_000)[24:]
            for _ in range(5 * repeat):
                file.write(record)
        tracemalloc.start()
        assert sum(len(part) for part in pcap.scan(path)) == 100_000 * repeat
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_columns_take_at_most_fifty_bytes_a_frame() -> None:
    packets = of(made.pcap([bytes(ETHER / FOUR / SEGMENT)] * 1000, snap=60))
    assert packets.nbytes <= 50 * len(packets)


# -- links and networks -----------------------------------------------------------------------------------------------

LINKS: dict[str, tuple[int, list[Packet | bytes]]] = {
    "ethernet": (1, [ETHER / FOUR / DATAGRAM, ETHER / SIX / DATAGRAM]),
    "vlan": (1, [ETHER / Dot1Q(vlan=5) / FOUR / DATAGRAM, ETHER / Dot1Q() / Dot1Q() / Dot1Q() / SIX / DATAGRAM]),
    "qinq": (1, [ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / FOUR / DATAGRAM]),
    "snap": (1, [Dot3(src=ETHER.src, dst=ETHER.dst) / LLC() / SNAP(code=0x0800) / FOUR / DATAGRAM]),
    "pppoe": (
        1,
        [ETHER / PPPoE() / PPP(proto=0x21) / FOUR / DATAGRAM, ETHER / PPPoE() / PPP(proto=0x57) / SIX / DATAGRAM],
    ),
    "cooked": (113, [struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x0800) + bytes(FOUR / DATAGRAM)]),
    "cooked, VLAN": (113, [bytes(14) + b"\x81\0\0\5\x86\xdd" + bytes(SIX / DATAGRAM)]),
    "cooked 2": (276, [struct.pack(">HHIHBB8s", 0x0800, 0, 3, 1, 4, 6, bytes(8)) + bytes(FOUR / DATAGRAM)]),
    "raw": (101, [FOUR / DATAGRAM, SIX / DATAGRAM]),
    "raw, old numbers": (12, [FOUR / DATAGRAM]),
    "raw IPv4": (228, [FOUR / DATAGRAM]),
    "raw IPv6": (229, [SIX / DATAGRAM]),
    "null": (0, [b"\2\0\0\0" + bytes(FOUR / DATAGRAM), b"\0\0\0\x1e" + bytes(SIX / DATAGRAM)]),
    "loop": (108, [b"\0\0\0\2" + bytes(FOUR / DATAGRAM), b"\0\0\0\x18" + bytes(SIX / DATAGRAM)]),
    "ppp": (9, [b"\xff\3\0\x21" + bytes(FOUR / DATAGRAM), b"\x57" + bytes(SIX / DATAGRAM)]),
    "options": (1, [ETHER / IP(src=FOUR.src, dst=FOUR.dst, options=IPOption_RR()) / DATAGRAM]),
    "extension headers": (
        1,
        [
            ETHER / SIX / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / DATAGRAM,
            ETHER / SIX / IPv6ExtHdrFragment() / DATAGRAM,
        ],
    ),
    "padding": (1, [bytes(ETHER / FOUR / DATAGRAM) + b"\xee" * 20, bytes(ETHER / SIX / DATAGRAM) + b"\xee" * 9]),
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_links_lead_to_the_same_datagram(name: str, order: str) -> None:
    link, frames = LINKS[name]
    packets = of(made.pcapng([bytes(frame) for frame in frames], link, order))
    assert len(packets) == len(frames)
    for number in range(1, len(frames) + 1):
        six = packets.ip_version[number - 1] == 6
        source, target = (SIX.src, SIX.dst) if six else (FOUR.src, FOUR.dst)
        assert ends(packets, number) == ((source, 40000), (target, 10000), b"one datagram")
        assert packets.ip_protocol[number - 1] == 17
    assert packets.heads(width=20).tobytes() == (b"one datagram" + bytes(8)) * len(frames)


def test_what_a_cooked_capture_names_as_devices_are_interfaces() -> None:
    frames = [struct.pack(">HHIHBB8s", 0x0800, 0, n, 1, 0, 6, bytes(8)) + bytes(FOUR / DATAGRAM) for n in (7, 1, 7)]
    packets = of(made.pcap(frames, 276))
    assert [packets.interfaces[n].index for n in packets.interface.tolist()] == [7, 1, 7]


def test_tcp_fields() -> None:
    packets = of(made.pcap([FRAME, bytes(ETHER / SIX / SEGMENT)]))
    assert packets.tcp_rows.tolist() == [1]
    assert packets.tcp_seq.tolist() == [0, 4_000_000_000]
    assert packets.tcp_ack.tolist() == [0, 7]
    assert packets.tcp_flags.tolist() == [0, 0x18]
    assert packets.tcp_window.tolist() == [0, 501]
    assert packets.payloads([1, 0]) == [b"one segment", b"one datagram"]


@pytest.mark.parametrize("network", [FOUR, SIX])
def test_padding_is_no_payload_of_a_segment(network: Packet) -> None:
    packets = of(made.pcap([bytes(ETHER / network / SEGMENT) + b"\xee" * 6]))
    assert packets.payload(1) == b"one segment"


def test_offload_leaves_a_length_of_zero() -> None:
    large = bytearray(bytes(ETHER / FOUR / TCP(sport=1, dport=2) / Raw(b"x" * 60_000)))
    large[16:18] = b"\0\0"
    packets = of(made.pcap([bytes(large)]))
    assert packets.payload(1) == b"x" * 60_000


def test_tunnels_and_quoted_packets_stay_closed() -> None:
    inner = IP(src="10.0.0.1", dst="10.0.0.2") / DATAGRAM
    packets = of(made.pcap([bytes(ETHER / FOUR / outer / inner) for outer in (GRE(), ICMP(type=3, code=3))]))
    assert packets.ip_protocol.tolist() == [47, 1]
    assert packets.source(1) == packets.source(2) == ("192.0.2.1", -1)
    assert "10.0.0.1" not in packets.addresses


def test_arp_has_no_addresses_of_its_own() -> None:
    packets = of(made.pcap([bytes(ETHER / ARP(psrc="192.0.2.9"))]))
    assert packets.ethertype.tolist() == [0x0806]
    assert packets.source(1) == ("", -1)


ORDERS = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (0, 0, 1, 2, 2, 3), (1, 2, 3)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", [UDP, TCP])
def test_fragments_in_any_order(order: tuple[int, ...], version: int, transport: type[Packet]) -> None:
    body = bytes(range(256)) * 14
    inner = transport(sport=5, dport=6) / Raw(body)
    if version == 4:
        parts = fragment(IP(src=FOUR.src, dst=FOUR.dst, id=77) / inner, 1000)
    else:
        parts = fragment6(IPv6(src=SIX.src, dst=SIX.dst) / IPv6ExtHdrFragment(id=77) / inner, 1060)
    assert len(parts) == 4
    other = ETHER / IP(src=FOUR.dst, dst=FOUR.src, id=77, flags="MF") / Raw(bytes(64))  # the same number, another way
    packets = of(made.pcap([bytes(ETHER / parts[i]) for i in order] + [bytes(other)]))
    complete = max(order.index(i) for i in range(4)) if set(order) == {0, 1, 2, 3} else None
    for row in range(len(order)):
        whole = row == complete
        assert packets.src_port[row] == (5 if whole else -1)
        assert packets.payload(row + 1) == (body if whole else b"")
    if complete is not None:
        assert packets.heads([complete], 8).tobytes() == body[:8]
        assert packets.payload_length[complete] == len(body)


def test_where_fragments_overlap_the_first_to_come_stays() -> None:
    datagram = bytes(UDP(sport=5, dport=6, chksum=0, len=72) / Raw(b"a" * 64))

    def part(start: int, data: bytes, more: int) -> bytes:
        return bytes(ETHER / IP(src=FOUR.src, dst=FOUR.dst, id=1, frag=start // 8, flags=more, proto=17) / Raw(data))

    packets = of(made.pcap([part(0, datagram[:40], 1), part(32, b"b" * 24, 1), part(56, b"c" * 16, 0)]))
    assert packets.payload(3) == b"a" * 32 + b"b" * 16 + b"c" * 16


def test_a_frame_as_a_scapy_packet() -> None:
    packets = of(made.pcap([FRAME, bytes(ETHER / SIX / SEGMENT)]))
    assert packets.scapy(1)[UDP].sport == 40000
    assert packets.scapy(2)[TCP].load == b"one segment"
    for link, frames in LINKS.values():
        assert UDP in of(made.pcap([bytes(frames[0])], link)).scapy(1) or link in (276, 9)


# -- duplicates -------------------------------------------------------------------------------------------------------


def cooked(device: int, frame: Packet, way: int = 0) -> bytes:
    return struct.pack(">HHIHBB8s", 0x0800, 0, device, 1, way, 6, bytes(8)) + bytes(frame)


def routed(number: int, ttl: int = 64, load: bytes = b"some media") -> Packet:
    return IP(src="10.0.0.1", dst="10.0.0.2", id=number, ttl=ttl) / UDP(sport=1, dport=2) / Raw(load)


def test_a_packet_on_two_interfaces_is_one_packet() -> None:
    seen = [cooked(2, routed(1)), cooked(3, routed(1, 63), 4), cooked(2, routed(2)), cooked(3, routed(2, 63), 4)]
    assert of(rapid(seen)).duplicate_of.tolist() == [0, 1, 0, 3]
    three = [cooked(2, routed(1)), cooked(3, routed(1, 63), 4), cooked(4, routed(1, 62), 4)]
    assert of(rapid(three)).duplicate_of.tolist() == [0, 1, 1]


def test_a_packet_sent_again_is_two_packets() -> None:
    again = [cooked(2, routed(1)), cooked(2, routed(1)), cooked(3, routed(1), 4), cooked(3, routed(1), 4)]
    assert sorted(of(rapid(again)).duplicate_of.tolist()) == [0, 0, 1, 2]
    assert of(rapid([cooked(2, routed(1)), cooked(3, routed(2))])).duplicate_of.tolist() == [0, 0]
    other = [cooked(2, routed(1)), cooked(3, routed(1, load=b"same size!"))]
    assert of(rapid(other)).duplicate_of.tolist() == [0, 0]
    late = made.pcap([cooked(2, routed(1)), cooked(3, routed(1))], 276)  # a second apart
    assert of(late).duplicate_of.tolist() == [0, 0]


def test_loopback_caught_on_its_way_out_and_in() -> None:
    assert of(rapid([cooked(1, routed(5), 4), cooked(1, routed(5), 0)])).duplicate_of.tolist() == [0, 1]


def rapid(frames: list[bytes]) -> bytes:
    """A pcapng whose frames are a microsecond apart."""
    blocks = [made.packet(frame, 10**12 + number) for number, frame in enumerate(frames)]
    return made.section() + made.interface(276) + b"".join(blocks)


# -- damage -----------------------------------------------------------------------------------------------------------

SEEDS = [
    made.pcap([FRAME, bytes(ETHER / SIX / SEGMENT)] * 4),
    made.pcapng([FRAME, bytes(ETHER / SIX / IPv6ExtHdrHopByHop() / SEGMENT)] * 4),
    made.pcapng([bytes(ETHER / part) for part in fragment(FOUR / UDP() / Raw(bytes(3000)), 900)]),
    made.section(">") + made.interface(276, order=">") + made.packet(cooked(1, routed(1)), 1, order=">") * 4,
    gzip.compress(made.pcap([FRAME] * 20), mtime=0),
    lzma.compress(made.pcap([FRAME] * 20)),
    zstandard.compress(made.pcap([FRAME] * 20)),
]


def survives(data: bytes) -> None:
    """Everything that can be asked of a capture, asked; only CaptureError may come out."""
    from jitsilab.wire import flows

    try:
        packets = of(data)
    except CaptureError:
        return
    assert len(packets) <= len(data)
    for number in range(1, min(len(packets), 50) + 1):
        packets.frame(number)
        packets.payload(number)
        packets.source(number)
    packets.heads()
    assert len(packets.duplicate_of) == len(packets)
    for flow in flows.build(packets):
        assert flow.stream(True).pieces is not None
        assert flow.retransmissions >= 0


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_captures_raise_nothing_but_capture_errors(seed: bytes, data: st.DataObject) -> None:
    bent = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(bent) - 1))
        value = data.draw(st.sampled_from([0, 1, 4, 6, 17, 44, 0x45, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
        bent[at] = value
    survives(bytes(bent[: data.draw(st.integers(0, len(bent)) | st.just(len(bent)))]))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*sorted(READ), 147]), st.lists(st.binary(max_size=90), max_size=6))
def test_any_frame_on_any_link(link: int, frames: list[bytes]) -> None:
    survives(made.pcap(frames, link))
    survives(made.pcap([b"\x08\0\x45" + frame for frame in frames], link, snap=40))


def test_lengths_at_their_extremes() -> None:
    for seed, places in ((SEEDS[0], range(24, 60, 4)), (SEEDS[1], range(28, 140, 4))):
        for at in places:
            for value in (0, 1, 11, 12, 13, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 262_144, 262_145, 1 << 25):
                survives(seed[:at] + struct.pack("<I", value) + seed[at + 4 :])


@pytest.mark.slow
def test_mutations_of_real_captures(data: Path) -> None:
    chance = random.Random(5)
    files = [path.read_bytes() for path in sorted((data / "pcaps").glob("*.pcap*"))]
    tracemalloc.start()
    for _ in range(400):
        bent = bytearray(chance.choice(files))
        for _ in range(chance.choice([1, 2, 8, 64])):
            at = chance.randrange(len(bent))
            if chance.random() < 0.2:
                bent[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\xff\xff\0\0", b"\0\0\4\0"])
            else:
                bent[at] = chance.randrange(256)
        survives(bytes(bent[: chance.randrange(len(bent))] if chance.random() < 0.3 else bent))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * max(map(len, files)) + (64 << 20)


@pytest.mark.slow
def test_real_captures_cut_at_every_offset(data: Path) -> None:
    for path in sorted((data / "pcaps").glob("*.pcap*")):
        whole = path.read_bytes()
        step = 1 if len(whole) < 1000 else len(whole) // 80
        counts = []
        for end in range(0, len(whole), step):
            try:
                packets = of(whole[:end])
            except CaptureError:
                assert end < 28
                continue
            counts.append(len(packets))
        assert counts == sorted(counts)
