"""F. What leaks: of people, of secrets, and out of captures that are shared."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jitsilab.analysis import clock
from jitsilab.facts.model import UNKNOWN
from jitsilab.judge.checks import Outcome
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
from jitsilab.pcap import unread
from jitsilab.protocols import xmpp as stanzas

THIRD = re.compile(
    r"(^|\.)(meet-jit-si-turnrelay\.jitsi\.net|stun\d?\.l\.google\.com|gravatar\.com|libravatar\.org|callstats\.io"
    r"|giphy\.com|google-analytics\.com|amplitude\.com|api\.segment\.io)$"
)


# SEC-37


def personal_presence(view: View) -> Outcome:
    """Presence tells everybody in the room e-mail, statistics id, region or picture."""
    kinds: dict[str, list[int]] = {}
    seen = 0
    for placed in view.stanzas:
        presence = stanzas.presence(placed.stanza)
        if presence is None or presence.occupant in (None, "focus") or presence.type is not None:
            continue
        seen += 1
        told_of = {
            "e-mail": presence.email, "statistics id": presence.stats_id, "region": presence.region,
            "user agent": presence.user_agent,
        }  # fmt: skip
        for kind, value in told_of.items():
            if value:
                kinds.setdefault(kind, []).append(placed.frame)
        if any(re.search(r"(^|})avatar-url$", inner.tag) and inner.text for inner in placed.stanza.element.iter()):
            kinds.setdefault("picture", []).append(placed.frame)
    if not seen:
        return unseen("presence cannot be read: no signaling in clear and no key log")
    if kinds:
        frames = [frame for shown in kinds.values() for frame in shown[:10]]
        return failed(f"presence tells everybody in the room: {listed(sorted(kinds), 6)}", frames)
    return passed(f"{counted(seen, 'presence')} with a name alone")


# SEC-38


def channel_password(view: View) -> Outcome:
    """The bridge channel's password stands in the URL of its WebSocket."""
    rows = view.rows("http")
    if rows is None:
        return unseen("no HTTP request can be read")
    channel = rows[rows["target"].fillna("").str.contains(r"/colibri-(?:relay-)?ws/", regex=True)]
    if channel.empty:
        return beside("no bridge channel over WebSocket in this capture")
    named = channel[channel["target"].str.contains(r"[?&]pwd=", regex=True)]
    if named.empty:
        return passed("the bridge channel opens without a password in its URL", channel["frame"])
    same = _is_ice_password(view)
    note = f"{counted(len(named), 'request')} for a bridge channel carry the password in the URL"
    note += "; it is the ICE password too" if same else ""
    return failed(note, named["frame"], severity="" if same else "low")


def _is_ice_password(view: View) -> bool:
    rows = view.rows("jingle")
    if rows is None or "web_socket" not in rows:
        return False
    known = set(rows["pwd"].dropna())
    return any(
        p in known for url in rows["web_socket"].dropna() for p in parse_qs(urlsplit(str(url)).query).get("pwd", ())
    )


# SEC-39


def secrets_inside(view: View) -> Outcome:
    """Secrets can be read in the capture, or with the key log beside it."""
    wire = getattr(view.call, "wire", None)
    if wire is None:
        return unseen("there are no packets to look into")
    kinds: dict[str, list[int]] = {}
    blocks = len(wire.packets.secrets)
    clear = bool(blocks)  # where nothing but a key log opens what shows them, it matters less
    for placed in view.stanzas:
        for kind in _secrets_of(placed.stanza):
            kinds.setdefault(kind, []).append(placed.frame)
            clear = clear or bool(placed.clear)
    http = view.rows("http")
    if http is not None:
        hidden = http[http["target"].fillna("").str.contains(r"=\*\*\*", regex=True)]
        if len(hidden):
            kinds["a password or token in a URL"] = list(hidden["frame"])
            clear = clear or bool(hidden["clear"].fillna(False).any())
    if blocks:
        kinds["TLS secrets in the file itself"] = []
    if kinds:
        frames = [frame for shown in kinds.values() for frame in shown[:10]]
        how = "readable" if clear else "readable with the key log"
        return failed(f"{how}: {listed(sorted(kinds), 6)}", frames, severity="" if clear else "medium")
    if left := unread.words(wire.packets.unread):
        return unseen(left)
    return passed("nothing in clear, no TLS secrets in the file; a key log would change that")


