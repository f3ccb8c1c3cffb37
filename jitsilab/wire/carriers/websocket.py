"""WebSocket (RFC 6455) with permessage-deflate (RFC 7692), one direction of a connection at a time.

Both sides are read by the same code: whether frames are masked is expected, not required. After missing bytes reading
goes on at the next place where frames follow each other without contradiction.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from jitsilab.wire.carriers.model import Notes
from jitsilab.wire.carriers.streams import Cursor
from jitsilab.wire.flows import ByteStream

MAX_MESSAGE = 16 << 20  # bytes of one message
MAX_INFLATED = 256 << 20  # bytes that one direction may unfold to
SEARCH = 1 << 16  # bytes in which to look for a place to go on

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_TAIL = b"\x00\x00\xff\xff"  # what the sender leaves out (RFC 7692 section 7.2.1)


@dataclass(frozen=True, slots=True)
class Deflate:
    """permessage-deflate as it was agreed for one direction."""

    takeover: bool = True  # a message may refer to those before it


class Frame(NamedTuple):
    """The header of a frame (RFC 6455 section 5.2)."""

    final: bool
    compressed: bool  # RSV1
    reserved: int  # RSV2 and RSV3
    opcode: int
    mask: bytes  # four bytes, or none
    begin: int  # index of the payload
    end: int  # index after it


class Read(NamedTuple):
    """A message or control frame."""

    opcode: int
    data: bytes
    offset: int  # in the stream
    frames: tuple[int, int]


def header(data: bytes, at: int) -> Frame | None:
    """The frame header at an index; None where it is not all there."""
    if at + 2 > len(data):
        return None
    first, second = data[at], data[at + 1]
    length, begin = second & 0x7F, at + 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if begin + size > len(data):
            return None
        length = int.from_bytes(data[begin : begin + size], "big")
        begin += size
    mask = data[begin : begin + 4] if second & 0x80 else b""
    if second & 0x80 and len(mask) < 4:
        return None
    begin += len(mask)
    return Frame(first > 0x7F, bool(first & 0x40), first & 0x30, first & 0x0F, mask, begin, begin + length)


def plausible(frame: Frame, at: int, masked: bool | None = None) -> bool:
    """Whether a frame breaks no rule of RFC 6455 section 5: opcode, bits, shortest length, whole control frames."""
    length = frame.end - frame.begin
    short = frame.begin - at - len(frame.mask)  # 2, 4 or 10 bytes, by the length
    return (
        frame.opcode in _OPCODES
        and not frame.reserved
        and short == (2 if length < 126 else 4 if length < 65536 else 10)
        and length < 1 << 63
        and (masked is None or masked == bool(frame.mask))
        and (frame.opcode < 8 or (frame.final and length < 126 and not frame.compressed))
    )


def chain(data: bytes, at: int, masked: bool | None = None, *, enough: int = 3) -> bool:
    """Whether frames follow each other from here: ``enough`` of them, or up to exactly the end of the data."""
    count = 0
    while count < enough and at < len(data):
        frame = header(data, at)
        if frame is None or not plausible(frame, at, masked):
            return False
        count, at = count + 1, frame.end
    return count >= enough or (count > 0 and at == len(data))


def unmask(data: bytes, mask: bytes) -> bytes:
    """Undo the mask of a frame (RFC 6455 section 5.3)."""
    if not mask or not data:
        return data
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def agreed(extensions: str | None) -> tuple[Deflate | None, Deflate | None]:
    """What the server's Sec-WebSocket-Extensions sets for the client's messages and for its own.

    Window sizes need no care: whoever reads with the largest window reads them all.
    """
    for offer in (extensions or "").split(","):
        name, *parameters = (part.strip().partition("=")[0].strip().lower() for part in offer.split(";"))
        if name == "permessage-deflate":
            client = Deflate("client_no_context_takeover" not in parameters)
            return client, Deflate("server_no_context_takeover" not in parameters)
    return None, None


class _Inflater:
    """Messages of one direction, unfolded within bounds."""

    def __init__(self, takeover: bool) -> None:
        self._takeover = takeover
        self._window = b""
        self._inflate = zlib.decompressobj(-15)
        self._spent = 0
        self.broken = ""

    def message(self, data: bytes) -> bytes | None:
        """The message unfolded; None where it cannot be, and ``broken`` says why."""
        if self.broken:
            return None
        if not self._takeover:
            self._inflate = zlib.decompressobj(-15)
        out, size, rest = [], 0, data + _TAIL
        try:
            while rest:
                part = self._inflate.decompress(rest, 1 << 16)
                rest = self._inflate.unconsumed_tail
                size += len(part)
                self._spent += len(part)
                if size > MAX_MESSAGE or self._spent > MAX_INFLATED:
                    self.broken = f"compressed messages unfold to more than {min(self._spent, size)} bytes"
                    return None
                out.append(part)
                self._window = (self._window + part)[-32768:]
                if self._inflate.eof:  # a block marked as the last one (RFC 7692 section 7.2.3.4)
                    rest = self._inflate.unused_data
                    window = self._window if self._takeover else b"".join(out)[-32768:]
                    self._inflate = zlib.decompressobj(-15, zdict=window)
                    rest = b"" if rest in (_TAIL, _TAIL[1:], b"\x00" + _TAIL) else rest
        except zlib.error:
            self.broken = "a compressed message refers to bytes that are missing" if self._takeover else ""
            return None
        return b"".join(out)


def messages(
    stream: ByteStream, start: int, notes: Notes, *, masked: bool, deflate: Deflate | None = None, opened: bool = True
) -> Iterator[Read]:
    """Messages and control frames of one direction from an offset on, in order.

    ``opened`` is False where the stream begins in the middle of a connection: whether messages are compressed is then
    read from their own bits, as far as they unfold without what came before.
    """
    cursor = Cursor(stream, start)
    inflater = _Inflater(deflate.takeover if deflate else True)
    parts: list[bytes] = []
    begun: tuple[int, int, bool, int] | None = None  # opcode, offset, compressed, first frame
    size = 0
    while not cursor.done:
        data, at = cursor.data, cursor.at
        frame = header(data, at)
        good = frame is not None and plausible(frame, at) and not (frame.compressed and deflate is None and opened)
        if frame is None or not good or frame.end > len(data):
            begun, parts, size = None, [], 0
            if cursor.last and (frame is None or good):
                notes.add(cursor.frame(), "WebSocket", cursor.offset, "a frame does not end in the capture")
                return
            if deflate is not None and deflate.takeover and not inflater.broken:
                inflater.broken = "a compressed message may refer to bytes that are missing"
            if not _behind(cursor, frame if good else None, masked, notes):
                return
            continue
        cursor.at = frame.end
        first, last = cursor.frames(at, frame.end)
        offset = cursor.base + at
        payload = data[frame.begin : frame.end]
        if frame.opcode >= 8:
            yield Read(frame.opcode, unmask(payload, frame.mask), offset, (first, last))
            continue
        if frame.opcode != CONTINUATION:
            if begun is not None:
                notes.add(last, "WebSocket", offset, "a message begins before the last one has ended")
            begun, parts, size = (frame.opcode, offset, frame.compressed, first), [], 0
        elif begun is None:
            notes.add(last, "WebSocket", offset, "the rest of a message whose beginning is missing")
            continue
        size += len(payload)
        if size <= MAX_MESSAGE:
            parts.append(unmask(payload, frame.mask))
        if not frame.final:
            continue
        opcode, offset, compressed, first = begun
        whole: bytes | None = b"".join(parts)
        begun, parts = None, []
        if size > MAX_MESSAGE:
            notes.add(last, "WebSocket", offset, f"a message of {size} bytes, more than {MAX_MESSAGE}")
            inflater.broken = inflater.broken or ("a message was too large to unfold" if compressed else "")
            continue
        if compressed:
            whole = inflater.message(whole or b"")
            if whole is None:
                notes.add(last, "WebSocket", offset, inflater.broken or "a compressed message that does not unfold")
                continue
        yield Read(opcode, whole or b"", offset, (min(first, last), max(first, last)))


def _behind(cursor: Cursor, frame: Frame | None, masked: bool, notes: Notes) -> bool:
    """Go on after missing bytes or bytes that are no frame; False where there is nothing to go on with."""
    start, number = cursor.offset, cursor.frame()
    if frame is not None and frame.end > len(cursor.data):
        end = cursor.base + frame.end
        # the payload is cut, its length is known: where the rest of it was captured, its end is known too
        if not cursor.last and cursor.seek(end) and (chain(cursor.data, cursor.at, masked) or cursor.done):
            notes.add(number, "WebSocket", start, f"bytes are missing in a frame of {frame.end - frame.begin} bytes")
            return True
    elif frame is None and cursor.at < len(cursor.data):
        cursor.at += 1
    resumed = _search(cursor, masked)
    while not resumed and not cursor.last:
        cursor.skip()
        resumed = chain(cursor.data, 0, masked) or _search(cursor, masked)
    behind = cursor.offset - start if resumed else None
    notes.add(number, "WebSocket", start, f"{behind} bytes skipped" if behind else "no frame from here on")
    return resumed


def _search(cursor: Cursor, masked: bool, within: int = SEARCH) -> bool:
    """Go to the next index of this run where frames follow each other."""
    first = re.compile(rb"[\x01\x02\x81\x82\x88-\x8a\xc1\xc2\x41\x42]")
    stop = min(len(cursor.data), cursor.at + within)
    for match in first.finditer(cursor.data, cursor.at, stop):
        if chain(cursor.data, match.start(), masked, enough=4):
            cursor.at = match.start()
            return True
    return False


def begins(sent: ByteStream, received: ByteStream, *, late: bool = False) -> tuple[int, int] | None:
    """Offsets at which frames begin in a WebSocket that was open before the capture, or None; ``sent`` is its client's.

    Frames follow each other in both directions, masked in this one only, and a text message can be read. ``late`` says
    that a stream may begin inside a frame, so that its first bytes are no proof against it.
    """
    places: list[int] = []
    text = False
    for stream, masked in ((sent, True), (received, False)):
        cursor = Cursor(stream)
        data = cursor.data
        if not data:
            places.append(0)
            continue
        if not chain(data, 0, masked, enough=8) and not (late and _search(cursor, masked, 8192)):
            return None
        places.append(cursor.offset)
        text = text or _text(data, cursor.at)
    return (places[0], places[1]) if text else None


def _text(data: bytes, at: int) -> bool:
    """Whether one of the next frames is a whole text message."""
    for _ in range(8):
        frame = header(data, at)
        if frame is None or not plausible(frame, at) or frame.end > len(data):
            return False
        if frame.opcode == TEXT and frame.final and frame.end > frame.begin:
            if frame.compressed:
                return _Inflater(True).message(unmask(data[frame.begin : frame.end], frame.mask)) is not None
            try:
                unmask(data[frame.begin : frame.end], frame.mask).decode()
            except UnicodeDecodeError:
                return False
            return True
        at = frame.end
    return False
