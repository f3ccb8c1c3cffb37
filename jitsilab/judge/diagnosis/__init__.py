"""Who had media, by which path, and why not: one answer from all the evidence of a case.

The same rules run on whatever there is. What the evidence does not single out is ``undetermined`` or
``not-observable``, never a guess; where something more would tell, it is named with the command that gets it.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jitsilab import ip
from jitsilab.case.clocks import Clock, begin_of
from jitsilab.judge.causes import (
    CAUSES,
    CONDITIONS,
    OPEN,
    Case,
    Statement,
    configuration,
    entry,
    media,
    reach,
    servers,
    time,
)
from jitsilab.judge.causes.catalogue import is_reason
from jitsilab.judge.causes.remedy import Advice
from jitsilab.judge.causes.trail import Trail
from jitsilab.judge.diagnosis import calls, lines, pieces
from jitsilab.judge.diagnosis.answer import SCHEMA, Diagnosed, Diagnosis
from jitsilab.judge.diagnosis.packets import Seen, bridge_address

CAUSE_RULES = (*entry.RULES, *servers.RULES, *configuration.RULES, *reach.RULES, *media.CAUSES)
CONDITION_RULES = (*media.CONDITIONS, *time.RULES)
STUDY = "project3-2020"  # whose report tests the claim that it made
ORDER = {name: number for number, name in enumerate(CAUSES)}
SURE = {"measured": 0, "deduced": 1, "inferred": 2}
#: causes that nobody's packets tell apart: of these a statement from other evidence may replace an inferred one
ALIKE = {"udp-blocked", "nat-mapping-wrong", "nat-mapping-missing", "hairpin-nat", "checks-unanswered"}


def diagnose(call: Any) -> Diagnosis:
    """Diagnose a call: ``call`` is a `jitsilab.call.Call`."""
    seen = [Seen(source, call.casts[source.input]) for source in call.packets]
    trail = Trail.of_table(call.table("events")) if call.evidence.lines else Trail(())
    trail = trail.owned(call.owners).moved({pair: clock.applied for pair, clock in call.clocks.items()})
    facts = call.facts
    case = Case(trail, facts, {capture.input: capture.cast for capture in seen if capture.cast.jitsi}, call.clocks)
    every = calls.calls(trail, _stays(seen, call.clocks))
    stated = _kept([*servers.all_of(case, CAUSE_RULES), *(each for capture in seen for each in capture.stated)])
    if len(every.meetings) > 1:
        stated = _kept(
            [*stated, *calls.healed(case, every, stated, lambda earlier: servers.all_of(earlier, CAUSE_RULES))]
        )
    if not any(capture.people for capture in seen) and (trail or (facts is not None and facts.prosody is not None)):
        for capture in seen:  # what else there is shows that this is a Jitsi server, whose page never came
            capture.people = capture.refused
    people = _joined(seen) or lines.participants(trail)
    people = [lines.with_names(person, trail) for person in people]
    people = [
        replace(person, call=meeting.id) if (meeting := every.of_person(person)) is not None else person
        for person in people
    ]
    people = [_decided(person, stated, alone=len(people) == 1) for person in people]
    people = _explained(people)
    held = servers.all_of(case, CONDITION_RULES)
    conditions = calls.placed(_conditions(people, seen, held), people, trail, every, held)
    people = [_with_conditions(person, conditions) for person in people]
    causes = calls.placed(_causes(people, stated), people, trail, every, stated)
    remedies = _remedies(causes, conditions, seen, facts)
    people = [replace(person, advice=str(remedies.get((person.cause or "", person.reason), ""))) for person in people]
    return Diagnosis(
        people, _server(seen), causes, conditions, _open(people, causes, call, bool(trail)),
        [meeting.to_json() for meeting in every.meetings],
        pieces.inputs(call, trail), _hypotheses(call), remedies,
    )  # fmt: skip


def _kept(stated: Iterable[Statement]) -> list[Statement]:
    """One statement for each cause and reason, the surest first; one without a reason goes where a reason is known."""
    by_cause: dict[tuple[str, str | None], Statement] = {}
    for statement in stated:
        assert statement.name in CAUSES, statement
        assert statement.reason is None or is_reason(statement.name, statement.reason), statement
        before = by_cause.get((statement.name, statement.reason))
        by_cause[statement.name, statement.reason] = statement if before is None else _together(before, statement)
    named = {name for name, reason in by_cause if reason is not None}
    kept = [statement for statement in by_cause.values() if statement.reason is not None or statement.name not in named]
    return sorted(kept, key=lambda statement: (ORDER[statement.name], SURE[statement.certainty]))


def _together(statement: Statement, other: Statement) -> Statement:
    """Two statements of statement cause: the surer, with the places and participants of both."""
    first, second = (statement, other) if SURE[statement.certainty] <= SURE[other.certainty] else (other, statement)
    who = None
    if statement.participants is not None and other.participants is not None:
        who = tuple(dict.fromkeys((*statement.participants, *other.participants)))
    return replace(first, evidence=tuple(dict.fromkeys((*first.evidence, *second.evidence))), participants=who)


def _joined(seen: list[Seen]) -> list[Diagnosed]:
    """The participants of all captures, each once: what one capture leaves open another may show."""
    people: list[Diagnosed] = []
    for capture in seen:
        before = list(people)  # within one capture who is who has been decided
        for person in capture.people:
            same = next((other for other in before if _same(person, other)), None)
            if same is None:
                people.append(person)
            else:
                before.remove(same)
                people[people.index(same)] = _better(same, person)
    return people


def _same(person: Diagnosed, other: Diagnosed) -> bool:
    if person.endpoints and other.endpoints:
        return bool({*person.endpoints} & {*other.endpoints}) or bool(person.nick and person.nick == other.nick)
    if person.nick and other.nick:
        return person.nick == other.nick
    return bool({*person.addresses} & {*other.addresses}) or person.id == other.id


def _better(person: Diagnosed, other: Diagnosed) -> Diagnosed:
    """Of two views of a participant the person that decides, with the names and conditions of both."""
    first, second = (person, other) if _rank(person) <= _rank(other) else (other, person)
    held = {each.name: each for each in (*second.conditions, *first.conditions)}
    return replace(
        first, nick=first.nick or second.nick, id=first.nick or second.nick or first.id,
        addresses=list(dict.fromkeys((*first.addresses, *second.addresses))),
        endpoints=list(dict.fromkeys((*first.endpoints, *second.endpoints))),
        jids=list(dict.fromkeys((*first.jids, *second.jids))), ssrcs=first.ssrcs or second.ssrcs,
        conditions=list(held.values()),
    )  # fmt: skip


def _rank(person: Diagnosed) -> tuple[int, int]:
    """How much a view decides: media or a cause before what is open, by certainty."""
    decided = person.media_path not in ("none", "not-observable") or person.cause not in (None, *OPEN)
    return (0 if decided else 1, SURE[person.certainty])


def _decided(person: Diagnosed, stated: list[Statement], alone: bool) -> Diagnosed:
    """A participant without media, in the light of what logs, dumps and configuration say."""
    if person.media_path not in ("none", "not-observable"):
        return person
    for statement in stated:
        who = statement.participants
        if who is not None and not {*who} & person.names:
            continue
        if person.cause in (None, *OPEN):
            fits = statement.name in person.open_causes or not person.open_causes or who is not None
            fits = fits or statement.certainty != "inferred"
            if not fits or (
                person.cause is None and person.media_path == "not-observable" and who is None and not alone
            ):
                continue
            return _told(person, statement)
        if statement.name == person.cause:
            better = person.reason is None and statement.reason is not None
            return replace(
                person, reason=statement.reason if better else person.reason,
                evidence=list(dict.fromkeys((*person.evidence, *statement.evidence))),
                note="; ".join(part for part in (person.note, statement.detail) if part),
            )  # fmt: skip
        both = {statement.name, person.cause or ""} <= ALIKE
        if both and person.certainty == "inferred" and SURE[statement.certainty] < SURE["inferred"]:
            return _told(person, statement)
    return person


def _told(person: Diagnosed, statement: Statement) -> Diagnosed:
    path = "none" if person.media_path == "none" or statement.participants is not None else person.media_path
    return replace(
        person, cause=statement.name, reason=statement.reason, open_causes=[], certainty=statement.certainty,
        evidence=list(dict.fromkeys((*statement.evidence, *person.evidence))), note=statement.detail, media_path=path,
    )  # fmt: skip


def _explained(people: list[Diagnosed]) -> list[Diagnosed]:
    """Packets and lines of one cause share its reason: what one participant's evidence tells holds for the others."""
    reasons: dict[str, set[str]] = {}
    for person in people:
        if person.cause and person.reason:
            reasons.setdefault(person.cause, set()).add(person.reason)
    server_side = {"no-bridge", "no-focus"}
    return [
        replace(person, reason=next(iter(reasons[person.cause])))
        if person.cause in server_side and person.reason is None and len(reasons.get(person.cause, ())) == 1 else person
        for person in people
    ]  # fmt: skip


