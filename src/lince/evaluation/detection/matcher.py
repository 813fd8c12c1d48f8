"""Matches detections to labelled objects by COCO's greedy rule, for all images, classes and IoU thresholds at once.

Letters in shapes: N images, M labelled objects, K detections, P pairs, T IoU thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry, mask_operations, rle
from lince.annotations import CROWD, DIFFICULT, Detections, ObjectTable, StringColumn

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100  # per class and image, as in COCO
BACKGROUND_IOU = 0.1  # a detection with less IoU to every object is on the background (Bolya et al. 2020)
UNMATCHED = -1
_CHUNK_SIZE = 1 << 18  # pairs whose IoU is computed at a time, so that they fit in the processor's cache

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MatchInput:
    """Labelled objects and detections of ``image_count`` images as flat arrays.

    - Objects (M,), by image: ``truth_image_ids``, ``truth_class_ids``, ``truth_areas`` in square pixels, and
      ``truth_ignored`` for crowds and difficult objects, whose detections count neither as right nor as wrong.
    - Detections (K,), by class, then best score first, at most ``MAX_DETECTIONS`` of a class on an image:
      ``image_ids``, ``class_ids``, ``scores``, ``areas``, and ``boxes`` (K, 4).
    - Pairs (P,) of a detection and an object on the same image with an IoU of at least ``BACKGROUND_IOU``:
      ``pair_detections`` and ``pair_truths`` are rows of the arrays above, ``pair_ious`` their IoU. For an ignored
      object the intersection is divided by the detection's area instead of the union.

    Areas and IoUs are those of the boxes, or of the masks.
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
    boxes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def same_class(self) -> BoolArray:
        """Mask (P,) of the pairs whose detection and object have the same class."""
        return np.asarray(self.class_ids[self.pair_detections] == self.truth_class_ids[self.pair_truths])


@dataclass(frozen=True, eq=False)
class MatchResult:
    """The object that each detection is matched with, at each of ``IOU_THRESHOLDS``.

    - ``truth_rows`` int64 (T, K): the row of the object, or ``UNMATCHED``.
    - ``true_positives`` and ``not_ignored`` bool (T, K): which detections are correct, and which count at all.
    - ``positives`` bool (M,): which objects count as objects to detect.
    """

    truth_rows: IntArray
    true_positives: BoolArray
    not_ignored: BoolArray
    positives: BoolArray


def build_match_input(truth: ObjectTable, detections: Sequence[Detections], by_mask: bool = False) -> MatchInput:
    """Return the labelled objects ``truth`` and the ``detections``, one item per image, as arrays with their pairs.

    Detections are sorted by class, then by score; among equal scores the earlier image comes first, then the order
    within the image, as in COCO's reference implementation. ``by_mask`` compares masks in place of boxes; an object
    without one overlaps with nothing.
    """
    boxes, image_ids, class_ids, scores = _concatenate_detections(detections)
    # np.lexsort is stable: among equal scores the order of images and detections is kept.
    order = np.lexsort((-scores, class_ids))
    order = order[_rank_within_image_class(image_ids[order], class_ids[order]) < MAX_DETECTIONS]
    boxes, image_ids = boxes[order], image_ids[order]
    ignored = get_ignore_mask(truth)
    truth_areas, areas = geometry.compute_box_areas(truth.boxes), geometry.compute_box_areas(boxes)
    if by_mask:
        masks = StringColumn.from_strings(text for item in detections for text in item.masks).take(order)
        truth_areas, areas = _compute_mask_areas(truth.masks), _compute_mask_areas(masks)
        pairs = _find_overlapping_masks(truth, masks, image_ids, ignored)
    else:
        pairs = _find_overlapping_pairs(truth, boxes, image_ids, ignored)
    return MatchInput(
        len(detections),
        truth.image_ids,
        truth.class_ids.astype(np.int64),
        truth_areas,
        ignored,
        image_ids,
        class_ids[order],
        scores[order],
        areas,
        *pairs,
        boxes,
    )


def get_ignore_mask(truth: ObjectTable) -> BoolArray:
    """Return the mask (M,) of the objects that are marked as a crowd or as difficult."""
    return np.asarray((truth.flags & (CROWD | DIFFICULT)) > 0)


