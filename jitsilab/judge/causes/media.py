"""The handshake, and what is true beside media: channel, sources, relays between bridges, versions, load."""

from collections.abc import Iterator

from jitsilab import ip
from jitsilab.judge.causes.reach import bridge_addresses
from jitsilab.judge.causes.statement import Case, Rule, Statement, named, stated
from jitsilab.judge.causes.trail import Event, after


def fingerprint(case: Case) -> Iterator[Statement]:
    """The bridge holds a certificate against what was announced, and they differ."""
    strange = case.trail.select("fingerprint-mismatch")
    if strange:
        yield stated("fingerprint-mismatch", strange, participants=named(strange))


def handshake(case: Case) -> Iterator[Statement]:
    """ICE connected, and the bridge gave the participant up for want of DTLS."""
    strange = set(case.trail.participants("fingerprint-mismatch"))
    done = set(case.trail.participants("dtls-done"))
    failed = [event for event in case.trail.select("dtls-failed") if event.participant not in strange | done]
    if failed and not (strange and not all(event.participant for event in failed)):
        yield stated("dtls-failed", failed, participants=named(failed))


def channel(case: Case) -> Iterator[Statement]:
    """The bridge channel was answered, and never opened; one that had opened and was lost is none."""
    opened = case.trail.select("channel-opened")
    refused = [
        event for event in case.trail.select("channel-refused")
        if not any(_same(event, other) for other in opened)
    ]  # fmt: skip
    by_status: dict[int | None, list[Event]] = {}
    for event in refused:
        by_status.setdefault(event.status, []).append(event)
    for status, events in by_status.items():
        yield stated("bridge-channel-refused", events, participants=named(events), status=status)
    if refused:
        return
    connected = set(case.trail.participants("ice-connected", "dtls-done"))
    missing = [
        event for event in case.trail.select("channel-missing")
        if event.participant in connected and not any(_same(event, other) for other in opened)
    ]  # fmt: skip
    if missing:
        yield stated("bridge-channel-refused", missing, participants=named(missing), certainty="inferred",
                     detail="the bridge waits for it in vain")  # fmt: skip


def _same(event: Event, other: Event) -> bool:
    """Whether two events may be of event participant's channel."""
    if event.participant and other.participant:
        return event.participant == other.participant
    return event.input == other.input


def sends_nothing(case: Case) -> Iterator[Statement]:
    """Neither audio nor video was ever announced."""
    denied = [event for event in case.trail.select("media-denied")]
    announced = case.trail.select("sources-announced")
    silent = [
        event for event in announced
        if event.value == "0" and not any(o.value not in ("", "0") and _same(event, o) for o in announced)
    ]  # fmt: skip
    sending = case.trail.select("media-sent")
    silent += _accepted_without(case)
    events = [event for event in (*denied, *silent) if not any(_same(event, other) for other in sending)]
    events = [event for event in events if event.event != "media-denied" or not _announced(event, announced)]
    if events:
        yield stated("sends-nothing", events, participants=named(events))


def _accepted_without(case: Case) -> list[Event]:
    """Answers after which the focus names no sources, in a log in which it does so for others."""
    silent = []
    for run in case.trail.processes("jicofo"):
        named = set(run.participants("sources-announced"))
        accepted = run.select("answer-received")
        silent += [event for event in accepted if named and event.participant and event.participant not in named]
    return silent


def _announced(event: Event, announced: list[Event]) -> bool:
    """Whether somebody whose devices were refused announced sources after all."""
    return any(other.value not in ("", "0") and after(other, event) for other in announced if _same(event, other))


def relays(case: Case) -> Iterator[Statement]:
    """A relay between two bridges failed, and did not connect after."""
    connected = case.trail.select("relay-connected")
    failed = [
        event for event in case.trail.select("relay-failed")
        if not any(
            other.value == event.value and after(other, event) for other in connected if other.input == event.input
        )
    ]  # fmt: skip
    if failed:
        yield stated("bridges-relay-broken", failed, detail=f"towards {failed[-1].value}".rstrip())


def source_rewritten(case: Case) -> Iterator[Statement]:
    """Packets of several come from one inner address that none of them has; or one browser is seen as such.

    A relay's address is one too: the bridge's own, those that TURN gave, and one beside which a participant is seen at
    its own address are left out. A relay on another host, of which nothing is known, remains.
    """
    seen = [
        event for event in case.trail.select("source-address", "check-received") if ip.parse(event.value) is not None
    ]
    own = {(event.participant, event.value) for event in case.trail.select("candidate-gathered")}
    relays = bridge_addresses(case) | {event.value for event in case.trail.select("allocation-made")}
    strange: dict[str, list[Event]] = {}
    for event in seen:
        if ip.is_private(event.value) and event.value not in relays and (event.participant, event.value) not in own:
            strange.setdefault(event.value, []).append(event)
    heard: dict[str, set[str]] = {}
    for event in seen:
        heard.setdefault(event.participant, set()).add(event.value)
    for address, events in strange.items():
        people = {event.participant for event in events if event.participant}
        by_browser = [event for event in events if event.program == "browser" and event.event == "source-address"]
        if len(people) >= 2 and all(from_ == {address} for from_ in heard.values()):
            detail = f"everybody arrives from {address}; a relay on another host would look alike"
            yield stated("source-rewritten", events, detail=detail, certainty="inferred")
        elif by_browser:
            yield stated("source-rewritten", by_browser, detail=f"seen as {address}", certainty="deduced")


def version(case: Case) -> Iterator[Statement]:
    """An option or a module that this version does not know."""
    unknown = case.trail.select("option-unknown")
    if unknown:
        names = ", ".join(dict.fromkeys(event.value for event in unknown if event.value))
        yield stated("version-mismatch", unknown, detail=f"not known: {names}" if names else "")


def load(case: Case) -> Iterator[Statement]:
    """The bridge or the focus acted on its load."""
    acted = case.trail.select("overloaded")
    if acted:
        yield stated("overloaded", acted, detail=acted[-1].value)


CAUSES: tuple[Rule, ...] = (
    Rule("fingerprint-mismatch", ("jvb",), fingerprint),
    Rule("dtls-failed", ("jvb",), handshake),
)
CONDITIONS: tuple[Rule, ...] = (
    Rule("bridge-channel-refused", ("nginx", "browser", "jvb"), channel),
    Rule("source-rewritten", ("jvb", "browser"), source_rewritten),
    Rule("sends-nothing", ("jvb", "jicofo", "browser"), sends_nothing),
    Rule("bridges-relay-broken", ("jvb",), relays),
    Rule("version-mismatch", ("jvb", "jicofo", "prosody", "nginx", "coturn", "browser"), version),
    Rule("overloaded", ("jvb", "jicofo"), load),
)
