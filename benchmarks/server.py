"""Server processes for benchmarks, lince's or a peer's: start, wait, memory watch and end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

START_SECONDS = 60.0
PLACE = Path(__file__).parents[1]


class Server:
    """A server process at ``port``; a context manager that ends the process."""

    def __init__(self, command: Sequence[str | Path], port: int, ready: str, log: Path) -> None:
        self.port, self.log = port, log
        with log.open("ab") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said, cwd=PLACE, start_new_session=True)
        self._wait(ready)

    @classmethod
    def ours(cls, model: Path, log: Path, *options: str, port: int = 0) -> Server:
        """Start ``lince serve`` with the model folder ``model``."""
        port = port or free_port()
        command = [sys.executable, "-m", "lince", "serve", model, "--port", str(port), *options]
        return cls(command, port, "/readyz", log)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end(signal.SIGKILL)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Send the signal ``how`` to the process and its children; return its exit code."""
        if self.process.poll() is None or how == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
        return self.process.wait(seconds)

    def rss_mb(self) -> float:
        """Return the resident memory of the process in MB (10^6 bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def bound_ms(self) -> float:
        """Return the latency bound of lince's server, in milliseconds."""
        with urlopen(self.url + "/v1/models", timeout=10) as answer:
            return float(json.load(answer)["models"][0]["bound_seconds"]) * 1000

    def _wait(self, ready: str) -> None:
        until = time.monotonic() + START_SECONDS
        while self.process.poll() is not None or not answers(self.url + ready):
            if self.process.poll() is not None or time.monotonic() > until:
                self.end(signal.SIGKILL)
                raise RuntimeError(f"the server did not start:\n{self.log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.05)


class Watch:
    """Samples the resident memory of a server four times a second while the block runs."""

    def __init__(self, server: Server) -> None:
        self.server, self.mb = server, [server.rss_mb()]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.25) and self.server.process.poll() is None:
            self.mb.append(self.server.rss_mb())


def answers(url: str) -> bool:
    """Return whether a GET of ``url`` gives status 200."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        error.close()
    except OSError:
        pass
    return False


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
