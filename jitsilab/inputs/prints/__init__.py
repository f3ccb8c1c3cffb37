"""A study's printed tables as a source: tshark's one-line text, its ``-T fields`` export, both, or a folder of tables.

The text says what a frame is, the export which ports it used; they are joined by frame number. Nothing here reads a
packet: what was not printed is empty in the tables, and a table of which nothing was printed is not there at all.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from jitsilab.errors import CaptureError, ParseError, Problem
from jitsilab.inputs.prints import summaries, transcript
from jitsilab.inputs.prints.transcript import Printed
from jitsilab.tables import COMMON, TIME, Schema, frame_from, wire_schemas
from jitsilab.tables.printed import SCHEMAS

MAXIMUM = 1 << 28  # bytes of a printed file; a longer one belongs into a capture
_COLUMNS = {  # column of a field export, letters and digits only: the field of Printed that it fills
    "framenumber": "frame", "no": "frame", "number": "frame", "frame": "frame",
    "frametimerelative": "seconds", "relativetimes": "seconds", "relativetime": "seconds", "time": "seconds",
    "framelen": "length", "framelength": "length", "length": "length", "framecaplen": "captured_length",
    "ipsrc": "src", "srcip": "src", "source": "src", "ipv6src": "src6", "srcipv6": "src6",
    "ipdst": "dst", "dstip": "dst", "destination": "dst", "ipv6dst": "dst6", "dstipv6": "dst6",
    "ipproto": "ip_protocol", "ipprotocol": "ip_protocol", "ipv6nxt": "ip_protocol6",
    "tcpsrcport": "tcp_src", "tcpdstport": "tcp_dst", "udpsrcport": "udp_src", "udpdstport": "udp_dst",
    "wscolprotocol": "protocol", "colprotocol": "protocol", "protocol": "protocol",
    "wscolinfo": "info", "colinfo": "info", "info": "info",
}  # fmt: skip
_PORTS = ["tcp_src", "tcp_dst"]
_HEADERLESS = {  # number of columns: what tshark prints for the study's command, and for the one it must have used
    7: ["seconds", "src", "dst", "ip_protocol", *_PORTS, "length"],
    9: ["seconds", "src", "dst", "ip_protocol", *_PORTS, "udp_src", "udp_dst", "length"],
    11: ["seconds", "src", "dst", "src6", "dst6", "ip_protocol", *_PORTS, "udp_src", "udp_dst", "length"],
}
_NEEDED = ("seconds", "src", "dst", "length")
_TEXTS = ("src", "dst", "src6", "dst6", "protocol", "info")


def load(*files: str | Path) -> dict[str, pd.DataFrame]:
    """Tables of one printed file, or of a text and a field export of the same capture joined by frame number.

    Where both print a time, the text's wins: spreadsheets cut numbers. Raises CaptureError for a file that is neither,
    and where the two do not describe the same frames.
    """
    texts: list[tuple[Path, list[str]]] = []
    exports: list[tuple[Path, list[str]]] = []
    for file in files:
        lines = _lines(Path(file))
        (texts if _is_text(lines) else exports).append((Path(file), lines))
    if not files or len(texts) > 1 or len(exports) > 1:
        raise CaptureError("Printed tables are one text of summaries, one field export, or one of each.")
    problems: list[Problem] = []
    text = _read_text(*texts[0], problems) if texts else None
    export = _read_export(*exports[0]) if exports else None
    printed = _joined(text, export, problems) if text and export else text or export or []
    return {name: _conform(name, rows) for name, rows in transcript.tables(printed, problems).items()}


def _lines(path: Path) -> list[str]:
    """The lines of a text file, or one sentence on why it is none."""
    try:
        if path.stat().st_size > MAXIMUM:
            raise CaptureError(f"{path} has more than {MAXIMUM >> 20} MiB: too long for a printed table.")
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not content.strip():
        raise CaptureError(f"{path} is empty.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CaptureError(f"{path} is neither a capture nor text: it does not hold what its name says.")
    return text.split("\n")


def _is_text(lines: Sequence[str]) -> bool:
    """Whether the first lines are summaries; one is enough, since the first may be a warning of tshark's."""
    for line in lines[:20]:
        try:
            summaries.line(line.rstrip("\r"))
        except ParseError:
            continue
        return True
    return False


