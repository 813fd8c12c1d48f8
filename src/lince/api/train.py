"""Trains a model, or resumes an interrupted run: ``lince.train`` and ``lince.resume``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lince import fileio
from lince.api.data_source import DataSource, reopen_data
from lince.api.extras import require_training_extra
from lince.augmentation import Policy
from lince.config import TrainConfig
from lince.datasets import Dataset, open_dataset
from lince.datasets.open import make_path_absolute
from lince.errors import LinceError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS
from lince.tasks import Task, infer_earlier_task, resolve_task
from lince.training import run_extension, run_folder
from lince.training.recipe_comparison import train_all_recipes
from lince.training.recipe_options import (
    format_flags,
    list_unused_options,
    require_drawn_splits,
    require_used_options,
    reset_unused_options,
)
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun
from lince.training.run_lock import hold_run_lock
from lince.validation import require_choice


def train(  # noqa: PLR0913
    data: DataSource,
    config: TrainConfig | None = None,
    *,
    out: str | Path | None = None,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    allow_unusable: bool = False,
    started_at: float | None = None,
    progress: Progress = SILENT,
    **choices: Any,
) -> TrainingRun:
    """Train a model on ``data`` (a path, a URL, or a dataset) and return the finished run.

    ``choices`` are fields of ``TrainConfig`` (``recipe="finetune"``, ``epochs=5``); they replace those of ``config``.
    The task follows from the labels unless ``task`` names it. ``out`` is the new folder of the run, by default the
    first free one of ``runs/train``, ``runs/train2``, ... ``format``, ``pattern``, ``merge`` and ``fix`` are those of
    ``lince.open``. ``allow_unusable`` goes on where more than 1 % of the images cannot be used. A time budget counts
    from ``started_at``, a ``time.monotonic()``, by default that of the call.

    Raises ``UsageError`` for invalid choices and for options that the recipe or the task does not use,
    ``AmbiguousError`` when the labels fit several tasks, ``DataError`` when they do not suffice, ``WeightsError`` when
    pretrained weights are not available, ``MissingExtraError`` without the extra ``train``, and ``DivergedError`` when
    the loss becomes NaN.
    """
    started_at = time.monotonic() if started_at is None else started_at
    config = (config or TrainConfig()).with_changes(**choices)
    _require_possible_start(config, out)
    repairs = sorted(fix)
    groups = {name: list(members) for name, members in (merge or {}).items()}
    origin: dict[str, Any] = {"format": format, "pattern": pattern, "merge": groups, "fix": repairs}
    if isinstance(data, Dataset):
        dataset, origin = data, {**origin, "path": str(data.root), "format": data.format}
    else:
        dataset = open_dataset(data, format=format, pattern=pattern, merge=merge, fix=repairs, progress=progress)
        origin = {**origin, "path": make_path_absolute(data)}
    task = resolve_task(dataset, config.task)
    config = config.with_changes(task=task.name)
    given_splits = _count_given_splits(task, dataset)
    _require_fitting_choices(task, config, [name for name in choices if choices[name] is not None], given_splits)
    origin |= {"allow_unusable": allow_unusable, "given_splits": given_splits}
    with require_training_extra():
        task.load_part("train")
    run = run_folder.create_run(out)
    try:
        with hold_run_lock(run.folder):
            fileio.write_json(run.folder / run_folder.DATA_FILE, origin)
            config.save(run.folder / run_folder.CONFIG_FILE)
            request = _make_request(task, dataset, config, allow_unusable, progress)
            return _run_training(replace(request, started_at=started_at), run)
    except LinceError:
        run_folder.discard_unstarted(run)
        raise


def resume(
    folder: str | Path, data: str | Path | None = None, *, epochs: int | None = None, progress: Progress = SILENT
) -> TrainingRun:
    """Continue the interrupted run in ``folder`` and return it; a finished run is returned as it is.

    Data and configuration are those that the run was started with. ``data`` is where the same data is now, if it was
    moved. With ``epochs`` a run, finished or not, goes on to that many epochs, without a time budget. On a CPU the
    result is bit-identical to that of a run without interruption.

    Raises ``UsageError`` when there is no run, or its recipe has no epochs, or it has as many already, and
    ``TrainingError`` when its images have changed, or another process trains it.
    """
    started_at = time.monotonic()
    run = run_folder.open_run(folder)
    with hold_run_lock(run.folder):
        if epochs is not None:
            run_extension.require_extensible(run, epochs)
        elif run.is_finished:
            progress.show_message(_("{run} is finished already.").format(run=run))
            return run
        origin = run.data_source if data is None else {**run.data_source, "path": make_path_absolute(data)}
        dataset = reopen_data(origin, progress)
        config = run.config if epochs is None else run.config.with_changes(epochs=epochs, budget=None)
        task = resolve_task(dataset, config.task or infer_earlier_task(dataset))
        _require_possible_start(config, None)
        used_config = config
        if unused := list_unused_options(task, config):  # of a run that an earlier version started
            progress.show_message(_("Not used by this recipe: {options}").format(options=format_flags(unused)))
            used_config = reset_unused_options(task, config)
        request = _make_request(task, dataset, used_config, origin["allow_unusable"], progress)
        with run_extension.record_changes(run, origin, config):
            return _run_training(replace(request, started_at=started_at), run)


def _require_possible_start(config: TrainConfig, out: str | Path | None) -> None:
    """Raise what would stop a training with ``config`` into ``out``, as far as it can be told without the data.

    That is ``UsageError`` for a folder in use, an unknown augmentation or a device that this machine lacks, and
    ``MissingExtraError`` where a device is asked for without the extra ``train``.
    """
    if out is not None:
        run_folder.require_new_run_folder(Path(out))
    if config.augment is not None:
        Policy.parse(config.augment)
    if config.device not in ("auto", "cpu"):
        with require_training_extra():
            # torch takes seconds to load, and a transfer run with cached features does not need it.
            from lince.training import hardware  # noqa: PLC0415

            hardware.choose_device(config.device)


def _require_fitting_choices(
    task: Task, config: TrainConfig, given: Sequence[str], given_splits: Mapping[str, int]
) -> None:
    """Raise ``UsageError`` for a choice in ``given``, a list of fields, that task, recipe or data have no use for."""
    if config.monitor is not None:
        require_choice("monitor", config.monitor, task.monitors)
    require_used_options(task, config, given)
    require_drawn_splits(config, given, given_splits)


def _count_given_splits(task: Task, dataset: Dataset) -> dict[str, int]:
    """Return the number of usable images in each split that the data brings, by its name."""
    usable = task.usable_rows(dataset)
    return {name: int((usable & (dataset.splits == number)).sum()) for name, number in SPLITS.items()}


def _make_request(
    task: Task, dataset: Dataset, config: TrainConfig, allow_unusable: bool, progress: Progress
) -> TrainingRequest:
    """Return the training request without the images that the task cannot use, which are reported to ``progress``."""
    usable = task.select_usable(dataset)
    if unlabelled := task.describe_unlabelled(usable):
        progress.show_message(unlabelled)
    for name, split in SPLITS.items():
        count = len(dataset.get_split_indices(split))
        if count and not len(usable.get_split_indices(split)):
            progress.show_message(
                _("None of the {count:,} images of the given split '{name}' can be used; another one is drawn.").format(
                    count=count, name=name
                )
            )
    return TrainingRequest(usable, config, task, allow_unusable, progress)


def _run_training(request: TrainingRequest, run: TrainingRun) -> TrainingRun:
    """Run the training; when it is interrupted, report how to resume it before the error goes on."""
    try:
        with require_training_extra():
            if request.config.recipe == "all":
                train_all_recipes(request, run)
            else:
                request.task.load_part("train")(request, run)
    except (KeyboardInterrupt, OSError):
        request.progress.show_message(
            _("Continue with: lince train --resume {run}").format(run=fileio.quote_path(run.folder))
        )
        raise
    return run
