"""TURN inside TLS, told from the lengths of records, and from the plaintext where there is any."""

from collections.abc import Iterable

import pandas as pd

from jitsilab.analysis import turn_in_tls
from jitsilab.call import Call
from jitsilab.pages.markdown import Raw
from jitsilab.pages.narrative import Story, listed, plural
from jitsilab.pages.narrative.blocks import Table

HEADER, TRANSPORT, INTEGRITY, ADDRESS, LIFETIME = 20, 8, 24, 12, 8  # bytes (RFC 8489 section 5, RFC 8656 section 18)
SEND = 36  # bytes that a Send or Data indication puts around an IPv4 payload
CHECKS = range(84, 161)  # bytes that an ICE check can have
SAME = "SOFTWARE or FINGERPRINT"  # attributes that every answer of a server carries; lengths cannot tell which
PERMISSION_LESS = 32  # bytes by which a granted permission's answer is shorter than a granted allocation's
EXPIRY, NONCES = 12, (16, 20)  # padded bytes of a time of ten digits; of the nonces that coturn makes
UNAUTHORIZED = 12  # padded bytes of the reason phrase "Unauthorized"
FORBIDDEN = 12  # padded bytes of "Forbidden IP", as coturn 4.5 words a refused peer address

SESSIONS = {"p2p": "a peer's", "jvb": "the bridge's"}


def stages(call: Call) -> pd.DataFrame:
    """One row a flow of TURN inside TLS, as `jitsilab.analysis.turn_in_tls.STAGES` has it."""
    tls, flows = call.table("tls"), call.table("flows")
    if tls is None or flows is None:
        return pd.DataFrame(columns=list(turn_in_tls.STAGES))
    return turn_in_tls.stages(tls, flows)


def overview(call: Call) -> Story:
    """How many flows are TURN inside TLS, whose, and how sure that is."""
    tls, tunnels = call.table("tls"), stages(call)
    if tls is None:
        return Story().add("Without a table of TLS records nothing can be said of TURN inside TLS.")
    if tunnels.empty:
        return Story().add("No flow in this capture opens as TURN inside TLS does.", turn_flows=0)
    counts = tunnels.groupby("address", sort=False)["flow"].size()
    story = Story().add(
        "{turn_flows} {flows} as an allocation at a TURN server does: {whose}.", turn_flows=len(tunnels),
        flows="flow opens" if len(tunnels) == 1 else "flows open",
        whose=listed(f"{count} of {address}" for address, count in counts.items()),
    )  # fmt: skip
    sure = int((tunnels["certainty"] == "deduced").sum())
    story.extend(
        "In {sure} of them at least five equations between the lengths hold (the best has {score}), so the reading is "
        "*deduced*{rest}.", sure=sure, score=int(tunnels["score"].max()),
        rest="" if sure == len(tunnels) else "; in the others it is inferred",
    )  # fmt: skip
    return story.extend("[Figure](#figure-staircase) shows one flow.")


def lengths(call: Call) -> Table | Story:
    """Each kind of message with its length and the attributes that add up to it."""
    rows, tunnels = call.table("turn_in_tls"), stages(call)
    if rows is None or rows.empty or tunnels.empty:
        return Story()
    flow = tunnels.sort_values(["score", "flow"], ascending=[False, True]).iloc[0]
    alike = tunnels[(tunnels["username"].fillna(-1) == _number(flow["username"])) & (tunnels["fixed"] == flow["fixed"])]
    named = rows[rows["flow"].isin(alike["flow"]) & ~rows["message"].isin(["other", "channel-data"])]
    shown = []
    for (message, up, length), group in named.groupby(["message", "up", "length"], sort=False):
        shown.append((str(message).replace("-", " "), "to the server" if up else "from the server", length, len(group),
                      _sum(str(message), int(length), flow), int(group["frame"].iloc[0])))  # fmt: skip
    columns = ["Message", "Direction", "Bytes", "How many", "What adds up to it", "First in frame"]
    caption = (
        "Lengths of the messages inside the records, and the attributes that add up to them "
        "([RFC 8489](#ref-8), [RFC 8656](#ref-9)). The first Allocate carries no credentials, and its "
        "error asks for them."
    )
    return Table("turn-lengths", pd.DataFrame(shown[:30], columns=columns), caption, align="llrrlr")


def _number(value: object) -> float:
    return -1.0 if pd.isna(value) else float(value)  # type: ignore[arg-type]  # pandas' scalars


