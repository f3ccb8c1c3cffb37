"""docs/robustness.md says the limits that the code has, and no pattern that meets evidence takes long over any line."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from robustness_page import BOUNDS, PAGE, page, value

from jitsilab import call
from jitsilab.errors import Problem

try:
    from re import _constants, _parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10 and before
    pytest.skip("no parser of patterns", allow_module_level=True)

LINE = 8192  # characters of a line
SECONDS = 1.0  # of processor time
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def test_the_page_has_the_limits_of_the_code() -> None:
    old = PAGE.read_text(encoding="utf-8")
    assert page(old) == old, "python tests/robustness_page.py"


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda one: one.place)
def test_a_limit_is_a_positive_number_with_a_reason(bound: Any) -> None:
    assert value(bound) > 0
    assert len(bound.why) > 8


def test_errors_are_bounded_and_say_how_many_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "MOST_PROBLEMS", 3)
    rows = [("a", Problem(n, "STUN", 0, "bad")) for n in range(8)] + [("b", Problem(1, "STUN", 0, "bad"))]
    kept = call._bounded(rows)
    assert [one.frame for _, one in kept] == [0, 1, 2, 1, 0]
    assert kept[-1] == ("a", Problem(0, "STUN", 0, "5 more of these"))


def patterns() -> dict[str, "re.Pattern[str]"]:
    """Every pattern of a program's log, as the reader compiles it, by where it stands."""
    from jitsilab.inputs.logs.patterns import jicofo, jvb, others

    found = {}
    for module in (jicofo, jvb, others):
        for name, some in vars(module).items():
            for number, one in enumerate(some if isinstance(some, tuple) else ()):
                if hasattr(one, "event"):
                    found[f"{module.__name__.rpartition('.')[2]}:{name}:{number}"] = re.compile(one.text, re.MULTILINE)
    assert len(found) > 50
    return found


def sample(items: Any) -> str:
    """A short text that a parsed pattern matches, more or less."""
    return "".join(_sample(operator, argument) for operator, argument in items)


def _sample(operator: Any, argument: Any) -> str:
    match operator:
        case _constants.LITERAL:
            return chr(argument)
        case _constants.NOT_LITERAL | _constants.ANY:
            return "a" if argument != ord("a") else "b"
        case _constants.IN:
            return _member(argument)
        case _constants.MAX_REPEAT | _constants.MIN_REPEAT | _constants.POSSESSIVE_REPEAT:
            return sample(argument[2]) * argument[0]
        case _constants.SUBPATTERN:
            return sample(argument[3])
        case _constants.BRANCH:
            return sample(argument[1][0])
    return ""


def _member(items: Any) -> str:
    classes = {
        _constants.CATEGORY_DIGIT: "1", _constants.CATEGORY_SPACE: " ", _constants.CATEGORY_WORD: "a",
        _constants.CATEGORY_NOT_SPACE: "a", _constants.CATEGORY_NOT_DIGIT: "a", _constants.CATEGORY_NOT_WORD: "-",
    }  # fmt: skip
    if items[0][0] is _constants.NEGATE:
        taken = {one for kind, one in items[1:] if kind is _constants.LITERAL}
        return next(char for char in "a1 .-" if ord(char) not in taken)
    kind, one = items[0]
    return (
        chr(one) if kind is _constants.LITERAL else chr(one[0]) if kind is _constants.RANGE else classes.get(one, "a")
    )


def slow_lines(items: Any, before: str = "") -> Iterator[str]:
    """Lines on which each unbounded repetition of a pattern runs long and then fails."""
    for operator, argument in items:
        if operator in REPEATS:
            once = sample(argument[2]) or "a"
            if argument[1] > 64:
                yield (before + once * (LINE // len(once)))[:LINE] + "\x00"
            yield from slow_lines(argument[2], before)
        elif operator is _constants.SUBPATTERN:
            yield from slow_lines(argument[3], before)
        elif operator is _constants.BRANCH:
            for branch in argument[1]:
                yield from slow_lines(branch, before)
        before += _sample(operator, argument)


@pytest.mark.parametrize(("place", "pattern"), patterns().items())
def test_no_pattern_takes_long_over_a_line(place: str, pattern: "re.Pattern[str]") -> None:
    lines = [*slow_lines(_parser.parse(pattern.pattern, pattern.flags)), "a" * LINE, "1" * LINE, " " * LINE]
    for line in dict.fromkeys(lines):
        begin = time.process_time()
        pattern.match(line)
        took = time.process_time() - begin
        assert took < SECONDS, f"{took:.1f} s over {line[:60]!r}..."


def test_a_slow_pattern_is_found() -> None:
    (line, *_) = slow_lines(_parser.parse(r"x(a+)+$"))
    assert line.startswith("xaaaa")
    begin = time.process_time()
    re.search(r"x(a+)+$", line[:24] + "\x00")
    assert time.process_time() - begin > 0.05
