"""The table ``stun``: every STUN and ChannelData message, also those inside TCP, TLS and TURN."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.errors import ParseError, Problem
from jitsilab.pcap.columns import slices
from jitsilab.protocols import stun
from jitsilab.protocols.stun import ChannelData, Message
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.wire.units import KINDS, NOTHING, PART, Unit

if TYPE_CHECKING:
    from jitsilab.wire import Wire
    from jitsilab.wire.units import Units

Array = npt.NDArray[Any]
FIRST = 8  # messages that show who carries media to whom

STUN: Schema = {
    **COMMON,
    "first_frame": ("int64", "first frame of a message that spans several"),
    "up": ("boolean", "from the flow's client"),
    "transport": ("str", "udp, tcp, or tls where it was decrypted"),
    "depth": ("int64", "0 outermost, one more inside each TURN wrapper"),
    "message_class": ("str", "request, success, error or indication; empty for ChannelData"),
    "method": ("str", "as IANA names it, ChannelData, or a number"),
    "transaction_id": ("str", "24 hex digits; 32 without magic cookie (RFC 3489)"),
    "attributes": ("str", "every attribute's type in order, 4 hex digits each, with spaces between"),
    "username": ("str", "USERNAME; in ICE the receiver's ufrag, a colon, the sender's"),
    "mapped_address": ("str", "XOR-MAPPED-ADDRESS, else an older form: where the responder saw the request come from"),
    "mapped_port": ("Int64", "its port"),
    "relayed_address": ("str", "XOR-RELAYED-ADDRESS: what the TURN server allocated"),
    "relayed_port": ("Int64", "its port"),
    "peer_address": ("str", "the first XOR-PEER-ADDRESS; of ChannelData the peer its channel is bound to"),
    "peer_port": ("Int64", "its port"),
    "peers": ("str", "every XOR-PEER-ADDRESS as address and port, with spaces between"),
    "wrapper_peer": ("str", "of a message inside TURN: the peer behind the relay, as the wrapper names it"),
    "wrapper_peer_port": ("Int64", "its port"),
    "error_code": ("Int64", "300..699"),
    "error_reason": ("str", "the reason phrase, as sent"),
    "priority": ("Int64", "PRIORITY of a check: of a peer reflexive candidate that it may find"),
    "role": ("str", "controlling or controlled: the sender's role in ICE"),
    "tie_breaker": ("str", "16 hex digits, decides a role conflict"),
    "use_candidate": ("boolean", "whether USE-CANDIDATE is there; empty for ChannelData"),
    "software": ("str", "SOFTWARE"),
    "realm": ("str", "REALM"),
    "nonce": ("str", "NONCE"),
    "lifetime": ("Int64", "s, LIFETIME; 0 in a request ends an allocation"),
    "channel": ("Int64", "channel number of a ChannelBind or of ChannelData"),
    "fingerprint_ok": ("boolean", "whether FINGERPRINT is right; empty without one, or where the capture cut it"),
    "integrity_ok": ("boolean", "whether MESSAGE-INTEGRITY is right; empty without one, or without a key"),
    "request_frame": ("Int64", "of a response: the frame of its request, the first one where it was sent again"),
    "rtt": ("float64", "s from that frame to the response"),
    "retransmission": ("boolean", "the same transaction was seen before in the same direction"),
    "duplicate": ("boolean", "the same packet as one seen on another interface of the host"),
    "size": ("int64", "bytes of the message on the wire, without padding of ChannelData"),
}
SCHEMAS = {"stun": STUN}
_MS_COOKIE = b"\x72\xc6\x4b\xc6"  # who sends it numbers REALM as NONCE and NONCE as REALM (MS-TURN section 2.2.2)

Passwords = Mapping[str, str | Collection[str]]
Accounts = Iterable[tuple[str, str, str]]


class Secrets(NamedTuple):
    """Under what messages are signed.

    ``passwords`` gives the ICE password of a ufrag (or several, where a ufrag was used twice). A check carries USERNAME
    ``A:B`` and is signed with the password of A, its receiver; so is the answer to it (RFC 8445 section 7.2.2).
    ``accounts`` are (username, realm, password) of TURN; an empty realm fits every realm, because Jitsi hands out
    credentials without one.
    """

    passwords: Passwords = {}  # noqa: RUF012 (nobody changes it)
    accounts: Accounts = ()


def table(wire: "Wire", secrets: Secrets | None = None) -> Table:
    """One row a message in the order of frames, each wrapper before what it holds."""
    return _joined(chunks(wire, secrets))


def chunks(wire: "Wire", secrets: Secrets | None = None) -> Iterator[Table]:
    """The same, `PART` messages or fewer at a time."""
    return _Reading(wire, secrets).chunks(wire.units.where("stun", "channel"))


def spoken(wire: "Wire", secrets: Secrets | None = None) -> pd.DataFrame:
    """Without what merely carries media, hours of which are millions of messages.

    ChannelData, Send and Data that hold neither STUN nor DTLS are there `FIRST` times for each peer in each direction,
    and the last one, whose ``stands_for`` counts those before it that are left out.
    """
    places, count = _spoken(wire.units)
    rows = _joined(_Reading(wire, secrets, places=True).chunks(places)).rows
    return rows.drop(columns="place").assign(stands_for=count[np.searchsorted(places, rows["place"])])


def _joined(parts: Iterable[Table]) -> Table:
    every = list(parts)
    rows = [part.rows for part in every]
    problems = [problem for part in every for problem in part.problems]
    return Table(pd.concat(rows, ignore_index=True) if len(rows) > 1 else rows[0], problems)


def _spoken(units: "Units") -> tuple[Array, Array]:
    """Places of STUN and ChannelData that is more than a wrapper of media, and how many messages each stands for."""
    kept, count = list[Array](), list[Array]()
    seen: dict[int, tuple[int, int]] = {}  # messages of each way to a peer, and the last one
    talk = [KINDS.index("stun"), KINDS.index("dtls"), NOTHING]
    every = units.where("stun", "channel")
    for window in slices(len(every)):
        places = every[window]
        rows = units.rows[places]
        carries = ~np.isin(rows["inside"], talk)
        kept.append(places[~carries])
        count.append(np.ones(len(kept[-1]), np.int64))
        rows = rows[carries]
        way = rows["flow"].astype(np.int64) << 9 | rows["up"].astype(np.int64) << 8 | rows["depth"] << 3 | rows["kind"]
        ways, which = np.unique(way * len(units.peers) + rows["to"], return_inverse=True)
        order = np.argsort(which, kind="stable")
        places, which = places[carries][order], which[order]
        begins = np.flatnonzero(np.diff(which, prepend=-1))
        sizes = np.diff(begins, append=len(which))
        before = np.array([seen.get(way, (0, 0))[0] for way in ways.tolist()], np.int64)
        kept.append(places[np.arange(len(which)) + np.repeat(before - begins, sizes) < FIRST])
        count.append(np.ones(len(kept[-1]), np.int64))
        columns = (column.tolist() for column in (ways, before + sizes, places[begins + sizes - 1]))
        seen.update({way: (many, last) for way, many, last in zip(*columns, strict=True)})
    late = [(last, many - FIRST) for many, last in seen.values() if many > FIRST]
    places = np.concatenate([*kept, np.array([last for last, _ in late], np.int64)])
    order = np.argsort(places)
    return places[order], np.concatenate([*count, np.array([many for _, many in late], np.int64)])[order]


class _Reading:
    """Messages as rows, one after the other: what one says depends on those before it."""

    def __init__(self, wire: "Wire", secrets: Secrets | None, *, places: bool = False) -> None:
        self._wire, self._secrets = wire, secrets
        self._transactions, self._keys = _Transactions(wire), _Keys(secrets or Secrets())
        self._bound: dict[tuple[int, int, int], stun.Endpoint] = {}
        self._schema = {**STUN, "place": ("int64", "in the units of the capture")} if places else STUN

    def chunks(self, places: Array) -> Iterator[Table]:
        """The rows of units of these places."""
        for window in slices(max(1, len(places)), PART):
            rows: list[tuple[Any, ...]] = []
            problems: list[Problem] = []
            some = places[window]
            for place, (unit, message) in zip(some.tolist(), messages(self._wire, some), strict=True):
                row = self._row(unit, message, problems)
                if row is not None:
                    rows.append((*row, place) if "place" in self._schema else row)
            yield Table(frame_from(rows, self._schema), problems)

    def _row(
        self, unit: Unit, message: Message | ChannelData | ParseError, problems: list[Problem]
    ) -> tuple[Any, ...] | None:
        wire = self._wire
        if isinstance(message, ParseError):
            problems.append(Problem(unit.frame, "stun", message.offset, str(message)))
            return None
        common = (unit.frame, wire.time(unit.frame), wire.seconds(unit.frame), unit.flow, *unit[8:12])
        where = (unit.first_frame, unit.up, unit.transport, unit.depth)
        if isinstance(message, ChannelData):
            return (*common, *where, *_channel(unit, message, self._bound))
        if message.method == 9 and message.channel is not None:
            for peer in message.endpoints(stun.XOR_PEER_ADDRESS)[:1]:
                self._bound[unit.flow, unit.depth, message.channel] = peer
        if len(unit.data) >= unit.size:  # what the capture cut is no fault of the sender's
            problems += [Problem(unit.frame, "stun", 0, text) for text in message.problems]
        signed = self._keys.fit(unit, message) if self._secrets is not None else None
        fields = _fields(unit, message)
        return (*common, *where, *fields, signed, *self._transactions.place(unit, message), _size(unit, message))


def messages(wire: "Wire", places: Array | None = None) -> Iterator[tuple[Unit, Message | ChannelData | ParseError]]:
    """Each STUN and ChannelData unit, or those at some places, decoded.

    An attribute of which the capture has only the beginning is left out.
    """
    places = wire.units.where("stun", "channel") if places is None else places
    for unit in wire.units.chosen(places):
        try:
            yield unit, _decoded(unit) if unit.kind == "stun" else stun.decode_channel(unit.data)
        except ParseError as error:
            yield unit, error


def _decoded(unit: Unit) -> Message:
    message = stun.decode(unit.data)
    if len(unit.data) < unit.size and message.attributes:
        _, value, offset = message.attributes[-1]
        if len(value) < int.from_bytes(message.raw[offset + 2 : offset + 4]):
            return message._replace(attributes=message.attributes[:-1])
    return message


def _size(unit: Unit, message: Message) -> int:
    return unit.size if unit.size > len(unit.data) else len(message.raw)


def _channel(unit: Unit, message: ChannelData, bound: Mapping[tuple[int, int, int], stun.Endpoint]) -> tuple[Any, ...]:
    """The columns after ``depth`` of a ChannelData message."""
    given: dict[str, Any] = {"method": "ChannelData", "channel": message.channel, "size": 4 + message.length}
    peer = bound.get((unit.flow, unit.depth, message.channel))
    if peer is not None:
        given |= {"peer_address": peer.address, "peer_port": peer.port}
    if unit.peer is not None:
        given |= {"wrapper_peer": unit.peer.address, "wrapper_peer_port": unit.peer.port}
    names = list(STUN)
    return tuple(given.get(name) for name in names[names.index("message_class") :])


def _fields(unit: Unit, message: Message) -> tuple[Any, ...]:
    """The columns from ``message_class`` to ``fingerprint_ok``."""
    nobody = (None, None)
    peers = message.endpoints(stun.XOR_PEER_ADDRESS)
    relayed = message.endpoints(stun.XOR_RELAYED_ADDRESS)
    tie_breaker = message.tie_breaker
    return (
        message.message_class,
        message.method_name,
        message.transaction_id.hex(),
        " ".join([f"{attribute.type:04x}" for attribute in message.attributes]),
        message.text(stun.USERNAME),
        *(message.mapped or nobody),
        *(relayed[0] if relayed else nobody),
        *(peers[0] if peers else nobody),
        " ".join(f"{_host(peer.address)}:{peer.port}" for peer in peers) or None,
        *(unit.peer or nobody),
        *(message.error or nobody),
        message.number(stun.PRIORITY),
        message.role,
        None if tie_breaker is None else f"{tie_breaker:016x}",
        message.get(stun.USE_CANDIDATE) is not None,
        message.text(stun.SOFTWARE),
        *(
            (message.text(stun.NONCE), message.text(stun.REALM))
            if message.get(stun.MS_COOKIE) == _MS_COOKIE
            else (message.text(stun.REALM), message.text(stun.NONCE))
        ),
        message.number(stun.LIFETIME),
        message.channel,
        stun.fingerprint_ok(message) if len(unit.data) >= unit.size else None,
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class _Transactions:
    """Requests and responses of one transaction, in one flow, at one depth, in opposite directions."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._requests: dict[tuple[int, int, bytes], tuple[int, bool]] = {}
        self._seen: set[tuple[int, int, bytes, bool, bool]] = set()
        self._copies = wire.packets.duplicate_of

    def place(self, unit: Unit, message: Message) -> tuple[int | None, float | None, bool, bool]:
        """Frame of the request, time from it, whether sent again, whether a copy from another interface."""
        wire = self._wire
        copy = unit.transport == "udp" and bool(self._copies[unit.frame - wire.packets.first])
        key = unit.flow, unit.depth, message.transaction_id
        response = message.message_class in ("success", "error")
        again = (*key, unit.up, response) in self._seen
        if not copy:
            self._seen.add((*key, unit.up, response))
        frame, rtt = None, None
        if message.message_class == "request":
            self._requests.setdefault(key, (unit.frame, unit.up))
        elif response and key in self._requests and self._requests[key][1] != unit.up:
            frame = self._requests[key][0]
            rtt = (wire.time(unit.frame) - wire.time(frame)) / 1e9
        return frame, rtt, again and not copy, copy


