"""A. Who may create or enter a session."""

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

from jitsilab.facts import Fact, programs, services
from jitsilab.facts.model import UNKNOWN, Secret
from jitsilab.facts.prosody import Host, Prosody
from jitsilab.facts.versions import order
from jitsilab.judge.checks import Certainty, Outcome, Verdict
from jitsilab.judge.findings.rule import (
    PlacedStanza,
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
from jitsilab.numerals import whole
from jitsilab.protocols import xmpp as stanzas

ANONYMOUS = ("anonymous", "jitsi-anonymous")
BITS = 30  # of a room name: at a hundred tries a second all of them take four months
TTL_DAY = 86400
SHORTEST_KEY = 32  # bytes of an HS256 key, RFC 7518 section 3.2


def option(prosody: Prosody, host: Host, key: str) -> Any:
    """A host's option as a value; None where it is not set."""
    fact = prosody.get(host, key)
    return fact.value if fact else None


def _place(prosody: Prosody, host: Host, key: str) -> str:
    fact = prosody.get(host, key)
    return fact.place if fact else host.place


# SEC-01


def _logins(view: View) -> dict[Any, tuple[str, int]]:
    """Mechanism and frame of each XMPP connection that asked for a login."""
    logins: dict[Any, tuple[str, int]] = {}
    for placed in view.stanzas:
        step = stanzas.sasl(placed.stanza)
        if step is not None and step.step == "auth" and step.mechanism:
            logins[placed.connection] = (step.mechanism.upper(), placed.frame)
    return logins


def _anonymous_on_wire(view: View) -> Outcome:
    logins = _logins(view)
    offered = [
        (placed, f.mechanisms) for placed in view.stanzas if (f := stanzas.features(placed.stanza)) and f.mechanisms
    ]
    if not offered and not logins:
        return unseen("no login can be seen: no signaling in clear and no key log")
    accounts = [at for mechanism, at in logins.values() if mechanism != "ANONYMOUS"]
    ready: list[tuple[PlacedStanza, str]] = []
    for placed in view.stanzas:
        answer = stanzas.conference(placed.stanza) if placed.direction == "s2c" else None
        created = stanzas.presence(placed.stanza) if placed.direction == "s2c" else None
        if (answer is not None and answer.ready) or (created is not None and 201 in created.codes):
            ready.append((placed, logins.get(placed.connection, ("", 0))[0]))
    if _tokens(view):
        return unseen("clients come with tokens; whether one without gets in was not tried here")
    if ready and ready[0][1] == "ANONYMOUS" and not any(at < ready[0][0].frame for at in accounts):
        if view.lossy:
            return unseen("a guest was given a conference; the capture lost packets, and may have lost another's login")
        first = ready[0][0]
        frames = [logins[first.connection][1], first.frame]
        return failed(
            "a guest without an account was given a conference that nobody with an account had opened", frames
        )
    open_to_all = [placed.frame for placed, mechanisms in offered if "ANONYMOUS" in mechanisms]
    if not open_to_all and all(mechanism != "ANONYMOUS" for mechanism, _ in logins.values()):
        used = listed(sorted({m for m, _ in logins.values()}))
        note = f"the server asks for an account (logins with {used})" if used else "guests are offered no login at all"
        return passed(note, [*accounts, *(placed.frame for placed, _ in offered)])
    if accounts and ready and ready[0][1] not in ("ANONYMOUS", ""):
        return passed("guests got in only after somebody with an account had opened the room", [ready[0][0].frame])
    return unseen("guests may log in; whether one may open a conference was not tried here", open_to_all)


def _tokens(view: View) -> bool:
    """Whether clients bring tokens: with them the login itself is anonymous too."""
    rows = view.rows("http")
    return rows is not None and bool(rows["target"].fillna("").str.contains(r"[?&](?:token|jwt)=", regex=True).any())


def _serves_users(prosody: Prosody, host: Host) -> bool:
    own = host.options.get("modules_enabled")
    enabled = own.value if own is not None and isinstance(own.value, list) else []
    return bool({"bosh", "websocket"} & set(map(str, enabled)))


def _anonymous_in_files(view: View) -> Outcome:
    prosody = view.facts.prosody if view.facts else None
    hosts = prosody.hosts_of("VirtualHost") if prosody else []
    if prosody is None or not hosts:
        return _anonymous_in_environment(view) or unseen("no Prosody configuration")
    ways = {host.name: option(prosody, host, "authentication") for host in hosts}
    open_hosts = [host for host in hosts if ways[host.name] in ANONYMOUS]
    token_hosts = [host for host in hosts if ways[host.name] == "token"]
    allowed = [option(prosody, host, "allow_empty_token") for host in token_hosts]
    empty = [host for host, value in zip(token_hosts, allowed, strict=True) if value is True]
    if empty:
        places = [_place(prosody, host, "allow_empty_token") for host in empty]
        return failed("token authentication also lets clients in that have no token", places=places)
    if any(value is UNKNOWN for value in (*ways.values(), *allowed)):
        return unseen("the Prosody configuration computes how users log in", places=[h.place for h in hosts])
    places = [_place(prosody, host, "authentication") for host in open_hosts or hosts]
    if not open_hosts:
        # a host without a way to log in has the global one, and where there is none Prosody's own, with accounts
        if prosody.broken or (not prosody.whole and any(way is None for way in ways.values())):
            return unseen("not all of Prosody's configuration is here", places=[h.place for h in hosts])
        return passed("every virtual host asks for an account or a token", places=places)
    closed = [h for h in hosts if h not in open_hosts and (_serves_users(prosody, h) or ways[h.name] == "token")]
    asks, place = _focus_asks_for_login(view)
    if closed and asks is None:
        return unseen("guests have a host of their own; whether the focus lets them open rooms is not known")
    if closed and asks:
        note = "guests log in on a host of their own, and the focus lets account holders open rooms"
        return passed(note, places=[*places, place])
    return failed("a virtual host lets anybody log in, and the focus asks for no account", places=[*places, place])


def _anonymous_in_environment(view: View) -> Outcome | None:
    """docker-jitsi-meet's .env: what its templates make of it."""
    facts = view.facts
    environment = facts.environment if facts is not None else None
    service = (
        next(iter(facts.compose.running("prosody")), None) if facts is not None and facts.compose is not None else None
    )
    if service is not None and service.environment.values:
        environment = service.environment
    if facts is None or environment is None or not services.containers(facts):
        return None
    names = [name for name in ("ENABLE_AUTH", "ENABLE_GUESTS", "AUTH_TYPE", "JWT_ALLOW_EMPTY")]
    places = [fact.place for name in names if (fact := environment.get(name)) is not None]
    places = places or environment.files[:1] or [service.place if service is not None else ""]
    values = [environment.on(name) for name in ("ENABLE_AUTH", "ENABLE_GUESTS", "JWT_ALLOW_EMPTY")]
    if any(value is None for value in values) or any(
        (fact := environment.get(name)) is not None and fact.value is UNKNOWN for name in names
    ):
        return unseen("what of .env reaches Prosody is not known", places=places)
    if facts.environment is None and service is None:
        return None
    required, _, tokenless = values
    if not required:
        return failed("ENABLE_AUTH is not set: anybody may log in and open rooms", places=places)
    if environment.text("AUTH_TYPE", "internal") == "jwt" and tokenless:
        return failed("JWT_ALLOW_EMPTY lets clients in that have no token", places=places)
    return passed("ENABLE_AUTH asks for an account or a token", places=places)


def _focus_asks_for_login(view: View) -> tuple[bool | None, str]:
    """Secure domain: jicofo.authentication.enabled, or its older property; None where the file was not given."""
    facts = view.facts
    if facts is None:
        return None, ""
    old = programs.setting(facts, "focus", "jicofo.authentication.login-url", "org.jitsi.jicofo.auth.URL", default="")
    if old.known and old.value and not old.default:
        return True, old.place
    enabled = programs.setting(facts, "focus", "jicofo.authentication.enabled", default=False)
    if not enabled.known and facts.environment is not None and facts.focus is None:
        on = facts.environment.on("ENABLE_AUTH")
        fact = facts.environment.get("ENABLE_AUTH")
        return on, fact.place if fact is not None else facts.environment.files[0]
    return (str(enabled.value).lower() == "true" if enabled.known else None), enabled.place


def anonymous_rooms(view: View) -> Outcome:
    """Anybody can open a conference without an account."""
    return joined(_anonymous_on_wire(view), _anonymous_in_files(view))


# SEC-02


def rooms_without_focus(view: View) -> Outcome:
    """A client can open a room by joining it, around the focus."""
    return joined(_created_by_client(view), _room_restriction(view), _affected(view, "2.0.5963", "JSA-2021-0001"))


def _created_by_client(view: View) -> Outcome:
    made = [
        placed.frame
        for placed in view.stanzas
        if placed.direction == "s2c"
        and (p := stanzas.presence(placed.stanza))
        and 201 in p.codes
        and p.occupant != "focus"
    ]
    if made:
        return failed("a client's join created the room (status 201)", made)
    return unseen("no client tried to enter a room before the focus had made it")


def _conference_rooms(prosody: Prosody) -> list[Host]:
    """The MUC components that hold conferences."""
    rooms = prosody.hosts_of("Component", "muc")
    named = {str(option(prosody, host, "main_muc")) for host in prosody.hosts_of("VirtualHost")}
    main = [host for host in rooms if host.name in named or re.match(r"(conference|muc)\.", host.name)]
    return main or [host for host in rooms if not host.name.startswith("internal.")]


def _room_restriction(view: View) -> Outcome | None:
    prosody = view.facts.prosody if view.facts else None
    rooms = _conference_rooms(prosody) if prosody else []
    if prosody is None or not rooms:
        return None
    values = [(host, option(prosody, host, "restrict_room_creation")) for host in rooms]
    loose = [host for host, value in values if value in (None, False) and value is not UNKNOWN]
    if loose:
        return failed(
            f"restrict_room_creation is not set for {listed(h.name for h in loose)}", places=[h.place for h in loose]
        )
    if any(value is UNKNOWN for _, value in values):
        return unseen("the Prosody configuration computes who may create rooms", places=[h.place for h in rooms])
    if prosody.broken:
        return unseen(f"{prosody.broken[0]} cannot be read whole", places=[h.place for h in rooms])
    return passed(
        "only the focus may create rooms", places=[_place(prosody, h, "restrict_room_creation") for h in rooms]
    )


def _affected(view: View, fixed: str, advisory: str, where: str = "") -> Outcome | None:
    """Whether the version of jitsi-meet is one that an advisory names, where no configuration tells more."""
    if view.facts is None or view.facts.prosody is not None:
        return None
    fact = view.facts.version("jitsi-meet", "jitsi-meet-web")
    if fact is None or not re.match(r"2\.0\.\d", str(fact.value)):
        return None
    if order(str(fact.value)) < order(fixed):
        note = f"possibly: jitsi-meet {fact.value} is older than {fixed}, in which {advisory} is fixed{where}"
        return failed(note, places=[fact.place], certainty=Certainty.INFERRED, severity="medium")
    return None


# SEC-03


def bits(name: str) -> float:
    """An estimate of how many bits a room name holds against somebody who guesses.

    The model: 1.3 bits a letter where the letters look like words (Shannon's estimate for English), 4.7 where they do
    not; 3.3 bits a digit, but a run that counts up or repeats, or a year, holds no more than 7 bits.
    """
    total = 0.0
    for run in re.findall(r"[^\W\d_]+|\d+", name.lower()):
        if run.isdecimal():
            steps = {int(b) - int(a) for a, b in itertools.pairwise(run)}
            plain = len(run) < 3 or len(steps) == 1 or re.fullmatch(r"(19|20)\d\d", run)
            total += min(7.0, 3.3 * len(run)) if plain else 3.3 * len(run)
        else:
            vowels = sum(letter in "aeiouyäöüéèáíóúаеиоуыэюя" for letter in run) / len(run)
            total += len(run) * (1.3 if vowels >= 0.28 or len(run) <= 3 else 4.7)
    if re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", name.lower()):
        return 122.0
    return total


def guessable_room(view: View) -> Outcome:
    """A room name can be guessed; the name itself is not kept."""
    first: dict[str, int] = {}
    for placed in view.stanzas:
        presence = stanzas.presence(placed.stanza)
        room = presence.room if presence else None
        if room and placed.direction == "c2s" and not re.match(r"(lobby|breakout|internal)\.", room.partition("@")[2]):
            first.setdefault(room.partition("@")[0], placed.frame)
    if not first:
        return unseen("no room name can be seen: no signaling in clear and no key log")
    scores = {name: bits(name) for name in first}
    weak = {name: score for name, score in scores.items() if score < BITS}
    if not weak:
        worst = math.floor(min(scores.values()))
        return passed(f"{counted(len(scores), 'room name')} of at least {worst} bits", first.values())
    note = f"{counted(len(weak), 'room name')} of about {min(weak.values()):.0f} bits; {BITS} are asked for"
    severity = "low" if anonymous_rooms(view).verdict is Verdict.HOLDS else ""  # an account is needed as well
    return failed(note, [first[name] for name in weak], certainty=Certainty.INFERRED, severity=severity)


# SEC-04


def open_door(view: View) -> Outcome:
    """A room has neither lobby nor password, or its password was told to somebody."""
    leaks, states = [], []
    for placed in view.stanzas:
        if placed.direction == "s2c" and _tells_password(placed):
            leaks.append(placed.frame)
        info = stanzas.disco(placed.stanza) if placed.stanza.type == "result" else None
        if info and "http://jabber.org/protocol/muc" in info.features:
            states.append(
                (placed.frame, "muc_passwordprotected" in info.features or "muc_membersonly" in info.features)
            )
    if leaks:
        return failed("the server told a room's password in a stanza", leaks, severity="medium")
    if not states:
        return unseen("no client asked what kind of room it is, or no signaling can be seen")
    if any(guarded for _, guarded in states):
        return passed("the room has a password or a lobby", [frame for frame, guarded in states if guarded])
    note, frames = "the room has no password and no lobby (muc_unsecured, muc_open)", [frame for frame, _ in states]
    if anonymous_rooms(view).verdict is Verdict.HOLDS:
        return noted(f"{note}; only account holders get there", frames)
    return failed(note, frames)


def _tells_password(placed: PlacedStanza) -> bool:
    """A password in an invitation or a lobby message (JSA-2024-0001), beyond what the room's owner configures."""
    if placed.stanza.name != "message":
        return False
    for inner in placed.stanza.element.iter():
        if inner.tag == f"{{{stanzas.MUC_USER}}}password" and (inner.text or "").strip():
            return True
    return False


# SEC-05


def token_in_url(view: View) -> Outcome:
    """A JSON web token stands in a URL, or is a weak one."""
    return joined(
        _tokens_on_wire(view),
        _tokens_in_files(view),
        _affected(view, "2.0.5963", "JSA-2021-0002", " and matters where tokens are used"),
    )


def _tokens_on_wire(view: View) -> Outcome:
    rows = view.rows("http")
    if rows is None:
        return unseen("no HTTP request can be read")
    targets = rows["target"].fillna("").astype(str)
    asked = rows[targets.str.contains(r"[?&](?:token|jwt)=", regex=True)]
    if asked.empty:
        return beside("no request carries a token")
    weak = []
    for claims in asked["token"].dropna().unique():
        fields = dict(pair.split("=", 1) for pair in str(claims).split() if "=" in pair)
        weak += (
            ["signed with a shared secret or not at all"] if fields.get("alg", "")[:2].lower() in ("hs", "no") else []
        )
        life = fields.get("lifetime", "")
        weak += ["without expiry"] if life == "unlimited" else []
        weak += ["valid for more than a day"] if (whole(life) or 0) > TTL_DAY else []
        weak += ["good for every room"] if fields.get("room") == "*" else []
    clear = asked["clear"].fillna(False).astype(bool)
    outer = any(a != b for a, b in zip(asked.loc[clear, "src"], asked.loc[clear, "dst"], strict=True))
    note = "a token stands in the request target, where logs and histories keep it"
    note += f"; it is {listed(weak)}" if weak else ""
    return failed(note, asked["frame"], severity="high" if weak or outer else "medium")


def _tokens_in_files(view: View) -> Outcome | None:
    prosody = view.facts.prosody if view.facts else None
    hosts = prosody.hosts_of("VirtualHost") if prosody else []
    if prosody is None or not hosts:
        return None
    users = [host for host in hosts if option(prosody, host, "authentication") == "token"]
    ways = [option(prosody, host, "authentication") for host in hosts]
    if not users and (UNKNOWN in ways or prosody.broken):
        return unseen("not all of Prosody's configuration is known", places=[host.place for host in hosts])
    if not users:
        return beside("no virtual host takes tokens", places=[host.place for host in hosts])
    for host in users:
        key: Fact | None = prosody.get(host, "app_secret")
        if key is None or not isinstance(key.value, Secret) or key.value.length is None:
            continue
        if key.value.common or key.value.length < SHORTEST_KEY:
            note = f"tokens are signed with a shared secret of {counted(key.value.length, 'character')}"
            return failed(note, places=[key.place])
    if all(option(prosody, host, "asap_key_server") not in (None, "", UNKNOWN) for host in users):
        return passed(
            "tokens are checked with public keys", places=[_place(prosody, h, "asap_key_server") for h in users]
        )
    return unseen("tokens are used; their lifetime is not known")


# SEC-06


def room_in_query(view: View) -> Outcome:
    """The room's name stands in the query of signaling requests, and logs keep it."""
    rows = view.rows("http")
    if rows is None:
        return unseen("no HTTP request can be read")
    signaling = rows[rows["target"].fillna("").str.contains(r"^/(?:[^?]*/)?(?:xmpp-websocket|http-bind)", regex=True)]
    named = signaling[signaling["target"].str.contains(r"[?&]room=", regex=True)]
    if named.empty:
        if signaling.empty:
            return beside("no signaling over HTTP in this capture")
        return passed("signaling requests do not name the room", signaling["frame"])
    logs = list(_logged(view))
    if logs:
        note = f"{counted(len(named), 'signaling request')} name the room, and the access log keeps request lines"
        return failed(note, named["frame"], places=logs)
    return noted(f"{counted(len(named), 'signaling request')} name the room in the query", named["frame"])


def _logged(view: View) -> Iterator[str]:
    """Places of access logs that keep the request line of signaling."""
    nginx = view.facts.nginx if view.facts else None
    formats = (
        {str(directive.args[0]): " ".join(map(str, directive.args[1:])) for directive in nginx.all("log_format")}
        if nginx
        else {}
    )
    for location in nginx.all("location") if nginx else ():
        if not re.search(r"xmpp-websocket|http-bind", " ".join(map(str, location.args))):
            continue
        log = location.inherited("access_log")
        if log is None or not log.args or log.args[0] == "off":
            continue
        kept = formats.get(str(log.args[1]), "") if len(log.args) > 1 else "$request"
        if re.search(r"\$(request|request_uri|args|query_string|is_args)\b", kept):
            yield log.place


ALL = (
    Rule(
        id="SEC-01", area="A", title="Rooms without an account", needs=(), test=anonymous_rooms,
        absent="Rooms only with an account",
        severity="high", reason="any Internet user gets bridge and relay resources without leaving a name",
        source="XEP-0175 section 6; RFC 4505 section 5; Jitsi handbook, secure domain",
        guard="guests on a host of their own who wait for an account holder are no failure",
        advice="Ask for an account to open rooms (secure domain: authentication = \"internal_hashed\" on the main "
        "VirtualHost, a guest host for the others, jicofo.authentication.enabled = true), or use tokens. Where an open "
        "service is meant, turn the lobby on and limit rates (muc_rate_limit).",
        visible="the login and the focus's answer, in clear or with keys; or prosody.cfg.lua",
        plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-02", area="A", title="Rooms created around the focus", needs=(), test=rooms_without_focus,
        absent="No rooms around the focus",
        severity="medium", reason="who creates a room owns it and can moderate it before the service has rules for it",
        source="JSA-2021-0001 (CVE-2021-33506)",
        guard="the focus's own creation; rooms of the servers (internal.*) are left out",
        advice="Set restrict_room_creation = true in the MUC component of the conferences and upgrade jitsi-meet to "
        "2.0.5963 or later.",
        visible="prosody.cfg.lua, or a join that answers with status 201", plan="facts", jitsi=True,
    ),
    Rule(
        id="SEC-03", area="A", title="Guessable room names", needs=(), test=guessable_room,
        absent="Room names that nobody guesses",
        severity="medium", reason="who guesses a name stands in the meeting; a lobby or a password lowers it",
        source="Jitsi handbook, Security (jitsi.org/security)",
        guard="a generated name of four words holds more than 30 bits in this model, and passes",
        advice="Use generated names, a lobby or a password, and enable muc_rate_limit against guessing.",
        visible="signaling in clear or with keys", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-04", area="A", title="Rooms without lobby and password", needs=(),
        absent="Rooms with a lobby or a password",
        test=open_door, severity="low",
        reason="the room's name alone decides who enters; a told password outlives a kick",
        source="XEP-0045 section 14; JSA-2024-0001 (CVE-2024-33530)",
        guard="only what the room itself answered to disco#info is taken as its state",
        advice="Turn the lobby on or set a password, and upgrade jitsi-meet to 2.0.9457 or later.",
        visible="the room's answer to disco#info, in clear or with keys", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-05", area="A", title="Tokens in URLs, weak tokens", needs=(), test=token_in_url,
        absent="No token in a URL, no weak token",
        severity="high", reason="whoever reads a log, a history or a referrer enters in the user's name",
        source="RFC 6750 section 5.3; RFC 8725 sections 3.1, 3.2 and 3.5; JSA-2021-0002 (CVE-2021-39215)",
        guard="browsers cannot set headers on a WebSocket: with TLS all the way and a good token it is medium",
        advice="Give tokens minutes of life, bind them to one room, sign them with RS256 keys (asap_key_server), keep "
        "query strings out of logs, and upgrade jitsi-meet to 2.0.5963 or later.",
        visible="HTTP requests in clear or with keys; or prosody.cfg.lua", plan="plaintext", jitsi=True,
    ),
    Rule(
        id="SEC-06", area="A", title="Room names in logs", needs=(), test=room_in_query,
        absent="No room names in logs",
        severity="low", reason="whoever reads the proxy's log learns who met where and when",
        source="RFC 6973 section 6.1; nginx ngx_http_log_module, access_log",
        guard="the name in the query alone is Jitsi's design and only told",
        advice="Turn access_log off for /xmpp-websocket and /http-bind, or log $uri instead of $request.",
        visible="HTTP requests in clear or with keys, and nginx's configuration", plan="plaintext", jitsi=True,
    ),
)  # fmt: skip
