"""HTTP/2 (RFC 9113), rewritten and framed anew: header blocks are unfolded and folded again, as are bodies."""

from collections.abc import Iterator

from hpack import Decoder, Encoder, HPACKError

from jitsilab.sharing.layout import Block
from jitsilab.sharing.talk import Talk

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PUSH, _CONTINUATION = 0, 1, 5, 9
_LONGEST = 16384
_SECRET = frozenset((b"authorization", b"cookie", b"set-cookie", b"x-api-key"))


class Frames:
    """One direction of a connection."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self._decoder: Decoder | None = Decoder(max_header_list_size=1 << 20)
        self._decoder.max_allowed_table_size = 1 << 20
        self._encoder = Encoder()
        self._block = b""  # a header block that goes on
        self._pending = 0  # bytes of the stream that it took
        self._codings: dict[int, bytes] = {}
        self._tunnels: dict[int, Talk] = {}  # a WebSocket in a stream (RFC 8441)

    def rewrite(self, data: bytes) -> Iterator[Block]:
        """A run of bytes without a hole."""
        at = 0
        if data.startswith(PREFACE):
            at = len(PREFACE)
            yield Block(at, PREFACE)
        while at + 9 <= len(data):
            size = int.from_bytes(data[at : at + 3])
            end = at + 9 + size
            if end > len(data):
                break
            kind, flags, stream = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9]) & 0x7FFFFFFF
            body = data[at + 9 : end]
            if kind in (_HEADERS, _PUSH, _CONTINUATION):
                block = self._headers(kind, flags, stream, body, end - at)
                if block is not None:
                    yield block
            elif kind == _DATA:
                yield Block(end - at, self._data(flags, stream, body))
            elif kind in (2, 3, 4, 6, 8):
                yield Block(end - at, data[at:end])
            elif kind == 7:
                yield Block(end - at, data[at : at + 17] + bytes(max(0, size - 8)))
            else:
                yield Block(end - at, data[at : at + 9] + bytes(size))
            at = end
        if at < len(data):
            left = len(data) - at + self._pending
            self._pending = 0
            yield Block(left, self.talk.messages.noise(data[at:]))

    def _headers(self, kind: int, flags: int, stream: int, body: bytes, size: int) -> Block | None:
        if kind != _CONTINUATION and flags & 8 and body:
            body = body[1 : len(body) - body[0]]
        if kind == _HEADERS:
            self._priority = b""
            if flags & 0x20:
                self._priority, body = body[:5], body[5:]
            self._opened = kind, flags, stream
            self._block = b""
        elif kind == _PUSH:
            self._priority, body = body[:4], body[4:]
            self._opened = kind, flags, stream
            self._block = b""
        self._block += body
        self._pending += size
        if not flags & 4:
            return None
        kind, first, stream = self._opened
        made = self._fold(stream)
        taken, self._pending = self._pending, 0
        out = bytearray()
        parts = [made[i : i + _LONGEST - 16] for i in range(0, max(len(made), 1), _LONGEST - 16)]
        for number, part in enumerate(parts):
            last = 4 if number == len(parts) - 1 else 0
            if not number:
                out += _frame(kind, (first & ~0x0C) | last, stream, self._priority + part)
            else:
                out += _frame(_CONTINUATION, last, stream, part)
        return Block(taken, bytes(out))

    def _fold(self, stream: int) -> bytes:
        fields: list[tuple[bytes, bytes]] = []
        if self._decoder is not None:
            try:
                fields = [(bytes(n), bytes(v)) for n, v in self._decoder.decode(self._block, raw=True)]
            except (HPACKError, ValueError, IndexError):
                self._decoder = None
        names = self.talk.wording.names
        out: list[tuple[bytes, bytes]] = []
        for name, value in fields:
            if name == b"content-length":
                continue  # a body may change its length
            if name == b"content-encoding":
                self._codings[stream] = value.lower()
            if name == b":protocol" or (name == b"sec-websocket-protocol"):
                self._tunnels.setdefault(stream, self._tunnel())
            if name in _SECRET:
                value = names.alike(value.decode("latin-1")).encode("latin-1")
            elif name not in (b":method", b":scheme", b":status"):
                value = self.talk.text(value)
            out.append((name, value))
        return bytes(self._encoder.encode(out)) if out else b""

    def _tunnel(self) -> Talk:
        made = Talk(self.talk.messages)
        made._inside = True
        return made

    def _data(self, flags: int, stream: int, body: bytes) -> bytes:
        if flags & 8 and body:
            body = body[1 : len(body) - body[0]]
        if stream in self._tunnels:
            new = b"".join(block.data for block in self._tunnels[stream].rewrite(body, first=False))
        elif self._codings.get(stream, b"") in (b"", b"identity"):
            new = self.talk.body(body, b"")
        else:
            new = self.talk.body(body, self._codings[stream]) if flags & 1 else self.talk.messages.noise(body)
        parts = [new[i : i + _LONGEST] for i in range(0, max(len(new), 1), _LONGEST)]
        out = bytearray()
        for number, part in enumerate(parts):
            out += _frame(_DATA, flags & 1 if number == len(parts) - 1 else 0, stream, part)
        return bytes(out)


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body
