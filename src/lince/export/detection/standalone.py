"""The postprocessing of a detector in a self-contained graph, and its comparison with lince."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from lince.annotations import Detections
from lince.export import onnx_postprocess
from lince.export.agreement import match_nearest_box
from lince.export.onnx_builder import GraphBuilder, GraphValue
from lince.export.onnx_preprocess import ImagePlacement
from lince.export.standalone import StandaloneReport
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.detection.predictor import DetectionPredictor
from lince.model_card import ModelCard
from lince.postprocess import get_decoder

OUTPUT_NAMES = ("boxes", "scores", "class_ids")
SCORE_TOLERANCE, BOX_TOLERANCE = 0.05, 2.0  # between detections of one object; boxes in pixels of the image


def add_postprocess(
    network_output: Callable[[str], GraphValue], card: ModelCard, builder: GraphBuilder, placement: ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Append decoding and non-maximum suppression; return the names and the values of the graph's outputs."""
    del builder
    outputs = [network_output(name) for name in get_decoder(card.decoder).outputs]
    return OUTPUT_NAMES, onnx_postprocess.build_detection_postprocess(outputs, card, placement)


def compare_graph(
    backend: OnnxRuntimeBackend, model: DetectionPredictor, images: Iterable[NDArray[np.uint8]]
) -> StandaloneReport:
    """Return how far the graph's detections are from those of ``model`` on ``images``, uint8 RGB (H, W, 3).

    The agreement counts detections of both, so an additional detection counts like a missing one. Without detections it
    is 1.
    """
    scores, boxes, total, count = [0.0], [0.0], 0, 0
    for image in images:
        count += 1
        ours, theirs = _run_graph(backend, image), model.predict(image).detections
        total += len(ours) + len(theirs)
        for candidates, references in ((ours, theirs), (theirs, ours)):
            for row in range(len(references)):
                reference = (references.boxes[row], int(references.class_ids[row]), float(references.scores[row]))
                score, box = match_nearest_box(candidates, *reference)
                if score <= SCORE_TOLERANCE and box <= BOX_TOLERANCE:
                    scores.append(score)
                    boxes.append(box)
    return StandaloneReport(count, max(scores), max(boxes), (len(scores) - 1) / total if total else 1.0, total)


def _run_graph(backend: OnnxRuntimeBackend, image: NDArray[np.uint8]) -> Detections:
    """Return the detections of the graph on one image."""
    boxes, scores, class_ids = backend.run(image, OUTPUT_NAMES)
    return Detections(boxes.astype(np.float64), class_ids.astype(np.int32), scores)
