"""The last step: what was made is searched for every original, in every way in which it could be written."""

import base64
import io
import itertools
import tarfile
import zipfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

from jitsilab.pcap import is_capture, read
from jitsilab.pcap.containers import Container
from jitsilab.pcap.cores import apart
from jitsilab.pcap.sources import Source
from jitsilab.sharing.finder import Finder, Strings
from jitsilab.sharing.floors import Floors
from jitsilab.sharing.names import in_markup
from jitsilab.wire import carriers
from jitsilab.wire.carriers import bosh, merge
from jitsilab.wire.decrypt import KeyLog

STEP, OVERLAP = 1 << 22, 1 << 13
_PIECE = STEP >> 2  # bytes of plaintext, of which some make a step
_BETWEEN = b"\n"  # in no name, address or secret
_COOKIE = b"\x21\x12\xa4\x42"
BY_CHANCE = 1 << 27  # bytes in which once an address may stand by chance, as in a time or a number that was kept


def forms(text: str, kind: str) -> Iterator[tuple[bytes, bool]]:
    """How an original may be written, and whether it must stand alone there, as a word."""
    raw = text.encode("utf-8", "surrogatepass")
    if kind == "address":
        packed = ip_address(text).packed
        telling = len(set(packed) - {0}) > 2  # 10.0.0.1 stands in anything
        if telling:
            yield packed, False
        if len(packed) == 4:
            if telling:
                yield bytes(a ^ b for a, b in zip(packed, _COOKIE, strict=True)), False
            yield ".".join(text.split(".")[::-1]).encode() + b".in-addr", False
            yield text.replace(".", "-").encode(), True
            for value in (packed, packed[::-1]) if telling else ():
                yield str(int.from_bytes(value)).encode(), True
                yield value.hex().encode(), True
                yield value.hex().upper().encode(), True
        else:
            yield ".".join(reversed(packed.hex())).encode(), False
            yield text.upper().encode(), True
    if kind in ("MAC", "fingerprint"):
        packed = bytes.fromhex(text.replace(":", ""))
        yield packed, False
        for between in (":", "-", ""):
            written = packed.hex(between) if between else packed.hex()
            yield written.encode(), kind == "MAC"
            yield written.upper().encode(), kind == "MAC"
        return
    if len(raw) < 5:
        return
    yield raw, len(raw) < 8 or kind == "address"
    if len(raw) > 6:
        yield text.encode("utf-16-le", "surrogatepass"), False
        yield raw.hex().encode(), False
        yield raw.hex().upper().encode(), False
        yield quote(text, safe="").encode("utf-8"), kind == "address"
        for shift in range(3):
            inside = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
            yield inside[(0, 2, 3)[shift] : -1], False
        for variant in in_markup(text) if kind == "name" else ():
            if variant != text:
                yield variant.encode("utf-8", "surrogatepass"), False
        if text.upper() != text and kind != "address":
            yield text.upper().encode(), True


Hits = Counter[tuple[int, bool]]


