"""A claim about something that is absent from a capture, held against the capture.

The worked example is the study's: "no STUN between the server and the second laptop; maybe that laptop is not behind a
NAT". A `Claim` says what was absent, between whom, and the reason offered. Its premises are `Check` objects, judged
like any others, so that a table which is not there makes a premise NOT_OBSERVABLE and never false. Absence has nine
possible explanations (`EXPLANATIONS`); the capture shows some, rules out others, and leaves the rest open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from jitsilab.analysis import turn_in_tls
from jitsilab.judge.checks import Certainty, Check, Outcome, Verdict, judge

REASONS = {  # reason offered: the explanation that it is; a client's NAT is none (RFC 8445 sections 2.2 and 6.1.2.2)
    "not-behind-nat": None, "behind-nat": None, "not-started": "E1", "relayed": "E2", "udp-blocked": "E3",
    "peer-to-peer": "E4", "outside-the-capture": "E5", "filtered": "E6", "other-interface": "E7", "no-webrtc": "E8",
    "server-nat-mapping-missing": "E9",
}  # fmt: skip
EXPLANATIONS = {
    "E1": "no ICE session was started for it",
    "E2": "its checks run inside a relay's connection",
    "E3": "its UDP does not get out",
    "E4": "its media go directly to a peer, past the capture",
    "E5": "it checked before the capture began or after it ended",
    "E6": "a filter, a cut or a loss took the packets out of the capture",
    "E7": "they took another interface",
    "E8": "it takes no part in WebRTC",
    "E9": "the bridge offered no address that it can reach",
}
_WORDS = {
    "not-behind-nat": "is not behind a NAT", "behind-nat": "is behind a NAT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """What was absent, between whom, and why somebody thinks so."""

    between: tuple[str, str]  # addresses: of the server and of the participant
    reason: str = "not-behind-nat"  # one of REASONS
    absent: str = "STUN"

    def __str__(self) -> str:
        server, client = self.between
        why = f"{client} {_WORDS[self.reason]}" if self.reason in _WORDS else EXPLANATIONS[REASONS[self.reason] or "E1"]
        return f"There is no {self.absent} between {server} and {client}, because {why}."


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation of the absence: ``shown``, ``excluded`` or ``open``."""

    id: str
    text: str
    state: str
    frames: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with its verdict: ``refuted``, ``supported`` or ``undecided``."""

    claim: Claim
    verdict: str
    premises: list[tuple[Check, Outcome]] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    note: str = ""

    @property
    def frames(self) -> list[int]:
        """Frames of the premises that hold and of the explanations that the capture shows."""
        shown = [frame for _, outcome in self.premises if outcome.verdict is Verdict.HOLDS for frame in outcome.frames]
        shown += [
            frame for explanation in self.explanations if explanation.state == "shown" for frame in explanation.frames
        ]
        return sorted(set(shown))

    @property
    def certainty(self) -> Certainty:
        """Of the weakest premise that holds."""
        order = list(Certainty)
        held = [outcome.certainty for _, outcome in self.premises if outcome.verdict is Verdict.HOLDS]
        return max(held, key=order.index, default=Certainty.INFERRED)

    def to_json(self) -> dict[str, Any]:
        """For programs: the claim in words, its verdict, frames, a sentence, and what each rests on."""
        return {
            "claim": str(self.claim), "verdict": self.verdict, "frames": self.frames, "note": self.note,
            "certainty": self.certainty.value,
            "premises": [
                {"id": check.id, "premise": check.title, "verdict": outcome.verdict.value,
                 "certainty": outcome.certainty.value, "frames": list(outcome.frames), "note": outcome.note}
                for check, outcome in self.premises
            ],
            "explanations": [
                {"id": explanation.id, "text": explanation.text, "state": explanation.state,
                 "frames": list(explanation.frames), "note": explanation.note}
                for explanation in self.explanations
            ],
        }  # fmt: skip


CHECK = (36 + 80, 36 + 160)  # bytes of a Send indication around an ICE check
Tables = Mapping[str, "pd.DataFrame | None"]


def claimed(call: Any) -> list[Judged]:
    """The study's claim, made of each participant of this call that shows no STUN while others do, and tested."""
    tables = {name: call.table(name) for name in NEEDED}
    return [test(claim, tables) for claim in claims(tables)]


