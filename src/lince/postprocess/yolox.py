"""What the numbers of YOLOX mean (Ge et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess.nms import DEFAULT_FILTER, DetectionFilter, boxes_to_input, filter_and_rescale
from lince.preprocess import PreprocessSpec

STRIDES = (8, 16, 32)  # pixels between the places of the three maps
MAX_LOG_SIDE = 20.0  # e to this power times a stride is wider than any photo, and no overflow


@dataclass(frozen=True)
class Grid:
    """Where YOLOX looks on an input: the ``cells`` (A, 2), column and row on their map, and its ``strides`` (A,)."""

    cells: NDArray[np.float64]
    strides: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.strides)


@lru_cache(maxsize=32)
def make_grid(height: int, width: int) -> Grid:
    """Return the places of an input of (height, width): finest map first, row by row; not to be written to."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64))
        strides.append(np.full(rows.size, float(stride)))
    found = Grid(np.concatenate(cells), np.concatenate(strides))
    found.cells.flags.writeable = found.strides.flags.writeable = False
    return found


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return what YOLOX found on one photo of ``size`` (height, width) that it read as ``spec`` says.

    ``outputs`` is ``raw`` (A, 5 + C) alone: for each of ``places`` the centre's way from the place and the logarithm
    of the sides, in strides; the probability that an object is there; the probability of each class if so (Ge et al.
    2021). Only the best class of a place counts, with the product as its score.
    """
    (raw,) = outputs
    where = make_grid(spec.height, spec.width)
    if raw.ndim != 2 or len(raw) != len(where) or raw.shape[1] < 6:
        raise ValueError(f"an input of {spec.height} x {spec.width} has {len(where)} answers, not {raw.shape}")
    # No class can lift a score above that of the object, so most places are done with here.
    rows = np.flatnonzero(raw[:, 4] >= detection_filter.min_score_threshold)
    class_ids = raw[rows, 5:].argmax(axis=1).astype(np.int32)
    scores = np.asarray(raw[rows, 4] * raw[rows, 5 + class_ids], np.float32)
    good = np.isfinite(raw[rows, :4]).all(axis=1) & (scores >= detection_filter.min_score_threshold)
    rows, class_ids, scores = rows[good], class_ids[good], scores[good]
    return filter_and_rescale(
        _decode_boxes(raw[rows, :4], where, rows), class_ids, scores, size, spec, detection_filter
    )


def encode(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], size: tuple[int, int], spec: PreprocessSpec, classes: int
) -> tuple[NDArray[np.float32]]:
    """Return the outputs, ``raw`` (A, 5 + C), that ``read`` turns back into these boxes (K, 4) of a photo of ``size``.

    Every box stands at a place of its own: the nearest free one of the map whose stride suits its sides best.
    """
    where = make_grid(spec.height, spec.width)
    if len(boxes) > len(where):
        raise ValueError(f"{len(boxes)} boxes do not fit into {len(where)} places")
    raw = np.zeros((len(where), 5 + classes), np.float32)
    inside = boxes_to_input(boxes, size, spec)
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
    return (raw,)


def _decode_boxes(answers: NDArray[Any], where: Grid, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return boxes (K, 4) in pixels of the input from ``answers`` (K, 4) of the places ``rows`` (K,)."""
    strides = where.strides[rows, None]
    centres = (answers[:, :2] + where.cells[rows]) * strides
    halves = np.exp(np.minimum(answers[:, 2:].astype(np.float64), MAX_LOG_SIDE)) * strides / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)
