"""The story, step by step: theory beside practice, what programs said, what the security checks found."""

from collections.abc import Iterable, Iterator

import pandas as pd

from jitsilab.judge.causes import OPEN
from jitsilab.judge.causes.catalogue import words_of
from jitsilab.judge.findings import SEVERITIES, Finding
from jitsilab.judge.theory import RANK
from jitsilab.pages.casereport import cards, ladders
from jitsilab.pages.casereport.contents import Contents, plain
from jitsilab.pages.casereport.document import (
    Block,
    Code,
    Link,
    Mark,
    Paragraph,
    Part,
    Row,
    Section,
    Table,
    Text,
    joined,
    text,
)
from jitsilab.place import Place, of_text
from jitsilab.tables.evidence import EVENTS

MOST_PEOPLE = 8  # whom a cell of the story names
MOST_SAID = 80  # rows of what sources say
VERDICTS = {  # verdict: its word here, its tone
    "CONFORMS": ("as the text has it", "good"), "DEVIATES": ("otherwise", "bad"),
    "NOT_OBSERVED": ("missing", "warn"), "INFO": ("to know", "plain"), "NOT_OBSERVABLE": ("not to be seen", "open"),
    "NOT_APPLICABLE": ("does not apply", "plain"),
}  # fmt: skip
RANKS = [verdict.value for verdict in RANK]
SIDE = ("NOT_APPLICABLE", "NOT_OBSERVABLE")


def section(contents: Contents) -> Iterator[Section]:
    """All that is told in order."""
    steps = list(_steps(contents))
    spoken = list(_said(contents))
    if steps or spoken:
        yield Section("story", "The story, step by step", steps)
    if spoken:
        yield Section("said", "What every source says, on one clock", spoken, level=3)
    yield Section("security", "Security of session creation", list(_security(contents)))


def _steps(contents: Contents) -> Iterator[Block]:
    rows = contents.steps
    if not len(rows) or rows["participant"].fillna("").eq("").all():
        if contents.call.packets:
            yield Paragraph(text("Nothing shows a participant of a Jitsi call, so no step of the theory applies."))
        return
    shown = rows[~rows["verdict"].isin(SIDE)]
    counts = rows.drop_duplicates(["step", "participant", "capture"])["verdict"].value_counts()
    yield Paragraph(
        text(
            f"The specifications order the creation of a session into {rows['step'].nunique()} steps. Below are those "
            f"of which this evidence tells something; {int(counts.get('NOT_OBSERVABLE', 0))} times a step is not to be "
            "seen from here (", Link("what would show it", "unseen"), "), and a step that cannot be seen is never "
            "taken for one that did not happen. ", Link("All steps", "steps-all"), ".",
        )
    )  # fmt: skip
    causes = _causes(contents)
    table = Table("steps", text("Theory and practice, in the order of a session."),
                  ["Step", "How it went", "What was seen", "Frames", "Leads to"], [])  # fmt: skip
    for step, group in shown.groupby("step", sort=True):
        table.rows.append(_step(str(step), group, contents, causes))
    yield table


def _step(
    step: str, rows: pd.DataFrame, contents: Contents, causes: "dict[int, tuple[Link, set[int], set[str]]]"
) -> Row:
    own = Link(step, f"step-{step}")
    best = min(rows["verdict"], key=RANKS.index)
    went: list[Text] = []
    for verdict in sorted(set(rows["verdict"]), key=RANKS.index):
        who = list(dict.fromkeys(rows.loc[rows["verdict"] == verdict, "participant"]))
        names = ", ".join(map(str, who[:MOST_PEOPLE])) + (
            f" and {len(who) - MOST_PEOPLE} more" if len(who) > MOST_PEOPLE else ""
        )
        word, tone = VERDICTS[verdict]
        went.append(text(Mark(word, tone), f" {names}"))
    worst = rows[rows["verdict"] == best]
    notes = list(dict.fromkeys(note for note in worst["note"] if note))
    frames = {(int(row.capture), int(frame)) for row in worst.itertuples() for frame in row.frames}
    linked = [contents.places.frame(frame, own, contents.places.captures[capture]) for capture, frame in sorted(frames)]
    more = f" and {len(linked) - 6} more" if len(linked) > 6 else ""
    leads: list[Link] = []
    if best in ("DEVIATES", "NOT_OBSERVED"):
        whose = {str(participant) for participant in worst["participant"]}
        numbers = {frame for _, frame in frames}
        leads = [
            link for link, proof, whom in causes.values() if (proof & numbers) or (best == "DEVIATES" and whom & whose)
        ]
    title = rows["title"].iloc[0]
    return Row(
        [text(f"{step} {title}"), joined(went, "; "), text("; ".join(notes[:3])), text(joined(linked[:6]), more),
         joined(leads[:MOST_PEOPLE])], own.to, {"DEVIATES": "bad", "NOT_OBSERVED": "warn"}.get(best, ""),
    )  # fmt: skip


