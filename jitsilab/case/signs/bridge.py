"""The bridge: missing from the beginning, asked and silent, lost in the middle, its channel refused."""

import pandas as pd

from jitsilab.analysis import clock
from jitsilab.analysis.limits import ALLOCATION_REPLY, ALLOCATION_SLACK, SILENT_BRIDGE
from jitsilab.case.cast import Cast, Person
from jitsilab.case.legs import Leg
from jitsilab.case.signaling import XmppStream
from jitsilab.case.signs.sign import DEDUCED, INFERRED, MEASURED, Sign, frames_of
from jitsilab.ip import is_loopback
from jitsilab.tables import Tables, frame, part

CHANNEL = "/colibri-ws/"


def bridge_missing(person: Person) -> Sign | None:
    """The focus says that it has no bridge, and nobody was invited; with what it said of bridges before.

    ``not-answering``: it had chosen one (bridge-count), then nothing came for as long as it waits for an answer.
    """
    for stream in person.xmpp_streams:
        if not stream.bridge_missing or any(session.offered for session in stream.sessions.values()):
            continue
        counted = [(number, at, count) for number, at, count in stream.bridge_counts if at <= stream.bridge_missing_at]
        frames = frames_of([number for number, _, _ in counted], stream.bridge_missing)
        at = stream.bridge_missing_at
        if counted and counted[-1][2] > 0:
            waited = at - next(since for _, since, count in counted if count > 0)
            note = f"the focus chose a bridge, and {waited:.1f} s later says that none is there"
            if abs(waited - ALLOCATION_REPLY.value) <= ALLOCATION_SLACK.value:
                note += ": as long as it waits for a bridge to answer"
                return Sign("bridge-missing", frames, DEDUCED, at, "not-answering", note=note)
            return Sign("bridge-missing", frames, MEASURED, at, note=note)
        return Sign("bridge-missing", frames, MEASURED, at, note="the focus says that it has no bridge")
    return None


def bridge_lost(person: Person, call: Cast, tables: Tables) -> Sign | None:
    """Media ran, then the bridge was gone while the participant was still there.

    Leaving looks otherwise: the participant falls silent too. Of what shows it, one that only a lost bridge explains is
    needed: its host says that the port is closed, or the focus ends the session without another.
    """
    legs = [leg for leg in person.legs if leg.kind == "jvb" and leg.handshaken]
    if not legs:
        return None
    shown: list[int] = []
    notes: list[str] = []
    stream, ended = _ended(person)
    if ended is not None:
        shown += [*ended[0]]
        notes.append(ended[1])
    closed = _port_closed(person, legs, call, tables)
    if closed:
        shown += closed
        notes.append("its host says that nothing listens on its port any more, while media still come")
    last = max(leg.answered_last for leg in legs)
    silent = min((_last_sent(leg) for leg in legs if leg.answered_last == last), default=last) - last
    until = stream.end_of_stream(call.end) if stream is not None else call.end
    if not notes or until - last < SILENT_BRIDGE.value:
        return None
    notes.append(f"its last answer came {silent:.1f} s before the participant's last packet")
    certainty = MEASURED if closed and ended else DEDUCED
    return Sign("bridge-lost", frames_of(shown), certainty, last, note="; ".join(notes))


def _last_sent(leg: Leg) -> float:
    return max(leg.last, leg.rtp_out.last)


def _ended(person: Person) -> tuple[XmppStream | None, tuple[tuple[int, ...], str] | None]:
    """The stream on which the focus took a session back for want of a bridge, with frames and words."""
    for stream in person.xmpp_streams:
        sessions = [session for session in stream.sessions.values() if session.kind == "jvb" and session.offered]
        if not sessions:
            continue
        last = max(sessions, key=lambda session: session.offered_at)
        after = [(number, at) for number, at, count in stream.bridge_counts if count == 0 and at > last.offered_at]
        missing = stream.bridge_missing if stream.bridge_missing_at > last.offered_at else []
        taken = last.ended and last.reason.partition(" ")[0] != "connectivity-error" and not (
            stream.left and last.ended_at >= stream.left_at
        )  # fmt: skip
        if taken and (missing or after or "moving" in last.reason):
            why = " and says that no bridge is there" if missing or after else ": moving, and no other came"
            return stream, (frames_of(last.ended, missing, [number for number, _ in after]),
                          f"the focus ended the session{why}")  # fmt: skip
    return next(iter(person.xmpp_streams), None), None


