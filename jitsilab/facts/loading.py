"""From files to facts: each file known by name and content, those that are in force read by the reader of its kind."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jitsilab.errors import CaptureError, Problem
from jitsilab.facts import kinds
from jitsilab.facts.facts import Facts
from jitsilab.facts.model import Fact, Input

LARGEST = 1 << 20  # bytes of one file
MOST = 400  # files
DEEPEST = 8  # folders
HEAD = 1 << 16  # bytes by which a file is known
SKIPPED = {".git", "node_modules", "__pycache__", ".venv"}


class Given(NamedTuple):
    """A file under the name that answers show, with its bytes or the path to them."""

    name: str
    data: bytes | Path


def load(*sources: "str | Path | Given") -> Facts:
    """Read a server's files: folders, single files, or both, each file known by its name and content.

    A `Given` file is shown under the name that it brings. Raises CaptureError where a path cannot be read.
    """
    from jitsilab.facts import reading  # with all the parsers, of which recognising a file needs none

    given = [file for source in sources for file in _given(source)]
    facts = Facts(str(sources[0]) if len(sources) == 1 and not isinstance(sources[0], Given) else "")
    for late in given[MOST:]:
        facts.problems.append(Problem(0, "facts", 0, f"more than {MOST} files; those from {late.name} on are left out"))
        break
    taken = [opened for opened in (_open(file, facts) for file in given[:MOST]) if opened is not None]
    for file in _in_order(taken, facts):
        reading.add(file, taken, facts)
    reading.finish(facts)
    return facts


class File(NamedTuple):
    """A file of a known kind."""

    name: str
    text: str
    kind: str
    digest: str


def _given(source: "str | Path | Given") -> list[Given]:
    if isinstance(source, Given):
        return [source]
    root = Path(source)
    if root.is_file():
        return [Given(root.name, root)]
    if not root.is_dir():
        raise CaptureError(f"There is no folder {source}: --facts takes a folder of a server's configuration files.")
    return [Given(path.relative_to(root).as_posix(), path) for path in _files(root)]


def _files(root: Path) -> Iterator[Path]:
    """Files in a stable order; no link leads out of the folder."""
    inside = root.resolve()
    paths = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if len(parts) <= DEEPEST and not SKIPPED & set(parts) and path.is_file():
            if path.resolve().is_relative_to(inside):
                paths.append(path)
            if len(paths) > 20 * MOST:
                break
    return iter(sorted(paths, key=lambda p: p.relative_to(root).as_posix()))


def _open(given: Given, facts: Facts) -> File | None:
    try:
        data = given.data if isinstance(given.data, bytes) else _bytes(given.data)
    except OSError as error:
        facts.problems.append(Problem(0, "facts", 0, f"{given.name}: {error.strerror}"))
        return None
    digest = hashlib.sha256(data).hexdigest()
    if len(data) > LARGEST:
        _unused(given.name, "unknown", "", f"larger than {LARGEST} bytes, left out", facts)
        return None
    if b"PRIVATE KEY-----" in data:
        facts.private_keys.append(given.name)
        _unused(given.name, "known", digest, "holds a private key, not opened", facts, quiet=True)
        return None
    kind = kinds.recognise(given.name, data[:HEAD])
    if kind is None:
        _unused(given.name, "unknown", digest, "not a file of a known kind, left out", facts)
        return None
    return File(given.name, data.decode("utf-8", "replace").replace("\r\n", "\n"), kind, digest)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _unused(name: str, kind: str, digest: str, note: str, facts: Facts, quiet: bool = False) -> None:
    facts.inputs.append(Input(name, kind, digest, note))
    if not quiet:
        facts.problems.append(Problem(0, "facts", 0, f"{name}: {note}"))


def _in_order(files: list[File], facts: Facts) -> Iterator[File]:
    """What is in force, in the order in which programs read it: main files before what they include."""
    enabled = {file.name.rpartition("/")[2] for file in files if not _aside(file.name)}
    folders = {part for file in files for part in file.name.split("/")[:-1]}
    beside = {"conf.avail": "conf.d", "sites-available": "sites-enabled", "conf-available": "conf-enabled",
              "mods-available": "mods-enabled"}  # fmt: skip
    project = _project(files)
    chosen = []
    for file in files:
        aside = _aside(file.name)
        base = file.name.rpartition("/")[2]
        note = ""
        if (
            kinds.NOT_IN_FORCE.search(base.lower())
            or base.lower() in ("env.example", "example.env")
            or kinds.BACKUP.search(file.name)
        ):
            note = "by its name not in force, left out"
        elif aside and (beside[aside] in folders or base in enabled):
            note = f"in {aside}, not enabled, left out"
        elif file.kind != "known" and kinds.is_template(file.kind, file.text):
            note = "a template that is not filled in, left out"
        elif file.kind in ("compose", "env") and file.name not in project:
            note = "not what compose reads there by itself, left out"
        if note:
            _unused(file.name, file.kind, file.digest, note, facts, quiet=bool(aside))
        else:
            facts.inputs.append(Input(file.name, file.kind, file.digest))
            chosen.append(file)
    _several(chosen, facts)
    first = ("env", "addresses", "route", "versions")
    return iter(sorted(chosen, key=lambda f: (f.kind not in first, f.kind == "compose", _later(f.name), f.name)))


MAINS = ("prosody.cfg.lua", "jicofo.conf", "turnserver.conf", "nginx.conf")  # one of a name is in force


def _several(files: list[File], facts: Facts) -> None:
    """Two main files of one name that say different things: which is in force is not known, and is said."""
    for name in MAINS:
        same = [file for file in files if file.name.rpartition("/")[2] == name]
        if len({file.digest for file in same}) > 1:
            facts.ambiguous |= {file.kind for file in same}
            note = f"{same[1].name}: there is {same[0].name} too; which is in force is not known"
            facts.problems.append(Problem(0, "facts", 0, note))


def _project(files: list[File]) -> set[str]:
    """The compose files and the .env of one project: that of the folder nearest to the top, as compose picks them.

    ``COMPOSE_FILE`` in .env names others. Where no file has a usual name, the first folder's are taken.
    """

    def folder(name: str) -> str:
        return name.rpartition("/")[0]

    def base(name: str) -> str:
        return name.rpartition("/")[2].lower()

    every = [file for file in files if file.kind == "compose" and not kinds.is_template("compose", file.text)]
    every = [file for file in every if not kinds.NOT_IN_FORCE.search(base(file.name))]
    usual = [file for file in every if kinds.COMPOSE.match(base(file.name))]
    here = sorted({folder(file.name) for file in usual or every}, key=lambda f: (bool(f), f.count("/"), f))
    variables = [file for file in files if file.kind == "env" and not kinds.NOT_IN_FORCE.search(base(file.name))]
    variables = [file for file in variables if base(file.name) not in ("env.example", "example.env")]
    if not every:
        nearest = sorted(variables, key=lambda file: (file.name.count("/"), base(file.name) != ".env", file.name))
        return {file.name for file in nearest[:1]}
    same = [file for file in variables if folder(file.name) == here[0]]
    dotted = [file for file in same if base(file.name) == ".env"] or same[:1]
    named = re.search(r"(?m)^COMPOSE_FILE=[\"']?([^\"'\n#]+)", dotted[0].text) if dotted else None
    wanted = {base(part.strip()) for part in re.split(r"[:;,]", named[1])} if named else set()
    chosen = [file for file in usual or every if folder(file.name) == here[0]]
    if wanted:
        chosen = [file for file in every if folder(file.name) == here[0] and base(file.name) in wanted] or chosen
    return {file.name for file in (*chosen, *dotted)}


def _later(name: str) -> int:
    base = name.rpartition("/")[2].lower()
    if base == "prosody.cfg.lua":
        return 0
    return 2 if base.startswith("custom-") or "override" in base else 1


def _aside(name: str) -> str:
    return next((part for part in name.split("/")[:-1] if part in kinds.KEPT_ASIDE), "")


def from_versions(packages: dict[str, str], place: str) -> Facts:
    """Facts where nothing but versions is known, as of a published study."""
    return Facts(versions={name: Fact(version, place) for name, version in packages.items()})


__all__ = ["Given", "from_versions", "load"]
