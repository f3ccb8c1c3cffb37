"""A piece of evidence in memory, as tests hand it to a reader."""

import gzip
import io
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from jitsilab.inputs.source import HEAD, Kind
from jitsilab.tables import frame_from
from jitsilab.tables.evidence import SCHEMAS


class Memory:
    """Bytes with a name."""

    path: Path | None = None

    def __init__(self, data: bytes | str, name: str = "evidence") -> None:
        self.data = data.encode() if isinstance(data, str) else data
        self.input = name

    def open(self) -> BinaryIO:
        """The bytes from the start."""
        return io.BytesIO(self.data)

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self.data[:HEAD]


def from_file(path: Path) -> Memory:
    """A file of a recording, unpacked."""
    data = path.read_bytes()
    return Memory(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, path.name)


def best(kinds: tuple[Kind, ...], delivery: Memory) -> Kind | None:
    """The kind that is surest of a delivery, None where nobody wants it."""
    sure = max(kinds, key=lambda kind: kind.recognise(delivery))
    return sure if sure.recognise(delivery) > 0 else None


def tables(kind: Kind, delivery: Memory) -> tuple[dict[str, pd.DataFrame], Any]:
    """Every table that a source gives, with the dtypes of its schema, and the source."""
    source = kind.open(delivery)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in source.tables}
    for part in source.rows(source.tables):
        rows[part.table] += part.rows
    return {name: frame_from(each, SCHEMAS[name]) for name, each in rows.items()}, source
