"""A capture as columns: one numpy array a field, one row a frame, and a way back to each frame's bytes."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from jitsilab.errors import CaptureError, Problem
from jitsilab.pcap import duplicates
from jitsilab.pcap.addresses import AddressBook
from jitsilab.pcap.columns import let_go, made, where
from jitsilab.pcap.containers import BUFFER, Comment, Container, Interface, gather
from jitsilab.pcap.links import TCP
from jitsilab.pcap.sources import Store

Array = npt.NDArray[Any]

_TCP_HEADER = np.dtype([("ports", ">u4"), ("seq", ">u4"), ("ack", ">u4"), ("flags", ">u2"), ("window", ">u2")])

COLUMNS = {  # name: dtype; a frame takes at most 50 bytes, where header offsets fit one
    "time": np.int64,
    "length": np.uint32,
    "captured_length": np.uint32,
    "ethertype": np.uint16,
    "ip_version": np.uint8,
    "ip_protocol": np.int16,
    "src": np.int32,
    "dst": np.int32,
    "src_port": np.int32,
    "dst_port": np.int32,
    "payload_length": np.uint32,
    "transport_start": np.uint16,
    "payload_start": np.uint16,
}


class Packets:
    """The frames of a capture in its order; row i of each column is frame number ``first + i``.

    Columns, all of length n: ``time`` (int64, ns since the epoch), ``timed`` (false where the file gives no time, which
    is 0 then), ``length`` and ``captured_length`` (bytes on the wire and in the file), ``interface`` (into
    `interfaces`), ``ethertype`` (0 unknown), ``ip_version`` (0, 4, 6), ``ip_protocol`` (-1 none; of IPv6 the one after
    the extension headers), ``src`` and ``dst`` (into `addresses`, -1 none), ``src_port`` and ``dst_port`` (UDP and TCP,
    -1 none), ``payload_length`` (bytes of UDP or TCP payload that were captured), ``transport_start`` (bytes into the
    frame of what IP carries, or of what the link carries where that is not IP) and ``payload_start`` (of the UDP or TCP
    payload), 0 for none.

    Fragments of a datagram have no ports; the frame that completes it has those and the payload of the whole.
    Tunnels (GRE, VXLAN, IP in IP) and the packets that ICMP errors quote stay closed.
    """

    time: Array
    length: Array
    captured_length: Array
    ethertype: Array
    ip_version: Array
    ip_protocol: Array
    src: Array
    dst: Array
    src_port: Array
    dst_port: Array
    payload_length: Array
    transport_start: Array
    payload_start: Array
    interface: Array
    timed: Array

    def __init__(
        self,
        columns: dict[str, Array],
        offset: Array,
        store: Store,
        book: AddressBook,
        container: Container,
        reassembled: dict[int, tuple[bytes, int]],
        first: int = 1,
        unread: dict[str, int] | None = None,
    ) -> None:
        for name, column in columns.items():
            setattr(self, name, column)
        self.first = first
        self.reassembled = reassembled  # frame number: transport segment of the whole datagram, start of its payload
        self.interfaces: list[Interface] = container.interfaces
        self.secrets: list[bytes] = container.secrets
        self.comments: list[Comment] = container.comments
        self.errors: list[Problem] = container.problems
        self.unread: dict[str, int] = {} if unread is None else unread  # frames by what in them is not read, by name
        self._offset = offset
        self._store = store
        self._book = book

    def __len__(self) -> int:
        return len(self.time)

    @property
    def nbytes(self) -> int:
        """Memory of the columns, in bytes."""
        columns = [getattr(self, name) for name in (*COLUMNS, "interface", "timed")] + [self._offset]
        return sum(
            column.nbytes for column in {id(column): column for column in columns if column.strides != (0,)}.values()
        )

    @property
    def addresses(self) -> list[str]:
        """Addresses as text, in the order in which they were first seen."""
        return self._book.texts()

    def address(self, code: int) -> str:
        """One address as text, "" for -1."""
        return self._book.texts()[code] if code >= 0 else ""

    def frame(self, number: int) -> bytes:
        """All captured bytes of a frame, link header first."""
        row = self._row(number)
        return self._store.read(int(self._offset[row]), int(self.captured_length[row]))

    def payload(self, number: int) -> bytes:
        """UDP or TCP payload as captured; of a fragmented datagram the whole, at the frame that completes it."""
        row = self._row(number)
        if number in self.reassembled:
            segment, start = self.reassembled[number]
            return segment[start : start + int(self.payload_length[row])] if start else b""
        start = int(self.payload_start[row])
        return self._store.read(int(self._offset[row]) + start, int(self.payload_length[row])) if start else b""

    def source(self, number: int) -> tuple[str, int]:
        """Source address and port; "" and -1 where there is none."""
        row = self._row(number)
        return self.address(int(self.src[row])), int(self.src_port[row])

    def destination(self, number: int) -> tuple[str, int]:
        """Destination address and port; "" and -1 where there is none."""
        row = self._row(number)
        return self.address(int(self.dst[row])), int(self.dst_port[row])

    def scapy(self, number: int) -> Any:
        """A frame as a scapy packet."""
        from jitsilab.pcap.objects import packet

        row = self._row(number)
        parsed = packet(self.frame(number), self.interfaces[int(self.interface[row])].link)
        parsed.time = int(self.time[row]) / 1e9
        parsed.wirelen = int(self.length[row])
        return parsed

    def heads(self, rows: "Array | Sequence[int] | None" = None, width: int = 16) -> npt.NDArray[np.uint8]:
        """First ``width`` payload bytes of each row (all, or the ones given): (k, width), zeros past its end."""
        rows = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        begin = self.payload_start[rows].astype(np.int64)
        return self._peek(rows, begin, np.where(begin > 0, self.payload_length[rows], 0), width, payload=True)

    def payloads(self, rows: "Array | Sequence[int]") -> list[bytes]:
        """Payloads of many rows, as `payload` gives each; reads the file in large steps."""
        rows = np.asarray(rows, np.int64)
        begin = self._offset[rows].astype(np.int64) + self.payload_start[rows]
        size = np.where(self.payload_start[rows] > 0, self.payload_length[rows], 0).astype(np.int64)
        payloads: list[bytes] = []
        for low, high, base, data in self._windows(begin, begin + size):
            starts, sizes = (begin[low:high] - base).tolist(), size[low:high].tolist()
            payloads += [data[at : at + n] for at, n in zip(starts, sizes, strict=True)]
        if self.reassembled:
            for i, number in enumerate((rows + self.first).tolist()):
                if number in self.reassembled:
                    payloads[i] = self.payload(number)
        return payloads

    @cached_property
    def tcp_rows(self) -> npt.NDArray[np.int64]:
        """Rows with a whole TCP header."""
        return where(len(self), lambda window: (self.ip_protocol[window] == TCP) & (self.payload_start[window] > 0))

    @cached_property
    def _tcp(self) -> Array:
        def fields(window: slice) -> Array:
            heads = self.transport_heads(self.tcp_rows[window], _TCP_HEADER.itemsize)
            return heads.view(_TCP_HEADER).reshape(-1)

        return made(len(self.tcp_rows), _TCP_HEADER, fields)

    def tcp_fields(self, rows: Array) -> Array:
        """Fields ``seq``, ``ack``, ``flags`` (with the data offset in the top 4 bits), ``window`` of TCP rows.

        All are 0 in a row without a whole TCP header.
        """
        fields = np.zeros(len(rows), _TCP_HEADER)
        if len(self.tcp_rows):
            place = np.minimum(np.searchsorted(self.tcp_rows, rows), len(self.tcp_rows) - 1)
            there = self.tcp_rows[place] == rows
            fields[there] = self._tcp[place[there]]
        return fields

    def transport_heads(self, rows: Array, width: int) -> npt.NDArray[np.uint8]:
        """First ``width`` bytes from the UDP or TCP header on: (k, width), zeros past the payload's end."""
        begin = self.transport_start[rows].astype(np.int64)
        size = np.where(self.payload_start[rows] > 0, self.payload_start[rows] - begin + self.payload_length[rows], 0)
        return self._peek(rows, begin, size, width, payload=False)

    def _tcp_column(self, name: str, dtype: Any, mask: int) -> Array:
        column = np.zeros(len(self), dtype)
        column[self.tcp_rows] = self._tcp[name] & mask
        return column

    @cached_property
    def tcp_seq(self) -> npt.NDArray[np.uint32]:
        """Sequence numbers, 0 where there is no TCP; as the three that follow, read when first asked for."""
        return self._tcp_column("seq", np.uint32, 0xFFFFFFFF)

    @cached_property
    def tcp_ack(self) -> npt.NDArray[np.uint32]:
        """Acknowledgement numbers."""
        return self._tcp_column("ack", np.uint32, 0xFFFFFFFF)

    @cached_property
    def tcp_flags(self) -> npt.NDArray[np.uint16]:
        """Flags: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG, 64 ECE, 128 CWR, 256 AE."""
        return self._tcp_column("flags", np.uint16, 0x1FF)

    @cached_property
    def tcp_window(self) -> npt.NDArray[np.uint16]:
        """Windows as sent, unscaled."""
        return self._tcp_column("window", np.uint16, 0xFFFF)

    @cached_property
    def duplicate_of(self) -> npt.NDArray[np.int64]:
        """Frame number of the frame that this one repeats on another interface of the host, 0 where none."""
        return duplicates.find(self)

    def frame_heads(self, rows: Array, start: "Array | int", width: int) -> npt.NDArray[np.uint8]:
        """``width`` bytes of each row's frame from ``start`` on: (k, width), zeros past the frame's end."""
        begin = np.broadcast_to(np.asarray(start, np.int64), len(rows))
        size = np.maximum(self.captured_length[rows].astype(np.int64) - begin, 0)
        return self._bytes(self._offset[rows].astype(np.int64) + begin, np.minimum(size, width), width)

    def _row(self, number: int) -> int:
        row = number - self.first
        if not 0 <= row < len(self):
            last = self.first + len(self) - 1
            raise CaptureError(f"There is no frame {number}; the capture has frames {self.first} to {last}.")
        return row

    def _peek(self, rows: Array, begin: Array, size: Array, width: int, *, payload: bool) -> npt.NDArray[np.uint8]:
        size = np.minimum(size.astype(np.int64), width)
        heads = self._bytes(self._offset[rows].astype(np.int64) + begin, size, width)
        if self.reassembled:
            for i, number in enumerate((rows + self.first).tolist()):
                if number in self.reassembled:
                    segment, inner = self.reassembled[number]
                    piece = np.frombuffer((segment[inner:] if payload else segment)[: int(size[i])], np.uint8)
                    heads[i] = 0
                    heads[i, : len(piece)] = piece
        return heads

    def _bytes(self, begin: Array, size: Array, width: int) -> npt.NDArray[np.uint8]:
        """Bytes of the file at each position, zeros after ``size``."""
        out, row = np.zeros((len(begin), width), np.uint8), np.dtype((np.uint8, width))
        for low, high, base, data in self._windows(begin, begin + width):
            pieces = gather(np.frombuffer(data, np.uint8), begin[low:high] - base, row)
            out[low:high] = pieces.reshape(-1, width)
        short = np.flatnonzero(size < width)
        out[short] *= np.arange(width) < size[short, None]
        return out

    def _windows(self, begin: Array, end: Array) -> Iterator[tuple[int, int, int, bytes]]:
        """Stretches of the file that hold ``begin`` to ``end`` of rows low to high; zeros follow the file's end."""
        low, count = 0, len(begin)
        let_go(count)
        while low < count:
            base = int(begin[low])
            outside = (begin[low : low + 65536] < base) | (end[low : low + 65536] > base + BUFFER)
            outside[0] = False
            high = low + (int(np.argmax(outside)) if outside.any() else len(outside))
            size = int(end[low:high].max()) - base
            data = self._store.read(base, size)
            yield low, high, base, data + bytes(size - len(data))
            low = high
        let_go(count)