def _read_text(path: Path, lines: Sequence[str], problems: list[Problem]) -> list[Printed]:
    printed: dict[int, Printed] = {}
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            line = summaries.line(raw.rstrip("\r"))
        except ParseError as error:
            problems.append(Problem(0, "text", error.offset, f"line {number}: {error}"))
            continue
        if line.frame in printed:
            problems.append(Problem(line.frame, "text", 0, f"line {number}: a second line of frame {line.frame}"))
            continue
        version = 6 if line.src.count(":") > 1 and line.protocol != "ARP" and not _is_mac(line.src) else None
        version = 4 if re.fullmatch(r"\d+(\.\d+){3}", line.src) else version
        printed[line.frame] = Printed(
            line.frame, line.seconds, line.length, line.src, line.dst, version, protocol=line.protocol, info=line.info,
            line=number,
        )  # fmt: skip
    if not printed:
        raise CaptureError(f"{path} holds no summary line of tshark.")
    return list(printed.values())


def _is_mac(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text) is not None


def _read_export(path: Path, lines: Sequence[str]) -> list[Printed]:
    rows = list(_rows(path, lines))
    if not rows:
        raise CaptureError(f"{path} holds no row.")
    names, with_header = _header(path, rows[0][1])
    return [_one(path, names, number, cells, order) for order, (number, cells) in enumerate(rows[with_header:], 1)]


def _rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row, whatever separates them; a row of another length is an error."""
    first = next(line for line in lines if line.strip())
    separator = max("\t,;|", key=first.count)
    width = 0
    try:
        for number, cells in enumerate(csv.reader((line.rstrip("\r") for line in lines), delimiter=separator), 1):
            if not cells or cells == [""]:
                continue
            width = width or len(cells)
            if len(cells) != width:
                raise CaptureError(
                    f"{path}, line {number}: {len(cells)} columns where the first line has {width}; "
                    "the file was cut or is damaged."
                )
            yield number, cells
    except csv.Error as error:
        raise CaptureError(f"{path} cannot be read as a table: {error}.") from error


def _header(path: Path, first: list[str]) -> tuple[list[str | None], bool]:
    """What each column is, and whether the first line says so."""
    names = [_COLUMNS.get(re.sub(r"[^a-z0-9]", "", cell.lower())) for cell in first]
    if any(names):
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise CaptureError(
                f"{path} has no column for: {', '.join(missing)}. Export it with -e frame.time_relative -e ip.src "
                "-e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport -e frame.len."
            )
        return names, True
    guessed = _HEADERLESS.get(len(first))
    if guessed is None or not _number(first[0]) or not _number(first[-1]):
        raise CaptureError(f"{path} is not a field export that is known here: export it with -E header=y.")
    return list(guessed), False


def _number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?([eE]-?\d+)?", text.strip()) is not None


def _one(path: Path, names: list[str | None], number: int, cells: list[str], order: int) -> Printed:
    said = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if name and cell.strip()}
    values: dict[str, int | float] = {}
    for name, text in said.items():
        if name in _TEXTS:
            continue
        text = re.split(r"[,;|]", text)[0]  # occurrence=a: the outermost comes first
        try:
            values[name] = float(text) if name == "seconds" else int(text, 0)
        except ValueError:
            raise CaptureError(f"{path}, line {number}: {text[:40]!r} is not a number.") from None
    if "seconds" not in values or "length" not in values:
        raise CaptureError(f"{path}, line {number}: a frame without time or length; the file was cut or is damaged.")
    six = "src" not in said and "src6" in said
    src, dst = said.get("src6" if six else "src"), said.get("dst6" if six else "dst")
    src, dst = (re.split(r"[,;|]", end)[0] if end else None for end in (src, dst))
    ports = "udp" if "udp_src" in values and "tcp_src" not in values else "tcp"
    protocol = values.get("ip_protocol6" if six else "ip_protocol")
    if protocol is None and f"{ports}_src" in values:
        protocol = {"tcp": 6, "udp": 17}[ports]
    ports = {6: "tcp", 17: "udp"}.get(int(protocol or 0), "quoted")  # an ICMP error quotes the ports of another packet

    def whole(value: float | None) -> int | None:
        return None if value is None else int(value)

    return Printed(
        int(values.get("frame", order)), float(values["seconds"]), int(values["length"]), src, dst,
        ip_version=6 if six else 4 if src is not None else None, ip_protocol=whole(protocol),
        src_port=whole(values.get(f"{ports}_src")), dst_port=whole(values.get(f"{ports}_dst")),
        protocol=said.get("protocol"), info=said.get("info"), captured_length=whole(values.get("captured_length")),
        line=number,
    )  # fmt: skip


def _joined(text: list[Printed], export: list[Printed], problems: list[Problem]) -> list[Printed]:
    """The text's frames with what only the export knows of them."""
    known = {one.frame: one for one in export}
    if {one.frame for one in text} != set(known):
        raise CaptureError(
            f"The text has {len(text)} frames and the export {len(known)}, and they are not the same frames: "
            "both must come from one capture."
        )
    for one in text:
        other = known[one.frame]
        if one.length != other.length:
            message = f"line {one.line}: {one.length} bytes in the text, {other.length} in the export"
            problems.append(Problem(one.frame, "text", 0, message))
        one.src, one.dst = (other.src, other.dst) if other.src else (one.src, one.dst)
        one.ip_version = other.ip_version or one.ip_version
        one.ip_protocol, one.captured_length = other.ip_protocol, other.captured_length
        one.src_port, one.dst_port = other.src_port, other.dst_port
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


