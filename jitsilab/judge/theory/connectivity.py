"""Steps S17 to S20, S24, S25, S31, S33: candidates are gathered, checked, nominated, kept alive, and begun anew."""

from itertools import pairwise
from statistics import median

import pandas as pd

from jitsilab.analysis import limits
from jitsilab.ip import is_loopback, is_private
from jitsilab.judge.checks import GUARD, Certainty, Outcome
from jitsilab.judge.theory.entry import JCF, JVB, LJM
from jitsilab.judge.theory.scope import (
    Scope,
    Step,
    absent,
    beside,
    broken,
    columns,
    hidden,
    holds,
    in_session,
    missing,
    noted,
)  # fmt: skip
from jitsilab.judge.theory.signaling import KEYS, without_session

PROMPT = limits.PROMPT.value  # s from an offer to the first connection to a relay
CONSENT = limits.CONSENT.value  # s without an answer after which consent is gone (RFC 7675 section 5.1)
AT_ONCE = 2  # checks of one side that may be under way on one pair: an ordinary and a triggered one
STEADY = limits.STEADY.value  # share of their mean within which intervals that are drawn anew seldom stay


def gathered(scope: Scope) -> Outcome:
    """A browser opens its relays as soon as it has an offer, needed or not."""
    session, stream = scope.session, scope.stream
    if scope.turns:
        frames = [frame for turn in scope.turns for frame in (turn.allocated or turn.frames)[:1]]
        ways = ", ".join(sorted({turn.via for turn in scope.turns}))
        first = min(turn.start for turn in scope.turns)
        if session is None or not session.offered:
            return holds("relays opened; when they were offered is not seen", frames, ways, Certainty.DEDUCED)
        after = first - session.offered_at
        note = f"first connection to a relay {abs(after):.2f} s {'after' if after >= 0 else 'before'} the offer"
        return holds(note, frames, ways) if after <= PROMPT else noted(f"{note}: late", frames, ways)
    if stream is None or not scope.person.addresses:
        return hidden("whether relays were offered to this one, or where it is, is not to be seen here")
    if stream.services is None:
        return absent("whether relays were offered is not in the capture")
    wanted = [
        service
        for service in stream.services
        if service.type == "turns" or (service.type == "turn" and (scope.kind == "p2p" or service.transport == "tcp"))
    ]
    if not wanted:
        return beside("no relay that this session uses was offered")
    if session is None or not session.offered:
        return absent("the offer is not in the capture")
    return absent("relays were offered, and no connection to one came", [stream.services_frame, session.offered])


CHECK = (
    "frame", "seconds", "message_class", "username", "outgoing", "integrity_ok", "fingerprint_ok", "attributes",
)  # fmt: skip


def checked(stun: pd.DataFrame, scope: Scope) -> Outcome:
    """Checks go both ways and are answered, each in the form of the specification."""
    binding = columns(stun, *CHECK)[stun["method"].eq("Binding")]
    requests = binding[binding["message_class"].eq("request") & binding["username"].notna()]
    answers = binding[binding["message_class"].eq("success")]
    if requests.empty:
        return missing(scope, "no check in the capture", binding["frame"].head(3))
    fault, frames = _fault(requests, answers, scope)
    if fault:
        return broken(fault, frames)
    outgoing, incoming = requests[requests["outgoing"]], requests[~requests["outgoing"]]
    shown = [*outgoing["frame"].head(2), *incoming["frame"].head(2), *answers["frame"].head(2)]
    relayed = ", ".join(sorted({leg.via for leg in scope.legs}))
    if answers.empty:
        if all(not leg.direct for leg in scope.legs) and any(
            turn.stage == "permission-refused" for turn in scope.turns
        ):
            return absent("checks into a relay that lets none through", shown, relayed)
        if watched(scope, float(requests["seconds"].min())) and not scope.shut:
            return broken(f"{len(requests)} checks, and no answer", shown, relayed)
        return missing(scope, "checks, and no answer in the capture", shown, relayed)
    verified = int(requests["integrity_ok"].eq(True).sum()) if "integrity_ok" in requests else 0
    proof = f", {verified} verified with the password of Jingle" if verified else ""
    return holds(f"{len(outgoing)} checks out, {len(incoming)} in, {len(answers)} answers{proof}", shown, relayed)


def watched(scope: Scope, since: float) -> bool:
    """Whether a session's time from then on is in the capture, long enough for what follows to have come."""
    begun = (scope.session is not None and scope.session.offered > 0) or scope.person.begun < since
    return begun and not scope.call.lossy and scope.call.end - since >= GUARD


