"""The probabilities of a model of whole images, to compare two models: their differences, and what each decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Classes
from lince.export.agreement import OutputAgreement, OutputTolerance, compare_probabilities
from lince.export.model_outputs import EvaluationImages, predict_images
from lince.inference.whole_image_predictor import WholeImagePredictor
from lince.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class WholeImageOutputs(ABC):
    """The probabilities, float32 (N, C), of a model of whole images for N images."""

    classes: Classes
    probabilities: NDArray[np.float32]

    @abstractmethod
    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[Any]:
        """Return what is decided by ``probabilities`` (N, C), an array (N, ...)."""

    def compare_with(self, reference: Self, tolerance: OutputTolerance) -> OutputAgreement:
        """Return how far the probabilities are from those of ``reference``."""
        return compare_probabilities(self.probabilities, reference.probabilities, tolerance, self.decide)

    def compare_with_recorded(
        self, rows: Sequence[int], recorded: Any, recorded_rows: Sequence[int], tolerance: OutputTolerance
    ) -> OutputAgreement | None:
        """Return how far the probabilities at ``rows`` are from those recorded; ``None`` for other classes."""
        if recorded.classes != self.classes:
            return None
        ours = replace(self, probabilities=self.probabilities[list(rows)])
        theirs = replace(self, probabilities=recorded.probabilities[list(recorded_rows)])
        return ours.compare_with(theirs, tolerance)


def collect_probabilities(
    model: WholeImagePredictor[Any], images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the probabilities for ``images``, computed as for prediction, and then for strips of some of them."""
    _prepared, results = predict_images(model, images, with_strips, progress)
    return np.stack([np.asarray(result.probabilities, np.float32) for result in results])
