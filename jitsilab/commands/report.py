"""``jitsilab report``: the study's report, or the case report of one's own evidence."""

import argparse
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from jitsilab import outputs
from jitsilab.commands import Command, check_folders, load, takes_evidence
from jitsilab.errors import ParameterError

STUDY = "project3-2020"
STAGES = 9  # that a case report tells of: reading, then what `casereport.write` says comes next


def _arguments(parser: argparse.ArgumentParser) -> None:
    takes_evidence(parser, required=False, default=STUDY)
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
                        help="a parameter of the study's notebooks; may be given more than once")  # fmt: skip
    parser.add_argument("-o", type=Path, metavar="DIR", dest="out",
                        help="folder to write to (default: report/ for the study, else out/NAME/)")  # fmt: skip
    parser.add_argument("--against", metavar="OLD",
                        help="also what changed since an older case: its evidence, or a saved --json")  # fmt: skip
    parser.add_argument("--share", action="store_true",
                        help="do not finish where the report gives away addresses, names, clocks or keys")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    parameters = {}
    for pair in arguments.parameters:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"-p takes NAME=VALUE, not {pair!r}.")
        parameters[name] = value
    check_folders(arguments)
    make = functools.partial(_study, arguments, parameters)
    if arguments.evidence == [STUDY]:
        if arguments.against is not None:
            raise ParameterError("The study's report is compared with nothing: name the evidence of a newer case.")
    else:
        if parameters:
            raise ParameterError("-p sets what the study's notebooks take; a case report has no parameters.")
        make = functools.partial(_case, arguments)
    folder, files = _shared(arguments, make, arguments.out) if arguments.share else make(out=arguments.out)
    print(f"The report is in {folder}: {', '.join(files)}")
    return 0


def _study(arguments: argparse.Namespace, parameters: dict[str, str], out: Path | None) -> tuple[Path, list[str]]:
    """The study's report, or what its notebooks say with other facts."""
    from jitsilab.pages import report

    if len(arguments.keylog or ()) > 1 or len(arguments.facts or ()) > 1:
        raise ParameterError("The study's report takes one key log and one folder of facts.")
    folder = report.run(
        arguments.evidence[0], keylog=arguments.keylog[0].resolve() if arguments.keylog else None,
        facts=arguments.facts[0] if arguments.facts else None, parameters=parameters,
        point=arguments.point, use_keylog=not arguments.no_keylog, out=out,
    )  # fmt: skip
    return folder, ["Project3.md", "Project3.html", "Project3.pdf"]


def _case(arguments: argparse.Namespace, out: Path | None) -> tuple[Path, list[str]]:
    """The case report of whatever the arguments name."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would keep `jitsilab.pcap.cores` from having processes
    with tqdm(total=STAGES, desc="reading the evidence", disable=None, leave=False,
              bar_format="{desc:<48}{bar:20} {elapsed}") as bar:  # fmt: skip
        call = load(arguments)

        def tell(stage: str) -> None:
            bar.update()
            bar.set_description(stage)

        changed = None
        if arguments.against is not None:
            from jitsilab.commands import diagnose

            changed = diagnose.since(arguments, call.diagnosis)
        from jitsilab.pages import casereport

        folder = out or Path("out") / casereport.folder_name(call.name)
        return folder, casereport.write(call, folder, tell, changed)


def _shared_before(arguments: argparse.Namespace) -> bool:
    """Whether the evidence gives nothing away itself: what `jitsilab share` wrote, of which the names are nobody's."""
    from jitsilab.sharing import leaks

    paths = [Path(name) for name in (*arguments.evidence, *(arguments.facts or ()), *(arguments.keylog or ()))]
    return all(path.exists() for path in paths) and not leaks.scan(paths)


def _shared(
    arguments: argparse.Namespace, make: Callable[..., tuple[Path, list[str]]], out: Path | None
) -> tuple[Path, list[str]]:
    """Write the report where nobody looks, and hand it over only where it gives nothing away."""
    from jitsilab.sharing import LeakError, leaks

    if out is None:
        raise ParameterError("report --share needs a folder: -o DIR.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ParameterError(f"{out} is there already: name a new folder.")
    with tempfile.TemporaryDirectory(prefix=outputs.PART, dir=out.absolute().parent) as scratch:
        made, files = make(out=Path(scratch) / out.name)
        hits = leaks.scan([made], trusted=_shared_before(arguments))
        if hits:
            first = "; ".join(f"{Path(hit.input).name}, {hit.place}: {hit.kind}" for hit in hits[:5])
            raise LeakError(f"The report would give away {len(hits)} things ({first}). Nothing was written.")
        if out.is_dir():
            out.rmdir()
        shutil.move(made, out)
    return out, files


COMMAND = Command(
    "report", "write a report: the study's, or of one's own evidence as HTML, Markdown, PDF and JSON", _arguments, _run,
    ("jitsilab report call.pcapng jvb.log console.txt --facts /etc", "jitsilab report call.pcapng --keylog keys.log",
     "jitsilab report                                  # the study of 2020 again"),
)  # fmt: skip
