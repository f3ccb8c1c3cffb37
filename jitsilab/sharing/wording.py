"""Text with its names, addresses and secrets replaced, in one pass that knows where words begin and end.

Names are looked for as they are and as they are written: percent-encoded, escaped for XML and JSON, in base64, in
other cases. Addresses are mapped inside their class; product versions that look like addresses are left alone.
"""

import base64
import binascii
import contextlib
import html
import json
import re
import urllib.parse
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range
from itertools import chain
from typing import Any

from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.moments import Moments
from jitsilab.sharing.names import Names, in_markup
from jitsilab.sharing.written import Written

_FOUR = rb"(?:\d{1,3}\.){3}\d{1,3}"
_SIX = rb"(?:[0-9A-Fa-f]{1,4}:|:)(?:[0-9A-Fa-f]{0,4}:){1,6}(?:" + _FOUR + rb"|[0-9A-Fa-f]{1,4}|(?<=::))"
_ADDRESS = re.compile(
    rb"(?P<reverse>(?<![0-9A-Za-z.])(?:\d{1,3}\.){4}in-addr\.arpa|(?:[0-9a-f]\.){32}ip6\.arpa)"
    rb"|(?<![0-9A-Za-z])(?P<hex>[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,63})(?![0-9A-Za-z])"
    rb"|(?P<print>[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63})(?![0-9A-Fa-f:])"  # Chrome writes CF before it
    rb"|(?<![0-9A-Za-z])(?P<cisco>[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Za-z])"
    rb"|(?<![0-9A-Za-z:])(?P<low>" + _SIX + rb")(?:-(?P<high>" + _SIX + rb")|/(?P<bits>\d{1,3}))?"
    rb"(?![0-9A-Za-z]|:(?!\d{5}(?![0-9A-Fa-f]))[0-9A-Fa-f:])"  # five digits are a port, written without brackets
    rb"|(?<![0-9A-Za-z.])(?P<low4>" + _FOUR + rb")(?:-(?P<high4>" + _FOUR + rb")|/(?P<bits4>\d{1,2})(?![\d.]))?"
    rb"(?![0-9A-Za-z]|\.\d)"
    rb"|(?<![0-9A-Za-z.+-])(?:0x)?(?P<number>\d{8,10}|[0-9A-F]{8}|[0-9a-f]{8})(?![0-9A-Za-z.]\w|[0-9A-Za-z])"
    rb"|(?<![0-9A-Za-z])(?P<dashed>(?:\d{1,3}-){3}\d{1,3})(?![0-9A-Za-z-])"
)
#: what every one of them holds, found by one letter as `re` is quick at, up to where none goes on
_CORE = re.compile(rb"[0-9A-Fa-f:.-](?:[0-9A-Fa-f:.-]{6,}|(?<=:)[0-9A-Fa-f]{0,4}:)[0-9A-Za-z:./_+-]*")
_BEFORE = 4  # bytes of an address that may stand before that
_VERSION = re.compile(rb"(?:[A-Za-z]/|[Vv]er(?:sion)?[\"' :=]{1,4}|\bv)\Z")
_JWT = re.compile(rb"eyJ[\w-]{4,4096}\.[\w-]{2,16384}\.[\w-]{0,2048}")
PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64 = re.compile(rb"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,65536}={0,2}(?![\w+/=-])")
_PIN = re.compile(  # a password of few digits, which as a name would stand in too much else
    rb"((?:[Pp]assword|PASSWORD|[Ss]ecret|SECRET|passwd|[Pp]in)\b(?:[^<>]{0,200}>\s{0,64}(?:<value>)?"
    rb"|[\\\"']{0,4}\s{0,4}[=:]\s{0,4}[\\\"']{0,4}))(\d{3,7})(?![\w.:])"
)
_PIN_WORDS = (b"assword", b"ASSWORD", b"ecret", b"ECRET", b"passwd", b"pin", b"Pin")
_KEYS = re.compile(
    rb"(?m)^(?:CLIENT|SERVER|EXPORTER|EARLY|RSA|QUIC)[A-Z_0-9]*[ \t]+(?:Session-ID:)?[0-9A-Fa-f]{32,} .*$"
)
_PLAIN, _WORD = 1 << 12, 64  # words that are remembered, and the longest of them
_TIMES = ("exp", "nbf", "iat")


