"""Which of a detector's answers count, and how they become what was found on a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import Detections
from lince.i18n import _
from lince.preprocess import PreprocessSpec, compute_input_matrix
from lince.validation import require_in_range

_BLOCK_SIZE = 256


@dataclass(frozen=True)
class DetectionFilter:
    """Which of a detector's answers count: those of at least ``threshold``, one for each object, ``most`` at most.

    ``threshold`` is one number for every class or a tuple with one for each, in [0, 1]. Of two boxes of one class
    whose intersection over union exceeds ``overlap`` the better one stays.
    """

    score_threshold: float | tuple[float, ...] = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 300

    def __post_init__(self) -> None:
        for value in self.score_threshold if isinstance(self.score_threshold, tuple) else (self.score_threshold,):
            require_in_range(_("threshold"), value, 0.0, 1.0)
        require_in_range(_("overlap"), self.iou_threshold, 0.0, 1.0)

    @property
    def min_score_threshold(self) -> float:
        """The threshold below which no class counts."""
        return min(self.score_threshold) if isinstance(self.score_threshold, tuple) else self.score_threshold

    def get_thresholds(self, class_ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the threshold (K,) for each of ``class_ids`` (K,)."""
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
    """Return what counts of the candidates ``boxes`` (K, 4) in pixels of the input, on a photo of ``size`` (h, w).

    Those under their class's threshold and those that are no numbers go, then the doubled ones. Boxes are cut at the
    photo's edge; those that lie outside of it are left out.
    """
    kept = np.flatnonzero((scores >= detection_filter.get_thresholds(class_ids)) & np.isfinite(boxes).all(axis=1))
    order = kept[np.argsort(-scores[kept], kind="stable")]
    boxes, class_ids, scores = boxes_to_image(boxes[order], size, spec), class_ids[order], scores[order]
    kept = nms(boxes, class_ids, detection_filter.iou_threshold, detection_filter.max_detections)
    boxes = geometry.clip_boxes(boxes[kept], *size)
    shown = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    kept = kept[shown]
    return Detections(boxes[shown], class_ids[kept], scores[kept])


def nms(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], iou_threshold: float, max_detections: int
) -> NDArray[np.int64]:
    """Return the rows of ``boxes`` (K, 4), best first, that stay: ``most`` of them at most.

    The best stays, those of its class that overlap it by more than ``overlap`` go, and so on with the best of the
    rest: exact greedy suppression, class by class.
    """
    kept = np.empty(0, np.int64)
    for start in range(0, len(boxes), _BLOCK_SIZE):  # many at a time, compared in one piece
        if len(kept) >= max_detections:
            break
        rows = np.arange(start, min(start + _BLOCK_SIZE, len(boxes)))
        if len(kept):
            rows = rows[~_duplicate_mask(boxes, class_ids, kept, rows, iou_threshold).any(axis=0)]
        alike = _duplicate_mask(boxes, class_ids, rows, rows, iou_threshold)
        gone = np.zeros(len(rows), np.bool_)
        for at in range(len(rows)):
            if not gone[at]:
                gone[at + 1 :] |= alike[at, at + 1 :]
        kept = np.concatenate([kept, rows[~gone]])
    return kept[:max_detections]


def _duplicate_mask(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    overlap: float,
) -> NDArray[np.bool_]:
    """Tell which boxes of the rows ``one`` and ``other`` share their class and more than ``overlap``: (A, B)."""
    ours, theirs = boxes[one].T[:, :, None], boxes[other].T[:, None]
    across = np.maximum(np.minimum(ours[2], theirs[2]) - np.maximum(ours[0], theirs[0]), 0.0)
    down = np.maximum(np.minimum(ours[3], theirs[3]) - np.maximum(ours[1], theirs[1]), 0.0)
    shared = across * down
    areas = geometry.compute_box_areas(boxes[one])[:, None] + geometry.compute_box_areas(boxes[other])
    return np.asarray((shared > overlap * (areas - shared)) & (class_ids[one][:, None] == class_ids[other]))


def boxes_to_image(boxes: NDArray[np.float64], size: tuple[int, int], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return ``boxes`` (K, 4) in pixels of the photo of ``size`` (height, width), given them in pixels of the input."""
    back = np.asarray(np.linalg.inv(compute_input_matrix(*size, spec)), np.float64)
    return geometry.transform_boxes(boxes, back)


def boxes_to_input(boxes: NDArray[np.float64], size: tuple[int, int], spec: PreprocessSpec) -> NDArray[np.float64]:
    """Return ``boxes`` (K, 4) in pixels of the input, given them in pixels of the photo of ``size`` (height, width)."""
    return geometry.transform_boxes(boxes, compute_input_matrix(*size, spec))
