"""The postprocessing of a classifier in a self-contained graph, and its comparison with lince."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.export import onnx_graph, onnx_postprocess
from lince.export.onnx_builder import GraphBuilder, GraphValue
from lince.export.onnx_preprocess import ImagePlacement
from lince.export.standalone import StandaloneReport
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.classification.predictor import ClassificationPredictor
from lince.model_card import ModelCard

OUTPUT_NAMES = ("probabilities", "class_id")


def add_postprocess(
    network_output: Callable[[str], GraphValue], card: ModelCard, builder: GraphBuilder, placement: ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Append softmax and the most probable class; return the names and the values of the graph's outputs."""
    del card, builder, placement
    return OUTPUT_NAMES, onnx_postprocess.build_classification_postprocess(network_output(onnx_graph.LOGITS))


def compare_graph(
    backend: OnnxRuntimeBackend, model: ClassificationPredictor, images: Iterable[NDArray[np.uint8]]
) -> StandaloneReport:
    """Return how far the graph's probabilities are from those of ``model`` on ``images``, uint8 RGB (H, W, 3).

    Without images the agreement is 1.
    """
    differences, agreeing = [], 0
    for image in images:
        probabilities, class_id = backend.run(image, OUTPUT_NAMES)
        expected = model.predict_probabilities(preprocess.preprocess_images([image], model.card.preprocess))[0]
        differences.append(float(np.abs(probabilities - expected).max()))
        agreeing += int(class_id) == int(expected.argmax())
    count = len(differences)
    return StandaloneReport(count, max(differences, default=0.0), 0.0, agreeing / count if count else 1.0, count)
