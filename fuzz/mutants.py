"""Mutation testing: does a test fail where a rule is wrong? ``python -m fuzz.mutants --help``.

A mutant is one change of one expression of a module (``fuzz.changes``). It is run with the tests that execute that
line, the quickest first (``fuzz.covering``), until one fails (``fuzz.planting``). What no test notices is a survivor.
"""

import argparse
import csv
import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fuzz import covering, planting
from fuzz.changes import ROOMS, ROOT, Mutant, found_again, mutants

RESULTS = Path(__file__).with_name("mutants.md")
SURVIVORS = Path(__file__).with_name("survivors.csv")  # why: `same` where it changes nothing, else `left`
STATE = covering.OUT / "results.json"
RECORDED = 200.0  # s of processor time for the tests of one file
WARM = 1.0  # s of a test whose recordings are loaded before
WARMED = ("tests/test_kept_judgments.py", "tests/test_theory.py::test_an_altered_call")
BUDGET = 12.0  # s of processor time for the tests of one mutant
TESTS = {  # by the beginning of a module's path: the tests that cover it, the quickest to fail first
    "protocols/stun": ("test_stun.py", "test_stun_table.py", "test_stun_registry.py"),
    "protocols/rtp": ("test_rtp.py",), "protocols/rtcp": ("test_rtcp.py",),
    "protocols/dtls": ("test_dtls.py",), "protocols/hello": ("test_tls.py", "test_dtls.py"),
    "protocols/tls": ("test_tls.py",), "protocols/tcp": ("test_flows.py", "test_frames_table.py"),
    "protocols/demux": ("test_demux.py", "test_labels.py", "test_units.py"),
    "protocols/sdp": ("test_sdp.py",), "protocols/jingle": ("test_jingle.py", "test_sdp.py", "test_jingle_table.py"),
    "protocols/description": ("test_jingle.py", "test_sdp.py"),
    "protocols/jitsi_sources": ("test_jingle.py", "test_jingle_table.py", "test_xmpp.py"),
    "protocols/jitmeet": ("test_xmpp.py", "test_xmpp_table.py", "test_people.py"),
    "protocols/stanza": ("test_xmpp.py", "test_xmpp_table.py"),
    "protocols/xmpp": ("test_xmpp.py", "test_xmpp_table.py"),
    "protocols/xml": ("test_xmpp.py", "test_jingle.py", "test_carriers.py"),
    "judge/theory/names": ("test_dns.py", "test_steps_of_signaling.py", "test_theory.py"),
    "judge/theory": ("test_steps_of_media.py", "test_steps_of_signaling.py", "test_theory.py"),
    "judge/findings": (
        "test_finding_rules.py", "test_findings.py", "test_audit_output.py", "test_deployments.py",
        "test_servers_files.py",
    ),
    "judge/diagnosis": (
        "test_answer_rules.py", "test_answer_words.py", "test_limits.py", "test_causes.py", "test_line_causes.py",
        "test_packet_causes.py", "test_servers.py", "test_reports.py",
    ),
    "judge/diagnosis/calls": ("test_answer_rules.py", "test_calls.py", "test_line_causes.py"),
    "judge/diagnosis/changes": ("test_against.py",),
    "judge/causes/time": ("test_clocks.py",),
    "judge/causes": (
        "test_causes.py", "test_line_causes.py", "test_packet_causes.py", "test_sign_rules.py", "test_servers.py",
        "test_servers_files.py",
    ),
    "facts/packetfilter": ("test_packetfilter.py", "test_facts.py", "test_deployments.py"),
    "facts": ("test_facts.py", "test_deployments.py", "test_servers_files.py", "test_findings.py"),
}  # fmt: skip
KEPT = ("test_edges.py", "test_kept_judgments.py")  # of the answers that all those modules make
MORE = (  # tests of what is built on those modules
    "test_signs.py", "test_probing.py", "test_planning.py", "test_narrative.py", "test_hypotheses.py", "test_sarif.py",
    "test_ice.py", "test_media.py", "test_links.py", "test_topology.py", "test_turn_in_tls.py", "test_samples.py",
)  # fmt: skip
HEAD = (
    "# Mutants", "",
    "Made by `python -m fuzz.mutants --keep` and, when tests were added, `--again --keep`. A mutant is one change of",
    "one expression; it is killed where a test fails that passes without it. What changes nothing that anybody could",
    "see counts neither way. Why a survivor is left stands in `fuzz/survivors.csv`.",
)  # fmt: skip
Row = dict[str, Any]


def tests_of(module: str) -> tuple[str, ...]:
    """The test files of a module."""
    name = module.removeprefix("jitsilab/")
    return (*TESTS[max((key for key in TESTS if name.startswith(key)), key=len)], *KEPT)


def files() -> list[Path]:
    """Every test file that is asked, those of the modules first."""
    names = dict.fromkeys([name for some in TESTS.values() for name in some] + [*KEPT, *MORE])
    return [ROOT / "tests" / name for name in names if (ROOT / "tests" / name).is_file()]


