"""Whether a clock is wrong: where two sources that date the same happening disagree by what no zone explains."""

from collections.abc import Iterator

from jitsilab.analysis import limits
from jitsilab.case.clocks import Clock
from jitsilab.judge.causes.statement import Case, Rule, Statement, stated
from jitsilab.judge.causes.trail import Event

#: happenings of one participant that two sources date, the surest first
_SHARED = ("offer-sent", "answer-received", "ice-connected", "dtls-done", "participant-joined", "logged-in")


def clocks(case: Case) -> Iterator[Statement]:
    """A browser's or a server's clock that stands apart from the case's by more than bounds and zones leave open."""
    off = [
        clock for clock in case.clocks.values() if clock.error >= limits.CLOCK_WRONG.value and clock.offset is not None
    ]
    browsers = [clock for clock in case.clocks.values() if clock.program == "browser" and clock.offset is not None]
    if len({clock.input for clock in off}) >= 2 and _together(browsers) and all(clock in off for clock in browsers):
        owners = {who for clock in off for who in _owner(case, clock)}
        if len(owners) >= 2:  # browsers of several people agree: the other clock is the wrong one
            detail = f"the clock of {off[0].reference} stands {_words(-off[0].seconds)} that of all browsers"
            yield stated("clock-wrong", _proof(case, off[0]), detail=detail, certainty="deduced")
            return
    done: set[tuple[str, ...]] = set()
    for clock in off:
        who = _owner(case, clock)
        if who and who in done:
            continue  # a console and a dump of one browser
        done.add(who)
        whose = "a browser's clock" if clock.program == "browser" else f"the clock of {clock.program}"
        detail = f"{whose} stands {_words(clock.seconds)} that of {clock.reference}"
        yield stated("clock-wrong", _proof(case, clock), participants=who or None, detail=detail, certainty="deduced")


def _together(browsers: list[Clock]) -> bool:
    offsets = [clock.offset for clock in browsers if clock.offset is not None]
    return len(offsets) >= 2 and max(offsets) - min(offsets) <= limits.CLOCK_TOGETHER.value


def _words(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'}"


def _owner(case: Case, clock: Clock) -> tuple[str, ...]:
    """Whose browser it is."""
    if clock.program != "browser":
        return ()
    named = [each.participant for each in case.trail if each.input == clock.input and each.participant]
    return (max(named, key=named.count),) if named else ()


def _proof(case: Case, clock: Clock) -> list[Event]:
    """A happening of this source, and the same of another."""
    events = [
        each for each in case.trail.select(*_SHARED) if each.input == clock.input and each.program == clock.program
    ]
    for event in events:
        for other in case.trail.select(*_SHARED, participant=event.participant):
            if other.input != event.input and other.program != event.program and other.event == event.event:
                return [event, other]
    return events[:1]


RULES: tuple[Rule, ...] = (Rule("clock-wrong", ("browser", "jvb", "jicofo", "prosody", "nginx"), clocks),)
