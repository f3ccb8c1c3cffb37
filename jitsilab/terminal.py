"""What was captured, as a terminal may show it: a name in a call is a stranger's text and may steer the screen."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any, TextIO

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # control, format, surrogate, private, unassigned, line breaks


def printable(text: str) -> str:
    r"""The text with each control or invisible character but line feed and tab written out.

    >>> printable("a\x1b[31mb\x9bc\u202ed")
    'a\\x1b[31mb\\x9bc\\u202ed'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def to_json(value: Any, indent: int | None = None) -> str:
    r"""JSON that is safe to look at: such characters are escapes in it, which mean the same to a program.

    >>> to_json({"nick": "a\x9b1mb\u202e"})
    '{"nick": "a\\u009b1mb\\u202e"}'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if text.isascii() and "\x7f" not in text else "".join(map(_escaped, text))


class Printable:
    """A text file that shows what is written to it as `printable` gives it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write the text; gives the number of characters that it had."""
        self._file.write(printable(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        self._file.flush()


def safe_streams() -> None:
    """Let standard output and error take any text, whatever encoding the locale asks for."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def unknown(kind: str, name: str, known: Iterable[str], most: int = 60) -> str:
    """A sentence for a name that is none: those that it may be meant for, else what there is.

    >>> unknown("table", "stunn", ["stun", "dtls"])
    "There is no table 'stunn'. Did you mean stun?"
    """
    every = list(known)
    near = nearest(name, every)
    if near:
        return f"There is no {kind} {name!r}. Did you mean {' or '.join(near)}?"
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return f"There is no {kind} {name!r}. There are: {', '.join(every[:most])}{more}."


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that somebody may have meant, the likeliest first."""
    import difflib

    folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(name.casefold()[:80], folded, n=3, cutoff=0.6)
    return [folded[word] for word in near]


COLOURS = ("auto", "always", "never")
WIDE = 100  # columns of what is written to a file or a pipe


def width(most: int = 120) -> int:
    """Columns to lay text out for: those of the terminal, up to ``most``; `WIDE` where there is none to ask."""
    if sys.stdout is not None and sys.stdout.isatty():
        return min(shutil.get_terminal_size((WIDE, 24)).columns, most)
    asked = os.environ.get("COLUMNS", "")
    return min(int(asked), most) if asked.isascii() and asked.isdigit() and int(asked) else WIDE


def coloured(choice: str = "auto") -> bool:
    """Whether to print colours: ``always``, ``never``, else on a terminal that has them (no-color.org)."""
    if choice != "auto":
        return choice == "always"
    dumb = os.environ.get("TERM", "") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return sys.stdout is not None and sys.stdout.isatty() and not dumb


@cache
def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN


def _shown(character: str) -> str:
    if character in "\n\t" or not _hidden(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(character: str) -> str:
    if character == "\n" or not _hidden(character):  # json.dumps has line feeds between values only
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
