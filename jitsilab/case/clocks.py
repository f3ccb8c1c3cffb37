"""One clock for a case: what to add to each source's times to get UTC, with bounds, from what two sources both name.

The focus says that it sent an offer to an endpoint before that endpoint's browser says that it came; the bridge's user
fragment holds its own clock in UTC; a check that a capture shows names that fragment. Each such pair bounds how far two
clocks stand apart. A log without a zone stands whole quarters of an hour from UTC: where the bounds leave one of them,
that is the zone. Where nothing names the same, the offset is not known, and its bounds are those of all zones on Earth.
"""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.analysis import clock, limits
from jitsilab.analysis.offsets import Gap, Interval, between, from_reference
from jitsilab.tables import PARTS, part

QUARTER = 900.0  # s: zones are whole quarters of an hour from UTC
EARTH = Interval(-14 * 3600.0, 12 * 3600.0)  # what to add to the wall clocks of all zones (tz database)
LATE = limits.CLOCK_LATE.value
TOGETHER = limits.CLOCK_TOGETHER.value
NARROW = limits.CLOCK_NARROW.value
MOST = 2000  # moments of one event of one source: more of them make no bound narrower
RANKS = ("packets", "written", "fragment", "rest", "browser", "none")  # who is believed, the surest first


@dataclass(frozen=True, slots=True)
class Dating:
    """How a source dates what it says, as far as that is known beside its events."""

    input: str
    kind: str  # packets, log, browser, rest
    zoneless: Collection[str] = ()  # programs whose times have no zone
    fragments: Mapping[str, tuple[int, str]] = field(
        default_factory=dict
    )  # the bridge's ufrag: first line ns, whom for
    own: Collection[str] = ()  # a browser's own ufrags
    remote: Collection[str] = ()  # ufrags of the bridge that a browser was offered
    dated: bool = True  # whether it has times of day; of what has none beside its events, those tell
    given: bool = False  # whether the user named the zone


