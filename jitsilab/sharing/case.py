"""All pieces of one case, rewritten with the same names."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from jitsilab.errors import ParameterError
from jitsilab.inputs.packets import PacketTables
from jitsilab.pcap import Packets
from jitsilab.pcap.columns import let_go
from jitsilab.pcap.containers import Chunk, Container, Interface
from jitsilab.pcap.cores import apart, processes
from jitsilab.pcap.shelf import Shelf
from jitsilab.pcap.sources import Source
from jitsilab.pcap.writing import Array, Writer, packed
from jitsilab.sharing import floors, media
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.connections import Connections
from jitsilab.sharing.finder import Finder
from jitsilab.sharing.frames import Frames
from jitsilab.sharing.messages import Messages
from jitsilab.sharing.moments import DAY, Moments, days_of
from jitsilab.sharing.names import Names
from jitsilab.sharing.search import forms
from jitsilab.sharing.seeds import Seeds, Told
from jitsilab.sharing.several import rewritten
from jitsilab.sharing.wording import PEM, Wording

if TYPE_CHECKING:
    from jitsilab.inputs import Evidence, Piece
    from jitsilab.sharing import Options

BLOCK = 1 << 22  # bytes of a text that are read at a time, up to the end of a line
LONGEST = 1 << 24  # bytes of a line
NOTE = "Pseudonymised by jitsilab share: names, addresses, ids and secrets are others; media payloads were dropped."
MARKED = "Pseudonymised by jitsilab share"
_COUNTED = re.compile(rb"\d{10}\b")  # a name that begins with a time: a TURN user's, moved already
SECOND = 1_000_000_000
BEGIN = 1_293_840_000  # 2011: no text is from 1970, and no earlier clock of a ufrag is taken for one
WORTH = 1 << 11  # frames, other than media, for which another process is worth its while
TURNS = 16  # kinds of noise that are tried where a frame looks like an original


@dataclass
class Shared:
    """What was made."""

    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    mapping: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: set[bytes] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)  # that were met, in lower case
    map_path: Path | None = None

    def originals(self) -> Iterator[tuple[str, str]]:
        """Every original that became something else, and its kind."""
        for kind, group in (("name", "names"), ("address", "addresses"), ("MAC", "hardware")):
            yield from ((old, kind) for old, new in self.mapping[group].items() if old != new)
        yield from ((digest.hex(), "fingerprint") for digest in self.digests)


class Case:
    """The pieces, the names in them, and how each piece is rewritten."""

    def __init__(
        self, evidence: "Evidence", roots: list[Path], options: "Options", key: bytes,
        captures: dict[int, PacketTables] | None = None, hosts: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """``hosts`` are known beforehand: an attempt before this one met them, some while it was writing."""
        self._hosts = hosts
        self.evidence, self.roots, self.options = evidence, roots, options
        self.captures = floors.rebuilt(evidence.packets) if captures is None else captures
        self.names, self.addresses = Names(hashlib.sha256(key + b"names").digest()), Addresses(key)
        self.wording = Wording(self.names, self.addresses)
        self.certificates = Certificates(self.wording)
        self.messages = Messages(self.wording, self.certificates, software=options.software)
        self.shared = Shared()
        self._texts = [piece for piece in evidence.pieces if self._is_text(piece)]
        self.shift = options.shift
        times = [int(wire.packets.time[0]) for wire in self._wires() if len(wire.packets)]
        self._times = times
        if options.relative:
            self.shift = self._to_begin()

    def _to_begin(self) -> int:
        """How far the first time of the case is from where a case begins that tells no date, in ns."""
        if not self._texts:
            return -min(self._times, default=0)
        days = [
            day * 1_000_000
            for piece in self._texts
            for block in _blocks(piece.delivery.open())
            for day in days_of(block)
        ]
        known = self._times or days
        if not known:
            raise ParameterError("Nothing in this case has a date that could be moved.")
        return (BEGIN - min(known) // SECOND) * SECOND  # texts may write whole seconds

    def _wires(self) -> list[floors.Floors]:
        return [source.wire for source in self.captures.values() if isinstance(source.wire, floors.Floors)]

    # --- learning

    def write(self, bundle: Path) -> Shared:
        """Rewrite everything into a folder."""
        self._learn()
        for piece in self.evidence.pieces:
            if piece.kind == "capture":
                self._capture(piece, self._place(piece, bundle))
            elif piece in self._texts:
                self._text(piece, self._place(piece, bundle))
            elif piece.kind != "key-log":
                self.shared.left_out.append(f"{piece.input}: {piece.note or piece.kind}")
        self._sum_up(bundle)
        return self.shared

    @staticmethod
    def _is_text(piece: "Piece") -> bool:
        if piece.kind in ("capture", "key-log", "tables", "archive") or piece.delivery.note:
            return False
        head = piece.delivery.head
        return b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))

    def _learn(self) -> None:
        seeds = Seeds(self.names)
        pems: list[bytes] = []
        days = [time // 1_000_000 for time in self._times]
        for wire in self._wires():
            seeds.wire(wire)
            wire.release()
        for source in self.captures.values():
            names = source.table("dns")
            if names is not None:
                seeds.dns(names)
        for piece in self._texts:
            for blocks in _several(_blocks(piece.delivery.open())):
                for (told, moments, keys), _ in apart(self._told, blocks):
                    seeds.take_over(told)
                    days += moments
                    pems += keys
        for host in self._hosts:
            seeds.add(host, "host")
        low = min((time // 1_000_000 for time in self._times), default=1_262_304_000_000) - DAY
        high = max((time // 1_000_000 for time in self._times), default=4_000_000_000_000) + DAY
        seeds.settle(self.shift // 1_000_000, (low, high))
        self.addresses.settle(seeds.addresses)
        if self.shift:
            span = (min(days) - DAY, max(days) + 2 * DAY) if days else None
            counted = {match[0] for new in self.names.given.values() if (match := _COUNTED.match(new.encode()))}
            self.wording.moments = Moments(round(self.shift / 1e9), span, frozenset(counted))
        for wire in self._wires():
            for session in wire.sessions.values():
                for der in (*session.certificates, *session.client_certificates):
                    self.certificates.substitute(der)
            self.messages.learn(wire.units.each("stun", "dtls"), seeds.passwords, list(seeds.accounts))
        for wire in self._wires():
            wire.forget("units")  # names are learned from messages of STUN and DTLS, frames are rewritten without
        for pem in pems:
            self.wording.text(pem)

    def _told(self, block: bytes, _: Shelf) -> tuple[Told, list[int], list[bytes]]:
        """What a text tells of names, its days, and its certificates."""
        seeds = Seeds(self.names)
        seeds.text(_decoded(block))
        return seeds.told, list(days_of(block)) if self.shift else [], [match[0] for match in PEM.finditer(block)]

    # --- writing

    def _place(self, piece: "Piece", bundle: Path) -> Path:
        """Where a piece goes: below the folder that was given, under names that tell nothing."""
        name = Path(piece.input)
        for root in self.roots:
            if piece.input.startswith(f"{str(root).rstrip('/')}/"):
                name = Path(piece.input[len(str(root).rstrip("/")) + 1 :])
                break
        else:
            name = Path(name.name)
        parts = [self.wording.text(part.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
                 for part in name.parts if part not in ("/", "..", ".")]  # fmt: skip
        place = bundle.joinpath(*(parts or ["piece"]))
        number = 1
        while place.exists():
            number += 1
            place = place.with_name(f"{number}-{place.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        self.shared.files.append(str(place.relative_to(bundle)))
        return place

    def _text(self, piece: "Piece", place: Path) -> None:
        with packed(place) as out:
            for blocks in _several(_blocks(piece.delivery.open())):
                for at, shelf in rewritten(
                    self.wording, lambda block, shelf: shelf.put(self.wording.file(block)), blocks
                ):
                    out.write(shelf.get(at))

    def _capture(self, piece: "Piece", place: Path) -> None:
        wire = self.captures[id(piece.source)].wire
        assert isinstance(wire, floors.Floors)
        connections = Connections(wire, self.messages)
        frames = Frames(wire, self.messages, connections)
        delivery = piece.delivery
        container = Container(Source(delivery.path if delivery.path is not None else delivery.raw(), keep=False))
        row = described = 0
        with Writer(place, NOTE) as out:
            for chunk in container.chunks():
                for interface in container.interfaces[described:]:
                    out.interface(self._interface(interface))
                secrets = connections.begin(row, row + len(chunk.start))
                if secrets:
                    out.secrets(secrets)
                described = len(container.interfaces)
                links = [interface.link for interface in container.interfaces]
                made = _Rewritten(chunk, row, links, wire.packets)
                made.rewrite(frames)
                for number in made.telling(self._packed):
                    made.once_more(frames, number, self._packed)
                row += len(chunk.start)
                out.frames(chunk.interface, chunk.time + self.shift, *made.columns())
                connections.passed(row)
                let_go()
            for interface in container.interfaces[described:]:
                out.interface(self._interface(interface))
            if connections.relayed:  # behind the frames, where Wireshark does not make HTTP of TURN on port 443
                out.secrets(b"".join(connections.relayed.values()))
        wire.forget()

    @cached_property
    def _packed(self) -> Finder:
        """Addresses as frames hold them, which noise may look like by chance."""
        every = (form for old in self.addresses.originals for form in forms(old, "address"))
        return Finder(form for form, alone in every if not alone and len(form) in (4, 16))

    def _interface(self, interface: Interface) -> Interface:
        name = self.wording.text(interface.name.encode()).decode("utf-8", "replace")
        return Interface(interface.link, name, interface.snap_length)

    def _sum_up(self, bundle: Path) -> None:
        shared = self.shared
        sums(bundle, shared.files)
        shared.mapping = {
            "names": self.names.given,
            "addresses": self.addresses.given,
            "hardware": self.addresses.hardware,
        }
        shared.hosts = list(self.names.hosts)
        shared.digests = self.wording.prints | {old for old in self.wording.hashes if len(old) == 32}


class _Rewritten:
    """The frames of a chunk."""

    def __init__(self, chunk: Chunk, first: int, links: list[int], packets: Packets) -> None:
        self._chunk, self._first, self._links, self._packets = chunk, first, links, packets
        self._data: list[bytes] = []
        self._wires: list[int] = []

    def rewrite(self, frames: Frames) -> None:
        """Rewrite all of them."""
        chunk = self._chunk
        frames.begin(self._first, len(chunk.start))
        made = media.rewrite(chunk, self._first, self._links, self._packets, frames)
        others = np.array([number for number in range(len(chunk.start)) if number not in made], np.int64)
        parts = np.array_split(others, max(1, min(processes(), len(others) // WORTH)))
        lengths = chunk.length.tolist()
        for several, _ in rewritten(frames.messages.wording, partial(self._several, frames), parts):
            for number, data, length in several:
                made[number], lengths[number] = data, max(length, len(data))
        self._data, self._wires = [made[number] for number in range(len(lengths))], lengths

    def _several(self, frames: Frames, numbers: Array, _: Shelf) -> list[tuple[int, bytes, int]]:
        """Some frames and their lengths on the wire, by number."""
        chunk, links, several = self._chunk, self._links, list[tuple[int, bytes, int]]()
        columns = (column[numbers].tolist() for column in (chunk.start, chunk.captured, chunk.length, chunk.interface))
        with memoryview(chunk.data.data) as view:
            for number, start, captured, length, interface in zip(numbers.tolist(), *columns, strict=True):
                frame = bytes(view[start : start + captured])
                several.append((number, *frames.frame(self._first + number, frame, links[interface], length)))
        return several

    def telling(self, finder: Finder) -> list[int]:
        """Which of them hold one of some patterns."""
        ends = np.cumsum([len(frame) for frame in self._data])
        places = [at for at, _ in finder.find(b"".join(self._data))]
        return np.unique(np.searchsorted(ends, places, side="right")).tolist() if places else []

    def once_more(self, frames: Frames, number: int, finder: Finder) -> None:
        """Rewrite one with other noise until it holds none."""
        chunk = self._chunk
        start, captured = int(chunk.start[number]), int(chunk.captured[number])
        data, link = chunk.data[start : start + captured].tobytes(), self._links[int(chunk.interface[number])]
        for _ in range(TURNS):
            if not any(True for _ in finder.find(self._data[number])):
                break
            made, wire = frames.once_more(self._first + number, data, link, int(chunk.length[number]))
            self._data[number], self._wires[number] = made, max(wire, len(made))

    def columns(self) -> tuple[Array, Array, list[bytes]]:
        """Their sizes, their lengths on the wire, and they."""
        return np.array([len(frame) for frame in self._data]), np.array(self._wires), self._data


def sums(bundle: Path, files: list[str]) -> None:
    """What was done, and a sum of each file: a file that changed later is not vouched for."""
    lines = []
    for name in sorted(files):
        with (bundle / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}")
    (bundle / "SHARED.txt").write_text(NOTE + "\n\n" + "\n".join(lines) + "\n")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """A text in pieces that end where lines end."""
    with file:
        rest = b""
        while block := file.read(BLOCK):
            block = rest + block
            cut = block.rfind(b"\n") + 1
            inside = block.rfind(b"-----BEGIN")
            if inside >= 0 and block.find(b"-----END", inside) < 0 and len(block) < LONGEST:
                cut = inside
            if not cut and len(block) < LONGEST:
                rest = block
                continue
            cut = cut or len(block)
            yield block[:cut]
            rest = block[cut:]
        if rest:
            yield rest


def _several(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as there are processes to work on them."""
    while some := list(islice(blocks, processes())):
        yield some


def _decoded(block: bytes) -> bytes:
    for mark, code in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if block.startswith(mark):
            return block[2:].decode(code, "replace").encode("utf-8", "replace")
    return block
