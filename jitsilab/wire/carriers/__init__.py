"""What carries the signalling: HTTP, WebSocket, BOSH and XMPP over TCP, out of byte streams in clear or decrypted.

`build` looks at the content of every TCP flow, never at its port, and gives what it found with the frames it came in.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Protocol

from jitsilab.errors import ParseError, Problem
from jitsilab.protocols import xml_stream, xmpp
from jitsilab.wire.carriers import bosh, http1, http2, merge, websocket, xmpp_tcp
from jitsilab.wire.carriers.merge import Conversation
from jitsilab.wire.carriers.model import Carried, Content, Exchange, Head, Message, Notes, Poll, Stanza
from jitsilab.wire.decrypt import Session
from jitsilab.wire.flows import ByteStream, Flow, Flows

__all__ = ["Carried", "Content", "Exchange", "Head", "Load", "Message", "Notes", "Poll", "Stanza", "build", "each"]

_XMPP = frozenset((xmpp.CLIENT, xmpp.FRAMING, xmpp.SASL, xmpp.STREAM, xmpp.TLS, *xmpp.SM))


class Floors(Protocol):
    """What the carriers stand on: a `jitsilab.wire.Wire`."""

    @property
    def flows(self) -> Flows:
        """Flows with their byte streams."""
        ...

    @property
    def sessions(self) -> dict[int, Session]:
        """TLS sessions by flow."""
        ...

    def time(self, frame: int) -> int:
        """Nanoseconds since the epoch of a frame number."""
        ...


def build(wire: Floors) -> Carried:
    """All exchanges, messages and stanzas of a capture; never raises for what the capture holds."""
    builder = _Builder(wire)
    for item in each(wire, builder.carried.problems):
        builder.add(item)
    return builder.finish()


Load = Exchange | Message | Conversation | merge.Item


def each(wire: Floors, problems: list[Problem], numbers: Iterable[int] | None = None) -> Iterator[Load]:
    """What flows carry, one after the other: exchanges, WebSocket messages, and stanzas behind their conversation.

    ``numbers`` are those of the flows; without them all.

    Stanzas that BOSH carries are in their exchanges, and one that a proxy passed on is there twice. Nothing is kept.
    """
    connections = count()
    for flow in wire.flows if numbers is None else (wire.flows[number] for number in numbers):
        if flow.transport == "tcp":
            yield from _of_flow(wire, flow, connections, problems)


def _of_flow(wire: Floors, flow: Flow, connections: "count[int]", problems: list[Problem]) -> Iterator[Load]:
    """One TCP flow as whatever it carries."""
    session = wire.sessions.get(flow.number)
    later = session if session and any(session.start) else None  # TLS that follows clear text
    if later is not None:
        session = None
    if session is not None and not session.decrypted:
        return
    up: ByteStream = session.plaintext(True) if session else flow.stream(True)
    down: ByteStream = session.plaintext(False) if session else flow.stream(False)
    if not up.pieces and not down.pieces:
        return
    notes = Notes()
    # the side that asks is nearly always the flow's client; where the SYN is missing it may not be
    for sent, received, straight in ((up, down, True), (down, up, False)):
        side = _Side(connections, flow.number, sent, received, straight, session is None, later, notes)
        side.h2 = session is not None and session.alpn == "h2"
        if (yield from side.read()):
            break
    problems += notes.problems


class _Builder:
    """Takes things one by one; stanzas are numbered and merged once all are there."""

    def __init__(self, wire: Floors) -> None:
        self.wire = wire
        self.carried = Carried()
        self.conversations: list[Conversation] = []

    def add(self, item: Load) -> None:
        """Keep one thing."""
        if isinstance(item, merge.Item):
            self.conversations[-1].items.append(item)
        elif isinstance(item, Message):
            self.carried.messages.append(item)
        elif isinstance(item, Exchange):
            self.carried.http.append(item)
        else:
            self.conversations.append(item)

    def finish(self) -> Carried:
        """Number the conversations, keep each stanza once, and put all in the order of the frames."""
        carried = self.carried
        self.conversations = [talk for talk in self.conversations if talk.items]
        for talk in self.conversations:
            _named(talk)
        carried.http.sort(key=lambda exchange: _first(exchange))
        talks: list[tuple[int, list[Stanza], list[tuple[int | None, int]]]] = []
        for group in merge.groups(self.conversations, self.wire.time):
            rows = [
                Stanza(
                    talk.flow,
                    item.from_client == talk.up,
                    item.from_client,
                    *item.frames,
                    talk.carrier,
                    item.clear,
                    0,
                    item.ready,
                    item.xml,
                    copies,
                )
                for talk, item, copies in merge.merged(group)
            ]
            if rows:
                talks.append((rows[0].frame, rows, []))
        notes = Notes()
        for session in bosh.sessions(carried.http, notes):
            rows = [self._polled(element) for element in session.elements]
            begins = min(_first(carried.http[number]) for _, number in session.polls)
            talks.append((begins, rows, session.polls))
        carried.problems += notes.problems
        for number, (_, rows, polls) in enumerate(sorted(talks, key=lambda talk: talk[0])):
            carried.stanzas += [replace(row, connection=number) for row in rows]
            carried.polls += [Poll(number, rid, exchange) for rid, exchange in polls]
        carried.stanzas.sort(key=lambda stanza: stanza.ready)
        carried.messages.sort(key=lambda message: message.ready)
        carried.polls.sort(key=lambda poll: poll.exchange)
        carried.problems.sort(key=lambda problem: problem.frame)
        return carried

    def _polled(self, element: bosh.Element) -> Stanza:
        exchange = self.carried.http[element.exchange]
        up = exchange.up == element.from_client
        frames = element.frames
        return Stanza(
            exchange.flow, up, element.from_client, *frames, "bosh", exchange.clear, 0, frames[1], element.xml,
            element.copies,
        )  # fmt: skip


class _Side:
    """A flow read with one of its two ends as the one that asks."""

    def __init__(
        self,
        connections: "count[int]",
        flow: int,
        sent: ByteStream,
        received: ByteStream,
        straight: bool,
        clear: bool,
        later: Session | None,
        notes: Notes,
    ) -> None:
        self.connections, self.flow, self.later, self.notes = connections, flow, later, notes
        self.sent, self.received = sent, received
        self.straight, self.clear = straight, clear
        self.h2 = False  # agreed on by ALPN
        self.late = not all(getattr(stream, "from_start", True) for stream in (sent, received))

    def read(self) -> Generator[Load, None, bool]:
        """What the flow carries; False where it carries nothing that is known, asked from this end."""
        sent, received = self.sent, self.received
        if self.h2 or any(piece.data.startswith(http2.PREFACE) for piece in sent.pieces[:1]):
            for item in http2.exchanges(sent, received, self.notes, flow=self.flow, up=self.straight, clear=self.clear):
                if isinstance(item, http2.Tunnel):
                    yield from self._websocket(item.exchange, item.sent, 0, item.received, 0)
                else:
                    yield item
        elif xmpp_tcp.begins(sent) or xmpp_tcp.begins(received):
            yield from self._xmpp()
        elif http1.begins(sent, http1.REQUEST) or (http1.begins(received, http1.RESPONSE)):
            for read in http1.exchanges(sent, received, self.notes, flow=self.flow, up=self.straight, clear=self.clear):
                if isinstance(read, http1.Upgrade):
                    yield from self._websocket(read.exchange, sent, read.sent, received, read.received)
                else:
                    yield read
        elif places := websocket.begins(sent, received, late=self.late):
            yield from self._websocket(None, sent, places[0], received, places[1])
        elif self.late and (xmpp_tcp.begins(sent, late=True) or xmpp_tcp.begins(received, late=True)):
            yield from self._xmpp()
        else:
            return False
        return True

    def _websocket(
        self, exchange: Exchange | None, sent: ByteStream, start: int, received: ByteStream, received_start: int
    ) -> Iterator[Load]:
        """Messages of both directions, each followed by the stanzas in it."""
        asked = exchange.request.fields if exchange and exchange.request else {}
        answered = exchange.response.fields if exchange and exchange.response else {}
        if exchange is not None and exchange.version != "2" and answered.get("upgrade", "").lower() != "websocket":
            return
        number = next(self.connections)
        subprotocol = answered.get("sec-websocket-protocol")
        client, server = websocket.agreed(answered.get("sec-websocket-extensions"))
        target = exchange.request.target if exchange and exchange.request else None
        key = asked.get("sec-websocket-key") or answered.get("sec-websocket-accept")
        opened = exchange is not None
        talks = (subprotocol or "xmpp").strip().lower() == "xmpp"
        yield Conversation(self.flow, self.straight, "ws", {f"key {key}"} if key else set())
        for from_client, stream, begin, deflate in (
            (True, sent, start, client),
            (False, received, received_start, server),
        ):
            ready = spoken = 0
            for read in websocket.messages(
                stream, begin, self.notes, masked=from_client, deflate=deflate, opened=opened
            ):
                if read.opcode in (websocket.PING, websocket.PONG):
                    continue  # they say nothing, and may be many
                ready = max(ready, read.frames[1])
                message = Message(
                    self.flow,
                    from_client == self.straight,
                    from_client,
                    *read.frames,
                    read.opcode,
                    read.data,
                    target,
                    subprotocol,
                    self.clear,
                    number,
                    key,
                    read.offset,
                    ready,
                )
                yield message
                if read.opcode == websocket.TEXT and talks:
                    for text in self._elements(message, known=subprotocol is not None):
                        spoken = max(spoken, read.frames[1])
                        yield merge.Item(from_client, read.frames, spoken, self.clear, text)

    def _elements(self, message: Message, *, known: bool) -> Iterator[str]:
        """The elements in a WebSocket message (RFC 7395 section 3.3.3: one in each, and no other text)."""
        if not known and message.data.lstrip()[:1] != b"<":
            return
        has_parts = False
        for part in xml_stream.split(message.data, b"<frame>"):
            has_parts = True
            if part.kind == "element" and (known or _speaks_xmpp(part.xml)):
                yield part.xml.decode("utf-8", "replace")
            elif known and part.kind in ("refused", "broken", "note"):
                self.notes.add(message.frame, "XMPP", message.offset, part.message)
        if known and not has_parts and message.data.strip():
            self.notes.add(message.frame, "XMPP", message.offset, "a message without an element")

    def _xmpp(self) -> Iterator[Load]:
        """XMPP over TCP, and over TLS once both sides agreed to it (RFC 6120 section 5)."""
        yield Conversation(self.flow, self.straight, "tcp")
        ends: dict[bool, int] = {}
        ready = {True: 0, False: 0}

        def item(from_client: bool, read: xmpp_tcp.Read, clear: bool) -> merge.Item:
            ready[from_client] = max(ready[from_client], read.frames[1])
            return merge.Item(from_client, read.frames, ready[from_client], clear, read.xml)

        for from_client, stream, last in ((False, self.received, "proceed"), (True, self.sent, "starttls")):
            if from_client and not ends:
                last = ""  # the server did not agree
            for read in xmpp_tcp.elements(stream, self.notes):
                yield item(from_client, read, self.clear)
                if last and f"<{last}" in read.xml[:32] and xmpp.TLS in read.xml:
                    ends[from_client] = read.end
                    break
        if len(ends) == 2 and self.later is not None and self.later.decrypted:
            for from_client in (True, False):
                for read in xmpp_tcp.elements(self.later.plaintext(from_client == self.straight), self.notes):
                    yield item(from_client, read, False)


def _named(talk: Conversation) -> None:
    """Name a conversation by the ids that the server gave its streams, and put it in order."""
    for item in talk.items:
        if not item.from_client and item.xml[:16].lstrip("<").startswith(("open", "stream:stream", "stream")):
            try:
                header = xmpp.header(xmpp.parse(item.xml))
            except ParseError:
                continue
            if header and header.id:
                talk.names.add(f"stream {header.id}")
    talk.items.sort(key=lambda item: item.ready)


def _speaks_xmpp(text: bytes) -> bool:
    try:
        return xmpp.parse(text).namespace in _XMPP
    except ParseError:
        return False


def _first(exchange: Exchange) -> int:
    """The frame in which an exchange began."""
    return min(head.frames[0] for head in (exchange.request, exchange.response) if head)
