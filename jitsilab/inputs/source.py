"""What a kind of evidence is to the rest of the house: a name, a way to recognise it by content, the tables it gives.

A new kind is one module here and one line of `jitsilab.inputs.KINDS`. A delivery is how bytes came (a file, a member
of an archive, a stream); a source is what they are (a bridge's log). The two know nothing of each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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

    def read(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of these of its tables, in one pass, in the order of the input."""
        ...

    @property
    def problems(self) -> list[Problem]:
        """What could not be read, known after `read`."""
        ...

    @property
    def note(self) -> str:
        """What else is to be said of it in `inputs`: recognised and not judged, zone unknown, beginning missing."""
        ...


class Kind(NamedTuple):
    """A kind of evidence: a line of the registry."""

    name: str  # jvb-log, console, webrtc-internals, ...
    words: str  # for people: "log of the video bridge"
    tables: frozenset[str]
    recognise: Any  # (Delivery) -> float: 0 not mine, 1 certain; looks at ``head`` only
    open: Any  # (Delivery) -> Source


@dataclass
class Lines:
    """A source that is read line by line; a base for logs and consoles."""

    delivery: Delivery
    kind: str
    tables: frozenset[str]
    note: str = ""
    problems: list[Problem] = field(default_factory=list)

    @property
    def input(self) -> str:
        """Name of the piece."""
        return self.delivery.input
