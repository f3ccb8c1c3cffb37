"""What a datagram is, and where the messages of a byte stream begin, by their content.

RFC 7983 and RFC 9443 give each protocol of a multiplexed 5-tuple a range of first bytes. That is enough inside a flow
that is known to be one of WebRTC's, and far too little elsewhere: a quarter of all first bytes would be RTP. So there
are two steps: `kind` looks at one datagram alone, and says of what only a flow can confirm that it is possible.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from jitsilab.protocols import stun
from jitsilab.protocols.stun import COOKIE

DTLS_TYPES = frozenset(range(20, 27))  # change_cipher_spec .. ack; RFC 9147 section 4.1 reserves 32..63 for ciphertext
DTLS_VERSIONS = (b"\xfe\xff", b"\xfe\xfd", b"\x01\x00")  # 1.0, 1.2 (and 1.3 in clear), OpenSSL's before RFC 4347

# Google's pseudo-TLS ("ssltcp" candidates): a ClientHello in SSL 2 form without session, answered by a fixed
# ServerHello of 74 bytes; what follows was never TLS.
PSEUDO_CLIENT_HELLO = bytes.fromhex("80460103 01002d0000 0010")
PSEUDO_CLIENT_SIZE = 72
PSEUDO_SERVER_HELLO = bytes.fromhex("160301004a 02000046 0301")
PSEUDO_SERVER_SIZE = 79

_HEADERS = re.compile(rb"(?s)[\x00-\x3f]...\x21\x12\xa4\x42|[\x40-\x7f](?=...)")
_CLASSIC_SIZES = {0x0001: 8, 0x0002: 8, 0x0003: 4, 0x0004: 8, 0x0005: 8, 0x0008: 20, 0x000B: 8, 0x000F: 4}


def range_name(first: int) -> str:
    """The protocol whose range of RFC 7983 section 7, changed by RFC 9443, holds a first byte; empty if none."""
    for last, name in ((3, "stun"), (15, ""), (19, "zrtp"), (63, "dtls"), (79, "channel"), (127, "quic"), (191, "rtp")):
        if first <= last:
            return name
    return "quic"


def kind(data: bytes) -> str:
    """What one datagram may be: stun, classic, dtls, channel, rtp, rtcp, or an empty string.

    ``stun`` and ``dtls`` are certain; ``classic`` (RFC 3489, whose header has no mark), ``channel``, ``rtp`` and
    ``rtcp`` want a flow that confirms them.
    """
    if len(data) < 4:
        return ""
    first = data[0]
    if first < 64:
        if is_stun(data):
            return "stun"
        if is_dtls(data):
            return "dtls"
        return "classic" if is_classic(data) else ""
    if first < 80:
        return "channel" if is_channel(data) else ""
    if 128 <= first < 192:
        if 192 <= data[1] <= 223:
            return "rtcp" if len(data) >= 8 else ""
        return "rtp" if len(data) >= 12 else ""
    return ""


def is_stun(data: bytes) -> bool:
    """Whether a STUN header with the magic cookie stands first."""
    return len(data) >= 20 and data[0] < 64 and data[4:8] == COOKIE


def is_dtls(data: bytes) -> bool:
    """Whether a DTLS record header stands first (RFC 6347 section 4.1)."""
    return len(data) >= 13 and data[0] in DTLS_TYPES and data[1:3] in DTLS_VERSIONS


def is_channel(data: bytes, padded: int = 3) -> bool:
    """Whether a ChannelData header fits a datagram: the length says how much follows, up to ``padded`` bytes less."""
    size = int.from_bytes(data[2:4])
    return len(data) >= 4 and 0x40 <= data[0] <= 0x7F and 0 <= len(data) - 4 - size <= padded


def is_classic(data: bytes) -> bool:
    """Whether a datagram is STUN of RFC 3489, which has no cookie, beyond reasonable doubt.

    The type is one of its six (or of the TURN drafts that carry their cookie in an attribute), the length is the
    datagram's, and attributes of its own kinds and sizes fill it to the last byte. A message without attributes says
    too little: `jitsilab.wire.labelling` takes it only where its answer is seen.
    """
    if len(data) < 28 or data[4:8] == COOKIE:
        return False
    old = data[0] in (0, 1) and (data[0], data[1]) in ((0, 1), (0, 2), (1, 1), (1, 2), (1, 0x11), (1, 0x12))
    if not old and not (data[0] in (0, 1) and data[1] & 0x0F in range(3, 10)):
        return False
    if 20 + int.from_bytes(data[2:4]) != len(data):
        return False
    message = stun.decode(data)
    if message.problems or not message.attributes:
        return False
    for type_, value, _ in message.attributes:
        if not (type_ <= 0x25 or 0x8000 <= type_ < 0x8100):
            return False
        if _CLASSIC_SIZES.get(type_, len(value)) != len(value):
            return False
    cookie = message.get(0x000F)  # 72c64bc6 (MS-TURN section 2.2.2.1)
    return old or cookie == b"\x72\xc6\x4b\xc6"


def is_bare_classic(data: bytes) -> bool:
    """Whether a datagram could be a Binding request of RFC 3489 without attributes: its answer has to prove it."""
    return len(data) == 20 and data[:4] == b"\x00\x01\x00\x00" and data[4:8] != COOKIE


class Framed(NamedTuple):
    """One message of a byte stream."""

    offset: int  # of the message's first byte, any framing header before it left out
    end: int  # of what it takes of the stream, padding included
    kind: str  # stun, channel, dtls, rtp, rtcp
    data: bytes


def framing(start: bytes) -> str:
    """How a byte stream that starts so frames its messages.

    ``turn``: STUN and ChannelData by their own lengths (RFC 8489 section 6.2.2, RFC 8656 section 3.5). ``rfc4571``: a
    length of two bytes before each packet, as ICE-TCP has it (RFC 6544 section 3). ``pseudo-tls``: Google's hello
    first. An empty string: none of these.
    """
    if start.startswith((PSEUDO_CLIENT_HELLO, PSEUDO_SERVER_HELLO)):
        return "pseudo-tls"
    if is_stun(start) and not int.from_bytes(start[2:4]) & 3:
        return "turn"
    if len(start) >= 22 and is_stun(start[2:22]) and int.from_bytes(start[:2]) == 20 + int.from_bytes(start[4:6]):
        return "rfc4571"
    return ""


def after_hello(start: bytes) -> int:
    """The size of a pseudo-TLS hello at the start of a stream, 0 without one."""
    if start.startswith(PSEUDO_CLIENT_HELLO):
        return PSEUDO_CLIENT_SIZE
    return PSEUDO_SERVER_SIZE if start.startswith(PSEUDO_SERVER_HELLO) else 0


def split(data: bytes, form: str, start: int = 0) -> Iterator[Framed]:
    """Each whole message of a contiguous run of a stream, in order.

    ``form`` is ``turn`` or ``rfc4571``. Where a run begins in the middle of a message, or something strange stands
    between two, reading goes on at the next magic cookie that has a header around it.
    """
    header = 2 if form == "rfc4571" else 0
    offset = start
    while offset + 4 <= len(data):
        message = _framed(data, offset, header)
        if message is None:
            at = data.find(COOKIE, offset + header + 5)
            if at < 0:
                return
            offset = at - 4 - header
        elif message.end > len(data) and (
            message.kind != "channel" or len(message.data) < 4 + int.from_bytes(message.data[2:4])
        ):
            return  # the last message is not whole
        else:
            if message.kind:
                yield message
            offset = message.end


def resume(data: bytes, channels: Collection[int]) -> int:
    """Where messages begin in a run that starts in the middle of one; -1 where none is found.

    A place counts where a header with the cookie stands, or one of the ``channels`` with another header after it.
    """
    for match in _HEADERS.finditer(data):
        start = match.start()
        channel = data[start] >= 0x40
        if channel and int.from_bytes(data[start : start + 2]) not in channels:
            continue
        message = _framed(data, start, 0)
        if message is None:
            continue
        after = _framed(data, message.end, 0) if channel and message.end + 4 <= len(data) else None
        if not channel or message.end == len(data):
            return start
        if after and (after.kind == "stun" or int.from_bytes(after.data[:2]) in channels):
            return start
    return -1


def _framed(data: bytes, offset: int, header: int) -> Framed | None:
    """The message at an offset, also where its end is not there yet; None where nothing of the kind stands there."""
    if header:
        size = int.from_bytes(data[offset : offset + 2])
        start, end = offset + 2, offset + 2 + size
        packet = data[start:end]
        name = kind(packet) if end <= len(data) else "stun" if is_stun(packet) else range_name(packet[0])
        if size == 0 or (end <= len(data) and name in ("", "classic") and range_name(packet[0]) not in ("rtp", "dtls")):
            return None
        return Framed(start, end, name, packet)
    if data[offset] < 64:
        size = 20 + int.from_bytes(data[offset + 2 : offset + 4])
        fits = not size & 3 and COOKIE.startswith(data[offset + 4 : offset + 8])
        return Framed(offset, offset + size, "stun", data[offset : offset + size]) if fits else None
    if data[offset] < 128:
        size = 4 + int.from_bytes(data[offset + 2 : offset + 4])
        return Framed(offset, offset + (size + 3 & ~3), "channel", data[offset : offset + size])
    return None
