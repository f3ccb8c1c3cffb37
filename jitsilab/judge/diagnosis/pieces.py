"""What was read, as what, of which time, and by which clock."""

from typing import Any

import pandas as pd

from jitsilab.case.clocks import Clock, begin_of
from jitsilab.inputs.packets import PacketTables
from jitsilab.judge.causes.trail import Trail
from jitsilab.judge.diagnosis.answer import iso
from jitsilab.pcap import unread


def inputs(call: Any, trail: Trail) -> list[dict[str, Any]]:
    """Every piece of evidence, in the order in which it was given; times are UTC as far as the clock is known."""
    spans = _spans(trail)
    entries = []
    for piece in call.evidence.pieces:
        source = piece.source
        clocks = [each for (input, _), each in call.clocks.items() if input == piece.input]
        notes = [piece.note or (source.note if source is not None else ""), _unread(source)]
        notes += [*_differing(clocks), _unfitting(source, clocks)]
        clock = max(clocks, key=lambda each: (each.offset is not None, each.shared), default=None)
        rows, first, last = _extent(source, spans.get(piece.input), clock.applied if clock is not None else 0.0)
        entries.append({
            "path": piece.input, "kind": piece.kind, "rows": rows, "sha256": piece.digest,
            "first_time": iso(first), "last_time": iso(last), **_clock(clock),
            "note": "; ".join(note for note in notes if note) or None,
        })  # fmt: skip
    return entries


def _clock(clock: Clock | None) -> dict[str, Any]:
    if clock is None:
        return {"clock_offset_s": None, "clock_bounds_s": None, "clock_certainty": None}
    bounds = [round(value, 3) for value in clock.bounds]
    offset = None if clock.offset is None else round(clock.offset, 3) + 0.0
    return {"clock_offset_s": offset, "clock_bounds_s": bounds, "clock_certainty": clock.certainty}


def _spans(trail: Trail) -> dict[str, tuple[int, int]]:
    """First and last time of each input's events."""
    spans: dict[str, tuple[int, int]] = {}
    for event in trail:
        if event.time is not None:
            first, last = spans.get(event.input, (event.time, event.time))
            spans[event.input] = min(first, event.time), max(last, event.time)
    return spans


def _extent(source: Any, span: tuple[int, int] | None, shift: float) -> tuple[int | None, int | None, int | None]:
    """Records or frames of a source, and when the first and the last of them were."""
    if isinstance(source, PacketTables):
        flows, begin, wire = source.table("flows"), begin_of(source) or 0.0, source.wire
        rows = len(wire.packets) if wire is not None else None
        seconds = None if flows is None else flows["last_seconds"].max()
        if not begin + shift or seconds is None or pd.isna(seconds):
            return rows, None, None
        first = begin + shift
        return rows, round(first * 1e9), round((first + float(seconds)) * 1e9)
    rows = getattr(source, "records", None)
    if getattr(source, "first_time", None) is not None:
        return rows, source.first_time + round(shift * 1e9), source.last_time + round(shift * 1e9)
    return rows, *(span or (None, None))


def _differing(clocks: list[Clock]) -> list[str]:
    """What is to be said where the programs of one piece run on several clocks."""
    known = {clock.program: clock.offset for clock in clocks}
    if len({*known.values()}) < 2:
        return []
    words = ", ".join(
        f"{name} {'not known' if offset is None else f'{offset:+.0f} s'}" for name, offset in known.items()
    )
    return [f"several clocks: {words}"]


def _unfitting(source: Any, clocks: list[Clock]) -> str:
    """That the zone which the user named is another than what the other pieces say."""
    known = [clock.offset for clock in clocks if clock.offset]
    if not known or not getattr(source, "given_zone", False):
        return ""
    return f"the zone that was named does not fit the other pieces: {known[0]:+.0f} s more bring it to UTC"


def _unread(source: Any) -> str:
    """What of a capture is of a link or encapsulation that is not read."""
    wire = getattr(source, "wire", None)
    return unread.words(wire.packets.unread) if wire is not None else ""
