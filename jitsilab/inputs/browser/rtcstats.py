"""Dumps of rtcstats: file format 3, and the trace that lib-jitsi-meet sends; a line is an entry.

An entry is ``[method, connection, value, ..., time]``. Format 3 writes numbers for names and each time after the one
before; the statistics of both hold only what changed. The places of its rows are lines, counted from 0 in a pointer.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from jitsilab.errors import Problem
from jitsilab.inputs.browser.connection import Connection, Entry, Series, value_of
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.browser.refusals import split
from jitsilab.inputs.browser.webrtc_internals import row, stat_rows
from jitsilab.inputs.json_text import mapping, sequence, text_of
from jitsilab.inputs.moments import from_epoch
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows

NAME = "rtcstats"
TABLES = frozenset({"peer_connections", "pc_events", "stats", "events"})
LONGEST = 1 << 24  # bytes of one entry
CONNECTIONS = 10_000
_START = b"RTCStatsDump"
_LINE = re.compile(
    rb'\s*\[\s*"(?:connectionInfo|create|constraints|get[sS]tats|identity|on[a-z]+|set(?:Local|Remote)Description|'
    rb'navigator\.mediaDevices\.\w+|conferenceStartTimestamp|createDataChannel|addTrack)",\s*(?:null|"[^"]{0,80}"),'
)
#: numbers of methods that are read (rtcstats-js, protocol 4; they are never given to another)
_METHODS: dict[object, str] = {
    "g": "getStats", 1: "getStats", 2: "createOffer", 3: "createOfferOnSuccess", 4: "createAnswer",
    5: "createAnswerOnSuccess", 6: "setLocalDescription", 7: "setLocalDescriptionOnSuccess", 8: "setRemoteDescription",
    9: "setRemoteDescriptionOnSuccess", 10: "addIceCandidate", 14: "setLocalDescriptionOnFailure",
    15: "setRemoteDescriptionOnFailure", 16: "addIceCandidateOnFailure",
    20: "onicecandidate", 21: "onicecandidateerror",
    22: "ontrack", 23: "onsignalingstatechange", 24: "oniceconnectionstatechange", 25: "onconnectionstatechange",
    26: "onicegatheringstatechange", 30: "addTrack", 36: "close", 37: "restartIce",
    38: "setConfiguration", 39: "create",
    40: "constraints", 60: "navigator.mediaDevices.getUserMedia", 61: "navigator.mediaDevices.getUserMediaOnSuccess",
    65: "navigator.mediaDevices.getUserMediaOnFailure",
}  # fmt: skip
_TYPES = {
    1: "inbound-rtp", 2: "outbound-rtp", 3: "remote-inbound-rtp", 4: "remote-outbound-rtp", 5: "transport",
    6: "candidate-pair", 7: "local-candidate", 8: "remote-candidate", 9: "data-channel", 10: "peer-connection",
    11: "certificate", 12: "media-source", 13: "media-playout", 14: "codec",
}  # fmt: skip
_FIELDS = {
    "t": "timestamp", "10": "ssrc", "11": "kind", "14": "packetsReceived", "15": "packetsLost",
    "16": "jitter", "18": "mid",
    "41": "bytesReceived", "75": "roundTripTime", "77": "fractionLost", "79": "packetsSent", "80": "bytesSent",
    "100": "active", "116": "protocol", "118": "state", "121": "iceRole", "122": "iceLocalUsernameFragment",
    "123": "dtlsState", "124": "iceState", "125": "selectedCandidatePairId", "134": "address", "135": "port",
    "136": "candidateType", "138": "url", "139": "relayProtocol", "141": "relatedAddress", "142": "relatedPort",
    "143": "usernameFragment", "144": "tcpType", "148": "localCandidateId",
    "149": "remoteCandidateId", "150": "nominated",
    "152": "currentRoundTripTime", "155": "requestsReceived", "156": "requestsSent", "157": "responsesReceived",
    "158": "responsesSent", "160": "packetsDiscardedOnSend",
}  # fmt: skip


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is such a dump."""
    head = delivery.head.lstrip(b"\xef\xbb\xbf")
    if head.startswith(_START):
        return 0.98
    return 0.9 if _LINE.match(head) else 0.0


