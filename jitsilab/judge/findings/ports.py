"""B. Ports: what of the signaling and of the private interfaces others can reach."""

import re

from jitsilab.facts.model import UNKNOWN
from jitsilab.ip import is_loopback
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.findings.rule import (
    Rule,
    Said,
    View,
    counted,
    failed,
    from_outside,
    joined,
    listed,
    passed,
    reach,
    unseen,
)
from jitsilab.protocols import xmpp as stanzas

PLAIN = ("PLAIN", "LOGIN")


# SEC-07


def plain_signaling(view: View) -> Outcome:
    """XMPP can be reached without TLS."""
    return joined(_plain_stanzas(view), _plain_http(view), _plain_in_files(view))


def _in_clear(view: View, one: Said) -> bool:
    return bool(one.clear) and from_outside(one.src, one.dst)


def _plain_stanzas(view: View) -> Outcome:
    carried = ("auth", "response", "iq", "message", "presence")
    seen = [one for one in view.said if one.carrier == "tcp" and one.stanza.name in carried and _in_clear(view, one)]
    if not seen:
        return unseen("no stanza in clear came over a network in this capture, which proves nothing of the port")
    logins = [one for one in seen if (s := stanzas.sasl(one.stanza)) and s.step == "auth" and s.mechanism in PLAIN]
    if logins:
        note = f"a password went over the network in clear (SASL {stanzas.sasl(logins[0].stanza).mechanism})"  # type: ignore[union-attr]
        return failed(note, [one.frame for one in (*logins, *seen)])
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
    prosody = facts.prosody if facts else None
    if facts is None or (prosody is None and facts.listeners is None):
        return None
    found = []
    for port, service in ((5222, "c2s"), (5280, "http")):
        there = reach(facts, port)
        optional, places = _tls_is_optional(view, service)
        if there.open is None and prosody is not None and prosody.open_to_others(service) is False:
            found.append(passed(f"{service} is bound to loopback", places=[prosody.listens(service)[2]]))
        elif there.open is False:
            found.append(passed(there.note, places=there.places))
        elif there.open and optional:
            severity = "" if service == "c2s" else "medium"
            note = f"{there.note}, and TLS is not required there"
            found.append(failed(note, places=[*there.places, *places], severity=severity))
        elif there.open and optional is False:
            found.append(passed(f"{there.note}; TLS is required", places=[*there.places, *places]))
        else:
            found.append(unseen(there.note or f"whether others reach {port} is not known", places=there.places))
    if all(one.verdict is found[0].verdict for one in found) or any("not required" in one.note for one in found):
        return joined(*found)
    return joined(*(one for one in found if "bound to loopback" not in one.note and "shuts" not in one.note))


def _tls_is_optional(view: View, service: str) -> tuple[bool | None, list[str]]:
    """Whether Prosody lets users in without TLS; None where its configuration is not known."""
    prosody = view.facts.prosody if view.facts else None
    if prosody is None:
        return (None if service == "c2s" else True), []
    if service == "http":
        return prosody.runs("bosh") or prosody.runs("websocket"), []
    loose = []
    for host in prosody.hosts_of("VirtualHost"):
        fact = prosody.get(host, "c2s_require_encryption") or prosody.get(host, "require_encryption")
        if fact is not None and fact.value is False:
            loose.append(fact.place)
    return bool(loose), loose


# SEC-08 to SEC-11


def _handshakes(view: View, port: int) -> list[int]:
    """First frames of connections from outside that a port took."""
    flows = view.rows("flows")
    if flows is None:
        return []
    taken = flows[(flows["server_port"] == port) & (flows["transport"] == "tcp") & flows["handshake"].fillna(False)]
    ends = zip(taken["first_frame"], taken["client"], taken["server"], strict=True)
    return [int(frame) for frame, client, server in ends if from_outside(client, server)]


def component_port(view: View) -> Outcome:
    """The port for components takes connections from others."""
    taken = _handshakes(view, 5347)
    on_wire = failed("a connection to the component port came over the network", taken) if taken else None
    return joined(on_wire, _component_in_files(view), unseen("no connection to the component port in this capture"))


def _component_in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    there = reach(facts, 5347)
    if there.open is not None:
        return failed(there.note, places=there.places) if there.open else passed(there.note, places=there.places)
    prosody = facts.prosody
    if prosody is None:
        return failed(there.note, places=there.places, certainty=Certainty.INFERRED) if there.places else None
    external = [host for host in prosody.hosts_of("Component") if not host.module]
    said = prosody.hosts[0].options.get("component_ports")
    if not external and said is None:
        return passed("no component connects from outside Prosody, so the port stays shut")
    names, ports, place = prosody.listens("component")
    if not ports or not prosody.open_to_others("component"):
        return passed(
            "the component port is bound to loopback", places=[place] if place else [h.place for h in external]
        )
    note = f"the component port is bound to {listed(names)}; what the filter lets in is not known"
    return failed(note, places=[place, *there.places], certainty=Certainty.INFERRED)


def federation(view: View) -> Outcome:
    """Server-to-server connections are accepted."""
    taken = _handshakes(view, 5269)
    on_wire = failed("a server-to-server connection came over the network", taken) if taken else None
    facts = view.facts
    prosody = facts.prosody if facts else None
    in_files: Outcome | None = None
    there = reach(facts, 5269)
    if there.open is not None:
        in_files = failed(there.note, places=there.places) if there.open else passed(there.note, places=there.places)
    elif prosody is not None:
        off = prosody.hosts[0].options.get("modules_disabled")
        disabled = off is not None and isinstance(off.value, list) and "s2s" in off.value
        if off is not None and disabled:
            in_files = passed("mod_s2s is disabled", places=[off.place])
        elif prosody.open_to_others("s2s") is False:
            in_files = passed("server-to-server is bound to loopback", places=[prosody.listens("s2s")[2]])
        else:
            note = "mod_s2s loads by default and nothing disables it; what the filter lets in is not known"
            in_files = failed(note, places=[prosody.listens("s2s")[2]], certainty=Certainty.INFERRED)
    return joined(on_wire, in_files, unseen("no connection to 5269 in this capture"))


