"""Whether there is a focus, and a bridge that it can use: from the logs of the bridge, the focus and Prosody."""

from collections.abc import Iterable, Iterator

from jitsilab.judge.causes.statement import Case, Rule, Statement, named, stated
from jitsilab.judge.causes.trail import Event, Trail, after

#: failures one after the other that are more than a start in the wrong order. Both programs try again every 5 s, and
#: at a boot Prosody comes up within the first of these: three failures are 10 s and more without a server.
PERSISTENT = 3

LOGIN = ("login-refused", "login-failed", "xmpp-unreachable", "host-unknown", "certificate-refused")
LOGIN_DONE = ("logged-in",)


def _stands(trail: Trail) -> bool:
    """Whether the focus can use a bridge at the end of its log."""
    events = trail.select("bridge-joined", "bridge-lost", "bridge-left", "bridge-unavailable", program="jicofo")
    # an answer of the focus counts bridges, also unusable ones
    logged = [event for event in events if event.by != "field"]
    return bool(logged) and logged[-1].event == "bridge-joined"


def _wanted(case: Case) -> list[Event]:
    """The focus's last words that it has no bridge, where no bridge came after them."""
    events = case.trail.select("bridge-unavailable", "bridge-joined", "bridge-chosen")
    return Trail(event for event in events if event.by != "field").run_at_end(
        ("bridge-unavailable",), ("bridge-joined", "bridge-chosen")
    )


def _another_serves(case: Case, run: Trail) -> bool:
    """Whether another bridge than this one is logged in, or the focus has one; an answer of a bridge is no log."""
    inputs = {event.input for event in run}
    others = [other for other in case.trail.processes("jvb") if not {event.input for event in other} & inputs]
    joined = [event for other in others for event in other.select("logged-in", "room-joined") if event.by != "field"]
    return bool(joined) or _stands(case.trail)


def bridge_login(case: Case) -> Iterator[Statement]:
    """A bridge whose login is refused, fails, or never reaches the XMPP server, to the end of its log."""
    for run in case.trail.processes("jvb"):
        failed = run.run_at_end(LOGIN, (*LOGIN_DONE, "room-joined"))
        if not failed or _another_serves(case, run):
            continue
        last = failed[-1]
        refused = [event for event in failed if event.event == "login-refused"]
        if refused:
            yield stated("no-bridge", refused, "login-refused", detail=refused[-1].value)
        elif last.event == "login-failed" and (len(failed) >= 2 or _wanted(case)):
            yield stated("no-bridge", failed, certainty="inferred", detail="the bridge's login fails")
        elif last.event == "xmpp-unreachable" and (len(failed) >= PERSISTENT or _wanted(case)):
            yield stated("no-bridge", failed, "xmpp-unreachable", detail=f"{last.value} {last.detail}".strip())
        elif last.event == "host-unknown":
            detail = f"Prosody does not serve {last.value}"
            yield stated("no-bridge", failed, "login-refused", certainty="deduced", detail=detail)
        elif last.event == "certificate-refused" and (len(failed) >= 2 or _wanted(case)):
            detail = "the bridge refuses Prosody's certificate"
            yield stated("no-bridge", failed, certainty="deduced", detail=detail)


def brewery(case: Case) -> Iterator[Statement]:
    """Bridges are in other rooms than the focus watches, or in none."""
    if _stands(case.trail):
        return
    joined = [event for run in case.trail.processes("jvb") for event in run.select("room-joined")]
    watched = [event for run in case.trail.processes("jicofo") for event in run.select("brewery-watched")]
    breweries = [
        event for event in watched if "jibri" not in event.value.lower() and "jigasi" not in event.value.lower()
    ]
    if joined and breweries and not any(_same_room(a.value, b.value) for a in joined for b in breweries):
        rooms = ", ".join(dict.fromkeys(event.value for event in joined))
        detail = f"the bridge is in {rooms}, the focus looks in {', '.join({event.value: 0 for event in breweries})}"
        yield stated("no-bridge", [*joined, *breweries], "not-in-brewery", certainty="deduced", detail=detail)
        return
    for program in ("jvb", "jicofo"):
        for run in case.trail.processes(program):
            refused = run.run_at_end(("room-refused",), ("room-joined", "bridge-joined", "brewery-joined"))
            if refused and (program == "jicofo" or len(refused) >= 2 or _wanted(case)):
                yield stated("no-bridge", refused, "not-in-brewery", detail=refused[-1].value)
                return


