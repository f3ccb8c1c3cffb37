"""Packet filters walked as the kernel walks them: against the kernel itself, and against what programs print."""

import subprocess
from pathlib import Path

import kernel_filter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab.facts import packetfilter
from jitsilab.facts.packetfilter import Filters, Interfaces

NFT = {
    "jump-and-goto": """
table inet f {
  set open { type inet_service; flags interval; elements = { 443, 8000-8100 } }
  map ports { type inet_service : verdict; elements = { 22 : accept, 5222 : drop, 9090 : goto late } }
  chain late { counter; udp dport 10000 accept; tcp dport 9090 accept; }
  chain more { tcp dport 8888 return; tcp dport { 8888, 4443 } accept; goto late; }
  chain input { type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname "lo" accept
    ip saddr { 192.0.2.1, 10.0.0.0/8 } accept
    tcp dport @open accept
    tcp dport vmap @ports
    meta l4proto { tcp, udp } jump more
    tcp dport 5269 accept
  }
}
""",
    "two-chains-and-raw": """
table ip raw { chain early { type filter hook prerouting priority raw; policy accept; udp dport 10001 drop; }; }
table inet a { chain in { type filter hook input priority 0; policy accept; tcp dport { 80, 443 } accept; \
tcp dport 8080 reject with tcp reset; }; }
table inet b { chain in { type filter hook input priority 10; policy accept; tcp dport 443 drop; iifname "docker0" \
tcp dport 22 drop; tcp dport 9090 ct state new drop; }; }
table inet n { chain pre { type nat hook prerouting priority dstnat; policy accept; }; }
""",
    "flags-and-limits": """
table inet f { chain in { type filter hook input priority 0; policy drop;
  ct state established,related accept
  tcp flags & (fin | syn | rst | ack) == syn tcp dport 22 accept
  tcp flags & (fin | syn) == (fin | syn) tcp dport 80 accept
  tcp dport 443 limit rate 50/second accept
  tcp dport 8080 limit rate over 50/second accept
  meta l4proto . th dport { tcp . 8888, udp . 10000 } accept
  tcp dport != { 1-9000, 9091-65535 } accept
  ip daddr 203.0.113.10 udp dport 10001 accept
  ip protocol tcp tcp dport 5222 fib daddr type local accept
  ct status dnat accept
}; }
""",
    "forward-only": """
table inet f { chain forward { type filter hook forward priority 0; policy drop; iifname "docker0" accept; }; }
""",
    "returns": """
table ip f {
  chain a { tcp dport 22 return; jump b; tcp dport 22 accept; tcp dport 9090 accept; }
  chain b { tcp dport 9090 return; tcp dport 8080 accept; udp dport != 10000 return; accept; }
  chain in { type filter hook input priority -5; policy drop; ct state established accept; goto a; accept; }
}
""",
}
IPTABLES = {
    "chains": """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:open - [0:0]
:late - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -s 10.0.0.0/8 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443 -m conntrack --ctstate NEW -j open
-A INPUT -p udp -m udp --dport 10000:10001 -g late
-A INPUT -p tcp -m tcp ! --dport 1:9000 -m comment --comment "high ports" -j open
-A INPUT -p tcp -m tcp --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 40/sec -j ACCEPT
-A open -p tcp -m tcp --dport 80 -j RETURN
-A open -j ACCEPT
-A late -p udp -m udp --dport 10001 -j REJECT --reject-with icmp-port-unreachable
-A late -i eth0 -j ACCEPT
COMMIT
""",
    "open-with-holes": """*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 4443 -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT ! -i docker0 -p tcp -m tcp --dport 8080 -j DROP
-A INPUT -p tcp -m tcp --dport 8888 ! -s 192.0.2.0/24 -j DROP
-A INPUT -p tcp -m tcp --dport 9090 -s 192.0.2.0/24 -j DROP
-A INPUT -d 203.0.113.10/32 -p udp -m udp --dport 10000 -j DROP
COMMIT
""",
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each ruleset, what the programs print of it, and what a stranger reached."""
    folder = tmp_path_factory.mktemp("kernel")
    for name, text in NFT.items():
        (folder / f"{name}.nft").write_text(text)
    for name, text in IPTABLES.items():
        (folder / f"{name}.iptables").write_text(text)
    try:
        kernel_filter.run(folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this user may not make network namespaces: {error.stderr[-200:]!r}")
    return folder


def answers(text: str, name: str) -> dict[tuple[str, int], bool | None]:
    """What the walk says of every port, for a host of which the outer interface is known."""
    filters = Filters(interfaces=Interfaces("eth0", ["lo", "eth0"]))
    assert packetfilter.parse(text, name, filters)
    ports = [(transport, port) for transport in ("tcp", "udp") for port in kernel_filter.PORTS]
    return {(t, p): filters.way(t, p, ["203.0.113.10"]).open for t, p in ports}


@pytest.mark.tool(*kernel_filter.TOOLS)
@pytest.mark.parametrize("form", ["written", "text", "json"])
@pytest.mark.parametrize("name", NFT)
def test_nft_does_what_the_kernel_does(name: str, form: str, asked: Path) -> None:
    source = asked / (f"{name}.nft" if form == "written" else f"{name}.nft.{form}")
    said = answers(source.read_text(), f"nft.{form}")
    assert said == kernel_filter.reality(asked / f"{name}.nft.reality")


@pytest.mark.tool(*kernel_filter.TOOLS)
@pytest.mark.parametrize("form", ["written", "save", "listing", "text"])
@pytest.mark.parametrize("name", IPTABLES)
def test_iptables_does_what_the_kernel_does(name: str, form: str, asked: Path) -> None:
    source = asked / (f"{name}.iptables" if form == "written" else f"{name}.iptables.{form}")
    said = answers(source.read_text(), f"filter.{form}")
    real = kernel_filter.reality(asked / f"{name}.iptables.reality")
    if form == "listing":  # of the table filter alone
        real = {key: answer for key, answer in real.items() if key != ("tcp", 4443)}
        said = {key: answer for key, answer in said.items() if key != ("tcp", 4443)}
    if form == "text":  # nft prints some of iptables' matches in a form of its own: unknown is right, wrong is not
        assert {key: answer for key, answer in said.items() if answer is not None}.items() <= real.items()
        return
    assert said == real


# Programs that are not on this machine: their documented output

UFW = """Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     LIMIT IN    Anywhere
80,443/tcp (Nginx Full)    ALLOW IN    Anywhere
10000:10100/udp            ALLOW IN    Anywhere
5222/tcp                   ALLOW IN    192.0.2.17
8080/tcp                   DENY IN     Anywhere
8080                       ALLOW IN    Anywhere
OpenSSH                    ALLOW IN    Anywhere
9090/tcp                   ALLOW OUT   Anywhere
203.0.113.9 9091/tcp       ALLOW IN    Anywhere
22/tcp (v6)                LIMIT IN    Anywhere (v6)
"""
FIREWALLD = """public (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0
  sources:
  services: dhcpv6-client https ssh
  ports: 10000/udp 4443-4445/tcp
  protocols:
  forward: yes
  masquerade: no
  forward-ports:
  source-ports:
  icmp-blocks:
  rich rules:
\trule family="ipv4" source address="192.0.2.0/24" port port="5222" protocol="tcp" accept
\trule family="ipv4" port port="4444" protocol="tcp" drop
\trule family="ipv4" source NOT address="192.0.2.0/24" port port="8080" protocol="tcp" accept
"""
ZONE = """<?xml version="1.0" encoding="utf-8"?>
<zone target="DROP"><short>Public</short><service name="https"/><port protocol="udp" port="10000"/>
<rule family="ipv4"><source address="192.0.2.0/24"/><port protocol="tcp" port="5222"/><accept/></rule></zone>
"""
DOCKER = """*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i br-1 -p udp -m udp --dport 10000 -j DNAT --to-destination 172.18.0.5:10000
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-1 -j DOCKER
-A DOCKER -d 172.18.0.5/32 ! -i br-1 -o br-1 -p udp -m udp --dport 10000 -j ACCEPT
-A DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP
-A DOCKER-USER -j RETURN
COMMIT
"""
GROUPS = """{"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [
 {"IpProtocol": "udp", "FromPort": 10000, "ToPort": 10000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
 {"IpProtocol": "tcp", "FromPort": 5222, "ToPort": 5222, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]},
 {"IpProtocol": "-1", "IpRanges": [], "UserIdGroupPairs": [{"GroupId": "sg-1"}]}]}]}
