"""Every kind of frame loses its names and addresses, and is still what it was for Wireshark."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.contrib.gtp import GTPHeader
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Solicit, DHCP6OptClientFQDN, DHCP6OptClientId
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRNSEC, DNSRRSRV
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.layers.ntp import NTPHeader
from scapy.layers.snmp import SNMP, SNMPget, SNMPvarbind

from jitsilab import cli
from jitsilab.pcap import read
from jitsilab.pcap.containers import Interface
from jitsilab.pcap.writing import Writer
from jitsilab.sharing import leaks

MAC, GATE = "00:1b:21:aa:bb:cc", "00:04:96:11:22:33"  # of Intel and Extreme Networks
HOST, OTHER, PRIVATE = "93.184.216.34", "145.97.39.155", "192.168.77.23"
SIX, LINK = "2a00:1450:4001:811::200e", "fe80::21b:21ff:feaa:bbcc"
START = 1_800_000_000_000_000_000

Told = Callable[..., str]


def ether(inner: Any) -> Any:
    return Ether(src=MAC, dst=GATE) / inner


def stun(source: str, target: str) -> Any:
    """A Binding request of coturn's own kind, with SOFTWARE."""
    body = bytes.fromhex("80220018") + b"Coturn-4.5.2 'dan Eider'" + bytes.fromhex("0006000b") + b"anna:Lab2xyz\0"[:12]
    head = b"\0\1" + len(body).to_bytes(2) + bytes.fromhex("2112a442") + b"transaction!"
    return ether(IP(src=source, dst=target) / UDP(sport=50000, dport=3478) / (head + body))


def http(number: int, text: bytes, *, up: bool = True) -> Any:
    ends = {"src": PRIVATE, "dst": HOST} if up else {"src": HOST, "dst": PRIVATE}
    ports = {"sport": 40000, "dport": 80} if up else {"sport": 80, "dport": 40000}
    stamps = [("NOP", None), ("NOP", None), ("Timestamp", (123456789 + number, 987654321))]
    return ether(IP(**ends) / TCP(**ports, flags="PA", seq=number, ack=1, options=stamps) / text)


