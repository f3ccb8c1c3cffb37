"""Whether packets find the bridge: what it offers, what is true, who lives behind which gateway, what is filtered."""

from collections.abc import Collection
from dataclasses import dataclass

from jitsilab.analysis.limits import SILENT_BRIDGE
from jitsilab.case.cast import Cast, Person
from jitsilab.case.signaling import Session
from jitsilab.case.signs.sign import DEDUCED, INFERRED, MEASURED, Sign, frames_of
from jitsilab.ip import is_loopback, is_private, parse
from jitsilab.tables import Tables, frame


@dataclass(frozen=True, slots=True)
class Public:
    """A public address of the server, and what says that it is one."""

    address: str
    by: str  # seen, mapped, relayed, dns
    frames: tuple[int, ...] = ()


def public_addresses(call: Cast, tables: Tables) -> list[Public]:
    """The server's public addresses, as far as packets tell them: the surest first.

    ``mapped``: a client says that the bridge's check came from there. ``seen``: clients reach the server at it.
    ``relayed``: TURN gives it out, which sits on the bridge's host only where the server's page does too. ``dns``: the
    page's name leads there.
    """
    publics: list[Public] = []
    if call.public:
        stun = frame(tables, "stun")
        mapped = stun["mapped_address"].eq(call.public) & stun["method"].eq("Binding") if len(stun) else []
        publics.append(Public(call.public, "mapped", frames_of(stun.loc[mapped, "frame"].head(2)) if len(stun) else ()))
    publics += [Public(address, "seen") for address in call.servers if not is_private(address)]
    if call.relayed and not is_private(call.relayed):
        stun = frame(tables, "stun")
        rows = stun.loc[stun["relayed_address"].eq(call.relayed), "frame"]
        publics.append(Public(call.relayed, "relayed", frames_of(rows.head(2))))
    dns, tls = frame(tables, "dns"), frame(tables, "tls")
    if len(dns) and len(tls):
        names = {str(name).lower() for name in tls["sni"].dropna()}
        for row in dns[dns["addresses"].notna()].itertuples():
            if str(row.name).lower().rstrip(".") in names:
                publics += [Public(address, "dns", (int(row.frame),)) for address in str(row.addresses).split()
                            if parse(address) is not None and not is_private(address)]  # fmt: skip
    kept: dict[str, Public] = {}
    for public in publics:
        kept.setdefault(public.address, public)
    return list(kept.values())


def offered(person: Person) -> tuple[Session, list[str]] | None:
    """The last offer of the bridge with its addresses."""
    sessions = [session for session in person.sessions if session.kind == "jvb" and session.candidates]
    if not sessions:
        return None
    last = max(sessions, key=lambda session: session.offered_at if session.offered_at == session.offered_at else -1.0)
    return last, list(dict.fromkeys(address for address, _ in last.candidates))


def outside(person: Person, call: Cast) -> bool:
    """Whether the participant is outside of the server's network, where its private addresses mean nothing."""
    tcp = person.addresses
    return bool(call.own) or not tcp or any(not is_private(address) for address in tcp)


def mapping_missing(person: Person, call: Cast) -> Sign | None:
    """Every address that the bridge offers is private, and the participant is outside."""
    offer = offered(person)
    if offer is None or not outside(person, call):
        return None
    session, addresses = offer
    known = [address for address in addresses if parse(address) is not None]  # a name in .local is no address
    if not known or len(known) < len(addresses) or not all(is_private(address) for address in known):
        return None
    return Sign("mapping-missing", frames_of(session.offered), MEASURED, session.offered_at, value=" ".join(known),
                note=f"every address that the bridge offers is private: {', '.join(known[:4])}")  # fmt: skip


def mapping_wrong(person: Person, call: Cast, tables: Tables) -> Sign | None:
    """The bridge offers a public address that is none of the server's, as far as these are known."""
    offer, known = offered(person), public_addresses(call, tables)
    if offer is None or not known:
        return None
    session, addresses = offer
    public = [address for address in addresses if parse(address) is not None and not is_private(address)]
    for address in public:
        same = [other for other in known if (":" in other.address) == (":" in address)]
        if not same or any(other.address == address for other in same):
            return None
    if not public:
        return None
    best = next(other for other in known if (":" in other.address) == (":" in public[0]))
    certainty = MEASURED if best.by == "mapped" else INFERRED
    words = {"mapped": "its checks come from", "seen": "the server is at", "relayed": "TURN there relays from",
             "dns": "the page's name leads to"}  # fmt: skip
    note = f"the bridge offers {public[0]}, and {words[best.by]} {best.address}"
    return Sign("mapping-wrong", frames_of(session.offered, best.frames), certainty, session.offered_at,
                value=public[0], note=note)  # fmt: skip