def _secrets_of(stanza: stanzas.Stanza) -> set[str]:
    kinds = set()
    step = stanzas.sasl(stanza)
    if step is not None and step.step == "auth" and step.mechanism in ("PLAIN", "LOGIN"):
        kinds.add("a login's password")
    if any(service.password for service in stanzas.services(stanza)):
        kinds.add("TURN passwords")
    for inner in stanza.element.iter():
        if inner.tag.endswith("}transport") and inner.get("pwd"):
            kinds.add("ICE passwords")
        elif inner.tag in (f"{{{stanzas.MUC}}}password", f"{{{stanzas.MUC_USER}}}password") and inner.text:
            kinds.add("a room's password")
    return kinds


# SEC-40


def redaction(view: View) -> Outcome:
    """A capture or table that was made nameless still tells where, when and who."""
    rows = view.part("ends")
    if rows is None:
        return unseen("there are no frames to look into")
    addresses = {*rows["src"].dropna().unique(), *rows["dst"].dropna().unique()}
    replaced = {str(a) for a in addresses if not re.match(r"^[0-9a-fA-F:.%]+$", str(a))}
    leaks = _leaks(view)
    if not leaks:
        return unseen("nothing was found, which does not prove that nothing is there")
    note = f"{listed((f'{what} ({len(frames)})' for what, frames in leaks.items()), 8)}"
    frames = [frame for shown in leaks.values() for frame in list(shown)[:8]]
    if not replaced:
        return noted(f"not a nameless capture; sharing it would tell {note}", frames)
    return failed(f"addresses were replaced, and these were left: {note}", frames)


