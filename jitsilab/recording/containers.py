"""The network namespaces of a docker compose project: where each service's traffic can be recorded."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from jitsilab.errors import ParameterError

_PATIENCE = 30  # s for docker to answer


class Namespace(NamedTuple):
    """A network namespace, and the services that live in it."""

    services: tuple[str, ...]
    process: int  # one in it

    @property
    def name(self) -> str:
        """Names of the services with a plus between."""
        return "+".join(self.services)

    @property
    def before(self) -> list[str]:
        """What comes before a command that is to run in it."""
        return ["nsenter", "-t", str(self.process), "-n", "--"]


def namespaces(project: Path | None = None, services: tuple[str, ...] = ()) -> list[Namespace]:
    """The namespaces of the services of a compose project that run, the host's own left out.

    ``project`` is the folder with the compose file, by default the current one. Raises ParameterError where docker or
    nsenter is not there, or does not answer, or nothing runs.
    """
    for program in ("docker", "nsenter"):
        if shutil.which(program) is None:
            raise ParameterError(f"--docker needs {program}, which is not here.")
    networks: dict[int, tuple[list[str], int]] = {}
    host = Path("/proc/self/ns/net").stat().st_ino
    known = []
    for container in _containers(project):
        service, identity = (
            str(container.get("Service") or container.get("Name") or ""),
            str(container.get("ID") or container.get("Name") or ""),
        )
        known.append(service)
        if services and service not in services:
            continue
        process = _process(identity)
        if not process:
            continue
        try:
            namespace = Path(f"/proc/{process}/ns/net").stat().st_ino
        except PermissionError as error:
            raise ParameterError("--docker needs root's rights: run it with sudo.") from error
        except OSError:
            continue  # it ended meanwhile
        if namespace != host:
            networks.setdefault(namespace, ([], process))[0].append(service)
    if services and (strange := set(services) - set(known)):
        raise ParameterError(f"No service {', '.join(sorted(strange))} runs. There are: {', '.join(sorted(known))}.")
    if not networks:
        raise ParameterError(
            "No service of this project runs in a network of its own: start it, or name its folder with --project."
        )
    return [Namespace(tuple(names), process) for names, process in networks.values()]


def _containers(project: Path | None) -> list[dict[str, Any]]:
    text = _docker("compose", "ps", "--format", "json", folder=project)
    try:  # an array in compose up to 2.20, an object a line since
        whole = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line]
        )
    except ValueError as error:
        raise ParameterError("`docker compose ps --format json` printed no JSON: compose v2 is needed.") from error
    return [
        container
        for container in whole
        if isinstance(container, dict) and container.get("State", "running") == "running"
    ]


def _process(identity: str) -> int:
    text = _docker("inspect", "--format", "{{.State.Pid}}", identity).strip()
    return int(text) if text.isdigit() else 0


def _docker(*arguments: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments], cwd=folder, capture_output=True, text=True, errors="replace", timeout=_PATIENCE,
            check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError) as error:
        raise ParameterError(f"docker does not answer: {error}") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise ParameterError(f"`docker {' '.join(arguments[:2])}` fails: {reason}")
    return done.stdout
