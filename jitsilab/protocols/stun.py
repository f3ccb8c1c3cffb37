"""STUN and TURN messages (RFC 8489, RFC 8656), with the older forms that real traffic still holds (RFC 3489).

`decode` takes one message and keeps everything: attributes in order, unknown and repeated ones too, the raw bytes, and
in ``problems`` what its lengths claim and its bytes do not hold. Credentials are checked over the raw bytes, because
padding may hold anything and is part of what is signed.
"""

import hashlib
import hmac
import stringprep
import struct
import unicodedata
import zlib
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import NamedTuple

from jitsilab.errors import ParseError
from jitsilab.protocols.stun_registry import method_name

COOKIE = bytes.fromhex("2112a442")
HEADER_SIZE = 20
CLASSES = ("request", "indication", "success", "error")  # the two class bits as a number (RFC 8489 section 5)

MAPPED_ADDRESS = 0x0001
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
CHANNEL_NUMBER = 0x000C
LIFETIME = 0x000D
XOR_PEER_ADDRESS = 0x0012
DATA = 0x0013
REALM = 0x0014
NONCE = 0x0015
MS_COOKIE = 0x000F
XOR_RELAYED_ADDRESS = 0x0016
MESSAGE_INTEGRITY_SHA256 = 0x001C
PASSWORD_ALGORITHM = 0x001D
USERHASH = 0x001E
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
MS_XOR_MAPPED_ADDRESS = 0x8020
SOFTWARE = 0x8022
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A
GOOG_MESSAGE_INTEGRITY_32 = 0xC060

_XORED = frozenset({XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, XOR_MAPPED_ADDRESS, MS_XOR_MAPPED_ADDRESS})
_head = struct.Struct("!HHI").unpack_from
_pair = struct.Struct("!HH").unpack_from


class Attribute(NamedTuple):
    """One attribute as it stands in the message (RFC 8489 section 14)."""

    type: int  # 16 bits, named by stun_registry.attribute_name
    value: bytes  # without padding; shorter than announced where the message ends before
    offset: int  # of its four-byte header, from the start of the message


class ErrorCode(NamedTuple):
    """The ERROR-CODE attribute (RFC 8489 section 14.8)."""

    code: int  # class * 100 + number
    reason: str


class Endpoint(NamedTuple):
    """A transport address; IPv6 in its short form without brackets."""

    address: str
    port: int


class Message(NamedTuple):
    """One STUN message.

    What an attribute says is computed when asked for; what is absent or has the wrong size is None.
    """

    message_class: str  # one of CLASSES
    method: int  # 12 bits, named by `method_name`
    transaction_id: bytes  # 12 bytes; 16 where there is no magic cookie (RFC 3489)
    attributes: tuple[Attribute, ...]
    raw: bytes  # the message alone, without what followed it
    problems: tuple[str, ...]  # what the lengths claim and the bytes do not hold; empty in a proper message

    @property
    def classic(self) -> bool:
        """Whether the message has no magic cookie, as in RFC 3489."""
        return len(self.transaction_id) == 16

    @property
    def method_name(self) -> str:
        """The method's name in IANA's registry, or its number."""
        return method_name(self.method)

    def get(self, kind: int) -> bytes | None:
        """The value of the first attribute of a type: the one that counts (RFC 8489 section 14)."""
        for attribute in self.attributes:
            if attribute[0] == kind:
                return attribute[1]
        return None

    def text(self, kind: int) -> str | None:
        """That value as text; bytes that are not UTF-8 appear as U+FFFD.

        NULs at the end are left out: Microsoft's clients pad with them and count them as part of the value.
        """
        value = self.get(kind)
        return None if value is None else value.rstrip(b"\0").decode("utf-8", "replace")

    def number(self, kind: int, size: int = 4) -> int | None:
        """That value as an unsigned number of ``size`` bytes."""
        value = self.get(kind)
        return int.from_bytes(value) if value is not None and len(value) == size else None

    def endpoints(self, kind: int) -> list[Endpoint]:
        """Every address given under a type, in order; CreatePermission has several (RFC 8656 section 9)."""
        addresses = (endpoint(value, self.raw, kind in _XORED) for type_, value, _ in self.attributes if type_ == kind)
        return [address for address in addresses if address is not None]

    @property
    def mapped(self) -> Endpoint | None:
        """The reflexive address: XOR-MAPPED-ADDRESS, else an older form of it."""
        for kind in (XOR_MAPPED_ADDRESS, MS_XOR_MAPPED_ADDRESS, MAPPED_ADDRESS):
            value = self.get(kind)
            if value is not None:
                return endpoint(value, self.raw, kind != MAPPED_ADDRESS)
        return None

    @property
    def error(self) -> ErrorCode | None:
        """The error code and its reason."""
        value = self.get(ERROR_CODE)
        if value is None or len(value) < 4:
            return None
        return ErrorCode((value[2] & 7) * 100 + value[3], value[4:].decode("utf-8", "replace"))

    @property
    def role(self) -> str | None:
        """The sender's role in ICE: ``controlling`` or ``controlled`` (RFC 8445 section 7.1)."""
        for kind, _, _ in self.attributes:
            if kind == ICE_CONTROLLING:
                return "controlling"
            if kind == ICE_CONTROLLED:
                return "controlled"
        return None

    @property
    def tie_breaker(self) -> int | None:
        """The 64 bits that decide a role conflict."""
        value = self.number(ICE_CONTROLLING, 8)
        return self.number(ICE_CONTROLLED, 8) if value is None else value

    @property
    def channel(self) -> int | None:
        """The number in CHANNEL-NUMBER (RFC 8656 section 18.1)."""
        value = self.get(CHANNEL_NUMBER)
        return int.from_bytes(value[:2]) if value is not None and len(value) == 4 else None


