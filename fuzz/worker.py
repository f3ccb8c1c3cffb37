"""One target in a process of its own, driven by libFuzzer through atheris.

A find is written down and fuzzing goes on: what comes out of a reader that is no `LabError`, more than a second of
processor time for each kB, or memory over ten times the input plus 200 MB.
"""

import contextlib
import hashlib
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import atheris

SECOND_FOR = 1000  # bytes
MEMORY = 200 << 20  # bytes beside ten times the input


class Watch:
    """Counts what a target does, and keeps what it did wrong."""

    def __init__(self, name: str, run: Any, errors: Any, folder: Path) -> None:
        self.name, self.run, self.errors, self.folder = name, run, errors, folder
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
        except Exception as error:
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
        Path(sys.argv[2]).write_text(json.dumps(state))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _signature(error: BaseException) -> str:
    """Kind and place of an error: the last lines of ours that it went through."""
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if "/jitsilab/" in frame.filename]
    last = places[-1] if places else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.filename.rpartition('/jitsilab/')[2]}:{last.lineno}"


def main() -> None:
    """``worker TARGET STATE FINDS -- libFuzzer's own arguments``."""
    name, finds = sys.argv[1], Path(sys.argv[3])
    with atheris.instrument_imports(include=["jitsilab"], enable_loader_override=False):
        from fuzz.targets import TARGETS
        from jitsilab.errors import LabError

        target = TARGETS[name]
        watch = Watch(name, target.run, LabError, finds)
        for seed in sorted(Path(sys.argv[-1]).glob("*"))[:8]:  # what a target imports, it imports now
            with contextlib.suppress(Exception):
                target.run(seed.read_bytes())
        watch.peak = _peak()
    atheris.Setup([sys.argv[0], *sys.argv[5:]], watch)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
