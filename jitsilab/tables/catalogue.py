"""Every table that is made of packets or of lines: its name, its columns, and what makes it from the wire."""

from collections.abc import Callable, Iterator
from typing import Any

from jitsilab.tables import ERRORS, Schema, Table, dns, evidence, flows, frames, jingle, media, stun, tls, xmpp

_WIRE = (frames, flows, stun, media, tls, dns, xmpp, jingle)
BUILD: dict[str, Callable[..., Table]] = {name: build for module in _WIRE for name, build in module.BUILD.items()}
#: the tables with a row or more a frame, which are made of any rows of the capture, and so in chunks
LONG: dict[str, Callable[..., Table]] = {**frames.LONG, **media.LONG}
#: those of which each row depends on rows before it, in chunks one after the other
CHUNKS: dict[str, Callable[..., Iterator[Table]]] = stun.CHUNKS
PARTS: dict[str, Callable[..., Any]] = {
    **frames.PARTS,
    **media.PARTS,
    **stun.PARTS,
}  # of both, as `jitsilab.tables.PARTS` has them
WIRE: dict[str, Schema] = {name: schema for module in _WIRE for name, schema in module.SCHEMAS.items()}
LINES: dict[str, Schema] = evidence.SCHEMAS
SCHEMAS: dict[str, Schema] = {**WIRE, **LINES, "errors": ERRORS}
