"""Whether a participant and the bridge reach each other: addresses, filters, relays, as lines tell."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from jitsilab import ip
from jitsilab.judge.causes.statement import Case, Rule, Statement, stated
from jitsilab.judge.causes.trail import Event, Trail

CONNECTED = ("ice-connected", "dtls-done", "media-received", "check-succeeded", "pair-nominated")
STUCK = ("ice-ended", "ice-failed")


@dataclass
class Attempt:
    """One participant's way to ICE, as one source tells it."""

    participant: str
    input: str
    program: str
    offered: list[Event] = field(default_factory=list)
    own: list[Event] = field(default_factory=list)
    arrived: list[Event] = field(default_factory=list)  # checks of the participant that the bridge got
    unanswered: list[Event] = field(default_factory=list)
    connected: list[Event] = field(default_factory=list)
    stuck: list[Event] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether ICE was given up or ended, or nothing was ever answered, and it never found a way."""
        return bool(self.stuck or self.unanswered) and not self.connected

    @property
    def end(self) -> list[Event]:
        """What shows that it failed."""
        return self.stuck[-1:] or self.unanswered[-1:]


_FIELDS = {
    "candidate-offered": "offered", "candidate-gathered": "own", "check-received": "arrived",
    "check-unanswered": "unanswered", **dict.fromkeys(CONNECTED, "connected"), **dict.fromkeys(STUCK, "stuck"),
}  # fmt: skip


def attempts(trail: Trail) -> list[Attempt]:
    """What the bridge's log and each browser tell of each participant's ICE; peer to peer is left out."""
    by_participant: dict[tuple[str, str], Attempt] = {}
    for event in trail.select(*_FIELDS):
        if event.program not in ("jvb", "browser") or event.detail.startswith("p2p"):
            continue
        who = event.participant
        if not who and event.event == "check-unanswered" and event.program == "jvb":
            who = _owner(trail, event)
        key = (event.input if event.program == "jvb" else "", who)
        attempt = by_participant.setdefault(key, Attempt(who, event.input, event.program))
        getattr(attempt, _FIELDS[event.event]).append(event)
    return list(by_participant.values())


def _owner(trail: Trail, event: Event) -> str:
    """Whose address an unanswered pair of the bridge's goes to, where one participant has it."""
    other = event.value.rpartition("-> ")[2].rpartition(":")[0].strip("[]")
    owners = {e.participant for e in trail.select("candidate-gathered", input=event.input) if e.value == other}
    return owners.pop() if len(owners) == 1 else ""


def _addresses(events: list[Event]) -> list[str]:
    return list(dict.fromkeys(event.value for event in events if ip.parse(event.value) is not None))


def _all_inside(addresses: list[str]) -> bool:
    return bool(addresses) and all(ip.is_private(address) for address in addresses)


def mapping_missing(case: Case) -> Iterator[Statement]:
    """Every address that the bridge offered is private, and somebody from outside never connected."""
    mapped = [event for event in case.trail.select("mapping") if not _all_inside(event.value.split("->")[-1:])]
    for attempt in attempts(case.trail):
        candidates = [event for event in attempt.offered if not event.detail.endswith("base")]
        if not candidates and mapped:
            continue  # of a pair the bridge's log names the base, in place of the address that it is mapped to
        offered = _addresses(candidates or attempt.offered)
        if not attempt.failed or attempt.arrived or not _all_inside(offered):
            continue
        if attempt.own and any(_near(own, other) for own in _addresses(attempt.own) for other in offered):
            continue  # in the same network the private address would do
        who = (attempt.participant,) if attempt.participant else None
        detail = f"it offers {', '.join(offered)}"
        certainty = "deduced" if attempt.own else "inferred"
        yield stated("nat-mapping-missing", [*attempt.offered[:4], *attempt.end], participants=who, certainty=certainty,
                     detail=detail)  # fmt: skip


def _near(own: str, other: str) -> bool:
    """Whether two private addresses may be in one network: alike in the first 24 bits (IPv6: 64)."""
    here, there = ip.parse(own), ip.parse(other)
    if here is None or there is None or here.version != there.version or not ip.is_private(own):
        return False
    return there in ip_network(f"{here}/{24 if here.version == 4 else 64}", strict=False)


def mapping_wrong(case: Case) -> Iterator[Statement]:
    """A pair was validated over an address of the bridge that it never offered: what it offers is another's."""
    offered = set(_addresses(case.trail.select("candidate-offered")))
    public = {address for address in offered if not ip.is_private(address)}
    other = [
        event for event in case.trail.select("mapped-address")
        if ip.parse(event.value) is not None and not ip.is_private(event.value) and event.value not in offered
    ]  # fmt: skip
    stuck = [attempt for attempt in attempts(case.trail) if attempt.failed and not attempt.arrived]
    if public and other and stuck:
        who = tuple(dict.fromkeys(attempt.participant for attempt in stuck if attempt.participant)) or None
        detail = f"it offers {', '.join(sorted(public))}, and is reached as {other[0].value}"
        yield stated("nat-mapping-wrong", [*other, *(event for attempt in stuck for event in attempt.end)],
                     participants=who, certainty="deduced", detail=detail)  # fmt: skip


