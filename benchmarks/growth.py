"""How time and memory grow with a capture: ``python -m benchmarks.growth [--sizes N]`` writes growth.md, growth.png.

Beside each command stands the floor: the file read once from front to back. The exponent is the slope of the line
through the points on logarithmic axes: 1 is proportional to the packets. Behind our commands stand those of others that
do the same work, up to the length for which there is time.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.__main__ import HERE, Contender

SIZES = (3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 10_000_000)
CALL = 33_000  # frames of a call: ten million are three hundred calls, of headers and 60 bytes of media
RUN = [sys.executable, "-m", "jitsilab"]
_READ = "import sys\nf = open(sys.argv[1], 'rb', buffering=0)\nb = bytearray(1 << 22)\nwhile f.readinto(b): pass"


TSHARK = {  # what it says of the same
    "stun": "-Y stun -T fields -e frame.number -e frame.time_epoch -e ip.src -e ip.dst -e stun.type -e stun.id "
            "-e stun.att.type -e stun.att.username -e stun.att.ipv4 -e stun.att.port -e stun.att.error",
    "rtp": "--enable-heuristic rtp_udp -q -z rtp,streams",
}  # fmt: skip


def contenders(python: str = sys.executable) -> list[Contender]:
    """The floor, and what is measured against it; ``python`` is the interpreter that has the others' packages."""
    missing = "" if shutil.which("tshark") else "tshark is not installed"
    others = [
        Contender(f"tshark: {name}", ["tshark", "-r", "{path}", *words.split()], 1_000_000, missing)
        for name, words in TSHARK.items()
    ]
    for name, package, largest in (
        ("stun_dpkt", "dpkt", 1_000_000), ("rtp_dpkt", "dpkt", 1_000_000), ("stun_scapy", "scapy", 100_000),
    ):  # fmt: skip
        found = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode == 0
        argv = [python, "-m", "benchmarks.contenders", name, "{path}"]
        what = ": ".join(reversed(name.split("_")))
        others.append(Contender(what, argv, largest, "" if found else f"{python} has no package {package}"))
    return [
        Contender("sequential read", [sys.executable, "-c", _READ, "{path}"], SIZES[-1]),
        Contender("load", [sys.executable, "-m", "benchmarks.contenders", "jitsilab", "{path}"], SIZES[-1]),
        Contender("table stun", [*RUN, "table", "stun", "{path}"], SIZES[-1]),
        Contender("table media", [*RUN, "table", "media", "{path}"], SIZES[-1]),
        Contender("diagnose", [*RUN, "diagnose", "{path}"], SIZES[-1]),
        Contender("audit", [*RUN, "audit", "--fail-on", "never", "{path}"], SIZES[-1]),
        Contender("report", [*RUN, "report", "{path}", "-o", "{path}.report"], SIZES[-1]),
        *others,
    ]


def exponent(seconds: Mapping[int, float], start: float = 0.0) -> float:
    """Slope of log time over log packets by least squares, ``start`` (what nothing takes) left out of each time."""
    points = [(math.log(size), math.log(max(taken - start, 1e-3))) for size, taken in sorted(seconds.items())]
    if len(points) < 2:
        return float("nan")
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def write(folder: Path, measured: Sequence[Contender], files: Mapping[int, int]) -> None:
    """The tables and the plot."""
    sizes = sorted(files)
    start = {one.name: min(one.seconds.values()) for one in measured if one.seconds}
    lines = ["# How it grows", "", "Written by `python -m benchmarks.growth`. Whole processes, file in the cache; a "
             f"call is {CALL:,} frames, media with headers and 60 bytes.", "",
             "| seconds | " + " | ".join(f"{size:,}" for size in sizes)
             + " | exponent from 10,000 on | from 100,000 on, without what a start takes |",
             "|---" * (len(sizes) + 3) + "|"]  # fmt: skip
    for one in measured:
        cells = [f"{one.seconds[size]:.2f}" if size in one.seconds else "" for size in sizes]
        for least, without in ((10_000, 0.0), (100_000, 0.9 * start.get(one.name, 0.0))):
            slope = exponent({size: taken for size, taken in one.seconds.items() if size >= least}, without)
            cells.append("" if math.isnan(slope) else f"{slope:.2f}")
        lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    lines += ["", "| peak memory, MB | " + " | ".join(f"{size:,}" for size in sizes) + " |",
              "|---" * (len(sizes) + 1) + "|"]  # fmt: skip
    for one in measured:
        cells = [f"{one.memory[size] / 1e6:.0f}" if size in one.memory else "" for size in sizes]
        lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    (folder / "growth.md").write_text("\n".join([*lines, "", "![growth](growth.png)", ""]))
    _plot(folder / "growth.png", measured)


def _plot(path: Path, measured: Sequence[Contender]) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    figure, panes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    others = iter(("tab:pink", "tab:olive", "tab:cyan", "black", "tab:gray"))
    for one in measured:
        sizes = sorted(one.seconds)
        style = {"marker": "o"}
        if one.name == "sequential read":
            style |= {"color": "0.4", "linestyle": ":"}
        elif ": " in one.name:
            style |= {"color": next(others), "linestyle": "--"}
        panes[0].plot(sizes, [one.seconds[size] for size in sizes], label=one.name, **style)
        panes[1].plot(sizes, [one.memory[size] / 1e6 for size in sizes], **style)
    panes[0].set(xscale="log", yscale="log", xlabel="frames", ylabel="seconds, whole process")
    panes[1].set(xscale="log", yscale="log", xlabel="frames", ylabel="peak memory, MB")
    panes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panes[1].yaxis.set_major_formatter(ScalarFormatter())
    panes[1].yaxis.set_minor_locator(NullLocator())
    for pane in panes:
        pane.grid(which="major", alpha=0.3)
    figure.legend(fontsize="small", frameon=False, loc="outside right center")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+", help="names of commands")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has dpkt and scapy")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the captures stay (default: they are removed)")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args(arguments)
    measured = []
    for one in contenders(given.python):
        if one.missing:
            print(f"without {one.name}: {one.missing}")
        elif not given.only or one.name in given.only:
            measured.append(one)
    files = {}
    with tempfile.TemporaryDirectory() as temporary:
        for size in given.sizes:
            path = (given.folder or Path(temporary)) / f"{size}.pcap"
            if not path.exists():
                argv = [sys.executable, "-m", "benchmarks.captures", str(path), str(size)]
                subprocess.run([*argv, "--calls", str(max(size // CALL, 1))], cwd=HERE.parent, check=True)
            files[size] = path.stat().st_size
            for _ in range(given.rounds):
                for one in measured:
                    if size <= one.largest:
                        seconds, memory = one.run(path)
                        one.seconds[size] = min(seconds, one.seconds.get(size, seconds))
                        one.memory[size] = min(memory, one.memory.get(size, memory))
                        print(f"{size:>10,} {one.name:<18} {seconds:8.2f} s {memory / 1e6:7.0f} MB", flush=True)
            shutil.rmtree(f"{path}.report", ignore_errors=True)
            if given.folder is None:
                path.unlink()
    write(given.out, measured, files)  # at the end: what it takes to draw would count as memory of those that follow


if __name__ == "__main__":
    begun = time.perf_counter()
    main(sys.argv[1:])
    print(f"{time.perf_counter() - begun:.0f} s on {os.cpu_count()} cores")
