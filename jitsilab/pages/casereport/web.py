"""The report as one HTML file: no network, no inline handlers, a policy that lets nothing run but its own script."""

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib import resources

from jitsilab.pages.casereport import ladder_svg
from jitsilab.pages.casereport.document import (
    Card,
    Change,
    Code,
    Commands,
    Document,
    Ladder,
    Link,
    Mark,
    Paragraph,
    Part,
    Section,
    Strong,
    Table,
    Text,
    words,
)
from jitsilab.pages.markdown import visible

LONGEST = 3000  # characters of one part
WORD = 22  # characters of a word that a column has to be wide enough for: an IPv4 address with its port
MANY = 5  # columns that no telephone shows side by side
SORTED = 3  # rows from which a table is worth sorting
LAYERS = {
    "tls": "TLS", "jingle": "offer and answer", "ice": "ICE", "turn": "TURN", "dtls": "DTLS", "media": "media",
    "lines": "what programs say",
}  # fmt: skip


@cache
def _asset(name: str) -> str:
    return (resources.files("jitsilab.pages.casereport") / "assets" / name).read_text(encoding="utf-8")


def script() -> str:
    """The page's own script, as it stands in the page."""
    match = re.search(r"<script>(.*?)</script>", _asset("casereport.html"), re.DOTALL)
    assert match is not None
    return match[1]


