"""The tables frames, tcp, arp and flows, and the export that has to equal tshark's byte for byte."""

import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import made_captures as made
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR, IPOption_Timestamp, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from jitsilab import pcap
from jitsilab.errors import CaptureError
from jitsilab.pcap import like_tshark
from jitsilab.protocols.tcp import Options, options
from jitsilab.tables import as_text
from jitsilab.tables import flows as flow_table
from jitsilab.tables import frames as frame_tables
from jitsilab.wire import Wire, frames_csv

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
OUTER, INNER = IP(src="192.0.2.1", dst="198.51.100.2"), IP(src="10.9.0.1", dst="10.9.0.2")
OUTER6, INNER6 = IPv6(src="2001:db8::1", dst="2001:db8::2"), IPv6(src="2001:db8:9::1", dst="2001:db8:9::2")


def of(data: bytes) -> Wire:
    return Wire(pcap.read(io.BytesIO(data)))


def export(source: object) -> str:
    out = io.StringIO()
    like_tshark.write(source, out)  # type: ignore[arg-type]
    return out.getvalue()


# -- like tshark ------------------------------------------------------------------------------------------------------


def odd_frames() -> list[bytes]:
    """Frames in which the first occurrence of a field is not where one would look."""
    frames: list[Packet | bytes] = []
    for inner in (UDP(sport=1111, dport=2222) / Raw(b"hello world 1234"), TCP(sport=3333, dport=4444) / Raw(b"abcdef")):
        number = 17 if UDP in inner else 6
        frames += [ETHER / OUTER / inner, ETHER / OUTER6 / inner, ETHER / Dot1Q() / OUTER / inner]
        frames += [ETHER / Dot1AD() / Dot1Q() / OUTER6 / inner, ETHER / Dot1Q() / Dot1Q() / Dot1Q() / OUTER / inner]
        full = GRE(chksum_present=1, key_present=1, seqnum_present=1)
        for gre in (GRE(), full):
            frames += [ETHER / OUTER / gre / INNER / inner, ETHER / OUTER6 / gre / INNER6 / inner]
        frames += [ETHER / OUTER / GRE(proto=0x6558) / ETHER / INNER / inner]
        frames += [ETHER / a / b / inner for a in (OUTER, OUTER6) for b in (INNER, INNER6)]
        for port in ({"dport": 4789}, {"sport": 4789}):
            frames += [ETHER / OUTER / UDP(**port) / VXLAN(vni=5) / ETHER / Dot1Q() / INNER / inner]
        frames += [ETHER / OUTER / UDP(dport=4789) / Raw(bytes(n)) for n in (0, 8, 30)]
        frames += [ETHER / MPLS(s=0) / MPLS(s=1) / OUTER / inner, ETHER / MPLS(s=1) / OUTER6 / inner]
        frames += [
            ETHER / PPPoE() / PPP(proto=0x21) / OUTER / inner,
            ETHER / Dot1Q() / PPPoE() / PPP(proto=0x57) / OUTER6 / inner,
        ]
        frames += [ETHER / ip / AH(nh=number, payloadlen=4, icv=b"0" * 12) / inner for ip in (OUTER, OUTER6)]
        frames += [ETHER / OUTER6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / inner]
        frames += [ETHER / OUTER6 / IPv6ExtHdrFragment(m=0, offset=0) / inner]
        frames += [ETHER / IP(src="192.0.2.1", options=[o]) / inner for o in (IPOption_RR(), IPOption_Timestamp())]
        quoted = bytes(INNER / inner)
        for kind in (0, 3, 4, 5, 8, 11, 12):
            frames += [ETHER / OUTER / ICMP(type=kind) / Raw(quoted[:n]) for n in (len(quoted), 28, 24, 22, 14)]
        quoted = bytes(INNER6 / inner)
        for error in (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, ICMPv6EchoRequest):
            frames += [ETHER / OUTER6 / error() / Raw(quoted[:n]) for n in (len(quoted), 48, 43)]
        frames += [Dot3(src=ETHER.src, dst=ETHER.dst) / LLC() / SNAP(code=0x0800) / OUTER / inner]
        frames += [ETHER / IP(src="192.0.2.1", len=0) / inner, ETHER / IP(src="192.0.2.1", len=7) / inner]
        frames += [
            ETHER / IP(src="192.0.2.1", proto=136) / inner,
            ETHER / IP(src="192.0.2.1", proto=132) / Raw(bytes(24)),
        ]
        six = bytes(ETHER / OUTER6 / inner)
        frames += [six[:18] + b"\0\0" + six[20:]]
    frames += [ETHER / ARP(), ETHER / Raw(bytes(40)), b"", bytes(13)]
    orders: tuple[Callable[[list[int]], list[int]], ...] = (
        lambda f: f, lambda f: f[::-1], lambda f: [1, 0, 3, 2], lambda f: f[:-1], lambda f: f[1:], lambda f: f + f,
        lambda f: [0, 0, 1, 1, 2, 3], lambda f: [3, 2, 0, 1, 1],
    )  # fmt: skip
    insides: list[Packet] = [
        UDP(sport=7, dport=8),
        TCP(sport=7, dport=8),
        GRE() / INNER / UDP(sport=7, dport=8),
        ICMP(),
    ]
    for i, inside in enumerate(insides):
        for k, order in enumerate(orders):
            whole = IP(src="192.0.2.1", dst="198.51.100.2", id=100 * i + k) / inside / Raw(bytes(3000))
            parts = fragment(whole, 1000)
            frames += [ETHER / parts[n] for n in order(list(range(4)))]
    whole6 = OUTER6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=7) / UDP(sport=71, dport=81) / Raw(bytes(3000))
    frames += [ETHER / part for part in reversed(fragment6(whole6, 1280))]
    frames += [ETHER / OUTER / GRE() / part for part in fragment(INNER / UDP(sport=7, dport=8) / Raw(bytes(999)), 400)]
    return [bytes(frame) for frame in frames]


