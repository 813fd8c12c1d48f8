"""Registry of the tasks (classification, detection, ...) and the choice of the one that fits a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lince.errors import AmbiguousError, DataError
from lince.i18n import _
from lince.tasks.classification import ClassificationTask
from lince.tasks.detection import DetectionTask
from lince.tasks.instances import InstancesTask
from lince.tasks.multilabel import MultilabelTask
from lince.tasks.segmentation import SegmentationTask
from lince.tasks.task import Task, require_fit
from lince.validation import require_choice

if TYPE_CHECKING:
    from pathlib import Path

    from lince.datasets import Dataset

__all__ = [
    "Task",
    "describe_other_tasks",
    "find_usable_rows",
    "get_task",
    "infer_earlier_task",
    "list_tasks",
    "load_predictions",
    "register_task",
    "require_fit",
    "resolve_task",
]

_TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        ClassificationTask(),
        DetectionTask(),
        MultilabelTask(),
        SegmentationTask(),
        InstancesTask(),
    )
}


def register_task(task: Task) -> None:
    """Add ``task`` to the registry; it replaces a task of the same name."""
    _TASKS[task.name] = task


def list_tasks() -> list[Task]:
    """Return all tasks in the order of their registration; the first is the default of ``--task``."""
    return list(_TASKS.values())


def get_task(name: str) -> Task:
    """Return the task called ``name``; raise ``UsageError`` that lists the known names if there is none."""
    return _TASKS[require_choice("--task", name, _TASKS)]


def resolve_task(dataset: Dataset, name: str | None = None) -> Task:
    """Return the task called ``name``, or without a name the only task that suits the labels of ``dataset``.

    Raises ``UsageError`` when the named task is unknown or does not fit, ``DataError`` when none fits, and
    ``AmbiguousError`` when several do.
    """
    if name is not None:
        task = get_task(name)
        require_fit(task, dataset)
        return task
    fitting = [task for task in list_tasks() if task.suits(dataset)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise DataError(
            _("{root} has no labels: no image has {what}.").format(
                root=dataset.root, what=_(" or ").join(task.label_name for task in list_tasks())
            ),
            _("Expected labelled images."),
            _("Label them, or give the file or folder that contains their labels."),
        )
    counts = [
        _("{count:,} images for {task}").format(count=int(task.usable_rows(dataset).sum()), task=task.title)
        for task in fitting
    ]
    raise AmbiguousError(
        _("The labels of {root} fit several tasks: {counts}.").format(root=dataset.root, counts=", ".join(counts)),
        _("Expected the option --task."),
        _("Choose one: {options}").format(options=_(" or ").join(f"--task {task.name}" for task in fitting)),
    )


def describe_other_tasks(dataset: Dataset, task: Task) -> str:
    """Return the sentence that names the tasks which the same objects allow besides ``task``; empty for none."""
    others = [
        one for one in list_tasks() if one.annotation == "objects" and one.name != task.name and one.fits(dataset)
    ]
    if task.annotation != "objects" or not others:
        return ""
    return _("Learning {task}. The same labels allow {others}.").format(
        task=task.title, others=_(" or ").join(f"--task {one.name} ({one.title})" for one in others)
    )


def infer_earlier_task(dataset: Dataset) -> str | None:
    """Return the task of a run that was started before runs recorded it: the first one that fits; ``None`` for none."""
    return next((task.name for task in list_tasks() if task.fits(dataset)), None)


def find_usable_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """Return bool (N,): the images that at least one of the tasks that suit can learn from.

    Where no task fits, as in a dataset of images without any object, images count as usable if the dataset has object
    labels at all: then each of them is labelled as empty.
    """
    fitting = [task.usable_rows(dataset) for task in list_tasks() if task.suits(dataset)]
    if fitting:
        return np.asarray(np.any(fitting, axis=0))
    return np.full(len(dataset), dataset.objects is not None)


def load_predictions(path: Path) -> tuple[Task, Any]:
    """Return the task that wrote the predictions file ``path``, and its predictions.

    The columns of the header decide. Raises ``DataError`` when the file is damaged or no task knows its columns.
    """
    for task in list_tasks():
        if task.has_part("predictions") and task.load_part("predictions").is_own_file(path):
            return task, task.load_part("predictions").load(path)
    raise DataError(
        _("{path} is not a predictions file.").format(path=path),
        _("Expected the columns that lince evaluate and lince train write."),
    )