def _causes(contents: Contents) -> "dict[int, tuple[Link, set[int], set[str]]]":
    """Each cause with the card that tells it, the frames that prove it, and whom it holds for."""
    by_number = {}
    order = {"none": 0, "not-observable": 1}
    people = sorted(contents.diagnosis.people, key=lambda person: order.get(person.media_path, 2))
    for number, person in enumerate(people[: cards.MOST_FAILED], 1):
        if person.cause and person.cause not in OPEN and person.media_path in order:
            link = Link(f"{person.id}: {words_of(person.cause, person.reason)}", f"person-{number}")
            by_number[number] = (link, set(person.frames), {person.id})
    return by_number


def _said(contents: Contents) -> Iterator[Block]:
    """The first of each thing that a source says of each participant, on the clock of the case."""
    rows = contents.dated
    if rows is None or rows.empty:
        return
    first = ladders.firsts(rows)
    count = len(contents.events) if contents.events is not None else 0
    yield Paragraph(
        text(
            f"{count:,} lines and entries of logs, consoles and dumps were understood. Below is the first of each "
            "kind, by source and participant, on the clock of the case; where nothing ties a source's "
            "clock to it, its own times stand in brackets."
        )
    )
    table = Table("said-table", text("What programs, browsers and stanzas say."),
                  ["Time", "Says", "Who", "What", "Place"], [])  # fmt: skip
    cited = {(place.input, place.line) for place in _proofs(contents)}
    for row in first.head(MOST_SAID).itertuples():
        place = ladders.place_of(row)
        moment = "" if pd.isna(row.time) else pd.Timestamp(row.time).strftime("%H:%M:%S.%f")[:-3]
        time = moment if not moment or plain(row.clock) else f"({moment})"
        meaning = EVENTS.get(str(row.kind), "").partition(":")[0]
        label = contents.places.shortened(str(row.label))
        table.rows.append(
            Row([text(time), text(plain(row.source)), text(plain(row.participant)),
                 text(f"{label}: {meaning}" if meaning else label),
                 contents.places.place(place, Link("what programs said", "said"))], "",
                "bad" if (place.input, place.line) in cited else "")
        )  # fmt: skip
    table.left_out = max(len(first) - MOST_SAID, 0)
    table.command = "jitsilab table timeline EVIDENCE..."
    yield table


def _proofs(contents: Contents) -> list[Place]:
    return [
        place
        for statement in (*contents.diagnosis.causes, *contents.diagnosis.conditions)
        for place in statement.evidence
    ]


def event_row(row: object, contents: Contents) -> list[Text]:
    """One row of the table ``events`` for people: time, program, participant, meaning, what it is about."""

    def get(name: str) -> str:
        return plain(getattr(row, name, None))

    who = get("participant")
    about = " ".join(filter(None, (get("value"), get("status"), get("detail"))))
    moment = getattr(row, "time", None)
    time = "" if moment is None or pd.isna(moment) else pd.Timestamp(moment).strftime("%H:%M:%S.%f")[:-3]
    meaning = EVENTS.get(get("event"), "").partition(":")[0]
    return [text(time), text(get("program")), text(contents.names.get(who, who)),
            text(f"{meaning} ", Code(get("event"))), text(contents.places.shortened(about))]  # fmt: skip


def _security(contents: Contents) -> Iterator[Block]:
    findings = contents.findings
    failed = sorted(
        (finding for finding in findings if finding.result == "FAIL"),
        key=lambda finding: (SEVERITIES.index(finding.severity), finding.id),
    )
    counts = {result: sum(finding.result == result for finding in findings) for result in ("PASS", "NOT_OBSERVABLE")}
    yield Paragraph(
        text(
            f"Of {len(findings)} checks {len(failed)} fail{'s' if len(failed) == 1 else ''}, {counts['PASS']} found "
            f"the hazard absent, and {counts['NOT_OBSERVABLE']} could not be judged (", Link("why", "unseen"), "). ",
            Link("All checks", "checks-all"), ".",
        )
    )  # fmt: skip
    if failed:
        table = Table("findings", text("What fails, the gravest first."),
                      ["Check", "Severity", "Hazard", "What was seen", "What to do", "Evidence"], [])  # fmt: skip
        table.rows = [finding_row(finding, contents) for finding in failed]
        yield table


def finding_row(finding: Finding, contents: Contents) -> Row:
    """A failure for people."""
    return Row(
        [text(finding.id), text(cards.severity(finding.severity)), text(finding.title),
         text(contents.places.shortened(finding.evidence)), text(finding.rule.advice), evidence(finding, contents)],
        finding.id, cards.severity_tone(finding.severity),
    )  # fmt: skip


def evidence(finding: Finding, contents: Contents) -> Text:
    """Frames and lines of a finding."""
    by = Link(finding.id, finding.id if finding.result == "FAIL" else f"check-{finding.id}")
    parts: list[Part | Text] = []
    if finding.frames:
        noun = "frame " if len(finding.frames) == 1 else "frames "
        whose = f"{contents.places.short(finding.input)}, " if finding.input else ""
        parts.append(text(whose + noun, contents.places.frame_list(finding.frames, by, 4, finding.input or None)))
    parts += _places(finding.places[:4], contents)
    return joined(parts)


def _places(places: Iterable[str], contents: Contents) -> "list[Part | Text]":
    parts: list[Part | Text] = []
    for written in places:
        place = of_text(written)
        short = contents.places.short(place.input)
        parts.append(Code(f"{short}:{place.line}" if place.line else short))
    return parts
