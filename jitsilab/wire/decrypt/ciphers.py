"""The record layer's keys and ciphers: what turns a TLS record back into its content.

TLS 1.3 (RFC 8446 sections 5.2 and 7), TLS 1.2 with AEAD (RFC 5288, RFC 6655, RFC 7905) and TLS 1.0 to 1.2 with CBC and
HMAC (RFC 5246 section 6.2.3.2, RFC 7366 for encrypt-then-MAC). Nothing here keeps state between two records: a record
is opened with the sequence number that the caller thinks it has, so that a stream can be taken up again after a loss.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from jitsilab.protocols.tls_registry import SUITES


class UnauthenticError(Exception):
    """A record that this key and sequence number did not make; never leaves the package."""


class Opener(Protocol):
    """Opens the records of one direction under one key."""

    def open(self, sequence: int, header: bytes, fragment: bytes, before: bytes | None) -> tuple[int, bytes]:
        """Content type and plaintext of a record.

        ``header`` has the record's five bytes, ``before`` the fragment of the record before it, to which TLS 1.0
        chains: empty for the first, None where it is not known. Raises UnauthenticError.
        """


@dataclass(frozen=True, slots=True)
class Suite:
    """What a cipher suite's name says of its record protection."""

    cipher: str  # gcm, ccm, chacha20, cbc, 3des, null
    key: int  # bytes
    mac: str  # hash of the HMAC, for cbc, 3des and null
    prf: str  # hash of the key schedule in TLS 1.2 and 1.3
    tag: int = 16  # bytes, of the AEAD


_MACS = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


