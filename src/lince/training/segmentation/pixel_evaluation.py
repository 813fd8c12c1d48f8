"""Runs an exported segmentation network over images and counts their pixels, at the images' own size; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.evaluation.segmentation.packed_map import PackedMap
from lince.evaluation.segmentation.pixel_counts import PixelCounts, count_pixels
from lince.export import onnx_graph
from lince.i18n import _
from lince.inference.backends.backend import Backend
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.ordered_map import iter_batches, ordered_map
from lince.postprocess.class_map import ClassMap, compute_class_map, compute_probabilities
from lince.preprocess import PreprocessSpec, preprocess_images
from lince.progress import SILENT, Progress
from lince.training.segmentation.samples import SegmentationSamples

BATCH_SIZE = 4  # images per call of the network


@dataclass(frozen=True)
class PredictedPixels:
    """What is kept of N images: their ``counts`` of pixels by true and predicted class, and their reduced ``maps``."""

    counts: tuple[PixelCounts, ...]
    maps: tuple[PackedMap, ...]


def predict_pixels(
    backend: Backend,
    samples: SegmentationSamples,
    rows: NDArray[np.int64],
    spec: PreprocessSpec,
    progress: Progress = SILENT,
) -> PredictedPixels:
    """Return what ``backend`` predicts for each image of ``rows`` (N,), in their order.

    Raises ``ImageError`` when an image cannot be read.
    """
    class_count = len(samples.classes)

    def measure_batch(batch: list[int]) -> list[tuple[PixelCounts, PackedMap]]:
        return [
            (count_pixels(samples.draw_class_map(row), answer, class_count), PackedMap.pack(answer))
            for row, answer in zip(batch, _predict_class_maps(backend, samples, batch, spec), strict=True)
        ]

    results: list[tuple[PixelCounts, PackedMap]] = []
    workers = count_cores()
    with progress.open_stage(_("Evaluating"), len(rows)) as stage:
        for batch_results in ordered_map(measure_batch, iter_batches(rows.tolist(), BATCH_SIZE), workers, workers + 1):
            results += batch_results
            stage.advance(len(batch_results))
    return PredictedPixels(tuple(counts for counts, _map in results), tuple(packed for _counts, packed in results))


def _predict_class_maps(
    backend: Backend, samples: SegmentationSamples, rows: Sequence[int], spec: PreprocessSpec
) -> list[ClassMap]:
    """Return the class map of each image of ``rows``, uint8 (H, W) at its own size, by one call of the network."""
    size = (spec.height, spec.width)
    inputs = preprocess_images([samples.dataset.images.read_image(row, size) for row in rows], spec)
    planes = compute_probabilities(backend.run(inputs, (onnx_graph.LOGITS,))[0])
    sizes = samples.image_sizes[np.asarray(rows)].tolist()
    return [
        compute_class_map(image_planes, (height, width), spec)
        for image_planes, (height, width) in zip(planes, sizes, strict=True)
    ]
