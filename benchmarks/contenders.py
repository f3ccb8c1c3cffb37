"""The same work by each contender, one process each: ``python -m benchmarks.contenders NAME CAPTURE``.

The work is the study's nine columns (relative time, IPv4 addresses, protocol, TCP and UDP ports, length) as a pandas
DataFrame; nfstream, which has no packets to show, makes its table of flows. ``stun`` and ``rtp`` are what
`jitsilab table stun` and `jitsilab table media` are measured against: STUN messages over UDP with their attributes, and
packets, losses and jitter (RFC 3550 appendices A.3 and A.8) of each RTP stream.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

COOKIE = b"\x21\x12\xa4\x42"

NAMES = ["time", "src", "dst", "proto", "tcp_src", "tcp_dst", "udp_src", "udp_dst", "length"]


def jitsilab(path: str) -> int:
    from jitsilab.pcap import like_tshark

    return len(like_tshark.frame(path))


def phases(path: str) -> str:
    """Where the time of `jitsilab` goes, in seconds: one step after the other, each once."""
    import json
    import time

    told, last = {}, time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        told[name], last = now - last, now

    import numpy  # noqa: F401
    import pandas  # noqa: F401

    step("numpy and pandas are imported")
    from jitsilab.pcap import like_tshark, reading

    step("jitsilab is imported")
    with Path(path).open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass
    step("the bytes are read")
    for _ in reading.scan(path):
        pass
    step("they are read again, and headers decoded")
    like_tshark.frame(path)
    told["the nine columns of those are made"] = time.perf_counter() - last - told[list(told)[-1]]
    return json.dumps(told)


def tables(path: str) -> int:
    import jitsilab

    return len(jitsilab.load(path).frames)


def share(path: str) -> int:
    """Everything under other names, written, and searched for what it was."""
    import tempfile

    import jitsilab
    from jitsilab import pcap, sharing

    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "shared"
        sharing.share(jitsilab.load(path).evidence, [], made, sharing.Options())
        return len(pcap.read(made / Path(path).name))


def nfstream(path: str) -> int:
    import nfstream

    flows = nfstream.NFStreamer(source=path, n_dissections=0, statistical_analysis=False).to_pandas()
    return int(flows["bidirectional_packets"].sum())


def dpkt(path: str) -> int:
    import socket

    import dpkt
    import pandas

    rows, zero = [], None
    with Path(path).open("rb") as file:
        for time, frame in dpkt.pcap.Reader(file):
            zero = time if zero is None else zero
            row = [time - zero, None, None, None, None, None, None, None, len(frame)]
            packet = dpkt.ethernet.Ethernet(frame).data
            if isinstance(packet, dpkt.ip.IP):
                row[1:4] = socket.inet_ntoa(packet.src), socket.inet_ntoa(packet.dst), packet.p
                if isinstance(packet.data, dpkt.tcp.TCP):
                    row[4:6] = packet.data.sport, packet.data.dport
                elif isinstance(packet.data, dpkt.udp.UDP):
                    row[6:8] = packet.data.sport, packet.data.dport
            rows.append(row)
    return len(pandas.DataFrame(rows, columns=NAMES))


def scapy(path: str) -> int:
    import pandas
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.utils import PcapReader

    rows, zero = [], None
    with PcapReader(path) as packets:
        for packet in packets:
            zero = packet.time if zero is None else zero
            row = [float(packet.time - zero), None, None, None, None, None, None, None, packet.wirelen]
            if IP in packet:
                row[1:4] = packet[IP].src, packet[IP].dst, packet[IP].proto
            if TCP in packet:
                row[4:6] = packet[TCP].sport, packet[TCP].dport
            elif UDP in packet:
                row[6:8] = packet[UDP].sport, packet[UDP].dport
            rows.append(row)
    return len(pandas.DataFrame(rows, columns=NAMES))


def pyshark(path: str) -> int:
    import pandas
    import pyshark

    rows = []
    with pyshark.FileCapture(path, keep_packets=False) as packets:
        for packet in packets:
            row = [float(packet.frame_info.time_relative)] + [None] * 7 + [int(packet.length)]
            if "IP" in packet:
                row[1:4] = packet.ip.src, packet.ip.dst, int(packet.ip.proto)
            if "TCP" in packet:
                row[4:6] = int(packet.tcp.srcport), int(packet.tcp.dstport)
            elif "UDP" in packet:
                row[6:8] = int(packet.udp.srcport), int(packet.udp.dstport)
            rows.append(row)
    return len(pandas.DataFrame(rows, columns=NAMES))


def _datagrams(path: str) -> Iterator[tuple[float, bytes, int, bytes, int, bytes]]:
    """Time, both ends and payload of each UDP datagram over IPv4, by dpkt."""
    import dpkt

    with Path(path).open("rb") as file:
        for time, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            if isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.udp.UDP):
                yield time, packet.src, packet.data.sport, packet.dst, packet.data.dport, bytes(packet.data.data)


def stun_dpkt(path: str) -> int:
    import dpkt

    rows = []
    for time, *ends, data in _datagrams(path):
        if data[4:8] == COOKIE and data[0] < 4:
            message = dpkt.stun.STUN(data)
            rows.append((time, *ends, message.type, message.xid, dpkt.stun.parse_attrs(message.data)))
    return len(rows)


def stun_scapy(path: str) -> int:
    from scapy.contrib.stun import STUN
    from scapy.layers.inet import IP, UDP
    from scapy.utils import PcapReader

    rows = []
    with PcapReader(path) as packets:
        for packet in packets:
            if UDP in packet and (data := bytes(packet[UDP].payload))[4:8] == COOKIE and data[0] < 4:
                message = STUN(data)
                rows.append((packet.time, packet[IP].src, packet[IP].dst, message.stun_message_type,
                             message.transaction_id, message.attributes))  # fmt: skip
    return len(rows)


def rtp_dpkt(path: str) -> int:
    import dpkt

    streams: dict[tuple[object, ...], list[float]] = {}
    for time, *ends, data in _datagrams(path):
        if len(data) < 12 or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F <= 95:
            continue
        packet = dpkt.rtp.RTP(data)
        transit = float(time) * 90_000 - packet.ts
        known = streams.setdefault((*ends, packet.ssrc), [packet.seq, packet.seq, 0, transit, 0.0])
        step = (packet.seq - int(known[1]) & 0xFFFF ^ 0x8000) - 0x8000
        known[1] += max(step, 0)
        known[2] += 1
        known[4] += (abs(transit - known[3]) - known[4]) / 16
        known[3] = transit
    return len([(last - first + 1 - count, jitter) for first, last, count, _, jitter in streams.values()])


def read_csv(path: str) -> int:
    """The output of tshark on standard input; the path is not looked at."""
    import pandas

    return len(pandas.read_csv(sys.stdin))


if __name__ == "__main__":
    print(globals()[sys.argv[1]](sys.argv[2]))
