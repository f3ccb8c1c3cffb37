"""A running server looked at from outside, step by step, as a browser takes them: each with a verdict and its cause."""

import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jitsilab import ip
from jitsilab.deploy.probing import relaying
from jitsilab.deploy.probing.reach import Deadline, Refused, Route, Stream, Unreached, Web
from jitsilab.deploy.probing.relaying import Denied
from jitsilab.deploy.probing.signaling import (
    LoginRefused,
    Offer,
    OverBosh,
    OverWebSocket,
    Participant,
    Relay,
    condition,
    offered,
)
from jitsilab.errors import LabError
from jitsilab.judge.checks import Verdict

HOLDS, BROKEN, HIDDEN = Verdict.HOLDS, Verdict.BROKEN, Verdict.NOT_OBSERVABLE
BESIDE, INFO = Verdict.NOT_APPLICABLE, Verdict.INFO
SHUT = {  # TCP ports that are nobody's from outside, by what listens there
    5222: "Prosody for clients (SEC-07)", 5269: "Prosody for other servers (SEC-09)", 5280: "Prosody's HTTP (SEC-07)",
    5347: "Prosody for components (SEC-08)", 8080: "the bridge's private HTTP (SEC-10)",
    8888: "the focus's HTTP (SEC-10)", 9090: "the bridge's HTTP behind nginx (SEC-11)",
}  # fmt: skip
_VERIFY = {10: "expired", 9: "expired", 62: "name-mismatch", 64: "name-mismatch"}  # X509_V_ERR_*; all else untrusted
_SOON = 14  # days


class Step(NamedTuple):
    """One step, looked at."""

    name: str
    title: str
    verdict: Verdict
    seen: str
    cause: str = ""  # of docs/causes.md: what a call would fail with
    reason: str = ""  # within the cause
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "step": self.name, "title": self.title, "result": self.verdict.security_word, "seen": self.seen,
            "cause": self.cause or None, "reason": self.reason or None, "seconds": round(self.seconds, 3),
        }  # fmt: skip


@dataclass
class State:
    """What earlier steps learned."""

    route: Route
    limit: float
    room: str
    addresses: list[str] = field(default_factory=list)
    reached: bool = False
    verified: bool = True
    secured: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    websocket: str = ""  # its address, where it opened
    bosh: OverBosh | None = None
    people: list[Participant] = field(default_factory=list)
    occupants: list[tuple[Participant, str]] = field(default_factory=list)
    relays: list[Relay] | None = None
    offer: Offer | None = None
    bridge_missing: str = ""

    @property
    def domain(self) -> str:
        """The name that was asked about."""
        return self.route.domain

    def setting(self, name: str, default: str) -> str:
        """A value of config.js, else what a stock installation has."""
        value = self.settings.get(name)
        return value if isinstance(value, str) and value else default

    @property
    def login_domain(self) -> str:
        """Where somebody without an account logs in."""
        return self.setting("hosts.anonymousdomain", self.setting("hosts.domain", self.domain))

    @property
    def conference(self) -> str:
        """The room's JID."""
        return f"{self.room}@{self.setting('hosts.muc', 'conference.' + self.setting('hosts.domain', self.domain))}"


Found = tuple[Verdict, str] | tuple[Verdict, str, str] | tuple[Verdict, str, str, str]


class Probe(NamedTuple):
    """A step: its name, what it stands for, and how it is looked at."""

    name: str
    title: str
    test: Callable[[State, Deadline], Found]
    unreached: tuple[str, str] = ("", "")  # cause and reason where no answer comes


