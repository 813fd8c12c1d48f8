"""The verb: from a dataset and choices to a finished run, read from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lince.annotations import UNLABELLED
from lince.config import TrainConfig
from lince.datasets import Dataset, compute_content_keys, require_usable_dataset, verify_images
from lince.errors import DataError, UsageError
from lince.evaluation.report import ClassificationReport, DetectionReport
from lince.i18n import _
from lince.models.classification import registry as classification_registry
from lince.models.classification.registry import ModelEntry
from lince.models.weights_source import WeightsSource, make_preprocess, resolve_weights
from lince.progress import Progress
from lince.splits import SPLITS, TRAIN
from lince.training.classification import defaults, features
from lince.training.classification.finalise import finalise_run
from lince.training.classification.frozen_backbone import prepare_frozen_backbone
from lince.training.classification.mean_std import add_dataset_statistics
from lince.training.classification.recipes.transfer import train_transfer_head
from lince.training.recipe import RecipeContext, TrainedClassifier
from lince.training.request import StageTimer, TrainingRequest, assign_splits
from lince.training.run_folder import TrainingRun

PRETRAINED_RECIPES = ("transfer", "finetune")


def train(request: TrainingRequest, target: TrainingRun) -> ClassificationReport | DetectionReport:
    """Train what the labels of ``request`` call for into ``target``: a detector where they mark objects."""
    if is_detection_dataset(request.dataset):
        # torch takes seconds to load: only where it is needed.
        from lince.training.detection.train import train_detector as find  # noqa: PLC0415

        return find(request, target)
    return train_classifier(request, target)


def is_detection_dataset(dataset: Dataset) -> bool:
    """Return whether the labels of ``dataset`` mark objects on its images and no image as a whole has a class."""
    return dataset.objects is not None and not (dataset.class_ids != UNLABELLED).any()


def train_classifier(request: TrainingRequest, target: TrainingRun) -> ClassificationReport:
    """Train a classifier as ``request`` says into ``target``, write its model and its report, and return the report.

    Raises ``DataError`` when the images do not suffice, ``WeightsError`` when the weights do not, ``DivergedError``
    when the loss is no longer a number. A run that was interrupted goes on from its last checkpoint.
    """
    clock = StageTimer()
    config = request.config
    # The network and its input.
    chosen = defaults.choose_model(request.dataset, config)
    for reason in chosen.reasons:
        request.progress.show_message(reason)
    source = _resolve_weights(chosen.entry, config, request.progress)
    spec = make_preprocess(source, chosen.size, config.resize, config.standardise, request.dataset.images.grey)
    clock.record_stage("model")
    # The images: those that can be read, each in its part.
    job = _prepare_data(
        request, target, source, RecipeContext.create(request.dataset, config, source.entry, spec, request.progress)
    )
    clock.record_stage("images")
    # The training itself, and then what people want to know of it.
    outcome = _get_recipe(config.recipe)(job, source)
    clock.record_stage("train")
    return finalise_run(target, job, outcome, clock.stage_seconds)


def _resolve_weights(entry: ModelEntry, config: TrainConfig, progress: Progress) -> WeightsSource:
    if config.recipe not in PRETRAINED_RECIPES:
        return resolve_weights(entry, "none", progress)
    if entry.architecture == classification_registry.CNN and config.weights == "auto":
        raise UsageError(
            _("A network declared layer by layer has no pretrained weights, which '{recipe}' starts from.").format(
                recipe=config.recipe
            ),
            _("Expected a pretrained model, or weights of your own."),
            _("Use --recipe scratch, or --weights FILE."),
        )
    if config.standardise != "none":
        raise UsageError(
            _("Pretrained weights want their images as they were made with, not standardised {how}.").format(
                how=config.standardise
            ),
            _("Expected --standardise none with the recipe '{recipe}'.").format(recipe=config.recipe),
        )
    return resolve_weights(entry, config.weights, progress)


def _prepare_data(
    request: TrainingRequest, target: TrainingRun, source: WeightsSource, job: RecipeContext
) -> RecipeContext:
    """Return ``job`` with unusable images set aside, every row in a split, and features where the recipe needs them."""
    config, progress = request.config, request.progress
    if config.recipe in PRETRAINED_RECIPES:
        backbone = prepare_frozen_backbone(source, job.spec, config.seed, progress)
        found = features.compute_features(job.dataset, backbone.network_path, job.spec, progress)
        dataset = job.dataset.reject_rows(found.rejected)
        job = replace(job, backbone=backbone, features=found, keys=found.keys)
    else:
        dataset = verify_images(job.dataset, progress)
        job = replace(job, keys=compute_content_keys(dataset, progress))
    require_usable_dataset(dataset, request.allow_unusable)
    dataset = assign_splits(request, target, dataset, job.keys)
    _require_splits(dataset)
    return replace(job, dataset=dataset, folder=target.folder, spec=add_dataset_statistics(dataset, job.spec))


def _require_splits(dataset: Dataset) -> None:
    """Raise ``DataError`` when there is nothing to train on, nothing to test on, or only one class to tell."""
    sizes = {name: len(dataset.get_split_indices(number)) for name, number in SPLITS.items()}
    known = np.unique(dataset.class_ids[dataset.get_split_indices(TRAIN)])
    if len(known) >= 2 and sizes["test"]:
        return
    raise DataError(
        _("The images divide into {train} to train on, {val} to validate and {test} to test.").format(**sizes)
        + " "
        + _("Classes to learn: {count}.").format(count=len(known)),
        _("Expected at least two classes with several images each."),
        _("Add images, or change the shares with --val and --test."),
    )


def _get_recipe(name: str) -> Callable[[RecipeContext, WeightsSource], TrainedClassifier]:
    # torch takes seconds to load: a warm transfer run never needs it.
    if name == "transfer":
        return lambda job, _source: train_transfer_head(job)
    if name == "finetune":
        from lince.training.classification.recipes.finetune import fine_tune_network  # noqa: PLC0415

        return fine_tune_network
    from lince.training.classification.recipes.scratch import train_from_scratch  # noqa: PLC0415

    return lambda job, _source: train_from_scratch(job)
