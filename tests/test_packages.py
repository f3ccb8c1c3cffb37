"""What an installation holds without its clone, and where it gets the rest."""

import csv
import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitsilab.errors import CaptureError
from jitsilab.inputs import registry, release

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked where nothing else of the project is."""
    out = tmp_path_factory.mktemp("wheel")
    for kind in ("sdist", "wheel"):
        build = f"from setuptools import build_meta as b; b.build_{kind}({str(out)!r})"
        ran = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-2000:]
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        wheel.extractall(out / "site")
    return out


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local server that plays the release."""
    folder = tmp_path / "release"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()


def run(installed: Path, *arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed / "site"), "HOME": str(cwd),
                   "XDG_CACHE_HOME": str(cwd / "cache"), **more}  # fmt: skip
    command = [sys.executable, "-m", "jitsilab", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_main_job_is_done_outside_a_clone(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, "diagnose", "turn-refused", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "[turn-permission-refused]" in answer.stdout
    assert str(ROOT) not in answer.stdout
    listed = run(installed, "captures", cwd=tmp_path)
    assert "colibri-403" in listed.stdout


def test_the_source_archive_has_what_a_wheel_is_made_of(installed: Path) -> None:
    import tarfile

    with tarfile.open(next(installed.glob("*.tar.gz"))) as members:
        names = {name.partition("/")[2] for name in members.getnames()}
    assert {"data/registry.csv", "data/release.csv", "notebooks/01-deploy.ipynb", "setup.py", "LICENSE"} <= names
    assert any(name.startswith("data/captures/jvb-3/") for name in names)


def test_a_recording_that_is_left_out_comes_from_the_release(
    installed: Path, tmp_path: Path, served: tuple[str, Path]
) -> None:
    address, folder = served
    where = {release.ADDRESS: address}
    refused = run(installed, "diagnose", "alone", cwd=tmp_path)
    assert refused.returncode == 2
    assert "JITSILAB_RELEASE" in refused.stderr
    missing = run(installed, "diagnose", "alone", cwd=tmp_path, **where)
    assert missing.returncode == 2
    assert "404" in missing.stderr
    archive = release.pack(registry.data() / "captures" / "alone", folder)
    answer = run(installed, "diagnose", "alone", cwd=tmp_path, **where)
    assert "[alone-in-room]" in answer.stdout, answer.stderr
    archive.unlink()
    again = run(installed, "diagnose", "alone", cwd=tmp_path, **where)  # from the cache
    assert again.stdout == answer.stdout


def test_an_archive_with_another_sum_is_not_unpacked(installed: Path, tmp_path: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    archive = release.pack(registry.data() / "captures" / "alone", folder)
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    answer = run(installed, "diagnose", "alone", cwd=tmp_path, **{release.ADDRESS: address})
    assert answer.returncode == 2
    assert "hash" in answer.stderr
    assert not list((tmp_path / "cache").rglob("capture-*"))


def test_the_sums_of_the_release_are_those_of_the_recordings(tmp_path: Path) -> None:
    with (registry.data() / release.SUMS).open(encoding="utf-8", newline="") as lines:
        known = {row["name"]: row["sha256"] for row in csv.DictReader(lines)}
    captures = {one.name: one for one in (registry.data() / "captures").iterdir() if one.is_dir()}
    assert set(known) == set(captures)
    for name, folder in captures.items():
        archive = release.pack(folder, tmp_path)
        assert registry.sha256(archive) == known[name], "python -m jitsilab.inputs.release packs anew"
        archive.unlink()
    with pytest.raises(CaptureError, match="no release"):
        release.folder("nobody", registry.data() / release.SUMS)
