"""Captures of any length from the frames of a real call: times shifted, clients' ports varied.

``python -m benchmarks.captures PATH FRAMES SNAP`` repeats a short call whose media are in full size;
``python -m benchmarks.captures PATH FRAMES --calls N`` makes N calls whose media go on for as long as that takes.
"""

import argparse
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jitsilab import pcap
from jitsilab.inputs import registry
from jitsilab.pcap import Packets
from jitsilab.wire import Wire
from jitsilab.wire.labels import Label

RECORDING = "jvb-3"
LONG = "jvb-2"  # all its media are plain UDP: what TLS carries could not go on
MEDIA = 60  # bytes of payload that are kept of each media packet of a long call
NANOSECONDS = 0xA1B23C4D
SECOND = 1_000_000_000


class Frame(NamedTuple):
    """A frame of a call that is written again and again."""

    since: int  # ns after the first
    data: bytes
    length: int  # on the wire
    ports: tuple[int, ...]  # where in the data a client's port stands


def build(path: Path, count: int, snap: int = 262_144) -> None:
    """Write a pcap of ``count`` frames, each cut to ``snap`` bytes: a call of seconds again and again.

    Media that the recording cut is filled up with noise, as SRTP looks.
    """
    packets, noise = _recording(RECORDING), np.random.default_rng(1)
    frames = []
    for row in range(len(packets)):
        data = packets.frame(row + packets.first)
        frames.append(_frame(packets, row, (data + noise.bytes(int(packets.length[row]) - len(data)))[:snap]))
    _write(path, frames, count, snap)


def build_calls(path: Path, count: int, calls: int) -> None:
    """Write a pcap of ``count`` frames of ``calls`` calls; media are cut to `MEDIA` bytes, all else is whole.

    Between the first and the last quarter of a call's media, those are repeated with the time, the sequence numbers and
    the timestamps going on.
    """
    packets = _recording(LONG)
    wire = Wire(packets)
    media = np.flatnonzero(wire.labels == Label.RTP)
    heads = packets.heads(media, 12)
    of_stream = heads[:, 8:].copy().view(">u4")[:, 0] * 2 + wire.flows.up[media]
    numbers, stamps = heads[:, 2:4].copy().view(">u2")[:, 0], heads[:, 4:8].copy().view(">u4")[:, 0]
    low, high = int(media[len(media) // 4]), int(media[-(len(media) // 4)])
    width = int(packets.time[high] - packets.time[low])
    rounds = -(-max(-(-count // calls) - len(packets), 0) // int(((media >= low) & (media < high)).sum()))
    steps = {}  # of a stream: packets and ticks in a round
    for one in np.unique(of_stream).tolist():
        inside = (of_stream == one) & (media >= low) & (media < high)
        steps[one] = int(inside.sum()), int(np.diff(stamps[inside].astype(np.int64)).sum()) if inside.sum() > 1 else 0
    columns = (media.tolist(), of_stream.tolist(), numbers.tolist(), stamps.tolist())
    stream = {row: rest for row, *rest in zip(*columns, strict=True)}

    def frame(row: int, turn: int) -> Frame:
        data = bytearray(packets.frame(row + packets.first))
        if row in stream:
            which, number, stamp = stream[row]
            more, ticks = steps[which]
            at = int(packets.payload_start[row])
            struct.pack_into(">HI", data, at + 2, number + turn * more & 0xFFFF, stamp + turn * ticks & 0xFFFFFFFF)
            del data[at + MEDIA :]
        one = _frame(packets, row, bytes(data))
        return one._replace(since=one.since + turn * width)

    frames = [frame(row, 0) for row in range(high)]
    again = [row for row in range(low, high) if row in stream]
    frames += [frame(row, turn) for turn in range(1, rounds + 1) for row in again]
    frames += [frame(row, rounds) for row in range(high, len(packets))]
    _write(path, frames, count, 262_144)


def _recording(name: str) -> Packets:
    return pcap.read(registry.capture_path(registry.find(name), None))


def _frame(packets: Packets, row: int, data: bytes) -> Frame:
    start = int(packets.transport_start[row])
    places = ((packets.src_port[row], start), (packets.dst_port[row], start + 2))
    ports = tuple(place for port, place in places if port >= 32768)
    return Frame(int(packets.time[row] - packets.time[0]), data, int(packets.length[row]), ports)


def _write(path: Path, frames: list[Frame], count: int, snap: int) -> None:
    """Write the frames until there are ``count``; each turn is later and has other ports on the clients' side."""
    since, records, ports, at = np.array([one.since for one in frames]), [], [], 0
    for one in frames:
        records.append(at)
        ports += [at + 16 + place for place in one.ports]
        at += 16 + len(one.data)
    turn = np.frombuffer(
        b"".join(struct.pack("<IIII", 0, 0, len(one.data), one.length) + one.data for one in frames), np.uint8
    ).copy()
    places, where = np.array(records), np.array(ports)
    length = int(since[-1]) + SECOND // 50
    varied = turn[where].astype(np.int64) << 8 | turn[where + 1]
    ends = np.append(places[1:], len(turn))
    begun = 1_764_000_000 * SECOND
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", NANOSECONDS, 2, 4, 0, 0, snap, 1))
        for number in range(-(-count // len(places))):
            time = begun + number * length + since
            _put(turn, places, (time // SECOND).astype("<u4"))
            _put(turn, places + 4, (time % SECOND).astype("<u4"))
            _put(turn, where, (32768 + (varied + 7919 * number) % 28000).astype(">u2"))
            left = min(count - number * len(places), len(places))
            file.write(turn[: ends[left - 1]].tobytes())


def _put(turn: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
    turn[places[:, None] + np.arange(values.itemsize)] = values.view(np.uint8).reshape(len(values), -1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.captures", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("frames", type=int)
    parser.add_argument("snap", type=int, nargs="?", default=262_144)
    parser.add_argument("--calls", type=int, default=0)
    given = parser.parse_args()
    if given.calls:
        build_calls(given.path, given.frames, given.calls)
    else:
        build(given.path, given.frames, given.snap)
