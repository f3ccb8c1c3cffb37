"""The nine-column export of the study, byte for byte as tshark prints it.

That is ``tshark -r FILE -T fields -e frame.time_relative -e ip.src -e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport
-e udp.srcport -e udp.dstport -e frame.len -E header=y -E separator=, -E quote=n -E occurrence=f``. The first occurrence
of a field may lie deep in a frame: where an outer packet has no ports, those of the packet in a tunnel, or of the one
that an ICMP error quotes, are printed; GTP, L2TP and TZSP stay closed here. Such frames are rare and are taken apart
one by one; all others come from the columns.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np
import numpy.typing as npt

from jitsilab.pcap import Packets, scan
from jitsilab.pcap.columns import Growing
from jitsilab.pcap.containers import PAD, EmptyCapture
from jitsilab.pcap.first_fields import TUNNELS, first_fields
from jitsilab.pcap.fragments import Reassembler
from jitsilab.pcap.links import LOOP, NULL, TCP, UDP, network

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]

HEADER = "frame.time_relative,ip.src,ip.dst,ip.proto,tcp.srcport,tcp.dstport,udp.srcport,udp.dstport,frame.len\n"

_SECOND = 1_000_000_000


def write(source: "str | Path | BinaryIO", out: TextIO) -> None:
    """Write the export of a capture to a text file.

    An empty file gives the header alone, as tshark has it.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    zero: int | None = None
    fragments = Reassembler()
    header = HEADER  # written once it is clear that there is something to read
    with contextlib.suppress(EmptyCapture):
        for packets in scan(source):
            zero = int(packets.time[0]) if zero is None else zero
            out.write(header + "".join(_lines(packets, zero, fragments)))
            header = ""
    out.write(header)


def frame(source: "str | Path | BinaryIO") -> "pd.DataFrame":
    """The export of a capture as a DataFrame: the nine columns by tshark's names, null where a field is not there.

    Times are float64 seconds, addresses categories, the rest unsigned integers, nullable but for ``frame.len``. Made
    chunk by chunk: about 30 bytes a frame stay.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    import pandas as pd

    zero: int | None = None
    fragments, texts = Reassembler(), _Texts()
    held = Growing()
    with contextlib.suppress(EmptyCapture):
        for packets in scan(source):
            zero = int(packets.time[0]) if zero is None else zero
            held.add(_columns(packets, zero, fragments, texts))
    columns: dict[str, Any] = {"frame.time_relative": held.take("frame.time_relative", np.float64)}
    for name in ("ip.src", "ip.dst"):
        columns[name] = pd.Categorical.from_codes(held.take(name, np.int16), categories=list(texts.codes))
    for name, dtype in _NUMBERS.items():
        columns[name] = pd.arrays.IntegerArray(held.take(name, dtype), held.take(f"{name} is null", np.bool_))
    columns["frame.len"] = held.take("frame.len", np.uint32)
    return pd.DataFrame(columns, copy=False)


_NUMBERS: dict[str, Any] = {
    "ip.proto": np.uint8, "tcp.srcport": np.uint16, "tcp.dstport": np.uint16, "udp.srcport": np.uint16,
    "udp.dstport": np.uint16,
}  # fmt: skip


class _Texts:
    """Codes of the addresses that are shown."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def recoded(self, packets: Packets, column: Array) -> Array:
        """A column of the capture's codes in codes of ours."""
        used = np.unique(column[column >= 0]).tolist()
        table = np.full(max(used, default=-1) + 2, -1, np.int32)  # the last stands for none
        for code in used:
            table[code] = self.codes.setdefault(packets.address(code), len(self.codes))
        return table[column]


def _columns(packets: Packets, zero: int, fragments: Reassembler, texts: _Texts) -> dict[str, Array]:
    """Columns of a chunk, as small as they get: of 10 million frames each byte counts."""
    four, tcp = packets.ip_version == 4, packets.ip_protocol == TCP
    ported = packets.src_port >= 0
    numbers = {"ip.proto": np.where(four, packets.ip_protocol, -1)}
    for name, mask in (("tcp", tcp & ported), ("udp", ~tcp & ported)):
        numbers[f"{name}.srcport"] = np.where(mask, packets.src_port, -1)
        numbers[f"{name}.dstport"] = np.where(mask, packets.dst_port, -1)
    ends = {name: texts.recoded(packets, np.where(four, column, -1)) for name, column in
            (("ip.src", packets.src), ("ip.dst", packets.dst))}  # fmt: skip
    for row, text in _taken_apart(packets, fragments):
        fields = text.split(",")
        for column, field in zip(ends.values(), fields[:2], strict=True):
            column[row] = texts.codes.setdefault(field, len(texts.codes)) if field else -1
        for column, field in zip(numbers.values(), fields[2:], strict=True):
            column[row] = int(field or -1)
    columns: dict[str, Array] = {name: column.astype(_NUMBERS[name]) for name, column in numbers.items()}
    columns |= {f"{name} is null": column < 0 for name, column in numbers.items()}
    code = np.int16 if len(texts.codes) < 1 << 15 else np.int32
    columns |= {name: column.astype(code) for name, column in ends.items()}
    columns["frame.time_relative"] = np.where(packets.timed, (packets.time - zero) / 1e9, np.nan)
    columns["frame.len"] = packets.length
    return columns


