"""One case on a worker: is it done already, else read it, write its rows, and give back a few numbers."""

import gc
import hashlib
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jitsilab.errors import LabError, Problem
from jitsilab.fleet import cases, remote, rows
from jitsilab.fleet.cases import Case, Seen
from jitsilab.fleet.dataset import FORM, Dataset

_ONE_AT_A_TIME = threading.Lock()  # a case takes a core and its memory; what analysis remembers is of one case


class Options(NamedTuple):
    """What is the same for every case of a survey."""

    out: str
    keylog: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()  # beside the four
    again: bool = False  # whatever was done before
    digest: str = ""  # of key logs, facts and tables

    @classmethod
    def digested(
        cls, out: str, keylog: tuple[str, ...], facts: tuple[str, ...], tables: tuple[str, ...], again: bool
    ) -> "Options":
        """Options with the digest of all that changes the rows."""
        text = [f"{FORM}", *tables]
        for path in (*keylog, *facts):
            text.append(cases.contents(cases.fingerprint(path, [])))
        return cls(out, keylog, facts, tables, again, hashlib.sha256("\n".join(text).encode()).hexdigest())


class Done(NamedTuple):
    """What a worker tells of a case."""

    id: str
    source: str
    state: str  # done, unchanged, failed
    seconds: float = 0.0
    participants: int = 0
    message: str = ""  # why it failed


def process(case: Case, options: Options) -> Done:
    """Do one case. What is wrong with it is a row of ``errors``; only the dataset's own folder can make this raise."""
    with _ONE_AT_A_TIME:
        begun = time.perf_counter()
        try:
            done = _process(case, options)
        finally:
            gc.collect()
            if not gc.get_freeze_count():  # modules stay: the collector need not look at them after each case
                gc.freeze()
        return done._replace(seconds=time.perf_counter() - begun)


def _process(case: Case, options: Options) -> Done:
    dataset = Dataset(options.out)
    known = {} if options.again else dataset.record(case.id)
    if known and not _same_maker(known, options, dataset, case):
        known = {**known, "digest": ""}
    try:
        if case.remote:
            return _elsewhere(case, options, dataset, known)
        seen = cases.fingerprint(case.where, known.get("files", []))
        return _here(case, options, dataset, known, seen, case.where)
    except (LabError, OSError) as error:
        why = str(error) if isinstance(error, LabError) else error.strerror or type(error).__name__
        return failed(case, options, why, rename={case.where: case.source})


def _same_maker(known: Mapping[str, Any], options: Options, dataset: Dataset, case: Case) -> bool:
    from jitsilab import __version__

    made = known.get("version") == __version__ and known.get("options") == options.digest
    return made and dataset.holds(case.id, (*rows.SCHEMAS, *options.tables))


def _elsewhere(case: Case, options: Options, dataset: Dataset, known: Mapping[str, Any]) -> Done:
    listed = remote.listing(case.where)
    before = {(file.name, file.size, file.mark): file for file in known.get("files", [])}
    matched = [before.get((name, size, mark)) if mark else None for name, _, size, mark in listed]
    if known.get("digest") and listed and all(matched):
        files = [file for file in matched if file is not None]
        if cases.contents(files) == known["digest"]:
            return Done(case.id, case.source, "unchanged")
    with remote.brought(case.where, [(name, address) for name, address, _, _ in listed]) as path:
        marks = {name: (size, mark) for name, _, size, mark in listed}
        seen = [
            Seen(file.name, marks.get(file.name, (file.size, ""))[0], marks.get(file.name, (0, ""))[1], file.sha256)
            for file in cases.fingerprint(path, [])
        ]
        return _here(case, options, dataset, known, seen, path)


def _here(
    case: Case, options: Options, dataset: Dataset, known: Mapping[str, Any], seen: list[Seen], path: str
) -> Done:
    from jitsilab import __version__
    from jitsilab.call import load

    contents = cases.contents(seen)
    same = bool(known.get("digest")) and known["digest"] == contents
    kept: dict[str, Any] = {"source": case.source, "digest": contents, "version": __version__}
    kept |= {"options": options.digest, "files": [list(file) for file in seen]}
    if same:
        if [list(file) for file in known["files"]] != kept["files"]:  # written to anew with the same bytes
            dataset.note(case.id, **{**known, **kept})
        return Done(case.id, case.source, "unchanged")
    rename = {path: case.source}
    size = sum(max(file.size, 0) for file in seen)
    laid: dict[str, Path] = {}
    try:
        call = load(path, keylog=options.keylog or None, facts=options.facts or None)
        by_table = rows.of_call(call, case.source, size)
        for name in options.tables:
            parts = (rows.renamed(part, rename) for part in rows.further(call, name, case.source))
            laid[name] = dataset.lay(rows.arrow(rows.named(name)), parts)
        tables = {name: rows.table(by_table[name], schema, rename) for name, schema in rows.SCHEMAS.items()}
        dataset.forget(case.id)
        dataset.write(case.id, {**tables, **laid})
        dataset.note(case.id, **kept, state="done", participants=len(by_table["participants"]))
        return Done(case.id, case.source, "done", participants=len(by_table["participants"]))
    except LabError as error:  # of these bytes nothing else can be said, so it is done
        done = failed(case, options, str(error), rename)
        dataset.note(case.id, **kept, state="failed", message=done.message)
        return done
    except OSError:
        raise
    except Exception as error:  # of ours; the other cases go on, and this one is tried again next time
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"an error of jitsilab itself: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        return failed(case, options, text)
    finally:
        for made in laid.values():
            made.unlink(missing_ok=True)


def failed(case: Case, options: Options, why: str, rename: Mapping[str, str] | None = None) -> Done:
    """A case of which nothing could be read: one row of ``errors``, and no others."""
    dataset = Dataset(options.out)
    for path, shown in (rename or {}).items():
        why = why.replace(path, shown)
    errors = rows.errors(case.source, [(case.source, Problem(0, "", 0, why))], lost=True)
    tables = {name: rows.table(errors if name == "errors" else [], schema, {}) for name, schema in rows.SCHEMAS.items()}
    tables |= {name: rows.arrow(rows.named(name)).empty_table() for name in options.tables}
    dataset.forget(case.id)
    dataset.write(case.id, tables)
    return Done(case.id, case.source, "failed", message=why)
