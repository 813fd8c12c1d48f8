"""The verbs that judge models: evaluate, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lince.annotations import UNLABELLED, Classes, Objects
from lince.data import TEST, Dataset, keys, open_dataset, require_classes, require_objects, verify
from lince.errors import DataError, UsageError
from lince.evaluation.classification import ClassificationMetrics
from lince.evaluation.compare import Comparison
from lince.evaluation.compare import compare as compare_predictions
from lince.evaluation.compare_found import FoundComparison, compare_found
from lince.evaluation.detection import DetectionMetrics, evaluate_detections
from lince.evaluation.found import FoundObjects, holds_objects
from lince.evaluation.predictions import Predictions
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime.detection import DetectionPredictor
from lince.runtime.loading import load
from lince.runtime.predictor import Predictor
from lince.runtime.session import cores
from lince.training.detection.answering import answers, truth
from lince.training.detection.loader import Loader as Boxes
from lince.training.detection.samples import Samples
from lince.training.loader import Loader

BATCH = 16
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model on a dataset: its answers, their figures, which ``part`` of the data it was, and how much was usable."""

    predictions: Predictions | FoundObjects
    metrics: ClassificationMetrics | DetectionMetrics
    part: str
    summary: str


def evaluate(model: str | Path, data: str | Path | Dataset, *, progress: Progress = SILENT) -> Evaluation:
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
    dataset = verify(dataset, progress)
    rows = dataset.indices(TEST)
    part = "test" if len(rows) else "all"
    rows = rows if len(rows) else np.flatnonzero(dataset.labelled).astype(np.int64)
    some = dataset.select(rows)
    if isinstance(predictor, DetectionPredictor):
        found = _found(predictor, some, progress)
        metrics = evaluate_detections(found.truth, found.found, found.classes, thresholds=_thresholds(predictor))
        return Evaluation(found, metrics, part, dataset.summary())
    predictions = _answers(predictor, some, progress)
    return Evaluation(predictions, predictions.metrics(), part, dataset.summary())


def compare(runs: Sequence[str | Path], *, shared_only: bool = False) -> Comparison | FoundComparison:
    """Return ``runs`` side by side on their common test set; the first one is what the others are compared with.

    Classifiers are compared with classifiers, detectors with detectors. Raises ``DataError`` when there are both, and
    when the test sets differ, unless ``shared_only`` asks for the images that all have.
    """
    if len(runs) < 2:
        raise UsageError(_("There is one run to compare."), _("Expected two or more."))
    paths = {_name(run, runs): _predictions_of(Path(run)) for run in runs}
    detectors = [name for name, path in paths.items() if holds_objects(path)]
    if not detectors:
        found = {name: Predictions.load(path) for name, path in paths.items()}
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
    return compare_found({name: FoundObjects.load(path) for name, path in paths.items()}, shared_only=shared_only)


def _found(predictor: DetectionPredictor, dataset: Dataset, progress: Progress) -> FoundObjects:
    ids = _ids(predictor.classes, dataset)
    objects = dataset.objects or Objects.none(len(dataset))
    dataset = replace(dataset, classes=predictor.classes, objects=replace(objects, class_ids=ids[objects.class_ids]))
    loader = Boxes(Samples.of(dataset), np.arange(len(dataset)), predictor.card.preprocess, BATCH, workers=cores())
    found = answers(predictor.session, predictor.card.decoding, loader, progress)
    names = tuple(dataset.images.name(row) for row in range(len(dataset)))
    return FoundObjects(tuple(keys(dataset)), names, truth(loader), tuple(found), predictor.classes)


def _thresholds(predictor: DetectionPredictor) -> list[float]:
    return [float(one) for one in predictor.card.keeping.of(np.arange(len(predictor.classes), dtype=np.int32))]


def _ids(classes: Classes, dataset: Dataset) -> NDArray[np.int32]:
    """Return the model's class id for each class of ``dataset``; raise ``DataError`` for one that it does not know."""
    known = classes.names
    strangers = [name for name, count in dataset.counts().items() if count and name not in known]
    if strangers:
        raise DataError(
            _("The data has classes that the model does not know: {names}.").format(names=", ".join(strangers)),
            _("The model knows: {names}.").format(names=", ".join(known)),
            _("Merge them with --merge, or take them out."),
        )
    return np.array([known.index(name) if name in known else UNLABELLED for name in dataset.classes.names], np.int32)


def _answers(predictor: Predictor, dataset: Dataset, progress: Progress) -> Predictions:
    ids = _ids(predictor.classes, dataset)
    loader = Loader(dataset, np.arange(len(dataset)), predictor.card.preprocess, BATCH, workers=cores())
    parts = []
    with progress.stage(_("Evaluating"), len(dataset)) as stage:
        for batch in loader.batches():
            parts.append(predictor.probabilities(batch.inputs))
            stage.advance(len(batch.labels))
    return Predictions(
        keys=tuple(keys(dataset)),
        names=tuple(dataset.images.name(row) for row in range(len(dataset))),
        truth=ids[dataset.class_ids],
        probabilities=np.concatenate(parts),
        classes=predictor.classes,
    )


def _predictions_of(run: Path) -> Path:
    path = run / PREDICTIONS
    if not path.is_file():
        raise UsageError(
            _("There is no {name} in {run}.").format(name=PREDICTIONS, run=run),
            _("Expected a finished run."),
            _("If it was interrupted, go on with: lince train --resume {run}").format(run=run),
        )
    return path


def _name(run: str | Path, runs: Sequence[str | Path]) -> str:
    path = Path(run)
    alike = [other for other in runs if Path(other).name == path.name]
    return path.name if len(alike) == 1 else str(path)
