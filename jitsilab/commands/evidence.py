"""``jitsilab evidence``: the frames and lines that bear out a cause, a step or a check."""

import argparse
from pathlib import Path

from jitsilab import outputs, terminal
from jitsilab.commands import Command, load, takes_evidence
from jitsilab.errors import ParameterError


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--cause", metavar="NAME", help="a cause or condition, as diagnose names it in brackets")
    what.add_argument("--step", metavar="ID", help="a step of the theory: S01 to S35 (docs/steps.md)")
    what.add_argument("--check", metavar="ID", help="a security check: SEC-01 to SEC-41 (docs/checks.md)")
    parser.add_argument("-o", type=Path, metavar="FILE", dest="out",
                        help="a pcapng of the frames with comments that say why each is there, of several captures in "
                        "order of time, each an interface of its own; .gz, .zst and .xz are packed, and a .txt takes "
                        "the lines")  # fmt: skip
    parser.add_argument("--with-keys", action="store_true",
                        help="put the connections' TLS secrets in, and all their frames up to these: whoever has the "
                        "file reads them, passwords too")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.judge import proof

    call = load(arguments)
    gathered = proof.gather(call, cause=arguments.cause, step=arguments.step, check=arguments.check)
    lines = list(proof.lines(call, gathered))
    for input, filter in gathered.filters().items():
        print(terminal.printable(f"{input}: {filter}"))
    shown = [f"{line.place}: {line.text}" if line.text else str(line.place) for line in lines]
    if arguments.out is not None and arguments.out.suffix == ".txt":
        if not shown:
            raise ParameterError("No line bears it out, frames alone: name a .pcapng with -o.")
        with outputs.whole(arguments.out, text=True) as file:
            file.write("\n".join(shown) + "\n")
        print(terminal.printable(f"{len(shown)} lines are in {arguments.out}."))
        return 0
    for text in shown:
        print(terminal.printable(text))
    if arguments.out is None:
        return 0
    if not gathered.reasons:
        raise ParameterError("No frame bears it out, lines alone: name a .txt with -o.")
    with outputs.place(arguments.out) as part:
        made = proof.write(call, gathered, part, with_keys=arguments.with_keys)
        for input in made.unwritten:
            print(terminal.printable(f"{input} is no capture: of its packets there are no bytes."))
        if not made.frames:
            raise ParameterError("Of these frames there are no bytes: nothing was written.")
    several = f" of {made.captures} captures, in order of time" if made.captures > 1 else ""
    print(terminal.printable(f"{made.frames} frames{several} are in {arguments.out}: frame.comment says why."))
    print(
        "It holds TLS secrets: keep it to yourself." if made.keys else
        "It holds no TLS secrets; what went in clear stands in it: jitsilab share before others see it."
    )  # fmt: skip
    return 0


COMMAND = Command(
    "evidence", "write the frames that bear out a cause, a step or a check, with comments, for Wireshark",
    _arguments, _run,
    ("jitsilab evidence turn-refused --cause turn-permission-refused -o refused.pcapng",
     "jitsilab evidence call.pcapng --keylog keys.log --step S19 -o s19.pcapng",
     "jitsilab evidence call.pcapng --facts /etc --check SEC-18 -o sec-18.pcapng && wireshark sec-18.pcapng"),
)  # fmt: skip
