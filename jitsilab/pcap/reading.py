"""From a file to columns: frames are decoded a buffer at a time and the columns joined, or given out chunk by chunk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from jitsilab.errors import CaptureError
from jitsilab.pcap.addresses import AddressBook
from jitsilab.pcap.columns import Growing, made, slices
from jitsilab.pcap.containers import PAD, Chunk, Container, Interface
from jitsilab.pcap.cores import side_by_side
from jitsilab.pcap.fragments import Reassembler
from jitsilab.pcap.links import TCP, UDP
from jitsilab.pcap.networks import Decoded, decode
from jitsilab.pcap.packets import COLUMNS, Packets
from jitsilab.pcap.sources import Source, Spool
from jitsilab.pcap.unread import Ledger
from jitsilab.terminal import printable

Array = npt.NDArray[Any]


class _Builder:
    """Chunks go in, columns come out."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.book = AddressBook()
        self.reassembler = Reassembler()
        self.reassembled: dict[int, tuple[bytes, int]] = {}
        self.ledger = Ledger()
        self._devices: dict[tuple[int, int], int] = {}

    def links(self, chunk: Chunk) -> Array:
        """Link type of each frame of a chunk."""
        return np.array([interface.link for interface in self.container.interfaces], np.int64)[chunk.interface]

    def columns(self, chunk: Chunk, decoded: Decoded, first: int) -> tuple[dict[str, Array], Array]:
        """Columns of a chunk whose first frame has the number ``first``, and the offsets of its frames."""
        has_ip = decoded.ip_version > 0
        columns: dict[str, Array] = {
            "time": chunk.time,
            "length": chunk.length.astype(np.uint32),
            "captured_length": chunk.captured.astype(np.uint32),
            "ethertype": decoded.ethertype,
            "ip_version": decoded.ip_version,
            "ip_protocol": decoded.ip_protocol,
            "src": self.book.codes(decoded.src, has_ip),
            "dst": self.book.codes(decoded.dst, has_ip),
            "src_port": decoded.src_port,
            "dst_port": decoded.dst_port,
            "payload_length": decoded.payload_length,
            "transport_start": decoded.transport,
            "payload_start": decoded.payload,
            "interface": self._places(chunk, decoded),
            "timed": chunk.timed,
        }
        if len(decoded.fragments):
            self._reassemble(chunk, decoded, columns, first)
        self.ledger.add(decoded.unread, first)
        return columns, chunk.base + chunk.start

    def _places(self, chunk: Chunk, decoded: Decoded) -> Array:
        """Interfaces; each device that a cooked capture names becomes one of its own."""
        cooked = np.flatnonzero(decoded.device >= 0)
        if not len(cooked):
            return chunk.interface.astype(np.uint16)
        place = chunk.interface.copy()
        key = place[cooked] << 32 | decoded.device[cooked]
        for pair in np.unique(key).tolist():
            number, device = pair >> 32, pair & 0xFFFFFFFF
            if (number, device) not in self._devices:
                self._devices[number, device] = len(self.container.interfaces)
                interface = self.container.interfaces[number]
                self.container.interfaces.append(
                    Interface(
                        interface.link, interface.name, interface.snap_length, interface.ticks, interface.offset, device
                    )
                )
            place[cooked[key == pair]] = self._devices[number, device]
        return place.astype(np.uint16)

    def _reassemble(self, chunk: Chunk, decoded: Decoded, columns: dict[str, Array], first: int) -> None:
        for row, (identity, offset, more, begin, end), whole in zip(
            decoded.fragments.tolist(), decoded.fragment.tolist(), decoded.whole.tolist(), strict=True
        ):
            if not whole:
                continue
            protocol = int(columns["ip_protocol"][row])
            ends = int(columns["src"][row]), int(columns["dst"][row])
            key = (*ends, identity, protocol, int(columns["ethertype"][row]))
            start = int(chunk.start[row])
            piece = chunk.data[start + begin : start + end].tobytes()
            segment = self.reassembler.add(key, offset, bool(more), piece)
            if segment is None:
                continue
            columns["transport_start"][row] = begin
            self.reassembled[first + row] = segment, 0
            if len(segment) < 8 or protocol not in (TCP, UDP):
                continue
            size = 8 if protocol == UDP else (segment[12] >> 4) * 4 if len(segment) >= 20 else 0
            good = 8 <= size <= len(segment) and (protocol == UDP or size >= 20)
            stop = len(segment)
            if protocol == UDP:
                says = int.from_bytes(segment[4:6])
                stop = min(stop, says) if says >= 8 else stop
            columns["src_port"][row] = int.from_bytes(segment[:2])
            columns["dst_port"][row] = int.from_bytes(segment[2:4])
            columns["payload_start"][row] = begin + size if good else 0
            columns["payload_length"][row] = stop - size if good else 0
            self.reassembled[first + row] = (segment, size if good else 0)


