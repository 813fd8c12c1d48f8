"""Memory for 1,000,000 images: opening, splitting and reading links to a few photos, in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lince import images

ROWS, CLASSES, PHOTOS = 1_000_000, 10, 20
LIMIT_MB, LIMIT_SECONDS = 500.0, 5.0
# ``resource`` uses kilobytes on Linux, bytes on macOS
UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """Peaks of resident memory in MB (10^6 bytes) and seconds, by stage."""

    rows: int
    imports_mb: float
    opened_mb: float
    split_mb: float
    peak_mb: float
    open_s: float
    split_s: float
    iterate_s: float


def run() -> None:
    """Print memory and time of each stage with the limits."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder) / "photos", ROWS)
    print(f"{found.rows:,} links in {CLASSES} class folders; peak memory so far, and time")
    print(f"  imports            {found.imports_mb:7.0f} MB")
    print(f"  opened             {found.opened_mb:7.0f} MB {found.open_s:7.1f} s")
    print(f"  split              {found.split_mb:7.0f} MB {found.split_s:7.1f} s")
    print(f"  every image read   {found.peak_mb:7.0f} MB {found.iterate_s:7.1f} s")
    print(f"  limit {LIMIT_MB:.0f} MB: at {found.peak_mb / LIMIT_MB:.2f} of it")
    print(f"  limit {LIMIT_SECONDS:.0f} s to open: at {found.open_s / LIMIT_SECONDS:.2f} of it")


def measured(folder: Path, rows: int) -> Measured:
    """Make a folder of ``rows`` links, and measure opening, splitting and reading it in a child process."""
    make(folder, rows)
    command = [sys.executable, "-m", "benchmarks.rows", str(folder)]
    place = Path(__file__).parents[1]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=place)
    return Measured(**json.loads(done.stdout))


def make(folder: Path, rows: int) -> None:
    """Fill ``folder`` with class folders of links to a few tiny photos beside it."""
    store = folder.parent / f"{folder.name}-store"
    store.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(PHOTOS):
        (store / f"{i}.jpg").write_bytes(images.encode_jpeg(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)))
    for class_id in range(CLASSES):
        (folder / f"class {class_id}").mkdir(parents=True)
    for i in range(rows):
        os.symlink(store / f"{i % PHOTOS}.jpg", folder / f"class {i % CLASSES}" / f"photo_{i:08d}.jpg")


def child(folder: str) -> Measured:
    """Open, split and read the folder in this process; return time and memory of each stage."""
    from lince.datasets import open_dataset, split_dataset

    imports, start = _peak_mb(), time.perf_counter()
    dataset = open_dataset(folder)
    opened, open_s, start = _peak_mb(), time.perf_counter() - start, time.perf_counter()
    dataset = split_dataset(dataset, 0.1, 0.2, 0)
    split, split_s, start = _peak_mb(), time.perf_counter() - start, time.perf_counter()
    pixels = sum(dataset.images.read_image(row).shape[0] for row in range(len(dataset)))
    if pixels != 16 * len(dataset):
        raise ValueError(f"{pixels} rows of pixels in {len(dataset)} images of 16")
    iterate_s = time.perf_counter() - start
    return Measured(len(dataset), imports, opened, split, _peak_mb(), open_s, split_s, iterate_s)


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6


if __name__ == "__main__":
    print(json.dumps(vars(child(sys.argv[1]))))