def _sum(message: str, length: int, flow: "pd.Series[object]") -> str:
    """The sum in words, if it comes out at this length; else nothing."""
    user, realm, fixed, reason = (
        int(_number(flow[column])) for column in ("username", "realm_and_nonce", "fixed", "reason")
    )
    credentials = [(4 + user, "USERNAME"), (8 + realm, "REALM and NONCE"), (INTEGRITY, "MESSAGE-INTEGRITY")]
    answer = [(fixed, SAME), (INTEGRITY, "MESSAGE-INTEGRITY")]
    inside = length - SEND
    parts = {
        "allocate": [(TRANSPORT, "REQUESTED-TRANSPORT")],
        "allocate-error": [(8 + UNAUTHORIZED, "ERROR-CODE"), (8 + realm, "REALM and NONCE"), (fixed, SAME)],
        "allocate-success": [(ADDRESS, "relayed"), (ADDRESS, "mapped address"), (LIFETIME, "LIFETIME"), *answer],
        "create-permission": [(ADDRESS, "peer address"), *credentials],
        "create-permission-success": answer,
        "create-permission-error": [(8 + reason, "ERROR-CODE"), *answer],
        "channel-bind": [(8, "CHANNEL-NUMBER"), (ADDRESS, "peer address"), *credentials],
        "channel-bind-success": answer,
        "refresh": [(LIFETIME, "LIFETIME"), *credentials],
        "refresh-success": [(LIFETIME, "LIFETIME"), *answer],
        "send": [
            (SEND - HEADER, "peer address and DATA"),
            (inside, "an ICE check" if inside in CHECKS else "what is sent"),
        ],
        "data": [(SEND - HEADER, "peer address and DATA"), (inside, "what came")],
    }.get(message, [])
    for terms in (parts, [*parts, *credentials]):
        whole = [(HEADER, "header"), *((size, name) for size, name in terms if size > 0)]
        if parts and sum(size for size, _ in whole) == length:
            return " + ".join(f"{size} {name}" for size, name in whole)
    return ""


def flows(call: Call) -> Table | Story:
    """The flows one by one, with how far each got."""
    tunnels = stages(call)
    if tunnels.empty:
        return Story()
    rows = pd.DataFrame(
        {
            "Flow": tunnels["flow"],
            "Client": tunnels["client"],
            "From (s)": [f"{s:.2f}" for s in tunnels["first_seconds"]],
            "To (s)": [f"{s:.2f}" for s in tunnels["last_seconds"]],
            "Permissions asked": tunnels["permissions"],
            "Granted": tunnels["granted"],
            "Refused": tunnels["refused"],
            "ICE checks": [
                f"{n} of {size} bytes, {SESSIONS.get(str(session), '')} session".replace(",  session", "") if n else ""
                for n, size, session in zip(tunnels["checks"], tunnels["check_length"], tunnels["session"], strict=True)
            ],
            "Got as far as": [str(stage).replace("-", " ") for stage in tunnels["stage"]],
        }
    )
    caption = "The flows of TURN inside TLS, read without a key, and the stage that each reached."
    return Table("turn-flows", rows, caption, align="rlrrrrrll")


def refusals(call: Call) -> Story:
    """What the TURN server said to requests for permission."""
    tunnels, story = stages(call), Story()
    if len(tunnels):
        granted_all = tunnels[~tunnels["stage"].isin(["unreachable", "auth-failed"])]
        story.add(
            "{allocated} of {tried} allocations were granted.", allocated=len(granted_all), tried=len(tunnels),
        )  # fmt: skip
        for address, group in tunnels.groupby("address", sort=False):
            asked, granted, refused = (int(group[c].sum()) for c in ("permissions", "granted", "refused"))
            if not asked:
                story.extend("{who} asked for no permission.", key=address, who=address)
                continue
            frames = tuple(int(f) for text in group["refused_frames"].fillna("") for f in str(text).split())
            story.extend(
                "**Of {asked} permissions that {who} asked for, {refused} were refused and {granted} granted"
                + ("** (frames {refusals})." if refused else ".**"),
                key=address, asked=asked, who=address, refused=refused, granted=granted, refusals=frames,
            )  # fmt: skip
        if set(tunnels["certainty"]) == {"deduced"}:
            story.extend("*Deduced.*")
    return _in_clear(call, story)


def _in_clear(call: Call, story: Story) -> Story:
    stun = call.table("stun")
    if stun is None or stun.empty:
        return story
    errors = stun[(stun["method"] == "CreatePermission") & (stun["message_class"] == "error")]
    errors = errors.dropna(subset=["error_code"])
    for (code, reason), group in errors.groupby(["error_code", errors["error_reason"].fillna("")], sort=True):
        story.add(
            "In the plaintext {count} requests for a permission were refused with {code} “{reason}” (frames {frames}). "
            "*Measured.*", key=code, count=len(group), code=int(code), reason=str(reason), frames=tuple(group["frame"]),
        )  # fmt: skip
    return story


