"""What changed since an older case."""

from jitsilab.judge.diagnosis.changes import Changes, PersonChange, StatementChange
from jitsilab.pages.casereport.document import Mark, Paragraph, Row, Section, Table, text

ONE_LINE = 1 << 20
TONES = {
    "has-media": "good", "lost-media": "bad", "other-path": "plain", "other-cause": "warn", "went": "good",
    "came": "bad", "stayed": "warn",
}  # fmt: skip


def section(changed: Changes) -> Section:
    """Who has media now, which causes and conditions went, came and stayed."""
    chapter = Section("since", "What changed since the older case")
    every: list[PersonChange | StatementChange] = [*changed.people, *changed.causes, *changed.conditions]
    if not every:
        chapter.blocks.append(Paragraph(text("Nothing changed: nobody's media, no cause and no condition.")))
        return chapter
    lines = changed.to_text(ONE_LINE).splitlines()[-len(every) :]
    table = Table("since-table", text("Media, causes and conditions beside the older case."), ["Change", "What"], [])
    for change, line in zip(every, lines, strict=True):
        word, _, words = line.partition(" ")
        table.rows.append(Row([text(Mark(word.lower(), TONES.get(change.change, "open"))), text(words.strip())]))
    chapter.blocks.append(table)
    return chapter
