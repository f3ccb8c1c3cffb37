"""What could not be seen, and how to see it."""

from collections.abc import Iterator

from jitsilab import deploy
from jitsilab.pages.casereport.contents import Contents
from jitsilab.pages.casereport.document import Code, Commands, Link, Paragraph, Row, Section, Table, text

MOST_LINES = 80  # of commands


def section(contents: Contents) -> Section:
    """Open questions with what would decide them, then steps and checks that this evidence cannot show."""
    chapter = Section("unseen", "What could not be seen, and how to see it", list(_open(contents)))
    chapter.blocks += [*_unread(contents), *_steps(contents), *_checks(contents), *_commands(contents)]
    if not chapter.blocks:
        chapter.blocks.append(Paragraph(text("This evidence showed everything that was asked.")))
    return chapter


def _open(contents: Contents) -> Iterator[Table]:
    rows = [Row([text(contents.places.shortened(question["question"])), text(question["decided_by"]),
                 text(Code(question["command"]))]) for question in contents.diagnosis.open]  # fmt: skip
    if rows:
        yield Table("open", text("Questions that stay open, and what would decide them."),
                    ["Question", "Decided by", "Command"], rows)  # fmt: skip


def _unread(contents: Contents) -> Iterator[Paragraph]:
    notes = [f"{contents.places.short(row['path'])}: {contents.places.shortened(row['note'])}"
             for row in contents.diagnosis.inputs if row["note"]][:20]  # fmt: skip
    if notes:
        yield Paragraph(text("Of what was given: ", "; ".join(notes), ". ", Link("What was read", "inputs"), "."))


def _steps(contents: Contents) -> Iterator[Table]:
    hidden = contents.steps[contents.steps["verdict"].eq("NOT_OBSERVABLE")] if len(contents.steps) else contents.steps
    if not len(hidden):
        return
    table = Table(
        "unseen-steps", text("Steps of the theory that this evidence cannot show."), ["Step", "Who", "Why not"], []
    )
    for (step, title), rows in hidden.groupby(["step", "title"], sort=True):
        who = list(dict.fromkeys(filter(None, map(str, rows["participant"].fillna("")))))
        notes = dict.fromkeys(str(note) for note in rows["note"] if note)
        more = f" and {len(who) - 4} more" if len(who) > 4 else ""
        table.rows.append(Row([text(f"{step} {title}"), text(", ".join(who[:4]) + more), text("; ".join(notes))]))
    yield table


def _checks(contents: Contents) -> Iterator[Table]:
    rows = [
        Row([text(f"{finding.id} {finding.rule.title}"), text(contents.places.shortened(finding.evidence)),
             text(finding.rule.visible)])
        for finding in contents.findings if finding.result == "NOT_OBSERVABLE"
    ]  # fmt: skip
    if rows:
        yield Table("unseen-checks", text("Security checks that could not be judged, and what would show them."),
                    ["Check", "Why not", "Seen in"], rows)  # fmt: skip


def _commands(contents: Contents) -> Iterator[Paragraph | Commands]:
    unseen = [finding for finding in contents.findings if finding.result == "NOT_OBSERVABLE"]
    lines = deploy.capture_commands(unseen).splitlines() if unseen else []
    if lines:
        yield Paragraph(text("On a server and with browsers of one's own, these commands make visible what was not."))
        yield Commands("\n".join(lines[:MOST_LINES]))
