"""What kinds of error a detector makes, and what each one costs: TIDE (Bolya et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.average_precision import interpolated, mean
from lince.evaluation.figures import count as written
from lince.evaluation.matching import IOUS, NOTHING, Bools, Columns, Ints, Matching
from lince.messages import _, translate_plural

MISSED, PLACE, CLASS, BOTH, DOUBLE, BACKGROUND = "missed", "place", "class", "both", "double", "background"
KINDS = (MISSED, PLACE, CLASS, BOTH, DOUBLE, BACKGROUND)
_RIGHT = -1


@dataclass(frozen=True)
class ErrorKind:
    """One of ``KINDS``: ``count`` errors at the chosen thresholds; mending all of them adds ``gain`` to the mAP50."""

    kind: str
    count: int
    gain: float

    def record(self) -> dict[str, Any]:
        """Return the kind as JSON."""
        return {"kind": self.kind, "count": self.count, "gain": self.gain}


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors at an overlap of 0.5, of the findings that are looked at.

    ``kinds`` int64 (K,): an index into ``KINDS``, or -1 where there is no error; ``objects`` int64 (K,): the object
    that the finding was meant for, where it is in the wrong place or of the wrong class; ``missed`` (M,).
    """

    kinds: Ints
    objects: Ints
    missed: Bools

    def count(self, kind: str) -> int:
        """Return how many errors there are of ``kind``."""
        return int(self.missed.sum() if kind == MISSED else (self.kinds == KINDS.index(kind)).sum())


def kind_name(kind: str) -> str:
    """Return the words for one of ``KINDS``."""
    names = {
        MISSED: _("missed"),
        PLACE: _("in the wrong place"),
        CLASS: _("of the wrong class"),
        BOTH: _("in the wrong place and of the wrong class"),
        DOUBLE: _("found twice"),
        BACKGROUND: _("found where nothing is"),
    }
    return names[kind]


def counted(kind: str, number: int) -> str:
    """Return ``number`` errors of one of ``KINDS`` in words that stand alone or begin a sentence."""
    texts = {
        MISSED: translate_plural("{n} object missed", "{n} objects missed", number),
        PLACE: translate_plural("{n} box in the wrong place", "{n} boxes in the wrong place", number),
        CLASS: translate_plural("{n} box of the wrong class", "{n} boxes of the wrong class", number),
        BOTH: translate_plural(
            "{n} box in the wrong place and of the wrong class",
            "{n} boxes in the wrong place and of the wrong class",
            number,
        ),
        DOUBLE: translate_plural(
            "{n} box too many on an object already found", "{n} boxes too many on objects already found", number
        ),
        BACKGROUND: translate_plural("{n} box where nothing is", "{n} boxes where nothing is", number),
    }
    return texts[kind].format(n=written(number))


def errors(columns: Columns, matching: Matching, shown: Bools) -> Errors:
    """Return the errors among the findings ``shown`` (K,), and the objects that these miss.

    A finding that is not right, in this order: overlaps an object of its class by 0.1 to 0.5 (place), one of another
    class by 0.5 (class), one of its class that has its finding already (double), none by 0.1 (background), else both.
    An object is missed when no finding is right about it, nor wrong in place or class alone.
    """
    own, own_object = _nearest(columns, matching, columns.alike)
    other, other_object = _nearest(columns, matching, ~columns.alike)
    wrong = shown & matching.counted[0] & ~matching.hits[0]
    near = [(own > 0) & (own < IOUS[0]), other >= IOUS[0], own >= IOUS[0], (own == 0) & (other == 0)]
    codes = [KINDS.index(kind) for kind in (PLACE, CLASS, DOUBLE, BACKGROUND)]
    kinds = np.where(wrong, np.select(near, codes, KINDS.index(BOTH)), _RIGHT).astype(np.int64)
    place, class_ = (kinds == KINDS.index(kind) for kind in (PLACE, CLASS))
    objects = np.where(place, own_object, np.where(class_, other_object, NOTHING))
    reached = np.concatenate([matching.matched[0, shown & matching.hits[0]], objects[objects != NOTHING]])
    missed = matching.wanted.copy()
    missed[reached] = False
    return Errors(kinds, objects, missed)


def gains(columns: Columns, matching: Matching, classes: int) -> dict[str, float]:
    """Return for each kind by how much the mAP50 rises when its errors alone are mended.

    As in the paper: what is in the wrong place or of the wrong class becomes right, the surest one for each object
    that has no finding yet, and any other goes away; what is wrong in both, double or background goes away; what is
    missed need not be found.
    """
    found = errors(columns, matching, np.ones(len(columns), np.bool_))
    before = _map50(columns, columns.classes, matching.hits[0], matching.counted[0], matching.wanted, classes)
    result = {}
    for code, kind in enumerate(KINDS):
        mine = found.kinds == code
        mended = mine & _first_for_object(columns, matching, np.where(mine, found.objects, NOTHING))
        owner = np.append(columns.truth_classes, NOTHING)[found.objects]
        after = _map50(
            columns,
            np.where(mended, owner, columns.classes),
            matching.hits[0] | mended,
            matching.counted[0] & (~mine | mended),
            matching.wanted & ~(found.missed & (kind == MISSED)),
            classes,
        )
        result[kind] = after - before
    return result


def _nearest(columns: Columns, matching: Matching, pairs: Bools) -> tuple[NDArray[np.float64], Ints]:
    """Return for each finding the largest overlap among ``pairs`` (P,), 0 for none, and with which object."""
    rows = np.flatnonzero(pairs & matching.wanted[columns.truth])
    rows = rows[np.argsort(columns.overlap[rows], kind="stable")]
    overlap, nearest = np.zeros(len(columns)), np.full(len(columns), NOTHING, np.int64)
    overlap[columns.finding[rows]] = columns.overlap[rows]  # of several the last one stays, the largest
    nearest[columns.finding[rows]] = columns.truth[rows]
    return overlap, nearest


def _first_for_object(columns: Columns, matching: Matching, objects: Ints) -> Bools:
    """Tell which findings are the surest of those meant for an object (K,) that has no finding yet."""
    free = np.ones(len(matching.wanted) + 1, np.bool_)
    free[matching.matched[0, matching.hits[0]]] = False
    free[NOTHING] = False
    rows = np.flatnonzero(free[objects])
    rows = rows[np.argsort(-columns.scores[rows], kind="stable")]
    _object, first = np.unique(objects[rows], return_index=True)
    result = np.zeros(len(columns), np.bool_)
    result[rows[first]] = True
    return result


def _map50(columns: Columns, owner: Ints, hits: Bools, counted: Bools, wanted: Bools, classes: int) -> float:
    """Return the mean average precision when the findings are of the classes ``owner``; 1 when nothing is wanted."""
    positives = np.bincount(columns.truth_classes[wanted], minlength=classes)
    if not positives.any():
        return 1.0
    order = np.lexsort((-columns.scores, owner))
    bounds = np.searchsorted(owner[order], np.arange(classes + 1))
    values = np.full(classes, np.nan)
    for class_id in np.flatnonzero(positives):
        rows = order[bounds[class_id] : bounds[class_id + 1]]
        right = np.flatnonzero(hits[rows])
        seen = np.cumsum(counted[rows])[right]
        values[class_id] = interpolated(np.arange(1, len(right) + 1), seen, positives[class_id, None])
    return float(mean(values))
