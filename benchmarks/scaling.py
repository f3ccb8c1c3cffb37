"""What more cores bring: ``python -m benchmarks.scaling [--frames N] [--cases N]`` writes scaling.md.

The same work on one core, on two and so on (strong scaling): one capture, of which threads and processes read pieces
(docs/decisions/0007), and a survey of many, of which each worker reads whole ones. The capture is a short call again
and again, with its keys: of all captures of that length the one with the most TLS.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import captures, fleet
from benchmarks.__main__ import HERE, Contender
from jitsilab.inputs import registry

RUN = [sys.executable, "-m", "jitsilab"]


def contenders(folder: Path) -> list[Contender]:
    """What is done in each turn; ``{cores}`` becomes their number."""
    keys = str(registry.find(captures.RECORDING).keylog)
    turn = "{turn}-{cores}"
    shared, opened, fleet_ = (str(folder / f"{name}-{turn}") for name in ("shared.pcap", "opened.pcapng", "fleet"))
    return [
        Contender("diagnose", [*RUN, "diagnose", "{path}"], 1 << 62),
        Contender("diagnose with keys", [*RUN, "diagnose", "{path}", "--keylog", keys], 1 << 62),
        Contender("share", [*RUN, "share", "{path}", "-o", shared], 1 << 62),
        Contender("share with keys", [*RUN, "share", "{path}", "--keylog", keys, "-o", opened], 1 << 62),
        Contender("survey", [*RUN, "survey", str(folder / "captures"), "-o", fleet_, "--workers", "{cores}"], 1 << 62),
    ]


def main(arguments: list[str]) -> None:
    """Measure and write."""
    every = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args(arguments)
    seconds: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        captures.build(folder / "one.pcap", given.frames)
        fleet.build(folder / "captures", given.cases)
        counts = [1 << power for power in range(len(every).bit_length()) if 1 << power <= len(every)]
        for turn in range(given.rounds):
            for count in counts:
                os.sched_setaffinity(0, every[:count])  # children have it too
                for one in contenders(folder):
                    argv = [part.replace("{cores}", str(count)).replace("{turn}", str(turn)) for part in one.argv]
                    taken, _ = Contender(one.name, argv, one.largest).run(folder / "one.pcap")
                    known = seconds.setdefault(one.name, {})
                    known[count] = min(taken, known.get(count, taken))
                    print(f"{count} cores, {one.name}: {taken:.1f} s", flush=True)
        os.sched_setaffinity(0, every)
    write(given.out, seconds, given.frames, given.cases)


def write(out: Path, seconds: dict[str, dict[int, float]], frames: int, cases: int) -> None:
    """The table."""
    counts = sorted({count for known in seconds.values() for count in known})
    lines = [
        "# What more cores bring", "",
        "Written by `python -m benchmarks.scaling`. Whole processes, file in the cache; a capture of "
        f"{frames:,} frames, a call",
        f"of seconds again and again, and a survey of {cases} captures by as many workers as there are cores.", "",
        "| | " + " | ".join(f"{count} core{'s' * (count > 1)}" for count in counts) + " |",
        "|---" * (len(counts) + 1) + "|",
    ]  # fmt: skip
    for name, known in seconds.items():
        cells = [f"{known[count]:.1f} s" + f", {known[counts[0]] / known[count]:.2f} times" * (count > counts[0])
                 for count in counts]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    (out / "scaling.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    begun = time.perf_counter()
    main(sys.argv[1:])
    print(f"{time.perf_counter() - begun:.0f} s")