def _fault(requests: pd.DataFrame, answers: pd.DataFrame, scope: Scope) -> tuple[str, pd.Series]:
    """What is wrong with the form of a check; what a printed table does not tell is not judged."""
    for rows, name, what in (
        (requests, "integrity_ok", "MESSAGE-INTEGRITY"),
        (requests, "fingerprint_ok", "FINGERPRINT"),
        (answers, "fingerprint_ok", "FINGERPRINT"),
    ):
        if name in rows and rows[name].eq(False).any():
            return f"{what} is wrong", rows.loc[rows[name].eq(False).fillna(False).astype(bool), "frame"]
    if "attributes" in requests and requests["attributes"].notna().all():
        read = requests[~requests["frame"].isin(scope.every.cut)]
        words = read["attributes"].str.split()
        lacking = read[
            [not {"0024", "0006"} <= set(attributes) or not {"8029", "802a"} & set(attributes) for attributes in words]
        ]
        if len(lacking):
            return "a check without USERNAME, PRIORITY or role", lacking["frame"]
        order = read[["8028" in attributes and attributes[-1] != "8028" for attributes in words]]
        if len(order):
            return "FINGERPRINT is not the last attribute", order["frame"]
    session = scope.session
    if session is not None and session.own and session.remote:
        strange = requests[
            [set(str(username).split(":")) - session.own - session.remote != set() for username in requests["username"]]
        ]
        if len(strange) and scope.whole:
            return "a USERNAME of ufrags that nobody told", strange["frame"]
    return "", requests["frame"]


def conflicted(stun: pd.DataFrame, scope: Scope) -> Outcome:
    """Both take the same role: 487, then the roles differ. Checks under way bring a 487 each, on each pair."""
    errors = stun[stun["error_code"].eq(487) & stun["method"].eq("Binding")]
    if errors.empty:
        other = stun.loc[stun["error_code"].notna() & stun["method"].eq("Binding"), "error_code"]
        codes = ", ".join(sorted({str(int(code)) for code in other}))
        return beside("no conflict of roles" + (f"; errors {codes} are none" if codes else ""))
    again = errors.groupby(["flow", "outgoing"])["transaction_id"].nunique()
    if again.max() > AT_ONCE:
        return broken(f"{again.max()} conflicts on one pair: neither side gives way", errors["frame"])
    later = stun[stun["message_class"].eq("request") & stun["frame"].gt(int(errors["frame"].iloc[0]))]
    roles = {bool(outgoing): set(rows["role"].dropna()) for outgoing, rows in later.groupby("outgoing")}
    if len(roles) == 2 and all(roles.values()) and not roles[True] & roles[False]:
        return holds("a conflict, then the roles differ", errors["frame"])
    return absent("a conflict; what followed is not in the capture", errors["frame"])


def nominated(stun: pd.DataFrame, scope: Scope) -> Outcome:
    """The controlling side nominates pairs; nobody else does."""
    if "use_candidate" not in stun or stun["use_candidate"].isna().all():
        return hidden("this table does not tell USE-CANDIDATE")
    flagged = columns(stun, "frame", "flow", "depth", "outgoing", "role")[
        stun["use_candidate"].fillna(False).astype(bool) & stun["message_class"].eq("request")
    ]
    if flagged.empty:
        return missing(scope, "no nomination in the capture")
    wrong = flagged[flagged["role"].eq("controlled")]
    if len(wrong):
        return broken("USE-CANDIDATE from the controlled side", wrong["frame"])
    pairs = flagged.drop_duplicates(["flow", "depth"])
    side = "the participant" if flagged["outgoing"].any() else "the other side"
    more = f"{len(pairs)} pairs, " if len(pairs) > 1 else ""
    return holds(f"{more}nominated by {side}", pairs["frame"], "controlling: " + side)


def over_tcp(candidates: pd.DataFrame, scope: Scope) -> Outcome:
    """The bridge offers UDP alone; its TCP was off by default in 2020 and is gone today."""
    if scope.kind != "jvb":
        return beside("not a session with the bridge")
    rows = candidates[~candidates["outgoing"]]
    tcp = rows[rows["protocol"].fillna("").str.lower().isin(["tcp", "ssltcp"])]
    if rows.empty:
        return absent("the bridge's candidates are not in the capture")
    if len(tcp):
        return noted(
            f"{len(tcp)} TCP candidates of the bridge: an older one with ICE over TCP on", tcp["frame"], "ice-tcp"
        )
    return holds("UDP alone", rows["frame"].drop_duplicates(), "udp")