class Wording:
    """Replaces names, addresses and secrets in text."""

    def __init__(self, names: Names, addresses: Addresses) -> None:
        self.names, self.addresses = names, addresses
        self.hashes: dict[bytes, bytes] = {}  # digests of certificates and what they became
        self.prints: set[bytes] = set()  # digests that were replaced
        self.certificate: Any = None  # (der) -> der
        self.moments: Moments | None = None  # where times are moved
        self._plain: set[bytes] = set()  # words that look like base64 and hold no name: said again and again

    @cached_property
    def _written(self) -> Written:
        return Written(chain.from_iterable(_ways(old, new).items() for old, new in self.names.given.items()))

    @cached_property
    def _numbers(self) -> dict[bytes, tuple[bytes, bool, bool]]:
        """Addresses as one number, as databases and kernels write them: which, turned round or not, decimal or not."""
        numbers: dict[bytes, tuple[bytes, bool, bool]] = {}
        for text in self.addresses.originals:
            packed = ip_address(text).packed
            if len(packed) == 4 and len(set(packed) - {0}) > 2:
                for turned, value in ((False, packed), (True, packed[::-1])):
                    numbers.setdefault(str(int.from_bytes(value)).encode(), (packed, turned, True))
                    numbers.setdefault(value.hex().encode(), (packed, turned, False))
        return numbers

    def ready(self) -> None:
        """Make what the first text would make."""
        self._written, self._numbers  # noqa: B018

    def known_of(self) -> tuple[int, int]:
        """How many names and certificates have something that stands for them."""
        return len(self.names.given), len(self.hashes)

    def known(self, data: bytes) -> bool:
        """Whether some name stands in these bytes."""
        return next(self._written.places(data), None) is not None

    def names_in(self, data: bytes) -> bytes:
        """The names alone."""
        return self._written.replaced(data)

    def text(self, data: bytes) -> bytes:
        """All of it."""
        if b"-----BEGIN" in data:
            data = PEM.sub(self._pem, data)
        if b"eyJ" in data:
            data = _JWT.sub(self._jwt, data)
        data = _KEYS.sub(b"# a TLS secret stood here", data)
        if any(word in data for word in _PIN_WORDS):  # the pattern would begin anew at each p and s
            data = _PIN.sub(lambda match: match[1] + self.noise(match[2]), data)
        data = self.names_in(data)
        data = _BASE64.sub(self._packed, data)
        data = self._addresses_in(data)
        return data if self.moments is None else self.moments.moved(data)

    def file(self, data: bytes) -> bytes:
        """A text file of any encoding."""
        for mark, code in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
            if data.startswith(mark):
                text = data[2:].decode(code, "surrogatepass").encode("utf-8", "surrogatepass")
                return mark + self.text(text).decode("utf-8", "replace").encode(code, "replace")
        return self.text(data)

    def _addresses_in(self, data: bytes) -> bytes:
        parts, done = list[bytes](), 0
        for core in _CORE.finditer(data):
            for match in _ADDRESS.finditer(data, max(done, core.start() - _BEFORE), core.end()):
                parts += data[done : match.start()], self._address(match)
                done = match.end()
        return b"".join([*parts, data[done:]]) if parts else data

    def _address(self, match: "re.Match[bytes]") -> bytes:
        whole = match[0]
        if match["hex"] or match["print"] or match["cisco"]:
            return self._hex(whole)
        if match["dashed"]:
            try:
                return self.addresses.text(whole.replace(b"-", b".").decode()).replace(".", "-").encode()
            except ValueError:
                return whole
        if match["reverse"]:
            return self._reversed(whole)
        if match["number"]:
            return self._number(whole, match["number"])
        low, high = match["low"] or match["low4"], match["high"] or match["high4"]
        bits = match["bits"] or match["bits4"]
        before = match.string[max(0, match.start() - 12) : match.start()]
        if match["low4"] and not bits and not high and (low.endswith(b".0.0.0") or _VERSION.search(before)):
            return whole
        head, _, tail = low.rpartition(b":")
        if match["low"] and tail.isdigit() and self.addresses.met(head):  # a port, written without brackets
            return self.addresses.text(head.decode()).encode() + whole[len(head) :]
        try:
            address = ip_address(low.decode())
            if high:
                return self._range(address, ip_address(high.decode()))
            if bits is not None and int(bits) <= address.max_prefixlen:
                return self._network(address, int(bits), bits, low)
            new = self.addresses.text(low.decode())
        except ValueError:
            return whole
        if _plain(address) == new or address.packed == self.addresses.packed(address.packed):
            return whole
        return (new.upper() if low.upper() == low and low.lower() != low else new).encode() + whole[len(low) :]

    def _number(self, whole: bytes, number: bytes) -> bytes:
        known = self._numbers.get(number.lower())
        if known is None:
            return whole
        packed, turned, decimal = known
        new = self.addresses.packed(packed)[:: -1 if turned else 1]
        text = (str(int.from_bytes(new)) if decimal else new.hex()).encode()
        return whole[: -len(number)] + (text if number.lower() == number else text.upper())

    def _network(self, address: IPv4Address | IPv6Address, length: int, bits: bytes, low: bytes) -> bytes:
        host = int(address) & ((1 << (address.max_prefixlen - length)) - 1)
        if length == address.max_prefixlen or host:
            new = ip_address(self.addresses.packed(address.packed))
        else:
            new = ip_address(self.addresses.network(address.packed, length))
        return (low if new == address else str(new).encode()) + b"/" + bits

    def _range(self, low: Any, high: Any) -> bytes:
        if low.version == high.version and low <= high:
            parts = list(summarize_address_range(low, high))
            if len(parts) == 1:
                first = self.addresses.network(low.packed, parts[0].prefixlen)
                last = int.from_bytes(first) | int(parts[0].hostmask)
                return f"{ip_address(first)}-{ip_address(last.to_bytes(len(first)))}".encode()
        return f"{self.addresses.text(str(low))}-{self.addresses.text(str(high))}".encode()

    def _reversed(self, whole: bytes) -> bytes:
        address = reversed_address(whole.decode())
        if address is None:
            return whole
        new = ip_address(self.addresses.packed(address.packed))
        return new.reverse_pointer.encode()

    def _hex(self, whole: bytes) -> bytes:
        between = b"." if b"." in whole else whole[2:3]
        raw = bytes.fromhex(whole.replace(between, b"").decode())
        if len(raw) == 6:
            new = self.addresses.mac(raw)
        elif len(raw) in (16, 20, 28, 32, 48, 64):
            new = self.digest(raw)
        else:
            return whole
        if new == raw:
            return whole
        text = new.hex() if between == b"." else new.hex(between.decode())
        text = ".".join(text[i : i + 4] for i in range(0, 12, 4)) if between == b"." else text
        return (text.upper() if whole.upper() == whole else text).encode()

    def digest(self, raw: bytes) -> bytes:
        """What a fingerprint became: that of the certificate in the new one's place, where it was seen."""
        self.prints.add(raw)
        return self.hashes.get(raw) or self.names.stream(b"digest" + raw, len(raw))

    def _pem(self, match: "re.Match[bytes]") -> bytes:
        kind, body = match[1], match[2]
        if kind == b"CERTIFICATE" and self.certificate is not None:
            try:
                raw = base64.b64decode(re.sub(rb"\\[rn]|\s", b"", body), validate=True)
            except (binascii.Error, ValueError):
                raw = b""
            if raw:
                packed = base64.b64encode(self.certificate(raw))
                at, out = 0, bytearray()
                for part in re.findall(rb"\\[rn]|\s|[A-Za-z0-9+/=]+", body):
                    if re.match(rb"[A-Za-z0-9+/=]", part):
                        out += packed[at : at + len(part)]
                        at += len(part)
                    else:
                        out += part
                return b"-----BEGIN CERTIFICATE-----" + bytes(out) + b"-----END CERTIFICATE-----"
        return b"-----BEGIN " + kind + b"-----\nremoved\n-----END " + kind + b"-----"

    def _jwt(self, match: "re.Match[bytes]") -> bytes:
        head, body, mark = match[0].split(b".")
        try:
            claims = json.loads(_unpacked(body))
        except (ValueError, binascii.Error):
            return self.noise(head + body) + b"." + self.noise(body) + b"." + self.noise(mark)
        text = json.dumps(self._claims(claims), separators=(",", ":")).encode()
        try:
            first = json.dumps(self._header(json.loads(_unpacked(head))), separators=(",", ":")).encode()
        except (ValueError, binascii.Error):
            first = b"{}"
        both = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (first, text)]
        return b".".join([*both, self.noise(mark)])

    @staticmethod
    def _header(header: Any) -> dict[str, Any]:
        return {k: header[k] for k in ("alg", "typ") if isinstance(header, dict) and k in header}

    def _claims(self, value: Any, top: bool = True) -> Any:
        if isinstance(value, dict):
            return {k: self._time(v) if top and k in _TIMES else self._claims(v, False) for k, v in value.items()}
        if isinstance(value, list):
            return [self._claims(inner, False) for inner in value]
        if not isinstance(value, str) or value == "*":
            return value
        new = self.text(value.encode()).decode("utf-8", "replace")
        return new if new != value or value in ("jitsi", "guest") else self.names.alike(value)

    def _time(self, value: Any) -> Any:
        return value if self.moments is None or type(value) not in (int, float) else value + self.moments.seconds

    def noise(self, data: bytes) -> bytes:
        """Letters of the same kinds that say nothing."""
        return self.names.alike(data.decode("latin-1"), 3).encode("latin-1")

    def _packed(self, match: "re.Match[bytes]") -> bytes:
        """Base64 that holds a name."""
        whole = match[0]
        if whole in self._plain:
            return whole
        new = self._repacked(whole)
        if new == whole and len(whole) < _WORD:
            if len(self._plain) >= _PLAIN:
                self._plain.clear()
            self._plain.add(whole)
        return new

    def _repacked(self, whole: bytes) -> bytes:
        try:
            raw = _unpacked(whole)
        except (ValueError, binascii.Error):
            return whole
        if not self.known(raw) and not _ADDRESS.search(raw):
            return whole
        new = self.names_in(raw)
        if sum(32 <= c < 127 for c in raw) > 0.9 * len(raw):
            new = self._addresses_in(new)
        if new == raw:
            return whole
        url = b"-" in whole or b"_" in whole
        made = base64.urlsafe_b64encode(new) if url else base64.b64encode(new)
        return made if whole.endswith(b"=") or len(whole) % 4 == 0 else made.rstrip(b"=")


