"""What changed between two answers of one case, before and after a repair: who has media, which causes and conditions.

Both answers are taken as ``diagnose --json`` gives them, so that an older one may be a file. What the newer evidence
could not have shown has not gone: it is said to be out of sight.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jitsilab.errors import ParameterError
from jitsilab.ip import is_private
from jitsilab.judge.causes import CAUSES, CONDITIONS, OPEN
from jitsilab.judge.causes.catalogue import is_reason, words_of

Row = Mapping[str, Any]

LARGEST = 1 << 26  # bytes of an older answer
UNSEEN = (None, "", "not-observable")
#: causes that lie with the server: media of anybody over the bridge show that they are gone
_OF_SERVER = ("tls-refused", "signaling-refused", "no-focus", "no-bridge", "bridge-lost", "nat-mapping-missing",
              "nat-mapping-wrong")  # fmt: skip
_WAYS = {"p2p": "directly", "jvb-udp": "over UDP through the bridge", "turn-udp": "over TURN (UDP)",
         "turn-tcp": "over TURN (TCP)", "turn-tls": "over TURN inside TLS"}  # fmt: skip


class Pair(NamedTuple):
    """One person before and now; None where there is nobody to compare with."""

    before: Row | None
    now: Row | None

    @property
    def id(self) -> str:
        """The name that the newer case has for the person, else that of the older."""
        return str((self.now or self.before or {}).get("id") or "")


class PersonChange(NamedTuple):
    """That somebody's media are others than before."""

    id: str
    change: str  # has-media, lost-media, other-path, other-cause, only-before, only-now, unseen
    before: str | None  # media path
    now: str | None

    def to_json(self) -> dict[str, Any]:
        """As ``diagnose --json`` prints it."""
        return self._asdict()


class StatementChange(NamedTuple):
    """That a cause or a condition went, came, stayed, or is out of sight now; for whom, or None for nobody named."""

    kind: str  # cause, condition
    name: str
    reason: str | int | None  # a cause's reason, a condition's status
    change: str  # went, came, stayed, unseen (now), unseen-before
    participants: tuple[str, ...] | None

    def to_json(self) -> dict[str, Any]:
        """As ``diagnose --json`` prints it."""
        second = "reason" if self.kind == "cause" else "status"
        who = list(self.participants) if self.participants is not None else None
        return {self.kind: self.name, second: self.reason, "change": self.change, "participants": who}

    @property
    def words(self) -> str:
        """What it is, in a clause."""
        if self.kind == "condition":
            return CONDITIONS[self.name].words if self.name in CONDITIONS else self.name
        if self.name not in CAUSES:
            return self.name  # of another version
        reason = str(self.reason) if self.reason is not None and is_reason(self.name, str(self.reason)) else None
        return words_of(self.name, reason)


@dataclass(frozen=True, slots=True)
class Changes:
    """All that is otherwise than in the older case, and what of its failures is not."""

    people: list[PersonChange] = field(default_factory=list)
    causes: list[StatementChange] = field(default_factory=list)
    conditions: list[StatementChange] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As ``diagnose --json`` prints it."""
        return {
            "participants": [change.to_json() for change in self.people],
            "causes": [change.to_json() for change in self.causes],
            "conditions": [change.to_json() for change in self.conditions],
        }

    def to_text(self, width: int = 100) -> str:
        """The same for a terminal."""
        lines = [*map(_person, self.people), *map(_statement, (*self.causes, *self.conditions))]
        if not lines:
            return "Nothing changed: nobody's media, no cause and no condition."
        if all(line.startswith("STAYED") for line in lines):
            lines.insert(0, "Nothing changed:")
        return "\n".join(
            textwrap.fill(line, width, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False)
            for line in lines
        )


def earlier(path: str | Path) -> Row | None:
    """The older answer in a file that ``diagnose --json`` wrote; None where it is none, and may be evidence."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(LARGEST)
    except OSError as error:
        raise ParameterError(f"Cannot read the older case in {path}: {error.strerror}.") from error
    if text[:1] != b"{":
        return None
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    shaped = isinstance(answer, dict) and all(
        isinstance(answer.get(name), list) and all(isinstance(row, dict) for row in answer[name])
        for name in ("participants", "causes", "conditions", "inputs")
    )
    return answer if shaped else None


def changes(before: Row, now: Row) -> Changes:
    """What changed from one answer to another, both as `Diagnosis.to_json` gives them."""
    pairs = join(before["participants"], now["participants"])
    turned = [Pair(pair.now, pair.before) for pair in pairs]
    sights = _Sights(_Sight(now, before, turned), _Sight(before, now, pairs))
    return Changes(
        [change for pair in pairs if (change := _media(pair)) is not None],
        list(_statements("cause", "reason", before["causes"], now["causes"], pairs, sights)),
        list(_statements("condition", "status", before["conditions"], now["conditions"], pairs, sights)),
    )


