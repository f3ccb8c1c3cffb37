"""The same collection on the machine where jitsilab runs, in a private folder that goes when the program ends."""

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jitsilab.deploy.script import facts_command
from jitsilab.errors import ParameterError

LONGEST = 1800  # s; each program that the script asks has a minute


def collect_here(root: str = "", hours: int = 24) -> Path:
    """A folder with what this machine knows of its calls: configuration, logs of the last hours, answers, sockets.

    ``root`` is another root folder for files. Raises ParameterError where there is no POSIX shell, or where the script
    cannot collect, with its reason.
    """
    shell = shutil.which("sh")
    if shell is None:
        raise ParameterError("--here needs a POSIX shell: run it on the server, or `jitsilab deploy facts` there.")
    folder = Path(tempfile.mkdtemp(prefix="jitsilab-here-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = {**os.environ, "JITSILAB_TO": str(folder), "ROOT": root}
    try:
        done = subprocess.run(
            [shell, "-s", "", str(hours)], input=facts_command() + "\n", env=environment,
            capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ParameterError(f"Collecting on this machine took more than {LONGEST // 60} minutes.") from error
    if done.returncode or not (folder / "index.txt").is_file():
        reason = (done.stderr.strip().splitlines() or ["the shell gave no reason"])[-1]
        raise ParameterError(f"Cannot collect on this machine: {reason}")
    return folder
