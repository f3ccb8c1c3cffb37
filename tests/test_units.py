"""Units: messages wherever they run, against hand-made nestings and the recordings' own logs."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datagrams
from datagrams import Segment, Sent, stun, xored
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab import pcap
from jitsilab.wire import Wire, decrypt, units
from jitsilab.wire.units import Unit

A, B = (1, 40000), (2, 3478)
CHECK = stun(0x0001, 7, (0x0006, b"abcd:efgh"))
HELLO = bytes.fromhex("16fefd00000000000000000002 0100")
PEER = xored("192.0.2.9", 5000)


def short(unit: Unit) -> tuple[str, int, str]:
    return unit.transport, unit.depth, unit.kind


def test_turn_inside_turn() -> None:
    inner = stun(0x0016, 3, (0x0012, xored("192.0.2.10", 6000)), (0x0013, CHECK))
    outer = stun(0x0016, 2, (0x0012, PEER), (0x0013, inner))
    found = datagrams.wire(Sent(A, B, outer)).units
    assert [short(u) for u in found] == [("udp", 0, "stun"), ("udp", 1, "stun"), ("udp", 2, "stun")]
    assert [u.peer for u in found] == [None, ("192.0.2.9", 5000), ("192.0.2.10", 6000)]
    assert found[2].data == CHECK
    assert {(u.src, u.src_port, u.dst, u.dst_port) for u in found} == {("10.0.0.1", 40000, "10.0.0.2", 3478)}


def test_a_channel_has_the_peer_of_its_binding() -> None:
    bind = stun(0x0009, 1, (0x000C, b"\x40\x01\0\0"), (0x0012, PEER))
    channel = b"\x40\x01" + len(CHECK).to_bytes(2) + CHECK
    found = datagrams.wire(Sent(A, B, bind), Sent(B, A, channel)).units
    assert [short(u) for u in found] == [("udp", 0, "stun"), ("udp", 0, "channel"), ("udp", 1, "stun")]
    assert found[2].peer == ("192.0.2.9", 5000)
    assert (found[2].up, found[2].frame) == (False, 2)


def test_media_inside_a_relay_wants_ice_or_dtls_beside_it() -> None:
    def relayed(data: bytes) -> Sent:
        return Sent(A, B, stun(0x0016, 2, (0x0012, PEER), (0x0013, data)))

    rtp, secret, noise = datagrams.rtp(1), bytes.fromhex("2e08811122"), b"\xc7" + bytes(20)
    kinds = [u.kind for u in datagrams.wire(relayed(rtp), relayed(noise)).units if u.depth]
    assert kinds == []
    kinds = [u.kind for u in datagrams.wire(relayed(HELLO), relayed(rtp), relayed(secret)).units if u.depth]
    assert kinds == ["dtls", "rtp", "dtls"]
    kinds = [u.kind for u in datagrams.wire(relayed(CHECK), relayed(rtp), relayed(noise)).units if u.depth]
    assert kinds == ["stun"]


def test_depth_is_bounded() -> None:
    packet = CHECK
    for number in range(60):
        packet = stun(0x0016, number, (0x0012, PEER), (0x0013, packet))
    assert max(u.depth for u in datagrams.wire(Sent(A, B, packet)).units) == units.DEEPEST


def test_messages_of_a_stream_are_found_across_segments() -> None:
    channel = b"\x40\x01\x00\x05hello\0\0\0"
    stream = stun(0x0003, 1) + channel + CHECK
    cut = 37
    seen = [Segment(A, B, b"", 99, 2), Segment(B, A, b"", 0, 18), Segment(A, B, stream[:cut], 100)]
    found = datagrams.wire(*seen, Segment(A, B, stream[cut:], 100 + cut)).units
    assert [short(u) for u in found] == [("tcp", 0, "stun"), ("tcp", 0, "channel"), ("tcp", 0, "stun")]
    assert [(u.first_frame, u.frame) for u in found] == [(3, 3), (3, 3), (3, 4)]
    assert found[2].data == CHECK


def test_ice_tcp_and_pseudo_tls() -> None:
    framed = b"".join(len(one).to_bytes(2) + one for one in (CHECK, HELLO, datagrams.rtp(1)))
    found = datagrams.wire(Segment(A, B, framed, 1)).units
    assert [u.kind for u in found] == ["stun", "dtls", "rtp"]
    hello = bytes.fromhex("8046010301002d00000010") + bytes(61)
    answer = bytes.fromhex("160301004a020000460301") + bytes(68)
    seen = [Segment(A, B, b"", 0, 2), Segment(B, A, b"", 0, 18), Segment(A, B, hello, 1), Segment(B, A, answer, 1)]
    seen += [Segment(A, B, framed[: 2 + len(CHECK)], 73), Segment(B, A, framed, 80)]
    assert [u.kind for u in datagrams.wire(*seen).units] == ["stun", "stun", "dtls", "rtp"]


def test_a_hole_in_a_stream_costs_what_it_touches() -> None:
    channel = b"\x40\x01\x00\x0c" + datagrams.rtp(1, size=12)
    first = stun(0x0009, 1, (0x000C, b"\x40\x01\0\0"), (0x0012, PEER)) + channel
    lost, tail = channel, channel * 3
    seen = [Segment(A, B, b"", 0, 2), Segment(B, A, b"", 0, 18), Segment(A, B, first, 1)]
    seen.append(Segment(A, B, tail[5:], 1 + len(first) + len(lost) + 5))
    found = Counter(u.kind for u in datagrams.wire(*seen).units if not u.depth)
    assert found == {"stun": 1, "channel": 3}


def test_what_ran_inside_turn_over_tls(recording: Callable[[str], Path]) -> None:
    """Every control message that the recording's log has, in its order, a connection at a time."""
    where = recording("jvb-3")
    logged: dict[str, list[tuple[bool, str]]] = {}
    for line in (where / "turn-in-tls.jsonl").read_text().splitlines():
        row = json.loads(line)
        logged.setdefault(row["client"], []).append((row["up"], row["message"].split("-")[0]))
    wire = Wire(pcap.read(where / "capture-eth0.pcapng"), decrypt.KeyLog.load(where / "keys.txt"))
    names = {3: "allocate", 4: "refresh", 6: "send", 7: "data", 8: "create", 9: "channel"}
    found: dict[str, list[tuple[bool, str]]] = {}
    for unit in wire.units:
        if unit.transport == "tls" and not unit.depth:
            host, port = wire.flows[unit.flow].client
            name = names[unit.data[1] & 0xF] if unit.kind == "stun" else "channel"
            found.setdefault(f"{host}:{port}", []).append((unit.up, name))
    assert set(found) == set(logged)
    for client, messages in logged.items():
        assert Counter(found[client]) == Counter(messages)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=120), min_size=1, max_size=6), st.booleans())
def test_any_payloads_are_read(payloads: list[bytes], tcp: bool) -> None:
    sent: list[Sent | Segment] = [Sent(A, B, stun(0x0003, 1)) if not tcp else Segment(A, B, stun(0x0003, 1), 1)]
    at = 21
    for payload in payloads:
        sent.append(Segment(A, B, payload, at) if tcp else Sent(A, B, payload))
        at += len(payload)
    assert datagrams.wire(*sent).units
