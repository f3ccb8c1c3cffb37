"""One TLS session: the records of a TCP flow in capture order, and what is inside where a key log has the secrets."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jitsilab.errors import Problem
from jitsilab.pcap.columns import Growing, Run, numbers
from jitsilab.protocols import tls
from jitsilab.protocols.hello import ClientHello, ServerHello
from jitsilab.protocols.tls_registry import suite_name, version_name
from jitsilab.wire.decrypt import record_layer
from jitsilab.wire.decrypt.keylog import KeyLog
from jitsilab.wire.decrypt.record_layer import Connection, Side
from jitsilab.wire.decrypt.records import NONE, Direction, Records
from jitsilab.wire.streams import ByteStream, Piece

_PART = 1 << 20  # bytes of plaintext at a time


class Plaintext:
    """Application data of one direction, as the byte stream that the application reads.

    A record that could not be opened, or is not in the capture, leaves a hole between two pieces.
    """

    def __init__(self, records: Records, up: bool) -> None:
        stretches, runs = Growing(), list[tuple[int, Run]]()
        at, after, hole = 0, -1, True  # after: where the next header is expected
        for headers in records.columns(up):
            begins, sizes, lengths = (headers[name].astype(np.int64) for name in ("offset", "size", "length"))
            ends = begins + tls.HEADER + lengths
            expected = np.concatenate([[after if after >= 0 else begins[0]], ends[:-1]])
            sealed, after = sizes == NONE, int(ends[-1])
            said = np.flatnonzero((headers["inner"] == tls.APPLICATION_DATA) & (sizes > 0))
            holes = np.cumsum(sealed | (begins != expected))
            fresh = np.diff(holes[said], prepend=0) > 0  # which begin a run
            fresh[:1] |= hole
            hole = bool(holes[-1] > holes[said[-1]]) if len(said) else hole or bool(holes[-1])
            steps = np.where(sealed, np.maximum(lengths - record_layer.SMALLEST + tls.HEADER, 1), 0)
            steps[said] += sizes[said]
            apart: npt.NDArray[np.int64] = np.cumsum(fresh) - (
                not runs
            )  # runs are one apart, where nothing else is between them
            starts = at + (np.cumsum(steps) - steps)[said] + apart
            at += int(steps.sum()) + (int(apart[-1]) if len(said) else 0)
            row = {"start": starts, "end": starts + sizes[said]}
            stretches.add(row | {name: headers[name][said] for name in ("first_frame", "frame")})
            places = headers["at"][said].astype(np.int64)
            breaks = np.flatnonzero(fresh | (np.diff(places, prepend=-1) != np.concatenate([[0], sizes[said][:-1]])))
            for low, high in pairwise([*breaks.tolist(), len(said)]):
                if fresh[low]:
                    runs.append((int(starts[low]), Run()))
                begin, end = int(places[low]), int(places[high - 1] + sizes[said[high - 1]])
                for part in range(begin, end, _PART):
                    runs[-1][1].add(records.plaintext(up, part, min(part + _PART, end)))
        self.pieces = [Piece(offset, run.take()) for offset, run in runs]
        self._starts, self._ends = (numbers(stretches.take(name, np.int64)) for name in ("start", "end"))
        self._first, self._last = (numbers(stretches.take(name, np.uint32)) for name in ("first_frame", "frame"))

    @property
    def starts(self) -> Sequence[int]:
        """Where the content of each record begins."""
        return self._starts

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First and last frame, by number, of the records that held ``start`` to before ``end``; 0, 0 for none."""
        low, high = bisect_right(self._ends, start), bisect_left(self._starts, max(end, start + 1))
        return (min(self._first[low:high]), max(self._last[low:high])) if low < high else (0, 0)

    def __len__(self) -> int:
        return sum(len(piece.data) for piece in self.pieces)


class Read(NamedTuple):
    """What is long of a session."""

    records: Records
    hellos: Mapping[tls.Message, ClientHello | ServerHello]  # as decoded


def _nothing() -> Read:
    return Read(Records(-1), {})


