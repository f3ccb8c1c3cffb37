"""How long each participant's session took: from the first that is seen of it to join, ICE, DTLS and media.

Times are only told where the beginning is there: a participant who was in the call before the capture began has none.
All four count from one clock: the capture's, or that of the one log or console that tells most.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from jitsilab.case.cast import Person
from jitsilab.judge.causes.trail import Trail
from jitsilab.judge.diagnosis.answer import Diagnosed
from jitsilab.tables import part

if TYPE_CHECKING:
    from jitsilab.call import Call
    from jitsilab.inputs.packets import PacketTables

#: that tell of join, ICE, DTLS and media
_EVENTS = (
    ("participant-joined",),
    ("ice-connected", "pair-nominated"),
    ("dtls-done",),
    ("media-sent", "media-received"),
)


class Times(NamedTuple):
    """Seconds since the first that is seen of a participant; None where the evidence does not show the moment."""

    begun: int | None = None  # ns since the epoch
    join: float | None = None  # in the room
    ice: float | None = None  # a check was answered on a way on which both ends heard each other
    dtls: float | None = None  # encrypted records of both sides
    media: float | None = None  # the first packet of media that lasted
    clock: str = ""  # the piece of evidence by whose clock

    @property
    def known(self) -> int:
        """How many of the four moments are."""
        return sum(moment is not None for moment in (self.join, self.ice, self.dtls, self.media))


def of_call(call: "Call") -> dict[str, Times]:
    """The times of each participant of a diagnosis, by id."""
    people = call.diagnosis.people
    by_id: dict[str, Times] = {}
    for source in call.packets:
        for person in call.casts[source.input].people:
            diagnosed = next((each for each in people if each.names & _names(person)), None)
            times = _of_packets(person, source, diagnosed) if diagnosed is not None else None
            if diagnosed is not None and times is not None and _known(times) > _known(by_id.get(diagnosed.id)):
                by_id[diagnosed.id] = times
    if call.evidence.lines and len(by_id) < len(people):
        trail = Trail.of_table(call.table("events"))
        trail = trail.owned(call.owners).moved({pair: clock.applied for pair, clock in call.clocks.items()})
        for diagnosed in people:
            if diagnosed.id not in by_id and (times := _of_lines(diagnosed, trail)) is not None:
                by_id[diagnosed.id] = times
    return by_id


def _known(times: Times | None) -> int:
    return -1 if times is None else times.known


def _names(person: Person) -> set[str]:
    endpoints = {stream.endpoint for stream in person.xmpp_streams}
    return {person.id, person.nick, *person.addresses, *endpoints} - {""}


def _of_packets(person: Person, source: "PacketTables", diagnosed: Diagnosed) -> Times | None:
    """From the first connection, where the capture has the beginning of every one, or of the signaling."""
    opened = [stream.start for stream in person.xmpp_streams if stream.whole]
    begun = person.begun if person.begun != float("inf") else min(opened, default=float("inf"))
    frames = part(source, "bounds")
    if begun == float("inf") or frames is None or frames.empty:
        return None
    joined = [stream.joined_at for stream in person.xmpp_streams if stream.joined]
    heard = [leg.answered_at for leg in person.legs if leg.connected and leg.answered]
    secured = [leg.secured_at for leg in person.legs if leg.secured]
    lasting = [leg.rtp_out.first for leg in person.legs if leg.rtp_out.lasting]
    if diagnosed.input == source.input and diagnosed.media_paths:
        lasting = [path.start for path in diagnosed.media_paths]  # what a relay carried inside TLS too
    join, ice, dtls, media = (_since(moments, begun) for moments in (joined, heard, secured, lasting))
    zero = frames["time"].iloc[0]
    moment = None if zero is None or zero != zero else int(zero.value + round(begun * 1e9))
    return Times(moment, join, ice, dtls, media, source.input)


def _since(moments: list[float], begun: float) -> float | None:
    later = [moment for moment in moments if begun <= moment < float("inf")]
    return round(min(later) - begun, 6) if later else None


def _of_lines(diagnosed: Diagnosed, trail: Trail) -> Times | None:
    """By one log or console: the one that tells most of the four moments."""
    best: Times | None = None
    by_input: dict[str, list[Any]] = {}
    for event in trail:
        if event.participant in diagnosed.names and event.time is not None:
            by_input.setdefault(event.input, []).append(event)
    for name, events in by_input.items():
        begun = min(event.time for event in events)
        join, ice, dtls, media = (
            _since([(event.time - begun) / 1e9 for event in events if event.event in names], 0.0) for names in _EVENTS
        )
        times = Times(begun, join, ice, dtls, media, name)
        if _known(times) > max(_known(best), 0):
            best = times
    return best
