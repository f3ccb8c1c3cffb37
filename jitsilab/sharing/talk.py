"""What byte streams carry, rewritten and framed anew: HTTP/1.1, WebSocket, XMPP, STUN and TURN over TCP."""

import re
import zlib
from collections.abc import Iterator

from jitsilab.protocols import stun
from jitsilab.sharing.layout import Block
from jitsilab.sharing.messages import Messages
from jitsilab.wire.carriers import websocket

_REQUEST = re.compile(rb"[A-Z]{2,20} [^\s]{1,65536} HTTP/1\.[01]\r?\n")
_RESPONSE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]{0,1024}\r?\n")
_LENGTH = re.compile(rb"(?im)^(content-length:[ \t]*)(\d{1,18})")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:.*chunked")
_CODED = re.compile(rb"(?im)^content-encoding:[ \t]*([a-z-]+)")
_DEFLATE = re.compile(rb"(?im)^sec-websocket-extensions:.*permessage-deflate")
_SECRET_FIELD = re.compile(
    rb"(?im)^((?:authorization|cookie|set-cookie|x-api-key|proxy-authorization):[ \t]*)([^\r\n]+)"
)
_KEY_FIELD = re.compile(rb"(?im)^(sec-websocket-(?:key|accept):[ \t]*)([^\r\n]+)")
_PRINTED = bytes(range(32, 127)) + b"\r\n\t"
_STANZA = re.compile(rb">(?=<(?:iq|message|presence)[\s/>])")
_LINE = re.compile(rb"\n")
_PIECE = 1 << 12  # bytes of text at a time, and more up to where a stanza or a line ends
NOISE = 1 << 14  # bytes of noise at a time
_SAMPLE = 4096  # bytes that show whether a run is text
_LARGEST = 16 << 20  # bytes of one coded body or message that are unfolded


