"""The request that starts a training run, and the steps that all tasks share before training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.datasets import Dataset, split_dataset
from lince.datasets.groups import group_by_content
from lince.datasets.stratified_split import find_split_leaks
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.tasks import Task
from lince.training import run_folder
from lince.training.run_folder import TrainingRun


@dataclass(frozen=True)
class TrainingRequest:
    """The input of a task's ``train`` part.

    ``dataset`` is as opened, without the images that the task cannot use (``Task.select_usable``); images may still
    turn out to be unreadable. ``allow_unusable`` allows more than 1 % of the images to be unusable. A time budget
    counts from ``started_at``, a ``time.monotonic()``.
    """

    dataset: Dataset
    config: TrainConfig
    task: Task
    allow_unusable: bool = False
    progress: Progress = SILENT
    started_at: float = field(default_factory=time.monotonic)


def assign_splits(request: TrainingRequest, run: TrainingRun, dataset: Dataset, keys: list[str]) -> Dataset:
    """Return ``dataset`` with every image in a split, and write ``split.csv`` into ``run``.

    ``keys`` are the content digests of the images, all usable, in row order. Copies of one file stay together; copies
    that a given split has separated are reported. Raises ``DataError`` when a split would be empty, and
    ``TrainingError`` when a resumed run finds other images than it started with.
    """
    config, progress = request.config, request.progress
    progress.show_message(dataset.summarise())
    groups = _group_copies(keys)
    dataset = split_dataset(dataset, config.val, config.test, config.seed, groups)
    leak_count = 0 if groups is None else len(find_split_leaks(dataset, groups))
    if leak_count:
        progress.show_message(
            _("{count:,} training images are also in the test split (identical files): lince check lists them.").format(
                count=leak_count
            )
        )
    run_folder.write_split(run, dataset, keys)
    return dataset


def _group_copies(keys: Sequence[str]) -> NDArray[np.int64] | None:
    """Return the group, int64 (N,), of images with the same content; ``None`` when no file occurs twice."""
    return group_by_content(keys) if len(set(keys)) < len(keys) else None


class StageTimer:
    """Measures the duration of consecutive stages; ``stage_seconds`` has the seconds of each by its name."""

    def __init__(self) -> None:
        self.stage_seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def record_stage(self, name: str) -> None:
        """Record the seconds since the last call, or since construction, as the stage ``name``."""
        now = time.perf_counter()
        self.stage_seconds[name] = now - self._last
        self._last = now
