# ruff: noqa: E501  (a pattern is one line)
"""A line becomes a record: who writes, when, how grave, where in the program, of whom, and the text.

A form is one program's way to begin a record. What no form knows continues the record before it: stack traces, and
what a paste broke. Forms are tried in the order of the stream's last success, so a change of form inside a file is
followed, and a file of several programs is several programs.
"""

import re
from collections.abc import Callable

from jitsilab.inputs.logs.times import Yearless, fraction, iso, java_date, moment, month, offset_of

MORE_LINES = 16  # lines below a record that are kept for its meaning; frames of a stack trace are not
MORE_LENGTH = 4096

#: java.util.logging writes its levels in the language of the system (sun.util.logging.resources); others do not.
LEVELS = {
    "SEVERE": "error", "WARNING": "warning", "INFO": "info", "CONFIG": "info", "FINE": "debug", "FINER": "debug",
    "FINEST": "debug", "ERROR": "error", "WARN": "warning", "DEBUG": "debug", "TRACE": "debug", "FATAL": "error",
    "SCHWERWIEGEND": "error", "WARNUNG": "warning", "INFORMATION": "info", "KONFIGURATION": "info", "FEIN": "debug",
    "FEINER": "debug", "AM FEINSTEN": "debug",
    "GRAVE": "error", "AVERTISSEMENT": "warning", "INFOS": "info", "PRÉCIS": "debug", "PRECIS": "debug",
    "ADVERTENCIA": "warning", "INFORMACIÓN": "info", "AVVERTENZA": "warning", "INFORMAZIONI": "info",
    "ADVERTÊNCIA": "warning", "AVISO": "warning", "INFORMAÇÕES": "info", "VARNING": "warning", "ALLVARLIG": "error",
    "重大": "error", "警告": "warning", "情報": "info", "严重": "error", "信息": "info", "嚴重": "error", "資訊": "info",
    "심각": "error", "경고": "warning", "정보": "info",
    "EMERG": "error", "ALERT": "error", "CRIT": "error", "NOTICE": "info", "CONTROL": "info",
}  # fmt: skip


class Record:
    """One record of a program's log."""

    __slots__ = ("context", "fields", "level", "line", "message", "more", "place", "program", "text", "time", "zone")

    def __init__(
        self,
        program: str,
        time: int | None,
        level: str,
        place: str,
        message: str,
        *,
        context: str = "",
        zone: bool = False,
        fields: tuple[str, str, str, str, str, str] | None = None,
    ) -> None:
        self.program = program
        self.time = time
        self.zone = zone
        self.level = level
        self.place = place
        self.context = context
        self.message = message
        self.fields = fields  # nginx: client's part, method, target, status, bytes, rest
        self.line = 0
        self.more: list[str] = []

    @property
    def whole(self) -> str:
        """The message with the lines below it that were kept."""
        return "\n".join((self.message, *self.more)) if self.more else self.message


Form = Callable[[str, Yearless], "Record | None"]

