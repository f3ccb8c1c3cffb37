"""Where something stands in a piece of evidence: the form of every proof."""

import re
from typing import Any, NamedTuple

_FILE_LINE = re.compile(r"^(.*?)(?::(\d+))?$", re.S)


class Place(NamedTuple):
    """A frame, a line or an entry of a piece of evidence; the piece alone where nothing more is known."""

    input: str
    frame: int | None = None  # from 1
    line: int | None = None  # from 1
    pointer: str | None = None  # RFC 6901

    def to_json(self) -> dict[str, Any]:
        """``{"input", "frame"}``, ``{"input", "line"}`` or ``{"input", "pointer"}``; the input alone where none is."""
        if self.frame is not None:
            return {"input": self.input, "frame": self.frame}
        if self.line is not None:
            return {"input": self.input, "line": self.line}
        return {"input": self.input, "pointer": self.pointer} if self.pointer is not None else {"input": self.input}

    def __str__(self) -> str:
        if self.frame is not None:
            return f"{self.input} frame {self.frame}"
        return f"{self.input}:{self.line}" if self.line is not None else f"{self.input} {self.pointer or ''}".rstrip()


def of_text(text: str) -> Place:
    """``file:line``, or a file alone, in its parts."""
    match = _FILE_LINE.match(text)
    name, line = (match[1], match[2]) if match else (text, None)
    return Place(name, line=int(line) if line else None)
