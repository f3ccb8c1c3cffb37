"""Every number that a rule of the call decides by, in one place: its value, its unit, and who says so.

``specified`` is what a specification says, ``program`` what a program does, ``reasoned`` what follows from those by
arithmetic, ``measured`` what lies between two ranges that were seen: the source then names both, so that whoever meets
another network can see how much room is left. What rests on a measured one alone is never more than inferred.
`tests/test_limits.py` holds rules to both sides of them.
"""

from typing import Final, NamedTuple


class Limit(NamedTuple):
    """A number that decides."""

    value: float
    unit: str
    kind: str  # specified, program, reasoned, measured
    source: str


# Waiting for what does not come
CHECK_INTERVAL = Limit(5.0, "s", "specified", "RFC 7675 section 5.1: a check is sent every 5 s, times 0.8 to 1.2")
CONSENT = Limit(30.0, "s", "specified", "RFC 7675 section 5.1: consent expires so long after the last answer")
CHECK_INTERVAL = Limit(5.0, "s", "specified", "RFC 7675 section 5.1: a check is sent every 5 s, times 0.8 to 1.2")
GUARD = Limit(
    5.0, "s", "program",
    "libwebrtc p2p/base/p2p_constants.cc CONNECTION_WRITE_CONNECT_TIMEOUT: a pair unanswered so long, and 5 "
    "checks, is no longer writable; until then nothing is said to be missing",
)  # fmt: skip
ALLOCATION_REPLY = Limit(
    15.0, "s", "program",
    "Jicofo jicofo-common reference.conf, jicofo.xmpp.*.reply-timeout: it waits so long for a bridge",
)  # fmt: skip
ALLOCATION_SLACK = Limit(
    1.0, "s", "measured",
    "15.0 s from bridge-count to bridgeNotAvailable where a bridge was frozen; 0.0 s where none was",
)  # fmt: skip
SILENT_BRIDGE = Limit(
    5.0, "s", "specified",
    "RFC 7675 section 5.1: a check is sent every 5 s, so one went unanswered for as long",
)  # fmt: skip
QUIET_STREAM = Limit(
    5.0, "s", "specified",
    "RFC 3550 section 6.2: RTCP comes every 5 s at least where nobody shortens it; a pause of everything as long "
    "is one of the capture",
)  # fmt: skip
TURN_SILENCE = Limit(
    5.0, "s", "specified",
    "RFC 7675 section 5.1: a check every 5 s on each pair; one through a relay needs a permission first, so that "
    "whoever holds an allocation and a pair has asked by then",
)  # fmt: skip
PROMPT = Limit(1.0, "s", "measured", "relays are opened 0.04 to 0.3 s after an offer (RTT 25 to 85 ms)")

REPLACED = Limit(
    3.0, "s", "specified",
    "RFC 7675 section 5.1: intervals are drawn from 0.8 to 1.2 of 5 s; a session that lives on has shown a check "
    "after 4 s and more, and one seen within 3 s of its successor was put aside",
)  # fmt: skip
UNMATCHED_ANSWER = Limit(
    3.0, "s", "specified",
    "RFC 8489 section 6.2.1: with an RTO of 0.5 s the third send goes out after 1.5 s; where a table has no "
    "transaction ids, an answer later than twice that is none of the first three",
)  # fmt: skip
AFTER_LEAVING = Limit(
    3.0, "s", "measured",
    "packets came up to 0.05 s after their sender had left (74 recordings, RTT 25 to 85 ms); a slow line buffers "
    "longer",
)  # fmt: skip
OVERLAP = Limit(
    0.5, "s", "measured",
    "of paths that follow each other the second began up to 0.06 s after the first had ended; whoever shares a "
    "room for less has heard nothing",
)  # fmt: skip
SESSION_OF_PEERS = Limit(
    2.0, "s", "measured",
    "sessions of two peers whose media were to be seen on no other way lasted 5.5 s and more (2 of 74 "
    "recordings); a handshake takes four round trips before the first packet of media",
)  # fmt: skip
ANSWER_SLACK = Limit(0.005, "s", "measured", "with 0.001 to 0.05 s the readings of 74 recordings are the same")
ANSWER_PATIENCE = Limit(
    0.1, "s", "measured",
    "with 0.02 to 1 s, beyond three times the slowest answer of the opening, the readings of 74 recordings are "
    "the same; with none four lose an answer",
)  # fmt: skip
BURST = Limit(0.12, "s", "measured", "the segments of an answer to an offer leave within 0.062 s (74 recordings)")

