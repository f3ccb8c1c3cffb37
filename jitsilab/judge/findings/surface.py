"""B. What servers show: TLS versions and suites, certificates, origins, versions."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jitsilab.errors import ParseError
from jitsilab.facts import Facts
from jitsilab.facts.versions import order
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.findings.origins import origins
from jitsilab.judge.findings.rule import (
    Rule,
    View,
    counted,
    failed,
    joined,
    listed,
    noted,
    passed,
    unseen,
)
from jitsilab.protocols import xmpp as stanzas
from jitsilab.wire import x509

OLD = re.compile(r"^(SSL|TLS ?1\.[01]$|TLSv1(\.[01])?$|TLS ?1$)", re.I)
WEAK = re.compile(r"NULL|RC4|3DES|_DES_|DES_CBC|EXPORT|_anon_|_MD5$|^TLS_RSA_WITH_|_CBC_SHA$")
WEAK_NAMED = ("NULL", "RC4", "3DES", "DES", "EXP", "EXPORT", "LOW", "MD5", "ADH", "AECDH", "ANULL", "ENULL", "SSLV3")


# SEC-12


def old_tls(view: View) -> Outcome:
    """TLS older than 1.2, or a weak cipher suite, is negotiated or configured by name."""
    return joined(_negotiated(view), _configured(view))


def _negotiated(view: View) -> Outcome:
    rows = view.rows("tls")
    if rows is None:
        return unseen("no TLS in this capture")
    if view.own_flows is not None:
        rows = rows[rows["flow"].isin(view.own_flows)]
    hello = rows[rows["handshake"].fillna("").astype(str).str.contains("server_hello")]
    if hello.empty:
        hello = rows[rows["version"].notna()].drop_duplicates("flow")
    versions, suites = hello["version"].fillna("").astype(str), hello["suite"].fillna("").astype(str)
    old = hello[versions.map(lambda v: bool(OLD.match(v)))]
    weak = hello[suites.map(lambda s: bool(WEAK.search(s)))]
    if len(old):
        note = f"{counted(len(old), 'handshake')} settled on {listed(sorted(set(old['version'])))}"
        return failed(note, old["frame"])
    if len(weak):
        return failed(f"negotiated: {listed(sorted(set(weak['suite'])))}", weak["frame"], severity="medium")
    known = hello[versions.ne("")]
    if known.empty:
        return unseen("no ServerHello in this capture")
    seen = f"{counted(len(known), 'handshake')} settled on {listed(sorted(set(known['version'])))}"
    tail = "" if suites.ne("").any() else "; the suites are not shown"
    return passed(seen + tail, known["frame"].head(10))


def _configured(view: View) -> Outcome | None:
    """Each server that ends TLS with the settings that it has or inherits."""
    facts = view.facts
    if facts is None:
        return None
    looked = [*_nginx_tls(facts), *_apache_tls(facts)]
    for host in facts.prosody.hosts if facts.prosody else ():
        ssl = host.options.get("ssl")
        named = ssl.value.get("protocol") if ssl is not None and isinstance(ssl.value, dict) else None
        if ssl is not None and isinstance(named, str):
            old_named = bool(re.match(r"sslv|tlsv1(_1)?(\+|$)", named))
            looked.append(Look(old_named, f"ssl.protocol is {named}" if old_named else "ssl.protocol", ssl.place))
    for name in ("tlsv1", "tlsv1_1", "sslv3"):  # turned on by name in old versions of coturn
        fact = facts.turn.first(name) if facts.turn else None
        if fact is not None:
            looked.append(Look(True, f"coturn: {name}", fact.place))
    bad = [look for look in looked if look.bad]
    if bad:
        return failed(listed(look.note for look in bad), places=[look.place for look in bad])
    unknown = [look for look in looked if look.bad is None]
    if unknown:
        return unseen(listed(look.note for look in unknown), places=[look.place for look in unknown])
    if not looked:
        return None
    if not any(look.web for look in looked):
        return unseen("what the web server speaks is not in these files", places=[look.place for look in looked])
    return passed("no old version is configured", places=[look.place for look in looked])


class Look(NamedTuple):
    """What one place says: bad, good, or not known."""

    bad: bool | None
    note: str
    place: str
    web: bool = False  # of the web server


def _nginx_tls(facts: Facts) -> Iterator[Look]:
    """The versions and suites of each of nginx's TLS servers: its own, else those of the blocks around it."""
    for server in facts.nginx.tls_servers() if facts.nginx else ():
        versions = server.inherited("ssl_protocols")
        if versions is not None:
            old = [str(arg) for arg in versions.args if OLD.match(str(arg))]
            yield Look(
                bool(old), f"ssl_protocols names {listed(old)}" if old else "ssl_protocols", versions.place, True
            )
        else:
            include = next((directive for directive in server.walk() if directive.name == "include"), None)
            why = f"{include.text()[:60]} is not here" if include is not None else "its version's default is not known"
            yield Look(None, f"no ssl_protocols: {why}", include.place if include is not None else server.place)
        suites = server.inherited("ssl_ciphers")
        weak = (
            [w for arg in suites.args for w in str(arg).split(":") if w.strip("+").upper() in WEAK_NAMED]
            if suites
            else []
        )
        if suites is not None and weak:
            yield Look(True, f"ssl_ciphers names {listed(weak)}", suites.place)
    for directive in facts.nginx.all("ssl_protocols") if facts.nginx and not any(facts.nginx.tls_servers()) else ():
        old = [str(arg) for arg in directive.args if OLD.match(str(arg))]
        certificate = directive.parent is not None and directive.parent.child("ssl_certificate") is not None
        if old or certificate:  # a snippet alone (docker-jitsi-meet's ssl.conf): what a server that ends TLS includes
            yield Look(
                bool(old), f"ssl_protocols names {listed(old)}" if old else "ssl_protocols", directive.place, True
            )


