"""What the numbers of a detector with queries mean (Carion et al. 2020, with a sigmoid for each class)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.decode.keeping import DEFAULT, Keeping, found, in_input
from lince.preprocess import Preprocess

QUERIES = 300
_SURE = 20.0  # a logit whose probability is 1 in single precision
_CANDIDATES = 300  # pairs of a query and a class that are looked at, the best ones


def read(
    outputs: Sequence[NDArray[Any]], size: tuple[int, int], spec: Preprocess, keeping: Keeping = DEFAULT
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
    rows, class_ids = np.nonzero(scores >= keeping.lowest)
    best = np.argsort(-scores[rows, class_ids], kind="stable")[: max(_CANDIDATES, keeping.most)]
    rows, columns = rows[best], class_ids[best]
    named: NDArray[np.int32] = np.asarray(columns, np.int32)
    return found(_corners(boxes[rows], spec), named, scores[rows, columns], size, spec, keeping)


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: Preprocess, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the outputs, ``logits`` (Q, C) and ``boxes`` (Q, 4), that ``read`` turns back into ``boxes`` (K, 4)."""
    count = max(QUERIES, len(boxes))
    logits = np.full((count, classes), -_SURE, np.float32)
    answers = np.full((count, 4), 0.5, np.float32)
    inside = in_input(boxes, size, spec) / [spec.width, spec.height, spec.width, spec.height]
    answers[: len(boxes), :2] = (inside[:, :2] + inside[:, 2:]) / 2
    answers[: len(boxes), 2:] = inside[:, 2:] - inside[:, :2]
    logits[np.arange(len(boxes)), class_ids] = _SURE
    return logits, answers


def _sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the probabilities of ``logits``; what is no number is believed in no more than nothing."""
    known = np.nan_to_num(logits.astype(np.float64), nan=-np.inf)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(known, -60.0, 60.0))), np.float32)


def _corners(boxes: NDArray[Any], spec: Preprocess) -> NDArray[np.float64]:
    """Return corners (K, 4) in pixels of the input from ``boxes`` (K, 4), centres and sides in shares of it."""
    centres, halves = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) / 2
    whole = np.array([spec.width, spec.height] * 2, np.float64)
    return np.concatenate([centres - halves, centres + halves], axis=1) * whole
