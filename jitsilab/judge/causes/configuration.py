"""What the configuration says of a cause that other evidence shows; by itself it states none."""

from collections.abc import Iterator

from jitsilab import ip
from jitsilab.judge.causes.reach import attempts
from jitsilab.judge.causes.statement import Case, Rule, Statement, places
from jitsilab.judge.causes.trail import Event
from jitsilab.numerals import whole
from jitsilab.place import of_text


def _stuck(case: Case) -> list[Event]:
    """Ends of ICE without a way, of everybody for whom no check arrived."""
    return [
        attempt.stuck[-1]
        for attempt in attempts(case.trail)
        if attempt.failed and not attempt.arrived and attempt.stuck
    ]


def _somebody_arrived(case: Case) -> bool:
    """Whether UDP of anybody reached the bridge."""
    by_lines = any(attempt.arrived or attempt.connected for attempt in attempts(case.trail) if attempt.program == "jvb")
    people = [person for cast in case.casts.values() for person in cast.people]
    return by_lines or any(leg.direct and leg.sent for person in people for leg in person.legs)


def _somebody_without(case: Case) -> bool:
    people = [person for cast in case.casts.values() for person in cast.people]
    return bool(_stuck(case)) or bool(people)


def inbound(case: Case) -> Iterator[Statement]:
    """The filter lets no UDP to the bridge's port in, and nobody's arrives."""
    if case.facts is None or not _somebody_without(case) or _somebody_arrived(case):
        return
    deployment = case.facts.deployment
    ports = [value.value for value in deployment.bridge_ports() if isinstance(value.value, int)]
    # a filter's rules given alone name no bridge: its port is the one that the logs say, else the program's default
    for port in ports or _bound(case) or [10000]:
        let = deployment.udp_let_in(port)
        if let.answer is False:
            stuck = _stuck(case)
            who = tuple(dict.fromkeys(event.participant for event in stuck if event.participant)) or None
            where = (*map(of_text, let.places), *places(stuck))
            yield Statement("udp-blocked", "inbound", who, "deduced", where,
                            f"the filter's rules let no UDP to port {port} in")  # fmt: skip
            return


def _bound(case: Case) -> list[int]:
    """UDP ports that the bridge's log says it listens on."""
    ports = [event.value.rpartition(":")[2] for event in case.trail.select("port-bound") if event.detail != "http"]
    return [number for port in dict.fromkeys(ports) if (number := whole(port)) is not None]


def wrong_address(case: Case) -> Iterator[Statement]:
    """The bridge is told to show a public address that the domain does not have, and nobody's UDP arrives."""
    if case.facts is None or not _somebody_without(case) or _somebody_arrived(case):
        return
    deployment = case.facts.deployment
    named = {str(value.value) for value in deployment.domain_addresses() if not ip.is_private(str(value.value))}
    own = set(case.facts.addresses)
    for mapping in deployment.mappings():
        shown = str(mapping.public.value) if mapping.public.known else ""
        if not shown or ip.is_private(shown) or not named or shown in named | own:
            continue
        if not any((":" in other) == (":" in shown) for other in named):
            continue
        stuck = _stuck(case)
        who = tuple(dict.fromkeys(event.participant for event in stuck if event.participant)) or None
        where = ((of_text(mapping.public.place),) if mapping.public.place else ()) + places(stuck)
        yield Statement("nat-mapping-wrong", None, who, "deduced", where,
                        f"it shows {shown}, the domain stands for {', '.join(sorted(named))}",
                        file=mapping.public.file)  # fmt: skip
        return


def brewery(case: Case) -> Iterator[Statement]:
    """The bridge is told to join another room than the focus is told to watch, and the focus has no bridge."""
    if case.facts is None or not _no_bridge(case):
        return
    deployment = case.facts.deployment
    watched = deployment.brewery()
    rooms = [room for login in deployment.bridge_logins() for room in login.rooms if room.known]
    if not watched.known or not rooms:
        return
    if any(str(room.value).lower() == str(watched.value).lower() for room in rooms):
        return
    where = tuple(of_text(value.place) for value in (*rooms, watched) if value.place)
    detail = f"the bridge joins {rooms[0].value}, the focus watches {watched.value}"
    yield Statement("no-bridge", "not-in-brewery", None, "deduced", where, detail, file=rooms[0].file)


def _no_bridge(case: Case) -> bool:
    """Whether anything shows that the focus has no bridge."""
    last = case.trail.last("bridge-unavailable", "bridge-chosen", "bridge-joined")
    if last is not None:
        return last.event == "bridge-unavailable"
    xmpp_streams = [stream for cast in case.casts.values() for person in cast.people for stream in person.xmpp_streams]
    return any(stream.bridge_missing for stream in xmpp_streams)


RULES: tuple[Rule, ...] = (
    Rule("no-bridge", ("facts",), brewery),
    Rule("nat-mapping-wrong", ("facts",), wrong_address),
    Rule("udp-blocked", ("facts",), inbound),
)
