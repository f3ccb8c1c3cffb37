"""Records become DataFrames: one schema a table, which is its documentation, its dtypes and its empty form at once.

Each module of this package holds ``SCHEMAS`` (table name to columns) and ``BUILD`` (table name to a function that takes
a `jitsilab.wire.Wire` and gives a `Table`). Hostile or odd bytes become `Problem` rows here and nowhere later.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from jitsilab.errors import Problem

Schema = dict[str, tuple[str, str]]  # column: (dtype, unit or meaning)

TIME = "datetime64[ns, UTC]"

COMMON: Schema = {
    "frame": ("int64", "frame number in the capture, from 1; the last one where the message spans several"),
    "time": (TIME, "time of that frame; empty where the source has only relative times"),
    "seconds": ("float64", "s since the first frame of the capture"),
    "flow": ("Int64", "number of the flow in the table flows"),
    "src": ("str", "source address"),
    "src_port": ("Int64", "source port"),
    "dst": ("str", "destination address"),
    "dst_port": ("Int64", "destination port"),
}

ERRORS: Schema = {
    "frame": ("int64", "frame number, or line; 0 where the file as a whole is meant"),
    "protocol": ("str", "what was being read"),
    "offset": ("int64", "bytes from the start of what was being read"),
    "message": ("str", "what is wrong"),
}


class Table(NamedTuple):
    """A table and what could not be read while it was made."""

    rows: pd.DataFrame
    problems: list[Problem]


def frame_from(rows: Iterable[Sequence[Any]], schema: Schema) -> pd.DataFrame:
    """Rows in the order of the schema's columns as a DataFrame with the schema's dtypes, also where there is no row.

    A column of times takes int64 nanoseconds since the epoch, Timestamps or None.
    """
    given = list(rows)
    if any(len(row) != len(schema) for row in given):
        raise ValueError(f"rows have a value for each of {len(schema)} columns")
    columns = {name: _column([row[n] for row in given], dtype) for n, (name, (dtype, _)) in enumerate(schema.items())}
    return pd.DataFrame(columns)


_STR, _INT64, _BOOLEAN = pd.StringDtype(na_value=np.nan), pa.int64(), pa.bool_()
_NEVER = np.datetime64("NaT").view(np.int64)


def _column(values: list[Any], dtype: str) -> Any:
    """One column. What Arrow or numpy take at once they take: a table has dozens of columns and often few rows."""
    try:
        match dtype:
            case "str":
                return pd.array(pa.array(values, pa.large_string(), from_pandas=True), dtype=_STR)
            case "float64":
                return np.array(values, np.float64)
            case "int64" if None not in values:
                return pa.array(values, _INT64).to_numpy(zero_copy_only=False).copy()
            case "Int64":
                return pd.arrays.IntegerArray(*_masked(values, _INT64, 0))
            case "boolean":
                return pd.arrays.BooleanArray(*_masked(values, _BOOLEAN, False))
            case _ if dtype == TIME:
                instants, _ = _masked(values, _INT64, _NEVER)
                return pd.DatetimeIndex(instants.view("datetime64[ns]")).tz_localize("UTC").array
    except (pa.ArrowException, TypeError, ValueError):
        pass  # other objects, which pandas converts one by one
    if dtype != TIME:
        return pd.Series(values, dtype=dtype) if dtype == "object" else pd.array(values, dtype=dtype)
    times = pd.Series(values)
    if pd.api.types.is_float_dtype(times):  # integers and None: floats lose nanoseconds
        times = pd.Series(values, dtype="Int64")
    return pd.to_datetime(times, unit="ns", utc=True).astype(dtype).array


def _masked(values: list[Any], kind: Any, filler: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values, and where there are none."""
    column = pa.array(values, kind, from_pandas=True)
    filled = column.fill_null(filler) if column.null_count else column
    return filled.to_numpy(zero_copy_only=False).copy(), column.is_null().to_numpy(zero_copy_only=False)


Tables = Mapping[str, "pd.DataFrame | None"]  # by name; None where the source cannot show one


def frame(tables: Tables, name: str) -> pd.DataFrame:
    """A table by name; where the source cannot show it, one without rows that has the columns of the wire's."""
    table = tables.get(name)
    if table is not None:
        return table
    return _empty(name).copy(deep=False)


@functools.cache
def _empty(name: str) -> pd.DataFrame:
    schema = wire_schemas().get(name)
    return frame_from([], schema) if schema is not None else pd.DataFrame()


#: what analysis needs of the long tables, in fewer bytes or rows: the part, and the table that it is a part of
PARTS = {
    "segments": "tcp", "stamps": "tcp", "bounds": "frames", "cut": "frames", "ends": "frames", "icmp": "frames",
    "datagrams": "frames", "extended": "rtp", "spoken": "stun",
}  # fmt: skip


def part(tables: Tables, name: str) -> "pd.DataFrame | None":
    """A part of a long table, where the source can give it alone, else the whole table; None where there is neither."""
    table = tables.get(name)
    return table if table is not None else tables.get(PARTS[name])


def wire_schemas() -> dict[str, Schema]:
    """Columns of the tables that are made from the wire, by name."""
    from jitsilab.tables import catalogue

    return catalogue.WIRE


def as_text(rows: pd.DataFrame) -> pd.DataFrame:
    """A table whose times are ISO 8601 UTC text with nanoseconds, and whose lists are one string with spaces."""
    rows = rows.copy(deep=False)
    for column in rows.columns:
        if isinstance(rows[column].dtype, pd.DatetimeTZDtype):
            text = np.datetime_as_string(rows[column].dt.tz_localize(None).to_numpy("datetime64[ns]"), unit="ns")
            rows[column] = pd.Series(text, rows.index, dtype="str").add("Z").where(rows[column].notna())
        elif rows[column].dtype == object:
            rows[column] = rows[column].map(lambda v: " ".join(map(str, v)) if isinstance(v, list | tuple) else v)
    return rows


def write_csv(rows: pd.DataFrame, out: Any, *, header: bool = True) -> None:
    """Rows as CSV that CSV readers read: a cell with an end of line of any kind, a lone CR too, stands in quotes."""
    rows.to_csv(_Lines(out), index=False, header=header, lineterminator=_Lines.END)


def write_parquet(chunks: Iterable[pd.DataFrame], path: Path) -> None:
    """The parts of a table as one file, a row group each or more."""
    from pyarrow import parquet

    parts = iter(chunks)
    first = pa.Table.from_pandas(next(parts), preserve_index=False)
    with parquet.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for rows in parts:
            writer.write_table(pa.Table.from_pandas(rows, first.schema, preserve_index=False))


class _Lines:
    """Takes whole rows that end as RFC 4180 has it and writes them with a plain end of line.

    Python quotes a cell for the characters of the end of line that it writes itself: with a plain one, a carriage
    return in a name would split its row for whoever reads it.
    """

    END = "\r\n"

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, row: str) -> int:
        self._out.write(row.removesuffix(self.END) + "\n" if row.endswith(self.END) else row)
        return len(row)
