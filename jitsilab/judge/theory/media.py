"""Steps S26 to S30, S34, S35: keys are agreed on, media flow, the bridge channel opens, and the call ends."""

import pandas as pd

from jitsilab.analysis import joins, limits
from jitsilab.case.signaling import XmppStream
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.theory.connectivity import watched
from jitsilab.judge.theory.entry import JVB, LJM
from jitsilab.judge.theory.scope import (
    Scope,
    Step,
    absent,
    beside,
    broken,
    columns,
    each_stream,
    hidden,
    holds,
    missing,
)
from jitsilab.judge.theory.signaling import KEYS, without_session
from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables.media import FIRST

OLD = ("DTLS 1.0",)
TALK = limits.TALK.value  # records each way: an SCTP association that nobody uses has fewer
REPORTS = (200, 201)  # SR and RR: what a compound begins with
SILENT = limits.NO_REPORT.value  # s
PAUSE = limits.QUIET_STREAM.value  # s
AFTER = limits.AFTER_LEAVING.value  # s that a packet may come after its sender left


def secured(stun: pd.DataFrame, scope: Scope) -> Outcome:
    """DTLS runs where ICE found a way, over all its pairs together, and finishes."""
    dtls = scope.table("dtls")
    legs = [leg for leg in scope.legs if leg.connected]
    rows = (
        dtls if dtls is not None else pd.DataFrame(columns=["frame", "handshake_type", "version", "suite", "outgoing"])
    )
    hellos, answers = (rows[rows["handshake_type"].eq(kind)] for kind in ("client_hello", "server_hello"))
    frames = [*hellos["frame"].head(2), *answers["frame"].head(2)]
    variant = ", ".join(sorted({str(version) for version in answers["version"].dropna()}))
    old = answers[answers["version"].isin(OLD)]
    if len(old) and scope.every.get("xmpp") is not None:
        return broken("DTLS 1.0", old["frame"], variant)
    active = _active(scope)
    if active is not None and len(hellos) and (hellos["outgoing"].ne(active)).all():
        return broken("the ClientHello comes from the side that said passive", hellos["frame"], variant)
    done = [leg.secured for leg in scope.legs if leg.secured]
    if done or any(leg.handshaken for leg in scope.legs):
        client = "the participant" if hellos["outgoing"].any() else "the other side"
        suites = ", ".join(sorted({str(suite) for suite in answers["suite"].dropna()})) if "suite" in answers else ""
        shown = f"{client} is the client" if len(hellos) else "SRTP shows that it is done"
        return holds(f"{shown}{'; ' + suites if suites else ''}", [*frames, *done], variant)
    if not legs:
        return missing(scope, "ICE found no way in this capture", frames)
    if watched(scope, min(leg.first for leg in legs)) and not scope.shut:
        note = "the handshake began and never finished" if frames else "ICE found a way, and nobody began DTLS on it"
        return broken(note, frames or [frame for leg in legs for frame in leg.answered[:1] + leg.replied[:1]], variant)
    return missing(scope, "no end of a handshake in the capture", frames, variant)


def _active(scope: Scope) -> bool | None:
    """Whether the participant is the DTLS client, by the answer's setup; None where that is not seen."""
    jingle = scope.table("jingle") if scope.session is not None else None
    if jingle is None or jingle.empty:
        return None
    answers = jingle[jingle["action"].eq("session-accept") & jingle["setup"].isin(["active", "passive"])]
    if answers.empty:
        return None
    return bool(answers["outgoing"].iloc[0]) is bool(answers["setup"].iloc[0] == "active")


def vouched(dtls: pd.DataFrame, scope: Scope) -> Outcome:
    """Each certificate is one that the signaling announced."""
    stun = scope.table("stun")
    jingle = scope.every.get("jingle")
    if stun is None or stun.empty or jingle is None:
        return hidden("what was announced is not to be seen here")
    rows = joins.certificates(jingle, dtls, stun)
    if rows.empty:
        newer = dtls["version"].eq("DTLS 1.3").any()
        return hidden("DTLS 1.3 hides certificates") if newer else absent("no certificate in the capture")
    strange = rows[rows["match"].eq(False).fillna(False).astype(bool)]
    if len(strange):
        who = ", ".join(sorted({str(endpoint) for endpoint in strange["endpoint"].dropna()}))
        return broken(
            f"the certificate of {who or 'one side'} was not announced",
            [*strange["frame"], *strange["announced_frame"]],
        )
    right = rows[rows["match"].eq(True).fillna(False).astype(bool)]
    if right.empty:
        return hidden("what was announced for these certificates is not to be seen here")
    return holds(
        f"{right['certificate'].nunique()} certificates, each as announced",
        [*right["frame"], *right["announced_frame"]],
    )


