"""What the numbers mean in the files that Ultralytics exports: YOLOv8 and 11, and those that need no suppression.

Written from the layouts that its documentation and its exported files show; none of its code is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, boxes_to_input, filter_and_rescale
from lince.preprocess import PreprocessSpec

STRIDES = (8, 16, 32)
NUM_ROWS = 300  # answers of a network that ends with its own choice


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return what was found on one photo of ``size`` (height, width) that was read as ``spec`` says.

    ``outputs`` is (4 + C, A) alone: for each of A places the middle, width and height of a box in pixels of the input,
    and the probability of each class. Only the best class of a place counts.
    """
    (raw,) = outputs
    if raw.ndim != 2 or len(raw) < 5:
        raise ValueError(f"answers are (4 + C, A), not {raw.shape}")
    # The classes of a place lie far apart in memory: one look for the best score, and the rest only where it counts.
    best = raw[4:].max(axis=0)
    columns = np.flatnonzero(best >= detection_filter.min_score_threshold)
    chosen = raw[:, columns].astype(np.float64)
    halves = chosen[2:4] / 2
    boxes = np.concatenate([chosen[:2] - halves, chosen[:2] + halves]).T
    class_ids = raw[4:, columns].argmax(axis=0).astype(np.int32)
    return filter_and_rescale(boxes, class_ids, np.asarray(best[columns], np.float32), size, spec, detection_filter)


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: PreprocessSpec, classes: int
) -> tuple[NDArray[np.float32]]:
    """Return the output (4 + C, A) from which ``read`` finds these boxes (K, 4) of a photo of ``size`` again."""
    count = sum((spec.height // stride) * (spec.width // stride) for stride in STRIDES)
    if len(boxes) > count:
        raise ValueError(f"{len(boxes)} boxes do not fit into {count} places")
    raw = np.zeros((4 + classes, count), np.float32)
    inside, columns = boxes_to_input(boxes, size, spec), np.arange(len(boxes))
    raw[:2, columns] = ((inside[:, :2] + inside[:, 2:]) / 2).T
    raw[2:4, columns] = (inside[:, 2:] - inside[:, :2]).T
    raw[4 + class_ids, columns] = 1.0
    return (raw,)


def decode_end2end(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return what was found, given (K, 6) alone: left, top, right, bottom in pixels of the input, score, class."""
    (rows,) = outputs
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"answers are (K, 6), not {rows.shape}")
    # Spare rows score 0; their numbers mean nothing.
    kept = rows[(rows[:, 4] >= detection_filter.min_score_threshold) & (rows[:, 4] > 0) & np.isfinite(rows).all(axis=1)]
    class_ids, scores = kept[:, 5].astype(np.int32), kept[:, 4].astype(np.float32)
    return filter_and_rescale(kept[:, :4].astype(np.float64), class_ids, scores, size, spec, detection_filter)


def encode_end2end(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: PreprocessSpec, classes: int
) -> tuple[NDArray[np.float32]]:
    """Return the output (K, 6) from which ``read_rows`` finds these boxes (K, 4) of a photo of ``size`` again."""
    if classes < 1:
        raise ValueError(f"a detector of {classes} classes finds nothing")
    rows = np.zeros((max(NUM_ROWS, len(boxes)), 6), np.float32)
    rows[: len(boxes), :4] = boxes_to_input(boxes, size, spec)
    rows[: len(boxes), 4] = 1.0
    rows[: len(boxes), 5] = class_ids
    return (rows,)
