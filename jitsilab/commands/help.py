"""``jitsilab help``: what a command takes and gives; without one, what there is and what to do first."""

import argparse
from pathlib import Path

from jitsilab import terminal
from jitsilab.commands import Command
from jitsilab.errors import ParameterError

_ENDINGS = (".pcap", ".pcapng", ".cap", ".log", ".har", ".pcap.gz", ".pcapng.gz", ".pcapng.zst")
_MOST = 5

FIRST = """\
jitsilab reads whatever evidence there is of a Jitsi Meet call: who had no media, why, and which line to change.

{here}  on the server itself     sudo jitsilab diagnose --here
  files, folders, archives jitsilab diagnose call.pcapng jvb.log console.txt
  docker's logs            docker compose logs | jitsilab diagnose -
  nothing recorded yet     sudo jitsilab record -o call.pcapng
  a server's holes         jitsilab audit /etc
  to look around           jitsilab diagnose turn-refused; jitsilab captures

All commands: jitsilab --help. One of them, with examples: jitsilab help diagnose."""


def first() -> str:
    """What to do next, for somebody who typed the name alone; evidence that lies here is named."""
    try:
        there = sorted(path.name for path in Path().iterdir() if path.name.lower().endswith(_ENDINGS))[:_MOST]
    except OSError:
        there = []
    words = " ".join(terminal.printable(name).join("''") if " " in name else name for name in there)
    return terminal.printable(
        FIRST.format(here=f"  what lies here           jitsilab diagnose {words}\n" if there else "")
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="of which")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command is None:
        arguments.top.print_help()
        return 0
    commands = next(
        action for action in arguments.top._actions if isinstance(action, argparse._SubParsersAction)
    ).choices
    if arguments.command not in commands:
        raise ParameterError(terminal.unknown("command", arguments.command, commands))
    commands[arguments.command].print_help()
    return 0


COMMAND = Command(
    "help", "say what a command takes, with examples", _arguments, _run, ("jitsilab help", "jitsilab help diagnose")
)
