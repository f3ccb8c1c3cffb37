"""The answer for a terminal: verdict, failures, conditions, who is well, what stays open."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jitsilab.judge.causes import CONDITIONS, OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.causes.statement import Statement
from jitsilab.place import Place

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis.answer import Diagnosed, Diagnosis

WIDTH = 100
MOST_PATHS = 6  # that a person wants to read of; JSON has all
_NAMES = {
    "p2p": "directly", "jvb-udp": "over UDP through the bridge", "turn-udp": "over TURN (UDP)",
    "turn-tcp": "over TURN (TCP)", "turn-tls": "over TURN inside TLS",
}  # fmt: skip


def text(answer: "Diagnosis") -> str:
    """The whole answer."""
    parts = [
        verdict(answer),
        *_failures(answer),
        *_conditions(answer),
        *_well(answer),
        *_open(answer),
        *_claims(answer),
    ]
    return "\n\n".join(parts)


def _has_media(one: "Diagnosed") -> bool:
    return one.media_path not in ("none", "not-observable")


def verdict(answer: "Diagnosis") -> str:
    """One line: how many have no media, and why; or what is amiss though all have; or what there is to see."""
    people = answer.people
    without = [one for one in people if one.media_path == "none"]
    unseen = [one for one in people if one.media_path == "not-observable"]
    causes = [f"{words_of(one.name, one.reason)}" for one in answer.causes]
    if without:
        names = ", ".join(one.id for one in without[:4]) + (" and others" if len(without) > 4 else "")
        why = "; ".join(causes) or "the cause stays open"
        how_many = f"{len(without)} of {len(people)} participants {'has' if len(without) == 1 else 'have'} no media"
        return _wrapped(f"{how_many}: {names}: {why}.")
    if causes:
        return _wrapped(f"Broken: {'; '.join(causes)}.")
    if not people:
        held = "; ".join(CONDITIONS[one.name].words for one in answer.conditions)
        if held:
            return _wrapped(f"No cause of missing media shows. But {held}.")
        return _wrapped(_nothing(answer))
    seen = len(people) - len(unseen)
    well = f"{seen} of {len(people)} participants have media, of the others it is not to be seen here"
    if not unseen:
        well = "All have media"
    if not seen:
        well = "Whether media flowed is not to be seen here"
    held = "; ".join(dict.fromkeys(CONDITIONS[one.name].words for one in answer.conditions))
    return _wrapped(f"{well}{', but ' + held if held else ''}.")


def _nothing(answer: "Diagnosis") -> str:
    """What was read, where it shows no call: silence is no health."""
    kinds = ", ".join(dict.fromkeys(str(one["kind"]) for one in answer.inputs))
    notes = "; ".join(f"{one['path']}: {one['note']}" for one in answer.inputs if one["note"])
    said = f"No Jitsi call in this evidence, and no cause of missing media shows ({kinds or 'nothing was read'})."
    could = answer.server.get("could_be")
    hint = f"It could be one ({could}), and nothing shows that it is." if could else ""
    return " ".join(part for part in (said, hint, notes) if part)


def _failures(answer: "Diagnosis") -> Iterator[str]:
    for cause in answer.causes:
        who = ", ".join(cause.participants) if cause.participants else "nobody in particular"
        head = f"{words_of(cause.name, cause.reason)} [{cause.name}{'/' + cause.reason if cause.reason else ''}]"
        lines = [_wrapped(f"FAILED  {head[0].upper() + head[1:]}")]
        lines.append(_wrapped(f"for:    {who} ({cause.certainty})", "  "))
        if cause.detail:
            lines.append(_wrapped(f"seen:   {cause.detail}", "  "))
        lines += _proof(cause.evidence)
        advice = answer.advice.get((cause.name, cause.reason), "")
        if advice:
            lines.append(_wrapped(f"change: {advice}", "  "))
        yield "\n".join(lines)
    for one in answer.people:
        if one.media_path == "none" and one.cause in OPEN:
            open_ = f" (open: {', '.join(one.open_causes)})" if one.open_causes else ""
            lines = [_wrapped(f"FAILED  {one.id}{_addresses(one)}: NO MEDIA, cause {one.cause}{open_}")]
            lines.append(_wrapped(f"came as far as {one.stage}" + (f": {one.note}" if one.note else ""), "  "))
            yield "\n".join([*lines, *_proof(one.evidence)])


def _addresses(one: "Diagnosed") -> str:
    return f" ({', '.join(one.addresses)})" if one.addresses and one.id not in one.addresses else ""


def _proof(evidence: "tuple[Place, ...] | list[Place]") -> list[str]:
    """Frames as a display filter, lines as file:line."""
    frames: dict[str, list[int]] = {}
    others = []
    for place in evidence:
        if place.frame is not None:
            frames.setdefault(place.input, []).append(place.frame)
        else:
            others.append(str(place))
    lines = [
        _wrapped(f"proof:  {input}: frame.number in {{{', '.join(map(str, sorted(set(some))[:12]))}}}", "  ")
        for input, some in frames.items()
    ]  # fmt: skip
    if others:
        more = f" and {len(others) - 6} more" if len(others) > 6 else ""
        lines.append(_wrapped(f"proof:  {', '.join(others[:6])}{more}", "  "))
    return lines


def _conditions(answer: "Diagnosis") -> Iterator[str]:
    for one in answer.conditions:
        status = f" {one.status}" if one.status else ""
        who = f" ({', '.join(one.participants)})" if one.participants else ""
        lines = [_wrapped(f"NOTE    {_sentence(one)}{who} [{one.name}{status}]")]
        if one.detail:
            lines.append(_wrapped(f"seen:   {one.detail}", "  "))
        lines += _proof(one.evidence)
        advice = answer.advice.get((one.name, one.reason), "")
        if advice:
            lines.append(_wrapped(f"change: {advice}", "  "))
        yield "\n".join(lines)


def _sentence(one: Statement) -> str:
    words = CONDITIONS[one.name].words
    return words[0].upper() + words[1:]


def _well(answer: "Diagnosis") -> Iterator[str]:
    lines = []
    for one in answer.people:
        if _has_media(one):
            ways = ", then ".join(
                f"{_NAMES[p.name]} from {p.start:.1f} to {p.end:.1f} s" for p in one.media_paths[:MOST_PATHS]
            )
            if len(one.media_paths) > MOST_PATHS:
                ways += f", then {len(one.media_paths) - MOST_PATHS} more paths to {one.media_paths[-1].end:.1f} s"
            how = ways or _NAMES[one.media_path]
            lines.append(_wrapped(f"OK      {one.id}{_addresses(one)}: media {how} [{one.media_path}]"))
        elif one.media_path == "not-observable":
            why = f": {one.note}" if one.note else ""
            far = f"media not to be seen from here, came as far as {one.stage}"
            lines.append(_wrapped(f"?       {one.id}{_addresses(one)}: {far}{why}"))
    if lines:
        yield "\n".join(lines)


def _open(answer: "Diagnosis") -> Iterator[str]:
    lines = []
    for one in answer.open:
        told = one["command"] if one["command"] == one["decided_by"] else f"{one['decided_by']}: {one['command']}"
        lines.append(_wrapped(f"OPEN    {one['question']}; what would tell is {told}"))
    if lines:
        yield "\n".join(dict.fromkeys(lines))


def _claims(answer: "Diagnosis") -> Iterator[str]:
    for one in answer.hypotheses:
        yield _wrapped(f"Claim {one['verdict'].upper()}: {one['claim']} {one['note']}")


def _wrapped(words: str, indent: str = "") -> str:
    return textwrap.fill(
        words, WIDTH, initial_indent=indent, subsequent_indent=indent + "        ", break_long_words=False
    )
