"""``jitsilab diagnose``: who had media, who had none, why, and what to change."""

import argparse

from jitsilab import terminal
from jitsilab.commands import Command, load, takes_colour, takes_evidence

LEVELS = ("none", "degraded", "no-media")


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False)
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("--here", action="store_true",
                        help="also what this machine knows: configuration, sockets, logs of the last day, answers of "
                        "bridge and focus; collected into a private folder, secrets left out")  # fmt: skip
    parser.add_argument("--claim", action="append", metavar="CLAIM",
                        help="test what somebody says: 'WHO has media [over PATH]', 'WHO has no media "
                        "[because CAUSE]', 'no STUN between WHO and WHO [because REASON]'")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--fail-on", choices=LEVELS, default="none",
                        help="exit 1 where somebody has no media, or (degraded) where a condition holds or media "
                        "need TURN because UDP fails (default: none)")  # fmt: skip
    takes_colour(parser)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.here:
        from jitsilab import deploy

        arguments.evidence = [*arguments.evidence, str(deploy.collect_here())]
    elif not arguments.evidence:
        arguments.refuse("nothing to read: name some EVIDENCE, or give --here on the server itself")
    call = load(arguments)
    diagnosis = call.diagnosis
    for claim in arguments.claim or ():
        from jitsilab.judge import claims

        diagnosis.hypotheses.append(claims.tested(claim, diagnosis, call.tables()))
    if arguments.json:
        print(terminal.to_json(diagnosis.to_json(), indent=1))
    else:
        colour = terminal.coloured(arguments.color)
        said = diagnosis.to_text(terminal.width(), colour=colour, short=True)
        print(said if colour else terminal.printable(said))
    return int(diagnosis.fails_at(arguments.fail_on))


COMMAND = Command(
    "diagnose", "say for each participant: media path, stage reached, cause, what to change", _arguments, _run,
    ("jitsilab diagnose turn-refused", "jitsilab diagnose call.pcapng jvb.log console.txt --facts /etc",
     "docker compose logs | jitsilab diagnose -", "sudo jitsilab diagnose --here"),
)  # fmt: skip
