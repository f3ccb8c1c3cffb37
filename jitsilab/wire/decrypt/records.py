"""The records of a TLS session, nearly all of which say nothing but their length: as columns, not as objects."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from jitsilab.errors import Problem
from jitsilab.pcap.columns import Rows, Run, joined, ordered, slices
from jitsilab.protocols import tls
from jitsilab.protocols.tls_registry import content_type_name

if TYPE_CHECKING:
    from jitsilab.wire.decrypt.record_layer import Opened
    from jitsilab.wire.streams import ByteStream

HEADERS = np.dtype(
    [("offset", "u8"), ("frame", "u4"), ("first_frame", "u4"), ("kind", "u1"), ("inner", "i2"), ("version", "u2"),
     ("length", "u2"), ("up", "?"), ("encrypted", "?"), ("complete", "?"), ("at", "u8"), ("size", "i4")]
)  # fmt: skip
NONE = -1  # in ``inner`` and ``size``, which are those of the plaintext at ``at``: not known


class Record(NamedTuple):
    """A TLS record of a flow (RFC 8446 section 5.1)."""

    flow: int
    up: bool
    offset: int  # of its header, in bytes of the TCP stream
    frame: int  # the last that brought bytes of it
    first_frame: int
    record_type: str  # what the header says: application_data for all that TLS 1.3 encrypts
    inner_type: str | None  # what it is: None where that is encrypted and was not opened
    version: int  # of the header, not what was negotiated
    length: int  # of the fragment, by the header
    plaintext: bytes | None  # the fragment without padding; None where it could not be read
    encrypted: bool
    complete: bool  # False: bytes of it are missing in the capture
    messages: tuple[tls.Message, ...]  # handshake messages that end in it
    alert: str | None  # such as "fatal handshake_failure"


class Content(NamedTuple):
    """What few records say."""

    messages: tuple[tls.Message, ...]
    alert: str | None


class Records(Sequence[Record]):
    """Records in the order in which they could be read; each becomes an object when it is asked for."""

    def __init__(
        self,
        flow: int,
        headers: "npt.NDArray[Any] | None" = None,
        contents: dict[int, Content] | None = None,
        plaintexts: dict[bool, bytes] | None = None,
    ) -> None:
        self.flow = flow
        self.headers = headers if headers is not None else np.zeros(0, HEADERS)
        self.contents = contents if contents is not None else {}  # by place
        self._plaintexts = plaintexts if plaintexts is not None else {}  # of all records of a direction

    @classmethod
    def merged(cls, flow: int, directions: "Sequence[Direction]") -> "Records":
        """The records of both directions, by the frame at which each can be read."""
        taken = [direction.headers() for direction in directions]
        order = np.argsort(np.concatenate([np.maximum.accumulate(some["frame"]) for some in taken]), kind="stable")
        headers = ordered(joined(taken), order)
        contents: dict[int, Content] = {}
        if any(direction.contents for direction in directions):
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(len(order))
            begin = 0
            for direction, column in zip(directions, taken, strict=True):
                contents |= {int(places[begin + row]): content for row, content in direction.contents.items()}
                begin += len(column)
        plaintexts = {direction.up: direction.plaintext.take() for direction in directions}
        return cls(flow, headers, dict(sorted(contents.items())), plaintexts)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_plaintexts": {up: some[:] for up, some in self._plaintexts.items()}}

    @property
    def size(self) -> int:
        """Bytes of headers and plaintext."""
        return self.headers.nbytes + sum(map(len, self._plaintexts.values()))

    def __len__(self) -> int:
        return len(self.headers)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: "int | slice") -> "Record | list[Record]":
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"there is no record {place}, the session has {len(self)}")
        place %= len(self)
        return self._made(self.headers[place].item(), place)

    def __iter__(self) -> Iterator[Record]:
        for window in slices(len(self), PART):
            for place, row in enumerate(self.headers[window].tolist(), window.start):
                yield self._made(row, place)

    def each(self, up: bool) -> Iterator[Record]:
        """Those of one direction, in the order of its stream."""
        return self._chosen(lambda headers: np.equal(headers["up"], up))

    def handshakes(self, up: bool) -> Iterator[Record]:
        """Of one direction those that hold parts of handshake messages, and what stands directly behind such."""
        before = False

        def wanted(headers: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
            nonlocal before
            ours: npt.NDArray[np.bool_] = headers["up"] == up
            holds = headers["inner"][ours] == tls.HANDSHAKE
            behind = np.concatenate([[before], holds[:-1]]) if len(holds) else holds
            before = bool(holds[-1]) if len(holds) else before
            ours[ours] = holds | behind
            return ours

        return self._chosen(wanted)

    def _chosen(self, wanted: "Callable[[npt.NDArray[Any]], npt.NDArray[Any]]") -> Iterator[Record]:
        for window in slices(len(self), PART):
            places = window.start + np.flatnonzero(wanted(self.headers[window]))
            for place, row in zip(places.tolist(), self.headers[places].tolist(), strict=True):
                yield self._made(row, place)

    def columns(self, up: bool) -> "Iterator[npt.NDArray[Any]]":
        """What is known of those of one direction, some at a time."""
        for window in slices(len(self), PART):
            headers = self.headers[window]
            if len(some := headers[headers["up"] == up]):
                yield some

    def plaintext(self, up: bool, begin: int, end: int) -> bytes:
        """A part of all that was opened of one direction, handshakes among it; a record's is at ``at``."""
        return self._plaintexts[up][begin:end]

    def _made(self, row: tuple[Any, ...], place: int) -> Record:
        offset, frame, first, kind, inner, version, length, up, encrypted, complete, at, size = row
        content = self.contents.get(place, _NOTHING)
        return Record(
            self.flow, up, offset, frame, first, content_type_name(kind),
            None if inner == NONE else content_type_name(inner), version, length,
            None if size == NONE else self._plaintexts[up][at : at + size], encrypted, complete, content.messages,
            content.alert,
        )  # fmt: skip


PART = 1 << 14  # records that are objects at a time
_NOTHING = Content((), None)


class Direction:
    """The records of one direction, laid down one after the other."""

    def __init__(self, up: bool, stream: "ByteStream") -> None:
        self.up, self.stream = up, stream
        self.contents: dict[int, Content] = {}  # by place in this direction
        self.plaintext, self._opened = Run(), 0  # of all records, and how many bytes that is
        self.problems: list[Problem] = []
        self._rows = Rows(HEADERS)

    def take(self, opened: "Opened") -> None:
        """Take the next record, in the order of the stream."""
        raw = opened.record
        first, last = self.stream.span(raw.offset, raw.offset + tls.HEADER + len(raw.fragment))
        if opened.messages or opened.alert is not None:
            self.contents[len(self._rows)] = Content(opened.messages, opened.alert)
        size = NONE if opened.plaintext is None else len(opened.plaintext)
        inner = NONE if opened.inner_type is None else opened.inner_type
        self._rows.add((
            raw.offset, last, first, raw.content_type, inner, raw.version, raw.length, self.up, opened.encrypted,
            raw.complete, self._opened, size,
        ))  # fmt: skip
        if opened.plaintext:
            self.plaintext.add(opened.plaintext)
            self._opened += size
        if opened.failure:
            self.problems.append(Problem(last, "TLS", raw.offset, opened.failure))

    def headers(self) -> "npt.NDArray[Any]":
        """All of them."""
        return self._rows.take()
