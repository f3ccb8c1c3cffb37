"""``jitsilab report``: the study's report, or that of another capture."""

import argparse
from pathlib import Path

from jitsilab.commands import Command, check_folders, takes_evidence
from jitsilab.errors import ParameterError


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False, default="project3-2020")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
                        help="a parameter of the notebooks; may be given more than once")  # fmt: skip
    parser.add_argument("-o", type=Path, metavar="DIR", dest="out",
                        help="folder to write to (default: report/ for the study, else out/NAME/)")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.pages import report

    parameters = {}
    for pair in arguments.parameters:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"-p takes NAME=VALUE, not {pair!r}.")
        parameters[name] = value
    if len(arguments.evidence) > 1 or len(arguments.keylog or ()) > 1 or len(arguments.facts or ()) > 1:
        raise ParameterError("report takes one capture, one key log and one folder of facts.")
    check_folders(arguments)
    folder = report.run(
        arguments.evidence[0], keylog=arguments.keylog[0].resolve() if arguments.keylog else None,
        facts=arguments.facts[0] if arguments.facts else None, parameters=parameters, out=arguments.out,
        point=arguments.point, use_keylog=not arguments.no_keylog,
    )  # fmt: skip
    print(f"The report is in {folder}: Project3.md, Project3.html, Project3.pdf")
    return 0


COMMAND = Command(
    "report", "write the Project3 report of a capture: Markdown, HTML, PDF, figures, results", _arguments, _run,
    ("jitsilab report", "jitsilab report call.pcapng --keylog keys.log"),
)  # fmt: skip
