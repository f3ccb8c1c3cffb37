"""Bytes of a log become lines of text: any encoding, any length, bounded memory.

A portion is read at a time. Of a line that is longer than `LONGEST` the beginning is kept and the rest passed over.
UTF-8 is tried first; a portion that is none is read as Windows-1252, in which every byte is something. UTF-16 is known
by its mark, or by the zero bytes of its Latin letters.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

PORTION = 1 << 20  # bytes read at once
LONGEST = 1 << 18  # bytes of a line that are kept: a COLIBRI message of a large conference has about 100 kB
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[@-Z\\^_]")
_BARE_ANSI = re.compile(r"(?:\^\[|\u241b)?\[\d{0,2}(?:;\d{1,3}){0,4}m")  # what a paste left of a colour


def encoding_of(head: bytes) -> str:
    """Encoding of a piece by its first bytes: utf-16-le, utf-16-be or utf-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    sample = head[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(sample) >= 16 and max(even, odd) > len(sample) // 5 and min(even, odd) < len(sample) // 50 + 1:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def _text(portion: bytes) -> str:
    try:
        return portion.decode("utf-8")
    except UnicodeDecodeError:
        pass
    lines = []
    for line in portion.split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("cp1252", "replace"))
    return "\n".join(lines)


def without_colours(text: str) -> str:
    """Text without terminal sequences, also those of which a paste kept the visible part alone."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "[0m" in text or "[39m" in text:
        text = _BARE_ANSI.sub("", text)
    return text.replace("\0", "") if "\0" in text else text


def portions(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    """A stream as portions of whole lines in UTF-8 (or in whatever it is, where it is no UTF-16)."""
    encoding = encoding_of(head)
    wide = codecs.getincrementaldecoder(encoding)("replace") if encoding != "utf-8" else None
    newline = b"\n" if b"\n" in head or b"\r" not in head or wide else b"\r"
    rest, skipping = b"", False
    while read := stream.read(PORTION):
        if wide:
            read = wide.decode(read).encode("utf-8", "replace")
        elif newline == b"\r":
            read = read.replace(b"\r", b"\n")
        if skipping:
            _, ended, read = read.partition(b"\n")
            if not ended:
                continue
            skipping, rest = False, rest + b"\n"
        end = read.rfind(b"\n") + 1
        if end:
            yield rest + read[:end]
            rest = read[end:]
        else:
            rest += read
        if len(rest) > LONGEST:
            rest, skipping = rest[:LONGEST], True
    if rest:
        yield rest


def lines(stream: BinaryIO, head: bytes) -> Iterator[list[str]]:
    """The lines of a stream in lists, a portion each, without their ends and without colours."""
    first = True
    for portion in portions(stream, head):
        text = without_colours(_text(portion))
        if first:
            first = False
            text = text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", " ")
        pieces = text.split("\n")
        if text.endswith("\n"):
            pieces.pop()
        yield [line if len(line) <= LONGEST else line[:LONGEST] for line in pieces]


def head_lines(head: bytes, most: int = 400) -> list[str]:
    """The first lines of a piece, as far as its head goes; the last one may be cut."""
    encoding = encoding_of(head)
    text = head.decode(encoding, "replace") if encoding != "utf-8" else _text(head)
    text = without_colours(text.removeprefix("\ufeff"))
    return re.split(r"\r\n|\n|\r", text, maxsplit=most)[:most]
