"""HTTP/2 (RFC 9113) on a pair of byte streams, read by hyperframe and hpack: one exchange a stream.

Header compression remembers all that went before: once bytes are missing in one direction, its later headers are not
read, since what they would say could be wrong. Bodies still are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hpack import Decoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
)

from jitsilab.numerals import whole
from jitsilab.wire.carriers.http1 import MAX_CONTENT, MAX_HEAD, wanted
from jitsilab.wire.carriers.model import EMPTY, NOTHING, Content, Exchange, Frames, Head, Notes, kept
from jitsilab.wire.carriers.streams import Cursor, Spliced
from jitsilab.wire.flows import ByteStream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4
MAX_HEADERS = 64 << 20  # bytes of header fields that one direction may unfold to
MAX_TABLE = 1 << 20  # bytes of the dynamic table; what the other side allows is far less

_HEADERS = frozenset((1, 5, 9))  # HEADERS, PUSH_PROMISE, CONTINUATION

Fields = list[tuple[bytes, bytes]]


@dataclass
class _Half:
    """Request or response of one stream, while it is read."""

    pseudo: dict[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    frames: Frames = NOTHING
    body: Spliced | None = None
    headed: bool = False
    ended: bool = False

    def extend(self, frames: Frames) -> None:
        """Take in the frames of one more part."""
        if self.frames == NOTHING:
            self.frames = frames
        else:
            self.frames = min(self.frames[0], frames[0]), max(self.frames[1], frames[1])


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A WebSocket inside a stream (RFC 8441): its bytes in each direction."""

    exchange: Exchange
    sent: Spliced
    received: Spliced


class _Side:
    """One direction: its frames into halves of streams."""

    def __init__(self, stream: ByteStream, notes: Notes) -> None:
        self.cursor = Cursor(stream)
        self.stream = stream
        self.notes = notes
        self.halves: dict[int, _Half] = {}
        self.promised: dict[int, _Half] = {}
        self._decoder: Decoder | None = Decoder(max_header_list_size=MAX_HEAD)
        self._decoder.max_allowed_table_size = MAX_TABLE
        self._spent = 0
        self._block: tuple[int, bytearray, Frames, bool, bool] | None = None  # stream, data, frames, end, promise
        self._gapped: set[int] = set()
        self._gap = False

    def begin(self) -> None:
        """Where the beginning, a SETTINGS frame, was not captured, go to the first frame that was."""
        head = self.cursor.data[self.cursor.at :][:9]
        settings = head[3:4] == b"\x04" and not any(head[5:])
        if not self.cursor.done and not settings and _search(self.cursor):
            self._forget("the beginning is missing")

    def run(self) -> None:
        """Read the direction to its end."""
        cursor = self.cursor
        while not cursor.done:
            data, at = cursor.data, cursor.at
            if len(data) - at < 9:
                if not self._missing(0, "a frame header"):
                    return
                continue
            try:
                frame, length = Frame.parse_frame_header(memoryview(data)[at : at + 9])
            except HyperframeError as error:
                # a frame of a known type on a stream it must not be on; its length is still good
                frame, length = None, int.from_bytes(data[at : at + 3], "big")
                self._problem(f"not as HTTP/2 asks ({type(error).__name__})")
                if data[at + 3] in _HEADERS:
                    self._forget("a frame of headers is broken")
            end = at + 9 + length
            if end > len(data):
                headers = isinstance(frame, HeadersFrame | ContinuationFrame | PushPromiseFrame)
                if not self._missing(0 if headers else end, "a frame"):
                    return
                continue
            if frame is not None:
                try:
                    frame.parse_body(memoryview(data)[at + 9 : end])
                    self._take(frame, cursor.base + at, cursor.frames(at, end))
                except HyperframeError as error:
                    self._problem(f"not as HTTP/2 asks ({type(error).__name__})")
                    if isinstance(frame, HeadersFrame | ContinuationFrame | PushPromiseFrame):
                        self._forget("a frame of headers is broken")
            cursor.at = end

    def _problem(self, message: str) -> None:
        self.notes.add(self.cursor.frame(), "HTTP2", self.cursor.offset, message)

    def _missing(self, end: int, what: str) -> bool:
        """Go behind missing bytes: to the end of the frame, where that was captured. False where nothing is left."""
        cursor = self.cursor
        if cursor.last:
            self._problem(f"{what} does not end in the capture")
            return False
        self._problem(f"bytes are missing in {what}")
        self._gap = True
        if not end:
            self._forget("bytes are missing")
        if end and cursor.seek(cursor.base + end):
            return not cursor.done
        self._forget("bytes are missing")
        while not cursor.last:
            cursor.skip()
            if _search(cursor):
                return True
        self._problem("no frame can be found from here on")
        return False

    def _forget(self, why: str) -> None:
        if self._decoder is not None:
            self._problem(f"{why}: later headers of this direction cannot be read")
        self._decoder = None

    def _take(self, frame: Frame, offset: int, frames: Frames) -> None:
        number = frame.stream_id
        if isinstance(frame, DataFrame):
            half = self.halves.setdefault(number, _Half())
            half.extend(frames)
            half.body = half.body or Spliced(self.stream)
            start = offset + 9 + ("PADDED" in frame.flags)
            half.body.append(start, bytes(frame.data), after_gap=self._gap and number not in self._gapped)
            if self._gap:
                self._gapped.add(number)
            half.ended |= "END_STREAM" in frame.flags
        elif isinstance(frame, HeadersFrame | PushPromiseFrame):
            promise = isinstance(frame, PushPromiseFrame)
            number = frame.promised_stream_id if isinstance(frame, PushPromiseFrame) else number
            self._block = number, bytearray(frame.data), frames, "END_STREAM" in frame.flags, promise
            if "END_HEADERS" in frame.flags:
                self._headers()
        elif isinstance(frame, ContinuationFrame) and self._block is not None:
            number, block, first, ended, promise = self._block
            if len(block) + len(frame.data) > MAX_HEAD:
                self._block = None
                self._forget(f"headers of more than {MAX_HEAD} bytes")
                return
            block += frame.data
            self._block = number, block, (min(first[0], frames[0]), max(first[1], frames[1])), ended, promise
            if "END_HEADERS" in frame.flags:
                self._headers()

    def _headers(self) -> None:
        assert self._block is not None
        number, block, frames, ended, promise = self._block
        self._block = None
        half = (self.promised if promise else self.halves).setdefault(number, _Half())
        half.extend(frames)
        half.ended |= ended
        fields: Fields = []
        if self._decoder is not None:
            try:
                fields = [(bytes(n), bytes(v)) for n, v in self._decoder.decode(bytes(block), raw=True)]
            except (HPACKError, ValueError, IndexError) as error:
                self._forget(f"headers that do not unfold ({type(error).__name__})")
            self._spent += sum(len(n) + len(v) for n, v in fields)
            if self._spent > MAX_HEADERS:
                self._forget(f"headers unfold to more than {MAX_HEADERS} bytes")
        pseudo = {n[1:].decode("latin-1"): v.decode("latin-1") for n, v in fields if n.startswith(b":")}
        interim = pseudo.get("status", "").startswith("1")  # 100, 103: the response itself is still to come
        if not half.headed and fields and not interim:
            half.headed, half.pseudo = True, pseudo
            half.fields = kept([(n, v) for n, v in fields if not n.startswith(b":")])


