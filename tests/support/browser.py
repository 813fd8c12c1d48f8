"""Test browser: drives Chromium by its DevTools protocol over a pipe, without port, driver or library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OPTIONS = [
    *QUIET,
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-pipe",
]
WAIT_SECONDS = 30.0


class Page:
    """One page of a browser; its requests and console messages are recorded from the start."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.addresses: list[str] = []
        self.console: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + WAIT_SECONDS
        while True:
            heard = self._hear(end - time.monotonic())
            assert heard is not None, f"{method}: no answer"
            if heard.get("id") == self._number:
                assert "error" not in heard, f"{method}: {heard['error']}"
                return dict(heard["result"])

    def open(self, url: str) -> None:
        """Load ``url`` and wait until its scripts have started."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return the value of ``script`` in the page; a promise is awaited."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, script: str, seconds: float = 15.0) -> Any:
        """Wait until ``script`` gives a true value, and return it."""
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"it did not come true: {script}\n{self.text()}\n{self.console}"
            self._hear(0.03)
        return found

    def text(self) -> str:
        """Return the visible text of the page."""
        return str(self.run("document.body.innerText"))

    def choose(self, selector: str, *files: Path) -> None:
        """Set the files of the file input ``selector``."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def fill(self, selector: str, value: str, event: str = "change") -> None:
        """Set the value of a field and dispatch the browser's events."""
        self.run(
            f"(() => {{const e = document.querySelector({selector!r}); e.value = {value!r};"
            f"e.dispatchEvent(new Event({event!r}, {{bubbles: true}}))}})()"
        )

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Scroll to an element and return its left, top, width and height in the window."""
        found = self.run(
            f"(() => {{const e = document.querySelector({selector!r});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]})()"
        )
        return found[0], found[1], found[2], found[3]

    def mouse(self, kind: str, x: float, y: float, pointer: str = "mouse") -> None:
        """Send one event of a mouse or a pen: mousePressed, mouseMoved or mouseReleased."""
        held = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, pointerType=pointer, **held)

    def touch(self, kind: str, x: float, y: float) -> None:
        """Send one event of a finger: touchStart, touchMove or touchEnd."""
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def click(self, selector: str) -> None:
        """Click on the centre of an element."""
        left, top, width, height = self.place(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, left + width / 2, top + height / 2)

    def stroke(self, selector: str, line: list[tuple[float, float]], pointer: str = "mouse") -> None:
        """Draw a line, given as fractions of the element's size, with mouse, pen or finger down."""
        left, top, width, height = self.place(selector)
        points = [(left + x * width, top + y * height) for x, y in line]
        if pointer == "touch":
            kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
            for kind, point in zip(kinds, points, strict=True):
                self.touch(kind, *point)
            self.touch("touchEnd", *points[-1])
            return
        for kind, point in zip(["mousePressed", *["mouseMoved"] * (len(points) - 1)], points, strict=True):
            self.mouse(kind, *point, pointer)
        self.mouse("mouseReleased", *points[-1], pointer)

    def key(self, name: str, text: str = "", code: int = 0, shift: bool = False) -> None:
        """Press and release one key, given by its DOM name, its text and its Windows key code."""
        known = {"key": name, "windowsVirtualKeyCode": code or _CODES.get(name, 0), "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **known, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def window(self, width: int, height: int, dark: bool = False, dots: float = 1.0) -> None:
        """Set the window's size and its light or dark colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=dots, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}  # no animation while coordinates are used
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write a screenshot (PNG) of the page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message and record requests and console lines; ``None`` after the timeout."""
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, seconds))[0]:
                return None
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        raw, _end, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.addresses.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.console.append(str(told["args"]))
        elif method == "Log.entryAdded":
            self.console.append(told["entry"]["text"])


_CODES = {
    "Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    "Backspace": 8, "Delete": 46,
}  # fmt: skip


@contextmanager
def browser(folder: Path, *options: str) -> Iterator[Page]:
    """Yield a page of a new Chromium with its profile in ``folder``; the browser is ended afterwards."""
    from_us, to_us = os.pipe(), os.pipe()
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options]
    # The browser reads from file descriptor 3 and writes to 4.
    script = f'exec 3<&{from_us[0]} 4>&{to_us[1]}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "browser", *command],
        pass_fds=(from_us[0], to_us[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us[0])
    os.close(to_us[1])
    try:
        yield Page(to_us[0], from_us[1])
    finally:
        process.kill()
        process.wait(10)
        os.close(from_us[1])
        os.close(to_us[0])
