"""RTP headers (RFC 3550 section 5.1) with header extensions (RFC 8285): what SRTP leaves in clear."""

import struct
from typing import NamedTuple

from jitsilab.errors import ParseError

HEADER_SIZE = 12
ONE_BYTE = 0xBEDE  # profile of one-byte extension headers, RFC 8285 section 4.2; 0x1000..0x100F two-byte, section 4.3

_head = struct.Struct("!BBHII").unpack_from


class PayloadType(NamedTuple):
    """A payload type with a fixed meaning (RFC 3551 section 6)."""

    name: str
    kind: str  # audio, video, or both
    clock_rate: int  # ticks a second


STATIC: dict[int, PayloadType] = {
    0: PayloadType("PCMU", "audio", 8000),
    3: PayloadType("GSM", "audio", 8000),
    4: PayloadType("G723", "audio", 8000),
    5: PayloadType("DVI4", "audio", 8000),
    6: PayloadType("DVI4", "audio", 16000),
    7: PayloadType("LPC", "audio", 8000),
    8: PayloadType("PCMA", "audio", 8000),
    9: PayloadType("G722", "audio", 8000),
    10: PayloadType("L16", "audio", 44100),
    11: PayloadType("L16", "audio", 44100),
    12: PayloadType("QCELP", "audio", 8000),
    13: PayloadType("CN", "audio", 8000),
    14: PayloadType("MPA", "audio", 90000),
    15: PayloadType("G728", "audio", 8000),
    16: PayloadType("DVI4", "audio", 11025),
    17: PayloadType("DVI4", "audio", 22050),
    18: PayloadType("G729", "audio", 8000),
    25: PayloadType("CelB", "video", 90000),
    26: PayloadType("JPEG", "video", 90000),
    28: PayloadType("nv", "video", 90000),
    31: PayloadType("H261", "video", 90000),
    32: PayloadType("MPV", "video", 90000),
    33: PayloadType("MP2T", "both", 90000),
    34: PayloadType("H263", "video", 90000),
}


class Extension(NamedTuple):
    """One element of a header extension."""

    id: int  # 1..14 in the one-byte form, 1..255 in the two-byte form; meaning from Jingle or SDP
    data: bytes


class Header(NamedTuple):
    """The header of an RTP packet, and how long it is."""

    payload_type: int  # 0..127, named by the SDP or Jingle description
    sequence: int  # 16 bits, wraps
    timestamp: int  # 32 bits, ticks of the media clock, not seconds
    ssrc: int  # 32 bits
    marker: bool
    padding: bool  # how much, the last byte says, which SRTP encrypts
    csrcs: tuple[int, ...]
    profile: int | None  # "defined by profile" of the header extension, None without one
    extensions: tuple[Extension, ...]  # elements in order; empty where the profile is not of RFC 8285
    size: int  # bytes before the payload
    problems: tuple[str, ...]


def decode(packet: bytes) -> Header:
    """Decode the header of one RTP packet; the payload is not looked at.

    Raises ParseError when there are fewer than 12 bytes or the version is not 2. A packet that was cut inside its
    contributing sources or its extension says so in ``problems``.
    """
    if len(packet) < HEADER_SIZE:
        raise ParseError(f"an RTP header has 12 bytes, this {len(packet)}", offset=len(packet))
    first, second, sequence, timestamp, ssrc = _head(packet)
    if first >> 6 != 2:
        raise ParseError(f"RTP has version 2, this {first >> 6}", offset=0)
    size = HEADER_SIZE + 4 * (first & 15)
    problems: list[str] = []
    csrcs = tuple(word for (word,) in struct.iter_unpack("!I", packet[HEADER_SIZE : min(size, len(packet) & ~3)]))
    if len(csrcs) < first & 15:
        problems.append(f"{len(csrcs)} of {first & 15} contributing sources")
    profile: int | None = None
    extensions: tuple[Extension, ...] = ()
    if first & 0x10:
        if size + 4 <= len(packet):
            profile, words = struct.unpack_from("!HH", packet, size)
            size += 4 + 4 * words
            block = packet[size - 4 * words : size]
            if len(block) < 4 * words:
                problems.append(f"{len(block)} of {4 * words} bytes of the header extension")
            extensions = elements(profile, block)
        else:
            problems.append("the header extension is cut")
    return Header(
        second & 0x7F,
        sequence,
        timestamp,
        ssrc,
        second > 127,
        bool(first & 0x20),
        csrcs,
        profile,
        extensions,
        size,
        tuple(problems),
    )


def elements(profile: int, block: bytes) -> tuple[Extension, ...]:
    """The elements of a header extension of RFC 8285, one-byte or two-byte; none for another profile."""
    if profile != ONE_BYTE and profile >> 4 != 0x100:
        return ()
    extensions = []
    offset = 0
    while offset < len(block):
        first = block[offset]
        offset += 1
        if first == 0:  # padding between elements
            continue
        if profile == ONE_BYTE:
            number, length = first >> 4, (first & 15) + 1
            if number == 15:  # section 4.2: stop
                break
        elif offset < len(block):
            number, length = first, block[offset]
            offset += 1
        else:
            break
        extensions.append(Extension(number, block[offset : offset + length]))
        offset += length
    return tuple(extensions)
