"""E. DTLS and SRTP: who is at the other end, with which cipher, and whether media are encrypted at all."""

import re
from typing import Any

import pandas as pd

from jitsilab.analysis import joins, limits
from jitsilab.facts.versions import order
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.findings.rule import (
    Rule,
    View,
    beside,
    counted,
    failed,
    joined,
    listed,
    noted,
    passed,
    unseen,
)

SETTLED = limits.SETTLED.value  # s into a capture from which on a flow that was there before would have shown
OLD = re.compile(r"^DTLS ?(1\.0|0\.9)", re.I)
WEAK = re.compile(r"NULL|RC4|3DES|_DES_|EXPORT|_anon_|_MD5$|^TLS_RSA_WITH_")
WEAK_SRTP = re.compile(r"NULL|_32$")


def _hellos(dtls: pd.DataFrame) -> pd.DataFrame:
    """ServerHello messages, each once."""
    rows = dtls[dtls["handshake_type"].eq("server_hello")]
    return rows.drop_duplicates(["flow", "up", "random"]) if rows["random"].notna().any() else rows


# SEC-30


def wrong_certificate(dtls: pd.DataFrame, *, view: View) -> Outcome:
    """A certificate in the DTLS handshake is not the one that the signaling announced."""
    stun = view.rows("stun")
    if stun is None:
        return unseen("no connectivity check names the session of a handshake")
    rows = joins.certificates(view.rows("jingle"), dtls, stun)
    wrong, right = rows[rows["match"].eq(False).fillna(False)], rows[rows["match"].eq(True).fillna(False)]
    if len(wrong):
        who = wrong.drop_duplicates(["endpoint", "certificate"])
        return failed(
            f"{counted(len(who), 'certificate')} in the session of somebody who had announced another",
            [*wrong["frame"], *wrong["announced_frame"].dropna()],
        )
    if len(right):
        both = right.drop_duplicates(["endpoint", "ufrag", "certificate"])
        return passed(f"{counted(len(both), 'certificate')} as announced", right["frame"])
    if rows.empty:
        return unseen("no certificate can be read: DTLS 1.3 encrypts it, and printed tables leave it out")
    return unseen("certificates are seen, but not what the signaling announced")


# SEC-31


def old_fingerprint(view: View) -> Outcome:
    """Certificates are announced by SHA-1 or MD5 alone, or a server takes such by name."""
    rows = view.rows("jingle")
    on_wire: Outcome = unseen("no fingerprint can be read in the signaling")
    if rows is not None and rows["fingerprint_hash"].notna().any():
        named = rows[rows["fingerprint_hash"].notna()]
        hashes = named["fingerprint_hash"].str.lower()
        only = named[hashes.map(lambda h: not re.search(r"sha-?(224|256|384|512)", h))]
        old = named[hashes.str.contains(r"md5|sha-1\b|sha1\b")]
        if len(only):
            on_wire = failed(f"announced by {listed(sorted(set(only['fingerprint_hash'])))} alone", only["frame"])
        elif len(old):
            on_wire = noted("an old hash beside a good one", old["frame"])
        else:
            on_wire = passed(f"announced by {listed(sorted(set(hashes)))}", named["frame"].drop_duplicates())
    bridge = view.facts.bridge if view.facts else None
    fact = bridge.get("jmt.dtls.accepted-fingerprint-hash-functions") if bridge else None
    in_files: Outcome | None = None
    if fact is not None and isinstance(fact.value, list):
        old_names = [str(name) for name in fact.value if str(name).lower() in ("sha-1", "md5", "md2")]
        if old_names:
            in_files = failed(f"the bridge is told to take {listed(old_names)}", places=[fact.place])
        else:
            in_files = passed("the bridge takes SHA-2 alone", places=[fact.place])
    return joined(on_wire, in_files)


# SEC-32


