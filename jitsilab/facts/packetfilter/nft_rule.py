"""One rule of nft: its conditions and what it does, read from tokens."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jitsilab.facts.packetfilter.model import CONTINUE, Action, Condition, Element, Rule, Table

VERDICTS = ("accept", "drop", "reject", "return", "continue", "jump", "goto", "queue")
_PAYLOAD = {
    "ip": ("saddr", "daddr", "protocol", "ttl", "length", "dscp", "version", "frag-off", "id", "ecn"),
    "ip6": ("saddr", "daddr", "nexthdr", "hoplimit", "length", "dscp", "flowlabel"),
    "tcp": ("dport", "sport", "flags", "option", "sequence", "window", "doff"),
    "udp": ("dport", "sport", "length"), "th": ("dport", "sport"), "sctp": ("dport", "sport"),
    "dccp": ("dport", "sport", "type"), "udplite": ("dport", "sport"),
    "icmp": ("type", "code", "id"), "icmpv6": ("type", "code", "id"), "igmp": ("type",),
    "ether": ("saddr", "daddr", "type"), "arp": ("operation", "htype", "ptype"), "vlan": ("id", "type"),
}  # fmt: skip
_META = (
    "iif", "iifname", "oif", "oifname", "l4proto", "nfproto", "protocol", "mark", "pkttype", "skuid", "skgid",
    "iiftype", "oiftype", "length", "priority", "cgroup", "iifgroup", "oifgroup", "day", "hour", "time",
)  # fmt: skip
_QUIET = {  # statements that change nothing of a packet's way: how many words follow them
    "counter": 0,
    "log": 0,
    "comment": 1,
    "notrack": 0,
}
_LOG_WORDS = ("prefix", "level", "group", "snaplen", "queue-threshold", "flags")
_CT_WORDS = ("original", "reply")


def rule(words: Sequence[Any], place: str, table: Table) -> Rule:
    """The rule that some tokens make; what is not understood makes it a rule that may hold or not."""
    return _Rule(list(words), place, table).made()


class _Rule:
    def __init__(self, words: list[Any], place: str, table: Table) -> None:
        self.words = words
        self.rule = Rule([], CONTINUE, place)
        self.table = table
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.words[place].text if place < len(self.words) else ""

    def quoted(self, ahead: int = 0) -> bool:
        place = self.at + ahead
        return place < len(self.words) and self.words[place].quoted

    def made(self) -> Rule:
        while self.at < len(self.words):
            if not self.statement():
                rest = " ".join(token.text for token in self.words[self.at :])
                self.rule.conditions.append(Condition((), (), text=rest[:80]))
                self.last_verdict()
                break
        return self.rule

    def last_verdict(self) -> None:
        """Of a rule that is not understood to its end: what it may do."""
        for number in range(len(self.words) - 1, self.at, -1):
            word = self.words[number].text
            if word in VERDICTS and not self.words[number].quoted:
                self.rule.action = _action(word, self.words[number + 1].text if number + 1 < len(self.words) else "")
                return
        self.rule.action = Action("unknown", self.rule.conditions[-1].text)

    def statement(self) -> bool:
        """One expression or statement; False where it is not understood."""
        word = self.peek()
        if self.quoted():
            return False
        if word in VERDICTS:
            self.rule.action = _action(word, self.peek(1))
            self.at = len(self.words)
            return True
        if word in _QUIET:
            self.quiet(word)
            return True
        if word == "limit":
            return self.limit()
        if word in ("masquerade", "snat", "dnat", "redirect", "tproxy", "dup", "fwd", "synproxy", "flow"):
            self.rule.action = Action("unknown", word) if word in ("tproxy", "fwd", "synproxy") else Action("accept")
            if word in ("dup", "flow"):
                self.rule.action = CONTINUE
            self.at = len(self.words)
            return True
        if word in ("add", "update", "delete") and self.peek(1).startswith("@"):
            return self.update()
        if word in ("meta", "ct") and "set" in (self.peek(2), self.peek(3)) and self.peek(1) not in ("state",):
            while self.at < len(self.words) and self.peek() not in VERDICTS:
                self.at += 1  # marks something; only rules that look at marks would differ, and they are not understood
            return True
        return self.match()

    def quiet(self, word: str) -> None:
        self.at += 1
        if word == "counter":
            if self.peek() == "name":
                self.at += 2
            while self.peek() in ("packets", "bytes"):
                self.at += 2
        elif word == "log":
            while self.peek() in _LOG_WORDS:
                self.at += 2
        elif word == "comment":
            self.at += 1

    def limit(self) -> bool:
        """``limit rate [over] N/unit [burst N packets]``: an ordinary packet is below the rate."""
        over = False
        start = self.at
        self.at += 1
        while self.at < len(self.words):
            word = self.peek()
            over = over or word == "over"
            if word in ("rate", "over", "until", "burst", "packets", "bytes", "kbytes", "mbytes", "name", "/") or (
                re.match(r"\d", word)
            ):
                self.at += 1
            else:
                break
        if over:
            self.rule.conditions.append(Condition(("meta nfproto",), (), text="limit rate over"))  # never below it
        return self.at > start

    def update(self) -> bool:
        """``add @set { ip saddr timeout 1h limit rate over 3/minute }``: over a rate no ordinary packet is."""
        self.at += 2
        if self.peek() != "{":
            return False
        depth = 0
        over = False
        while self.at < len(self.words):
            word = self.peek()
            depth += (word == "{") - (word == "}")
            over = over or word == "over"
            self.at += 1
            if not depth:
                break
        if over:
            self.rule.conditions.append(Condition(("meta nfproto",), (), text="over a rate"))
        return True

    # Matches

    def field(self) -> str:
        """The name of a field, its words taken; empty where it is none."""
        word, second = self.peek(), self.peek(1)
        if word in _PAYLOAD and second in _PAYLOAD[word]:
            self.at += 2
            return f"{word} {second}"
        if word == "meta" and second in _META:
            self.at += 2
            return second if second in ("iif", "iifname", "oif", "oifname") else f"meta {second}"
        if word in _META:
            self.at += 1
            return word if word in ("iif", "iifname", "oif", "oifname") else f"meta {word}"
        if word == "ct" and second in _CT_WORDS:
            last = 4 if self.peek(2) in ("ip", "ip6") else 3
            name = " ".join(self.peek(step) for step in range(1, last))
            self.at += last
            return f"ct {name}"
        if word == "ct" and second:
            self.at += 2
            return f"ct {second}"
        if word == "fib":
            keys = []
            self.at += 1
            while self.peek() in ("saddr", "daddr", ".", "iif", "oif", "mark"):
                keys += [self.peek()] if self.peek() != "." else []
                self.at += 1
            result = self.peek()
            self.at += 1
            return f"fib {' . '.join(keys)} {result}"
        return ""

    def match(self) -> bool:
        start = self.at
        names = [self.field()]
        while names[-1] and self.peek() == ".":
            self.at += 1
            names.append(self.field())
        if not all(names):
            self.at = start
            return False
        text = " ".join(names)
        if names == ["tcp flags"]:
            return self.flags(start)
        if self.peek() in ("&", "|", "^", "<<", ">>", "("):
            self.at = start
            return False
        if self.peek() == "vmap":
            self.at += 1
            return self.vmap(tuple(names))
        negated = self.peek() == "!="
        sign = self.peek() if self.peek() in ("<", ">", "<=", ">=") else ""
        if negated or sign or self.peek() in ("==", "=", "eq"):
            self.at += 1
        if self.peek() == "{":
            elements = set_elements(self.braces())
            reference = ""
        elif self.peek().startswith("@"):
            reference, elements = self.peek()[1:], []
            self.at += 1
        else:
            reference = ""
            elements = self.values(len(names), sign)
        written = f"{text} {'!= ' if negated else ''}" + (f"@{reference}" if reference else _written(elements))
        self.rule.conditions.append(Condition(tuple(names), tuple(elements), negated, reference, written.strip()))
        return bool(elements) or bool(reference)

    def flags(self, start: int) -> bool:
        """``tcp flags syn / fin,syn,rst,ack``, ``tcp flags & (fin|syn) == syn``."""
        words: list[str] = []
        while self.at < len(self.words) and re.fullmatch(
            r"[&|,()!=/]+|fin|syn|rst|psh|ack|urg|ecn|cwr|0x0", self.peek()
        ):
            words.append(self.peek())
            self.at += 1
        text = "".join(words).replace("(", "").replace(")", "").replace("|", ",").replace("0x0", "")
        negated = "!=" in text
        text = text.replace("!=", "==")
        if text.startswith("&"):
            mask, _, wanted = text[1:].partition("==")
            value = f"{wanted or mask}/{mask}" if "==" in text else mask
        else:
            value = text.removeprefix("==")
        if not re.fullmatch(r"[a-z,]*(/[a-z,]+)?", value):
            self.at = start
            return False
        name = Condition(("tcp flags",), ((value,),), negated, text=f"tcp flags {value}")
        self.rule.conditions.append(name)
        return True

    def braces(self) -> list[Any]:
        """The tokens of ``{ ... }``, the braces among them."""
        taken: list[Any] = []
        depth = 0
        while self.at < len(self.words):
            token = self.words[self.at]
            depth += (token.text == "{" and not token.quoted) - (token.text == "}" and not token.quoted)
            taken.append(token)
            self.at += 1
            if not depth:
                break
        return taken

    def values(self, width: int, sign: str) -> list[Element]:
        """One value, or several parted by commas; a concatenation's parts by dots."""
        elements: list[Element] = []
        while True:
            parts = [f"{sign}{self.peek()}"]
            self.at += 1
            while len(parts) < width and self.peek() == ".":
                parts.append(self.peek(1))
                self.at += 2
            if self.peek() == "-" and self.peek(1):
                parts[-1] += f"-{self.peek(1)}"
                self.at += 2
            elements.append(tuple(parts))
            if self.peek() != "," or not self.peek(1):
                return elements
            self.at += 1

    def vmap(self, names: tuple[str, ...]) -> bool:
        self.rule.keys = names
        if self.peek().startswith("@"):
            self.rule.reference = self.peek()[1:]
            self.at = len(self.words)
            return True
        if self.peek() != "{":
            return False
        self.rule.verdicts = tuple(entries(self.braces()))
        return True


