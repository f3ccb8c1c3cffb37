"""Fixtures: others' captures where they are at hand, the project's own recordings always."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_page import Browser

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of captures that are not the project's own, in JITSILAB_DATA."""
    folder = os.environ.get("JITSILAB_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("JITSILAB_DATA names no folder: captures of others are not part of the project")
    return Path(folder).resolve()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not on this machine, and say which."""
    for mark in item.iter_markers("tool"):
        for name in mark.args:
            if shutil.which(name) is None:
                pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A recording of data/captures as a folder of plain files: capture-eth0.pcapng, keys.txt, truth.json, ..."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            from jitsilab.inputs import registry

            made[name] = registry.export(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium, one for the tests of a module."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with Browser(program, tmp_path_factory.mktemp("profile")) as one:
        yield one
