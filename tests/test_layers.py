"""The rooms of the house: a module imports only what stands above it, so data goes one way."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "jitsilab"

FLOORS = [  # from the ground up; several names on one floor may not import each other
    ("errors", "terminal", "ip", "numerals", "place", "outputs"), ("protocols",), ("pcap",), ("wire",), ("tables",),
    ("facts",), ("analysis",), ("case",), ("inputs",), ("judge",), ("deploy",), ("call",),
    ("sharing", "recording", "fleet", "assistants"), ("pages",), ("commands",), ("cli",), ("__main__",),
]  # fmt: skip
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    """The first name below the package: the module, or the folder it is in."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path, everywhere: bool = True) -> Iterator[str]:
    """Names of modules that a file imports; TYPE_CHECKING imports count, since a type is a dependency too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    assert here in FLOOR, f"{here} has no floor: give it one here and in docs/design.md"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "jitsilab" and len(parts) > 1 and parts[1] in FLOOR and parts[1] != here:
            assert FLOOR[parts[1]] <= FLOOR[here], f"{path.name} imports {name}, which stands above it"


@pytest.mark.parametrize("path", sorted((ROOT / "protocols").glob("*.py")), ids=lambda p: p.name)
def test_decoders_use_the_standard_library_only(path: Path) -> None:
    import sys

    for name in imported(path):
        assert name.split(".")[0] in {"jitsilab", *sys.stdlib_module_names}, f"{path.name} imports {name}"


ONLY = {  # a package: the one room that may import it
    "matplotlib": {"pages"}, "IPython": {"pages"}, "papermill": {"pages"}, "h11": {"wire"},
    "hpack": {"wire", "sharing"}, "hyperframe": {"wire"}, "wsproto": {"wire"}, "scapy": {"pcap", "recording"},
    "dns": {"tables"},
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_library_has_one_door(path: Path) -> None:
    for name in imported(path):
        owners = ONLY.get(name.split(".")[0])
        assert owners is None or room(path) in owners, f"{room(path)} imports {name}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if "__all__" in p.read_text()], ids=lambda p: str(p.relative_to(ROOT))
)
def test_what_a_module_offers_is_there(path: Path) -> None:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
