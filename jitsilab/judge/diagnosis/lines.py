"""Participants as logs, consoles and dumps know them, and by which names they are those that packets show."""

from dataclasses import replace

from jitsilab import ip
from jitsilab.judge.causes.reach import Attempt, attempts
from jitsilab.judge.causes.statement import places
from jitsilab.judge.causes.trail import Event, Trail
from jitsilab.judge.diagnosis.answer import Diagnosed

#: events that only a participant of a room has
_OF_PEOPLE = (
    "participant-joined", "offer-sent", "answer-received", "candidate-gathered", "ice-checking", "ice-connected",
    "ice-failed", "ice-ended", "dtls-done", "channel-opened", "channel-refused", "media-sent", "media-received",
    "sources-announced", "media-denied", "check-received",
)  # fmt: skip
_LEFT_OPEN = ("udp-blocked", "nat-mapping-wrong", "turn-unreachable", "checks-unanswered")
_OWN_WORD = frozenset(("focus", "jvb", ""))


def participants(trail: Trail) -> list[Diagnosed]:
    """Who is named by endpoint id in lines, where no capture shows anybody."""
    named = [who for who in trail.participants(*_OF_PEOPLE) if who not in _OWN_WORD and "@" not in who]
    people = []
    ways: dict[str, list[Attempt]] = {}
    for attempt in attempts(trail):
        ways.setdefault(attempt.participant, []).append(attempt)
    for who in dict.fromkeys(named):
        events = trail.select(*_OF_PEOPLE, participant=who)
        times = [event.time for event in events if event.time is not None]
        path, certainty = _path(trail, who, ways.get(who, []))
        telling = ("ice-failed", "ice-ended", "media-sent", "pair-nominated")
        shown = places([each for each in events if each.event in telling])
        none = path == "none"
        row = Diagnosed(
            who, endpoints=[who], media_path=path, stage=_stage(trail, who), certainty=certainty,
            cause="undetermined" if none else None, open_causes=list(_LEFT_OPEN) if none else [],
            evidence=list(shown), first_time=min(times, default=None), last_time=max(times, default=None),
        )  # fmt: skip
        people.append(row)
    return people


def _path(trail: Trail, who: str, ways: list[Attempt]) -> tuple[str, str]:
    """The media path, where lines tell whether media flowed."""
    flowing = trail.select("media-sent", "media-received", participant=who)
    stopped = trail.select("media-stopped", participant=who)
    if flowing and not stopped and not _lost(trail, who):
        nominated = trail.last("pair-nominated", participant=who)
        detail = nominated.detail.lower() if nominated else ""
        if "relay" in detail:
            for protocol, name in (("tls", "turn-tls"), ("tcp", "turn-tcp"), ("udp", "turn-udp")):
                if protocol in detail.split("relay", 1)[1]:
                    return name, "measured"
            return "not-observable", "inferred"
        if nominated is not None:
            return ("p2p" if "p2p" in detail else "jvb-udp"), "measured"
        return "not-observable", "inferred"
    if ways and all(attempt.failed for attempt in ways):
        return "none", "deduced"
    return "not-observable", "inferred"


def _lost(trail: Trail, who: str) -> bool:
    """Whether the last that is told of a participant's ICE with the bridge is that its path was lost."""
    states = trail.select("ice-connected", "ice-disconnected", "ice-failed", participant=who)
    last = max((event for event in states if not event.detail.startswith("p2p")), key=_moment, default=None)
    return last is not None and last.event != "ice-connected"


def _moment(event: Event) -> tuple[int, int]:
    return (event.time or 0, event.order)


_STAGES = (
    ("media", ("media-sent", "media-received")), ("dtls", ("dtls-done", "dtls-failed", "fingerprint-mismatch")),
    ("nominated", ("pair-nominated", "ice-connected")),
    ("checks", ("ice-checking", "ice-failed", "ice-ended", "check-received", "candidate-gathered")),
    ("jingle", ("offer-sent", "answer-received")), ("conference", ("participant-joined", "conference-requested")),
    ("xmpp", ("logged-in", "signaling-opened")),
)  # fmt: skip


def _stage(trail: Trail, who: str) -> str:
    return next((stage for stage, events in _STAGES if trail.select(*events, participant=who)), "tls")


def with_names(person: Diagnosed, trail: Trail) -> Diagnosed:
    """The endpoint ids by which lines mean a participant of packets: by display name, or by public address."""
    if person.endpoints:
        return person
    by_name = {
        e.participant
        for e in trail.select("participant-joined")
        if person.nick and e.value == person.nick and e.participant
    }
    by_address = {
        e.participant for e in trail.select("candidate-gathered")
        if e.participant and e.value in person.addresses and not ip.is_private(e.value)
    }  # fmt: skip
    for ids in (by_name, by_address):
        if len(ids) == 1:
            return replace(person, endpoints=sorted(ids))
    return person
