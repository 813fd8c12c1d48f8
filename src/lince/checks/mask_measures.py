"""Measures the masks and outlines of a dataset once, for the checks and the statistics."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lince import rle
from lince.annotations import ObjectTable
from lince.datasets import Dataset
from lince.errors import DataError
from lince.i18n import _
from lince.progress import SILENT, Progress

PINHOLE_PIXELS = 16  # of a hole up to which it is a pinhole
UNKNOWN = -1  # of objects with a box alone, and on images whose size is not known


@dataclass(frozen=True, eq=False)
class ClaimedPixels:
    """Two objects of different classes on one image that claim ``pixels`` pixels both; ``share`` is of the smaller."""

    row: int
    objects: tuple[int, int]
    pixels: int
    share: float


@dataclass(frozen=True, eq=False)
class MaskMeasures:
    """Measures of M objects and N images; ``UNKNOWN`` where there is nothing to measure.

    Attributes:
        areas: int64 (M,), pixels of the mask or outline.
        boxes: float64 (M, 4), the box around it, left, top, right, bottom in pixels; zeros where there is none.
        pinholes: int64 (M,), holes of up to ``PINHOLE_PIXELS`` pixels that no other object of the image fills.
        void_areas: int64 (N,), void pixels.
        claims: pixels that two objects of different classes claim.
    """

    areas: NDArray[np.int64]
    boxes: NDArray[np.float64]
    pinholes: NDArray[np.int64]
    void_areas: NDArray[np.int64]
    claims: tuple[ClaimedPixels, ...]

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which objects were measured, bool (M,)."""
        return np.asarray(self.areas >= 0)


@dataclass(frozen=True, eq=False)
class _Shape:
    """The mask of an object, bool (h, w), cut at its box (left, top, right, bottom) in whole pixels."""

    index: int
    class_id: int
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def measure_masks(dataset: Dataset, sizes: NDArray[np.int32], progress: Progress = SILENT) -> MaskMeasures:
    """Return the measures of the masks and outlines of ``dataset``, image by image.

    ``sizes`` int32 (N, 2) are the heights and widths of the upright images, 0 where they are not known.
    """
    objects = dataset.objects or ObjectTable.empty(len(dataset))
    areas, pinholes = np.full(len(objects), UNKNOWN, np.int64), np.full(len(objects), UNKNOWN, np.int64)
    boxes, voids = np.zeros((len(objects), 4)), np.zeros(len(dataset), np.int64)
    claims: list[ClaimedPixels] = []
    has_shape = objects.has_mask | objects.has_polygons
    has_any = np.zeros(len(dataset), np.bool_)
    has_any[objects.image_ids[has_shape]] = True
    if dataset.void_masks is not None:
        has_any |= np.array([bool(text) for text in dataset.void_masks], np.bool_)
    rows = np.flatnonzero(has_any & (sizes > 0).all(axis=1)).tolist()
    with progress.open_stage(_("Measuring masks"), len(rows)) as stage:
        for row in rows:
            size = (int(sizes[row, 0]), int(sizes[row, 1]))
            shapes = _read_shapes(objects, row, size)
            for shape in shapes:
                areas[shape.index], boxes[shape.index] = shape.mask.sum(), shape.box
                pinholes[shape.index] = _count_pinholes(shape, shapes)
            claims += _find_claims(row, shapes)
            if dataset.void_masks is not None and dataset.void_masks[row]:
                voids[row] = rle.compute_area(rle.string_to_counts(dataset.void_masks[row]))
            stage.advance()
    return MaskMeasures(areas, boxes, pinholes, voids, tuple(claims))


def _read_shapes(objects: ObjectTable, row: int, size: tuple[int, int]) -> list[_Shape]:
    """Return the shapes of the objects of image ``row``; one that does not fit its ``size`` is left out."""
    span = objects.slice_of_image(row)
    shapes = []
    for index in range(span.start, span.stop):
        text, rings = objects.masks[index], objects.get_polygons(index)
        if not text and not rings:
            continue
        try:
            counts = rle.string_to_counts(text) if text else rle.polygons_to_counts(rings, *size)
            counts = rle.require_valid_counts(counts, *size)
        except DataError:
            continue
        left, top, right, bottom = map(int, rle.compute_bounding_box(counts, size[0]))
        mask = rle.counts_to_mask(counts, *size)[top:bottom, left:right]
        shapes.append(_Shape(index, int(objects.class_ids[index]), (left, top, right, bottom), mask))
    return shapes


def _count_pinholes(shape: _Shape, shapes: list[_Shape]) -> int:
    """Return how many holes of ``shape`` have up to ``PINHOLE_PIXELS`` pixels, none of which is of another shape."""
    if shape.mask.all():
        return 0
    outside = np.pad(~shape.mask, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _centres = cv2.connectedComponentsWithStats(outside, connectivity=4)
    is_small = stats[:, cv2.CC_STAT_AREA] <= PINHOLE_PIXELS
    is_small[[0, int(labels[0, 0])]] = False  # the mask itself, and what surrounds it
    if not is_small.any():
        return 0
    for other in shapes:
        cut = _intersect(shape.box, other.box)
        if other is shape or cut is None:
            continue
        inner = labels[1:-1, 1:-1][_cut_of(shape.box, cut)]
        is_small[np.unique(inner[other.mask[_cut_of(other.box, cut)]])] = False
    return int(is_small[:count].sum())


def _find_claims(row: int, shapes: list[_Shape]) -> list[ClaimedPixels]:
    """Return the pairs of shapes of different classes that have pixels in common."""
    claims = []
    for place, first in enumerate(shapes):
        for second in shapes[place + 1 :]:
            cut = _intersect(first.box, second.box) if first.class_id != second.class_id else None
            if cut is None:
                continue
            pixels = int((first.mask[_cut_of(first.box, cut)] & second.mask[_cut_of(second.box, cut)]).sum())
            if pixels:
                smaller = min(int(first.mask.sum()), int(second.mask.sum()))
                claims.append(ClaimedPixels(row, (first.index, second.index), pixels, pixels / smaller))
    return claims


def _intersect(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    """Return the box that both boxes have in common; ``None`` where there is none."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _cut_of(box: tuple[int, int, int, int], cut: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Return where ``cut``, a box of the image, lies in the array that ``box`` was cut out as."""
    return slice(cut[1] - box[1], cut[3] - box[1]), slice(cut[0] - box[0], cut[2] - box[0])
