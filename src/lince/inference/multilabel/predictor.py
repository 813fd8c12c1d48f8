"""Predictor of multilabel models: a probability for each class by itself, and the classes that are said; no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lince import postprocess
from lince.i18n import _
from lince.inference.multilabel import true_classes
from lince.inference.multilabel.result import MultilabelResult
from lince.inference.sources import ImageItem
from lince.inference.whole_image_predictor import FindTruths, WholeImagePredictor
from lince.validation import require_in_range


class MultilabelPredictor(WholeImagePredictor[MultilabelResult]):
    """A multilabel model ready for inference.

    Construction raises ``ModelError`` when the network's input or number of classes is not that of the card.
    """

    task = "multilabel"
    result_type = MultilabelResult

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probability from which on an image is said to have a class, one for each: the card's, or one half."""
        return self.card.thresholds or (postprocess.DEFAULT_THRESHOLD,) * len(self.classes)

    def with_threshold(self, threshold: float | Mapping[str, float]) -> Self:
        """Return the same model with another threshold in 0..1: one for all classes, or by class name.

        Classes that are not named keep theirs. Raises ``UsageError`` for an unknown class or a value outside 0..1.
        """
        if isinstance(threshold, Mapping):
            values = list(self.thresholds)
            for name, value in threshold.items():
                values[self.classes.index(name)] = value
        else:
            values = [threshold] * len(self.classes)
        for value in values:
            require_in_range(_("threshold"), value, 0.0, 1.0)
        model = type(self)(replace(self.card, thresholds=tuple(values)), self.backend, self.allow_urls)
        return model.with_seen_keys(self._read_seen_keys)

    def predict_probabilities(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities, float32 (N, C), of network inputs (N, C, H, W); they need not sum to 1."""
        return postprocess.sigmoid(self.predict_logits(batch))

    def make_result(self, name: str, probabilities: NDArray[np.float32]) -> MultilabelResult:
        """Return the result of an image with ``probabilities`` (C,)."""
        return MultilabelResult(name, probabilities, self.thresholds, self.classes)

    def make_truth_finder(self, items: Iterable[ImageItem], truth: Any) -> FindTruths:
        """Return what finds the true class ids of ``items`` in the labelled data ``truth``; ``auto`` knows none."""
        del items
        return true_classes.make_truth_finder(truth, self.classes)