def chosen(known: covering.Covering, mutant: Mutant, budget: float) -> list[str]:
    """The tests to run: those that execute the expression, else its statement or function; the quickest first.

    What runs at import alone no test executes: then those of the module's test files, and all that use the module.
    """
    near = {f"tests/{name}" for name in tests_of(mutant.module)}
    some = next(filter(None, (known.tests(mutant.module, *lines) for lines in mutant.lines)), None)
    if some is None or not mutant.function:
        some = [*known.masks.get(mutant.module, {}), *(test for test in known.cost if test.partition("::")[0] in near)]
    weight = {test: known.cost[test] * (0.2 if test.partition("::")[0] in near else 1) for test in some}
    kept: list[str] = []
    left = budget
    for test in sorted(weight, key=lambda test: weight[test]):
        if left <= 0:
            break
        left -= known.cost[test] + 0.01
        kept.append(test)
    files: dict[str, float] = {}  # a file's fixtures are made once; the files that take least come first
    for test in kept:
        files[test.partition("::")[0]] = files.get(test.partition("::")[0], 0) + known.cost[test]
    return sorted(kept, key=lambda test: files[test.partition("::")[0]])


def warm() -> None:
    """Load the recordings whose judgments are kept: what no judge makes is then there for each of its mutants."""
    import kept_judgments

    from jitsilab.call import WIRE_TABLES

    for name in kept_judgments.NAMES:
        call = kept_judgments.opened(name)
        for table in WIRE_TABLES:
            call.table(table)
        assert call.casts


def attempt(
    mutant: Mutant, stage: planting.Stage, known: covering.Covering, sound: dict[str, bool], tell: Callable[[Row], None]
) -> Row:
    """One mutant's fate; a failure counts where the same test passes without the mutant."""
    began = time.monotonic()
    while True:
        tests = [test for test in chosen(known, mutant, stage.budget) if sound.get(test, True)]
        outcome = stage.run(mutant, tests) if tests else planting.Outcome("", 0, {})
        known.cost |= {test: max(took, known.cost.get(test, 0) / 2) for test, took in outcome.seconds.items()}
        by = outcome.killed_by
        if not by or by in sound:
            break
        again = [by] if by in tests else tests[: outcome.run + 1]  # which a hang or an import does not name
        if not stage.run(None, again).killed_by:
            sound |= {by: True} if by in tests else {}
            break
        sound[again[-1]] = False
        tell({"problem": f"left out, fails by itself: {again[-1]}"})
    return {"module": mutant.module, "room": mutant.room, "number": mutant.number, "function": mutant.function,
            "line": mutant.lines[0][0], "before": mutant.before, "after": mutant.after, "killed_by": by,
            "tests": outcome.run, "seconds": round(time.monotonic() - began, 1)}  # fmt: skip


