"""The postprocessing of a segmentation model in a self-contained graph, and its comparison with lince.

Interpolating linearly is one matrix per side, whose weights the graph computes from the image's size; it must match
``postprocess.class_map``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from lince import preprocess
from lince.export import onnx_graph
from lince.export.onnx_builder import GraphBuilder, GraphValue, make_range
from lince.export.onnx_preprocess import ImagePlacement
from lince.export.standalone import StandaloneReport
from lince.inference.backends.onnxruntime import OnnxRuntimeBackend
from lince.inference.segmentation.predictor import SegmentationPredictor
from lince.model_card import ModelCard
from lince.postprocess import class_map as class_maps

OUTPUT_NAMES = ("class_map", "pixel_probabilities")


def add_postprocess(
    network_output: Callable[[str], GraphValue], card: ModelCard, builder: GraphBuilder, placement: ImagePlacement
) -> tuple[tuple[str, ...], tuple[GraphValue, ...]]:
    """Append softmax, interpolation and choice of the class; return the names and the values of the graph's outputs."""
    del builder
    planes = network_output(onnx_graph.LOGITS).apply("Softmax", axis=1).squeeze(0)
    cells = planes.apply("Shape", dtype=np.int64).cast(np.float64)
    down = _weigh_cells(
        placement.image_size.y, placement.scale.y, placement.offset.y, cells.gather(1), card.preprocess.height
    )
    across = _weigh_cells(
        placement.image_size.x, placement.scale.x, placement.offset.x, cells.gather(2), card.preprocess.width
    )
    probabilities = down.apply("MatMul", planes).apply("MatMul", across.apply("Transpose", perm=[1, 0]))
    class_map = probabilities.apply("ArgMax", dtype=np.int64, axis=0, keepdims=0).cast(np.uint8)
    return OUTPUT_NAMES, (class_map, probabilities)


def _weigh_cells(length: GraphValue, scale: GraphValue, offset: GraphValue, cells: GraphValue, side: int) -> GraphValue:
    """Return the weights of the cells of a map along one side for each pixel, float32 (``length``, ``cells``).

    All values are float64 scalars: the pixels of the image, its scale and offset in an input of ``side`` pixels, and
    the cells of the map. It is what ``class_map.locate_pixels`` tells.
    """
    content = (length * scale).apply("Round").apply("Max", 1.0)
    cell_size = side / cells
    first = (offset / cell_size - 0.5).apply("Ceil").apply("Max", 0.0)
    last = ((offset + content) / cell_size - 0.5).apply("Floor").apply("Min", cells - 1.0)
    middle = ((offset + content * 0.5) / cell_size).apply("Floor")
    is_seen = last >= first
    first, last = is_seen.select(first, middle), is_seen.select(last, middle)
    pixels = make_range(length) + 0.5
    places = ((offset + pixels * content / length) / cell_size - 0.5).apply("Max", first).apply("Min", last)
    distances = (places.unsqueeze(1) - make_range(cells).unsqueeze(0)).apply("Abs")
    return (1.0 - distances).apply("Max", 0.0).cast(np.float32)


def compare_graph(
    backend: OnnxRuntimeBackend, model: SegmentationPredictor, images: Iterable[NDArray[np.uint8]]
) -> StandaloneReport:
    """Return how far the graph's probabilities are from those of ``model`` on ``images``, uint8 RGB (H, W, 3).

    The agreement counts pixels of the same class; without images it is 1.
    """
    differences, agreeing, total, count = [0.0], 0, 0, 0
    spec = model.card.preprocess
    for image in images:
        class_map, probabilities = backend.run(image, OUTPUT_NAMES)
        logits = model.predict_logits(preprocess.preprocess_images([image], spec))
        (planes,) = class_maps.compute_probabilities(logits)
        rows, columns = class_maps.locate_pixels(planes.shape[1:], image.shape[:2], spec)
        for ours, plane in zip(probabilities, planes, strict=True):
            expected = class_maps.interpolate_plane(plane, rows, columns)
            differences.append(float(np.abs(ours - expected).max()))
        agreeing += int((class_map == class_maps.choose_classes(planes, rows, columns)).sum())
        total += class_map.size
        count += 1
    return StandaloneReport(count, max(differences), 0.0, agreeing / total if total else 1.0, total)