def match_detections(match_input: MatchInput, min_area: float = 0.0, max_area: float = np.inf) -> MatchResult:
    """Return COCO's matching, counting objects with an area of ``min_area`` to ``max_area`` square pixels.

    Within a class and an image, detections choose in the order of their scores: each takes the free object of highest
    IoU, the later one among equals, and an object that does not count only when no other is left. Ignored objects can
    be matched any number of times. A detection matched with an object that does not count is ignored, and so is an
    unmatched detection whose own area is outside the range.
    """
    positives = ~match_input.truth_ignored & _within_area_range(match_input.truth_areas, min_area, max_area)
    matched = _match_greedily(match_input, positives)
    is_unmatched = matched == UNMATCHED
    true_positives = ~is_unmatched & np.append(positives, False)[matched]
    is_outside_range = ~_within_area_range(match_input.areas, min_area, max_area)
    return MatchResult(matched, true_positives, true_positives | (is_unmatched & ~is_outside_range), positives)


def _within_area_range(areas: NDArray[np.float64], min_area: float, max_area: float) -> BoolArray:
    """Return the mask of the ``areas`` in [min_area, max_area]."""
    return np.asarray((areas >= min_area) & (areas <= max_area))


def _match_greedily(match_input: MatchInput, positives: BoolArray) -> IntArray:
    """Return ``truth_rows`` (T, K) of the matching; ``positives`` (M,) are the objects that count.

    The n-th detections of all images and classes are matched in one round, for n = 0, 1, ...
    """
    pairs = np.flatnonzero(match_input.same_class & (match_input.pair_ious >= IOU_THRESHOLDS[0]))
    detection_rows, truth_rows, ious = (
        match_input.pair_detections[pairs],
        match_input.pair_truths[pairs],
        match_input.pair_ious[pairs],
    )
    rounds = _detection_ranks(match_input, detection_rows)
    # Ascending preference: objects that count after the others, higher IoU after lower, later rows after earlier.
    order = np.lexsort((truth_rows, ious, positives[truth_rows], detection_rows, rounds))
    detection_rows, truth_rows, ious, rounds = detection_rows[order], truth_rows[order], ious[order], rounds[order]
    matched = np.full((len(IOU_THRESHOLDS), len(match_input)), UNMATCHED, np.int64)
    used = np.zeros((len(IOU_THRESHOLDS), len(match_input.truth_ignored)), np.bool_)
    ignored_rows = np.flatnonzero(match_input.truth_ignored)
    starts = np.flatnonzero(np.diff(rounds, prepend=-1, append=-1)).tolist() if len(rounds) else []
    for start, end in pairwise(starts):
        round_slice = slice(start, end)
        _assign_round(
            detection_rows[round_slice],
            truth_rows[round_slice],
            ious[round_slice] >= IOU_THRESHOLDS[:, None],
            matched,
            used,
        )
        used[:, ignored_rows] = False
    return matched


def _assign_round(
    detection_rows: IntArray, truth_rows: IntArray, close: BoolArray, matched: IntArray, used: BoolArray
) -> None:
    """Match each detection of one round with the last of its pairs that is ``close`` (T, P) and free.

    Updates ``matched`` (T, K) and ``used`` (T, M) in place. Pairs are sorted by detection, the preferred one last.
    """
    free = close & ~used[:, truth_rows]
    starts = np.flatnonzero(np.diff(detection_rows, prepend=-1))
    best_pairs = np.maximum.reduceat(np.where(free, np.arange(len(truth_rows)), UNMATCHED), starts, axis=1)
    best_truths = np.where(best_pairs == UNMATCHED, UNMATCHED, truth_rows[best_pairs])
    matched[:, detection_rows[starts]] = best_truths
    threshold_index, position = np.nonzero(best_pairs != UNMATCHED)
    used[threshold_index, best_truths[threshold_index, position]] = True


def _detection_ranks(match_input: MatchInput, detection_rows: IntArray) -> IntArray:
    """Return the rank of each of ``detection_rows`` (P,), which may repeat, within its image and class."""
    rows, inverse = np.unique(detection_rows, return_inverse=True)
    return _rank_within_image_class(match_input.image_ids[rows], match_input.class_ids[rows])[inverse]


