"""What datagrams carry, rewritten without a change of length: STUN and TURN, DTLS, RTP, DNS, DHCP."""

import hmac
import struct
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jitsilab.errors import ParseError
from jitsilab.protocols import dtls, stun
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.handshakes import Handshakes
from jitsilab.sharing.wording import Wording

if TYPE_CHECKING:
    from jitsilab.wire.units import Unit

_ADDRESSES = {0x0001, 0x0002, 0x0004, 0x0005, 0x000B, 0x8023, 0x802B, 0x802C, 0x8050}  # plain ones, of RFC 3489 too
_XORED = {0x0012, 0x0016, 0x0020, 0x8020}
_KEPT = {0x000C, 0x000D, 0x0019, 0x0018, 0x0024, 0x0025, 0x8029, 0x802A, 0x0009, 0x000A, 0x0017, 0x001D, 0x8002,
         0x0003, 0x001A, 0x002A, 0x8000, 0x8001, 0x0022, 0xC057, 0xC058, 0xC059, 0xC05A, 0x802D}  # fmt: skip
_TRUNCATED = 16  # bytes of a datagram of an unknown protocol that are kept as noise

Key = tuple[str, ...]  # a password, or user, realm, password and algorithm


class Messages:
    """Rewrites payloads; knows the secrets under which STUN is signed, before and after."""

    def __init__(self, wording: Wording, certificates: Certificates, *, software: bool = False) -> None:
        self.wording, self.names, self.addresses = wording, wording.names, wording.addresses
        self.handshakes = Handshakes(wording, certificates)
        self.software = software
        self.keys: dict[bytes, list[Key]] = {}  # by transaction id
        self._parts: dict[tuple[int, int, bytes], bytes] = {}  # fragments of DTLS messages that were put together

    # --- what has to be known before

    def learn(self, units: "Iterable[Unit]", passwords: dict[str, set[str]], accounts: list[tuple[str, str]]) -> None:
        """Find the key of each STUN transaction, and put DTLS messages together to replace them as a whole."""
        turn: dict[str, list[str]] = {}
        for user, password in accounts:
            turn.setdefault(user, []).append(password)
        pending: dict[tuple[int, bool, int, int, int], dict[int, bytes]] = {}
        for unit in units:
            if unit.kind == "stun":
                self._learn_stun(unit.data, passwords, turn)
            elif unit.kind == "dtls":
                self._learn_dtls(unit, pending)

    def _learn_stun(self, data: bytes, passwords: dict[str, set[str]], turn: dict[str, list[str]]) -> None:
        try:
            message = stun.decode(data)
        except ParseError:
            return
        username, realm = message.text(stun.USERNAME), message.text(stun.REALM)
        if message.message_class != "request" or username is None:
            return
        if realm is None:
            keys: list[Key] = [(password,) for password in sorted(passwords.get(username.split(":")[0], ()))]
        else:
            algorithm = stun.password_algorithm(message)
            keys = [(username, realm, password, algorithm) for password in turn.get(username, [])]
        if keys:
            self.keys[message.transaction_id] = keys

    def _learn_dtls(self, unit: "Unit", pending: dict[tuple[int, bool, int, int, int], dict[int, bytes]]) -> None:
        try:
            records = dtls.decode(unit.data)
        except ParseError:
            return
        for record in records:
            if record.content_type != dtls.HANDSHAKE or record.epoch or not record.complete:
                continue
            at, body = 0, record.fragment
            while at + 12 <= len(body):
                kind, total = body[at], int.from_bytes(body[at + 1 : at + 4])
                sequence, offset = int.from_bytes(body[at + 4 : at + 6]), int.from_bytes(body[at + 6 : at + 9])
                size = int.from_bytes(body[at + 9 : at + 12])
                data = body[at + 12 : at + 12 + size]
                at += 12 + size
                if total > dtls.MAX_MESSAGE or len(data) < size:
                    continue
                parts = pending.setdefault((unit.flow, unit.up, sequence, kind, total), {})
                if len(parts) > 64:
                    continue
                parts[offset] = data
                whole = b""
                for place in sorted(parts):
                    if place <= len(whole):
                        whole = whole[:place] + parts[place]
                if len(whole) == total:
                    new = self.handshakes.message(kind, whole, tls13=False, datagram=True)
                    for place, part in parts.items():
                        self._parts[total, place, part] = new[place : place + len(part)]

    # --- datagrams

    def datagram(self, data: bytes, ports: tuple[int, int], size: int) -> bytes:
        """The payload of a UDP datagram of ``size`` bytes on the wire; shorter where media was dropped."""
        if not data:
            return data
        first = data[0]
        if len(data) >= 20 and first < 0x40 and data[4:8] == stun.COOKIE:
            return self.stun_message(data, whole=len(data) >= size)
        if 53 in ports or 5353 in ports or 5355 in ports or 137 in ports:
            from jitsilab.sharing.resolving import Resolving

            return Resolving(self.wording).message(data)
        if 67 in ports or 68 in ports:
            from jitsilab.sharing.resolving import Resolving

            return Resolving(self.wording).lease(data)
        if 19 < first < 64 and len(data) > 12 and data[1:2] in (b"\xfe", b"\x01"):
            return self.dtls_records(data)
        if 0x40 <= first < 0x80 and len(data) >= 4 and abs(size - 4 - int.from_bytes(data[2:4])) < 4:
            return data[:4] + self.inner(data[4:])
        if first >> 6 == 2 and len(data) >= 8:
            return self.media(data)
        if len(data) >= 20 and first < 2 and int.from_bytes(data[2:4]) == size - 20:
            return self.stun_message(data, whole=len(data) >= size)
        return self.opaque(data)

    def inner(self, data: bytes) -> bytes:
        """What TURN carries; nothing is cut there."""
        new = self.datagram(data, (0, 0), len(data)) or b"\xff" * min(len(data), 4)  # which begins nothing known
        return new + self.noise(data[len(new) :])

    def opaque(self, data: bytes) -> bytes:
        """Bytes of which nothing is known: their length on the wire alone is kept, as if the capture had cut them.

        Noise would be read as whatever runs on the port, and be malformed there.
        """
        del data
        return b""

    def noise(self, data: bytes) -> bytes:
        """As many bytes that say nothing."""
        return self.names.noise(b"noise" + data, len(data)) if data else b""

    def media(self, data: bytes) -> bytes:
        """RTP without what it carries; RTCP's first report header."""
        if 192 <= data[1] <= 223:
            return self._reports(data)
        head = 12 + 4 * (data[0] & 15)
        if data[0] & 0x10 and len(data) >= head + 4:
            head += 4 + 4 * int.from_bytes(data[head + 2 : head + 4])
        return data[:head]

    def _reports(self, data: bytes) -> bytes:
        """RTCP in clear without the names in it; SRTCP as it is, which only its keys open."""
        out, at = bytearray(data), 0
        while at + 4 <= len(data):
            end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
            if end > len(data) or not 192 <= data[at + 1] <= 223:
                return data
            if data[at + 1] == 202:
                place = at + 8
                while place + 2 <= end and data[place]:
                    begin, stop = place + 2, min(place + 2 + data[place + 1], end)
                    out[begin:stop] = self.names.alike(data[begin:stop].decode("latin-1")).encode("latin-1", "replace")
                    place = stop
            elif data[at + 1] in (203, 204):
                out[at + 8 : end] = bytes(end - at - 8) if data[at + 1] == 204 else out[at + 8 : end]
            at = end
        return bytes(out) if at == len(data) else data

    def dtls_records(self, data: bytes) -> bytes:
        """DTLS records: handshakes in clear rewritten, what is encrypted made unreadable for whoever has its keys."""
        out, at = bytearray(data), 0
        while at + 13 <= len(data):
            kind, epoch, size = data[at], int.from_bytes(data[at + 3 : at + 5]), int.from_bytes(data[at + 11 : at + 13])
            begin, end = at + 13, min(at + 13 + size, len(data))
            if kind == dtls.HANDSHAKE and not epoch:
                self._fragments(out, begin, end)
            elif kind not in (dtls.CHANGE_CIPHER_SPEC, dtls.ALERT) or epoch:
                out[begin:end] = self.noise(data[begin:end])
            at = end
        return bytes(out)

    def _fragments(self, out: bytearray, at: int, end: int) -> None:
        while at + 12 <= end:
            total, offset = int.from_bytes(out[at + 1 : at + 4]), int.from_bytes(out[at + 6 : at + 9])
            size = int.from_bytes(out[at + 9 : at + 12])
            begin, stop = at + 12, min(at + 12 + size, end)
            data = bytes(out[begin:stop])
            known = self._parts.get((total, offset, data))
            if known is not None:
                out[begin:stop] = known
            elif size == total and len(data) == size:
                out[begin:stop] = self.handshakes.message(out[at], data, tls13=False, datagram=True)
            else:
                out[begin:stop] = self.noise(data)
            at = stop

    # --- STUN

    def stun_message(self, data: bytes, *, whole: bool = True) -> bytes:
        """One message; what follows it in the datagram is dropped to noise."""
        try:
            message = stun.decode(data)
        except ParseError:
            return self.opaque(data)
        out = bytearray(message.raw)
        signed, end, pad = [], 20, 0
        for kind, value, offset in message.attributes:
            begin = offset + 4
            new = self._attribute(kind, value, message)
            out[begin : begin + len(new)] = new
            end = begin + len(value)
            pad = min(-len(value) % 4, len(out) - end)
            if pad > 0:
                out[end : end + pad] = bytes(pad)
            if kind in (stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256, stun.GOOG_MESSAGE_INTEGRITY_32):
                signed.append((kind, len(value), offset))
        rest = end + max(0, pad)  # what no attribute accounts for
        out[rest:] = self.noise(bytes(out[rest:]))
        key = self._key(message) if whole else None
        for kind, size, offset in signed:
            if key is not None:
                text = (
                    bytes(out[:offset]) + bytes(-offset % 64) if message.classic else _until(bytes(out), offset, size)
                )
                made = hmac.digest(key, text, "sha256" if kind == stun.MESSAGE_INTEGRITY_SHA256 else "sha1")[:size]
                out[offset + 4 : offset + 4 + size] = made
        right = stun.fingerprint_ok(message)
        for kind, value, offset in message.attributes:
            if kind == stun.FINGERPRINT and len(value) == 4:
                crc = zlib.crc32(_until(bytes(out), offset, 4)) ^ 0x5354554E
                out[offset + 4 : offset + 8] = (crc if right or not whole else crc ^ 0xFFFF).to_bytes(4)
        return bytes(out) + self.noise(data[len(message.raw) :])

    def _key(self, message: stun.Message) -> bytes | None:
        """The new key, where the old one fits."""
        for key in self.keys.get(message.transaction_id, ()):
            if len(key) == 1:
                old, new = stun.short_term_key(key[0]), stun.short_term_key(self.name(key[0]))
            else:
                user, realm, password, algorithm = key
                old = stun.long_term_key(user, realm, password, algorithm)
                new = stun.long_term_key(self.user(user), self.name(realm), self.name(password), algorithm)
            if stun.integrity_ok(message, old):
                return new
        return None

    def name(self, text: str) -> str:
        """The pseudonym of a whole name."""
        return self.names.given.get(text) or self.wording.names_in(text.encode()).decode("utf-8", "replace")

    def user(self, text: str) -> str:
        """The pseudonym of a USERNAME."""
        new = self.name(text)
        return new if new != text else ":".join(self.name(part) for part in text.split(":"))

    def _attribute(self, kind: int, value: bytes, message: stun.Message) -> bytes:
        if kind in _ADDRESSES or kind in _XORED:
            return self._endpoint(value, message.raw, kind in _XORED)
        if kind in _KEPT or (kind == stun.SOFTWARE and not self.software):
            return value if len(value) <= 8 else self._same(self.wording.names_in(value), value)
        if kind == stun.DATA:
            return self.inner(value)
        if kind == stun.USERNAME:
            return self._same(self.user(value.decode("utf-8", "replace")).encode(), value)
        if kind == stun.REALM:
            return self._same(self.name(value.decode("utf-8", "replace")).encode(), value)
        if kind == stun.NONCE:
            return self.names.alike(value.decode("latin-1")).encode("latin-1", "replace")
        if kind in (stun.MESSAGE_INTEGRITY, stun.MESSAGE_INTEGRITY_SHA256, stun.GOOG_MESSAGE_INTEGRITY_32):
            return self.noise(value)
        if kind == stun.FINGERPRINT:
            return value
        if kind == stun.SOFTWARE:
            return b"x" * len(value)
        return self.noise(value)

    def _same(self, new: bytes, value: bytes) -> bytes:
        if len(new) == len(value):
            return new
        return self.names.alike(value.decode("latin-1")).encode("latin-1", "replace")

    def _endpoint(self, value: bytes, raw: bytes, xored: bool) -> bytes:
        size = len(value)
        if not ((size == 8 and value[1] == 1) or (size == 20 and value[1] == 2)):
            return value[:4] + self.noise(value[4:])
        mask = raw[4:size] if xored else bytes(size - 4)
        old = bytes(a ^ b for a, b in zip(value[4:], mask, strict=True))
        new = self.addresses.packed(old)
        return value[:4] + bytes(a ^ b for a, b in zip(new, mask, strict=True))


def _until(raw: bytes, offset: int, size: int) -> bytes:
    """What is signed: all before an attribute, under a header whose length ends with that attribute."""
    return raw[:2] + struct.pack(">H", offset + 4 + size - 20) + raw[4:offset]
