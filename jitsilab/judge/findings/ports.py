"""B. Ports: what of the signaling and of the private interfaces others can reach."""

import re

from jitsilab.facts import services
from jitsilab.facts.versions import order
from jitsilab.judge.checks import Certainty, Outcome, Verdict
from jitsilab.judge.findings.rule import (
    PlacedStanza,
    Rule,
    View,
    counted,
    failed,
    from_outside,
    joined,
    passed,
    unseen,
)
from jitsilab.protocols import xmpp as stanzas

PLAIN = ("PLAIN", "LOGIN")


# SEC-07


def plain_signaling(view: View) -> Outcome:
    """XMPP can be reached without TLS."""
    return joined(_plain_stanzas(view), _plain_http(view), _plain_in_files(view))


def _in_clear(view: View, placed: PlacedStanza) -> bool:
    return bool(placed.clear) and from_outside(placed.src, placed.dst)


def _plain_stanzas(view: View) -> Outcome:
    carried = ("auth", "response", "iq", "message", "presence")
    seen = [
        placed
        for placed in view.stanzas
        if placed.carrier == "tcp" and placed.stanza.name in carried and _in_clear(view, placed)
    ]
    if not seen:
        return unseen("no stanza in clear came over a network in this capture, which proves nothing of the port")
    logins = [
        placed for placed in seen if (s := stanzas.sasl(placed.stanza)) and s.step == "auth" and s.mechanism in PLAIN
    ]
    if logins:
        note = f"a password went over the network in clear (SASL {stanzas.sasl(logins[0].stanza).mechanism})"  # type: ignore[union-attr]
        return failed(note, [placed.frame for placed in (*logins, *seen)])
    return failed(
        f"{counted(len(seen), 'stanza')} went over the network in clear", [o.frame for o in seen], severity="medium"
    )


def _plain_http(view: View) -> Outcome | None:
    rows = view.rows("http")
    if rows is None:
        return None
    asked = rows[rows["clear"].fillna(False).astype(bool)]
    asked = asked[asked["target"].fillna("").str.contains(r"^/(?:[^?]*/)?(?:xmpp-websocket|http-bind)", regex=True)]
    frames = [f for f, s, d in zip(asked["frame"], asked["src"], asked["dst"], strict=True) if from_outside(s, d)]
    if frames:
        note = f"{counted(len(frames), 'signaling request')} went over the network without TLS"
        return failed(note, frames, severity="medium")
    return None


def _plain_in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None or (facts.prosody is None and facts.listeners is None and facts.compose is None):
        return None
    outcomes = []
    for service in ("c2s", "http"):
        there = services.reach(facts, service)
        optional, places = _tls_is_optional(view, service)
        if there.open is False:
            outcomes.append(passed(f"{service}: {there.note}", places=there.places))
        elif there.open and optional:
            severity = "" if service == "c2s" else "medium"
            note = f"{there.note}, and TLS is not required there"
            outcomes.append(failed(note, places=[*there.places, *places], severity=severity, certainty=_sure(there)))
        elif optional is False:
            outcomes.append(passed(f"{service}: TLS is required, or nobody can log in there", places=places))
        else:
            outcomes.append(unseen(there.note or f"whether others reach {service} is not known", places=there.places))
    broken = [outcome for outcome in outcomes if outcome.verdict is Verdict.BROKEN]
    if broken:
        return joined(*broken)
    # what was not looked at stays open, whatever is known of the rest
    return joined(*([outcome for outcome in outcomes if outcome.verdict is Verdict.NOT_OBSERVABLE] or outcomes))


def _sure(there: services.Reach) -> Certainty:
    return Certainty.MEASURED if there.certain else Certainty.INFERRED


SECURE_BY_DEFAULT = "0.12"  # of Prosody: c2s_require_encryption is true where nothing says otherwise


def _tls_is_optional(view: View, service: str) -> tuple[bool | None, list[str]]:
    """Whether Prosody lets users in without TLS; None where its configuration is not known."""
    prosody = view.facts.prosody if view.facts else None
    if prosody is None or view.facts is None:
        return (None if service == "c2s" else True), []
    if service == "http":
        runs = prosody.runs("bosh") or prosody.runs("websocket")
        return (True, []) if runs else (False if prosody.whole else None, [prosody.main])
    hosts = prosody.hosts_of("VirtualHost")
    required = [prosody.get(h, "c2s_require_encryption") or prosody.get(h, "require_encryption") for h in hosts]
    loose = [fact.place for fact in required if fact is not None and fact.value is False]
    if loose:
        return True, loose
    if not hosts or any(fact is not None and fact.value is not True for fact in required):
        return None, []
    if all(fact is not None for fact in required):
        return False, [fact.place for fact in required if fact is not None]
    version = view.facts.version("prosody")
    if not prosody.whole or version is None or not re.match(r"\d", str(version.value)):
        return None, []
    newer = order(str(version.value)) >= order(SECURE_BY_DEFAULT)
    return (False, [version.place]) if newer else (True, [version.place])


