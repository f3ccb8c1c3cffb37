"""A browser's console as people save or copy it: Chrome, Firefox, Safari, and Android's log of the app or a WebView."""

import contextlib
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from jitsilab.errors import Problem
from jitsilab.inputs.browser import heads, refusals
from jitsilab.inputs.browser.session import Session
from jitsilab.inputs.moments import SECOND
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows

NAME = "console"
TABLES = frozenset({"console", "events"})
CHUNK = 10_000  # rows handed over at once
LONGEST = 1 << 13  # bytes of a line that are read; the rest of it is skipped
HALF_A_DAY, DAY = 43_200, 86_400

#: what only a console writes, with how much it says
_SIGNS = (
    (re.compile(r"lib-jitsi-meet(?:\.min|\.e2ee-worker)?\.js"), 3),
    (re.compile(r"\[(?:modules/[\w/.]+\.(?:js|ts)|features/[\w/-]+)\]"), 3),
    (re.compile(r"\[(?:core|xmpp|rtc|stats|qc|app|misc|util):[\w.]+\]"), 3),
    (re.compile(r"\[(?:JitsiMeetJS|JitsiConference\w*|conference|connection|JitsiConnection)\.(?:js|ts)\]"), 3),
    (re.compile(r"WebSocket connection to '?wss?://\S+ failed"), 3),
    (re.compile(r"net::ERR_(?:CERT|SSL|CONNECTION|NAME|TIMED|HTTP)_?\w*", re.IGNORECASE), 3),
    (re.compile(r"\b(?:SEC_ERROR|SSL_ERROR|MOZILLA_PKIX_ERROR|NS_ERROR)_\w+"), 3),
    (re.compile(r"connection to the server at wss?://"), 3),
    (re.compile(r"^(?:XHR|Fetch)?\s?(?:GET|POST)\s?(?:https?|wss?)://\S+/(?:xmpp-websocket|http-bind|colibri-ws)"), 3),
    (re.compile(r"Failed to load resource: the server responded"), 3),
    (re.compile(r"Strophe (?:connecting|connfail|authfail|connected|disconnected)|Strophe: "), 3),
    (re.compile(r"ICE (?:checking|connected|failed|disconnected) (?:JVB|P2P)"), 3),
    (re.compile(r"\bReactNativeJS\b"), 3),
    (re.compile(r"(?:CONFERENCE|CONNECTION) FAILED: (?:conference|connection)\."), 3),
    (re.compile(r"connection\.(?:passwordRequired|otherError|droppedError|serverError)\b"), 3),
    (re.compile(r"^\[(?:Log|Error|Warning|Info|Debug)\] "), 1),
    (re.compile(r"ICE failed, .*about:webrtc"), 3),
    (re.compile(r"^\S+\.js(?:\?\S*)?:\d+ "), 1),
)  # fmt: skip
_SERVER = re.compile(  # what only the log of a server writes
    r"^(?:\S+\s+\| )?(?:JVB|Jicofo|Jibri|Jigasi) \d{4}-\d\d-\d\d |\[hz:|org\.jitsi\.(?:videobridge|jicofo)|"
    r"^\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:"
)
_ASKED = re.compile(r"(?:XHR|Fetch)?\s?(?:GET|POST)\s*(?:https?|wss?)://\S+\s*$")
_APP = re.compile(r"jitsi|ReactNativeJS", re.IGNORECASE)


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is a console, by its first lines."""
    head = delivery.head
    if not head.strip() or head.lstrip()[:1] in {b"{", b"<"} or b"\0" in head[:64]:
        return 0.0
    lines = head.decode("utf-8", errors="replace").splitlines()
    points = servers = known = 0
    for line in islice(lines, 1000):
        short = line[:600]
        if _SERVER.search(short):
            servers += 1
            continue
        worth = max((worth for pattern, worth in _SIGNS if pattern.search(short)), default=0)
        points += worth
        known += worth > 1
    if not known or servers > known:
        return 0.0
    return min(0.95, 0.5 + 0.1 * points)


def open_(delivery: Delivery) -> "Console":
    """The console."""
    return Console(delivery)


def lines(file: BinaryIO) -> Iterator[str]:
    """Lines of a file, each bounded; a line ends as every system ends it."""
    while piece := file.readline(LONGEST):
        whole = piece.endswith(b"\n")
        yield piece.decode("utf-8", errors="replace").rstrip("\r\n")
        while not whole and (rest := file.readline(LONGEST)):
            whole = rest.endswith(b"\n")


class Console(Opened):
    """A source of the tables console and events."""

    kind = NAME
    tables = TABLES

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of the console and its events, in one pass."""
        session, clock, app = Session(), Clock(), App()
        rows: list[tuple[Any, ...]] = []
        asked = ""  # a request of Firefox, whose status stands on the next line
        with self.delivery.open() as file:
            for number, line in enumerate(lines(file), start=1):
                if not line.strip():
                    continue
                head, seconds = clock.set(heads.split(line))
                if "console" in tables:
                    rows.append((head.time, head.level, head.module, head.text, self.input, number))
                if head.text.startswith("[HTTP/") and asked:
                    head = head._replace(text=f"{asked} {head.text}")
                asked = head.text if _ASKED.match(head.text) else ""
                for its, at, when in app.admit(head, number, seconds):
                    session.take(its, at, when)
                if len(rows) >= CHUNK:
                    yield Rows("console", rows)
                    rows = []
        if rows:
            yield Rows("console", rows)
        happenings = session.end()
        self.identity = session.identity
        self.note = clock.note
        if session.lost:
            self.problems.append(
                Problem(0, NAME, 0, f"{session.lost} events beyond the first {len(happenings)} are left out")
            )
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])


