"""What the numbers of detectors mean that answer with boxes of their own: for each proposal one for every class."""

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
    """Return what was found on one photo of ``size`` (height, width) that was read as ``spec`` says.

    ``outputs`` are ``boxes`` (K, C, 4), left, top, right, bottom in pixels of the input, and ``scores`` (K, C) in
    [0, 1] of K proposals and C classes. Every class of a proposal counts by itself; a score of 0 marks a proposal
    that is not there.
    """
    boxes, scores = outputs
    if scores.ndim != 2 or boxes.shape != (*scores.shape, 4):
        raise ValueError(f"boxes are (K, C, 4) and scores (K, C), not {boxes.shape} and {scores.shape}")
    rows, class_ids = np.nonzero((scores >= detection_filter.min_score_threshold) & (scores > 0))
    chosen = np.asarray(boxes[rows, class_ids], np.float64)
    best = np.asarray(scores[rows, class_ids], np.float32)
    return filter_and_rescale(chosen, class_ids.astype(np.int32), best, size, spec, detection_filter)


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: PreprocessSpec, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs from which ``read`` finds these boxes (K, 4) of a photo of ``size`` again."""
    places = np.arange(len(boxes))
    answers = np.zeros((len(boxes), classes, 4), np.float32)
    scores = np.zeros((len(boxes), classes), np.float32)
    answers[places, class_ids] = boxes_to_input(boxes, size, spec)
    scores[places, class_ids] = 1.0
    return answers, scores
