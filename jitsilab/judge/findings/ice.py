"""D. ICE: checks and their integrity, credentials, addresses, consent."""

import re
from typing import Any

import numpy as np
import pandas as pd

from jitsilab.analysis import clock, limits
from jitsilab.facts import programs, services
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.findings.rule import (
    Rule,
    View,
    beside,
    counted,
    failed,
    inside,
    joined,
    listed,
    noted,
    passed,
    unseen,
)
from jitsilab.judge.findings.turn import asked

CONSENT = limits.CONSENT.value  # s


def checks(view: View) -> pd.DataFrame | None:
    """ICE connectivity checks whose attributes can be read whole: Binding requests with USERNAME and PRIORITY."""
    rows = view.rows("stun")
    if rows is None:
        return None
    rows = rows[rows["method"].eq("Binding") & rows["message_class"].eq("request") & rows["attributes"].notna()]
    rows = rows[~rows["frame"].isin(view.cut) & rows["transaction_id"].str.len().eq(24).fillna(False)]
    have = rows["attributes"].astype(str)
    return rows[have.str.contains(r"\b0006\b") & have.str.contains(r"\b0024\b")]


# SEC-22


def unprotected_checks(view: View) -> Outcome:
    """A connectivity check comes without a valid MESSAGE-INTEGRITY, or without FINGERPRINT."""
    rows = checks(view)
    if rows is None or rows.empty:
        return unseen("no connectivity check can be read with its attributes")
    have = rows["attributes"].astype(str)
    bare = rows[~have.str.contains(r"\b(?:0008|001c)\b")]
    if len(bare):
        return failed(f"{counted(len(bare), 'check')} without MESSAGE-INTEGRITY", bare["frame"])
    wrong = rows[rows["integrity_ok"].eq(False).fillna(False)]
    if len(wrong):
        return failed(f"{counted(len(wrong), 'check')} with a wrong MESSAGE-INTEGRITY", wrong["frame"])
    marked = have.str.contains(r"\b8028\b")
    odd = rows[~marked | rows["fingerprint_ok"].eq(False).fillna(False)]
    if len(odd):
        return failed(f"{counted(len(odd), 'check')} without a right FINGERPRINT", odd["frame"], severity="low")
    proven = int(rows["integrity_ok"].eq(True).fillna(False).sum())
    note = f"{counted(len(rows), 'check')} with MESSAGE-INTEGRITY and FINGERPRINT"
    return passed(f"{note}, {proven} of them verified with the password" if proven else note, rows["frame"].head(10))


# SEC-23


def weak_credentials(view: View) -> Outcome:
    """ICE user fragments or passwords are short, or used again."""
    rows = view.rows("jingle")
    if rows is None:
        return _short_fragments(view)
    named = rows[rows["ufrag"].notna() & rows["pwd"].notna()]
    if named.empty:
        return unseen("no ICE password in the signaling")
    short = named[(named["pwd"].str.len() < 22) | (named["ufrag"].str.len() < 4)]
    if len(short):
        return failed("an ICE password of less than 22 characters, or a user fragment of less than 4", short["frame"])
    for column, what in (("ufrag", "user fragment"), ("pwd", "password")):
        sessions = named.groupby(column)["sid"].nunique()
        again = named[named[column].isin(sessions[sessions > 1].index)]
        if len(again):
            return failed(f"the same ICE {what} in {int(sessions.max())} sessions", again["frame"])
    pairs = named.drop_duplicates(["ufrag", "pwd"])
    return passed(f"{counted(len(pairs), 'pair')} of user fragment and password, each in one session", pairs["frame"])


def _short_fragments(view: View) -> Outcome:
    rows = view.rows("stun")
    names = rows[rows["username"].fillna("").str.contains(":")] if rows is not None else None
    if names is None or names.empty:
        return unseen("neither signaling nor a connectivity check can be read")
    short = names[names["username"].map(lambda name: min(map(len, str(name).split(":"))) < 4)]
    short = short[short["method"].eq("Binding")]
    if len(short):
        return failed("a user fragment of less than 4 characters", short["frame"])
    return unseen("passwords are in the signaling, which cannot be read")


# SEC-24