def check(
    domain: str, *, connect: tuple[str, int] | None = None, authorities: str | None = None, limit: float = 10.0,
    tell: Callable[[Step], None] | None = None,
) -> list[Step]:  # fmt: skip
    """Look at a running server. Each step ends within ``limit`` seconds; what was opened is closed, whatever happens.

    ``connect`` is where its page is reached in place of what DNS says; ``authorities`` a file of certificates to trust;
    ``tell`` gets each step when it is done.
    """
    import time

    state = State(Route(domain, connect, authorities), limit, f"jitsilab-check-{secrets.token_hex(6)}")
    done = []
    try:
        for probe in PROBES:
            begin = time.monotonic()
            outcome = _looked_at(probe, state)
            verdict, seen, cause, reason = (*outcome, "", "")[:4]
            done.append(Step(probe.name, probe.title, verdict, seen, cause, reason, time.monotonic() - begin))
            if tell is not None:
                tell(done[-1])
    finally:
        _leave(state)
    return done


def _looked_at(probe: Probe, state: State) -> Found:
    try:
        return probe.test(state, Deadline(state.limit))
    except Unreached as error:
        return (BROKEN, str(error), *probe.unreached)
    except LabError as error:
        return BROKEN, str(error), *probe.unreached
    except (OSError, ValueError) as error:
        return BROKEN, f"{type(error).__name__}: {error}", *probe.unreached


def _leave(state: State) -> None:
    for participant, occupant in state.occupants:
        participant.leave(occupant)
    for person in state.people:
        person.end()
    if state.bosh is not None:
        state.bosh.close()


# -- the page ---------------------------------------------------------------------------------------------------------


def _dns(state: State, deadline: Deadline) -> Found:
    if state.route.connect is not None:
        return BESIDE, f"reached at {ip.endpoint(*state.route.connect)}, as asked for"
    with ThreadPoolExecutor(1) as pool:  # the system's resolver has no time limit of its own
        waiting = pool.submit(socket.getaddrinfo, state.domain, 443, type=socket.SOCK_STREAM)
        try:
            answers = waiting.result(deadline.left())
        except TimeoutError:
            pool.shutdown(wait=False)
            raise Unreached(f"no answer within {deadline.seconds:g} s", "timeout") from None
        except socket.gaierror as error:
            return BROKEN, f"the name is not found: {error.strerror}", "tls-refused", "name-not-found"
    state.addresses = sorted({str(answer[4][0]) for answer in answers})
    text = ", ".join(state.addresses)
    private = [address for address in state.addresses if ip.is_private(address)]
    if private:
        return INFO, f"{text}: {', '.join(private)} cannot be reached from the Internet"
    return HOLDS, text


def _tcp(state: State, deadline: Deadline) -> Found:
    where = state.route.address(state.domain, 443)
    with Stream.open(where, deadline):
        state.reached = True
    return HOLDS, f"{ip.endpoint(*where)} is open"


def _certificate(state: State, deadline: Deadline) -> Found:
    if not state.reached:
        return HIDDEN, "the port is not reached"
    where = state.route.address(state.domain, 443)
    try:
        with Stream.open(where, deadline).secure(state.route.trust(), state.domain, deadline) as stream:
            state.secured = True
            return _lasting(stream.certificate)
    except ssl.SSLCertVerificationError as error:
        state.verified = False
        reason = _VERIFY.get(error.verify_code, "untrusted")
        with contextlib.suppress(Unreached):
            Stream.open(where, deadline).secure(state.route.trust(False), state.domain, deadline).close()
            state.secured = True
        hint = (
            " (an intermediate certificate may be missing: serve the whole chain)"
            if error.verify_code in (20, 21)
            else ""
        )
        return BROKEN, f"the browser refuses the certificate: {error.verify_message}{hint}", "tls-refused", reason


def _lasting(der: bytes | None) -> Found:
    from jitsilab.wire import x509

    if der is None:
        return HOLDS, "the certificate is trusted"
    until = x509.decode(der).not_after
    days = (until - datetime.now(UTC)).days
    text = f"trusted, until {until:%Y-%m-%d}"
    return (INFO, f"{text}: {days} days are left") if days < _SOON else (HOLDS, text)


def _url(state: State, path: str) -> str:
    return f"https://{state.domain}{path}"


