"""Mutation testing: does a test fail where a rule is wrong? ``python -m fuzz.mutants --help``.

A mutant is one change of one expression of a module, made in its syntax tree, and run in a forked process with the
tests that cover the module. What no test notices is a survivor.
"""

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("mutants.md")
ROOMS = ("judge/theory", "judge/findings", "judge/diagnosis", "judge/causes", "facts", "protocols")
SECONDS = 120  # of processor time, after which a mutant counts as killed: it hangs
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
    "judge/theory": ("test_theory.py", "test_monotony.py"),
    "judge/findings": ("test_findings.py", "test_audit_output.py", "test_deployments.py", "test_servers_files.py"),
    "judge/diagnosis": ("test_causes.py", "test_servers.py", "test_reports.py"),
    "judge/causes": ("test_causes.py", "test_sign_rules.py", "test_servers.py", "test_servers_files.py"),
    "facts/packetfilter": ("test_packetfilter.py", "test_facts.py", "test_deployments.py"),
    "facts": ("test_facts.py", "test_deployments.py", "test_servers_files.py", "test_findings.py"),
}  # fmt: skip
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.LShift: ast.RShift, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change."""

    path: Path
    line: int
    before: str
    after: str
    tree: ast.Module


def tests_of(path: Path) -> list[str]:
    """The tests that cover a module, those that are there."""
    name = path.relative_to(ROOT / "jitsilab").as_posix()
    best = max((key for key in TESTS if name.startswith(key)), key=len, default="")
    return [str(ROOT / "tests" / test) for test in TESTS.get(best, ()) if (ROOT / "tests" / test).is_file()]


def sites(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of a tree that can be changed to something else that compiles."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    typing = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id.isupper()
                    if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.stmt) and typing:
                        continue
                    if _changes(child):
                        yield child
                    yield from walk(child)

    yield from walk(tree)


def _changes(node: ast.AST) -> bool:
    match node:
        case ast.Compare(ops=[op]) | ast.BoolOp(op=op) | ast.BinOp(op=op):
            text = any(isinstance(one, ast.Constant | ast.JoinedStr) and not isinstance(getattr(one, "value", ""), int)
                       for one in ast.iter_child_nodes(node))  # fmt: skip
            return type(op) in _SWAPPED and not (isinstance(op, ast.Add) and text)
        case ast.Constant(value=bool() | int()):
            return True
        case ast.UnaryOp(op=ast.Not()) | ast.IfExp():
            return True
        case ast.If() | ast.Return(value=ast.expr()):
            return True
    return False


def change(node: ast.AST) -> None:
    """Change a node in its place."""
    match node:
        case ast.Compare():
            node.ops = [_SWAPPED[type(node.ops[0])]()]  # type: ignore[list-item]
        case ast.BoolOp() | ast.BinOp():
            node.op = _SWAPPED[type(node.op)]()  # type: ignore[assignment]
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=int(value)):
            node.value = value + 1
        case ast.UnaryOp():
            node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
        case ast.If() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return():
            node.value = ast.Constant(None)


def mutants(count: int, seed: int, rooms: Sequence[str] = ROOMS) -> Iterator[Mutant]:
    """So many mutants, a like share of each room, the same for the same seed."""
    choice = random.Random(seed)
    places = []
    for room in rooms:
        every = []
        for path in sorted((ROOT / "jitsilab" / room).rglob("*.py")):
            every += [(path, number) for number, _ in enumerate(sites(ast.parse(path.read_text())))]
        choice.shuffle(every)
        places.append(every[: -(-count // len(rooms))])
    for path, number in (one for some in zip(*places, strict=False) for one in some):
        tree = ast.parse(path.read_text())
        node = next(node for at, node in enumerate(sites(tree)) if at == number)
        before = copy.deepcopy(node)
        change(node)
        ast.fix_missing_locations(tree)
        texts = [ast.unparse(one).split("\n")[0][:90] for one in (before, node)]
        yield Mutant(path, getattr(node, "lineno", 0), *texts, tree)


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        parts = mutant.path.relative_to(ROOT).with_suffix("").parts
        self.package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.package else parts)
        self.mutant, self.done = mutant, False

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


def survives(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Whether tests pass, in a process of their own, with the mutant in its module's place."""
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            os.setpgid(0, 0)
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(silence, descriptor)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            import pytest

            if mutant is not None:
                sys.meta_path.insert(0, _Planted(mutant))
            sys.stdout = sys.stderr = io.StringIO()
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]))
        os._exit(code)
    deadline = time.monotonic() + 12 * SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main() -> int:
    """Run mutants; exit 1 where fewer than the floor are killed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.mutants", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600, help="stop after so many")
    parser.add_argument("--floor", type=float, default=0, help="share that has to be killed, of 100")
    parser.add_argument("--room", action="append", choices=ROOMS, help="may be given more than once")
    parser.add_argument("--keep", action="store_true", help="write fuzz/mutants.md")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import hypothesis  # noqa: F401 - what every test needs is loaded once, before the forks
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    import pytest  # noqa: F401

    end = time.monotonic() + arguments.minutes * 60
    whole: dict[str, bool] = {}
    run: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    left: list[Mutant] = []
    for mutant in mutants(arguments.count, arguments.seed, arguments.room or ROOMS):
        if time.monotonic() > end:
            break
        room = next(one for one in ROOMS if f"jitsilab/{one}/" in mutant.path.as_posix())
        run[room] += 1
        alive = True
        for test in tests_of(mutant.path):
            if whole.get(test, True) and not survives(mutant, [test]):
                if test not in whole:
                    whole[test] = survives(None, [test])  # a test that fails without a mutant tells nothing
                    if not whole[test]:
                        print(f"left out, fails by itself: {Path(test).name}", flush=True)
                alive = not whole[test]
            if not alive:
                break
        killed[room] += not alive
        if alive:
            left.append(mutant)
        word = "SURVIVES" if alive else "killed"
        shown = mutant.path.relative_to(ROOT)
        print(f"{word} {shown}:{mutant.line}: {mutant.before} -> {mutant.after}", flush=True)
        if arguments.keep:
            RESULTS.write_text(_table(run, killed, left, arguments.seed))
    score = 100 * killed.total() / max(1, run.total())
    print(f"{killed.total()} of {run.total()} killed: {score:.0f} of 100")
    return int(score < arguments.floor)


def _table(run: Counter[str], killed: Counter[str], left: list[Mutant], seed: int) -> str:
    lines = ["# Mutants", "", f"Made by `python -m fuzz.mutants --seed {seed} --keep`.", "",
             "| room | mutants | killed | of 100 |", "|---|---|---|---|"]  # fmt: skip
    for room in (*run, None):
        some, dead = (run[room], killed[room]) if room else (run.total(), killed.total())
        lines.append(f"| {room or 'all'} | {some} | {dead} | {100 * dead / max(1, some):.0f} |")
    lines += ["", "## Survivors", ""]
    for one in left:
        shown = one.path.relative_to(ROOT / "jitsilab")
        lines.append(f"- `{shown}:{one.line}`: `{one.before}` became `{one.after}`")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