NO_REPORT = Limit(25.0, "s", "specified", "RFC 3550 section 6.2: five of the 5 s that lie between reports at most")
CLOSING = Limit(
    1.0, "s", "specified",
    "RFC 6298 section 2: a FIN that got lost is sent again after 1 s at first; a client that closes by itself "
    "sends it at once",
)  # fmt: skip
SETTLED = Limit(
    1.0, "s", "reasoned",
    "a flow with media shows a packet every 20 to 60 ms, so that one which was there before the capture has shown "
    "by then",
)  # fmt: skip
TOGETHER = Limit(1.0, "s", "measured", "relays for one session are opened within 0.3 s; the next session's 2 s later")
CREDENTIAL_LIFE = Limit(86400.0, "s", "program", "jitsi-meet-turnserver, external_services ttl: a day")
CLOCKS_APART = Limit(
    300.0, "s", "program",
    "MIT krb5.conf, clockskew: the difference of two clocks that is commonly put up with",
)  # fmt: skip

# Amounts
ANSWERED_OFFER = Limit(
    5000.0, "bytes", "measured",
    "bursts upstream that answer or make an offer have 6,194 to 12,100 bytes, others at most 3,839 (74 recordings "
    "of two generations); what comes before the server's first word (an upgrade with a long token) is left out",
)  # fmt: skip
EQUATIONS = Limit(
    5.0, "equations", "reasoned",
    "lengths are multiples of 4 between 8 and 128 bytes; one that fits by chance is 1 of 30 at best, so 5 that "
    "are independent leave a chance below 1 in 10 million; below 3 nothing is read",
)  # fmt: skip
FEW_EQUATIONS = Limit(3.0, "equations", "reasoned", "as EQUATIONS: 1 in 27,000; such a reading is inferred")
CROWD = Limit(
    64.0, "messages", "measured",
    "with 16 to 100,000 Data indications, after which a record may hold the end of one and the beginning of "
    "another, the readings of 74 recordings are the same; with 8 two lose a reading",
)  # fmt: skip
TALK = Limit(
    8.0, "records", "specified",
    "RFC 9260 sections 5.1 and 8.3: two records of each side set an association up, then heartbeats are answered; "
    "who talks sends more than both",
)  # fmt: skip
STEADY = Limit(
    0.05, "share", "specified",
    "RFC 7675 section 5.1: intervals are drawn from 0.8 to 1.2 of their mean; three stay within 0.05 of their "
    "median by chance in one case of twelve",
)  # fmt: skip
AMPLIFIES = Limit(
    3.0, "times", "specified",
    "RFC 9000 section 8.1 takes three times what came as the most that a stranger may be sent",
)  # fmt: skip
SAMPLES = Limit(50.0, "messages", "reasoned", "the error of a mean over as many is a seventh of the spread of one")
RELAYING = Limit(
    1000.0, "bytes/s", "measured",
    "a relay in use carries 7,000 to 10,000 bytes/s each way, one that stands by up to 190 on average",
)  # fmt: skip
LASTING = Limit(
    1.0, "s", "measured",
    "bursts of probes and padding lasted up to 0.3 s, streams of media 0.87 s and more (12 recordings)",
)  # fmt: skip
LOSSY = Limit(0.01, "share", "measured", "0.03 of the packets where a line lost 4 %, 0 in the 73 other recordings")

# Clocks in user fragments
UFRAG_LAG = Limit(60.0, "s", "measured", "0.2 to 1.8 s from a user fragment to its first check in 65 of them")
UFRAG_AGREE = Limit(2.0, "s", "measured", "two user fragments agree on the capture's begin within 1.6 s")

# Behind a proxy
PASSING = Limit(0.03, "s", "measured", "a proxy passes a segment on in 0.0001 to 0.002 s; a busy host takes longer")
MATCH = Limit(
    0.6, "share", "measured",
    "of 28 connections behind a proxy the own outer flow matched 0.67 to 1, another one up to 0.26",
)  # fmt: skip
MATCH_LEAD = Limit(0.1, "share", "measured", "in the same 28 the own outer flow led the second by 0.67 and more")

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
CALL_IDLE = Limit(
    3600.0, "s", "program",
    "Prosody and Jicofo log a conference's end; where neither log is at hand, somebody new after an hour of nothing "
    "is another call",
)  # fmt: skip

LIMITS: Final[dict[str, Limit]] = {name: limit for name, limit in globals().items() if isinstance(limit, Limit)}
