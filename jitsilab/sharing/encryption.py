"""TLS connections that keys opened, encrypted anew under secrets that are nobody's; all others made unreadable."""

import hmac as _hmac
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from jitsilab.protocols import tls
from jitsilab.protocols.hello import ServerHello
from jitsilab.sharing.handshakes import Handshakes
from jitsilab.sharing.layout import Block, Layout
from jitsilab.sharing.names import Names
from jitsilab.wire.decrypt import ciphers

if TYPE_CHECKING:
    from jitsilab.wire.decrypt import Record, Session

_TYPES = {"change_cipher_spec": 20, "alert": 21, "handshake": 22, "application_data": 23}
_LABELS = {
    "early": "CLIENT_EARLY_TRAFFIC_SECRET", ("handshake", True): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    ("handshake", False): "SERVER_HANDSHAKE_TRAFFIC_SECRET", ("application", True): "CLIENT_TRAFFIC_SECRET_0",
    ("application", False): "SERVER_TRAFFIC_SECRET_0",
}  # fmt: skip
_LARGEST = 16384


class Encryption:
    """One connection; ``keylog`` has the secrets under which it is encrypted now."""

    def __init__(self, session: "Session", handshakes: Handshakes) -> None:
        self.session, self.handshakes = session, handshakes
        self.plaintext = {up: session.plaintext(up) for up in (True, False)}
        self.names = handshakes.wording.names
        self.keylog: dict[str, bytes] = {}
        self.random = handshakes.random(session.client_random) if session.client_random else b""
        answers = (hello for hello in session.hellos.values() if isinstance(hello, ServerHello))
        self.hello: ServerHello | None = next((hello for hello in answers if not hello.retry), None)
        self.suite = ciphers.suite_of(self.hello.suite) if self.hello is not None else None
        self.tls13 = session.version == "TLS 1.3"
        self.open = bool(session.decrypted and self.suite and self.random)

    def lines(self) -> bytes:
        """The key log of this connection."""
        return b"".join(b"%s %s %s\n" % (k.encode(), self.random.hex().encode(), v.hex().encode())
                        for k, v in sorted(self.keylog.items()))  # fmt: skip

    def _secret(self, label: str) -> bytes:
        size = 48 if label == "CLIENT_RANDOM" or (self.suite and self.suite.prf == "sha384") else 32
        return self.keylog.setdefault(label, self.names.stream(label.encode() + self.session.client_random, size))

    def direction(self, up: bool, client: bool, content: Layout | None, out: Layout) -> None:
        """Lay out one direction; ``content`` is its new plaintext, ``client``: it is the client's."""
        fresh = self._handshake(self.session.records.handshakes(up))
        places = iter(self.plaintext[up].starts)
        sealer: Any = None
        stage, sequence = "clear", 0
        secret = b""
        for record in self.session.records.each(up):
            at = next(places) if record.inner_type == "application_data" and record.plaintext else 0
            if record.offset < out.end:
                continue
            out.place(record.offset)
            size = tls.HEADER + record.length
            if not record.complete:
                break
            if not record.encrypted:
                body = fresh.get(record.offset)
                if body is None:  # of a damaged type it may be a handshake all the same
                    body = self.handshakes.clear(record.plaintext or b"")
                out.add(Block(size, _header(record, len(body)) + body))
                if record.record_type == "change_cipher_spec" and not self.tls13:
                    stage, sequence, sealer = "application", 0, self._sealer12(client)
                continue
            if self.tls13 and stage == "clear" and self.open:
                early = client and self.session.early_data is not None and record.inner_type == "application_data"
                stage, sequence = ("early" if early else "handshake"), 0
                label = _LABELS["early"] if early else _LABELS["handshake", client]
                secret = self._secret(label)
                sealer = self._sealer13(secret)
            if record.plaintext is None or sealer is None or not self.open:
                out.add(Block(tls.HEADER, _header(record, record.length)))
                out.add_made(record.length)
                sequence += 1
                continue
            kind = _TYPES.get(record.inner_type or "", 23)
            body = fresh.get(record.offset, record.plaintext)
            if kind == 23 and content is not None and record.plaintext:
                body = content.between(at, at + len(record.plaintext))
            made = bytearray()
            parts = [body[i : i + _LARGEST] for i in range(0, max(len(body), 1), _LARGEST)]
            for part in parts:
                room = max(0, len(record.plaintext) - len(part)) if len(parts) == 1 else 0
                made += self._seal(sealer, sequence, kind, record, part, room)
                sequence += 1
            out.add(Block(size, bytes(made)))
            if self.tls13:
                kinds = [message.type for message in record.messages]
                if tls.FINISHED in kinds and stage == "handshake":
                    stage, sequence = "application", 0
                    secret = self._secret(_LABELS["application", client])
                    sealer = self._sealer13(secret)
                elif tls.END_OF_EARLY_DATA in kinds:
                    stage, sequence = "handshake", 0
                    secret = self._secret(_LABELS["handshake", client])
                    sealer = self._sealer13(secret)
                elif tls.KEY_UPDATE in kinds and self.suite is not None:
                    sequence, secret = 0, ciphers.next_secret(secret, self.suite.prf)
                    sealer = self._sealer13(secret)

    def _handshake(self, records: "Iterator[Record]") -> dict[int, bytes]:
        """New fragments of handshake records, by the offsets of these; messages may span several."""
        fragments: dict[int, bytes] = {}
        run: list[Record] = []
        for record in chain(records, [None]):
            ours = record is not None and record.inner_type == "handshake" and record.plaintext is not None
            if record is not None and ours and (not run or run[-1].encrypted == record.encrypted):
                run.append(record)
                continue
            if run:
                self._messages(run, fragments)
            run = [record] if ours and record is not None else []
        return fragments

    def _messages(self, run: "list[Record]", fragments: dict[int, bytes]) -> None:
        data = b"".join(record.plaintext or b"" for record in run)
        out, at = bytearray(data), 0
        while at + 4 <= len(data):
            size = int.from_bytes(data[at + 1 : at + 4])
            end = at + 4 + size
            if end > len(data):
                out[at + 4 :] = self.handshakes.noise(data[at + 4 :])
                break
            out[at + 4 : end] = self.handshakes.message(data[at], data[at + 4 : end], tls13=self.tls13)
            at = end
        at = 0
        for record in run:
            size = len(record.plaintext or b"")
            fragments[record.offset] = bytes(out[at : at + size])
            at += size

    def _seal(self, sealer: Any, sequence: int, kind: int, record: "Record", body: bytes, room: int) -> bytes:
        if self.tls13:
            inner = body + bytes([kind]) + bytes(room)
            assert self.suite is not None
            header = b"\x17\x03\x03" + (len(inner) + self.suite.tag).to_bytes(2)
            return bytes(header + sealer(sequence, inner, header))
        return bytes(sealer(sequence, kind, record.version, body))

    def _sealer13(self, secret: bytes) -> Any:
        assert self.suite is not None
        under = ciphers.Aead13(self.suite, secret)
        return lambda sequence, inner, header: under.aead.encrypt((under.iv ^ sequence).to_bytes(12), inner, header)

    def _sealer12(self, client: bool) -> Any:
        if not self.open or self.suite is None or self.hello is None:
            return None
        versions = {"TLS 1.2": 0x0303, "TLS 1.1": 0x0302, "TLS 1.0": 0x0301}
        version = versions.get(self.session.version or "", 0x0303)
        master = self._secret("CLIENT_RANDOM")
        randoms = self.random, self.handshakes.random(self.hello.random)
        etm = self.hello.extensions.encrypt_then_mac
        under: Any = ciphers.openers12(self.suite, master, randoms, version, etm=etm)[0 if client else 1]
        return _aead12(under) if isinstance(under, ciphers.Aead12) else self._cbc(under)

    def _cbc(self, under: Any) -> Any:
        last = under.iv

        def seal(sequence: int, kind: int, version: int, body: bytes) -> bytes:
            nonlocal last
            head = bytes([kind]) + version.to_bytes(2)

            def mac(content: bytes) -> bytes:
                data = sequence.to_bytes(8) + head + len(content).to_bytes(2) + content
                return bytes(_hmac.digest(under.mac_key, data, under.digest))

            content = body if under.etm else body + mac(body)
            if under.block:
                pad = under.block - 1 - len(content) % under.block
                content += bytes([pad]) * (pad + 1)
                iv = last if under.implicit_iv else self.names.stream(b"iv%d" % sequence + under.mac_key, under.block)
                sealing = Cipher(under.cipher, CBC(iv)).encryptor()
                packed = sealing.update(content) + sealing.finalize()
                last = packed[-under.block :]
                content = packed if under.implicit_iv else iv + packed
            if under.etm:
                content += mac(content)
            return head + len(content).to_bytes(2) + content

        return seal


def body(names: Names, random: bytes, up: bool, offset: int, size: int) -> bytes:
    """What stands for the body of a sealed record."""
    return names.noise(b"record%d:%d:%d" % (up, offset, size) + random, size)


def _aead12(under: Any) -> Any:
    def seal(sequence: int, kind: int, version: int, body: bytes) -> bytes:
        head = bytes([kind]) + version.to_bytes(2)
        explicit = sequence.to_bytes(8) if under.explicit else b""
        nonce = under.iv + explicit if under.explicit else (int.from_bytes(under.iv) ^ sequence).to_bytes(12)
        sealed = under.aead.encrypt(nonce, body, sequence.to_bytes(8) + head + len(body).to_bytes(2))
        return head + (len(explicit) + len(sealed)).to_bytes(2) + explicit + bytes(sealed)

    return seal


def _header(record: "Record", length: int) -> bytes:
    return bytes([_TYPES.get(record.record_type, 23)]) + record.version.to_bytes(2) + length.to_bytes(2)
