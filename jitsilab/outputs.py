"""Files are written whole or not at all: beside their place under a hidden name, and put there when all is in them.

Whatever ends a run, a full disk or a kill, what stands under the name that was asked for is the former file or the new
one. What a kill leaves behind has a name that begins with `PART`; it is its owner's alone, and no evidence.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

PART = ".part-"  # begins the name of what is not whole
LAST = "MANIFEST.json"  # of a report: what is written when all else is in its place


@contextlib.contextmanager
def whole(path: str | Path, *, text: bool = False, private: bool = False) -> "Iterator[IO[Any]]":
    """A file to write to, which comes into its place when the block ends without an error.

    ``private`` is for its owner alone. A device or a pipe is written to as it is. Raises OSError with the name that was
    asked for.
    """
    path = Path(path)
    form: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""} if text else {}
    mode = "w" if text else "wb"
    if path.exists() and not path.is_file():
        with path.open(mode, **form) as file:
            yield file
        return
    with _part(path, private) as part, _open(part, mode, form) as file:
        yield file


@contextlib.contextmanager
def place(path: str | Path) -> "Iterator[Path]":
    """A name to write a file under, by whatever writes files by name; it comes into its place when the block ends."""
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path
        return
    with _part(path) as part:
        yield part


@contextlib.contextmanager
def _part(path: Path, private: bool = False) -> "Iterator[Path]":
    target = path.resolve()  # a link goes on pointing where it points
    part = target.with_name(f"{PART}{secrets.token_hex(4)}-{target.name[-100:]}")
    rights = stat.S_IMODE(target.stat().st_mode) if target.is_file() else 0o666 & ~_umask()
    try:
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # a disk that is full may say so only now
            part.chmod(0o600 if private else rights)
            part.replace(target)
        except OSError as error:
            if error.filename in (str(part), None):
                error.filename, error.filename2 = str(path), None
            raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _open(part: Path, mode: str, form: "dict[str, Any]") -> "Iterator[IO[Any]]":
    with part.open(mode, **form) as file:
        yield file


def _umask() -> int:
    known = os.umask(0o077)
    os.umask(known)
    return known


def folder(made: Path, target: Path) -> None:
    """Put a finished folder in its place: at once where nothing is there, else file by file, `LAST` being last.

    Where there is a folder already, `LAST` is taken away first: without it nobody takes what is there for whole. Of
    its folders that are made anew, what is not made again goes; other files of the user's stay.
    """
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        near = target.absolute().parent / f"{PART}{secrets.token_hex(4)}-{target.name[-100:]}"
        try:
            shutil.copytree(made, near)
            if target.is_dir():
                target.rmdir()
            near.rename(target)
        finally:
            shutil.rmtree(near, ignore_errors=True)
        return
    (target / LAST).unlink(missing_ok=True)
    every = sorted((path for path in made.rglob("*") if path.is_file()), key=lambda path: (path.name == LAST, path))
    for path in every:
        there = target / path.relative_to(made)
        there.parent.mkdir(parents=True, exist_ok=True)
        with whole(there) as out, path.open("rb") as file:
            shutil.copyfileobj(file, out)
    known = {path.relative_to(made) for path in every}
    for below in (entry for entry in made.iterdir() if entry.is_dir()):
        for old in (target / below.name).rglob("*"):
            if old.is_file() and old.relative_to(target) not in known:
                old.unlink()
