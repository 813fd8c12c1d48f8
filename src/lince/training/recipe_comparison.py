"""The recipe ``all``: every recipe on one split and one budget, in a table, the best on validation kept."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from lince.config import TrainConfig
from lince.evaluation.report import ClassificationReport, DetectionReport, RecipeResult
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.training import run_folder
from lince.training.classification import finalise
from lince.training.classification.train import is_detection_dataset, train
from lince.training.request import TrainingRequest
from lince.training.run_folder import TrainingRun

RECIPES = ("scratch", "transfer", "finetune")


def train_all_recipes(request: TrainingRequest, target: TrainingRun) -> TrainingRun:
    """Train each recipe in a folder of its own inside ``target``, each with a third of the budget.

    From scratch goes the default small network, or the model itself when it is one declared layer by layer. The
    report and the model of the best on validation images become those of ``target``, with the table of all three.
    """
    rows: list[RecipeResult] = []
    reports: dict[str, ClassificationReport | DetectionReport] = {}
    for recipe in RECIPES:
        request.progress.show_message(_("Recipe: {recipe}").format(recipe=recipe))
        began = time.perf_counter()
        part = TrainingRun(target.folder / recipe)
        part.folder.mkdir(exist_ok=True)
        report = train(replace(request, config=_recipe_config(request, recipe)), part)
        reports[recipe] = report
        rows.append(RecipeResult(recipe, report.val_primary_metric, report.primary_metric, time.perf_counter() - began))
    best = max(rows, key=lambda row: row.val or 0.0)
    chosen = tuple(replace(row, chosen=row is best) for row in rows)
    _copy_best_run(TrainingRun(target.folder / best.name), target)
    finalise.write_report_files(target, replace(reports[best.name], recipes=chosen))
    return target


def _recipe_config(request: TrainingRequest, recipe: str) -> TrainConfig:
    config = request.config
    budget = None if config.budget is None else config.budget / len(RECIPES)
    if is_detection_dataset(request.dataset):
        return config.with_changes(recipe=recipe, budget=budget)
    declared = (
        classification_registry.get_model_entry(config.model or "small").architecture == classification_registry.CNN
    )
    if recipe == "scratch" and not declared:
        return config.with_changes(recipe=recipe, budget=budget, model=classification_registry.CNN, from_layer=None)
    return config.with_changes(recipe=recipe, budget=budget)


def _copy_best_run(best: TrainingRun, target: TrainingRun) -> None:
    shutil.copytree(best.model_folder, target.model_folder, dirs_exist_ok=True)
    for name in (run_folder.PREDICTIONS_FILE, run_folder.METRICS_FILE, run_folder.SPLIT_FILE):
        shutil.copy2(best.folder / name, target.folder / name)