def read(source: "str | Path | BinaryIO", *, progress: bool = False) -> Packets:
    """All frames of a capture: pcap or pcapng, plain or in gzip, zstd or xz, from a path or a binary file object.

    What is cut short or damaged gives the frames before that and a row in ``errors``. With ``progress`` a bar on
    standard error follows the bytes of the file.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    opened = Source(source)
    container = Container(opened)
    builder = _Builder(container)
    columns = Growing()
    bar = _bar(opened) if progress else None
    first = 1
    given = ((chunk, builder.links(chunk)) for chunk in map(_copied, container.chunks()))
    for chunk, decoded in side_by_side(_decoded, given):
        part, offset = builder.columns(chunk, decoded, first)
        columns.add(part | {"offset": offset.astype(np.uint32) if chunk.base < 0xF0000000 else offset})
        first += len(offset)
        if bar is not None:
            bar.update(opened.packed_read - bar.n)
    if bar is not None:
        bar.close()
    whole = {name: columns.take(name, dtype) for name, dtype in COLUMNS.items()}
    length, captured = whole["length"], whole["captured_length"]
    if all(np.array_equal(captured[window], length[window]) for window in slices(len(length))):
        whole["captured_length"] = length
    for name in ("transport_start", "payload_start"):
        whole[name] = _bytes(whole[name])
    for name, dtype in (("interface", np.uint16), ("timed", np.bool_)):
        whole[name] = _narrow(columns.take(name, dtype))
    offset = columns.take("offset", np.uint32)
    container.problems += builder.ledger.problems()
    return Packets(
        whole, offset, opened.store, builder.book, container, builder.reassembled, unread=builder.ledger.counts
    )


def _copied(chunk: Chunk) -> Chunk:
    """A chunk that stays valid when the next one is asked for."""
    end = int((chunk.start + chunk.captured).max(initial=0)) + PAD
    return chunk._replace(data=chunk.data[:end].copy())


def _decoded(given: tuple[Chunk, Array]) -> tuple[Chunk, Decoded]:
    chunk, link = given
    return chunk, decode(chunk.data, chunk.start, chunk.captured, link)


def is_capture(source: "str | Path | BinaryIO") -> bool:
    """Whether a source begins as a pcap or pcapng does, packed or not; a file object is read to do so."""
    try:
        Container(Source(source, keep=False))
    except CaptureError:
        return False
    return True


def scan(source: "str | Path | BinaryIO", *, chunk: int = 50_000) -> Iterator[Packets]:
    """The frames of a capture in chunks of about ``chunk`` frames, at most; memory does not grow with its length.

    Each chunk is a `Packets` of its own (its ``first`` is the number of its first frame) and stays valid. Secrets,
    comments, interfaces and errors are shared lists that fill on the way. Fragments are put together across chunks.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    opened = Source(source, keep=False)
    container = Container(opened)
    builder = _Builder(container)
    first = 1
    for whole in container.chunks():
        for low in range(0, len(whole.start), chunk):
            high = min(low + chunk, len(whole.start))
            begin = int(whole.start[low])
            end = int(whole.start[high - 1] + whole.captured[high - 1])
            sliced = [column[low:high] for column in whole[2:]]
            part = Chunk(whole.data, whole.base, *sliced)  # type: ignore[arg-type]
            builder.reassembled = {}
            columns, _ = builder.columns(*_decoded((part, builder.links(part))), first)
            for name in ("interface", "timed"):
                columns[name] = _narrow(columns[name])
            store = Spool(whole.data[begin:end].tobytes())
            offset = (part.start - begin).astype(np.uint32)
            yield Packets(
                columns, offset, store, builder.book, container, builder.reassembled, first, builder.ledger.counts
            )
            first += high - low
    container.problems += builder.ledger.problems()


def _narrow(column: Array) -> Array:
    """No memory where all frames have one value, a byte a frame where 256 values are enough."""
    if not len(column) or all((column[window] == column[0]).all() for window in slices(len(column))):
        return np.broadcast_to(column[0] if len(column) else np.zeros(1, column.dtype)[0], len(column))
    return _bytes(column) if column.dtype != bool else column


def _bytes(column: Array) -> Array:
    """A byte a frame where no value is longer."""
    if any(int(column[window].max()) > 255 for window in slices(len(column))):
        return column
    return made(len(column), np.uint8, lambda window: column[window])


def _bar(source: Source) -> Any:
    from tqdm import tqdm

    return tqdm(total=source.packed_size or None, unit="B", unit_scale=True, desc=printable(Path(source.name).name))
