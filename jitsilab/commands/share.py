"""``jitsilab share``: the case under other names, so that others can look at it."""

import argparse
import hashlib
import sys
from pathlib import Path

from jitsilab import terminal
from jitsilab.commands import Command, load, takes_evidence
from jitsilab.errors import ParameterError


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR|FILE",
                        help="a new folder, an archive (.zip, .tar, .tar.gz), or for one capture a file")  # fmt: skip
    parser.add_argument("--key", metavar="TEXT", help="same key, same pseudonyms; without it they are new each time")
    map_help = "where it is written what stands for what, for you alone (default: beside the output)"
    parser.add_argument("--map", type=Path, metavar="FILE", help=map_help)
    parser.add_argument("--software", action="store_true", help="hide the versions of programs that STUN tells too")
    parser.add_argument("--pack", action="store_true",
                        help="with diagnosis, versions, the frames that prove it and a text for a tracker")  # fmt: skip
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--shift-time", type=float, default=0.0, metavar="SECONDS",
                       help="add this to every time, in texts too (whole seconds there)")  # fmt: skip
    times.add_argument("--relative", action="store_true",
                       help="let captures begin at time 0, a case with texts in January 2011")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab import sharing

    call = load(arguments)
    options = sharing.Options(
        key=hashlib.sha256(arguments.key.encode()).digest() if arguments.key else b"", software=arguments.software,
        shift=round(arguments.shift_time * 1e9), relative=arguments.relative, map=arguments.map,
        pack=arguments.pack,
    )  # fmt: skip
    texts = [piece.input for piece in call.evidence.pieces if piece.kind not in ("capture", "key-log")]
    if options.shift % 1_000_000_000 and texts:
        raise ParameterError(f"{texts[0]} may write whole seconds: give --shift-time a whole number of seconds.")
    roots = [Path(name) for name in (*arguments.evidence, *(arguments.facts or ())) if Path(name).is_dir()]
    shared = sharing.share(call.evidence, roots, arguments.output, options)
    print(terminal.printable(f"{len(shared.files)} files shared in {arguments.output}."))
    for omitted in shared.left_out:
        sys.stderr.write(terminal.printable(f"left out: {omitted}\n"))
    print(terminal.printable(f"What stands for what is in {shared.map_path}: keep it to yourself."))
    return 0


COMMAND = Command(
    "share", "write the case under other names, addresses and secrets, which still decodes", _arguments, _run,
    ("jitsilab share call.pcapng --keylog keys.log -o shared/", "jitsilab share case/ --pack -o issue.zip"),
)  # fmt: skip
