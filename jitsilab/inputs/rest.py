"""What the bridge and the focus answer over HTTP: statistics, their inner state, health, version, metrics.

An answer is known by its content, whatever its file is called. Names are compared without case, ``_`` and ``-``: of
2021 many are in camel case, others of the same answer are not.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from jitsilab.errors import Problem
from jitsilab.inputs.browser.happening import Happening
from jitsilab.inputs.json_text import decode, mapping, parse, pointer, sequence, text_of
from jitsilab.inputs.moments import from_epoch, from_iso
from jitsilab.inputs.source import Delivery, Kind, Opened, Rows

EVENTS_ONLY = frozenset({"events"})
LIMIT = 1 << 26  # bytes of one answer

_SIGNS: dict[str, tuple[tuple[str, ...], ...]] = {  # any of these sets of names, among an answer's own
    "jicofo-debug": (("focusmanager",), ("conferenceiqhandler",), ("chatroom", "colibrisessionmanager")),
    "jicofo-stats": (("bridgeselector", "participants"), ("bridgeselector", "jibri"),
                     ("bridgefailures", "conferences")),
    "jvb-stats": (("stresslevel", "largestconference"), ("mucclientsconfigured", "conferences"),
                  ("totalicesucceeded", "conferences"), ("bitratedownload", "bitrateupload"),
                  ("videochannels", "conferences")),
    "jvb-debug": (("conferences", "health", "time"), ("conferences", "loadmanagement"),
                  ("shutdownstate", "conferences"),
                  ("shutdowninprogress", "conferences"), ("endpoints", "creationtime", "meetingid")),
    "version": (("name", "version", "os"),),
}  # fmt: skip
_METRIC = re.compile(rb"^(?:# (?:TYPE|HELP) )?jitsi_(jvb|jicofo)_\w+", re.MULTILINE)
_INDEX = re.compile(
    r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?) (\d{3}) (GET|POST) (https?://\S+)(?: -> (\S+))?\s*$", re.MULTILINE
)
_SAMPLE = re.compile(r"^(jitsi_(?:jvb|jicofo)_\w+?)(\{[^}\n]{0,400}\})? (\S+)(?: \d+)?$", re.MULTILINE)
#: what the bridge's check of itself answers as plain text: `/about/health` of a bridge that fails it
_HEALTH = re.compile(
    rb"\s*(?:No valid IP addresses available for harvesting|Address discovery through STUN failed|"
    rb"Failed to bind single-port|No single-port harvesters|Not joined to any MUCs?|"
    rb"Not all (?:XMPP|MUC) .{0,40}(?:connected|joined))[^\n<{]{0,120}\s*\Z", re.IGNORECASE,
)  # fmt: skip
_KEY = re.compile(rb'"([\w -]{2,60})"\s*:')


def same(name: str) -> str:
    """A name as it is compared: ``load-management``, ``load_management`` and ``loadManagement`` are one."""
    return re.sub(r"[\s_-]", "", name).lower()


class Node:
    """A JSON object whose names are compared as `same` says, and which knows where it stands."""

    def __init__(self, value: Any, where: str = "") -> None:
        self.where = where
        self.raw = mapping(value)
        self._names = {same(name): name for name in self.raw}

    def __contains__(self, name: str) -> bool:
        return same(name) in self._names

    def get(self, name: str) -> Any:
        """A value, None where there is none."""
        return self.raw.get(self._names.get(same(name), ""))

    def at(self, name: str) -> "Node":
        """The object below a name, an empty one where there is none."""
        own = self._names.get(same(name), name)
        return Node(self.raw.get(own), self.where + pointer(own))

    def below(self, name: str) -> Iterator[tuple[str, "Node"]]:
        """The objects of an object of objects, with their own names."""
        inner = self.at(name)
        for key, value in inner.raw.items():
            if isinstance(value, dict):
                yield key, Node(value, inner.where + pointer(key))

    def number(self, name: str) -> float | None:
        """A finite number, None for anything else."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if -1e15 < value < 1e15 else None

    def path(self, name: str) -> str:
        """Where a value stands."""
        return self.where + pointer(self._names.get(same(name), name))


def _top(head: bytes) -> set[str]:
    return {same(name.decode("ascii", errors="replace")) for name in _KEY.findall(head)}


