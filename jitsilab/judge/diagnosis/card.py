"""The answer for a notebook: verdict, who has media and who has none, what to change; all of it escaped."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from jitsilab import terminal
from jitsilab.judge.causes import CONDITIONS, OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.diagnosis.text import verdict

if TYPE_CHECKING:
    from jitsilab.judge.diagnosis.answer import Diagnosed, Diagnosis

MOST = 12  # people of a card; the table has all
_COLOURS = {"bad": "#c0392b", "warn": "#b7791f", "good": "#2f8f5b", "open": "#7a828e"}
_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0;border:0"


def card(answer: "Diagnosis", name: str = "") -> str:
    """One box of HTML without script, style sheet or link."""
    order = {"none": 0, "not-observable": 1}
    people = sorted(answer.people, key=lambda person: order.get(person.media_path, 2))
    colour = _COLOURS[_tone(answer)]
    parts = [
        f'<div style="border-left:4px solid {colour};padding:4px 0 4px 12px;max-width:62em">',
        f'<div style="opacity:.7">{_words(name)}</div>' if name else "",
        f'<div style="font-size:1.15em;font-weight:600">{_words(verdict(answer))}</div>',
    ]
    if people:
        rows = "".join(_row(person) for person in people[:MOST])
        parts.append(
            f'<div style="overflow-x:auto" tabindex="0"><table style="border:0;margin:6px 0">{rows}</table></div>'
        )
    if len(people) > MOST:
        parts.append(f"<div>{len(people) - MOST} more: <code>call.participants</code></div>")
    parts += _changes(answer)
    parts += [f"<div>Open: {_words(question['question'])}: <code>{_words(question['command'])}</code></div>"
              for question in answer.open[:MOST]]  # fmt: skip
    return "".join([*parts, "</div>"])


def _tone(answer: "Diagnosis") -> str:
    if answer.causes or any(person.media_path == "none" for person in answer.people):
        return "bad"
    if answer.conditions:
        return "warn"
    return "good" if any(person.media_path != "not-observable" for person in answer.people) else "open"


def _row(person: "Diagnosed") -> str:
    tone = "bad" if person.media_path == "none" else "open" if person.media_path == "not-observable" else "good"
    why = "" if person.cause is None or person.cause in OPEN else words_of(person.cause, person.reason)
    frames = f"frame{'s' * (len(person.frames) > 1)} {', '.join(map(str, person.frames[:6]))}" if person.frames else ""
    words = "; ".join(filter(None, (why, *(CONDITIONS[each.name].words for each in person.conditions))))
    sign = f'<span style="color:{_COLOURS[tone]}">●</span>'
    cells = (f"{sign}&nbsp;<b>{_words(person.id)}</b>", _words(", ".join(person.addresses)), _words(person.media_path),
             _words(words), _words(frames))  # fmt: skip
    styles = (_CELL, _CELL, f"{_CELL};white-space:nowrap", _CELL, _CELL)
    return (
        "<tr>"
        + "".join(f'<td style="{style}">{cell}</td>' for style, cell in zip(styles, cells, strict=True))
        + "</tr>"
    )


def _changes(answer: "Diagnosis") -> Iterator[str]:
    """What to change, each once: in words, then the lines to have in a file."""
    for advice in dict.fromkeys(answer.advice.values()):
        file = f"<div><code>{_words(advice.file)}</code></div>" if advice.file and advice.line else ""
        line = f'<pre style="margin:2px 0">{_words(advice.line)}</pre>' if advice.line else ""
        yield f'<div style="margin-top:4px"><b>Change:</b> {_words(advice.text)}</div>{file}{line}'


def _words(text: str) -> str:
    return escape(terminal.printable(text))
