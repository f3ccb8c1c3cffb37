"""The evidence in tables: frames and lines that prove something, streams, every event, step and check, the inputs."""

from collections.abc import Iterable, Iterator

import pandas as pd

from jitsilab.judge import proof
from jitsilab.judge.diagnosis.answer import iso
from jitsilab.pages.casereport import cards, fields, story
from jitsilab.pages.casereport.contents import Contents, plain
from jitsilab.pages.casereport.document import Code, Link, Mark, Paragraph, Row, Section, Table, Text, joined, text
from jitsilab.place import Place

MOST_ROWS = 1500  # of one table
FEW = 200  # rows of a table that a page of paper may hold
LINE = 600  # characters of a line of a log


def sections(contents: Contents) -> Iterator[Section]:
    """What is cited anywhere comes first; asked for last, when everything has been cited."""
    yield Section("evidence", "Evidence", [Paragraph(text(
        "Every proof above leads to a row here. Frames are numbered as Wireshark numbers them."))])  # fmt: skip
    for own, title, table, folded in (
        ("streams", "Media streams", _streams(contents), False),
        ("events", "Events of the ladder, decoded", _events(contents), True),
        ("steps-all", "Every step for every participant", _steps(contents), True),
        ("checks-all", "Every security check", _checks(contents), True),
        ("frames", "Frames that prove something", _frames(contents, proving=True), False),
        ("frames-other", "Other frames that are cited", _frames(contents, proving=False), True),
        ("lines", "Lines that prove something", _lines(contents, proving=True), False),
        ("lines-other", "Other lines that are cited", _lines(contents, proving=False), True),
        ("errors", "What could not be read", _errors(contents), True),
        ("inputs", "What was read", _inputs(contents), False),
    ):
        if table is not None:
            yield Section(own, title, [table], folded, 3)


def _streams(contents: Contents) -> Table | None:
    if not contents.streams:
        return None
    table = Table("streams-table", text("Media streams, by whose they are."),
                  ["Stream", "From", "To", "Packets", "Bytes", "Lost", "Jitter (ms)", "Between (s)", "SSRC", "Frame"],
                  [], numbers=frozenset({3, 4, 5, 6}), command="jitsilab table media EVIDENCE...")  # fmt: skip
    for stream in contents.streams[:MOST_ROWS]:
        frame = contents.places.frame(stream.first_frame, Link(stream.name, "streams"), stream.input)
        table.rows.append(
            Row([text(stream.name), text(stream.sender), text(stream.receiver), text(f"{stream.packets:,}"),
                 text(f"{stream.bytes:,}"), text(f"{stream.lost:,}"),
                 text(f"{stream.jitter_ms:.1f}" if stream.jitter_ms == stream.jitter_ms else ""),
                 text(f"{stream.start:.1f} to {stream.end:.1f}"), text(Code(f"{stream.ssrc:#010x}")), text(frame)])
        )  # fmt: skip
    table.left_out = max(len(contents.streams) - MOST_ROWS, 0)
    table.paper = len(table.rows) <= FEW
    return table


def _events(contents: Contents) -> Table | None:
    rows = []
    for ladder in contents.ladders:
        for event in ladder.events:
            values = joined((f"{name}: {value}" for name, value in event.fields), "; ")
            place = contents.places.place(event.place, Link(event.label, event.id))
            how = text(event.label, " ", Mark("by its length", "open")) if event.hidden else text(event.label)
            ends = f"{event.source} to {event.target}" if event.source != event.target else event.source
            rows.append(Row([text(f"{event.seconds:.3f}"), text(ends), text(event.kind), how, place, values], event.id,
                            "bad" if "bad" in event.tone else ""))  # fmt: skip
    if not rows:
        return None
    return Table("events-table", text("Every event of the ladder with the fields of its message."),
                 ["Time (s)", "Between", "Layer", "Event", "Place", "Fields"], rows, numbers=frozenset({0}),
                 paper=False)  # fmt: skip


