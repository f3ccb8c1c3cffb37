"""The web server's paths, and what becomes of requests for them: nginx and Apache alike."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jitsilab import ip
from jitsilab.facts.directives import Directive
from jitsilab.facts.facts import Facts
from jitsilab.facts.values import Value
from jitsilab.numerals import whole


class Location(NamedTuple):
    """A path of the web server, and what becomes of requests for it."""

    path: str  # as it is written, without modifiers
    modifier: str  # "", "=", "~", "~*", "^~"
    place: str
    target: Value | None  # proxy_pass; None where nothing is handed on
    upgrade: bool | None  # whether WebSockets are handed on; None where nothing is handed on or it is not known
    status: int | None  # what a return or a deny answers
    server_names: tuple[str, ...]
    program: str  # nginx, apache

    @property
    def denied(self) -> bool:
        """Whether requests are refused here."""
        return self.status is not None and self.status >= 400

    @property
    def host(self) -> str:
        """The host that requests are handed to."""
        return _url(self.target)[0]

    @property
    def port(self) -> int | None:
        """The port that requests are handed to."""
        return _url(self.target)[1]

    @property
    def host_is_own(self) -> bool:
        """Whether that host is this one, or a container beside it."""
        host = self.host
        return (
            ip.is_loopback(host)
            or host in ("localhost", "")
            or "." not in host
            or ip.is_private(host)
            or (host.endswith((".meet.jitsi", ".local", ".internal")))
        )

    def serves(self, path: str) -> bool:
        """Whether a request for a path comes by here, as far as this location alone tells."""
        if self.modifier in ("~", "~*"):
            try:
                return re.search(self.path, path, re.I if self.modifier == "~*" else 0) is not None
            except re.error:
                return False
        return path == self.path if self.modifier == "=" else path.startswith(self.path)


def _url(target: Value | None) -> tuple[str, int | None]:
    match = re.match(r"(?:(\w+)://)?(\[[^\]]*\]|[^:/\s?]+)?(?::(\d+))?", str(target.value)) if target else None
    if match is None:
        return "", None
    usual = {"https": 443, "wss": 443, "http": 80, "ws": 80}.get(match[1] or "http")
    return (match[2] or "").strip("[]"), whole(match[3]) if match[3] else usual


def locations(facts: Facts, path: str = "") -> list[Location]:
    """Paths of nginx and Apache with what becomes of requests; those that a path comes by, where one is given."""
    every = [*_of_nginx(facts), *_of_apache(facts)]
    return [location for location in every if not path or location.serves(path)]


def _of_nginx(facts: Facts) -> Iterator[Location]:
    nginx = facts.nginx
    for location in nginx.all("location") if nginx is not None else ():
        if not location.args:
            continue
        modifier = str(location.args[0]) if len(location.args) > 1 else ""
        passed_on = location.child("proxy_pass")
        target = Value(" ".join(map(str, passed_on.args)), passed_on.place, "url") if passed_on else None
        if target is not None:
            target = _upstream(facts, target)
        yield Location(
            str(location.args[-1]), modifier, location.place, target,
            _upgrades(location) if target is not None else None,
            _refuses(location), _server_names(location), "nginx",
        )  # fmt: skip


def _upstream(facts: Facts, target: Value) -> Value:
    """An upstream's name as its first server."""
    nginx = facts.nginx
    match = re.match(r"(\w+://)([\w.-]+)(/.*)?$", str(target.value))
    for upstream in nginx.all("upstream") if nginx is not None and match is not None else ():
        if (
            upstream.args
            and match is not None
            and str(upstream.args[0]) == match[2]
            and (server := upstream.child("server"))
        ):
            return Value(f"{match[1]}{server.args[0]}{match[3] or ''}", server.place, "url")
    return target


def _of_apache(facts: Facts) -> Iterator[Location]:
    root = facts.apache
    for directive in root.walk() if root is not None else ():
        if directive.name in ("proxypass", "proxypassmatch") and directive.args:
            inside = directive.within("location")
            path = str(inside.args[0]) if inside is not None and inside.args else str(directive.args[0])
            target = str(directive.args[0] if inside is not None else (directive.args[1:] or ("",))[0])
            if target == "!":
                continue
            regular = "~" if directive.name == "proxypassmatch" else ""
            websocket = target.startswith(("ws://", "wss://")) or "upgrade=websocket" in directive.text()
            yield Location(
                path, regular, directive.place, Value(target, directive.place, "url"), websocket, None, (), "apache"
            )


def _upgrades(location: Directive) -> bool | None:
    """Whether a location hands WebSockets on: HTTP/1.1, and both headers (nginx, WebSocket proxying)."""
    headers = {
        str(header.args[0]).lower(): " ".join(map(str, header.args[1:]))
        for header in location.inherited_all("proxy_set_header")
        if header.args
    }
    version = location.inherited("proxy_http_version")
    if any(directive.name == "include" for directive in location.block):
        return None
    named = "upgrade" in headers and headers.get("connection", "").lower() not in ("", "close", "keep-alive")
    return named and version is not None and str(version.args[0]) == "1.1"


def _refuses(location: Directive) -> int | None:
    for directive in location.block:
        if directive.name == "return" and directive.args and re.fullmatch(r"\d{3}", str(directive.args[0])):
            return int(directive.args[0])
        if directive.name == "deny" and directive.text() == "all" and not location.children("allow"):
            return 403
    return None


def _server_names(location: Directive) -> tuple[str, ...]:
    server = location.within("server")
    names = server.child("server_name") if server is not None else None
    return tuple(map(str, names.args)) if names is not None else ()
