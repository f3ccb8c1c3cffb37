"""Addresses under other addresses of their class, by Crypto-PAn (Fan, Xu, Ammar, Moon 2004), keyed.

Two addresses that agree in their first n bits agree in as many afterwards, so networks stay networks. Only the bits
behind the prefix of a class are changed: what was private, shared, link-local, documentation or mapped stays so, what
was public stays public, and multicast, loopback and well-known addresses stay themselves. It is no anonymity: whoever
knows some addresses of a network knows its prefix.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

STAYS, INSIDE = -1, -2  # in place of the bits that are kept: the whole address; what holds an IPv4 address at its end
_RESALTED = 64  # keys of a class that are tried until no pseudonym is somebody else's address
_SWAPS = 4096  # addresses that are tried to change places with one whose pseudonym still is


def _table(rows: "dict[str, int]") -> list[tuple[int, int, int]]:
    """Value and length of each prefix, and how many bits are kept; the longest prefix first."""
    made = [(ip_network(text), kept) for text, kept in rows.items()]
    return [
        (int(net.network_address) >> (net.max_prefixlen - net.prefixlen), net.prefixlen, kept)
        for net, kept in sorted(made, key=lambda entry: -entry[0].prefixlen)
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


def _class(packed: bytes) -> tuple[tuple[int, int], int]:
    """Class of an address, by bits and number, and the bits of it that are kept."""
    bits = len(packed) * 8
    number, kept = _kept(int.from_bytes(packed), bits)
    return (bits, number), kept


def _tells(new: bytes, known: set[bytes], texts: set[str]) -> bool:
    """Whether a pseudonym is an original, or holds one where it is written: 192.0.2.104 holds 192.0.2.10."""
    if new in known:
        return True
    text = str(_of(new))
    between = "." if len(new) == 4 else ":"
    first, last = text.index(between), text.rindex(between) + 1
    return any(text[a:b] in texts for a in range(first + 1) for b in range(last, len(text) + 1))


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
        self._salts: dict[tuple[int, int], int] = {}  # of each class, by bits and number
        self._pans: dict[tuple[int, int], CryptoPan] = {}
        self._swapped: dict[bytes, bytes] = {}
        self._known: dict[bytes, bytes] = {}
        self._met: set[bytes] = set()
        self._macs: dict[bytes, bytes] = {}
        self._endings: dict[int, bytes] = {}  # low 24 bits of known IPv6 addresses: solicited-node multicast holds them

    def _pan(self, class_: tuple[int, int]) -> CryptoPan:
        """Each class has a key of its own, or a few addresses in a small one would decide for all."""
        pan = self._pans.get(class_)
        if pan is None:
            label = b"addresses%d:%d:%d" % (*class_, self._salts.get(class_, 0))
            pan = self._pans[class_] = CryptoPan(hashlib.sha256(self._key + label).digest())
        return pan

    def met(self, text: bytes) -> bool:
        """Whether this is an address that was seen somewhere."""
        try:
            return ip_address(text.decode()).packed in self._met
        except ValueError:
            return False

    def settle(self, originals: Iterable[bytes]) -> None:
        """Choose keys so that no original becomes another original, nor what holds one as text, where that can be."""
        known = self._met = {packed for packed in originals if self.changes(packed)}
        inner = {packed[12:] for packed in known if len(packed) == 16 and _class(packed)[1] == INSIDE}
        self._known, self._swapped = {}, {}
        texts = {str(_of(packed)) for packed in known | inner}
        classes: dict[tuple[int, int], list[bytes]] = {}
        for packed in sorted(known | inner):
            class_, kept = _class(packed)
            if kept != INSIDE:
                classes.setdefault(class_, []).append(packed)
        for class_, members in classes.items():
            best = (len(members) + 1, 0)
            for salt in range(_RESALTED):
                hits = sum(_tells(new, known, texts) for new in self._under(class_, salt, members))
                best = min(best, (hits, salt))
                if not hits:
                    break
            new = self._under(class_, best[1], members)
            if best[0]:
                self._swap(members, new, known, texts)
        self._known = {}
        self._endings = {int.from_bytes(packed[-3:]): packed for packed in sorted(known) if len(packed) == 16}

    def _under(self, class_: tuple[int, int], salt: int, members: list[bytes]) -> list[bytes]:
        """What addresses of a class become with one of its keys."""
        self._salts[class_] = salt
        self._pans.pop(class_, None)
        return [self._map(member) for member in members]

    def _swap(self, members: list[bytes], new: list[bytes], known: set[bytes], texts: set[str]) -> None:
        """Let addresses whose pseudonyms tell change places with some that nobody has."""
        for member, made in zip(members, new, strict=True):
            if not _tells(made, known, texts):
                continue
            kept = _class(member)[1]
            room = (1 << (len(member) * 8 - max(kept, 0))) - 1
            for number in range(_SWAPS):
                noise = int.from_bytes(hmac.digest(self._key, b"swap%d" % number + member, "sha256")[:16]) & room
                other = (int.from_bytes(member) & ~room | noise).to_bytes(len(member))
                if other in known or other in self._swapped or _class(other) != _class(member):
                    continue
                theirs = self._map(other)
                if theirs not in new and not _tells(theirs, known, texts):
                    self._swapped[member], self._swapped[other] = theirs, made
                    break

    @staticmethod
    def changes(packed: bytes) -> bool:
        """Whether an address gets a pseudonym at all."""
        _, kept = _kept(int.from_bytes(packed), len(packed) * 8)
        if kept == INSIDE:
            return Addresses.changes(packed[-4:])
        return kept != STAYS

    def packed(self, packed: bytes) -> bytes:
        """The pseudonym of an address of 4 or 16 bytes."""
        new = self._known.get(packed)
        if new is None:
            new = self._known[packed] = self._swapped.get(packed) or self._map(packed)
        return new

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
        made, pan = value, self._pan((bits, number))
        while True:
            made ^= pan.pad(made, bits) & ((1 << (bits - kept)) - 1)
            if _kept(made, bits)[0] == number:  # public ones walk on until they are public again
                return made.to_bytes(len(packed))

    def text(self, text: str) -> str:
        """The pseudonym of an address as text."""
        address = ip_address(text)
        return str(_of(self.packed(address.packed)))

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
        new = self._macs.get(mac)
        if new is None:
            if mac[0] & 1:
                new = b"\x33\x33" + self.packed(IPv6Address("ff02::1:ff00:0").packed[:13] + mac[3:])[12:]
            else:
                new = b"\x02" + hmac.digest(self._key, b"mac" + mac, "sha256")[: len(mac) - 1]
            self._macs[mac] = new
        return new

    @property
    def originals(self) -> list[str]:
        """Every address that was found before anything was rewritten, as text."""
        return [str(_of(packed)) for packed in sorted(self._met)]

    def places(self) -> tuple[int, int]:
        """How many addresses, and hardware addresses, were asked for."""
        return len(self._known), len(self._macs)

    def since(self, places: tuple[int, int]) -> list[dict[bytes, bytes]]:
        """What was asked for since there were so many, and what stands for it."""
        every = zip((self._known, self._macs), places, strict=True)
        return [dict(islice(known.items(), place, None)) for known, place in every]

    def learn(self, known: Sequence[Mapping[bytes, bytes]]) -> None:
        """Take over what another process gave pseudonyms to; under the same keys they are the same."""
        self._known.update(known[0])
        self._macs.update(known[1])

    @property
    def given(self) -> dict[str, str]:
        """Every address that got another, as text."""
        return {str(_of(old)): str(_of(new)) for old, new in self._known.items() if old != new}

    @property
    def hardware(self) -> dict[str, str]:
        """Every hardware address that got another."""
        return {old.hex(":"): new.hex(":") for old, new in self._macs.items() if old != new}


def _of(packed: bytes) -> IPv4Address | IPv6Address:
    address = ip_address(packed)
    return address
