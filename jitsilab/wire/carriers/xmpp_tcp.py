"""XMPP over TCP (RFC 6120): one XML stream in each direction, in clear or as the plaintext of TLS."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jitsilab.protocols import xml_stream, xmpp
from jitsilab.wire.carriers.model import Frames, Notes
from jitsilab.wire.carriers.streams import Cursor
from jitsilab.wire.flows import ByteStream

HEADER = re.compile(rb"\s*(?:<\?xml[^>]{0,256}\?>)?\s*<(?:\w{1,64}:)?stream[\s>]")
ELEMENT = re.compile(rb"<(?:iq|message|presence|r|a|stream:features|stream:error)[\s/>]")
_STANZA = re.compile(rb"<(?:iq|message|presence)\s[^<>]{0,4096}?>")
CLOSE = f"<close xmlns='{xmpp.FRAMING}'/>"  # how RFC 7395 writes </stream:stream>, which is no XML by itself
_UNKNOWN = f"<stream:stream xmlns='{xmpp.CLIENT}' xmlns:stream='{xmpp.STREAM}'>".encode()


@dataclass(frozen=True, slots=True)
class Read:
    """A stanza or stream element of one direction."""

    xml: str
    start: int  # offset in the stream
    end: int
    frames: Frames


def begins(stream: ByteStream, *, late: bool = False) -> bool:
    """Whether a stream is XMPP: it has a stream header, or begins where a stanza does; ``late`` inside one."""
    pieces = stream.pieces
    if not pieces:
        return False
    data = pieces[0].data
    if HEADER.match(data[:1024]):
        return xmpp.STREAM.encode() in data[:4096]
    return bool((late or ELEMENT.match(data[:64].lstrip())) and _STANZA.search(data, 0, 1 << 16))


def elements(stream: ByteStream, notes: Notes, start: int = 0) -> Iterator[Read]:
    """Stream headers, elements and ends of one direction from an offset on, in order; an end is given as ``CLOSE``.

    After missing bytes reading goes on at the next element that could be a child of the stream; namespaces are then
    those of the last header, or jabber:client where none was seen. Within a run of bytes nothing follows what is not
    XML: the receiver closes such a stream (RFC 6120 section 4.9.3.13).
    """
    cursor = Cursor(stream, start)
    context = b""
    fresh = cursor.offset == start and getattr(stream, "from_start", True)  # a header must come first
    while not cursor.done:
        data = cursor.data[cursor.at :] if cursor.at else cursor.data
        base = cursor.offset
        skipped = 0
        if not HEADER.match(data[:1024]) and not fresh:
            match = ELEMENT.search(data)
            if not match:
                break
            skipped = match.start()
            context = context or _UNKNOWN
            if skipped and data[:skipped].strip():
                notes.add(cursor.frame(), "XMPP", base, f"{skipped} bytes before the first whole element")
            data = data[skipped:]
        else:
            context = b""
        fresh = False
        for part in xml_stream.split(data, context):
            begin, end = base + skipped + part.start, base + skipped + part.end
            frames = stream.span(begin, max(end, begin + 1))
            if part.kind == "open":
                context = part.xml[:-2] + b">"
                yield Read(part.xml.decode("utf-8", "replace"), begin, end, frames)
            elif part.kind == "element":
                yield Read(part.xml.decode("utf-8", "replace"), begin, end, frames)
            elif part.kind == "close":
                yield Read(CLOSE, begin, end, frames)
            else:
                notes.add(frames[1], "XMPP", begin, part.message)
        cursor.at = len(cursor.data)
        end = cursor.offset
        missing = cursor.skip()
        if missing:
            notes.add(stream.span(end - 1, end)[1], "XMPP", end, f"{missing} bytes are missing")
