"""The folder of a survey: one Parquet dataset a table, a partition a case, and beside them what is known to be done.

``DIR/TABLE/case=ID/rows.parquet``; ``DIR/_survey/ID.json`` says of a case what was read, by which version. Each file is
written under another name and then renamed, the record last: whoever is stopped leaves either all of a case or nothing
that counts.
"""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab.fleet.cases import Seen

if TYPE_CHECKING:
    import pyarrow as pa

FORM = 1  # of the tables: another one is another dataset, and every case is read anew
_RECORDS, _TEMPORARY = "_survey", "_survey/tmp"


class Dataset:
    """A folder that several processes write to, each the files of one case at a time."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def prepare(self) -> None:
        """Make the folder, where it is not there."""
        (self.folder / _TEMPORARY).mkdir(parents=True, exist_ok=True)

    def path(self, table: str, case: str) -> Path:
        """The file of one table of one case."""
        return self.folder / table / f"case={case}" / "rows.parquet"

    def record(self, case: str) -> dict[str, Any]:
        """What is known of a case; nothing where it was never done, or the record is damaged."""
        try:
            known = json.loads((self.folder / _RECORDS / f"{case}.json").read_text(encoding="utf-8"))
            known["files"] = [Seen(*fields) for fields in known["files"]]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return dict(known)

    def holds(self, case: str, tables: "Mapping[str, Any] | tuple[str, ...]") -> bool:
        """Whether the files of a case are all there."""
        return all(self.path(table, case).is_file() for table in tables)

    def lay(self, schema: "pa.Schema", parts: "Iterable[pa.Table]") -> Path:
        """Write a table part by part, to a file that `write` puts in place."""
        import pyarrow.parquet as pq

        made = self._temporary()
        try:
            with pq.ParquetWriter(made, schema, compression="zstd") as writer:
                for rows in parts:
                    writer.write_table(rows)
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        return made

    def write(self, case: str, tables: "Mapping[str, pa.Table | Path]") -> None:
        """Put the tables of a case in place, each at once."""
        for name, rows in tables.items():
            made = rows if isinstance(rows, Path) else self.lay(rows.schema, [rows])
            target = self.path(name, case)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(made, target)  # noqa: PTH105

    def note(self, case: str, **known: Any) -> None:
        """Write down what was done, once all of it is in place."""
        made = self._temporary()
        text = json.dumps(known, indent=1, ensure_ascii=True)
        made.write_text(text, encoding="utf-8")
        os.replace(made, self.folder / _RECORDS / f"{case}.json")  # noqa: PTH105

    def forget(self, case: str) -> None:
        """Take back that a case is done, before its files are written anew."""
        (self.folder / _RECORDS / f"{case}.json").unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what writers who were stopped left behind."""
        for left in (self.folder / _TEMPORARY).glob("*"):
            left.unlink(missing_ok=True)

    def _temporary(self) -> Path:
        return self.folder / _TEMPORARY / uuid.uuid4().hex
