"""The study's claim about an absence, or another that somebody makes, with its verdict and what it rests on."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.inputs.registry import STUDY
from jitsilab.judge import claims, hypotheses
from jitsilab.judge.checks import Verdict
from jitsilab.judge.hypotheses import Judged
from jitsilab.pages import markdown
from jitsilab.pages.narrative import Story, listed, tunnel
from jitsilab.pages.narrative.blocks import Table

PREMISE = {
    Verdict.HOLDS: "holds", Verdict.BROKEN: "does not hold", Verdict.NOT_OBSERVED: "not observed",
    Verdict.NOT_OBSERVABLE: "not observable", Verdict.NOT_APPLICABLE: "does not apply", Verdict.INFO: "noted",
}  # fmt: skip


def claimed(call: Call) -> list[Judged]:
    """The claim of the study, which is tested on its own capture alone."""
    return hypotheses.claimed(call) if call.name == STUDY else []


def summary(call: Call) -> Story:
    """The answer in a few sentences, before the evidence."""
    story = Story()
    for tested in claimed(call):
        premises = {check.id: outcome for check, outcome in tested.premises}
        refused = premises["H5"].verdict is Verdict.HOLDS
        if premises["H3"].verdict is not Verdict.HOLDS:
            continue
        tunnels = tunnel.stages(call)
        own = tunnels[tunnels["address"] == tested.claim.between[1]]
        allocated = own["stage"].isin(["allocated", "permission-refused", "permitted", "relaying"])
        ways = "one connection" if len(own) == 1 else f"{len(own)} connections"
        outcome = "no allocation was granted"
        if allocated.any():
            outcome = "an allocation was granted" if allocated.all() else f"{int(allocated.sum())} got an allocation"
            outcome += " in each" if allocated.all() and len(own) > 1 else ""
        story.add(
            "{who} sent no UDP to the server. Its only way was TURN inside TLS on port {port}, in {ways}: {outcome}.",
            key=tested.claim.between[1], who=tested.claim.between[1],
            port=int(call.flows.set_index("flow").loc[own["flow"].iloc[0], "server_port"]), ways=ways, outcome=outcome,
        )  # fmt: skip
        if refused:
            story.extend(
                "Then every permission to reach a peer was refused, {refused} of {asked}. So {who}'s connectivity "
                "checks, {checks} of them, went into the tunnel and no further, and it had neither sound nor picture.",
                key=tested.claim.between[1], refused=int(own["refused"].sum()), asked=int(own["permissions"].sum()),
                who=tested.claim.between[1], checks=int(own["checks"].sum()),
            )  # fmt: skip
            story.extend(
                "That is why no STUN in clear runs between {server} and {who}; whether {who} is behind a NAT plays no "
                "part in it.", key=tested.claim.between[1], server=tested.claim.between[0], who=tested.claim.between[1],
            )  # fmt: skip
        elif own["granted"].sum():
            story.extend("Permissions were granted, and it reached its peers through them.")
    return story


def verdicts(call: Call, claim: str = "") -> list[Story | Table]:
    """Each claim with its verdict, its premises and the explanations that remain.

    ``claim`` is one more, in the grammar of `jitsilab.judge.claims`.
    """
    every = claimed(call)
    shown: list[Story | Table] = []
    if claim:
        answer = claims.tested(claim, call.diagnosis, call.tables())
        shown.append(
            Story().add(
                "*The claim:* {claim} *The verdict:* **{verdict}** (frames {frames}). {note}", key="claim_given",
                claim=answer["claim"], verdict=answer["verdict"].upper(), frames=tuple(answer["frames"]),
                note=answer["note"],
            )
        )  # fmt: skip
    elif not every:
        return [Story().add("No claim was made of this call.", claims=0)]
    for number, tested in enumerate(every, 1):
        mark = "" if number == 1 else f"-{number}"
        shown += [_verdict(tested, number), _premises(tested, mark)]
        if tested.explanations:
            shown += [_explanations(tested, mark), _open(tested, number)]
    return shown


def _verdict(tested: Judged, number: int) -> Story:
    return Story().add(
        "*The claim:* {claim} *The verdict:* **{verdict}** ({certainty}; frames {frames}). {note}",
        key=f"claim_{number}", claim=str(tested.claim), verdict=tested.verdict.upper(),
        certainty=tested.certainty.value, frames=tuple(tested.frames), note=tested.note,
    )  # fmt: skip


def _premises(tested: Judged, mark: str) -> Table:
    rows = [
        (check.id, check.title, PREMISE[outcome.verdict], outcome.certainty.value, markdown.frames(outcome.frames, 4),
         outcome.note)
        for check, outcome in tested.premises
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["", "Premise", "Verdict", "Certainty", "Frames", "Because"])
    return Table(f"premises{mark}", table, "What the verdict rests on.", align="llllll")


def _explanations(tested: Judged, mark: str) -> Table:
    rows = [
        (explanation.id, explanation.text, explanation.state, markdown.frames(explanation.frames, 3), explanation.note)
        for explanation in tested.explanations
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["", "Explanation of the absence", "State", "Frames", "Because"])
    caption = "Every explanation of the absence: shown by the capture, excluded by it, or open."
    return Table(f"explanations{mark}", table, caption, align="lllll")


def _open(tested: Judged, number: int) -> Story:
    left = [explanation.id for explanation in tested.explanations if explanation.state == "open"]
    if not left:
        return Story()
    return Story().add(
        "Kept open, because nothing here can rule it out: {open}.", key=f"claim_{number}", open=listed(left)
    )
