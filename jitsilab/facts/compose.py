"""docker-compose.yml: services, what they publish, their environment, with compose's interpolation and overrides."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from jitsilab.errors import Problem
from jitsilab.facts.model import UNKNOWN, Fact, hide
from jitsilab.facts.settings import Settings, interpolate
from jitsilab.ip import is_loopback
from jitsilab.numerals import whole

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NODES = 50_000  # of one file, aliases counted each time
DEPTH = 40
DEEPEST = 100  # of what is nested in a file that is read at all


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container that the host hands on."""

    transport: str
    address: str  # of the host: * where it is every address
    port: int | None  # of the host; None where it is not known, or chosen when the container starts
    inner: int
    place: str

    @property
    def local(self) -> bool:
        """Whether only the host itself reaches it."""
        return is_loopback(self.address)


class Unread(NamedTuple):
    """Something that publishes a port, not all of it known."""

    place: str
    transport: str = ""  # empty where that is not known either
    inner: int | None = None


@dataclass
class Service:
    """One service of a compose file."""

    name: str
    place: str
    image: str = ""
    program: str = ""  # jvb, jicofo, prosody, web, jigasi, jibri, coturn, or empty
    ports: list[Published] = field(default_factory=list)
    environment: Settings = field(default_factory=Settings)
    host_network: bool = False
    addresses: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


@dataclass
class Compose:
    """The services of all files that compose would load."""

    services: dict[str, Service] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    profiles: set[str] = field(default_factory=set)  # that are asked for (COMPOSE_PROFILES)

    def running(self, program: str) -> list[Service]:
        """Services that run a program and are started: those with a profile only where it is asked for."""
        return [
            service for service in self.services.values()
            if service.program == program and (not service.profiles or set(service.profiles) & self.profiles)
        ]  # fmt: skip


class _Reader:
    def __init__(self, name: str, environment: Settings, complete: bool, problems: list[Problem]) -> None:
        self.name = name
        self.environment = environment
        self.complete = complete
        self.problems = problems
        self.nodes = 0

    def place(self, node: Any) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"

    def text(self, node: Any) -> Any:
        """A scalar with its variables put in; UNKNOWN where one of them is not known."""
        if not isinstance(node, yaml.ScalarNode):
            return UNKNOWN
        known = interpolate(node.value, self.environment.raw, complete=self.complete)
        return UNKNOWN if known is None else known

    def pairs(self, node: Any, depth: int = 0) -> Iterator[tuple[str, Any, Any]]:
        """Key, value and key's node of a mapping, merges (``<<``) followed."""
        self.nodes += 1
        if self.nodes > NODES or depth > DEPTH or not isinstance(node, yaml.MappingNode):
            return
        own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == "<<":
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for mapping in merged:
                    yield from (p for p in self.pairs(mapping, depth + 1) if p[0] not in own)
            elif isinstance(key, yaml.ScalarNode):
                yield key.value, value, key

    def items(self, node: Any) -> list[Any]:
        self.nodes += 1
        return node.value[:2000] if isinstance(node, yaml.SequenceNode) and self.nodes < NODES else []


