"""Evaluates a multilabel model on a labelled dataset, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from lince.datasets import Dataset
from lince.datasets.class_mapping import map_classes
from lince.evaluation.multilabel.metrics import MultilabelMetrics
from lince.evaluation.multilabel.predictions import MultilabelPredictions
from lince.progress import SILENT, Progress
from lince.training.image_evaluation import predict_images
from lince.training.multilabel.labels import SetLabels, read_label_sets


def evaluate_multilabel(
    predictor: Any, dataset: Dataset, progress: Progress = SILENT
) -> tuple[MultilabelPredictions, MultilabelMetrics]:
    """Return the predictions of ``predictor`` for every image of ``dataset``, and their metrics.

    Images are prepared as for training and prediction; classes are matched by name, and a class that only the model
    knows is on no image. Images that show the same are drawn together for the intervals. Raises ``DataError`` when the
    data has a class that the model does not know, or no image has a class, and ``ImageError`` for an unreadable image.
    """
    class_ids = map_classes(dataset, predictor.classes)
    sets = read_label_sets(dataset)
    predicted = predict_images(predictor, dataset, SetLabels(), progress)
    predictions = MultilabelPredictions(
        truth=sets.renumber(class_ids).to_matrix(len(predictor.classes)),
        is_known=sets.is_known,
        classes=predictor.classes,
        thresholds=np.array(predictor.thresholds, np.float64),
        **vars(predicted),
    )
    return predictions, predictions.compute_metrics()
