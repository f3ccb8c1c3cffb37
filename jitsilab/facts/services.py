"""Where the deployment's services listen and what strangers reach of them, on a host or behind containers.

One question, one place: the ports come from the configuration and from what really listens; a default only where
`jitsilab.facts.programs` knows it. Inside a container 0.0.0.0 is not the host: what is published counts.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jitsilab.facts import programs
from jitsilab.facts.facts import Facts
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.model import UNKNOWN, is_local
from jitsilab.facts.packetfilter import Filters
from jitsilab.facts.sockets import Listener

PROSODY = ("c2s", "s2s", "component", "http")
DEFAULTS = {"c2s": 5222, "s2s": 5269, "component": 5347, "http": 5280, "private": 8080, "public": 9090, "rest": 8888,
            "media": 10000}  # fmt: skip
PROGRAM = {"c2s": "prosody", "s2s": "prosody", "component": "prosody", "http": "prosody", "private": "jvb",
           "public": "jvb", "media": "jvb", "rest": "jicofo"}  # fmt: skip
FILES = {"prosody": "prosody.cfg.lua", "jvb": "jvb.conf", "jicofo": "jicofo.conf"}
OF_PROSODY = {5222, 5223, 5269, 5270, 5280, 5281, 5347}  # portmanager's defaults, one service each
_LUA = re.compile(r"^(lua|prosody)", re.I)
_JAVA = re.compile(r"^(java|jvb|jicofo|jsvc)", re.I)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that a service listens on, as the host's network sees it."""

    transport: str
    address: str  # * every address
    port: int
    places: tuple[str, ...] = ()
    inner: int | None = None  # the port inside the container that it leads to

    @property
    def local(self) -> bool:
        """Whether only the host itself reaches it."""
        return is_local(self.address)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a service listens: nowhere, somewhere, or not known and why."""

    known: bool
    endpoints: tuple[Endpoint, ...] = ()
    places: tuple[str, ...] = ()  # what shows that there is no more
    why: str = ""  # why it is not known
    absent: bool = False  # the program is not here at all, as far as sockets and files tell


@dataclass
class Reach:
    """Whether others reach a service, by where it listens and what the filters let in."""

    open: bool | None = None  # None: not known
    note: str = ""
    places: list[str] = field(default_factory=list)
    bound: bool | None = None  # whether it is bound to more than loopback
    certain: bool = True  # False where no filter was given: Linux filters nothing by itself
    filtered: bool = False  # whether a filter was asked


def containers(facts: Facts) -> bool:
    """Whether the deployment runs in containers: compose files, or files that docker-jitsi-meet makes."""
    if facts.compose is not None and any(s.program in FILES for s in facts.compose.services.values()):
        return True
    if facts.handed_on is not None and any(
        re.search(r"jitsi|jvb|jicofo|prosody", handed.container) for handed in facts.handed_on
    ):
        return True
    if facts.environment is not None and any(
        name in facts.environment.values for name in ("JVB_AUTH_PASSWORD", "JICOFO_AUTH_PASSWORD", "JVB_ADVERTISE_IPS")
    ):
        return True
    prosody = facts.prosody
    paths = (
        [f.value for h in prosody.hosts for k, f in h.options.items() if k in ("plugin_paths", "data_path", "ssl")]
        if prosody
        else []
    )
    return any(re.search(r"/prosody-plugins-custom|'/config/|/run/prosody", str(path)) for path in paths)


def listening(facts: Facts, service: str) -> Listening:
    """Where a service listens: c2s, s2s, component, http, private, public, rest, media."""
    program = PROGRAM[service]
    if containers(facts):
        inside = _in_containers(facts, service, program)
        if inside is not None:
            return inside
    if program == "prosody":
        return _prosody(facts, service)
    if service == "rest":
        return _java(facts, "focus", service, _rest(facts), None)
    bridges: list[Hocon | None] = [bridge for bridge in (facts.bridge, *facts.other_bridges) if bridge is not None]
    bridges = bridges or [None]
    listenings = [
        _java(facts, "bridge", service, bridge_settings(facts, service, bridge), bridge) for bridge in bridges
    ]
    return _merged(listenings)


def _merged(listenings: Sequence[Listening]) -> Listening:
    if len(listenings) == 1:
        return listenings[0]
    endpoints = tuple(dict.fromkeys(e for part in listenings for e in part.endpoints))
    places = tuple(dict.fromkeys(p for part in listenings for p in part.places))
    why = next((part.why for part in listenings if not part.known), "")
    return Listening(all(part.known for part in listenings), endpoints, places, why)


# Containers


def _inner_port(facts: Facts, service: str, variables: dict[str, str]) -> int:
    """The port inside the container: as its environment says, else as docker-jitsi-meet's templates have it."""
    names = {"c2s": "XMPP_PORT", "s2s": "PROSODY_S2S_PORT", "http": "PROSODY_HTTP_PORT", "media": "JVB_PORT"}
    text = variables.get(names.get(service, ""), "")
    if re.fullmatch(r"\d{1,5}", text):
        return int(text)
    prosody = facts.prosody
    if service in PROSODY and prosody is not None and prosody.knows_ports(service):
        numbers = prosody.listens(service)[1]
        if numbers:
            return numbers[0]
    return DEFAULTS[service]


