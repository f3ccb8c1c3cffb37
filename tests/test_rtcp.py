"""RTCP against the layouts of RFC 3550, RFC 4585 and RFC 3711, against tshark, and against any bytes."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.errors import ParseError
from jitsilab.protocols import rtcp

# RFC 3550 section 6.4.1: a sender report with one block, 6.5: SDES with CNAME "ab", 6.6: BYE "gone"
SENDER = bytes.fromhex("81c8000c 00000001 00000002 80000000 000003e8 00000005 000001f4")
BLOCK = bytes.fromhex("00000009 40fffffe 0001ffff 00000010 aabbccdd 00010000")
SDES = bytes.fromhex("81ca0003 00000001 01026162 00000000")
BYE = bytes.fromhex("81cb0003 00000001 04676f6e 65000000")


def test_a_compound() -> None:
    compound = rtcp.decode(SENDER + BLOCK + SDES + BYE)
    assert [packet.name for packet in compound.packets] == ["SR", "SDES", "BYE"]
    assert not compound.encrypted
    assert not compound.problems
    report, description, bye = compound.packets
    assert report.sender == ((2 << 32) + (1 << 31), 1000, 5, 500)
    assert report.reports == ((9, 64, -2, 0x1FFFF, 16, 0xAABBCCDD, 65536),)
    assert description.text == "ab"
    assert bye.text == "gone"


def test_reduced_size_feedback() -> None:
    """RFC 4585 section 6.3.1: a Picture Loss Indication alone (RFC 5506)."""
    (packet,) = rtcp.decode(bytes.fromhex("81ce0002 00000001 00000002")).packets
    assert (packet.format, packet.ssrc, packet.media_ssrc) == ("PLI", 1, 2)


def test_srtcp_leaves_the_header_and_the_sender() -> None:
    """RFC 3711 section 3.4: E and index, then a tag of ten bytes; RFC 7714 section 9.2: they come last."""
    body = bytes(range(7, 40, 3)) * 4
    for trailer, index in ((b"\x80\x00\x00\x07" + b"\x55" * 10, 7), (b"\x55" * 16 + b"\x80\x00\x00\x08", 8)):
        compound = rtcp.decode(bytes.fromhex("80c8000600000001") + body + trailer)
        assert compound.encrypted
        assert compound.srtcp_index == index
        assert [(p.name, p.ssrc, p.sender) for p in compound.packets] == [("SR", 1, None)]


def test_srtcp_without_encryption_is_read() -> None:
    compound = rtcp.decode(SDES + b"\x00\x00\x00\x07" + b"\x55" * 10)
    assert not compound.encrypted
    assert compound.packets[0].text == "ab"


def test_a_packet_cut_by_the_capture_is_not_taken_for_encrypted() -> None:
    whole = SENDER + BLOCK
    compound = rtcp.decode(whole[:40], size=len(whole))
    assert not compound.encrypted
    assert compound.packets[0].sender is not None
    two = rtcp.decode((SENDER + BLOCK + SDES)[:60], size=len(SENDER + BLOCK + SDES))
    assert [p.name for p in two.packets] == ["SR", "SDES"]


@pytest.mark.parametrize("size", range(4))
def test_a_short_packet_says_where_it_ends(size: int) -> None:
    with pytest.raises(ParseError) as error:
        rtcp.decode(SENDER[:size])
    assert error.value.offset == size


@pytest.mark.parametrize("head", ["00c80001", "80640001", "80e00001"])
def test_what_is_no_rtcp_is_refused(head: str) -> None:
    with pytest.raises(ParseError):
        rtcp.decode(bytes.fromhex(head) + bytes(4))


@given(
    st.binary(max_size=120) | st.binary(max_size=90).map(lambda tail: b"\x9f" + tail),
    st.none() | st.integers(0, 2000),
    st.none() | st.booleans(),
)
def test_any_bytes_decode_or_raise_parse_error(packet: bytes, size: int | None, encrypted: bool | None) -> None:
    with contextlib.suppress(ParseError):
        for one in rtcp.decode(packet, size, encrypted).packets:
            assert one.name
            _ = one.format


@pytest.mark.parametrize("packet", [SENDER + BLOCK + SDES + BYE])
def test_every_truncation_is_a_value(packet: bytes) -> None:
    for size in range(4, len(packet)):
        rtcp.decode(packet[:size], size=len(packet))
        rtcp.decode(packet[:size])


@pytest.mark.tool("tshark")
def test_as_tshark_reads_a_real_compound(data: Path) -> None:
    source = data / "pcaps" / "rtcp_multiple_pkts_in_the_same_datagram.pcap"
    fields = ["udp.payload", "rtcp.pt", "rtcp.senderssrc"]
    argv = ["tshark", "-r", str(source), "-T", "fields", *(word for name in fields for word in ("-e", name))]
    for line in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines():
        payload, types, senders = line.split("\t")
        compound = rtcp.decode(bytes.fromhex(payload))
        assert [str(p.type) for p in compound.packets] == types.split(",")
        mine = [f"0x{p.ssrc:08x}" for p in compound.packets if p.ssrc is not None and p.name != "SDES"]
        assert mine == senders.split(",")
