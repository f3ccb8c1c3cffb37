"""What lines mean, as data: each pattern with its program, where it is printed, since when, and the event it is.

Words and versions are looked up in the programs' repositories; lines that the programs really printed stand in
``tests/evidence/logs/``. A pattern's text is matched at the beginning of a record's message, the lines below it
included (a dot does not pass the end of a line). Its named groups become columns of the event: ``value``, ``detail``,
``participant``, ``conference``, ``room``, ``status``; others serve the templates of `Pattern.value` and `.detail`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Columns = dict[str, Any]  # of one event: a subset of value, detail, participant, conference, room, status, event


class Pattern(NamedTuple):
    """A line that means something."""

    program: str
    place: str  # class, module or worker that prints it, several separated by |; empty: anywhere
    text: str  # regular expression
    event: str  # a word of `jitsilab.tables.evidence.EVENTS`; empty: what `expand` or `because` says
    since: str = ""  # date of the first version that prints it, or the version
    until: str = ""  # of the last, where it is gone
    value: str = ""  # template of the event's value: {local}->{public}
    detail: str = ""
    because: tuple[tuple[str, str, str], ...] = ()  # expression searched in the whole record, event, detail
    expand: Callable[[str], Iterable[Columns]] | None = None  # several events in one record, by its whole text
    anywhere: bool = True  # whether the words alone suffice; else the class must be the place's, or unknown
    unless: str = ""  # context in which it means nothing: relayId


class Found(NamedTuple):
    """A pattern that matched."""

    pattern: Pattern
    match: "re.Match[str]"
    by: str  # place, words


_SPECIAL = frozenset(".^$*+?{}[]|()")
_GENERIC = frozenset({"", "LoggerImpl", "Logger", "JavaUtilLog", "log"})  # say nothing about who prints


def first_word(text: str) -> str:
    """The literal word with which a regular expression begins, empty where it begins with none."""
    text = re.sub(r"^\(\?P<\w+>", "", text)
    word, at = "", 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
            char = text[at]
            if char.isalnum():
                return ""
        elif char in _SPECIAL:
            return ""
        if char == " ":
            return "" if text[at + 1 : at + 2] in ("?", "*") else word
        if text[at + 1 : at + 2] in ("?", "*", "+", "{"):
            return ""
        word, at = word + char, at + 1
    return word


class Matcher:
    """The patterns of one program, found by the first word of a message."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._by_word: dict[str, list[tuple[re.Pattern[str], Pattern, frozenset[str]]]] = {}
        self._others: list[tuple[re.Pattern[str], Pattern, frozenset[str]]] = []
        for pattern in patterns:
            entry = re.compile(pattern.text, re.MULTILINE), pattern, frozenset(pattern.place.split("|"))
            word = first_word(pattern.text)
            if word:
                self._by_word.setdefault(word, []).append(entry)
            else:
                self._others.append(entry)

    def every(self, text: str, name: str) -> list[Found]:
        """All patterns that match a text printed by the class of this name: one, if the patterns are well made."""
        named = self._by_word.get(text.split(None, 1)[0] if text and not text.isspace() else "", [])
        matches = []
        for expression, pattern, places in (*named, *self._others):
            here = name in places
            if here or pattern.anywhere or name in _GENERIC:
                match = expression.match(text)
                if match:
                    matches.append(Found(pattern, match, "place" if here or pattern.place == "" else "words"))
        return matches

    def find(self, text: str, name: str) -> Found | None:
        """The pattern that matches, None where there is none."""
        word, _, _ = text.partition(" ")
        named = self._by_word.get(word) or self._by_word.get(word.partition("\n")[0]) or []
        for group in (named, self._others):
            for expression, pattern, places in group:
                here = name in places
                if here or pattern.anywhere or name in _GENERIC:
                    match = expression.match(text)
                    if match:
                        return Found(pattern, match, "place" if here or pattern.place == "" else "words")
        return None
