"""Addresses under other addresses of their class, by Crypto-PAn (Fan, Xu, Ammar, Moon 2004), keyed.

Two addresses that agree in their first n bits agree in as many afterwards, so networks stay networks. Only the bits
behind the prefix of a class are changed: what was private, shared, link-local, documentation or mapped stays so, what
was public stays public, and multicast, loopback and well-known addresses stay themselves. It is no anonymity: whoever
knows some addresses of a network knows its prefix.
"""

import hashlib
import hmac
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

STAYS, INSIDE = -1, -2  # in place of the bits that are kept: the whole address; what holds an IPv4 address at its end
_RESALTED = 256  # keys that are tried until no pseudonym is somebody else's address


def _table(rows: "dict[str, int]") -> list[tuple[int, int, int]]:
    """Value and length of each prefix, and how many bits are kept; the longest prefix first."""
    made = [(ip_network(text), kept) for text, kept in rows.items()]
    return [
        (int(net.network_address) >> (net.max_prefixlen - net.prefixlen), net.prefixlen, kept)
        for net, kept in sorted(made, key=lambda one: -one[0].prefixlen)
    ]


_FOUR = _table({
    "0.0.0.0/8": STAYS, "127.0.0.0/8": STAYS, "224.0.0.0/4": STAYS, "240.0.0.0/4": STAYS, "192.0.0.0/24": STAYS,
    "192.88.99.0/24": STAYS, "169.254.169.254/32": STAYS, "10.0.0.0/8": 8, "172.16.0.0/12": 12, "192.168.0.0/16": 16,
    "100.64.0.0/10": 10, "169.254.0.0/16": 16, "198.18.0.0/15": 15, "192.0.2.0/24": 24, "198.51.100.0/24": 24,
    "203.0.113.0/24": 24,
})  # fmt: skip
_SIX = _table({
    "::/127": STAYS, "::ffff:0:0/96": INSIDE, "64:ff9b::/96": INSIDE, "64:ff9b:1::/48": 48, "100::/64": STAYS,
    "2001:db8::/32": 32, "2002::/16": 16, "2001::/32": 32, "2001::/23": 23, "fc00::/7": 8, "fe80::/64": 64,
    "fe80::/10": 10, "ff00::/8": STAYS, "2000::/3": 3,
})  # fmt: skip
_SOLICITED = int(IPv6Address("ff02::1:ff00:0")) >> 24


def _kept(value: int, bits: int) -> tuple[int, int]:
    """Class of an address (index in its table, -1 the public one) and the bits of it that are kept."""
    for number, (prefix, length, kept) in enumerate(_FOUR if bits == 32 else _SIX):
        if value >> (bits - length) == prefix:
            return number, kept
    return -1, 0


class CryptoPan:
    """The published scheme on whole addresses of any length up to 128 bits."""

    def __init__(self, key: bytes) -> None:
        """``key`` has 32 bytes: the first 16 of AES, the others become the padding."""
        self._aes = Cipher(AES(key[:16]), ECB()).encryptor()
        self._pad = int.from_bytes(self._aes.update(key[16:32]))

    def pad(self, value: int, bits: int) -> int:
        """What is XOR-ed to an address: bit i depends on the key and on the bits before it."""
        blocks, place = bytearray(), value << (128 - bits)
        for length in range(bits):
            low = 128 - length
            blocks += (((place >> low) << low) | (self._pad & ((1 << low) - 1))).to_bytes(16)
        made = self._aes.update(bytes(blocks))
        out = 0
        for at in range(0, len(made), 16):
            out = out << 1 | made[at] >> 7
        return out


