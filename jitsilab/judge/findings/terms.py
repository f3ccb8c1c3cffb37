"""C. TURN: on what terms it relays: lifetime of credentials, encryption, quotas."""

import re

from jitsilab.analysis import limits
from jitsilab.facts import services
from jitsilab.facts.model import UNKNOWN, Secret
from jitsilab.judge.checks import Outcome
from jitsilab.judge.findings.rule import Rule, View, counted, failed, joined, listed, passed, unseen
from jitsilab.judge.findings.turn import METHODS, asked, columns
from jitsilab.numerals import whole
from jitsilab.protocols import xmpp as stanzas

DAY = int(limits.CREDENTIAL_LIFE.value)  # s; what Jitsi's packages give TURN credentials
SLACK = limits.CLOCKS_APART.value  # s between the server's clock and the capture's
SAMPLES = int(limits.SAMPLES.value)  # answers before an average says something
FACTOR = limits.AMPLIFIES.value  # bytes out for one byte in


# SEC-19


def credential_life(view: View) -> Outcome:
    """TURN credentials live longer than a day, or never expire."""
    return joined(_life_on_wire(view), _life_in_files(view))


def _life_on_wire(view: View) -> Outcome:
    begun = view.captured_at()
    start = begun.timestamp() if begun is not None else None
    given: list[tuple[int, float]] = []
    fixed: list[int] = []
    for placed in view.stanzas:
        for service in stanzas.services(placed.stanza):
            if service.type not in ("turn", "turns") or not service.username:
                continue
            match = re.match(r"(\d{9,11})(:|$)", service.username)
            if match and start is not None:
                given.append((placed.frame, int(match[1]) - start - placed.seconds))
            elif not match and not service.expires:
                fixed.append(placed.frame)
    rows = view.rows("stun")
    if not given and start is not None and rows is not None:
        turns = rows[rows["method"].isin(METHODS) & rows["username"].fillna("").str.match(r"\d{9,11}(:|$)")]
        for frame, seconds, name in columns(turns, "frame", "seconds", "username"):
            given.append((int(frame), int(re.split(":", name)[0]) - start - float(seconds)))
    if fixed:
        return failed("TURN credentials without an end were handed out", fixed)
    if not given:
        return unseen("no TURN credentials can be read, or their end is not told")
    longest = max(life for _, life in given)
    hours = longest / 3600
    if longest > DAY + SLACK:
        return failed(
            f"TURN credentials live {hours:.1f} hours", [frame for frame, life in given if life > DAY + SLACK]
        )
    return passed(f"TURN credentials live {hours:.1f} hours at most", [frame for frame, _ in given])


def _life_in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    bad, good = [], []
    for host in facts.prosody.hosts if facts.prosody else ():
        fact = host.options.get("external_services")
        for entry in fact.value if fact is not None and isinstance(fact.value, list) else ():
            if fact is None or not isinstance(entry, dict) or str(entry.get("type")) not in ("turn", "turns"):
                continue
            life = entry.get("ttl", DAY)
            if isinstance(entry.get("password"), Secret) and not entry.get("secret"):
                bad.append(("external_services has a password that does not expire", fact.place))
            elif isinstance(life, int | float) and life > DAY:
                bad.append((f"external_services: ttl = {life:g} s", fact.place))
            elif life is not UNKNOWN:
                good.append(fact.place)
    for path, fact in facts.web.values.items() if facts.web else ():
        for entry in fact.value if isinstance(fact.value, list) else ():
            if isinstance(entry, dict) and str(entry.get("urls", "")).startswith("turn") and entry.get("credential"):
                bad.append((f"{path} holds TURN credentials for everybody", fact.place))
    if facts.turn is not None and facts.turn.has("user") and not facts.turn.has("use-auth-secret"):
        place = facts.turn.options["user"][0].place
        bad.append(("turnserver.conf has users with passwords that do not expire", place))
    if bad:
        return failed(listed(note for note, _ in bad), places=[place for _, place in bad])
    return passed("TURN credentials expire within a day", places=good) if good else None


# SEC-20


