"""The case report as a document: blocks and the text in them, of which every page (HTML, Markdown, PDF) is made.

Text is a tuple of parts. What came out of evidence is always a plain part, which each page escapes in its own way; the
project's own words may link, so nothing of a capture can become markup.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jitsilab.place import Place


class Link(NamedTuple):
    """Words that lead to something with an id in the same document."""

    words: str
    to: str


class Code(NamedTuple):
    """An address, a file name, a command, a display filter."""

    words: str


class Strong(NamedTuple):
    """Words that stand out."""

    words: str


class Mark(NamedTuple):
    """A word of a closed set, shown as a coloured label: a verdict, a severity, a certainty."""

    words: str
    tone: str  # good, bad, warn, open, plain


Part = str | Link | Code | Strong | Mark
Text = tuple[Part, ...]


def text(*parts: "Part | Text") -> Text:
    """Parts, and texts of parts, as one text; empty words are left out."""
    flat: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            flat += [part] if part else []
        elif isinstance(part, Link | Code | Strong | Mark):
            flat.append(part)
        else:
            flat += part
    return tuple(flat)


def joined(parts: "Iterable[Part | Text]", by: str = ", ") -> Text:
    """Texts in a row with something between them."""
    pieces: list[Part | Text] = []
    for part in parts:
        pieces += [by, part] if pieces else [part]
    return text(*pieces)


def words(parts: Text) -> str:
    """The text without what makes it more than words."""
    return "".join(part if isinstance(part, str) else part.words for part in parts)


@dataclass
class Paragraph:
    """Sentences."""

    text: Text


@dataclass
class Commands:
    """Lines to copy into a terminal or a file."""

    lines: str


@dataclass
class Row:
    """A row of a table; ``id`` is what links to it name."""

    cells: list[Text]
    id: str = ""
    tone: str = ""


@dataclass
class Table:
    """Rows under named columns; ``left_out`` is how many more there would be."""

    id: str
    caption: Text
    columns: list[str]
    rows: list[Row]
    left_out: int = 0
    numbers: frozenset[int] = frozenset()  # columns that are set to the right
    command: str = ""  # that prints all of it
    paper: bool = True  # whether it is small enough for PDF and Markdown


@dataclass
class Card:
    """One participant, or the call as a whole, as the first screen shows it."""

    id: str
    name: str
    tone: str  # good, bad, warn, open
    state: str  # in two or three words
    lead: Text  # path or cause
    facts: list[tuple[str, Text]] = field(default_factory=list)
    change: "Change | None" = None


@dataclass
class Change:
    """What to change: in words, the file, the lines to have there, the same for docker, what makes it take effect."""

    text: str
    file: str = ""
    line: str = ""
    docker: str = ""
    opens: str = ""
    then: str = ""
    like: Text = ()  # where the same was said before, instead of all the rest


@dataclass
class Event:
    """A row of the ladder."""

    id: str
    seconds: float
    source: str
    target: str
    kind: str  # a layer
    label: str
    place: Place
    hidden: bool  # read from the length of an encrypted record
    tone: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The frame, or the line, in few characters."""
        return str(self.place.frame or (f":{self.place.line}" if self.place.line else ""))


@dataclass
class Ladder:
    """Who told whom what, in order."""

    id: str
    caption: Text
    lanes: list[str]
    people: list[str]  # those of the lanes that are participants
    events: list[Event]
    left_out: int = 0


Block = Paragraph | Commands | Table


@dataclass
class Section:
    """A heading and what stands below it; ``folded`` where only some want to read it."""

    id: str
    title: str
    blocks: list[Block] = field(default_factory=list)
    folded: bool = False
    level: int = 2


@dataclass
class Document:
    """The whole report."""

    title: str
    subtitle: Text
    tone: str
    verdict: str
    cards: list[Card]  # who, why, what to change: people, and before them a condition that is the answer
    notices: list[Card]  # conditions, and the gravest security findings
    ladders: list[Ladder]
    sections: list[Section]
    results: dict[str, Any] = field(default_factory=dict)

    def blocks(self) -> Iterator[Block]:
        """Every block of every section."""
        for section in self.sections:
            yield from section.blocks
