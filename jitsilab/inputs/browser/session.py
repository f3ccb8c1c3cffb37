"""What a console's lines mean, in the order of a session: the library's words of 2019 to today, and the browser's own.

A module and its text are matched, never the function in ``<...>``: it is minified anew in every build. Where a word
means something only after another (a socket that closes before it was opened), the order decides.
"""

import re
from collections.abc import Callable

from jitsilab.inputs.browser import refusals, tokens
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.browser.heads import Head, stem

_NICK = re.compile(r"using MUC nickname (\S+)")
_JOINING = re.compile(r"Join(?:ing|ed) MUC as ([^@\s/]+)@[^/\s]+/(\S+)")
_JABBER = re.compile(r"My Jabber ID: ([^\s/]+)")
_CHANNEL_URL = re.compile(r"colibri-ws/([^/\s?]+)/([^/\s?]+)/([^/\s?]+)")
_ENTERED = re.compile(r"entered ([^@\s/]+)@\S+?/(\S+)")
_LEFT = re.compile(r"do leave ([^@\s/]+)@\S+?/(\S+)")
_SID = re.compile(r"JingleSessionPC\[[^\]]{0,200}\bsid=([^\],\s]+)")
_ICE = re.compile(
    r"ICE (checking|connected|completed|failed|disconnected|closed)\b(?:\s+(JVB|P2P\? (?:true|false)|P2P))?"
)
_PC = re.compile(
    r"(?:(JVB|P2P) )?PC state is now (\w+) \(ICE state (\w+)\)|(?:\(TIME\) )?PC state is now (connected|failed)\b"
)
_NEW = re.compile(r"Create new TPC\[id=\d+,type=(\w+)\]")
_ENDED = re.compile(r"Session terminated\s+(\S*)\s*(.*)")
_STROPHE = re.compile(
    r"(?:^|\(TIME\) )Strophe (connecting|connected|connfail|authfail|disconnected|error|conntimeout)(?:\[([^\]]*)\])?"
)
_REQUEST = re.compile(r"Strophe: request id \S+ error (\d+) happened")
_ERRORED = re.compile(r"Strophe: request errored, status: (\d+)")
_CHANNEL = re.compile(
    r"(?:websocket|datachannel|WebSocket|Data) channel opened|data\.channel\.opened|"
    r"Bridge [Cc]hannel (?:has been )?opened"
)
_CLOSED = re.compile(r"Channel closed(?: by server)?(?:: (\d+))?")
_ERROR = re.compile(r"\"reason\":\"([\w-]{1,60})\"")
_STANZA = re.compile(r"<([a-z-]{3,40}) xmlns=\\?[\"']urn:ietf:params:xml:ns:xmpp-stanzas")
_ROOM = re.compile(r"\"roomJid\":\"([^@\"]+)@")
_FAILED = re.compile(r"CONFERENCE FAILED:\s*(conference\.[\w.]+)\s*(.{0,120})")
_DENIED = re.compile(r"(NotAllowedError|NotFoundError|NotReadableError|AbortError|SecurityError|OverconstrainedError|"
                     r"PermissionDeniedError|DevicesNotFoundError|TrackStartError|gum\.\w+)")  # fmt: skip
_RENDER = re.compile(r"\(TIME\) Render (audio|video)")
_TRACK = re.compile(r"\[id=\d+,type=JVB\] adding LocalTrack\[")

SOON = 2.0  # s: a socket that closes later than this after the handshake was in use (measured: 0.2 without the upgrade)
TURN_SPAN = 5.0  # s after ICE began in which a browser without an address in its line speaks of a relay
NEAR = 8  # lines behind a browser's own line that may still speak of the same attempt
KEPT = 100_000  # events of one console that are kept
#: what a conference request may be answered with when nobody is behind the focus's name
_NOBODY = {"service-unavailable", "remote-server-not-found", "remote-server-timeout", "item-not-found", "timeout",
           "recipient-unavailable"}  # fmt: skip