def encrypted(media: pd.DataFrame, scope: Scope) -> Outcome:
    """SRTP begins when its keys are there: not before its sender's Finished."""
    dtls, media = scope.table("dtls"), columns(media, "outgoing", "first_frame", "packets")
    asked = ("outgoing", "frame", "handshake_type", "epoch", "record_type", "srtp_profile")
    rows = columns(dtls, *asked) if dtls is not None else pd.DataFrame()
    profiles: list[str] = []
    frames: list[int] = []
    for outgoing in (True, False):
        sent = media[media["outgoing"].eq(outgoing)]
        if sent.empty:
            continue
        first = int(sent["first_frame"].min())
        frames.append(first)
        own = rows[rows["outgoing"].eq(outgoing)] if len(rows) else rows
        if own.empty:
            continue
        hellos = own[own["handshake_type"].isin(["client_hello", "server_hello"])]
        sealed = own[own["epoch"].gt(0) & own["record_type"].isin(["handshake", "ciphertext"])]
        if len(hellos) and len(sealed) and not scope.call.lossy:
            began, finished = int(hellos["frame"].min()), int(sealed["frame"].min())
            if began < first < finished:
                return broken("SRTP before the end of its sender's handshake", [began, first, finished])
    if len(rows) and "srtp_profile" in rows:
        chosen = rows.loc[rows["handshake_type"].eq("server_hello"), "srtp_profile"].dropna()
        profiles = sorted({str(profile) for profile in chosen})
        if any("NULL" in profile for profile in profiles):
            return broken("a profile without encryption", frames, ", ".join(profiles))
    packets = int(media["packets"].sum())
    return holds(
        f"{packets} packets, none before its keys" if len(rows) else f"{packets} packets", frames, ", ".join(profiles)
    )


def described(media: pd.DataFrame, payload_types: pd.DataFrame, scope: Scope) -> Outcome:
    """What a participant sends was negotiated: payload types and header extensions; reports go on beside feedback."""
    session = scope.session
    if session is None or not session.accepted or not session.offered:
        return absent("the negotiation is not in the capture")
    sent = media[media["outgoing"]]
    known = {int(payload_type) for payload_type in payload_types["id"].dropna()}
    fault, frames = _extended(scope) or _reported(scope) or ("", [])
    if fault:
        return broken(fault, [*frames, session.accepted])
    if sent.empty:
        return absent("nothing sent in this session")
    used = {int(word) for text in sent["payload_types"].dropna() for word in str(text).split()}
    if used - known and scope.whole:
        strange = sent[
            [bool(set(str(text).split()) & {str(n) for n in used - known}) for text in sent["payload_types"]]
        ]
        return broken(
            f"payload type {min(used - known)} was not negotiated", [*strange["first_frame"], session.accepted]
        )
    codecs = payload_types[payload_types["id"].isin(used)]["name"].dropna().str.lower().unique()
    return holds(f"{len(sent)} streams of {', '.join(sorted(codecs))}", sent["first_frame"], ", ".join(sorted(codecs)))


def _extended(scope: Scope) -> tuple[str, list[int]] | None:
    """A header extension that was not negotiated (RFC 8285 section 4.1.2), and packets that have it.

    What is sent must be in the answer; what is received may be in the offer alone. An encrypted header extension
    shows no ids, and is not judged.
    """
    negotiated, rtp = scope.table("header_extensions"), scope.table("extended")
    if negotiated is None or negotiated.empty or rtp is None or not scope.whole:
        return None
    offered = {int(number) for number in negotiated["id"].dropna()}
    agreed = {int(number) for number in negotiated.loc[negotiated["action"].ne("session-initiate"), "id"].dropna()}
    extended = columns(rtp, "outgoing", "extensions", "frame")[rtp["extensions"].notna()]
    for (outgoing, words), rows in extended.groupby(["outgoing", "extensions"], sort=True):
        strange = {int(word) for word in str(words).split()} - ((agreed if outgoing else offered) or offered)
        if strange:
            return f"header extension {min(strange)} was not negotiated", list(rows["frame"].head(FIRST))
    return None


