"""The result of a segmentation recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.training.augmented_loader import TrainingAugmentation
from lince.training.recipe import PredictFunction, TrainedModel
from lince.training.segmentation.samples import SegmentationSamples


@dataclass(frozen=True, kw_only=True)
class TrainedSegmenter(TrainedModel):
    """Result of a segmentation recipe.

    ``reference_predict`` maps inputs (N, C, H, W) to the logits (N, K, h, w) of what was trained, computed by other
    means than ``model.onnx``; ``augmentation`` is how the images were altered that it was trained on.
    """

    samples: SegmentationSamples
    reference_predict: PredictFunction
    augmentation: TrainingAugmentation

    def compute_reference(self, sample: NDArray[np.int64], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of ``reference_predict`` for ``inputs``."""
        del sample
        return self.reference_predict(inputs)