def _page(state: State, deadline: Deadline) -> Found:
    if not state.secured:
        return HIDDEN, "there is no TLS to ask through"
    answer = Web(state.route, state.verified).request(_url(state, "/"), deadline)
    if answer.status in (301, 302, 307, 308):
        return INFO, f"HTTP {answer.status} to {answer.headers.get('location', '?')[:200]}"
    if answer.status != 200:
        return BROKEN, f"HTTP {answer.status}"
    return HOLDS, f"HTTP 200, {len(answer.body):,} bytes"


def _settings(state: State, deadline: Deadline) -> Found:
    from jitsilab.facts import webconfig

    if not state.secured:
        return HIDDEN, "there is no TLS to ask through"
    answer = Web(state.route, state.verified).request(_url(state, "/config.js"), deadline)
    if answer.status != 200:
        return BROKEN, f"HTTP {answer.status}: the page cannot know its servers"
    read = webconfig.WebConfig()
    webconfig.parse(answer.body.decode("utf-8", "replace"), "config.js", read, [])
    state.settings = {path: fact.value for path, fact in read.values.items()}
    if not any(path.startswith("hosts.") for path in state.settings):
        return BROKEN, "what comes is no config.js: it names no hosts"
    odd = []
    for name in ("bosh", "websocket"):
        url = state.settings.get(name)
        if isinstance(url, str) and (host := urlsplit(url if "//" in url else f"//{url}").hostname) not in (
            None,
            "",
            state.domain,
        ):
            odd.append(f"{name} leads to {host}")
    if odd:
        return INFO, f"{'; '.join(odd)}, not to {state.domain}"
    return HOLDS, f"domain {state.setting('hosts.domain', '?')}, rooms at {state.setting('hosts.muc', '?')}"


# -- signaling --------------------------------------------------------------------------------------------------------


def _signaling_url(state: State, name: str, default: str, scheme: str) -> str:
    url = state.setting(name, default)
    if url.startswith("//"):
        url = f"{scheme}:{url}"
    if url.startswith("/"):
        url = f"{scheme}://{state.domain}{url}"
    return url + ("&" if "?" in url else "?") + f"room={state.room}"


def _websocket(state: State, deadline: Deadline) -> Found:
    if not state.secured:
        return HIDDEN, "there is no TLS to ask through"
    if state.settings and "websocket" not in state.settings:
        return BESIDE, "config.js names no WebSocket: BOSH is used"
    url = _signaling_url(state, "websocket", f"wss://{state.domain}/xmpp-websocket", "wss")
    try:
        socket = Web(state.route, state.verified).websocket(url, "xmpp", deadline)
    except Refused as error:
        if error.status in (101, 200):
            return BROKEN, f"{error}: the upgrade is lost on the way", "signaling-refused", "no-upgrade"
        return BROKEN, f"{error}{_STATUS.get(error.status, '')}", "signaling-refused", f"http-{error.status}"
    carrier = OverWebSocket(socket)
    try:
        carrier.open(state.login_domain, deadline)
        carrier.receive(deadline)
    except Unreached as error:
        return BROKEN, f"101, but nothing goes through it: {error}", "signaling-refused", "no-upgrade"
    finally:
        carrier.close()
    state.websocket = url
    return HOLDS, "101: upgraded to XMPP"


_STATUS = {
    400: ": the proxy does not hand on Upgrade and Connection", 403: ": the proxy or Prosody forbids it",
    404: ": nobody serves this path", 405: ": what answers takes no WebSocket here",
    502: ": nginx does not reach Prosody", 504: ": Prosody does not answer nginx",
}  # fmt: skip