def _kind_of(head: bytes) -> tuple[str, float]:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if (metric := _METRIC.search(start[:4096])) is not None and not start.startswith(b"{"):
        return f"{metric[1].decode()}-metrics", 0.95
    if _HEALTH.match(start):
        return "jvb-health", 0.8
    if _INDEX.match(start[:400].decode("utf-8", errors="replace").split("\n", 1)[0]):
        return "rest-index", 0.95
    at = start.find(b"{")
    if at < 0 or at > 4000 or (at and not re.match(rb"HTTP/|\* |[<>] |\$ |curl |#|\w+@", start)):
        return "", 0.0
    names = _top(start[at:])
    if b'"PeerConnections"' in head or b'"updateLog"' in head:
        return "", 0.0
    if kind := _own_kind(names):
        return kind, 0.9
    if names >= {"conferences"} and start[at:].strip() == b'{"conferences":{}}':
        return "jvb-debug", 0.5
    return "", 0.0


def _own_kind(names: set[str]) -> str:
    """Which answer has these names; empty for none."""
    return next((kind for kind, choices in _SIGNS.items() if any(names >= set(choice) for choice in choices)), "")


def _version_of(head: bytes) -> str:
    match = re.search(rb'"name"\s*:\s*"(JVB|JiCoFo|Jicofo)"', head, re.IGNORECASE)
    return match[1].decode().lower() if match else ""


def recognise(delivery: Delivery) -> float:
    """How sure it is that this is an answer of the bridge or the focus, or the list of such answers."""
    kind, sure = _kind_of(delivery.head)
    if kind == "version" and not _version_of(delivery.head):
        return 0.0
    return sure


def open_(delivery: Delivery) -> "Answer":
    """The answer."""
    return Answer(delivery)


