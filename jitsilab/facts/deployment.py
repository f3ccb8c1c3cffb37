"""The deployment as one: what diagnosis asks of it, each value with the place to change and what kind of thing it is.

Values that are not known are UNKNOWN, with the reason; an empty list means that the files were read and have none.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from jitsilab import ip
from jitsilab.facts import locations, programs, services, values
from jitsilab.facts.facts import Facts
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.locations import Location
from jitsilab.facts.model import UNKNOWN, Fact
from jitsilab.facts.prosody import Host
from jitsilab.facts.values import Span, Value, made
from jitsilab.numerals import whole


class LetIn(NamedTuple):
    """Whether the filters let UDP pass: True, False, or None; the rules that say so; what was not understood."""

    answer: bool | None
    places: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Mapping(NamedTuple):
    """An address of the bridge that is shown to others as another one."""

    local: Value
    public: Value
    local_port: Value | None = None
    public_port: Value | None = None


class Login(NamedTuple):
    """How the bridge or the focus logs in to an XMPP server."""

    name: str  # of this connection in its configuration
    server: Value
    port: Value
    domain: Value
    user: Value
    password: Value  # a mark: equal marks are equal passwords
    rooms: tuple[Value, ...]  # the brewery, as JIDs


class ProsodyHost(NamedTuple):
    """A VirtualHost or Component of Prosody."""

    name: Value
    kind: str  # VirtualHost, Component
    module: str
    authentication: Value
    modules: frozenset[str]


class Deployment:
    """A view of the facts of one deployment."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    # The bridge

    @cached_property
    def containers(self) -> bool:
        """Whether it runs in containers (docker-jitsi-meet)."""
        return services.containers(self.facts)

    @property
    def _bridges(self) -> list[Hocon | None]:
        bridges = [bridge for bridge in (self.facts.bridge, *self.facts.other_bridges) if bridge is not None]
        return [*bridges] or [None]

    def bridge_ports(self) -> list[Value]:
        """UDP ports that bridges send and take media on, one a bridge; UNKNOWN where no file says."""
        ports = []
        inside = services.listening(self.facts, "media") if self.containers else None
        if inside is not None and inside.known and inside.endpoints:
            return [
                Value(endpoint.port, endpoint.places[0] if endpoint.places else "", "port")
                for endpoint in inside.endpoints
            ]
        for bridge in self._bridges:
            setting = services.bridge_settings(self.facts, "media", bridge)[0]
            number = programs.number(setting)
            if number is None and (variable := self._variable("JVB_PORT")) is not None:
                ports.append(variable)
                continue
            worth: Any = number if number is not None else UNKNOWN
            ports.append(Value(worth, "" if setting.default else setting.place, "port", setting.why, setting.default))
        return ports

    def udp_let_in(self, port: int | None = None) -> LetIn:
        """Whether the filters let strangers' UDP to the bridge: to one port, or to all its ports."""
        return self._let(port, outgoing=False)

    def udp_let_out(self, port: int | None = None) -> LetIn:
        """Whether the filters let the bridge's UDP out to strangers."""
        return self._let(port, outgoing=True)

    def _let(self, port: int | None, outgoing: bool) -> LetIn:
        ports = [port] if port is not None else [v.value for v in self.bridge_ports() if isinstance(v.value, int)]
        filters = self.facts.firewall
        if filters is None or not ports:
            return LetIn(None)
        answers: list[LetIn] = []
        for number in ports:
            sockets = [o for o in self.facts.listening("udp", number) if not o.local and o.address != "*"]
            addresses = list(dict.fromkeys(socket.address for socket in sockets)) or _reachable(self.facts.addresses)
            if outgoing:
                way = filters.way_out("udp", number, addresses)
            elif self._published(number):
                way = filters.way("udp", number, addresses, container=("", number))
            else:
                way = filters.way("udp", number, addresses)
            answers.append(LetIn(way.open, way.places, way.unread))
        shut = next((answer for answer in answers if answer.answer is False), None)
        return shut or next((answer for answer in answers if answer.answer is None), answers[0])

    def _published(self, port: int) -> bool:
        compose = self.facts.compose
        bridges = compose.running("jvb") if compose is not None else []
        return any(p.port == port and p.transport == "udp" for service in bridges for p in service.ports)

    def mappings(self) -> list[Mapping]:
        """Addresses that the bridge shows instead of, or beside, its own: static mappings, old properties, .env."""
        mappings: list[Mapping] = []
        for bridge in self._bridges:
            fact = bridge.get("ice4j.harvest.mapping.static-mappings") if bridge is not None else None
            for entry in fact.value if fact is not None and isinstance(fact.value, list) else ():
                if isinstance(entry, dict):
                    mappings.append(self._mapping(entry, fact))
        values = self.facts.properties.get("bridge")
        if values is not None:
            prefix = "org.ice4j.ice.harvest.NAT_HARVESTER_"
            pair = [values.get(f"{prefix}{side}_ADDRESS") for side in ("LOCAL", "PUBLIC")]
            if pair[0] is not None and pair[1] is not None:
                mappings.append(Mapping(made(pair[0], "address"), made(pair[1], "address")))
        return mappings or list(self._advertised())

    def _mapping(self, entry: dict[str, Any], fact: Any) -> Mapping:
        def value(key: str, kind: str) -> Value:
            text = entry.get(key)
            known = text if isinstance(text, str | int) else UNKNOWN
            return Value(known, self._line_of(fact, known), kind)

        ports = [value(k, "port") if k in entry else None for k in ("local-port", "public-port")]
        return Mapping(value("local-address", "address"), value("public-address", "address"), ports[0], ports[1])

    def _advertised(self) -> Iterator[Mapping]:
        """JVB_ADVERTISE_IPS, or DOCKER_HOST_ADDRESS of old: the local address is the container's."""
        local = Value(UNKNOWN, kind="address", why="the container's own address")
        variable = self._variable("JVB_ADVERTISE_IPS") or self._variable("DOCKER_HOST_ADDRESS")
        if variable is None or not variable.known:
            return
        for text in str(variable.value).split(","):
            address, _, port = text.strip().partition("#")
            if address:
                shown = Value(address, variable.place, "address")
                number = whole(port)
                yield Mapping(local, shown, None, None if number is None else Value(number, variable.place, "port"))

    def _variable(self, name: str) -> Value | None:
        """A variable of the bridge's container, as compose gives it, else of .env."""
        compose = self.facts.compose
        stores = [service.environment for service in compose.running("jvb")] if compose is not None else []
        stores += [self.facts.environment] if self.facts.environment is not None else []
        for store in stores:
            fact = store.get(name)
            if fact is not None and fact.value != "":
                number = whole(fact.value)
                return Value(
                    fact.value if number is None else number,
                    fact.place,
                    "port" if name.endswith("_PORT") else "address",
                )
        return None

    def stun_servers(self) -> list[Value]:
        """STUN servers that the bridge asks for its public address."""
        servers: list[Value] = []
        for bridge in self._bridges:
            fact = bridge.get("ice4j.harvest.mapping.stun.addresses") if bridge is not None else None
            if fact is not None and isinstance(fact.value, list):
                servers += [Value(server, fact.place, "name") for server in fact.value if isinstance(server, str)]
        values = self.facts.properties.get("bridge")
        fact = values.get("org.ice4j.ice.harvest.STUN_MAPPING_HARVESTER_ADDRESSES") if values is not None else None
        if fact is not None and isinstance(fact.value, str):
            servers += [Value(server.strip(), fact.place, "name") for server in fact.value.split(",") if server.strip()]
        return servers

    def allowed_interfaces(self) -> list[Value]:
        """Interfaces that the bridge may use; empty where it may use all."""
        fact = self.facts.bridge.get("ice4j.harvest.allowed-interfaces") if self.facts.bridge is not None else None
        listed = fact.value if fact is not None and isinstance(fact.value, list) else []
        return [
            Value(interface, fact.place, "name")
            for interface in listed
            if fact is not None and isinstance(interface, str)
        ]

    # XMPP

    def bridge_logins(self) -> list[Login]:
        """The bridges' connections to XMPP servers: jvb.conf, or the old properties."""
        logins: list[Login] = []
        values = self.facts.properties.get("bridge")
        if values is not None:
            logins += _logins(values.values, r"org\.jitsi\.videobridge\.xmpp\.user\.([\w-]+)\.(\w+)$")
        for bridge in self._bridges if not logins else ():
            if bridge is not None:
                prefix = r"videobridge\.apis\.xmpp-client\.configs\.(.+)\.([\w-]+)$"
                logins += _logins(bridge.values, prefix)
        return logins

    def focus_login(self) -> Login | None:
        """The focus's connection: jicofo.conf; the brewery is `brewery`."""
        focus = self.facts.focus
        if focus is None or not focus.name:
            return None

        def value(key: str, kind: str, old: str = "", default: Any = UNKNOWN) -> Value:
            setting = programs.setting(self.facts, "focus", f"jicofo.xmpp.client.{key}", old, default)
            return Value(
                setting.value, "" if setting.default else setting.place, kind, setting.why, setting.default, key
            )

        old = "org.jitsi.jicofo"
        return Login(
            "client", value("hostname", "address", f"{old}.XMPP_HOSTNAME", "localhost"),
            value("port", "port", f"{old}.XMPP_PORT", 5222), value("domain", "name"),
            value("username", "name", default="focus"), value("password", "secret"), (),
        )  # fmt: skip

    def brewery(self) -> Value:
        """The room in which the focus looks for bridges."""
        old = "org.jitsi.jicofo.BRIDGE_MUC"
        setting = programs.setting(self.facts, "focus", "jicofo.bridge.brewery-jid", old)
        return Value(setting.value, setting.place, "jid", setting.why)

    def prosody_hosts(self) -> list[ProsodyHost]:
        """Prosody's virtual hosts and components that are enabled."""
        prosody = self.facts.prosody
        if prosody is None:
            return []
        hosts = []
        for host in (h for kind in ("VirtualHost", "Component") for h in prosody.hosts_of(kind)):
            fact = prosody.get(host, "authentication")
            way = made(fact, "name") if fact is not None else Value(UNKNOWN, kind="name", why="not set")
            modules = frozenset(prosody.modules(host))
            hosts.append(ProsodyHost(Value(host.name, host.place, "name"), host.kind, host.module, way, modules))
        return hosts

    def option(self, host: str, key: str) -> Value | None:
        """An option of one of Prosody's hosts, the global one where it has none of its own."""
        prosody = self.facts.prosody
        section: Host | None = next((h for h in prosody.hosts if h.name == host), None) if prosody is not None else None
        fact = prosody.get(section, key) if prosody is not None and section is not None else None
        return made(fact, "") if fact is not None else None

    # Addresses and names

    def own_addresses(self) -> list[str]:
        """The host's own addresses, loopback left out."""
        return list(self.facts.addresses)

    def domain(self) -> Value:
        """The name that participants open."""
        web, prosody = self.facts.web, self.facts.prosody
        fact = web.get("hosts.domain") if web is not None else None
        if fact is not None and isinstance(fact.value, str):
            return Value(fact.value, fact.place, "name")
        public = self.facts.environment.get("PUBLIC_URL") if self.facts.environment is not None else None
        if public is not None and isinstance(public.value, str) and public.value:
            name = re.sub(r"^\w+://", "", public.value).partition("/")[0].partition(":")[0]
            return Value(name, public.place, "name")
        focus = self.facts.focus
        fact = focus.get("jicofo.xmpp.client.xmpp-domain") if focus is not None else None
        if fact is not None and isinstance(fact.value, str):
            return Value(fact.value, fact.place, "name")
        for host in prosody.hosts_of("VirtualHost") if prosody is not None else ():
            if {"bosh", "websocket"} & prosody.modules(host) or not host.name.startswith(("auth.", "guest.")):  # type: ignore[union-attr]
                return Value(host.name, host.place, "name")
        return Value(UNKNOWN, kind="name", why="no file names the domain")

    def domain_addresses(self) -> list[Value]:
        """What the domain's name stands for, where somebody wrote it down; loopback left out."""
        domain = self.domain().value
        named = [entry for entry in self.facts.names if entry.name == domain and not ip.is_loopback(entry.address)]
        return [Value(entry.address, entry.place, "address") for entry in named]

    def public_addresses(self) -> set[str]:
        """Addresses that others know the server by: mappings, TURN's outer addresses, the domain's."""
        addresses = {str(mapping.public.value) for mapping in self.mappings() if mapping.public.known}
        addresses |= {str(value.value) for value in self.domain_addresses()}
        turn = self.facts.turn
        return addresses | (set(turn.mapping()) if turn is not None else set())

    # TURN

    def turn_external(self) -> list[Value]:
        """Coturn's outer addresses (external-ip), with the private one behind a slash where it is said."""
        turn = self.facts.turn
        return [made(fact, "address") for fact in turn.texts("external-ip")] if turn is not None else []

    def turn_peers(self, option: str) -> list[Value]:
        """Coturn's ``denied-peer-ip`` or ``allowed-peer-ip``, as they are written."""
        turn = self.facts.turn
        return [made(fact, "address") for fact in turn.texts(option)] if turn is not None else []

    def turn_sockets(self) -> list[services.Endpoint]:
        """What coturn listens on, where sockets were listed."""
        named = [
            listener for listener in self.facts.listeners or () if re.match(r"turnserver|coturn", listener.process)
        ]
        return [services.Endpoint(o.transport, o.address, o.port, (o.place,)) for o in named]

    def turn_offered(self) -> tuple[bool | None, tuple[str, ...]]:
        """Whether clients are told of a TURN server (external_services, turncredentials), and where that is said."""
        prosody = self.facts.prosody
        if prosody is None:
            return None, ()
        for host in prosody.hosts:
            for key in ("external_services", "turncredentials"):
                fact = host.options.get(key)
                if fact is None or fact.value is UNKNOWN or not isinstance(fact.value, list):
                    continue
                kinds = {str(entry.get("type")) for entry in fact.value if isinstance(entry, dict)}
                if kinds & {"turn", "turns"}:
                    return True, (fact.place,)
        return (False if prosody.whole else None), ()

    # The web server and places

    def locations(self, path: str = "") -> list[Location]:
        """Paths of nginx and Apache with what becomes of requests; those that a path comes by, where one is given."""
        return locations.locations(self.facts, path)

    def span(self, value: Value) -> Span | None:
        """Where a value's characters stand in its file; None where they cannot be found (a computed value)."""
        return values.span(self.facts, value)

    def values(self) -> Iterator[Value]:
        """Every value of the files that is an address, a name, a secret or a port, for who has to replace it."""
        return values.every(self.facts)

    def _line_of(self, fact: Any, value: Any) -> str:
        """The place of a value inside a list or table that begins at a fact's place."""
        span = self.span(Value(value, fact.place)) if value is not UNKNOWN else None
        return f"{Value(value, fact.place).file}:{span.line}" if span is not None else str(fact.place)