def join(before: Sequence[Row], now: Sequence[Row]) -> list[Pair]:
    """The people of two cases, each with his counterpart: by nick, else endpoint, else address.

    A name that several people of one case share joins nobody, nor does an address where both have nicks, which differ.
    """
    old, new = list(before), list(now)
    matched: list[tuple[int, int]] = []
    for names in (_nick, _endpoints, _public, _addresses):
        left = [i for i in range(len(old)) if i not in {a for a, _ in matched}]
        right = [j for j in range(len(new)) if j not in {b for _, b in matched}]
        for i in left:
            own = names(old[i])
            others = {name for k in range(len(old)) if k != i for name in names(old[k])}
            there = [j for j in right if (own - others) & names(new[j])]
            if len(there) != 1:
                continue
            j = there[0]
            shared = (own - others) & names(new[j])
            doubled = all(any(name in names(new[k]) for k in range(len(new)) if k != j) for name in shared)
            if not doubled and not _differ(old[i], new[j]) and j not in {b for _, b in matched}:
                matched.append((i, j))
    joined = [Pair(old[i], new[j]) for i, j in sorted(matched, key=lambda pair: pair[1])]
    joined += [Pair(None, row) for j, row in enumerate(new) if j not in {b for _, b in matched}]
    return joined + [Pair(row, None) for i, row in enumerate(old) if i not in {a for a, _ in matched}]


def _nick(row: Row) -> set[str]:
    return {str(row["nick"])} if row.get("nick") else set()


def _endpoints(row: Row) -> set[str]:
    return set(map(str, row.get("endpoints") or ()))


def _addresses(row: Row) -> set[str]:
    return set(map(str, row.get("addresses") or ()))


def _public(row: Row) -> set[str]:
    return {each for each in _addresses(row) if not is_private(each)}


def _differ(row: Row, other: Row) -> bool:
    return bool(row.get("nick") and other.get("nick") and row["nick"] != other["nick"])


def _media(pair: Pair) -> PersonChange | None:
    """What became of somebody's media."""
    before, now = pair.before, pair.now
    if before is None or now is None:
        there = (now or before or {}).get("media_path")
        kind = "only-now" if before is None else "only-before"
        return PersonChange(pair.id, kind, None if before is None else there, there if before is None else None)
    old, new = before.get("media_path"), now.get("media_path")
    if old in UNSEEN or new in UNSEEN:
        return None if old in UNSEEN and new in UNSEEN else PersonChange(pair.id, "unseen", old, new)
    if old == new == "none":
        causes = (before.get("cause"), now.get("cause"))
        return PersonChange(pair.id, "other-cause", old, new) if causes[0] != causes[1] else None
    if old == new:
        return None
    kind = "has-media" if old == "none" else "lost-media" if new == "none" else "other-path"
    return PersonChange(pair.id, kind, old, new)


class _Sight:
    """Whether one side's evidence (``now``) would show what the other side's (``before``) did."""

    def __init__(self, before: Row, now: Row, pairs: list[Pair]) -> None:
        self._kinds = {str(piece.get("path")): str(piece.get("kind")) for piece in before["inputs"]}
        self._now = {str(piece.get("kind")) for piece in now["inputs"]}
        self._keys = "key-log" in self._kinds.values() and "key-log" not in self._now
        self._by_id = {str(pair.before.get("id")): pair for pair in pairs if pair.before is not None}
        paths = {person.get("media_path") for person in now["participants"]}
        self._bridge = bool(paths & {"jvb-udp", "turn-udp", "turn-tcp", "turn-tls"})

    def shows(self, kind: str, row: Row, who: str | None) -> bool:
        """Whether it would show on this side, for somebody or the server, if it held there."""
        pair = self._by_id.get(who or "")
        if who is not None and (pair is None or pair.now is None):
            return kind == "cause" and row.get("cause") in _OF_SERVER and self._bridge
        flows = pair is not None and pair.now is not None and pair.now.get("media_path") not in (*UNSEEN, "none")
        if kind == "cause" and (flows or (row.get("cause") in _OF_SERVER and self._bridge)):
            return True
        if kind == "cause" and pair is not None and pair.now is not None and pair.now.get("media_path") == "none":
            return pair.now.get("cause") not in (None, *OPEN)  # of one with another cause; of an open one it may stay
        shown = {self._kinds.get(str(place.get("input")), "") for place in row.get("evidence") or ()}
        if self._keys and shown <= {"capture"}:
            return False
        return bool(shown & self._now)


class _Sights(NamedTuple):
    """What each side's evidence could show of the other's."""

    before: _Sight
    now: _Sight


