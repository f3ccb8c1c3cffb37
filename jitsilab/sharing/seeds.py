"""What the pieces of a case say that names somebody: found first, over all pieces, before anything is rewritten.

The surest signs come from structured evidence (signaling, handshakes, STUN, configuration); then each text is searched
for the forms in which logs and consoles write the same things.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from jitsilab.errors import ParseError
from jitsilab.pcap.cores import apart
from jitsilab.pcap.shelf import Shelf
from jitsilab.protocols import jingle, stun, xmpp
from jitsilab.protocols.jingle_writer import JINGLE
from jitsilab.sharing.names import WORDS, Names, public
from jitsilab.sharing.wording import reversed_address
from jitsilab.wire import carriers
from jitsilab.wire.carriers import bosh, merge, websocket

if TYPE_CHECKING:
    from jitsilab.sharing.floors import Floors

_HOST = rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{1,24}"
_LOCAL = rb"[A-Za-z0-9._+%\\-]{1,128}"
_JID = re.compile(rb"(" + _LOCAL + rb")(?:@|%40)(" + _HOST + rb")(?:/([^\s\"'<>&,;)\]}\\]{1,128}))?")
_NO_LOCAL = re.compile(rb"[^A-Za-z0-9._+%\\-]")


def _words(*words: bytes, behind: bytes = rb"(?<![a-z])") -> bytes:
    """A pattern of any of these words, which begin with a letter, found by their first letters, as `re` is quick at.

    ``behind`` is what may not stand before a word.
    """
    groups: dict[bytes, list[bytes]] = {}
    for word in words:
        groups.setdefault(word[:1], []).append(word[1:])
    before = behind[:-1] + b"%s)" if behind else b""
    return b"|".join(
        letter + (before % letter if behind else b"") + b"(?:" + b"|".join(rest) + b")"
        for letter, rest in groups.items()
    )


_HOSTS = (  # over lower case
    re.compile(rb"(?:https?|wss?|xmpp):(?:\\?/){2}(" + _HOST + rb")"),
    re.compile(rb"\b(?:turns?|stun):(" + _HOST + rb")"),
    re.compile(rb"(?:" + _words(
        rb"virtualhost", rb"component", rb"server_name", rb"realm", rb"server-name", rb"domains?", rb"host",
        rb"xmpp_domain", rb"hostname", rb"domain", rb"muc_mapper_domain_base", rb"to", rb"from", rb"xmpp-domain",
        rb"server", rb"upstream", behind=b"",
    ) + rb")[\"'\s]*[:=(\s\[]+[\"']*(" + _HOST + rb")[\"'\s;,:&<)\]]"),
    re.compile(rb"(?m)^\s*(?:\d{1,3}\.){3}\d{1,3}\s+(" + _HOST + rb")"),
)  # fmt: skip
_FIELD = re.compile(  # over lower case: attributes of XML, members of JSON, lines of configuration, parameters
    rb"(" + _words(
        rb"ufrag", rb"pwd", rb"usernamefragment", rb"username", rb"password", rb"passwd", rb"password-hash",
        rb"secret", rb"app_secret", rb"static-auth-secret", rb"external_service_secret", rb"nick", rb"nickname",
        rb"display[-_ ]?name", rb"email", rb"e-mail", rb"stats-?id", rb"machine-?uid", rb"session-id", rb"room",
        rb"roomname", rb"room_name", rb"meeting_?id", rb"conference_?id", rb"token", rb"jwt", rb"ice-ufrag",
        rb"ice-pwd", rb"endpoint", rb"endpoint_?id", rb"epid", rb"avatar[-_]?(?:url|id)", rb"user_?id",
        rb"callstats[-_]?\w*", rb"nonce", rb"cookie", rb"authorization", rb"x-api-key", rb"api_?key",
        rb"access_token", rb"previd", rb"app_id",
    ) + rb""")[\\"']{0,4}\s{0,4}[=:]\s{0,4}[\\"']{0,4}([^\s\\"'<>&;,}\])]{1,256})"""
)  # fmt: skip
_QUOTED = re.compile(  # over lower case: the same where the value may hold spaces
    rb"(?:" + _words(
        rb"nick", rb"display[-_ ]?name", rb"formatted-text", rb"password", rb"passwd", rb"secret", rb"roomname",
        behind=b"",
    ) + rb""")[\\"']{1,4}\s{0,4}[=:]\s{0,4}\\?"([^"\\\r\n<>]{1,200})"""
)  # fmt: skip
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
_IPS = re.compile(  # one letter first, by which `re` finds it, then what may not stand before it
    rb"[0-9A-Fa-f:](?<![0-9A-Za-z.][0-9A-Fa-f:])(?:(?<=\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![0-9A-Za-z.])"
    rb"|(?<!:.)[0-9A-Fa-f:]{1,38}:[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:]))"
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


class Told(NamedTuple):
    """What was found in a part of a case."""

    found: dict[str, str]  # value: kind
    passwords: dict[str, set[str]]  # of ufrags
    accounts: dict[tuple[str, str], None]  # users and passwords of TURN
    addresses: set[bytes]


class Seeds:
    """What was found, on its way into the names."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.addresses: set[bytes] = set()
        self.passwords: dict[str, set[str]] = {}  # of ufrags
        self.accounts: dict[tuple[str, str], None] = {}  # users and passwords of TURN
        self.clocks: set[str] = set()
        self.found: dict[str, str] = {}  # value: kind

    def add(self, value: "str | bytes", kind: str = "name") -> None:
        """Note a value."""
        text = value.decode("utf-8", "ignore") if isinstance(value, bytes) else value
        if kind == "host":
            self._host(text)
            return
        if (address := _address(text)) is not None:
            self.addresses.add(address)
            return
        self.found.setdefault(text.strip(), kind)

    def _host(self, host: str) -> None:
        host = host.strip(".").lower()
        if "." in host and not public(host) and _address(host) is None:
            self.found.setdefault(host, "host")

    @property
    def told(self) -> "Told":
        """All of it, as another process may take it over."""
        return Told(self.found, self.passwords, self.accounts, self.addresses)

    def take_over(self, told: "Told") -> None:
        """Add what was found elsewhere."""
        for value, kind in told.found.items():
            self.found.setdefault(value, kind)
        for ufrag, some in told.passwords.items():
            self.passwords.setdefault(ufrag, set()).update(some)
        self.accounts |= told.accounts
        self.addresses |= told.addresses

    def text(self, data: bytes) -> None:
        """Search a text."""
        for match in _jids(data):
            local, host, resource = match[1], match[2].decode(), match[3]
            self._host(host)
            if not public(host):
                self._jid(local, resource)
        lower = data.lower()  # patterns that mind no case are slow
        for pattern in _HOSTS:
            for match in pattern.finditer(lower):
                self._host(match[1].decode())
        for match in _FIELD.finditer(lower):
            self._field(match[1].decode(), data[slice(*match.span(2))])
        for match in _QUOTED.finditer(lower):
            self.add(data[slice(*match.span(1))])
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
            if (address := _address(match[0].decode())) is not None:
                self.addresses.add(address)

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

    def wire(self, wire: "Floors") -> None:
        """Search a capture: who speaks, and what is said in clear or under keys that are known."""
        packets = wire.packets
        for address in packets.addresses:
            if (packed := _address(address)) is not None:
                self.addresses.add(packed)
        for interface in packets.interfaces:
            if "@" in interface.name:
                self.add(interface.name.partition("@")[2])
        for session in wire.sessions.values():
            if session.sni:
                self._host(session.sni)
        for unit in wire.units.each("stun"):
            self._stun(unit.data)
        for told, _ in apart(partial(_carried, wire), wire.shares()):
            self.take_over(told)

    def carried(self, wire: "Floors", numbers: Iterable[int]) -> None:
        """Search what some flows carry."""
        last = b""  # a WebSocket message, which holds the stanzas that follow it
        for load in carriers.each(wire, [], numbers):
            if isinstance(load, carriers.Message):
                last = load.data if load.opcode == websocket.TEXT else b""
                self.text(last)
            elif isinstance(load, carriers.Exchange):
                self._exchange(load)
            elif isinstance(load, merge.Item):
                if (xml := load.xml.encode()) not in last:
                    self.text(xml)
                self._stanza(load.xml)

    def _exchange(self, exchange: "carriers.Exchange") -> None:
        for head in (exchange.request, exchange.response):
            if head is not None:
                self._head(head)
        for content in (exchange.sent, exchange.received):
            self.text(content.data)
        for session in bosh.sessions([exchange], carriers.Notes()):
            for element in session.elements:
                self.text(element.xml.encode())
                self._stanza(element.xml)

    def _stanza(self, xml: str) -> None:
        """Passwords under which messages of STUN are signed."""
        try:
            if JINGLE in xml and "pwd" in xml:
                for transport in (content.transport for content in jingle.decode(xml).contents):
                    if transport and transport.ufrag and transport.pwd:
                        self.passwords.setdefault(transport.ufrag, set()).add(transport.pwd)
            if "services" in xml or any(space in xml for space in xmpp.EXTDISCO):
                for service in xmpp.services(xmpp.parse(xml)):
                    if service.username and service.password:
                        self.accounts[service.username, service.password] = None
        except ParseError:
            return

    def dns(self, table: Any) -> None:
        """Search what was asked of the DNS, and told."""
        rows = table[["name", "aliases", "addresses", "targets", "hints", "records"]].fillna("").drop_duplicates()
        for name, *others in rows.itertuples(index=False, name=None):
            for value in (str(name), *" ".join(map(str, others)).replace(";", " ").split()):
                self._resolved(value.rstrip("."))

    def _resolved(self, name: str) -> None:
        if _address(name) is not None:
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
        taken = set(self.found)
        for value in sorted(self.found):
            if self.found[value] == "host" or not _nameable(value, hosts):
                continue
            made = clocked(value, names, *times, shift) or _expiry(value, names, times, shift, taken)
            if made is not None:
                taken.add(names.given.setdefault(value, made))
                continue
            for part in _parts(value):
                names.add(part)


def _jids(data: bytes) -> "Iterator[re.Match[bytes]]":
    """As `_JID` alone finds them, which would begin anew at each letter: by the sign in their middle."""
    done, signs = 0, {sign: data.find(sign) for sign in (b"@", b"%40")}
    while found := [at for at in signs.values() if at >= 0]:
        middle = min(found)
        begin = max(done, middle - 128)
        for other in _NO_LOCAL.finditer(data, begin, middle):
            begin = other.end()
        match = _JID.match(data, begin)
        if match is not None:
            yield match
            done = match.end()
        after = max(done, middle + 1)
        signs = {sign: data.find(sign, after) if 0 <= at < after else at for sign, at in signs.items()}


def _carried(wire: "Floors", numbers: Sequence[int], _: Shelf) -> "Told":
    """What some flows carry of names, passwords, accounts and addresses."""
    seeds = Seeds(Names(b""))
    seeds.carried(wire, numbers)
    return seeds.told


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
    return _address(value) is None and lower not in hosts


def _expiry(value: str, names: Names, times: tuple[int, int], shift: int, taken: set[str]) -> str | None:
    """A TURN user that is a time until which it is good, and perhaps a name: a little earlier, and nobody else's."""
    match = re.fullmatch(r"(\d{10})(:.+)?", value)
    if match is None or not times[0] // 1000 - 86400 * 3 <= int(match[1]) <= times[1] // 1000 + 86400 * 30:
        return None
    made = ""
    for salt in range(1000):
        earlier = 1 + int.from_bytes(names.digest(value, salt)[:3]) % (50 << salt // 50)
        made = f"{int(match[1]) + shift // 1000 - earlier}{names.alike(match[2]) if match[2] else ''}"
        if made not in taken:
            break
    return made


@lru_cache(maxsize=1 << 12)  # the same are said again and again
def _address(text: str) -> bytes | None:
    """The bytes of an address; None for what is none."""
    if ":" not in text and text.count(".") != 3:
        return None
    try:
        return ip_address(text).packed
    except ValueError:
        return None
