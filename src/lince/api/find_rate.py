"""Finds a learning rate by a range test, without training a model: ``lince.find_rate``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lince import fileio, outputs
from lince.api.data_source import DataSource, open_with_origin
from lince.api.extras import require_training_extra
from lince.api.train import (
    collect_choices,
    count_given_splits,
    make_request,
    require_fitting_choices,
    require_possible_start,
)
from lince.config import TrainConfig
from lince.errors import UsageError
from lince.evaluation.rate_test import RateSearch, RateTest
from lince.evaluation.report.rate_page import render_rate_page
from lince.i18n import _
from lince.notebook_progress import AUTOMATIC
from lince.option_aliases import describe_option
from lince.progress import Progress
from lince.tasks import Task, resolve_task
from lince.training.recipe_options import RECIPES, reset_unused_options
from lince.training.request import RateTestFinished, TrainingRequest
from lince.training.run_folder import TrainingRun

_UNUSED_OPTIONS = ("rate", "patience", "monitor", "budget")  # a test of rates has no use for them


def find_rate(  # noqa: PLR0913
    data: DataSource,
    config: TrainConfig | None = None,
    *,
    recipe: str | None = None,
    model: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    size: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    augment: str | None = None,
    seed: int | None = None,
    val: float | None = None,
    test: float | None = None,
    device: str | None = None,
    workers: int | None = None,
    precision: str | None = None,
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
    standardize: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    format: str | None = None,  # noqa: A002
    pattern: str | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
    fix: Iterable[str] = (),
    void: Iterable[str | int] = (),
    allow_unusable: bool = False,
    progress: Progress = AUTOMATIC,
) -> RateSearch:
    """Return the losses of up to 100 training steps at learning rates that rise from 1e-6 to 1, and a suggested rate.

    This is the range test of Smith 2017, "Cyclical learning rates for training neural networks", section 3.3, known as
    ``lr_find`` in fastai and Lightning, and here by that name too. Network, training images, augmentation and batches
    are those that ``lince.train`` would use with the same options; the rate grows by the same factor at each step. The
    suggestion is half of the rate at which the smoothed loss is lowest. The same seed gives the same result on a CPU.
    No run is written, and a training afterwards is not changed by it.

    The arguments are those of ``lince.train``, but for ``out``. The recipe is to be one with a learning rate:
    ``scratch``, ``finetune``, for detectors also ``transfer``; ``all`` tests each of them.

    Args:
        out: an HTML page to write with the curve; default: none.
        overwrite: replace a page that lince did not write as it is.

    Raises:
        UsageError: where the recipe has no learning rate, for options that a test of rates does not use, and what
            ``lince.train`` raises for the others.
        DivergedError: where not even the first batch has a finite loss.
    """
    given = collect_choices(locals())
    config = (config or TrainConfig()).with_changes(**given)
    _require_usable_options(config)
    require_possible_start(config, None)
    if out is not None:
        outputs.require_output_file(out, outputs.RATE_PAGE, overwrite=overwrite, sources=[data])
    dataset, _origin = open_with_origin(data, progress, format=format, pattern=pattern, merge=merge, fix=fix, void=void)
    fitting_task = resolve_task(dataset, config.task)
    config = config.with_changes(task=fitting_task.name)
    recipes = _list_recipes(fitting_task, config)
    require_fitting_choices(fitting_task, config, list(given), count_given_splits(fitting_task, dataset))
    request = make_request(fitting_task, dataset, config, allow_unusable, progress)
    with require_training_extra():
        search = RateSearch(
            dataset.root.name, tuple(_test_recipe(replace(request, is_rate_test=True), name) for name in recipes)
        )
    if out is not None:
        fileio.write_text(Path(out), render_rate_page(search))
        outputs.record_output(Path(out), outputs.RATE_PAGE)
    return search


def _test_recipe(request: TrainingRequest, recipe: str) -> RateTest:
    """Return the range test of ``recipe``; what it writes lies in a temporary folder."""
    config = request.config
    if config.recipe != recipe:  # one of those of ``all``
        request.progress.show_message(_("Recipe: {recipe}").format(recipe=recipe))
        config = reset_unused_options(request.task, request.task.load_part("adapt_config")(config, recipe))
    with tempfile.TemporaryDirectory(prefix="lince-rates-") as folder:
        try:
            request.task.load_part("train")(replace(request, config=config), TrainingRun(Path(folder)))
        except RateTestFinished as finished:
            return finished.test
    raise _make_recipe_error(request.task, recipe)


def _list_recipes(task: Task, config: TrainConfig) -> list[str]:
    """Return the recipes that ``config`` asks for; raise ``UsageError`` where its recipe has no learning rate."""
    if config.recipe == "all":
        return [recipe for recipe in RECIPES if task.uses_option(recipe, "rate")]
    if not task.uses_option(config.recipe, "rate"):
        raise _make_recipe_error(task, config.recipe)
    return [config.recipe]


def _make_recipe_error(task: Task, recipe: str) -> UsageError:
    """Return the error that says that ``recipe`` has no learning rate, and which recipes have one."""
    others = [f"--recipe {other}" for other in RECIPES if task.uses_option(other, "rate")]
    return UsageError(
        _("The recipe '{recipe}' for {task} has no learning rate to find: its head is fitted without one.").format(
            recipe=recipe, task=task.title
        ),
        _("Expected a recipe that trains in epochs."),
        _("Use one of these: {options}").format(options=_(" or ").join(others)),
    )


def _require_usable_options(config: TrainConfig) -> None:
    """Raise ``UsageError`` for options that a test of learning rates has no use for."""
    defaults, values = asdict(TrainConfig()), asdict(config)
    given = [name for name in _UNUSED_OPTIONS if values[name] != defaults[name]]
    if given:
        raise UsageError(
            _("A test of learning rates does not use {options}.").format(
                options=", ".join(map(describe_option, given))
            ),
            _("Expected the options of the training, without its learning rate and its end."),
            _("Leave it out."),
        )
