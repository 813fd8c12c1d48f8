"""Opening 1,000,000 images with 5,000,000 boxes from the index cache, against reading its bytes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rows import UNIT
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.datasets import index_cache
from lince.formats import LabelTable, ReadOptions
from lince.storage.resolve import resolve_location

IMAGES, EACH, CLASSES = 1_000_000, 5, 20
LIMIT_SECONDS, LIMIT_MB = 5.0, 700.0


def run() -> None:
    """Print seconds and peak memory of opening, with the limits and the time to read the index file."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        make(root)
        (path,) = (root / ".lince").iterdir()
        started = time.perf_counter()
        size = len(path.read_bytes())
        floor = time.perf_counter() - started
        command = [sys.executable, "-m", "benchmarks.index", str(root)]
        place_of_code = Path(__file__).parents[1]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=place_of_code)
        found = json.loads(done.stdout)
    print(f"{found['images']:,} images, {found['objects']:,} boxes, an index of {size / 1e6:,.0f} MB")
    print(f"  open        {found['seconds']:6.2f} s, {found['seconds'] / LIMIT_SECONDS:.2f} of the limit")
    print(f"  read bytes  {floor:6.2f} s: opening takes {found['seconds'] / floor:.1f} times that")
    print(f"  peak memory {found['peak_mb']:6.0f} MB, {found['peak_mb'] / LIMIT_MB:.2f} of the limit")


def make(root: Path) -> None:
    """Write the index of a set with a short label file, so that the index alone is measured."""
    (root / "images").mkdir(parents=True)
    (root / "instances.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []})
    )
    there = resolve_location(root)
    later = time.time_ns() + 10**10
    index_cache._save_index(table(root), there, index_cache._index_paths(there, None, ReadOptions()), later)


def table(root: Path) -> LabelTable:
    """Return the table of the dataset."""
    rng = np.random.default_rng(0)
    count = IMAGES * EACH
    corner = rng.uniform(0, 400, (count, 2))
    objects = ObjectTable(
        starts=np.arange(0, count + 1, EACH, dtype=np.int64),
        class_ids=rng.integers(0, CLASSES, count, dtype=np.int32),
        boxes=np.concatenate([corner, corner + 80], axis=1),
        flags=np.zeros(count, np.uint8),
        ring_starts=np.zeros(count + 1, np.int64),
        point_starts=np.zeros(1, np.int64),
        points=np.empty((0, 2)),
        masks=StringColumn(b"", np.zeros(count, np.int64), np.zeros(count, np.int64)),
    )
    return LabelTable(
        root=root,
        format="coco",
        names=StringColumn.from_strings(f"images/part {i % 100:02}/photo-{i:07}.jpg" for i in range(IMAGES)),
        classes=Classes(tuple(f"class {i}" for i in range(CLASSES))),
        class_ids=np.full(IMAGES, UNLABELLED, np.int32),
        splits=np.zeros(IMAGES, np.int8),
        objects=objects,
        sizes=np.full((IMAGES, 2), 480, np.int32),
    )


def _opened(root: Path) -> None:
    import lince

    started = time.perf_counter()
    dataset = lince.open(root)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6
    found = {"images": len(dataset), "objects": len(dataset.objects), "seconds": seconds, "peak_mb": peak}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _opened(Path(sys.argv[1]))