class Talk:
    """One direction of a connection."""

    def __init__(self, messages: Messages, *, upgraded: bool = False, deflate: bool = False) -> None:
        self.messages, self.wording = messages, messages.wording
        self.upgraded = upgraded  # the other side agreed to a WebSocket
        self.deflate = deflate
        self._inside = False  # a WebSocket runs
        self._inflater = zlib.decompressobj(-15)

    def rewrite(self, data: bytes, *, first: bool) -> Iterator[Block]:
        """A run of bytes without a hole."""
        at = 0
        while at < len(data):
            before = at
            for block in self._some(data, at, first=first and not at):
                at += block.size
                yield block
            if at == before:
                if _printable(data[at : at + _SAMPLE]):
                    yield from self._texts(data, at, _LINE)
                else:
                    yield from self.noise(data, at)
                return

    def _some(self, data: bytes, at: int, *, first: bool) -> Iterator[Block]:
        if self._inside:
            yield from self._websocket(data, at)
            return
        if _REQUEST.match(data, at) or _RESPONSE.match(data, at):
            yield from self._http(data, at)
        elif data[at : at + 1] == b"<" or data[at : at + 5] == b"<?xml":
            yield from self._texts(data, at, _STANZA)
        elif self._begins_turn(data, at, first=first):
            yield from self._turn(data, at)
        elif data[at + 6 : at + 10] == stun.COOKIE:
            yield from self._framed(data, at)
        elif websocket.chain(data, at) and not _printable(data[at : at + 16]):
            self._inside = True
            yield from self._websocket(data, at)
        elif match := next((m for m in (_REQUEST.search(data, at + 1), _RESPONSE.search(data, at + 1)) if m), None):
            yield Block(match.start() - at, self.rest(data[at : match.start()]))

    @staticmethod
    def _begins_turn(data: bytes, at: int, *, first: bool) -> bool:
        if data[at] < 0x40:
            return data[at + 4 : at + 8] == stun.COOKIE
        return data[at] < 0x80 and not first and not _printable(data[at : at + 64])

    def rest(self, data: bytes) -> bytes:
        """Bytes that are none of what is known here: text as text, all else as noise."""
        return self.text(data) if _printable(data) else self.messages.noise(data)

    def noise(self, data: bytes, at: int, end: int | None = None) -> Iterator[Block]:
        """Noise for the rest of a run, or up to an end, in pieces."""
        end = len(data) if end is None else min(end, len(data))
        for begin in range(at, end, NOISE):
            some = data[begin : min(begin + NOISE, end)]
            yield Block(len(some), self.messages.noise(some))

    def _texts(self, data: bytes, at: int, border: "re.Pattern[bytes]") -> Iterator[Block]:
        """Text for the rest of a run, in pieces that end at borders."""
        while at < len(data):
            match = border.search(data, at + _PIECE)
            begun = data.rfind(b"-----BEGIN", at, match.end()) if match else -1  # a key is replaced as a whole
            if match and begun >= 0 and (closed := data.find(b"-----END", begun)) >= match.end():
                match = border.search(data, closed)
            end = match.end() if match else len(data)
            yield Block(end - at, self.text(data[at:end]))
            at = end

    def text(self, data: bytes) -> bytes:
        """Text, whatever its characters."""
        return self.wording.text(data)

    # --- HTTP/1

    def _http(self, data: bytes, at: int) -> Iterator[Block]:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            yield Block(len(data) - at, self.head(data[at:]))
            return
        head, body = data[at : end + 4], end + 4
        status = _RESPONSE.match(head)
        if (status and status[1] == b"101") or (not status and self.upgraded and b"upgrade" in head.lower()):
            self._inside = True
            yield Block(len(head), self.head(head))
            return
        coded = _CODED.search(head)
        coding = coded[1].lower() if coded else b""
        if _CHUNKED.search(head):
            yield Block(len(head), self.head(head))
            yield from self._chunks(data, body, coding)
            return
        length = _LENGTH.search(head)
        size = int(length[2]) if length else 0
        if status and not length and status[1] not in (b"204", b"304", b"100"):
            size = len(data) - body
        if coding in (b"", b"identity") and b"\0" in data[body : min(body + size, body + _SAMPLE)]:
            yield Block(body - at, self.head(head))
            yield from self.noise(data, body, body + size)
            return
        whole = data[body : body + size]
        new = self.body(whole, coding)
        head = self.head(head)
        if length and len(whole) == size and not (status and not whole):
            head = _LENGTH.sub(lambda m: m[1] + str(len(new)).encode(), head, count=1)
        yield Block(end + 4 - at, head)
        yield Block(len(whole), new if len(whole) == size else new[: len(whole)].ljust(len(whole), b" "))

    def _chunks(self, data: bytes, at: int, coding: bytes) -> Iterator[Block]:
        parts: list[tuple[int, bytes]] = []  # bytes before, content
        begin = at
        while True:
            end = data.find(b"\r\n", at, at + 64)
            try:
                size = int(data[at:end].partition(b";")[0], 16) if end > 0 else -1
            except ValueError:
                size = -1
            if size < 0 or end + 4 + size > len(data):
                yield from self.noise(data, begin)
                return
            if not size:
                break
            parts.append((end + 4 + size - at, data[end + 2 : end + 2 + size]))
            at = end + 4 + size
        new = self.body(b"".join(content for _, content in parts), coding)
        for number, (before, content) in enumerate(parts):
            piece, new = (new, b"") if number == len(parts) - 1 else (new[: len(content)], new[len(content) :])
            yield Block(before, b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"")
        stop = data.find(b"\r\n\r\n", at)
        yield Block((stop + 4 if stop >= 0 else len(data)) - at, b"0\r\n\r\n")

    def head(self, head: bytes) -> bytes:
        """A start line with its fields."""
        names = self.wording.names
        head = _SECRET_FIELD.sub(lambda m: m[1] + names.alike(m[2].decode("latin-1")).encode("latin-1"), head)
        head = _KEY_FIELD.sub(lambda m: m[1] + names.alike(m[2].decode("latin-1")).encode("latin-1"), head)
        return self.text(head)

    def body(self, data: bytes, coding: bytes) -> bytes:
        """A body, unfolded and folded again where it is coded."""
        if not data:
            return data
        if coding in (b"gzip", b"deflate"):
            try:
                raw = zlib.decompressobj(47 if coding == b"gzip" or data[:1] == b"\x78" else -15).decompress(
                    data, _LARGEST
                )
            except zlib.error:
                return self.messages.noise(data)
            new = self._content(raw)
            packer = zlib.compressobj(6, zlib.DEFLATED, 31 if coding == b"gzip" else 15)
            return packer.compress(new) + packer.flush()
        return self.messages.noise(data) if coding not in (b"", b"identity") else self._content(data)

    def _content(self, data: bytes) -> bytes:
        return self.text(data) if b"\0" not in data[:_SAMPLE] else self.messages.noise(data)

    # --- WebSocket

    def _websocket(self, data: bytes, at: int) -> Iterator[Block]:
        begin, parts, opcode, packed = at, list[bytes](), 0, False
        mask = b""
        while at < len(data):
            frame = websocket.header(data, at)
            if frame is None or not websocket.plausible(frame, at) or frame.end > len(data):
                yield from self.noise(data, begin)
                return
            body = websocket_unmask(data[frame.begin : frame.end], frame.mask)
            if frame.opcode >= 8:
                new = body if frame.opcode == 8 and len(body) <= 2 else self.text(body) if len(body) < 100 else b""
                if parts:  # a control frame inside a message: moved before it
                    yield Block(0, _frame(0x80 | frame.opcode, new, frame.mask))
                else:
                    yield Block(frame.end - at, _frame(0x80 | frame.opcode, new, frame.mask))
                    begin = frame.end
                at = frame.end
                continue
            if not parts:
                opcode, packed, mask = frame.opcode, frame.compressed, frame.mask
            parts.append(body)
            at = frame.end
            if frame.final:
                yield Block(at - begin, self._message(opcode, b"".join(parts), mask, packed=packed))
                begin, parts = at, []
        if parts:
            yield from self.noise(data, begin)

    def _message(self, opcode: int, body: bytes, mask: bytes, *, packed: bool) -> bytes:
        if packed:
            try:
                raw = self._inflater.decompress(body + b"\0\0\xff\xff", _LARGEST)
            except zlib.error:
                return _frame(0x80 | opcode, self.messages.noise(body), mask)
            body = raw
        new = self.text(body) if opcode == 1 or _printable(body) else self.messages.noise(body)
        if packed:
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            new = (packer.compress(new) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        return _frame(0x80 | opcode | (0x40 if packed else 0), new, mask)

    # --- STUN

    def _turn(self, data: bytes, at: int) -> Iterator[Block]:
        """STUN and ChannelData one after the other (RFC 8656 section 12.4)."""
        while at + 4 <= len(data):
            size = int.from_bytes(data[at + 2 : at + 4])
            if data[at] < 0x40 and data[at + 4 : at + 8] == stun.COOKIE:
                end = at + 20 + size
                if end > len(data):
                    break
                yield Block(end - at, self.messages.stun_message(data[at:end]))
            elif 0x40 <= data[at] < 0x80:
                end = at + 4 + size
                if end > len(data):
                    break
                inside = self.messages.inner(data[at + 4 : end])
                pad = min(-size % 4, len(data) - end)
                yield Block(end + pad - at, data[at : at + 4] + inside + bytes(pad))
                end += pad
            else:
                break
            at = end
        if at < len(data):
            yield from self.noise(data, at)

    def _framed(self, data: bytes, at: int) -> Iterator[Block]:
        """Messages behind two bytes of length (RFC 4571)."""
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2])
            if end > len(data):
                break
            yield Block(end - at, data[at : at + 2] + self.messages.inner(data[at + 2 : end]))
            at = end
        if at < len(data):
            yield from self.noise(data, at)


def websocket_unmask(data: bytes, mask: bytes) -> bytes:
    """The payload of a frame, or, the other way round, what is sent of it."""
    if not mask or not data:
        return data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))


def _frame(first: int, body: bytes, mask: bytes) -> bytes:
    bit, size = (0x80 if mask else 0), len(body)
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8)
    return head + mask + websocket_unmask(body, mask)


def _printable(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    return len(sample.translate(None, _PRINTED)) * 10 < len(sample)
