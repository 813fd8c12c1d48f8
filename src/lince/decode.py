"""From a model's output arrays to what they mean: written once, for training, evaluation, prediction and export."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import geometry
from lince.annotations import Detections
from lince.choices import within
from lince.messages import _
from lince.preprocess import Preprocess, matrix

STRIDES = (8, 16, 32)  # pixels between the places of the three maps of YOLOX
_LARGEST = 20.0  # e to this power times a stride is wider than any photo, and no overflow


def probabilities(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the softmax of ``logits`` (N, C) along the classes: float32, each row sums to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Keeping:
    """Which of a detector's answers count: those of at least ``threshold``, one for each object, ``most`` at most.

    ``threshold`` is one number for every class or a tuple with one for each, in [0, 1]. Of two boxes of one class
    whose intersection over union exceeds ``overlap`` the better one stays.
    """

    threshold: float | tuple[float, ...] = 0.25
    overlap: float = 0.45
    most: int = 300

    def __post_init__(self) -> None:
        for value in self.threshold if isinstance(self.threshold, tuple) else (self.threshold,):
            within(_("threshold"), value, 0.0, 1.0)
        within(_("overlap"), self.overlap, 0.0, 1.0)

    @property
    def lowest(self) -> float:
        """The threshold below which no class counts."""
        return min(self.threshold) if isinstance(self.threshold, tuple) else self.threshold

    def of(self, class_ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the threshold (K,) for each of ``class_ids`` (K,)."""
        if isinstance(self.threshold, tuple):
            return np.asarray(self.threshold, np.float32)[class_ids]
        return np.full(len(class_ids), self.threshold, np.float32)


DEFAULT = Keeping()


@dataclass(frozen=True)
class Places:
    """Where YOLOX looks on an input: the ``cells`` (A, 2), column and row on their map, and its ``strides`` (A,)."""

    cells: NDArray[np.float64]
    strides: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.strides)


@lru_cache(maxsize=32)
def places(height: int, width: int) -> Places:
    """Return the places of an input of (height, width): finest map first, row by row; not to be written to."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64))
        strides.append(np.full(rows.size, float(stride)))
    found = Places(np.concatenate(cells), np.concatenate(strides))
    found.cells.flags.writeable = found.strides.flags.writeable = False
    return found


def detections(raw: NDArray[Any], size: tuple[int, int], spec: Preprocess, keeping: Keeping = DEFAULT) -> Detections:
    """Return what YOLOX found on one photo of ``size`` (height, width) that it read as ``spec`` says.

    ``raw`` (A, 5 + C) holds for each of ``places``: the centre's way from the place and the logarithm of the sides, in
    strides; the probability that an object is there; the probability of each class if so (Ge et al. 2021). Only the
    best class of a place counts, with the product as its score. Boxes are cut at the photo's edge; those that lie
    outside, and answers that are no numbers, are left out.
    """
    where = places(spec.height, spec.width)
    if raw.ndim != 2 or len(raw) != len(where) or raw.shape[1] < 6:
        raise ValueError(f"an input of {spec.height} x {spec.width} has {len(where)} answers, not {raw.shape}")
    rows, class_ids, scores = _candidates(raw, keeping)
    order = np.argsort(-scores, kind="stable")
    rows, class_ids, scores = rows[order], class_ids[order], scores[order]
    boxes = _in_photo(_boxes(raw[rows, :4], where, rows), size, spec)
    kept = suppress(boxes, class_ids, keeping.overlap, keeping.most)
    boxes = geometry.clip(boxes[kept], *size)
    shown = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    kept = kept[shown]
    return Detections(boxes[shown], class_ids[kept], scores[kept])


def suppress(boxes: NDArray[np.float64], class_ids: NDArray[np.int32], overlap: float, most: int) -> NDArray[np.int64]:
    """Return the rows of ``boxes`` (K, 4), best first, that stay: ``most`` of them at most.

    The best stays, those of its class that overlap it by more than ``overlap`` go, and so on with the best of the
    rest: exact greedy suppression, class by class.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    columns = np.ascontiguousarray(boxes.T)
    areas = np.prod(np.maximum(columns[2:] - columns[:2], 0.0), axis=0)
    while len(left) and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(columns[:2, left], columns[:2, best, None])
        high = np.minimum(columns[2:, left], columns[2:, best, None])
        sides = np.maximum(high - low, 0.0)
        shared = sides[0] * sides[1]
        united = areas[left] + areas[best] - shared
        left = left[(shared <= overlap * united) | (class_ids[left] != class_ids[best])]
    return np.asarray(kept, np.int64)


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: Preprocess, classes: int
) -> NDArray[np.float32]:
    """Return the ``raw`` (A, 5 + C) that ``detections`` turns back into these boxes (K, 4) of a photo of ``size``.

    Every box stands at a place of its own: the nearest free one of the map whose stride suits its sides best.
    """
    where = places(spec.height, spec.width)
    if len(boxes) > len(where):
        raise ValueError(f"{len(boxes)} boxes do not fit into {len(where)} places")
    raw = np.zeros((len(where), 5 + classes), np.float32)
    inside = geometry.transform_boxes(boxes, matrix(*size, spec))
    free = np.ones(len(where), np.bool_)
    for box, class_id in zip(inside, class_ids, strict=True):
        centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        way = np.abs((where.cells + 0.5) * where.strides[:, None] - centre).sum(axis=1) / where.strides
        fit = np.abs(np.log2(np.sqrt(max(sides.prod(), 1.0)) / (4 * where.strides)))
        place = int(np.argmin(np.where(free, way + fit, np.inf)))
        free[place] = False
        raw[place, :2] = centre / where.strides[place] - where.cells[place]
        raw[place, 2:4] = np.log(sides / where.strides[place])
        raw[place, [4, 5 + class_id]] = 1.0
    return raw


def _candidates(
    raw: NDArray[Any], keeping: Keeping
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return the rows of ``raw`` that may count, the best class of each, and its score."""
    # No class can lift a score above that of the object, so most places are done with here.
    rows = np.flatnonzero(raw[:, 4] >= keeping.lowest)
    class_ids = raw[rows, 5:].argmax(axis=1).astype(np.int32)
    scores = np.asarray(raw[rows, 4] * raw[rows, 5 + class_ids], np.float32)
    kept = (scores >= keeping.of(class_ids)) & np.isfinite(raw[rows, :4]).all(axis=1)
    return rows[kept], class_ids[kept], scores[kept]


def _boxes(answers: NDArray[Any], where: Places, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return boxes (K, 4) in pixels of the input from ``answers`` (K, 4) of the places ``rows`` (K,)."""
    strides = where.strides[rows, None]
    centres = (answers[:, :2] + where.cells[rows]) * strides
    halves = np.exp(np.minimum(answers[:, 2:].astype(np.float64), _LARGEST)) * strides / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _in_photo(boxes: NDArray[np.float64], size: tuple[int, int], spec: Preprocess) -> NDArray[np.float64]:
    back = np.asarray(np.linalg.inv(matrix(*size, spec)), np.float64)
    return geometry.transform_boxes(boxes, back)
