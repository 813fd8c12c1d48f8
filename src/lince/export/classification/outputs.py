"""The outputs of a classifier on images, to compare two models: accuracy and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes
from lince.datasets.class_mapping import map_classes
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.export.agreement import OutputAgreement, OutputTolerance, compare_probabilities
from lince.export.model_outputs import EvaluationImages, predict_images
from lince.inference.classification.predictor import ClassificationPredictor
from lince.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class ClassificationOutputs:
    """The probabilities, float32 (N, C), of a classifier for N images."""

    classes: Classes
    probabilities: NDArray[np.float32]
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

    def compare_with(self, reference: ClassificationOutputs, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how far the probabilities are from those of ``reference``."""
        return compare_probabilities(self.probabilities, reference.probabilities, tolerance)

    def compare_with_recorded(
        self,
        rows: Sequence[int],
        recorded: ClassificationPredictions,
        recorded_rows: Sequence[int],
        tolerance: OutputTolerance,
    ) -> OutputAgreement | None:
        """Return how far the probabilities at ``rows`` are from those recorded; ``None`` for other classes."""
        if recorded.classes != self.classes:
            return None
        ours = replace(self, probabilities=self.probabilities[list(rows)])
        theirs = replace(self, probabilities=recorded.probabilities[list(recorded_rows)])
        return ours.compare_with(theirs, tolerance)


def collect_outputs(
    model: ClassificationPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> ClassificationOutputs:
    """Return the probabilities for ``images``, computed as for prediction, and then for strips of some of them."""
    _prepared, results = predict_images(model, images, with_strips, progress)
    probabilities = [np.asarray(result.label.probabilities, np.float32) for result in results]
    return ClassificationOutputs(model.classes, np.stack(probabilities))
