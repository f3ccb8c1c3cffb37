"""Who speaks on which connection: occupants of rooms, read from the presences of the table ``xmpp``."""

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.protocols import xmpp as stanzas
from jitsilab.protocols.xmpp import Presence
from jitsilab.tables.parsed import stanzas_of

FOCUS = "focus"


class Seen(NamedTuple):
    """One presence of a room's occupant."""

    row: int  # position in the table xmpp
    frame: int
    connection: Hashable  # of the client that sent or received it
    outgoing: bool  # from the client
    presence: Presence

    @property
    def person(self) -> bool:
        """Whether the occupant may be a person: not the focus, which sends its own kind of presence."""
        jid = stanzas.bare(self.presence.jid) or ""
        return bool(self.presence.occupant) and self.presence.occupant != FOCUS and not jid.startswith(f"{FOCUS}@")


def text(value: Any) -> str:
    """A cell of a text column, missing values as nothing."""
    return value if isinstance(value, str) else ""


def key(value: Any) -> Hashable:
    """A cell as a key, missing values as None."""
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def presences(xmpp: pd.DataFrame) -> Iterator[Seen]:
    """The presences of rooms, in the order of the table; what cannot be read is left out (the table reported it)."""
    columns = (xmpp["frame"], xmpp["connection"], xmpp["direction"])
    for row, stanza, (frame, connection, direction) in zip(
        xmpp.index, stanzas_of(xmpp), zip(*columns, strict=True), strict=True
    ):
        presence = stanzas.presence(stanza) if stanza is not None else None
        if presence is not None and presence.room and presence.occupant:
            yield Seen(int(row), int(frame), key(connection), direction == "c2s", presence)


class Occupants:
    """Looks up the occupant (in Jitsi the endpoint id) behind a connection or a JID."""

    def __init__(self, xmpp: pd.DataFrame) -> None:
        seen = list(presences(xmpp))
        # outside rooms there is presence too: what a server sends a client about itself when it leaves
        self.rooms = {sighting.presence.room for sighting in seen if sighting.presence.joins or sighting.presence.role}
        self.seen = [sighting for sighting in seen if sighting.presence.room in self.rooms]
        self._connections: dict[Hashable, list[tuple[int, str]]] = {}
        self._jids: dict[str, str] = {}
        for sighting in self.seen:
            occupant = sighting.presence.occupant or ""
            own = sighting.outgoing or 110 in sighting.presence.codes  # XEP-0045 section 7.2.2: own presence
            if own and sighting.connection is not None and sighting.presence.type in (None, "unavailable"):
                self._connections.setdefault(sighting.connection, []).append((sighting.row, occupant))
            if sighting.presence.jid:
                self._jids.setdefault(sighting.presence.jid, occupant)

    def on(self, connection: Hashable, row: int) -> str:
        """The occupant that a connection had at a row of the table: the last before it, else the first after it."""
        known = self._connections.get(connection, [])
        before = [occupant for at, occupant in known if at <= row]
        return before[-1] if before else known[0][1] if known else ""

    def occupant(self, jid: str) -> str:
        """The occupant behind a JID, be it the one in the room or the real one."""
        if stanzas.bare(jid) in self.rooms:
            return stanzas.resource(jid) or ""
        return self._jids.get(jid, "")
