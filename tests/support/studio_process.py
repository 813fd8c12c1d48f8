"""The studio as a process of its own, with a client that came in by its first address."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningStudio:
    """A studio that answers at ``url``; ``address`` also holds the token."""

    process: subprocess.Popen[str]
    address: str

    @property
    def url(self) -> str:
        """The address without the token, such as ``http://127.0.0.1:8765``."""
        return self.address.partition("/?")[0]

    def enter(self, timeout: float = 60.0) -> httpx.Client:
        """Return a client that has the cookie."""
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=timeout)
        assert client.get(self.address, follow_redirects=True).status_code == 200
        return client

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)


@contextmanager
def run_studio(folder: Path, *options: str | Path, port: int = 0) -> Iterator[RunningStudio]:
    """Yield a studio for the project in ``folder``; it is ended afterwards."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "lince", "studio", str(folder), "--json", "--port", str(port), *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the studio did not start"
            yield RunningStudio(process, json.loads(line)["address"])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