class Moment(NamedTuple):
    """Something that happened, as one source dates it."""

    clock: str
    input: str
    program: str
    event: str
    key: str  # what both sides name: an endpoint, a user fragment, a room
    time: float  # s since the epoch


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one program in one input."""

    input: str
    program: str
    offset: float | None  # s to add to get UTC; None where it is not known
    bounds: Interval
    certainty: str
    applied: float = 0.0  # s that are added for the common order, also where UTC is not known
    shared: int = 0  # how many happenings tell it
    zoneless: bool = False
    reference: str = ""  # the clock that it is held against

    @property
    def zone(self) -> float:
        """What of the offset is its zone, s."""
        return round((self.offset or 0.0) / QUARTER) * QUARTER if self.zoneless else 0.0

    @property
    def seconds(self) -> float:
        """What of the offset is no zone: positive where the clock is behind."""
        return (self.offset or 0.0) - self.zone

    @property
    def error(self) -> float:
        """Seconds by which it stands off, at least, where it should show UTC, or whole zones from it; 0 for none."""
        if self.offset is None or self.certainty == "inferred" or self.bounds.width > NARROW:
            return 0.0
        low, high = self.bounds.low - self.zone, self.bounds.high - self.zone
        return 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))


#: one event before another, for the same name, with the seconds that may lie between: who is first, who is second
_BEFORE = (
    ("jicofo offer-sent", "packets offer-sent"), ("jicofo offer-sent", "browser offer-sent"),
    ("packets offer-sent", "browser offer-sent"), ("browser answer-received", "packets answer-received"),
    ("browser answer-received", "jicofo answer-received"), ("packets answer-received", "jicofo answer-received"),
    ("jicofo bridge-chosen", "jvb candidate-offered"), ("jvb candidate-offered", "jicofo offer-sent"),
    ("jvb candidate-offered", "packets offer-sent"), ("jvb candidate-offered", "browser offer-sent"),
    ("browser answer-received", "jvb ice-checking"), ("packets answer-received", "jvb ice-checking"),
    ("jicofo answer-received", "jvb ice-checking"), ("prosody logged-in", "jicofo participant-joined"),
    ("prosody logged-in", "packets participant-joined"), ("jvb room-joined", "jicofo bridge-joined"),
    ("jvb candidate-offered", "nginx channel-opened"), ("jvb candidate-offered", "nginx channel-refused"),
    ("fragment made", "jvb fragment"), ("fragment made", "packets check"), ("jvb fragment", "packets check"),
    ("packets check", "jvb ice-connected"), ("browser ice-checking", "packets check"),
    ("packets check", "browser ice-connected"), ("jvb fragment", "browser offer-sent"),
    ("fragment made", "browser offer-sent"),
)  # fmt: skip
#: the same happening, as both sides date it
_AT_ONCE = (
    ("browser ice-connected", "jvb ice-connected"), ("browser dtls-done", "jvb dtls-done"),
    ("jicofo participant-joined", "browser participant-joined"), ("prosody logged-in", "browser logged-in"),
    ("packets participant-joined", "jicofo participant-joined"),
    ("packets participant-joined", "browser participant-joined"),
    ("prosody account", "jicofo logged-in"), ("prosody account", "jvb logged-in"),
    ("nginx channel-refused", "browser channel-refused"), ("nginx upstream-failed", "nginx channel-refused"),
)  # fmt: skip
_RULES = (
    *((event, later, 0.0, LATE) for event, later in _BEFORE),
    *((event, same, -TOGETHER, TOGETHER) for event, same in _AT_ONCE),
)
_USED = {name.partition(" ")[2] for rule in _RULES for name in rule[:2]}


def clocks(
    events: pd.DataFrame | None,
    known: Iterable[Dating],
    owners: Mapping[str, str],
    packets: Mapping[str, tuple[Any, Mapping[str, pd.DataFrame | None]]],
) -> dict[tuple[str, str], Clock]:
    """The clock of each program of each input.

    ``owners`` is whose browser an input is of, by endpoint id; ``packets`` has the cast and the tables of each capture.
    """
    sources = {source.input: source for source in known}
    if events is not None and len(events):
        events = events[events["time"].notna()]
    moments = [*_of_events(events, sources, owners), *_of_fragments(sources)]
    for input, (cast, tables) in packets.items():
        moments += _of_packets(input, cast, tables, sources)
    moments += _of_browsers(moments, sources)
    names = _clock_names(events, sources, owners)
    for moment in moments:
        names.setdefault(moment.clock, [])
    gaps = list(_gaps(moments))
    return _placed(names, sources, _of_one_machine(between(gaps)), gaps)


def _of_one_machine(pairs: dict[tuple[str, str], Interval]) -> dict[tuple[str, str], Interval]:
    """The bridge's log and its fragments come from one clock: what lies between the two is a zone and nothing else."""
    kept = dict(pairs)
    for (source, other), interval in pairs.items():
        if source.startswith("fragment ") and other == f"jvb {source.removeprefix('fragment ')}":
            zones = _zones(interval)
            if len(zones) == 1:
                kept[source, other] = Interval(zones[0], zones[0])
            elif not zones:
                del kept[
                    source, other
                ]  # one clock does not differ from itself by days: somebody changed the log's dates
    return kept