NEEDED = ("frames", "flows", "stun", "tls", "turn_in_tls", "jingle", "candidates")


def claims(tables: Tables) -> list[Claim]:
    """A claim for each client of the server that opens TLS connections to it, and no STUN in clear."""
    flows, stun = tables.get("flows"), tables.get("stun")
    if flows is None or stun is None:
        return []
    clear = stun[(stun["depth"] == 0) & (stun["transport"] == "udp") & (stun["method"] == "Binding")]
    udp = flows[flows["flow"].isin(clear["flow"])]
    if udp.empty:
        return []
    server = str(udp["server"].mode().iloc[0])
    speaking = {*clear["src"], *clear["dst"]}
    tcp = flows[(flows["transport"] == "tcp") & (flows["server"] == server)]
    secret = tcp[tcp["kind"].fillna("").str.split().map(lambda kinds: "TLS" in kinds).astype(bool)]
    silent = [str(client) for client in dict.fromkeys(secret["client"]) if client not in speaking]
    return [Claim((server, client)) for client in silent if client != server and not client.startswith("127.")]


def test(claim: Claim, tables: Tables) -> Judged:
    """Hold a claim against the tables of a capture; a table that is None could not be read."""
    tls = tables.get("tls")
    if tls is None or tls.empty:  # nothing of TLS was printed or captured: what runs inside cannot be seen
        tables = {**tables, "tls": None, "turn_in_tls": None}
    premises = judge(PREMISES, tables, {"claim": claim, "tables": tables})
    by_id = {check.id: outcome for check, outcome in premises}
    absent = by_id["H1"].verdict
    if absent is Verdict.NOT_OBSERVABLE:
        return Judged(claim, "undecided", premises, [], f"This capture does not show whether there is {claim.absent}.")
    if absent is Verdict.BROKEN:
        return Judged(claim, "refuted", premises, [], f"There is {claim.absent} between the two: {by_id['H1'].note}.")
    explanations = [_explain(name, claim, tables, by_id) for name in EXPLANATIONS]
    states = {explanation.id: explanation for explanation in explanations}
    meant = REASONS[claim.reason]
    if meant is None:
        verdict = "refuted"
        note = (
            "ICE checks every pair of candidates, those of public hosts included, and even an agent that only answers "
            "must answer: whether a client is behind a NAT never explains that there are no checks."
        )
    else:
        verdict = {"shown": "supported", "excluded": "refuted", "open": "undecided"}[states[meant].state]
        note = states[meant].note
    shown = [
        f"{explanation.text} ({explanation.note})" if explanation.note else explanation.text
        for explanation in explanations
        if explanation.state == "shown"
    ]
    left = [explanation.id for explanation in explanations if explanation.state == "open"]
    note += f" What the capture shows instead: {'; '.join(shown)}." if shown and meant is None else ""
    note += f" Not ruled out: {', '.join(left)}." if left and not shown else ""
    return Judged(claim, verdict, premises, explanations, note.strip())


def _of_client(rows: pd.DataFrame, client: str) -> pd.DataFrame:
    return rows[(rows["src"] == client) | (rows["dst"] == client)]


def _between(rows: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    ends = set(claim.between)
    return rows[rows["src"].isin(ends) & rows["dst"].isin(ends)]


def _frames(rows: pd.DataFrame) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(int, rows["frame"])))


def _unshown(claim: Claim, tables: Tables) -> Outcome | None:
    """NOT_OBSERVABLE where the participant has TCP connections of which no TLS record is in the tables."""
    flows, tls = tables.get("flows"), tables.get("tls")
    if flows is None or tls is None:
        return None
    connections = flows[(flows["transport"] == "tcp") & (flows["client"] == claim.between[1])]
    dark = connections[~connections["flow"].isin(tls["flow"].dropna()) & (connections["payload_up"].fillna(1) > 0)]
    if len(dark) and len(dark) == len(connections):
        return Outcome(Verdict.NOT_OBSERVABLE, note=f"no TLS record of its {len(dark)} connections is shown")
    return None


