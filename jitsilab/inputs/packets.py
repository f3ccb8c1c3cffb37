"""A capture, or packets that somebody printed, as tables by name: each made when it is first asked for.

The tables with a row a packet can be had in chunks, and of some frames alone, and are then not kept. A table that the
source cannot show is None, which is not the same as empty.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab.errors import CaptureError, ParameterError, Problem

if TYPE_CHECKING:
    import pandas as pd

    from jitsilab.wire import Wire

WIRE_TABLES = (
    "frames", "tcp", "arp", "flows", "stun", "dtls", "tls", "rtp", "rtcp", "media", "dns", "http", "xmpp", "bridge",
    "jingle", "payload_types", "header_extensions", "candidates", "sources",
)  # fmt: skip
#: as `jitsilab.tables.PARTS` has them
PARTS = ("segments", "stamps", "bounds", "cut", "ends", "icmp", "datagrams", "extended", "spoken")
SHORT = {"stun": "spoken"}  # what checks take in place of a table
ANALYSED = ("ice", "turn_in_tls")  # made of other tables
PLAINTEXT = ("http", "xmpp", "bridge", "jingle", "payload_types", "header_extensions", "candidates", "sources")
NAMES = (*WIRE_TABLES, *ANALYSED)
CHUNK = 1 << 16  # frames of which a part of a long table is made


class _Long(NamedTuple):
    wire: "Wire"
    build: Callable[..., Any]  # of a wire and rows of it, a `jitsilab.tables.Table`


class PacketTables(Mapping[str, "pd.DataFrame | None"]):
    """The packets and messages of one source; as a mapping, every table by name."""

    def __init__(
        self,
        input: str,
        wire: "Wire | None" = None,
        tables: "Mapping[str, pd.DataFrame] | None" = None,
        kind: str = "capture",
    ) -> None:
        self.input = input
        self.kind = kind
        self.wire = wire
        self.tables = frozenset(NAMES)
        self.note = ""
        self._tables: dict[str, Any] = dict(tables or {})
        self._problems: dict[str, list[Problem]] = {}

    def __getitem__(self, name: str) -> "pd.DataFrame | None":
        """A table as checks take it: of ``stun`` what is said, without what merely carries media."""
        if name in SHORT and self.wire is not None and name not in self._tables:
            name = SHORT[name]
        if name in PARTS:
            return self._part(name)
        if name not in NAMES:
            raise KeyError(name)
        return self.table(name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def table(self, name: str) -> "pd.DataFrame | None":
        """A table by name, or None where the source cannot show it."""
        if name not in self._tables:
            self._tables[name] = self._analysed(name) if name in ANALYSED else self._built(name)
        table: pd.DataFrame | None = self._tables[name]
        return table

    def chunks(self, name: str) -> "Iterator[pd.DataFrame]":
        """The rows of a table part by part, nothing where the source cannot show it; a long one is made of slices."""
        if (parts := self._parts(name)) is not None:
            self._problems[name] = list[Problem]()
            for rows, faults in parts:
                self._problems[name] += faults
                yield rows
            return
        if (long := self._long(name)) is None:
            table = self.table(name)
            if table is not None:
                yield table
            return
        import numpy as np

        from jitsilab.pcap.columns import slices

        problems: list[Problem] = []
        for window in slices(max(1, len(long.wire.packets)), CHUNK):  # one without rows has columns too
            rows, faults = long.build(long.wire, np.arange(window.start, min(window.stop, len(long.wire.packets))))
            problems += faults
            yield rows
        self._problems[name] = problems

    def of_frames(self, name: str, frames: Iterable[int]) -> "pd.DataFrame | None":
        """The rows of a table that are of these frames; a long one is not made whole for them."""
        import numpy as np

        if self._parts(name) is not None:
            import pandas as pd

            wanted = set(frames)
            return pd.concat([part[part["frame"].isin(wanted)] for part in self.chunks(name)], ignore_index=True)
        if (long := self._long(name)) is None:
            table = self.table(name)
            return None if table is None else table[table["frame"].isin(set(frames))]

        packets = long.wire.packets
        places = np.unique(np.fromiter(frames, np.int64)) - packets.first
        rows: pd.DataFrame = long.build(long.wire, places[(places >= 0) & (places < len(packets))]).rows
        return rows

    def _long(self, name: str) -> "_Long | None":
        """What makes a table of any rows of the capture, where it is one with a row a frame and was not made yet."""
        if self.wire is None or name in self._tables or name not in NAMES:
            return None
        from jitsilab.tables import catalogue

        return _Long(self.wire, catalogue.LONG[name]) if name in catalogue.LONG else None

    def _parts(self, name: str) -> "Iterator[Any] | None":
        """What makes a table in chunks one after the other, where it is such a one and was not made yet."""
        if self.wire is None or name in self._tables or name not in NAMES:
            return None
        from jitsilab.tables import catalogue

        build = catalogue.CHUNKS.get(name)
        return None if build is None else build(self.wire, self._secrets())

    def _secrets(self) -> Any:
        """What signaling says of how STUN is signed; None where there is none to be read."""
        from jitsilab.analysis import joins
        from jitsilab.tables import stun

        xmpp, jingle = self.table("xmpp"), self.table("jingle")
        if xmpp is None or jingle is None:
            return None
        accounts = [(user, "", password) for user, password in joins.turn_credentials(xmpp)]
        return stun.Secrets(joins.passwords(jingle), accounts)

    def _part(self, name: str) -> "pd.DataFrame | None":
        """A part of a long table, by itself where the whole was not made anyhow; the short ones are kept."""
        if self.wire is None:
            return None
        if name not in self._tables:
            from jitsilab.pcap import columns
            from jitsilab.tables import catalogue

            signed = (self._secrets(),) if name == "spoken" else ()
            rows: pd.DataFrame = catalogue.PARTS[name](self.wire, *signed)
            columns.let_go()
            if name not in ("icmp", "extended", "spoken"):
                return rows
            self._tables[name] = rows
        kept: pd.DataFrame = self._tables[name]
        return kept

    def packet(self, number: int) -> Any:
        """Frame ``number`` (from 1) as a scapy packet."""
        if self.wire is None:
            raise CaptureError(f"{self.input} is a set of tables: its packets were never published")
        if not 1 <= number <= len(self.wire.packets):
            raise ParameterError(f"{self.input} has frames 1 to {len(self.wire.packets)}, not {number}")
        return self.wire.packets.scapy(number)

    def why_not(self, name: str) -> str:
        """Why a table cannot be shown."""
        if self.wire is None:
            return "the published tables do not hold it"
        if name in PLAINTEXT:
            return "no signaling in clear, and no key log that opens it"
        return "the capture does not hold it"

    @property
    def problems(self) -> list[Problem]:
        """What could not be read; makes every table, since each may meet something, and lets go of the long ones."""
        if self.wire is not None:
            for name in WIRE_TABLES:
                if self._long(name) is None and self._parts(name) is None:
                    self.table(name)
                elif name not in self._problems:
                    deque(self.chunks(name), maxlen=0)
        return self.known_problems()

    def known_problems(self) -> list[Problem]:
        """What could not be read of the file and of the tables that were made so far."""
        if self.wire is None:
            rows = self._tables.get("errors")
            return [] if rows is None else [Problem(*row) for row in rows.itertuples(index=False, name=None)]
        problems = list(self.wire.packets.errors)
        problems += self.wire.keylog.problems if self.wire.keylog is not None else []
        for of_table in self._problems.values():
            problems += of_table
        return sorted(set(problems))

    def _built(self, name: str) -> "pd.DataFrame | None":
        if self.wire is None:
            return None
        from jitsilab.pcap import columns
        from jitsilab.tables import catalogue

        rows, problems = self._joined(catalogue.BUILD[name], name)
        columns.let_go()
        self._problems[name] = problems
        if rows.empty and name in PLAINTEXT and (name in ("xmpp", "http", "bridge") or self.table("xmpp") is None):
            return None
        return rows

    def _joined(self, build: Callable[..., Any], name: str) -> "tuple[pd.DataFrame, list[Problem]]":
        """Build a table; what needs a later floor is joined here, by name: passwords and clock rates from signaling."""
        from jitsilab.analysis import joins

        if name == "media" and (payload_types := self.table("payload_types")) is not None:
            return tuple(build(self.wire, joins.clock_rates(payload_types)))
        if name == "stun":
            return tuple(build(self.wire, self._secrets()))
        rows, problems = build(self.wire)
        if name == "candidates" and rows["address"].fillna("").str.lower().str.endswith(".local").any():
            rows["resolved"] = joins.local_names(rows, self.table("dns"))
        return rows, problems

    def _analysed(self, name: str) -> "pd.DataFrame | None":
        if name == "ice":
            from jitsilab.analysis import ice

            stun = self["stun"]
            return None if stun is None else ice.pairs(stun)
        from jitsilab.analysis import turn_in_tls

        tls, flows = self.table("tls"), self.table("flows")
        return None if tls is None or flows is None else turn_in_tls.records(tls, flows)
