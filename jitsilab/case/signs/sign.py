"""What one thing that the packets show looks like, for whoever judges a call."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

MEASURED, DEDUCED, INFERRED = "measured", "deduced", "inferred"


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that went wrong or is unusual, as far as packets show it: no cause yet, but what one is made of."""

    what: str  # a word for it, the same for every participant
    frames: tuple[int, ...] = ()  # that show it
    certainty: str = MEASURED  # measured, deduced, or inferred, where other readings remain (in ``note``)
    seconds: float = float("nan")  # s since the first frame, when it was first seen
    reason: str = ""  # the second word: expired, no-upgrade, http-404; empty where the packets do not single one out
    status: int | None = None  # HTTP status
    value: str = ""  # address, or other value that it is about
    note: str = ""  # a sentence without secrets


def frames_of(*values: Any) -> tuple[int, ...]:
    """Numbers of frames in order, each once, of numbers and of columns; 0 and nothing are none."""
    numbers: set[int] = set()
    for value in values:
        several: Iterable[Any] = value if isinstance(value, Iterable) else (value,)
        numbers.update(int(number) for number in several if pd.notna(number) and int(number) > 0)
    return tuple(sorted(numbers))
