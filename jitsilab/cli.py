"""The command ``jitsilab``: arguments become the calls that a notebook would make, and errors become one sentence."""

import argparse
import atexit
import contextlib
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import terminal
from jitsilab.errors import LabError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from jitsilab.call import Call

SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code: 0 done, 1 a finding, 2 bad input or usage, 130 interrupted."""
    terminal.safe_streams()
    # Nothing here multiplies matrices, and a pool of threads for it is half of what the import of numpy takes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator takes and gives back memory so often that the kernel's clearing of pages shows.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    collecting = gc.isenabled()
    gc.disable()  # a capture is millions of records without a cycle among them, and a command ends soon
    atexit.register(gc.freeze)  # nor are they taken apart one by one before the process is gone
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("jitsilab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to say
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refused(where + (error.strerror or str(error)))
    finally:
        if collecting:
            gc.enable()


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
        return int(arguments.run(arguments) or 0)
    except LabError as error:
        return _refused(str(error))
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()  # a reader that went away shows here, not when Python ends


def _refused(sentence: str) -> int:
    line = terminal.printable(sentence).replace("\n", "\\n")  # a file may be called so
    print(f"jitsilab: {line}", file=sys.stderr)
    return 2


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = argparse.ArgumentParser(
        prog="jitsilab",
        description="Reads a capture of a Jitsi Meet call: which step of session creation failed for whom, why, "
        "what to change, and which holes there are. It sends nothing.",
    )
    from jitsilab import __version__

    top.add_argument("--version", action="version", version=f"jitsilab {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        one.set_defaults(run=run)
        return one

    one = command("report", _report, "write the Project3 report of a capture: Markdown, HTML, PDF, figures, results")
    _takes_capture(one, optional="project3-2020")
    one.add_argument("--facts", type=Path, metavar="DIR", help="folder of a server's configuration files")
    one.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
                     help="a parameter of the notebooks; may be given more than once")  # fmt: skip
    one.add_argument("-o", type=Path, metavar="DIR", dest="out",
                     help="folder to write to (default: report/ for the study, else out/NAME/)")  # fmt: skip

    one = command("table", _table, "print one table of one or more captures")
    one.add_argument("name", help="a table, as `jitsilab tables` lists them")
    _takes_capture(one, many=True)
    one.add_argument("--to", choices=("csv", "json", "parquet"), help="form (default: csv; parquet needs -o)")
    one.add_argument("-o", type=Path, metavar="FILE", dest="out", help="write to a file")
    one.add_argument("--like-tshark", action="store_true",
                     help="table frames as CSV, byte for byte as the study's `tshark -T fields` prints it")  # fmt: skip

    one = command("diagnose", _diagnose, "say for each participant: media path, stage reached, cause, what to change")
    _takes_capture(one)
    one.add_argument("--json", action="store_true", help="for programs")

    one = command("audit", _audit, "check a capture and a server's configuration for holes in session creation")
    _takes_capture(one, optional=None)
    one.add_argument("--facts", type=Path, metavar="DIR", help="folder of a server's configuration files")
    form = one.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code scanning")
    one.add_argument("--fail-on", choices=SEVERITIES, default="high",
                     help="exit 1 where a check fails at or above this severity (default: high)")  # fmt: skip

    one = command("deploy", _deploy, "print what collects a server's facts, or how to capture what a question needs")
    one.add_argument("what", choices=("facts", "capture"),
                     help="facts: a shell one-liner that collects the configuration, secrets left out; "
                     "capture: the commands that record what an analysis needs")  # fmt: skip

    command("tables", _tables, "list the tables and their columns")
    one = command("captures", _captures, "list the captures known by name")
    one.add_argument("--export", nargs=2, metavar=("NAME", "DIR"), help="write a recording's plain files to a folder")
    return top


def _takes_capture(one: argparse.ArgumentParser, *, many: bool = False, optional: str | None = "") -> None:
    text = "a path (pcap, pcapng, also compressed; tshark text or CSV), - for a capture on standard input, or a name"
    if many:
        one.add_argument("capture", nargs="+", help=text)
    elif optional == "":
        one.add_argument("capture", help=text)
    else:
        one.add_argument("capture", nargs="?", default=optional, help=text)
    keys = one.add_mutually_exclusive_group()
    keys.add_argument("--keylog", type=Path, metavar="FILE", help="TLS secrets (SSLKEYLOGFILE), a file or a folder")
    keys.add_argument("--no-keylog", action="store_true", help="do not use the key log that comes with a name")
    one.add_argument("--point", metavar="POINT", help="another capture of a recording, for example any")


def _load(arguments: argparse.Namespace, capture: str) -> "Call":
    from jitsilab.call import load

    _check_keylog(arguments)
    return load(capture, arguments.keylog, arguments.point, use_keylog=not arguments.no_keylog,
                progress=sys.stderr.isatty())  # fmt: skip


def _check_keylog(arguments: argparse.Namespace) -> None:
    """A missing key log is said before anything is read."""
    if arguments.keylog is not None and not arguments.keylog.exists():
        from jitsilab.wire.decrypt import keylog

        raise ParameterError(f"There is no key log {keylog.shown(arguments.keylog)}.")


def _report(arguments: argparse.Namespace) -> int:
    from jitsilab.pages import report

    parameters = {}
    for pair in arguments.parameters:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"-p takes NAME=VALUE, not {pair!r}.")
        parameters[name] = value
    keylog = arguments.keylog.resolve() if arguments.keylog else None
    folder = report.run(
        arguments.capture, keylog=keylog, facts=arguments.facts, parameters=parameters, out=arguments.out,
        point=arguments.point, use_keylog=not arguments.no_keylog,
    )  # fmt: skip
    print(f"The report is in {folder}: Project3.md, Project3.html, Project3.pdf")
    return 0


def _table(arguments: argparse.Namespace) -> int:
    from jitsilab.call import TABLES

    name, captures = arguments.name, arguments.capture
    if name not in TABLES:
        raise ParameterError(f"There is no table {name!r}. There are: {', '.join(TABLES)}.")
    to = arguments.to or (arguments.out.suffix.lstrip(".") if arguments.out else "") or "csv"
    if to not in ("csv", "json", "parquet"):
        to = "csv"
    if arguments.like_tshark and (name != "frames" or to != "csv" or len(captures) > 1):
        raise ParameterError("--like-tshark goes with the table frames of one capture, as csv.")
    if to == "parquet" and arguments.out is None:
        raise ParameterError("parquet is not text: name a file with -o.")
    _check_keylog(arguments)
    if name == "frames" and to == "csv" and len(captures) == 1 and _quick_frames(arguments, captures[0]):
        return 0
    rows = _rows(arguments, name, captures)
    if to == "parquet":
        rows.to_parquet(arguments.out, index=False)
    else:
        with _output(arguments.out) as out:
            _write(rows, to, out)
    return 0


def _quick_frames(arguments: argparse.Namespace, capture: str) -> bool:
    """The commonest table without the import of pandas; False where the general way has to be taken."""
    from jitsilab import pcap
    from jitsilab.call import locate

    path = locate(capture, arguments.point).path
    if not arguments.like_tshark and (path.is_dir() or (path.is_file() and not pcap.is_capture(path))):
        return False
    if arguments.like_tshark:
        from jitsilab.pcap.like_tshark import write
    else:
        from jitsilab.wire.frames_csv import write
    with _output(arguments.out) as out:
        write(path, out)
    return True


def _rows(arguments: argparse.Namespace, name: str, captures: list[str]) -> "pd.DataFrame":
    import pandas as pd

    from jitsilab.call import empty

    parts = []
    for capture in captures:
        rows = _load(arguments, capture).table(name)
        rows = empty(name) if rows is None else rows
        if len(captures) > 1:
            rows = rows.copy()
            rows.insert(0, "capture", capture)
        parts.append(rows)
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _output(path: Path | None) -> Any:
    """A text file to write to, or standard output, which stays open and, where it is a terminal, shows no controls."""
    if path is not None:
        return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    shown = sys.stdout or io.StringIO()  # closed by who started us
    return contextlib.nullcontext(terminal.Printable(shown) if shown.isatty() else shown)


def _write(rows: "pd.DataFrame", to: str, out: Any) -> None:
    """CSV and JSON: times as ISO 8601 UTC with nanoseconds, lists as one string with spaces, missing as null."""
    from jitsilab.tables import as_text

    rows = as_text(rows)
    if to == "csv":
        rows.to_csv(out, index=False, lineterminator="\n")
        return
    columns = [rows[column].astype(object).where(rows[column].notna(), None).tolist() for column in rows.columns]
    names = list(rows.columns)
    out.write("[")
    for number, row in enumerate(zip(*columns, strict=True)):
        out.write((",\n " if number else "\n ") + terminal.to_json(dict(zip(names, row, strict=True))))
    out.write("\n]\n" if len(rows) else "]\n")


def _diagnose(arguments: argparse.Namespace) -> int:
    diagnosis = _load(arguments, arguments.capture).diagnosis
    said = diagnosis.to_json() if arguments.json else diagnosis.to_text()
    print(terminal.to_json(said, indent=1) if arguments.json else terminal.printable(said))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    from jitsilab import facts as server_facts
    from jitsilab.judge import findings

    if arguments.capture is None and arguments.facts is None:
        raise ParameterError("audit needs a capture, a folder of facts (--facts DIR), or both.")
    facts = server_facts.load(arguments.facts) if arguments.facts is not None else None
    call = _load(arguments, arguments.capture) if arguments.capture is not None else None
    found = findings.audit(call, facts)
    if arguments.sarif:
        from jitsilab.pages import sarif

        print(terminal.to_json(sarif.to_sarif(found, capture=arguments.capture), indent=1))
    elif arguments.json:
        print(terminal.to_json(findings.to_json(found), indent=1))
    else:
        print(terminal.printable(findings.to_text(found)))
    return int(findings.fails_at(found, arguments.fail_on))


def _deploy(arguments: argparse.Namespace) -> int:
    from jitsilab import deploy

    print(deploy.facts_command() if arguments.what == "facts" else deploy.capture_commands())
    return 0


def _tables(_: argparse.Namespace) -> int:
    from jitsilab.call import schemas

    for name, schema in schemas().items():
        print(name)
        for column, (dtype, meaning) in schema.items():
            print(f"  {column:22} {dtype:20} {meaning}")
    return 0


def _captures(arguments: argparse.Namespace) -> int:
    from jitsilab.inputs import registry

    if arguments.export:
        name, folder = arguments.export
        print(f"{name} is in {registry.export(name, Path(folder))}")
        return 0
    entries = registry.entries()
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{entry.name:{width}}  {entry.shows}")
    return 0
