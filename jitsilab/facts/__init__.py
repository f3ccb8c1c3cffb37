"""Deployment facts: what a server's own files say, value by value, with the place of each (``file:line``).

A folder of files goes in, whatever their names and state: unknown or broken ones are reported, never fatal. Secrets
turn into marks while they are read (`jitsilab.facts.model.Secret`); private keys are not opened.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jitsilab.errors import CaptureError, Problem
from jitsilab.facts import certificates, hocon, nginx, prosody, sockets, turnserver, versions, webconfig
from jitsilab.facts.certificates import Placed
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.model import Fact
from jitsilab.facts.nginx import Nginx
from jitsilab.facts.prosody import Prosody
from jitsilab.facts.sockets import Firewall, Listener
from jitsilab.facts.turnserver import TurnServer
from jitsilab.facts.webconfig import WebConfig

LARGEST = 1 << 20  # bytes of one file
MOST = 400  # files
DEEPEST = 8  # folders
NO_FACTS = ("hosts", "ip-route", "ip-link", "secrets", "readme", "access.log", "error.log")  # known, and not asked


@dataclass
class Facts:
    """What is known of a deployment; None where no file of that kind was there."""

    folder: str = ""
    prosody: Prosody | None = None
    turn: TurnServer | None = None
    bridge: Hocon | None = None
    focus: Hocon | None = None
    nginx: Nginx | None = None
    web: WebConfig | None = None
    listeners: list[Listener] | None = None
    firewall: Firewall | None = None
    addresses: list[str] = field(default_factory=list)
    certificates: list[Placed] = field(default_factory=list)
    versions: dict[str, Fact] = field(default_factory=dict)
    private_keys: list[str] = field(default_factory=list)  # files that hold one
    problems: list[Problem] = field(default_factory=list)

    def listening(self, transport: str, port: int) -> list[Listener]:
        """The sockets on a port."""
        return [one for one in self.listeners or () if (one.transport, one.port) == (transport, port)]

    def version(self, *packages: str) -> Fact | None:
        """The version of the first of these packages that is known."""
        return next((self.versions[name] for name in packages if name in self.versions), None)


def load(folder: str | Path) -> Facts:
    """Read a folder of a server's files. Raises CaptureError where the folder itself cannot be read."""
    root = Path(folder)
    if not root.is_dir():
        raise CaptureError(f"There is no folder {folder}: --facts takes a folder of a server's configuration files.")
    facts = Facts(str(folder))
    for number, path in enumerate(_files(root)):
        name = path.relative_to(root).as_posix()
        if number >= MOST:
            facts.problems.append(Problem(0, "facts", 0, f"more than {MOST} files; those from {name} on are left out"))
            break
        try:
            data = path.read_bytes()[: LARGEST + 1]
        except OSError as error:
            facts.problems.append(Problem(0, "facts", 0, f"{name}: {error.strerror}"))
            continue
        if len(data) > LARGEST:
            facts.problems.append(Problem(0, "facts", 0, f"{name}: larger than {LARGEST} bytes, left out"))
        elif b"PRIVATE KEY-----" in data:
            facts.private_keys.append(name)
        else:
            _read(data.decode("utf-8", "replace").replace("\r\n", "\n"), name, facts)
    return facts


def from_versions(packages: dict[str, str], place: str) -> Facts:
    """Facts where nothing but versions is known, as of a published study."""
    return Facts(versions={name: Fact(version, place) for name, version in packages.items()})


def _files(root: Path) -> Iterator[Path]:
    """Files in a stable order, Prosody's main file before what it includes; no link leads out of the folder."""
    inside = root.resolve()
    paths = [p for p in root.rglob("*") if p.is_file() and len(p.relative_to(root).parts) <= DEEPEST]
    paths = [p for p in paths if p.resolve().is_relative_to(inside)]
    return iter(sorted(paths, key=lambda p: (p.name != "prosody.cfg.lua", p.relative_to(root).as_posix())))