def _bosh(state: State, deadline: Deadline) -> Found:
    if not state.secured:
        return HIDDEN, "there is no TLS to ask through"
    if state.settings and "bosh" not in state.settings:
        return BESIDE, "config.js names no BOSH"
    url = _signaling_url(state, "bosh", f"https://{state.domain}/http-bind", "https")
    session = OverBosh(Web(state.route, state.verified), url)
    try:
        session.open(state.login_domain, deadline)
    except Unreached as error:
        reason = error.kind if error.kind.startswith("http-") else ""
        status = int(reason.partition("-")[2]) if reason else 0
        return BROKEN, f"{error}{_STATUS.get(status, '')}", "signaling-refused", reason
    state.bosh = session
    if not session.sid:
        return BROKEN, "the answer holds no session", "signaling-refused"
    return HOLDS, "a session is opened"


def _login(state: State, deadline: Deadline) -> Found:
    if not state.websocket and (state.bosh is None or not state.bosh.sid):
        return HIDDEN, "no carrier for signaling is open"
    try:
        _another(state, deadline)
    except LoginRefused as error:
        if str(error).startswith("it wants an account"):
            return HIDDEN, f"{error}: what follows needs one"
        return BROKEN, str(error), "xmpp-auth-failed", "guest-refused"
    return HOLDS, f"logged in at {state.login_domain} without an account"


def _another(state: State, deadline: Deadline) -> Participant:
    """Log in once more."""
    carrier: Any
    if state.websocket:
        carrier = OverWebSocket(Web(state.route, state.verified).websocket(state.websocket, "xmpp", deadline))
    else:
        if state.bosh is not None:
            state.bosh.close()
            state.bosh = None
        carrier = _over_bosh(state)
    try:
        person = Participant(carrier, state.login_domain, deadline)
    except BaseException:
        carrier.close()
        raise
    state.people.append(person)
    return person


def _over_bosh(state: State) -> OverBosh:
    url = _signaling_url(state, "bosh", f"https://{state.domain}/http-bind", "https")
    return OverBosh(Web(state.route, state.verified), url)


def _focus(state: State, deadline: Deadline) -> Found:
    if not state.people:
        return HIDDEN, "nobody is logged in"
    focus = state.setting("hosts.focus", "focus." + state.setting("hosts.domain", state.domain))
    state.bridge_missing = "the focus does not answer"
    answer = state.people[0].conference(focus, state.conference, deadline)
    if answer.get("type") == "error":
        reason = condition(answer)
        if reason in ("not-authorized", "not-acceptable", "forbidden"):
            state.bridge_missing = "the focus opens rooms for accounts alone"
            return INFO, f"the focus answers that strangers open no room ({reason})"
        return BROKEN, f"nobody answers for {focus}: {reason}", "no-focus", "not-running"
    state.bridge_missing = ""
    ready = next((inner.get("ready") for inner in answer if inner.tag.endswith("}conference")), None)
    return HOLDS, f"the focus answers, {'ready' if ready == 'true' else 'not ready yet'}"


def _bridge(state: State, deadline: Deadline) -> Found:
    if not state.people:
        return HIDDEN, "nobody is logged in"
    if state.bridge_missing:
        return HIDDEN, state.bridge_missing
    first = state.people[0]
    state.occupants.append((first, first.enter(state.conference, deadline)))
    second = _another(state, deadline)
    state.occupants.append((second, second.enter(state.conference, deadline)))
    try:
        offer = offered((first, second), deadline)
    except Unreached as error:
        if error.kind == "timeout":
            return BROKEN, "two were in a room, and the focus offered no session", "no-bridge", "not-answering"
        raise
    if isinstance(offer, str):
        return BROKEN, offer, "no-bridge"
    state.offer = offer
    udp = [candidate for candidate in offer.candidates if candidate.protocol == "udp"]
    text = ", ".join(ip.endpoint(candidate.address, candidate.port) for candidate in udp) or "no UDP candidate"
    if udp and all(ip.is_private(candidate.address) for candidate in udp) and not _inside(state):
        return BROKEN, f"a bridge is offered at {text} alone, which nobody outside reaches", "nat-mapping-missing"
    return HOLDS, f"a bridge is offered at {text}"


