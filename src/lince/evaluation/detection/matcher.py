"""Which detection found which object: the greedy matching of COCO, for every image, class and threshold at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import CROWD, DIFFICULT, Detections, ObjectTable

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100  # detections of one class on one image that COCO looks at
BACKGROUND_IOU = 0.1  # below this overlap a detection is taken to lie on the background (Bolya et al. 2020)
UNMATCHED = -1
_CHUNK_SIZE = 1 << 18  # pairs measured at a time, so that they stay in the processor's cache

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MatchInput:
    """Truth and findings of N images, laid side by side as flat columns.

    Truth (M,): ``truth_images``, ``truth_classes``, ``truth_areas`` in square pixels, ``regions`` (marked as a crowd
    or as difficult: what is found there counts neither for nor against). Findings (K,), by class, best first, at most
    ``MOST`` of a class on an image: ``images``, ``classes``, ``scores``, ``areas``. Pairs (P,) of the two that overlap
    by ``NEAR`` or more: ``finding`` and ``truth`` are rows of the columns above, ``overlap`` the intersection over the
    union; over the finding's own area for a region.
    """

    image_count: int
    truth_image_ids: IntArray
    truth_class_ids: IntArray
    truth_areas: NDArray[np.float64]
    truth_ignored: BoolArray
    image_ids: IntArray
    class_ids: IntArray
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]
    pair_detections: IntArray
    pair_truths: IntArray
    pair_ious: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def same_class(self) -> BoolArray:
        """Which pairs are of one class, (P,)."""
        return np.asarray(self.class_ids[self.pair_detections] == self.truth_class_ids[self.pair_truths])


@dataclass(frozen=True, eq=False)
class MatchResult:
    """What each finding was matched with, at each of ``IOUS``.

    ``matched`` int64 (T, K): a row of the truth or ``NOTHING``; ``hits`` and ``counted`` (T, K) tell which findings
    are right, and which count at all; ``wanted`` (M,) which objects are to be found.
    """

    truth_rows: IntArray
    true_positives: BoolArray
    not_ignored: BoolArray
    positives: BoolArray


def build_match_input(truth: ObjectTable, found: Sequence[Detections]) -> MatchInput:
    """Return ``truth`` and ``found``, one for each of its images in the same order, as columns with their pairs."""
    boxes, images, classes, scores = _concatenate_detections(found)
    # By class, best first; among equals the earlier image, then the order in which they were given: as COCO does.
    order = np.lexsort((-scores, classes))
    order = order[_rank_within_image_class(images[order], classes[order]) < MAX_DETECTIONS]
    boxes, images = boxes[order], images[order]
    unclear = get_ignore_mask(truth)
    pairs = _find_overlapping_pairs(truth, boxes, images, unclear)
    return MatchInput(
        len(found),
        truth.image_ids,
        truth.class_ids.astype(np.int64),
        geometry.compute_box_areas(truth.boxes),
        unclear,
        images,
        classes[order],
        scores[order],
        geometry.compute_box_areas(boxes),
        *pairs,
    )


def get_ignore_mask(truth: ObjectTable) -> BoolArray:
    """Tell which objects (M,) are marked as a crowd or as difficult."""
    return np.asarray((truth.flags & (CROWD | DIFFICULT)) > 0)


def match_detections(columns: MatchInput, min_area: float = 0.0, max_area: float = np.inf) -> MatchResult:
    """Return the matching of COCO where objects from ``smallest`` to ``largest`` square pixels are wanted.

    Class by class and image by image, the surest finding first takes the free object that it overlaps most, the later
    one among equals, and one that is not wanted only where no other is left; a region is never used up. What is
    matched with an unwanted object does not count, nor what is matched with none and lies outside the range itself.
    """
    wanted = ~columns.truth_ignored & _within_area_range(columns.truth_areas, min_area, max_area)
    matched = _match_greedily(columns, wanted)
    none = matched == UNMATCHED
    hits = ~none & np.append(wanted, False)[matched]
    outside = ~_within_area_range(columns.areas, min_area, max_area)
    return MatchResult(matched, hits, hits | (none & ~outside), wanted)


def _within_area_range(areas: NDArray[np.float64], smallest: float, largest: float) -> BoolArray:
    return np.asarray((areas >= smallest) & (areas <= largest))


def _match_greedily(columns: MatchInput, wanted: BoolArray) -> IntArray:
    """Return ``matched``: the n-th finding of every image and class is dealt with at once, for n = 0, 1, ..."""
    pairs = np.flatnonzero(columns.same_class & (columns.pair_ious >= IOU_THRESHOLDS[0]))
    finding, truth, overlap = columns.pair_detections[pairs], columns.pair_truths[pairs], columns.pair_ious[pairs]
    rounds = _detection_ranks(columns, finding)
    # The best comes last: the wanted after the others, the nearer after the farther, the later after the earlier.
    order = np.lexsort((truth, overlap, wanted[truth], finding, rounds))
    finding, truth, overlap, rounds = finding[order], truth[order], overlap[order], rounds[order]
    matched = np.full((len(IOU_THRESHOLDS), len(columns)), UNMATCHED, np.int64)
    taken = np.zeros((len(IOU_THRESHOLDS), len(columns.truth_ignored)), np.bool_)
    reusable = np.flatnonzero(columns.truth_ignored)
    starts = np.flatnonzero(np.diff(rounds, prepend=-1, append=-1)).tolist() if len(rounds) else []
    for start, end in pairwise(starts):
        part = slice(start, end)
        _assign_round(finding[part], truth[part], overlap[part] >= IOU_THRESHOLDS[:, None], matched, taken)
        taken[:, reusable] = False
    return matched


def _assign_round(finding: IntArray, truth: IntArray, near: BoolArray, matched: IntArray, taken: BoolArray) -> None:
    """Give each of ``finding`` the last of its pairs that is ``near`` (T, P) and free, and note it in the last two."""
    free = near & ~taken[:, truth]
    firsts = np.flatnonzero(np.diff(finding, prepend=-1))
    last = np.maximum.reduceat(np.where(free, np.arange(len(truth)), UNMATCHED), firsts, axis=1)
    given = np.where(last == UNMATCHED, UNMATCHED, truth[last])
    matched[:, finding[firsts]] = given
    threshold, place = np.nonzero(last != UNMATCHED)
    taken[threshold, given[threshold, place]] = True


def _detection_ranks(columns: MatchInput, finding: IntArray) -> IntArray:
    """Return for each of ``finding`` (P,), rows that may repeat, its place among those of its image and class."""
    rows, back = np.unique(finding, return_inverse=True)
    return _rank_within_image_class(columns.image_ids[rows], columns.class_ids[rows])[back]


def _rank_within_image_class(images: IntArray, classes: IntArray) -> IntArray:
    """Return the place of each row among the rows of its image and class, from 0 on, in the order they stand in."""
    order = np.lexsort((images, classes))
    fresh = (np.diff(images[order], prepend=-1) != 0) | (np.diff(classes[order], prepend=-1) != 0)
    firsts = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - firsts
    return rank


def _concatenate_detections(
    found: Sequence[Detections],
) -> tuple[NDArray[np.float64], IntArray, IntArray, NDArray[np.float64]]:
    """Return the boxes, images, classes and scores of all that was ``found``, one image after the other."""
    boxes = np.concatenate([np.empty((0, 4)), *(item.boxes for item in found)])
    images = np.repeat(np.arange(len(found)), [len(item) for item in found])
    classes = np.concatenate([np.empty(0, np.int64), *(item.class_ids for item in found)])
    scores = np.concatenate([np.empty(0), *(item.scores for item in found)])
    return boxes, images.astype(np.int64), classes.astype(np.int64), scores.astype(np.float64)


def _find_overlapping_pairs(
    truth: ObjectTable, boxes: NDArray[np.float64], images: IntArray, regions: BoolArray
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return finding, truth and overlap of the pairs on one image that overlap by ``NEAR`` or more."""
    firsts, counts = truth.starts[images], np.diff(truth.starts)[images]
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(_CHUNK_SIZE, ends[-1] if len(ends) else 0, _CHUNK_SIZE))
    parts: list[tuple[Any, ...]] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for rows in np.split(np.arange(len(images)), cuts):
        many = counts[rows]
        finding = np.repeat(rows, many)
        offset = np.arange(len(finding)) - np.repeat(np.cumsum(many) - many, many)
        object_ = firsts[finding] + offset
        overlap = _compute_pair_ious(boxes[finding], truth.boxes[object_], regions[object_])
        near = overlap >= BACKGROUND_IOU
        parts.append((finding[near], object_[near], overlap[near]))
    finding, object_, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return finding, object_, overlap


def _compute_pair_ious(
    found: NDArray[np.float64], truth: NDArray[np.float64], regions: BoolArray
) -> NDArray[np.float64]:
    """Return the intersection of each row of ``found`` and ``truth`` (P, 4) over their union, or ``found``'s area."""
    sides = np.minimum(found[:, 2:], truth[:, 2:]) - np.maximum(found[:, :2], truth[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    own = geometry.compute_box_areas(found)
    union = np.where(regions, own, own + geometry.compute_box_areas(truth) - shared)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0))
