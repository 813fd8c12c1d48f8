"""The dataset in figures: examples of each class by part, sizes of photos and boxes, boxes per photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.checks.class_checks import count_per_class
from lince.checks.finding import CheckContext
from lince.checks.image_checks import get_readable_mask

_MAX_SIZES = 12  # of the commonest photo sizes, those that are told
_BINS = 20
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values lie between each two of ``edges`` (K + 1,): ``counts`` int64 (K,)."""

    edges: FloatArray
    counts: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the histogram as JSON."""
        return {"edges": [round(edge, 6) for edge in self.edges.tolist()], "counts": self.counts.tolist()}


@dataclass(frozen=True, eq=False)
class DatasetStats:
    """What a dataset holds: ``counts`` by part and class; the commonest photo ``sizes`` (height, width, how many).

    ``photo_sides`` is the square root of the photos' areas in pixels, ``box_sides`` that of the boxes' areas as a share
    of their photo's, ``per_photo`` how many objects a photo has; ``None`` where nothing is marked.
    """

    images: int
    objects: int | None
    counts: dict[str, dict[str, int]]
    common_sizes: tuple[tuple[int, int, int], ...]
    image_sides: Histogram
    box_sides: Histogram | None = None
    objects_per_image: Histogram | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        shown = {"box_sides": self.box_sides, "per_photo": self.objects_per_image, "photo_sides": self.image_sides}
        return {
            "images": self.images,
            "objects": self.objects,
            "counts": self.counts,
            "sizes": [list(size) for size in self.common_sizes],
            **{name: histogram.to_dict() for name, histogram in shown.items() if histogram},
        }


def compute_dataset_stats(evidence: CheckContext) -> DatasetStats:
    """Return the figures of the dataset."""
    sizes = evidence.image_stats.sizes[get_readable_mask(evidence)]
    found, counts = np.unique(sizes, axis=0, return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:_MAX_SIZES]
    marked = evidence.dataset.objects is not None
    return DatasetStats(
        images=len(evidence.dataset),
        objects=len(evidence.objects) if marked else None,
        counts=_count_by_split(evidence),
        common_sizes=tuple((int(found[i, 0]), int(found[i, 1]), int(counts[i])) for i in commonest),
        image_sides=_make_histogram(np.sqrt(sizes.astype(np.float64).prod(axis=1))),
        box_sides=_box_side_histogram(evidence) if marked else None,
        objects_per_image=_objects_per_image_histogram(evidence) if marked else None,
    )


def _count_by_split(evidence: CheckContext) -> dict[str, dict[str, int]]:
    names = evidence.dataset.classes.names
    parts = {name: count_per_class(evidence, rows) for name, rows in evidence.get_split_rows().items()}
    rest = count_per_class(evidence) - sum(parts.values(), np.zeros(len(names), np.int64))
    if rest.any() or not parts:
        parts["all" if not parts else "rest"] = rest
    return {part: dict(zip(names, sizes.tolist(), strict=True)) for part, sizes in parts.items()}


def _box_side_histogram(evidence: CheckContext) -> Histogram:
    objects = evidence.objects
    sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
    areas = evidence.image_stats.sizes[objects.image_ids].astype(np.float64).prod(axis=1)
    shares = np.sqrt(np.clip(sides.prod(axis=1)[areas > 0] / areas[areas > 0], 0.0, 1.0))
    counts, edges = np.histogram(shares, bins=_BINS, range=(0.0, 1.0))
    return Histogram(edges, counts.astype(np.int64))


def _objects_per_image_histogram(evidence: CheckContext) -> Histogram:
    numbers = np.diff(evidence.objects.starts)
    top = int(numbers.max(initial=0)) + 1
    step = max(1, -(-top // _BINS))
    edges = np.arange(0, top + step, step, dtype=np.float64)
    return Histogram(edges, np.histogram(numbers, bins=edges)[0].astype(np.int64))


def _make_histogram(values: FloatArray) -> Histogram:
    if not len(values):
        return Histogram(np.array([0.0, 1.0]), np.zeros(1, np.int64))
    counts, edges = np.histogram(values, bins=_BINS if np.ptp(values) > 0 else 1)
    return Histogram(edges, counts.astype(np.int64))
