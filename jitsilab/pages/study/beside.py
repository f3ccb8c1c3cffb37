"""The study beside calls whose plaintext is known: what a length said in 2020, and what such a record holds."""

import pandas as pd

from jitsilab import call as captures
from jitsilab.call import Call
from jitsilab.pages.narrative import Story, tunnel
from jitsilab.pages.narrative.blocks import Table

REFUSED, HEALTHY = "turn-refused", "jvb-3"  # recordings: the same fault made again, and the same cast in health
ORDER = (
    "allocate", "allocate-error", "allocate ", "allocate-success", "create-permission", "create-permission-error",
    "create-permission-success", "send", "data", "channel-bind", "channel-bind-success", "refresh", "refresh-success",
)  # fmt: skip


def recordings() -> dict[str, Call]:
    """The two recordings, opened with their keys."""
    return {name: captures.load(name) for name in (REFUSED, HEALTHY)}


def _messages(call: Call) -> pd.DataFrame:
    """Records of the participant that had to go through TURN, the second Allocate told from the first."""
    rows, tunnels = call.table("turn_in_tls"), tunnel.stages(call)
    if rows is None or tunnels.empty:
        return pd.DataFrame(columns=["message", "length", "frame", "flow"])
    stuck = tunnels["stage"].eq("permission-refused") & tunnels["checks"].gt(0)
    # whoever had no other way: media went through, or checks did not
    rank = tunnels["stage"].eq("relaying") * 2 + stuck
    flow = int(tunnels.assign(rank=rank).sort_values(["rank", "flow"], ascending=[False, True])["flow"].iloc[0])
    own = rows[rows["flow"] == flow].copy()
    again = (own["message"] == "allocate") & (own["message"] == "allocate").cumsum().gt(1)
    own["message"] = own["message"].where(~again, "allocate ")
    return own.drop_duplicates("message")


def records(study: Call, others: dict[str, Call]) -> Table | Story:
    """A row a kind of message: its length in the study, and length and plaintext in each recording."""
    columns: dict[str, dict[str, str]] = {"The study: bytes": _lengths(_messages(study))}
    for name, call in others.items():
        messages = _messages(call)
        columns[f"{name}: bytes"] = _lengths(messages)
        columns[f"{name}: plaintext"] = _plaintext(call, messages)
    kinds = [kind for kind in ORDER if any(kind in column for column in columns.values())]
    if not kinds:
        return Story()
    table = pd.DataFrame(
        {"Message": [kind.replace("-", " ").strip() for kind in kinds]}
        | {title: [column.get(kind, "–") for kind in kinds] for title, column in columns.items()}
    )
    caption = (
        "What the lengths of 2020 said, beside two recordings of today whose records were opened with keys: the same "
        "fault made again, and a call as it should be. One TURN flow each; its frame in brackets."
    )
    return Table("records-beside", table, caption, align="lr" + "rl" * len(others))


def _lengths(messages: pd.DataFrame) -> dict[str, str]:
    return {row.message: f"{row.length} ({row.frame})" for row in messages.itertuples()}


def _plaintext(call: Call, messages: pd.DataFrame) -> dict[str, str]:
    stun = call.table("stun")
    if stun is None:
        return {}
    outer = stun[(stun["depth"] == 0) & stun["flow"].isin(messages["flow"])]
    plaintext = {}
    for row in messages.itertuples():
        here = outer[outer["frame"] == row.frame]
        if here.empty:
            continue
        first = here.iloc[0]
        words = f"{first['method']} {first['message_class']}"
        if pd.notna(first["error_code"]):
            words += f" {int(first['error_code'])} {first['error_reason'] or ''}".rstrip()
        plaintext[row.message] = words
    return plaintext


def reading(study: Call, others: dict[str, Call]) -> Story:
    """What the comparison proves of the study's refusals."""
    story = Story()
    ours = _first(_messages(study))
    theirs = _first(_messages(others[REFUSED]))
    well = _first(_messages(others[HEALTHY]))
    if {"create-permission-error", "allocate-success"} <= set(ours) & set(theirs):
        story.add(
            "In the study a refused permission is answered with {ours} bytes, {ours_less} fewer than a granted "
            "allocation; in the recording with {theirs}, {theirs_less} fewer, and there the plaintext is at hand.",
            ours=ours["create-permission-error"], ours_less=ours["allocate-success"] - ours["create-permission-error"],
            theirs=theirs["create-permission-error"],
            theirs_less=theirs["allocate-success"] - theirs["create-permission-error"],
        )  # fmt: skip
    if {"create-permission-success", "allocate-success"} <= set(well) and story:
        story.extend(
            "A granted one, in the healthy call, is {well_less} bytes shorter than the allocation's answer. So the "
            "class of the study's answers stands on the same difference as that of answers which can be read.",
            well_less=well["allocate-success"] - well["create-permission-success"],
        )  # fmt: skip
    return story


def people(study: Call, others: dict[str, Call]) -> Table:
    """The participants of all three calls, one below the other."""
    rows = []
    for name, call in {study.name: study, **others}.items():
        for person in call.participants.itertuples():
            cause = person.cause if isinstance(person.cause, str) else ""
            rows.append((name, person.id, person.media_path, person.stage, person.turn_stage, cause, person.certainty))
    columns = ["Call", "Participant", "Media", "Got as far as", "TURN", "Cause", "Certainty"]
    return Table("people-beside", pd.DataFrame(rows, columns=columns), "The diagnosis of the three calls.", "lllllll")


def _first(messages: pd.DataFrame) -> dict[str, int]:
    return {str(row.message): int(row.length) for row in messages.itertuples()}
