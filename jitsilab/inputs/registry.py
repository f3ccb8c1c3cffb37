"""Captures by name: ``data/registry.csv`` says of each which files it has, their sha256, how it was made, what is true.

A notebook, a test and the command line name a capture, never a path. The project's own recordings lie compressed in
``data/captures/``; what others published is fetched by address and sha256 into the user's cache, only when asked for.
"""

import csv
import hashlib
import io
import os
import shutil
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import zstandard

from jitsilab import outputs, terminal
from jitsilab.errors import CaptureError, ParameterError
from jitsilab.inputs import release

DEFAULT = "jvb-3"  # the recording that examples and tests use where none is named
STUDY = "project3-2020"
HOME = "JITSILAB_HOME"
PORTION = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class File:
    """One file of an entry: a row of ``data/registry.csv``."""

    role: str  # capture, keylog, truth, logs, evidence, table, published
    point: str  # where a capture was made: eth0, any, laptop-a, ...; empty for other files
    file: str  # path below data/, or the name it was published under
    address: str  # empty for the project's own files
    sha256: str
    licence: str
    recorded: str  # how it was made

    @property
    def path(self) -> Path:
        """Where the file lies on this machine; a recording that the installation leaves out is fetched."""
        here = data() / self.file
        parts = PurePosixPath(self.file).parts
        if here.exists() or parts[0] != "captures" or not (data() / release.SUMS).is_file():
            return here
        return release.folder(parts[1], data() / release.SUMS).joinpath(*parts[2:])


@dataclass(frozen=True, slots=True)
class Entry:
    """A capture, or a folder of tables, that has a name."""

    name: str
    shows: str  # what is true of it
    files: tuple[File, ...]

    @property
    def points(self) -> tuple[str, ...]:
        """Where it was captured; the first is what opens when no point is named. Empty for a folder of tables."""
        return tuple(file.point for file in self.files if file.role == "capture")

    @property
    def licence(self) -> str:
        """Licence of the files that lie in data/."""
        return self.files[0].licence

    @property
    def recorded(self) -> str:
        """How the first file was made."""
        return self.files[0].recorded

    @property
    def tables(self) -> Path | None:
        """The folder of an entry that is a set of tables, or None."""
        return None if self.points else self.folder

    def path(self, point: str | None = None) -> Path:
        """The capture made at ``point`` (the first one where None), or the folder of tables.

        Raises ParameterError, with the points there are, for another one.
        """
        if not self.points:
            if point:
                raise ParameterError(f"{self.name!r} is a folder of tables and has no point {point!r}.")
            return self.folder
        for file in self.files:
            if file.role == "capture" and (point is None or file.point == point):
                return file.path
        raise ParameterError(f"{self.name!r} was not captured at {point!r}. There are: {', '.join(self.points)}.")

    @property
    def folder(self) -> Path:
        """Where the entry's own files lie."""
        return next((file.path.parent for file in self.files if not file.address), data() / self.name)

    @property
    def keylog(self) -> Path | None:
        """The TLS secrets of a recording, or None."""
        return next((file.path for file in self.files if file.role == "keylog"), None)

    @property
    def facts(self) -> Path | None:
        """The deployment's configuration files, or None."""
        facts = self.folder / "facts"
        return facts if facts.is_dir() else None

    @property
    def evidence(self) -> tuple[Path, ...]:
        """What people had of a recording beside captures: logs, consoles, dumps, answers of the servers, packed."""
        return tuple(file.path for file in self.files if file.role == "evidence")

    @property
    def published(self) -> tuple[File, ...]:
        """Files that others published and the project does not hold; `fetch` gets them."""
        return tuple(file for file in self.files if file.address)


