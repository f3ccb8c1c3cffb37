"""Captures for tests, made of the UDP payloads and TCP segments that a test names."""

import io
import struct
from typing import NamedTuple

from jitsilab import pcap
from jitsilab.wire import Wire


class Sent(NamedTuple):
    """A payload between two endpoints of 10.0.0.0/24, each a last octet and a port."""

    source: tuple[int, int]
    target: tuple[int, int]
    payload: bytes
    time: float = 0.0
    kept: int | None = None  # bytes of the payload that the capture keeps
    interface: int = 0  # 0 or 1


class Segment(NamedTuple):
    """A TCP segment between two such endpoints."""

    source: tuple[int, int]
    target: tuple[int, int]
    payload: bytes
    seq: int
    flags: int = 0x18  # PSH, ACK
    time: float = 0.0


def wire(*sent: Sent | Segment, one_identification: int = 1) -> Wire:
    """The packets as a capture that was read: pcapng of two interfaces, raw IP, nanoseconds.

    As many neighbours share an IP identification as ``one_identification`` says.
    """
    out = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    out += [_block(1, struct.pack("<HHI", 101, 0, 65535) + bytes.fromhex("0900010009000000") + bytes(4))] * 2
    for number, one in enumerate(sent):
        header = _udp(one) if isinstance(one, Sent) else _tcp(one)
        protocol = 17 if isinstance(one, Sent) else 6
        size = 20 + len(header) + len(one.payload)
        addresses = bytes([10, 0, 0, one.source[0], 10, 0, 0, one.target[0]])
        ip = (
            struct.pack("!BBHHHBBH", 0x45, 0, size, number // one_identification & 0xFFFF, 0, 64, protocol, 0)
            + addresses
        )
        kept, interface = (one.kept, one.interface) if isinstance(one, Sent) else (None, 0)
        frame = ip + header + (one.payload if kept is None else one.payload[:kept])
        time = 1_700_000_000_000_000_000 + round((one.time or number * 0.01) * 1e9)
        head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(frame), size)
        out.append(_block(6, head + frame + bytes(-len(frame) % 4)))
    return Wire(pcap.read(io.BytesIO(b"".join(out))))


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def _udp(one: Sent) -> bytes:
    return struct.pack("!HHHH", one.source[1], one.target[1], 8 + len(one.payload), 0)


def _tcp(one: Segment) -> bytes:
    return struct.pack("!HHIIBBHHH", one.source[1], one.target[1], one.seq, 0, 0x50, one.flags, 65535, 0, 0)


def stun(kind: int, transaction: int, *attributes: tuple[int, bytes]) -> bytes:
    """A STUN message with the cookie."""
    body = b"".join(struct.pack("!HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
    return struct.pack("!HHI", kind, len(body), 0x2112A442) + transaction.to_bytes(12) + body


def xored(host: str, port: int) -> bytes:
    """The value of an XOR address attribute, IPv4."""
    packed = bytes(int(octet) ^ key for octet, key in zip(host.split("."), b"\x21\x12\xa4\x42", strict=True))
    return b"\x00\x01" + (port ^ 0x2112).to_bytes(2) + packed


def rtp(
    sequence: int, ssrc: int = 0xDEADBEEF, payload_type: int = 111, timestamp: int | None = None, size: int = 40
) -> bytes:
    """An RTP packet of ``size`` bytes; its clock goes on by 960 a packet where no timestamp is given."""
    timestamp = 960 * sequence if timestamp is None else timestamp
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc).ljust(
        size, b"\x55"
    )