def _apache_tls(facts: Facts) -> Iterator[Look]:
    """The versions and suites of each of Apache's virtual hosts with SSLEngine on."""
    root = facts.apache
    for host in root.walk() if root is not None else ():
        engine = host.child("sslengine") if host.name == "virtualhost" else None
        if engine is None or engine.text().lower() != "on":
            continue
        versions = host.inherited("sslprotocol")
        if versions is None:
            yield Look(None, "no SSLProtocol: Apache's default is not known here", host.place)
        else:
            old = _apache_versions([str(arg) for arg in versions.args]) & {"SSLV3", "TLSV1", "TLSV1.1"}
            note = f"SSLProtocol allows {listed(sorted(old))}" if old else "SSLProtocol"
            yield Look(bool(old), note, versions.place, True)
        suites = host.inherited("sslciphersuite")
        weak = [w for w in suites.text().split(":") if w.strip("+").upper() in WEAK_NAMED] if suites else []
        if suites is not None and weak:
            yield Look(True, f"SSLCipherSuite names {listed(weak)}", suites.place)


def _apache_versions(words: list[str]) -> set[str]:
    """mod_ssl, SSLProtocol: a list, in which + and - add and take away; ``all`` is all from TLS 1.0 on."""
    every = {"TLSV1", "TLSV1.1", "TLSV1.2", "TLSV1.3"}
    allowed: set[str] = set()
    plain = False
    for word in words:
        names = every if word.lstrip("+-").lower() == "all" else {word.lstrip("+-").upper()}
        if word.startswith("-"):
            allowed -= names
        elif word.startswith("+"):
            allowed |= names
        else:
            allowed = allowed | names if plain else set(names)
            plain = True
    return allowed


# SEC-13


def certificates(view: View) -> Outcome:
    """A certificate is out of date, names another host, or is self-signed."""
    captured = view.captured_at()
    when = captured.floor("us").to_pydatetime() if captured is not None else datetime.now(UTC)
    wanted = set(_names_asked(view))
    problems, seen, frames, places = [], 0, [], []
    for certificate, place, frame in _shown(view):
        seen += 1
        wrong = _wrong(certificate, when, wanted)
        problems += wrong
        if wrong or not problems:
            frames.append(frame)
            places.append(place)
    if not seen:
        return unseen("certificates are encrypted in TLS 1.3, and no file holds one")
    if problems:
        return failed(listed(problems), [f for f in frames if f], places)
    return passed(f"{counted(seen, 'certificate')} in date and named right", [f for f in frames if f], places)