def _read(text: str, name: str, facts: Facts) -> None:
    kind = _kind(name, text)
    if kind == "prosody":
        facts.prosody = facts.prosody or Prosody()
        prosody.read(text, name, facts.prosody, facts.problems)
    elif kind == "turn":
        facts.turn = facts.turn or TurnServer()
        turnserver.read(text, name, facts.turn)
    elif kind == "bridge":
        facts.bridge = facts.bridge or Hocon()
        hocon.read(text, name, facts.bridge, facts.problems)
    elif kind == "focus":
        facts.focus = facts.focus or Hocon()
        hocon.read(text, name, facts.focus, facts.problems)
    elif kind == "nginx":
        facts.nginx = facts.nginx or Nginx()
        nginx.read(text, name, facts.nginx, facts.problems)
    elif kind == "web":
        facts.web = facts.web or WebConfig()
        webconfig.read(text, name, facts.web, facts.problems)
    elif kind == "sockets":
        facts.listeners = (facts.listeners or []) + sockets.listeners(text, name)
    elif kind == "firewall":
        facts.firewall = facts.firewall or Firewall()
        sockets.firewall(text, name, facts.firewall)
    elif kind == "addresses":
        facts.addresses += [a for a in sockets.addresses(text) if a not in facts.addresses]
    elif kind == "certificate":
        facts.certificates += certificates.read(text, name, facts.problems)
    elif kind == "versions":
        facts.versions = {**versions.read(text, name), **facts.versions}
    elif kind == "published":
        facts.versions = {**_published(text, name, facts.problems), **facts.versions}
    elif kind == "unknown":
        facts.problems.append(Problem(0, "facts", 0, f"{name}: not a file of a known kind, left out"))


def _kind(name: str, text: str) -> str:
    """What a file is, by its usual name, else by what stands in it."""
    base = name.rpartition("/")[2].lower()
    for pattern, kind in _NAMES:
        if re.search(pattern, base):
            return kind
    if any(base.startswith(word) for word in NO_FACTS):
        return "known"
    return next((kind for pattern, kind in _CONTENTS if re.search(pattern, text)), "unknown")


_NAMES = (
    (r"\.lua$", "prosody"), (r"^turnserver.*\.conf$|^coturn.*\.conf$", "turn"), (r"^jvb.*\.conf$", "bridge"),
    (r"^jicofo.*\.conf$", "focus"), (r"nginx.*\.conf$", "nginx"), (r"^(.*-)?config\.js$|interface_config", "web"),
    (r"^(ss|netstat)\b", "sockets"), (r"^(security-group|nft|nftables)", "firewall"), (r"^ip-?addr", "addresses"),
    (r"^(versions?|packages|dpkg)", "versions"), (r"^deployment\.json$", "published"),
)  # fmt: skip
_CONTENTS = (
    ("-----BEGIN CERTIFICATE-----", "certificate"), (r'(?m)^\s*(VirtualHost|Component)\s*\(?"', "prosody"),
    (r"(?m)^\s*(server|stream|http|upstream \S+|map \S+ \S+)\s*\{", "nginx"), (r"(?m)^\s*table \w+ \w+ \{", "firewall"),
    (r"(?m)^videobridge\s*[{.]", "bridge"), (r"(?m)^jicofo\s*[{.]", "focus"), (r"(?m)^var config\s*=", "web"),
    (r"(?m)^(tcp|udp)\s+(LISTEN|UNCONN)\s", "sockets"), (r"(?m)^Setting up \S+ \(|^ii\s+\S+", "versions"),
    (r"(?m)^(listening-port|static-auth-secret|denied-peer-ip)", "turn"),
)  # fmt: skip


def _published(text: str, name: str, problems: list[Problem]) -> dict[str, Fact]:
    """The versions of a deployment that a study published: ``{"packages": {name: version}}``."""
    try:
        packages = json.loads(text).get("packages", {})
    except (ValueError, AttributeError):
        problems.append(Problem(0, "facts", 0, f"{name}: not readable as JSON"))
        return {}
    if not isinstance(packages, dict):
        return {}
    lines = text.split("\n")
    found = {}
    for key, value in packages.items():
        if isinstance(value, str):
            line = next((number for number, line in enumerate(lines, 1) if f'"{key}":' in line), 0)
            found[str(key)] = Fact(value, f"{name}:{line}" if line else name)
    return found


__all__ = [
    "Fact", "Facts", "Firewall", "Hocon", "Listener", "Nginx", "Placed", "Prosody", "TurnServer", "WebConfig",
    "from_versions", "load",
]  # fmt: skip
