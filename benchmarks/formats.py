"""Opening 5,000 photos with 35,000 objects as COCO and as VOC, against reading the same files only."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lince import images
from lince.annotations import UNLABELLED, Classes, ObjectTable, StringColumn
from lince.formats import FORMATS, LabelTable, WriteRequest, open_table

PHOTOS, MARKS, CLASSES, CORNERS = 5_000, 35_000, 80, 20
HEIGHT, WIDTH = 480, 640
ROUNDS = 5
LIMITS = {"coco": 1.0, "voc": 3.0}


def run() -> None:
    """Print the seconds of each format, the ratio to reading alone, and the share of the limit."""
    photo = images.encode_png(np.zeros((2, 2, 3), np.uint8))
    print(f"{PHOTOS:,} photos, {MARKS:,} objects, best of {ROUNDS} alternating rounds")
    for name, outlined in (("coco", False), ("coco", True), ("voc", False)):
        with tempfile.TemporaryDirectory() as folder:
            table = _table(Path(folder), name, outlined)
            for file in table.names:
                (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / file).write_bytes(photo)
            _write(table, name, Path(folder), photo)
            _measure(name, outlined, Path(folder))


def _measure(name: str, outlined: bool, folder: Path) -> None:
    ways: dict[str, Callable[[], object]] = {
        "open": lambda: open_table(folder),
        "read": (lambda: _load(folder)) if name == "coco" else (lambda: _read(folder)),
    }
    found = {way: min(_seconds(call) for _round in range(ROUNDS)) for way, call in ways.items()}
    bare = "json.load alone" if name == "coco" else "reading the files alone"
    ours, ratio = found["open"], found["open"] / found["read"]
    print(f"  {name}{', outlines of ' + str(CORNERS) + ' corners' if outlined else ', boxes'}")
    print(f"    {'lince, opened':<26}{ours:7.3f} s")
    print(f"    {bare:<26}{found['read']:7.3f} s   lince takes {ratio:5.2f} x")
    if not outlined:
        print(f"    {'limit':<26}{LIMITS[name]:7.3f} s   at {ours / LIMITS[name]:.2f} of it")


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _load(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        json.loads(path.read_bytes())


def _read(folder: Path) -> None:
    for path in folder.rglob("*.xml"):
        path.read_bytes()


def _table(root: Path, name: str, outlined: bool) -> LabelTable:
    """Return photos with objects of random sizes and classes; ``outlined`` objects have a ring of 20 corners."""
    rng = np.random.default_rng(0)
    sides = rng.uniform(5, 130, (MARKS, 2))
    corners = rng.uniform(0, 1, (MARKS, 2)) * ((WIDTH, HEIGHT) - sides)
    boxes = np.round(np.concatenate([corners, corners + sides], axis=1), 2)
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) / 2
    points = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2 + ring * (boxes[:, None, 2:] - boxes[:, None, :2])
    counts = np.bincount(rng.integers(0, PHOTOS, MARKS), minlength=PHOTOS)
    rings = np.arange(MARKS + 1) if outlined else np.zeros(MARKS + 1, np.int64)
    objects = ObjectTable(
        starts=np.concatenate([[0], np.cumsum(counts)]),
        class_ids=rng.integers(0, CLASSES, MARKS).astype(np.int32),
        boxes=boxes,
        flags=np.zeros(MARKS, np.uint8),
        ring_starts=rings,
        point_starts=rings * CORNERS if outlined else np.zeros(1, np.int64),
        points=np.round(points, 2).reshape(-1, 2) if outlined else np.empty((0, 2)),
        masks=StringColumn.from_strings("" for _mark in range(MARKS)),
    )
    place = FORMATS[name].image_path
    names = [place("", "", f"{i:06}.png") if place else "" for i in range(PHOTOS)]
    classes = Classes(tuple(f"class {i}" for i in range(CLASSES)))
    unlabelled, splits = np.full(PHOTOS, UNLABELLED, np.int32), np.full(PHOTOS, -1, np.int8)
    sizes = np.tile(np.array([HEIGHT, WIDTH], np.int32), (PHOTOS, 1))
    return LabelTable(
        root, name, StringColumn.from_strings(names), classes, unlabelled, splits, objects=objects, sizes=sizes
    )


def _write(table: LabelTable, name: str, folder: Path, photo: bytes) -> None:
    write = FORMATS[name].write
    if write is not None and table.sizes is not None:
        write(WriteRequest(table, list(table.names), table.sizes, lambda _row: photo), folder)
