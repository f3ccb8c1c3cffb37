"""What a wheel takes from beside the package: notebooks, the registry, the study and two recordings."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
HOME = (
    "data/registry.csv",
    "data/release.csv",
    "data/project3-2020",
    "data/captures/turn-refused",
    "data/captures/jvb-3",
)


class WithHome(build_py):
    """Puts them below ``jitsilab/home``, where `jitsilab.inputs.registry` looks outside a clone."""

    def run(self) -> None:  # noqa: D102
        super().run()
        if self.editable_mode:
            return
        home = Path(self.build_lib) / "jitsilab" / "home"
        shutil.rmtree(home, ignore_errors=True)
        for name in HOME:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, home / name)
            else:
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, home / name)
        for truth in sorted((ROOT / "data" / "captures").glob("*/truth.json")):  # what the list of recordings tells
            there = home / truth.relative_to(ROOT)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(truth, there)
        (home / "notebooks").mkdir()
        for book in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
            shutil.copyfile(book, home / "notebooks" / book.name)


setup(cmdclass={"build_py": WithHome})
