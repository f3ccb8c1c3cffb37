"""``jitsilab captures``: the recordings that are known by name, by what they show."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jitsilab import terminal
from jitsilab.commands import Command
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    from jitsilab.inputs.registry import Entry

KINDS = {
    "failing": "Somebody has no media",
    "degraded": "Everybody has media, and something is amiss",
    "healthy": "No failure of media",
    "study": "The study",
}


class Shown(NamedTuple):
    """A recording with what is true of it."""

    entry: "Entry"
    kind: str
    causes: tuple[str, ...]  # and conditions


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="*", metavar="TEXT", help="only those whose name or description has these words")
    parser.add_argument("--kind", choices=tuple(KINDS), help="only those of this kind")
    parser.add_argument("--cause", metavar="NAME", help="only those with this cause or condition")
    parser.add_argument(
        "--export", nargs=2, metavar=("NAME", "DIR"), help="write a recording's plain files to a folder"
    )


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.inputs import registry

    if arguments.export:
        name, folder = arguments.export
        print(f"{name} is in {registry.export(name, Path(folder))}")
        return 0
    every = [_shown(entry) for entry in registry.entries()]
    known = sorted({cause for recording in every for cause in recording.causes})
    if arguments.cause and arguments.cause not in known:
        raise ParameterError(terminal.unknown("recording with the cause", arguments.cause, known))
    chosen = [recording for recording in every if _fits(recording, arguments)]
    width = max((len(recording.entry.name) for recording in every), default=0)
    for kind, title in KINDS.items():
        listed = [shown for shown in chosen if shown.kind == kind]
        if listed:
            print(f"# {title} ({len(listed)})")
        for recording in listed:
            unnamed = [cause for cause in recording.causes if cause not in recording.entry.shows]
            causes = f" [{', '.join(unnamed)}]" if unnamed else ""
            print(_wrapped(f"{recording.entry.name:{width}}  {recording.entry.shows}{causes}", width + 2))
    if not chosen:
        raise ParameterError(f"None of {len(every)} recordings is so. jitsilab captures lists all.")
    return 0


def _fits(recording: Shown, arguments: argparse.Namespace) -> bool:
    text = f"{recording.entry.name} {recording.entry.shows} {' '.join(recording.causes)}".casefold()
    return (
        (not arguments.kind or recording.kind == arguments.kind)
        and (not arguments.cause or arguments.cause in recording.causes)
        and all(word.casefold() in text for word in arguments.text)
    )


def _shown(entry: "Entry") -> Shown:
    """What the recording's own truth, or its description, says of it."""
    from jitsilab.inputs import registry
    from jitsilab.judge.causes.catalogue import CAUSES, CONDITIONS

    if entry.name == registry.STUDY:
        return Shown(entry, "study", ())
    path = next((file.path for file in entry.files if file.role == "truth"), None)
    truth = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    people = truth.get("participants") or []
    causes = [str(person.get("cause")) for person in people if person.get("cause")]
    conditions = [
        condition if isinstance(condition, str) else str(condition.get("condition"))
        for each in (*people, truth.get("server") or {}) for condition in each.get("conditions") or ()
    ]  # fmt: skip
    words = entry.shows.replace("(", " ").replace(")", " ").replace(",", " ").split()
    causes += [word for word in words if word in CAUSES]
    conditions += [word for word in words if word in CONDITIONS]
    failing = causes or any(person.get("media_path") == "none" for person in people)
    kind = "failing" if failing else "degraded" if conditions else "healthy"
    named = dict.fromkeys(name for name in (*causes, *conditions) if name in CAUSES or name in CONDITIONS)
    return Shown(entry, kind, tuple(named))


def _wrapped(line: str, indent: int) -> str:
    width = max(terminal.width(), indent + 30)
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


COMMAND = Command(
    "captures", "list the recordings known by name, by what they show", _arguments, _run,
    ("jitsilab captures", "jitsilab captures --kind failing turn", "jitsilab captures --cause udp-blocked",
     "jitsilab captures --export turn-refused /tmp/turn-refused"),
)  # fmt: skip
