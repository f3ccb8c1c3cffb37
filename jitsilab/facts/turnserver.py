"""coturn's turnserver.conf: options, some of which may stand several times, and the ranges of peers it refuses."""

import ipaddress
from dataclasses import dataclass, field

from jitsilab.facts.model import Fact, Secret, hide

Range = tuple[int, int, int, str]  # IP version, first and last address as numbers, place
SPECIAL = {  # ranges that lead inside: loopback, private, link-local and the cloud's metadata, "this host"
    "loopback": "127.0.0.1", "10.0.0.0/8": "10.0.0.1", "172.16.0.0/12": "172.16.0.1", "192.168.0.0/16": "192.168.0.1",
    "link-local": "169.254.169.254", "carrier-grade NAT": "100.64.0.1", "this host": "0.0.0.1",
    "IPv6 loopback": "::1", "IPv6 unique local": "fd00::1", "IPv6 link-local": "fe80::1",
}  # fmt: skip


@dataclass
class TurnServer:
    """Options by name in the order of the file; an option without a value holds True."""

    options: dict[str, list[Fact]] = field(default_factory=dict)
    name: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is the server's own file, and no piece of one: what is not in it is not set."""
        base = self.name.rpartition("/")[2]
        piece = "custom" in base or "extra" in base
        return base in ("turnserver.conf", "coturn.conf") or (not piece and self.has("realm", "listening-port"))

    def has(self, *names: str) -> bool:
        """Whether one of these options is set."""
        return any(name in self.options for name in names)

    def first(self, name: str) -> Fact | None:
        """The first value of an option."""
        return self.options.get(name, [None])[0]

    def texts(self, name: str) -> list[Fact]:
        """The values of an option that are text."""
        return [fact for fact in self.options.get(name, ()) if isinstance(fact.value, str)]

    def authenticates(self) -> bool | None:
        """Whether requests need credentials; None where users may stand in a database instead of the file.

        turnserver(1): with neither mechanism and no user, no-auth is the default.
        """
        if self.has("no-auth"):
            return False
        if self.has("use-auth-secret", "lt-cred-mech", "oauth", "user", "static-auth-secret"):
            return True
        return None if self.has("userdb", "psql-userdb", "mysql-userdb", "mongo-userdb", "redis-userdb") else False

    def ranges(self, option: str) -> list[Range]:
        """Ranges of ``denied-peer-ip`` or ``allowed-peer-ip``, as ``a-b``, ``a/bits`` or one address."""
        ranges = []
        for fact in self.texts(option):
            try:
                ranges.append((*_range(fact.value), fact.place))
            except ValueError:
                continue
        return ranges

    def rule_for(self, address: str) -> tuple[bool, str]:
        """Whether a peer may be reached, and the place of the rule that says so (empty: no rule, so allowed).

        An address both allowed and denied is allowed (turnserver(1)).
        """
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return True, ""
        for option, verdict in (("allowed-peer-ip", True), ("denied-peer-ip", False)):
            for version, first, last, place in self.ranges(option):
                if version == peer.version and first <= int(peer) <= last:
                    return verdict, place
        return True, ""

    def mapping(self) -> dict[str, str]:
        """Public to private addresses of ``external-ip`` (``public/private``; private empty where not said)."""
        pairs = {}
        for fact in self.texts("external-ip"):
            public, _, private = fact.value.partition("/")
            pairs[public.strip()] = private.strip()
        return pairs


def _range(text: str) -> tuple[int, int, int]:
    if "/" in text:
        network = ipaddress.ip_network(text.strip(), strict=False)
        return network.version, int(network.network_address), int(network.broadcast_address)
    low, _, high = text.partition("-")
    first = ipaddress.ip_address(low.strip())
    last = ipaddress.ip_address((high or low).strip())
    if last.version != first.version:
        raise ValueError
    return first.version, int(first), int(last)


def parse(text: str, name: str, into: TurnServer) -> None:
    """Add the options of one file; ``#`` starts a comment, option and value are parted by ``=`` or space."""
    into.name = into.name or name
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip().lstrip("-").strip()
        if not line:
            continue
        key, equals, value = line.partition("=")
        if not equals:
            key, _, value = line.partition(" ")
        key, value = key.strip(), value.strip().strip("\"'")
        worth: object = True if not value else hide(key, value)
        if key == "user" and isinstance(worth, Secret):
            worth = True  # that there is a user is the fact; neither name nor password is
        into.options.setdefault(key, []).append(Fact(worth, f"{name}:{number}"))
