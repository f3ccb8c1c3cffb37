"""The connectivity checks in clear: what STUN shows at this capture point, and what it does not prove."""

import pandas as pd

from jitsilab.analysis import traffic
from jitsilab.capture import Capture
from jitsilab.narrative import Story, listed
from jitsilab.narrative.blocks import Table

NOMINATION = 4  # bytes of USE-CANDIDATE, an attribute without a value (RFC 8445 section 7.1.2)


def _clear(call: Capture) -> pd.DataFrame | None:
    """Binding messages between hosts, outside any relay."""
    stun = call.table("stun")
    return None if stun is None else stun[(stun["method"] == "Binding") & (stun["depth"] == 0)]


def exchanges(call: Capture) -> Table | Story:
    """Requests and answers by flow and direction, with the address that the answers carry."""
    stun = _clear(call)
    if stun is None or stun.empty:
        return Story().add("No STUN in clear is in this capture.", stun_messages=0)
    rows = []
    for (flow, up), some in stun.groupby(["flow", "up"], sort=True):
        asked = some[some["message_class"] == "request"]
        if asked.empty:
            continue
        back = stun[(stun["flow"] == flow) & (stun["up"] != up) & (stun["message_class"] == "success")]
        mapped = sorted({f"{a}:{p}" for a, p in zip(back["mapped_address"], back["mapped_port"], strict=True)
                         if pd.notna(a)})  # fmt: skip
        rows.append(
            (flow, f"{asked['src'].iloc[0]}:{asked['src_port'].iloc[0]}",
             f"{asked['dst'].iloc[0]}:{asked['dst_port'].iloc[0]}", len(asked), len(back),
             f"{asked['seconds'].iloc[0]:.2f}–{asked['seconds'].iloc[-1]:.2f}", ", ".join(mapped))
        )  # fmt: skip
    columns = ["Flow", "Asks", "Is asked", "Requests", "Answers", "Between (s)", "Mapped address in the answers"]
    caption = "Binding requests and answers in clear, by flow and direction."
    return Table("stun-exchanges", pd.DataFrame(rows, columns=columns), caption, align="rllrrrl")


def reading(call: Capture) -> Story:
    """What the mapped addresses prove at a server, and whose checks are not there in clear."""
    stun, story = _clear(call), Story()
    if stun is None or stun.empty:
        return story
    answers = stun[stun["message_class"] == "success"].dropna(subset=["mapped_address"])
    servers, people = traffic.servers(call.flows), traffic.participants(call.flows)
    ours = answers[answers["src"].isin(servers)]
    theirs = answers[answers["dst"].isin(servers)]
    same = int((ours["mapped_address"] == ours["dst"]).sum())
    if same:
        story.add(
            "{same} of the {answers} answers that the server gave name the very address that the request came from. At "
            "a server it cannot be otherwise: the answer says what the server saw, and the capture saw the same. Such "
            "an answer says nothing about a NAT on the participant's side; only a capture there, or the host address "
            "in the signaling, could.", same=same, answers=len(ours),
        )  # fmt: skip
    if same < len(ours):
        story.add(
            "{changed} of the {answers} answers that the server gave name another address than the one that asked: a "
            "NAT lies between this capture and the server.", changed=len(ours) - same, answers=len(ours),
        )  # fmt: skip
    strange = theirs[theirs["mapped_address"] != theirs["dst"]]
    if len(strange):
        pairs = sorted({f"{a}:{p}" for a, p in zip(strange["mapped_address"], strange["mapped_port"], strict=True)})
        ports = bool((strange["mapped_port"] == strange["dst_port"]).all())
        story.add(
            "The participants' answers to the server are worth more: {other} of {theirs} name {pairs}, which is not "
            "the address that the server has on its own interface. So *the server* sits behind a NAT.",
            other=len(strange), theirs=len(theirs), pairs=listed(pairs),
        )  # fmt: skip
        if ports and len(pairs) == 1:
            story.extend("Its port is left as it is, for everybody: a one-to-one NAT, as clouds have it.")
    seen = set(stun["src"]) | set(stun["dst"])
    silent = [name for name in people if name not in seen]
    if silent:
        story.add("There is no STUN in clear between the server and {silent}.", silent=listed(silent))
    return story


def nomination(call: Capture) -> Story:
    """Who controls and which request nominates."""
    stun = _clear(call)
    if stun is None or stun.empty:
        return Story()
    asked = stun[stun["message_class"] == "request"]
    found, deduced = [], False
    for (_, up), some in asked.groupby(["flow", "up"], sort=True):
        if "use_candidate" in some and some["use_candidate"].notna().any():
            chosen = some[some["use_candidate"].fillna(False).astype(bool)]
        else:
            grown = some["size"].diff().eq(NOMINATION) & (some["size"] == some["size"].max())
            chosen, deduced = some[grown], True
        if len(chosen):
            place = int(some["frame"].searchsorted(chosen["frame"].iloc[0])) + 1
            found.append((int(chosen["frame"].iloc[0]), "the participant" if up else "the server", place))
    if not found:
        return Story()
    story = Story().add(
        "{who} controls the checks and nominates: frames {nominations} carry the first USE-CANDIDATE of each flow",
        who=listed(sorted({who for _, who, _ in found})).capitalize(),
        nominations=tuple(frame for frame, _, _ in found),
    )  # fmt: skip
    places = {place for _, _, place in found}
    if len(places) == 1:
        story.extend("(check number {place} of that side)", place=places.pop())
    if deduced:
        story.extend("– *deduced*: the request is {bytes} bytes longer than the one before it.", bytes=NOMINATION)
    else:
        story.extend("– *measured*.")
    return story