class Addresses:
    """Pseudonyms of addresses, and of the hardware addresses beside them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._salt = 0
        self._pan = self._made()
        self._known: dict[bytes, bytes] = {}
        self._met: set[bytes] = set()
        self._macs: dict[bytes, bytes] = {}
        self._endings: dict[int, bytes] = {}  # low 24 bits of known IPv6 addresses: solicited-node multicast holds them

    def _made(self) -> CryptoPan:
        return CryptoPan(hashlib.sha256(self._key + b"addresses" + self._salt.to_bytes(2)).digest())

    def met(self, text: bytes) -> bool:
        """Whether this is an address that was seen somewhere."""
        try:
            return ip_address(text.decode()).packed in self._met
        except ValueError:
            return False

    def settle(self, originals: Iterable[bytes]) -> None:
        """Choose the key so that no original becomes an address that is another original, where that can be."""
        known = self._met = {one for one in originals if self.changes(one)}
        best = (len(known) + 1, 0)
        for salt in range(_RESALTED):
            self._salt, self._known = salt, {}
            self._pan = self._made()
            hits = sum(self.packed(one) in known for one in known)
            best = min(best, (hits, salt))
            if not hits:
                break
        self._salt, self._known = best[1], {}
        self._pan = self._made()
        self._endings = {int.from_bytes(one[-3:]): one for one in sorted(known) if len(one) == 16}

    @staticmethod
    def changes(packed: bytes) -> bool:
        """Whether an address gets a pseudonym at all."""
        _, kept = _kept(int.from_bytes(packed), len(packed) * 8)
        if kept == INSIDE:
            return Addresses.changes(packed[-4:])
        return kept != STAYS

    def packed(self, packed: bytes) -> bytes:
        """The pseudonym of an address of 4 or 16 bytes."""
        found = self._known.get(packed)
        if found is None:
            found = self._known[packed] = self._map(packed)
        return found

    def _map(self, packed: bytes) -> bytes:
        bits = len(packed) * 8
        value = int.from_bytes(packed)
        number, kept = _kept(value, bits)
        if kept == INSIDE:
            return packed[:12] + self.packed(packed[12:])
        if kept == STAYS:
            if bits == 128 and value >> 24 == _SOLICITED:
                whole = self._endings.get(value & 0xFFFFFF, bytes(13) + packed[-3:])
                return packed[:13] + self.packed(b"\x20\x01" + whole[2:] if not any(whole[:13]) else whole)[13:]
            return packed
        if bits == 128 and value >> 112 == 0x2002:  # 6to4 holds an IPv4 address
            outer = packed[:2] + self.packed(packed[2:6]) + packed[6:]
            value, kept = int.from_bytes(outer), 48
        made = value
        while True:
            made ^= self._pan.pad(made, bits) & ((1 << (bits - kept)) - 1)
            if _kept(made, bits)[0] == number:  # public ones walk on until they are public again
                return made.to_bytes(len(packed))

    def text(self, text: str) -> str:
        """The pseudonym of an address as text."""
        one = ip_address(text)
        return str(_of(self.packed(one.packed)))

    def network(self, packed: bytes, length: int) -> bytes:
        """The pseudonym of a network: its prefix, zeros behind it. One that holds a whole class stays."""
        bits = len(packed) * 8
        for prefix, size, _ in _FOUR if bits == 32 else _SIX:
            if size >= length and prefix >> (size - length) == int.from_bytes(packed) >> (bits - length):
                return packed
        if not length:
            return packed
        low = bits - length
        return (int.from_bytes(self._map(packed)) >> low << low).to_bytes(len(packed))

    def mac(self, mac: bytes) -> bytes:
        """A hardware address without vendor: locally administered; groups stay, those of IPv6 follow their address."""
        if not any(mac) or (mac[0] & 1 and not mac.startswith(b"\x33\x33\xff")):
            return mac
        found = self._macs.get(mac)
        if found is None:
            if mac[0] & 1:
                found = b"\x33\x33" + self.packed(IPv6Address("ff02::1:ff00:0").packed[:13] + mac[3:])[12:]
            else:
                found = b"\x02" + hmac.digest(self._key, b"mac" + mac, "sha256")[: len(mac) - 1]
            self._macs[mac] = found
        return found

    @property
    def given(self) -> dict[str, str]:
        """Every address that got another, as text."""
        return {str(_of(old)): str(_of(new)) for old, new in self._known.items() if old != new}

    @property
    def hardware(self) -> dict[str, str]:
        """Every hardware address that got another."""
        return {old.hex(":"): new.hex(":") for old, new in self._macs.items() if old != new}


def _of(packed: bytes) -> IPv4Address | IPv6Address:
    one = ip_address(packed)
    return one
