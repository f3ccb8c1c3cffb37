# ruff: noqa: E501  (a pattern is one line)
"""A log as a source: lines, unwrapped, gathered to records, whose meaning becomes rows of `events`.

One pass; of the text nothing is kept. A record ends where the next one of its stream begins, since the reason of a
failure often stands below its line.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from jitsilab.errors import Problem
from jitsilab.inputs.logs import web
from jitsilab.inputs.logs.decoding import head_lines, lines
from jitsilab.inputs.logs.patterns import Columns, Found, Matcher
from jitsilab.inputs.logs.patterns.jicofo import PATTERNS as JICOFO
from jitsilab.inputs.logs.patterns.jvb import PATTERNS as JVB
from jitsilab.inputs.logs.patterns.others import COTURN, NGINX, PROSODY, SYSTEM
from jitsilab.inputs.logs.programs import SEEN_ONLY, by_name, by_place
from jitsilab.inputs.logs.records import (
    FORMS,
    MORE_LENGTH,
    MORE_LINES,
    Form,
    Record,
    exceptions,
    finish_two_lines,
    java,
    java_two_lines,
)  # fmt: skip
from jitsilab.inputs.logs.times import NO_YEAR, NOWHERE, SECOND, Beside, Yearless, moment, to_utc, year_in
from jitsilab.inputs.logs.wrapping import Inner, Wrapping
from jitsilab.inputs.source import Delivery, Rows

CHUNK = 20_000  # rows handed over at once
PATTERNS = (*JVB, *JICOFO, *PROSODY, *COTURN, *NGINX, *SYSTEM)
MATCHERS = {
    "jvb": Matcher(JVB), "jicofo": Matcher(JICOFO), "prosody": Matcher(PROSODY), "coturn": Matcher(COTURN),
    "nginx": Matcher(NGINX), **dict.fromkeys(("kernel", "systemd", "docker"), Matcher(SYSTEM)),
}  # fmt: skip
BOTH = ("jvb", "jicofo")
TEMPLATES = 2000  # templates of unknown lines that are counted
SESSIONS = 10_000  # of Prosody that are remembered
_UP_TO_A_NUMBER = re.compile(r"[^\d<{\[]{0,80}")
_QUARTER = 15 * 60 * SECOND
_KNOWN_YEAR = moment(NO_YEAR + 10, 1, 1, 0, 0, 0) or 0  # what is earlier has the stand-in for a year
FRAGMENTS = 10_000  # user fragments whose first line is remembered


@dataclass
class Stream:
    """What is known of one program's lines within a piece."""

    name: str
    program: str = ""
    forms: list[Form] = field(default_factory=lambda: list(FORMS))
    pending: Record | None = None
    context: str = ""  # of the record before
    offset: int | None = None  # of the program's clock to UTC, from a wrapper that names its zone, ns
    ice: dict[str, str] = field(default_factory=dict)  # participant or relay -> last ICE event
    names: dict[str, tuple[str, str]] = field(default_factory=dict)  # ufrag -> participant, conference
    encrypted: dict[str, bool] = field(default_factory=dict)  # Prosody: session -> whether it authenticated


