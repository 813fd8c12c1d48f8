"""The studio with 50,000 photos and 350,000 boxes: an acknowledged edit, alone and with ten labellers; its memory."""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from tests.studio.store_support import fill, make_box, make_id
from tests.support.studio_process import RunningStudio, run_studio

from lince.studio.store.project import Project
from lince.studio.store.schema import photos, shapes
from lince.studio.store.states import to_shape_row

PHOTOS, SHAPES_PER_PHOTO = 50_000, 7
LABELLERS, SECONDS = 10, 10.0
MEDIAN_MS, LATE_MS, MEMORY_MB, FIRST_SECONDS = 50.0, 150.0, 300.0, 2.0


def run() -> None:
    """Print the figures beside SQLite's bare transaction; exit code 1 when one is beyond its limit."""
    count = int(sys.argv[2]) if len(sys.argv) > 2 else PHOTOS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        make_project(folder, count)
        print(f"{count:,} photos, {count * SHAPES_PER_PHOTO:,} boxes: made in {time.perf_counter() - started:.1f} s")
        bare = measure_bare_transaction(folder / "bare.sqlite")
        print(f"bare transaction of SQLite (FULL): {describe(bare)}")
        with run_studio(folder) as studio:
            is_good = measure_studio(studio, count)
    if not is_good:
        raise SystemExit(1)


def make_project(folder: Path, count: int) -> None:
    """Make a project with ``count`` photos without files, each with seven boxes."""
    rng = random.Random(0)
    with Project(folder) as project:
        fill(project, count, ("helmet", "head"))
        project.set_task("detection")
        for start in range(1, count + 1, 1000):
            rows = [
                to_shape_row(make_id(rng), complete(make_box(rng, photo, rng.randrange(2))))
                for photo in range(start, min(start + 1000, count + 1))
                for _number in range(SHAPES_PER_PHOTO)
            ]
            project.write(lambda connection, rows=rows: connection.execute(sa.insert(shapes), rows))
        project.write(lambda connection: connection.execute(sa.update(photos).values(shapes=SHAPES_PER_PHOTO)))


def complete(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with the fields that a page leaves out."""
    return {"rings": [], "mask": "", "flags": 0, "source": "person", "model": "", "score": None, "z": 0, **state}


def measure_bare_transaction(path: Path) -> list[float]:
    """Return the milliseconds of transactions of one row each, written to disk."""
    times = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        for _number in range(300):
            begin = time.perf_counter()
            connection.execute("INSERT INTO rows (text) VALUES (?)", ("x" * 300,))
            times.append(1000 * (time.perf_counter() - begin))
    return times


def measure_studio(studio: RunningStudio, count: int) -> bool:
    """Print what one labeller and ten see; return whether all figures are within their limits."""
    with closing(studio.enter()) as client:
        begin = time.perf_counter()
        client.get("/api/project").raise_for_status()
        ids = client.get("/api/photos/ids").json()["ids"]
        client.get("/api/photos", params={"ids": ",".join(map(str, ids[:120]))}).raise_for_status()
        first = time.perf_counter() - begin
        print(f"what the first page asks for: {first:.2f} s")
        alone = label(client, count, seed=0, seconds=SECONDS / 2)
    print(f"1 labeller: {describe(alone)}")
    together = label_together(studio, count)
    print(f"{LABELLERS} labellers: {describe(together)}, {len(together) / SECONDS:.0f} edits a second")
    memory = read_memory_mb(studio.process.pid)
    print(f"memory of the server: {memory:.0f} MB")
    late = sorted(together)[int(0.99 * len(together))]
    return (
        statistics.median(together) <= MEDIAN_MS and late <= LATE_MS and memory <= MEMORY_MB and first <= FIRST_SECONDS
    )


def label_together(studio: RunningStudio, count: int) -> list[float]:
    """Return the milliseconds of all edits of ten labellers at once, each without a pause."""
    times: list[float] = []

    def work(seed: int) -> None:
        with closing(studio.enter()) as client:
            times.extend(label(client, count, seed, SECONDS))

    threads = [threading.Thread(target=work, args=(1 + number,)) for number in range(LABELLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def label(client: httpx.Client, count: int, seed: int, seconds: float) -> list[float]:
    """Return the milliseconds that each of the edits of some seconds took until it was acknowledged."""
    rng, times, end = random.Random(f"labeller {seed}"), [], time.monotonic() + seconds
    while time.monotonic() < end:
        target = {"kind": "shape", "id": make_id(rng)}
        edit = {"key": make_id(rng), "target": target, "before": None, "after": make_box(rng, rng.randint(1, count))}
        begin = time.perf_counter()
        answer = client.post("/api/edits", json={"edits": [edit]})
        times.append(1000 * (time.perf_counter() - begin))
        assert answer.json()["outcomes"][0]["status"] == "saved", answer.text
    return times


def describe(times: list[float]) -> str:
    """Return median, 99 % and maximum."""
    ordered = sorted(times)
    late = ordered[int(0.99 * len(ordered))]
    return f"median {statistics.median(ordered):.1f} ms, 99 % {late:.1f} ms, longest {ordered[-1]:.0f} ms"


def read_memory_mb(pid: int) -> float:
    """Return the most memory that a process has had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000
