"""Which tests run which lines of the rules' modules, and what each costs by itself.

Recorded once for each test file, and again when it or one of those modules changes: the tests run with a trace that
looks at those modules only. What a test does not do itself because an earlier one did it (a loaded recording, a fixture
of a module) counts as its own, with its cost: in a process of its own it would have to.
"""

import contextlib
import functools
import gzip
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "mutants"
ARGUMENTS = (  # what the process before the fork imported or left open is no test's fault
    "-q", "-p", "no:cacheprovider", "--no-header", "-m", "not slow", "-W", "ignore::ResourceWarning",
    "-W", "ignore::pytest.PytestUnraisableExceptionWarning", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
PROGRAMS = ("test_packetfilter.py", "test_tls.py")  # whose tests with a program (the kernel, tshark) are worth it
CALLS = 200  # of one function in one test whose lines are looked at; the later ones go the same ways
Mask = int  # the lines of a module, a bit each
Lines = dict[str, set[int]]


class Scope:
    """What ran within a test, a fixture or something cached."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.calls: dict[int, int] = {}
        self.shared: dict[int, Scope] = {}
        self.began, self.within, self.seconds = time.process_time(), 0.0, 0.0

    def end(self) -> float:
        """Stop the clock, and how long it ran; its own cost is what the scopes within did not take."""
        elapsed = time.process_time() - self.began
        self.seconds = elapsed - self.within
        return elapsed

    def whole(self) -> "tuple[Lines, float]":
        """The lines and the cost, with those of what it found ready."""
        lines, seconds = {path: set(some) for path, some in self.lines.items()}, self.seconds
        waiting, seen = list(self.shared.values()), {id(self)}
        while waiting:
            one = waiting.pop()
            if id(one) not in seen:
                seen.add(id(one))
                seconds += one.seconds
                waiting += one.shared.values()
                for path, some in one.lines.items():
                    lines.setdefault(path, set()).update(some)
        return lines, seconds


class Tracer:
    """Follows what runs in some files, into the innermost open scope."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = {str(path) for path in files}
        self.scopes: list[Scope] = []
        self.codes: dict[int, CodeType] = {}

    def start(self) -> None:
        """Follow this thread and those begun from now on."""
        threading.settrace(self._called)
        sys.settrace(self._called)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Scope]:
        """What runs within."""
        scope = Scope()
        self.scopes.append(scope)
        try:
            yield scope
        finally:
            elapsed = scope.end()
            self.scopes.remove(scope)
            for outer in self.scopes[-1:]:
                outer.within += elapsed
                outer.shared[id(scope)] = scope

    def again(self, scope: Scope | None) -> None:
        """Something that ran before was used now."""
        if scope is not None and self.scopes and scope is not self.scopes[-1]:
            self.scopes[-1].shared[id(scope)] = scope

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in self.files or not self.scopes:
            return None
        scope = self.scopes[-1]
        self.codes[id(code)] = code
        count = scope.calls[id(code)] = scope.calls.get(id(code), 0) + 1
        if count > CALLS:
            return None
        add = scope.lines.setdefault(code.co_filename, set()).add
        add(frame.f_lineno)

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                add(frame.f_lineno)
            return line

        return line


def _follow_caches(tracer: Tracer) -> None:
    """Have functions and properties of this project that are cached say what they once ran."""
    real, real_property = functools.cache, functools.cached_property

    def cache(function: Callable[..., Any]) -> Callable[..., Any]:
        cached = real(function)
        if not str(getattr(getattr(function, "__code__", None), "co_filename", "")).startswith(str(ROOT)):
            return cached
        ran: dict[Any, Scope] = {}

        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            key = (args, *sorted(named.items()))
            if key in ran:
                tracer.again(ran[key])
                return cached(*args, **named)
            with tracer.scope() as scope:
                value = cached(*args, **named)
            ran[key] = scope
            return value

        call.cache_clear, call.cache_info = cached.cache_clear, cached.cache_info  # type: ignore[attr-defined]
        return call

    class Property(real_property):  # type: ignore[misc,type-arg]
        """Asked each time, since it can also be set."""

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            if instance is None:
                return self
            kept = instance.__dict__
            scopes = kept.get("__scopes__") or {}
            if self.attrname in kept:
                tracer.again(scopes.get(self.attrname))
                return kept[self.attrname]
            if not str(getattr(self.func.__code__, "co_filename", "")).startswith(str(ROOT / "jitsilab" / "call")):
                return super().__get__(instance, owner)
            with tracer.scope() as scope:
                value = super().__get__(instance, owner)
            kept["__scopes__"] = {**scopes, self.attrname: scope}
            return value

        def __set__(self, instance: Any, value: Any) -> None:
            instance.__dict__[self.attrname] = value

    functools.cache = cache
    functools.cached_property = Property  # type: ignore[misc]


class Quick:
    """A plugin of pytest that leaves out tests that need a program."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Those of PROGRAMS stay."""
        items[:] = [one for one in items if one.path.name in PROGRAMS or one.get_closest_marker("tool") is None]


