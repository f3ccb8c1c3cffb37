"""Recordings that an installation leaves out: one archive each in the release, fetched once and held against its sum.

``data/release.csv`` has a row an archive; ``python -m jitsilab.inputs.release FOLDER`` packs them for a release, always
to the same bytes. Where the release lies is said by the package's own metadata (a project URL named Release), or by
JITSILAB_RELEASE: any address below which the archives stand.
"""

import csv
import hashlib
import os
import sys
import tarfile
from importlib import metadata
from pathlib import Path

from jitsilab.errors import CaptureError

ADDRESS = "JITSILAB_RELEASE"
SUMS = "release.csv"


def pack(folder: Path, out: Path) -> Path:
    """The archive of one recording's folder: names in order, no owner, no time, so that two packings are equal."""
    archive = out / f"{folder.name}.tar"
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as members:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                members.addfile(member, file)
    return archive


def address() -> str:
    """Below which the archives stand.

    Raises CaptureError where neither the package nor JITSILAB_RELEASE names one.
    """
    given = os.environ.get(ADDRESS, "")
    try:
        named = metadata.metadata("jitsilab").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        named = []
    known = [url.partition(", ")[2] for url in named if url.lower().startswith("release, ")]
    if not given and not known:
        raise CaptureError(
            f"This installation does not hold that recording, and nothing says where the release lies: set {ADDRESS} "
            "to its address, or JITSILAB_HOME to a clone of the project."
        )
    return (given or known[0]).rstrip("/")


def folder(name: str, sums: Path) -> Path:
    """The folder of a recording in the user's cache, fetched there when it is not.

    ``sums`` is the ``release.csv`` that this installation came with. Raises CaptureError where the network or the file
    fails; a file with another sum is not unpacked.
    """
    with sums.open(encoding="utf-8", newline="") as lines:
        known = {row["name"]: row["sha256"] for row in csv.DictReader(lines)}
    if name not in known:
        raise CaptureError(f"{name!r} is in no release that {sums} knows.")
    import pooch

    cache = Path(pooch.os_cache("jitsilab")) / "captures" / known[name][:16]
    if (cache / name).is_dir():
        return cache / name
    url = f"{address()}/{name}.tar"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        got = pooch.retrieve(url, known_hash=f"sha256:{known[name]}", fname=f"{name}.tar", path=cache)
        _unpack(Path(got), cache, name)
    except Exception as error:  # pooch passes on whatever its HTTP client raises
        raise CaptureError(f"Cannot fetch {url}: {error}") from error
    return cache / name


def _unpack(archive: Path, cache: Path, name: str) -> None:
    """Whole or not at all: two runs may do it side by side."""
    beside = cache / f".{os.getpid()}"
    with tarfile.open(archive) as members:
        members.extraction_filter = getattr(
            tarfile, "data_filter", None
        )  # of Python 3.11.4; the sum vouches for the rest
        members.extractall(beside)
    try:
        (beside / name).rename(cache / name)
    except OSError:
        if not (cache / name).is_dir():  # the other run was first
            raise
    archive.unlink(missing_ok=True)


def main(out: Path) -> None:
    """Pack every recording of the clone into ``out`` and write data/release.csv."""
    from jitsilab.inputs import registry

    captures = registry.data() / "captures"
    out.mkdir(parents=True, exist_ok=True)
    archives = [pack(recording, out) for recording in sorted(captures.iterdir()) if recording.is_dir()]
    with (registry.data() / SUMS).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("name", "size", "sha256"))
        for archive in archives:
            with archive.open("rb") as packed:
                sum_ = hashlib.file_digest(packed, "sha256").hexdigest()
            rows.writerow((archive.stem, archive.stat().st_size, sum_))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/release"))
