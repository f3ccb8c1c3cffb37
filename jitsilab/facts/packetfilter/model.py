"""A packet filter as data: base chains on the kernel's hooks, rules, and the packet that is asked about.

The packet is the first of a connection, sent by a stranger: somebody on the Internet whose address no rule names.
Each condition is true for it, false for it, or unknown (None) where the rule says something that is not understood.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "132": "sctp", "icmpv6": "ipv6-icmp", "2": "igmp",
             "33": "dccp", "47": "gre", "50": "esp", "51": "ah", "136": "udplite"}  # fmt: skip
PORT_NAMES = {
    "ssh": 22, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "www": 80, "ntp": 123, "snmp": 161,
    "ldap": 389, "https": 443, "submission": 587, "ldaps": 636, "imaps": 993, "stun": 3478, "turn": 3478,
    "stuns": 5349, "turns": 5349, "xmpp-client": 5222, "xmpp-server": 5269, "xmpp-bosh": 5280, "http-alt": 8080,
    "webcache": 8080, "mdns": 5353, "postgresql": 5432, "mysql": 3306, "sip": 5060, "sips": 5061,
}  # fmt: skip

Element = tuple[str, ...]  # one value a field: a word, ``low-high``, an address, ``address/bits``


class Condition(NamedTuple):
    """What a rule asks of a packet: one field, or several at once (a concatenation)."""

    fields: tuple[str, ...]  # as nft writes them: "tcp dport", "ip saddr", "ct state"; () what is not understood
    elements: tuple[Element, ...]
    negated: bool = False
    reference: str = ""  # the name of a set that holds the elements
    text: str = ""  # the condition as it is written, to name it where it is not understood


class Action(NamedTuple):
    """What becomes of a packet that a rule holds for: a verdict, or another chain."""

    kind: str  # accept, drop, jump, goto, return, continue, unknown
    target: str = ""  # the chain, for jump and goto


CONTINUE = Action("continue")


@dataclass
class Rule:
    """One rule: all conditions have to hold."""

    conditions: list[Condition]
    action: Action
    place: str
    verdicts: tuple[tuple[Element, Action], ...] = ()  # of a verdict map, looked up with ``keys``
    keys: tuple[str, ...] = ()
    reference: str = ""  # the name of the map, where it has one
    unread: str = ""  # what of the rule is not understood and may change the packet or its way


@dataclass
class Chain:
    """A chain; with a hook where the kernel calls it by itself."""

    name: str
    rules: list[Rule] = field(default_factory=list)
    hook: str = ""  # prerouting, input, forward, output, postrouting, ingress
    kind: str = "filter"  # filter, nat, route
    priority: int = 0
    policy: str = "accept"
    place: str = ""


@dataclass
class Table:
    """A table: its chains and sets see packets of one family alone."""

    family: str  # ip, ip6, inet, netdev, bridge, arp
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, tuple[Element, ...]] = field(default_factory=dict)
    maps: dict[str, tuple[tuple[Element, Action], ...]] = field(default_factory=dict)

    def chain(self, name: str) -> Chain:
        """The chain of a name, made where it is new."""
        return self.chains.setdefault(name, Chain(name))

    def sees(self, version: int) -> bool:
        """Whether packets of an IP version come by."""
        return self.family in {"inet", "netdev", "ip" if version == 4 else "ip6"}


@dataclass
class Ruleset:
    """All tables of one file."""

    place: str
    front: bool = False  # a filter in front of the host: a cloud's, a gateway's
    program: str = "nft"
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what was not understood at all

    def table(self, family: str, name: str) -> Table:
        """The table of a family and name, made where it is new."""
        return self.tables.setdefault((family, name), Table(family, name))

    def base_chains(self, version: int, hooks: tuple[str, ...]) -> list[tuple[Table, Chain]]:
        """Chains that the kernel calls on these hooks, in its order."""
        called = [
            (table, chain)
            for table in self.tables.values()
            if table.sees(version)
            for chain in table.chains.values()
            if chain.hook in hooks and chain.kind == "filter"
        ]
        return sorted(called, key=lambda pair: (hooks.index(pair[1].hook), pair[1].priority))


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a stranger's connection to a port."""

    transport: str  # tcp, udp
    port: int
    version: int = 4
    address: str | None = None  # where it is going; None where that is not known
    translated: bool | None = False  # its destination was changed on the way (ct status dnat)
    original_port: int | None = None  # before the translation
    forwarded: bool = False  # on its way to another host or a container
    outgoing: bool = False  # an answer to a stranger: the port is the one it comes from
    outer: Callable[[str], bool | None] = field(default=lambda name: None)  # comes in by this interface?
    facts: Mapping[str, str] = field(default_factory=dict)


def priority(words: list[str]) -> int:
    """A priority as nft writes it: a number, or a name with an offset."""
    names = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
    total, sign = 0, 1
    for word in words:
        if word in "+-":
            sign = -1 if word == "-" else 1
        elif word in names:
            total += sign * names[word]
        else:
            try:
                total += sign * int(word)
            except ValueError:
                continue
    return total