def _inside(state: State) -> bool:
    """Whether we reached the server at a private address ourselves."""
    given = [state.route.connect[0]] if state.route.connect else state.addresses
    return any(ip.is_private(address) for address in given)


def _udp(state: State, deadline: Deadline) -> Found:
    if state.offer is None:
        return HIDDEN, "no bridge was offered, so there are no credentials that it would answer to"
    tried = []
    for remote in state.offer.candidates:
        if remote.protocol != "udp" or (ip.is_private(remote.address) and not _inside(state)):
            continue
        try:
            seen = relaying.checked(
                remote.address, remote.port, state.offer.fragment, state.offer.password,
                Deadline(min(deadline.left(), max(1.0, state.limit / 3))),
            )  # fmt: skip
        except Unreached as error:
            tried.append(f"{ip.endpoint(remote.address, remote.port)}: {error}")
            continue
        return (
            HOLDS,
            f"{ip.endpoint(remote.address, remote.port)} answers a check{f', sees {seen.address}' if seen else ''}",
        )
    if not tried:
        return HIDDEN, "no candidate can be reached from here"
    return BROKEN, "; ".join(tried), "udp-blocked"


def _channel(state: State, deadline: Deadline) -> Found:
    if state.offer is None:
        return HIDDEN, "no bridge was offered"
    if not state.offer.channel:
        return BESIDE, "the bridge channel runs in SCTP"
    try:
        Web(state.route, state.verified).websocket(state.offer.channel, "", deadline).close()
    except Refused as error:
        return (
            BROKEN,
            f"HTTP {error.status} for the bridge channel: video freezes, audio goes on",
            "bridge-channel-refused",
        )
    return HOLDS, "101: the bridge channel opens"


# -- the relay --------------------------------------------------------------------------------------------------------


def _services(state: State, deadline: Deadline) -> Found:
    if not state.people:
        return HIDDEN, "nobody is logged in"
    try:
        state.relays = state.people[0].relays(deadline)
    except Unreached as error:
        if error.kind == "protocol":
            state.relays = []
            return INFO, f"no STUN or TURN is offered ({error}): who cannot send UDP has no media"
        raise
    turn = [relay for relay in state.relays if relay.kind != "stun"]
    text = ", ".join(f"{relay.kind}:{ip.endpoint(relay.host, relay.port)}/{relay.transport}" for relay in state.relays)
    return (HOLDS, text) if turn else (INFO, f"{text or 'nothing'}: no relay, who cannot send UDP has no media")


def _stun(state: State, deadline: Deadline) -> Found:
    wanted = [relay for relay in state.relays or () if relay.kind == "stun"]
    if state.relays is None:
        return HIDDEN, "what is offered is not known"
    if not wanted:
        return BESIDE, "no STUN server is offered"
    seen = relaying.mapped(state.route, wanted[0], deadline)
    return HOLDS, f"{ip.endpoint(wanted[0].host, wanted[0].port)} sees us at {seen.address}"


def _turn(transport: str) -> Callable[[State, Deadline], Found]:
    def test(state: State, deadline: Deadline) -> Found:
        if state.relays is None:
            return HIDDEN, "what is offered is not known"
        kind = "turns" if transport == "tls" else "turn"
        wanted = [
            relay for relay in state.relays if relay.kind == kind and (kind == "turns" or relay.transport == transport)
        ]
        if not wanted:
            return BESIDE, f"no relay over {transport.upper()} is offered"
        return _relayed(state, wanted[0], deadline)

    return test


