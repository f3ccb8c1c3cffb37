"""The diagnosis of each participant, as a table and in words."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.judge.causes import CAUSES
from jitsilab.pages import markdown
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative.blocks import Table


def table(call: Call) -> Table | Story:
    """Who had media, by which way, how far the others came, and why."""
    rows = call.participants
    if rows.empty:
        return Story().add(
            "Nothing in this capture shows a participant of a Jitsi call. {unread}", participants=0, unread=call.unread
        )
    shown = pd.DataFrame(
        {
            "Participant": rows["id"],
            "Address": [listed(a for a in addresses if a != name) for addresses, name in
                        zip(rows["addresses"], rows["id"], strict=True)],
            "Media": rows["media_path"],
            "Got as far as": rows["stage"],
            "TURN": rows["turn_stage"],
            "Cause": [
                str(cause) + (f" ({', '.join(opened)})" if len(opened) else "") if pd.notna(cause) else ""
                for cause, opened in zip(rows["cause"], rows["open_causes"], strict=True)
            ],
            "Certainty": rows["certainty"],
            "Frames": [markdown.frames(frames, 3) for frames in rows["frames"]],
        }
    )  # fmt: skip
    if not shown["Address"].str.len().any():
        shown = shown.drop(columns="Address")
    caption = "Each participant: way of the media, stage reached, cause where there are none (open causes in brackets)."
    return Table("participants", shown, caption, align="l" * len(shown.columns))


def advice(call: Call) -> Story:
    """What to change, for each cause once."""
    story = Story()
    rows = call.participants
    rows = rows[rows["cause"].notna() & rows["advice"].fillna("").ne("")]
    for cause, group in rows.groupby("cause", sort=False):
        story.add(
            "**What to change** for {whom} ({cause}): {advice}", key=cause, whom=listed(group["id"]), cause=str(cause),
            advice=group["advice"].iloc[0],
        )  # fmt: skip
    return story


def names(call: Call) -> dict[str, str]:
    """Names of people by address, where an address belongs to one of them alone."""
    owners: dict[str, list[str]] = {}
    for name, addresses in zip(call.participants["id"], call.participants["addresses"], strict=True):
        for address in addresses:
            owners.setdefault(str(address), []).append(str(name))
    return {address: ids[0] for address, ids in owners.items() if len(ids) == 1}


WAYS = {
    "p2p": "directly to the other", "jvb-udp": "over UDP to the bridge", "turn-udp": "through TURN over UDP",
    "turn-tcp": "through TURN over TCP", "turn-tls": "through TURN inside TLS",
}  # fmt: skip


def summary(call: Call) -> Story:
    """Who had media and who had none, in a sentence each."""
    rows, story = call.participants, Story()
    for path, group in rows.groupby("media_path", sort=False):
        if path in WAYS:
            story.extend("{who} had media {way}.", key=path, who=listed(group["id"]), way=markdown.Raw(WAYS[str(path)]))
    unseen = rows[rows["media_path"].eq("not-observable")]
    if len(unseen):
        story.extend("Where the media of {who} went cannot be seen here.", key="unseen", who=listed(unseen["id"]))
    for cause, group in rows[rows["media_path"].eq("none")].groupby("cause", sort=False):
        known = CAUSES.get(str(cause))
        story.extend(
            "{who} had none: {why} ({certainty}).", key=cause, who=listed(group["id"]),
            why=markdown.Raw(known.words if known else "the evidence does not single out why"),
            certainty=group["certainty"].iloc[0],
        )  # fmt: skip
    return story
