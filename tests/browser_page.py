"""Headless Chromium driven by its DevTools protocol over a pipe: no other package, no port but a page's own server."""

import base64
import contextlib
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

WAIT = 60  # s for one answer


class Page:
    """One page; ``problems`` are errors of scripts, of the console, and what the policy refused."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser, self._session = browser, session
        self.home = "file:"  # where a page may ask without a problem
        self.problems: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        """The value of an expression as soon as it is true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError):  # asked in the middle of going elsewhere
                if value := self.run(script):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {script}")

    def key(self, name: str) -> None:
        """Press and release a key that prints nothing."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def resize(self, width: int, height: int = 900) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip

    def colours(self, *, dark: bool) -> None:
        """What the machine is said to prefer."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def printed(self) -> bytes:
        return base64.b64decode(self.send("Page.printToPDF")["data"])


class Browser:
    """Opened as a context; ends with it."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        flags = (
            f"--headless --no-sandbox --disable-gpu --disable-extensions --no-first-run --user-data-dir={profile} "
            "--disable-background-networking --remote-debugging-pipe"
        )
        command = f"exec {program} {flags} about:blank 3<&{to_read} 4>&{to_write}"
        self._process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._last = b"", 0
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def send(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._happened(answer)

    def _next(self) -> dict[str, Any]:
        import select

        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], WAIT)[0], "the browser does not answer"
            piece = os.read(self._in, 1 << 16)
            assert piece, "the browser has gone"
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def _happened(self, event: dict[str, Any]) -> None:
        page, what = self._pages.get(event.get("sessionId", "")), event.get("params", {})
        if page is None:
            return
        if event["method"] == "Runtime.exceptionThrown":
            thrown = what["exceptionDetails"].get("exception", what)
            page.problems.append(str(thrown.get("description", thrown)))
        elif event["method"] == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            page.problems.append(str(what["args"]))
        elif event["method"] == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            page.problems.append(what["entry"]["text"])
        elif event["method"] == "Network.requestWillBeSent" and not what["request"]["url"].startswith(
            (page.home, "data:", "blob:")
        ):
            page.problems.append(f"asks for {what['request']['url']}")

    def open(self, where: Path | str, width: int, height: int = 900, *, dark: bool = False) -> Page:
        """A file, or the address of a server that the test has started."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        page.resize(width, height)
        page.colours(dark=dark)
        address = where.as_uri() if isinstance(where, Path) else where
        page.home = "file:" if isinstance(where, Path) else address[: address.index("/", len("http://")) + 1]
        page.send("Page.navigate", url=address)
        page.wait_for("document.readyState === 'complete' && location.protocol !== 'about:'", 60)
        return page