def outbound(case: Case) -> Iterator[Statement]:
    """Checks of everybody arrive at the bridge, and none that it sends is ever answered."""
    seen = [
        attempt
        for attempt in attempts(case.trail)
        if attempt.program == "jvb" and (attempt.arrived or attempt.stuck or attempt.connected)
    ]
    heard = [attempt for attempt in seen if attempt.arrived and not attempt.connected]
    if len(heard) < 2 or any(attempt.connected for attempt in seen):
        return  # of one participant alone the block may be on his side
    if not any(attempt.stuck for attempt in heard):
        return
    evidence = [event for attempt in heard for event in (*attempt.arrived[:1], *attempt.stuck[-1:])]
    who = tuple(attempt.participant for attempt in heard if attempt.participant) or None
    yield stated("udp-blocked", evidence, "outbound", participants=who, certainty="inferred",
                 detail="checks arrive from everybody, and no answer to the bridge's own comes back")  # fmt: skip


def certificate(case: Case) -> Iterator[Statement]:
    """A browser without media refuses TURN's certificate, or finds no TURN server."""
    for input in dict.fromkeys(event.input for event in case.trail.select("turn-unreachable", "tls-refused")):
        trail = Trail([event for event in case.trail if event.input == input])
        refused = [event for event in trail.select("tls-refused") if event.detail == "turn"]
        refused += [event for event in trail.select("turn-unreachable") if event.detail == "certificate"]
        missing = [event for event in trail.select("turn-unreachable") if event.detail == "name-not-found"]
        tried, connected = trail.select("ice-checking", "ice-failed", "offer-sent"), trail.select("ice-connected")
        if connected or not tried or not (refused or missing):
            continue
        reason = "tls-certificate" if refused else "name-not-found"
        failures = refused or missing
        who = tuple(dict.fromkeys(event.participant for event in (*failures, *tried) if event.participant)) or None
        yield stated("turn-unreachable", [*failures, *tried[-1:]], reason, participants=who, certainty="deduced")


def permission(case: Case) -> Iterator[Statement]:
    """The relay refuses just the address that the bridge offers, and somebody's ICE fails."""
    denied = case.trail.select("peer-denied")
    offered = set(_addresses(case.trail.select("candidate-offered"))) | bridge_addresses(case)
    ours = [event for event in denied if event.value in offered]
    stuck = [attempt for attempt in attempts(case.trail) if attempt.failed]
    if ours and (stuck or _without_media(case)):
        who = tuple(dict.fromkeys(attempt.participant for attempt in stuck if attempt.participant)) or None
        ranges = {event.detail: 0 for event in ours if event.detail}
        detail = f"it denies {', '.join(dict.fromkeys(event.value for event in ours))}"
        detail += f" by {', '.join(ranges)}" if ranges else ""
        evidence = [*ours, *(event for attempt in stuck for event in attempt.end)]
        yield stated("turn-permission-refused", evidence, participants=who, certainty="deduced", detail=detail)


def credentials(case: Case) -> Iterator[Statement]:
    """TURN does not know the credentials, and somebody has no way in; or its log is all that there is."""
    refused = case.trail.select("turn-credentials-refused", "allocation-refused")
    stuck = [attempt for attempt in attempts(case.trail) if attempt.failed]
    alone = len(refused) >= 2 and all(event.program == "coturn" for event in case.trail) and not case.casts
    if refused and (stuck or alone):
        who = tuple(dict.fromkeys(attempt.participant for attempt in stuck if attempt.participant)) or None
        yield stated("turn-auth-failed", [*refused, *(event for attempt in stuck for event in attempt.end)],
                     participants=who, certainty="inferred")  # fmt: skip


#: TURN's ports at IANA, plain and over TLS, beside those that the configuration names
TURN_PORTS = (3478, 5349)


def relay_down(case: Case) -> Iterator[Statement]:
    """A proxy finds nobody at TURN's port, while somebody has no way to the bridge."""
    ports = set(TURN_PORTS)
    if case.facts is not None:
        ports |= {socket.port for socket in case.facts.deployment.turn_sockets() if isinstance(socket.port, int)}
    refused = [
        event for event in case.trail.select("upstream-failed")
        if event.detail.startswith("refused") and any(event.value.endswith(f":{port}") for port in ports)
    ]  # fmt: skip
    stuck = [attempt for attempt in attempts(case.trail) if attempt.failed]
    if refused and (stuck or _without_media(case)):
        yield stated("turn-unreachable", refused, "not-running", certainty="inferred",
                     detail=f"nobody answers at {refused[-1].value}")  # fmt: skip


def _without_media(case: Case) -> bool:
    """Whether packets show somebody whose UDP never connects."""
    return any(not any(leg.connected for leg in person.legs) for cast in case.casts.values() for person in cast.people)


def bridge_addresses(case: Case) -> set[str]:
    """The bridge's own addresses, as packets or the configuration name them."""
    known = {address for cast in case.casts.values() for address in cast.servers}
    bound = [event.value.rpartition(":")[0].strip("[]") for event in case.trail.select("port-bound", program="jvb")]
    known |= {address for address in bound if ip.parse(address) is not None and not ip.is_loopback(address)}
    known |= {side for event in case.trail.select("mapping") for side in event.value.split("->")}
    if case.facts is not None:
        known |= set(case.facts.addresses)
    return known


RULES: tuple[Rule, ...] = (
    Rule("nat-mapping-missing", ("jvb", "browser"), mapping_missing),
    Rule("nat-mapping-wrong", ("jvb", "browser"), mapping_wrong),
    Rule("turn-permission-refused", ("coturn",), permission),
    Rule("turn-unreachable", ("nginx",), relay_down),
    Rule("turn-auth-failed", ("coturn", "browser"), credentials),
    Rule("turn-unreachable", ("browser",), certificate),
    Rule("udp-blocked", ("jvb",), outbound),
)
