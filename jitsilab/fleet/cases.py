"""What the paths of a survey name, case by case, and how a case is known again.

A file is a case, an archive too. Of a folder each entry is one: a subfolder with all that is in it, a file by itself;
with ``whole`` the folder itself. A pattern (``*``, ``?``, ``[``, ``**``) stands for what it matches.
"""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jitsilab.errors import CaptureError, ParameterError
from jitsilab.fleet import remote

_LEFT_OUT = {".git", "__pycache__", ".venv", "node_modules"}
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


class Case(NamedTuple):
    """One case of a survey."""

    id: str  # of the partition: letters, digits, ``.``, ``_`` and ``-``, never to be taken for a number or a date
    source: str  # what the user calls it, without what in an address is a secret
    where: str  # an absolute path, or an address for fsspec

    @property
    def remote(self) -> bool:
        """Whether it lies elsewhere."""
        return remote.is_address(self.where)


def cases(paths: Iterable[str | Path] | str | Path, whole: bool = False) -> Iterator[Case]:
    """Every case that these paths name, each once, in order. Raises where a path or pattern names nothing."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise ParameterError("Name at least one file, folder, pattern or address to survey.")
    met: set[str] = set()
    for path in given:
        named = _elsewhere(str(path), whole) if remote.is_address(str(path)) else _here(str(path), whole)
        for case in named:
            if case.id not in met:
                met.add(case.id)
                yield case


def _here(given: str, whole: bool) -> Iterator[Case]:
    try:
        there = os.path.lexists(given)
    except ValueError as error:
        raise CaptureError(f"Cannot read {given!r}: {error}.") from None
    if not there and glob.has_magic(given):
        matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 (absolute patterns too, as written)
        if not matches:
            raise CaptureError(f"Nothing matches {given}.")
    elif not there:
        raise CaptureError(f"There is no file {given}.")
    else:
        matches = [given]
    for match in matches:
        if Path(match).is_dir() and not whole:
            for entry in sorted(os.scandir(match), key=lambda entry: entry.name):
                if entry.name not in _LEFT_OUT and not entry.name.startswith("."):
                    yield _local(os.path.join(match, entry.name))  # noqa: PTH118 (as the user wrote it)
        else:
            yield _local(match)


def _elsewhere(given: str, whole: bool) -> Iterator[Case]:
    for where in remote.expand(given, whole):
        source = remote.shown(where)
        yield Case(_id(source), source, where)


def _local(path: str) -> Case:
    where = os.path.abspath(path)  # noqa: PTH100 (links stay links: what they point at may change)
    return Case(_id(where), path, where)


def _id(where: str) -> str:
    """The name and a digest of the whole path, in letters: partitions of digits would be read as numbers."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", where.rstrip("/").rpartition("/")[2])[-60:].strip("-.") or "case"
    return f"{name}-{hashlib.sha256(where.encode('utf-8', 'surrogateescape')).hexdigest()[:10].translate(_LETTERS)}"


class Seen(NamedTuple):
    """A file as it was when it was read."""

    name: str  # below the case, empty for the case itself
    size: int
    mark: str  # what changes where it was written to: time and inode, or what a server says
    sha256: str


def files(where: str) -> Iterator[tuple[str, str]]:
    """Name and path of every file of a case on this machine, in order."""
    if not Path(where).is_dir():
        yield "", where
        return
    for folder, folders, names in os.walk(where):
        folders[:] = sorted(inner for inner in folders if inner not in _LEFT_OUT)
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118
            yield os.path.relpath(path, where), path


def marks(where: str) -> list[tuple[str, int, str, str]]:
    """Name, size, mark and path of every regular file of a case."""
    marked = []
    for name, path in files(where):
        try:
            known = Path(path).stat()
        except OSError:
            marked.append((name, -1, "gone", path))
            continue
        if Path(path).is_file():
            marked.append((name, known.st_size, f"{known.st_mtime_ns}-{known.st_ino}", path))
    return marked


def digest(path: str) -> str:
    """The sha256 of a file's bytes; empty where it cannot be read."""
    sum256 = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                sum256.update(block)
    except OSError:
        return ""
    return sum256.hexdigest()


def fingerprint(where: str, known: list[Seen]) -> list[Seen]:
    """Every file with its sha256; of those that bear the mark that is ``known`` it is not taken again."""
    before = {file.name: file for file in known}
    seen = []
    for name, size, mark, path in marks(where):
        old = before.get(name)
        same = old is not None and (old.size, old.mark) == (size, mark)
        seen.append(Seen(name, size, mark, old.sha256 if same and old is not None else digest(path)))
    return seen


def contents(files: list[Seen]) -> str:
    """One digest of what a case holds, whatever the marks of its files."""
    text = "\n".join(f"{file.name}\0{file.size}\0{file.sha256}" for file in files)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
