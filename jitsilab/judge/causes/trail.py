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
        for event in self.events:
            self._by.setdefault(event.event, []).append(event)

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
            event._replace(participant=owners[event.input])
            if not event.participant and event.input in owners
            else event
            for event in self.events
        )

    def moved(self, shifts: Mapping[tuple[str, str], float]) -> "Trail":
        """The same on one clock; ``shifts``: seconds to add by input and program."""
        if not any(shifts.values()):
            return self
        return Trail(
            event._replace(time=event.time + round(shift * 1e9))
            if event.time is not None and (shift := shifts.get((event.input, event.program), 0.0)) else event
            for event in self.events
        )  # fmt: skip

    def select(self, *names: str, program: str = "", participant: str = "", input: str = "") -> list[Event]:
        """Events of these names, in order; of one program, participant or input where it is given."""
        events = (
            self._by.get(names[0], [])
            if len(names) == 1
            else sorted((event for name in names for event in self._by.get(name, ())), key=lambda event: event.order)
        )
        return [
            event for event in events
            if (not program or event.program == program) and (not participant or event.participant == participant)
            and (not input or event.input == input)
        ]  # fmt: skip

    def spoke(self, program: str) -> bool:
        """Whether any event is of this program."""
        return any(event.program == program for event in self.events)

    def processes(self, program: str) -> "list[Trail]":
        """The events of each run of a program: of each input, from its last start on."""
        runs = []
        for input in dict.fromkeys(event.input for event in self.events if event.program == program):
            events = [event for event in self.events if event.program == program and event.input == input]
            starts = [number for number, event in enumerate(events) if event.event == "program-started"]
            runs.append(Trail(events[starts[-1] :] if starts else events))
        return runs

    def last(self, *names: str, **where: str) -> Event | None:
        """The last event of these names."""
        events = self.select(*names, **where)
        return events[-1] if events else None

    def run_at_end(self, bad: tuple[str, ...], good: tuple[str, ...]) -> list[Event]:
        """The events of ``bad`` names after the last of the ``good`` ones: what still holds at the end."""
        events = self.select(*bad, *good)
        result: list[Event] = []
        for event in reversed(events):
            if event.event in good:
                break
            result.append(event)
        return result[::-1]

    def participants(self, *names: str, program: str = "") -> list[str]:
        """Who is named by events of these names, in order."""
        return list(
            dict.fromkeys(event.participant for event in self.select(*names, program=program) if event.participant)
        )


def after(event: Event, other: Event) -> bool:
    """Whether ``event`` came after ``other``: by the order of event input, else by the written times."""
    if event.input == other.input:
        return event.order > other.order
    return event.time is not None and other.time is not None and event.time > other.time
