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
    trail = trail.owned(call.owners).moved({pair: one.applied for pair, one in call.clocks.items()})
    facts = call.facts
    case = Case(trail, facts, {one.input: one.cast for one in seen if one.cast.jitsi}, call.clocks)
    every = calls.calls(trail, _stays(seen, call.clocks))
    stated = _kept([*servers.all_of(case, CAUSE_RULES), *(each for one in seen for each in one.stated)])
    if len(every.meetings) > 1:
        stated = _kept([*stated, *calls.healed(case, every, stated, lambda one: servers.all_of(one, CAUSE_RULES))])
    if not any(one.people for one in seen) and (trail or (facts is not None and facts.prosody is not None)):
        for one in seen:  # what else there is shows that this is a Jitsi server, whose page never came
            one.people = one.refused
    people = _joined(seen) or lines.participants(trail)
    people = [lines.with_names(one, trail) for one in people]
    people = [replace(one, call=of.id) if (of := every.of_person(one)) is not None else one for one in people]
    people = [_decided(one, stated, alone=len(people) == 1) for one in people]
    people = _explained(people)
    held = servers.all_of(case, CONDITION_RULES)
    conditions = calls.placed(_conditions(people, seen, held), people, trail, every, held)
    people = [_with_conditions(one, conditions) for one in people]
    causes = calls.placed(_causes(people, stated), people, trail, every, stated)
    remedies = _remedies(causes, conditions, seen, facts)
    people = [replace(one, advice=str(remedies.get((one.cause or "", one.reason), ""))) for one in people]
    return Diagnosis(
        people, _server(seen), causes, conditions, _open(people, causes, call, bool(trail)),
        [one.to_json() for one in every.meetings],
        pieces.inputs(call, trail), _hypotheses(call), remedies,
    )  # fmt: skip


def _kept(stated: Iterable[Statement]) -> list[Statement]:
    """One statement for each cause and reason, the surest first; one without a reason goes where a reason is known."""
    found: dict[tuple[str, str | None], Statement] = {}
    for one in stated:
        assert one.name in CAUSES, one
        assert one.reason is None or is_reason(one.name, one.reason), one
        before = found.get((one.name, one.reason))
        found[one.name, one.reason] = one if before is None else _together(before, one)
    named = {name for name, reason in found if reason is not None}
    kept = [one for one in found.values() if one.reason is not None or one.name not in named]
    return sorted(kept, key=lambda one: (ORDER[one.name], SURE[one.certainty]))


def _together(one: Statement, other: Statement) -> Statement:
    """Two statements of one cause: the surer, with the places and participants of both."""
    first, second = (one, other) if SURE[one.certainty] <= SURE[other.certainty] else (other, one)
    who = None
    if one.participants is not None and other.participants is not None:
        who = tuple(dict.fromkeys((*one.participants, *other.participants)))
    return replace(first, evidence=tuple(dict.fromkeys((*first.evidence, *second.evidence))), participants=who)


def _joined(seen: list[Seen]) -> list[Diagnosed]:
    """The participants of all captures, each once: what one capture leaves open another may show."""
    found: list[Diagnosed] = []
    for capture in seen:
        before = list(found)  # within one capture who is who has been decided
        for one in capture.people:
            same = next((other for other in before if _same(one, other)), None)
            if same is None:
                found.append(one)
            else:
                before.remove(same)
                found[found.index(same)] = _better(same, one)
    return found


def _same(one: Diagnosed, other: Diagnosed) -> bool:
    if one.endpoints and other.endpoints:
        return bool({*one.endpoints} & {*other.endpoints}) or bool(one.nick and one.nick == other.nick)
    if one.nick and other.nick:
        return one.nick == other.nick
    return bool({*one.addresses} & {*other.addresses}) or one.id == other.id


def _better(one: Diagnosed, other: Diagnosed) -> Diagnosed:
    """Of two views of a participant the one that decides, with the names and conditions of both."""
    first, second = (one, other) if _rank(one) <= _rank(other) else (other, one)
    held = {each.name: each for each in (*second.conditions, *first.conditions)}
    return replace(
        first, nick=first.nick or second.nick, id=first.nick or second.nick or first.id,
        addresses=list(dict.fromkeys((*first.addresses, *second.addresses))),
        endpoints=list(dict.fromkeys((*first.endpoints, *second.endpoints))),
        jids=list(dict.fromkeys((*first.jids, *second.jids))), ssrcs=first.ssrcs or second.ssrcs,
        conditions=list(held.values()),
    )  # fmt: skip


