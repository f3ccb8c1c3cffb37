"""DTLS records of a datagram and the handshake messages in them (RFC 6347, RFC 9147, connection ids RFC 9146)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jitsilab.errors import ParseError
from jitsilab.protocols.tls_registry import CONTENT_TYPES

HEADER = 13  # bytes of a record header before DTLS 1.3
HANDSHAKE_HEADER = 12

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, TLS12_CID = 20, 21, 22, 23, 25
CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY_REQUEST, CERTIFICATE = 1, 2, 3, 11

MAX_MESSAGE = 1 << 17  # bytes of a handshake message that is still put together
MAX_PARTS = 256  # fragments of one message
MAX_PENDING = 32  # messages of a direction that are put together at a time

HASHES = {  # RFC 8122 section 5, by their names in SDP
    "sha-1": "sha1",
    "sha-224": "sha224",
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
    "md5": "md5",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A DTLS record (RFC 6347 section 4.1, RFC 9147 section 4)."""

    offset: int  # in the datagram
    content_type: int | None  # None: encrypted, under the unified header of DTLS 1.3
    version: int | None  # of the header; the unified header has none
    epoch: int  # the unified header has its low two bits
    sequence: int  # 48 bits; in the unified header the low 8 or 16, encrypted
    length: int
    fragment: bytes
    connection_id: bytes = b""

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return len(self.fragment) == self.length


