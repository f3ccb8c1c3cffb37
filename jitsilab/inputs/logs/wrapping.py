# ruff: noqa: E501  (a pattern is one line)
"""What stands before a program's own line: docker compose's names, syslog's and journald's heads, JSON around it, grep.

`Wrapping` finds out by the head of a piece which of them there are, one inside the other (a journal of a unit that
runs ``docker-compose up``), and takes them off line by line. A line without the prefix belongs to the stream of the
line before: terminals and mail programs break lines.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from jitsilab.inputs.logs.times import SECOND, Yearless, iso


class Inner(NamedTuple):
    """A line without what was around it."""

    stream: str  # name of the container, unit or tag; empty where there is none
    text: str
    time: int | None = None  # as the wrapper wrote it, ns
    zone: bool = False  # whether the wrapper's time has a zone


Unwrap = Callable[[str, Yearless], Inner | None]

_COMPOSE = re.compile(r"\s?([A-Za-z0-9][\w.-]{0,80}?) *\|(?: (.*)|$)", re.DOTALL)
_SYSLOG = re.compile(
    r"(?:<\d{1,3}>(?:1 )?)?"
    r"(?:([^\W\d_]{3,5}\.?) +(\d{1,2}) (\d\d:\d\d:\d\d(?:\.\d+)?)"  # Nov 29 15:35:33
    r"|(?:[^\W\d_]{2,4}\.? )?(\d{4}-\d\d-\d\d(?:T| )\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}|[+-]\d\d:?\d\d))?)"
    r"|(\d{10}\.\d{6}))"
    r" ([\w.:-]+) ([^\s\[\]:]+?)(?:\[(\d+)\])?: ?(.*)",
    re.DOTALL,
)
_RFC5424 = re.compile(r"<\d{1,3}>1 (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|(?:\[[^\]]*\])+) ?(.*)", re.DOTALL)
_STAMPED = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}(?:Z|[+-]\d\d:\d\d)) (?:(?:stdout|stderr) [FP] )?(.*)", re.DOTALL
)
_GREP = re.compile(
    r"(?:\./)?([^\s:|]{1,200}\.(?:log|txt|err|out)(?:\.\d+)?|[^\s:|]*/[^\s:|]+)?[:-]?(?:\d+[:-])?(.*)", re.DOTALL
)
_PODS = re.compile(r"\[pod/([\w.-]+)(?:/([\w.-]+))?\] (.*)", re.DOTALL)
_TAGGED = re.compile(r"([A-Za-z][\w.@-]{1,60})\[\d{1,8}\]: ?(.*)", re.DOTALL)
_FILE = re.compile(r"==> (?:.*/)?([^/]+?) <==$")
_START = re.compile(r"(?:JVB|Jicofo|Jibri|Jigasi) \d{4}-|\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:|\[?\d{1,3}\.\d+\.\d+\.\d+ ")


def compose(line: str, _: Yearless) -> Inner | None:
    """``jvb_1     | text`` (docker-compose), ``jvb-1  | text`` (docker compose)."""
    match = _COMPOSE.match(line) if "|" in line[:90] else None
    return Inner(match[1], match[2] or "") if match else None


def syslog(line: str, years: Yearless) -> Inner | None:
    """Lines of syslog and of journalctl: short, short-iso, short-precise, short-full, short-unix, with-unit."""
    match = _SYSLOG.match(line)
    if not match:
        return None
    word, day, clock, stamp, unix, _host, tag, _pid, text = match.groups()
    if word:
        when, zone = years.moment(word, day, clock), False
        if when is None:
            return None
    elif stamp:
        when, zone = iso(stamp)
    else:
        seconds, _, micros = unix.partition(".")
        when, zone = int(seconds) * SECOND + int(micros) * 1000, True
    return Inner(tag, text, when, zone)


def tagged(line: str, _: Yearless) -> Inner | None:
    """``jicofo.sh[4072]: text``: a journal's line of which the date and the host were cut."""
    match = _TAGGED.match(line)
    return Inner(match[1], match[2]) if match else None


def rfc5424(line: str, _: Yearless) -> Inner | None:
    """``<34>1 2003-10-11T22:14:15.003Z host app procid msgid - text`` (RFC 5424)."""
    match = _RFC5424.match(line)
    return Inner(match[3], match[6].removeprefix("\ufeff"), *iso(match[1])) if match else None


