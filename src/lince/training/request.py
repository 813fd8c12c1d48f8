"""What every training is asked, and the steps that all of them share before they begin."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lince.config import TrainConfig
from lince.datasets import Dataset, split_dataset
from lince.datasets.groups import group_by_content
from lince.datasets.stratified_split import find_split_leaks
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.training import run_folder
from lince.training.run_folder import TrainingRun


@dataclass(frozen=True)
class TrainingRequest:
    """What ``train`` is asked: data as opened, choices, whether many unusable images are allowed, and who listens."""

    dataset: Dataset
    config: TrainConfig
    allow_unusable: bool = False
    progress: Progress = SILENT


def assign_splits(request: TrainingRequest, target: TrainingRun, dataset: Dataset, keys: list[str]) -> Dataset:
    """Return ``dataset``, all usable, with every row in a part, and record in ``target`` which is where.

    Copies of one file, by their content ``keys``, stay together; those that a given split tears apart are told.
    """
    config, progress = request.config, request.progress
    progress.show_message(dataset.summarise())
    copies = _group_copies(keys)
    dataset = split_dataset(dataset, config.val, config.test, config.seed, copies)
    leaks = 0 if copies is None else len(find_split_leaks(dataset, copies))
    if leaks:
        progress.show_message(
            _("{count:,} images to learn from are in the test part too, file by file: lince check names them.").format(
                count=leaks
            )
        )
    run_folder.write_split(target, dataset, keys)
    return dataset


def _group_copies(keys: Sequence[str]) -> NDArray[np.int64] | None:
    """Return which images are the same file, so that none stands in two parts; ``None`` when no file is there twice."""
    return group_by_content(keys) if len(set(keys)) < len(keys) else None


class StageTimer:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stage_seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def record_stage(self, name: str) -> None:
        """Give the time since the last lap to ``name``."""
        now = time.perf_counter()
        self.stage_seconds[name] = now - self._last
        self._last = now
