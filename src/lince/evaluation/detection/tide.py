"""Classifies the errors of a detector and measures what each kind costs in mAP: TIDE (Bolya et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.average_precision import average_over_classes, compute_interpolated_ap
from lince.evaluation.detection.matcher import IOU_THRESHOLDS, UNMATCHED, BoolArray, IntArray, MatchInput, MatchResult
from lince.i18n import _, translate_plural
from lince.number_format import format_count

MISSED, LOCALISATION, CLASSIFICATION, BOTH, DUPLICATE, BACKGROUND = (
    "missed",
    "place",
    "class",
    "both",
    "double",
    "background",
)
ERROR_KINDS = (MISSED, LOCALISATION, CLASSIFICATION, BOTH, DUPLICATE, BACKGROUND)
_NO_ERROR = -1


@dataclass(frozen=True)
class ErrorStats:
    """One of ``ERROR_KINDS``: ``count`` errors at the chosen thresholds; fixing all of them adds ``gain`` to mAP50."""

    kind: str
    count: int
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {"kind": self.kind, "count": self.count, "gain": self.gain}


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """The errors at an IoU threshold of 0.5, for K detections and M labelled objects.

    - ``kind_ids`` int64 (K,): an index into ``ERROR_KINDS``, or -1 where there is no error.
    - ``object_rows`` int64 (K,): the object that a detection in the wrong place or of the wrong class is nearest to,
      else ``UNMATCHED``.
    - ``missed`` bool (M,): the objects that no detection finds.
    """

    kind_ids: IntArray
    object_rows: IntArray
    missed: BoolArray

    def count_kind(self, kind: str) -> int:
        """Return the number of errors of ``kind``, one of ``ERROR_KINDS``."""
        return int(self.missed.sum() if kind == MISSED else (self.kind_ids == ERROR_KINDS.index(kind)).sum())


def translate_error_kind(kind: str) -> str:
    """Return the translated name of one of ``ERROR_KINDS``."""
    names = {
        MISSED: _("missed"),
        LOCALISATION: _("wrong location"),
        CLASSIFICATION: _("wrong class"),
        BOTH: _("wrong location and wrong class"),
        DUPLICATE: _("duplicate detection"),
        BACKGROUND: _("background (false positive)"),
    }
    return names[kind]


def format_error_count(kind: str, number: int) -> str:
    """Return a translated phrase with the ``number`` of errors of one of ``ERROR_KINDS``."""
    texts = {
        MISSED: translate_plural("{n} object missed", "{n} objects missed", number),
        LOCALISATION: translate_plural("{n} box in the wrong location", "{n} boxes in the wrong location", number),
        CLASSIFICATION: translate_plural("{n} box of the wrong class", "{n} boxes of the wrong class", number),
        BOTH: translate_plural(
            "{n} box in the wrong location and of the wrong class",
            "{n} boxes in the wrong location and of the wrong class",
            number,
        ),
        DUPLICATE: translate_plural(
            "{n} duplicate box on an object already found", "{n} duplicate boxes on objects already found", number
        ),
        BACKGROUND: translate_plural("{n} box on the background", "{n} boxes on the background", number),
    }
    return texts[kind].format(n=format_count(number))


def find_errors(match_input: MatchInput, matching: MatchResult, is_shown: BoolArray) -> DetectionErrors:
    """Return the errors among the detections ``is_shown`` (K,), and the objects that these miss.

    A detection that counts and is not a true positive is, by the first condition that holds:

    - ``LOCALISATION``: an IoU of 0.1 to 0.5 with an object of its class.
    - ``CLASSIFICATION``: an IoU of at least 0.5 with an object of another class.
    - ``DUPLICATE``: an IoU of at least 0.5 with an object of its class that already has its detection.
    - ``BACKGROUND``: an IoU below 0.1 with every object.
    - ``BOTH``: anything else, that is, 0.1 to 0.5 with an object of another class.

    An object is missed when no detection finds it correctly or with a localisation or classification error.
    """
    same_class_iou, same_class_object = _find_best_overlaps(match_input, matching, match_input.same_class)
    other_class_iou, other_class_object = _find_best_overlaps(match_input, matching, ~match_input.same_class)
    is_wrong = is_shown & matching.not_ignored[0] & ~matching.true_positives[0]
    conditions = [
        (same_class_iou > 0) & (same_class_iou < IOU_THRESHOLDS[0]),
        other_class_iou >= IOU_THRESHOLDS[0],
        same_class_iou >= IOU_THRESHOLDS[0],
        (same_class_iou == 0) & (other_class_iou == 0),
    ]
    kind_indices = [ERROR_KINDS.index(kind) for kind in (LOCALISATION, CLASSIFICATION, DUPLICATE, BACKGROUND)]
    kind_ids = np.where(is_wrong, np.select(conditions, kind_indices, ERROR_KINDS.index(BOTH)), _NO_ERROR).astype(
        np.int64
    )
    is_localisation, is_classification = (
        kind_ids == ERROR_KINDS.index(kind) for kind in (LOCALISATION, CLASSIFICATION)
    )
    object_rows = np.where(
        is_localisation, same_class_object, np.where(is_classification, other_class_object, UNMATCHED)
    )
    found_rows = np.concatenate(
        [matching.truth_rows[0, is_shown & matching.true_positives[0]], object_rows[object_rows != UNMATCHED]]
    )
    missed = matching.positives.copy()
    missed[found_rows] = False
    return DetectionErrors(kind_ids, object_rows, missed)


def compute_ap_gains(match_input: MatchInput, matching: MatchResult, classes: int) -> dict[str, float]:
    """Return for each of ``ERROR_KINDS`` by how much mAP50 rises when only the errors of that kind are fixed.

    As in the paper: of the detections with a localisation or classification error, the one of highest score for each
    undetected object becomes correct and the others are removed; all other wrong detections of the kind are removed;
    missed objects no longer count.
    """
    errors = find_errors(match_input, matching, np.ones(len(match_input), np.bool_))
    map50 = _compute_map50(
        match_input,
        match_input.class_ids,
        matching.true_positives[0],
        matching.not_ignored[0],
        matching.positives,
        classes,
    )
    gains = {}
    for kind_id, kind in enumerate(ERROR_KINDS):
        is_kind = errors.kind_ids == kind_id
        is_fixed = is_kind & _first_for_object_mask(
            match_input, matching, np.where(is_kind, errors.object_rows, UNMATCHED)
        )
        object_class_ids = np.append(match_input.truth_class_ids, UNMATCHED)[errors.object_rows]
        fixed_map50 = _compute_map50(
            match_input,
            np.where(is_fixed, object_class_ids, match_input.class_ids),
            matching.true_positives[0] | is_fixed,
            matching.not_ignored[0] & (~is_kind | is_fixed),
            matching.positives & ~(errors.missed & (kind == MISSED)),
            classes,
        )
        gains[kind] = fixed_map50 - map50
    return gains


def _find_best_overlaps(
    match_input: MatchInput, matching: MatchResult, pairs: BoolArray
) -> tuple[NDArray[np.float64], IntArray]:
    """Return for each detection its largest IoU among ``pairs`` (P,), 0 for none, and the row of that object.

    Only objects that count are considered.
    """
    rows = np.flatnonzero(pairs & matching.positives[match_input.pair_truths])
    rows = rows[np.argsort(match_input.pair_ious[rows], kind="stable")]
    best_ious, best_objects = np.zeros(len(match_input)), np.full(len(match_input), UNMATCHED, np.int64)
    best_ious[match_input.pair_detections[rows]] = match_input.pair_ious[
        rows
    ]  # of repeated rows the last value is kept, the largest
    best_objects[match_input.pair_detections[rows]] = match_input.pair_truths[rows]
    return best_ious, best_objects


def _first_for_object_mask(match_input: MatchInput, matching: MatchResult, object_rows: IntArray) -> BoolArray:
    """Return the mask (K,) of the best-scoring detection for each undetected object.

    ``object_rows`` (K,) is the object that each detection is meant for, or ``UNMATCHED``.
    """
    is_undetected = np.ones(len(matching.positives) + 1, np.bool_)
    is_undetected[matching.truth_rows[0, matching.true_positives[0]]] = False
    is_undetected[UNMATCHED] = False
    rows = np.flatnonzero(is_undetected[object_rows])
    rows = rows[np.argsort(-match_input.scores[rows], kind="stable")]
    _object, first_rows = np.unique(object_rows[rows], return_index=True)
    mask = np.zeros(len(match_input), np.bool_)
    mask[rows[first_rows]] = True
    return mask


def _compute_map50(
    match_input: MatchInput,
    class_ids: IntArray,
    true_positives: BoolArray,
    not_ignored: BoolArray,
    positives: BoolArray,
    classes: int,
) -> float:
    """Return the mAP when the detections have the classes ``class_ids`` (K,); 1 when no object counts.

    ``true_positives`` and ``not_ignored`` (K,) are at an IoU threshold of 0.5, ``positives`` (M,) the objects that
    count.
    """
    class_counts = np.bincount(match_input.truth_class_ids[positives], minlength=classes)
    if not class_counts.any():
        return 1.0
    order = np.lexsort((-match_input.scores, class_ids))
    bounds = np.searchsorted(class_ids[order], np.arange(classes + 1))
    values = np.full(classes, np.nan)
    for class_id in np.flatnonzero(class_counts):
        rows = order[bounds[class_id] : bounds[class_id + 1]]
        tp_rows = np.flatnonzero(true_positives[rows])
        cumulative_count = np.cumsum(not_ignored[rows])[tp_rows]
        values[class_id] = compute_interpolated_ap(
            np.arange(1, len(tp_rows) + 1), cumulative_count, class_counts[class_id, None]
        )
    return float(average_over_classes(values))
