"""What a kind of evidence is to the rest of the house: a name, a way to recognise it by content, the tables it gives.

A new kind is one module here and one line of `jitsilab.inputs.KINDS`. A delivery is how bytes came (a file, a member
of an archive, a stream); a source is what they are (a bridge's log). The two know nothing of each other.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from jitsilab.errors import Problem

HEAD = 1 << 16  # bytes by which a piece is recognised


class Delivery(Protocol):
    """Bytes as they were handed over, decompressed, readable from the start as often as needed."""

    input: str  # its name in every answer: the path given, or below the folder or archive that was given
    path: Path | None  # the plain file, where there is one: captures are mapped into memory

    def open(self) -> BinaryIO:
        """The bytes from the start."""
        ...

    @property
    def head(self) -> bytes:
        """The first `HEAD` bytes."""
        ...


class Rows(NamedTuple):
    """A chunk of one table: tuples in the order of its schema. A source hands over as many chunks as it likes."""

    table: str
    rows: Sequence[tuple[Any, ...]]


class Source(Protocol):
    """One piece of evidence that was recognised."""

    input: str
    kind: str  # of `jitsilab.inputs.KINDS`
    tables: frozenset[str]  # that it can show, even if they turn out empty

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of these of its tables, in one pass, in the order of the input."""
        ...

    @property
    def problems(self) -> list[Problem]:
        """What could not be read, known after `rows`."""
        ...

    @property
    def note(self) -> str:
        """What else is to be said of it in `inputs`: recognised and not judged, zone unknown, beginning missing."""
        ...


class Identified(Protocol):
    """A source that knows by which names another one speaks of the same session; optional, known after `rows`.

    Two sources are of one browser where they share an ``ufrag``, a ``sid``, an ``ssrc`` or an ``endpoint``; to lie in
    one folder proves nothing.
    """

    identity: dict[str, set[str]]  # by `NAMES`; a name that is not known has no entry


#: names by which sources are joined, and what each is
NAMES = {
    "endpoint": "endpoint ids: the occupant's name in the room; of a server's answer, of everybody in it",
    "nick": "display names",
    "stats_id": "the browser's own id, the same in all its calls",
    "jid": "JIDs that were logged in",
    "room": "rooms, without domain",
    "conference": "ids of the conference at the bridge, or its meeting id",
    "host": "host names or addresses of the page and the servers",
    "local_ufrag": "ICE fragments of the browser",
    "remote_ufrag": "ICE fragments of the bridge or the other browser",
    "address": "addresses of the browser, as it gathered them or a server saw them",
    "offered": "addresses of the bridge or the other browser",
    "sid": "Jingle session ids",
    "ssrc": "SSRCs that the browser sends",
    "stream": "SSRCs that it receives",
}


class Kind(NamedTuple):
    """A kind of evidence: a line of the registry."""

    name: str  # jvb-log, console, webrtc-internals, ...
    words: str  # for people: "log of the video bridge"
    tables: frozenset[str]
    recognise: Any  # (Delivery) -> float: 0 another kind, 1 certain; looks at ``head`` only
    open: Any  # (Delivery) -> Source


class Opened:
    """What every source of one delivery holds; a base for those that are read in one pass."""

    kind: str
    tables: frozenset[str]

    def __init__(self, delivery: Delivery, note: str = "") -> None:
        self.delivery = delivery
        self.input = delivery.input
        self.note = note
        self.problems: list[Problem] = []
        self.identity: dict[str, set[str]] = {}  # as `Identified` has it
