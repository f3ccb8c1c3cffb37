"""``jitsilab report``: the study's report, or that of another capture."""

import argparse
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from jitsilab.commands import Command, check_folders, takes_evidence
from jitsilab.errors import ParameterError


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False, default="project3-2020")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
                        help="a parameter of the notebooks; may be given more than once")  # fmt: skip
    parser.add_argument("-o", type=Path, metavar="DIR", dest="out",
                        help="folder to write to (default: report/ for the study, else out/NAME/)")  # fmt: skip
    parser.add_argument("--share", action="store_true",
                        help="do not finish where the report gives away addresses, names, clocks or keys")  # fmt: skip


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
    make = functools.partial(
        report.run, arguments.evidence[0], keylog=arguments.keylog[0].resolve() if arguments.keylog else None,
        facts=arguments.facts[0] if arguments.facts else None, parameters=parameters,
        point=arguments.point, use_keylog=not arguments.no_keylog,
    )  # fmt: skip
    folder = _shared(make, arguments.out) if arguments.share else make(out=arguments.out)
    print(f"The report is in {folder}: Project3.md, Project3.html, Project3.pdf")
    return 0


def _shared(make: Callable[..., Path], out: Path | None) -> Path:
    """Write the report where nobody looks, and hand it over only where it gives nothing away."""
    from jitsilab.sharing import LeakError, leaks

    if out is None:
        raise ParameterError("report --share needs a folder: -o DIR.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ParameterError(f"{out} is there already: name a new folder.")
    with tempfile.TemporaryDirectory(prefix="jitsilab-", dir=out.absolute().parent) as scratch:
        made = make(out=Path(scratch) / out.name)
        found = leaks.scan([made])
        if found:
            first = "; ".join(f"{Path(one.input).name}, {one.place}: {one.kind}" for one in found[:5])
            raise LeakError(f"The report would give away {len(found)} things ({first}). Nothing was written.")
        if out.is_dir():
            out.rmdir()
        shutil.move(made, out)
    return out


COMMAND = Command(
    "report", "write the Project3 report of a capture: Markdown, HTML, PDF, figures, results", _arguments, _run,
    ("jitsilab report", "jitsilab report call.pcapng --keylog keys.log"),
)  # fmt: skip