def _shown(view: View) -> Iterator[tuple[x509.Certificate, str, int]]:
    """Certificates of servers: in the facts, and in the capture where TLS 1.2 or a key shows them."""
    shown = set(_in_use(view))
    wanted = set(_names_asked(view))
    leaves = [file for file in view.facts.certificates if file.leaf] if view.facts else []
    used = [leaf for leaf in leaves if shown & set(leaf.place.rpartition(":")[0].split("/")[-2:])]
    others = [
        leaf for leaf in leaves
        if not leaf.place.rpartition("/")[2].startswith("auth.") and not _is_authority(leaf.certificate, wanted)
    ]  # fmt: skip
    for placed in used or others:
        yield placed.certificate, placed.place, 0
    wire = getattr(view.call, "wire", None)
    known: set[bytes] = set()
    own = _own_streams(view)
    for key, session in wire.sessions.items() if wire is not None else ():
        if not session.certificates or session.certificates[0] in known or not session.sni:
            continue
        frame = min((r.frame for r in session.records), default=0)
        if own is not None and key not in own and frame not in own:
            continue
        known.add(session.certificates[0])
        try:
            yield x509.decode(session.certificates[0]), "", frame
        except ParseError:
            continue


def _is_authority(certificate: x509.Certificate, wanted: set[str]) -> bool:
    """Whether a certificate is an authority's own. Self-made ones often say so of themselves and are none."""
    return bool(certificate.authority) and not (
        certificate.self_signed and any(certificate.covers(name) for name in wanted)
    )


def _own_streams(view: View) -> set[Any] | None:
    """Frames of TLS records on flows whose server is the deployment's; None: all."""
    rows = view.rows("tls")
    if rows is None or view.own_flows is None:
        return None
    return set(rows.loc[rows["flow"].isin(view.own_flows), "frame"])


def _in_use(view: View) -> Iterator[str]:
    """Names of the files, and of the folders they lie in, that nginx and coturn show to the world."""
    facts = view.facts
    paths = (
        [str(directive.args[0]) for directive in facts.nginx.all("ssl_certificate") if directive.args]
        if facts and facts.nginx
        else []
    )
    paths += [str(fact.value) for fact in facts.turn.texts("cert")] if facts and facts.turn else []
    for directive in facts.apache.walk() if facts is not None and facts.apache is not None else ():
        paths += [str(directive.args[0])] if directive.name == "sslcertificatefile" and directive.args else []
    for path in paths:
        parts = path.split("/")
        yield parts[-1]
        if "live" in parts:  # certbot: one folder a name
            yield parts[-2]


def _names_asked(view: View) -> Iterator[str]:
    """Host names that clients are told to use, or ask for."""
    facts = view.facts
    for server in facts.nginx.tls_servers() if facts and facts.nginx else ():
        for directive in server.block:
            if directive.name == "server_name":
                yield from (str(arg) for arg in directive.args if "." in str(arg) and "*" not in str(arg))
    if view.deployment is not None and (domain := view.deployment.domain()).known:
        yield str(domain.value)
    for host in facts.prosody.hosts if facts and facts.prosody else ():
        services = host.options.get("external_services")
        for service in services.value if services is not None and isinstance(services.value, list) else ():
            if isinstance(service, dict) and isinstance(service.get("host"), str):
                yield service["host"]
    for name in ("server-name", "realm"):
        yield from (str(fact.value) for fact in facts.turn.texts(name)) if facts and facts.turn else ()
    rows = view.rows("tls")
    if rows is not None:
        if view.own_flows is not None:
            rows = rows[rows["flow"].isin(view.own_flows)]
        yield from (str(name) for name in rows["sni"].dropna().unique())


def _wrong(certificate: x509.Certificate, when: datetime, wanted: set[str]) -> list[str]:
    problems = []
    if certificate.not_after < when:
        problems.append(f"expired on {certificate.not_after:%Y-%m-%d}")
    elif certificate.not_before > when:
        problems.append(f"not valid before {certificate.not_before:%Y-%m-%d}")
    if certificate.self_signed:
        problems.append("self-signed")
    if wanted and not any(certificate.covers(name) for name in wanted):
        problems.append("names none of the hosts that are asked for")
    return problems


# SEC-15

