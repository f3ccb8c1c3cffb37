"""The report as Markdown that GitHub renders as it stands."""

from collections.abc import Iterable, Iterator

from jitsilab.pages import markdown
from jitsilab.pages.casereport.document import (
    Card,
    Change,
    Code,
    Commands,
    Document,
    Link,
    Paragraph,
    Part,
    Section,
    Strong,
    Table,
    Text,
    words,
)

LONGEST = 1200  # characters of one cell
SIGNS = {"bad": "❌", "warn": "⚠️", "good": "✅", "open": "❔"}


def page(document: Document) -> str:
    """The whole file."""
    there = {block.id for block in document.blocks() if isinstance(block, Table) and block.paper}
    there |= {row.id for block in document.blocks() if isinstance(block, Table) and block.paper for row in block.rows}
    there |= {card.id for card in (*document.cards, *document.notices)}
    sections = [section for section in document.sections if not section.blocks or _shown(section)]
    there |= {section.id for section in sections}
    parts = [f"# {_plain(document.title)}", f"**{_plain(document.verdict)}**", _text(document.subtitle, there)]
    parts += [_card(card, there) for card in document.cards]
    if document.ladders:
        parts += ["![The ladder: who told whom what](ladder.svg)", _text(document.ladders[0].caption, there)]
    if document.notices:
        parts += ["## Conditions and gravest findings", *(_card(card, there) for card in document.notices)]
    for section in sections:
        parts.append(f'<a id="{section.id}"></a>\n\n{"#" * section.level} {_plain(section.title)}')
        parts += _blocks(section, there)
    return "\n\n".join(parts) + "\n"


def _shown(section: Section) -> bool:
    return any(not isinstance(block, Table) or block.paper for block in section.blocks)


def _plain(value: object) -> str:
    return markdown.escape(value, LONGEST)


def _text(parts: Text, there: set[str]) -> str:
    return "".join(_part(part, there) for part in parts)


def _part(part: Part, there: set[str]) -> str:
    if isinstance(part, str):
        shown = _plain(part)
        return (" " if part[:1] == " " and shown[:1] != " " else "") + shown
    shown = _plain(part.words)
    if isinstance(part, Link):
        return f"[{shown}](#{part.to})" if part.to in there else shown
    if isinstance(part, Code):
        return _code(part.words)
    return f"**{shown}**" if isinstance(part, Strong) else f"*{shown}*"


def _code(words: str) -> str:
    """A code span, whatever stands in it."""
    shown = markdown.visible(words, LONGEST).replace("|", "\\|")
    if not shown.strip():
        return ""
    fence = "`"
    while fence in shown:
        fence += "`"
    edge = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _card(card: Card, there: set[str]) -> str:
    sign = SIGNS.get(card.tone, "")
    lines = [f'<a id="{card.id}"></a>\n\n### {sign} {_plain(card.name)}: {_plain(card.state)}', _text(card.lead, there)]
    if card.change is not None:
        lines.append(_change(card.change, there))
    if card.facts:
        lines.append("\n".join(f"- {_plain(name)}: {_text(value, there)}" for name, value in card.facts))
    return "\n\n".join(filter(None, lines))


def _change(change: Change, there: set[str]) -> str:
    if change.like:
        return f"**Change:** {_text(change.like, there)}"
    parts = [f"**Change:** {_plain(change.text)}"]
    if change.line:
        parts += [f"In {_code(change.file)}:" if change.file else "", _fenced(change.line)]
    if change.docker:
        parts += ["With docker-jitsi-meet, in `.env`:", _fenced(change.docker)]
    if change.then:
        parts.append(f"Then: {_code(change.then)}")
    parts.append(_plain(change.opens))
    return "\n\n".join(filter(None, parts))


def _fenced(lines: str) -> str:
    body = "\n".join(markdown.visible(line, LONGEST) for line in lines.split("\n"))
    fence = "```"
    while fence in body:
        fence += "`"
    return f"{fence}\n{body}\n{fence}"


def _blocks(section: Section, there: set[str]) -> Iterator[str]:
    for block in section.blocks:
        if isinstance(block, Paragraph):
            yield _text(block.text, there)
        elif isinstance(block, Commands):
            yield _fenced(block.lines)
        elif block.paper:
            yield _table(block, there)


def _table(table: Table, there: set[str]) -> str:
    rule = ["---:" if i in table.numbers else "---" for i in range(len(table.columns))]
    lines = [_row(map(_plain, table.columns)), _row(rule)]
    for row in table.rows:
        cells = [_text(cell, there) for cell in row.cells]
        if row.id:
            cells[0] = f'<a id="{row.id}"></a>{cells[0]}'
        lines.append(_row(cells))
    more = ""
    if table.left_out:
        more = f"\n\n{table.left_out:,} more are left out" + (
            f"; all: {_code(table.command)}." if table.command else "."
        )
    return f"*{_plain(words(table.caption))}*\n\n" + "\n".join(lines) + more


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
