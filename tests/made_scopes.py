"""Scopes made by hand: one participant, what a session of it has, and tables of a few rows."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from jitsilab.analysis.turn_flows import TurnFlow
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.judge.checks import Outcome
from jitsilab.judge.theory.scope import Scope, Whole

ANN, BEN, SERVER, PUBLIC = "198.51.100.20", "198.51.100.140", "172.31.37.118", "203.0.113.10"
CONFORMS, DEVIATES, UNOBSERVED, HIDDEN, BESIDE = (
    "CONFORMS", "DEVIATES", "NOT_OBSERVED", "NOT_OBSERVABLE", "NOT_APPLICABLE"
)  # fmt: skip
#: an invitation that was seen and taken
TALKING = Session("s", "jvb", offered=3, accepted=6, offered_at=9.0)


class Part(Scope):
    """A scope to which the whole of each table belongs."""

    def table(self, name: str) -> pd.DataFrame | None:
        return self.every.get(name)


def rows(*some: dict[str, Any], **same: Any) -> pd.DataFrame:
    """A table of these rows, with what is the same in all; frames count from 1 where none are given."""
    made = pd.DataFrame([same | one for one in some])
    return made if "frame" in made else made.assign(frame=range(1, len(made) + 1))


def scope(
    session: Session | None = None, *, kind: str = "jvb", stream: XmppStream | None = None, legs: Iterable[Leg] = (),
    turns: Iterable[TurnFlow] = (), end: float = 60.0, lossy: bool = False, own: str = "",
    tables: dict[str, pd.DataFrame] | None = None, **person: Any,
) -> Part:  # fmt: skip
    """Ann's, in a capture of the server that ends after a minute."""
    streams = [stream] if stream is not None else []
    ann = Person(**{"addresses": [ANN], "xmpp_streams": streams, "legs": [*legs], "turn": [*turns]} | person)
    call = Cast([ann], [SERVER], PUBLIC, "a bridge", True, own, end, lossy=lossy)
    name = kind if session is not None or legs or turns else ""
    return Part(ann, call, Whole(tables or {}), session, name, kind, [*legs], [*turns])


def whole(session: Session | None = None, **more: Any) -> XmppStream:
    """A connection that is in the capture from its opening on."""
    return XmppStream(0, **{"opened": 1, "sessions": {session.sid: session} if session else {}} | more)


def said(*texts: tuple[str, str], seconds: float = 1.0, **more: Any) -> pd.DataFrame:
    """Stanzas of a connection, each with its direction: frames count from 1."""
    told = [{"direction": direction, "xml": xml} for direction, xml in texts]
    same = {"connection": 0, "carrier": "ws", "clear": False, "src": ANN, "dst": PUBLIC, "seconds": seconds,
            "time": pd.Timestamp("2026-11-01T12:00:00Z")}  # fmt: skip
    return rows(*told, **same | more) if told else pd.DataFrame(columns=["frame", "direction", "xml", *same])


def verdict(one: Outcome) -> tuple[str, str]:
    return one.verdict.value, one.note
