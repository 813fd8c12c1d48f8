"""Changes of a run that is resumed: data that was moved, and more epochs than it was planned with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lince import fileio
from lince.config import TrainConfig
from lince.errors import LinceError, UsageError
from lince.i18n import _
from lince.training import run_folder
from lince.training.plan import TrainingPlan
from lince.training.run_folder import TrainingRun


def require_extensible(run: TrainingRun, epochs: int) -> None:
    """Raise ``UsageError`` when ``run`` cannot go on to ``epochs`` epochs."""
    has_plan = (run.folder / run_folder.PLAN_FILE).is_file()
    if run.config.recipe == "all" or (run.is_finished and not has_plan):
        raise UsageError(
            _("{run} has the recipe '{recipe}', which cannot go on with more epochs.").format(
                run=run, recipe=run.config.recipe
            ),
            _("Expected a run of a recipe that trains in epochs, such as finetune or scratch."),
        )
    if epochs <= run.finished_epoch_count:
        raise UsageError(
            _("{run} has {count} epochs already.").format(run=run, count=run.finished_epoch_count),
            _("Expected a larger number of epochs, counted from the start of the run."),
        )


@contextmanager
def record_changes(run: TrainingRun, origin: Mapping[str, Any], config: TrainConfig) -> Iterator[None]:
    """Record where the data of ``run`` is and its ``config``, with as many epochs, while it is trained.

    All is as it was when the training is refused, for instance because images have changed. A run that was finished
    counts as unfinished until the end, so that it can be resumed; its model and report stay until then.
    """
    paths = [run.folder / name for name in (run_folder.DATA_FILE, run_folder.CONFIG_FILE, run_folder.PLAN_FILE)]
    before = {path: path.read_bytes() for path in paths if path.is_file()}
    marker = run.folder / run_folder.EXTENSION_FILE
    was_marked = marker.exists()
    if origin != run.data_source:
        fileio.write_json(paths[0], origin)
    if config != run.config:
        _extend_plan(run, config)
        config.save(paths[1])
    try:
        yield
    except LinceError:
        for path, content in before.items():
            fileio.write_bytes(path, content)
        if not was_marked:
            marker.unlink(missing_ok=True)
        raise
    marker.unlink(missing_ok=True)


def _extend_plan(run: TrainingRun, config: TrainConfig) -> None:
    """Write the plan of ``run`` anew for the epochs of ``config``, where it has one."""
    path = run.folder / run_folder.PLAN_FILE
    if config.epochs is not None and path.is_file():
        if run.is_finished:
            fileio.write_text(run.folder / run_folder.EXTENSION_FILE, f"{config.epochs}\n")
        TrainingPlan.load(path).extend(config.epochs, run.finished_epoch_count).save(path)
