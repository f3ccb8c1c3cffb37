"""What pieces tell of each other's times: the year of logs that write none, the zone of a web server's error log.

Syslog and Prosody's file write no year: it is the one that brings them next to the other pieces, else that of the
file's own date. nginx writes its zone into the lines of its access log alone, and errors by the same wall clock.
"""

import re
from statistics import median_low
from typing import TYPE_CHECKING

from jitsilab.inputs.delivery import Delivery
from jitsilab.inputs.logs.reader import LogSource
from jitsilab.inputs.logs.times import Beside, offset_of, year_in
from jitsilab.inputs.moments import first_in

if TYPE_CHECKING:
    from jitsilab.inputs import Evidence


_ACCESS = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d ([+-]\d{4})\] \"")


def place(evidence: "Evidence") -> None:
    """Tell each log of ``evidence`` what is beside it."""
    _zones(evidence)
    waiting: list[tuple[Delivery, LogSource]] = []
    for piece in evidence.pieces:
        if isinstance(piece.source, LogSource) and year_in(piece.delivery.head) is None:
            waiting.append((piece.delivery, piece.source))
    if not waiting:
        return
    known = [
        time for capture in evidence.packets if capture.wire is not None and (time := _begin(capture.wire)) is not None
    ]
    for piece in evidence.pieces:
        if piece.source is not None and piece.kind not in ("capture", "print", "tables"):
            time = first_in(piece.delivery.head)
            known += [time] if time is not None else []
    near = median_low(known) if known else None
    for delivery, source in waiting:
        source.beside = Beside(near, delivery.written)


def _zones(evidence: "Evidence") -> None:
    logs = [piece for piece in evidence.pieces if isinstance(piece.source, LogSource)]
    zones = {
        piece.input: {offset_of(match[1].decode()) for match in _ACCESS.finditer(piece.delivery.head)} for piece in logs
    }
    every = set().union(*zones.values())
    for piece in logs:
        own = zones[piece.input] or every
        if isinstance(piece.source, LogSource) and len(own) == 1:
            piece.source.web_zone = next(iter(own))


def _begin(wire: object) -> int | None:
    """When a capture began, ns since the epoch."""
    times = wire.packets.time  # type: ignore[attr-defined]  # a Wire, of a floor that this one need not load
    return int(times[0]) if len(times) and int(times[0]) > 0 else None