_FIXED = {2: (5,), 3: (4,), 6: (8,), 8: (4,)}  # lengths of PRIORITY, RST_STREAM, PING, WINDOW_UPDATE
_FLAGS = {0: 0x09, 1: 0x2D, 2: 0, 3: 0, 4: 0x01, 5: 0x0C, 6: 0x01, 7: 0, 8: 0, 9: 0x04}


def _chain(data: bytes, at: int) -> bool:
    """Whether frames as RFC 9113 section 6 has them follow each other: three, or up to the end of the data."""
    for _ in range(3):
        if at == len(data):
            return True
        if at + 9 > len(data):
            return False
        length, kind, flags = int.from_bytes(data[at : at + 3], "big"), data[at + 3], data[at + 4]
        number = int.from_bytes(data[at + 5 : at + 9], "big")
        alone = kind in (4, 6, 7)  # SETTINGS, PING, GOAWAY belong to no stream, WINDOW_UPDATE to one or none
        good = kind in _FLAGS and not flags & ~_FLAGS[kind] and number < 1 << 31 and length <= 1 << 16
        if not good or length not in _FIXED.get(kind, (length,)) or (kind != 8 and alone != (number == 0)):
            return False
        at += 9 + length
    return True


def _search(cursor: Cursor) -> bool:
    """Go to the next index of this run where frames follow each other."""
    for at in range(cursor.at, min(len(cursor.data) - 9, cursor.at + (1 << 15))):
        if _chain(cursor.data, at):
            cursor.at = at
            return True
    return False


def exchanges(
    sent: ByteStream, received: ByteStream, notes: Notes, *, flow: int, up: bool, clear: bool
) -> Iterator[Exchange | Tunnel]:
    """Exchanges in the order of their stream numbers; a Tunnel comes after its exchange."""
    there, back = _Side(sent, notes), _Side(received, notes)
    if there.cursor.data.startswith(PREFACE):
        there.cursor.at = len(PREFACE)
    else:
        there.begin()
    back.begin()
    there.run()
    back.run()
    requests: dict[int, _Half] = {**there.halves, **back.promised}
    for number in sorted({*requests, *back.halves} - {0}):
        request, response = requests.get(number), back.halves.get(number)
        exchange = Exchange(
            flow,
            up,
            clear,
            "2",
            _head(request) if request else None,
            _head(response) if response else None,
            _content(request),
            _content(response),
            number,
        )
        yield exchange
        protocol = request.pseudo.get("protocol") if request else None
        if request and response and protocol == "websocket" and response.pseudo.get("status") == "200":
            yield Tunnel(exchange, request.body or Spliced(sent), response.body or Spliced(received))


def _head(half: _Half) -> Head:
    status = half.pseudo.get("status", "")
    fields = dict(half.fields)
    if "authority" in half.pseudo:
        fields["host"] = half.pseudo["authority"]
    number = whole(status, 3) if len(status) == 3 else None
    return Head(half.pseudo.get("method"), half.pseudo.get("path"), number, fields, half.frames)


def _content(half: _Half | None) -> Content:
    """The body, where it is whole and could be XML or JSON."""
    if half is None or half.body is None or not half.ended or not wanted(_pairs(half.fields)):
        return EMPTY
    pieces = half.body.pieces
    if len(pieces) != 1 or len(pieces[0].data) >= MAX_CONTENT:
        return EMPTY
    return Content(pieces[0].data, half.body.span(0, len(pieces[0].data)))


def _pairs(fields: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    return ((n.encode(), v.encode("utf-8", "replace")) for n, v in fields.items())


__all__ = ["PREFACE", "Tunnel", "exchanges"]
