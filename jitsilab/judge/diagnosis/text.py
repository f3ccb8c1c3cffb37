"""The answer for a terminal: verdict, failures, conditions, who is well, what stays open."""

import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from jitsilab import terminal
from jitsilab.judge.causes import CAUSES, CONDITIONS, OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.causes.remedy import Advice
from jitsilab.judge.causes.statement import Statement
from jitsilab.judge.diagnosis.answer import iso
from jitsilab.place import Place

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis.answer import Diagnosed, Diagnosis

MOST_PATHS = 6  # that a person wants to read of; JSON has all
MOST_FRAMES = 12
MOST_PLACES = 6
LONG = 24  # characters of a common folder that are worth a line of their own
NARROW = 40  # columns below which nothing is laid out any more
_NAMES = {
    "p2p": "directly", "jvb-udp": "over UDP through the bridge", "turn-udp": "over TURN (UDP)",
    "turn-tcp": "over TURN (TCP)", "turn-tls": "over TURN inside TLS",
}  # fmt: skip
_KEEP = "\u00a0"  # a space at which no line is broken
_COLOURS = {
    "FAILED": "1;31",
    "NOTE": "33",
    "OK": "32",
    "?": "36",
    "OPEN": "36",
    "UNREAD": "36",
    "CALL": "36",
    "CLAIM": "35",
}
_HEAD = re.compile(r"(?m)^(FAILED|NOTE|OK|\?|OPEN|UNREAD|CALL|CLAIM)(?= )")


def text(answer: "Diagnosis", width: int = 100, *, colour: bool = False, short: bool = False, given: str = "") -> str:
    """The whole answer; see `Diagnosis.to_text`."""
    written = "\n\n".join(_Page(answer, width, short, given).parts())
    if not colour:
        return written
    head, _, rest = terminal.printable(written).partition("\n\n")
    rest = _HEAD.sub(lambda match: f"\x1b[{_COLOURS[match[1]]}m{match[1]}\x1b[0m", rest)
    return f"\x1b[1m{head}\x1b[0m" + (f"\n\n{rest}" if rest else "")


def _has_media(person: "Diagnosed") -> bool:
    return person.media_path not in ("none", "not-observable")


def verdict(answer: "Diagnosis") -> str:
    """One sentence: how many have no media, and why; or what is amiss though all have; or what there is to see."""
    people = answer.people
    without = [person for person in people if person.media_path == "none"]
    unseen = [person for person in people if person.media_path == "not-observable"]
    causes = [words_of(cause.name, cause.reason) for cause in answer.causes]
    if without:
        how_many = f"{len(without)} of {len(people)} participants {_has(len(without))} no media"
        return f"{how_many}: {_why(without)}{_beside(answer, unseen)}."
    if causes:
        return f"Broken: {'; '.join(causes)}{_beside(answer, unseen)}."
    if not people:
        held = "; ".join(CONDITIONS[condition.name].words for condition in answer.conditions)
        return f"No cause of missing media shows. But {held}." if held else _nothing(answer)
    held = _held(answer)
    but = f", but {held}" if held else ""
    if not unseen:
        everybody = {1: "The one participant has", 2: "Both participants have"}
        return f"{everybody.get(len(people), f'All {len(people)} participants have')} media{but}."
    if len(unseen) == len(people):
        whose = "the one participant's" if len(people) == 1 else f"the {len(people)} participants'"
        return f"Nothing shows a failure, but whether {whose} media flowed is not to be seen here{but}."
    seen = len(people) - len(unseen)
    return f"{seen} of {len(people)} participants {_has(seen)} media; of the others it is not to be seen here{but}."


def _has(number: int) -> str:
    return "has" if number == 1 else "have"


def _why(without: "list[Diagnosed]") -> str:
    """Who has no media because of what, those of one cause together."""
    groups: dict[str, list[str]] = {}
    for person in without:
        open_ = person.cause is None or person.cause in OPEN
        groups.setdefault("the cause stays open" if open_ else words_of(str(person.cause), person.reason), []).append(
            person.id
        )
    return "; ".join(f"{_listed(who)}, {words}" for words, who in groups.items())


