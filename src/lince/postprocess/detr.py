"""Decodes the outputs of detectors with object queries (DETR: Carion et al. 2020; sigmoid scores as in RT-DETR)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, boxes_to_input, filter_and_rescale
from lince.preprocess import PreprocessSpec

NUM_QUERIES = 300
_CERTAIN_LOGIT = 20.0  # its sigmoid is 1 in single precision
_MAX_CANDIDATES = 300  # pairs of a query and a class that are considered, the best ones


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image of ``size`` (height, width) that was preprocessed by ``spec``.

    ``outputs`` are ``logits`` (Q, C), whose sigmoid is the probability of each class, and ``boxes`` (Q, 4), centre x,
    centre y, width and height as fractions of the input. A query may be detected as several classes. Such networks are
    trained to predict an object once, so non-maximum suppression rarely removes a box, and none at an ``iou_threshold``
    of 1. Raises ``ValueError`` for outputs of another shape.
    """
    logits, boxes = outputs
    if logits.ndim != 2 or boxes.shape != (len(logits), 4):
        raise ValueError(f"queries have logits (Q, C) and boxes (Q, 4), not {logits.shape} and {boxes.shape}")
    scores = _sigmoid(logits)
    rows, class_ids = np.nonzero(scores >= detection_filter.min_score_threshold)
    best = np.argsort(-scores[rows, class_ids], kind="stable")[: max(_MAX_CANDIDATES, detection_filter.max_detections)]
    rows, columns = rows[best], class_ids[best]
    candidates = _cxcywh_to_xyxy(boxes[rows], spec)
    return filter_and_rescale(
        candidates, np.asarray(columns, np.int32), scores[rows, columns], size, spec, detection_filter
    )


def encode(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return ``logits`` (Q, C) and ``boxes`` (Q, 4) from which ``decode`` finds ``boxes`` (K, 4) of an image again.

    Q is 300, or K where there are more boxes; the other queries have a score of 0.
    """
    count = max(NUM_QUERIES, len(boxes))
    logits = np.full((count, num_classes), -_CERTAIN_LOGIT, np.float32)
    fractions = np.full((count, 4), 0.5, np.float32)
    scaled = boxes_to_input(boxes, size, spec) / [spec.width, spec.height, spec.width, spec.height]
    fractions[: len(boxes), :2] = (scaled[:, :2] + scaled[:, 2:]) / 2
    fractions[: len(boxes), 2:] = scaled[:, 2:] - scaled[:, :2]
    logits[np.arange(len(boxes)), class_ids] = _CERTAIN_LOGIT
    return logits, fractions


def _sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the probabilities of ``logits``, float32; NaN gives 0."""
    finite = np.nan_to_num(logits.astype(np.float64), nan=-np.inf)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(finite, -60.0, 60.0))), np.float32)


def _cxcywh_to_xyxy(boxes: NDArray[Any], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return corners (K, 4) in input pixels of ``boxes`` (K, 4), centres and sides as fractions of the input."""
    centres, halves = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) / 2
    input_size = np.array([spec.width, spec.height] * 2, np.float64)
    return np.concatenate([centres - halves, centres + halves], axis=1) * input_size
