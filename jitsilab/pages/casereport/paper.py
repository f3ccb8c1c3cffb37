"""The report as PDF, set by typst; text reaches it as string literals alone, so nothing of a capture is markup."""

import tempfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from jitsilab.errors import LabError
from jitsilab.pages.casereport import ladders
from jitsilab.pages.casereport.document import (
    Card,
    Change,
    Code,
    Commands,
    Document,
    Event,
    Ladder,
    Link,
    Mark,
    Paragraph,
    Part,
    Section,
    Strong,
    Table,
    Text,
)
from jitsilab.pages.markdown import visible

LONGEST = 1200  # characters of one part
SHORT = 14  # characters of a column that takes what it needs
MOST_EVENTS = 120  # of the ladder on paper


def pdf(document: Document) -> bytes | None:
    """The PDF, or None where typst is not installed."""
    try:
        import typst
    except ImportError:
        return None
    with tempfile.TemporaryDirectory(prefix="jitsilab-") as folder:
        main = Path(folder) / "report.typ"
        main.write_text(source(document), encoding="utf-8")
        try:
            made = typst.compile(str(main), root=folder, format="pdf", timestamp=0)
        except typst.TypstError as error:
            raise LabError(f"typst cannot set the report: {error.message}") from error
    return bytes(made)


def source(document: Document) -> str:
    """The report as typst reads it."""
    head = (resources.files("jitsilab.pages.casereport") / "assets" / "casereport.typ").read_text(encoding="utf-8")
    there = _ids(document)
    about = _text(document.subtitle, there)
    opening = f'#opening({_string(document.title)}, {_string(document.verdict)}, [{about}], "{document.tone}")'
    parts = [head, opening]
    parts += [_card(card, there) for card in document.cards]
    parts += [_ladder(ladders.without_lines(ladder), there) for ladder in document.ladders[:1]]
    if document.notices:
        parts += ["= Conditions and gravest findings", *(_card(card, there) for card in document.notices)]
    for section in document.sections:
        if not section.blocks or any(not isinstance(block, Table) or block.paper for block in section.blocks):
            parts.append(f"{'=' * (section.level - 1)} #{_string(section.title)}; <{section.id}>")
            parts += _blocks(section, there)
    return "\n\n".join(parts) + "\n"


def _ids(document: Document) -> set[str]:
    """What a link may lead to: typst knows no link to what is not there."""
    tables = [block for block in document.blocks() if isinstance(block, Table) and block.paper]
    there = {row.id for table in tables for row in table.rows if row.id}
    there |= {card.id for card in (*document.cards, *document.notices)}
    return there | {section.id for section in document.sections
                    if any(not isinstance(block, Table) or block.paper for block in section.blocks)}  # fmt: skip


def _string(words: object) -> str:
    """A string literal, whatever is in it."""
    shown = visible(words, LONGEST).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def _text(parts: Text, there: set[str]) -> str:
    return "".join(_part(part, there) for part in parts)


def _part(part: Part, there: set[str]) -> str:
    if isinstance(part, str):
        return f"#{_string(part)};"
    shown = _string(part.words)
    if isinstance(part, Link):
        return f"#link(<{part.to}>, {shown});" if part.to in there else f"#{shown};"
    if isinstance(part, Code):
        return f"#code({shown});"
    if isinstance(part, Mark):
        return f'#mark({shown}, "{part.tone}");'
    assert isinstance(part, Strong)
    return f"#strong({shown});"


def _card(card: Card, there: set[str]) -> str:
    facts = "".join(f"({_string(name)}, [{_text(value, there)}]), " for name, value in card.facts)
    change = _change(card.change, there) if card.change is not None else "none"
    return (
        f'#card({_string(card.name)}, {_string(card.state)}, "{card.tone}", [{_text(card.lead, there)}], '
        f"{change}, ({facts})) <{card.id}>"
    )


def _change(change: Change, there: set[str]) -> str:
    if change.like:
        return f"[#strong[Change] {_text(change.like, there)}]"
    parts = [f"#strong[Change] #{_string(change.text)};"]
    for name, lines in ((change.file, change.line), (".env (docker-jitsi-meet)", change.docker)):
        if lines:
            parts.append(f"#lines({_string(name)}, ({_lines(lines)}))")
    if change.then:
        parts.append(f"Then: #code({_string(change.then)});")
    if change.opens:
        parts.append(f"#soft({_string(change.opens)});")
    return "[" + "\n\n".join(parts) + "]"


def _lines(lines: str) -> str:
    return "".join(f"{_string(line)}, " for line in lines.split("\n"))


def _blocks(section: Section, there: set[str]) -> Iterable[str]:
    for block in section.blocks:
        if isinstance(block, Paragraph):
            yield _text(block.text, there)
        elif isinstance(block, Commands):
            yield f'#lines("", ({_lines(block.lines)}))'
        elif block.paper:
            yield _table(block, there)


def _table(table: Table, there: set[str]) -> str:
    head = "".join(f"[#{_string(name)};], " for name in table.columns)
    align = "".join("right, " if i in table.numbers else "left, " for i in range(len(table.columns)))
    body = []
    for row in table.rows:
        cells = [f"[{_text(cell, there)}]" for cell in row.cells]
        if row.id:
            cells[0] = f"[#metadata(none) <{row.id}> {cells[0][1:-1]}]"
        body.append(", ".join(cells) + ",")
    more = f"\n#soft({_string(f'{table.left_out:,} more are left out.')});" if table.left_out else ""
    widths = "".join(f"{part}, " for part in _widths(table))
    rows = "\n".join(body)
    return f"#rows([{_text(table.caption, there)}], ({widths}), ({align}), ({head}),\n{rows}\n){more}"


def _widths(table: Table) -> list[str]:
    """Room for each column by what it holds: short ones as they are, long ones share the rest."""
    widths = []
    for i, name in enumerate(table.columns):
        lengths = sorted(sum(len(p if isinstance(p, str) else p.words) for p in row.cells[i]) for row in table.rows)
        filled = [length for length in lengths if length]
        long = filled[int(len(filled) * 0.9)] if filled else 0
        short = max([len(name), *lengths]) <= SHORT
        widths.append("auto" if short else f"{max(3, min(round(long**0.6), 16))}fr")
    return widths if any(width != "auto" for width in widths) else [*widths[:-1], "1fr"]


def _ladder(ladder: Ladder, there: set[str]) -> str:
    """A row a piece of page, so that the ladder goes on wherever a page ends."""
    lanes = "".join(f"{_string(name)}, " for name in ladder.lanes)
    place = {name: i for i, name in enumerate(ladder.lanes)}
    rows = "".join(_event(event, place) for event in ladder.events[:MOST_EVENTS])
    more = ladder.left_out + max(len(ladder.events) - MOST_EVENTS, 0)
    after = f" {more:,} later events are left out." if more else ""
    caption = (
        f"{_text(ladder.caption, there)} #{_string('Dashed: read from the length of an encrypted record.' + after)};"
    )
    return f"#ladder([{caption}], ({lanes}), ({rows}))"


def _event(event: Event, place: dict[str, int]) -> str:
    return (
        f"({place[event.source]}, {place[event.target]}, {_string(f'{event.seconds:.3f}')}, {_string(event.where)}, "
        f"{_string(visible(event.label, 60))}, {str(event.hidden).lower()}, {str('bad' in event.tone).lower()}), "
    )