class Fragment(NamedTuple):
    """A handshake message or a part of one (RFC 6347 section 4.2.2)."""

    type: int
    length: int  # bytes of the whole message
    message_seq: int
    offset: int  # of this part in the message
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A handshake message that is there as a whole."""

    type: int
    message_seq: int
    body: bytes
    first_frame: int
    frame: int
    retransmission: bool  # the same message was complete before


def records(datagram: bytes, connection_id: int | None = None) -> Iterator[Record]:
    """The records of a datagram, one after the other.

    ``connection_id`` is the length that the receiver asked for in its hello; where it is not known, the one that fits
    the datagram is taken. A record that the datagram cuts off is given with what there is of it. Raises ParseError at
    bytes that are no record header.
    """
    at = 0
    while at < len(datagram):
        first = datagram[at]
        if first & 0xE0 == 0x20:
            record, at = _unified(datagram, at, connection_id)
        elif first in CONTENT_TYPES:
            record, at = _plain(datagram, at, connection_id)
        else:
            raise ParseError(f"no DTLS record begins with {first:#04x}", offset=at)
        yield record


def decode(datagram: bytes, connection_id: int | None = None) -> list[Record]:
    """The records of a datagram, as ``records`` gives them. Raises ParseError where there is anything else in it."""
    if not datagram:
        raise ParseError("an empty datagram holds no DTLS record")
    return list(records(datagram, connection_id))


def _plain(datagram: bytes, at: int, connection_id: int | None) -> tuple[Record, int]:
    left = len(datagram) - at
    if left < HEADER:
        raise ParseError(f"a DTLS record header has {HEADER} bytes, {left} are left", offset=len(datagram))
    version = int.from_bytes(datagram[at + 1 : at + 3], "big")
    if version >> 8 != 0xFE and version != 0x0100:
        raise ParseError(f"no DTLS has version {version:#06x}", offset=at + 1)
    epoch = int.from_bytes(datagram[at + 3 : at + 5], "big")
    sequence = int.from_bytes(datagram[at + 5 : at + 11], "big")
    size = 0
    if datagram[at] == TLS12_CID:
        size = _connection_id(datagram, at + 11, connection_id)
    head = at + 11 + size
    length = int.from_bytes(datagram[head : head + 2], "big")
    body = head + 2
    fragment = datagram[body : body + length]
    record = Record(at, datagram[at], version, epoch, sequence, length, fragment, datagram[at + 11 : head])
    return record, body + length


def _connection_id(datagram: bytes, at: int, known: int | None) -> int:
    """Length of the connection id at ``at``: as negotiated, else the first that makes the record end the datagram."""
    if known is not None:
        if len(datagram) - at < known + 2:
            raise ParseError(f"a connection id of {known} bytes and a length need more bytes", offset=len(datagram))
        return known
    for size in range(min(256, len(datagram) - at - 1)):
        if at + size + 2 + int.from_bytes(datagram[at + size : at + size + 2], "big") == len(datagram):
            return size
    return 0


def _unified(datagram: bytes, at: int, connection_id: int | None) -> tuple[Record, int]:
    """A DTLSCiphertext (RFC 9147 section 4): 001CSLEE, then connection id, sequence number, length, as the bits say."""
    first = datagram[at]
    start = at + 1
    size = (connection_id or 0) if first & 0x10 else 0
    width = 2 if first & 0x08 else 1
    head = start + size + width
    body = head + (2 if first & 0x04 else 0)
    if len(datagram) < body:
        raise ParseError(f"a unified header of {body - at} bytes, {len(datagram) - at} are left", offset=len(datagram))
    # a connection id of unknown length hides where the rest begins: the record is taken to fill the datagram
    if first & 0x10 and connection_id is None:
        body, length = start, len(datagram) - start
        sequence = 0
    else:
        sequence = int.from_bytes(datagram[start + size : head], "big")
        length = int.from_bytes(datagram[head:body], "big") if first & 0x04 else len(datagram) - body
    fragment = datagram[body : body + length]
    record = Record(at, None, None, first & 3, sequence, length, fragment, datagram[start : start + size])
    return record, body + length


def fragments(record: Record) -> Iterator[Fragment]:
    """The handshake messages, or parts, of a record in clear. Raises ParseError where one runs over its end."""
    data, at = record.fragment, 0
    while at < len(data):
        if len(data) - at < HANDSHAKE_HEADER:
            raise ParseError(f"a handshake header has {HANDSHAKE_HEADER} bytes, {len(data) - at} are left", offset=at)
        length, seq = int.from_bytes(data[at + 1 : at + 4], "big"), int.from_bytes(data[at + 4 : at + 6], "big")
        offset, size = int.from_bytes(data[at + 6 : at + 9], "big"), int.from_bytes(data[at + 9 : at + 12], "big")
        end = at + HANDSHAKE_HEADER + size
        if offset + size > length:
            raise ParseError(f"bytes {offset} to {offset + size} of a message that has {length}", offset=at + 6)
        if end > len(data):
            raise ParseError(f"a fragment of {size} bytes, {len(data) - at - HANDSHAKE_HEADER} are left", offset=at + 9)
        yield Fragment(data[at], length, seq, offset, data[at + HANDSHAKE_HEADER : end])
        at = end


@dataclass(slots=True)
class _Pending:
    type: int
    length: int
    parts: dict[int, bytes] = field(default_factory=dict)  # by offset, without overlap
    first_frame: int = 0
    frame: int = 0

    def add(self, offset: int, data: bytes) -> bool:
        """Take in a part; False where it contradicts bytes that are there, or one too many are."""
        for start, known in self.parts.items():
            low, high = max(start, offset), min(start + len(known), offset + len(data))
            if low < high and known[low - start : high - start] != data[low - offset : high - offset]:
                return False
        if offset not in self.parts or len(self.parts[offset]) < len(data):
            self.parts[offset] = data
        return len(self.parts) <= MAX_PARTS

    def whole(self) -> bytes | None:
        """The message, once no byte is missing."""
        out = bytearray()
        for offset, data in sorted(self.parts.items()):
            if offset > len(out):
                return None
            out += data[len(out) - offset :]
        return bytes(out) if len(out) == self.length else None


class Assembler:
    """Puts the handshake messages of one direction together over fragments, reordering and retransmissions."""

    def __init__(self) -> None:
        self._pending: dict[int, _Pending] = {}  # by message_seq
        self._done: dict[tuple[int, int, bytes], bool] = {}  # type, message_seq and hash of what was complete

    def feed(self, fragment: Fragment, frame: int) -> Message | None:
        """Take in a fragment of the given frame; the message where it completes one.

        Raises ParseError where the message is longer than any that should be put together.
        """
        if fragment.length > MAX_MESSAGE:
            raise ParseError(f"a handshake message of {fragment.length} bytes is longer than {MAX_MESSAGE}", offset=1)
        pending = self._pending.get(fragment.message_seq)
        if pending is None or (pending.type, pending.length) != (fragment.type, fragment.length):
            pending = self._begin(fragment)
        if not pending.add(fragment.offset, fragment.data):
            pending = self._begin(fragment)
            pending.add(fragment.offset, fragment.data)
        pending.first_frame = pending.first_frame or frame
        pending.frame = frame
        body = pending.whole()
        if body is None:
            return None
        del self._pending[fragment.message_seq]
        key = fragment.type, fragment.message_seq, hashlib.sha256(body).digest()
        message = Message(
            fragment.type, fragment.message_seq, body, pending.first_frame, frame, retransmission=key in self._done
        )
        self._done[key] = True
        if len(self._done) > 8 * MAX_PENDING:
            del self._done[next(iter(self._done))]
        return message

    def _begin(self, fragment: Fragment) -> _Pending:
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[fragment.message_seq] = pending = _Pending(fragment.type, fragment.length)
        return pending

    def unfinished(self) -> list[tuple[int, int, int]]:
        """Last frame, type and message_seq of messages that lack bytes; leftovers of retransmissions are none."""
        complete = {(kind, seq) for kind, seq, _ in self._done}
        return [
            (pending.frame, pending.type, seq)
            for seq, pending in self._pending.items()
            if (pending.type, seq) not in complete
        ]


def decode_verify_request(body: bytes) -> tuple[int, bytes]:
    """Version and cookie of a HelloVerifyRequest (RFC 6347 section 4.2.1). Raises ParseError where it is cut off."""
    if len(body) < 3 or len(body) < 3 + body[2]:
        raise ParseError("a HelloVerifyRequest ends before its cookie does", offset=len(body))
    return int.from_bytes(body[:2], "big"), body[3 : 3 + body[2]]


def fingerprint(certificate: bytes, algorithm: str = "sha-256") -> str:
    """Hash of a certificate's DER as SDP prints it: upper-case hexadecimal with colons (RFC 8122 section 5).

    ``algorithm`` is one of ``HASHES``. Raises ParseError for any other.
    """
    try:
        digest = hashlib.new(HASHES[algorithm.lower()], certificate, usedforsecurity=False)
    except KeyError:
        raise ParseError(f"no certificate hash is called {algorithm!r}; there are: {', '.join(HASHES)}") from None
    return digest.digest().hex(":").upper()
