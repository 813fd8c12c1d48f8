"""The outputs of a classifier on images, to compare two models: accuracy and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED
from lince.datasets.class_mapping import map_classes
from lince.export.model_outputs import EvaluationImages
from lince.export.parity import choose_most_probable
from lince.export.whole_image_outputs import WholeImageOutputs, collect_probabilities
from lince.inference.classification.predictor import ClassificationPredictor
from lince.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class ClassificationOutputs(WholeImageOutputs):
    """The probabilities, float32 (N, C), of a classifier for N images."""

    metric_name: ClassVar[str] = "accuracy"

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the accuracy on the labelled images; ``None`` where there is none.

        Raises ``DataError`` when the data has a class that the model does not know.
        """
        truth = map_classes(images.dataset, self.classes)[images.dataset.class_ids]
        is_labelled = truth != UNLABELLED
        if not is_labelled.any():
            return None
        return float((self.probabilities[: len(images)].argmax(1) == truth)[is_labelled].mean())

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the most probable class of each image, (N,)."""
        return choose_most_probable(probabilities)


def collect_outputs(
    model: ClassificationPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> ClassificationOutputs:
    """Return the probabilities for ``images``, computed as for prediction, and then for strips of some of them."""
    return ClassificationOutputs(model.classes, collect_probabilities(model, images, with_strips, progress))
