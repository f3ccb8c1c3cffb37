"""Every number that a rule of the call decides by, in one place: its value, its unit, and who says so.

``specified`` is what a specification says, ``program`` what a program does, ``measured`` what lies between two ranges
that were seen: the source then names both, so that whoever meets another network can see how much room is left.
`tests/test_limits.py` holds rules to both sides of them.
"""

from typing import Final, NamedTuple


class Limit(NamedTuple):
    """A number that decides."""

    value: float
    unit: str
    kind: str  # specified, program, measured
    source: str


# Waiting for what does not come
STUN_GIVE_UP = Limit(
    39.5, "s", "specified", "RFC 8489 section 6.2.1: Rc = 7 sends from an RTO of 0.5 s on, then 16 RTO"
)
CONSENT = Limit(30.0, "s", "specified", "RFC 7675 section 5.1: consent expires so long after the last answer")
CHECK_INTERVAL = Limit(5.0, "s", "specified", "RFC 7675 section 5.1: a check is sent every 5 s, times 0.8 to 1.2")
GUARD = Limit(
    5.0, "s", "program",
    "libwebrtc p2p/base/p2p_constants.cc CONNECTION_WRITE_CONNECT_TIMEOUT: a pair unanswered so long, and 5 checks, is "
    "no longer writable; until then nothing is said to be missing",
)  # fmt: skip
ICE_GIVE_UP = Limit(
    15.0, "s", "program", "libwebrtc p2p/base/p2p_constants.cc CONNECTION_WRITE_TIMEOUT: a pair has failed (ICE FAILED)"
)
ALLOCATION_REPLY = Limit(
    15.0,
    "s",
    "program",
    "Jicofo jicofo-common reference.conf, jicofo.xmpp.*.reply-timeout: it waits so long for a bridge",
)
ALLOCATION_SLACK = Limit(
    1.0,
    "s",
    "measured",
    "15.0 s from bridge-count to bridgeNotAvailable where a bridge was frozen; 0.0 s where none was",
)
SILENT_BRIDGE = Limit(
    5.0, "s", "specified", "RFC 7675 section 5.1: a check is sent every 5 s, so one went unanswered for as long"
)
PROMPT = Limit(1.0, "s", "measured", "relays are opened 0.04 to 0.3 s after an offer (RTT 25 to 85 ms)")

# Amounts
RELAYING = Limit(
    1000.0, "bytes/s", "measured",
    "a relay in use carries 7,000 to 10,000 bytes/s each way, one that stands by up to 190 on average",
)  # fmt: skip
LASTING = Limit(
    1.0,
    "s",
    "measured",
    "bursts of probes and padding lasted up to 0.3 s, streams of media 0.87 s and more (12 recordings)",
)
LOSSY = Limit(0.01, "share", "measured", "0.03 of the packets where a line lost 4 %, 0 in the 73 other recordings")

# Clocks in user fragments
UFRAG_LAG = Limit(60.0, "s", "measured", "0.2 to 1.8 s from a user fragment to its first check in 65 of them")
UFRAG_AGREE = Limit(2.0, "s", "measured", "two user fragments agree on the capture's begin within 1.6 s")

# Behind a proxy
PASSING = Limit(0.03, "s", "measured", "a proxy passes a segment on in 0.0001 to 0.002 s; a busy host takes longer")
MATCH = Limit(
    0.6,
    "share",
    "measured",
    "of 28 connections behind a proxy the own outer flow matched 0.67 to 1, another one up to 0.26",
)
MATCH_LEAD = Limit(0.1, "share", "measured", "in the same 28 the own outer flow led the second by 0.67 and more")

LIMITS: Final[dict[str, Limit]] = {name: one for name, one in globals().items() if isinstance(one, Limit)}

# Clocks
CLOCK_LATE = Limit(
    60.0, "s", "measured",
    "one side says what the other said before it 0.06 to 1.6 s later (70 recordings); zones stand 900 s apart",
)  # fmt: skip
CLOCK_TOGETHER = Limit(5.0, "s", "measured", "two sides date the same happening 0.01 to 0.94 s apart")
CLOCK_NARROW = Limit(10.0, "s", "measured", "bounds from order alone are 0.1 to 1.6 s wide, from a time alone 60 s")
CLOCK_WRONG = Limit(
    30.0, "s", "measured", "clocks that are set by NTP stand less than 1 s apart; what is named as wrong is more"
)