def shared(some: Sequence[Mutant], jobs: int, end: float, stage: planting.Stage, tell: Callable[[Row], None]) -> None:
    """Try mutants, each of some processes every so manieth."""
    children = []
    for job in range(jobs):
        child = os.fork()
        if not child:
            sound: dict[str, bool] = {}
            try:
                known = covering.Covering(files())
                if stage.items is not None:
                    known.cost |= {test: WARM for test in known.cost if test.startswith(WARMED)}
                for mutant in some[job::jobs]:
                    if time.monotonic() < end:
                        tell(attempt(mutant, stage, known, sound, tell))
            except Exception as problem:
                tell({"problem": repr(problem)})
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _rows(work: Callable[[Callable[[Row], None]], None]) -> Iterator[Row]:
    """What a process tells that is forked for some work."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            with open(os.devnull, "w") as silence:  # noqa: PTH123 - a device
                os.dup2(silence.fileno(), 1)
            work(lambda row: planting.write_row(writing, row))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield from (json.loads(line) for line in lines)
    os.waitpid(child, 0)


def tried(some: list[Mutant], jobs: int, end: float, budget: float) -> Iterator[Row]:
    """The fate of mutants as it becomes known: first of those whose function can be changed after the import."""

    def within(tell: Callable[[Row], None]) -> None:
        def do(items: dict[str, pytest.Item]) -> None:
            if any(one.room.startswith("judge/") for one in some):
                warm()
            stage = planting.Stage(items, planting.functions(), covering.imported(), budget)
            here = [stage.takes(one) for one in some]
            gc.freeze()  # what is there stays shared with the processes that are forked
            tell({"elsewhere": [number for number, one in enumerate(here) if not one]})
            shared([one for one, can in zip(some, here, strict=True) if can], jobs, end, stage, tell)

        pytest.main([*covering.ARGUMENTS, *map(str, files())], plugins=[planting.Collected(do)])

    elsewhere = list(range(len(some)))
    for row in _rows(within):
        if "elsewhere" in row:
            elsewhere = row["elsewhere"]
        else:
            yield row
    left = [some[number] for number in elsewhere]
    yield from _rows(lambda tell: shared(left, jobs, end, planting.Stage(None, {}, set(), budget), tell))


def main() -> int:
    """Run mutants; exit 1 where fewer than the floor are killed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.mutants", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600, help="stop after so many")
    parser.add_argument("--floor", type=float, default=0, help="share that has to be killed, of 100")
    parser.add_argument("--room", action="append", choices=ROOMS, help="may be given more than once")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--again", action="store_true", help="only the survivors of the last run")
    parser.add_argument("--resume", action="store_true", help="only those that the last run did not come to")
    parser.add_argument("--budget", type=float, default=BUDGET, help="s of processor time for the tests of a mutant")
    parser.add_argument("--recorded", action="store_true", help="record no tests, what is recorded is enough")
    parser.add_argument("--keep", action="store_true", help="write fuzz/mutants.md")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import numpy  # noqa: F401 - what tests need is loaded once, before the forks
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    from hypothesis import settings

    settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutants")
    end = time.monotonic() + arguments.minutes * 60
    if not arguments.recorded and (old := covering.stale(files())):
        print(f"recording which lines {len(old)} test files run", flush=True)
        every = [path for room in ROOMS for path in (ROOT / "jitsilab" / room).rglob("*.py")]
        covering.record(old, every, arguments.jobs, RECORDED)
    rows = _last() if arguments.again or arguments.resume else []
    earlier: dict[tuple[str, ...], Row] = {}
    if arguments.again:
        some = []
        for row in [row for row in rows if not row["killed_by"]]:
            one = _again(row)
            if one is None:
                print(f"gone: {row['module']}:{row['line']}: {row['before']}")
                rows.remove(row)
            else:
                some.append(one)
                earlier[_place(one)] = row
    else:
        done = {_which(row) for row in rows}
        every = mutants(arguments.count, arguments.seed, arguments.room or ROOMS)
        some = [one for one in every if _place(one) not in done]
    for row in tried(some, arguments.jobs, end, arguments.budget):
        if "problem" in row:
            print(row["problem"], flush=True)
            continue
        word = f"killed by {row['killed_by']}" if row["killed_by"] else "SURVIVES"
        print(f"{row['module']}:{row['line']}: {row['before']} -> {row['after']}: {word} "
              f"({row['tests']} tests, {row['seconds']} s)", flush=True)  # fmt: skip
        if _which(row) in earlier:
            earlier[_which(row)] |= row
        else:
            rows.append(row | {"first": row["killed_by"]})
        STATE.write_text(json.dumps(rows, indent=1))
        if arguments.keep:
            RESULTS.write_text(table(rows))
    shutil.rmtree(covering.OUT / "temporary", ignore_errors=True)
    killed, counted = _score(rows)
    print(f"{killed} of {counted} killed: {100 * killed / max(1, counted):.0f} of 100")
    return int(100 * killed < arguments.floor * counted)


def _last() -> list[Row]:
    rows: list[Row] = json.loads(STATE.read_text()) if STATE.is_file() else []
    return rows


def _again(row: Row) -> Mutant | None:
    return found_again(*(row[name] for name in ("module", "number", "function", "before", "after", "line")))


def _place(one: Mutant) -> tuple[str, ...]:
    return one.module, str(one.number), one.function, one.before, one.after


def _which(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("module", "number", "function", "before", "after"))


Why = dict[tuple[str, ...], tuple[bool, str]]


def _why() -> Why:
    """Whether a mutant changes nothing, and why it is left: by module, function, before and after."""
    with SURVIVORS.open(newline="") as file:
        return {
            (row["module"], row["function"], row["before"], row["after"]): (row["kind"] == "same", row["why"])
            for row in csv.DictReader(file)
        }


def _reason(row: Row, why: Why) -> tuple[bool, str]:
    return why.get(tuple(row[name] for name in ("module", "function", "before", "after")), (False, ""))


def _score(rows: Iterable[Row]) -> tuple[int, int]:
    why = _why()
    killed = sum(bool(row["killed_by"]) for row in rows)
    return killed, killed + sum(not row["killed_by"] and not _reason(row, why)[0] for row in rows)


def table(rows: list[Row]) -> str:
    """The page of results."""
    why = _why()
    lines = [
        *HEAD,
        "",
        "| room | mutants | killed at first | killed now | change nothing | of 100 |",
        "|---|---|---|---|---|---|",
    ]
    rooms = [room for room in ROOMS if any(row["room"] == room for row in rows)]
    for room in [*rooms, ""]:
        some = [row for row in rows if not room or row["room"] == room]
        killed, counted = _score(some)
        first = sum(bool(row["first"]) for row in some)
        lines.append(f"| {room or 'all'} | {len(some)} | {first} | {killed} | {len(some) - counted} | "
                     f"{100 * killed / max(1, counted):.0f} |")  # fmt: skip
    left = [row for row in rows if not row["killed_by"]]
    for title, same in (("Survivors", False), ("Change nothing", True)):
        lines += ["", f"## {title}", ""]
        for row in left:
            nothing, reason = _reason(row, why)
            if nothing == same:
                module = row["module"].removeprefix("jitsilab/")
                shown = f"- `{module}:{row['line']}`: `{row['before']}` became `{row['after']}`"
                lines.append(f"{shown}: {reason}" if reason else shown)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
