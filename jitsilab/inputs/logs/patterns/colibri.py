"""COLIBRI messages that the bridge logs whole: which addresses it offers to whom, who announces which sources.

They hold ICE passwords and the channel's password; nothing but addresses, ports, types, ids and counts is taken out.
Expressions are used and no XML parser, since a log may cut a message anywhere.
"""

import re
from collections.abc import Iterator

from jitsilab.inputs.logs.patterns import Columns

_PART = re.compile(r"<(endpoint|relay|channel-bundle)\b([^<>]*)>")
_ID = re.compile(r"(?<![\w-])(?:id|endpoint)=['\"]([^'\"]+)['\"]")
_CANDIDATE = re.compile(r"<candidate\b([^<>]*)>")
_ATTRIBUTE = re.compile(r"([\w-]+)=['\"]([^'\"]*)['\"]")
_ERROR = re.compile(r"<iq\b[^<>]*\btype=['\"]error['\"]")
_CONDITION = re.compile(r"<error\b[^<>]*>\s*<([\w-]+)|reason=['\"]([^'\"]+)['\"]")
_WORDS = re.compile(r"<text\b[^<>]*>([^<]{1,200})")


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, id and text of each endpoint, relay or bundle of a message."""
    starts = list(_PART.finditer(text))
    for number, start in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        name = _ID.search(start[2])
        yield start[1], name[1] if name else "", text[start.start() : end]


def _candidates(part: str, event: str, participant: str) -> Iterator[Columns]:
    for match in _CANDIDATE.finditer(part):
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        if attributes.get("ip"):
            hidden = attributes["ip"].startswith("xx")
            yield {
                "event": event,
                "participant": participant,
                "value": "" if hidden else attributes["ip"],
                "detail": f"{attributes.get('port', '')} {attributes.get('type', '')}".strip(),
            }


def answer(text: str) -> Iterator[Columns]:
    """Events of what the bridge answers: candidates that it offers, or that it refused."""
    if _ERROR.search(text):
        words, condition = _WORDS.search(text), _CONDITION.search(text)
        reason = words[1] if words else next(filter(None, condition.groups()), "error") if condition else "error"
        yield {"event": "allocation-failed", "value": reason}
        return
    for kind, name, part in _parts(text):
        if kind != "relay":
            yield from _candidates(part, "candidate-offered", name)


def request(text: str) -> Iterator[Columns]:
    """Events of what the focus asks: sources that a participant announced with its answer, its candidates.

    The first request for an endpoint comes before the participant was asked, and has no fingerprint.
    """
    for kind, name, part in _parts(text):
        if kind == "relay":
            continue
        if kind == "endpoint" and "<fingerprint" in part and "<sources" in part:
            count = len(re.findall(r"<source\b", part))
            yield {"event": "sources-announced", "participant": name, "value": str(count)}
        yield from _candidates(part, "candidate-gathered", name)
