"""A call as a notebook holds it: tables by name, made when they are first asked for.

`load` opens a capture file, a study's printed tables, a folder of tables, or a name of the registry; what comes back
has the same form whatever it came from. A table that the source cannot show is None, which is not the same as empty.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab.errors import CaptureError, ParameterError, Problem

if TYPE_CHECKING:
    import pandas as pd

    from jitsilab.pcap import Packets
    from jitsilab.tables import Schema
    from jitsilab.wire import Wire

TABLE_MODULES = {  # table: the module of jitsilab.tables that makes it from the wire
    "frames": "frames", "tcp": "frames", "arp": "frames", "flows": "flows",
    "stun": "stun", "dtls": "tls", "tls": "tls", "rtp": "media", "rtcp": "media", "media": "media",
    "dns": "dns", "http": "xmpp", "xmpp": "xmpp", "bridge": "xmpp",
    "jingle": "jingle", "payload_types": "jingle", "header_extensions": "jingle", "candidates": "jingle",
    "sources": "jingle",
}  # fmt: skip
DERIVED = ("ice", "turn_in_tls", "participants", "steps", "findings", "errors")
TABLES = (*TABLE_MODULES, *DERIVED)
PLAINTEXT = ("http", "xmpp", "bridge", "jingle", "payload_types", "header_extensions", "candidates", "sources")


def schemas() -> "dict[str, Schema]":
    """Columns of every table by name."""
    from jitsilab.analysis import ice, turn_in_tls
    from jitsilab.judge import diagnosis, findings, theory
    from jitsilab.tables import ERRORS, wire_schemas

    derived = {"ice": ice.SCHEMA, "turn_in_tls": turn_in_tls.SCHEMA, "participants": diagnosis.SCHEMA,
               "steps": theory.SCHEMA, "findings": findings.SCHEMA, "errors": ERRORS}  # fmt: skip
    return wire_schemas() | derived


def empty(name: str) -> "pd.DataFrame":
    """A table without rows, for a source that cannot show it: the header alone."""
    from jitsilab.tables import frame_from

    return frame_from([], schemas()[name])


class Call:
    """One call, as tables. Every table of ``TABLES`` is an attribute: ``call.frames``, ``call.stun``, ...

    ``call.table(name)`` gives None where the source cannot show the table (no keys, another capture point, a printed
    study); the attribute then raises CaptureError with the reason.
    """

    def __init__(
        self,
        name: str,
        *,
        wire: "Wire | None" = None,
        tables: "dict[str, pd.DataFrame] | None" = None,
        facts: Any = None,
    ) -> None:
        self.name = name
        self.wire = wire
        self.facts = facts
        self._tables: dict[str, Any] = dict(tables or {})
        self._problems: dict[str, list[Problem]] = {}

    def __repr__(self) -> str:
        return f"<Call {self.name!r}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]

    def __getattr__(self, name: str) -> "pd.DataFrame":
        if name.startswith("_") or name not in TABLES:
            raise AttributeError(f"no table {name!r}; there are: {', '.join(TABLES)}")
        rows = self.table(name)
        if rows is None:
            raise CaptureError(f"{self.name} does not show {name}: {self._reason(name)}")
        return rows

    def has(self, name: str) -> bool:
        """Whether the source can show this table, even if it turns out empty."""
        return self.table(name) is not None

    def table(self, name: str) -> "pd.DataFrame | None":
        """A table by name, or None where the source cannot show it."""
        if name not in TABLES:
            raise ParameterError(f"There is no table {name!r}. There are: {', '.join(TABLES)}.")
        if name not in self._tables:
            self._tables[name] = self._derive(name) if name in DERIVED else self._build(name)
        return self._tables[name]

    def tables(self) -> "Mapping[str, pd.DataFrame | None]":
        """All tables of packets and messages by name, as the checks take them; each is made when it is asked for."""
        return _Tables(self)

    def packet(self, number: int) -> Any:
        """Frame ``number`` (from 1) as a scapy packet."""
        if self.wire is None:
            raise CaptureError(f"{self.name} is a set of tables: its packets were never published")
        if not 1 <= number <= len(self.wire.packets):
            raise ParameterError(f"{self.name} has frames 1 to {len(self.wire.packets)}, not {number}")
        return self.wire.packets.scapy(number)

    def _reason(self, name: str) -> str:
        if self.wire is None:
            return "the published tables do not hold it"
        if name in PLAINTEXT:
            return "no signaling in clear, and no key log that opens it"
        return "the capture does not hold it"

    def _build(self, name: str) -> "pd.DataFrame | None":
        if self.wire is None:
            return None
        module = importlib.import_module(f"jitsilab.tables.{TABLE_MODULES[name]}")
        rows, problems = self._made(module.BUILD[name], name)
        self._problems[name] = problems
        if rows.empty and name in PLAINTEXT and (name in ("xmpp", "http", "bridge") or self.table("xmpp") is None):
            return None
        return rows

    def _made(self, build: Callable[..., Any], name: str) -> "tuple[pd.DataFrame, list[Problem]]":
        """Build a table; what needs a later floor is joined here, by name: passwords and clock rates from signaling."""
        from jitsilab.analysis import joins

        if name == "media" and (payload_types := self.table("payload_types")) is not None:
            return tuple(build(self.wire, joins.clock_rates(payload_types)))
        rows, problems = build(self.wire)
        if name == "candidates" and rows["address"].fillna("").str.lower().str.endswith(".local").any():
            rows["resolved"] = joins.local_names(rows, self.table("dns"))
        xmpp, jingle = (self.table("xmpp"), self.table("jingle")) if name == "stun" else (None, None)
        if xmpp is not None and jingle is not None:
            from jitsilab.tables import stun

            accounts = [(user, "", password) for user, password in joins.turn_credentials(xmpp)]
            rows["integrity_ok"] = stun.integrity(self.wire, joins.passwords(jingle), accounts)  # type: ignore[arg-type]
        return rows, problems

    def _derive(self, name: str) -> "pd.DataFrame | None":
        if name == "errors":
            return self._errors()
        if name == "ice":
            from jitsilab.analysis import ice

            stun = self.table("stun")
            return None if stun is None else ice.pairs(stun)
        if name == "turn_in_tls":
            from jitsilab.analysis import turn_in_tls

            tls, flows = self.table("tls"), self.table("flows")
            return None if tls is None or flows is None else turn_in_tls.read(tls, flows)
        if name == "participants":
            return self.diagnosis.participants
        if name == "steps":
            from jitsilab.judge import theory

            return theory.steps(self)
        from jitsilab.judge import findings

        return findings.table(self)

    @cached_property
    def diagnosis(self) -> Any:
        """Participants, media paths, causes and hypotheses of this call (`jitsilab.judge.diagnosis.Diagnosis`)."""
        from jitsilab.judge import diagnosis

        return diagnosis.diagnose(self)

    def _errors(self) -> "pd.DataFrame":
        from jitsilab.tables import ERRORS, frame_from

        problems: list[Problem] = []
        if self.wire is not None:
            problems += self.wire.packets.errors
            problems += self.wire.keylog.problems if self.wire.keylog is not None else []
            for name in TABLE_MODULES:
                self.table(name)
        for found in self._problems.values():
            problems += found
        return frame_from(sorted(set(problems)), ERRORS)


class _Tables(Mapping[str, "pd.DataFrame | None"]):
    """The tables of packets and messages of a capture."""

    NAMES = (*TABLE_MODULES, "ice", "turn_in_tls")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __getitem__(self, name: str) -> "pd.DataFrame | None":
        if name not in self.NAMES:
            raise KeyError(name)
        return self._call.table(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


class Located(NamedTuple):
    """What a name or a path stands for."""

    name: str
    path: Path  # a capture, a printed table, a folder of tables, or ``-``
    keylog: Path | None = None  # the key log that comes with a recording


def locate(capture: str | Path, point: str | None = None) -> Located:
    """Where a capture is: a path that exists, ``-`` for standard input, else a name of the registry.

    ``point`` picks another capture of a recording (``any``). Raises CaptureError where there is no such file,
    ParameterError, with those there are, where there is no such name or point.
    """
    path = Path(capture)
    if str(capture) == "-":
        return Located("standard input", path)
    if path.exists():
        return Located(path.name, path)
    if path.suffix or len(path.parts) > 1:
        raise CaptureError(f"There is no file {capture}.")
    from jitsilab.inputs import registry

    entry = registry.find(str(capture))
    return Located(entry.name, entry.path(point), entry.keylog)


def load(
    capture: str | Path,
    keylog: str | Path | None = None,
    point: str | None = None,
    *,
    use_keylog: bool = True,
    progress: bool = False,
) -> Call:
    """Open a capture.

    ``capture`` is a path (pcap, pcapng, also compressed; tshark's text or CSV; a folder of tables; ``-`` for standard
    input), else a name of the registry. A name opens with its key log unless ``use_keylog`` is false; ``point`` picks
    another capture of a recording (``any``). Raises CaptureError where nothing can be read.
    """  # fmt: skip
    found = locate(capture, point)
    if found.path.is_dir():
        return _tables(found.name, found.path)
    return _open(found.name, found.path, keylog or (found.keylog if use_keylog else None), progress)


def _tables(name: str, folder: Path) -> Call:
    from jitsilab.inputs import prints as published

    return Call(name, tables=published.load_tables(folder))


def _open(name: str, path: Path, keylog: str | Path | None, progress: bool) -> Call:
    """A capture file, or else a study's printed table; told apart by content."""
    from jitsilab import pcap

    if path.is_file() and not pcap.is_capture(path):  # a pipe can be read only once
        from jitsilab.inputs import prints as published

        return Call(name, tables=published.load(path))
    from jitsilab.wire import Wire, decrypt

    packets = pcap.read(path, progress=progress)
    texts = list(packets.secrets)
    keys = decrypt.KeyLog.load(keylog) if keylog is not None else None
    if texts:
        keys = decrypt.KeyLog.load(texts) if keys is None else keys.merged(decrypt.KeyLog.load(texts))
    return Call(name, wire=Wire(packets, keys))


def scan(capture: str | Path, chunk: int = 1 << 18) -> "Iterator[Packets]":
    """The frames of a capture as chunks of columns, in memory that does not grow with its length."""
    from jitsilab import pcap

    return pcap.scan(capture, chunk=chunk)
