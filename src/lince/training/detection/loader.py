"""Loads detection batches: images with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.augmentation.mosaic import LabelledImage
from lince.augmentation.object_masks import Masks, draw_masks
from lince.postprocess.prototypes import STRIDE
from lince.preprocess import PreprocessSpec, normalise_images
from lince.training.augmented_loader import AugmentedLoader
from lince.training.detection.samples import DetectionSamples

DetectionTarget = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class DetectionBatch:
    """Inputs float32 (N, C, H, W) and one target per image.

    A target is boxes float32 (K, 4), left, top, right, bottom in input pixels, and class ids int64 (K,); where the
    network learns masks, also what each object covers of the cells of ``STRIDE`` pixels, uint8 (K, h, w) in 0..255, and
    which objects have a mask at all, bool (K,).
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
        with_masks = self.samples.with_masks
        targets = (
            make_target(image.boxes, image.class_ids, image.masks if with_masks else None, spec) for image in images
        )
        return DetectionBatch(inputs, tuple(targets))


def make_target(
    boxes: NDArray[np.float64], class_ids: NDArray[np.int32], masks: Masks | None, spec: PreprocessSpec
) -> DetectionTarget:
    """Return the target of one image of ``DetectionBatch``; ``masks`` is ``None`` where the network learns none."""
    drawn = () if masks is None else draw_masks(masks, (spec.height, spec.width), STRIDE)
    return boxes.astype(np.float32), class_ids.astype(np.int64), *drawn