def _rank(one: Diagnosed) -> tuple[int, int]:
    """How much a view decides: media or a cause before what is open, by certainty."""
    decided = one.media_path not in ("none", "not-observable") or one.cause not in (None, *OPEN)
    return (0 if decided else 1, SURE[one.certainty])


def _decided(one: Diagnosed, stated: list[Statement], alone: bool) -> Diagnosed:
    """A participant without media, in the light of what logs, dumps and configuration say."""
    if one.media_path not in ("none", "not-observable"):
        return one
    for statement in stated:
        who = statement.participants
        if who is not None and not {*who} & one.names:
            continue
        if one.cause in (None, *OPEN):
            fits = statement.name in one.open_causes or not one.open_causes or who is not None
            fits = fits or statement.certainty != "inferred"
            if not fits or (one.cause is None and one.media_path == "not-observable" and who is None and not alone):
                continue
            return _told(one, statement)
        if statement.name == one.cause:
            better = one.reason is None and statement.reason is not None
            return replace(
                one, reason=statement.reason if better else one.reason,
                evidence=list(dict.fromkeys((*one.evidence, *statement.evidence))),
                note="; ".join(part for part in (one.note, statement.detail) if part),
            )  # fmt: skip
        both = {statement.name, one.cause or ""} <= ALIKE
        if both and one.certainty == "inferred" and SURE[statement.certainty] < SURE["inferred"]:
            return _told(one, statement)
    return one


def _told(one: Diagnosed, statement: Statement) -> Diagnosed:
    path = "none" if one.media_path == "none" or statement.participants is not None else one.media_path
    return replace(
        one, cause=statement.name, reason=statement.reason, open_causes=[], certainty=statement.certainty,
        evidence=list(dict.fromkeys((*statement.evidence, *one.evidence))), note=statement.detail, media_path=path,
    )  # fmt: skip


def _explained(people: list[Diagnosed]) -> list[Diagnosed]:
    """Packets and lines of one cause share its reason: what one participant's evidence tells holds for the others."""
    reasons: dict[str, set[str]] = {}
    for one in people:
        if one.cause and one.reason:
            reasons.setdefault(one.cause, set()).add(one.reason)
    server_side = {"no-bridge", "no-focus"}
    return [
        replace(one, reason=next(iter(reasons[one.cause])))
        if one.cause in server_side and one.reason is None and len(reasons.get(one.cause, ())) == 1 else one
        for one in people
    ]  # fmt: skip


def _causes(people: list[Diagnosed], stated: list[Statement]) -> list[Statement]:
    """The causes of the case: of its participants, and those that lines state where nobody contradicts them."""
    found: dict[tuple[str, str | None], Statement] = {}
    for one in people:
        if one.cause is None or one.cause in OPEN or one.media_path not in ("none", "not-observable"):
            continue
        before = found.get((one.cause, one.reason))
        who = (*(before.participants or () if before else ()), one.id)
        evidence = (*(before.evidence if before else ()), *one.evidence)
        found[one.cause, one.reason] = Statement(
            one.cause, one.reason, who, one.certainty, tuple(dict.fromkeys(evidence)), one.note
        )
    healthy = [one for one in people if one.media_path not in ("none", "not-observable")]
    without = [one for one in people if one.media_path in ("none", "not-observable")]
    for statement in stated:
        key = (statement.name, statement.reason)
        if key in found or (statement.reason is None and any(name == statement.name for name, _ in found)):
            continue
        if people and not without and healthy:
            continue  # everybody has media: what a log says of a cause has healed, or is of another call
        if found and statement.participants is None and not _beside(statement, found):
            continue
        if statement.participants is not None and any({*statement.participants} & one.names for one in people):
            continue  # it was weighed for them
        if any(name == statement.name for name, _ in found):
            found = {k: v for k, v in found.items() if k != (statement.name, None)}
        found[key] = statement
    return sorted(found.values(), key=lambda one: ORDER[one.name])


def _beside(statement: Statement, found: dict[tuple[str, str | None], Statement]) -> bool:
    """Whether a statement about the server can hold beside what is known of participants."""
    return all(SURE[statement.certainty] <= SURE[one.certainty] for one in found.values()) and not found


