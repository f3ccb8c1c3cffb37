"""Diagnose captures of a call over and over: `python -m benchmarks.diagnosis [FRAMES]` prints seconds and memory.

A million frames are 309 calls one after the other, with 4,600 TLS connections: more signaling than any one call of that
length has, so the worst case. The goal is ten seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import captures

ROUNDS = 3


def main(frames: int) -> None:
    with tempfile.TemporaryDirectory(prefix="jitsilab-") as folder:
        path = Path(folder) / "calls.pcap"
        captures.build(path, frames)
        taken = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            command = [sys.executable, "-m", "jitsilab", "diagnose", "--json", str(path)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            taken.append(time.perf_counter() - begun)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"diagnose failed with {process.returncode}")
        print(f"{frames:,} frames: {min(taken):.1f} s, the best of {ROUNDS}; {usage.ru_maxrss / 1024:,.0f} MB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