def links(frames: list[bytes]) -> dict[str, bytes]:
    """The IP packets of some Ethernet frames on other links, as captures."""
    packets = [(frame[14:], frame[12:14]) for frame in frames if frame[12:14] in (b"\x08\0", b"\x86\xdd")]
    families = {b"\x08\0": 2, b"\x86\xdd": 30}
    cooked2 = struct.pack(">HIHBB8s", 0, 2, 1, 4, 6, bytes(8))
    return {
        "raw": made.pcap([packet for packet, _ in packets], 101),
        "null": made.pcap([struct.pack("<I", families[kind]) + packet for packet, kind in packets], 0),
        "null, big": made.pcap([struct.pack(">I", families[kind]) + packet for packet, kind in packets], 0),
        "loop": made.pcap([struct.pack(">I", families[kind]) + packet for packet, kind in packets], 108),
        "cooked": made.pcap(
            [struct.pack(">HHH8s", 4, 1, 6, bytes(8)) + kind + packet for packet, kind in packets], 113
        ),
        "cooked 2": made.pcap([kind + cooked2 + packet for packet, kind in packets], 276),
        "cooked 2, VLAN": made.pcap([b"\x81\0" + cooked2 + b"\0\5" + kind + packet for packet, kind in packets], 276),
    }


def same_as_tshark(data: bytes, folder: Path) -> None:
    path = folder / "made.pcap"
    path.write_bytes(data)
    assert export(path).splitlines() == made.tshark(path).splitlines()


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("snap", [0, 20, 30, 38, 45, 60, 78])
def test_odd_frames_are_printed_as_tshark_prints_them(tmp_path: Path, snap: int) -> None:
    same_as_tshark(made.pcap(odd_frames(), snap=snap), tmp_path)


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("link", links([]))
def test_other_links_are_printed_as_tshark_prints_them(tmp_path: Path, link: str) -> None:
    same_as_tshark(links(odd_frames())[link], tmp_path)


@pytest.mark.tool("tshark")
def test_containers_are_printed_as_tshark_prints_them(tmp_path: Path) -> None:
    frame = bytes(ETHER / OUTER / UDP() / Raw(b"x"))
    head, simple = made.section() + made.interface(), made.block(3, struct.pack("<I", len(frame)) + frame)
    for data in (
        b"",
        made.pcap([]),
        made.pcap([frame] * 3, magic=0xA1B23C4D, order=">"),
        head + made.packet(frame, 10**15) + simple + made.packet(frame, 10**15 - 7),
        head + simple + made.packet(frame, 10**15),
        head + made.packet(frame, 10**15) + made.packet(frame, 10**15 + 1)[:-5],
        head + made.packet(frame, 5) + made.section(">") + made.interface(order=">") + made.packet(frame, 9, order=">"),
    ):
        same_as_tshark(data, tmp_path)


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("seed", range(3))
def test_damaged_frames_are_printed_as_tshark_prints_them(
    recording: Callable[[str], Path], tmp_path: Path, seed: int
) -> None:
    packets = pcap.read(recording("jvb-ipv6") / "capture-eth0.pcapng")
    chance = random.Random(seed)
    frames = [bytearray(packets.frame(chance.randrange(1, len(packets)))) for _ in range(2000)]
    for frame in frames:
        for _ in range(chance.choice([1, 1, 2])):
            at = chance.randrange(12, min(len(frame), 78))
            frame[at] = chance.choice([0, 1, 255, chance.randrange(256), frame[at] ^ 1 << chance.randrange(8)])
    same_as_tshark(made.pcap([bytes(frame[: chance.choice([100, 40, 999])]) for frame in frames]), tmp_path)


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", ["jvb-ipv6", "turn-refused", "p2p-relay-only"])
def test_recordings_are_printed_as_tshark_prints_them(recording: Callable[[str], Path], name: str) -> None:
    for path in sorted(recording(name).glob("capture-*.pcapng")):
        assert export(path) == made.tshark(path)