def old_dtls(dtls: pd.DataFrame, *, view: View) -> Outcome:
    """DTLS older than 1.2, a weak suite or a weak SRTP profile is negotiated."""
    seen = view.rows("dtls")
    hello = _hellos(seen if seen is not None else dtls)
    if hello.empty:
        return unseen("no ServerHello in this capture")
    versions = hello["version"].fillna("").astype(str)
    old = hello[versions.map(lambda v: bool(OLD.match(v)))]
    if len(old):
        return failed(f"negotiated: {listed(sorted(set(old['version'])))}", old["frame"])
    suites, profiles = hello["suite"].fillna("").astype(str), hello["srtp_profile"].fillna("").astype(str)
    weak = hello[suites.map(lambda s: bool(WEAK.search(s))) | profiles.map(lambda p: bool(WEAK_SRTP.search(p)))]
    if len(weak):
        names = {*weak["suite"].dropna(), *weak["srtp_profile"].dropna()}
        return failed(
            f"negotiated: {listed(sorted(n for n in names if WEAK.search(n) or WEAK_SRTP.search(n)))}", weak["frame"]
        )
    if not versions.ne("").any():
        return unseen("the versions of the handshakes are not shown")
    note = f"{counted(len(hello), 'handshake')} settled on {listed(sorted(set(versions) - {''}))}"
    if suites.ne("").any():
        return passed(f"{note}, {listed(sorted(set(suites) - {''}))}", hello["frame"])
    return passed(f"{note}; the suites are not shown", hello["frame"])


# SEC-33


def early_answer(dtls: pd.DataFrame, *, view: View) -> Outcome:
    """A ClientHello is answered before ICE has proven its sender."""
    seen = view.rows("dtls")
    seen = dtls if seen is None else seen
    stun = view.rows("stun")
    hello = seen[seen["handshake_type"].eq("server_hello")]
    if hello.empty:
        return unseen("no ServerHello in this capture")
    if stun is None:
        return beside("no ICE in this capture")
    binding = stun[stun["method"].eq("Binding")]
    asked, valid = set(binding["flow"].dropna()), binding[binding["message_class"].eq("success")]
    proven = valid.groupby([valid["flow"], valid["depth"].gt(0)])["seconds"].min().to_dict()
    early, judged, begun = [], 0, _begins(view, seen, stun)
    for (flow, depth), rows in hello.groupby(["flow", "depth"], sort=False):
        if flow not in asked or flow not in begun:
            continue
        judged += 1
        first = rows.loc[rows["seconds"].idxmin()]
        if proven.get((flow, depth > 0), float("inf")) > float(first["seconds"]):
            early.append(first["frame"])
    cookies = seen[seen["handshake_type"].eq("hello_verify_request")]
    if early and view.lossy:
        return unseen("a ClientHello answered before a check that can be seen, and the capture lost packets")
    if early:
        return failed(f"{counted(len(early), 'ClientHello')} answered before a check had succeeded", early)
    if not judged:
        return beside("handshakes without ICE: a signaled address stands for the sender")
    if len(cookies):
        return passed("each handshake began on a path that ICE had proven, with a cookie", cookies["frame"])
    note = f"{counted(judged, 'handshake')} began on a path that ICE had proven; no cookie was asked for"
    return noted(note, hello["frame"])


def _begins(view: View, dtls: pd.DataFrame, stun: pd.DataFrame) -> set[Any]:
    """Flows whose beginning is in the capture: they begin with a check, a hello, or the handshake of TCP.

    A check is sent again and again, so one at the very beginning of the capture need not be the first.
    """
    flows = view.rows("flows")
    if flows is None:
        return set(dtls["flow"])
    hello = dtls.loc[dtls["handshake_type"].eq("client_hello"), "first_frame" if "first_frame" in dtls else "frame"]
    first = flows["first_frame"].isin({*stun["frame"], *hello}) & flows["first_seconds"].ge(SETTLED)
    first |= flows["handshake"].fillna(False).astype(bool)
    return set(flows.loc[first, "flow"])


# SEC-34


def odd_roles(dtls: pd.DataFrame, *, view: View) -> Outcome:
    """DTLS is renegotiated, or both sides call themselves client."""
    seen = view.rows("dtls")
    seen = dtls if seen is None else seen
    client = seen[seen["handshake_type"].eq("client_hello")]
    again = client[client["epoch"].gt(0)]
    if len(again):
        return failed(f"{counted(len(again), 'ClientHello')} inside a running session", again["frame"])
    jingle = view.rows("jingle")
    if jingle is not None:
        answers = jingle[jingle["action"].eq("session-accept") & jingle["setup"].eq("actpass")]
        if len(answers):
            return failed("an answer leaves the role open (setup=actpass)", answers["frame"])
    both = []
    path = [name for name in ("flow", "depth", "wrapper_peer") if name in client]
    for _, rows in client.groupby(path, sort=False, dropna=False):
        if rows["up"].dropna().nunique() > 1:
            both += list(rows["frame"])
    if both:
        return failed("both sides of a path sent a ClientHello", both, certainty=Certainty.INFERRED)
    if client.empty:
        return unseen("no ClientHello in this capture")
    return passed(
        f"{counted(len(client), 'ClientHello', 'ClientHellos')}, one side each, none inside a session", client["frame"]
    )


