"""``DOMAIN-config.js``: the values of its object literals, without running JavaScript."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jitsilab.errors import Problem
from jitsilab.facts.model import UNKNOWN, Fact, hide

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/|<!--.*?-->)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)
    |(?P<number>-?\d+(?:\.\d+)?(?![\w$]))|(?P<word>[A-Za-z_$][\w$]*)|(?P<mark>.)""",
    re.S | re.X,
)
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
DEPTH = 30
TOKENS = 200_000


@dataclass
class WebConfig:
    """Values by their path below ``config`` (``p2p.enabled``, ``hosts.anonymousdomain``)."""

    values: dict[str, Fact] = field(default_factory=dict)
    name: str = ""

    def get(self, path: str) -> Fact | None:
        """The value at a path."""
        return self.values.get(path)


def parse(text: str, name: str, into: WebConfig, problems: list[Problem]) -> None:
    """Add the assignments ``config = {...}`` and ``config.a.b = value`` of one file; expressions become UNKNOWN."""
    into.name = into.name or name
    reader = _Reader(text)
    try:
        for path, value, line in reader.assignments():
            for full, leaf, at in _flat(path, value, line):
                into.values[full] = Fact(hide(full.rpartition(".")[2], leaf), f"{name}:{at}")
    except (IndexError, RecursionError):
        problems.append(Problem(0, "config.js", 0, f"{name}:{reader.line}: not readable from here on"))


def _flat(path: str, value: Any, line: int) -> Iterator[tuple[str, Any, int]]:
    if isinstance(value, _Object):
        for key, (member, at) in value.items():
            yield from _flat(f"{path}.{key}" if path else key, member, at)
    else:
        yield path, _plain(value), line


def _plain(value: Any) -> Any:
    if isinstance(value, _Object):
        return {key: _plain(member) for key, (member, _) in value.items()}
    return [_plain(element) for element in value] if isinstance(value, list) else value


class _Object(dict[str, tuple[Any, int]]):
    """An object literal: key to value and line."""


class _Reader:
    """Tokens of a script, and the literals they make."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            kind, word = str(match.lastgroup), match[0]
            if kind != "space":
                self.tokens.append((kind, word, line))
            line += word.count("\n")
            if len(self.tokens) >= TOKENS:
                break
        self.at = 0

    @property
    def line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens) - 1)][2] if self.tokens else 1

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def assignments(self) -> Iterator[tuple[str, Any, int]]:
        while self.at < len(self.tokens):
            kind, word, line = self.tokens[self.at]
            self.at += 1
            if kind != "word" or word != "config" or self.peek(-2) == ".":
                continue
            path = []
            while self.peek() == "." and self.at + 1 < len(self.tokens):
                path.append(self.peek(1))
                self.at += 2
            if self.peek() == "=" and self.peek(1) != "=":
                self.at += 1
                yield ".".join(path), self.value(0), line

    def value(self, depth: int) -> Any:
        kind, word, _ = self.tokens[self.at]
        if depth > DEPTH:
            raise IndexError
        self.at += 1
        made: Any = UNKNOWN
        if kind == "string":
            made = re.sub(r"\\(.)", r"\1", word[1:-1]) if "${" not in word else UNKNOWN
        elif kind == "number":
            made = float(word) if "." in word else int(word[:15])
        elif kind == "word":
            made = _WORDS.get(word, UNKNOWN)
        elif word == "{":
            made = self.object(depth)
        elif word == "[":
            made = self.array(depth)
        if self.peek() in (",", "}", "]", ";", ""):
            return made
        if self.tokens[self.at - 1][2] < self.line and self.peek() not in "+-*/?|&.(":
            return made  # a statement ends with its line
        self.skip()
        return UNKNOWN  # part of an expression

    def object(self, depth: int) -> _Object:
        made = _Object()
        while self.peek() != "}":
            kind, word, line = self.tokens[self.at]
            self.at += 1
            if self.peek() == ":" and kind in ("word", "string", "number"):
                self.at += 1
                made[word.strip("'\"`")] = (self.value(depth + 1), line)
            elif word != ",":
                self.skip()
        self.at += 1
        return made

    def array(self, depth: int) -> list[Any]:
        made = []
        while self.peek() != "]":
            if self.peek() == ",":
                self.at += 1
            else:
                made.append(self.value(depth + 1))
        self.at += 1
        return made

    def skip(self) -> None:
        """Pass over the rest of an expression, up to what ends it at this depth."""
        depth = 0
        while self.at < len(self.tokens):
            word = self.tokens[self.at][1]
            if not depth and word in (",", "}", "]", ";"):
                return
            depth += (word in "([{") - (word in ")]}")
            if depth < 0:
                return
            self.at += 1
