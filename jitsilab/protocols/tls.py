"""TLS records and handshake messages out of a byte stream (RFC 8446 section 5.1, RFC 5246 section 6.2).

A stream comes as pieces with their offsets, as reassembly gives them; between two pieces bytes are missing. A record
says how long it is, so the next one is found even where its own bytes are lost; where a header itself is lost, the
stream is taken up again where headers follow each other.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from jitsilab.errors import ParseError
from jitsilab.protocols.tls_registry import CONTENT_TYPES, HANDSHAKE_TYPES

HEADER = 5  # bytes of a record header
MAX_MESSAGE = 1 << 17  # bytes of a handshake message that is still put together
MAX_FRAGMENT = (1 << 14) + 2048  # RFC 5246 section 6.2.3; TLS 1.3 allows less

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA = 1, 2, 4, 5
ENCRYPTED_EXTENSIONS, CERTIFICATE, SERVER_HELLO_DONE, FINISHED = 8, 11, 14, 20
KEY_UPDATE, COMPRESSED_CERTIFICATE = 24, 25

_KINDS = frozenset(kind for kind in CONTENT_TYPES if kind <= 24)
_HEADER = struct.Struct("!BHH")
_HEADERS = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]")


class Bytes(Protocol):
    """A run of a stream's bytes."""

    @property
    def offset(self) -> int:
        """Position of the first byte in the stream."""

    @property
    def data(self) -> bytes:
        """The bytes."""


class Record(NamedTuple):
    """A record as it stands in the stream (RFC 8446 section 5.1)."""

    offset: int  # of the header, in bytes of the stream
    content_type: int
    version: int  # of the header: legacy_record_version, not what was negotiated
    length: int  # what the header says; as much as fragment has, unless bytes are missing
    fragment: bytes
    skipped: int  # bytes of the stream before this header that no record accounts for

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return len(self.fragment) == self.length


class Message(NamedTuple):
    """A handshake message (RFC 8446 section 4)."""

    type: int
    body: bytes


def header_at(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Content type, version and length of the record header at ``at``; None where there is none.

    A header has a known content type, a version of SSL 3.0 to TLS 1.3 and a length that the specification allows: not
    zero except for application data (RFC 5246 section 6.2.1).
    """
    if len(data) - at < HEADER:
        return None
    header: tuple[int, int, int] = _HEADER.unpack_from(data, at)
    kind, version, length = header
    if kind not in _KINDS or not 0x0300 <= version <= 0x0304 or length > MAX_FRAGMENT:
        return None
    return header if length or kind == APPLICATION_DATA else None


def _chained(data: bytes, at: int, *, sure: bool = False) -> bool:
    """Whether headers follow each other from ``at``: three of them, or fewer to the very end of the bytes.

    A last record may run over the end after another one; unless one must be ``sure``, also alone if it is application
    data: of random bytes one position in some 70 million looks like that.
    """
    for count in range(3):
        header = header_at(data, at)
        if header is None:
            return count > 0 and len(data) - at < HEADER and data[at] in CONTENT_TYPES  # cut off by the end
        at += HEADER + header[2]
        if at == len(data):
            return True
        if at > len(data):
            return count > 0 or (not sure and header[0] == APPLICATION_DATA)
    return True


def find_record(data: bytes, at: int = 0, limit: int | None = None, *, sure: bool = False) -> int:
    """Position of the first record between ``at`` and ``limit``, -1 where there is none.

    A record is where headers follow each other. ``sure``: bytes of which nothing is known need more of them.
    """
    for match in _HEADERS.finditer(data, at, len(data) if limit is None else limit):
        if _chained(data, match.start(), sure=sure):
            return match.start()
    return -1


def records(pieces: Sequence[Bytes], start: int = 0) -> Iterator[Record]:
    """The records of a stream from offset ``start`` on, in stream order.

    A record that lacks bytes has those up to the first missing one in ``fragment``. Bytes that belong to no record are
    counted in the next one's ``skipped``.
    """
    expected = start  # offset at which the next header should stand
    accounted = start  # end of the last record
    for piece in pieces:
        data, base = piece.data, piece.offset
        if base + len(data) <= expected:
            continue
        at = max(expected - base, 0)
        lost = base > expected  # the header was in the gap
        while at < len(data):
            header = header_at(data, at)
            if header is None or lost:
                if header is None and not lost and len(data) - at < HEADER:
                    break
                at, lost = find_record(data, at), False
                if at < 0:
                    break
                continue
            kind, version, length = header
            fragment = data[at + HEADER : at + HEADER + length]
            yield Record(base + at, kind, version, length, fragment, base + at - accounted)
            at += HEADER + length
            accounted = base + at
        expected = max(accounted, base + len(data))


def is_tls(data: bytes, at: int = 0) -> bool:
    """Whether a stream from ``at`` on is TLS: a record with a handshake message, an alert, or headers in a row."""
    header = header_at(data, at)
    if header is None:
        return False
    kind, _, length = header
    if kind == HANDSHAKE and len(data) > at + HEADER and data[at + HEADER] in HANDSHAKE_TYPES:
        return True
    return (kind == ALERT and length == 2) or _chained(data, at, sure=True)


_CLIENT_HELLO = re.compile(rb"\x16\x03[\x00-\x03]..\x01\x00..\x03[\x00-\x03]", re.DOTALL)
_SERVER_HELLO = re.compile(rb"\x16\x03[\x00-\x03]..\x02\x00..\x03[\x00-\x03]", re.DOTALL)


def find_hello(data: bytes, *, server: bool, limit: int = 1 << 16) -> int:
    """Position of a ClientHello, or ServerHello, behind clear text, as after STARTTLS (RFC 6120 section 5); else -1."""
    for match in (_SERVER_HELLO if server else _CLIENT_HELLO).finditer(data, 0, limit):
        if header_at(data, match.start()):
            return match.start()
    return -1


class Handshake:
    """Puts handshake messages together that records split or join, in one direction."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.too_long: list[int] = []  # bytes of messages that are longer than `MAX_MESSAGE`, and are passed over
        self._over = 0  # bytes of such a one that are still to come

    def feed(self, fragment: bytes) -> list[Message]:
        """The messages that this fragment completes."""
        passed = min(self._over, len(fragment))
        self._over -= passed
        self.buffer += fragment[passed:]
        messages = []
        at = 0
        while len(self.buffer) - at >= 4:
            length = int.from_bytes(self.buffer[at + 1 : at + 4], "big")
            end = at + 4 + length
            if length > MAX_MESSAGE:
                self.too_long.append(length)
                self._over, at = max(0, end - len(self.buffer)), min(end, len(self.buffer))
                continue
            if end > len(self.buffer):
                break
            messages.append(Message(self.buffer[at], bytes(self.buffer[at + 4 : end])))
            at = end
        del self.buffer[:at]
        return messages

    def drop(self) -> None:
        """Forget a message that will not be completed: bytes are missing, or the keys change."""
        self.buffer.clear()
        self._over = 0


def decode(data: bytes) -> list[Record]:
    """The records of a stream's first bytes; the last may lack its end.

    Raises ParseError where the bytes do not begin with a record header.
    """
    if header_at(data, 0) is None:
        raise ParseError("these bytes do not begin with a TLS record header")
    return list(records([_Run(0, data)]))


class _Run(NamedTuple):
    offset: int
    data: bytes
