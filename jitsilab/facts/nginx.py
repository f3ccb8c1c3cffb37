"""nginx site and stream configuration by crossplane; includes are not followed."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crossplane

from jitsilab.errors import Problem
from jitsilab.facts.model import secret
from jitsilab.ip import is_loopback

DEPTH = 30
REPAIRS = 10  # lines of a broken file that may be left out


@dataclass
class Directive:
    """One directive: its name, arguments, place, the block it opens and the one it stands in."""

    name: str
    args: tuple[Any, ...]
    place: str
    block: "list[Directive]" = field(default_factory=list)
    parent: "Directive | None" = field(default=None, repr=False)

    def child(self, name: str) -> "Directive | None":
        """The first directive of a name in this block."""
        return next((one for one in self.block if one.name == name), None)

    def inherited(self, name: str) -> "Directive | None":
        """A directive as this block sees it: its own, else that of the block around it."""
        here: Directive | None = self
        while here is not None:
            found = here.child(name)
            if found is not None:
                return found
            here = here.parent
        return None


@dataclass
class Nginx:
    """Directives of all files, one tree a file."""

    roots: list[Directive] = field(default_factory=list)

    def all(self, *names: str) -> Iterator[Directive]:
        """Every directive of these names, in the order of the files."""
        stack = list(reversed(self.roots))
        while stack:
            one = stack.pop()
            if one.name in names:
                yield one
            stack.extend(reversed(one.block))

    def servers(self) -> Iterator[Directive]:
        """Every ``server`` block, of http and of stream."""
        return (one for one in self.all("server") if one.block)

    def tls_servers(self) -> Iterator[Directive]:
        """Servers that end TLS themselves."""
        for server in self.servers():
            listens = [one for one in server.block if one.name == "listen"]
            ssl = server.child("ssl")
            if any("ssl" in one.args for one in listens) or (ssl is not None and ssl.args == ("on",)):
                yield server


def listens_beyond_loopback(server: Directive) -> bool:
    """Whether a server block listens on more than loopback."""
    for one in (child for child in server.block if child.name == "listen" and child.args):
        address = str(one.args[0])
        host = address.rpartition(":")[0].strip("[]") if ":" in address else ""
        if address.startswith("unix:") or (host and is_loopback(host)):
            continue
        return True
    return False


def read(text: str, name: str, into: Nginx, problems: list[Problem]) -> None:
    """Add one file. Lines that nginx would refuse are reported and left out."""
    lines = text.split("\n")
    for _ in range(REPAIRS):
        parsed = _parse("\n".join(lines))
        if parsed is None:
            problems.append(Problem(0, "nginx", 0, f"{name}: not readable as nginx configuration"))
            return
        bad = [int(error["line"]) for error in parsed["errors"] if error.get("line")]
        problems += [Problem(0, "nginx", 0, f"{name}:{number}: not readable as nginx configuration") for number in bad]
        if parsed["config"][0]["parsed"] or not bad or not lines[min(bad[0], len(lines)) - 1].strip():
            break
        lines[min(bad[0], len(lines)) - 1] = ""  # one line that ends the reading early: go on without it
    root = Directive("", (), name)
    for config in parsed["config"]:
        root.block += _tree(config["parsed"], name, root, 0)
    into.roots.append(root)


def _parse(text: str) -> Any:
    """What crossplane makes of a text: it reads files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nginx.conf"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            return crossplane.parse(str(path), single=True, catch_errors=True, check_ctx=False, check_args=False)
        except (RecursionError, ValueError, OSError):
            return None


def _tree(blocks: list[Any], name: str, parent: Directive, depth: int) -> list[Directive]:
    if depth > DEPTH:
        return []
    made = []
    for one in blocks:
        args = tuple(_hidden(one["directive"], one.get("args", ())))
        directive = Directive(one["directive"], args, f"{name}:{one['line']}", parent=parent)
        directive.block = _tree(one.get("block", []), name, directive, depth + 1)
        made.append(directive)
    return made


def _hidden(directive: str, args: Any) -> list[Any]:
    """Credentials that a proxy sends on are secrets."""
    values: list[Any] = list(args)
    authorises = "proxy_set_header" in directive and values and str(values[0]).lower() in ("authorization", "cookie")
    if authorises or directive in ("ssl_password_file", "secure_link_secret"):
        return values[:1] + [secret(str(one)) for one in values[1:]]
    return values
