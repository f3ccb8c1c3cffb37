"""A call as a notebook holds it: all the evidence of it that is at hand, as tables by name, and what follows from it.

`load` opens any mix of captures, key logs, logs, dumps, configuration, folders and archives, or a name of the registry;
what comes back has the same form whatever it came from. A table that no piece can show is None, which is not the same
as empty.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab import terminal
from jitsilab.errors import CaptureError, ParameterError, Problem
from jitsilab.inputs import Evidence, Piece, collect
from jitsilab.inputs.delivery import Delivery
from jitsilab.inputs.packets import ANALYSED, SHORT, WIRE_TABLES, PacketTables

if TYPE_CHECKING:
    import pandas as pd

    from jitsilab.case.cast import Cast
    from jitsilab.case.clocks import Clock
    from jitsilab.facts import Facts
    from jitsilab.inputs.window import Window
    from jitsilab.pcap import Packets
    from jitsilab.tables import Schema
    from jitsilab.wire import Wire

MAX_SETTING = 1 << 24  # bytes of a configuration file
MOST_PROBLEMS = 10_000  # rows of one protocol and input in the table errors; nobody reads more
LINE_TABLES = ("log", "events", "console", "requests", "peer_connections", "pc_events", "stats")
JUDGED = ("participants", "steps", "findings", "timeline", "calls", "errors")
TABLES = (*WIRE_TABLES, *ANALYSED, *LINE_TABLES, *JUDGED)


def schemas() -> "dict[str, Schema]":
    """Columns of every table by name."""
    from jitsilab.analysis import ice, turn_in_tls
    from jitsilab.case import chronicle
    from jitsilab.judge import diagnosis, findings, theory
    from jitsilab.judge.diagnosis import calls
    from jitsilab.tables import catalogue

    judged = {"participants": diagnosis.SCHEMA, "steps": theory.SCHEMA, "findings": findings.SCHEMA}
    judged |= {"timeline": chronicle.SCHEMA, "calls": calls.SCHEMA}
    every = {**catalogue.SCHEMAS, "ice": ice.SCHEMA, "turn_in_tls": turn_in_tls.SCHEMA, **judged}
    return {name: every[name] for name in TABLES}


def empty(name: str) -> "pd.DataFrame":
    """A table without rows, for a source that cannot show it: the header alone."""
    from jitsilab.tables import frame_from

    return frame_from([], schemas()[name])


class Call:
    """One call, as tables. Every table of ``TABLES`` is an attribute: ``call.frames``, ``call.log``, ...

    ``call.table(name)`` gives None where no piece of evidence can show the table (no keys, another capture point, a
    printed study, no log); the attribute then raises CaptureError with the reason.
    """

    def __init__(
        self,
        name: str,
        evidence: Evidence | None = None,
        *,
        wire: "Wire | None" = None,
        tables: "Mapping[str, pd.DataFrame] | None" = None,
        facts: "Facts | Path | None" = None,
    ) -> None:
        """``evidence`` is what `jitsilab.inputs.collect` gives; a wire, or tables, stand for one capture."""
        self.name = name
        self.evidence = evidence if evidence is not None else Evidence()
        if wire is not None or tables is not None:
            source = PacketTables(name, wire, tables, "capture" if wire is not None else "tables")
            self.evidence.pieces.append(Piece(Delivery(name), source.kind, source))
        self._facts = facts
        self._tables: dict[str, Any] = {}

    def __repr__(self) -> str:
        kinds = ", ".join(dict.fromkeys(piece.kind for piece in self.evidence.pieces))
        return f"<Call {self.name!r}: {kinds}>" if kinds else f"<Call {self.name!r}>"

    def _repr_html_(self) -> str:
        """The answer as a card, where a notebook shows the call."""
        from jitsilab.judge.diagnosis.card import card

        return card(self.diagnosis, self.name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]

    def __getattr__(self, name: str) -> "pd.DataFrame":
        if name.startswith("_") or name not in TABLES:
            raise AttributeError(f"no table {name!r}; there are: {', '.join(TABLES)}")
        rows = self.table(name)
        if rows is None:
            raise CaptureError(f"{self.name} does not show {name}: {self._why_not(name)}")
        return rows

    @property
    def packets(self) -> list[PacketTables]:
        """The captures and prints, each with its tables."""
        return self.evidence.packets

    @property
    def wire(self) -> "Wire | None":
        """The frames of the first capture."""
        return next((source.wire for source in self.packets if source.wire is not None), None)

    @cached_property
    def facts(self) -> "Facts | None":
        """The server's configuration, where any of it is at hand."""
        settings = [piece.delivery for piece in self.evidence.of_kind("configuration")]
        if self._facts is None and not settings:
            return None
        from jitsilab import facts  # whoever has no configuration needs no reader of it

        if self._facts is not None:
            return facts.load(self._facts) if isinstance(self._facts, str | Path) else self._facts
        common = os.path.commonpath([delivery.input.rpartition("/")[0] or "." for delivery in settings])
        configuration = facts.load(
            *(facts.Given(os.path.relpath(delivery.input, common), _bytes(delivery)) for delivery in settings)
        )
        configuration.folder = common
        return configuration

    @property
    def unread(self) -> str:
        """What of the captures is of a link or encapsulation that is not read, in a sentence; empty where all was."""
        from jitsilab.pcap import unread

        counts: dict[str, int] = {}
        for source in self.packets:
            for name, count in (source.wire.packets.unread if source.wire is not None else {}).items():
                counts[name] = counts.get(name, 0) + count
        return unread.words(counts)

    @property
    def facts_folder(self) -> Path | None:
        """Where the configuration lies, where it came from a folder."""
        paths = [
            str(delivery.path) for piece in self.evidence.of_kind("configuration") if (delivery := piece.delivery).path
        ]
        return Path(os.path.commonpath([os.path.dirname(path) for path in paths])) if paths else None  # noqa: PTH120

    def has(self, name: str) -> bool:
        """Whether some piece can show this table, even if it turns out empty."""
        return self.table(name) is not None

    def table(self, name: str) -> "pd.DataFrame | None":
        """A table by name, or None where no piece can show it. Of several pieces, one after the other."""
        if name not in TABLES:
            raise ParameterError(terminal.unknown("table", name, TABLES))
        if name not in self._tables:
            if name in JUDGED:
                self._tables[name] = self._judged(name)
            elif name in LINE_TABLES:
                self._tables.update(self._of_lines(name))
            else:
                self._tables[name] = self._of_packets(name)
        rows: pd.DataFrame | None = self._tables[name]
        return rows

    def chunks(self, name: str) -> "Iterator[pd.DataFrame]":
        """The rows of a table part by part, as `table` has them; nothing where no piece can show it.

        ``frames``, ``tcp``, ``rtp`` and ``stun`` of a capture, with a row a packet, are then not made whole, nor kept.
        """
        if name not in WIRE_TABLES or name in self._tables:
            rows = self.table(name)
            if rows is not None:
                yield rows
            return
        for source in self.packets:
            for rows in source.chunks(name):
                yield rows if len(self.packets) == 1 else rows.assign(input=source.input)

    def of_frames(self, name: str, frames: Iterable[int]) -> "pd.DataFrame | None":
        """The rows of a table of packets and messages that are of these frames of the first capture."""
        return self.packets[0].of_frames(name, frames) if self.packets else None

    def tables(self) -> "Mapping[str, pd.DataFrame | None]":
        """All tables of packets and messages by name, as the checks take them; each is made when it is asked for."""
        return self.packets[0] if len(self.packets) == 1 else _Tables(self)

    def packet(self, number: int) -> Any:
        """Frame ``number`` (from 1) of the first capture as a scapy packet."""
        if not self.packets:
            raise CaptureError(f"{self.name} holds no capture")
        return next((source for source in self.packets if source.wire is not None), self.packets[0]).packet(number)

    @cached_property
    def casts(self) -> "dict[str, Cast]":
        """Everybody in each capture, by its input."""
        from jitsilab.case import cast

        return {source.input: cast.build(source) for source in self.packets}

    @cached_property
    def owners(self) -> dict[str, str]:
        """Whose browser each console, dump or HAR is of: endpoint id by input."""
        from jitsilab.case import browsers

        self.table("events")  # a source knows its names when it was read
        made = {
            ufrag: who for source in self.evidence.lines for ufrag, (_, who) in getattr(source, "fragments", {}).items()
        }
        return browsers.owners(self.evidence.lines, self.casts.values(), made)

    @cached_property
    def clocks(self) -> "dict[tuple[str, str], Clock]":
        """The clock of each program of each piece: what to add to get UTC (`jitsilab.case.clocks`)."""
        from jitsilab.case import clocks
        from jitsilab.inputs import dating

        events = self.table("events") if self.evidence.lines else None
        packets = {source.input: (self.casts[source.input], source) for source in self.packets}
        return clocks.clocks(events, dating.sources(self.evidence), self.owners, packets)

    def within(self, since: str = "", until: str = "", room: str = "", tz: str = "") -> "Call":
        """The same call from a time until a time, and of one room; what is of the servers as a whole stays.

        Times are dates and times of day (``2026-11-29T16:06``, in ``tz`` or UTC where they name no zone), times of day
        where the evidence is of one day, or what lies before its end (``15m``). Raises ParameterError for what is no
        such time, a room that is not there, and where nothing is within.
        """
        from jitsilab.inputs import window

        events = self.table("events") if self.evidence.lines else None
        shifts, begins = window.shifts(self.clocks), self._begins()
        lengths = [(begins[source.input], self.casts[source.input].end) for source in self.packets]
        span = window.span_of(events, shifts, lengths)
        whose = window.rooms(events)
        xmpp_streams = [
            stream
            for cast in self.casts.values()
            for person in cast.people
            for stream in person.xmpp_streams
            if stream.room
        ]
        there = {*whose.values(), *(stream.room.partition("@")[0] for stream in xmpp_streams)}
        there |= set() if events is None else set(events["room"].dropna())
        part = window.Window(
            window.moment(since, "--since", tz, span) if since else None,
            window.moment(until, "--until", tz, span) if until else None,
            window.room_of(room, there) if room else "",
        )
        window.check(part, span)
        return _Part(self, part, shifts, whose)

    def _begins(self) -> dict[str, float | None]:
        """When each capture began by the clock of the case, s since the epoch; None where nothing dates it."""
        from jitsilab.case.clocks import begin_of

        begins: dict[str, float | None] = {}
        for source in self.packets:
            clock, begin = self.clocks.get((source.input, "packets")), begin_of(source)
            applied = clock.applied if clock is not None else 0.0
            dated = begin is not None or (clock is not None and clock.offset is not None)
            begins[source.input] = (begin or 0.0) + applied if dated else None
        return begins

    def to_wireshark(self, what: str, path: str | Path | None = None, *, with_keys: bool = False) -> Path:
        """Write the frames that bear out a step, a cause, a condition or a check, with comments that say why.

        ``what`` is ``S19``, ``turn-permission-refused`` or ``SEC-18``; the file is called after it where none is named.
        TLS secrets go with them only if ``with_keys``. Raises ParameterError where nothing shows it.
        """
        from jitsilab.judge import proof

        kind = "step" if re.fullmatch(r"[Ss]\d+", what) else "check" if what.upper().startswith("SEC-") else "cause"
        gathered = proof.gather(self, **{kind: what})
        target = Path(path) if path is not None else Path(f"{what.replace('/', '-')}.pcapng")
        if not gathered.reasons or not proof.write(self, gathered, target, with_keys=with_keys).frames:
            raise ParameterError(f"Lines alone bear out {what}, no frame: {', '.join(map(str, gathered.places[:6]))}.")
        return target

    @cached_property
    def diagnosis(self) -> Any:
        """Participants, media paths, causes and conditions of this call (`jitsilab.judge.diagnosis.Diagnosis`)."""
        from jitsilab.judge import diagnosis

        return diagnosis.diagnose(self)

    def _why_not(self, name: str) -> str:
        if name in LINE_TABLES:
            return "there is no log, console, dump or answer among the evidence that holds it"
        return self.packets[0].why_not(name) if self.packets else "there is no capture among the evidence"

    def _of_packets(self, name: str) -> "pd.DataFrame | None":
        return self._joined([source.table(name) for source in self.packets])

    def _joined(self, tables: "list[pd.DataFrame | None]") -> "pd.DataFrame | None":
        """The rows of each capture, one after the other."""
        import pandas as pd

        if len(tables) == 1:
            return tables[0]
        shown = [(source, rows) for source, rows in zip(self.packets, tables, strict=True) if rows is not None]
        parts = [rows.assign(input=source.input) for source, rows in shown]
        return pd.concat(parts, ignore_index=True) if parts else None

    def _of_lines(self, name: str) -> "dict[str, pd.DataFrame | None]":
        """The table asked for, and ``events`` with it: a source is read once for both."""
        from jitsilab.tables import catalogue, frame_from

        wanted = frozenset({name} if name != "events" else {"events"})
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for source in self.evidence.lines:
            if wanted & source.tables:
                for table in wanted & source.tables:
                    rows.setdefault(table, [])
                for chunk in source.rows(wanted & source.tables):
                    rows[chunk.table] += chunk.rows
        return {table: frame_from(rows[table], catalogue.LINES[table]) if table in rows else None for table in wanted}

    def describe(self, name: str) -> "pd.DataFrame":
        """The columns of a table: type, unit, meaning, and the text that defines it; of this call or not."""
        from jitsilab.tables.meanings import describe

        if name not in TABLES:
            raise ParameterError(terminal.unknown("table", name, TABLES))
        return describe(schemas()[name])

    def _judged(self, name: str) -> "pd.DataFrame | None":
        from jitsilab.tables.meanings import ordered

        if name == "errors":
            return self._errors()
        if name == "participants":
            rows: pd.DataFrame = self.diagnosis.participants
            return rows
        if name == "timeline":
            from jitsilab.case import chronicle

            events = self.table("events") if self.evidence.lines else None
            packets = {source.input: (self.casts[source.input], source) for source in self.packets}
            return chronicle.chronicle(events, self.clocks, self.owners, packets)
        if name == "calls":
            from jitsilab.judge.diagnosis import calls

            return calls.table(self.diagnosis.calls, self.diagnosis.people, self.diagnosis.causes)
        if name == "steps":
            from jitsilab.judge import theory

            return ordered(theory.steps(self))
        from jitsilab.judge import findings

        return ordered(findings.table(self))

    def _errors(self) -> "pd.DataFrame":
        from jitsilab.tables import ERRORS, frame_from

        several = len(self.evidence.pieces) > 1
        sources = [(piece.input, piece.source) for piece in self.evidence.pieces if piece.source is not None]
        if any(source.kind != "capture" for _, source in sources):
            for name in LINE_TABLES:
                self.table(name)  # what a source could not read is known when it was read
        rows = [(input, problem) for input, source in sources for problem in source.problems]
        rows += [
            (piece.input, Problem(0, "packed", 0, piece.delivery.broken))
            for piece in self.evidence.pieces if piece.delivery.broken and piece.kind != "capture"
        ]  # fmt: skip
        rows = _bounded(rows)
        table = frame_from([problem for _, problem in rows], ERRORS)
        return table.assign(input=[input for input, _ in rows]) if several else table