@pytest.mark.tool("tshark")
def test_captures_of_others_are_printed_as_tshark_prints_them(data: Path) -> None:
    for path in sorted((data / "pcaps").glob("*.pcap*")):
        assert export(path) == made.tshark(path), path.name


def test_the_export_of_what_is_no_capture(tmp_path: Path) -> None:
    out = io.StringIO()
    with pytest.raises(CaptureError):
        like_tshark.write(io.BytesIO(b"not a capture at all"), out)
    assert out.getvalue() == ""


# -- frames -----------------------------------------------------------------------------------------------------------


def check_schema(rows: pd.DataFrame, schema: dict[str, tuple[str, str]]) -> None:
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == {
        name: dtype for name, (dtype, _) in schema.items()
    }


@pytest.mark.parametrize("data", [made.pcap([]), made.pcap(odd_frames()), made.pcap(odd_frames(), snap=50)])
def test_tables_have_their_schema(data: bytes) -> None:
    wire = of(data)
    wire.__dict__["sessions"] = {}
    for name, build in (frame_tables.BUILD | flow_table.BUILD).items():
        rows, _ = build(wire)
        check_schema(rows, (frame_tables.SCHEMAS | flow_table.SCHEMAS)[name])


def test_frames_are_in_nanoseconds_of_utc() -> None:
    data = made.pcap([bytes(ETHER / OUTER / UDP(sport=5, dport=6)), bytes(ETHER / ARP())], magic=0xA1B23C4D)
    rows = frame_tables.frames(of(data)).rows
    assert rows["time"][1] == pd.Timestamp("2020-09-13T12:26:41.000000001Z")
    assert rows["seconds"].tolist() == [0.0, 1.000000001]
    assert rows.loc[0, ["src", "src_port", "dst", "dst_port", "flow", "ip_version", "ip_protocol"]].tolist() == [
        "192.0.2.1", 5, "198.51.100.2", 6, 0, 4, 17,
    ]  # fmt: skip
    assert rows.loc[1, ["src", "src_port", "flow", "ip_version", "ip_protocol", "duplicate_of"]].isna().all()
    assert rows["protocol"].tolist() == ["UDP", "ARP"]


@pytest.mark.parametrize("make", [made.pcap, made.pcapng])
def test_csv_without_pandas_is_the_table_as_csv(make: Callable[[list[bytes]], bytes]) -> None:
    simple = made.block(3, struct.pack("<I", 60) + bytes(60))
    data = make(odd_frames()) + (simple if make is made.pcapng else b"")
    assert_csv(data)


def test_csv_of_a_recording(recording: Callable[[str], Path]) -> None:
    assert_csv((recording("jvb-3") / "capture-any.pcapng").read_bytes())


def assert_csv(data: bytes) -> None:
    quick, table = io.StringIO(), io.StringIO()
    frames_csv.write(io.BytesIO(data), quick)
    as_text(frame_tables.frames(of(data)).rows).to_csv(table, index=False, lineterminator="\n")
    assert quick.getvalue().splitlines() == table.getvalue().splitlines()


def test_arp_rows_and_what_is_no_arp() -> None:
    other = ETHER / ARP(hwtype=7)
    ask = ETHER / ARP(op=1, hwsrc="02:00:00:00:00:05", psrc="10.0.0.1", pdst="10.0.0.2")
    table = frame_tables.arp(of(made.pcap([bytes(ask), bytes(other), bytes(ask)[:30]])))
    assert table.rows.iloc[0].tolist()[3:] == [
        "02:00:00:00:00:05", "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2", 1,
    ]  # fmt: skip
    assert [problem.frame for problem in table.problems] == [2, 3]


# -- tcp --------------------------------------------------------------------------------------------------------------


