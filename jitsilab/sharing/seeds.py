"""What the pieces of a case say that names somebody: found first, over all pieces, before anything is rewritten.

The surest signs come from structured evidence (signaling, handshakes, STUN, configuration); then each text is searched
for the forms in which logs and consoles write the same things.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

from jitsilab.errors import ParseError
from jitsilab.protocols import stun
from jitsilab.sharing.names import WORDS, Names, public
from jitsilab.sharing.wording import reversed_address

if TYPE_CHECKING:
    from jitsilab.wire import Wire

_HOST = rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{1,24}"
_JID = re.compile(rb"([A-Za-z0-9._+%\\-]{1,128})(?:@|%40)(" + _HOST + rb")(?:/([^\s\"'<>&,;)\]}\\]{1,128}))?")
_HOSTS = (
    re.compile(rb"(?i)(?:https?|wss?|xmpp):(?:\\?/){2}(" + _HOST + rb")"),
    re.compile(rb"(?i)\b(?:turns?|stun):(" + _HOST + rb")"),
    re.compile(rb"(?i)(?:VirtualHost|Component|server_name|realm|server-name|domains?|host|xmpp_domain|HOSTNAME|"
               rb"DOMAIN|muc_mapper_domain_base|to|from|xmpp-domain|server|upstream)[\"'\s]*[:=(\s\[]+[\"']*("
               + _HOST + rb")[\"'\s;,:&<)\]]"),
    re.compile(rb"(?m)^\s*(?:\d{1,3}\.){3}\d{1,3}\s+(" + _HOST + rb")"),
)  # fmt: skip
_FIELD = re.compile(  # attributes of XML, members of JSON, lines of configuration, parameters of addresses
    rb"""(?i)(?<![A-Za-z])(ufrag|pwd|usernameFragment|username|password|passwd|password-hash|secret|app_secret|"""
    rb"""static-auth-secret|external_service_secret|nick|nickname|display[-_ ]?name|email|e-mail|stats-?id|statsId|"""
    rb"""machine-?uid|machineUID|session-id|room|roomName|room_name|meeting_?id|meetingId|conference_?id|token|jwt|"""
    rb"""ice-ufrag|ice-pwd|endpoint|endpoint_?id|epId|avatar[-_]?(?:url|id)|user_?id|callstats[-_]?\w*|nonce|cookie|"""
    rb"""authorization|x-api-key|api_?key|access_token|previd|app_id|userid)"""
    rb"""[\\"']{0,4}\s{0,4}[=:]\s{0,4}[\\"']{0,4}([^\s\\"'<>&;,}\])]{1,256})"""
)
_QUOTED = re.compile(  # the same where the value may hold spaces
    rb"""(?i)(?:nick|display[-_ ]?name|formatted-text|password|passwd|secret|roomName)[\\"']{1,4}"""
    rb"""\s{0,4}[=:]\s{0,4}\\?"([^"\\\r\n<>]{1,200})"""
)
_QUERY = re.compile(  # what an address of a page says of who opened it: ?name=Ann, #userInfo.displayName="Ann"
    rb"""(?i)[?&\#;](?:[\w.-]{1,64}\.)?(?:\w{0,24}name|nick|user|e?-?mail|caller|participant|guest|"""
    rb"""\w{1,24}(?:id|user|nick|email))=([^\s\\"'<>&;\#]{1,256})"""
)
_SEGMENT = rb"[^/\s?#\"'<>&;,)\]}\\.=:*$^(|]{3,128}"
_PAGE = re.compile(  # a room is the page that somebody opens, in the letters in which he wrote it
    rb"(?:(?:https?|wss?):(?:\\?/){2}(" + _HOST + rb")(?::\d{1,5})?|\b(?:GET|HEAD) )\\?/(?:(" + _SEGMENT
    + rb")\\?/)?(" + _SEGMENT
    + rb")(?=[?#\s\"'<>&;,)\]}\\]|\Z)"
)  # fmt: skip
_ELEMENT = re.compile(
    rb"<(nick|email|display-name|stats-id|avatar-url|subject|body|resource|machine-uid)\b[^<>]{0,200}>([^<>]{1,512})</"
)
#: of a room, and in the form that sets it (XEP-0045, muc#roomconfig_roomsecret)
_PASSWORD = re.compile(rb"(?:password|roomsecret)\b[^<>]{0,200}>\s{0,64}(?:<value>)?([^<>]{1,512})</")
_SDP = re.compile(rb"a=ice-(ufrag|pwd):([^\s\\\"']{4,256})")
_UUID = re.compile(rb"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
_OCCUPANT = re.compile(rb"(?:endpoint|epId|ep|participant|from|id|member|source)\W{1,4}([0-9a-f]{8})(?![0-9a-zA-Z])")
_IPS = re.compile(
    rb"(?<![0-9A-Za-z.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z.])|(?<![0-9A-Za-z:.])[0-9A-Fa-f:]{2,39}:[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])"
)
_SERVED = frozenset((  # pages and services of every deployment
    "http-bind", "xmpp-websocket", "colibri-ws", "colibri-relay-ws", "conference-request", "room-info", "static",
    "images", "sounds", "css", "lang", "fonts", "libs", "about", "health", "version", "colibri", "stats", "metrics",
    "debug", "mucclient", "conferences", "rtcstats", "login", "logout", "oauth", "oauth2", "auth", "api", "_api",
    "_unlock", "etherpad", "whiteboard", "excalidraw", "analytics", "well-known", "robots", "manifest", "http_bind",
    "admin", "dashboard", "status", "index", "config", "favicon", "turncredentials", "room", "room-size", "rooms",
    "sessions", "callback", "authorize", "service", "services", "protocol", "xmlns", "schema", "docs", "blog",
    "metadata", "latest", "releases", "shutdown", "drain", "reload", "plugins", "assets", "prosody", "bosh",
))  # fmt: skip
_SETTING = re.compile(  # a variable, the beginning of an object or a function
    rb"^\$(?:[{(]|[A-Z_][A-Z0-9_]*$|[a-z]+_[a-z_]+$)|^[{(]|^(?:true|false|null|none|\d{1,3})$"
)
_RESOURCE = re.compile(r"[0-9a-f]{8}\Z")
_SECRETS = frozenset(("pwd", "password", "passwd", "secret", "ice-pwd", "token", "jwt", "app_secret", "password-hash",
                      "static-auth-secret", "external_service_secret", "nonce", "cookie", "authorization", "ufrag",
                      "ice-ufrag", "usernamefragment", "x-api-key", "api_key", "apikey", "access_token"))  # fmt: skip


class Seeds:
    """What was found, on its way into the names."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.addresses: set[bytes] = set()
        self.passwords: dict[str, set[str]] = {}  # of ufrags
        self.clocks: set[str] = set()
        self.found: dict[str, str] = {}  # value: kind

    def add(self, value: "str | bytes", kind: str = "name") -> None:
        """Note a value."""
        text = value.decode("utf-8", "ignore") if isinstance(value, bytes) else value
        if kind == "host":
            self._host(text)
            return
        if _is_address(text):
            self.addresses.add(ip_address(text).packed)
            return
        self.found.setdefault(text.strip(), kind)

    def _host(self, host: str) -> None:
        host = host.strip(".").lower()
        if "." in host and not public(host) and not _is_address(host):
            self.found.setdefault(host, "host")

    def text(self, data: bytes) -> None:
        """Search a text."""
        for match in _JID.finditer(data):
            local, host, resource = match[1], match[2].decode(), match[3]
            self._host(host)
            if not public(host):
                self._jid(local, resource)
        for pattern in _HOSTS:
            for match in pattern.finditer(data):
                self._host(match[1].decode())
        for match in _FIELD.finditer(data):
            self._field(match[1].decode().lower(), match[2])
        for match in _QUOTED.finditer(data):
            self.add(match[1])
        for match in _QUERY.finditer(data):
            self._parameter(match[1])
        for match in _PAGE.finditer(data):
            self._page(match[1], match[2], match[3])
        for match in _ELEMENT.finditer(data):
            self._element(match[1], match[2])
        for match in _PASSWORD.finditer(data):
            self._element(b"password", match[1])
        for match in _SDP.finditer(data):
            self.add(match[2])
        for match in _UUID.finditer(data):
            self.add(match[0])
        for match in _OCCUPANT.finditer(data):
            self.add(match[1])
        for match in _IPS.finditer(data):
            self.add(match[0]) if _is_address(match[0].decode()) else None

    def _jid(self, local: bytes, resource: bytes | None) -> None:
        self.add(local)
        for piece in local.split(b"_")[1:]:
            if len(piece) > 7:
                self.add(piece)
        if resource is not None:
            self.add(resource.rstrip(b".:"))

    def _field(self, field: str, value: bytes) -> None:
        if field in ("endpoint", "user_id", "userid", "app_id", "room", "nick", "session-id", "id") and not re.match(
            rb"[\w@.+-]+$", value
        ):
            return
        if value.startswith(b"/") and field not in _SECRETS:  # a path; one letter of base64 in 64 is a slash too
            return
        if _SETTING.search(value) or (len(value) < 3 and field not in ("nick", "room")):
            return
        if value.isalpha() and value.islower() and field in ("username", "endpoint", "token", "nonce", "cookie"):
            return
        if value.count(b".") > 2 and field in _SECRETS and value.startswith(b"eyJ"):
            return
        if re.fullmatch(rb"[a-z.]*[A-Za-z_]*\(?\)?", value) and field in _SECRETS and len(value) < 4:
            return
        self.add(value.rstrip(b".:"))

    def _page(self, host: bytes | None, tenant: bytes | None, page: bytes) -> None:
        """The room, and the tenant that it belongs to, of a page of a deployment."""
        if host is not None and public(host.decode().lower()):
            return
        parts = [unquote(part.decode("utf-8", "ignore")) for part in (tenant, page) if part]
        if not any(part.lower() in _SERVED for part in parts):
            for part in parts:
                self.add(part)

    def _parameter(self, value: bytes) -> None:
        """A value in an address, written as addresses write it."""
        text = unquote_plus(value.decode("utf-8", "ignore")).strip("\"' ")
        if not _SETTING.search(text.encode()) and not (text.isdigit() and len(text) < 8):
            self.add(text)

    def _element(self, name: bytes, value: bytes) -> None:
        import html

        text = html.unescape(value.decode("utf-8", "ignore"))
        if name in (b"body", b"subject", b"name", b"id", b"identity") and (len(text) < 3 or text.startswith("{")):
            return
        self.add(text)

    def wire(self, wire: "Wire") -> None:
        """Search a capture: who speaks, and what is said in clear or under keys that are known."""
        packets = wire.packets
        for address in packets.addresses:
            if _is_address(address):
                self.addresses.add(ip_address(address).packed)
        for interface in packets.interfaces:
            if "@" in interface.name:
                self.add(interface.name.partition("@")[2])
        for session in wire.sessions.values():
            if session.sni:
                self._host(session.sni)
        for unit in wire.units.each("stun"):
            self._stun(unit.data)
        carried = wire.carried
        for stanza in carried.stanzas:
            self.text(stanza.xml.encode())
        for message in carried.messages:
            if message.opcode == 1:
                self.text(message.data)
        for exchange in carried.http:
            for head in (exchange.request, exchange.response):
                if head is not None:
                    self._head(head)
            for content in (exchange.sent, exchange.received):
                self.text(content.data)

    def dns(self, table: Any) -> None:
        """Search what was asked of the DNS, and told."""
        rows = table[["name", "aliases", "addresses", "targets", "hints", "records"]].fillna("").drop_duplicates()
        for name, *others in rows.itertuples(index=False, name=None):
            for value in (str(name), *" ".join(map(str, others)).replace(";", " ").split()):
                self._resolved(value.rstrip("."))

    def _resolved(self, name: str) -> None:
        if _is_address(name):
            self.add(name)
        elif (reverse := reversed_address(name)) is not None:
            self.addresses.add(reverse.packed)
        elif name.lower().endswith(".local"):
            for label in name.split(".")[:-1]:
                if not label.startswith("_"):
                    self.add(label)
        elif re.fullmatch(_HOST, name.encode("utf-8", "ignore")):
            self._host(name)

    def _head(self, head: Any) -> None:
        if head.target:
            path, _, query = head.target.partition("?")
            parts = [part for part in path.split("/") if part]
            if head.target.startswith("/"):
                self.text(b"GET " + head.target.encode("utf-8", "ignore") + b" ")
            if len(parts) > 2 and parts[0].startswith("colibri-ws"):
                for part in parts[2:]:
                    self.add(part)
            for pair in query.split("&"):
                field, _, value = pair.partition("=")
                if field in ("room", "token", "jwt", "pwd", "previd", "customusername") and not value.startswith("eyJ"):
                    self.add(value)
        for field, value in head.fields.items():
            if field in ("host", "origin", "location"):
                self._host(value.rpartition("//")[2].partition("/")[0].partition(":")[0])
            elif field in ("x-forwarded-for", "x-real-ip"):
                for part in value.split(","):
                    self.add(part.strip())

    def _stun(self, data: bytes) -> None:
        try:
            message = stun.decode(data)
        except ParseError:
            return
        for kind in (stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS, stun.XOR_PEER_ADDRESS, stun.XOR_RELAYED_ADDRESS):
            for place in message.endpoints(kind):
                self.addresses.add(ip_address(place.address).packed)
        username = message.text(stun.USERNAME)
        if username:
            if message.get(stun.REALM) is None and ":" in username:
                for ufrag in username.split(":"):
                    self.add(ufrag, "ufrag")
            else:
                self.add(username, "turn user")
        realm = message.text(stun.REALM)
        if realm:
            self.add(realm, "host" if "." in realm else "name")

    def settle(self, shift: int, times: tuple[int, int]) -> None:
        """Give everything found its pseudonym, hosts first, so that what stands below them agrees."""
        from jitsilab.sharing.names import clocked

        names = self.names
        names.avoid(self.found)
        for value, kind in sorted(self.found.items(), key=lambda entry: (entry[1] != "host", entry[0])):
            if kind == "host":
                names.host(value)
        hosts = {label for host in names.hosts for label in host.split(".")}
        for value in sorted(self.found):
            if self.found[value] == "host" or not _nameable(value, hosts):
                continue
            made = clocked(value, names, *times, shift) or _expiry(value, names, times, shift)
            if made is not None:
                names.given.setdefault(value, made)
                continue
            for part in _parts(value):
                names.add(part)


def _parts(value: str) -> Iterator[str]:
    """A name, or the names that it is put together from."""
    if "@" in value and "." in value.partition("@")[2]:
        local, _, host = value.partition("@")
        yield from _parts(local)
        del host
    else:
        yield value


def _nameable(value: str, hosts: Iterable[str]) -> bool:
    lower = value.lower()
    if len(value) < 2 or lower in WORDS or not re.search(r"\w", value) or value.startswith(("http:", "https:", "urn:")):
        return False
    if value.isdigit() and len(value) < 8:
        return False
    return not (_is_address(value) or lower in hosts)


def _expiry(value: str, names: Names, times: tuple[int, int], shift: int) -> str | None:
    """A TURN user that is a time until which it is good, and perhaps a name: a little earlier."""
    match = re.fullmatch(r"(\d{10})(:.+)?", value)
    if match is None or not times[0] // 1000 - 86400 * 3 <= int(match[1]) <= times[1] // 1000 + 86400 * 30:
        return None
    made = int(match[1]) + shift // 1000 - 1 - names.digest(value)[0] % 50
    return f"{made}{names.alike(match[2]) if match[2] else ''}"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