def _bounded(rows: "list[tuple[str, Problem]]") -> "list[tuple[str, Problem]]":
    """The first `MOST_PROBLEMS` of each protocol and input, and how many more there are."""
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for input, problem in rows:
        counts[input, problem.protocol] += 1
        if counts[input, problem.protocol] <= MOST_PROBLEMS:
            kept.append((input, problem))
    more = ((key, count - MOST_PROBLEMS) for key, count in counts.items() if count > MOST_PROBLEMS)
    return kept + [(input, Problem(0, name, 0, f"{count} more of these")) for (input, name), count in more]


class _Part(Call):
    """A call from a time until a time, of one room."""

    def __init__(
        self, whole: Call, window: "Window", shifts: Mapping[tuple[str, str], float], whose: Mapping[str, str]
    ) -> None:
        from jitsilab.inputs import window as cut

        begins = whole._begins()
        self.window = window
        pieces = [
            replace(piece, source=cut.Part(piece.source, window, begins[piece.input]))
            if isinstance(piece.source, PacketTables) else piece
            for piece in whole.evidence.pieces
        ]  # fmt: skip
        super().__init__(whole.name, Evidence(pieces), facts=whole.facts)
        self._whole, self._shifts, self._whose = whole, shifts, whose
        self.__dict__["clocks"], self.__dict__["owners"] = whole.clocks, whole.owners  # known from all of it
        from jitsilab.case import cast

        self.__dict__["casts"] = {
            source.input: cut.people(cast.build(source), window, begins[source.input], source.table("flows"))
            for source in self.packets
        }

    def _of_lines(self, name: str) -> "dict[str, pd.DataFrame | None]":
        from jitsilab.inputs import window as cut

        rows = self._whole.table(name)
        return {name: None if rows is None else cut.lines(rows, self.window, self._shifts, self._whose)}