@dataclass
class LogSource:
    """A log of any program, or of several."""

    delivery: Delivery
    kind: str
    tables: frozenset[str]
    year: int | None = None  # of times without a year; taken from the piece itself where None
    beside: Beside = NOWHERE  # what the pieces around tell of the year
    zone: tzinfo | None = None  # of times without one, where the user names it
    problems: list[Problem] = field(default_factory=list)
    note: str = ""
    zone_known: bool = False
    year_known: bool = True
    zoneless: set[str] = field(default_factory=set)  # programs of which a time has no zone
    given_zone: bool = False  # whether times were read by `zone`
    web_zone: int | None = None  # s that the web server's wall clock is ahead, as its access lines tell
    #: a bridge's user fragment -> when its log made it, and for whom
    fragments: dict[str, tuple[int, str]] = field(default_factory=dict)
    first_time: int | None = None
    last_time: int | None = None
    programs: set[str] = field(default_factory=set)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)  # program, template -> lines
    records: int = 0
    stray: int = 0  # lines before the first record of their stream

    @property
    def input(self) -> str:
        """Name of the piece."""
        return self.delivery.input

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of ``log``, ``events`` and ``requests``, as far as they are asked for."""
        yield from _Reading(self, tables).rows()


class _Reading:
    """One pass over a log."""

    def __init__(self, source: LogSource, tables: frozenset[str]) -> None:
        self.source, self.input = source, source.input
        self.log = [] if "log" in tables else None  # type: list[tuple[Any, ...]] | None
        self.events: list[tuple[Any, ...]] = []
        self.requests: list[tuple[Any, ...]] = []
        self.want = tables
        head = source.delivery.head
        self.years = Yearless(source.year or year_in(head), source.beside)
        self.wrapping = Wrapping(head_lines(head), self.years)
        self.streams: dict[str, Stream] = {}
        self.once: set[tuple[str, str]] = set()
        self.contexts: dict[str, dict[str, str]] = {}
        self.zoned = self.zoneless = 0
        self.hint = by_name(source.input.rpartition("/")[2]) or by_name(source.input)
        source.records = source.stray = 0
        source.unknown.clear()
        source.programs.clear()
        source.zoneless.clear()
        source.given_zone = False
        source.fragments.clear()
        source.first_time = source.last_time = None

    def rows(self) -> Iterator[Rows]:
        """All rows, in chunks."""
        number, plain = 0, self.wrapping.plain
        try:
            with self.source.delivery.open() as stream:
                for portion in lines(stream, self.source.delivery.head):
                    for line in portion:
                        number += 1
                        self._line(number, Inner("", line) if plain else self.wrapping.unwrap(line))
                    yield from self._hand_over(CHUNK)
        except (OSError, EOFError, ValueError) as error:
            self.source.problems.append(Problem(0, "log", 0, f"Reading stopped after line {number}: {error}"))
        for each in self.streams.values():
            self._flush(each)
        yield from self._hand_over(0)
        self._conclude()

    def _hand_over(self, least: int) -> Iterator[Rows]:
        for name, rows in (("log", self.log), ("events", self.events), ("requests", self.requests)):
            if rows and name in self.want and len(rows) > least:
                rows.sort(key=lambda row: row[-1] if name == "log" else row[-3])
                yield Rows(name, rows[:])
                rows.clear()
            elif rows and name not in self.want:
                rows.clear()

    def _conclude(self) -> None:
        source, notes = self.source, []
        source.zone_known = self.zoned > 0 and self.zoneless == 0
        source.year_known = not self.years.used or self.years.known
        seen = sorted(source.programs & set(SEEN_ONLY))
        if seen:
            notes.append(f"{', '.join(name.capitalize() for name in seen)}: seen, not judged")
        if self.years.used and self.years.by != "written":
            notes.append("no year is written, " + _YEARS[self.years.by].format(self.years.year))
        if self.zoneless and source.zone is not None:
            notes.append(f"no zone is written, times are read as {source.zone}")
        elif self.zoneless:
            notes.append("no zone is written, times are read as UTC")
        if source.stray and source.records and source.stray > source.records:
            notes.append(f"{source.stray} lines have no form that is known")
        source.note = "; ".join(notes)

    # lines to records

    def _line(self, number: int, inner: Inner) -> None:
        stream = self.streams.get(inner.stream)
        if stream is None:
            stream = self.streams[inner.stream] = Stream(inner.stream, by_name(inner.stream))
        text, pending = inner.text, stream.pending
        if pending is not None:
            if pending.message == "\n":  # the first line of java.util.logging's form came
                if finish_two_lines(pending, text):
                    return
                pending.message = ""
            elif (text[:1] in "\t" and text) or text.startswith(("    at ", "Caused by:", "  at ", "at ")):
                return self._below(pending, text)
        for at, form in enumerate(stream.forms):
            record = form(text, self.years)
            if record is not None:
                if at:
                    stream.forms.insert(0, stream.forms.pop(at))
                self._flush(stream)
                record.line = number
                if inner.time is not None:
                    self._clock(stream, record, inner)
                stream.pending = record
                return None
        if pending is not None:
            return self._below(pending, text)
        if text.strip():
            self.source.stray += 1
            self._raw(number, stream, text)
        return None

    @staticmethod
    def _below(record: Record, text: str) -> None:
        if len(record.more) < MORE_LINES and not text.lstrip().startswith("at ") and text:
            record.more.append(text[:MORE_LENGTH])

    def _raw(self, number: int, stream: Stream, text: str) -> None:
        """A line without any head: what a container printed before its program logs, or half a file."""
        record = Record(stream.program, None, "", "", text)
        record.line, record.more = number, [text[:MORE_LENGTH]]
        if not record.program and self.hint in BOTH:
            record.program = self.hint
        if record.program in BOTH or "Exception" in text:
            self._meaning(stream, record)

    def _clock(self, stream: Stream, record: Record, inner: Inner) -> None:
        """The time of a wrapper serves a record without one, and tells the zone of one that has none."""
        if record.time is None:
            record.time, record.zone = inner.time, inner.zone
        elif inner.zone and not record.zone and inner.time is not None:
            if stream.offset is None:
                stream.offset = round((inner.time - record.time) / _QUARTER) * _QUARTER
            record.time, record.zone = record.time + stream.offset, True

    # records to rows

    def _flush(self, stream: Stream) -> None:
        record, stream.pending = stream.pending, None
        if record is None:
            return
        source = self.source
        source.records += 1
        if record.time is not None and not self.years.known and record.time < _KNOWN_YEAR:
            record.time = None
        if record.time is not None:
            if record.zone:
                self.zoned += 1
            else:
                if record.program == "nginx" and source.web_zone is not None:
                    record.time, record.zone = record.time - source.web_zone * SECOND, True
                    self.zoned += 1
                elif source.zone is not None:
                    record.time, source.given_zone = to_utc(record.time, source.zone), True
                self.zoneless += not record.zone
            if source.first_time is None or record.time < source.first_time:
                source.first_time = record.time
            if source.last_time is None or record.time > source.last_time:
                source.last_time = record.time
        if not record.program:
            record.program = self._program(stream, record)
        source.programs.add(record.program)
        if record.program == "jvb" and "ufrag=" in record.context and record.time is not None:
            self._fragment(record, record.time)
        if record.time is not None and not record.zone and source.zone is None:
            source.zoneless.add(record.program)
        self._meaning(stream, record)
        stream.context = record.context
        if self.log is not None:
            context = self._context(record.context)
            self.log.append((
                record.time, record.program or None, record.level or None, record.place or None, record.whole,
                context.get("confId") or context.get("meeting_id"), _local(context.get("conf_name") or context.get("room")),
                context.get("epId") or context.get("participant"), self.input, record.line,
            ))  # fmt: skip

    def _program(self, stream: Stream, record: Record) -> str:
        if stream.program:
            return stream.program
        program = by_place(record.place, record.context, record.message)
        if not program and self.hint in (*BOTH, *SEEN_ONLY):
            program = self.hint
        stream.program = program
        return program

    def _fragment(self, record: Record, time: int) -> None:
        """When the bridge made a user fragment: where it gathers candidates under it."""
        if "gatherCandidates" in record.place and len(self.source.fragments) < FRAGMENTS:
            context = self._context(record.context)
            if ufrag := context.get("ufrag") or context.get("local_ufrag"):
                self.source.fragments.setdefault(
                    ufrag, (time, "" if context.get("relayId") else context.get("epId", ""))
                )

    def _context(self, text: str) -> dict[str, str]:
        if not text:
            return {}
        known = self.contexts.get(text)
        if known is None:
            if len(self.contexts) > 2000:
                self.contexts.clear()
            known = dict(pair.split("=", 1) for pair in text.split(" ") if "=" in pair)
            self.contexts[text] = known
        return known

    def _meaning(self, stream: Stream, record: Record) -> None:
        program = record.program
        if program == "nginx" and record.place == "access":
            row, events = web.access(record)
            self.requests.append((record.time, *row, self.input, record.line, None, None))
            for columns in events:
                if columns.pop("once", False):
                    key = str(columns["participant"]), str(columns["value"])
                    if key in self.once or len(self.once) > SESSIONS:
                        continue
                    self.once.add(key)
                self._event(stream, record, "place", columns)
            return
        if program == "prosody":
            self._session(stream, record)
        if program == "nginx":
            line = web.error(record)
            if line:
                self.requests.append((record.time, *line, self.input, record.line, None, None))
        matched = self._find(stream, record)
        if matched is None:
            if record.message and program not in ("kernel", "systemd", "docker"):
                self._unknown(record)
            return
        self._interpret(stream, record, matched)

    def _find(self, stream: Stream, record: Record) -> Found | None:
        name = _simple(record.place) if record.program != "prosody" else _module(record.place)
        if record.program in MATCHERS:
            programs: tuple[str, ...] = (record.program,)
        else:
            programs = BOTH if not record.program else ()
        text = record.whole
        for program in programs:
            matcher = MATCHERS[program]
            matched = matcher.find(text, name)
            if matched is None and program in BOTH and record.message[:4] in ("org.", "java", "io.n", "java"):
                matched = self._find_exception(matcher, record.message)
            if matched is None and record.more and program in BOTH:
                matched = matcher.find(f"{record.message} {record.more[0].strip()}", name) or matcher.find(
                    record.message + record.more[0], name
                )
                for exception, words in exceptions(record) if matched is None else ():
                    matched = matched or matcher.find(f"{exception}: {words}", "Exception")
            if matched is not None:
                if not record.program:
                    stream.program = record.program = program
                return matched
        return None

    @staticmethod
    def _find_exception(matcher: Matcher, message: str) -> Found | None:
        name, _, words = message.partition(":")
        if " " in name:
            return None
        return matcher.find(f"{name.rpartition('.')[2].rpartition('$')[2]}:{words}", "Exception")

    def _interpret(self, stream: Stream, record: Record, matched: Found) -> None:
        pattern, match, by = matched
        context = self._context(record.context)
        if pattern.unless and pattern.unless in context:
            return
        columns: Columns = {}
        groups = {name: value for name, value in match.groupdict().items() if value}
        for column in ("value", "detail", "participant", "conference", "room", "status"):
            if column in groups:
                columns[column] = groups[column]
        for column, template in (("value", pattern.value), ("detail", pattern.detail)):
            if template:
                try:
                    columns[column] = template.format_map(groups)
                except KeyError:
                    columns[column] = ""
        columns["event"] = pattern.event
        if pattern.because:
            text = record.whole
            for expression, event, detail in pattern.because:
                reason = re.search(expression, text)
                if reason:
                    columns["event"] = event
                    if event == "xmpp-unreachable":
                        columns["detail"] = detail
                        columns["value"] = _address_in(text) or context.get("hostname", "")
                    else:
                        columns["value"] = (reason[1] if reason.re.groups else "") or detail
                        columns["detail"] = ""
                    break
            else:
                if columns["event"] == "xmpp-unreachable":
                    columns["value"], columns["detail"] = context.get("hostname", ""), ""
        if record.program == "jvb" and columns["event"] == "xmpp-connected" and "value" not in columns:
            columns["value"] = context.get("hostname", "")
        if pattern.expand is None:
            self._event(stream, record, by, columns)
            return
        for more in pattern.expand(record.whole):
            self._event(stream, record, by, {**columns, **more})

    def _event(self, stream: Stream, record: Record, by: str, columns: Columns) -> None:
        event, context = columns.get("event"), self._context(record.context)
        participant = columns.get("participant") or context.get("epId") or context.get("participant") or ""
        conference = columns.get("conference") or context.get("confId") or ""
        relay = context.get("relayId")
        if record.program == "jvb":
            ufrag = context.get("ufrag") or context.get("local_ufrag")
            if ufrag and participant and participant != ufrag:
                if len(stream.names) > SESSIONS:
                    stream.names.clear()
                stream.names[ufrag] = participant, conference
            elif not participant and ufrag and not relay:
                participant, conference = stream.names.get(ufrag, (ufrag, conference))
            elif participant in stream.names:
                participant = stream.names[participant][0]
        if record.program == "nginx" and "participant" not in columns:
            columns = {**web.request_of(record.message), **columns}
            participant = columns.get("participant") or ""
            conference = columns.get("conference") or ""
        if event and event.startswith("ice-") and record.program == "jvb":
            key = relay or participant or conference
            if stream.ice.get(key) == event:
                return
            if len(stream.ice) > SESSIONS:
                stream.ice.clear()
            stream.ice[key] = event
            if relay:
                event = {"ice-connected": "relay-connected", "ice-failed": "relay-failed"}.get(event)
                columns = {"value": relay}
                participant = ""
        if not event:
            return
        program = record.program
        if program in ("systemd", "docker"):
            name = re.split(r"\.service:| exited", record.message, maxsplit=1)[0]
            known = by_name(name)
            if event == "out-of-memory":
                columns, program = {**columns, "value": known or name}, "kernel"
            else:
                program = known or name
        status = columns.get("status")
        value, detail = str(columns.get("value") or ""), str(columns.get("detail") or "")
        room = columns.get("room") or _local(context.get("conf_name") or context.get("room"))
        if event == "conference-created" and not value:
            before = self._context(stream.context)
            room = room or (_local(before.get("conf_name")) if before.get("confId") == conference else None)
            value = room or ""
        self.events.append((
            record.time, event, program or None, participant or None, conference or None,
            _local(room) or None, value[:500] or None, int(status) if status else None, detail[:300] or None, by,
            self.input, record.line, None, None,
        ))  # fmt: skip

    def _session(self, stream: Stream, record: Record) -> None:
        """A session of Prosody that was encrypted and ends without a login: refusals are not logged at info."""
        name, words = record.place, record.message
        if not name.startswith("c2s"):
            return
        if words.startswith("Stream encrypted"):
            if len(stream.encrypted) > SESSIONS:
                stream.encrypted.clear()
            stream.encrypted[name] = False
        elif words.startswith("Authenticated as") and name in stream.encrypted:
            stream.encrypted[name] = True
        elif words.startswith("Client disconnected"):
            refused = not stream.encrypted.pop(name, True) and "alert" not in words
            if refused:
                self._event(stream, record, "words", {"event": "login-failed", "participant": name})

    def _unknown(self, record: Record) -> None:
        words = _UP_TO_A_NUMBER.match(record.message)
        key = record.program, f"{_simple(record.place)}: {words[0] if words else ''}"
        if key in self.source.unknown or len(self.source.unknown) < TEMPLATES:
            self.source.unknown[key] += 1


#: what is said of a year that no line has, by how it is known
_YEARS = {
    "": "days are known, the year is not, so times stay empty",
    "pieces": "{} is taken from the pieces beside it",
    "file": "{} is taken from the file's own date",
}


@lru_cache(maxsize=4096)
def _simple(place: str) -> str:
    """Name of the class in ``org.x.Outer$Inner.method``."""
    head = place.rpartition(".")[0].rpartition(".")[2] or place
    return head.partition("$")[0]


@lru_cache(maxsize=4096)
def _module(place: str) -> str:
    """Name of the module in ``host:module``; c2s of any session."""
    name = place.rpartition(":")[2]
    return "c2s" if name.startswith(("c2s", "bosh")) else name.removeprefix("mod_")


def _local(room: str | None) -> str | None:
    return room.partition("@")[0] if room else None


_IN_TEXT = re.compile(
    r"(?:Endpoint \+ \[|addresses failed: ')([\w.:-]+?:\d{2,5})\b|UnknownHostException: ([\w.-]+)|\['?([\w.-]+)'? failed because"
)


def _address_in(text: str) -> str:
    match = _IN_TEXT.search(text)
    return next(filter(None, match.groups()), "") if match else ""


__all__ = ["MATCHERS", "PATTERNS", "LogSource", "java", "java_two_lines"]
