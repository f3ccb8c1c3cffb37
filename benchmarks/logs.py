"""How fast a large log is read, beside ``grep -c`` over the same bytes: ``python -m benchmarks.logs LOG... [-m MB]``.

The logs given are repeated until they have so many megabytes. Events alone are asked for; the peak of memory is the
whole process's, libraries included.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jitsilab.inputs import logs
from jitsilab.inputs.source import HEAD


@dataclass
class OnDisk:
    """A file as a delivery."""

    path: Path
    input: str = "log"

    def open(self) -> BinaryIO:
        """The bytes from the start."""
        return self.path.open("rb")

    @property
    def head(self) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(HEAD)


def measure(path: Path) -> dict[str, float]:
    """Seconds and megabytes of memory for the events of a log, and how often ``grep -c`` would have read it."""
    delivery = OnDisk(path)
    kind, _ = logs.kind_of(delivery.head)
    source = next(kind_ for kind_ in logs.KINDS if kind_.name == kind).open(delivery)
    before = time.process_time()
    events = sum(len(rows.rows) for rows in source.rows(frozenset({"events"})))
    seconds = time.process_time() - before
    start = time.perf_counter()
    subprocess.run(["grep", "-c", "SASLError\\|ICE state", str(path)], check=False, capture_output=True)
    grep = time.perf_counter() - start
    size = path.stat().st_size / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {
        "MB": size, "events": events, "seconds": seconds, "MB/s": size / seconds, "grep -c s": grep,
        "ratio": seconds / max(grep, 1e-9), "memory MB": memory,
    }  # fmt: skip


def main(arguments: list[str]) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="+", type=Path)
    parser.add_argument("-m", "--megabytes", type=int, default=100)
    of = parser.parse_args(arguments)
    text = b"".join(path.read_bytes() for path in of.logs)
    with tempfile.NamedTemporaryFile(suffix=".log") as file:
        for _ in range(max(1, of.megabytes * 1_000_000 // len(text))):
            file.write(text)
        file.flush()
        del text
        for name, value in measure(Path(file.name)).items():
            sys.stdout.write(f"{name:>10} {value:12.1f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
