"""Evidence comes in: one module a kind, told apart by content, each giving rows of the tables that it declares.

A new kind is one module and one line of `kinds`.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab.errors import CaptureError, ParameterError
from jitsilab.inputs.delivery import Delivery, gather
from jitsilab.inputs.source import Kind, Source

if TYPE_CHECKING:
    from jitsilab.inputs.packets import PacketTables
    from jitsilab.wire.decrypt import KeyLog

SURE = 0.3  # of a recognition; below, a piece is named and not used
LIKELY = 0.5  # from which lines of a program tell more than words that configuration has too


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of evidence that is read line by line or entry by entry, the surest signs first."""
    from jitsilab.inputs import browser, logs, pasted, rest

    return (*browser.KINDS, *rest.KINDS, *logs.KINDS, *pasted.KINDS)


@dataclass
class Piece:
    """One piece of evidence as ``inputs`` tells of it."""

    delivery: Delivery
    kind: str  # of `kinds`, or capture, print, tables, key-log, configuration, archive, unknown
    source: "Source | PacketTables | None" = None
    note: str = ""

    @property
    def input(self) -> str:
        """Its name in every answer."""
        return self.delivery.input

    @property
    def digest(self) -> str | None:
        """The sha256 of its bytes, 64 hex digits; None for a folder of tables, or what is gone by now."""
        if self.delivery.path is None and self.delivery.spool is None:
            return None
        try:
            return self.delivery.sha256
        except OSError:
            return None


@dataclass
class Evidence:
    """All pieces of one case, sorted by what they are."""

    pieces: list[Piece] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> list[Piece]:
        """The pieces of these kinds."""
        return [piece for piece in self.pieces if piece.kind in kinds]

    @property
    def packets(self) -> "list[PacketTables]":
        """Captures, prints and a study's tables."""
        from jitsilab.inputs.packets import PacketTables

        return [piece.source for piece in self.pieces if isinstance(piece.source, PacketTables)]

    @property
    def lines(self) -> list[Source]:
        """Logs, consoles, dumps, answers."""
        from jitsilab.inputs.packets import PacketTables

        return [
            piece.source for piece in self.pieces
            if piece.source is not None and not isinstance(piece.source, PacketTables)
        ]  # fmt: skip


def collect(
    paths: Iterable[str | Path],
    keylogs: Iterable[str | Path] = (),
    facts: Iterable[str | Path] = (),
    progress: bool = False,
    tz: str = "",
) -> Evidence:
    """Open everything that these paths name, each known by its content.

    ``keylogs`` and ``facts`` are known by what the user calls them, ``tz`` is the zone of logs that write none.
    Raises CaptureError where a path is not there, where one that the user named himself is no evidence, and where
    there is none at all.
    """
    from jitsilab.wire.decrypt import keylog

    paths, keylogs, wall = list(paths), list(keylogs), None
    if tz:
        from jitsilab.inputs.logs.times import zone

        wall = zone(tz)
    named = [_study(path) for path in paths]
    tables = [table for table in named if table is not None]
    pieces = [*tables]
    deliveries = gather([path for path, table in zip(paths, named, strict=True) if table is None])
    keys = [Piece(_named(log), "key-log", note="given as key log") for log in keylogs]
    settings = [Piece(delivery, "configuration") for delivery in gather(list(facts))]
    taken = {str(piece.delivery.path.resolve()) for piece in (*keys, *settings) if piece.delivery.path is not None}
    for delivery in deliveries:
        real = str(delivery.path.resolve()) if delivery.path is not None else ""
        if real in taken:
            continue
        pieces.append(_recognised(delivery))
        if real and pieces[-1].kind != "configuration":  # of which a link says what is in force
            taken.add(real)
    evidence = Evidence([*pieces, *keys, *settings])
    _refuse(evidence)
    _open_captures(evidence, [keylog.KeyLog.load(log) for log in keylogs], progress)
    if evidence.lines:  # whoever has none needs no reader of them
        from jitsilab.inputs import years
        from jitsilab.inputs.logs import LogSource

        years.place(evidence)
        for source in evidence.lines:
            if isinstance(source, LogSource):
                source.zone = wall
    return evidence


def _named(given: str | Path) -> Delivery:
    """A key log under its name; one that was given as text is not named by its secrets."""
    from jitsilab.wire.decrypt import keylog

    try:
        file = Path(given) if Path(given).is_file() else None
    except (OSError, ValueError):
        file = None
    return Delivery(str(given) if file is not None else keylog.shown(given), file)


