"""Loads detection batches: images with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.augmentation.mosaic import LabelledImage
from lince.preprocess import PreprocessSpec, normalise_images
from lince.training.augmented_loader import AugmentedLoader
from lince.training.detection.samples import DetectionSamples

DetectionTarget = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class DetectionBatch:
    """Inputs float32 (N, C, H, W) and one target per image.

    A target is boxes float32 (K, 4), left, top, right, bottom in input pixels, and class ids int64 (K,).
    """

    inputs: NDArray[np.float32]
    targets: tuple[DetectionTarget, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class DetectionLoader(AugmentedLoader[DetectionSamples, DetectionBatch]):
    """Yields the rows of detection samples as batches."""

    def collate(self, images: Sequence[LabelledImage], spec: PreprocessSpec) -> DetectionBatch:
        """Return ``images``, all of the size of ``spec``, as a batch."""
        inputs = normalise_images([image.image for image in images], spec)
        return DetectionBatch(
            inputs, tuple((image.boxes.astype(np.float32), image.class_ids.astype(np.int64)) for image in images)
        )
