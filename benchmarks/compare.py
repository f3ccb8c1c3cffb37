"""Two commits on the same captures, in turns: ``python -m benchmarks.compare OLD [NEW] [--size N] [--rounds N]``.

Each commit is checked out into a folder of its own (``git worktree``) and measured with this interpreter; what slows
the machine slows both. NEW is the working tree where it is not given.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import HERE, Contender

ROOT = HERE.parent
COMMANDS = {
    "table frames": ["table", "frames", "{path}"], "table media": ["table", "media", "{path}"],
    "diagnose": ["diagnose", "{path}"], "audit": ["audit", "--fail-on", "never", "{path}"],
}  # fmt: skip


def contenders(tree: Path, names: list[str]) -> list[Contender]:
    """The commands as one tree has them."""
    run = ["env", f"PYTHONPATH={tree}", sys.executable, "-m", "jitsilab"]
    return [Contender(name, [*run, *COMMANDS[name]], 1 << 62) for name in names]


def table(old: list[Contender], new: list[Contender], size: int) -> list[str]:
    """Lines: command, seconds and memory of both, and how many times as long the old one takes."""
    lines = [f"{'':<14} {'old s':>8} {'new s':>8} {'ratio':>6} {'old MB':>8} {'new MB':>8}"]
    for one, other in zip(old, new, strict=True):
        ratio = one.seconds[size] / other.seconds[size]
        lines.append(
            f"{one.name:<14} {one.seconds[size]:8.2f} {other.seconds[size]:8.2f} {ratio:6.2f} "
            f"{one.memory[size] / 1e6:8.0f} {other.memory[size] / 1e6:8.0f}"
        )
    return lines


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", nargs="?", help="another (default: the working tree)")
    parser.add_argument("--size", type=int, default=100_000, help="frames of the capture")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    parser.add_argument("--only", nargs="+", choices=sorted(COMMANDS), default=list(COMMANDS))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        capture = Path(temporary) / "capture.pcap"
        made = [sys.executable, "-m", "benchmarks.captures", str(capture), str(given.size), "262144"]
        subprocess.run(made, cwd=ROOT, check=True)
        trees = []
        try:
            for number, commit in enumerate((given.old, given.new)):
                if commit is None:
                    trees.append(ROOT)
                    continue
                tree = Path(temporary) / f"tree{number}"
                command = ["git", "worktree", "add", "--quiet", "--detach", str(tree), commit]
                subprocess.run(command, cwd=ROOT, check=True)
                trees.append(tree)
            both = [contenders(tree, given.only) for tree in trees]
            for _ in range(given.rounds):
                for one in (each for pair in zip(*both, strict=True) for each in pair):
                    seconds, memory = one.run(capture)
                    one.seconds[given.size] = min(seconds, one.seconds.get(given.size, seconds))
                    one.memory[given.size] = min(memory, one.memory.get(given.size, memory))
            print("\n".join(table(*both, given.size)))
        finally:
            for tree in trees:
                if tree != ROOT:
                    subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=False)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(sys.argv[1:])
