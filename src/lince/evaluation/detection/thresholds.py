"""From which score on a finding counts: chosen class by class, on images that training did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections, ObjectTable
from lince.evaluation.average_precision import count_positives
from lince.evaluation.detection.matcher import build_match_input, match_detections
from lince.postprocess import DEFAULT_FILTER

POOLED_BOXES = 40  # boxes: measured on hard hats, see NOTES.md

FloatArray = NDArray[np.float64]


def choose_thresholds(truth: ObjectTable, found: Sequence[Detections], classes: int) -> tuple[float, ...]:
    """Return the threshold of each of ``classes``, (C,), at which F1 is best on these images.

    A class's own few boxes choose by chance: one box that is found with 1 % would let a hundred false ones in. So the
    findings and boxes of all other classes are counted with it, together as if they were ``LENT`` boxes, or as many as
    they are when they are fewer: they decide for a class with few boxes, and hardly matter for one with hundreds.
    """
    flat = build_match_input(truth, found)
    matching = match_detections(flat)
    held = count_positives(flat, matching, classes)
    order = np.argsort(-flat.scores, kind="stable")
    hits, counted, scores = matching.true_positives[0, order], matching.not_ignored[0, order], flat.scores[order]
    chosen = []
    for class_id, own in enumerate(held.tolist()):
        others = int(held.sum()) - own
        lent = min(others, POOLED_BOXES)
        weights = np.where(flat.class_ids[order] == class_id, 1.0, lent / max(others, 1))
        chosen.append(find_best_f1_threshold(hits * weights, counted * weights, scores, own + lent))
    return tuple(chosen)


def find_best_f1_threshold(hits: NDArray[Any], counted: NDArray[Any], scores: FloatArray, positives: int) -> float:
    """Return the score, halfway to the next lower one, at which F1 is best; the higher one among equals.

    Findings (K,) come surest first: how much each is a hit, how much it counts (shares or bools), and its score.
    ``positives`` objects are to be found. Where nothing is ever hit, it is the default.
    """
    if not hits.any():
        return DEFAULT_FILTER.min_score_threshold
    ends = np.flatnonzero(np.diff(scores, append=-1.0))  # a threshold keeps all of one score or none
    f1 = 2 * np.cumsum(hits)[ends] / (np.cumsum(counted)[ends] + positives)
    top = int(np.argmax(f1))
    below = scores[ends[top + 1]] if top + 1 < len(ends) else scores[ends[top]]
    return float(np.float32((scores[ends[top]] + below) / 2))
