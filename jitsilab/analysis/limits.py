"""Every number that a rule decides by, in one place: its value, its unit, and who says so.

A number of a specification or of a program names it. One that was measured says over what range things were seen on
both sides of it, so that whoever meets another network can see how much room is left. `tests/test_limits.py` holds the
rules to both sides of each.
"""

from typing import Final, NamedTuple


class Limit(NamedTuple):
    """A number that decides."""

    value: float
    unit: str
    source: str  # specification or program, or the range that was measured
    kind: str  # specified, program, measured


def _register(**limits: Limit) -> dict[str, Limit]:
    return limits


STUN_RTO = Limit(0.5, "s", "RFC 8489 section 6.2.1: first retransmission of a request", "specified")
STUN_GIVE_UP = Limit(39.5, "s", "RFC 8489 section 6.2.1: Rc = 7 sends, then Rm = 16 RTO", "specified")
ALLOCATION_REPLY = Limit(
    15.0, "s", "Jicofo reference.conf, jicofo.xmpp.*.reply-timeout: how long it waits for a bridge", "program"
)
ALLOCATION_SLACK = Limit(
    1.0,
    "s",
    "measured: 15.0 s from bridge-count to bridgeNotAvailable (bridge-stopped); the way to the client",
    "measured",
)
SILENT_BRIDGE = Limit(
    5.0,
    "s",
    "RFC 7675 section 5.1: a check is sent every 5 s on average; without one answer for that long",
    "specified",
)
LOSSY = Limit(
    0.01, "share", "measured: 0.03 to 0.05 of ann's packets in jvb-lossy (4 % loss), 0 in all others of 74", "measured"
)
LIMITS: Final[dict[str, Limit]] = {name: one for name, one in globals().items() if isinstance(one, Limit)}
