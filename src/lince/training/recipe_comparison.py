"""Trains with every recipe on the same split and keeps the best: the recipe ``all``."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from lince.config import TrainConfig
from lince.evaluation.report import RecipeResult, Report
from lince.i18n import _
from lince.training import run_folder
from lince.training.recipe_options import RECIPES, format_flags, list_unused_options, reset_unused_options
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun
from lince.training.run_report import write_report_files
from lince.training.time_budget import allot_evenly

_SHARE_OF_RECIPES = 0.98  # of a time budget; the rest copies the best run
_TRAINING_ORDER = ("transfer", "finetune", "scratch")  # first those that may be refused for want of weights


def train_all_recipes(request: TrainingRequest, run: TrainingRun) -> TrainingRun:
    """Train each recipe in its own folder inside ``run``, each with its part of the time budget, and return ``run``.

    Which network a recipe gets is up to the task (``adapt_config``). The model, predictions and metrics of the recipe
    with the best headline metric on the validation images are copied to ``run``, and its report with the table of all
    recipes is written there.
    """
    _load_training_libraries()
    results_by_recipe: dict[str, RecipeResult] = {}
    reports: dict[str, Report] = {}
    for recipe in _TRAINING_ORDER:
        request.progress.show_message(_("Recipe: {recipe}").format(recipe=recipe))
        started_at = time.perf_counter()
        recipe_run = TrainingRun(run.folder / recipe)
        recipe_run.folder.mkdir(exist_ok=True)
        config = _recipe_config(request, recipe, len(RECIPES) - len(reports))
        recipe_request = replace(request, config=config, started_at=time.monotonic())
        report = request.task.load_part("train")(recipe_request, recipe_run)
        reports[recipe] = report
        results_by_recipe[recipe] = RecipeResult(
            recipe, report.val_primary_metric, report.primary_metric, time.perf_counter() - started_at
        )
    rows = [results_by_recipe[recipe] for recipe in RECIPES]
    if all(row.val is None for row in rows):
        request.progress.show_message(
            _("Warning: without validation figures no recipe can be chosen; {name} is kept as the first.").format(
                name=rows[0].name
            )
        )
    best = max(rows, key=lambda row: row.val or 0.0)
    results = tuple(replace(row, chosen=row is best) for row in rows)
    _copy_best_run(TrainingRun(run.folder / best.name), run)
    write_report_files(run, replace(reports[best.name], recipes=results))
    return run


def _load_training_libraries() -> None:
    """Raise ``ModuleNotFoundError`` where PyTorch is not installed, before any recipe is trained without it."""
    import lince.training.loop  # noqa: F401, PLC0415  # most recipes need it, transfer of classifiers does not


def _recipe_config(request: TrainingRequest, recipe: str, left: int) -> TrainConfig:
    """Return the configuration for one recipe of the task, with its part of what is left of the budget.

    ``left`` recipes are not trained yet, with this one. Options that only other recipes use are left out, and named.
    """
    config, budget = request.config, None
    if config.budget is not None:
        budget = allot_evenly(request.started_at + _SHARE_OF_RECIPES * config.budget, left)
    adapted: TrainConfig = request.task.load_part("adapt_config")(config, recipe)
    adapted = adapted.with_changes(budget=budget)
    unused = list_unused_options(request.task, adapted)
    if unused:
        request.progress.show_message(_("Not used by this recipe: {options}").format(options=format_flags(unused)))
    return reset_unused_options(request.task, adapted)


def set_recipe(config: TrainConfig, recipe: str) -> TrainConfig:
    """Return ``config`` with ``recipe``: the part ``adapt_config`` of the tasks that have none of their own."""
    return config.with_changes(recipe=recipe)


def _copy_best_run(best: TrainingRun, run: TrainingRun) -> None:
    """Copy model, predictions, metrics and split of the run ``best`` into ``run``."""
    shutil.copytree(best.model_folder, run.model_folder, dirs_exist_ok=True)
    for name in (run_folder.PREDICTIONS_FILE, run_folder.METRICS_FILE, run_folder.SPLIT_FILE):
        shutil.copy2(best.folder / name, run.folder / name)
