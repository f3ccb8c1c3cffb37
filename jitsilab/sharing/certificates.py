"""Certificates under other names and keys: as long as they were, with the same algorithms and extensions.

Dates of validity stay, or move as all times of the case do.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from jitsilab.sharing.wording import Wording

_STRINGS = (0x0C, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E)  # UTF8, Printable, T61, IA5, Visible, Universal, BMP
_DEEPEST = 32
_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_ALWAYS = b"99991231235959Z"  # "no well-defined expiration date" (RFC 5280 section 4.1.2.5)
_P256 = bytes.fromhex("2a8648ce3d030107")


class Certificates:
    """Makes and remembers what stands for each certificate; its digests are then known to the text pass."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._made: dict[bytes, bytes] = {}
        wording.certificate = self.substitute

    def substitute(self, der: bytes) -> bytes:
        """The certificate in the place of another."""
        certificate = self._made.get(der)
        if certificate is None:
            out = bytearray(der)
            try:
                self._walk(out, 0, len(out), 0, [])
            except (IndexError, ValueError):
                out = bytearray(self._wording.names.stream(b"der" + der, len(der)))
            certificate = self._made[der] = bytes(out)
            for name in _HASHES:
                new = hashlib.new(name, certificate, usedforsecurity=False).digest()
                self._wording.hashes[hashlib.new(name, der, usedforsecurity=False).digest()] = new
        return certificate

    def _walk(self, out: bytearray, at: int, end: int, depth: int, path: list[int]) -> None:
        """Change the values between two places; ``path`` has the number of each element above."""
        number = 0
        stream = self._wording.names.stream
        while at < end:
            tag, size, begin = _header(out, at)
            stop = begin + size
            if stop > end or depth > _DEEPEST:
                raise ValueError(at)
            here = [*path, number]
            value = bytes(out[begin:stop])
            if (tag & 0x20 and tag & 0xC0 != 0x80) or tag & 0xE0 == 0xA0:
                self._walk(out, begin, stop, depth + 1, here)
            elif tag == 0x02 and depth == 2 and size > 4:  # the serial number
                out[begin + 1 : stop] = stream(b"serial" + value, size - 1)
            elif tag == 0x02 and size > 16:  # a modulus
                out[begin + 2 : stop - 1] = stream(b"modulus" + value, size - 3)
            elif tag == 0x03 and size > 16:
                self._bits(out, begin, stop, depth, here)
            elif tag == 0x04 and depth > 3 and size > 1:
                self._octets(out, begin, stop, depth, here)
            elif tag in _STRINGS or tag in (0x81, 0x82, 0x86):
                out[begin:stop] = self._string(value, tag)
            elif tag in (_UTC_TIME, _GENERALIZED_TIME):
                out[begin:stop] = self._date(value, tag)
            elif tag == 0x87 and size in (4, 16):
                out[begin:stop] = self._wording.addresses.packed(value)
            at, number = stop, number + 1

    def _bits(self, out: bytearray, begin: int, stop: int, depth: int, path: list[int]) -> None:
        """A public key or a signature."""
        value = bytes(out[begin:stop])
        if value[:2] == b"\0\x30":
            try:
                return self._walk(out, begin + 1, stop, depth + 1, path)
            except (IndexError, ValueError):
                out[begin:stop] = value
        if value[:2] == b"\0\x04" and len(value) in (66, 98, 134):
            out[begin + 2 : stop] = self._point(value[2:])
        else:
            out[begin + 1 : stop] = self._wording.names.stream(b"bits" + value, len(value) - 1)
        return None

    def _point(self, point: bytes) -> bytes:
        """A point on the same curve, so that the key can still be read."""
        from cryptography.hazmat.primitives.asymmetric import ec

        curve = {64: ec.SECP256R1(), 96: ec.SECP384R1(), 132: ec.SECP521R1()}[len(point)]
        secret = int.from_bytes(self._wording.names.stream(b"point" + point, 31)) + 1
        numbers = ec.derive_private_key(secret, curve).public_key().public_numbers()
        half = len(point) // 2
        return numbers.x.to_bytes(half) + numbers.y.to_bytes(half)

    def _octets(self, out: bytearray, begin: int, stop: int, depth: int, path: list[int]) -> None:
        """The value of an extension, or a key identifier."""
        value = bytes(out[begin:stop])
        trial = bytearray(out[begin:stop])
        try:
            self._walk(trial, 0, len(trial), depth + 1, path)
        except (IndexError, ValueError):
            trial = bytearray(self._wording.names.stream(b"octets" + value, len(value)))
        else:
            if len(value) in (22,) and value[:2] == b"\x04\x14":
                trial[2:] = self._wording.names.stream(b"identifier" + value[2:], 20)
        out[begin:stop] = trial

    def _date(self, value: bytes, tag: int) -> bytes:
        """A date of validity, moved where times are; what its form cannot say becomes the first or last that it can."""
        moments = self._wording.moments
        short = tag == _UTC_TIME  # of the years 1950 to 2049 (RFC 5280 section 4.1.2.5)
        if moments is None or value == _ALWAYS or len(value) != (13 if short else 15):
            return value
        century = b"" if not short else b"19" if value[:2] >= b"50" else b"20"
        first, last = (datetime(1950, 1, 1), datetime(2049, 12, 31)) if short else (datetime.min, datetime.max)
        try:
            date = datetime.strptime((century + value).decode(), "%Y%m%d%H%M%SZ")
            moved = min(max(date + timedelta(seconds=moments.seconds), first), last)
        except OverflowError:
            moved = first if moments.seconds < 0 else last
        except ValueError:
            return value
        return f"{moved.year:04}{moved:%m%d%H%M%SZ}"[2 if short else 0 :].encode()

    def _string(self, value: bytes, tag: int) -> bytes:
        wording = self._wording
        if tag in (0x1C, 0x1E):
            return value
        new = wording.names_in(value)
        if new == value and tag not in (0x82, 0x86) and len(value) > 3 and not _plain(value):
            new = wording.names.alike(value.decode("utf-8", "replace")).encode()
        if new == value and tag == 0x82:
            new = wording.names.host(value.decode("ascii", "replace")).encode()
        return new if len(new) == len(value) else value


def _plain(value: bytes) -> bool:
    return value in (b"WebRTC", b"JVB", b"localhost") or value.startswith((b"R3", b"Let's Encrypt", b"ISRG"))


def _header(data: bytearray, at: int) -> tuple[int, int, int]:
    """Tag, length and where the value begins."""
    tag, size, begin = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F or size == 0x80:
        raise ValueError(at)
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[begin : begin + count])
        begin += count
    return tag, size, begin


Rewrite = Callable[[bytes], bytes]
