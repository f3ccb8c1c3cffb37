"""Tables of fields: ``tshark -T fields``, Wireshark's CSV, spreadsheets; with a first line that names them, or without.

Commas inside a field that nobody quoted (a date, a summary) are put back where the first line says that they must be.
"""

import csv
import re
from collections.abc import Iterator, Sequence

from jitsilab.errors import CaptureError, ParseError
from jitsilab.inputs.prints import fields, times
from jitsilab.inputs.prints.fields import SOURCES, TARGETS, TIMES, canonical, is_known
from jitsilab.inputs.prints.transcript import Printed

_PORTS = ["tcpsrcport", "tcpdstport"]
_HEADERLESS = {  # number of columns: what tshark prints for the study's command, and for the one it must have used
    7: ["frametimerelative", "ipsrc", "ipdst", "ipproto", *_PORTS, "framelen"],
    9: ["frametimerelative", "ipsrc", "ipdst", "ipproto", *_PORTS, "udpsrcport", "udpdstport", "framelen"],
    11: ["frametimerelative", "ipsrc", "ipdst", "ipv6src", "ipv6dst", "ipproto", *_PORTS, "udpsrcport", "udpdstport",
         "framelen"],
}  # fmt: skip
_IP = (*SOURCES, *TARGETS)
_SEARCHED = 20  # lines in which the one with the names is looked for
_NUMBER = re.compile(r"\d+(\.\d+)?([eE]-?\d+)?")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]*(:[0-9a-fA-F]*){2,7}")
_ONE_VALUE = ("colinfo", "frametime", "frametimeutc", "timeutc", "coltime", "colprotocol", "stunattusername",
              "stunattrealm", "stunatterrorreason", "frameprotocols", "colsrc", "coldst")  # fmt: skip
_FIELD = re.compile(r'"?(?:frame|_ws\.col|eth|ip|ipv6|tcp|udp|stun|tls|dtls|rtp)\.[a-z_.]+')  # a field's name in full
_LIMIT = 1 << 20  # characters of a cell


def separator(line: str) -> str:
    """What stands between the columns of a line."""
    return max("\t,;|", key=line.count)


def names(line: str) -> list[str]:
    """The columns that a first line names, by our names for them; an empty one for what it does not name."""
    try:
        cells = next(csv.reader([line], delimiter=separator(line)), [])
    except csv.Error:
        return []
    return [canonical(cell) for cell in cells]


def header_of(lines: Sequence[str]) -> int:
    """Index of the line that names the columns, -1 where none of the first does."""
    for number, line in enumerate(lines[:_SEARCHED]):
        known = [name for name in names(line) if is_known(name)]
        if len(known) >= 2 or (known and _FIELD.match(line)):
            return number
    return -1


def suffices(columns: Sequence[str]) -> list[str]:
    """What is missing among columns for frames to be made of them, in words."""
    missing = []
    if not set(TIMES) & set(columns):
        missing.append("seconds")
    paired = {"ipaddr", "ipv6addr"} & set(columns)
    missing += [
        word for word, ends in (("src", SOURCES), ("dst", TARGETS)) if not set(ends) & set(columns) and not paired
    ]
    return missing


