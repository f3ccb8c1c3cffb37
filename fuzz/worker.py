"""One target in a process of its own, led by libFuzzer through atheris, or fed with mutations and not looked at.

A find is written down and fuzzing goes on: what comes out of a reader that is no `LabError`, more than a second of
processor time for each kB, or memory over ten times the input plus 200 MB.
"""

import contextlib
import gc
import hashlib
import json
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from fuzz.mutations import mutations

SECOND_FOR = 1000  # bytes
MEMORY = 200 << 20  # bytes beside ten times the input
HANGS = 60  # s of processor time of one input, after which it is given up


class HangError(BaseException):
    """One input takes longer than `HANGS`."""


def _hang(*_: Any) -> None:
    raise HangError


class Watch:
    """Counts what a target does, and keeps what it did wrong."""

    def __init__(self, run: Any, errors: Any, state: Path, folder: Path) -> None:
        self.run, self.errors, self.state, self.folder = run, errors, state, folder
        self.executions, self.refused, self.bytes = 0, 0, 0
        self.slowest = (0.0, 0)  # seconds, bytes
        self.finds: dict[str, str] = {}
        self.began, self.told = time.process_time(), time.monotonic()
        self.peak = _peak()

    def __call__(self, data: bytes) -> None:
        """Feed one input."""
        start = time.process_time()
        try:
            self.run(data)
        except self.errors:
            self.refused += 1
        except (Exception, HangError) as error:
            self._keep(data, _signature(error), "".join(traceback.format_exception(error)[-8:]))
        took = time.process_time() - start
        self.executions += 1
        self.bytes += len(data)
        if took > self.slowest[0]:
            self.slowest = took, len(data)
        if took > max(1.0, len(data) / SECOND_FOR):
            self._keep(data, f"slow {round(took)} s", f"{took:.1f} s for {len(data)} bytes")
        peak = _peak()
        if self.executions > 50 and peak - self.peak > MEMORY + 10 * len(data):
            self._keep(data, "memory", f"{(peak - self.peak) >> 20} MB for {len(data)} bytes")
        self.peak = max(self.peak, peak)
        few = self.executions & (self.executions - 1) == 0  # libFuzzer leaves without a word
        if few or time.monotonic() - self.told > 1:
            self.tell()

    def _keep(self, data: bytes, signature: str, text: str) -> None:
        if signature in self.finds:
            return
        self.finds[signature] = text
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / digest).write_bytes(data)
        (self.folder / f"{digest}.txt").write_text(f"{signature}\n\n{text}")
        self.tell()

    def tell(self) -> None:
        """Write down how far it got."""
        self.told = time.monotonic()
        state = {
            "executions": self.executions, "refused": self.refused, "seconds": time.process_time() - self.began,
            "slowest": self.slowest, "peak": self.peak, "finds": self.finds, "bytes": self.bytes,
        }  # fmt: skip
        self.state.write_text(json.dumps(state))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _signature(error: BaseException) -> str:
    """Kind and place of an error: the last lines of ours that it went through."""
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if "/jitsilab/" in frame.filename]
    last = places[-1] if places else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.filename.rpartition('/jitsilab/')[2]}:{last.lineno}"


def main() -> None:
    """``worker TARGET STATE FINDS -- libFuzzer's arguments``, or ``... --plain SECONDS RUNS SEED WORDS FOLDER...``."""
    name, state, finds, how, *rest = sys.argv[1:]
    with contextlib.ExitStack() as stack:
        if how == "--":
            import atheris

            stack.enter_context(atheris.instrument_imports(include=["jitsilab"], enable_loader_override=False))
        from fuzz.targets import TARGETS
        from jitsilab.errors import LabError

        target = TARGETS[name]
        if target.before is not None:
            target.before()
        watch = Watch(target.run, LabError, Path(state), Path(finds))
        for seed in sorted(Path(sys.argv[-1]).glob("*"))[:8]:  # what a target imports, it imports now
            with contextlib.suppress(Exception):
                target.run(seed.read_bytes())
        watch.peak = _peak()
    gc.freeze()  # what was imported is looked through for nothing
    if how == "--":
        atheris.Setup([sys.argv[0], *rest], watch)
        atheris.Fuzz()
    else:
        _plain(watch, target.longest, *rest)


def _plain(watch: Watch, longest: int, seconds: str, runs: str, seed: str, words: str, *folders: str) -> None:
    """Feed mutations for so long, or so many of them."""
    seeds = [path.read_bytes()[:longest] for folder in folders for path in sorted(Path(folder).glob("*"))]
    lines = Path(words).read_text().splitlines()
    known = [bytes.fromhex(line.strip('"').replace("\\x", "")) for line in lines]
    end, most = time.monotonic() + float(seconds), int(runs)
    signal.signal(signal.SIGPROF, _hang)
    for data in mutations(seeds, known, longest, random.Random(int(seed))):
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        watch(data)
        if watch.executions == most or time.monotonic() > end:
            break
    signal.setitimer(signal.ITIMER_PROF, 0)
    watch.tell()


if __name__ == "__main__":
    main()
