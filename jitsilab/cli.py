"""The command ``jitsilab``: arguments become the calls that a notebook would make, and errors become one sentence."""

import argparse
import atexit
import gc
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from jitsilab import terminal
from jitsilab.errors import LabError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code: 0 done, 1 a finding, 2 bad input or usage, 130 interrupted."""
    terminal.safe_streams()
    # Nothing here multiplies matrices, and a pool of threads for it is half of what the import of numpy takes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator takes and gives back memory so often that the kernel's clearing of pages shows.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    collecting = gc.isenabled()
    gc.disable()  # a capture is millions of records without a cycle among them, and a command ends soon
    atexit.register(gc.freeze)  # nor are they taken apart one by one before the process is gone
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("jitsilab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to say
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _drop_unwritten()
        return _refused(where + (error.strerror or str(error)))
    finally:
        if collecting:
            gc.enable()


def _run(argv: Sequence[str] | None) -> int:
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        if not words:
            from jitsilab.commands.help import first

            print(first())
            return 0
        arguments, unknown = parser().parse_known_args(words)
        if unknown:
            arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return int(arguments.run(arguments) or 0)
    except LabError as error:
        return _refused(str(error))
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()  # a reader that went away shows here, not when Python ends


def _drop_unwritten() -> None:
    """Where standard output takes no more, keep Python from trying again when it ends, with an exit code of its own."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(sentence: str) -> int:
    line = terminal.printable(sentence).replace("\n", "\\n")  # a file may be called so
    print(f"jitsilab: {line}", file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    from jitsilab import __version__
    from jitsilab.commands import commands

    top = Parser(
        prog="jitsilab",
        description="Reads whatever evidence there is of a Jitsi Meet call: which step of session creation failed for "
        "whom, why, what to change, and which holes there are. Only `deploy check` sends anything.",
    )
    top.add_argument("-V", "--version", action="version", version=f"jitsilab {__version__}")
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for subcommand in commands():
        examples = (
            "examples:\n" + "".join(f"  {line}\n" for line in subcommand.examples) if subcommand.examples else None
        )
        command = subparsers.add_parser(
            subcommand.name, help=subcommand.text, description=subcommand.text[0].upper() + subcommand.text[1:] + ".",
            epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        subcommand.arguments(command)
        command.set_defaults(run=subcommand.run, top=top, parser=command)
    return top


class Parser(argparse.ArgumentParser):
    """A parser whose errors say what may have been meant."""

    def error(self, message: str) -> NoReturn:
        """End with the usage, what is wrong, and a suggestion."""
        super().error(terminal.printable(_suggesting(message, self)).replace("\n", "\\n"))


_CHOICE = re.compile(r"(?s)(.*invalid choice: )'(.*)' \(choose from (.*)\)\Z")
_UNKNOWN = re.compile(r"(?s)unrecognized arguments: (\S+)")


def _suggesting(message: str, parser: argparse.ArgumentParser) -> str:
    if match := _CHOICE.fullmatch(message):
        known = [choice.strip(" '") for choice in match[3].split(",")]
        near = terminal.nearest(match[2], known)
        return f"{match[1]}{match[2]!r}. Did you mean {' or '.join(near)}?" if near else message
    if match := _UNKNOWN.match(message):
        known = [name for action in parser._actions for name in action.option_strings]
        near = terminal.nearest(match[1].partition("=")[0], known) if match[1].startswith("-") else []
        return f"{message}. Did you mean {' or '.join(near)}?" if near else message
    return message
