"""Recording a call: which program, what it keeps, what it lost, and what the file will be able to show.

`choose` takes a recorder of this machine, `Session` runs it, `files` mends and joins what it left, `inspect` says what
that can be trusted with.
"""

from jitsilab.recording.cutting import cut_media
from jitsilab.recording.integrity import Integrity, forecast, inspect
from jitsilab.recording.recorders import RECORDERS, Order, choose
from jitsilab.recording.session import Recording, Session, record, run

__all__ = [
    "RECORDERS",
    "Integrity",
    "Order",
    "Recording",
    "Session",
    "choose",
    "cut_media",
    "forecast",
    "inspect",
    "record",
    "run",
]
