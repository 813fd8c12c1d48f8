"""Load generator: sends photos to a server from a separate process and records the responses.

``python -m benchmarks.load`` reads one JSON plan from its input and prints one JSON record. It speaks HTTP/1.1 over
connections that stay open, with as little work a request as Python allows: it shares the cores with the server.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

PLACE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Plan:
    """What to send: ``bodies`` are files with one request body each, used in turn.

    With ``rate`` (requests per second) requests are sent on schedule, whatever the responses (open loop); without it
    each of ``connections`` sends its next request after the response. ``patience`` is in seconds.
    """

    port: int
    bodies: tuple[str, ...]
    kind: str
    seconds: float
    connections: int
    rate: float = 0.0
    path: str = "/v1/predict"
    patience: float = 30.0


@dataclass
class Told:
    """Responses: the count of each status (0: no response), and their latencies in milliseconds."""

    seconds: float = 0.0
    late: int = 0  # requests that found all connections busy when due
    retry_after: int = 0  # refusals with Retry-After
    codes: Counter[int] = field(default_factory=Counter)
    ms: dict[int, list[float]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, code: int, ms: float) -> None:
        self.codes[code] += 1
        self.ms.setdefault(code, []).append(ms)


@dataclass(frozen=True)
class Figures:
    """Summary of a load: answers per second, counts by status, and latencies of answers and refusals."""

    seconds: float
    rate: float
    codes: dict[str, int]
    answered_ms: dict[str, float]
    refused_ms: dict[str, float]
    late: int
    retry_after: int
    reasons: dict[str, int]

    @property
    def answered(self) -> int:
        return self.codes.get("200", 0)


def load(plan: Plan) -> Figures:
    """Run ``plan`` in a separate process."""
    with begin(plan) as process:
        return end(process)


def begin(plan: Plan) -> subprocess.Popen[str]:
    """Start a process that runs ``plan``."""
    command = [sys.executable, "-m", "benchmarks.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PLACE)
    if process.stdin is None:
        raise ValueError("a process without an input")
    process.stdin.write(json.dumps(asdict(plan)))
    process.stdin.close()
    process.stdin = None
    return process


def end(process: subprocess.Popen[str]) -> Figures:
    """Wait for a process started by ``begin``; return its figures."""
    out, _error = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with exit code {process.returncode}")
    return Figures(**json.loads(out))


class Connection:
    """One connection to the server, reopened when it breaks."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, told: Told, begun: float) -> None:
        """Send ``request``; add the time since ``begun`` to ``told``."""
        code = 0
        try:
            code = await asyncio.wait_for(self._ask(request, told), self.plan.patience)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            told.reasons[type(error).__name__] += 1
            self.close()
        told.add(code, (time.perf_counter() - begun) * 1000)

    async def _ask(self, request: bytes, told: Told) -> int:
        used = self.writer is not None
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.plan.port)
        try:
            self.writer.write(request)
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.close()
            if used and not getattr(error, "partial", b""):
                # The server had closed an idle connection: clients then open a new one (RFC 9112, 9.3.1).
                return await self._ask(request, told)
            raise
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self.reader.readexactly(int(length))
        told.retry_after += b"\r\nretry-after:" in head
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def closed(plan: Plan, requests: list[bytes]) -> Told:
    """Closed loop: keep ``plan.connections`` requests in flight."""
    told, start = Told(), time.perf_counter()

    async def one(number: int) -> None:
        connection = Connection(plan)
        while (begun := time.perf_counter()) - start < plan.seconds:
            await connection.ask(requests[number % len(requests)], told, begun)
            number += plan.connections
            if told.reasons:
                await asyncio.sleep(0.05)
        connection.close()

    await asyncio.gather(*(one(number) for number in range(plan.connections)))
    told.seconds = time.perf_counter() - start
    return told


async def by_the_clock(plan: Plan, requests: list[bytes]) -> Told:
    """Open loop: send ``plan.rate`` requests per second; waiting for a free connection counts as latency."""
    told, start = Told(), time.perf_counter()
    idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    for _i in range(plan.connections):
        idle.put_nowait(Connection(plan))

    async def one(number: int, due: float) -> None:
        told.late += idle.empty()
        connection = await idle.get()
        await connection.ask(requests[number % len(requests)], told, due)
        idle.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(round(plan.rate * plan.seconds)):
            due = start + number / plan.rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            group.create_task(one(number, due))
    told.seconds = time.perf_counter() - start
    return told


def figures(told: Told) -> Figures:
    refused = [ms for code, found in told.ms.items() if code == 429 for ms in found]
    return Figures(
        told.seconds,
        told.codes[200] / told.seconds,
        {str(code): count for code, count in sorted(told.codes.items())},
        _spread(told.ms.get(200, [])),
        _spread(refused),
        told.late,
        told.retry_after,
        dict(told.reasons),
    )


def _spread(ms: list[float]) -> dict[str, float]:
    if not ms:
        return {}
    values = {f"p{part}": float(np.percentile(ms, part)) for part in (50, 95, 99)}
    return {**values, "max": max(ms)}


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    requests = []
    for path in plan.bodies:
        body = Path(path).read_bytes()
        head = (
            f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nContent-Type: {plan.kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    told = asyncio.run((by_the_clock if plan.rate else closed)(plan, requests))
    print(json.dumps(asdict(figures(told))))


if __name__ == "__main__":
    main()