def _mine(turn: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """Records of TURN inside TLS of the participant of the claim."""
    address = claim.between[1]
    own = f"[{address}]:" if ":" in address else f"{address}:"
    return turn[turn["client"].fillna("").str.startswith(own)]


def _certain(rows: pd.DataFrame) -> Certainty:
    return Certainty.DEDUCED if len(rows) and (rows["certainty"] == "deduced").all() else Certainty.INFERRED


def _is_absent(stun: pd.DataFrame, claim: Claim, **_: Any) -> Outcome:
    clear = stun[(stun["depth"] == 0) & (stun["transport"] != "tls")]
    seen = _between(clear, claim)
    if len(seen):
        return Outcome(Verdict.BROKEN, _frames(seen), f"{len(seen)} messages in clear")
    return Outcome(Verdict.HOLDS, note=f"none of {len(clear)} STUN messages in clear is between the two")


def _others_check(stun: pd.DataFrame, claim: Claim, **_: Any) -> Outcome:
    clear = stun[(stun["depth"] == 0) & (stun["message_class"] == "request")]
    other = clear[((clear["src"] == claim.between[0]) | (clear["dst"] == claim.between[0])) & ~clear["src"].isin(
        claim.between[1:]) & ~clear["dst"].isin(claim.between[1:])]  # fmt: skip
    if other.empty:
        return Outcome(Verdict.NOT_OBSERVED, note="nobody else's checks are in the capture")
    return Outcome(
        Verdict.HOLDS, _frames(other), f"{len(other)} checks between the server and others are in the capture"
    )


def _tunnelled(frames: pd.DataFrame, turn: pd.DataFrame, claim: Claim, tables: Tables) -> Outcome:
    rows = _of_client(frames, claim.between[1])
    datagrams = rows[rows["ip_protocol"] == 17]
    rows = _mine(turn, claim)
    flows = rows["flow"].nunique()
    if len(datagrams):
        return Outcome(Verdict.BROKEN, _frames(datagrams)[:20], f"{len(datagrams)} UDP datagrams of its own")
    if rows.empty:
        nothing = Outcome(Verdict.NOT_OBSERVED, note="no UDP, and no connection that reads as TURN inside TLS")
        return _unshown(claim, tables) or nothing
    opened = rows[rows["message"] == "allocate-success"]
    return Outcome(Verdict.HOLDS, _frames(opened), f"no UDP; connections of TURN inside TLS: {flows}", _certain(opened))


def _checks_inside(turn: pd.DataFrame, claim: Claim, tables: Tables) -> Outcome:
    records = _mine(turn, claim)
    sent = records[(records["message"] == "send") & records["length"].between(*CHECK)]
    if records.empty:
        nothing = Outcome(Verdict.NOT_APPLICABLE, note="no connection of it reads as TURN inside TLS")
        return _unshown(claim, tables) or nothing
    if sent.empty:
        return Outcome(Verdict.NOT_OBSERVED, note="nothing was sent into the tunnel")
    return Outcome(
        Verdict.HOLDS, _frames(sent), f"Send indications of the size of ICE checks: {len(sent)}", _certain(sent)
    )


def _refused(turn: pd.DataFrame, claim: Claim, tables: Tables) -> Outcome:
    records = _mine(turn, claim)
    hidden = _unshown(claim, tables) if records.empty else None
    if hidden is not None:
        return hidden
    asked = records[records["message"] == "create-permission"]
    errors = records[records["message"] == "create-permission-error"]
    granted = records[records["message"] == "create-permission-success"]
    if asked.empty:
        return Outcome(Verdict.NOT_APPLICABLE, note="no permission was asked for")
    if len(granted):
        return Outcome(Verdict.BROKEN, _frames(granted), f"{len(granted)} of {len(asked)} permissions were granted")
    if errors.empty:
        return Outcome(Verdict.NOT_OBSERVED, note=f"{len(asked)} permissions asked for, and no answer")
    return Outcome(
        Verdict.HOLDS,
        _frames(errors),
        f"{len(errors)} of {len(asked)} permissions refused, none granted",
        _certain(errors),
    )


PREMISES = (
    Check("H1", "No STUN in clear between the two", "the claim itself", ("stun", "frames"),
          lambda stun, frames, **context: _is_absent(stun, **context)),
    Check("H2", "Others' STUN with the same server is in the capture", "RFC 8445 section 7.2.2", ("stun",),
          _others_check),
    Check("H3", "The participant uses TURN inside TLS alone", "RFC 8656 section 3.1", ("frames", "turn_in_tls"),
          _tunnelled),
    Check("H4", "It sends ICE checks inside that tunnel", "RFC 8656 section 11.1", ("turn_in_tls",), _checks_inside),
    Check("H5", "TURN refuses every peer address that it asks for", "RFC 8656 section 10.2", ("turn_in_tls",),
          _refused),
)  # fmt: skip


def _explain(name: str, claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> Explanation:
    state, frames, note = _STATES[name](claim, tables, premises)
    return Explanation(name, EXPLANATIONS[name], state, frames, note)


_State = tuple[str, tuple[int, ...], str]


def _offered(claim: Claim, tables: Tables) -> tuple[int, ...]:
    """Frames of the offers that came in the participant's own connections, where signaling can be read."""
    jingle, flows = tables.get("jingle"), tables.get("flows")
    if jingle is None or flows is None:
        return ()
    connections = flows.loc[flows["client"] == claim.between[1], "flow"]
    return _frames(jingle[(jingle["action"] == "session-initiate") & jingle["flow"].isin(connections)])


def _started(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H4"].verdict is Verdict.HOLDS:
        return "excluded", premises["H4"].frames, "it sends checks"
    offers = _offered(claim, tables)
    return ("excluded", offers, "a session was offered to it") if offers else ("open", (), "")


def _relayed(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H4"].verdict is not Verdict.HOLDS:
        return "open", (), premises["H4"].note
    refused = premises["H5"]
    note = premises["H4"].note + (f"; {refused.note}" if refused.verdict is Verdict.HOLDS else "")
    return "shown", premises["H4"].frames, note


def _no_udp(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    frames = tables.get("frames")
    if frames is None:
        return "open", (), ""
    theirs = _between(frames, claim)
    datagrams = theirs[theirs["ip_protocol"] == 17]
    if len(datagrams):
        return "excluded", _frames(datagrams)[:20], "it exchanges UDP with the server"
    return "open", (), "it exchanges no UDP with the server"


def _peer(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    tls, flows = tables.get("tls"), tables.get("flows")
    if tls is None or flows is None or premises["H4"].verdict is not Verdict.HOLDS:
        return "open", (), ""
    stages = turn_in_tls.stages(tls, flows)
    bridge = stages[(stages["address"] == claim.between[1]) & (stages["session"] == "jvb")]
    if bridge.empty:
        return "open", (), ""
    return (
        "excluded",
        tuple(map(int, bridge["first_frame"])),
        "checks for a bridge session are among those in the tunnel",
    )


def _outside(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H3"].verdict is Verdict.HOLDS:
        return "excluded", premises["H3"].frames, "it opens its connections to TURN within the capture"
    offers = _offered(claim, tables)
    return ("excluded", offers, "its session was offered within the capture") if offers else ("open", (), "")


def _filtered(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H2"].verdict is Verdict.HOLDS:
        return "excluded", premises["H2"].frames[:20], "others' checks were captured"
    return "open", (), ""


def _elsewhere(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    return "open", (), ""


def _no_webrtc(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H4"].verdict is Verdict.HOLDS or premises["H3"].verdict is Verdict.HOLDS:
        return "excluded", premises["H3"].frames or premises["H4"].frames, "it allocates at TURN"
    offers = _offered(claim, tables)
    return ("excluded", offers, "a session was offered to it") if offers else ("open", (), "")


def _unreachable(claim: Claim, tables: Tables, premises: dict[str, Outcome]) -> _State:
    if premises["H2"].verdict is Verdict.HOLDS:
        return "excluded", premises["H2"].frames[:20], "others reach the bridge"
    return "open", (), ""


_STATES = {
    "E1": _started, "E2": _relayed, "E3": _no_udp, "E4": _peer, "E5": _outside, "E6": _filtered, "E7": _elsewhere,
    "E8": _no_webrtc, "E9": _unreachable,
}  # fmt: skip
