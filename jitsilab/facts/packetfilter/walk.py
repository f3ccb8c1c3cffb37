"""Walking a ruleset as the kernel does (nft(8), netfilter hooks): what becomes of a stranger's first packet."""

import ipaddress
import re
from typing import NamedTuple

from jitsilab.facts.packetfilter.model import (
    PORT_NAMES,
    PROTOCOLS,
    Action,
    Chain,
    Condition,
    Element,
    Packet,
    Rule,
    Ruleset,
    Table,
)
from jitsilab.ip import is_private
from jitsilab.numerals import whole

DEPTH = 16  # jumps; the kernel's own bound (NFT_JUMP_STACK_SIZE)
STEPS = 20_000  # rules looked at for one packet
PRIVATE = 7  # bits of the largest private range, fc00::/7 (RFC 4193)
PRESENT = 8  # bits of the shortest prefix that still leaves strangers outside of it


class Passage(NamedTuple):
    """What becomes of a packet: accepted, dropped, or not known; by which rule; what was not understood."""

    open: bool | None
    places: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class _Walk:
    """One packet's way through one ruleset."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self.ruleset = ruleset
        self.packet = packet
        self.steps = 0
        self.unread: dict[str, None] = {}

    def base(self, table: Table, chain: Chain) -> dict[str, str]:
        """The possible ends of a packet in a base chain, each with the place that decides it."""
        ends = self.chain(table, chain, 0)
        for gone_on in ("continue", "return"):
            if gone_on in ends:
                ends.pop(gone_on)
                ends.setdefault("accept" if chain.policy == "accept" else "drop", chain.place)
        return ends

    def chain(self, table: Table, chain: Chain, depth: int) -> dict[str, str]:
        """The possible ends of a packet in a chain: accept, drop, return, continue (past its last rule)."""
        ends: dict[str, str] = {}
        for rule in chain.rules:
            self.steps += 1
            if self.steps > STEPS or depth > DEPTH:
                self.unread[f"{rule.place}: too long a way"] = None
                return {**ends, "accept": rule.place, "drop": rule.place}
            holds = self.rule(table, rule)
            if holds is False:
                continue
            here = self.act(table, rule, depth)
            goes_on = here.pop("continue", None) is not None
            for end, place in here.items():
                ends.setdefault(end, place)
            if holds and not goes_on:
                return ends
        ends.setdefault("continue", chain.place)
        return ends

    def rule(self, table: Table, rule: Rule) -> bool | None:
        """Whether a rule holds for the packet."""
        answer: bool | None = True
        doubts = []
        for condition in rule.conditions:
            holds = self.holds(table, condition)
            if holds is False:
                return False
            if holds is None:
                answer = None
                doubts.append(condition.text or " ".join(condition.fields))
        if rule.unread:
            self.unread[f"{rule.place}: {rule.unread}"] = None
        elif doubts and rule.action.kind != "continue":
            self.unread[f"{rule.place}: {', '.join(doubts)}"] = None
        return answer

    def act(self, table: Table, rule: Rule, depth: int) -> dict[str, str]:
        """What a rule that holds does, verdict maps looked up."""
        if not rule.keys:
            return self.verdict(table, rule.action, rule.place, depth)
        entries = table.maps.get(rule.reference, ()) if rule.reference else rule.verdicts
        if rule.reference and rule.reference not in table.maps:
            self.unread[f"{rule.place}: map {rule.reference}"] = None
            return {"accept": rule.place, "drop": rule.place, "continue": rule.place}
        ends: dict[str, str] = {}
        default: Action | None = None
        for element, action in entries:
            if element == ("*",):
                default = action
                continue
            holds = self.among(rule.keys, (element,))
            if holds is False:
                continue
            if holds is None:
                self.unread[f"{rule.place}: {' . '.join(rule.keys)}"] = None
            ends |= {k: v for k, v in self.verdict(table, action, rule.place, depth).items() if k not in ends}
            if holds:
                return ends
        if default is not None:
            return {**self.verdict(table, default, rule.place, depth), **ends}
        return {**ends, "continue": rule.place}

    def verdict(self, table: Table, action: Action, place: str, depth: int) -> dict[str, str]:
        if action.kind in ("accept", "drop", "return", "continue"):
            return {action.kind: place}
        if action.kind in ("jump", "goto"):
            target = table.chains.get(action.target)
            if target is None:
                self.unread[f"{place}: chain {action.target}, which is not given"] = None
                return {"accept": place, "drop": place, "continue": place}
            ends = self.chain(table, target, depth + 1)
            back = {end for end in ("return", "continue") if end in ends}
            for end in back:
                ends.pop(end)
            if back:
                ends["continue" if action.kind == "jump" else "return"] = place
            return ends
        self.unread[f"{place}: {action.target or 'a verdict that is not known'}"] = None
        return {"accept": place, "drop": place, "continue": place}

    # Conditions

    def holds(self, table: Table, condition: Condition) -> bool | None:
        """Whether a condition holds for the packet; None where it is not understood."""
        if not condition.fields:
            return None
        elements = condition.elements
        if condition.reference:
            if condition.reference not in table.sets:
                known = self.among(condition.fields, ())
                return known if all(_of_sender(name) for name in condition.fields) else None
            elements = table.sets[condition.reference]
        answer = self.among(condition.fields, elements)
        if answer is None or not condition.negated:
            return answer
        if any(self.foreign(name) for name in condition.fields):
            return False  # the field is not in the packet at all: tcp dport != 22 does not hold for UDP
        return not answer

    def foreign(self, name: str) -> bool:
        """Whether a field belongs to another protocol than the packet's."""
        protocol = name.partition(" ")[0]
        if protocol in ("tcp", "udp", "sctp", "dccp", "icmp", "icmpv6", "igmp", "esp", "ah", "udplite", "arp", "vlan"):
            return protocol != self.packet.transport
        return protocol in ("ip", "ip6") and (protocol == "ip6") != (self.packet.version == 6)

    def among(self, fields: tuple[str, ...], elements: tuple[Element, ...]) -> bool | None:
        """Whether the packet's fields are one of the elements."""
        if any(self.foreign(name) for name in fields):
            return False
        answer: bool | None = False
        for element in elements:
            if len(element) != len(fields):
                answer = None
                continue
            each = [self.is_value(name, value) for name, value in zip(fields, element, strict=True)]
            if all(same is True for same in each):
                return True
            if not any(same is False for same in each):
                answer = None
        return answer

    def is_value(self, name: str, value: str) -> bool | None:
        """Whether one field of the packet has a value."""
        packet = self.packet
        key = name.rpartition(" ")[2]
        if name in ("meta l4proto", "ip protocol", "ip6 nexthdr", "l4proto"):
            return PROTOCOLS.get(value, value) == packet.transport if value != "all" else True
        if name in ("meta nfproto", "meta protocol"):
            return value in (("ipv4", "ip") if packet.version == 4 else ("ipv6", "ip6"))
        if key in ("dport", "sport"):
            own = (key == "sport") is packet.outgoing
            return _in_range(value, packet.port) if own else True if _every_port(value) else None
        if name == "ct original proto-dst":
            return _in_range(value, packet.original_port if packet.original_port is not None else packet.port)
        if key in ("saddr", "daddr"):
            own = (key == "saddr") is packet.outgoing
            return _destination_in(value, packet) if own else _stranger_in(value)
        if packet.outgoing and name in ("iifname", "iif", "oifname", "oif"):
            outer = packet.outer(value)
            if name.startswith("o"):
                return outer
            return (None if outer is None else not outer) if packet.forwarded else False
        if name in ("iifname", "iif", "meta iifname", "meta iif"):
            return packet.outer(value)
        if name in ("oifname", "oif", "meta oifname", "meta oif"):
            return (None if packet.outer(value) is not True else False) if packet.forwarded else False
        if name == "ct state":
            return value == ("established" if packet.outgoing else "new")
        if name == "ct status":
            return packet.translated if value == "dnat" else None if value == "assured" else False
        if name == "ct direction":
            return value == ("reply" if packet.outgoing else "original")
        if name == "fib daddr type":
            return (value == "local") is not packet.forwarded if value in ("local", "unicast") else False
        if name in ("meta pkttype", "pkttype"):
            return value in ("host", "unicast", "other")
        if name == "tcp flags":
            return _flags(value)
        return None


