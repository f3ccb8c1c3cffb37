"""HTTP/1.1 (RFC 9112) on a pair of byte streams, read by h11: exchanges, and where a connection changes its protocol.

Streams may begin in the middle, miss bytes or break the rules; reading goes on at the next line that starts a message.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import h11

from jitsilab.wire.carriers.model import EMPTY, Content, Exchange, Head, Notes, kept
from jitsilab.wire.carriers.streams import Cursor
from jitsilab.wire.flows import ByteStream

MAX_HEAD = 256 << 10  # bytes of a start line with its fields
MAX_CONTENT = 8 << 20  # bytes of a body that is kept

REQUEST = re.compile(rb"(?<![A-Z])([A-Z]{2,20}) ([^\s]{1,65536}) HTTP/(1\.[01])\r?\n")
RESPONSE = re.compile(rb"HTTP/(1\.[01]) (\d{3})(?: [^\r\n]{0,1024})?\r?\n")
_TEXT = re.compile(rb"xml|json|text/plain", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A connection that became another protocol: where its bytes begin in each direction."""

    exchange: Exchange
    sent: int  # offset in the stream of the client
    received: int  # in that of the server


@dataclass(frozen=True, slots=True)
class _Read:
    """One message as it was read."""

    head: Head
    version: str
    end: int  # offset in the stream after it
    content: Content = EMPTY
    switched: bool = False  # what follows is another protocol


class _Side:
    """The messages of one direction."""

    def __init__(self, stream: ByteStream, requests: bool, notes: Notes) -> None:
        self.cursor = Cursor(stream)
        self.requests = requests
        self.notes = notes
        self.loose = False  # whether messages may be missing
        self._pattern = REQUEST if requests else RESPONSE
        self._waiting: _Read | None = None

    def peek(self) -> _Read | None:
        """The next message, which stays the next one."""
        if self._waiting is None:
            self._waiting = self.next()
        return self._waiting

    def next(self, method: str = "GET") -> _Read | None:
        """The next message, or None at the end; ``method`` is that of the request a response belongs to."""
        if self._waiting is not None:
            read, self._waiting = self._waiting, None
            return read
        cursor = self.cursor
        while not cursor.done:
            if not self._pattern.match(cursor.data, cursor.at):
                self._resync()
                continue
            message = self._read(method)
            if message is not None:
                return message
        return None

    def _problem(self, begin: int, message: str) -> None:
        cursor = self.cursor
        self.notes.add(cursor.frames(begin, begin + 1)[1], "HTTP", cursor.base + begin, message)

    def _resync(self) -> None:
        """Go to the next line that starts a message."""
        cursor = self.cursor
        match = self._pattern.search(cursor.data, cursor.at)
        until = match.start() if match else len(cursor.data)
        if cursor.data[cursor.at : until].strip(b"\r\n"):  # empty lines before a message are no harm
            self.loose = True
            kind = "request" if self.requests else "response"
            self._problem(cursor.at, f"{until - cursor.at} bytes that begin no {kind}")
        if match:
            cursor.at = until
        else:
            self._gap()

    def _gap(self) -> None:
        """Go behind the bytes that are missing after this run."""
        cursor = self.cursor
        offset, frame = cursor.base + len(cursor.data), cursor.frames(len(cursor.data) - 1, len(cursor.data))[1]
        missing = cursor.skip()
        if missing:
            self.loose = True
            self.notes.add(frame, "HTTP", offset, f"{missing} bytes are missing")

    def _read(self, method: str) -> _Read | None:
        """Read the message at hand and go behind it; None where not even its first line can be read."""
        cursor, begin, data = self.cursor, self.cursor.at, self.cursor.data
        connection = _connection(self.requests, method)
        head: h11.Request | h11.Response | h11.InformationalResponse | None = None
        body: list[bytes] = []
        fed, step, size, content_begin, end = begin, 4096, 0, begin, -1
        closed = switched = False
        problem = "the message does not end in the capture"
        try:
            while end < 0:
                event = connection.next_event()
                if event is h11.NEED_DATA and fed < len(data):
                    connection.receive_data(data[fed : fed + step])
                    fed, step = min(fed + step, len(data)), 1 << 16
                elif event is h11.NEED_DATA and cursor.last and not closed:
                    connection.receive_data(b"")  # a response may end with the connection
                    closed = True
                elif isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                    continue
                elif isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                    head, content_begin = event, fed - len(connection.trailing_data[0])
                    switched = isinstance(event, h11.InformationalResponse)
                    end = content_begin if switched else end
                elif isinstance(event, h11.Data):
                    size += len(event.data)
                    if size <= MAX_CONTENT:
                        body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) or (event is h11.PAUSED and head is not None):
                    switched = event is h11.PAUSED  # the answer to CONNECT
                    end = fed - len(connection.trailing_data[0])
                else:
                    break
        except h11.RemoteProtocolError as error:
            problem = f"not as HTTP/1.1 asks: {_reason(error)}" if not closed else problem
        if head is None:
            self._problem(begin, problem)
            return self._start_line(begin)
        whole = end >= 0
        keep = whole and body and size <= MAX_CONTENT and wanted(head.headers)
        content = Content(b"".join(body), cursor.frames(content_begin, end)) if keep else EMPTY
        frames = cursor.frames(begin, end if whole else max(content_begin, min(fed, len(data))))
        method_, target, status = None, None, None
        if isinstance(head, h11.Request):
            method_, target = head.method.decode("latin-1"), head.target.decode("latin-1")
        else:
            status = head.status_code
        if whole:
            cursor.at = end
        else:
            self._problem(begin, problem)
            self._behind(begin, content_begin + _length(head.headers))
        fields = kept([(bytes(name), bytes(value)) for name, value in head.headers])
        version = head.http_version.decode()
        return _Read(Head(method_, target, status, fields, frames), version, cursor.offset, content, switched)

    def _behind(self, begin: int, end: int) -> None:
        """Go behind a message that breaks off: to ``end`` if that lies behind a gap, else to the next first line."""
        cursor = self.cursor
        self.loose = True
        if end > len(cursor.data) and not cursor.last and cursor.seek(cursor.base + end):
            return
        match = self._pattern.search(cursor.data, begin + 1)
        if match:
            cursor.at = match.start()
        else:
            cursor.at = len(cursor.data)
            self._gap()

    def _start_line(self, begin: int) -> _Read | None:
        """What the first line says, where the rest cannot be read."""
        cursor = self.cursor
        match = self._pattern.match(cursor.data, begin)
        if not match:
            self._behind(begin, 0)
            return None
        frames = cursor.frames(begin, match.end())
        if self.requests:
            method, target, version = (group.decode("latin-1") for group in match.groups())
            head = Head(method, target, None, kept([]), frames)
        else:
            version, status = (group.decode("latin-1") for group in match.groups())
            head = Head(None, None, int(status), kept([]), frames)
        self._behind(begin, 0)
        return _Read(head, version, cursor.offset)


