"""Media payloads cut from a capture: headers, checks, handshakes and signaling stay, and each frame's length."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jitsilab import pcap
from jitsilab.pcap.containers import Interface
from jitsilab.pcap.writing import Writer
from jitsilab.protocols.stun import DATA
from jitsilab.recording import files
from jitsilab.wire import Wire
from jitsilab.wire.labels import Label

STEP = 20_000  # frames at a time


class Cut(NamedTuple):
    """What was cut."""

    frames: int
    bytes: int  # of media payload
    sealed: int  # bytes inside TLS over TCP, where media of a relay may be and cannot be told from signaling


def cut_media(path: Path) -> Cut:
    """Write a capture anew as pcapng without the payload of RTP, wherever a relay carries it over UDP too.

    The RTP header with its extensions stays, and the capture's own secrets and statistics. What a relay carries inside
    TLS stays too: its streams could not be opened without it.
    """
    packets = pcap.read(path)
    labels = Wire(packets).labels
    interfaces = [interface for interface in packets.interfaces if interface.index is None]
    places = [_base(interface, interfaces) for interface in packets.interfaces]
    cut = removed = 0
    new = path.with_name(path.name + ".part")
    with Writer(new) as writer:
        new.chmod(0o600)
        for secret in packets.secrets:
            writer.secrets(secret)
        for interface in interfaces:
            writer.interface(interface)
        media = np.isin(labels, (Label.RTP, Label.CHANNEL, Label.STUN))
        for low in range(0, len(packets), STEP):
            rows = np.arange(low, min(low + STEP, len(packets)))
            data = []
            for row in rows.tolist():
                frame = packets.frame(row + 1)
                keep = _kept(packets, labels, row, frame) if media[row] else len(frame)
                if keep < len(frame):
                    cut, removed = cut + 1, removed + len(frame) - keep
                    frame = frame[:keep]
                data.append(frame)
            writer.frames(
                np.array([places[int(number)] for number in packets.interface[rows]]), packets.time[rows],
                np.array([len(frame) for frame in data]), packets.length[rows], data,
            )  # fmt: skip
        for statistics in files.statistics(path):
            writer.statistics(
                statistics.interface,
                statistics.received or 0,
                (statistics.dropped or 0) + (statistics.interface_dropped or 0),
            )
    sealed = int(packets.payload_length[labels == Label.TLS].sum())
    new.replace(path)
    return Cut(cut, removed, sealed)


def _base(interface: Interface, interfaces: list[Interface]) -> int:
    """The described interface that a device of a cooked capture belongs to."""
    bare = Interface(interface.link, interface.name, interface.snap_length, interface.ticks, interface.offset)
    return interfaces.index(bare)


def _kept(packets: pcap.Packets, labels: "np.ndarray", row: int, frame: bytes) -> int:
    """Bytes of a frame up to the end of the RTP header in it; all where there is none, or where it came in pieces."""
    begin = int(packets.payload_start[row])
    if not begin or row + 1 in packets.reassembled:
        return len(frame)
    payload = frame[begin : begin + int(packets.payload_length[row])]
    if labels[row] == Label.RTP:
        inner = 0
    elif labels[row] == Label.CHANNEL:
        inner = 4
    else:
        inner = _data(payload)
        if not inner:
            return len(frame)
    return begin + inner + header(payload[inner:]) if is_rtp(payload[inner:]) else len(frame)


def is_rtp(data: bytes) -> bool:
    """Whether what a relay carries begins as RTP does and not as RTCP (RFC 5761 section 4, RFC 7983 section 7)."""
    return len(data) >= 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


def header(data: bytes) -> int:
    """Bytes of an RTP header with contributing sources and extension (RFC 3550 section 5.1), at most all there are."""
    size = 12 + 4 * (data[0] & 15)
    if data[0] & 16 and len(data) >= size + 4:
        size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4])
    return min(size, len(data))


def _data(payload: bytes) -> int:
    """Where DATA begins in a Send or Data indication (RFC 8656 section 11), 0 where there is none."""
    if len(payload) < 20 or payload[:2] not in (b"\x00\x16", b"\x00\x17"):
        return 0
    at = 20
    while at + 4 <= len(payload):
        kind, size = int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 4])
        if kind == DATA:
            return at + 4
        at += 4 + (size + 3 & ~3)
    return 0