def data() -> Path:
    """The folder ``data/`` of the clone this package runs from, of the one in JITSILAB_HOME, or of the installation.

    Raises CaptureError, with what to do, when there is neither.
    """
    beside = Path(__file__).resolve().parent.parent.parent / "data"
    if (beside / "registry.csv").is_file():
        return beside
    home = os.environ.get(HOME, "")
    if home and (Path(home) / "data" / "registry.csv").is_file():
        return Path(home).resolve() / "data"
    installed = Path(__file__).resolve().parent.parent / "home" / "data"
    if not home and (installed / "registry.csv").is_file():
        return installed
    where = f"{HOME} names {home}, which has no data/registry.csv" if home else f"{HOME} is not set"
    raise CaptureError(
        f"The named captures are not here: jitsilab runs outside its clone and {where}. "
        f"Set {HOME} to a clone of the project, or give the path of a capture instead of a name."
    )


def entries() -> list[Entry]:
    """Every entry, in the registry's order."""
    return list(_read(data() / "registry.csv"))


@cache
def _read(path: Path) -> tuple[Entry, ...]:
    shows: dict[str, str] = {}
    files: dict[str, list[File]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            name = row.pop("name")
            shows[name] = row.pop("shows")
            files.setdefault(name, []).append(File(**row))
    return tuple(Entry(name, shows[name], tuple(own)) for name, own in files.items())


def names() -> list[str]:
    """The names of all entries."""
    return [entry.name for entry in entries()]


def find(name: str) -> Entry:
    """The entry of that name.

    Raises ParameterError with the known names for another one.
    """
    for entry in entries():
        if entry.name == name:
            return entry
    near = terminal.nearest(name, names())
    if near:
        raise ParameterError(f"No file and no recording {name!r}. Did you mean {' or '.join(near)}?")
    raise ParameterError(f"No file and no recording {name!r}: jitsilab captures lists what there is by name.")


def capture_path(entry: Entry, point: str | None = None) -> Path:
    """The capture of ``entry`` made at ``point``; see `Entry.path`."""
    return entry.path(point)


def sha256(path: Path) -> str:
    """The sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def export(name: str, folder: str | Path) -> Path:
    """Write an entry's files into ``folder``, uncompressed, as Wireshark and other programs want them, and return it.

    A recording gives capture-POINT.pcapng, keys.txt, truth.json, facts/, the logs and what else people had of it; the
    study its tables. What was published elsewhere is not fetched. Files of the same names are overwritten, others left
    alone.
    """
    entry, folder = find(name), Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in entry.files:
            if not file.address:
                _unpack(file.path, folder)
        if entry.facts:
            shutil.copytree(entry.facts, folder / "facts", dirs_exist_ok=True)
    except (OSError, zstandard.ZstdError, tarfile.TarError) as error:
        raise CaptureError(f"Cannot export {name!r} to {folder}: {error}") from error
    return folder


def _unpack(packed: Path, folder: Path) -> None:
    if packed.name.endswith(".tar.zst"):
        with packed.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
            archive = io.BytesIO(plain.read())
        with tarfile.open(fileobj=archive) as members:
            for member in members:
                name, content = PurePosixPath(member.name), members.extractfile(member) if member.isfile() else None
                if content is None or name.is_absolute() or ".." in name.parts:
                    continue
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with outputs.whole(folder / name) as out:
                    shutil.copyfileobj(content, out)
    elif packed.suffix == ".zst":
        with packed.open("rb") as file, outputs.whole(folder / packed.stem) as out:
            zstandard.ZstdDecompressor().copy_stream(file, out, read_size=PORTION, write_size=PORTION)
    else:
        with packed.open("rb") as file, outputs.whole(folder / packed.name) as out:
            shutil.copyfileobj(file, out)


def fetch(name: str) -> list[Path]:
    """Download what others published of an entry into the user's cache (once) and return the paths.

    Each file is held against its sha256. Raises CaptureError where the network or the file fails.
    """
    published = find(name).published
    if not published:
        raise ParameterError(f"Nothing of {name!r} was published elsewhere: its files are in data/.")
    import pooch  # the only use of the network in this module

    paths = []
    for file in published:
        try:
            got = pooch.retrieve(file.address, known_hash=f"sha256:{file.sha256}", path=pooch.os_cache("jitsilab"))
        except Exception as error:  # pooch passes on whatever its HTTP client raises
            raise CaptureError(f"Cannot fetch {file.address}: {error}") from error
        paths.append(Path(got))
    return paths
