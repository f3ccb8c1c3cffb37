"""The same work by each contender, one process each: ``python -m benchmarks.contenders NAME CAPTURE``.

The work is the study's nine columns (relative time, IPv4 addresses, protocol, TCP and UDP ports, length) as a pandas
DataFrame; nfstream, which has no packets to show, makes its table of flows.
"""

import sys
from pathlib import Path

NAMES = ["time", "src", "dst", "proto", "tcp_src", "tcp_dst", "udp_src", "udp_dst", "length"]


def jitsilab(path: str) -> int:
    from jitsilab.pcap import like_tshark

    return len(like_tshark.frame(path))


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


def read_csv(path: str) -> int:
    """The output of tshark on standard input; the path is not looked at."""
    import pandas

    return len(pandas.read_csv(sys.stdin))


if __name__ == "__main__":
    print(globals()[sys.argv[1]](sys.argv[2]))
