"""ICE candidate pairs, read from the table ``stun``: who checked whom, what was answered, nominated and kept alive.

A pair is two transport addresses and the two ufrags that checked each other over them (RFC 8445 section 6.1.2). Where
the checks run inside TURN, its local address is the relayed one and its remote the peer behind the relay.

What an XOR-MAPPED-ADDRESS proves depends on where the capture was made. A responder puts there what it saw a check
come from; captured beside the responder that equals the source of the frame by construction, and says nothing of a NAT
on the way. Where it differs from the source of the frame, addresses were rewritten between the capture and the
responder: captured on a server, only the answers to the server's own checks can show the server's NAT.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.analysis import limits
from jitsilab.tables import Schema, frame_from

if TYPE_CHECKING:
    from collections.abc import Hashable

SCHEMA: Schema = {
    "flow": ("Int64", "number of the flow in the table flows; of the TURN flow where the checks run inside TURN"),
    "transport": ("str", "of that flow: udp, tcp, tls"),
    "depth": ("int64", "0 direct, 1 inside TURN"),
    "local_address": ("str", "the flow's client; inside TURN the address that was allocated to it, where seen"),
    "local_port": ("Int64", "its port"),
    "remote_address": ("str", "the flow's server; inside TURN the peer behind the relay"),
    "remote_port": ("Int64", "its port"),
    "client_address": ("str", "the flow's client as the capture saw it"),
    "client_port": ("Int64", "its port"),
    "relay_address": ("str", "inside TURN: the TURN server"),
    "relay_port": ("Int64", "its port"),
    "local_ufrag": ("str", "of the local side"),
    "remote_ufrag": ("str", "of the remote side"),
    "session": ("int64", "ICE session: the pair of ufrags, numbered from 0 by first check"),
    "generation": (
        "int64",
        "0, or the sessions between the same hosts that fell silent as this began: restarts",
    ),
    "checks_sent": ("int64", "Binding requests from local to remote"),
    "answers_received": ("int64", "success responses to them"),
    "errors_received": ("int64", "error responses to them"),
    "checks_received": ("int64", "Binding requests from remote to local"),
    "answers_sent": ("int64", "success responses to them"),
    "errors_sent": ("int64", "error responses to them"),
    "retransmissions": ("int64", "requests sent again with the same transaction id, both ways"),
    "error_codes": ("str", "codes of all errors, once each, with spaces between"),
    "role_conflicts": ("int64", "errors 487 (RFC 8445 section 7.3.1.1)"),
    "rtt_sent": ("float64", "s, median time from a check sent to its answer, at this capture point"),
    "rtt_received": ("float64", "s, the same of checks received"),
    "interval_sent": ("float64", "s, median time between checks sent, after the first answer"),
    "interval_received": ("float64", "s, the same of checks received"),
    "local_role": ("str", "controlling or controlled, as last said"),
    "remote_role": ("str", "the same of the remote side"),
    "use_candidate_frame": ("Int64", "first check with USE-CANDIDATE"),
    "nominated": ("boolean", "a check with USE-CANDIDATE was answered"),
    "nominated_frame": ("Int64", "the first such answer"),
    "nominated_seconds": ("float64", "s since the first frame, when"),
    "selected": ("boolean", "of the session's nominated pairs the one that was kept alive longest"),
    "valid_frame": ("Int64", "first success response, either way"),
    "valid_seconds": ("float64", "s since the first frame, when"),
    "consent_sent_seconds": ("float64", "s since the first frame: last answered check of the local side (RFC 7675)"),
    "consent_received_seconds": ("float64", "the same of the remote side"),
    "consent_gap_sent": ("float64", "s, longest time between two answered checks of the local side"),
    "consent_gap_received": ("float64", "the same of the remote side"),
    "local_mapped_address": ("str", "where the remote side saw the local side, by XOR-MAPPED-ADDRESS"),
    "local_mapped_port": ("Int64", "its port"),
    "local_rewritten": ("boolean", "that is not where this capture saw it: rewritten between here and the remote side"),
    "remote_mapped_address": ("str", "where the local side saw the remote side"),
    "remote_mapped_port": ("Int64", "its port"),
    "remote_rewritten": ("boolean", "that is not where this capture saw it: rewritten between here and the local side"),
    "first_frame": ("int64", "first message of the pair"),
    "last_frame": ("int64", "last message of the pair"),
    "first_seconds": ("float64", "s since the first frame of the capture"),
    "last_seconds": ("float64", "s since the first frame of the capture"),
}

#: s: a session that began this long before another, and ended no later after its start, was replaced
SILENT = limits.REPLACED.value
#: s: where a table has no transaction ids, an answer belongs to the oldest open check within this time
_ANSWER = limits.UNMATCHED_ANSWER.value
_COLUMNS = (
    "frame", "seconds", "flow", "src", "src_port", "dst", "dst_port", "up", "transport", "depth", "message_class",
    "method", "transaction_id", "username", "mapped_address", "mapped_port", "relayed_address", "relayed_port",
    "wrapper_peer", "wrapper_peer_port", "error_code", "role", "use_candidate", "retransmission", "duplicate",
)  # fmt: skip
_CLIENT_METHODS = ("Allocate", "Refresh", "CreatePermission", "ChannelBind")

Address = tuple[str | None, int | None]


@dataclass
class _Direction:
    """The checks of one side, and their answers."""

    checks: int = 0
    answers: int = 0
    errors: int = 0
    role: str | None = None
    rtts: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)  # seconds of checks
    answered: list[float] = field(default_factory=list)  # seconds of answers
    mapped: Address | None = None  # of the side that checks, as the other saw it; the last word counts


@dataclass
class _Pair:
    """A candidate pair while its messages are read."""

    flow: int | None
    transport: str | None
    depth: int
    client: Address
    local: Address
    remote: Address
    relay: Address | None
    ufrags: tuple[str, str]  # local, remote
    directions: dict[bool, _Direction]  # True: from the local side
    frames: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    retransmissions: int = 0
    codes: list[int] = field(default_factory=list)
    use_candidate: int | None = None
    nominated: tuple[int, float] | None = None
    valid: tuple[int, float] | None = None
    session: int = 0
    generation: int = 0
    selected: bool = False

    @property
    def last_consent(self) -> float:
        """When a check was last answered, either way; before the beginning where none was."""
        return max(
            (direction.answered[-1] for direction in self.directions.values() if direction.answered), default=-1.0
        )


@dataclass
class _Check:
    """A request that may still be answered."""

    pair: _Pair
    out: bool  # from the local side
    seconds: float
    use_candidate: bool


def pairs(stun: pd.DataFrame) -> pd.DataFrame:
    """One row a candidate pair, in the order of their first checks.

    ``stun`` has the columns of the table ``stun``; one without transaction ids, flows or directions, as a printed
    summary gives it, does as well: answers then follow the oldest open check between the same addresses.
    """
    checked = _Reader(stun).read()
    _number_sessions(checked)
    _select(checked)
    return frame_from((_row(pair) for pair in checked), SCHEMA)


class _Reader:
    """Messages go in, in the order of frames; pairs come out."""

    def __init__(self, stun: pd.DataFrame) -> None:
        rows = stun.reindex(columns=list(_COLUMNS)).astype(object)
        self._rows = rows.where(rows.notna(), None)
        self._first: dict[Hashable, Address] = {}  # where a flow has no number: who spoke first
        self._relayed: dict[Hashable, Address] = {}  # flow: what was allocated last
        self._clients: dict[Hashable, bool] = {}  # flow: direction that a TURN client sends in
        self._pairs: dict[Hashable, _Pair] = {}
        self._open: dict[Hashable, _Check] = {}  # by transaction
        self._waiting: dict[Hashable, list[_Check]] = {}  # by flow and direction, where there are no transaction ids

    def read(self) -> list[_Pair]:
        """All pairs."""
        for row in self._rows.itertuples(index=False):
            if row.duplicate or row.message_class is None:
                continue
            flow, up = self._flow(row)
            if row.method in _CLIENT_METHODS:
                self._clients[flow] = up if row.message_class == "request" else not up
                if row.relayed_address is not None:
                    self._relayed[flow] = _address(row.relayed_address, row.relayed_port)
            elif row.method == "Binding" and row.message_class == "request" and ":" in (row.username or ""):
                self._check(row, flow, up)
            elif row.method == "Binding" and row.message_class in ("success", "error"):
                self._answer(row, flow, up)
        return list(self._pairs.values())

    def _flow(self, row: Any) -> "tuple[Hashable, bool]":
        """What identifies a flow, and whether a message goes up in it."""
        source, target = (row.src, row.src_port), (row.dst, row.dst_port)
        if row.flow is not None and row.up is not None:
            return int(row.flow), bool(row.up)
        key = int(row.flow) if row.flow is not None else frozenset((source, target))
        return key, self._first.setdefault(key, source) == source

    def _check(self, row: Any, flow: "Hashable", up: bool) -> None:
        depth = int(row.depth or 0)
        out = up == self._clients.get(flow, True) if depth else up
        to, _, sender = row.username.partition(":")
        ufrags = (sender, to) if out else (to, sender)
        key = flow, depth, row.wrapper_peer, row.wrapper_peer_port, ufrags
        if key not in self._pairs:
            self._pairs[key] = self._new(row, flow, depth, out, ufrags)
        pair = self._pairs[key]
        direction = pair.directions[out]
        direction.checks += 1
        direction.sent.append(float(row.seconds))
        direction.role = row.role or direction.role
        pair.retransmissions += bool(row.retransmission)
        if row.use_candidate and pair.use_candidate is None:
            pair.use_candidate = int(row.frame)
        check = _Check(pair, out, float(row.seconds), bool(row.use_candidate))
        if row.transaction_id is None:
            self._waiting.setdefault((flow, depth, out), []).append(check)
        else:
            self._open.setdefault((flow, depth, row.transaction_id), check)
        _seen(pair, row)

    def _new(self, row: Any, flow: "Hashable", depth: int, out: bool, ufrags: tuple[str, str]) -> _Pair:
        source, target = _address(row.src, row.src_port), _address(row.dst, row.dst_port)
        client, server = (source, target) if out else (target, source)
        local, remote, relay = client, server, None
        if depth:
            relay = server
            local = self._relayed.get(flow, client)
            remote = _address(row.wrapper_peer, row.wrapper_peer_port)
        number = int(row.flow) if row.flow is not None else None
        directions = {True: _Direction(), False: _Direction()}
        return _Pair(number, row.transport, depth, client, local, remote, relay, ufrags, directions)

    def _answer(self, row: Any, flow: "Hashable", up: bool) -> None:
        depth = int(row.depth or 0)
        if row.transaction_id is not None:
            check = self._open.get((flow, depth, row.transaction_id))
        else:
            out = not (up == self._clients.get(flow, True) if depth else up)
            waiting = self._waiting.get((flow, depth, out), [])
            while waiting and row.seconds - waiting[0].seconds > _ANSWER:
                waiting.pop(0)
            check = waiting.pop(0) if waiting else None
        if check is None:
            return
        pair, direction = check.pair, check.pair.directions[check.out]
        when = int(row.frame), float(row.seconds)
        _seen(pair, row)
        if row.message_class == "error":
            direction.errors += 1
            pair.codes.append(int(row.error_code or 0))
            return
        direction.answers += 1
        direction.answered.append(when[1])
        direction.rtts.append(when[1] - check.seconds)
        if row.mapped_address is not None:
            direction.mapped = _address(row.mapped_address, row.mapped_port)
        pair.valid = pair.valid or when
        if check.use_candidate:
            pair.nominated = pair.nominated or when


def _address(host: str | None, port: Any) -> Address:
    return host, None if port is None else int(port)


def _seen(pair: _Pair, row: Any) -> None:
    pair.frames.append(int(row.frame))
    pair.seconds.append(float(row.seconds))


def _number_sessions(checked: list[_Pair]) -> None:
    """A session is a pair of ufrags, in either order: on the two sides of a relay local and remote change places."""
    sessions: dict[frozenset[str], list[_Pair]] = {}
    for pair in checked:
        sessions.setdefault(frozenset(pair.ufrags), []).append(pair)
    hosts: dict[tuple[str | None, Address], _Silence] = {}
    for number, members in enumerate(sessions.values()):
        begin = min(pair.seconds[0] for pair in members)
        end = max(pair.seconds[-1] for pair in members)
        between = {(pair.client[0], pair.remote) for pair in members}
        generation = max(hosts.setdefault(key, _Silence()).before(begin) for key in between)
        for key in between:
            hosts[key].waiting.append((begin, end))
        for pair in members:
            pair.session, pair.generation = number, generation


@dataclass
class _Silence:
    """Sessions between two hosts, in the order in which they began, and when those that are older fell silent."""

    waiting: deque[tuple[float, float]] = field(default_factory=deque)
    ends: list[float] = field(default_factory=list)

    def before(self, begin: float) -> int:
        """How many fell silent about when another began."""
        while self.waiting and self.waiting[0][0] + SILENT <= begin:
            insort(self.ends, self.waiting.popleft()[1])
        return bisect_right(self.ends, begin + SILENT)


def _select(checked: list[_Pair]) -> None:
    """Of each session the nominated pair with the latest answered check; of equals the one nominated first.

    A capture beside a TURN server shows a relayed pair twice, inside TURN and on the relay's own leg: with the same
    relayed port and the same peer. Both rows are that pair.
    """
    best: dict[int, _Pair] = {}
    for pair in checked:
        if pair.nominated and (pair.session not in best or pair.last_consent > best[pair.session].last_consent):
            best[pair.session] = pair
    for pair in checked:
        chosen = best.get(pair.session)
        if chosen is not None and pair.nominated and pair.remote == chosen.remote and pair.local[1] == chosen.local[1]:
            pair.selected = pair is chosen or pair.depth != chosen.depth


def _row(pair: _Pair) -> tuple[Any, ...]:
    sent, received = pair.directions[True], pair.directions[False]
    return (
        pair.flow, pair.transport, pair.depth, *pair.local, *pair.remote, *pair.client, *(pair.relay or (None, None)),
        *pair.ufrags, pair.session, pair.generation,
        sent.checks, sent.answers, sent.errors, received.checks, received.answers, received.errors,
        pair.retransmissions, " ".join(str(code) for code in dict.fromkeys(pair.codes)) or None, pair.codes.count(487),
        *(median(direction.rtts) if direction.rtts else None for direction in (sent, received)),
        *(_interval(direction, pair.valid) for direction in (sent, received)),
        sent.role, received.role,
        pair.use_candidate, pair.nominated is not None, *(pair.nominated or (None, None)), pair.selected,
        *(pair.valid or (None, None)),
        *(direction.answered[-1] if direction.answered else None for direction in (sent, received)),
        *(max(_steps(direction.answered), default=None) for direction in (sent, received)),
        *_mapped(sent, pair.local), *_mapped(received, pair.remote),
        min(pair.frames), max(pair.frames), min(pair.seconds), max(pair.seconds),
    )  # fmt: skip


def _mapped(direction: _Direction, seen: Address) -> tuple[str | None, int | None, bool | None]:
    """Where the other side saw one, and whether this capture saw it elsewhere; a port counts where both are known."""
    if direction.mapped is None:
        return None, None, None
    known = None not in (direction.mapped[1], seen[1])
    return (*direction.mapped, direction.mapped != seen if known else direction.mapped[0] != seen[0])


def _steps(times: list[float]) -> Iterator[float]:
    return (after - before for before, after in pairwise(times))


def _interval(direction: _Direction, valid: tuple[int, float] | None) -> float | None:
    steps = list(_steps([moment for moment in direction.sent if valid and moment >= valid[1]]))
    return median(steps) if steps else None
