"""Captures of any length from the frames of a real call: times shifted, clients' ports varied, media in full size."""

import struct
import sys
from pathlib import Path

import numpy as np

from jitsilab import pcap
from jitsilab.inputs import registry
from jitsilab.pcap import Packets

RECORDING = "jvb-3"
NANOSECONDS = 0xA1B23C4D
SECOND = 1_000_000_000


def build(path: Path, count: int, snap: int = 262_144) -> None:
    """Write a pcap of ``count`` frames, each cut to ``snap`` bytes.

    One turn is the whole call; each further turn is later and has other ports on the clients' side, so that the number
    of flows grows with the length. Media that the recording cut is filled up with noise, as SRTP looks.
    """
    entry = registry.find(RECORDING)
    packets = pcap.read(registry.capture_path(entry, None))
    turn, records, ports = _turn(packets, snap)
    begun = int(packets.time[0])
    since = packets.time - begun
    length = int(since[-1]) + SECOND // 50
    varied = _values(turn, ports)
    ends = np.append(records[1:], len(turn))
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", NANOSECONDS, 2, 4, 0, 0, snap, 1))
        for number in range(-(-count // len(records))):
            time = begun + number * length + since
            _write(turn, records, (time // SECOND).astype("<u4"))
            _write(turn, records + 4, (time % SECOND).astype("<u4"))
            _write(turn, ports, (32768 + (varied + 7919 * number) % 28000).astype(">u2"))
            left = min(count - number * len(records), len(records))
            file.write(turn[: ends[left - 1]].tobytes())


def _turn(packets: Packets, snap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The records of the call in one array; where each begins, and where the ports of clients are."""
    noise = np.random.default_rng(1)
    parts, records, ports, at = [], [], [], 0
    for number in range(1, len(packets) + 1):
        row, frame = number - 1, packets.frame(number)
        missing = int(packets.length[row]) - len(frame)
        frame = (frame + noise.bytes(missing))[:snap]
        start = int(packets.transport_start[row])
        for port, place in ((packets.src_port[row], start), (packets.dst_port[row], start + 2)):
            if port >= 32768:
                ports.append(at + 16 + place)
        records.append(at)
        parts.append(struct.pack("<IIII", 0, 0, len(frame), int(packets.length[row])) + frame)
        at += len(parts[-1])
    return np.frombuffer(b"".join(parts), np.uint8).copy(), np.array(records), np.array(ports)


def _values(turn: np.ndarray, ports: np.ndarray) -> np.ndarray:
    return turn[ports].astype(np.int64) << 8 | turn[ports + 1]


def _write(turn: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
    turn[places[:, None] + np.arange(values.itemsize)] = values.view(np.uint8).reshape(len(values), -1)


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