def _in_containers(facts: Facts, service: str, program: str) -> Listening | None:
    compose = facts.compose
    transport = "udp" if service == "media" else "tcp"
    services = compose.running(program) if compose is not None else []
    if compose is None or not services:
        return _without_compose(facts, service, transport)
    endpoints: list[Endpoint] = []
    places: list[str] = []
    why = f"{compose.broken[0]} cannot be read" if compose.broken else ""
    for container in services:
        variables = {k: str(f.value) for k, f in container.environment.values.items() if f.value is not UNKNOWN}
        port = _inner_port(facts, service, variables)
        places.append(container.place)
        unread = [u for u in container.unread if u.transport in ("", transport) and u.inner in (None, port)]
        if unread:
            why = f"{unread[0].place}: what is published there is not known"
        if container.host_network:
            on_host = _prosody(facts, service) if program == "prosody" else None
            if on_host is None:
                on_host = _java_alone(facts, service)
            return on_host
        for published in container.ports:
            if published.inner == port and published.transport == transport:
                if published.port is None:
                    why = f"{published.place}: the host's port is chosen when the container starts"
                    continue
                endpoints.append(Endpoint(transport, published.address, published.port, (published.place,), port))
    return Listening(not why, tuple(endpoints), tuple(places), why)


def _without_compose(facts: Facts, service: str, transport: str) -> Listening | None:
    """Rendered files or a .env alone: what `docker ps` lists, or what docker-proxy listens on, tells the rest."""
    port = _inner_port(facts, service, dict(facts.environment.raw) if facts.environment is not None else {})
    if facts.handed_on is not None:
        here = [h for h in facts.handed_on if h.inner == port and h.transport == transport]
        endpoints = tuple(Endpoint(transport, h.address, h.port, (h.place,), port) for h in here)
        return Listening(True, endpoints, (facts.handed_on[0].place,) if facts.handed_on else ())
    proxies = [proxy for proxy in facts.listeners or () if proxy.process == "docker-proxy"]
    if proxies:
        here_too = [proxy for proxy in proxies if proxy.port == port and proxy.transport == transport]
        endpoints = tuple(Endpoint(transport, proxy.address, proxy.port, (proxy.place,), port) for proxy in here_too)
        return Listening(True, endpoints, (proxies[0].place,))
    if facts.listeners is not None and any(_JAVA.match(o.process) or _LUA.match(o.process) for o in facts.listeners):
        return None  # the programs' own sockets are on the host
    return Listening(False, why="what the containers publish was not given (docker-compose.yml, docker ps)")