def _listed(names: Sequence[str]) -> str:
    few = list(names) if len(names) < 6 else [*names[:4], f"{len(names) - 4} others"]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def _beside(answer: "Diagnosis", unseen: "list[Diagnosed]") -> str:
    """What belongs to a verdict of failure beside it."""
    parts = []
    if unseen:
        parts.append(f"of {_listed([person.id for person in unseen])} it is not to be seen here")
    if held := _held(answer):
        parts.append(f"beside that {held}")
    return "".join(f"; {part}" for part in parts)


def _held(answer: "Diagnosis") -> str:
    """The conditions, with names where they do not hold for everybody."""
    parts = []
    for condition in answer.conditions:
        partly = condition.participants and len(condition.participants) < len(answer.people)
        parts.append(
            (f"for {_listed(condition.participants or ())} " if partly else "") + CONDITIONS[condition.name].words
        )
    return "; ".join(dict.fromkeys(parts))


def _nothing(answer: "Diagnosis") -> str:
    """What was read, where it shows no call: silence is no health."""
    kinds = list(dict.fromkeys(str(piece["kind"]) for piece in answer.inputs if piece["kind"] != "unknown"))
    if kinds == ["configuration"]:
        return "Configuration alone shows no call: who has media, and why not, stands in logs, browsers and captures."
    sentence = (
        f"No Jitsi call in this evidence, and no cause of missing media shows ({', '.join(kinds) or 'no evidence'})."
    )
    could = answer.server.get("could_be")
    return f"{sentence} It could be one ({could}), and nothing shows that it is." if could else sentence