def _statements(
    kind: str, second: str, before: Sequence[Row], now: Sequence[Row], pairs: list[Pair], sights: _Sights
) -> Iterator[StatementChange]:
    """Causes or conditions by name: for whom each went, came, stayed, or is out of sight."""
    label = {str(pair.before.get("id")): pair.id for pair in pairs if pair.before is not None}
    for name in dict.fromkeys(str(row.get(kind)) for row in (*before, *now)):
        if name in OPEN:
            continue
        old = [row for row in before if row.get(kind) == name]
        new = [row for row in now if row.get(kind) == name]
        reasons = ({row.get(second) for row in old} - {None}, {row.get(second) for row in new} - {None})
        first: Callable[[Iterable[Any]], Any] = lambda words: next(iter(sorted(words, key=str)), None)  # noqa: E731
        if reasons[0] and reasons[1] and not reasons[0] & reasons[1]:  # the same word for another thing
            yield StatementChange(kind, name, first(reasons[0]), "went", _who(old, label))
            yield StatementChange(kind, name, first(reasons[1]), "came", _who(new, {}))
            continue
        yield from _one(kind, name, first(reasons[1] or reasons[0]), old, new, label, sights)


def _one(
    kind: str, name: str, reason: Any, old: list[Row], new: list[Row], label: Mapping[str, str], sights: _Sights
) -> Iterator[StatementChange]:
    were, are = _who(old, label), _who(new, {})
    if old and new and (were is None or are is None):
        yield StatementChange(kind, name, reason, "stayed", are or were)
        return
    stayed = tuple(who for who in are or () if who in (were or ()))
    if stayed:
        yield StatementChange(kind, name, reason, "stayed", stayed)
    for rows, names, sight, words in (
        (new, {}, sights.before, ("came", "unseen-before")), (old, label, sights.now, ("went", "unseen")),
    ):  # fmt: skip
        for what, people in _on_one_side(kind, rows, names, sight, words, stayed).items():
            yield StatementChange(kind, name, reason, what, people or None)


def _on_one_side(
    kind: str, rows: list[Row], label: Mapping[str, str], sight: "_Sight", words: tuple[str, str], stayed: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Those for whom it holds on one side alone, by whether the other side's evidence would have shown it."""
    by_change: dict[str, list[str]] = {}
    for row in rows:
        who = row.get("participants")
        if who is None:
            by_change.setdefault(words[0] if sight.shows(kind, row, None) else words[1], [])
        for participant in who or ():
            name = label.get(str(participant), str(participant))
            if name not in stayed:
                by_change.setdefault(words[0] if sight.shows(kind, row, str(participant)) else words[1], []).append(
                    name
                )
    return {what: tuple(dict.fromkeys(names)) for what, names in by_change.items()}


def _who(rows: Sequence[Row], label: Mapping[str, str]) -> tuple[str, ...] | None:
    """For whom it holds, by the names of the newer case; None where a row names nobody."""
    if any(row.get("participants") is None for row in rows):
        return None
    return tuple(dict.fromkeys(label.get(str(who), str(who)) for row in rows for who in row.get("participants") or ()))


def _person(person: PersonChange) -> str:
    before, now = (_WAYS.get(path or "", path or "") for path in (person.before, person.now))
    unseen = "not to be seen"
    if person.change == "unseen":
        old = unseen if person.before in UNSEEN else "none" if person.before == "none" else before
        new = unseen if person.now in UNSEEN else "none" if person.now == "none" else now
        return f"UNSEEN  {person.id}: media {new} now, {old} before: no comparison"
    if person.change in ("only-now", "only-before"):
        path = person.now if person.change == "only-now" else person.before
        had = unseen if path in UNSEEN else str(path)
        return (
            f"UNSEEN  {person.id} is in the {'newer' if person.change == 'only-now' else 'older'} case alone "
            f"(media: {had})"
        )
    words = {
        "has-media": f"has media now {now}, had none before", "lost-media": f"has no media now, had them {before}",
        "other-path": f"has media {now} now, {before} before", "other-cause": "has no media, for another cause",
    }  # fmt: skip
    return f"MEDIA   {person.id} {words[person.change]}"


def _statement(statement: StatementChange) -> str:
    who = f" ({', '.join(statement.participants)})" if statement.participants else ""
    slug = f"[{statement.name}{f'/{statement.reason}' if statement.reason is not None else ''}]"
    words = statement.words[:1].upper() + statement.words[1:]
    if statement.change.startswith("unseen"):
        which = ("this held", "older") if statement.change == "unseen-before" else ("this still holds", "newer")
        return f"UNSEEN  Whether {which[0]}{who} is not to be seen in the {which[1]} evidence: {statement.words} {slug}"
    return f"{statement.change.upper():7} {words}{who} {slug}"