class Clock:
    """Sets each line's time: by the library's own stamp, by the browser's where another line tells its date."""

    def __init__(self) -> None:
        self._offset: float | None = None  # s to add to the browser's clock
        self._seconds = 0.0
        self._stamped = False

    def set(self, head: heads.Head) -> tuple[heads.Head, float]:
        """The line with its time, and a number of seconds that grows with time."""
        if head.time is not None:
            self._seconds, self._stamped = head.time / SECOND, True
            if head.clock is not None:
                self._offset = self._seconds - head.clock
        elif head.clock is not None and self._offset is not None:
            seconds = head.clock + self._offset
            if seconds < self._seconds - HALF_A_DAY:
                seconds += DAY
            self._seconds = seconds
            head = head._replace(time=int(seconds * 1000) * (SECOND // 1000))
        elif head.clock is not None:
            self._seconds = head.clock
        elif not self._stamped and "(TIME)" in head.text[:100]:  # ms since the page was opened
            with contextlib.suppress(ValueError):
                self._seconds = float(head.text[:300].rpartition(":")[2].removeprefix("\\t")) / 1000
        return head, self._seconds

    @property
    def note(self) -> str:
        """Whether the lines have dates."""
        return "" if self._stamped else "no line has a date: what happened when is not known"


class App:
    """Of Android's log, which all apps share, lets through what Jitsi's own process wrote."""

    def __init__(self) -> None:
        self._own: set[str] = set()
        self._held: dict[str, list[tuple[heads.Head, int, float]]] = {}

    def admit(self, head: heads.Head, line: int, seconds: float) -> Iterator[tuple[heads.Head, int, float]]:
        """The lines to read now: this one, or also earlier ones of the same process."""
        process = head.process
        if not process or process in self._own:
            yield head, line, seconds
        elif _APP.search(head.module) or _APP.search(head.text):
            if len(self._own) < 1000:
                self._own.add(process)
            yield from self._held.pop(process, [])
            yield head, line, seconds
        elif refusals.certificate(head.text) and len(self._held) < 1000:
            held = self._held.setdefault(process, [])
            if len(held) < 100:
                held.append((head, line, seconds))


KIND = Kind(NAME, "console of a browser, or log of the app", TABLES, recognise, open_)
