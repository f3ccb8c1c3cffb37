"""Names under other names: as long as they were and of the same letters, so that no carrier has to change its lengths.

Each name has one pseudonym over all pieces of a case, made from the case's key and the name itself.
"""

import functools
import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Iterable, Iterator

ALPHABETS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
VOWELS, CONSONANTS = "aeiouy", "bcdfghjklmnpqrstvwxz"
_WORD = re.compile(r"[0-9a-z]+")
_RUNS = re.compile(r"[A-Za-z]+|[0-9]+")
_YEAR = re.compile(r"(?:19|20)[0-9][0-9]")
_HEXADECIMAL = re.compile(r"[0-9a-f]+(?:-[0-9a-f]+)*\Z|[0-9A-F]+(?:-[0-9A-F]+)*\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_BASE32 = "0123456789abcdefghijklmnopqrstuv"
_TOPS = {2: ("xa", "qz"), 3: ("xqv", "qvx"), 4: ("test", "test"), 7: ("example", "invalid")}

#: words of every deployment and every log: they name no one
WORDS = frozenset((
    "main", "vp8", "vp9", "av1", "h264", "opus", "red", "rtx", "camera", "desktop", "session", "sctp", "dtls", "rtp",
    "all", "both", "on", "off", "yes", "no", "auto", "high", "low", "new", "old", "in", "out", "to", "from", "id",
    "meet", "conference", "focus", "auth", "internal", "jvbbrewery", "jvb", "websocket", "guest", "guests", "lobby",
    "breakout", "muc", "turn", "turns", "stun", "www", "avmoderation", "speakerstats", "polls", "endconference",
    "metadata", "recorder", "jigasi", "jibri", "jibribrewery", "jigasibrewery", "callcontrol", "conferenceduration",
    "hidden", "visitors", "visitor", "localhost", "local", "default", "test", "user", "admin", "root", "anonymous",
    "null", "none", "true", "false", "undefined", "error", "info", "warn", "warning", "debug", "trace", "audio",
    "video", "data", "chrome", "firefox", "safari", "edge", "linux", "windows", "android", "mozilla", "prosody",
    "jicofo", "nginx", "coturn", "bridge", "jitsi", "room", "nick", "name", "password", "secret", "token", "http",
    "https", "xmpp", "ws", "bosh", "tcp", "udp", "ssl", "tls", "ice", "host", "srflx", "prflx", "relay", "unknown",
    "server", "client", "system", "owner", "moderator", "participant", "member", "guest-user", "eth0", "lo",
    "xmpp-websocket", "http-bind", "colibri-ws", "config.js", "changeme", "ignored", "required", "plain",
    "external", "origin", "pwd", "username", "transcriber", "filmstrip", "me", "you", "fellow", "participants",
    "secret-key", "private", "public", "example", "example.com", "meet-jitsi", "internal_hashed", "internal_plain",
    "jitsi-anonymous", "client_proxy", "restart", "always", "enabled", "disabled", "region", "default-id",
))  # fmt: skip

#: hosts that programs name by themselves: namespaces, and services that everybody uses
PUBLIC_HOSTS = (
    "jitsi.org", "jitsi.net", "jabber.org", "w3.org", "ietf.org", "xmpp.org", "gravatar.com", "google.com",
    "googleapis.com", "webrtc.org", "gstatic.com", "example.com", "example.org", "example.net", "letsencrypt.org",
    "mozilla.org", "chromium.org", "github.com", "apache.org", "igniterealtime.org", "strophe.org", "process-one.net",
    "in-addr.arpa", "ip6.arpa", "localhost", "oracle.com", "java.net", "prosody.im",
    "aomediacodec.github.io", "chromestatus.com",
    "process-one.net", "callstats.io", "amplitude.com", "rtcstats.com", "jabber.ru",
)  # fmt: skip
_ENTITIES = ((">", "&gt;"), ('"', "&quot;", "&#34;"), ("'", "&apos;", "&#39;", "&#x27;", "&#039;"))


def in_markup(text: str) -> tuple[str, ...]:
    """How XML, HTML and JSON may write a text, always as many ways and in one order: quotes have several.

    >>> "O&apos;Neil" in in_markup("O'Neil")
    True
    """
    written = [json.dumps(text, ensure_ascii=False)[1:-1]]
    if re.search("[&<>'\"]", text):
        plain = text.replace("&", "&amp;").replace("<", "&lt;")
        for greater, double, single in itertools.product(*_ENTITIES):
            written.append(plain.replace(">", greater).replace('"', double).replace("'", single))
    return tuple(written)


class Names:
    """The names of a case and what stands for them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.given: dict[str, str] = {}
        self.hosts: dict[str, str] = {}  # of given: host names, in lower case
        self._used: set[str] = set()
        self._words: set[str] = set()  # of the case's own names: what stands for one name is no part of another
        self.turn = b""  # changes what noise becomes, where some happened to look like an original

    def digest(self, value: str, salt: int = 0, size: int = 32) -> bytes:
        """Pseudorandom bytes that belong to a value."""
        return self.stream(b"%d:" % salt + value.encode("utf-8", "surrogatepass"), size)

    def stream(self, label: bytes, size: int) -> bytes:
        """Pseudorandom bytes that belong to some bytes."""
        seed = hmac.digest(self._key, label, "sha256")
        return seed[:size] if size <= 32 else hashlib.shake_128(seed).digest(size)

    def noise(self, label: bytes, size: int) -> bytes:
        """Bytes that stand for nothing, and may be others where they happen to look like something.

        None is a ``>``: where a segment of an unknown stream to port 5222 ends in one, Wireshark reads XML.
        """
        return self.stream(self.turn + label, size).replace(b">", b"?")

    def avoid(self, values: Iterable[str]) -> None:
        """Names of the case, of whose words none comes up in what stands for them."""
        self._words.update(word for value in values for word in _words(value))

    def add(self, value: str, kind: str = "name") -> None:
        """Give a name a pseudonym, unless it has one or is nobody's."""
        value = value.strip()
        if value in self.given or not value or value.lower() in WORDS or len(value) > 4096 or value.isspace():
            return
        if kind == "host":
            self.host(value)
            return
        self.given[value] = self._fresh(value)

    def host(self, value: str) -> str:
        """The pseudonym of a host name: label by label, so that what was below it stays below."""
        lower = value.lower().rstrip(".")
        if public(lower) or "." not in lower or len(lower) > 253:
            return value
        new = self.hosts.get(lower)
        if new is None:
            labels = lower.split(".")
            made = [label if label in WORDS or label == "*" else self._label(label) for label in labels[:-1]]
            new = self.hosts[lower] = ".".join([*made, self._top(labels[-1])])
            self.given[lower] = new
            if value != lower:
                self.given[value.rstrip(".")] = "".join(
                    b.upper() if a.isupper() else b for a, b in zip(value, new, strict=False)
                )
        return new

    def _label(self, label: str) -> str:
        return self._fresh(label, as_word=True)

    def _top(self, top: str) -> str:
        if top in ("local", "localdomain", "arpa", "onion"):
            return top
        if len(top) in _TOPS:
            first, second = _TOPS[len(top)]
            return second if any(a == b for a, b in zip(top, first, strict=True)) else first
        return "x" + "qzjv"[len(top) % 4] * (len(top) - 1)

    def _fresh(self, value: str, as_word: bool = False) -> str:
        front = ""
        if _UUID.match(value):  # a client's endpoint is the beginning of its id
            self.add(value[:8])
            front = self.given.get(value[:8], "")
        for salt in range(1000):
            made = front + self.alike(value, salt, as_word)[len(front) :]
            if made in self.given or made in self._used or made.lower() in WORDS:
                continue
            if made != value and self._words.isdisjoint(_words(made)):
                self._used.add(made)
                return made
        return self.alike(value, 0, as_word)

    def alike(self, value: str, salt: int = 0, as_word: bool = False) -> str:
        """Something of the same length (in bytes too) and of the same kinds of letters."""
        noise = self.digest(value, salt, max(32, 2 * len(value)))
        if not as_word and len(value) > 3 and _HEXADECIMAL.match(value) and not value.isalpha():
            digits = "0123456789ABCDEF" if value.upper() == value and not value.isdigit() else "0123456789abcdef"
            digits = "0123456789" if value.isdigit() else digits
            first = "123456789" if value.isdigit() and value[0] != "0" else digits
            return "".join(
                c if c == "-" else (first if not i else digits)[noise[i] % len(first if not i else digits)]
                for i, c in enumerate(value)
            )
        numbers = [noise[2 * i] << 8 | noise[2 * i + 1] for i in range(len(value))]
        out = [_letter(c, number) for c, number in zip(value, numbers, strict=True)]
        for run in _RUNS.finditer(value):
            begin, end = run.span()
            out[begin:end] = (_digits if run[0].isdigit() else _word)(run[0], numbers[begin:end])
        return "".join(out)


def _words(value: str) -> Iterator[str]:
    """The words in a name, in lower case: those of one letter, of digits, and of every deployment tell nothing."""
    for match in _WORD.finditer(value.lower()):
        if len(match[0]) > 1 and not match[0].isdigit() and match[0] not in WORDS:
            yield match[0]


def _word(run: str, numbers: list[int]) -> list[str]:
    """Letters with as many vowels, at other places: what looks like a word, and is easily guessed, still does."""
    vowels = sum(letter in VOWELS for letter in run.lower())
    chosen = set(sorted(range(len(run)), key=lambda k: (numbers[k] % 251, k))[:vowels])
    made = [(VOWELS if k in chosen else CONSONANTS) for k in range(len(run))]
    letters = [kind[number // 251 % len(kind)] for kind, number in zip(made, numbers, strict=True)]
    return [b.upper() if a.isupper() else b for a, b in zip(run, letters, strict=True)]


def _digits(run: str, numbers: list[int]) -> list[str]:
    """Digits; a year stays one, and what counts or repeats goes on doing so."""
    digits = [int(digit) for digit in run]
    steps = {b - a for a, b in itertools.pairwise(digits)}
    if len(run) > 2 and len(steps) == 1:
        low = max(0, digits[0] - digits[-1])
        first = low + numbers[0] % (10 - abs(digits[-1] - digits[0]))
        return [str(first + k * (digits[1] - digits[0])) for k in range(len(run))]
    made = [str(number % 10) for number in numbers]
    return [*run[:2], *made[2:]] if _YEAR.fullmatch(run) else made


def _letter(letter: str, number: int) -> str:
    for alphabet in ALPHABETS:
        if letter in alphabet:
            return alphabet[number % len(alphabet)]
    code = ord(letter)
    if code < 0x80 or 0xD800 <= code < 0xE000:
        return letter
    if code < 0x800:
        return chr(0xE0 + number % 23)
    return chr(0x4E00 + number % 2000) if code < 0x10000 else chr(0x1F600 + number % 60)


@functools.lru_cache(maxsize=1 << 12)  # what is said names few hosts, again and again
def public(host: str) -> bool:
    """Whether a host is named by programs, and tells nothing of who uses them."""
    return any(host == name or host.endswith("." + name) for name in PUBLIC_HOSTS)


def clocked(ufrag: str, names: Names, earliest: int, latest: int, shift: int) -> str | None:
    """Another ufrag of ice4j's form, made about when the original was; None where that has no clock.

    ``earliest`` and ``latest`` are milliseconds since 1970 between which it may be, ``shift`` is added to the time.
    """
    tail = ufrag[-9:]
    if not 10 <= len(ufrag) <= 20 or any(c not in _BASE32 for c in tail):
        return None
    time = int(tail, 32)
    if not earliest <= time <= latest:
        return None
    noise = names.digest(ufrag)
    time += shift - 1 - noise[0] % 200
    digits = "".join(_BASE32[(time >> 5 * k) & 31] for k in range(8, -1, -1))
    return names.alike(ufrag[:-9], 7) + digits


def several(names: Names, values: Iterable[str], kind: str = "name") -> None:
    """Give each of these names a pseudonym."""
    for value in values:
        names.add(value, kind)
