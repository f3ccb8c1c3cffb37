"""Package versions: from `dpkg -l`, `dpkg-query -W`, an installation's transcript, or what a program says of itself."""

import json
import re
from typing import NamedTuple

from jitsilab.facts.model import Fact
from jitsilab.numerals import whole

_SETTING_UP = re.compile(r"Setting up ([a-z0-9][a-z0-9+.-]*)(?::\w+)? \(([^)\s]+)\)")
_LISTED = re.compile(r"^(?:[a-zA-Z]{2,3}\s+)?([a-z0-9][a-z0-9+.-]+)(?::\w+)?\s+v?(\d[\w.+:~-]*)(?:\s|$)")
_SAID = re.compile(r"^(bridge|focus)\s+(\{.*\})\s*$")
_SYSTEM = re.compile(r"^system:\s*(.{1,80})$")


class Version(NamedTuple):
    """A Debian version as the parts that order it: epoch, then numbers and words of version and revision."""

    key: tuple[tuple[int, str], ...]


def order(text: str) -> Version:
    """A key by which versions can be compared: digits as numbers, ``~`` before everything, as dpkg does.

    Dots and dashes only part what they stand between: advisories and packages write them differently.

    >>> order("2.0.5076-1") < order("2.0.5963-1")
    True
    >>> order("2.1-504-g2f7") < order("2.1-595-g36")
    True
    """
    epoch, colon, rest = text.partition(":")
    number = whole(epoch) if colon else None
    parts = re.findall(r"[0-9]+|~|[A-Za-z]+", text if number is None else rest)[:40]
    key = [(number or 0, "")]
    for part in parts:
        key.append((int(part[:12]) + 1, "") if part.isdigit() else (-2, part) if part == "~" else (0, part))
    return Version((*key, (-1, "")))


def parse(text: str, name: str) -> dict[str, Fact]:
    """Package to version; ``bridge`` and ``focus`` are what those programs answer at ``/about/version``."""
    by_package: dict[str, Fact] = {}
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{name}:{number}"
        system = _SYSTEM.match(line)
        if system:
            by_package["system"] = Fact(system[1], place)
            continue
        answer = _SAID.match(line)
        if answer:
            try:
                version = json.loads(answer[2]).get("version")
            except (ValueError, AttributeError):
                continue
            if isinstance(version, str):
                by_package[answer[1]] = Fact(version, place)
            continue
        match = _SETTING_UP.search(line) or _LISTED.match(line)
        if match and match[1] not in by_package:
            by_package[match[1]] = Fact(match[2], place)
    return by_package
