"""Labels: what is there is named, and what only looks like it is not."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datagrams
import numpy as np
import pytest
from datagrams import Segment, Sent
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab import pcap
from jitsilab.wire import Wire, labels
from jitsilab.wire.labels import NAMES

A, B = (1, 40000), (2, 10000)
REQUEST = datagrams.stun(0x0001, 1, (0x0006, b"abcd:efgh"))
ALLOCATE = datagrams.stun(0x0003, 1, (0x0019, b"\x11\0\0\0"))
CHANNEL = bytes.fromhex("4000000c") + b"\x80\x6f" + bytes(10)
DTLS = bytes.fromhex("16fefd0000000000000000000e 0e 000002 0000 000000 000002 0000")
SECRET = bytes.fromhex("2e0881001f") + bytes(31)  # ciphertext of DTLS 1.3, RFC 9147 section 4
REPORT = bytes.fromhex("80c9000100000001")


def named(*sent: Sent | Segment) -> list[str]:
    return [NAMES[label] for label in datagrams.wire(*sent).labels]


def up(*payloads: bytes) -> list[Sent]:
    return [Sent(A, B, payload) for payload in payloads]


def test_rtp_is_believed_when_its_sequence_rises() -> None:
    assert named(*up(*(datagrams.rtp(n) for n in (65534, 65535, 0, 1)))) == ["RTP"] * 4
    assert named(*up(datagrams.rtp(5), datagrams.rtp(6))) == ["RTP"] * 2
    assert named(*up(datagrams.rtp(5))) == ["UDP"]
    assert named(*up(datagrams.rtp(5), datagrams.rtp(900))) == ["UDP"] * 2
    assert named(*up(datagrams.rtp(7), datagrams.rtp(7), datagrams.rtp(7))) == ["UDP"] * 3


def test_beside_ice_a_single_packet_is_enough() -> None:
    assert named(*up(REQUEST, datagrams.rtp(5), REPORT)) == ["STUN", "RTP", "RTCP"]
    assert named(*up(DTLS, datagrams.rtp(5))) == ["DTLS", "RTP"]


def test_what_contradicts_rfc_7983_makes_a_flow_doubtful() -> None:
    assert named(*up(REQUEST, datagrams.rtp(5), b"\xc7" + bytes(30))) == ["STUN", "UDP", "UDP"]


def test_random_datagrams_beside_stun_are_no_media() -> None:
    """As some messengers send them: encrypted whole, first byte included, on a port that also speaks STUN."""
    dice = random.Random(4)
    noise = [dice.randbytes(dice.randrange(12, 400)) for _ in range(400)]
    assert set(named(*up(REQUEST, *noise))[1:]) == {"UDP"}


def test_channel_data_wants_turn() -> None:
    assert named(*up(CHANNEL)) == ["UDP"]
    assert named(*up(REQUEST, CHANNEL)) == ["STUN", "UDP"]
    assert named(*up(ALLOCATE, CHANNEL, CHANNEL + b"\0")) == ["STUN", "CHANNEL", "CHANNEL"]
    assert named(*up(ALLOCATE, CHANNEL[:-1])) == ["STUN", "UDP"]
    assert named(*up(ALLOCATE, CHANNEL)) == ["STUN", "UDP"]  # a channel that was not bound, once
    bind = datagrams.stun(0x0009, 2, (0x000C, b"\x40\0\0\0"), (0x0012, datagrams.xored("10.0.0.9", 9)))
    assert named(*up(bind, CHANNEL)) == ["STUN", "CHANNEL"]
    assert named(*up(CHANNEL, CHANNEL, CHANNEL)) == ["UDP"] * 3


def test_the_middle_of_a_relays_life_is_proven_by_what_channels_hold() -> None:
    def held(number: int, inside: bytes) -> bytes:
        return number.to_bytes(2) + len(inside).to_bytes(2) + inside

    media = [held(0x4000, datagrams.rtp(n)) for n in range(4)]
    assert named(*up(*media)) == ["CHANNEL"] * 4
    assert named(*up(*[held(0x4001, REQUEST)] * 3)) == ["CHANNEL"] * 3
    assert named(*up(*media, b"\x41\0\0\0\0\0\0\0\0")) == ["UDP"] * 5


def test_what_looks_like_ours_and_is_not() -> None:
    """GTPv2 has its length where ChannelData has it, BACnet its own where RTP counts, SOAP begins as XMPP may."""
    echo = bytes.fromhex("4001000900000100 0300010005".replace(" ", ""))
    create = bytes.fromhex("4820000c00000000 00000100 49000000".replace(" ", ""))
    assert set(named(*up(*[echo] * 5))) == set(named(*up(*[create] * 5))) == {"UDP"}
    who_is = [b"\x81\x0b" + (12 + n).to_bytes(2) + bytes.fromhex("0120ffff00ff1008") + bytes(n) for n in range(4)]
    assert set(named(*up(*who_is))) == {"UDP"}
    counted = [b"\x80\x01" + n.to_bytes(2) + b"same words for ever" for n in range(20)]
    assert set(named(*up(*counted))) == {"UDP"}
    soap = b"<?xml version='1.0'?><soap:Envelope xmlns:soap='http://www.w3.org/2003/05/soap-envelope'>"
    assert named(Segment(A, B, soap, 1)) == named(Segment(A, B, b"<?xml version='1.0'?>", 1)) == ["TCP"]
    assert named(Segment(A, B, b"<message name='Request'><part/></message>", 1)) == ["TCP"]
    assert named(Segment(A, B, b"<message to='room@conference.example' type='groupchat'>", 1)) == ["XMPP"]


def test_the_ciphertext_of_dtls_13_wants_a_handshake() -> None:
    assert named(*up(SECRET)) == ["UDP"]
    assert named(*up(DTLS, SECRET)) == ["DTLS", "DTLS"]


def test_rtcp_on_a_port_of_its_own() -> None:
    assert named(*up(REPORT + bytes.fromhex("81ca0002 00000001 01006100"))) == ["RTCP"]
    assert named(*up(REPORT + bytes(5))) == ["UDP"]


def test_stun_of_rfc_3489_by_its_attributes_or_its_answer() -> None:
    request = b"\x00\x01\x00\x00" + bytes(range(16))
    answer = bytes.fromhex("0101000c") + bytes(range(16)) + bytes.fromhex("00010008 0001 9c40 0a000001")
    assert named(*up(request)) == ["UDP"]
    assert named(Sent(A, B, request), Sent(B, A, answer)) == ["STUN", "STUN"]
    assert named(Sent(A, B, request), Sent((3, 9), A, answer)) == ["UDP", "STUN"]


def test_tcp_takes_the_name_of_what_it_began_with() -> None:
    hello = bytes.fromhex("1603010005") + bytes(5)
    header = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"
    seen = [Segment(A, B, b"<?xml version='1.0'?>", 1), Segment(A, B, header, 22), Segment(A, B, hello, 85)]
    seen += [Segment(A, B, b"\x99" * 9, 95), Segment((5, 5), B, b"SSH-2.0-x", 1), Segment((6, 6), B, b"\x99", 1)]
    assert named(*seen) == ["XMPP", "XMPP", "TLS", "TLS", "SSH", "TCP"]
    relay = [Segment(A, B, ALLOCATE, 1), Segment(A, B, CHANNEL, 29), Segment(A, B, b"\xee", 45)]
    assert named(*relay) == ["STUN", "CHANNEL", "STUN"]  # what follows in a stream of TURN is TURN


def test_a_cut_payload_is_judged_by_its_length_on_the_wire() -> None:
    sent = [Sent(A, B, ALLOCATE), *[Sent(A, B, bytes.fromhex("400003e8") + bytes(1000), kept=20)] * 2]
    assert named(*sent) == ["STUN", "CHANNEL", "CHANNEL"]


def test_quic_by_its_version_then_by_its_flow() -> None:
    initial = bytes.fromhex("c300000001") + bytes(40)
    assert named(*up(initial, b"\x43" + bytes(30))) == ["QUIC", "QUIC"]
    assert named(*up(b"\xc3\x12\x34\x56\x78" + bytes(40), b"\x43" + bytes(30))) == ["UDP", "UDP"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=12))
def test_any_payloads_have_a_label(payloads: list[tuple[bool, bytes]]) -> None:
    sent = [Sent(A, B, data) if udp else Segment(A, B, data, 1) for udp, data in payloads]
    assert all(name in NAMES for name in named(*sent))


NEGATIVES = {  # others' captures: labels of ours that must not be there
    "dtls.pcap": {"STUN", "CHANNEL", "RTP", "RTCP"},
    "dtls2.pcap": {"STUN", "CHANNEL", "RTP", "RTCP"},
    "jabber.pcap": {"STUN", "CHANNEL", "RTP", "RTCP", "DTLS", "TLS", "HTTP"},
    "rtp.pcapng": {"STUN", "CHANNEL", "DTLS"},
    "rtcp_multiple_pkts_in_the_same_datagram.pcap": {"STUN", "CHANNEL", "RTP", "DTLS"},
    "stun_signal.pcapng": {"CHANNEL", "DTLS"},
    "stun_wa_call.pcapng": {"CHANNEL", "DTLS"},
    "telegram_videocall.pcapng": {"CHANNEL", "RTP", "RTCP", "DTLS", "XMPP"},
    "tls_certificate_too_long.pcap": {"STUN", "CHANNEL", "RTP", "RTCP", "DTLS", "XMPP"},
    "websocket.pcap": {"STUN", "CHANNEL", "RTP", "RTCP", "DTLS"},
}


@pytest.mark.parametrize("name", NEGATIVES)
def test_no_capture_yields_what_is_not_there(data: Path, name: str) -> None:
    wire = Wire(pcap.read(data / "pcaps" / name))
    found = Counter(NAMES[label] for label in wire.labels)
    assert not set(found) & NEGATIVES[name], found


@pytest.mark.tool("tshark")
def test_as_tshark_names_the_frames_of_a_call(recording: Callable[[str], Path]) -> None:
    """STUN and DTLS frames by tshark's own dissection; all other UDP of the bridge is media, as its profile shows."""
    source = recording("jvb-3") / "capture-eth0.pcapng"
    wire = Wire(pcap.read(source))
    for shown, label in (("stun", labels.Label.STUN), ("dtls", labels.Label.DTLS)):
        argv = ["tshark", "-r", str(source), "-Y", f"{shown} && udp && !icmp", "-T", "fields", "-e", "frame.number"]
        frames = [int(n) for n in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()]
        assert (np.flatnonzero((wire.labels == label) & (wire.packets.ip_protocol == 17)) + 1).tolist() == frames
    assert not (wire.labels == labels.Label.UDP).any()


def test_a_hundred_thousand_packets_of_media_are_labelled() -> None:
    wire = datagrams.wire(*(Sent((n % 40, 20000), B, datagrams.rtp(n // 40, ssrc=n % 40)) for n in range(100_000)))
    assert len(wire.flows) == 40
    assert (wire.labels == labels.Label.RTP).all()
