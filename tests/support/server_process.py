"""Test server: runs ``lince serve`` in a separate process, on a free local port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

WAIT_SECONDS = 60.0


@dataclass
class Running:
    """A running server at ``url``; ``log`` holds the lines that it has written."""

    process: subprocess.Popen[str]
    start: dict[str, object]
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.start["address"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def records(self) -> list[dict[str, object]]:
        """Return the lines of the log that are JSON."""
        return [json.loads(line) for line in list(self.log) if line.startswith("{")]

    def end(self, seconds: float = 20.0) -> int:
        """Stop the server; return its exit code."""
        self.process.terminate()
        return self.process.wait(seconds)


@contextmanager
def server(*words: str | Path, program: tuple[str, ...] = ("-m", "lince"), **environment: str) -> Iterator[Running]:
    """Yield a running ``lince serve`` with the arguments ``words``; it is ended afterwards.

    ``program`` is what Python runs as ``lince``.
    """
    command = [sys.executable, *program, "serve", *map(str, words), "--json", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    running = Running(process, {})
    hearing = threading.Thread(target=_hear, args=(process, running.log), daemon=True)
    hearing.start()
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("{"), line + "".join(running.log)
        running.start = json.loads(line)
        yield running
    finally:
        process.kill()
        process.wait(WAIT_SECONDS)
        hearing.join(5)
        process.stdout.close()
        process.stderr.close()


def _hear(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stderr
    log.extend(iter(process.stderr.readline, ""))


def until(true: object, seconds: float = 10.0) -> None:
    """Wait until ``true()`` is true; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=10, trust_env=False)
