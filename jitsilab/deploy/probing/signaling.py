"""A participant's signaling as far as a check needs it: log in, ask, enter a room, be offered a session, leave."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol
from xml.etree.ElementTree import Element

from jitsilab.deploy.probing.reach import Deadline, Unreached, Web, WebSocket
from jitsilab.errors import LabError, ParseError
from jitsilab.numerals import whole
from jitsilab.protocols import xml
from jitsilab.protocols.xml import child, local, write

CLIENT, SASL, BIND = "jabber:client", "urn:ietf:params:xml:ns:xmpp-sasl", "urn:ietf:params:xml:ns:xmpp-bind"
FRAMING, HTTPBIND, BOSH = "urn:ietf:params:xml:ns:xmpp-framing", "http://jabber.org/protocol/httpbind", "urn:xmpp:xbosh"
FOCUS, MUC, EXTDISCO = "http://jitsi.org/protocol/focus", "http://jabber.org/protocol/muc", "urn:xmpp:extdisco:2"
INFO, JINGLE, ICE = "http://jabber.org/protocol/disco#info", "urn:xmpp:jingle:1", "urn:xmpp:jingle:transports:ice-udp:1"
_FEATURES = (  # what lib-jitsi-meet says of itself in disco#info, less what needs media
    JINGLE, ICE, "urn:xmpp:jingle:apps:rtp:1", "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:apps:dtls:0", "urn:ietf:rfc:5761", "urn:ietf:rfc:5888", "urn:ietf:rfc:4588",
    "http://jitsi.org/source-name", "http://jitsi.org/json-encoded-sources", "http://jitsi.org/rtp-mid-demux",
)  # fmt: skip


class LoginRefused(LabError):
    """The server does not let somebody without an account in: the mechanisms that it offers, or its reason."""


class Carrier(Protocol):
    """What carries stanzas."""

    def open(self, domain: str, deadline: Deadline) -> None:
        """Open or, after a login, restart the stream."""

    def send(self, text: str, deadline: Deadline) -> None:
        """Send one element."""

    def receive(self, deadline: Deadline) -> Element:
        """The next element."""

    def ready(self, seconds: float) -> bool:
        """Whether something can be received, or can within so many seconds."""

    def close(self) -> None:
        """End the stream."""


class OverWebSocket:
    """Stanzas over a WebSocket (RFC 7395)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def open(self, domain: str, deadline: Deadline) -> None:
        """Open or restart the stream."""
        self._socket.send(write("open", {"xmlns": FRAMING, "to": domain, "version": "1.0"}), deadline)

    def send(self, text: str, deadline: Deadline) -> None:
        """Send one element."""
        self._socket.send(text, deadline)

    def receive(self, deadline: Deadline) -> Element:
        """The next element."""
        return _parsed(self._socket.receive(deadline))

    def ready(self, seconds: float) -> bool:
        """Whether a message begins."""
        return self._socket.ready(seconds)

    def close(self) -> None:
        """End the stream."""
        with contextlib.suppress(LabError):
            self._socket.send(write("close", {"xmlns": FRAMING}), Deadline(1))
        self._socket.close()


class OverBosh:
    """Stanzas over HTTP requests (XEP-0124, XEP-0206), one at a time."""

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._rid = secrets.randbelow(1 << 40) + 1
        self.sid = ""
        self._waiting: list[Element] = []

    def open(self, domain: str, deadline: Deadline) -> None:
        """Open the session, or restart the stream in it."""
        if self.sid:
            self._post({"to": domain, "xmpp:restart": "true", "xmlns:xmpp": BOSH}, "", deadline)
        else:
            self._post(
                {"to": domain, "wait": "2", "hold": "1", "ver": "1.6", "content": "text/xml; charset=utf-8",
                 "xml:lang": "en", "xmpp:version": "1.0", "xmlns:xmpp": BOSH}, "", deadline,
            )  # fmt: skip

    def send(self, text: str, deadline: Deadline) -> None:
        """Send one element."""
        self._post({}, text, deadline)

    def receive(self, deadline: Deadline) -> Element:
        """The next element."""
        while not self._waiting:
            self._post({}, "", deadline)
        return self._waiting.pop(0)

    def ready(self, seconds: float) -> bool:
        """A server answers a poll after ``wait`` seconds at most."""
        return True

    def close(self) -> None:
        """End the session."""
        if self.sid:
            with contextlib.suppress(LabError):
                self._post({"type": "terminate"}, "", Deadline(2))

    def _post(self, attributes: dict[str, str], inner: str, deadline: Deadline) -> None:
        given = {"xmlns": HTTPBIND, "rid": str(self._rid), **({"sid": self.sid} if self.sid else {}), **attributes}
        self._rid += 1
        body = write("body", given, inner).encode()
        answer = self._web.request(self._url, deadline, method="POST", body=body, kind="text/xml; charset=utf-8")
        if answer.status != 200:
            raise Unreached(f"HTTP {answer.status}", f"http-{answer.status}")
        root = _parsed(answer.body)
        if local(root) != "body":
            raise Unreached("what answers is no BOSH", "protocol")
        if root.get("type") in ("terminate", "error"):
            raise Unreached(f"the session was ended: {root.get('condition') or 'no reason given'}", "closed")
        self.sid = self.sid or root.get("sid") or ""
        self._waiting += list(root)


