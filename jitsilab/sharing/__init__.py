"""A case under other names: all its pieces rewritten together, so that others can read it and nobody is in it.

`seeds` finds the names, `names` and `addresses` give each another, `wording` replaces them in text and `moments` moves
times there, `frames`, `messages`, `talk` and `encryption` do it inside captures, `several` shares that out between
processes, and `search` looks through what was made for every original.
"""

import secrets
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import outputs
from jitsilab.errors import LabError, ParameterError

if TYPE_CHECKING:
    from jitsilab.inputs import Evidence
    from jitsilab.sharing.case import Shared

ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")
CAPTURES = (".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz", ".pcapng.zst", ".pcapng.xz", ".cap")
ATTEMPTS = 4  # keys that are tried where some noise happens to look like an original


class LeakError(LabError):
    """Something of the original is left in what was to be shared."""


@dataclass
class Options:
    """What the user asked for."""

    key: bytes = b""
    software: bool = False  # hide SOFTWARE of STUN too
    shift: int = 0  # ns added to each time of a capture
    relative: bool = False  # the first frame of all is at the epoch; with texts the case begins in 2011
    map: Path | None = None
    pack: bool = False  # with the diagnosis, the frames that prove it and a text for a tracker


def share(evidence: "Evidence", roots: Iterable[Path], target: Path, options: Options) -> "Shared":
    """Write the shared case to a folder, an archive, or, for a capture alone, a file.

    Raises LeakError where the finished bundle still holds an original; nothing is left behind then.
    """
    from jitsilab.sharing import floors, search
    from jitsilab.sharing.case import Case

    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ParameterError(f"{target} is there already: name a new folder or file.")
    place = options.map or target.with_name(target.name.rstrip("/") + ".map.json")
    if target.absolute() in (place.absolute(), *place.absolute().parents):
        raise ParameterError(f"The map {place} would be shared with the rest: name another place.")
    key = options.key or secrets.token_bytes(32)
    held, hosts = list[str](), list[str]()
    captures = floors.rebuilt(evidence.packets)
    with tempfile.TemporaryDirectory(prefix=outputs.PART, dir=_near(target)) as scratch:
        for attempt in range(ATTEMPTS):
            bundle = Path(scratch) / f"bundle{attempt}"
            bundle.mkdir()
            shared = Case(evidence, list(roots), options, key + bytes([attempt]), captures, hosts).write(bundle)
            hosts = shared.hosts
            held = search.originals(bundle, shared.originals())
            if options.pack and not held:
                from jitsilab.sharing import pack

                pack.write(bundle, shared)
                held = search.originals(bundle, shared.originals())
            if not held:
                break
        if held:
            raise LeakError(
                f"The shared case would still hold {len(held)} originals: {'; '.join(held[:5])}. Nothing was written."
            )
        write_map(place, shared.mapping)  # first: without it nobody knows who is who in what was shared
        try:
            _deliver(bundle, target)
        except OSError:
            place.unlink(missing_ok=True)
            raise
    shared.map_path = place
    return shared


def _near(target: Path) -> Path | None:
    parent = target.absolute().parent
    if not parent.is_dir():
        raise ParameterError(f"There is no folder {parent}.")
    return parent


def _deliver(bundle: Path, target: Path) -> None:
    name = target.name.lower()
    if name.endswith(".zip"):
        with outputs.whole(target) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
                archive.write(path, str(path.relative_to(bundle)))
        return
    if name.endswith(ARCHIVES):
        form: Any = "w:gz" if name.endswith("gz") else "w"
        with outputs.whole(target) as out, tarfile.open(fileobj=out, mode=form) as archive:
            for path in sorted(bundle.rglob("*")):
                archive.add(path, str(path.relative_to(bundle)), recursive=False, filter=_nobody)
        return
    files = [path for path in bundle.rglob("*") if path.is_file()]
    captures = [path for path in files if path.name != "SHARED.txt"]
    if name.endswith(CAPTURES) and len(captures) == 1:
        shutil.move(captures[0], target)
        return
    if target.is_dir():
        target.rmdir()
    shutil.move(bundle, target)
    target.chmod(0o755)


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Members of an archive tell no owner and no time."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def write_map(path: Path, mapping: object) -> None:
    """What stands for what, for its owner alone."""
    from jitsilab import terminal

    with outputs.whole(path, text=True, private=True) as file:
        file.write(terminal.to_json(mapping, indent=1) + "\n")