_GUM = {"gum.permission_denied": "NotAllowedError", "gum.not_found": "NotFoundError",
        "PermissionDeniedError": "NotAllowedError",
        "DevicesNotFoundError": "NotFoundError", "TrackStartError": "NotReadableError"}  # fmt: skip


class Session:
    """The state of what one console tells, and the events of it."""

    def __init__(self) -> None:
        self.events: list[Happening] = []
        self.identity: dict[str, set[str]] = {}
        self.lost = 0  # events beyond `KEPT`
        self._library = False  # whether the library ever spoke
        self._open = False  # signaling
        self._connecting: float | None = None  # s, where a connection is being made
        self._tried = False
        self._socket_error = False
        self._refused_at, self._refused_line, self._line = -10.0, -100, 0
        self._any_refusal = False
        self._channel = False
        self._left = False
        self._ice: dict[str, str] = {}
        self._secured: set[str] = set()  # kinds of connections whose DTLS is done
        self._checking = -100.0
        self._sources: int | None = None
        self._offer: Happening | None = None
        self._denied: list[Happening] = []
        self._address = ""  # with a token in it; only its times are read
        self._endpoint = ""
        self._begun = 0  # first event of the connection that is being made
        self._other_error: list[Happening] = []
        self._conference = ""
        self._room = ""
        self._giving_up = False
        self._told = 0
        self._seconds = 0.0

    def know(self, name: str, value: str) -> None:
        """Keep a name by which another source may speak of the same."""
        kept = self.identity.setdefault(name, set())
        if value and len(kept) < 1000:
            kept.add(value[:200])

    def add(self, event: str, head: Head, line: int, **more: object) -> Happening:
        """Keep an event; who it was of is put in as soon as it is known."""
        happening = Happening(event, time=head.time, line=line, by="place" if head.module != "browser" else "words")
        for name, value in more.items():
            setattr(happening, name, value)
        happening.room = happening.room or self._room
        happening.conference = happening.conference or self._conference
        if len(self.events) < KEPT:
            self.events.append(happening)
        else:
            self.lost += 1
        return happening

    def take(self, head: Head, line: int, seconds: float) -> None:
        """Take one line; ``seconds`` grows with time as far as the lines tell it."""
        self._seconds, self._line = seconds, line
        text = head.text
        if head.module != "browser" and head.module != "library":
            self._library = True
        if head.module in {"browser", "library"} or head.process:
            self._browser(head, line)
        name = stem(head.module)
        for words, take in self._WORDS:
            if words in text:
                take(self, head, line, name)

    def end(self) -> list[Happening]:
        """The events, when the last line was read."""
        if not any(each.event in _ENTRY for each in self.events):
            self.events += [each for each in self._other_error]
        self.events.sort(key=lambda each: each.line or 0)
        return self.events

    # -- names

    def _nick(self, head: Head, line: int, name: str) -> None:
        if (match := _NICK.search(head.text)) is not None:
            self._somebody(match[1])

    def _joining(self, head: Head, line: int, name: str) -> None:
        if (match := _JOINING.search(head.text)) is not None:
            self._room = match[1]
            self.know("room", match[1])
            self._somebody(match[2])

    def _somebody(self, endpoint: str) -> None:
        self.know("endpoint", endpoint)
        self._endpoint = endpoint
        for happening in self.events[self._begun :]:
            happening.participant = happening.participant or endpoint
            happening.room = happening.room or self._room

    # -- signaling

    def _strophe(self, head: Head, line: int, name: str) -> None:
        match = _STROPHE.search(head.text)
        if not match:
            return
        state, condition = match[1], match[2] or ""
        if state == "connecting":
            self._connecting, self._socket_error, self._tried = self._seconds, False, True
            self._left, self._begun = False, len(self.events)
        elif state == "connected":
            self._opened(head, line)
        elif state == "authfail":
            self._opened(head, line)
            self._token(head, line)
            value = {"not-authorized": "password", "not-allowed": "token"}.get(condition, "")
            self._once("login-refused" if value else "login-failed", head, line, value=value)
            self._ended()
        elif state == "connfail" and condition == "x-strophe-bad-non-anon-jid":
            self._opened(head, line)
            self._once("login-refused", head, line, value="guest")
            self._ended()
        elif state in {"connfail", "conntimeout", "error"} and self._connecting is not None:
            if condition == "host-unknown":
                self._opened(head, line)
                self.add("host-unknown", head, line)
            elif re.fullmatch(r"[a-z]+(?:-[a-z]+)+", condition) and not self._recently_refused():
                self._once("signaling-failed", head, line, detail=condition)
            elif self._socket_error and not self._recently_refused():
                self._once("signaling-failed", head, line, value="/xmpp-websocket")
            elif state == "conntimeout" and not self._recently_refused():
                self._once("signaling-failed", head, line, detail="timeout")
            self._connecting = None
        elif state == "disconnected":
            self._connecting = None

    def _opened(self, head: Head, line: int) -> None:
        if not self._open:
            self.add("signaling-opened", head, line, participant=self._endpoint)
        self._open, self._connecting = True, None

    def _ended(self) -> None:
        self._open, self._connecting = False, None

    def _socket(self, head: Head, line: int, name: str) -> None:
        if "Websocket error" in head.text:
            self._socket_error = True
        elif self._open:
            if not self._left:
                self.add("signaling-closed", head, line, value="websocket", participant=self._endpoint)
            self._ended()
        elif self._connecting is not None:
            if not self._socket_error and self._seconds - self._connecting <= SOON:
                self.add("signaling-refused", head, line, value="/xmpp-websocket", detail="no-upgrade")
            elif not self._recently_refused():
                self._once("signaling-failed", head, line, value="/xmpp-websocket")
            self._connecting = None

    def _bosh(self, head: Head, line: int, name: str) -> None:
        match = _REQUEST.search(head.text) or _ERRORED.search(head.text)
        if not match:
            return
        status = int(match[1])
        if self._open:
            if not self._left and status >= 400:
                self.add("signaling-closed", head, line, value=f"http-bind {status}", participant=self._endpoint)
                self._ended()
            return
        if status >= 400:
            if not self._recently_refused():
                self.add("signaling-refused", head, line, value="/http-bind", status=status)
            self._refuse()
            self._any_refusal = True
        elif status == 0 and not self._any_refusal:
            self._once("signaling-failed", head, line, value="/http-bind")

    def _dropped(self, head: Head, line: int, name: str) -> None:
        if self._open and not self._left:
            self.add("signaling-closed", head, line, value="dropped", participant=self._endpoint)
        self._ended()

    def _jabber(self, head: Head, line: int, name: str) -> None:
        if (match := _JABBER.search(head.text)) is not None:
            self._opened(head, line)
            self.know("jid", match[1])
            self.know("host", match[1].partition("@")[2])
            self.add("logged-in", head, line, value=match[1], participant=self._endpoint)

    def _connection_failed(self, head: Head, line: int, name: str) -> None:
        seen = {each.event for each in self.events}
        if "passwordRequired" in head.text and not seen & {"login-refused", "login-failed"}:
            self.add("login-failed", head, line)
        elif "otherError" in head.text or "serverError" in head.text:
            kept = Happening("signaling-failed", time=head.time, line=line, by="words", room=self._room)
            self._other_error = self._other_error or [kept]

    def _token(self, head: Head, line: int) -> None:
        if (why := tokens.refusal(self._address, head.time)) is not None:
            self._once("token-refused", head, line, value=why[0], detail=why[1], by="field")

    def _refuse(self) -> None:
        self._refused_at, self._refused_line = self._seconds, self._line

    def _recently_refused(self) -> bool:
        """Whether the browser told of it just now; its own lines may have no time, and stack lines stand between."""
        return self._seconds - self._refused_at <= SOON or self._line - self._refused_line <= NEAR

    def _once(self, event: str, head: Head, line: int, **more: object) -> None:
        """An event that a library tells several times for one attempt."""
        if any(each.event == event for each in self.events[self._begun :]):
            return
        self.add(event, head, line, **more)

    # -- focus, room

    def _request(self, head: Head, line: int, name: str) -> None:
        self.add("conference-requested", head, line, value=self._room, participant=self._endpoint)

    def _focus_error(self, head: Head, line: int, name: str) -> None:
        match = _ERROR.search(head.text)
        if not match or '"operation":"conference req' not in head.text:
            return
        if (room := _ROOM.search(head.text)) is not None:
            self._room = self._room or room[1]
        self._giving_up = True
        if match[1] in _NOBODY:
            self._once("focus-unavailable", head, line, value=match[1], participant=self._endpoint)
        elif match[1] == "not-authorized":
            pass  # a guest waits for the host: no fault

    def _focus_old(self, head: Head, line: int, name: str) -> None:
        self._once("focus-unavailable", head, line, participant=self._endpoint)
        self._told = line + 3  # the stanza is printed behind it, where it is

    def _condition(self, head: Head, line: int, name: str) -> None:
        """The condition of a stanza that follows: where the focus itself answered with another, it is there."""
        match = _STANZA.search(head.text)
        if not match or line > self._told:
            return
        for happening in [each for each in self.events if each.event == "focus-unavailable" and not each.value]:
            if match[1] in _NOBODY or "remote domains" in head.text:
                happening.value = match[1]
            else:
                self.events.remove(happening)

    def _gave_up(self, head: Head, line: int, name: str) -> None:
        if not self._giving_up:
            self._once("focus-unavailable", head, line, participant=self._endpoint)

    def _failed(self, head: Head, line: int, name: str) -> None:
        match = _FAILED.search(head.text)
        if not match:
            return
        word, more = match[1], match[2]
        if word == "conference.focusDisconnected":
            self._once("focus-unavailable", head, line, participant=self._endpoint)
        elif word == "conference.videobridgeNotAvailable":
            self._once("bridge-unavailable", head, line, value=word, participant=self._endpoint)
        elif (word == "conference.iceFailed" or "ICE fail" in more) and "failed" not in self._ice.values():
            self.add("ice-failed", head, line, participant=self._endpoint)
            self._ice["jvb"] = "failed"

    def _joined(self, head: Head, line: int, name: str) -> None:
        self.add("participant-joined", head, line, participant=self._endpoint)

    def _entered(self, head: Head, line: int, name: str) -> None:
        match = _ENTERED.search(head.text)
        if match and match[2] not in {"focus", self._endpoint}:
            self.add("participant-joined", head, line, participant=match[2], room=match[1])

    def _leave(self, head: Head, line: int, name: str) -> None:
        match = _LEFT.search(head.text)
        self._left = True
        self._stop_checking(head, line, *self._ice)
        if match:
            self.add("participant-left", head, line, participant=match[2], room=match[1])

    # -- session

    def _initiate(self, head: Head, line: int, name: str) -> None:
        self._sources = None
        self._offer = self.add("offer-sent", head, line, participant=self._endpoint)

    def _new(self, head: Head, line: int, name: str) -> None:
        if (match := _NEW.search(head.text)) is None:
            return
        kind = match[1].lower()
        self._ice.pop(kind, None)
        self._secured.discard(kind)
        if self._offer is not None:
            self._offer.detail, self._offer = kind, None
        if kind == "jvb":
            self._sources, self._channel = 0, False

    def _peer(self, head: Head, line: int, name: str) -> None:
        if self._offer is not None:
            self._offer.detail, self._offer = "p2p", None

    def _add_track(self, head: Head, line: int, name: str) -> None:
        if self._sources is not None and _TRACK.search(head.text):
            self._sources += 1

    def _accept(self, head: Head, line: int, name: str) -> None:
        kind = "p2p" if "session=P2P" in head.text else "jvb" if "session=JVB" in head.text else ""
        self.add("answer-received", head, line, participant=self._endpoint, detail=kind)
        if self._sources is not None and kind == "jvb" and (self._sources or self._denied):
            self.add("sources-announced", head, line, participant=self._endpoint, value=str(self._sources))
            self._sources = None

    def _terminated(self, head: Head, line: int, name: str) -> None:
        if (match := _ENDED.search(head.text)) is not None:
            reason = " ".join(each for each in match.groups() if each)[:80]
            kind = "p2p" if "session=P2P" in head.text else "jvb" if "session=JVB" in head.text else ""
            self._stop_checking(head, line, kind)
            self.add("session-ended", head, line, participant=self._endpoint, value=reason, detail=kind)

    def _stop_checking(self, head: Head, line: int, *kinds: str) -> None:
        for kind in kinds:
            if self._ice.get(kind) == "checking":
                self._ice[kind] = "closed"
                self.add("ice-ended", head, line, participant=self._endpoint, detail=kind)

    def _ids(self, head: Head, line: int, name: str) -> None:
        if (match := _SID.search(head.text)) is not None:
            self.know("sid", match[1])

    def _channel_url(self, head: Head, line: int, name: str) -> None:
        if (match := _CHANNEL_URL.search(head.text)) is not None:
            self._conference = match[2]
            self.know("conference", match[2])
            if self._endpoint in {"", match[3]}:
                self._somebody(match[3])

    def _ice_state(self, head: Head, line: int, name: str) -> None:
        match = _ICE.search(head.text)
        if not match or (name == "browser" and "(TIME)" not in head.text):
            return
        kind = "p2p" if match[2] in {"P2P", "P2P? true"} else "jvb"
        state = "connected" if match[1] == "completed" else match[1]
        before = self._ice.get(kind)
        if state == before:
            return
        self._ice[kind] = state
        if state == "checking":
            self._checking = self._seconds
        if state == "closed":
            if before == "checking":
                self.add("ice-ended", head, line, participant=self._endpoint, detail=kind)
            return
        self.add(f"ice-{state}", head, line, participant=self._endpoint, detail=kind)

    def _pc_state(self, head: Head, line: int, name: str) -> None:
        match = _PC.search(head.text)
        if not match:
            return
        kind, state, ice = (match[1] or "JVB").lower(), match[2] or match[4], match[3] or ""
        if state == "connected":
            self._secured.add(kind)
            self.add("dtls-done", head, line, participant=self._endpoint, detail=kind)
        elif state == "failed" and ice in {"connected", "completed"}:
            lost = kind in self._secured  # then it is the way that was lost
            self.add("ice-disconnected" if lost else "dtls-failed", head, line, participant=self._endpoint, detail=kind)

    # -- channel, media

    def _channel_opened(self, head: Head, line: int, name: str) -> None:
        if not self._channel and _CHANNEL.search(head.text):
            self._channel = True
            self.add("channel-opened", head, line, participant=self._endpoint)

    def _channel_closed(self, head: Head, line: int, name: str) -> None:
        match = _CLOSED.search(head.text)
        if not match or self._left:
            return
        code = match[1] or ""
        if code in {"1000", "1001"}:
            return
        if self._channel:
            self.add("channel-closed", head, line, participant=self._endpoint, value=code)
        elif not self._recently_refused():
            self.add("channel-failed", head, line, participant=self._endpoint, value=code)
        self._channel = False

    def _render(self, head: Head, line: int, name: str) -> None:
        if (match := _RENDER.search(head.text)) is not None:
            self.add("media-received", head, line, participant=self._endpoint, detail=match[1])

    def _media_denied(self, head: Head, line: int, name: str) -> None:
        match = _DENIED.search(head.text)
        if match and not any(each.value == _GUM.get(match[1], match[1]) for each in self._denied):
            self._denied.append(
                self.add("media-denied", head, line, participant=self._endpoint, value=_GUM.get(match[1], match[1]))
            )

    def _media_given(self, head: Head, line: int, name: str) -> None:
        for happening in self._denied:  # one device or none at first, and then another: no silence
            if happening in self.events:
                self.events.remove(happening)
        self._denied = []

    # -- the browser's own lines

    def _browser(self, head: Head, line: int) -> None:
        text = head.text
        if "jwt=" in text or "token=" in text:
            self._address = text[:20_000] or self._address
        if "ICE failed, " in text and "about:webrtc" in text:
            if "failed" not in self._ice.values():
                self._ice["jvb"] = "failed"
                self.add("ice-failed", head, line, participant=self._endpoint, by="words")
            return
        refusal = refusals.refusal(text)
        if refusal is None:
            return
        if refusal.certificate:
            self._certificate(refusal, head, line)
        elif refusal.role == "xmpp":
            self._signaling(refusal, head, line)
        elif refusal.role == "channel":
            self._channel_url(head, line, "")
            if refusal.status is not None:
                self.add("channel-refused", head, line, participant=self._endpoint, status=refusal.status)
                self._refuse()
            elif not self._recently_refused() and not self._left:
                self.add("channel-failed", head, line, participant=self._endpoint, detail=refusal.reason)
                self._refuse()
        elif refusal.role == "focus" and refusal.status is not None and refusal.status >= 500:
            self._once("focus-unavailable", head, line, status=refusal.status, participant=self._endpoint)

    def _signaling(self, refusal: refusals.Refusal, head: Head, line: int) -> None:
        self._tried = True
        if self._open:
            return  # a session that stood is lost or renewed: Strophe says which
        if refusal.status is not None:
            if not (self._recently_refused() and "http-bind" in refusal.path):
                self.add("signaling-refused", head, line, value=refusal.path, status=refusal.status)
            self._any_refusal = True
        elif not self._recently_refused():
            self._once("signaling-failed", head, line, value=refusal.path, detail=refusal.reason)
        self._refuse()

    def _certificate(self, refusal: refusals.Refusal, head: Head, line: int) -> None:
        if refusal.role in {"xmpp", "page"}:
            place = refusal.role
        elif refusal.role == "channel":
            place = "page"  # the same host and certificate, or a bridge's own web server
        elif refusal.role == "other":
            if self._library:
                return  # analytics, pictures, calendars: another server's certificate
            place = "page"
        elif self._open:
            place = "turn" if 0 <= self._seconds - self._checking <= TURN_SPAN else ""
        elif self._connecting is not None:
            place = "xmpp"
        else:
            place = "page" if not self._library or head.process else ""
        if any(
            each.event == "tls-refused" and (each.value, each.detail) == (refusal.certificate, place)
            for each in self.events
        ):
            return
        self.add("tls-refused", head, line, value=refusal.certificate, detail=place, participant=self._endpoint)
        self._refuse()
        self._any_refusal = True

    _WORDS: tuple[tuple[str, Callable[["Session", Head, int, str], None]], ...] = (
        ("using MUC nickname", _nick), (" MUC as ", _joining), ("My Jabber ID", _jabber),
        ("colibri-ws/", _channel_url), ("Strophe ", _strophe), ("Strophe: Websocket error", _socket),
        ("Strophe: Websocket closed unex", _socket), ("Strophe: request ", _bosh),
        ("XMPP connection dropped", _dropped),
        ("CONNECTION FAILED", _connection_failed), 
        ("connection.passwordRequired", _connection_failed), ("Sending conference request", _request),
        ("Strophe error", _focus_error), ("Focus error, retry", _focus_old), 
        ("xmpp-stanzas", _condition), ("giving up.", _gave_up),
        ("CONFERENCE FAILED", _failed), ("MUC joined", _joined), ("entered ", _entered), ("do leave ", _leave),
        ("received session-initiate", _initiate), ("Create new TPC", _new), ("as P2P", _peer),
        ("adding LocalTrack", _add_track),
        ("Sending session-accept", _accept), ("Session terminated", _terminated), ("sid=", _ids),
        ("ICE ", _ice_state), ("PC state is now", _pc_state), ("hannel opened", _channel_opened),
        ("channel.opened", _channel_opened), ("Channel closed", _channel_closed), ("(TIME) Render", _render),
        ("Failed to get access to local media", _media_denied), ("gum.", _media_denied),
        ("onUserMediaSuccess", _media_given),
    )  # fmt: skip


_ENTRY = {"signaling-refused", "signaling-failed", "signaling-opened", "tls-refused", "login-refused", "login-failed",
          "host-unknown"}  # fmt: skip