FRAMES = {
    "arp": Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=MAC, psrc=PRIVATE, pdst="192.168.77.1"),
    "vlan": ether(Dot1Q(vlan=7) / IP(src=HOST, dst=PRIVATE) / UDP(sport=7000, dport=7001) / b"anna was here"),
    "dhcp": ether(IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
                  / BOOTP(chaddr=bytes.fromhex(MAC.replace(":", "")), ciaddr=PRIVATE, xid=7)
                  / DHCP(options=[("message-type", "request"), ("requested_addr", PRIVATE),
                                  ("hostname", "annas-laptop"), ("server_id", "192.168.77.1"), "end"])),
    "dhcp6": ether(IPv6(src=LINK, dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit()
                   / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC)) / DHCP6OptClientFQDN(fqdn="annas-laptop.acme.org")),
    "dns": ether(IP(src="9.9.9.9", dst=PRIVATE) / UDP(sport=53, dport=5353)
                 / DNS(qr=1, qd=DNSQR(qname="meet.acme.org", qtype="ALL"), an=[
                     DNSRR(rrname="meet.acme.org", type="A", rdata=HOST),
                     DNSRR(rrname="meet.acme.org", type="AAAA", rdata=SIX),
                     DNSRR(rrname="meet.acme.org", type="TXT", rdata=[b"owner=anna smith", b"x"]),
                     DNSRR(rrname="34.216.184.93.in-addr.arpa", type="PTR", rdata="meet.acme.org"),
                     DNSRRSRV(rrname="_turn._udp.acme.org", port=3478, target="turn.acme.org")])),
    "mdns": ether(IP(src=PRIVATE, dst="224.0.0.251") / UDP(sport=5353, dport=5353)
                  / DNS(qr=1, an=DNSRRNSEC(rrname="Annas-MacBook.local", nextname="Annas-MacBook.local",
                                           typebitmaps=[1, 28]))),
    "icmp": ether(IP(src=OTHER, dst=HOST) / ICMP(type=3, code=3)
                  / IPerror(src=HOST, dst=OTHER) / UDPerror(sport=10000, dport=5000) / b"anna said so"),
    "ping": ether(IP(src=HOST, dst=OTHER) / ICMP(type=8, id=3) / b"anna said so"),
    "nd": ether(IPv6(src=LINK, dst="ff02::1:ff00:200e") / ICMPv6ND_NS(tgt=SIX) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)),
    "snmp": ether(IP(src=PRIVATE, dst=HOST) / UDP(sport=40001, dport=161)
                  / SNMP(community="annas-secret", PDU=SNMPget(varbindlist=[SNMPvarbind(oid="1.3.6.1.2.1.1")]))),
    "ntp": ether(IP(src=PRIVATE, dst=HOST) / UDP(sport=123, dport=123) / NTPHeader(ref_id=bytes([93, 184, 216, 34]))),
    "gtp": ether(IP(src=PRIVATE, dst=HOST) / UDP(sport=2152, dport=2152) / GTPHeader(teid=1, gtp_type=255)
                 / IP(src=OTHER, dst=HOST) / UDP(sport=1, dport=2) / b"anna"),
    "gre": ether(IP(src=PRIVATE, dst=HOST) / GRE() / IP(src=OTHER, dst=HOST) / UDP(sport=1, dport=2) / b"anna"),
    "ssdp": ether(IP(src=PRIVATE, dst="239.255.255.250") / UDP(sport=1900, dport=1900)
                  / b"NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.77.23/anna.xml\r\n\r\n"),
    "piece": ether(IP(src=HOST, dst=PRIVATE, id=9, flags="MF") / UDP(sport=1, dport=2, len=48) / (b"anna" * 6)),
    "rest": ether(IP(src=HOST, dst=PRIVATE, id=9, frag=4, proto=17) / (b"anna" * 4)),
    "piece6": ether(IPv6(src=SIX, dst=LINK) / IPv6ExtHdrFragment(nh=17, m=1, id=5) / (b"anna" * 6)),
    "stun": stun(PRIVATE, HOST),
    "http": http(1000, b"GET /AnnasRoom HTTP/1.1\r\nHost: meet.acme.org\r\nCookie: sid=annas-cookie\r\n"
                       b"User-Agent: Mozilla/5.0 (X11) Chrome/156.0.0.0 meet.acme.org\r\n\r\n"),
}  # fmt: skip
SECRETS = (b"anna", b"acme", b"Annas", b"annas")


