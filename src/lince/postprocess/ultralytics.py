"""Decodes the outputs of files that Ultralytics exports: YOLOv8, YOLO11, and those that need no NMS (end-to-end).

Written from the layouts that its documentation and its exported files show; it contains no code of Ultralytics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess import prototypes
from lince.postprocess.nms import (
    DEFAULT_FILTER,
    DetectionFilter,
    boxes_to_input,
    filter_and_rescale,
    keep_candidates,
)
from lince.preprocess import PreprocessSpec

STRIDES = (8, 16, 32)  # pixels between the cells of the three feature maps
NUM_ROWS = 300  # detections of an end-to-end network


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image of ``size`` (height, width) that was preprocessed by ``spec``.

    ``outputs`` is one array (4 + C, A): for each of A grid cells, the box's centre x, centre y, width and height in
    input pixels, and the probability of each class. Only the best class of a cell is a candidate. Raises ``ValueError``
    for an output of another shape.
    """
    (raw,) = outputs
    boxes, class_ids, scores, _columns = _find_candidates(raw, detection_filter)
    return filter_and_rescale(boxes, class_ids, scores, size, spec, detection_filter)


def decode_with_masks(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image with their masks, from the outputs of a network for instance segmentation.

    ``outputs`` are (4 + C + D, A), as for ``decode`` and then D coefficients of each cell, and prototypes (D, h, w).
    """
    raw, maps = outputs
    if maps.ndim != 3:
        raise ValueError(f"the prototypes must be (D, h, w), not {maps.shape}")
    end = len(raw) - len(maps)
    boxes, class_ids, scores, columns = _find_candidates(raw[:end], detection_filter)
    kept, visible = keep_candidates(boxes, class_ids, scores, size, spec, detection_filter)
    masks = prototypes.draw_masks(maps, raw[end:, columns[kept]].T, visible, size, spec)
    return Detections(visible, class_ids[kept], scores[kept], masks)


def _find_candidates(
    raw: NDArray[Any], detection_filter: DetectionFilter
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes (K, 4) in input pixels, class ids, scores and cells, (K,) each, of the output ``raw``."""
    if raw.ndim != 2 or len(raw) < 5:
        raise ValueError(f"the output must be (4 + C, A), not {raw.shape}")
    # The classes of a cell are far apart in memory: find the best score in one pass, its class only for candidates.
    best_scores = raw[4:].max(axis=0)
    columns = np.flatnonzero(best_scores >= detection_filter.min_score_threshold)
    candidates = raw[:, columns].astype(np.float64)
    halves = candidates[2:4] / 2
    boxes = np.concatenate([candidates[:2] - halves, candidates[:2] + halves]).T
    class_ids = raw[4:, columns].argmax(axis=0).astype(np.int32)
    return boxes, class_ids, np.asarray(best_scores[columns], np.float32), columns


def encode(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32]]:
    """Return the output (4 + C, A) from which ``decode`` finds ``boxes`` (K, 4) of an image of ``size`` again.

    Raises ``ValueError`` for more boxes than cells.
    """
    count = sum((spec.height // stride) * (spec.width // stride) for stride in STRIDES)
    if len(boxes) > count:
        raise ValueError(f"{len(boxes)} boxes do not fit into {count} places")
    raw = np.zeros((4 + num_classes, count), np.float32)
    scaled, columns = boxes_to_input(boxes, size, spec), np.arange(len(boxes))
    raw[:2, columns] = ((scaled[:, :2] + scaled[:, 2:]) / 2).T
    raw[2:4, columns] = (scaled[:, 2:] - scaled[:, :2]).T
    raw[4 + class_ids, columns] = 1.0
    return (raw,)


def encode_with_masks(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs from which ``decode_with_masks`` finds ``boxes`` (K, 4) again, with masks that fill them."""
    (raw,) = encode(boxes, class_ids, size, spec, num_classes)
    cells = (spec.height // prototypes.STRIDE, spec.width // prototypes.STRIDE)
    coefficients, maps = prototypes.encode_full_masks(raw.shape[1], cells)
    return np.concatenate([raw, coefficients.T]), maps


def decode_end2end(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image of ``size`` (height, width) from the output of an end-to-end network.

    ``outputs`` is one array (K, 6): left, top, right, bottom in input pixels, score, and class id. Rows with a score of
    0 are padding.
    """
    (rows,) = outputs
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"the output must be (K, 6), not {rows.shape}")
    kept = rows[(rows[:, 4] >= detection_filter.min_score_threshold) & (rows[:, 4] > 0) & np.isfinite(rows).all(axis=1)]
    class_ids, scores = kept[:, 5].astype(np.int32), kept[:, 4].astype(np.float32)
    return filter_and_rescale(kept[:, :4].astype(np.float64), class_ids, scores, size, spec, detection_filter)


def encode_end2end(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32]]:
    """Return the output (R, 6) from which ``decode_end2end`` finds ``boxes`` (K, 4) of an image of ``size`` again.

    R is 300, or K where there are more boxes.
    """
    if num_classes < 1:
        raise ValueError(f"a detector of {num_classes} classes finds nothing")
    rows = np.zeros((max(NUM_ROWS, len(boxes)), 6), np.float32)
    rows[: len(boxes), :4] = boxes_to_input(boxes, size, spec)
    rows[: len(boxes), 4] = 1.0
    rows[: len(boxes), 5] = class_ids
    return (rows,)
