"""The case report of anybody's evidence: one HTML file, Markdown, PDF, and ``results.json`` by a published schema.

Everything is computed once from one call; no notebook runs. The folder is written whole or not at all.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jitsilab import outputs, terminal
from jitsilab.pages.casereport import cards, contents, evidence, results, since, story, unseen
from jitsilab.pages.casereport.document import Document, Section, text

if TYPE_CHECKING:
    from jitsilab.call import Call
    from jitsilab.judge.diagnosis.changes import Changes

FILES = ("report.html", "report.md", "report.pdf", "ladder.svg", "results.json")


def assemble(call: "Call", tell: Callable[[str], None] = lambda _: None, changed: "Changes | None" = None) -> Document:
    """The report of a call as a document; ``tell`` is called with what comes next.

    ``changed`` is what `jitsilab.judge.diagnosis.changes` tells of an older case.
    """
    gathered = contents.gather(call, tell)
    diagnosis = gathered.diagnosis
    people, left_out = cards.of_people(diagnosis, gathered.places)
    conditions, state = cards.conditions(diagnosis, gathered.places), cards.tone(diagnosis)
    answer = [*(conditions if state == "warn" else []), *people]  # where all have media, a condition is the answer
    notices = [*(conditions if state != "warn" else []), *cards.grave(gathered.findings, gathered.places)]
    sections: list[Section] = [*([] if changed is None else [since.section(changed)]), *story.section(gathered)]
    open_ = unseen.section(gathered)
    sections += evidence.sections(gathered)
    place = next(i for i, section in enumerate(sections) if section.id == "evidence")
    sections.insert(place, open_)
    rooms = ", ".join(dict.fromkeys(str(meeting["room"]) for meeting in diagnosis.calls))
    frames = sum(len(rows) for source in call.packets if (rows := source.table("frames")) is not None)
    parts = [
        f"{len(diagnosis.people)} participant{'' if len(diagnosis.people) == 1 else 's'}"
        + (f" ({left_out} have no card here: diagnose --json has all)" if left_out else ""),
        f"room {rooms}" if rooms else "", evidence.span(gathered), f"{frames:,} frames" if frames else "",
        f"{len(gathered.events):,} events in lines" if gathered.events is not None else "",
    ]  # fmt: skip
    return Document(
        f"Case report: {call.name}", text("; ".join(filter(None, parts))), state,
        cards.verdict(diagnosis), answer, notices, gathered.ladders, sections,
        results.as_json(gathered, call.name, changed),
    )  # fmt: skip


def write(
    call: "Call", out: Path, tell: Callable[[str], None] = lambda _: None, changed: "Changes | None" = None
) -> list[str]:
    """Write the report of a call into a folder, and give the names of the files.

    All is made beside the folder first: a failure leaves what was there. Without typst there is no PDF.
    """
    from jitsilab.pages.casereport import github, ladder_svg, ladders, web

    document = assemble(call, tell, changed)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=outputs.PART, dir=out.absolute().parent) as scratch:
        made = Path(scratch) / "report"
        made.mkdir()
        tell("HTML and Markdown")
        if document.ladders:
            _put(made / "ladder.svg", ladder_svg.alone(ladders.without_lines(document.ladders[0])))
        _put(made / "report.html", web.page(document))
        _put(made / "report.md", github.page(document))
        _put(made / "results.json", terminal.to_json(document.results, indent=1) + "\n")
        tell("PDF")
        _pdf(document, made)
        made.chmod(0o755)
        _hand_over(made, out)
    return [name for name in FILES if (out / name).exists()]


def folder_name(name: str) -> str:
    """The name of a folder for a case of this name: letters, digits and ``-_.`` alone."""
    while Path(name).suffix in (".gz", ".zst", ".xz", ".pcap", ".pcapng", ".cap", ".csv", ".txt", ".log"):
        name = Path(name).stem
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".")[:80] or "case"


def _pdf(document: Document, made: Path) -> None:
    from jitsilab.pages.casereport import paper

    data = paper.pdf(document)
    if data is not None:
        (made / "report.pdf").write_bytes(data)


def _put(path: Path, words: str) -> None:
    path.write_text(words, encoding="utf-8", newline="\n")


def _hand_over(made: Path, out: Path) -> None:
    """Put the folder in its place; where there is one with other things in it, file by file."""
    if out.is_dir() and any(out.iterdir()):
        for name in FILES:
            if (made / name).exists():
                with outputs.whole(out / name) as file, (made / name).open("rb") as whole:
                    shutil.copyfileobj(whole, file)
            else:
                (out / name).unlink(missing_ok=True)
        return
    outputs.folder(made, out)
