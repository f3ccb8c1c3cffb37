"""The records of a TLS session, nearly all of which say nothing but their length: as columns, not as objects."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from jitsilab.errors import Problem
from jitsilab.pcap.columns import Growing, slices
from jitsilab.protocols import tls
from jitsilab.protocols.tls_registry import content_type_name

if TYPE_CHECKING:
    from jitsilab.wire.decrypt.record_layer import Opened
    from jitsilab.wire.streams import ByteStream

HEADERS = np.dtype(
    [("offset", "u8"), ("frame", "u4"), ("first_frame", "u4"), ("kind", "u1"), ("inner", "i2"), ("version", "u2"),
     ("length", "u2"), ("up", "?"), ("encrypted", "?"), ("complete", "?")]
)  # fmt: skip
NONE = -1  # in ``inner``: not known


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
    """What is known of a record beyond its header."""

    plaintext: bytes | None
    messages: tuple[tls.Message, ...]
    alert: str | None


class Records(Sequence[Record]):
    """Records in the order in which they could be read; each becomes an object when it is asked for."""

    def __init__(
        self, flow: int, headers: "npt.NDArray[Any] | None" = None, contents: dict[int, Content] | None = None
    ) -> None:
        self.flow = flow
        self.headers = headers if headers is not None else np.zeros(0, HEADERS)
        self.contents = contents if contents is not None else {}  # by place

    @classmethod
    def merged(cls, flow: int, directions: "Sequence[Direction]") -> "Records":
        """The records of both directions, by the frame at which each can be read."""
        taken = [direction.headers() for direction in directions]
        ready = np.concatenate([np.maximum.accumulate(headers["frame"]) for headers in taken])
        order = np.argsort(ready, kind="stable")
        every = np.concatenate(taken) if min(map(len, taken)) else max(taken, key=len)
        headers = every[order] if len(order) < _PART else _sorted(every, order)
        contents: dict[int, Content] = {}
        if any(direction.contents for direction in directions):
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(len(order))
            begin = 0
            for direction, column in zip(directions, taken, strict=True):
                contents |= {int(places[begin + row]): content for row, content in direction.contents.items()}
                begin += len(column)
        return cls(flow, headers, dict(sorted(contents.items())))

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
        return (self._made(row, place) for place, row in enumerate(self.headers.tolist()))

    def _made(self, row: tuple[Any, ...], place: int) -> Record:
        offset, frame, first, kind, inner, version, length, up, encrypted, complete = row
        content = self.contents.get(place, _NOTHING)
        return Record(
            self.flow, up, offset, frame, first, content_type_name(kind),
            None if inner == NONE else content_type_name(inner), version, length, content.plaintext, encrypted,
            complete, content.messages, content.alert,
        )  # fmt: skip


_NOTHING = Content(None, (), None)
_PART = 1 << 14  # headers that are tuples before they become a column


def _sorted(headers: "npt.NDArray[Any]", order: "npt.NDArray[np.int64]") -> "npt.NDArray[Any]":
    column = Growing()
    for window in slices(len(order)):
        column.add({"": headers[order[window]]})
    return column.take("", HEADERS)


class Direction:
    """The records of one direction, laid down one after the other."""

    def __init__(self, up: bool, stream: "ByteStream") -> None:
        self.up, self.stream = up, stream
        self.contents: dict[int, Content] = {}  # by place in this direction
        self.problems: list[Problem] = []
        self._rows: list[tuple[Any, ...]] = []
        self._columns, self._count = Growing(), 0

    def take(self, opened: "Opened") -> None:
        """Take the next record, in the order of the stream."""
        raw = opened.record
        first, last = self.stream.span(raw.offset, raw.offset + tls.HEADER + len(raw.fragment))
        if opened.plaintext is not None or opened.messages or opened.alert is not None:
            self.contents[self._count] = Content(opened.plaintext, opened.messages, opened.alert)
        inner = NONE if opened.inner_type is None else opened.inner_type
        self._rows.append((
            raw.offset, last, first, raw.content_type, inner, raw.version, raw.length, self.up, opened.encrypted,
            raw.complete,
        ))  # fmt: skip
        self._count += 1
        if opened.failure:
            self.problems.append(Problem(last, "TLS", raw.offset, opened.failure))
        if len(self._rows) == _PART:
            self._lay()

    def headers(self) -> "npt.NDArray[Any]":
        """All of them."""
        if self._count < _PART:
            return np.array(self._rows, HEADERS)
        self._lay()
        return self._columns.take("", HEADERS)

    def _lay(self) -> None:
        if self._rows:
            self._columns.add({"": np.array(self._rows, HEADERS)})
            self._rows = []