def write(path: Path) -> Path:
    with Writer(path, "anna recorded this on 93.184.216.34") as out:
        out.interface(Interface(1, "eth0"))
        for number, frame in enumerate(FRAMES.values()):
            data = bytes(frame)
            out.frame(0, START + number * 1_000_000, data, len(data), "anna said so" if number == 2 else "")
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with a frame of each kind, under other names."""
    folder = tmp_path_factory.mktemp("frames")
    capture = write(folder / "frames.pcapng")
    assert cli.main(["share", str(capture), "-o", str(folder / "out"), "--relative"]) == 0
    return folder / "out" / "frames.pcapng"


def test_no_frame_tells(shared: Path) -> None:
    data = shared.read_bytes()
    for secret in SECRETS:
        assert secret not in data
    packets = read(shared)
    for number, name in enumerate(FRAMES, 1):
        for mac in (MAC, GATE):
            assert bytes.fromhex(mac.replace(":", "")) not in packets.frame(number), name
    assert leaks.scan([shared]) == []
    assert [one.text for one in packets.comments if one.frame] == []
    assert len([one for one in packets.comments if not one.frame]) == 1


def test_times_are_relative_and_lengths_stay(shared: Path) -> None:
    packets = read(shared)
    assert packets.time.tolist() == [number * 1_000_000 for number in range(len(FRAMES))]
    changed = {"http"}
    lengths = zip(FRAMES.items(), packets.length.tolist(), strict=True)
    assert [name for (name, frame), length in lengths if length != len(bytes(frame)) and name not in changed] == []


def test_times_are_shifted_and_versions_hidden_on_request(tmp_path: Path) -> None:
    capture = write(tmp_path / "frames.pcapng")
    argv = ["share", str(capture), "-o", str(tmp_path / "out.pcapng"), "--shift-time", "-3600.5", "--software"]
    assert cli.main(argv) == 0
    assert int(read(tmp_path / "out.pcapng").time[0]) == START - 3_600_500_000_000
    assert b"Coturn" not in (tmp_path / "out.pcapng").read_bytes()


def test_versions_stay_without_a_request(shared: Path) -> None:
    assert b"Coturn-4.5.2 'dan Eider'" in shared.read_bytes()


@pytest.mark.tool("tshark")
def test_wireshark_reads_every_frame_as_before(shared: Path) -> None:
    checks = [x for layer in ("ip", "udp", "tcp") for x in ("-o", f"{layer}.check_checksum:TRUE")]
    bad = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0"
    bad += " || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || _ws.malformed"
    fields = [x for name in ("frame.number", "frame.protocols", "_ws.malformed") for x in ("-e", name)]
    argv = ["tshark", "-n", "-r", str(shared), *checks, "-Y", bad, "-T", "fields", *fields]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.tool("tshark")
@pytest.mark.parametrize(
    ("kind", "field", "before", "same"),
    [
        ("arp", "arp.src.proto_ipv4", PRIVATE, "192.168."),
        ("dhcp", "dhcp.option.requested_ip_address", PRIVATE, "192.168."),
        ("dhcp", "dhcp.hw.mac_addr", MAC, "02:"),
        ("dns", "dns.a", HOST, ""),
        ("dns", "dns.ptr.domain_name", "meet.acme.org", "meet."),
        ("icmp", "ip.src", f"{OTHER},{HOST}", ""),
        ("nd", "icmpv6.nd.ns.target_address", SIX, ""),
        ("nd", "icmpv6.opt.linkaddr", MAC, "02:"),
        ("http", "tcp.options.timestamp.tsval", "123457789", ""),
        ("http", "http.host", "meet.acme.org", "meet."),
    ],
)
def test_what_stands_in_a_field_is_of_its_class_and_another(
    kind: str, field: str, before: str, same: str, shared: Path
) -> None:
    number = list(FRAMES).index(kind) + 1
    argv = ["tshark", "-n", "-r", str(shared), "-Y", f"frame.number == {number}", "-T", "fields", "-e", field]
    after = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    assert after
    assert not set(after.split(",")) & set(before.split(","))
    assert after.startswith(same)


@pytest.mark.parametrize("point", ["eth0", "any"])
def test_many_frames_of_media_become_what_each_becomes(point: str, recording: Callable[[str], Path]) -> None:
    from jitsilab.pcap.containers import Container
    from jitsilab.pcap.sources import Source
    from jitsilab.sharing import media
    from jitsilab.sharing.addresses import Addresses
    from jitsilab.sharing.certificates import Certificates
    from jitsilab.sharing.connections import Connections
    from jitsilab.sharing.floors import Floors
    from jitsilab.sharing.frames import Frames
    from jitsilab.sharing.messages import Messages
    from jitsilab.sharing.names import Names
    from jitsilab.sharing.wording import Wording

    path = recording("jvb-3") / f"capture-{point}.pcapng"
    words = Wording(Names(b"k" * 32), Addresses(b"k" * 32))
    wire, messages = Floors(read(path)), Messages(words, Certificates(words))
    frames = Frames(wire, messages, Connections(wire, messages))
    container = Container(Source(path, keep=False))
    chunk = next(iter(container.chunks()))
    links = [one.link for one in container.interfaces]
    frames.begin(0, len(chunk.start))
    made = media.rewrite(chunk, 0, links, wire.packets, frames)
    assert len(made) > 900
    for row, data in made.items():
        start, captured = int(chunk.start[row]), int(chunk.captured[row])
        one = chunk.data[start : start + captured].tobytes()
        assert frames.frame(row, one, links[int(chunk.interface[row])], int(chunk.length[row]))[0] == data
