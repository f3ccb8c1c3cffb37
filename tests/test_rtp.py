"""RTP headers against the layouts of RFC 3550 and RFC 8285 and against any bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.errors import ParseError
from jitsilab.protocols import rtp

VECTOR = bytes.fromhex("806f0001000003c0deadbeef")


def test_the_fixed_header() -> None:
    """RFC 3550 section 5.1: V=2, no padding, extension or CSRC; payload type 111."""
    header = rtp.decode(VECTOR)
    assert (header.payload_type, header.sequence, header.timestamp, header.ssrc) == (111, 1, 960, 0xDEADBEEF)
    assert (header.marker, header.padding, header.size) == (False, False, 12)
    assert rtp.decode(b"\xa0\xef" + VECTOR[2:]).marker
    assert rtp.decode(b"\xa0\xef" + VECTOR[2:]).padding


def test_one_byte_extensions() -> None:
    """The example of RFC 8285 section 4.2: three elements of 1, 2 and 4 bytes with padding between."""
    block = bytes.fromhex("bede0003 10aa 21bbbb 0000 33cccccccc 00".replace(" ", ""))
    header = rtp.decode(b"\x90\x6f" + VECTOR[2:] + block + b"payload")
    assert header.profile == 0xBEDE
    assert header.extensions == ((1, b"\xaa"), (2, b"\xbb\xbb"), (3, b"\xcc" * 4))
    assert header.size == 12 + 4 + 12


def test_an_element_of_number_15_ends_the_list() -> None:
    assert rtp.elements(0xBEDE, bytes.fromhex("10aaf0bb20cc")) == ((1, b"\xaa"),)


def test_two_byte_extensions() -> None:
    """The example of RFC 8285 section 4.3: elements of 0, 1 and 4 bytes with padding between."""
    block = bytes.fromhex("100000030100 0201bb 00 0304cccccccc".replace(" ", ""))
    header = rtp.decode(b"\x90\x6f" + VECTOR[2:] + block)
    assert header.extensions == ((1, b""), (2, b"\xbb"), (3, b"\xcc" * 4))
    assert not header.problems


def test_another_profile_is_kept_by_number() -> None:
    header = rtp.decode(b"\x90\x6f" + VECTOR[2:] + bytes.fromhex("c0de0001deadbeef"))  # RFC 9335
    assert (header.profile, header.extensions, header.size) == (0xC0DE, (), 20)


def test_contributing_sources() -> None:
    header = rtp.decode(b"\x82\x6f" + VECTOR[2:] + bytes.fromhex("0000000100000002"))
    assert (header.csrcs, header.size) == ((1, 2), 20)
    cut = rtp.decode(b"\x8f\x6f" + VECTOR[2:] + bytes.fromhex("00000001ff"))
    assert cut.csrcs == (1,)
    assert cut.problems == ("1 of 15 contributing sources",)


def test_a_cut_extension_is_described() -> None:
    assert rtp.decode(b"\x90\x6f" + VECTOR[2:]).problems == ("the header extension is cut",)
    assert rtp.decode(b"\x90\x6f" + VECTOR[2:] + b"\xbe\xde\x00\x02\x10\xaa").problems == (
        "2 of 8 bytes of the header extension",
    )


@pytest.mark.parametrize("size", range(12))
def test_a_short_packet_says_where_it_ends(size: int) -> None:
    with pytest.raises(ParseError) as error:
        rtp.decode(VECTOR[:size])
    assert error.value.offset == size


@pytest.mark.parametrize("first", [0x00, 0x40, 0xC0])
def test_another_version_is_refused(first: int) -> None:
    with pytest.raises(ParseError, match=f"version 2, this {first >> 6}$"):
        rtp.decode(bytes([first]) + VECTOR[1:])


@given(st.binary(max_size=96) | st.binary(max_size=80).map(lambda tail: b"\x9f\x6f" + VECTOR[2:] + tail))
def test_any_bytes_decode_or_raise_parse_error(packet: bytes) -> None:
    with contextlib.suppress(ParseError):
        rtp.decode(packet)


def test_static_payload_types() -> None:
    """RFC 3551 tables 4 and 5: every number that is assigned."""
    assert set(rtp.STATIC) == {0, *range(3, 19), 25, 26, 28, 31, 32, 33, 34}
    assert rtp.STATIC[9].clock_rate == 8000  # section 4.5.2: G722 counts 8000 although it samples 16000
