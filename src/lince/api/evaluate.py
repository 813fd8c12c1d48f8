"""Computes the metrics of a model on labelled images: ``lince.evaluate``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lince.api.data_source import DataSource, find_test_rows, open_data
from lince.datasets import Dataset, compute_content_keys, verify_images
from lince.display import NotebookDisplay
from lince.errors import DataError
from lince.evaluation.report import write_html
from lince.i18n import _
from lince.inference.load import load
from lince.notebook_progress import AUTOMATIC
from lince.progress import Progress
from lince.splits import TEST
from lince.tasks import get_task
from lince.training.run_report import collect_evaluation_fields
from lince.training.seen_images import SeenCounts, SeenImages, find_seen_images


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult(NotebookDisplay):
    """The predictions of a model on a dataset and their metrics, each of the class of the model's task.

    ``split`` is ``test``, ``all`` or, where the data has no test split and the run has seen some of it, ``unseen``: the
    images that were used. ``summary`` is the sentence that says how many were usable; ``task`` is the name of the task;
    ``seen`` counts the images that the run has seen, which were left out unless they were asked for; ``dataset``
    has the images that were measured, ``report_fields`` what the page says about them and about the model.
    """

    html_renderer = "lince.notebook.evaluation_html:render_evaluation"

    predictions: Any
    metrics: Any
    split: str
    summary: str
    task: str
    seen: SeenCounts
    dataset: Dataset | None = None
    report_fields: Mapping[str, Any] = field(default_factory=dict)

    def write_page(self, path: str | os.PathLike[str]) -> bool:
        """Write the evaluation to ``path`` as a page like the report of a run: metrics, charts, confusions, errors.

        Returns whether there is one: a task of a plug-in may have none.
        """
        task = get_task(self.task)
        if not (task.has_part("evaluation_report") and self.report_fields):
            return False
        build = task.load_part("evaluation_report")
        write_html(build(self.dataset, self.predictions, self.metrics, self.report_fields), Path(path))
        return True

    def __repr__(self) -> str:
        return f"<EvaluationResult: {get_task(self.task).load_part('cli').list_metric_lines(self.metrics)[0]}>"


def evaluate(
    model: str | os.PathLike[str], data: DataSource, *, include_seen: bool = False, progress: Progress = AUTOMATIC
) -> EvaluationResult:
    """Return the metrics of ``model`` (a run or a model folder) on the test split of ``data``, or on all of it.

    All images are used where the data has no test split, but for those that the run has seen: its training and its
    validation images, whatever their names are now. ``include_seen`` uses these, too; the result then has a warning.
    It adds no photos of other splits to a test split, which ``progress`` is told.
    Classes are matched by name. Images that the task cannot use, such as unlabelled ones, are left out and reported to
    ``progress``.

    Raises ``UsageError`` when no image is usable, ``DataError`` when the data has classes that the model does not know
    or the run has seen every image, and ``ModelError`` when there is no model.
    """
    predictor = load(model)
    task = get_task(predictor.card.task)
    dataset = open_data(data, progress)
    test_count = len(dataset.get_split_indices(TEST))
    dataset = task.select_usable(dataset)
    if unlabelled := task.describe_unlabelled(dataset):
        progress.show_message(unlabelled)
    dataset = verify_images(dataset, progress)
    for line in dataset.describe_left_out():
        progress.show_message(line)
    rows, split = find_test_rows(dataset)
    if test_count and split != "test":
        raise DataError(
            _("None of the {count:,} test images can be used.").format(count=test_count),
            _("Expected labelled images in the test split: the others may have trained the model."),
            _("Label them, or give the images to evaluate on in a folder of their own."),
        )
    if include_seen and len(rows) < len(dataset):
        progress.show_message(
            _(
                "--include-seen adds nothing from the other splits: the data has a test split, and only its "
                "{count:,} photos are measured. To measure on other photos, give these in a folder of their own."
            ).format(count=len(rows))
        )
    summary = dataset.summarise()
    rejected = dataset.rejected
    dataset, counts = _leave_out_seen(dataset.select(rows), find_seen_images(model), include_seen, progress)
    if split == "all" and len(dataset) < len(rows):
        split = "unseen"
    predictions, metrics = task.load_part("evaluate")(predictor, dataset, progress)
    fields = collect_evaluation_fields(predictor.card, dataset, predictions.keys, rejected)
    fields |= {"run": os.fspath(model), "notes": tuple(filter(None, (counts.note, counts.warning)))}
    return EvaluationResult(predictions, metrics, split, summary, task.name, counts, dataset, fields)


def _leave_out_seen(
    dataset: Dataset, seen: SeenImages, include_seen: bool, progress: Progress
) -> tuple[Dataset, SeenCounts]:
    """Return ``dataset`` without the images that are ``seen``, unless they are to be included, and their counts.

    Raises ``DataError`` when none would be left.
    """
    if not seen.split_by_key:
        return dataset, seen.count([""] * len(dataset))
    keys = compute_content_keys(dataset, progress)
    counts = seen.count(keys)
    if include_seen:
        return dataset, replace(counts, are_measured=True)
    rows: NDArray[np.int64] = np.array([row for row, key in enumerate(keys) if key not in seen.split_by_key], np.int64)
    if len(dataset) and not len(rows):
        raise DataError(
            _(
                "This model has seen all {total:,} photos: {trained:,} trained it, {validated:,} were its "
                "validation photos."
            ).format(total=counts.total, trained=counts.trained, validated=counts.validated),
            _("Expected photos that are new to it: measured on these, it would look better than it is."),
            _("Give other labelled photos. To measure on these all the same, with a warning: --include-seen"),
        )
    return dataset.select(rows), counts