class _Page:
    """The parts of one answer, wrapped."""

    def __init__(self, answer: "Diagnosis", width: int, short: bool, given: str) -> None:
        self.answer = answer
        self.width = max(width, NARROW)
        self.given = given
        self.shortened = False
        self.folder = _folder(piece["path"] for piece in answer.inputs) if short else ""

    def parts(self) -> Iterator[str]:
        """What stands between empty lines, in order."""
        yield self._wrapped(verdict(self.answer), after="  ")
        yield from self._failures()
        yield from self._conditions()
        yield from _block([*self._well(), *self._unread()])
        yield from _block(self._calls())
        yield from _block(self._open())
        yield from _block(self._wrapped(f"CLAIM   {claim['verdict'].upper()}: {claim['claim']} {claim['note']}")
                          for claim in self.answer.hypotheses)  # fmt: skip
        yield from _block(self._last())

    def _failures(self) -> Iterator[str]:
        for cause in self.answer.causes:
            slug = f"[{cause.name}{'/' + cause.reason if cause.reason else ''}]"
            lines = [self._wrapped(f"FAILED  {_sentence(words_of(cause.name, cause.reason))} {slug}")]
            who = ", ".join(cause.participants) if cause.participants else "nobody in particular"
            lines.append(self._labelled("for", f"{who} ({cause.certainty})"))
            lines += self._stated(cause)
            yield "\n".join(lines)
        for group in _alike(
            person for person in self.answer.people if person.media_path == "none" and person.cause in OPEN
        ):
            first = group[0]
            who = _listed([f"{person.id}{_addresses(person)}" for person in group])
            lines = [self._wrapped(f"FAILED  No media, and the cause stays open [{first.cause}]")]
            lines.append(self._labelled("for", f"{who} ({first.certainty})"))
            far = f"came as far as {first.stage}" + (f": {first.note}" if first.note else "")
            lines.append(self._labelled("seen", far))
            for number, name in enumerate(each for each in first.open_causes if each in CAUSES):
                lines.append(self._labelled("" if number else "could", f"be that {CAUSES[name].words} [{name}]"))
            yield "\n".join([*lines, *self._proof([place for person in group for place in person.evidence])])

    def _conditions(self) -> Iterator[str]:
        for condition in self.answer.conditions:
            status = f" {condition.status}" if condition.status else ""
            who = f" ({', '.join(condition.participants)})" if condition.participants else ""
            lines = [
                self._wrapped(f"NOTE    {_sentence(CONDITIONS[condition.name].words)}{who} [{condition.name}{status}]")
            ]
            yield "\n".join([*lines, *self._stated(condition)])

    def _stated(self, statement: Statement) -> Iterator[str]:
        if statement.ended:
            call = f"in the call {statement.call}; " if statement.call else ""
            yield self._labelled("ended", f"{call}from {iso(statement.ended_time)} on it is well")
        if statement.detail:
            yield self._labelled("seen", statement.detail)
        yield from self._advised(self.answer.advice.get((statement.name, statement.reason)))
        yield from self._proof(statement.evidence)
        yield from self._look(statement)

    def _advised(self, advice: Advice | None) -> Iterator[str]:
        if advice is None or not advice.text:
            return
        yield self._labelled("change", advice.text)
        if advice.line:
            if advice.file:
                yield self._labelled("file", advice.file)
            yield self._labelled("set" if advice.file else "run", advice.line, lines=True)
        if advice.docker:
            yield self._labelled("docker", f".env: {advice.docker}")
        if advice.then:
            yield self._labelled("then", advice.then)
        if advice.opens:
            yield self._labelled("mind", advice.opens)

    def _proof(self, evidence: Iterable[Place]) -> Iterator[str]:
        """Frames as a display filter, lines as file:line."""
        frames: dict[str, list[int]] = {}
        lines: dict[str, list[int]] = {}
        others: list[str] = []
        for place in dict.fromkeys(evidence):
            if place.frame is not None:
                frames.setdefault(place.input, []).append(place.frame)
            elif place.line is not None:
                lines.setdefault(place.input, []).append(place.line)
            else:
                others.append(self._short(str(place)))
        for input, numbers in frames.items():
            listed = ", ".join(map(str, sorted(set(numbers))[:MOST_FRAMES]))
            yield self._labelled("proof", f"{self._short(input)}: {self._kept(f'frame.number in {{{listed}}}')}")
        shown = [
            f"{self._short(input)}:{number}" for input, line_numbers in lines.items() for number in sorted(line_numbers)
        ] + others
        if shown:
            more = f" and {len(shown) - MOST_PLACES} more" if len(shown) > MOST_PLACES else ""
            yield self._labelled("proof", ", ".join(map(self._kept, shown[:MOST_PLACES])) + more)

    def _look(self, statement: Statement) -> Iterator[str]:
        if self.given and any(place.frame is not None for place in statement.evidence):
            command, file = f"jitsilab evidence {self.given} --cause {statement.name}", f"-o {statement.name}.pcapng"
            fits = len(command) + len(file) < self.width - 10
            yield self._labelled("next", f"{command} {file}" if fits else f"{command} \\\n  {file}", lines=True)

    def _well(self) -> Iterator[str]:
        for person in self.answer.people:
            if _has_media(person):
                yield self._wrapped(
                    f"OK      {person.id}{_addresses(person)}: media {_ways(person)} "
                    f"{self._kept(f'[{person.media_path}]')}"
                )
            elif person.media_path == "not-observable":
                why = f": {person.note}" if person.note else ""
                far = f"media not to be seen from here, came as far as {person.stage}"
                yield self._wrapped(f"?       {person.id}{_addresses(person)}: {far}{why}")

    def _unread(self) -> Iterator[str]:
        """What was given and not read, or not wholly: of it nothing is said, neither good nor bad."""
        notes: dict[str, list[str]] = {}
        for piece in self.answer.inputs:
            note = str(piece["note"] or "")
            if (note and piece["kind"] in ("unknown", "archive")) or "Not read" in note:
                notes.setdefault(note, []).append(self._short(str(piece["path"])))
        for note, paths in notes.items():
            yield self._wrapped(f"UNREAD  {_listed(paths)}: {note}")

    def _calls(self) -> Iterator[str]:
        """Which calls there are, where there are several."""
        for call in self.answer.calls if len(self.answer.calls) > 1 else ():
            who = [person.id for person in self.answer.people if person.call == call["id"]]
            span = f"{call['first_time']} to {call['last_time']}"
            yield self._wrapped(f"CALL    {call['id']}, {span}: {_listed(who) if who else 'nobody is named'}")

    def _open(self) -> Iterator[str]:
        for question in self.answer.open:
            decider = question["decided_by"]
            yield self._wrapped(f"OPEN    {_sentence(question['question'])}. What would tell: {decider}")
            if question["command"] != decider:
                yield self._labelled("next", self._kept(question["command"]))

    def _last(self) -> Iterator[str]:
        if self.shortened:
            yield self._wrapped(f"Files named above are in {self.folder}/")
        if self.given and (self.answer.causes or self.answer.conditions):
            yield self._wrapped(f"After a change: jitsilab diagnose NEW-EVIDENCE --against {self.given}")

    def _short(self, path: str) -> str:
        if not self.folder or not path.startswith(self.folder + "/"):
            return path
        self.shortened = True
        return path.removeprefix(self.folder + "/")

    def _kept(self, words: str) -> str:
        """The words on one line, where the width allows that."""
        return words.replace(" ", _KEEP) if len(words) <= self.width - 10 else words

    def _labelled(self, label: str, words: str, *, lines: bool = False) -> str:
        first = f"  {label + ':' if label else '':8}"
        parts = words.split("\n") if lines else [words]
        wrapped = [
            self._wrapped(part, first if not number else " " * 10, " " * 10) for number, part in enumerate(parts)
        ]
        return "\n".join(wrapped)

    def _wrapped(self, words: str, indent: str = "", after: str = " " * 8) -> str:
        if indent.isspace():  # a line of a setting keeps its own indentation
            indent += " " * (len(words) - len(words.lstrip(" ")))
        filled = textwrap.fill(
            words.strip(), self.width, initial_indent=indent, subsequent_indent=after, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        return filled.replace(_KEEP, " ")


def _block(lines: Iterable[str]) -> Iterator[str]:
    if unique := list(dict.fromkeys(lines)):
        yield "\n".join(unique)


def _folder(paths: Iterable[str]) -> str:
    """The folder that all evidence lies in, where naming it each time would be long; else empty."""
    roots = [os.path.dirname(path) for path in paths]  # noqa: PTH120
    if not roots or not all(folder.startswith("/") for folder in roots):
        return ""
    root = os.path.commonpath(roots)
    return root if len(root) > LONG else ""


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _addresses(person: "Diagnosed") -> str:
    return f" ({', '.join(person.addresses)})" if person.addresses and person.id not in person.addresses else ""


def _ways(person: "Diagnosed") -> str:
    ways = ", then ".join(
        f"{_NAMES[p.name]} from {p.start:.1f} to {p.end:.1f} s" for p in person.media_paths[:MOST_PATHS]
    )
    if len(person.media_paths) > MOST_PATHS:
        ways += f", then {len(person.media_paths) - MOST_PATHS} more paths to {person.media_paths[-1].end:.1f} s"
    return ways or _NAMES[person.media_path]


def _alike(people: "Iterable[Diagnosed]") -> "list[list[Diagnosed]]":
    """Participants of whom the same is to be said, together."""
    groups: dict[tuple[object, ...], list[Diagnosed]] = {}
    key: Callable[[Diagnosed], tuple[object, ...]] = lambda person: (  # noqa: E731
        person.cause, person.stage, person.note, person.certainty, *person.open_causes,
    )  # fmt: skip
    for person in people:
        groups.setdefault(key(person), []).append(person)
    return list(groups.values())
