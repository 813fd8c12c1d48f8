"""Evaluates a detector on a labelled dataset, without torch."""

from __future__ import annotations

import numpy as np

from lince.annotations import Classes
from lince.datasets import Dataset, compute_content_keys
from lince.datasets.class_mapping import adopt_classes
from lince.datasets.groups import find_groups
from lince.evaluation.detection.metrics import DetectionMetrics
from lince.evaluation.detection.predictions import DetectionPredictions
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.detection.predictor import DetectionPredictor
from lince.preprocess import PreprocessSpec
from lince.progress import SILENT, Progress
from lince.training.detection.kind import BOXES, DetectorKind
from lince.training.detection.loader import DetectionLoader
from lince.training.detection.network_outputs import predict_with_backend, select_ground_truth
from lince.training.detection.samples import DetectionSamples

BATCH_SIZE = 16  # images per call of the network


def evaluate_detector(
    predictor: DetectionPredictor, dataset: Dataset, progress: Progress = SILENT
) -> tuple[DetectionPredictions, DetectionMetrics]:
    """Return the detections of ``predictor`` on every image of ``dataset``, and their metrics."""
    return evaluate_on_objects(predictor, dataset, progress, BOXES)


def evaluate_on_objects(
    predictor: DetectionPredictor, dataset: Dataset, progress: Progress, kind: DetectorKind
) -> tuple[DetectionPredictions, DetectionMetrics]:
    """Return the detections of ``predictor``, a model of ``kind``, on every image of ``dataset``, and their metrics.

    Average precision uses all detections from a low score on; precision and recall use the thresholds of the model
    card. Classes are matched by name. Images that show the same are drawn together for the intervals, as in the report
    of a training. Raises ``DataError`` when the data has a class that the model does not know, or
    no object.
    """
    classes = predictor.classes
    loader = make_test_loader(dataset, classes, predictor.card.preprocess, kind.with_masks)
    detections = predict_with_backend(predictor.backend, predictor.card.decoder, loader, progress)
    names = tuple(dataset.images.get_name(row) for row in range(len(dataset)))
    groups = find_groups(dataset, progress, min_groups=1).related_ids
    predictions = kind.predictions(
        tuple(compute_content_keys(dataset)),
        names,
        select_ground_truth(loader),
        tuple(detections),
        classes,
        groups,
        **kind.collect_fields(loader.samples, loader.rows),
    )
    thresholds = predictor.card.detection_filter.get_thresholds(np.arange(len(classes), dtype=np.int32))
    return predictions, predictions.compute_metrics(thresholds=[float(value) for value in thresholds])


def make_test_loader(
    dataset: Dataset, classes: Classes, spec: PreprocessSpec, with_masks: bool = False
) -> DetectionLoader:
    """Return a loader of all images of ``dataset``, in order, whose objects have the class ids of ``classes``.

    ``with_masks`` reads their masks, too. Raises ``DataError`` when the data has a class that is not among them.
    """
    samples = DetectionSamples.from_dataset(adopt_classes(dataset, classes), with_masks)
    return DetectionLoader(samples, np.arange(len(dataset)), spec, BATCH_SIZE, workers=count_cores())