def _causes(people: list[Diagnosed], stated: list[Statement]) -> list[Statement]:
    """The causes of the case: of its participants, and those that lines state where nobody contradicts them."""
    causes: dict[tuple[str, str | None], Statement] = {}
    for person in people:
        if person.cause is None or person.cause in OPEN or person.media_path not in ("none", "not-observable"):
            continue
        before = causes.get((person.cause, person.reason))
        who = (*(before.participants or () if before else ()), person.id)
        evidence = (*(before.evidence if before else ()), *person.evidence)
        causes[person.cause, person.reason] = Statement(
            person.cause, person.reason, who, person.certainty, tuple(dict.fromkeys(evidence)), person.note
        )
    healthy = [person for person in people if person.media_path not in ("none", "not-observable")]
    without = [person for person in people if person.media_path in ("none", "not-observable")]
    for statement in stated:
        key = (statement.name, statement.reason)
        if key in causes or (statement.reason is None and any(name == statement.name for name, _ in causes)):
            continue
        if people and not without and healthy:
            continue  # everybody has media: what a log says of a cause has healed, or is of another call
        if causes and statement.participants is None:
            continue  # it names nobody, and another cause is known
        if statement.participants is not None and any({*statement.participants} & person.names for person in people):
            continue  # it was weighed for them
        if any(name == statement.name for name, _ in causes):
            causes = {k: v for k, v in causes.items() if k != (statement.name, None)}
        causes[key] = statement
    return sorted(causes.values(), key=lambda cause: ORDER[cause.name])


