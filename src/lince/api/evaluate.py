"""The verbs that judge models: evaluate, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, ObjectTable
from lince.datasets import Dataset, compute_content_keys, open_dataset, require_classes, require_objects, verify_images
from lince.errors import DataError, UsageError
from lince.evaluation.classification.comparison import ClassifierComparison
from lince.evaluation.classification.comparison import compare_classifiers as compare_predictions
from lince.evaluation.classification.metrics import ClassificationMetrics
from lince.evaluation.classification.predictions import ClassificationPredictions
from lince.evaluation.detection.comparison import DetectorComparison, compare_detectors
from lince.evaluation.detection.metrics import DetectionMetrics, compute_detection_metrics
from lince.evaluation.detection.predictions import DetectionPredictions, is_detection_file
from lince.i18n import _
from lince.inference.backends.onnxruntime import count_cores
from lince.inference.classification.predictor import ClassificationPredictor
from lince.inference.detection.predictor import DetectionPredictor
from lince.inference.load import load
from lince.progress import SILENT, Progress
from lince.splits import TEST
from lince.training.classification.loader import ClassificationLoader
from lince.training.detection.loader import DetectionLoader as Boxes
from lince.training.detection.network_outputs import predict_with_backend, select_ground_truth
from lince.training.detection.samples import DetectionSamples

BATCH_SIZE = 16
PREDICTIONS_NAME = "predictions.csv"


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """A model on a dataset: its answers, their figures, which ``part`` of the data it was, and how much was usable."""

    predictions: ClassificationPredictions | DetectionPredictions
    metrics: ClassificationMetrics | DetectionMetrics
    split: str
    summary: str


def evaluate(model: str | Path, data: str | Path | Dataset, *, progress: Progress = SILENT) -> EvaluationResult:
    """Return how the model (a run or a model folder) does on ``data``: its test part when it has one, else all of it.

    Classes are matched by name. Raises ``DataError`` when the data has classes that the model does not know, or labels
    of another kind than the model answers with.
    """
    predictor = load(model)
    dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    if isinstance(predictor, DetectionPredictor):
        require_objects(dataset)
    else:
        require_classes(dataset)
    dataset = verify_images(dataset, progress)
    rows = dataset.get_split_indices(TEST)
    part = "test" if len(rows) else "all"
    rows = rows if len(rows) else np.flatnonzero(dataset.labelled).astype(np.int64)
    some = dataset.select(rows)
    if isinstance(predictor, DetectionPredictor):
        found = _detect_objects(predictor, some, progress)
        metrics = compute_detection_metrics(
            found.truth, found.detections, found.classes, thresholds=_class_thresholds(predictor)
        )
        return EvaluationResult(found, metrics, part, dataset.summarise())
    predictions = _predict_classes(predictor, some, progress)
    return EvaluationResult(predictions, predictions.compute_metrics(), part, dataset.summarise())


def compare(runs: Sequence[str | Path], *, shared_only: bool = False) -> ClassifierComparison | DetectorComparison:
    """Return ``runs`` side by side on their common test set; the first one is what the others are compared with.

    Classifiers are compared with classifiers, detectors with detectors. Raises ``DataError`` when there are both, and
    when the test sets differ, unless ``shared_only`` asks for the images that all have.
    """
    if len(runs) < 2:
        raise UsageError(_("There is one run to compare."), _("Expected two or more."))
    paths = {_run_label(run, runs): _find_predictions_file(Path(run)) for run in runs}
    detectors = [name for name, path in paths.items() if is_detection_file(path)]
    if not detectors:
        found = {name: ClassificationPredictions.load(path) for name, path in paths.items()}
        return compare_predictions(found, shared_only=shared_only)
    others = [name for name in paths if name not in detectors]
    if others:
        raise DataError(
            _("{detectors} find objects, and {others} tell whole images apart.").format(
                detectors=", ".join(detectors), others=", ".join(others)
            ),
            _("Expected runs of one kind."),
            _("Compare detectors with detectors, and classifiers with classifiers."),
        )
    return compare_detectors(
        {name: DetectionPredictions.load(path) for name, path in paths.items()}, shared_only=shared_only
    )


def _detect_objects(predictor: DetectionPredictor, dataset: Dataset, progress: Progress) -> DetectionPredictions:
    ids = _map_class_ids(predictor.classes, dataset)
    objects = dataset.objects or ObjectTable.empty(len(dataset))
    dataset = replace(dataset, classes=predictor.classes, objects=replace(objects, class_ids=ids[objects.class_ids]))
    loader = Boxes(
        DetectionSamples.from_dataset(dataset),
        np.arange(len(dataset)),
        predictor.card.preprocess,
        BATCH_SIZE,
        workers=count_cores(),
    )
    found = predict_with_backend(predictor.backend, predictor.card.decoder, loader, progress)
    names = tuple(dataset.images.get_name(row) for row in range(len(dataset)))
    return DetectionPredictions(
        tuple(compute_content_keys(dataset)), names, select_ground_truth(loader), tuple(found), predictor.classes
    )


def _class_thresholds(predictor: DetectionPredictor) -> list[float]:
    return [
        float(one)
        for one in predictor.card.detection_filter.get_thresholds(np.arange(len(predictor.classes), dtype=np.int32))
    ]


def _map_class_ids(classes: Classes, dataset: Dataset) -> NDArray[np.int32]:
    """Return the model's class id for each class of ``dataset``; raise ``DataError`` for one that it does not know."""
    known = classes.names
    strangers = [name for name, count in dataset.count_per_class().items() if count and name not in known]
    if strangers:
        raise DataError(
            _("The data has classes that the model does not know: {names}.").format(names=", ".join(strangers)),
            _("The model knows: {names}.").format(names=", ".join(known)),
            _("Merge them with --merge, or take them out."),
        )
    return np.array([known.index(name) if name in known else UNLABELLED for name in dataset.classes.names], np.int32)


def _predict_classes(
    predictor: ClassificationPredictor, dataset: Dataset, progress: Progress
) -> ClassificationPredictions:
    ids = _map_class_ids(predictor.classes, dataset)
    loader = ClassificationLoader(
        dataset, np.arange(len(dataset)), predictor.card.preprocess, BATCH_SIZE, workers=count_cores()
    )
    parts = []
    with progress.open_stage(_("Evaluating"), len(dataset)) as stage:
        for batch in loader.iter_batches():
            parts.append(predictor.predict_probabilities(batch.inputs))
            stage.advance(len(batch.labels))
    return ClassificationPredictions(
        keys=tuple(compute_content_keys(dataset)),
        names=tuple(dataset.images.get_name(row) for row in range(len(dataset))),
        truth=ids[dataset.class_ids],
        probabilities=np.concatenate(parts),
        classes=predictor.classes,
    )


def _find_predictions_file(run: Path) -> Path:
    path = run / PREDICTIONS_NAME
    if not path.is_file():
        raise UsageError(
            _("There is no {name} in {run}.").format(name=PREDICTIONS_NAME, run=run),
            _("Expected a finished run."),
            _("If it was interrupted, go on with: lince train --resume {run}").format(run=run),
        )
    return path


def _run_label(run: str | Path, runs: Sequence[str | Path]) -> str:
    path = Path(run)
    alike = [other for other in runs if Path(other).name == path.name]
    return path.name if len(alike) == 1 else str(path)
