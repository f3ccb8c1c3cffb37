"""``jitsilab audit``: the security of session creation, from packets and from a server's configuration."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import terminal
from jitsilab.commands import Command, load, takes_colour, takes_evidence
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jitsilab.call import Call
    from jitsilab.facts import Facts
    from jitsilab.judge.findings import Finding

SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code scanning")
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high",
                        help="exit 1 where a check fails at or above this severity (default: high)")  # fmt: skip
    parser.add_argument("--accept", type=Path, metavar="FILE",
                        help="risks that somebody has taken, which do not fail: lines of "
                        "`SEC-09 2026-11-29 [until 2027-06-30] why`, or JSON")  # fmt: skip
    parser.add_argument("--against", metavar="OLD",
                        help="what changed since an earlier audit: its --json, or the evidence of then")  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="every check by area: also what shows each pass, why others could not be judged, and "
                        "each input")  # fmt: skip
    takes_colour(parser)


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.judge import findings

    if not arguments.evidence and not arguments.facts:
        raise ParameterError("audit needs a capture, a folder of facts (--facts DIR), or both.")
    taken = findings.read_accepted(arguments.accept) if arguments.accept is not None else []
    old = _earlier(arguments)
    call, facts = _opened(arguments, *arguments.evidence)
    audited = findings.accept(findings.audit(call if call is not None and call.packets else None, facts), taken)
    changed = findings.changes(old, audited) if old is not None else None
    inputs = findings.inputs(call, facts)
    capture = next((source.input for source in call.packets), None) if call is not None else None
    if arguments.sarif:
        from jitsilab.pages import sarif

        print(terminal.to_json(sarif.to_sarif(audited, capture, inputs, changed), indent=1))
    elif arguments.json:
        document = findings.to_json(audited, inputs, capture=capture or "", changes=changed)
        print(terminal.to_json(document, indent=1))
    else:
        colour = terminal.coloured(arguments.color)
        text = findings.to_text(
            audited, terminal.width(), inputs=inputs, colour=colour, verbose=arguments.verbose, changes=changed
        )
        print(text if colour else terminal.printable(text))
    return int(findings.fails_at(audited, arguments.fail_on))


def _opened(arguments: argparse.Namespace, *evidence: str) -> "tuple[Call | None, Facts | None]":
    """The evidence as a call, and the server's files in it or beside it. Raises where there is nothing to read."""
    from jitsilab import facts
    from jitsilab.commands import check_folders
    from jitsilab.judge import findings

    check_folders(arguments)
    call = load(arguments, *evidence) if evidence else None
    configuration = call.facts if call is not None else facts.load(*arguments.facts)
    findings.require_evidence(call, configuration)
    return call, configuration


def _earlier(arguments: argparse.Namespace) -> "Sequence[Finding | Mapping[str, Any]] | None":
    """The findings to compare with: of a file that an audit wrote, else of what was evidence then."""
    from jitsilab.judge import findings

    if arguments.against is None:
        return None
    path = Path(arguments.against)
    if path.is_file() and (rows := findings.earlier(path)) is not None:
        return rows
    alone = argparse.Namespace(**{**vars(arguments), "facts": None, "keylog": None})
    call, facts = _opened(alone, arguments.against)
    return findings.audit(call if call is not None and call.packets else None, facts)


COMMAND = Command(
    "audit", "check a capture and a server's configuration for holes in session creation", _arguments, _run,
    ("jitsilab audit call.pcapng --facts /etc", "jitsilab audit --facts facts/ --json > today.json",
     "jitsilab audit --facts facts/ --against today.json --accept risks.txt"),
)  # fmt: skip
