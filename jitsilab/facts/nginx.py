"""nginx's configuration by crossplane: includes put in where the file is at hand, settings inherited as nginx does.

`nginx -T` prints all files in one; each is taken for itself. A site's file without the main one stands alone.
"""

import fnmatch
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crossplane

from jitsilab.errors import Problem
from jitsilab.facts.directives import Directive
from jitsilab.facts.model import secret
from jitsilab.ip import is_loopback

DEPTH = 30
REPAIRS = 10  # lines of a broken file that may be left out
INCLUDED = 2000  # directives that includes may put in
HARMLESS = re.compile(r"mime\.types|modules-enabled|fastcgi|uwsgi_params|scgi_params|koi-|win-utf|/modules/")
_DUMPED = re.compile(r"(?m)^# configuration file (\S+):$")


@dataclass
class Nginx:
    """Directives of all files, one tree a file that no other includes."""

    roots: list[Directive] = field(default_factory=list)
    files: dict[str, Directive] = field(default_factory=dict)
    missing: list[Directive] = field(default_factory=list)  # includes of files that were not given
    broken: list[str] = field(default_factory=list)
    _resolved: bool = False

    def all(self, *names: str) -> Iterator[Directive]:
        """Every directive of these names, in the order of the files."""
        self.resolve()
        for root in self.roots:
            yield from (directive for directive in root.walk() if directive.name in names)

    def servers(self) -> Iterator[Directive]:
        """Every ``server`` block, of http and of stream."""
        return (server for server in self.all("server") if server.block)

    def tls_servers(self) -> Iterator[Directive]:
        """Servers that end TLS themselves."""
        for server in self.servers():
            if ends_tls(server):
                yield server

    def resolve(self) -> None:
        """Put includes in, and sites below the http block of the main file; once."""
        if self._resolved:
            return
        self._resolved = True
        budget = [INCLUDED]
        used: set[str] = set()
        for root in self.files.values():
            self._include(root, root.place, used, budget, 0)
        self.roots = [root for name, root in self.files.items() if name not in used]
        main = next((directive for root in self.roots for directive in root.block if directive.name == "http"), None)
        for root in self.roots:
            sites = [
                directive for directive in root.block if directive.name in ("server", "upstream", "map", "log_format")
            ]
            if main is None or root is _top(main) or not sites:
                continue
            http_level = [directive for directive in root.block if directive.name not in ("stream", "events", "http")]
            root.block = [directive for directive in root.block if directive not in http_level]
            main.block += http_level
            for directive in http_level:
                directive.parent = main

    def _include(self, here: Directive, name: str, used: set[str], budget: list[int], depth: int) -> None:
        made: list[Directive] = []
        for directive in here.block:
            if directive.name != "include" or not directive.args:
                self._include(directive, name, used, budget, depth)
                made.append(directive)
                continue
            pattern = str(directive.args[0])
            matches = [other for other in self.files if other != name and _matches(other, pattern)]
            if not matches:
                made.append(directive)
                if not HARMLESS.search(pattern) and ("*" not in pattern or not self._alone(pattern)):
                    self.missing.append(directive)
                continue
            for other in matches if depth < 8 else ():
                used.add(other)
                for copied in (_copy(child, here, budget) for child in self.files[other].block):
                    if copied is not None:
                        made.append(copied)
                        self._include(copied, other, used, budget, depth + 1)
        here.block = made

    def _alone(self, pattern: str) -> bool:
        """Whether sites of a pattern may be here under other names: a flat folder of files."""
        return any("/" not in name and name != "nginx.conf" for name in self.files)


def _top(directive: Directive) -> Directive:
    while directive.parent is not None:
        directive = directive.parent
    return directive


def _copy(directive: Directive, parent: Directive, budget: list[int]) -> Directive | None:
    budget[0] -= 1
    if budget[0] < 0:
        return None
    made = Directive(directive.name, directive.args, directive.place, parent=parent)
    made.block = [copy for child in directive.block if (copy := _copy(child, made, budget)) is not None]
    return made


