"""Options of a TCP header (RFC 9293 section 3.2, RFC 7323, RFC 2018)."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """What the options say; None or empty where an option is not there."""

    mss: int | None = None  # bytes, RFC 9293 section 3.7.1
    scale: int | None = None  # shift of the window, RFC 7323 section 2
    sack_permitted: bool = False  # RFC 2018 section 2
    sack: tuple[tuple[int, int], ...] = ()  # left and right edge of each block, RFC 2018 section 3
    tsval: int | None = None  # RFC 7323 section 3
    tsecr: int | None = None
    rest: int | None = None  # offset of an option whose length does not fit, where reading stopped


def options(data: bytes) -> Options:
    """Read the bytes between the fixed header and the payload.

    Never raises: an option that does not fit ends the list, as a receiver would have it.
    """
    at = 0
    fields: dict[str, Any] = {}
    while at < len(data) and data[at]:  # 0 ends the list
        kind = data[at]
        if kind == 1:  # NOP
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            fields["rest"] = at
            break
        value = data[at + 2 : at + size]
        if (kind, size) == (2, 4):
            fields["mss"] = int.from_bytes(value)
        elif (kind, size) == (3, 3):
            fields["scale"] = value[0]
        elif kind == 4:
            fields["sack_permitted"] = True
        elif kind == 5:
            edges = [int.from_bytes(value[i : i + 4]) for i in range(0, len(value) - 3, 4)]
            fields["sack"] = tuple(zip(edges[::2], edges[1::2], strict=False))
        elif (kind, size) == (8, 10):
            fields["tsval"], fields["tsecr"] = int.from_bytes(value[:4]), int.from_bytes(value[4:])
        at += size
    return Options(**fields)