ADVISORIES = (  # package, first version without it, advisory, what
    ("jitsi-meet", "2.0.5963", "JSA-2021-0001", "rooms created around the focus"),
    ("jitsi-meet", "2.0.5963", "JSA-2021-0002", "forged tokens"),
    ("jitsi-meet", "2.0.6173", "JSA-2021-0003", "script through prototype pollution"),
    ("jitsi-meet", "2.0.7830", "JSA-2022-0001", "end-to-end encryption that fails open"),
    ("jitsi-meet", "2.0.8044", "JSA-2022-0004", "forged poll votes"),
    ("jitsi-meet", "2.0.9457", "JSA-2024-0001", "the meeting's password told to lobby members"),
    ("jitsi-meet", "2.0.9779", "JSA-2024-0002", "addresses leaked by images"),
    ("jitsi-meet", "2.0.9779", "JSA-2024-0003", "addresses leaked by shared videos"),
    ("jitsi-videobridge2", "2.1.504", "JSA-2021-0004", "log4j, with callstats"),
    ("jitsi-videobridge2", "2.3.38", "JSA-2023-0001", "forged bridge channel messages"),
    ("jigasi", "1.1.216", "JSA-2021-0005", "log4j, with callstats"),
    ("jigasi", "1.1.273", "JSA-2022-0003", "stanzas that stop it"),
    ("jicofo", "1.0.940", "JSA-2022-0002", "stanzas that stop it"),
    ("jicofo", "1.0.1050", "JSA-2023-0002", "stanzas that stop it"),
    ("jicofo", "1.0.1133", "JSA-2025-0001", "stanzas that stop it"),
    ("coturn", "4.5.1.3", "CVE-2020-4067", "answers that hold others' memory"),
    ("coturn", "4.5.2", "CVE-2020-26262", "relay to the loopback interface"),
    ("coturn", "4.9.0", "CVE-2026-27624", "denied ranges passed by as IPv4-mapped IPv6"),
)  # fmt: skip
_BACKPORT = re.compile(r"\+deb\d+u\d|ubuntu[\d.]*\.\d+$|\+esm")


def versions(view: View) -> Outcome:
    """A version with a published hole, told by a package list or by the server itself."""
    hits: list[tuple[str, str]] = []
    for name, version, place in _installed(view):
        key = order(version)
        known = [
            f"{advisory} ({what})"
            for package, fixed, advisory, what in ADVISORIES
            if package == name and key < order(fixed) and not _mitigated(view, advisory)
        ]
        if known:
            patched = " (the distribution may have patched it)" if _BACKPORT.search(version) else ""
            hits.append((f"{name} {version}{patched}: {listed(known, 12)}", place))
    announced = list(_announced(view))
    if hits:
        note = f"possibly, by version: {'; '.join(text for text, _ in hits)}"
        return failed(note, [f for f, _ in announced], [place for _, place in hits], Certainty.INFERRED)
    if announced:
        return noted(
            f"the server tells its versions: {listed(text for _, text in announced)}", [f for f, _ in announced]
        )
    if view.facts is not None and any(True for _ in _installed(view)):
        return passed("no listed version has a hole known here", places=[place for _, _, place in _installed(view)])
    return unseen("no version is told: no SOFTWARE attribute with a number, no Server header, no package list")


def _installed(view: View) -> Iterator[tuple[str, str, str]]:
    """Package, version and place: of the package list, else as a TURN server names itself."""
    listed_versions = view.facts.versions if view.facts else {}
    names = {row[0] for row in ADVISORIES}
    for name in sorted(names):
        fact = listed_versions.get(name)
        text = str(fact.value) if fact else ""
        if fact is not None and re.match(r"\d+(\.\d+)+", text) and "SNAPSHOT" not in text:
            yield name, text, fact.place
    if "coturn" not in listed_versions:
        rows = view.rows("stun")
        for software in rows["software"].dropna().unique() if rows is not None else ():
            match = re.match(r"Coturn-(\d+(?:\.\d+)+)", str(software))
            if match:
                yield "coturn", match[1], ""


def _mitigated(view: View, advisory: str) -> bool:
    """Whether the configuration closes what an old version leaves open."""
    turn = view.facts.turn if view.facts else None
    if advisory == "CVE-2026-27624" and turn is not None:
        return not turn.rule_for("::ffff:127.0.0.1")[0] and not turn.rule_for("::ffff:10.0.0.1")[0]
    return False