def _reported(scope: Scope) -> tuple[str, list[int]] | None:
    """Feedback of one side that goes on alone, though regular reports have to go on too (RFC 5506 section 4)."""
    rtcp = scope.table("rtcp")
    if rtcp is None or rtcp.empty or scope.call.lossy:
        return None
    rtcp = columns(rtcp, "outgoing", "position", "seconds", "packet_type", "frame")
    for outgoing, who in ((True, "the participant"), (False, "the other side")):
        rows = rtcp[rtcp["outgoing"].eq(outgoing) & rtcp["position"].eq(0)].sort_values("seconds", kind="stable")
        since: tuple[float, int] | None = None
        before = 0.0
        for kind, at, frame in zip(rows["packet_type"], rows["seconds"], rows["frame"], strict=True):
            if since is None or kind in REPORTS or at - before > PAUSE:  # a pause of all is one of the capture, or mute
                since = float(at), int(frame)
            elif at - since[0] > SILENT:
                return f"{who} sends RTCP for {at - since[0]:.0f} s without a report", [since[1], int(frame)]
            before = float(at)
    return None


def channelled(scope: Scope) -> Outcome:
    """The bridge channel opens, over a WebSocket or over SCTP, whatever becomes of ICE."""
    http, stream = scope.table("http"), scope.stream
    asked = http[http["target"].fillna("").str.contains("/colibri-ws/", regex=False)] if http is not None else None
    if asked is not None and len(asked):
        refused = asked[asked["status"].notna() & asked["status"].ge(400)]
        opened = asked[asked["status"].eq(101)]
        if len(refused):
            codes = ", ".join(sorted({str(int(status)) for status in refused["status"]}))
            return broken(f"the WebSocket of the bridge channel was refused ({codes})", refused["frame"], "ws")
        if len(opened):
            return holds(
                "101; it says nothing of ICE", [*opened["frame"].head(2), *opened["response_frame"].head(2)], "ws"
            )
    dtls = scope.table("dtls")
    data = dtls[dtls["record_type"].eq("application_data")] if dtls is not None and len(dtls) else pd.DataFrame()
    busy = len(data) > 0 and min(int(data["outgoing"].sum()), int((~data["outgoing"]).sum())) >= TALK
    if busy and (asked is not None or scope.every.get("http") is None):
        sure = Certainty.DEDUCED if asked is not None else Certainty.INFERRED
        note = f"{len(data)} records inside DTLS, both ways, as SCTP has them"
        return holds(note, data["frame"].head(4), "sctp", sure)
    if asked is None or stream is None:
        return hidden("the bridge channel is encrypted here")
    return absent("no bridge channel in the capture" if scope.whole else "the signaling is not in the capture whole")


def ended(scope: Scope) -> Outcome:
    """Whoever leaves says so: to the room, in DTLS, and to the relay."""
    dtls, xmpp_streams = scope.table("dtls"), scope.xmpp_streams
    alerts = dtls[dtls["record_type"].eq("alert")] if dtls is not None and len(dtls) else pd.DataFrame()
    closed = [session for session in scope.person.sessions if session.ended]
    for stream in xmpp_streams:
        before = [
            session
            for session in stream.sessions.values()
            if stream.left and session.offered and session.offered < stream.left
        ]
        own = {ufrag for session in before for ufrag in session.own} - {
            u for s in scope.person.sessions if s not in before for u in s.own
        }
        for leg in scope.legs:
            if any(ufrag in own for ufrag, _ in leg.ufrags) and leg.rtp_out.last > stream.left_at + AFTER:
                return broken("media go on after the participant left", [stream.left, leg.rtp_out.frame])
    left = [stream.left for stream in xmpp_streams if stream.left]
    shown = [*left, *(session.ended for session in closed), *(alerts["frame"].head(2) if len(alerts) else [])]
    variant = "session-terminate" if closed else "presence" if left else "DTLS alert"
    if left or closed:
        reasons = ", ".join(dict.fromkeys(session.reason.split(":")[0] for session in closed if session.reason))
        how = [f"session-terminate ({reasons})" if reasons else "session-terminate"] if closed else []
        how += ["unavailable"] if left else []
        how += ["a DTLS alert"] if len(alerts) else []
        return holds(", ".join(how), shown, variant)
    if len(alerts):
        return holds("a DTLS alert", shown, variant, Certainty.DEDUCED)
    if scope.whole:
        return beside("still there when the capture ends")
    return absent("no end in the capture") if xmpp_streams or dtls is not None else hidden("the end is encrypted here")