def _parsed(text: str | bytes) -> Element:
    try:
        return xml.parse(text)
    except ParseError as error:
        raise Unreached(f"what answers is no XMPP ({error})", "protocol") from None


class Candidate(NamedTuple):
    """A transport address of the bridge, as the focus offers it."""

    address: str
    port: int
    protocol: str


class Offer(NamedTuple):
    """A session that the focus offers with a bridge behind it."""

    fragment: str
    password: str
    candidates: tuple[Candidate, ...]
    channel: str  # URL of the bridge channel over WebSocket, or empty


class Relay(NamedTuple):
    """A STUN or TURN service of XEP-0215."""

    kind: str  # stun, turn, turns
    host: str
    port: int
    transport: str
    username: str
    password: str


class Participant:
    """Somebody without an account, logged in."""

    def __init__(self, carrier: Carrier, domain: str, deadline: Deadline) -> None:
        """Log in. Raises LoginRefused, Unreached."""
        self._carrier, self.domain = carrier, domain
        self._number = 0
        carrier.open(domain, deadline)
        offered = [mechanism.text or "" for mechanism in self._features(deadline).iter(f"{{{SASL}}}mechanism")]
        if "ANONYMOUS" not in offered:
            raise LoginRefused(f"it wants an account ({', '.join(offered) or 'no mechanism offered'})")
        carrier.send(write("auth", {"xmlns": SASL, "mechanism": "ANONYMOUS"}), deadline)
        answer = self._next(deadline, lambda element: local(element) in ("success", "failure", "challenge"))
        if local(answer) != "success":
            reason = next((local(detail) for detail in answer if local(detail) != "text"), "no reason given")
            raise LoginRefused(f"the login was refused: {reason}")
        carrier.open(domain, deadline)
        self._features(deadline)
        bound = self.ask(None, "set", write("bind", {"xmlns": BIND}), deadline)
        jid = next((element.text for element in bound.iter(f"{{{BIND}}}jid")), None)
        if not jid:
            raise Unreached("the login gave no JID", "protocol")
        self.jid = jid

    def _features(self, deadline: Deadline) -> Element:
        return self._next(deadline, lambda element: local(element) == "features")

    def _next(self, deadline: Deadline, wanted: Callable[[Element], bool]) -> Element:
        for element in self._elements(deadline):
            if wanted(element):
                return element
        raise Unreached("the stream ended", "closed")

    def _elements(self, deadline: Deadline) -> Iterator[Element]:
        while True:
            element = self._carrier.receive(deadline)
            if local(element) == "close" or (local(element) == "error" and "streams" in element.tag):
                reason = ", ".join(local(part) for part in element)
                raise Unreached(f"the server ended the stream{': ' + reason if reason else ''}", "closed")
            if local(element) == "iq" and element.get("type") in ("get", "set"):
                self._answer(element, deadline)
            yield element

    def _answer(self, asked: Element, deadline: Deadline) -> None:
        """Answer what servers ask of a participant: who he is; all else is taken."""
        inner = ""
        if (query := child(asked, "query", INFO)) is not None:
            node = {"node": node} if (node := query.get("node")) else {}
            features = [write("feature", {"var": feature}) for feature in _FEATURES]
            inner = write("query", {"xmlns": INFO, **node}, *features)
        given = {"xmlns": CLIENT, "type": "result", "id": asked.get("id") or ""}
        sender = {"to": sender} if (sender := asked.get("from")) else {}
        self._carrier.send(write("iq", {**given, **sender}, inner), deadline)

    def ask(self, to: str | None, kind: str, inner: str, deadline: Deadline) -> Element:
        """One request; gives the answer, an error too."""
        self._number += 1
        identity = f"check-{self._number}"
        given = {"xmlns": CLIENT, "type": kind, "id": identity, **({"to": to} if to else {})}
        self._carrier.send(write("iq", given, inner), deadline)
        return self._next(
            deadline,
            lambda element: (
                local(element) == "iq" and element.get("id") == identity and element.get("type") in ("result", "error")
            ),
        )

    def relays(self, deadline: Deadline) -> list[Relay]:
        """STUN and TURN services (XEP-0215). Raises Unreached where the server has no such list."""
        answer = self.ask(self.domain, "get", write("services", {"xmlns": EXTDISCO}), deadline)
        if answer.get("type") == "error":
            raise Unreached(f"it lists none: {condition(answer)}", "protocol")
        relays = []
        for service in answer.iter(f"{{{EXTDISCO}}}service"):
            kind, host = service.get("type") or "", service.get("host") or ""
            if kind in ("stun", "turn", "turns") and host:
                port = whole(service.get("port"))
                port = port if port is not None else 5349 if kind == "turns" else 3478
                transport = service.get("transport") or ("tcp" if kind == "turns" else "udp")
                relays.append(
                    Relay(kind, host, port, transport, service.get("username") or "", service.get("password") or "")
                )
        return relays

    def conference(self, focus: str, room: str, deadline: Deadline) -> Element:
        """Ask the focus for a conference; gives its answer."""
        inner = write("conference", {"xmlns": FOCUS, "room": room, "machine-uid": secrets.token_hex(16)})
        return self.ask(focus, "set", inner, deadline)

    def enter(self, room: str, deadline: Deadline) -> str:
        """Enter a room; gives the own occupant's JID. Raises Unreached with the reason where it is shut."""
        own = f"{room}/{self.jid[:8]}"
        self._carrier.send(
            write(
                "presence", {"xmlns": CLIENT, "to": own}, write("x", {"xmlns": MUC}), write("SourceInfo", {}, text="{}")
            ),
            deadline,
        )
        answer = self._next(deadline, lambda element: local(element) == "presence" and element.get("from") == own)
        if answer.get("type") == "error":
            raise Unreached(f"the room is shut: {condition(answer)}", "protocol")
        return own

    def leave(self, occupant: str) -> None:
        """Leave a room."""
        with contextlib.suppress(LabError):
            self._carrier.send(write("presence", {"xmlns": CLIENT, "to": occupant, "type": "unavailable"}), Deadline(2))

    def waits(self, seconds: float) -> bool:
        """Whether something came, or came within so many seconds."""
        return self._carrier.ready(seconds)

    def next_offer(self, deadline: Deadline) -> Offer | str | None:
        """Read one element: an offer of a session with the bridge, why the focus has none, or None for all else."""
        element = next(self._elements(deadline))
        if element.find(f".//{{{FOCUS}}}bridgeNotAvailable") is not None:
            return "the focus says that it has no bridge"
        jingle = child(element, "jingle", JINGLE) if local(element) == "iq" else None
        return _offer(jingle) if jingle is not None and jingle.get("action") == "session-initiate" else None

    def end(self) -> None:
        """Log out."""
        self._carrier.close()