def _study(path: str | Path) -> Piece | None:
    """A folder of a study's tables, or of its printed files, is one piece."""
    folder = Path(path)
    if not folder.is_dir() or not ((folder / "frames.csv").is_file() or _printed_twice(folder)):
        return None
    from jitsilab.inputs import prints
    from jitsilab.inputs.packets import PacketTables

    source = PacketTables(str(path), tables=prints.load_tables(folder), kind="tables")
    return Piece(Delivery(str(path), folder), "tables", source)


def _printed_twice(folder: Path) -> bool:
    """Whether a folder holds one capture's text and its field export, which are joined by frame number."""
    from jitsilab.inputs import prints

    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix in (".txt", ".csv")]
    if [file.suffix for file in files] not in ([".csv", ".txt"], [".txt", ".csv"]):
        return False
    return all(prints.recognise(Delivery(file.name, file).head) >= SURE for file in files)


def _recognised(delivery: Delivery) -> Piece:
    from jitsilab import pcap
    from jitsilab.wire.decrypt import keylog

    if delivery.note:
        return Piece(delivery, "archive" if delivery.spool is None or delivery.path else "unknown", note=delivery.note)
    head = delivery.head
    if not head.strip():
        return Piece(delivery, "unknown", note="empty")
    if pcap.is_magic(head):
        return Piece(delivery, "capture")
    if keylog.is_keylog(head):
        return Piece(delivery, "key-log")
    from jitsilab import facts  # text: only now is it worth loading what knows the kinds of it
    from jitsilab.inputs import prints

    scores = [(kind.recognise(delivery), -number, kind) for number, kind in enumerate(kinds())]
    best, _, kind = max(scores, default=(0.0, 0, None))
    setting = facts.recognise(delivery.input, head)
    printed = prints.recognise(head)
    if max(best, printed) < SURE and setting is None:
        return Piece(delivery, "unknown", note=_unknown(delivery))
    if setting is not None and max(best, printed) < LIKELY:
        return Piece(delivery, "configuration", note=setting)
    if printed > best:
        return Piece(delivery, "print")
    assert kind is not None
    source = kind.open(delivery)
    return Piece(delivery, kind.name, source)


def _unknown(delivery: Delivery) -> str:
    """What a piece is that nobody reads, in a sentence."""
    head = delivery.head
    if b"\0" in head[:4096] and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a binary file that is no capture"
    from jitsilab.inputs import logs, prints

    if stranger := logs.stranger(head):
        return f"a log of {stranger}, which is no part of Jitsi Meet"
    return prints.refusal(head) or "a text file, not a capture, and of no kind that is known here"


def _refuse(evidence: Evidence) -> None:
    used = [piece for piece in evidence.pieces if piece.kind not in ("unknown", "archive")]
    if used:
        return
    if not evidence.pieces:
        raise CaptureError("There is nothing to read: the folder is empty.")
    first = evidence.pieces[0]
    why = first.note if first.note.startswith("cannot") else f"is {first.note}"
    if len(evidence.pieces) == 1:
        raise CaptureError(f"{first.input} {why}.")
    raise CaptureError(f"None of {len(evidence.pieces)} files is evidence of a call; {first.input} {why}.")


def _open_captures(evidence: Evidence, given: "list[KeyLog]", progress: bool) -> None:
    from jitsilab import pcap
    from jitsilab.inputs.packets import PacketTables
    from jitsilab.wire import Wire
    from jitsilab.wire.decrypt import KeyLog

    logs = list(given)
    for piece in evidence.of_kind("key-log"):
        if not piece.note:  # met among the evidence
            with piece.delivery.open() as file:
                logs.append(KeyLog.load(file.read()))
    keys = functools.reduce(KeyLog.merged, logs) if logs else None
    for piece in evidence.of_kind("capture"):
        delivery = piece.delivery
        packets = pcap.read(delivery.path if delivery.path is not None else delivery.raw(), progress=progress)
        texts = list(packets.secrets)
        own = keys
        if texts:
            own = KeyLog.load(texts) if keys is None else keys.merged(KeyLog.load(texts))
        piece.source = PacketTables(delivery.input, Wire(packets, own))
    for piece in evidence.of_kind("print"):
        from jitsilab.inputs import prints

        try:
            with piece.delivery.open() as file:
                tables: Any = prints.load(file, name=piece.input)
        except CaptureError as error:
            if piece.delivery.given:
                raise
            piece.kind, piece.note = "unknown", str(error)
            continue
        piece.source = PacketTables(piece.input, tables=tables, kind="print")


__all__ = ["Evidence", "Kind", "ParameterError", "Piece", "Source", "collect", "kinds"]