def enclosed(line: str, _: Yearless) -> Inner | None:
    """JSON around a line: ``journalctl -o json`` (MESSAGE is text or an array of bytes), docker's json-file."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    if "MESSAGE" in entry or "__REALTIME_TIMESTAMP" in entry:
        text, stamp = entry.get("MESSAGE"), entry.get("__REALTIME_TIMESTAMP")
        if isinstance(text, list) and text and not isinstance(text[0], int):
            text = text[0]  # a field that was given several times
        if isinstance(text, list):
            text = bytes(b for b in text if isinstance(b, int) and 0 <= b < 256).decode("utf-8", "replace")
        name = ""
        for field in ("CONTAINER_NAME", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_COMM"):
            if isinstance(entry.get(field), str):
                name = entry[field]
                break
        when = int(stamp) * 1000 if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit() else None
        if when is not None and when > 7_000_000_000 * SECOND:
            when = None
        return Inner(name, text.rstrip("\n") if isinstance(text, str) else "", when, when is not None)
    if isinstance(entry.get("log"), str):
        attributes = entry.get("attrs")
        name = str(attributes.get("tag", "")) if isinstance(attributes, dict) else ""
        stamp = entry.get("time")
        return Inner(name, entry["log"].rstrip("\r\n"), *(iso(stamp) if isinstance(stamp, str) else (None, False)))
    return None


def stamped(line: str, _: Yearless) -> Inner | None:
    """A time of nine decimals before the line: ``docker logs -t``, ``compose logs -t``, container runtimes."""
    match = _STAMPED.match(line)
    return Inner("", match[2], *iso(match[1])) if match else None


def pods(line: str, _: Yearless) -> Inner | None:
    """``[pod/name/container] text`` (``kubectl logs --prefix``)."""
    match = _PODS.match(line) if line.startswith("[") else None
    return Inner(match[2] or match[1], match[3]) if match else None


def grepped(line: str, _: Yearless) -> Inner | None:
    """``file:12:text``, ``12:text``: what grep puts before a line that has the head of a program's line."""
    match = _GREP.match(line)
    if not match or match.end() == match.start(2) == 0 or not _START.match(match[2]):
        return None
    return Inner((match[1] or "").rpartition("/")[2], match[2]) if match.start(2) else None


_KINDS: tuple[Unwrap, ...] = (enclosed, compose, rfc5424, syslog, tagged, pods, stamped, grepped)
_DEPTH = 3  # compose in a journal in JSON
_SHARE = 0.15  # of the lines of the head: `docker-compose up | grep` leaves a few lines of the shell among them


class Wrapping:
    """The wrappers of one piece, found by its first lines."""

    def __init__(self, head: list[str], years: Yearless) -> None:
        self.layers: list[Unwrap] = []
        self.files = any(_FILE.match(line) for line in head)
        self._years, self._stream = years, ""
        lines, quiet = [line for line in head if line.strip()], Yearless(None)
        for _ in range(_DEPTH):
            best: tuple[int, Unwrap | None, list[str]] = (0, None, [])
            for kind in _KINDS:
                inside = [inner.text for line in lines if (inner := kind(line, quiet))]
                if len(inside) > best[0]:
                    best = len(inside), kind, inside
            if best[1] is None or best[0] < max(1, _SHARE * len(lines)):
                return
            self.layers.append(best[1])
            lines = [text for text in best[2] if text.strip()]

    @property
    def plain(self) -> bool:
        """Whether nothing stands before the lines."""
        return not self.layers and not self.files

    @property
    def name(self) -> str:
        """Name of the outermost wrapper: compose, syslog, ..."""
        return self.layers[0].__name__ if self.layers else "files" if self.files else ""

    def unwrap(self, line: str) -> Inner:
        """A line without its wrappers; where it has none, it belongs to the stream before."""
        if self.files and (match := _FILE.match(line)):
            self._stream = match[1]
            return Inner(self._stream, "")
        stream, when, zone, text, unwrapped = "", None, False, line, False
        for layer in self.layers:
            inner = layer(text, self._years)
            if inner is None:
                break
            unwrapped = True
            text = inner.text
            stream = inner.stream or stream
            if inner.time is not None and (inner.zone or not zone):
                when, zone = inner.time, inner.zone
        if unwrapped and not self.files:
            self._stream = stream
        return Inner(self._stream, text, when, zone)