def _same_room(room: str, other: str) -> bool:
    """Whether two rooms are the same; of room whose domain is not written the local part has to do."""
    room, other = room.lower().partition("/")[0], other.lower().partition("/")[0]
    return room == other if "@" in room and "@" in other else room.partition("@")[0] == other.partition("@")[0]


def health(case: Case) -> Iterator[Statement]:
    """A bridge that says that it is unhealthy to the end, or of which the focus was told so."""
    for run in case.trail.processes("jvb"):
        failed = run.run_at_end(("health-failed",), ("health-passed",))
        if failed and not _another_serves(case, run):
            yield _unhealthy(failed, run.select("port-taken"))
            return
    wanted = _wanted(case)
    failed = case.trail.select("health-failed", program="jicofo")
    if failed and wanted and after(wanted[-1], failed[0]):
        yield _unhealthy([*failed, wanted[-1]], case.trail.select("port-taken"))


def _unhealthy(failed: list[Event], taken: list[Event]) -> Statement:
    message = next((event.value for event in failed if event.value), "")
    if "bind" in message.lower() or taken:
        return stated("no-bridge", [*taken, *failed], "port-taken", detail=message or taken[-1].value)
    return stated("no-bridge", failed, "unhealthy", detail=message)


def not_answering(case: Case) -> Iterator[Statement]:
    """A bridge that the focus counts, and that does not answer it."""
    timeouts = [
        event for event in case.trail.select("allocation-failed", program="jicofo") if "timeout" in event.value.lower()
    ]
    silent = [*timeouts, *case.trail.select("health-timeout", program="jicofo")]
    silent.sort(key=lambda event: event.order)
    if not silent or case.trail.select("bridge-lost", program="jicofo"):
        return
    answered = [event for event in case.trail.select("offer-sent", program="jicofo") if after(event, silent[-1])]
    if (timeouts or (len(silent) >= 2 and _wanted(case))) and not answered:
        yield stated("no-bridge", silent, "not-answering", detail="the focus waits for its answer in vain")


def not_running(case: Case) -> Iterator[Statement]:
    """A bridge that ended, or was ended by the kernel, and did not come back, while the focus has none."""
    ended = [event for event in case.trail.select("out-of-memory", "program-ended") if _bridge_ended(event)]
    if not ended:
        return
    back = [
        event for event in case.trail.select("program-started", "logged-in", program="jvb") if after(event, ended[-1])
    ]
    if back:
        return
    wanted = [event for event in _wanted(case) if not _known_before(event, ended[-1])]
    if wanted:
        why = "it ran out of memory" if any(event.event == "out-of-memory" for event in ended) else "it ended"
        yield stated("no-bridge", [*ended, wanted[-1]], "not-running", certainty="deduced", detail=why)


def _bridge_ended(event: Event) -> bool:
    """Whether the bridge itself says that it ended, or the kernel that it ended the bridge."""
    if event.program == "jvb":
        return True
    named = any(word in event.value.lower() for word in ("java", "jvb", "videobridge"))
    return event.program == "kernel" and event.event == "out-of-memory" and named


def _known_before(event: Event, other: Event) -> bool:
    """Whether ``event`` came before ``other`` for sure."""
    return event.time is not None and other.time is not None and event.time < other.time


def none_for_the_focus(case: Case) -> Iterator[Statement]:
    """The focus says that it has none, and nothing tells why."""
    wanted = _wanted(case)
    if not wanted:
        return
    if any(_lost_before(case, event) for event in wanted[:1]):
        return
    yield stated("no-bridge", wanted, participants=None)


def _lost_before(case: Case, wanted: Event) -> bool:
    """Whether a bridge that had sessions was lost before: then that is the cause."""
    lost = [event for event in case.trail.select("bridge-lost") if not after(event, wanted)]
    return any(case.trail.select("offer-sent", "answer-received")) and bool(lost)


def bridge_lost(case: Case) -> Iterator[Statement]:
    """A bridge went away while it served participants, and they were not taken up by another."""
    lost = case.trail.select("bridge-lost", program="jicofo")
    offered = case.trail.select("offer-sent", program="jicofo")
    served = [event for event in offered if lost and not after(event, lost[-1])]
    again = {event.participant for event in offered if lost and after(event, lost[-1])}
    hit = [event.participant for event in served if event.participant not in again]
    if lost and hit:
        yield stated("bridge-lost", lost, participants=tuple(dict.fromkeys(hit)))
        return
    for input in dict.fromkeys(event.input for event in case.trail.select("channel-closed", program="browser")):
        yield from _lost_in_the_browser(Trail([event for event in case.trail if event.input == input]))


