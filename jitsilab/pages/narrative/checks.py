"""The connectivity checks in clear: what STUN shows at this capture point, and what it does not prove."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.case import cast
from jitsilab.ip import endpoint
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative.blocks import Table

NOMINATION = 4  # bytes of USE-CANDIDATE, an attribute without a value (RFC 8445 section 7.1.2)


def _clear(call: Call) -> pd.DataFrame | None:
    """Binding messages between hosts, outside any relay."""
    stun = call.table("stun")
    return None if stun is None else stun[(stun["method"] == "Binding") & (stun["depth"] == 0)]


def exchanges(call: Call) -> Table | Story:
    """Requests and answers by flow and direction, with the address that the answers carry."""
    stun = _clear(call)
    if stun is None or stun.empty:
        return Story().add("No STUN in clear is in this capture.", stun_messages=0)
    rows = []
    for (flow, up), messages in stun.groupby(["flow", "up"], sort=True):
        asked = messages[messages["message_class"] == "request"]
        if asked.empty:
            continue
        back = stun[(stun["flow"] == flow) & (stun["up"] != up) & (stun["message_class"] == "success")]
        mapped = sorted({endpoint(str(a), p) for a, p in zip(back["mapped_address"], back["mapped_port"], strict=True)
                         if pd.notna(a)})  # fmt: skip
        rows.append(
            (flow, endpoint(str(asked["src"].iloc[0]), asked["src_port"].iloc[0]),
             endpoint(str(asked["dst"].iloc[0]), asked["dst_port"].iloc[0]), len(asked), len(back),
             f"{asked['seconds'].iloc[0]:.2f}–{asked['seconds'].iloc[-1]:.2f}", ", ".join(mapped))
        )  # fmt: skip
    columns = ["Flow", "Asks", "Is asked", "Requests", "Answers", "Between (s)", "Mapped address in the answers"]
    caption = "Binding requests and answers in clear, by flow and direction."
    return Table("stun-exchanges", pd.DataFrame(rows, columns=columns), caption, align="rllrrrl")


def reading(call: Call) -> Story:
    """What the mapped addresses prove at a server, and whose checks are not there in clear."""
    stun, story = _clear(call), Story()
    if stun is None or stun.empty:
        return story
    answers = stun[stun["message_class"] == "success"].dropna(subset=["mapped_address"])
    who = cast.build(call.tables())
    servers, people = who.servers, cast.addresses(who, call.flows)
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
        pairs = sorted(
            {endpoint(str(a), p) for a, p in zip(strange["mapped_address"], strange["mapped_port"], strict=True)}
        )
        ports = bool((strange["mapped_port"] == strange["dst_port"]).all())
        story.add(
            "The participants' answers to the server are worth more: {other} of {theirs} name {pairs}, which is not "
            "the address that the server has on its own interface. So *the server* sits behind a NAT.",
            other=len(strange), theirs=len(theirs), pairs=listed(pairs),
        )  # fmt: skip
        if ports and len(pairs) == 1:
            story.extend("Its port is left as it is, for everybody: a one-to-one NAT, as clouds have it.")
    seen = set(stun["src"]) | set(stun["dst"])
    heard = {first for address, first in people.items() if address in seen}
    silent = [name for name in dict.fromkeys(people.values()) if name not in heard]
    if silent:
        story.add("There is no STUN in clear between the server and {silent}.", silent=listed(silent))
    return story


def _nominating(requests: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The requests of one side that nominate, and whether that is known from their length alone."""
    if "use_candidate" in requests and requests["use_candidate"].notna().any():
        return requests[requests["use_candidate"].fillna(False).astype(bool)], False
    grown = requests["size"].diff().eq(NOMINATION) & (requests["size"] == requests["size"].max())
    return requests[grown], True


