"""Tables of a study as a folder of CSV files: written small, read back typed by their schemas."""

from pathlib import Path

import pandas as pd

from jitsilab.errors import CaptureError
from jitsilab.inputs.prints import exports
from jitsilab.inputs.prints import texts as printed_texts
from jitsilab.inputs.prints.reading import conform, load, schema
from jitsilab.tables import COMMON, TIME, frame_from, wire_schemas, write_csv
from jitsilab.tables.printed import SCHEMAS

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
        with path.open("w", encoding="utf-8", newline="") as out:
            write_csv(rows[keep], out)
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
    cells = [row for _, row in exports.rows(str(path), printed_texts.lines(printed_texts.load(path, str(path))))]
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
    return conform(name, rows)


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
