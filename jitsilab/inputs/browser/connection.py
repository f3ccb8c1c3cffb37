"""One RTCPeerConnection as a dump tells it: what was called, which candidates there were, what the statistics count.

Every dump is put into one form first: an entry is a time, a type without ``on`` and a value; a series is the values of
one field of one statistics object (W3C webrtc-stats) with the time of each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jitsilab import ip
from jitsilab.errors import LabError
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.json_text import mapping, parse, text_of
from jitsilab.inputs.moments import SECOND
from jitsilab.protocols import sdp
from jitsilab.protocols.description import Candidate, Jingle

QUIET = 10 * SECOND  # without a packet for this long, where RTCP comes every second (RFC 3550 section 6.2), is silence
LONG_FRAGMENT = 10  # characters: ice4j's fragments have 13 to 15, browsers' 4 (Chrome, Safari) or 8 (Firefox)
SERIES = 100_000  # series of one connection that are looked at
_LEGACY_SDP = re.compile(r"type:\s*(\w+),\s*sdp:\s*(.*)", re.DOTALL)
_CANDIDATE = re.compile(r"candidate:(\S+) (\d+) (\w+) (\d+) (\S+) (\d+) typ (\w+)(.*)", re.DOTALL)
_FIELD = re.compile(r"^(\w+):\s?(.*)$", re.MULTILINE)


@dataclass(slots=True)
class Entry:
    """Something that was called or that happened."""

    time: int | None  # ns since the epoch
    type: str
    value: Any  # JSON value, or text
    pointer: str


@dataclass(slots=True)
class Series:
    """Values of one field of one statistics object."""

    id: str
    type: str  # candidate-pair, ...; empty where the dump does not say
    field: str
    times: list[int | None]
    values: list[Any]
    pointer: str

    @property
    def last(self) -> Any:
        """The last value."""
        return self.values[-1] if self.values else None


@dataclass
class Connection:
    """What is known of one connection."""

    name: str
    pointer: str
    url: str = ""
    kind: str = ""  # jvb, p2p, or empty
    state: str = ""
    ice_state: str = ""
    selected: str = ""
    first: int | None = None
    last: int | None = None
    truncated: bool = False
    servers: list[str] = field(default_factory=list)  # URLs of STUN and TURN
    events: list[Happening] = field(default_factory=list)
    identity: dict[str, set[str]] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=set)
    _relays: set[str] = field(default_factory=set)  # URLs that gave a relayed address
    _seen: set[tuple[str, ...]] = field(default_factory=set)
    _errors: list[Happening] = field(default_factory=list)
    _checking: bool = False
    _connected: bool = False
    _sources: int | None = None

    def know(self, name: str, value: Any) -> None:
        """Keep a name by which another source may speak of the same."""
        kept = self.identity.setdefault(name, set())
        if value is not None and value != "" and len(kept) < 1000:
            kept.add(str(value)[:200])

    def add(self, event: str, time: int | None, pointer: str, **more: Any) -> Happening:
        """Keep an event."""
        happening = Happening(event, time=time, pointer=pointer, **more)
        self.events.append(happening)
        return happening

    # -- entries

    def take(self, entry: Entry) -> None:
        """Take one entry, in the order of time."""
        if entry.time is not None:
            self.first = entry.time if self.first is None else min(self.first, entry.time)
            self.last = entry.time if self.last is None else max(self.last, entry.time)
        take = self._TAKES.get(entry.type.lower())
        if take is not None:
            take(self, entry)

    def _description(self, entry: Entry) -> tuple[str, Jingle | None, str]:
        value = entry.value
        if isinstance(value, str) and (match := _LEGACY_SDP.match(value)) is not None:
            value = {"type": match[1], "sdp": match[2]}
        kind, text = text_of(mapping(value).get("type")), text_of(mapping(value).get("sdp"), 1 << 20)
        if not text.strip():
            return kind, None, ""
        try:
            return kind, sdp.decode(text), text
        except LabError:
            return kind, None, text

    def _remote(self, entry: Entry) -> None:
        kind, description, text = self._description(entry)
        if kind == "offer" and not self.kind:
            fragments = [c.transport.ufrag for c in description.contents if c.transport] if description else []
            long = any(len(each) >= LONG_FRAGMENT for each in fragments)
            self.kind = "jvb" if long or "mixedmslabel" in text or "jvb-" in text else "p2p" if fragments else ""
        first = not any(each.event == "offer-sent" for each in self.events)
        if kind == "offer" and first:
            self.add("offer-sent", entry.time, entry.pointer, detail=self.kind)
        for content in description.contents if description else ():
            if content.transport is None:
                continue
            self.know("remote_ufrag", content.transport.ufrag)
            for candidate in content.transport.candidates:
                self._offered(candidate, entry)

    def _offered(self, candidate: Candidate, entry: Entry) -> None:
        if _known(candidate.address) and self._new("offered", candidate):
            self.know("offered", candidate.address)
            self.add(
                "candidate-offered", entry.time, entry.pointer, value=candidate.address, detail=_written(candidate)
            )

    def _local(self, entry: Entry) -> None:
        kind, description, text = self._description(entry)
        if kind == "offer" and not self.kind:
            self.kind = "p2p"
        if kind == "answer" and not any(each.event == "answer-received" for each in self.events):
            self.add("answer-received", entry.time, entry.pointer, detail=self.kind)
        if description is None:
            return
        sources = _sources(text)
        for content in description.contents:
            for source in content.sources:
                self.know("ssrc", source.ssrc)
            if content.transport is not None:
                self.know("local_ufrag", content.transport.ufrag)
                for candidate in content.transport.candidates:
                    self._gathered(candidate, "", entry)
        if kind == "answer" and sources is not None and (self._sources is None or sources > self._sources):
            self._sources = sources
            self.add("sources-announced", entry.time, entry.pointer, value=str(sources))

    def _candidate(self, entry: Entry) -> tuple[Candidate, str, str] | None:
        value, address, relay = entry.value, "", ""
        if isinstance(value, dict):
            text = text_of(value.get("candidate"), 2000)
            address, relay = text_of(value.get("url")), text_of(value.get("relayProtocol"), 10)
        else:
            text = text_of(value, 2000)
        match = _CANDIDATE.search(text)
        if not match:
            return None
        foundation, component, protocol, priority, host, port, kind, rest = match.groups()
        more = dict(zip(rest.split()[::2], rest.split()[1::2], strict=False))
        self.know("local_ufrag" if entry.type.lower() == "icecandidate" else "remote_ufrag", more.get("ufrag"))
        candidate = Candidate(
            foundation, _whole(component), protocol.lower(), _whole(priority), host, _whole(port), kind,
            related_address=more.get("raddr", ""), related_port=_whole(more.get("rport")),
            tcp_type=more.get("tcptype", ""),
        )  # fmt: skip
        return candidate, address, relay

    def _gather(self, entry: Entry) -> None:
        if (read := self._candidate(entry)) is not None:
            candidate, address, relay = read
            if candidate.type == "relay":
                self._relays.add(address)
            self._gathered(candidate, relay, entry)

    def _gathered(self, candidate: Candidate, relay: str, entry: Entry) -> None:
        if candidate.type == "host":
            self._hosts.add(candidate.address)
        if not _known(candidate.address) or not self._new("gathered", candidate):
            return
        if candidate.type != "relay":
            self.know("address", candidate.address)
        detail = f"{_written(candidate)} {relay}".strip()
        self.add("candidate-gathered", entry.time, entry.pointer, value=candidate.address, detail=detail)
        if candidate.type == "relay":
            self.add("allocation-made", entry.time, entry.pointer, value=candidate.address, detail=relay)

    def _new(self, side: str, candidate: Candidate) -> bool:
        key = (side, candidate.address, str(candidate.port), candidate.type, candidate.protocol)
        if key in self._seen or len(self._seen) > 1000:
            return False
        self._seen.add(key)
        return True

    def _remote_candidate(self, entry: Entry) -> None:
        if (read := self._candidate(entry)) is not None:
            self._offered(read[0], entry)

    def _ice(self, entry: Entry) -> None:
        state = _state(entry.value)
        if not state or state == self.ice_state:
            return
        self.ice_state = state
        if state == "checking":
            self._checking = True
        event = {"checking": "ice-checking", "connected": "ice-connected", "failed": "ice-failed",
                 "disconnected": "ice-disconnected"}.get(state)  # fmt: skip
        if state == "completed" and not self._connected:
            event = "ice-connected"
        self._connected = self._connected or event == "ice-connected"
        if state == "closed":
            self._closed(entry)
        elif event:
            self.add(event, entry.time, entry.pointer, detail=self.kind)

    def _closed(self, entry: Entry) -> None:
        if self._checking and not self._connected and self.ice_state != "failed":
            self.add("ice-ended", entry.time, entry.pointer, detail=self.kind)
        self._checking = False

    def _pc_state(self, entry: Entry) -> None:
        state = _state(entry.value)
        if not state or state == self.state:
            return
        self.state = state
        if state == "connected":
            self._dtls(entry)
        elif state == "failed" and self.ice_state in {"connected", "completed"}:
            done = any(each.event == "dtls-done" for each in self.events)  # then it is the way that was lost
            self.add("ice-disconnected" if done else "dtls-failed", entry.time, entry.pointer, detail=self.kind)
        elif state == "closed":
            self._closed(entry)

    def _gathering_error(self, entry: Entry) -> None:
        value = entry.value
        if isinstance(value, str):
            value = dict(_FIELD.findall(value[:2000]))
        error = mapping(value)
        code = _whole(error.get("errorCode", error.get("error_code")))
        url, text = text_of(error.get("url")), text_of(error.get("errorText", error.get("error_text")))
        if not url.startswith("turn"):
            return  # a lookup of one's own address that fails costs a candidate at most
        if code == 401:
            event, detail = "turn-credentials-refused", ""
        elif code is not None and 300 <= code < 700:
            event, detail = "allocation-refused", ""
        else:
            event = "turn-unreachable"
            detail = "name-not-found" if "lookup" in text else "timeout" if "timed out" in text.lower() else ""
            detail = "certificate" if re.search(r"certificate|TLS", text) else detail
        status = code if code and code < 700 else None
        self._errors.append(
            Happening(event, time=entry.time, pointer=entry.pointer, value=url, detail=detail, status=status)
        )

    def _dtls(self, entry: Entry) -> None:
        state = _state(entry.value)
        event = {"connected": "dtls-done", "failed": "dtls-failed"}.get(state)
        if event and not any(each.event == event for each in self.events):
            self.add(event, entry.time, entry.pointer, detail=self.kind)

    def _made(self, entry: Entry) -> None:
        value = mapping(entry.value)
        self.configure(value.get("configuration", value))

    def configure(self, configuration: Any) -> None:
        """Take the servers of a configuration; the credentials are not looked at."""
        servers = mapping(configuration).get("iceServers")
        for server in servers if isinstance(servers, list) else []:
            addresses = mapping(server).get("urls", mapping(server).get("url"))
            self.servers += [text_of(each) for each in (addresses if isinstance(addresses, list) else [addresses])]

    _TAKES: ClassVar[dict[str, Callable[["Connection", Entry], None]]] = {
        "setremotedescription": _remote, "setlocaldescription": _local, "icecandidate": _gather,
        "addicecandidate": _remote_candidate, "iceconnectionstatechange": _ice, "connectionstatechange": _pc_state,
        "icecandidateerror": _gathering_error, "close": _closed, "create": _made, "constructor": _made,
        "dtlsstatechange": _dtls,
    }  # fmt: skip

    # -- statistics

    def measure(self, series: list[Series]) -> None:
        """Take the statistics, and close the account of the connection."""
        objects: dict[str, dict[str, Series]] = {}
        for each in series[:SERIES]:
            objects.setdefault(each.id, {})[each.field] = each
            for end in (each.times[0], each.times[-1]) if each.times else ():
                if end is not None:
                    self.first = end if self.first is None else min(self.first, end)
                    self.last = end if self.last is None else max(self.last, end)
        kinds = {name: _type_of(name, fields) for name, fields in objects.items()}
        by_type: dict[str, dict[str, dict[str, Series]]] = {}
        for name, kind in kinds.items():
            by_type.setdefault(kind, {})[name] = objects[name]
        self._pairs(by_type)
        self._media(by_type)
        self._transports(by_type)
        self._leave()

    def _leave(self) -> None:
        for error in self._errors:
            if not self._relays and not any(each.event == error.event for each in self.events):
                self.add(
                    error.event, error.time, error.pointer, value=error.value, detail=error.detail, status=error.status
                )
        self.events.sort(key=lambda each: (each.time is None, each.time or 0))

    def _pairs(self, by_type: dict[str, dict[str, dict[str, Series]]]) -> None:
        for fields in by_type.get("local-candidate", {}).values():
            if _text(fields, "candidateType") == "host" and (
                address := _text(fields, "address") or _text(fields, "ip")
            ):
                self._hosts.add(address)
            self.know("local_ufrag", _text(fields, "usernameFragment"))
            if not _text(fields, "relayProtocol"):
                self.know("address", _text(fields, "address") or _text(fields, "ip"))
        for fields in by_type.get("remote-candidate", {}).values():
            self.know("remote_ufrag", _text(fields, "usernameFragment"))
        selected = {
            _text(fields, "selectedCandidatePairId") for fields in by_type.get("transport", {}).values()
        } - {""}  # fmt: skip
        for name, fields in by_type.get("candidate-pair", {}).items():
            local = by_type.get("local-candidate", {}).get(_text(fields, "localCandidateId"), {})
            remote = by_type.get("remote-candidate", {}).get(_text(fields, "remoteCandidateId"), {})
            self._pair(name in selected, fields, local, remote)

    def _pair(
        self, selected: bool, fields: dict[str, Series], local: dict[str, Series], remote: dict[str, Series]
    ) -> None:
        here, there = _place(local), _place(remote)
        pair = f"{here} -> {there}"
        kind, remote_kind = _text(local, "candidateType"), _text(remote, "candidateType")
        relay = _text(local, "relayProtocol")
        if kind == "prflx" and relay:
            kind = "relay"  # the relay's own leg, as the other end sees it
        detail = " ".join(each for each in (kind, relay, "tcp" if _text(local, "protocol") == "tcp" else "",
                                            "p2p" if self.kind == "p2p" else "") if each)  # fmt: skip
        where = next(iter(fields.values()))
        sent, got = _number(fields, "requestsSent"), _number(fields, "responsesReceived")
        time, pointer = where.times[-1] if where.times else None, where.pointer
        if got:
            self.add("check-succeeded", time, _pointer(fields, "responsesReceived", pointer), value=pair, detail=detail)
        elif sent and (here or there):
            self.add("check-unanswered", time, _pointer(fields, "requestsSent", pointer), value=pair,
                     detail=f"{detail} to {remote_kind}".strip())  # fmt: skip
        if _number(fields, "requestsReceived") and there:
            self.add("check-received", time, _pointer(fields, "requestsReceived", pointer), value=there)
        nominated = fields["nominated"].last if "nominated" in fields else None
        chosen = selected or (nominated in {True, "true"} and bool(got or _text(fields, "state") == "succeeded"))
        if chosen:
            self.selected = f"{here} {kind} -> {there} {remote_kind}".strip()
            series = fields.get("nominated")
            values = zip(series.times, series.values, strict=False) if series else ()
            since = next((at for at, value in values if value is True or value == "true"), time)
            self.add("pair-nominated", since, _pointer(fields, "nominated", pointer), value=pair, detail=detail)
        address = _text(local, "address") or _text(local, "ip")
        other = _text(remote, "address") or _text(remote, "ip")
        if (
            got and kind == "prflx" and address and ip.is_private(address)
            and self._hosts and address not in self._hosts
            and ip.parse(other) is not None and not ip.is_private(other)
        ):  # fmt: skip
            self.add("source-address", time, _pointer(fields, "localCandidateId", pointer), value=address, detail=other)
        if got and remote_kind == "prflx" and other and self.kind == "jvb":
            self.add("mapped-address", time, _pointer(fields, "remoteCandidateId", pointer), value=other)

    def _media(self, by_type: dict[str, dict[str, dict[str, Series]]]) -> None:
        for kind, event, packets, octets in (
            ("outbound-rtp", "media-sent", "packetsSent", "bytesSent"),
            ("inbound-rtp", "media-received", "packetsReceived", "bytesReceived"),
        ):
            sums: dict[str, tuple[int, int | None, str]] = {}
            for name, fields in by_type.get(kind, {}).items():
                self.know("ssrc" if kind == "outbound-rtp" else "stream", _text(fields, "ssrc"))
                medium = _text(fields, "kind") or _text(fields, "mediaType") or _medium(name)
                counted = fields.get(packets) or fields.get(octets)
                if counted is None or (octets in fields and not _number(fields, octets)):
                    continue  # padding and probes have packets and no payload
                number = _number(fields, counted.field)
                if not number:
                    continue
                start = next((at for at, value in zip(counted.times, counted.values, strict=False) if value), None)
                total, since, pointer = sums.get(medium, (0, None, ""))
                earlier = min((at for at in (since, start) if at is not None), default=None)
                sums[medium] = (
                    total + (number if counted.field == packets else 0),
                    earlier,
                    pointer or counted.pointer,
                )
            for medium, (total, since, pointer) in sums.items():
                self.add(event, since, pointer, value=str(total) if total else "", detail=medium)

    def _transports(self, by_type: dict[str, dict[str, dict[str, Series]]]) -> None:
        for fields in by_type.get("transport", {}).values():
            self.know("local_ufrag", _text(fields, "iceLocalUsernameFragment"))
            state = _text(fields, "dtlsState")
            where = fields.get("dtlsState")
            known = {each.event for each in self.events}
            if where and state == "connected" and "dtls-done" not in known:
                self.add("dtls-done", where.times[0] if where.times else None, where.pointer, detail=self.kind)
            elif where and state == "failed" and "dtls-failed" not in known:
                self.add("dtls-failed", where.times[-1] if where.times else None, where.pointer, detail=self.kind)
            for name in ("packetsReceived", "bytesReceived"):
                if (series := fields.get(name)) is not None and (stop := _stopped(series)) is not None:
                    if self.ice_state != "closed" and self.state != "closed":
                        self.add("media-stopped", stop, series.pointer, value=str(_number(fields, name)))
                    break


def _sources(text: str) -> int | None:
    """How many sources a description announces; None where it has no section of audio or video."""
    sections = [each for each in re.split(r"^m=", text, flags=re.MULTILINE)[1:] if each.startswith(("audio", "video"))]
    if not sections:
        return None
    sending = [each for each in sections if not re.search(r"^a=(?:recvonly|inactive)\b", each, re.MULTILINE)]
    return sum(len(set(re.findall(r"^a=ssrc:(\d+)", each, re.MULTILINE))) or 1 for each in sending)


def _stopped(series: Series) -> int | None:
    """When a counter that had grown stood still for good, long enough to be silence; None where it did not."""
    values = [(at, value) for at, value in zip(series.times, series.values, strict=False)
              if at is not None and isinstance(value, int | float)]  # fmt: skip
    if len(values) < 3 or not values[-1][1] or values[0][1] == values[-1][1]:
        return None
    last = values[-1][1]
    since = next(at for at, value in values if value == last)
    return since if values[-1][0] - since >= QUIET else None


def _written(candidate: Candidate) -> str:
    tcp = " tcp" if candidate.protocol in {"tcp", "ssltcp"} else ""
    return f"{candidate.port if candidate.port is not None else ''} {candidate.type}{tcp}".strip()


def _known(address: str) -> bool:
    """Whether an address was left as it is: some dumps have an ``x`` for an octet or for all of it."""
    return bool(address) and (ip.parse(address) is not None or address.endswith(".local"))


def _whole(value: Any) -> int | None:
    try:
        return int(value) if value is not None and len(str(value)) < 20 else None
    except (ValueError, TypeError, OverflowError):
        return None


def _state(value: Any) -> str:
    """A state, bare or JSON-encoded."""
    text = text_of(value, 60).strip().strip('"').lower()
    return text.removeprefix("iceconnectionstate").removeprefix("connectionstate")


def _text(fields: dict[str, Series], name: str) -> str:
    last = fields[name].last if name in fields else None
    return "" if last is None else str(last)[:400]


def _number(fields: dict[str, Series], name: str) -> int:
    """The largest value of a counter, 0 where there is none."""
    if name not in fields:
        return 0
    numbers = [each for each in fields[name].values if isinstance(each, int | float) and not isinstance(each, bool)]
    best = max(numbers, default=0)
    return int(best) if best == best and abs(best) < 1 << 62 else 0  # NaN is not itself


def _pointer(fields: dict[str, Series], name: str, otherwise: str) -> str:
    return fields[name].pointer if name in fields else otherwise


def _place(fields: dict[str, Series]) -> str:
    address = _text(fields, "address") or _text(fields, "ip")
    return ip.endpoint(address, _whole(_text(fields, "port") or None)) if address else ""


_LEGACY = (
    ("RTCInboundRTP", "inbound-rtp"), ("RTCOutboundRTP", "outbound-rtp"), ("RTCRemoteInbound", "remote-inbound-rtp"),
    ("RTCRemoteOutbound", "remote-outbound-rtp"), ("RTCIceCandidatePair", "candidate-pair"),
    ("RTCTransport", "transport"),
    ("RTCDataChannel", "data-channel"), ("RTCMediaStreamTrack", "track"), ("RTCPeerConnection", "peer-connection"),
    ("RTCCodec", "codec"), ("RTCCertificate", "certificate"),
)  # fmt: skip


def _type_of(name: str, fields: dict[str, Series]) -> str:
    """The type of a statistics object; dumps before Chrome 104 have it only in its name."""
    if declared := next((each.type for each in fields.values() if each.type), ""):
        return declared
    if "type" in fields and (declared := _text(fields, "type")):
        return declared
    if name.startswith("RTCIceCandidate_"):
        return "remote-candidate" if _text(fields, "isRemote").lower() == "true" else "local-candidate"
    return next((kind for start, kind in _LEGACY if name.startswith(start)), "")


def _medium(name: str) -> str:
    return "audio" if "Audio" in name else "video" if "Video" in name else ""


def value_of(value: Any) -> Any:
    """A value that may be JSON in a string, taken out of it; other text stays text."""
    if isinstance(value, str) and value[:1] in {"{", "[", '"'}:
        read = parse(value)
        if read.value is not None:
            return read.value
    return value