def _lost_in_the_browser(trail: Trail) -> Iterator[Statement]:
    """ICE connected, then the channel and ICE were lost, the session was moved away, and no offer came again."""
    connected = trail.select("ice-connected")
    moved = [event for event in trail.select("session-ended") if "moving" in event.value or "moving" in event.detail]
    lost = trail.select("ice-disconnected", "ice-failed", "channel-closed")
    if not (connected and moved and lost):
        return
    if any(after(event, moved[-1]) for event in trail.select("offer-sent")):
        return
    me = named(moved)
    yield stated("bridge-lost", [*lost[:2], moved[-1]], participants=me, certainty="deduced")


def focus_login(case: Case) -> Iterator[Statement]:
    """The focus is refused, refuses Prosody, or ended, to the end of its log."""
    for run in case.trail.processes("jicofo"):
        failed = run.run_at_end((*LOGIN, "program-ended", "out-of-memory"), (*LOGIN_DONE, "conference-requested"))
        if not failed:
            continue
        last = failed[-1]
        named = {"login-refused": "login-refused", "host-unknown": "login-refused",
                 "certificate-refused": "certificate-refused"}  # fmt: skip
        known = [event for event in failed if event.event in named]
        if known:
            yield stated("no-focus", known, named[known[-1].event], detail=known[-1].value)
        elif last.event in ("program-ended", "out-of-memory"):
            yield stated("no-focus", failed, "not-running", detail=last.value)
        elif len(failed) >= PERSISTENT:
            yield stated("no-focus", failed, certainty="deduced", detail=f"it does not reach {last.value}".strip())


def focus_missing(case: Case) -> Iterator[Statement]:
    """Prosody has never seen the focus log in since its start, while others did; or the kernel ended it."""
    if any(
        run.select("logged-in", "conference-requested", "brewery-watched") for run in case.trail.processes("jicofo")
    ):
        return
    for run in case.trail.processes("prosody"):
        logins = run.select("logged-in")
        asked = [login for login in logins if not _component(login.value)]
        if not run.select("program-started") or not asked or any(_is_focus(login.value) for login in logins):
            continue
        refused = run.select("certificate-refused")
        unnamed = run.select("login-failed", "login-refused")
        if refused:
            yield stated("no-focus", refused, "certificate-refused", certainty="inferred",
                         detail="a component refuses Prosody's certificate, and the focus never logs in")  # fmt: skip
        elif unnamed:
            yield stated("no-focus", unnamed, certainty="inferred", detail="the focus never logs in")
        else:
            yield stated("no-focus", [run.select("program-started")[-1], *asked], "not-running", certainty="inferred",
                         detail="the focus never connects to Prosody")  # fmt: skip


def _is_focus(jid: str) -> bool:
    return jid.partition("@")[0].lower().startswith(("focus", "jicofo"))


def _component(jid: str) -> bool:
    """Whether an account is one of the servers' own, by the names that Debian's packages and docker give them."""
    return jid.partition("@")[0].lower() in ("focus", "jvb", "jibri", "recorder", "jigasi", "transcriber")


def focus_silent(case: Case) -> Iterator[Statement]:
    """A browser got no answer to its request for a conference."""
    for input in dict.fromkeys(event.input for event in case.trail.select("focus-unavailable")):
        trail = Trail([event for event in case.trail if event.input == input])
        failed = trail.run_at_end(("focus-unavailable",), ("conference-created", "participant-joined", "offer-sent"))
        if failed:
            me = named(failed)
            yield stated("no-focus", failed, participants=me)


RULES: tuple[Rule, ...] = (
    Rule("no-focus", ("jicofo",), focus_login),
    Rule("no-focus", ("prosody",), focus_missing),
    Rule("no-focus", ("browser",), focus_silent),
    Rule("no-bridge", ("jvb",), bridge_login),
    Rule("no-bridge", ("jvb", "jicofo"), brewery),
    Rule("no-bridge", ("jvb", "jicofo"), health),
    Rule("no-bridge", ("jicofo",), not_answering),
    Rule("no-bridge", ("jvb", "kernel"), not_running),
    Rule("no-bridge", ("jicofo", "browser"), none_for_the_focus),
    Rule("bridge-lost", ("jicofo", "browser"), bridge_lost),
)


def all_of(case: Case, rules: Iterable[Rule]) -> list[Statement]:
    """What the rules say, of those whose needs have spoken."""
    statements: list[Statement] = []
    for rule in rules:
        if any(case.trail.spoke(need) or (need == "facts" and case.facts is not None) for need in rule.needs):
            statements += rule.test(case)
    return statements
