"""Values with their place and kind, and the columns at which they stand, for who names or replaces them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from jitsilab import ip
from jitsilab.facts.facts import Facts
from jitsilab.facts.model import UNKNOWN, Fact, Secret
from jitsilab.place import of_text

FAR = 60  # lines below its first that a value of several lines may go on


@dataclass(frozen=True, slots=True)
class Value:
    """One configured value: what it is, where it stands, and what kind of thing it is."""

    value: Any  # UNKNOWN where it is not known; a `Secret` is a mark
    place: str = ""  # file:line, or the file alone
    kind: str = ""  # address, name, port, secret, jid, url, switch, path
    why: str = ""  # why it is not known
    default: bool = False  # the program's own default: nothing in a file says it
    key: str = ""  # what it is called there, without its path

    @property
    def known(self) -> bool:
        """Whether the value is known."""
        return self.value is not UNKNOWN

    @property
    def file(self) -> str:
        """The file it stands in; empty for a default."""
        return of_text(self.place).input

    @property
    def line(self) -> int | None:
        """The line it stands at, from 1."""
        return of_text(self.place).line


class Span(NamedTuple):
    """Where a value's characters stand: line from 1, columns from 0, the end excluded."""

    line: int
    start: int
    end: int


def span(facts: Facts, value: Value) -> Span | None:
    """Where a value's characters stand in its file; None where they cannot be found (a computed value)."""
    lines = facts.texts.get(value.file, "").split("\n")
    if value.line is None or value.value is UNKNOWN:
        return None
    if isinstance(value.value, Secret):
        return _secret_span(lines, value.line, value.key)
    text = str(value.value)
    for number in range(value.line, min(value.line + FAR, len(lines) + 1)):
        at = whole_word(lines[number - 1], text)
        if at >= 0:
            return Span(number, at, at + len(text))
    return None


def every(facts: Facts) -> Iterator[Value]:
    """Every value of the files that is an address, a name, a secret or a port."""
    for fact, key in _facts(facts):
        yield from _kinds(fact, key)


def made(fact: Fact, kind: str) -> Value:
    """A fact as a value of a kind."""
    return Value(fact.value, fact.place, kind)


_WORD = re.compile(r"[\w.@:-]")


def whole_word(line: str, text: str) -> int:
    """The column at which a text stands by itself in a line, or -1."""
    at = line.find(text) if text else -1
    while at >= 0:
        before, after = line[at - 1 : at], line[at + len(text) : at + len(text) + 1]
        if not (before and _WORD.match(before) and _WORD.match(text[0]) and before not in "@:") and not (
            after and re.match(r"[\w-]", after) and re.match(r"\w", text[-1])
        ):
            return at
        at = line.find(text, at + 1)
    return -1


_ASSIGNED = r"""[\"'\]]*\s*(?:[=:]|\s)\s*(?:"([^"]*)"|'([^']*)'|([^\s"';,{}]+))"""


def _secret_span(lines: list[str], number: int, key: str) -> Span | None:
    """The value behind a key, at its line or further down where it is one of a table that begins there."""
    if key:
        pattern = re.compile(rf"(?<![\w-]){re.escape(key)}{_ASSIGNED}")
        for at in range(number, min(number + FAR, len(lines) + 1)):
            match = pattern.search(lines[at - 1])
            if match is not None:
                group = next(index for index in (1, 2, 3) if match[index] is not None)
                return Span(at, match.start(group), match.end(group))
    return None


def _facts(facts: Facts) -> Iterator[tuple[Fact, str]]:
    """Every fact with its key."""
    for prosody_host in facts.prosody.hosts if facts.prosody is not None else ():
        if prosody_host.place:
            yield Fact(prosody_host.name, prosody_host.place), "host"
        yield from ((fact, key) for key, fact in prosody_host.options.items())
    stores: list[Iterable[tuple[str, Fact]]] = [
        conf.values.items() for conf in (facts.bridge, facts.focus, *facts.other_bridges) if conf is not None
    ]
    stores += [settings.values.items() for settings in (*facts.properties.values(), *facts.shell.values())]
    stores += [facts.web.values.items()] if facts.web is not None else []
    stores += [facts.environment.values.items()] if facts.environment is not None else []
    for store in stores:
        yield from ((fact, key) for key, fact in store)
    for key, several in facts.turn.options.items() if facts.turn is not None else ():
        yield from ((fact, key) for fact in several)
    for directive in (
        facts.nginx.all("server_name", "proxy_pass", "server", "listen") if facts.nginx is not None else ()
    ):
        yield from ((Fact(arg, directive.place), directive.name) for arg in directive.args)
    for named in facts.names:
        yield Fact(named.address, named.place), "address"
        yield Fact(named.name, named.place), "host"


def _kinds(fact: Fact, key: str) -> Iterator[Value]:
    value = fact.value
    if isinstance(value, list):
        for element in value:
            yield from _kinds(Fact(element, fact.place), key)
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from _kinds(Fact(element, fact.place), str(name))
    elif isinstance(value, Secret):
        yield Value(value, fact.place, "secret", key=key.rpartition(".")[2])
    elif isinstance(value, bool):
        return
    elif isinstance(value, int) and key.lower().endswith("port"):
        yield Value(value, fact.place, "port")
    elif isinstance(value, str) and value:
        if ip.parse(value) is not None:
            yield Value(value, fact.place, "address")
        elif re.fullmatch(r"[\w.-]+@[\w.-]+(/\S*)?", value):
            yield Value(value, fact.place, "jid")
        elif re.match(r"\w+://", value):
            yield Value(value, fact.place, "url")
        elif value.startswith("/"):
            yield Value(value, fact.place, "path")
        elif re.fullmatch(r"(?=.*[a-zA-Z])[\w-]+(\.[\w-]+)+", value) or key in ("host", "hostname", "domain", "realm"):
            yield Value(value, fact.place, "name")