def _announced(view: View) -> Iterator[tuple[int, str]]:
    """Versions that servers tell everybody, with the frame."""
    stun = view.rows("stun")
    if stun is not None:
        answers = stun[stun["message_class"].isin(["success", "error"]) & stun["software"].notna()]
        for software, rows in answers.groupby("software", sort=True):
            if re.search(r"\d+\.\d+", str(software)):
                yield int(rows["frame"].iloc[0]), str(software)[:60]
    http = view.rows("http")
    if http is not None:
        for server, rows in http[http["server"].notna()].groupby("server", sort=True):
            if re.search(r"/\d", str(server)):
                yield int(rows["frame"].iloc[0]), str(server)[:60]
    for placed in view.stanzas:
        disco = stanzas.disco(placed.stanza) if placed.stanza.type == "result" else None
        for category, kind, name in disco.identities if disco else ():
            if (category, kind) == ("server", "release") and re.search(r"\d", name):
                yield placed.frame, f"release {name[:40]}"
                return


ALL = (
    Rule(
        id="SEC-12", area="B", title="Old TLS, weak cipher suites", needs=(), test=old_tls,
        absent="No old TLS, no weak cipher suites",
        severity="high", reason="traffic can be read or changed by who is on the way; medium for a weak suite alone",
        source="RFC 8996 sections 4 and 5; RFC 9325 sections 3.1.1 and 4.1",
        guard="only what was negotiated, or is configured by name: not what a library's default might allow",
        advice="nginx: ssl_protocols TLSv1.2 TLSv1.3 and no ssl_ciphers that name RC4, 3DES, MD5 or NULL. Prosody: "
        "ssl = { protocol = \"tlsv1_2+\" }. coturn: no-tlsv1, no-tlsv1_1.",
        visible="a ServerHello; or nginx, Prosody and coturn configuration", plan="capture",
    ),
    Rule(
        id="SEC-13", area="B", title="Certificates out of date or misnamed", needs=(),
        absent="Certificates in date and of the right names",
        test=certificates, severity="medium",
        reason="users learn to click warnings away, and TURN over TLS fails silently",
        source="RFC 5280 section 4.1.2.5; RFC 9525 section 6",
        guard="a private authority is not judged; authorities' own certificates are left out",
        advice="Renew and deploy to nginx, Prosody and coturn alike: a renewal hook that also reloads coturn.",
        visible="the certificate in TLS 1.2, in TLS 1.3 with keys, or as a file", plan="facts",
    ),
    Rule(
        id="SEC-14", area="B", title="Signaling open to any web page", needs=(), test=origins,
        absent="Signaling closed to other web pages",
        severity="low", reason="another site can open conferences from its visitors' browsers",
        source="XEP-0124 section 19; WHATWG Fetch, CORS protocol; Prosody, mod_bosh, mod_websocket and mod_http",
        guard="embedding by other sites needs their origins, one by one; what the page itself embeds is its own origin",
        advice="Refuse other origins in nginx, at both paths of the signaling: "
        'if ($http_origin !~ "^(https://DOMAIN)?$") { return 403; }. '
        "Remove Access-Control-Allow-Origin: * and, before Prosody 0.12, cross_domain_bosh and cross_domain_websocket; "
        "from 0.12.1 on http_cors_override = { bosh = { enabled = false } } closes BOSH alone.",
        visible="answers of /http-bind in clear or with keys; or Prosody's configuration", plan="facts",
    ),
    Rule(
        id="SEC-15", area="B", title="Versions with published holes", needs=(), test=versions,
        absent="No versions with published holes",
        severity="medium", reason="the advisories named range from leaks to a takeover of the bridge's host",
        source="Jitsi security advisories (github.com/jitsi/security-advisories); RFC 8489 section 14.14",
        guard="distributions patch old versions: a match is a possibility until their changelog is read",
        advice="Upgrade; hide versions (coturn: no-software-attribute, nginx: server_tokens off).",
        visible="a package list; or SOFTWARE in STUN, Server in HTTP, a release in disco#info", plan="facts",
    ),
)  # fmt: skip