# SEC-08 to SEC-11


def _handshakes(view: View, service: str, default: int) -> list[int]:
    """First frames of connections from outside that the service's port took."""
    flows = view.rows("flows")
    if flows is None:
        return []
    ports = _ports(view, service, default)
    taken = flows[flows["server_port"].isin(ports) & (flows["transport"] == "tcp") & flows["handshake"].fillna(False)]
    if view.own_flows is not None:
        taken = taken[taken["flow"].isin(view.own_flows)]
    ends = zip(taken["first_frame"], taken["client"], taken["server"], strict=True)
    return [int(frame) for frame, client, server in ends if from_outside(client, server)]


def _ports(view: View, service: str, default: int) -> set[int]:
    """The ports of a service as the files have them, else the usual one."""
    where = services.listening(view.facts, service) if view.facts is not None else None
    known = {endpoint.port for endpoint in where.endpoints} if where is not None and where.known else set()
    return known or {default}


def _by_reach(view: View, service: str) -> Outcome | None:
    """What the files say of a service that nobody outside has business with."""
    if view.facts is None:
        return None
    there = services.reach(view.facts, service)
    if there.open is False:
        return passed(f"{service}: {there.note}", places=there.places) if any(there.places) else unseen(there.note)
    if there.open or (there.bound and not there.filtered):
        return failed(there.note, places=there.places, certainty=_sure(there))
    return unseen(there.note, places=there.places)


def component_port(view: View) -> Outcome:
    """The port for components takes connections from others."""
    taken = _handshakes(view, "component", 5347)
    on_wire = failed("a connection to the component port came over the network", taken) if taken else None
    return joined(on_wire, _component_in_files(view), unseen("no connection to the component port in this capture"))


def _component_in_files(view: View) -> Outcome | None:
    facts = view.facts
    prosody = facts.prosody if facts else None
    outcome = _by_reach(view, "component")
    if outcome is None or prosody is None or outcome.verdict is Verdict.HOLDS:
        return outcome
    external = [host for host in prosody.hosts_of("Component") if not host.module]
    if facts is not None and facts.listeners is None and not external and prosody.whole:
        return passed("no component connects from outside Prosody, so the port stays shut", places=[prosody.main])
    return outcome


def federation(view: View) -> Outcome:
    """Server-to-server connections are accepted."""
    taken = _handshakes(view, "s2s", 5269)
    on_wire = failed("a server-to-server connection came over the network", taken) if taken else None
    prosody = view.facts.prosody if view.facts else None
    off = prosody.disabled("s2s") if prosody is not None else None
    in_files = passed("mod_s2s is disabled", places=[off.place]) if off is not None else _by_reach(view, "s2s")
    return joined(on_wire, in_files, unseen("no connection to 5269 in this capture"))


PRIVATE_PATHS = re.compile(
    r"^/(?:colibri(?:/|$|\?)|debug|conferences|stats|metrics|about/(?:health|version)|rtcstats|move-endpoints|pin|mtr)"
)


def private_apis(view: View) -> Outcome:
    """The private HTTP interface of the bridge or the focus can be reached."""
    rows = view.rows("http")
    frames = []
    if rows is not None:
        ports = _ports(view, "private", 8080) | _ports(view, "rest", 8888)
        known = rows[rows["dst_port"].isin(ports) & rows["status"].between(200, 299).fillna(False)]
        known = known[known["target"].fillna("").str.contains(PRIVATE_PATHS)]
        frames = [f for f, s, d in zip(known["frame"], known["src"], known["dst"], strict=True) if from_outside(s, d)]
    on_wire = failed("the private interface answered a request over the network", frames) if frames else None
    files = [outcome for service in ("private", "rest") if (outcome := _by_reach(view, service)) is not None]
    seen = [outcome for outcome in (*files, _proxied(view)) if outcome is not None]
    broken = [outcome for outcome in seen if outcome.verdict is Verdict.BROKEN]
    open_questions = [outcome for outcome in seen if outcome.verdict is Verdict.NOT_OBSERVABLE]
    return joined(
        on_wire, *(broken or open_questions or seen), unseen("no request to 8080 or 8888 from outside in this capture")
    )


INTENDED = re.compile(r"conference-request|colibri-(?:relay-)?ws|about/health")


