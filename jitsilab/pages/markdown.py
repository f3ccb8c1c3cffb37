"""Markdown that GitHub and pandoc read alike: text out of a capture is escaped here, tables are laid out here."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

LINE, WORD = 105, 26  # characters of a line of a printed table; of a word that may not be parted
SHORT = 14  # characters of a cell that no line break may part
LONGEST = 300  # characters of one value in a cell; what is longer is cut and says so

_ACTIVE = re.compile(r"[\\`*_{}\[\]<>#|~^$@&!]|:(?=//)|(?<=\bwww)\.|^[-+=]", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z0-9.:/\[\]_=+,@-]+")


def escape(text: Any, limit: int = LONGEST) -> str:
    """Text that shows as it is, whatever it holds: no markup, no link, no line break, no hidden character."""
    shown = visible(text, limit)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", _ACTIVE.sub(r"\\\g<0>", shown))


def visible(text: Any, limit: int = LONGEST) -> str:
    """The text on one line, with every hidden character written out, cut where it is too long; no markup escaped."""
    text = str(text)
    return "".join(map(_visible, text[:limit])) + ("…" if len(text) > limit else "")


def _visible(character: str) -> str:
    if character in "\t\n\r":
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"<U+{ord(character):04X}>"
    return character


def code(text: Any) -> str:
    """The text as a code span where it is a plain word (an address, a file name, a command), else escaped."""
    return f"`{text}`" if _CODE.fullmatch(str(text)) and len(str(text)) <= LONGEST else escape(text)


def frames(numbers: Iterable[int], most: int = 6) -> str:
    """Frame numbers as a reader wants them: ``7, 12–15, 31 and 40 more``."""
    ordered = sorted({int(number) for number in numbers})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])]
    parts: list[str] = []
    shown = 0
    for run in runs[:most]:
        parts += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(number) for number in run]
        shown += len(run)
    rest = len(ordered) - shown
    return ", ".join(parts) + (f" and {rest:,} more" if rest else "")


def value(cell: Any) -> str:
    """One cell of a table: numbers as they are read, nothing for a missing value, text escaped."""
    if isinstance(cell, Raw):
        return str(cell)
    if isinstance(cell, list | tuple):
        return ", ".join(value(item) for item in cell)
    if _missing(cell):
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.3f}".rstrip("0").rstrip(".")
    if hasattr(cell, "item"):
        return value(cell.item())
    return f"{cell:,}" if isinstance(cell, int) else escape(cell)


def _missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell)


class Raw(str):
    """Markdown of the project's own making, which `value` leaves as it is."""

    __slots__ = ()


def table(rows: pd.DataFrame, align: str = "", spans: Sequence[str] = ()) -> str:
    """A pipe table; ``align`` has one of ``l``, ``r``, ``c`` a column (default: numbers right, the rest left).

    The columns named in ``spans`` hold plain words to be set as code.

    The dashes of the second line are proportional to what the columns hold, from which pandoc takes their widths.
    """
    headers = [escape(str(column)) for column in rows.columns]
    forms = [code if column in spans else value for column in rows.columns]
    body = [
        ["" if _missing(cell) else form(cell) for form, cell in zip(forms, row, strict=True)]
        for row in rows.itertuples(index=False, name=None)
    ]
    if not align:
        align = "".join("r" if _is_number(rows.iloc[:, i]) else "l" for i in range(len(headers)))
    body = [[cell.replace(" ", "\u00a0") if len(cell) <= SHORT else cell for cell in row] for row in body]
    widths = _widths(headers, body)
    dashes = [max(3, round(100 * width / sum(widths))) for width in widths]
    rule = [
        (":" if kind == "c" else "") + "-" * count + (":" if kind in "rc" else "")
        for kind, count in zip(align, dashes, strict=True)
    ]
    lines = [headers, rule, *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _is_number(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _widths(headers: Sequence[str], body: Sequence[Sequence[str]]) -> list[float]:
    """Room for each column in characters: its longest word at least; what is left of the line goes to long texts."""
    least, wanted = [], []
    for i, header in enumerate(headers):
        cells = [row[i] for row in body]
        words = [len(word) for text in (header, *cells) for word in text.split(" ")]
        longest = max(map(len, cells), default=1)
        least.append(min(max(words, default=1), WORD) + 3.0)
        wanted.append(max(least[-1], min(longest + 3.0, SHORT + longest * 0.4)))
    more = sum(wanted) - sum(least)
    share = min(1.0, max(LINE - sum(least), 0) / more) if more else 0.0
    return [low + (high - low) * share for low, high in zip(least, wanted, strict=True)]


def anchor(kind: str, name: str) -> str:
    """The identifier that a link to a figure, a table or a reference names."""
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
