"""What each kind of file says: the reader of every kind, and what only shows when all files are read."""

import json
import re
from typing import TYPE_CHECKING, Any

from jitsilab.errors import Problem
from jitsilab.facts import (
    apache,
    certificates,
    compose,
    hocon,
    nginx,
    packetfilter,
    properties,
    prosody,
    settings,
    sockets,
    turnserver,
    versions,
    webconfig,
)
from jitsilab.facts.compose import Compose
from jitsilab.facts.directives import Directive
from jitsilab.facts.facts import Facts
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.model import Fact
from jitsilab.facts.nginx import Nginx
from jitsilab.facts.packetfilter import Filters
from jitsilab.facts.prosody import Prosody
from jitsilab.facts.settings import Settings
from jitsilab.facts.turnserver import TurnServer
from jitsilab.facts.webconfig import WebConfig

if TYPE_CHECKING:
    from jitsilab.facts.loading import File

KEPT = 1 << 23  # characters of files that are kept to find the columns of values


def add(file: "File", files: "list[File]", facts: Facts) -> None:
    """Add what a file says, read by the reader of its kind; ``files`` are all that are in force or beside it."""
    text, name, problems = file.text, file.name, facts.problems
    if sum(map(len, facts.texts.values())) < KEPT:
        facts.texts[name] = text
    match file.kind:
        case "prosody":
            facts.prosody = facts.prosody or Prosody()
            same = [other.name for other in files if other.kind == "prosody"]
            prosody.parse(text, name, facts.prosody, problems, same)
        case "turn":
            facts.turn = facts.turn or TurnServer()
            turnserver.parse(text, name, facts.turn)
        case "bridge" | "focus":
            _read_hocon(file, files, facts)
        case "properties":
            properties.parse(text, name, _properties_of(name, text, facts))
        case "shell":
            into = facts.shell.setdefault(_owner(name, text), Settings())
            settings.read_shell(text, name, into)
        case "env":
            facts.environment = facts.environment or Settings()
            settings.read_env(text, name, facts.environment)
        case "compose":
            facts.compose = facts.compose or Compose()
            environment = facts.environment or Settings()
            texts = {other.name: other.text for other in files}
            compose.parse(text, name, facts.compose, environment, facts.environment is not None, problems, texts)
        case "containers":
            facts.handed_on = (facts.handed_on or []) + sockets.handed_on(text, name)
        case "nginx":
            facts.nginx = facts.nginx or Nginx()
            nginx.parse(text, name, facts.nginx, problems)
        case "apache":
            facts.apache = facts.apache or Directive("", (), name)
            root = apache.parse(text, name, problems)
            for directive in root.block:
                directive.parent = facts.apache
            facts.apache.block += root.block
        case "web":
            facts.web = facts.web or WebConfig()
            webconfig.parse(text, name, facts.web, problems)
        case "sockets":
            listeners = sockets.listeners(text, name)
            facts.listeners = (facts.listeners or []) + listeners
            if not listeners:
                problems.append(Problem(0, "facts", 0, f"{name}: no listening socket is listed"))
        case "firewall":
            facts.firewall = facts.firewall or Filters()
            if not packetfilter.parse(text, name, facts.firewall):
                problems.append(Problem(0, "filter", 0, f"{name}: not understood as a packet filter"))
                facts.firewall.unread.append(name)
        case "collection":
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip() == "empty: nft list ruleset":  # it was asked, and filters nothing
                    facts.firewall = facts.firewall or Filters()
                    facts.firewall.rulesets.append(packetfilter.Ruleset(f"{name}:{number}"))
        case "addresses":
            facts.addresses += [a for a in sockets.addresses(text) if a not in facts.addresses]
            facts.interfaces += [i for i in sockets.interfaces(text) if i not in facts.interfaces]
        case "route":
            facts.default_route = facts.default_route or sockets.default_route(text)
        case "hosts":
            facts.names += sockets.hosts(text, name)
        case "certificate":
            facts.certificates += certificates.parse(text, name, problems)
        case "versions":
            facts.versions = {**versions.parse(text, name), **facts.versions}
        case "published":
            facts.versions = {**published(text, name, problems), **facts.versions}


