"""Evaluates a segmentation model on a labelled dataset, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from lince.datasets import Dataset, compute_content_keys
from lince.datasets.class_mapping import adopt_classes
from lince.datasets.groups import find_groups
from lince.evaluation.segmentation.metrics import SegmentationMetrics
from lince.evaluation.segmentation.predictions import SegmentationPredictions
from lince.progress import SILENT, Progress
from lince.training.segmentation.pixel_evaluation import predict_pixels
from lince.training.segmentation.samples import SegmentationSamples


def evaluate_segmenter(
    predictor: Any, dataset: Dataset, progress: Progress = SILENT
) -> tuple[SegmentationPredictions, SegmentationMetrics]:
    """Return the predictions of ``predictor`` for every image of ``dataset``, counted by pixels, and their metrics.

    Classes are matched by name. Images that show the same are drawn together for the intervals. Raises ``DataError``
    when the data has a class that the model does not know, or no image has a class, and ``ImageError`` for an
    unreadable image.
    """
    samples = SegmentationSamples.from_dataset(adopt_classes(dataset, predictor.classes))
    rows = np.arange(len(dataset), dtype=np.int64)
    predicted = predict_pixels(predictor.backend, samples, rows, predictor.card.preprocess, progress)
    predictions = SegmentationPredictions(
        tuple(compute_content_keys(dataset)),
        tuple(dataset.images.get_name(row) for row in range(len(dataset))),
        predicted.counts,
        predictor.classes,
        find_groups(dataset, progress, min_groups=1).related_ids,
        predicted.maps,
    )
    return predictions, predictions.compute_metrics()
