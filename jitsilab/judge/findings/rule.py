"""The form of a security check, and the view of a call and its server that every check is asked with."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.analysis import holes
from jitsilab.case import signaling
from jitsilab.case.topology import topology
from jitsilab.facts import Facts
from jitsilab.facts.deployment import Deployment
from jitsilab.ip import is_loopback
from jitsilab.judge.checks import Certainty, Check, Outcome, Verdict
from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables import part
from jitsilab.tables.parsed import stanzas_of

SEVERITIES = ("critical", "high", "medium", "low", "info")
AREAS = {
    "A": "Who may create or enter a session",
    "B": "Exposure of the signaling",
    "C": "TURN",
    "D": "ICE",
    "E": "DTLS and SRTP",
    "F": "What leaks",
}
MOST_FRAMES = 50  # that one finding lists
_INSIDE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
                 "0.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128", "::/128")
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule(Check):
    """A check of security: a Check with what a failure costs and what to do about it.

    The title names the hazard, ``absent`` what a PASS says of it.
    """

    absent: str = ""  # the title where the hazard is not there
    area: str = ""  # key of AREAS
    severity: str = "medium"
    reason: str = ""  # why this severity: impact and who can reach it
    advice: str = ""
    guard: str = ""  # what would look like a failure and is none
    plan: str = ""  # key of jitsilab.deploy.PLANS: how to make it observable
    jitsi: bool = False  # says something of Jitsi Meet alone: not asked of other systems
    unproven: str = ""  # why the tests have not all of a failing, a passing and an unobservable sample

    @property
    def proven(self) -> bool:
        """Whether the tests hold a failing, a passing and an unobservable sample of it."""
        return not self.unproven


@dataclass(frozen=True, slots=True)
class Judged(Outcome):
    """An outcome whose severity is not the rule's; empty where it is."""

    severity: str = ""


class PlacedStanza(NamedTuple):
    """One stanza with its place."""

    frame: int
    seconds: float
    connection: Any
    direction: str
    carrier: str
    clear: bool
    src: str
    dst: str
    stanza: stanzas.Stanza


class View:
    """What a check may look at."""

    def __init__(self, call: Any, facts: Facts | None) -> None:
        self.call = call
        self.tables: Mapping[str, Any] = {} if call is None else call.tables()
        self.facts = facts

    def rows(self, name: str) -> pd.DataFrame | None:
        """A table that can be seen and holds something; rows that another interface shows again are left out."""
        rows = self.tables.get(name)
        if rows is None or not len(rows):
            return None
        again = rows.get("duplicate")
        return rows if again is None else rows[~again.fillna(False).astype(bool)]

    def part(self, name: str) -> pd.DataFrame | None:
        """A part of a long table, where it can be seen and holds something."""
        rows = part(self.tables, name)
        return None if rows is None or not len(rows) else rows

    @cached_property
    def stanzas(self) -> list[PlacedStanza]:
        """The stanzas of the call, read; empty where no signaling can be seen."""
        rows = self.rows("xmpp")
        if rows is None:
            return []
        columns = ("frame", "seconds", "connection", "direction", "carrier", "clear", "src", "dst")
        pairs = zip(zip(*(rows[c] for c in columns), strict=True), stanzas_of(rows), strict=True)
        return [PlacedStanza._make([*place, stanza]) for place, stanza in pairs if stanza is not None]

    @cached_property
    def xmpp_streams(self) -> list[signaling.XmppStream]:
        """The XMPP connections of participants."""
        xmpp, jingle = self.rows("xmpp"), self.tables.get("jingle")
        return [] if xmpp is None or jingle is None else signaling.xmpp_streams(xmpp, jingle)

    @cached_property
    def servers(self) -> set[str]:
        """Addresses of the server: what the facts list, else those that the capture shows."""
        known = set(self.facts.addresses) if self.facts else set()
        return known or set(topology(self.tables).servers)

    @cached_property
    def deployment(self) -> Deployment | None:
        """The server's files as one deployment."""
        return self.facts.deployment if self.facts is not None else None

    @cached_property
    def own_flows(self) -> set[Any] | None:
        """Flows whose server is the deployment's: its own and its public addresses, loopback; None: all of them.

        A capture holds strangers' connections too, and the server's own to others: their TLS is not its doing.
        """
        flows = self.rows("flows")
        if flows is None or not self.servers:
            return None
        own = set(self.servers) | (self.deployment.public_addresses() if self.deployment is not None else set())
        if not any(str(address) in own for address in flows["server"]):
            own |= set(topology(self.tables).servers)  # the capture has another side of the translation than the files
        here = [str(a) in own or is_loopback(str(a)) for a in flows["server"]]
        return set(flows.loc[here, "flow"])

    @cached_property
    def may_be_jitsi(self) -> bool:
        """False where the signaling can be read and has none of Jitsi Meet's own elements, and no facts are given."""
        if self.facts is not None or not self.stanzas:
            return True
        return any(
            stanzas.FOCUS in (placed.stanza.child_namespace or "")
            or stanzas.JITMEET in (placed.stanza.child_namespace or "")
            for placed in self.stanzas
        )

    @cached_property
    def cut(self) -> set[int]:
        """STUN frames of which the capture kept only a part: what is missing in them proves nothing."""
        return holes.cut(self.part("cut"), self.rows("stun"))

    @cached_property
    def lossy(self) -> bool:
        """Whether the capture lost bytes of some flow: then it may have lost any datagram too."""
        flows = self.rows("flows")
        return flows is not None and bool(holes.broken(flows, self.part("segments")))

    def captured_at(self) -> Any:
        """Time of the first frame, or None."""
        rows = self.part("bounds")
        times = rows["time"].dropna() if rows is not None else None
        return times.iloc[0] if times is not None and len(times) else None