def _java_alone(facts: Facts, service: str) -> Listening:
    if service == "rest":
        return _java(facts, "focus", service, _rest(facts), None)
    return _java(facts, "bridge", service, bridge_settings(facts, service, facts.bridge), facts.bridge)


# Prosody on the host


def _prosody(facts: Facts, service: str) -> Listening:
    prosody = facts.prosody
    off = prosody.disabled(service) if prosody is not None and service in ("c2s", "s2s") else None
    if off is not None:
        return Listening(True, (), (off.place,))
    sockets = _listed(facts, "tcp")
    known = prosody is not None and prosody.knows_ports(service)
    if prosody is not None and known:
        names, ports, place = prosody.listens(service)
        places = (place or prosody.main,)
        if not ports:
            return Listening(True, (), places)
        if sockets is not None:
            return _of_sockets(sockets, ports, "tcp", places)
        if not names:
            return Listening(False, why=f"{place}: where {service} listens is not known")
        if not prosody.main and not place:
            return Listening(False, why=f"{FILES['prosody']} was not given")
        made = [
            Endpoint("tcp", "*" if name in ("*", "::", "0.0.0.0") else name, port, places)
            for name in names
            for port in ports
        ]
        return Listening(True, tuple(made), places)
    why = f"{FILES['prosody']} was not given"
    if prosody is not None and prosody.broken:
        why = f"{prosody.broken[0]} cannot be read whole"
    elif prosody is not None and prosody.missing:
        why = f"{prosody.missing[0]} includes files that are not here"
    elif prosody is not None and (fact := prosody.ports_fact(service)) is not None:
        why = f"{fact.place}: the ports are not known"
    if sockets is None:
        return Listening(False, why=why)
    own = [socket for socket in sockets if _LUA.match(socket.process)]
    default = [
        socket
        for socket in sockets
        if socket.port == DEFAULTS[service] and (not socket.process or _LUA.match(socket.process))
    ]
    if default:
        return _of_sockets(sockets, [DEFAULTS[service]], "tcp", ())
    strange = [socket for socket in own if not socket.local and socket.port not in OF_PROSODY]
    nameless = [socket for socket in sockets if not socket.process and not socket.local]
    if strange or (nameless and not own):
        maybe = tuple(socket.place for socket in (strange or nameless)[:3])
        return Listening(False, places=maybe, why=f"{why}, and a socket may be that of {service}")
    return Listening(True, (), (sockets[0].place,) if sockets else ())


def _of_sockets(
    sockets: Iterable[Listener], ports: Sequence[int], transport: str, places: tuple[str, ...]
) -> Listening:
    here = [socket for socket in sockets if socket.port in ports and socket.transport == transport]
    made = tuple(Endpoint(transport, socket.address, socket.port, (socket.place,)) for socket in here)
    return Listening(True, tuple(dict.fromkeys(made)), places)


def _listed(facts: Facts, transport: str) -> list[Listener] | None:
    """The sockets of a transport, where a listing has them; None where none was given."""
    listeners = [listener for listener in facts.listeners or () if listener.transport == transport]
    return listeners or None


# Java programs on the host


def bridge_settings(facts: Facts, service: str, bridge: Hocon | None) -> tuple[programs.Setting, programs.Setting]:
    """Port and host of one of the bridge's interfaces."""
    if service == "media":
        port = programs.setting(
            facts, "bridge", "videobridge.ice.udp.port", "org.jitsi.videobridge.SINGLE_PORT_HARVESTER_PORT", 10000,
            bridge=bridge,
        )  # fmt: skip
        return port, programs.Setting("*", default=True)
    old = "org.jitsi.videobridge.rest.private.jetty" if service == "private" else "org.jitsi.videobridge.rest.jetty"
    new = f"videobridge.http-servers.{service}"
    port = programs.setting(
        facts, "bridge", f"{new}.port", f"{old}.port", 8080 if service == "private" else -1, bridge=bridge
    )
    host_default = programs.private_host_default(facts, bridge) if service == "private" else "*"
    host = programs.setting(facts, "bridge", f"{new}.host", f"{old}.host", host_default, bridge=bridge)
    return port, host


