"""Steps S12 to S16: the media session is offered, answered, and told of its candidates and sources."""

from collections.abc import Iterable

import pandas as pd

from jitsilab.analysis.limits import ALLOCATION_REPLY
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.theory.entry import JCF, JVB, LJM
from jitsilab.judge.theory.scope import Scope, Step, absent, beside, broken, holds, in_session

UFRAG, PWD = 4, 22  # characters at least, RFC 8839 section 5.4


def invited(xmpp: pd.DataFrame, scope: Scope) -> Outcome:
    """Whoever is not alone in the room is offered a session with the bridge, complete enough to be answered."""
    session = scope.session
    if session is None:
        return _uninvited(scope)
    rows = _of(scope, "session-initiate")
    if rows is None or rows.empty:
        return absent("the offer is not in the capture", [session.accepted])
    faults = list(_faults(scope, rows))
    frames = [session.offered]
    variant = ", ".join(_variants(scope, rows))
    if faults:
        return broken("; ".join(faults), frames, variant)
    contents = " ".join(dict.fromkeys(str(content) for content in rows["content"]))
    return holds(f"offers {contents}, one transport, setup actpass", frames, variant)


def _uninvited(scope: Scope) -> Outcome:
    """No session at all: because of the bridge, because nobody else was there, or because the capture lacks it."""
    stream = scope.stream
    if stream is None or not stream.joined:
        return beside("nobody to invite: not in a room") if scope.whole else absent("the entry is not in the capture")
    if stream.bridge_missing:
        return broken("the focus has no bridge", [stream.joined, *stream.bridge_missing])
    if not stream.whole:
        return absent("the signaling is not in the capture whole", [stream.joined])
    if not stream.others:
        return beside("nobody else in the room")
    if stream.together(scope.call.end) >= ALLOCATION_REPLY.value and stream.focus:
        note = f"two in the room for {stream.together(scope.call.end):.0f} s, a focus, and no offer"
        return broken(note, [stream.joined, stream.focus], certainty=Certainty.DEDUCED)
    return absent("too short to tell", [stream.joined])


def _of(scope: Scope, action: str) -> pd.DataFrame | None:
    rows = scope.table("jingle")
    return None if rows is None else rows[rows["action"].eq(action)]


def _words(values: Iterable[object]) -> set[str]:
    return {word for value in values if isinstance(value, str) for word in value.split()}


def _faults(scope: Scope, rows: pd.DataFrame) -> Iterable[str]:
    """What an offer lacks."""
    described = rows[rows["ufrag"].notna() | rows["fingerprint"].notna()]
    if described.empty:
        yield "no transport is described"
        return
    ufrags, pwds = set(described["ufrag"].dropna()), set(described["pwd"].dropna())
    bundled = bool(_words(rows["bundle"]))
    if bundled and len(ufrags) > 1:
        yield f"{len(ufrags)} ufrags in one bundle"
    if any(len(ufrag) < UFRAG for ufrag in ufrags) or any(len(pwd) < PWD for pwd in pwds):
        yield f"a ufrag of less than {UFRAG} or a password of less than {PWD} characters"
    if not ufrags or not pwds:
        yield "no ufrag or password"
    if not described["fingerprint"].notna().any():
        yield "no fingerprint"
    strange = _words(described["setup"]) - {"actpass"}
    if strange:
        yield f"setup {' and '.join(sorted(strange))} in an offer"
    candidates = scope.table("candidates")
    if scope.kind == "jvb" and candidates is not None and not candidates["action"].eq("session-initiate").any():
        yield "no candidate"


def _variants(scope: Scope, rows: pd.DataFrame) -> Iterable[str]:
    """In which of the ways that changed since 2020 an offer is written."""
    xmpp = scope.every.get("xmpp")
    place = rows["stanza"].iloc[0]
    text = str(xmpp["xml"].iloc[int(place)]) if xmpp is not None and pd.notna(place) else ""
    if "json-encoded-sources" in text or "json-message" in text:
        yield "sources in JSON"
    elif "urn:xmpp:jingle:apps:rtp:ssma:0" in text:
        yield "sources in XML"
    if rows["web_socket"].notna().any():
        yield "ws offered"
    if rows["sctp_port"].notna().any():
        yield "sctp offered"


def accepted(jingle: pd.DataFrame, scope: Scope) -> Outcome:
    """The answer takes a DTLS role, in the same session."""
    session = scope.session
    assert session is not None
    rows = jingle[jingle["action"].eq("session-accept")]
    if rows.empty:
        return absent("no answer in the capture", [session.offered])
    setups = _words(rows["setup"])
    frames = [session.offered, int(rows["frame"].iloc[0])]
    if setups - {"active", "passive"}:
        return broken(f"the answer says setup {' and '.join(sorted(setups))}", frames)
    if not rows["fingerprint"].notna().any():
        return broken("no fingerprint in the answer", frames)
    took = float(rows["seconds"].iloc[0]) - session.offered_at
    after = f", {took:.2f} s after the offer" if session.offered and took >= 0 else ""
    return holds(f"setup {' '.join(sorted(setups)) or 'not given'}{after}", frames, " ".join(sorted(setups)))


