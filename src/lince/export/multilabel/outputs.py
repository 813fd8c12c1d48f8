"""The outputs of a multilabel model on images, to compare two models: mAP, probabilities and said classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lince.datasets.class_mapping import map_classes
from lince.evaluation.multilabel.metrics import compute_mean_average_precision
from lince.export.model_outputs import EvaluationImages
from lince.export.whole_image_outputs import WholeImageOutputs, collect_probabilities
from lince.inference.multilabel.predictor import MultilabelPredictor
from lince.postprocess import decide_classes
from lince.progress import SILENT, Progress
from lince.tasks import get_task


@dataclass(frozen=True, eq=False)
class MultilabelOutputs(WholeImageOutputs):
    """The probabilities, float32 (N, C), of a multilabel model for N images, and the thresholds (C,) of its classes."""

    thresholds: tuple[float, ...]
    metric_name: ClassVar[str] = "map"

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which classes each image is said to have, (N, C)."""
        return decide_classes(probabilities, self.thresholds)

    def compute_headline_metric(self, images: EvaluationImages) -> float | None:
        """Return the mean average precision on the images of known classes; ``None`` where none has a class.

        Raises ``DataError`` when the data has a class that the model does not know.
        """
        dataset = get_task(MultilabelPredictor.task).keep_own_labels(images.dataset)
        if dataset.label_sets is None:
            return None
        sets = dataset.label_sets.renumber(map_classes(dataset, self.classes))
        truth, is_known = sets.to_matrix(len(self.classes)), sets.is_known
        if not truth.any():
            return None
        return compute_mean_average_precision(truth[is_known], self.probabilities[: len(images)][is_known])


def collect_outputs(
    model: MultilabelPredictor, images: EvaluationImages, with_strips: bool = True, progress: Progress = SILENT
) -> MultilabelOutputs:
    """Return the probabilities for ``images``, computed as for prediction, and then for strips of some of them."""
    probabilities = collect_probabilities(model, images, with_strips, progress)
    return MultilabelOutputs(model.classes, probabilities, model.thresholds)