def _rest(facts: Facts) -> tuple[programs.Setting, programs.Setting]:
    enabled = programs.setting(facts, "focus", "jicofo.rest.enabled", default=True)
    if enabled.known and str(enabled.value).lower() == "false":
        return programs.Setting(-1, enabled.place), programs.Setting("127.0.0.1", enabled.place)
    port = programs.setting(facts, "focus", "jicofo.rest.port", "org.jitsi.jicofo.auth.jetty.port", 8888)
    host = programs.setting(facts, "focus", "jicofo.rest.host", "", programs.rest_host_default(facts))
    return port, host


def _java(
    facts: Facts, program: str, service: str, settings: tuple[programs.Setting, programs.Setting], bridge: Hocon | None
) -> Listening:
    port, host = settings
    number = programs.number(port)
    transport = "udp" if service == "media" else "tcp"
    sockets = _listed(facts, transport)
    if sockets is None:
        if number is None or not host.known:
            return Listening(False, why=port.why or host.why or f"{port.place}: the port is not known")
        places = tuple(dict.fromkeys(p for p in (port.place, host.place) if p))
        if number <= 0:
            return Listening(True, (), places)
        address = "*" if str(host.value) in ("*", "0.0.0.0", "::", "[::]") else str(host.value)
        return Listening(True, (Endpoint(transport, address, number, places),), places)
    if number is not None and number <= 0:
        return Listening(True, (), (port.place,))
    wanted = number if number is not None else DEFAULTS[service]
    here = [
        socket for socket in sockets if socket.port == wanted and (not socket.process or _JAVA.match(socket.process))
    ]
    if here:
        return _of_sockets(here, [wanted], transport, (port.place,) if port.place else ())
    return _unexplained(facts, program, service, sockets, port, bridge)


def pids(facts: Facts, program: str, bridge: Hocon | None = None) -> set[int]:
    """The processes of the bridge or the focus: those that own a port which the configuration names."""
    wanted: set[tuple[str, int]] = set()
    if program == "bridge":
        for service in ("media", "public", "private"):
            number = programs.number(bridge_settings(facts, service, bridge)[0])
            wanted.add(("udp" if service == "media" else "tcp", number if number is not None else DEFAULTS[service]))
    else:
        number = programs.number(_rest(facts)[0])
        wanted.add(("tcp", number if number is not None else DEFAULTS["rest"]))
    owners = [
        listener
        for listener in facts.listeners or ()
        if (listener.transport, listener.port) in wanted and _JAVA.match(listener.process)
    ]
    return {pid for owner in owners for pid in owner.pids}


def _unexplained(
    facts: Facts, program: str, service: str, sockets: list[Listener], port: programs.Setting, bridge: Hocon | None
) -> Listening:
    """Nothing listens on the port that was looked for: sockets of the same process may be the service's."""
    java = [socket for socket in sockets if _JAVA.match(socket.process) or not socket.process]
    own = pids(facts, program, bridge)
    others = pids(facts, "focus" if program == "bridge" else "bridge", None) - own
    explained = set()
    if program == "bridge":
        explained = {
            programs.number(bridge_settings(facts, s, bridge)[0]) for s in ("public", "private") if s != service
        }
    same = [socket for socket in java if set(socket.pids) & own and socket.port not in explained]
    if service in ("private", "rest") and same:
        return _of_sockets(same, [socket.port for socket in same], sockets[0].transport, ())
    if port.known and not port.default:
        return Listening(True, (), (port.place,))
    maybe = [
        socket for socket in java if not socket.local and not set(socket.pids) & others and socket.port not in explained
    ]
    maybe = [socket for socket in maybe if socket.process or (own and not socket.pids)]
    if maybe and service != "media":
        why = f"{port.why or 'nothing listens on the default port'}, and a socket may be that interface"
        return Listening(False, places=tuple(socket.place for socket in maybe[:3]), why=why)
    return Listening(True, (), (sockets[0].place,), absent=not own)


