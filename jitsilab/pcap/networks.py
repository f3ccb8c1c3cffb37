"""From the first byte of a frame to its transport payload, for many frames at once.

Each step takes the frames of one kind, gathers their headers and moves on to the next layer; a header that the capture
has cut ends the way for that frame only. `links` has the layers below IPv4 (RFC 791) and IPv6 with its extension
headers (RFC 8200). Tunnels stay closed; `unread` names them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jitsilab.pcap import unread
from jitsilab.pcap.containers import gather
from jitsilab.pcap.links import IPV4, IPV6, TCP, UDP, UNREAD, V4, network, tags

Array = npt.NDArray[Any]

_DEEPEST = 32  # IPv6 extension headers in one frame
_EXTENSIONS = (0, 43, 60, 51, 135, 139, 140)  # hop-by-hop, routing, destination, AH, mobility, HIP, shim6
_FRAGMENT = 44
_FAR = 1 << 16  # a payload that begins so deep in its frame is not looked for

_BE2 = np.dtype(">u2")
_IP4 = np.dtype([("v", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"), ("ttl", "u1"),
                 ("protocol", "u1"), ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4")])  # fmt: skip
_IP6 = np.dtype([("v", ">u4"), ("length", ">u2"), ("next", "u1"), ("hops", "u1"),
                 ("src", ">u8", 2), ("dst", ">u8", 2)])  # fmt: skip
_PORTS = np.dtype([("src", ">u2"), ("dst", ">u2")])


@dataclass(slots=True)
class Decoded:
    """Columns of the frames of a chunk; -1 or 0 where there is nothing of the kind."""

    ethertype: Array  # what the link says it carries
    ip_version: Array
    ip_protocol: Array  # -1 none; for IPv6 the one after the extension headers
    src: Array  # (n, 2) uint64: an address; IPv4 has the high word V4
    dst: Array
    src_port: Array  # -1 none
    dst_port: Array
    transport: Array  # bytes from the frame's start to what IP, or else the link, carries; 0 none, or a fragment
    payload: Array  # bytes from the frame's start to the UDP or TCP payload, 0 none
    payload_length: Array  # bytes of it that were captured
    device: Array  # interface index of SLL2, -1 none
    fragments: Array  # rows of frames with a piece of a datagram
    fragment: Array  # (len(fragments), 5): identification, offset, more follow, start and end of the piece in the frame
    whole: Array  # of those rows: the piece is there to its last byte
    unread: dict[str, Array]  # rows by what in them is not read


def decode(data: Array, start: Array, captured: Array, link: Array) -> Decoded:
    """Columns of the frames that begin at ``start`` in ``data`` (which has PAD bytes more than the last frame)."""
    count, end = len(start), start + captured
    kind, at, device = network(data, start, end, link)
    tags(data, kind, at, end)
    ethertype = np.where(kind < UNREAD, kind, 0)
    out = Decoded(
        ethertype.astype(np.uint16),
        np.zeros(count, np.uint8),
        np.full(count, -1, np.int16),
        np.zeros((count, 2), np.uint64),
        np.zeros((count, 2), np.uint64),
        np.full(count, -1, np.int32),
        np.full(count, -1, np.int32),
        np.zeros(count, np.uint16),
        np.zeros(count, np.uint16),
        np.zeros(count, np.uint32),
        device,
        np.zeros(0, np.int64),
        np.zeros((0, 5), np.int64),
        np.zeros(0, bool),
        {},
    )
    other = np.flatnonzero((ethertype != IPV4) & (ethertype != IPV6) & (ethertype > 0) & (at < end))
    out.transport[other] = at[other] - start[other]
    four = np.flatnonzero((ethertype == IPV4) & (at + 20 <= end))
    six = np.flatnonzero((ethertype == IPV6) & (at + 40 <= end))
    parts = []
    if len(four):
        parts.append(_ipv4(data, four, start, at, end, out))
    if len(six):
        parts.append(_ipv6(data, six, start, at, end, out))
    if parts:
        rows = np.concatenate([part[0] for part in parts])
        order = np.argsort(rows, kind="stable")
        out.fragments = rows[order]
        out.fragment = np.concatenate([part[1] for part in parts])[order]
        out.whole = np.concatenate([part[2] for part in parts])[order]
    out.unread = unread.named(data, start, link, kind, out)
    return out


_Pieces = tuple[Array, Array, Array]


def _ipv4(data: Array, rows: Array, start: Array, at: Array, end: Array, out: Decoded) -> _Pieces:
    head = gather(data, at[rows], _IP4)
    size = (head["v"] & 15).astype(np.int64) * 4
    length = head["length"].astype(np.int64)
    # A length of 0 is what segmentation offload leaves; one below the header's is no packet.
    good = (head["v"] >> 4 == 4) & (size >= 20) & ((length >= size) | (length == 0))
    if not good.all():
        rows, head, size, length = rows[good], head[good], size[good], length[good]
    here, stop = at[rows], end[rows]
    out.ip_version[rows] = 4
    out.ip_protocol[rows] = head["protocol"]
    out.src[rows, 0] = out.dst[rows, 0] = V4
    out.src[rows, 1], out.dst[rows, 1] = head["src"], head["dst"]
    says = np.where(length > 0, here + length, stop)
    fragment = head["fragment"].astype(np.int64)
    piece = np.flatnonzero(fragment & 0x3FFF)
    columns = np.empty((len(piece), 5), np.int64)
    columns[:, 0], columns[:, 1] = head["id"][piece], (fragment[piece] & 0x1FFF) * 8
    columns[:, 2] = fragment[piece] >> 13 & 1
    return _deliver(data, rows, start, here + size, np.minimum(stop, says), says, piece, columns, out)


def _ipv6(data: Array, rows: Array, start: Array, at: Array, end: Array, out: Decoded) -> _Pieces:
    head = gather(data, at[rows], _IP6)
    good = head["v"] >> 28 == 6
    if not good.all():
        rows, head = rows[good], head[good]
    here, stop = at[rows] + 40, end[rows]
    out.ip_version[rows] = 6
    out.src[rows], out.dst[rows] = head["src"], head["dst"]
    length = head["length"].astype(np.int64)
    says = np.where(length > 0, here + length, stop)  # 0: a jumbogram (RFC 2675) or offload
    stop = np.minimum(stop, says)
    following, cut = head["next"].astype(np.int64), np.zeros(len(rows), bool)
    columns, is_piece = np.zeros((len(rows), 5), np.int64), np.zeros(len(rows), bool)
    for _ in range(_DEEPEST):
        more = np.flatnonzero(np.isin(following, (*_EXTENSIONS, _FRAGMENT)) & ~is_piece & ~cut)
        if not len(more):
            break
        short = here[more] + 8 > stop[more]
        cut[more[short]] = True
        more = more[~short]
        if not len(more):
            continue
        kind = following[more]
        ext = gather(data, here[more], np.dtype([("next", "u1"), ("size", "u1"), ("offset", ">u2"), ("id", ">u4")]))
        size = ext["size"].astype(np.int64)
        split = (kind == _FRAGMENT) & (ext["offset"] & 0xFFF9 != 0)
        columns[more[split], 0], columns[more[split], 1] = ext["id"][split], ext["offset"][split] & 0xFFF8
        columns[more[split], 2] = ext["offset"][split] & 1
        is_piece[more[split]] = True
        here[more] += np.where(kind == _FRAGMENT, 8, np.where(kind == 51, (size + 2) * 4, (size + 1) * 8))
        following[more] = ext["next"]
    out.ip_protocol[rows] = following
    if cut.any():  # nothing of the transport is there
        here = np.where(cut, stop, here)
    piece = np.flatnonzero(is_piece)
    return _deliver(data, rows, start, here, stop, says, piece, columns[piece], out)


def _deliver(
    data: Array,
    rows: Array,
    start: Array,
    here: Array,
    stop: Array,
    says: Array,
    piece: Array,
    columns: Array,
    out: Decoded,
) -> _Pieces:
    """Ports and payload of the datagrams that are whole; the pieces of the others.

    ``here`` to ``stop`` is what was captured of the transport, ``says`` where the network header ends it.
    """
    if len(piece):
        columns[:, 3] = here[piece] - start[rows[piece]]
        columns[:, 4] = np.maximum(stop[piece], here[piece]) - start[rows[piece]]
        whole = says[piece] <= stop[piece]
        keep = np.ones(len(rows), bool)
        # The first piece of an IPv4 datagram that was cut can never be put together, but its ports can be read.
        keep[piece[whole | (columns[:, 1] > 0) | (out.ip_version[rows[piece]] == 6)]] = False
        pieces = rows[piece], columns, whole
        rows, here, stop = rows[keep], here[keep], stop[keep]
    else:
        pieces = rows[piece], columns, np.zeros(0, bool)
    inner = here - start[rows]
    out.transport[rows] = np.where((here < stop) & (inner < _FAR), inner, 0)
    protocol = out.ip_protocol[rows]
    ported = np.flatnonzero(((protocol == UDP) | (protocol == TCP)) & (here + 4 <= stop))
    if not len(ported):
        return pieces
    if len(ported) < len(rows):
        rows, here, stop, protocol = rows[ported], here[ported], stop[ported], protocol[ported]
    ports = gather(data, here, _PORTS)
    out.src_port[rows], out.dst_port[rows] = ports["src"], ports["dst"]
    inner = here - start[rows]
    is_udp = protocol == UDP
    size = np.where(is_udp, 8, 20)
    full = here + size <= stop
    datagram = np.flatnonzero(is_udp & full)
    length = gather(data, here[datagram] + 4, _BE2).astype(np.int64)
    stop = stop.copy()
    stop[datagram] = np.where(length >= 8, np.minimum(stop[datagram], here[datagram] + length), stop[datagram])
    segment = np.flatnonzero(~is_udp & full)
    size[segment] = (data[here[segment] + 12] >> 4).astype(np.int64) * 4
    full &= (inner + size < _FAR) & (size >= 8) & (is_udp | (size >= 20)) & (here + size <= stop)
    out.payload[rows] = np.where(full, inner + size, 0)
    out.payload_length[rows] = np.where(full, stop - here - size, 0)
    return pieces
