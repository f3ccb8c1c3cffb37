"""From a printed file to tables: its form is found, its frames are read, and two prints of one capture are joined."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from jitsilab.errors import CaptureError, ParseError, Problem
from jitsilab.inputs.prints import details, exports, fields, forms, lines, objects, tcpdump, texts, times, transcript
from jitsilab.inputs.prints.transcript import Printed
from jitsilab.tables import Schema, wire_schemas
from jitsilab.tables.printed import SCHEMAS

_CHATTER = re.compile(  # what tshark and Wireshark print beside frames
    r"No\.\s+Time\s|Running as user |Capturing on |tshark: |\d+ packets? (?:captured|dropped)|\s+\*\* \(tshark"
)
_TOLD = 20  # lines that are no packets, said one by one
Source = str | Path | BinaryIO


def recognise(head: bytes) -> float:
    """How surely a file that begins so is a print of packets: 0 not, 1 certain."""
    text = texts.decoded(head) if head.strip() else None
    return forms.known(text)[1] if text is not None else 0.0


def refusal(head: bytes) -> str:
    """What a file that begins so is, where it is a print that is not read: the end of a sentence; else empty."""
    text = texts.decoded(head) if head.strip() else None
    return forms.refusal(text) if text is not None else ""


def load(*files: Source, name: str = "") -> dict[str, pd.DataFrame]:
    """Tables of one printed file, or of a text and a field export of the same capture joined by frame number.

    ``name`` is what errors call a file object. Where both print a time, the text's wins: spreadsheets cut numbers.
    Raises CaptureError, with what the file is, for one that is neither, and where the two do not describe the same
    frames.
    """
    read: list[tuple[str, list[Printed], list[Problem]]] = []
    for file in files:
        shown = name or str(file if isinstance(file, str | Path) else getattr(file, "name", "the stream"))
        read.append(frames(texts.load(file, shown), shown))
    parted = [entry for entry in read if entry[0] != "fields"], [entry for entry in read if entry[0] == "fields"]
    if not files or len(parted[0]) > 1 or len(parted[1]) > 1:
        raise CaptureError("Printed tables are one text of summaries, one field export, or one of each.")
    problems: list[Problem] = [problem for _, _, faults in read for problem in faults]
    printed = read[0][1] if len(read) == 1 else _joined(parted[0][0][1], parted[1][0][1], problems)
    whole = any(_is_complete(packets, form) for form, packets, _ in read)
    return {name: conform(name, rows) for name, rows in transcript.tables(printed, problems, whole).items()}


def _is_complete(printed: list[Printed], form: str) -> bool:
    """Whether a print is that of a whole capture, by a program that names every protocol."""
    numbers = sorted(packet.frame for packet in printed)
    return form in ("summaries", "details", "objects") and numbers == list(range(1, len(numbers) + 1))


def frames(text: str, name: str) -> tuple[str, list[Printed], list[Problem]]:
    """The form of a print, its frames, and what of it could not be read. Raises CaptureError where there are none."""
    form, _ = forms.known(text)
    every = texts.lines(text)
    problems: list[Problem] = []
    match form:
        case "summaries":
            printed = _summaries(every, problems)
        case "tcpdump":
            printed = _tcpdump(every, problems)
        case "details":
            printed = _details(every, problems)
        case "objects":
            printed = _objects(text, name, problems)
        case "refused":
            raise CaptureError(f"{name} is {forms.refusal(text)}.")
        case _ if form == "fields" or _is_table(every):
            printed = exports.frames(name, every)
        case _:
            raise CaptureError(f"{name} is a text file, not a capture: it holds no packets that a program printed.")
    if not printed:
        raise CaptureError(f"{name} holds no packet that can be read.")
    _set_times(printed, problems)
    return form or "fields", printed, problems


def _is_table(every: Sequence[str]) -> bool:
    """Whether a text that nobody knows is at least a table, so that what it lacks can be said."""
    sample = [line for line in every[:20] if line.strip()]
    cells = {line.count(exports.separator(sample[0])) for line in sample} if sample else {0}
    return min(cells) > 0 and len(cells) <= 2


def _set_times(printed: list[Printed], problems: list[Problem]) -> None:
    """Seconds of all frames, once the form of their times is known by all of them."""
    timed = [packet for packet in printed if packet.stamp is not None]
    placed, form = times.resolve([packet.stamp for packet in timed if packet.stamp is not None])
    for packet, line in zip(timed, placed, strict=True):
        packet.seconds, packet.time = line.seconds, line.time if line.time is not None else packet.time
    gaps = any(b.frame != a.frame + 1 for a, b in itertools.pairwise(timed))
    if form == "differences" and gaps:
        message = (
            "the times are those since the frame before, and frames are left out: seconds are the least they can be"
        )
        problems.append(Problem(0, "text", 0, message))


def _summaries(every: Sequence[str], problems: list[Problem]) -> list[Printed]:
    by_frame: dict[int, lines.Summary] = {}
    others: list[tuple[int, str]] = []
    for number, raw in enumerate(every, 1):
        if not raw.strip() or _CHATTER.match(raw):
            continue
        try:
            summary = lines.parse(raw)
        except ParseError as error:
            others.append((number, str(error)))
            continue
        if summary.frame in by_frame:
            problems.append(Problem(summary.frame, "text", 0, f"line {number}: a second line of frame {summary.frame}"))
            continue
        summary.line = number
        by_frame[summary.frame] = summary
    lines.settle(list(by_frame.values()))
    _others(others, problems)
    return [_of_summary(summary) for summary in by_frame.values()]


def _of_summary(summary: lines.Summary) -> Printed:
    version = 6 if summary.src.count(":") > 1 and summary.protocol != "ARP" and not _is_mac(summary.src) else None
    version = 4 if summary.src.count(".") == 3 and summary.src.replace(".", "").isdecimal() else version
    printed = Printed(
        summary.frame, float("nan"), summary.length, summary.src or None, summary.dst or None, version,
        protocol=summary.protocol, info=summary.info, line=summary.line, stamp=summary.stamp,
    )  # fmt: skip
    ports = lines.ports(summary.info) if summary.protocol in ("TCP", "UDP") else None
    if not summary.protocol.startswith("ICMP"):  # an error quotes the ports of another packet
        printed.src_port, printed.dst_port = ports or (summary.src_port, summary.dst_port)
    return printed


def _is_mac(text: str) -> bool:
    parts = text.split(":")
    return len(parts) == 6 and all(len(part) == 2 for part in parts)


def _tcpdump(every: Sequence[str], problems: list[Problem]) -> list[Printed]:
    printed, others = [], []
    for packet in tcpdump.frames(every):
        if isinstance(packet, Printed):
            printed.append(packet)
        else:
            others.append((packet[0], f"no packet of tcpdump: {packet[1][:60]!r}"))
    _others(others, problems)
    return printed


def _details(every: Sequence[str], problems: list[Problem]) -> list[Printed]:
    """Blocks of fields, with the summaries between them where there are any."""
    summaries: dict[int, lines.Summary] = {}
    for line in every:
        if "    " not in line[:1] and (line[:1].isdigit() or line[:1] == " ") and ": " not in line[:24]:
            try:
                summary = lines.parse(line)
            except ParseError:
                continue
            summaries.setdefault(summary.frame, summary)
    printed: dict[int, Printed] = {}
    for order, (number, pairs) in enumerate(details.frames(every), 1):
        try:
            packet = fields.printed(pairs, number, order)
        except ParseError as error:
            problems.append(Problem(order, "text", 0, f"line {number}: {error}"))
            continue
        beside = summaries.get(packet.frame)
        if beside is not None:
            packet.stamp = packet.stamp or beside.stamp
            packet.protocol = beside.protocol if packet.fields is None else packet.protocol or beside.protocol
            packet.info = beside.info if packet.fields is None else None
            packet.src, packet.dst = packet.src or beside.src, packet.dst or beside.dst
        printed.setdefault(packet.frame, packet)
    return list(printed.values())


def _objects(text: str, name: str, problems: list[Problem]) -> list[Printed]:
    printed, line, before = [], 1, 0
    for order, (at, pairs) in enumerate(objects.frames(text), 1):
        line, before = line + text.count("\n", before, at), at
        if isinstance(pairs, str):
            problems.append(Problem(0, "text", at, f"line {line}: {pairs}"))
            continue
        try:
            printed.append(fields.printed(pairs, line, order))
        except ParseError as error:
            problems.append(Problem(order, "text", at, f"line {line}: {error}"))
    if printed and not any(packet.src or packet.stamp for packet in printed):
        raise CaptureError(f"{name} shows neither times nor addresses: print it with -T json alone.")
    return printed


def _others(others: list[tuple[int, str]], problems: list[Problem]) -> None:
    """Lines that are no packets: some by themselves, the rest as a number."""
    for number, text in others[:_TOLD]:
        problems.append(Problem(0, "text", 0, f"line {number}: {text}"))
    if len(others) > _TOLD:
        number = others[_TOLD][0]
        problems.append(
            Problem(0, "text", 0, f"line {number}: and {len(others) - _TOLD} more lines that are no packets")
        )


def _joined(text: list[Printed], export: list[Printed], problems: list[Problem]) -> list[Printed]:
    """The text's frames with what only the export knows of them."""
    known = {packet.frame: packet for packet in export}
    if {packet.frame for packet in text} != set(known):
        raise CaptureError(
            f"The text has {len(text)} frames and the export {len(known)}, and they are not the same frames: "
            "both must come from one capture."
        )
    for packet in text:
        other = known[packet.frame]
        if packet.length != other.length:
            message = f"line {packet.line}: {packet.length} bytes in the text, {other.length} in the export"
            problems.append(Problem(packet.frame, "text", 0, message))
        packet.src, packet.dst = (other.src, other.dst) if other.src else (packet.src, packet.dst)
        packet.ip_version = other.ip_version or packet.ip_version
        packet.ip_protocol, packet.captured_length = other.ip_protocol, other.captured_length
        packet.src_port, packet.dst_port = other.src_port, other.dst_port
    return text


def schema(name: str) -> Schema:
    """The columns of a printed table: those that a capture's table has, and those that only a print needs."""
    return {**wire_schemas().get(name, {}), **SCHEMAS.get(name, {})}


_NULLABLE = {
    "int64": "Int64",
    "uint32": "UInt32",
    "uint16": "UInt16",
    "uint8": "UInt8",
    "int32": "Int32",
    "bool": "boolean",
}


def conform(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every column of the schema, empty where nothing was printed."""
    given = {}
    for column, (dtype, _) in schema(name).items():
        if column in rows:
            given[column] = rows[column]
        else:
            given[column] = pd.Series([None] * len(rows), index=rows.index, dtype=_NULLABLE.get(dtype, dtype))
    return pd.DataFrame(given, index=rows.index)
