"""Every table that is made of packets or of lines: its name, its columns, and what makes it from the wire."""

from collections.abc import Callable
from typing import Any

from jitsilab.tables import ERRORS, Schema, dns, evidence, flows, frames, jingle, media, stun, tls, xmpp

_WIRE = (frames, flows, stun, media, tls, dns, xmpp, jingle)
BUILD: dict[str, Callable[..., Any]] = {name: build for module in _WIRE for name, build in module.BUILD.items()}
WIRE: dict[str, Schema] = {name: schema for module in _WIRE for name, schema in module.SCHEMAS.items()}
LINES: dict[str, Schema] = evidence.SCHEMAS
SCHEMAS: dict[str, Schema] = {**WIRE, **LINES, "errors": ERRORS}
