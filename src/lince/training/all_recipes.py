"""The recipe ``all``: every recipe on one split and one budget, in a table, the best on validation kept."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from lince.config import TrainConfig
from lince.evaluation.report import DetectionReport, RecipeRow, Report
from lince.messages import _
from lince.models import registry
from lince.training import finish, run
from lince.training.request import Request
from lince.training.run import Run
from lince.training.train import finds_objects, train

RECIPES = ("scratch", "transfer", "finetune")


def train_all(request: Request, target: Run) -> Run:
    """Train each recipe in a folder of its own inside ``target``, each with a third of the budget.

    From scratch goes the default small network, or the model itself when it is one declared layer by layer. The
    report and the model of the best on validation images become those of ``target``, with the table of all three.
    """
    rows: list[RecipeRow] = []
    reports: dict[str, Report | DetectionReport] = {}
    for recipe in RECIPES:
        request.progress.say(_("Recipe: {recipe}").format(recipe=recipe))
        began = time.perf_counter()
        part = Run(target.folder / recipe)
        part.folder.mkdir(exist_ok=True)
        report = train(replace(request, config=_config(request, recipe)), part)
        reports[recipe] = report
        rows.append(RecipeRow(recipe, report.val_headline, report.headline, time.perf_counter() - began))
    best = max(rows, key=lambda row: row.val or 0.0)
    chosen = tuple(replace(row, chosen=row is best) for row in rows)
    _copy(Run(target.folder / best.name), target)
    finish.write(target, replace(reports[best.name], recipes=chosen))
    return target


def _config(request: Request, recipe: str) -> TrainConfig:
    config = request.config
    budget = None if config.budget is None else config.budget / len(RECIPES)
    if finds_objects(request.dataset):
        return config.but(recipe=recipe, budget=budget)
    declared = registry.find(config.model or "small").architecture == registry.CNN
    if recipe == "scratch" and not declared:
        return config.but(recipe=recipe, budget=budget, model=registry.CNN, from_layer=None)
    return config.but(recipe=recipe, budget=budget)


def _copy(best: Run, target: Run) -> None:
    shutil.copytree(best.model, target.model, dirs_exist_ok=True)
    for name in (run.PREDICTIONS, run.METRICS, run.SPLIT):
        shutil.copy2(best.folder / name, target.folder / name)
