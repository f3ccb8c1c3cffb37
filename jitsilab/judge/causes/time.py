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
    off = [one for one in case.clocks.values() if one.error >= limits.CLOCK_WRONG.value and one.offset is not None]
    browsers = [one for one in case.clocks.values() if one.program == "browser" and one.offset is not None]
    if len({one.input for one in off}) >= 2 and _together(browsers) and all(one in off for one in browsers):
        owners = {who for one in off for who in _owner(case, one)}
        if len(owners) >= 2:  # browsers of several people agree: the other clock is the wrong one
            detail = f"the clock of {off[0].reference} stands {_words(-off[0].seconds)} that of all browsers"
            yield stated("clock-wrong", _proof(case, off[0]), detail=detail, certainty="deduced")
            return
    done: set[tuple[str, ...]] = set()
    for one in off:
        who = _owner(case, one)
        if who and who in done:
            continue  # a console and a dump of one browser
        done.add(who)
        whose = "a browser's clock" if one.program == "browser" else f"the clock of {one.program}"
        detail = f"{whose} stands {_words(one.seconds)} that of {one.reference}"
        yield stated("clock-wrong", _proof(case, one), participants=who or None, detail=detail, certainty="deduced")


def _together(some: list[Clock]) -> bool:
    offsets = [one.offset for one in some if one.offset is not None]
    return len(offsets) >= 2 and max(offsets) - min(offsets) <= limits.CLOCK_TOGETHER.value


def _words(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'}"


def _owner(case: Case, one: Clock) -> tuple[str, ...]:
    """Whose browser it is."""
    if one.program != "browser":
        return ()
    named = [each.participant for each in case.trail if each.input == one.input and each.participant]
    return (max(named, key=named.count),) if named else ()


def _proof(case: Case, one: Clock) -> list[Event]:
    """A happening of this source, and the same of another."""
    mine = [each for each in case.trail.of(*_SHARED) if each.input == one.input and each.program == one.program]
    for event in mine:
        for other in case.trail.of(*_SHARED, participant=event.participant):
            if other.input != event.input and other.program != event.program and other.event == event.event:
                return [event, other]
    return mine[:1]


RULES: tuple[Rule, ...] = (Rule("clock-wrong", ("browser", "jvb", "jicofo", "prosody", "nginx"), clocks),)