def inside(address: object) -> bool:
    """Whether an address leads inside: private, carrier-grade NAT, link-local, loopback, unspecified.

    Documentation addresses are not among them: they stand for public ones.
    """
    try:
        parsed = ipaddress.ip_address(str(address).split("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in _INSIDE)


def from_outside(src: object, dst: object) -> bool:
    """Whether a packet came over a network: neither end is loopback, and the ends are not the same host."""
    return str(src) != str(dst) and not is_loopback(str(src)) and not is_loopback(str(dst))


def _numbers(frames: Iterable[Any]) -> tuple[int, ...]:
    return tuple(sorted({int(f) for f in frames if not pd.isna(f) and int(f) > 0})[:MOST_FRAMES])


def _make(verdict: Verdict) -> Callable[..., Judged]:
    def make(
        note: str,
        frames: Iterable[Any] = (),
        places: Iterable[str] = (),
        certainty: Certainty = Certainty.MEASURED,
        severity: str = "",
    ) -> Judged:
        named = tuple(dict.fromkeys(place for place in places if place))
        return Judged(verdict, _numbers(frames), note, certainty, "", named, severity)

    return make


failed = _make(Verdict.BROKEN)
passed = _make(Verdict.HOLDS)
noted = _make(Verdict.INFO)
unseen = _make(Verdict.NOT_OBSERVABLE)
beside = _make(Verdict.NOT_APPLICABLE)

_RANK = (Verdict.BROKEN, Verdict.HOLDS, Verdict.INFO, Verdict.NOT_APPLICABLE, Verdict.NOT_OBSERVABLE)


def joined(*outcomes: Outcome | None) -> Outcome:
    """One outcome of several looks at the same question: a failure wins, then what was seen to hold.

    Notes, frames and places of all looks with the winning verdict stay; the severity is the gravest of them, and the
    certainty the best.
    """
    seen = [outcome for outcome in outcomes if outcome is not None]
    if not seen:
        return unseen("neither a capture nor a file shows it")
    best = min((outcome.verdict for outcome in seen), key=_RANK.index)
    kept = [outcome for outcome in seen if outcome.verdict is best]
    severities = [s for outcome in kept if (s := getattr(outcome, "severity", ""))]
    grave = min(severities, key=SEVERITIES.index) if len(severities) == len(kept) else ""
    order = (Certainty.MEASURED, Certainty.DEDUCED, Certainty.INFERRED)
    return Judged(
        best,
        _numbers(frame for outcome in kept for frame in outcome.frames),
        "; ".join(dict.fromkeys(outcome.note for outcome in kept if outcome.note)),
        min((outcome.certainty for outcome in kept), key=order.index),
        "",
        tuple(dict.fromkeys(place for outcome in kept for place in outcome.places)),
        grave,
    )


def counted(number: int, noun: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "frame"), counted(3, "frame"), counted(2, "reply", "replies")
    ('1 frame', '3 frames', '2 replies')
    """
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def listed(words: Iterable[str], most: int = 4) -> str:
    """Words in a row, each once; after some of them only how many more.

    >>> listed(["b", "a", "b"])
    'b, a'
    """
    unique = list(dict.fromkeys(words))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