def _taken_apart(packets: Packets, fragments: Reassembler) -> Iterator[tuple[int, str]]:
    """Rows that the columns do not tell about, and their fields from addresses to ports as text."""
    rows = np.flatnonzero(_odd(packets))
    if not len(rows):
        return
    frames = [packets.frame(number) for number in (rows + packets.first).tolist()]
    sizes = np.array([len(frame) for frame in frames], np.int64)
    start = np.cumsum(sizes) - sizes
    link = np.array([interface.link for interface in packets.interfaces])[packets.interface[rows]]
    data = np.frombuffer(b"".join(frames) + bytes(PAD), np.uint8)
    kind, at, _ = network(data, start, start + sizes, link)
    six_of_linux = np.isin(link, (NULL, LOOP)) & ((data[start] | data[start + 3]) == 10)
    kind[six_of_linux] = 0  # an address family that tshark does not take
    inside = np.minimum(at - start, sizes).tolist()
    for row, frame, ethertype, begin in zip(rows.tolist(), frames, kind.tolist(), inside, strict=True):
        yield row, first_fields(frame[begin:], ethertype, fragments)


def _lines(packets: Packets, zero: int, fragments: Reassembler) -> list[str]:
    since = packets.time - zero
    whole, part = np.divmod(np.abs(since), _SECOND)
    signs = np.where(since < 0, "-", "").tolist()
    times = [
        f"{sign}{seconds}.{nanoseconds:09d}"
        for sign, seconds, nanoseconds in zip(signs, whole.tolist(), part.tolist(), strict=True)
    ]
    for row in np.flatnonzero(~packets.timed).tolist():
        times[row] = ""
    middles = _middles(packets)
    for row, text in _taken_apart(packets, fragments):
        middles[row] = text
    return [
        f"{time},{middle},{length}\n"
        for time, middle, length in zip(times, middles, packets.length.tolist(), strict=True)
    ]


def _odd(packets: Packets) -> npt.NDArray[np.bool_]:
    """Frames whose fields the columns do not give: cut headers, fragments, tunnels, quoted packets."""
    version, protocol = packets.ip_version, packets.ip_protocol
    plain = (version > 0) & (packets.src_port >= 0) & ((protocol == TCP) | (protocol == UDP))
    tunnel = np.isin(packets.src_port, TUNNELS) | np.isin(packets.dst_port, TUNNELS)
    odd = ~plain | (tunnel & (protocol == UDP)) | (packets.ethertype == 0)
    six = np.flatnonzero(plain & (version == 6))  # a length of 0 there is taken for an error, and the rest for nothing
    if len(six):
        length = packets.frame_heads(six, packets.transport_start[six].astype(np.int64) - 36, 2)
        odd[six] |= ~length.any(axis=1)
        links = np.array([interface.link for interface in packets.interfaces])[packets.interface[six]]
        odd[six] |= (links == 0) | (links == 108)  # of the address families of IPv6, Linux's is not taken
    for number in packets.reassembled:
        odd[number - packets.first] = True
    return np.asarray(odd)


def _middles(packets: Packets) -> list[str]:
    """Addresses, protocol and ports as text; the same for all packets of a flow, so each is made once."""
    four = packets.ip_version == 4
    columns = (np.where(four, packets.src, -1), np.where(four, packets.dst, -1), packets.ip_protocol, packets.src_port,
               packets.dst_port)  # fmt: skip
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    known = {}
    for key in set(keys):
        source, target, protocol, source_port, target_port = key
        ends = f"{packets.address(source)},{packets.address(target)},{protocol if source >= 0 else ''}"
        ports = f"{source_port},{target_port}"
        known[key] = f"{ends},{ports},," if protocol == TCP else f"{ends},,,{ports}"
    return [known[key] for key in keys]