def open_(delivery: Delivery) -> "Trace":
    """The dump."""
    return Trace(delivery)


class Statistics:
    """Series of one connection, put together from what changed."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        self._types: dict[str, str] = {}
        self._present: set[str] = set()
        self._last: int | None = None

    def take(self, delta: dict[str, Any], moment: int | None, pointer: str, partial: bool) -> None:
        """Take one report; in a ``partial`` one an object that is not named is unchanged, else it is gone."""
        at = from_epoch(delta.get("t", delta.get("timestamp"))) or moment
        self._last = at
        if not partial:
            self._present &= set(delta)
        for name, raw in delta.items():
            if raw is None:
                self._present.discard(name)
            if not isinstance(raw, dict):
                continue
            self._present.add(name)
            kind = raw.get("type")
            if kind is not None:
                self._types[name] = _TYPES.get(kind, str(kind)) if isinstance(kind, int) else text_of(kind, 60)
            for key, value in raw.items():
                field = _FIELDS.get(key) or key
                if field in {"timestamp", "type", "id"} or isinstance(value, dict | list):
                    continue
                series = self.series.get((name, field))
                if series is None:
                    series = self.series[name, field] = Series(name, "", field, [], [], pointer)
                series.times.append(at)
                series.values.append(value)

    def close(self) -> list[Series]:
        """The series; a value that did not change to the end has that end too."""
        for (name, _), series in self.series.items():
            series.type = self._types.get(name, "")
            if name in self._present and self._last is not None and series.times[-1] != self._last:
                series.times.append(self._last)
                series.values.append(series.values[-1])
        return list(self.series.values())


class Trace(Opened):
    """A source of the tables peer_connections, pc_events, stats and events."""

    kind = NAME
    tables = TABLES

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._connections: dict[str, Connection] = {}
        self._statistics: dict[str, Statistics] = {}
        self._made: dict[tuple[str, str], Any] = {}  # descriptions that were made or set, by connection and type
        self._media: list[Happening] = []
        self._given = False

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Rows of the dump."""
        rows: list[tuple[Any, ...]] = []
        for entry, name in self._entries():
            if "pc_events" in tables and name and entry.type.lower() != "getstats":
                value = entry.value if isinstance(entry.value, str) else json.dumps(entry.value, ensure_ascii=False)
                rows.append((entry.time, name, entry.type, value, self.input, entry.pointer))
        if rows:
            yield Rows("pc_events", rows)
        happenings = [] if self._given else self._media
        for name, connection in self._connections.items():
            series = self._statistics[name].close() if name in self._statistics else []
            connection.measure(series)
            happenings += connection.events
            for key, values in connection.identity.items():
                self.identity.setdefault(key, set()).update(values)
            if "stats" in tables:
                yield from stat_rows(connection, series, self.input)
        if "peer_connections" in tables and self._connections:
            yield Rows("peer_connections", [row(connection, self.input) for connection in self._connections.values()])
        who = next(iter(self.identity.get("endpoint", ())), "")
        for happening in happenings:
            happening.participant = who
            happening.line, happening.pointer = int(happening.pointer.lstrip("/") or 0) + 1, ""
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])

    def _entries(self) -> Iterator[tuple[Entry, str]]:
        before, relative, broken = 0.0, False, 0
        with self.delivery.open() as file:
            number = -1
            while line := file.readline(LONGEST):
                number += 1
                text = line.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
                if number == 0 and text.startswith("RTCStatsDump"):
                    relative = True
                    continue
                if not text:
                    continue
                try:
                    raw = json.loads(text, parse_int=lambda digits: int(digits[:20]))
                except (ValueError, RecursionError):
                    broken += 1
                    if broken <= 20:
                        self.problems.append(Problem(0, NAME, 0, f"line {number + 1} is no JSON"))
                    continue
                if isinstance(raw, dict) and number <= 1:
                    self._page(raw)
                if not isinstance(raw, list) or len(raw) < 4:
                    continue
                method, connection, value, last = raw[0], raw[1], raw[2], raw[-1]
                moment = last if isinstance(last, int | float) and not isinstance(last, bool) else 0
                before = before + moment if relative else moment
                kind = _METHODS.get(method, str(method)) if isinstance(method, int | str) else ""
                name = text_of(connection, 80)
                entry = Entry(from_epoch(before), re.sub(r"^on(?=[a-z])", "", kind[:80]), value_of(value), f"/{number}")
                self._take(entry, name, relative)
                yield entry, name

    def _take(self, entry: Entry, name: str, relative: bool) -> None:
        kind = entry.type.lower()
        if not name or name == "undefined-undefined":
            self._page_entry(entry, kind)
            return
        if name not in self._connections:
            if len(self._connections) >= CONNECTIONS:
                return
            self._connections[name] = Connection(name, entry.pointer)
        connection = self._connections[name]
        if kind == "getstats":
            self._statistics.setdefault(name, Statistics()).take(
                mapping(entry.value), entry.time, entry.pointer, relative
            )
            return
        if kind == "constraints" and not connection.kind:
            for each in sequence(mapping(entry.value).get("optional")):
                if isinstance(peer := mapping(each).get("rtcStatsSFUP2P"), bool):
                    connection.kind = "p2p" if peer else "jvb"
        if kind in {"createofferonsuccess", "createansweronsuccess", "setlocaldescription"}:
            entry.value = self._whole(entry.value, name, kind)
        connection.take(entry)

    def _whole(self, value: Any, name: str, kind: str) -> Any:
        """A local description with the sections that were left out because they are those of the one before."""
        if not value and kind == "setlocaldescription":
            return self._made.get((name, "last"))
        description = mapping(value)
        which = text_of(description.get("type"), 20)
        base = mapping(self._made.get((name, which)))
        old, new = text_of(base.get("sdp"), 1 << 20), text_of(description.get("sdp"), 1 << 20)
        if old and new:
            before, after = _sections(old), _sections(new)
            for number, section in enumerate(after):
                if section.strip() == ("v=" if number == 0 else "m=") and number < len(before):
                    after[number] = before[number]
            value = {"type": which, "sdp": "\r\n".join(section.strip() for section in after) + "\r\n"}
        self._made[name, which] = self._made[name, "last"] = value
        return value

    def _page(self, raw: dict[str, Any]) -> None:
        address = text_of(raw.get("url"), 20_000)
        if not address.startswith("http"):
            address = text_of(raw.get("origin"), 400)
        if host := split(address)[0]:
            self.identity.setdefault("host", set()).add(host)

    def _page_entry(self, entry: Entry, kind: str) -> None:
        value = mapping(entry.value)
        if kind == "connectioninfo":
            self._page(value)
        elif kind == "identity":
            for key, name in (("endpoint", "endpointId"), ("nick", "displayName"), ("conference", "meetingUniqueId"),
                              ("stats_id", "statsId"), ("stats_id", "localId")):  # fmt: skip
                if text := text_of(value.get(name), 200):
                    self.identity.setdefault(key, set()).add(text)
            for name in ("confName", "roomJid", "confID"):
                if text := text_of(value.get(name), 200):
                    self.identity.setdefault("room", set()).add(text.partition("@")[0].rsplit("/", 1)[-1].lower())
        elif kind.endswith("getusermediaonsuccess"):
            self._given = True
        elif kind.endswith("getusermediaonfailure"):
            error = text_of(entry.value, 60) or text_of(value.get("name"), 60)
            self._media.append(
                Happening("media-denied", time=entry.time, value=error.split(":")[0], pointer=entry.pointer)
            )


def _sections(description: str) -> list[str]:
    first, *rest = description.replace("\r\n", "\n").split("\nm=")
    return [first.replace("\n", "\r\n"), *("m=" + each.replace("\n", "\r\n") for each in rest)]


KIND = Kind(NAME, "dump of rtcstats", TABLES, recognise, open_)
