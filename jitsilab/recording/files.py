"""Files of a recording: their ends mended, secrets put in, pcap made pcapng, several made one."""

import contextlib
import heapq
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jitsilab.errors import CaptureError
from jitsilab.pcap.containers import Container, Interface
from jitsilab.pcap.sources import Source
from jitsilab.pcap.writing import Writer

_PCAP = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
_SECTION = b"\x0a\x0d\x0d\x0a"
_STATISTICS, _SECRETS, _KEY_LOG = 5, 10, 0x544C534B
_RECEIVED, _DROPPED, _KERNEL_DROPPED = 4, 5, 7  # options of an interface statistics block


class Statistics(NamedTuple):
    """What an interface statistics block says (pcapng section 4.6); None where it does not."""

    interface: int
    received: int | None
    interface_dropped: int | None
    dropped: int | None


def mend(path: Path) -> int:
    """Cut a record off that a full disk or an end by force left unfinished; gives the number of bytes cut.

    Raises CaptureError where the file has not even a header.
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        end = _whole(file, size)
        if end < size:
            file.truncate(end)
    return size - end


def _whole(file: Any, size: int) -> int:
    """Where the last whole record of a capture ends."""
    head = file.read(24)
    if head[:4] in _PCAP and len(head) == 24:
        order, at = _PCAP[head[:4]], 24
        while at + 16 <= size:
            file.seek(at + 8)
            (captured,) = struct.unpack(order + "I", file.read(4))
            if at + 16 + captured > size:
                break
            at += 16 + captured
        return at
    if head[:4] == _SECTION and len(head) >= 12:
        order, at = _order(head), 0
        while at + 12 <= size:
            file.seek(at + 4)
            (total,) = struct.unpack(order + "I", file.read(4))
            if total < 12 or at + total > size:
                break
            at += total
        if at:
            return at
    raise CaptureError("the recording has not even a header")


def _order(head: bytes) -> str:
    return "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"


def statistics(path: Path) -> list[Statistics]:
    """The interface statistics at the end of a pcapng, in the order of the file; none in a pcap."""
    blocks: list[Statistics] = []
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != _SECTION:
            return []
        order, end = _order(head), path.stat().st_size
        while end >= 12:
            file.seek(end - 4)
            (total,) = struct.unpack(order + "I", file.read(4))
            if total < 24 or total > end or total > 1 << 16:
                break
            file.seek(end - total)
            block = file.read(total)
            if struct.unpack_from(order + "I", block)[0] != _STATISTICS:
                break
            blocks.append(_statistics(block, order))
            end -= total
    return blocks[::-1]


def _statistics(block: bytes, order: str) -> Statistics:
    values: dict[int, int] = {}
    at, end = 20, len(block) - 4
    while at + 4 <= end:
        code, size = struct.unpack_from(order + "HH", block, at)
        if not code or at + 4 + size > end:
            break
        if size == 8:
            (values[code],) = struct.unpack_from(order + "Q", block, at + 4)
        at += 4 + (size + 3 & ~3)
    (interface,) = struct.unpack_from(order + "I", block, 8)
    return Statistics(interface, values.get(_RECEIVED), values.get(_DROPPED), values.get(_KERNEL_DROPPED))


def embed(path: Path, keylog: bytes) -> None:
    """Put TLS secrets into a pcapng, before its first interface, where one pass over the file has them in time.

    Raises CaptureError where the file is no pcapng.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != _SECTION:
            raise CaptureError(f"{path.name} is no pcapng, and only a pcapng holds secrets.")
        order = _order(head)
        (size,) = struct.unpack(order + "I", head[4:8])
        file.seek(0)
        section = file.read(size)
        body = struct.pack(order + "II", _KEY_LOG, len(keylog)) + keylog + bytes(-len(keylog) % 4)
        total = struct.pack(order + "I", len(body) + 12)
        new = path.with_name(path.name + ".part")
        with new.open("wb") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(section + struct.pack(order + "I", _SECRETS) + total + body + total)
            while piece := file.read(1 << 20):
                out.write(piece)
    new.replace(path)


class Input(NamedTuple):
    """A capture to be joined with others, and what its interfaces are called in the whole."""

    path: Path
    prefix: str = ""
    device: str = ""  # where it was recorded, which a pcap does not say


def join(inputs: Sequence[Input], out: Path, drops: Sequence[tuple[int, int]] = ()) -> None:
    """Several captures as one pcapng in the order of time; ``drops`` are each one's received and dropped frames.

    A pcap alone becomes a pcapng so. Interfaces keep their links and get the input's prefix before their names.
    """
    containers = [Container(Source(str(given.path), keep=False)) for given in inputs]
    new = out.with_name(out.name + ".part")
    with Writer(new) as writer:
        new.chmod(0o600)
        numbers: dict[tuple[int, int], int] = {}
        streams = [_frames(number, container) for number, container in enumerate(containers)]
        for when, number, interface, data, length in heapq.merge(*streams, key=lambda frame: frame[0]):
            if (number, interface) not in numbers:
                numbers[number, interface] = len(numbers)
                writer.interface(_named(containers[number].interfaces[interface], inputs[number]))
            writer.frame(numbers[number, interface], when, data, length)
        for number, container in enumerate(containers):
            for interface, description in enumerate(container.interfaces):
                if (number, interface) not in numbers:
                    numbers[number, interface] = len(numbers)
                    writer.interface(_named(description, inputs[number]))
        for number, (received, dropped) in enumerate(drops):
            if (number, 0) in numbers:
                writer.statistics(numbers[number, 0], received, dropped)
    new.replace(out)


def _named(interface: Interface, given: Input) -> Interface:
    name = interface.name or given.device
    name = f"{given.prefix}:{name}" if given.prefix else name
    return Interface(interface.link, name, interface.snap_length)


def _frames(number: int, container: Container) -> Iterator[tuple[int, int, int, bytes, int]]:
    """Frames of a capture: time, number of the capture, interface, bytes, length on the wire."""
    for chunk in container.chunks():
        columns = (chunk.start, chunk.captured, chunk.length, chunk.time, chunk.interface)
        whole = chunk.data.tobytes()
        for start, captured, length, when, interface in zip(*(column.tolist() for column in columns), strict=True):
            yield when, number, interface, whole[start : start + captured], length


def hand_over(paths: Iterable[Path]) -> None:
    """Nobody but the owner may read a recording; the owner is who asked for it, also behind sudo."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    for path in paths:
        with contextlib.suppress(OSError):
            path.chmod(0o600)
            if os.geteuid() == 0 and path.stat().st_uid != 0:
                os.chown(path, 0, 0)  # tcpdump gives its file to a user of its own
            if os.geteuid() == 0 and user.isdigit() and group.isdigit():
                os.chown(path, int(user), int(group))
