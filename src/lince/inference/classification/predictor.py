"""Predictor of image classifiers: probabilities, embeddings and results, without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.annotations import Label
from lince.inference import model_folder, sources
from lince.inference.backends.backend import open_backend
from lince.inference.classification.result import ClassificationResult
from lince.inference.sources import ImageItem
from lince.inference.whole_image_predictor import FindTruths, WholeImagePredictor
from lince.model_card import ModelCard


class ClassificationPredictor(WholeImagePredictor[ClassificationResult]):
    """An image classifier ready for inference.

    Construction raises ``ModelError`` when the network's input or number of classes is not that of the card.
    """

    task = "classify"
    result_type = ClassificationResult

    def predict_probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities, float32 (N, C), of network inputs (N, C, H, W); each row sums to 1."""
        return postprocess.softmax(self.predict_logits(batch))

    def make_result(self, name: str, probabilities: NDArray[np.float32]) -> ClassificationResult:
        """Return the result of an image with ``probabilities`` (C,): the most probable class."""
        return ClassificationResult(name, Label.from_probabilities(probabilities), self.classes)

    def make_truth_finder(self, items: Iterable[ImageItem], truth: Any) -> FindTruths:
        """Return what finds the true class ids of ``items`` batch by batch, as ``sources.infer_true_classes`` does.

        ``truth`` is its mode; for a generator, ``auto`` knows none.
        """
        mode = sources.resolve_truth_mode(items, self.classes, truth)
        return lambda batch: sources.infer_true_classes(batch, self.classes, mode)


def load_classifier(path: str | Path) -> ClassificationPredictor:
    """Return the classifier of a run or of a model folder.

    For any kind of model use ``inference.load.load``. Raises ``ModelError`` when there is no model, or it is of another
    task.
    """
    folder = model_folder.find_model_folder(Path(path))
    card = ModelCard.load(folder)
    return ClassificationPredictor(card, open_backend(card, folder))
