"""A Chromium of its own for one recording: fresh profile, key log, console, and the dump of chrome://webrtc-internals."""

import base64
import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jitsilab.deploy.probing.reach import Deadline, Route, Unreached, Web, WebSocket
from jitsilab.errors import LabError, ParameterError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATIENCE = 30.0  # s for it to start, and for the dump
_MOST = 50_000  # lines of a console that are kept

#: presses the dump's button and takes what it would download: the page keeps its data to itself
_DUMP = """
(async () => {
  let made;
  const create = URL.createObjectURL;
  URL.createObjectURL = blob => { made = blob; return create.call(URL, blob); };
  HTMLAnchorElement.prototype.click = function () {};
  for (const box of document.querySelectorAll('details')) box.open = true;
  const button = document.querySelector('#dump-click-target, #dump-body button, details button, button');
  if (!button) return '';
  button.dispatchEvent(new MouseEvent('click', {bubbles: true}));
  for (let turn = 0; turn < 100 && !made; turn++) await new Promise(done => setTimeout(done, 50));
  if (!made) return '';
  const bytes = new Uint8Array(await made.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
})()
"""


def program() -> str:
    """The browser's program. Raises ParameterError where there is none."""
    for name in PROGRAMS:
        if path := shutil.which(name):
            return path
    raise ParameterError("--browser needs Chromium or Chrome, which is not here: `sudo apt install chromium`.")