def _connection(requests: bool, method: str) -> h11.Connection:
    """A connection that waits for one message."""
    if requests:
        return h11.Connection(h11.SERVER, MAX_HEAD)
    connection = h11.Connection(h11.CLIENT, MAX_HEAD)
    # the answer to any request may be 101; h11 takes it only where it was asked for
    fields = [("Host", "-"), ("Connection", "upgrade"), ("Upgrade", "-")]
    connection.send(h11.Request(method=method, target="/", headers=fields))
    connection.send(h11.EndOfMessage())
    return connection


def _reason(error: h11.RemoteProtocolError) -> str:
    """What h11 says without the bytes that it quotes: they may be a secret."""
    return re.split(r":| b['\"]| bytearray", str(error))[0]


def _length(fields: Iterable[tuple[bytes, bytes]]) -> int:
    return next((int(v) for n, v in fields if n == b"content-length" and v.isdigit() and len(v) < 19), 0)


def wanted(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body could hold what is looked for: XML or JSON."""
    return bool(_TEXT.search(next((v for n, v in fields if n == b"content-type"), b"xml")))


def exchanges(
    sent: ByteStream, received: ByteStream, notes: Notes, *, flow: int, up: bool, clear: bool
) -> Iterator[Exchange | Upgrade]:
    """Exchanges in the order of the requests; an Upgrade is the last thing given, after its exchange.

    A response is that of the oldest request without one (RFC 9112 section 9.3.2). One that was captured before its
    request belongs to a request that was not captured; where responses may be missing, a request that was followed by
    another before the response came has none.
    """
    requests, responses = _Side(sent, True, notes), _Side(received, False, notes)

    def exchange(request: _Read | None, response: _Read | None) -> Exchange:
        either = request or response
        return Exchange(
            flow,
            up,
            clear,
            either.version if either else "1.1",
            request.head if request else None,
            response.head if response else None,
            request.content if request else EMPTY,
            response.content if response else EMPTY,
        )

    while True:
        request = requests.peek()
        response = responses.next((request.head.method if request else None) or "GET")
        if response is None:
            break
        arrived = response.head.frames[0]
        if request is None or arrived < request.head.frames[0]:
            alone = exchange(None, response)
            yield alone
            if response.switched:
                yield Upgrade(alone, sent.pieces[0].offset if sent.pieces else 0, response.end)
                return
            continue
        requests.next()
        while responses.loose and (following := requests.peek()) and following.head.frames[1] < arrived:
            yield exchange(request, None)
            request = requests.next() or request
        both = exchange(request, response)
        yield both
        if response.switched:
            yield Upgrade(both, request.end, response.end)
            return
    while (request := requests.next()) is not None:
        yield exchange(request, None)


def begins(stream: ByteStream, pattern: re.Pattern[bytes]) -> bool:
    """Whether a stream holds a line that starts a message, at its beginning or soon after."""
    return any(pattern.search(piece.data, 0, 1 << 16) for piece in stream.pieces[:4])
