"""Filters a detector's candidate boxes by score and by non-maximum suppression (NMS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import Detections
from lince.i18n import _
from lince.preprocess import PreprocessSpec, compute_input_matrix
from lince.validation import require_in_range

_BLOCK_SIZE = 256  # candidates compared at a time


@dataclass(frozen=True)
class DetectionFilter:
    """Which candidate boxes of a detector become detections.

    ``score_threshold`` is the lowest score in 0..1, one number for all classes or a tuple with one for each. Of two
    boxes of one class with an intersection over union (IoU) above ``iou_threshold``, in 0..1, only the one with the
    higher score is kept. At most ``max_detections`` are kept, the best ones. Raises ``UsageError`` for a value out of
    range.
    """

    score_threshold: float | tuple[float, ...] = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 300

    def __post_init__(self) -> None:
        for value in self.score_threshold if isinstance(self.score_threshold, tuple) else (self.score_threshold,):
            require_in_range(_("threshold"), value, 0.0, 1.0)
        require_in_range(_("overlap (IoU)"), self.iou_threshold, 0.0, 1.0)

    @property
    def min_score_threshold(self) -> float:
        """The lowest threshold of all classes."""
        return min(self.score_threshold) if isinstance(self.score_threshold, tuple) else self.score_threshold

    def get_thresholds(self, class_ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the score threshold of each of ``class_ids`` (K,), float32 (K,)."""
        if isinstance(self.score_threshold, tuple):
            return np.asarray(self.score_threshold, np.float32)[class_ids]
        return np.full(len(class_ids), self.score_threshold, np.float32)


DEFAULT_FILTER = DetectionFilter()


def filter_and_rescale(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    scores: NDArray[np.float32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections among the candidates of one image of ``size`` (height, width).

    ``boxes`` (K, 4) are in pixels of the input of ``spec``, in any order; ``class_ids`` and ``scores`` are (K,).
    Candidates below their class's score threshold or with a coordinate that is not finite are dropped, then those that
    non-maximum suppression removes. The boxes are transformed to the image and clipped to it; those outside are
    dropped.
    """
    kept, visible = keep_candidates(boxes, class_ids, scores, size, spec, detection_filter)
    return Detections(visible, class_ids[kept], scores[kept])


def keep_candidates(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    scores: NDArray[np.float32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows of the candidates that ``filter_and_rescale`` keeps, best first, and their boxes in the image."""
    rows = np.flatnonzero((scores >= detection_filter.get_thresholds(class_ids)) & np.isfinite(boxes).all(axis=1))
    order = rows[np.argsort(-scores[rows], kind="stable")]
    boxes = boxes_to_image(boxes[order], size, spec)
    kept = nms(boxes, class_ids[order], detection_filter.iou_threshold, detection_filter.max_detections)
    boxes = geometry.clip_boxes(boxes[kept], *size)
    visible = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return order[kept[visible]], boxes[visible]


def nms(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], iou_threshold: float, max_detections: int
) -> NDArray[np.int64]:
    """Return the rows of ``boxes`` (K, 4) that non-maximum suppression keeps, at most ``max_detections``, ascending.

    ``boxes`` and ``class_ids`` (K,) must be in descending order of score. This is exact greedy suppression within each
    class: the best box is kept, all others of its class with an IoU above ``iou_threshold`` are dropped, and so on with
    the best of the rest.

    Candidates are compared in blocks: first with the boxes kept so far, then among themselves. The work stops as soon
    as enough are kept, and memory does not grow with K squared.
    """
    kept = np.empty(0, np.int64)
    for start in range(0, len(boxes), _BLOCK_SIZE):
        if len(kept) >= max_detections:
            break
        rows = np.arange(start, min(start + _BLOCK_SIZE, len(boxes)))
        if len(kept):
            rows = rows[~_duplicate_mask(boxes, class_ids, kept, rows, iou_threshold).any(axis=0)]
        duplicates = _duplicate_mask(boxes, class_ids, rows, rows, iou_threshold)
        suppressed = np.zeros(len(rows), np.bool_)
        for row in range(len(rows)):
            if not suppressed[row]:
                suppressed[row + 1 :] |= duplicates[row, row + 1 :]
        kept = np.concatenate([kept, rows[~suppressed]])
    return kept[:max_detections]


def _duplicate_mask(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    rows: NDArray[np.int64],
    other_rows: NDArray[np.int64],
    iou_threshold: float,
) -> NDArray[np.bool_]:
    """Return which boxes of ``rows`` (A,) and ``other_rows`` (B,) have one class and a high IoU: (A, B).

    The comparison multiplies instead of dividing, so it needs no case for an empty union.
    """
    intersections = geometry.compute_intersections(boxes[rows], boxes[other_rows])
    areas = geometry.compute_box_areas(boxes[rows])[:, None] + geometry.compute_box_areas(boxes[other_rows])
    overlapping = intersections > iou_threshold * (areas - intersections)
    return np.asarray(overlapping & (class_ids[rows][:, None] == class_ids[other_rows]))


def boxes_to_image(boxes: NDArray[np.float64], size: tuple[int, int], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return ``boxes`` (K, 4) in pixels of the image of ``size`` (height, width), given in pixels of its input."""
    to_image = np.asarray(np.linalg.inv(compute_input_matrix(*size, spec)), np.float64)
    return geometry.transform_boxes(boxes, to_image)


def boxes_to_input(boxes: NDArray[np.float64], size: tuple[int, int], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return ``boxes`` (K, 4) in pixels of the input, given in pixels of the image of ``size`` (height, width)."""
    return geometry.transform_boxes(boxes, compute_input_matrix(*size, spec))
