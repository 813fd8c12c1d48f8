"""Chooses the score threshold of each class, by F1 on images that were not used for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections, ObjectTable
from lince.evaluation.average_precision import count_positives
from lince.evaluation.detection.matcher import MatchInput, build_match_input, match_detections
from lince.postprocess import DEFAULT_FILTER

POOLED_BOXES = 40  # boxes; measured on hard hats, see NOTES.md

FloatArray = NDArray[np.float64]


def choose_thresholds(truth: ObjectTable, detections: Sequence[Detections], classes: int) -> tuple[float, ...]:
    """Return the thresholds of ``choose_matched_thresholds`` by the overlap of boxes."""
    return choose_matched_thresholds(build_match_input(truth, detections), classes)


def choose_matched_thresholds(match_input: MatchInput, classes: int) -> tuple[float, ...]:
    """Return for each of ``classes`` classes the score threshold at which F1 at an IoU of 0.5 is highest.

    With few boxes of a class, its F1 alone would choose almost at random: one box found with a score of 1 % would admit
    a hundred false positives. The detections and boxes of all other classes are therefore pooled with it, weighted as
    if they were ``POOLED_BOXES`` boxes, or as many as they are when they are fewer. They decide for a class with few
    boxes and hardly matter for one with hundreds.
    """
    matching = match_detections(match_input)
    class_counts = count_positives(match_input, matching, classes)
    order = np.argsort(-match_input.scores, kind="stable")
    true_positives, not_ignored, scores = (
        matching.true_positives[0, order],
        matching.not_ignored[0, order],
        match_input.scores[order],
    )
    thresholds = []
    for class_id, own_count in enumerate(class_counts.tolist()):
        other_count = int(class_counts.sum()) - own_count
        pooled_count = min(other_count, POOLED_BOXES)
        weights = np.where(match_input.class_ids[order] == class_id, 1.0, pooled_count / max(other_count, 1))
        thresholds.append(
            find_best_f1_threshold(true_positives * weights, not_ignored * weights, scores, own_count + pooled_count)
        )
    return tuple(thresholds)


def find_best_f1_threshold(
    true_positives: NDArray[Any], not_ignored: NDArray[Any], scores: FloatArray, positives: int
) -> float:
    """Return the score threshold of highest F1, halfway to the next lower score; the higher one among equals.

    ``true_positives`` and ``not_ignored`` (K,), bools or weights, tell how much each detection counts as correct and
    counts at all; they come best score first. ``positives`` is the (weighted) number of objects. Returns the default
    threshold when there is no true positive. The result is exact in float32.
    """
    if not true_positives.any():
        return DEFAULT_FILTER.min_score_threshold
    last_rows = np.flatnonzero(
        np.diff(scores, append=-1.0)
    )  # of each distinct score, since a threshold keeps all of them or none
    f1 = 2 * np.cumsum(true_positives)[last_rows] / (np.cumsum(not_ignored)[last_rows] + positives)
    best = int(np.argmax(f1))
    next_score = scores[last_rows[best + 1]] if best + 1 < len(last_rows) else scores[last_rows[best]]
    return float(np.float32((scores[last_rows[best]] + next_score) / 2))