def _conditions(people: list[Diagnosed], seen: list[Seen], stated: list[Statement]) -> list[Statement]:
    """Every condition once, with everybody for whom it holds; one without a status joins the one that has it."""
    found: list[Statement] = []
    every = [each for one in people for each in one.conditions]
    every += [each for one in seen for each in one.conditions]
    for statement in (*every, *stated):
        assert statement.name in CONDITIONS, statement
        who = statement.participants
        if who is not None:
            who = tuple(one.id for one in people if {*who} & one.names) or who
        one = replace(statement, participants=who)
        same = next((other for other in found if other.name == one.name and _alike(other.status, one.status)), None)
        if same is None:
            found.append(one)
        else:
            both = _together(same, one)
            found[found.index(same)] = replace(both, status=one.status if same.status is None else same.status)
    order = list(CONDITIONS)
    return sorted(found, key=lambda one: order.index(one.name))


def _alike(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


def _with_conditions(one: Diagnosed, conditions: list[Statement]) -> Diagnosed:
    mine = [each for each in conditions if each.participants is not None and {*each.participants} & one.names]
    return replace(one, conditions=mine)


def _remedies(
    causes: list[Statement], conditions: list[Statement], seen: list[Seen], facts: Any
) -> dict[tuple[str, str | None], Advice]:
    """What to change, with the addresses that the evidence shows."""
    bridge = next((address for one in seen if (address := bridge_address(one.cast))), "")
    public = next((one.cast.public for one in seen if one.cast.public), "") or _domain_address(facts, bridge)
    found: dict[tuple[str, str | None], Advice] = {}
    for one in causes:
        cause = CAUSES[one.name]
        reason = cause.reasons.get(one.reason or "")
        remedy = reason.remedy if reason is not None and reason.remedy is not None else cause.remedy
        found[one.name, one.reason] = remedy.filled(bridge, public, one.file)
    for one in conditions:
        found[one.name, one.reason] = CONDITIONS[one.name].remedy.filled(bridge, public, one.file)
    return found


def _domain_address(facts: Any, bridge: str) -> str:
    """The public address of the domain, where the configuration names one of the bridge's family."""
    if facts is None:
        return ""
    named = {str(one.value) for one in facts.deployment.domain_addresses() if not ip.is_private(str(one.value))}
    fits = [one for one in named if not bridge or (":" in one) == (":" in bridge)]
    return fits[0] if len(fits) == 1 else ""


def _server(seen: list[Seen]) -> dict[str, Any]:
    one = next((each.cast for each in seen if each.cast.jitsi), seen[0].cast if seen else None)
    if one is None:
        return {"addresses": [], "public_address": None, "evidence": None, "could_be": None}
    return {
        "addresses": one.servers, "public_address": one.public or None, "evidence": one.jitsi or None,
        "could_be": one.recognition.could_be or None,
    }  # fmt: skip


EVERYTHING = "a capture on the server's any device: jitsilab deploy capture"
BROWSER = "the participant's own browser: its console, and the dump of chrome://webrtc-internals, both during the call"
ANYTHING = "a log of the bridge or the focus, a browser's console, or a capture: jitsilab deploy facts"


def _open(people: list[Diagnosed], causes: list[Statement], call: Any, events: bool) -> list[dict[str, str]]:
    """What stays open, and the piece of evidence that would decide it."""
    found = []
    for cause in causes:
        known = CAUSES[cause.name]
        if cause.reason is None and (known.reasons or known.open_reasons) and known.decided_by:
            found.append(_question(f"why {known.words}", known.decided_by))
    why: dict[str, list[str]] = {}
    whether: dict[str, list[str]] = {}
    for one in people:
        if one.media_path == "not-observable":
            whether.setdefault(BROWSER if call.packets else EVERYTHING, []).append(one.id)
        elif one.cause in OPEN:
            names = [name for name in one.open_causes if name in CAUSES]
            wanted = next((CAUSES[name].decided_by for name in names if CAUSES[name].decided_by), EVERYTHING)
            why.setdefault(wanted, []).append(one.id)
    found += [_question(f"why {_listed(who)} {_has(who)} no media", wanted) for wanted, who in why.items()]
    found += [_question(f"whether {_listed(who)} {_has(who)} media", wanted) for wanted, who in whether.items()]
    if not people and not causes and not found:
        folder = next((one.input for one in call.evidence.pieces if one.kind == "configuration"), None)
        found.append(_question("who has media, and why not", ANYTHING if not events else EVERYTHING))
        if folder is not None:
            found.append(
                _question("which holes the configuration has", f"an audit: jitsilab audit {shlex.quote(str(folder))}")
            )
    return found


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
    return [one.to_json() for one in hypotheses.claimed(call)]


__all__ = ["SCHEMA", "Diagnosed", "Diagnosis", "diagnose"]
