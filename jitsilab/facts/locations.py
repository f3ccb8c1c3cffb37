"""The web server's paths, and what becomes of requests for them: nginx and Apache alike."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jitsilab import ip
from jitsilab.facts.directives import Directive
from jitsilab.facts.facts import Facts
from jitsilab.facts.values import Value


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
    return (match[2] or "").strip("[]"), int(match[3]) if match[3] else usual


def locations(facts: Facts, path: str = "") -> list[Location]:
    """Paths of nginx and Apache with what becomes of requests; those that a path comes by, where one is given."""
    found = [*_of_nginx(facts), *_of_apache(facts)]
    return [one for one in found if not path or one.serves(path)]


def _of_nginx(facts: Facts) -> Iterator[Location]:
    nginx = facts.nginx
    for one in nginx.all("location") if nginx is not None else ():
        if not one.args:
            continue
        modifier = str(one.args[0]) if len(one.args) > 1 else ""
        passed_on = one.child("proxy_pass")
        target = Value(" ".join(map(str, passed_on.args)), passed_on.place, "url") if passed_on else None
        if target is not None:
            target = _upstream(facts, target)
        yield Location(
            str(one.args[-1]), modifier, one.place, target, _upgrades(one) if target is not None else None,
            _refuses(one), _server_names(one), "nginx",
        )  # fmt: skip


def _upstream(facts: Facts, target: Value) -> Value:
    """An upstream's name as its first server."""
    nginx = facts.nginx
    match = re.match(r"(\w+://)([\w.-]+)(/.*)?$", str(target.value))
    for one in nginx.all("upstream") if nginx is not None and match is not None else ():
        if one.args and match is not None and str(one.args[0]) == match[2] and (server := one.child("server")):
            return Value(f"{match[1]}{server.args[0]}{match[3] or ''}", server.place, "url")
    return target


def _of_apache(facts: Facts) -> Iterator[Location]:
    root = facts.apache
    for one in root.walk() if root is not None else ():
        if one.name in ("proxypass", "proxypassmatch") and one.args:
            inside = one.within("location")
            path = str(inside.args[0]) if inside is not None and inside.args else str(one.args[0])
            target = str(one.args[0] if inside is not None else (one.args[1:] or ("",))[0])
            if target == "!":
                continue
            regular = "~" if one.name == "proxypassmatch" else ""
            websocket = target.startswith(("ws://", "wss://")) or "upgrade=websocket" in one.text()
            yield Location(path, regular, one.place, Value(target, one.place, "url"), websocket, None, (), "apache")


def _upgrades(location: Directive) -> bool | None:
    """Whether a location hands WebSockets on: HTTP/1.1, and both headers (nginx, WebSocket proxying)."""
    headers = {
        str(one.args[0]).lower(): " ".join(map(str, one.args[1:]))
        for one in location.inherited_all("proxy_set_header")
        if one.args
    }
    version = location.inherited("proxy_http_version")
    if any(one.name == "include" for one in location.block):
        return None
    named = "upgrade" in headers and headers.get("connection", "").lower() not in ("", "close", "keep-alive")
    return named and version is not None and str(version.args[0]) == "1.1"


def _refuses(location: Directive) -> int | None:
    for one in location.block:
        if one.name == "return" and one.args and re.fullmatch(r"\d{3}", str(one.args[0])):
            return int(one.args[0])
        if one.name == "deny" and one.text() == "all" and not location.children("allow"):
            return 403
    return None


def _server_names(one: Directive) -> tuple[str, ...]:
    server = one.within("server")
    names = server.child("server_name") if server is not None else None
    return tuple(map(str, names.args)) if names is not None else ()
