"""Demultiplexing: the ranges of RFC 7983 and RFC 9443, the framings of streams, and what is none of ours."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.protocols import demux


def vector(name: str) -> bytes:
    lines = (Path(__file__).parent / "vectors" / "stun" / f"{name}.hex").read_text("utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


REQUEST = vector("rfc5769-2.1-request")
RESPONSE = vector("rfc5769-2.2-ipv4")
ALL = [REQUEST, RESPONSE, vector("rfc5769-2.3-ipv6"), vector("rfc5769-2.4-long-term")]
CHANNEL = bytes.fromhex("4001000561626364 65")
PADDED = CHANNEL + bytes(3)
DTLS = bytes.fromhex("16feff 0000 000000000000 0001 01")
RTP = bytes.fromhex("806f0001000003c0deadbeef")
RTCP = bytes.fromhex("81ce00020000000100000002")


def test_the_ranges_of_rfc_9443() -> None:
    ranges = {0: "stun", 3: "stun", 4: "", 15: "", 16: "zrtp", 19: "zrtp", 20: "dtls", 63: "dtls", 64: "channel"}
    ranges |= {79: "channel", 80: "quic", 127: "quic", 128: "rtp", 191: "rtp", 192: "quic", 255: "quic"}
    assert {first: demux.range_name(first) for first in ranges} == ranges


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (REQUEST, "stun"),
        (bytes.fromhex("080100002112a44270758b44c723a74ed1934a3b"), "stun"),  # WhatsApp's ping
        (DTLS, "dtls"),
        (CHANNEL, "channel"),
        (PADDED, "channel"),
        (RTP, "rtp"),
        (RTCP, "rtcp"),
        (b"\x00\x01\x00\x00" + bytes(16), ""),  # Binding request without cookie: nothing marks it
        (bytes.fromhex("17030300051122334455"), ""),  # a TLS record
        (bytes.fromhex("40010005616263"), ""),  # the length fits nothing
        (CHANNEL + bytes(4), ""),  # more than padding follows
        (b"\x00\x01", ""),
    ],
)
def test_one_datagram(data: bytes, name: str) -> None:
    assert demux.kind(data) == name


def test_stun_of_rfc_3489() -> None:
    """RFC 3489 sections 11.1 and 11.2.4: a Binding request with CHANGE-REQUEST."""
    classic = bytes.fromhex("00010008 9429ef88294dd52632c72931cb8dbb4c 0003000400000006")
    assert demux.kind(classic) == "classic"
    assert demux.kind(classic[:-1]) == ""
    assert demux.kind(classic + b"\x00") == ""
    assert demux.kind(b"\x05" + classic[1:]) == ""
    assert demux.kind(classic[:-8] + bytes.fromhex("00030002000600 00")) == ""  # CHANGE-REQUEST has four bytes


def test_a_stream_of_stun_and_channel_data() -> None:
    stream = REQUEST + PADDED + RESPONSE
    assert demux.framing(stream) == "turn"
    found = list(demux.split(stream, "turn"))
    assert [one.kind for one in found] == ["stun", "channel", "stun"]
    assert [one.data for one in found] == [REQUEST, CHANNEL, RESPONSE]
    assert [(one.offset, one.end) for one in found] == [(0, 108), (108, 120), (120, 200)]


def test_a_stream_that_begins_in_the_middle_is_read_from_the_next_cookie() -> None:
    found = list(demux.split(b"\xff\xff\xff" + REQUEST[9:] + RESPONSE + REQUEST, "turn"))
    assert [one.data for one in found] == [RESPONSE, REQUEST]


def test_the_last_message_may_be_cut() -> None:
    stream = REQUEST + RESPONSE
    for size in range(len(REQUEST), len(stream)):
        assert [one.data for one in demux.split(stream[:size], "turn")] == [REQUEST]


def test_a_run_is_entered_at_a_header_that_another_follows() -> None:
    for skipped in range(1, len(CHANNEL)):
        run = (PADDED * 3 + REQUEST)[skipped:]
        start = demux.resume(run, {0x4001})
        assert [one.kind for one in demux.split(run, "turn", start)] == ["channel", "channel", "stun"]
        assert demux.resume(run, set()) == len(run) - len(REQUEST)
    assert demux.resume(b"\x40\x01" * 50, {0x4001}) == -1


def test_rfc_4571_framing() -> None:
    """RFC 4571 section 2: two bytes of length before each packet."""
    packets = [REQUEST, DTLS, RTP, RTCP, RESPONSE]
    stream = b"".join(len(one).to_bytes(2) + one for one in packets)
    assert demux.framing(stream) == "rfc4571"
    found = list(demux.split(stream, "rfc4571"))
    assert [one.data for one in found] == packets
    assert [one.kind for one in found] == ["stun", "dtls", "rtp", "rtcp", "stun"]


def test_pseudo_tls() -> None:
    """The hello of libwebrtc's ssltcp candidates, by its published layout, and what follows it."""
    client = demux.PSEUDO_CLIENT_HELLO + bytes(72 - len(demux.PSEUDO_CLIENT_HELLO))
    server = demux.PSEUDO_SERVER_HELLO + bytes(79 - len(demux.PSEUDO_SERVER_HELLO))
    for hello in (client, server):
        assert demux.framing(hello + REQUEST) == "pseudo-tls"
        start = demux.after_hello(hello + REQUEST)
        assert [one.data for one in demux.split(hello + REQUEST, "turn", start)] == [REQUEST]
    assert demux.after_hello(REQUEST) == 0


@given(st.binary(max_size=200), st.sampled_from(["turn", "rfc4571"]))
def test_any_stream_ends(data: bytes, form: str) -> None:
    last = 0
    for one in demux.split(data, form):
        assert last <= one.offset <= one.end
        last = one.end


@given(st.binary(max_size=64))
def test_any_datagram_has_a_name(data: bytes) -> None:
    assert demux.kind(data) in {"", "stun", "classic", "dtls", "channel", "rtp", "rtcp"}


@given(st.binary(min_size=20, max_size=1200).filter(lambda data: data[4:8] != demux.COOKIE))
def test_random_bytes_are_no_stun(data: bytes) -> None:
    assert demux.kind(data) not in {"stun", "classic"}


@given(st.lists(st.sampled_from([*ALL, PADDED]), max_size=6), st.binary(max_size=30))
def test_garbage_before_messages_hides_at_most_what_it_touches(messages: list[bytes], garbage: bytes) -> None:
    stream = bytes([0xFF, *garbage]) + b"".join(messages)
    found = [one.data for one in demux.split(stream, "turn") if one.kind == "stun"]
    assert all(one in ALL for one in found)
