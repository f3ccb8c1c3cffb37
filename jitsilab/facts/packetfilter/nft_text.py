"""The text of nft(8): what `nft list ruleset` prints, and files that `nft -f` reads."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jitsilab.facts.packetfilter import nft_rule
from jitsilab.facts.packetfilter.model import Action, Chain, Element, Ruleset, Table, priority

_TOKEN = re.compile(
    r"""(?P<string>"[^"\n]*")|(?P<comment>\#[^\n]*)|(?P<join>\\\n)|(?P<line>\n)|(?P<space>[ \t\r\f\v]+)
    |(?P<mark>[{};,()&|^]|==|!=|<=|>=|<<|>>|=|<|>|!)|(?P<word>[^\s{};,()&|^"\#=!<>]+)|(?P<other>.)""",
    re.X,
)
TOKENS = 300_000
DEPTH = 12


class Token(NamedTuple):
    """A word, a string or a mark, with its line."""

    text: str
    line: int
    quoted: bool = False


def tokens(text: str) -> list[Token]:
    """The tokens of a ruleset; ends of lines are tokens, since they end a rule."""
    taken: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "string":
            taken.append(Token(match[0][1:-1], line, True))
        elif kind in ("line", "mark", "word", "other"):
            taken.append(Token(match[0], line))
        line += match[0].count("\n")
        if len(taken) > TOKENS:
            break
    return taken


def parse(text: str, ruleset: Ruleset) -> None:
    """Add the tables of a text to a ruleset; what is not understood is noted, never guessed."""
    _Reader(tokens(text), ruleset).commands()


class _Reader:
    def __init__(self, words: list[Token], ruleset: Ruleset) -> None:
        self.words = words
        self.ruleset = ruleset
        self.at = 0
        self.defined: dict[str, list[Token]] = {}

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place].text if place < len(self.words) else ""

    def place(self) -> str:
        line = self.words[min(self.at, len(self.words) - 1)].line if self.words else 1
        return f"{self.ruleset.place}:{line}"

    def note(self, what: str) -> None:
        self.ruleset.notes.append(f"{self.place()}: {what}")

    def skip_space(self) -> None:
        while self.at < len(self.words) and self.peek() in ("\n", ";"):
            self.at += 1

    def statement(self) -> list[Token]:
        """Tokens up to the end of the line or a semicolon, braces kept whole; definitions put in."""
        taken: list[Token] = []
        depth = 0
        while self.at < len(self.words):
            token = self.words[self.at]
            if not token.quoted and not depth and token.text in ("\n", ";", "}"):
                break
            self.at += 1
            if not token.quoted:
                depth += (token.text == "{") - (token.text == "}")
                if token.text == "\n":
                    continue
                if token.text.startswith("$"):
                    taken += self.defined.get(token.text[1:], [Token("$", token.line)])
                    continue
            taken.append(token)
        return taken

    def commands(self) -> None:
        """The top of a file: tables, definitions, and commands as a script gives them."""
        while True:
            self.skip_space()
            if self.at >= len(self.words):
                return
            word = self.peek()
            if word == "table" or (word in ("add", "create") and self.peek(1) == "table"):
                self.at += 1 + (word != "table")
                self.table()
            elif word in ("add", "create", "insert") and self.peek(1) in ("chain", "rule"):
                self.command()
            elif word == "define":
                self.at += 1
                name = self.peek()
                self.at += 1
                value = self.statement()
                self.defined[name] = [token for token in value if token.text != "="]
            elif word in ("flush", "delete", "destroy"):
                self.statement()
                if word == "flush" and self.peek(-1) == "ruleset":
                    self.ruleset.tables.clear()
            elif word == "include":
                self.note("an include, not followed")
                self.statement()
            else:
                if not self.statement():
                    self.at += 1
                self.note(f"not understood: {word[:40]}")

    def table(self) -> None:
        family = self.peek() if self.peek() in ("ip", "ip6", "inet", "netdev", "bridge", "arp") else "ip"
        self.at += family == self.peek()
        table = self.ruleset.table(family, self.peek())
        self.at += 1
        if self.peek() != "{":
            return
        self.at += 1
        while self.at < len(self.words):
            self.skip_space()
            word = self.peek()
            if word == "}":
                self.at += 1
                return
            if word == "chain":
                self.at += 1
                chain = table.chain(self.peek())
                chain.place = self.place()
                self.at += 1
                self.body(table, chain)
            elif word in ("set", "map", "meter"):
                self.at += 1
                self.elements(table, word)
            elif word == "include":
                self.note("an include, not followed")
                self.statement()
            elif not self.statement():
                self.at += 1

    def body(self, table: Table, chain: Chain) -> None:
        """``{ type ... hook ...; policy ...; rules }``."""
        while self.peek() == "\n":
            self.at += 1
        if self.peek() != "{":
            return
        self.at += 1
        while self.at < len(self.words):
            self.skip_space()
            if self.peek() == "}":
                self.at += 1
                return
            place = self.place()
            words = self.statement()
            if words:
                self.chain_line(table, chain, words, place)
            else:
                self.at += 1

    def chain_line(self, table: Table, chain: Chain, words: list[Token], place: str) -> None:
        first = words[0].text
        texts = [token.text for token in words]
        if first == "type" and "hook" in texts:
            chain.kind = texts[1] if len(texts) > 1 else "filter"
            chain.hook = (texts[texts.index("hook") + 1 :] or [""])[0]
            if "priority" in texts:
                chain.priority = priority([word for t in texts[texts.index("priority") + 1 :] for word in _signed(t)])
            chain.place = place
        elif first == "policy":
            chain.policy = (texts[1:] or [""])[0]
            chain.place = place
        elif first not in ("comment", "flags", "devices", "device"):
            chain.rules.append(nft_rule.rule(words, place, table))

    def elements(self, table: Table, kind: str) -> None:
        """A named set or map with its elements."""
        name = self.peek()
        self.at += 1
        while self.peek() == "\n":
            self.at += 1
        if self.peek() != "{":
            return
        self.at += 1
        table.sets.setdefault(name, ())
        if kind == "map":
            table.maps.setdefault(name, ())
        while self.at < len(self.words):
            self.skip_space()
            if self.peek() == "}":
                self.at += 1
                return
            words = self.statement()
            if not words:
                self.at += 1
            elif words[0].text == "elements":
                inside = [token for token in words[1:] if token.quoted or token.text != "="]
                if kind == "map":
                    table.maps[name] += tuple(nft_rule.entries(inside))
                else:
                    table.sets[name] += tuple(nft_rule.set_elements(inside))

    def command(self) -> None:
        """``add chain ip t c { ... }``, ``add rule ip t c ...``."""
        verb, what = self.peek(), self.peek(1)
        self.at += 2
        family = self.peek() if self.peek() in ("ip", "ip6", "inet", "netdev", "bridge", "arp") else "ip"
        self.at += family == self.peek()
        table = self.ruleset.table(family, self.peek())
        chain = table.chain(self.peek(1))
        place = self.place()
        chain.place = chain.place or place
        self.at += 2
        if what == "chain":
            self.body(table, chain)
            return
        made = nft_rule.rule(self.statement(), place, table)
        chain.rules.insert(0 if verb == "insert" else len(chain.rules), made)


def _signed(word: str) -> Iterator[str]:
    if re.fullmatch(r"[+-]\d+", word):
        yield word
        return
    yield from re.findall(r"[+-]|[A-Za-z]+|\d+", word)


__all__ = ["Action", "Element", "Token", "parse", "tokens"]