@dataclass
class Session:
    """A TLS connection: what was agreed on, its records in the order in which they could be read, and its plaintext."""

    flow: int
    version: str | None = None  # such as "TLS 1.3"; None where no ServerHello was seen
    suite: str | None = None  # IANA's name
    sni: str | None = None
    alpn_offered: tuple[str, ...] = ()
    alpn: str | None = None  # in TLS 1.3 it is encrypted: None also where it was not decrypted
    client_random: bytes = b""
    resumed: bool | None = None
    early_data: str | None = None  # offered, accepted or rejected (RFC 8446 section 4.2.10)
    retried: bool = False  # by a HelloRetryRequest
    certificates: tuple[bytes, ...] = ()  # the server's, as DER
    client_certificates: tuple[bytes, ...] = ()
    decrypted: bool = False  # records were opened
    reason: str = ""  # why not, or why not in one direction
    problems: list[Problem] = field(default_factory=list)
    start: tuple[int, int] = (0, 0)  # offsets of the TLS in both streams, up and down; behind STARTTLS not 0
    read: Callable[[], Read] = _nothing

    @property
    def records(self) -> Records:
        """All of them; they may come from a file, so whoever goes through them holds on to them."""
        return self.read().records

    @property
    def hellos(self) -> Mapping[tls.Message, ClientHello | ServerHello]:
        """ClientHello and ServerHello messages as they were decoded."""
        return self.read().hellos

    def plaintext(self, up: bool) -> Plaintext:
        """Application data of one direction, put together when asked for; empty where nothing was decrypted."""
        return Plaintext(self.records, up)


def session(
    up: ByteStream,
    down: ByteStream,
    keylog: KeyLog | None = None,
    *,
    flow: int = -1,
    start: tuple[int, int] = (0, 0),
    masters: dict[bytes, bytes] | None = None,
) -> Session:
    """Read the TLS connection in two byte streams, from the offsets ``start`` on, with the secrets of a key log.

    ``masters`` carries the master secrets of TLS 1.2 sessions from one connection to those that resume them.
    """
    connection = Connection(keylog or KeyLog(), {} if masters is None else masters)
    streams = {True: up, False: down}
    records = {side: tls.records(streams[side].pieces, start[0 if side else 1]) for side in (True, False)}
    first = {side: list(islice(records[side], 1)) for side in records}
    # without a SYN a flow's client is a guess; the hellos know
    turned = _speaks(first[True], tls.SERVER_HELLO) or _speaks(first[False], tls.CLIENT_HELLO)
    read = {side: Direction(side, streams[side]) for side in (True, False)}
    client, server = (
        Side(connection, role, chain(first[side], records[side]), read[side].take)
        for role, side in ((True, not turned), (False, turned))
    )
    record_layer.run(client, server)
    made = Session(flow, start=start)
    _describe(made, connection, client, server)
    whole = Read(Records.merged(flow, [read[False], read[True]]), connection.heard)
    made.read = lambda: whole
    made.problems += [problem for direction in read.values() for problem in direction.problems]
    for speaker, stream in ((client, streams[not turned]), (server, streams[turned])):
        made.problems += [
            Problem(stream.span(offset, offset + 1)[1], "TLS", offset, text) for offset, text in speaker.odd
        ]
    made.problems.sort()
    made.decrypted = client.succeeded or server.succeeded
    made.reason = _reason(made, connection, client, server, keylog)
    return made


def _speaks(records: Sequence[tls.Record], message: int) -> bool:
    return bool(records) and records[0].content_type == tls.HANDSHAKE and records[0].fragment[:1] == bytes([message])


def _describe(made: Session, connection: Connection, client: Side, server: Side) -> None:
    made.version = version_name(connection.version) if connection.version is not None else None
    made.suite = suite_name(connection.suite) if connection.suite is not None else None
    made.client_random = connection.client_random
    made.resumed = None if connection.full is None else not connection.full
    made.retried, made.alpn = connection.retried, connection.alpn
    made.certificates = connection.certificates.get(False, ())
    made.client_certificates = connection.certificates.get(True, ())
    if connection.client_hellos:
        offer = connection.client_hellos[0].extensions
        made.sni, made.alpn_offered = offer.server_name, offer.alpn
        if offer.early_data:
            answered = server.succeeded and connection.version == record_layer.TLS13
            made.early_data = "accepted" if connection.early_accepted else "rejected" if answered else "offered"


def _reason(made: Session, connection: Connection, client: Side, server: Side, keylog: KeyLog | None) -> str:
    """Why the session was not decrypted, or only in one direction; empty where it was, as far as the capture goes."""
    if all(side.succeeded or not side.sealed for side in (client, server)) and made.decrypted:
        return ""
    if not client.sealed and not server.sealed:
        return "nothing is encrypted: the handshake did not get that far"
    if connection.unsupported:
        return connection.unsupported
    if not connection.client_hellos and not connection.server_hellos:
        return "handshake not captured"
    if keylog is None:
        return "no key log"
    if not connection.client_random:
        return "handshake not captured: the ClientHello is missing"
    if not connection.keyed and connection.client_random not in keylog.secrets:
        return "no key for this client random"
    if connection.version is None or (connection.version != record_layer.TLS13 and not connection.server_hellos):
        return "handshake not captured: the ServerHello is missing"
    where = ""
    if made.decrypted:
        where = " (server to client)" if client.succeeded else " (client to server)"
    if client.lossy or server.lossy:
        return "bytes missing in the capture" + where
    if client.failed + server.failed:
        return "the key does not fit: no record authenticates" + where
    return "no key for this direction" + where
