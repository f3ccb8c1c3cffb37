"""Hellos and certificates: the handshake messages that TLS and DTLS share, between header and end of body.

RFC 8446 section 4 and RFC 5246 section 7.4; DTLS differs by one field, the cookie (RFC 6347 section 4.2.1).
"""

import struct
import zlib
from dataclasses import dataclass, field

from jitsilab.errors import ParseError
from jitsilab.protocols.tls_registry import GREASE, alert_name, is_grease

# RFC 8446 section 4.1.3: a ServerHello with this random is a HelloRetryRequest
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

MAX_CERTIFICATES = 1 << 18  # bytes that a compressed chain may unfold to


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the extensions of a hello say (RFC 8446 section 4.2, RFC 6066, RFC 7301, RFC 5764, RFC 9146).

    A client's lists are its offers in its order; a server's have one entry, its choice. An extension whose content does
    not have its form leaves its field empty and a sentence in ``odd``.
    """

    types: tuple[int, ...] = ()  # in the order of the wire, GREASE included
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()  # supported_versions, without GREASE
    groups: tuple[int, ...] = ()  # supported_groups, without GREASE
    key_shares: tuple[int, ...] = ()  # groups of the key shares; in a HelloRetryRequest the one asked for
    signature_algorithms: tuple[int, ...] = ()
    srtp_profiles: tuple[int, ...] = ()
    psk: int | None = None  # a client's number of identities; the index a server selected
    early_data: bool = False
    ticket: bytes | None = None  # session_ticket of TLS 1.2 (RFC 5077); empty where none is at hand yet
    cookie: bytes | None = None
    connection_id: bytes | None = None  # what the sender wants to receive; empty means: may use, wants none
    encrypted_hello: bool = False  # ECH, or a GREASE of it, which looks the same
    extended_master_secret: bool = False
    encrypt_then_mac: bool = False
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientHello:
    """ClientHello (RFC 8446 section 4.1.2, RFC 6347 section 4.2.1)."""

    version: int  # legacy_version; the offer is extensions.versions where there is one
    random: bytes  # 32 bytes
    session_id: bytes
    cookie: bytes  # DTLS only
    suites: tuple[int, ...]  # without GREASE
    compressions: tuple[int, ...]
    extensions: Extensions = field(default_factory=Extensions)

    @property
    def offered_versions(self) -> tuple[int, ...]:
        """What the client is ready to speak: supported_versions, else the one version of the hello."""
        return self.extensions.versions or (self.version,)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """ServerHello or HelloRetryRequest (RFC 8446 sections 4.1.3 and 4.1.4)."""

    version: int  # legacy_version
    random: bytes  # 32 bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Extensions = field(default_factory=Extensions)

    @property
    def retry(self) -> bool:
        """Whether this is a HelloRetryRequest."""
        return self.random == RETRY_RANDOM

    @property
    def selected_version(self) -> int:
        """The version that will be spoken."""
        return self.extensions.versions[0] if self.extensions.versions else self.version


class _Cursor:
    """Reads big-endian fields and vectors; ParseError with an offset from ``base`` where they end too early."""

    def __init__(self, data: bytes, base: int = 0) -> None:
        self.data, self.base, self.at = data, base, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int, what: str) -> bytes:
        start, end = self.at, self.at + size
        if end > len(self.data):
            raise ParseError(f"{what} needs {size} bytes, {self.left} are left", offset=self.base + start)
        self.at = end
        return self.data[start:end]

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "big")

    def vector(self, width: int, what: str) -> bytes:
        return self.take(int.from_bytes(self.take(width, what), "big"), what)

    def numbers(self, width: int, size: int, what: str) -> tuple[int, ...]:
        """A vector of numbers of ``size`` bytes, 1 or 2; its length stands in ``width`` bytes."""
        start = self.at
        data = self.vector(width, what)
        if len(data) % size:
            raise ParseError(f"{what} of {len(data)} bytes holds no whole number of entries", offset=self.base + start)
        return struct.unpack(f"!{len(data) // size}{'BH'[size - 1]}", data)


def printable(data: bytes) -> str:
    r"""Bytes that should be ASCII as text without spaces or controls; what else there is comes as ``\xNN``."""
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E else f"\\x{byte:02x}" for byte in data)


def _known(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([number for number in numbers if number not in GREASE])


def _server_name(data: bytes) -> str | None:
    names = _Cursor(_Cursor(data).vector(2, "server_name"))
    while names.left:
        kind, name = names.number(1, "name type"), names.vector(2, "host_name")
        if kind == 0:
            return printable(name)
    return None


def _alpn(data: bytes) -> tuple[str, ...]:
    protocols, names = _Cursor(_Cursor(data).vector(2, "ALPN")), []
    while protocols.left:
        names.append(protocols.vector(1, "protocol name"))
    return tuple(printable(name) for name in names if not (len(name) == 2 and is_grease(int.from_bytes(name, "big"))))


def _key_shares(data: bytes, sender: str) -> tuple[int, ...]:
    cursor = _Cursor(data)
    if sender == "server":  # an entry, or in a HelloRetryRequest the group alone
        return (cursor.number(2, "group"),)
    shares, groups = _Cursor(cursor.vector(2, "key_share")), []
    while shares.left:
        groups.append(shares.number(2, "group"))
        shares.vector(2, "key_exchange")
    return _known(tuple(groups))


def _identities(data: bytes, sender: str) -> int:
    cursor = _Cursor(data)
    if sender == "server":
        return cursor.number(2, "selected_identity")
    identities, count = _Cursor(cursor.vector(2, "pre_shared_key")), 0
    while identities.left:
        identities.vector(2, "identity")
        identities.number(4, "obfuscated_ticket_age")
        count += 1
    return count


def decode_extensions(data: bytes, sender: str, base: int = 0) -> Extensions:
    """Decode the extensions of a hello, from the field that says their length.

    ``sender`` is ``client`` or ``server``; ``base`` is the offset to count from in errors. Nothing at all is no
    extension, as before TLS 1.2. Raises ParseError where an extension runs over the end.
    """
    if not data:
        return Extensions()
    cursor = _Cursor(_Cursor(data, base).vector(2, "extensions"), base + 2)
    types: list[int] = []
    odd: list[str] = []
    fields: dict[str, object] = {}
    while cursor.left:
        kind = cursor.number(2, "extension type")
        content = cursor.vector(2, "extension")
        types.append(kind)
        try:
            _extension(kind, content, sender, fields)
        except ParseError as error:
            odd.append(f"extension {kind}: {error}")
    return Extensions(types=tuple(types), odd=tuple(odd), **fields)  # type: ignore[arg-type]  # fields by name


def _extension(kind: int, content: bytes, sender: str, fields: dict[str, object]) -> None:
    cursor = _Cursor(content)
    match kind:
        case 0 if content:  # a server acknowledges with an empty one
            fields["server_name"] = _server_name(content)
        case 10:
            fields["groups"] = _known(cursor.numbers(2, 2, "supported_groups"))
        case 13:
            fields["signature_algorithms"] = _known(cursor.numbers(2, 2, "signature_algorithms"))
        case 14:
            fields["srtp_profiles"] = cursor.numbers(2, 2, "use_srtp")
        case 16:
            fields["alpn"] = _alpn(content)
        case 22:
            fields["encrypt_then_mac"] = True
        case 23:
            fields["extended_master_secret"] = True
        case 35:
            fields["ticket"] = content
        case 41:
            fields["psk"] = _identities(content, sender)
        case 42:
            fields["early_data"] = True
        case 43:
            fields["versions"] = (
                (cursor.number(2, "selected_version"),)
                if sender == "server"
                else _known(cursor.numbers(1, 2, "supported_versions"))
            )
        case 44:
            fields["cookie"] = cursor.vector(2, "cookie")
        case 51:
            fields["key_shares"] = _key_shares(content, sender)
        case 54:
            fields["connection_id"] = cursor.vector(1, "connection_id")
        case 0xFE0D:
            fields["encrypted_hello"] = True


def decode_client_hello(body: bytes, *, datagram: bool = False) -> ClientHello:
    """Decode the body of a ClientHello; ``datagram`` for DTLS, which has a cookie.

    Raises ParseError where a field is cut off.
    """
    cursor = _Cursor(body)
    return ClientHello(
        version=cursor.number(2, "version"),
        random=cursor.take(32, "random"),
        session_id=cursor.vector(1, "session_id"),
        cookie=cursor.vector(1, "cookie") if datagram else b"",
        suites=_known(cursor.numbers(2, 2, "cipher_suites")),
        compressions=cursor.numbers(1, 1, "compression_methods"),
        extensions=decode_extensions(body[cursor.at :], "client", cursor.at),
    )


def decode_server_hello(body: bytes) -> ServerHello:
    """Decode the body of a ServerHello or HelloRetryRequest. Raises ParseError where a field is cut off."""
    cursor = _Cursor(body)
    return ServerHello(
        version=cursor.number(2, "version"),
        random=cursor.take(32, "random"),
        session_id=cursor.vector(1, "session_id"),
        suite=cursor.number(2, "cipher_suite"),
        compression=cursor.number(1, "compression_method"),
        extensions=decode_extensions(body[cursor.at :], "server", cursor.at),
    )


def decode_encrypted_extensions(body: bytes) -> Extensions:
    """Decode the body of EncryptedExtensions (RFC 8446 section 4.3.1): ALPN, early data."""
    return decode_extensions(body, "server")


def decode_certificates(body: bytes, *, tls13: bool = False) -> tuple[bytes, ...]:
    """Certificates of a Certificate message, the sender's own first, each as DER.

    RFC 5246 section 7.4.2; with ``tls13`` RFC 8446 section 4.4.2. Raises ParseError where one is cut off.
    """
    cursor = _Cursor(body)
    if tls13:
        cursor.vector(1, "certificate_request_context")
    entries = _Cursor(cursor.vector(3, "certificate_list"), cursor.at)
    chain = []
    while entries.left:
        chain.append(entries.vector(3, "certificate"))
        if tls13:
            entries.vector(2, "extensions of a certificate")
    return tuple(chain)


def decode_compressed_certificates(body: bytes) -> tuple[bytes, ...]:
    """Certificates of a CompressedCertificate (RFC 8879 section 4): zlib only, others give an empty tuple."""
    cursor = _Cursor(body)
    algorithm, size = cursor.number(2, "algorithm"), cursor.number(3, "uncompressed_length")
    packed = cursor.vector(3, "compressed_certificate_message")
    if algorithm != 1:
        return ()
    try:
        message = zlib.decompressobj().decompress(packed, min(size, MAX_CERTIFICATES))
    except zlib.error as error:
        raise ParseError(f"a compressed certificate does not unfold: {error}", offset=8) from None
    return decode_certificates(message, tls13=True)


def decode_ticket(body: bytes, *, tls13: bool = False) -> bytes:
    """The ticket of a NewSessionTicket (RFC 5077 section 3.3, RFC 8446 section 4.6.1)."""
    cursor = _Cursor(body)
    cursor.number(4, "ticket_lifetime")
    if tls13:
        cursor.number(4, "ticket_age_add")
        cursor.vector(1, "ticket_nonce")
    return cursor.vector(2, "ticket")


def describe_alert(body: bytes) -> str | None:
    """An alert such as ``fatal handshake_failure`` (RFC 8446 section 6); None where this is no alert in clear."""
    if len(body) != 2 or body[0] not in (1, 2):
        return None
    return f"{'warning' if body[0] == 1 else 'fatal'} {alert_name(body[1])}"