def hairpin(person: Person, call: Cast) -> Sign | None:
    """The participant reaches the server without translation, and is offered the outside address alone.

    Its TCP comes from a private address while others' comes from public ones, so that no proxy or gateway in front of
    the server puts its own address into everybody's packets.
    """
    offer = offered(person)
    if offer is None or call.own or person.placed not in ("flow", "proxy"):
        return None
    session, addresses = offer
    inside = [address for address in person.addresses if is_private(address) and not is_loopback(address)]
    if len(inside) != len(person.addresses) or not inside or not any(map(is_private, call.servers)):
        return None
    if any(is_private(address) for address in addresses if parse(address) is not None):
        return None
    others = [other for other in call.people if other is not person]
    if any(set(other.addresses) & set(inside) for other in others):
        return None
    if not any(not is_private(address) for other in others for address in other.addresses):
        return None
    if any(leg.sent for leg in person.legs if leg.direct):
        return None
    note = (f"it reaches the server from {inside[0]}, inside of the server's gateway, and is offered "
            f"{', '.join(addresses[:2])} alone")  # fmt: skip
    return Sign("hairpin", frames_of(session.offered), INFERRED, session.offered_at, value=inside[0], note=note)


def outbound_blocked(person: Person, call: Cast) -> Sign | None:
    """The participant's checks arrive and are answered here, and nothing that the bridge sends is ever answered."""
    if call.own or call.lossy:
        return None
    legs = [leg for leg in person.legs if leg.direct and leg.kind == "jvb"]
    if not legs or any(leg.connected or leg.replied or leg.hello for leg in legs):
        return None
    shut = [leg for leg in legs if leg.sent and leg.answered and leg.got]
    if not shut:
        return None
    began = min(leg.first for leg in shut)
    if max(leg.last for leg in shut) - began < SILENT_BRIDGE.value:
        return None
    checks, own = sum(len(leg.sent) for leg in shut), sum(len(leg.got) for leg in shut)
    note = f"{checks} checks of the participant come in and are answered, {own} go out, and none of those is"
    frames = frames_of(*(part for leg in shut for part in (leg.sent[:1], leg.answered[:1], leg.got[:1])))
    flat = frames
    all_of_them = [other for other in call.people if any(leg.direct and leg.kind == "jvb" for leg in other.legs)]
    others_hear = any(leg.connected for other in all_of_them if other is not person for leg in other.legs)
    if others_hear:
        return Sign("outbound-blocked", flat, INFERRED, began, value="participant",
                    note=note + "; others hear the bridge, so it is on this one's side")  # fmt: skip
    certainty = DEDUCED if len(all_of_them) > 1 else INFERRED
    return Sign("outbound-blocked", flat, certainty, began, value="server", note=note)


def source_rewritten(call: Cast, tables: Tables) -> dict[int, Sign]:
    """Whose UDP comes in with a gateway's address: from a private one, which none of their TCP comes from.

    By number of the participant in the cast. One private address for several participants, whose TCP comes from
    different public ones, is measured; for a single one another home of its own remains.
    """
    places: dict[str, list[int]] = {}  # of each gateway: those in the cast behind it
    shown: dict[str, list[int]] = {}
    flows = frame(tables, "flows")
    tcp = {str(client) for client in flows.loc[flows["transport"].eq("tcp"), "client"]} if len(flows) else set()
    public = {n for n, other in enumerate(call.people) if any(not is_private(a) and a in tcp for a in other.addresses)}
    for number, person in enumerate(call.people):
        for leg in person.legs:
            private = is_private(leg.address) and not is_loopback(leg.address)
            if leg.direct and leg.sent and private and leg.address not in {*call.servers, *tcp} and number in public:
                places.setdefault(leg.address, []).append(number)
                shown.setdefault(leg.address, []).append(leg.sent[0])
    signs: dict[int, Sign] = {}
    for address, numbers in places.items():
        several = len(set(numbers)) > 1
        for number in set(numbers):
            note = f"its UDP comes from {address}, as {'that of others does' if several else 'its TCP does not'}"
            signs[number] = Sign("source-rewritten", frames_of(shown[address]), MEASURED if several else INFERRED,
                                 value=address, note=note)  # fmt: skip
    return signs


def nobody_over_udp(call: Cast, carried: Collection[int]) -> Sign | None:
    """No UDP of anybody reaches the bridge, and TURN carries the media of all; ``carried`` by number in the cast."""
    reached = any(leg.direct and leg.sent for person in call.people for leg in person.legs if leg.kind == "jvb")
    if call.own or reached or len(carried) < len(call.people) or not call.people:
        return None
    offers = [
        session for person in call.people for session in person.sessions if session.kind == "jvb" and session.offered
    ]
    frames = frames_of([session.offered for session in offers])
    note = f"none of the {len(call.people)} participants' UDP reaches the bridge, TURN carries all media"
    return Sign("bridge-udp-unreachable", frames, DEDUCED if len(call.people) > 1 else INFERRED, note=note)
