# ruff: noqa: E501  (a pattern is one line)
"""Whose log is it: by the forms of its first lines, never by its name."""

import re
from collections import Counter

from jitsilab.inputs.logs.decoding import head_lines
from jitsilab.inputs.logs.patterns import Matcher
from jitsilab.inputs.logs.programs import SEEN_ONLY, by_name, by_place
from jitsilab.inputs.logs.reader import BOTH, MATCHERS
from jitsilab.inputs.logs.records import FORMS, Record, finish_two_lines
from jitsilab.inputs.logs.times import Yearless
from jitsilab.inputs.logs.wrapping import Wrapping

LINES = 400

_STRANGERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Asterisk", re.compile(r"\[(?:[A-Z][a-z]{2} +\d+|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(?:\.\d+)?\] (?:VERBOSE|DEBUG|NOTICE|WARNING|ERROR|DTMF|SECURITY)\[\d+\]")),
    ("FreeSWITCH", re.compile(r"(?:[0-9a-f-]{36} )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} (?:\d+\.\d+% )?\[(?:DEBUG|INFO|NOTICE|WARNING|ERR|CRIT|CONSOLE)\] \w+\.c(?:pp)?:\d+")),
    ("Apache Tomcat", re.compile(r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{3} [A-Z]+ \[[^\]]+\] org\.apache\.")),
    ("Apache httpd", re.compile(r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d(?:\.\d+)? \d{4}\] \[(?:\w+:)?\w+\] ")),
    ("Kamailio", re.compile(r".*\bkamailio\[\d+\]: |\s*\d+\(\d+\) (?:DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL): ")),
    ("Janus", re.compile(r"\[?[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}\]? \[(?:WARN|ERR|FATAL)\]|\[(?:WARN|ERR|FATAL)\] \[\w+\.c:")),
    ("ejabberd", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d+(?:[+-]\d\d:\d\d)? \[(?:debug|info|notice|warning|error|critical)\] <\d+\.\d+\.\d+>")),
    ("PostgreSQL", re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]{3,4} (?:\[\d+\] )?(?:LOG|ERROR|FATAL|STATEMENT|DETAIL|HINT):")),
    ("Nextcloud", re.compile(r'\{"reqId":"')),
    ("BigBlueButton", re.compile(r".*\bbbb-(?:webrtc-sfu|apps|web|html5)\b")),
    ("mediasoup", re.compile(r".*\bmediasoup(?::|\b)\S*:(?:WARN|ERROR|INFO)")),
    ("Matrix Synapse", re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - [\w.]+ - \d+ - [A-Z]+ - ")),
    ("fail2ban", re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} fail2ban\.")),
)  # fmt: skip


def stranger(head: bytes) -> str | None:
    """The program whose log this is, where it is one that has no part in a Jitsi Meet deployment; else None."""
    lines = [line for line in head_lines(head, LINES) if line.strip()]
    for name, form in _STRANGERS:
        if sum(bool(form.match(line)) for line in lines) > len(lines) * 0.4:
            return name
    return None


_TRACE = re.compile(r"\s*at |\s+\S|Caused by:|(?:[a-z_]\w*\.)+[\w$]*[A-Z]\w*(?::|$)|\s*\.\.\. \d+ more")


class Census:
    """What the first lines of a piece are, counted by program."""

    def __init__(self, head: bytes) -> None:
        years = Yearless(None)
        lines = head_lines(head, LINES)
        self.wrapping = Wrapping(lines, years)
        self.lines = 0
        self.records: Counter[str] = Counter()
        self.recognised = 0
        self.dated = 0  # records with a time: no configuration has one
        pending: Record | None = None
        in_record: dict[str, str] = {}
        for line in lines:
            inner = self.wrapping.unwrap(line)
            text = inner.text
            if not text.strip():
                continue
            self.lines += 1
            if pending is not None and pending.message == "\n" and finish_two_lines(pending, text):
                program = by_place(pending.place, pending.context, pending.message) or by_name(inner.stream) or "java"
                self.records[program] += 1
                self.recognised += 2
                self.dated += 1
                in_record[inner.stream] = program
                continue
            record = next((record for form in FORMS if (record := form(text, years)) is not None), None)
            pending = record
            if record is None:
                self.recognised += (inner.stream in in_record and text[:1] in "\t ") or text.startswith("Caused by")
                if not self.wrapping.plain and by_name(inner.stream):
                    self.records[by_name(inner.stream) + "?"] += 1
                continue
            if record.message == "\n":
                continue
            self.dated += record.time is not None
            program = record.program
            if program == "nginx":
                program = f"nginx-{record.place}"
            elif not program:
                program = by_place(record.place, record.context, record.message) or by_name(inner.stream) or "java"
            self.records[program] += 1
            self.recognised += 1
            in_record[inner.stream] = program

    @property
    def programs(self) -> set[str]:
        """Programs of Jitsi Meet whose records were found."""
        return {name for name in self.records if not name.endswith("?") and name != "java"}

    @property
    def share(self) -> float:
        """Share of the lines that have a known form, or a wrapper."""
        return min(1.0, self.recognised / self.lines) if self.lines else 0.0


def kind_of(head: bytes) -> tuple[str, float]:
    """Kind of the log and how certain it is; an empty kind and 0 for what is none."""
    if not head or stranger(head) or _binary(head):
        return "", 0.0
    census = Census(head)
    programs = {name for name in census.programs if name not in SEEN_ONLY} | (census.programs & set(SEEN_ONLY))
    wrapped = census.wrapping.name
    if not programs and census.records["java"]:
        programs = {"jvb"} if _words(head) == "jvb" else {"jicofo"} if _words(head) == "jicofo" else set()
    if not programs:
        return "", 0.0
    main = {"nginx" if name.startswith("nginx") else name for name in programs}
    if wrapped in ("compose", "files", "pods"):
        return "compose-log", max(0.6 + 0.35 * census.share, 0.93 if census.dated else 0.7)
    if wrapped in ("syslog", "enclosed", "rfc5424") and (len(main) > 1 or main & {"kernel", "systemd", "docker"}):
        return "journal", 0.93
    if census.share < 0.1:
        return "", 0.0
    certainty = 0.5 + 0.45 * census.share
    if census.dated >= 3 or (census.dated and census.share > 0.3):
        certainty = max(certainty, 0.93)
    if len(main) > 1 and main != {"nginx"}:
        return "compose-log" if wrapped else "journal" if main & {"kernel", "systemd"} else "mixed-log", certainty
    name = next(iter(programs)) if len(programs) == 1 else max(programs, key=lambda p: census.records[p])
    return {"nginx-access": "nginx-access-log", "nginx-error": "nginx-error-log"}.get(name, f"{name}-log"), certainty


def _words(head: bytes) -> str:
    """Which of the two Java programs has a pattern for most of the lines."""
    counts: Counter[str] = Counter()
    for line in head_lines(head, LINES):
        text = line.partition("] ")[2] or line.partition(": ")[2]
        for name in BOTH:
            matcher: Matcher = MATCHERS[name]
            counts[name] += matcher.find(text, "") is not None
    return counts.most_common(1)[0][0] if counts.total() else ""


_CONTROLS = bytes([*range(9), *range(14, 27)])  # but what moves the cursor, and ESC, which colours text


def _binary(head: bytes) -> bool:
    sample = head[:4096]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")) or sample.count(0) > len(sample) // 5:
        return b"\0\0\0" in sample
    return len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 10