def _conditions(people: list[Diagnosed], seen: list[Seen], stated: list[Statement]) -> list[Statement]:
    """Every condition once, with everybody for whom it holds; one without a status joins the one that has it."""
    conditions: list[Statement] = []
    every = [each for person in people for each in person.conditions]
    every += [each for capture in seen for each in capture.conditions]
    for statement in (*every, *stated):
        assert statement.name in CONDITIONS, statement
        who = statement.participants
        if who is not None:
            who = tuple(person.id for person in people if {*who} & person.names) or who
        condition = replace(statement, participants=who)
        same = next(
            (other for other in conditions if other.name == condition.name and _alike(other.status, condition.status)),
            None,
        )
        if same is None:
            conditions.append(condition)
        else:
            both = _together(same, condition)
            conditions[conditions.index(same)] = replace(
                both, status=condition.status if same.status is None else same.status
            )
    order = list(CONDITIONS)
    return sorted(conditions, key=lambda condition: order.index(condition.name))


def _alike(status: int | None, other: int | None) -> bool:
    return status is None or other is None or status == other


def _with_conditions(person: Diagnosed, conditions: list[Statement]) -> Diagnosed:
    own = [each for each in conditions if each.participants is not None and {*each.participants} & person.names]
    return replace(person, conditions=own)


def _remedies(
    causes: list[Statement], conditions: list[Statement], seen: list[Seen], facts: Any
) -> dict[tuple[str, str | None], Advice]:
    """What to change, with the addresses that the evidence shows."""
    bridge = next((address for capture in seen if (address := bridge_address(capture.cast))), "")
    public = next((capture.cast.public for capture in seen if capture.cast.public), "") or _domain_address(
        facts, bridge
    )
    advice: dict[tuple[str, str | None], Advice] = {}
    for statement in causes:
        cause = CAUSES[statement.name]
        reason = cause.reasons.get(statement.reason or "")
        remedy = reason.remedy if reason is not None and reason.remedy is not None else cause.remedy
        advice[statement.name, statement.reason] = remedy.filled(bridge, public, statement.file)
    for statement in conditions:
        advice[statement.name, statement.reason] = CONDITIONS[statement.name].remedy.filled(
            bridge, public, statement.file
        )
    return advice


