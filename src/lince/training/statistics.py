"""Mean and deviation of the training images, for featurewise standardisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lince.data import TRAIN, Dataset
from lince.preprocess import Preprocess, fit, normalise

SAMPLE = 2000  # images: more would not move the second digit


def featurewise(dataset: Dataset, spec: Preprocess) -> Preprocess:
    """Return ``spec`` with each channel's mean and deviation over (a spread sample of) the training images.

    Other ways of standardising come back as they are. Only training images are looked at.
    """
    if spec.standardise != "featurewise":
        return spec
    rows = dataset.indices(TRAIN)
    plain = replace(spec, standardise="none", mean=(0.0,) * spec.depth, std=(1.0,) * spec.depth)
    sums, squares, count = np.zeros(spec.depth), np.zeros(spec.depth), 0
    for row in rows[:: max(1, len(rows) // SAMPLE)]:
        image = fit(dataset.images.read(int(row), (spec.height, spec.width)), plain)
        values = normalise([image], plain)[0].astype(np.float64)
        sums += values.sum(axis=(1, 2))
        squares += (values**2).sum(axis=(1, 2))
        count += values[0].size
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return replace(spec, mean=tuple(mean.tolist()), std=tuple(std.tolist()))