PRIVATE_PATHS = re.compile(
    r"^/(?:colibri(?:/|$|\?)|debug|conferences|stats|metrics|about/(?:health|version)|rtcstats|move-endpoints|pin|mtr)"
)


def private_apis(view: View) -> Outcome:
    """The private HTTP interface of the bridge or the focus can be reached."""
    rows = view.rows("http")
    frames = []
    if rows is not None:
        known = rows[rows["dst_port"].isin([8080, 8888]) & rows["status"].between(200, 299).fillna(False)]
        known = known[known["target"].fillna("").str.contains(PRIVATE_PATHS)]
        frames = [f for f, s, d in zip(known["frame"], known["src"], known["dst"], strict=True) if from_outside(s, d)]
    on_wire = failed("the private interface answered a request over the network", frames) if frames else None
    files = [
        _java_port(view, 8080, "bridge", "videobridge.http-servers.private"),
        _java_port(view, 8888, "focus", "jicofo.rest"),
    ]
    proxied = _proxied(view)
    seen = [one for one in (*files, proxied) if one is not None]
    worst = joined(*seen) if any(o.verdict.security_word == "FAIL" for o in seen) else None
    return joined(
        on_wire, worst, *([] if worst else seen), unseen("no request to 8080 or 8888 from outside in this capture")
    )


def _java_port(view: View, port: int, who: str, prefix: str) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    there = reach(facts, port)
    if there.open is not None:
        return failed(there.note, places=there.places) if there.open else passed(there.note, places=there.places)
    conf = facts.bridge if who == "bridge" else facts.focus
    if conf is None:
        return None
    host = conf.get(f"{prefix}.host")
    if host is None or host.value is UNKNOWN or is_loopback(str(host.value)):
        place = [host.place] if host else [conf.name]
        return passed(f"the private interface of the {who} is bound to loopback", places=place)
    note = f"the private interface of the {who} is bound to {host.value}; what the filter lets in is not known"
    return failed(note, places=[host.place], certainty=Certainty.INFERRED)


def _proxied(view: View) -> Outcome | None:
    """Locations of nginx that hand more than the intended paths on to a private interface."""
    nginx = view.facts.nginx if view.facts else None
    if nginx is None:
        return None
    bad = []
    for location in nginx.all("location"):
        target = location.child("proxy_pass")
        if target is None or not re.search(r":(8080|8888)(/|$)", str(target.args[0] if target.args else "")):
            continue
        path = str(location.args[-1]) if location.args else "/"
        if not re.search(r"conference-request|colibri-ws|about/health", path):
            bad.append(location.place)
    return failed("nginx hands a path on to a private interface", places=bad) if bad else None


def public_http(view: View) -> Outcome:
    """The bridge's public HTTP server can be reached around the proxy."""
    rows = view.rows("http")
    frames = []
    if rows is not None:
        known = rows[(rows["dst_port"] == 9090) & rows["target"].fillna("").str.startswith("/colibri-")]
        frames = [f for f, s, d in zip(known["frame"], known["src"], known["dst"], strict=True) if from_outside(s, d)]
    on_wire = (
        failed("the bridge's HTTP server took a request from the network, without TLS", frames) if frames else None
    )
    return joined(
        on_wire, _java_port(view, 9090, "bridge", "videobridge.http-servers.public"),
        unseen("no request to 9090 from outside in this capture"),
    )  # fmt: skip


ALL = (
    Rule(
        id="SEC-07", area="B", title="XMPP without TLS", needs=(), test=plain_signaling,
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
        severity="high", reason="a shared secret in a protocol without TLS; who has it can act as the focus",
        source="XEP-0114 section 4; Prosody, mod_component and component_interfaces",
        guard="installations since late 2020 use client_proxy and need no such port",
        advice="Set component_interfaces = { \"127.0.0.1\" } or remove external components; shut 5347 at the filter.",
        visible="a connection to 5347 from outside; or Prosody's configuration, the list of sockets and the filter",
        plan="facts",
    ),
    Rule(
        id="SEC-09", area="B", title="Federation open to others", needs=(), test=federation,
        severity="low", reason="a closed deployment needs no federation; each open service is one more to attack",
        source="RFC 6120 section 13.14; XEP-0220 section 3", guard="a federated service needs it",
        advice="Add \"s2s\" to modules_disabled and shut 5269 at the filter.",
        visible="a connection to 5269 from outside; or Prosody's configuration, the list of sockets and the filter",
        plan="facts",
    ),
    Rule(
        id="SEC-10", area="B", title="Private HTTP interface open to others", needs=(),
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
        test=public_http, severity="low",
        reason="the bridge channel without TLS, and without the proxy's limits and logs",
        source="jitsi-videobridge reference.conf, http-servers.public; doc/web-sockets.md",
        guard="bound to loopback behind the proxy it is as intended",
        advice="Set videobridge.http-servers.public.host = \"127.0.0.1\" and shut 9090 at the filter.",
        visible="a request to 9090 from outside; or the list of sockets and jvb.conf", plan="facts", jitsi=True,
    ),
)  # fmt: skip
