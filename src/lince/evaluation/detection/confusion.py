"""Pairs labelled objects with detections across classes, for the confusion matrix of a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.detection.matcher import IOU_THRESHOLDS, UNMATCHED, BoolArray, IntArray, MatchInput, MatchResult


@dataclass(frozen=True, eq=False)
class ConfusionPairs:
    """What the confusion matrix counts, one item (P,) each.

    - ``rows`` and ``columns``: true and detected class; the number of classes stands for nothing there.
    - ``images``: index of the image.
    - ``truth_rows``: row of the labelled object, or ``UNMATCHED``.
    - ``boxes`` (P, 4) and ``scores``: of the detection; NaN where there is none.
    """

    rows: IntArray
    columns: IntArray
    images: IntArray
    truth_rows: IntArray
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, classes: int) -> NDArray[np.int64]:
        """Return the confusion matrix int64 (C + 1, C + 1)."""
        cells = self.rows * (classes + 1) + self.columns
        counts = np.bincount(cells, minlength=(classes + 1) ** 2)
        return counts.reshape(classes + 1, classes + 1).astype(np.int64)


def pair_for_confusion(
    match_input: MatchInput, matching: MatchResult, is_shown: BoolArray, classes: int
) -> ConfusionPairs:
    """Return the pairs at an IoU of 0.5, of the detections ``is_shown`` (K,).

    True positives come first; of what remains, pairs of any class are matched by falling IoU; the rest are missed
    objects and detections on the background.
    """
    considered = is_shown & matching.not_ignored[0]
    truth_rows = np.where(considered & matching.true_positives[0], matching.truth_rows[0], UNMATCHED)
    free_detections = considered & (truth_rows == UNMATCHED)
    free_truths = matching.positives.copy()
    free_truths[truth_rows[truth_rows != UNMATCHED]] = False
    is_candidate = (
        (match_input.pair_ious >= IOU_THRESHOLDS[0])
        & free_detections[match_input.pair_detections]
        & free_truths[match_input.pair_truths]
    )
    pairs = np.flatnonzero(is_candidate)
    for pair in pairs[np.lexsort((match_input.pair_detections[pairs], -match_input.pair_ious[pairs]))].tolist():
        detection, truth = match_input.pair_detections[pair], match_input.pair_truths[pair]
        if free_detections[detection] and free_truths[truth]:
            truth_rows[detection] = truth
            free_detections[detection] = free_truths[truth] = False
    missed = np.flatnonzero(free_truths)
    return ConfusionPairs(
        np.concatenate(
            [
                np.append(match_input.truth_class_ids, classes)[truth_rows][considered],
                match_input.truth_class_ids[missed],
            ]
        ),
        np.concatenate([match_input.class_ids[considered], np.full(len(missed), classes)]),
        np.concatenate([match_input.image_ids[considered], match_input.truth_image_ids[missed]]),
        np.concatenate([truth_rows[considered], missed]),
        np.concatenate([match_input.boxes[considered], np.full((len(missed), 4), np.nan)]),
        np.concatenate([match_input.scores[considered], np.full(len(missed), np.nan)]),
    )