def _of_sender(name: str) -> bool:
    return name.endswith("saddr")


def _every_port(value: str) -> bool:
    low, high = (whole(end) for end in value.partition("-")[::2])
    return low is not None and high is not None and low <= 1024 and high >= 65535


def _in_range(value: str, port: int) -> bool | None:
    low, dash, high = value.partition("-")
    if value in PORT_NAMES:
        return PORT_NAMES[value] == port
    if re.fullmatch(r"\d{1,5}", low) and (not dash or re.fullmatch(r"\d{1,5}", high)):
        return int(low) <= port <= int(high if dash else low)
    match = re.fullmatch(r"([<>]=?)(\d{1,5})", value)
    if match:
        number = int(match[2])
        return {"<": port < number, "<=": port <= number, ">": port > number, ">=": port >= number}[match[1]]
    return None


def _network(value: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network] | None:
    low, dash, high = value.partition("-")
    try:
        if dash:
            return list(ipaddress.summarize_address_range(ipaddress.ip_address(low), ipaddress.ip_address(high)))
        return [ipaddress.ip_network(value, strict=False)]
    except (ValueError, TypeError):
        return None


def _stranger_in(value: str) -> bool | None:
    """Whether a stranger's address is in a range: everybody's is in all, and few are in a small one."""
    networks = _network(value)
    if networks is None:
        return None
    shortest = min(network.prefixlen for network in networks)
    if shortest == 0:
        return True
    if shortest >= PRIVATE and all(is_private(str(end)) for network in networks for end in (network[0], network[-1])):
        return False
    return False if shortest >= PRESENT else None


