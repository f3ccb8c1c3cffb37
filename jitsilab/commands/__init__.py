"""The subcommands of ``jitsilab`` as data: a module each, which says its name, what it does, what it takes, and runs.

A new subcommand is a module here and its name in `NAMES`.
"""

import argparse
import contextlib
import importlib
import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab import outputs, terminal
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    from jitsilab.call import Call

NAMES = (
    "diagnose",
    "report",
    "audit",
    "evidence",
    "table",
    "survey",
    "share",
    "leaks",
    "record",
    "deploy",
    "mcp",
    "tables",
    "captures",
    "completion",
    "help",
)  # in the order of ``--help``


class Command(NamedTuple):
    """One subcommand."""

    name: str
    text: str  # one line, for `jitsilab --help`
    arguments: Callable[[argparse.ArgumentParser], None]  # adds what it takes
    run: Callable[[argparse.Namespace], int | None]  # gives the exit code, None for 0
    examples: tuple[str, ...] = ()  # command lines, for its own ``--help``


def commands() -> list[Command]:
    """Every subcommand."""
    return [importlib.import_module(f"{__name__}.{name}").COMMAND for name in NAMES]


EVIDENCE = (
    "a capture (also compressed), packets printed by tshark or tcpdump, a key log, a log of the bridge, the focus, "
    "Prosody, nginx or coturn (also docker compose logs, journalctl), a browser's console, HAR or webrtc-internals "
    "dump, an answer of a server, a configuration file, a folder or an archive of such; - for standard input; "
    "or the name of a recording"
)


def takes_evidence(parser: argparse.ArgumentParser, *, required: bool = True, default: str | None = None) -> None:
    """The arguments of every command that reads evidence."""
    if required:
        parser.add_argument("evidence", nargs="+", metavar="EVIDENCE", help=EVIDENCE)
    else:
        parser.add_argument("evidence", nargs="*", default=[default] if default else [], metavar="EVIDENCE",
                            help=EVIDENCE)  # fmt: skip
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--keylog", type=Path, action="append", metavar="FILE",
                      help="TLS secrets (SSLKEYLOGFILE), a file or a folder; may be given more than once")  # fmt: skip
    keys.add_argument("--no-keylog", action="store_true", help="do not use the key log that comes with a name")
    parser.add_argument("--facts", type=Path, action="append", metavar="DIR",
                        help="folder of a server's configuration files; may be given more than once")  # fmt: skip
    parser.add_argument("--tz", metavar="ZONE", default="",
                        help="zone of logs that write none: Europe/Berlin, or +02:00")  # fmt: skip
    parser.add_argument("--point", metavar="POINT", help="another capture of a recording, for example any")


def takes_colour(parser: argparse.ArgumentParser) -> None:
    """``--color``, for commands that print for people."""
    parser.add_argument("--color", choices=terminal.COLOURS, default="auto",
                        help="colours: auto on a terminal unless NO_COLOR is set (default: auto)")  # fmt: skip


def as_given(arguments: argparse.Namespace) -> str:
    """How the evidence was named, to be named so again; empty where that cannot be done: what a pipe gave is gone."""
    if "-" in arguments.evidence or getattr(arguments, "here", False):
        return ""
    words = [str(name) for name in arguments.evidence]
    words += [word for path in arguments.keylog or () for word in ("--keylog", str(path))]
    words += [word for path in arguments.facts or () for word in ("--facts", str(path))]
    words += ["--point", arguments.point] if arguments.point else []
    words += ["--no-keylog"] if arguments.no_keylog else []
    words += ["--tz", arguments.tz] if getattr(arguments, "tz", None) else []
    return shlex.join(words)


def load(arguments: argparse.Namespace, *evidence: str) -> "Call":
    """Open what the arguments name; ``evidence`` stands for their own where it is given."""
    from jitsilab import call

    check_folders(arguments)
    return call.load(
        *(evidence or arguments.evidence), keylog=arguments.keylog, point=arguments.point, facts=arguments.facts,
        use_keylog=not arguments.no_keylog, progress=sys.stderr.isatty(), tz=arguments.tz,
    )  # fmt: skip


def check_folders(arguments: argparse.Namespace) -> None:
    """A missing key log, or folder of facts, is said before anything is read."""
    for path in arguments.keylog or ():
        if not path.exists():
            from jitsilab.wire.decrypt import keylog

            raise ParameterError(f"There is no key log {keylog.shown(path)}.")
    for path in arguments.facts or ():
        if not path.exists():
            raise ParameterError(f"There is no folder {path}: --facts takes a server's configuration files.")


def output(path: Path | None) -> Any:
    """A text file to write to, or standard output, which stays open and, where it is a terminal, shows no controls."""
    if path is not None:
        return outputs.whole(path, text=True)
    shown = sys.stdout or io.StringIO()  # closed by who started us
    return contextlib.nullcontext(terminal.Printable(shown) if shown.isatty() else shown)
