"""Predictor of segmentation models: the class of each pixel, without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.errors import ModelError
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.inference.image_loading import PreparedImage
from lince.inference.predictor import Predictor
from lince.inference.segmentation.result import SegmentationResult, make_result
from lince.model_card import ModelCard
from lince.postprocess import class_map

_BATCH_SIZE = 8
_OUTPUT = "logits"


class SegmentationPredictor(Predictor):
    """A segmentation model ready for inference.

    Construction raises ``ModelError`` when the network's input or number of classes is not that of the card, or when
    its input does not show the whole photo.
    """

    task = "segment"
    batch_size = _BATCH_SIZE

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        super().__init__(card, backend, allow_urls)
        _require_matching_card(card, backend)

    def predict_prepared(
        self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()
    ) -> list[SegmentationResult]:
        """Return the result of each image of a batch, computed in one call of the network. Thread-safe.

        ``names`` are those of the images, in order; without them the results have empty names.
        """
        batch = preprocess.normalise_images([item.image for item in prepared], self.card.preprocess)
        probabilities = class_map.compute_probabilities(self.predict_logits(batch))
        result_names = names or [""] * len(prepared)
        return [
            self.make_result(name, planes, item.size)
            for name, planes, item in zip(result_names, probabilities, prepared, strict=True)
        ]

    def predict_logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 (N, C + 1, h, w), of network inputs (N, 3, H, W); channel 0 is the background."""
        return self.backend.run(batch, (_OUTPUT,))[0]

    def make_result(self, name: str, probabilities: NDArray[np.float32], size: tuple[int, int]) -> SegmentationResult:
        """Return the result of an image of ``size`` (height, width) with ``probabilities`` (C + 1, h, w)."""
        return make_result(name, probabilities, size, self.classes, self.card.preprocess)


def _require_matching_card(card: ModelCard, backend: Backend) -> None:
    """Raise ``ModelError`` when the network's input or number of channels is not that of ``card``."""
    output = tuple(backend.outputs.get(_OUTPUT, ()))
    channels = output[1] if len(output) == 4 else None
    found = (*backend.input_shape[1:], channels)
    expected = (*card.preprocess.shape, len(card.classes) + 1)
    if found != expected:
        raise ModelError(
            _("{path} does not match its model card: its input and classes are {found}.").format(
                path=backend.path, found=found
            ),
            _("Expected {expected}.").format(expected=expected),
            _("Copy the model folder again, or export the run again."),
        )
    if card.preprocess.resize == "crop":
        raise ModelError(
            _("{path} sees only the middle of a photo (resize: crop).").format(path=backend.path),
            _("Expected a model that sees the whole photo: squash, letterbox or corner."),
        )