# SEC-35


def plain_media(view: View) -> Outcome:
    """Media of a WebRTC session are sent in clear, or before the keys are agreed."""
    media, rtcp, dtls = view.rows("media"), view.rows("rtcp"), view.rows("dtls")
    if media is None and rtcp is None:
        return unseen("no media in this capture, or they are hidden inside a relay")
    webrtc = _webrtc_flows(view)
    clear = _readable(rtcp, webrtc)
    if clear:
        return failed(f"{counted(len(clear), 'RTCP packet')} in clear, with the sender's name", clear)
    early = _before_keys(media, dtls)
    if early:
        return failed("media came before the DTLS handshake of their path", early, severity="high")
    if rtcp is not None:
        sealed = rtcp[rtcp["encrypted"].fillna(False).astype(bool) & rtcp["flow"].isin(webrtc)]
        if len(sealed):
            return passed(f"{counted(len(sealed), 'RTCP packet')} encrypted, none in clear", sealed["frame"].head(10))
    keyed = dtls[dtls["srtp_profile"].notna() & dtls["handshake_type"].eq("server_hello")] if dtls is not None else None
    if keyed is not None and len(keyed) and media is not None:
        return passed(f"media keyed by DTLS ({listed(sorted(set(keyed['srtp_profile'])))})", keyed["frame"])
    if not webrtc:
        return beside("media of this capture belong to no WebRTC session: no ICE and no DTLS on their path")
    return unseen("nothing on these paths tells encrypted media from clear ones")


def _webrtc_flows(view: View) -> set[Any]:
    """Flows with DTLS or ICE checks on them."""
    flows: set[Any] = set()
    for name in ("dtls", "stun"):
        rows = view.rows(name)
        if rows is not None:
            rows = rows[rows["method"].eq("Binding") & rows["priority"].notna()] if name == "stun" else rows
            flows |= set(rows["flow"].dropna())
    return flows


def _readable(rtcp: pd.DataFrame | None, webrtc: set[Any]) -> list[int]:
    """Frames of source descriptions that can be read: under SRTCP their text is encrypted (RFC 3711 section 3.4)."""
    if rtcp is None:
        return []
    named = rtcp[rtcp["packet_type"].eq(202) & rtcp["text"].fillna("").ne("") & rtcp["flow"].isin(webrtc)]
    return [int(frame) for frame in named[~named["encrypted"].fillna(False).astype(bool)]["frame"]]


def _before_keys(media: pd.DataFrame | None, dtls: pd.DataFrame | None) -> list[int]:
    """First frames of streams on a path whose only handshake began later.

    Where an earlier handshake ran elsewhere (another path of the same ICE session), its keys may serve here; and where
    the hello comes more than 5 s later, it is a new one in a session whose beginning the capture has not.
    """
    if media is None or dtls is None:
        return []
    hello = dtls[dtls["handshake_type"].isin(["client_hello", "server_hello"])]
    if hello.empty:
        return []
    earliest = float(hello["seconds"].min())
    streams = media[media["depth"].eq(0)]
    keyed = streams["flow"].map(hello.groupby("flow")["seconds"].min()).astype(float)  # NaN where none is seen
    begun = streams["first_seconds"]
    early = begun.lt(keyed) & begun.lt(earliest) & keyed.sub(begun).le(limits.GUARD.value)
    return [int(frame) for frame in streams.loc[early, "first_frame"]]


# SEC-36


def end_to_end(view: View) -> Outcome:
    """End-to-end encryption is on, in a version where it can be undone."""
    version = view.facts.version("jitsi-meet", "jitsi-meet-web") if view.facts else None
    on = [placed.frame for placed in view.stanzas if _uses_e2ee(placed)]
    if not view.stanzas:
        return unseen("whether end-to-end encryption is on is said in presence, which cannot be read")
    if not on:
        return beside("nobody turned end-to-end encryption on")
    if version is None:
        return noted("end-to-end encryption is on; whether each frame carries it cannot be seen outside SRTP", on)
    if order(str(version.value)) < order("2.0.7830"):
        note = f"end-to-end encryption is on, and jitsi-meet {version.value} shows undecrypted media too"
        return failed(note, on, [version.place])
    note = f"end-to-end encryption is on, and jitsi-meet {version.value} has the fix"
    return passed(note, on, [version.place], certainty=Certainty.INFERRED)