def _port_closed(person: Person, legs: list[Leg], call: Cast, tables: Tables) -> list[int]:
    """Frames of ICMP errors from the bridge's host to the participant, while its packets go unanswered.

    An echo that the participant asks for is none; on the wire an error follows what it is about at once.
    """
    frames = part(tables, "icmp")
    if frames is None or not len(frames):
        return []
    icmp = frames[frames["protocol"].isin(["ICMP", "ICMPv6"])]
    if icmp.empty:
        return []
    errors: list[int] = []
    for leg in legs:
        ends = {leg.other, *call.servers}
        echoes = icmp["src"].eq(leg.address) & icmp["dst"].isin(ends)
        if echoes.any():
            continue
        rows = icmp[icmp["src"].isin(ends) & icmp["dst"].eq(leg.address)]
        rows = rows[rows["seconds"].gt(leg.answered_last) & rows["seconds"].le(_last_sent(leg) + 1.0)]
        errors += [int(number) for number in rows["frame"]]
    return errors


def channel_refused(person: Person, tables: Tables) -> Sign | None:
    """The bridge channel's WebSocket is answered with an error and never opens."""
    http = frame(tables, "http")
    if not len(http):
        return None
    wanted = ["flow", "frame", "seconds", "target", "status", "response_frame"]
    asked = http.loc[http["target"].fillna("").str.contains(CHANNEL, regex=False) & http["status"].notna(), wanted]
    ends = {stream.endpoint for stream in person.xmpp_streams if stream.endpoint}
    requests = [
        request for request in asked.itertuples()
        if request.flow in person.flows or request.target.partition("?")[0].rpartition("/")[2] in ends
    ]  # fmt: skip
    failed = [request for request in requests if request.status >= 400]
    if not failed or any(request.status == 101 for request in requests):
        return None
    status = int(failed[-1].status)
    frames = frames_of([request.frame for request in failed], [request.response_frame for request in failed])
    return Sign("channel-refused", frames, seconds=float(failed[0].seconds), reason=f"http-{status}", status=status,
                note=f"the bridge channel was answered with {status}")  # fmt: skip


def upstream_reset(tables: Tables) -> list[int]:
    """Frames of connections on the server's loopback that somebody refused: a program that is not there."""
    flows = frame(tables, "flows")
    if not len(flows):
        return []
    inner = flows[flows["client"].map(is_loopback) & flows["transport"].eq("tcp")]
    refused = inner[inner["resets"].fillna(0).gt(0) & ~inner["handshake"].fillna(False).astype(bool)]
    return [int(number) for number in refused["last_frame"]]


def bridges_relay_broken(tables: Tables) -> Sign | None:
    """Two bridges check the way between them, and no check is ever answered.

    Both user fragments of such a check are made by a bridge's ICE, so no browser is at either end.
    """
    stun = frame(tables, "stun")
    if not len(stun):
        return None
    wanted = ["frame", "seconds", "message_class", "username", "transaction_id"]
    binding = stun.loc[stun["method"].eq("Binding") & stun["depth"].eq(0), wanted]
    asked = binding[binding["message_class"].eq("request") & binding["username"].notna()]
    between = [
        all(clock.made(half) is not None for half in str(name).split(":", 1)) and ":" in str(name)
        for name in asked["username"]
    ]
    checks = asked[pd.Series(between, asked.index, dtype=bool)]
    if checks.empty:
        return None
    answered = set(binding.loc[binding["message_class"].eq("success"), "transaction_id"].dropna())
    if checks["transaction_id"].isin(answered).any():
        return None
    first = float(checks["seconds"].iloc[0])
    waited = float(frame(tables, "flows")["last_seconds"].max()) - first
    if waited < SILENT_BRIDGE.value:
        return None
    note = f"two bridges check the way between them {len(checks)} times, and no answer comes here"
    return Sign("bridges-relay-broken", frames_of(checks["frame"].head(4)), INFERRED, first, note=note)
