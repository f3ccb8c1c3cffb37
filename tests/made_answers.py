"""Participants, statements and places as an answer is put together from, for tests of its rules and of its words."""

from typing import Any

from jitsilab.judge.causes.statement import Statement
from jitsilab.judge.diagnosis import Diagnosed
from jitsilab.place import Place

ANN = "198.51.100.20"
SECOND = 1_000_000_000


def stated(name: str, reason: str | None = None, who: tuple[str, ...] | None = None, **more: Any) -> Statement:
    return Statement(name, reason, who, **more)


def without(id: str = "ann", cause: str | None = "undetermined", path: str = "none", **more: Any) -> Diagnosed:
    return Diagnosed(id, media_path=path, cause=cause, **more)


def well(id: str = "ann", path: str = "jvb-udp", **more: Any) -> Diagnosed:
    return Diagnosed(id, media_path=path, certainty=more.pop("certainty", "measured"), **more)


def line(number: int, file: str = "jvb.log") -> Place:
    return Place(file, line=number)
