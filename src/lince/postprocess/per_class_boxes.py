"""Decodes the outputs of detectors that predict a box for every class of each proposal, such as Faster R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, boxes_to_input, filter_and_rescale
from lince.preprocess import PreprocessSpec


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image of ``size`` (height, width) that was preprocessed by ``spec``.

    ``outputs`` are ``boxes`` (K, C, 4), left, top, right, bottom in input pixels, and ``scores`` (K, C) in 0..1, for K
    proposals and C classes. Each class of a proposal is a candidate of its own; a score of 0 marks padding. Raises
    ``ValueError`` for outputs of another shape.
    """
    boxes, scores = outputs
    if scores.ndim != 2 or boxes.shape != (*scores.shape, 4):
        raise ValueError(f"boxes are (K, C, 4) and scores (K, C), not {boxes.shape} and {scores.shape}")
    rows, class_ids = np.nonzero((scores >= detection_filter.min_score_threshold) & (scores > 0))
    candidates = np.asarray(boxes[rows, class_ids], np.float64)
    candidate_scores = np.asarray(scores[rows, class_ids], np.float32)
    return filter_and_rescale(candidates, class_ids.astype(np.int32), candidate_scores, size, spec, detection_filter)


def encode(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs ``boxes`` and ``scores`` from which ``decode`` finds ``boxes`` (K, 4) of an image again."""
    rows = np.arange(len(boxes))
    class_boxes = np.zeros((len(boxes), num_classes, 4), np.float32)
    scores = np.zeros((len(boxes), num_classes), np.float32)
    class_boxes[rows, class_ids] = boxes_to_input(boxes, size, spec)
    scores[rows, class_ids] = 1.0
    return class_boxes, scores
