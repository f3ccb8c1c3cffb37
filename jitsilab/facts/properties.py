"""sip-communicator.properties: Java's form of properties, and system properties given to a Java program."""

import re
from collections.abc import Iterator

from jitsilab.facts.model import Fact, hide
from jitsilab.facts.settings import Settings

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_KEY = re.compile(r"((?:\\.|[^\\=:\s])*)\s*([=:]?)\s*(.*)", re.S)


def pairs(text: str) -> Iterator[tuple[str, str, int]]:
    """Keys and values with the line of each, as java.util.Properties reads them."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        first, line = at + 1, lines[at].lstrip()
        at += 1
        if not line or line[0] in "#!":
            continue
        while _continues(line) and at < len(lines):
            line = line[:-1] + lines[at].lstrip()
            at += 1
        match = _KEY.match(line)
        if match and match[1]:
            yield _plain(match[1]), _plain(match[3]), first


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _plain(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        word = match[1]
        if word[0] == "u" and len(word) == 5:
            return chr(int(word[1:], 16))
        return _ESCAPES.get(word, word)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", character, text)


def parse(text: str, name: str, into: Settings) -> None:
    """Add the properties of one file; the last of a name counts."""
    into.files.append(name)
    for key, value, line in pairs(text):
        into.values[key] = Fact(hide(key.rpartition(".")[2], value), f"{name}:{line}")


def of_command_line(text: str) -> Iterator[tuple[str, str]]:
    """``-Dkey=value`` of a Java command line."""
    for match in re.finditer(r"-D([\w.-]+)=(\"[^\"]*\"|'[^']*'|\S+)", text):
        yield match[1], match[2].strip("\"'")
