"""What listens (`ss -lntup`, `netstat -tulpn`, `lsof -i`, `docker ps`), and the machine's addresses and interfaces."""

import re
from typing import NamedTuple

from jitsilab.facts.model import is_local
from jitsilab.ip import is_loopback, parse


class Listener(NamedTuple):
    """One listening socket."""

    transport: str  # udp, tcp
    address: str  # * where it is every address
    port: int
    process: str
    place: str
    pids: tuple[int, ...] = ()

    @property
    def local(self) -> bool:
        """Whether only the machine itself reaches it."""
        return is_local(self.address)


_ADDRESS = re.compile(r"^(\[?[0-9A-Fa-f:.*]+\]?(?:%[\w.-]+)?|\*|localhost):(\d{1,5})$")
_PROCESS = re.compile(r'users:\(\("([^"]{1,64})"|\b(?P<pid>\d+)/([\w.: -]{1,64}?)\s*$')
_LSOF = re.compile(r"^(\S+)\s+(\d+)\s+.*\b(TCP|UDP)\s+(\S+?):(\d{1,5})(?:\s+\(LISTEN\))?\s*$")


def listeners(text: str, name: str) -> list[Listener]:
    """The listening sockets of `ss -lntup`, `netstat -tulpn` or `lsof -i`, one a line; other lines are passed over."""
    sockets = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        place = f"{name}:{number}"
        if not words:
            continue
        lsof = _LSOF.match(line) if "->" not in line else None
        if lsof and (lsof[3] == "UDP" or "LISTEN" in line) and int(lsof[5]) <= 0xFFFF:
            address = "*" if lsof[4] == "*" else lsof[4].strip("[]")
            sockets.append(Listener(lsof[3].lower(), address, int(lsof[5]), lsof[1], place, (int(lsof[2]),)))
            continue
        transport = words[0].rstrip("6")
        if words[0] in ("LISTEN", "UNCONN"):  # ss -lnt, ss -lnu: no first column
            transport = "tcp" if words[0] == "LISTEN" else "udp"
        if transport not in ("tcp", "udp") or "ESTAB" in words or "ESTABLISHED" in words:
            continue
        ends = [m for m in (_ADDRESS.match(word) for word in words[1:]) if m]
        if not ends or int(ends[0][2]) > 0xFFFF:
            continue
        address = ends[0][1].strip("[]").split("%")[0]
        process = _PROCESS.search(line)
        pids = {int(pid) for pid in re.findall(r"\bpid=(\d{1,9})", line)}
        if process and process["pid"]:
            pids.add(int(process["pid"]))
        sockets.append(
            Listener(transport, "*" if address in ("0.0.0.0", "::", "*") else address, int(ends[0][2]),
                     (process[1] or process[3]) if process else "", place, tuple(sorted(pids)))
        )  # fmt: skip
    return sockets


class Handed(NamedTuple):
    """A port of the host that Docker hands on to a container, as `docker ps` lists it."""

    container: str
    transport: str
    address: str
    port: int
    inner: int
    place: str


def handed_on(text: str, name: str) -> list[Handed]:
    """The published ports of `docker ps`, `docker compose ps` or `docker port`."""
    ports = []
    pattern = re.compile(r"(?:(\[?[0-9a-fA-F:.*]+\]?):)?(\d{1,5})(?:-(\d{1,5}))?->(\d{1,5})(?:-\d{1,5})?/(tcp|udp)")
    for number, line in enumerate(text.splitlines(), 1):
        for match in pattern.finditer(line):
            address = (match[1] or "*").strip("[]")
            address = "*" if address in ("0.0.0.0", "::", "*", "") else address
            low, high = int(match[2]), int(match[3] or match[2])
            for step in range(min(high - low, 2000) + 1):
                ports.append(
                    Handed(line.strip(), match[5], address, low + step, int(match[4]) + step, f"{name}:{number}")
                )
    return ports


def addresses(text: str) -> list[str]:
    """The machine's own addresses of `ip -br addr`, `ip addr` or `ifconfig`, loopback left out."""
    own = []
    words = re.findall(r"[0-9A-Fa-f:.]+(?=/\d{1,3}\b)", text)
    words += re.findall(r"(?m)^\s+inet6? (?:addr:)?([0-9A-Fa-f:.]+)\s+(?:netmask|prefixlen|Bcast|Mask)", text)
    for word in words:
        address = parse(word)
        if address is not None and not is_loopback(word) and str(address) not in own:
            own.append(str(address))
    return own


def interfaces(text: str) -> list[str]:
    """Names of interfaces of `ip -br addr`, `ip addr`, `ip link` or `ifconfig` that have an address or are up."""
    names = re.findall(r"(?m)^\d+: ([\w.@-]+?)(?:@[\w.-]+)?: <", text)
    names += re.findall(r"(?m)^([\w.-]+?)(?:@[\w.-]+)?\s+(?:UP|UNKNOWN)\s", text)
    names += re.findall(r"(?m)^([\w.-]+): flags=", text)
    return list(dict.fromkeys(names))


def default_route(text: str) -> str:
    """The interface of the default route, of `ip route` or `route -n`; empty where none is shown, or several."""
    names = re.findall(r"(?m)^default\b.*\bdev (\S+)", text) + re.findall(r"(?m)^0\.0\.0\.0\s.*\s(\S+)\s*$", text)
    return names[0] if len(set(names)) == 1 else ""


class Named(NamedTuple):
    """A name and an address that it stands for."""

    name: str
    address: str
    place: str


def hosts(text: str, name: str) -> list[Named]:
    """Names and addresses of /etc/hosts, `getent hosts`, or `dig +noall +answer`."""
    names = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        place = f"{name}:{number}"
        if len(words) >= 2 and parse(words[0]) is not None:
            names += [Named(word.rstrip("."), words[0], place) for word in words[1:] if parse(word) is None]
        elif len(words) == 5 and words[3] in ("A", "AAAA") and parse(words[4]) is not None:
            names.append(Named(words[0].rstrip("."), words[4], place))
    return names
