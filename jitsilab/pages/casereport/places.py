"""Where proofs stand, as a reader finds them: short names of inputs, links to frames and lines, display filters."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from jitsilab.pages.casereport.document import Code, Link, Part, Text, joined, text
from jitsilab.place import Place

MOST = 6  # places that one sentence names
MOST_IN_FILTER = 12


class Places:
    """The inputs of a case by short names, and which frames and lines the report shows.

    Whatever is cited is noted, so that the tables of the evidence can hold exactly that.
    """

    def __init__(self, inputs: Iterable[str], captures: Iterable[str]) -> None:
        self.names = short_names(inputs)
        self.captures = list(captures)
        long = sorted((name for name in self.names if "/" in name), key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, long))) if long else None
        self._numbers = {name: number for number, name in enumerate(self.names, 1)}
        self.frames: dict[tuple[int, int], list[Link]] = {}  # capture and frame: who cites it
        self.lines: dict[tuple[str, int], list[Link]] = {}

    def shortened(self, words: str) -> str:
        """A sentence with short names where it names inputs by their whole paths."""
        if self._whole is None or "/" not in words:
            return words
        return self._whole.sub(lambda match: self.names[match[0]], words)

    def short(self, input: str) -> str:
        """The name of an input without the folders in which everything lies."""
        return self.names.get(input) or input.replace("\\", "/").rstrip("/").rpartition("/")[2] or input

    def frame(self, number: int, by: Link | None = None, input: str | None = None) -> Part:
        """A frame as a link to its row; plain where several captures could be meant."""
        capture = self._capture(input)
        if capture is None or number < 1:
            return str(number)
        _cited(self.frames.setdefault((capture, number), []), by)
        return Link(str(number), self.frame_id(capture, number))

    def _capture(self, input: str | None) -> int | None:
        if input is not None:
            return self.captures.index(input) if input in self.captures else None
        return 0 if len(self.captures) == 1 else None

    def frame_id(self, capture: int, number: int) -> str:
        """The id of a frame's row."""
        return f"frame-{number}" if len(self.captures) == 1 else f"frame-{capture + 1}-{number}"

    def line_id(self, input: str, line: int) -> str:
        """The id of a line's row."""
        return f"line-{self._numbers[input]}-{line}"

    def frame_list(
        self, numbers: Iterable[int], by: Link | None = None, most: int = MOST, input: str | None = None
    ) -> Text:
        """``601, 602 and 4 more``, each a link."""
        every = list(dict.fromkeys(int(number) for number in numbers))
        shown: list[Part | Text] = [self.frame(number, by, input) for number in every[:most]]
        return text(joined(shown), f" and {len(every) - most} more" if len(every) > most else "")

    def place(self, place: Place, by: Link | None = None) -> Text:
        """One place of any kind."""
        if place.frame is not None:
            several = f"{self.short(place.input)} " if len(self.captures) != 1 else ""
            return text(f"{several}frame ", self.frame(place.frame, by, place.input))
        if place.line is not None and place.input in self.names:
            _cited(self.lines.setdefault((place.input, place.line), []), by)
            return text(Link(f"{self.short(place.input)}:{place.line}", self.line_id(place.input, place.line)))
        return text(Code(str(place._replace(input=self.short(place.input)))))

    def proof(self, places: Iterable[Place], by: Link | None = None) -> Text:
        """All places of a proof: frames together, then lines."""
        every = list(dict.fromkeys(places))
        frames: dict[str, list[int]] = {}
        for place in every:
            if place.frame is not None:
                frames.setdefault(place.input, []).append(place.frame)
        parts: list[Part | Text] = []
        for input, numbers in frames.items():
            several = f"{self.short(input)}, " if len(frames) > 1 else ""
            noun = "frame " if len(numbers) == 1 else "frames "
            linked: list[Part | Text] = [self.frame(number, by, input) for number in numbers[:MOST]]
            more = f" and {len(numbers) - MOST} more" if len(numbers) > MOST else ""
            parts.append(text(several + noun, joined(linked), more))
        others = [place for place in every if place.frame is None]
        parts += [self.place(place, by) for place in others[:MOST]]
        if len(others) > MOST:
            parts.append(f"{len(others) - MOST} more")
        return joined(parts)

    def filters(self, places: Iterable[Place]) -> list[tuple[str, str]]:
        """A display filter for each capture that a proof names: the capture, and what to paste into Wireshark."""
        frames: dict[str, set[int]] = {}
        for place in places:
            if place.frame is not None:
                frames.setdefault(place.input, set()).add(place.frame)
        return [
            (self.short(input), f"frame.number in {{{', '.join(map(str, sorted(numbers)[:MOST_IN_FILTER]))}}}")
            for input, numbers in frames.items()
        ]  # fmt: skip


def _cited(by: "list[Link]", link: Link | None) -> None:
    if link is not None and link not in by:
        by.append(link)


def short_names(inputs: Iterable[str]) -> dict[str, str]:
    """Of each input the end of its path that no other shares.

    >>> short_names(["/a/b/jvb.log", "/a/c/jvb.log", "/a/x.pcap"])
    {'/a/b/jvb.log': 'b/jvb.log', '/a/c/jvb.log': 'c/jvb.log', '/a/x.pcap': 'x.pcap'}
    """
    parts = {path: PurePosixPath(path.replace("\\", "/")).parts for path in dict.fromkeys(inputs)}
    short: dict[str, str] = {}
    for count in range(1, max(map(len, parts.values()), default=0) + 1):
        shared = Counter(own[-count:] for own in parts.values())
        for path, own in parts.items():
            if path not in short and (shared[own[-count:]] == 1 or count >= len(own)):
                short[path] = "/".join(own[-count:]).lstrip("/") or path
    return {path: short.get(path, path) for path in parts}
