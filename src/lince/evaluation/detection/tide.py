"""What kinds of error a detector makes, and what each one costs: TIDE (Bolya et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.average_precision import average_over_classes, compute_interpolated_ap
from lince.evaluation.detection.matcher import IOU_THRESHOLDS, UNMATCHED, BoolArray, IntArray, MatchInput, MatchResult
from lince.i18n import _, translate_plural
from lince.number_format import format_count as written

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
    """One of ``KINDS``: ``count`` errors at the chosen thresholds; mending all of them adds ``gain`` to the mAP50."""

    kind: str
    count: int
    gain: float

    def to_dict(self) -> dict[str, Any]:
        """Return the kind as JSON."""
        return {"kind": self.kind, "count": self.count, "gain": self.gain}


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """The errors at an overlap of 0.5, of the findings that are looked at.

    ``kinds`` int64 (K,): an index into ``KINDS``, or -1 where there is no error; ``objects`` int64 (K,): the object
    that the finding was meant for, where it is in the wrong place or of the wrong class; ``missed`` (M,).
    """

    kind_ids: IntArray
    object_rows: IntArray
    missed: BoolArray

    def count_kind(self, kind: str) -> int:
        """Return how many errors there are of ``kind``."""
        return int(self.missed.sum() if kind == MISSED else (self.kind_ids == ERROR_KINDS.index(kind)).sum())


def translate_error_kind(kind: str) -> str:
    """Return the words for one of ``KINDS``."""
    names = {
        MISSED: _("missed"),
        LOCALISATION: _("in the wrong place"),
        CLASSIFICATION: _("of the wrong class"),
        BOTH: _("in the wrong place and of the wrong class"),
        DUPLICATE: _("found twice"),
        BACKGROUND: _("found where nothing is"),
    }
    return names[kind]


def format_error_count(kind: str, number: int) -> str:
    """Return ``number`` errors of one of ``KINDS`` in words that stand alone or begin a sentence."""
    texts = {
        MISSED: translate_plural("{n} object missed", "{n} objects missed", number),
        LOCALISATION: translate_plural("{n} box in the wrong place", "{n} boxes in the wrong place", number),
        CLASSIFICATION: translate_plural("{n} box of the wrong class", "{n} boxes of the wrong class", number),
        BOTH: translate_plural(
            "{n} box in the wrong place and of the wrong class",
            "{n} boxes in the wrong place and of the wrong class",
            number,
        ),
        DUPLICATE: translate_plural(
            "{n} box too many on an object already found", "{n} boxes too many on objects already found", number
        ),
        BACKGROUND: translate_plural("{n} box where nothing is", "{n} boxes where nothing is", number),
    }
    return texts[kind].format(n=written(number))


def find_errors(columns: MatchInput, matching: MatchResult, shown: BoolArray) -> DetectionErrors:
    """Return the errors among the findings ``shown`` (K,), and the objects that these miss.

    A finding that is not right, in this order: overlaps an object of its class by 0.1 to 0.5 (place), one of another
    class by 0.5 (class), one of its class that has its finding already (double), none by 0.1 (background), else both.
    An object is missed when no finding is right about it, nor wrong in place or class alone.
    """
    own, own_object = _find_best_overlaps(columns, matching, columns.same_class)
    other, other_object = _find_best_overlaps(columns, matching, ~columns.same_class)
    wrong = shown & matching.not_ignored[0] & ~matching.true_positives[0]
    near = [
        (own > 0) & (own < IOU_THRESHOLDS[0]),
        other >= IOU_THRESHOLDS[0],
        own >= IOU_THRESHOLDS[0],
        (own == 0) & (other == 0),
    ]
    codes = [ERROR_KINDS.index(kind) for kind in (LOCALISATION, CLASSIFICATION, DUPLICATE, BACKGROUND)]
    kinds = np.where(wrong, np.select(near, codes, ERROR_KINDS.index(BOTH)), _NO_ERROR).astype(np.int64)
    place, class_ = (kinds == ERROR_KINDS.index(kind) for kind in (LOCALISATION, CLASSIFICATION))
    objects = np.where(place, own_object, np.where(class_, other_object, UNMATCHED))
    reached = np.concatenate(
        [matching.truth_rows[0, shown & matching.true_positives[0]], objects[objects != UNMATCHED]]
    )
    missed = matching.positives.copy()
    missed[reached] = False
    return DetectionErrors(kinds, objects, missed)


def compute_ap_gains(columns: MatchInput, matching: MatchResult, classes: int) -> dict[str, float]:
    """Return for each kind by how much the mAP50 rises when its errors alone are mended.

    As in the paper: what is in the wrong place or of the wrong class becomes right, the surest one for each object
    that has no finding yet, and any other goes away; what is wrong in both, double or background goes away; what is
    missed need not be found.
    """
    found = find_errors(columns, matching, np.ones(len(columns), np.bool_))
    before = _compute_map50(
        columns, columns.class_ids, matching.true_positives[0], matching.not_ignored[0], matching.positives, classes
    )
    result = {}
    for code, kind in enumerate(ERROR_KINDS):
        mine = found.kind_ids == code
        mended = mine & _first_for_object_mask(columns, matching, np.where(mine, found.object_rows, UNMATCHED))
        owner = np.append(columns.truth_class_ids, UNMATCHED)[found.object_rows]
        after = _compute_map50(
            columns,
            np.where(mended, owner, columns.class_ids),
            matching.true_positives[0] | mended,
            matching.not_ignored[0] & (~mine | mended),
            matching.positives & ~(found.missed & (kind == MISSED)),
            classes,
        )
        result[kind] = after - before
    return result


def _find_best_overlaps(
    columns: MatchInput, matching: MatchResult, pairs: BoolArray
) -> tuple[NDArray[np.float64], IntArray]:
    """Return for each finding the largest overlap among ``pairs`` (P,), 0 for none, and with which object."""
    rows = np.flatnonzero(pairs & matching.positives[columns.pair_truths])
    rows = rows[np.argsort(columns.pair_ious[rows], kind="stable")]
    overlap, nearest = np.zeros(len(columns)), np.full(len(columns), UNMATCHED, np.int64)
    overlap[columns.pair_detections[rows]] = columns.pair_ious[rows]  # of several the last one stays, the largest
    nearest[columns.pair_detections[rows]] = columns.pair_truths[rows]
    return overlap, nearest


def _first_for_object_mask(columns: MatchInput, matching: MatchResult, objects: IntArray) -> BoolArray:
    """Tell which findings are the surest of those meant for an object (K,) that has no finding yet."""
    free = np.ones(len(matching.positives) + 1, np.bool_)
    free[matching.truth_rows[0, matching.true_positives[0]]] = False
    free[UNMATCHED] = False
    rows = np.flatnonzero(free[objects])
    rows = rows[np.argsort(-columns.scores[rows], kind="stable")]
    _object, first = np.unique(objects[rows], return_index=True)
    result = np.zeros(len(columns), np.bool_)
    result[rows[first]] = True
    return result


def _compute_map50(
    columns: MatchInput, owner: IntArray, hits: BoolArray, counted: BoolArray, wanted: BoolArray, classes: int
) -> float:
    """Return the mean average precision when the findings are of the classes ``owner``; 1 when nothing is wanted."""
    positives = np.bincount(columns.truth_class_ids[wanted], minlength=classes)
    if not positives.any():
        return 1.0
    order = np.lexsort((-columns.scores, owner))
    bounds = np.searchsorted(owner[order], np.arange(classes + 1))
    values = np.full(classes, np.nan)
    for class_id in np.flatnonzero(positives):
        rows = order[bounds[class_id] : bounds[class_id + 1]]
        right = np.flatnonzero(hits[rows])
        seen = np.cumsum(counted[rows])[right]
        values[class_id] = compute_interpolated_ap(np.arange(1, len(right) + 1), seen, positives[class_id, None])
    return float(average_over_classes(values))
