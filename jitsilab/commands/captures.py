"""``jitsilab captures``: the recordings that are known by name."""

import argparse
from pathlib import Path

from jitsilab.commands import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--export", nargs=2, metavar=("NAME", "DIR"), help="write a recording's plain files to a folder"
    )


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.inputs import registry

    if arguments.export:
        name, folder = arguments.export
        print(f"{name} is in {registry.export(name, Path(folder))}")
        return 0
    entries = registry.entries()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:{width}}  {entry.shows}")
    return 0


COMMAND = Command("captures", "list the captures known by name", _arguments, _run)
