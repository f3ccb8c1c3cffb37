"""One case from each kind of evidence by itself, and from all of it together."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.inputs import Evidence
from jitsilab.pages.narrative import Story, listed, plural
from jitsilab.pages.narrative.blocks import Table

BROWSER = ("console", "webrtc-internals", "rtcstats", "har", "pasted")
PACKETS = ("capture", "print", "tables")
BESIDE = ("key-log", "configuration", "archive", "unknown")
KINDS = ("packets", "logs", "browser", "answers")
TITLES = {
    "packets": "the packets", "logs": "the servers' logs", "browser": "the browsers' consoles and dumps",
    "answers": "the answers of bridge and focus", "all": "all together",
}  # fmt: skip
OPEN = ("undetermined", "not-observable")


def kind_of(kind: str) -> str:
    """Which of `KINDS` a piece of this kind belongs to; empty for what only goes with others."""
    if kind in BESIDE:
        return ""
    return "packets" if kind in PACKETS else "browser" if kind in BROWSER else "answers" if kind == "rest" else "logs"


def apart(call: Call) -> dict[str, Call]:
    """The same case from each kind of evidence alone (packets with their keys), and as it is under ``all``."""
    calls = {}
    for kind in KINDS:
        pieces = [piece for piece in call.evidence.pieces if kind_of(piece.kind) == kind]
        if pieces:
            keys = call.evidence.of_kind("key-log") if kind == "packets" else []
            calls[kind] = Call(f"{call.name}: {TITLES[kind]}", Evidence([*pieces, *keys]))
    return {**calls, "all": call}


def pieces(calls: dict[str, Call]) -> Table:
    """What was opened, by kind."""
    rows = []
    for kind, call in calls.items():
        names = [_name(piece.input) for piece in call.evidence.pieces]
        if kind != "all":
            rows.append({"Evidence": TITLES[kind], "Pieces": len(names), "Files": listed(sorted(names))})
    return Table("pieces", pd.DataFrame(rows), "The evidence of the case, by kind.", align="lrl")


def answers(calls: dict[str, Call]) -> Table:
    """What each kind of evidence shows alone, beside what all of it shows."""
    rows = []
    for kind, call in calls.items():
        diagnosis = call.diagnosis
        causes = [
            cause.name + (f"/{cause.reason}" if cause.reason else "")
            for cause in diagnosis.causes
            if cause.name not in OPEN
        ]
        rows.append(
            {
                "From": TITLES[kind],
                "Cause": listed(dict.fromkeys(causes)),
                "Certainty": listed(
                    dict.fromkeys(cause.certainty for cause in diagnosis.causes if cause.name not in OPEN)
                ),
                "Condition": listed(dict.fromkeys(condition.name for condition in diagnosis.conditions)),
                "Participants": listed(
                    f"{person.nick or person.id}: {person.media_path}" for person in diagnosis.people
                ),
                "Left open": len(diagnosis.open),
            }
        )
    caption = "The answer from each kind of evidence alone, and from all of it."
    return Table("answers", pd.DataFrame(rows), caption, align="lllllr")


def together(calls: dict[str, Call]) -> Story:
    """Which causes a kind of evidence names by itself, and what of the answer none of them has alone."""
    whole = _facts_of(calls["all"])
    alone = {kind: _facts_of(call) for kind, call in calls.items() if kind != "all"}
    story = Story()
    for fact in sorted(whole):
        shown = [TITLES[kind] for kind, facts in alone.items() if fact in facts]
        subject, what = fact
        if shown:
            story.add("{what} ({subject}) is shown by {by}.", key=f"{subject} {what}", what=what, subject=subject,
                      by=listed(shown))  # fmt: skip
        else:
            story.add("{what} ({subject}) is shown only by all together.", key=f"{subject} {what}", what=what,
                      subject=subject)  # fmt: skip
    for kind, facts in alone.items():
        story.add("Of the answer from all, {shown} of {parts} stand in {kind} alone.", key=kind, kind=TITLES[kind],
                  shown=len(whole & facts), parts=plural(len(whole), "part"))  # fmt: skip
    only = sum(not any(fact in facts for facts in alone.values()) for fact in whole)
    return story.add("Of {parts}, {only} need more than one kind of evidence.", parts=plural(len(whole), "part"),
                     only=only)  # fmt: skip


def _facts_of(call: Call) -> set[tuple[str, str]]:
    """The answer in parts: causes and conditions of the case, and what is said of each participant by name."""
    diagnosis = call.diagnosis
    parts = {
        ("the case", statement.name)
        for statement in (*diagnosis.causes, *diagnosis.conditions)
        if statement.name not in OPEN
    }
    parts |= {("the case", f"{cause.name}/{cause.reason}") for cause in diagnosis.causes if cause.reason}
    for person in diagnosis.people:
        path = {"none": "no media", "not-observable": None}.get(person.media_path, f"media over {person.media_path}")
        words = {path, person.cause, person.reason} - {None, *OPEN}
        parts |= {(person.nick or person.id, str(each)) for each in words}
    return parts


def events(call: Call) -> Table | Story:
    """What the lines mean, by the program that says it."""
    rows = call.table("events")
    if rows is None or rows.empty:
        return Story().add("No log, console, dump or answer is among the evidence.", lines=0)
    counted = pd.crosstab(rows["event"], rows["program"])
    counted.insert(0, "Event", counted.index)
    return Table("events", counted.reset_index(drop=True), "What lines and entries mean, by who says it.")


def timeline(call: Call, most: int) -> Table | Story:
    """The first moment of each event of each program, in the order in which the sources date them."""
    rows = call.table("events")
    if rows is None or rows["time"].notna().sum() == 0:
        return Story().add("No source dates an event.", dated=0)
    dated = rows[rows["time"].notna()]
    first = dated.sort_values("time", kind="stable")
    first = first.drop_duplicates(["event", "program"]).head(most)
    shown = pd.DataFrame(
        {
            "Time": first["time"].dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3],
            "Says": first["program"],
            "Event": first["event"],
            "Place": [_place(*row) for row in first[["input", "line", "pointer"]].itertuples(index=False)],
        }
    )
    return Table("timeline", shown, "The first of each event by each program, as its source dates it.", align="llll")


def _place(input: str, line: object, pointer: object) -> str:
    name = _name(str(input))
    return f"{name}:{line}" if pd.notna(line) else f"{name} {pointer}" if pd.notna(pointer) else name


def _name(input: str) -> str:
    return input.replace("\\", "/").rpartition("/")[2]
