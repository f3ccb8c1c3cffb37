"""JSON as people hand it over: whole, cut short, deeply nested, with numbers of any size."""

import json
import re
from typing import Any, NamedTuple

from jitsilab.inputs.source import Delivery

LIMIT = 1 << 28  # bytes of one JSON text that are read; what follows is cut as a broken transfer would
DEPTH = 200  # levels below which a text is not read: nothing that programs write is as deep
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}
_WORD = re.compile(r"(?:true|false|null|NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\Z")


class Read(NamedTuple):
    """What a text held, and what is to be said of it."""

    value: Any  # None where nothing could be read
    problem: str  # empty for a whole text
    offset: int  # characters that were read


def _number(text: str) -> int | float:
    return int(text) if len(text) <= 20 else float(text)


def _load(text: str) -> Any:
    return json.loads(text, parse_int=_number)


def decode(data: bytes) -> str:
    """Text of bytes in the encodings in which programs save: UTF-8, or UTF-16 where it says so."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def load(delivery: Delivery) -> Read:
    """The JSON of a delivery; of a text that was cut or broken, what stands before the break."""
    with delivery.open() as file:
        return parse(decode(file.read(LIMIT)))


def parse(text: str) -> Read:
    """The value of a JSON text; of one that was cut or broken, what stands before the break."""
    try:
        return Read(_load(text), "", len(text))
    except (ValueError, RecursionError):
        pass
    mended, offset, problem = _mend(text)
    try:
        return Read(_load(mended), problem, offset) if mended else Read(None, problem, offset)
    except (ValueError, RecursionError):
        return Read(None, "is no JSON", 0)


def _mend(text: str) -> tuple[str, int, str]:
    """The text up to its last whole value, closed; how many characters of it that is; what is wrong."""
    stack: list[str] = []
    whole, open_then, last, expected = 0, [], 0, "value"
    # expected: value, key, colon, comma (or an end)
    for token in _TOKEN.finditer(text):
        if text[last : token.start()].strip():
            break
        last, word = token.end(), token.group()
        if word in _CLOSING:
            if expected != "value" or len(stack) >= DEPTH:
                break
            stack.append(word)
            expected = "key" if word == "{" else "value"
        elif word in "}]":
            if not stack or _CLOSING[stack[-1]] != word or (stack[-1] == "{" and expected == "colon"):
                break
            stack.pop()
            whole, open_then, expected = last, stack.copy(), "comma"
            if not stack:
                break
        elif word == ",":
            if expected != "comma":
                break
            expected = "key" if stack[-1] == "{" else "value"
        elif word == ":":
            if expected != "colon":
                break
            expected = "value"
        elif expected == "key" and word[0] == '"':
            expected = "colon"
        elif expected == "value" and (word[0] == '"' or _WORD.match(word)):
            whole, open_then, expected = last, stack.copy(), "comma"
            if not stack:
                break
        else:
            break
    if not whole:
        return "", 0, "is no JSON"
    closed = text[:whole] + "".join(_CLOSING[each] for each in reversed(open_then))
    rest = text[whole:].strip()
    if not open_then:
        return closed, whole, "more follows behind its end" if rest else ""
    return closed, whole, f"is cut short or broken behind {whole} characters; what stands before was read"


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """A JSON array, an empty one for anything else."""
    return value if isinstance(value, list) else []


def text_of(value: Any, limit: int = 400) -> str:
    """A JSON string, bounded; empty for anything else."""
    return value[:limit] if isinstance(value, str) else ""
