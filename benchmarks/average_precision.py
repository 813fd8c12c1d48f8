"""Average precision of 5,000 images with 35,000 boxes: lince and pycocotools, whose values must agree."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lince.annotations import Classes, Detections, ObjectTable, StringColumn
from lince.evaluation.average_precision import average_over_classes, compute_average_precisions
from lince.evaluation.detection.matcher import build_match_input, match_detections
from lince.evaluation.detection.metrics import AREA_RANGES, compute_detection_metrics

IMAGES, EACH, CLASSES, STRAY = 5000, 7, 80, 7
LIMIT_SECONDS = 3.0
ROUNDS = 3
Result = TypeVar("Result")


def run() -> None:
    """Print the best time of each implementation, and the difference of their values."""
    truth, found, classes = made()
    count = sum(len(item) for item in found)
    print(f"{IMAGES:,} images, {len(truth):,} boxes of {CLASSES} classes, {count:,} detections")
    ours, value = _best(lambda: averages(truth, found, classes))
    whole, _metrics = _best(lambda: compute_detection_metrics(truth, found, classes))
    theirs, reference = _best(lambda: pycocotools(truth, found, classes), rounds=1)
    print(
        f"  lince, mAP of all sizes    {ours:6.2f} s, {ours / LIMIT_SECONDS:.2f} of the limit of {LIMIT_SECONDS:.0f} s"
    )
    print(f"  lince, all metrics         {whole:6.2f} s: with intervals, error types, thresholds, confusion")
    print(f"  pycocotools, without files {theirs:6.2f} s: lince is {theirs / ours:.1f} times as fast")
    print(f"  mAP50:95 {value:.6f} and {reference:.6f}, difference {abs(value - reference):.1e}")


def made() -> tuple[ObjectTable, list[Detections], Classes]:
    """Return truth and detections: every box slightly moved, some of another class, and random ones."""
    rng = np.random.default_rng(0)
    count = IMAGES * EACH
    corner, sides = rng.uniform(0, 400, (count, 2)), np.exp(rng.uniform(2.5, 5.5, (count, 2)))
    boxes, ids = np.concatenate([corner, corner + sides], axis=1), rng.integers(0, CLASSES, count)
    truth = ObjectTable(
        starts=np.arange(0, count + 1, EACH, dtype=np.int64),
        class_ids=ids.astype(np.int32),
        boxes=boxes,
        flags=np.zeros(count, np.uint8),
        ring_starts=np.zeros(count + 1, np.int64),
        point_starts=np.zeros(1, np.int64),
        points=np.empty((0, 2)),
        masks=StringColumn(b"", np.zeros(count, np.int64), np.zeros(count, np.int64)),
    )
    return truth, [_found(truth, image, rng) for image in range(IMAGES)], Classes(tuple(map(str, range(CLASSES))))


def _found(truth: ObjectTable, image: int, rng: np.random.Generator) -> Detections:
    boxes = truth.boxes[truth.slice_of_image(image)]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    corner = rng.uniform(0, 400, (STRAY, 2))
    moved = np.concatenate([boxes + rng.normal(0, 0.08, boxes.shape) * sides, np.hstack([corner, corner + 50])])
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    ids = np.concatenate([truth.class_ids[truth.slice_of_image(image)], rng.integers(0, CLASSES, STRAY)])
    ids = np.where(rng.random(len(ids)) < 0.1, rng.integers(0, CLASSES, len(ids)), ids)
    scores = np.sort(rng.random(len(ids)).astype(np.float32))[::-1]
    return Detections(moved, ids.astype(np.int32), scores)


def averages(truth: ObjectTable, found: Sequence[Detections], classes: Classes) -> float:
    """Return mAP50:95; like pycocotools, also compute it for small, medium and large objects."""
    flat = build_match_input(truth, found)
    sizes = [
        compute_average_precisions(flat, match_detections(flat, *bounds), len(classes))
        for bounds in ((0, np.inf), *AREA_RANGES.values())
    ]
    return float(average_over_classes(sizes[0]).mean())


def pycocotools(truth: ObjectTable, found: Sequence[Detections], classes: Classes) -> float:
    """Return mAP50:95 of pycocotools, from lists in memory."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    known = COCO()
    known.dataset = {
        "images": [{"id": i + 1} for i in range(len(found))],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes.names)],
        "annotations": [
            _row(image, ids, box) | {"id": i + 1, "iscrowd": 0, "area": float(np.prod(box[2:] - box[:2]))}
            for i, (image, ids, box) in enumerate(zip(truth.image_ids, truth.class_ids, truth.boxes, strict=True))
        ],
    }
    answers = [
        _row(image, ids, box) | {"score": float(score)}
        for image, item in enumerate(found)
        for ids, box, score in zip(item.class_ids, item.boxes, item.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        run = COCOeval(known, known.loadRes(answers), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return float(run.stats[0])


def _row(image: int, class_id: int, box: np.ndarray) -> dict[str, object]:
    left, top, right, bottom = box.tolist()
    return {"image_id": int(image) + 1, "category_id": int(class_id), "bbox": [left, top, right - left, bottom - top]}


def _best(way: Callable[[], Result], rounds: int = ROUNDS) -> tuple[float, Result]:
    seconds = []
    for _round in range(rounds):
        start = time.perf_counter()
        result = way()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result