class Answer(Opened):
    """A source of events: one answer."""

    tables = EVENTS_ONLY
    kind = "rest"

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self.answer, _ = _kind_of(delivery.head)
        self._time: int | None = None
        self._program = "jicofo" if "jicofo" in self.answer else "jvb"

    def rows(self, tables: frozenset[str]) -> Iterator[Rows]:
        """Events of the answer."""
        with self.delivery.open() as file:
            text = decode(file.read(LIMIT))
        happenings: list[Happening] = []
        if self.answer.endswith("-metrics"):
            happenings = list(self._metrics(text))
        elif self.answer == "rest-index":
            happenings = list(self._index(text))
        elif self.answer == "jvb-health":
            happenings = [Happening("health-failed", value=text.strip()[:200], program="jvb", line=1)]
        else:
            read = parse(text[max(text.find("{"), 0) :])
            if read.problem and "follows" not in read.problem:
                self.problems.append(Problem(0, self.kind, read.offset, f"the answer {read.problem}"))
            root = Node(read.value)
            self.answer = _own_kind(set(map(same, root.raw))) or self.answer
            happenings = list(self._READ[self.answer](self, root)) if self.answer in self._READ else []
        if "events" in tables and happenings:
            yield Rows("events", [each.row(self.input) for each in happenings])

    def _event(self, event: str, where: str, **more: Any) -> Happening:
        return Happening(event, **{"time": self._time, "pointer": where, "program": self._program, **more})

    def _know(self, name: str, value: Any) -> None:
        kept = self.identity.setdefault(name, set())
        if isinstance(value, str | int) and value != "" and len(kept) < 10_000:
            kept.add(str(value)[:200])

    # -- statistics

    def _jvb_stats(self, root: Node) -> Iterator[Happening]:
        self._time = from_iso(root.get("current_timestamp"))
        yield from self._login(
            root, "muc_clients_configured", "muc_clients_connected", "mucs_configured", "mucs_joined"
        )
        if root.get("healthy") is False:
            yield self._event("health-failed", root.path("healthy"))
        elif root.get("healthy") is True:
            yield self._event("health-passed", root.path("healthy"))
        if version := text_of(root.get("version"), 60):
            self.note = f"version {version}"

    def _login(self, root: Node, *names: str) -> Iterator[Happening]:
        configured, connected, rooms, joined = (root.number(name) for name in names)
        if configured and connected is not None:
            if connected < configured:
                yield self._event("login-missing", root.path(names[1]), value=f"{connected:.0f} of {configured:.0f}")
            elif rooms and joined is not None and joined < rooms:
                yield self._event("room-missing", root.path(names[3]), value=f"{joined:.0f} of {rooms:.0f}")

    def _jicofo_stats(self, root: Node) -> Iterator[Happening]:
        yield from self._bridges(root.at("bridge_selector"), "bridge_count", "operational_bridge_count", "lost_bridges")
        notes = root.at("participant_notifications")
        if failed := notes.number("ice_failed"):
            yield self._event("ice-failed", notes.path("ice_failed"), value=f"{failed:.0f}", detail="count")

    def _bridges(self, root: Node, count: str, operational: str, lost: str) -> Iterator[Happening]:
        bridges, working, gone = root.number(count), root.number(operational), root.number(lost)
        if bridges is not None:
            usable = bridges if working is None else working
            yield self._event("bridges-counted", root.path(count), value=f"{bridges:.0f}", detail=f"{usable:.0f}")
        if gone:
            yield self._event("bridge-lost", root.path(lost), value="", detail=f"{gone:.0f}")

    # -- inner state

    def _jvb_debug(self, root: Node) -> Iterator[Happening]:
        self._time = from_epoch(root.get("time"))
        health = root.get("health")
        if isinstance(health, str):
            health = {"success": health == "OK", "message": "" if health == "OK" else health}
        state = Node(health, root.path("health"))
        if state.get("success") is False:
            yield self._event("health-failed", state.where, value=text_of(state.get("message")))
        elif state.get("success") is True:
            yield self._event("health-passed", state.where)
        for name, conference in root.below("conferences"):
            yield from self._conference(name, conference)
        if "endpoints" in root and "creationtime" in root:  # /debug/ID answers with one conference alone
            yield from self._conference(text_of(root.get("id"), 60), root)

    def _conference(self, name: str, conference: Node) -> Iterator[Happening]:
        room = text_of(conference.get("name"), 200).partition("@")[0]
        self._know("conference", name)
        self._know("room", room)
        for endpoint, state in conference.below("endpoints"):
            self._know("endpoint", endpoint)
            self._know("stats_id", state.get("stats_id"))
            for each in self._endpoint(state):
                each.participant, each.conference, each.room = endpoint, name, room
                yield each
        for relay, state in conference.below("relays"):
            ice = state.at("ice_transport")
            if ice.get("iceFailed") is True:
                yield self._event("relay-failed", ice.path("iceFailed"), value=relay, conference=name, room=room)
            elif ice.get("iceConnected") is True:
                yield self._event("relay-connected", ice.path("iceConnected"), value=relay, conference=name, room=room)

    def _endpoint(self, state: Node) -> Iterator[Happening]:
        ice, dtls, channel = state.at("ice_transport"), state.at("dtls_transport"), state.at("message_transport")
        self._know("remote_ufrag", ice.get("localUfrag"))
        if ice.get("iceFailed") is True:
            yield self._event("ice-failed", ice.path("iceFailed"))
        elif ice.get("iceConnected") is True:
            yield self._event("ice-connected", ice.path("iceConnected"))
        elif ice.get("iceConnected") is False:
            yield self._event("ice-checking", ice.path("iceConnected"))
        if dtls.get("is_connected") is True:
            yield self._event("dtls-done", dtls.path("is_connected"))
        received, dropped = channel.get("received_counts"), channel.number("numOutgoingMessagesDropped")
        if isinstance(received, dict) and received:
            yield self._event("channel-opened", channel.path("received_counts"))
        elif isinstance(received, dict) and dropped and ice.get("iceConnected") is True:
            yield self._event("channel-missing", channel.path("numOutgoingMessagesDropped"))

    def _jicofo_debug(self, root: Node) -> Iterator[Happening]:
        selector = root.at("bridge_selector")
        bridges = list(selector.below("bridge")) or list(selector.below("bridges"))
        if "bridge" in selector or "bridges" in selector:
            usable = 0
            for name, bridge in bridges:
                healthy = bridge.get("healthy") is not False
                usable += bridge.get("operational") is not False and healthy
                yield self._event("bridge-joined", bridge.where, value=name[:200])
                if not healthy:
                    yield self._event("health-failed", bridge.path("healthy"), value="", detail=name[:200])
            where = selector.path("bridge" if "bridge" in selector else "bridges")
            yield self._event("bridges-counted", where, value=str(len(bridges)), detail=str(usable))
        handler = root.at("conference_iq_handler")
        if (
            "breakout_address" in handler and text_of(handler.get("breakout_address")) in {"", "null"}
            and not root.at("focus_manager").raw and not bridges
        ):  # fmt: skip
            yield self._event("login-missing", handler.path("breakout_address"))
        conferences = list(root.below("focus_manager"))
        if not conferences and "focus_manager" not in root:
            conferences = [(name, Node(value, pointer(name))) for name, value in root.raw.items()
                           if isinstance(value, dict) and "chatroom" in Node(value)]  # fmt: skip
        for name, conference in conferences:
            yield from self._focus_conference(name, conference)

    def _focus_conference(self, name: str, conference: Node) -> Iterator[Happening]:
        room = name.partition("@")[0]
        self._know("room", room)
        self._know("conference", conference.get("meeting_id"))
        yield self._event("conference-created", conference.where, value=room, room=room)
        sources = {
            key: sum(isinstance(each, dict) for each in sequence(participant.at("sources").get("sources")))
            for key, participant in conference.at("colibri_session_manager").below("participants")
        }
        for endpoint, member in conference.at("chat_room").below("members"):
            self._know("endpoint", endpoint)
            self._know("stats_id", member.get("stats_id"))
            if member.get("is_jibri") is True or member.get("is_jigasi") is True:
                continue
            yield self._event("participant-joined", member.where, participant=endpoint, room=room)
        for endpoint, participant in conference.below("participants"):
            jingle = participant.at("jingle_session")
            self._know("sid", jingle.get("sid"))
            if not jingle.raw:
                continue
            yield self._event("offer-sent", jingle.where, participant=endpoint, room=room)
            if text_of(jingle.get("state"), 20).upper() == "ACTIVE":
                yield self._event("answer-received", jingle.path("state"), participant=endpoint, room=room)
                if endpoint in sources:
                    where = conference.at("colibri_session_manager").at("participants").path(endpoint)
                    yield self._event("sources-announced", where, participant=endpoint, room=room,
                                      value=str(sources[endpoint]))  # fmt: skip

    def _version(self, root: Node) -> Iterator[Happening]:
        name, version = text_of(root.get("name"), 20), text_of(root.get("version"), 60)
        self._program = "jicofo" if name.lower() == "jicofo" else "jvb"
        self.note = f"{self._program} {version}"
        yield self._event("version-told", root.path("version"), value=version)

    # -- other forms

    def _metrics(self, text: str) -> Iterator[Happening]:
        values: dict[str, float] = {}
        for match in _SAMPLE.finditer(text):
            if match[2]:
                continue
            try:
                values[match[1].removeprefix("jitsi_jvb_").removeprefix("jitsi_jicofo_")] = float(match[3])
            except ValueError:
                continue
        root = Node(values)
        if self.answer == "jvb-metrics":
            yield from self._login(
                root, "muc_clients_configured", "muc_clients_connected", "mucs_configured", "mucs_joined"
            )
            if (healthy := root.number("healthy")) is not None:
                yield self._event("health-passed" if healthy else "health-failed", "")
            return
        yield from self._bridges(root, "bridge_selector_bridge_count", "bridge_selector_bridge_count_operational",
                                 "bridge_selector_lost_bridges_total")  # fmt: skip
        if failed := root.number("participants_ice_failed_total"):
            yield self._event("ice-failed", "", value=f"{failed:.0f}", detail="count")

    def _index(self, text: str) -> Iterator[Happening]:
        answered: dict[str, bool] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            match = _INDEX.match(line)
            if not match:
                continue
            time, status, _, address, _ = match.groups()
            program = "jicofo" if ":8888" in address else "jvb"
            answered[program] = answered.get(program, False) or status != "000"
            if address.partition("?")[0].endswith("/about/health"):
                event = "health-passed" if status == "200" else "health-failed"
                if status == "000":
                    continue
                yield Happening(event, time=from_iso(time), program=program, line=number, status=int(status))
        for program, any_answer in answered.items():
            if not any_answer:
                yield Happening("http-unanswered", program=program, line=1)

    _READ: ClassVar[dict[str, Callable[["Answer", Node], Iterator[Happening]]]] = {
        "jvb-stats": _jvb_stats, "jvb-debug": _jvb_debug, "jicofo-stats": _jicofo_stats, "jicofo-debug": _jicofo_debug,
        "version": _version,
    }  # fmt: skip


KINDS: tuple[Kind, ...] = (Kind("rest", "answer of the bridge or the focus over HTTP", EVENTS_ONLY, recognise, open_),)