def telling_fragment(view: View) -> Outcome:
    """The bridge's user fragment tells the server's wall clock."""
    rows = view.rows("stun")
    if rows is None:
        return unseen("no STUN in this capture")
    anchors = clock.anchors(rows)
    if anchors.empty:
        named = rows["username"].fillna("").str.contains(":").any()
        return (
            beside("no user fragment reads as a time near the capture") if named else unseen("no user fragment shown")
        )
    first = anchors.iloc[0]
    note = f"{counted(len(anchors), 'user fragment')} read as a wall clock, the first as {_iso(first['made'])}"
    certainty = Certainty(str(first["certainty"]))
    return noted(note, anchors["first_frame"], certainty=certainty)


def _iso(moment: Any) -> str:
    return str(pd.Timestamp(moment).strftime("%Y-%m-%dT%H:%M:%S.%f"))[:-3] + "Z"


# SEC-25


def client_addresses(view: View) -> Outcome:
    """A participant's own addresses are told to others."""
    rows = view.rows("candidates")
    if rows is not None:
        own = rows[
            rows["type"].eq("host") & ~rows["from"].fillna("").str.endswith("/focus") & ~rows["endpoint"].eq("jvb")
        ]
        literal = own[own["address"].map(lambda a: bool(re.match(r"[0-9a-fA-F:.]+$", str(a))))]
        if len(literal):
            people = literal["endpoint"].nunique()
            return failed(f"host candidates of {counted(people, 'participant')} name addresses", literal["frame"])
        if len(own):
            return passed("host candidates are hidden behind .local names", own["frame"])
    bridge = view.servers
    peers = [
        request
        for request in asked(view, "CreatePermission")
        if any(inside(p) and p not in bridge for p in request.peers)
    ]
    clients = {request.client for request in peers}
    shown = [
        request for request in peers if any(inside(p) and p not in bridge and p not in clients for p in request.peers)
    ]
    told_apart = any(inside(address) for address in bridge)  # else a private address may be the bridge's own
    if shown and rows is None and told_apart:
        note = "a participant's private address stands in a request to the relay"
        return failed(note, [request.frame for request in shown], certainty=Certainty.INFERRED)
    return unseen("no participant's candidates can be read: a session with the bridge names none, and none is in clear")


# SEC-26


def server_addresses(view: View) -> Outcome:
    """The bridge tells participants outside its private address."""
    rows = view.rows("candidates")
    on_wire: Outcome = unseen("no offer of a bridge can be read")
    if rows is not None:
        offered = rows[rows["from"].fillna("").str.endswith("/focus") & rows["type"].isin(["host", "srflx"])]
        private = offered[offered["address"].map(inside)]
        flows = view.rows("flows")
        outside = flows is not None and any(not inside(a) for a in {*flows["client"], *flows["server"]})
        if len(private) and outside:
            on_wire = failed(f"offers name {listed(sorted(set(private['address'])))}", private["frame"])
        elif len(private):
            on_wire = beside("everybody is on the server's own network", private["frame"])
        elif len(offered):
            on_wire = passed("offers name public addresses alone", offered["frame"].head(10))
    bridge = view.facts.bridge if view.facts else None
    fact = bridge.get("videobridge.ice.advertise-private-candidates") if bridge else None
    in_files: Outcome | None = None
    if fact is not None and fact.value is True and any(inside(a) for a in (view.facts.addresses if view.facts else ())):
        in_files = failed("advertise-private-candidates is true", places=[fact.place])
    elif fact is not None and fact.value is False:
        in_files = passed("advertise-private-candidates is false", places=[fact.place])
    return joined(on_wire, in_files)


# SEC-27