def _leaks(view: View) -> dict[str, list[Any]]:
    """What tells of places, times and names, with the frames."""
    leaks: dict[str, list[Any]] = {}
    arp = view.rows("arp")
    if arp is not None:
        private = arp[arp["sender_ip"].map(inside) | arp["target_ip"].map(inside)]
        macs = {*arp["sender_mac"].dropna(), *arp["target_mac"].dropna()} - {"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}
        if len(private):
            leaks["private addresses in ARP"] = list(private["frame"])
        if macs:
            leaks["hardware addresses in ARP"] = list(arp["frame"])[: len(macs)]
    stun = view.rows("stun")
    if stun is not None:
        clocks = clock.anchors(stun)
        if len(clocks):
            leaks["wall clocks in user fragments"] = list(clocks["first_frame"])
        relay = stun[stun["username"].fillna("").str.match(r"\d{9,11}(:|$)") & ~stun["method"].eq("Binding")]
        if len(relay):
            leaks["TURN user names with their end"] = list(relay["frame"])
    tcp = view.part("stamps")
    if tcp is not None and "tsval" in tcp and tcp["tsval"].notna().any():
        leaks["TCP timestamps"] = list(tcp.loc[tcp["tsval"].notna(), "frame"])
    tls = view.rows("tls")
    if tls is not None and "sni" in tls and tls["sni"].notna().any():
        leaks["server names in TLS"] = list(tls.loc[tls["sni"].notna(), "frame"])
    return leaks


# SEC-41


def third_parties(view: View) -> Outcome:
    """Others than the service learn that a session begins."""
    return joined(_contacted(view), _recommended(view), _third_in_files(view))


def _contacted(view: View) -> Outcome:
    tls = view.rows("tls")
    named = tls[tls["sni"].notna()] if tls is not None else None
    if named is not None and len(named):
        third = named[named["sni"].map(lambda name: bool(THIRD.search(str(name))))]
        if len(third):
            return failed(f"connections to {listed(sorted(set(third['sni'])))}", third["frame"])
    return unseen("on the server's interface nobody else's traffic can be seen")


def _recommended(view: View) -> Outcome | None:
    """STUN and TURN servers that the signaling hands out."""
    others: list[tuple[int, str]] = []
    own: list[tuple[int, str]] = []
    for placed in view.stanzas:
        domain = (stanzas.bare(placed.stanza.sender) or "").rpartition("@")[2]
        for service in stanzas.services(placed.stanza):
            if not service.host or not domain:
                continue
            base = ".".join(domain.split(".")[-2:])
            (own if service.host.endswith(base) or not THIRD.search(service.host) else others).append(
                (placed.frame, service.host)
            )
    if others:
        return failed(f"clients are sent to {listed(sorted({h for _, h in others}))}", [f for f, _ in others])
    return passed("clients are sent to the service's own STUN and TURN alone", [f for f, _ in own]) if own else None


def _third_in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    bad = []
    for values in (facts.web.values if facts.web else {}, facts.bridge.values if facts.bridge else {}):
        for path, fact in values.items():
            for host in re.findall(r"[\w-]+(?:\.[\w-]+)+", str(fact.value)):
                if THIRD.search(host) and fact.value not in (None, False):
                    bad.append((f"{path} names {host}", fact.place))
    if bad:
        return failed(listed(note for note, _ in bad), places=[place for _, place in bad])
    if facts.web is None or (not facts.web.get("hosts.domain") and not facts.web.get("p2p.enabled")):
        return None  # config.js itself was not given
    own, direct = facts.web.get("p2p.stunServers"), facts.web.get("p2p.enabled")
    if own is None and (direct is None or direct.value is not False):
        # lib-jitsi-meet's xmpp.ts has a STUN server of its own for that case
        return unseen("config.js names no p2p.stunServers, and the library's default is another's")
    computed = [fact.place for fact in facts.web.values.values() if fact.value is UNKNOWN]
    if any(facts.web.name in problem.message for problem in facts.problems):
        return unseen(f"{facts.web.name} cannot be read whole", places=computed[:3])
    return passed("config.js names no other service", places=[facts.web.name])


ALL = (
    Rule(
        id="SEC-37", area="F", title="Personal data in presence", needs=(), test=personal_presence,
        absent="No personal data in presence",
        severity="low", reason="everybody in the room, guests included, can follow people from meeting to meeting",
        source="XEP-0045 section 14; XEP-0115 section 9", guard="the display name alone is needed and passes",
        advice="Set disableThirdPartyRequests = true and enableEmailInStats = false in config.js, and ask nobody for "
        "an e-mail address.",
        visible="presence in clear or with keys", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-38", area="F", title="Channel password in a URL", needs=(), test=channel_password,
        absent="No channel password in a URL",
        severity="medium",
        reason="logs keep it; medium where it is the ICE password, low where it opens no more than the channel",
        source="jitsi-videobridge doc/web-sockets.md; RFC 6750 section 5.3",
        guard="the URL in an offer alone, never asked for, is none",
        advice="Keep query strings of /colibri-ws out of logs, and upgrade the bridge where the ICE password is used.",
        visible="HTTP requests in clear or with keys", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-39", area="F", title="Secrets in the capture", needs=(), test=secrets_inside,
        absent="No secrets in the capture",
        severity="high",
        reason="whoever gets the file may log in, relay and listen; medium where a key log is needed too",
        source="RFC 8827 section 6.5; draft-ietf-opsawg-pcapng, Decryption Secrets Block",
        guard="what only a key log opens is counted only where one was given",
        advice="Share a copy in which these are replaced, never the key log, and change every secret that was told.",
        visible="packets, and a key log where there is one", plan="plaintext",
    ),
    Rule(
        id="SEC-40", area="F", title="Nameless capture that still names", needs=(), test=redaction,
        absent="Nameless capture that names nobody",
        severity="medium", reason="who shares it believes that nobody can be found in it",
        source="RFC 6973 section 6.1; RFC 7323 section 7.1",
        unproven="it never passes: that nothing was found does not prove that nothing is there",
        guard="a capture with its real addresses was never meant to be nameless: what it tells is only told",
        advice="Before sharing, replace what ARP, TCP timestamps, user fragments, names and certificates hold too.",
        visible="frames, ARP, TCP, STUN and TLS of what is to be shared", plan="capture",
    ),
    Rule(
        id="SEC-41", area="F", title="Third parties told of the session", needs=(), test=third_parties,
        absent="No third parties told of the session",
        severity="low", reason="a STUN server or a picture service of somebody else sees who meets when",
        source="lib-jitsi-meet xmpp.ts, default STUN server; JSA-2024-0002 (CVE-2024-44080); JSA-2024-0003 "
        "(CVE-2024-44081)",
        guard="only services known by name; a server's capture does not show its clients' other traffic",
        advice="Name your own STUN server in external_services and p2p.stunServers, and turn off Gravatar, GIPHY and "
        "analytics in config.js.",
        visible="a participant's own capture; the answer to extdisco; or config.js", plan="client", jitsi=True,
    ),
)  # fmt: skip
