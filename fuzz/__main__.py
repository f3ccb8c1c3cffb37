"""Run targets, and keep what was run as a table."""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results.md")
OUT = ROOT / "out" / "fuzz"
SHORTEST = 5  # seconds of a target
HEAD = """# What was fuzzed

Made by `python -m fuzz --keep`, and with `--plain`, where inputs are mutated without a look at coverage, which is many
times as fast; runs add up. A find is an exception that no caller is told of, more than a second of
processor time for each kB of input, or memory over ten times the input plus 200 MB. Finds that were mended are vectors
in `tests/vectors/fuzz/`, and `tests/test_fuzz.py` holds them.

| target | executions | led by coverage | CPU hours | refused | slowest input | finds so far |
|---|---|---|---|---|---|---|
"""


def main() -> int:
    """Fuzz; exit 1 where there was a find."""
    from fuzz import corpora
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of all targets together")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="may be given more than once")
    parser.add_argument("--keep", action="store_true", help="add to fuzz/results.md")
    parser.add_argument("--until", type=int, default=0, help="leave out targets with so many executions in the table")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (default: one a core)")
    parser.add_argument("--plain", action="store_true", help="mutate seeds and what grew, without a look at coverage")
    parser.add_argument("--quick", action="store_true", help="seeds from three recordings only, as CI does")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the mutator (default: another each time)"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="for seeds, grown corpora and finds")
    arguments = parser.parse_args()
    seeds = arguments.out / ("quick" if arguments.quick else "seeds")
    corpora.write(seeds, arguments.quick)
    kept = _table()
    names = [
        name for name in arguments.target or TARGETS if not arguments.until or _executions(kept, name) < arguments.until
    ]
    if not names:
        print(f"every target has {arguments.until:,} executions")
        return 0
    if arguments.seconds < SHORTEST * len(names):  # other ones each time, rather than a moment for each
        names = random.Random(arguments.seed).sample(names, max(1, int(arguments.seconds / SHORTEST)))
    each = max(1, round(arguments.seconds / len(names)))
    failed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        states = {pool.submit(_run, name, each, arguments, seeds): name for name in names}
        for done in as_completed(states):
            name, state = states[done], done.result()
            failed += len(state["finds"])
            _tell(name, state)
            if arguments.keep and state["executions"]:  # one that did not start found nothing in the target
                _keep(name, state, led=not arguments.plain)
    return int(failed > 0)


def _tell(name: str, state: dict[str, Any]) -> None:
    took, size = state["slowest"]
    print(f"{name}: {state['executions']} executions, {state['seconds']:.0f} s, {len(state['finds'])} finds, "
          f"slowest {took:.2f} s ({size} bytes), coverage {state['coverage']}", flush=True)  # fmt: skip
    for signature, text in state["finds"].items():
        print(f"  FIND {signature}\n    " + text.strip().replace("\n", "\n    "), flush=True)


def _run(name: str, seconds: int, arguments: argparse.Namespace, seeds: Path) -> dict[str, Any]:
    from fuzz import corpora
    from fuzz.targets import TARGETS

    target, out = TARGETS[name], arguments.out
    grown, finds, state = out / "grown" / name, out / "finds" / name, out / f"{name}.json"
    grown.mkdir(parents=True, exist_ok=True)
    finds.mkdir(parents=True, exist_ok=True)
    state.unlink(missing_ok=True)
    before = {path.name for path in finds.iterdir()}
    words = out / f"{name}.dict"
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in corpora.words(seeds, target.corpus))
    words.write_text("".join(f'"{line}"\n' for line in lines))
    folders = [str(seeds / corpus) for corpus in target.corpus if (seeds / corpus).is_dir()]
    wanted = max(1, arguments.until - _executions(_table(), name)) if arguments.until else -1
    how = [
        "--", f"-max_total_time={seconds}", f"-max_len={target.longest}", "-timeout=60", "-rss_limit_mb=3072",
        f"-artifact_prefix={finds}/", f"-dict={words}", f"-runs={wanted}", f"-seed={arguments.seed & 0x7FFFFFFF}",
        "-print_final_stats=1",
    ]  # fmt: skip
    if arguments.plain:
        how = ["--plain", str(seconds), str(wanted), str(arguments.seed), str(words)]
    command = [sys.executable, "-m", "fuzz.worker", name, str(state), str(finds), *how, str(grown), *folders]
    environment = {**os.environ, "FUZZ_KEYS": str(seeds / "keys"), "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    limit = seconds * 3 + 180
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=limit, check=False)
        said = done.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode("utf-8", "replace") + "\nthe worker did not end\n"
    (out / f"{name}.log").write_text(said)
    empty = {"executions": 0, "refused": 0, "seconds": 0.0, "slowest": (0.0, 0), "finds": {}, "peak": 0}
    found: dict[str, Any] = json.loads(state.read_text()) if state.is_file() else empty
    for path in finds.iterdir():
        if path.name not in before and path.name.startswith(("timeout-", "oom-", "crash-")):
            found["finds"][f"libFuzzer: {path.name}"] = said[-1500:]
    if not found["executions"]:
        found["finds"]["the worker did not start"] = said[-3000:]
    coverage = re.findall(r"cov: (\d+)", said)
    found["coverage"] = coverage[-1] if coverage else "?"
    return found


def _table() -> dict[str, list[str]]:
    """The rows that were kept, by target."""
    rows: dict[str, list[str]] = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.is_file() else ():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and cells[1].replace(",", "").isdigit() and cells[0] != "all":
            rows[cells[0]] = cells
    return rows


def _executions(rows: dict[str, list[str]], name: str) -> int:
    return _number(rows[name][1]) if name in rows else 0


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _keep(name: str, state: dict[str, Any], led: bool) -> None:
    """Add a run to the table."""
    rows = _table()
    _, runs, traced, hours, refused, slowest, finds = rows.get(
        name, [name, "0", "0", "0", "0 %", "0.00 s, 0 bytes", "0"]
    )
    before, new = _number(runs), state["executions"]
    share = (before * float(refused.split()[0]) + 100 * state["refused"]) / max(1, before + new)
    took, size = state["slowest"]
    rows[name] = [
        name, f"{before + new:,}", f"{_number(traced) + new * led:,}", f"{float(hours) + state['seconds'] / 3600:.3f}",
        f"{share:.0f} %", max(slowest, f"{took:.2f} s, {size} bytes", key=lambda text: float(text.split()[0])),
        str(int(finds) + len(state["finds"])),
    ]  # fmt: skip
    total = [
        "all", *(f"{sum(_number(row[column]) for row in rows.values()):,}" for column in (1, 2)),
        f"{sum(float(row[3]) for row in rows.values()):.3f}", "", "", str(sum(int(row[6]) for row in rows.values())),
    ]  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in (*(rows[key] for key in sorted(rows)), total)]
    RESULTS.write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