def _proxied(view: View) -> Outcome | None:
    """Locations of the web server that hand more than the intended paths on to a private interface."""
    if view.deployment is None or view.facts is None:
        return None
    ports = {8080, 8888}
    for service in ("private", "rest"):
        where = services.listening(view.facts, service)
        if where.known and where.endpoints:
            ports |= {endpoint.inner or endpoint.port for endpoint in where.endpoints}
    bad = [
        location.place for location in view.deployment.locations()
        if location.port in ports and location.host_is_own and not INTENDED.search(location.path)
        and not location.denied
    ]  # fmt: skip
    return failed("the web server hands a path on to a private interface", places=bad) if bad else None


def public_http(view: View) -> Outcome:
    """The bridge's public HTTP server can be reached around the proxy."""
    rows = view.rows("http")
    frames = []
    if rows is not None:
        known = rows[rows["dst_port"].isin(_ports(view, "public", 9090))]
        known = known[known["target"].fillna("").str.startswith("/colibri-")]
        frames = [f for f, s, d in zip(known["frame"], known["src"], known["dst"], strict=True) if from_outside(s, d)]
    on_wire = (
        failed("the bridge's HTTP server took a request from the network, without TLS", frames) if frames else None
    )
    return joined(on_wire, _by_reach(view, "public"), unseen("no request to 9090 from outside in this capture"))


ALL = (
    Rule(
        id="SEC-07", area="B", title="XMPP without TLS", needs=(), test=plain_signaling,
        absent="XMPP inside TLS",
        severity="high", reason="passwords and meetings are readable on the way; medium where no password was sent",
        source="RFC 6120 section 13.8; RFC 7590 section 3.1",
        guard="both are needed, a port that others reach and no TLS; loopback behind a proxy is none",
        advice="Bind Prosody to loopback (c2s_interfaces, http_interfaces = { \"127.0.0.1\" }), shut 5222 and 5280 at "
        "the filter (let bridges on other hosts in by address), set c2s_require_encryption = true and "
        "allow_unencrypted_plain_auth = false.",
        visible="stanzas in clear over a network; or Prosody's configuration, the list of sockets and the filter",
        plan="facts",
    ),
    Rule(
        id="SEC-08", area="B", title="Component port open to others", needs=(), test=component_port,
        absent="Component port closed to others",
        severity="high", reason="a shared secret in a protocol without TLS; who has it can act as the focus",
        source="XEP-0114 section 4; Prosody, mod_component and component_interfaces",
        guard="installations since late 2020 use client_proxy and need no such port",
        advice="Set component_interfaces = { \"127.0.0.1\" } or remove external components; shut 5347 at the filter.",
        visible="a connection to 5347 from outside; or Prosody's configuration, the list of sockets and the filter",
        plan="facts",
    ),
    Rule(
        id="SEC-09", area="B", title="Federation open to others", needs=(), test=federation,
        absent="Federation closed to others",
        severity="low", reason="a closed deployment needs no federation; each open service is one more to attack",
        source="RFC 6120 section 13.14; XEP-0220 section 3", guard="a federated service needs it",
        advice="Add \"s2s\" to modules_disabled and shut 5269 at the filter.",
        visible="a connection to 5269 from outside; or Prosody's configuration, the list of sockets and the filter",
        plan="facts",
    ),
    Rule(
        id="SEC-10", area="B", title="Private HTTP interface open to others", needs=(),
        absent="Private HTTP interface closed to others",
        test=private_apis, severity="high", reason="it needs no login and shows, pins, moves and debugs conferences",
        source="jitsi-videobridge reference.conf, http-servers.private; jicofo reference.conf, rest",
        guard="nginx handing on /conference-request/v1 and /colibri-ws alone is intended",
        advice="Bind them to loopback (videobridge.http-servers.private.host, jicofo.rest.host = \"127.0.0.1\"), shut "
        "8080 and 8888 at the filter, and hand on no other path.",
        visible="a request to 8080 or 8888 from outside; or the list of sockets, jvb.conf, jicofo.conf, nginx",
        plan="facts", jitsi=True,
    ),
    Rule(
        id="SEC-11", area="B", title="Bridge's HTTP server open around the proxy", needs=(),
        absent="Bridge's HTTP server behind the proxy alone",
        test=public_http, severity="low",
        reason="the bridge channel without TLS, and without the proxy's limits and logs",
        source="jitsi-videobridge reference.conf, http-servers.public; doc/web-sockets.md",
        guard="bound to loopback behind the proxy it is as intended",
        advice="Set videobridge.http-servers.public.host = \"127.0.0.1\" and shut 9090 at the filter.",
        visible="a request to 9090 from outside; or the list of sockets and jvb.conf", plan="facts", jitsi=True,
    ),
)  # fmt: skip
