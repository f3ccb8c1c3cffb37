"""docs/licences.md, made of what the installed packages say: ``python tests/licences_page.py`` writes it."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Licences of what jitsilab uses

Made of the packages' own metadata; `python tests/licences_page.py` writes it, and a test holds it to `pyproject.toml`.
What they mean together is decided in [decision 6](decisions/0006-licences-and-dependencies.md).

| package | for | licence |
|---|---|---|
"""
_SAME = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Python Software Foundation License": "PSF-2.0",
}
_NOT_SAID = {"atheris": "Apache-2.0"}  # by the LICENSE file of its repository


def declared() -> dict[str, str]:
    """Package to what it is for, as pyproject.toml has them, all but what is only measured against."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    found = {}
    for group, lines in groups.items():
        for line in lines:
            name = re.match(r"[\w.-]+", line)
            if name is not None and group != "bench":
                found.setdefault(name[0], group)
    return found


def licence(name: str) -> str | None:
    """What a package says its licence is, None where it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classes = [one.split(" :: ")[-1] for one in about.get_all("Classifier") or () if one.startswith("License ::")]
    said = about.get("License-Expression") or ", ".join(_SAME.get(one, one) for one in classes)
    said = said or (about.get("License") or "").partition("\n")[0][:40]
    return said or _NOT_SAID.get(name, "not said")


def page() -> str:
    """The whole page, of the packages that are installed."""
    rows = ((name, group, licence(name)) for name, group in declared().items())
    return HEAD + "".join(f"| {name} | {group} | {said} |\n" for name, group, said in rows if said is not None)


if __name__ == "__main__":
    ROOT.joinpath("docs", "licences.md").write_text(page(), encoding="utf-8")
