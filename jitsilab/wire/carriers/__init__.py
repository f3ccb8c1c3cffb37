"""What carries the signalling: HTTP, WebSocket, BOSH and XMPP over TCP, out of byte streams in clear or decrypted.

`build` looks at the content of every TCP flow, never at its port, and gives what it found with the frames it came in.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from jitsilab.errors import ParseError
from jitsilab.protocols import xml_stream, xmpp
from jitsilab.wire.carriers import bosh, http1, http2, merge, websocket, xmpp_tcp
from jitsilab.wire.carriers.merge import Conversation
from jitsilab.wire.carriers.model import Carried, Content, Exchange, Head, Message, Notes, Poll, Stanza
from jitsilab.wire.decrypt import Session
from jitsilab.wire.flows import ByteStream, Flow, Flows

__all__ = ["Carried", "Content", "Exchange", "Head", "Message", "Poll", "Stanza", "build"]

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
    for flow in wire.flows:
        if flow.transport == "tcp":
            builder.add(flow)
    return builder.finish()


class _Builder:
    """Takes flows one by one; stanzas are numbered and merged once all are there."""

    def __init__(self, wire: Floors) -> None:
        self.wire = wire
        self.carried = Carried()
        self.conversations: list[Conversation] = []
        self.websockets = 0

    def add(self, flow: Flow) -> None:
        """Read one TCP flow as whatever it carries."""
        session = self.wire.sessions.get(flow.number)
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
            side = _Side(self, flow.number, sent, received, straight, session is None, later, notes)
            side.h2 = session is not None and session.alpn == "h2"
            if side.run():
                break
        self.carried.problems += notes.problems

    def finish(self) -> Carried:
        """Number the conversations, keep each stanza once, and put all in the order of the frames."""
        carried = self.carried
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
        builder: _Builder,
        flow: int,
        sent: ByteStream,
        received: ByteStream,
        straight: bool,
        clear: bool,
        later: Session | None,
        notes: Notes,
    ) -> None:
        self.builder, self.flow, self.later, self.notes = builder, flow, later, notes
        self.sent, self.received = sent, received
        self.straight, self.clear = straight, clear
        self.h2 = False  # agreed on by ALPN
        self.late = not all(getattr(stream, "from_start", True) for stream in (sent, received))

    def run(self) -> bool:
        """Read the flow; False where it carries nothing that is known, asked from this end."""
        sent, received = self.sent, self.received
        if self.h2 or any(piece.data.startswith(http2.PREFACE) for piece in sent.pieces[:1]):
            for item in http2.exchanges(sent, received, self.notes, flow=self.flow, up=self.straight, clear=self.clear):
                if isinstance(item, http2.Tunnel):
                    self._websocket(item.exchange, item.sent, 0, item.received, 0)
                else:
                    self.builder.carried.http.append(item)
        elif xmpp_tcp.begins(sent) or xmpp_tcp.begins(received):
            self._xmpp()
        elif http1.begins(sent, http1.REQUEST) or (http1.begins(received, http1.RESPONSE)):
            for read in http1.exchanges(sent, received, self.notes, flow=self.flow, up=self.straight, clear=self.clear):
                if isinstance(read, http1.Upgrade):
                    self._websocket(read.exchange, sent, read.sent, received, read.received)
                else:
                    self.builder.carried.http.append(read)
        elif places := websocket.begins(sent, received, late=self.late):
            self._websocket(None, sent, places[0], received, places[1])
        elif self.late and (xmpp_tcp.begins(sent, late=True) or xmpp_tcp.begins(received, late=True)):
            self._xmpp()
        else:
            return False
        return True

    def _websocket(
        self, exchange: Exchange | None, sent: ByteStream, start: int, received: ByteStream, received_start: int
    ) -> None:
        """Messages of both directions, and the stanzas in them."""
        asked = exchange.request.fields if exchange and exchange.request else {}
        answered = exchange.response.fields if exchange and exchange.response else {}
        if exchange is not None and exchange.version != "2" and answered.get("upgrade", "").lower() != "websocket":
            return
        number = self.builder.websockets
        self.builder.websockets += 1
        subprotocol = answered.get("sec-websocket-protocol")
        client, server = websocket.agreed(answered.get("sec-websocket-extensions"))
        target = exchange.request.target if exchange and exchange.request else None
        key = asked.get("sec-websocket-key") or answered.get("sec-websocket-accept")
        opened = exchange is not None
        messages: list[Message] = []
        for from_client, stream, begin, deflate in (
            (True, sent, start, client),
            (False, received, received_start, server),
        ):
            ready = 0
            for read in websocket.messages(
                stream, begin, self.notes, masked=from_client, deflate=deflate, opened=opened
            ):
                if read.opcode in (websocket.PING, websocket.PONG):
                    continue  # they say nothing, and may be many
                ready = max(ready, read.frames[1])
                messages.append(
                    Message(
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
                )
        self.builder.carried.messages += messages
        names = {f"key {key}"} if key else set()
        talk = Conversation(self.flow, self.straight, "ws", names)
        for message in messages:
            if message.opcode == websocket.TEXT and (subprotocol or "xmpp").strip().lower() == "xmpp":
                for text in self._elements(message, known=subprotocol is not None):
                    talk.add(message.from_client, (message.first_frame, message.frame), self.clear, text)
        self._converse(talk)

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

    def _xmpp(self) -> None:
        """XMPP over TCP, and over TLS once both sides agreed to it (RFC 6120 section 5)."""
        talk = Conversation(self.flow, self.straight, "tcp")
        ends: dict[bool, int] = {}
        for from_client, stream, last in ((False, self.received, "proceed"), (True, self.sent, "starttls")):
            if from_client and not ends:
                last = ""  # the server did not agree
            for read in xmpp_tcp.elements(stream, self.notes):
                talk.add(from_client, read.frames, self.clear, read.xml)
                if last and f"<{last}" in read.xml[:32] and xmpp.TLS in read.xml:
                    ends[from_client] = read.end
                    break
        if len(ends) == 2 and self.later is not None and self.later.decrypted:
            for from_client in (True, False):
                for read in xmpp_tcp.elements(self.later.plaintext(from_client == self.straight), self.notes):
                    talk.add(from_client, read.frames, False, read.xml)
        self._converse(talk)

    def _converse(self, talk: Conversation) -> None:
        """Keep a conversation, named by the ids that the server gave its streams."""
        for item in talk.items:
            if not item.from_client and item.xml[:16].lstrip("<").startswith(("open", "stream:stream", "stream")):
                try:
                    header = xmpp.header(xmpp.parse(item.xml))
                except ParseError:
                    continue
                if header and header.id:
                    talk.names.add(f"stream {header.id}")
        if talk.items:
            talk.items.sort(key=lambda item: item.ready)
            self.builder.conversations.append(talk)


def _speaks_xmpp(text: bytes) -> bool:
    try:
        return xmpp.parse(text).namespace in _XMPP
    except ParseError:
        return False


def _first(exchange: Exchange) -> int:
    """The frame in which an exchange began."""
    return min(head.frames[0] for head in (exchange.request, exchange.response) if head)