class ChannelData(NamedTuple):
    """A ChannelData message (RFC 8656 section 12.4)."""

    channel: int  # 0x4000..0x4FFF; up to 0x7FFE under RFC 5766
    length: int  # of the application data, as announced
    data: bytes  # shorter than that where the message is cut
    padding: int  # bytes after the data: a multiple of four is asked for over TCP, allowed over UDP


def decode(data: bytes) -> Message:
    """Decode one STUN message that starts with the first byte.

    Raises ParseError where there is no header: fewer than 20 bytes, or the first two bits are not zero.
    """
    size = len(data)
    if size < HEADER_SIZE:
        raise ParseError(f"a STUN header has 20 bytes, this {size}", offset=size)
    kind, length, cookie = _head(data)
    if kind & 0xC000:
        raise ParseError("a STUN message starts with two zero bits", offset=0)
    end = HEADER_SIZE + length
    problems: list[str] = []
    if length & 3:
        problems.append(f"length {length} is not a multiple of 4")
    if end > size:
        problems.append(f"length {length}, but {size - HEADER_SIZE} bytes follow the header")
        end = size
    elif end < size:
        problems.append(f"{size - end} bytes after the message")
        data = data[:end]
    offset = HEADER_SIZE
    attributes = []
    while offset + 4 <= end:
        type_, announced = _pair(data, offset)
        start = offset + 4
        stop = start + announced
        attributes.append(Attribute(type_, data[start:stop], offset))
        if stop > end:
            problems.append(f"attribute 0x{type_:04x} at {offset} has {end - start} of {announced} bytes")
            offset = end
            break
        offset = (stop + 3) & ~3
    if offset < end:
        problems.append(f"{end - offset} bytes after the last attribute")
    elif offset > end:
        problems.append("the last attribute is not padded")
    return Message(
        CLASSES[(kind & 0x100) >> 7 | (kind & 0x10) >> 4],
        (kind & 0x3E00) >> 2 | (kind & 0xE0) >> 1 | kind & 0xF,
        data[8:20] if cookie == 0x2112A442 else data[4:20],
        tuple(attributes),
        data,
        tuple(problems),
    )


def decode_channel(data: bytes) -> ChannelData:
    """Decode one ChannelData message.

    Raises ParseError where there are fewer than 4 bytes or the number is outside 0x4000..0x7FFF.
    """
    if len(data) < 4:
        raise ParseError(f"a ChannelData header has 4 bytes, this {len(data)}", offset=len(data))
    channel, length = _pair(data)
    if not 0x4000 <= channel <= 0x7FFF:
        raise ParseError(f"0x{channel:04x} is no channel number", offset=0)
    return ChannelData(channel, length, data[4 : 4 + length], max(0, len(data) - 4 - length))


