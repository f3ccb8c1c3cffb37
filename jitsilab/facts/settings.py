"""Names and values: files of shell variables (/etc/jitsi/NAME/config, /etc/default/NAME) and compose's ``.env``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jitsilab.facts.model import UNKNOWN, Fact, hide


@dataclass
class Settings:
    """Values by name, and the files that they came from."""

    values: dict[str, Fact] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    raw: dict[str, str] = field(default_factory=dict, repr=False)  # what interpolation needs, secrets among it

    def get(self, name: str) -> Fact | None:
        """The value of a name."""
        return self.values.get(name)

    def text(self, name: str, default: str = "") -> str:
        """A value as text; the default where it is not set, or empty."""
        fact = self.values.get(name)
        return str(fact.value) if fact is not None and fact.value not in ("", None) else default

    def on(self, name: str, default: bool = False) -> bool | None:
        """A switch as docker-jitsi-meet's templates read it (strconv.ParseBool); None where it is not known."""
        fact = self.values.get(name)
        if fact is None or fact.value == "":
            return default
        word = str(fact.value).lower()
        if word in ("1", "t", "true"):
            return True
        return False if word in ("0", "f", "false") else None


_VARIABLE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$")


def read_shell(text: str, name: str, into: Settings) -> None:
    """Add the variables of a shell file that only assigns: quotes taken off, nothing expanded or run."""
    into.files.append(name)
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at]
        at += 1
        match = _VARIABLE.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        value = match[2].strip()
        if value[:1] in "\"'" and value[:1]:
            quote = value[0]
            while value.count(quote) < 2 and at < len(lines) and at - number < 50:
                value += "\n" + lines[at]
                at += 1
            value = value[1:].partition(quote)[0]
        else:
            value = re.split(r"\s+#", value)[0].strip()
        worth: Any = UNKNOWN if re.search(r"[`$]\(?", value) and "$" in value and not value.startswith("-") else value
        into.values[match[1]] = Fact(hide(match[1], worth), f"{name}:{number}")
        into.raw[match[1]] = value


def read_env(text: str, name: str, into: Settings) -> None:
    """Add the variables of a ``.env`` as compose reads it.

    With quotes and comments, ``$`` in values that are not in single quotes, and later values over earlier ones.
    """
    into.files.append(name)
    lines = text.replace("\r\n", "\n").removeprefix("\ufeff").split("\n")
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        line = re.sub(r"^export\s+", "", line)
        match = re.match(r"([A-Za-z_][\w.-]*)\s*(?:[=:]\s*(.*))?$", line, re.S)
        if match is None:
            continue
        key, value = match[1], match[2] or ""
        if match[2] is None:
            continue  # taken from the environment of whoever runs compose
        plain = False
        if value[:1] in ("'", '"'):
            quote = value[0]
            end = _closing(value, quote)
            while end < 0 and at < len(lines) and at - number < 100:
                value += "\n" + lines[at]
                at += 1
                end = _closing(value, quote)
            plain = quote == "'"
            value = value[1:end] if end > 0 else value[1:]
            if not plain:
                value = re.sub(r'\\(n|r|t|"|\\|\$)', _escaped, value)
        else:
            value = re.split(r"\s+#", value)[0].strip()
            if value.startswith("#"):
                value = ""
        if not plain and "$" in value:
            known = interpolate(value, into.raw)
            value_or_not: Any = known if known is not None else UNKNOWN
        else:
            value_or_not = value
        into.raw[key] = value if value_or_not is UNKNOWN else value_or_not
        into.values[key] = Fact(hide(key, value_or_not), f"{name}:{number}")
        if value_or_not is UNKNOWN:
            into.raw.pop(key, None)


def _escaped(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r", "t": "\t", "$": "$$"}.get(match[1], match[1])


def _closing(value: str, quote: str) -> int:
    at = 1
    while at < len(value):
        if value[at] == "\\" and quote == '"':
            at += 1
        elif value[at] == quote:
            return at
        at += 1
    return -1


DEPTH = 20


def interpolate(text: str, variables: Mapping[str, str], *, complete: bool = False, depth: int = 0) -> str | None:
    """A text with its variables put in, as compose does it; None where one is not known or is asked for in vain.

    ``$VAR``, ``${VAR}``, ``${VAR:-default}``, ``${VAR-default}``, ``${VAR:?error}``, ``${VAR?error}``,
    ``${VAR:+other}``, ``${VAR+other}``, nested; ``$$`` is a dollar. Where ``complete``, a variable that is not
    there is empty; else it is unknown.

    >>> interpolate("${A:-x${B}}", {"B": "y"}, complete=True), interpolate("$$A", {}), interpolate("${A:-1}", {})
    ('xy', '$A', None)
    """
    if depth > DEPTH:
        return None
    made: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "$":
            end = text.find("$", at)
            end = len(text) if end < 0 else end
            made.append(text[at:end])
            at = end
            continue
        if text.startswith("$$", at):
            made.append("$")
            at += 2
            continue
        if text.startswith("${", at):
            end = _brace(text, at + 2)
            if end < 0:
                return None
            value = _expression(text[at + 2 : end], variables, complete, depth)
            at = end + 1
        else:
            match = re.compile(r"[A-Za-z_]\w*").match(text, at + 1)
            if match is None:
                made.append("$")
                at += 1
                continue
            value = variables.get(match[0], "" if complete else None)
            at = match.end()
        if value is None:
            return None
        made.append(value)
    return "".join(made)


def _brace(text: str, at: int) -> int:
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1


def _expression(inner: str, variables: Mapping[str, str], complete: bool, depth: int) -> str | None:
    match = re.match(r"([A-Za-z_]\w*)(?:(:?[-?+])(.*))?$", inner, re.S)
    if match is None:
        return None
    value = variables.get(match[1])
    sign, other = match[2] or "", match[3] or ""
    if value is None and not complete:
        return None  # whoever runs compose may have set it
    there = value is not None and (value != "" or not sign.startswith(":"))
    if sign.endswith("-"):
        return value if there else _default(other, variables, complete, depth)
    if sign.endswith("?"):
        return value if there else None
    if sign.endswith("+"):
        return _default(other, variables, complete, depth) if there else ""
    return value or ""


def _default(text: str, variables: Mapping[str, str], complete: bool, depth: int) -> str | None:
    return interpolate(text, variables, complete=complete, depth=depth + 1)
