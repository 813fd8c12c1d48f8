"""Finds images whose boxes belong to another picture: the one before its Exif rotation, or one of another size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lince.annotations import ObjectTable
from lince.datasets.dataset import Dataset
from lince.datasets.image_stats import ImageStats
from lince.formats.builders.object_table import EDGE_TOLERANCE

_FIRST_SIDEWAYS_ORIENTATION = 5  # Exif orientations from 5 on swap width and height


def get_labelled_sizes(dataset: Dataset) -> NDArray[np.int32]:
    """Return (height, width) as the labels state them: int32 (N, 2), 0 where they do not."""
    return np.zeros((len(dataset), 2), np.int32) if dataset.sizes is None else dataset.sizes


def find_labelled_before_rotation(dataset: Dataset, stats: ImageStats) -> NDArray[np.bool_]:
    """Return which images were labelled without applying their Exif orientation: bool (N,).

    Cameras store many photos sideways, with a note (Exif) on how to turn them. Some annotation tools ignore the note,
    so their boxes belong to the stored image. Such images have labels that state width and height swapped, or, where
    the labels state no size, boxes that only fit the image as it is stored.
    """
    labelled_sizes, sizes = get_labelled_sizes(dataset), stats.sizes
    sideways = stats.columns["orientation"] >= _FIRST_SIDEWAYS_ORIENTATION
    has_size = (labelled_sizes > 0).all(axis=1)
    swapped = sideways & has_size & (labelled_sizes == sizes[:, ::-1]).all(axis=1) & (sizes[:, 0] != sizes[:, 1])
    return np.asarray(swapped | (sideways & ~has_size & _fits_only_unrotated(dataset, stats)))


def find_other_sizes(dataset: Dataset, stats: ImageStats) -> NDArray[np.bool_]:
    """Return which images can be read and have labels for another size, but for a rotation: bool (N,)."""
    labelled_sizes, sizes = get_labelled_sizes(dataset), stats.sizes
    differs = (labelled_sizes > 0).all(axis=1) & (sizes > 0).all(axis=1) & (labelled_sizes != sizes).any(axis=1)
    return np.asarray(differs & ~find_labelled_before_rotation(dataset, stats))


def _fits_only_unrotated(dataset: Dataset, stats: ImageStats) -> NDArray[np.bool_]:
    """Return which images (N,) have a box outside the upright image while all their boxes fit the image as stored."""
    objects = dataset.objects or ObjectTable.empty(len(dataset))
    height, width = stats.sizes[objects.image_ids].T
    outside_upright = (objects.boxes[:, 2] > width + EDGE_TOLERANCE) | (objects.boxes[:, 3] > height + EDGE_TOLERANCE)
    outside_stored = (objects.boxes[:, 2] > height + EDGE_TOLERANCE) | (objects.boxes[:, 3] > width + EDGE_TOLERANCE)
    has_outside = np.bincount(objects.image_ids[outside_upright], minlength=len(dataset)) > 0
    return np.asarray(has_outside & (np.bincount(objects.image_ids[outside_stored], minlength=len(dataset)) == 0))
