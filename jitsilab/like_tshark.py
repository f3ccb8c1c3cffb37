"""The nine-column export of the study, byte for byte as tshark prints it.

That is ``tshark -r FILE -T fields -e frame.time_relative -e ip.src -e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport
-e udp.srcport -e udp.dstport -e frame.len -E header=y -E separator=, -E quote=n -E occurrence=f``. The first occurrence
of a field may lie deep in a frame: where an outer packet has no ports, those of the packet in a tunnel, or of the one
that an ICMP error quotes, are printed; GTP, L2TP and TZSP stay closed here. Such frames are rare and are taken apart
one by one; all others come from the columns.
"""

import contextlib
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import numpy.typing as npt

from jitsilab.pcap import Packets, scan
from jitsilab.pcap.containers import EmptyCapture
from jitsilab.pcap.first_fields import TUNNELS, first_fields
from jitsilab.pcap.fragments import Reassembler
from jitsilab.pcap.links import TCP, UDP

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
    for row in np.flatnonzero(_odd(packets)).tolist():
        number = row + packets.first
        link = packets.interfaces[int(packets.interface[row])].link
        middles[row] = first_fields(packets.frame(number), link, fragments)
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
        links = np.array([one.link for one in packets.interfaces])[packets.interface[six]]
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