def policy() -> str:
    """The Content-Security-Policy: this script and this style by their hashes, nothing else, and no network."""
    hashes = {name: _hash(code) for name, code in (("script", script()), ("style", _asset("casereport.css")))}
    return (
        f"default-src 'none'; script-src '{hashes['script']}'; style-src '{hashes['style']}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(code: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}"


def page(document: Document) -> str:
    """The whole file."""
    values = {
        "policy": escape(policy()), "title": _words(document.title), "style": _asset("casereport.css"),
        "subtitle": _text(document.subtitle), "tone": document.tone, "verdict": _words(document.verdict, LONGEST),
        "contents": _contents(document), "cards": "".join(map(_card, document.cards)),
        "ladder": "".join(map(_ladder, document.ladders[:1])),
        "ladders": "".join(map(_folded, document.ladders[1:])),
        "notices": _notices(document.notices), "sections": _sections(document.sections),
    }  # fmt: skip
    return re.sub(r"\$(\w+)\$", lambda match: values[match[1]], _asset("casereport.html"))


def _words(value: object, most: int = LONGEST) -> str:
    return escape(visible(value, most))


def _text(parts: Text) -> str:
    return "".join(map(_part, parts))


def _part(part: Part) -> str:
    if isinstance(part, str):
        return _words(part)
    shown = _words(part.words)
    if isinstance(part, Link):
        return f'<a href="#{escape(part.to)}">{shown}</a>'
    if isinstance(part, Code):
        return f"<code><bdi>{shown}</bdi></code>"
    if isinstance(part, Mark):
        return f'<span class="mark {part.tone}">{shown}</span>'
    assert isinstance(part, Strong)
    return f"<strong>{shown}</strong>"


def _contents(document: Document) -> str:
    """Links to every section, the smaller ones inside the larger."""
    items = ['<li><a href="#top">Verdict</a></li>']
    if document.ladders:
        items.append(f'<li><a href="#{document.ladders[0].id}">Ladder</a></li>')
    for section in document.sections:
        kind = ' class="sub"' if section.level > 2 else ""
        items.append(f'<li{kind}><a href="#{section.id}">{_words(section.title)}</a></li>')
    return f"<ul>{''.join(items)}</ul>"


def _card(card: Card) -> str:
    facts = "".join(f"<div><dt>{_words(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in card.facts)
    return (
        f'<article class="card {card.tone}" id="{card.id}"><h2><bdi>{_words(card.name, 90)}</bdi> '
        f'<span class="mark {card.tone}">{_words(card.state)}</span></h2>'
        f'<p class="lead">{_text(card.lead)}</p>{_change(card.change)}'
        f"{'<dl>' + facts + '</dl>' if facts else ''}</article>"
    )


def _change(change: Change | None) -> str:
    if change is None:
        return ""
    if change.like:
        return f'<div class="change"><p><b>Change</b> {_text(change.like)}</p></div>'
    parts = [f"<p><b>Change</b> {_words(change.text)}</p>"]
    if change.line:
        name = f"<figcaption>{_words(change.file)}</figcaption>" if change.file else ""
        shown = f'<pre tabindex="0"><code>{_lines(change.line)}</code></pre>'
        parts.append(f"<figure>{name}{shown}</figure>")
    if change.docker:
        parts.append(
            "<figure><figcaption>.env (docker-jitsi-meet)</figcaption>"
            f'<pre tabindex="0"><code>{_lines(change.docker)}</code></pre></figure>'
        )
    if change.then:
        parts.append(f"<p>Then: <code>{_words(change.then)}</code></p>")
    if change.opens:
        parts.append(f'<p class="soft">{_words(change.opens)}</p>')
    return f'<div class="change">{"".join(parts)}</div>'


def _lines(lines: str) -> str:
    return "\n".join(_words(line) for line in lines.split("\n"))


def _notices(cards: Iterable[Card]) -> str:
    shown = "".join(map(_card, cards))
    return f'<section class="notices" aria-label="Conditions and gravest findings">{shown}</section>' if shown else ""


def _folded(ladder: Ladder) -> str:
    """The ladder of one more capture."""
    return f"<details><summary>Ladder: {_text(ladder.caption)}</summary>{_ladder(ladder)}</details>"


def _ladder(ladder: Ladder) -> str:
    """The drawing with what filters it; each row links to its fields in the evidence."""
    across, down = ladder_svg.width(ladder), ladder_svg.ROW * len(ladder.events)
    layers = [layer for layer in LAYERS if any(event.kind == layer for event in ladder.events)]
    people = "".join(
        f'<label><input type="checkbox" checked data-lane="{ladder.lanes.index(name)}"> '
        f"<bdi>{_words(name, 40)}</bdi></label>"
        for name in ladder.people
    )
    kinds = "".join(
        f'<label><input type="checkbox" checked data-kind="{layer}"> {LAYERS[layer]}</label>' for layer in layers
    )
    more = f" {ladder.left_out:,} later events are left out." if ladder.left_out else ""
    return (
        f'<figure class="ladder" id="{ladder.id}"><div class="tools" role="group" aria-label="What the ladder shows">'
        f"{f'<fieldset class=filter><legend>Who</legend>{people}</fieldset>' if people else ''}"
        f'<fieldset class="filter"><legend>Layer</legend>{kinds}</fieldset>'
        '<span class="zoom"><button type="button" data-zoom="0.8" aria-label="Smaller">−</button>'
        '<button type="button" data-zoom="1.25" aria-label="Larger">+</button></span></div>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Ladder of messages">'
        f'<svg class="lanes" width="{across}" height="{ladder_svg.HEAD}" viewBox="0 0 {across} {ladder_svg.HEAD}" '
        f'aria-hidden="true">{ladder_svg.head(ladder)}</svg>'
        f'<svg class="rows" width="{across}" height="{down}" viewBox="0 0 {across} {down}" '
        f'role="group" aria-label="Events in order of time">{ladder_svg.rows(ladder)}</svg></div>'
        '<div class="chosen" aria-live="polite"><p class="soft">Choose a row to see the fields of its message.</p>'
        f"</div><figcaption>{_text(ladder.caption)} Dashed: read from the length of an encrypted record.{more}"
        "</figcaption></figure>"
    )


def _sections(sections: Iterable[Section]) -> str:
    parts, opened = [], False
    for section in sections:
        if section.level == 2:
            parts.append("</section>" if opened else "")
            parts.append(f'<section id="{section.id}"><h2>{_words(section.title)}</h2>')
            parts.append("".join(map(_block, section.blocks)))
            opened = True
        else:
            state = "" if section.folded else " open"
            parts.append(f'<details id="{section.id}"{state}><summary><h3>{_words(section.title)}</h3></summary>')
            parts.append(f"{''.join(map(_block, section.blocks))}</details>")
    return "".join(parts) + ("</section>" if opened else "")


def _block(block: "Paragraph | Commands | Table") -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_text(block.text)}</p>"
    if isinstance(block, Commands):
        return f'<pre class="commands" tabindex="0"><code>{_lines(block.lines)}</code></pre>'
    return _table(block)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col"{_right(table, i)}>{_words(name)}</th>' for i, name in enumerate(table.columns))
    body = "".join(
        f"<tr{_id(row.id)}{_tone(row.tone)}>"
        + "".join(f"<td{_right(table, i, words(cell))}>{_text(cell)}</td>" for i, cell in enumerate(row.cells))
        + "</tr>"
        for row in table.rows
    )
    many = ' class="many"' if len(table.columns) >= MANY else ""
    sortable = " data-sortable" if len(table.rows) >= SORTED else ""
    more = ""
    if table.left_out:
        how = f"; all: <code>{_words(table.command)}</code>" if table.command else ""
        more = f'<p class="soft">{table.left_out:,} more are left out{how}.</p>'
    return (
        f'<div class="table" id="{table.id}"><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{_words(words(table.caption))}">'
        f"<table{many}{sortable}><caption>{_text(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>{more}</div>"
    )


def _right(table: Table, column: int, cell: str = "") -> str:
    """Numbers stand to the right; a word longer than people write may be broken anywhere."""
    kinds = ["number"] if column in table.numbers else []
    kinds += ["long"] if any(len(word) > WORD for word in cell.split()) else []
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _id(own: str) -> str:
    return f' id="{escape(own)}"' if own else ""


def _tone(tone: str) -> str:
    return f' class="{tone}"' if tone else ""
