"""The dump of chrome://webrtc-internals: Chrome's form of today, and that of 2019 to 2022.

States come bare or JSON-encoded, times as milliseconds or in the reader's own language. A series keeps its last 1,000
values, so that of a long call the beginning is missing.
"""

import re
from collections.abc import Iterator
from typing import Any

from jitsilab.errors import Problem
from jitsilab.inputs.browser import connection, tokens
from jitsilab.inputs.browser.connection import Connection, Entry, Series
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.browser.refusals import split
from jitsilab.inputs.json_text import Read, load, mapping, pointer, sequence, text_of
from jitsilab.inputs.moments import MINUTE, from_epoch, from_iso, from_local
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows

NAME = "webrtc-internals"
TABLES = frozenset({"peer_connections", "pc_events", "stats", "events"})
KEPT = 1000  # values that Chrome keeps of one series
CHUNK = 50_000
_MARK = re.compile(rb'"(?:PeerConnections|getUserMedia|updateLog|rtcConfiguration|UserAgentData)"\s*:')
_QUARTER = 15 * MINUTE


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is such a dump."""
    head = delivery.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"{"):
        return 0.0
    marks = set(_MARK.findall(head))
    return min(0.95, 0.5 + 0.25 * len(marks)) if marks else 0.0


def open_(delivery: Delivery) -> "Dump":
    """The dump."""
    return Dump(delivery)


class Dump(Opened):
    """A source of the tables peer_connections, pc_events, stats and events."""

    kind = NAME
    tables = TABLES

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of the dump."""
        whole = load(self.delivery)
        self._problem(whole)
        dump = mapping(whole.value)
        moment = from_epoch(dump.get("timestamp"))
        happenings = self._media(dump, moment)
        made = mapping(dump.get("PeerConnections"))
        connections = []
        for name, raw in made.items():
            if not isinstance(raw, dict):
                self.problems.append(Problem(0, NAME, 0, f"connection {name[:60]} is no object"))
                continue
            peer = Connection(name[:200], pointer("PeerConnections", name))
            yield from self._connection(peer, raw, tables)
            connections.append(peer)
            happenings += peer.events
            for key, values in peer.identity.items():
                self.identity.setdefault(key, set()).update(values)
        if not made or not any(peer.first for peer in connections):
            happenings += self._token(dump, moment)
        if "peer_connections" in tables and connections:
            yield Rows("peer_connections", [row(peer, self.input) for peer in connections])
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])
        self.note = "; ".join(self._notes(connections))

    def _problem(self, whole: Read) -> None:
        if whole.problem:
            self.problems.append(Problem(0, NAME, whole.offset, f"the dump {whole.problem}"))

    def _notes(self, connections: list[Connection]) -> Iterator[str]:
        if any(peer.truncated for peer in connections):
            yield "the beginning of its series is missing: Chrome keeps 1,000 values of each"
        if not connections:
            yield "no connection was made when it was saved"

    # -- getUserMedia

    def _media(self, dump: dict[str, Any], moment: int | None) -> list[Happening]:
        happenings, given = [], False
        for number, raw in enumerate(sequence(dump.get("getUserMedia"))):
            request = mapping(raw)
            time = from_epoch(request.get("timestamp"))
            given = given or bool(
                request.get("stream_id") or request.get("audio_track_info") or request.get("video_track_info")
            )
            for name in ("url", "origin"):
                if host := split(text_of(request.get(name), 4000))[0]:
                    self.identity.setdefault("host", set()).add(host)
            if error := text_of(request.get("error"), 60):
                happenings.append(
                    Happening("media-denied", time=time, value=error, pointer=pointer("getUserMedia", number))
                )
        return [] if given else happenings

    def _token(self, dump: dict[str, Any], moment: int | None) -> Iterator[Happening]:
        """A token of the page that was too old or too young when the page was used; no connection was ever made."""
        for number, raw in enumerate(sequence(dump.get("getUserMedia"))):
            request = mapping(raw)
            why = tokens.refusal(text_of(request.get("url"), 20_000), from_epoch(request.get("timestamp")) or moment)
            if why is not None:
                yield Happening("token-refused", time=from_epoch(request.get("timestamp")) or moment, value=why[0],
                                detail=why[1], pointer=pointer("getUserMedia", number, "url"))  # fmt: skip
                return

    # -- one connection

    def _connection(self, peer: Connection, raw: dict[str, Any], tables: frozenset[str]) -> Iterator[Rows]:
        address = text_of(raw.get("url"), 20_000)
        host, path, _ = split(address)
        peer.url = f"{address.split('://')[0]}://{host}{path}" if host else ""
        if host:
            self.identity.setdefault("host", set()).add(host)
        peer.configure(connection.value_of(raw.get("rtcConfiguration")))
        series = list(self._series(peer, raw))
        near = min((at for each in series for at in each.times[:1] if at is not None), default=None)
        rows: list[tuple[Any, ...]] = []
        for entry in self._entries(peer, raw, near):
            peer.take(entry)
            if "pc_events" in tables:
                value = entry.value if isinstance(entry.value, str) else _dumped(entry.value)
                rows.append((entry.time, peer.name, entry.type, value, self.input, entry.pointer))
        if rows:
            yield Rows("pc_events", rows)
        peer.measure(series)
        if "stats" in tables:
            yield from stat_rows(peer, series, self.input)

    def _entries(self, peer: Connection, raw: dict[str, Any], near: int | None) -> Iterator[Entry]:
        entries = []
        log = raw.get("updateLog")
        for number, each in enumerate(sequence(log)):
            if not isinstance(each, dict):
                self.problems.append(Problem(0, NAME, 0, f"entry {number} of connection {peer.name[:60]} is no object"))
                continue
            time = from_epoch(each.get("timestamp"))
            local = None if time is not None else from_local(each.get("time"), near)
            kind = re.sub(r"^on(?=[a-z])", "", text_of(each.get("type"), 80))
            entries.append((time, local, kind, connection.value_of(each.get("value")), number))
        shift = _shift([local for _, local, *_ in entries if local is not None], near)
        description: Any = None
        for time, local, kind, value, number in entries:
            if kind.lower() in {"createofferonsuccess", "createansweronsuccess"}:
                description = value
            elif kind.lower() == "setlocaldescription" and not value:
                value = description  # JSEP: without an argument, the one that was made last
            at = time if time is not None else None if local is None else local + shift
            yield Entry(at, kind, value, f"{peer.pointer}/updateLog/{number}")

    def _series(self, peer: Connection, raw: dict[str, Any]) -> Iterator[Series]:
        for name, each in mapping(raw.get("stats")).items():
            described = mapping(each)
            values = described.get("values")
            values = connection.value_of(values)
            if not isinstance(values, list):
                continue
            identifier, _, key = name.rpartition("-")
            if key.endswith("]") and "-[" in name:  # a rate that the page works out: [bytesReceived_in_bits/s]
                identifier, _, key = name.partition("-[")
                key = f"[{key}"
            start, end = from_iso(described.get("startTime")), from_iso(described.get("endTime"))
            peer.truncated = peer.truncated or len(values) >= KEPT
            kind, times = text_of(described.get("statsType"), 60), _times(start, end, len(values))
            yield Series(identifier, kind, key, times, values,
                         f"{peer.pointer}{pointer('stats', name)}")  # fmt: skip