def _domain_address(facts: Any, bridge: str) -> str:
    """The public address of the domain, where the configuration names one of the bridge's family."""
    if facts is None:
        return ""
    named = {str(value.value) for value in facts.deployment.domain_addresses() if not ip.is_private(str(value.value))}
    fits = [address for address in named if not bridge or (":" in address) == (":" in bridge)]
    return fits[0] if len(fits) == 1 else ""


def _server(seen: list[Seen]) -> dict[str, Any]:
    cast = next((each.cast for each in seen if each.cast.jitsi), seen[0].cast if seen else None)
    if cast is None:
        return {"addresses": [], "public_address": None, "evidence": None, "could_be": None}
    return {
        "addresses": cast.servers, "public_address": cast.public or None, "evidence": cast.jitsi or None,
        "could_be": cast.recognition.could_be or None,
    }  # fmt: skip


EVERYTHING = "a capture on the server's any device: jitsilab deploy capture"
BROWSER = "the participant's own browser: its console, and the dump of chrome://webrtc-internals, both during the call"
ANYTHING = "a log of the bridge or the focus, a browser's console, or a capture: jitsilab deploy facts"


def _open(people: list[Diagnosed], causes: list[Statement], call: Any, events: bool) -> list[dict[str, str]]:
    """What stays open, and the piece of evidence that would decide it."""
    questions = []
    for cause in causes:
        known = CAUSES[cause.name]
        if cause.reason is None and (known.reasons or known.open_reasons) and known.decided_by:
            questions.append(_question(f"why {known.words}", known.decided_by))
    why: dict[str, list[str]] = {}
    whether: dict[str, list[str]] = {}
    for person in people:
        if person.media_path == "not-observable":
            whether.setdefault(BROWSER if call.packets else EVERYTHING, []).append(person.id)
        elif person.cause in OPEN:
            names = [name for name in person.open_causes if name in CAUSES]
            wanted = next((CAUSES[name].decided_by for name in names if CAUSES[name].decided_by), EVERYTHING)
            why.setdefault(wanted, []).append(person.id)
    questions += [_question(f"why {_listed(who)} {_has(who)} no media", wanted) for wanted, who in why.items()]
    questions += [_question(f"whether {_listed(who)} {_has(who)} media", wanted) for wanted, who in whether.items()]
    if not people and not causes and not questions:
        folder = next((piece.input for piece in call.evidence.pieces if piece.kind == "configuration"), None)
        questions.append(_question("who has media, and why not", ANYTHING if not events else EVERYTHING))
        if folder is not None:
            questions.append(
                _question("which holes the configuration has", f"an audit: jitsilab audit {shlex.quote(str(folder))}")
            )
    return questions


def _listed(names: list[str]) -> str:
    few = names if len(names) < 6 else [*names[:4], f"{len(names) - 4} others"]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def _has(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _question(question: str, decided_by: str) -> dict[str, str]:
    piece, _, command = decided_by.partition(": ")
    return {"question": question, "decided_by": piece, "command": command or piece}


def _stays(seen: list[Seen], clocks: Mapping[tuple[str, str], Clock]) -> Iterator[tuple[int, str, str, str]]:
    """When packets show somebody come into a room, and go: ns since the epoch, room, endpoint, event."""
    for capture in seen:
        clock, begin = clocks.get((capture.input, "packets")), begin_of(capture.source)
        if clock is None or (begin is None and clock.offset is None):
            continue
        start = (begin or 0.0) + clock.applied
        for person in capture.cast.people:
            for stream in person.xmpp_streams:
                if stream.room and stream.endpoint and stream.joined:
                    room, end = stream.room.partition("@")[0], stream.end_of_stream(capture.cast.end)
                    yield round((start + stream.joined_at) * 1e9), room, stream.endpoint, "participant-joined"
                    yield round((start + end) * 1e9), room, stream.endpoint, "participant-left"


def _hypotheses(call: Any) -> list[dict[str, Any]]:
    """Claims are tested where somebody makes one; the study's own in its report alone."""
    from jitsilab.judge import hypotheses

    if call.name != STUDY or not call.packets:
        return []
    return [judged.to_json() for judged in hypotheses.claimed(call)]


__all__ = ["SCHEMA", "Diagnosed", "Diagnosis", "diagnose"]
