"""From the bytes of a printed file to its lines, whatever program wrote them."""

import re
from pathlib import Path
from typing import BinaryIO

from jitsilab.errors import CaptureError

MAXIMUM = 1 << 28  # bytes of a printed file; a longer one belongs into a capture
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ARROWS = ("â†’", "ΓåÆ", "ÔåÆ")  # UTF-8 read as Windows-1252, 437 or 850, as consoles of Windows do
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))


def load(source: "str | Path | BinaryIO", name: str) -> str:
    """The text of a file, or one sentence on why it has none."""
    try:
        if isinstance(source, str | Path):
            path = Path(source)
            size, content = path.stat().st_size, b""
            if size <= MAXIMUM:
                content = path.read_bytes()
        else:
            content = source.read(MAXIMUM + 1)
            size = len(content)
    except (OSError, ValueError) as error:
        raise CaptureError(f"Cannot read {name}: {getattr(error, 'strerror', None) or error}.") from error
    if size > MAXIMUM:
        raise CaptureError(f"{name} has more than {MAXIMUM >> 20} MiB: too long for a printed table.")
    if not content.strip():
        raise CaptureError(f"{name} is empty.")
    text = decoded(content)
    if text is None:
        raise CaptureError(f"{name} is neither a capture nor text: it does not hold what its name says.")
    return text


def decoded(content: bytes) -> str | None:
    """Bytes as text: UTF-8, UTF-16 with or without its mark, or one byte a character; None where they are none."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _cleaned(content.decode(encoding, "replace"))
    head = content[:4096]
    if b"\0" in head:
        for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[first::2].count(0) * 10 >= len(head[first::2]) * 9 and head[1 - first :: 2].count(0) == 0:
                return _cleaned(content.decode(encoding, "replace"))
        return None
    text = content.decode("utf-8", "replace")
    strange = text.count("\ufffd")
    if strange * 20 > len(text):
        if sum(byte < 32 and byte not in (9, 10, 13, 27) for byte in head):
            return None
        text = content.decode("latin-1")
    return None if "\0" in text else _cleaned(text)


def _cleaned(text: str) -> str:
    """One kind of arrow, no colours."""
    for arrow in _ARROWS:
        text = text.replace(arrow, "→")
    return _COLOURS.sub("", text) if "\x1b" in text else text


def lines(text: str) -> list[str]:
    """The lines of a text."""
    return [line.rstrip("\r") for line in text.split("\n")]
