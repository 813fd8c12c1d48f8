"""Test data: a small dataset and a configuration for each task."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import box_photos, class_photos, shape_masks, shape_sets


@dataclass(frozen=True)
class TaskSample:
    """How a task is tried: ``write`` makes labelled photos below a folder, ``config`` trains on them in seconds.

    ``option`` is an option of a prediction request that the task understands, ``foreign_option`` one that it does not;
    ``correction`` makes the fields of a correction from a prediction's record.
    """

    write: Callable[[Path], Path]
    config: dict[str, Any]
    option: tuple[str, float]
    foreign_option: tuple[str, float]
    correction: Callable[[dict[str, Any]], dict[str, str]]


def _write_boxes(root: Path) -> Path:
    return box_photos.yolo(root, {"train": 12, "val": 4, "test": 6})


def _write_outlines(root: Path) -> Path:
    return box_photos.yolo(root, {"train": 12, "val": 4, "test": 6}, outlined=True)


SAMPLES = {
    "classify": TaskSample(
        class_photos.folders,
        {"recipe": "scratch", "model": "cnn: conv 8 3, norm, gap", "size": 16, "epochs": 3, "batch": 8, "seed": 1},
        ("top", 2),
        ("threshold", 0.5),
        lambda record: {"label": record["class"]},
    ),
    "multilabel": TaskSample(
        shape_sets.write_table,
        {"recipe": "scratch", "model": "cnn: conv 8 3, norm, gap", "size": 16, "epochs": 3, "batch": 8, "seed": 1},
        ("threshold", 0.4),
        ("iou", 0.5),
        lambda record: {"labels": json.dumps(record["said"])},
    ),
    "detect": TaskSample(
        _write_boxes,
        {
            "recipe": "scratch",
            "model": "yolox-nano",
            "weights": "none",
            "size": 64,
            "epochs": 3,
            "batch": 4,
            "mosaic": 0.0,
            "seed": 1,
        },
        ("threshold", 0.4),
        ("top", 2),
        lambda _record: {"objects": '[{"class": "caja", "box": [1, 2, 30, 40]}]'},
    ),
    "segment": TaskSample(
        shape_masks.write_masks,
        {"recipe": "transfer", "size": 64, "epochs": 3, "batch": 8, "seed": 1},
        ("top", 2),
        ("threshold", 0.5),
        lambda record: {"class_map": record["class_map"]},
    ),
    "instances": TaskSample(
        _write_outlines,
        {
            "recipe": "scratch",
            "model": "yolox-nano",
            "weights": "none",
            "size": 64,
            "epochs": 3,
            "batch": 4,
            "mosaic": 0.5,
            "seed": 1,
        },
        ("threshold", 0.4),
        ("top", 2),
        lambda _record: {"objects": '[{"class": "bola", "box": [1, 2, 30, 40]}]'},
    ),
}
