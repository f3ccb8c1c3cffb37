"""JupyterLab on this machine's loopback, its notebooks in a browser."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser_page import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
#: every cell is drawn, seen or not
SETTINGS = {"notebook-extension/tracker": {"windowingMode": "none"}, "apputils-extension/notification": {
    "checkForUpdates": False, "fetchNews": "false"}}  # fmt: skip
NOTEBOOK = "jupyterapp.shell.currentWidget"


@contextmanager
def server(home: Path) -> Iterator[str]:
    """JupyterLab over a copy of the notebooks below ``home``; its address with ``{}`` for a notebook's name."""
    shutil.copytree(ROOT / "notebooks", home / "notebooks", ignore=shutil.ignore_patterns(".*"))
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    token = secrets.token_hex(16)
    own = {"HOME": home, "IPYTHONDIR": home / "ipython", "JUPYTERLAB_SETTINGS_DIR": home / "settings",
           "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces"}  # fmt: skip
    own |= {f"JUPYTER_{kind}_DIR": home / kind.lower() for kind in ("CONFIG", "DATA", "RUNTIME")}
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment |= {name: str(value) for name, value in own.items()} | {"PYTHONPATH": python_path}
    options = {
        "ServerApp.root_dir": home / "notebooks", "ServerApp.ip": "127.0.0.1", "ServerApp.port": 0,
        "ServerApp.allow_root": True, "IdentityProvider.token": token, "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly", "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *(f"--{name}={one}" for name, one in options.items()),
    ]
    log = home / "lab.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            yield f"{_address(home / 'runtime', process, log)}lab/tree/{{}}?token={token}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(folder: Path, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it listens, as soon as it says so."""
    for _ in range(600):
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
        for file in folder.glob("jpserver-*.json"):
            if (text := file.read_text(encoding="utf-8")) and "Serving notebooks" in log.read_text(errors="replace"):
                return str(json.loads(text)["url"])
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-2000:])


def opened(browser: Browser, address: str, name: str, *, dark: bool = False) -> Page:
    """A notebook, its kernel ready."""
    page = browser.open(address.format(name), 1280, 1000, dark=dark)
    page.wait_for("window.jupyterapp !== undefined && jupyterapp.restored.then(() => true)", 90)
    page.wait_for(f"{NOTEBOOK}?.context?.path === {name!r} && {NOTEBOOK}.context.isReady", 60)
    page.wait_for(f"{NOTEBOOK}.sessionContext.isReady && {NOTEBOOK}.sessionContext.kernelDisplayStatus === 'idle'", 60)
    return page


def run_all(page: Page, seconds: float = 150) -> list[dict[str, Any]]:
    """Run every cell; the notebook's cells as they then are."""
    page.run(
        "window.ran = undefined; jupyterapp.commands.execute('notebook:run-all-cells')"
        ".then((well) => { window.ran = well; }, () => { window.ran = false; }); 0"
    )
    page.wait_for("window.ran !== undefined", seconds)
    page.wait_for(f"{NOTEBOOK}.sessionContext.kernelDisplayStatus === 'idle'", 60)
    cells: list[dict[str, Any]] = json.loads(page.run(f"JSON.stringify({NOTEBOOK}.content.model.toJSON().cells)"))
    return cells


def closed(page: Page) -> None:
    """Shut its kernel down."""
    page.run(f"{NOTEBOOK}.sessionContext.shutdown()")
