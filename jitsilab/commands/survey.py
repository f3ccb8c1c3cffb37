"""``jitsilab survey``: many captures and cases to one Parquet dataset a table, over Dask."""

import argparse
import sys
from pathlib import Path

from jitsilab import terminal
from jitsilab.commands import Command
from jitsilab.errors import ParameterError

TABLES = "calls, participants, findings, errors"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH",
                        help="files, archives (each is a case), folders (each entry is a case), patterns, addresses "
                        "(s3://, gs://, http://)")  # fmt: skip
    parser.add_argument("-o", type=Path, required=True, metavar="DIR", dest="out",
                        help=f"folder of the dataset: {TABLES}; what it holds and is unchanged is not done "
                        "again")  # fmt: skip
    parser.add_argument("--whole", action="store_true", help="each folder named is one case")
    parser.add_argument("--table", action="append", default=[], metavar="NAME",
                        help="also keep this table of each case; may be given more than once")  # fmt: skip
    parser.add_argument("--keylog", type=Path, action="append", metavar="FILE",
                        help="TLS secrets for every case, beside those that lie in it")  # fmt: skip
    parser.add_argument("--facts", type=Path, action="append", metavar="DIR",
                        help="a server's configuration, for every case")  # fmt: skip
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    where.add_argument("--scheduler", metavar="ADDR",
                       help="a running Dask scheduler, for example tcp://10.0.0.5:8786; its workers must see the "
                       "paths and DIR")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="do every case, done or not")
    parser.add_argument("--report", action="store_true",
                        help="also write report.html and report.md of the whole dataset into DIR")  # fmt: skip
    parser.add_argument("--by", default="", metavar="WHAT",
                        help="what the report compares: server (default), version, bridge_version, focus_version, "
                        "prosody_version, domain, or a date (before and after)")  # fmt: skip
    parser.add_argument("--reports", type=Path, metavar="DIR2",
                        help="folder of single reports that the report links to: DIR2/ID/report.html")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="say what the cases are, and do nothing")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        from jitsilab.fleet.cases import cases

        for case in cases(arguments.paths, arguments.whole):
            print(terminal.printable(case.source).replace("\n", "\\n"))
        return 0
    from jitsilab.fleet import survey

    if arguments.report:
        try:
            from jitsilab.pages import overview
        except ImportError as error:
            raise ParameterError(f"--report needs {error.name}: pip install 'jitsilab[lab]'.") from None
    done = survey(
        arguments.paths, arguments.out, scheduler=arguments.scheduler, workers=arguments.workers,
        whole=arguments.whole, keylog=arguments.keylog, facts=arguments.facts, tables=arguments.table,
        again=arguments.again, progress=sys.stderr.isatty(),
    )  # fmt: skip
    counts = [f"{done.states[state]} {state}" for state in ("done", "unchanged", "failed") if done.states[state]]
    print(terminal.printable(f"{sum(done.states.values())} cases: {', '.join(counts)}. The dataset: {arguments.out}"))
    for source, why in done.failures:
        print(terminal.printable(f"  not read: {source}: {why}").replace("\n", "\\n"))
    if done.states["failed"] > len(done.failures):
        print(f"  and {done.states['failed'] - len(done.failures)} more: table errors, where lost is true")
    if arguments.report:
        contents = overview.Overview(done, arguments.by, arguments.reports)
        print(f"The report: {arguments.out}/{overview.write(contents, arguments.out)[-1]}")
    return 0


COMMAND = Command(
    "survey", "diagnose and audit many captures and cases to one dataset", _arguments, _run,
    ("jitsilab survey evidence/ -o fleet/", "jitsilab survey 's3://calls/2026-11-*/*.pcapng' -o fleet/",
     "jitsilab survey evidence/ -o fleet/ --scheduler tcp://10.0.0.5:8786"),
)  # fmt: skip
