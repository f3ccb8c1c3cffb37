"""``jitsilab leaks``: what a file still gives away, before somebody publishes it."""

import argparse

from jitsilab import terminal
from jitsilab.commands import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH",
                        help="captures, text, logs, CSV, HTML, PDF, notebooks, JSON; folders and archives")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs")


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.sharing import leaks

    hits = leaks.scan(arguments.paths)
    if arguments.json:
        print(terminal.to_json({"leaks": [leak._asdict() for leak in hits]}, indent=1))
    else:
        for hit in hits:
            more = f" ({hit.times} times)" if hit.times > 1 else ""
            print(terminal.printable(f"{hit.input}, {hit.place}: {hit.kind}: {hit.what}{more}"))
        if not hits:
            print("Nothing found that tells of people or machines.")
    return int(bool(hits))


COMMAND = Command(
    "leaks", "say what a file still gives away: addresses, names, clocks, keys", _arguments, _run,
    ("jitsilab leaks report.pdf tables/", "jitsilab leaks shared/"),
)  # fmt: skip
