"""The verbs that judge models: evaluate, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lince.annotations import UNLABELLED
from lince.data import TEST, Dataset, keys, open_dataset, require_classes, verify
from lince.errors import DataError, UsageError
from lince.evaluation import ClassificationMetrics, Comparison
from lince.evaluation import compare as compare_predictions
from lince.evaluation.predictions import Predictions
from lince.messages import _
from lince.progress import SILENT, Progress
from lince.runtime.predictor import Predictor, load
from lince.runtime.session import cores
from lince.training.loader import Loader

BATCH = 16
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model on a dataset: its answers, their figures, which ``part`` of the data it was, and how much was usable."""

    predictions: Predictions
    metrics: ClassificationMetrics
    part: str
    summary: str


def evaluate(model: str | Path, data: str | Path | Dataset, *, progress: Progress = SILENT) -> Evaluation:
    """Return how the model (a run or a model folder) does on ``data``: its test part when it has one, else all of it.

    Classes are matched by name. Raises ``DataError`` when the data has classes that the model does not know.
    """
    predictor = load(model)
    dataset = data if isinstance(data, Dataset) else open_dataset(data, progress=progress)
    require_classes(dataset)
    dataset = verify(dataset, progress)
    rows = dataset.indices(TEST)
    part = "test" if len(rows) else "all"
    rows = rows if len(rows) else np.flatnonzero(dataset.class_ids != UNLABELLED).astype(np.int64)
    predictions = _answers(predictor, dataset.select(rows), progress)
    return Evaluation(predictions, predictions.metrics(), part, dataset.summary())


def compare(runs: Sequence[str | Path], *, shared_only: bool = False) -> Comparison:
    """Return ``runs`` side by side on their common test set; the first one is what the others are compared with.

    Raises ``DataError`` when their test sets differ, unless ``shared_only`` asks for the images that all have.
    """
    if len(runs) < 2:
        raise UsageError(_("There is one run to compare."), _("Expected two or more."))
    found = {_name(run, runs): Predictions.load(_predictions_of(Path(run))) for run in runs}
    return compare_predictions(found, shared_only=shared_only)


def _answers(predictor: Predictor, dataset: Dataset, progress: Progress) -> Predictions:
    known = predictor.classes.names
    strangers = [name for name, count in dataset.counts().items() if count and name not in known]
    if strangers:
        raise DataError(
            _("The data has classes that the model does not know: {names}.").format(names=", ".join(strangers)),
            _("The model knows: {names}.").format(names=", ".join(known)),
            _("Merge them with --merge, or take them out."),
        )
    loader = Loader(dataset, np.arange(len(dataset)), predictor.card.preprocess, BATCH, workers=cores())
    parts = []
    with progress.stage(_("Evaluating"), len(dataset)) as stage:
        for batch in loader.batches():
            parts.append(predictor.probabilities(batch.inputs))
            stage.advance(len(batch.labels))
    ids = np.array([known.index(name) if name in known else UNLABELLED for name in dataset.classes.names], np.int32)
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