def trickled(jingle: pd.DataFrame, scope: Scope) -> Outcome:
    """Candidates follow the offer peer to peer; with the bridge all are in the offer, and none from the client."""
    rows = jingle[jingle["action"].eq("transport-info")]
    ends = jingle.loc[jingle["action"].eq("session-terminate"), ["frame", "outgoing"]]
    for frame, outgoing in zip(ends["frame"], ends["outgoing"], strict=True):
        late = rows[rows["outgoing"].eq(outgoing) & rows["frame"].gt(frame)]
        if len(late):
            return broken(
                "candidates after the end of the session, from the side that ended it", [frame, *late["frame"]]
            )
    if scope.kind == "jvb":
        note = "no candidates but those of the offer" if rows.empty else f"{rows['frame'].nunique()} transport-info"
        return holds(note, rows["frame"], "all in the offer" if rows.empty else "trickle")
    if rows.empty:
        return absent("no transport-info in the capture")
    out = rows.loc[rows["outgoing"], "frame"].nunique()
    return holds(
        f"{out} transport-info out, {rows['frame'].nunique() - out} in", rows["frame"].drop_duplicates(), "trickle"
    )


def announced(media: pd.DataFrame, sources: pd.DataFrame, scope: Scope) -> Outcome:
    """What a client sends it announced; what the bridge sends is in the source map of the channel."""
    own = set(
        sources.loc[sources["origin"].eq("jingle") & sources["owner"].isin(_ends(scope)), "ssrc"].dropna().astype(int)
    )
    outgoing, incoming = media[media["outgoing"]], media[~media["outgoing"]]
    strange = outgoing[~outgoing["ssrc"].isin(own)]
    session = scope.session
    if not own or session is None or not session.accepted:
        return absent("the answer with the participant's sources is not in the capture")
    if len(strange) and scope.whole and not _moved(scope):
        first = int(strange["ssrc"].iloc[0])
        return broken(f"SSRC {first} was never announced", strange["first_frame"])
    named = set(sources.loc[sources["ssrc"].notna(), "ssrc"].astype(int))
    dark = int((~incoming["ssrc"].isin(named)).sum())
    mapped = sources["origin"].eq("bridge").any()
    variant = "SSRCs rewritten, in the source map" if mapped else "SSRCs as signalled"
    down = f"; {dark} streams of the bridge that nothing names" if dark and scope.kind == "jvb" else ""
    if outgoing.empty:
        return absent("nothing sent in this session")
    return holds(f"{len(outgoing)} streams sent, all announced{down}", outgoing["first_frame"], variant)


def _ends(scope: Scope) -> set[str]:
    return {stream.endpoint for stream in scope.xmpp_streams if stream.endpoint}


def _moved(scope: Scope) -> bool:
    """Whether a stanza of the session says more of sources than its offer and answer, in a form that may be misread."""
    rows = scope.table("jingle")
    return rows is not None and bool(rows["action"].isin(["content-modify", "transport-replace"]).any())


def peer_to_peer(jingle: pd.DataFrame, scope: Scope) -> Outcome:
    """Two alone talk directly: the one with the smaller id offers; a third ends it."""
    rows = jingle[jingle["action"].eq("session-initiate")]
    session, stream = scope.session, scope.stream
    assert session is not None
    own = stream.endpoint if stream is not None else ""
    if rows.empty or not own or not session.peer:
        return absent("the offer or who is who is not in the capture", [session.accepted])
    offers = bool(rows["outgoing"].iloc[0])
    first, second = (own, session.peer) if offers else (session.peer, own)
    frames = [session.offered, session.accepted, session.ended]
    if first > second:
        return broken(f"{first} offers to {second}, and not the smaller id to the larger", frames)
    ended = f"; ended: {session.reason}" if session.ended else ""
    return holds(f"{first} offers to {second}{ended}", frames, "offers" if offers else "answers")


def without_session(scope: Scope) -> str:
    """Why a step of a Jingle session is not asked: the signaling is there as a whole, and nobody was invited."""
    return "no session was offered" if scope.session is None and scope.whole else ""


def not_p2p(scope: Scope) -> str:
    """Why a step between two participants is not asked."""
    return "not peer to peer" if scope.kind == "jvb" else without_session(scope)


KEYS = "keys, or the server's loopback"
STEPS: tuple[Step, ...] = (
    Step(
        "S12",
        "A media session is offered",
        "XEP-0166 section 7.2.10; XEP-0176 section 5.2; XEP-0320 section 1; XEP-0338 section 2; "
        f"RFC 8839 section 5.4; {JCF} jicofo/src/main/java/org/jitsi/jicofo/codec/JingleOfferFactory.java, "
        "jicofo/src/main/resources/reference.conf",
        ("xmpp",),
        invited,
        "two are in the room",
        KEYS,
        each="session",
    ),
    Step(
        "S13",
        "The offer is accepted",
        "XEP-0166 section 7.2.8; RFC 8842 section 5.3; "
        f"{JVB} jvb/src/main/kotlin/org/jitsi/videobridge/transport/dtls/DtlsTransport.kt",
        ("jingle",),
        in_session(accepted),
        "a session is offered",
        KEYS,
        each="session",
        applies=without_session,
    ),
    Step(
        "S14",
        "Candidates are told",
        "XEP-0176 section 5.5; XEP-0166 section 7.2.13",
        ("jingle",),
        in_session(trickled),
        "a session is offered",
        KEYS,
        each="session",
        applies=without_session,
    ),
    Step(
        "S15",
        "Sources are announced",
        f"XEP-0339 section 2.1; {LJM} modules/xmpp/JingleSessionPC.ts",
        ("media", "sources"),
        announced,
        "the session carries media",
        "keys, and the RTP headers",
        each="session",
        applies=without_session,
    ),
    Step(
        "S16",
        "Two alone talk directly",
        f"{LJM} JitsiConference.ts",
        ("jingle",),
        in_session(peer_to_peer),
        "two are in the room and peer to peer is on",
        KEYS,
        each="session",
        applies=not_p2p,
    ),
)
