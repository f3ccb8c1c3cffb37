"""What lies elsewhere, through fsspec: ``s3://``, ``gs://``, ``http://`` and whatever else is installed."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jitsilab.errors import CaptureError, ParameterError

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*(::[a-z][a-z0-9+.-]*)*://", re.I)
_MAGIC = re.compile(r"[*?\[]")
DEEPEST = 8  # folders in folders of one case
MOST = 20_000  # files of one case


def is_address(path: str) -> bool:
    """Whether this is an address and not a path."""
    return bool(_ADDRESS.match(path))


def shown(address: str) -> str:
    """An address without user, password and query, which may be keys."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    if scheme.startswith(("http", "ftp", "sftp", "webdav")) or "@" in host:
        host = host.rpartition("@")[2]
    return scheme + mark + (host + slash + path).partition("?")[0].partition("#")[0]


def _system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise ParameterError(f"{shown(address)} needs fsspec: pip install 'jitsilab[fleet]'.") from None
    try:
        system, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise ParameterError(f"{shown(address)} cannot be opened: {why}.") from None
    return system, str(path)


@contextlib.contextmanager
def _said(address: str) -> Iterator[None]:
    """What a server or its client says that it cannot do, in a sentence; the address is shown without secrets."""
    try:
        yield
    except FileNotFoundError:
        raise CaptureError(f"There is nothing at {shown(address)}.") from None
    except (LookupError, CaptureError, ParameterError):
        raise
    except Exception as error:  # each system raises its own kinds
        status = getattr(error, "status", None)
        why = f"status {status}" if status else type(error).__name__
        raise CaptureError(f"Cannot read {shown(address)}: {why}.") from None


def expand(given: str, whole: bool) -> Iterator[str]:
    """The addresses of the cases that an address names: as of paths, folders' entries and what patterns match."""
    system, path = _system(given)
    with _said(given):
        pattern = "" if path.startswith("http") and "?" in path and "*" not in path else path
        matches = sorted(system.glob(path)) if _MAGIC.search(pattern) else [path]
        if not matches:
            raise CaptureError(f"Nothing matches {shown(given)}.")
        for match in matches:
            if whole or not _is_folder(system, match):
                yield system.unstrip_protocol(match)
                continue
            for entry in sorted(_entries(system, match)):
                if not entry.rstrip("/").rpartition("/")[2].startswith("."):
                    yield system.unstrip_protocol(entry)


def _is_folder(system: Any, path: str) -> bool:
    """Whether there is anything below; of a web server a folder is what ends in a slash and lists links."""
    if path.startswith("http"):
        return path.endswith("/")
    return bool(system.isdir(path))


def _entries(system: Any, path: str) -> list[str]:
    """What a folder holds, itself left out, and of a web server what its page links to elsewhere or above."""
    names = [str(entry if isinstance(entry, str) else entry["name"]) for entry in system.ls(path, detail=False)]
    above = path.rstrip("/") + "/"
    return [name for name in names if name.startswith(above) and len(name) > len(above) and "?" not in name]


def listing(address: str) -> list[tuple[str, str, int, str]]:
    """Name below the address, address, size (-1 where nobody says) and mark of every file of a case.

    The mark is what the server says of the file's state; it is empty where it says nothing.
    """
    system, path = _system(address)
    with _said(address):
        files: list[str] = []
        waiting = [(path, 0)]
        while waiting:
            where, depth = waiting.pop()
            if not _is_folder(system, where):
                files.append(where)
            elif depth < DEEPEST:
                waiting += [(entry, depth + 1) for entry in _entries(system, where)]
            if len(files) > MOST:
                raise CaptureError(f"{shown(address)} holds more than {MOST} files: name the folders of cases.")
        rows = []
        for where in sorted(files):
            known = system.info(where)
            states = (known.get(name) for name in ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime"))
            mark = next((str(value) for value in states if value), "")
            name = "" if where == path else where[len(path.rstrip("/")) + 1 :]
            rows.append((name, where, int(known.get("size") or -1), mark))
        return rows


@contextlib.contextmanager
def brought(address: str, names: list[tuple[str, str]]) -> Iterator[str]:
    """A private folder, or file in one, that holds what ``names`` (name and address) are, until the context ends."""
    system, _ = _system(address)
    with tempfile.TemporaryDirectory(prefix="jitsilab-") as folder:
        own = re.sub(r"[^\w.-]+", "-", shown(address).rstrip("/").rpartition("/")[2]) or "case"
        root = Path(folder) / own
        for name, origin in names:
            parts = [part for part in name.split("/") if part not in ("", ".", "..")]
            target = root.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with _said(address), system.open(origin, "rb") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        yield str(root)
