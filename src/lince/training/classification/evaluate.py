"""Evaluates a classifier on a labelled dataset, without torch."""

from __future__ import annotations

import numpy as np

from lince.datasets import Dataset, compute_content_keys
from lince.datasets.class_mapping import map_classes
from lince.datasets.groups import find_groups
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.classification.predictor import ClassificationPredictor
from lince.progress import SILENT, Progress
from lince.training.classification.loader import ClassificationLoader

BATCH_SIZE = 16  # images per call of the network


def evaluate_classifier(
    predictor: ClassificationPredictor, dataset: Dataset, progress: Progress = SILENT
) -> tuple[ClassificationPredictions, ClassificationMetrics]:
    """Return the predictions of ``predictor`` for every image of ``dataset``, and their metrics.

    Images are prepared as for training and prediction; classes are matched by name. Images that show the same are drawn
    together for the intervals, as in the report of a training. Raises ``DataError`` when the data
    has a class that the model does not know, and ``ImageError`` for an unreadable image (see ``verify_images``).
    """
    class_ids = map_classes(dataset, predictor.classes)
    rows = range(len(dataset))
    loader = ClassificationLoader(
        dataset, np.arange(len(dataset)), predictor.card.preprocess, BATCH_SIZE, workers=count_cores()
    )
    probabilities = []
    with progress.open_stage(_("Evaluating"), len(dataset)) as stage:
        for batch in loader.iter_batches():
            probabilities.append(predictor.predict_probabilities(batch.inputs))
            stage.advance(len(batch.labels))
    predictions = ClassificationPredictions(
        keys=tuple(compute_content_keys(dataset)),
        names=tuple(dataset.images.get_name(row) for row in rows),
        truth=class_ids[dataset.class_ids],
        probabilities=np.concatenate(probabilities),
        classes=predictor.classes,
        groups=find_groups(dataset, progress, min_groups=1).related_ids,
    )
    return predictions, predictions.compute_metrics()
