"""What a file still gives away of people and machines, with the place: for whoever is about to publish it.

A file that `jitsilab share` wrote says so, and its names and addresses are nobody's: there only what must never be
shared is looked for.
"""

import hashlib
import html
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import numpy as np

from jitsilab.inputs.delivery import Delivery, gather
from jitsilab.inputs.packets import PacketTables
from jitsilab.numerals import whole
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.names import WORDS, public
from jitsilab.sharing.wording import reversed_address

if TYPE_CHECKING:
    from jitsilab.pcap import Packets
    from jitsilab.wire import Wire

MARK = b"Pseudonymised by jitsilab share"
_SUMS = "SHARED.txt"
_LIMIT = 1 << 16  # bytes of a line that are looked at together
_OVERLAP = 1 << 11  # of them that are looked at again with the next
_PRINTED = re.compile(rb"[\x20-\x7e\t]{6,}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\0){6,}")
_FOUR = re.compile(r"(?<![0-9A-Za-z.])((?:\d{1,3}\.){3}\d{1,3})(?![0-9A-Za-z]|\.\d)")
_SIX = re.compile(r"(?<![0-9A-Za-z:.])([0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{2,36}[0-9A-Fa-f])(?![0-9A-Za-z:])")
_MAC = re.compile(r"(?<![0-9A-Za-z:-])([0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5})(?![0-9A-Za-z:-])")
_ARP = re.compile(r"\bARP\b|\bis at\b|[Ww]ho[- ]has")
_USER = re.compile(r"(?:user: |ufrag\W{1,5}|usernameFragment\W{1,5})([0-9A-Za-z+/]{4,64})(?::([0-9A-Za-z+/]{4,64}))?")
_STAMP = re.compile(r"\bTS ?[Vv]al[ =:]{1,3}\d+")
_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})(?![\w-])")
_TURN = re.compile(r"(?i)username\W{1,5}(\d{9,10}(?::[^\s\"'<>&\\]{1,64})?)(?![\w])")
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{4,}\.[\w-]*")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{16}|"
                  r"(?:CLIENT|SERVER)_[A-Z_0-9]*(?:RANDOM|SECRET_?\d?) [0-9a-fA-F]{64} [0-9a-fA-F]{64}")  # fmt: skip
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----")
_SECRET = re.compile(r"(?i)(?<![a-z])(?:password|passwd|secret|ice-pwd|pwd|app_secret|static-auth-secret)"
                     r"[\"'\\]{0,2}\s?[=:]\s?[\"'\\]{0,2}([^\s\"'<>&;,}\\$(]{6,})")  # fmt: skip
_PATH = re.compile(r"https?:|/[\w.-]+/[\w./-]*\Z|/\w+\.\w+\Z")
_HOST = re.compile(r"(?i)(?:https?|wss?)://((?:[a-z0-9-]+\.)+[a-z]{2,24})|(?:server_name|VirtualHost|realm|SNI)\W{1,4}"
                   r"((?:[a-z0-9-]+\.)+[a-z]{2,24})")  # fmt: skip
_RESERVED = (".example", ".test", ".invalid", ".localhost", ".local")
_MADE = re.compile(r"\.(?:xa|qz|xqv|qvx|x([qzjv])\1*)\Z")  # a pseudonym's: of no host

_HARDWARE = ((1, 0), (1, 6), (113, 6), (276, 12))  # link types, and where their headers hold a hardware address
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local\Z")  # what browsers hide addresses behind


class Leak(NamedTuple):
    """One thing that a file tells."""

    kind: str
    what: str  # a secret is not repeated
    input: str
    place: str  # line or frame
    times: int


