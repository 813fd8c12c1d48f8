"""Masks of objects from prototypes and coefficients (YOLACT: Bolya et al. 2019).

A network gives D prototypes, maps of its whole input, and D coefficients with each box. The mask of an object is the
sigmoid of the sum of the prototypes by its coefficients, resized to the photo, where it is above one half, cut at the
box.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import mask_operations, rle
from lince.annotations import StringColumn
from lince.postprocess.sigmoid import sigmoid
from lince.preprocess import PreprocessSpec, compute_input_matrix

STRIDE = 4  # pixels of the input to a cell of the prototypes
COUNT = 32  # prototypes of the networks of lince
MASK_THRESHOLD = 0.5
_MAX_STRIP_PIXELS = 1 << 22  # of a mask that is enlarged at a time, which bounds the memory for large photos
_CERTAIN = 20.0  # a logit whose sigmoid is 1 in single precision

FloatArray = NDArray[np.float32]


def draw_masks(
    prototypes: NDArray[Any],
    coefficients: NDArray[Any],
    boxes: NDArray[np.float64],
    size: tuple[int, int],
    spec: PreprocessSpec,
) -> StringColumn:
    """Return the masks of K objects of an image of ``size`` (height, width) that was preprocessed by ``spec``.

    ``prototypes`` are (D, h, w), evenly over the input; ``coefficients`` (K, D); ``boxes`` (K, 4) are in pixels of the
    image, inside it. The masks are compressed RLE of the whole image. Memory grows with one mask, not with K of them.
    Raises ``ValueError`` for arrays of other shapes.
    """
    if prototypes.ndim != 3 or coefficients.shape != (len(boxes), len(prototypes)):
        raise ValueError(f"prototypes (D, h, w) and coefficients (K, D) are {prototypes.shape}, {coefficients.shape}")
    columns, rows = _Axis.of_width(size, spec, prototypes), _Axis.of_height(size, spec, prototypes)
    masks = []
    for box, weights in zip(boxes, np.asarray(coefficients, np.float32), strict=True):
        left, top, right, bottom = _find_pixels(box, size)
        crop = _draw_mask(prototypes, weights, columns.take(left, right), rows.take(top, bottom))
        masks.append(rle.counts_to_string(mask_operations.encode_crop(crop, left, top, size)))
    return StringColumn.from_strings(masks)


def encode_full_masks(count: int, cells: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return coefficients (K, D) and prototypes (D, h, w) from which the masks of ``count`` objects fill their boxes.

    ``cells`` is (h, w). For encoders of outputs, which are for tests and exports without a network.
    """
    coefficients = np.zeros((count, COUNT), np.float32)
    coefficients[:, 0] = 1.0
    prototypes = np.zeros((COUNT, *cells), np.float32)
    prototypes[0] = _CERTAIN
    return coefficients, prototypes


class _Axis:
    """Where the pixels of a photo lie along one axis of the prototypes, in cells; 0 is the centre of the first cell."""

    def __init__(self, places: NDArray[np.float64], cells: int) -> None:
        self.places = np.clip(places, 0.0, cells - 1.0)

    @classmethod
    def of_width(cls, size: tuple[int, int], spec: PreprocessSpec, prototypes: NDArray[Any]) -> _Axis:
        """Return the axis along the columns."""
        matrix, cells = compute_input_matrix(*size, spec), prototypes.shape[2]
        return cls((matrix[0, 0] * (np.arange(size[1]) + 0.5) + matrix[0, 2]) * cells / spec.width - 0.5, cells)

    @classmethod
    def of_height(cls, size: tuple[int, int], spec: PreprocessSpec, prototypes: NDArray[Any]) -> _Axis:
        """Return the axis along the rows."""
        matrix, cells = compute_input_matrix(*size, spec), prototypes.shape[1]
        return cls((matrix[1, 1] * (np.arange(size[0]) + 0.5) + matrix[1, 2]) * cells / spec.height - 0.5, cells)

    def take(self, start: int, end: int) -> NDArray[np.float64]:
        """Return the places of the pixels from ``start`` to ``end``."""
        return self.places[start:end]


def _find_pixels(box: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels whose centres are inside ``box`` (4,)."""
    sides = np.clip(np.ceil(box - 0.5), 0, [size[1], size[0]] * 2).astype(int)
    left, top, right, bottom = sides.tolist()
    return left, top, right, bottom


def _draw_mask(
    prototypes: NDArray[Any], weights: FloatArray, columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the mask, bool (R, C), at the pixels of the places ``columns`` (C,) and ``rows`` (R,) in cells."""
    mask = np.zeros((len(rows), len(columns)), np.bool_)
    if not mask.size:
        return mask
    left, top = int(columns[0]), int(rows[0])
    right, bottom = int(columns[-1]) + 2, int(rows[-1]) + 2
    part = np.asarray(prototypes[:, top:bottom, left:right], np.float32)
    cells = sigmoid(np.tensordot(weights, part, axes=1))
    across = _interpolation_weights(rows - top, cells.shape[0]) @ cells
    step = max(1, _MAX_STRIP_PIXELS // len(rows))
    for start in range(0, len(columns), step):
        strip = slice(start, start + step)
        mask[:, strip] = across @ _interpolation_weights(columns[strip] - left, cells.shape[1]).T > MASK_THRESHOLD
    return mask


def _interpolation_weights(places: NDArray[np.float64], cells: int) -> FloatArray:
    """Return the weights (P, cells) by which values of ``cells`` cells are interpolated linearly at ``places`` (P,)."""
    distances = np.abs(places[:, None] - np.arange(cells))
    return np.maximum(0.0, 1.0 - distances).astype(np.float32)
