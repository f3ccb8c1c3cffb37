"""Frames of media rewritten many at a time: they are most of a capture, and lose all but their headers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jitsilab.pcap.containers import Chunk, gather
from jitsilab.pcap.links import IPV4, UDP

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.sharing.frames import Frames

_LINKS = {1: 14, 113: 16, 276: 20}  # bytes of their headers where IP follows at once
_SERVED = (53, 67, 68, 137, 5353, 5355)  # ports whose datagrams are no media, whatever they begin with
_WIDEST = 256  # bytes of headers of one frame
_PLAIN = 0x45  # IPv4 without options

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


def rewrite(chunk: Chunk, first: int, links: list[int], packets: "Packets", frames: "Frames") -> dict[int, bytes]:
    """RTP over UDP over IPv4 of a chunk, by place in it: as `Frames` rewrites each; what is any other is left to that.

    ``first`` is the row of the chunk's first frame.
    """
    rows = np.arange(first, first + len(chunk.start))
    link = np.array(links)[chunk.interface]
    wanted = (
        (packets.ethertype[rows] == IPV4) & (packets.ip_protocol[rows] == UDP) & (packets.payload_length[rows] > 12)
    )
    for port in (packets.src_port[rows], packets.dst_port[rows]):
        wanted &= (port >= 0) & ~np.isin(port, _SERVED)
    rewritten: dict[int, bytes] = {}
    for kind, size in _LINKS.items():
        picked = np.flatnonzero(wanted & (link == kind) & (packets.transport_start[rows] == size + 20))
        if len(picked):
            _alike(chunk, picked, kind, size, frames, rewritten)
    return rewritten


def _alike(chunk: Chunk, picked: Rows, link: int, size: int, frames: "Frames", rewritten: dict[int, bytes]) -> None:
    """Those of one kind of link."""
    width = size + 40
    heads = _gathered(chunk, picked, width + 8)
    captured = chunk.captured[picked]
    payload = captured - (size + 28)
    total, stated = _word(heads, size + 2), _word(heads, size + 24)
    begins, kinds = heads[:, size + 28], heads[:, size + 29]
    media = (
        (heads[:, size] == _PLAIN) & (_word(heads, size + 6) & 0x3FFF == 0) & (size + total >= captured)
        & (stated >= 8) & (size + 20 + stated >= captured) & (begins >> 6 == 2) & ~((kinds >= 192) & (kinds <= 223))
    )  # fmt: skip
    head = 12 + 4 * (begins & 15).astype(np.int64)
    extended = np.flatnonzero((begins & 0x10 > 0) & (payload >= head + 4) & media)
    places = chunk.start[picked[extended]] + size + 28 + head[extended] + 2
    head[extended] += 4 + 4 * (chunk.data[places].astype(np.int64) << 8 | chunk.data[places + 1])
    kept = np.flatnonzero(media & (head < payload) & (head <= _WIDEST))
    if not len(kept):
        return
    picked, ends = picked[kept], size + 28 + head[kept]
    out = _gathered(chunk, picked, int(ends.max()))
    _replaced(out, 0, size, lambda old: frames.link_header(old, link))
    _replaced(out, size + 12, 8, frames.pair)
    out[:, size + 10 : size + 12] = 0
    sums = np.ascontiguousarray(out[:, size : size + 20]).view(">u2").astype(np.uint32).sum(1)
    sums = (sums & 0xFFFF) + (sums >> 16)
    sums = ~((sums & 0xFFFF) + (sums >> 16)) & 0xFFFF
    out[:, size + 10], out[:, size + 11] = sums >> 8, sums & 0xFF
    out[:, size + 26 : size + 28] = 0  # no checksum: there is nothing any more of which it would be
    data, stride = out.tobytes(), out.shape[1]
    for number, (place, end) in enumerate(zip(picked.tolist(), ends.tolist(), strict=True)):
        rewritten[place] = data[number * stride : number * stride + end]


def _gathered(chunk: Chunk, picked: Rows, width: int) -> Bytes:
    """The first bytes of frames; past a frame's end whatever follows it."""
    data = np.append(chunk.data, np.zeros(width, np.uint8))
    return gather(data, chunk.start[picked], np.dtype((np.uint8, width))).reshape(-1, width)


def _word(heads: Bytes, at: int) -> Rows:
    return heads[:, at].astype(np.int64) << 8 | heads[:, at + 1]


def _replaced(out: Bytes, begin: int, size: int, change: Callable[[bytes], bytes]) -> None:
    """Replace some columns, each different content once."""
    values = np.ascontiguousarray(out[:, begin : begin + size]).view(np.dtype((np.void, size))).reshape(-1)
    different, which = np.unique(values, return_inverse=True)
    new = b"".join(change(value.tobytes()) for value in different)
    out[:, begin : begin + size] = np.frombuffer(new, np.uint8).reshape(-1, size)[which.reshape(-1)]
