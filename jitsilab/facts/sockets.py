"""What listens (`ss -lntup`, `netstat -tulpn`), what the filter in front lets in (nft), and the machine's addresses."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from jitsilab.ip import is_loopback


class Listener(NamedTuple):
    """One listening socket."""

    transport: str  # udp, tcp
    address: str  # * where it is every address
    port: int
    process: str
    place: str

    @property
    def local(self) -> bool:
        """Whether only the machine itself reaches it."""
        return is_loopback(self.address)


_ADDRESS = re.compile(r"^(\[?[0-9A-Fa-f:.*]+\]?(?:%[\w.-]+)?|\*|localhost):(\d{1,5})$")
_PROCESS = re.compile(r'users:\(\("([^"]{1,64})"|\b\d+/([\w.:-]{1,64})\s*$')


def listeners(text: str, name: str) -> list[Listener]:
    """The listening sockets of `ss -lntup` or `netstat -tulpn`, one a line; other lines are passed over."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].rstrip("6") not in ("tcp", "udp"):
            continue
        ends = [m for m in (_ADDRESS.match(word) for word in words[1:]) if m]
        if not ends or int(ends[0][2]) > 0xFFFF:
            continue
        address = ends[0][1].strip("[]").split("%")[0]
        process = _PROCESS.search(line)
        found.append(
            Listener(words[0].rstrip("6"), "*" if address in ("0.0.0.0", "::", "*") else address, int(ends[0][2]),
                     (process[1] or process[2]) if process else "", f"{name}:{number}")
        )  # fmt: skip
    return found


class _Rule(NamedTuple):
    transport: str  # "" both
    ports: tuple[tuple[int, int], ...]  # () all
    verdict: str  # accept, drop, reject
    narrowed: bool  # holds only for some senders or interfaces
    place: str


@dataclass
class Firewall:
    """The filter in front of the server: its rules in order and what becomes of the rest."""

    rules: list[_Rule] = field(default_factory=list)
    policy: str = ""
    place: str = ""

    def lets_in(self, transport: str, port: int) -> tuple[bool | None, str]:
        """Whether anybody may reach a port, and the rule that says so; None where no filter is known.

        Rules for some senders or interfaces only can shut a port here, never open it to everybody.
        """
        if not self.policy:
            return None, ""
        for rule in self.rules:
            if rule.transport not in ("", transport):
                continue
            if rule.ports and not any(low <= port <= high for low, high in rule.ports):
                continue
            if rule.verdict == "accept" and not rule.narrowed:
                return True, rule.place
            if rule.verdict in ("drop", "reject") and (rule.ports or not rule.narrowed):
                return False, rule.place
        return self.policy == "accept", self.place


_PORTS = re.compile(r"\b(?:(tcp|udp|th)|)\s*dport\s+(\{[^}]*\}|[\w-]+)")
_NAMED = {"ssh": 22, "http": 80, "https": 443, "domain": 53, "xmpp-client": 5222, "xmpp-server": 5269}


def firewall(text: str, name: str, into: Firewall) -> None:
    """Add the filter chains of an nft ruleset that look at what comes in or passes through."""
    chain, filters = "", False
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        place = f"{name}:{number}"
        if words.startswith("chain "):
            chain, filters = words, False
        elif words.startswith("type filter hook"):
            filters = bool(re.search(r"hook (input|forward|ingress)\b", words))
            policy = re.search(r"policy (\w+)", words)
            if filters:
                into.policy, into.place = (policy[1] if policy else "accept"), place
        elif words == "}":
            filters = False
        elif chain and filters:
            rule = _rule(words, place)
            if rule is not None:
                into.rules.append(rule)


def _rule(words: str, place: str) -> _Rule | None:
    verdict = re.search(r"\b(accept|drop|reject)\b", words)
    if verdict is None:
        return None
    narrowed = bool(re.search(r"\b(ct state|iif|iifname|saddr|daddr|icmp|icmpv6|ipv6-icmp|limit|meta mark)\b", words))
    match = _PORTS.search(words)
    ports: list[tuple[int, int]] = []
    for word in re.findall(r"[\w-]+", match[2]) if match else ():
        low, _, high = word.partition("-")
        first = _NAMED.get(word, int(low) if low.isdigit() else -1)
        ports.append((first, int(high) if high.isdigit() else first))
    transport = (match[1] or "").replace("th", "") if match else ""
    inside = re.search(r'iifname "lo"', words)
    return None if inside else _Rule(transport, tuple(ports), verdict[1], narrowed, place)


def addresses(text: str) -> list[str]:
    """The machine's own addresses of `ip -br addr` or `ip addr`, loopback left out."""
    found = []
    for word in re.findall(r"[0-9A-Fa-f:.]+(?=/\d{1,3}\b)", text):
        try:
            one = ipaddress.ip_address(word)
        except ValueError:
            continue
        if not one.is_loopback and str(one) not in found:
            found.append(str(one))
    return found
