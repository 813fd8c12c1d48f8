"""Statistics of a dataset: examples of each class by split, and histograms of image and box sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.checks.check_context import CheckContext
from lince.checks.class_checks import count_per_class
from lince.checks.image_checks import get_readable_mask

_MAX_SIZES = 12  # the most common image sizes that are listed
_BINS = 20  # of a histogram
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histogram:
    """A histogram of K bins: ``edges`` float64 (K + 1,), ascending; ``counts`` int64 (K,) of the values between."""

    edges: FloatArray
    counts: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the histogram as a JSON object; edges are rounded to six decimals."""
        return {"edges": [round(edge, 6) for edge in self.edges.tolist()], "counts": self.counts.tolist()}


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Counts int64 (R, C) in equal cells of the unit square, rows downwards, columns rightwards."""

    counts: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return {"counts": self.counts.tolist()}


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """Statistics of a dataset; what depends on objects is ``None`` in a dataset without them.

    ``counts`` holds the number of examples by split and class name (``all`` stands for data without splits, ``rest``
    for images in none of them); ``common_sizes`` the most common image sizes as (height, width, number of images).

    ``image_sides`` are the square roots of the image areas, in pixels; ``box_sides`` the square roots of the box areas
    as a fraction of the image area, 0..1; ``objects_per_image`` the number of objects on each image. ``box_centres``
    counts the centres of boxes on the image; ``box_shapes`` the boxes by height (rows, tallest on top) and width
    (columns), as fractions of the image's. ``mask_sides`` are the square roots of the areas of masks and outlines as a
    fraction of the image area, 0..1. Of mask images, whose boxes nobody drew, ``pixels`` counts the pixels of each
    class, of the ``background`` and of ``void``, and there are no statistics of boxes.
    """

    images: int
    objects: int | None
    counts: dict[str, dict[str, int]]
    common_sizes: tuple[tuple[int, int, int], ...]
    image_sides: Histogram
    box_sides: Histogram | None = None
    objects_per_image: Histogram | None = None
    box_centres: HeatMap | None = None
    box_shapes: HeatMap | None = None
    mask_sides: Histogram | None = None
    pixels: dict[str, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as a JSON object; histograms that do not exist have no key."""
        histograms = {
            "box_sides": self.box_sides,
            "mask_sides": self.mask_sides,
            "per_photo": self.objects_per_image,
            "photo_sides": self.image_sides,
        }
        heat_maps = {"box_centres": self.box_centres, "box_shapes": self.box_shapes}
        return {
            "images": self.images,
            "objects": self.objects,
            "counts": self.counts,
            "sizes": [list(size) for size in self.common_sizes],
            **{name: histogram.to_dict() for name, histogram in histograms.items() if histogram},
            **{name: heat_map.to_dict() for name, heat_map in heat_maps.items() if heat_map},
            **({} if self.pixels is None else {"pixels": self.pixels}),
        }


def compute_dataset_stats(context: CheckContext) -> DatasetStats:
    """Return the statistics of the dataset. Images that cannot be opened have no size and are left out of the sizes."""
    sizes = context.image_stats.sizes[get_readable_mask(context)]
    unique_sizes, counts = np.unique(sizes, axis=0, return_counts=True)
    most_common = np.argsort(-counts, kind="stable")[:_MAX_SIZES]
    has_objects = context.dataset.objects is not None
    has_boxes = has_objects and not context.dataset.is_pixelwise
    centres, shapes = _make_heat_maps(context) if has_boxes else (None, None)
    return DatasetStats(
        images=len(context.dataset),
        objects=len(context.objects) if has_objects else None,
        counts=_count_by_split(context),
        common_sizes=tuple(
            (int(unique_sizes[index, 0]), int(unique_sizes[index, 1]), int(counts[index])) for index in most_common
        ),
        image_sides=_make_histogram(np.sqrt(sizes.astype(np.float64).prod(axis=1))),
        box_sides=_box_side_histogram(context) if has_boxes else None,
        objects_per_image=_objects_per_image_histogram(context) if has_boxes else None,
        box_centres=centres,
        box_shapes=shapes,
        mask_sides=_mask_side_histogram(context),
        pixels=_count_pixels(context) if context.dataset.is_pixelwise else None,
    )


