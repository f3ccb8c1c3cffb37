"""What the carriers give: HTTP exchanges, WebSocket messages, XMPP stanzas, each with the frames it came in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from jitsilab.errors import Problem

Frames = tuple[int, int]  # first and last frame number; (0, 0) where nothing was captured
NOTHING: Frames = (0, 0)


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a request or a response, with the fields that anything here asks for."""

    method: str | None  # of a request
    target: str | None  # of a request, as it was sent: it may hold secrets
    status: int | None  # of a response
    fields: Mapping[str, str]  # names in lower case, of KEPT only
    frames: Frames  # of the whole message, body included


KEPT = frozenset(
    (
        "access-control-allow-origin",
        "connection",
        "content-encoding",
        "content-type",
        "host",
        "location",
        "origin",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "server",
        "strict-transport-security",
        "upgrade",
        "user-agent",
        "x-forwarded-for",
        "x-real-ip",
    )
)


def kept(fields: list[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The fields that are kept, names in lower case; what is said twice is joined as RFC 9110 section 5.3 allows."""
    joined: dict[str, str] = {}
    for name, value in fields:
        key = name.decode("latin-1").lower()
        if key in KEPT:
            text = value.decode("utf-8", "backslashreplace")[:8192]
            joined[key] = f"{joined[key]}, {text}"[:8192] if key in joined else text
    return MappingProxyType(joined)


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a message, kept where it could be XML or JSON, still coded as Content-Encoding says."""

    data: bytes
    frames: Frames


EMPTY = Content(b"", NOTHING)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response, over HTTP/1.1 or as one stream of HTTP/2; either may be missing."""

    flow: int
    up: bool  # the request went from the flow's client to its server
    clear: bool  # in clear on the wire; False where it was decrypted
    version: str  # "1.0", "1.1", "2"
    request: Head | None
    response: Head | None
    sent: Content = field(default=EMPTY, repr=False)  # body of the request
    received: Content = field(default=EMPTY, repr=False)  # body of the response
    stream: int = 0  # of HTTP/2


@dataclass(frozen=True, slots=True)
class Message:
    """A WebSocket message (RFC 6455 section 5.6) or close frame, unmasked and decompressed."""

    flow: int
    up: bool  # from the flow's client
    from_client: bool  # from the client of the WebSocket
    first_frame: int
    frame: int
    opcode: int  # 1 text, 2 binary, 8 close
    data: bytes = field(repr=False)
    target: str | None = field(repr=False)  # of the request that opened it; it may hold secrets
    subprotocol: str | None
    clear: bool
    connection: int  # number of the WebSocket connection
    key: str | None  # Sec-WebSocket-Key: names the connection on both sides of a proxy
    offset: int  # in the stream
    ready: int  # frame by which all that was sent before it had arrived too


@dataclass(frozen=True, slots=True)
class Stanza:
    """The text of a stanza or stream element, well-formed by itself."""

    flow: int
    up: bool  # from the flow's client
    from_client: bool  # from the client of the XMPP connection: c2s
    first_frame: int
    frame: int
    carrier: str  # ws, bosh, tcp
    clear: bool
    connection: int  # number of the XMPP connection, the same on both sides of a proxy
    ready: int  # frame by which all that was sent before it had arrived too: the order of the stanzas
    xml: str = field(repr=False)
    copies: tuple[int, ...] = ()  # last frames of the same stanza seen again, before or behind a proxy


@dataclass(frozen=True, slots=True)
class Poll:
    """A BOSH request and its response (XEP-0124), once for both sides of a proxy."""

    connection: int  # of the stanzas that it carried
    rid: int | None
    exchange: int  # index in Carried.http


@dataclass
class Carried:
    """All that the carriers found in a capture, each list in the order in which it could be read."""

    http: list[Exchange] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    stanzas: list[Stanza] = field(default_factory=list)
    polls: list[Poll] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Notes:
    """Problems of one flow; a flow of nothing but garbage is worth a few rows, not one for each byte."""

    LIMIT = 20  # of one protocol

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._count: Counter[str] = Counter()

    def add(self, frame: int, protocol: str, offset: int, message: str) -> None:
        """Keep one problem; past the limit only that there are more."""
        self._count[protocol] += 1
        if self._count[protocol] <= self.LIMIT:
            self.problems.append(Problem(frame, protocol, offset, message))
        elif self._count[protocol] == self.LIMIT + 1:
            self.problems.append(Problem(frame, protocol, offset, "more like these follow in this flow"))