def clear_turn(view: View) -> Outcome:
    """TURN without TLS shows user names and peers, or the relay also relays TCP."""
    rows = view.rows("stun")
    on_wire: Outcome = unseen("no TURN request with credentials can be read")
    if rows is not None:
        named = rows[rows["method"].isin(METHODS) & rows["message_class"].eq("request") & rows["username"].notna()]
        named = named[named["depth"].eq(0)]
        clear = named[named["transport"].isin(["udp", "tcp"])]
        connects = [request for request in asked(view, "Connect") if request.answer == "success"]
        if len(clear):
            on_wire = failed(
                f"{counted(len(clear), 'TURN request')} in clear, with user name, realm and peers", clear["frame"]
            )
        elif connects:
            on_wire = failed("the relay opened a TCP connection for a client", [request.frame for request in connects])
        elif len(named):
            on_wire = passed(f"{counted(len(named), 'TURN request')} inside TLS, none in clear", named["frame"].head(5))
    turn = view.facts.turn if view.facts else None
    in_files: Outcome | None = None
    if turn is not None:
        fact = turn.first("no-tcp-relay")
        if fact is None and not turn.whole:
            in_files = unseen(f"{turn.name} is a piece of a configuration", places=[turn.name])
        elif fact is None:
            in_files = failed(
                "no-tcp-relay is not set: users may have the relay open TCP connections", places=[turn.name]
            )
        else:
            in_files = passed("TCP is not relayed", places=[fact.place])
    return joined(on_wire, in_files)


# SEC-21


def quotas(view: View) -> Outcome:
    """The relay has no quotas, or answers strangers with more bytes than they sent."""
    return joined(_amplifies(view), _quotas_in_files(view))


def _amplifies(view: View) -> Outcome:
    rows = view.rows("stun")
    if rows is None:
        return unseen("no STUN in this capture")
    direct = rows[rows["transport"].eq("udp") & rows["depth"].eq(0)]
    errors = direct[direct["message_class"].eq("error") & direct["error_code"].eq(401)]
    requests = direct[direct["message_class"].eq("request")].drop_duplicates(["flow", "transaction_id"])
    pairs = errors.merge(
        requests[["flow", "transaction_id", "size"]], on=["flow", "transaction_id"], suffixes=("", "_asked")
    )
    if len(pairs) < SAMPLES:
        return unseen(
            f"{counted(len(pairs), 'answer 401', 'answers 401')} over UDP; {SAMPLES} are needed for an average"
        )
    factor = float(pairs["size"].sum() / pairs["size_asked"].sum())
    note = f"{len(pairs)} answers 401 over UDP are {factor:.1f} times as long as what asked for them"
    return failed(note, pairs["frame"]) if factor > FACTOR else passed(note, pairs["frame"])


def _quotas_in_files(view: View) -> Outcome | None:
    facts = view.facts
    turn = facts.turn if facts else None
    if facts is None or turn is None:
        return None
    known = [
        fact for name in ("user-quota", "total-quota") if (fact := turn.first(name)) and fact.value not in ("0", True)
    ]
    if known:
        return passed("allocations are limited by quota", places=[fact.place for fact in known])
    listening = turn.first("listening-port")
    port = whole(listening.value) if listening is not None else None
    if all(
        services.reach_port(facts, transport, 3478 if port is None else port).open is False
        for transport in ("udp", "tcp")
    ):
        return None
    if not turn.whole:
        return unseen(f"{turn.name} is a piece of a configuration", places=[turn.name])
    note = "neither user-quota nor total-quota: one user may take every relay port"
    return failed(note, places=[turn.name], severity="low")


ALL = (
    Rule(
        id="SEC-19", area="C", title="Long-lived TURN credentials", needs=(), test=credential_life,
        absent="TURN credentials that soon run out",
        severity="low", reason="credentials that leak stay good for the relay until they expire",
        source="XEP-0215 section 7; draft-uberti-behave-turn-rest-00; Jitsi handbook, TURN setup",
        guard="a day is the default of Jitsi's packages and passes",
        advice="Set a shorter ttl in external_services, never write credentials into config.js, and let user names "
        "carry more than the time.",
        visible="the answer to extdisco in clear or with keys; TURN in clear; or Prosody's configuration",
        plan="plaintext",
    ),
    Rule(
        id="SEC-20", area="C", title="TURN without TLS, TCP relaying", needs=(), test=clear_turn,
        absent="TURN inside TLS, no TCP relaying",
        severity="low", reason="who is on the way learns user names, realm and peers; media stay encrypted",
        source="RFC 8656 section 21.1.6; RFC 6062",
        guard="requests inside TLS are none of this",
        advice="Offer turns: alone (drop type = \"turn\" from external_services) and set no-tcp-relay.",
        visible="TURN requests in clear; or turnserver.conf", plan="turn",
    ),
    Rule(
        id="SEC-21", area="C", title="Relay without quotas, amplification", needs=(), test=quotas,
        absent="Relay with quotas, no amplification",
        severity="medium", reason="one user can take all relay ports; strangers can have others flooded",
        source="RFC 8656 section 21.3.1; turnserver(1), user-quota, total-quota",
        guard=f"fewer than {SAMPLES} answers say nothing of an average",
        advice="Set user-quota and total-quota, and unauthorized-ratelimit where coturn has it.",
        visible=f"{SAMPLES} answers 401 over UDP; or turnserver.conf", plan="turn",
    ),
)  # fmt: skip
