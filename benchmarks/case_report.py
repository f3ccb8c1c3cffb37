"""How long the case report of a recording takes beside tshark printing nine fields of the same capture.

``python -m benchmarks.case_report`` writes ``case-report.md``. Processor time of each whole process, the best of the
rounds: it differs little with what else the machine does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import ALIKE, HERE, TSHARK
from jitsilab.inputs import registry

RECORDINGS = ("turn-refused", "bridge-killed", "turn-refused-long")
ROUNDS = 3


def processor_seconds(argv: list[str]) -> float:
    """User and system time of one run."""
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HERE.parent, env=ALIKE)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    lines = [
        "# The case report beside tshark", "",
        "Processor seconds of the whole process, the best of three: `jitsilab report NAME` (all its files; for",
        "`bridge-killed` with all logs, consoles and dumps) and tshark printing nine fields of the same capture.", "",
        "| recording | frames | report (s) | tshark (s) | ratio |", "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        for name in RECORDINGS:
            capture = registry.export(name, Path(scratch) / name) / "capture-eth0.pcapng"
            tshark = [part.replace("{path}", str(capture)) for part in TSHARK]
            report = [sys.executable, "-m", "jitsilab", "report", name, "-o", str(Path(scratch) / "out")]
            ours, theirs = (min(processor_seconds(argv) for _ in range(ROUNDS)) for argv in (report, tshark))
            frames = len(subprocess.run(tshark, check=True, capture_output=True).stdout.splitlines()) - 1
            lines.append(f"| {name} | {frames:,} | {ours:.1f} | {theirs:.2f} | {ours / theirs:.0f} |")
    (HERE / "case-report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