def _reachable(addresses: Sequence[str]) -> list[str]:
    return [address for address in addresses if not address.startswith("fe80")]


def _logins(values: "dict[str, Fact]", pattern: str) -> list[Login]:
    """Connections by their names, of keys as ``prefix.NAME.KEY``."""
    by_name: dict[str, dict[str, Fact]] = {}
    spelled: dict[str, dict[str, str]] = {}
    written: dict[str, str] = {}
    for key, fact in values.items():
        match = re.match(pattern, key)
        if match:
            plain = match[2].upper().replace("-", "_")
            by_name.setdefault(match[1], {})[plain] = fact
            spelled.setdefault(match[1], {})[plain] = match[2]

    def value(keys: "dict[str, Fact]", name: str, kind: str, default: Any = UNKNOWN) -> Value:
        given = keys.get(name)
        if given is not None:
            number = whole(given.value) if kind == "port" else None
            return Value(given.value if number is None else number, given.place, kind, key=written[name])
        return Value(default, "", kind, "" if default is not UNKNOWN else "not set", default is not UNKNOWN)

    logins = []
    for name, keys in by_name.items():
        written = spelled[name]
        muc = keys.get("MUC_JIDS") or keys.get("MUC")
        texts = muc.value if muc is not None and isinstance(muc.value, list) else [muc.value] if muc else []
        rooms = tuple(
            Value(room.strip(), muc.place, "jid")
            for text in texts if isinstance(text, str) and muc is not None for room in text.split(",") if room.strip()
        )  # fmt: skip
        logins.append(Login(name, value(keys, "HOSTNAME", "address"), value(keys, "PORT", "port", 5222),
                            value(keys, "DOMAIN", "name"), value(keys, "USERNAME", "name"),
                            value(keys, "PASSWORD", "secret"), rooms))  # fmt: skip
    return logins


__all__ = ["Deployment", "LetIn", "Location", "Login", "Mapping", "ProsodyHost", "Span", "Value"]
