"""Trains a model, or resumes an interrupted run: ``lince.train`` and ``lince.resume``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lince import fileio
from lince.api.data_source import DataSource, reopen_data
from lince.api.extras import require_training_extra
from lince.config import TrainConfig
from lince.datasets import Dataset, open_dataset
from lince.datasets.open import make_path_absolute
from lince.errors import LinceError
from lince.i18n import _
from lince.progress import SILENT, Progress
from lince.splits import SPLITS
from lince.tasks import Task, infer_earlier_task, resolve_task
from lince.training import run_folder
from lince.training.recipe_comparison import train_all_recipes
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun
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
    progress: Progress = SILENT,
    **choices: Any,
) -> TrainingRun:
    """Train a model on ``data`` (a path, a URL, or a dataset) and return the finished run.

    ``choices`` are fields of ``TrainConfig`` (``recipe="finetune"``, ``epochs=5``); they replace those of ``config``.
    The task follows from the labels unless ``task`` names it. ``out`` is the new folder of the run, by default the
    first free one of ``runs/train``, ``runs/train2``, ... ``format``, ``pattern``, ``merge`` and ``fix`` are those of
    ``lince.open``. ``allow_unusable`` goes on where more than 1 % of the images cannot be used.

    Raises ``UsageError`` for invalid choices, ``AmbiguousError`` when the labels fit several tasks, ``DataError`` when
    they do not suffice, ``WeightsError`` when pretrained weights are not available, ``MissingExtraError`` without the
    extra ``train``, and ``DivergedError`` when the loss becomes NaN.
    """
    config = (config or TrainConfig()).with_changes(**choices)
    repairs = sorted(fix)
    groups = {name: list(members) for name, members in (merge or {}).items()}
    origin = {"format": format, "pattern": pattern, "merge": groups, "fix": repairs}
    if isinstance(data, Dataset):
        dataset, origin = data, {**origin, "path": str(data.root), "format": data.format}
    else:
        dataset = open_dataset(data, format=format, pattern=pattern, merge=merge, fix=repairs, progress=progress)
        origin = {**origin, "path": make_path_absolute(data)}
    task = resolve_task(dataset, config.task)
    config = config.with_changes(task=task.name)
    if config.monitor is not None:
        require_choice("monitor", config.monitor, task.monitors)
    run = run_folder.create_run(out)
    fileio.write_json(run.folder / run_folder.DATA_FILE, {**origin, "allow_unusable": allow_unusable})
    config.save(run.folder / run_folder.CONFIG_FILE)
    try:
        return _run_training(_make_request(task, dataset, config, allow_unusable, progress), run)
    except LinceError:
        run_folder.discard_unstarted(run)
        raise


def resume(folder: str | Path, *, progress: Progress = SILENT) -> TrainingRun:
    """Continue the interrupted run in ``folder`` and return it; a finished run is returned as it is.

    Data and configuration are those that the run was started with. On a CPU the result is bit-identical to that of a
    run without interruption. Raises ``UsageError`` when there is no run, and ``TrainingError`` when its images have
    changed.
    """
    run = run_folder.open_run(folder)
    if run.is_finished:
        progress.show_message(_("{run} is finished already.").format(run=run))
        return run
    origin, config = run.data_source, run.config
    dataset = reopen_data(origin, progress)
    task = resolve_task(dataset, config.task or infer_earlier_task(dataset))
    return _run_training(_make_request(task, dataset, config, origin["allow_unusable"], progress), run)


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
        request.progress.show_message(_("Continue with: lince train --resume {run}").format(run=run))
        raise
    return run