_JAVA = re.compile(
    r"[\s>]{0,12}(?:(JVB|Jicofo|JICOFO|Jigasi|JIGASI|Jibri|JIBRI|[A-Za-z]{2,15}) )?"
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)[.,](\d{3}) ([^\W\d_][^:\[\]\t#.]{1,23}): ?(.*)",
    re.DOTALL,
)
_BODY = re.compile(
    r"(?:\[(\d+)\] ?)?(?:\[([^\[\]]{0,600}=[^\[\]]{0,600})\] ?)?"
    r"(?:((?:[\w$-]+\.)+[\w$<>-]+)(?:#\d+:|\(\)(?:\.\d+)?:?|:)(?:\s+|$))?(.*)",
    re.DOTALL,
)
_JUL = re.compile(r"(?=[^\n]{0,60}\d)([^\[\]{}=|]{12,60}?) ((?:[a-z_][\w]*\.)+[\w$]+) ([\w$<>]+)$")
_JUL_LEVEL = re.compile(r"([^\W\d_][^:\[\]\t#.]{1,23}): ?(.*)", re.DOTALL)
_PROSODY = re.compile(
    r"(?:([^\W\d_]{3,5}\.?) +(\d{1,2}) (\d\d:\d\d:\d\d)\s+|(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\s+)?"
    r"([A-Za-z_][\w.:@/-]*)([ \t]+)(debug|info|warn|error)([ \t]+)(.*)",
    re.DOTALL,
)
_NGINX_ACCESS = re.compile(
    r"(.{1,300}?) \[(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\] "
    r'"(?:([A-Z]{3,10}) )?([^" ]*)(?: [^"]*)?" (\d{3}) (\d+|-)(.*)',
    re.DOTALL,
)
_NGINX_OWN = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))\]? ([^\"]{1,200})"
    r'"([A-Z]{3,10}) ([^" ]*) HTTP/[^"]*" (\d{3})(?: (\d+|-))?(.*)',
    re.DOTALL,
)
_NGINX_ERROR = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) \[(debug|info|notice|warn|error|crit|alert|emerg)\] "
    r"\d+#\d+: (?:\*\d+ )?(.*)",
    re.DOTALL,
)
_COTURN = re.compile(
    r"(?:(\d{1,10}): |(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z|[+-]\d\d:?\d\d)?)(?=[: (]))(?:: ?)?(?:\(\d+\): ?|: ?)?"
    r"(?:(ERROR|WARNING|INFO|DEBUG|CONTROL):? )?(.*)",
    re.DOTALL,
)
_COTURN_WORDS = re.compile(
    r"session \d{18}: |A peer IP |Version Coturn|check_stun_auth: |IPv[46]\. |Listener address|Relay address|log file opened"
    r"|(?:White|Black) ?listing|realm <|TLS/TCP socket error|closed \(|Coturn|turn_|handle_udp_packet|.*STUN/TURN"
    r"|(?:IO method|turn server id=|Default realm|SQLite|SSL23|TLS1)|$"
)
_KERNEL = re.compile(
    r"(?:\[ *\d+\.\d+\] )?(?:[\w./-]+ invoked oom-killer|(?:Memory cgroup o|O)ut of memory|oom-kill:|Killed process"
    r"|oom_reaper|Killing process)"
)
_EXITED = re.compile(r"([A-Za-z0-9][\w.-]{0,80}) exited with code (\d{1,3})(?: \(restarting\))?\s*$")
_CLASS_NAME = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*)*\.[A-Z][\w$]*$|[A-Z]\w*$")


def _java_level(word: str) -> str:
    return LEVELS.get(word) or LEVELS.get(word.upper()) or "info"


def java(line: str, _: Yearless) -> Record | None:
    """``JVB 2026-11-29 15:35:33.871 INFO: [47] [confId=…] Class.method#12: text`` and its older forms."""
    match = _JAVA.match(line)
    if not match:
        return None
    program, stamp, millis, level, rest = match.groups()
    when = iso(stamp)[0]
    body = _BODY.match(rest)
    context, place, text = (body[2], body[3], body[4]) if body else (None, None, rest)
    word = (program or "").lower()  # a paste may have lost its beginning
    name = next((known for known in ("jicofo", "jvb", "jigasi", "jibri") if len(word) > 1 and known.endswith(word)), "")
    return Record(
        name,
        None if when is None else when + fraction(millis),
        _java_level(level),
        place or "",
        text,
        context=context or "",
    )


def java_two_lines(line: str, _: Yearless) -> Record | None:
    """First line of java.util.logging's own form: date, class, method; `finish_two_lines` reads the second."""
    parts = dated_class(line)
    return Record("", parts[1], "", f"{parts[2]}.{parts[3]}", "\n") if parts is not None else None


def dated_class(line: str) -> tuple[str, int, str, str] | None:
    """Date as written in any locale, its time, class and method of such a line; None for another."""
    if line[:1] == "\t" or "." not in line or len(line) > 200:
        return None
    match = _JUL.match(line.lstrip(" >").replace("\u202f", " ").replace("\xa0", " "))
    if not match or not _CLASS_NAME.search(match[2]):
        return None
    when = java_date(match[1])
    return (match[1], when, match[2], match[3]) if when is not None else None


