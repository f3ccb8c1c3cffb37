"""``jitsilab mcp``: the same answers for assistants, over standard input and output."""

import argparse
import gc
from pathlib import Path

from jitsilab.commands import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow", type=Path, action="append", required=True, metavar="DIR",
                        help="a folder to read from, and what is below it; nothing else is read; may be given more "
                        "than once")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab import assistants

    gc.enable()  # this one runs for long
    assistants.serve(arguments.allow)
    return 0


COMMAND = Command(
    "mcp", "offer diagnose, audit, tables, timeline and evidence to an assistant, over stdio (MCP)", _arguments, _run,
    ("jitsilab mcp --allow ~/cases",),
)  # fmt: skip
