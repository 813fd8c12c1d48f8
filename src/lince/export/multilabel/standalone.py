"""The postprocessing of a multilabel model in a self-contained graph, and its comparison with lince."""

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
from lince.inference.multilabel.predictor import MultilabelPredictor
from lince.model_card import ModelCard
from lince.postprocess import DEFAULT_THRESHOLD, decide_classes

OUTPUT_NAMES = ("probabilities", "class_ids")


def add_postprocess(
    network_output: Callable[[str], GraphValue], card: ModelCard, builder: GraphBuilder, placement: ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Append the sigmoid and the thresholds; return the names and the values of the graph's outputs."""
    del builder, placement
    thresholds = card.thresholds or (DEFAULT_THRESHOLD,) * len(card.classes)
    return OUTPUT_NAMES, onnx_postprocess.build_multilabel_postprocess(network_output(onnx_graph.LOGITS), thresholds)


def compare_graph(
    backend: OnnxRuntimeBackend, model: MultilabelPredictor, images: Iterable[NDArray[np.uint8]]
) -> StandaloneReport:
    """Return how far the graph's probabilities are from those of ``model`` on ``images``, uint8 RGB (H, W, 3).

    The agreement counts whether each class is said of each image; without images it is 1.
    """
    differences, agreeing, count = [0.0], 0, 0
    for image in images:
        probabilities, class_ids = backend.run(image, OUTPUT_NAMES)
        expected = model.predict_probabilities(preprocess.preprocess_images([image], model.card.preprocess))[0]
        differences.append(float(np.abs(probabilities - expected).max()))
        is_said = np.zeros(len(expected), bool)
        is_said[class_ids] = True
        agreeing += int((is_said == decide_classes(expected, model.thresholds)).sum())
        count += 1
    results = count * len(model.classes)
    return StandaloneReport(count, max(differences), 0.0, agreeing / results if results else 1.0, results)