def _rank_within_image_class(image_ids: IntArray, class_ids: IntArray) -> IntArray:
    """Return the position (from 0) of each row among the rows of the same image and class, in the given order."""
    order = np.lexsort((image_ids, class_ids))
    is_group_start = (np.diff(image_ids[order], prepend=-1) != 0) | (np.diff(class_ids[order], prepend=-1) != 0)
    group_starts = np.maximum.accumulate(np.where(is_group_start, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - group_starts
    return rank


def _concatenate_detections(
    detections: Sequence[Detections],
) -> tuple[NDArray[np.float64], IntArray, IntArray, NDArray[np.float64]]:
    """Return the boxes (K, 4), image ids, class ids and scores of all ``detections``, image by image."""
    boxes = np.concatenate([np.empty((0, 4)), *(item.boxes for item in detections)])
    image_ids = np.repeat(np.arange(len(detections)), [len(item) for item in detections])
    class_ids = np.concatenate([np.empty(0, np.int64), *(item.class_ids for item in detections)])
    scores = np.concatenate([np.empty(0), *(item.scores for item in detections)])
    return boxes, image_ids.astype(np.int64), class_ids.astype(np.int64), scores.astype(np.float64)


def _find_overlapping_pairs(
    truth: ObjectTable, boxes: NDArray[np.float64], image_ids: IntArray, ignored: BoolArray
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return (detection rows, truth rows, IoUs) of the pairs on one image with an IoU of at least ``BACKGROUND_IOU``.

    ``boxes`` (K, 4) and ``image_ids`` (K,) are the detections', ``ignored`` (M,) marks the ignored objects.
    """
    first_truths, counts = truth.starts[image_ids], np.diff(truth.starts)[image_ids]
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(_CHUNK_SIZE, ends[-1] if len(ends) else 0, _CHUNK_SIZE))
    parts: list[tuple[Any, ...]] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for rows in np.split(np.arange(len(image_ids)), cuts):
        row_counts = counts[rows]
        detection_rows = np.repeat(rows, row_counts)
        offset = np.arange(len(detection_rows)) - np.repeat(np.cumsum(row_counts) - row_counts, row_counts)
        truth_rows = first_truths[detection_rows] + offset
        ious = geometry.compute_paired_iou(boxes[detection_rows], truth.boxes[truth_rows], ignored[truth_rows])
        close = ious >= BACKGROUND_IOU
        parts.append((detection_rows[close], truth_rows[close], ious[close]))
    detection_rows, truth_rows, ious = (np.concatenate(column) for column in zip(*parts, strict=True))
    return detection_rows, truth_rows, ious


def _find_overlapping_masks(
    truth: ObjectTable, masks: StringColumn, image_ids: IntArray, ignored: BoolArray
) -> tuple[IntArray, IntArray, NDArray[np.float64]]:
    """Return what ``_find_overlapping_pairs`` does, by the ``masks`` (K,) of the detections and those of ``truth``."""
    order = np.argsort(image_ids, kind="stable")
    bounds = np.flatnonzero(np.diff(image_ids[order], prepend=-1, append=-1)) if len(order) else np.zeros(1, np.int64)
    parts: list[tuple[Any, ...]] = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for start, end in pairwise(bounds.tolist()):
        rows = np.sort(order[start:end])
        span = truth.slice_of_image(int(image_ids[rows[0]]))
        ious = mask_operations.compute_mask_ious(
            [_parse_mask(masks[row]) for row in rows.tolist()],
            [_parse_mask(truth.masks[row]) for row in range(span.start, span.stop)],
            ignored[span],
        )
        detections, objects = np.nonzero(ious >= BACKGROUND_IOU)
        parts.append((rows[detections], objects + span.start, ious[detections, objects]))
    detection_rows, truth_rows, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    by_detection = np.lexsort((truth_rows, detection_rows))
    return detection_rows[by_detection], truth_rows[by_detection], values[by_detection]


def _compute_mask_areas(masks: StringColumn) -> NDArray[np.float64]:
    """Return the number of pixels of each mask, float64 (K,)."""
    return np.array([rle.compute_area(_parse_mask(text)) for text in masks], np.float64)


def _parse_mask(text: str) -> rle.Counts:
    """Return the counts of a mask; one of no pixels for an empty text."""
    return rle.string_to_counts(text) if text else np.zeros(1, np.int64)
