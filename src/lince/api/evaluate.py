"""Computes the metrics of a model on labelled images: ``lince.evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lince.api.data_source import DataSource, find_test_rows, open_data
from lince.datasets import verify_images
from lince.errors import DataError
from lince.i18n import _
from lince.inference.load import load
from lince.progress import SILENT, Progress
from lince.splits import TEST
from lince.tasks import get_task


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The predictions of a model on a dataset and their metrics, each of the class of the model's task.

    ``split`` is ``test`` or ``all``, the images that were used; ``summary`` is the sentence that says how many were
    usable; ``task`` is the name of the task.
    """

    predictions: Any
    metrics: Any
    split: str
    summary: str
    task: str


def evaluate(model: str | Path, data: DataSource, *, progress: Progress = SILENT) -> EvaluationResult:
    """Return the metrics of ``model`` (a run or a model folder) on the test split of ``data``, or on all of it.

    All images are used where the data has no test split. Classes are matched by name. Images that the task cannot use,
    such as unlabelled ones, are left out and reported to ``progress``.

    Raises ``UsageError`` when no image is usable, ``DataError`` when the data has classes that the model does not know,
    and ``ModelError`` when there is no model.
    """
    predictor = load(model)
    task = get_task(predictor.card.task)
    dataset = open_data(data, progress)
    test_count = len(dataset.get_split_indices(TEST))
    dataset = task.select_usable(dataset)
    if unlabelled := task.describe_unlabelled(dataset):
        progress.show_message(unlabelled)
    dataset = verify_images(dataset, progress)
    rows, split = find_test_rows(dataset)
    if test_count and split != "test":
        raise DataError(
            _("None of the {count:,} test images can be used.").format(count=test_count),
            _("Expected labelled images in the test split: the others may have trained the model."),
            _("Label them, or give the images to evaluate on in a folder of their own."),
        )
    predictions, metrics = task.load_part("evaluate")(predictor, dataset.select(rows), progress)
    return EvaluationResult(predictions, metrics, split, dataset.summarise(), task.name)
