"""Theory against practice, step by step: the matrix of verdicts, what stands out, where practice leaves the text."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.judge import theory
from jitsilab.judge.checks import Verdict
from jitsilab.judge.theory.departures import DEPARTURES
from jitsilab.pages import markdown
from jitsilab.pages.narrative import Story, listed, plural
from jitsilab.pages.narrative.blocks import Table

_TOLD = (Verdict.BROKEN, Verdict.INFO, Verdict.NOT_OBSERVED)
NOTABLE = [verdict.value for verdict in theory.RANK if verdict in _TOLD]  # in the one order of verdicts


def matrix(call: Call) -> pd.DataFrame:
    """One verdict a step and participant, the one that says most where sessions differ; as `plot_matrix` takes it."""
    return theory.summary(call.steps)[["step", "title", "participant", "verdict"]]


def overview(call: Call) -> Story:
    """How many steps were judged, and how they came out."""
    rows = call.steps
    if not call.has("flows"):
        return Story().add(
            "There is no capture among the evidence, and the {steps} steps are judged by packets: none is.",
            steps=rows["step"].nunique(),
        )
    if rows.empty or rows["participant"].fillna("").eq("").all():
        return Story().add(
            "No participant of a Jitsi call: none of the {steps} steps applies. {unread}",
            steps=rows["step"].nunique(), unread=call.unread,
        )  # fmt: skip
    people = rows["participant"].nunique()
    counts = {str(verdict): int(count) for verdict, count in matrix(call)["verdict"].value_counts().items()}
    story = Story().add(
        "The specifications order a session's creation into {steps} steps. [Figure](#figure-steps) holds each against "
        "this capture for {people}: {conforms} as the text has them, {deviates} not, {missing} that should have shown "
        "here and did not, {hidden} that this capture cannot show.",
        steps=rows["step"].nunique(), people=plural(people, "participant"), conforms=counts.get("CONFORMS", 0),
        deviates=counts.get("DEVIATES", 0), missing=counts.get("NOT_OBSERVED", 0),
        hidden=counts.get("NOT_OBSERVABLE", 0),
    )  # fmt: skip
    variants = (
        rows.loc[rows["variant"].fillna("").ne(""), ["step", "variant"]]
        .drop_duplicates()
        .sort_values("step", kind="stable")
    )
    if len(variants):
        named = [f"{step} {variant}" for step, variant in variants.itertuples(index=False)]
        story.add("Where deployments and years differ, the wire shows: {variants}.", variants="; ".join(named))
    return story


def caption(call: Call) -> str:
    """Below the matrix."""
    return (
        "Steps of the theory by participant. A step that cannot be seen from this capture point, or without keys, is "
        "never taken for one that did not happen."
    )


def notable(call: Call) -> Table | Story:
    """The steps that did not go as the text has them, or about which there is something to tell."""
    rows = call.steps
    rows = rows[rows["verdict"].isin(NOTABLE) & rows["participant"].fillna("").ne("")]
    if rows.empty:
        return Story().add("No step went otherwise than the text has it, as far as this capture shows.")
    rows = rows.assign(rank=rows["verdict"].astype(str).map({name: place for place, name in enumerate(NOTABLE)}))
    shown = []
    for (_, step, note, verdict), group in rows.groupby(["rank", "step", "note", "verdict"], sort=True):
        frames = sorted({int(frame) for numbers in group["frames"] for frame in numbers})
        shown.append(
            {
                "Step": f"{step} {group['title'].iloc[0]}", "Who": listed(dict.fromkeys(group["participant"])),
                "Verdict": str(verdict).replace("_", " ").lower(), "What was seen": note,
                "Frames": markdown.frames(frames, 3), "Source": group["source"].iloc[0].partition(";")[0],
            }
        )  # fmt: skip
    text = (
        "Steps that went otherwise than the text has them, those of which there is something to tell, then those that "
        "should have shown and did not."
    )
    return Table("steps-notable", pd.DataFrame(shown), text, align="llllll")


def departures() -> Table:
    """Where healthy calls of today leave the cited text, so that a step asks for less than the text does."""
    rows = [
        {
            "Step": departure.step,
            "The text": departure.text,
            "Practice": departure.practice,
            "Judged": departure.judged,
            "Source": departure.source,
        }
        for departure in DEPARTURES
    ]
    text = "Where practice leaves the text in calls that work; the steps ask for what practice keeps."
    return Table("departures", pd.DataFrame(rows), text, align="lllll")


def beside(study: Call, others: dict[str, Call]) -> pd.DataFrame:
    """The matrix of the study beside those of recordings, a column a participant; as `plot_matrix` takes it."""
    parts = []
    for name, call in {"study": study, **others}.items():
        rows = matrix(call)
        parts.append(rows.assign(participant=name + ": " + rows["participant"].fillna("")))
    together = pd.concat(parts, ignore_index=True)
    return together.sort_values("step", kind="stable")


def beside_caption(others: dict[str, Call]) -> str:
    """Below that matrix."""
    names = listed(f"`{name}`" for name in others)
    return (
        f"The study's steps beside those of {names}, recorded with keys: what 2020 could show, and what it could not."
    )