def _ways(old: str, new: str) -> dict[bytes, bytes]:
    """Every way in which a name may be written, and what stands for it there."""
    ways: dict[bytes, bytes] = {}
    for change in (str, str.lower, str.upper, str.capitalize):
        a, b = change(old), change(new)
        if a != old and len(old) < 4:
            continue
        for write in (
            str, html.escape, lambda text: urllib.parse.quote(text, safe=""), urllib.parse.quote,
            lambda text: json.dumps(text)[1:-1], lambda text: text.replace("/", "\\/"),
            lambda text: text.replace("-", "\\-").replace("@", "\\40"), urllib.parse.quote_plus,
        ):  # fmt: skip
            with contextlib.suppress(UnicodeEncodeError):
                ways.setdefault(write(a).encode(), write(b).encode())
        for before, after in zip(in_markup(a), in_markup(b), strict=False):
            with contextlib.suppress(UnicodeEncodeError):
                ways.setdefault(before.encode(), after.encode())
    return ways


def reversed_address(name: str) -> IPv4Address | IPv6Address | None:
    """The address of a name below in-addr.arpa or ip6.arpa (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    labels = name.lower().split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return ip_address(".".join(labels[3::-1]))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            return ip_address(bytes.fromhex("".join(labels[31::-1])))
    except ValueError:
        pass
    return None


def _plain(address: Any) -> str:
    return str(address)


def _unpacked(text: bytes) -> bytes:
    body = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
