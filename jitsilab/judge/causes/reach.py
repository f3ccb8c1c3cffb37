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
    found: dict[tuple[str, str], Attempt] = {}
    for one in trail.of(*_FIELDS):
        if one.program not in ("jvb", "browser") or one.detail.startswith("p2p"):
            continue
        who = one.participant
        if not who and one.event == "check-unanswered" and one.program == "jvb":
            who = _owner(trail, one)
        key = (one.input if one.program == "jvb" else "", who)
        attempt = found.setdefault(key, Attempt(who, one.input, one.program))
        getattr(attempt, _FIELDS[one.event]).append(one)
    return list(found.values())


def _owner(trail: Trail, one: Event) -> str:
    """Whose address an unanswered pair of the bridge's goes to, where one participant has it."""
    other = one.value.rpartition("-> ")[2].rpartition(":")[0].strip("[]")
    owners = {e.participant for e in trail.of("candidate-gathered", input=one.input) if e.value == other}
    return owners.pop() if len(owners) == 1 else ""


def _addresses(events: list[Event]) -> list[str]:
    return list(dict.fromkeys(one.value for one in events if ip.parse(one.value) is not None))


def _all_inside(addresses: list[str]) -> bool:
    return bool(addresses) and all(ip.is_private(one) for one in addresses)


def mapping_missing(case: Case) -> Iterator[Statement]:
    """Every address that the bridge offered is private, and somebody from outside never connected."""
    mapped = [one for one in case.trail.of("mapping") if not _all_inside(one.value.split("->")[-1:])]
    for one in attempts(case.trail):
        said = [event for event in one.offered if not event.detail.endswith("base")]
        if not said and mapped:
            continue  # of a pair the bridge's log names the base, in place of the address that it is mapped to
        offered = _addresses(said or one.offered)
        if not one.failed or one.arrived or not _all_inside(offered):
            continue
        if one.own and any(_near(own, other) for own in _addresses(one.own) for other in offered):
            continue  # in the same network the private address would do
        who = (one.participant,) if one.participant else None
        detail = f"it offers {', '.join(offered)}"
        certainty = "deduced" if one.own else "inferred"
        yield stated("nat-mapping-missing", [*one.offered[:4], *one.end], participants=who, certainty=certainty,
                     detail=detail)  # fmt: skip


def _near(own: str, other: str) -> bool:
    """Whether two private addresses may be in one network: alike in the first 24 bits (IPv6: 64)."""
    mine, theirs = ip.parse(own), ip.parse(other)
    if mine is None or theirs is None or mine.version != theirs.version or not ip.is_private(own):
        return False
    return theirs in ip_network(f"{mine}/{24 if mine.version == 4 else 64}", strict=False)


def mapping_wrong(case: Case) -> Iterator[Statement]:
    """A pair was validated over an address of the bridge that it never offered: what it offers is another's."""
    offered = set(_addresses(case.trail.of("candidate-offered")))
    public = {one for one in offered if not ip.is_private(one)}
    other = [
        one for one in case.trail.of("mapped-address")
        if ip.parse(one.value) is not None and not ip.is_private(one.value) and one.value not in offered
    ]  # fmt: skip
    stuck = [one for one in attempts(case.trail) if one.failed and not one.arrived]
    if public and other and stuck:
        who = tuple(dict.fromkeys(one.participant for one in stuck if one.participant)) or None
        detail = f"it offers {', '.join(sorted(public))}, and is reached as {other[0].value}"
        yield stated("nat-mapping-wrong", [*other, *(event for one in stuck for event in one.end)], participants=who,
                     certainty="deduced", detail=detail)  # fmt: skip


def outbound(case: Case) -> Iterator[Statement]:
    """Checks of everybody arrive at the bridge, and none that it sends is ever answered."""
    mine = [one for one in attempts(case.trail) if one.program == "jvb" and (one.arrived or one.stuck or one.connected)]
    heard = [one for one in mine if one.arrived and not one.connected]
    if len(heard) < 2 or any(one.connected for one in mine):
        return  # of one participant alone the block may be on his side
    if not any(one.stuck for one in heard):
        return
    evidence = [event for one in heard for event in (*one.arrived[:1], *one.stuck[-1:])]
    who = tuple(one.participant for one in heard if one.participant) or None
    yield stated("udp-blocked", evidence, "outbound", participants=who, certainty="inferred",
                 detail="checks arrive from everybody, and no answer to the bridge's own comes back")  # fmt: skip