def invariants(call: Call) -> Story:
    """What holds between the lengths whatever the credentials are (RFC 8656 sections 7 and 9)."""
    rows, tunnels = call.table("turn_in_tls"), stages(call)
    if rows is None or tunnels.empty:
        return Story()
    common = {name: group["length"].mode().iloc[0] for name, group in rows[rows["up"]].groupby("message")}
    common |= {name: group["length"].mode().iloc[0] for name, group in rows[~rows["up"]].groupby("message")}
    asked = rows[(rows["message"] == "allocate") & (rows["length"] > common.get("allocate-error", 0))]["length"]
    if asked.empty:
        return Story()
    allocate = int(asked.mode().iloc[0])
    story = Story().add(
        "Before any sum, differences that no credentials can change: after an Allocate with credentials of {allocate} "
        "bytes", allocate=allocate,
    )  # fmt: skip
    parts = []
    if "create-permission" in common:
        parts.append(("a CreatePermission has {permission}, {more} more (a peer's address for a transport)",
                      {"permission": int(common["create-permission"]),
                       "more": int(common["create-permission"]) - allocate}))  # fmt: skip
    if "refresh" in common:
        parts.append(("a Refresh has {refresh}, as many (a lifetime for a transport)",
                      {"refresh": int(common["refresh"])}))  # fmt: skip
    if "allocate-success" in common:
        success = int(common["allocate-success"])
        if "refresh-success" in common:
            parts.append(("the two answers differ by {difference} (two addresses)",
                          {"difference": success - int(common["refresh-success"])}))  # fmt: skip
        parts.append(("and a permission that is granted would be answered with {granted} bytes",
                      {"granted": success - PERMISSION_LESS}))  # fmt: skip
    for text, values in parts:
        story.extend("– " + text + ";" if text is not parts[-1][0] else "– " + text + ".", **values)
    errors = rows[rows["message"] == "create-permission-error"]["length"]
    if len(errors):
        story.extend(
            "All {errors} answers have {seen}: an error, whose ERROR-CODE takes {code} bytes.", errors=len(errors),
            seen=int(errors.mode().iloc[0]), code=int(errors.mode().iloc[0]) - success + PERMISSION_LESS,
        )  # fmt: skip
    return Story(story.text.replace("bytes –", "bytes").replace("; –", ";"), story.values)


