"""Build captures, run every contender on them in turns, write the table and the plot."""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import report

HERE = Path(__file__).resolve().parent
SIZES = (3_000, 100_000, 1_000_000, 10_000_000)
PROFILED = 1_000_000
SNAPPED = 10_000_000  # from so many frames on they are cut, or the file would not fit into memory
ALIKE = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # for all: no contender multiplies matrices
TSHARK = shlex.split(
    "tshark -r {path} -T fields -e frame.time_relative -e ip.src -e ip.dst -e ip.proto -e tcp.srcport -e tcp.dstport "
    "-e udp.srcport -e udp.dstport -e frame.len -E header=y -E separator=, -E quote=n -E occurrence=f"
)


@dataclass
class Contender:
    name: str
    argv: list[str]
    largest: int  # frames; more would take too long
    missing: str = ""  # why it cannot run
    seconds: dict[int, float] = field(default_factory=dict)  # the best of the rounds, by size
    memory: dict[int, int] = field(default_factory=dict)  # bytes resident at most

    def run(self, path: Path) -> tuple[float, int]:
        """Wall time of the whole process and its peak memory."""
        argv = [part.replace("{path}", str(path)) for part in self.argv]
        with Path(os.devnull).open("wb") as nothing:
            begun = time.perf_counter()
            process = subprocess.Popen(argv, stdout=nothing, stderr=subprocess.PIPE, cwd=HERE.parent, env=ALIKE)
            said = process.stderr.read() if process.stderr else b""
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.name} failed on {path}:\n{said.decode(errors='replace')[-2000:]}")
        return seconds, usage.ru_maxrss * 1024


def contenders(python: str) -> list[Contender]:
    """Ours and the others'; ``python`` is the interpreter that has the others' packages."""
    ours = [sys.executable, "-m", "benchmarks.contenders"]
    table = [sys.executable, "-m", "jitsilab", "table", "frames", "{path}", "--to", "csv"]
    audit = [sys.executable, "-m", "jitsilab", "audit", "--fail-on", "never"]
    made = [
        Contender("jitsilab", [*ours, "jitsilab", "{path}"], SIZES[-1]),
        Contender("jitsilab: call.frames", [*ours, "tables", "{path}"], 1_000_000),
        Contender("jitsilab table frames", table, 1_000_000),
        Contender("jitsilab --like-tshark", [*table, "--like-tshark"], SIZES[-1]),
        Contender("jitsilab diagnose", [sys.executable, "-m", "jitsilab", "diagnose", "{path}"], 1_000_000),
        Contender("jitsilab audit", [*audit, "{path}"], 1_000_000),
        Contender("jitsilab share", [*ours, "share", "{path}"], 1_000_000),
    ]
    tshark = "" if shutil.which("tshark") else "tshark is not installed"
    piped = f"{shlex.join(TSHARK)} | {shlex.join([*ours, 'read_csv', '-'])}"
    made += [
        Contender("tshark", TSHARK, 1_000_000, tshark),
        Contender("tshark, read_csv", ["sh", "-c", piped], 1_000_000, tshark),
    ]
    for name, largest in (("nfstream", SIZES[-1]), ("dpkt", 1_000_000), ("scapy", 100_000), ("pyshark", 3_000)):
        found = subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0
        missing = "" if found else f"{python} has no package {name}"
        made.append(Contender(name, [python, "-m", "benchmarks.contenders", name, "{path}"], largest, missing))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="frames of each capture")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts; one above a million frames")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has nfstream, dpkt, scapy, pyshark")
    parser.add_argument("--folder", type=Path, help="where the captures stay (default: they are removed)")
    parser.add_argument("--only", nargs="+", help="names of contenders")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.md and speed.png")
    arguments = parser.parse_args()
    field_ = [one for one in contenders(arguments.python) if not arguments.only or one.name in arguments.only]
    for one in field_:
        if one.missing:
            print(f"without {one.name}: {one.missing}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        files, phases = {}, {}
        for size in arguments.sizes:
            path = folder / f"{size}.pcap"
            if not path.exists():
                snap = "96" if size >= SNAPPED else "262144"
                argv = [sys.executable, "-m", "benchmarks.captures", str(path), str(size), snap]
                subprocess.run(
                    argv, cwd=HERE.parent, check=True
                )  # this process stays small: a child begins with its size
            files[size] = path.stat().st_size
            measure(field_, path, size, arguments.rounds if size <= 1_000_000 else 1)
            if size == PROFILED:
                argv = [sys.executable, "-m", "benchmarks.contenders", "phases", str(path)]
                said = subprocess.run(argv, cwd=HERE.parent, env=ALIKE, check=True, capture_output=True)
                phases[size] = json.loads(said.stdout)
            if arguments.folder is None:
                path.unlink()
    about = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    report.write(arguments.out, field_, files, about, arguments.rounds, phases)


def measure(field_: list[Contender], path: Path, size: int, rounds: int) -> None:
    """Each contender in turn, so that what slows the machine slows all of them."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):  # into the cache
            pass
    for _ in range(rounds):
        for one in field_:
            if one.missing or size > one.largest:
                continue
            seconds, memory = one.run(path)
            one.seconds[size] = min(seconds, one.seconds.get(size, seconds))
            one.memory[size] = min(memory, one.memory.get(size, memory))
            print(f"{size:>10,} {one.name:<24} {seconds:8.2f} s {memory / 1e6:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