class Recording(Quick):
    """A plugin of pytest that runs what was collected, each file's tests in a process, and writes what they ran."""

    def __init__(self, tracer: Tracer, files: Sequence[Path], jobs: int, seconds: float) -> None:
        self.tracer, self.files, self.jobs, self.seconds = tracer, files, jobs, seconds
        self.failed: set[str] = set()
        self.fixtures: dict[int, Scope] = {}
        self.imported = Scope()
        tracer.scopes.append(self.imported)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        self.tracer.scopes.remove(self.imported)
        sys.settrace(None)
        OUT.mkdir(parents=True, exist_ok=True)
        ran = (self.tracer.codes[number] for number in self.imported.calls)
        at_import = sorted((_name(one.co_filename), one.co_firstlineno, one.co_qualname) for one in ran)
        (OUT / "imported.json").write_text(json.dumps(sorted({*at_import, *imported()})))
        groups: dict[Path, list[pytest.Item]] = {path: [] for path in self.files}
        for item in session.items:
            groups.setdefault(item.path, []).append(item)
        running: set[int] = set()
        for path, items in groups.items():
            while len(running) >= self.jobs:
                running.discard(os.wait()[0])
            child = os.fork()
            if not child:
                with contextlib.suppress(BaseException):
                    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(temporary())
                    self._run(path, items)
                os._exit(0)
            running.add(child)
        while running:
            running.discard(os.wait()[0])
        return True

    def _run(self, path: Path, items: list[pytest.Item]) -> None:
        tests: dict[str, Any] = {}
        end = time.process_time() + self.seconds
        self.tracer.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            if time.process_time() > end:
                break
            with self.tracer.scope() as scope:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            definitions = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009 - no public name
            shared = [self.fixtures.get(id(one)) for some in definitions for one in some]
            scope.shared |= {id(one): one for one in shared if one is not None}
            if item.nodeid not in self.failed:
                lines, seconds = scope.whole()
                masks = {_name(path): hex(sum(1 << line for line in some)) for path, some in lines.items()}
                tests[item.nodeid] = [round(seconds, 3), masks]
        sys.settrace(None)
        target = OUT / f"{path.stem}.json.gz"
        part = target.with_name(f".part-{target.name}")
        part.write_bytes(gzip.compress(json.dumps({"key": key(path), "tests": tests}).encode()))
        part.rename(target)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """A fixture that more than one test uses has a scope of its own."""
        if fixturedef.scope == "function":
            return (yield)
        with self.tracer.scope() as scope:
            value = yield
        self.fixtures[id(fixturedef)] = scope
        return value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tests that fail or are skipped tell nothing."""
        if not report.passed:
            self.failed.add(report.nodeid)


def _name(path: str) -> str:
    return Path(path).relative_to(ROOT).as_posix()


def temporary() -> Path:
    """A folder for what this process and its tests write."""
    folder = OUT / "temporary" / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.lru_cache(maxsize=1)
def _modules_key() -> bytes:
    from fuzz.changes import ROOMS

    every = sorted(path for room in ROOMS for path in (ROOT / "jitsilab" / room).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in every)).digest()


def key(path: Path) -> str:
    """What a recording of a test file depends on."""
    return hashlib.sha256(_modules_key() + path.read_bytes()).hexdigest()


def _kept(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(gzip.decompress((OUT / f"{path.stem}.json.gz").read_bytes()))
    except (OSError, ValueError):
        return {}
    return found


def imported() -> set[tuple[str, int, str]]:
    """The functions that run where the project and its tests are imported: file, first line, name."""
    path = OUT / "imported.json"
    return {tuple(code) for code in json.loads(path.read_text())} if path.is_file() else set()


def record(paths: Sequence[Path], modules: Sequence[Path], jobs: int, seconds: float) -> None:
    """Record test files, in a process of its own; each as far as it comes in so many seconds."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    with contextlib.suppress(BaseException):
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(silence, descriptor)
        tracer = Tracer(modules)
        _follow_caches(tracer)
        plugin = Recording(tracer, paths, jobs, seconds)
        tracer.start()
        pytest.main([*ARGUMENTS, *map(str, paths)], plugins=[plugin])
    os._exit(0)


class Covering:
    """Tests by the lines they run."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.cost: dict[str, float] = {}
        self.masks: dict[str, dict[str, Mask]] = {}  # by module, then test
        for path in paths:
            for test, (seconds, lines) in _kept(path).get("tests", {}).items():
                self.cost[test] = seconds
                for module, mask in lines.items():
                    self.masks.setdefault(module, {})[test] = int(mask, 16)

    def tests(self, module: str, first: int, last: int) -> list[str]:
        """Those that run one of these lines."""
        mask = sum(1 << line for line in range(first, last + 1))
        return [test for test, some in self.masks.get(module, {}).items() if some & mask]


def stale(paths: Sequence[Path]) -> list[Path]:
    """Test files of which there is no recording, or one of something else."""
    return [path for path in paths if _kept(path).get("key") != key(path)]
