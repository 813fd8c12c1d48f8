"""Trains a model of whole images, of one class each or of several: from a request to a finished run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from lince.config import TrainConfig
from lince.datasets import compute_content_keys, require_usable_dataset, verify_images
from lince.errors import UsageError
from lince.evaluation.report import Report
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry
from lince.models.weights_source import WeightsSource, make_preprocess_spec, resolve_weights
from lince.progress import Progress
from lince.training.classification import defaults, features
from lince.training.classification.feature_precision import (
    allows_int8,
    choose_network,
    compute_ahead,
    confirm_precision,
)
from lince.training.classification.frozen_backbone import prepare_frozen_backbone
from lince.training.classification.mean_std import add_dataset_statistics
from lince.training.classification.recipes.transfer import train_transfer_head
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.request import StageTimer, TrainingRequest, assign_splits
from lince.training.run_completion import ImageClosing, close_run
from lince.training.run_folder import TrainingRun
from lince.training.split_warnings import list_split_warnings

PRETRAINED_RECIPES = ("transfer", "finetune")


def train_image_model(request: TrainingRequest, run: TrainingRun, closing: ImageClosing[Any]) -> Report:
    """Train a model as ``request`` asks, write model and report into ``run``, and return the report.

    ``closing`` says which labels are learned, and how predictions and report are made of them.

    An interrupted run continues from its last checkpoint. Raises ``UsageError`` for choices that contradict each other,
    ``DataError`` when the images do not suffice, ``WeightsError`` when pretrained weights are missing or do not fit,
    and ``DivergedError`` when the loss becomes NaN.
    """
    timer = StageTimer()
    config = request.config
    train_recipe = _get_recipe(config.recipe)  # before the images are read: its libraries may be missing
    # Network and input.
    model_choice = defaults.choose_model(request.dataset, config)
    for reason in model_choice.reasons:
        request.progress.show_message(reason)
    source = _resolve_weights(model_choice.entry, config, request.progress)
    spec = make_preprocess_spec(
        source, model_choice.size, config.resize, config.standardise, request.dataset.images.grey
    )
    timer.record_stage("model")
    # Readable images, each in a split.
    context = _prepare_data(
        request,
        run,
        source,
        RecipeContext.create(request.dataset, config, source.entry, spec, request.progress, closing.labels),
    )
    context = replace(context, is_rate_test=request.is_rate_test)
    timer.record_stage("images")
    # Training, then evaluation, model card and report.
    outcome = train_recipe(context, source)
    timer.record_stage("train")
    return close_run(run, context, outcome, timer.stage_seconds, closing)


def _resolve_weights(entry: ModelEntry, config: TrainConfig, progress: Progress) -> WeightsSource:
    """Return the weights that the recipe starts from, random ones for ``scratch``.

    Raises ``UsageError`` for a CNN declared layer by layer, which has no pretrained weights, and for standardisation,
    which pretrained weights do not expect, and for a precision that features do not have.
    """
    if config.recipe not in PRETRAINED_RECIPES:
        return resolve_weights(entry, "none", progress)
    if entry.architecture == classification_registry.CNN and config.weights == "auto":
        raise UsageError(
            _("A network defined layer by layer has no pretrained weights, which '{recipe}' needs.").format(
                recipe=config.recipe
            ),
            _("Expected a pretrained model, or weights of your own."),
            _("Use --recipe scratch, or --weights FILE."),
        )
    if config.standardise != "none":
        raise UsageError(
            _(
                "Pretrained weights need the preprocessing that they were trained with, not '{how}' standardisation."
            ).format(how=config.standardise),
            _("Expected --standardise none with the recipe '{recipe}'.").format(recipe=config.recipe),
        )
    if config.recipe == "transfer" and config.precision == "bf16":
        raise UsageError(
            _("The recipe '{recipe}' computes nothing in {precision}.").format(
                recipe=config.recipe, precision=config.precision
            ),
            _("Expected --precision auto (features in int8 where they lose next to nothing) or --precision fp32."),
        )
    return resolve_weights(entry, config.weights, progress)


def _prepare_data(
    request: TrainingRequest, run: TrainingRun, source: WeightsSource, context: RecipeContext
) -> RecipeContext:
    """Return ``context`` with unreadable images rejected and every image in a split.

    The recipes with a pretrained network also get its features of all images; these are computed while the images are
    verified, so that each is decoded once.
    """
    config, progress = request.config, request.progress
    floating = None
    if config.recipe in PRETRAINED_RECIPES:
        floating = prepare_frozen_backbone(source, context.spec, config.seed, progress)
        backbone = choose_network(floating, len(context.dataset)) if allows_int8(config) else floating
        image_features = features.compute_features(
            context.dataset, backbone.network_path, context.spec, progress, config.workers
        )
        dataset = context.dataset.reject_rows(image_features.rejected)
        context = replace(
            context, dataset=dataset, backbone=backbone, features=image_features, keys=image_features.keys
        )
    else:
        dataset = verify_images(context.dataset, progress)
        context = replace(context, keys=compute_content_keys(dataset, progress))
    require_usable_dataset(dataset, request.allow_unusable)
    with compute_ahead(context, floating) if floating is not None else nullcontext():
        division = assign_splits(request, run, dataset, context.keys)
    dataset = division.dataset
    context.labels.require_splits(dataset)
    for warning in list_split_warnings(dataset):
        progress.show_message(warning)
    spec = add_dataset_statistics(dataset, context.spec)
    started_at = request.started_at
    context = replace(context, dataset=dataset, division=division, folder=run.folder, spec=spec, started_at=started_at)
    return confirm_precision(context, floating) if floating is not None else context


def _get_recipe(name: str) -> Callable[[RecipeContext, WeightsSource], TrainedClassifier]:
    """Return the training function of the recipe ``name``."""
    # torch takes seconds to load, and a transfer run with cached features does not need it.
    if name == "transfer":
        return lambda context, _source: train_transfer_head(context)
    if name == "finetune":
        from lince.training.classification.recipes.finetune import fine_tune_network  # noqa: PLC0415

        return fine_tune_network
    from lince.training.classification.recipes.scratch import train_from_scratch  # noqa: PLC0415

    return lambda context, _source: train_from_scratch(context)
