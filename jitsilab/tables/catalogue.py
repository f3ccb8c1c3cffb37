"""Every table that is made of packets or of lines: its name, its columns, and what makes it from the wire."""

from collections.abc import Callable

from jitsilab.tables import ERRORS, Schema, Table, dns, evidence, flows, frames, jingle, media, stun, tls, xmpp

_WIRE = (frames, flows, stun, media, tls, dns, xmpp, jingle)
BUILD: dict[str, Callable[..., Table]] = {name: build for module in _WIRE for name, build in module.BUILD.items()}
#: the tables with a row or more a frame, which are made of any rows of the capture, and so in chunks
PARTS = {**frames.PARTS, **media.PARTS}  # of them, as `jitsilab.tables.PARTS` has them
LONG: dict[str, Callable[..., Table]] = {**frames.LONG, **media.LONG}
WIRE: dict[str, Schema] = {name: schema for module in _WIRE for name, schema in module.SCHEMAS.items()}
LINES: dict[str, Schema] = evidence.SCHEMAS
SCHEMAS: dict[str, Schema] = {**WIRE, **LINES, "errors": ERRORS}