def _read_hocon(file: "File", files: "list[File]", facts: Facts) -> None:
    """One set of values a program; a second jvb.conf (jvb2.conf) is a second bridge."""
    base = file.name.rpartition("/")[2]
    same = [
        sibling.name.rpartition("/")[2] for sibling in files if sibling.kind == file.kind and sibling.name != file.name
    ]
    if file.kind == "focus":
        facts.focus = facts.focus or Hocon()
        hocon.parse(file.text, file.name, facts.focus, facts.problems, same)
    elif facts.bridge is None or base.startswith("custom-"):
        facts.bridge = facts.bridge or Hocon()
        hocon.parse(file.text, file.name, facts.bridge, facts.problems, same)
    else:
        other = Hocon()
        hocon.parse(file.text, file.name, other, facts.problems, same)
        facts.other_bridges.append(other)


def _owner(name: str, text: str) -> str:
    """Which program a file of variables or properties belongs to."""
    for word, program in (("videobridge", "bridge"), ("jvb", "bridge"), ("jicofo", "focus"), ("coturn", "turn"),
                          ("jigasi", "jigasi"), ("jibri", "jibri"), ("ufw", "ufw")):  # fmt: skip
        if word in name.lower():
            return program
    if re.search(r"(?m)^(JVB_|org\.(jitsi\.videobridge|ice4j)\b)", text):
        return "bridge"
    if re.search(r"(?m)^(JICOFO_|org\.jitsi\.jicofo\b)", text):
        return "focus"
    return "turn" if "TURNSERVER_ENABLED" in text else "other"


def _properties_of(name: str, text: str, facts: Facts) -> Settings:
    return facts.properties.setdefault(_owner(name, text), Settings())


def finish(facts: Facts) -> None:
    """What only shows when all files are read."""
    for kind, broken in (("prosody", facts.prosody), ("focus", facts.focus), ("nginx", facts.nginx)):
        if kind in facts.ambiguous and broken is not None:
            broken.broken.append("one of two main files")
    for program, variables in facts.shell.items():
        for key in ("JAVA_SYS_PROPS", "JVB_OPTS", "JICOFO_OPTS"):
            fact = variables.get(key)
            if fact is None or not isinstance(fact.value, str):
                continue
            system = facts.system.setdefault(program, Settings())
            for name, value in properties.of_command_line(fact.value):
                system.values[name] = Fact(value, fact.place)
            system.raw["options"] = fact.value
    if facts.firewall is not None:
        facts.firewall.interfaces = packetfilter.Interfaces(facts.default_route, facts.interfaces)
    if facts.nginx is not None:
        facts.nginx.resolve()
        for include in facts.nginx.missing:
            note = f"{include.place}: includes {include.text()[:80]}, which is not here"
            facts.problems.append(Problem(0, "nginx", 0, note))
    notes: dict[str, str] = {}
    for problem in facts.problems:
        name = next((file.path for file in facts.inputs if problem.message.startswith(file.path + ":")), "")
        if name:
            notes.setdefault(name, problem.message.removeprefix(name).lstrip(":").strip())
    facts.inputs = sorted(i._replace(note=i.note or _line(notes.get(i.path, ""))) for i in facts.inputs)


def _line(note: str) -> str:
    match = re.match(r"(\d+): (.*)$", note, re.S)
    return f"line {match[1]}: {match[2]}" if match else note


def published(text: str, name: str, problems: list[Problem]) -> dict[str, Fact]:
    """The versions of a deployment that a study published: ``{"packages": {name: version}}``."""
    try:
        packages: Any = json.loads(text).get("packages", {})
    except (ValueError, AttributeError):
        problems.append(Problem(0, "facts", 0, f"{name}: not readable as JSON"))
        return {}
    if not isinstance(packages, dict):
        return {}
    lines = text.split("\n")
    by_package = {}
    for key, value in packages.items():
        if isinstance(value, str):
            line = next((number for number, line in enumerate(lines, 1) if f'"{key}":' in line), 0)
            by_package[str(key)] = Fact(value, f"{name}:{line}" if line else name)
    return by_package
