"""Trains a model, or resumes an interrupted run: ``lince.train`` and ``lince.resume``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lince import fileio
from lince.api.data_source import DataSource, open_with_origin, reopen_data
from lince.api.extras import require_training_extra
from lince.augmentation import Policy
from lince.config import TrainConfig
from lince.datasets import Dataset
from lince.datasets.open import make_path_absolute
from lince.errors import LinceError
from lince.i18n import _
from lince.notebook_progress import AUTOMATIC
from lince.option_aliases import ALIASES, resolve_aliases
from lince.progress import Progress
from lince.splits import SPLITS
from lince.tasks import Task, describe_other_tasks, infer_earlier_task, resolve_task
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
    recipe: str | None = None,
    model: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    size: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    augment: str | None = None,
    patience: int | None = None,
    budget: float | None = None,
    seed: int | None = None,
    val: float | None = None,
    test: float | None = None,
    device: str | None = None,
    workers: int | None = None,
    precision: str | None = None,
    monitor: str | None = None,
    head: str | None = None,
    from_layer: str | int | None = None,
    label_smoothing: float | None = None,
    mix: str | None = None,
    mosaic: float | None = None,
    scales: float | None = None,
    resize: str | None = None,
    standardise: str | None = None,
    task: str | None = None,
    imgsz: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    learning_rate: float | None = None,
    standardize: str | None = None,
    out: str | os.PathLike[str] | None = None,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    void: Iterable[str | int] = (),
    allow_unusable: bool = False,
    started_at: float | None = None,
    progress: Progress = AUTOMATIC,
) -> TrainingRun:
    """Train a model on ``data`` and return the finished run, a folder with model and report.

    What is not given has the value of ``config``, else the default named below; "chosen" means that training chooses it
    from the hardware, the data and the model, and tells what it chose. An option that the recipe or the task has no use
    for is refused.

    Args:
        data: a folder, a label file, an archive, a URL, a ``Dataset``, or a pandas ``DataFrame``.
        config: options to start from, such as ``TrainConfig.load("config.toml")``.
        recipe: ``transfer`` (a new classifier on a frozen network, the default), ``finetune``, ``scratch``, or ``all``
            to train each and compare.
        model: name of the network, as ``lince.models()`` lists them, or layers: ``cnn: conv 16 3, pool``; default:
            ``lite`` for classifiers, ``yolox-nano`` for detectors.
        weights: pretrained weights: ``auto`` (the default), ``none``, or the path of a file or folder.
        size: side of the square network input in pixels, 8 to 4096; default: chosen.
        epochs: passes over the training images, at most, 1 to 100,000; default: chosen.
        batch: images per step, 1 to 65,536; default: chosen.
        rate: peak learning rate, 1e-08 to 100; default: chosen.
        augment: ``none``, ``light``, ``medium``, ``strong``, ``digits``, or a list such as ``rotation 15, zoom 0.1``;
            default: chosen.
        patience: epochs without improvement after which training stops, 1 to 100,000; default: off.
        budget: time limit in seconds, 1 to 100,000,000; default: none.
        seed: of all random numbers; default: 0.
        val: fraction of the images for validation, 0 to 0.9, where the data has no such split; default: 0.1.
        test: fraction of the images for testing, 0 to 0.9, where the data has no such split; default: 0.2.
        device: ``auto`` (the fastest, the default), ``cpu``, ``cuda`` or ``mps``.
        workers: data-loading threads, 0 to 1024; default: one per core, 8 at most.
        precision: of the computation: ``auto`` (the default), ``fp32`` or ``bf16``.
        monitor: metric that chooses the best epoch: ``val_loss`` (the default of classifiers), ``val_accuracy``,
            ``val_map`` (of several classes a photo), ``val_map50_95`` (the default of detectors), ``val_map50``,
            ``val_miou`` (of segmentation), ``val_segm_map50_95`` or ``val_segm_map50`` (of masks of objects).
        head: classifier that ``transfer`` trains: ``linear`` (the default) or ``mlp``.
        from_layer: first layer that ``finetune`` trains, by number or name; default: chosen.
        label_smoothing: of classifiers, 0 to 0.9; default: chosen.
        mix: of classifiers: ``none`` (the default), ``mixup`` or ``cutmix``.
        mosaic: of detectors: fraction of training images composed of four, 0 to 1; default: chosen.
        scales: of detectors: relative range of multi-scale training, 0 to 0.5; default: chosen.
        resize: ``squash``, ``crop``, ``letterbox`` or ``corner``; default: that of the network.
        standardise: ``none`` (the default), ``samplewise`` (per image) or ``featurewise`` (per dataset).
        task: ``classify``, ``detect``, ``multilabel``, ``segment`` or ``instances``; default: what the labels say.
        imgsz: another name of ``size``.
        batch_size: another name of ``batch``.
        lr: another name of ``rate``.
        learning_rate: another name of ``rate``.
        standardize: another name of ``standardise``.
        out: new folder of the run; default: the first free one of ``runs/train``, ``runs/train2``, ...
        format: of the data, as in ``lince.open``; default: what the files show.
        pattern: where the class is in file names, as in ``lince.open``.
        merge: classes to make one, by the new name, as in ``lince.open``.
        fix: what to repair while reading, as in ``lince.open``: ``clip``, ``order``, ``duplicates``; default: nothing.
        void: values, colours or names of mask images that say nothing of a pixel, as in ``lince.open``.
        allow_unusable: go on where more than one in a hundred of the images and labels cannot be used, of a small
            dataset more than five or one in forty; default: no.
        started_at: the ``time.monotonic()`` from which ``budget`` counts; default: that of the call.
        progress: receiver of messages and bars; by default they appear in notebooks, and nowhere else.

    Raises:
        UsageError: for invalid options, for two names of one option, and for options that are not used.
        AmbiguousError: when the labels fit several tasks.
        DataError: when the labels do not suffice.
        WeightsError: when pretrained weights are not available.
        MissingExtraError: where training needs the extra ``train``, which is not installed.
        DivergedError: when the loss becomes NaN.
    """
    given = collect_choices(locals())
    started_at = time.monotonic() if started_at is None else started_at
    config = (config or TrainConfig()).with_changes(**given)
    require_possible_start(config, out)
    dataset, origin = open_with_origin(data, progress, format=format, pattern=pattern, merge=merge, fix=fix, void=void)
    fitting_task = resolve_task(dataset, config.task)
    if config.task is None and (others := describe_other_tasks(dataset, fitting_task)):
        progress.show_message(others)
    config = config.with_changes(task=fitting_task.name)
    given_splits = count_given_splits(fitting_task, dataset)
    require_fitting_choices(fitting_task, config, list(given), given_splits)
    origin |= {"allow_unusable": allow_unusable, "given_splits": given_splits}
    with require_training_extra():
        fitting_task.load_part("train")
    run = run_folder.create_run(out)
    try:
        with hold_run_lock(run.folder):
            fileio.write_json(run.folder / run_folder.DATA_FILE, origin)
            config.save(run.folder / run_folder.CONFIG_FILE)
            request = make_request(fitting_task, dataset, config, allow_unusable, progress)
            return _run_training(replace(request, started_at=started_at), run)
    except LinceError:
        run_folder.discard_unstarted(run)
        raise


def resume(
    folder: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    epochs: int | None = None,
    progress: Progress = AUTOMATIC,
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
        require_possible_start(config, None)
        used_config = config
        if unused := list_unused_options(task, config):  # of a run that an earlier version started
            progress.show_message(_("Not used by this recipe: {options}").format(options=format_flags(unused)))
            used_config = reset_unused_options(task, config)
        request = make_request(task, dataset, used_config, origin["allow_unusable"], progress)
        with run_extension.record_changes(run, origin, config):
            return _run_training(replace(request, started_at=started_at), run)


def collect_choices(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the ``arguments`` of a function that are options of ``TrainConfig`` and were given, by field.

    Raises ``UsageError`` when one option is given by two of its names.
    """
    names = [name for item in fields(TrainConfig) for name in (item.name, *ALIASES.get(item.name, ()))]
    choices = {name: value for name in names if (value := arguments.get(name)) is not None}
    for name in ("weights", "from_layer"):  # kept as text in config.toml
        if name in choices:
            choices[name] = str(choices[name])
    return resolve_aliases(choices)


def require_possible_start(config: TrainConfig, out: str | os.PathLike[str] | None) -> None:
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


def require_fitting_choices(
    task: Task, config: TrainConfig, given: Sequence[str], given_splits: Mapping[str, int]
) -> None:
    """Raise ``UsageError`` for a choice in ``given``, a list of fields, that task, recipe or data have no use for."""
    if config.monitor is not None:
        require_choice("--monitor", config.monitor, task.monitors)
    require_used_options(task, config, given)
    require_drawn_splits(config, given, given_splits)


def count_given_splits(task: Task, dataset: Dataset) -> dict[str, int]:
    """Return the number of usable images in each split that the data brings, by its name."""
    usable = task.usable_rows(dataset)
    return {name: int((usable & (dataset.splits == number)).sum()) for name, number in SPLITS.items()}


def make_request(
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
