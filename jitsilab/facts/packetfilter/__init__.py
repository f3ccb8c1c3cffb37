"""Packet filters: whether a stranger's first packet reaches a port, walked as the kernel walks it.

nftables (text and JSON), iptables, ufw, firewalld and security groups become the same tables, chains and rules
(`model`), and `walk` sends one packet through them. What is not understood makes the answer unknown, and is named.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from jitsilab.facts.packetfilter import fronts, iptables, nft_json, nft_text
from jitsilab.facts.packetfilter.model import Packet, Ruleset
from jitsilab.facts.packetfilter.walk import Passage, walk

FRONT = re.compile(r"security.?group|cloud|gateway|router|edge", re.I)  # names of files with a filter in front
INNER = re.compile(
    r"^(lo|docker|br-|virbr|veth|lxc|lxd|cni|flannel|cali|kube|podman|tun|tap|wg|tailscale|zt|lan)", re.I
)
OUTER = re.compile(r"^(wan|ppp|wwan)", re.I)


@dataclass
class Interfaces:
    """The host's interfaces as far as they are known: which of them the Internet comes in by."""

    default: str = ""  # the one of the default route
    names: list[str] = field(default_factory=list)

    def outer(self, name: str) -> bool | None:
        """Whether a stranger's packet comes in by an interface; ``eth*`` stands for several."""
        name = name.strip('"')
        star = name.endswith(("*", "+"))
        bare = name[:-1] if star else name
        if star and not bare:
            return True
        if self.default:
            return self.default.startswith(bare) if star else self.default == name
        if INNER.match(bare):
            return False
        if OUTER.match(bare):
            return True
        physical = {interface for interface in self.names if not INNER.match(interface)}
        if len(physical) == 1:
            only = next(iter(physical))
            return only.startswith(bare) if star else only == name
        return None


@dataclass
class Filters:
    """All filters that a folder tells of: on the host, and in front of it."""

    rulesets: list[Ruleset] = field(default_factory=list)
    interfaces: Interfaces = field(default_factory=Interfaces)
    unread: list[str] = field(default_factory=list)  # files of filters that were not understood

    @property
    def known(self) -> bool:
        """Whether any filter was given, understood or not."""
        return bool(self.rulesets or self.unread)

    @property
    def host(self) -> list[Ruleset]:
        """The host's own filters."""
        return [ruleset for ruleset in self.rulesets if not ruleset.front]

    @property
    def front(self) -> list[Ruleset]:
        """The filters in front of the host."""
        return [ruleset for ruleset in self.rulesets if ruleset.front]

    def way(
        self,
        transport: str,
        port: int,
        addresses: Sequence[str] = (),
        *,
        container: tuple[str, int] | None = None,
    ) -> Passage:
        """What becomes of a stranger's packet to a port.

        ``addresses`` are those that the service has (its socket's, else the host's); one way in is enough.
        ``container`` is the address (may be empty) and port of a container behind a published port: then the host
        forwards. With no filter given the answer is not known, and nothing is named.
        """
        parts = [self._front(transport, port, addresses)] if self.front else []
        # what Docker publishes passes ufw and firewalld by
        passed_by = ("ufw", "firewalld") if container is not None else ()
        host = [ruleset for ruleset in self.host if ruleset.program not in passed_by]
        if host:
            parts.append(self._host(host, transport, port, addresses, container))
        if not parts:
            return Passage(None, (), tuple(self.unread))
        shut = next((passage for passage in parts if passage.open is False), None)
        if shut is not None:
            return shut
        places = tuple(dict.fromkeys(place for passage in parts for place in passage.places))
        unread = tuple(dict.fromkeys([*(note for passage in parts for note in passage.unread), *self.unread]))
        return Passage(None if self.unread or any(passage.open is None for passage in parts) else True, places, unread)

    def way_out(self, transport: str, port: int, addresses: Sequence[str] = ()) -> Passage:
        """What becomes of the host's answers to strangers from a port."""
        ways = []
        for ruleset in self.rulesets:
            gateway = ruleset.front and _forwards(ruleset)
            if ruleset.front and not gateway:
                continue  # a cloud's groups let answers out
            packet = Packet(transport, port, forwarded=gateway, outgoing=True, outer=self._outer(ruleset))
            ways.append(self._any(ruleset, packet, addresses))
        return _all(ways) if ways else Passage(None)

    def lets_in(self, transport: str, port: int) -> tuple[bool | None, str]:
        """Whether anybody may reach a port, and the rule that says so; None where that is not known."""
        way = self.way(transport, port)
        return way.open, way.places[-1] if way.places else ""

    def _host(
        self,
        host: Sequence[Ruleset],
        transport: str,
        port: int,
        addresses: Sequence[str],
        container: tuple[str, int] | None,
    ) -> Passage:
        ways = []
        for ruleset in host:
            if container is not None:
                address, inner = container
                packet = Packet(
                    transport, inner, address=address or None, translated=True, original_port=port, forwarded=True,
                    outer=self._outer(ruleset),
                )  # fmt: skip
                ways.append(_docker(ruleset, packet) or walk(ruleset, packet))
                continue
            ways.append(self._any(ruleset, Packet(transport, port, outer=self._outer(ruleset)), addresses))
        return _all(ways)

    def _front(self, transport: str, port: int, addresses: Sequence[str]) -> Passage:
        ways = []
        for ruleset in self.front:
            gateway = _forwards(ruleset)
            translates = any(
                c.kind == "nat" and c.hook == "prerouting" for t in ruleset.tables.values() for c in t.chains.values()
            )
            packet = Packet(
                transport, port, translated=translates if gateway else False, forwarded=gateway,
                outer=self._outer(ruleset),
            )  # fmt: skip
            ways.append(self._any(ruleset, packet, addresses))
        return _all(ways)

    def _any(self, ruleset: Ruleset, packet: Packet, addresses: Sequence[str]) -> Passage:
        """The best way in over the addresses that a service has."""
        if not addresses:
            return walk(ruleset, packet)
        ways = [walk(ruleset, replace(packet, address=a, version=6 if ":" in a else 4)) for a in addresses]
        best = next((way for way in ways if way.open), None)
        if best is not None:
            return best
        return next((way for way in ways if way.open is None), ways[0])

    def _outer(self, ruleset: Ruleset) -> Callable[[str], bool | None]:
        if ruleset.front or not self.interfaces.names:
            known = Interfaces(names=sorted(_named(ruleset)))
            return known.outer if ruleset.front or not self.interfaces.default else self.interfaces.outer
        return self.interfaces.outer


