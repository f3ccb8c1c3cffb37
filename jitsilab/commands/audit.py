"""``jitsilab audit``: the security of session creation, from packets and from a server's configuration."""

import argparse
from typing import TYPE_CHECKING

from jitsilab import terminal
from jitsilab.commands import Command, load, takes_evidence
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    from jitsilab.facts import Facts

SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code scanning")
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high",
                        help="exit 1 where a check fails at or above this severity (default: high)")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.judge import findings

    if not arguments.evidence and not arguments.facts:
        raise ParameterError("audit needs a capture, a folder of facts (--facts DIR), or both.")
    call = load(arguments, *arguments.evidence) if arguments.evidence else None
    facts = call.facts if call is not None else _facts(arguments)
    found = findings.audit(call if call is not None and call.packets else None, facts)
    if arguments.sarif:
        from jitsilab.pages import sarif

        capture = arguments.evidence[0] if arguments.evidence else None
        print(terminal.to_json(sarif.to_sarif(found, capture=capture), indent=1))
    elif arguments.json:
        print(terminal.to_json(findings.to_json(found), indent=1))
    else:
        print(terminal.printable(findings.to_text(found)))
    return int(findings.fails_at(found, arguments.fail_on))


def _facts(arguments: argparse.Namespace) -> "Facts":
    """Configuration alone, with no other evidence."""
    from jitsilab import facts
    from jitsilab.commands import check_folders

    check_folders(arguments)
    return facts.load(arguments.facts[0])


COMMAND = Command(
    "audit", "check a capture and a server's configuration for holes in session creation", _arguments, _run,
    ("jitsilab audit call.pcapng --facts /etc", "jitsilab audit --facts facts/ --json"),
)  # fmt: skip
