"""What packets show that a cause is made of, for each participant and for the server: signs, not judgements.

`gather` looks for every one of them in the tables of a capture, with keys, with the server's loopback in clear, or with
neither. A sign that is None was not seen, which says nothing where the capture cannot show it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, fields

from jitsilab.analysis.limits import GUARD
from jitsilab.case.cast import Cast, Person
from jitsilab.case.signs import bridge, entry, reach, sending
from jitsilab.case.signs.reach import Public
from jitsilab.case.signs.sign import Sign
from jitsilab.tables import Tables


@dataclass(frozen=True, slots=True)
class PersonSigns:
    """What the packets show of one participant, in the order of a session."""

    tls_refused: Sign | None = None  # reason: expired, untrusted, name-mismatch, or empty
    signaling_refused: Sign | None = None  # reason: http-STATUS, no-upgrade, or empty
    login_refused: Sign | None = (
        None  # guest-refused, password-wrong, token-expired, -invalid, -not-yet-valid, or empty
    )
    focus_missing: Sign | None = None
    bridge_missing: Sign | None = None  # reason: not-answering, or empty
    bridge_lost: Sign | None = None
    mapping_missing: Sign | None = None  # value: the addresses
    mapping_wrong: Sign | None = None  # value: the address that is not the server's
    hairpin: Sign | None = None  # value: the participant's address
    turn_tls_refused: Sign | None = None  # reason as of tls_refused, of the certificate that TURN shows
    outbound_blocked: Sign | None = None  # value: server, or participant where others hear the bridge
    source_rewritten: Sign | None = None  # value: the gateway's address
    channel_refused: Sign | None = None  # status
    sends_nothing: Sign | None = None
    lossy: Sign | None = None  # value: the share

    def seen(self) -> list[Sign]:
        """Those that there are, in the order of a session."""
        return [sign for slot in fields(self) if (sign := getattr(self, slot.name)) is not None]


@dataclass(frozen=True, slots=True)
class ServerSigns:
    """What the packets show of the server."""

    public: tuple[Public, ...] = ()  # its public addresses, with what says so
    bridge_udp_unreachable: Sign | None = None
    source_rewritten: Sign | None = None  # where it is everybody's
    bridges_relay_broken: Sign | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """All signs of a call."""

    people: tuple[PersonSigns, ...]  # in the order of the cast
    server: ServerSigns
    _order: dict[int, int] = field(default_factory=dict, repr=False)

    def of_person(self, person: Person) -> PersonSigns:
        """The signs of one participant of the cast."""
        return self.people[self._order[id(person)]]


NOTHING = PersonSigns()


def gather(call: Cast, tables: Tables, *, relayed: Collection[int] = (), wait: float = GUARD.value) -> Signs:
    """Every sign in the tables of a capture.

    ``relayed``: numbers of those in the cast whose media TURN carried. ``wait``: s after which a request without an
    answer counts as unanswered.
    """
    rewritten = reach.source_rewritten(call, tables)
    people = tuple(
        PersonSigns(
            tls_refused=entry.tls_refused(person, tables),
            signaling_refused=entry.signaling_refused(person, call, tables),
            login_refused=entry.login_refused(person, tables),
            focus_missing=entry.focus_missing(person, call, wait),
            bridge_missing=bridge.bridge_missing(person),
            bridge_lost=bridge.bridge_lost(person, call, tables),
            mapping_missing=reach.mapping_missing(person, call),
            mapping_wrong=reach.mapping_wrong(person, call, tables),
            hairpin=reach.hairpin(person, call),
            turn_tls_refused=entry.turn_tls_refused(person, tables),
            outbound_blocked=reach.outbound_blocked(person, call),
            source_rewritten=rewritten.get(number),
            channel_refused=bridge.channel_refused(person, tables),
            sends_nothing=sending.sends_nothing(person, call, tables),
            lossy=sending.lossy(person, tables),
        )
        for number, person in enumerate(call.people)
    )
    everybody = next(iter(rewritten.values()), None) if len(rewritten) > 1 else None
    server = ServerSigns(
        public=tuple(reach.public_addresses(call, tables)),
        bridge_udp_unreachable=reach.nobody_over_udp(call, relayed),
        source_rewritten=everybody,
        bridges_relay_broken=bridge.bridges_relay_broken(tables),
    )
    return Signs(people, server, {id(person): number for number, person in enumerate(call.people)})


__all__ = ["NOTHING", "PersonSigns", "Public", "ServerSigns", "Sign", "Signs", "gather"]