# Reach


def reach(facts: Facts | None, service: str) -> Reach:
    """Whether strangers reach a service: where it listens, and what the filters let in."""
    if facts is None:
        return Reach()
    where = listening(facts, service)
    if not where.known:
        shut = _all_shut(facts, where)
        return shut or Reach(None, where.why, list(where.places))
    if not where.endpoints:
        places = list(where.places)
        note = "nothing listens there" if places else "nothing of it is here"
        if where.places and containers(facts):
            note = "no port of the container is published"
        return Reach(False, note, places, bound=False)
    return reach_of(facts, where.endpoints, service)


def _all_shut(facts: Facts, where: Listening) -> Reach | None:
    """Where a service may be one of several sockets, and none of them lets strangers in."""
    if not where.places or facts.listeners is None:
        return None
    sockets = [socket for socket in facts.listeners if socket.place in where.places]
    if not sockets or len(where.places) >= 3:
        return None
    asked = [reach_of(facts, [Endpoint(o.transport, o.address, o.port, (o.place,))], "") for o in sockets]
    if all(answer.open is False for answer in asked):
        return Reach(
            False, "the filter shuts every socket that it may be", [p for answer in asked for p in answer.places]
        )
    return None


def reach_of(facts: Facts, endpoints: Sequence[Endpoint], service: str = "") -> Reach:
    """Whether strangers reach one of some endpoints."""
    beyond = [endpoint for endpoint in endpoints if not endpoint.local]
    shown = [place for endpoint in endpoints for place in endpoint.places]
    ports = ", ".join(dict.fromkeys(f"{endpoint.transport} {endpoint.port}" for endpoint in endpoints))
    if not beyond:
        return Reach(False, f"{ports} is bound to loopback", list(dict.fromkeys(shown)), bound=False)
    where = ", ".join(
        dict.fromkeys("every address" if endpoint.address == "*" else endpoint.address for endpoint in beyond)
    )
    ports = ", ".join(dict.fromkeys(f"{endpoint.transport} {endpoint.port}" for endpoint in beyond))
    filters = facts.firewall or Filters()
    ways = []
    for endpoint in beyond:
        addresses = (
            [endpoint.address] if endpoint.address != "*" else [a for a in facts.addresses if not a.startswith("fe80")]
        )
        container = (("", endpoint.inner)) if endpoint.inner is not None else None
        ways.append(filters.way(endpoint.transport, endpoint.port, addresses, container=container))
    places = [*(place for endpoint in beyond for place in endpoint.places)]
    opened = next((way for way in ways if way.open), None)
    bound = f"{ports} is {'published on' if beyond[0].inner is not None else 'bound to'} {where}"
    if opened is not None:
        return Reach(True, f"{bound}, and the filter lets it in", [*places, *opened.places], True,
                     bool(filters.host) or beyond[0].inner is not None, True)  # fmt: skip
    if all(way.open is False for way in ways):
        return Reach(False, f"{bound}, and the filter shuts it", [*places, *(p for w in ways for p in w.places)], True,
                     filtered=True)  # fmt: skip
    unread = list(dict.fromkeys(note for way in ways for note in way.unread))
    if unread:
        return Reach(None, f"{bound}; what the filter does is not known: {'; '.join(unread[:3])}", places, True,
                     filtered=True)  # fmt: skip
    return Reach(None, f"{bound}; what the filter lets in is not known", places, True, certain=False)


def reach_port(facts: Facts | None, transport: str, port: int) -> Reach:
    """Whether strangers reach a port of the host, whatever listens there; not known without a list of sockets."""
    sockets = _listed(facts, transport) if facts is not None else None
    if facts is None or sockets is None:
        return Reach()
    here = [
        Endpoint(transport, socket.address, socket.port, (socket.place,)) for socket in sockets if socket.port == port
    ]
    if not here:
        return Reach(False, f"nothing listens on {transport} {port}", [sockets[0].place], bound=False)
    return reach_of(facts, here)