def _times(start: int | None, end: int | None, count: int) -> list[int | None]:
    """The time of each value: Chrome writes the first and the last, and asks once a second."""
    if start is None or end is None or count < 2:
        return [end if end is not None else start] * count
    return [start + (end - start) * number // (count - 1) for number in range(count)]


def _shift(locals_: list[int], near: int | None) -> int:
    """What takes local times of an old dump to UTC: the zones' quarters of an hour by which its series start later."""
    if not locals_ or near is None:
        return 0
    return round((near - min(locals_)) / _QUARTER) * _QUARTER


def _dumped(value: Any) -> str:
    import json

    return "" if value is None else json.dumps(value, ensure_ascii=False)


def row(peer: Connection, name: str) -> tuple[Any, ...]:
    """The row of a connection."""
    return (peer.name, peer.url, peer.kind, peer.state, peer.ice_state, peer.selected, peer.first, peer.last,
            peer.truncated, name, peer.pointer)  # fmt: skip


def stat_rows(peer: Connection, series: list[Series], name: str) -> Iterator[Rows]:
    """Rows of the statistics, one a value."""
    rows: list[tuple[Any, ...]] = []
    for each in series:
        for at, value in zip(each.times, each.values, strict=False):
            text = value if isinstance(value, str) else _dumped(value)
            rows.append((at, peer.name, each.id, each.type, each.field, text, name, each.pointer))
        if len(rows) >= CHUNK:
            yield Rows("stats", rows)
            rows = []
    if rows:
        yield Rows("stats", rows)


KIND = Kind(NAME, "dump of chrome://webrtc-internals", TABLES, recognise, open_)
