"""jvb.conf and jicofo.conf: HOCON by pyhocon, with no include, no environment and no address followed."""

import functools
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pyhocon import ConfigFactory, ConfigList, ConfigTree

from jitsilab.errors import Problem
from jitsilab.facts.model import UNKNOWN, Fact, hide

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|#[^\n]*|\n|[{}\[\],]|\+=|[=:]|[^\s{}\[\],=:"#]+')
INCLUDE = re.compile(r'"(?:\\.|[^"\\\n])*"|(?<![\w.-])include(?![\w.-])', re.I)  # the word, and strings to pass over
DEPTH = 40


@dataclass
class Hocon:
    """Values by their full path (``videobridge.ice.udp.port``)."""

    values: dict[str, Fact] = field(default_factory=dict)
    name: str = ""
    broken: list[str] = field(default_factory=list)  # files that could not be read
    missing: list[str] = field(default_factory=list)  # places of includes whose files are not at hand

    @property
    def whole(self) -> bool:
        """Whether all of it was read: then what is not set has its default."""
        return bool(self.name) and not self.broken and not self.missing

    def get(self, path: str) -> Fact | None:
        """The value at a path."""
        return self.values.get(path)

    def under(self, prefix: str) -> dict[str, Fact]:
        """Values whose path starts so."""
        return {path: fact for path, fact in self.values.items() if path.startswith(prefix)}


OPTIONAL = ("custom-jvb.conf", "custom-jicofo.conf")  # what docker-jitsi-meet includes, there or not


def parse(text: str, name: str, into: Hocon, problems: list[Problem], beside: Collection[str] = ()) -> None:
    """Add the values of one file; what cannot be read is a Problem that quotes nothing.

    ``beside`` are the names of other files that are read into the same values.
    """
    into.name = into.name or name
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*include\b", line):
            lines[number] = ""
            wanted = re.search(r'"([^"]*)"', line)
            base = wanted[1].rpartition("/")[2] if wanted else ""
            if base in beside or base in OPTIONAL:
                continue
            problems.append(Problem(0, "hocon", 0, f"{name}:{number + 1}: an include, not followed"))
            into.missing.append(f"{name}:{number + 1}")
    clean = INCLUDE.sub(lambda m: m[0] if m[0].startswith('"') else "left_out", "\n".join(lines))
    if _depth(clean) > DEPTH:
        problems.append(Problem(0, "hocon", 0, f"{name}: nested too deeply to be read"))
        into.broken.append(name)
        return
    try:
        tree = _tree(clean)
    except Exception:  # pyparsing's errors and pyhocon's; their text quotes the file
        problems.append(Problem(0, "hocon", 0, f"{name}: not readable as HOCON"))
        into.broken.append(name)
        return
    where = dict(_lines(clean))
    for path, value in _flat(tree, ""):
        at = where.get(path)
        into.values[path] = Fact(hide(path.rpartition(".")[2], value), f"{name}:{at}" if at else name)


@functools.lru_cache(maxsize=32)  # the servers of a fleet say the same, and reading it takes a tenth of a second
def _tree(text: str) -> Any:
    # resolve=False: a substitution would be looked up in the environment of whoever runs the audit
    with warnings.catch_warnings():  # pyhocon calls what pyparsing has renamed
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = ConfigFactory.parse_string(text, resolve=False)
    if not isinstance(tree, ConfigTree):
        raise ValueError("a list, where programs of Jitsi read keys")
    return tree


def _depth(text: str) -> int:
    deepest = depth = 0
    for token in TOKEN.findall(text):
        depth += (token in "{[") - (token in "}]")
        deepest = max(deepest, depth)
    return deepest


def _flat(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        path = path.replace('"', "")
        if isinstance(value, ConfigTree):
            yield from _flat(value, path)
        else:
            yield path, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigList | list):
        return [_plain(element) for element in value]
    if isinstance(value, ConfigTree):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, str):
        return value.strip()
    return value if isinstance(value, bool | int | float) or value is None else UNKNOWN


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Each path with the line at which it is assigned: pyhocon does not keep it."""
    stack: list[list[str]] = []
    words: list[str] = []
    line, in_list, in_value = 1, 0, False
    for token in TOKEN.findall(text):
        if token == "\n":
            line += 1
            if not in_list:
                words, in_value = ([], False) if in_value or words else (words, in_value)
        elif token.startswith(("#", "//")):
            continue
        elif token in ("[", "]"):
            in_list = max(0, in_list + (1 if token == "[" else -1))
        elif in_list:
            continue
        elif token == "{":
            stack.append(_split(words))
            words, in_value = [], False
        elif token == "}":
            if stack:
                stack.pop()
            words, in_value = [], False
        elif token == ",":
            words, in_value = [], False
        elif token in ("=", ":", "+="):
            if not in_value and words:
                yield ".".join([*(word for part in stack for word in part), *_split(words)]), line
                in_value = True
        elif not in_value:
            words.append(token)


def _split(words: list[str]) -> list[str]:
    return [part for word in words for part in ([word.strip('"')] if word.startswith('"') else word.split("."))]