def nomination(call: Call) -> Story:
    """Who controls and which request nominates."""
    stun = _clear(call)
    if stun is None or stun.empty:
        return Story()
    asked = stun[stun["message_class"] == "request"]
    nominations, deduced = [], False
    for (_, up), requests in asked.groupby(["flow", "up"], sort=True):
        chosen, guessed = _nominating(requests)
        deduced |= guessed
        if len(chosen):
            place = int(requests["frame"].searchsorted(chosen["frame"].iloc[0])) + 1
            nominations.append((int(chosen["frame"].iloc[0]), "the participant" if up else "the server", place))
    if not nominations:
        return Story()
    story = Story().add(
        "{who} controls the checks and nominates: frames {nominations} carry the first USE-CANDIDATE of each flow",
        who=listed(sorted({who for _, who, _ in nominations})).capitalize(),
        nominations=tuple(frame for frame, _, _ in nominations),
    )  # fmt: skip
    places = {place for _, _, place in nominations}
    if len(places) == 1:
        story.extend("(check number {place} of that side)", place=places.pop())
    if deduced:
        story.extend("– *deduced*: the request is {bytes} bytes longer than the one before it.", bytes=NOMINATION)
    else:
        story.extend("– *measured*.")
    return story


ANSWER = 64  # bytes of an answer with what the standard asks: header, mapped address, integrity, fingerprint (IPv4)


def answers(call: Call) -> Story:
    """What the two sides' answers carry beyond the standard's minimum, by their lengths."""
    stun = _clear(call)
    if stun is None or stun.empty or "size" not in stun:
        return Story()
    servers = set(cast.build(call.tables()).servers)
    given = stun[stun["message_class"] == "success"]
    sizes = {
        who: sorted({int(size) for size in rows["size"].dropna()})
        for who, rows in (("server", given[given["src"].isin(servers)]), ("client", given[given["dst"].isin(servers)]))
    }
    if sizes["client"] != [ANSWER] or len(sizes["server"]) != 1 or sizes["server"][0] <= ANSWER:
        return Story()
    return Story().add(
        "The participants' answers have {client} bytes, the header and three attributes that the standard asks for; "
        "the server's have {server}, {more} more: ice4j repeats the USERNAME and adds SOFTWARE. *Inferred* from "
        "lengths.", client=ANSWER, server=sizes["server"][0], more=sizes["server"][0] - ANSWER,
    )  # fmt: skip


SOON = 1.0  # s in which an answer without a transaction id is taken for the one to the request before it


def timeline(call: Call) -> pd.DataFrame:
    """Every check with its fate, as `figures.plot_pairs` takes it; the pair is named as the client sees it."""
    stun = call.table("stun")
    columns = ["pair", "seconds", "answered", "nominated", "up"]
    if stun is None:
        return pd.DataFrame(columns=columns)
    binding = stun[stun["method"] == "Binding"]
    answers = binding[binding["message_class"] == "success"]
    known = set(answers["transaction_id"].dropna()) if "transaction_id" in answers else set()
    people = set(cast.addresses(cast.build(call.tables()), call.flows))
    asked = binding[binding["message_class"] == "request"]
    chosen = {
        int(f) for _, requests in asked.groupby(["flow", "up", "depth"]) for f in _nominating(requests)[0]["frame"]
    }
    rows = []
    for row in asked.itertuples():
        ends = [endpoint(row.src, row.src_port), endpoint(row.dst, row.dst_port)]
        up = row.src in people
        if isinstance(getattr(row, "transaction_id", None), str):
            answered = row.transaction_id in known
        else:
            later = answers[(answers["flow"] == row.flow) & (answers["up"] != row.up)]["seconds"] - row.seconds
            answered = bool(((later >= 0) & (later < SOON)).any())
        pair = " ↔ ".join(ends if up else ends[::-1]) + (f"  (in {row.transport.upper()} relay)" if row.depth else "")
        rows.append((pair, float(row.seconds), answered, int(row.frame) in chosen, up))
    return pd.DataFrame(rows, columns=columns)


def caption(checks: pd.DataFrame) -> str:
    """What the timeline of the pairs shows."""
    pairs = checks["pair"].nunique()
    noun = "pair" if pairs == 1 else "pairs"
    return f"ICE checks over time on {pairs:,} {noun} of addresses; an upright line is the nomination of its pair."