def _uses_e2ee(placed: Any) -> bool:
    if placed.stanza.name != "presence":
        return False
    return any(
        re.search(r"(^|})(e2ee(\.enabled|Enabled)?|jitsi_participant_e2ee\.enabled)$", inner.tag)
        and inner.text == "true"
        for inner in placed.stanza.element.iter()
    )


ALL = (
    Rule(
        id="SEC-30", area="E", title="Certificate that nobody announced", needs=("dtls",), test=wrong_certificate,
        absent="Certificates as announced",
        severity="critical", reason="somebody between the two can listen and speak",
        source="RFC 8122 section 5; RFC 8827 section 6.5; RFC 5763 section 5",
        guard="joined by the ICE user fragment of the path; several fingerprints are allowed, one has to match",
        advice="Find who changed the signaling or the handshake: compare what each side sent.",
        visible="certificates (DTLS 1.2) and Jingle in clear or with keys", plan="plaintext",
    ),
    Rule(
        id="SEC-31", area="E", title="Fingerprints by SHA-1 or MD5", needs=(), test=old_fingerprint,
        absent="No fingerprints by SHA-1 or MD5",
        severity="medium", reason="a second certificate with the same fingerprint can be made",
        source="RFC 8122 section 5",
        guard="an old hash beside a good one is only told; the bridge's default is not judged",
        advice="Take sha-1 out of jmt.dtls.accepted-fingerprint-hash-functions and update old clients.",
        visible="Jingle in clear or with keys; or jvb.conf", plan="plaintext",
    ),
    Rule(
        id="SEC-32", area="E", title="Old DTLS, weak suites", needs=("dtls",), test=old_dtls,
        absent="No old DTLS, no weak suites",
        severity="high", reason="media keys can be worked out by who recorded the handshake",
        source="RFC 8827 section 6.5; RFC 9325 sections 3.1.2 and 4.1; RFC 5764 section 4.1.2",
        guard="the version of a first ClientHello's record is 1.0 by design",
        advice="Update the client or the bridge that chose it.",
        visible="a ServerHello of DTLS", plan="capture",
    ),
    Rule(
        id="SEC-33", area="E", title="DTLS before ICE", needs=("dtls",),
        absent="DTLS after ICE",
        test=early_answer, severity="medium",
        reason="anybody who guesses the port can break a call that begins",
        source="RFC 6347 section 4.2.1; GHSA-hxj9-xwr8-w8pq (the same hole in Asterisk)",
        guard="without a cookie ICE stands for it: that alone is only told",
        advice="Take DTLS only from paths on which a check has succeeded.",
        visible="handshakes and checks on one path", plan="capture",
    ),
    Rule(
        id="SEC-34", area="E", title="DTLS renegotiated, roles mixed up", needs=("dtls",), test=odd_roles,
        absent="No DTLS renegotiated, roles as agreed",
        severity="medium", reason="a handshake inside a session can change who is at the other end",
        source="RFC 8827 section 6.5; RFC 5763 section 5; RFC 8842 section 5",
        guard="the same ClientHello again is a retransmission",
        advice="Refuse renegotiation; let the answer choose active or passive.",
        visible="handshakes of DTLS", plan="capture",
    ),
    Rule(
        id="SEC-35", area="E", title="Media in clear", needs=(), test=plain_media,
        absent="No media in clear",
        severity="critical",
        reason="everybody on the way hears and sees the meeting; high where only first packets are",
        source="RFC 8827 section 6.5; RFC 3711 section 3.4",
        guard="headers of SRTP and SRTCP are in clear by design; media without ICE and DTLS are no WebRTC",
        advice="Find the sender: every media channel of WebRTC is encrypted.",
        visible="media and RTCP outside a relay", plan="capture",
    ),
    Rule(
        id="SEC-36", area="E", title="Breakable end-to-end encryption", needs=(), test=end_to_end,
        absent="No breakable end-to-end encryption",
        severity="info", reason="users rely on a promise that an old client or a rogue bridge breaks",
        source="JSA-2022-0001", guard="only where somebody turned it on",
        advice="Upgrade jitsi-meet to 2.0.7830 or later.",
        visible="presence in clear or with keys, and the version", plan="plaintext", jitsi=True,
    ),
)  # fmt: skip
