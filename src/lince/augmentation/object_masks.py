"""Masks of objects that follow their image through augmentation: warped once, when they are drawn for the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import geometry, mask_operations, rle
from lince.augmentation.warp import warp_image

Matrix = NDArray[np.float64]
_MARGIN = 8  # pixels
_MIN_REDUCTION = 0.75  # of a mask's pixels beside those of its image, above which it is not reduced


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """The mask of one object of an image, as a crop of the image it was read from.

    ``pixels`` uint8 (h, w) are 255 on the object, 0 beside it. ``matrix`` (3, 3) maps pixel-edge coordinates of the
    crop to those of the image as it is now. Nothing shows outside ``frame`` (4,), the tile of a mosaic, in pixels of
    the image as it is now; ``None`` is the whole image.
    """

    pixels: NDArray[np.uint8]
    matrix: Matrix
    frame: NDArray[np.float64] | None = None

    @classmethod
    def from_counts(cls, counts: rle.Counts, size: tuple[int, int], scale: NDArray[np.float64]) -> ObjectMask:
        """Return the mask with the run lengths ``counts`` on a photo of ``size`` (height, width).

        ``scale`` (2,) are pixels of the image per pixel of the photo, x and y, at most 1; the crop is reduced as far.
        """
        height = size[0]
        left, top, right, bottom = (int(side) for side in rle.compute_bounding_box(counts, height))
        crop = 255 * mask_operations.decode_crop(counts, height, (left, top, right, bottom)).astype(np.uint8)
        matrix = np.diag([*scale, 1.0]) @ _translation(left, top)
        if crop.size and scale.max() < _MIN_REDUCTION:
            width, height = (max(1, round(side)) for side in (scale * crop.shape[1::-1]).tolist())
            reduced = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            matrix = matrix @ np.diag([crop.shape[1] / width, crop.shape[0] / height, 1.0])
            crop = reduced
        return cls(*_add_margin(crop, matrix))

    @classmethod
    def from_rings(cls, rings: Sequence[NDArray[Any]], size: tuple[int, int], scale: NDArray[np.float64]) -> ObjectMask:
        """Return the mask of the polygon ``rings``, each (K, 2), on a photo of ``size``; ``scale`` as above."""
        scaled = [np.asarray(ring, np.float64) * scale for ring in rings]
        points = np.concatenate(scaled)
        limits = np.ceil(np.array(size[::-1]) * scale)
        low, high = np.clip(np.floor(points.min(axis=0)), 0, limits), np.clip(np.ceil(points.max(axis=0)), 0, limits)
        width, height = (int(side) for side in (high - low).tolist())
        counts = rle.polygons_to_counts([ring - low for ring in scaled], height, width)
        crop = 255 * rle.counts_to_mask(counts, height, width).astype(np.uint8)
        return cls(*_add_margin(crop, _translation(*low.tolist())))

    def move(self, matrix: Matrix, frame: NDArray[np.float64] | None = None) -> ObjectMask:
        """Return the mask after the image was warped by ``matrix`` (3, 3), and cut at ``frame`` (4,) where given."""
        own = self.frame if self.frame is None else geometry.transform_boxes(self.frame[None], matrix)[0]
        return ObjectMask(self.pixels, matrix @ self.matrix, own if frame is None else frame)

    def draw(self, size: tuple[int, int], stride: int = 1) -> NDArray[np.uint8]:
        """Return how much of each cell of ``stride`` pixels the object covers, 0 to 255, on an image of ``size``.

        The result is uint8 (height / stride, width / stride).
        """
        cells = (size[0] // stride, size[1] // stride)
        if not self.pixels.size:
            return np.zeros(cells, np.uint8)
        drawn = warp_image(self.pixels, np.diag([1 / stride, 1 / stride, 1.0]) @ self.matrix, cells, "constant")
        if self.frame is not None:
            left, top, right, bottom = np.clip(np.rint(self.frame / stride), 0, [*cells[::-1], *cells[::-1]]).astype(
                int
            )
            inside = np.zeros(cells, np.bool_)
            inside[top:bottom, left:right] = True
            drawn = np.where(inside, drawn, np.uint8(0))
        return drawn


Masks = tuple[ObjectMask | None, ...]


def move_masks(
    masks: Masks, kept: NDArray[np.bool_], matrix: Matrix, frame: NDArray[np.float64] | None = None
) -> Masks:
    """Return the ``masks`` of the objects that are ``kept`` (K,), moved by ``matrix``; nothing where there are none."""
    return tuple(
        None if mask is None else mask.move(matrix, frame)
        for mask, is_kept in zip(masks, kept.tolist() if masks else (), strict=True)
        if is_kept
    )


def draw_masks(masks: Masks, size: tuple[int, int], stride: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return what each of ``masks`` (K) covers, as ``ObjectMask.draw`` does, uint8 (K, h, w), and which exist (K,)."""
    drawn = np.zeros((len(masks), size[0] // stride, size[1] // stride), np.uint8)
    for row, mask in enumerate(masks):
        if mask is not None:
            drawn[row] = mask.draw(size, stride)
    return drawn, np.array([mask is not None for mask in masks], np.bool_)


def _add_margin(crop: NDArray[np.uint8], matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """Return ``crop`` with empty pixels around it, of which a warp that shrinks may lose some, and its matrix."""
    return np.pad(crop, _MARGIN), matrix @ _translation(-_MARGIN, -_MARGIN)


def _translation(x: float, y: float) -> Matrix:
    """Return the matrix (3, 3) that moves by (``x``, ``y``) pixels."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
