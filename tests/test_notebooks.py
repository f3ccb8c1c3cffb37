"""The notebooks hold their form, and their kept results bite: nbval fails when one is altered."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from by_night import thinned
from kept_notebook import SHOWN

from jitsilab.pages.report import parameters

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]-*.ipynb"))
RESULT = "application/vnd.jitsilab.result+json"
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def tagged(notebook: Any, tag: str) -> list[Any]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS][:4] == ["00-explore", "01-deploy", "02-capture", "03-signaling"]


@each
def test_form(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "papermill" not in notebook.metadata
    assert len(tagged(notebook, "parameters")) == 1
    assert len(tagged(notebook, "results")) == 1
    assert notebook.cells[-1] is tagged(notebook, "results")[0]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 12, cell.source
            assert "def " not in cell.source
            assert "lambda" not in cell.source
            assert "papermill" not in cell.metadata


@each
def test_every_parameter_is_typed_and_explained(path: Path) -> None:
    for name, found in parameters.known([path]).items():
        assert found["inferred_type_name"] in parameters.TYPES, name
        assert found["help"], name
        assert found["default"] != "None", name


@each
def test_pictures_are_kept_and_what_only_the_report_reads_is_not(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())}
    assert kinds - {RESULT}
    assert str(FOLDER.parent) not in path.read_text(encoding="utf-8")
    for cell in notebook.cells:
        kept = {"keep_output", "nbval-check-output"} <= set(cell.metadata.get("tags", ()))
        if kept:
            assert cell.execution_count
            results = [output.data for output in cell.outputs if RESULT in output.get("data", {})]
            assert results
            assert results[0][RESULT]
            assert json.loads(results[0]["text/plain"]) == results[0][RESULT]
        elif cell.cell_type == "code":
            assert {kind for output in cell.outputs for kind in output.get("data", ())} <= set(SHOWN)


def test_nbval_fails_where_a_kept_result_was_altered(tmp_path: Path) -> None:
    notebook = nbformat.read(FOLDER / "02-capture.ipynb", 4)
    (cell,) = tagged(notebook, "results")
    bundle = next(output.data for output in cell.outputs if RESULT in output.get("data", {}))
    bundle[RESULT]["frames"] += 1
    bundle["text/plain"] = bundle["text/plain"].replace('"frames": ', '"frames": 1')
    altered = tmp_path / "altered.ipynb"
    nbformat.write(notebook, altered)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["--nbval-lax", "--nbval-current-env", str(altered)]
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert "frames" in run.stdout


FOR_THE_NIGHT = pytest.mark.nightly("as with logs")


@pytest.mark.parametrize(
    "piece",
    [
        "logs",
        pytest.param("console-laptop-a.txt", marks=FOR_THE_NIGHT),
        pytest.param("webrtc_internals-laptop-a.txt.gz", marks=FOR_THE_NIGHT),
    ],
)
@pytest.mark.parametrize(
    "path",
    thinned([path for path in NOTEBOOKS if "evidence" in parameters.known([path])], every=2),
    ids=lambda path: path.stem,
)
def test_a_notebook_takes_evidence_without_a_packet(
    path: Path, piece: str, recording: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr("jitsilab.pages.notebook.display", lambda *_, **__: None)
    names: dict[str, Any] = {}
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", ()):
                names["evidence"] = [recording("bridge-killed") / piece]