@lru_cache(maxsize=512)
def suite_of(number: int, *, tls13: bool = False) -> Suite | None:
    """Parameters of a suite by its IANA name; None where this package cannot open its records.

    ``tls13``: of the suites of TLS 1.3 only, which name no key exchange (RFC 8446 appendix B.4).
    """
    name = SUITES.get(number, "")
    if tls13 and "_WITH_" in name:
        return None
    words = name.rpartition("_WITH_")[2].removeprefix("TLS_").split("_")
    digest = _MACS.get(words[-1], "sha256")  # CCM suites of TLS 1.2 name no hash: SHA-256 (RFC 6655 section 3)
    prf = "sha384" if digest == "sha384" else "sha256"
    match words:
        case ["AES", bits, "GCM", _]:
            return Suite("gcm", int(bits) // 8, "", prf)
        case ["AES", bits, "CCM", "8", *_]:
            return Suite("ccm", int(bits) // 8, "", prf, tag=8)
        case ["AES", bits, "CCM", *_]:
            return Suite("ccm", int(bits) // 8, "", prf)
        case ["CHACHA20", "POLY1305", "SHA256"]:
            return Suite("chacha20", 32, "", prf)
        case ["AES", bits, "CBC", mac] if mac in _MACS:
            return Suite("cbc", int(bits) // 8, digest, prf)
        case ["3DES", "EDE", "CBC", mac] if mac in _MACS:
            return Suite("3des", 24, digest, prf)
        case ["NULL", mac] if mac in _MACS and name != "TLS_NULL_WITH_NULL_NULL":
            return Suite("null", 0, digest, prf)
    return None


# --- TLS 1.3


def expand_label(secret: bytes, label: str, length: int, digest: str) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 section 7.1), for at most one block of the hash."""
    name = b"tls13 " + label.encode()
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    output, block, count = b"", b"", 1
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes([count]), digest)
        output, count = output + block, count + 1
    return output[:length]


def next_secret(secret: bytes, digest: str) -> bytes:
    """The traffic secret after a KeyUpdate (RFC 8446 section 7.2)."""
    return expand_label(secret, "traffic upd", len(secret), digest)


Aead = AESGCM | AESCCM | ChaCha20Poly1305


def _aead(suite: Suite, key: bytes) -> Aead:
    if suite.cipher == "gcm":
        return AESGCM(key)
    return AESCCM(key, tag_length=suite.tag) if suite.cipher == "ccm" else ChaCha20Poly1305(key)


class Aead13:
    """TLS 1.3: one nonce per sequence number, content type inside, zeros behind it (RFC 8446 section 5.2)."""

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self.aead = _aead(suite, expand_label(secret, "key", suite.key, suite.prf))
        self.iv = int.from_bytes(expand_label(secret, "iv", 12, suite.prf), "big")

    def open(self, sequence: int, header: bytes, fragment: bytes, before: bytes | None) -> tuple[int, bytes]:
        """Open a record; see Opener."""
        try:
            inner = self.aead.decrypt((self.iv ^ sequence).to_bytes(12, "big"), fragment, header)
        except (InvalidTag, ValueError):
            raise UnauthenticError from None
        inner = inner.rstrip(b"\0")
        if not inner:
            raise UnauthenticError
        return inner[-1], inner[:-1]


# --- TLS 1.0 to 1.2


def _p_hash(secret: bytes, seed: bytes, length: int, digest: str) -> bytes:
    output, a = b"", seed
    while len(output) < length:
        a = hmac.digest(secret, a, digest)
        output += hmac.digest(secret, a + seed, digest)
    return output[:length]


def prf(secret: bytes, label: bytes, seed: bytes, length: int, version: int, digest: str) -> bytes:
    """The pseudorandom function (RFC 5246 section 5; before TLS 1.2 RFC 2246 section 5, MD5 and SHA-1 combined)."""
    if version >= 0x0303:
        return _p_hash(secret, label + seed, length, digest)
    half = (len(secret) + 1) // 2
    left = _p_hash(secret[:half], label + seed, length, "md5")
    right = _p_hash(secret[-half:], label + seed, length, "sha1")
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


class Aead12:
    """TLS 1.2 with an AEAD: sequence number, type, version and length authenticated (RFC 5246 section 6.2.3.3)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self.aead = _aead(suite, key)
        self.tag, self.explicit, self.iv = suite.tag, suite.cipher != "chacha20", iv

    def open(self, sequence: int, header: bytes, fragment: bytes, before: bytes | None) -> tuple[int, bytes]:
        """Open a record; see Opener."""
        if self.explicit:  # RFC 5288 section 3: the record brings eight bytes of its nonce
            nonce, body = self.iv + fragment[:8], fragment[8:]
        else:  # RFC 7905 section 2
            nonce, body = (int.from_bytes(self.iv, "big") ^ sequence).to_bytes(12, "big"), fragment
        length = len(body) - self.tag
        if length < 0 or len(nonce) != 12:
            raise UnauthenticError
        associated = sequence.to_bytes(8, "big") + header[:3] + length.to_bytes(2, "big")
        try:
            return header[0], self.aead.decrypt(nonce, body, associated)
        except (InvalidTag, ValueError):
            raise UnauthenticError from None


class Cbc:
    """Block cipher or none, with HMAC (RFC 5246 section 6.2.3.2; encrypt-then-MAC RFC 7366 section 3)."""

    def __init__(self, suite: Suite, mac_key: bytes, key: bytes, iv: bytes, *, implicit_iv: bool, etm: bool) -> None:
        self.mac_key, self.digest, self.iv = mac_key, suite.mac, iv
        self.size = hashlib.new(suite.mac, usedforsecurity=False).digest_size
        self.cipher: CipherAlgorithm | None = None
        self.block = 0
        if suite.cipher != "null":
            self.cipher = AES(key) if suite.cipher == "cbc" else TripleDES(key)
            self.block = 16 if suite.cipher == "cbc" else 8
        self.implicit_iv, self.etm = implicit_iv and bool(self.block), etm and bool(self.block)
        self._last: tuple[bytes, bytes | None, bytes] = (b"", b"", b"")

    def open(self, sequence: int, header: bytes, fragment: bytes, before: bytes | None) -> tuple[int, bytes]:
        """Open a record; see Opener."""
        if self.etm:
            self._verify(sequence, header, fragment[: -self.size], fragment[-self.size :])
            return header[0], self._unpad(self._decrypt(fragment[: -self.size], before and before[: -self.size]))
        content = fragment
        if self.block:
            content = self._unpad(self._decrypt(fragment, before))
        if len(content) < self.size:
            raise UnauthenticError
        plaintext = content[: -self.size]
        self._verify(sequence, header, plaintext, content[-self.size :])
        return header[0], plaintext

    def _verify(self, sequence: int, header: bytes, content: bytes, mac: bytes) -> None:
        data = sequence.to_bytes(8, "big") + header[:3] + len(content).to_bytes(2, "big") + content
        if not hmac.compare_digest(hmac.digest(self.mac_key, data, self.digest), mac):
            raise UnauthenticError

    def _decrypt(self, data: bytes, before: bytes | None) -> bytes:
        if self._last[:2] == (data, before):  # the next sequence number is tried on the same record
            return self._last[2]
        if not self.implicit_iv:
            iv, body = data[: self.block], data[self.block :]
        elif before is not None:
            iv, body = before[-self.block :] or self.iv, data
        else:
            raise UnauthenticError
        if not body or len(body) % self.block or len(iv) != self.block or self.cipher is None:
            raise UnauthenticError
        decryptor = Cipher(self.cipher, CBC(iv)).decryptor()
        plain = decryptor.update(body) + decryptor.finalize()
        self._last = (data, before, plain)
        return plain

    def _unpad(self, data: bytes) -> bytes:
        size = data[-1] + 1
        if size > len(data) or data[-size:] != bytes([size - 1]) * size:
            raise UnauthenticError
        return data[:-size]


def opener13(suite: Suite, secret: bytes) -> Opener:
    """What opens the records under a traffic secret of TLS 1.3."""
    return Aead13(suite, secret)


def openers12(
    suite: Suite, master: bytes, randoms: tuple[bytes, bytes], version: int, *, etm: bool
) -> tuple[Opener, Opener]:
    """What opens the client's and the server's records, from the master secret (RFC 5246 section 6.3).

    ``randoms`` are the client's and the server's; ``etm`` says that encrypt-then-MAC was agreed on.
    """
    client, server = randoms
    aead = suite.cipher in ("gcm", "ccm", "chacha20")
    mac = 0 if aead else hashlib.new(suite.mac, usedforsecurity=False).digest_size
    blocks = {"gcm": 4, "ccm": 4, "chacha20": 12, "cbc": 16, "3des": 8, "null": 0}[suite.cipher]
    if not aead and version >= 0x0302:
        blocks = 0  # each record brings its own
    sizes = (mac, mac, suite.key, suite.key, blocks, blocks)
    material = prf(master, b"key expansion", server + client, sum(sizes), version, suite.prf)
    parts, at = [], 0
    for size in sizes:
        parts.append(material[at : at + size])
        at += size
    if aead:
        return Aead12(suite, parts[2], parts[4]), Aead12(suite, parts[3], parts[5])
    implicit = version < 0x0302
    return (
        Cbc(suite, parts[0], parts[2], parts[4], implicit_iv=implicit, etm=etm),
        Cbc(suite, parts[1], parts[3], parts[5], implicit_iv=implicit, etm=etm),
    )