def consent(view: View) -> Outcome:
    """Media go on for more than 30 s after the last answered check."""
    media, stun = view.rows("media"), view.rows("stun")
    if media is None or stun is None:
        return unseen("no media, or no STUN, can be read")
    answers = stun[stun["method"].eq("Binding") & stun["message_class"].eq("success") & stun["depth"].eq(0)]
    came = {key: np.sort(rows.to_numpy(float)) for key, rows in answers.groupby(["flow", "up"])["seconds"]}
    judged, late, longest = 0, [], 0.0
    for row in media[media["depth"].eq(0)].itertuples(index=False):
        times = came.get((row.flow, not row.up), np.zeros(0))
        times = times[times <= row.last_seconds]
        longest = max(longest, row.last_seconds - row.first_seconds)
        if not len(times) or row.last_seconds - row.first_seconds <= CONSENT:
            continue
        judged += 1
        since = times[times >= row.first_seconds]
        steps = np.diff(np.concatenate([[max(row.first_seconds, times.min())], since, [row.last_seconds]]))
        if steps.max() > CONSENT + 1:
            late.append(row.last_frame)
    if late and view.lossy:
        return unseen(
            "streams sent for more than 30 s without an answer that can be seen, and the capture lost packets"
        )
    if late:
        return failed(f"{counted(len(late), 'stream')} sent for more than 30 s without an answered check", late)
    if judged:
        return passed(f"{counted(judged, 'stream')} of more than 30 s, a check answered within each 30 s")
    return unseen(f"the longest stream on a path with checks lasts {longest:.0f} s; consent lasts 30 s")


# SEC-28


def answers_strangers(view: View) -> Outcome:
    """An ICE port answers Binding requests that name no session."""
    rows, known = view.rows("stun"), checks(view)
    if rows is None or known is None or known.empty:
        return unseen("no connectivity check can be read with its attributes")
    known = known[known["depth"].eq(0)]
    ports = set(zip(known["dst"], known["dst_port"], strict=True))
    rows = rows[rows["method"].eq("Binding") & rows["depth"].eq(0)]
    binding = rows[rows["message_class"].eq("request") & rows["attributes"].notna()]
    there = np.array([pair in ports for pair in zip(binding["dst"], binding["dst_port"], strict=True)], bool)
    bare = binding[
        there & ~binding["attributes"].astype(str).str.contains(r"\b0006\b") & ~binding["frame"].isin(view.cut)
    ]
    if bare.empty:
        return unseen("nobody sent an ICE port a request without a session's name")
    done = rows[rows["message_class"].eq("success") & rows["transaction_id"].isin(bare["transaction_id"])]
    if len(done):
        return failed(f"{counted(len(done), 'request')} without a session's name answered", done["frame"])
    return passed(f"{counted(len(bare), 'request')} without a session's name left unanswered or refused", bare["frame"])


# SEC-29


def tcp_candidates(view: View) -> Outcome:
    """The bridge offers media over TCP."""
    rows = view.rows("candidates")
    on_wire: Outcome = unseen("no offer of a bridge can be read")
    if rows is not None:
        offered = rows[rows["from"].fillna("").str.endswith("/focus")]
        tcp = offered[offered["protocol"].fillna("").str.lower().isin(["tcp", "ssltcp"])]
        if len(tcp):
            on_wire = failed(f"offers name {counted(len(tcp), 'TCP candidate')}", tcp["frame"])
        elif len(offered):
            on_wire = passed("offers name UDP candidates alone", offered["frame"].head(10))
    return joined(on_wire, _tcp_in_files(view))


def _tcp_in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    there = services.reach_port(facts, "tcp", 4443)  # what the bridge's own TCP listened on
    if there.open and any(listener.process in ("java", "jvb") for listener in facts.listening("tcp", 4443)):
        return failed(there.note, places=there.places)
    settings = []
    for bridge in (facts.bridge, *facts.other_bridges):
        setting = programs.ice_tcp(facts, bridge)
        off = facts.environment.get("JVB_TCP_HARVESTER_DISABLED") if facts.environment is not None else None
        if not setting.known and off is not None and str(off.value).lower() in ("true", "1"):
            setting = programs.Setting(False, off.place)
        if setting.value is True:
            known = programs.at_least(facts, "bridge", programs.NO_ICE_TCP) is False
            sure = Certainty.MEASURED if known else Certainty.INFERRED
            return failed("the bridge is told to take media over TCP", places=[setting.place], certainty=sure)
        settings.append(setting)
    if all(setting.known and setting.place for setting in settings):
        return passed("the bridge's configuration turns no TCP on", places=[setting.place for setting in settings])
    if facts.bridge is None and not facts.properties and facts.environment is None:
        return None
    return unseen(next(setting.why for setting in settings if not setting.known))


