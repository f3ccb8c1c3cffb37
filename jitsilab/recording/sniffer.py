"""A recorder made of scapy's sockets, as a program of its own: ``python -m jitsilab.recording.sniffer``.

One socket for each device; ``any`` opens one for every device that is there when it begins. It writes pcapng and ends
on SIGINT or SIGTERM with the kernel's counts in it.
"""

import argparse
import logging
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from jitsilab.pcap.containers import Interface
from jitsilab.pcap.writing import Writer

_SOL_PACKET, _PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 263, 6, 23  # linux/if_packet.h
_BURST = 256  # frames of one device before another one's turn
_LINKS = {1: 1, 772: 1, 65534: 101, 512: 12}  # linux/if_arp.h: Ethernet, loopback, none (tunnels), PPP


def main() -> int:
    """Record until a signal comes; gives 1 with a line on standard error where that cannot be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--interface", required=True)
    parser.add_argument("-w", dest="path", type=Path, required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--snap-length", type=int, default=0)
    parser.add_argument("--buffer", type=int, default=16)
    arguments = parser.parse_args()
    logging.getLogger("scapy").setLevel(logging.ERROR)
    try:
        return _record(arguments)
    except PermissionError as error:
        return _refused(f"You don't have permission to record on {arguments.interface} ({error.strerror})")
    except OSError as error:
        return _refused(error.strerror or str(error))


def _refused(sentence: str) -> int:
    sys.stderr.write(f"scapy: {sentence}\n")
    return 1


def _record(arguments: argparse.Namespace) -> int:
    from scapy.arch.common import compile_filter
    from scapy.config import conf
    from scapy.error import Scapy_Exception

    devices = [name for _, name in socket.if_nameindex()]
    if arguments.interface not in ("any", *devices):
        return _refused(f"{arguments.interface}: No such device exists")
    try:
        if arguments.filter:
            compile_filter(arguments.filter, linktype=1)
    except Scapy_Exception as error:
        return _refused(f"syntax error in filter expression: {error}")
    except (OSError, ImportError) as error:
        return _refused(f"a filter needs libpcap, which scapy does not find ({error}): take another recorder")
    snap = arguments.snap_length or 262_144
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stopping.append(number))
    opened: list[tuple[Any, Interface]] = []  # before the file is made: who may not record leaves none
    for name in devices if arguments.interface == "any" else [arguments.interface]:
        link = _link(name)
        if link is None:
            continue
        sock = conf.L2listen(iface=name, filter=arguments.filter or None, promisc=False)
        sock.ins.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, arguments.buffer << 20)
        sock.ins.setblocking(False)
        if name == "lo":  # where each frame goes out and comes in
            sock.ins.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        opened.append((sock, Interface(link, name, arguments.snap_length)))
    with Writer(arguments.path, application="jitsilab with scapy") as writer:
        for _, interface in opened:
            writer.interface(interface)
        writer.flush()
        sys.stderr.write(f"listening on {arguments.interface}\n")
        sys.stderr.flush()
        return _loop([sock for sock, _ in opened], writer, snap, stopping)


def _link(name: str) -> int | None:
    """The link type of a device, by the kernel's number for it; None where its frames could not be named."""
    try:
        kind = int(Path(f"/sys/class/net/{name}/type").read_text())
    except (OSError, ValueError):
        kind = 772 if name == "lo" else 1
    return _LINKS.get(kind)


def _loop(sockets: list[Any], writer: Writer, snap: int, stopping: list[int]) -> int:
    packets, dropped, reported, code = 0, [0] * len(sockets), time.monotonic(), 0
    seen = [0] * len(sockets)
    while not stopping:
        ready, _, _ = select.select(sockets, [], [], 0.2)
        for sock in ready:
            number = sockets.index(sock)
            for _ in range(_BURST):
                try:
                    _, data, stamp = sock.recv_raw(262_144)
                except BlockingIOError:
                    break
                except OSError as error:
                    sys.stderr.write(f"scapy: The interface disappeared ({error.strerror})\n")
                    stopping.append(0)
                    code = 1
                    break
                if data:
                    when = int(stamp * 1_000_000) * 1000 if stamp else time.time_ns()
                    writer.frame(number, when, data[:snap], len(data))
                    packets, seen[number] = packets + 1, seen[number] + 1
        if time.monotonic() - reported > 0.5:
            reported = time.monotonic()
            _count(sockets, seen, dropped)
            writer.flush()
            sys.stderr.write(f"packets {packets} dropped {sum(dropped)}\n")
            sys.stderr.flush()
    _count(sockets, seen, dropped)
    for number, lost in enumerate(dropped):
        writer.statistics(number, seen[number] + lost, lost)
    sys.stderr.write(f"packets {packets} dropped {sum(dropped)}\n")
    return code


def _count(sockets: list[Any], seen: list[int], dropped: list[int]) -> None:
    """Add what the kernel dropped since it was last asked: asking sets its counter back."""
    for number, sock in enumerate(sockets):
        try:
            _, lost = struct.unpack("II", sock.ins.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        except OSError:
            continue
        dropped[number] += lost


if __name__ == "__main__":
    sys.exit(main())
