"""Mutants: each one change of one expression of a module, made in its syntax tree."""

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("judge/theory", "judge/findings", "judge/diagnosis", "judge/causes", "facts", "protocols")
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.LShift: ast.RShift, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Mutant(NamedTuple):
    """One change."""

    path: Path
    number: int  # of the places of this module that can be changed
    function: str  # the name of the outermost function around it, with its class; empty where there is none
    function_line: int  # where that function begins
    lines: tuple[tuple[int, int], ...]  # of the expression, its statement, its function
    before: str
    after: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The path in the project."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        """Which of ROOMS."""
        return next(one for one in ROOMS if self.module.startswith(f"jitsilab/{one}/"))

    @property
    def text(self) -> str:
        """In a line."""
        return f"{self.module}:{self.lines[0][0]}: {self.before} -> {self.after}"


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
        case ast.Return(value=ast.Constant(value=None)):
            return False
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


def mutant(path: Path, number: int) -> Mutant:
    """One mutant of a module."""
    tree = ast.parse(path.read_text())
    node = next(node for at, node in enumerate(sites(tree)) if at == number)
    around = _around(tree, node)
    functions = [one for one in around if isinstance(one, _FUNCTIONS)]
    statement = next((one for one in reversed([*around, node]) if isinstance(one, ast.stmt)), node)
    lines = (_lines(node), _lines(statement), _lines(functions[-1] if functions else statement))
    name, line = _named(around, functions[0]) if functions else ("", 0)
    before = copy.deepcopy(node)
    change(node)
    ast.fix_missing_locations(tree)
    return Mutant(path, number, name, line, lines, _text(before), _text(node), tree)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split("\n")[0].split())[:90]


def _lines(node: ast.AST) -> tuple[int, int]:
    """From where to where; of a statement with others within, its head."""
    first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    if isinstance(node, ast.If):
        last = getattr(node.test, "end_lineno", last)
    elif isinstance(node, ast.For):
        last = getattr(node.iter, "end_lineno", last)
    elif isinstance(node, ast.With | ast.Try | ast.Match | ast.While):
        last = first
    return first, last


def _around(tree: ast.Module, wanted: ast.AST) -> list[ast.AST]:
    """What a node lies in, the outermost first; the default of a parameter does not lie in its function."""

    def walk(node: ast.AST, within: list[ast.AST]) -> list[ast.AST] | None:
        if node is wanted:
            return within
        for child in ast.iter_child_nodes(node):
            inside = within if isinstance(child, ast.arguments) and isinstance(node, _FUNCTIONS) else [*within, node]
            found = walk(child, inside)
            if found is not None:
                return found
        return None

    return walk(tree, []) or []


def _named(around: Sequence[ast.AST], function: ast.AST) -> tuple[str, int]:
    """The qualified name and first line of a function, as its code has them."""
    classes = [one.name for one in around[: around.index(function)] if isinstance(one, ast.ClassDef)]
    name = "<lambda>" if isinstance(function, ast.Lambda) else function.name  # type: ignore[attr-defined]
    decorators = [one.lineno for one in getattr(function, "decorator_list", [])]
    return ".".join([*classes, name]), min([function.lineno, *decorators])  # type: ignore[attr-defined]


def mutants(count: int, seed: int, rooms: Sequence[str] = ROOMS) -> Iterator[Mutant]:
    """So many mutants, a like share of each room, the same for the same seed."""
    places = []
    for room in rooms:
        every, choice = [], random.Random(f"{seed} {room}")  # what changes in one room leaves the others' as they are
        for path in sorted((ROOT / "jitsilab" / room).rglob("*.py")):
            every += [(path, number) for number, _ in enumerate(sites(ast.parse(path.read_text())))]
        choice.shuffle(every)
        places.append(every[: -(-count // len(rooms))])
    for path, number in (one for some in zip(*places, strict=False) for one in some):
        yield mutant(path, number)


def found_again(module: str, number: int, function: str, before: str, after: str, line: int) -> Mutant | None:
    """The same change in the module as it is now, or None where that expression is gone."""
    path = ROOT / module
    if not path.is_file():
        return None
    places = list(enumerate(sites(ast.parse(path.read_text()))))
    alike = [mutant(path, at) for at, node in places if _text(node) == before]
    same = [one for one in alike if (one.function, one.after) == (function, after)]
    return min(same, key=lambda one: (one.number != number, abs(one.lines[0][0] - line)), default=None)