def _zones(interval: Interval, least: float = EARTH.low, most: float = EARTH.high) -> list[float]:
    """The whole quarters of an hour that an interval holds."""
    steps = range(int(least // QUARTER), int(most // QUARTER) + 1)
    return [step * QUARTER for step in steps if interval.holds(step * QUARTER)]


def _name(input: str, program: str, owners: Mapping[str, str]) -> str:
    """Name of a clock: browsers of one owner share his machine's."""
    if program == "browser":
        return f"browser {owners.get(input) or input}"
    return f"{program} {input}"


def _clock_names(
    events: pd.DataFrame | None, sources: Mapping[str, Dating], owners: Mapping[str, str]
) -> dict[str, list[tuple[str, str]]]:
    """Each clock with the programs of inputs that it dates."""
    by_clock: dict[str, list[tuple[str, str]]] = {}
    pairs = (
        [] if events is None or events.empty else events[["input", "program"]].drop_duplicates().itertuples(index=False)
    )
    for input, program in pairs:
        if isinstance(program, str) and input in sources and sources[input].kind != "rest":
            by_clock.setdefault(_name(input, program, owners), []).append((str(input), program))
    for source in sources.values():
        programs = {"packets": ["packets"], "browser": ["browser"], "rest": ["rest"], "log": list(source.zoneless)}[
            source.kind
        ]
        for program in programs:
            pair = (source.input, program)
            listed = by_clock.setdefault(_name(source.input, program, owners), [])
            if pair not in listed:
                listed.append(pair)
    return by_clock


def _of_events(
    events: pd.DataFrame | None, sources: Mapping[str, Dating], owners: Mapping[str, str]
) -> Iterator[Moment]:
    if events is None or events.empty:
        return
    rows = events[events["event"].isin(_USED | {"logged-in"})]
    seconds = rows["time"].dt.tz_localize(None).to_numpy("datetime64[ns]").astype("int64") / 1e9
    columns = [
        rows[name].fillna("").astype(str) for name in ("program", "event", "participant", "value", "detail", "input")
    ]
    latest: dict[tuple[str, str, str], float] = {}
    counted: dict[tuple[str, str], int] = {}
    for time, program, event, who, value, detail, input in zip(seconds, *columns, strict=True):
        source = sources.get(input)
        if source is None or source.kind == "rest" or detail.startswith("p2p"):
            continue
        counted[input, event] = counted.get((input, event), 0) + 1
        if counted[input, event] > MOST:
            continue
        if program == "browser":
            owner = owners.get(input) or input
            if who and who != owner:
                continue  # what a browser tells of somebody else is later, or hearsay
            who = owner
        key = who
        if event in ("room-joined", "bridge-joined"):
            key = value.partition("/")[0].partition("@")[0].lower()
        elif event == "logged-in" and program in ("jvb", "jicofo"):
            key = program
        elif event == "logged-in" and program == "prosody":
            account = value.partition("@")[0].lower()
            if account in ("focus", "jvb"):
                event, key = "account", "jicofo" if account == "focus" else "jvb"
            else:
                key = account[:8]  # the endpoint's id begins a guest's account
        elif event == "candidate-offered" and time - latest.get((input, event, key), -1e18) < 2.0:
            continue  # one offer has several addresses
        if not key:
            continue
        latest[input, event, key] = float(time)
        yield Moment(_name(input, program, owners), input, program, event, key, float(time))


def _of_fragments(sources: Mapping[str, Dating]) -> Iterator[Moment]:
    """The bridge's user fragments: when its clock made them, and when its log first names them."""
    for source in sources.values():
        for ufrag, (time, _) in list(source.fragments.items())[:MOST]:
            yield Moment(f"jvb {source.input}", source.input, "jvb", "fragment", ufrag, time / 1e9)
            if (made := clock.made(ufrag)) is not None:
                yield Moment(f"fragment {source.input}", source.input, "fragment", "made", ufrag, made / 1e3)


def _of_packets(
    input: str, cast: Any, tables: Mapping[str, pd.DataFrame | None], sources: Mapping[str, Dating]
) -> Iterator[Moment]:
    """What a capture shows of happenings that others date too."""
    begin = begin_of(tables)
    start = begin if begin is not None else 0.0
    by_log = {ufrag: source.input for source in sources.values() for ufrag in source.fragments}
    whose = {ufrag: who for source in sources.values() for ufrag, (_, who) in source.fragments.items() if who}

    def at(event: str, key: str, seconds: float) -> Moment:
        return Moment(f"packets {input}", input, "packets", event, key, start + seconds)

    for person in cast.people:
        for stream in person.xmpp_streams:
            if stream.endpoint and stream.joined:
                yield at("participant-joined", stream.endpoint, stream.joined_at)
    jingle, stun = tables.get("jingle"), tables.get("stun")
    if jingle is not None and len(jingle):
        of_bridge = jingle["session"].eq("jvb") & jingle["action"].isin(["session-initiate", "session-accept"])
        rows = jingle.loc[of_bridge, ["action", "sid", "seconds"]]
        owner = {
            session.sid: stream.endpoint for person in cast.people for stream in person.xmpp_streams if stream.endpoint
            for session in stream.sessions.values()
        }  # fmt: skip
        done = set()
        for action, sid, seconds in zip(rows["action"], rows["sid"], rows["seconds"], strict=True):
            if sid in owner and (action, sid) not in done:
                done.add((action, sid))
                yield at(
                    "offer-sent" if action == "session-initiate" else "answer-received", owner[sid], float(seconds)
                )
    if stun is None or stun.empty:
        return
    made = _begun(stun)
    asked = stun["method"].eq("Binding") & stun["message_class"].eq("request") & stun["username"].notna()
    checks = stun.loc[asked, ["username", "seconds"]].drop_duplicates("username").head(MOST)
    for username, seconds in checks.itertuples(index=False):
        ends = str(username).split(":")[:2]
        for ufrag in ends if any(end in made for end in ends) else ():
            yield at("check", ufrag, float(seconds))
            if ufrag in whose:
                yield at("check", whose[ufrag], float(seconds))
    for ufrag, time in made.items():
        where = by_log.get(ufrag, f"in {input}")
        yield Moment(f"fragment {where}", input, "fragment", "made", ufrag, time)


def _begun(stun: pd.DataFrame) -> dict[str, float]:
    """The bridge's fragments of sessions that begin in a capture, and when they were made, s since the epoch.

    A capture whose clock is wrong, or that has none, still shows that several fragments stand as far apart as their
    first checks do; those of a session older than the capture show in its first seconds.
    """
    anchors = clock.anchors(stun)
    if anchors.empty:
        anchors = clock.anchors(stun.assign(time=pd.Series(pd.NaT, stun.index, dtype=stun["time"].dtype)))
        anchors = anchors[anchors["first_seconds"] > 2 * limits.CHECK_INTERVAL.value]
    return {str(ufrag): made.timestamp() for ufrag, made in zip(anchors["ufrag"], anchors["made"], strict=True)}


def begin_of(tables: Mapping[str, pd.DataFrame | None]) -> float | None:
    """When the first frame of a capture came, s since the epoch; None where it has no times of day."""
    for name in ("stun", "tls", "bounds"):
        rows = part(tables, name) if name in PARTS else tables.get(name)
        dated = None if rows is None else rows[rows["seconds"].notna()]  # a print may hold a time that is none
        if dated is not None and len(dated):
            first = dated.iloc[0]
            return None if pd.isna(first["time"]) else first["time"].timestamp() - float(first["seconds"])
    return None


def _of_browsers(moments: list[Moment], sources: Mapping[str, Dating]) -> Iterator[Moment]:
    """A browser's moments under the fragments of its sessions, where one session tells which they are."""
    for source in sources.values():
        if source.kind != "browser":
            continue
        own = [moment for moment in moments if moment.input == source.input and moment.program == "browser"]
        for event, fragments in (
            ("offer-sent", source.remote),
            ("ice-checking", source.own),
            ("ice-connected", source.own),
        ):
            same = [moment for moment in own if moment.event == event]
            known = [each for each in fragments if event != "offer-sent" or clock.made(each) is not None]
            if len(same) == 1 and len(known) == 1:
                yield same[0]._replace(key=next(iter(known)))


def _gaps(moments: list[Moment]) -> Iterator[Gap]:
    """Bounds from every two moments of which the order is known."""
    by: dict[str, dict[str, dict[tuple[str, str], list[float]]]] = {}
    whole: dict[str, bool] = {}
    for moment in moments:
        kept = by.setdefault(f"{moment.program} {moment.event}", {}).setdefault(moment.key, {})
        times = kept.setdefault((moment.clock, moment.input), [])
        if not times or moment.event not in ("check", "fragment", "made"):
            times.append(moment.time)
        whole[moment.clock] = whole.get(moment.clock, True) and moment.time == int(moment.time)
    for first, second, low, high in _RULES:
        for key, ones in by.get(first, {}).items():
            others = by.get(second, {}).get(key)
            for (clock_a, _), times in ones.items() if others else ():
                for (clock_b, _), later in (others or {}).items():
                    if clock_a == clock_b or len(times) != len(later):
                        continue
                    for a, b in zip(sorted(times), sorted(later), strict=True):
                        # time that passed: (b + offset of b) - (a + offset of a) lies between low and high
                        yield Gap(clock_a, clock_b, a - b + low - whole[clock_b], a - b + high + whole[clock_a])


def _rank(name: str, uses: list[tuple[str, str]], sources: Mapping[str, Dating]) -> int:
    program = name.partition(" ")[0]
    if program == "packets":
        return RANKS.index("packets" if all(sources[input].dated for input, _ in uses) else "none")
    if program in ("fragment", "rest", "browser"):
        return RANKS.index(program)
    zoned = uses and not any(program in sources[input].zoneless or sources[input].given for input, program in uses)
    return RANKS.index("written" if zoned else "none")


def _placed(
    names: Mapping[str, list[tuple[str, str]]], sources: Mapping[str, Dating],
    pairs: Mapping[tuple[str, str], Interval], gaps: list[Gap],
) -> dict[tuple[str, str], Clock]:  # fmt: skip
    """Each clock against the surest one that it is joined with."""
    rank = {name: _rank(name, uses, sources) for name, uses in names.items()}
    order = sorted(names, key=lambda name: (rank[name], name))
    shared: dict[str, int] = {}
    for gap in gaps:
        for name in (gap.source, gap.other):
            shared[name] = shared.get(name, 0) + 1
    by_program: dict[tuple[str, str], Clock] = {}
    done: set[str] = set()
    for reference in order:
        if reference in done:
            continue
        reached = from_reference(reference, pairs)
        utc = rank[reference] < RANKS.index("none")
        first = not done
        for name, interval in reached.items():
            if name in done or name not in names:
                continue
            done.add(name)
            for input, program in names[name]:
                source = sources[input]
                judge = _judged if utc else _relative
                alone = name == reference and not first
                judged = judge(source, program, interval, alone, shared.get(name, 0))
                by_program[input, program] = replace(
                    judged, zoneless=source.given or program in source.zoneless, reference=reference.partition(" ")[2]
                )
    return _with_neighbours(by_program, sources)


def _judged(source: Dating, program: str, interval: Interval, alone: bool, shared: int) -> Clock:
    """A clock that is joined with one in UTC."""
    make = functools.partial(Clock, source.input, program, shared=shared)
    if source.given and interval.holds(0.0):
        return make(0.0, interval, "deduced")
    if source.given or program in source.zoneless:
        possible = _zones(interval)
        if len(possible) == 1:
            return make(possible[0], interval, "deduced", possible[0])
        inside = Interval(max(interval.low, EARTH.low), min(interval.high, EARTH.high))
        if possible or interval.width > NARROW:
            return make(None, inside if possible else interval, "inferred", _best(interval))
        return make(interval.middle, interval, "measured", interval.middle)
    if not source.dated:
        return make(interval.middle, interval, "measured" if interval.width <= NARROW else "deduced", interval.middle)
    if interval.holds(0.0):
        return make(0.0, interval, "inferred" if alone else "measured")
    if interval.width <= NARROW:
        return make(interval.middle, interval, "measured", interval.middle)
    return make(_best(interval), interval, "inferred", _best(interval))


def _best(interval: Interval) -> float:
    """The value of an interval that is nearest to none; of a narrow one its middle."""
    if interval.width <= NARROW:
        return interval.middle
    return 0.0 if interval.holds(0.0) else min(interval, key=abs)


def _relative(source: Dating, program: str, interval: Interval, alone: bool, shared: int) -> Clock:
    """A clock that is joined with others of which none is in UTC: only their order is known."""
    zones = _zones(interval, EARTH.low - EARTH.high, EARTH.high - EARTH.low)
    applied = zones[0] if len(zones) == 1 else _best(interval)
    return Clock(source.input, program, None, EARTH, "inferred", applied, shared)


def _with_neighbours(
    by_program: dict[tuple[str, str], Clock], sources: Mapping[str, Dating]
) -> dict[tuple[str, str], Clock]:
    """Logs that nothing joins stand in the order where all others without a zone stand; their offset stays unknown."""
    zones = {
        each.offset for each in by_program.values()
        if each.offset is not None and each.program in sources[each.input].zoneless and each.certainty == "deduced"
    }  # fmt: skip
    if len(zones) != 1:
        return by_program
    value = zones.pop()
    return {
        pair: replace(each, applied=value)
        if each.offset is None and each.bounds == EARTH and each.program in sources[each.input].zoneless else each
        for pair, each in by_program.items()
    }  # fmt: skip