def gone(scope: Scope, stream: XmppStream) -> Outcome:
    """After leaving nothing more is said to the room."""
    if not stream.left:
        return beside("still there when the capture ends") if stream.whole else absent("no leaving in the capture")
    exchange = scope.stanzas_of(stream)
    again = [
        int(row.frame)
        for row, stanza in exchange
        if row.frame > stream.left
        and row.direction == "c2s"
        and (presence := stanzas.presence(stanza)) is not None
        and presence.joins
    ]
    until = again[0] if again else None
    late = [
        int(row.frame)
        for row, stanza in exchange
        if row.direction == "c2s"
        and row.frame > stream.left
        and (until is None or row.frame < until)
        and stanzas.bare(stanza.recipient) == stream.room
        and stanza.type not in ("unavailable", "result", "error")
        and stream.room
    ]
    if late:
        return broken("it speaks to the room after leaving it", [stream.left, *late])
    closed = ", and the stream is closed" if stream.closed > stream.left else ""
    return holds(f"unavailable{closed}", [stream.left, stream.closed])


def only_bridge(scope: Scope) -> str:
    """Why a step with the bridge is not asked."""
    return "not a session with the bridge" if scope.kind == "p2p" else without_session(scope)


STEPS: tuple[Step, ...] = (
    Step(
        "S26",
        "DTLS runs on the pair",
        "RFC 5763 section 5; RFC 8842 section 5; RFC 8827 section 6.5; "
        f"{JVB} jitsi-media-transform/src/main/kotlin/org/jitsi/nlj/dtls/TlsServerImpl.kt",
        ("stun",),
        secured,
        "ICE found a way",
        "DTLS in clear, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S27",
        "The certificate is the one that was announced",
        "RFC 8122 sections 5 and 6; RFC 8827 section 6.5; XEP-0320 section 1; "
        f"{JVB} jitsi-media-transform/src/main/kotlin/org/jitsi/nlj/dtls/DtlsUtils.kt",
        ("dtls",),
        vouched,
        "certificates are shown",
        "DTLS 1.2 in clear and the signaling",
        each="session",
        applies=without_session,
    ),
    Step(
        "S28",
        "SRTP begins with its keys",
        "RFC 5764 sections 4.1 and 5.1; RFC 7983 section 7",
        ("media",),
        encrypted,
        "the handshake finished",
        "RTP headers, or the relay opened",
        each="session",
        applies=without_session,
    ),
    Step(
        "S29",
        "Media are what was negotiated",
        "RFC 3550 section 5.1; XEP-0167 section 5; XEP-0339 section 2.1; RFC 8285 section 4.1.2; RFC 5506 section 4",
        ("media", "payload_types"),
        described,
        "media flow",
        "RTP headers and the signaling",
        each="session",
        applies=without_session,
    ),
    Step(
        "S30",
        "The bridge channel opens",
        f"{JVB} doc/web-sockets.md, doc/datachannel-communication.md; {LJM} modules/RTC/BridgeChannel.ts",
        (),
        channelled,
        "a session with the bridge is offered",
        KEYS,
        each="session",
        applies=only_bridge,
    ),
    Step(
        "S34",
        "Leaving ends the session",
        "XEP-0166 sections 6.7 and 7.2.11; RFC 8656 section 8",
        (),
        ended,
        "somebody leaves",
        "the signaling, or DTLS in clear",
    ),
    Step("S35", "The room is left", "XEP-0045 section 7.14", ("xmpp",), each_stream(gone), "somebody leaves", KEYS),
)