def _steps(contents: Contents) -> Table | None:
    rows = contents.steps
    if not len(rows):
        return None
    table = Table("steps-table", text("Every step, for each participant and session."),
                  ["Step", "Who", "Session", "Verdict", "Known", "What was seen", "Frames", "Source"], [],
                  command="jitsilab table steps EVIDENCE...", paper=False)  # fmt: skip
    in_story = set(rows.loc[~rows["verdict"].isin(story.SIDE), "step"])
    for row in rows.head(MOST_ROWS).itertuples():
        word, tone = story.VERDICTS[str(row.verdict)]
        input, by = contents.places.captures[int(row.capture)], Link(row.step, f"step-{row.step}")
        by = by if row.step in in_story else Link(row.step, "steps-all")
        linked = [contents.places.frame(int(frame), by, input) for frame in row.frames[:3]]
        table.rows.append(
            Row([text(f"{row.step} {row.title}"), text(plain(row.participant)), text(plain(row.session)),
                 text(Mark(word, tone)), text(plain(row.certainty)), text(plain(row.note)), joined(linked),
                 text(plain(row.source))])
        )  # fmt: skip
    table.left_out = max(len(rows) - MOST_ROWS, 0)
    return table


def _checks(contents: Contents) -> Table:
    words = {"FAIL": ("fails", "bad"), "PASS": ("passes", "good"), "INFO": ("to know", "plain"),
             "NOT_OBSERVABLE": ("not to be seen", "open"), "NOT_APPLICABLE": ("does not apply", "plain")}  # fmt: skip
    table = Table("checks-table", text("Every security check; the severity is that of a failure."),
                  ["Check", "Hazard", "Result", "Severity", "What was seen", "Evidence", "Source"], [],
                  command="jitsilab audit EVIDENCE... -v", paper=False)  # fmt: skip
    for finding in contents.findings:
        word, tone = words[finding.result]
        table.rows.append(
            Row([text(finding.id), text(finding.title), text(Mark(word, tone)),
                 text(cards.severity(finding.severity)) if finding.result == "FAIL" else (),
                 text(contents.places.shortened(finding.evidence)), story.evidence(finding, contents),
                 text(finding.rule.source)], f"check-{finding.id}")
        )  # fmt: skip
    return table


def _proves(by: list[Link], contents: Contents) -> bool:
    """Whether the verdict, a condition or a step that went otherwise rests on what these cite."""
    rows = contents.steps
    broken = {f"step-{step}" for step in set(rows.loc[rows["verdict"].eq("DEVIATES"), "step"])} if len(rows) else set()
    return any(link.to.startswith(("person-", "cause-", "condition-")) or link.to in broken for link in by)


def _frames(contents: Contents, *, proving: bool) -> Table | None:
    """Every frame that something above cites: those on which the verdict rests, or the others."""
    cited = {place: by for place, by in contents.places.frames.items() if _proves(by, contents) is proving}
    if not cited:
        return None
    several = len(contents.places.captures) > 1
    words = "Frames on which the verdict rests, as they were decoded." if proving else "Other frames that are cited."
    table = Table("frames-table" if proving else "frames-other-table", text(words),
                  [*(["Capture"] if several else []), "Frame", "Time (s)", "From", "To", "Protocol", "Bytes",
                   "What it is", "Cited by"], [])  # fmt: skip
    table.numbers = frozenset({column + several for column in (0, 1, 5)})
    for number, part in enumerate(contents.parts):
        wanted = {frame for capture, frame in cited if capture == number}
        known = fields.frame_words(part, wanted)
        for frame in sorted(wanted):
            row, what = known.get(frame, (None, ""))
            by = cited[number, frame]
            cells: list[Text] = [text(contents.places.short(contents.places.captures[number]))] if several else []
            cells.append(text(f"{frame}"))
            if row is None:
                cells += [(), (), (), (), (), text("not in the table of frames")]
            else:
                cells += [text(f"{row.seconds:.6f}"), text(fields.end(row.src, row.src_port)),
                          text(fields.end(row.dst, row.dst_port)), text(plain(row.protocol)),
                          text(f"{int(row.length):,}"), text(what)]  # fmt: skip
            cells.append(text(joined(by[:4]), f" and {len(by) - 4} more" if len(by) > 4 else ""))
            table.rows.append(Row(cells, contents.places.frame_id(number, frame)))
    table.paper = proving and len(table.rows) <= FEW
    return table


