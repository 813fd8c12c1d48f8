"""Loads segmentation batches: images with class maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.augmentation.mosaic import LabelledImage
from lince.class_maps import VOID
from lince.preprocess import PreprocessSpec, normalise_images
from lince.training.augmented_loader import AugmentedLoader
from lince.training.segmentation.samples import SegmentationSamples


@dataclass(frozen=True)
class SegmentationBatch:
    """Inputs float32 (N, C, H, W) and their class maps, uint8 (N, H, W)."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class SegmentationLoader(AugmentedLoader[SegmentationSamples, SegmentationBatch]):
    """Yields the rows of segmentation samples as batches."""

    def collate(self, images: Sequence[LabelledImage], spec: PreprocessSpec) -> SegmentationBatch:
        """Return ``images``, all of the size of ``spec``, as a batch; without a class map an image is void."""
        targets = np.full((len(images), spec.height, spec.width), VOID, np.uint8)
        for image, target in zip(images, targets, strict=True):
            if image.class_map is not None:
                target[:] = image.class_map
        return SegmentationBatch(normalise_images([image.image for image in images], spec), targets)
