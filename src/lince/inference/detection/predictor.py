"""Predictor of object detectors: boxes, classes and scores, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.annotations import Detections
from lince.errors import ModelError
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.inference.detection.result import DetectionResult
from lince.inference.image_loading import Image, PreparedImage
from lince.inference.predictor import Predictor
from lince.model_card import ModelCard
from lince.postprocess import OutputDecoder, get_decoder

BATCH_SIZE = 4  # images per call of the network
_INPUT_NAME = "input"
_NO_OBJECTS: tuple[NDArray[np.float64], NDArray[np.int32]] = (np.empty((0, 4)), np.empty(0, np.int32))
NamedShapes = Mapping[str, Sequence[Any]]


class DetectionPredictor(Predictor):
    """An object detector ready for inference.

    Construction raises ``ModelError`` when the shapes of the network's input and outputs, or the number of thresholds,
    do not fit the card.
    """

    task = "detect"
    batch_size = BATCH_SIZE
    result_class: ClassVar[type[DetectionResult]] = DetectionResult

    def __init__(self, card: ModelCard, backend: Backend, allow_urls: bool = False) -> None:
        super().__init__(card, backend, allow_urls)
        self._decoder = get_decoder(card.decoder)
        self._expected_shapes = _card_shapes(card, self._decoder)
        declared = {name: backend.outputs.get(name, ())[1:] for name in self._decoder.outputs}
        _require_matching_card(card, backend, {_INPUT_NAME: backend.input_shape[1:], **declared}, self._expected_shapes)

    def with_threshold(self, threshold: float | Mapping[str, float]) -> Self:
        """Return the same model with another score threshold in 0..1: one for all classes, or by class name.

        Classes that are not named keep theirs. Raises ``UsageError`` for an unknown class or a value outside 0..1.
        """
        detection_filter = replace(self.card.detection_filter, score_threshold=_resolve_threshold(threshold, self.card))
        return type(self)(replace(self.card, detection_filter=detection_filter), self.backend, self.allow_urls)

    def with_iou(self, iou: float) -> Self:
        """Return the same model that keeps boxes of one class with an intersection over union up to ``iou``, in 0..1.

        Raises ``UsageError`` for a value outside 0..1.
        """
        detection_filter = replace(self.card.detection_filter, iou_threshold=iou)
        return type(self)(replace(self.card, detection_filter=detection_filter), self.backend, self.allow_urls)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Return the detections on each of ``images``, uint8 RGB (H, W, 3) of any sizes."""
        detections: list[Detections] = []
        for start in range(0, len(images), BATCH_SIZE):
            detections += self._detect_prepared([self.prepare(image) for image in images[start : start + BATCH_SIZE]])
        return detections

    def predict_prepared(self, prepared: Sequence[PreparedImage], names: Sequence[str] = ()) -> list[DetectionResult]:
        """Return the result of each image of a batch, computed in one call of the network. Thread-safe.

        ``names`` are those of the images, in order; without them the results have empty names.
        """
        result_names = names or [""] * len(prepared)
        return [
            self.result_class(name, detections, self.classes, item.size)
            for name, detections, item in zip(result_names, self._detect_prepared(prepared), prepared, strict=True)
        ]

    def _detect_prepared(self, prepared: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections on each of the prepared images, in pixels of the original images."""
        spec, detection_filter = self.card.preprocess, self.card.detection_filter
        outputs = self._run_batches(preprocess.normalise_images([item.image for item in prepared], spec))
        # Some networks declare no output shapes; their outputs show them.
        shapes = {name: output.shape[1:] for name, output in zip(self._decoder.outputs, outputs, strict=True)}
        _require_matching_card(self.card, self.backend, shapes, self._expected_shapes)
        return [
            self._decoder.decode([output[i] for output in outputs], item.size, spec, detection_filter)
            for i, item in enumerate(prepared)
        ]

    def _run_batches(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the network's outputs, (N, ...) each, for ``inputs`` (N, C, H, W).

        A network with a fixed batch size gets batches of that size, the last one padded with black images.
        """
        size = self.backend.input_shape[0]
        if not isinstance(size, int) or size == len(inputs):
            return self.backend.run(inputs, self._decoder.outputs)
        padding = np.zeros((-len(inputs) % size, *inputs.shape[1:]), np.float32)
        padded = np.concatenate([inputs, padding])
        batches = [padded[start : start + size] for start in range(0, len(padded), size)]
        batch_outputs = [self.backend.run(batch, self._decoder.outputs) for batch in batches]
        return [np.concatenate(parts)[: len(inputs)] for parts in zip(*batch_outputs, strict=True)]


def _resolve_threshold(threshold: float | Mapping[str, float], card: ModelCard) -> float | tuple[float, ...]:
    """Return the threshold for the detection filter: one for all classes, or one for each."""
    if not isinstance(threshold, Mapping):
        return threshold
    thresholds = card.detection_filter.get_thresholds(np.arange(len(card.classes), dtype=np.int32)).tolist()
    for name, value in threshold.items():
        thresholds[card.classes.index(name)] = value
    return tuple(thresholds)


def _require_matching_card(card: ModelCard, backend: Backend, shapes: NamedShapes, expected: NamedShapes) -> None:
    """Raise ``ModelError`` when ``shapes`` of input and outputs differ from ``expected``, or thresholds are missing.

    ``backend`` is for the message. Shapes are by tensor name, without the batch axis.
    """
    thresholds = card.detection_filter.score_threshold
    has_all_thresholds = not isinstance(thresholds, tuple) or len(thresholds) == len(card.classes)
    if not (has_all_thresholds and all(_shape_matches(sides, expected[name]) for name, sides in shapes.items())):
        raise ModelError(
            _("{path} does not match its model card: its input and outputs are {found}.").format(
                path=backend.path, found=_format_shapes(shapes)
            ),
            _("Expected {expected}, for {count} classes and their thresholds.").format(
                expected=_format_shapes(expected), count=len(card.classes)
            ),
            _("Copy the model folder again, or export the run again."),
        )


def _card_shapes(card: ModelCard, decoder: OutputDecoder) -> NamedShapes:
    """Return the shapes of input and outputs that ``card`` implies, without the batch axis.

    Axes of the outputs that do not depend on the number of classes are ``None``, which stands for any size. They are
    found by encoding an image without objects, for the classes of the card and for one class more, and comparing the
    shapes.
    """
    spec, count = card.preprocess, len(card.classes)
    outputs_of_card = decoder.encode(*_NO_OBJECTS, (spec.height, spec.width), spec, count)
    outputs_of_more = decoder.encode(*_NO_OBJECTS, (spec.height, spec.width), spec, count + 1)
    outputs = {
        name: tuple(
            side if side != other_side else None
            for side, other_side in zip(array.shape, other_array.shape, strict=True)
        )
        for name, array, other_array in zip(decoder.outputs, outputs_of_card, outputs_of_more, strict=True)
    }
    return {_INPUT_NAME: spec.shape, **outputs}


def _shape_matches(shape: Sequence[Any], expected: Sequence[int | None]) -> bool:
    """Return whether ``shape`` has the expected sides; a side that either leaves open matches any."""
    return len(shape) == len(expected) and all(
        expected_side is None or not isinstance(side, int) or side == expected_side
        for side, expected_side in zip(shape, expected, strict=True)
    )


def _format_shapes(shapes: NamedShapes) -> str:
    """Return shapes for a message: "input 3x640x640, boxes ?x4"."""
    return ", ".join(f"{name} {'x'.join(str(side or '?') for side in shape)}" for name, shape in shapes.items())
