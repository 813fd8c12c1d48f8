"""Pictures and tables of the predictions of a model on labelled images, by the module of its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lince.api.data_source import reopen_data
from lince.datasets import Dataset
from lince.errors import LinceError
from lince.evaluation.report.texts import TextTable
from lince.notebook.picture import Picture
from lince.notebook.shown_object import Gallery
from lince.progress import SILENT
from lince.storage.url import is_url
from lince.tasks import Task
from lince.training.run_folder import TrainingRun


def list_class_tables(task: Task, test: Mapping[str, Any]) -> list[tuple[str, TextTable]]:
    """Return the table of the classes, from the figures as ``report.json`` holds them; empty for other tasks."""
    return [("", task.load_part("notebook").build_class_table(test))] if task.has_part("notebook") else []


def list_galleries(task: Task, dataset: Dataset | None, predictions: Any, test: Mapping[str, Any]) -> list[Gallery]:
    """Return the pictures of errors and of correct predictions with their titles.

    The images of ``predictions`` are found in ``dataset`` by their names. One that is not there any more, or has other
    content than then, is left out.
    """
    if dataset is None or not task.has_part("notebook"):
        return []
    rows = {dataset.images.get_name(row): row for row in range(len(dataset))}
    galleries: list[Gallery] = []
    for title, examples in task.load_part("notebook").list_examples(predictions, test):
        pictures: list[Picture] = []
        for index, draw in examples:
            row = rows.get(predictions.names[index])
            if row is not None and is_same_image(dataset, row, predictions.keys[index]):
                pictures.append(draw(dataset, row))
        galleries.append((title, pictures))
    return galleries


def reopen_run_data(run: TrainingRun) -> Dataset | None:
    """Return the dataset of ``run``; ``None`` where it cannot be read any more, and where that needs the network."""
    try:
        origin = run.data_source
        return None if is_url(origin["path"]) else reopen_data(origin, SILENT)
    except (LinceError, OSError, KeyError):
        return None


def is_same_image(dataset: Dataset, row: int, key: str) -> bool:
    """Return whether the image at ``row`` can be read, and its content has the digest ``key``."""
    try:
        return dataset.images.compute_key(row) == key
    except (LinceError, OSError):
        return False


def shorten_table(table: TextTable, most: int) -> TextTable:
    """Return ``table`` with its first ``most`` rows, and a last one of dots where there are more."""
    if len(table.rows) <= most:
        return table
    dots: Sequence[str] = ["…"] * len(table.header)
    return TextTable(table.header, (*table.rows[:most], tuple(dots)))