def _action(word: str, target: str) -> Action:
    if word in ("jump", "goto"):
        return Action(word, target)
    if word == "reject":
        return Action("drop")
    return Action("unknown", "queue") if word == "queue" else Action(word)


def _written(elements: Sequence[Element]) -> str:
    shown = ", ".join(" . ".join(element) for element in elements[:4])
    return f"{{ {shown}{', ...' if len(elements) > 4 else ''} }}" if len(elements) > 1 else shown


def _parts(words: Sequence[Any]) -> Iterator[list[Any]]:
    """What stands between the commas of ``{ ... }``."""
    part: list[Any] = []
    for token in words:
        if token.quoted or token.text not in ("{", "}", ",", "\n", ";"):
            part.append(token)
        elif part:
            yield part
            part = []
    if part:
        yield part


def _element(words: Sequence[Any]) -> Element:
    """``1.2.3.4 . 22``, ``1024 - 2048``, ``10.0.0.1 timeout 1h counter ...``."""
    fields: list[str] = []
    joined = False
    for token in words:
        if token.text == "." and not token.quoted:
            joined = True
        elif token.text == "-" and fields:
            fields[-1] += "-"
        elif fields and fields[-1].endswith("-"):
            fields[-1] += token.text
        elif not fields or joined:
            fields.append(token.text)
            joined = False
        else:
            break  # timeout, expires, counter, comment
    return tuple(fields)


def set_elements(words: Sequence[Any]) -> list[Element]:
    """The elements of ``{ a, b-c, d . e }``."""
    return [element for part in _parts(words) if (element := _element(part))]


def entries(words: Sequence[Any]) -> Iterator[tuple[Element, Action]]:
    """The entries of a verdict map: ``{ 22 : accept, 80-90 : jump web }``."""
    for part in _parts(words):
        keys: list[Any] = []
        rest: list[str] = []
        for token in part:
            if rest or token.quoted:
                (rest.append(token.text) if rest else keys.append(token))
            elif token.text == ":":
                rest.append("")
            elif token.text.endswith(":") and token.text != "::":
                keys.append(token._replace(text=token.text[:-1]))
                rest.append("")
            elif (match := re.fullmatch(r"(.+):(accept|drop|jump|goto|return|continue)", token.text)) is not None:
                keys.append(token._replace(text=match[1]))
                rest += ["", match[2]]
            else:
                keys.append(token)
        verdict = [word for word in rest if word]
        if keys and verdict:
            yield _element(keys), _action(verdict[0], verdict[1] if len(verdict) > 1 else "")
