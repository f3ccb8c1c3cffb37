"""The events of all sources, in the order in which each source wrote them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Event(NamedTuple):
    """A row of the table ``events``, with missing values as None and ``order`` in its input."""

    time: int | None  # ns since the epoch, as the source wrote it; `Trail.moved` puts all on one clock
    event: str
    program: str
    participant: str
    conference: str
    room: str
    value: str
    status: int | None
    detail: str
    by: str
    input: str
    line: int | None
    frame: int | None
    pointer: str | None
    order: int = 0


class Trail:
    """Events, asked for by name, program, participant; "after" is the order of one input, else the written time."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = list(events)
        self._by: dict[str, list[Event]] = {}
        for one in self.events:
            self._by.setdefault(one.event, []).append(one)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    @classmethod
    def of_table(cls, table: "pd.DataFrame | None") -> "Trail":
        """From the table ``events``."""
        if table is None or table.empty:
            return cls(())
        import pandas as pd

        times = table["time"].dt.tz_localize(None).to_numpy("datetime64[ns]").astype("int64")
        columns: list[list[Any]] = [
            [None if missing else int(time) for time, missing in zip(times, table["time"].isna(), strict=True)]
        ]
        for name in Event._fields[1:-1]:
            blank: Any = None if name in ("status", "line", "frame", "pointer") else ""
            column = table[name]
            whole = name in ("status", "line", "frame")
            columns.append(
                [blank if pd.isna(value) else int(value) if whole else str(value) for value in column.tolist()]
            )
        return cls(Event._make((*row, number)) for number, row in enumerate(zip(*columns, strict=True)))

    def owned(self, owners: Mapping[str, str]) -> "Trail":
        """The same, where what a browser says of nobody is said of its owner; ``owners``: endpoint id by input."""
        if not owners:
            return self
        return Trail(
            one._replace(participant=owners[one.input]) if not one.participant and one.input in owners else one
            for one in self.events
        )

    def moved(self, shifts: Mapping[tuple[str, str], float]) -> "Trail":
        """The same on one clock; ``shifts``: seconds to add by input and program."""
        if not any(shifts.values()):
            return self
        return Trail(
            one._replace(time=one.time + round(shift * 1e9))
            if one.time is not None and (shift := shifts.get((one.input, one.program), 0.0)) else one
            for one in self.events
        )  # fmt: skip

    def of(self, *names: str, program: str = "", participant: str = "", input: str = "") -> list[Event]:
        """Events of these names, in order; of one program, participant or input where it is given."""
        some = (
            self._by.get(names[0], [])
            if len(names) == 1
            else sorted((one for name in names for one in self._by.get(name, ())), key=lambda one: one.order)
        )
        return [
            one for one in some
            if (not program or one.program == program) and (not participant or one.participant == participant)
            and (not input or one.input == input)
        ]  # fmt: skip

    def spoke(self, program: str) -> bool:
        """Whether any event is of this program."""
        return any(one.program == program for one in self.events)

    def processes(self, program: str) -> "list[Trail]":
        """The events of each run of a program: of each input, from its last start on."""
        runs = []
        for input in dict.fromkeys(one.input for one in self.events if one.program == program):
            some = [one for one in self.events if one.program == program and one.input == input]
            starts = [number for number, one in enumerate(some) if one.event == "program-started"]
            runs.append(Trail(some[starts[-1] :] if starts else some))
        return runs

    def last(self, *names: str, **where: str) -> Event | None:
        """The last event of these names."""
        some = self.of(*names, **where)
        return some[-1] if some else None

    def run_at_end(self, bad: tuple[str, ...], good: tuple[str, ...]) -> list[Event]:
        """The events of ``bad`` names after the last of the ``good`` ones: what still holds at the end."""
        some = self.of(*bad, *good)
        result: list[Event] = []
        for one in reversed(some):
            if one.event in good:
                break
            result.append(one)
        return result[::-1]

    def participants(self, *names: str, program: str = "") -> list[str]:
        """Who is named by events of these names, in order."""
        return list(dict.fromkeys(one.participant for one in self.of(*names, program=program) if one.participant))


def after(one: Event, other: Event) -> bool:
    """Whether ``one`` came after ``other``: by the order of one input, else by the written times."""
    if one.input == other.input:
        return one.order > other.order
    return one.time is not None and other.time is not None and one.time > other.time