def finish_two_lines(record: Record, line: str) -> bool:
    """Read the second line, ``LEVEL: text``, into a record that `java_two_lines` began."""
    match = _JUL_LEVEL.match(line.lstrip(" >"))
    if not match:
        return False
    record.level = _java_level(match[1])
    body = _BODY.match(match[2])
    if body:
        record.context = body[2] or ""
        record.message = f"{body[3]}: {body[4]}" if body[3] else body[4]
    else:
        record.message = match[2]
    return True


def prosody(line: str, years: Yearless) -> Record | None:
    r"""``Nov 29 15:35:33 source\tlevel\ttext``, with an ISO date in docker, without any on a console."""
    match = _PROSODY.match(line)
    if not match:
        return None
    word, day, clock, stamp, source, gap, level, gap2, text = match.groups()
    if not word and not stamp and "\t" not in gap + gap2 and len(gap) + len(gap2) < 4:
        return None  # "the info that": three words of a sentence
    when, zone = (years.moment(word, day, clock), False) if word else iso(stamp) if stamp else (None, False)
    level = "warning" if level == "warn" else level
    return Record("prosody", when, level, source, text, zone=zone)


def nginx_access(line: str, _: Yearless) -> Record | None:
    """Common and combined format, with or without what a virtual host or a proxy adds, and formats of one's own."""
    if '"' not in line:
        return None
    match = _NGINX_ACCESS.match(line)
    if match:
        day, name, year, hour, minute, second, zone = match.groups()[1:8]
        when = moment(int(year), month(name), int(day), int(hour), int(minute), int(second), offset_of(zone))
        fields = match[1], match[9] or "", match[10] or "", match[11], match[12], match[13]
    else:
        match = _NGINX_OWN.match(line)
        if not match:
            return None
        when = iso(match[1])[0]
        fields = match[2], match[3], match[4], match[5], match[6] or "", match[7]
    level = "error" if fields[3] >= "500" else "warning" if fields[3] >= "400" else "info"
    return Record("nginx", when, level, "access", line[:MORE_LENGTH], zone=True, fields=fields)


def nginx_error(line: str, _: Yearless) -> Record | None:
    """``2026/11/29 16:47:56 [error] 29826#29826: *19 text, client: …`` of nginx, http and stream."""
    match = _NGINX_ERROR.match(line)
    if not match:
        return None
    when = moment(*(int(part) for part in match.groups()[:6]))
    return Record("nginx", when, LEVELS.get(match[7].upper(), "info"), "error", match[8])


def coturn(line: str, _: Yearless) -> Record | None:
    """``12: : text`` (s since the start), ``12: (4711): INFO: text``, ISO times, and syslog's inside."""
    match = _COTURN.match(line)
    if not match or not _COTURN_WORDS.match(match[4]):
        return None
    when, zone = iso(match[2]) if match[2] else (None, False)
    return Record("coturn", when, LEVELS.get(match[3] or "INFO", "info"), "", match[4], zone=zone)


def kernel(line: str, _: Yearless) -> Record | None:
    """The kernel's lines about memory; other lines of a journal's kernel say nothing here."""
    return Record("kernel", None, "error", "", line) if _KERNEL.match(line) else None


def container(line: str, _: Yearless) -> Record | None:
    """``jvb_1 exited with code 137``, which docker compose writes itself."""
    match = _EXITED.match(line) if "exited with code" in line else None
    return Record("docker", None, "error" if match[2] != "0" else "info", "", line.strip()) if match else None


_UNIT = re.compile(r"[\w@.-]+\.service: (?:Main process exited|A process of this unit)")


def unit(line: str, _: Yearless) -> Record | None:
    """What systemd says of a service that ended."""
    return Record("systemd", None, "error", "", line) if ".service: " in line and _UNIT.match(line) else None


FORMS: tuple[Form, ...] = (java, prosody, nginx_access, nginx_error, java_two_lines, coturn, kernel, unit, container)

_EXCEPTION = re.compile(r"(?:Caused by: )?((?:[a-z_]\w*\.)+(?:[\w$]*\$)?[A-Z]\w*)(?::\s*(.*))?$")


def exceptions(record: Record) -> list[tuple[str, str]]:
    """The exceptions below a record, the outermost first: simple class name and message."""
    thrown = []
    for line in record.more:
        match = _EXCEPTION.match(line)
        if match:
            thrown.append((match[1].rpartition(".")[2].rpartition("$")[2], match[2] or ""))
    return thrown