def _count_by_split(context: CheckContext) -> dict[str, dict[str, int]]:
    """Return the number of examples by split and class name, with what is in no split as ``rest`` (or ``all``)."""
    names = context.dataset.classes.names
    counts_by_split = {name: count_per_class(context, rows) for name, rows in context.get_split_rows().items()}
    rest = count_per_class(context) - sum(counts_by_split.values(), np.zeros(len(names), np.int64))
    if rest.any() or not counts_by_split:
        counts_by_split["all" if not counts_by_split else "rest"] = rest
    return {split: dict(zip(names, sizes.tolist(), strict=True)) for split, sizes in counts_by_split.items()}


def _box_side_histogram(context: CheckContext) -> Histogram:
    """Return the histogram of relative box sides over 0..1; boxes larger than their image count as 1."""
    objects = context.objects
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    areas = context.image_stats.sizes[objects.image_ids].astype(np.float64).prod(axis=1)
    side_shares = np.sqrt(np.clip(sides.prod(axis=1)[areas > 0] / areas[areas > 0], 0.0, 1.0))
    counts, edges = np.histogram(side_shares, bins=_BINS, range=(0.0, 1.0))
    return Histogram(edges, counts.astype(np.int64))


def _mask_side_histogram(context: CheckContext) -> Histogram | None:
    """Return the histogram of relative mask sides over 0..1; ``None`` where no object has a mask or an outline."""
    objects = context.objects
    if not (objects.has_mask | objects.has_polygons).any():
        return None
    known = context.mask_measures.is_known
    pixels = context.image_stats.sizes[objects.image_ids[known]].astype(np.float64).prod(axis=1)
    sides = np.sqrt(context.mask_measures.areas[known] / pixels)
    counts, edges = np.histogram(sides, bins=_BINS, range=(0.0, 1.0))
    return Histogram(edges, counts.astype(np.int64))


def _count_pixels(context: CheckContext) -> dict[str, int]:
    """Return the pixels of each class, of the background and of void, on the images that can be opened."""
    objects, measures = context.objects, context.mask_measures
    known = measures.is_known
    pixels = np.bincount(objects.class_ids[known], measures.areas[known], len(context.dataset.classes)).astype(np.int64)
    total, void = int(context.image_stats.sizes.astype(np.int64).prod(axis=1).sum()), int(measures.void_areas.sum())
    named = dict(zip(context.dataset.classes.names, pixels.tolist(), strict=True))
    return {"background": total - void - sum(named.values()), "void": void} | named


def _make_heat_maps(context: CheckContext) -> tuple[HeatMap, HeatMap]:
    """Return where the centres of the boxes lie, and how tall and wide they are; what is outside counts at the edge.

    Boxes on images without a known size are left out.
    """
    boxes, image_sizes = context.objects.boxes, context.image_stats.sizes[context.objects.image_ids]
    is_known = (image_sizes > 0).all(axis=1)
    scale = image_sizes[is_known][:, ::-1].astype(np.float64)
    centres = (boxes[is_known, :2] + boxes[is_known, 2:]) / 2 / scale
    sides = (boxes[is_known, 2:] - boxes[is_known, :2]) / scale
    shapes = np.stack([sides[:, 0], 1 - sides[:, 1]], axis=1)
    return _count_cells(centres), _count_cells(shapes)


def _count_cells(points: FloatArray) -> HeatMap:
    """Return the counts of ``points`` (N, 2), x and y in 0..1 from the top left, in ``_BINS`` x ``_BINS`` cells."""
    cells = np.clip((points * _BINS).astype(np.int64), 0, _BINS - 1)
    counts = np.bincount(cells[:, 1] * _BINS + cells[:, 0], minlength=_BINS * _BINS)
    return HeatMap(counts.reshape(_BINS, _BINS).astype(np.int64))


def _objects_per_image_histogram(context: CheckContext) -> Histogram:
    """Return the histogram of objects per image, with bins of equal whole width."""
    object_counts = np.diff(context.objects.starts)
    end = int(object_counts.max(initial=0)) + 1
    step = max(1, -(-end // _BINS))
    edges = np.arange(0, end + step, step, dtype=np.float64)
    return Histogram(edges, np.histogram(object_counts, bins=edges)[0].astype(np.int64))


def _make_histogram(values: FloatArray) -> Histogram:
    """Return the histogram of ``values`` in ``_BINS`` bins; one bin when all are equal or there are none."""
    if not len(values):
        return Histogram(np.array([0.0, 1.0]), np.zeros(1, np.int64))
    counts, edges = np.histogram(values, bins=_BINS if np.ptp(values) > 0 else 1)
    return Histogram(edges, counts.astype(np.int64))
