"""Handshake messages of TLS and DTLS, rewritten without a change of length: randoms, names, tickets, certificates."""

import re

from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.wording import Wording

CLIENT_HELLO, SERVER_HELLO, VERIFY, TICKET, CERTIFICATE = 1, 2, 3, 4, 11
_SERVER_KEY, _REQUEST, _DONE, _CERTIFICATE_VERIFY, _CLIENT_KEY = 12, 13, 14, 15, 16
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 section 4.1.3
_SILENT = (0, 5, 8, 14, 24)  # messages without anything of anybody's
_NOISY = {35, 44, 18}  # extensions whose content becomes noise: ticket, ECH, cookie, SCT, status
_PROTOCOLS = (16, 17513, 17613)  # ALPN, and its successors' settings: stun.turn is no host
_LABEL = rb"[A-Za-z0-9_-]{1,63}"
_NAMED = re.compile(rb"(?<![A-Za-z0-9_-])" + _LABEL + rb"(?:\." + _LABEL + rb"){0,8}\.[A-Za-z][A-Za-z0-9-]{1,62}")


class Handshakes:
    """Rewrites messages; the same bytes always become the same, so that ids and tickets still fit each other."""

    def __init__(self, wording: Wording, certificates: Certificates) -> None:
        self.wording, self.certificates = wording, certificates

    def noise(self, data: bytes, label: bytes = b"handshake") -> bytes:
        """As many bytes that belong to these."""
        return self.wording.names.stream(label + data, len(data)) if data else b""

    def random(self, value: bytes) -> bytes:
        """A hello's random; the marks of a retry and of a downgrade stay."""
        if value == _RETRY:
            return value
        made = self.noise(value, b"random")
        return made[:24] + value[24:] if value[24:31] == b"DOWNGRD" else made

    def message(self, kind: int, body: bytes, *, tls13: bool, datagram: bool = False) -> bytes:
        """The body of one message."""
        out = bytearray(body)
        try:
            if kind == CLIENT_HELLO:
                self._client(out, datagram)
            elif kind == SERVER_HELLO:
                self._server(out)
            elif kind == VERIFY and datagram:
                out[3:] = self.noise(body[3:])
            elif kind == TICKET:
                self._ticket(out, tls13)
            elif kind == CERTIFICATE:
                self._certificate(out, tls13)
            elif kind == _SERVER_KEY and body[:1] == b"\x03":
                stop = 4 + body[3]
                out[4:stop] = self.noise(body[4:stop])
                out[stop + 4 :] = self.noise(body[stop + 4 :])
            elif kind == _CERTIFICATE_VERIFY:
                out[4:] = self.noise(body[4:])
            elif kind == _CLIENT_KEY:
                skip = 1 if len(body) < 200 else 2
                out[skip:] = self.noise(body[skip:])
            elif kind == _REQUEST:
                out[:] = self.wording.names_in(body)
            elif kind not in _SILENT:
                out[:] = self.noise(body)
        except IndexError:
            return self.noise(body)
        made = self.clear(bytes(out))  # where a length is damaged, a name stands where nobody looked for it
        return made if len(made) == len(body) else self.noise(body)

    def clear(self, data: bytes) -> bytes:
        """Bytes that hold a name by accident alone, without it and as long."""
        made = self.wording.names_in(data)
        return made if len(made) == len(data) else self.noise(data)

    def _client(self, out: bytearray, datagram: bool) -> None:
        out[2:34] = self.random(bytes(out[2:34]))
        at = self._vector(out, 34)
        if datagram:
            at = self._vector(out, at)  # the cookie
        suites = at + 2 + int.from_bytes(out[at : at + 2])
        out[at + 2 : suites] = self._unnamed(bytes(out[at + 2 : suites]))
        at = suites + 1 + out[suites]
        self._extensions(out, at, client=True)

    def _server(self, out: bytearray) -> None:
        out[2:34] = self.random(bytes(out[2:34]))
        at = self._vector(out, 34)
        self._extensions(out, at + 3, client=False)

    def _vector(self, out: bytearray, at: int) -> int:
        end = at + 1 + out[at]
        out[at + 1 : end] = self.noise(bytes(out[at + 1 : end]))
        return end

    def _extensions(self, out: bytearray, at: int, *, client: bool) -> None:
        end = min(at + 2 + int.from_bytes(out[at : at + 2]), len(out))
        at += 2
        while at + 4 <= end:
            kind, size = int.from_bytes(out[at : at + 2]), int.from_bytes(out[at + 2 : at + 4])
            begin, stop = at + 4, at + 4 + size
            if stop > end:
                break
            value = bytes(out[begin:stop])
            if kind == 0 and size > 5:
                out[begin + 5 : stop] = self._host(value[5:])
            elif kind in _NOISY and size > 2:
                out[begin:stop] = value[:1] + self.noise(value[1:]) if kind == 5 else self.noise(value)
            elif kind == 0xFE0D and size > 10 and client and not value[0]:
                enc = begin + 8 + int.from_bytes(value[6:8])
                out[begin + 8 : enc] = self.noise(bytes(out[begin + 8 : enc]))
                out[enc + 2 : stop] = self.noise(bytes(out[enc + 2 : stop]))
            elif kind == 51 and size > 4:
                self._shares(out, begin + 2 if client else begin, stop)
            elif kind == 41 and client:
                self._identities(out, begin, stop)
            elif kind not in _PROTOCOLS:
                out[begin:stop] = self._unnamed(value)
            at = stop
        out[at:] = self.noise(bytes(out[at:]))

    def _unnamed(self, value: bytes) -> bytes:
        """What holds no name, unless a type or a length before it is damaged."""
        return _NAMED.sub(lambda match: self.noise(match[0]), value)

    def _host(self, value: bytes) -> bytes:
        new = self.wording.names.host(value.decode("latin-1")).encode("latin-1", "replace")
        return new if len(new) == len(value) else self.noise(value)

    def _shares(self, out: bytearray, at: int, end: int) -> None:
        while at + 4 <= end:
            size = int.from_bytes(out[at + 2 : at + 4])
            out[at + 4 : at + 4 + size] = self.noise(bytes(out[at + 4 : at + 4 + size]))
            at += 4 + size

    def _identities(self, out: bytearray, begin: int, end: int) -> None:
        stop = begin + 2 + int.from_bytes(out[begin : begin + 2])
        at = begin + 2
        while at + 2 <= stop:
            size = int.from_bytes(out[at : at + 2])
            out[at + 2 : at + 2 + size] = self.noise(bytes(out[at + 2 : at + 2 + size]))
            at += 2 + size + 4
        at = stop + 2
        while at < end:
            at = self._vector(out, at)

    def _ticket(self, out: bytearray, tls13: bool) -> None:
        at = 4
        if tls13:
            at = self._vector(out, 8)
        size = int.from_bytes(out[at : at + 2])
        out[at + 2 : at + 2 + size] = self.noise(bytes(out[at + 2 : at + 2 + size]))

    def _certificate(self, out: bytearray, tls13: bool) -> None:
        at = 1 + out[0] if tls13 else 0
        at += 3
        while at + 3 <= len(out):
            size = int.from_bytes(out[at : at + 3])
            begin, stop = at + 3, at + 3 + size
            new = self.certificates.substitute(bytes(out[begin:stop]))
            out[begin:stop] = new
            at = stop
            if tls13:
                size = int.from_bytes(out[at : at + 2])
                if size > 4:
                    out[at + 6 : at + 2 + size] = self.noise(bytes(out[at + 6 : at + 2 + size]))
                at += 2 + size
