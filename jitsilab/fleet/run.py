"""The cases of a survey handed out to workers: local processes, or those of a Dask scheduler that runs already.

The coordinator holds the names of the cases and a few numbers of each. Few are under way at a time; the workers write,
and whatever a worker that ended had in hand is given to another.
"""

import contextlib
import gc
import itertools
import logging
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab.errors import CaptureError, ParameterError
from jitsilab.fleet import rows, work
from jitsilab.fleet.cases import Case, cases
from jitsilab.fleet.dataset import Dataset
from jitsilab.pcap.cores import available

if TYPE_CHECKING:
    import pandas as pd

RETRIES = 2  # of a case whose worker says that it could not write
DEATHS = 2  # workers that may end over one case before it is given up
AHEAD = 4  # cases under way for each worker, so that none waits
FIRST = 30.0  # s that a scheduler may take to answer
SHOWN = 20  # failures that are named in words; all are rows


@dataclass
class Survey:
    """What a survey did, and its dataset."""

    folder: Path
    states: Counter[str] = field(default_factory=Counter)  # done, unchanged, failed: how many cases
    failures: list[tuple[str, str]] = field(default_factory=list)  # the first: case, and why
    seconds: float = 0.0  # of all workers together
    _kept: Any = field(default=None, repr=False)

    def table(self, name: str) -> "pd.DataFrame":
        """A table of the dataset, all cases, with the column ``case``."""
        import pandas as pd

        if not (self.folder / name).is_dir():
            there = ", ".join(sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("_")))
            raise ParameterError(f"The survey in {self.folder} has no table {name!r}. There are: {there}.")
        frame = pd.read_parquet(self.folder / name, partitioning="hive")
        return frame.assign(case=frame["case"].astype("str"))

    @property
    def calls(self) -> "pd.DataFrame":
        """One row a case."""
        return self.table("calls")

    @property
    def participants(self) -> "pd.DataFrame":
        """One row a participant."""
        return self.table("participants")

    @property
    def findings(self) -> "pd.DataFrame":
        """One row a security check of each case."""
        return self.table("findings")

    @property
    def errors(self) -> "pd.DataFrame":
        """What could not be read."""
        return self.table("errors")


def survey(
    paths: Iterable[str | Path] | str | Path,
    out: str | Path | None = None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    whole: bool = False,
    keylog: Iterable[str | Path] | str | Path | None = None,
    facts: Iterable[str | Path] | str | Path | None = None,
    tables: Iterable[str] = (),
    again: bool = False,
    progress: bool = False,
) -> Survey:
    """Diagnose and audit many captures and cases, and write what was found as Parquet datasets.

    Each file is a case, each entry of a folder too (with ``whole`` the folder itself); patterns and addresses
    (``s3://``, ``gs://``, ``http://``) are taken. ``out`` is the dataset's folder, on a disk that every worker sees; a
    temporary one where it is not given. What is done and unchanged is not done again, unless ``again``. ``tables`` are
    further tables to keep of each case. Workers are processes of this machine (one a core, or ``workers``), or those
    of ``scheduler``, an address as Dask prints it. In a script, call it under ``if __name__ == "__main__":``.
    """
    distributed = _distributed()
    kept = None if out is not None else tempfile.TemporaryDirectory(prefix="jitsilab-survey-")
    folder = Path(os.path.abspath(out if out is not None else kept.name))  # type: ignore[union-attr]  # noqa: PTH100
    every = cases(paths, whole)
    first = next(every, None)  # a path that is wrong is said before anything starts
    if first is None:
        raise CaptureError("There is nothing to survey: the folder is empty.")
    for name in tables:
        rows.named(name)
    Dataset(folder).prepare()
    made = work.Options.digested(str(folder), _listed(keylog), _listed(facts), tuple(dict.fromkeys(tables)), again)
    done = Survey(folder, _kept=kept)
    collecting = gc.isenabled()
    gc.enable()  # a command turns it off; this one runs for hours, and Dask's messages go in circles
    try:
        with _client(distributed, scheduler, workers) as client, _bar(progress) as bar:
            _hand_out(distributed, client, itertools.chain([first], every), made, done, bar)
    finally:
        if not collecting:
            gc.disable()
    Dataset(folder).clean()
    return done


def _listed(given: Iterable[str | Path] | str | Path | None) -> tuple[str, ...]:
    paths = [] if given is None else [given] if isinstance(given, str | Path) else list(given)
    for path in paths:
        if not Path(path).exists():
            raise ParameterError(f"There is no file or folder {path}.")
    return tuple(os.path.abspath(path) for path in paths)  # noqa: PTH100


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ParameterError("survey needs Dask: pip install 'jitsilab[fleet]'.") from None
    return distributed


@contextlib.contextmanager
def _client(distributed: Any, scheduler: str | None, workers: int | None) -> Iterator[Any]:
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=FIRST, set_as_default=False)
        except (OSError, ValueError, TypeError, TimeoutError) as error:
            raise ParameterError(f"No Dask scheduler answers at {scheduler} ({type(error).__name__}).") from None
        with client:
            yield client
        return
    if workers is not None and workers < 1:
        raise ParameterError("survey needs one worker at least.")
    from dask import config

    with (
        config.set({"distributed.worker.profile.enabled": False}),  # it keeps every stack that it sees for an hour
        tempfile.TemporaryDirectory(prefix="jitsilab-dask-") as scratch,
        distributed.LocalCluster(
            n_workers=workers or available(), threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL, local_directory=scratch,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


def _hand_out(distributed: Any, client: Any, every: Iterator[Case], made: work.Options, done: Survey, bar: Any) -> None:
    """Keep every worker busy, and few cases under way."""
    run, waiting = uuid.uuid4().hex[:8], {}

    def submit(case: Case) -> Any:
        future = client.submit(
            work.process, case, made, key=f"survey-{run}-{case.id}", pure=False, retries=RETRIES,
        )  # fmt: skip
        waiting[future.key] = case
        return future

    room = AHEAD * max(len(client.scheduler_info()["workers"]), 1)
    first = [submit(case) for case in itertools.islice(every, room)]
    under_way = distributed.as_completed(first, loop=client.loop, raise_errors=False)
    for future in under_way:
        case = waiting.pop(future.key)
        result = _result(future, case, made)
        done.states[result.state] += 1
        done.seconds += result.seconds
        if result.state == "failed" and len(done.failures) < SHOWN:
            done.failures.append((result.source, result.message))
        bar.update(1)
        bar.set_postfix_str(", ".join(f"{count} {state}" for state, count in done.states.items()))
        future.release()
        following = next(every, None)
        if following is not None:
            under_way.add(submit(following))


def _result(future: Any, case: Case, made: work.Options) -> work.Done:
    try:
        result: work.Done = future.result()
    except Exception as error:  # of Dask, or of the worker's machine
        kind = type(error).__name__
        if kind == "KilledWorker":
            why = "every worker that read it was ended: it may need more memory than a worker has"
        elif isinstance(error, OSError):
            why = f"its worker cannot write to {made.out}: {error.strerror or kind}"
        else:
            why = f"its worker failed: {kind}"
        return work.failed(case, made, why)
    return result


@contextlib.contextmanager
def _bar(progress: bool) -> Iterator[Any]:
    from tqdm import tqdm

    with tqdm(disable=not progress, unit=" cases", desc="survey") as bar:
        yield bar
