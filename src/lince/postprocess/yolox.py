"""Decodes the outputs of YOLOX (Ge et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.postprocess import prototypes
from lince.postprocess.nms import (
    DEFAULT_FILTER,
    DetectionFilter,
    boxes_to_input,
    filter_and_rescale,
    keep_candidates,
)
from lince.preprocess import PreprocessSpec

STRIDES = (8, 16, 32)  # pixels between the cells of the three feature maps
MAX_LOG_SIDE = 20.0  # exp of it, times a stride, is wider than any image, and does not overflow


@dataclass(frozen=True)
class YoloxGrid:
    """The A cells of all feature maps of one input size.

    ``cells`` (A, 2) are column and row within the cell's map, ``strides`` (A,) its size in input pixels. The finest map
    comes first, row by row.
    """

    cells: NDArray[np.float64]
    strides: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.strides)


@lru_cache(maxsize=32)
def make_grid(height: int, width: int) -> YoloxGrid:
    """Return the grid of an input of (height, width) pixels; its arrays are cached and read-only."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64))
        strides.append(np.full(rows.size, float(stride)))
    grid = YoloxGrid(np.concatenate(cells), np.concatenate(strides))
    grid.cells.flags.writeable = grid.strides.flags.writeable = False
    return grid


def decode(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of one image of ``size`` (height, width) that was preprocessed by ``spec``.

    ``outputs`` is one array ``raw`` (A, 5 + C) with a row for each cell of ``make_grid``: the box's centre relative to
    the cell and the logarithms of its sides, both in strides; the probability of an object; and the probability of each
    class given an object. Only the best class of a cell is a candidate; its score is the product of the two
    probabilities. Raises ``ValueError`` for an output of another shape.
    """
    (raw,) = outputs
    boxes, class_ids, scores, _rows = _find_candidates(raw, spec, detection_filter)
    return filter_and_rescale(boxes, class_ids, scores, size, spec, detection_filter)


def decode_with_masks(
    outputs: Sequence[NDArray[Any]],
    size: tuple[int, int],
    spec: PreprocessSpec,
    detection_filter: DetectionFilter = DEFAULT_FILTER,
) -> Detections:
    """Return the detections of ``decode`` with their masks.

    ``outputs`` are ``raw`` as there, ``coefficients`` (A, D) of each cell, and ``prototypes`` (D, h, w).
    """
    raw, coefficients, maps = outputs
    boxes, class_ids, scores, rows = _find_candidates(raw, spec, detection_filter)
    kept, visible = keep_candidates(boxes, class_ids, scores, size, spec, detection_filter)
    masks = prototypes.draw_masks(maps, coefficients[rows[kept]], visible, size, spec)
    return Detections(visible, class_ids[kept], scores[kept], masks)


def _find_candidates(
    raw: NDArray[Any], spec: PreprocessSpec, detection_filter: DetectionFilter
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes (K, 4) in input pixels, class ids, scores and cells, (K,) each, of the output ``raw``."""
    grid = make_grid(spec.height, spec.width)
    if raw.ndim != 2 or len(raw) != len(grid) or raw.shape[1] < 6:
        raise ValueError(f"the output for {spec.height} x {spec.width} must be ({len(grid)}, 5 + C), not {raw.shape}")
    # A score is at most the probability of an object, so most cells are dropped here.
    rows = np.flatnonzero(raw[:, 4] >= detection_filter.min_score_threshold)
    class_ids = raw[rows, 5:].argmax(axis=1).astype(np.int32)
    scores = np.asarray(raw[rows, 4] * raw[rows, 5 + class_ids], np.float32)
    valid = np.isfinite(raw[rows, :4]).all(axis=1) & (scores >= detection_filter.min_score_threshold)
    rows, class_ids, scores = rows[valid], class_ids[valid], scores[valid]
    return _decode_boxes(raw[rows, :4], grid, rows), class_ids, scores, rows


def encode(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32]]:
    """Return the output ``raw`` (A, 5 + C) from which ``decode`` finds ``boxes`` (K, 4) of an image of ``size`` again.

    Each box gets a cell of its own: the nearest free one, preferring the map whose stride suits its size. Raises
    ``ValueError`` for more boxes than cells.
    """
    grid = make_grid(spec.height, spec.width)
    if len(boxes) > len(grid):
        raise ValueError(f"{len(boxes)} boxes do not fit into {len(grid)} places")
    raw = np.zeros((len(grid), 5 + num_classes), np.float32)
    scaled = boxes_to_input(boxes, size, spec)
    is_free = np.ones(len(grid), np.bool_)
    for box, class_id in zip(scaled, class_ids, strict=True):
        centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        distance = np.abs((grid.cells + 0.5) * grid.strides[:, None] - centre).sum(axis=1) / grid.strides
        size_mismatch = np.abs(np.log2(np.sqrt(max(sides.prod(), 1.0)) / (4 * grid.strides)))
        cell = int(np.argmin(np.where(is_free, distance + size_mismatch, np.inf)))
        is_free[cell] = False
        raw[cell, :2] = centre / grid.strides[cell] - grid.cells[cell]
        raw[cell, 2:4] = np.log(sides / grid.strides[cell])
        raw[cell, [4, 5 + class_id]] = 1.0
    return (raw,)


def encode_with_masks(
    boxes: NDArray[np.float64],
    class_ids: NDArray[np.int32],
    size: tuple[int, int],
    spec: PreprocessSpec,
    num_classes: int,
) -> tuple[NDArray[np.float32], ...]:
    """Return the outputs from which ``decode_with_masks`` finds ``boxes`` (K, 4) again, with masks that fill them."""
    (raw,) = encode(boxes, class_ids, size, spec, num_classes)
    cells = (spec.height // prototypes.STRIDE, spec.width // prototypes.STRIDE)
    return raw, *prototypes.encode_full_masks(len(raw), cells)


def _decode_boxes(raw: NDArray[Any], grid: YoloxGrid, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return boxes (K, 4) in input pixels from ``raw`` (K, 4), the box outputs of the cells ``rows`` (K,)."""
    strides = grid.strides[rows, None]
    centres = (raw[:, :2] + grid.cells[rows]) * strides
    halves = np.exp(np.minimum(raw[:, 2:].astype(np.float64), MAX_LOG_SIDE)) * strides / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)
