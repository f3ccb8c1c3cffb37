"""The claim about an absence with its verdict, why the relay refused, and the time that user fragments tell."""

import pandas as pd

from jitsilab.analysis import clock as clocks
from jitsilab.call import Call
from jitsilab.judge import hypotheses
from jitsilab.judge.checks import Verdict
from jitsilab.judge.hypotheses import Judged
from jitsilab.pages import markdown
from jitsilab.pages.narrative import Story, listed, tunnel
from jitsilab.pages.narrative.blocks import Table
from jitsilab.pages.narrative.tunnel import FORBIDDEN

PREMISE = {
    Verdict.HOLDS: "holds", Verdict.BROKEN: "does not hold", Verdict.NOT_OBSERVED: "not observed",
    Verdict.NOT_OBSERVABLE: "not observable", Verdict.NOT_APPLICABLE: "does not apply", Verdict.INFO: "noted",
}  # fmt: skip


def summary(call: Call) -> Story:
    """The answer in a few sentences, before the evidence."""
    story = Story()
    for tested in hypotheses.claimed(call):
        premises = {check.id: outcome for check, outcome in tested.premises}
        refused = premises["H5"].verdict is Verdict.HOLDS
        if premises["H3"].verdict is not Verdict.HOLDS:
            continue
        found = tunnel.stages(call)
        mine = found[found["address"] == tested.claim.between[1]]
        allocated = mine["stage"].isin(["allocated", "permission-refused", "permitted", "relaying"])
        ways = "one connection" if len(mine) == 1 else f"{len(mine)} connections"
        outcome = "no allocation was granted"
        if allocated.any():
            outcome = "an allocation was granted" if allocated.all() else f"{int(allocated.sum())} got an allocation"
            outcome += " in each" if allocated.all() and len(mine) > 1 else ""
        story.add(
            "{who} sent no UDP to the server. Its only way was TURN inside TLS on port {port}, in {ways}: {outcome}.",
            key=tested.claim.between[1], who=tested.claim.between[1],
            port=int(call.flows.set_index("flow").loc[mine["flow"].iloc[0], "server_port"]), ways=ways, outcome=outcome,
        )  # fmt: skip
        if refused:
            story.extend(
                "Then every permission to reach a peer was refused, {refused} of {asked}. So {who}'s connectivity "
                "checks, {checks} of them, went into the tunnel and no further, and it had neither sound nor picture.",
                key=tested.claim.between[1], refused=int(mine["refused"].sum()), asked=int(mine["permissions"].sum()),
                who=tested.claim.between[1], checks=int(mine["checks"].sum()),
            )  # fmt: skip
            story.extend(
                "That is why no STUN in clear runs between {server} and {who}; whether {who} is behind a NAT plays no "
                "part in it.", key=tested.claim.between[1], server=tested.claim.between[0], who=tested.claim.between[1],
            )  # fmt: skip
        elif mine["granted"].sum():
            story.extend("Permissions were granted, and it reached its peers through them.")
    return story


def verdicts(call: Call) -> list[Story | Table]:
    """Each claim with its verdict, its premises and the explanations that remain."""
    every = hypotheses.claimed(call)
    if not every:
        return [Story().add("Nobody's STUN is missing in this capture, so there is nothing to explain.", claims=0)]
    shown: list[Story | Table] = []
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
        (one.id, one.text, one.state, markdown.frames(one.frames, 3), one.note)
        for one in tested.explanations
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["", "Explanation of the absence", "State", "Frames", "Because"])
    caption = "Every explanation of the absence: shown by the capture, excluded by it, or open."
    return Table(f"explanations{mark}", table, caption, align="lllll")


def _open(tested: Judged, number: int) -> Story:
    left = [one.id for one in tested.explanations if one.state == "open"]
    if not left:
        return Story()
    return Story().add(
        "Kept open, because nothing here can rule it out: {open}.", key=f"claim_{number}", open=listed(left)
    )


def cause(call: Call) -> Story:
    """Why a TURN server would refuse every permission: what fits, how sure, what else could be."""
    found = tunnel.stages(call)
    refused = found[found["stage"] == "permission-refused"] if len(found) else found
    if refused.empty:
        return Story()
    story = Story()
    reasons = {int(reason) for reason in refused["reason"].dropna()}
    if reasons == {FORBIDDEN}:
        story.add(
            "What refuses a permission with a reason of {least} to {most} bytes? In coturn only one answer to this "
            "request is that long: 403 “Forbidden IP”, for a peer address that a rule of the configuration denies "
            "[[13]](#ref-13). *Inferred.*", least=FORBIDDEN - 3, most=FORBIDDEN,
        )  # fmt: skip
    story.add(
        "It fits how such a server is set up. Jitsi's package tells coturn to deny private address ranges as peers, "
        "so that nobody reaches the inside of a network through it. Behind a cloud's one-to-one NAT coturn is given "
        "the pair of its public and private address, and it maps the public one back to the private one *before* it "
        "looks at the rules. The bridge on the same host has just these two addresses, and so both are refused. A "
        "line `allowed-peer-ip=` with the bridge's private address in `turnserver.conf` lets the bridge in; it also "
        "lets every TURN client reach that one address. *Inferred*: another rule of the same file would look the "
        "same on the wire. The server's configuration or its log would settle it."
    )
    return story


def clock(call: Call) -> Table | Story:
    """When the ufrags were made, by the clock that made them."""
    stun = call.table("stun")
    rows = clocks.anchors(stun) if stun is not None and len(stun) else pd.DataFrame()
    if rows.empty:
        return Story()
    table = pd.DataFrame(
        {
            "User fragment": rows["ufrag"],
            "Made by": rows["owner"],
            "Clock at that moment (UTC)": rows["made"].dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3],
            "First check in frame": rows["first_frame"],
            "at (s)": rows["first_seconds"].map("{:.3f}".format),
        }
    )  # fmt: skip
    caption = "User fragments of the bridge and the wall-clock time in them."
    return Table("ufrag-clocks", table, caption, align="lllrr", code=("User fragment",))


def start(call: Call) -> Story:
    """When the capture began, and how the fragments confirm one another."""
    stun = call.table("stun")
    rows = clocks.anchors(stun) if stun is not None and len(stun) else pd.DataFrame()
    begin = clocks.start(rows) if len(rows) else None
    if begin is None:
        return Story()
    story = Story().add(
        "The bridge's ICE library makes its user fragments of random digits and of the time in milliseconds, in base "
        "32 [[14]](#ref-14). They travel in clear in every STUN request, so a table with relative times and without "
        "addresses still tells when the call was: the capture began at {begin} UTC or a moment later. *{certainty}.*",
        begin=f"{begin.earliest:%Y-%m-%d %H:%M:%S}", certainty=markdown.Raw(begin.certainty.capitalize()),
    )  # fmt: skip
    if len(rows) > 1 and begin.certainty != "measured":
        apart = (rows["made"].iloc[-1] - rows["made"].iloc[0]).total_seconds()
        between = float(rows["first_seconds"].iloc[-1] - rows["first_seconds"].iloc[0])
        story.extend(
            "The first and the last fragment were made {apart:.3f} s apart, and their first checks are {checks:.3f} s "
            "apart in the capture: the reading confirms itself.", apart=apart,
            checks=between,
        )  # fmt: skip
    return story
