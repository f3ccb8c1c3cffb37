"""Put a mutant where its original is, and run tests with it, in a process of its own.

A function's mutant takes the place of its code in a process that has collected every test already. What runs where a
module is imported, a table's entry or a default, needs a process that has not imported the project yet.
"""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest

from fuzz import covering
from fuzz.changes import ROOT, Mutant

HANG = 60  # s of processor time beyond what the tests may take: then it hangs, which is noticed
MEMORY = 12 << 30


class Outcome(NamedTuple):
    """How tests went."""

    killed_by: str  # the test that failed first, "a hang"; empty where all passed
    run: int  # tests
    seconds: dict[str, float]


class _Run:
    """A plugin of pytest that runs some of the collected tests, in an order, until one fails or the time is over."""

    def __init__(self, tests: Sequence[str], budget: float, tell: Callable[[dict[str, Any]], None]) -> None:
        self.tests, self.budget, self.tell = tests, budget, tell
        self.failed = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        self.run({item.nodeid: item for item in session.items})
        return True

    def run(self, items: dict[str, pytest.Item]) -> None:
        """Run them."""
        chosen = [items[test] for test in self.tests if test in items]
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            began = time.process_time()
            if began > self.budget:
                break
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.tell({"test": item.nodeid, "seconds": round(time.process_time() - began, 3), "failed": self.failed})
            if self.failed:
                break

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first failure."""
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported any more is a failure too."""
        if report.failed and not self.failed:
            self.failed = report.nodeid
            self.tell({"test": report.nodeid, "seconds": 0.0, "failed": self.failed})


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        parts = mutant.path.relative_to(ROOT).with_suffix("").parts
        self.package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.package else parts)
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only of the module that is changed."""
        if fullname != self.name:
            return None
        where = [str(self.mutant.path.parent)] if self.package else None
        return importlib.util.spec_from_file_location(
            fullname, self.mutant.path, loader=self, submodule_search_locations=where
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed module."""
        exec(compile(self.mutant.tree, str(self.mutant.path), "exec"), module.__dict__)


Place = tuple[str, int, str]  # file, first line, qualified name


def functions() -> dict[Place, list[FunctionType]]:
    """The functions of the project that are there, by where they are written."""
    found: dict[Place, list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(ROOT / "jitsilab")):
            code = one.__code__
            found.setdefault((code.co_filename, code.co_firstlineno, code.co_qualname), []).append(one)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)


def replacement(
    mutant: Mutant, there: dict[Place, list[FunctionType]], imported: set[tuple[Any, ...]]
) -> tuple[list[FunctionType], CodeType] | None:
    """The functions to change and the code they get; None where the module has to be imported anew."""
    place = (str(mutant.path), mutant.function_line, mutant.function)
    if not mutant.function or place not in there or (mutant.module, *place[1:]) in imported:
        return None
    every = [code for code in _codes(compile(mutant.tree, str(mutant.path), "exec"))
             if (code.co_firstlineno, code.co_qualname) == place[1:]]  # fmt: skip
    olds = {id(one.__code__): one.__code__ for one in there[place]}
    if len(every) != 1 or len(olds) != 1:  # two lambdas in a line
        return None
    [old] = olds.values()
    return (there[place], every[0]) if old.co_freevars == every[0].co_freevars else None


class Stage(NamedTuple):
    """Where tests run: what was collected in this process, or nothing yet."""

    items: dict[str, pytest.Item] | None
    there: dict[Place, list[FunctionType]]
    imported: set[tuple[Any, ...]]
    budget: float  # s of processor time for the tests of one mutant

    def takes(self, mutant: Mutant) -> bool:
        """Whether a mutant can be planted here."""
        return self.items is None or replacement(mutant, self.there, self.imported) is not None

    def plant(self, mutant: Mutant) -> None:
        """Put it in its place, for good."""
        if self.items is None:
            sys.meta_path.insert(0, _Planted(mutant))
            return
        found = replacement(mutant, self.there, self.imported)
        for function in found[0] if found else ():
            function.__code__ = found[1]  # type: ignore[index]

    def run(self, mutant: Mutant | None, tests: Sequence[str]) -> Outcome:
        """Run tests with a mutant, or without any, in a process that is forked for it."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                os.setpgid(0, 0)
                self._run(mutant, tests, writing)
                code = 0
            os._exit(code)
        os.close(writing)
        text = b""
        deadline = time.monotonic() + 20 * (self.budget + HANG)
        while time.monotonic() < deadline:
            if select.select([reading], [], [], 1)[0]:
                some = os.read(reading, 1 << 16)
                if not some:
                    break
                text += some
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        shutil.rmtree(covering.OUT / "temporary" / str(child), ignore_errors=True)
        rows = [json.loads(line) for line in text.splitlines() if line.endswith(b"}")]
        failed = next((row["failed"] for row in rows if row["failed"]), "")
        ended = any("ended" in row for row in rows)
        rows = [row for row in rows if "test" in row]
        return Outcome(failed or ("" if ended else "a hang"), len(rows), {row["test"]: row["seconds"] for row in rows})

    def _run(self, mutant: Mutant | None, tests: Sequence[str], writing: int) -> None:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        limit = int(self.budget) + HANG
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(covering.temporary())

        def tell(row: dict[str, Any]) -> None:
            write_row(writing, row)

        if mutant is not None:
            self.plant(mutant)
        run = _Run(tests, self.budget, tell)
        if self.items is None:
            files = dict.fromkeys(test.partition("::")[0] for test in tests)
            pytest.main([*covering.ARGUMENTS, *files], plugins=[run])
        else:
            next(iter(self.items.values())).config.pluginmanager.register(run)
            run.run(self.items)
        tell({"ended": True, "failed": run.failed})


def write_row(pipe: int, row: dict[str, Any]) -> None:
    """A row for whoever reads the pipe; rows of several processes do not mix, since each is short."""
    os.write(pipe, json.dumps(row).encode() + b"\n")


class Collected(covering.Quick):
    """A plugin of pytest that does something where the tests would run, with all that was collected."""

    def __init__(self, do: Callable[[dict[str, pytest.Item]], None]) -> None:
        self.do = do

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        self.do({item.nodeid: item for item in session.items})
        return True
