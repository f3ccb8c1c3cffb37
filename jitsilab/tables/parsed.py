"""The stanzas of a table ``xmpp`` as they were parsed: once for each table, whoever asks for them and however often.

What is parsed lives as long as its table does. Nobody changes it.
"""

import weakref
from typing import NamedTuple

import pandas as pd

from jitsilab.errors import ParseError
from jitsilab.protocols import stanza as stanzas
from jitsilab.protocols.stanza import Stanza


class _Known(NamedTuple):
    table: "weakref.ref[pd.DataFrame]"
    stanzas: list[Stanza | None]


_known: dict[int, _Known] = {}  # by id of the table, which no other has while it lives


def remember(xmpp: pd.DataFrame, parsed: list[Stanza | None]) -> pd.DataFrame:
    """The table, with what its rows hold once parsed known for good: one entry a row, in order."""
    number = id(xmpp)
    forget = weakref.ref(xmpp, lambda _: _known.pop(number, None))
    _known[number] = _Known(forget, parsed)
    return xmpp


def stanzas_of(xmpp: pd.DataFrame) -> list[Stanza | None]:
    """Of each row of the table its stanza, in order; None where the text cannot be read, which ``errors`` tells."""
    entry = _known.get(id(xmpp))
    if entry is not None and len(entry.stanzas) == len(xmpp) and entry.table() is xmpp:
        return entry.stanzas
    parsed = [_read(text) for text in xmpp["xml"]]
    remember(xmpp, parsed)
    return parsed


def _read(text: object) -> Stanza | None:
    try:
        return stanzas.parse(text) if isinstance(text, str) else None
    except ParseError:
        return None
