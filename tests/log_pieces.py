"""Deliveries in memory for the tests of the log readers, and the shared recordings where they are at hand."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from jitsilab.inputs import logs
from jitsilab.inputs.source import HEAD
from jitsilab.tables.evidence import SCHEMAS


@dataclass
class Piece:
    """Bytes with a name."""

    input: str
    data: bytes
    path: Path | None = None

    def open(self) -> BinaryIO:
        """The bytes from the start."""
        return io.BytesIO(self.data)

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self.data[:HEAD]


def piece(data: str | bytes, name: str = "piece") -> Piece:
    """A delivery of this text."""
    return Piece(name, data.encode() if isinstance(data, str) else data)


def source(data: str | bytes, name: str = "piece") -> logs.LogSource:
    """The source that a delivery is recognised as."""
    one = piece(data, name)
    kind, _ = logs.kind_of(one.head)
    assert kind, f"not recognised: {data[:200]!r}"
    opened = next(k for k in logs.KINDS if k.name == kind).open(one)
    assert isinstance(opened, logs.LogSource)
    return opened


def table(from_source: logs.LogSource, name: str) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries, columns without a value left out."""
    columns = list(SCHEMAS[name])
    rows = [row for some in from_source.rows(frozenset({name})) if some.table == name for row in some.rows]
    assert all(len(row) == len(columns) for row in rows)
    return [{k: v for k, v in zip(columns, row, strict=True) if v is not None} for row in rows]


def events(data: str | bytes, name: str = "piece") -> list[dict[str, Any]]:
    """Events of a delivery."""
    return table(source(data, name), "events")


def shared(*parts: str) -> Path | None:
    """A path below the shared data, None where it is not at hand."""
    folder = os.environ.get("JITSILAB_DATA", "")
    path = Path(folder, *parts) if folder else None
    return path if path and path.exists() else None
