"""The request that starts a training run, and the steps that all tasks share before training."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.datasets.division import Division, DivisionOptions, divide_dataset
from lince.datasets.duplicates.time_limit import UNLIMITED, TimeLimit
from lince.evaluation.diagnosis.leak import describe_leak_kinds
from lince.evaluation.rate_test import RateTest
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import TEST
from lince.tasks import Task
from lince.training import run_folder
from lince.training.run_folder import TrainingRun

_COMPARISON_SHARE = 0.25  # of a time budget, by which the photos are compared


@dataclass(frozen=True)
class TrainingRequest:
    """The input of a task's ``train`` part.

    ``dataset`` is as opened, without the images that the task cannot use (``Task.select_usable``); images may still
    turn out to be unreadable. ``allow_unusable`` allows more images to be unusable than by accident. A time budget
    counts from ``started_at``, a ``time.monotonic()``. ``is_rate_test`` asks for a test of learning rates in place of
    the training, which ends in ``RateTestFinished``.
    """

    dataset: Dataset
    config: TrainConfig
    task: Task
    allow_unusable: bool = False
    progress: Progress = SILENT
    started_at: float = field(default_factory=time.monotonic)
    is_rate_test: bool = False


class RateTestFinished(Exception):  # noqa: N818  # the end of a test that succeeded, not an error
    """Ends a recipe at the point where its training would begin; ``test`` is what was measured instead."""

    def __init__(self, test: RateTest) -> None:
        super().__init__()
        self.test = test


def assign_splits(request: TrainingRequest, run: TrainingRun, dataset: Dataset, keys: list[str]) -> Division:
    """Return ``dataset`` with every image in a split, and write ``split.csv`` into ``run``.

    ``keys`` are the content digests of the images, all usable, in row order. The split is that of ``lince split``; what
    was kept together, and images that a given split has separated, are reported. A resumed run keeps the split that it
    started with. Raises ``DataError`` when a split would be empty, and ``TrainingError`` when a resumed run finds other
    images than it started with.
    """
    config, progress = request.config, request.progress
    for line in (dataset.summarise(), *dataset.describe_left_out()):
        progress.show_message(line)
    limit = UNLIMITED
    if config.budget is not None:
        limit = TimeLimit(request.started_at + _COMPARISON_SHARE * config.budget)
    division = divide_dataset(dataset, DivisionOptions(config.val, config.test, config.seed), progress, limit)
    started_splits = run_folder.read_split(run, division.dataset)
    if started_splits is not None:
        division = replace(division, dataset=replace(division.dataset, splits=started_splits))
    for line in division.describe():
        progress.show_message(line)
    leak_counts = division.count_leaks()
    if leak_counts:
        progress.show_message(
            _(
                "{count:,} of {total:,} test images show the same as training or validation images ({kinds}); the "
                "report measures without them."
            ).format(
                count=sum(leak_counts.values()),
                total=len(division.dataset.get_split_indices(TEST)),
                kinds=describe_leak_kinds(leak_counts),
            )
        )
    run_folder.write_split(run, division.dataset, keys)
    return division


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
