"""Jingle, COLIBRI or SDP as somebody pasted it: what it tells is where the other side was said to be.

The XML may stand inside a log or a console's line, be cut, or have lost its namespaces; then its candidates are read by
themselves.
"""

import re
from collections.abc import Iterator

from jitsilab.errors import LabError, Problem
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.json_text import decode
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows
from jitsilab.protocols import jingle, sdp
from jitsilab.protocols.description import Candidate, Jingle

LIMIT = 1 << 22  # bytes of a paste
MOST = 1000  # messages in it
_ACTION = re.compile(r"""\baction\s*=\s*["']([\w-]+)["']""")
_CANDIDATE = re.compile(r"<candidate\b([^>]{1,600})>")
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*["']([^"']{0,200})["']""")
_SDP = re.compile(r"^v=0\s*$", re.MULTILINE)
_SDP_LINE = re.compile(r"^(?:[a-z]=.*)$", re.MULTILINE)
_LINE = re.compile(r"(?:a=)?candidate:(\S{1,64}) (\d) (udp|tcp|UDP|TCP) (\d{1,12}) (\S{1,64}) (\d{1,5}) typ (\w+)")
_OFFERS = {"session-initiate", "transport-replace", "transport-info", "source-add"}
_SIGN = re.compile(rb"<jingle\b|<candidate\b[^>]*\bip=|^v=0\s*$|(?:^|\s)a=candidate:|urn:xmpp:jingle", re.MULTILINE)


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is a pasted description."""
    head = delivery.head
    sign = _SIGN.search(head)
    if not sign or b"\0" in head[:64]:
        return 0.0
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(
        (b"<iq", b"<jingle", b"<message", b"<body", b"<transport", b"<conference", b"v=0", b"a=", b"m=")
    ):
        return 0.8
    return 0.3  # inside something else, which may be known better


def open_(delivery: Delivery) -> "Pasted":
    """The description."""
    return Pasted(delivery)


class Pasted(Opened):
    """A source of events: the candidates, and what became of a session."""

    kind = "pasted"
    tables = frozenset({"events"})

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery, "times are not known")

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Events of the paste."""
        with self.delivery.open() as file:
            text = decode(file.read(LIMIT)).replace("\r\n", "\n")
        happenings = list(self._messages(text)) or list(self._bare(text))
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])

    def _messages(self, text: str) -> Iterator[Happening]:
        for number, (block, line) in enumerate(_jingles(text)):
            if number == MOST:
                self.problems.append(Problem(0, self.kind, 0, f"messages beyond the first {MOST} are left out"))
                return
            try:
                message = jingle.decode(block)
            except LabError:
                action = _ACTION.search(block)
                yield from self._bare(block, line, action[1] if action else "")
                continue
            self._know("sid", message.sid)
            yield from self._message(message, message.action, line)
        for block, line in _descriptions(text):
            try:
                message = sdp.decode(block)
            except LabError as error:
                self.problems.append(Problem(0, self.kind, 0, f"line {line}: {error}"))
                yield from self._bare(block, line, "session-initiate" if "actpass" in block else "session-accept")
                continue
            yield from self._message(message, message.action, line)

    def _message(self, message: Jingle, action: str, line: int) -> Iterator[Happening]:
        if action == "session-initiate":
            yield Happening("offer-sent", line=line)
        elif action == "session-accept":
            yield Happening("answer-received", line=line)
        elif action == "session-terminate":
            yield Happening("session-ended", line=line, value=(message.reason or "")[:80])
        seen = set()
        for content in message.contents:
            if content.transport is None:
                continue
            offer = action in _OFFERS or not action
            self._know("remote_ufrag" if offer else "local_ufrag", content.transport.ufrag)
            for candidate in content.transport.candidates:
                key = (candidate.address, candidate.port, candidate.type)
                if key not in seen:
                    seen.add(key)
                    yield self._candidate(candidate, offer, line)

    def _candidate(self, candidate: Candidate, offer: bool, line: int) -> Happening:
        self._know("offered" if offer else "address", candidate.address)
        port = "" if candidate.port is None else str(candidate.port)
        tcp = " tcp" if candidate.protocol in {"tcp", "ssltcp"} else ""
        event = "candidate-offered" if offer else "candidate-gathered"
        return Happening(event, line=line, value=candidate.address[:60],
                         detail=f"{port} {candidate.type}{tcp}".strip())  # fmt: skip

    def _bare(self, text: str, first: int = 1, action: str = "") -> Iterator[Happening]:
        """Candidates of a text that is no whole message: an offer, unless it says to be an answer."""
        offer = action in _OFFERS or not action
        seen: set[tuple[str, str, str]] = set()
        for match in _CANDIDATE.finditer(text):
            attributes = dict(_ATTRIBUTE.findall(match[1]))
            address, port, kind = attributes.get("ip", ""), attributes.get("port", ""), attributes.get("type", "")
            if address and (address, port, kind) not in seen and len(seen) < MOST:
                seen.add((address, port, kind))
                line = first + text.count("\n", 0, match.start())
                yield self._candidate(_made(address, port, kind, attributes.get("protocol", "")), offer, line)
        for match in _LINE.finditer(text):
            _, _, protocol, _, address, port, kind = match.groups()
            if (address, port, kind) not in seen and len(seen) < MOST:
                seen.add((address, port, kind))
                line = first + text.count("\n", 0, match.start())
                yield self._candidate(_made(address, port, kind, protocol), offer, line)

    def _know(self, name: str, value: str) -> None:
        if value:
            self.identity.setdefault(name, set()).add(value[:200])


def _made(address: str, port: str, kind: str, protocol: str) -> Candidate:
    number = int(port) if port.isdecimal() and len(port) < 6 else None
    return Candidate("", None, protocol.lower(), None, address, number, kind)


def _jingles(text: str) -> Iterator[tuple[str, int]]:
    """Elements ``jingle`` in a text, and the line of each; of one that was cut, what there is."""
    start = text.find("<jingle")
    while start >= 0:
        end = text.find("</jingle", start)
        end = len(text) if end < 0 else end + len("</jingle>")
        yield text[start:end], text.count("\n", 0, start) + 1
        start = text.find("<jingle", end)


def _descriptions(text: str) -> Iterator[tuple[str, int]]:
    """Session descriptions in a text: lines of the form ``x=...`` from one ``v=0`` to what is none."""
    starts = [match.start() for match in _SDP.finditer(text)][:MOST]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        block = []
        for line in text[start:end].split("\n"):
            if not _SDP_LINE.match(line.strip()):
                break
            block.append(line.strip())
        yield "\r\n".join(block) + "\r\n", text.count("\n", 0, start) + 1


KINDS: tuple[Kind, ...] = (
    Kind("pasted", "Jingle or SDP as pasted", frozenset({"events"}), recognise, open_),
)  # fmt: skip
