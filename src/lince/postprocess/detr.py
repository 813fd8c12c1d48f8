"""What the numbers of a detector with queries mean (Carion et al. 2020, with a sigmoid for each class)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, boxes_to_input, filter_and_rescale
from lince.preprocess import PreprocessSpec

NUM_QUERIES = 300
_CERTAIN_LOGIT = 20.0  # a logit whose probability is 1 in single precision
_MAX_CANDIDATES = 300  # pairs of a query and a class that are looked at, the best ones


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return what the queries found on one photo of ``size`` (height, width) that they read as ``spec`` says.

    ``outputs``: ``logits`` (Q, C), whose sigmoid is the probability of each class, and ``boxes`` (Q, 4), centre x, y,
    width, height as shares of the input. A query may answer for several classes. Such a network learns to name an
    object once, so the overlap of ``keeping`` hardly ever takes one away; at 1.0 it takes none.
    """
    logits, boxes = outputs
    if logits.ndim != 2 or boxes.shape != (len(logits), 4):
        raise ValueError(f"queries have logits (Q, C) and boxes (Q, 4), not {logits.shape} and {boxes.shape}")
    scores = _sigmoid(logits)
    rows, class_ids = np.nonzero(scores >= detection_filter.min_score_threshold)
    best = np.argsort(-scores[rows, class_ids], kind="stable")[: max(_MAX_CANDIDATES, detection_filter.max_detections)]
    rows, columns = rows[best], class_ids[best]
    named: NDArray[np.int32] = np.asarray(columns, np.int32)
    return filter_and_rescale(
        _cxcywh_to_xyxy(boxes[rows], spec), named, scores[rows, columns], size, spec, detection_filter
    )


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: PreprocessSpec, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs, ``logits`` (Q, C) and ``boxes`` (Q, 4), that ``read`` turns back into ``boxes`` (K, 4)."""
    count = max(NUM_QUERIES, len(boxes))
    logits = np.full((count, classes), -_CERTAIN_LOGIT, np.float32)
    answers = np.full((count, 4), 0.5, np.float32)
    inside = boxes_to_input(boxes, size, spec) / [spec.width, spec.height, spec.width, spec.height]
    answers[: len(boxes), :2] = (inside[:, :2] + inside[:, 2:]) / 2
    answers[: len(boxes), 2:] = inside[:, 2:] - inside[:, :2]
    logits[np.arange(len(boxes)), class_ids] = _CERTAIN_LOGIT
    return logits, answers


def _sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the probabilities of ``logits``; what is no number is believed in no more than nothing."""
    known = np.nan_to_num(logits.astype(np.float64), nan=-np.inf)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(known, -60.0, 60.0))), np.float32)


def _cxcywh_to_xyxy(boxes: NDArray[Any], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return corners (K, 4) in pixels of the input from ``boxes`` (K, 4), centres and sides in shares of it."""
    centres, halves = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) / 2
    whole = np.array([spec.width, spec.height] * 2, np.float64)
    return np.concatenate([centres - halves, centres + halves], axis=1) * whole
