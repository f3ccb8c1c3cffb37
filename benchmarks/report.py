"""What was measured, as a Markdown table and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.__main__ import Contender


def write(
    folder: Path,
    contenders: "Sequence[Contender]",
    files: dict[int, int],
    about: str,
    rounds: int,
    phases: dict[int, dict[str, float]],
) -> None:
    """Write results.md and speed.png. ``phases`` has by frames the seconds of each step."""
    sizes = sorted(files)
    heads = [f"{size:,} frames ({files[size] / 1e6:,.0f} MB)" for size in sizes]
    lines = [
        "# Reading captures: jitsilab and others",
        "",
        "Written by `python -m benchmarks` (`make bench`). Whole processes with their imports, file in the cache,",
        f"in turns, the best of {rounds} rounds (of one above a million frames). {about};",
        "`OPENBLAS_NUM_THREADS=1` for all, which spares the import of numpy a pool of threads that nobody uses.",
        "",
        "The work is the nine columns of the study's export as a pandas DataFrame. `tshark` and the two lines of",
        "`jitsilab table` print CSV instead (`table frames` prints fifteen columns, with flows and a label for each",
        "frame, as `call.frames` has them); `nfstream` makes its table of flows. Frames are those of a recorded call",
        "over and over, ports varied; from ten million on each is cut to 96 bytes. `diagnose` and `audit` do all that",
        "jitsilab can do: a million frames are 309 calls, with 4,600 TLS connections, more signaling than any one call",
        "of that length has. Nobody else does that work.",
        "",
        "| seconds | " + " | ".join(heads) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for one in contenders:
        cells = [one.missing] * len(sizes) if one.missing else [_cell(one.seconds.get(size)) for size in sizes]
        lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| peak memory, MB | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for one in contenders:
        if not one.missing:
            cells = [_cell(one.memory.get(size, 0) / 1e6 or None, 0) for size in sizes]
            lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    lines += ["", *_ratios(contenders, sizes)]
    for size, steps in phases.items():
        whole = ", ".join(f"{name} {taken:.2f} s" for name, taken in steps.items())
        lines += ["", f"Where the time of `jitsilab` goes at {size:,} frames: {whole}."]
    lines += ["", "![seconds by frames](speed.png)", ""]
    (folder / "results.md").write_text("\n".join(lines))
    _plot(folder / "speed.png", contenders)


def _cell(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _ratios(contenders: "Sequence[Contender]", sizes: list[int]) -> list[str]:
    """How many times as long the others take."""
    named = {one.name: one.seconds for one in contenders}
    pairs = (("jitsilab", "tshark"), ("jitsilab", "tshark, read_csv"), ("jitsilab", "nfstream"),
             ("jitsilab table frames", "tshark"), ("jitsilab --like-tshark", "tshark"))  # fmt: skip
    lines = ["| times as long | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for ours, other in pairs:
        cells = []
        for size in sizes:
            mine, theirs = named.get(ours, {}).get(size), named.get(other, {}).get(size)
            cells.append(f"{theirs / mine:.1f}" if mine and theirs else "")
        lines.append(f"| {other} / {ours} | " + " | ".join(cells) + " |")
    mine, theirs = named.get("jitsilab", {}), named.get("tshark", {})
    if sizes[0] in mine and sizes[0] in theirs:
        cells = [
            f"{(theirs[size] - theirs[sizes[0]]) / (mine[size] - mine[sizes[0]]):.1f}"
            if size > sizes[0] and size in mine and size in theirs and mine[size] > mine[sizes[0]] else ""
            for size in sizes
        ]  # fmt: skip
        lines.append("| tshark / jitsilab, without what a start takes | " + " | ".join(cells) + " |")
        start = f"A start is the time for {sizes[0]:,} frames: Python's own, and the imports of numpy and pandas."
        lines += ["", start]
    return lines


def _plot(path: Path, contenders: "Sequence[Contender]") -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.4, 4.2), layout="constrained")
    marks = iter("s^vDPX")  # of the others, in grey
    for one in contenders:
        if one.seconds:
            sizes = sorted(one.seconds)
            seconds = [one.seconds[size] for size in sizes]
            if one.name.startswith("jitsilab"):
                axes.plot(sizes, seconds, "-" if one.name == "jitsilab" else "--", marker="o", lw=2.4, label=one.name)
            else:
                axes.plot(sizes, seconds, ":", color="0.45", marker=next(marks), lw=1.4, label=one.name)
    axes.set(xscale="log", yscale="log", xlabel="frames", ylabel="seconds, whole process")
    axes.grid(which="major", alpha=0.3)
    figure.legend(fontsize="small", loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
