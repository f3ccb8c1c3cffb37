"""``jitsilab diagnose``: who had media, who had none, why, and what to change."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jitsilab import terminal
from jitsilab.commands import Command, as_given, load, takes_colour, takes_evidence

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis import Diagnosis
    from jitsilab.judge.diagnosis.changes import Changes

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
    parser.add_argument("--against", metavar="OLD",
                        help="say what changed since an older case, and nothing else: who has media now, which "
                        "causes and conditions went, came, stayed; OLD is evidence, or a saved --json")  # fmt: skip
    for name, words in (("since", "from"), ("until", "until")):
        parser.add_argument(f"--{name}", metavar="T", default="",
                            help=f"only what was {words} then: 2026-11-29T16:06 (in --tz, else UTC), 16:06 where the "
                            "evidence is of one day, or 15m before its end")  # fmt: skip
    parser.add_argument("--room", default="", help="only this room's calls: its name, JID or address")
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
    if arguments.since or arguments.until or arguments.room:
        call = call.within(arguments.since, arguments.until, arguments.room, arguments.tz)
    diagnosis = call.diagnosis
    for claim in arguments.claim or ():
        from jitsilab.judge import claims

        diagnosis.hypotheses.append(claims.tested(claim, diagnosis, call.tables()))
    changed = since(arguments, diagnosis) if arguments.against is not None else None
    if arguments.json:
        answer = diagnosis.to_json() | ({"changes": changed.to_json()} if changed is not None else {})
        print(terminal.to_json(answer, indent=1))
    elif changed is not None:
        print(terminal.printable(changed.to_text(terminal.width())))
    else:
        colour = terminal.coloured(arguments.color)
        text = diagnosis.to_text(terminal.width(), colour=colour, short=True, given=as_given(arguments))
        print(text if colour else terminal.printable(text))
    return int(diagnosis.fails_at(arguments.fail_on))


def since(arguments: argparse.Namespace, diagnosis: "Diagnosis") -> "Changes":
    """What changed since the older case: a file of its answer, else its evidence."""
    from jitsilab.judge.diagnosis import changes

    path = Path(arguments.against)
    before = changes.earlier(path) if path.is_file() else None
    if before is None:
        alone = argparse.Namespace(**{**vars(arguments), "facts": None, "keylog": None, "point": None})
        before = load(alone, arguments.against).diagnosis.to_json()
    return changes.changes(before, diagnosis.to_json())


COMMAND = Command(
    "diagnose", "say for each participant: media path, stage reached, cause, what to change", _arguments, _run,
    ("jitsilab diagnose turn-refused", "jitsilab diagnose call.pcapng jvb.log console.txt --facts /etc",
     "docker compose logs | jitsilab diagnose -", "jitsilab diagnose today/ --against yesterday/",
     "sudo jitsilab diagnose --here"),
)  # fmt: skip