class _Tables(Mapping[str, "pd.DataFrame | None"]):
    """The tables of packets and messages of a call of several captures, or of none."""

    NAMES = (*WIRE_TABLES, *ANALYSED)

    def __init__(self, call: Call) -> None:
        self._call = call
        self._short: dict[str, pd.DataFrame | None] = {}

    def __getitem__(self, name: str) -> "pd.DataFrame | None":
        if name not in self.NAMES:
            raise KeyError(name)
        if name not in SHORT:
            return self._call.table(name)
        if name not in self._short:
            self._short[name] = self._call._joined([source[name] for source in self._call.packets])
        return self._short[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


class Located(NamedTuple):
    """What a name or a path stands for."""

    name: str
    path: Path  # a capture, a printed table, a folder of tables, or ``-``
    keylog: Path | None = None  # the key log that comes with a recording
    facts: Path | None = None  # the configuration that comes with it
    evidence: tuple[Path, ...] = ()  # what else there is of it: logs, consoles, dumps, answers


def locate(capture: str | Path, point: str | None = None) -> Located:
    """Where a capture is: a path that exists, ``-`` for standard input, else a name of the registry.

    ``point`` picks one capture of a recording (``any``), without the logs and consoles that a name alone opens. Raises
    CaptureError where there is no such file, ParameterError, with those there are, where there is no such name or
    point.
    """
    path = Path(capture)
    if str(capture) == "-":
        return Located("standard input", path)
    try:
        there = path.exists() or path.is_fifo()
    except ValueError:  # a zero byte in the name
        there = False
    if there:
        return Located(path.name or str(path.resolve().name), path)
    if path.suffix or len(path.parts) > 1:
        raise CaptureError(f"There is no file {capture}.{_beside(path)}")
    from jitsilab.inputs import registry

    entry = registry.find(str(capture))
    return Located(entry.name, entry.path(point), entry.keylog, entry.facts, () if point else entry.evidence)


def _beside(path: Path) -> str:
    """What lies beside a file that is not there, and may be meant."""
    try:
        near = terminal.nearest(path.name, (entry.name for entry in islice(path.parent.iterdir(), 1000)))
    except (OSError, ValueError):
        return ""
    return f" Did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""


def load(
    *evidence: str | Path | None,
    keylog: "str | Path | Iterable[str | Path] | None" = None,
    point: str | None = None,
    facts: "str | Path | Iterable[str | Path] | None" = None,
    use_keylog: bool = True,
    progress: bool = False,
    tz: str = "",
) -> Call:
    """Open a call from all the evidence of it that there is.

    Each of ``evidence`` is a path (a capture, also compressed; packets printed by tshark or tcpdump; a key log; a log
    of the bridge, the focus, Prosody, nginx or coturn; a console, a dump, an answer of a server; configuration; a
    folder or an archive of such; ``-`` for standard input), else a name of the registry. Each is known by its content;
    ``keylog`` and ``facts`` only add to it. A name opens its first capture and all else that there is of the recording:
    the key log (unless ``use_keylog`` is false), configuration, logs, consoles, dumps, answers; with ``point`` that
    capture (``eth0``, ``any``), its keys and configuration alone. ``tz`` is the zone of logs that write none
    (``Europe/Berlin``, ``+02:00``). Raises CaptureError where nothing can be read.
    """
    given = [piece for piece in evidence if piece is not None]
    if not given:
        raise ParameterError('Give at least one path or name: load("call.pcapng"), load("logs/").')
    located = [locate(piece, point) for piece in given]
    keylogs = _several(keylog)
    if not keylogs and use_keylog:
        keylogs = [location.keylog for location in located if location.keylog is not None]
    paths = [path for location in located for path in (location.path, *location.evidence)]
    configuration = _several(facts) or [location.facts for location in located if location.facts is not None]
    gathered = collect(paths, keylogs, configuration, progress, tz)
    return Call(located[0].name, gathered)


def _several(given: "str | Path | Iterable[str | Path] | None") -> list[str | Path]:
    if given is None:
        return []
    return [given] if isinstance(given, str | Path) else list(given)


def _bytes(delivery: Delivery) -> bytes:
    """A configuration file, as far as such a file goes."""
    with delivery.open() as file:
        return file.read(MAX_SETTING)


def scan(capture: str | Path, chunk: int = 1 << 18) -> "Iterator[Packets]":
    """The frames of a capture as chunks of columns, in memory that does not grow with its length."""
    from jitsilab import pcap

    return pcap.scan(capture, chunk=chunk)