@pytest.mark.tool("tshark")
def test_segments_are_those_of_tshark(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-lossy") / "capture-eth0.pcapng"
    rows = frame_tables.tcp(Wire(pcap.read(path))).rows
    fields = ("frame.number", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.len",
              "tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.options.timestamp.tsval",
              "tcp.options.timestamp.tsecr")  # fmt: skip
    names = ["frame", "seq", "ack", "window", "length", "mss", "scale", "tsval", "tsecr"]
    want = [line.split(",") for line in made.tshark(path, fields).splitlines()[1:]]
    have = rows[names].astype("Int64").astype(object).where(rows[names].notna(), "")
    assert have.map(str).to_numpy().tolist() == [line for line in want if line[1]]
    blocks = made.tshark(path, ("tcp.options.sack_le", "tcp.options.sack_re", "tcp.options.sack_perm")).splitlines()[1:]
    sacks = [line.split(",") for line in blocks]
    shown = {
        frame: sack.split()[0].split("-")
        for frame, sack in zip(rows["frame"], rows["sack"], strict=True)
        if sack == sack
    }
    assert len(shown) > 5
    assert sorted(shown) == [number for number, line in enumerate(sacks, 1) if line[0]]
    assert set(rows["frame"][rows["sack_permitted"]]) == {number for number, line in enumerate(sacks, 1) if line[2]}
    assert set(rows["flags"]) >= {"SYN", "SYN,ACK", "ACK", "PSH,ACK"}


def test_options() -> None:
    assert options(b"") == Options()
    assert options(bytes.fromhex("020405b40402080a00000001000000020103030a")) == Options(
        mss=1460, scale=10, sack_permitted=True, tsval=1, tsecr=2
    )
    assert options(bytes.fromhex("0101050a0000000100000002")) == Options(sack=((1, 2),))
    assert options(b"\1\1\0\2\4") == Options()
    assert options(b"\1\2") == Options(rest=1)
    assert options(b"\x08\x0a\0\0") == Options(rest=0)
    assert options(b"\x08\1\0\0") == Options(rest=0)


@given(st.binary(max_size=40))
def test_any_options(data: bytes) -> None:
    found = options(data)
    assert found.rest is None or found.rest < len(data)


def test_an_option_that_does_not_fit_is_a_problem() -> None:
    good, bad = TCP(options=[("MSS", 1000)]), TCP(dataofs=6) / Raw(b"\x02\x30\0\0")
    table = frame_tables.tcp(of(made.pcap([bytes(ETHER / OUTER / good), bytes(ETHER / OUTER / bad)])))
    assert table.rows["mss"].tolist() == [1000, pd.NA]
    assert [(problem.frame, problem.offset) for problem in table.problems] == [(2, 20)]


# -- flows ------------------------------------------------------------------------------------------------------------


def test_flows_count_each_way(recording: Callable[[str], Path]) -> None:
    wire = Wire(pcap.read(recording("jvb-3") / "capture-any.pcapng"))
    rows, frames = flow_table.flows(wire).rows, frame_tables.frames(wire).rows
    by_flow = frames.dropna(subset=["flow"]).groupby("flow")
    assert (rows["packets_up"] + rows["packets_down"]).tolist() == by_flow.size().tolist()
    assert (rows["bytes_up"] + rows["bytes_down"]).tolist() == by_flow["length"].sum().tolist()
    assert rows["first_frame"].tolist() == by_flow["frame"].min().tolist()
    assert rows["last_seconds"].tolist() == by_flow["seconds"].max().tolist()
    udp = rows[rows["transport"] == "udp"]
    assert udp[["handshake", "resets", "retransmissions", "gaps"]].isna().all(axis=None)
    assert set(rows["observability"]) <= {"clear", "decrypted", "opaque"}
    media = rows[[kind.startswith("RTP") for kind in rows["kind"]]]
    assert len(media) == 3
    assert {frozenset(kind.split()) for kind in media["kind"]} == {frozenset(("RTP", "RTCP", "STUN", "DTLS"))}
    assert set(media["observability"]) == {"opaque"}


@pytest.mark.tool("tshark")
def test_flows_are_the_conversations_of_tshark(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-lossy") / "capture-eth0.pcapng"
    rows = flow_table.flows(Wire(pcap.read(path))).rows
    fields = ("tcp.stream", "udp.stream", "frame.len", "icmp.type", "tcp.flags.reset", "tcp.len", "udp.length")
    lines = [line.split(",") for line in made.tshark(path, fields).splitlines()[1:]]
    want: dict[tuple[str, str], list[int]] = {}
    for tcp, udp, length, icmp, reset, size, datagram in lines:
        if (tcp or udp) and not icmp:
            counted = want.setdefault((tcp, udp), [0, 0, 0, 0])
            payload = int(size) if tcp else int(datagram) - 8
            for i, value in enumerate((1, int(length), int(reset == "1"), payload)):
                counted[i] += value
    sums = pd.DataFrame({
        "packets": rows["packets_up"] + rows["packets_down"], "bytes": rows["bytes_up"] + rows["bytes_down"],
        "resets": rows["resets"].fillna(0), "payload": rows["payload_up"] + rows["payload_down"],
    })  # fmt: skip
    assert sums.astype(int).to_numpy().tolist() == list(want.values())