def _offer(jingle: Element) -> Offer | None:
    for transport in jingle.iter(f"{{{ICE}}}transport"):
        candidates = []
        for candidate in transport.iter(f"{{{ICE}}}candidate"):
            port = whole(candidate.get("port"))
            if port is not None and candidate.get("ip"):
                candidates.append(
                    Candidate(str(candidate.get("ip")), port, str(candidate.get("protocol") or "").lower())
                )
        sockets = [inner.get("url") or "" for inner in transport if local(inner) == "web-socket"]
        if candidates or transport.get("ufrag"):
            return Offer(
                transport.get("ufrag") or "",
                transport.get("pwd") or "",
                tuple(candidates),
                sockets[0] if sockets else "",
            )
    return None


def condition(answer: Element) -> str:
    """The condition of an error, as XMPP names it (RFC 6120 section 8.3)."""
    error = next((inner for inner in answer if local(inner) == "error"), None)
    if error is None:
        return "no reason given"
    return next((local(detail) for detail in error if local(detail) != "text"), "no reason given")


def offered(people: Sequence[Participant], deadline: Deadline) -> Offer | str:
    """Wait until one of several in a room is offered a session: the offer, or why the focus has none.

    Everybody's stream is read, since the focus asks each what he can. Raises Unreached where nothing comes in time.
    """
    while True:
        for person in people:
            if person.waits(0.1) and (offer := person.next_offer(deadline)) is not None:
                return offer
        deadline.left()
