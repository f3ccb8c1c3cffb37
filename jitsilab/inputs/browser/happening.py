"""An event as a reader of the browser's evidence gathers it, before it is a row of the table."""

from dataclasses import dataclass
from typing import Any

from jitsilab.tables.evidence import EVENT, EVENTS


@dataclass(slots=True)
class Happening:
    """A row of the table ``events``; what is learnt later (who it was) is put in later."""

    event: str
    time: int | None = None  # ns since the epoch
    value: str = ""
    detail: str = ""
    status: int | None = None
    participant: str = ""
    conference: str = ""
    room: str = ""
    by: str = "field"
    program: str = "browser"
    line: int | None = None
    pointer: str = ""

    def row(self, name: str) -> tuple[Any, ...]:
        """The row, in the order of the schema; ``name`` is the input's."""
        if self.event not in EVENTS:
            raise ValueError(f"no word of EVENTS: {self.event}")
        given = {
            **{column: getattr(self, column) for column in EVENT if column not in {"input", "frame"}},
            "input": name, "frame": None,
        }  # fmt: skip
        return tuple(given[column] for column in EVENT)
