"""All pieces of one case, rewritten with the same names."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from jitsilab.analysis import joins
from jitsilab.inputs.packets import PacketTables
from jitsilab.pcap.containers import Container, Interface
from jitsilab.pcap.sources import Source
from jitsilab.pcap.writing import Writer, packed
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.connections import Connections
from jitsilab.sharing.frames import Frames
from jitsilab.sharing.messages import Messages
from jitsilab.sharing.names import Names
from jitsilab.sharing.seeds import Seeds
from jitsilab.sharing.wording import _PEM, Wording

if TYPE_CHECKING:
    from jitsilab.inputs import Evidence, Piece
    from jitsilab.sharing import Options

BLOCK = 1 << 22  # bytes of a text that are read at a time, up to the end of a line
LONGEST = 1 << 24  # bytes of a line
NOTE = "Pseudonymised by jitsilab share: names, addresses, ids and secrets are others; media payloads were dropped."
MARKED = "Pseudonymised by jitsilab share"
DAY = 86_400_000


@dataclass
class Shared:
    """What was made."""

    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    mapping: dict[str, dict[str, str]] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)  # text: kind
    map_path: Path | None = None


class Case:
    """The pieces, the names in them, and how each piece is rewritten."""

    def __init__(self, evidence: "Evidence", roots: list[Path], options: "Options", key: bytes) -> None:
        self.evidence, self.roots, self.options = evidence, roots, options
        self.names, self.addresses = Names(hashlib.sha256(key + b"names").digest()), Addresses(key)
        self.wording = Wording(self.names, self.addresses)
        self.certificates = Certificates(self.wording)
        self.messages = Messages(self.wording, self.certificates, software=options.software)
        self.shared = Shared()
        self.shift = options.shift
        times = [int(one.wire.packets.time[0]) for one in evidence.packets if one.wire and len(one.wire.packets)]
        if options.relative and times:
            self.shift = -min(times)
        self._times = times
        self._texts = [piece for piece in evidence.pieces if self._is_text(piece)]

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
        for source in self.evidence.packets:
            if source.wire is not None:
                seeds.wire(source.wire)
        for piece in self._texts:
            for block in _blocks(piece.delivery.open()):
                seeds.text(_decoded(block))
                pems += [match[0] for match in _PEM.finditer(block)]
        low = min((one // 1_000_000 for one in self._times), default=1_262_304_000_000) - DAY
        high = max((one // 1_000_000 for one in self._times), default=4_000_000_000_000) + DAY
        seeds.settle(self.shift // 1_000_000, (low, high))
        self.addresses.settle(seeds.addresses)
        for source in self.evidence.packets:
            if source.wire is not None:
                self._secrets(source)
        for pem in pems:
            self.wording.text(pem)

    def _secrets(self, source: PacketTables) -> None:
        """Passwords under which messages are signed, and certificates, of which fingerprints are told."""
        assert source.wire is not None
        jingle, xmpp = source.table("jingle"), source.table("xmpp")
        passwords: dict[str, set[str]] = {}
        if jingle is not None:
            for ufrag, known in joins.passwords(jingle).items():
                passwords[ufrag] = {known} if isinstance(known, str) else set(known)
        accounts = joins.turn_credentials(xmpp) if xmpp is not None else []
        for session in source.wire.sessions.values():
            for der in (*session.certificates, *session.client_certificates):
                self.certificates.of(der)
        self.messages.learn(source.wire.units, passwords, accounts)

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
            for block in _blocks(piece.delivery.open()):
                out.write(self.wording.file(block))

    def _capture(self, piece: "Piece", place: Path) -> None:
        source = piece.source
        assert isinstance(source, PacketTables)
        assert source.wire is not None
        connections = Connections(source.wire, self.messages)
        frames = Frames(source.wire, self.messages, connections)
        secrets = connections.all_secrets()
        one = piece.delivery
        container = Container(Source(one.path if one.path is not None else one.raw(), keep=False))
        row = described = 0
        with Writer(place, NOTE) as out:
            for chunk in container.chunks():
                for interface in container.interfaces[described:]:
                    out.interface(self._interface(interface))
                if not described and secrets:
                    out.secrets(secrets)
                described = len(container.interfaces)
                links = [interface.link for interface in container.interfaces]
                view = memoryview(chunk.data.data)
                columns = (
                    chunk.start.tolist(),
                    chunk.captured.tolist(),
                    chunk.length.tolist(),
                    chunk.interface.tolist(),
                )
                rewritten, sizes, wires = [], [], []
                for start, captured, length, interface in zip(*columns, strict=True):
                    data, wire = frames.frame(row, bytes(view[start : start + captured]), links[interface], length)
                    rewritten.append(data)
                    sizes.append(len(data))
                    wires.append(max(wire, len(data)))
                    row += 1
                view.release()
                out.frames(chunk.interface, chunk.time + self.shift, np.array(sizes), np.array(wires), rewritten)
            for interface in container.interfaces[described:]:
                out.interface(self._interface(interface))
            if connections.relayed:  # behind the frames, where Wireshark does not make HTTP of TURN on port 443
                out.secrets(b"".join(connections.relayed.values()))

    def _interface(self, one: Interface) -> Interface:
        name = self.wording.text(one.name.encode()).decode("utf-8", "replace")
        return Interface(one.link, name, one.snap_length)

    def _sum_up(self, bundle: Path) -> None:
        shared = self.shared
        sums(bundle, shared.files)
        shared.mapping = {
            "names": self.names.given,
            "addresses": self.addresses.given,
            "hardware": self.addresses.hardware,
        }
        originals = {old: "name" for old, new in self.names.given.items() if old != new}
        originals |= dict.fromkeys(self.addresses.given, "address")
        originals |= dict.fromkeys(self.addresses.hardware, "MAC")
        digests = self.wording.prints | {old for old in self.wording.hashes if len(old) == 32}
        originals |= {old.hex(): "fingerprint" for old in digests}
        shared.originals = originals


def sums(bundle: Path, files: list[str]) -> None:
    """What was done, and a sum of each file: a file that changed later is not vouched for."""
    lines = [f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}" for name in sorted(files)]
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


def _decoded(block: bytes) -> bytes:
    for mark, code in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if block.startswith(mark):
            return block[2:].decode(code, "replace").encode("utf-8", "replace")
    return block
