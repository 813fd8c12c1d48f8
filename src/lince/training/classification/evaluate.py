"""Evaluates a classifier on a labelled dataset, without torch."""

from __future__ import annotations

from lince.datasets import Dataset
from lince.datasets.class_mapping import map_classes
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.inference.classification.predictor import ClassificationPredictor
from lince.progress import SILENT, Progress
from lince.training.classification.labels import ClassLabels
from lince.training.image_evaluation import predict_images


def evaluate_classifier(
    predictor: ClassificationPredictor, dataset: Dataset, progress: Progress = SILENT
) -> tuple[ClassificationPredictions, ClassificationMetrics]:
    """Return the predictions of ``predictor`` for every image of ``dataset``, and their metrics.

    Images are prepared as for training and prediction; classes are matched by name. Images that show the same are drawn
    together for the intervals, as in the report of a training. Raises ``DataError`` when the data
    has a class that the model does not know, and ``ImageError`` for an unreadable image (see ``verify_images``).
    """
    class_ids = map_classes(dataset, predictor.classes)
    predicted = predict_images(predictor, dataset, ClassLabels(), progress)
    truth = class_ids[dataset.class_ids]
    predictions = ClassificationPredictions(truth=truth, classes=predictor.classes, **vars(predicted))
    return predictions, predictions.compute_metrics()
