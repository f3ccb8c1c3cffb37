"""Fixtures: others' captures where they are at hand, the project's own recordings always."""

import gc
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browser_page import Browser
from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).resolve().parent

NIGHTLY = "JITSILAB_NIGHTLY" in os.environ


def pytest_configure() -> None:
    """Let programs that tests start be interrupted, even if these tests run where a shell has SIGINT ignored (`&`)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: the collector need not look at each of them again and again."""
    gc.collect()
    gc.freeze()


class Sharing(LoadFileScheduling):
    """A file goes to one process, and with it all files that share what it opens (captures.py, calls.py)."""

    def _split_scope(self, nodeid: str) -> str:
        return _shares(str(super()._split_scope(nodeid)))


@cache
def _shares(file: str) -> str:
    imported = re.findall(r"^from (captures|calls) import", (TESTS.parent / file).read_text(), re.M)
    return max(imported, default=file)  # whoever asks for both goes where captures are


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of captures that are not the project's own, in JITSILAB_DATA."""
    folder = os.environ.get("JITSILAB_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("JITSILAB_DATA names no folder: captures of others are not part of the project")
    return Path(folder).resolve()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not on this machine, and say which; and, by day, what is for the night."""
    for mark in item.iter_markers("tool"):
        for name in mark.args:
            if shutil.which(name) is None:
                pytest.skip(f"{name} is not installed")
    for mark in item.iter_markers("nightly"):
        if not NIGHTLY:
            pytest.skip(f"{mark.args[0]}: `make nightly` does it")


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