"""


def ways(text: str, name: str = "filter.txt", *, addresses: tuple[str, ...] = ()) -> Filters:
    filters = Filters(interfaces=Interfaces("eth0", ["lo", "eth0"]))
    assert packetfilter.parse(text, name, filters)
    return filters


@pytest.mark.parametrize(
    ("text", "opened", "shut"),
    [
        (UFW, ["tcp 22", "tcp 80", "tcp 443", "udp 10050", "udp 8080"], ["tcp 5222", "tcp 8080", "tcp 9090"]),
        (UFW.replace("deny (incoming)", "allow (incoming)"), ["tcp 5222", "tcp 22"], ["tcp 8080"]),
        (FIREWALLD, ["tcp 443", "tcp 22", "udp 10000", "tcp 4443", "tcp 8080"], ["tcp 5222", "tcp 4444", "tcp 80"]),
        (FIREWALLD.replace("default", "ACCEPT"), ["tcp 5222", "tcp 80"], ["tcp 4444"]),
        (ZONE, ["tcp 443", "udp 10000"], ["tcp 5222", "tcp 22"]),
        (GROUPS, ["udp 10000"], ["tcp 5222", "tcp 443"]),
    ],
)  # fmt: skip
def test_other_programs(text: str, opened: list[str], shut: list[str]) -> None:
    filters = ways(text)
    said = {port: filters.way(port.split()[0], int(port.split()[1]), ["203.0.113.10"]).open for port in opened + shut}
    assert said == {**dict.fromkeys(opened, True), **dict.fromkeys(shut, False)}


def test_a_default_that_is_not_shown_is_not_known() -> None:
    short = "\n".join(line for line in UFW.splitlines() if not line.startswith(("Default", "Logging", "New")))
    filters = ways(short)
    assert filters.way("tcp", 443).open is True
    way = filters.way("tcp", 9000)
    assert (way.open, "ufw status verbose" in way.unread[0]) == (None, True)
    inactive = Filters()
    assert packetfilter.parse("Status: inactive\n", "ufw.txt", inactive)
    assert inactive.way("tcp", 1).open is None


def test_what_docker_publishes_is_let_in_but_by_its_users_chain() -> None:
    filters = ways(DOCKER)
    assert filters.way("udp", 10000, container=("", 10000)).open is True
    assert filters.way("tcp", 8080, container=("", 8080)).open is False
    assert filters.way("tcp", 9999, container=("", 80)).open is True
    assert filters.way("udp", 10000).open is False  # a program of the host's own there
    assert ways(UFW).way("tcp", 8080, container=("", 8080)).open is None  # ufw does not see it


BASE = "table inet f {\n chain in {\n  type filter hook input priority 0; policy drop;\n  RULE\n }\n}\n"


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("socket transparent 1 accept", None), ("tcp dport 5222 meta mark 0x1 accept", None),
        ("tcp dport 5222 frobnicate accept", None), ("jump nowhere", None), ("tcp dport $ports accept", None),
        ("tcp dport 5222 queue num 1", None), ("ip daddr 203.0.113.99 tcp dport 5222 accept", None),
        ('iifname "eth7" tcp dport 5222 accept', False), ("ip saddr @allowed tcp dport 5222 accept", False),
        ("ip saddr 0.0.0.0/0 tcp dport 5222 accept", True), ("ip saddr != 192.0.2.0/24 tcp dport 5222 accept", True),
        ("ip saddr 128.0.0.0/1 tcp dport 5222 accept", None), ("udp dport != 1 accept", False),
        ("tcp sport 1024-65535 tcp dport 5222 accept", True), ("ct state { new } tcp dport 5222 accept", True),
        ("ct status dnat accept", False), ("meta nfproto ipv6 accept", False), ("tcp dport >= 5000 accept", True),
        ('log prefix "x drop " flags all counter packets 1 bytes 2 tcp dport 5222 accept comment "a; b"', True),
        ('counter name "web" packets 4 bytes 2 tcp dport 5222 accept', True),
        ("tcp dport vmap { 5222 : jump wide, 22 : accept }", None), ("ip6 saddr 2000::/3 accept", False),
        ("tcp dport vmap { 22:accept, 5222:accept }", True), ("tcp dport vmap { 22:accept, 5222:drop }", False),
        ("ip saddr 198.0.0.0/9 tcp dport 5222 accept", False), ("ip saddr 192.0.0.0/4 tcp dport 5222 accept", None),
        ("tcp dport 5222 meta mark set 0x1 accept", True), ("tcp dport 5222 ct zone original set 1 accept", True),
        ("meta l4proto . th dport { tcp . 5000 - 6000 } accept", True),
        ("meta l4proto . th dport { tcp . 1 - 5000, udp . 5222 } accept", False),
        ("tcp flags & fin == fin tcp dport 5222 accept", False),
        ("tcp flags & (syn) == syn tcp dport 5222 accept", True),
        ("tcp dport { 5222 timeout 1h } accept", True), ("tcp dport { 22 timeout 1h, 5222 } accept", True),
        ("ct status snat accept", False), ("ct status assured accept", None),
        ("meta pkttype broadcast tcp dport 5222 accept", False), ("meta pkttype host tcp dport 5222 accept", True),
        ("fib daddr type local tcp dport 5222 accept", True), ("fib daddr type multicast tcp dport 5222 accept", False),
        ("fib daddr type broadcast tcp dport 5222 accept", False),
        ("ct direction original tcp dport 5222 accept", True),
        ("tcp dport . frobnicate 5222 accept", None), ("tcp dport & 0xff == 5222 accept", None),
        ("meta mark 0x1 log", False), ("add @seen { ip saddr timeout 1h limit rate over 3/minute } drop", False),
    ],
)  # fmt: skip
def test_one_rule(rule: str, answer: bool | None) -> None:
    way = ways(BASE.replace("RULE", rule)).way("tcp", 5222)
    assert way.open is answer
    assert bool(way.unread) == (answer is None)  # what is not understood is named
    if answer is not None:
        assert way.places


def test_an_interface_of_which_nothing_is_known_decides_nothing() -> None:
    filters = Filters(interfaces=Interfaces("", ["lo", "ens3", "ens4"]))
    assert packetfilter.parse(BASE.replace("RULE", 'iifname "ens3" tcp dport 5222 accept'), "nft.txt", filters)
    assert filters.way("tcp", 5222).open is None
    inner = Filters()
    assert packetfilter.parse(BASE.replace("RULE", 'iifname "docker0" accept'), "nft.txt", inner)
    assert inner.way("tcp", 5222).open is False


def test_a_rule_for_another_address_of_the_host_does_not_open_this_one() -> None:
    filters = ways(BASE.replace("RULE", "ip daddr 203.0.113.99 tcp dport 5222 accept"))
    assert filters.way("tcp", 5222, ["203.0.113.10"]).open is False
    assert filters.way("tcp", 5222, ["203.0.113.10", "203.0.113.99"]).open is True


def test_ipv6_is_another_way_in() -> None:
    text = "table ip f { chain i { type filter hook input priority 0; policy drop; }; }\n"
    assert ways(text).way("tcp", 22, ["203.0.113.10"]).open is False
    assert ways(text).way("tcp", 22, ["203.0.113.10", "2001:db8::1"]).open is True


@pytest.mark.parametrize(
    ("source", "answer"), [("2a00::/12", False), ("2000::/3", None), ("::/0", True), ("fd00::/8", False)]
)
def test_a_stranger_of_ipv6_is_in_few_ranges(source: str, answer: bool | None) -> None:
    rules = ways(BASE.replace("RULE", f"ip6 saddr {source} tcp dport 5222 accept"))
    assert rules.way("tcp", 5222, ["2001:db8::1"]).open is answer


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ('service name="https" accept', True), ('service name="ssh" accept', False),
        ('service name="made-up" accept', None), ('port port="440-450" protocol="tcp" accept', True),
        ('port protocol="tcp" port="443" accept', True), ('source-port port="443" protocol="tcp" accept', True),
        ('destination address="203.0.113.99" port port="443" protocol="tcp" accept', False),
        ('destination NOT address="203.0.113.99" port port="443" protocol="tcp" accept', True),
    ],
)  # fmt: skip
def test_rich_rules(rule: str, answer: bool | None) -> None:
    text = FIREWALLD.replace(" https ssh", "").split("\trule")[0] + f'\trule family="ipv4" {rule}\n'
    assert ways(text).way("tcp", 443, ["203.0.113.10"]).open is answer


PLAIN = """table inet f { } chain type filter hook input priority 0 ; policy drop tcp dport 22 accept jump @x set
elements = vmap : , != -A INPUT *filter -j --dport ct state $a define"""
WORDS = [*PLAIN.replace("\n", " ").split(" "), "\n", '"', "Status: active"]


@given(text=st.text(max_size=120) | st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_filter(text: str) -> None:
    filters = Filters()
    packetfilter.parse(text, "nft.txt", filters)
    packetfilter.parse("*filter\n" + text, "rules.v4", filters)
    packetfilter.parse('{"nftables": [' + text + "]}", "nft.json", filters)
    filters.way("tcp", 22, ["203.0.113.1", "2001:db8::1"])
    filters.way_out("udp", 10000)


def test_a_line_that_was_cut_is_no_end() -> None:
    text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags SYN\nCOMMIT\n"
    assert ways(text).way("tcp", 22).open is not True


def test_a_filter_is_known_when_one_was_read() -> None:
    assert Filters().known is False
    assert ways(BASE.replace("RULE", "accept")).known is True


def test_chains_that_call_each_other_end() -> None:
    loop = "table ip f {\n chain a { jump b; }\n chain b { jump a; }\n"
    loop += " chain i { type filter hook input priority 0; policy drop; jump a; }\n}\n"
    assert ways(loop).way("tcp", 22).open is None