class _Keys:
    """Which key fits which message; a response is checked under the key of its request."""

    def __init__(self, secrets: Secrets) -> None:
        self._passwords = secrets.passwords
        self._turn: dict[str, list[tuple[str, str]]] = {}
        for username, realm, password in secrets.accounts:
            self._turn.setdefault(username, []).append((realm, password))
        self._known: dict[tuple[int, int, bytes], list[bytes]] = {}

    def fit(self, unit: Unit, message: Message) -> bool | None:
        """Whether MESSAGE-INTEGRITY is right; None without one, without a key, or where the capture cut it."""
        if len(unit.data) < unit.size:
            return None
        transaction = unit.flow, unit.depth, message.transaction_id
        fitting = self._named(message)
        if message.message_class == "request" and fitting:
            self._known[transaction] = fitting
        checked = [stun.integrity_ok(message, key) for key in fitting or self._known.get(transaction, [])]
        return None if not checked or None in checked else any(checked)

    def _named(self, message: Message) -> list[bytes]:
        """Keys that a message's own USERNAME or USERHASH names."""
        realm = message.text(stun.REALM)
        username = message.text(stun.USERNAME)
        if realm is None:
            if username is None:
                return []
            known = self._passwords.get(username.split(":")[0], ())
            return [stun.short_term_key(password) for password in ([known] if isinstance(known, str) else known)]
        hashed = message.get(stun.USERHASH)
        if username is None and hashed is not None:
            username = next((name for name in self._turn if stun.userhash(name, realm) == hashed), None)
        if username is None:
            return []
        algorithm = stun.password_algorithm(message)
        return [
            stun.long_term_key(username, realm, password, algorithm)
            for where, password in self._turn.get(username, [])
            if where in ("", realm)
        ]


BUILD = {"stun": table}
CHUNKS = {"stun": chunks}
PARTS = {"spoken": spoken}