class Browser:
    """A browser at a page, until `finish`."""

    def __init__(self, url: str, keylog: Path, flags: Sequence[str] = ()) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ParameterError(f"{url!r} is no address of a page: https://meet.example.org/ROOM.")
        self._program, self._url, self._keylog, self._flags = program(), url, keylog, flags
        self._folder = Path(tempfile.mkdtemp(prefix="jitsilab-browser-"))
        self._lines: list[str] = []
        self._answers: dict[int, Any] = {}
        self._number = 0
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: list[WebSocket] = []

    def start(self) -> None:
        """Start it with a fresh profile, open webrtc-internals beside the page, then the page.

        Raises LabError where it does not start.
        """
        shown = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
        command = [
            self._program, f"--user-data-dir={self._folder / 'profile'}", "--remote-debugging-port=0",
            "--remote-allow-origins=https://127.0.0.1", "--no-first-run", "--no-default-browser-check",
            "--disable-background-networking", f"--ssl-key-log-file={self._keylog}",
        ]  # fmt: skip
        if not shown:
            command += ["--headless=new", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            name, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
            if (
                name.isdigit() and group.isdigit()
            ):  # whoever asked for root's right to record asked for no root's browser
                user = {"user": int(name), "group": int(group), "extra_groups": []}
                os.chown(self._folder, int(name), int(group))
                self._keylog.touch(0o600)
                os.chown(self._keylog, int(name), int(group))
            else:
                command.append("--no-sandbox")  # Chromium refuses root otherwise
        self._keylog.touch(0o600)
        environment = {**os.environ, "SSLKEYLOGFILE": str(self._keylog), "HOME": str(self._folder)}
        self._process = subprocess.Popen(
            [*command, *self._flags, "about:blank"], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **user,
        )  # fmt: skip
        try:
            port = self._port()
            web = Web(Route("127.0.0.1"))
            deadline = Deadline(_PATIENCE)
            self._internals = self._target(web, port, "chrome://webrtc-internals", deadline)
            page = self._target(web, port, "about:blank", deadline)
            self._page = page
            for domain in ("Runtime", "Log", "Page"):
                self._ask(page, f"{domain}.enable", {}, deadline)
            self._ask(page, "Page.navigate", {"url": self._url}, deadline)
        except BaseException:
            self.close()
            raise
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _port(self) -> int:
        port_file = self._folder / "profile" / "DevToolsActivePort"
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError, IndexError):
                return int(port_file.read_text().splitlines()[0])
            if self._process is not None and self._process.poll() is not None:
                raise LabError(f"{Path(self._program).name} ended at once (code {self._process.returncode}).")
            time.sleep(0.1)
        raise LabError(f"{Path(self._program).name} does not start within {_PATIENCE:.0f} s.")

    def _target(self, web: Web, port: int, url: str, deadline: Deadline) -> WebSocket:
        answer = web.request(f"http://127.0.0.1:{port}/json/new?{quote(url, safe=':/')}", deadline, method="PUT")
        try:
            where = json.loads(answer.body)["webSocketDebuggerUrl"]
        except (ValueError, KeyError, TypeError):
            raise LabError(f"The browser opens no tab: HTTP {answer.status}.") from None
        self._sockets.append(web.websocket(where, "", deadline))
        return self._sockets[-1]

    def _ask(self, socket: WebSocket, method: str, parameters: dict[str, Any], deadline: Deadline) -> Any:
        self._number += 1
        number = self._number
        socket.send(json.dumps({"id": number, "method": method, "params": parameters}), deadline)
        while True:
            message = json.loads(socket.receive(deadline))
            if message.get("id") == number:
                return message.get("result", {})
            self._note(message)

    def _listen(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(ValueError):
                try:
                    if self._page.ready(0.2):
                        self._note(json.loads(self._page.receive(Deadline(10))))
                except (LabError, OSError):
                    return

    def _note(self, message: dict[str, Any]) -> None:
        """Keep a line of the console, in the form in which Chrome saves it."""
        given = message.get("params", {})
        if message.get("method") == "Runtime.consoleAPICalled":
            frames = (given.get("stackTrace") or {}).get("callFrames") or [{}]
            text = " ".join(_shown(argument) for argument in given.get("args", ()))
            self._line(frames[0].get("url", ""), frames[0].get("lineNumber", 0), text)
        elif message.get("method") == "Log.entryAdded":
            entry = given.get("entry", {})
            self._line(entry.get("url", ""), entry.get("lineNumber", 0), entry.get("text", ""))
        elif message.get("method") == "Runtime.exceptionThrown":
            details = given.get("exceptionDetails", {})
            text = (details.get("exception") or {}).get("description") or details.get("text", "")
            self._line(details.get("url", ""), details.get("lineNumber", 0), f"Uncaught {text}")

    def _line(self, url: str, line: int, text: str) -> None:
        if len(self._lines) < _MOST:
            name = urlsplit(url).path.rpartition("/")[2] or url or "(index)"
            self._lines.append(f"{name}:{line + 1} {text}")

    def finish(self, console: Path, dump: Path) -> list[Path]:
        """Take the dump, close the browser, write both files; gives those that hold something."""
        data = b""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(LabError, OSError, ValueError):
                asked = {"expression": _DUMP, "awaitPromise": True, "returnByValue": True, "userGesture": True}
                answer = self._ask(self._internals, "Runtime.evaluate", asked, Deadline(_PATIENCE))
                data = base64.b64decode(answer.get("result", {}).get("value") or "")
        self._ended.set()
        self._reader.join(2)
        self.close()
        made = []
        if self._lines:
            console.write_text("\n".join(self._lines) + "\n", encoding="utf-8", errors="backslashreplace")
            made.append(console)
        if data:
            dump.write_bytes(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
            made.append(dump)
        if self._keylog.exists() and self._keylog.stat().st_size:
            made.append(self._keylog)
        return made

    def close(self) -> None:
        """End it and take its profile away."""
        self._ended.set()
        for socket in self._sockets:
            with contextlib.suppress(LabError, OSError, Unreached):
                socket.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        shutil.rmtree(self._folder, ignore_errors=True)


def _shown(value: dict[str, Any]) -> str:
    """An argument of console.log as the console shows it."""
    if "value" in value:
        return value["value"] if isinstance(value["value"], str) else json.dumps(value["value"])
    return str(value.get("description") or value.get("unserializableValue") or value.get("type") or "")