def alive(stun: pd.DataFrame, scope: Scope) -> Outcome:
    """On a pair in use a check is answered at least every 30 s, each way."""
    notes, frames, variants, longest, seen = [], [], [], 0.0, False
    answered = stun["method"].eq("Binding") & stun["message_class"].eq("success")
    answers = columns(stun, "frame", "seconds", "outgoing", "transaction_id")[answered]
    # Seen before and behind a relay, or twice by a mirror port, one answer is one.
    again = answers["transaction_id"].notna() & answers.duplicated(["outgoing", "transaction_id"])
    answers = answers[~again]
    for outgoing, who in ((True, "the participant's"), (False, "the other's")):
        rows = answers[answers["outgoing"].ne(outgoing)]  # the answer comes from whom the check went to
        times = sorted(float(second) for second in rows["seconds"])
        steps = [after - before for before, after in pairwise(times)]
        if not steps:
            continue
        seen = True
        longest = max(longest, *steps)
        frames += list(rows["frame"].tail(2))
        calm = [step for step in steps if step > 1.5]
        if len(calm) >= 3:
            middle = median(calm)
            steady = max(abs(step - middle) for step in calm) <= STEADY * middle
            variants.append(f"{who} checks every {middle:.1f} s{', not randomised' if steady else ''}")
    if not seen:
        return missing(scope, "no two answered checks in the capture", answers["frame"].head(2))
    lasting = [leg for leg in scope.legs if leg.rtp_out.packets > 1]
    if longest > CONSENT and not scope.call.lossy and not scope.shut:
        for rows in (answers[answers["outgoing"]], answers[~answers["outgoing"]]):
            times = sorted(float(second) for second in rows["seconds"])
            for before, after in pairwise(times):
                if after - before > CONSENT and any(
                    leg.rtp_out.first < before and leg.rtp_out.last > before + CONSENT for leg in lasting
                ):
                    return broken(
                        f"{after - before:.0f} s without an answered check while media flow",
                        frames,
                        "; ".join(variants),
                    )
    notes.append(f"an answered check at least every {longest:.1f} s")
    return holds("; ".join(notes), frames, "; ".join(variants))


def mapped(scope: Scope) -> Outcome:
    """A bridge behind one-to-one NAT offers its public address too."""
    session, stun, candidates = scope.session, scope.table("stun"), scope.table("candidates")
    offered = candidates[~candidates["outgoing"] & candidates["address"].notna()] if candidates is not None else None
    addresses = sorted({str(addr) for addr in offered["address"]}) if offered is not None else []
    frames = list(offered["frame"].drop_duplicates()) if offered is not None else []
    direct = [leg for leg in scope.legs if leg.direct]
    outside = scope.call.own or any(not is_private(addr) for addr in scope.person.addresses)
    unreached = not any(leg.sent for leg in direct) if not scope.call.own else not any(leg.connected for leg in direct)
    if addresses and all(is_private(addr) for addr in addresses) and outside and unreached and session is not None:
        if scope.call.end - session.offered_at >= GUARD:
            return broken(f"the bridge offers {', '.join(addresses)} alone, which the participant cannot reach", frames)
        return absent("the bridge offers private addresses alone; too short to tell", frames)
    seen = _mapping(stun)
    public = [addr for addr in addresses if not is_private(addr)]
    if seen is None:
        if stun is None and not addresses:
            return hidden("neither the candidates nor the checks are to be seen here")
        if public:
            return holds(
                f"offers {', '.join(addresses)}; no answered check of the bridge shows the mapping", frames, "announced"
            )
        return absent("no answered check of the bridge in the capture", frames)
    source, port, address, other, frame = seen
    if address == source:
        return holds(f"the bridge is reached at its own address {address}", [frame], "no NAT")
    if port != other:
        return noted(f"the NAT of the server changes the port too: {port} to {other}", [frame], "port changed")
    same = [addr for addr in public if (":" in addr) == (":" in address)]
    if same and address not in addresses:
        return broken(
            f"clients see the bridge at {address}, which it does not offer ({', '.join(same)})", [frame, *frames]
        )
    known = Certainty.MEASURED if addresses else Certainty.DEDUCED
    return holds(f"{source} is {address} outside, port {port} kept", [frame, *frames], "one-to-one NAT", known)


