"""The Project3 report of a capture: runs the notebooks, assembles what they showed, writes Markdown, HTML and PDF.

The only writer of ``report/``. Twice the same input gives twice the same bytes; what differs from machine to machine
stands in ``MANIFEST.json`` alone.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jitsilab import call as captures
from jitsilab import errors, outputs
from jitsilab.errors import CaptureError, LabError
from jitsilab.inputs import registry
from jitsilab.pages import markdown
from jitsilab.pages.report import document as documents
from jitsilab.pages.report import parameters as settings
from jitsilab.pages.report import render

STUDY_TITLE = "EC601 Project3"
STUDY_SUBTITLE = "Deploy Jitsi Meet, analyze signaling, and find security holes in session creation."
CELL_TIMEOUT = 900  # seconds; a million packets take a tenth of it


def run(
    capture: str | Path = registry.STUDY,
    keylog: str | Path | None = None,
    facts: str | Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    point: str | None = None,
    *,
    use_keylog: bool = True,
) -> Path:
    """Write the report of a capture (a path, or a name of the registry) and give the folder it is in.

    ``parameters`` are the notebooks' own, by name. Without ``out`` the study's report goes to ``report/`` of the clone,
    any other to ``out/NAME/`` below the current directory. Raises ParameterError for an unknown or ill-typed
    parameter, CaptureError where the capture cannot be read.
    """
    notebooks = _notebooks()
    values = settings.checked(parameters or {}, notebooks)
    with tempfile.TemporaryDirectory(prefix="jitsilab-") as scratch:
        name, opened = _capture(capture, Path(scratch))
        captures.load(opened, keylog=keylog, point=point, use_keylog=use_keylog)
        if facts is not None and not Path(facts).is_dir():
            raise CaptureError(f"There is no folder {facts}.")
        study = name == registry.STUDY
        values |= {
            "evidence": opened, "point": point or "", "facts": str(Path(facts).resolve()) if facts else "",
            "keylog": str(Path(keylog).resolve()) if keylog else "" if use_keylog else "none",
        }  # fmt: skip
        document = documents.Document(
            STUDY_TITLE if study else f"Session creation in the capture {markdown.escape(name)}",
            STUDY_SUBTITLE if study else "How the session was created, step by step, and where it failed.",
        )
        for notebook in notebooks:
            executed = _execute(notebook, values, Path(scratch))
            documents.assemble(document, notebook.stem, executed, study=study)
        documents.number(document)
        folder = Path(out) if out else (registry.data().parent / "report" if study else Path("out") / _plain(name))
        made = _write(document, study, Path(scratch))
        inputs = json.dumps(manifest(name, Path(opened), values), indent=1)
        (made / outputs.LAST).write_text(inputs + "\n", encoding="utf-8")
        outputs.folder(made, folder)  # a failure until here leaves the former report whole
    return folder


def _notebooks() -> list[Path]:
    try:
        registry.data()
    except CaptureError as error:
        where = f"set {registry.HOME} to a clone of the project"
        raise LabError(f"A report is made by the project's notebooks, which are not here: {where}.") from error
    notebooks = sorted((registry.data().parent / "notebooks").glob("0[1-4]-*.ipynb"))  # 05 walks a case
    if not notebooks:
        raise LabError(f"There are no notebooks beside {registry.data()}.")
    return notebooks


def _capture(capture: str | Path, scratch: Path) -> tuple[str, str]:
    """A name for the report, and what the notebooks open: a name, or an absolute path."""
    path = Path(capture)
    if str(capture) == "-":
        path = scratch / "standard-input"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return "standard-input", str(path)
    if path.exists():
        name = path.name
        while Path(name).suffix in (".gz", ".zst", ".xz", ".pcap", ".pcapng", ".cap", ".csv", ".txt"):
            name = Path(name).stem
        return name or path.name, str(path.resolve())
    return str(capture), str(capture)


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".") or "capture"


def _execute(notebook: Path, values: dict[str, Any], scratch: Path) -> Any:
    """Run one notebook in its folder with those of the values that it declares."""
    import papermill
    from traitlets.config import Config

    declared = settings.known([notebook])
    with _environment(scratch):
        try:
            return papermill.execute_notebook(
                str(notebook), str(scratch / notebook.name), {k: v for k, v in values.items() if k in declared},
                cwd=str(notebook.parent), kernel_name="python3", progress_bar=False, log_output=False,
                execution_timeout=CELL_TIMEOUT, extra_arguments=["--IPKernelApp.log_level=50"],
                config=Config(KernelManager={"transport": "ipc"} if os.name == "posix" else {}),
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            kind = getattr(errors, str(error.ename), None)
            if isinstance(kind, type) and issubclass(kind, LabError):
                raise kind(str(error.evalue)) from None
            raise LabError(
                f"{notebook.name}, cell {error.cell_index}: {error.ename}: {str(error.evalue)[:300]}"
            ) from error
        except RuntimeError as error:
            raise LabError(f"{notebook.name} cannot run: {error}.") from error


@contextlib.contextmanager
def _environment(scratch: Path) -> Iterator[None]:
    """What a kernel must not take from the user: a drawing backend, a start-up file, a clock for the figures."""
    before = dict(os.environ)
    os.environ.update(
        SOURCE_DATE_EPOCH="0",
        PYTHONHASHSEED="0",
        IPYTHONDIR=str(scratch / "ipython"),
        JUPYTER_RUNTIME_DIR=str(scratch / "run"),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )
    os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _write(document: documents.Document, study: bool, scratch: Path) -> Path:
    """Make all files aside, in the folder ``report`` of ``scratch``."""
    every = json.loads((render.ASSETS / "references.json").read_text(encoding="utf-8"))
    references = documents.references(every, document.cited(), study=study)
    made = scratch / "report"
    (made / "figures").mkdir(parents=True)
    for block in document.blocks:
        for name, content in block.files.items():
            (made / "figures" / name).write_bytes(content)
    (made / "Project3.md").write_text(render.github(document, references), encoding="utf-8")
    (made / "Project3.html").write_text(render.html(document, references), encoding="utf-8")
    (made / "Project3.pdf").write_bytes(render.pdf(document, references, made))
    results = json.dumps(document.results, indent=1, sort_keys=True, ensure_ascii=False)
    (made / "results.json").write_text(results + "\n", encoding="utf-8")
    return made


def manifest(name: str, opened: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What went into a report on the capture ``name``: files with their sha256, versions, parameters."""
    inputs = {}
    if opened.is_file():
        inputs[opened.name] = registry.sha256(opened)
    elif name in registry.names():
        entry = registry.find(name)
        inputs = {file.file: file.sha256 for file in entry.files if not file.address}
    if values["keylog"] and Path(values["keylog"]).is_file():
        inputs[Path(values["keylog"]).name] = registry.sha256(Path(values["keylog"]))
    packages = sorted({d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}.items())
    return {
        "capture": name, "inputs": inputs, "parameters": dict(values), "python": platform.python_version(),
        "machine": platform.platform(), "packages": dict(packages),
    }  # fmt: skip