def _lines(contents: Contents, *, proving: bool) -> Table | None:
    """Every line that something above cites, with what it means: those on which the verdict rests, or the others."""
    cited = {place: by for place, by in contents.places.lines.items() if _proves(by, contents) is proving}
    if not cited:
        return None
    words = "Lines on which the verdict rests, and what they mean." if proving else "Other lines that are cited."
    meant: dict[tuple[str, int], list[object]] = {}
    if contents.events is not None and len(contents.events):
        numbered = contents.events[contents.events["line"].notna()]
        for row in numbered.itertuples():
            key = (str(row.input), int(row.line))
            if key in cited:
                meant.setdefault(key, []).append(row)
    table = Table("lines-table" if proving else "lines-other-table", text(words),
                  ["Place", "Time", "Program", "Who", "What it means", "About", *(["The line"] if proving else []),
                   "Cited by"], [])  # fmt: skip
    written = _written(contents, cited) if proving else {}
    for (input, line), by in sorted(cited.items()):
        own = contents.places.line_id(input, line)
        rows = [story.event_row(row, contents) for row in meant.get((input, line), ())]
        place = text(Code(f"{contents.places.short(input)}:{line}"))
        cells: list[Text] = [(), (), (), (), ()]
        if rows:
            cells = [joined(dict.fromkeys(row[i] for row in rows if row[i]), "; ") for i in range(5)]
        shown = [text(Code(written.get((input, line), "")))] if proving else []
        table.rows.append(Row([place, *cells, *shown, text(joined(by[:4]))], own))
    table.paper = proving and len(table.rows) <= FEW
    return table


def _written(contents: Contents, cited: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The lines as they stand in the evidence, what may be a secret left out."""
    wanted = proof.Proof("", places=[Place(input, line=line) for input, line in cited][:FEW])
    lines = proof.lines(contents.call, wanted)
    return {(line.place.input, line.place.line or 0): line.text[:LINE] for line in lines}


def _errors(contents: Contents) -> Table | None:
    rows = contents.errors
    if rows.empty:
        return None
    table = Table("errors-table", text("What could not be read, or is odd."),
                  ["Input", "Frame", "Protocol", "At byte", "What"], [],
                  command="jitsilab table errors EVIDENCE...", paper=False)  # fmt: skip
    for row in rows.head(MOST_ROWS).itertuples():
        input = getattr(row, "input", None)
        table.rows.append(
            Row([text(contents.places.short(plain(input)) if input else ""), text(plain(row.frame)),
                 text(plain(row.protocol)), text(plain(row.offset)),
                 text(contents.places.shortened(plain(row.message)))])
        )  # fmt: skip
    table.left_out = max(len(rows) - MOST_ROWS, 0)
    return table


def _inputs(contents: Contents) -> Table:
    table = Table("inputs-table", text("What was read, and as what."), ["Input", "Read as", "Note", "SHA-256"], [])
    every = contents.diagnosis.inputs
    for row in every[:MOST_ROWS]:
        table.rows.append(
            Row([text(Code(contents.places.short(row["path"]))), text(str(row["kind"])),
                 text(contents.places.shortened(row["note"] or "")), text(Code(row["sha256"] or ""))])
        )  # fmt: skip
    table.left_out = max(len(every) - MOST_ROWS, 0)
    table.paper = len(table.rows) <= FEW
    return table


def span(contents: Contents) -> str:
    """From when to when the captures go."""
    ends = []
    for source in contents.call.packets:
        rows = source.table("frames")
        times = rows["time"].dropna() if rows is not None and "time" in rows else None
        if times is not None and len(times):
            ends += [times.iloc[0], times.iloc[-1]]
    if not ends:
        return ""
    first, last = (iso(pd.Timestamp(time).value) or "" for time in (min(ends), max(ends)))
    end = last[11:19] if last[:10] == first[:10] else f"{last[:10]} {last[11:19]}"
    return f"{first[:10]} {first[11:19]} to {end} UTC"