def endpoint(value: bytes, raw: bytes, xored: bool) -> Endpoint | None:
    """The address in an attribute's value, or None where its family and size do not fit.

    ``raw`` is the message: what follows its length field, cookie and transaction id, is the key of the XOR forms
    (RFC 8489 section 14.2).
    """
    size = len(value)
    if not ((size == 8 and value[1] == 1) or (size == 20 and value[1] == 2)):
        return None
    port = value[2] << 8 | value[3]
    packed = value[4:]
    if xored:
        port ^= raw[4] << 8 | raw[5]
        packed = (int.from_bytes(packed) ^ int.from_bytes(raw[4:size])).to_bytes(size - 4)
    return Endpoint(inet_ntoa(packed) if size == 8 else inet_ntop(AF_INET6, packed), port)


def fingerprint_ok(message: Message) -> bool | None:
    """Whether FINGERPRINT holds the CRC of what stands before it (RFC 8489 section 14.7); None where it is absent."""
    for kind, value, offset in message.attributes:
        if kind == FINGERPRINT:
            crc = zlib.crc32(_until(message.raw, offset, 4)) ^ 0x5354554E
            return value == crc.to_bytes(4)
    return None


def integrity_ok(message: Message, key: bytes) -> bool | None:
    """Whether every integrity attribute of a message is the HMAC under ``key``; None where it has none.

    MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 14.5, 14.6), the latter also truncated, and
    Google's of 32 bits. Without cookie the text is padded to 64 bytes and keeps its length field (RFC 3489 11.2.8).
    """
    verdict = None
    for kind, value, offset in message.attributes:
        if kind == MESSAGE_INTEGRITY:
            fits, digest = len(value) == 20, "sha1"
        elif kind == MESSAGE_INTEGRITY_SHA256:
            fits, digest = len(value) in (16, 20, 24, 28, 32), "sha256"
        elif kind == GOOG_MESSAGE_INTEGRITY_32:
            fits, digest = len(value) == 4, "sha1"
        else:
            continue
        if message.classic:
            text = message.raw[:offset] + bytes(-offset % 64)
        else:
            text = _until(message.raw, offset, len(value))
        if not fits or not hmac.compare_digest(hmac.digest(key, text, digest)[: len(value)], value):
            return False
        verdict = True
    return verdict


def verify_integrity(raw: bytes, key: bytes) -> bool:
    """Whether a message has an integrity attribute and each it has is right under ``key``.

    Raises ParseError as `decode` does.
    """
    return integrity_ok(decode(raw), key) is True


def _until(raw: bytes, offset: int, size: int) -> bytes:
    """What is signed: all before an attribute, under a header whose length ends with that attribute."""
    return raw[:2] + (offset + 4 + size - HEADER_SIZE).to_bytes(2) + raw[4:offset]


def short_term_key(password: str) -> bytes:
    """The key of ICE and other short-term credentials (RFC 8489 section 9.1.1)."""
    return prepare(password).encode()


def long_term_key(username: str, realm: str, password: str, algorithm: str = "MD5") -> bytes:
    """The key of TURN and other long-term credentials (RFC 8489 section 9.2.2, algorithms in 18.5.1).

    Raises ParseError where the algorithm is neither ``MD5`` nor ``SHA-256``.
    """
    if algorithm not in ("MD5", "SHA-256"):
        raise ParseError(f"no password algorithm {algorithm!r}: there are MD5 and SHA-256")
    text = f"{prepare(username)}:{prepare(realm)}:{prepare(password)}".encode()
    return hashlib.md5(text, usedforsecurity=False).digest() if algorithm == "MD5" else hashlib.sha256(text).digest()


def password_algorithm(message: Message) -> str:
    """The algorithm a request names in PASSWORD-ALGORITHM (RFC 8489 section 14.12): MD5 where it names none."""
    value = message.get(PASSWORD_ALGORITHM)
    return "SHA-256" if value is not None and value[:2] == b"\x00\x02" else "MD5"


def userhash(username: str, realm: str) -> bytes:
    """What USERHASH holds in place of a username (RFC 8489 section 14.4)."""
    return hashlib.sha256(f"{prepare(username)}:{prepare(realm)}".encode()).digest()


def prepare(text: str) -> str:
    """Names and passwords as they enter a key: SASLprep (RFC 4013), as RFC 5389 asks.

    RFC 8489 asks for OpaqueString instead, which gives the same for all that both allow. Text that SASLprep forbids
    is returned as it is: a verdict on the key follows anyway.
    """
    if text.isascii():
        return text
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    return unicodedata.normalize("NFKC", mapped)