ALL = (
    Rule(
        id="SEC-22", area="D", title="Connectivity checks without protection", needs=(),
        absent="Connectivity checks with protection",
        test=unprotected_checks, severity="high",
        reason="anybody who can send to the port can move the media elsewhere",
        source="RFC 8445 section 7.2.2; RFC 8489 sections 9.1, 14.5 and 14.7",
        guard="requests to a plain STUN server, of RFC 3489, or cut by the capture are left out; low for FINGERPRINT",
        advice="Drop such checks; report the client or bridge that sends or takes them.",
        visible="checks in clear on the server's or a participant's interface", plan="capture",
    ),
    Rule(
        id="SEC-23", area="D", title="Weak or reused ICE credentials", needs=(), test=weak_credentials,
        absent="Strong ICE credentials, none used twice",
        severity="medium", reason="who knows or guesses them takes part in the checks of another session",
        source="RFC 8445 sections 5.3 and 9; RFC 8839 section 5.4",
        guard="contents of one bundle share them; a session with the bridge and one between peers are two",
        advice="Let the ICE stack make them, new for each session: 24 random bits for the fragment, 128 for the "
        "password.",
        visible="Jingle in clear or with keys", plan="plaintext",
    ),
    Rule(
        id="SEC-24", area="D", title="Wall clock in the user fragment", needs=(), test=telling_fragment,
        absent="No wall clock in the user fragment",
        severity="info", reason="a table without addresses and times still tells when the call was",
        source="RFC 8445 section 5.3; ice4j, Agent.java",
        guard="24 random bits stand before the time: that the fragment is unguessable stays true",
        advice="Pseudonymise user fragments before sharing a capture or a table.",
        unproven="it tells a fact and neither fails nor passes",
        visible="checks in clear", plan="capture",
    ),
    Rule(
        id="SEC-25", area="D", title="Participants' own addresses told", needs=(), test=client_addresses,
        absent="Participants' own addresses kept",
        severity="low", reason="other participants and the relay learn the inside of somebody's network",
        source="RFC 8828 section 5.2",
        guard="browsers lift the .local names once a page may use camera or microphone",
        advice="Set p2p.enabled to false, or iceTransportPolicy to relay, where addresses must not be told.",
        visible="Jingle of a session between peers, in clear or with keys; or requests to the relay", plan="plaintext",
    ),
    Rule(
        id="SEC-26", area="D", title="Bridge's private address told", needs=(), test=server_addresses,
        absent="Bridge's private address kept",
        severity="low", reason="everybody who joins learns the inside of the server's network",
        source="jitsi-videobridge reference.conf, ice.advertise-private-candidates",
        guard="recorders and gateways inside, and meetings on the server's own network, need it",
        advice="Set videobridge.ice.advertise-private-candidates = false where nobody inside needs it.",
        visible="the offer in clear or with keys; or jvb.conf", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-27", area="D", title="Media without consent", needs=(), test=consent,
        absent="Media with consent alone",
        severity="medium", reason="a receiver that has gone, or never was, can be flooded",
        source="RFC 7675 section 5.1; RFC 8826 section 4.2",
        guard="streams of less than 30 s, and those inside a relay, are not judged",
        advice="Stop sending 30 s after the last valid answer.",
        visible="media and checks of more than 30 s on one path", plan="longer",
    ),
    Rule(
        id="SEC-28", area="D", title="ICE ports that answer strangers", needs=(), test=answers_strangers,
        absent="ICE ports silent to strangers",
        severity="low", reason="it confirms the service and can be made to send to others",
        source="RFC 8445 sections 7.3 and 19.5",
        guard="peer reflexive candidates are legitimate: the session's name decides, not the address",
        advice="Answer no Binding request without a known user fragment on a media port.",
        visible="a request without USERNAME to a port that takes checks", plan="probe",
    ),
    Rule(
        id="SEC-29", area="D", title="Media over TCP from the bridge", needs=(), test=tcp_candidates,
        absent="No media over TCP from the bridge",
        severity="low", reason="one more open port, with a form of TCP that today's bridge no longer has",
        source="RFC 6544 section 4.1; jitsi-videobridge pull request 2194",
        guard="a browser's own active TCP candidates on port 9 are normal",
        advice="Upgrade the bridge or set videobridge.ice.tcp.enabled = false; offer TURN over TLS instead.",
        visible="the offer in clear or with keys; or jvb.conf", plan="plaintext", jitsi=True,
    ),
)  # fmt: skip