def credentials(call: Call, domain: str = "") -> Story:
    """What the padded lengths of the credentials fit."""
    tunnels = stages(call)
    tunnels = tunnels[tunnels["certainty"] == "deduced"].dropna(subset=["username"])
    if tunnels.empty:
        return Story()
    username, realm = (int(tunnels[c].mode().iloc[0]) for c in ("username", "realm_and_nonce"))
    if username != EXPIRY:
        return Story()
    story = Story().add(
        "{username} bytes are what a time of ten digits takes, the expiry that serves as user name where TURN shares a "
        "secret with the XMPP server.", username=username,
    )  # fmt: skip
    padded = -(-len(domain) // 4) * 4
    if domain and realm - padded in NONCES:
        story.extend(
            "The realm {domain} takes {realm}, which leaves {nonce} for the nonce, as coturn makes it.",
            domain=domain, realm=padded, nonce=realm - padded,
        )  # fmt: skip
    return story.extend("*Inferred.*")


def unknowns(call: Call) -> Story:
    """What the sums settle alone, and what they settle only together with a guess."""
    tunnels = stages(call)
    tunnels = tunnels[tunnels["certainty"] == "deduced"].dropna(subset=["fixed"])
    if tunnels.empty:
        return Story()
    flow = tunnels.sort_values(["score", "flow"], ascending=[False, True]).iloc[0]
    story = Story().add(
        "The lengths settle one number without any assumption (*deduced*): each answer carries {fixed} more bytes of "
        "attributes than the standard demands.", fixed=int(flow["fixed"]),
    )  # fmt: skip
    reasons = {int(r) for r in tunnels["reason"].dropna()}
    if reasons:
        story.extend(
            "A refused permission gives the reason in {reason} bytes, padding included: a phrase of {least} to "
            "{reason} characters.", reason=max(reasons), least=max(reasons) - 3,
        )  # fmt: skip
    if pd.notna(flow["username"]):
        story.extend(
            "Three more are *conditional*: if the first refusal, which only asks for credentials, says “Unauthorized” "
            "as the standard has it, then the USERNAME takes {username} bytes and REALM and NONCE together {realm}. "
            "Nothing here was decrypted.", username=int(flow["username"]), realm=int(flow["realm_and_nonce"]),
        )  # fmt: skip
    return story


def hidden_checks(call: Call) -> Story:
    """ICE checks that went into the tunnel."""
    tunnels = stages(call)
    tunnels = tunnels[tunnels["checks"] > 0]
    if tunnels.empty:
        return Story()
    story = Story()
    for address, group in tunnels.groupby("address", sort=False):
        which = ("flow " if len(group) == 1 else "flows ") + listed(str(f) for f in group["flow"])
        story.extend(
            "**{sender} did send connectivity checks, inside TURN inside TLS: {checks}** (in {flows}).",
            key=address, sender=address, checks=int(group["checks"].sum()), flows=which,
        )  # fmt: skip
    for length, group in tunnels.groupby("check_length", sort=True):
        longest, session = group["username_longest"].iloc[0], str(group["session"].iloc[0])
        if pd.isna(longest) or session not in SESSIONS:
            continue
        story.extend(
            "Those of {length} bytes have a USERNAME of {least} to {most} bytes: they belong to {whose} session.",
            key=f"check_{length}", length=int(length), least=int(longest) - 3, most=int(longest),
            whose=Raw(SESSIONS[session]),
        )  # fmt: skip
    return story.extend("*Deduced.*")


def retries(call: Call) -> Story:
    """How long after a refusal the client gave the flow up and opened the next."""
    tunnels = stages(call)
    refused = tunnels[(tunnels["stage"] == "permission-refused") & (tunnels["session"].fillna("") != "p2p")]
    story, rows = Story(), []
    for row in refused.itertuples():
        frames = str(row.refused_frames or "").split()
        later = tunnels[(tunnels["address"] == row.address) & (tunnels["first_seconds"] > row.last_seconds)]
        later = later[later["first_seconds"] - row.last_seconds < 2]
        when = _seconds(call, frames[:1])
        if when is not None and len(later):
            rows.append((when, float(row.last_seconds), float(later["first_seconds"].iloc[0])))
    if not rows:
        return story
    for number, (when, closed, opened) in enumerate(rows, 1):
        story.extend(
            "Refused at {refused:.2f} s, the flow was closed at {closed:.2f} s and the next one opened at "
            "{opened:.2f} s.", key=f"retry_{number}", refused=when, closed=closed, opened=opened,
        )  # fmt: skip
    story.extend(
        "That is the rhythm of a client that reports a failed connection, waits two seconds and starts its session "
        "anew. *Inferred.*"
    )
    peer = tunnels[(tunnels["session"].fillna("") == "p2p") & (tunnels["stage"] == "permission-refused")]
    if len(peer):
        story.extend(
            "{count} for a peer's session {were} given up within {within:.2f} s.", count=plural(len(peer), "flow"),
            were="was" if len(peer) == 1 else "were",
            within=float((peer["last_seconds"] - peer["first_seconds"]).max()),
        )  # fmt: skip
    return story


def _seconds(call: Call, frames: Iterable[str]) -> float | None:
    rows = call.table("turn_in_tls")
    numbers = [int(f) for f in frames if f.isdigit()]
    if rows is None or not numbers:
        return None
    seconds = rows.loc[rows["frame"] == numbers[0], "seconds"]
    return float(seconds.iloc[0]) if len(seconds) else None


def example(call: Call, flow: int = 0) -> pd.DataFrame:
    """The records of one flow for the staircase: the flow asked for, else the one that tells most."""
    rows, tunnels = call.table("turn_in_tls"), stages(call)
    if rows is None or tunnels.empty:
        return pd.DataFrame()
    if flow not in set(tunnels["flow"]):
        best = tunnels.assign(control=tunnels["refused"] * 3 + tunnels["permissions"] + tunnels["checks"].clip(upper=4))
        flow = int(best.sort_values(["control", "flow"], ascending=[False, True])["flow"].iloc[0])
    return rows[rows["flow"] == flow]


def caption(records: pd.DataFrame) -> str:
    """What the staircase shows, for its caption."""
    if records.empty:
        return ""
    refused = int((records["message"] == "create-permission-error").sum())
    text = f"Lengths of the records of one flow, {records['client'].iloc[0]}, as messages of TURN."
    if (records["message"] == "other").any():
        text += " “Other” is no message of TURN: after the handshake a server hands out session tickets."
    return text + (" What was refused is set bold." if refused else "")