def _destination_in(value: str, packet: Packet) -> bool | None:
    networks = _network(value)
    if networks is None:
        return None
    if any(network.prefixlen == 0 for network in networks):
        return True
    if packet.address is not None:
        try:
            address = ipaddress.ip_address(packet.address)
        except ValueError:
            return None
        return any(address.version == network.version and address in network for network in networks)
    first = networks[0].network_address
    if first.is_loopback or first.is_multicast or str(first) == "255.255.255.255":
        return False
    return None


def _flags(value: str) -> bool | None:
    """``value/mask`` of the flags of TCP, for a SYN."""
    wanted, slash, mask = value.partition("/")
    flags = {flag for flag in wanted.split(",") if flag and flag != "none"}
    if slash:
        looked_at = {flag for flag in mask.split(",") if flag}
        looked_at = {"fin", "syn", "rst", "psh", "ack", "urg"} if "all" in looked_at else looked_at
        return ({"syn"} & looked_at) == flags
    return "syn" in flags


def walk(ruleset: Ruleset, packet: Packet) -> Passage:
    """What becomes of a packet on its way through one ruleset: every base chain has to let it pass."""
    way = _Walk(ruleset, packet)
    last = "forward" if packet.forwarded else "input"
    hooks: tuple[str, ...] = ("ingress", "prerouting", last)
    if packet.outgoing:
        hooks = ("prerouting", "forward", "postrouting") if packet.forwarded else ("output", "postrouting")
    places: list[str] = []
    unsure = False
    for table, chain in ruleset.base_chains(packet.version, hooks):
        before = dict(way.unread)
        ends = way.base(table, chain)
        if set(ends) == {"drop"}:
            return Passage(False, (ends["drop"],))
        if set(ends) != {"accept"}:
            unsure = True
            continue
        way.unread = before  # what was not understood there does not matter
        places.append(ends["accept"])
    if unsure or ruleset.notes:
        return Passage(None, tuple(places), (*way.unread, *ruleset.notes))
    return Passage(True, tuple(dict.fromkeys(places)) or (ruleset.place,))
