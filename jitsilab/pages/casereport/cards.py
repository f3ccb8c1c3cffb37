"""The first screen: the verdict, a card a participant, and what else holds beside media."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jitsilab.judge.causes import CONDITIONS, OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.diagnosis import text as terminal_text
from jitsilab.judge.diagnosis.answer import iso
from jitsilab.judge.findings import SEVERITIES
from jitsilab.pages.casereport.document import Card, Change, Code, Link, Mark, Text, joined, text
from jitsilab.pages.casereport.places import Places
from jitsilab.pages.markdown import visible

if TYPE_CHECKING:
    from jitsilab.judge.causes import Statement
    from jitsilab.judge.diagnosis import Diagnosed, Diagnosis
    from jitsilab.judge.findings import Finding

MOST_CARDS = 24  # of people who are well
MOST_FAILED = 60  # of people without media, or of whom it is not to be seen
MOST_GRAVE = 3  # security findings on the first screen
SEEN = 110  # characters of what such a one saw
PATHS = {
    "p2p": "directly to the other participant", "jvb-udp": "over UDP through the bridge", "turn-udp": "over TURN (UDP)",
    "turn-tcp": "over TURN (TCP)", "turn-tls": "over TURN inside TLS",
}  # fmt: skip
TURN = {
    "not-tried": "", "not-offered": "not offered", "unreachable": "not reached",
    "auth-failed": "refused the credentials", "allocated": "gave an address, not asked to relay",
    "permission-refused": "refused to relay", "permitted": "would relay", "relaying": "relays",
}  # fmt: skip
STAGES = {
    "tls": "TLS", "xmpp": "login", "conference": "the conference", "jingle": "the offer", "checks": "ICE checks",
    "nominated": "a nominated pair", "dtls": "DTLS", "media": "media",
}  # fmt: skip


def verdict(answer: "Diagnosis") -> str:
    """The whole answer in a sentence, the same that a terminal shows first."""
    return " ".join(terminal_text.verdict(answer).split())


def tone(answer: "Diagnosis") -> str:
    """How bad it is: bad, warn, open, good."""
    if any(not cause.ended for cause in answer.causes) or any(person.media_path == "none" for person in answer.people):
        return "bad"
    if any(not statement.ended for statement in (*answer.causes, *answer.conditions)):
        return "warn"
    unseen = not answer.people or any(person.media_path == "not-observable" for person in answer.people)
    return "open" if unseen else "good"


def of_people(answer: "Diagnosis", places: Places) -> tuple[list[Card], int]:
    """A card each, those without media first, and how many are left out."""
    order = {"none": 0, "not-observable": 1}
    people = sorted(answer.people, key=lambda person: order.get(person.media_path, 2))
    well = [person for person in people if order.get(person.media_path, 2) == 2]
    others = [person for person in people if order.get(person.media_path, 2) != 2]
    left_out = {id(person) for person in (*well[MOST_CARDS:], *others[MOST_FAILED:])}
    by_cause: dict[tuple[str, str | None], Card] = {}
    cards = list(_of_the_call(answer, places, by_cause))
    healed = [card for card in cards if card.tone == "open"]
    cards = [card for card in cards if card.tone != "open"]
    for number, person in enumerate(people, 1):
        if id(person) not in left_out:
            cards.append(_person(person, number, answer, places, by_cause))
    return [*cards, *healed], len(left_out)


def _of_the_call(answer: "Diagnosis", places: Places, by_cause: dict[tuple[str, str | None], Card]) -> Iterator[Card]:
    """Causes that the evidence ties to nobody by name."""
    known = {person.id for person in answer.people}
    for number, cause in enumerate(answer.causes, 1):
        if cause.participants and {*cause.participants} & known:
            continue
        who = joined(cause.participants) if cause.participants else text("everybody in the call")
        state = ("open", "healed") if cause.ended else ("bad", "broken")
        card = Card(f"cause-{number}", "The call", *state, _cause(cause.name, cause.reason))
        card.facts = [("For", who), ("Known", text(cause.certainty))]
        if cause.detail:
            card.facts.append(("Seen", text(places.shortened(cause.detail))))
        card.facts += [*_when(cause), *_proof(cause.evidence, places, Link("the cause", card.id))]
        card.change = _change(answer, cause.name, cause.reason, places)
        by_cause[cause.name, cause.reason] = card
        yield card


def _when(statement: "Statement") -> list[tuple[str, Text]]:
    """In which of several calls it held, and from when on it is well."""
    facts = [("In", text(statement.call))] if statement.call else []
    return [*facts, ("Healed", text(f"from {iso(statement.ended_time)} on it is well"))] if statement.ended else facts


def _cause(name: str, reason: str | None) -> Text:
    words = words_of(name, reason)
    return text(f"{words[0].upper()}{words[1:]} ", Code(f"{name}{'/' + reason if reason else ''}"))


def _person(
    person: "Diagnosed", number: int, answer: "Diagnosis", places: Places, by_cause: dict[tuple[str, str | None], Card]
) -> Card:
    own, me = f"person-{number}", Link(person.id, f"person-{number}")
    ways = _ways(person)
    if person.media_path == "none":
        card = Card(own, person.id, "bad", "no media", _why(person))
    elif person.media_path == "not-observable":
        card = Card(own, person.id, "open", "not to be seen here", text("Whether media flowed is not to be seen here"))
        if person.cause and person.cause not in OPEN:
            card.lead = _cause(person.cause, person.reason)
    else:
        card = Card(
            own, person.id, "warn" if person.conditions else "good", "has media", ways or text(PATHS[person.media_path])
        )
    addresses = [Code(address) for address in person.addresses if address != person.id]
    if addresses:
        card.facts.append(("At", joined(addresses)))
    if person.media_path in ("none", "not-observable"):
        if ways:
            card.facts.append(("Before", ways))
        card.facts.append(("Reached", text(STAGES.get(person.stage, person.stage))))
        if TURN.get(person.turn_stage):
            card.facts.append(("TURN", text(TURN[person.turn_stage])))
        if person.open_causes:
            card.facts.append(("Open", joined(_open(name) for name in person.open_causes)))
    if person.note:
        card.facts.append(("Seen", text(places.shortened(person.note), f" ({person.certainty})")))
    elif person.media_path == "none":
        card.facts.append(("Known", text(person.certainty)))
    card.facts += [
        ("Beside", text(Link(CONDITIONS[held.name].words, _condition_id(answer, held.name))))
        for held in person.conditions
    ]
    card.facts += _proof(person.evidence, places, me)[: None if person.media_path in ("none", "not-observable") else 1]
    if person.cause and person.cause not in OPEN and person.media_path in ("none", "not-observable"):
        before = by_cause.get((person.cause, person.reason))
        card.change = _change(answer, person.cause, person.reason, places)
        if before is not None and card.change is not None:
            card.change = Change("", like=text("as for ", Link(before.name, before.id)))
        by_cause.setdefault((person.cause, person.reason), card)
    return card


def _why(person: "Diagnosed") -> Text:
    if person.cause and person.cause not in OPEN:
        return _cause(person.cause, person.reason)
    return text("The evidence does not single out why")


def _open(name: str) -> Text:
    return text(words_of(name, None) if name not in OPEN else name, " ", Code(name))


def _ways(person: "Diagnosed") -> Text:
    shown = person.media_paths[:3]
    ways = ", then ".join(f"{PATHS[way.name]} from {way.start:.1f} to {way.end:.1f} s" for way in shown)
    more = f", then {len(person.media_paths) - 3} more" if len(person.media_paths) > 3 else ""
    return text(f"{ways[0].upper()}{ways[1:]}{more}") if ways else ()


def _proof(evidence: Any, places: Places, by: Link) -> list[tuple[str, Text]]:
    if not evidence:
        return []
    facts = [("Proof", places.proof(evidence, by))]
    for input, display_filter in places.filters(evidence):
        facts.append(("Wireshark", text(Code(display_filter), f" in {input}" if len(places.captures) > 1 else "")))
    return facts


def _change(answer: "Diagnosis", name: str, reason: str | None, places: Places) -> Change | None:
    """What to change, in its parts where the diagnosis has them apart."""
    advice: Any = answer.advice.get((name, reason), "")
    if not advice:
        return None
    if isinstance(advice, str):
        return Change(places.shortened(advice))
    return Change(advice.text, places.shortened(advice.file), advice.line, advice.docker, advice.opens, advice.then)


def _condition_id(answer: "Diagnosis", name: str) -> str:
    return (
        f"condition-{1 + next(number for number, condition in enumerate(answer.conditions) if condition.name == name)}"
    )


def conditions(answer: "Diagnosis", places: Places) -> list[Card]:
    """What is true beside media."""
    return [
        _condition(condition, f"condition-{number}", answer, places)
        for number, condition in enumerate(answer.conditions, 1)
    ]


def _condition(condition: "Statement", own: str, answer: "Diagnosis", places: Places) -> Card:
    words = CONDITIONS[condition.name].words
    status = f" {condition.status}" if condition.status else ""
    card = Card(
        own, f"{words[0].upper()}{words[1:]}", "warn", condition.certainty, text(Code(f"{condition.name}{status}"))
    )
    if condition.ended:
        card.tone = "open"
    if condition.participants:
        card.facts.append(("For", joined(condition.participants)))
    card.facts += _when(condition)
    if condition.detail:
        card.facts.append(("Seen", text(places.shortened(condition.detail))))
    card.facts += _proof(condition.evidence, places, Link(words, own))
    card.change = _change(answer, condition.name, condition.reason, places)
    return card


def grave(findings: "list[Finding]", places: Places) -> list[Card]:
    """The gravest failures of the security checks: medium and above, a few."""
    failed = sorted(
        (finding for finding in findings if finding.result == "FAIL" and SEVERITIES.index(finding.severity) <= 2),
        key=lambda finding: (SEVERITIES.index(finding.severity), finding.id),
    )
    return [
        Card(f"grave-{finding.id}", finding.rule.title, severity_tone(finding.severity), finding.severity,
             text(Link(finding.id, finding.id), f": {visible(places.shortened(finding.evidence), SEEN)}"))
        for finding in failed[:MOST_GRAVE]
    ]  # fmt: skip


def severity_tone(severity: str) -> str:
    """The colour of a severity."""
    return {"critical": "bad", "high": "bad", "medium": "warn"}.get(severity, "plain")


def severity(word: str) -> Mark:
    """A severity as a label."""
    return Mark(word, severity_tone(word))