class _Found:
    """Leaks of one file, each told once with its first place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: dict[tuple[str, str], list[object]] = {}

    def add(self, kind: str, what: str, place: str) -> None:
        row = self._rows.setdefault((kind, what), [place, 0])
        row[1] = int(str(row[1])) + 1
        first, number = (whole(str(where).removeprefix("frame ")) for where in (row[0], place))
        if first is not None and number is not None and number < first:
            row[0] = place  # the first frame, in whatever order they are looked at

    def rows(self) -> list[Leak]:
        return [Leak(kind, what, self.name, str(row[0]), int(str(row[1]))) for (kind, what), row in self._rows.items()]


def scan(paths: Iterable[str | Path], *, trusted: bool = False) -> list[Leak]:
    """Everything that files, folders and archives still give away.

    ``trusted``: they are made of evidence that gives nothing away; then secrets alone are looked for.
    """
    pieces = gather(list(paths))
    vouched = set()
    for piece in pieces:
        if piece.name == _SUMS and piece.head.startswith(MARK):
            vouched |= {line.split()[0] for line in piece.head.decode("utf-8", "replace").splitlines()[2:] if line}
    leaks: list[Leak] = []
    for piece in pieces:
        if not piece.note and piece.name != _SUMS:
            leaks += _file(piece, trusted or (_sum(piece) in vouched if vouched else False))
    return leaks


def _sum(delivery: Delivery) -> str:
    digest = hashlib.sha256()
    with delivery.raw() as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _file(delivery: Delivery, vouched: bool) -> list[Leak]:
    from jitsilab.pcap import is_magic

    leaks = _Found(delivery.input)
    if is_magic(delivery.head):
        _capture(delivery, leaks)
    elif delivery.head.startswith(b"%PDF"):
        _text(_pdf(delivery), leaks, vouched)
    elif b"\0" in delivery.head[:4096] and not delivery.head.startswith((b"\xff\xfe", b"\xfe\xff")):
        _text(_strings(delivery), leaks, vouched)
    else:
        _text(_lines(delivery), leaks, vouched)
    return leaks.rows()


# --- text

Lines = Iterable[tuple[str, str]]  # place and text


def _lines(delivery: Delivery) -> Iterator[tuple[str, str]]:
    """Each line of a text; a long one in parts that overlap."""
    head = delivery.head
    code = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if code == "utf-16":
        with delivery.open() as file:
            for number, line in enumerate(file.read().decode(code, "replace").splitlines(), 1):
                yield f"line {number}", line
        return
    web = head.lstrip()[:64].lower().startswith((b"<!doctype html", b"<html"))
    number, before = 1, b""
    with delivery.open() as file:
        while raw := file.readline(_LIMIT):
            line = (before + raw).decode(code, "replace")
            yield f"line {number}", html.unescape(line) if web else line
            ended = raw.endswith(b"\n")
            number, before = number + ended, b"" if ended else raw[-_OVERLAP:]


def _strings(delivery: Delivery) -> Iterator[tuple[str, str]]:
    """What can be read in a file that is no text, in ASCII or in UTF-16."""
    at, before = 0, b""
    with delivery.open() as file:
        while block := file.read(1 << 20):
            data, begin = before + block, at - len(before)
            for match in _PRINTED.finditer(data):
                yield f"byte {begin + match.start()}", match[0].decode("ascii")
            for match in _WIDE.finditer(data):
                yield f"byte {begin + match.start()}", match[0].decode("utf-16-le")
            at, before = at + len(block), block[-_OVERLAP:]


def _pdf(delivery: Delivery) -> Iterator[tuple[str, str]]:
    """What a PDF says: by pdftotext where that is here, else what its streams hold as they are."""
    for number, line in enumerate(_printed(delivery), 1):
        yield f"line {number}", line


def _printed(delivery: Delivery) -> Iterator[str]:
    if shutil.which("pdftotext") and delivery.path is not None:
        done = subprocess.run(
            ["pdftotext", "-layout", str(delivery.path), "-"], capture_output=True, timeout=120, check=False
        )
        if not done.returncode:
            yield from done.stdout.decode("utf-8", "replace").splitlines()
            return
    with delivery.open() as file:
        data = file.read(1 << 28)
    yield from data.decode("latin-1").splitlines()
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            unpacked = zlib.decompressobj().decompress(match[1], 1 << 24)
        except zlib.error:
            continue
        shown = re.findall(rb"\(((?:[^()\\]|\\.)*)\)", unpacked)
        yield b"".join(shown).decode("latin-1")


def _text(lines: Lines, leaks: _Found, vouched: bool) -> None:
    for place, line in lines:
        if _KEY.search(line):
            leaks.add("key", "a secret", place)
        if vouched:
            continue
        line = line.replace("\\/", "/")  # as JSON may write a slash
        _line(line, place, leaks)
        if "%" in line and (plain := unquote(line)) != line:
            _line(plain, place, leaks)


def _line(line: str, place: str, leaks: _Found) -> None:
    arp = bool(_ARP.search(line))
    for pattern in (_FOUR, _SIX):
        for match in pattern.finditer(line):
            _address(match[1], line[max(0, match.start() - 12) : match.start()], arp, place, leaks)
    for match in _MAC.finditer(line):
        _hardware(bytes.fromhex(match[1].replace(":", "").replace("-", "")), place, leaks)
    for match in _USER.finditer(line):
        for ufrag in match.groups():
            _clock(ufrag or "", place, leaks)
    if _STAMP.search(line):
        leaks.add("uptime", "clocks of machines in TSval", place)
    for match in _MAIL.finditer(line):
        host = match[1].partition("@")[2].lower()
        if not public(host) and not host.endswith(_RESERVED) and not _MADE.search(host):
            leaks.add("name", match[1], place)
    for match in _TURN.finditer(line):
        leaks.add("TURN user", match[1], place)
    for match in _HOST.finditer(line):
        _host(match[1] or match[2], place, leaks)
    if _TOKEN.search(line):
        leaks.add("token", "a JSON Web Token", place)
    if _PEM.search(line):
        leaks.add("certificate", "a certificate", place)
    for match in _SECRET.finditer(line):
        if match[1].lower() not in WORDS and not _PATH.match(match[1]):
            leaks.add("secret", "a password", place)


def _address(text: str, before: str, arp: bool, place: str, leaks: _Found) -> None:
    try:
        address = ip_address(text)
    except ValueError:
        return
    if arp and address.is_private and not address.is_loopback and not address.is_unspecified:
        leaks.add("gateway", text, place)
    elif address.is_global and Addresses.changes(address.packed) and not text.endswith((".0.0.0", ":ffff:ffff:ffff")):
        version = re.search(r"(?:[A-Za-z]/|[Vv]er(?:sion)?[\"' :=]{1,4}|\bv)$", before)
        if version is None:
            leaks.add("public address", text, place)


def _hardware(mac: bytes, place: str, leaks: _Found) -> None:
    if any(mac) and not mac[0] & 1:
        local = "" if mac[0] & 2 else ", with its maker"
        leaks.add("hardware address", mac.hex(":") + local, place)


def _clock(ufrag: str, place: str, leaks: _Found) -> None:
    from jitsilab.analysis import clock

    made = clock.made(ufrag)
    if made is not None and 10 <= len(ufrag) <= 16:
        when = datetime.fromtimestamp(made / 1000, UTC).isoformat(" ", "seconds")
        leaks.add("clock", f"ufrag {ufrag} was made {when}", place)


def _host(host: str, place: str, leaks: _Found) -> None:
    host = host.lower().rstrip(".")
    if "." in host and not public(host) and not host.endswith(_RESERVED) and not _MADE.search(host):
        leaks.add("name", host, place)


# --- captures


def _capture(delivery: Delivery, leaks: _Found) -> None:
    from jitsilab import pcap
    from jitsilab.wire import Wire
    from jitsilab.wire.decrypt import KeyLog

    packets = pcap.read(delivery.path if delivery.path is not None else delivery.raw())
    if any(comment.frame == 0 and comment.text.encode().startswith(MARK) for comment in packets.comments):
        return
    if packets.secrets:
        leaks.add("key", "TLS secrets", "file")
    for comment in packets.comments:
        leaks.add("comment", "a comment", f"frame {comment.frame}" if comment.frame else "file")
    codes, begins = np.unique(np.stack([packets.src, packets.dst], 1), return_index=True)
    rows = dict(zip(codes.tolist(), (begins // 2).tolist(), strict=True))
    for code, text in enumerate(packets.addresses):
        place = f"frame {rows[code] + packets.first}" if code in rows else "file"
        _address(text, "", arp=False, place=place, leaks=leaks)
    _links(packets, leaks)
    wire = Wire(packets, KeyLog.load(packets.secrets) if packets.secrets else None)
    _stamps(wire, leaks)
    _units(wire, leaks)
    _resolved(PacketTables(delivery.input, wire), leaks)
    for session in wire.sessions.values():
        first = f"frame {session.records[0].frame}" if session.records else "file"
        if session.sni:
            _host(session.sni, first, leaks)
        if session.certificates:
            leaks.add("certificate", "a server's certificate", first)
    for stanza in wire.carried.stanzas:
        _line(stanza.xml, f"frame {stanza.frame}", leaks)
    for exchange in wire.carried.http:
        for head in (exchange.request, exchange.response):
            if head is not None:
                place = f"frame {head.frames[1]}"
                _line(" ".join([head.target or "", *head.fields.values()]), place, leaks)
                _host(str(head.fields.get("host") or "").partition(":")[0], place, leaks)


def _links(packets: "Packets", leaks: _Found) -> None:
    links = np.array([interface.link for interface in packets.interfaces] or [0])[packets.interface]
    for link, begin in _HARDWARE:
        rows = np.flatnonzero(links == link)
        heads = packets.frame_heads(rows, 0, 20)
        if link == 113:
            rows, heads = (array[heads[:, 5] == 6] for array in (rows, heads))
        elif link == 276:
            rows, heads = (array[heads[:, 11] == 6] for array in (rows, heads))
        macs, first = np.unique(heads[:, begin : begin + 6], axis=0, return_index=True)
        for mac, row in zip(macs, first.tolist(), strict=True):
            _hardware(mac.tobytes(), f"frame {int(rows[row]) + packets.first}", leaks)
    for row in np.flatnonzero(packets.ethertype == 0x0806).tolist():
        frame = packets.frame(row + packets.first)
        body = frame[int(packets.transport_start[row]) :]
        if body[4:6] == b"\x06\x04" and len(body) >= 28:
            for at in (14, 24):
                _address(str(ip_address(body[at : at + 4])), "", True, f"frame {row + packets.first}", leaks)
            for at in (8, 18):
                _hardware(body[at : at + 6], f"frame {row + packets.first}", leaks)
    for row in np.flatnonzero((packets.src_port == 68) | (packets.src_port == 67)).tolist():
        number = row + packets.first
        payload = packets.payload(number)
        if payload[236:240] == b"\x63\x82\x53\x63":  # DHCP (RFC 2131)
            _hardware(payload[28:34], f"frame {number}", leaks)
            name = _lease_name(payload)
            if name:
                leaks.add("name", name, f"frame {number}")


def _lease_name(payload: bytes) -> str:
    """The name that a device asks an address for (option 12, RFC 2132)."""
    at = 240
    while at + 2 <= len(payload) and payload[at] != 255:
        if payload[at] == 12:
            return payload[at + 2 : at + 2 + payload[at + 1]].decode("ascii", "replace")
        at += 2 + payload[at + 1] if payload[at] else 1
    return ""


def _resolved(tables: PacketTables, leaks: _Found) -> None:
    """Names that were asked for, and those that devices gave themselves."""
    rows = tables.table("dns")
    if rows is None:
        return
    for frame, name in zip(rows["frame"].tolist(), rows["name"].fillna("").astype(str), strict=True):
        if name.endswith(".local") and not _UUID.match(name) and not name.startswith("_") and "._" not in name:
            leaks.add("name", name, f"frame {frame}")
        elif (reverse := reversed_address(name.rstrip("."))) is not None:
            _address(str(reverse), "", arp=False, place=f"frame {frame}", leaks=leaks)
        else:
            _host(name, f"frame {frame}", leaks)


def _stamps(wire: "Wire", leaks: _Found) -> None:
    from jitsilab.protocols import tcp

    packets = wire.packets
    for row in packets.tcp_rows[:4096].tolist():
        start, end = int(packets.transport_start[row]) + 20, int(packets.payload_start[row])
        if end > start and tcp.options(packets.frame(row + packets.first)[start:end]).tsval:
            leaks.add("uptime", "clocks of machines in TSval", f"frame {row + packets.first}")
            return


def _units(wire: "Wire", leaks: _Found) -> None:
    from jitsilab.errors import ParseError
    from jitsilab.protocols import stun

    for unit in wire.units.each("stun"):
        try:
            message = stun.decode(unit.data)
        except ParseError:
            continue
        place = f"frame {unit.frame}"
        for kind in (stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS, stun.XOR_PEER_ADDRESS, stun.XOR_RELAYED_ADDRESS):
            for endpoint in message.endpoints(kind):
                _address(endpoint.address, "", arp=False, place=place, leaks=leaks)
        username, realm = message.text(stun.USERNAME), message.text(stun.REALM)
        if realm:
            _host(realm, place, leaks)
        if username and realm is not None:
            leaks.add("TURN user", username, place)
        elif username:
            for ufrag in username.split(":"):
                _clock(ufrag, place, leaks)
