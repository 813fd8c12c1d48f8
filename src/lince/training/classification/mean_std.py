"""Computes the per-channel mean and standard deviation of the training images (featurewise standardisation)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lince.datasets import Dataset
from lince.preprocess import PreprocessSpec, normalise_images, resize_to_input
from lince.splits import TRAIN

SAMPLE_SIZE = 2000  # images: more would not move the second digit


def add_dataset_statistics(dataset: Dataset, spec: PreprocessSpec) -> PreprocessSpec:
    """Return ``spec`` with the mean and standard deviation of each channel over the training images.

    At most about ``SAMPLE_SIZE`` evenly spread images are read, of the training split only; values are in 0..255, and
    the deviation is at least 1. A ``spec`` with another kind of standardisation is returned unchanged.
    """
    if spec.standardise != "featurewise":
        return spec
    rows = dataset.get_split_indices(TRAIN)
    unscaled_spec = replace(spec, standardise="none", mean=(0.0,) * spec.channel_count, std=(1.0,) * spec.channel_count)
    sums, squares, count = np.zeros(spec.channel_count), np.zeros(spec.channel_count), 0
    for row in rows[:: max(1, len(rows) // SAMPLE_SIZE)]:
        image = resize_to_input(dataset.images.read_image(int(row), (spec.height, spec.width)), unscaled_spec)
        values = normalise_images([image], unscaled_spec)[0].astype(np.float64)
        sums += values.sum(axis=(1, 2))
        squares += (values**2).sum(axis=(1, 2))
        count += values[0].size
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return replace(spec, mean=tuple(mean.tolist()), std=tuple(std.tolist()))
