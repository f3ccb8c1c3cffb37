"""Questions for students, made from a capture: what is asked and what is right both come out of its tables.

A question whose answer the capture does not show is left out, so that any capture can be set as an exercise.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from html import escape
from typing import Any

from jitsilab import ip
from jitsilab.call import Call


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, every right answer, and how one finds it."""

    text: str
    right: frozenset[str]
    hint: str
    solution: str

    def check(self, answer: object) -> bool:
        """Whether an answer is right; case and blanks around it do not count."""
        return str(answer).strip().casefold() in {accepted.casefold() for accepted in self.right}


class Sheet:
    """The questions of one call, as a notebook shows them."""

    def __init__(self, call: Call) -> None:
        made = (make(call) for make in _QUESTIONS)
        self.questions = [question for question in made if question is not None]

    def check(self, number: int, answer: object) -> str:
        """Right, or the hint."""
        if not 1 <= number <= len(self.questions):
            return f"There are questions 1 to {len(self.questions)}."
        question = self.questions[number - 1]
        return "Right." if question.check(answer) else f"Not yet. {question.hint}"

    def _repr_html_(self) -> str:
        items = (
            f"<li><p>{escape(question.text)}</p><details><summary>Solution</summary><p>{escape(question.solution)}</p></details></li>"
            for question in self.questions
        )
        return f"<ol>{''.join(items)}</ol>"

    def __str__(self) -> str:
        return "\n".join(f"{number}. {question.text}" for number, question in enumerate(self.questions, 1))


def _made(text: str, right: Collection[Any], hint: str, how: str) -> Question | None:
    answers = [str(answer) for answer in right]
    if not answers:
        return None
    shown = ", ".join(answers[:4]) + (" and others" if len(answers) > 4 else "")
    return Question(text, frozenset(answers), hint, f"{shown}. {how}")


def _people(call: Call) -> Question | None:
    return _made(
        "How many participants does this call have?", [len(call.participants)] if len(call.participants) else [],
        "Whoever opens the page and the signaling connection is one: look at the flows to the server's port 443.",
        "call.participants lists them.",
    )  # fmt: skip


def _server(call: Call) -> Question | None:
    stun = call.table("stun")
    if stun is None or stun.empty:
        return None
    outer = stun[stun["depth"].eq(0) & stun["transport"].eq("udp") & stun["mapped_address"].notna()]
    private = {str(address) for address in outer["src"] if ip.is_private(str(address))}
    return _made(
        "Behind a one-to-one NAT a server sees itself under a private address. Which one sends STUN answers here?",
        private, "Binding success responses come from it.", "call.stun, message_class success, column src.",
    )  # fmt: skip


def _first_check(call: Call) -> Question | None:
    stun = call.table("stun")
    if stun is None:
        return None
    checks = stun[stun["method"].eq("Binding") & stun["message_class"].eq("request") & stun["priority"].notna()]
    return _made(
        "In which frame is the first connectivity check of ICE?", list(checks["frame"].head(1)),
        "A check is a Binding request with PRIORITY (RFC 8445 section 7.1.1).", "The first such row of call.stun.",
    )  # fmt: skip


def _unauthorized(call: Call) -> Question | None:
    stun = call.table("stun")
    if stun is None:
        return None
    errors = stun[stun["method"].eq("Allocate") & stun["error_code"].notna()]
    return _made(
        "A first Allocate without credentials is always refused. With which code?",
        [int(code) for code in errors["error_code"].unique() if int(code) == 401][:1],
        "RFC 8489 section 9.2: the server answers with a realm and a nonce.",
        "The client then sends it again, with MESSAGE-INTEGRITY.",
    )  # fmt: skip


def _refused(call: Call) -> Question | None:
    stun = call.table("stun")
    if stun is None:
        return None
    errors = stun[stun["method"].eq("CreatePermission") & stun["error_code"].eq(403)]
    return _made(
        "Which frames refuse a permission? One of them is enough.", list(errors["frame"]),
        "The method is CreatePermission, the class error.", "The relay's configuration denies the peer's address.",
    )  # fmt: skip


def _path(call: Call) -> Question | None:
    for person in call.diagnosis.people:
        if person.media_path not in ("none", "not-observable"):
            return _made(
                f"Which way did the media of {person.id} take? (p2p, jvb-udp, turn-udp, turn-tcp, turn-tls)",
                [person.media_path], "Look for the flow with SRTP of both directions, and who is at its other end.",
                "call.media lists every stream with its flow.",
            )  # fmt: skip
    return None


def _cause(call: Call) -> Question | None:
    for person in call.diagnosis.people:
        if person.media_path == "none" and person.cause and person.cause != "undetermined":
            return _made(
                f"{person.id} has no media. Which cause of docs/causes.md is it?", [person.cause],
                "Ask in the order of a session: signaling, focus, bridge, address, UDP, TURN, handshake.",
                f"Frames {', '.join(str(frame) for frame in person.frames[:4])} prove it.",
            )  # fmt: skip
    return None


_QUESTIONS: tuple[Callable[[Call], Question | None], ...] = (
    _people, _server, _first_check, _path, _unauthorized, _refused, _cause,
)  # fmt: skip
