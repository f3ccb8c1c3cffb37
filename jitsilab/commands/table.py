"""``jitsilab table``: one table of each piece of evidence, as CSV, JSON or Parquet."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import outputs, terminal
from jitsilab.commands import Command, check_folders, load, output, takes_evidence
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

WHOLE = ("timeline", "calls")  # of all pieces together, not of each
FORMS = ("csv", "json", "parquet")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a table, as `jitsilab tables` lists them")
    takes_evidence(parser)
    parser.add_argument("--to", choices=FORMS, help="form (default: csv; parquet needs -o)")
    parser.add_argument("-o", type=Path, metavar="FILE", dest="out", help="write to a file")
    parser.add_argument("--like-tshark", action="store_true",
                        help="table frames as CSV, byte for byte as `tshark -T fields` prints it")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab.call import TABLES

    name, evidence = arguments.name, arguments.evidence
    if name not in TABLES:
        raise ParameterError(terminal.unknown("table", name, TABLES))
    to = arguments.to or (arguments.out.suffix.lstrip(".") if arguments.out else "") or "csv"
    if to not in FORMS:
        to = "csv"
    if arguments.like_tshark and (name != "frames" or to != "csv" or len(evidence) > 1):
        raise ParameterError("--like-tshark goes with the table frames of one capture, as csv.")
    if to == "parquet" and arguments.out is None:
        raise ParameterError("parquet is not text: name a file with -o.")
    check_folders(arguments)
    if name == "frames" and to == "csv" and len(evidence) == 1 and _quick_frames(arguments, evidence[0]):
        return 0
    chunks = _chunks(arguments, name, evidence)
    if to == "parquet":
        from jitsilab.tables import write_parquet

        with outputs.place(arguments.out) as part:
            write_parquet(chunks, part)
    else:
        with output(arguments.out) as out:
            write(chunks, to, out)
    return 0


def _quick_frames(arguments: argparse.Namespace, capture: str) -> bool:
    """The commonest table without the import of pandas; False where the general way has to be taken."""
    from jitsilab import pcap
    from jitsilab.call import locate

    path = locate(capture, arguments.point).path
    if not arguments.like_tshark and not (path.is_file() and pcap.is_capture(path)):
        return False  # a folder, a print, or a stream, of which only its content tells what it is
    if arguments.like_tshark:
        from jitsilab.pcap.like_tshark import write
    else:
        from jitsilab.wire.frames_csv import write
    with output(arguments.out) as out:
        write(path, out)
    return True


def _chunks(arguments: argparse.Namespace, name: str, evidence: list[str]) -> "Iterator[pd.DataFrame]":
    """Rows of the table, part by part; of several pieces whole, with ``input`` to say whose they are."""
    import pandas as pd

    from jitsilab.call import empty

    if name in WHOLE or len(evidence) == 1:
        rows = None
        for rows in load(arguments, *evidence).chunks(name):
            yield rows
        if rows is None:
            yield empty(name)
        return
    parts = []
    for piece in evidence:
        rows = load(arguments, piece).table(name)
        rows = empty(name) if rows is None else rows
        if "input" not in rows:
            rows = rows.copy()
            rows.insert(0, "input", piece)
        parts.append(rows)
    yield pd.concat(parts, ignore_index=True)


def write(chunks: "Iterable[pd.DataFrame]", to: str, out: Any) -> None:
    """CSV and JSON: times as ISO 8601 UTC with nanoseconds, lists as one string with spaces, missing as null."""
    from jitsilab.tables import as_text, write_csv

    separator = "[\n " if to == "json" else ""
    for number, part in enumerate(chunks):
        rows = as_text(part)
        if to == "csv":
            write_csv(rows, out, header=not number)
            continue
        columns = [rows[column].astype(object).where(rows[column].notna(), None).tolist() for column in rows.columns]
        names = list(rows.columns)
        for row in zip(*columns, strict=True):
            out.write(separator + terminal.to_json(dict(zip(names, row, strict=True))))
            separator = ",\n "
    if to == "json":
        out.write("[]\n" if separator.startswith("[") else "\n]\n")


COMMAND = Command(
    "table", "print one table of one or more pieces of evidence", _arguments, _run,
    ("jitsilab table stun call.pcapng", "jitsilab table events logs/ --to json"),
)  # fmt: skip