def _mapping(stun: pd.DataFrame | None) -> tuple[str, int, str, int, int] | None:
    """The bridge's address and port as captured, and as a client saw them: by an answer to the bridge's own check."""
    if stun is None or stun.empty:
        return None
    answers = stun[
        stun["outgoing"]
        & stun["message_class"].eq("success")
        & stun["method"].eq("Binding")
        & stun["mapped_address"].notna()
    ]
    if "depth" in answers:
        answers = answers[answers["depth"].fillna(0).eq(0)]
    for src, dst, port, address, other, frame in zip(
        *(answers[name] for name in ("src", "dst", "dst_port", "mapped_address", "mapped_port", "frame")), strict=True
    ):
        if src != dst and not is_loopback(dst) and pd.notna(port) and pd.notna(other):
            return str(dst), int(port), str(address), int(other), int(frame)
    return None


def renewed(jingle: pd.DataFrame, scope: Scope) -> Outcome:
    """Where ICE failed, the client says so and is offered a session anew."""
    session, stream = scope.session, scope.stream
    assert session is not None
    inside = jingle[
        jingle["action"].isin(["transport-replace", "session-info", "transport-info"]) & jingle["restart"].notna()
    ]
    ends = jingle[jingle["action"].eq("session-terminate")]
    failed = session.ended and "connectivity" in session.reason
    if not failed and inside.empty:
        return beside("ICE was not begun anew")
    if not failed:
        return holds("ICE begun anew in place", inside["frame"], str(inside["action"].iloc[0]))
    frames = [session.ended]
    after = [
        later
        for later in (stream.sessions.values() if stream is not None else ())
        if later.offered > session.ended and later.kind == session.kind
    ]
    if not after:
        asked = ends["restart"].notna().any()
        return absent(
            "ICE failed; no new offer in the capture" + (", though one was asked for" if asked else ""), frames
        )
    again = after[0]
    if again.remote & session.remote or again.own & session.own:
        return broken("the new session has ufrags of the old one", [*frames, again.offered])
    lasted, pause = session.ended_at - session.offered_at, again.offered_at - session.ended_at
    note = f"ICE failed after {lasted:.1f} s, a new offer {pause:.2f} s later"
    return holds(note, [*frames, again.offered], "a new session")


STEPS: tuple[Step, ...] = (
    Step(
        "S17",
        "Candidates are gathered",
        f"RFC 8445 section 5.1.1; {LJM} modules/xmpp/strophe.jingle.js",
        (),
        gathered,
        "a session is offered",
        "the connections to relays; keys for what was offered",
        each="session",
        applies=without_session,
    ),
    Step(
        "S18",
        "ICE checks the pairs",
        "RFC 8445 sections 7.1.1, 7.2.2 and 7.3; RFC 8489 sections 14.2, 14.5 and 14.7",
        ("stun",),
        checked,
        "both sides know each other's ufrag",
        "STUN in clear, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S19",
        "A conflict of roles is repaired",
        "RFC 8445 section 7.3.1.1",
        ("stun",),
        conflicted,
        "both take the same role",
        "STUN in clear, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S20",
        "A pair is nominated",
        f"RFC 8445 section 8.1.1; {JVB} jvb/src/main/resources/reference.conf",
        ("stun",),
        nominated,
        "a check was answered",
        "STUN in clear, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S24",
        "The bridge offers UDP alone",
        f"RFC 6544 section 4.5; {JVB} jvb/src/main/resources/reference.conf",
        ("candidates",),
        over_tcp,
        "the bridge offers candidates",
        KEYS,
        each="session",
        applies=without_session,
    ),
    Step(
        "S25",
        "Consent is kept fresh",
        f"RFC 7675 section 5.1; {JVB} jvb/src/main/resources/application.conf",
        ("stun",),
        alive,
        "a pair is in use",
        "STUN in clear, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S31",
        "A bridge behind NAT offers its public address",
        f"jitsi/ice4j src/main/resources/reference.conf; {JVB} debian/postinst",
        (),
        mapped,
        "the bridge is behind one-to-one NAT",
        "the bridge's candidates, or answers to its checks",
        each="session",
        applies=lambda scope: "not a session with the bridge" if scope.kind == "p2p" else without_session(scope),
    ),
    Step(
        "S33",
        "ICE begins anew after a failure",
        f"RFC 8445 section 9; {LJM} modules/connectivity/IceFailedHandling.ts; "
        f"{JCF} jicofo/src/main/resources/reference.conf",
        ("jingle",),
        in_session(renewed),
        "ICE failed",
        KEYS,
        each="session",
        applies=without_session,
    ),
)
