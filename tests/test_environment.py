"""One set of packages: pyproject.toml, environment.yml and requirements.lock agree."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: the same things under the names of conda-forge; without a window system
CONDA = {"matplotlib": "matplotlib-base", "dask": "dask-core", "duckdb": "python-duckdb"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """Package to version bound, as pyproject.toml has them, all but what is only measured against."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name != "bench"]
    lines = [line.split(";")[0] for line in (*project["dependencies"], *(one for extra in extras for one in extra))]
    split = [re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", line) for line in lines]
    return {normal(m.group(1)): m.group(2) for m in split if m}


def environment() -> dict[str, str]:
    """Package to version bound, as environment.yml has them, under their pip names."""
    back = {conda: pip for pip, conda in CONDA.items()}
    found = {}
    for line in (ROOT / "environment.yml").read_text().splitlines():
        if m := re.fullmatch(r"\s+- ([A-Za-z0-9_.-]+?)((?:>=|==|<).*)?", line.rstrip()):
            found[normal(back.get(m.group(1), m.group(1)))] = m.group(2) or ""
    return found


def test_environment_yml_equals_pyproject() -> None:
    ours, theirs = declared(), environment()
    for helper in ("pip", "python", "conda-forge", "make"):
        theirs.pop(helper, None)
    assert theirs == ours


def test_the_lock_holds_every_declared_package_and_only_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text()
    locked = {normal(m.group(1)) for m in re.finditer(r"^([A-Za-z0-9_.-]+)==", text, re.M)}
    assert set(declared()) <= locked
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    pins = re.findall(r"^[A-Za-z0-9_.-]+==.*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+", text, re.M)
    assert len(pins) == len(locked)