def _matches(name: str, pattern: str) -> bool:
    """Whether a file at hand is what an include names: its own name, and the folder it is in, where one is known."""
    wanted, have = pattern.split("/"), name.split("/")
    if not fnmatch.fnmatchcase(have[-1], wanted[-1]):
        return False
    if len(have) > 1 and len(wanted) > 1 and not wanted[-2].startswith("."):
        return fnmatch.fnmatchcase(have[-2], wanted[-2])
    return not re.fullmatch(r"[*?.]+|\*\.conf", wanted[-1])


def ends_tls(server: Directive) -> bool:
    """Whether a server block speaks TLS with its clients."""
    ssl = server.child("ssl")
    return any("ssl" in map(str, listen.args) for listen in server.children("listen")) or (
        ssl is not None and ssl.args == ("on",)
    )


def listens_beyond_loopback(server: Directive) -> bool:
    """Whether a server block listens on more than loopback."""
    for listen in (child for child in server.children("listen") if child.args):
        address = str(listen.args[0])
        host = address.rpartition(":")[0].strip("[]") if ":" in address else ""
        if address.startswith("unix:") or (host and (is_loopback(host) or host == "localhost")):
            continue
        return True
    return not server.children("listen")


def parse(text: str, name: str, into: Nginx, problems: list[Problem]) -> None:
    """Add one file, or all that `nginx -T` printed. Lines that nginx would refuse are reported and left out."""
    dumped = list(_DUMPED.finditer(text))
    if not dumped:
        _read_file(text, name, name, 0, into, problems)
        return
    for number, start in enumerate(dumped):
        end = dumped[number + 1].start() if number + 1 < len(dumped) else len(text)
        line = text.count("\n", 0, start.end()) + 1
        if not HARMLESS.search(start[1]):
            _read_file(text[start.end() + 1 : end], start[1].lstrip("/"), name, line, into, problems)


def _read_file(text: str, key: str, name: str, before: int, into: Nginx, problems: list[Problem]) -> None:
    lines = text.split("\n")
    parsed: Any = None
    for _ in range(REPAIRS):
        parsed = _parse("\n".join(lines))
        if parsed is None:
            problems.append(Problem(0, "nginx", 0, f"{name}: not readable as nginx configuration"))
            into.broken.append(name)
            return
        bad = [int(error["line"]) for error in parsed["errors"] if error.get("line")]
        problems += [
            Problem(0, "nginx", 0, f"{name}:{number + before}: not readable as nginx configuration") for number in bad
        ]
        if bad and name not in into.broken:
            into.broken.append(name)
        if parsed["config"][0]["parsed"] or not bad or not lines[min(bad[0], len(lines)) - 1].strip():
            break
        lines[min(bad[0], len(lines)) - 1] = ""  # one line that ends the reading early: go on without it
    root = Directive("", (), key)
    for config in parsed["config"]:
        root.block += _tree(config["parsed"], name, before, root, 0)
    into.files[key] = root
    into._resolved = False
    into.roots = list(into.files.values())


def _parse(text: str) -> Any:
    """What crossplane makes of a text: it reads files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nginx.conf"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            return crossplane.parse(str(path), single=True, catch_errors=True, check_ctx=False, check_args=False)
        except (RecursionError, ValueError, OSError):
            return None


def _tree(blocks: list[Any], name: str, before: int, parent: Directive, depth: int) -> list[Directive]:
    if depth > DEPTH:
        return []
    made = []
    for parsed in blocks:
        args = tuple(_hidden(parsed["directive"], parsed.get("args", ())))
        directive = Directive(parsed["directive"], args, f"{name}:{parsed['line'] + before}", parent=parent)
        directive.block = _tree(parsed.get("block", []), name, before, directive, depth + 1)
        made.append(directive)
    return made


def _hidden(directive: str, args: Any) -> list[Any]:
    """Credentials that a proxy sends on are secrets."""
    values: list[Any] = list(args)
    authorises = "proxy_set_header" in directive and values and str(values[0]).lower() in ("authorization", "cookie")
    if authorises or directive in ("ssl_password_file", "secure_link_secret"):
        return values[:1] + [secret(str(value)) for value in values[1:]]
    return values