def _conform(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every column of the schema, empty where nothing was printed."""
    given = {}
    for column, (dtype, _) in schema(name).items():
        if column in rows:
            given[column] = rows[column]
        else:
            given[column] = pd.Series([None] * len(rows), index=rows.index, dtype=_NULLABLE.get(dtype, dtype))
    return pd.DataFrame(given, index=rows.index)


_SHARED = [name for name in COMMON if name != "frame"]


def save_tables(tables: dict[str, pd.DataFrame], folder: str | Path) -> list[Path]:
    """Write tables as CSV files, small and easy to compare: no empty column, and of what all share only the frame.

    `load_tables` puts the shared columns back, from the table frames.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in tables.items():
        if not len(rows):
            continue
        keep = [column for column in rows if rows[column].notna().any()]
        if name not in ("frames", "flows"):
            keep = [column for column in keep if column not in _SHARED]
        path = folder / f"{name}.csv"
        rows[keep].to_csv(path, index=False, lineterminator="\n")
        written.append(path)
    return written


def load_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Tables by name from a folder of CSV files that `save_tables` wrote, typed by their schemas.

    A folder that holds a study's printed files instead is read as `load` reads them. A table without a file is not in
    the result, which is not the same as an empty one. Raises CaptureError where there is neither.
    """
    folder = Path(folder)
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))} if folder.is_dir() else {}
    if "frames" not in files:
        printed = (
            [path for path in sorted(folder.glob("*")) if path.suffix in (".csv", ".txt")] if folder.is_dir() else []
        )
        if not printed:
            raise CaptureError(f"{folder} holds no frames.csv, nor a text or field export of tshark.")
        return load(*printed)
    known = {**wire_schemas(), **SCHEMAS}
    frames = _read_table("frames", files.pop("frames"), None)
    tables = {"frames": frames, "errors": frame_from([], SCHEMAS["errors"])}
    shared = frames.set_index("frame")[_SHARED]
    for name, path in files.items():
        if name not in known:
            raise CaptureError(f"{path}: there is no table {name!r}. There are: {', '.join(sorted(known))}.")
        tables[name] = _read_table(name, path, shared)
    return tables


def _read_table(name: str, path: Path, shared: pd.DataFrame | None) -> pd.DataFrame:
    columns = schema(name)
    cells = [row for _, row in _rows(path, _lines(path))]
    unknown = [column for column in cells[0] if column not in columns]
    if unknown:
        raise CaptureError(f"{path}: the table {name} has no column {unknown[0][:40]!r}.")
    given = {column: [row[number] or None for row in cells[1:]] for number, column in enumerate(cells[0])}
    typed = {}
    try:
        for column, texts in given.items():
            typed[column] = _typed(texts, columns[column][0])
        rows = pd.DataFrame(typed, columns=list(given))
        if shared is not None and "frame" in rows and "seconds" in columns and "seconds" not in rows:
            joined = shared.reindex(rows["frame"]).reset_index(drop=True)
            rows = rows.assign(
                **{column: joined[column] for column in _SHARED if column in columns and column not in rows}
            )
    except (ValueError, TypeError, KeyError) as error:
        raise CaptureError(f"{path} does not hold what the table {name} holds: {error}.") from error
    return _conform(name, rows)


def _typed(texts: list[str | None], dtype: str) -> pd.Series:
    if dtype == TIME:
        return pd.to_datetime(pd.Series(texts, dtype="str"), utc=True).astype(TIME)
    if dtype.lower() in ("bool", "boolean"):
        truth = {"True": True, "False": False, None: None}
        return pd.Series([truth[text] for text in texts], dtype=dtype)
    if "int" in dtype.lower():
        return pd.Series([None if text is None else int(text) for text in texts], dtype=dtype)
    return pd.Series(
        [None if text is None else float(text) for text in texts] if dtype == "float64" else texts, dtype=dtype
    )