class Originals:
    """What is looked for: every original and its kind, in every form."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        self._texts, self._kinds = Strings(), Strings()
        self._of = array("I")  # which original each form is of
        self._alone = bytearray()
        self._short = 0  # forms of four bytes of any kind
        self._finder = Finder(self._forms(known))

    def _forms(self, known: Iterable[tuple[str, str]]) -> Iterator[bytes]:
        for number, (text, kind) in enumerate(known):
            self._texts.append(text.encode("utf-8", "surrogatepass"))
            self._kinds.append(kind.encode())
            for form, alone in dict(reversed(list(forms(text, kind)))).items():
                self._of.append(number)
                self._alone.append(alone)
                self._short += len(form) == 4 and not alone
                yield form

    def by_chance(self, size: int) -> tuple[int, int]:
        """How many forms of four bytes so many bytes hold by chance, and of one original."""
        every = size * self._short
        return max(size // BY_CHANCE, every >> 32), 1 + (4 * every // max(1, len(self._texts)) >> 32)

    def find(self, data: bytes) -> Iterator[tuple[int, int, bool]]:
        """Places of originals, the number of each, and whether that are four bytes of any kind."""
        for at, number in self._finder.find(data):
            size, alone = len(self._finder.pattern(number)), self._alone[number]
            if not alone or not (_word(data, at - 1) or _word(data, at + size)):
                yield at, self._of[number], not alone and size == 4

    def count(self, blocks: Iterable[bytes]) -> Hits:
        """How often each original stands there, by its number and whether that are four bytes of any kind."""
        return Counter((number, short) for block in blocks for _, number, short in self.find(block))

    def described(self, number: int) -> str:
        """An original without itself."""
        return (
            f"{self._kinds[number].decode()} of {len(self._texts[number].decode('utf-8', 'surrogatepass'))} characters"
        )


def _word(data: bytes, at: int) -> bool:
    return 0 <= at < len(data) and chr(data[at]).isalnum() and data[at] < 128


def originals(bundle: Path, known: Iterable[tuple[str, str]]) -> list[str]:
    """Each original, of a text and its kind, that is still there, with its place."""
    finder = Originals(known)
    held: list[str] = []
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        name = str(path.relative_to(bundle))
        chances, often = finder.by_chance(path.stat().st_size)
        met: set[int] = set()
        by_chance: Counter[int] = Counter()
        names = ("name", finder.count([name.encode()]))
        packed = ((where, finder.count([block])) for where, block in contents(path))
        for where, hits in itertools.chain([names], packed, _inside(path, finder)):
            for (number, short), count in hits.items():
                may_be = min(often - by_chance[number], chances - by_chance.total()) if short else 0
                by_chance[number] += min(may_be, count)
                if count > may_be and number not in met:
                    met.add(number)
                    held.append(f"{finder.described(number)} in {name} ({where})")
    return held


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file as it is, and what is packed in it, in blocks that overlap."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        yield from _overlapping("bytes", file)
    if head.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        yield from _overlapping("unpacked", _Unpacked(path))
    elif head.startswith(b"BZh"):
        import bz2

        with bz2.open(path) as packed:
            yield from _overlapping("unpacked", packed)
    elif head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                yield member.filename, member.filename.encode()
                with archive.open(member) as content:
                    yield from _overlapping(member.filename, content)
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for entry in archive:
                yield entry.name, entry.name.encode()
                inside = archive.extractfile(entry) if entry.isreg() else None
                if inside is not None:
                    yield from _overlapping(entry.name, inside)


def _inside(path: Path, finder: Originals) -> Iterator[tuple[str, Hits]]:
    """Originals in what a capture says under the keys that it brings along."""
    if not is_capture(path):
        return
    container = Container(Source(path, keep=False))
    for _ in container.chunks():
        pass
    if not container.secrets:  # only then its frames are worth their memory
        return
    packets = read(path)
    wire = Floors(packets, KeyLog.load(packets.secrets))
    for hits, _ in apart(lambda numbers, _: finder.count(_together(_decrypted(wire, numbers))), wire.shares()):
        yield "decrypted", hits


def _decrypted(wire: Floors, numbers: Sequence[int]) -> Iterator[bytes]:
    for number in numbers:
        if (session := wire.sessions.get(number)) is not None:
            for up in (True, False):
                for piece in session.plaintext(up).pieces:
                    for begin in range(0, len(piece.data), _PIECE):
                        yield piece.data[max(0, begin - OVERLAP) : begin + _PIECE]
    for load in carriers.each(wire, [], numbers):
        if isinstance(load, carriers.Message):
            yield load.data
        elif isinstance(load, merge.Item):
            yield load.xml.encode()
        elif isinstance(load, carriers.Exchange):
            for head in (load.request, load.response):
                if head is not None:
                    yield "\n".join([head.target or "", *head.fields.values()]).encode()
            for polled in bosh.sessions([load], carriers.Notes()):
                for element in polled.elements:
                    yield element.xml.encode()


def _together(some: Iterator[bytes]) -> Iterator[bytes]:
    """Many short pieces as a few long ones: looking into one takes longer than its bytes do."""
    held, size = list[bytes](), 0
    for piece in some:
        held.append(piece)
        size += len(piece)
        if size > STEP:
            yield _BETWEEN.join(held)
            held, size = [], 0
    yield _BETWEEN.join(held)


class _Unpacked(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self._source = Source(path, keep=False)

    def read(self, size: int = -1, /) -> bytes:
        into = bytearray(size)
        with memoryview(into) as view:
            got = self._source.readinto(view)
        return bytes(into[:got])


def _overlapping(where: str, file: object) -> Iterator[tuple[str, bytes]]:
    before = b""
    while block := file.read(STEP):  # type: ignore[attr-defined]
        yield where, before + block
        before = (before + block)[-OVERLAP:]