def _relayed(state: State, relay: Relay, deadline: Deadline) -> Found:
    where = ip.endpoint(relay.host, relay.port)
    peers = _bridges(state)
    try:
        given = relaying.allocated(state.route, relay, peers, deadline)
    except Denied as error:
        if error.code in (401, 441):
            return BROKEN, f"{where} refuses its own credentials ({error})", "turn-auth-failed"
        if error.code == 0:
            return BROKEN, f"{where}: {error} (SEC-16)"
        return BROKEN, f"{where} gives no allocation ({error})", "turn-unreachable"
    except Unreached as error:
        reason = {"certificate": "tls-certificate", "tls": "tls-certificate", "name": "name-not-found",
                  "refused": "not-running"}.get(error.kind, "")  # fmt: skip
        return BROKEN, f"{where}: {error}", "turn-unreachable", reason
    text = f"{where} gives {given.relayed.address if given.relayed else 'an allocation'}"
    if not given.permissions:
        return HOLDS, f"{text}; the bridge's address is not known, so no permission was asked for"
    refused = [peer for peer, code in given.permissions.items() if code]
    if len(refused) == len(given.permissions):
        return (
            BROKEN,
            f"{text}, and lets nobody through to the bridge ({', '.join(refused)}: 403)",
            "turn-permission-refused",
        )
    granted = [peer for peer, code in given.permissions.items() if not code]
    return HOLDS, f"{text}, and lets through to the bridge at {', '.join(granted)}"


def _bridges(state: State) -> list[str]:
    """IPv4 addresses of the bridge, as it is offered."""
    if state.offer is None:
        return []
    addresses = [candidate.address for candidate in state.offer.candidates if candidate.protocol == "udp"]
    return [
        address
        for address in dict.fromkeys(addresses)
        if (known := ip.parse(address)) is not None and known.version == 4
    ]


def _shut(state: State, deadline: Deadline) -> Found:
    host = state.route.address(state.domain, 443)[0]
    patience = min(3.0, deadline.left() / 2)

    def opened(port: int) -> bool | None:
        try:
            Stream.open((host, port), Deadline(patience)).close()
        except Unreached as error:
            return None if error.kind == "name" else False
        return True

    with ThreadPoolExecutor(len(SHUT)) as pool:
        answers = dict(zip(SHUT, pool.map(opened, SHUT), strict=True))
    if None in answers.values():
        return HIDDEN, "the name is not found"
    wide = [port for port, answer in answers.items() if answer]
    if wide:
        return BROKEN, "; ".join(f"{port} is open: {SHUT[port]}" for port in wide)
    return HOLDS, f"{', '.join(map(str, SHUT))} are shut"


PROBES = (
    Probe("dns", "The name leads to an address", _dns),
    Probe("port", "The page's port is open", _tcp),
    Probe("certificate", "The browser trusts the certificate", _certificate, ("tls-refused", "")),
    Probe("page", "The page is served", _page),
    Probe("config", "config.js names the servers", _settings),
    Probe("websocket", "Signaling opens over WebSocket", _websocket, ("signaling-refused", "")),
    Probe("bosh", "Signaling opens over BOSH", _bosh, ("signaling-refused", "")),
    Probe("login", "A guest logs in", _login, ("xmpp-auth-failed", "")),
    Probe("services", "STUN and TURN are offered", _services),
    Probe("focus", "The focus answers the conference request", _focus, ("no-focus", "")),
    Probe("bridge", "A bridge is behind it", _bridge, ("no-bridge", "")),
    Probe("udp", "The bridge answers a check over UDP", _udp, ("udp-blocked", "")),
    Probe("channel", "The bridge channel opens", _channel, ("bridge-channel-refused", "")),
    Probe("stun", "STUN answers", _stun),
    Probe("turn-udp", "TURN relays over UDP", _turn("udp"), ("turn-unreachable", "")),
    Probe("turn-tcp", "TURN relays over TCP", _turn("tcp"), ("turn-unreachable", "")),
    Probe("turn-tls", "TURN relays over TLS", _turn("tls"), ("turn-unreachable", "")),
    Probe("shut", "Nothing else is open", _shut),
)


def lines(steps: list[Step]) -> Iterator[str]:
    """A table for people."""
    for step in steps:
        cause = f"  [{step.cause}{': ' + step.reason if step.reason else ''}]" if step.cause else ""
        yield f"{step.verdict.security_word:<15} {step.title}{cause}"
        yield f"{'':<15} {step.seen}"
