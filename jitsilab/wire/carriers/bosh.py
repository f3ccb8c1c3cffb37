"""BOSH (XEP-0124, XEP-0206): stanzas in the bodies of HTTP requests and responses, whatever connection they took.

A session is named by its sid, a request by its rid. Both are the same in front of a proxy and behind it, and when a
request is sent again after a broken connection: such bodies are one.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from jitsilab.errors import ParseError
from jitsilab.protocols import xml_stream, xmpp
from jitsilab.wire.carriers.model import Content, Exchange, Frames, Notes

MAX_BODY = 8 << 20  # bytes of a body unfolded


@dataclass(frozen=True, slots=True)
class Element:
    """A stanza or stream element of a session, and the frames in which it was seen again."""

    exchange: int  # index of the exchange it is taken from
    from_client: bool
    frames: Frames
    xml: str
    copies: tuple[int, ...] = ()


@dataclass
class Session:
    """What one sid carried."""

    elements: list[Element] = field(default_factory=list)
    polls: list[tuple[int | None, int]] = field(default_factory=list)  # rid, exchange


@dataclass(frozen=True, slots=True)
class _Half:
    """One body: its attributes and the elements inside."""

    attributes: xmpp.Body
    frames: Frames
    elements: tuple[str, ...]


@dataclass
class _Poll:
    exchange: int
    request: _Half | None
    response: _Half | None

    @property
    def begins(self) -> int:
        return min(half.frames[0] for half in (self.request, self.response) if half)


def sessions(exchanges: list[Exchange], notes: Notes) -> Iterator[Session]:
    """The sessions that these exchanges carried, in the order of their first frames."""
    sessions: dict[str, dict[int | None, list[_Poll]]] = {}
    last: dict[int, str] = {}  # flow: the session that used it last
    for number, exchange in enumerate(exchanges):
        request, response = _half(exchange.sent, notes), _half(exchange.received, notes)
        if request is None and response is None:
            continue
        named = [half.attributes.sid for half in (request, response) if half and half.attributes.sid]
        rid = request.attributes.rid if request else None
        sid = named[0] if named else last.get(exchange.flow, f"\0{exchange.flow}") if request is None else f"\0{rid}"
        last[exchange.flow] = sid
        sessions.setdefault(sid, {}).setdefault(rid, []).append(_Poll(number, request, response))
    for polls in sorted(sessions.values(), key=lambda by_rid: min(p.begins for same in by_rid.values() for p in same)):
        yield _session(polls)


def _session(polls: dict[int | None, list[_Poll]]) -> Session:
    session = Session()
    for rid, seen in polls.items():
        same = sorted(seen, key=lambda poll: poll.begins)
        groups = [same] if rid is not None else [[poll] for poll in same]  # without a request nothing says what is same
        for group in groups:
            session.polls.append((rid, group[0].exchange))
            session.elements += _merged([(p.exchange, p.request) for p in group], True)
            session.elements += _merged([(p.exchange, p.response) for p in group], False)
    session.elements.sort(key=lambda element: element.frames[1])
    session.polls.sort(key=lambda poll: poll[1])
    return session


def _merged(group: list[tuple[int, _Half | None]], from_client: bool) -> Iterator[Element]:
    """One body seen several times; what is given is the first, which is the outermost."""
    seen = [(exchange, half) for exchange, half in group if half is not None]
    if not seen:
        return
    exchange, first = seen[0]
    copies = tuple(half.frames[1] for _, half in seen[1:] if half.elements == first.elements)
    for text in first.elements:
        yield Element(exchange, from_client, first.frames, text, copies)
    for other, half in seen[1:]:
        # an answer may differ where the first connection broke: then nothing is the same
        if half.elements != first.elements:
            for text in half.elements:
                yield Element(other, from_client, half.frames, text)


def _half(content: Content, notes: Notes) -> _Half | None:
    """A body as XML, or None where it is no BOSH body."""
    data = content.data
    if data[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        unfolded = _unfold(data)
        if unfolded is None:
            notes.add(
                content.frames[1], "BOSH", 0, f"a compressed body that does not unfold to {MAX_BODY} bytes or less"
            )
            return None
        data = unfolded
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"<") or b"body" not in start[:1024]:
        return None
    attributes: xmpp.Body | None = None
    elements: list[str] = []
    for part in xml_stream.split(data, default=xmpp.CLIENT):  # many leave the namespace out (XEP-0206 section 2)
        if attributes is None and part.kind in ("open", "element"):
            try:
                head = xmpp.parse(part.xml)
            except ParseError:
                return None
            attributes = xmpp.body(head)
            if attributes is None:
                return None
            if attributes.creates or attributes.restarts or attributes.type:
                elements.append(part.xml.decode("utf-8", "replace"))
        elif part.kind == "element":
            elements.append(part.xml.decode("utf-8", "replace"))
        elif part.kind in ("refused", "broken", "note") and (attributes or xmpp.BOSH.encode() in start):
            notes.add(content.frames[1], "BOSH", part.start, part.message)
    return _Half(attributes, content.frames, tuple(elements)) if attributes else None


def _unfold(data: bytes) -> bytes | None:
    """A gzip or deflate body (RFC 9110 section 8.4.1), within bounds."""
    inflate = zlib.decompressobj(47)
    try:
        out = inflate.decompress(data, MAX_BODY)
    except zlib.error:
        return None
    return None if inflate.unconsumed_tail else out