def _composed(text: str) -> Any:
    """The nodes of a document; ValueError where it is nested deeper than any compose file: a stack has an end."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
    return yaml.compose(text, Loader=LOADER)


def parse(
    text: str, name: str, into: Compose, environment: Settings, complete: bool, problems: list[Problem],
    files: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Add one file; later files override and add as compose merges them."""
    try:
        root = _composed(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        problems.append(Problem(0, "compose", 0, f"{where}: not readable as YAML"))
        into.broken.append(name)
        return
    reader = _Reader(name, environment, complete, problems)
    into.profiles |= set(filter(None, environment.text("COMPOSE_PROFILES").split(",")))
    into.files.append(name)
    for key, value, _ in reader.pairs(root):
        if key != "services":
            continue
        for service, body, at in reader.pairs(value):
            _service(reader, service, body, reader.place(at), into, files or {})


_PROGRAMS = (
    (r"(^|/)jvb(:|@|$)|videobridge", "jvb"), (r"(^|/)jicofo(:|@|$)", "jicofo"), (r"(^|/)prosody(:|@|$)", "prosody"),
    (r"jitsi[^/]*/(web)(:|@|$)|jitsi-meet(-web)?(:|@|$)", "web"), (r"(^|/)jigasi(:|@|$)", "jigasi"),
    (r"(^|/)jibri(:|@|$)", "jibri"), (r"coturn|turnserver", "coturn"),
)  # fmt: skip


def _program(image: str, name: str) -> str:
    by_image = next((program for pattern, program in _PROGRAMS if re.search(pattern, image)), "")
    if by_image:
        return by_image
    words = re.split(r"[^a-z]+", name.lower())
    for program in ("jvb", "jicofo", "prosody", "jigasi", "jibri", "coturn"):
        if program in words:
            return program
    return "web" if "web" in words and ("jitsi" in words or "/web" in image) else ""


def _service(reader: _Reader, name: str, body: Any, place: str, into: Compose, files: dict[str, str]) -> None:
    service = into.services.setdefault(name, Service(name, place))
    for key, value, at in reader.pairs(body):
        if key == "image":
            service.image = value.value if isinstance(value, yaml.ScalarNode) else ""
        elif key == "ports":
            if not isinstance(value, yaml.SequenceNode):
                service.unread.append(Unread(reader.place(at)))
            for item in reader.items(value):
                _publish(reader, item, service)
        elif key == "network_mode":
            mode = reader.text(value)
            service.host_network = mode == "host"
            if mode is UNKNOWN:
                service.unread.append(Unread(reader.place(value)))
        elif key == "environment":
            _environment(reader, value, service)
        elif key == "env_file":
            _env_files(reader, value, service, files)
        elif key == "networks":
            for _, network, _ in reader.pairs(value):
                for word, address, _ in reader.pairs(network):
                    if word in ("ipv4_address", "ipv6_address") and (text := reader.text(address)) is not UNKNOWN:
                        service.addresses.append(str(text))
        elif key == "volumes":
            service.volumes += [item.value for item in reader.items(value) if isinstance(item, yaml.ScalarNode)]
        elif key == "profiles":
            service.profiles += [str(reader.text(item)) for item in reader.items(value)]
        elif key == "extends":
            service.unread.append(Unread(reader.place(at)))
            reader.problems.append(Problem(0, "compose", 0, f"{reader.place(at)}: extends, not followed"))
    service.program = _program(service.image, name)


_SHORT = re.compile(
    r"^(?:(?P<address>\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+|):)?(?:(?P<outer>\d+(?:-\d+)?)?:)?"
    r"(?P<inner>\d+(?:-\d+)?)(?:/(?P<transport>tcp|udp|sctp))?$"
)


def _publish(reader: _Reader, node: Any, service: Service) -> None:
    place = reader.place(node)
    if isinstance(node, yaml.MappingNode):
        _publish_long(reader, node, service, place)
        return
    text = reader.text(node)
    written = node.value if isinstance(node, yaml.ScalarNode) else ""
    match = _SHORT.match(str(text).strip()) if text is not UNKNOWN else None
    if match is None and text is UNKNOWN and re.match(r"(127(\.\d+){3}|\[::1\]|localhost):", written):
        return  # whichever port it is, the host alone reaches it
    if match is None:
        end = re.search(r"(?:^|:)(\d+)?(?:\$\{[^{}]*\})?(?:/(tcp|udp))?$", written)
        behind = whole(end[1]) if end is not None else None
        transport = end[2] or "tcp" if end is not None else ""
        service.unread.append(Unread(place, transport, behind))
        reader.problems.append(Problem(0, "compose", 0, f"{place}: which port is published is not known"))
        return
    address = (match["address"] or "*").strip("[]")
    address = "*" if address in ("0.0.0.0", "::", "") else address
    transport = match["transport"] or "tcp"
    inner, outer = _range(match["inner"]), _range(match["outer"])
    for number, port in enumerate(inner[:2000]):
        here = outer[number] if number < len(outer) else None
        service.ports.append(Published(transport, address, here, port, place))


def _range(text: str | None) -> list[int]:
    if not text:
        return []
    low, high = (whole(end) for end in text.partition("-")[::2])
    return [] if low is None else list(range(low, min(low if high is None else high, 65535) + 1))


def _publish_long(reader: _Reader, node: Any, service: Service, place: str) -> None:
    values = {key: reader.text(value) for key, value, _ in reader.pairs(node)}
    target, published = values.get("target"), values.get("published")
    inner = whole(target)
    if inner is None or published is UNKNOWN:
        service.unread.append(Unread(place))
        reader.problems.append(Problem(0, "compose", 0, f"{place}: which port is published is not known"))
        return
    address = str(values.get("host_ip") or "*")
    address = "*" if address in ("0.0.0.0", "::") else address
    outer = _range(str(published)) if published and re.fullmatch(r"[0-9]+(-[0-9]+)?", str(published)) else [None]
    for port in outer[:2000]:
        service.ports.append(Published(str(values.get("protocol") or "tcp"), address, port, inner, place))


def _environment(reader: _Reader, node: Any, service: Service) -> None:
    """``KEY=value``, ``KEY: value``, or ``KEY`` alone, which is what .env says."""
    given = service.environment
    entries: list[tuple[str, Any, str]] = []
    for key, value, at in reader.pairs(node):
        empty = isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null") and not value.value
        entries.append((key, None if empty else reader.text(value), reader.place(at)))
    for item in reader.items(node):
        if isinstance(item, yaml.ScalarNode):
            key, equals, _ = item.value.partition("=")
            text = reader.text(item)
            value = (UNKNOWN if text is UNKNOWN else str(text).partition("=")[2]) if equals else None
            entries.append((key, value, reader.place(item)))
    for key, value, place in entries:
        if value is None:
            inherited = reader.environment.values.get(key)
            if inherited is not None:
                given.values[key] = inherited
            elif reader.complete:
                given.values.pop(key, None)
            else:
                given.values[key] = Fact(UNKNOWN, place)
            continue
        given.values[key] = Fact(hide(key, value), place)


def _env_files(reader: _Reader, node: Any, service: Service, files: dict[str, str]) -> None:
    from jitsilab.facts.settings import read_env

    names = [node] if isinstance(node, yaml.ScalarNode) else reader.items(node)
    for item in names:
        path = reader.text(item) if isinstance(item, yaml.ScalarNode) else UNKNOWN
        if isinstance(item, yaml.MappingNode):
            path = next((reader.text(v) for k, v, _ in reader.pairs(item) if k == "path"), UNKNOWN)
        base = str(path).rpartition("/")[2]
        file = next((name for name in files if name.rpartition("/")[2] == base), None) if path is not UNKNOWN else None
        if file is None:
            reader.problems.append(Problem(0, "compose", 0, f"{reader.place(item)}: env_file {base}, not given"))
            continue
        before = dict(service.environment.values)
        read_env(files[file], file, service.environment)
        service.environment.values.update(before)