def _forwards(ruleset: Ruleset) -> bool:
    return any(c.hook == "forward" for t in ruleset.tables.values() for c in t.chains.values())


def _docker(ruleset: Ruleset, packet: Packet) -> Passage | None:
    """Where Docker keeps the rules: it lets in what it publishes, after DOCKER-USER; None where it does not."""
    for table in ruleset.tables.values():
        if "DOCKER" not in table.chains or table.name == "nat":
            continue
        before = Ruleset(ruleset.place, notes=ruleset.notes)
        before.tables[("inet", "before")] = replace(table, family="inet", chains=dict(table.chains))
        user = table.chains.get("DOCKER-USER")
        chains = before.tables[("inet", "before")].chains
        for name, chain in table.chains.items():
            chains[name] = replace(chain, hook="", rules=chain.rules)
        place = (user or table.chains["DOCKER"]).place
        if user is not None:
            chains["DOCKER-USER"] = replace(user, hook="forward", kind="filter", policy="accept")
        way = walk(before, packet)
        return way if way.places != (ruleset.place,) else Passage(way.open, (place,), way.unread)
    return None


def _all(ways: Sequence[Passage]) -> Passage:
    shut = next((way for way in ways if way.open is False), None)
    if shut is not None:
        return shut
    places = tuple(dict.fromkeys(place for way in ways for place in way.places))
    unread = tuple(dict.fromkeys(note for way in ways for note in way.unread))
    return Passage(None if any(way.open is None for way in ways) else True, places, unread)


def _named(ruleset: Ruleset) -> set[str]:
    """Interfaces that a ruleset names."""
    names = set()
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            for rule in chain.rules:
                for condition in rule.conditions:
                    if condition.fields in (("iifname",), ("iif",), ("oifname",), ("oif",)):
                        names |= {element[0].strip('"') for element in condition.elements if element}
    return {name for name in names if not name.endswith(("*", "+"))}


def parse(text: str, name: str, into: Filters) -> bool:
    """Add one file's filter, of whatever program; False where it is none."""
    ruleset = Ruleset(name, front=bool(FRONT.search(name.rpartition("/")[2])))
    if re.search(r"(?mi)^[ \t]*Status:[ \t]*(in)?active", text):
        ruleset.program = "ufw"
        if not fronts.read_ufw(text, ruleset):
            return True  # inactive: it filters nothing, and nothing is said of others
    elif text.lstrip().startswith("<"):
        ruleset.program = "firewalld"
        if not fronts.read_zone_file(text, ruleset):
            return False
    elif text.lstrip().startswith("{"):
        if not nft_json.parse(text, ruleset) and not fronts.read_security_groups(text, ruleset):
            return False
        ruleset.front = ruleset.front or "SecurityGroups" in text
    elif re.search(
        r"(?m)^[ \t]*(\*\w+[ \t]*$|:\w[\w-]* (ACCEPT|DROP|-)|-[APN] \w|Chain \S+ \(|(sudo )?ip6?tables )", text
    ):
        ruleset.program = "iptables"
        iptables.parse(text, ruleset, name)
    elif re.search(r"(?m)^[ \t]+target: ", text):
        ruleset.program = "firewalld"
        if not fronts.read_firewalld(text, ruleset):
            return False
    else:
        nft_text.parse(text, ruleset)
    into.rulesets.append(ruleset)
    return True


__all__ = ["Filters", "Interfaces", "Packet", "Passage", "Ruleset", "parse"]
