"""What a report says: functions that turn tables into sentences, so that no number in them was ever typed.

Each takes a `jitsilab.call.Call` (or tables of one) and gives a `Story`: Markdown, and by name every value that
stands in it. What the source cannot show is said to be missing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from jitsilab.pages import markdown

LONGEST = 3000  # characters of a text in a sentence


class Story:
    """Paragraphs of Markdown and the values in them.

    >>> story = Story().add("There are {frames:,} frames.", frames=3076)
    >>> story.text, story.values
    ('There are 3,076 frames.', {'frames': 3076})
    """

    def __init__(self, text: str = "", values: Mapping[str, Any] | None = None) -> None:
        self._paragraphs = [text] if text else []
        self.values: dict[str, Any] = dict(values or {})

    @property
    def text(self) -> str:
        """The paragraphs, as Markdown."""
        return "\n\n".join(self._paragraphs)

    def __bool__(self) -> bool:
        return bool(self._paragraphs)

    def add(self, template: str, key: object = "", **values: Any) -> "Story":
        """One more paragraph: ``template`` as `str.format` takes it, with ``values`` by name.

        Text among the values is escaped, unless it is `markdown.Raw`; frame numbers (a tuple) are shortened.
        The values are kept under their names, behind ``key`` where the same sentence is said of several.
        """
        self._paragraphs.append(self._filled(template, key, values))
        return self

    def extend(self, template: str, key: object = "", **values: Any) -> "Story":
        """The same, behind the last paragraph."""
        sentence = self._filled(template, key, values)
        self._paragraphs[-1:] = [" ".join([*self._paragraphs[-1:], sentence])]
        return self

    def _filled(self, template: str, key: object, values: dict[str, Any]) -> str:
        before = "".join(c if c.isalnum() else "_" for c in str(key)) + "_" if key != "" else ""
        self.values.update({before + name: plain(value) for name, value in values.items()})
        return fill(template, values)

    def bullets(self, items: "Iterable[Story]") -> "Story":
        """A list with one item a story."""
        items = list(items)
        self._paragraphs.append("\n".join("- " + item.text.replace("\n", "\n  ") for item in items))
        for item in items:
            self.values.update(item.values)
        return self


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The template with each value as a reader may see it."""
    shown = {}
    for name, value in values.items():
        if isinstance(value, tuple):
            value = markdown.Raw(markdown.frames(value))
        elif isinstance(value, str) and not isinstance(value, markdown.Raw):
            value = markdown.escape(value, LONGEST)
        shown[name] = value
    return template.format_map(shown)


def plain(value: Any) -> Any:
    """A value as JSON holds it; floats with the six decimals that a report can print at most."""
    if isinstance(value, markdown.Raw):
        return value.replace("`", "")
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if value == value else None
    return value if isinstance(value, bool | int | str) else str(value)


def plural(count: int, one: str, many: str = "") -> str:
    """``1 flow``, ``2 flows``; small counts in words are left to the template."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Iterable[str], word: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}" if items else ""