def rows(path: str, lines: Sequence[str], width: int = 0, join: int = -1) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row, whatever separates them; a row of another length is an error.

    ``join`` is the column whose commas may stand unquoted.
    """
    first = next(line for line in lines if line.strip())
    mark = separator(first)
    csv.field_size_limit(_LIMIT)
    try:
        for number, cells in enumerate(csv.reader(lines, delimiter=mark), 1):
            if not cells or cells == [""]:
                continue
            width = width or len(cells)
            if len(cells) > width:
                cells = _mended(cells, width, join, mark)
            if len(cells) != width:
                raise CaptureError(
                    f"{path}, line {number}: {len(cells)} columns where the first line has {width}; "
                    "the file was cut or is damaged."
                )
            yield number, cells
    except csv.Error as error:
        raise CaptureError(f"{path} cannot be read as a table: {error}.") from error


def _mended(cells: list[str], width: int, join: int, mark: str) -> list[str]:
    """A row with too many cells: a date's halves, and then a summary's parts, are put together."""
    mended: list[str] = []
    for cell in cells:
        date = (
            mended and re.fullmatch(r"[A-Z][a-z]{2} +\d{1,2}", mended[-1].strip()) and re.match(r" \d{4} \d\d:", cell)
        )
        if date:
            mended[-1] += mark + cell
        else:
            mended.append(cell)
    mended = _paired(mended, width)
    extra = len(mended) - width
    if extra > 0 and join >= 0:
        mended[join : join + extra + 1] = [mark.join(mended[join : join + extra + 1])]
    return mended


def _paired(cells: list[str], width: int) -> list[str]:
    """Addresses that come twice, as of a packet in an ICMP error: the outer ones of ``a,b,c,d`` are a and c."""
    run = [place for place, cell in enumerate(cells) if _ADDRESS.fullmatch(cell.strip())]
    doubled = len(run) >= 4 and not len(run) % 2 and run == list(range(run[0], run[0] + len(run)))
    if not doubled or len(cells) - width < len(run) - 2:
        return cells
    return [*cells[: run[0]], cells[run[0]], cells[run[len(run) // 2]], *cells[run[-1] + 1 :]]


def frames(path: str, lines: Sequence[str]) -> list[Printed]:
    """What each row says of a frame. Raises CaptureError where the columns do not suffice, or a row is damaged."""
    at = header_of(lines)
    body = lines[max(at, 0) :]
    columns = names(body[0]) if at >= 0 else []
    if at >= 0 and (missing := suffices(columns)):
        raise CaptureError(
            f"{path} has no column for: {', '.join(missing)}. Export it with -e frame.time_relative -e ip.src "
            "-e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport -e frame.len."
        )
    join = columns.index("colinfo") if "colinfo" in columns else -1
    table = list(rows(path, body, len(columns), join))
    if at < 0 and table:
        columns = guessed(path, [cells for _, cells in table])
    table = table[1:] if at >= 0 else table
    if not table:
        raise CaptureError(f"{path} holds no row.")
    return [_frame(path, columns, number + max(at, 0), cells, order) for order, (number, cells) in enumerate(table, 1)]


def guessed(path: str, table: list[list[str]]) -> list[str]:
    """What the columns of an export without names are: known ones, or those that their values give away."""
    first = table[0]
    known = _HEADERLESS.get(len(first))
    ends = [cell.strip() for cells in table[:20] for name, cell in zip(known or (), cells, strict=False) if name in _IP]
    fits = any(ends) and all(not end or _ADDRESS.match(end) for end in ends)
    if known and fits and _NUMBER.fullmatch(first[0].strip()) and _NUMBER.fullmatch(first[-1].strip()):
        return list(known)
    columns = [""] * len(first)
    for place in range(len(first)):
        values = [cells[place].strip() for cells in table if cells[place].strip()]
        if not values:
            continue
        stamps = [times.stamp(value) for value in values]
        if all(_ADDRESS.fullmatch(value.split(",")[0]) for value in values):
            columns[place] = "colsrc" if "colsrc" not in columns else "coldst" if "coldst" not in columns else ""
        elif all(stamps) and ("." in values[0] or ":" in values[0]) and "coltime" not in columns:
            columns[place] = "coltime"
        elif (
            place == 0
            and [value for value in values if value.isdecimal()] == values
            and len(set(values)) == len(values)
        ):
            columns[place] = "framenumber"
        elif all(re.fullmatch(r"[A-Z][\w./ -]{1,20}", value) for value in values) and "colprotocol" not in columns:
            columns[place] = "colprotocol"
        elif sum(" " in value for value in values) * 2 > len(values) and "colinfo" not in columns:
            columns[place] = "colinfo"
    if "colinfo" in columns and "colprotocol" not in columns:
        columns[columns.index("colinfo")] = ""
    length = _length(columns, table)
    if length >= 0:
        columns[length] = "framelen"
    if suffices(columns):
        raise CaptureError(f"{path} is not a field export that is known here: export it with -E header=y.")
    return columns


def _length(columns: Sequence[str], table: list[list[str]]) -> int:
    """The column of numbers that are a header's size more than the payload that the summary names; -1 for none."""
    if "colinfo" not in columns:
        return -1
    info = columns.index("colinfo")
    payloads = [(cells, int(match[1])) for cells in table if (match := re.search(r"\bLen=(\d{1,9})\b", cells[info]))]
    for place in range(len(columns)):
        cells = [(row[place].strip(), payload) for row, payload in payloads]
        numbers = cells and not columns[place] and all(cell.isdecimal() for cell, _ in cells)
        if numbers and all(28 <= int(cell) - payload <= 160 for cell, payload in cells):
            return place
    return -1


def _frame(path: str, columns: Sequence[str], number: int, cells: Sequence[str], order: int) -> Printed:
    pairs = []
    for name, cell in zip(columns, cells, strict=True):
        if not name or not cell.strip():
            continue
        values = [cell] if name in _ONE_VALUE else re.split(r"[,;|]", cell)  # occurrence=a: the outermost comes first
        pairs += [(name, value.strip()) for value in values]
    try:
        packet = fields.printed(pairs, number, order)
    except ParseError as error:
        raise CaptureError(f"{path}, line {number}: {error}.") from None
    if packet.stamp is None:
        text = next((value for name, value in pairs if name in TIMES), "")
        if text:
            raise CaptureError(f"{path}, line {number}: {text[:40]!r} is not a time.")
        raise CaptureError(f"{path}, line {number}: a frame without a time; the file was cut or is damaged.")
    if packet.length is None and "framelen" in columns:
        raise CaptureError(f"{path}, line {number}: a frame without time or length; the file was cut or is damaged.")
    return packet