def certificate(case: Case) -> Iterator[Statement]:
    """A browser without media refuses TURN's certificate, or finds no TURN server."""
    for input in dict.fromkeys(one.input for one in case.trail.of("turn-unreachable", "tls-refused")):
        trail = Trail([one for one in case.trail if one.input == input])
        refused = [one for one in trail.of("tls-refused") if one.detail == "turn"]
        refused += [one for one in trail.of("turn-unreachable") if one.detail == "certificate"]
        missing = [one for one in trail.of("turn-unreachable") if one.detail == "name-not-found"]
        tried, connected = trail.of("ice-checking", "ice-failed", "offer-sent"), trail.of("ice-connected")
        if connected or not tried or not (refused or missing):
            continue
        reason = "tls-certificate" if refused else "name-not-found"
        some = refused or missing
        who = tuple(dict.fromkeys(one.participant for one in (*some, *tried) if one.participant)) or None
        yield stated("turn-unreachable", [*some, *tried[-1:]], reason, participants=who, certainty="deduced")


def permission(case: Case) -> Iterator[Statement]:
    """The relay refuses just the address that the bridge offers, and somebody's ICE fails."""
    denied = case.trail.of("peer-denied")
    offered = set(_addresses(case.trail.of("candidate-offered"))) | bridge_addresses(case)
    ours = [one for one in denied if one.value in offered]
    stuck = [one for one in attempts(case.trail) if one.failed]
    if ours and (stuck or _without_media(case)):
        who = tuple(dict.fromkeys(one.participant for one in stuck if one.participant)) or None
        ranges = {one.detail: 0 for one in ours if one.detail}
        detail = f"it denies {', '.join(dict.fromkeys(one.value for one in ours))}"
        detail += f" by {', '.join(ranges)}" if ranges else ""
        some = [*ours, *(event for one in stuck for event in one.end)]
        yield stated("turn-permission-refused", some, participants=who, certainty="deduced", detail=detail)


def credentials(case: Case) -> Iterator[Statement]:
    """TURN does not know the credentials, and somebody has no way in; or its log is all that there is."""
    refused = case.trail.of("turn-credentials-refused", "allocation-refused")
    stuck = [one for one in attempts(case.trail) if one.failed]
    alone = len(refused) >= 2 and all(one.program == "coturn" for one in case.trail) and not case.casts
    if refused and (stuck or alone):
        who = tuple(dict.fromkeys(one.participant for one in stuck if one.participant)) or None
        yield stated("turn-auth-failed", [*refused, *(event for one in stuck for event in one.end)], participants=who,
                     certainty="inferred")  # fmt: skip


#: TURN's ports at IANA, plain and over TLS, beside those that the configuration names
TURN_PORTS = (3478, 5349)


def relay_down(case: Case) -> Iterator[Statement]:
    """A proxy finds nobody at TURN's port, while somebody has no way to the bridge."""
    ports = set(TURN_PORTS)
    if case.facts is not None:
        ports |= {one.port for one in case.facts.deployment.turn_sockets() if isinstance(one.port, int)}
    refused = [
        one for one in case.trail.of("upstream-failed")
        if one.detail.startswith("refused") and any(one.value.endswith(f":{port}") for port in ports)
    ]  # fmt: skip
    stuck = [one for one in attempts(case.trail) if one.failed]
    if refused and (stuck or _without_media(case)):
        yield stated("turn-unreachable", refused, "not-running", certainty="inferred",
                     detail=f"nobody answers at {refused[-1].value}")  # fmt: skip


def _without_media(case: Case) -> bool:
    """Whether packets show somebody whose UDP never connects."""
    return any(not any(leg.connected for leg in person.legs) for cast in case.casts.values() for person in cast.people)


def bridge_addresses(case: Case) -> set[str]:
    """The bridge's own addresses, as packets or the configuration name them."""
    known = {address for cast in case.casts.values() for address in cast.servers}
    bound = [one.value.rpartition(":")[0].strip("[]") for one in case.trail.of("port-bound", program="jvb")]
    known |= {address for address in bound if ip.parse(address) is not None and not ip.is_loopback(address)}
    known |= {side for one in case.trail.of("mapping") for side in one.value.split("->")}
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
