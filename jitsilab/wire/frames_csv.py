"""The table ``frames`` as CSV without a DataFrame, which takes longer to import than most captures to read."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from jitsilab import pcap
from jitsilab.wire import Wire, labels

STEP = 50_000  # frames turned into text at a time
COLUMNS = (
    "frame", "time", "seconds", "flow", "src", "src_port", "dst", "dst_port", "protocol", "length", "captured_length",
    "ip_version", "ip_protocol", "interface", "duplicate_of",
)  # fmt: skip


def write(source: "str | Path | BinaryIO", out: TextIO) -> None:
    """Write the table of a capture to a text file, as ``call.frames.to_csv`` would.

    Raises CaptureError where the source cannot be opened or is no capture.
    """
    wire = Wire(pcap.read(source))
    out.write(",".join(COLUMNS) + "\n")
    for low in range(0, len(wire.packets), STEP):
        out.write("".join(_lines(wire, slice(low, low + STEP))))


def _lines(wire: Wire, rows: slice) -> Iterator[str]:
    packets = wire.packets
    time = packets.time[rows]
    iso = np.datetime_as_string(time.view("datetime64[ns]"), unit="ns").tolist()
    iso = [f"{when}Z" for when in iso]
    seconds: list[float | str] = ((time - packets.time[0]) / 1e9).tolist()
    for row in np.flatnonzero(~packets.timed[rows]).tolist():
        iso[row] = seconds[row] = ""
    # What repeats from frame to frame is made once: ends, protocol, interface. Flow and direction stand for the ends.
    repeated = list(
        zip(
            wire.flows.of_frame[rows].tolist(), packets.src[rows].tolist(), packets.src_port[rows].tolist(),
            packets.dst[rows].tolist(), packets.dst_port[rows].tolist(), strict=True,
        )
    )  # fmt: skip
    kinds = list(
        zip(
            packets.ip_version[rows].tolist(), packets.ip_protocol[rows].tolist(),
            packets.interface[rows].tolist(), strict=True,
        )
    )  # fmt: skip
    ends = {key: _ends(wire, *key) for key in set(repeated)}
    tails = {key: _tail(*key) for key in set(kinds)}
    duplicates = packets.duplicate_of[rows]
    copies = [f"{number}\n" if number else "\n" for number in duplicates.tolist()]
    names = [labels.NAMES[label] for label in wire.labels[rows].tolist()]
    first = packets.first + (rows.start or 0)
    lengths, captured = packets.length[rows].tolist(), packets.captured_length[rows].tolist()
    return (
        f"{frame},{when},{since},{ends[pair]},{name},{length},{kept},{tails[kind]},{copy}"
        for frame, (when, since, pair, name, length, kept, kind, copy) in enumerate(
            zip(iso, seconds, repeated, names, lengths, captured, kinds, copies, strict=True), first
        )
    )


def _ends(wire: Wire, flow: int, src: int, src_port: int, dst: int, dst_port: int) -> str:
    address = wire.packets.address
    return f"{_number(flow)},{address(src)},{_number(src_port)},{address(dst)},{_number(dst_port)}"


def _tail(version: int, protocol: int, interface: int) -> str:
    return f"{version or ''},{_number(protocol)},{interface}"


def _number(value: int) -> str:
    return str(value) if value >= 0 else ""
